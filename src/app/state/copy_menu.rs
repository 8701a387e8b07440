//! The copy menu: one line for each kind of text that can be copied.

use crate::{
    app::copy_payload::{CopyKind, CopyPayload},
    domain::{task::TaskId, watched_task::WatchedTask},
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyMenu {
    tasks: Vec<TaskId>,
    choices: Vec<CopyChoice>,
    cursor: usize,
}

/// A line of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyChoice {
    pub kind: CopyKind,
    /// The name of the text, or the reason why there is none.
    pub label: Result<String, &'static str>,
}

impl CopyMenu {
    pub fn new(tasks: &[&WatchedTask]) -> Self {
        let choice = |kind| CopyChoice {
            kind,
            label: CopyPayload::from_tasks(kind, tasks).map(|payload| payload.name),
        };
        Self {
            tasks: tasks.iter().map(|watched| watched.id().clone()).collect(),
            choices: CopyKind::ALL.map(choice).into(),
            cursor: 0,
        }
    }

    pub fn tasks(&self) -> &[TaskId] {
        &self.tasks
    }

    pub fn choices(&self) -> &[CopyChoice] {
        &self.choices
    }

    pub const fn cursor(&self) -> usize {
        self.cursor
    }

    pub fn chosen(&self) -> Option<CopyKind> {
        self.choices.get(self.cursor).map(|choice| choice.kind)
    }

    /// Moves the cursor; stops at the ends.
    pub fn move_cursor(&mut self, by: isize) {
        self.go_to(self.cursor.saturating_add_signed(by));
    }

    /// Moves the cursor to a line, or to the last one.
    pub fn go_to(&mut self, at: usize) {
        self.cursor = at.min(self.choices.len().saturating_sub(1));
    }
}
