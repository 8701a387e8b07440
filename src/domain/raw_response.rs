//! The raw response: the server's last answer, formatted in lines.
//!
//! It is formatted as text, not parsed and written again: numbers keep their spelling, duplicate
//! keys stay, and a truncated response can still be read.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::text::{MAX_MARKS_PER_BASE, fits_in_cell, is_combining, is_unsafe};

/// The deepest indentation; deeper lines stay at it.
const MAX_INDENT: usize = 24;

/// A response as indented JSON. Its text cannot act on a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawResponse {
    /// When the server first sent this response.
    pub since: Timestamp,
    pub text: String,
    /// Whether the response is not truncated.
    pub is_complete: bool,
}

impl RawResponse {
    /// Formats a response that the server has sent since that time. Any text is accepted.
    pub fn parse(since: Timestamp, json: &str) -> Self {
        let mut text = String::with_capacity(json.len() * 2);
        let mut depth = 0_usize;
        let (mut is_in_string, mut is_escaped) = (false, false);
        for c in json.chars() {
            match c {
                '\n' if is_in_string => text.push_str("\\u000a"),
                c if is_in_string => {
                    is_in_string = c != '"' || is_escaped;
                    is_escaped = c == '\\' && !is_escaped;
                    text.push(c);
                }
                c if c.is_ascii_whitespace() => {}
                ':' => text.push_str(": "),
                ',' => {
                    text.push(c);
                    start_line(&mut text, depth);
                }
                '{' | '[' => {
                    text.push(c);
                    depth += 1;
                    start_line(&mut text, depth);
                }
                '}' | ']' => {
                    depth = depth.saturating_sub(1);
                    if text.trim_end().ends_with(['{', '[']) {
                        text.truncate(text.trim_end().len());
                    } else {
                        start_line(&mut text, depth);
                    }
                    text.push(c);
                }
                c => {
                    is_in_string = c == '"';
                    text.push(c);
                }
            }
        }
        Self {
            since,
            text: escape_unsafe(text.trim()),
            is_complete: depth == 0 && !is_in_string,
        }
    }
}

/// Starts an indented line, unless the current one is still empty.
fn start_line(text: &mut String, depth: usize) {
    text.truncate(text.trim_end().len());
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", depth.min(MAX_INDENT)));
}

/// Escapes characters that could act on a terminal or hide, as JSON does: the text stays the same
/// to a JSON parser.
fn escape_unsafe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut marks = 0;
    for c in text.chars() {
        marks = if is_combining(c) { marks + 1 } else { 0 };
        let is_harmful = is_unsafe(c) && c != '\n';
        if is_harmful || marks > MAX_MARKS_PER_BASE || !fits_in_cell(&out, c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing into a `String` cannot fail.
                write!(out, "\\u{unit:04x}").unwrap_or_default();
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(json: &str) -> String {
        RawResponse::parse(Timestamp::UNIX_EPOCH, json).text
    }

    #[test]
    fn responses_are_formatted_and_keep_their_spelling() {
        let json = r#"{"a":1e5,"a":12345678901234567890,"b":[{"c":"x\"},:"},[]],"d":{ },"e":null}"#;

        assert_eq!(
            text(json),
            "{\n  \"a\": 1e5,\n  \"a\": 12345678901234567890,\n  \"b\": [\n    {\n      \"c\": \"x\\\"},:\"\n    },\n    []\n  ],\n  \"d\": {},\n  \"e\": null\n}"
        );
    }

    #[test]
    fn truncated_responses_are_formatted() {
        let whole = r#"{"a":["x\"y",{"b":1}]}"#;
        assert!(RawResponse::parse(Timestamp::UNIX_EPOCH, whole).is_complete);
        for end in 1..whole.len() {
            let response = RawResponse::parse(Timestamp::UNIX_EPOCH, whole.get(..end).unwrap());
            assert!(!response.is_complete, "{end}");
            assert!(response.text.starts_with('{'));
        }
        assert_eq!(text(""), "");
        assert_eq!(text("}}]"), "}\n}\n]");
    }

    #[test]
    fn depth_and_combining_marks_are_capped() {
        let deep = text(&"[".repeat(70_000));
        assert!(deep.lines().all(|line| line.len() <= 2 * MAX_INDENT + 1));
        let stacked = format!("\"e{}\"", "\u{301}".repeat(9));
        assert_eq!(
            text(&stacked).matches("\\u0301").count(),
            9 - MAX_MARKS_PER_BASE
        );
    }
}
