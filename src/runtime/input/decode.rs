//! Decodes characters and escape sequences into keys and mouse reports.
//!
//! termina's parser knows the keys of xterm, rxvt, the Linux console and the kitty protocol, and
//! the mouse. Each complete sequence gets a new parser, because after a malformed one it reads the
//! rest as keys.

use std::borrow::Cow;

use termina::{
    Event, Parser,
    event::{KeyCode, KeyEvent, KeyEventKind, Modifiers, MouseButton, MouseEvent, MouseEventKind},
};

use super::{event::InputEvent, reply::TerminalReply, sequence_reader::is_number};
use crate::app::{
    keymap::{Key, KeyChord},
    mouse::MouseAction,
};

pub(super) const ESC_KEY: InputEvent = InputEvent::press(KeyChord::plain(Key::Esc));

pub(super) fn decode_char(c: char) -> InputEvent {
    InputEvent::press(match c {
        '\r' => KeyChord::plain(Key::Enter),
        '\t' => KeyChord::plain(Key::Tab),
        // U+0008 is sent by xterm with an old setting, PuTTY and serial consoles.
        '\u{7f}' | '\u{8}' => KeyChord::plain(Key::Backspace),
        '\0' => KeyChord::ctrl(' '),
        '\u{1}'..='\u{1a}' => KeyChord::ctrl(offset_char(c, 'a' as u32 - 1)),
        '\u{1c}'..='\u{1f}' => KeyChord::ctrl(offset_char(c, '4' as u32 - 0x1c)),
        c => KeyChord::char(c),
    })
}

/// Decodes a complete escape sequence; `None` if it is unknown or an unused reply.
pub(super) fn decode_sequence(bytes: &[u8]) -> Option<InputEvent> {
    match bytes {
        // Alt with a key that may start a longer sequence.
        [0x1b, c @ (b'[' | b'O' | b']' | b'P' | b'_' | b'^' | b'X')] => {
            return Some(InputEvent::press(KeyChord {
                alt: true,
                ..KeyChord::char(char::from(*c))
            }));
        }
        [0x1b, b'[', b'?', .., b'c' | b'n'] | [0x1b, b'[', b'6', b';', .., b't'] => {
            return TerminalReply::parse(bytes.get(1..)?).map(InputEvent::Reply);
        }
        // Private parameters, which only replies have, except for the mouse (`<`). The parser gives
        // up at an empty first parameter and would read the rest as a key.
        [0x1b, b'[', b'?' | b'>' | b'=' | b';' | b':', ..] => return None,
        // Intermediates occur only in reports of modes and settings, except for rxvt's Shift.
        [0x1b, b'[', rest @ ..]
            if !bytes.starts_with(b"\x1b[M")
                && has_intermediate(rest.strip_suffix(b"$").unwrap_or(rest)) =>
        {
            return None;
        }
        _ => {}
    }
    let mut parser = Parser::default();
    parser.parse(&normalise_to_xterm(bytes), false);
    let event = parser.pop()?;
    // A second event is the rest of a malformed sequence.
    if parser.pop().is_some() {
        return None;
    }
    match event {
        Event::Key(event) => decode_key(event),
        Event::Mouse(event) => decode_mouse(event),
        Event::FocusIn => Some(InputEvent::Focus(true)),
        Event::FocusOut => Some(InputEvent::Focus(false)),
        Event::Paste(_)
        | Event::WindowResized(_)
        | Event::Csi(_)
        | Event::Osc(_)
        | Event::Dcs(_) => None,
    }
}

/// Rewrites the keys of rxvt, `PuTTY`, Konsole and `modifyOtherKeys` as xterm's defaults.
fn normalise_to_xterm(bytes: &[u8]) -> Cow<'_, [u8]> {
    let xterm = match bytes {
        // PuTTY in rxvt mode.
        b"\x1b[Ow" => b"\x1b[F".to_vec(),
        // rxvt: Shift or Ctrl with an arrow; Shift, Ctrl or both with another named key.
        [0x1b, b'[', arrow @ b'a'..=b'd'] => vec![0x1b, b'[', arrow - 0x20],
        [0x1b, b'O', arrow @ b'a'..=b'd'] => vec![0x1b, b'[', b'1', b';', b'5', arrow - 0x20],
        [0x1b, b'[', number @ .., b'$'] if is_number(number) => [b"\x1b[", number, b";2~"].concat(),
        [0x1b, b'[', number @ .., b'^'] if is_number(number) => [b"\x1b[", number, b";5~"].concat(),
        [0x1b, b'[', number @ .., b'@'] if is_number(number) => [b"\x1b[", number, b";6~"].concat(),
        // A modifier, alone or after a 1, in a sequence that has none in other terminals.
        [0x1b, b'O', b'1', b';', modifier @ .., key] | [0x1b, b'O', modifier @ .., key]
            if is_number(modifier) =>
        {
            [b"\x1b[1;", modifier, &[*key]].concat()
        }
        [0x1b, b'[', b'2', b'7', b';', rest @ .., b'~'] => {
            let mut numbers = rest.splitn(2, |byte| *byte == b';');
            match (numbers.next(), numbers.next()) {
                (Some(modifier), Some(code)) if is_number(modifier) && is_number(code) => {
                    [b"\x1b[", code, b";", modifier, b"u"].concat()
                }
                _ => return bytes.into(),
            }
        }
        _ => return bytes.into(),
    };
    xterm.into()
}

fn has_intermediate(rest: &[u8]) -> bool {
    rest.iter().any(|byte| (0x20..0x30).contains(byte))
}

fn offset_char(c: char, by: u32) -> char {
    char::from_u32(c as u32 + by).unwrap_or(c)
}

/// Decodes a key event. Shift is dropped: it is part of the character, and terminals differ in
/// reporting it.
fn decode_key(event: KeyEvent) -> Option<InputEvent> {
    let is_repeat = match event.kind {
        KeyEventKind::Press => false,
        KeyEventKind::Repeat => true,
        KeyEventKind::Release => return None,
    };
    let mut ctrl = event.modifiers.contains(Modifiers::CONTROL);
    let alt = event.modifiers.contains(Modifiers::ALT);
    let key = match event.code {
        KeyCode::Backspace | KeyCode::Char('\u{8}') => Key::Backspace,
        // Private-use code points of the kitty protocol: keys without a character.
        KeyCode::Char(c) if c.is_control() || ('\u{e000}'..='\u{f8ff}').contains(&c) => {
            return None;
        }
        KeyCode::Char(c) if ctrl => {
            let c = c.to_ascii_lowercase();
            let alias = Key::ctrl_alias(c);
            ctrl = alias.is_none();
            alias.unwrap_or(Key::Char(c))
        }
        // The kitty protocol reports the unshifted key with Shift.
        KeyCode::Char(c) if event.modifiers.contains(Modifiers::SHIFT) => {
            Key::Char(c.to_ascii_uppercase())
        }
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Escape => Key::Esc,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Delete => Key::Delete,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Function(n) => Key::F(n),
        KeyCode::Insert
        | KeyCode::Null
        | KeyCode::CapsLock
        | KeyCode::ScrollLock
        | KeyCode::NumLock
        | KeyCode::PrintScreen
        | KeyCode::Pause
        | KeyCode::Menu
        | KeyCode::KeypadBegin
        | KeyCode::Media(_)
        | KeyCode::Modifier(_) => return None,
    };
    Some(InputEvent::Key {
        chord: KeyChord { key, ctrl, alt },
        is_repeat,
    })
}

/// Decodes a mouse event; `None` for releases, moves and other buttons.
fn decode_mouse(event: MouseEvent) -> Option<InputEvent> {
    let action = match event.kind {
        MouseEventKind::Down(MouseButton::Left) => MouseAction::Press,
        MouseEventKind::ScrollDown => MouseAction::WheelDown,
        MouseEventKind::ScrollUp => MouseAction::WheelUp,
        MouseEventKind::Down(MouseButton::Middle | MouseButton::Right)
        | MouseEventKind::Up(_)
        | MouseEventKind::Drag(_)
        | MouseEventKind::Moved
        | MouseEventKind::ScrollLeft
        | MouseEventKind::ScrollRight => return None,
    };
    Some(InputEvent::Mouse(action, (event.column, event.row)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_encoding_is_decoded() {
        for (key, encodings) in [
            (Key::Up, &["\x1b[A", "\x1bOA", "\x1b[1;2A", "\x1b[a"][..]),
            (Key::Down, &["\x1b[B", "\x1bOB"]),
            (Key::Right, &["\x1b[C", "\x1bOC"]),
            (Key::Left, &["\x1b[D", "\x1bOD"]),
            (
                Key::Home,
                &["\x1b[H", "\x1bOH", "\x1b[1~", "\x1b[7~", "\x1b[7$"],
            ),
            (
                Key::End,
                &[
                    "\x1b[F", "\x1bOF", "\x1b[4~", "\x1b[8~", "\x1b[8$", "\x1b[Ow",
                ],
            ),
            (Key::PageUp, &["\x1b[5~"]),
            (Key::PageDown, &["\x1b[6~"]),
            (Key::Delete, &["\x1b[3~"]),
            (Key::BackTab, &["\x1b[Z", "\x1b[9;2u"]),
            (Key::Esc, &["\x1b", "\x1b[27u"]),
            (Key::Enter, &["\x1b[13u"]),
            (Key::Tab, &["\x1b[9u", "\x1b[105;5u"]),
            (
                Key::Backspace,
                &["\x1b[127u", "\x1b[8u", "\x1b[104;5u", "\x1b[27;5;104~"],
            ),
            (Key::F(1), &["\x1bOP", "\x1b[11~", "\x1b[[A", "\x1b[P"]),
            (Key::F(4), &["\x1bOS", "\x1b[14~", "\x1b[S"]),
            (Key::F(5), &["\x1b[15~", "\x1b[[E"]),
            (Key::F(12), &["\x1b[24~"]),
        ] {
            for encoding in encodings {
                assert_eq!(
                    decode_sequence(encoding.as_bytes()),
                    Some(InputEvent::press(KeyChord::plain(key))),
                    "{encoding:?}"
                );
            }
        }
    }

    #[test]
    fn modifiers_are_decoded() {
        let alt = |key| KeyChord {
            alt: true,
            ..KeyChord::plain(key)
        };
        let ctrl = |key| KeyChord {
            ctrl: true,
            ..KeyChord::plain(key)
        };
        for (encoding, chord) in [
            ("\x1bx", alt(Key::Char('x'))),
            ("\x1bX", alt(Key::Char('X'))),
            ("\x1bé", alt(Key::Char('é'))),
            ("\x1b\r", alt(Key::Enter)),
            ("\x1b\u{7f}", alt(Key::Backspace)),
            ("\x1b\u{8}", alt(Key::Backspace)),
            ("\x1b[127;5u", ctrl(Key::Backspace)),
            ("\x1b[8;5u", ctrl(Key::Backspace)),
            ("\x1b[27;5;127~", ctrl(Key::Backspace)),
            ("\x1b[27;5;9~", ctrl(Key::Tab)),
            ("\x1bOa", ctrl(Key::Up)),
            ("\x1bOd", ctrl(Key::Left)),
            ("\x1bO5A", ctrl(Key::Up)),
            ("\x1bO1;5A", ctrl(Key::Up)),
            ("\x1b[7^", ctrl(Key::Home)),
            ("\x1b[8@", ctrl(Key::End)),
            ("\x1b[3^", ctrl(Key::Delete)),
            ("\x1b[", alt(Key::Char('['))),
            ("\x1b[1;5C", ctrl(Key::Right)),
            ("\x1b[1;3D", alt(Key::Left)),
            ("\x1b[99;5u", KeyChord::ctrl('c')),
            ("\x1b[103;2u", KeyChord::char('G')),
            ("\x1b[103:71;2u", KeyChord::char('G')),
            ("\x1b[63;2u", KeyChord::char('?')),
            (
                "\x1b\x04",
                KeyChord {
                    alt: true,
                    ..KeyChord::ctrl('d')
                },
            ),
        ] {
            assert_eq!(
                decode_sequence(encoding.as_bytes()),
                Some(InputEvent::press(chord)),
                "{encoding:?}"
            );
        }
    }

    #[test]
    fn characters_are_keys() {
        for (c, chord) in [
            ('q', KeyChord::char('q')),
            ('G', KeyChord::char('G')),
            ('漢', KeyChord::char('漢')),
            ('\r', KeyChord::plain(Key::Enter)),
            ('\t', KeyChord::plain(Key::Tab)),
            ('\u{7f}', KeyChord::plain(Key::Backspace)),
            ('\u{8}', KeyChord::plain(Key::Backspace)),
            ('\u{3}', KeyChord::ctrl('c')),
            ('\u{1a}', KeyChord::ctrl('z')),
            ('\n', KeyChord::ctrl('j')),
            ('\0', KeyChord::ctrl(' ')),
            ('\u{1c}', KeyChord::ctrl('4')),
        ] {
            assert_eq!(decode_char(c), InputEvent::press(chord), "{c:?}");
        }
    }

    #[test]
    fn releases_are_ignored_and_repeats_marked() {
        assert_eq!(decode_sequence(b"\x1b[113;1:3u"), None);
        assert_eq!(
            decode_sequence(b"\x1b[1;1:2B"),
            Some(InputEvent::Key {
                chord: KeyChord::plain(Key::Down),
                is_repeat: true
            })
        );
    }

    #[test]
    fn mouse_and_focus_events_are_decoded() {
        for (encoding, action) in [
            ("\x1b[<0;10;5M", Some(MouseAction::Press)),
            ("\x1b[M *%", Some(MouseAction::Press)),
            ("\x1b[<64;10;5M", Some(MouseAction::WheelUp)),
            ("\x1b[<65;10;5M", Some(MouseAction::WheelDown)),
            // The right button, a release, a drag and a move.
            ("\x1b[<2;10;5M", None),
            ("\x1b[<0;10;5m", None),
            ("\x1b[<32;10;5M", None),
            ("\x1b[<35;10;5M", None),
        ] {
            assert_eq!(
                decode_sequence(encoding.as_bytes()),
                action.map(|action| InputEvent::Mouse(action, (9, 4))),
                "{encoding:?}"
            );
        }
        assert_eq!(decode_sequence(b"\x1b[I"), Some(InputEvent::Focus(true)));
        assert_eq!(decode_sequence(b"\x1b[O"), Some(InputEvent::Focus(false)));
    }

    #[test]
    fn replies_and_broken_sequences_are_not_keys() {
        for answer in [
            "\x1b[12;40R",
            "\x1b[0n",
            "\x1b[>1;4000;0c",
            "\x1b[?2026;2$y",
            "\x1b[?1u",
            "\x1b[8;24;80t",
            "\x1b[?997;3n",
            "\x1b[201~",
            "\x1b[99999999999999999999u",
            "\x1b[1;1;1;1;1;1q",
            "\x1b[<999;1;1M",
            "\x1b[<;;M",
            "\x1b[;u",
            "\x1b[~",
            "\x1b[1\x07",
            "\x1b[!p",
            "\x1b[\x7f",
            "\x1b[1 q",
            "\x1bO\x07",
            "\x1bO2q",
            "\x1bO2@",
            "\x1b[Ox",
            "\x1b[$",
            "\x1b[^",
            "\x1b[@",
            "\x1b[2;3$",
            "\x1b[27;5~",
            "\x1b[27;;~",
            "\x1b[57352u",
            "\x1b[214z",
            "\x1b[[Z",
            "\x1b[{",
        ] {
            assert_eq!(decode_sequence(answer.as_bytes()), None, "{answer:?}");
        }
    }

    #[test]
    fn requested_replies_are_decoded() {
        let attributes = TerminalReply::Attributes { has_sixel: true };
        let answer = decode_sequence(b"\x1b[?62;4;22c");
        assert_eq!(answer, Some(InputEvent::Reply(attributes)));
        let answer = decode_sequence(b"\x1b[?997;2n");
        assert_eq!(
            answer,
            Some(InputEvent::Reply(TerminalReply::SchemeChanged))
        );
        let answer = decode_sequence(b"\x1b[6;18;9t");
        assert!(matches!(
            answer,
            Some(InputEvent::Reply(TerminalReply::CellSize(_)))
        ));
    }

    #[test]
    fn three_byte_sequences_do_not_panic() {
        for introducer in [&b"\x1b["[..], b"\x1bO", b"\x1b[<", b"\x1b[1;", b"\x1b"] {
            for first in 0..=u8::MAX {
                for last in 0..=u8::MAX {
                    let bytes = [introducer, &[first, last]].concat();
                    drop(decode_sequence(&bytes));
                    drop(decode_sequence(&[&bytes[..], b";", b"1M"].concat()));
                }
            }
        }
    }
}
