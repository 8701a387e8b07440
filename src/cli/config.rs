//! `kietop config`: the default file, where the file is looked for, what is wrong with it.

use super::{ConfigCommand, Failure, Global, output, place};
use crate::{
    config::{self, DEFAULT_FILE},
    domain::text::CleanText,
};

/// The longest path shown, in bytes.
const PATH_BYTES: usize = 4096;

/// Prints what was asked for.
pub fn run(command: ConfigCommand, global: &Global) -> Result<(), Failure> {
    match command {
        ConfigCommand::Default => output::data(DEFAULT_FILE),
        ConfigCommand::Path => path(global),
        ConfigCommand::Check => check(global),
    }
}

/// Prints the path for scripts, and says beside it whether the file is there.
fn path(global: &Global) -> Result<(), Failure> {
    let file = config::file_of(&place::asked(global)?);
    let file = file.map_err(|error| place::base_folder_failed(&error))?;
    let shown = file.to_string_lossy();
    output::data(&format!("{}\n", CleanText::line(&shown, PATH_BYTES)))?;
    output::talk(if file.is_file() {
        "It is there."
    } else {
        "It is not there; kietop config default prints one to begin with."
    });
    Ok(())
}

fn check(global: &Global) -> Result<(), Failure> {
    place::config(global)?;
    let file = config::file_of(&place::asked(global)?).ok();
    output::data(&match file.filter(|file| file.is_file()) {
        Some(file) => {
            let shown = file.to_string_lossy();
            format!("{}: no fault.\n", CleanText::line(&shown, PATH_BYTES))
        }
        None => "There is no config file; the defaults hold.\n".to_owned(),
    })
}
