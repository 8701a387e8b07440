//! Walks a TOML file key by key and notes everything wrong with it: keys nobody knows, values of another kind.
//!
//! By hand and not by serde, which stops at the first fault. Knows no setting by name: whoever asks for a key makes
//! it a known one, so the known keys are those that were asked for.

use std::{cell::RefCell, ops::RangeInclusive, path::PathBuf};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::fault::{Fault, Faults, Place};
use crate::domain::nearest::did_you_mean;

/// Is a file being read: its text, what was found wrong, which keys were asked for.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    text: &'a str,
    table: DeTable<'a>,
    /// The lines that are no TOML: what else seems wrong with them follows from that.
    broken: Vec<usize>,
    faults: RefCell<Vec<(usize, Fault)>>,
    known: RefCell<Vec<String>>,
}

impl<'a> Reader<'a> {
    /// Parses a file; what is no TOML is noted, and the rest read as far as it goes.
    pub(super) fn new(text: &'a str) -> Self {
        let text = text.trim_start_matches('\u{feff}');
        let (table, errors) = DeTable::parse_recoverable(text);
        let mut reader = Self {
            text,
            table: table.into_inner(),
            broken: Vec::new(),
            faults: RefCell::default(),
            known: RefCell::default(),
        };
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            reader.fault(at, error.message());
            reader.broken.push(Place::of(text, at).line);
        }
        reader
    }

    /// Returns the file's outermost section.
    pub(super) const fn root(&'a self) -> Section<'a> {
        Section {
            reader: self,
            path: String::new(),
            table: Some(&self.table),
            names: Vec::new(),
        }
    }

    /// Notes a fault at a byte of the file.
    pub(super) fn fault(&self, at: usize, what: &str) {
        let place = Place::of(self.text, at);
        if self.broken.contains(&place.line) {
            return;
        }
        let fault = Fault::new(Some(place), what);
        let mut faults = self.faults.borrow_mut();
        if !faults.iter().any(|(_, known)| *known == fault) {
            faults.push((at, fault));
        }
    }

    /// Reports whether the head of a byte's section could not be read: its keys may be known there.
    fn is_in_broken_section(&self, at: usize) -> bool {
        let line = Place::of(self.text, at).line;
        let heads = self.text.lines().take(line).zip(1..);
        let last = heads.filter(|(text, _)| text.trim_start().starts_with('['));
        last.last()
            .is_some_and(|(_, head)| self.broken.contains(&head))
    }

    /// Returns every key that was asked for, as a path with dots, in the order of the questions.
    pub(super) fn known(&self) -> Vec<String> {
        self.known.borrow().clone()
    }

    /// Ends the reading: nothing, or everything that was found wrong, in the order of the file.
    pub(super) fn finish(self, file: Option<PathBuf>) -> Result<(), Faults> {
        let mut faults = self.faults.into_inner();
        if faults.is_empty() {
            return Ok(());
        }
        faults.sort_by_key(|(at, _)| *at);
        let faults = faults.into_iter().map(|(_, fault)| fault).collect();
        Err(Faults { file, faults })
    }
}

/// Is a value with the byte where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct At<T> {
    /// The byte.
    pub(super) at: usize,
    /// The value.
    pub(super) value: T,
}

/// Is a table of the file, or one that is not there: then every key has its default.
#[derive(Debug)]
pub(super) struct Section<'a> {
    reader: &'a Reader<'a>,
    path: String,
    table: Option<&'a DeTable<'a>>,
    names: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// Notes a fault at a byte of the file.
    pub(super) fn fault(&self, at: usize, what: &str) {
        self.reader.fault(at, what);
    }

    /// Returns a truth.
    pub(super) fn truth(&mut self, name: &'static str) -> Option<bool> {
        let value = self.value(name)?;
        let truth = value.get_ref().as_bool();
        if truth.is_none() {
            self.wrong_kind(name, value, "true or false");
        }
        truth
    }

    /// Returns a text; an empty one is none.
    pub(super) fn text(&mut self, name: &'static str) -> Option<At<&'a str>> {
        let value = self.value(name)?;
        let at = value.span().start;
        let Some(text) = value.get_ref().as_str() else {
            self.wrong_kind(name, value, "a text in quotes");
            return None;
        };
        if text.trim().is_empty() {
            self.fault(at, &format!("{} is empty", self.full(name)));
            return None;
        }
        Some(At { at, value: text })
    }

    /// Returns a whole number within a range; `unit` is the word after it.
    pub(super) fn number(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u64>,
        unit: &str,
    ) -> Option<u64> {
        let value = self.value(name)?;
        let (from, to) = (range.start(), range.end());
        let Some(number) = value.get_ref().as_integer() else {
            self.wrong_kind(name, value, &format!("a whole number of {unit}"));
            return None;
        };
        let number = u64::from_str_radix(number.as_str(), number.radix()).ok();
        let number = number.filter(|number| range.contains(number));
        if number.is_none() {
            let full = self.full(name);
            self.fault(
                value.span().start,
                &format!("{full} must be {from} to {to} {unit}"),
            );
        }
        number
    }

    /// Returns one of a few words, as what it means.
    pub(super) fn choice<T: Copy>(
        &mut self,
        name: &'static str,
        choices: &[(&'static str, T)],
    ) -> Option<T> {
        let At { at, value } = self.text(name)?;
        let known = choices.iter().find(|(word, _)| *word == value);
        if known.is_none() {
            let words = choices.iter().map(|(word, _)| *word);
            let all: Vec<_> = words.clone().map(|word| format!("\"{word}\"")).collect();
            let what = format!(
                "{} must be {}, not \"{value}\"{}",
                self.full(name),
                all.join(" or "),
                did_you_mean(value, words)
            );
            self.fault(at, &what);
        }
        known.map(|(_, choice)| *choice)
    }

    /// Returns a list of texts; a single text is a list of one.
    pub(super) fn words(&mut self, name: &'static str) -> Option<At<Vec<At<&'a str>>>> {
        let value = self.value(name)?;
        words(self.reader, &self.full(name), value)
    }

    /// Returns the section of that name.
    pub(super) fn section(&mut self, name: &'static str) -> Section<'a> {
        let value = self.value(name);
        let table = value.and_then(|value| {
            let table = value.get_ref().as_table();
            if table.is_none() {
                self.wrong_kind(name, value, &format!("a section: [{}]", self.full(name)));
            }
            table
        });
        Section {
            reader: self.reader,
            path: format!("{}.", self.full(name)),
            table,
            names: Vec::new(),
        }
    }

    /// Returns every entry that has not been asked for by name: sections, or lists of texts. Ends the section.
    pub(super) fn entries(self) -> Vec<Entry<'a>> {
        let entries = self.rest().map(|(name, at, value)| {
            let full = format!("{}{name}", self.path);
            let content = match value.get_ref().as_table() {
                Some(table) => Content::Section(Section {
                    reader: self.reader,
                    path: format!("{full}."),
                    table: Some(table),
                    names: Vec::new(),
                }),
                None => Content::Words(words(self.reader, &full, value)),
            };
            Entry { name, at, content }
        });
        entries.collect()
    }

    /// Ends the section: what is in it and was never asked for is unknown.
    pub(super) fn finish(self) {
        for (name, at, _) in self.rest() {
            if self.reader.is_in_broken_section(at) {
                continue;
            }
            let section = self.path.trim_end_matches('.');
            let known = self.reader.known.borrow();
            let hint = if !section.is_empty() && known.iter().any(|path| path == name) {
                "; it belongs at the top, before the first section".to_owned()
            } else {
                did_you_mean(name, self.names.iter().copied())
            };
            drop(known);
            let place = if section.is_empty() {
                String::new()
            } else {
                format!(" in [{section}]")
            };
            self.fault(at, &format!("unknown key \"{name}\"{place}{hint}"));
        }
    }

    fn rest(&self) -> impl Iterator<Item = (&'a str, usize, &'a Spanned<DeValue<'a>>)> {
        self.table
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.get_ref().as_ref(), name.span().start, value))
            .filter(|(name, _, _)| !self.names.contains(name))
    }

    fn value(&mut self, name: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.names.push(name);
        self.reader.known.borrow_mut().push(self.full(name));
        let mut entries = self.table?.iter();
        let found = entries.find(|(key, _)| key.get_ref().as_ref() == name);
        found.map(|(_, value)| value)
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.path)
    }

    fn wrong_kind(&self, name: &str, value: &Spanned<DeValue<'_>>, wanted: &str) {
        wrong_kind(self.reader, &self.full(name), value, wanted);
    }
}

/// Is an entry of a section whose names are the user's own.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// The byte where the name stands.
    pub(super) at: usize,
    /// What it holds.
    pub(super) content: Content<'a>,
}

/// Is what an entry holds.
#[derive(Debug)]
pub(super) enum Content<'a> {
    /// A section.
    Section(Section<'a>),
    /// Texts; `None` when it is something else, which is noted.
    Words(Option<At<Vec<At<&'a str>>>>),
}

fn words<'a>(
    reader: &Reader<'_>,
    full: &str,
    value: &'a Spanned<DeValue<'a>>,
) -> Option<At<Vec<At<&'a str>>>> {
    let at = value.span().start;
    if let Some(text) = value.get_ref().as_str() {
        let value = vec![At { at, value: text }];
        return Some(At { at, value });
    }
    let Some(array) = value.get_ref().as_array() else {
        wrong_kind(reader, full, value, "a text, or a list of texts, in quotes");
        return None;
    };
    let mut texts = Vec::new();
    for item in array {
        let Some(text) = item.get_ref().as_str() else {
            wrong_kind(reader, full, item, "a list of texts in quotes");
            return None;
        };
        let at = item.span().start;
        texts.push(At { at, value: text });
    }
    Some(At { at, value: texts })
}

fn wrong_kind(reader: &Reader<'_>, full: &str, value: &Spanned<DeValue<'_>>, wanted: &str) {
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
    reader.fault(value.span().start, &what);
}
