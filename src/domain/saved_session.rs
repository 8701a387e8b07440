//! What a program knows of the one that ran before it on the same list.

use jiff::Timestamp;

use super::{query::ListView, task::TaskId};

/// What was known at the end of the last run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SavedSession {
    /// How the list was looked at.
    pub list_view: ListView,
    /// The last removals that can be taken back, each whole, the latest last.
    pub removals: Vec<Vec<TaskId>>,
    /// Until when the list was looked at; nothing when it never was.
    pub last_seen: Option<Timestamp>,
}
