//! The menu: items to choose from with the cursor, a key or a click, and an optional line that
//! filters them.

use super::line_editor::LineEditor;
use crate::{
    app::{
        copy_payload::CopyKind,
        keymap::{Action, KeyChord, KeyContext},
    },
    domain::{link::VideoUrl, query::SortColumn, task::TaskId},
};

/// A menu. Each one is built by the file of its feature in `update`.
#[derive(Debug, Clone)]
pub struct Menu {
    pub context: KeyContext,
    pub title: String,
    /// The text at the right of the title; `None` for the position of the cursor.
    pub note: Option<String>,
    /// What Enter does, in a word.
    pub accept_word: &'static str,
    pub items: Vec<MenuItem>,
    pub cursor: usize,
    pub filter: Option<LineEditor>,
    /// The tasks that the choice applies to.
    pub tasks: Vec<TaskId>,
    /// Whether digits choose the first nine items.
    pub is_numbered: bool,
    /// The minimum width in columns, borders included.
    pub min_width: u16,
    /// The widths of the columns with keys and with texts; the notes take the rest.
    pub key_width: usize,
    pub text_width: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MenuItem {
    pub choice: MenuChoice,
    /// The keys that make the choice, pressed one after the other.
    pub keys: Vec<KeyChord>,
    pub text: String,
    pub note: &'static str,
    pub is_available: bool,
}

/// The command of a menu item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MenuChoice {
    Run(Action),
    Copy(CopyKind),
    Sort(SortColumn),
    Open(TaskId, VideoUrl),
}

impl Menu {
    /// Returns a menu of numbered items without notes.
    pub fn numbered(context: KeyContext, items: Vec<MenuItem>) -> Self {
        Self {
            context,
            title: String::new(),
            note: None,
            accept_word: "run",
            items,
            cursor: 0,
            filter: None,
            tasks: Vec::new(),
            is_numbered: true,
            min_width: 40,
            key_width: 2,
            text_width: 0,
        }
    }

    pub fn chosen(&self) -> Option<&MenuItem> {
        self.items.get(self.cursor)
    }

    /// Moves the cursor; stops at the ends.
    pub(in crate::app) fn move_cursor(&mut self, by: isize) {
        self.go_to(self.cursor.saturating_add_signed(by));
    }

    /// Moves the cursor to an item, or to the last one.
    pub(in crate::app) fn go_to(&mut self, at: usize) {
        self.cursor = at.min(self.items.len().saturating_sub(1));
    }

    /// Returns the item that a digit key chooses.
    pub(in crate::app) fn item_for_digit(&self, chord: KeyChord) -> Option<usize> {
        let digit = chord.typed_char().filter(|_| self.is_numbered)?;
        let at = ('1'..='9').position(|number| number == digit)?;
        (at < self.items.len()).then_some(at)
    }
}

impl MenuItem {
    pub fn new(choice: MenuChoice, text: impl Into<String>) -> Self {
        Self {
            choice,
            keys: Vec::new(),
            text: text.into(),
            note: "",
            is_available: true,
        }
    }
}
