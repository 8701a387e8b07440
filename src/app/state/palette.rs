//! The command palette: every action by its name, those that fit best first.

use std::cmp::Reverse;

use tui_input::{Input, InputRequest};

use super::line;
use crate::{
    app::keymap::{Action, Binding, KeyContext, KeyGroup, Keymap},
    domain::fuzzy::{SearchPattern, Searcher},
};

/// The longest text in the line, in bytes.
const MAX_INPUT_LEN: usize = 256;

/// The palette.
#[derive(Debug, Clone)]
pub struct CommandPalette {
    context: KeyContext,
    input: Input,
    matches: Vec<PaletteMatch>,
    cursor: usize,
}

/// An action that fits what was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaletteMatch {
    /// Which.
    pub action: Action,
    /// Whether it makes sense where the palette was opened.
    pub is_available: bool,
}

impl CommandPalette {
    /// Returns the palette as opened there: with every action.
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

    /// Returns the line.
    pub const fn input(&self) -> &Input {
        &self.input
    }

    /// Returns the actions that fit, the best first; those that make no sense here come last.
    pub fn matches(&self) -> &[PaletteMatch] {
        &self.matches
    }

    /// Returns which is under the cursor.
    pub const fn cursor(&self) -> usize {
        self.cursor
    }

    /// Returns the action under the cursor.
    pub fn chosen(&self) -> Option<PaletteMatch> {
        self.matches.get(self.cursor).copied()
    }

    /// Moves the cursor, held at the ends.
    pub fn move_cursor(&mut self, by: isize) {
        self.go_to(self.cursor.saturating_add_signed(by));
    }

    /// Puts the cursor on that action, or the last one.
    pub fn go_to(&mut self, at: usize) {
        self.cursor = at.min(self.matches.len().saturating_sub(1));
    }

    /// Types a character.
    pub fn insert(&mut self, c: char, keymap: &Keymap) {
        line::insert(&mut self.input, c, MAX_INPUT_LEN);
        self.update_matches(keymap);
    }

    /// Pastes text, as one line.
    pub fn paste(&mut self, text: &str, keymap: &Keymap) {
        line::paste(&mut self.input, text, MAX_INPUT_LEN);
        self.update_matches(keymap);
    }

    /// Edits the line.
    pub fn edit(&mut self, edit: InputRequest, keymap: &Keymap) {
        self.input.handle(edit);
        self.update_matches(keymap);
    }

    /// Looks for what fits: by name, then by what is said of it. Among equals the group and the
    /// table's order hold.
    fn update_matches(&mut self, keymap: &Keymap) {
        let words = self.input.value().replace('_', " ");
        let needles: Vec<_> = words.split_whitespace().map(SearchWord::new).collect();
        let mut searcher = Searcher::default();
        let mut found: Vec<_> = lines(keymap)
            .filter_map(|line| {
                let names = line.action.name().replace('_', " ");
                let mut fits = needles
                    .iter()
                    .map(|wanted| wanted.score(&names, line.help, &mut searcher));
                let score = fits.try_fold(0, |sum, fit| Some(sum + fit?))?;
                let found = PaletteMatch {
                    action: line.action,
                    is_available: is_available(line.action, self.context, keymap),
                };
                Some((rank(line.group), score, found))
            })
            .collect();
        found.sort_by_key(|(rank, score, found)| (!found.is_available, Reverse(*score), *rank));
        self.matches = found.into_iter().map(|(.., found)| found).collect();
        self.cursor = 0;
    }
}

/// A word that was typed.
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

    /// Returns how well an action fits, if it does: a name that begins so before one with a word
    /// that does, before one that has it anywhere, before one that has its letters. What is said of
    /// it must have it whole.
    fn score(&self, name: &str, help: &str, searcher: &mut Searcher) -> Option<u32> {
        let begins = |text: &str| text.to_lowercase().starts_with(&self.text);
        let has_word = |text: &str| text.split(|c: char| !c.is_alphanumeric()).any(begins);
        if begins(name) {
            // Of two that begin so, the shorter is meant.
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

/// Returns a line for each action that can be chosen by name; what only moves within a box cannot.
fn lines(keymap: &Keymap) -> impl Iterator<Item = &Binding> {
    let is_choice = |line: &&Binding| {
        !matches!(
            line.action,
            Action::Palette
                | Action::Accept
                | Action::Toggle
                | Action::NextField
                | Action::PreviousField
        )
    };
    keymap.actions().filter(is_choice)
}

/// Returns the place of a group where all fit equally: what is done first, what the fingers know by
/// heart last.
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

/// Reports whether an action means something there: it has a line for the place, or needs no place
/// but a task.
fn is_available(action: Action, context: KeyContext, keymap: &Keymap) -> bool {
    matches!(action, Action::Copy(_))
        || keymap
            .bindings()
            .iter()
            .any(|line| line.action == action && line.contexts.contains(&context))
}
