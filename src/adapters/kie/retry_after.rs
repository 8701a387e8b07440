//! Parser for the `Retry-After` header, in both of its forms.
//!
//! A date is measured against the response's own `Date` header, so a wrong clock on either side
//! does not matter.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};

use crate::domain::{schedule::MAX_WAIT, time};

/// The shortest wait: a time in the past must not cause a busy loop.
const MIN_WAIT: Duration = Duration::from_secs(1);

/// Parses `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date relative to the `Date`
/// header.
///
/// Clamps the wait between one second and [`MAX_WAIT`]. Returns `None` for anything else: negative
/// or fractional numbers, words, a date without a `Date` header.
pub fn parse(value: &str, date: Option<&str>) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // Only digits, so parsing can fail by overflow only.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        time::elapsed(parse_http_date(date?)?, parse_http_date(value)?)
    };
    Some(wait.clamp(MIN_WAIT, MAX_WAIT))
}

/// Parses an HTTP date in its current form, which is that of e-mail (RFC 2822).
pub(super) fn parse_http_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new()
        .parse_timestamp(text.trim())
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read_and_capped() {
        const DATE: &str = "Wed, 13 Aug 2025 09:48:00 GMT";
        let seconds = |n| Some(Duration::from_secs(n));
        let table = [
            ("7", seconds(7)),
            (" 120 ", seconds(120)),
            ("0", seconds(1)),
            ("000", seconds(1)),
            ("900", seconds(900)),
            ("901", seconds(900)),
            ("9223372037", seconds(900)),
            ("18446744073709551615", seconds(900)),
            ("99999999999999999999999999", seconds(900)),
            ("", None),
            ("-1", None),
            ("+7", None),
            ("1.5", None),
            ("1e9", None),
            ("abc", None),
            ("٧", None),
            ("Wed, 13 Aug 2025 09:48:30 GMT", seconds(30)),
            ("Wed, 13 Aug 2025 09:48:00 GMT", seconds(1)),
            ("Wed, 13 Aug 2025 09:00:00 GMT", seconds(1)),
            ("Thu, 14 Aug 2025 09:48:00 GMT", seconds(900)),
            ("Fri, 01 Jan 9999 00:00:00 GMT", seconds(900)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", None),
            ("Wed, 99 Aug 2025 09:48:30 GMT", None),
            ("Wed Aug 13 09:48:30 2025", None),
        ];
        for (value, expected) in table {
            assert_eq!(parse(value, Some(DATE)), expected, "{value}");
        }
        assert_eq!(parse("Wed, 13 Aug 2025 09:48:30 GMT", None), None);
        assert_eq!(parse("Wed, 13 Aug 2025 09:48:30 GMT", Some("x")), None);
        assert_eq!(parse("7", None), seconds(7));
    }
}
