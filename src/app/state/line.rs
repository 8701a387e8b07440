//! Bounded, sanitised input for text fields.

use tui_input::{Input, InputRequest};

use crate::domain::text::{self, CleanText};

/// Inserts a character unless the line is full, or the character is invisible, unsafe, or a
/// combining mark beyond the limit.
pub(super) fn insert(line: &mut Input, c: char, max_len: usize) {
    if line.value().len() + c.len_utf8() > max_len || text::is_unsafe(c) {
        return;
    }
    let before: String = line.value().chars().take(line.cursor()).collect();
    if text::fits_in_cell(&before, c) {
        line.handle(InputRequest::InsertChar(c));
    }
}

/// Pastes text as one line.
pub(super) fn paste(line: &mut Input, text: &str, max_len: usize) {
    for c in CleanText::line(text, max_len).as_str().chars() {
        insert(line, c, max_len);
    }
}
