//! Changes of the list on disk, their results and the journal.

use std::{path::PathBuf, sync::Arc};

use jiff::Timestamp;

use super::{
    download::DownloadError,
    poll_result::{Observation, PollResult},
    task::{Family, Merge, TaskId},
    text::CleanText,
    watched_task::{NotifySetting, WatchedTask},
};

/// The maximum length of a journal line's detail, in bytes.
pub const MAX_DETAIL_LEN: usize = 8 * 1024;

/// Whether the list may be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AccessMode {
    #[default]
    Full,
    /// `--read-only`: nothing is written, and no file is created or repaired.
    ReadOnly,
}

/// A change of a task on the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListChange {
    pub task: TaskId,
    pub at: Timestamp,
    pub kind: ChangeKind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// Adds a task. A removed one is restored with everything known of it.
    Add {
        family: Family,
        label: Option<CleanText>,
    },
    /// Removes a task. Its row is kept for an undo.
    Remove,
    /// Undoes a removal.
    Restore,
    /// A check was answered or failed.
    Checked(Arc<PollResult>),
    /// A video at this address was opened.
    Opened(String),
    /// A download of a task's results to this folder was started. Until it ends, it is resumed or
    /// offered at each start.
    SaveBegun(PathBuf),
    /// A result was saved completely.
    Saved {
        /// From one.
        number: usize,
        path: PathBuf,
    },
    /// A download failed. It stays pending if it can be resumed.
    SaveFailed(DownloadError),
    /// The user was warned that the link expires; not repeated for a day.
    ExpiryWarned,
    /// Sets the label, or removes it.
    Label(Option<CleanText>),
    /// Turns notifications for the task on or off.
    SetNotify(NotifySetting),
}

impl ListChange {
    pub const fn new(task: TaskId, at: Timestamp, kind: ChangeKind) -> Self {
        Self { task, at, kind }
    }

    /// Returns the change that adds a task, or sets the label of one that has none.
    pub fn add(task: TaskId, label: Option<CleanText>, at: Timestamp) -> Self {
        let family = Family::default();
        Self::new(task, at, ChangeKind::Add { family, label })
    }

    /// Returns the change for an answer received at that time.
    pub fn from_result(task: TaskId, answer: PollResult, at: Timestamp) -> Self {
        Self::new(task, at, ChangeKind::Checked(Arc::new(answer)))
    }

    /// Reports whether the user made it: then it is on disk before it is shown as done.
    pub const fn needs_ack(&self) -> bool {
        matches!(
            self.kind,
            ChangeKind::Add { .. }
                | ChangeKind::Remove
                | ChangeKind::Restore
                | ChangeKind::Label(_)
                | ChangeKind::SetNotify(_)
        )
    }

    /// Returns the server's answer, if the change is a successful check.
    pub fn observation(&self) -> Option<&Observation> {
        if let ChangeKind::Checked(answer) = &self.kind {
            answer.as_ref().as_ref().ok()
        } else {
            None
        }
    }

    /// Reports whether it records that the server has finished the task.
    pub fn is_final(&self) -> bool {
        self.observation()
            .is_some_and(|observation| observation.state.is_final())
    }

    /// Applies the change to a task on the list, and returns the events for its journal.
    ///
    /// A check or a download is applied twice: at once to the task on the screen, which must show
    /// it also while the disk is full, hangs, or is opened read-only; and to the row in the
    /// transaction, which another instance may have changed. The row then replaces the task on the
    /// screen.
    pub fn apply_to(&self, watched: &mut WatchedTask) -> Vec<JournalEvent> {
        let text = |text: &str| CleanText::line(text, MAX_DETAIL_LEN);
        match &self.kind {
            ChangeKind::Add { label, .. } => {
                // A new label does not replace another.
                if watched.label.is_none() {
                    watched.label.clone_from(label);
                }
                Vec::new()
            }
            // A removal is journaled with its row; a restore of a listed task changes nothing.
            ChangeKind::Remove | ChangeKind::Restore => Vec::new(),
            ChangeKind::Checked(answer) => apply_check(watched, answer, self.at),
            ChangeKind::Opened(url) => vec![JournalEvent::Opened(text(url))],
            ChangeKind::SaveBegun(folder) => {
                watched.saved_results.pending_folder = Some(folder.clone());
                Vec::new()
            }
            ChangeKind::Saved { number, path } => {
                watched.mark_saved(*number, path.clone());
                vec![JournalEvent::Saved(text(&path.to_string_lossy()))]
            }
            ChangeKind::SaveFailed(error) => {
                // Only the first failure and the last are journaled.
                let is_repeated = watched.saved_results.retry.is_some() && error.is_retryable();
                watched.saved_results.record_failure(error, self.at);
                let event = JournalEvent::SaveFailed(text(&error.message()));
                Some(event).filter(|_| !is_repeated).into_iter().collect()
            }
            ChangeKind::ExpiryWarned => {
                watched.saved_results.expiry_warned = Some(self.at);
                Vec::new()
            }
            ChangeKind::Label(label) if watched.label == *label => Vec::new(),
            ChangeKind::Label(label) => {
                watched.label.clone_from(label);
                vec![JournalEvent::Labelled(
                    label.clone().unwrap_or_else(|| text("")),
                )]
            }
            ChangeKind::SetNotify(notify) => {
                watched.notify = *notify;
                Vec::new()
            }
        }
    }
}

fn apply_check(watched: &mut WatchedTask, answer: &PollResult, at: Timestamp) -> Vec<JournalEvent> {
    let text = |text: &str| CleanText::line(text, MAX_DETAIL_LEN);
    let old_state = watched.task.state().name();
    let last_error = watched.poll_history.last_error.as_ref();
    let last_error = last_error.map(|check| check.error.kind());
    let merge = watched.apply_answer(answer, at);
    let state = watched.task.state().name();
    let mut events = Vec::new();
    match answer {
        Ok(_) if last_error.is_some() => events.push(JournalEvent::Recovered),
        Err(error) if last_error != Some(error.kind()) => {
            events.push(if watched.is_no_longer_on_server() {
                JournalEvent::NoLongerOnServer
            } else {
                JournalEvent::CheckFailed(text(&error.message()))
            });
        }
        Ok(_) | Err(_) => {}
    }
    if let (Merge::Ignored, Ok(observation)) = (merge, answer) {
        let reported = text(observation.state.name());
        events.push(JournalEvent::ContradictionIgnored(reported));
    } else if state != old_state {
        events.push(JournalEvent::StateChanged(text(state)));
    }
    events
}

/// The result of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeResult {
    /// The task was added or restored.
    Added(Box<WatchedTask>),
    /// The change was applied to the row.
    Updated {
        /// The row, with the changes of other instances.
        watched: Box<WatchedTask>,
        /// The lines that were added to the journal.
        journal: Vec<JournalLine>,
    },
    Removed,
    NotWatched,
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
