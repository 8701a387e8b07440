//! The raw record: the server's last answer, formatted in lines.
//!
//! It is formatted as text, not parsed and written again: numbers keep their spelling, duplicate
//! keys stay, and a truncated record can still be read.

use std::fmt::Write as _;

use jiff::Timestamp;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::text::{fits_in_cell, is_unsafe};

/// The deepest indentation; deeper lines stay at it.
const MAX_INDENT: u16 = 24;

/// Combining marks shown on one character; further ones are escaped.
const MAX_MARKS_PER_BASE: usize = 4;

/// The kind of a piece of JSON, for its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JsonPieceKind {
    Name,
    Text,
    Number,
    /// `true`, `false`, `null`, and anything else.
    Literal,
    Punctuation,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RawResponseLine {
    depth: u16,
    pieces: Vec<(JsonPieceKind, Box<str>)>,
    width: usize,
    is_ascii: bool,
}

impl RawResponseLine {
    /// Returns the nesting depth.
    pub const fn depth(&self) -> u16 {
        self.depth
    }

    /// Returns the pieces of the line. They cannot act on a terminal.
    pub fn pieces(&self) -> impl Iterator<Item = (JsonPieceKind, &str)> {
        self.pieces.iter().map(|(kind, text)| (*kind, &**text))
    }

    /// Returns the width in cells.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Reports whether each character takes one cell.
    pub const fn is_ascii(&self) -> bool {
        self.is_ascii
    }
}

/// A record in lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawResponse {
    since: Timestamp,
    lines: Vec<RawResponseLine>,
    is_complete: bool,
}

impl RawResponse {
    /// Formats a record that the server has sent since that time. Total: any text has lines.
    pub fn parse(since: Timestamp, json: &str) -> Self {
        let mut writer = JsonFormatter::default();
        let mut rest = json;
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '"' => writer.string(rest),
                '{' | '[' => writer.open(first, rest),
                '}' | ']' => writer.close(first),
                ',' => writer.comma(),
                ':' => writer.push(JsonPieceKind::Punctuation, ": ", 1),
                c if c.is_ascii_whitespace() => 1,
                _ => writer.push_literal(rest),
            };
            rest = rest.get(length..).unwrap_or_default();
        }
        writer.end_line();
        Self {
            since,
            lines: writer.lines,
            is_complete: writer.nesting == 0 && !writer.is_text_open,
        }
    }

    /// Returns when the server first sent this record.
    pub const fn since(&self) -> Timestamp {
        self.since
    }

    pub fn lines(&self) -> &[RawResponseLine] {
        &self.lines
    }

    /// Reports whether the record is not truncated.
    pub const fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Returns the record as text, indented by two spaces a level. It cannot act on a terminal.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            if !text.is_empty() {
                text.push('\n');
            }
            text.extend(std::iter::repeat_n("  ", usize::from(line.depth)));
            text.extend(line.pieces().map(|(_, piece)| piece));
        }
        text
    }
}

/// A JSON formatter. Each method returns the number of bytes of the source that it consumed.
#[derive(Debug, Default)]
struct JsonFormatter {
    lines: Vec<RawResponseLine>,
    line: RawResponseLine,
    nesting: u32,
    is_text_open: bool,
}

impl JsonFormatter {
    fn string(&mut self, rest: &str) -> usize {
        let mut is_escaped = false;
        let end = rest.char_indices().skip(1).find(|(_, c)| {
            let is_end = *c == '"' && !is_escaped;
            is_escaped = *c == '\\' && !is_escaped;
            is_end
        });
        self.is_text_open = end.is_none();
        let length = end.map_or(rest.len(), |(at, _)| at + 1);
        let (string, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        let kind = if after.trim_ascii_start().starts_with(':') {
            JsonPieceKind::Name
        } else {
            JsonPieceKind::Text
        };
        self.push(kind, string, length)
    }

    fn push_literal(&mut self, rest: &str) -> usize {
        let is_end = |c: char| c.is_ascii_whitespace() || "\"{}[],:".contains(c);
        let length = rest.find(is_end).unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        let kind = if word.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            JsonPieceKind::Number
        } else {
            JsonPieceKind::Literal
        };
        self.push(kind, word, length)
    }

    fn open(&mut self, bracket: char, rest: &str) -> usize {
        let content = rest.get(1..).unwrap_or_default().trim_ascii_start();
        let close = if bracket == '{' { '}' } else { ']' };
        if content.starts_with(close) {
            let text = if bracket == '{' { "{}" } else { "[]" };
            return self.push(
                JsonPieceKind::Punctuation,
                text,
                rest.len() - content.len() + 1,
            );
        }
        self.push(
            JsonPieceKind::Punctuation,
            bracket.encode_utf8(&mut [0; 4]),
            1,
        );
        self.nesting += 1;
        self.end_line();
        1
    }

    fn close(&mut self, bracket: char) -> usize {
        self.end_line();
        self.nesting = self.nesting.saturating_sub(1);
        self.line.depth = self.depth();
        self.push(
            JsonPieceKind::Punctuation,
            bracket.encode_utf8(&mut [0; 4]),
            1,
        )
    }

    fn comma(&mut self) -> usize {
        self.push(JsonPieceKind::Punctuation, ",", 1);
        self.end_line();
        1
    }

    /// Adds an escaped piece to the current line and returns `length`.
    fn push(&mut self, kind: JsonPieceKind, text: &str, length: usize) -> usize {
        let text = escape_unsafe(text);
        if self.line.pieces.is_empty() {
            self.line.is_ascii = true;
        }
        self.line.width += text.width();
        self.line.is_ascii &= text.is_ascii();
        self.line.pieces.push((kind, text.into()));
        length
    }

    fn end_line(&mut self) {
        if !self.line.pieces.is_empty() {
            self.lines.push(std::mem::take(&mut self.line));
        }
        self.line.depth = self.depth();
    }

    fn depth(&self) -> u16 {
        u16::try_from(self.nesting)
            .unwrap_or(MAX_INDENT)
            .min(MAX_INDENT)
    }
}

/// Escapes characters that could act on a terminal or hide, as JSON does: the text stays the same
/// to a JSON parser.
fn escape_unsafe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut marks = 0;
    for c in text.chars() {
        marks = if c.width() == Some(0) { marks + 1 } else { 0 };
        if is_unsafe(c) || marks > MAX_MARKS_PER_BASE || !fits_in_cell(&out, c) {
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
        RawResponse::parse(Timestamp::UNIX_EPOCH, json).to_text()
    }

    #[test]
    fn records_are_formatted_and_keep_their_spelling() {
        let json = r#"{"a":1e5,"a":12345678901234567890,"b":[{"c":"x\"},:"},[]],"d":{ },"e":null}"#;

        assert_eq!(
            text(json),
            "{\n  \"a\": 1e5,\n  \"a\": 12345678901234567890,\n  \"b\": [\n    {\n      \"c\": \"x\\\"},:\"\n    },\n    []\n  ],\n  \"d\": {},\n  \"e\": null\n}"
        );
    }

    #[test]
    fn tokens_are_classified() {
        let record = RawResponse::parse(Timestamp::UNIX_EPOCH, r#"{"n":-1,"t":"x","w":true}"#);
        let pieces = |at: usize| record.lines()[at].pieces().collect::<Vec<_>>();

        assert_eq!(
            pieces(1),
            [
                (JsonPieceKind::Name, "\"n\""),
                (JsonPieceKind::Punctuation, ": "),
                (JsonPieceKind::Number, "-1"),
                (JsonPieceKind::Punctuation, ",")
            ]
        );
        assert_eq!(pieces(2)[2], (JsonPieceKind::Text, "\"x\""));
        assert_eq!(pieces(3)[2], (JsonPieceKind::Literal, "true"));
        assert_eq!(
            (record.lines()[1].depth(), record.lines()[1].width()),
            (1, 8)
        );
        assert!(record.is_complete());
    }

    #[test]
    fn truncated_records_are_formatted() {
        let whole = r#"{"a":["x\"y",{"b":1}]}"#;
        for end in 1..whole.len() {
            let record = RawResponse::parse(Timestamp::UNIX_EPOCH, whole.get(..end).unwrap());
            assert!(!record.is_complete(), "{end}");
            assert!(record.to_text().starts_with('{'));
        }
        assert_eq!(text(""), "");
        assert_eq!(text("}}]"), "}\n}\n]");
    }

    #[test]
    fn depth_and_combining_marks_are_capped() {
        let deep = "[".repeat(70_000);
        let record = RawResponse::parse(Timestamp::UNIX_EPOCH, &deep);
        assert!(record.lines().iter().all(|line| line.depth() <= MAX_INDENT));
        let zalgo = format!("\"e{}\"", "\u{301}".repeat(9));
        assert_eq!(
            text(&zalgo).matches("\\u0301").count(),
            9 - MAX_MARKS_PER_BASE
        );
    }
}
