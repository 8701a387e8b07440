//! Reads a TOML file key by key and collects all errors: unknown keys, values of the wrong type.
//!
//! Not with serde, which stops at the first error. Knows no setting by name: reading a key makes it
//! a known key.

use std::{cell::RefCell, ops::RangeInclusive, path::PathBuf, str::FromStr};

use strum::VariantNames;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::error::{self, ConfigError, ConfigErrors, FilePosition};
use crate::messages::errors::did_you_mean;

/// A TOML file with the errors found and the keys read so far.
#[derive(Debug)]
pub(super) struct TomlReader<'a> {
    text: &'a str,
    table: DeTable<'a>,
    /// Lines with syntax errors. Other errors on them are not reported.
    broken_lines: Vec<usize>,
    errors: RefCell<Vec<(usize, ConfigError)>>,
    known_keys: RefCell<Vec<String>>,
}

impl<'a> TomlReader<'a> {
    /// Parses a file. Reports syntax errors and keeps the valid rest.
    pub(super) fn new(text: &'a str) -> Self {
        let text = text.trim_start_matches('\u{feff}');
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut reader = Self {
            text,
            table: table.into_inner(),
            broken_lines: Vec::new(),
            errors: RefCell::default(),
            known_keys: RefCell::default(),
        };
        for error in errors {
            let offset = error.span().map_or(0, |span| span.start);
            reader.report(offset, error.message());
            reader
                .broken_lines
                .push(FilePosition::at_byte(text, offset).line);
        }
        reader
    }

    /// Returns the top-level section.
    pub(super) const fn root(&'a self) -> TomlSection<'a> {
        self.section(String::new(), Some(&self.table))
    }

    /// Returns a section; `path` ends with a full stop, or is empty for the root.
    const fn section(&'a self, path: String, table: Option<&'a DeTable<'a>>) -> TomlSection<'a> {
        TomlSection {
            reader: self,
            path,
            table,
            read_names: Vec::new(),
        }
    }

    /// Adds an error at a byte offset, once.
    pub(super) fn report(&self, offset: usize, message: &str) {
        let position = FilePosition::at_byte(self.text, offset);
        if self.broken_lines.contains(&position.line) {
            return;
        }
        let error = ConfigError::new(Some(position), message);
        let mut errors = self.errors.borrow_mut();
        if !errors.iter().any(|(_, known)| *known == error) {
            errors.push((offset, error));
        }
    }

    /// Reports whether the section header before a byte has a syntax error. Keys below it may be
    /// valid in the intended section.
    fn is_in_broken_section(&self, offset: usize) -> bool {
        let line = FilePosition::at_byte(self.text, offset).line;
        let lines = self.text.lines().take(line).zip(1..);
        let headers = lines.filter(|(text, _)| text.trim_start().starts_with('['));
        headers
            .last()
            .is_some_and(|(_, line)| self.broken_lines.contains(&line))
    }

    /// Reads a string or a list of strings; reports a value of another type.
    fn strings(
        &self,
        full: &str,
        value: &'a Spanned<DeValue<'a>>,
    ) -> Option<Located<Vec<Located<&'a str>>>> {
        let located = |value: &'a Spanned<DeValue<'a>>| {
            Some(Located {
                offset: value.span().start,
                value: value.get_ref().as_str()?,
            })
        };
        let offset = value.span().start;
        if let Some(text) = located(value) {
            let value = vec![text];
            return Some(Located { offset, value });
        }
        let Some(array) = value.get_ref().as_array() else {
            self.report_wrong_type(full, value, "a string or a list of strings");
            return None;
        };
        let mut strings = Vec::new();
        for item in array {
            let Some(text) = located(item) else {
                self.report_wrong_type(full, item, "a list of strings in quotes");
                return None;
            };
            strings.push(text);
        }
        Some(Located {
            offset,
            value: strings,
        })
    }

    fn report_wrong_type(&self, full: &str, value: &Spanned<DeValue<'_>>, expected: &str) {
        let found = match value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "a whole number",
            DeValue::Float(_) => "a decimal number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a section",
        };
        let message = error::wrong_type(full, expected, found);
        self.report(value.span().start, &message);
    }

    /// Returns all keys read so far, as dotted paths, in reading order.
    pub(super) fn known_keys(&self) -> Vec<String> {
        self.known_keys.borrow().clone()
    }

    /// Returns all errors in the order of the file.
    pub(super) fn finish(self, file: Option<PathBuf>) -> Result<(), ConfigErrors> {
        let mut errors = self.errors.into_inner();
        if errors.is_empty() {
            return Ok(());
        }
        errors.sort_by_key(|(offset, _)| *offset);
        let errors = errors.into_iter().map(|(_, error)| error).collect();
        Err(ConfigErrors { file, errors })
    }
}

/// A value with its byte offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Located<T> {
    pub(super) offset: usize,
    pub(super) value: T,
}

/// A table of the file. A missing one reads as empty.
#[derive(Debug)]
pub(super) struct TomlSection<'a> {
    reader: &'a TomlReader<'a>,
    path: String,
    table: Option<&'a DeTable<'a>>,
    read_names: Vec<&'static str>,
}

impl<'a> TomlSection<'a> {
    /// Adds an error at a byte offset.
    pub(super) fn report(&self, offset: usize, message: &str) {
        self.reader.report(offset, message);
    }

    pub(super) fn bool(&mut self, name: &'static str) -> Option<bool> {
        let value = self.read_value(name)?;
        let boolean = value.get_ref().as_bool();
        if boolean.is_none() {
            self.report_wrong_type(name, value, "true or false");
        }
        boolean
    }

    /// Reads a string. An empty one is an error.
    pub(super) fn string(&mut self, name: &'static str) -> Option<Located<&'a str>> {
        let value = self.read_value(name)?;
        let offset = value.span().start;
        let Some(text) = value.get_ref().as_str() else {
            self.report_wrong_type(name, value, "a string in quotes");
            return None;
        };
        if text.trim().is_empty() {
            self.report(offset, &format!("{} is empty", self.full_key(name)));
            return None;
        }
        Some(Located {
            offset,
            value: text,
        })
    }

    /// Reads a whole number within a range. `unit` appears in the error message.
    pub(super) fn integer(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u64>,
        unit: &str,
    ) -> Option<u64> {
        let value = self.read_value(name)?;
        let (min, max) = (range.start(), range.end());
        let Some(number) = value.get_ref().as_integer() else {
            self.report_wrong_type(name, value, &format!("a whole number of {unit}"));
            return None;
        };
        let number = u64::from_str_radix(number.as_str(), number.radix()).ok();
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let key = self.full_key(name);
            self.report(
                value.span().start,
                &format!("{key} must be {min} to {max} {unit}"),
            );
        }
        number
    }

    /// Reads the name of a variant.
    pub(super) fn one_of<T: FromStr + VariantNames>(&mut self, name: &'static str) -> Option<T> {
        let Located { offset, value } = self.string(name)?;
        let known = value.parse().ok();
        if known.is_none() {
            let words = T::VARIANTS.iter().copied();
            let message = error::not_one_of(&self.full_key(name), value, words);
            self.report(offset, &message);
        }
        known
    }

    /// Reads a list of strings. A single string is a list of one.
    pub(super) fn strings(&mut self, name: &'static str) -> Option<Located<Vec<Located<&'a str>>>> {
        let value = self.read_value(name)?;
        self.reader.strings(&self.full_key(name), value)
    }

    pub(super) fn section(&mut self, name: &'static str) -> TomlSection<'a> {
        let value = self.read_value(name);
        let table = value.and_then(|value| {
            let table = value.get_ref().as_table();
            if table.is_none() {
                self.report_wrong_type(
                    name,
                    value,
                    &format!("a section: [{}]", self.full_key(name)),
                );
            }
            table
        });
        let path = format!("{}.", self.full_key(name));
        self.reader.section(path, table)
    }

    /// Returns all entries not read by name: sections or lists of strings.
    pub(super) fn remaining_entries(self) -> Vec<SectionEntry<'a>> {
        let entries = self.unread_entries().map(|(name, offset, value)| {
            let full = format!("{}{name}", self.path);
            let content = match value.get_ref().as_table() {
                Some(table) => {
                    EntryContent::Section(self.reader.section(format!("{full}."), Some(table)))
                }
                None => EntryContent::Strings(self.reader.strings(&full, value)),
            };
            SectionEntry {
                name,
                offset,
                content,
            }
        });
        entries.collect()
    }

    /// Reports the entries that were not read as unknown keys.
    pub(super) fn finish(self) {
        for (name, offset, _) in self.unread_entries() {
            if self.reader.is_in_broken_section(offset) {
                continue;
            }
            let section = self.path.trim_end_matches('.');
            let known = self.reader.known_keys.borrow();
            let hint = if !section.is_empty() && known.iter().any(|path| path == name) {
                error::MISPLACED_KEY_HINT.to_owned()
            } else {
                did_you_mean(name, self.read_names.iter().copied())
            };
            drop(known);
            self.report(offset, &error::unknown_key(name, section, &hint));
        }
    }

    fn unread_entries(&self) -> impl Iterator<Item = (&'a str, usize, &'a Spanned<DeValue<'a>>)> {
        self.table
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.get_ref().as_ref(), name.span().start, value))
            .filter(|(name, _, _)| !self.read_names.contains(name))
    }

    fn read_value(&mut self, name: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.read_names.push(name);
        self.reader
            .known_keys
            .borrow_mut()
            .push(self.full_key(name));
        let mut entries = self.table?.iter();
        let found = entries.find(|(key, _)| key.get_ref().as_ref() == name);
        found.map(|(_, value)| value)
    }

    fn full_key(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    fn report_wrong_type(&self, name: &str, value: &Spanned<DeValue<'_>>, expected: &str) {
        self.reader
            .report_wrong_type(&self.full_key(name), value, expected);
    }
}

/// An entry of a section with names that the user chooses.
#[derive(Debug)]
pub(super) struct SectionEntry<'a> {
    pub(super) name: &'a str,
    /// The byte offset of the name.
    pub(super) offset: usize,
    pub(super) content: EntryContent<'a>,
}

#[derive(Debug)]
pub(super) enum EntryContent<'a> {
    Section(TomlSection<'a>),
    /// `None` for a value of another type, which has been reported.
    Strings(Option<Located<Vec<Located<&'a str>>>>),
}
