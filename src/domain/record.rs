//! The raw record: the server's last answer as it came, set out in lines for reading.
//!
//! It is set out as text, not parsed and written again: numbers keep their spelling, names that stand twice stand
//! twice, and a record cut off in its middle can still be read. Knows no screen and no disk.

use std::fmt::Write as _;

use jiff::Timestamp;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::text::{is_unsafe, may_follow};

/// How deep lines are set in at most; what is nested deeper stands below one another.
const DEEPEST: u16 = 24;

/// Combining marks shown on one character; further ones are spelled out.
const MARKS_PER_BASE: usize = 4;

/// Tells what a piece of a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Token {
    /// The name of a field.
    Name,
    /// A text.
    Text,
    /// A number.
    Number,
    /// `true`, `false`, `null`, and whatever is none of the others.
    Word,
    /// Brackets, commas and colons.
    Mark,
}

/// Is one line of a record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordLine {
    depth: u16,
    pieces: Vec<(Token, Box<str>)>,
    width: usize,
    is_ascii: bool,
}

impl RecordLine {
    /// Returns how deep the line is nested.
    pub const fn depth(&self) -> u16 {
        self.depth
    }

    /// Returns what stands in it; nothing of it can act on a terminal.
    pub fn pieces(&self) -> impl Iterator<Item = (Token, &str)> {
        self.pieces.iter().map(|(token, text)| (*token, &**text))
    }

    /// Returns its width in cells.
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Reports whether every character takes one cell.
    pub const fn is_ascii(&self) -> bool {
        self.is_ascii
    }
}

/// Is a record set out in lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    since: Timestamp,
    lines: Vec<RecordLine>,
    is_whole: bool,
}

impl Record {
    /// Sets a record out that was first given so at that time. Total: any text has lines.
    pub fn read(since: Timestamp, json: &str) -> Self {
        let mut writer = Writer::default();
        let mut rest = json;
        while let Some(first) = rest.chars().next() {
            let length = match first {
                '"' => writer.string(rest),
                '{' | '[' => writer.open(first, rest),
                '}' | ']' => writer.close(first),
                ',' => writer.comma(),
                ':' => writer.push(Token::Mark, ": ", 1),
                c if c.is_ascii_whitespace() => 1,
                _ => writer.word(rest),
            };
            rest = rest.get(length..).unwrap_or_default();
        }
        writer.end_line();
        Self {
            since,
            lines: writer.lines,
            is_whole: writer.nesting == 0 && !writer.is_text_open,
        }
    }

    /// Returns since when the server has given it so.
    pub const fn since(&self) -> Timestamp {
        self.since
    }

    /// Returns its lines.
    pub fn lines(&self) -> &[RecordLine] {
        &self.lines
    }

    /// Reports whether its end is there.
    pub const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Returns it as text, set in by two spaces a level; nothing of it can act on a terminal.
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

/// Sets JSON out, token by token. Each token returns how many bytes of the source it took.
#[derive(Debug, Default)]
struct Writer {
    lines: Vec<RecordLine>,
    line: RecordLine,
    nesting: u32,
    is_text_open: bool,
}

impl Writer {
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
        let token = if after.trim_ascii_start().starts_with(':') {
            Token::Name
        } else {
            Token::Text
        };
        self.push(token, string, length)
    }

    fn word(&mut self, rest: &str) -> usize {
        let is_end = |c: char| c.is_ascii_whitespace() || "\"{}[],:".contains(c);
        let length = rest.find(is_end).unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        let token = if word.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            Token::Number
        } else {
            Token::Word
        };
        self.push(token, word, length)
    }

    fn open(&mut self, bracket: char, rest: &str) -> usize {
        let inside = rest.get(1..).unwrap_or_default().trim_ascii_start();
        let close = if bracket == '{' { '}' } else { ']' };
        if inside.starts_with(close) {
            let text = if bracket == '{' { "{}" } else { "[]" };
            return self.push(Token::Mark, text, rest.len() - inside.len() + 1);
        }
        self.push(Token::Mark, bracket.encode_utf8(&mut [0; 4]), 1);
        self.nesting += 1;
        self.end_line();
        1
    }

    fn close(&mut self, bracket: char) -> usize {
        self.end_line();
        self.nesting = self.nesting.saturating_sub(1);
        self.line.depth = self.depth();
        self.push(Token::Mark, bracket.encode_utf8(&mut [0; 4]), 1)
    }

    fn comma(&mut self) -> usize {
        self.push(Token::Mark, ",", 1);
        self.end_line();
        1
    }

    /// Writes a piece of the present line, made safe, and returns `length`.
    fn push(&mut self, token: Token, text: &str, length: usize) -> usize {
        let text = safe(text);
        if self.line.pieces.is_empty() {
            self.line.is_ascii = true;
        }
        self.line.width += text.width();
        self.line.is_ascii &= text.is_ascii();
        self.line.pieces.push((token, text.into()));
        length
    }

    fn end_line(&mut self) {
        if !self.line.pieces.is_empty() {
            self.lines.push(std::mem::take(&mut self.line));
        }
        self.line.depth = self.depth();
    }

    fn depth(&self) -> u16 {
        u16::try_from(self.nesting).unwrap_or(DEEPEST).min(DEEPEST)
    }
}

/// Spells out what could act on a terminal or hide, as JSON does: the text stays the same text to a reader of JSON.
fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut marks = 0;
    for c in text.chars() {
        marks = if c.width() == Some(0) { marks + 1 } else { 0 };
        if is_unsafe(c) || marks > MARKS_PER_BASE || !may_follow(&out, c) {
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
        Record::read(Timestamp::UNIX_EPOCH, json).to_text()
    }

    #[test]
    fn a_record_is_set_out_and_keeps_its_spelling() {
        let json = r#"{"a":1e5,"a":12345678901234567890,"b":[{"c":"x\"},:"},[]],"d":{ },"e":null}"#;

        assert_eq!(
            text(json),
            "{\n  \"a\": 1e5,\n  \"a\": 12345678901234567890,\n  \"b\": [\n    {\n      \"c\": \"x\\\"},:\"\n    },\n    []\n  ],\n  \"d\": {},\n  \"e\": null\n}"
        );
    }

    #[test]
    fn each_piece_is_what_it_is() {
        let record = Record::read(Timestamp::UNIX_EPOCH, r#"{"n":-1,"t":"x","w":true}"#);
        let pieces = |at: usize| record.lines()[at].pieces().collect::<Vec<_>>();

        assert_eq!(
            pieces(1),
            [
                (Token::Name, "\"n\""),
                (Token::Mark, ": "),
                (Token::Number, "-1"),
                (Token::Mark, ",")
            ]
        );
        assert_eq!(pieces(2)[2], (Token::Text, "\"x\""));
        assert_eq!(pieces(3)[2], (Token::Word, "true"));
        assert_eq!(
            (record.lines()[1].depth(), record.lines()[1].width()),
            (1, 8)
        );
        assert!(record.is_whole());
    }

    #[test]
    fn what_was_cut_off_is_still_read() {
        let whole = r#"{"a":["x\"y",{"b":1}]}"#;
        for end in 1..whole.len() {
            let record = Record::read(Timestamp::UNIX_EPOCH, whole.get(..end).unwrap());
            assert!(!record.is_whole(), "{end}");
            assert!(record.to_text().starts_with('{'));
        }
        assert_eq!(text(""), "");
        assert_eq!(text("}}]"), "}\n}\n]");
    }

    #[test]
    fn depth_and_marks_are_held() {
        let deep = "[".repeat(70_000);
        let record = Record::read(Timestamp::UNIX_EPOCH, &deep);
        assert!(record.lines().iter().all(|line| line.depth() <= DEEPEST));
        let zalgo = format!("\"e{}\"", "\u{301}".repeat(9));
        assert_eq!(text(&zalgo).matches("\\u0301").count(), 9 - MARKS_PER_BASE);
    }
}
