//! The settings as checked values, with their defaults.

use std::{path::PathBuf, time::Duration};

use strum::{EnumString, VariantNames};

use super::themes::ThemePalettes;
use crate::{
    app::{keymap::Keymap, notifications::NotificationSettings},
    domain::{
        path_text::PathVariables, preview::PreviewMode, schedule::PollIntervals,
        status::DEFAULT_RETENTION,
    },
};

/// What options, environment variables and base folders say, before the config file is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The config file that was named; it must exist.
    pub config: Option<PathBuf>,
    /// The config file to read if none was named.
    pub default_config: Option<PathBuf>,
    pub profile: Option<String>,
    pub api_url: Option<String>,
    /// The list file.
    pub store: Option<PathBuf>,
    /// The folder of the profiles' lists.
    pub data_folder: Option<PathBuf>,
    /// The home folder, for paths with `~`.
    pub home: Option<PathBuf>,
    /// The variables that paths may contain.
    pub variables: PathVariables,
}

/// The settings that are the same in every profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSettings {
    pub poll_intervals: PollIntervals,
    /// How long the server keeps results.
    pub retention: Duration,
    /// `None` for the user's video folder.
    pub save_folder: Option<PathBuf>,
    /// Whether a video is saved as soon as it is ready.
    pub auto_save: bool,
    /// The command line of the browser; empty for the system default.
    pub browser: Vec<String>,
    pub notifications: NotificationSettings,
    /// Whether clicks select and the wheel scrolls; else the terminal selects text as usual.
    pub mouse: bool,
    pub ascii: AsciiMode,
    pub colours: ThemePalettes,
    pub preview: PreviewMode,
    pub keymap: Keymap,
}

impl Default for UserSettings {
    fn default() -> Self {
        Self {
            poll_intervals: PollIntervals::default(),
            retention: DEFAULT_RETENTION,
            save_folder: None,
            auto_save: false,
            browser: Vec::new(),
            notifications: NotificationSettings::default(),
            mouse: true,
            ascii: AsciiMode::default(),
            colours: ThemePalettes::default(),
            preview: PreviewMode::default(),
            keymap: Keymap::default(),
        }
    }
}

/// Whether only ASCII is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub enum AsciiMode {
    /// Depends on the charset of the locale and on the terminal.
    #[default]
    Auto,
    On,
    Off,
}
