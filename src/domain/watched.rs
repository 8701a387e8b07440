//! What we keep of one task beside what the server told: its label, since when it is watched, how the checks went.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;

use super::{
    estimate::Estimate,
    link::VideoUrl,
    names::Names,
    report::{Answer, CheckError, PollError},
    save::{MAX_RETRIES, SaveError, SaveOrder, Saves},
    schedule::{Freshness, GRACE, Polling, Standing, Stop},
    status::{self, Keeping, LinkLife, Status, Tab},
    task::{Absorbed, Delivery, Task, TaskId, TaskState},
    text::CleanText,
    time::{Mono, Now},
};

/// The longest label kept, in bytes.
pub const LONGEST_LABEL: usize = 256;

/// What is said of a task that has ended and is not known to the server any more: records are kept for a limited time.
pub const NO_LONGER_THERE: &str = "no longer on server";

/// How much of an id tells tasks of one label apart, in bytes.
const ID_BEGINNING: usize = 8;

/// Tells whether a task's ending is told of outside the program's own screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Notices {
    /// It is, by the ways the settings name.
    #[default]
    On,
    /// It is not.
    Off,
}

/// Is a task with our side of it: its label, since when it is watched, how sure we are, what we do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    /// What the server told.
    pub task: Task,
    /// What the user calls it.
    pub label: Option<CleanText>,
    /// Since when it is watched.
    pub added: Timestamp,
    /// How the checks went.
    pub freshness: Freshness,
    /// Its results on disk.
    pub saves: Saves,
    /// What we are doing about it. Not stored: a list just read is due at once.
    pub polling: Polling,
    /// How often it was seen to have ended well with no link; a few times, then that is that. Not stored.
    pub linkless: u32,
    /// Whether its ending is told of.
    pub notices: Notices,
}

impl Watched {
    /// Returns a task just put on the list.
    pub fn new(task: Task, label: Option<CleanText>, added: Timestamp) -> Self {
        Self::restored(task, label, added, Freshness::default())
    }

    /// Returns a task as it was stored: due at once unless it has ended, and has something to show if it ended well.
    pub fn restored(
        task: Task,
        label: Option<CleanText>,
        added: Timestamp,
        freshness: Freshness,
    ) -> Self {
        let polling = match (&freshness.last_error, task.state().is_final()) {
            (_, true) if !lacks_link(&task) => Polling::Stopped(Stop::Finished),
            (
                Some(CheckError {
                    error: PollError::Refused { .. },
                    ..
                }),
                _,
            ) => Polling::Stopped(Stop::Refused),
            _ => Polling::DueAt(Mono::default()),
        };
        Self {
            task,
            label,
            added,
            freshness,
            saves: Saves::default(),
            polling,
            linkless: 0,
            notices: Notices::default(),
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
            .facts()
            .prompt
            .as_ref()
            .filter(|prompt| !prompt.is_empty());
        self.label
            .as_ref()
            .or(prompt)
            .map_or_else(|| self.id().as_str(), CleanText::as_str)
    }

    /// Returns what the row is called among others: behind a label that another has too stands the prompt, else the
    /// beginning of the id.
    pub fn title_among(&self, names: &Names) -> Cow<'_, str> {
        let title = self.title();
        let is_shared = |label: &CleanText| names.is_shared(label);
        if !self.label.as_ref().is_some_and(is_shared) {
            return title.into();
        }
        let prompt = self.task.facts().prompt.as_ref();
        let prompt = prompt.filter(|prompt| !prompt.is_empty());
        let id = self.id().as_str();
        let beginning = id.get(..id.floor_char_boundary(ID_BEGINNING)).unwrap_or(id);
        let more = prompt.map_or(beginning, CleanText::as_str);
        format!("{title} · {more}").into()
    }

    /// Returns when the task began as far as we know: at the server, else on the list.
    pub fn submitted(&self) -> Timestamp {
        self.task.facts().created.unwrap_or(self.added)
    }

    /// Returns when it ended as far as we know: at the server, else when it began.
    pub(super) fn ended(&self) -> Timestamp {
        self.task
            .facts()
            .completed
            .unwrap_or_else(|| self.submitted())
    }

    /// Returns when something last happened to it that a person would call news: added, begun, or ended.
    pub fn changed(&self) -> Timestamp {
        self.ended().max(self.added)
    }

    /// Returns how long it has been running, or how long it took.
    pub fn run_time(&self, now: Now) -> Duration {
        self.task
            .took()
            .unwrap_or_else(|| now.age_of(self.submitted()))
    }

    /// Returns what its next question depends on.
    pub fn standing(&self, now: Now) -> Standing<'_> {
        let state = self.task.state();
        Standing {
            task: self.id(),
            is_final: state.is_final(),
            is_understood: *state != TaskState::Unrecognised,
            linkless: self.linkless,
            run_time: self.run_time(now),
            freshness: &self.freshness,
        }
    }

    /// Joins an answer with what is known, by the rules of [`Task::absorb`], and counts it.
    ///
    /// A fresh id that is not found is given its grace: until then it stays `new`.
    pub fn learn(&mut self, answer: &Answer, now: Timestamp) -> Absorbed {
        let freshness = &mut self.freshness;
        freshness.checks = freshness.checks.saturating_add(1);
        match answer {
            Ok(observation) => {
                freshness.last_ok = Some(now);
                freshness.failures = 0;
                freshness.last_error = None;
                let absorbed = self.task.absorb(&observation.state, &observation.facts);
                self.linkless = if self.lacks_link() {
                    self.linkless.saturating_add(1)
                } else {
                    0
                };
                absorbed
            }
            Err(error) => {
                freshness.failures = freshness.failures.saturating_add(1);
                freshness.last_error = Some(CheckError {
                    at: now,
                    error: error.clone(),
                });
                let is_fresh = super::time::span(self.added, now) < GRACE;
                if *error == PollError::NotFound && !is_fresh {
                    return self.task.mark_not_found();
                }
                Absorbed::Same
            }
        }
    }

    /// Reports whether an answer takes back what the server told before: an ending, or a result. Of two endings the better
    /// one stays, whichever was told first.
    pub fn is_taken_back_by(&self, answer: &Answer) -> bool {
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

    /// Reports whether it has ended and the server, asked again, knows it no more. What was known of it stays.
    pub fn is_no_longer_there(&self) -> bool {
        let error = self.freshness.last_error.as_ref();
        let is_unknown = error.is_some_and(|failed| failed.error == PollError::NotFound);
        is_unknown && self.task.state().is_final()
    }

    /// Returns why the last check failed, as the start of a sentence without a full stop; nothing when it did not.
    pub fn check_message(&self) -> Option<String> {
        if self.is_no_longer_there() {
            return Some(NO_LONGER_THERE.to_owned());
        }
        let failed = self.freshness.last_error.as_ref();
        failed.map(|failed| failed.error.message())
    }

    /// Tells where its results are: on disk when each that can be opened is.
    pub fn keeping(&self) -> Keeping {
        if self.saves.files().is_empty() {
            return Keeping::Away;
        }
        let mut results = self.task.state().videos().zip(1..);
        if results.all(|(_, number)| self.saves.has(number)) {
            Keeping::OnDisk
        } else {
            Keeping::Away
        }
    }

    /// Returns its status at that time.
    pub fn status(&self, estimate: &Estimate, retention: Duration, now: Now) -> Status {
        Status::of(&self.task, self.keeping(), estimate, retention, now)
    }

    /// Returns what is left of the life of its result's link.
    pub fn link_life(&self, retention: Duration, now: Now) -> LinkLife {
        status::link_life(&self.task, self.keeping(), retention, now)
    }

    /// Returns when its link dies, where that still matters.
    pub(super) fn matters_until(&self, retention: Duration) -> Option<Timestamp> {
        match self.keeping() {
            Keeping::OnDisk => None,
            Keeping::Away => status::expires_at(&self.task, retention),
        }
    }

    /// Returns what is to be fetched into a folder to have every result on disk.
    pub fn save_orders(&self, folder: &Path) -> Vec<SaveOrder> {
        let prompt = self.task.facts().prompt.as_ref();
        let title = self.label.as_ref().or(prompt);
        let of = self.task.state().videos().count();
        let results = self.task.state().videos().zip(1..);
        results
            .filter(|(_, number)| !self.saves.has(*number))
            .map(|(url, number)| SaveOrder {
                task: self.id().clone(),
                number,
                of,
                url: url.clone(),
                folder: folder.to_owned(),
                title: title.cloned(),
            })
            .collect()
    }

    /// Returns where the result behind a link was saved, as long as the file was there when last looked.
    pub fn file_of(&self, url: &VideoUrl) -> Option<&Path> {
        let mut results = self.task.state().videos().zip(1..);
        let (_, number) = results.find(|(result, _)| *result == url)?;
        let file = self.saves.there().find(|file| file.number == number)?;
        Some(&file.path)
    }

    /// Takes in that a result was saved; with the last one the save is over.
    pub fn saved(&mut self, number: usize, path: PathBuf) {
        self.saves.add(number, path);
        if self.keeping() == Keeping::OnDisk {
            self.saves.end();
        }
    }

    /// Classifies a failed save: while the link should still live, a refusal by the file host means
    /// that the file is not there yet, until hours of retries have failed.
    pub fn judge_failure(
        &self,
        error: SaveError,
        retention: Duration,
        now: Timestamp,
    ) -> SaveError {
        let is_young = super::time::later(self.ended(), retention) > now;
        let retry = self.saves.retry;
        if !is_young || retry.is_some_and(|retry| retry.tries >= MAX_RETRIES) {
            return error;
        }
        match error.refusal() {
            Some((status, why)) => SaveError::NotYet { status, why },
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
                delivery: Delivery::CallbackFailed,
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
