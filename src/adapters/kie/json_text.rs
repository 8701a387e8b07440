//! Tolerant JSON parser: one invalid value does not invalidate the rest of a document.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use serde_json::Value;

/// The most brackets and commas in a document; a record has fewer than a hundred.
const MAX_VALUES: usize = 20_000;

/// The greatest nesting depth; deeper arrays and objects become null. A record is five deep, apart
/// from user input.
const MAX_DEPTH: usize = 64;

/// The reason why a text could not be parsed, shown after a colon. Never quotes the text.
#[derive(Debug, thiserror::Error)]
pub(super) enum JsonError {
    #[error("incomplete JSON")]
    Truncated,
    /// More values than any record: parsed, they would use a hundred times the memory of the text.
    #[error("too many values")]
    TooComplex,
    #[error("not JSON: {0}")]
    NotJson(serde_json::Error),
}

/// Parses a document; skips a byte order mark.
///
/// In an array or object, half a surrogate pair becomes U+FFFD, a number out of range becomes a
/// string, and `NaN`, `Infinity` and values nested too deep become null. For example, a server that
/// cuts a prompt within an emoji sends an unpaired surrogate. The last of duplicate keys counts, as
/// in browsers.
pub(super) fn parse_document(text: &str) -> Result<Value, JsonError> {
    let text = text.trim_start_matches('\u{feff}');
    let parsed = if text.trim_start().starts_with(['[', '{']) {
        serde_json::from_str(&repair(text)?)
    } else {
        serde_json::from_str(text)
    };
    parsed.map_err(|error| {
        if error.is_eof() {
            JsonError::Truncated
        } else {
            JsonError::NotJson(error)
        }
    })
}

/// Replaces the values that the JSON library rejects. Allocates only if there are any.
fn repair(text: &str) -> Result<Cow<'_, str>, JsonError> {
    let (mut repaired, mut copied, mut at) = (String::new(), 0, 0);
    let (mut values, mut depth, mut is_in_string) = (0, 0_usize, false);
    while let Some(rest) = text.get(at..)
        && let Some(first) = rest.chars().next()
    {
        let is_structure = !is_in_string && matches!(first, '[' | '{' | ']' | '}' | ',');
        is_in_string ^= first == '"';
        let (length, mut replacement) = match first {
            '\\' if is_in_string => repair_escape(rest),
            c if is_in_string => {
                let escape = || format!("\\u{:04x}", u32::from(c)).into();
                (c.len_utf8(), c.is_ascii_control().then(escape))
            }
            '-' | '0'..='9' | 'A'..='Z' | 'a'..='z' => repair_word(rest),
            c => (c.len_utf8(), None),
        };
        let is_opening = is_structure && matches!(first, '[' | '{');
        depth += usize::from(is_opening);
        if depth > MAX_DEPTH {
            let is_outermost = is_opening && depth == MAX_DEPTH + 1;
            replacement = Some(if is_outermost { "null" } else { "" }.into());
        } else if is_structure {
            values += 1;
        }
        if values > MAX_VALUES {
            return Err(JsonError::TooComplex);
        }
        if is_structure && matches!(first, ']' | '}') {
            depth = depth.saturating_sub(1);
        }
        if let Some(replacement) = replacement {
            repaired.push_str(text.get(copied..at).unwrap_or_default());
            repaired.push_str(&replacement);
            copied = at + length;
        }
        at += length;
    }
    if copied == 0 {
        return Ok(text.into());
    }
    repaired.push_str(text.get(copied..).unwrap_or_default());
    Ok(repaired.into())
}

/// Returns the length of the escape at the start of a text, and its replacement if it is invalid.
fn repair_escape(text: &str) -> (usize, Option<Cow<'static, str>>) {
    let unit = |at: usize| parse_utf16_unit(text.get(at..at + 6)?);
    let is_short = text
        .get(1..)
        .is_some_and(|rest| rest.starts_with(['"', '\\', '/', 'b', 'f', 'n', 'r', 't']));
    match (unit(0), unit(6)) {
        (Some(0xd800..0xdc00), Some(0xdc00..0xe000)) => (12, None),
        (Some(0xd800..0xe000), _) => (6, Some("\u{fffd}".into())),
        (Some(_), _) => (6, None),
        (None, _) if is_short => (2, None),
        // Not an escape: keep the backslash as a character.
        (None, _) => (1, Some("\\\\".into())),
    }
}

/// Parses an escape such as `\ud83d`.
fn parse_utf16_unit(escape: &str) -> Option<u16> {
    let digits = escape.strip_prefix("\\u")?;
    let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| is_hex)
}

/// Returns the length of the number or word at the start of a text, and its replacement if needed.
fn repair_word(text: &str) -> (usize, Option<Cow<'_, str>>) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let length = text.find(|c| !is_word(c)).unwrap_or(text.len());
    let word = text.get(..length).unwrap_or_default();
    let replacement = match word {
        "NaN" | "Infinity" | "-Infinity" => Some("null".into()),
        // Valid JSON, but out of range for every number type.
        _ if word.parse().is_ok_and(f64::is_infinite)
            && serde_json::from_str::<IgnoredAny>(word).is_ok() =>
        {
            Some(format!("\"{word}\"").into())
        }
        _ => None,
    };
    (length, replacement)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(text: &str) -> Value {
        parse_document(text).unwrap()
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
    }

    #[test]
    fn too_deep_values_keep_the_rest() {
        for (open, close) in [("[", "]"), ("{\"x\":", "}")] {
            let deep = |depth: usize| {
                let inner = format!("{}1{}", open.repeat(depth), close.repeat(depth));
                value(&format!(r#"{{"param":[{inner},2],"successFlag":1}}"#))
            };
            let depth = |value: &Value| {
                let (mut value, mut depth) = (value, 0);
                while let Some(inner) = value.get(0).or_else(|| value.get("x")) {
                    (value, depth) = (inner, depth + 1);
                }
                (depth, value.clone())
            };
            for (nested, expected) in [(10, (10, json!(1))), (50_000, (MAX_DEPTH - 2, json!(null)))]
            {
                let record = deep(nested);
                assert_eq!(depth(&record["param"][0]), expected);
                assert_eq!(
                    (&record["param"][1], &record["successFlag"]),
                    (&json!(2), &json!(1))
                );
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
    fn the_last_duplicate_key_wins() {
        for (text, kept) in [
            (r#"{"a":1,"a":2}"#, json!({"a": 2})),
            (r#"{"a":1,"\u0061":2}"#, json!({"a": 2})),
            (
                r#"[{"x":{"a":1,"b":0,"a":2}}]"#,
                json!([{"x": {"a": 2, "b": 0}}]),
            ),
        ] {
            assert_eq!(value(text), kept, "{text}");
        }
    }

    #[test]
    fn json_parts_in_strings_are_not_counted() {
        let list = |item: &str, count| format!("[{}]", vec![item; count].join(","));
        let kept = |text: &str| !matches!(parse_document(text), Err(JsonError::TooComplex));

        assert!(kept(&list("0", MAX_VALUES - 1)));
        assert!(!kept(&list("0", MAX_VALUES)));
        assert!(!kept(&list("{}", MAX_VALUES / 3 + 1)));
        for text in ["[{,", r#"\"[{,"#, r"\\"] {
            assert!(kept(&list(&format!("\"{text}\""), 900)), "{text}");
        }
        assert!(kept(&format!("[\"{}\"]", ",[{".repeat(30_000))));
    }
}
