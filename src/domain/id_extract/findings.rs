//! What a text held so far: ids in their order, and what was skipped.

use std::collections::{HashMap, HashSet};

use super::{
    super::{task::TaskId, text::CleanText},
    names::ends_with_secret_name,
    values::{is_secret_shape, may_hide_a_secret},
};

/// The most secrets and skipped values kept for comparing.
const MAX_REMEMBERED: usize = 10_000;

/// How many ids handed out are remembered at least, so that a repetition nearby is not handed out
/// again.
const MIN_REMEMBERED_IDS: usize = 32 * 1024;

/// The fewest characters of a secret that is looked for in the rest of the text.
const MIN_SECRET: usize = 16;

/// The most words named that are no ids.
const MAX_REJECTED: usize = 5;

/// The longest piece of text shown on each side of an id, in characters.
const MAX_CONTEXT: usize = 24;

/// The longest word shown beside an id: a longer one may be another id, or a secret.
const MAX_CONTEXT_WORD: usize = 16;

/// Why a word counts as an id, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Evidence {
    /// A name says so.
    Named,
    /// It stands alone on its line, as in a list of ids.
    Listed,
    /// It has the shape, and nothing says what it is.
    Shape,
    /// It looks like an id with something stuck to it.
    Suspicious,
}

/// Why a value is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum SkipReason {
    Secret,
    Placeholder,
    Foreign,
}

/// How many values were left out, by kind; each once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Skipped {
    /// Keys, tokens, cookies and the like.
    pub secrets: usize,
    /// Stand-ins such as `None` or `YOUR_TASK_ID`.
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

/// An id found, with what speaks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundId {
    /// The id.
    pub id: TaskId,
    /// What is known of it.
    pub certainty: Certainty,
    /// The words around it, without secrets; empty unless asked for.
    pub context: CleanText,
}

/// How certain it is that a value is the id of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// A name or the place says so, or the text names no task at all.
    Certain,
    /// It only has the shape, in a text that names others.
    Unnamed,
    /// It looks like an id with something stuck to it.
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
    /// Ids handed out, in two generations of which the older is forgotten.
    recent: HashSet<TaskId>,
    older: HashSet<TaskId>,
    secrets: HashSet<Box<str>>,
    /// Secrets the caller gave, which no id may hold either.
    given_secrets: Vec<Box<str>>,
    skipped_values: HashSet<(SkipReason, Box<str>)>,
    pub(super) skipped: Skipped,
    /// Whether the text names a task, be it by a stand-in.
    pub(super) names_tasks: bool,
    pub(super) wants_context: bool,
    pub(super) rejected: Vec<CleanText>,
    pub(super) more_rejected: usize,
}

impl Findings {
    /// Adds a secret the caller knows: it is never an id, nor a part of one.
    pub(super) fn add_known_secret(&mut self, secret: &str) {
        let secret = normalized(secret);
        if secret.len() >= MIN_SECRET {
            self.given_secrets.push(secret.clone());
        }
        self.secrets.insert(secret);
    }

    fn is_secret(&self, id: &TaskId) -> bool {
        let id = normalized(id.as_str());
        self.secrets.contains(&id)
            || self
                .given_secrets
                .iter()
                .any(|secret| id.contains(&**secret))
    }

    /// Notes what stands behind the name of a secret.
    pub(super) fn add_secret(&mut self, text: &str) {
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '_')));
        for word in words.filter(|word| word.len() >= MIN_SECRET) {
            self.skip(SkipReason::Secret, word);
            if self.secrets.len() < MAX_REMEMBERED {
                self.secrets.insert(normalized(word));
            }
        }
    }

    /// Counts a value that is left out, each once.
    pub(super) fn skip(&mut self, kind: SkipReason, value: &str) {
        let value = match kind {
            SkipReason::Secret => normalized(value),
            SkipReason::Placeholder | SkipReason::Foreign => value.into(),
        };
        let is_new = if self.skipped_values.len() < MAX_REMEMBERED {
            self.skipped_values.insert((kind, value))
        } else {
            !self.skipped_values.contains(&(kind, value))
        };
        let count = match kind {
            SkipReason::Secret => &mut self.skipped.secrets,
            SkipReason::Placeholder => {
                self.names_tasks = true;
                &mut self.skipped.placeholders
            }
            SkipReason::Foreign => &mut self.skipped.foreign,
        };
        *count += usize::from(is_new);
    }

    /// Adds an id; of one found twice the stronger evidence counts.
    pub(super) fn add(&mut self, word: &str, evidence: Evidence, line: &str) {
        let Ok(id) = TaskId::parse(word) else { return };
        if is_secret_shape(word) {
            return self.add_secret(word);
        }
        self.names_tasks |= evidence == Evidence::Named;
        if self.recent.contains(&id) || self.older.contains(&id) {
            return;
        }
        if let Some(entry) = self.queued.get(&id).and_then(|at| self.queue.get_mut(*at)) {
            if evidence < entry.evidence {
                entry.evidence = evidence;
                if self.wants_context {
                    entry.context = context(line, word);
                }
            }
            return;
        }
        let context = if self.wants_context {
            context(line, word)
        } else {
            CleanText::line("", 0)
        };
        self.queued.insert(id.clone(), self.queue.len());
        self.queue.push(QueuedId {
            id,
            evidence,
            context,
        });
    }

    /// Names a word that is no id; signs and the numbers of a list are not meant as one.
    pub(super) fn reject(&mut self, word: &str) {
        let is_number = word.len() < 4 && word.bytes().all(|b| b.is_ascii_digit());
        // `-H` and `--json` are options.
        if is_number || word.starts_with('-') || !word.contains(char::is_alphanumeric) {
            return;
        }
        let is_hidden = may_hide_a_secret(word);
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

    /// Returns how many ids wait to be handed out.
    pub(super) const fn queued(&self) -> usize {
        self.queue.len()
    }

    /// Hands out the ids found since the last time, judged by what is known of the text by now.
    pub(super) fn drain(&mut self) -> Vec<FoundId> {
        self.queued.clear();
        let names_tasks = self.names_tasks;
        let mut found = Vec::with_capacity(self.queue.len());
        for entry in std::mem::take(&mut self.queue) {
            let letters = normalized(entry.id.as_str());
            let holds_secret = entry.evidence == Evidence::Suspicious
                && self
                    .secrets
                    .iter()
                    .any(|secret| secret.len() >= MIN_SECRET && letters.contains(secret.as_ref()));
            if holds_secret || self.is_secret(&entry.id) {
                self.skip(SkipReason::Secret, entry.id.as_str());
                continue;
            }
            let certainty = match entry.evidence {
                Evidence::Shape if names_tasks => Certainty::Unnamed,
                Evidence::Named | Evidence::Listed | Evidence::Shape => Certainty::Certain,
                Evidence::Suspicious => Certainty::Suspicious,
            };
            if certainty == Certainty::Certain {
                self.remember_id(&entry.id);
            }
            found.push(FoundId {
                id: entry.id,
                certainty,
                context: entry.context,
            });
        }
        found
    }

    fn remember_id(&mut self, id: &TaskId) {
        if self.recent.len() >= MIN_REMEMBERED_IDS {
            self.older = std::mem::take(&mut self.recent);
        }
        self.recent.insert(id.clone());
    }
}

/// Returns a secret without what its spellings differ in.
fn normalized(secret: &str) -> Box<str> {
    let letters = secret.chars().filter(|c| !matches!(c, '-' | '_'));
    letters.map(|c| c.to_ascii_lowercase()).collect()
}

/// Returns the words around an id: names and plain words only, for anything else may be a secret.
fn context(line: &str, word: &str) -> CleanText {
    let (before, after) = line.split_once(word).unwrap_or((line, ""));
    let start = before
        .char_indices()
        .rev()
        .take(MAX_CONTEXT)
        .last()
        .map_or(before.len(), |(at, _)| at);
    let end = after
        .char_indices()
        .nth(MAX_CONTEXT)
        .map_or(after.len(), |(at, _)| at);
    let before = before.get(start..).unwrap_or_default();
    let cut = before
        .find(|c: char| !c.is_alphanumeric())
        .filter(|_| start > 0);
    let before = before.get(cut.unwrap_or(0)..).unwrap_or_default();
    let after = after.get(..end).unwrap_or_default();
    if !format!("{before}{after}").contains(char::is_alphanumeric) {
        return CleanText::line("", 0);
    }
    let (before, after) = (redact_values(before), redact_values(after));
    let text = format!("{} … {}", before.trim(), after.trim());
    CleanText::line(text.trim(), 4 * MAX_CONTEXT)
}

/// Returns a text with each word that may be an id or a secret as `…`.
pub(super) fn redact_values(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut before = String::new();
    for part in text.split_inclusive(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-'))) {
        let word =
            part.trim_end_matches(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-')));
        let is_secret = ends_with_secret_name(&before);
        let is_plain = word.chars().count() <= MAX_CONTEXT_WORD
            && (word.len() < 8 || !word.contains(|c: char| c.is_ascii_digit()));
        if !word.is_empty() {
            shown.push_str(if is_plain && !is_secret { word } else { "…" });
        }
        before.push_str(part);
        shown.push_str(part.get(word.len()..).unwrap_or_default());
    }
    shown
}
