//! The message line: what is said, what waits for its turn, and what was said before.
//!
//! What a person did is answered at once and stands its whole time. News come when nothing stands; endings that had to
//! wait are told together.

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;

use crate::domain::{
    task::TaskId,
    text::CleanText,
    time::{Mono, Now},
};

/// How long a notice stays.
pub const NOTICE_TIME: Duration = Duration::from_secs(8);

/// How long news must have stood to count as read: what is cut off before waits again.
const READ: Duration = Duration::from_secs(2);

/// The most endings kept for a line that is taken.
const MOST_KEPT: usize = 1000;

/// The most sentences remembered.
const MOST_PAST: usize = 50;

/// Tells what a notice means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// For the record.
    Plain,
    /// A good ending.
    Good,
    /// Something to know.
    Warning,
    /// Something failed.
    Bad,
}

/// Is a timed line of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The sentence.
    pub text: String,
    /// How many bytes at its end are the next step, which stays where the line is too short for all of it.
    pub step: usize,
    /// What it means.
    pub tone: Tone,
    /// When it goes.
    pub until: Mono,
}

impl Notice {
    /// Returns the sentence in two parts: what happened, and the next step.
    pub fn parts(&self) -> (&str, &str) {
        let at = self.text.len().saturating_sub(self.step);
        self.text.split_at_checked(at).unwrap_or((&self.text, ""))
    }
}

/// Is what was said at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// When.
    pub at: Timestamp,
    /// The sentence.
    pub text: String,
    /// What it means.
    pub tone: Tone,
}

/// Tells who is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A person who did something.
    Answer,
    /// A person who did something that can be taken back: what was begun before does not cover that.
    Offer,
    /// Whoever looks.
    News,
    /// Whoever looks, of several things together; the next one of the kind takes its place.
    Sum,
}

/// Is the message line with what is behind it.
#[derive(Debug, Clone, Default)]
pub struct Board {
    shown: Option<(Kind, Notice)>,
    waiting: VecDeque<(String, Tone)>,
    /// Endings to be told of together once the line is free.
    endings: Vec<TaskId>,
    past: VecDeque<Said>,
}

impl Board {
    /// Returns the notice of the moment.
    pub fn notice(&self) -> Option<&Notice> {
        self.shown.as_ref().map(|(_, notice)| notice)
    }

    /// Returns what was said, the latest first.
    pub fn past(&self) -> impl Iterator<Item = &Said> {
        self.past.iter().rev()
    }

    /// Reports whether news would have to wait.
    pub(in crate::app) fn is_taken(&self) -> bool {
        matches!(self.shown, Some((Kind::Answer | Kind::Offer, _)))
    }

    /// Answers a person at once; the last `step` bytes of the text are the next step.
    pub(in crate::app) fn answer(&mut self, text: &str, step: usize, tone: Tone, now: Now) {
        self.put(Kind::Answer, text, step, tone, now);
    }

    /// Answers a person likewise, who may take it back.
    pub(in crate::app) fn offer(&mut self, text: &str, step: usize, now: Now) {
        self.put(Kind::Offer, text, step, Tone::Plain, now);
    }

    /// Says what came of something begun earlier: at once, but behind an offer that still stands.
    pub(in crate::app) fn follow_up(&mut self, text: &str, tone: Tone, now: Now) {
        match self.shown {
            Some((Kind::Offer, _)) => self.tell(text, tone, now),
            Some((Kind::Answer | Kind::News | Kind::Sum, _)) | None => {
                self.answer(text, 0, tone, now);
            }
        }
    }

    fn put(&mut self, kind: Kind, text: &str, step: usize, tone: Tone, now: Now) {
        let text = clean(text);
        if let Some((Kind::News | Kind::Sum, cut)) =
            self.shown.take_if(|(_, notice)| notice.until > now.mono)
        {
            let stood = NOTICE_TIME.saturating_sub(cut.until.since(now.mono));
            if stood < READ && cut.text != text {
                self.waiting.push_front((cut.text, cut.tone));
            }
        }
        self.show(kind, text, step, tone, now);
    }

    /// Says news when the line is free, else behind the answer that stands there.
    pub(in crate::app) fn tell(&mut self, text: &str, tone: Tone, now: Now) {
        let text = clean(text);
        if self.is_taken() {
            self.waiting.push_back((text, tone));
            self.waiting.truncate(MOST_PAST);
        } else {
            self.show(Kind::News, text, 0, tone, now);
        }
    }

    /// Says news of several things together, in the place of the last such where that still stands; else as other news.
    pub(in crate::app) fn sum_up(&mut self, text: &str, tone: Tone, now: Now) {
        if self.is_taken() {
            return self.tell(text, tone, now);
        }
        if let Some((Kind::Sum, last)) = &self.shown
            && self.past.back().is_some_and(|said| said.text == last.text)
        {
            self.past.pop_back();
        }
        self.show(Kind::Sum, clean(text), 0, tone, now);
    }

    /// Keeps an ending for when the line is free.
    pub(in crate::app) fn keep_ending(&mut self, task: TaskId) {
        if !self.endings.contains(&task) && self.endings.len() < MOST_KEPT {
            self.endings.push(task);
        }
    }

    /// Takes off what has stood its time, and says what has waited longest. Returns the endings to be told of when
    /// nothing else waits.
    pub(in crate::app) fn turn(&mut self, now: Now) -> Vec<TaskId> {
        if self
            .shown
            .take_if(|(_, notice)| notice.until <= now.mono)
            .is_none()
        {
            return Vec::new();
        }
        match self.waiting.pop_front() {
            Some((text, tone)) => {
                self.show(Kind::News, text, 0, tone, now);
                Vec::new()
            }
            None => std::mem::take(&mut self.endings),
        }
    }

    /// Says something behind the notice of the moment.
    pub(in crate::app) fn append(&mut self, text: &str) {
        if let Some((_, notice)) = &mut self.shown {
            notice.text.push_str(text);
            notice.step += if notice.step > 0 { text.len() } else { 0 };
            if let Some(said) = self.past.back_mut() {
                said.text.clone_from(&notice.text);
            }
        }
    }

    fn show(&mut self, kind: Kind, text: String, step: usize, tone: Tone, now: Now) {
        let is_again = self.past.back().is_some_and(|said| said.text == text);
        if !is_again {
            self.past.push_back(Said {
                at: now.wall,
                text: text.clone(),
                tone,
            });
            if self.past.len() > MOST_PAST {
                self.past.pop_front();
            }
        }
        let until = now.mono.after(NOTICE_TIME);
        let notice = Notice {
            text,
            step,
            tone,
            until,
        };
        self.shown = Some((kind, notice));
    }
}

/// Returns a sentence that acts on no terminal. What a system or another program says of itself is in some, paths and
/// the words of a panic too, and not all of it came through a door that cleans.
fn clean(text: &str) -> String {
    CleanText::line(text, usize::MAX).to_string()
}
