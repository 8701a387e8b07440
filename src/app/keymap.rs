//! The key bindings: one table of defaults, changed by the user's overrides. The key lookup, the
//! help, the footer, sentences that name a key and the manual's test all read it.

mod action;
mod chord;
mod remap;
mod table;

pub use self::{
    action::{Action, KeyContext},
    chord::{ChordError, Key, KeyChord},
    remap::{KeyOverride, KeymapError, KeymapErrorKind},
    table::{Binding, DETAIL_FOOTER, KeyGroup, LIST_FOOTER},
};
use self::{remap::apply_overrides, table::BINDINGS};

/// The active key bindings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keymap {
    bindings: Vec<Binding>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self {
            bindings: BINDINGS.to_vec(),
        }
    }
}

impl Keymap {
    /// Applies the user's overrides to the default table; returns all errors at once.
    pub fn with_overrides(overrides: &[KeyOverride]) -> Result<Self, Vec<KeymapError>> {
        apply_overrides(overrides).map(|bindings| Self { bindings })
    }

    /// Returns every binding, in the order of the help.
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// Returns one binding for each action: the first that has keys, else the first.
    pub fn actions(&self) -> impl Iterator<Item = &Binding> {
        Action::all().filter_map(|action| {
            let mut bindings = self.bindings_for(action);
            let first = bindings.next();
            let is_bound = |binding: &&Binding| !binding.chords.is_empty();
            first
                .filter(is_bound)
                .or_else(|| bindings.find(is_bound))
                .or(first)
        })
    }

    /// Returns the action of a key in a context; `None` if the key is unbound or typed as text.
    pub fn lookup(&self, chord: KeyChord, context: KeyContext) -> Option<Action> {
        self.bindings_in(context)
            .find(|binding| binding.chords.contains(&chord))
            .map(|binding| binding.action)
    }

    /// Returns the first key of an action in a context, with its footer label.
    pub fn hint(&self, action: Action, context: KeyContext) -> Option<(KeyChord, &'static str)> {
        self.bindings_in(context)
            .filter(|binding| binding.action == action)
            .find_map(|binding| Some((*binding.chords.first()?, binding.hint)))
    }

    /// Returns the first key of an action in any context, for sentences that name a key.
    pub fn key_for(&self, action: Action) -> Option<KeyChord> {
        self.bindings_for(action)
            .find_map(|binding| binding.chords.first().copied())
    }

    fn bindings_in(&self, context: KeyContext) -> impl Iterator<Item = &Binding> {
        self.bindings
            .iter()
            .filter(move |binding| binding.contexts.contains(&context))
    }

    fn bindings_for(&self, action: Action) -> impl Iterator<Item = &Binding> {
        self.bindings
            .iter()
            .filter(move |binding| binding.action == action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_keymap_is_valid() {
        assert_eq!(Keymap::with_overrides(&[]), Ok(Keymap::default()));
    }

    #[test]
    fn every_footer_hint_has_a_key_and_a_label() {
        for (context, footer) in [
            (KeyContext::List, LIST_FOOTER),
            (KeyContext::Detail, DETAIL_FOOTER),
        ] {
            for action in footer {
                let (_, label) = Keymap::default().hint(*action, context).unwrap();
                assert!(!label.is_empty(), "{action:?} in {context:?}");
            }
        }
    }

    #[test]
    fn text_contexts_bind_no_letters() {
        for letter in ('a'..='z').chain('A'..='Z').chain('0'..='9') {
            for context in KeyContext::ALL
                .iter()
                .filter(|context| context.accepts_text())
            {
                let action = Keymap::default().lookup(KeyChord::char(letter), *context);
                assert_eq!(action, None, "{letter}");
            }
        }
    }

    #[test]
    fn every_action_is_in_the_palette_once() {
        let keymap = Keymap::default();
        let actions: Vec<_> = keymap.actions().map(|binding| binding.action).collect();

        assert_eq!(actions, Action::all().collect::<Vec<_>>());
        assert!(keymap.actions().all(|binding| !binding.help.is_empty()));
    }
}
