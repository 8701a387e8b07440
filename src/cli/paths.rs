//! Files and folders that the commands use, from options, settings and the base folders.

use std::{
    fs,
    hash::{BuildHasher as _, RandomState},
    path::{Path, PathBuf},
};

use super::{CommandFailure, exit};
use crate::{
    adapters::environment,
    config::{
        Config, UserSettings,
        paths::{self, BaseFolderError},
    },
    messages::{command_line as messages, format},
};

/// Expands the path of an option or of its variable.
pub fn expand_option(option: &str, text: Option<&Path>) -> Result<Option<PathBuf>, CommandFailure> {
    text.map(environment::expand_path)
        .transpose()
        .map_err(|error| CommandFailure::new(exit::USAGE, format!("{option}: {error}.")))
}

/// Returns the list file: from the options, the profile or the settings, else under the data home.
pub fn list_file(config: &Config) -> Result<PathBuf, CommandFailure> {
    match &config.store {
        Some(file) => Ok(file.clone()),
        None => Ok(paths::data_folder()
            .map_err(|error| base_folder_failure(&error))?
            .join("kietop.db")),
    }
}

/// Returns the log file under the state home.
pub fn log_file() -> Result<PathBuf, CommandFailure> {
    let folder = paths::state_folder().map_err(|error| base_folder_failure(&error))?;
    Ok(folder.join("kietop.log"))
}

/// Creates a private folder for temporary files; a failure shows when it is used.
pub fn create_temporary_folder() -> Result<PathBuf, CommandFailure> {
    let suffix = RandomState::new().hash_one(std::process::id());
    let temporary = paths::temporary_folder().map_err(|error| base_folder_failure(&error))?;
    let folder = temporary.join(format!("kietop-{suffix:016x}"));
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&folder).unwrap_or_default();
    Ok(folder)
}

/// Returns the folder for inputs downloaded to show a frame.
pub fn input_folder() -> Result<PathBuf, CommandFailure> {
    let folder = paths::cache_folder().map_err(|error| base_folder_failure(&error))?;
    Ok(folder.join("inputs"))
}

/// Returns the folder for comparison pages: the runtime folder, which is private and removed after
/// the session; else the cache home or the temporary folder.
pub fn comparison_folder() -> Result<PathBuf, CommandFailure> {
    let folder = match paths::runtime_folder() {
        Ok(None) => paths::cache_folder(),
        Ok(Some(folder)) => Ok(folder),
        Err(error) => Err(error),
    };
    folder.map_err(|error| base_folder_failure(&error))
}

/// Returns the folder for saved videos: from the settings, else `kietop` in the user's videos
/// folder.
pub fn save_folder(settings: &UserSettings) -> Result<PathBuf, CommandFailure> {
    if let Some(folder) = &settings.saving.folder {
        return Ok(folder.clone());
    }
    let videos = paths::video_folder().map_err(|error| base_folder_failure(&error))?;
    Ok(videos.join("kietop"))
}

/// Describes an unusable base folder, with the next step.
pub fn base_folder_failure(error: &BaseFolderError) -> CommandFailure {
    let next = match error {
        BaseFolderError::NoHome => messages::SET_HOME,
        BaseFolderError::NotAbsolute { .. } => messages::GIVE_ABSOLUTE_PATH,
    };
    let error = format::capitalised(&error.to_string());
    CommandFailure::new(exit::USAGE, format!("{error}; {next}."))
}
