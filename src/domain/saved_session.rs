//! The state that is restored from the last run on the same list.

use jiff::Timestamp;

use super::{query::ListView, task::TaskId};

/// View, undo stack and time of the last run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SavedSession {
    pub list_view: ListView,
    /// Removals that can be undone, in groups, the latest last.
    pub removals: Vec<Vec<TaskId>>,
    /// When the dashboard was last on this list, if ever.
    pub last_seen: Option<Timestamp>,
}
