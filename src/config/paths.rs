//! Default locations of files: the XDG base folders on every Unix.
//!
//! The working directory is never used. A relative base folder is an error.

use std::{
    env,
    path::{Path, PathBuf},
};

pub use crate::adapters::environment::{BaseFolderError, home_folder};
use crate::adapters::{
    environment::{base_folder, require_absolute},
    regular_file::{Symlinks, read_small},
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

pub fn config_file() -> Result<PathBuf, BaseFolderError> {
    Ok(app_folder("XDG_CONFIG_HOME", ".config")?.join("config.toml"))
}

/// Returns the folder of the lists.
pub fn data_folder() -> Result<PathBuf, BaseFolderError> {
    app_folder("XDG_DATA_HOME", ".local/share")
}

/// Returns the folder of the log.
pub fn state_folder() -> Result<PathBuf, BaseFolderError> {
    app_folder("XDG_STATE_HOME", ".local/state")
}

/// Returns the folder for files that can be recreated: under the cache home, else in the temporary
/// folder.
pub fn cache_folder() -> Result<PathBuf, BaseFolderError> {
    match app_folder("XDG_CACHE_HOME", ".cache") {
        Err(BaseFolderError::NoHome) => Ok(temporary_folder()?.join("kietop")),
        folder => folder,
    }
}

/// Returns the folder for files of the login session, if there is one.
pub fn runtime_folder() -> Result<Option<PathBuf>, BaseFolderError> {
    let folder = base_folder("XDG_RUNTIME_DIR")?;
    Ok(folder
        .filter(|folder| folder.is_dir())
        .map(|folder| folder.join("kietop")))
}

pub fn temporary_folder() -> Result<PathBuf, BaseFolderError> {
    Ok(base_folder("TMPDIR")?.unwrap_or_else(env::temp_dir))
}

/// Returns the user's video folder: from the environment or `user-dirs.dirs`, else the usual one.
pub fn video_folder() -> Result<PathBuf, BaseFolderError> {
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
