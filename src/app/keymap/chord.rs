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
        let arrow = match self.key {
            Key::Up => "Up",
            Key::Down => "Down",
            Key::Left => "Left",
            Key::Right => "Right",
            Key::Char(_)
            | Key::Enter
            | Key::Esc
            | Key::Tab
            | Key::BackTab
            | Key::Backspace
            | Key::Delete
            | Key::Home
            | Key::End
            | Key::PageUp
            | Key::PageDown
            | Key::F(_) => return self.to_string(),
        };
        format!("{}{arrow}", self.modifiers())
    }

    /// Returns the name in the config file, which [`parse`](Self::parse) accepts.
    pub fn config_name(self) -> String {
        let modifiers = self.modifiers().to_lowercase();
        let known = KEY_NAMES.iter().find(|(_, named)| *named == self.key);
        match (known, self.key) {
            (Some((name, _)), _) => format!("{modifiers}{name}"),
            (None, Key::Char(c)) => format!("{modifiers}{c}"),
            // Only function keys have no name in the table; `Display` writes theirs.
            (None, key) => format!("{modifiers}{}", Self::plain(key).to_string().to_lowercase()),
        }
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
                let name = KEY_NAMES.iter().find(|(_, named)| *named == alias);
                return Err(ChordError::SameAs(name.map_or("", |(name, _)| name)));
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

/// The named keys. If a key has several names, the first one is written.
const KEY_NAMES: [(&str, Key); 27] = [
    ("space", Key::Char(' ')),
    ("enter", Key::Enter),
    ("return", Key::Enter),
    ("esc", Key::Esc),
    ("escape", Key::Esc),
    ("tab", Key::Tab),
    ("shift-tab", Key::BackTab),
    ("backtab", Key::BackTab),
    ("backspace", Key::Backspace),
    ("del", Key::Delete),
    ("delete", Key::Delete),
    ("up", Key::Up),
    ("↑", Key::Up),
    ("down", Key::Down),
    ("↓", Key::Down),
    ("left", Key::Left),
    ("←", Key::Left),
    ("right", Key::Right),
    ("→", Key::Right),
    ("home", Key::Home),
    ("end", Key::End),
    ("pgup", Key::PageUp),
    ("pageup", Key::PageUp),
    ("page_up", Key::PageUp),
    ("pgdn", Key::PageDown),
    ("pagedown", Key::PageDown),
    ("page_down", Key::PageDown),
];

/// The highest function key that terminals report.
const MAX_FUNCTION_KEY: u8 = 24;

/// Parses a key without modifiers.
fn parse_key(text: &str) -> Option<Key> {
    let named = |text: &str| {
        let known = KEY_NAMES.iter().find(|(name, _)| *name == text);
        known.map(|(_, key)| *key)
    };
    let mut chars = text.chars();
    if let (Some(c), None) = (chars.next(), chars.next()) {
        // No keyboard types a character that sanitising would remove.
        let is_plain = CleanText::line(text, 64).as_str() == text;
        return named(text).or_else(|| is_plain.then_some(Key::Char(c)));
    }
    let text = text.to_lowercase();
    let function_key = || {
        let n = text.strip_prefix('f')?.parse().ok()?;
        (1..=MAX_FUNCTION_KEY).contains(&n).then_some(Key::F(n))
    };
    named(&text).or_else(function_key)
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
    /// Terminals send the other key, named here.
    SameAs(&'static str),
}

impl fmt::Display for KeyChord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.modifiers())?;
        match self.key {
            Key::Char(' ') => f.write_str("Space"),
            Key::Char(c) if self.ctrl => write!(f, "{}", c.to_ascii_uppercase()),
            Key::Char(c) => write!(f, "{c}"),
            Key::Enter => f.write_str("Enter"),
            Key::Esc => f.write_str("Esc"),
            Key::Tab => f.write_str("Tab"),
            Key::BackTab => f.write_str("Shift-Tab"),
            Key::Backspace => f.write_str("Backspace"),
            Key::Delete => f.write_str("Del"),
            Key::Up => f.write_str("↑"),
            Key::Down => f.write_str("↓"),
            Key::Left => f.write_str("←"),
            Key::Right => f.write_str("→"),
            Key::Home => f.write_str("Home"),
            Key::End => f.write_str("End"),
            Key::PageUp => f.write_str("PgUp"),
            Key::PageDown => f.write_str("PgDn"),
            Key::F(n) => write!(f, "F{n}"),
        }
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
            ("ctrl-i", ChordError::SameAs("tab")),
            ("ctrl-h", ChordError::SameAs("backspace")),
            ("ctrl-M", ChordError::SameAs("enter")),
            ("ctrl-[", ChordError::SameAs("esc")),
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
        let named = proptest::sample::select(KEY_NAMES.map(|(_, key)| key).to_vec());
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
