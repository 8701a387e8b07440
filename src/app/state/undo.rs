//! The undo stack: removals, also those of earlier runs, and label changes of this run.

use crate::domain::{
    list_change::{ChangeKind, ListChange},
    task::TaskId,
    text::CleanText,
};

/// The labels of tasks before a change, in the order of that change.
pub(in crate::app) type Labels = Vec<(TaskId, Option<CleanText>)>;

/// A user action that can be undone as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app) enum UndoStep {
    Removal(Vec<TaskId>),
    Labels(Labels),
}

impl UndoStep {
    /// Returns the changes that undo the step.
    pub(in crate::app) fn changes(&self) -> Vec<(TaskId, ChangeKind)> {
        match self {
            Self::Removal(tasks) => {
                let restore = |task: &TaskId| (task.clone(), ChangeKind::Restore);
                tasks.iter().map(restore).collect()
            }
            Self::Labels(labels) => {
                let relabel = |(task, label): &(TaskId, Option<CleanText>)| {
                    (task.clone(), ChangeKind::Label(label.clone()))
                };
                labels.iter().map(relabel).collect()
            }
        }
    }

    /// Reports whether these changes are the undo of this step.
    fn is_performed_by(&self, changes: &[ListChange]) -> bool {
        let undo = self.changes();
        let changes = changes.iter().map(|change| (&change.task, &change.kind));
        undo.iter().map(|(task, kind)| (task, kind)).eq(changes)
    }
}

/// An unanswered write that can be undone.
#[derive(Debug, Clone)]
struct InFlight {
    changes: Vec<ListChange>,
    undo: UndoStep,
    /// Whether its undo is already queued behind it.
    is_undone: bool,
}

/// An answered write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app) enum FinishedWrite {
    /// A user's write, or one that cannot be undone; its undo may be queued behind it.
    Done {
        is_undone: bool,
    },
    LabelsRestored(Labels),
    UndoOfFailedWrite,
}

/// The steps that can be undone.
#[derive(Debug, Clone, Default)]
pub(in crate::app) struct UndoStack {
    done: Vec<UndoStep>,
    /// Unanswered writes, oldest first; all are newer than `done`.
    in_flight: Vec<InFlight>,
    /// Label changes being undone, one entry for each key press, because the disk may be slower
    /// than the user. Undoing adds no new undo step.
    restoring: Vec<Labels>,
    /// Unanswered undos of writes that failed, which have nothing to undo.
    failed_undos: Vec<UndoStep>,
}

impl UndoStack {
    pub(in crate::app) fn is_empty(&self) -> bool {
        self.done.is_empty() && self.in_flight.iter().all(|write| write.is_undone)
    }

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

    /// Removes an answered write and returns its kind.
    pub(in crate::app) fn finish_write(
        &mut self,
        changes: &[ListChange],
        is_written: bool,
    ) -> FinishedWrite {
        let is_match = |write: &InFlight| write.changes == changes;
        if let Some(index) = self.in_flight.iter().position(is_match) {
            let InFlight {
                undo, is_undone, ..
            } = self.in_flight.remove(index);
            if is_undone && !is_written {
                self.failed_undos.push(undo);
            }
            return FinishedWrite::Done { is_undone };
        }
        let is_undo_of_failed = self.take_failed_undo(changes);
        match self.take_restoring(changes) {
            _ if is_undo_of_failed => FinishedWrite::UndoOfFailedWrite,
            Some(labels) => FinishedWrite::LabelsRestored(labels),
            None => FinishedWrite::Done { is_undone: false },
        }
    }

    /// Reports whether a removal of the task is in flight and not undone.
    pub(in crate::app) fn is_removing(&self, task: &TaskId) -> bool {
        let last =
            self.in_flight.iter().rev().find(
                |write| matches!(&write.undo, UndoStep::Removal(tasks) if tasks.contains(task)),
            );
        last.is_some_and(|write| !write.is_undone)
    }

    /// Returns the label that a task will have after the writes in flight.
    pub(in crate::app) fn label_after_writes(
        &self,
        task: &TaskId,
        mut label: Option<CleanText>,
    ) -> Option<CleanText> {
        for write in &self.in_flight {
            if let (UndoStep::Labels(before), true) = (&write.undo, write.is_undone) {
                let own = before.iter().find(|(id, _)| id == task);
                label = own.map_or(label, |(_, before)| before.clone());
                continue;
            }
            for change in &write.changes {
                if let ChangeKind::Label(new) = &change.kind
                    && change.task == *task
                {
                    label.clone_from(new);
                }
            }
        }
        label
    }

    /// Adds the removals of earlier runs, below all steps of this run.
    pub(in crate::app) fn add_earlier_removals(&mut self, removals: Vec<Vec<TaskId>>) {
        let removals = removals.into_iter().map(UndoStep::Removal);
        self.done.splice(0..0, removals);
    }

    /// Returns the last step, written or in flight; labels in it count as being restored from now
    /// on.
    pub(in crate::app) fn pop(&mut self) -> Option<UndoStep> {
        let in_flight = self
            .in_flight
            .iter_mut()
            .rev()
            .find(|write| !write.is_undone);
        let undo = match in_flight {
            Some(write) => {
                write.is_undone = true;
                Some(write.undo.clone())
            }
            None => self.done.pop(),
        };
        if let Some(UndoStep::Labels(labels)) = &undo {
            self.restoring.push(labels.clone());
        }
        undo
    }

    /// Removes and returns the label restoration that these changes perform.
    fn take_restoring(&mut self, changes: &[ListChange]) -> Option<Labels> {
        let is_match = |labels: &Labels| UndoStep::Labels(labels.clone()).is_performed_by(changes);
        let index = self.restoring.iter().position(is_match)?;
        Some(self.restoring.remove(index))
    }

    /// Reports, only once, whether these changes undo a write that failed.
    fn take_failed_undo(&mut self, changes: &[ListChange]) -> bool {
        let index = self
            .failed_undos
            .iter()
            .position(|undo| undo.is_performed_by(changes));
        index.map(|index| self.failed_undos.remove(index)).is_some()
    }
}
