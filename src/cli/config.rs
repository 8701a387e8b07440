//! `kietop config`: prints the default file, the path of the config file, or its errors.

use super::{
    args::{ConfigCommand, GlobalArgs},
    failure::CommandFailure,
    output, paths, services,
};
use crate::{config::DEFAULT_FILE, domain::text::CleanText, messages::command_line as messages};

/// The longest path shown, in bytes.
const MAX_PATH_LEN: usize = 4096;

pub fn run(command: ConfigCommand, global: &GlobalArgs) -> Result<(), CommandFailure> {
    match command {
        ConfigCommand::Default => output::to_stdout(DEFAULT_FILE),
        ConfigCommand::Path => print_path(global),
        ConfigCommand::Check => check_file(global),
    }
}

/// Prints the path on standard output, and on standard error whether the file exists.
fn print_path(global: &GlobalArgs) -> Result<(), CommandFailure> {
    let file = match services::overrides(global)?.config {
        Some(file) => file,
        None => paths::config_file()?,
    };
    let shown = file.to_string_lossy();
    output::to_stdout(&format!("{}\n", CleanText::line(&shown, MAX_PATH_LEN)))?;
    output::to_stderr(if file.is_file() {
        messages::FILE_EXISTS
    } else {
        messages::NO_FILE
    });
    Ok(())
}

fn check_file(global: &GlobalArgs) -> Result<(), CommandFailure> {
    services::load_config(global)?;
    let overrides = services::overrides(global)?;
    let file = overrides.config.or(overrides.default_config);
    let line = match file.filter(|file| file.is_file()) {
        Some(file) => {
            let shown = file.to_string_lossy();
            messages::config_ok(&CleanText::line(&shown, MAX_PATH_LEN))
        }
        None => messages::USING_DEFAULTS.to_owned(),
    };
    output::to_stdout(&format!("{line}\n"))
}
