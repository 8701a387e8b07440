//! What we keep of one task beside what the server told: its label, since when it is watched, how
//! the checks went.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;

use super::{
    download::{DownloadError, DownloadRequest, MAX_RETRIES, SavedResults},
    estimate::Estimate,
    label_index::LabelIndex,
    link::VideoUrl,
    poll_result::{FailedCheck, PollError, PollResult},
    schedule::{NOT_FOUND_GRACE, PollHistory, PollInput, PollState, StopReason},
    status::{self, LinkExpiry, ResultLocation, Status, Tab},
    task::{CallbackStatus, Merge, Task, TaskId, TaskState},
    text::CleanText,
    time::{Mono, Now},
};

/// The longest label kept, in bytes.
pub const MAX_LABEL_LEN: usize = 256;

/// What is said of a task that has ended and is not known to the server any more: records are kept
/// for a limited time.
pub const NO_LONGER_ON_SERVER: &str = "no longer on server";

/// How much of an id tells tasks of one label apart, in bytes.
const ID_PREFIX_LEN: usize = 8;

/// Whether a task's ending is told of outside the program's own screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NotifySetting {
    /// It is, by the ways the settings name.
    #[default]
    On,
    /// It is not.
    Off,
}

/// A task with our side of it: its label, since when it is watched, how sure we are, what we do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedTask {
    /// What the server told.
    pub task: Task,
    /// What the user calls it.
    pub label: Option<CleanText>,
    /// Since when it is watched.
    pub added: Timestamp,
    /// How the checks went.
    pub poll_history: PollHistory,
    /// Its results on disk.
    pub saved_results: SavedResults,
    /// What we are doing about it. Not stored: a list just read is due at once.
    pub poll_state: PollState,
    /// How often it was seen to have ended well with no link; a few times, then that is that. Not
    /// stored.
    pub missing_link_checks: u32,
    /// Whether its ending is told of.
    pub notify: NotifySetting,
}

impl WatchedTask {
    /// Returns a task just put on the list.
    pub fn new(task: Task, label: Option<CleanText>, added: Timestamp) -> Self {
        Self::from_stored(task, label, added, PollHistory::default())
    }

    /// Returns a task as it was stored: due at once unless it has ended, and has something to show
    /// if it ended well.
    pub fn from_stored(
        task: Task,
        label: Option<CleanText>,
        added: Timestamp,
        freshness: PollHistory,
    ) -> Self {
        let polling = match (&freshness.last_error, task.state().is_final()) {
            (_, true) if !lacks_link(&task) => PollState::Stopped(StopReason::Finished),
            (
                Some(FailedCheck {
                    error: PollError::Rejected { .. },
                    ..
                }),
                _,
            ) => PollState::Stopped(StopReason::Rejected),
            _ => PollState::DueAt(Mono::default()),
        };
        Self {
            task,
            label,
            added,
            poll_history: freshness,
            saved_results: SavedResults::default(),
            poll_state: polling,
            missing_link_checks: 0,
            notify: NotifySetting::default(),
        }
    }

    /// Returns the task's name at the server.
    pub const fn id(&self) -> &TaskId {
        self.task.id()
    }

    /// Returns what the row is called: the label, else the prompt, else the id.
    pub fn title(&self) -> &str {
        let prompt = self
            .task
            .details()
            .prompt
            .as_ref()
            .filter(|prompt| !prompt.is_empty());
        self.label
            .as_ref()
            .or(prompt)
            .map_or_else(|| self.id().as_str(), CleanText::as_str)
    }

    /// Returns what the row is called among others: behind a label that another has too stands the
    /// prompt, else the beginning of the id.
    pub fn unique_title(&self, names: &LabelIndex) -> Cow<'_, str> {
        let title = self.title();
        let is_shared = |label: &CleanText| names.is_shared(label);
        if !self.label.as_ref().is_some_and(is_shared) {
            return title.into();
        }
        let prompt = self.task.details().prompt.as_ref();
        let prompt = prompt.filter(|prompt| !prompt.is_empty());
        let id = self.id().as_str();
        let beginning = id
            .get(..id.floor_char_boundary(ID_PREFIX_LEN))
            .unwrap_or(id);
        let more = prompt.map_or(beginning, CleanText::as_str);
        format!("{title} · {more}").into()
    }

    /// Returns when the task began as far as we know: at the server, else on the list.
    pub fn started_at(&self) -> Timestamp {
        self.task.details().created.unwrap_or(self.added)
    }

    /// Returns when it ended as far as we know: at the server, else when it began.
    pub(super) fn ended_at(&self) -> Timestamp {
        self.task
            .details()
            .completed
            .unwrap_or_else(|| self.started_at())
    }

    /// Returns when something last happened to it that a person would call news: added, begun, or
    /// ended.
    pub fn changed_at(&self) -> Timestamp {
        self.ended_at().max(self.added)
    }

    /// Returns how long it has been running, or how long it took.
    pub fn run_time(&self, now: Now) -> Duration {
        self.task
            .run_time()
            .unwrap_or_else(|| now.age_of(self.started_at()))
    }

    /// Returns what its next question depends on.
    pub fn poll_input(&self, now: Now) -> PollInput<'_> {
        let state = self.task.state();
        PollInput {
            task: self.id(),
            is_final: state.is_final(),
            is_understood: *state != TaskState::Unrecognised,
            missing_link_checks: self.missing_link_checks,
            run_time: self.run_time(now),
            history: &self.poll_history,
        }
    }

    /// Joins an answer with what is known, by the rules of [`Task::merge`], and counts it.
    ///
    /// A fresh id that is not found is given its grace: until then it stays `new`.
    pub fn apply_answer(&mut self, answer: &PollResult, now: Timestamp) -> Merge {
        let freshness = &mut self.poll_history;
        freshness.checks = freshness.checks.saturating_add(1);
        match answer {
            Ok(observation) => {
                freshness.last_ok = Some(now);
                freshness.failures = 0;
                freshness.last_error = None;
                let absorbed = self.task.merge(&observation.state, &observation.details);
                self.missing_link_checks = if self.lacks_link() {
                    self.missing_link_checks.saturating_add(1)
                } else {
                    0
                };
                absorbed
            }
            Err(error) => {
                freshness.failures = freshness.failures.saturating_add(1);
                freshness.last_error = Some(FailedCheck {
                    at: now,
                    error: error.clone(),
                });
                let is_fresh = super::time::elapsed(self.added, now) < NOT_FOUND_GRACE;
                if *error == PollError::NotFound && !is_fresh {
                    return self.task.mark_not_found();
                }
                Merge::Unchanged
            }
        }
    }

    /// Reports whether an answer takes back what the server told before: an ending, or a result. Of
    /// two endings the better one stays, whichever was told first.
    pub fn is_contradicted_by(&self, answer: &PollResult) -> bool {
        let state = self.task.state();
        match answer {
            Ok(seen) => {
                let is_rescued = matches!(state, TaskState::Failed { .. })
                    && matches!(seen.state, TaskState::Succeeded { .. });
                is_rescued || self.task.would_ignore(&seen.state)
            }
            Err(error) => state.is_final() && *error == PollError::NotFound,
        }
    }

    /// Reports whether it has ended and the server, asked again, knows it no more. What was known
    /// of it stays.
    pub fn is_no_longer_on_server(&self) -> bool {
        let error = self.poll_history.last_error.as_ref();
        let is_unknown = error.is_some_and(|failed| failed.error == PollError::NotFound);
        is_unknown && self.task.state().is_final()
    }

    /// Returns why the last check failed, as the start of a sentence without a full stop; nothing
    /// when it did not.
    pub fn last_error_message(&self) -> Option<String> {
        if self.is_no_longer_on_server() {
            return Some(NO_LONGER_ON_SERVER.to_owned());
        }
        let failed = self.poll_history.last_error.as_ref();
        failed.map(|failed| failed.error.message())
    }

    /// Where its results are: on disk when each that can be opened is.
    pub fn result_location(&self) -> ResultLocation {
        if self.saved_results.files().is_empty() {
            return ResultLocation::OnServer;
        }
        let mut results = self.task.state().videos().zip(1..);
        if results.all(|(_, number)| self.saved_results.has(number)) {
            ResultLocation::OnDisk
        } else {
            ResultLocation::OnServer
        }
    }

    /// Returns its status at that time.
    pub fn status(&self, estimate: &Estimate, retention: Duration, now: Now) -> Status {
        Status::for_task(&self.task, self.result_location(), estimate, retention, now)
    }

    /// Returns what is left of the life of its result's link.
    pub fn link_expiry(&self, retention: Duration, now: Now) -> LinkExpiry {
        status::link_expiry(&self.task, self.result_location(), retention, now)
    }

    /// Returns when its link dies, where that still matters.
    pub(super) fn relevant_expiry(&self, retention: Duration) -> Option<Timestamp> {
        match self.result_location() {
            ResultLocation::OnDisk => None,
            ResultLocation::OnServer => status::expires_at(&self.task, retention),
        }
    }

    /// Returns what is to be fetched into a folder to have every result on disk.
    pub fn download_requests(&self, folder: &Path) -> Vec<DownloadRequest> {
        let prompt = self.task.details().prompt.as_ref();
        let title = self.label.as_ref().or(prompt);
        let of = self.task.state().videos().count();
        let results = self.task.state().videos().zip(1..);
        results
            .filter(|(_, number)| !self.saved_results.has(*number))
            .map(|(url, number)| DownloadRequest {
                task: self.id().clone(),
                number,
                result_count: of,
                url: url.clone(),
                folder: folder.to_owned(),
                title: title.cloned(),
            })
            .collect()
    }

    /// Returns where the result behind a link was saved, as long as the file was there when last
    /// looked.
    pub fn saved_file_for(&self, url: &VideoUrl) -> Option<&Path> {
        let mut results = self.task.state().videos().zip(1..);
        let (_, number) = results.find(|(result, _)| *result == url)?;
        let file = self
            .saved_results
            .existing()
            .find(|file| file.number == number)?;
        Some(&file.path)
    }

    /// Takes in that a result was saved; with the last one the save is over.
    pub fn mark_saved(&mut self, number: usize, path: PathBuf) {
        self.saved_results.add(number, path);
        if self.result_location() == ResultLocation::OnDisk {
            self.saved_results.end_download();
        }
    }

    /// Classifies a failed save: while the link should still live, a refusal by the file host means
    /// that the file is not there yet, until hours of retries have failed.
    pub fn classify_failure(
        &self,
        error: DownloadError,
        retention: Duration,
        now: Timestamp,
    ) -> DownloadError {
        let is_young = super::time::saturating_add(self.ended_at(), retention) > now;
        let retry = self.saved_results.retry;
        if !is_young || retry.is_some_and(|retry| retry.tries >= MAX_RETRIES) {
            return error;
        }
        match error.refusal() {
            Some((status, why)) => DownloadError::NotReady { status, why },
            None => error,
        }
    }

    /// Reports whether the task ended well with nothing to show for it.
    pub fn lacks_link(&self) -> bool {
        lacks_link(&self.task)
    }

    /// Returns the state tab it belongs to beside "All" and "Expiring".
    pub fn tab(&self) -> Tab {
        match self.task.state() {
            TaskState::New
            | TaskState::Running { .. }
            | TaskState::NotFound
            | TaskState::Unrecognised => Tab::Active,
            TaskState::Succeeded {
                callback: CallbackStatus::Failed,
                ..
            } => Tab::Rescued,
            TaskState::Succeeded { .. } => Tab::Ready,
            TaskState::Failed { .. } => Tab::Failed,
        }
    }
}

fn lacks_link(task: &Task) -> bool {
    matches!(task.state(), TaskState::Succeeded { videos, .. } if videos.is_empty())
}
