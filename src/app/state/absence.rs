//! The user's last absence, and the tasks that finished meanwhile.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;

use crate::{
    domain::{
        status::Tab,
        task::TaskId,
        time::{self, Now},
        watched_task::WatchedTask,
        watchlist::Watchlist,
    },
    messages::dialogs,
};

/// A time in which the user did not see the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    since: Timestamp,
    until: Option<Timestamp>,
    finished: BTreeSet<TaskId>,
}

/// The number of tasks that finished during an absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AbsenceSummary {
    pub duration: Duration,
    pub ready: usize,
    /// Finished, but the callback failed.
    pub rescued: usize,
    pub failed: usize,
}

impl AbsenceSummary {
    pub const fn is_empty(&self) -> bool {
        self.ready + self.rescued + self.failed == 0
    }

    /// Returns the counts that are not zero, with labels and tabs.
    pub fn parts(&self) -> impl Iterator<Item = (usize, &'static str, Tab)> {
        [
            (self.ready, "ready", Tab::Ready),
            (self.rescued, "no callback", Tab::Rescued),
            (self.failed, "failed", Tab::Failed),
        ]
        .into_iter()
        .filter(|(count, ..)| *count > 0)
    }

    pub fn sentence(&self) -> String {
        let counts = self.parts().map(|(count, label, _)| (count, label));
        dialogs::absence_summary(self.duration, counts)
    }
}

impl Absence {
    /// Starts an absence that has not ended yet.
    pub const fn starting(since: Timestamp) -> Self {
        Self {
            since,
            until: None,
            finished: BTreeSet::new(),
        }
    }

    /// Returns the absence between two runs of the program, with the tasks that finished in it.
    ///
    /// Tasks that this list knew as finished when the last run ended were reported then: the
    /// server's clock may be ahead of ours.
    pub fn between(since: Timestamp, until: Timestamp, list: &Watchlist) -> Self {
        let is_new =
            |watched: &WatchedTask| watched.poll_history.last_ok.is_none_or(|seen| seen > since);
        let finished = list
            .finished()
            .take_while(|(at, _)| *at > since)
            .filter(|(_, watched)| is_new(watched));
        Self {
            since,
            until: Some(until),
            finished: finished.map(|(_, watched)| watched.id().clone()).collect(),
        }
    }

    /// Returns the tasks that finished in it, including those removed from the list since.
    pub fn finished_tasks(&self) -> impl Iterator<Item = &TaskId> {
        self.finished.iter()
    }

    /// Ends the absence; returns false if it had already ended.
    pub const fn end_at(&mut self, until: Timestamp) -> bool {
        let is_first = self.until.is_none();
        if is_first {
            self.until = Some(until);
        }
        is_first
    }

    /// Records a task just found to be finished. Returns whether that was during the absence: by
    /// the server's completion time if known, else only while the absence lasts.
    pub fn add_finished(&mut self, task: &TaskId, completed: Option<Timestamp>) -> bool {
        let is_during = match (completed, self.until) {
            (_, None) => true,
            (Some(completed), Some(until)) => completed > self.since && completed <= until,
            (None, Some(_)) => false,
        };
        if is_during {
            self.finished.insert(task.clone());
        }
        is_during
    }

    /// Counts the finished tasks that are still on the list.
    pub fn summary(&self, list: &Watchlist, now: Now) -> AbsenceSummary {
        let mut summary = AbsenceSummary {
            duration: time::elapsed(self.since, self.until.unwrap_or(now.wall)),
            ..AbsenceSummary::default()
        };
        for watched in self.finished.iter().filter_map(|id| list.get(id)) {
            match watched.tab() {
                Tab::Ready => summary.ready += 1,
                Tab::Rescued => summary.rescued += 1,
                Tab::Failed => summary.failed += 1,
                Tab::All | Tab::Active | Tab::Expiring => {}
            }
        }
        summary
    }
}
