//! Redaction of the API key in text, in every spelling that a server may use to repeat it.
//!
//! JSON writes `/` as `\/` and any letter as `\u0041`, URLs use `%2F` and `%41`, JSON within JSON
//! doubles each backslash, and headers are often logged in base64. So each byte of the text is
//! compared as it is and decoded, and the key is searched for in its base64 forms too.

use base64::{Engine as _, engine::general_purpose};

/// The shortest key that is redacted; a shorter one could be an ordinary word.
const MIN_REDACTED_LEN: usize = 8;

/// The shortest key that is also redacted inside words; shorter keys only as whole words.
const MIN_SUBSTRING_REDACTED_LEN: usize = 12;

/// The most nested encodings: a link in JSON within JSON has three.
const MAX_DECODE_DEPTH: usize = 4;

/// Shown in place of the key.
const REPLACEMENT: &str = "(the key)";

/// Replaces every occurrence of `key` in a response body.
pub(super) fn redact_bytes(body: Vec<u8>, key: &str) -> Vec<u8> {
    redact(&String::from_utf8_lossy(&body), key).map_or(body, String::into_bytes)
}

/// Replaces every occurrence of `key` in `text`; `None` if there is none.
pub(super) fn redact(text: &str, key: &str) -> Option<String> {
    if key.len() < MIN_REDACTED_LEN {
        return None;
    }
    let base64_spellings = base64_spellings(key);
    let spellings = || {
        base64_spellings
            .iter()
            .map(String::as_bytes)
            .chain([key.as_bytes()])
    };
    // Few bytes can start a match, and a body may have a million.
    let can_start: [bool; 256] = std::array::from_fn(|byte| {
        let mut firsts = spellings().filter_map(|spelling| spelling.first());
        let is_escape = byte == usize::from(b'\\') || byte == usize::from(b'%');
        is_escape || firsts.any(|first| usize::from(first.to_ascii_lowercase()) == byte)
    });
    let bytes = text.as_bytes();
    let (mut clean, mut at, mut copied) = (String::new(), 0, 0);
    while let Some(byte) = bytes.get(at) {
        let is_candidate = can_start.get(usize::from(byte.to_ascii_lowercase())) == Some(&true);
        let found = is_candidate
            .then(|| find_match(bytes, at, key, &base64_spellings))
            .flatten();
        let Some(length) = found else {
            at += 1;
            continue;
        };
        clean.push_str(text.get(copied..at)?);
        clean.push_str(REPLACEMENT);
        at += length;
        copied = at;
    }
    (copied > 0).then(|| clean + text.get(copied..).unwrap_or_default())
}

/// Returns the base64 digits of the key, for each offset in a group of three bytes. Without the
/// digits at both ends, which share bits with the neighbouring bytes.
fn base64_spellings(key: &str) -> Vec<String> {
    let engines = [
        general_purpose::STANDARD_NO_PAD,
        general_purpose::URL_SAFE_NO_PAD,
    ];
    let mut spellings = Vec::new();
    for offset in 0..3 {
        let padded = [&vec![0; offset], key.as_bytes()].concat();
        let inner = (offset * 8).div_ceil(6)..padded.len() * 8 / 6;
        let encoded = engines.iter().map(|engine| engine.encode(&padded));
        spellings.extend(encoded.filter_map(|digits| digits.get(inner.clone()).map(str::to_owned)));
    }
    spellings
}

/// Returns the length of the key, or of one of its base64 spellings, at a position of the text.
fn find_match(text: &[u8], at: usize, key: &str, base64_spellings: &[String]) -> Option<usize> {
    let (before, rest) = text.split_at_checked(at)?;
    let is_whole_word = |length: &usize| {
        let is_letter = |byte: &u8| byte.is_ascii_alphanumeric();
        starts_word(before) && !rest.get(*length).is_some_and(is_letter)
    };
    let plain = match_length(rest, key.as_bytes())
        .filter(|length| key.len() >= MIN_SUBSTRING_REDACTED_LEN || is_whole_word(length));
    plain.or_else(|| {
        let mut spellings = base64_spellings.iter();
        spellings.find_map(|spelling| match_length(rest, spelling.as_bytes()))
    })
}

/// Reports whether a word starts after this text. An escape (`\n`, `%0A`) is no letter.
fn starts_word(before: &[u8]) -> bool {
    match before {
        []
        | [.., b'\\', b'b' | b'f' | b'n' | b'r' | b't']
        | [.., b'%', _, _]
        | [.., b'\\', b'u', _, _, _, _] => true,
        [.., last] => !last.is_ascii_alphanumeric(),
    }
}

/// Returns the length of `spelling` at the start of the text, if it is there in any encoding.
/// Ignores case: host names are lower case.
fn match_length(text: &[u8], spelling: &[u8]) -> Option<usize> {
    (0..=MAX_DECODE_DEPTH).find_map(|depth| {
        let mut length = 0;
        for expected in spelling {
            let rest = text.get(length..)?;
            // As it is, too: the key itself may look encoded.
            let found = [depth, 0].into_iter().find_map(|depth| {
                let decoded = decode_first(rest, depth);
                decoded.filter(|(byte, _)| byte.eq_ignore_ascii_case(expected))
            });
            length += found?.1;
        }
        Some(length)
    })
}

/// Decodes the first byte of a text with up to `depth` encodings; returns it with its encoded
/// length. A byte that is not encoded stands for itself.
fn decode_first(text: &[u8], depth: usize) -> Option<(u8, usize)> {
    let Some(depth) = depth.checked_sub(1) else {
        return text.first().map(|byte| (*byte, 1));
    };
    let mut at = 0;
    let mut next = || {
        let (byte, length) = decode_first(text.get(at..)?, depth)?;
        at += length;
        Some((byte, at))
    };
    let (first, first_end) = next()?;
    let decoded = match first {
        b'%' => decode_hex(&mut next),
        b'\\' => match next()? {
            escaped @ (b'/' | b'\\' | b'"', _) => Some(escaped),
            (b'u', _) if [next()?.0, next()?.0] == *b"00" => decode_hex(&mut next),
            _ => None,
        },
        _ => None,
    };
    decoded.or(Some((first, first_end)))
}

/// Decodes two hexadecimal digits.
fn decode_hex(next: &mut impl FnMut() -> Option<(u8, usize)>) -> Option<(u8, usize)> {
    let digit = |byte| char::from(byte).to_digit(16);
    let ((high, _), (low, end)) = (next()?, next()?);
    let byte = u8::try_from(digit(high)? * 16 + digit(low)?).ok()?;
    Some((byte, end))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "Canary/5d1f+Key=";

    fn clean(text: &str) -> String {
        redact(text, SECRET).unwrap_or_else(|| text.to_owned())
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
            assert_eq!(clean(&text), "(the key)", "{text}");
            assert_eq!(clean(&format!("ü {text}%4")), "ü (the key)%4", "{text}");
        }
        assert_eq!(
            clean("a Canary/5d1f+Key=, b canary%2f5d1f+key= c"),
            "a (the key), b (the key) c"
        );
        assert_eq!(
            redact_bytes(b"\xff canary\\/5d1f+Key=".to_vec(), SECRET),
            "\u{fffd} (the key)".as_bytes()
        );
    }

    // F71
    #[test]
    fn the_key_is_redacted_in_base64_at_any_offset() {
        for before in ["", "k", "ke", "Bearer "] {
            for after in ["", "x", "xy", " and more"] {
                let plain = format!("{before}{SECRET}{after}");
                for engine in [general_purpose::STANDARD, general_purpose::URL_SAFE] {
                    let shown = clean(&engine.encode(&plain));
                    assert!(shown.contains("(the key)"), "{plain}: {shown}");
                    assert!(shown.len() < 40, "{plain}: {shown}");
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
            assert_eq!(redact(&text, secret).unwrap(), "<(the key)>");
            let json = serde_json::to_string(secret).unwrap();
            assert_eq!(redact(&json, secret).unwrap(), "\"(the key)\"");
        }
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
            assert_eq!(redact(text, SECRET), None, "{text}");
        }
        assert_eq!(
            redact_bytes(b"\xff nothing".to_vec(), SECRET),
            b"\xff nothing"
        );
        assert_eq!(redact("a demo-12 task", "demo-12"), None, "too short");
    }

    #[test]
    fn a_short_key_is_redacted_as_a_whole_word() {
        for key in ["canary-5", "canary-5d1f"] {
            let redacted = |text: &str| {
                let text = text.replace('*', key);
                redact(&text, key).unwrap_or(text).replace("(the key)", "_")
            };
            for (text, expected) in [
                ("*", "_"),
                ("bad key *!", "bad key _!"),
                ("key=*&x", "key=_&x"),
                (r#"{"msg":"bad\n*\t*"}"#, r#"{"msg":"bad\n_\t_"}"#),
                (r"%0A* \u000a*\u0020", r"%0A_ \u000a_\u0020"),
                ("é*é", "é_é"),
            ] {
                assert_eq!(redacted(text), expected, "{key}");
            }
            for text in ["x*", "*0", "1*1"] {
                assert_eq!(redacted(text), text.replace('*', key));
            }
            let spelled = key.replace('c', "\\u0063").replace('-', "%2D");
            assert_eq!(redacted(&spelled), "_");
            let base64 = general_purpose::STANDARD.encode(format!("Bearer {key}"));
            assert!(redacted(&base64).contains('_'), "{key}");
        }
    }
}
