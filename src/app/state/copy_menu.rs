//! The small boxes above the list: the copy menu and the label editor.

use tui_input::Input;

use super::line;
use crate::{
    app::copy_payload::{CopyKind, CopyPayload},
    domain::{
        task::TaskId,
        text::CleanText,
        watched_task::{MAX_LABEL_LEN, WatchedTask},
    },
};

/// The menu of what can be copied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyMenu {
    tasks: Vec<TaskId>,
    choices: Vec<CopyChoice>,
    cursor: usize,
}

/// One line of the menu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyChoice {
    /// What it copies.
    pub kind: CopyKind,
    /// What that is called, or why there is none.
    pub label: Result<String, &'static str>,
}

impl CopyMenu {
    /// Returns the menu for those tasks.
    pub fn new(tasks: &[&WatchedTask]) -> Self {
        let choice = |kind| CopyChoice {
            kind,
            label: CopyPayload::from_tasks(kind, tasks).map(|clip| clip.name),
        };
        Self {
            tasks: tasks.iter().map(|watched| watched.id().clone()).collect(),
            choices: CopyKind::ALL.map(choice).into(),
            cursor: 0,
        }
    }

    /// Returns the tasks it is about.
    pub fn tasks(&self) -> &[TaskId] {
        &self.tasks
    }

    /// Returns its lines.
    pub fn choices(&self) -> &[CopyChoice] {
        &self.choices
    }

    /// Returns which line is under the cursor.
    pub const fn cursor(&self) -> usize {
        self.cursor
    }

    /// Returns what the line under the cursor copies.
    pub fn chosen(&self) -> Option<CopyKind> {
        self.choices.get(self.cursor).map(|choice| choice.kind)
    }

    /// Moves the cursor, held at the ends.
    pub fn move_cursor(&mut self, by: isize) {
        self.go_to(self.cursor.saturating_add_signed(by));
    }

    /// Puts the cursor on that line, or the last one.
    pub fn go_to(&mut self, at: usize) {
        self.cursor = at.min(self.choices.len().saturating_sub(1));
    }
}

/// The editor of the label of one task or of several.
#[derive(Debug, Clone)]
pub struct LabelEditor {
    tasks: Vec<TaskId>,
    input: Input,
    is_mixed: bool,
}

impl LabelEditor {
    /// Returns the editor for those tasks, with the label they share.
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

    /// Returns the editor with what was typed in it before, as after a write that failed.
    pub fn reopen(tasks: Vec<TaskId>, label: Option<&CleanText>) -> Self {
        Self {
            tasks,
            input: label.map_or_else(Input::default, |label| Input::from(label.as_str())),
            is_mixed: false,
        }
    }

    /// Returns the tasks it is about.
    pub fn tasks(&self) -> &[TaskId] {
        &self.tasks
    }

    /// Returns the line.
    pub const fn input(&self) -> &Input {
        &self.input
    }

    /// Reports whether the tasks have different labels at present.
    pub const fn is_mixed(&self) -> bool {
        self.is_mixed
    }

    /// Returns the label typed; nothing when the line is empty.
    pub fn label(&self) -> Option<CleanText> {
        let label = CleanText::line(self.input.value(), MAX_LABEL_LEN);
        (!label.is_empty()).then_some(label)
    }

    /// Types a character.
    pub fn insert(&mut self, c: char) {
        line::insert(&mut self.input, c, MAX_LABEL_LEN);
    }

    /// Pastes text, as one line.
    pub fn paste(&mut self, text: &str) {
        line::paste(&mut self.input, text, MAX_LABEL_LEN);
    }

    /// Edits the line.
    pub fn edit(&mut self, edit: tui_input::InputRequest) {
        self.input.handle(edit);
    }
}
