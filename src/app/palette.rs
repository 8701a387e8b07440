//! Colour palettes: one style for each role, and the parser of styles in theme files.
//!
//! The built-in palettes use only the terminal's sixteen colours and its default foreground, so
//! text is readable on dark and light backgrounds.

use ratatui::style::{Color, Modifier, Style};
use strum::{EnumCount, IntoStaticStr, VariantArray};

use crate::messages::errors::did_you_mean;

/// The purpose of a piece of text. Its name in theme files is the variant in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumCount, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
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

/// A style for each role, and the default colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThemePalette {
    background: Style,
    /// In the order of the roles.
    styles: [Style; Role::COUNT],
}

impl Default for ThemePalette {
    fn default() -> Self {
        Self::ansi()
    }
}

impl ThemePalette {
    fn new(style: impl Fn(Role) -> Style) -> Self {
        let mut palette = Self {
            background: Style::new(),
            styles: [Style::new(); Role::COUNT],
        };
        for role in Role::VARIANTS {
            palette = palette.with_style(*role, style(*role));
        }
        palette
    }

    /// Returns the palette of the terminal's own colours, for dark and light backgrounds.
    ///
    /// The selected row is the accent in reverse: its text takes the terminal's background colour,
    /// so it is as readable as the accent on any background.
    pub fn ansi() -> Self {
        let plain = Style::new();
        Self::new(|role| match role {
            Role::Text => plain,
            Role::Muted | Role::Border | Role::Heading => plain.add_modifier(Modifier::DIM),
            Role::Accent => plain.fg(Color::LightBlue).add_modifier(Modifier::BOLD),
            Role::Selected => plain.fg(Color::LightBlue).add_modifier(Modifier::REVERSED),
            Role::Ok => plain.fg(Color::Green),
            Role::Busy => plain.fg(Color::Cyan),
            Role::Warn => plain.fg(Color::Magenta),
            Role::Error => plain.fg(Color::Red),
            Role::Title => plain.add_modifier(Modifier::BOLD),
            Role::Focus | Role::Key => plain.fg(Color::LightBlue),
            Role::Cursor => plain.add_modifier(Modifier::REVERSED),
        })
    }

    /// Returns the palette without colours: bold, dim and reverse mark the roles.
    pub fn monochrome() -> Self {
        let plain = Style::new();
        Self::new(|role| match role {
            Role::Text | Role::Ok | Role::Busy | Role::Focus => plain,
            Role::Muted | Role::Border | Role::Heading => plain.add_modifier(Modifier::DIM),
            Role::Accent | Role::Warn | Role::Error | Role::Title | Role::Key => {
                plain.add_modifier(Modifier::BOLD)
            }
            Role::Selected | Role::Cursor => plain.add_modifier(Modifier::REVERSED),
        })
    }

    /// Returns the default colours; empty to keep the terminal's own.
    pub const fn background(&self) -> Style {
        self.background
    }

    #[must_use]
    pub const fn with_background(self, background: Style) -> Self {
        Self { background, ..self }
    }

    pub fn style(&self, role: Role) -> Style {
        self.styles.get(role as usize).copied().unwrap_or_default()
    }

    #[must_use]
    pub fn with_style(mut self, role: Role, style: Style) -> Self {
        if let Some(slot) = self.styles.get_mut(role as usize) {
            *slot = style;
        }
        self
    }

    /// Replaces RGB colours by the nearest of the 256 indexed ones, for terminals without RGB.
    #[must_use]
    pub fn to_256_colours(self) -> Self {
        let reduced = |style: Style| Style {
            fg: style.fg.map(nearest_indexed),
            bg: style.bg.map(nearest_indexed),
            ..style
        };
        Self {
            background: reduced(self.background),
            styles: self.styles.map(reduced),
        }
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
        for &role in Role::VARIANTS {
            let palette = ThemePalette::monochrome().with_style(role, mark);
            for &other in Role::VARIANTS {
                let is_marked = palette.style(other) == mark;
                assert_eq!(is_marked, other == role, "{role:?} {other:?}");
            }
        }
    }
}
