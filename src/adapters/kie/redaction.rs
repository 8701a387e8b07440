//! Redaction of a secret in text, in every encoding that a server may use to repeat it.
//!
//! A server that repeats the key may encode it: JSON writes `/` as `\/` and any letter as `\u0041`,
//! URLs use `%2F` and `%41`, JSON within JSON doubles each backslash, and headers are often logged
//! in base64. So a copy of the text is decoded layer by layer, and each match in a layer is removed
//! from the original text.

use std::ops::Range;

use base64::{Engine as _, engine::general_purpose};

/// The most nested encodings: a link in JSON within JSON has three.
const MAX_DECODE_STEPS: usize = 8;

/// The longest text from which a secret is cut, in bytes: ten times a record. Tracking where each
/// byte came from takes several times the memory of the text. A longer text with the secret is
/// hostile, and is replaced completely.
const MAX_CUT_LEN: usize = 128 * 1024;

/// Where a secret matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MatchMode {
    Anywhere,
    /// Only without a letter or digit next to it.
    WholeWord,
}

/// One spelling of the secret.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct SecretSpelling {
    bytes: Vec<u8>,
    /// Never set for base64, where the match is a part of a longer text.
    is_whole_word_only: bool,
}

/// A partly decoded text, with the position of each byte in the original text.
struct DecodedText {
    bytes: Vec<u8>,
    /// Start of each byte in the original; one more entry for the end.
    starts: Vec<usize>,
}

/// Replaces every occurrence of `secret` in `text`, or the whole text if it is huge. Returns `None`
/// if there is no occurrence.
pub(super) fn redact(
    text: &str,
    secret: &str,
    mode: MatchMode,
    replacement: &str,
) -> Option<String> {
    let needles = secret_spellings(secret, mode);
    if !contains_secret(text.as_bytes(), &needles) {
        return None;
    }
    if text.len() > MAX_CUT_LEN {
        return Some(replacement.to_owned());
    }
    let found = find_spans(text.as_bytes(), &needles);
    let (mut clean, mut at) = (String::with_capacity(text.len()), 0);
    for span in found {
        if span.start >= at {
            clean.push_str(text.get(at..span.start).unwrap_or_default());
            clean.push_str(replacement);
        }
        at = at.max(span.end);
    }
    clean.push_str(text.get(at..).unwrap_or_default());
    Some(clean)
}

/// Reports whether any layer contains a needle. Uses no more memory than the text itself.
fn contains_secret(text: &[u8], needles: &[SecretSpelling]) -> bool {
    let mut bytes = text.to_vec();
    for _ in 0..=MAX_DECODE_STEPS {
        if !find_spellings(&bytes, needles).is_empty() {
            return true;
        }
        if !decode_layer(&mut bytes) {
            return false;
        }
    }
    false
}

/// Decodes one layer of JSON and percent escapes in place; returns whether there was one.
fn decode_layer(bytes: &mut Vec<u8>) -> bool {
    let (mut read, mut written) = (0, 0);
    while let Some(rest) = bytes.get(read..).filter(|rest| !rest.is_empty()) {
        let (byte, length) = decode_first(rest);
        if let Some(slot) = bytes.get_mut(written) {
            *slot = byte;
        }
        read += length;
        written += 1;
    }
    let is_shorter = written < bytes.len();
    bytes.truncate(written);
    is_shorter
}

/// Returns the positions of the needles, ignoring case: host names are lower case.
fn find_spellings(bytes: &[u8], needles: &[SecretSpelling]) -> Vec<Range<usize>> {
    // A fast check of the first byte: a body may have a million bytes.
    let is_first: [bool; 256] = std::array::from_fn(|byte| {
        let begins = |needle: &SecretSpelling| {
            let first = needle.bytes.first().map(u8::to_ascii_lowercase);
            first.map(usize::from) == Some(byte)
        };
        needles.iter().any(begins)
    });
    let mut found = Vec::new();
    for (at, byte) in bytes.iter().enumerate() {
        let lower = usize::from(byte.to_ascii_lowercase());
        if !is_first.get(lower).copied().unwrap_or_default() {
            continue;
        }
        for needle in needles {
            let span = at..at + needle.bytes.len();
            let here = bytes.get(span.clone());
            let is_here = here.is_some_and(|here| here.eq_ignore_ascii_case(&needle.bytes));
            if is_here && (!needle.is_whole_word_only || is_whole_word(bytes, &span)) {
                found.push(span);
            }
        }
    }
    found
}

/// Reports whether the match is a whole word. The letter of a JSON escape (`\n`) is a boundary.
fn is_whole_word(bytes: &[u8], span: &Range<usize>) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric();
    let before = bytes.get(..span.start).unwrap_or_default();
    let starts_word = match before {
        [.., b'\\', b'b' | b'f' | b'n' | b'r' | b't'] | [] => true,
        [.., last] => !is_letter(last),
    };
    starts_word && !bytes.get(span.end).is_some_and(is_letter)
}

/// Returns the positions of all needles in the original text, sorted by start.
fn find_spans(text: &[u8], needles: &[SecretSpelling]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut decoded = DecodedText {
        bytes: text.to_vec(),
        starts: (0..=text.len()).collect(),
    };
    for _ in 0..=MAX_DECODE_STEPS {
        decoded.add_matches(needles, &mut found);
        match decoded.decode_further() {
            Some(next) => decoded = next,
            None => break,
        }
    }
    found.sort_by_key(|span| (span.start, span.end));
    found
}

/// Returns the spellings to search for: the secret, its decoded forms if it looks encoded itself,
/// and the inner digits of its base64, for each offset in a group of three bytes.
fn secret_spellings(secret: &str, mode: MatchMode) -> Vec<SecretSpelling> {
    let plain = |bytes: &[u8]| SecretSpelling {
        bytes: bytes.to_vec(),
        is_whole_word_only: mode == MatchMode::WholeWord,
    };
    let mut needles = vec![plain(secret.as_bytes())];
    let mut decoded = secret.as_bytes().to_vec();
    while decode_layer(&mut decoded) {
        needles.push(plain(&decoded));
    }
    for before in 0..3 {
        let mut padded = vec![0; before];
        padded.extend_from_slice(secret.as_bytes());
        for engine in [
            general_purpose::STANDARD_NO_PAD,
            general_purpose::URL_SAFE_NO_PAD,
        ] {
            // The digits at both ends share bits with the neighbouring bytes.
            let first = (before * 8_usize).div_ceil(6);
            let last = padded.len() * 8 / 6;
            let middle = engine.encode(&padded).get(first..last).map(str::to_owned);
            needles.extend(middle.map(|middle| SecretSpelling {
                bytes: middle.into_bytes(),
                is_whole_word_only: false,
            }));
        }
    }
    needles.sort();
    needles.dedup();
    needles
}

impl DecodedText {
    /// Adds the positions of the needles in the original text.
    fn add_matches(&self, needles: &[SecretSpelling], found: &mut Vec<Range<usize>>) {
        found.extend(
            find_spellings(&self.bytes, needles)
                .into_iter()
                .filter_map(|span| {
                    let (start, end) = (self.starts.get(span.start)?, self.starts.get(span.end)?);
                    Some(*start..*end)
                }),
        );
    }

    /// Decodes one more layer, like [`decode_layer`]; `None` if there is none.
    fn decode_further(&self) -> Option<Self> {
        let mut next = Self {
            bytes: Vec::with_capacity(self.bytes.len()),
            starts: Vec::with_capacity(self.starts.len()),
        };
        let mut at = 0;
        while let Some(rest) = self.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let (byte, length) = decode_first(rest);
            next.bytes.push(byte);
            next.starts.extend(self.starts.get(at));
            at += length;
        }
        next.starts.extend(self.starts.last());
        (next.bytes.len() < self.bytes.len()).then_some(next)
    }
}

/// Decodes the first byte of a text and returns it with its encoded length. A byte that is not
/// encoded stands for itself.
fn decode_first(text: &[u8]) -> (u8, usize) {
    match text {
        [b'%', high, low, ..] => hex_byte([*high, *low]).map(|byte| (byte, 3)),
        [b'\\', b'u', b'0', b'0', high, low, ..] => hex_byte([*high, *low])
            .filter(u8::is_ascii)
            .map(|byte| (byte, 6)),
        [b'\\', escaped @ (b'/' | b'\\' | b'"'), ..] => Some((*escaped, 2)),
        _ => None,
    }
    .unwrap_or((text.first().copied().unwrap_or_default(), 1))
}

fn hex_byte(digits: [u8; 2]) -> Option<u8> {
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? * 16 + low?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "Canary/5d1f+Key=";

    fn clean(text: &str) -> String {
        redact(text, SECRET, MatchMode::Anywhere, "(…)").unwrap_or_else(|| text.to_owned())
    }

    // F71
    #[test]
    fn the_key_is_redacted_in_every_spelling() {
        let spelled =
            |text: &str, one: &dyn Fn(u8) -> String| -> String { text.bytes().map(one).collect() };
        let unicode = |text: &str, backslash: &str| {
            spelled(text, &|byte| format!("{backslash}u00{byte:02x}"))
        };
        let percent = spelled(SECRET, &|byte| format!("%{byte:02X}"));
        let table = [
            SECRET.to_owned(),
            SECRET.to_lowercase(),
            SECRET.to_uppercase(),
            SECRET.replace('/', "\\/"),
            SECRET.replace('/', "\\\\\\/"),
            SECRET.replace('C', "\\u0043"),
            SECRET.replace('C', "\\u005cu0043"),
            unicode(SECRET, "\\"),
            unicode(SECRET, "\\\\"),
            unicode(SECRET, "\\\\\\\\"),
            SECRET.replace('/', "%2F").replace('+', "%2b"),
            SECRET.replace('/', "%252F"),
            percent.clone(),
            unicode(&percent, "\\"),
        ];
        for text in table {
            assert_eq!(clean(&text), "(…)", "{text}");
            assert_eq!(clean(&format!("ü {text}%4")), "ü (…)%4", "{text}");
        }
    }

    // F71
    #[test]
    fn the_key_is_redacted_in_base64_at_any_offset() {
        for before in ["", "k", "ke", "Bearer "] {
            for after in ["", "x", "xy", " and more"] {
                let plain = format!("{before}{SECRET}{after}");
                for engine in [general_purpose::STANDARD, general_purpose::URL_SAFE] {
                    let shown = clean(&engine.encode(&plain));
                    assert!(shown.contains("(…)"), "{plain}: {shown}");
                    assert!(shown.len() < 32, "{plain}: {shown}");
                }
            }
        }
    }

    #[test]
    fn an_encoded_looking_key_is_redacted_verbatim() {
        for secret in [
            "%41bc%2Fdef-0123",
            "a\\u0041bc\\/def-0123",
            "%%41\\\\\\u0041",
        ] {
            let text = format!("<{secret}>");
            assert_eq!(
                redact(&text, secret, MatchMode::Anywhere, "(…)").unwrap(),
                "<(…)>"
            );
            let json = serde_json::to_string(secret).unwrap();
            assert_eq!(
                redact(&json, secret, MatchMode::Anywhere, "(…)").unwrap(),
                "\"(…)\""
            );
        }
    }

    #[test]
    fn a_huge_text_with_the_key_is_dropped() {
        let filler = "x".repeat(MAX_CUT_LEN);
        let escaped = SECRET.replace('/', "\\/");
        assert_eq!(clean(&format!("{filler}{escaped}")), "(…)");
        assert_eq!(clean(&filler), filler);
    }

    #[test]
    fn other_text_is_not_redacted() {
        for text in [
            "",
            "%",
            "%4",
            "\\",
            "\\u00",
            "\\u00zz",
            "%zz",
            "Canary/5d1f+Kex=",
            "日本 \\n",
        ] {
            assert_eq!(
                redact(text, SECRET, MatchMode::Anywhere, "(…)"),
                None,
                "{text}"
            );
        }
        assert_eq!(
            clean("a Canary/5d1f+Key=, b canary%2f5d1f+key= c"),
            "a (…), b (…) c"
        );
    }
}
