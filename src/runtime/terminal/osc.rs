//! Escape sequences for the clipboard and for notifications, chosen for the terminal.
//!
//! No terminal replies to them, and those that do not know a sequence ignore it.

use std::ffi::OsString;

use crossterm::{Command as _, clipboard::CopyToClipboard};

pub(super) const BELL: &str = "\x07";

/// In bytes, title and body each.
const MAX_NOTIFICATION_LEN: usize = 256;

/// The escape sequences that the terminal supports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TerminalCaps {
    notify_sequence: NotifySequence,
    /// Whether sequences are wrapped for tmux, which passes them through if `allow-passthrough` is
    /// on.
    is_in_tmux: bool,
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
        Self {
            notify_sequence,
            is_in_tmux: is_set("TMUX"),
        }
    }

    /// Returns the sequence that copies a text. Base64 makes the text harmless.
    pub(super) fn copy_sequence(self, text: &str) -> String {
        let mut sequence = String::new();
        // Writing into a `String` cannot fail.
        CopyToClipboard::to_clipboard_from(text)
            .write_ansi(&mut sequence)
            .unwrap_or_default();
        self.wrap(sequence)
    }

    pub(super) fn notification_sequence(self, title: &str, body: &str) -> String {
        let (title, body) = (sanitise(title), sanitise(body));
        let sequence = match self.notify_sequence {
            // tmux passes the bell through unwrapped.
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
        self.wrap(sequence)
    }

    /// Wraps a sequence so that it reaches the terminal.
    fn wrap(self, sequence: String) -> String {
        if self.is_in_tmux {
            format!("\x1bPtmux;{}\x1b\\", sequence.replace('\x1b', "\x1b\x1b"))
        } else {
            sequence
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
