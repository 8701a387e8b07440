//! Combines config file, environment and options into one checked [`Config`], or reports all
//! errors.
//!
//! Precedence: option, environment, profile, rest of the file, default. The file is the one named,
//! else `kietop/config.toml` under the config home; the working directory is never searched. A
//! stored key belongs to the API address of its own section and is sent to no other.
//!
//! Knows neither the command-line parser nor the use of the settings.

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
    adapters::regular_file::{self, Symlinks},
    app::keymap::Keymap,
    domain::{
        api_origin::ApiOrigin, preview::PreviewMode, schedule::PollIntervals, stored_key::StoredKey,
    },
};

/// The default file: every setting with its default, commented out.
pub const DEFAULT_FILE: &str = include_str!("../assets/config.toml");

/// The largest config or theme file, in bytes.
const MAX_FILE_LEN: u64 = 1024 * 1024;

/// Settings from the command line or the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The config file.
    pub config: Option<PathBuf>,
    pub profile: Option<String>,
    pub api_url: Option<String>,
    /// The list file.
    pub store: Option<PathBuf>,
}

/// All settings, checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Config {
    pub profile: Option<String>,
    pub origin: ApiOrigin,
    /// The source of the stored key. A key in the environment takes precedence.
    pub key: Option<StoredKey>,
    /// The list file; `None` for the one under the data home.
    pub store: Option<PathBuf>,
    pub settings: UserSettings,
}

/// The settings that are the same in every profile.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserSettings {
    pub intervals: PollIntervals,
    pub retention: Retention,
    pub saving: SaveSettings,
    /// The command line of the browser; empty for the system default.
    pub browser: Vec<String>,
    pub notifications: NotificationOptions,
    pub mouse: MouseSetting,
    pub ascii: AsciiMode,
    pub colours: themes::ThemePalettes,
    pub preview: PreviewMode,
    pub keymap: Keymap,
}

/// How long the server keeps results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention(pub Duration);

impl Default for Retention {
    fn default() -> Self {
        Self(crate::domain::status::DEFAULT_RETENTION)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SaveSettings {
    /// `None` for the user's video folder.
    pub folder: Option<PathBuf>,
    /// Whether a video is saved as soon as it is ready.
    pub is_automatic: bool,
}

/// The ways to report finished tasks, besides the window title.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NotificationOptions {
    /// The terminal bell.
    pub bell: bool,
    /// A terminal notification (OSC 9, 777, 99).
    pub osc: bool,
    pub desktop: bool,
    /// A command line, run with the task details in its environment; empty for none.
    pub command: Vec<String>,
}

/// Whether kietop or the terminal handles the mouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MouseSetting {
    /// Clicks select and the wheel scrolls.
    #[default]
    On,
    /// The terminal selects text as usual.
    Off,
}

/// Whether only ASCII is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AsciiMode {
    /// Depends on the charset of the locale and on the terminal.
    #[default]
    Auto,
    On,
    Off,
}

impl Config {
    /// Reads the config file and applies the overrides. Reports all errors of the file.
    pub fn load(overrides: &Overrides) -> Result<Self, ConfigErrors> {
        let file = match config_file_path(overrides) {
            Err(error @ BaseFolderError::NotAbsolute { .. }) => {
                return Err(ConfigErrors::single(None, &error.to_string()));
            }
            file => file.ok(),
        };
        let requirement = match overrides.config {
            Some(_) => FileRequirement::Required,
            None => FileRequirement::Optional,
        };
        let text = match &file {
            Some(file) => read_file(file, requirement)?,
            None => None,
        };
        Self::parse(
            text.as_deref().unwrap_or_default(),
            file.as_deref(),
            overrides,
        )
    }

    /// Parses the text of a config file and applies the overrides.
    pub fn parse(
        text: &str,
        file: Option<&Path>,
        overrides: &Overrides,
    ) -> Result<Self, ConfigErrors> {
        let CheckedFile {
            account,
            profiles,
            settings,
        } = check::parse_and_check(text, file)?;
        let fail = |message: &str| ConfigErrors::single(None, message);
        let chosen = match &overrides.profile {
            None => None,
            Some(name) => Some(profiles.get(name.as_str()).ok_or_else(|| {
                fail(&error::unknown_profile(
                    name,
                    profiles.keys().map(String::as_str),
                ))
            })?),
        };
        let origin_override = match &overrides.api_url {
            None => None,
            Some(url) => Some(
                // Without the address itself, which may contain a password.
                ApiOrigin::parse(url).map_err(|error| fail(&format!("--api-url: {error}")))?,
            ),
        };
        let (origin, key) = effective_account(&account, chosen, origin_override);
        let own_list = |name: &String| PathBuf::from(format!("{name}.db"));
        let store = overrides
            .store
            .clone()
            .or_else(|| chosen.and_then(|profile| profile.store.clone()))
            .or_else(|| match (&overrides.profile, paths::data_folder()) {
                (Some(name), Ok(folder)) => Some(folder.join(own_list(name))),
                (Some(_), Err(_)) | (None, _) => None,
            })
            .or_else(|| {
                account
                    .store
                    .clone()
                    .filter(|_| overrides.profile.is_none())
            });
        Ok(Self {
            profile: overrides.profile.clone(),
            origin,
            key,
            store,
            settings,
        })
    }
}

/// Returns the config file that was named, else the one under the config home.
pub fn config_file_path(overrides: &Overrides) -> Result<PathBuf, BaseFolderError> {
    overrides.config.clone().map_or_else(paths::config_file, Ok)
}

/// Returns all keys of the config file as dotted paths, except the user's own names below `keys`
/// and `profiles`.
pub fn known_keys() -> Vec<String> {
    check::known_keys()
}

/// Returns the effective address and the stored key, if it may be sent there.
fn effective_account(
    top: &AccountConfig,
    profile: Option<&AccountConfig>,
    origin_override: Option<ApiOrigin>,
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
    let origin = origin_override.unwrap_or(profile_origin);
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

/// Whether a missing file is an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileRequirement {
    Required,
    Optional,
}

/// Reads a file. Returns `None` for an optional file that does not exist.
fn read_file(file: &Path, requirement: FileRequirement) -> Result<Option<String>, ConfigErrors> {
    let fail = |message: &str| ConfigErrors::single(Some(file.to_owned()), message);
    let mut bytes = Vec::new();
    let mut options = OpenOptions::new();
    let opened = match requirement {
        // A named file may be a pipe: `--config <(…)`.
        FileRequirement::Required => options.read(true).open(file),
        FileRequirement::Optional => regular_file::open(file, options.read(true), Symlinks::Follow),
    };
    let read = opened.and_then(|opened| opened.take(MAX_FILE_LEN + 1).read_to_end(&mut bytes));
    match read {
        Err(error)
            if error.kind() == ErrorKind::NotFound && requirement == FileRequirement::Optional =>
        {
            return Ok(None);
        }
        Err(error) => return Err(fail(&error::unreadable(&error))),
        Ok(_) if bytes.len() as u64 > MAX_FILE_LEN => return Err(fail(error::TOO_LARGE)),
        Ok(_) => {}
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_not_text| fail(error::NOT_UTF8))
}
