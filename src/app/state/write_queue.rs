//! What could not be written yet, and what is on its way to the disk: bounded, whatever the disk
//! does.
//!
//! A disk that takes nothing costs what can be learnt again first: of each task the newest
//! observation is kept, with its raw text while there is room, and every ending. What a person did,
//! or a file that was saved, is never left out.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use crate::domain::{
    list_change::{ListChange, StoreError},
    poll_result::Observation,
    task::TaskId,
    time::Mono,
};

/// The most orders to write that may be unanswered; more wait here, where they are bounded.
const MAX_WRITES_IN_FLIGHT: usize = 8;

/// The most changes kept; only what can be learnt again goes.
const MAX_QUEUED: usize = 10_000;

/// The most raw text kept, in bytes.
const MAX_RAW_BYTES: usize = 8 * 1024 * 1024;

/// What could not be written yet; tried again until it can.
#[derive(Debug, Clone, Default)]
pub struct WriteQueue {
    /// The changes, oldest first.
    pub changes: VecDeque<ListChange>,
    /// Why.
    pub error: Option<StoreError>,
    /// When the next try is due; `None` while one is under way.
    pub retry_at: Option<Mono>,
    /// How many of the changes, from the front, came back from a write that failed: those after
    /// them are newer.
    returned: usize,
    /// How many orders to write are not answered yet.
    in_flight: usize,
}

impl WriteQueue {
    /// Takes changes to be written: returns them when that can be ordered now, else keeps them
    /// behind what waits.
    pub(in crate::app) fn write(&mut self, changes: Vec<ListChange>) -> Option<Vec<ListChange>> {
        if self.error.is_none() && self.changes.is_empty() && self.in_flight < MAX_WRITES_IN_FLIGHT
        {
            self.in_flight += 1;
            return Some(changes);
        }
        self.changes.extend(changes);
        self.compact();
        None
    }

    /// Notes that an order was answered. What waited only for that is due now.
    pub(in crate::app) fn write_finished(&mut self, now: Mono) {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.error.is_none() && !self.changes.is_empty() && self.retry_at.is_none() {
            self.retry_at = Some(now);
        }
    }

    /// Takes back what was not written: behind what came back before, in front of what is newer.
    pub(in crate::app) fn requeue(&mut self, changes: impl IntoIterator<Item = ListChange>) {
        for change in changes {
            self.changes.insert(self.returned, change);
            self.returned += 1;
        }
        self.compact();
    }

    /// Takes all that waits, to be written now.
    pub(in crate::app) fn drain(&mut self) -> Vec<ListChange> {
        self.returned = 0;
        self.in_flight += 1;
        self.changes.drain(..).collect()
    }

    /// Leaves out what newer news make needless, and then what there is no room for.
    fn compact(&mut self) {
        let ended: HashSet<TaskId> = self
            .changes
            .iter()
            .filter(|change| is_ending(change))
            .map(|change| change.task().clone())
            .collect();
        let (mut seen, mut heard) = (HashSet::new(), HashSet::new());
        let mut surplus = self.changes.len().saturating_sub(MAX_QUEUED);
        let mut at = self.changes.len();
        let mut kept = VecDeque::with_capacity(at);
        let mut returned = self.returned;
        // The newest first.
        while let Some(change) = self.changes.pop_back() {
            at -= 1;
            let task = change.task();
            let is_kept = match &change {
                ListChange::Observed { .. } if is_ending(&change) => true,
                ListChange::Observed { .. } => {
                    heard.insert(task.clone());
                    seen.insert(task.clone()) && !ended.contains(task)
                }
                ListChange::CheckFailed { .. } => heard.insert(task.clone()),
                ListChange::Add { .. }
                | ListChange::Remove { .. }
                | ListChange::Restore { .. }
                | ListChange::Opened { .. }
                | ListChange::Label { .. }
                | ListChange::SetNotify { .. }
                | ListChange::SaveBegun { .. }
                | ListChange::Saved { .. }
                | ListChange::SaveFailed { .. }
                | ListChange::ExpiryWarned { .. } => true,
            };
            if is_kept {
                kept.push_front(change);
            } else {
                returned -= usize::from(at < self.returned);
                surplus = surplus.saturating_sub(1);
            }
        }
        (self.changes, self.returned) = (kept, returned);
        self.drop_oldest(surplus);
        self.drop_raw();
    }

    /// Leaves out that many of the oldest that can be learnt again.
    fn drop_oldest(&mut self, mut surplus: usize) {
        let (mut at, mut returned) = (0, self.returned);
        self.changes.retain(|change| {
            at += 1;
            let is_learnable = matches!(
                change,
                ListChange::Observed { .. } | ListChange::CheckFailed { .. }
            );
            if surplus == 0 || !is_learnable || is_ending(change) {
                return true;
            }
            surplus -= 1;
            returned -= usize::from(at <= self.returned);
            false
        });
        self.returned = returned;
    }

    /// Leaves out raw texts, the oldest first, until the rest have room.
    fn drop_raw(&mut self) {
        let mut bytes: usize = self.changes.iter().map(raw_bytes).sum();
        for change in &mut self.changes {
            if bytes <= MAX_RAW_BYTES {
                return;
            }
            bytes -= raw_bytes(change);
            if let ListChange::Observed { observation, .. } = change {
                *observation = Arc::new(Observation {
                    state: observation.state.clone(),
                    details: observation.details.clone(),
                    raw: "".into(),
                });
            }
        }
    }
}

/// Reports whether it says that a task has ended.
fn is_ending(change: &ListChange) -> bool {
    matches!(change, ListChange::Observed { observation, .. } if observation.state.is_final())
}

/// Returns how much raw text a change holds.
fn raw_bytes(change: &ListChange) -> usize {
    if let ListChange::Observed { observation, .. } = change {
        observation.raw.len()
    } else {
        0
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::domain::{
        poll_result::{FailedCheck, PollError},
        task::{FailureStage, TaskDetails, TaskState},
    };

    fn seen(name: &str, state: TaskState, raw: usize) -> ListChange {
        ListChange::Observed {
            task: TaskId::parse(name).unwrap(),
            at: Timestamp::UNIX_EPOCH,
            observation: Arc::new(Observation {
                state,
                details: TaskDetails::default(),
                raw: "x".repeat(raw).into(),
            }),
        }
    }

    fn running(name: &str) -> ListChange {
        let is_finishing = false;
        seen(name, TaskState::Running { is_finishing }, 1)
    }

    fn ended(name: &str) -> ListChange {
        let stage = FailureStage::Generation;
        seen(name, TaskState::Failed { stage }, 1)
    }

    fn failed(name: &str) -> ListChange {
        ListChange::CheckFailed {
            task: TaskId::parse(name).unwrap(),
            error: FailedCheck {
                at: Timestamp::UNIX_EPOCH,
                error: PollError::TimedOut,
            },
        }
    }

    #[test]
    fn failed_writes_keep_their_order() {
        let mut unsaved = WriteQueue::default();
        let (a, b) = (running("a"), running("b"));
        assert_eq!(unsaved.write(vec![a.clone()]), Some(vec![a.clone()]));
        assert_eq!(unsaved.write(vec![b.clone()]), Some(vec![b.clone()]));

        unsaved.requeue([a.clone()]);
        unsaved.error = Some(StoreError::Full);
        assert_eq!(unsaved.write(vec![running("c")]), None);
        unsaved.requeue([b.clone()]);

        let order = [a, b, running("c")];
        assert_eq!(unsaved.changes, order);
        assert_eq!(unsaved.drain(), order);
        unsaved.write(vec![running("d")]);
        unsaved.requeue(order.clone());
        let [a, b, c] = order;
        assert_eq!(unsaved.changes, [a, b, c, running("d")]);
    }

    #[test]
    fn the_newest_and_every_final_state_are_kept() {
        let mut unsaved = WriteQueue {
            error: Some(StoreError::Full),
            ..WriteQueue::default()
        };
        let changes = [
            running("a"),
            failed("b"),
            ended("c"),
            failed("a"),
            running("a"),
            running("b"),
            failed("b"),
            running("c"),
        ];

        assert_eq!(unsaved.write(changes.to_vec()), None);

        let kept = [ended("c"), running("a"), running("b"), failed("b")];
        assert_eq!(unsaved.changes, kept);
    }

    #[test]
    fn a_hanging_disk_gets_no_more_writes() {
        let mut unsaved = WriteQueue::default();
        let ordered = (0..1000).filter(|_| unsaved.write(vec![running("a")]).is_some());
        assert_eq!(ordered.count(), MAX_WRITES_IN_FLIGHT);
        assert_eq!(unsaved.changes, [running("a")]);
        assert_eq!(unsaved.retry_at, None);

        unsaved.write_finished(Mono::default());

        assert_eq!(unsaved.retry_at, Some(Mono::default()));
    }

    #[test]
    fn raw_records_are_dropped_before_final_states() {
        let mut unsaved = WriteQueue {
            error: Some(StoreError::Full),
            ..WriteQueue::default()
        };
        let stage = FailureStage::Generation;
        let large = |n: usize| seen(&format!("t{n}"), TaskState::Failed { stage }, 1024 * 1024);
        unsaved.write((0..20).map(large).collect());

        assert_eq!(unsaved.changes.len(), 20);
        assert_eq!(
            unsaved.changes.iter().map(raw_bytes).sum::<usize>(),
            MAX_RAW_BYTES
        );
        assert_eq!(unsaved.changes.front().map(raw_bytes), Some(0));
        let many = (0..MAX_QUEUED + 5).map(|n| running(&format!("r{n}")));
        unsaved.write(many.collect());
        assert_eq!(unsaved.changes.len(), MAX_QUEUED);
        let endings = unsaved.changes.iter().filter(|change| is_ending(change));
        assert_eq!(endings.count(), 20);
    }
}
