//! Task ids in arguments, input and pasted text: what was not taken as an id, and why.

use std::fmt;

use crate::domain::task::{MAX_ID_LEN, TaskIdError};

impl fmt::Display for TaskIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a task id cannot be empty"),
            Self::TooLong => write!(f, "a task id has at most {MAX_ID_LEN} characters"),
            Self::NotPrintable => f.write_str("a task id has no spaces and no control characters"),
        }
    }
}

pub fn not_task_id(word: &str) -> String {
    format!("\"{word}\" is not a task id.")
}

/// Counts the words that are not listed by name.
pub fn more_not_task_ids(count: usize) -> String {
    match count {
        1 => "and 1 more word is not a task id.".to_owned(),
        count => format!("and {count} more words are not task ids."),
    }
}

pub fn extra_characters_skipped(id: &str) -> String {
    format!(
        "{id} looks like an id with extra characters; skipped. To add it anyway: kietop add \
         --force {id}"
    )
}

pub const EXTRA_CHARACTERS: &str =
    "looks like an id with extra characters; to add it anyway: kietop add --force ID.";

pub const NO_ID_IN_ARGUMENT: &str = "no task id found; use the taskId of a response.";

pub const NO_ID_IN_DIALOG: &str = "No task id found; type or paste one.";

pub const NOTHING_SELECTED: &str = "Nothing to add: the ids are already watched or not selected.";

pub const TOO_SHORT: &str = "too short for a task id; give the whole id.";

pub const SECRET_IN_ARGUMENT: &str =
    "An argument contains a key or token, not a task id; nothing was added.";

/// Counts the values that look like ids but have no field name, in a text with named ids.
pub fn unnamed_values(count: usize) -> String {
    match count {
        1 => "1 unnamed value that looks like an id (to add it: kietop add ID)".to_owned(),
        count => {
            format!("{count} unnamed values that look like ids (to add one: kietop add ID)")
        }
    }
}
