//! What can be copied of tasks: the text for each choice, or why there is none.

use crate::domain::{
    link::VideoUrl,
    task::{Family, TaskId},
    watched::Watched,
};

/// Tells what of a task is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CopyKind {
    /// Its id.
    Id,
    /// The links of its result videos.
    Result,
    /// The links of its input videos.
    Original,
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
        Self::Original,
        Self::Prompt,
        Self::Json,
        Self::Curl,
    ];

    /// Returns what a number of them is called.
    fn named(self, count: usize) -> String {
        let (one, many) = match self {
            Self::Id => ("the id", "ids"),
            Self::Result => ("the result link", "result links"),
            Self::Original => ("the original's link", "original links"),
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
    const fn missing(self, tasks: usize) -> &'static str {
        match (self, tasks) {
            (Self::Id | Self::Json | Self::Curl, _) => "no task is selected",
            (Self::Result, 1) => "there is no result link yet",
            (Self::Result, _) => "none of them has a result link yet",
            (Self::Original, 1) => "the server named no input video",
            (Self::Original, _) => "the server named no input video of theirs",
            (Self::Prompt, 1) => "the server told no prompt",
            (Self::Prompt, _) => "the server told no prompt of theirs",
        }
    }
}

/// Is something on its way to the clipboard.
#[derive(Debug, Clone, PartialEq)]
pub struct Clip {
    /// What it is called in a sentence: "the id", "3 ids".
    pub what: String,
    /// What is copied.
    pub content: ClipContent,
}

/// Is what is copied: a text, or tasks that another part has to write down first.
#[derive(Debug, Clone, PartialEq)]
pub enum ClipContent {
    /// Clean text; its line breaks stand between the parts of several tasks, or in a prompt.
    Text(String),
    /// Tasks, to be written as JSON.
    Records(Vec<Watched>),
    /// Tasks, to be written as commands.
    Commands(Vec<(TaskId, Family)>),
}

impl Clip {
    /// Returns a text with its name.
    pub fn text(what: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            content: ClipContent::Text(text.into()),
        }
    }

    /// Returns that of the tasks, a line or more each; those that have none are passed over.
    pub fn of(kind: CopyKind, tasks: &[&Watched]) -> Result<Self, &'static str> {
        let lines: Vec<&str> = match kind {
            CopyKind::Id => tasks.iter().map(|watched| watched.id().as_str()).collect(),
            CopyKind::Result => {
                let videos = tasks
                    .iter()
                    .flat_map(|watched| watched.task.state().videos());
                videos.map(VideoUrl::as_str).collect()
            }
            CopyKind::Original => {
                let videos = tasks.iter().flat_map(|watched| watched.task.originals());
                videos.map(VideoUrl::as_str).collect()
            }
            CopyKind::Prompt => tasks.iter().filter_map(|watched| prompt(watched)).collect(),
            CopyKind::Json | CopyKind::Curl => return Self::written(kind, tasks),
        };
        if lines.is_empty() {
            return Err(kind.missing(tasks.len()));
        }
        Ok(Self::text(kind.named(lines.len()), lines.join("\n")))
    }

    /// Returns what another part has to write.
    fn written(kind: CopyKind, tasks: &[&Watched]) -> Result<Self, &'static str> {
        if tasks.is_empty() {
            return Err(kind.missing(tasks.len()));
        }
        let content = if kind == CopyKind::Json {
            ClipContent::Records(tasks.iter().map(|watched| (*watched).clone()).collect())
        } else {
            let named = |watched: &&Watched| (watched.id().clone(), watched.task.family());
            ClipContent::Commands(tasks.iter().map(named).collect())
        };
        Ok(Self {
            what: kind.named(tasks.len()),
            content,
        })
    }
}

fn prompt(watched: &Watched) -> Option<&str> {
    let prompt = watched.task.facts().prompt.as_ref()?.as_str();
    (!prompt.is_empty()).then_some(prompt)
}
