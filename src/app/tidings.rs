//! News of endings: what is told outside the program's own screen, and by which ways.

use crate::domain::{task::TaskId, time::Mono, watched::Watched};

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

/// Returns the facts about tasks for a program: one value a line where there are several, in the same order.
pub fn facts(message: &str, tasks: &[&Watched]) -> Vec<(&'static str, String)> {
    let lines = |value: &dyn Fn(&Watched) -> String| {
        let values = tasks
            .iter()
            .map(|watched| value(watched).replace('\n', " "));
        values.collect::<Vec<_>>().join("\n")
    };
    let link = |watched: &Watched| {
        let link = watched.task.state().videos().next();
        link.map_or_else(String::new, |url| url.as_str().to_owned())
    };
    let error = |watched: &Watched| {
        let facts = watched.task.facts();
        let parts = [&facts.error_code, &facts.error_message];
        let parts = parts.into_iter().flatten().map(ToString::to_string);
        parts.collect::<Vec<_>>().join(": ")
    };
    vec![
        ("KIETOP_MESSAGE", message.to_owned()),
        ("KIETOP_COUNT", tasks.len().to_string()),
        ("KIETOP_TASK", lines(&|watched| watched.id().to_string())),
        (
            "KIETOP_STATE",
            lines(&|watched| watched.task.state().name().to_owned()),
        ),
        ("KIETOP_TITLE", lines(&|watched| watched.title().to_owned())),
        ("KIETOP_URL", lines(&link)),
        ("KIETOP_ERROR", lines(&error)),
    ]
}
