//! Which tasks are marked. By id, so that marks survive whatever the list goes through; knows no
//! list.

use std::collections::HashSet;

use crate::domain::task::TaskId;

/// The set of marked tasks, with the last one marked by hand.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    ids: HashSet<TaskId>,
    anchor: Option<TaskId>,
}

impl Marks {
    /// Returns how many tasks are marked.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Reports whether none is.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Reports whether a task is marked.
    pub fn has(&self, id: &TaskId) -> bool {
        self.ids.contains(id)
    }

    /// Returns the marked tasks, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &TaskId> {
        self.ids.iter()
    }

    /// Returns where a range begins: the last task marked by hand.
    pub const fn anchor(&self) -> Option<&TaskId> {
        self.anchor.as_ref()
    }

    /// Marks a task, or takes its mark off; a range begins there in both cases.
    pub(in crate::app) fn toggle(&mut self, id: &TaskId) {
        if !self.ids.remove(id) {
            self.ids.insert(id.clone());
        }
        self.anchor = Some(id.clone());
    }

    /// Marks these tasks.
    pub(in crate::app) fn add<'a>(&mut self, ids: impl IntoIterator<Item = &'a TaskId>) {
        for id in ids {
            self.ids.insert(id.clone());
        }
    }

    /// Lets the next range begin at a task.
    pub(in crate::app) fn anchor_at(&mut self, id: TaskId) {
        self.anchor = Some(id);
    }

    /// Takes the mark of a task off.
    pub(in crate::app) fn remove(&mut self, id: &TaskId) {
        self.ids.remove(id);
        self.anchor.take_if(|anchor| anchor == id);
    }

    /// Takes every mark off.
    pub(in crate::app) fn clear(&mut self) {
        *self = Self::default();
    }
}
