//! The saves of the moment: what waits, what runs, how far it is.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    time::Duration,
};

use crate::domain::{
    save::{AllSaves, MOST_AT_ONCE, Progress, SaveAttempt, SaveOrder, Saving},
    task::TaskId,
    time::Mono,
};

/// Tells how far one file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaveStage {
    /// Its turn has not come.
    Waiting,
    /// It is being fetched.
    Running(Progress),
    /// It was told to stop.
    Stopping,
}

/// Is one file on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SaveJob {
    /// What tells its messages from those of another try.
    pub attempt: SaveAttempt,
    /// What is fetched.
    pub order: SaveOrder,
    /// How far it is.
    pub stage: SaveStage,
}

/// Is what waits and what runs, in the order it was asked for.
#[derive(Debug, Clone, Default)]
pub struct SaveQueue {
    jobs: BTreeMap<SaveAttempt, SaveJob>,
    /// Which job is for which result.
    by_result: BTreeMap<(TaskId, usize), SaveAttempt>,
    waiting: BTreeSet<SaveAttempt>,
    last: SaveAttempt,
    /// How many files came since nothing was on its way, and their bytes.
    here: (usize, u64),
    /// Whether tasks left the list since it was last looked for saves of theirs.
    pub(in crate::app) has_lost_tasks: bool,
    /// Whose save the next press stops, and until when.
    pub(in crate::app) stop_offered: Option<(Vec<TaskId>, Mono)>,
    /// When files and links were looked after last.
    pub(in crate::app) tended: Option<Mono>,
    /// Whether an answer about files is awaited.
    pub(in crate::app) is_looking: bool,
    /// What an earlier run began, as long as it is not known whether another instance is at it.
    pub(in crate::app) unjudged: BTreeSet<TaskId>,
    /// What another instance is saving, each since when that is thought.
    pub(in crate::app) elsewhere: BTreeMap<TaskId, Mono>,
    /// Whether an answer about them is awaited.
    pub(in crate::app) is_asking: bool,
    /// Failed saves this instance retries, each with its time.
    retries: BTreeMap<TaskId, Mono>,
    /// When the last retry began.
    last_retry: Option<Mono>,
}

/// The time between two retries: those of a batch are due together.
const RETRY_SPACING: Duration = Duration::from_secs(1);

impl SaveQueue {
    /// Reports whether nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Returns the files of a task that are on their way.
    pub fn of(&self, task: &TaskId) -> impl Iterator<Item = &SaveJob> {
        let all = (task.clone(), 0)..=(task.clone(), usize::MAX);
        let attempts = self.by_result.range(all).map(|(_, attempt)| attempt);
        attempts.filter_map(|attempt| self.jobs.get(attempt))
    }

    /// Returns how far the files of a task are; none when none is on its way.
    pub fn saving(&self, task: &TaskId) -> Option<Saving> {
        sum(self.of(task))
    }

    /// Reports whether another instance is saving the results of a task, as far as is known.
    pub fn is_elsewhere(&self, task: &TaskId) -> bool {
        self.elsewhere.contains_key(task)
    }

    /// Returns how far the files of these tasks are together; none when none is on its way.
    pub fn of_all(&self, tasks: &[TaskId]) -> Option<Saving> {
        sum(tasks.iter().flat_map(|task| self.of(task)))
    }

    /// Returns how far all files are, with those that came since the first of them was asked for; none when none is on
    /// its way. Costs the same however many wait.
    pub fn all(&self) -> Option<AllSaves> {
        // Their turns come in the order of their numbers.
        let begun = match self.waiting.first() {
            Some(first) => self.jobs.range(..first),
            None => self.jobs.range(..),
        };
        let running = begun.filter_map(|(_, job)| match job.stage {
            SaveStage::Running(progress) => Some(progress),
            SaveStage::Waiting | SaveStage::Stopping => None,
        });
        let all = AllSaves::of(self.here, running, self.waiting.len());
        (all.here < all.files).then_some(all)
    }

    /// Lets files wait for their turn, but for those on their way already.
    pub(in crate::app) fn add(&mut self, orders: Vec<SaveOrder>) {
        for order in orders {
            let Entry::Vacant(free) = self.by_result.entry((order.task.clone(), order.number))
            else {
                continue;
            };
            self.last = self.last.next();
            free.insert(self.last);
            self.waiting.insert(self.last);
            let job = SaveJob {
                attempt: self.last,
                order,
                stage: SaveStage::Waiting,
            };
            self.jobs.insert(self.last, job);
        }
    }

    /// Begins the next file where its turn has come; what `is_done` meanwhile waits no longer.
    pub(in crate::app) fn begin_next(
        &mut self,
        is_done: impl Fn(&SaveOrder) -> bool,
    ) -> Option<(SaveAttempt, SaveOrder)> {
        while self.jobs.len() - self.waiting.len() < MOST_AT_ONCE {
            let attempt = self.waiting.pop_first()?;
            let job = self.jobs.get_mut(&attempt)?;
            if !is_done(&job.order) {
                job.stage = SaveStage::Running(Progress::default());
                return Some((attempt, job.order.clone()));
            }
            self.end(attempt);
        }
        None
    }

    /// Schedules the retry of a task's failed save.
    pub(in crate::app) fn schedule_retry(&mut self, task: TaskId, at: Mono) {
        self.retries.insert(task, at);
    }

    /// Reports whether this instance will retry a task's failed save.
    pub(in crate::app) fn is_retried_here(&self, task: &TaskId) -> bool {
        self.retries.contains_key(task)
    }

    /// Returns when the next retry may begin.
    pub(in crate::app) fn next_retry(&self) -> Option<Mono> {
        let due = self.retries.values().min().copied()?;
        let spaced = self.last_retry.map(|last| last.after(RETRY_SPACING));
        Some(spaced.map_or(due, |spaced| spaced.max(due)))
    }

    /// Removes and returns a task whose retry is due.
    pub(in crate::app) fn take_retry(&mut self, now: Mono) -> Option<TaskId> {
        self.next_retry().filter(|at| *at <= now)?;
        let (task, _) = self.retries.iter().min_by_key(|(_, at)| **at)?;
        let task = task.clone();
        self.retries.remove(&task);
        self.last_retry = Some(now);
        Some(task)
    }

    /// Notes how far a file is.
    pub(in crate::app) fn progressed(&mut self, attempt: SaveAttempt, progress: Progress) {
        if let Some(job) = self.jobs.get_mut(&attempt)
            && let SaveStage::Running(known) = &mut job.stage
        {
            *known = progress;
        }
    }

    /// Takes a file out that is on disk now.
    pub(in crate::app) fn came(&mut self, attempt: SaveAttempt) -> Option<SaveJob> {
        if let Some(SaveJob {
            stage: SaveStage::Running(progress),
            ..
        }) = self.jobs.get(&attempt)
        {
            let (files, bytes) = &mut self.here;
            *files += 1;
            *bytes = bytes.saturating_add(progress.total.unwrap_or(progress.bytes));
        }
        self.end(attempt)
    }

    /// Takes a file out that has ended.
    pub(in crate::app) fn end(&mut self, attempt: SaveAttempt) -> Option<SaveJob> {
        let job = self.jobs.remove(&attempt)?;
        if self.jobs.is_empty() {
            self.here = (0, 0);
        }
        self.waiting.remove(&attempt);
        self.by_result
            .remove(&(job.order.task.clone(), job.order.number));
        Some(job)
    }

    /// Returns the tasks for which that holds and that have files waiting or running.
    pub(in crate::app) fn unwatched(&self, is_gone: impl Fn(&TaskId) -> bool) -> Vec<TaskId> {
        let mut gone: Vec<_> = self
            .jobs
            .values()
            .filter(|job| job.stage != SaveStage::Stopping && is_gone(&job.order.task))
            .map(|job| job.order.task.clone())
            .collect();
        gone.dedup();
        gone
    }

    /// Forgets the waiting files of a task, and returns the running ones, which are to be stopped.
    pub(in crate::app) fn stop(&mut self, task: &TaskId) -> Vec<SaveAttempt> {
        let own: Vec<_> = self.of(task).map(|job| (job.attempt, job.stage)).collect();
        let mut running = Vec::new();
        for (attempt, stage) in own {
            match stage {
                SaveStage::Waiting => drop(self.end(attempt)),
                SaveStage::Running(_) => {
                    if let Some(job) = self.jobs.get_mut(&attempt) {
                        job.stage = SaveStage::Stopping;
                    }
                    running.push(attempt);
                }
                SaveStage::Stopping => {}
            }
        }
        running
    }
}

fn sum<'a>(jobs: impl Iterator<Item = &'a SaveJob>) -> Option<Saving> {
    let mut all = Saving {
        progress: Progress {
            total: Some(0),
            ..Progress::default()
        },
        files: 0,
        waiting: 0,
    };
    for job in jobs {
        all.files += 1;
        let own = match job.stage {
            SaveStage::Waiting => {
                all.waiting += 1;
                Progress::default()
            }
            SaveStage::Running(progress) => progress,
            SaveStage::Stopping => Progress::default(),
        };
        let sum = &mut all.progress;
        sum.bytes = sum.bytes.saturating_add(own.bytes);
        sum.rate = sum.rate.saturating_add(own.rate);
        sum.total = sum.total.zip(own.total).map(|(a, b)| a.saturating_add(b));
    }
    (all.files > 0).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::link::VideoUrl;

    fn order(task: &str, number: usize) -> SaveOrder {
        SaveOrder {
            task: TaskId::parse(task).unwrap(),
            number,
            of: 9,
            url: VideoUrl::parse("https://ex.com/v.mp4").unwrap(),
            folder: "/v".into(),
            title: None,
        }
    }

    #[test]
    fn two_run_the_others_wait_and_none_runs_twice() {
        let mut queue = SaveQueue::default();
        queue.add(vec![order("a", 1), order("a", 2), order("b", 1)]);
        queue.add(vec![order("a", 2)]);

        let first = queue.begin_next(|_| false).unwrap();
        let second = queue.begin_next(|_| false).unwrap();

        assert_eq!((first.1, second.1), (order("a", 1), order("a", 2)));
        assert_eq!(queue.begin_next(|_| false), None);
        let progress = Progress {
            bytes: 30,
            total: Some(100),
            rate: 7,
        };
        queue.progressed(second.0, progress);
        assert_eq!(queue.all().unwrap().files, 3);
        assert_eq!(queue.all().unwrap().progress.percent(), Some(10));
        queue.end(first.0).unwrap();
        assert_eq!(queue.begin_next(|_| false).unwrap().1, order("b", 1));
        assert_eq!(queue.stop(&TaskId::parse("a").unwrap()), [second.0]);
        assert_eq!(queue.stop(&TaskId::parse("a").unwrap()), []);
    }

    #[test]
    fn what_is_there_by_now_waits_no_longer() {
        let mut queue = SaveQueue::default();
        queue.add(vec![order("a", 1), order("a", 2), order("b", 1)]);

        let first = queue
            .begin_next(|order| order.task.as_str() == "a")
            .unwrap();

        assert_eq!(first.1, order("b", 1));
        assert_eq!(queue.all().unwrap().files, 1);
        queue.add(vec![order("a", 1)]);
        assert_eq!(queue.begin_next(|_| false).unwrap().1, order("a", 1));
    }
}
