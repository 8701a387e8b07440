//! Durations as users write them: `90s`, `2h30m`, `1w`.

use std::{fmt, time::Duration};

/// The units with their length in seconds, largest first.
const UNITS: [(char, u64); 5] = [
    ('w', 7 * 86_400),
    ('d', 86_400),
    ('h', 3_600),
    ('m', 60),
    ('s', 1),
];

/// The meaning of a number without a unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BareNumber {
    Seconds,
    /// An error: the unit is required.
    Rejected,
}

/// The reason why a text is not a duration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DurationError {
    Missing,
    /// Not a duration, or one that overflows.
    Invalid,
    /// The last number has no unit.
    MissingUnit,
}

/// Parses a duration, to the second.
pub fn parse(text: &str, bare: BareNumber) -> Result<Duration, DurationError> {
    if text.is_empty() {
        return Err(DurationError::Missing);
    }
    let mut seconds = 0_u64;
    let mut rest = text;
    while !rest.is_empty() {
        let after_digits = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = rest.strip_suffix(after_digits).unwrap_or_default();
        let count: u64 = number
            .parse()
            .map_err(|_not_a_number| DurationError::Invalid)?;
        let mut chars = after_digits.chars();
        let unit = match (chars.next(), bare) {
            (None, BareNumber::Rejected) => return Err(DurationError::MissingUnit),
            (None, BareNumber::Seconds) => Some(1),
            (Some(c), _) => unit_seconds(c),
        };
        seconds = unit
            .and_then(|unit| count.checked_mul(unit))
            .and_then(|more| seconds.checked_add(more))
            .ok_or(DurationError::Invalid)?;
        rest = chars.as_str();
    }
    Ok(Duration::from_secs(seconds))
}

fn unit_seconds(unit: char) -> Option<u64> {
    let unit = unit.to_ascii_lowercase();
    let mut units = UNITS.into_iter();
    units.find(|(c, _)| *c == unit).map(|(_, seconds)| seconds)
}

/// A duration whose text parses to the same value, to the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HumanDuration(pub Duration);

impl fmt::Display for HumanDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0.as_secs();
        if left == 0 {
            return f.write_str("0s");
        }
        // Weeks are accepted, but written as days.
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
            let duration = Duration::from_secs(seconds);
            assert_eq!(parse(text, BareNumber::Seconds), Ok(duration));
            assert_eq!(
                parse(text, BareNumber::Rejected),
                Err(DurationError::MissingUnit)
            );
        }
        for invalid in [
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
                parse(invalid, BareNumber::Seconds),
                Err(DurationError::Invalid),
                "{invalid}"
            );
        }
        assert_eq!(parse("", BareNumber::Seconds), Err(DurationError::Missing));
    }

    proptest! {
        #[test]
        fn durations_round_trip(seconds: u64) {
            let duration = Duration::from_secs(seconds);
            prop_assert_eq!(parse(&HumanDuration(duration).to_string(), BareNumber::Rejected), Ok(duration));
        }
    }
}
