//! Walks a TOML file key by key and notes everything wrong with it: keys nobody knows, values of
//! another kind.
//!
//! By hand and not by serde, which stops at the first fault. Knows no setting by name: whoever asks
//! for a key makes it a known one, so the known keys are those that were asked for.

use std::{cell::RefCell, ops::RangeInclusive, path::PathBuf};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::error::{ConfigError, ConfigErrors, FilePosition};
use crate::domain::suggest::did_you_mean;

/// A file being read: its text, what was found wrong, which keys were asked for.
#[derive(Debug)]
pub(super) struct TomlReader<'a> {
    text: &'a str,
    table: DeTable<'a>,
    /// The lines that are no TOML: what else seems wrong with them follows from that.
    broken_lines: Vec<usize>,
    errors: RefCell<Vec<(usize, ConfigError)>>,
    known_keys: RefCell<Vec<String>>,
}

impl<'a> TomlReader<'a> {
    /// Parses a file; what is no TOML is noted, and the rest read as far as it goes.
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
            let at = error.span().map_or(0, |span| span.start);
            reader.report(at, error.message());
            reader
                .broken_lines
                .push(FilePosition::at_byte(text, at).line);
        }
        reader
    }

    /// Returns the file's outermost section.
    pub(super) const fn root(&'a self) -> TomlSection<'a> {
        TomlSection {
            reader: self,
            path: String::new(),
            table: Some(&self.table),
            read_names: Vec::new(),
        }
    }

    /// Notes a fault at a byte of the file.
    pub(super) fn report(&self, at: usize, what: &str) {
        let place = FilePosition::at_byte(self.text, at);
        if self.broken_lines.contains(&place.line) {
            return;
        }
        let fault = ConfigError::new(Some(place), what);
        let mut faults = self.errors.borrow_mut();
        if !faults.iter().any(|(_, known)| *known == fault) {
            faults.push((at, fault));
        }
    }

    /// Reports whether the head of a byte's section could not be read: its keys may be known there.
    fn is_in_broken_section(&self, at: usize) -> bool {
        let line = FilePosition::at_byte(self.text, at).line;
        let heads = self.text.lines().take(line).zip(1..);
        let last = heads.filter(|(text, _)| text.trim_start().starts_with('['));
        last.last()
            .is_some_and(|(_, head)| self.broken_lines.contains(&head))
    }

    /// Returns every key that was asked for, as a path with dots, in the order of the questions.
    pub(super) fn known_keys(&self) -> Vec<String> {
        self.known_keys.borrow().clone()
    }

    /// Ends the reading: nothing, or everything that was found wrong, in the order of the file.
    pub(super) fn finish(self, file: Option<PathBuf>) -> Result<(), ConfigErrors> {
        let mut faults = self.errors.into_inner();
        if faults.is_empty() {
            return Ok(());
        }
        faults.sort_by_key(|(at, _)| *at);
        let faults = faults.into_iter().map(|(_, fault)| fault).collect();
        Err(ConfigErrors {
            file,
            errors: faults,
        })
    }
}

/// A value with the byte where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Located<T> {
    /// The byte.
    pub(super) offset: usize,
    /// The value.
    pub(super) value: T,
}

/// A table of the file, or one that is not there: then every key has its default.
#[derive(Debug)]
pub(super) struct TomlSection<'a> {
    reader: &'a TomlReader<'a>,
    path: String,
    table: Option<&'a DeTable<'a>>,
    read_names: Vec<&'static str>,
}

impl<'a> TomlSection<'a> {
    /// Notes a fault at a byte of the file.
    pub(super) fn report(&self, at: usize, what: &str) {
        self.reader.report(at, what);
    }

    /// Returns a truth.
    pub(super) fn bool(&mut self, name: &'static str) -> Option<bool> {
        let value = self.read_value(name)?;
        let truth = value.get_ref().as_bool();
        if truth.is_none() {
            self.report_wrong_type(name, value, "true or false");
        }
        truth
    }

    /// Returns a text; an empty one is none.
    pub(super) fn string(&mut self, name: &'static str) -> Option<Located<&'a str>> {
        let value = self.read_value(name)?;
        let offset = value.span().start;
        let Some(text) = value.get_ref().as_str() else {
            self.report_wrong_type(name, value, "a text in quotes");
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

    /// Returns a whole number within a range; `unit` is the word after it.
    pub(super) fn integer(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u64>,
        unit: &str,
    ) -> Option<u64> {
        let value = self.read_value(name)?;
        let (from, to) = (range.start(), range.end());
        let Some(number) = value.get_ref().as_integer() else {
            self.report_wrong_type(name, value, &format!("a whole number of {unit}"));
            return None;
        };
        let number = u64::from_str_radix(number.as_str(), number.radix()).ok();
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let full = self.full_key(name);
            self.report(
                value.span().start,
                &format!("{full} must be {from} to {to} {unit}"),
            );
        }
        number
    }

    /// Returns one of a few words, as what it means.
    pub(super) fn one_of<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let Located { offset, value } = self.string(name)?;
        let known = choices.iter().find(|(word, _)| *word == value);
        if known.is_none() {
            let words = choices.iter().map(|(word, _)| *word);
            let all: Vec<_> = words.clone().map(|word| format!("\"{word}\"")).collect();
            let what = format!(
                "{} must be {}, not \"{value}\"{}",
                self.full_key(name),
                all.join(" or "),
                did_you_mean(value, words)
            );
            self.report(offset, &what);
        }
        known.map(|(_, choice)| *choice)
    }

    /// Returns a list of texts; a single text is a list of one.
    pub(super) fn strings(&mut self, name: &'static str) -> Option<Located<Vec<Located<&'a str>>>> {
        let value = self.read_value(name)?;
        parse_strings(self.reader, &self.full_key(name), value)
    }

    /// Returns the section of that name.
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
        TomlSection {
            reader: self.reader,
            path: format!("{}.", self.full_key(name)),
            table,
            read_names: Vec::new(),
        }
    }

    /// Returns every entry that has not been asked for by name: sections, or lists of texts. Ends
    /// the section.
    pub(super) fn remaining_entries(self) -> Vec<SectionEntry<'a>> {
        let entries = self.unread_entries().map(|(name, at, value)| {
            let full = format!("{}{name}", self.path);
            let content = match value.get_ref().as_table() {
                Some(table) => EntryContent::Section(TomlSection {
                    reader: self.reader,
                    path: format!("{full}."),
                    table: Some(table),
                    read_names: Vec::new(),
                }),
                None => EntryContent::Strings(parse_strings(self.reader, &full, value)),
            };
            SectionEntry {
                name,
                offset: at,
                content,
            }
        });
        entries.collect()
    }

    /// Ends the section: what is in it and was never asked for is unknown.
    pub(super) fn finish(self) {
        for (name, at, _) in self.unread_entries() {
            if self.reader.is_in_broken_section(at) {
                continue;
            }
            let section = self.path.trim_end_matches('.');
            let known = self.reader.known_keys.borrow();
            let hint = if !section.is_empty() && known.iter().any(|path| path == name) {
                "; it belongs at the top, before the first section".to_owned()
            } else {
                did_you_mean(name, self.read_names.iter().copied())
            };
            drop(known);
            let place = if section.is_empty() {
                String::new()
            } else {
                format!(" in [{section}]")
            };
            self.report(at, &format!("unknown key \"{name}\"{place}{hint}"));
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

    fn report_wrong_type(&self, name: &str, value: &Spanned<DeValue<'_>>, wanted: &str) {
        report_wrong_type(self.reader, &self.full_key(name), value, wanted);
    }
}

/// An entry of a section whose names are the user's own.
#[derive(Debug)]
pub(super) struct SectionEntry<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// The byte where the name stands.
    pub(super) offset: usize,
    /// What it holds.
    pub(super) content: EntryContent<'a>,
}

/// What an entry holds.
#[derive(Debug)]
pub(super) enum EntryContent<'a> {
    /// A section.
    Section(TomlSection<'a>),
    /// Texts; `None` when it is something else, which is noted.
    Strings(Option<Located<Vec<Located<&'a str>>>>),
}

fn parse_strings<'a>(
    reader: &TomlReader<'_>,
    full: &str,
    value: &'a Spanned<DeValue<'a>>,
) -> Option<Located<Vec<Located<&'a str>>>> {
    let offset = value.span().start;
    if let Some(text) = value.get_ref().as_str() {
        let value = vec![Located {
            offset,
            value: text,
        }];
        return Some(Located { offset, value });
    }
    let Some(array) = value.get_ref().as_array() else {
        report_wrong_type(reader, full, value, "a text, or a list of texts, in quotes");
        return None;
    };
    let mut texts = Vec::new();
    for item in array {
        let Some(text) = item.get_ref().as_str() else {
            report_wrong_type(reader, full, item, "a list of texts in quotes");
            return None;
        };
        let at = item.span().start;
        texts.push(Located {
            offset: at,
            value: text,
        });
    }
    Some(Located {
        offset,
        value: texts,
    })
}

fn report_wrong_type(
    reader: &TomlReader<'_>,
    full: &str,
    value: &Spanned<DeValue<'_>>,
    wanted: &str,
) {
    let found = match value.get_ref() {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    };
    let what = format!("{full} must be {wanted}, not {found}");
    reader.report(value.span().start, &what);
}
