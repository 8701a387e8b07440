//! Notes on an answer for diagnostics: the server's clock, and anything unusual.
//!
//! They never change a task.

use jiff::{SignedDuration, Timestamp};
use strum::VariantArray;

use super::{
    poll_request::Backoff,
    poll_result::{PollError, PollResult},
    task::TaskState,
    text::CleanText,
};

/// The longest excerpt of an unusual answer, in bytes.
pub const MAX_EXCERPT_LEN: usize = 2 * 1024;

/// An unusual property of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, VariantArray)]
pub enum Anomaly {
    /// The answer could not be parsed, or was for another task.
    Malformed,
    /// The answer had no code; the HTTP status counts.
    MissingCode,
    /// The API does not document the code.
    UnknownCode,
    /// The API does not document the status flag.
    UnknownFlag,
    /// The code was 200, the HTTP status was not.
    StatusMismatch,
    /// The data was a string with JSON in it.
    DataAsText,
    /// The answer contradicted a finished status, or a result.
    Contradiction,
}

impl Anomaly {
    pub const ALL: &'static [Self] = Self::VARIANTS;
}

/// The notes on one answer. A normal answer allocates nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ResponseNotes {
    /// The server's clock, in whole seconds.
    pub date: Option<Timestamp>,
    /// Whether a response began, even if it broke off.
    pub has_response: bool,
    /// The account's backoff after the answer.
    pub backoff: Option<Backoff>,
    /// Anything unusual that the result does not show.
    pub anomalies: Vec<Anomaly>,
    /// The start of an unusual answer, without the key.
    pub text: Option<CleanText>,
}

impl ResponseNotes {
    pub fn add(&mut self, anomaly: Anomaly) {
        if !self.anomalies.contains(&anomaly) {
            self.anomalies.push(anomaly);
        }
    }

    /// Adds the anomalies that the result shows: malformed, or with an unknown state.
    pub fn add_from_result(&mut self, result: &PollResult) {
        match result {
            Err(PollError::Malformed(_)) => self.add(Anomaly::Malformed),
            Ok(seen) if seen.state == TaskState::Unrecognised => self.add(Anomaly::UnknownFlag),
            Ok(_) | Err(_) => {}
        }
    }

    /// Keeps the start of a text.
    pub fn keep_excerpt(&mut self, text: &str) {
        // Truncated first, because the original is kept beside the clean form.
        let excerpt = text.get(..text.floor_char_boundary(MAX_EXCERPT_LEN));
        self.text = excerpt.map(|text| CleanText::block(text, MAX_EXCERPT_LEN));
    }
}

/// Returns how far our clock is ahead of the server's: negative if it is behind, zero if the time
/// between request and answer, both by our clock, explains the difference. `date` is truncated to
/// whole seconds.
pub fn clock_gap(date: Timestamp, sent: Timestamp, answered: Timestamp) -> SignedDuration {
    let min_gap = sent.duration_since(date) - SignedDuration::from_secs(1);
    let max_gap = answered.duration_since(date);
    if min_gap.is_positive() || max_gap.is_negative() {
        (min_gap + max_gap) / 2
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
        for (date, sent, answered, gap) in [
            (0, 0, 300, 0),
            (0, 999, 1_300, 0),
            (0, -200, 100, 0),
            // The request took half a minute: any gap in between is possible.
            (15_000, 0, 30_000, 0),
            (0, 192_400, 192_600, 192_000),
            (192_000, 400, 600, -192_000),
            (0, 2_000, 2_400, 1_700),
        ] {
            let gap = SignedDuration::from_millis(gap);
            assert_eq!(
                clock_gap(at(date), at(sent), at(answered)),
                gap,
                "{date} {sent}"
            );
        }
        let (first, last) = (Timestamp::MIN, Timestamp::MAX);
        assert!(clock_gap(first, last, last).is_positive());
        assert!(clock_gap(last, first, first).is_negative());
    }

    #[test]
    fn kept_excerpts_are_short_and_clean() {
        let mut notes = ResponseNotes::default();

        notes.keep_excerpt(&format!("\u{1b}[2J{}", "ü".repeat(1 << 20)));

        let text = notes.text.unwrap();
        assert!(text.as_str().starts_with("␛[2J"));
        assert!(text.as_str().len() <= MAX_EXCERPT_LEN);
        assert!(text.original().len() <= MAX_EXCERPT_LEN);
    }
}
