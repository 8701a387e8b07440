//! News of endings: what is told outside the program's own screen, and by which ways.

use crate::domain::{task::TaskId, text::CleanText, time::Mono, watched::Watched};

/// Tells whether the terminal is in front of its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Focus {
    /// The terminal has not said: not all do.
    #[default]
    Unknown,
    /// It is.
    Here,
    /// It is not.
    Away,
}

/// Is a way to tell of endings. Only the title is taken unless another one is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoticeWay {
    /// The window's title, with the counts.
    Title,
    /// The terminal's bell.
    Bell,
    /// The terminal's own notices (OSC 9, 777 or 99); its bell where it has none.
    Terminal,
    /// The desktop's notices.
    Desktop,
}

impl NoticeWay {
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

/// Is what the settings say of notices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoticeSettings {
    /// The ways taken.
    pub ways: Vec<NoticeWay>,
    /// The program to run with its arguments; none when empty.
    pub command: Vec<String>,
}

impl Default for NoticeSettings {
    fn default() -> Self {
        Self {
            ways: vec![NoticeWay::Title],
            command: Vec::new(),
        }
    }
}

impl NoticeSettings {
    /// Reports whether a way is taken.
    pub fn has(&self, way: NoticeWay) -> bool {
        self.ways.contains(&way)
    }
}

/// Is one task that has ended, as far as it is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Which.
    pub task: TaskId,
    /// The sentence about it: `"neon city" is ready.`
    pub sentence: String,
}

/// Is the endings of a short while, which become one notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Burst {
    /// The endings in their order.
    pub endings: Vec<Ending>,
    /// When the notice goes out.
    pub due: Mono,
}

/// Is news on its way out of the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tidings {
    /// What the desktop shows: a title and the rest. Nothing when it is not to show anything.
    pub shown: Option<(String, String)>,
    /// The program to run with its arguments; none when empty.
    pub command: Vec<String>,
    /// What the program is told, as variables of its environment.
    pub facts: Vec<(&'static str, String)>,
}

/// The most tasks listed for a command.
const MAX_LISTED: usize = 50;

/// The longest title or error, in bytes; the same as in a desktop notification.
const MAX_TEXT_LEN: usize = 256;

/// The most bytes in all. Linux fails the start of a program with a variable over 128 KiB
/// (`MAX_ARG_STRLEN`).
const MAX_FACTS_LEN: usize = 60 * 1024;

/// Returns the facts about tasks for a command: one value a line, in the same order in each
/// variable. The length is bounded, so that the command can start; the message says how many are
/// not listed.
pub fn facts(message: &str, tasks: &[&Watched]) -> Vec<(&'static str, String)> {
    let mut len = message.len();
    let values: Vec<_> = tasks
        .iter()
        .take(MAX_LISTED)
        .map(|watched| task_values(watched))
        .take_while(|values| {
            len += values.iter().map(|value| value.len() + 1).sum::<usize>();
            len <= MAX_FACTS_LEN
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
fn task_values(watched: &Watched) -> [String; 5] {
    let link = watched.task.state().videos().next();
    let facts = watched.task.facts();
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
