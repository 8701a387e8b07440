//! How things look: a style for every role, and word, glyph and role for every status.
//!
//! Nothing here knows where anything stands on the screen.

mod palette;

use ratatui::style::Style;

pub use self::palette::{Role, ThemePalette, parse_style};

use crate::{
    app::{keymap::KeyChord, state::Severity},
    domain::{status::Status, time::Now},
};

/// How a status looks: never a colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusStyle {
    /// Its colour.
    pub role: Role,
    /// Its glyph, one cell wide.
    pub glyph: &'static str,
    /// Its word for the list, of at most 13 cells.
    pub word: &'static str,
    /// Its word where there is room.
    pub full_word: &'static str,
    /// Its word where four cells must do.
    pub short: &'static str,
}

/// The set of characters that boxes, bars and shortened texts are made of; each one cell wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glyphs {
    /// Marks what was left out of a text; the only one that may take two cells.
    pub ellipsis: &'static str,
    /// Stands between figures.
    pub dot: &'static str,
    /// Marks the selected row.
    pub row_cursor: &'static str,
    /// The done part of a progress bar.
    pub bar_done: &'static str,
    /// The rest of it.
    pub bar_rest: &'static str,
    /// The steps of a sparkline, lowest first.
    pub sparkline: [&'static str; 8],
    /// The foot of a histogram's bar.
    pub bar_start: &'static str,
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

const UNICODE_GLYPHS: Glyphs = Glyphs {
    ellipsis: "…",
    dot: "·",
    row_cursor: ">",
    bar_done: "▓",
    bar_rest: "▒",
    sparkline: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    bar_start: "▏",
    bar: "█",
    horizontal: "─",
    vertical: "│",
    ascending: "▲",
    descending: "▼",
    corners: ["┌", "┐", "└", "┘"],
};

const ASCII_GLYPHS: Glyphs = Glyphs {
    ellipsis: "..",
    dot: "-",
    row_cursor: ">",
    bar_done: "#",
    bar_rest: ".",
    sparkline: ["_", ".", "-", "~", "=", "+", "*", "#"],
    bar_start: "|",
    bar: "#",
    horizontal: "-",
    vertical: "|",
    ascending: "^",
    descending: "v",
    corners: ["+", "+", "+", "+"],
};

/// The turning glyph of a running task, one for each second.
const SPINNER: [&str; 4] = ["◐", "◓", "◑", "◒"];

/// The look of the program, as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    palette: ThemePalette,
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
        Self::from_palette(ThemePalette::ansi())
    }

    /// Returns the theme without colour (`NO_COLOR`): bold, dim and reverse tell the roles.
    pub const fn monochrome() -> Self {
        Self::from_palette(ThemePalette::monochrome())
    }

    /// Returns the theme of a palette.
    pub const fn from_palette(palette: ThemePalette) -> Self {
        Self {
            palette,
            glyphs: UNICODE_GLYPHS,
        }
    }

    /// Draws everything of our own in ASCII, for terminals and fonts that know no more.
    #[must_use]
    pub const fn with_ascii(self) -> Self {
        Self {
            glyphs: ASCII_GLYPHS,
            ..self
        }
    }

    /// Returns the characters that boxes and bars are made of.
    pub const fn glyphs(&self) -> &Glyphs {
        &self.glyphs
    }

    /// Reports whether only ASCII is drawn.
    fn is_ascii(&self) -> bool {
        self.glyphs == ASCII_GLYPHS
    }

    /// Returns the style of the ground: nothing where the terminal's own stays.
    pub const fn background(&self) -> Style {
        self.palette.background()
    }

    /// Returns the style of a role.
    pub const fn style(&self, role: Role) -> Style {
        self.palette.style(role)
    }

    /// Returns the style of a message.
    pub const fn severity_style(&self, tone: Severity) -> Style {
        self.style(match tone {
            Severity::Info => Role::Text,
            Severity::Success => Role::Ok,
            Severity::Warning => Role::Warn,
            Severity::Error => Role::Error,
        })
    }

    /// Returns how a status looks at that time; the glyph of what is being made turns by the
    /// second.
    pub fn status_style(&self, status: Status, now: Now) -> StatusStyle {
        let (role, glyph, ascii, word, short) = match status {
            Status::New => (Role::Muted, "·", ".", "new", "NEW"),
            Status::Generating => (Role::Busy, spinner_glyph(now), "o", "generating", "GEN"),
            Status::Finishing => (Role::Busy, spinner_glyph(now), "o", "finishing", "FIN"),
            Status::Late => (Role::Warn, spinner_glyph(now), "o", "late", "LATE"),
            Status::Ready => (Role::Ok, "✓", "+", "ready", "OK"),
            Status::Saved => (Role::Ok, "✓", "+", "ready, saved", "SAVE"),
            Status::NoLink => (Role::Warn, "✓", "+", "no link yet", "NOLK"),
            Status::LinkExpired => (Role::Muted, "✓", "+", "link expired", "EXP"),
            Status::CallbackFailed => (Role::Warn, "!", "!", "ready !cb", "CBK"),
            Status::CreateFailed => (Role::Error, "✗", "x", "rejected", "REJ"),
            Status::GenerationFailed => (Role::Error, "✗", "x", "failed", "FAIL"),
            Status::NotFound => (Role::Warn, "?", "?", "not found", "NONE"),
            Status::Unknown => (Role::Warn, "?", "?", "unknown", "UNKN"),
        };
        let full_word = if status == Status::CallbackFailed {
            "ready (no callback)"
        } else {
            word
        };
        let glyph = if self.is_ascii() { ascii } else { glyph };
        StatusStyle {
            role,
            glyph,
            word,
            full_word,
            short,
        }
    }

    /// Returns the name of a key, arrows spelled out where only ASCII is drawn.
    pub fn key_name(&self, chord: KeyChord) -> String {
        if self.is_ascii() {
            chord.ascii()
        } else {
            chord.to_string()
        }
    }
}

/// Returns the glyph of a running task in that second.
fn spinner_glyph(now: Now) -> &'static str {
    let second = now.wall.as_second().rem_euclid(4);
    usize::try_from(second)
        .ok()
        .and_then(|at| SPINNER.get(at))
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
    fn every_status_has_a_unique_word_and_glyph() {
        for theme in [Theme::ansi(), Theme::monochrome().with_ascii()] {
            let looks = Status::ALL.map(|status| theme.status_style(status, now()));

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
    fn the_ascii_glyphs_are_ascii() {
        let theme = Theme::ansi().with_ascii();
        for status in Status::ALL {
            assert!(theme.status_style(status, now()).glyph.is_ascii());
        }
        assert_eq!(theme.key_name(KeyChord::plain(Key::Up)), "Up");
    }

    #[test]
    fn no_color_uses_no_colour() {
        let theme = Theme::monochrome();
        for role in Role::ALL {
            let style = theme.style(role);
            assert_eq!((style.fg, style.bg), (None, None), "{role:?}");
        }
    }
}
