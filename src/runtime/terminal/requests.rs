//! What a terminal is asked for beside the screen, in the words of the one that is there: its clipboard, a notice.
//!
//! No terminal answers these; those that do not know one pass over it. Pure: text in, bytes out.

use std::{ffi::OsString, fmt::Write as _};

use crossterm::{Command as _, clipboard::CopyToClipboard};

/// Rings.
pub(super) const BELL: &str = "\x07";

/// The longest string GNU screen lets through at once, its wrapping included; of a longer one it shows the rest.
const LONGEST_FOR_SCREEN: usize = 768;

/// What wraps a string for screen.
const SCREEN_BEGINS: &str = "\x1bP";
const SCREEN_ENDS: &str = "\x1b\\";

/// The longest notice sent, title and body each, in bytes.
const LONGEST_NOTICE: usize = 256;

/// Is how the terminal wants to be spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Dialect {
    notices: Notices,
    layer: Layer,
}

/// Tells which sequence shows a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Notices {
    /// None that is known of: the bell.
    #[default]
    Bell,
    /// `OSC 9 ; body` (iTerm2, `ConEmu` and Windows Terminal).
    Osc9,
    /// `OSC 777 ; notify ; title ; body` (foot, `WezTerm`, Ghostty, urxvt).
    Osc777,
    /// `OSC 99`, title and body in a sequence each (kitty).
    Osc99,
}

/// Tells what stands between us and the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Layer {
    /// Nothing.
    #[default]
    None,
    /// tmux, which lets a sequence through in a wrapping of its own, where `allow-passthrough` is on.
    Tmux,
    /// GNU screen, which lets strings through, short ones.
    Screen,
}

/// Tells which colours the terminal knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Its own sixteen, as far as anybody knows.
    Sixteen,
    /// 256.
    Palette,
    /// All.
    Exact,
}

impl Depth {
    /// Finds it by the environment's variables. What calls itself xterm has 256 for many years now, whatever its name
    /// says of it.
    pub fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let text = |name: &str| {
            let value = variable(name).unwrap_or_default();
            value.to_string_lossy().into_owned()
        };
        let (term, depth) = (text("TERM"), text("COLORTERM"));
        if ["truecolor", "24bit"].contains(&depth.as_str()) || term.ends_with("-direct") {
            return Self::Exact;
        }
        let has_256 = term.contains("256color")
            || ["xterm", "foot", "alacritty", "contour", "wezterm"]
                .iter()
                .any(|name| term.starts_with(name));
        if has_256 {
            Self::Palette
        } else {
            Self::Sixteen
        }
    }
}

impl Dialect {
    /// Finds the dialect by the environment's variables. Inside tmux those of the terminal that started it count, as
    /// far as they are still there.
    pub fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let text = |name: &str| {
            let value = variable(name).unwrap_or_default();
            value.to_string_lossy().into_owned()
        };
        let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let (term, program) = (text("TERM"), text("TERM_PROGRAM"));
        let notices = match program.as_str() {
            "iTerm.app" => Notices::Osc9,
            "WezTerm" | "ghostty" => Notices::Osc777,
            _ if term.contains("kitty") || is_set("KITTY_WINDOW_ID") => Notices::Osc99,
            _ if ["foot", "rxvt-unicode", "xterm-ghostty", "wezterm"]
                .iter()
                .any(|name| term.starts_with(name)) =>
            {
                Notices::Osc777
            }
            _ if is_set("WEZTERM_PANE") || is_set("GHOSTTY_RESOURCES_DIR") => Notices::Osc777,
            _ if is_set("WT_SESSION") || is_set("ConEmuPID") || text("LC_TERMINAL") == "iTerm2" => {
                Notices::Osc9
            }
            _ => Notices::Bell,
        };
        let layer = if is_set("TMUX") {
            Layer::Tmux
        } else if is_set("STY") || term == "screen" || term.starts_with("screen.") {
            // `screen-256color` is what tmux calls itself too, on another machine where its own variable is not set.
            Layer::Screen
        } else {
            Layer::None
        };
        Self { notices, layer }
    }

    /// Returns the order to put a text on the clipboard. The text goes in base64, so nothing in it can act.
    pub(super) fn copying(self, text: &str) -> String {
        let mut order = String::new();
        // Writing into a `String` cannot fail.
        CopyToClipboard::to_clipboard_from(text)
            .write_ansi(&mut order)
            .unwrap_or_default();
        self.layer.wrap(order)
    }

    /// Returns the order to show a notice.
    pub(super) fn notice(self, title: &str, body: &str) -> String {
        let (title, body) = (harmless(title), harmless(body));
        let order = match self.notices {
            // tmux hands the bell on by itself.
            Notices::Bell => return BELL.to_owned(),
            Notices::Osc9 => format!("\x1b]9;{title}: {body}\x1b\\"),
            // Its parts are divided by semicolons.
            Notices::Osc777 => {
                let title = title.replace(';', ",");
                format!("\x1b]777;notify;{title};{body}\x1b\\")
            }
            Notices::Osc99 => {
                format!("\x1b]99;i=kietop:d=0;{title}\x1b\\\x1b]99;i=kietop:p=body;{body}\x1b\\")
            }
        };
        self.layer.wrap(order)
    }
}

impl Layer {
    /// Wraps an order so that it reaches the terminal.
    fn wrap(self, order: String) -> String {
        match self {
            Self::None => order,
            Self::Tmux => {
                let mut wrapped = String::from("\x1bPtmux;");
                for c in order.chars() {
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
                // An ST would end the wrapping; BEL ends the same strings. All of an order is ASCII or a notice's text,
                // which is cut between characters.
                let order = order.replace("\x1b\\", BELL);
                let most = LONGEST_FOR_SCREEN - SCREEN_BEGINS.len() - SCREEN_ENDS.len();
                let mut wrapped = String::new();
                let mut rest = order.as_str();
                while let Some((piece, after)) = rest
                    .split_at_checked(rest.floor_char_boundary(most))
                    .filter(|(piece, _)| !piece.is_empty())
                {
                    wrapped.extend([SCREEN_BEGINS, piece, SCREEN_ENDS]);
                    rest = after;
                }
                wrapped
            }
        }
    }
}

/// Returns a text without what could end its sequence, short enough to be taken. It is clean already; here as well,
/// for the same reason as in a title.
fn harmless(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    text.get(..text.floor_char_boundary(LONGEST_NOTICE))
        .unwrap_or_default()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect(variables: &'static [(&'static str, &'static str)]) -> Dialect {
        Dialect::of(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).into())
        })
    }

    #[test]
    fn each_terminal_is_spoken_to_in_its_words() {
        let notice = |variables| dialect(variables).notice("a;b", "c\x1b\\d");

        assert_eq!(notice(&[("TERM", "xterm-256color")]), "\x07");
        assert_eq!(
            notice(&[("TERM_PROGRAM", "iTerm.app")]),
            "\x1b]9;a;b: c\\d\x1b\\"
        );
        assert_eq!(
            notice(&[("TERM", "foot")]),
            "\x1b]777;notify;a,b;c\\d\x1b\\"
        );
        assert_eq!(
            notice(&[("TERM", "xterm-kitty")]),
            "\x1b]99;i=kietop:d=0;a;b\x1b\\\x1b]99;i=kietop:p=body;c\\d\x1b\\"
        );
    }

    #[test]
    fn colours_are_those_the_terminal_says_it_has() {
        for (term, colorterm, expected) in [
            ("xterm-256color", "", Depth::Palette),
            ("xterm-256color", "truecolor", Depth::Exact),
            ("tmux-256color", "24bit", Depth::Exact),
            ("xterm-direct", "", Depth::Exact),
            ("xterm", "", Depth::Palette),
            ("xterm-kitty", "", Depth::Palette),
            ("screen.xterm-256color", "", Depth::Palette),
            ("linux", "", Depth::Sixteen),
            ("screen", "", Depth::Sixteen),
            ("vt220", "yes", Depth::Sixteen),
            ("", "", Depth::Sixteen),
        ] {
            let found = Depth::of(|name| {
                let value = if name == "TERM" { term } else { colorterm };
                Some(value.into())
            });
            assert_eq!(found, expected, "{term} {colorterm}");
        }
    }

    #[test]
    fn what_goes_through_tmux_is_wrapped_and_the_bell_is_not() {
        let inside = dialect(&[("TMUX", "/run/tmux,1,0"), ("TERM", "tmux-256color")]);
        assert_eq!(inside.notice("a", "b"), "\x07");
        assert_eq!(
            inside.copying("hi"),
            "\x1bPtmux;\x1b\x1b]52;c;aGk=\x1b\x1b\\\x1b\\"
        );
        let kitty = dialect(&[("TMUX", "x"), ("KITTY_WINDOW_ID", "1")]);
        assert!(kitty.notice("a", "b").starts_with("\x1bPtmux;\x1b\x1b]99;"));
    }

    #[test]
    fn what_goes_through_screen_goes_in_short_pieces_that_are_the_whole_together() {
        let inside = dialect(&[
            ("STY", "1234.pts-0.host"),
            ("TERM", "screen.xterm-256color"),
        ]);
        assert_eq!(inside.notice("a", "b"), "\x07");
        assert_eq!(inside.copying("hi"), "\x1bP\x1b]52;c;aGk=\x07\x1b\\");
        let long = inside.copying(&"x".repeat(10_000));
        let pieces: Vec<_> = long.split_inclusive("\x1b\\").collect();
        assert!(pieces.len() > 10);
        let inner = |piece: &&str| {
            assert!(piece.len() <= 768, "{}", piece.len());
            let inner = piece.strip_prefix("\x1bP").unwrap();
            inner.strip_suffix("\x1b\\").unwrap().to_owned()
        };
        let whole: String = pieces.iter().map(inner).collect();
        let plain = dialect(&[]).copying(&"x".repeat(10_000));
        assert_eq!(whole, plain.replace("\x1b\\", "\x07"));

        let kitty = dialect(&[("STY", "x"), ("KITTY_WINDOW_ID", "1")]);
        let notice = kitty.notice(&"é".repeat(500), &"漢".repeat(500));
        assert!(
            notice
                .split_inclusive("\x1b\\")
                .all(|piece| piece.len() <= 768)
        );
        for (variables, is_wrapped) in [
            (&[("TERM", "screen")][..], true),
            (&[("TERM", "screen-256color")], false),
            (&[("TERM", "screen"), ("TMUX", "x")], false),
        ] {
            let order = dialect(variables).copying("hi");
            assert_eq!(order.starts_with("\x1bP\x1b]"), is_wrapped, "{variables:?}");
        }
    }

    #[test]
    fn no_text_ends_its_own_sequence() {
        let all: String = (0..0x300).filter_map(char::from_u32).collect();
        for variables in [&[("TERM", "foot")], &[("TERM", "xterm-kitty")]] {
            for text in [all.as_str(), "\u{9c}\x07\x1b\\\x1b]52;c;x"] {
                let order = dialect(variables).notice(text, text);
                let starts = order.matches("\x1b]").count();
                assert_eq!(order.matches("\x1b\\").count(), starts);
                let rest = order.replace("\x1b]", "").replace("\x1b\\", "");
                assert!(!rest.contains(|c: char| c.is_control()), "{rest:?}");
            }
        }
        assert_eq!(dialect(&[]).copying("\x1b\x07"), "\x1b]52;c;Gwc=\x1b\\");
    }
}
