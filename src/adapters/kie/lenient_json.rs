//! Readers of single JSON values: accept every spelling that a family has been seen to use.
//!
//! A value that cannot be read is `None`, never a default.

use std::borrow::Cow;

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{Offset, TimeZone},
};
use serde_json::{Map, Value};

use super::json_text::parse_document;
use crate::domain::{link::Links, task::SuccessFlag, text::CleanText};

/// The longest flag word kept, in bytes.
const MAX_WORD_LEN: usize = 256;

/// How many times JSON may be nested inside a JSON string.
const MAX_WRAPPINGS: usize = 2;

/// Plausible times: the years 2020 to 2099. The API did not exist before.
const PLAUSIBLE_TIMES_MS: std::ops::Range<i64> = 1_577_836_800_000..4_102_444_800_000;

/// Returns a field of an object; a missing field is null, because families use both alike.
pub fn field<'a>(object: &'a Value, name: &str) -> &'a Value {
    object.get(name).unwrap_or(&Value::Null)
}

/// Returns an object, also from within a JSON string; an empty one for other values.
pub fn parse_object(value: &Value) -> Value {
    let value = unwrap_json_string(value).filter(Value::is_object);
    value.unwrap_or_else(|| Map::new().into())
}

/// Parses the JSON inside a string; returns other values as they are.
pub fn unwrap_json_string(value: &Value) -> Option<Value> {
    let mut value = value.clone();
    for _ in 0..MAX_WRAPPINGS {
        if let Value::String(text) = &value {
            value = parse_document(text).ok()?;
        }
    }
    (!value.is_string()).then_some(value)
}

/// Converts anything but null to text: strings as they are, other values as JSON.
pub fn to_text(value: &Value) -> Option<Cow<'_, str>> {
    match value.as_str() {
        Some(text) => Some(text.into()),
        None if value.is_null() => None,
        None => Some(value.to_string().into()),
    }
}

/// Converts anything but null to one line of at most `max_bytes`; `None` if it is empty.
pub fn clean_line(value: &Value, max_bytes: usize) -> Option<CleanText> {
    to_text(value)
        .map(|text| CleanText::line(&text, max_bytes))
        .filter(|text| !text.is_empty())
}

/// Parses an integer, given as a number, with a zero fraction, or as a string.
pub fn parse_integer(value: &Value) -> Option<i64> {
    let text = to_text(value)?;
    let text = text.trim();
    let integer = text.parse().ok();
    integer.or_else(|| exact_integer(text.parse().ok()?))
}

/// Converts a floating-point number without a fraction, if it fits.
fn exact_integer(number: f64) -> Option<i64> {
    if number.fract() != 0.0 {
        return None;
    }
    // Through text, because parsing fails where a cast would saturate. `+ 0.0` removes the sign of
    // a negative zero.
    format!("{:.0}", number + 0.0).parse().ok()
}

/// Parses a flag: an integer in any spelling, else the text as it is. Null is not a flag.
pub fn parse_flag(value: &Value) -> Option<SuccessFlag> {
    let word = || Some(CleanText::line(&to_text(value)?, MAX_WORD_LEN));
    let number = parse_integer(value).map(SuccessFlag::Number);
    number.or_else(|| word().map(SuccessFlag::Word))
}

/// Parses a time: Unix milliseconds or seconds as number or text, or ISO 8601.
///
/// Text without a zone is UTC. Times outside the years 2020 to 2099 are `None`.
pub fn parse_time(value: &Value) -> Option<Timestamp> {
    let text = to_text(value)?;
    let text = text.trim();
    let time = match text.parse() {
        Ok(number) => parse_unix_time(number)?,
        Err(_) => parse_iso_time(text)?,
    };
    PLAUSIBLE_TIMES_MS
        .contains(&time.as_millisecond())
        .then_some(time)
}

/// Parses Unix time; a value too small for milliseconds is taken as seconds. The plausible ranges
/// do not overlap.
fn parse_unix_time(number: f64) -> Option<Timestamp> {
    let ms = exact_integer(number.round())?;
    if PLAUSIBLE_TIMES_MS.contains(&ms) {
        return Timestamp::from_millisecond(ms).ok();
    }
    Timestamp::from_millisecond(exact_integer((number * 1000.0).round())?).ok()
}

fn parse_iso_time(text: &str) -> Option<Timestamp> {
    text.parse().ok().or_else(|| {
        let zoneless: DateTime = text.parse().ok()?;
        TimeZone::fixed(Offset::UTC).to_timestamp(zoneless).ok()
    })
}

/// Field names for links, best first; compared without case, `_` and `-`.
const LINK_FIELDS: [&str; 12] = [
    "url",
    "resulturl",
    "videourl",
    "fileurl",
    "downloadurl",
    "mediaurl",
    "link",
    "href",
    "src",
    "uri",
    "video",
    "file",
];

/// Name parts of fields whose links are not the result.
const SECONDARY_FIELDS: [&str; 5] = ["thumb", "cover", "poster", "preview", "callback"];

const MAX_LINK_DEPTH: usize = 8;

/// Collects links in order, from strings, JSON in a string, objects, and nested arrays and maps.
///
/// In an array, a string that is not a web link is kept, so that it is rejected later; in an object
/// it is skipped.
pub fn collect_links(value: &Value) -> Links {
    let texts = link_texts(value, MAX_LINK_DEPTH);
    Links::parse(texts.iter().map(Cow::as_ref))
}

fn link_texts(value: &Value, depth: usize) -> Vec<Cow<'_, str>> {
    let Some(depth) = depth.checked_sub(1) else {
        return Vec::new();
    };
    match value {
        Value::Array(items) => {
            let links = items.iter().flat_map(|item| link_texts(item, depth));
            links.collect()
        }
        Value::Object(object) => link_texts_of_object(object, depth),
        Value::String(text) if is_web_link(text) => split_links(text),
        Value::String(text) => match parse_document(text) {
            Ok(Value::Bool(_) | Value::Number(_)) | Err(_) => vec![text.into()],
            Ok(inner) => {
                let links = link_texts(&inner, depth).into_iter();
                links.map(|link| link.into_owned().into()).collect()
            }
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// Returns the links in an object's best field, else those in all fields of the same rank.
fn link_texts_of_object(object: &Map<String, Value>, depth: usize) -> Vec<Cow<'_, str>> {
    let mut ranked: Vec<_> = object
        .iter()
        .flat_map(|(name, value)| {
            let (rank, links) = (link_rank(name), link_texts(value, depth));
            links.into_iter().map(move |link| (rank, link))
        })
        .filter(|(_, link)| is_web_link(link))
        .collect();
    let best = ranked.iter().map(|(rank, _)| *rank).min();
    ranked.retain(|(rank, _)| Some(*rank) == best);
    ranked.into_iter().map(|(_, link)| link).collect()
}

/// Returns how likely a field has the result, best first: a known name, another, a secondary one.
fn link_rank(field: &str) -> usize {
    let name = field.to_ascii_lowercase().replace(['_', '-'], "");
    let known = LINK_FIELDS.iter().position(|known| *known == name);
    let is_secondary = SECONDARY_FIELDS.iter().any(|part| name.contains(part));
    known.unwrap_or(LINK_FIELDS.len() + usize::from(is_secondary))
}

fn is_web_link(text: &str) -> bool {
    let start = text.trim_start().get(..8).unwrap_or_default();
    let start = start.to_ascii_lowercase();
    start.starts_with("http://") || start == "https://"
}

/// Splits a string at separators that are followed by another web link.
fn split_links(text: &str) -> Vec<Cow<'_, str>> {
    let is_separator = |c: char| c.is_whitespace() || matches!(c, ',' | ';' | '|');
    let mut links: Vec<String> = Vec::new();
    for segment in text.split_inclusive(is_separator) {
        match links.last_mut() {
            Some(link) if !is_web_link(segment) => link.push_str(segment),
            _ => links.push(segment.to_owned()),
        }
    }
    if links.len() < 2 {
        return vec![text.into()];
    }
    let trimmed = |link: String| link.trim_matches(is_separator).to_owned().into();
    links.into_iter().map(trimmed).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn integers_are_read_in_every_spelling() {
        for (value, expected) in [
            (json!(200), Some(200)),
            (json!(200.0), Some(200)),
            (json!("200"), Some(200)),
            (json!(" 200.0 "), Some(200)),
            (json!(-0.0), Some(0)),
            (json!(-1), Some(-1)),
            (json!(1.5), None),
            (json!(1e30), None),
            (json!(u64::MAX), None),
            (json!("inf"), None),
            (json!("NaN"), None),
            (json!("x"), None),
            (json!(""), None),
            (json!(true), None),
            (json!(null), None),
            (json!([200]), None),
        ] {
            assert_eq!(parse_integer(&value), expected, "{value}");
        }
    }

    #[test]
    fn success_flags_are_numbers_or_words() {
        let word = |text: &str| Some(SuccessFlag::Word(CleanText::line(text, MAX_WORD_LEN)));
        for (value, expected) in [
            (json!(1), Some(SuccessFlag::Number(1))),
            (json!("1"), Some(SuccessFlag::Number(1))),
            (json!(1.0), Some(SuccessFlag::Number(1))),
            (json!(7), Some(SuccessFlag::Number(7))),
            (json!(1e30), word("1e+30")),
            (json!("x\u{1b}"), word("x\u{1b}")),
            (json!(true), word("true")),
            (json!({"a": 1}), word(r#"{"a":1}"#)),
            (json!(null), None),
        ] {
            assert_eq!(parse_flag(&value), expected, "{value}");
        }
    }

    #[test]
    fn timestamps_are_read_in_every_spelling() {
        let expected = "2025-08-13T09:42:51Z".parse().ok();
        for value in [
            json!(1_755_078_171_000_i64),
            json!(1_755_078_171),
            json!(1.755_078_171e12),
            json!(1_755_078_171.0),
            json!("1755078171000"),
            json!(" 1755078171 "),
            json!("1.755078171e12"),
            json!("2025-08-13T09:42:51Z"),
            json!("2025-08-13T09:42:51.000Z"),
            json!("2025-08-13T11:42:51+02:00"),
            json!("2025-08-13T09:42:51"),
            json!("2025-08-13 09:42:51"),
        ] {
            assert_eq!(parse_time(&value), expected, "{value}");
        }
        assert_eq!(
            parse_time(&json!(1_755_078_171.5)),
            "2025-08-13T09:42:51.5Z".parse().ok()
        );
    }

    #[test]
    fn implausible_timestamps_are_ignored() {
        for value in [
            json!(null),
            json!(0),
            json!(-0.0),
            json!(-1_755_078_171_000_i64),
            json!(i64::MAX),
            json!(u64::MAX),
            json!(1e300),
            json!(1_755_078_171_000_000_i64),
            json!("1999-01-01T00:00:00Z"),
            json!("2100-01-01T00:00:00Z"),
            json!("inf"),
            json!("NaN"),
            json!("-"),
            json!(""),
            json!("yesterday"),
            json!("-0"),
            json!("1755078171x"),
            json!("2019-12-31T23:59:59Z"),
            json!(true),
            json!([1_755_078_171]),
            json!({}),
        ] {
            assert_eq!(parse_time(&value), None, "{value}");
        }
    }

    #[test]
    fn links_are_read_in_every_spelling() {
        let one = Links::parse(["https://ex.com/1.mp4"]);
        for value in [
            json!(["https://ex.com/1.mp4"]),
            json!([null, 1, "https://ex.com/1.mp4", ""]),
            json!("https://ex.com/1.mp4"),
            json!(r#"["https://ex.com/1.mp4"]"#),
            json!(r#""https://ex.com/1.mp4""#),
        ] {
            assert_eq!(collect_links(&value), one, "{value}");
        }
        let two = Links::parse(["https://ex.com/2.mp4", "https://ex.com/1.mp4"]);
        for value in [
            json!([{"type": "video/mp4", "url": "https://ex.com/2.mp4"}, {"URL": "https://ex.com/1.mp4"}]),
            json!(["https://ex.com/2.mp4", {"resultUrl": "https://ex.com/1.mp4", "cover": "https://ex.com/c"}]),
            json!([["https://ex.com/2.mp4"], [["https://ex.com/1.mp4"]]]),
            json!({"first": "https://ex.com/2.mp4", "a second": "https://ex.com/1.mp4", "size": "2"}),
            json!({"videos": [{"video_url": "https://ex.com/2.mp4"}, {"download-url": "https://ex.com/1.mp4"}]}),
            json!([{"video": {"src": "https://ex.com/2.mp4"}}, {"href": ["https://ex.com/1.mp4"]}]),
            json!(r#"[{"link": "https:\/\/ex.com/2.mp4"}, "https://ex.com/1.mp4"]"#),
            json!([{"thumbnail": "https://ex.com/c", "x": "https://ex.com/2.mp4"}, "https://ex.com/1.mp4"]),
            json!("https://ex.com/2.mp4, https://ex.com/1.mp4\n"),
        ] {
            assert_eq!(collect_links(&value), two, "{value}");
        }
        let comma = Links::parse(["https://ex.com/a, b.mp4?x=http://y"]);
        assert_eq!(
            collect_links(&json!("https://ex.com/a, b.mp4?x=http://y")),
            comma
        );
        assert_eq!(
            collect_links(&json!([{"preview": "https://ex.com/1.mp4"}])),
            one
        );
        let deep = format!(
            "{}\"https://ex.com/1.mp4\"{}",
            "[".repeat(100),
            "]".repeat(100)
        );
        assert_eq!(
            collect_links(&parse_document(&deep).unwrap()),
            Links::default()
        );
        for value in [
            json!([{"type": "video/mp4", "url": "javascript:alert(1)"}]),
            json!([{"url": "ftp://ex.com/1.mp4", "path": "/etc/passwd"}]),
            json!(null),
            json!([]),
            json!(""),
            json!("[]"),
            json!("null"),
            json!(7),
            json!({}),
        ] {
            assert_eq!(collect_links(&value), Links::default(), "{value}");
        }
    }

    #[test]
    fn objects_may_be_wrapped_twice() {
        let inner = json!({"a": 1});
        let once = json!(inner.to_string());
        let twice = json!(once.to_string());
        let thrice = json!(twice.to_string());

        for value in [&inner, &once, &twice] {
            assert_eq!(parse_object(value), inner);
        }
        for value in [
            thrice,
            json!("x"),
            json!(""),
            json!([1]),
            json!("[1]"),
            json!(null),
        ] {
            assert_eq!(parse_object(&value), json!({}), "{value}");
        }
    }
}
