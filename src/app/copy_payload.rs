//! The text that each choice of the copy menu copies, or the reason why there is none.

use crate::{
    domain::{
        link::VideoUrl,
        task::{Family, TaskId},
        watched_task::WatchedTask,
    },
    messages::dialogs,
};

/// A choice of the copy menu.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CopyKind {
    Id,
    Result,
    Input,
    Prompt,
    /// The whole task, as `kietop list --json` writes it.
    Json,
    /// A command that requests the task from the server, without the API key.
    Curl,
}

impl CopyKind {
    /// All kinds in the order of the menu.
    pub const ALL: [Self; 6] = [
        Self::Id,
        Self::Result,
        Self::Input,
        Self::Prompt,
        Self::Json,
        Self::Curl,
    ];

    /// Returns the label for a number of copied items: "the id", "3 ids".
    fn count_label(self, count: usize) -> String {
        let (one, many) = match self {
            Self::Id => ("the id", "ids"),
            Self::Result => ("the result link", "result links"),
            Self::Input => ("the input link", "input links"),
            Self::Prompt => ("the prompt", "prompts"),
            Self::Json => ("the JSON", "tasks as JSON"),
            Self::Curl => ("the curl command", "curl commands"),
        };
        if count == 1 {
            one.to_owned()
        } else {
            format!("{count} {many}")
        }
    }

    /// Returns the reason why none of the tasks has an item of this kind.
    const fn missing_reason(self, tasks: usize) -> &'static str {
        match self {
            Self::Id | Self::Json | Self::Curl => dialogs::NO_TASK_SELECTED,
            Self::Result => dialogs::no_result_link(tasks),
            Self::Input => dialogs::no_input_video(tasks),
            Self::Prompt => dialogs::no_prompt(tasks),
        }
    }
}

/// A text to put on the clipboard.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyPayload {
    /// Its name in a sentence: "the id", "3 ids".
    pub name: String,
    pub content: CopyContent,
}

/// The content: a text, or tasks that the effect runner exports first.
#[derive(Debug, Clone, PartialEq)]
pub enum CopyContent {
    /// Sanitised text. Line breaks separate tasks, or belong to a prompt.
    Text(String),
    TasksAsJson(Vec<WatchedTask>),
    TasksAsCurl(Vec<(TaskId, Family)>),
}

impl CopyPayload {
    pub fn text(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            content: CopyContent::Text(text.into()),
        }
    }

    /// Collects the items of some tasks, one or more lines each; tasks without one are skipped.
    pub fn from_tasks(kind: CopyKind, tasks: &[&WatchedTask]) -> Result<Self, &'static str> {
        let tasks_iter = tasks.iter().copied();
        let lines: Vec<&str> = match kind {
            CopyKind::Id | CopyKind::Json | CopyKind::Curl => {
                tasks_iter.map(|watched| watched.id().as_str()).collect()
            }
            CopyKind::Result => tasks_iter
                .flat_map(|watched| watched.task.state().videos())
                .map(VideoUrl::as_str)
                .collect(),
            CopyKind::Input => tasks_iter
                .flat_map(|watched| watched.task.input_videos())
                .map(VideoUrl::as_str)
                .collect(),
            CopyKind::Prompt => tasks_iter.filter_map(prompt).collect(),
        };
        if lines.is_empty() {
            return Err(kind.missing_reason(tasks.len()));
        }
        let id_and_family = |watched: &&WatchedTask| (watched.id().clone(), watched.task.family());
        Ok(Self {
            name: kind.count_label(lines.len()),
            content: match kind {
                CopyKind::Json => {
                    CopyContent::TasksAsJson(tasks.iter().copied().cloned().collect())
                }
                CopyKind::Curl => {
                    CopyContent::TasksAsCurl(tasks.iter().map(id_and_family).collect())
                }
                CopyKind::Id | CopyKind::Result | CopyKind::Input | CopyKind::Prompt => {
                    CopyContent::Text(lines.join("\n"))
                }
            },
        })
    }
}

fn prompt(watched: &WatchedTask) -> Option<&str> {
    let prompt = watched.task.details().prompt.as_ref()?.as_str();
    (!prompt.is_empty()).then_some(prompt)
}
