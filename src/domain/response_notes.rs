//! What is noticed about an answer beside what it says: what the server's clock showed, and what is
//! odd about it.
//!
//! Changes nothing that is known of a task: it is for the person who asks why.

use jiff::{SignedDuration, Timestamp};

use super::{
    poll_result::{PollError, PollResult},
    task::TaskState,
    text::CleanText,
};

/// The most that is kept of an odd answer, in bytes.
pub const MAX_EXCERPT_LEN: usize = 2 * 1024;

/// One way in which an answer contradicts itself, or what was said before, or makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anomaly {
    /// It could not be read as an answer at all.
    Malformed,
    /// Something stood behind its end.
    TrailingData,
    /// It named another task than the one asked after.
    OtherTask,
    /// A key stood twice in one object; the last one counts.
    DuplicateKey,
    /// There was no code in it; the HTTP status counts.
    MissingCode,
    /// The API knows no such code.
    UnknownCode,
    /// The API knows no such state of a task.
    UnknownFlag,
    /// It called itself processed while HTTP said that it was not.
    StatusMismatch,
    /// Its data was a text with JSON in it.
    DataAsText,
    /// It took an ending back, or a result.
    Contradiction,
}

impl Anomaly {
    /// Every oddity there is.
    pub const ALL: [Self; 10] = [
        Self::Malformed,
        Self::TrailingData,
        Self::OtherTask,
        Self::DuplicateKey,
        Self::MissingCode,
        Self::UnknownCode,
        Self::UnknownFlag,
        Self::StatusMismatch,
        Self::DataAsText,
        Self::Contradiction,
    ];

    /// Returns what an answer did that has it, as the rest of a sentence that begins with the
    /// answer.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Malformed => "made no sense",
            Self::TrailingData => "went on behind its end",
            Self::OtherTask => "was for another task",
            Self::DuplicateKey => "named a key twice",
            Self::MissingCode => "had no code",
            Self::UnknownCode => "had an unknown code",
            Self::UnknownFlag => "had an unknown flag",
            Self::StatusMismatch => "said 200 where HTTP did not",
            Self::DataAsText => "had its data as a text",
            Self::Contradiction => "took an ending back",
        }
    }
}

/// What was noticed about one answer. A plain answer costs no allocation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseNotes {
    /// What the server's clock showed, in whole seconds.
    pub date: Option<Timestamp>,
    /// What is odd about it, as far as its outcome does not tell.
    pub anomalies: Vec<Anomaly>,
    /// How it began, without the key, where anybody may want to see it.
    pub text: Option<CleanText>,
}

impl ResponseNotes {
    /// Notes an oddity, once.
    pub fn add(&mut self, oddity: Anomaly) {
        if !self.anomalies.contains(&oddity) {
            self.anomalies.push(oddity);
        }
    }

    /// Notes what the outcome tells: that it could not be read, or holds no state we know.
    pub fn add_from_result(&mut self, answer: &PollResult) {
        let is_explained =
            |oddity: &Anomaly| matches!(oddity, Anomaly::TrailingData | Anomaly::OtherTask);
        match answer {
            Err(PollError::Malformed(_)) if !self.anomalies.iter().any(is_explained) => {
                self.add(Anomaly::Malformed);
            }
            Ok(seen) if seen.state == TaskState::Unrecognised => self.add(Anomaly::UnknownFlag),
            Ok(_) | Err(_) => {}
        }
    }

    /// Keeps how a text began.
    pub fn keep_excerpt(&mut self, text: &str) {
        // Cut before it is cleaned: the original is kept beside the clean form.
        let beginning = text.get(..text.floor_char_boundary(MAX_EXCERPT_LEN));
        self.text = beginning.map(|text| CleanText::block(text, MAX_EXCERPT_LEN));
    }
}

/// Returns how far our clock is ahead of the server's: negative when it is behind, and none when
/// the time between question and answer, both by our clock, explains all of it. `date` has whole
/// seconds, cut off.
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
    fn clock_gaps_exclude_the_response_time() {
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
    fn kept_excerpts_are_short_and_clean() {
        let mut noticed = ResponseNotes::default();

        noticed.keep_excerpt(&format!("\u{1b}[2J{}", "ü".repeat(1 << 20)));

        let text = noticed.text.unwrap();
        assert!(text.as_str().starts_with("␛[2J"));
        assert!(text.as_str().len() <= MAX_EXCERPT_LEN);
        assert!(text.original().len() <= MAX_EXCERPT_LEN);
    }
}
