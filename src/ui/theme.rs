//! The theme: a style for each role, and glyph and role for each status.

use ratatui::{style::Style, symbols::border};

pub use crate::app::palette::{Role, ThemePalette};
use crate::{
    app::{keymap::KeyChord, state::Severity},
    domain::{status::Status, time::Now},
};

/// The appearance of a status beside its word: never a colour alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StatusStyle {
    pub role: Role,
    /// One cell wide.
    pub glyph: &'static str,
}

/// The characters of borders, bars and truncated texts; each one cell wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Glyphs {
    /// The end of a truncated text; the only one that may take two cells.
    pub ellipsis: &'static str,
    /// A separator between figures.
    pub dot: &'static str,
    /// The mark of the selected row.
    pub row_cursor: &'static str,
    pub bar_done: &'static str,
    pub bar_rest: &'static str,
    /// The levels of a sparkline, lowest first.
    pub sparkline: [&'static str; 8],
    /// The mark of the sort column in ascending order.
    pub ascending: &'static str,
    /// The mark of the sort column in descending order.
    pub descending: &'static str,
    pub border: border::Set<'static>,
}

const UNICODE_GLYPHS: Glyphs = Glyphs {
    ellipsis: "…",
    dot: "·",
    row_cursor: ">",
    bar_done: "▓",
    bar_rest: "▒",
    sparkline: ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    ascending: "▲",
    descending: "▼",
    border: border::PLAIN,
};

const ASCII_GLYPHS: Glyphs = Glyphs {
    ellipsis: "..",
    dot: "-",
    row_cursor: ">",
    bar_done: "#",
    bar_rest: ".",
    sparkline: ["_", ".", "-", "~", "=", "+", "*", "#"],
    ascending: "^",
    descending: "v",
    border: border::Set {
        top_left: "+",
        top_right: "+",
        bottom_left: "+",
        bottom_right: "+",
        vertical_left: "|",
        vertical_right: "|",
        horizontal_top: "-",
        horizontal_bottom: "-",
    },
};

/// The spinner of a running task, one frame per second.
const SPINNER: [&str; 4] = ["◐", "◓", "◑", "◒"];

/// A palette and a set of glyphs.
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
    /// Returns the theme that uses the terminal's palette.
    pub fn ansi() -> Self {
        Self::from_palette(ThemePalette::ansi())
    }

    /// Returns the theme without colours (`NO_COLOR`): bold, dim and reverse mark the roles.
    pub fn monochrome() -> Self {
        Self::from_palette(ThemePalette::monochrome())
    }

    pub const fn from_palette(palette: ThemePalette) -> Self {
        Self {
            palette,
            glyphs: UNICODE_GLYPHS,
        }
    }

    /// Replaces all glyphs by ASCII, for terminals and fonts without Unicode.
    #[must_use]
    pub const fn with_ascii(self) -> Self {
        Self {
            glyphs: ASCII_GLYPHS,
            ..self
        }
    }

    pub const fn glyphs(&self) -> &Glyphs {
        &self.glyphs
    }

    fn is_ascii(&self) -> bool {
        self.glyphs == ASCII_GLYPHS
    }

    /// Returns the default colours; empty to keep the terminal's own.
    pub const fn background(&self) -> Style {
        self.palette.background()
    }

    pub fn style(&self, role: Role) -> Style {
        self.palette.style(role)
    }

    pub fn severity_style(&self, severity: Severity) -> Style {
        self.style(match severity {
            Severity::Info => Role::Text,
            Severity::Success => Role::Ok,
            Severity::Warning => Role::Warn,
            Severity::Error => Role::Error,
        })
    }

    /// Returns the appearance of a status; the glyph of a running task depends on the second.
    pub fn status_style(&self, status: Status, now: Now) -> StatusStyle {
        let spinner = spinner_glyph(now);
        let (role, glyph, ascii) = match status {
            Status::New => (Role::Muted, "·", "."),
            Status::Generating | Status::Finishing => (Role::Busy, spinner, "o"),
            Status::Late => (Role::Warn, spinner, "o"),
            Status::Ready | Status::Saved => (Role::Ok, "✓", "+"),
            Status::NoLink => (Role::Warn, "✓", "+"),
            Status::LinkExpired => (Role::Muted, "✓", "+"),
            Status::CallbackFailed => (Role::Warn, "!", "!"),
            Status::CreateFailed | Status::GenerationFailed => (Role::Error, "✗", "x"),
            Status::NotFound | Status::Unknown => (Role::Warn, "?", "?"),
        };
        StatusStyle {
            role,
            glyph: if self.is_ascii() { ascii } else { glyph },
        }
    }

    /// Returns the name of a key; with ASCII glyphs, arrows are spelled out.
    pub fn key_name(&self, chord: KeyChord) -> String {
        if self.is_ascii() {
            chord.ascii()
        } else {
            chord.to_string()
        }
    }
}

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
    use strum::VariantArray as _;

    use super::*;
    use crate::{app::keymap::Key, domain::time::Mono, messages::format};

    fn now() -> Now {
        Now {
            wall: Timestamp::UNIX_EPOCH,
            mono: Mono::default(),
        }
    }

    #[test]
    fn every_status_has_a_unique_word_and_a_glyph() {
        let words: HashSet<_> = Status::ALL.iter().map(|status| status.word()).collect();
        let shorts: HashSet<_> = Status::ALL
            .iter()
            .map(|status| status.short_word())
            .collect();
        assert_eq!(words.len(), Status::ALL.len());
        assert_eq!(shorts.len(), Status::ALL.len());
        for &status in Status::ALL {
            assert!(status.word().len() <= 13 && status.short_word().len() <= 4);
            for theme in [Theme::ansi(), Theme::monochrome().with_ascii()] {
                let glyph = theme.status_style(status, now()).glyph;
                assert_eq!(format::width(glyph), 1, "{status:?}");
            }
        }
    }

    #[test]
    fn the_ascii_glyphs_are_ascii() {
        let theme = Theme::ansi().with_ascii();
        for &status in Status::ALL {
            assert!(theme.status_style(status, now()).glyph.is_ascii());
        }
        assert_eq!(theme.key_name(KeyChord::plain(Key::Up)), "Up");
    }

    #[test]
    fn no_color_uses_no_colour() {
        let theme = Theme::monochrome();
        for role in Role::VARIANTS {
            let style = theme.style(*role);
            assert_eq!((style.fg, style.bg), (None, None), "{role:?}");
        }
    }
}
