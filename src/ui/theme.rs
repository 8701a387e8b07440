//! How things look: a style for every role, and word, glyph and role for every status.
//!
//! Nothing here knows where anything stands on the screen.

mod palette;

use ratatui::style::Style;

pub use self::palette::{Palette, Role, parse_style};

use crate::{
    app::{keymap::KeyChord, state::Tone},
    domain::{status::Status, time::Now},
};

/// Is how a status looks: never a colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// Its colour.
    pub role: Role,
    /// Its glyph, one cell wide.
    pub glyph: &'static str,
    /// Its word.
    pub word: &'static str,
    /// Its word where four cells must do.
    pub short: &'static str,
}

/// Is the set of characters that boxes, bars and shortened texts are made of; each one cell wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glyphs {
    /// Marks what was left out of a text; the only one that may take two cells.
    pub ellipsis: &'static str,
    /// Stands between figures.
    pub dot: &'static str,
    /// Marks the selected row.
    pub pointer: &'static str,
    /// The done part of a progress bar.
    pub done: &'static str,
    /// The rest of it.
    pub rest: &'static str,
    /// The steps of a sparkline, lowest first.
    pub steps: [&'static str; 8],
    /// The foot of a histogram's bar.
    pub foot: &'static str,
    /// A cell of a histogram's bar.
    pub bar: &'static str,
    /// A horizontal line.
    pub horizontal: &'static str,
    /// A vertical line.
    pub vertical: &'static str,
    /// Marks the column the list is ordered by where its figures grow downwards.
    pub ascending: &'static str,
    /// Marks it where they grow upwards.
    pub descending: &'static str,
    /// The corners: top left, top right, bottom left, bottom right.
    pub corners: [&'static str; 4],
}

const UNICODE: Glyphs = Glyphs {
    ellipsis: "…",
    dot: "·",
    pointer: ">",
    done: "▓",
    rest: "▒",
    steps: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    foot: "▏",
    bar: "█",
    horizontal: "─",
    vertical: "│",
    ascending: "▲",
    descending: "▼",
    corners: ["┌", "┐", "└", "┘"],
};

const ASCII: Glyphs = Glyphs {
    ellipsis: "..",
    dot: "-",
    pointer: ">",
    done: "#",
    rest: ".",
    steps: ["_", ".", "-", "~", "=", "+", "*", "#"],
    foot: "|",
    bar: "#",
    horizontal: "-",
    vertical: "|",
    ascending: "^",
    descending: "v",
    corners: ["+", "+", "+", "+"],
};

/// The turning glyph of a running task, one for each second.
const TURNING: [&str; 4] = ["◐", "◓", "◑", "◒"];

/// Is the look of the program, as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    palette: Palette,
    glyphs: Glyphs,
}

impl Default for Theme {
    fn default() -> Self {
        Self::ansi()
    }
}

impl Theme {
    /// Returns the theme in the terminal's own colours.
    pub const fn ansi() -> Self {
        Self::of(Palette::ansi())
    }

    /// Returns the theme without colour (`NO_COLOR`): bold, dim and reverse tell the roles.
    pub const fn monochrome() -> Self {
        Self::of(Palette::monochrome())
    }

    /// Returns the theme of a palette.
    pub const fn of(palette: Palette) -> Self {
        Self {
            palette,
            glyphs: UNICODE,
        }
    }

    /// Draws everything of our own in ASCII, for terminals and fonts that know no more.
    #[must_use]
    pub const fn with_ascii(self) -> Self {
        Self {
            glyphs: ASCII,
            ..self
        }
    }

    /// Returns the characters that boxes and bars are made of.
    pub const fn glyphs(&self) -> &Glyphs {
        &self.glyphs
    }

    /// Reports whether only ASCII is drawn.
    fn is_ascii(&self) -> bool {
        self.glyphs == ASCII
    }

    /// Returns the style of the ground: nothing where the terminal's own stays.
    pub const fn ground(&self) -> Style {
        self.palette.ground()
    }

    /// Returns the style of a role.
    pub const fn style(&self, role: Role) -> Style {
        self.palette.style(role)
    }

    /// Returns the style of a message.
    pub const fn tone(&self, tone: Tone) -> Style {
        self.style(match tone {
            Tone::Plain => Role::Text,
            Tone::Good => Role::Ok,
            Tone::Warning => Role::Warn,
            Tone::Bad => Role::Error,
        })
    }

    /// Returns how a status looks at that time; the glyph of what is being made turns by the second.
    pub fn look(&self, status: Status, now: Now) -> Look {
        let (role, glyph, ascii, word, short) = match status {
            Status::New => (Role::Muted, "·", ".", "new", "NEW"),
            Status::Generating => (Role::Busy, turning(now), "o", "generating", "GEN"),
            Status::Finishing => (Role::Busy, turning(now), "o", "finishing", "FIN"),
            Status::Late => (Role::Warn, turning(now), "o", "late", "LATE"),
            Status::Ready => (Role::Ok, "✓", "+", "ready", "OK"),
            Status::Saved => (Role::Ok, "✓", "+", "ready, saved", "SAVE"),
            Status::NoLink => (Role::Warn, "✓", "+", "no link", "NOLK"),
            Status::LinkGone => (Role::Muted, "✓", "+", "link gone", "GONE"),
            Status::CallbackFailed => (Role::Warn, "!", "!", "callback fail", "CBK"),
            Status::CreateFailed => (Role::Error, "✗", "x", "create failed", "CRE"),
            Status::GenerationFailed => (Role::Error, "✗", "x", "gen. failed", "FAIL"),
            Status::NotFound => (Role::Warn, "?", "?", "not found", "NONE"),
            Status::Unknown => (Role::Warn, "?", "?", "unknown", "FLAG"),
        };
        let glyph = if self.is_ascii() { ascii } else { glyph };
        Look {
            role,
            glyph,
            word,
            short,
        }
    }

    /// Returns the name of a key, arrows spelled out where only ASCII is drawn.
    pub fn key(&self, chord: KeyChord) -> String {
        if self.is_ascii() {
            chord.ascii()
        } else {
            chord.to_string()
        }
    }
}

/// Returns the glyph of a running task in that second.
fn turning(now: Now) -> &'static str {
    let second = now.wall.as_second().rem_euclid(4);
    usize::try_from(second)
        .ok()
        .and_then(|at| TURNING.get(at))
        .copied()
        .unwrap_or("◐")
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use jiff::Timestamp;

    use super::*;
    use crate::{app::keymap::Key, domain::time::Mono, ui::format};

    fn now() -> Now {
        Now {
            wall: Timestamp::UNIX_EPOCH,
            mono: Mono::default(),
        }
    }

    #[test]
    fn every_status_has_a_word_of_its_own_and_a_narrow_glyph() {
        for theme in [Theme::ansi(), Theme::monochrome().with_ascii()] {
            let looks = Status::ALL.map(|status| theme.look(status, now()));

            let words: HashSet<_> = looks.iter().map(|look| look.word).collect();
            let shorts: HashSet<_> = looks.iter().map(|look| look.short).collect();
            assert_eq!((words.len(), shorts.len()), (looks.len(), looks.len()));
            for look in looks {
                assert_eq!(format::width(look.glyph), 1, "{look:?}");
                assert!(look.word.len() <= 13 && look.short.len() <= 4, "{look:?}");
            }
        }
    }

    #[test]
    fn ascii_is_ascii() {
        let theme = Theme::ansi().with_ascii();
        for status in Status::ALL {
            assert!(theme.look(status, now()).glyph.is_ascii());
        }
        assert_eq!(theme.key(KeyChord::plain(Key::Up)), "Up");
    }

    #[test]
    fn without_colour_there_is_no_colour() {
        let theme = Theme::monochrome();
        for role in Role::ALL {
            let style = theme.style(role);
            assert_eq!((style.fg, style.bg), (None, None), "{role:?}");
        }
    }
}
