//! Files and folders that the commands use: from options, settings and, on every Unix, the XDG base
//! folders.
//!
//! The working directory is never used. A relative base folder is an error.

use std::{
    env, fs,
    hash::{BuildHasher as _, RandomState},
    path::{Path, PathBuf},
};

use super::failure::CommandFailure;
use crate::{
    adapters::{
        environment::{self, BaseFolderError, base_folder, home_folder, require_absolute},
        regular_file::{Symlinks, read_small},
    },
    config::{Config, UserSettings},
};

/// The largest `user-dirs.dirs` file that is read, in bytes.
const MAX_USER_DIRS: u64 = 64 * 1024;

const FOLDER_VARIABLES: [&str; 8] = [
    "HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "XDG_STATE_HOME",
    "XDG_CACHE_HOME",
    "XDG_RUNTIME_DIR",
    "XDG_VIDEOS_DIR",
    "TMPDIR",
];

/// Checks that the base folder variables are absolute.
pub fn check_variables() -> Result<(), BaseFolderError> {
    FOLDER_VARIABLES
        .into_iter()
        .try_for_each(|name| base_folder(name).map(drop))
}

/// Expands the path of an option or of its variable.
pub fn expand_option(option: &str, text: Option<&Path>) -> Result<Option<PathBuf>, CommandFailure> {
    text.map(environment::expand_path)
        .transpose()
        .map_err(|error| CommandFailure::usage(format!("{option}: {error}.")))
}

/// Returns the config file under the config home.
pub fn config_file() -> Result<PathBuf, BaseFolderError> {
    Ok(app_folder("XDG_CONFIG_HOME", ".config")?.join("config.toml"))
}

/// Returns the folder of the lists.
pub fn data_folder() -> Result<PathBuf, BaseFolderError> {
    app_folder("XDG_DATA_HOME", ".local/share")
}

/// Returns the list file: from the options, the profile or the settings, else under the data home.
pub fn list_file(config: &Config) -> Result<PathBuf, BaseFolderError> {
    match &config.store {
        Some(file) => Ok(file.clone()),
        None => Ok(data_folder()?.join("kietop.db")),
    }
}

/// Returns the log file under the state home.
pub fn log_file() -> Result<PathBuf, BaseFolderError> {
    Ok(app_folder("XDG_STATE_HOME", ".local/state")?.join("kietop.log"))
}

/// Returns the folder for inputs downloaded to show a frame.
pub fn input_folder() -> Result<PathBuf, BaseFolderError> {
    Ok(cache_folder()?.join("inputs"))
}

/// Returns the folder for comparison pages: the runtime folder, which is private and removed after
/// the session; else the cache home or the temporary folder.
pub fn comparison_folder() -> Result<PathBuf, BaseFolderError> {
    match base_folder("XDG_RUNTIME_DIR")?.filter(|folder| folder.is_dir()) {
        Some(folder) => Ok(folder.join("kietop")),
        None => cache_folder(),
    }
}

/// Creates a private folder for temporary files; a failure shows when it is used.
pub fn create_temporary_folder() -> Result<PathBuf, BaseFolderError> {
    let suffix = RandomState::new().hash_one(std::process::id());
    let folder = temporary_folder()?.join(format!("kietop-{suffix:016x}"));
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&folder).unwrap_or_default();
    Ok(folder)
}

/// Returns the folder for saved videos: from the settings, else `kietop` in the user's videos
/// folder.
pub fn save_folder(settings: &UserSettings) -> Result<PathBuf, BaseFolderError> {
    match &settings.save_folder {
        Some(folder) => Ok(folder.clone()),
        None => Ok(video_folder()?.join("kietop")),
    }
}

/// Returns the folder for files that can be recreated: under the cache home, else in the temporary
/// folder.
fn cache_folder() -> Result<PathBuf, BaseFolderError> {
    match app_folder("XDG_CACHE_HOME", ".cache") {
        Err(BaseFolderError::NoHome) => Ok(temporary_folder()?.join("kietop")),
        folder => folder,
    }
}

fn temporary_folder() -> Result<PathBuf, BaseFolderError> {
    Ok(base_folder("TMPDIR")?.unwrap_or_else(env::temp_dir))
}

/// Returns the user's video folder: from the environment or `user-dirs.dirs`, else the usual one.
fn video_folder() -> Result<PathBuf, BaseFolderError> {
    if let Some(folder) = base_folder("XDG_VIDEOS_DIR")? {
        return Ok(folder);
    }
    let home = home_folder()?;
    let file = base_or_default("XDG_CONFIG_HOME", ".config")?.join("user-dirs.dirs");
    let bytes = read_small(&file, MAX_USER_DIRS, Symlinks::Follow).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some(folder) = text.and_then(|text| parse_videos_folder(&text, &home)) {
        return require_absolute("XDG_VIDEOS_DIR in user-dirs.dirs", folder);
    }
    let usual = if cfg!(target_os = "macos") {
        "Movies"
    } else {
        "Videos"
    };
    Ok(home.join(usual))
}

/// Returns kietop's folder in a base folder.
fn app_folder(variable: &'static str, usual: &str) -> Result<PathBuf, BaseFolderError> {
    Ok(base_or_default(variable, usual)?.join("kietop"))
}

/// Returns a base folder from its variable, else the usual one in the home folder.
fn base_or_default(variable: &'static str, usual: &str) -> Result<PathBuf, BaseFolderError> {
    match base_folder(variable)? {
        Some(folder) => Ok(folder),
        None => Ok(home_folder()?.join(usual)),
    }
}

/// Parses the video folder in `user-dirs.dirs`, which has the syntax of a shell.
fn parse_videos_folder(text: &str, home: &Path) -> Option<PathBuf> {
    let lines = text.lines().rev().map(str::trim);
    let value = lines
        .filter_map(|line| line.strip_prefix("XDG_VIDEOS_DIR="))
        .find_map(|value| value.trim().strip_prefix('"')?.strip_suffix('"'))?;
    let folder = match value.strip_prefix("$HOME") {
        Some("") => return None,
        Some(rest) => home.join(rest.strip_prefix('/')?),
        None if value.is_empty() => return None,
        None => PathBuf::from(value),
    };
    // The home folder means that the video folder was removed.
    (folder != home).then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_video_folder_comes_from_xdg() {
        let read = |text| parse_videos_folder(text, Path::new("/home/me"));

        assert_eq!(
            read("# a comment\nXDG_MUSIC_DIR=\"$HOME/M\"\nXDG_VIDEOS_DIR=\"$HOME/Filme\"\n"),
            Some("/home/me/Filme".into())
        );
        assert_eq!(read("XDG_VIDEOS_DIR=\"/data/v\""), Some("/data/v".into()));
        for invalid in [
            "",
            "XDG_VIDEOS_DIR=\"$HOME\"",
            "XDG_VIDEOS_DIR=\"$HOME/\"",
            "XDG_VIDEOS_DIR=\"\"",
            "XDG_VIDEOS_DIR=$HOME/x",
        ] {
            assert_eq!(read(invalid), None, "{invalid}");
        }
    }
}
