//! What can be copied of tasks: the text for each choice, or why there is none.

use crate::domain::{
    link::VideoUrl,
    task::{Family, TaskId},
    watched_task::WatchedTask,
};

/// What of a task is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CopyKind {
    /// Its id.
    Id,
    /// The links of its result videos.
    Result,
    /// The links of its input videos.
    Input,
    /// Its prompt.
    Prompt,
    /// All that is known of it, as `kietop list --json` writes it.
    Json,
    /// The command that asks the server after it, without the key.
    Curl,
}

impl CopyKind {
    /// The kinds in the order of the menu.
    pub const ALL: [Self; 6] = [
        Self::Id,
        Self::Result,
        Self::Input,
        Self::Prompt,
        Self::Json,
        Self::Curl,
    ];

    /// Returns what a number of them is called.
    fn count_label(self, count: usize) -> String {
        let (one, many) = match self {
            Self::Id => ("the id", "ids"),
            Self::Result => ("the result link", "result links"),
            Self::Input => ("the original's link", "original links"),
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

    /// Returns why none of so many tasks has one.
    const fn missing_reason(self, tasks: usize) -> &'static str {
        match (self, tasks) {
            (Self::Id | Self::Json | Self::Curl, _) => "no task is selected",
            (Self::Result, 1) => "there is no result link yet",
            (Self::Result, _) => "none of them has a result link yet",
            (Self::Input, 1) => "the server named no input video",
            (Self::Input, _) => "the server named no input video of theirs",
            (Self::Prompt, 1) => "the server told no prompt",
            (Self::Prompt, _) => "the server told no prompt of theirs",
        }
    }
}

/// Something on its way to the clipboard.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyPayload {
    /// What it is called in a sentence: "the id", "3 ids".
    pub name: String,
    /// What is copied.
    pub content: CopyContent,
}

/// What is copied: a text, or tasks that another part has to write down first.
#[derive(Debug, Clone, PartialEq)]
pub enum CopyContent {
    /// Clean text; its line breaks stand between the parts of several tasks, or in a prompt.
    Text(String),
    /// Tasks, to be written as JSON.
    TasksAsJson(Vec<WatchedTask>),
    /// Tasks, to be written as commands.
    TasksAsCurl(Vec<(TaskId, Family)>),
}

impl CopyPayload {
    /// Returns a text with its name.
    pub fn text(what: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            name: what.into(),
            content: CopyContent::Text(text.into()),
        }
    }

    /// Returns that of the tasks, a line or more each; those that have none are passed over.
    pub fn from_tasks(kind: CopyKind, tasks: &[&WatchedTask]) -> Result<Self, &'static str> {
        let lines: Vec<&str> = match kind {
            CopyKind::Id => tasks.iter().map(|watched| watched.id().as_str()).collect(),
            CopyKind::Result => {
                let videos = tasks
                    .iter()
                    .flat_map(|watched| watched.task.state().videos());
                videos.map(VideoUrl::as_str).collect()
            }
            CopyKind::Input => {
                let videos = tasks.iter().flat_map(|watched| watched.task.input_videos());
                videos.map(VideoUrl::as_str).collect()
            }
            CopyKind::Prompt => tasks.iter().filter_map(|watched| prompt(watched)).collect(),
            CopyKind::Json | CopyKind::Curl => return Self::exported(kind, tasks),
        };
        if lines.is_empty() {
            return Err(kind.missing_reason(tasks.len()));
        }
        Ok(Self::text(kind.count_label(lines.len()), lines.join("\n")))
    }

    /// Returns what another part has to write.
    fn exported(kind: CopyKind, tasks: &[&WatchedTask]) -> Result<Self, &'static str> {
        if tasks.is_empty() {
            return Err(kind.missing_reason(tasks.len()));
        }
        let content = if kind == CopyKind::Json {
            CopyContent::TasksAsJson(tasks.iter().map(|watched| (*watched).clone()).collect())
        } else {
            let named = |watched: &&WatchedTask| (watched.id().clone(), watched.task.family());
            CopyContent::TasksAsCurl(tasks.iter().map(named).collect())
        };
        Ok(Self {
            name: kind.count_label(tasks.len()),
            content,
        })
    }
}

fn prompt(watched: &WatchedTask) -> Option<&str> {
    let prompt = watched.task.details().prompt.as_ref()?.as_str();
    (!prompt.is_empty()).then_some(prompt)
}
