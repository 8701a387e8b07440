//! `kietop config`: the default file, where the file is looked for, what is wrong with it.

use super::{ConfigCommand, Failure, GlobalArgs, output, services};
use crate::{
    config::{self, DEFAULT_FILE},
    domain::text::CleanText,
};

/// The longest path shown, in bytes.
const MAX_PATH_LEN: usize = 4096;

/// Prints what was asked for.
pub fn run(command: ConfigCommand, global: &GlobalArgs) -> Result<(), Failure> {
    match command {
        ConfigCommand::Default => output::to_stdout(DEFAULT_FILE),
        ConfigCommand::Path => print_path(global),
        ConfigCommand::Check => check_file(global),
    }
}

/// Prints the path for scripts, and says beside it whether the file is there.
fn print_path(global: &GlobalArgs) -> Result<(), Failure> {
    let file = config::config_file_path(&services::overrides(global)?);
    let file = file.map_err(|error| services::base_folder_failure(&error))?;
    let shown = file.to_string_lossy();
    output::to_stdout(&format!("{}\n", CleanText::line(&shown, MAX_PATH_LEN)))?;
    output::to_stderr(if file.is_file() {
        "It is there."
    } else {
        "It is not there; kietop config default prints one to begin with."
    });
    Ok(())
}

fn check_file(global: &GlobalArgs) -> Result<(), Failure> {
    services::load_config(global)?;
    let file = config::config_file_path(&services::overrides(global)?).ok();
    output::to_stdout(&match file.filter(|file| file.is_file()) {
        Some(file) => {
            let shown = file.to_string_lossy();
            format!("{}: no fault.\n", CleanText::line(&shown, MAX_PATH_LEN))
        }
        None => "There is no config file; the defaults hold.\n".to_owned(),
    })
}
