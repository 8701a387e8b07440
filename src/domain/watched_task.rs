//! A watched task: the server's task with our label, poll history and saved results.

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

/// The longest label, in bytes.
pub const MAX_LABEL_LEN: usize = 256;

/// The length of the id prefix that distinguishes tasks with the same label, in bytes.
const ID_PREFIX_LEN: usize = 8;

/// Whether the user is notified when a task finishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum NotifySetting {
    /// As configured.
    #[default]
    On,
    Off,
}

/// A watched task: server state plus our label and poll history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchedTask {
    pub task: Task,
    pub label: Option<CleanText>,
    pub added: Timestamp,
    pub poll_history: PollHistory,
    pub saved_results: SavedResults,
    /// Not stored: a task read from disk is due at once.
    pub poll_state: PollState,
    /// Checks that found a success without a link; only a few are made. Not stored.
    pub missing_link_checks: u32,
    pub notify: NotifySetting,
}

impl WatchedTask {
    pub fn new(task: Task, label: Option<CleanText>, added: Timestamp) -> Self {
        Self::from_stored(task, label, added, PollHistory::default())
    }

    /// Returns a stored task: due at once, unless it was rejected, or is finished and does not lack
    /// its link.
    pub fn from_stored(
        task: Task,
        label: Option<CleanText>,
        added: Timestamp,
        poll_history: PollHistory,
    ) -> Self {
        let error = poll_history.last_error.as_ref().map(|failed| &failed.error);
        let poll_state = if task.state().is_final() && !lacks_link(&task) {
            PollState::Stopped(StopReason::Finished)
        } else if matches!(error, Some(PollError::Rejected { .. })) {
            PollState::Stopped(StopReason::Rejected)
        } else {
            PollState::DueAt(Mono::default())
        };
        Self {
            task,
            label,
            added,
            poll_history,
            saved_results: SavedResults::default(),
            poll_state,
            missing_link_checks: 0,
            notify: NotifySetting::default(),
        }
    }

    pub const fn id(&self) -> &TaskId {
        self.task.id()
    }

    /// Returns the title of its row: the label, else the prompt, else the id.
    pub fn title(&self) -> &str {
        let title = self.label.as_ref().or_else(|| self.prompt());
        title.map_or_else(|| self.id().as_str(), CleanText::as_str)
    }

    /// Returns the prompt, unless it is empty.
    fn prompt(&self) -> Option<&CleanText> {
        let prompt = self.task.details().prompt.as_ref();
        prompt.filter(|prompt| !prompt.is_empty())
    }

    /// Returns a title that tells tasks with the same label apart: a shared label is followed by
    /// the prompt, else by the start of the id.
    pub fn unique_title(&self, labels: &LabelIndex) -> Cow<'_, str> {
        let title = self.title();
        let is_shared = |label: &CleanText| labels.is_shared(label);
        if !self.label.as_ref().is_some_and(is_shared) {
            return title.into();
        }
        let id = self.id().as_str();
        let id_prefix = id.get(..id.floor_char_boundary(ID_PREFIX_LEN));
        let suffix = self
            .prompt()
            .map_or(id_prefix.unwrap_or(id), CleanText::as_str);
        format!("{title} · {suffix}").into()
    }

    /// Returns when the server created it, else when it was added.
    pub fn started_at(&self) -> Timestamp {
        self.task.details().created.unwrap_or(self.added)
    }

    /// Returns when it was completed, else when it was started.
    pub(super) fn ended_at(&self) -> Timestamp {
        self.task
            .details()
            .completed
            .unwrap_or_else(|| self.started_at())
    }

    /// Returns the last change: added, started or finished.
    pub fn changed_at(&self) -> Timestamp {
        self.ended_at().max(self.added)
    }

    /// Returns how long it took, or has been running.
    pub fn run_time(&self, now: Now) -> Duration {
        self.task
            .run_time()
            .unwrap_or_else(|| now.age_of(self.started_at()))
    }

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

    /// Merges an answer by the rules of [`Task::merge`], and updates the history.
    ///
    /// A new id that is not found stays `new` during its grace period.
    pub fn apply_answer(&mut self, answer: &PollResult, now: Timestamp) -> Merge {
        let history = &mut self.poll_history;
        history.checks = history.checks.saturating_add(1);
        match answer {
            Ok(observation) => {
                history.last_ok = Some(now);
                history.failures = 0;
                history.last_error = None;
                let merge = self.task.merge(&observation.state, &observation.details);
                self.missing_link_checks = if self.lacks_link() {
                    self.missing_link_checks.saturating_add(1)
                } else {
                    0
                };
                merge
            }
            Err(error) => {
                history.failures = history.failures.saturating_add(1);
                history.last_error = Some(FailedCheck {
                    at: now,
                    error: error.clone(),
                });
                let is_new = super::time::elapsed(self.added, now) < NOT_FOUND_GRACE;
                if *error == PollError::NotFound && !is_new {
                    return self.task.mark_not_found();
                }
                Merge::Unchanged
            }
        }
    }

    /// Reports whether an answer contradicts a finished state or a result. Of a success and a
    /// failure the success stays, whichever came first.
    pub fn is_contradicted_by(&self, answer: &PollResult) -> bool {
        let state = self.task.state();
        match answer {
            Ok(observation) => {
                let is_late_success = matches!(state, TaskState::Failed { .. })
                    && matches!(observation.state, TaskState::Succeeded { .. });
                is_late_success || self.task.would_ignore(&observation.state)
            }
            Err(error) => state.is_final() && *error == PollError::NotFound,
        }
    }

    /// Reports whether it is finished and the server no longer knows it. Its last known state
    /// stays.
    pub fn is_no_longer_on_server(&self) -> bool {
        let error = self.poll_history.last_error.as_ref();
        let is_unknown = error.is_some_and(|failed| failed.error == PollError::NotFound);
        is_unknown && self.task.state().is_final()
    }

    /// Returns [`ResultLocation::OnDisk`] if each result that can be opened is saved.
    pub fn result_location(&self) -> ResultLocation {
        if self.saved_results.files().is_empty() {
            return ResultLocation::OnServer;
        }
        let mut results = self.task.state().videos().zip(1..);
        if results.all(|(_, number)| self.saved_results.has(number)) {
            return ResultLocation::OnDisk;
        }
        ResultLocation::OnServer
    }

    pub fn status(&self, estimate: &Estimate, retention: Duration, now: Now) -> Status {
        Status::for_task(&self.task, self.result_location(), estimate, retention, now)
    }

    pub fn link_expiry(&self, retention: Duration, now: Now) -> LinkExpiry {
        status::link_expiry(&self.task, self.result_location(), retention, now)
    }

    /// Returns when its link expires, unless the results are on disk.
    pub(super) fn relevant_expiry(&self, retention: Duration) -> Option<Timestamp> {
        match self.result_location() {
            ResultLocation::OnDisk => None,
            ResultLocation::OnServer => status::expires_at(&self.task, retention),
        }
    }

    /// Returns the downloads that are needed to have each result on disk.
    pub fn download_requests(&self, folder: &Path) -> Vec<DownloadRequest> {
        let prompt = self.task.details().prompt.as_ref();
        let title = self.label.as_ref().or(prompt);
        let result_count = self.task.state().videos().count();
        let results = self.task.state().videos().zip(1..);
        results
            .filter(|(_, number)| !self.saved_results.has(*number))
            .map(|(url, number)| DownloadRequest {
                task: self.id().clone(),
                number,
                result_count,
                url: url.clone(),
                folder: folder.to_owned(),
                title: title.cloned(),
            })
            .collect()
    }

    /// Returns the saved file of a result, if it existed when last checked.
    pub fn saved_file_for(&self, url: &VideoUrl) -> Option<&Path> {
        let mut results = self.task.state().videos().zip(1..);
        let (_, number) = results.find(|(result, _)| *result == url)?;
        let file = self
            .saved_results
            .existing()
            .find(|file| file.number == number)?;
        Some(&file.path)
    }

    /// Records a saved result; the last one ends the download.
    pub fn mark_saved(&mut self, number: usize, path: PathBuf) {
        self.saved_results.add(number, path);
        if self.result_location() == ResultLocation::OnDisk {
            self.saved_results.end_download();
        }
    }

    /// Classifies a failed download: before the link's expiry, a refusal by the file host means
    /// that the file is not there yet, until hours of retries have failed.
    pub fn classify_failure(
        &self,
        error: DownloadError,
        retention: Duration,
        now: Timestamp,
    ) -> DownloadError {
        let is_valid = super::time::saturating_add(self.ended_at(), retention) > now;
        let retry = self.saved_results.retry;
        if !is_valid || retry.is_some_and(|retry| retry.tries >= MAX_RETRIES) {
            return error;
        }
        match error.refusal() {
            Some((status, why)) => DownloadError::NotReady { status, why },
            None => error,
        }
    }

    /// Reports whether the task succeeded without any link.
    pub fn lacks_link(&self) -> bool {
        lacks_link(&self.task)
    }

    /// Returns its tab beside "All" and "Expiring".
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
