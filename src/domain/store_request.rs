//! Requests to the list on disk, and their replies.

use std::sync::Arc;

use jiff::Timestamp;

use super::{
    list_change::{ChangeResult, ExternalChange, JournalLine, ListChange},
    query::ListView,
    raw_response::RawResponse,
    saved_session::SavedSession,
    task::TaskId,
    watched_task::WatchedTask,
};

/// A request to the list on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreRequest {
    /// Read every watched task. [`ReadExternalChanges`](Self::ReadExternalChanges) continues from
    /// here.
    LoadList,
    /// Read the last view, the time the list was last seen, and the removals that can be undone.
    LoadSession,
    /// Apply changes in one transaction, all or none. Without any, check whether the list can be
    /// written.
    ///
    /// If one of them [needs acknowledgement](ListChange::needs_ack), all are on disk when the
    /// reply comes.
    Write(Vec<ListChange>),
    /// Read the changes made by other instances since the last such request or load.
    ReadExternalChanges,
    /// Read the last lines of a task's journal.
    ReadJournal(TaskId),
    /// Read the server's last usable response about a task, formatted in lines.
    ReadRawResponse(TaskId),
    /// Save the view. Not flushed: a power cut may lose it.
    SaveSession(ListView),
    /// Save the time at which the list was last seen. Not flushed.
    SaveLastSeen(Timestamp),
    /// Write the list back to its path if the file is gone.
    RestoreListFile,
}

/// The reply to a [`StoreRequest`] that succeeded.
#[derive(Debug, Clone, PartialEq)]
pub enum StoreReply {
    List(Vec<WatchedTask>),
    Session(SavedSession),
    /// One result for each change, in order.
    Written(Vec<ChangeResult>),
    ExternalChanges(Vec<ExternalChange>),
    /// Oldest line first.
    Journal(Vec<JournalLine>),
    /// `None` if the server has sent none.
    RawResponse(Option<Arc<RawResponse>>),
    /// Nothing but success.
    Done,
}
