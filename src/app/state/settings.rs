//! What is set at the start and never changes.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::tz::TimeZone;

use crate::{
    app::{keymap::Keymap, tidings::NoticeSettings},
    domain::{
        change::Access, id_extract::KnownSecrets, path_text::PathVariables, picture::Preview,
        schedule::Pace, status::RETENTION, task::TaskId, text::CleanText,
    },
};

/// The longest path shown, in bytes.
const LONGEST_PATH: usize = 1024;

/// Is what the program was started with.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What the header calls this list: a profile's name, "demo"; empty for none.
    pub name: String,
    /// How often tasks are asked after.
    pub pace: Pace,
    /// How long results live.
    pub retention: Duration,
    /// Where the user's clock hangs.
    pub zone: TimeZone,
    /// Sets the spread of waits; another one in every instance.
    pub seed: u64,
    /// Whether the list may be changed.
    pub access: Access,
    /// What the keys mean.
    pub keymap: Keymap,
    /// Whether pictures are shown, and how.
    pub preview: Preview,
    /// Where videos are saved; empty if no folder is known, so the user must type one.
    pub save_folder: PathBuf,
    /// Whether a result is saved as soon as it is made.
    pub auto_save: bool,
    /// The user's home, which `~` stands for.
    pub home: Option<PathBuf>,
    /// The variables a typed folder may contain.
    pub variables: PathVariables,
    /// Where the program was started: a folder typed without a root begins there.
    pub here: PathBuf,
    /// Ids worth trying, named where the list is empty and in the add dialog: the demo's spare ones.
    pub suggestions: Vec<TaskId>,
    /// How endings are told of.
    pub notices: NoticeSettings,
    /// Whether there is a key to ask with.
    pub key: KeyStanding,
    /// The API key and its spellings, never taken for ids.
    pub secrets: KnownSecrets,
}

/// Tells whether there is a key to ask with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyStanding {
    /// There is, or the settings say where to read it.
    #[default]
    Named,
    /// There is none, and none can come while the program runs.
    Missing,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            name: String::new(),
            pace: Pace::default(),
            retention: RETENTION,
            zone: TimeZone::UTC,
            seed: 0,
            access: Access::default(),
            keymap: Keymap::default(),
            preview: Preview::Off,
            save_folder: PathBuf::from("."),
            auto_save: false,
            home: None,
            variables: PathVariables::default(),
            here: PathBuf::from("."),
            suggestions: Vec::new(),
            notices: NoticeSettings::default(),
            key: KeyStanding::default(),
            secrets: KnownSecrets::default(),
        }
    }
}

impl Settings {
    /// Returns a path for a sentence: clean, with the home as `~`.
    pub fn shown(&self, path: &Path) -> String {
        let rest = self
            .home
            .as_ref()
            .and_then(|home| path.strip_prefix(home).ok());
        let text = match rest {
            Some(rest) => Path::new("~").join(rest).to_string_lossy().into_owned(),
            None => path.to_string_lossy().into_owned(),
        };
        CleanText::line(&text, LONGEST_PATH).as_str().to_owned()
    }
}
