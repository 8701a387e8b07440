//! Notifications of finished tasks: channels, settings, batches and the variables for a command.

use crate::{
    domain::{task::TaskId, text::CleanText, time::Mono, watched_task::WatchedTask},
    messages::dialogs::with_unlisted,
};

/// The keyboard focus of the terminal, as it reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TerminalFocus {
    /// Not reported; some terminals never do.
    #[default]
    Unknown,
    Focused,
    Unfocused,
}

/// A way to notify the user. Only the title is on by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotifyChannel {
    /// The window title, with the counts.
    Title,
    Bell,
    /// Terminal notifications (OSC 9, 777 or 99); the bell if the terminal supports none.
    Terminal,
    Desktop,
}

impl NotifyChannel {
    /// All channels in the order of the settings.
    pub const ALL: [Self; 4] = [Self::Title, Self::Bell, Self::Terminal, Self::Desktop];

    /// Returns the name in the settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Bell => "bell",
            Self::Terminal => "terminal",
            Self::Desktop => "desktop",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationSettings {
    pub channels: Vec<NotifyChannel>,
    /// The program and its arguments; empty if none is set.
    pub command: Vec<String>,
}

impl Default for NotificationSettings {
    fn default() -> Self {
        Self {
            channels: vec![NotifyChannel::Title],
            command: Vec::new(),
        }
    }
}

impl NotificationSettings {
    pub fn uses(&self, channel: NotifyChannel) -> bool {
        self.channels.contains(&channel)
    }
}

/// A finished task in a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedTask {
    pub task: TaskId,
    /// Such as `"neon city" is ready.`
    pub sentence: String,
}

/// Tasks that finished within a short time; they share one notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationBatch {
    pub finished: Vec<FinishedTask>,
    /// When to send the notification.
    pub due: Mono,
}

/// A desktop notification, a command to run, or both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The title and the body; `None` if the desktop shows nothing.
    pub desktop: Option<(String, String)>,
    /// The program and its arguments; empty if none is set.
    pub command: Vec<String>,
    /// The command's environment variables.
    pub variables: Vec<(&'static str, String)>,
}

/// Maximum number of tasks listed for a command.
const MAX_LISTED: usize = 50;

/// Maximum length of a title or an error, in bytes; the same as in a desktop notification.
const MAX_TEXT_LEN: usize = 256;

/// Maximum length of all variables, in bytes. Linux cannot start a program with a variable over 128
/// KiB (`MAX_ARG_STRLEN`).
const MAX_VARIABLES_LEN: usize = 60 * 1024;

/// Returns the environment variables of a command: one line for each task, in the same order in
/// each variable. The length is bounded, so that the command can start; the message gives the
/// number of tasks that are not listed.
pub fn command_variables(message: &str, tasks: &[&WatchedTask]) -> Vec<(&'static str, String)> {
    let mut len = message.len();
    let values: Vec<_> = tasks
        .iter()
        .take(MAX_LISTED)
        .map(|watched| task_values(watched))
        .take_while(|values| {
            len += values.iter().map(|value| value.len() + 1).sum::<usize>();
            len <= MAX_VARIABLES_LEN
        })
        .collect();
    let message = with_unlisted(message, tasks.len() - values.len());
    let names = [
        "KIETOP_TASK",
        "KIETOP_STATE",
        "KIETOP_TITLE",
        "KIETOP_URL",
        "KIETOP_ERROR",
    ];
    let mut lines = names.map(|_| Vec::with_capacity(values.len()));
    let count = values.len().to_string();
    for task in values {
        for (lines, value) in lines.iter_mut().zip(task) {
            lines.push(value);
        }
    }
    let header = [("KIETOP_MESSAGE", message), ("KIETOP_COUNT", count)];
    let listed = lines.map(|lines| lines.join("\n"));
    header
        .into_iter()
        .chain(names.into_iter().zip(listed))
        .collect()
}

/// Returns a task's id, state, title, link and error, each on one line.
fn task_values(watched: &WatchedTask) -> [String; 5] {
    let link = watched.task.state().videos().next();
    let details = watched.task.details();
    let parts = [&details.error_code, &details.error_message];
    let parts = parts.into_iter().flatten().map(ToString::to_string);
    let error = parts.collect::<Vec<_>>().join(": ");
    let short = |text: &str| CleanText::line(text, MAX_TEXT_LEN).to_string();
    [
        watched.id().to_string(),
        watched.task.state().name().to_owned(),
        short(watched.title()),
        link.map_or_else(String::new, |url| url.as_str().to_owned()),
        short(&error),
    ]
}
