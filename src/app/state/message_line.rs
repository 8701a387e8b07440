//! The message line: the message shown, those that wait, and recent ones.
//!
//! Replies to the user appear at once and stay for their whole time. Events wait for a free line;
//! finished tasks that had to wait are reported together.

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;

use crate::domain::{
    task::TaskId,
    text::CleanText,
    time::{Mono, Now},
};

/// How long a message is shown.
pub const MESSAGE_TIME: Duration = Duration::from_secs(8);

/// How long an event must be shown to count as read; an event cut off before that is shown again.
const MIN_READ_TIME: Duration = Duration::from_secs(2);

/// Maximum number of finished tasks kept for a busy line.
const MAX_DEFERRED: usize = 1000;

/// Maximum number of recent messages.
const MAX_PAST: usize = 50;

/// The importance of a message, which sets its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Info,
    Success,
    Warning,
    Error,
}

/// A message on the line until a point in time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownMessage {
    pub text: String,
    /// Length of the next step at the end of the text, in bytes. A narrow line shortens the text
    /// before it.
    pub hint_len: usize,
    pub severity: Severity,
    pub until: Mono,
}

impl ShownMessage {
    /// Returns the text in two parts: the message, and the next step.
    pub fn parts(&self) -> (&str, &str) {
        let at = self.text.len().saturating_sub(self.hint_len);
        self.text.split_at_checked(at).unwrap_or((&self.text, ""))
    }
}

/// A message shown earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastMessage {
    pub at: Timestamp,
    pub text: String,
    pub severity: Severity,
}

/// The kind of a message, which decides what may replace it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessageKind {
    /// A reply to a user action.
    Reply,
    /// A reply to an action that can be undone; results of earlier actions do not replace it.
    UndoOffer,
    /// An event that the user did not cause.
    Event,
    /// A summary of several events; the next summary replaces it.
    Summary,
}

/// The message line and its queues.
#[derive(Debug, Clone, Default)]
pub struct MessageLine {
    shown: Option<(MessageKind, ShownMessage)>,
    waiting: VecDeque<(String, Severity)>,
    /// Finished tasks to report together when the line is free.
    deferred: Vec<TaskId>,
    past: VecDeque<PastMessage>,
}

impl MessageLine {
    pub fn message(&self) -> Option<&ShownMessage> {
        self.shown.as_ref().map(|(_, message)| message)
    }

    /// Returns the recent messages, the latest first.
    pub fn past(&self) -> impl Iterator<Item = &PastMessage> {
        self.past.iter().rev()
    }

    /// Reports whether an event would have to wait.
    pub(in crate::app) fn is_busy(&self) -> bool {
        matches!(
            self.shown,
            Some((MessageKind::Reply | MessageKind::UndoOffer, _))
        )
    }

    /// Shows a reply at once; the last `hint_len` bytes of the text are the next step.
    pub(in crate::app) fn reply(
        &mut self,
        text: &str,
        hint_len: usize,
        severity: Severity,
        now: Now,
    ) {
        self.replace(MessageKind::Reply, text, hint_len, severity, now);
    }

    /// Shows a reply to an action that can be undone.
    pub(in crate::app) fn offer_undo(&mut self, text: &str, hint_len: usize, now: Now) {
        self.replace(MessageKind::UndoOffer, text, hint_len, Severity::Info, now);
    }

    /// Shows the result of an earlier command; queued while an undo hint is visible.
    pub(in crate::app) fn show_result(&mut self, text: &str, severity: Severity, now: Now) {
        match self.shown {
            Some((MessageKind::UndoOffer, _)) => self.queue_event(text, severity, now),
            Some((MessageKind::Reply | MessageKind::Event | MessageKind::Summary, _)) | None => {
                self.reply(text, 0, severity, now);
            }
        }
    }

    fn replace(
        &mut self,
        kind: MessageKind,
        text: &str,
        hint_len: usize,
        severity: Severity,
        now: Now,
    ) {
        let text = clean(text);
        if let Some((MessageKind::Event | MessageKind::Summary, interrupted)) =
            self.shown.take_if(|(_, message)| message.until > now.mono)
        {
            let shown_for = MESSAGE_TIME.saturating_sub(interrupted.until.since(now.mono));
            if shown_for < MIN_READ_TIME && interrupted.text != text {
                self.waiting
                    .push_front((interrupted.text, interrupted.severity));
            }
        }
        self.show(kind, text, hint_len, severity, now);
    }

    /// Shows an event if the line is free, else queues it behind the reply.
    pub(in crate::app) fn queue_event(&mut self, text: &str, severity: Severity, now: Now) {
        let text = clean(text);
        if self.is_busy() {
            self.waiting.push_back((text, severity));
            self.waiting.truncate(MAX_PAST);
        } else {
            self.show(MessageKind::Event, text, 0, severity, now);
        }
    }

    /// Shows a summary of several events in place of the previous summary; queued if the line is
    /// busy.
    pub(in crate::app) fn show_summary(&mut self, text: &str, severity: Severity, now: Now) {
        if self.is_busy() {
            return self.queue_event(text, severity, now);
        }
        if let Some((MessageKind::Summary, last)) = &self.shown
            && self
                .past
                .back()
                .is_some_and(|entry| entry.text == last.text)
        {
            self.past.pop_back();
        }
        self.show(MessageKind::Summary, clean(text), 0, severity, now);
    }

    /// Keeps a finished task for a report when the line is free.
    pub(in crate::app) fn defer_finished(&mut self, task: TaskId) {
        if !self.deferred.contains(&task) && self.deferred.len() < MAX_DEFERRED {
            self.deferred.push(task);
        }
    }

    /// Removes an expired message and shows the next queued one. Returns the deferred tasks to
    /// report if none is queued.
    pub(in crate::app) fn advance(&mut self, now: Now) -> Vec<TaskId> {
        if self
            .shown
            .take_if(|(_, message)| message.until <= now.mono)
            .is_none()
        {
            return Vec::new();
        }
        match self.waiting.pop_front() {
            Some((text, severity)) => {
                self.show(MessageKind::Event, text, 0, severity, now);
                Vec::new()
            }
            None => std::mem::take(&mut self.deferred),
        }
    }

    /// Appends text to the current message.
    pub(in crate::app) fn append(&mut self, text: &str) {
        if let Some((_, message)) = &mut self.shown {
            message.text.push_str(text);
            message.hint_len += if message.hint_len > 0 { text.len() } else { 0 };
            if let Some(last) = self.past.back_mut() {
                last.text.clone_from(&message.text);
            }
        }
    }

    fn show(
        &mut self,
        kind: MessageKind,
        text: String,
        hint_len: usize,
        severity: Severity,
        now: Now,
    ) {
        let is_repeat = self.past.back().is_some_and(|last| last.text == text);
        if !is_repeat {
            self.past.push_back(PastMessage {
                at: now.wall,
                text: text.clone(),
                severity,
            });
            if self.past.len() > MAX_PAST {
                self.past.pop_front();
            }
        }
        let until = now.mono.after(MESSAGE_TIME);
        let message = ShownMessage {
            text,
            hint_len,
            severity,
            until,
        };
        self.shown = Some((kind, message));
    }
}

/// Sanitises a message. It may contain paths, and texts of the system, of other programs or of a
/// panic, which were not sanitised where they entered.
fn clean(text: &str) -> String {
    CleanText::line(text, usize::MAX).to_string()
}
