//! What may be typed into a line, and how much of it.

use tui_input::{Input, InputRequest};

use crate::domain::text::is_unsafe;

/// Types a character unless the line is full or the character could hide.
pub(super) fn insert(line: &mut Input, c: char, longest: usize) {
    if line.value().len() + c.len_utf8() <= longest && !is_unsafe(c) {
        line.handle(InputRequest::InsertChar(c));
    }
}
