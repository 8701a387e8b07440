//! The line editor of every text field: bounded, sanitised text with a cursor.

use tui_input::{Input, InputRequest};

use crate::{
    app::keymap::{Key, KeyChord},
    domain::{
        text::{self, CleanText},
        watched_task::MAX_LABEL_LEN,
    },
};

#[derive(Debug, Clone)]
pub struct LineEditor {
    input: Input,
    /// Maximum length of the text, in bytes.
    max_len: usize,
}

impl LineEditor {
    pub fn new(text: &str, max_len: usize) -> Self {
        Self {
            input: Input::from(text),
            max_len,
        }
    }

    pub fn text(&self) -> &str {
        self.input.value()
    }

    /// Returns the number of characters before the cursor.
    pub fn cursor(&self) -> usize {
        self.input.cursor()
    }

    /// Returns the text as a label; `None` if it is empty.
    pub fn label(&self) -> Option<CleanText> {
        let label = CleanText::line(self.text(), MAX_LABEL_LEN);
        (!label.is_empty()).then_some(label)
    }

    /// Types the character of a key, or edits the line; reports whether the key does one of them.
    pub(in crate::app) fn press(&mut self, chord: KeyChord) -> bool {
        if let Some(c) = chord.typed_char() {
            self.insert(c);
        } else if let Some(edit) = edit_request(chord) {
            self.input.handle(edit);
        } else {
            return false;
        }
        true
    }

    /// Pastes text as one line.
    pub(in crate::app) fn paste(&mut self, text: &str) {
        for c in CleanText::line(text, self.max_len).as_str().chars() {
            self.insert(c);
        }
    }

    /// Inserts a character unless the line is full, or the character is invisible, unsafe, or a
    /// combining mark beyond the limit.
    fn insert(&mut self, c: char) {
        if self.text().len() + c.len_utf8() > self.max_len || text::is_unsafe(c) {
            return;
        }
        let before: String = self.text().chars().take(self.cursor()).collect();
        if text::fits_in_cell(&before, c) {
            self.input.handle(InputRequest::InsertChar(c));
        }
    }
}

const fn edit_request(chord: KeyChord) -> Option<InputRequest> {
    Some(match (chord.key, chord.ctrl, chord.alt) {
        (Key::Backspace, false, false) => InputRequest::DeletePrevChar,
        (Key::Backspace, ..) | (Key::Char('w'), true, _) => InputRequest::DeletePrevWord,
        (Key::Delete, ..) => InputRequest::DeleteNextChar,
        (Key::Left, true, _) => InputRequest::GoToPrevWord,
        (Key::Right, true, _) => InputRequest::GoToNextWord,
        (Key::Left, ..) => InputRequest::GoToPrevChar,
        (Key::Right, ..) => InputRequest::GoToNextChar,
        (Key::Home, ..) | (Key::Char('a'), true, _) => InputRequest::GoToStart,
        (Key::End, ..) | (Key::Char('e'), true, _) => InputRequest::GoToEnd,
        (Key::Char('u'), true, _) => InputRequest::DeleteLine,
        (Key::Char('k'), true, _) => InputRequest::DeleteTillEnd,
        _ => return None,
    })
}
