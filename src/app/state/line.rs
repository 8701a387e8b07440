//! What may be typed or pasted into a line, and how much of it.

use tui_input::{Input, InputRequest};

use crate::domain::text::{self, CleanText};

/// Types a character unless the line is full, or the character could hide or be one mark too many.
pub(super) fn insert(line: &mut Input, c: char, longest: usize) {
    if line.value().len() + c.len_utf8() > longest || text::is_unsafe(c) {
        return;
    }
    let before: String = line.value().chars().take(line.cursor()).collect();
    if text::fits_in_cell(&before, c) {
        line.handle(InputRequest::InsertChar(c));
    }
}

/// Pastes text, as one line.
pub(super) fn paste(line: &mut Input, text: &str, longest: usize) {
    for c in CleanText::line(text, longest).as_str().chars() {
        insert(line, c, longest);
    }
}
