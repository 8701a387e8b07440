//! Estimates for a running task from past run times: median, and the time after which it is late.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::{
    task::{Task, TaskId},
    time,
};

/// The number of finished tasks that an estimate uses.
pub const MAX_SAMPLES: usize = 40;

/// The number of finished tasks from which their times replace the documented ones.
const MIN_SAMPLES: usize = 5;

/// The documented usual run time ("simple 2–5 min, complex 5–15 min"), used until there are
/// [`MIN_SAMPLES`].
const DOCUMENTED_MEDIAN: Duration = Duration::from_mins(5);

/// The documented upper run time, used likewise.
const DOCUMENTED_P95: Duration = Duration::from_mins(15);

/// Run times of successful tasks, keyed by completion time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunTimes {
    by_completion: BTreeMap<(Timestamp, TaskId), Duration>,
}

/// The expected run time of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// p50.
    pub median: Duration,
    /// p95.
    pub late: Duration,
    /// The number of finished tasks used; zero for the documented times.
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
    /// Adds a successful task with known times; ignores others.
    pub fn record(&mut self, task: &Task) {
        if task.state().videos().next().is_none() {
            return;
        }
        if let (Some(took), Some(completed)) = (task.run_time(), task.details().completed) {
            self.by_completion
                .insert((completed, task.id().clone()), took);
        }
    }

    /// Removes a task, for example before its times are corrected.
    pub fn remove(&mut self, task: &Task) {
        if let Some(completed) = task.details().completed {
            self.by_completion.remove(&(completed, task.id().clone()));
        }
    }

    /// Returns the latest run times, oldest first, at most [`MAX_SAMPLES`].
    pub fn recent(&self) -> Vec<Duration> {
        let mut recent: Vec<_> = self
            .by_completion
            .values()
            .rev()
            .take(MAX_SAMPLES)
            .copied()
            .collect();
        recent.reverse();
        recent
    }

    /// Returns an estimate from our own tasks, or the documented times if there are too few.
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
    /// Returns the expected completion of a task created then.
    pub fn expected(&self, created: Timestamp) -> Timestamp {
        time::saturating_add(created, self.median)
    }

    /// Returns the time after which a task created then is late.
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

    fn finished(name: usize, took: i64, end: i64) -> Task {
        use crate::domain::{
            link::Links,
            task::{CallbackStatus, Family, TaskDetails, TaskState},
        };
        let at = |second| Timestamp::from_second(1_777_000_000 + second).unwrap();
        let state = TaskState::Succeeded {
            videos: Links::parse(["https://ex.com/1.mp4"]),
            callback: CallbackStatus::Delivered,
        };
        let details = TaskDetails {
            created: Some(at(end - took)),
            completed: Some(at(end)),
            ..TaskDetails::default()
        };
        let id = TaskId::parse(&format!("t{name}")).unwrap();
        Task::from_stored(id, Family::default(), state, details)
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
            times.record(&finished(n, took, i64::try_from(n).unwrap() * 10));
        }
        times.record(&finished(99, -5, 10_000));

        assert_eq!(times.recent().len(), MAX_SAMPLES);
        assert_eq!(times.recent().first(), Some(&Duration::from_secs(20)));
        let Estimate {
            median,
            late,
            samples,
        } = times.estimate();
        assert_eq!(
            (median, late, samples),
            (Duration::from_secs(39), Duration::from_secs(57), 40)
        );

        for n in 4..60 {
            times.remove(&finished(n, 0, i64::try_from(n).unwrap() * 10));
        }
        assert_eq!(times.estimate(), Estimate::default(), "four are too few");
    }

    #[test]
    fn few_samples_use_the_documented_times() {
        assert_eq!(RunTimes::default().estimate(), Estimate::default());
    }
}
