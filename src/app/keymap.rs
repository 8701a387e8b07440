//! Keys and what they mean: one table, which the user's own keys change; read by the lookup, the
//! help, the footer, every sentence that names a key, and the README's test.

mod action;
mod chord;
mod remap;
mod table;

pub use self::{
    action::{Action, KeyContext},
    chord::{ChordError, Key, KeyChord},
    remap::{KeyOverride, KeymapError, KeymapErrorKind},
    table::{Binding, KeyGroup, footer},
};
use self::{remap::apply_overrides, table::BINDINGS};

/// The table in force: the default one, or the user's.
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
    /// Returns the default table with the user's changes; else every fault they have.
    pub fn with_overrides(changes: &[KeyOverride]) -> Result<Self, Vec<KeymapError>> {
        apply_overrides(changes).map(|bindings| Self { bindings })
    }

    /// Returns every line, in the order of the help.
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// Returns one line for each action, the first that has keys: its name, group, help and keys.
    pub fn actions(&self) -> impl Iterator<Item = &Binding> {
        Action::all().filter_map(|action| {
            let mut lines = self.bindings_for(action);
            let first = lines.next();
            let is_bound = |line: &&Binding| !line.chords.is_empty();
            first
                .filter(is_bound)
                .or_else(|| lines.find(is_bound))
                .or(first)
        })
    }

    /// Returns what a key means there; nothing where it is free (or typed).
    pub fn lookup(&self, chord: KeyChord, context: KeyContext) -> Option<Action> {
        self.bindings_in(context)
            .find(|binding| binding.chords.contains(&chord))
            .map(|binding| binding.action)
    }

    /// Returns the first key for an action there, and its word for the footer.
    pub fn hint(&self, action: Action, context: KeyContext) -> Option<(KeyChord, &'static str)> {
        self.bindings_in(context)
            .filter(|binding| binding.action == action)
            .find_map(|binding| Some((*binding.chords.first()?, binding.hint)))
    }

    /// Returns the first key for an action, wherever it counts: for sentences that name a key.
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
        for context in KeyContext::ALL {
            for action in footer(context) {
                let (_, word) = Keymap::default().hint(*action, context).unwrap();
                assert!(!word.is_empty(), "{action:?} in {context:?}");
            }
        }
    }

    #[test]
    fn text_contexts_bind_no_letters() {
        for letter in ('a'..='z').chain('A'..='Z').chain('0'..='9') {
            for context in KeyContext::ALL
                .into_iter()
                .filter(|context| context.accepts_text())
            {
                let action = Keymap::default().lookup(KeyChord::char(letter), context);
                assert_eq!(action, None, "{letter}");
            }
        }
    }

    #[test]
    fn every_action_is_in_the_palette_once() {
        let keymap = Keymap::default();
        let actions: Vec<_> = keymap.actions().map(|line| line.action).collect();

        assert_eq!(actions, Action::all().collect::<Vec<_>>());
        assert!(keymap.actions().all(|line| !line.help.is_empty()));
    }
}
