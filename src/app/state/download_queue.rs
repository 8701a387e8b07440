//! The download queue: waiting and running downloads, and their progress.

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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DownloadStage {
    Waiting,
    Running(TransferProgress),
    /// A stop was requested; the end is not reported yet.
    Stopping,
}

/// A queued or running download of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadJob {
    /// Distinguishes its messages from those of an earlier attempt.
    pub id: DownloadId,
    pub request: DownloadRequest,
    pub stage: DownloadStage,
}

/// Waiting and running downloads, in the order of the requests.
#[derive(Debug, Clone, Default)]
pub struct DownloadQueue {
    jobs: BTreeMap<DownloadId, DownloadJob>,
    /// The job of each result: task and result number.
    by_result: BTreeMap<(TaskId, usize), DownloadId>,
    waiting: BTreeSet<DownloadId>,
    last_id: DownloadId,
    /// Files and bytes completed since the queue was last empty.
    completed: (usize, u64),
    /// Whether tasks were removed from the list since the last check for orphaned downloads.
    pub(in crate::app) needs_orphan_check: bool,
    /// The tasks whose download the next key press stops, and until when.
    pub(in crate::app) stop_offered: Option<(Vec<TaskId>, Mono)>,
    /// When saved files and links were last checked.
    pub(in crate::app) last_check: Option<Mono>,
    pub(in crate::app) is_checking_files: bool,
    /// Downloads started by an earlier run, until it is known whether another instance runs them.
    pub(in crate::app) unresolved: BTreeSet<TaskId>,
    /// Downloads that another instance runs, with the time since when that is assumed.
    pub(in crate::app) held_by_others: BTreeMap<TaskId, Mono>,
    pub(in crate::app) is_checking_locks: bool,
    /// Failed downloads to retry, with the time of the retry.
    retries: BTreeMap<TaskId, Mono>,
    last_retry: Option<Mono>,
}

/// Minimum time between two retries: those of a batch are due together.
const RETRY_SPACING: Duration = Duration::from_secs(1);

impl DownloadQueue {
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Returns the queued and running downloads of a task.
    pub fn jobs_for(&self, task: &TaskId) -> impl Iterator<Item = &DownloadJob> {
        let all = (task.clone(), 0)..=(task.clone(), usize::MAX);
        let ids = self.by_result.range(all).map(|(_, id)| id);
        ids.filter_map(|id| self.jobs.get(id))
    }

    /// Returns the progress of a task's downloads; `None` if it has none.
    pub fn progress(&self, task: &TaskId) -> Option<DownloadProgress> {
        sum_progress(self.jobs_for(task))
    }

    /// Reports whether another instance downloads a task's results, as far as is known.
    pub fn is_held_by_other(&self, task: &TaskId) -> bool {
        self.held_by_others.contains_key(task)
    }

    /// Returns the progress of the downloads of several tasks together; `None` if there are none.
    pub fn progress_of(&self, tasks: &[TaskId]) -> Option<DownloadProgress> {
        sum_progress(tasks.iter().flat_map(|task| self.jobs_for(task)))
    }

    /// Returns the progress of all downloads, including those completed since the queue was last
    /// empty; `None` if none is queued or running. The cost does not depend on the number of
    /// waiting downloads.
    pub fn total_progress(&self) -> Option<TotalProgress> {
        // Downloads start in the order of their ids.
        let started = match self.waiting.first() {
            Some(first) => self.jobs.range(..first),
            None => self.jobs.range(..),
        };
        let running = started.filter_map(|(_, job)| match job.stage {
            DownloadStage::Running(progress) => Some(progress),
            DownloadStage::Waiting | DownloadStage::Stopping => None,
        });
        let all = TotalProgress::sum(self.completed, running, self.waiting.len());
        (all.files_done < all.files).then_some(all)
    }

    /// Queues downloads; results already in the queue are skipped.
    pub(in crate::app) fn add(&mut self, requests: Vec<DownloadRequest>) {
        for request in requests {
            let Entry::Vacant(entry) = self.by_result.entry((request.task.clone(), request.number))
            else {
                continue;
            };
            self.last_id = self.last_id.next();
            entry.insert(self.last_id);
            self.waiting.insert(self.last_id);
            let job = DownloadJob {
                id: self.last_id,
                request,
                stage: DownloadStage::Waiting,
            };
            self.jobs.insert(self.last_id, job);
        }
    }

    /// Starts the next download if fewer than [`MAX_CONCURRENT`] run; drops waiting ones for which
    /// `is_done` holds.
    pub(in crate::app) fn start_next(
        &mut self,
        is_done: impl Fn(&DownloadRequest) -> bool,
    ) -> Option<(DownloadId, DownloadRequest)> {
        while self.jobs.len() - self.waiting.len() < MAX_CONCURRENT {
            let id = self.waiting.pop_first()?;
            let job = self.jobs.get_mut(&id)?;
            if !is_done(&job.request) {
                job.stage = DownloadStage::Running(TransferProgress::default());
                return Some((id, job.request.clone()));
            }
            self.remove(id);
        }
        None
    }

    /// Schedules a retry of a task's failed download.
    pub(in crate::app) fn schedule_retry(&mut self, task: TaskId, at: Mono) {
        self.retries.insert(task, at);
    }

    pub(in crate::app) fn has_retry(&self, task: &TaskId) -> bool {
        self.retries.contains_key(task)
    }

    pub(in crate::app) fn next_retry(&self) -> Option<Mono> {
        let due = self.retries.values().min().copied()?;
        let spaced = self.last_retry.map(|last| last.after(RETRY_SPACING));
        Some(spaced.map_or(due, |spaced| spaced.max(due)))
    }

    /// Takes a task whose retry is due.
    pub(in crate::app) fn take_retry(&mut self, now: Mono) -> Option<TaskId> {
        self.next_retry().filter(|at| *at <= now)?;
        let (task, _) = self.retries.iter().min_by_key(|(_, at)| **at)?;
        let task = task.clone();
        self.retries.remove(&task);
        self.last_retry = Some(now);
        Some(task)
    }

    pub(in crate::app) fn update_progress(&mut self, id: DownloadId, progress: TransferProgress) {
        if let Some(job) = self.jobs.get_mut(&id)
            && let DownloadStage::Running(known) = &mut job.stage
        {
            *known = progress;
        }
    }

    /// Removes a download whose file is complete.
    pub(in crate::app) fn complete(&mut self, id: DownloadId) -> Option<DownloadJob> {
        if let Some(DownloadJob {
            stage: DownloadStage::Running(progress),
            ..
        }) = self.jobs.get(&id)
        {
            let (files, bytes) = &mut self.completed;
            *files += 1;
            *bytes = bytes.saturating_add(progress.total.unwrap_or(progress.bytes));
        }
        self.remove(id)
    }

    /// Removes a download that has ended.
    pub(in crate::app) fn remove(&mut self, id: DownloadId) -> Option<DownloadJob> {
        let job = self.jobs.remove(&id)?;
        if self.jobs.is_empty() {
            self.completed = (0, 0);
        }
        self.waiting.remove(&id);
        self.by_result
            .remove(&(job.request.task.clone(), job.request.number));
        Some(job)
    }

    /// Returns the tasks that have downloads and for which `is_gone` holds.
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

    /// Removes the waiting downloads of a task and returns the running ones, which the caller
    /// stops.
    pub(in crate::app) fn stop(&mut self, task: &TaskId) -> Vec<DownloadId> {
        let jobs: Vec<_> = self.jobs_for(task).map(|job| (job.id, job.stage)).collect();
        let mut running = Vec::new();
        for (id, stage) in jobs {
            match stage {
                DownloadStage::Waiting => drop(self.remove(id)),
                DownloadStage::Running(_) => {
                    if let Some(job) = self.jobs.get_mut(&id) {
                        job.stage = DownloadStage::Stopping;
                    }
                    running.push(id);
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
        let progress = match job.stage {
            DownloadStage::Waiting => {
                all.waiting += 1;
                TransferProgress::default()
            }
            DownloadStage::Running(progress) => progress,
            DownloadStage::Stopping => TransferProgress::default(),
        };
        let sum = &mut all.progress;
        sum.bytes = sum.bytes.saturating_add(progress.bytes);
        sum.rate = sum.rate.saturating_add(progress.rate);
        sum.total = sum
            .total
            .zip(progress.total)
            .map(|(a, b)| a.saturating_add(b));
    }
    (all.files > 0).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::link::VideoUrl;

    fn request(task: &str, number: usize) -> DownloadRequest {
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
        queue.add(vec![request("a", 1), request("a", 2), request("b", 1)]);
        queue.add(vec![request("a", 2)]);

        let first = queue.start_next(|_| false).unwrap();
        let second = queue.start_next(|_| false).unwrap();

        assert_eq!((first.1, second.1), (request("a", 1), request("a", 2)));
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
        assert_eq!(queue.start_next(|_| false).unwrap().1, request("b", 1));
        assert_eq!(queue.stop(&TaskId::parse("a").unwrap()), [second.0]);
        assert_eq!(queue.stop(&TaskId::parse("a").unwrap()), []);
    }

    #[test]
    fn downloaded_files_leave_the_queue() {
        let mut queue = DownloadQueue::default();
        queue.add(vec![request("a", 1), request("a", 2), request("b", 1)]);

        let first = queue
            .start_next(|request| request.task.as_str() == "a")
            .unwrap();

        assert_eq!(first.1, request("b", 1));
        assert_eq!(queue.total_progress().unwrap().files, 1);
        queue.add(vec![request("a", 1)]);
        assert_eq!(queue.start_next(|_| false).unwrap().1, request("a", 1));
    }
}
