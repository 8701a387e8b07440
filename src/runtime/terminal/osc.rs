//! Escape sequences for the clipboard and for notifications, chosen for the terminal.
//!
//! No terminal replies to them, and those that do not know a sequence ignore it.

use std::{ffi::OsString, fmt::Write as _};

use crossterm::{Command as _, clipboard::CopyToClipboard};

pub(super) const BELL: &str = "\x07";

/// The longest string that GNU screen passes through, in bytes, with its wrapping; it prints the
/// rest of a longer one.
const MAX_SCREEN_LEN: usize = 768;

const SCREEN_START: &str = "\x1bP";
const SCREEN_END: &str = "\x1b\\";

/// In bytes, title and body each.
const MAX_NOTIFICATION_LEN: usize = 256;

/// The escape sequences that the terminal supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TerminalCaps {
    notify_sequence: NotifySequence,
    multiplexer: Multiplexer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum NotifySequence {
    /// No notifications.
    #[default]
    Bell,
    /// `OSC 9 ; body` (iTerm2, `ConEmu` and Windows Terminal).
    Osc9,
    /// `OSC 777 ; notify ; title ; body` (foot, `WezTerm`, Ghostty, urxvt).
    Osc777,
    /// `OSC 99`, title and body in a sequence each (kitty).
    Osc99,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Multiplexer {
    #[default]
    None,
    /// Passes wrapped sequences through if `allow-passthrough` is on.
    Tmux,
    /// GNU screen, which passes short wrapped strings through.
    Screen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColorDepth {
    Sixteen,
    Indexed256,
    TrueColor,
}

impl ColorDepth {
    /// Detects it from the environment. Terminals named xterm have had 256 colours for years, with
    /// or without `256color` in the name.
    pub fn from_env(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let text = |name: &str| {
            let value = variable(name).unwrap_or_default();
            value.to_string_lossy().into_owned()
        };
        let (term, depth) = (text("TERM"), text("COLORTERM"));
        if ["truecolor", "24bit"].contains(&depth.as_str()) || term.ends_with("-direct") {
            return Self::TrueColor;
        }
        let has_256 = term.contains("256color")
            || ["xterm", "foot", "alacritty", "contour", "wezterm"]
                .iter()
                .any(|name| term.starts_with(name));
        if has_256 {
            Self::Indexed256
        } else {
            Self::Sixteen
        }
    }
}

impl TerminalCaps {
    /// Detects them from the environment. Inside tmux the variables are those of the terminal that
    /// started it, if they are still set.
    pub fn from_env(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let text = |name: &str| {
            let value = variable(name).unwrap_or_default();
            value.to_string_lossy().into_owned()
        };
        let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let (term, program) = (text("TERM"), text("TERM_PROGRAM"));
        let notify_sequence = match program.as_str() {
            "iTerm.app" => NotifySequence::Osc9,
            "WezTerm" | "ghostty" => NotifySequence::Osc777,
            _ if term.contains("kitty") || is_set("KITTY_WINDOW_ID") => NotifySequence::Osc99,
            _ if ["foot", "rxvt-unicode", "xterm-ghostty", "wezterm"]
                .iter()
                .any(|name| term.starts_with(name)) =>
            {
                NotifySequence::Osc777
            }
            _ if is_set("WEZTERM_PANE") || is_set("GHOSTTY_RESOURCES_DIR") => {
                NotifySequence::Osc777
            }
            _ if is_set("WT_SESSION") || is_set("ConEmuPID") || text("LC_TERMINAL") == "iTerm2" => {
                NotifySequence::Osc9
            }
            _ => NotifySequence::Bell,
        };
        let multiplexer = if is_set("TMUX") {
            Multiplexer::Tmux
        } else if is_set("STY") || term == "screen" || term.starts_with("screen.") {
            // Not `screen-256color`: tmux uses it too, and over SSH `TMUX` is not set.
            Multiplexer::Screen
        } else {
            Multiplexer::None
        };
        Self {
            notify_sequence,
            multiplexer,
        }
    }

    /// Returns the sequence that copies a text. Base64 makes the text harmless.
    pub(super) fn copy_sequence(self, text: &str) -> String {
        let mut sequence = String::new();
        // Writing into a `String` cannot fail.
        CopyToClipboard::to_clipboard_from(text)
            .write_ansi(&mut sequence)
            .unwrap_or_default();
        self.multiplexer.wrap(sequence)
    }

    pub(super) fn notification_sequence(self, title: &str, body: &str) -> String {
        let (title, body) = (sanitise(title), sanitise(body));
        let sequence = match self.notify_sequence {
            // Multiplexers pass the bell through unwrapped.
            NotifySequence::Bell => return BELL.to_owned(),
            NotifySequence::Osc9 => format!("\x1b]9;{title}: {body}\x1b\\"),
            // A semicolon separates the fields.
            NotifySequence::Osc777 => {
                let title = title.replace(';', ",");
                format!("\x1b]777;notify;{title};{body}\x1b\\")
            }
            NotifySequence::Osc99 => {
                format!("\x1b]99;i=kietop:d=0;{title}\x1b\\\x1b]99;i=kietop:p=body;{body}\x1b\\")
            }
        };
        self.multiplexer.wrap(sequence)
    }
}

impl Multiplexer {
    /// Wraps a sequence so that it reaches the terminal.
    fn wrap(self, sequence: String) -> String {
        match self {
            Self::None => sequence,
            Self::Tmux => {
                let mut wrapped = String::from("\x1bPtmux;");
                for c in sequence.chars() {
                    if c == '\x1b' {
                        wrapped.push(c);
                    }
                    wrapped.push(c);
                }
                // Writing into a `String` cannot fail.
                write!(wrapped, "\x1b\\").unwrap_or_default();
                wrapped
            }
            Self::Screen => {
                // ST would end the wrapping; BEL ends the inner string too. Notification text may
                // not be ASCII, so the cuts are at character boundaries.
                let sequence = sequence.replace("\x1b\\", BELL);
                let max_len = MAX_SCREEN_LEN - SCREEN_START.len() - SCREEN_END.len();
                let mut wrapped = String::new();
                let mut rest = sequence.as_str();
                while let Some((chunk, tail)) = rest
                    .split_at_checked(rest.floor_char_boundary(max_len))
                    .filter(|(chunk, _)| !chunk.is_empty())
                {
                    wrapped.extend([SCREEN_START, chunk, SCREEN_END]);
                    rest = tail;
                }
                wrapped
            }
        }
    }
}

/// Cuts a text to the maximum length and drops control characters, which could end the sequence.
/// The text should be clean already.
fn sanitise(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    text.get(..text.floor_char_boundary(MAX_NOTIFICATION_LEN))
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(variables: &'static [(&'static str, &'static str)]) -> TerminalCaps {
        TerminalCaps::from_env(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).into())
        })
    }

    #[test]
    fn each_terminal_gets_its_own_sequences() {
        let notification = |variables| caps(variables).notification_sequence("a;b", "c\x1b\\d");

        assert_eq!(notification(&[("TERM", "xterm-256color")]), "\x07");
        assert_eq!(
            notification(&[("TERM_PROGRAM", "iTerm.app")]),
            "\x1b]9;a;b: c\\d\x1b\\"
        );
        assert_eq!(
            notification(&[("TERM", "foot")]),
            "\x1b]777;notify;a,b;c\\d\x1b\\"
        );
        assert_eq!(
            notification(&[("TERM", "xterm-kitty")]),
            "\x1b]99;i=kietop:d=0;a;b\x1b\\\x1b]99;i=kietop:p=body;c\\d\x1b\\"
        );
    }

    #[test]
    fn colour_depth_comes_from_the_environment() {
        for (term, colorterm, expected) in [
            ("xterm-256color", "", ColorDepth::Indexed256),
            ("xterm-256color", "truecolor", ColorDepth::TrueColor),
            ("tmux-256color", "24bit", ColorDepth::TrueColor),
            ("xterm-direct", "", ColorDepth::TrueColor),
            ("xterm", "", ColorDepth::Indexed256),
            ("xterm-kitty", "", ColorDepth::Indexed256),
            ("screen.xterm-256color", "", ColorDepth::Indexed256),
            ("linux", "", ColorDepth::Sixteen),
            ("screen", "", ColorDepth::Sixteen),
            ("vt220", "yes", ColorDepth::Sixteen),
            ("", "", ColorDepth::Sixteen),
        ] {
            let found = ColorDepth::from_env(|name| {
                let value = if name == "TERM" { term } else { colorterm };
                Some(value.into())
            });
            assert_eq!(found, expected, "{term} {colorterm}");
        }
    }

    #[test]
    fn tmux_passthrough_wraps_all_but_the_bell() {
        let inside = caps(&[("TMUX", "/run/tmux,1,0"), ("TERM", "tmux-256color")]);
        assert_eq!(inside.notification_sequence("a", "b"), "\x07");
        assert_eq!(
            inside.copy_sequence("hi"),
            "\x1bPtmux;\x1b\x1b]52;c;aGk=\x1b\x1b\\\x1b\\"
        );
        let kitty = caps(&[("TMUX", "x"), ("KITTY_WINDOW_ID", "1")]);
        assert!(
            kitty
                .notification_sequence("a", "b")
                .starts_with("\x1bPtmux;\x1b\x1b]99;")
        );
    }

    #[test]
    fn screen_passthrough_is_split_into_chunks() {
        let inside = caps(&[
            ("STY", "1234.pts-0.host"),
            ("TERM", "screen.xterm-256color"),
        ]);
        assert_eq!(inside.notification_sequence("a", "b"), "\x07");
        assert_eq!(inside.copy_sequence("hi"), "\x1bP\x1b]52;c;aGk=\x07\x1b\\");
        let long = inside.copy_sequence(&"x".repeat(10_000));
        let chunks: Vec<_> = long.split_inclusive("\x1b\\").collect();
        assert!(chunks.len() > 10);
        let inner = |chunk: &&str| {
            assert!(chunk.len() <= 768, "{}", chunk.len());
            let inner = chunk.strip_prefix("\x1bP").unwrap();
            inner.strip_suffix("\x1b\\").unwrap().to_owned()
        };
        let joined: String = chunks.iter().map(inner).collect();
        let plain = caps(&[]).copy_sequence(&"x".repeat(10_000));
        assert_eq!(joined, plain.replace("\x1b\\", "\x07"));

        let kitty = caps(&[("STY", "x"), ("KITTY_WINDOW_ID", "1")]);
        let notification = kitty.notification_sequence(&"é".repeat(500), &"漢".repeat(500));
        assert!(
            notification
                .split_inclusive("\x1b\\")
                .all(|chunk| chunk.len() <= 768)
        );
        for (variables, is_wrapped) in [
            (&[("TERM", "screen")][..], true),
            (&[("TERM", "screen-256color")], false),
            (&[("TERM", "screen"), ("TMUX", "x")], false),
        ] {
            let sequence = caps(variables).copy_sequence("hi");
            assert_eq!(
                sequence.starts_with("\x1bP\x1b]"),
                is_wrapped,
                "{variables:?}"
            );
        }
    }

    #[test]
    fn text_cannot_end_its_sequence() {
        let all: String = (0..0x300).filter_map(char::from_u32).collect();
        for variables in [&[("TERM", "foot")], &[("TERM", "xterm-kitty")]] {
            for text in [all.as_str(), "\u{9c}\x07\x1b\\\x1b]52;c;x"] {
                let sequence = caps(variables).notification_sequence(text, text);
                let introducers = sequence.matches("\x1b]").count();
                assert_eq!(sequence.matches("\x1b\\").count(), introducers);
                let rest = sequence.replace("\x1b]", "").replace("\x1b\\", "");
                assert!(!rest.contains(|c: char| c.is_control()), "{rest:?}");
            }
        }
        assert_eq!(caps(&[]).copy_sequence("\x1b\x07"), "\x1b]52;c;Gwc=\x1b\\");
    }
}
