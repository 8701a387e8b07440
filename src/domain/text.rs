//! Text from outside, sanitised where it enters.
//!
//! Text of a server, a clipboard or an argument becomes a [`CleanText`] first; screens and printers
//! accept nothing else. The original is kept beside the clean form if they differ, for lossless
//! JSON only.

use std::fmt::{self, Write as _};

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr as _};

/// Combining marks kept on one base character: more would put kilobytes into one cell.
pub const MAX_MARKS_PER_BASE: usize = 4;

/// The longest text drawn in one cell, in bytes. Marks with a width of their own also share a cell.
const MAX_GRAPHEME_LEN: usize = 32;

/// The longest original kept for lossless output, in bytes.
const MAX_ORIGINAL_LEN: usize = 64 * 1024;

/// Text that cannot act on a terminal and hides nothing: no control, format, ignorable or tag
/// characters.
///
/// A replaced character stays visible (`␛`, `<U+202E>`): dropping it would join words and hide an
/// attack. `Display` and [`as_str`](Self::as_str) return the clean form, only
/// [`original`](Self::original) does not.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CleanText {
    shown: Box<str>,
    original: Option<Box<str>>,
}

impl CleanText {
    /// Cleans `raw` into one line of at most `max_bytes`: line breaks and tabs become spaces.
    pub fn line(raw: &str, max_bytes: usize) -> Self {
        Self::clean(raw, max_bytes, LineBreaks::Joined)
    }

    /// Cleans `raw` into text of at most `max_bytes` that keeps its line breaks.
    pub fn block(raw: &str, max_bytes: usize) -> Self {
        Self::clean(raw, max_bytes, LineBreaks::Kept)
    }

    fn clean(raw: &str, max_bytes: usize, lines: LineBreaks) -> Self {
        let raw = raw.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        // A fast path: nearly all text is plain, and reading a long list spends most of its time
        // here.
        if raw.len() + 12 <= max_bytes && raw.bytes().all(|b| matches!(b, b' '..=b'~')) {
            return Self {
                shown: raw.into(),
                original: None,
            };
        }
        let mut shown = String::with_capacity(raw.len().min(max_bytes));
        let mut marks = 0;
        let mut previous = None;
        let mut characters = raw.chars().peekable();
        while let Some(c) = characters.next() {
            if shown.len() + 12 > max_bytes
                && shown.len() + max_clean_len(c) > max_bytes.saturating_sub('…'.len_utf8())
            {
                shown.push('…');
                break;
            }
            match c {
                '\r' if characters.peek() == Some(&'\n') => {}
                '\n' if lines == LineBreaks::Kept => shown.push('\n'),
                '\n' | '\r' | '\t' => shown.push(' '),
                c if is_shaping_character(previous, c) => {}
                c if is_unsafe(c) => push_replacement(&mut shown, c),
                c if is_combining(c) => {
                    marks += 1;
                    if marks <= MAX_MARKS_PER_BASE && previous.is_some() && fits_in_cell(&shown, c)
                    {
                        shown.push(c);
                    }
                    continue;
                }
                c if fits_in_cell(&shown, c) => shown.push(c),
                _ => continue,
            }
            if c == BLACK_FLAG {
                let tags = subdivision_tags(characters.clone());
                characters.by_ref().take(tags).for_each(drop);
            }
            marks = 0;
            previous = Some(c);
        }
        let original = (shown != raw).then(|| truncate_at_char(raw, MAX_ORIGINAL_LEN).into());
        Self {
            shown: shown.into(),
            original,
        }
    }

    pub fn as_str(&self) -> &str {
        &self.shown
    }

    /// Returns the text as received (trimmed, at most 64 KiB), for lossless JSON.
    ///
    /// Never for a terminal.
    pub fn original(&self) -> &str {
        self.original.as_deref().unwrap_or(&self.shown)
    }

    pub fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }
}

impl fmt::Display for CleanText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.shown)
    }
}

impl fmt::Debug for CleanText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shown, f)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LineBreaks {
    Joined,
    Kept,
}

/// Reports whether `c` only shapes the character before it (a variation selector directly after a
/// sign, or a joiner) and is left out.
///
/// This splits joined emoji, and turns ❤️ into ❤ and a keycap into its framed digit: an accepted
/// loss, and not an attack. Terminals disagree on the width of the selected forms, so a selector
/// would shift the rest of its row. A second selector in a row, or one after a letter, shapes
/// nothing but can hide text, so it is shown.
fn is_shaping_character(previous: Option<char>, c: char) -> bool {
    let Some(previous) = previous else {
        return false;
    };
    match c {
        '\u{fe0e}' | '\u{fe0f}' if matches!(previous, '0'..='9' | '#' | '*') => true,
        '\u{fe00}'..='\u{fe0f}' => !previous.is_ascii() && !is_unsafe(previous),
        '\u{200d}' => {
            !previous.is_ascii()
                && (!is_unsafe(previous) || matches!(previous, '\u{fe00}'..='\u{fe0f}'))
        }
        // Spelling, between Arabic letters and those of Indian scripts.
        '\u{200c}' => matches!(previous, '\u{620}'..='\u{dff}') && !is_unsafe(previous),
        _ => false,
    }
}

/// The first character of subdivision flags (England, Scotland, Wales and others).
const BLACK_FLAG: char = '\u{1f3f4}';

/// Returns the number of tags after a black flag that make it a subdivision flag; these are left
/// out. Other tags can hide text and are shown.
fn subdivision_tags(mut following: impl Iterator<Item = char>) -> usize {
    let is_tag = |c: &char| matches!(c, '\u{e0030}'..='\u{e0039}' | '\u{e0061}'..='\u{e007a}');
    let mut end = None;
    let tags = following
        .by_ref()
        .take_while(|c| {
            end = Some(*c);
            is_tag(c)
        })
        .take(8)
        .count();
    // Two letters or three digits for the country, then one to four characters.
    if (3..=7).contains(&tags) && end == Some('\u{e007f}') {
        tags + 1
    } else {
        0
    }
}

/// Reports whether `c` may act on a terminal or hide from a reader.
///
/// These are: controls (C0, DEL, C1), format characters (Unicode class Cf: bidi, zero-width,
/// joiners, marks before numbers, layout of music, shorthand and hieroglyphs), line and paragraph
/// separators, fillers, selectors and other characters that are drawn as nothing
/// (`Default_Ignorable_Code_Point`), and the whole tag block. `tests/core/sanitizing.rs` checks
/// the list against Unicode's tables.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || c >= '\u{ad}'
            && matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}'
            | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1345f}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Reports whether `c` is drawn in the cell of the previous character.
pub fn is_combining(c: char) -> bool {
    c.width() == Some(0)
}

/// Reports whether `c` fits in its cell: the last one of `before` if it joins that, else one of its
/// own.
pub fn fits_in_cell(before: &str, c: char) -> bool {
    // The most common scripts, whose letters never join another.
    if matches!(c, '\0'..'\u{300}' | '\u{370}'..'\u{483}' | '\u{3041}'..'\u{3097}' | '\u{30a0}'..'\u{a000}' | '\u{ac00}'..'\u{d7a4}')
    {
        return true;
    }
    // One cell and one character more: earlier text cannot matter.
    let near = before.len().saturating_sub(MAX_GRAPHEME_LEN + 4);
    let mut joined = before
        .get(before.ceil_char_boundary(near)..)
        .unwrap_or_default()
        .to_owned();
    joined.push(c);
    let Some(cell) = joined.graphemes(true).next_back() else {
        return true;
    };
    // A skin tone is part of its sign in some terminals, and a sign of its own in others (tmux).
    if matches!(c, '\u{1f3fb}'..='\u{1f3ff}') {
        return cell.width()
            == cell
                .chars()
                .filter_map(UnicodeWidthChar::width)
                .sum::<usize>();
    }
    let marks = cell.chars().filter(|c| is_combining(*c)).count();
    cell.len() <= MAX_GRAPHEME_LEN && marks <= MAX_MARKS_PER_BASE
}

/// Returns the most bytes that a character, or its replacement, takes.
fn max_clean_len(c: char) -> usize {
    if is_unsafe(c) {
        "<U+E0001>".len()
    } else {
        c.len_utf8()
    }
}

/// Appends a visible replacement for an unsafe character.
fn push_replacement(text: &mut String, c: char) {
    match u32::from(c) {
        low @ 0..0x20 => text.push(char::from_u32(0x2400 + low).unwrap_or('\u{fffd}')),
        0x7f => text.push('\u{2421}'),
        // Writing into a `String` cannot fail.
        other => write!(text, "<U+{other:04X}>").unwrap_or_default(),
    }
}

/// Returns the longest prefix of `text` of at most `max` bytes that ends at a character.
fn truncate_at_char(text: &str, max: usize) -> &str {
    text.get(..text.floor_char_boundary(max))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_are_shown_and_the_original_is_kept() {
        let text = CleanText::line("a\u{1b}[31mb\u{202e}c\u{9b}\u{7f}", 256);

        assert_eq!(text.as_str(), "a␛[31mb<U+202E>c<U+009B>␡");
        assert_eq!(text.original(), "a\u{1b}[31mb\u{202e}c\u{9b}\u{7f}");
    }

    #[test]
    fn lines_are_joined_or_kept() {
        assert_eq!(
            CleanText::line(" one\r\ntwo\tthree\n", 99).as_str(),
            "one two three"
        );
        assert_eq!(
            CleanText::block("one\r\ntwo\tthree", 99).as_str(),
            "one\ntwo three"
        );
    }

    #[test]
    fn marks_and_length_are_capped() {
        let zalgo = format!("e{}", "\u{301}".repeat(5000));

        assert_eq!(
            CleanText::line(&zalgo, 256).as_str().chars().count(),
            1 + MAX_MARKS_PER_BASE
        );
        for part in [
            "\u{202e}",
            "\u{e0001}",
            "\u{1d173}",
            "a\u{301}",
            "\u{1b}",
            "語\u{9b}",
        ] {
            for lead in 0..12 {
                let text = format!("{}{}", "a".repeat(lead), part.repeat(300));
                assert!(
                    CleanText::line(&text, 256).as_str().len() <= 256,
                    "{lead} {part:?}"
                );
            }
        }
        let long = CleanText::line(&"語".repeat(1000), 256);
        assert!(long.as_str().len() <= 256 && long.as_str().ends_with('…'));
        assert_eq!(long.original().len(), 3000);
    }

    #[test]
    fn wide_combining_marks_are_capped() {
        let piled = format!("\u{93d}{}", "\u{93e}\u{941}".repeat(100));
        let text = CleanText::line(&piled, 4096);

        for cell in text.as_str().graphemes(true) {
            assert!(cell.len() <= MAX_GRAPHEME_LEN, "{} bytes", cell.len());
            let marks = cell.chars().filter(|c| is_combining(*c)).count();
            assert!(marks <= MAX_MARKS_PER_BASE, "{marks} marks");
        }
        for word in [
            "\u{915}\u{94d}\u{937}\u{93f}",
            "\u{1f1e9}\u{1f1ea}",
            "a\u{308}\u{301}",
            "한국어",
        ] {
            assert_eq!(CleanText::line(word, 99).as_str(), word);
        }
    }

    #[test]
    fn joined_emoji_are_split() {
        assert_eq!(CleanText::line("👩\u{200d}🚀 go", 99).as_str(), "👩🚀 go");
        assert_eq!(
            CleanText::line("👩\u{200d}❤\u{fe0f}\u{200d}👨 ❤\u{fe0f}", 99).as_str(),
            "👩❤👨 ❤"
        );
    }

    #[test]
    fn joined_signs_are_one_glyph_or_their_base() {
        for (raw, shown) in [
            (
                "step 1\u{fe0f}\u{20e3} of 2\u{fe0f}\u{20e3}",
                "step 1\u{20e3} of 2\u{20e3}",
            ),
            (
                "#\u{fe0f}\u{20e3} *\u{fe0e}\u{20e3} 7\u{20e3}",
                "#\u{20e3} *\u{20e3} 7\u{20e3}",
            ),
            ("1\u{fe0f} ©\u{fe0f}", "1 ©"),
            (
                "🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f} Skye",
                "🏴 Skye",
            ),
            ("🏴\u{200d}☠\u{fe0f} 🏳\u{fe0f}\u{200d}🌈", "🏴☠ 🏳🌈"),
            ("👍🏽 ☝\u{fe0f}🏽 👩🏽\u{200d}🚀", "👍 ☝ 👩🚀"),
            ("🏽 a🏽", "🏽 a🏽"),
            ("🇩🇪", "🇩🇪"),
            ("\u{1112}\u{1161}\u{11ab}", "\u{1112}\u{1161}\u{11ab}"),
            ("क\u{94d}\u{200d}ष क\u{94d}\u{200c}ष", "क\u{94d}ष क\u{94d}ष"),
            ("می\u{200c}خواهم", "میخواهم"),
        ] {
            let text = CleanText::line(raw, 256);
            assert_eq!(text.as_str(), shown);
            assert_eq!(text.original(), raw);
            for cell in shown.graphemes(true) {
                let apart: usize = cell.chars().filter_map(UnicodeWidthChar::width).sum();
                assert_eq!(cell.width(), apart, "{cell:?} is as wide as tmux counts it");
            }
        }
    }

    #[test]
    fn joiners_outside_a_cluster_are_shown() {
        for (raw, shown) in [
            ("\u{fe0f}a", "<U+FE0F>a"),
            ("a\u{fe0f}", "a<U+FE0F>"),
            ("❤\u{fe0f}\u{fe0e}", "❤<U+FE0E>"),
            ("👩\u{200d}\u{200d}🚀", "👩<U+200D>🚀"),
            ("語\u{e0100}", "語<U+E0100>"),
            ("ㄱ\u{3164}\u{115f}", "ㄱ<U+3164><U+115F>"),
            ("\u{202e}\u{200d}", "<U+202E><U+200D>"),
            ("1\u{fe0f}\u{fe0f}", "1<U+FE0F>"),
            ("1\u{fe01}", "1<U+FE01>"),
            ("a\u{200c}b", "a<U+200C>b"),
            ("می\u{200c}\u{200c}", "می<U+200C>"),
            ("🏴\u{e0067}\u{e0062}", "🏴<U+E0067><U+E0062>"),
            ("🏴\u{e007f}", "🏴<U+E007F>"),
            (
                "👍\u{e0067}\u{e0062}\u{e0073}\u{e007f}",
                "👍<U+E0067><U+E0062><U+E0073><U+E007F>",
            ),
        ] {
            assert_eq!(CleanText::line(raw, 99).as_str(), shown);
            assert_eq!(CleanText::line(raw, 99).original(), raw);
        }
    }
}
