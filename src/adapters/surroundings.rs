//! What kind of place we run in, by its variables: base folders, and in front of a desktop or far away from one.

use std::{env, ffi::OsStr, path::PathBuf};

use super::helper::SECRETS;
use crate::domain::{
    path_text::{PathError, PathVariables, expand},
    text::CleanText,
};

/// The longest value of a variable shown, in bytes.
const MAX_SHOWN: usize = 80;

/// Why there is no base folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoFolder {
    /// Neither `HOME` nor the system names one.
    #[error("there is no home folder")]
    NoHome,
    /// A relative one would be a folder of the working directory, which may be anyone's.
    #[error("{name} is \"{value}\", which is not an absolute path")]
    NotAbsolute {
        /// Where it is named.
        name: &'static str,
        /// What it is.
        value: CleanText,
    },
}

/// Returns a base folder that a variable names; nothing where it is unset or empty.
pub fn base_folder(name: &'static str) -> Result<Option<PathBuf>, NoFolder> {
    let value = env::var_os(name).filter(|value| !value.is_empty());
    value
        .map(|value| absolute(name, PathBuf::from(value)))
        .transpose()
}

/// Returns a folder that was named, if it is absolute.
pub fn absolute(name: &'static str, folder: PathBuf) -> Result<PathBuf, NoFolder> {
    if folder.is_absolute() {
        return Ok(folder);
    }
    let value = CleanText::line(&folder.to_string_lossy(), MAX_SHOWN);
    Err(NoFolder::NotAbsolute { name, value })
}

/// Returns the user's home: `HOME`, else the one of the system's list of users.
pub fn home_folder() -> Result<PathBuf, NoFolder> {
    let named = base_folder("HOME")?;
    let home = named.or_else(|| env::home_dir().filter(|home| home.is_absolute()));
    home.ok_or(NoFolder::NoHome)
}

/// Returns the variables that paths may name: all but secrets.
pub fn path_variables() -> PathVariables {
    env::vars_os()
        .filter(|(name, _)| !SECRETS.iter().any(|secret| name == secret))
        .collect()
}

/// Reads a path of an option, a variable or a setting, with the home and the variables of this process.
pub fn path(text: impl AsRef<OsStr>) -> Result<PathBuf, PathError> {
    let home = home_folder().ok();
    expand(text.as_ref(), home.as_deref(), &path_variables())
}

/// Reads the first word of a command line: a path where it has a slash, else the name of a program.
pub fn program(word: &str) -> Result<String, PathError> {
    if !word.contains('/') {
        return Ok(word.to_owned());
    }
    Ok(path(word)?.to_string_lossy().into_owned())
}

/// Reports whether a variable of our own is set and not empty.
pub fn is_set(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| !value.is_empty())
}

/// Returns how wide the terminal is that hears of errors; nothing where it is none.
pub fn columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stderr()).ok()?;
    Some(usize::from(size.ws_col)).filter(|columns| *columns > 0)
}

/// Reports whether we are reached over SSH: then the desktop here, if there is one, is in front of nobody.
pub(super) fn is_remote(is_set: impl Fn(&str) -> bool) -> bool {
    ["SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"]
        .into_iter()
        .any(is_set)
}

/// Reports whether a window has somewhere to appear. A display is named by a variable, over SSH as well, where
/// windows are sent back; where there is none to name (macOS) it has to be the machine itself.
pub(super) fn has_display(is_set: impl Fn(&str) -> bool) -> bool {
    if cfg!(target_os = "macos") {
        return !is_remote(is_set);
    }
    ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"]
        .into_iter()
        .any(is_set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_display_is_named_and_may_be_sent_back_over_ssh() {
        let of = |names: &'static [&'static str]| move |name: &str| names.contains(&name);

        assert!(!has_display(of(&[])));
        assert!(!has_display(of(&["SSH_TTY"])));
        assert!(has_display(of(&["SSH_TTY", "DISPLAY"])));
        assert!(is_remote(of(&["SSH_CONNECTION"])) && !is_remote(of(&["DISPLAY"])));
    }
}
