//! Tolerant JSON parsing: accepts every spelling of a value that a family has been seen to use.
//!
//! A value that cannot be read is `None`, never a default.

use std::{borrow::Cow, cell::Cell, fmt};

use jiff::{
    Timestamp,
    civil::DateTime,
    tz::{Offset, TimeZone},
};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::domain::{link::Links, task::SuccessFlag, text::CleanText};

pub type JsonObject = Map<String, Value>;

/// The longest flag word kept, in bytes.
const MAX_WORD_LEN: usize = 256;

/// The most arrays and objects in a document; a record has fewer than ten.
const MAX_CONTAINERS: usize = 1_000;

/// The most values in a document.
const MAX_VALUES: usize = 20_000;

/// The greatest nesting depth; deeper arrays and objects are skipped. A record is five deep, apart
/// from user input.
const MAX_DEPTH: usize = 64;

/// How much the repair of a document may add, in bytes.
const MAX_REPAIR_GROWTH: usize = 64 * 1024;

/// How many times JSON may be nested inside a JSON string.
const MAX_WRAPPINGS: usize = 2;

/// Plausible times: the years 2020 to 2099. The API did not exist before.
const PLAUSIBLE_TIMES_MS: std::ops::Range<i64> = 1_577_836_800_000..4_102_444_800_000;

/// Returns a field of an object; a missing field is null, because families use both alike.
pub fn field<'a>(object: &'a JsonObject, name: &str) -> &'a Value {
    const NULL: &Value = &Value::Null;
    object.get(name).unwrap_or(NULL)
}

/// The reason why a text could not be parsed, shown after a colon. Never quotes the text.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    #[error("incomplete JSON")]
    Truncated,
    /// More values than any record: parsed, they would use a hundred times the memory of the text.
    #[error("too many values")]
    TooComplex,
    #[error("not JSON: {0}")]
    TrailingData(serde_json::Error),
    #[error("not JSON: {0}")]
    NotJson(serde_json::Error),
}

/// A parsed document.
#[derive(Debug)]
pub struct JsonDocument {
    pub value: Value,
    /// Whether an object has a key twice. The last value counts, as in browsers.
    pub has_duplicate_key: bool,
}

/// Parses a document; skips a byte order mark.
///
/// One invalid value does not invalidate the rest: half a surrogate pair becomes U+FFFD, a number
/// out of range becomes a string, and `NaN`, `Infinity` and values nested too deep become null.
pub fn parse_document(text: &str) -> Result<JsonDocument, JsonError> {
    let text = text.trim_start_matches('\u{feff}');
    if is_too_complex(text) {
        return Err(JsonError::TooComplex);
    }
    parse_strictly(text).or_else(|error| match repair(text) {
        Some(text) => parse_strictly(&text),
        None => Err(error),
    })
}

/// Parses a document without repair.
fn parse_strictly(text: &str) -> Result<JsonDocument, JsonError> {
    let has_duplicate_key = Cell::new(false);
    let mut reader = serde_json::Deserializer::from_str(text);
    let seed = ValueSeed {
        has_duplicate_key: &has_duplicate_key,
        depth: 0,
    };
    let value = seed.deserialize(&mut reader);
    let value = value.map_err(|error| {
        if error.is_eof() {
            JsonError::Truncated
        } else {
            JsonError::NotJson(error)
        }
    })?;
    reader.end().map_err(JsonError::TrailingData)?;
    Ok(JsonDocument {
        value,
        has_duplicate_key: has_duplicate_key.get(),
    })
}

/// Deserializer seed for [`Value`] that also detects duplicate keys.
#[derive(Clone, Copy)]
struct ValueSeed<'a> {
    has_duplicate_key: &'a Cell<bool>,
    depth: usize,
}

impl ValueSeed<'_> {
    /// Returns the seed for nested values; `None` at the depth limit.
    const fn descend(self) -> Option<Self> {
        let depth = self.depth + 1;
        if depth > MAX_DEPTH {
            return None;
        }
        Some(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Value, A::Error> {
        let Some(nested) = self.descend() else {
            while parts.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Value::Null);
        };
        let mut list = Vec::new();
        while let Some(item) = parts.next_element_seed(nested)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut parts: A) -> Result<Value, A::Error> {
        let Some(nested) = self.descend() else {
            while parts.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Value::Null);
        };
        let mut object = JsonObject::new();
        while let Some(key) = parts.next_key::<String>()? {
            let value = parts.next_value_seed(nested)?;
            if object.insert(key, value).is_some() {
                self.has_duplicate_key.set(true);
            }
        }
        Ok(object.into())
    }
}

/// Reports whether a document has too many arrays, objects or values, without parsing it. Values
/// nested too deep do not count.
fn is_too_complex(text: &str) -> bool {
    let (mut containers, mut values, mut depth) = (0, 0, 0_usize);
    let (mut is_in_string, mut is_escaped) = (false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_in_string => is_escaped = true,
            b'"' => is_in_string = !is_in_string,
            b'[' | b'{' if !is_in_string => {
                depth += 1;
                containers += usize::from(depth <= MAX_DEPTH);
            }
            b']' | b'}' if !is_in_string => depth = depth.saturating_sub(1),
            b',' if !is_in_string => values += usize::from(depth <= MAX_DEPTH),
            _ => {}
        }
    }
    containers > MAX_CONTAINERS || values > MAX_VALUES
}

/// Replaces values that the JSON library rejects in an array or object; `None` if there are none.
///
/// For example, a server that cuts a prompt within an emoji sends an unpaired surrogate.
fn repair(text: &str) -> Option<String> {
    if !text.trim_start().starts_with(['[', '{']) {
        return None;
    }
    let mut repaired = String::with_capacity(text.len());
    let (mut rest, mut is_in_string, mut is_repaired) = (text, false, false);
    while !rest.is_empty() && repaired.len() <= text.len() + MAX_REPAIR_GROWTH {
        let (length, replacement) = if is_in_string {
            scan_string(rest)
        } else {
            scan_outside_string(rest)
        };
        let (segment, after) = rest.split_at_checked(length)?;
        is_in_string ^= segment == "\"";
        is_repaired |= replacement.is_some();
        repaired.push_str(replacement.as_deref().unwrap_or(segment));
        rest = after;
    }
    (is_repaired && rest.is_empty()).then_some(repaired)
}

/// Returns the length of the next segment of a JSON string, and its replacement if needed.
fn scan_string(rest: &str) -> (usize, Option<String>) {
    let is_plain = |c: char| c >= ' ' && c != '"' && c != '\\';
    let plain_len = rest.find(|c| !is_plain(c)).unwrap_or(rest.len());
    if plain_len > 0 {
        return (plain_len, None);
    }
    let Some(after) = rest.strip_prefix('\\') else {
        let control = rest.chars().next().filter(char::is_ascii_control);
        return (1, control.map(|c| format!("\\u{:04x}", u32::from(c))));
    };
    let second = after.get(5..).and_then(|after| after.strip_prefix('\\'));
    match (parse_surrogate(after), second.and_then(parse_surrogate)) {
        (Some(SurrogateHalf::Leading), Some(SurrogateHalf::Trailing)) => return (12, None),
        (Some(_), _) => return (6, Some('\u{fffd}'.to_string())),
        (None, _) => {}
    }
    match after.chars().next() {
        Some('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't') => (2, None),
        Some('u') if after.get(1..5).is_some_and(is_hex) => (6, None),
        // Not an escape: keep the backslash as a character.
        Some(_) => (1, Some("\\\\".to_owned())),
        None => (1, None),
    }
}

fn is_hex(digits: &str) -> bool {
    digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

/// Returns the length of the next segment outside a JSON string, and its replacement if needed.
fn scan_outside_string(rest: &str) -> (usize, Option<String>) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
    let word = rest.get(..length).unwrap_or_default();
    match word {
        "" => (rest.chars().next().map_or(0, char::len_utf8), None),
        "NaN" | "Infinity" | "-Infinity" => (length, Some("null".to_owned())),
        // Valid JSON, but out of range for every number type.
        _ if word.parse().is_ok_and(f64::is_infinite)
            && serde_json::from_str::<IgnoredAny>(word).is_ok() =>
        {
            (length, Some(format!("\"{word}\"")))
        }
        _ => (length, None),
    }
}

#[derive(Clone, Copy)]
enum SurrogateHalf {
    Leading,
    Trailing,
}

/// Parses an escaped surrogate after its backslash, such as `uD83D`.
fn parse_surrogate(text: &str) -> Option<SurrogateHalf> {
    let digits = text.strip_prefix('u')?.get(..4)?;
    match u16::from_str_radix(digits, 16).ok()? {
        0xd800..0xdc00 => Some(SurrogateHalf::Leading),
        0xdc00..0xe000 => Some(SurrogateHalf::Trailing),
        _ => None,
    }
}

/// Returns an object, also from within a JSON string.
pub fn parse_object(value: &Value) -> Option<JsonObject> {
    unwrap_json_string(value).and_then(|value| match value {
        Value::Object(object) => Some(object),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            None
        }
    })
}

/// Parses the JSON inside a string; returns other values as they are.
pub fn unwrap_json_string(value: &Value) -> Option<Value> {
    let mut value = value.clone();
    for _ in 0..MAX_WRAPPINGS {
        match &value {
            Value::String(text) => value = parse_document(text).ok()?.value,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => break,
        }
    }
    (!value.is_string()).then_some(value)
}

/// Converts anything but null to text: strings as they are, other values as JSON.
pub fn to_text(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.into()),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            Some(value.to_string().into())
        }
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
    match value {
        Value::Number(number) => number
            .as_i64()
            .or_else(|| number.as_f64().and_then(exact_integer)),
        Value::String(text) => {
            let text = text.trim();
            text.parse()
                .ok()
                .or_else(|| text.parse().ok().and_then(exact_integer))
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
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
    parse_integer(value).map(SuccessFlag::Number).or_else(|| {
        to_text(value).map(|word| SuccessFlag::Word(CleanText::line(&word, MAX_WORD_LEN)))
    })
}

/// Parses a time: Unix milliseconds or seconds as number or text, or ISO 8601.
///
/// Text without a zone is UTC. Times outside the years 2020 to 2099 are `None`.
pub fn parse_time(value: &Value) -> Option<Timestamp> {
    let time = match value {
        Value::Number(number) => parse_unix_time(number.as_f64()?)?,
        Value::String(text) => {
            let text = text.trim();
            match text.parse() {
                Ok(number) => parse_unix_time(number)?,
                Err(_) => parse_iso_time(text)?,
            }
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => return None,
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
        Value::String(text) => match parse_document(text).map(|document| document.value) {
            Ok(Value::Bool(_) | Value::Number(_)) | Err(_) => vec![text.into()],
            Ok(inner) => {
                let links = link_texts(&inner, depth).into_iter();
                links.map(|link| link.into_owned().into()).collect()
            }
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

/// Returns the links in an object's best field, else those in all its fields.
fn link_texts_of_object(object: &JsonObject, depth: usize) -> Vec<Cow<'_, str>> {
    let normalized = |name: &str| name.to_ascii_lowercase().replace(['_', '-'], "");
    let web_links = |value| {
        let mut found = link_texts(value, depth);
        found.retain(|text| is_web_link(text));
        found
    };
    let named = LINK_FIELDS.iter().find_map(|wanted| {
        let mut fields = object.iter();
        let (_, value) = fields.find(|(name, _)| normalized(name) == *wanted)?;
        Some(web_links(value)).filter(|found| !found.is_empty())
    });
    named.unwrap_or_else(|| {
        let (secondary, primary): (Vec<_>, Vec<_>) = object.iter().partition(|(name, _)| {
            let name = normalized(name);
            SECONDARY_FIELDS.iter().any(|part| name.contains(part))
        });
        let primary: Vec<_> = primary
            .into_iter()
            .flat_map(|(_, v)| web_links(v))
            .collect();
        if primary.is_empty() {
            secondary
                .into_iter()
                .flat_map(|(_, v)| web_links(v))
                .collect()
        } else {
            primary
        }
    })
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

    fn value(text: &str) -> Value {
        parse_document(text).unwrap().value
    }

    #[test]
    fn lone_surrogates_become_the_replacement_character() {
        let table = [
            (r#"["a\ud83db"]"#, "a\u{fffd}b"),
            (r#"["a\ude00"]"#, "a\u{fffd}"),
            (r#"["\ud83d\ude00 \ud83d"]"#, "😀 \u{fffd}"),
            (r#"["\ud83d\ud83d\ude00"]"#, "\u{fffd}😀"),
            (r#"["\\ud83d \ud83d"]"#, "\\ud83d \u{fffd}"),
            (r#"["\\\ud83d\n"]"#, "\\\u{fffd}\n"),
        ];
        for (text, expected) in table {
            assert_eq!(value(text), json!([expected]), "{text}");
        }
        for broken in [r#"["\ud83"#, r#"["\"#, r#"["\ud83d\"#] {
            assert!(parse_document(broken).is_err(), "{broken}");
        }
    }

    #[test]
    fn one_invalid_value_keeps_the_others() {
        for (invalid, read) in [
            ("1e400", json!("1e400")),
            ("-1E+999", json!("-1E+999")),
            ("NaN", json!(null)),
            ("-Infinity", json!(null)),
            ("1e-400", json!(0.0)),
            (
                "123456789012345678901234567890",
                json!(1.234_567_890_123_456_8e29),
            ),
            (r#""\ud83d""#, json!("\u{fffd}")),
            ("\"a\tb\u{1}\"", json!("a\tb\u{1}")),
            (r#""\x41 \' \u12 \é""#, json!(r"\x41 \' \u12 \é")),
            (r#""NaN 1e400 \"1e400""#, json!("NaN 1e400 \"1e400")),
        ] {
            let text = format!(r#"{{"a":[1,{{"b":{invalid}}}],"successFlag":1}}"#);
            assert_eq!(
                value(&text),
                json!({"a": [1, {"b": read}], "successFlag": 1}),
                "{text}"
            );
        }
        for broken in [
            "[nan]",
            "[1e]",
            "[1e400 2]",
            "[01e400]",
            "[+1e400]",
            "[NaNa]",
            "[1e400",
        ] {
            assert!(parse_document(broken).is_err(), "{broken}");
        }
        // Its repair would be six times as long.
        let long = format!("[\"{}\"]", "\u{1}".repeat(MAX_REPAIR_GROWTH));
        assert!(parse_document(&long).is_err());
    }

    #[test]
    fn too_deep_values_keep_the_rest() {
        for (open, close) in [("[", "]"), ("{\"x\":", "}")] {
            let deep = |depth: usize| {
                let inner = format!("{}1{}", open.repeat(depth), close.repeat(depth));
                value(&format!(r#"{{"param":{inner},"successFlag":1}}"#))
            };
            let depth = |value: &Value| {
                let (mut value, mut depth) = (value, 0);
                while let Some(inner) = value.get(0).or_else(|| value.get("x")) {
                    (value, depth) = (inner, depth + 1);
                }
                (depth, value.clone())
            };
            for (nested, expected) in [(10, (10, json!(1))), (50_000, (MAX_DEPTH - 1, json!(null)))]
            {
                let record = deep(nested);
                assert_eq!(depth(field(record.as_object().unwrap(), "param")), expected);
                assert_eq!(record.get("successFlag"), Some(&json!(1)));
            }
        }
    }

    #[test]
    fn a_document_is_one_value_after_an_optional_bom() {
        assert_eq!(value("\u{feff}{}"), json!({}));
        for broken in ["", "{} x", "{}{}", "{", "NaN"] {
            assert!(parse_document(broken).is_err(), "{broken}");
        }
        assert!(parse_document(&"[".repeat(10_000)).is_err());
    }

    // F37
    #[test]
    fn the_last_duplicate_key_wins_and_is_reported() {
        for (text, kept, has_duplicate_key) in [
            (r#"{"a":1,"a":2}"#, json!({"a": 2}), true),
            (r#"{"a":1,"\u0061":2}"#, json!({"a": 2}), true),
            (
                r#"[{"x":{"a":1,"b":0,"a":2}}]"#,
                json!([{"x": {"a": 2, "b": 0}}]),
                true,
            ),
            (
                r#"{"a":{"a":1},"b":[{"a":1},{"a":1}]}"#,
                json!({"a": {"a": 1}, "b": [{"a": 1}, {"a": 1}]}),
                false,
            ),
            (
                r#"{"a":"{\"b\":1,\"b\":2}"}"#,
                json!({"a": r#"{"b":1,"b":2}"#}),
                false,
            ),
        ] {
            let document = parse_document(text).unwrap();
            assert_eq!(
                (document.value, document.has_duplicate_key),
                (kept, has_duplicate_key),
                "{text}"
            );
        }
    }

    #[test]
    fn values_are_read_as_by_serde_json() {
        for text in [
            "null",
            "true",
            "0",
            "-0",
            "-0.0",
            "1e30",
            "1e400",
            "-1",
            "18446744073709551615",
            "18446744073709551616",
            "1.755e12",
            r#""a\n\u00e9""#,
            r#"{"b":[],"a":{}}"#,
            "01",
            "[1,]",
            "nul",
        ] {
            let expected: Option<Value> = serde_json::from_str(text).ok();
            assert_eq!(
                parse_document(text).ok().map(|document| document.value),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn json_parts_in_strings_are_not_counted() {
        let list = |item: &str, count| format!("[{}]", vec![item; count].join(","));
        let kept = |text: &str| !matches!(parse_document(text), Err(JsonError::TooComplex));

        assert!(kept(&list("0", MAX_VALUES + 1)));
        assert!(!kept(&list("0", MAX_VALUES + 2)));
        assert!(kept(&list("[]", MAX_CONTAINERS - 1)));
        assert!(!kept(&list("{}", MAX_CONTAINERS)));
        for text in ["[{,", r#"\"[{,"#, r"\\"] {
            assert!(kept(&list(&format!("\"{text}\""), 900)), "{text}");
        }
        assert!(kept(&format!("[\"{}\"]", ",[{".repeat(30_000))));
    }

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
        assert_eq!(collect_links(&value(&deep)), Links::default());
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
            assert_eq!(parse_object(value).map(Value::Object), Some(inner.clone()));
        }
        for value in [
            thrice,
            json!("x"),
            json!(""),
            json!([1]),
            json!("[1]"),
            json!(null),
        ] {
            assert_eq!(parse_object(&value), None, "{value}");
        }
    }
}
