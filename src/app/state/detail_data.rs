//! What the details show beyond the task itself, read from the list file when it is needed.

use std::sync::Arc;

use crate::domain::{
    list_change::{JournalLine, StoreError},
    raw_response::RawResponse,
    task::TaskId,
};

/// The raw response of a task, or the error of reading it.
#[derive(Debug, Clone)]
pub struct RawResponseState {
    pub task: TaskId,
    /// `None` if the server has sent none.
    pub response: Result<Option<Arc<RawResponse>>, StoreError>,
    /// Whether a newer response has arrived since.
    pub is_outdated: bool,
}

/// The journal and raw response last read, with the tasks for which they were requested.
#[derive(Debug, Clone, Default)]
pub struct DetailData {
    pub(in crate::app) journal: Option<(TaskId, Vec<JournalLine>)>,
    pub(in crate::app) journal_requested: Option<TaskId>,
    pub(in crate::app) raw: Option<RawResponseState>,
    pub(in crate::app) raw_requested: Option<TaskId>,
}
