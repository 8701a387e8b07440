//! The write queue: changes that could not be written yet, and the number of writes in flight. It
//! is bounded, whatever the disk does.
//!
//! When the disk accepts no writes, changes that the server can repeat are dropped first: each task
//! keeps its newest observation, with the raw text while there is space, and every final state.
//! User actions and saved files are never dropped.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use crate::domain::{
    list_change::{ChangeKind, ListChange, StoreError},
    poll_result::Observation,
    task::TaskId,
    time::Mono,
};

/// Maximum number of unanswered writes; further changes wait here, where they are bounded.
const MAX_WRITES_IN_FLIGHT: usize = 8;

/// Maximum number of queued changes; only changes that the server can repeat are dropped.
const MAX_QUEUED: usize = 10_000;

/// Maximum size of all raw texts, in bytes.
const MAX_RAW_BYTES: usize = 8 * 1024 * 1024;

/// Changes that could not be written yet; retried until they can be.
#[derive(Debug, Clone, Default)]
pub struct WriteQueue {
    /// Oldest first.
    pub changes: VecDeque<ListChange>,
    /// The error of the last failed write.
    pub error: Option<StoreError>,
    /// When to retry; `None` while a write is in flight.
    pub retry_at: Option<Mono>,
    /// The number of changes at the front that came back from a failed write; those after them are
    /// newer.
    returned: usize,
    /// The number of unanswered writes.
    in_flight: usize,
}

impl WriteQueue {
    /// Returns the changes if they are to be written now; else queues them. The user's changes
    /// never wait: if they cannot be written, the user learns it at once.
    pub(in crate::app) fn push(&mut self, changes: Vec<ListChange>) -> Option<Vec<ListChange>> {
        let can_write = self.error.is_none()
            && self.changes.is_empty()
            && self.in_flight < MAX_WRITES_IN_FLIGHT;
        if can_write || changes.iter().any(ListChange::needs_ack) {
            self.in_flight += 1;
            return Some(changes);
        }
        self.changes.extend(changes);
        self.compact();
        None
    }

    /// Records that a write was answered. Changes that waited only for that are due now.
    pub(in crate::app) fn write_finished(&mut self, now: Mono) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.error.is_none() && !self.changes.is_empty() && self.retry_at.is_none() {
            self.retry_at = Some(now);
        }
    }

    /// Puts back changes that were not written: after those put back before, in front of newer
    /// ones.
    pub(in crate::app) fn requeue(&mut self, changes: impl IntoIterator<Item = ListChange>) {
        for change in changes {
            self.changes.insert(self.returned, change);
            self.returned += 1;
        }
        self.compact();
    }

    /// Takes all queued changes, to be written now.
    pub(in crate::app) fn drain(&mut self) -> Vec<ListChange> {
        self.returned = 0;
        self.in_flight += 1;
        self.changes.drain(..).collect()
    }

    /// Drops changes that newer ones replace, and then those above the limits.
    fn compact(&mut self) {
        let finished: HashSet<TaskId> = self
            .changes
            .iter()
            .filter(|change| change.is_final())
            .map(|change| change.task.clone())
            .collect();
        let (mut observed, mut checked) = (HashSet::new(), HashSet::new());
        let mut surplus = self.changes.len().saturating_sub(MAX_QUEUED);
        let mut index = self.changes.len();
        let mut kept = VecDeque::with_capacity(index);
        let mut returned = self.returned;
        // Newest first.
        while let Some(change) = self.changes.pop_back() {
            index -= 1;
            let task = &change.task;
            let is_kept = if !is_repeatable(&change) {
                true
            } else if change.observation().is_some() {
                checked.insert(task.clone());
                observed.insert(task.clone()) && !finished.contains(task)
            } else {
                checked.insert(task.clone())
            };
            if is_kept {
                kept.push_front(change);
            } else {
                returned -= usize::from(index < self.returned);
                surplus = surplus.saturating_sub(1);
            }
        }
        (self.changes, self.returned) = (kept, returned);
        self.drop_oldest(surplus);
        self.drop_raw();
    }

    /// Drops that many of the oldest changes that the server can repeat.
    fn drop_oldest(&mut self, mut surplus: usize) {
        let (mut index, mut returned) = (0, self.returned);
        self.changes.retain(|change| {
            index += 1;
            if surplus == 0 || !is_repeatable(change) {
                return true;
            }
            surplus -= 1;
            returned -= usize::from(index <= self.returned);
            false
        });
        self.returned = returned;
    }

    /// Drops raw texts, oldest first, until the rest is within the limit.
    fn drop_raw(&mut self) {
        let mut bytes: usize = self.changes.iter().map(raw_bytes).sum();
        for change in &mut self.changes {
            if bytes <= MAX_RAW_BYTES {
                return;
            }
            bytes -= raw_bytes(change);
            if let Some(observation) = change.observation() {
                change.kind = ChangeKind::Checked(Arc::new(Ok(Observation {
                    raw: "".into(),
                    ..observation.clone()
                })));
            }
        }
    }
}

/// Reports whether the server can repeat a change: a check that found an unfinished task.
fn is_repeatable(change: &ListChange) -> bool {
    matches!(change.kind, ChangeKind::Checked(_)) && !change.is_final()
}

fn raw_bytes(change: &ListChange) -> usize {
    change.observation().map_or(0, |answer| answer.raw.len())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::{
        poll_result::PollError,
        task::{FailureStage, TaskDetails, TaskState},
    };

    fn observed(name: &str, state: TaskState, raw: usize) -> ListChange {
        let answer = Ok(Observation {
            state,
            details: TaskDetails::default(),
            raw: "x".repeat(raw).into(),
        });
        ListChange::from_result(TaskId::parse(name).unwrap(), answer, Timestamp::UNIX_EPOCH)
    }

    fn running(name: &str) -> ListChange {
        let is_finishing = false;
        observed(name, TaskState::Running { is_finishing }, 1)
    }

    fn finished(name: &str) -> ListChange {
        let stage = FailureStage::Generation;
        observed(name, TaskState::Failed { stage }, 1)
    }

    fn failed(name: &str) -> ListChange {
        let task = TaskId::parse(name).unwrap();
        ListChange::from_result(task, Err(PollError::TimedOut), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn failed_writes_keep_their_order() {
        let mut queue = WriteQueue::default();
        let (a, b) = (running("a"), running("b"));
        assert_eq!(queue.push(vec![a.clone()]), Some(vec![a.clone()]));
        assert_eq!(queue.push(vec![b.clone()]), Some(vec![b.clone()]));

        queue.requeue([a.clone()]);
        queue.error = Some(StoreError::Full);
        assert_eq!(queue.push(vec![running("c")]), None);
        queue.requeue([b.clone()]);

        let order = [a, b, running("c")];
        assert_eq!(queue.changes, order);
        assert_eq!(queue.drain(), order);
        queue.push(vec![running("d")]);
        queue.requeue(order.clone());
        let [a, b, c] = order;
        assert_eq!(queue.changes, [a, b, c, running("d")]);
    }

    #[test]
    fn the_newest_and_every_final_state_are_kept() {
        let mut queue = WriteQueue {
            error: Some(StoreError::Full),
            ..WriteQueue::default()
        };
        let changes = [
            running("a"),
            failed("b"),
            finished("c"),
            failed("a"),
            running("a"),
            running("b"),
            failed("b"),
            running("c"),
        ];

        assert_eq!(queue.push(changes.to_vec()), None);

        let kept = [finished("c"), running("a"), running("b"), failed("b")];
        assert_eq!(queue.changes, kept);
    }

    #[test]
    fn a_hanging_disk_gets_no_more_writes() {
        let mut queue = WriteQueue::default();
        let accepted = (0..1000).filter(|_| queue.push(vec![running("a")]).is_some());
        assert_eq!(accepted.count(), MAX_WRITES_IN_FLIGHT);
        assert_eq!(queue.changes, [running("a")]);
        assert_eq!(queue.retry_at, None);

        queue.write_finished(Mono::default());

        assert_eq!(queue.retry_at, Some(Mono::default()));
    }

    #[test]
    fn raw_records_are_dropped_before_final_states() {
        let mut queue = WriteQueue {
            error: Some(StoreError::Full),
            ..WriteQueue::default()
        };
        let stage = FailureStage::Generation;
        let large = |n: usize| observed(&format!("t{n}"), TaskState::Failed { stage }, 1024 * 1024);
        queue.push((0..20).map(large).collect());

        assert_eq!(queue.changes.len(), 20);
        assert_eq!(
            queue.changes.iter().map(raw_bytes).sum::<usize>(),
            MAX_RAW_BYTES
        );
        assert_eq!(queue.changes.front().map(raw_bytes), Some(0));
        let many = (0..MAX_QUEUED + 5).map(|n| running(&format!("r{n}")));
        queue.push(many.collect());
        assert_eq!(queue.changes.len(), MAX_QUEUED);
        let finals = queue.changes.iter().filter(|change| change.is_final());
        assert_eq!(finals.count(), 20);
    }
}
