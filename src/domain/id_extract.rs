//! Finds task ids in any text a person may pipe or paste: lists, logs, JSON, tables, `curl` lines,
//! exports, prose.
//!
//! A value is an id because a name says so (`taskId`, "Task ID", the head of a column), because it
//! stands alone on its line, or, where the text names no task at all, because of its shape. A
//! secret is never an id: what stands behind a word of authorization, wherever it is repeated, and
//! what the caller knows to be one. Names count whole: `parentTaskId` and `external_task_id` name
//! other things.
//!
//! A text is decoded (`decode`), divided into lines and tokens (`tokens`) and read by structure
//! (`reader`); a string within is read as a text of its own, for logs hold JSON and JSON holds
//! JSON. Input comes in portions of any size and memory is bounded, so the length of the input is
//! not.

mod decode;
mod findings;
mod names;
mod reader;
mod table;
mod tokens;
mod values;

use decode::Decoder;
pub use findings::{Certainty, FoundId, Skipped};
use findings::{Evidence, Findings, SkipReason};
use reader::LineReader;

use super::{task::TaskId, text::CleanText};

/// The longest line read as one, in bytes; a longer one is read in portions that end between two
/// values.
const MAX_LINE: usize = 256 * 1024;

/// How many ids wait at most for what the rest of the text says about them.
const MAX_QUEUED_IDS: usize = 1000;

/// Secrets that are never ids, in every spelling the caller can think of. `Debug` shows none of
/// them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KnownSecrets(Vec<String>);

impl KnownSecrets {
    /// Makes a set of secrets.
    pub const fn new(secrets: Vec<String>) -> Self {
        Self(secrets)
    }

    /// Reports whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for KnownSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KnownSecrets({})", self.0.len())
    }
}

/// What a whole text held.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extracted {
    /// The ids, each once, in the order of the text.
    pub ids: Vec<FoundId>,
    /// What was left out.
    pub skipped: Skipped,
    /// Lone words that are no ids, at most a few of them: what the user may have meant.
    pub rejected: Vec<CleanText>,
    /// How many more such words there were.
    pub more_rejected: usize,
    /// How the text begins, without secrets, where it holds no id.
    pub beginning: Option<CleanText>,
}

/// Finds the ids of a whole text, with the words around each.
pub fn extract(text: &str, secrets: &KnownSecrets) -> Extracted {
    let mut extractor = IdExtractor::new(secrets);
    extractor.found.wants_context = true;
    extractor.is_bounded = false;
    extractor.push(text.as_bytes());
    let ids = extractor.finish();
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    let found = extractor.found;
    let beginning = first
        .filter(|_| ids.is_empty())
        .map(|line| CleanText::line(&findings::redact_values(line), 200));
    Extracted {
        ids,
        skipped: found.skipped,
        rejected: found.rejected,
        more_rejected: found.more_rejected,
        beginning,
    }
}

/// Reads one argument of a command line: an id, or a text that names some.
///
/// One word is an id by its place, whatever its shape, unless it stands for an id that is not
/// there.
pub fn extract_argument(text: &str, secrets: &KnownSecrets) -> Extracted {
    let is_word = text
        .chars()
        .all(|c| c.is_alphanumeric() || matches!(c, '-' | '_'));
    if !is_word || values::is_suspicious(text) {
        return extract(text, secrets);
    }
    let mut found = IdExtractor::new(secrets).found;
    if values::is_secret_shape(text) && !text.starts_with('-') {
        found.add_secret(text);
    } else if values::is_placeholder_word(text) {
        found.skip(SkipReason::Placeholder, text);
    } else {
        found.add(text, Evidence::Named, text);
    }
    Extracted {
        ids: found.drain(),
        skipped: found.skipped,
        ..Extracted::default()
    }
}

/// An extractor fed in portions.
#[derive(Debug)]
pub struct IdExtractor {
    decoder: Decoder,
    reader: LineReader,
    found: Findings,
    /// Decoded text whose line has not ended.
    line: String,
    /// Whether ids are handed out before the end of the text.
    is_bounded: bool,
}

impl IdExtractor {
    /// Makes an extractor that takes none of these secrets for an id.
    pub fn new(secrets: &KnownSecrets) -> Self {
        let mut found = Findings::default();
        for secret in &secrets.0 {
            found.add_known_secret(secret);
        }
        Self {
            decoder: Decoder::default(),
            reader: LineReader::default(),
            found,
            line: String::new(),
            is_bounded: true,
        }
    }

    /// Reads on; returns ids once there are many, so that none of them waits for the end of a long
    /// input.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<FoundId> {
        // Portions that keep a decoded line within bounds.
        let mut ready = Vec::new();
        for portion in bytes.chunks(MAX_LINE) {
            self.decoder.push(portion, &mut self.line);
            self.read_lines();
            if self.is_bounded && self.found.queued() >= MAX_QUEUED_IDS {
                ready.extend(self.found.drain());
            }
        }
        ready
    }

    /// Returns the ids of the lines read so far, as when the input pauses.
    pub fn flush(&mut self) -> Vec<FoundId> {
        self.found.drain()
    }

    /// Reads what is left and returns its ids.
    pub fn finish(&mut self) -> Vec<FoundId> {
        self.decoder.finish(&mut self.line);
        self.read_lines();
        let rest = std::mem::take(&mut self.line);
        if !rest.is_empty() {
            self.reader.read_line(&rest, true, &mut self.found);
        }
        self.reader.finish(&mut self.found);
        self.found.drain()
    }

    /// Returns what was left out so far.
    pub const fn skipped(&self) -> Skipped {
        self.found.skipped
    }

    /// Returns lone words that are no ids, and how many more there were.
    pub fn rejected(&self) -> (&[CleanText], usize) {
        (&self.found.rejected, self.found.more_rejected)
    }

    fn read_lines(&mut self) {
        let text = std::mem::take(&mut self.line);
        let mut rest = text.as_str();
        while let Some((line, after)) = rest.split_once('\n') {
            self.reader.read_line(line, true, &mut self.found);
            rest = after;
        }
        while rest.len() > MAX_LINE {
            let end = portion_end(rest);
            let (portion, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            self.reader.read_line(portion, false, &mut self.found);
            rest = after;
        }
        rest.clone_into(&mut self.line);
    }
}

/// Returns where a portion of a long line ends: behind a sign that is in no value, else anywhere.
fn portion_end(line: &str) -> usize {
    let limit = line.floor_char_boundary(MAX_LINE);
    let head = line.get(..limit).unwrap_or(line);
    let is_between = |c: char| c == ',' || c == ';' || c == '&' || c.is_whitespace();
    head.rfind(is_between).map_or(limit, |at| {
        at + head
            .get(at..)
            .and_then(|rest| rest.chars().next())
            .map_or(1, char::len_utf8)
    })
}

/// Returns the ids of which nothing speaks against adding them.
pub fn certain_ids(found: &[FoundId]) -> impl Iterator<Item = &TaskId> {
    found
        .iter()
        .filter(|found| found.certainty == Certainty::Certain)
        .map(|found| &found.id)
}

#[cfg(test)]
mod tests;
