//! What a person does at the terminal, in words of our own, and those in the core's.
//!
//! Beneath it, one job each:
//!
//! - `keyboard`: reads the terminal's bytes as they come;
//! - `tokens`: cuts them into characters, whole sequences and whole pastes;
//! - `answer`: what the terminal answers when it is asked;
//! - `decode`: says what each means, with the parser library that nobody else knows;
//! - `burst`: keeps pasted text, marked or not, from being read as commands.

mod answer;
mod burst;
mod decode;
mod keyboard;
mod tokens;

use tokio::time::Instant;

pub use self::{
    answer::{Answer, CellSize, Colour},
    keyboard::Keyboard,
};
use self::{
    burst::Burst,
    tokens::{ESC_WAITS, Token, Tokens},
};
use crate::app::{keymap::KeyChord, msg::Msg, pointer::Gesture, tidings::Focus};

/// Is one thing a person did.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
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
    Answer(Answer),
    /// Came to this terminal (true) or went to another.
    Focus(bool),
}

/// Is what the terminal reports of the mouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MouseReport {
    /// The column, from 0.
    pub column: u16,
    /// The row, from 0.
    pub row: u16,
    /// What was done there.
    pub act: MouseAct,
}

/// Is one act of the mouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MouseAct {
    /// A button went down.
    Press(MouseButton),
    /// A button came up.
    Release(MouseButton),
    /// Moved with a button down.
    Drag(MouseButton),
    /// Moved.
    Move,
    /// The wheel turned by a notch.
    Turn(Wheel),
}

/// Is a button of the mouse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MouseButton {
    /// The first.
    Left,
    /// The wheel, pressed.
    Middle,
    /// The second.
    Right,
}

/// Is a way the wheel turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wheel {
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
pub fn translate(input: Input) -> Option<Msg> {
    match input {
        Input::Key { chord, is_repeat } => Some(Msg::Key { chord, is_repeat }),
        Input::Paste(text) => Some(Msg::Pasted(text)),
        Input::Focus(is_here) => Some(Msg::Focused(if is_here {
            Focus::Here
        } else {
            Focus::Away
        })),
        // What the mouse did something to is the screen's to say (see `pointed`); answers are for who asked.
        Input::Mouse(_) | Input::Answer(_) => None,
    }
}

/// Turns a report of the mouse into what was done and where, in columns and rows; releases, moves and other buttons
/// become nothing.
pub fn pointed(report: MouseReport) -> Option<(Gesture, (u16, u16))> {
    let gesture = match report.act {
        MouseAct::Press(MouseButton::Left) => Gesture::Press,
        MouseAct::Turn(Wheel::Down) => Gesture::WheelDown,
        MouseAct::Turn(Wheel::Up) => Gesture::WheelUp,
        MouseAct::Press(MouseButton::Middle | MouseButton::Right)
        | MouseAct::Release(_)
        | MouseAct::Drag(_)
        | MouseAct::Move
        | MouseAct::Turn(Wheel::Left | Wheel::Right) => return None,
    };
    Some((gesture, (report.column, report.row)))
}

/// Turns bytes into what a person did. It reads no clock and no file: both are handed in.
#[derive(Debug, Default)]
struct Reading {
    tokens: Tokens,
    burst: Burst,
    /// Keys before this time are ignored: nobody types into a terminal that has just lost the
    /// focus.
    untyped_until: Option<Instant>,
}

impl Reading {
    /// Is told that the terminal was asked something at that time.
    fn asked(&mut self, at: Instant) {
        self.tokens.asked(at);
    }

    /// Takes in all bytes that could be read at once.
    fn take(&mut self, lot: &[u8], now: Instant) {
        let Self {
            tokens,
            burst,
            untyped_until,
        } = self;
        // A byte that comes after its time is no part of what was begun before.
        tokens.give_up(now, |token| told(burst, token, now));
        tokens.take(lot, now, |token| {
            for input in inputs(token) {
                if let Input::Focus(is_here) = input {
                    *untyped_until = now.checked_add(ESC_WAITS).filter(|_| !is_here);
                }
                let is_untyped = untyped_until.is_some_and(|until| now < until);
                if !(is_untyped && matches!(input, Input::Key { .. })) {
                    burst.take(input, now);
                }
            }
        });
        burst.breathe(now);
    }

    /// Returns when [`Reading::settle`] is due.
    fn due(&self) -> Option<Instant> {
        [self.tokens.over(), self.burst.due()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Decides on what has waited long enough.
    fn settle(&mut self, now: Instant) {
        let Self { tokens, burst, .. } = self;
        let is_over = tokens.over().is_some_and(|over| over <= now);
        tokens.give_up(now, |token| told(burst, token, now));
        if is_over {
            burst.breathe(now);
        }
        burst.settle(now);
    }

    fn pop(&mut self) -> Option<Input> {
        self.burst.pop()
    }
}

fn told(burst: &mut Burst, token: Token, now: Instant) {
    for input in inputs(token) {
        burst.take(input, now);
    }
}

/// Returns the inputs of a token, in order.
fn inputs(token: Token) -> impl Iterator<Item = Input> {
    let (first, second) = match token {
        Token::Char(c) => (Some(decode::character(c)), None),
        Token::Sequence(bytes) => (decode::sequence(&bytes), None),
        Token::EscapedSequence(bytes) => match decode::sequence(&bytes) {
            Some(Input::Key { chord, is_repeat }) => {
                let chord = KeyChord { alt: true, ..chord };
                (Some(Input::Key { chord, is_repeat }), None)
            }
            other => (Some(decode::ESC), other),
        },
        Token::Answer(bytes) => (Answer::read(&bytes).map(Input::Answer), None),
        Token::Paste(text) => (Some(Input::Paste(text)), None),
    };
    first.into_iter().chain(second)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::app::keymap::Key;

    /// Reads lots at their milliseconds, keeping every deadline between them.
    fn read(lots: &[(u64, &[u8])]) -> Vec<(u64, Input)> {
        let start = Instant::now();
        let mut reading = Reading::default();
        let mut seen = Vec::new();
        let mut drain = |reading: &mut Reading, at: Instant| {
            let millis = u64::try_from(at.duration_since(start).as_millis()).unwrap();
            seen.extend(std::iter::from_fn(|| reading.pop()).map(|input| (millis, input)));
        };
        for (millis, lot) in lots {
            let now = start + Duration::from_millis(*millis);
            while let Some(due) = reading.due().filter(|due| *due <= now) {
                reading.settle(due);
                drain(&mut reading, due);
            }
            reading.take(lot, now);
            drain(&mut reading, now);
        }
        while let Some(due) = reading.due() {
            reading.settle(due);
            drain(&mut reading, due);
        }
        seen
    }

    fn key(chord: KeyChord) -> Input {
        Input::Key {
            chord,
            is_repeat: false,
        }
    }

    fn paste(text: &str) -> Input {
        Input::Paste(text.into())
    }

    #[test]
    fn an_escape_alone_is_a_key_after_a_moment_and_a_sequence_is_none() {
        assert_eq!(
            read(&[(0, b"\x1b"), (500, b"\x1b[A")]),
            [
                (30, key(KeyChord::plain(Key::Esc))),
                (500, key(KeyChord::plain(Key::Up)))
            ]
        );
    }

    /// Reads the bytes at once, after a pause, and split at each position into two reads.
    fn assert_read(bytes: &[u8], expected: &[Input]) {
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
    fn no_terminals_key_leaves_a_character_behind() {
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
            let attributes = Answer::Attributes { has_sixel: false };
            let answers = bytes
                .starts_with(b"\x9b?62")
                .then_some(Input::Answer(attributes));
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
                let typed = |(_, input): &(u64, Input)| matches!(input, Input::Key { chord, .. } if chord.typed().is_some());
                let typed: Vec<_> = seen.into_iter().filter(typed).collect();
                assert_eq!(typed, [(600, j.clone())], "{sequence:?}");
            }
        }
    }

    #[test]
    fn an_escape_before_what_is_no_key_is_a_key() {
        let esc = decode::ESC;
        let answer = Input::Answer(Answer::Attributes { has_sixel: false });
        assert_read(b"\x1b\x1b", &[esc.clone(), esc.clone()]);
        // Answers wait for no key.
        let seen = read(&[(0, b"\x1b\x1b[?62;c")]);
        assert_eq!(seen, [(0, answer), (0, esc.clone())]);
        assert_read(b"\x1b\x1b[I", &[esc.clone(), Input::Focus(true)]);
        assert_read(b"\x1b\x1b]11;x\x07", std::slice::from_ref(&esc));
        assert_read(b"\x1b\x1b[200~q\x1b[201~", &[esc, paste("q")]);
    }

    #[test]
    fn nobody_types_in_the_read_in_which_the_focus_is_lost() {
        let j = || key(KeyChord::char('j'));
        let (lost, gained) = (Input::Focus(false), Input::Focus(true));
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
    fn a_paste_that_never_ends_gives_the_keys_back_within_three_seconds() {
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
    fn a_paste_that_holds_its_own_end_is_one_paste() {
        let seen = read(&[(0, b"\x1b[200~one\x1b[201~q\rd\x1b[201~"), (500, b"j")]);
        assert_eq!(
            seen,
            [(100, paste("oneq\nd")), (500, key(KeyChord::char('j')))]
        );
    }

    #[test]
    fn raw_text_of_a_megabyte_is_one_paste() {
        let text = "d q\r".repeat(256 * 1024);
        let lots: Vec<_> = text.as_bytes().chunks(4095).map(|lot| (0, lot)).collect();
        let seen = read(&lots);

        let [(100, Input::Paste(pasted))] = &seen[..] else {
            panic!("{} events", seen.len())
        };
        assert_eq!(pasted, &text.replace('\r', "\n"));
    }

    #[test]
    fn answers_of_the_terminal_press_nothing() {
        let answers = b"\x1b[12;40R\x1b[?62;22c\x1b]11;rgb:0/0/0\x07\x1bP>|x\x1b\\\x1b[0n";
        let seen = read(&[(0, answers)]);
        assert_eq!(seen.len(), 3);
        let mut messages = seen.into_iter().filter_map(|(_, input)| translate(input));
        assert_eq!(messages.next(), None);
    }

    #[test]
    fn what_nobody_listens_to_is_no_message() {
        let report = MouseReport {
            column: 1,
            row: 1,
            act: MouseAct::Move,
        };
        assert_eq!(translate(Input::Mouse(report)), None);
        assert_eq!(pointed(report), None);
        let press = MouseReport {
            act: MouseAct::Press(MouseButton::Left),
            ..report
        };
        assert_eq!(pointed(press), Some((Gesture::Press, (1, 1))));
        assert_eq!(
            translate(Input::Focus(false)),
            Some(Msg::Focused(Focus::Away))
        );
        assert_eq!(translate(paste("q")), Some(Msg::Pasted("q".into())));
    }
}
