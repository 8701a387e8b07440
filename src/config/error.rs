//! Errors in the config file: their positions and their sentences.

use std::{
    fmt::{self, Write as _},
    io,
    path::PathBuf,
};

use crate::{
    app::keymap::{Action, ChordError, KeyChord, KeyContext, KeymapError, KeymapErrorKind},
    domain::text::CleanText,
    messages::errors::did_you_mean,
};

/// The longest message, in bytes. It may repeat a word of the file.
const MAX_MESSAGE_LEN: usize = 300;

/// A position in a file, counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilePosition {
    pub line: usize,
    pub column: usize,
}

impl FilePosition {
    /// Returns the position of a byte of a text, or of its end if it is shorter.
    pub fn at_byte(text: &str, byte: usize) -> Self {
        let before = text.get(..byte).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let last = before.rsplit('\n').next().unwrap_or_default();
        Self {
            line,
            column: last.chars().count() + 1,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// `None` for an error without a single position or without a file.
    pub position: Option<FilePosition>,
    /// A sanitised sentence without a full stop.
    pub message: String,
}

impl ConfigError {
    /// Creates an error and sanitises its message, which may contain text from the file.
    pub fn new(position: Option<FilePosition>, message: &str) -> Self {
        Self {
            position,
            message: CleanText::line(message, MAX_MESSAGE_LEN)
                .as_str()
                .to_owned(),
        }
    }
}

/// All errors in a file, in the order of the file; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    /// `None` for errors in options and environment variables.
    pub file: Option<PathBuf>,
    pub errors: Vec<ConfigError>,
}

impl ConfigErrors {
    /// Creates a single error without a position.
    pub fn single(file: Option<PathBuf>, message: &str) -> Self {
        Self {
            file,
            errors: vec![ConfigError::new(None, message)],
        }
    }

    /// Returns all errors, with a heading that counts them if there are several.
    pub fn report(&self) -> String {
        match self.errors.len() {
            0 | 1 => self.to_string(),
            count => format!("{count} errors in the config file:\n{self}"),
        }
    }
}

impl fmt::Display for ConfigErrors {
    /// Writes one line for each error, as compilers do: `FILE:LINE:COLUMN: message.`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut path = String::new();
        if let Some(file) = &self.file {
            let file = file.to_string_lossy();
            path.push_str(CleanText::line(&file, 4096).as_str());
        }
        for (n, ConfigError { position, message }) in self.errors.iter().enumerate() {
            if n > 0 {
                f.write_char('\n')?;
            }
            f.write_str(&path)?;
            if let Some(FilePosition { line, column }) = position {
                write!(f, ":{line}:{column}")?;
            }
            if !path.is_empty() {
                f.write_str(": ")?;
            }
            let end = if message.ends_with(['.', '?']) {
                ""
            } else {
                "."
            };
            write!(f, "{message}{end}")?;
        }
        Ok(())
    }
}

pub(super) const TOO_LARGE: &str = "too large for a config file";
pub(super) const NOT_UTF8: &str = "not UTF-8 text";
pub(super) const NOT_A_FILE: &str = "cannot be read: not a regular file";

pub(super) fn unreadable(error: &io::Error) -> String {
    format!("cannot be read: {error}")
}

pub(super) fn unknown_profile<'a>(
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> String {
    let hint = match known.clone().next() {
        Some(_) => suggestion_or_list(name, known),
        None => "; the config file has none".to_owned(),
    };
    format!("unknown profile \"{name}\"{hint}")
}

pub(super) fn unknown_theme<'a>(
    name: &str,
    known: impl Iterator<Item = &'a str> + Clone,
) -> String {
    let hint = suggestion_or_list(name, known);
    format!("unknown theme \"{name}\"{hint}")
}

/// Suggests the closest name, else lists all of them.
fn suggestion_or_list<'a>(name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let hint = did_you_mean(name, known.clone());
    if hint.is_empty() {
        return format!("; available: {}", known.collect::<Vec<_>>().join(", "));
    }
    hint
}

pub(super) fn unknown_key(name: &str, section: &str, hint: &str) -> String {
    if section.is_empty() {
        return format!("unknown key \"{name}\"{hint}");
    }
    format!("unknown key \"{name}\" in [{section}]{hint}")
}

pub(super) const MISPLACED_KEY_HINT: &str = "; it belongs at the top, before the first section";

pub(super) fn wrong_type(key: &str, expected: &str, found: &str) -> String {
    format!("{key} must be {expected}, not {found}")
}

pub(super) fn not_one_of<'a>(
    key: &str,
    value: &str,
    choices: impl Iterator<Item = &'a str> + Clone,
) -> String {
    let quoted: Vec<_> = choices.clone().map(|word| format!("\"{word}\"")).collect();
    let list = match quoted.as_slice() {
        [others @ .., last] if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        all => all.concat(),
    };
    let hint = did_you_mean(value, choices);
    format!("{key} must be {list}, not \"{value}\"{hint}")
}

pub(super) fn profile_not_section(name: &str) -> String {
    format!("a profile must be a section: [profiles.{name}]")
}

pub(super) fn invalid_profile_name(name: &str, max_len: usize) -> String {
    format!("\"{name}\" is not a profile name: use 1 to {max_len} letters, digits, - and _")
}

pub(super) fn reserved_profile_name(name: &str) -> String {
    format!("the profile name \"{name}\" is reserved for the list without a profile")
}

pub(super) fn unknown_key_context(name: &str) -> String {
    let hint = did_you_mean(name, KeyContext::ALL.iter().map(|context| context.name()));
    format!("there is no place \"{name}\" for keys{hint}")
}

pub(super) fn key_context_not_section(name: &str) -> String {
    format!("keys for one place must be a section: [keys.in.{name}]")
}

pub(super) fn not_keys(action: &str) -> String {
    format!("{action} must be a key or a list of keys; keys for one place are in [keys.in.PLACE]")
}

pub(super) fn no_program(key: &str) -> String {
    format!("{key} has no program")
}

pub(super) fn not_word_list(key: &str) -> String {
    format!(
        "{key} must be a list of words, such as [\"pass\", \"show\", \"kie\"]; no shell splits it"
    )
}

pub(super) fn relative_path(key: &str) -> String {
    format!("{key} must begin with / or ~/")
}

impl fmt::Display for KeymapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            KeymapErrorKind::UnknownAction(name) => {
                let hint = did_you_mean(name, Action::all().map(Action::name));
                write!(f, "unknown action \"{name}\"{hint}")
            }
            KeymapErrorKind::InvalidContext { action, context } => {
                let (action, context) = (action.name(), context.name());
                write!(f, "{action} is not available in \"{context}\"")
            }
            KeymapErrorKind::InvalidKey { text, error } => write!(f, "\"{text}\" {error}"),
            KeymapErrorKind::DuplicateKey {
                chord,
                context,
                actions: [one, other],
            } => write!(
                f,
                "key \"{}\" is bound to {} and {} in \"{}\"",
                chord.config_name(),
                one.name(),
                other.name(),
                context.name()
            ),
            KeymapErrorKind::TextKey { chord, context } => write!(
                f,
                "key \"{}\" types a character in \"{}\"; use one with ctrl or alt, or a named key",
                chord.config_name(),
                context.name()
            ),
            KeymapErrorKind::NoExit(context) => {
                write!(
                    f,
                    "no key closes \"{}\"; bind quit or back there",
                    context.name()
                )
            }
        }
    }
}

impl fmt::Display for ChordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKey => f.write_str(
                "is not a key; write keys like o, G, ctrl-d, alt-x, space, enter, shift-tab, pgup, f1",
            ),
            Self::ShiftNotReported => {
                f.write_str("cannot be distinguished from the key without shift in a terminal")
            }
            Self::SameAs(key) => {
                let key = KeyChord::plain(*key).config_name();
                write!(f, "is the same key as {key} in a terminal")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_counted_like_in_editors() {
        let text = "a = 1\nü = 2\n";
        let line_and_column = |byte| {
            let FilePosition { line, column } = FilePosition::at_byte(text, byte);
            (line, column)
        };
        assert_eq!(line_and_column(0), (1, 1));
        assert_eq!(line_and_column(6), (2, 1));
        assert_eq!(line_and_column(8), (2, 2));
        assert_eq!(line_and_column(99), (3, 1));
    }

    #[test]
    fn config_errors_cannot_control_the_terminal() {
        let errors = ConfigErrors::single(Some("a\u{1b}b".into()), "no \"\u{1b}[2J\" here");
        assert!(!errors.to_string().contains('\u{1b}'), "{errors}");
    }
}
