//! What may happen to the list on disk, as data, and what became of it; and the journal's words.

use std::{path::PathBuf, sync::Arc};

use jiff::Timestamp;

use super::{
    download::DownloadError,
    poll_result::{FailedCheck, Observation, PollResult},
    task::{Family, TaskId},
    text::CleanText,
    watched_task::{NO_LONGER_ON_SERVER, NotifySetting, WatchedTask},
};

/// Whether the list may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccessMode {
    /// It may.
    #[default]
    Full,
    /// It may not (`--read-only`): nothing is added, removed or written down, and no file is made
    /// or mended.
    ReadOnly,
}

/// One change of the list. Each is a journal line too, where it changes anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListChange {
    /// Watch a task; one that was removed comes back with all that was known of it.
    Add {
        /// Which.
        task: TaskId,
        /// Whose API it belongs to.
        family: Family,
        /// What to call it.
        label: Option<CleanText>,
        /// Since when it is watched.
        at: Timestamp,
    },
    /// Stop watching a task; what was known is kept for an undo.
    Remove {
        /// Which.
        task: TaskId,
        /// When.
        at: Timestamp,
    },
    /// Take a removal back.
    Restore {
        /// Which.
        task: TaskId,
        /// When.
        at: Timestamp,
    },
    /// A good poll's news; joined with what the list knows by the rule of `Task::absorb`.
    Observed {
        /// Which.
        task: TaskId,
        /// When.
        at: Timestamp,
        /// What was seen.
        observation: Arc<Observation>,
    },
    /// A check failed. "No such task" makes a task of which nothing was ever known not found, once
    /// its grace is over.
    CheckFailed {
        /// Which.
        task: TaskId,
        /// When and why.
        error: FailedCheck,
    },
    /// A video was opened.
    Opened {
        /// Which.
        task: TaskId,
        /// When.
        at: Timestamp,
        /// The link.
        url: String,
    },
    /// The saving of a task's results was begun; until it ends it goes on, or is offered, at every
    /// start.
    SaveBegun {
        /// Which.
        task: TaskId,
        /// When.
        at: Timestamp,
        /// Into which folder.
        folder: PathBuf,
    },
    /// A result is on disk, whole.
    Saved {
        /// Which.
        task: TaskId,
        /// When.
        at: Timestamp,
        /// Which of its results, from one.
        number: usize,
        /// Where.
        path: PathBuf,
    },
    /// A result is not on disk. What may pass leaves the save begun; anything else ends it.
    SaveFailed {
        /// Which.
        task: TaskId,
        /// When.
        at: Timestamp,
        /// Why.
        error: DownloadError,
    },
    /// It was said that the link is about to die; not again for a day.
    ExpiryWarned {
        /// Which.
        task: TaskId,
        /// When.
        at: Timestamp,
    },
    /// Call a task something else.
    Label {
        /// Which.
        task: TaskId,
        /// When.
        at: Timestamp,
        /// What; nothing takes the label away.
        label: Option<CleanText>,
    },
    /// Tell of a task's ending, or do not.
    SetNotify {
        /// Which.
        task: TaskId,
        /// When.
        at: Timestamp,
        /// Whether.
        notify: NotifySetting,
    },
}

impl ListChange {
    /// Returns what an answer about a task, given at that time, means for the list.
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

    /// Returns the task it concerns.
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

    /// Returns when it happened.
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

    /// Reports whether a person waits for it: then it is on the disk before it is acknowledged.
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

/// What became of one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeResult {
    /// The task is watched now.
    Added(Box<WatchedTask>),
    /// It was watched already; nothing changed.
    AlreadyWatched,
    /// It is watched no more.
    Removed,
    /// It is not on the list.
    NotWatched,
    /// Written down.
    Recorded,
}

/// What another instance did to the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExternalChange {
    /// The task was added or learnt of.
    Changed(Box<WatchedTask>),
    /// It was removed.
    Removed(TaskId),
}

/// Says why the list could not be read or written, with the next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The disk is full.
    #[error("the disk is full; free some space, nothing is lost")]
    Full,
    /// The user's disk quota is used up.
    #[error("your disk quota is used up; free some space, nothing is lost")]
    Quota,
    /// The file or its folder cannot be written.
    #[error("the list file cannot be written: {0}")]
    ReadOnly(String),
    /// The file or its folder cannot be read.
    #[error("the list file may not be read: {0}")]
    Unreadable(String),
    /// The file was in use and is no longer at its path.
    #[error("the list file is gone from {}; put it back", .0.display())]
    Missing(PathBuf),
    /// Another program holds the file and does not let go.
    #[error("another program holds the list file; try again")]
    Busy,
    /// The file system has no working file locks.
    #[error("{0}; name a file on a local disk with --store")]
    NoLocks(String),
    /// The file system cannot share memory between processes.
    #[error(
        "the disk of the list file cannot share memory between programs; name a file on a local disk with --store"
    )]
    NoSharedMemory,
    /// The disk failed to read or write.
    #[error(
        "the disk of the list file failed: {0}; check it, or name a file on another disk with --store"
    )]
    Disk(String),
    /// The file is damaged and was set aside.
    #[error("the list file is damaged: {0}")]
    Damaged(String),
    /// The file was written by a newer program and is left untouched.
    #[error(
        "the list file is of version {found}, this kietop knows {known}; update kietop or name another file with --store"
    )]
    NewerVersion {
        /// The file's version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// Anything else.
    #[error("the list file failed: {0}")]
    Other(String),
}

/// One line of a task's history, kept after its removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JournalLine {
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: JournalEvent,
}

/// What a journal line tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalEvent {
    /// Put on the list.
    Added,
    /// Taken off the list.
    Removed,
    /// Put back.
    Restored,
    /// The state became this one (a name of `TaskState::NAMES`).
    StateChanged(CleanText),
    /// Checks began to fail: kind and words.
    CheckFailed(CleanText),
    /// The server does not know the task any more, which has ended.
    NoLongerOnServer,
    /// Checks work again.
    Recovered,
    /// The server contradicted what is known; it was left aside.
    ContradictionIgnored(CleanText),
    /// A video was opened.
    Opened(CleanText),
    /// A result was saved to that file.
    Saved(CleanText),
    /// A result could not be saved, for that reason.
    SaveFailed(CleanText),
    /// Called that; empty when the label was taken away.
    Labelled(CleanText),
    /// Something a newer program wrote.
    Other(CleanText),
}

impl JournalEvent {
    /// Returns what happened in words, the same wherever the journal is shown.
    pub fn description(&self) -> String {
        match self {
            Self::Added => "added to the list".to_owned(),
            Self::Removed => "removed from the list".to_owned(),
            Self::Restored => "put back on the list".to_owned(),
            Self::StateChanged(state) => format!("seen {}", state.as_str().replace('_', " ")),
            Self::CheckFailed(why) => format!("check failed: {why}"),
            Self::NoLongerOnServer => NO_LONGER_ON_SERVER.to_owned(),
            Self::Recovered => "checks work again".to_owned(),
            Self::ContradictionIgnored(what) => {
                format!("contradicted by the server, left aside: {what}")
            }
            Self::Opened(url) => format!("opened {url}"),
            Self::Labelled(label) if label.is_empty() => "label taken away".to_owned(),
            Self::Labelled(label) => format!("called \"{label}\""),
            Self::Saved(path) => format!("saved to {path}"),
            Self::SaveFailed(why) => format!("not saved: {why}"),
            Self::Other(text) => text.to_string(),
        }
    }
}
