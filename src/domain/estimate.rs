//! What past run times say about a running one: the usual time, when it is late, when to expect it.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;

use super::{
    task::{Task, TaskId},
    time,
};

/// How many finished tasks an estimate looks back on.
pub const LOOK_BACK: usize = 40;

/// How many finished tasks it takes before ours speak louder than the documentation.
const ENOUGH: usize = 5;

/// The documented usual run time ("simple 2–5 min, complex 5–15 min"), until enough of ours are known.
const DOCUMENTED_USUAL: Duration = Duration::from_mins(5);

/// The documented upper run time, likewise.
const DOCUMENTED_LATE: Duration = Duration::from_mins(15);

/// Is the record of the run times of tasks that ended well, by when they ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunTimes {
    by_end: BTreeMap<(Timestamp, TaskId), Duration>,
}

/// Is what to expect of a running task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Estimate {
    /// Half of the tasks took no longer (p50).
    pub usual: Duration,
    /// Only one in twenty took longer (p95).
    pub late: Duration,
    /// How many finished tasks it rests on; zero means the documentation's figures.
    pub samples: usize,
}

impl Default for Estimate {
    fn default() -> Self {
        Self {
            usual: DOCUMENTED_USUAL,
            late: DOCUMENTED_LATE,
            samples: 0,
        }
    }
}

impl RunTimes {
    /// Notes a task that has ended well; others, and those without times, are passed over.
    pub fn note(&mut self, task: &Task) {
        if task.state().videos().next().is_none() {
            return;
        }
        if let (Some(took), Some(ended)) = (task.took(), task.facts().completed) {
            self.by_end.insert((ended, task.id().clone()), took);
        }
    }

    /// Forgets a task, as when its times were corrected.
    pub fn forget(&mut self, task: &Task) {
        if let Some(ended) = task.facts().completed {
            self.by_end.remove(&(ended, task.id().clone()));
        }
    }

    /// Returns the last run times, oldest first, at most [`LOOK_BACK`].
    pub fn recent(&self) -> Vec<Duration> {
        let mut recent: Vec<_> = self
            .by_end
            .values()
            .rev()
            .take(LOOK_BACK)
            .copied()
            .collect();
        recent.reverse();
        recent
    }

    /// Returns what to expect, from our own tasks once there are enough, else from the documentation.
    pub fn estimate(&self) -> Estimate {
        let mut recent = self.recent();
        if recent.len() < ENOUGH {
            return Estimate::default();
        }
        recent.sort_unstable();
        Estimate {
            usual: percentile(&recent, 50),
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
        time::later(created, self.usual)
    }

    /// Returns from when on such a task is late.
    pub fn late_from(&self, created: Timestamp) -> Timestamp {
        time::later(created, self.late)
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
            task::{Delivery, Facts, Family, TaskState},
        };
        let at = |second| Timestamp::from_second(1_777_000_000 + second).unwrap();
        let state = TaskState::Succeeded {
            videos: Links::parse(["https://ex.com/1.mp4"]),
            delivery: Delivery::Done,
        };
        let facts = Facts {
            created: Some(at(end - took)),
            completed: Some(at(end)),
            ..Facts::default()
        };
        let id = TaskId::parse(&format!("t{name}")).unwrap();
        Task::restored(id, Family::default(), state, facts)
    }

    #[test]
    fn the_last_forty_count_and_a_clock_that_ran_backwards_does_not() {
        let mut times = RunTimes::default();
        for n in 0..60 {
            let took = if n < 20 {
                9_000
            } else {
                i64::try_from(n).unwrap()
            };
            times.note(&ended(n, took, i64::try_from(n).unwrap() * 10));
        }
        times.note(&ended(99, -5, 10_000));

        assert_eq!(times.recent().len(), LOOK_BACK);
        assert_eq!(times.recent().first(), Some(&Duration::from_secs(20)));
        let Estimate {
            usual,
            late,
            samples,
        } = times.estimate();
        assert_eq!(
            (usual, late, samples),
            (Duration::from_secs(39), Duration::from_secs(57), 40)
        );

        for n in 4..60 {
            times.forget(&ended(n, 0, i64::try_from(n).unwrap() * 10));
        }
        assert_eq!(times.estimate(), Estimate::default(), "four are too few");
    }

    #[test]
    fn few_samples_give_way_to_the_documentation() {
        assert_eq!(RunTimes::default().estimate(), Estimate::default());
    }
}
