//! Changes of the list on disk, their results and the journal.

use std::{path::PathBuf, sync::Arc};

use jiff::Timestamp;

use super::{
    download::DownloadError,
    poll_result::{FailedCheck, Observation, PollResult},
    task::{Family, TaskId},
    text::CleanText,
    watched_task::{NotifySetting, WatchedTask},
};

/// Whether the list may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccessMode {
    #[default]
    Full,
    /// `--read-only`: nothing is written, and no file is created or repaired.
    ReadOnly,
}

/// A change of the list. Each that has an effect also adds a journal line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListChange {
    /// Adds a task. A removed one is restored with everything known of it.
    Add {
        task: TaskId,
        family: Family,
        label: Option<CleanText>,
        at: Timestamp,
    },
    /// Removes a task. Its row is kept for an undo.
    Remove { task: TaskId, at: Timestamp },
    /// Undoes a removal.
    Restore { task: TaskId, at: Timestamp },
    /// A successful check; merged with the stored task as in `Task::merge`.
    Observed {
        task: TaskId,
        at: Timestamp,
        observation: Arc<Observation>,
    },
    /// A failed check. [`PollError::NotFound`](super::poll_result::PollError::NotFound) changes the
    /// state of a task of which nothing else is known, after the grace period.
    CheckFailed { task: TaskId, error: FailedCheck },
    Opened {
        task: TaskId,
        at: Timestamp,
        url: String,
    },
    /// A download of a task's results was started. Until it ends, it is resumed or offered at each
    /// start.
    SaveBegun {
        task: TaskId,
        at: Timestamp,
        folder: PathBuf,
    },
    /// A result was saved completely.
    Saved {
        task: TaskId,
        at: Timestamp,
        /// From one.
        number: usize,
        path: PathBuf,
    },
    /// A download failed. It stays pending if it can be resumed.
    SaveFailed {
        task: TaskId,
        at: Timestamp,
        error: DownloadError,
    },
    /// The user was warned that the link expires; not repeated for a day.
    ExpiryWarned { task: TaskId, at: Timestamp },
    /// Sets or removes the label.
    Label {
        task: TaskId,
        at: Timestamp,
        /// `None` removes the label.
        label: Option<CleanText>,
    },
    /// Turns notifications for the task on or off.
    SetNotify {
        task: TaskId,
        at: Timestamp,
        notify: NotifySetting,
    },
}

impl ListChange {
    /// Returns the change for an answer received at that time.
    pub fn from_result(task: TaskId, answer: PollResult, at: Timestamp) -> Self {
        match answer {
            Ok(observation) => Self::Observed {
                task,
                at,
                observation: Arc::new(observation),
            },
            Err(error) => Self::CheckFailed {
                task,
                error: FailedCheck { at, error },
            },
        }
    }

    pub const fn task(&self) -> &TaskId {
        match self {
            Self::Add { task, .. }
            | Self::Remove { task, .. }
            | Self::Restore { task, .. }
            | Self::Observed { task, .. }
            | Self::CheckFailed { task, .. }
            | Self::Opened { task, .. }
            | Self::Label { task, .. }
            | Self::SetNotify { task, .. }
            | Self::SaveBegun { task, .. }
            | Self::Saved { task, .. }
            | Self::SaveFailed { task, .. }
            | Self::ExpiryWarned { task, .. } => task,
        }
    }

    pub const fn at(&self) -> Timestamp {
        match self {
            Self::Add { at, .. }
            | Self::Remove { at, .. }
            | Self::Restore { at, .. }
            | Self::Observed { at, .. }
            | Self::Opened { at, .. }
            | Self::Label { at, .. }
            | Self::SetNotify { at, .. }
            | Self::SaveBegun { at, .. }
            | Self::Saved { at, .. }
            | Self::SaveFailed { at, .. }
            | Self::ExpiryWarned { at, .. } => *at,
            Self::CheckFailed { error, .. } => error.at,
        }
    }

    /// Reports whether the user made it: then it is on disk before it is shown as done.
    pub const fn needs_ack(&self) -> bool {
        matches!(
            self,
            Self::Add { .. }
                | Self::Remove { .. }
                | Self::Restore { .. }
                | Self::Label { .. }
                | Self::SetNotify { .. }
        )
    }
}

/// The result of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeResult {
    Added(Box<WatchedTask>),
    AlreadyWatched,
    Removed,
    NotWatched,
    Recorded,
}

/// A change that another instance made to the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExternalChange {
    /// Added or updated.
    Changed(Box<WatchedTask>),
    Removed(TaskId),
}

impl ExternalChange {
    pub const fn task(&self) -> &TaskId {
        match self {
            Self::Changed(watched) => watched.id(),
            Self::Removed(task) => task,
        }
    }
}

/// The reason why the list could not be read or written, with the next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    Full,
    Quota,
    ReadOnly(String),
    Unreadable(String),
    /// The file is no longer at its path.
    Missing(PathBuf),
    /// Another program keeps the file locked.
    Busy,
    /// The file system has no working file locks.
    NoLocks(String),
    /// The file system cannot share memory between processes.
    NoSharedMemory,
    Disk(String),
    Damaged(String),
    /// A newer program wrote the file; it is left untouched.
    NewerVersion {
        found: i64,
        known: i64,
    },
    Other(String),
}

/// A line of a task's journal, which is kept after the task's removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalLine {
    pub at: Timestamp,
    pub event: JournalEvent,
}

/// The event of a journal line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalEvent {
    Added,
    Removed,
    Restored,
    /// The new state: see `TaskState::name`.
    StateChanged(CleanText),
    /// The first failed check after a good one, with its message.
    CheckFailed(CleanText),
    /// The server no longer knows the task, which is finished.
    NoLongerOnServer,
    Recovered,
    /// The server contradicted a known result; the answer was ignored.
    ContradictionIgnored(CleanText),
    Opened(CleanText),
    /// Holds the path.
    Saved(CleanText),
    /// Holds the reason.
    SaveFailed(CleanText),
    /// Empty if the label was removed.
    Labelled(CleanText),
    /// An event of a newer program, as it was written.
    Other(CleanText),
}
