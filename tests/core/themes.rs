//! Tests of theme contrast: every role against its background, by the WCAG formula.
//!
//! ANSI colours have the values of xterm; themes that use them are tested on the backgrounds of
//! xterm.

use kietop::{
    app::palette::{Role, ThemePalette},
    config::themes,
};
use ratatui::style::{Color, Modifier, Style};
use strum::VariantArray as _;

type Rgb = [f64; 3];

const BLACK: Rgb = [0.0, 0.0, 0.0];
const WHITE: Rgb = [1.0, 1.0, 1.0];

/// A terminal background, for themes that set none.
#[derive(Clone, Copy, Debug, PartialEq)]
enum TestBackground {
    Dark,
    Light,
}

impl TestBackground {
    fn default_colours(self) -> (Rgb, Rgb) {
        match self {
            Self::Dark => (xterm_rgb(7), BLACK),
            Self::Light => (BLACK, WHITE),
        }
    }
}

/// Returns one of the 16 ANSI colours of xterm.
fn xterm_rgb(at: usize) -> Rgb {
    let hex = [
        0x00_0000, 0xcd_0000, 0x00_cd00, 0xcd_cd00, 0x00_00ee, 0xcd_00cd, 0x00_cdcd, 0xe5_e5e5,
        0x7f_7f7f, 0xff_0000, 0x00_ff00, 0xff_ff00, 0x5c_5cff, 0xff_00ff, 0x00_ffff, 0xff_ffff,
    ];
    rgb(hex[at])
}

fn rgb(hex: u32) -> Rgb {
    [16, 8, 0].map(|shift| f64::from((hex >> shift) & 0xff) / 255.0)
}

fn rgb_of(colour: Color) -> Rgb {
    let sixteen = [
        Color::Black,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Blue,
        Color::Magenta,
        Color::Cyan,
        Color::Gray,
        Color::DarkGray,
        Color::LightRed,
        Color::LightGreen,
        Color::LightYellow,
        Color::LightBlue,
        Color::LightMagenta,
        Color::LightCyan,
        Color::White,
    ];
    // The colour cube and the greys of the 256 colours do not depend on the terminal.
    if let Color::Indexed(index) = colour {
        let step = |at: u8| f64::from([0_u8, 95, 135, 175, 215, 255][usize::from(at % 6)]) / 255.0;
        if index >= 232 {
            return [f64::from(8 + 10 * (index - 232)) / 255.0; 3];
        }
        let at = index - 16;
        return [at / 36, at / 6, at].map(step);
    }
    if let Color::Rgb(r, g, b) = colour {
        return [r, g, b].map(|part| f64::from(part) / 255.0);
    }
    xterm_rgb(sixteen.iter().position(|known| *known == colour).unwrap())
}

fn luminance(colour: Rgb) -> f64 {
    let [r, g, b] = colour.map(|part| {
        if part <= 0.04045 {
            part / 12.92
        } else {
            ((part + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * r + 0.7152 * g + 0.0722 * b
}

fn contrast(one: Rgb, other: Rgb) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

/// Returns the contrast of a style; terminals draw dim text halfway to the background.
fn style_contrast(style: Style, palette: &ThemePalette, background: TestBackground) -> f64 {
    let (text, base) = background.default_colours();
    let theme = palette.background();
    let (text, base) = (theme.fg.map_or(text, rgb_of), theme.bg.map_or(base, rgb_of));
    let mut fg = style.fg.map_or(text, rgb_of);
    let mut bg = style.bg.map_or(base, rgb_of);
    if style.add_modifier.contains(Modifier::REVERSED) {
        (fg, bg) = (bg, fg);
    }
    if style.add_modifier.contains(Modifier::DIM) {
        fg = [0, 1, 2].map(|part| f64::midpoint(fg[part], bg[part]));
    }
    contrast(fg, bg)
}

/// Returns the minimum contrast of a role; borders and secondary text need less than main text.
fn min_contrast(theme: &str, role: Role) -> f64 {
    let is_secondary = matches!(
        role,
        Role::Muted | Role::Heading | Role::Border | Role::Focus
    );
    match theme {
        "high-contrast" => 7.0,
        // One set of colours for dark and light backgrounds is a compromise.
        "auto" => 3.0,
        _ if is_secondary => 3.0,
        _ => 4.5,
    }
}

/// Accepted exceptions: the green and cyan of xterm are too pale on white. Terminals with a light
/// background by default have darker ones, and the theme `light` does not use them.
const KNOWN_LOW_CONTRAST: [(&str, TestBackground, Role); 2] = [
    ("auto", TestBackground::Light, Role::Ok),
    ("auto", TestBackground::Light, Role::Busy),
];

#[test]
fn every_theme_role_has_enough_contrast() {
    for name in themes::theme_names() {
        let palette = themes::load_theme(name, None).unwrap();
        let backgrounds: &[_] = match name {
            "dark" => &[TestBackground::Dark],
            "light" => &[TestBackground::Light],
            _ => &[TestBackground::Dark, TestBackground::Light],
        };
        for &background in backgrounds {
            for &role in Role::VARIANTS {
                let ratio = style_contrast(palette.style(role), &palette, background);
                let is_enough = ratio >= min_contrast(name, role);
                let is_known_low = KNOWN_LOW_CONTRAST.contains(&(name, background, role));
                assert_eq!(
                    is_enough, !is_known_low,
                    "{name}, {role:?} on {background:?}: {ratio:.2}"
                );
            }
        }
    }
}

#[test]
fn the_light_auto_theme_has_enough_contrast() {
    let exact = themes::ThemePalettes::default().light.unwrap();
    for (palette, colours) in [(exact, "all"), (exact.to_256_colours(), "256")] {
        for &role in Role::VARIANTS {
            let ratio = style_contrast(palette.style(role), &palette, TestBackground::Light);
            assert!(
                ratio >= min_contrast("light", role),
                "{role:?} with {colours}: {ratio:.2}"
            );
        }
    }
}

#[test]
fn good_and_bad_differ_for_colour_blind_users() {
    // Without the red-green axis, colours differ in lightness and blueness only.
    let palette = themes::load_theme("colour-blind", None).unwrap();
    let perceived = |role| {
        let [r, g, b] = rgb_of(palette.style(role).fg.unwrap());
        let yellow = f64::midpoint(r, g);
        [f64::midpoint(yellow, b), yellow - b]
    };
    let roles = [Role::Ok, Role::Busy, Role::Warn, Role::Error];
    for (at, one) in roles.iter().enumerate() {
        for other in &roles[at + 1..] {
            let ([light, blue], [other_light, other_blue]) = (perceived(*one), perceived(*other));
            let distance = (light - other_light).hypot(blue - other_blue);
            assert!(distance > 0.2, "{one:?} and {other:?}: {distance:.2}");
        }
    }
}

#[test]
fn contrast_follows_wcag() {
    assert!((contrast(BLACK, WHITE) - 21.0).abs() < 1e-9);
    assert!((contrast(rgb(0x77_7777), WHITE) - 4.48).abs() < 0.01);
}
