//! Keys with modifiers: their display names and their config file syntax.
//!
//! Keys that terminals cannot distinguish are one key here.

use std::fmt;

use crate::domain::text::CleanText;

/// A key without modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A character; upper case is the character itself, not a modifier.
    Char(char),
    Enter,
    Esc,
    Tab,
    /// Shift-Tab, which terminals send as a key of its own.
    BackTab,
    Backspace,
    Delete,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    F(u8),
}

impl Key {
    /// Returns the key that sends the same byte as this character with Ctrl.
    pub const fn ctrl_alias(c: char) -> Option<Self> {
        match c {
            'h' => Some(Self::Backspace),
            'i' => Some(Self::Tab),
            'm' => Some(Self::Enter),
            '[' => Some(Self::Esc),
            _ => None,
        }
    }
}

/// A key with its modifiers. Shift is part of the character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyChord {
    pub key: Key,
    pub ctrl: bool,
    pub alt: bool,
}

impl KeyChord {
    pub const fn plain(key: Key) -> Self {
        Self {
            key,
            ctrl: false,
            alt: false,
        }
    }

    pub const fn char(c: char) -> Self {
        Self::plain(Key::Char(c))
    }

    pub const fn ctrl(c: char) -> Self {
        Self {
            key: Key::Char(c),
            ctrl: true,
            alt: false,
        }
    }

    /// Returns the character that the key types; `None` if it types none.
    pub const fn typed_char(self) -> Option<char> {
        match self {
            Self {
                key: Key::Char(c),
                ctrl: false,
                alt: false,
            } => Some(c),
            _ => None,
        }
    }

    /// Returns the name in ASCII, for sentences and ASCII-only screens: arrows are words.
    pub fn ascii(self) -> String {
        self.name_with(|named| named.1)
    }

    /// Returns the name in the config file, which [`parse`](Self::parse) accepts.
    pub fn config_name(self) -> String {
        if let Key::Char(c) = self.key
            && c != ' '
        {
            return format!("{}{c}", self.modifiers().to_lowercase());
        }
        self.ascii().to_lowercase()
    }

    /// Returns the name with that column of the table of named keys.
    fn name_with(self, column: fn(&NamedKey) -> &'static str) -> String {
        let name = match (self.key, self.ctrl) {
            (Key::F(n), _) => format!("F{n}"),
            (Key::Char(c), true) if c != ' ' => c.to_ascii_uppercase().to_string(),
            (Key::Char(c), false) if c != ' ' => c.to_string(),
            (key, _) => {
                let named = NAMED_KEYS.iter().find(|named| named.0 == key);
                named.map_or("", column).to_owned()
            }
        };
        format!("{}{name}", self.modifiers())
    }

    /// Parses a key of the config file: `o`, `G`, `ctrl-d`, `alt-x`, `space`, `f1`, `pgup`.
    ///
    /// Names and modifiers ignore case; a single character is itself. Terminals report Shift only
    /// for characters and Tab, and cannot distinguish some keys ([`Key::ctrl_alias`]).
    pub fn parse(text: &str) -> Result<Self, ChordError> {
        let mut rest = text.trim_matches(' ');
        let (mut ctrl, mut alt, mut shift) = (false, false, false);
        while let Some((modifier, after)) =
            rest.split_once('-').filter(|(_, after)| !after.is_empty())
        {
            let flag = match modifier.to_lowercase().as_str() {
                "ctrl" => &mut ctrl,
                "alt" => &mut alt,
                "shift" => &mut shift,
                _ => return Err(ChordError::UnknownKey),
            };
            *flag = true;
            rest = after;
        }
        let mut key = parse_key(rest).ok_or(ChordError::UnknownKey)?;
        if shift {
            key = shifted(key).ok_or(ChordError::ShiftNotReported)?;
        }
        if ctrl && let Key::Char(c) = key {
            let c = c.to_ascii_lowercase();
            key = Key::Char(c);
            if let Some(alias) = Key::ctrl_alias(c) {
                return Err(ChordError::SameAs(alias));
            }
        }
        Ok(Self { key, ctrl, alt })
    }

    const fn modifiers(self) -> &'static str {
        match (self.ctrl, self.alt) {
            (true, true) => "Ctrl-Alt-",
            (true, false) => "Ctrl-",
            (false, true) => "Alt-",
            (false, false) => "",
        }
    }
}

/// A key with a name: in ASCII, as displayed, and in other spellings that the config file may use.
type NamedKey = (Key, &'static str, &'static str, &'static [&'static str]);

const NAMED_KEYS: [NamedKey; 15] = [
    (Key::Char(' '), "Space", "Space", &[]),
    (Key::Enter, "Enter", "Enter", &["return"]),
    (Key::Esc, "Esc", "Esc", &["escape"]),
    (Key::Tab, "Tab", "Tab", &[]),
    (Key::BackTab, "Shift-Tab", "Shift-Tab", &["backtab"]),
    (Key::Backspace, "Backspace", "Backspace", &[]),
    (Key::Delete, "Del", "Del", &["delete"]),
    (Key::Up, "Up", "↑", &[]),
    (Key::Down, "Down", "↓", &[]),
    (Key::Left, "Left", "←", &[]),
    (Key::Right, "Right", "→", &[]),
    (Key::Home, "Home", "Home", &[]),
    (Key::End, "End", "End", &[]),
    (Key::PageUp, "PgUp", "PgUp", &["pageup", "page_up"]),
    (Key::PageDown, "PgDn", "PgDn", &["pagedown", "page_down"]),
];

/// The highest function key that terminals report.
const MAX_FUNCTION_KEY: u8 = 24;

/// Parses a key without modifiers. Names ignore case.
fn parse_key(text: &str) -> Option<Key> {
    let lower = text.to_lowercase();
    let is_name = |(_, ascii, displayed, others): &&NamedKey| {
        ascii.eq_ignore_ascii_case(text) || *displayed == text || others.contains(&lower.as_str())
    };
    if let Some((key, ..)) = NAMED_KEYS.iter().find(is_name) {
        return Some(*key);
    }
    let mut chars = text.chars();
    if let (Some(c), None) = (chars.next(), chars.next()) {
        // No keyboard types a character that sanitising would remove.
        let is_plain = CleanText::line(text, 64).as_str() == text;
        return is_plain.then_some(Key::Char(c));
    }
    let number = lower.strip_prefix('f')?.parse().ok();
    let number = number.filter(|number| (1..=MAX_FUNCTION_KEY).contains(number));
    number.map(Key::F)
}

/// Returns the key that Shift makes of this one, if terminals report it.
fn shifted(key: Key) -> Option<Key> {
    if matches!(key, Key::Tab | Key::BackTab) {
        return Some(Key::BackTab);
    }
    let Key::Char(c) = key else { return None };
    c.is_ascii_alphabetic()
        .then_some(Key::Char(c.to_ascii_uppercase()))
}

/// The reason why a text is not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChordError {
    UnknownKey,
    /// Terminals send the key without Shift.
    ShiftNotReported,
    /// Terminals send the other key.
    SameAs(Key),
}

impl fmt::Display for KeyChord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name_with(|named| named.2))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_parsed_in_common_spellings() {
        let table = [
            ("o", KeyChord::char('o')),
            ("G", KeyChord::char('G')),
            ("shift-g", KeyChord::char('G')),
            ("-", KeyChord::char('-')),
            ("ctrl-d", KeyChord::ctrl('d')),
            ("Ctrl-D", KeyChord::ctrl('d')),
            ("ctrl--", KeyChord::ctrl('-')),
            ("space", KeyChord::char(' ')),
            ("Shift-Tab", KeyChord::plain(Key::BackTab)),
            ("PgUp", KeyChord::plain(Key::PageUp)),
            ("↓", KeyChord::plain(Key::Down)),
            ("f12", KeyChord::plain(Key::F(12))),
            ("ü", KeyChord::char('ü')),
        ];
        for (text, chord) in table {
            assert_eq!(KeyChord::parse(text), Ok(chord), "{text}");
        }
        let alt = KeyChord::parse("alt-enter").unwrap();
        assert_eq!((alt.key, alt.ctrl, alt.alt), (Key::Enter, false, true));
    }

    #[test]
    fn keys_that_terminals_cannot_send_are_rejected() {
        let table = [
            ("", ChordError::UnknownKey),
            ("gg", ChordError::UnknownKey),
            ("hyper-x", ChordError::UnknownKey),
            ("f0", ChordError::UnknownKey),
            ("f25", ChordError::UnknownKey),
            ("ctrl-", ChordError::UnknownKey),
            ("shift-up", ChordError::ShiftNotReported),
            ("shift-1", ChordError::ShiftNotReported),
            ("ctrl-i", ChordError::SameAs(Key::Tab)),
            ("ctrl-h", ChordError::SameAs(Key::Backspace)),
            ("ctrl-M", ChordError::SameAs(Key::Enter)),
            ("ctrl-[", ChordError::SameAs(Key::Esc)),
        ];
        for (text, error) in table {
            assert_eq!(KeyChord::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn messages_name_arrows_in_words() {
        let chord = KeyChord {
            alt: true,
            ..KeyChord::plain(Key::Up)
        };
        assert_eq!(chord.ascii(), "Alt-Up");
        assert_eq!(chord.to_string(), "Alt-↑");
    }

    fn any_chord() -> impl Strategy<Value = KeyChord> {
        let named = proptest::sample::select(NAMED_KEYS.map(|named| named.0).to_vec());
        let key = prop_oneof![
            named,
            (1..=MAX_FUNCTION_KEY).prop_map(Key::F),
            proptest::char::any().prop_filter_map("typed by a keyboard", |c| {
                let arrows = ['↑', '↓', '←', '→'];
                let text = c.to_string();
                let is_plain = CleanText::line(&text, 64).as_str() == text;
                (is_plain && !arrows.contains(&c)).then_some(Key::Char(c))
            }),
        ];
        let chord = (key, any::<bool>(), any::<bool>()).prop_map(|(key, ctrl, alt)| {
            // Ctrl has no upper case.
            let typed = KeyChord::plain(key).typed_char().filter(|_| ctrl);
            let key = typed.map_or(key, |c| Key::Char(c.to_ascii_lowercase()));
            KeyChord { key, ctrl, alt }
        });
        chord.prop_filter("distinguished by terminals", |chord| {
            !chord.ctrl || !matches!(chord.key, Key::Char(c) if Key::ctrl_alias(c).is_some())
        })
    }

    proptest! {
        #[test]
        fn chords_round_trip(chord in any_chord()) {
            prop_assert_eq!(KeyChord::parse(&chord.config_name()), Ok(chord));
            prop_assert_eq!(KeyChord::parse(&chord.to_string()), Ok(chord));
        }
    }
}
