//! The editor for the label of one or more tasks.

use tui_input::{Input, InputRequest};

use super::line;
use crate::domain::{
    task::TaskId,
    text::CleanText,
    watched_task::{MAX_LABEL_LEN, WatchedTask},
};

/// The editor for the label of one or more tasks.
#[derive(Debug, Clone)]
pub struct LabelEditor {
    tasks: Vec<TaskId>,
    input: Input,
    is_mixed: bool,
}

impl LabelEditor {
    /// Opens the editor for some tasks, with their common label.
    pub fn new(tasks: &[&WatchedTask]) -> Self {
        let mut labels = tasks.iter().map(|watched| watched.label.as_ref());
        let first = labels.next().flatten();
        let is_mixed = labels.any(|label| label != first);
        let shared = first.filter(|_| !is_mixed).map_or("", CleanText::as_str);
        Self {
            tasks: tasks.iter().map(|watched| watched.id().clone()).collect(),
            input: Input::from(shared),
            is_mixed,
        }
    }

    /// Reopens the editor with a typed label, as after a failed write.
    pub fn reopen(tasks: Vec<TaskId>, label: Option<&CleanText>) -> Self {
        Self {
            tasks,
            input: label.map_or_else(Input::default, |label| Input::from(label.as_str())),
            is_mixed: false,
        }
    }

    pub fn tasks(&self) -> &[TaskId] {
        &self.tasks
    }

    pub const fn input(&self) -> &Input {
        &self.input
    }

    /// Reports whether the tasks had different labels when the editor was opened.
    pub const fn is_mixed(&self) -> bool {
        self.is_mixed
    }

    /// Returns the typed label; `None` if it is empty.
    pub fn label(&self) -> Option<CleanText> {
        let label = CleanText::line(self.input.value(), MAX_LABEL_LEN);
        (!label.is_empty()).then_some(label)
    }

    pub fn insert(&mut self, c: char) {
        line::insert(&mut self.input, c, MAX_LABEL_LEN);
    }

    /// Pastes text as one line.
    pub fn paste(&mut self, text: &str) {
        line::paste(&mut self.input, text, MAX_LABEL_LEN);
    }

    pub fn edit(&mut self, edit: InputRequest) {
        self.input.handle(edit);
    }
}
