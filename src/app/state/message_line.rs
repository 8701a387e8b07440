//! The message line: what is said, what waits for its turn, and what was said before.
//!
//! What a person did is answered at once and stands its whole time. News come when nothing stands;
//! endings that had to wait are told together.

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;

use crate::domain::{
    task::TaskId,
    text::CleanText,
    time::{Mono, Now},
};

/// How long a notice stays.
pub const MESSAGE_TIME: Duration = Duration::from_secs(8);

/// How long news must have stood to count as read: what is cut off before waits again.
const MIN_READ_TIME: Duration = Duration::from_secs(2);

/// The most endings kept for a line that is taken.
const MAX_DEFERRED: usize = 1000;

/// The most sentences remembered.
const MAX_PAST: usize = 50;

/// What a notice means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// For the record.
    Info,
    /// A good ending.
    Success,
    /// Something to know.
    Warning,
    /// Something failed.
    Error,
}

/// A timed line of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownMessage {
    /// The sentence.
    pub text: String,
    /// How many bytes at its end are the next step, which stays where the line is too short for all
    /// of it.
    pub hint_len: usize,
    /// What it means.
    pub severity: Severity,
    /// When it goes.
    pub until: Mono,
}

impl ShownMessage {
    /// Returns the sentence in two parts: what happened, and the next step.
    pub fn parts(&self) -> (&str, &str) {
        let at = self.text.len().saturating_sub(self.hint_len);
        self.text.split_at_checked(at).unwrap_or((&self.text, ""))
    }
}

/// What was said at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastMessage {
    /// When.
    pub at: Timestamp,
    /// The sentence.
    pub text: String,
    /// What it means.
    pub severity: Severity,
}

/// Who is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessageKind {
    /// A person who did something.
    Reply,
    /// A person who did something that can be taken back: what was begun before does not cover
    /// that.
    UndoOffer,
    /// Whoever looks.
    Event,
    /// Whoever looks, of several things together; the next one of the kind takes its place.
    Summary,
}

/// The message line with what is behind it.
#[derive(Debug, Clone, Default)]
pub struct MessageLine {
    shown: Option<(MessageKind, ShownMessage)>,
    waiting: VecDeque<(String, Severity)>,
    /// Endings to be told of together once the line is free.
    deferred: Vec<TaskId>,
    past: VecDeque<PastMessage>,
}

impl MessageLine {
    /// Returns the notice of the moment.
    pub fn message(&self) -> Option<&ShownMessage> {
        self.shown.as_ref().map(|(_, notice)| notice)
    }

    /// Returns what was said, the latest first.
    pub fn past(&self) -> impl Iterator<Item = &PastMessage> {
        self.past.iter().rev()
    }

    /// Reports whether news would have to wait.
    pub(in crate::app) fn is_busy(&self) -> bool {
        matches!(
            self.shown,
            Some((MessageKind::Reply | MessageKind::UndoOffer, _))
        )
    }

    /// Answers a person at once; the last `step` bytes of the text are the next step.
    pub(in crate::app) fn reply(&mut self, text: &str, step: usize, tone: Severity, now: Now) {
        self.replace(MessageKind::Reply, text, step, tone, now);
    }

    /// Answers a person likewise, who may take it back.
    pub(in crate::app) fn offer_undo(&mut self, text: &str, step: usize, now: Now) {
        self.replace(MessageKind::UndoOffer, text, step, Severity::Info, now);
    }

    /// Says what came of something begun earlier: at once, but behind an offer that still stands.
    pub(in crate::app) fn show_result(&mut self, text: &str, tone: Severity, now: Now) {
        match self.shown {
            Some((MessageKind::UndoOffer, _)) => self.queue_event(text, tone, now),
            Some((MessageKind::Reply | MessageKind::Event | MessageKind::Summary, _)) | None => {
                self.reply(text, 0, tone, now);
            }
        }
    }

    fn replace(&mut self, kind: MessageKind, text: &str, step: usize, tone: Severity, now: Now) {
        let text = clean(text);
        if let Some((MessageKind::Event | MessageKind::Summary, cut)) =
            self.shown.take_if(|(_, notice)| notice.until > now.mono)
        {
            let stood = MESSAGE_TIME.saturating_sub(cut.until.since(now.mono));
            if stood < MIN_READ_TIME && cut.text != text {
                self.waiting.push_front((cut.text, cut.severity));
            }
        }
        self.show(kind, text, step, tone, now);
    }

    /// Says news when the line is free, else behind the answer that stands there.
    pub(in crate::app) fn queue_event(&mut self, text: &str, tone: Severity, now: Now) {
        let text = clean(text);
        if self.is_busy() {
            self.waiting.push_back((text, tone));
            self.waiting.truncate(MAX_PAST);
        } else {
            self.show(MessageKind::Event, text, 0, tone, now);
        }
    }

    /// Says news of several things together, in the place of the last such where that still stands;
    /// else as other news.
    pub(in crate::app) fn show_summary(&mut self, text: &str, tone: Severity, now: Now) {
        if self.is_busy() {
            return self.queue_event(text, tone, now);
        }
        if let Some((MessageKind::Summary, last)) = &self.shown
            && self.past.back().is_some_and(|said| said.text == last.text)
        {
            self.past.pop_back();
        }
        self.show(MessageKind::Summary, clean(text), 0, tone, now);
    }

    /// Keeps an ending for when the line is free.
    pub(in crate::app) fn defer_finished(&mut self, task: TaskId) {
        if !self.deferred.contains(&task) && self.deferred.len() < MAX_DEFERRED {
            self.deferred.push(task);
        }
    }

    /// Takes off what has stood its time, and says what has waited longest. Returns the endings to
    /// be told of when nothing else waits.
    pub(in crate::app) fn advance(&mut self, now: Now) -> Vec<TaskId> {
        if self
            .shown
            .take_if(|(_, notice)| notice.until <= now.mono)
            .is_none()
        {
            return Vec::new();
        }
        match self.waiting.pop_front() {
            Some((text, tone)) => {
                self.show(MessageKind::Event, text, 0, tone, now);
                Vec::new()
            }
            None => std::mem::take(&mut self.deferred),
        }
    }

    /// Says something behind the notice of the moment.
    pub(in crate::app) fn append(&mut self, text: &str) {
        if let Some((_, notice)) = &mut self.shown {
            notice.text.push_str(text);
            notice.hint_len += if notice.hint_len > 0 { text.len() } else { 0 };
            if let Some(said) = self.past.back_mut() {
                said.text.clone_from(&notice.text);
            }
        }
    }

    fn show(&mut self, kind: MessageKind, text: String, step: usize, tone: Severity, now: Now) {
        let is_again = self.past.back().is_some_and(|said| said.text == text);
        if !is_again {
            self.past.push_back(PastMessage {
                at: now.wall,
                text: text.clone(),
                severity: tone,
            });
            if self.past.len() > MAX_PAST {
                self.past.pop_front();
            }
        }
        let until = now.mono.after(MESSAGE_TIME);
        let notice = ShownMessage {
            text,
            hint_len: step,
            severity: tone,
            until,
        };
        self.shown = Some((kind, notice));
    }
}

/// Returns a sentence that acts on no terminal. What a system or another program says of itself is
/// in some, paths and the words of a panic too, and not all of it came through a door that cleans.
fn clean(text: &str) -> String {
    CleanText::line(text, usize::MAX).to_string()
}
