//! What a person did and can take back, the last first: removals, those of earlier runs too, and labels of this run.

use crate::domain::{change::Change, task::TaskId, text::CleanText};

/// Is what tasks were called before they were called something else, in the order of that change.
pub(in crate::app) type Labels = Vec<(TaskId, Option<CleanText>)>;

/// Is one thing that can be taken back, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::app) enum Undo {
    /// The removal of these tasks.
    Removal(Vec<TaskId>),
    /// The labels given to tasks.
    Labels(Labels),
}

/// Holds what can be taken back.
#[derive(Debug, Clone, Default)]
pub(in crate::app) struct Undos {
    done: Vec<Undo>,
    /// The labels that are being brought back, those of each press: that is no new thing to take back. The disk may be
    /// slower than the presses.
    returning: Vec<Labels>,
}

impl Undos {
    /// Reports whether there is nothing to take back.
    pub(in crate::app) const fn is_empty(&self) -> bool {
        self.done.is_empty()
    }

    /// Notes what was done.
    pub(in crate::app) fn push(&mut self, undo: Undo) {
        self.done.push(undo);
    }

    /// Takes in the removals of earlier runs: all else was done after them.
    pub(in crate::app) fn recall(&mut self, removals: Vec<Vec<TaskId>>) {
        let removals = removals.into_iter().map(Undo::Removal);
        self.done.splice(0..0, removals);
    }

    /// Returns the last thing done; labels count as returning from now on.
    pub(in crate::app) fn pop(&mut self) -> Option<Undo> {
        let undo = self.done.pop();
        if let Some(Undo::Labels(labels)) = &undo {
            self.returning.push(labels.clone());
        }
        undo
    }

    /// Returns the labels that these changes were to bring back, if that is what they were for.
    pub(in crate::app) fn take_returning(&mut self, changes: &[Change]) -> Option<Labels> {
        let at = self.returning.iter().position(|labels| {
            labels.len() == changes.len()
                && labels.iter().zip(changes).all(|((id, before), change)| {
                    matches!(change, Change::Label { task, label, .. } if task == id && label == before)
                })
        })?;
        Some(self.returning.remove(at))
    }
}
