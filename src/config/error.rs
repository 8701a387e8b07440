//! What is wrong with a file, and where: the line and column a person's editor shows.

use std::{
    fmt::{self, Write as _},
    path::PathBuf,
};

use crate::domain::text::CleanText;

/// The longest sentence about a fault, in bytes: it may repeat a word of the file.
const MAX_MESSAGE_LEN: usize = 300;

/// A place in a file, both counted from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct FilePosition {
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl FilePosition {
    /// Returns the place of a byte of a text; beyond its end, the end.
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

/// One thing wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Where; `None` when it is no single place, or there is no file.
    pub position: Option<FilePosition>,
    /// What, as a sentence without a full stop; clean.
    pub message: String,
}

impl ConfigError {
    /// Returns a fault; what the file brought into the sentence is made clean.
    pub fn new(place: Option<FilePosition>, what: &str) -> Self {
        Self {
            position: place,
            message: CleanText::line(what, MAX_MESSAGE_LEN).as_str().to_owned(),
        }
    }
}

/// Everything wrong with a file, in the order of the file; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigErrors {
    /// Which file; `None` when it is about what was given otherwise.
    pub file: Option<PathBuf>,
    /// What.
    pub errors: Vec<ConfigError>,
}

impl ConfigErrors {
    /// Returns one fault of no place.
    pub fn single(file: Option<PathBuf>, what: &str) -> Self {
        Self {
            file,
            errors: vec![ConfigError::new(None, what)],
        }
    }
}

impl fmt::Display for ConfigErrors {
    /// One line a fault, as compilers do: `FILE:LINE:COLUMN: what.`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lead = String::new();
        if let Some(file) = &self.file {
            let file = file.to_string_lossy();
            lead.push_str(CleanText::line(&file, 4096).as_str());
        }
        for (
            n,
            ConfigError {
                position: place,
                message: what,
            },
        ) in self.errors.iter().enumerate()
        {
            if n > 0 {
                f.write_char('\n')?;
            }
            f.write_str(&lead)?;
            if let Some(FilePosition { line, column }) = place {
                write!(f, ":{line}:{column}")?;
            }
            if !lead.is_empty() {
                f.write_str(": ")?;
            }
            let end = if what.ends_with(['.', '?']) { "" } else { "." };
            write!(f, "{what}{end}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_counted_like_in_editors() {
        let text = "a = 1\nü = 2\n";
        let of = |byte| {
            let FilePosition { line, column } = FilePosition::at_byte(text, byte);
            (line, column)
        };
        assert_eq!(of(0), (1, 1));
        assert_eq!(of(6), (2, 1));
        assert_eq!(of(8), (2, 2));
        assert_eq!(of(99), (3, 1));
    }

    #[test]
    fn config_errors_cannot_control_the_terminal() {
        let faults = ConfigErrors::single(Some("a\u{1b}b".into()), "no \"\u{1b}[2J\" here");
        assert!(!faults.to_string().contains('\u{1b}'), "{faults}");
    }
}
