//! The marked tasks, by id, so that marks survive every change of the list.

use std::collections::HashSet;

use crate::domain::task::TaskId;

/// Marked tasks, and the last one the user marked.
#[derive(Debug, Clone, Default)]
pub struct Marks {
    ids: HashSet<TaskId>,
    anchor: Option<TaskId>,
}

impl Marks {
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    pub fn has(&self, id: &TaskId) -> bool {
        self.ids.contains(id)
    }

    /// Returns the marked tasks, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &TaskId> {
        self.ids.iter()
    }

    /// Returns the start of a range: the last task the user marked or unmarked.
    pub const fn anchor(&self) -> Option<&TaskId> {
        self.anchor.as_ref()
    }

    /// Marks or unmarks a task; the next range starts there in both cases.
    pub(in crate::app) fn toggle(&mut self, id: &TaskId) {
        if !self.ids.remove(id) {
            self.ids.insert(id.clone());
        }
        self.anchor = Some(id.clone());
    }

    pub(in crate::app) fn add<'a>(&mut self, ids: impl IntoIterator<Item = &'a TaskId>) {
        for id in ids {
            self.ids.insert(id.clone());
        }
    }

    /// Starts the next range at a task.
    pub(in crate::app) fn anchor_at(&mut self, id: TaskId) {
        self.anchor = Some(id);
    }

    pub(in crate::app) fn remove(&mut self, id: &TaskId) {
        self.ids.remove(id);
        self.anchor.take_if(|anchor| anchor == id);
    }

    pub(in crate::app) fn clear(&mut self) {
        *self = Self::default();
    }
}
