//! What a person does at the terminal, in words of our own, and those in the core's.
//!
//! Beneath it, one job each:
//!
//! - `keyboard`: reads the terminal's bytes as they come;
//! - `tokens`: cuts them into characters, whole sequences and whole pastes;
//! - `answer`: what the terminal answers when it is asked;
//! - `decode`: says what each means, with the parser library that nobody else knows;
//! - `burst`: keeps pasted text, marked or not, from being read as commands.

mod decode;
mod paste_detector;
mod reader;
mod reply;
mod sequence_reader;

use tokio::time::Instant;

use self::{
    paste_detector::PasteDetector,
    sequence_reader::{ESC_TIMEOUT, InputToken, SequenceReader},
};
pub use self::{
    reader::InputReader,
    reply::{CellSize, Rgb, TerminalReply},
};
use crate::app::{keymap::KeyChord, mouse::MouseAction, msg::Msg, notifications::TerminalFocus};

/// One thing a person did.
#[derive(Debug, Clone, PartialEq)]
pub enum InputEvent {
    /// Pressed a key.
    Key {
        /// Which.
        chord: KeyChord,
        /// Whether the terminal says that it is held down.
        is_repeat: bool,
    },
    /// Pasted text, which may hold anything.
    Paste(String),
    /// Did something with the mouse.
    Mouse(MouseReport),
    /// Nothing: the terminal answered a question.
    Reply(TerminalReply),
    /// Came to this terminal (true) or went to another.
    Focus(bool),
}

/// What the terminal reports of the mouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MouseReport {
    /// The column, from 0.
    pub column: u16,
    /// The row, from 0.
    pub row: u16,
    /// What was done there.
    pub kind: MouseReportKind,
}

/// One act of the mouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MouseReportKind {
    /// A button went down.
    Press(MouseButton),
    /// A button came up.
    Release(MouseButton),
    /// Moved with a button down.
    Drag(MouseButton),
    /// Moved.
    Move,
    /// The wheel turned by a notch.
    Scroll(WheelDirection),
}

/// A button of the mouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MouseButton {
    /// The first.
    Left,
    /// The wheel, pressed.
    Middle,
    /// The second.
    Right,
}

/// A way the wheel turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WheelDirection {
    /// Away from the person.
    Up,
    /// Towards the person.
    Down,
    /// Tilted to the left.
    Left,
    /// Tilted to the right.
    Right,
}

/// Turns what a person did into a message; what nobody listens to becomes nothing.
pub fn translate(input: InputEvent) -> Option<Msg> {
    match input {
        InputEvent::Key { chord, is_repeat } => Some(Msg::Key { chord, is_repeat }),
        InputEvent::Paste(text) => Some(Msg::Pasted(text)),
        InputEvent::Focus(is_here) => Some(Msg::Focused(if is_here {
            TerminalFocus::Focused
        } else {
            TerminalFocus::Unfocused
        })),
        // What the mouse did something to is the screen's to say (see `pointed`); answers are for
        // who asked.
        InputEvent::Mouse(_) | InputEvent::Reply(_) => None,
    }
}

/// Turns a report of the mouse into what was done and where, in columns and rows; releases, moves
/// and other buttons become nothing.
pub fn mouse_action(report: MouseReport) -> Option<(MouseAction, (u16, u16))> {
    let gesture = match report.kind {
        MouseReportKind::Press(MouseButton::Left) => MouseAction::Press,
        MouseReportKind::Scroll(WheelDirection::Down) => MouseAction::WheelDown,
        MouseReportKind::Scroll(WheelDirection::Up) => MouseAction::WheelUp,
        MouseReportKind::Press(MouseButton::Middle | MouseButton::Right)
        | MouseReportKind::Release(_)
        | MouseReportKind::Drag(_)
        | MouseReportKind::Move
        | MouseReportKind::Scroll(WheelDirection::Left | WheelDirection::Right) => return None,
    };
    Some((gesture, (report.column, report.row)))
}

/// Turns bytes into what a person did. It reads no clock and no file: both are handed in.
#[derive(Debug, Default)]
struct InputParser {
    sequences: SequenceReader,
    paste_detector: PasteDetector,
    /// Keys before this time are ignored: nobody types into a terminal that has just lost the
    /// focus.
    ignore_keys_until: Option<Instant>,
}

impl InputParser {
    /// Told that the terminal was asked something at that time.
    fn query_sent(&mut self, at: Instant) {
        self.sequences.query_sent(at);
    }

    /// Takes in all bytes that could be read at once.
    fn feed(&mut self, lot: &[u8], now: Instant) {
        let Self {
            sequences: tokens,
            paste_detector: burst,
            ignore_keys_until: untyped_until,
        } = self;
        // A byte that comes after its time is no part of what was begun before.
        tokens.flush_expired(now, |token| push_token(burst, token, now));
        tokens.feed(lot, now, |token| {
            for input in token_events(token) {
                if let InputEvent::Focus(is_here) = input {
                    *untyped_until = now.checked_add(ESC_TIMEOUT).filter(|_| !is_here);
                }
                let is_untyped = untyped_until.is_some_and(|until| now < until);
                if !(is_untyped && matches!(input, InputEvent::Key { .. })) {
                    burst.push(input, now);
                }
            }
        });
        burst.end_of_chunk(now);
    }

    /// Returns when [`Reading::settle`] is due.
    fn deadline(&self) -> Option<Instant> {
        [self.sequences.deadline(), self.paste_detector.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Decides on what has waited long enough.
    fn flush(&mut self, now: Instant) {
        let Self {
            sequences: tokens,
            paste_detector: burst,
            ..
        } = self;
        let is_over = tokens.deadline().is_some_and(|over| over <= now);
        tokens.flush_expired(now, |token| push_token(burst, token, now));
        if is_over {
            burst.end_of_chunk(now);
        }
        burst.flush(now);
    }

    fn pop(&mut self) -> Option<InputEvent> {
        self.paste_detector.pop()
    }
}

fn push_token(burst: &mut PasteDetector, token: InputToken, now: Instant) {
    for input in token_events(token) {
        burst.push(input, now);
    }
}

/// Returns the inputs of a token, in order.
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

    /// Reads lots at their milliseconds, keeping every deadline between them.
    fn read(lots: &[(u64, &[u8])]) -> Vec<(u64, InputEvent)> {
        let start = Instant::now();
        let mut reading = InputParser::default();
        let mut seen = Vec::new();
        let mut drain = |reading: &mut InputParser, at: Instant| {
            let millis = u64::try_from(at.duration_since(start).as_millis()).unwrap();
            seen.extend(std::iter::from_fn(|| reading.pop()).map(|input| (millis, input)));
        };
        for (millis, lot) in lots {
            let now = start + Duration::from_millis(*millis);
            while let Some(due) = reading.deadline().filter(|due| *due <= now) {
                reading.flush(due);
                drain(&mut reading, due);
            }
            reading.feed(lot, now);
            drain(&mut reading, now);
        }
        while let Some(due) = reading.deadline() {
            reading.flush(due);
            drain(&mut reading, due);
        }
        seen
    }

    fn key(chord: KeyChord) -> InputEvent {
        InputEvent::Key {
            chord,
            is_repeat: false,
        }
    }

    fn paste(text: &str) -> InputEvent {
        InputEvent::Paste(text.into())
    }

    #[test]
    fn a_lone_escape_is_a_key_after_a_timeout() {
        assert_eq!(
            read(&[(0, b"\x1b"), (500, b"\x1b[A")]),
            [
                (30, key(KeyChord::plain(Key::Esc))),
                (500, key(KeyChord::plain(Key::Up)))
            ]
        );
    }

    /// Reads the bytes at once, after a pause, and split at each position into two reads.
    fn assert_read(bytes: &[u8], expected: &[InputEvent]) {
        let inputs = |lots: &[(u64, &[u8])]| -> Vec<_> {
            read(lots).into_iter().map(|(_, input)| input).collect()
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
            // Konsole; Alt with an arrow in rxvt; the one-byte introducers, raw and in UTF-8.
            (b"\x1bO5A", ctrl(Key::Up)),
            (b"\x1b\x1b[A", alt(Key::Up)),
            (b"\x1b\x1bOA", alt(Key::Up)),
            (b"\x9bA", KeyChord::plain(Key::Up)),
            (b"\xc2\x9bA", KeyChord::plain(Key::Up)),
            (b"\x8fP", KeyChord::plain(Key::F(1))),
            (b"\x1b[27;5;9~", ctrl(Key::Tab)),
            (b"\x1b[97;5u", KeyChord::ctrl('a')),
        ] {
            assert_read(bytes, &[key(chord)]);
        }
        // Unknown sequences are swallowed whole: SCO, Sun, wyse, an old mouse, answers.
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
            let answers = bytes
                .starts_with(b"\x9b?62")
                .then_some(InputEvent::Reply(attributes));
            assert_read(bytes, answers.as_slice());
        }
    }

    #[test]
    fn every_final_byte_ends_its_sequence() {
        let j = key(KeyChord::char('j'));
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
                let goes_on = ["\x1b[[", "\x1b[M", "\x1b[O"].map(str::as_bytes);
                if goes_on.contains(&&sequence[..]) {
                    continue;
                }
                let seen = read(&[(0, &sequence), (600, b"j")]);
                let typed = |(_, input): &(u64, InputEvent)| matches!(input, InputEvent::Key { chord, .. } if chord.typed_char().is_some());
                let typed: Vec<_> = seen.into_iter().filter(typed).collect();
                assert_eq!(typed, [(600, j.clone())], "{sequence:?}");
            }
        }
    }

    #[test]
    fn an_escape_before_a_non_key_is_a_key() {
        let esc = decode::ESC_KEY;
        let answer = InputEvent::Reply(TerminalReply::Attributes { has_sixel: false });
        assert_read(b"\x1b\x1b", &[esc.clone(), esc.clone()]);
        // Answers wait for no key.
        let seen = read(&[(0, b"\x1b\x1b[?62;c")]);
        assert_eq!(seen, [(0, answer), (0, esc.clone())]);
        assert_read(b"\x1b\x1b[I", &[esc.clone(), InputEvent::Focus(true)]);
        assert_read(b"\x1b\x1b]11;x\x07", std::slice::from_ref(&esc));
        assert_read(b"\x1b\x1b[200~q\x1b[201~", &[esc, paste("q")]);
    }

    #[test]
    fn keys_read_with_a_focus_loss_are_dropped() {
        let j = || key(KeyChord::char('j'));
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
                (100, key(KeyChord::char('w'))),
                (200, j()),
                (300, gained)
            ]
        );
    }

    #[test]
    fn an_unterminated_paste_times_out() {
        let seen = read(&[
            (0, b"\x1b[200~d q"),
            (500, b"q"),
            (1000, b"\x03"),
            (3000, b"\x03"),
        ]);
        assert_eq!(
            seen,
            [(2100, paste("d qq\x03")), (3000, key(KeyChord::ctrl('c')))]
        );
    }

    #[test]
    fn a_paste_containing_its_end_marker_is_one_paste() {
        let seen = read(&[(0, b"\x1b[200~one\x1b[201~q\rd\x1b[201~"), (500, b"j")]);
        assert_eq!(
            seen,
            [(100, paste("oneq\nd")), (500, key(KeyChord::char('j')))]
        );
    }

    #[test]
    fn a_megabyte_of_unbracketed_text_is_one_paste() {
        let text = "d q\r".repeat(256 * 1024);
        let lots: Vec<_> = text.as_bytes().chunks(4095).map(|lot| (0, lot)).collect();
        let seen = read(&lots);

        let [(100, InputEvent::Paste(pasted))] = &seen[..] else {
            panic!("{} events", seen.len())
        };
        assert_eq!(pasted, &text.replace('\r', "\n"));
    }

    #[test]
    fn terminal_replies_are_not_keys() {
        let answers = b"\x1b[12;40R\x1b[?62;22c\x1b]11;rgb:0/0/0\x07\x1bP>|x\x1b\\\x1b[0n";
        let seen = read(&[(0, answers)]);
        assert_eq!(seen.len(), 3);
        let mut messages = seen.into_iter().filter_map(|(_, input)| translate(input));
        assert_eq!(messages.next(), None);
    }

    #[test]
    fn unused_events_produce_no_message() {
        let report = MouseReport {
            column: 1,
            row: 1,
            kind: MouseReportKind::Move,
        };
        assert_eq!(translate(InputEvent::Mouse(report)), None);
        assert_eq!(mouse_action(report), None);
        let press = MouseReport {
            kind: MouseReportKind::Press(MouseButton::Left),
            ..report
        };
        assert_eq!(mouse_action(press), Some((MouseAction::Press, (1, 1))));
        assert_eq!(
            translate(InputEvent::Focus(false)),
            Some(Msg::Focused(TerminalFocus::Unfocused))
        );
        assert_eq!(translate(paste("q")), Some(Msg::Pasted("q".into())));
    }
}
