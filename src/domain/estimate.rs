//! What past run times say about a running one: the usual time, when it is late, when to expect it.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::{
    task::{Task, TaskId},
    time,
};

/// How many finished tasks an estimate looks back on.
pub const MAX_SAMPLES: usize = 40;

/// How many finished tasks it takes before ours speak louder than the documentation.
const MIN_SAMPLES: usize = 5;

/// The documented usual run time ("simple 2–5 min, complex 5–15 min"), until enough of ours are
/// known.
const DOCUMENTED_MEDIAN: Duration = Duration::from_mins(5);

/// The documented upper run time, likewise.
const DOCUMENTED_P95: Duration = Duration::from_mins(15);

/// The record of the run times of tasks that ended well, by when they ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunTimes {
    by_end: BTreeMap<(Timestamp, TaskId), Duration>,
}

/// What to expect of a running task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Half of the tasks took no longer (p50).
    pub median: Duration,
    /// Only one in twenty took longer (p95).
    pub late: Duration,
    /// How many finished tasks it rests on; zero means the documentation's figures.
    pub samples: usize,
}

impl Default for Estimate {
    fn default() -> Self {
        Self {
            median: DOCUMENTED_MEDIAN,
            late: DOCUMENTED_P95,
            samples: 0,
        }
    }
}

impl RunTimes {
    /// Notes a task that has ended well; others, and those without times, are passed over.
    pub fn record(&mut self, task: &Task) {
        if task.state().videos().next().is_none() {
            return;
        }
        if let (Some(took), Some(ended)) = (task.run_time(), task.details().completed) {
            self.by_end.insert((ended, task.id().clone()), took);
        }
    }

    /// Forgets a task, as when its times were corrected.
    pub fn remove(&mut self, task: &Task) {
        if let Some(ended) = task.details().completed {
            self.by_end.remove(&(ended, task.id().clone()));
        }
    }

    /// Returns the last run times, oldest first, at most [`MAX_SAMPLES`].
    pub fn recent(&self) -> Vec<Duration> {
        let mut recent: Vec<_> = self
            .by_end
            .values()
            .rev()
            .take(MAX_SAMPLES)
            .copied()
            .collect();
        recent.reverse();
        recent
    }

    /// Returns what to expect, from our own tasks once there are enough, else from the
    /// documentation.
    pub fn estimate(&self) -> Estimate {
        let mut recent = self.recent();
        if recent.len() < MIN_SAMPLES {
            return Estimate::default();
        }
        recent.sort_unstable();
        Estimate {
            median: percentile(&recent, 50),
            late: percentile(&recent, 95),
            samples: recent.len(),
        }
    }
}

/// Returns the nearest-rank percentile of sorted values.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

impl Estimate {
    /// Returns when a task created then should be done.
    pub fn expected(&self, created: Timestamp) -> Timestamp {
        time::saturating_add(created, self.median)
    }

    /// Returns from when on such a task is late.
    pub fn late_after(&self, created: Timestamp) -> Timestamp {
        time::saturating_add(created, self.late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_rank() {
        let values: Vec<_> = (1..=20).map(Duration::from_secs).collect();

        assert_eq!(percentile(&values, 50), Duration::from_secs(10));
        assert_eq!(percentile(&values, 95), Duration::from_secs(19));
        assert_eq!(percentile(&values[..1], 95), Duration::from_secs(1));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }

    fn ended(name: usize, took: i64, end: i64) -> Task {
        use crate::domain::{
            link::Links,
            task::{CallbackStatus, Family, TaskDetails, TaskState},
        };
        let at = |second| Timestamp::from_second(1_777_000_000 + second).unwrap();
        let state = TaskState::Succeeded {
            videos: Links::parse(["https://ex.com/1.mp4"]),
            callback: CallbackStatus::Delivered,
        };
        let facts = TaskDetails {
            created: Some(at(end - took)),
            completed: Some(at(end)),
            ..TaskDetails::default()
        };
        let id = TaskId::parse(&format!("t{name}")).unwrap();
        Task::from_stored(id, Family::default(), state, facts)
    }

    #[test]
    fn only_the_last_forty_valid_runs_count() {
        let mut times = RunTimes::default();
        for n in 0..60 {
            let took = if n < 20 {
                9_000
            } else {
                i64::try_from(n).unwrap()
            };
            times.record(&ended(n, took, i64::try_from(n).unwrap() * 10));
        }
        times.record(&ended(99, -5, 10_000));

        assert_eq!(times.recent().len(), MAX_SAMPLES);
        assert_eq!(times.recent().first(), Some(&Duration::from_secs(20)));
        let Estimate {
            median: usual,
            late,
            samples,
        } = times.estimate();
        assert_eq!(
            (usual, late, samples),
            (Duration::from_secs(39), Duration::from_secs(57), 40)
        );

        for n in 4..60 {
            times.remove(&ended(n, 0, i64::try_from(n).unwrap() * 10));
        }
        assert_eq!(times.estimate(), Estimate::default(), "four are too few");
    }

    #[test]
    fn few_samples_use_the_documented_times() {
        assert_eq!(RunTimes::default().estimate(), Estimate::default());
    }
}
