//! The command palette: every action by name, best matches first.

use std::cmp::Reverse;

use tui_input::{Input, InputRequest};

use super::line;
use crate::{
    app::keymap::{Action, Binding, KeyContext, KeyGroup, Keymap},
    domain::fuzzy::{SearchPattern, Searcher},
};

/// Maximum length of the input, in bytes.
const MAX_INPUT_LEN: usize = 256;

#[derive(Debug, Clone)]
pub struct CommandPalette {
    context: KeyContext,
    input: Input,
    matches: Vec<PaletteMatch>,
    cursor: usize,
}

/// An action that matches the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaletteMatch {
    pub action: Action,
    /// Whether the action works in the context in which the palette was opened.
    pub is_available: bool,
}

impl CommandPalette {
    /// Opens the palette in a context, with every action listed.
    pub fn new(context: KeyContext, keymap: &Keymap) -> Self {
        let mut palette = Self {
            context,
            input: Input::default(),
            matches: Vec::new(),
            cursor: 0,
        };
        palette.update_matches(keymap);
        palette
    }

    pub const fn input(&self) -> &Input {
        &self.input
    }

    /// Returns the matches, best first; actions that are unavailable here come last.
    pub fn matches(&self) -> &[PaletteMatch] {
        &self.matches
    }

    pub const fn cursor(&self) -> usize {
        self.cursor
    }

    pub fn chosen(&self) -> Option<PaletteMatch> {
        self.matches.get(self.cursor).copied()
    }

    /// Moves the cursor; stops at the ends.
    pub fn move_cursor(&mut self, by: isize) {
        self.go_to(self.cursor.saturating_add_signed(by));
    }

    /// Moves the cursor to a match, or to the last one.
    pub fn go_to(&mut self, at: usize) {
        self.cursor = at.min(self.matches.len().saturating_sub(1));
    }

    pub fn insert(&mut self, c: char, keymap: &Keymap) {
        line::insert(&mut self.input, c, MAX_INPUT_LEN);
        self.update_matches(keymap);
    }

    pub fn paste(&mut self, text: &str, keymap: &Keymap) {
        line::paste(&mut self.input, text, MAX_INPUT_LEN);
        self.update_matches(keymap);
    }

    pub fn edit(&mut self, edit: InputRequest, keymap: &Keymap) {
        self.input.handle(edit);
        self.update_matches(keymap);
    }

    /// Finds the matches by name, then by description. Ties are broken by group, then by the
    /// table's order.
    fn update_matches(&mut self, keymap: &Keymap) {
        let input = self.input.value().replace('_', " ");
        let words: Vec<_> = input.split_whitespace().map(SearchWord::new).collect();
        let mut searcher = Searcher::default();
        let mut matches: Vec<_> = bindings(keymap)
            .filter_map(|binding| {
                let names = binding.action.name().replace('_', " ");
                let mut scores = words
                    .iter()
                    .map(|word| word.score(&names, binding.help, &mut searcher));
                let score = scores.try_fold(0, |sum, score| Some(sum + score?))?;
                let palette_match = PaletteMatch {
                    action: binding.action,
                    is_available: is_available(binding.action, self.context, keymap),
                };
                Some((rank(binding.group), score, palette_match))
            })
            .collect();
        matches.sort_by_key(|(rank, score, found)| (!found.is_available, Reverse(*score), *rank));
        self.matches = matches.into_iter().map(|(.., found)| found).collect();
        self.cursor = 0;
    }
}

/// A word of the input.
struct SearchWord {
    text: String,
    literal: SearchPattern,
    fuzzy: SearchPattern,
}

impl SearchWord {
    fn new(word: &str) -> Self {
        Self {
            text: word.to_lowercase(),
            literal: SearchPattern::literal(word),
            fuzzy: SearchPattern::fuzzy(word),
        }
    }

    /// Returns how well an action matches; `None` if it does not. From best to worst: the name
    /// starts with the word, a word of the name does, the name contains it, a word of the
    /// description starts with it, the name has its letters in order, the description contains it.
    fn score(&self, name: &str, help: &str, searcher: &mut Searcher) -> Option<u32> {
        let starts = |text: &str| text.to_lowercase().starts_with(&self.text);
        let has_word = |text: &str| text.split(|c: char| !c.is_alphanumeric()).any(starts);
        if starts(name) {
            // Of two such names the shorter one scores higher.
            let rest = name.len().saturating_sub(self.text.len()).min(20);
            return Some(80 - u32::try_from(rest).unwrap_or_default());
        }
        if has_word(name) {
            return Some(50);
        }
        if searcher.finds(&self.literal, name) {
            return Some(40);
        }
        if has_word(help) {
            return Some(30);
        }
        if searcher.finds(&self.fuzzy, name) {
            return Some(20);
        }
        searcher.finds(&self.literal, help).then_some(10)
    }
}

/// Returns one binding for each action; without those that only work inside a dialog.
fn bindings(keymap: &Keymap) -> impl Iterator<Item = &Binding> {
    let is_listed = |binding: &&Binding| {
        !matches!(
            binding.action,
            Action::Palette
                | Action::Accept
                | Action::Toggle
                | Action::NextField
                | Action::PreviousField
        )
    };
    keymap.actions().filter(is_listed)
}

/// Returns the rank of a group among equal matches: task actions first, the most familiar keys
/// last.
const fn rank(group: KeyGroup) -> usize {
    match group {
        KeyGroup::Tasks => 0,
        KeyGroup::Copying => 1,
        KeyGroup::Search => 2,
        KeyGroup::Polling => 3,
        KeyGroup::Program => 4,
        KeyGroup::Navigation => 5,
        KeyGroup::Dialogs => 6,
    }
}

/// Reports whether an action has a binding in the context, or only needs a task.
fn is_available(action: Action, context: KeyContext, keymap: &Keymap) -> bool {
    matches!(action, Action::Copy(_))
        || keymap
            .bindings()
            .iter()
            .any(|binding| binding.action == action && binding.contexts.contains(&context))
}
