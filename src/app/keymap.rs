//! Keys and what they mean: one table, which the user's own keys change; read by the lookup, the help, the footer,
//! every sentence that names a key, and the README's test.

mod action;
mod chord;
mod remap;
mod table;

pub use self::{
    action::{Action, Context},
    chord::{ChordError, Key, KeyChord},
    remap::{KeyChange, KeymapFault, KeymapFaultKind},
    table::{Binding, Group, footer},
};
use self::{remap::remapped, table::BINDINGS};

/// Is the table in force: the default one, or the user's.
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
    pub fn with(changes: &[KeyChange]) -> Result<Self, Vec<KeymapFault>> {
        remapped(changes).map(|bindings| Self { bindings })
    }

    /// Returns every line, in the order of the help.
    pub fn bindings(&self) -> &[Binding] {
        &self.bindings
    }

    /// Returns one line for each action, the first that has keys: its name, group, help and keys.
    pub fn actions(&self) -> impl Iterator<Item = &Binding> {
        Action::all().filter_map(|action| {
            let mut lines = self.lines_of(action);
            let first = lines.next();
            let is_bound = |line: &&Binding| !line.chords.is_empty();
            first
                .filter(is_bound)
                .or_else(|| lines.find(is_bound))
                .or(first)
        })
    }

    /// Returns what a key means there; nothing where it is free (or typed).
    pub fn lookup(&self, chord: KeyChord, context: Context) -> Option<Action> {
        self.lines_in(context)
            .find(|binding| binding.chords.contains(&chord))
            .map(|binding| binding.action)
    }

    /// Returns the first key for an action there, and its word for the footer.
    pub fn hint(&self, action: Action, context: Context) -> Option<(KeyChord, &'static str)> {
        self.lines_in(context)
            .filter(|binding| binding.action == action)
            .find_map(|binding| Some((*binding.chords.first()?, binding.hint)))
    }

    /// Returns the first key for an action, wherever it counts: for sentences that name a key.
    pub fn key_of(&self, action: Action) -> Option<KeyChord> {
        self.lines_of(action)
            .find_map(|binding| binding.chords.first().copied())
    }

    fn lines_in(&self, context: Context) -> impl Iterator<Item = &Binding> {
        self.bindings
            .iter()
            .filter(move |binding| binding.contexts.contains(&context))
    }

    fn lines_of(&self, action: Action) -> impl Iterator<Item = &Binding> {
        self.bindings
            .iter()
            .filter(move |binding| binding.action == action)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_table_has_no_fault() {
        assert_eq!(Keymap::with(&[]), Ok(Keymap::default()));
    }

    #[test]
    fn every_footer_hint_has_a_key_and_a_word() {
        for context in Context::ALL {
            for action in footer(context) {
                let (_, word) = Keymap::default().hint(*action, context).unwrap();
                assert!(!word.is_empty(), "{action:?} in {context:?}");
            }
        }
    }

    #[test]
    fn typing_contexts_leave_every_letter_free() {
        for letter in ('a'..='z').chain('A'..='Z').chain('0'..='9') {
            for context in Context::ALL
                .into_iter()
                .filter(|context| context.is_typing())
            {
                let action = Keymap::default().lookup(KeyChord::char(letter), context);
                assert_eq!(action, None, "{letter}");
            }
        }
    }

    #[test]
    fn every_action_has_one_line_in_the_palette() {
        let keymap = Keymap::default();
        let actions: Vec<_> = keymap.actions().map(|line| line.action).collect();

        assert_eq!(actions, Action::all().collect::<Vec<_>>());
        assert!(keymap.actions().all(|line| !line.help.is_empty()));
    }
}
