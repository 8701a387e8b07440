//! What is noticed about an answer beside what it says: what the server's clock showed, and what is odd about it.
//!
//! Changes nothing that is known of a task: it is for the person who asks why.

use jiff::{SignedDuration, Timestamp};

use super::{
    report::{Answer, PollError},
    task::TaskState,
    text::CleanText,
};

/// The most that is kept of an odd answer, in bytes.
pub const EXCERPT_BYTES: usize = 2 * 1024;

/// Is one way in which an answer contradicts itself, or what was said before, or makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// It could not be read as an answer at all.
    Malformed,
    /// Something stood behind its end.
    GoesOn,
    /// It named another task than the one asked after.
    OtherTask,
    /// A key stood twice in one object; the last one counts.
    KeyTwice,
    /// There was no code in it; the HTTP status counts.
    NoCode,
    /// The API knows no such code.
    UnknownCode,
    /// The API knows no such state of a task.
    UnknownFlag,
    /// It called itself processed while HTTP said that it was not.
    StatusDiffers,
    /// Its data was a text with JSON in it.
    DataAsText,
    /// It took an ending back, or a result.
    TakenBack,
}

impl Oddity {
    /// Every oddity there is.
    pub const ALL: [Self; 10] = [
        Self::Malformed,
        Self::GoesOn,
        Self::OtherTask,
        Self::KeyTwice,
        Self::NoCode,
        Self::UnknownCode,
        Self::UnknownFlag,
        Self::StatusDiffers,
        Self::DataAsText,
        Self::TakenBack,
    ];

    /// Returns what an answer did that has it, as the rest of a sentence that begins with the answer.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Malformed => "made no sense",
            Self::GoesOn => "went on behind its end",
            Self::OtherTask => "was for another task",
            Self::KeyTwice => "named a key twice",
            Self::NoCode => "had no code",
            Self::UnknownCode => "had an unknown code",
            Self::UnknownFlag => "had an unknown flag",
            Self::StatusDiffers => "said 200 where HTTP did not",
            Self::DataAsText => "had its data as a text",
            Self::TakenBack => "took an ending back",
        }
    }
}

/// Is what was noticed about one answer. A plain answer costs no allocation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Noticed {
    /// What the server's clock showed, in whole seconds.
    pub date: Option<Timestamp>,
    /// What is odd about it, as far as its outcome does not tell.
    pub oddities: Vec<Oddity>,
    /// How it began, without the key, where anybody may want to see it.
    pub text: Option<CleanText>,
}

impl Noticed {
    /// Notes an oddity, once.
    pub fn note(&mut self, oddity: Oddity) {
        if !self.oddities.contains(&oddity) {
            self.oddities.push(oddity);
        }
    }

    /// Notes what the outcome tells: that it could not be read, or holds no state we know.
    pub fn note_outcome(&mut self, answer: &Answer) {
        let is_explained = |oddity: &Oddity| matches!(oddity, Oddity::GoesOn | Oddity::OtherTask);
        match answer {
            Err(PollError::Malformed(_)) if !self.oddities.iter().any(is_explained) => {
                self.note(Oddity::Malformed);
            }
            Ok(seen) if seen.state == TaskState::Unrecognised => self.note(Oddity::UnknownFlag),
            Ok(_) | Err(_) => {}
        }
    }

    /// Keeps how a text began.
    pub fn keep(&mut self, text: &str) {
        // Cut before it is cleaned: the original is kept beside the clean form.
        let beginning = text.get(..text.floor_char_boundary(EXCERPT_BYTES));
        self.text = beginning.map(|text| CleanText::block(text, EXCERPT_BYTES));
    }
}

/// Returns how far our clock is ahead of the server's: negative when it is behind, and none when the time between
/// question and answer, both by our clock, explains all of it. `date` has whole seconds, cut off.
pub fn clock_gap(date: Timestamp, asked: Timestamp, answered: Timestamp) -> SignedDuration {
    let least = asked.duration_since(date) - SignedDuration::from_secs(1);
    let most = answered.duration_since(date);
    if least.is_positive() || most.is_negative() {
        (least + most) / 2
    } else {
        SignedDuration::ZERO
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_777_000_000_000 + millis).unwrap()
    }

    // F64
    #[test]
    fn only_what_the_way_of_an_answer_cannot_explain_is_a_gap() {
        for (date, asked, answered, gap) in [
            (0, 0, 300, 0),
            (0, 999, 1_300, 0),
            (0, -200, 100, 0),
            // Half a minute under way: anything in between is possible.
            (15_000, 0, 30_000, 0),
            (0, 192_400, 192_600, 192_000),
            (192_000, 400, 600, -192_000),
            (0, 2_000, 2_400, 1_700),
        ] {
            let gap = SignedDuration::from_millis(gap);
            assert_eq!(
                clock_gap(at(date), at(asked), at(answered)),
                gap,
                "{date} {asked}"
            );
        }
        let (first, last) = (Timestamp::MIN, Timestamp::MAX);
        assert!(clock_gap(first, last, last).is_positive());
        assert!(clock_gap(last, first, first).is_negative());
    }

    #[test]
    fn what_is_kept_of_an_answer_is_short_and_clean() {
        let mut noticed = Noticed::default();

        noticed.keep(&format!("\u{1b}[2J{}", "ü".repeat(1 << 20)));

        let text = noticed.text.unwrap();
        assert!(text.as_str().starts_with("␛[2J"));
        assert!(text.as_str().len() <= EXCERPT_BYTES);
        assert!(text.original().len() <= EXCERPT_BYTES);
    }
}
