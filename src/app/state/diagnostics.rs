//! Diagnostics of this run's answers: the clock difference, and unusual answers by kind.
//!
//! Kept in memory only, and bounded: a count for each kind, the last unusual answer, and the last
//! few clock samples.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use crate::domain::{
    poll_result::{PollError, PollResult},
    response_notes::{Anomaly, ResponseNotes},
    task::TaskId,
};

const MAX_CLOCK_SAMPLES: usize = 8;

/// Minimum number of samples before the difference is shown: the first one may have been taken
/// across a suspend.
const MIN_CLOCK_SAMPLES: usize = 3;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusualAnswer {
    pub at: Timestamp,
    pub task: TaskId,
    pub notes: ResponseNotes,
    /// The message of the error, if the answer was one.
    pub error: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    counts: [u32; Anomaly::ALL.len()],
    pub unusual_answers: u32,
    pub last_unusual: Option<Box<UnusualAnswer>>,
    clock_gaps: VecDeque<SignedDuration>,
}

impl Diagnostics {
    /// Returns how far our clock is ahead of the server's (negative: behind); `None` until there
    /// are enough samples.
    ///
    /// The smallest of the last few samples: a slow or cached answer can suggest a difference that
    /// does not exist, but cannot hide one that does.
    pub fn clock_gap(&self) -> Option<SignedDuration> {
        let smallest = self.clock_gaps.iter().min_by_key(|gap| gap.unsigned_abs());
        smallest
            .filter(|_| self.clock_gaps.len() >= MIN_CLOCK_SAMPLES)
            .copied()
    }

    /// Returns the anomalies that occurred, each with its number of answers.
    pub fn anomalies(&self) -> impl Iterator<Item = (Anomaly, u32)> {
        let counts = Anomaly::ALL.iter().copied().zip(self.counts);
        counts.filter(|(_, count)| *count > 0)
    }

    /// Adds the clock difference measured with one answer.
    pub(in crate::app) fn add_clock_sample(&mut self, gap: SignedDuration) {
        if self.clock_gaps.len() >= MAX_CLOCK_SAMPLES {
            self.clock_gaps.pop_front();
        }
        self.clock_gaps.push_back(gap);
    }

    /// Counts an unusual answer and keeps it as the last one; ignores others.
    pub(in crate::app) fn record(
        &mut self,
        task: &TaskId,
        notes: ResponseNotes,
        answer: &PollResult,
        at: Timestamp,
    ) {
        if notes.anomalies.is_empty() {
            return;
        }
        self.unusual_answers = self.unusual_answers.saturating_add(1);
        for (anomaly, count) in Anomaly::ALL.iter().copied().zip(&mut self.counts) {
            *count = count.saturating_add(u32::from(notes.anomalies.contains(&anomaly)));
        }
        self.last_unusual = Some(Box::new(UnusualAnswer {
            at,
            task: task.clone(),
            notes,
            error: answer.as_ref().err().map(PollError::message),
        }));
    }
}
