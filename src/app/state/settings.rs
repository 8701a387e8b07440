//! The settings of the dashboard, fixed at start.

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

/// Maximum length of a displayed path, in bytes.
const MAX_PATH_LEN: usize = 1024;

/// The settings of the dashboard, fixed at start.
#[derive(Debug, Clone)]
pub struct AppSettings {
    /// The list's name in the header: a profile's name, or "demo"; empty for none.
    pub name: String,
    pub poll_intervals: PollIntervals,
    /// How long the server keeps results.
    pub retention: Duration,
    /// Local time zone.
    pub time_zone: TimeZone,
    /// Seed of the jitter, different in every instance.
    pub seed: u64,
    pub access: AccessMode,
    pub keymap: Keymap,
    pub preview_mode: PreviewMode,
    /// Empty if no folder is known; the user must type one then.
    pub save_folder: PathBuf,
    /// Whether results are downloaded as soon as they are ready.
    pub auto_save: bool,
    /// The user's home directory, for `~`.
    pub home: Option<PathBuf>,
    /// Environment variables that a typed folder may contain.
    pub variables: PathVariables,
    /// The base of a typed relative folder.
    pub working_dir: PathBuf,
    /// The demo's spare ids, suggested in the empty list and in the add dialog.
    pub suggestions: Vec<TaskId>,
    pub notifications: NotificationSettings,
    pub api_key: ApiKeyStatus,
    /// The API key and its encodings, which are never taken for task ids.
    pub secrets: KnownSecrets,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ApiKeyStatus {
    /// A key is set, or the settings say where to read it.
    #[default]
    Configured,
    /// No key is set, and none can be added while the program runs.
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
    /// Returns a path for display: sanitised, with the home directory as `~`.
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
