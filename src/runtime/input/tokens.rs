//! Bytes become characters, whole escape sequences and whole pastes. What a sequence means is not known here.
//!
//! A frame around the sequences is kept because a parser that gives up inside one reads its rest as keys: an answer
//! the terminal sends late (`CSI ? … R`, an OSC, DCS or APC string) would press buttons. And because a sequence or a
//! paste whose end never comes must not hold the keyboard: both have a time after which they are over.

use std::time::Duration;

use tokio::time::Instant;

/// How long a lone Esc waits to be the beginning of a sequence. Terminals write a sequence at once.
pub(super) const ESC_WAITS: Duration = Duration::from_millis(30);

/// How long it waits while the terminal has yet to answer: over a slow line its answer may be cut there.
const ANSWERING_ESC_WAITS: Duration = Duration::from_millis(150);

/// How long a begun sequence waits for its rest.
const SEQUENCE_WAITS: Duration = Duration::from_millis(500);

/// How long a begun answer waits for its rest while one is awaited.
const ANSWER_WAITS: Duration = Duration::from_secs(2);

/// How long an answer is awaited after a question.
const AWAITED: Duration = Duration::from_secs(3);

/// How long a paste waits for more before it counts as ended.
const PASTE_WAITS: Duration = Duration::from_secs(2);

/// A lot of so few bytes is a hand on the keys, not more of a paste: it does not prolong the wait.
const TYPED_LOT: usize = 8;

/// No sequence that means a key is longer; the rest of a longer one is read and dropped.
const LONGEST_SEQUENCE: usize = 64;

/// Of a longer paste the rest is dropped.
const LONGEST_PASTE: usize = 8 * 1024 * 1024;

const ESC: u8 = 0x1b;
/// Focus lost; followed by `w` it is End in `PuTTY`'s rxvt mode.
const FOCUS_LOST: &[u8] = b"\x1b[O";
const PASTE_BEGINS: &[u8] = b"\x1b[200~";
const PASTE_ENDS: &[u8] = b"\x1b[201~";

/// Is one whole thing read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A character, control characters among them.
    Char(char),
    /// An escape sequence, from its Esc to its last byte; a lone Esc too.
    Sequence(Vec<u8>),
    /// A sequence after a second Esc: Alt with a named key, or Esc and something else.
    EscapedSequence(Vec<u8>),
    /// A string that only a terminal's answer is, without its Esc and its end.
    Answer(Vec<u8>),
    /// A paste with its marks taken off, as text.
    Paste(String),
}

/// What the next byte belongs to.
#[derive(Debug, Default)]
enum Place {
    /// Nothing begun.
    #[default]
    Ground,
    /// A character of several bytes.
    Char(Vec<u8>),
    /// A sequence, at least an Esc; `is_escaped` if a second Esc came before it.
    Sequence { is_escaped: bool, bytes: Vec<u8> },
    /// A string that only a terminal's answer is, with what opened it; `ends` after an Esc.
    Answer { ends: bool, text: Vec<u8> },
    /// Between the marks of a paste; `matched` bytes of the end mark were seen.
    Paste { text: Vec<u8>, matched: usize },
}

/// Takes bytes as they come, in lots, and hands out what is whole.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    place: Place,
    /// When what was begun counts as ended.
    over: Option<Instant>,
    /// Until when an answer is awaited.
    awaits: Option<Instant>,
    /// Whether the rest of an answer that was given up may still come.
    is_torn: bool,
}

impl Tokens {
    /// Is told that the terminal was asked something at that time.
    pub(super) fn asked(&mut self, at: Instant) {
        self.awaits = at.checked_add(AWAITED);
    }

    /// Takes in one lot of bytes that could be read together.
    pub(super) fn take(&mut self, lot: &[u8], now: Instant, mut found: impl FnMut(Token)) {
        let was_pasting = self.is_pasting();
        let lot = if std::mem::take(&mut self.is_torn) {
            mended(lot)
        } else {
            lot
        };
        for byte in lot {
            self.byte(*byte, &mut found);
        }
        let is_typed = was_pasting && self.is_pasting() && lot.len() <= TYPED_LOT;
        if !is_typed {
            let wait = self.patience(self.awaits.is_some_and(|until| now < until));
            self.over = wait.and_then(|wait| now.checked_add(wait));
        }
    }

    /// Returns when [`Tokens::give_up`] is due.
    pub(super) const fn over(&self) -> Option<Instant> {
        self.over
    }

    /// Ends what was begun and has waited too long.
    pub(super) fn give_up(&mut self, now: Instant, mut found: impl FnMut(Token)) {
        if self.over.is_none_or(|over| over > now) {
            return;
        }
        self.over = None;
        let is_awaited = self.awaits.is_some_and(|until| now < until);
        match std::mem::take(&mut self.place) {
            Place::Paste { text, .. } => found(pasted(&text)),
            // Esc, and Alt with a key that could have begun a longer sequence.
            Place::Sequence { is_escaped, bytes } if is_complete_on_timeout(&bytes) => {
                self.is_torn = is_awaited && bytes != FOCUS_LOST;
                if is_escaped {
                    found(Token::Sequence(vec![ESC]));
                }
                found(Token::Sequence(bytes));
            }
            Place::Answer { mut text, .. } if text.len() == 1 => {
                self.is_torn = is_awaited;
                text.insert(0, ESC);
                found(Token::Sequence(text));
            }
            Place::Answer { .. } => self.is_torn = true,
            Place::Ground | Place::Char(_) | Place::Sequence { .. } => {}
        }
    }

    const fn is_pasting(&self) -> bool {
        matches!(self.place, Place::Paste { .. })
    }

    /// Returns how long what was begun waits for its rest.
    fn patience(&self, is_answer_awaited: bool) -> Option<Duration> {
        let (esc_waits, answer_waits) = if is_answer_awaited {
            (ANSWERING_ESC_WAITS, ANSWER_WAITS)
        } else {
            (ESC_WAITS, SEQUENCE_WAITS)
        };
        match &self.place {
            Place::Ground => None,
            Place::Paste { .. } => Some(PASTE_WAITS),
            Place::Sequence { bytes, .. } if is_complete_on_timeout(bytes) => Some(esc_waits),
            Place::Answer { text, .. } if text.len() == 1 => Some(esc_waits),
            Place::Answer { .. } => Some(answer_waits),
            Place::Char(_) | Place::Sequence { .. } => Some(SEQUENCE_WAITS),
        }
    }

    fn byte(&mut self, byte: u8, found: &mut impl FnMut(Token)) {
        self.place = match std::mem::take(&mut self.place) {
            Place::Ground => begun(byte, found),
            Place::Char(bytes) => character(bytes, byte, found),
            Place::Sequence { is_escaped, bytes } => sequence(is_escaped, bytes, byte, found),
            Place::Answer { ends, text } => answer(ends, text, byte, found),
            Place::Paste { text, matched } => paste(text, matched, byte, found),
        };
    }
}

/// Returns what of a lot is no rest of an answer: what comes after its end, else all of it. No key is a BEL or an ST, and
/// in an answer no other control character comes before them: a paste may hold both.
fn mended(lot: &[u8]) -> &[u8] {
    let end = lot.iter().position(u8::is_ascii_control);
    match end.and_then(|at| lot.split_at_checked(at)) {
        Some((_, [0x07, after @ ..] | [ESC, b'\\', after @ ..])) => after,
        Some(_) | None => lot,
    }
}

/// Returns whether the bytes so far are a whole sequence if no more come.
fn is_complete_on_timeout(sequence: &[u8]) -> bool {
    sequence.len() <= 2 || sequence == FOCUS_LOST
}

fn begun(byte: u8, found: &mut impl FnMut(Token)) -> Place {
    match byte {
        ESC => begin_sequence(vec![ESC]),
        0..0x80 => {
            found(Token::Char(char::from(byte)));
            Place::Ground
        }
        0xc2..0xf5 => Place::Char(vec![byte]),
        // C1 controls (SS3, CSI and the strings): each is short for an Esc and a letter.
        0x8f | 0x9b => begin_sequence(vec![ESC, byte - 0x40]),
        0x90 | 0x98 | 0x9d..=0x9f => Place::Answer {
            ends: false,
            text: vec![byte - 0x40],
        },
        // No character begins so.
        _ => Place::Ground,
    }
}

const fn begin_sequence(bytes: Vec<u8>) -> Place {
    Place::Sequence {
        is_escaped: false,
        bytes,
    }
}

fn character(mut bytes: Vec<u8>, byte: u8, found: &mut impl FnMut(Token)) -> Place {
    if !(0x80..0xc0).contains(&byte) {
        return begun(byte, found);
    }
    bytes.push(byte);
    match std::str::from_utf8(&bytes) {
        // A C1 control in UTF-8.
        Ok(_) if matches!(bytes.as_slice(), [0xc2, 0x80..0xa0]) => return begun(byte, found),
        Ok(text) => text.chars().for_each(|char| found(Token::Char(char))),
        Err(error) if error.error_len().is_none() => return Place::Char(bytes),
        Err(_) => {}
    }
    Place::Ground
}

fn sequence(
    is_escaped: bool,
    mut bytes: Vec<u8>,
    byte: u8,
    found: &mut impl FnMut(Token),
) -> Place {
    if bytes == FOCUS_LOST && byte != b'w' {
        emit(is_escaped, bytes, found);
        return begun(byte, found);
    }
    if byte == ESC {
        // The sequence breaks off here; the last of several Escs may begin a new one.
        if is_escaped && bytes.len() == 1 {
            found(Token::Sequence(vec![ESC]));
        }
        return Place::Sequence {
            is_escaped: bytes.len() == 1,
            bytes: vec![ESC],
        };
    }
    if is_escaped && bytes.len() == 1 && !matches!(byte, b'[' | b'O') {
        found(Token::Sequence(bytes));
        return sequence(false, vec![ESC], byte, found);
    }
    bytes.push(byte);
    if let [_, opened_by @ (b']' | b'P' | b'_' | b'^' | b'X')] = bytes.as_slice() {
        // OSC, DCS, APC, PM, SOS.
        return Place::Answer {
            ends: false,
            text: vec![*opened_by],
        };
    }
    if bytes == PASTE_BEGINS {
        if is_escaped {
            found(Token::Sequence(vec![ESC]));
        }
        return Place::Paste {
            text: Vec::new(),
            matched: 0,
        };
    }
    if !is_whole(&bytes) {
        // Only its end is still of interest: the last bytes tell nothing about where that is.
        bytes.truncate(LONGEST_SEQUENCE);
        return Place::Sequence { is_escaped, bytes };
    }
    if bytes.len() < LONGEST_SEQUENCE {
        emit(is_escaped, bytes, found);
    }
    Place::Ground
}

fn emit(is_escaped: bool, bytes: Vec<u8>, found: &mut impl FnMut(Token)) {
    found(if is_escaped {
        Token::EscapedSequence(bytes)
    } else {
        Token::Sequence(bytes)
    });
}

/// Returns whether a sequence ends at its last byte.
fn is_whole(bytes: &[u8]) -> bool {
    match bytes {
        [_, b'[' | b'O'] | FOCUS_LOST => false,
        // Alt with a multi-byte character.
        [_, first, ..] if *first >= 0x80 => std::str::from_utf8(bytes).is_ok() || bytes.len() > 4,
        // CSI [ A…E, the Linux console's F1 to F5.
        [_, b'[', b'['] => false,
        // CSI M and three bytes: the mouse in its oldest encoding.
        [_, b'[', b'M', ..] => bytes.len() == 6,
        // CSI, one number and `$`: Shift with a named key in rxvt. A mode report has two numbers.
        [_, b'[', number @ .., b'$'] if is_number(number) => true,
        // Parameters and intermediates continue a sequence; a control character breaks it off.
        [_, b'[', .., last] => !(0x20..0x40).contains(last),
        // SS3 with a modifier, as Konsole and HP terminals send it.
        [_, b'O', .., last] => !matches!(last, b'0'..=b'9' | b';'),
        [..] => true,
    }
}

pub(super) fn is_number(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit)
}

fn answer(ends: bool, mut text: Vec<u8>, byte: u8, found: &mut impl FnMut(Token)) -> Place {
    // BEL, the second byte of ST, or the one-byte ST, which elsewhere is part of a character.
    let is_c1_end = byte == 0x9c && text.last().is_none_or(|last| *last < 0x80 || *last == 0xc2);
    if byte == 0x07 || is_c1_end || (ends && byte == b'\\') {
        let is_part_of_end = if is_c1_end { 0xc2 } else { ESC };
        text.truncate(text.len() - usize::from(text.last() == Some(&is_part_of_end)));
        if text.len() < LONGEST_SEQUENCE {
            found(Token::Answer(text));
        }
        return Place::Ground;
    }
    if text.len() < LONGEST_SEQUENCE {
        text.push(byte);
    }
    Place::Answer {
        ends: byte == ESC,
        text,
    }
}

fn paste(mut text: Vec<u8>, matched: usize, byte: u8, found: &mut impl FnMut(Token)) -> Place {
    if PASTE_ENDS.get(matched) == Some(&byte) {
        let matched = matched + 1;
        if matched == PASTE_ENDS.len() {
            found(pasted(&text));
            return Place::Ground;
        }
        return Place::Paste { text, matched };
    }
    // Not the end mark after all. An Esc may begin it anew; no other byte of it can.
    if text.len() < LONGEST_PASTE {
        text.extend(PASTE_ENDS.iter().take(matched));
    }
    if byte == ESC {
        return Place::Paste { text, matched: 1 };
    }
    if text.len() < LONGEST_PASTE {
        text.push(byte);
    }
    Place::Paste { text, matched: 0 }
}

fn pasted(bytes: &[u8]) -> Token {
    Token::Paste(String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(lots: &[&[u8]]) -> Vec<Token> {
        let mut tokens = Tokens::default();
        let mut found = Vec::new();
        let now = Instant::now();
        for lot in lots {
            tokens.take(lot, now, |token| found.push(token));
        }
        found
    }

    fn sequence(bytes: &[u8]) -> Token {
        Token::Sequence(bytes.to_vec())
    }

    fn text(text: &str) -> Vec<Token> {
        text.chars().map(Token::Char).collect()
    }

    #[test]
    fn a_sequence_is_whole_however_it_is_cut() {
        let bytes = "a\x1b[1;5A\x1bOPé\x1bx漢\x1b[<0;3;4M\x1b[[A\x1bé\x1b[M !!q".as_bytes();
        let whole = found(&[bytes]);
        let expected = [
            Token::Char('a'),
            sequence(b"\x1b[1;5A"),
            sequence(b"\x1bOP"),
            Token::Char('é'),
            sequence(b"\x1bx"),
            Token::Char('漢'),
            sequence(b"\x1b[<0;3;4M"),
            sequence(b"\x1b[[A"),
            sequence("\x1bé".as_bytes()),
            sequence(b"\x1b[M !!"),
            Token::Char('q'),
        ];

        assert_eq!(whole, expected);
        let single: Vec<_> = bytes.chunks(1).collect();
        assert_eq!(found(&single), expected);
    }

    #[test]
    fn no_answer_leaves_a_key_behind() {
        for answer in [
            "\x1b]11;rgb:0000/0000/0000\x07",
            "\x1b]10;rgb:ffff/ffff/ffff\x1b\\",
            "\x1bP>|kitty(0.41)\x1b\\",
            "\x1bP1+r544e=7874\x1b\\",
            "\x1b_Gi=31;OK\x1b\\",
            "\x1b^q\x1b\\",
            "\x1b]52;c;cQ==\x07",
        ] {
            let mut tokens = found(&[answer.as_bytes(), b"q"]);
            assert!(matches!(tokens.remove(0), Token::Answer(_)), "{answer:?}");
            assert_eq!(tokens, text("q"), "{answer:?}");
        }
        let long = format!("\x1b[{}c", "1;".repeat(500));
        assert_eq!(found(&[long.as_bytes(), b"q"]), text("q"));
    }

    #[test]
    fn bytes_that_are_no_text_are_nothing() {
        assert_eq!(found(&[b"\xff\xc3q\x80\xe6\xbcz"]), text("qz"));
    }

    #[test]
    fn a_paste_ends_at_its_mark_only() {
        let tokens = found(&[b"\x1b[200~q\x1b[20\x1b[201", b"~d"]);
        assert_eq!(tokens, [Token::Paste("q\x1b[20".into()), Token::Char('d')]);
        let tokens = found(&[b"\x1b[200~\x1b\x1b[201~", b"\x1b[200~\xff\x1b[201~"]);
        assert_eq!(
            tokens,
            [Token::Paste("\x1b".into()), Token::Paste("\u{fffd}".into())]
        );
    }

    #[test]
    fn what_does_not_end_is_over_after_a_while() {
        for (begun, wait, left) in [
            (&b"\x1b"[..], ESC_WAITS, vec![sequence(b"\x1b")]),
            (b"\x1b[", ESC_WAITS, vec![sequence(b"\x1b[")]),
            (b"\x1b]", ESC_WAITS, vec![sequence(b"\x1b]")]),
            (b"\x1b[1;", SEQUENCE_WAITS, vec![]),
            (b"\x1b]11;rgb", SEQUENCE_WAITS, vec![]),
            (b"\xe6\xbc", SEQUENCE_WAITS, vec![]),
            (b"\x1b[200~rm", PASTE_WAITS, vec![Token::Paste("rm".into())]),
        ] {
            let mut tokens = Tokens::default();
            let mut found = Vec::new();
            let now = Instant::now();
            tokens.take(begun, now, |token| found.push(token));
            assert_eq!((&found[..], tokens.over()), (&[][..], Some(now + wait)));

            tokens.give_up(now, |token| found.push(token));
            assert_eq!(found, []);
            tokens.give_up(now + wait, |token| found.push(token));
            tokens.take(b"q", now + wait, |token| found.push(token));

            let expected: Vec<_> = left.into_iter().chain([Token::Char('q')]).collect();
            assert_eq!(found, expected, "{begun:?}");
            assert_eq!(tokens.over(), None);
        }
    }

    #[test]
    fn an_awaited_answer_is_no_key_however_it_is_cut() {
        let answer = b"\x1b]11;rgb:dddd/dddd/dddd\x1b\\";
        for gap in [ANSWERING_ESC_WAITS / 2, SEQUENCE_WAITS * 2] {
            for at in 1..answer.len() {
                let is_esc = at == 1 || at == 2;
                if is_esc && gap > ANSWERING_ESC_WAITS {
                    continue;
                }
                let now = Instant::now();
                let (first, rest) = answer.split_at(at);
                let mut tokens = Tokens::default();
                let mut found = Vec::new();
                tokens.asked(now);
                tokens.take(first, now, |token| found.push(token));
                tokens.give_up(now + gap, |token| found.push(token));
                tokens.take(rest, now + gap, |token| found.push(token));

                assert_eq!(
                    found,
                    [Token::Answer(b"]11;rgb:dddd/dddd/dddd".to_vec())],
                    "{gap:?} after {at}"
                );
            }
        }
    }

    #[test]
    fn the_rest_of_an_answer_given_up_is_no_key_and_keys_after_it_are() {
        for (rest, left) in [
            (&b"d/dddd/dddd\x07"[..], ""),
            (b"d/dddd/dddd\x1b\\q", "q"),
            (b"\x1b\\", ""),
            (b"q", "q"),
        ] {
            let mut tokens = Tokens::default();
            let mut found = Vec::new();
            let now = Instant::now();
            tokens.take(b"\x1b]11;rgb:ddd", now, |token| found.push(token));
            let later = now + SEQUENCE_WAITS;
            tokens.give_up(later, |token| found.push(token));
            tokens.take(rest, later, |token| found.push(token));
            tokens.take(b"\x07", later, |token| found.push(token));

            let expected: Vec<_> = text(left).into_iter().chain(text("\x07")).collect();
            assert_eq!(found, expected, "{rest:?}");
        }
    }

    #[test]
    fn a_paste_behind_what_was_given_up_is_whole_whatever_is_in_it() {
        for inside in ["q\x07d", "q\x1b\\d", "\x07"] {
            let paste = format!("\x1b[200~{inside}\x1b[201~");
            for begun in [&b"\x1b"[..], b"\x1b]11;rgb:ddd"] {
                let mut tokens = Tokens::default();
                let mut found = Vec::new();
                let now = Instant::now();
                tokens.asked(now);
                tokens.take(begun, now, |_| {});
                let later = now + ANSWER_WAITS;
                tokens.give_up(later, |_| {});
                tokens.take(paste.as_bytes(), later, |token| found.push(token));

                assert_eq!(found, [Token::Paste(inside.into())], "{begun:?}");
            }
        }
    }

    #[test]
    fn an_escape_is_soon_a_key_again_after_a_question_without_an_answer() {
        let mut tokens = Tokens::default();
        let now = Instant::now();
        tokens.asked(now);
        tokens.take(b"\x1b", now, |_| {});
        assert_eq!(tokens.over(), Some(now + ANSWERING_ESC_WAITS));

        tokens.give_up(now + ANSWERING_ESC_WAITS, |_| {});
        tokens.take(b"\x1b", now + AWAITED, |_| {});
        assert_eq!(tokens.over(), Some(now + AWAITED + ESC_WAITS));
    }

    #[test]
    fn keys_hit_while_a_paste_hangs_do_not_prolong_it_and_more_of_it_does() {
        let mut tokens = Tokens::default();
        let now = Instant::now();
        let later = now + PASTE_WAITS / 2;
        tokens.take(b"\x1b[200~text", now, |_| {});

        tokens.take(b"\x03", later, |_| {});
        assert_eq!(tokens.over(), Some(now + PASTE_WAITS));
        tokens.take(b"a whole line more", later, |_| {});
        assert_eq!(tokens.over(), Some(later + PASTE_WAITS));
    }

    #[test]
    fn a_paste_without_measure_is_cut_and_still_ends() {
        let mut tokens = Tokens::default();
        let mut found = Vec::new();
        let now = Instant::now();
        tokens.take(PASTE_BEGINS, now, |token| found.push(token));
        for _ in 0..9 {
            tokens.take(&vec![b'x'; 1024 * 1024], now, |token| found.push(token));
        }
        tokens.take(b"\x1b[201~q", now, |token| found.push(token));

        let [Token::Paste(text), Token::Char('q')] = &found[..] else {
            panic!("{} tokens", found.len())
        };
        assert_eq!(text.len(), LONGEST_PASTE);
    }
}
