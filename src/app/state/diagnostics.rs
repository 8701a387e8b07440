//! What was noticed about the answers of this run: how the clocks stand, and the odd ones by kind.
//!
//! Kept in memory only, and bounded: a count for each kind, the last odd answer, the last few
//! clocks.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use crate::domain::{
    poll_result::{PollError, PollResult},
    response_notes::{Anomaly, ResponseNotes},
    task::TaskId,
    text::CleanText,
};

/// How many comparisons of the clocks are kept.
const MAX_CLOCK_SAMPLES: usize = 8;

/// How many of them there must be before anything is said: the first may have met a sleep of the
/// machine.
const MIN_CLOCK_SAMPLES: usize = 3;

/// An answer that was odd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnusualAnswer {
    /// When it came.
    pub at: Timestamp,
    /// After which task it was asked.
    pub task: TaskId,
    /// What is odd about it; never empty.
    pub anomalies: Vec<Anomaly>,
    /// What it came to, when that was an error.
    pub error: Option<String>,
    /// How it began, where there was anything to read.
    pub text: Option<CleanText>,
}

/// What was noticed about the answers of this run.
#[derive(Debug, Clone, Default)]
pub struct Diagnostics {
    counts: [u32; Anomaly::ALL.len()],
    answers: u32,
    last_unusual: Option<Box<UnusualAnswer>>,
    clock_gaps: VecDeque<SignedDuration>,
}

impl Diagnostics {
    /// Returns how far our clock is ahead of the server's (negative: behind); `None` until that was
    /// compared often enough.
    ///
    /// It is the least of the last few: an answer that was slow, or that somebody kept for us,
    /// tells of a gap where there is none, and none hides one.
    pub fn clock_gap(&self) -> Option<SignedDuration> {
        let least = self.clock_gaps.iter().min_by_key(|gap| gap.unsigned_abs());
        least
            .filter(|_| self.clock_gaps.len() >= MIN_CLOCK_SAMPLES)
            .copied()
    }

    /// Returns the oddities that were met, with how many answers had each.
    pub fn anomalies(&self) -> impl Iterator<Item = (Anomaly, u32)> {
        let counts = Anomaly::ALL.into_iter().zip(self.counts);
        counts.filter(|(_, count)| *count > 0)
    }

    /// Returns how many answers were odd in any way.
    pub const fn unusual_answers(&self) -> u32 {
        self.answers
    }

    /// Returns the last odd answer.
    pub fn last_unusual(&self) -> Option<&UnusualAnswer> {
        self.last_unusual.as_deref()
    }

    /// Takes in how far our clock was ahead of the server's at one answer.
    pub(in crate::app) fn add_clock_sample(&mut self, gap: SignedDuration) {
        if self.clock_gaps.len() >= MAX_CLOCK_SAMPLES {
            self.clock_gaps.pop_front();
        }
        self.clock_gaps.push_back(gap);
    }

    /// Counts an answer that was odd, and keeps it in place of the one before; any other is passed
    /// over.
    pub(in crate::app) fn record(
        &mut self,
        task: &TaskId,
        noticed: ResponseNotes,
        answer: &PollResult,
        at: Timestamp,
    ) {
        let ResponseNotes {
            date: _,
            anomalies: oddities,
            text,
        } = noticed;
        if oddities.is_empty() {
            return;
        }
        self.answers = self.answers.saturating_add(1);
        for (oddity, count) in Anomaly::ALL.into_iter().zip(&mut self.counts) {
            *count = count.saturating_add(u32::from(oddities.contains(&oddity)));
        }
        self.last_unusual = Some(Box::new(UnusualAnswer {
            at,
            task: task.clone(),
            anomalies: oddities,
            error: answer.as_ref().err().map(PollError::message),
            text,
        }));
    }
}
