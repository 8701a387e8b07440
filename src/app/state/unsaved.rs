//! What could not be written yet, and what is on its way to the disk: bounded, whatever the disk does.
//!
//! A disk that takes nothing costs what can be learnt again first: of each task the newest observation is kept, with its
//! raw text while there is room, and every ending. What a person did, or a file that was saved, is never left out.

use std::{
    collections::{HashSet, VecDeque},
    sync::Arc,
};

use crate::domain::{
    change::{Change, StoreError},
    report::Observation,
    task::TaskId,
    time::Mono,
};

/// The most orders to write that may be unanswered; more wait here, where they are bounded.
const MOST_UNDER_WAY: usize = 8;

/// The most changes kept; only what can be learnt again goes.
const MOST_UNSAVED: usize = 10_000;

/// The most raw text kept, in bytes.
const MOST_RAW: usize = 8 * 1024 * 1024;

/// Is what could not be written yet; tried again until it can.
#[derive(Debug, Clone, Default)]
pub struct Unsaved {
    /// The changes, oldest first.
    pub changes: VecDeque<Change>,
    /// Why.
    pub error: Option<StoreError>,
    /// When the next try is due; `None` while one is under way.
    pub retry: Option<Mono>,
    /// How many of the changes, from the front, came back from a write that failed: those after them are newer.
    returned: usize,
    /// How many orders to write are not answered yet.
    under_way: usize,
}

impl Unsaved {
    /// Takes changes to be written: returns them when that can be ordered now, else keeps them behind what waits.
    pub(in crate::app) fn write(&mut self, changes: Vec<Change>) -> Option<Vec<Change>> {
        if self.error.is_none() && self.changes.is_empty() && self.under_way < MOST_UNDER_WAY {
            self.under_way += 1;
            return Some(changes);
        }
        self.changes.extend(changes);
        self.shrink();
        None
    }

    /// Notes that an order was answered. What waited only for that is due now.
    pub(in crate::app) fn answered(&mut self, now: Mono) {
        self.under_way = self.under_way.saturating_sub(1);
        if self.error.is_none() && !self.changes.is_empty() && self.retry.is_none() {
            self.retry = Some(now);
        }
    }

    /// Takes back what was not written: behind what came back before, in front of what is newer.
    pub(in crate::app) fn take_back(&mut self, changes: impl IntoIterator<Item = Change>) {
        for change in changes {
            self.changes.insert(self.returned, change);
            self.returned += 1;
        }
        self.shrink();
    }

    /// Takes all that waits, to be written now.
    pub(in crate::app) fn drain(&mut self) -> Vec<Change> {
        self.returned = 0;
        self.under_way += 1;
        self.changes.drain(..).collect()
    }

    /// Leaves out what newer news make needless, and then what there is no room for.
    fn shrink(&mut self) {
        let ended: HashSet<TaskId> = self
            .changes
            .iter()
            .filter(|change| is_ending(change))
            .map(|change| change.task().clone())
            .collect();
        let (mut seen, mut heard) = (HashSet::new(), HashSet::new());
        let mut surplus = self.changes.len().saturating_sub(MOST_UNSAVED);
        let mut at = self.changes.len();
        let mut kept = VecDeque::with_capacity(at);
        let mut returned = self.returned;
        // The newest first.
        while let Some(change) = self.changes.pop_back() {
            at -= 1;
            let task = change.task();
            let is_kept = match &change {
                Change::Observed { .. } if is_ending(&change) => true,
                Change::Observed { .. } => {
                    heard.insert(task.clone());
                    seen.insert(task.clone()) && !ended.contains(task)
                }
                Change::CheckFailed { .. } => heard.insert(task.clone()),
                Change::Add { .. }
                | Change::Remove { .. }
                | Change::Restore { .. }
                | Change::Opened { .. }
                | Change::Label { .. }
                | Change::Notify { .. }
                | Change::SaveBegun { .. }
                | Change::Saved { .. }
                | Change::NotSaved { .. }
                | Change::Warned { .. } => true,
            };
            if is_kept {
                kept.push_front(change);
            } else {
                returned -= usize::from(at < self.returned);
                surplus = surplus.saturating_sub(1);
            }
        }
        (self.changes, self.returned) = (kept, returned);
        self.drop_surplus(surplus);
        self.drop_raw();
    }

    /// Leaves out that many of the oldest that can be learnt again.
    fn drop_surplus(&mut self, mut surplus: usize) {
        let (mut at, mut returned) = (0, self.returned);
        self.changes.retain(|change| {
            at += 1;
            let is_learnable =
                matches!(change, Change::Observed { .. } | Change::CheckFailed { .. });
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
            if bytes <= MOST_RAW {
                return;
            }
            bytes -= raw_bytes(change);
            if let Change::Observed { observation, .. } = change {
                *observation = Arc::new(Observation {
                    state: observation.state.clone(),
                    facts: observation.facts.clone(),
                    raw: "".into(),
                });
            }
        }
    }
}

/// Reports whether it says that a task has ended.
fn is_ending(change: &Change) -> bool {
    matches!(change, Change::Observed { observation, .. } if observation.state.is_final())
}

/// Returns how much raw text a change holds.
fn raw_bytes(change: &Change) -> usize {
    if let Change::Observed { observation, .. } = change {
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
        report::{CheckError, PollError},
        task::{Facts, FailedStage, TaskState},
    };

    fn seen(name: &str, state: TaskState, raw: usize) -> Change {
        Change::Observed {
            task: TaskId::parse(name).unwrap(),
            at: Timestamp::UNIX_EPOCH,
            observation: Arc::new(Observation {
                state,
                facts: Facts::default(),
                raw: "x".repeat(raw).into(),
            }),
        }
    }

    fn running(name: &str) -> Change {
        let is_finishing = false;
        seen(name, TaskState::Running { is_finishing }, 1)
    }

    fn ended(name: &str) -> Change {
        let stage = FailedStage::Generation;
        seen(name, TaskState::Failed { stage }, 1)
    }

    fn failed(name: &str) -> Change {
        Change::CheckFailed {
            task: TaskId::parse(name).unwrap(),
            error: CheckError {
                at: Timestamp::UNIX_EPOCH,
                error: PollError::TimedOut,
            },
        }
    }

    #[test]
    fn what_fails_after_what_failed_stays_behind_it_and_before_what_is_newer() {
        let mut unsaved = Unsaved::default();
        let (a, b) = (running("a"), running("b"));
        assert_eq!(unsaved.write(vec![a.clone()]), Some(vec![a.clone()]));
        assert_eq!(unsaved.write(vec![b.clone()]), Some(vec![b.clone()]));

        unsaved.take_back([a.clone()]);
        unsaved.error = Some(StoreError::Full);
        assert_eq!(unsaved.write(vec![running("c")]), None);
        unsaved.take_back([b.clone()]);

        let order = [a, b, running("c")];
        assert_eq!(unsaved.changes, order);
        assert_eq!(unsaved.drain(), order);
        unsaved.write(vec![running("d")]);
        unsaved.take_back(order.clone());
        let [a, b, c] = order;
        assert_eq!(unsaved.changes, [a, b, c, running("d")]);
    }

    #[test]
    fn of_each_task_the_newest_is_kept_and_every_ending() {
        let mut unsaved = Unsaved {
            error: Some(StoreError::Full),
            ..Unsaved::default()
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
    fn a_disk_that_hangs_is_not_given_ever_more() {
        let mut unsaved = Unsaved::default();
        let ordered = (0..1000).filter(|_| unsaved.write(vec![running("a")]).is_some());
        assert_eq!(ordered.count(), MOST_UNDER_WAY);
        assert_eq!(unsaved.changes, [running("a")]);
        assert_eq!(unsaved.retry, None);

        unsaved.answered(Mono::default());

        assert_eq!(unsaved.retry, Some(Mono::default()));
    }

    #[test]
    fn raw_text_goes_first_and_no_ending_ever() {
        let mut unsaved = Unsaved {
            error: Some(StoreError::Full),
            ..Unsaved::default()
        };
        let stage = FailedStage::Generation;
        let large = |n: usize| seen(&format!("t{n}"), TaskState::Failed { stage }, 1024 * 1024);
        unsaved.write((0..20).map(large).collect());

        assert_eq!(unsaved.changes.len(), 20);
        assert_eq!(
            unsaved.changes.iter().map(raw_bytes).sum::<usize>(),
            MOST_RAW
        );
        assert_eq!(unsaved.changes.front().map(raw_bytes), Some(0));
        let many = (0..MOST_UNSAVED + 5).map(|n| running(&format!("r{n}")));
        unsaved.write(many.collect());
        assert_eq!(unsaved.changes.len(), MOST_UNSAVED);
        let endings = unsaved.changes.iter().filter(|change| is_ending(change));
        assert_eq!(endings.count(), 20);
    }
}
