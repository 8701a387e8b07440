//! What is set at the start and never changes.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::tz::TimeZone;

use crate::{
    app::{keymap::Keymap, notifications::NotificationSettings},
    domain::{
        id_extract::KnownSecrets, list_change::AccessMode, path_text::PathVariables,
        preview::PreviewMode, schedule::PollIntervals, status::DEFAULT_RETENTION, task::TaskId,
        text::CleanText,
    },
};

/// The longest path shown, in bytes.
const MAX_PATH_LEN: usize = 1024;

/// What the program was started with.
#[derive(Debug, Clone)]
pub struct AppSettings {
    /// What the header calls this list: a profile's name, "demo"; empty for none.
    pub name: String,
    /// How often tasks are asked after.
    pub poll_intervals: PollIntervals,
    /// How long results live.
    pub retention: Duration,
    /// Where the user's clock hangs.
    pub time_zone: TimeZone,
    /// Sets the spread of waits; another one in every instance.
    pub seed: u64,
    /// Whether the list may be changed.
    pub access: AccessMode,
    /// What the keys mean.
    pub keymap: Keymap,
    /// Whether pictures are shown, and how.
    pub preview_mode: PreviewMode,
    /// Where videos are saved; empty if no folder is known, so the user must type one.
    pub save_folder: PathBuf,
    /// Whether a result is saved as soon as it is made.
    pub auto_save: bool,
    /// The user's home, which `~` stands for.
    pub home: Option<PathBuf>,
    /// The variables a typed folder may contain.
    pub variables: PathVariables,
    /// Where the program was started: a folder typed without a root begins there.
    pub working_dir: PathBuf,
    /// Ids worth trying, named where the list is empty and in the add dialog: the demo's spare
    /// ones.
    pub suggestions: Vec<TaskId>,
    /// How endings are told of.
    pub notifications: NotificationSettings,
    /// Whether there is a key to ask with.
    pub api_key: ApiKeyStatus,
    /// The API key and its spellings, never taken for ids.
    pub secrets: KnownSecrets,
}

/// Whether there is a key to ask with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ApiKeyStatus {
    /// There is, or the settings say where to read it.
    #[default]
    Configured,
    /// There is none, and none can come while the program runs.
    Missing,
}

impl Default for AppSettings {
    fn default() -> Self {
        Self {
            name: String::new(),
            poll_intervals: PollIntervals::default(),
            retention: DEFAULT_RETENTION,
            time_zone: TimeZone::UTC,
            seed: 0,
            access: AccessMode::default(),
            keymap: Keymap::default(),
            preview_mode: PreviewMode::Off,
            save_folder: PathBuf::from("."),
            auto_save: false,
            home: None,
            variables: PathVariables::default(),
            working_dir: PathBuf::from("."),
            suggestions: Vec::new(),
            notifications: NotificationSettings::default(),
            api_key: ApiKeyStatus::default(),
            secrets: KnownSecrets::default(),
        }
    }
}

impl AppSettings {
    /// Returns a path for a sentence: clean, with the home as `~`.
    pub fn display_path(&self, path: &Path) -> String {
        let rest = self
            .home
            .as_ref()
            .and_then(|home| path.strip_prefix(home).ok());
        let text = match rest {
            Some(rest) => Path::new("~").join(rest).to_string_lossy().into_owned(),
            None => path.to_string_lossy().into_owned(),
        };
        CleanText::line(&text, MAX_PATH_LEN).as_str().to_owned()
    }
}
