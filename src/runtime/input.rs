//! The terminal's events in the core's words. The only place that knows crossterm's.

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use crate::app::{
    keymap::{Key, KeyChord},
    msg::Msg,
};

/// Turns an event into a message; releases, lone modifiers and what nobody listens to become nothing.
pub fn translate(event: Event) -> Option<Msg> {
    match event {
        Event::Key(event) => {
            let is_repeat = match event.kind {
                KeyEventKind::Press => false,
                KeyEventKind::Repeat => true,
                KeyEventKind::Release => return None,
            };
            chord(event).map(|chord| Msg::Key { chord, is_repeat })
        }
        Event::Paste(text) => Some(Msg::Pasted(text)),
        Event::FocusGained | Event::FocusLost | Event::Mouse(_) | Event::Resize(..) => None,
    }
}

/// Turns a key event into a chord. Shift is dropped: the character carries it, and terminals differ on it.
fn chord(event: KeyEvent) -> Option<KeyChord> {
    let ctrl = event.modifiers.contains(KeyModifiers::CONTROL);
    let alt = event.modifiers.contains(KeyModifiers::ALT);
    let key = match event.code {
        KeyCode::Char(c) if ctrl => Key::Char(c.to_ascii_lowercase()),
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Esc,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Backspace => Key::Backspace,
        KeyCode::Delete => Key::Delete,
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::Left => Key::Left,
        KeyCode::Right => Key::Right,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::F(n) => Key::F(n),
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
    Some(KeyChord { key, ctrl, alt })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shift_is_part_of_the_character_and_releases_are_nothing() {
        let press = |code, modifiers| translate(Event::Key(KeyEvent::new(code, modifiers)));
        let key = |chord| {
            Some(Msg::Key {
                chord,
                is_repeat: false,
            })
        };

        assert_eq!(
            press(KeyCode::Char('G'), KeyModifiers::SHIFT),
            key(KeyChord::char('G'))
        );
        assert_eq!(
            press(KeyCode::Char('?'), KeyModifiers::SHIFT),
            key(KeyChord::char('?'))
        );
        assert_eq!(
            press(KeyCode::Char('C'), KeyModifiers::CONTROL),
            key(KeyChord::ctrl('c'))
        );
        let release = KeyEvent::new_with_kind(
            KeyCode::Char('q'),
            KeyModifiers::NONE,
            KeyEventKind::Release,
        );
        assert_eq!(translate(Event::Key(release)), None);
    }
}
