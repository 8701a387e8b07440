//! Colour palettes: one style for each role, and the parser of styles in theme files.
//!
//! The built-in palettes use only the terminal's sixteen colours and its default foreground, so
//! text is readable on dark and light backgrounds.

use ratatui::style::{Color, Modifier, Style};

use crate::messages::errors::did_you_mean;

/// The purpose of a piece of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Main text.
    Text,
    /// Labels, units, hints.
    Muted,
    /// Highlighted parts of the program: its name, the current tab.
    Accent,
    Selected,
    /// A success.
    Ok,
    /// Work in progress.
    Busy,
    Warn,
    Error,
    /// The title of a frame or a task.
    Title,
    Border,
    /// The border of the focused frame.
    Focus,
    /// A column heading.
    Heading,
    /// A key in a hint.
    Key,
    /// The cursor of a text input.
    Cursor,
}

impl Role {
    pub const ALL: [Self; 14] = [
        Self::Text,
        Self::Muted,
        Self::Accent,
        Self::Selected,
        Self::Ok,
        Self::Busy,
        Self::Warn,
        Self::Error,
        Self::Title,
        Self::Border,
        Self::Focus,
        Self::Heading,
        Self::Key,
        Self::Cursor,
    ];

    /// Returns the role's name in theme files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Muted => "muted",
            Self::Accent => "accent",
            Self::Selected => "selected",
            Self::Ok => "ok",
            Self::Busy => "busy",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Title => "title",
            Self::Border => "border",
            Self::Focus => "focus",
            Self::Heading => "heading",
            Self::Key => "key",
            Self::Cursor => "cursor",
        }
    }
}

/// A style for each role, and the default colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThemePalette {
    background: Style,
    text: Style,
    muted: Style,
    accent: Style,
    selected: Style,
    ok: Style,
    busy: Style,
    warn: Style,
    error: Style,
    title: Style,
    border: Style,
    focus: Style,
    heading: Style,
    key: Style,
    cursor: Style,
}

impl Default for ThemePalette {
    fn default() -> Self {
        Self::ansi()
    }
}

impl ThemePalette {
    /// Returns the palette of the terminal's own colours, for dark and light backgrounds.
    ///
    /// The selected row is the accent in reverse: its text takes the terminal's background colour,
    /// so it is as readable as the accent on any background.
    pub const fn ansi() -> Self {
        let plain = Style::new();
        let dim = plain.add_modifier(Modifier::DIM);
        Self {
            background: plain,
            text: plain,
            muted: dim,
            accent: plain.fg(Color::LightBlue).add_modifier(Modifier::BOLD),
            selected: plain.fg(Color::LightBlue).add_modifier(Modifier::REVERSED),
            ok: plain.fg(Color::Green),
            busy: plain.fg(Color::Cyan),
            warn: plain.fg(Color::Magenta),
            error: plain.fg(Color::Red),
            title: plain.add_modifier(Modifier::BOLD),
            border: dim,
            focus: plain.fg(Color::LightBlue),
            heading: dim,
            key: plain.fg(Color::LightBlue),
            cursor: plain.add_modifier(Modifier::REVERSED),
        }
    }

    /// Returns the palette without colours: bold, dim and reverse mark the roles.
    pub const fn monochrome() -> Self {
        let plain = Style::new();
        let (dim, bold) = (
            plain.add_modifier(Modifier::DIM),
            plain.add_modifier(Modifier::BOLD),
        );
        let reversed = plain.add_modifier(Modifier::REVERSED);
        Self {
            background: plain,
            text: plain,
            muted: dim,
            accent: bold,
            selected: reversed,
            ok: plain,
            busy: plain,
            warn: bold,
            error: bold,
            title: bold,
            border: dim,
            focus: plain,
            heading: dim,
            key: bold,
            cursor: reversed,
        }
    }

    /// Returns the default colours; empty to keep the terminal's own.
    pub const fn background(&self) -> Style {
        self.background
    }

    #[must_use]
    pub const fn with_background(self, background: Style) -> Self {
        Self { background, ..self }
    }

    pub const fn style(&self, role: Role) -> Style {
        match role {
            Role::Text => self.text,
            Role::Muted => self.muted,
            Role::Accent => self.accent,
            Role::Selected => self.selected,
            Role::Ok => self.ok,
            Role::Busy => self.busy,
            Role::Warn => self.warn,
            Role::Error => self.error,
            Role::Title => self.title,
            Role::Border => self.border,
            Role::Focus => self.focus,
            Role::Heading => self.heading,
            Role::Key => self.key,
            Role::Cursor => self.cursor,
        }
    }

    /// Replaces RGB colours by the nearest of the 256 indexed ones, for terminals without RGB.
    #[must_use]
    pub fn to_256_colours(self) -> Self {
        let reduced = |style: Style| Style {
            fg: style.fg.map(nearest_indexed),
            bg: style.bg.map(nearest_indexed),
            ..style
        };
        let palette = self.with_background(reduced(self.background));
        Role::ALL.into_iter().fold(palette, |palette, role| {
            palette.with_style(role, reduced(self.style(role)))
        })
    }

    #[must_use]
    pub const fn with_style(mut self, role: Role, style: Style) -> Self {
        let slot = match role {
            Role::Text => &mut self.text,
            Role::Muted => &mut self.muted,
            Role::Accent => &mut self.accent,
            Role::Selected => &mut self.selected,
            Role::Ok => &mut self.ok,
            Role::Busy => &mut self.busy,
            Role::Warn => &mut self.warn,
            Role::Error => &mut self.error,
            Role::Title => &mut self.title,
            Role::Border => &mut self.border,
            Role::Focus => &mut self.focus,
            Role::Heading => &mut self.heading,
            Role::Key => &mut self.key,
            Role::Cursor => &mut self.cursor,
        };
        *slot = style;
        self
    }
}

/// The channel values of the 6x6x6 colour cube in the 256-colour palette.
const CUBE_STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];

/// The index of the first cube colour.
const CUBE_START: u8 = 16;

/// The index and the value of the first of the 24 greys; each is ten lighter than the one before.
const GREYS_START: u8 = 232;
const FIRST_GREY: u8 = 8;

/// Returns the indexed colour nearest to an RGB colour; other colours are returned unchanged.
fn nearest_indexed(colour: Color) -> Color {
    let Color::Rgb(red, green, blue) = colour else {
        return colour;
    };
    let parts = [red, green, blue];
    let greys = (0..24_u8).map(|step| (GREYS_START + step, [FIRST_GREY + 10 * step; 3]));
    let cube = (0_u8..).zip(CUBE_STEPS).flat_map(|(red_at, red)| {
        (0_u8..).zip(CUBE_STEPS).flat_map(move |(green_at, green)| {
            (0_u8..).zip(CUBE_STEPS).map(move |(blue_at, blue)| {
                let index = CUBE_START + 36 * red_at + 6 * green_at + blue_at;
                (index, [red, green, blue])
            })
        })
    });
    let distance = |other: [u8; 3]| -> u32 {
        let pairs = parts.into_iter().zip(other);
        pairs
            .map(|(one, two)| u32::from(one.abs_diff(two)).pow(2))
            .sum()
    };
    let found = cube.chain(greys).min_by_key(|(_, other)| distance(*other));
    found.map_or(colour, |(index, _)| Color::Indexed(index))
}

const COLOUR_NAMES: [(&str, Color); 16] = [
    ("black", Color::Black),
    ("red", Color::Red),
    ("green", Color::Green),
    ("yellow", Color::Yellow),
    ("blue", Color::Blue),
    ("magenta", Color::Magenta),
    ("cyan", Color::Cyan),
    ("white", Color::Gray),
    ("bright-black", Color::DarkGray),
    ("bright-red", Color::LightRed),
    ("bright-green", Color::LightGreen),
    ("bright-yellow", Color::LightYellow),
    ("bright-blue", Color::LightBlue),
    ("bright-magenta", Color::LightMagenta),
    ("bright-cyan", Color::LightCyan),
    ("bright-white", Color::White),
];

const MODIFIER_NAMES: [(&str, Modifier); 4] = [
    ("bold", Modifier::BOLD),
    ("dim", Modifier::DIM),
    ("underlined", Modifier::UNDERLINED),
    ("reversed", Modifier::REVERSED),
];

/// Parses a style: `bright-blue bold`, `#ffb000 on black`, `reversed`, `plain`. The error is a
/// message for the user.
pub fn parse_style(text: &str) -> Result<Style, String> {
    let mut style = Style::new();
    let mut words = text.split_whitespace();
    while let Some(word) = words.next() {
        let modifier = MODIFIER_NAMES.iter().find(|(name, _)| *name == word);
        if let Some((_, modifier)) = modifier {
            style = style.add_modifier(*modifier);
        } else if word == "on" {
            style = style.bg(parse_colour(words.next().unwrap_or_default())?);
        } else if word != "plain" {
            style = style.fg(parse_colour(word)?);
        }
    }
    Ok(style)
}

/// Parses a colour name or `#rrggbb`.
fn parse_colour(word: &str) -> Result<Color, String> {
    if let Some((_, colour)) = COLOUR_NAMES.iter().find(|(name, _)| *name == word) {
        return Ok(*colour);
    }
    let digits = word
        .strip_prefix('#')
        .filter(|digits| digits.len() == 6 && digits.bytes().all(|b| b.is_ascii_hexdigit()));
    if let Some(number) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
        return Ok(Color::from_u32(number));
    }
    let known = COLOUR_NAMES.iter().map(|(name, _)| *name);
    let known = known.chain(MODIFIER_NAMES.iter().map(|(name, _)| *name));
    Err(format!(
        "\"{word}\" is not a colour; use an ANSI colour (red, bright-blue, …) or #rrggbb{}",
        did_you_mean(word, known)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn styles_round_trip() {
        let plain = Style::new();
        let table = [
            ("", plain),
            ("plain", plain),
            (
                "bright-blue bold",
                plain.fg(Color::LightBlue).add_modifier(Modifier::BOLD),
            ),
            (
                "#ffB000 on black",
                plain.fg(Color::from_u32(0x00ff_b000)).bg(Color::Black),
            ),
            ("reversed", plain.add_modifier(Modifier::REVERSED)),
        ];
        for (text, style) in table {
            assert_eq!(parse_style(text), Ok(style), "{text}");
        }
        for text in ["bleu", "#12", "#12345é", "on", "#1234567", "bright blue"] {
            assert!(parse_style(text).is_err(), "{text}");
        }
        let message = parse_style("megenta").unwrap_err();
        assert!(message.ends_with("did you mean \"magenta\"?"), "{message}");
    }

    #[test]
    fn rgb_colours_map_to_the_nearest_of_256() {
        let reduced = |text: &str| {
            let style = parse_style(text).unwrap();
            let palette = ThemePalette::ansi()
                .with_background(style)
                .with_style(Role::Ok, style);
            let palette = palette.to_256_colours();
            assert_eq!(palette.background(), palette.style(Role::Ok));
            (palette.background().fg, palette.background().bg)
        };
        let index = |index| Some(Color::Indexed(index));
        assert_eq!(reduced("#ff0000 on #00005f"), (index(196), index(17)));
        assert_eq!(reduced("#5c5c5c on #767676"), (index(59), index(243)));
        assert_eq!(reduced("#ffffff on #000000"), (index(231), index(16)));
        assert_eq!(reduced("red bold"), (Some(Color::Red), None));
    }

    #[test]
    fn every_role_has_its_own_slot() {
        let mark = Style::new().fg(Color::Yellow);
        for role in Role::ALL {
            let palette = ThemePalette::monochrome().with_style(role, mark);
            for other in Role::ALL {
                let is_marked = palette.style(other) == mark;
                assert_eq!(is_marked, other == role, "{role:?} {other:?}");
            }
        }
    }
}
