//! What a person did and can take back, the last first: removals, those of earlier runs too, and
//! labels of this run.

use crate::domain::{list_change::ListChange, task::TaskId, text::CleanText};

/// What tasks were called before they were called something else, in the order of that change.
pub(in crate::app) type Labels = Vec<(TaskId, Option<CleanText>)>;

/// One thing that can be taken back, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app) enum UndoStep {
    /// The removal of these tasks.
    Removal(Vec<TaskId>),
    /// The labels given to tasks.
    Labels(Labels),
}

impl UndoStep {
    /// Returns whether these changes perform it.
    fn is_performed_by(&self, changes: &[ListChange]) -> bool {
        match self {
            Self::Removal(tasks) => {
                let is_it = |(task, change): (&TaskId, &ListChange)| {
                    matches!(change, ListChange::Restore { task: other, .. } if other == task)
                };
                tasks.len() == changes.len() && tasks.iter().zip(changes).all(is_it)
            }
            Self::Labels(labels) => {
                labels.len() == changes.len()
                    && labels.iter().zip(changes).all(|((id, before), change)| {
                        matches!(change, ListChange::Label { task, label, .. } if task == id && label == before)
                    })
            }
        }
    }
}

/// A write that can be undone and is not answered yet.
#[derive(Debug, Clone)]
struct InFlight {
    changes: Vec<ListChange>,
    undo: UndoStep,
    /// Whether its undo is already ordered behind it.
    is_undone: bool,
}

/// A write that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app) enum FinishedWrite {
    /// A user's write, or one that cannot be undone; its undo may be ordered behind it.
    Done { is_undone: bool },
    /// A write that restores these labels.
    LabelsRestored(Labels),
    /// The undo of a write that failed.
    UndoOfFailedWrite,
}

/// Holds what can be taken back.
#[derive(Debug, Clone, Default)]
pub(in crate::app) struct UndoStack {
    done: Vec<UndoStep>,
    /// Writes not answered yet, oldest first; all are newer than those done.
    in_flight: Vec<InFlight>,
    /// The labels that are being brought back, those of each press: that is no new thing to take
    /// back. The disk may be slower than the presses.
    restoring: Vec<Labels>,
    /// Undos in flight of writes that failed: they have nothing to undo.
    failed_undos: Vec<UndoStep>,
}

impl UndoStack {
    /// Reports whether there is nothing to take back.
    pub(in crate::app) fn is_empty(&self) -> bool {
        self.done.is_empty() && self.in_flight.iter().all(|order| order.is_undone)
    }

    /// Notes what was done.
    pub(in crate::app) fn push(&mut self, undo: UndoStep) {
        self.done.push(undo);
    }

    /// Records a write that can be undone, before it is answered.
    pub(in crate::app) fn record_write(&mut self, changes: Vec<ListChange>, undo: UndoStep) {
        self.in_flight.push(InFlight {
            changes,
            undo,
            is_undone: false,
        });
    }

    /// Ends an answered write, and returns which it was.
    pub(in crate::app) fn finish_write(
        &mut self,
        changes: &[ListChange],
        is_written: bool,
    ) -> FinishedWrite {
        let is_it = |order: &InFlight| order.changes == changes;
        if let Some(at) = self.in_flight.iter().position(is_it) {
            let InFlight {
                undo, is_undone, ..
            } = self.in_flight.remove(at);
            if is_undone && !is_written {
                self.failed_undos.push(undo);
            }
            return FinishedWrite::Done { is_undone };
        }
        let is_void = self.take_failed_undo(changes);
        match self.take_restoring(changes) {
            _ if is_void => FinishedWrite::UndoOfFailedWrite,
            Some(labels) => FinishedWrite::LabelsRestored(labels),
            None => FinishedWrite::Done { is_undone: false },
        }
    }

    /// Reports whether a removal of the task is in flight and not undone.
    pub(in crate::app) fn is_removing(&self, task: &TaskId) -> bool {
        let last =
            self.in_flight.iter().rev().find(
                |order| matches!(&order.undo, UndoStep::Removal(tasks) if tasks.contains(task)),
            );
        last.is_some_and(|order| !order.is_undone)
    }

    /// Returns the label a task has after the writes in flight.
    pub(in crate::app) fn label_after_writes(
        &self,
        task: &TaskId,
        mut label: Option<CleanText>,
    ) -> Option<CleanText> {
        for order in &self.in_flight {
            if let (UndoStep::Labels(before), true) = (&order.undo, order.is_undone) {
                let own = before.iter().find(|(id, _)| id == task);
                label = own.map_or(label, |(_, before)| before.clone());
                continue;
            }
            for change in &order.changes {
                if let ListChange::Label {
                    task: id,
                    label: new,
                    ..
                } = change
                    && id == task
                {
                    label.clone_from(new);
                }
            }
        }
        label
    }

    /// Takes in the removals of earlier runs: all else was done after them.
    pub(in crate::app) fn add_earlier_removals(&mut self, removals: Vec<Vec<TaskId>>) {
        let removals = removals.into_iter().map(UndoStep::Removal);
        self.done.splice(0..0, removals);
    }

    /// Returns the last change done or ordered; from now on its labels count as being restored.
    pub(in crate::app) fn pop(&mut self) -> Option<UndoStep> {
        let ordered = self
            .in_flight
            .iter_mut()
            .rev()
            .find(|order| !order.is_undone);
        let undo = match ordered {
            Some(order) => {
                order.is_undone = true;
                Some(order.undo.clone())
            }
            None => self.done.pop(),
        };
        if let Some(UndoStep::Labels(labels)) = &undo {
            self.restoring.push(labels.clone());
        }
        undo
    }

    /// Returns the labels that these changes were to bring back, if that is what they were for.
    fn take_restoring(&mut self, changes: &[ListChange]) -> Option<Labels> {
        let is_it = |labels: &Labels| UndoStep::Labels(labels.clone()).is_performed_by(changes);
        let at = self.restoring.iter().position(is_it)?;
        Some(self.restoring.remove(at))
    }

    /// Reports, once, whether these changes undo a write that failed.
    fn take_failed_undo(&mut self, changes: &[ListChange]) -> bool {
        let at = self
            .failed_undos
            .iter()
            .position(|undo| undo.is_performed_by(changes));
        at.map(|at| self.failed_undos.remove(at)).is_some()
    }
}
