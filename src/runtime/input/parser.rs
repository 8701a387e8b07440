//! Parses bytes into events, through the sequences and the paste detector.

use tokio::time::Instant;

use super::{
    decode,
    event::InputEvent,
    paste_detector::PasteDetector,
    reply::TerminalReply,
    sequence_reader::{ESC_TIMEOUT, InputToken, SequenceReader},
};
use crate::app::keymap::KeyChord;

/// Parses bytes into events; the caller passes bytes and time.
#[derive(Debug, Default)]
pub(super) struct InputParser {
    sequences: SequenceReader,
    paste_detector: PasteDetector,
    /// Keys before this time are ignored: nobody types into a terminal that has just lost the
    /// focus.
    ignore_keys_until: Option<Instant>,
}

impl InputParser {
    pub(super) fn query_sent(&mut self, at: Instant) {
        self.sequences.query_sent(at);
    }

    pub(super) fn feed(&mut self, chunk: &[u8], now: Instant) {
        let Self {
            sequences,
            paste_detector,
            ignore_keys_until,
        } = self;
        // A byte after the deadline does not belong to the unfinished sequence.
        sequences.flush_expired(now, |token| push_token(paste_detector, token, now));
        sequences.feed(chunk, now, |token| {
            for input in token_events(token) {
                if let InputEvent::Focus(is_focused) = input {
                    *ignore_keys_until = now.checked_add(ESC_TIMEOUT).filter(|_| !is_focused);
                }
                let is_ignored = ignore_keys_until.is_some_and(|until| now < until);
                if !(is_ignored && matches!(input, InputEvent::Key { .. })) {
                    paste_detector.push(input, now);
                }
            }
        });
        paste_detector.end_of_chunk(now);
    }

    /// Returns when [`Self::flush`] is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        [self.sequences.deadline(), self.paste_detector.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Releases the input whose deadline has passed.
    pub(super) fn flush(&mut self, now: Instant) {
        let Self {
            sequences,
            paste_detector,
            ..
        } = self;
        let is_expired = sequences.deadline().is_some_and(|deadline| deadline <= now);
        sequences.flush_expired(now, |token| push_token(paste_detector, token, now));
        if is_expired {
            paste_detector.end_of_chunk(now);
        }
        paste_detector.flush(now);
    }

    pub(super) fn pop(&mut self) -> Option<InputEvent> {
        self.paste_detector.pop()
    }
}

fn push_token(paste_detector: &mut PasteDetector, token: InputToken, now: Instant) {
    for input in token_events(token) {
        paste_detector.push(input, now);
    }
}

fn token_events(token: InputToken) -> impl Iterator<Item = InputEvent> {
    let (first, second) = match token {
        InputToken::Char(c) => (Some(decode::decode_char(c)), None),
        InputToken::Sequence(bytes) => (decode::decode_sequence(&bytes), None),
        InputToken::EscapedSequence(bytes) => match decode::decode_sequence(&bytes) {
            Some(InputEvent::Key { chord, is_repeat }) => {
                let chord = KeyChord { alt: true, ..chord };
                (Some(InputEvent::Key { chord, is_repeat }), None)
            }
            other => (Some(decode::ESC_KEY), other),
        },
        InputToken::Reply(bytes) => (TerminalReply::parse(&bytes).map(InputEvent::Reply), None),
        InputToken::Paste(text) => (Some(InputEvent::Paste(text)), None),
    };
    first.into_iter().chain(second)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::app::keymap::Key;

    /// Feeds each chunk at its millisecond, flushing at every deadline; returns each event with its
    /// millisecond.
    fn read(chunks: &[(u64, &[u8])]) -> Vec<(u64, InputEvent)> {
        let start = Instant::now();
        let mut parser = InputParser::default();
        let mut events = Vec::new();
        let mut drain = |parser: &mut InputParser, at: Instant| {
            let millis = u64::try_from(at.duration_since(start).as_millis()).unwrap();
            events.extend(std::iter::from_fn(|| parser.pop()).map(|input| (millis, input)));
        };
        for (millis, chunk) in chunks {
            let now = start + Duration::from_millis(*millis);
            while let Some(deadline) = parser.deadline().filter(|deadline| *deadline <= now) {
                parser.flush(deadline);
                drain(&mut parser, deadline);
            }
            parser.feed(chunk, now);
            drain(&mut parser, now);
        }
        while let Some(deadline) = parser.deadline() {
            parser.flush(deadline);
            drain(&mut parser, deadline);
        }
        events
    }

    fn paste(text: &str) -> InputEvent {
        InputEvent::Paste(text.into())
    }

    #[test]
    fn a_lone_escape_is_a_key_after_a_timeout() {
        assert_eq!(
            read(&[(0, b"\x1b"), (500, b"\x1b[A")]),
            [
                (30, InputEvent::press(KeyChord::plain(Key::Esc))),
                (500, InputEvent::press(KeyChord::plain(Key::Up)))
            ]
        );
    }

    /// Asserts the events of the bytes, read at once and split at each position.
    fn assert_read(bytes: &[u8], expected: &[InputEvent]) {
        let inputs = |chunks: &[(u64, &[u8])]| -> Vec<_> {
            read(chunks).into_iter().map(|(_, input)| input).collect()
        };
        assert_eq!(inputs(&[(0, bytes)]), expected, "{bytes:?}");
        for at in 1..bytes.len() {
            let (first, rest) = bytes.split_at(at);
            assert_eq!(
                inputs(&[(0, first), (5, rest)]),
                expected,
                "{bytes:?} after {at}"
            );
        }
    }

    #[test]
    fn key_sequences_leave_no_characters() {
        let alt = |key| KeyChord {
            alt: true,
            ..KeyChord::plain(key)
        };
        let ctrl = |key| KeyChord {
            ctrl: true,
            ..KeyChord::plain(key)
        };
        for (bytes, chord) in [
            // PuTTY in its rxvt mode, rxvt itself, the Linux console.
            (&b"\x1b[Ow"[..], KeyChord::plain(Key::End)),
            (b"\x1b[7~", KeyChord::plain(Key::Home)),
            (b"\x1b[7$", KeyChord::plain(Key::Home)),
            (b"\x1b[8^", ctrl(Key::End)),
            (b"\x1b[8@", ctrl(Key::End)),
            (b"\x1b[a", KeyChord::plain(Key::Up)),
            (b"\x1bOa", ctrl(Key::Up)),
            (b"\x1b[[A", KeyChord::plain(Key::F(1))),
            // Konsole; Alt with an arrow in rxvt; C1 introducers, raw and in UTF-8.
            (b"\x1bO5A", ctrl(Key::Up)),
            (b"\x1b\x1b[A", alt(Key::Up)),
            (b"\x1b\x1bOA", alt(Key::Up)),
            (b"\x9bA", KeyChord::plain(Key::Up)),
            (b"\xc2\x9bA", KeyChord::plain(Key::Up)),
            (b"\x8fP", KeyChord::plain(Key::F(1))),
            (b"\x1b[27;5;9~", ctrl(Key::Tab)),
            (b"\x1b[97;5u", KeyChord::ctrl('a')),
        ] {
            assert_read(bytes, &[InputEvent::press(chord)]);
        }
        // Unknown sequences are dropped whole: SCO, Sun, wyse, an old mouse, replies.
        for bytes in [
            &b"\x1b[[Z"[..],
            b"\x1b[{",
            b"\x1b[`",
            b"\x1b[214z",
            b"\x1bO2q",
            b"\x1b[?q",
            b"\x1b[1;2;3;4w",
            b"\x9b?62;c\x9b>0;q",
            b"\x9d52;c;cQ==\x9c",
            b"\x90+r544e=7874\xc2\x9c",
            b"\x1bP1$r0m\x1b\\",
        ] {
            let attributes = TerminalReply::Attributes { has_sixel: false };
            let replies = bytes
                .starts_with(b"\x9b?62")
                .then_some(InputEvent::Reply(attributes));
            assert_read(bytes, replies.as_slice());
        }
    }

    #[test]
    fn every_final_byte_ends_its_sequence() {
        let j = InputEvent::press(KeyChord::char('j'));
        for introducer in [
            "\x1b[",
            "\x1b[[",
            "\x1bO",
            "\x1bO2",
            "\x1b[7",
            "\x1b[1;5",
            "\x1b[?1",
            "\x1b[27;5;9",
        ] {
            for last in 0x40..0x7f_u8 {
                let sequence = [introducer.as_bytes(), &[last]].concat();
                let unfinished = ["\x1b[[", "\x1b[M", "\x1b[O"].map(str::as_bytes);
                if unfinished.contains(&&sequence[..]) {
                    continue;
                }
                let events = read(&[(0, &sequence), (600, b"j")]);
                let is_typed = |(_, input): &(u64, InputEvent)| matches!(input, InputEvent::Key { chord, .. } if chord.typed_char().is_some());
                let typed: Vec<_> = events.into_iter().filter(is_typed).collect();
                assert_eq!(typed, [(600, j.clone())], "{sequence:?}");
            }
        }
    }

    #[test]
    fn an_escape_before_a_non_key_is_a_key() {
        let esc = decode::ESC_KEY;
        let reply = InputEvent::Reply(TerminalReply::Attributes { has_sixel: false });
        assert_read(b"\x1b\x1b", &[esc.clone(), esc.clone()]);
        // A reply overtakes keys that may be part of a paste.
        let events = read(&[(0, b"\x1b\x1b[?62;c")]);
        assert_eq!(events, [(0, reply), (0, esc.clone())]);
        assert_read(b"\x1b\x1b[I", &[esc.clone(), InputEvent::Focus(true)]);
        assert_read(b"\x1b\x1b]11;x\x07", std::slice::from_ref(&esc));
        assert_read(b"\x1b\x1b[200~q\x1b[201~", &[esc, paste("q")]);
    }

    #[test]
    fn keys_read_with_a_focus_loss_are_dropped() {
        let j = || InputEvent::press(KeyChord::char('j'));
        let (lost, gained) = (InputEvent::Focus(false), InputEvent::Focus(true));
        for bytes in [
            &b"\x1b[Oj"[..],
            b"\x1b[O\r",
            b"\x1b[O\x03",
            b"\x1b[O\xc3\xa9",
        ] {
            assert_read(bytes, std::slice::from_ref(&lost));
        }
        assert_eq!(read(&[(0, b"\x1b[Ojq\x1b[B")]), [(0, lost.clone())]);
        assert_eq!(
            read(&[(0, b"\x1b[Oj\x1b[Ij")]),
            [(0, lost.clone()), (0, gained.clone()), (0, j())]
        );
        assert_eq!(
            read(&[(0, b"\x1b[O"), (100, b"w"), (200, b"j"), (300, b"\x1b[I")]),
            [
                (30, lost),
                (100, InputEvent::press(KeyChord::char('w'))),
                (200, j()),
                (300, gained)
            ]
        );
    }

    #[test]
    fn an_unterminated_paste_times_out() {
        let events = read(&[
            (0, b"\x1b[200~d q"),
            (500, b"q"),
            (1000, b"\x03"),
            (3000, b"\x03"),
        ]);
        assert_eq!(
            events,
            [
                (2100, paste("d qq\x03")),
                (3000, InputEvent::press(KeyChord::ctrl('c')))
            ]
        );
    }

    #[test]
    fn a_paste_containing_its_end_marker_is_one_paste() {
        let events = read(&[(0, b"\x1b[200~one\x1b[201~q\rd\x1b[201~"), (500, b"j")]);
        assert_eq!(
            events,
            [
                (100, paste("oneq\nd")),
                (500, InputEvent::press(KeyChord::char('j')))
            ]
        );
    }

    #[test]
    fn a_megabyte_of_unbracketed_text_is_one_paste() {
        let text = "d q\r".repeat(256 * 1024);
        let chunks = text.as_bytes().chunks(4095).map(|chunk| (0, chunk));
        let events = read(&chunks.collect::<Vec<_>>());

        let [(100, InputEvent::Paste(pasted))] = &events[..] else {
            panic!("{} events", events.len())
        };
        assert_eq!(pasted, &text.replace('\r', "\n"));
    }

    #[test]
    fn terminal_replies_are_not_keys() {
        let replies = b"\x1b[12;40R\x1b[?62;22c\x1b]11;rgb:0/0/0\x07\x1bP>|x\x1b\\\x1b[0n";
        let events = read(&[(0, replies)]);
        assert_eq!(events.len(), 3);
        let is_reply = |(_, input): &(u64, InputEvent)| matches!(input, InputEvent::Reply(_));
        assert!(events.iter().all(is_reply), "{events:?}");
    }
}
