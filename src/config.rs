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
mod file;
mod settings;
pub mod themes;
mod toml_reader;

use std::path::{Path, PathBuf};

use self::check::{AccountConfig, CheckedFile};
pub use self::{
    check::known_keys,
    error::{ConfigError, ConfigErrors, FilePosition},
    settings::{AsciiMode, Overrides, UserSettings},
};
use crate::domain::{api_origin::ApiOrigin, stored_key::StoredKey};

/// The default file: every setting with its default, commented out.
pub const DEFAULT_FILE: &str = include_str!("../assets/config.toml");

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

impl Config {
    /// Reads the config file and applies the overrides. Reports all errors of the file.
    pub fn load(overrides: &Overrides) -> Result<Self, ConfigErrors> {
        let (file, text) = match (&overrides.config, &overrides.default_config) {
            (Some(file), _) => (Some(file), Some(file::read(file)?)),
            (None, Some(file)) => (Some(file), file::read_optional(file)?),
            (None, None) => (None, None),
        };
        let text = text.unwrap_or_default();
        Self::parse(&text, file.map(PathBuf::as_path), overrides)
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
        } = check::parse_and_check(text, file, overrides)?;
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
        let profile_store = match (chosen, &overrides.profile) {
            (Some(profile), Some(name)) => profile.store.clone().or_else(|| {
                let folder = overrides.data_folder.as_ref()?;
                Some(folder.join(format!("{name}.db")))
            }),
            _ => account.store,
        };
        Ok(Self {
            profile: overrides.profile.clone(),
            origin,
            key,
            store: overrides.store.clone().or(profile_store),
            settings,
        })
    }
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
