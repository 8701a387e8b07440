//! Response headers that the API client and the downloads read.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};
use reqwest::{
    Response,
    header::{DATE, HeaderName, RETRY_AFTER},
};

use crate::domain::{poll_result::PollError, schedule::MAX_WAIT, time};

/// The shortest wait: a time in the past must not cause a busy loop.
const MIN_WAIT: Duration = Duration::from_secs(1);

/// Returns a header's value if it is valid text.
pub(in crate::adapters) fn text(response: &Response, name: HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// Parses an HTTP date in its current form, which is that of e-mail (RFC 2822).
pub(in crate::adapters) fn parse_date(text: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new()
        .parse_timestamp(text.trim())
        .ok()
}

/// Returns the wait that the server asks for.
pub(in crate::adapters) fn retry_after(response: &Response) -> Option<Duration> {
    parse_retry_after(text(response, RETRY_AFTER)?, text(response, DATE))
}

/// Parses `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date. A date is measured against
/// the response's own `Date` header, so a wrong clock on either side does not matter.
///
/// Clamps the wait between one second and [`MAX_WAIT`]. Returns `None` for anything else: negative
/// or fractional numbers, words, a date without a `Date` header.
fn parse_retry_after(value: &str, date: Option<&str>) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit()) {
        // Only digits, so parsing can fail by overflow only.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        time::elapsed(parse_date(date?)?, parse_date(value)?)
    };
    Some(wait.clamp(MIN_WAIT, MAX_WAIT))
}

/// Returns an error if the response is a Cloudflare challenge instead of the server's response.
pub(in crate::adapters) fn cloudflare_challenge(response: &Response) -> Option<PollError> {
    let is_challenge = response.headers().contains_key("cf-mitigated");
    is_challenge.then(|| PollError::Blocked(i64::from(response.status().as_u16())))
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
            assert_eq!(parse_retry_after(value, Some(DATE)), expected, "{value}");
        }
        assert_eq!(
            parse_retry_after("Wed, 13 Aug 2025 09:48:30 GMT", None),
            None
        );
        assert_eq!(
            parse_retry_after("Wed, 13 Aug 2025 09:48:30 GMT", Some("x")),
            None
        );
        assert_eq!(parse_retry_after("7", None), seconds(7));
    }
}
