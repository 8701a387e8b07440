//! Decodes bytes of any encoding into text without control sequences, and resolves the escapes of
//! HTML and URLs.

use std::{borrow::Cow, mem};

use super::super::text;

/// The longest control sequence, in bytes. A longer one is text.
const MAX_SEQUENCE: usize = 4096;

/// The longest HTML entity, in bytes.
const MAX_ENTITY: usize = 10;

#[derive(Debug, Clone, Copy)]
enum TextEncoding {
    Utf8,
    /// With the byte order.
    Utf16(fn([u8; 2]) -> u16),
}

/// An incremental decoder: chunks of bytes in, text out.
///
/// Reads UTF-8 and UTF-16 of both byte orders, with or without a byte order mark (Windows
/// PowerShell 5 writes UTF-16LE). A byte that is not UTF-8 is read as Latin-1, so nothing is
/// dropped.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    encoding: Option<TextEncoding>,
    pending: Vec<u8>,
    filter: ControlFilter,
}

impl Decoder {
    /// Appends the complete characters of `bytes` to `text`.
    pub(super) fn push(&mut self, bytes: &[u8], text: &mut String) {
        self.pending.extend_from_slice(bytes);
        if self.encoding.is_some() || !needs_more_input(&self.pending) {
            self.decode(false, text);
        }
    }

    /// Decodes an incomplete end.
    pub(super) fn finish(&mut self, text: &mut String) {
        self.decode(true, text);
        self.filter.finish(text);
    }

    fn decode(&mut self, is_end: bool, text: &mut String) {
        let pending = mem::take(&mut self.pending);
        let encoding = *self
            .encoding
            .get_or_insert_with(|| detect_encoding(&pending));
        let push = |c| self.filter.push(c, text);
        let rest = match encoding {
            TextEncoding::Utf8 => decode_utf8(&pending, is_end, push),
            TextEncoding::Utf16(to_unit) => decode_utf16(&pending, to_unit, is_end, push),
        };
        self.pending = pending.get(rest..).unwrap_or_default().to_vec();
    }
}

/// The number of bytes from which the encoding is detected.
const DETECTION_LEN: usize = 64;

/// Reports whether the input so far is too short to detect its encoding.
fn needs_more_input(bytes: &[u8]) -> bool {
    let is_text = str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true);
    bytes.len() < 4 || (bytes.len() < DETECTION_LEN && (!is_text || bytes.contains(&0)))
}

/// Detects the encoding by the byte order mark, else by the positions of zeros.
fn detect_encoding(bytes: &[u8]) -> TextEncoding {
    let (pairs, _) = bytes.get(..DETECTION_LEN).unwrap_or(bytes).as_chunks::<2>();
    let zeros = |at: usize| pairs.iter().filter(|pair| pair.get(at) == Some(&0)).count();
    let are_many = |zeros: usize| zeros > 1 && 3 * zeros > pairs.len();
    match (bytes, zeros(0), zeros(1)) {
        ([0xff, 0xfe, ..], ..) => TextEncoding::Utf16(u16::from_le_bytes),
        ([0xfe, 0xff, ..], ..) => TextEncoding::Utf16(u16::from_be_bytes),
        (_, 0, low) if are_many(low) => TextEncoding::Utf16(u16::from_le_bytes),
        (_, high, 0) if are_many(high) => TextEncoding::Utf16(u16::from_be_bytes),
        _ => TextEncoding::Utf8,
    }
}

/// Passes each complete character to `push`. Returns the position of an incomplete one.
fn decode_utf8(bytes: &[u8], is_end: bool, mut push: impl FnMut(char)) -> usize {
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        chunk.valid().chars().for_each(&mut push);
        at += chunk.valid().len();
        let invalid = chunk.invalid();
        let is_last = at + invalid.len() == bytes.len();
        let is_cut = str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
        if is_last && is_cut && !is_end {
            return at;
        }
        invalid.iter().copied().map(char::from).for_each(&mut push);
        at += invalid.len();
    }
    at
}

/// Passes each complete character to `push`. Returns the position of an incomplete one.
fn decode_utf16(
    bytes: &[u8],
    to_unit: fn([u8; 2]) -> u16,
    is_end: bool,
    mut push: impl FnMut(char),
) -> usize {
    let (pairs, _) = bytes.as_chunks::<2>();
    let mut at = 0;
    for decoded in char::decode_utf16(pairs.iter().copied().map(to_unit)) {
        // The second half of a surrogate pair may be in the next chunk.
        if decoded.is_err() && !is_end && at + 2 == pairs.len() * 2 {
            break;
        }
        let c = decoded.unwrap_or(char::REPLACEMENT_CHARACTER);
        push(c);
        at += 2 * c.len_utf16();
    }
    at
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum FilterState {
    #[default]
    Text,
    /// After ESC.
    Escape,
    /// After ESC and an intermediate byte.
    Intermediate,
    Csi,
    /// In a string that BEL or ST ends: OSC, DCS, APC, PM, SOS.
    ControlString,
}

/// A filter that removes control sequences (ECMA-48, seven and eight bit) and invisible characters.
///
/// Colours and hyperlinks leave no gap. A cursor movement leaves one, as on the screen.
#[derive(Debug, Default)]
struct ControlFilter {
    state: FilterState,
    /// The control string so far, which becomes text if it has no end.
    sequence: String,
}

impl ControlFilter {
    fn push(&mut self, c: char, text: &mut String) {
        if matches!(c, '\n' | '\r') || self.sequence.len() > MAX_SEQUENCE {
            self.finish(text);
        }
        self.state = match (self.state, c) {
            (FilterState::Text, _) => return self.push_text(c, text),
            (FilterState::Escape, '\\') | (FilterState::ControlString, '\u{7}' | '\u{9c}') => {
                self.sequence.clear();
                FilterState::Text
            }
            (FilterState::Escape, '[') | (FilterState::Csi, ' '..='?') => FilterState::Csi,
            (FilterState::Csi, final_byte) => {
                text.push_str(cursor_gap(final_byte));
                FilterState::Text
            }
            (FilterState::Escape, ']' | 'P' | 'X' | '^' | '_') => FilterState::ControlString,
            (FilterState::Escape, 'N' | 'O')
            | (FilterState::Escape | FilterState::Intermediate, ' '..='/') => {
                FilterState::Intermediate
            }
            (FilterState::Escape | FilterState::ControlString, '\u{1b}') => FilterState::Escape,
            (FilterState::ControlString, _) => {
                self.sequence.push(c);
                FilterState::ControlString
            }
            (FilterState::Escape | FilterState::Intermediate, _) => FilterState::Text,
        };
    }

    fn push_text(&mut self, c: char, text: &mut String) {
        match c {
            '\u{1b}' => self.state = FilterState::Escape,
            '\u{9b}' => self.state = FilterState::Csi,
            '\u{90}' | '\u{98}' | '\u{9d}'..='\u{9f}' => self.state = FilterState::ControlString,
            '\n' | '\r' | '\0' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}' => {
                text.push('\n');
            }
            // Overstriking replaces the previous character.
            '\u{8}' if !text.ends_with('\n') => drop(text.pop()),
            '\t' => text.push('\t'),
            c if c.is_control() || text::is_unsafe(c) => {}
            c => text.push(c),
        }
    }

    /// Turns an unterminated control string into text.
    fn finish(&mut self, text: &mut String) {
        self.state = FilterState::Text;
        text.push_str(&mem::take(&mut self.sequence));
    }
}

/// Returns the gap that a CSI sequence leaves on the screen.
const fn cursor_gap(final_byte: char) -> &'static str {
    match final_byte {
        'C' | 'G' | '`' | 'a' => " ",
        'A' | 'B' | 'E' | 'F' | 'H' | 'd' | 'e' | 'f' | 'S' | 'T' => "\n",
        _ => "",
    }
}

/// Removes control sequences from text that was still escaped when the input was filtered, and
/// colour codes without their escape character (`[32m`, `\x1b[32m`, `^[[32m`).
pub(super) fn strip_controls(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut filter = ControlFilter::default();
    raw.chars().for_each(|c| filter.push(c, &mut text));
    filter.finish(&mut text);
    strip_broken_colours(&text).into_owned()
}

/// Spellings of the escape character in logs and source code.
const ESCAPE_SPELLINGS: [&str; 8] = [
    "\\x1b", "\\x1B", "\\u001b", "\\u001B", "\\033", "\\e", "^[", "␛",
];

/// Removes colour codes without their escape character.
pub(super) fn strip_broken_colours(text: &str) -> Cow<'_, str> {
    if !text.contains('[') {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        clean.push_str(before);
        let spelling = ESCAPE_SPELLINGS
            .into_iter()
            .find(|escape| clean.ends_with(escape));
        let digits = after
            .find(|c: char| !c.is_ascii_digit() && c != ';')
            .unwrap_or(after.len());
        let after_code = after.get(digits..).and_then(|rest| rest.strip_prefix('m'));
        match after_code {
            Some(text) if spelling.is_some() || (digits > 0 && !text.starts_with(']')) => {
                clean.truncate(clean.len() - spelling.map_or(0, str::len));
                rest = text;
            }
            _ => {
                clean.push('[');
                rest = after;
            }
        }
    }
    clean.push_str(rest);
    Cow::Owned(clean)
}

/// Resolves escapes of HTML and URLs. Returns `None` if there are none.
pub(super) fn unescape_markup(text: &str) -> Option<String> {
    let mut unescaped = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['&', '%']) {
        let (before, escape) = rest.split_at_checked(at)?;
        unescaped.push_str(before);
        let (c, length) = html_entity(escape)
            .or_else(|| percent_escape(escape))
            .unwrap_or((escape.chars().next()?, 1));
        unescaped.push(c);
        rest = escape.get(length..)?;
    }
    unescaped.push_str(rest);
    (unescaped.len() < text.len()).then_some(unescaped)
}

/// Returns the character of an entity at the start of a text, and the length of the entity.
fn html_entity(text: &str) -> Option<(char, usize)> {
    let near = text.get(..text.floor_char_boundary(MAX_ENTITY))?;
    let (name, _) = near.strip_prefix('&')?.split_once(';')?;
    let c = match name {
        "quot" => '"',
        "apos" => '\'',
        "lt" => '<',
        "gt" => '>',
        "nbsp" => ' ',
        "amp" => '&',
        _ => {
            let code = name.strip_prefix('#')?;
            let hex = code.strip_prefix(['x', 'X']);
            let hex = hex.map(|hex| u32::from_str_radix(hex, 16));
            char::from_u32(hex.unwrap_or_else(|| code.parse()).ok()?)?
        }
    };
    Some((c, name.len() + 2))
}

/// Returns the ASCII character of a `%7B` at the start of a text, and the length of the escape.
fn percent_escape(text: &str) -> Option<(char, usize)> {
    let code = u8::from_str_radix(text.strip_prefix('%')?.get(..2)?, 16).ok()?;
    matches!(code, b' '..=b'~').then_some((char::from(code), 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> String {
        let mut whole = String::new();
        let mut decoder = Decoder::default();
        decoder.push(bytes, &mut whole);
        decoder.finish(&mut whole);
        // The result does not depend on the chunks.
        for size in 1..4 {
            let mut parts = String::new();
            let mut decoder = Decoder::default();
            for part in bytes.chunks(size) {
                decoder.push(part, &mut parts);
            }
            decoder.finish(&mut parts);
            assert_eq!(parts, whole, "{bytes:?} in chunks of {size}");
        }
        whole
    }

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn every_encoding_is_read() {
        for text in ["774d9a7d\r\nтакт 🎬 ok", "ab12", "┃ ID ┃ ab ┃"] {
            let expected = text.replace('\r', "\n");
            assert_eq!(decoded(text.as_bytes()), expected);
            assert_eq!(decoded(format!("\u{feff}{text}").as_bytes()), expected);
            assert_eq!(decoded(&utf16(text, u16::to_le_bytes)), expected);
            assert_eq!(decoded(&utf16(text, u16::to_be_bytes)), expected);
            let marked = format!("\u{feff}{text}");
            assert_eq!(decoded(&utf16(&marked, u16::to_le_bytes)), expected);
            assert_eq!(decoded(&utf16(&marked, u16::to_be_bytes)), expected);
        }
        assert_eq!(decoded(b"caf\xe9 12"), "café 12");
        assert_eq!(decoded(b"ab\0cd"), "ab\ncd");
        assert_eq!(decoded(b"ab\xe2\x82"), "abâ");
    }

    #[test]
    fn control_sequences_leave_no_trace() {
        for (raw, clean) in [
            ("\u{1b}[36m[kie]\u{1b}[0m x", "[kie] x"),
            ("a\u{1b}[1;93mb\u{1b}[0mc", "abc"),
            ("a\u{1b}[01;31m\u{1b}[Kb\u{1b}[m\u{1b}[Kc", "abc"),
            (
                "\u{1b}]8;;https://x.test/?a=1\u{7}ab\u{1b}]8;;\u{7}c",
                "abc",
            ),
            (
                "\u{1b}]8;;https://x.test\u{1b}\\ab\u{1b}]8;;\u{1b}\\c",
                "abc",
            ),
            ("\u{9b}32mab\u{9b}0mc", "abc"),
            ("\u{9d}0;title\u{9c}abc", "abc"),
            ("ab\u{1b}[3Gc", "ab c"),
            ("ab\u{1b}[2;1Hc", "ab\nc"),
            ("\u{1b}(Babc\u{1b}=", "abc"),
            ("a\u{8}ab\u{8}b_\u{8}c", "abc"),
            ("a\u{200b}b\u{feff}c\u{ad}", "abc"),
            ("\u{1b}]0;no end\nabc", "0;no end\nabc"),
            ("\u{1b}Pq#0;2\u{1b}\\abc", "abc"),
        ] {
            assert_eq!(decoded(raw.as_bytes()), clean, "{raw:?}");
        }
        // The eight-bit form of a terminal without UTF-8.
        assert_eq!(decoded(b"\x9b32mabc\x9b0m"), "abc");
    }

    #[test]
    fn a_colour_code_without_escape_is_text() {
        for (raw, clean) in [
            ("[32mab[0m", "ab"),
            ("\\x1b[1;32mab\\033[0m \\u001b[mc", "ab c"),
            ("^[[31mab", "ab"),
            ("rate[5m] [a] [12]", "rate[5m] [a] [12]"),
            ("\u{1b}[32mab", "ab"),
        ] {
            assert_eq!(strip_controls(raw), clean, "{raw:?}");
        }
    }
}
