//! The user's settings: file, environment and options become one checked [`Config`], or everything
//! that is wrong.
//!
//! An option goes before the environment, that before the profile, that before the rest of the
//! file, that before the default. The file is the one named, or `kietop/config.toml` under the
//! config home; the working directory is never looked into. A stored key belongs to the API address
//! of its own section and goes to no other.
//!
//! Knows neither the command line's parser nor what the settings are used for.

mod check;
mod error;
pub mod paths;
pub mod themes;
mod toml_reader;

use std::{
    fs::OpenOptions,
    io::{ErrorKind, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

pub use self::error::{ConfigError, ConfigErrors, FilePosition};
use self::{
    check::{AccountConfig, CheckedFile},
    paths::BaseFolderError,
};
use crate::{
    adapters::{
        kie::{ApiOrigin, StoredKey},
        regular_file::{self, Symlinks},
    },
    app::keymap::Keymap,
    domain::{preview::PreviewMode, schedule::PollIntervals, suggest::did_you_mean},
};

/// The default file: every setting that works, commented out, with its default.
pub const DEFAULT_FILE: &str = include_str!("../assets/config.toml");

/// The largest config or theme file, in bytes; a larger one is some other file.
const MAX_FILE_LEN: u64 = 1024 * 1024;

/// What was asked for on the command line or in the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The config file.
    pub config: Option<PathBuf>,
    /// The profile.
    pub profile: Option<String>,
    /// The API's address.
    pub api_url: Option<String>,
    /// The list file.
    pub store: Option<PathBuf>,
}

/// Every setting, checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    /// The profile in force.
    pub profile: Option<String>,
    /// Where the API is.
    pub origin: ApiOrigin,
    /// Where the stored key comes from; the environment's goes before it.
    pub key: Option<StoredKey>,
    /// The list file; `None` for the one under the data home.
    pub store: Option<PathBuf>,
    /// What is the same in every profile.
    pub settings: UserSettings,
}

/// What is the same in every profile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserSettings {
    /// How often tasks are asked after.
    pub intervals: PollIntervals,
    /// How long results live.
    pub retention: Retention,
    /// Where and when videos are saved.
    pub saving: SaveSettings,
    /// The browser's command line; empty for the system's choice.
    pub browser: Vec<String>,
    /// How endings are told beside the title.
    pub notifications: NotificationOptions,
    /// Who has the mouse.
    pub mouse: MouseSetting,
    /// Whether only ASCII is drawn.
    pub ascii: AsciiMode,
    /// The colours.
    pub colours: themes::ThemePalettes,
    /// How pictures are drawn.
    pub preview: PreviewMode,
    /// What the keys mean.
    pub keymap: Keymap,
}

/// How long results live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention(pub Duration);

impl Default for Retention {
    fn default() -> Self {
        Self(crate::domain::status::DEFAULT_RETENTION)
    }
}

/// Where and when videos are saved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SaveSettings {
    /// The folder; `None` for the user's video folder.
    pub folder: Option<PathBuf>,
    /// Whether a video is saved as soon as it is ready.
    pub is_automatic: bool,
}

/// How endings are told beside the title.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NotificationOptions {
    /// The terminal's bell.
    pub bell: bool,
    /// The terminal's own notification (OSC 9, 777, 99).
    pub osc: bool,
    /// The desktop's notification.
    pub desktop: bool,
    /// A command line, run with the facts in its environment; empty for none.
    pub command: Vec<String>,
}

/// Who has the mouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MouseSetting {
    /// kietop: clicks select, the wheel scrolls.
    #[default]
    On,
    /// The terminal: text is selected as everywhere else.
    Off,
}

/// Whether only ASCII is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AsciiMode {
    /// By the locale's charset and the terminal.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

impl Config {
    /// Reads the file and puts everything together; else returns everything that is wrong.
    pub fn load(asked: &Overrides) -> Result<Self, ConfigErrors> {
        let file = match config_file_path(asked) {
            Err(error @ BaseFolderError::NotAbsolute { .. }) => {
                return Err(ConfigErrors::single(None, &error.to_string()));
            }
            file => file.ok(),
        };
        let need = match asked.config {
            Some(_) => FileRequirement::Required,
            None => FileRequirement::Optional,
        };
        let text = match &file {
            Some(file) => read_file(file, need)?,
            None => None,
        };
        Self::parse(text.as_deref().unwrap_or_default(), file.as_deref(), asked)
    }

    /// Puts a file's text and what was asked for together.
    pub fn parse(text: &str, file: Option<&Path>, asked: &Overrides) -> Result<Self, ConfigErrors> {
        let CheckedFile {
            account,
            profiles,
            settings,
        } = check::parse_and_check(text, file)?;
        let wrong = |what: &str| ConfigErrors::single(None, what);
        let chosen = match &asked.profile {
            None => None,
            Some(name) => Some(profiles.get(name.as_str()).ok_or_else(|| {
                wrong(&describe_unknown_profile(
                    name,
                    profiles.keys().map(String::as_str),
                ))
            })?),
        };
        let asked_origin = match &asked.api_url {
            None => None,
            Some(url) => Some(
                // Without the address itself: there may be a password in it.
                ApiOrigin::parse(url).map_err(|error| wrong(&format!("--api-url: {error}")))?,
            ),
        };
        let (origin, key) = effective_account(&account, chosen, asked_origin);
        let own_list = |name: &String| PathBuf::from(format!("{name}.db"));
        let store = asked
            .store
            .clone()
            .or_else(|| chosen.and_then(|profile| profile.store.clone()))
            .or_else(|| match (&asked.profile, paths::data_folder()) {
                (Some(name), Ok(folder)) => Some(folder.join(own_list(name))),
                (Some(_), Err(_)) | (None, _) => None,
            })
            .or_else(|| account.store.clone().filter(|_| asked.profile.is_none()));
        Ok(Self {
            profile: asked.profile.clone(),
            origin,
            key,
            store,
            settings,
        })
    }
}

/// Returns the config file: the one named, else the one under the config home.
pub fn config_file_path(asked: &Overrides) -> Result<PathBuf, BaseFolderError> {
    asked.config.clone().map_or_else(paths::config_file, Ok)
}

/// Returns every key the file may hold, as paths with dots; those below `keys` and `profiles` are
/// the user's own.
pub fn known_keys() -> Vec<String> {
    check::known_keys()
}

/// Returns the address in force and the stored key that may go there.
fn effective_account(
    top: &AccountConfig,
    profile: Option<&AccountConfig>,
    asked: Option<ApiOrigin>,
) -> (ApiOrigin, Option<StoredKey>) {
    let top_origin = top.origin.clone().unwrap_or_default();
    let profile_origin = profile
        .and_then(|profile| profile.origin.clone())
        .unwrap_or_else(|| top_origin.clone());
    let stored = match (profile.and_then(|profile| profile.key.clone()), &top.key) {
        (Some(key), _) => Some((key, profile_origin.clone())),
        (None, Some(key)) => Some((key.clone(), top_origin)),
        (None, None) => None,
    };
    let origin = asked.unwrap_or(profile_origin);
    let key = stored.map(|(key, belongs_to)| {
        if belongs_to == origin {
            key
        } else {
            StoredKey::OtherOrigin {
                belongs_to,
                requested: origin.clone(),
            }
        }
    });
    (origin, key)
}

fn describe_unknown_profile<'a>(
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> String {
    let all: Vec<_> = known.clone().collect();
    let others = match all.as_slice() {
        [] => "; the config file has none".to_owned(),
        [..] => format!("; there are {}", all.join(", ")),
    };
    let hint = did_you_mean(name, known);
    let tail = if hint.is_empty() { others } else { hint };
    format!("there is no profile \"{name}\"{tail}")
}

/// Whether a file has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileRequirement {
    /// It was asked for.
    Required,
    /// Without it the defaults hold.
    Optional,
}

/// Reads a file; `None` when it is not there and need not be.
fn read_file(file: &Path, need: FileRequirement) -> Result<Option<String>, ConfigErrors> {
    let wrong = |what: String| ConfigErrors::single(Some(file.to_owned()), &what);
    let mut bytes = Vec::new();
    let mut options = OpenOptions::new();
    let opened = match need {
        // A named file may be a pipe: `--config <(…)`.
        FileRequirement::Required => options.read(true).open(file),
        FileRequirement::Optional => regular_file::open(file, options.read(true), Symlinks::Follow),
    };
    let read = opened.and_then(|opened| opened.take(MAX_FILE_LEN + 1).read_to_end(&mut bytes));
    match read {
        Err(error) if error.kind() == ErrorKind::NotFound && need == FileRequirement::Optional => {
            return Ok(None);
        }
        Err(error) => return Err(wrong(format!("it cannot be read: {error}"))),
        Ok(_) if bytes.len() as u64 > MAX_FILE_LEN => {
            return Err(wrong("it is larger than any config file".to_owned()));
        }
        Ok(_) => {}
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_not_text| wrong("it is no UTF-8 text".to_owned()))
}
