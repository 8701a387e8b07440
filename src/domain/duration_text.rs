//! Spans of time as people write them: `90s`, `2h30m`, `1w`.

use std::{fmt, time::Duration};

/// The units of a span, in seconds, the largest first.
const UNITS: [(char, u64); 5] = [
    ('w', 7 * 86_400),
    ('d', 86_400),
    ('h', 3_600),
    ('m', 60),
    ('s', 1),
];

/// What a number without a unit means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BareNumber {
    /// Seconds.
    Seconds,
    /// Nothing: a unit is asked for.
    Rejected,
}

/// Says why a text is no span of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DurationError {
    /// There is none.
    Missing,
    /// It is something else, or longer than can be counted.
    Invalid,
    /// Its last number has no unit.
    MissingUnit,
}

/// Reads a span, to the second.
pub fn parse(text: &str, bare: BareNumber) -> Result<Duration, DurationError> {
    if text.is_empty() {
        return Err(DurationError::Missing);
    }
    let mut seconds = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let behind = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = rest.strip_suffix(behind).unwrap_or_default();
        let count: u64 = number
            .parse()
            .map_err(|_no_number| DurationError::Invalid)?;
        let mut after = behind.chars();
        let unit = match (after.next(), bare) {
            (None, BareNumber::Rejected) => return Err(DurationError::MissingUnit),
            (None, BareNumber::Seconds) => Some(1),
            (Some(c), _) => unit_seconds(c),
        };
        seconds = unit
            .and_then(|unit| count.checked_mul(unit))
            .and_then(|more| seconds.checked_add(more))
            .ok_or(DurationError::Invalid)?;
        rest = after.as_str();
    }
    Ok(Duration::from_secs(seconds))
}

/// Returns how long a unit is.
fn unit_seconds(unit: char) -> Option<u64> {
    let unit = unit.to_ascii_lowercase();
    let mut units = UNITS.into_iter();
    units.find(|(c, _)| *c == unit).map(|(_, seconds)| seconds)
}

/// Writes a span so that reading gives the same one again, to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HumanDuration(pub Duration);

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.as_secs();
        if left == 0 {
            return f.write_str("0s");
        }
        // Weeks are read, and written as days.
        for (unit, seconds) in UNITS.into_iter().skip(1) {
            if left >= seconds {
                write!(f, "{}{unit}", left / seconds)?;
                left %= seconds;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_parsed_in_common_spellings() {
        for (text, seconds) in [
            ("0s", 0),
            ("90s", 90),
            ("90S", 90),
            ("2h30m", 9_000),
            ("1d1s", 86_401),
            ("1w", 604_800),
        ] {
            for bare in [BareNumber::Seconds, BareNumber::Rejected] {
                assert_eq!(
                    parse(text, bare),
                    Ok(Duration::from_secs(seconds)),
                    "{text}"
                );
            }
        }
        for (text, seconds) in [("90", 90), ("1m30", 90)] {
            let span = Duration::from_secs(seconds);
            assert_eq!(parse(text, BareNumber::Seconds), Ok(span));
            assert_eq!(
                parse(text, BareNumber::Rejected),
                Err(DurationError::MissingUnit)
            );
        }
        for odd in [
            "m",
            "5x",
            "-5",
            "1.5h",
            "5 m",
            "٣m",
            "99999999999999999999s",
            "9999999999999999999d",
        ] {
            assert_eq!(
                parse(odd, BareNumber::Seconds),
                Err(DurationError::Invalid),
                "{odd}"
            );
        }
        assert_eq!(parse("", BareNumber::Seconds), Err(DurationError::Missing));
    }

    proptest! {
        #[test]
        fn durations_round_trip(seconds: u64) {
            let span = Duration::from_secs(seconds);
            prop_assert_eq!(parse(&HumanDuration(span).to_string(), BareNumber::Rejected), Ok(span));
        }
    }
}
