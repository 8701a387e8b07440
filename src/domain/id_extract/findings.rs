//! The ids found so far, in order, and the values skipped.

use std::collections::{HashMap, HashSet};

use super::{
    super::{task::TaskId, text::CleanText},
    names::ends_with_secret_name,
    values::{is_secret_shape, may_contain_secret},
};

/// The most secrets, and the most skipped values, kept for comparison.
const MAX_REMEMBERED: usize = 10_000;

/// The most returned ids that are remembered, so that a repetition nearby is not returned again.
const MAX_REMEMBERED_IDS: usize = 64 * 1024;

/// The length from which a secret is also searched in the rest of the text, in bytes.
const MIN_SECRET: usize = 16;

const MAX_REJECTED: usize = 5;

/// The longest text shown on each side of an id, in characters.
const MAX_CONTEXT: usize = 24;

/// The longest word shown beside an id. A longer one may be another id or a secret.
const MAX_CONTEXT_WORD: usize = 16;

/// The reason to take a word for an id, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Evidence {
    /// A name before it, such as `taskId`.
    Named,
    /// Alone on its line, as in a list of ids.
    Listed,
    /// The shape of an id, without a name.
    Shape,
    /// The shape of an id with extra characters.
    Suspicious,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum SkipReason {
    Secret,
    Placeholder,
    Foreign,
}

/// The numbers of skipped values by kind, each value counted once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Skipped {
    /// Keys, tokens, cookies and the like.
    pub secrets: usize,
    /// Values such as `None` or `YOUR_TASK_ID`.
    pub placeholders: usize,
    /// Ids of requests, users, nodes and other things.
    pub foreign: usize,
}

impl std::ops::Add for Skipped {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            secrets: self.secrets + other.secrets,
            placeholders: self.placeholders + other.placeholders,
            foreign: self.foreign + other.foreign,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundId {
    pub id: TaskId,
    pub certainty: Certainty,
    /// The words around the id, without secrets. Empty for input that comes in chunks.
    pub context: CleanText,
}

/// How certain it is that a value is the id of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// Named, listed, or found in a text that names no task.
    Certain,
    /// Only the shape of an id, in a text that names others.
    Unnamed,
    /// The shape of an id with extra characters.
    Suspicious,
}

#[derive(Debug)]
struct QueuedId {
    id: TaskId,
    evidence: Evidence,
    context: CleanText,
}

/// The ids found and the values skipped.
#[derive(Debug, Default)]
pub(super) struct Findings {
    queue: Vec<QueuedId>,
    queued: HashMap<TaskId, usize>,
    /// Ids already returned.
    returned: HashSet<TaskId>,
    secrets: HashSet<Box<str>>,
    /// Secrets from the caller, which no id may contain either.
    known_secrets: Vec<Box<str>>,
    skipped_values: HashSet<(SkipReason, Box<str>)>,
    pub(super) skipped: Skipped,
    /// Whether the text names a task, even with a placeholder as its value.
    pub(super) names_tasks: bool,
    pub(super) wants_context: bool,
    pub(super) rejected: Vec<CleanText>,
    pub(super) more_rejected: usize,
}

impl Findings {
    /// Adds a secret that the caller knows. It is never an id, nor part of one.
    pub(super) fn add_known_secret(&mut self, secret: &str) {
        let secret = normalized(secret);
        if secret.len() >= MIN_SECRET {
            self.known_secrets.push(secret.clone());
        }
        self.secrets.insert(secret);
    }

    /// Reports whether an id is a secret or contains one.
    fn is_secret(&self, id: &QueuedId) -> bool {
        let letters = normalized(id.id.as_str());
        let contains = |secret: &str| letters.contains(secret);
        if self.secrets.contains(&letters)
            || self.known_secrets.iter().any(|secret| contains(secret))
        {
            return true;
        }
        // Text glued to a secret.
        let is_part = |secret: &str| secret.len() >= MIN_SECRET && contains(secret);
        id.evidence == Evidence::Suspicious && self.secrets.iter().any(|secret| is_part(secret))
    }

    /// Records the words of a text that follows the name of a secret.
    pub(super) fn add_secret(&mut self, text: &str) {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')));
        for word in words.filter(|word| word.len() >= MIN_SECRET) {
            self.skip(SkipReason::Secret, word);
            if self.secrets.len() < MAX_REMEMBERED {
                self.secrets.insert(normalized(word));
            }
        }
    }

    /// Counts a skipped value, unless it was counted before.
    pub(super) fn skip(&mut self, kind: SkipReason, value: &str) {
        let value = match kind {
            SkipReason::Secret => normalized(value),
            SkipReason::Placeholder | SkipReason::Foreign => value.into(),
        };
        self.names_tasks |= kind == SkipReason::Placeholder;
        let key = (kind, value);
        if self.skipped_values.contains(&key) {
            return;
        }
        match kind {
            SkipReason::Secret => self.skipped.secrets += 1,
            SkipReason::Placeholder => self.skipped.placeholders += 1,
            SkipReason::Foreign => self.skipped.foreign += 1,
        }
        if self.skipped_values.len() < MAX_REMEMBERED {
            self.skipped_values.insert(key);
        }
    }

    /// Adds an id. If it was found before, the stronger evidence counts.
    pub(super) fn add(&mut self, word: &str, evidence: Evidence, line: &str) {
        let Ok(id) = TaskId::parse(word) else { return };
        if is_secret_shape(word) {
            return self.add_secret(word);
        }
        self.names_tasks |= evidence == Evidence::Named;
        if self.returned.contains(&id) {
            return;
        }
        let at = *self.queued.entry(id.clone()).or_insert(self.queue.len());
        let known = self.queue.get_mut(at);
        if known
            .as_ref()
            .is_some_and(|known| known.evidence <= evidence)
        {
            return;
        }
        let context = if self.wants_context {
            context(line, word)
        } else {
            CleanText::line("", 0)
        };
        let entry = QueuedId {
            id,
            evidence,
            context,
        };
        match known {
            Some(known) => *known = entry,
            None => self.queue.push(entry),
        }
    }

    /// Records a word that is not an id, except symbols, options and list numbers.
    pub(super) fn reject(&mut self, word: &str) {
        let is_number = word.len() < 4 && word.bytes().all(|b| b.is_ascii_digit());
        // `-H` and `--json` are options.
        if is_number || word.starts_with('-') || !word.contains(char::is_alphanumeric) {
            return;
        }
        let is_hidden = may_contain_secret(word);
        let word = CleanText::line(word, 80);
        if self.rejected.contains(&word) {
            return;
        }
        if self.rejected.len() < MAX_REJECTED && !is_hidden {
            self.rejected.push(word);
        } else {
            self.more_rejected += 1;
        }
    }

    /// Returns the number of ids not yet drained.
    pub(super) const fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Returns the ids found since the last call, classified by the text so far.
    pub(super) fn drain(&mut self) -> Vec<FoundId> {
        self.queued.clear();
        let names_tasks = self.names_tasks;
        let mut found = Vec::with_capacity(self.queue.len());
        for entry in std::mem::take(&mut self.queue) {
            if self.is_secret(&entry) {
                self.skip(SkipReason::Secret, entry.id.as_str());
                continue;
            }
            let certainty = match entry.evidence {
                Evidence::Shape if names_tasks => Certainty::Unnamed,
                Evidence::Named | Evidence::Listed | Evidence::Shape => Certainty::Certain,
                Evidence::Suspicious => Certainty::Suspicious,
            };
            if self.returned.len() >= MAX_REMEMBERED_IDS {
                self.returned.clear();
            }
            if certainty == Certainty::Certain {
                self.returned.insert(entry.id.clone());
            }
            found.push(FoundId {
                id: entry.id,
                certainty,
                context: entry.context,
            });
        }
        found
    }
}

/// Returns a secret without dashes, underscores and capitals, which differ between spellings.
fn normalized(secret: &str) -> Box<str> {
    let letters = secret.chars().filter(|c| !matches!(c, '-' | '_'));
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

/// Returns the words around an id: only names and plain words, as anything else may be a secret.
fn context(line: &str, word: &str) -> CleanText {
    let (before, after) = line.split_once(word).unwrap_or((line, ""));
    let start = before.char_indices().rev().nth(MAX_CONTEXT - 1);
    let end = after.char_indices().nth(MAX_CONTEXT);
    let mut before = before
        .get(start.map_or(0, |(at, _)| at)..)
        .unwrap_or(before);
    if start.is_some_and(|(at, _)| at > 0) {
        // The first word may be cut.
        before = before.trim_start_matches(char::is_alphanumeric);
    }
    let after = after
        .get(..end.map_or(after.len(), |(at, _)| at))
        .unwrap_or(after);
    if !before.contains(char::is_alphanumeric) && !after.contains(char::is_alphanumeric) {
        return CleanText::line("", 0);
    }
    let (before, after) = (redact_values(before), redact_values(after));
    let text = format!("{} … {}", before.trim(), after.trim());
    CleanText::line(text.trim(), 4 * MAX_CONTEXT)
}

/// Replaces each word that may be an id or a secret by `…`.
pub(super) fn redact_values(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut before = String::new();
    let is_end = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'));
    for part in text.split_inclusive(is_end) {
        let word = part.trim_end_matches(is_end);
        let is_plain = word.chars().count() <= MAX_CONTEXT_WORD
            && (word.len() < 8 || !word.contains(|c: char| c.is_ascii_digit()));
        if !word.is_empty() {
            // Asked for words only: between words it would walk back over all separators.
            let is_secret = ends_with_secret_name(&before);
            shown.push_str(if is_plain && !is_secret { word } else { "…" });
        }
        before.push_str(part);
        shown.push_str(part.get(word.len()..).unwrap_or_default());
    }
    shown
}
