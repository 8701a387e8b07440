//! Environment variables: base folders, paths, desktop and terminal.

use std::{
    env,
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use super::command::SECRET_VARIABLES;
use crate::domain::{
    path_text::{PathError, PathVariables, expand, strip_quotes},
    preview::TerminalLink,
    text::CleanText,
};

/// The longest variable value shown in an error, in bytes.
const MAX_SHOWN: usize = 80;

/// An unusable base folder.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BaseFolderError {
    /// Neither `HOME` nor the user database names a home folder.
    #[error("no home folder")]
    NoHome,
    /// A relative path would be below the working directory, which may belong to anyone.
    #[error("{name} is not an absolute path: \"{value}\"")]
    NotAbsolute {
        /// The variable or file that names it.
        name: &'static str,
        value: CleanText,
    },
}

/// Returns the base folder in a variable; `None` if it is unset or empty.
pub fn base_folder(name: &'static str) -> Result<Option<PathBuf>, BaseFolderError> {
    let value = env::var_os(name).filter(|value| !value.is_empty());
    value
        .map(|value| require_absolute(name, PathBuf::from(value)))
        .transpose()
}

/// Returns the folder if it is absolute; `name` is for the error.
pub fn require_absolute(name: &'static str, folder: PathBuf) -> Result<PathBuf, BaseFolderError> {
    if folder.is_absolute() {
        return Ok(folder);
    }
    let value = CleanText::line(&folder.to_string_lossy(), MAX_SHOWN);
    Err(BaseFolderError::NotAbsolute { name, value })
}

/// Returns the home folder: `HOME`, else the entry in the user database.
pub fn home_folder() -> Result<PathBuf, BaseFolderError> {
    let variable = base_folder("HOME")?;
    let home = variable.or_else(|| env::home_dir().filter(|home| home.is_absolute()));
    home.ok_or(BaseFolderError::NoHome)
}

/// Returns the variables that paths may contain: all but secrets.
pub fn path_variables() -> PathVariables {
    env::vars_os()
        .filter(|(name, _)| !SECRET_VARIABLES.iter().any(|secret| name == secret))
        .collect()
}

/// Expands a path with the home folder and the variables of this process.
pub fn expand_path(text: impl AsRef<OsStr>) -> Result<PathBuf, PathError> {
    let home = home_folder().ok();
    expand(text.as_ref(), home.as_deref(), &path_variables())
}

/// Expands the first word of a command line if it is a path, that is, contains a slash.
pub fn expand_program(word: &str) -> Result<String, PathError> {
    if !word.contains('/') {
        return Ok(word.to_owned());
    }
    Ok(expand_path(word)?.to_string_lossy().into_owned())
}

/// Returns whether a variable is set and not empty.
pub fn is_variable_set(name: &str) -> bool {
    env::var_os(name).is_some_and(|value| !value.is_empty())
}

/// Returns whether SSH, a multiplexer or a Linux console may drop graphics.
pub fn terminal_link() -> TerminalLink {
    let variables = ["SSH_CONNECTION", "SSH_TTY", "TMUX", "STY"];
    let is_console = env::var("TERM").is_ok_and(|term| term == "linux");
    if variables.into_iter().any(is_variable_set) || is_console {
        TerminalLink::Indirect
    } else {
        TerminalLink::Direct
    }
}

/// Returns whether the terminal can show Unicode, by the locale's charset and the terminal type.
///
/// A locale without a charset has a legacy one (`de_DE` is ISO 8859-1 in glibc), and no locale
/// means `C`.
pub fn supports_unicode(variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let text = |name: &str| {
        let value = variable(name)?;
        Some(value.to_string_lossy().into_owned()).filter(|value| !value.is_empty())
    };
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(text);
    let locale = locale.unwrap_or_default();
    let locale = strip_quotes(&locale);
    // macOS may set only a charset.
    let charset = locale
        .split_once('.')
        .map_or(locale, |(_, charset)| charset);
    let charset = charset.split('@').next().unwrap_or_default();
    let plain = charset.replace(['-', '_'], "").to_ascii_lowercase();
    plain == "utf8" && !text("TERM").is_none_or(|term| has_few_glyphs(&term))
}

/// Returns whether a terminal type is a system console or an old terminal.
fn has_few_glyphs(term: &str) -> bool {
    // `screen.linux` is screen inside a console.
    let kind = term.strip_prefix("screen.").unwrap_or(term);
    let kind = kind.split(['-', '+']).next().unwrap_or_default();
    let is_old = |prefix: &str| {
        let number = kind.strip_prefix(prefix);
        number.is_some_and(|number| number.starts_with(|c: char| c.is_ascii_digit()))
    };
    let consoles = [
        "linux", "dumb", "ansi", "unknown", "pccon", "pccon0", "scoansi", "sun", "con", "bterm",
    ];
    consoles.contains(&kind) || ["vt", "wsvt", "cons"].into_iter().any(is_old)
}

/// Returns the width of the terminal on standard error; `None` if it is not a terminal.
pub fn stderr_columns() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(rustix::stdio::stderr()).ok()?;
    let (fallback, _) = fallback_size(|name| env::var(name).ok());
    Some(usize::from(if size.ws_col == 0 {
        fallback
    } else {
        size.ws_col
    }))
}

/// Returns the size of a terminal that reports none: `COLUMNS` and `LINES`, else 80×24, as in
/// curses.
pub fn fallback_size(variable: impl Fn(&str) -> Option<String>) -> (u16, u16) {
    let side = |name, default| {
        let value = variable(name).and_then(|value| value.trim().parse().ok());
        value.filter(|side| *side > 0).unwrap_or(default)
    };
    (side("COLUMNS", 80), side("LINES", 24))
}

/// Returns whether this is an SSH session; the desktop, if any, is then not the user's.
pub(super) fn is_over_ssh(is_set: impl Fn(&str) -> bool) -> bool {
    ["SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY"]
        .into_iter()
        .any(is_set)
}

/// Returns whether windows can be opened: a variable names a display, which SSH may forward. macOS
/// has no such variable; there it must not be an SSH session.
pub(super) fn has_display(is_set: impl Fn(&str) -> bool) -> bool {
    if cfg!(target_os = "macos") {
        return !is_over_ssh(is_set);
    }
    ["DISPLAY", "WAYLAND_DISPLAY", "WSL_DISTRO_NAME"]
        .into_iter()
        .any(is_set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charset_and_terminal_decide_the_glyphs() {
        let with = |variables: &[(&str, &str)]| {
            supports_unicode(|name| {
                let found = variables.iter().rev().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).into())
            })
        };
        let term = ("TERM", "xterm-256color");
        for locale in [
            "C.UTF-8",
            "C.utf8",
            "de_DE.UTF-8",
            "de_DE.Utf-8@euro",
            "en_US.utf_8",
            "UTF-8",
            "ja_JP.UTF8",
            "\"C.UTF-8\"",
        ] {
            assert!(with(&[("LANG", locale), term]), "{locale}");
        }
        for locale in [
            "",
            "C",
            "POSIX",
            "de_DE",
            "de_DE@euro",
            "de_DE.ISO-8859-1",
            "de_DE.ISO8859-15@euro",
            "ja_JP.eucJP",
            "zh_CN.GB18030",
            "ru_RU.KOI8-R",
            "en_US.US-ASCII",
        ] {
            assert!(!with(&[("LANG", locale), term]), "{locale}");
        }
        assert!(!with(&[term]));
        let utf8 = "C.UTF-8";
        assert!(!with(&[
            ("LC_ALL", "C"),
            ("LC_CTYPE", utf8),
            ("LANG", utf8),
            term
        ]));
        assert!(with(&[
            ("LC_ALL", ""),
            ("LC_CTYPE", utf8),
            ("LANG", "C"),
            term
        ]));
        assert!(!with(&[
            ("LC_CTYPE", "de_DE.ISO-8859-1"),
            ("LANG", utf8),
            term
        ]));
        for term in [
            "linux",
            "linux-16color",
            "screen.linux",
            "vt100",
            "vt220",
            "vt102-w",
            "dumb",
            "ansi",
            "cons25",
            "wsvt25",
            "",
        ] {
            assert!(!with(&[("LANG", utf8), ("TERM", term)]), "{term}");
        }
        for term in [
            "xterm",
            "vte-256color",
            "screen",
            "tmux-256color",
            "foot",
            "konsole",
        ] {
            assert!(with(&[("LANG", utf8), ("TERM", term)]), "{term}");
        }
    }

    #[test]
    fn an_unreported_size_comes_from_variables() {
        let size = |columns: &'static str, lines: &'static str| {
            fallback_size(|name| {
                let value = if name == "LINES" { lines } else { columns };
                Some(value.to_owned())
            })
        };

        assert_eq!(fallback_size(|_| None), (80, 24));
        assert_eq!(size("132", "50"), (132, 50));
        assert_eq!(size("0", "-3"), (80, 24));
        assert_eq!(size("wide", " 40 "), (80, 40));
        assert_eq!(size("70000", ""), (80, 24));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn displays_are_named_and_may_be_forwarded_by_ssh() {
        let set = |names: &'static [&'static str]| move |name: &str| names.contains(&name);

        assert!(!has_display(set(&[])));
        assert!(!has_display(set(&["SSH_TTY"])));
        assert!(has_display(set(&["SSH_TTY", "DISPLAY"])));
        assert!(is_over_ssh(set(&["SSH_CONNECTION"])) && !is_over_ssh(set(&["DISPLAY"])));
    }
}
