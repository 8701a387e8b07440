//! News of endings: what is told outside the program's own screen, and by which ways.

use crate::domain::{task::TaskId, text::CleanText, time::Mono, watched_task::WatchedTask};

/// Whether the terminal is in front of its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TerminalFocus {
    /// The terminal has not said: not all do.
    #[default]
    Unknown,
    /// It is.
    Focused,
    /// It is not.
    Unfocused,
}

/// A way to tell of endings. Only the title is taken unless another one is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotifyChannel {
    /// The window's title, with the counts.
    Title,
    /// The terminal's bell.
    Bell,
    /// The terminal's own notices (OSC 9, 777 or 99); its bell where it has none.
    Terminal,
    /// The desktop's notices.
    Desktop,
}

impl NotifyChannel {
    /// The ways in the order of the settings.
    pub const ALL: [Self; 4] = [Self::Title, Self::Bell, Self::Terminal, Self::Desktop];

    /// Returns the way's name in the settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Bell => "bell",
            Self::Terminal => "terminal",
            Self::Desktop => "desktop",
        }
    }
}

/// What the settings say of notices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationSettings {
    /// The ways taken.
    pub channels: Vec<NotifyChannel>,
    /// The program to run with its arguments; none when empty.
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
    /// Reports whether a way is taken.
    pub fn uses(&self, way: NotifyChannel) -> bool {
        self.channels.contains(&way)
    }
}

/// One task that has ended, as far as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedTask {
    /// Which.
    pub task: TaskId,
    /// The sentence about it: `"neon city" is ready.`
    pub sentence: String,
}

/// The endings of a short while, which become one notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotificationBatch {
    /// The endings in their order.
    pub finished: Vec<FinishedTask>,
    /// When the notice goes out.
    pub due: Mono,
}

/// News on its way out of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// What the desktop shows: a title and the rest. Nothing when it is not to show anything.
    pub desktop: Option<(String, String)>,
    /// The program to run with its arguments; none when empty.
    pub command: Vec<String>,
    /// What the program is told, as variables of its environment.
    pub variables: Vec<(&'static str, String)>,
}

/// The most tasks listed for a command.
const MAX_LISTED: usize = 50;

/// The longest title or error, in bytes; the same as in a desktop notification.
const MAX_TEXT_LEN: usize = 256;

/// The most bytes in all. Linux fails the start of a program with a variable over 128 KiB
/// (`MAX_ARG_STRLEN`).
const MAX_VARIABLES_LEN: usize = 60 * 1024;

/// Returns the facts about tasks for a command: one value a line, in the same order in each
/// variable. The length is bounded, so that the command can start; the message says how many are
/// not listed.
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
    let message = match tasks.len() - values.len() {
        0 => message.to_owned(),
        more => format!("{message} (and {more} more, not listed)"),
    };
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
    let head = [("KIETOP_MESSAGE", message), ("KIETOP_COUNT", count)];
    let listed = lines.map(|lines| lines.join("\n"));
    head.into_iter()
        .chain(names.into_iter().zip(listed))
        .collect()
}

/// Returns a task's id, state, title, link and error, each on one line.
fn task_values(watched: &WatchedTask) -> [String; 5] {
    let link = watched.task.state().videos().next();
    let facts = watched.task.details();
    let parts = [&facts.error_code, &facts.error_message];
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
