//! Where files are by default: config, data and state home, as XDG says on every Unix.
//!
//! A home that is no absolute path is ignored, as XDG asks: the working directory never is one.

use std::{
    fs,
    path::{Path, PathBuf},
};

use etcetera::{
    BaseStrategy as _,
    app_strategy::{AppStrategy as _, AppStrategyArgs, choose_app_strategy},
    choose_base_strategy,
};

/// Says that there is no home folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no home folder ({0})")]
pub struct NoHome(String);

/// Returns the config file.
pub fn config_file() -> Result<PathBuf, NoHome> {
    Ok(home()?.config_dir().join("config.toml"))
}

/// Returns the folder of the lists.
pub fn data_folder() -> Result<PathBuf, NoHome> {
    Ok(home()?.data_dir())
}

/// Returns the folder of the log.
pub fn state_folder() -> Result<PathBuf, NoHome> {
    let home = home()?;
    Ok(home.state_dir().unwrap_or_else(|| home.data_dir()))
}

/// Returns the folder of what can be had again.
pub fn cache_folder() -> Result<PathBuf, NoHome> {
    Ok(home()?.cache_dir())
}

/// Returns the user's own folder.
pub fn home_folder() -> Result<PathBuf, NoHome> {
    Ok(home()?.home_dir().to_owned())
}

/// Returns the user's folder of videos: as the desktop has it, else the usual one.
pub fn video_folder() -> Result<PathBuf, NoHome> {
    let base = choose_base_strategy().map_err(|error| NoHome(error.to_string()))?;
    let named = fs::read_to_string(base.config_dir().join("user-dirs.dirs")).ok();
    let named = named.and_then(|text| named_videos(&text, base.home_dir()));
    let usual = if cfg!(target_os = "macos") {
        "Movies"
    } else {
        "Videos"
    };
    Ok(named.unwrap_or_else(|| base.home_dir().join(usual)))
}

/// Reads the folder of videos from `user-dirs.dirs`, which the desktop writes in a shell's words.
fn named_videos(text: &str, home: &Path) -> Option<PathBuf> {
    let lines = text.lines().rev().map(str::trim);
    let value = lines
        .filter_map(|line| line.strip_prefix("XDG_VIDEOS_DIR="))
        .find_map(|value| value.trim().strip_prefix('"')?.strip_suffix('"'))?;
    let folder = match value.strip_prefix("$HOME") {
        Some("") => home.to_owned(),
        Some(rest) => home.join(rest.strip_prefix('/')?),
        None => PathBuf::from(value),
    };
    // The home itself stands for a folder that was taken away.
    (folder.is_absolute() && folder != home).then_some(folder)
}

fn home() -> Result<impl etcetera::AppStrategy, NoHome> {
    let names = AppStrategyArgs {
        top_level_domain: "ai".into(),
        author: "kietop".into(),
        app_name: "kietop".into(),
    };
    choose_app_strategy(names).map_err(|error| NoHome(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_desktop_names_the_folder_of_videos() {
        let read = |text| named_videos(text, Path::new("/home/me"));

        assert_eq!(
            read("# a comment\nXDG_MUSIC_DIR=\"$HOME/M\"\nXDG_VIDEOS_DIR=\"$HOME/Filme\"\n"),
            Some("/home/me/Filme".into())
        );
        assert_eq!(read("XDG_VIDEOS_DIR=\"/data/v\""), Some("/data/v".into()));
        for odd in [
            "",
            "XDG_VIDEOS_DIR=\"$HOME\"",
            "XDG_VIDEOS_DIR=\"$HOME/\"",
            "XDG_VIDEOS_DIR=\"rel\"",
            "XDG_VIDEOS_DIR=$HOME/x",
        ] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
