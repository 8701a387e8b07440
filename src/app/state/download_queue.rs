//! The saves of the moment: what waits, what runs, how far it is.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    time::Duration,
};

use crate::domain::{
    download::{
        DownloadId, DownloadProgress, DownloadRequest, MAX_CONCURRENT, TotalProgress,
        TransferProgress,
    },
    task::TaskId,
    time::Mono,
};

/// How far one file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownloadStage {
    /// Its turn has not come.
    Waiting,
    /// It is being fetched.
    Running(TransferProgress),
    /// It was told to stop.
    Stopping,
}

/// One file on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadJob {
    /// What tells its messages from those of another try.
    pub id: DownloadId,
    /// What is fetched.
    pub request: DownloadRequest,
    /// How far it is.
    pub stage: DownloadStage,
}

/// What waits and what runs, in the order it was asked for.
#[derive(Debug, Clone, Default)]
pub struct DownloadQueue {
    jobs: BTreeMap<DownloadId, DownloadJob>,
    /// Which job is for which result.
    by_result: BTreeMap<(TaskId, usize), DownloadId>,
    waiting: BTreeSet<DownloadId>,
    last_id: DownloadId,
    /// How many files came since nothing was on its way, and their bytes.
    completed: (usize, u64),
    /// Whether tasks left the list since it was last looked for saves of theirs.
    pub(in crate::app) needs_orphan_check: bool,
    /// Whose save the next press stops, and until when.
    pub(in crate::app) stop_offered: Option<(Vec<TaskId>, Mono)>,
    /// When files and links were looked after last.
    pub(in crate::app) last_check: Option<Mono>,
    /// Whether an answer about files is awaited.
    pub(in crate::app) is_checking_files: bool,
    /// What an earlier run began, as long as it is not known whether another instance is at it.
    pub(in crate::app) unresolved: BTreeSet<TaskId>,
    /// What another instance is saving, each since when that is thought.
    pub(in crate::app) held_by_others: BTreeMap<TaskId, Mono>,
    /// Whether an answer about them is awaited.
    pub(in crate::app) is_checking_locks: bool,
    /// Failed saves this instance retries, each with its time.
    retries: BTreeMap<TaskId, Mono>,
    /// When the last retry began.
    last_retry: Option<Mono>,
}

/// The time between two retries: those of a batch are due together.
const RETRY_SPACING: Duration = Duration::from_secs(1);

impl DownloadQueue {
    /// Reports whether nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Returns the files of a task that are on their way.
    pub fn jobs_for(&self, task: &TaskId) -> impl Iterator<Item = &DownloadJob> {
        let all = (task.clone(), 0)..=(task.clone(), usize::MAX);
        let attempts = self.by_result.range(all).map(|(_, attempt)| attempt);
        attempts.filter_map(|attempt| self.jobs.get(attempt))
    }

    /// Returns how far the files of a task are; none when none is on its way.
    pub fn progress(&self, task: &TaskId) -> Option<DownloadProgress> {
        sum_progress(self.jobs_for(task))
    }

    /// Reports whether another instance is saving the results of a task, as far as is known.
    pub fn is_held_by_other(&self, task: &TaskId) -> bool {
        self.held_by_others.contains_key(task)
    }

    /// Returns how far the files of these tasks are together; none when none is on its way.
    pub fn progress_of(&self, tasks: &[TaskId]) -> Option<DownloadProgress> {
        sum_progress(tasks.iter().flat_map(|task| self.jobs_for(task)))
    }

    /// Returns how far all files are, with those that came since the first of them was asked for;
    /// none when none is on its way. Costs the same however many wait.
    pub fn total_progress(&self) -> Option<TotalProgress> {
        // Their turns come in the order of their numbers.
        let begun = match self.waiting.first() {
            Some(first) => self.jobs.range(..first),
            None => self.jobs.range(..),
        };
        let running = begun.filter_map(|(_, job)| match job.stage {
            DownloadStage::Running(progress) => Some(progress),
            DownloadStage::Waiting | DownloadStage::Stopping => None,
        });
        let all = TotalProgress::sum(self.completed, running, self.waiting.len());
        (all.files_done < all.files).then_some(all)
    }

    /// Lets files wait for their turn, but for those on their way already.
    pub(in crate::app) fn add(&mut self, orders: Vec<DownloadRequest>) {
        for order in orders {
            let Entry::Vacant(free) = self.by_result.entry((order.task.clone(), order.number))
            else {
                continue;
            };
            self.last_id = self.last_id.next();
            free.insert(self.last_id);
            self.waiting.insert(self.last_id);
            let job = DownloadJob {
                id: self.last_id,
                request: order,
                stage: DownloadStage::Waiting,
            };
            self.jobs.insert(self.last_id, job);
        }
    }

    /// Begins the next file where its turn has come; what `is_done` meanwhile waits no longer.
    pub(in crate::app) fn start_next(
        &mut self,
        is_done: impl Fn(&DownloadRequest) -> bool,
    ) -> Option<(DownloadId, DownloadRequest)> {
        while self.jobs.len() - self.waiting.len() < MAX_CONCURRENT {
            let attempt = self.waiting.pop_first()?;
            let job = self.jobs.get_mut(&attempt)?;
            if !is_done(&job.request) {
                job.stage = DownloadStage::Running(TransferProgress::default());
                return Some((attempt, job.request.clone()));
            }
            self.remove(attempt);
        }
        None
    }

    /// Schedules the retry of a task's failed save.
    pub(in crate::app) fn schedule_retry(&mut self, task: TaskId, at: Mono) {
        self.retries.insert(task, at);
    }

    /// Reports whether this instance will retry a task's failed save.
    pub(in crate::app) fn has_retry(&self, task: &TaskId) -> bool {
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
    pub(in crate::app) fn update_progress(
        &mut self,
        attempt: DownloadId,
        progress: TransferProgress,
    ) {
        if let Some(job) = self.jobs.get_mut(&attempt)
            && let DownloadStage::Running(known) = &mut job.stage
        {
            *known = progress;
        }
    }

    /// Takes a file out that is on disk now.
    pub(in crate::app) fn complete(&mut self, attempt: DownloadId) -> Option<DownloadJob> {
        if let Some(DownloadJob {
            stage: DownloadStage::Running(progress),
            ..
        }) = self.jobs.get(&attempt)
        {
            let (files, bytes) = &mut self.completed;
            *files += 1;
            *bytes = bytes.saturating_add(progress.total.unwrap_or(progress.bytes));
        }
        self.remove(attempt)
    }

    /// Takes a file out that has ended.
    pub(in crate::app) fn remove(&mut self, attempt: DownloadId) -> Option<DownloadJob> {
        let job = self.jobs.remove(&attempt)?;
        if self.jobs.is_empty() {
            self.completed = (0, 0);
        }
        self.waiting.remove(&attempt);
        self.by_result
            .remove(&(job.request.task.clone(), job.request.number));
        Some(job)
    }

    /// Returns the tasks for which that holds and that have files waiting or running.
    pub(in crate::app) fn orphaned_tasks(&self, is_gone: impl Fn(&TaskId) -> bool) -> Vec<TaskId> {
        let mut gone: Vec<_> = self
            .jobs
            .values()
            .filter(|job| job.stage != DownloadStage::Stopping && is_gone(&job.request.task))
            .map(|job| job.request.task.clone())
            .collect();
        gone.dedup();
        gone
    }

    /// Forgets the waiting files of a task, and returns the running ones, which are to be stopped.
    pub(in crate::app) fn stop(&mut self, task: &TaskId) -> Vec<DownloadId> {
        let own: Vec<_> = self.jobs_for(task).map(|job| (job.id, job.stage)).collect();
        let mut running = Vec::new();
        for (attempt, stage) in own {
            match stage {
                DownloadStage::Waiting => drop(self.remove(attempt)),
                DownloadStage::Running(_) => {
                    if let Some(job) = self.jobs.get_mut(&attempt) {
                        job.stage = DownloadStage::Stopping;
                    }
                    running.push(attempt);
                }
                DownloadStage::Stopping => {}
            }
        }
        running
    }
}

fn sum_progress<'a>(jobs: impl Iterator<Item = &'a DownloadJob>) -> Option<DownloadProgress> {
    let mut all = DownloadProgress {
        progress: TransferProgress {
            total: Some(0),
            ..TransferProgress::default()
        },
        files: 0,
        waiting: 0,
    };
    for job in jobs {
        all.files += 1;
        let own = match job.stage {
            DownloadStage::Waiting => {
                all.waiting += 1;
                TransferProgress::default()
            }
            DownloadStage::Running(progress) => progress,
            DownloadStage::Stopping => TransferProgress::default(),
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

    fn order(task: &str, number: usize) -> DownloadRequest {
        DownloadRequest {
            task: TaskId::parse(task).unwrap(),
            number,
            result_count: 9,
            url: VideoUrl::parse("https://ex.com/v.mp4").unwrap(),
            folder: "/v".into(),
            title: None,
        }
    }

    #[test]
    fn two_downloads_run_and_the_others_wait() {
        let mut queue = DownloadQueue::default();
        queue.add(vec![order("a", 1), order("a", 2), order("b", 1)]);
        queue.add(vec![order("a", 2)]);

        let first = queue.start_next(|_| false).unwrap();
        let second = queue.start_next(|_| false).unwrap();

        assert_eq!((first.1, second.1), (order("a", 1), order("a", 2)));
        assert_eq!(queue.start_next(|_| false), None);
        let progress = TransferProgress {
            bytes: 30,
            total: Some(100),
            rate: 7,
        };
        queue.update_progress(second.0, progress);
        assert_eq!(queue.total_progress().unwrap().files, 3);
        assert_eq!(queue.total_progress().unwrap().progress.percent(), Some(10));
        queue.remove(first.0).unwrap();
        assert_eq!(queue.start_next(|_| false).unwrap().1, order("b", 1));
        assert_eq!(queue.stop(&TaskId::parse("a").unwrap()), [second.0]);
        assert_eq!(queue.stop(&TaskId::parse("a").unwrap()), []);
    }

    #[test]
    fn downloaded_files_leave_the_queue() {
        let mut queue = DownloadQueue::default();
        queue.add(vec![order("a", 1), order("a", 2), order("b", 1)]);

        let first = queue
            .start_next(|order| order.task.as_str() == "a")
            .unwrap();

        assert_eq!(first.1, order("b", 1));
        assert_eq!(queue.total_progress().unwrap().files, 1);
        queue.add(vec![order("a", 1)]);
        assert_eq!(queue.start_next(|_| false).unwrap().1, order("a", 1));
    }
}
