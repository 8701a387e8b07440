//! Where files are by default: config, data and state home, as XDG says on every Unix.
//!
//! A home that is no absolute path is ignored, as XDG asks: the working directory never is one.

use std::path::PathBuf;

use etcetera::app_strategy::{AppStrategy as _, AppStrategyArgs, choose_app_strategy};

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

/// Returns the user's own folder.
pub fn home_folder() -> Result<PathBuf, NoHome> {
    Ok(home()?.home_dir().to_owned())
}

fn home() -> Result<impl etcetera::AppStrategy, NoHome> {
    let names = AppStrategyArgs {
        top_level_domain: "ai".into(),
        author: "kietop".into(),
        app_name: "kietop".into(),
    };
    choose_app_strategy(names).map_err(|error| NoHome(error.to_string()))
}
