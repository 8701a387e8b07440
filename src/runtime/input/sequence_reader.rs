//! Splits bytes into characters, complete escape sequences and complete pastes; `decode` gives
//! them a meaning.
//!
//! A parser that gives up inside a sequence reads the rest as keys: a late reply of the terminal
//! (`CSI ? … R`, an OSC, DCS or APC string) would act as commands. An unterminated sequence or
//! paste must not swallow later keys either, so both time out.

use std::time::Duration;

use tokio::time::Instant;

/// Time after which a lone Esc is a key. Terminals write a sequence at once.
pub(super) const ESC_TIMEOUT: Duration = Duration::from_millis(30);

/// The same while a reply is due: a slow connection may split the reply after its Esc.
const ESC_TIMEOUT_WITH_REPLY_DUE: Duration = Duration::from_millis(150);

/// Time after which an incomplete sequence is dropped.
const SEQUENCE_TIMEOUT: Duration = Duration::from_millis(500);

/// The same for an incomplete reply while one is due.
const REPLY_TIMEOUT: Duration = Duration::from_secs(2);

/// Time after a query within which its reply is due.
const REPLY_WINDOW: Duration = Duration::from_secs(3);

/// Silence after which an unterminated paste ends.
const PASTE_TIMEOUT: Duration = Duration::from_secs(2);

/// A chunk of at most so many bytes is typed, not pasted: it does not extend [`PASTE_TIMEOUT`].
const MAX_TYPED_CHUNK: usize = 8;

/// No key's sequence is longer; a longer sequence is read to its end and dropped.
const MAX_SEQUENCE_LEN: usize = 64;

/// The rest of a longer paste is dropped.
const MAX_PASTE_LEN: usize = 8 * 1024 * 1024;

const ESC: u8 = 0x1b;
/// Focus lost; followed by `w` it is End in `PuTTY`'s rxvt mode.
const FOCUS_LOST: &[u8] = b"\x1b[O";
const PASTE_START: &[u8] = b"\x1b[200~";
const PASTE_END: &[u8] = b"\x1b[201~";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum InputToken {
    /// A character or control character.
    Char(char),
    /// An escape sequence from its Esc to its last byte; also a lone Esc.
    Sequence(Vec<u8>),
    /// A sequence after another Esc: Alt with a named key, or Esc and something else.
    EscapedSequence(Vec<u8>),
    /// An OSC, DCS, APC, PM or SOS string, without its Esc and its terminator.
    Reply(Vec<u8>),
    /// A paste without its markers.
    Paste(String),
}

/// The unfinished token.
#[derive(Debug, Default)]
enum ParseState {
    #[default]
    Ground,
    /// A multi-byte character.
    Char(Vec<u8>),
    /// A sequence, at least an Esc; `is_escaped` if another Esc came before it.
    Sequence { is_escaped: bool, bytes: Vec<u8> },
    /// A string with its introducer.
    Reply { is_after_esc: bool, text: Vec<u8> },
    /// A paste; `matched` bytes of the end marker were read.
    Paste { text: Vec<u8>, matched: usize },
}

#[derive(Debug, Default)]
pub(super) struct SequenceReader {
    state: ParseState,
    /// When the unfinished token expires.
    deadline: Option<Instant>,
    reply_due_until: Option<Instant>,
    /// Whether the rest of an expired reply may still come.
    is_reply_cut: bool,
}

impl SequenceReader {
    pub(super) fn query_sent(&mut self, at: Instant) {
        self.reply_due_until = at.checked_add(REPLY_WINDOW);
    }

    /// Reads a chunk of bytes and passes each complete token to `found`.
    pub(super) fn feed(&mut self, chunk: &[u8], now: Instant, mut found: impl FnMut(InputToken)) {
        let was_pasting = self.is_pasting();
        let chunk = if std::mem::take(&mut self.is_reply_cut) {
            drop_reply_tail(chunk)
        } else {
            chunk
        };
        for byte in chunk {
            self.push_byte(*byte, &mut found);
        }
        let is_typed = was_pasting && self.is_pasting() && chunk.len() <= MAX_TYPED_CHUNK;
        if !is_typed {
            let timeout = self.timeout(self.reply_due_until.is_some_and(|until| now < until));
            self.deadline = timeout.and_then(|timeout| now.checked_add(timeout));
        }
    }

    /// Returns when [`Self::flush_expired`] is due.
    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Ends the unfinished token if its deadline has passed.
    pub(super) fn flush_expired(&mut self, now: Instant, mut found: impl FnMut(InputToken)) {
        if self.deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        self.deadline = None;
        let is_reply_due = self.reply_due_until.is_some_and(|until| now < until);
        match std::mem::take(&mut self.state) {
            ParseState::Paste { text, .. } => found(paste_token(&text)),
            // Esc, or Alt with a key that could have started a longer sequence.
            ParseState::Sequence { is_escaped, bytes } if is_complete_on_timeout(&bytes) => {
                self.is_reply_cut = is_reply_due && bytes != FOCUS_LOST;
                if is_escaped {
                    found(InputToken::Sequence(vec![ESC]));
                }
                found(InputToken::Sequence(bytes));
            }
            ParseState::Reply { mut text, .. } if text.len() == 1 => {
                self.is_reply_cut = is_reply_due;
                text.insert(0, ESC);
                found(InputToken::Sequence(text));
            }
            ParseState::Reply { .. } => self.is_reply_cut = true,
            ParseState::Ground | ParseState::Char(_) | ParseState::Sequence { .. } => {}
        }
    }

    const fn is_pasting(&self) -> bool {
        matches!(self.state, ParseState::Paste { .. })
    }

    /// Returns the timeout of the unfinished token.
    fn timeout(&self, is_reply_due: bool) -> Option<Duration> {
        let (esc_timeout, reply_timeout) = if is_reply_due {
            (ESC_TIMEOUT_WITH_REPLY_DUE, REPLY_TIMEOUT)
        } else {
            (ESC_TIMEOUT, SEQUENCE_TIMEOUT)
        };
        match &self.state {
            ParseState::Ground => None,
            ParseState::Paste { .. } => Some(PASTE_TIMEOUT),
            ParseState::Sequence { bytes, .. } if is_complete_on_timeout(bytes) => {
                Some(esc_timeout)
            }
            ParseState::Reply { text, .. } if text.len() == 1 => Some(esc_timeout),
            ParseState::Reply { .. } => Some(reply_timeout),
            ParseState::Char(_) | ParseState::Sequence { .. } => Some(SEQUENCE_TIMEOUT),
        }
    }

    fn push_byte(&mut self, byte: u8, found: &mut impl FnMut(InputToken)) {
        self.state = match std::mem::take(&mut self.state) {
            ParseState::Ground => begin(byte, found),
            ParseState::Char(bytes) => continue_char(bytes, byte, found),
            ParseState::Sequence { is_escaped, bytes } => {
                continue_sequence(is_escaped, bytes, byte, found)
            }
            ParseState::Reply { is_after_esc, text } => {
                continue_reply(is_after_esc, text, byte, found)
            }
            ParseState::Paste { text, matched } => continue_paste(text, matched, byte, found),
        };
    }
}

/// Drops the tail of a timed-out terminal reply from the start of a chunk. A reply ends at BEL or
/// ST; what follows is user input. A reply contains no other control character, a paste may.
fn drop_reply_tail(chunk: &[u8]) -> &[u8] {
    let end = chunk.iter().position(u8::is_ascii_control);
    match end.and_then(|at| chunk.split_at_checked(at)) {
        Some((_, [0x07, after @ ..] | [ESC, b'\\', after @ ..])) => after,
        Some(_) | None => chunk,
    }
}

/// Returns whether the bytes are a complete sequence if no more follow.
fn is_complete_on_timeout(sequence: &[u8]) -> bool {
    sequence.len() <= 2 || sequence == FOCUS_LOST
}

fn begin(byte: u8, found: &mut impl FnMut(InputToken)) -> ParseState {
    match byte {
        ESC => begin_sequence(vec![ESC]),
        0..0x80 => {
            found(InputToken::Char(char::from(byte)));
            ParseState::Ground
        }
        0xc2..0xf5 => ParseState::Char(vec![byte]),
        // C1 controls (SS3, CSI, strings): each stands for an Esc and a letter.
        0x8f | 0x9b => begin_sequence(vec![ESC, byte - 0x40]),
        0x90 | 0x98 | 0x9d..=0x9f => ParseState::Reply {
            is_after_esc: false,
            text: vec![byte - 0x40],
        },
        // Invalid UTF-8.
        _ => ParseState::Ground,
    }
}

const fn begin_sequence(bytes: Vec<u8>) -> ParseState {
    ParseState::Sequence {
        is_escaped: false,
        bytes,
    }
}

fn continue_char(mut bytes: Vec<u8>, byte: u8, found: &mut impl FnMut(InputToken)) -> ParseState {
    if !(0x80..0xc0).contains(&byte) {
        return begin(byte, found);
    }
    bytes.push(byte);
    match std::str::from_utf8(&bytes) {
        // A C1 control in UTF-8.
        Ok(_) if matches!(bytes.as_slice(), [0xc2, 0x80..0xa0]) => return begin(byte, found),
        Ok(text) => text.chars().for_each(|char| found(InputToken::Char(char))),
        Err(error) if error.error_len().is_none() => return ParseState::Char(bytes),
        Err(_) => {}
    }
    ParseState::Ground
}

fn continue_sequence(
    is_escaped: bool,
    mut bytes: Vec<u8>,
    byte: u8,
    found: &mut impl FnMut(InputToken),
) -> ParseState {
    if bytes == FOCUS_LOST && byte != b'w' {
        emit(is_escaped, bytes, found);
        return begin(byte, found);
    }
    if byte == ESC {
        // The sequence is cut off; the last of several Escs may start a new one.
        if is_escaped && bytes.len() == 1 {
            found(InputToken::Sequence(vec![ESC]));
        }
        return ParseState::Sequence {
            is_escaped: bytes.len() == 1,
            bytes: vec![ESC],
        };
    }
    if is_escaped && bytes.len() == 1 && !matches!(byte, b'[' | b'O') {
        found(InputToken::Sequence(bytes));
        return continue_sequence(false, vec![ESC], byte, found);
    }
    bytes.push(byte);
    if let [_, introducer @ (b']' | b'P' | b'_' | b'^' | b'X')] = bytes.as_slice() {
        // OSC, DCS, APC, PM, SOS.
        return ParseState::Reply {
            is_after_esc: false,
            text: vec![*introducer],
        };
    }
    if bytes == PASTE_START {
        if is_escaped {
            found(InputToken::Sequence(vec![ESC]));
        }
        return ParseState::Paste {
            text: Vec::new(),
            matched: 0,
        };
    }
    if !is_complete(&bytes) {
        // A sequence this long is dropped, and its end does not depend on the bytes cut here.
        bytes.truncate(MAX_SEQUENCE_LEN);
        return ParseState::Sequence { is_escaped, bytes };
    }
    if bytes.len() < MAX_SEQUENCE_LEN {
        emit(is_escaped, bytes, found);
    }
    ParseState::Ground
}

fn emit(is_escaped: bool, bytes: Vec<u8>, found: &mut impl FnMut(InputToken)) {
    found(if is_escaped {
        InputToken::EscapedSequence(bytes)
    } else {
        InputToken::Sequence(bytes)
    });
}

/// Returns whether a sequence ends at its last byte.
fn is_complete(bytes: &[u8]) -> bool {
    match bytes {
        [_, b'[' | b'O'] | FOCUS_LOST => false,
        // Alt with a multi-byte character.
        [_, first, ..] if *first >= 0x80 => std::str::from_utf8(bytes).is_ok() || bytes.len() > 4,
        // CSI [ A…E, the Linux console's F1 to F5.
        [_, b'[', b'['] => false,
        // CSI M and three bytes: a mouse report in the X10 encoding.
        [_, b'[', b'M', ..] => bytes.len() == 6,
        // CSI, one number and `$`: Shift with a named key in rxvt. A mode report has two numbers.
        [_, b'[', number @ .., b'$'] if is_number(number) => true,
        // Parameters and intermediates continue a sequence; a control character ends it.
        [_, b'[', .., last] => !(0x20..0x40).contains(last),
        // SS3 with a modifier, as Konsole and HP terminals send it.
        [_, b'O', .., last] => !matches!(last, b'0'..=b'9' | b';'),
        [..] => true,
    }
}

pub(super) fn is_number(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(u8::is_ascii_digit)
}

fn continue_reply(
    is_after_esc: bool,
    mut text: Vec<u8>,
    byte: u8,
    found: &mut impl FnMut(InputToken),
) -> ParseState {
    // BEL, the second byte of ST, or the C1 ST, which may also be part of a character.
    let is_c1_end = byte == 0x9c && text.last().is_none_or(|last| *last < 0x80 || *last == 0xc2);
    if byte == 0x07 || is_c1_end || (is_after_esc && byte == b'\\') {
        let is_part_of_end = if is_c1_end { 0xc2 } else { ESC };
        text.truncate(text.len() - usize::from(text.last() == Some(&is_part_of_end)));
        if text.len() < MAX_SEQUENCE_LEN {
            found(InputToken::Reply(text));
        }
        return ParseState::Ground;
    }
    if text.len() < MAX_SEQUENCE_LEN {
        text.push(byte);
    }
    ParseState::Reply {
        is_after_esc: byte == ESC,
        text,
    }
}

fn continue_paste(
    mut text: Vec<u8>,
    matched: usize,
    byte: u8,
    found: &mut impl FnMut(InputToken),
) -> ParseState {
    if PASTE_END.get(matched) == Some(&byte) {
        let matched = matched + 1;
        if matched == PASTE_END.len() {
            found(paste_token(&text));
            return ParseState::Ground;
        }
        return ParseState::Paste { text, matched };
    }
    // Not the end marker. Only an Esc may start it again.
    if text.len() < MAX_PASTE_LEN {
        text.extend(PASTE_END.iter().take(matched));
    }
    if byte == ESC {
        return ParseState::Paste { text, matched: 1 };
    }
    if text.len() < MAX_PASTE_LEN {
        text.push(byte);
    }
    ParseState::Paste { text, matched: 0 }
}

fn paste_token(bytes: &[u8]) -> InputToken {
    InputToken::Paste(String::from_utf8_lossy(bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(chunks: &[&[u8]]) -> Vec<InputToken> {
        let mut reader = SequenceReader::default();
        let mut found = Vec::new();
        let now = Instant::now();
        for chunk in chunks {
            reader.feed(chunk, now, |token| found.push(token));
        }
        found
    }

    fn sequence(bytes: &[u8]) -> InputToken {
        InputToken::Sequence(bytes.to_vec())
    }

    fn text(text: &str) -> Vec<InputToken> {
        text.chars().map(InputToken::Char).collect()
    }

    #[test]
    fn sequences_are_reassembled_from_any_chunks() {
        let bytes = "a\x1b[1;5A\x1bOPé\x1bx漢\x1b[<0;3;4M\x1b[[A\x1bé\x1b[M !!q".as_bytes();
        let whole = found(&[bytes]);
        let expected = [
            InputToken::Char('a'),
            sequence(b"\x1b[1;5A"),
            sequence(b"\x1bOP"),
            InputToken::Char('é'),
            sequence(b"\x1bx"),
            InputToken::Char('漢'),
            sequence(b"\x1b[<0;3;4M"),
            sequence(b"\x1b[[A"),
            sequence("\x1bé".as_bytes()),
            sequence(b"\x1b[M !!"),
            InputToken::Char('q'),
        ];

        assert_eq!(whole, expected);
        let single: Vec<_> = bytes.chunks(1).collect();
        assert_eq!(found(&single), expected);
    }

    #[test]
    fn replies_leave_no_keys() {
        for reply in [
            "\x1b]11;rgb:0000/0000/0000\x07",
            "\x1b]10;rgb:ffff/ffff/ffff\x1b\\",
            "\x1bP>|kitty(0.41)\x1b\\",
            "\x1bP1+r544e=7874\x1b\\",
            "\x1b_Gi=31;OK\x1b\\",
            "\x1b^q\x1b\\",
            "\x1b]52;c;cQ==\x07",
        ] {
            let mut tokens = found(&[reply.as_bytes(), b"q"]);
            assert!(
                matches!(tokens.remove(0), InputToken::Reply(_)),
                "{reply:?}"
            );
            assert_eq!(tokens, text("q"), "{reply:?}");
        }
        let long = format!("\x1b[{}c", "1;".repeat(500));
        assert_eq!(found(&[long.as_bytes(), b"q"]), text("q"));
    }

    #[test]
    fn invalid_utf8_is_dropped() {
        assert_eq!(found(&[b"\xff\xc3q\x80\xe6\xbcz"]), text("qz"));
    }

    #[test]
    fn a_paste_ends_only_at_its_marker() {
        let tokens = found(&[b"\x1b[200~q\x1b[20\x1b[201", b"~d"]);
        assert_eq!(
            tokens,
            [InputToken::Paste("q\x1b[20".into()), InputToken::Char('d')]
        );
        let tokens = found(&[b"\x1b[200~\x1b\x1b[201~", b"\x1b[200~\xff\x1b[201~"]);
        assert_eq!(
            tokens,
            [
                InputToken::Paste("\x1b".into()),
                InputToken::Paste("\u{fffd}".into())
            ]
        );
    }

    #[test]
    fn unterminated_sequences_time_out() {
        for (start, wait, left) in [
            (&b"\x1b"[..], ESC_TIMEOUT, vec![sequence(b"\x1b")]),
            (b"\x1b[", ESC_TIMEOUT, vec![sequence(b"\x1b[")]),
            (b"\x1b]", ESC_TIMEOUT, vec![sequence(b"\x1b]")]),
            (b"\x1b[1;", SEQUENCE_TIMEOUT, vec![]),
            (b"\x1b]11;rgb", SEQUENCE_TIMEOUT, vec![]),
            (b"\xe6\xbc", SEQUENCE_TIMEOUT, vec![]),
            (
                b"\x1b[200~rm",
                PASTE_TIMEOUT,
                vec![InputToken::Paste("rm".into())],
            ),
        ] {
            let mut reader = SequenceReader::default();
            let mut found = Vec::new();
            let now = Instant::now();
            reader.feed(start, now, |token| found.push(token));
            assert_eq!((&found[..], reader.deadline()), (&[][..], Some(now + wait)));

            reader.flush_expired(now, |token| found.push(token));
            assert_eq!(found, []);
            reader.flush_expired(now + wait, |token| found.push(token));
            reader.feed(b"q", now + wait, |token| found.push(token));

            let expected: Vec<_> = left.into_iter().chain([InputToken::Char('q')]).collect();
            assert_eq!(found, expected, "{start:?}");
            assert_eq!(reader.deadline(), None);
        }
    }

    #[test]
    fn an_awaited_reply_in_any_chunks_is_not_a_key() {
        let reply = b"\x1b]11;rgb:dddd/dddd/dddd\x1b\\";
        for gap in [ESC_TIMEOUT_WITH_REPLY_DUE / 2, SEQUENCE_TIMEOUT * 2] {
            for at in 1..reply.len() {
                let is_esc = at == 1 || at == 2;
                if is_esc && gap > ESC_TIMEOUT_WITH_REPLY_DUE {
                    continue;
                }
                let now = Instant::now();
                let (first, rest) = reply.split_at(at);
                let mut reader = SequenceReader::default();
                let mut found = Vec::new();
                reader.query_sent(now);
                reader.feed(first, now, |token| found.push(token));
                reader.flush_expired(now + gap, |token| found.push(token));
                reader.feed(rest, now + gap, |token| found.push(token));

                assert_eq!(
                    found,
                    [InputToken::Reply(b"]11;rgb:dddd/dddd/dddd".to_vec())],
                    "{gap:?} after {at}"
                );
            }
        }
    }

    #[test]
    fn the_tail_of_a_timed_out_reply_is_dropped() {
        for (rest, left) in [
            (&b"d/dddd/dddd\x07"[..], ""),
            (b"d/dddd/dddd\x1b\\q", "q"),
            (b"\x1b\\", ""),
            (b"q", "q"),
        ] {
            let mut reader = SequenceReader::default();
            let mut found = Vec::new();
            let now = Instant::now();
            reader.feed(b"\x1b]11;rgb:ddd", now, |token| found.push(token));
            let later = now + SEQUENCE_TIMEOUT;
            reader.flush_expired(later, |token| found.push(token));
            reader.feed(rest, later, |token| found.push(token));
            reader.feed(b"\x07", later, |token| found.push(token));

            let expected: Vec<_> = text(left).into_iter().chain(text("\x07")).collect();
            assert_eq!(found, expected, "{rest:?}");
        }
    }

    #[test]
    fn a_paste_after_a_timeout_is_complete() {
        for inside in ["q\x07d", "q\x1b\\d", "\x07"] {
            let paste = format!("\x1b[200~{inside}\x1b[201~");
            for start in [&b"\x1b"[..], b"\x1b]11;rgb:ddd"] {
                let mut reader = SequenceReader::default();
                let mut found = Vec::new();
                let now = Instant::now();
                reader.query_sent(now);
                reader.feed(start, now, |_| {});
                let later = now + REPLY_TIMEOUT;
                reader.flush_expired(later, |_| {});
                reader.feed(paste.as_bytes(), later, |token| found.push(token));

                assert_eq!(found, [InputToken::Paste(inside.into())], "{start:?}");
            }
        }
    }

    #[test]
    fn escape_works_soon_after_an_unanswered_query() {
        let mut reader = SequenceReader::default();
        let now = Instant::now();
        reader.query_sent(now);
        reader.feed(b"\x1b", now, |_| {});
        assert_eq!(reader.deadline(), Some(now + ESC_TIMEOUT_WITH_REPLY_DUE));

        reader.flush_expired(now + ESC_TIMEOUT_WITH_REPLY_DUE, |_| {});
        reader.feed(b"\x1b", now + REPLY_WINDOW, |_| {});
        assert_eq!(reader.deadline(), Some(now + REPLY_WINDOW + ESC_TIMEOUT));
    }

    #[test]
    fn only_pasted_bytes_extend_a_hanging_paste() {
        let mut reader = SequenceReader::default();
        let now = Instant::now();
        let later = now + PASTE_TIMEOUT / 2;
        reader.feed(b"\x1b[200~text", now, |_| {});

        reader.feed(b"\x03", later, |_| {});
        assert_eq!(reader.deadline(), Some(now + PASTE_TIMEOUT));
        reader.feed(b"a whole line more", later, |_| {});
        assert_eq!(reader.deadline(), Some(later + PASTE_TIMEOUT));
    }

    #[test]
    fn an_oversized_paste_is_cut_and_ends() {
        let mut reader = SequenceReader::default();
        let mut found = Vec::new();
        let now = Instant::now();
        reader.feed(PASTE_START, now, |token| found.push(token));
        for _ in 0..9 {
            reader.feed(&vec![b'x'; 1024 * 1024], now, |token| found.push(token));
        }
        reader.feed(b"\x1b[201~q", now, |token| found.push(token));

        let [InputToken::Paste(text), InputToken::Char('q')] = &found[..] else {
            panic!("{} tokens", found.len())
        };
        assert_eq!(text.len(), MAX_PASTE_LEN);
    }
}
