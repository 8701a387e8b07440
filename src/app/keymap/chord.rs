//! Keys with their modifiers: how they are shown, and how they are written in the config file.
//!
//! Knows nothing of what a key means. What terminals cannot tell apart is one key here.

use std::fmt;

use crate::domain::text::CleanText;

/// A key without its modifiers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// A character; upper case is the character itself, not a modifier.
    Char(char),
    /// Return.
    Enter,
    /// Escape.
    Esc,
    /// Tab.
    Tab,
    /// Tab with Shift, as terminals send it.
    BackTab,
    /// Backspace.
    Backspace,
    /// Delete.
    Delete,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow left.
    Left,
    /// Arrow right.
    Right,
    /// Home.
    Home,
    /// End.
    End,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// A function key.
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
    /// The key.
    pub key: Key,
    /// Whether Ctrl was held.
    pub ctrl: bool,
    /// Whether Alt was held.
    pub alt: bool,
}

impl KeyChord {
    /// Returns a key without modifiers.
    pub const fn plain(key: Key) -> Self {
        Self {
            key,
            ctrl: false,
            alt: false,
        }
    }

    /// Returns a character without modifiers.
    pub const fn char(c: char) -> Self {
        Self::plain(Key::Char(c))
    }

    /// Returns a character with Ctrl.
    pub const fn ctrl(c: char) -> Self {
        Self {
            key: Key::Char(c),
            ctrl: true,
            alt: false,
        }
    }

    /// Returns the character it types, if it types one.
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

    /// Returns the name shown where only ASCII is drawn, and in sentences: arrows are words.
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

    /// Returns the way it is written in the config file; [`parse`](Self::parse) takes it back.
    pub fn config_name(self) -> String {
        let modifiers = self.modifiers().to_lowercase();
        let known = NAMES.iter().find(|(_, named)| *named == self.key);
        match (known, self.key) {
            (Some((name, _)), _) => format!("{modifiers}{name}"),
            (None, Key::Char(c)) => format!("{modifiers}{c}"),
            // What else has no name in the table are function keys, which write their own.
            (None, key) => format!("{modifiers}{}", Self::plain(key).to_string().to_lowercase()),
        }
    }

    /// Reads a key as it is written in the config file: `o`, `G`, `ctrl-d`, `alt-x`, `space`, `f1`,
    /// `pgup`.
    ///
    /// Names and modifiers ignore case; a single character stands for itself. A terminal reports
    /// Shift only for characters and Tab, and cannot tell some keys apart ([`Key::ctrl_alias`]).
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
        let mut key = key(rest).ok_or(ChordError::UnknownKey)?;
        if shift {
            key = shifted(key).ok_or(ChordError::ShiftNotReported)?;
        }
        if ctrl && let Key::Char(c) = key {
            let c = c.to_ascii_lowercase();
            key = Key::Char(c);
            if let Some(twin) = Key::ctrl_alias(c) {
                let name = NAMES.iter().find(|(_, named)| *named == twin);
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

/// The keys that are written by name; of several names the first is written.
const NAMES: [(&str, Key); 27] = [
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

/// The highest function key that terminals tell.
const LAST_F: u8 = 24;

/// Reads a key without its modifiers.
fn key(text: &str) -> Option<Key> {
    let named = |text: &str| {
        let known = NAMES.iter().find(|(name, _)| *name == text);
        known.map(|(_, key)| *key)
    };
    let mut chars = text.chars();
    if let (Some(c), None) = (chars.next(), chars.next()) {
        // What would have to be cleaned before it is shown is on no keyboard.
        let is_plain = CleanText::line(text, 64).as_str() == text;
        return named(text).or_else(|| is_plain.then_some(Key::Char(c)));
    }
    let text = text.to_lowercase();
    let function = || {
        let n = text.strip_prefix('f')?.parse().ok()?;
        (1..=LAST_F).contains(&n).then_some(Key::F(n))
    };
    named(&text).or_else(function)
}

/// Returns what a key becomes with Shift, where terminals tell.
fn shifted(key: Key) -> Option<Key> {
    if matches!(key, Key::Tab | Key::BackTab) {
        return Some(Key::BackTab);
    }
    let Key::Char(c) = key else { return None };
    c.is_ascii_alphabetic()
        .then_some(Key::Char(c.to_ascii_uppercase()))
}

/// Why a text is no key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChordError {
    /// There is no such key.
    #[error(
        "is no key; keys are written like o, G, ctrl-d, alt-x, space, enter, shift-tab, pgup, f1"
    )]
    UnknownKey,
    /// Terminals do not tell Shift for it.
    #[error("cannot be told from the key without shift in a terminal")]
    ShiftNotReported,
    /// Terminals send it as another key.
    #[error("is the same key as {0} in a terminal")]
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
    fn keys_no_terminal_sends_are_refused() {
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
        let named = proptest::sample::select(NAMES.map(|(_, key)| key).to_vec());
        let key = prop_oneof![
            named,
            (1..=LAST_F).prop_map(Key::F),
            proptest::char::any().prop_filter_map("a key of a keyboard", |c| {
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
        chord.prop_filter("told apart by terminals", |chord| {
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
