//! Extracts task ids from any text that is piped or pasted: lists, logs, JSON, tables, `curl`
//! lines, exports, prose.
//!
//! A value is an id because a name says so (`taskId`, "Task ID", a column header), because it is
//! alone on its line, or, in a text that names no task, because of its shape. A secret is never an
//! id: neither a value after a word of authorization (nor its repetitions) nor a secret that the
//! caller knows. Names are matched as a whole: `parentTaskId` and `external_task_id` name other
//! things.
//!
//! The text is decoded (`decode`), split into lines and tokens (`tokens`) and read by structure
//! (`reader`). A string inside it is read as a text of its own, because logs contain JSON and JSON
//! contains JSON. Input comes in chunks of any size. Memory is bounded, so input may be of any
//! length.

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

/// The longest line read at once, in bytes. A longer one is read in chunks that end between values.
const MAX_LINE: usize = 256 * 1024;

/// The most ids held back because the rest of the text may say more about them.
const MAX_QUEUED_IDS: usize = 1000;

/// Secrets that are never ids, in all spellings that the caller knows. `Debug` shows none of them.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KnownSecrets(Vec<String>);

impl KnownSecrets {
    pub const fn new(secrets: Vec<String>) -> Self {
        Self(secrets)
    }

    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl std::fmt::Debug for KnownSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KnownSecrets({})", self.0.len())
    }
}

/// The ids of a whole text, and the words that are not ids.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extracted {
    /// Each id once, in the order of the text.
    pub ids: Vec<FoundId>,
    pub skipped: Skipped,
    /// The first few lone words that are not ids but may have been meant as such.
    pub rejected: Vec<CleanText>,
    /// The number of such words beyond `rejected`.
    pub more_rejected: usize,
    /// The start of a text without ids, secrets removed.
    pub beginning: Option<CleanText>,
}

/// Extracts the ids of a whole text, each with the words around it.
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

/// Extracts the ids of a command-line argument: one id, or a text that names some.
///
/// A single word is an id whatever its shape, unless it is a placeholder.
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

/// An extractor for input that comes in chunks.
#[derive(Debug)]
pub struct IdExtractor {
    decoder: Decoder,
    reader: LineReader,
    found: Findings,
    /// Decoded text of an unfinished line.
    line: String,
    /// Whether ids are returned before the end of the text.
    is_bounded: bool,
}

impl IdExtractor {
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

    /// Reads a chunk. Returns ids once there are many, so that a long input yields them before its
    /// end.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<FoundId> {
        // Small chunks keep the decoded line bounded.
        let mut ready = Vec::new();
        for chunk in bytes.chunks(MAX_LINE) {
            self.decoder.push(chunk, &mut self.line);
            self.read_lines();
            if self.is_bounded && self.found.queued() >= MAX_QUEUED_IDS {
                ready.extend(self.found.drain());
            }
        }
        ready
    }

    /// Returns the ids of the lines read so far, for use when the input pauses.
    pub fn flush(&mut self) -> Vec<FoundId> {
        self.found.drain()
    }

    /// Reads the last line and returns the remaining ids.
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

    pub const fn skipped(&self) -> Skipped {
        self.found.skipped
    }

    /// Returns the first few lone words that are not ids, and the number of further ones.
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
            let end = chunk_end(rest);
            let (chunk, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            self.reader.read_line(chunk, false, &mut self.found);
            rest = after;
        }
        rest.clone_into(&mut self.line);
    }
}

/// Returns the end of a chunk of a long line: after a character that is in no value if possible.
fn chunk_end(line: &str) -> usize {
    let limit = line.floor_char_boundary(MAX_LINE);
    let head = line.get(..limit).unwrap_or(line);
    let is_separator = |c: char| c == ',' || c == ';' || c == '&' || c.is_whitespace();
    head.rfind(is_separator).map_or(limit, |at| {
        at + head
            .get(at..)
            .and_then(|rest| rest.chars().next())
            .map_or(1, char::len_utf8)
    })
}

/// Returns the ids that can be added without asking.
pub fn certain_ids(found: &[FoundId]) -> impl Iterator<Item = &TaskId> {
    found
        .iter()
        .filter(|found| found.certainty == Certainty::Certain)
        .map(|found| &found.id)
}

#[cfg(test)]
mod tests;
