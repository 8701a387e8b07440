//! What happened while nobody looked: since when, and which tasks have ended meanwhile.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;

use crate::domain::{
    status::Tab,
    task::TaskId,
    time::{self, Now},
    watched_task::WatchedTask,
    watchlist::Watchlist,
};

/// The last time the list was out of sight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absence {
    since: Timestamp,
    until: Option<Timestamp>,
    finished: BTreeSet<TaskId>,
}

/// Counts what has ended meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AbsenceSummary {
    /// How long it was.
    pub duration: Duration,
    /// Made and delivered.
    pub ready: usize,
    /// Made, the callback failed.
    pub rescued: usize,
    /// Not made.
    pub failed: usize,
}

impl AbsenceSummary {
    /// Reports whether nothing has ended.
    pub const fn is_empty(&self) -> bool {
        self.ready + self.rescued + self.failed == 0
    }

    /// Returns the counts that are not zero, with their words.
    pub fn parts(&self) -> impl Iterator<Item = (usize, &'static str, Tab)> {
        [
            (self.ready, "ready", Tab::Ready),
            (self.rescued, "rescued", Tab::Rescued),
            (self.failed, "failed", Tab::Failed),
        ]
        .into_iter()
        .filter(|(count, ..)| *count > 0)
    }

    /// Returns it as a sentence: "Since you left (40m): +2 ready, +1 failed."
    pub fn sentence(&self) -> String {
        let counts: Vec<_> = self
            .parts()
            .map(|(count, word, _)| format!("+{count} {word}"))
            .collect();
        format!(
            "Since you left ({}): {}.",
            time::format_age(self.duration),
            counts.join(", ")
        )
    }
}

impl Absence {
    /// Returns the time that begins now.
    pub const fn starting(since: Timestamp) -> Self {
        Self {
            since,
            until: None,
            finished: BTreeSet::new(),
        }
    }

    /// Returns the time between two runs of the program, with what the list says has ended in it.
    ///
    /// What was known here by then was told: the server's clock may be ahead of ours.
    pub fn between(since: Timestamp, back: Timestamp, list: &Watchlist) -> Self {
        let is_new =
            |watched: &WatchedTask| watched.poll_history.last_ok.is_none_or(|seen| seen > since);
        let ended = list
            .ended()
            .take_while(|(at, _)| *at > since)
            .filter(|(_, watched)| is_new(watched));
        Self {
            since,
            until: Some(back),
            finished: ended.map(|(_, watched)| watched.id().clone()).collect(),
        }
    }

    /// Returns the tasks known to have ended in it, those taken off the list since as well.
    pub fn finished_tasks(&self) -> impl Iterator<Item = &TaskId> {
        self.finished.iter()
    }

    /// Ends the time. Reports whether it had not ended before.
    pub const fn end_at(&mut self, back: Timestamp) -> bool {
        let is_first = self.until.is_none();
        if is_first {
            self.until = Some(back);
        }
        is_first
    }

    /// Takes note of an ending that was just learnt of. Reports whether it fell into this time: by
    /// the server's clock where it told one, else because the time has not ended yet.
    pub fn add_finished(&mut self, task: &TaskId, completed: Option<Timestamp>) -> bool {
        let is_meanwhile = match (completed, self.until) {
            (_, None) => true,
            (Some(completed), Some(back)) => completed > self.since && completed <= back,
            (None, Some(_)) => false,
        };
        if is_meanwhile {
            self.finished.insert(task.clone());
        }
        is_meanwhile
    }

    /// Counts what has ended in it and is still on the list.
    pub fn summary(&self, list: &Watchlist, now: Now) -> AbsenceSummary {
        let mut digest = AbsenceSummary {
            duration: time::elapsed(self.since, self.until.unwrap_or(now.wall)),
            ..AbsenceSummary::default()
        };
        for watched in self.finished.iter().filter_map(|id| list.get(id)) {
            match watched.tab() {
                Tab::Ready => digest.ready += 1,
                Tab::Rescued => digest.rescued += 1,
                Tab::Failed => digest.failed += 1,
                Tab::All | Tab::Active | Tab::Expiring => {}
            }
        }
        digest
    }
}
