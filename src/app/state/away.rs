//! What happened while nobody looked: since when, and which tasks have ended meanwhile.

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;

use crate::domain::{
    status::Tab,
    task::TaskId,
    time::{self, Now},
    watched::Watched,
    watchlist::Watchlist,
};

/// Is the last time the list was out of sight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    since: Timestamp,
    back: Option<Timestamp>,
    ended: BTreeSet<TaskId>,
}

/// Counts what has ended meanwhile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Digest {
    /// How long it was.
    pub span: Duration,
    /// Made and delivered.
    pub ready: usize,
    /// Made, the callback failed.
    pub rescued: usize,
    /// Not made.
    pub failed: usize,
}

impl Digest {
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
            time::age(self.span),
            counts.join(", ")
        )
    }
}

impl Away {
    /// Returns the time that begins now.
    pub const fn beginning(since: Timestamp) -> Self {
        Self {
            since,
            back: None,
            ended: BTreeSet::new(),
        }
    }

    /// Returns the time between two runs of the program, with what the list says has ended in it.
    ///
    /// What was known here by then was told: the server's clock may be ahead of ours.
    pub fn between(since: Timestamp, back: Timestamp, list: &Watchlist) -> Self {
        let is_new = |watched: &Watched| watched.freshness.last_ok.is_none_or(|seen| seen > since);
        let ended = list
            .ended()
            .take_while(|(at, _)| *at > since)
            .filter(|(_, watched)| is_new(watched));
        Self {
            since,
            back: Some(back),
            ended: ended.map(|(_, watched)| watched.id().clone()).collect(),
        }
    }

    /// Returns the tasks known to have ended in it, those taken off the list since as well.
    pub fn ended(&self) -> impl Iterator<Item = &TaskId> {
        self.ended.iter()
    }

    /// Ends the time. Reports whether it had not ended before.
    pub const fn end(&mut self, back: Timestamp) -> bool {
        let is_first = self.back.is_none();
        if is_first {
            self.back = Some(back);
        }
        is_first
    }

    /// Takes note of an ending that was just learnt of. Reports whether it fell into this time: by the server's clock
    /// where it told one, else because the time has not ended yet.
    pub fn note(&mut self, task: &TaskId, completed: Option<Timestamp>) -> bool {
        let is_meanwhile = match (completed, self.back) {
            (_, None) => true,
            (Some(completed), Some(back)) => completed > self.since && completed <= back,
            (None, Some(_)) => false,
        };
        if is_meanwhile {
            self.ended.insert(task.clone());
        }
        is_meanwhile
    }

    /// Counts what has ended in it and is still on the list.
    pub fn digest(&self, list: &Watchlist, now: Now) -> Digest {
        let mut digest = Digest {
            span: time::span(self.since, self.back.unwrap_or(now.wall)),
            ..Digest::default()
        };
        for watched in self.ended.iter().filter_map(|id| list.get(id)) {
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
