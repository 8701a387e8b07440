//! Chooses the dark or light theme by the terminal's background colour.
//!
//! Nothing waits for the reply: the first frame uses a theme for any background, and the light
//! theme follows a reply that says light. The preview query ends with a second query that every
//! terminal answers; this one does not, because a missing reply changes nothing.

use std::{future, io, time::Duration};

use futures_util::{Stream, StreamExt as _};
use tokio::time::{self, Instant};

use super::input::{InputEvent, Rgb, TerminalReply};
use super::terminal::ColorDepth;
use crate::{app::palette::ThemePalette, ui::theme::Theme};

/// OSC 11, the query for the background colour.
pub(super) const QUERY: &[u8] = b"\x1b]11;?\x1b\\";

/// Luminance from which a background is light: that of `#bcbcbc`, on which dark text reads far
/// better than bright text.
const LIGHT_LUMINANCE: f32 = 0.5;

/// Time within which a reply is expected.
const REPLY_WINDOW: Duration = Duration::from_secs(1);

/// Time that quitting waits for a reply; the shell would read a late one as typed text.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(100);

/// The default theme, and the one for a light background.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Themes {
    default_theme: Box<Theme>,
    light_theme: Option<Box<Theme>>,
}

impl From<Theme> for Themes {
    fn from(theme: Theme) -> Self {
        Self {
            default_theme: Box::new(theme),
            light_theme: None,
        }
    }
}

impl Themes {
    pub const fn depends_on_background(&self) -> bool {
        self.light_theme.is_some()
    }

    /// Returns the themes of the palettes; the second one, for light backgrounds, needs more than
    /// 16 colours.
    pub fn from_palettes(
        base: ThemePalette,
        light: Option<ThemePalette>,
        depth: ColorDepth,
        is_ascii: bool,
    ) -> Self {
        let themes = Self::from(theme_of(base, is_ascii));
        let light = light.and_then(|palette| match depth {
            ColorDepth::Sixteen => None,
            ColorDepth::Indexed256 => Some(palette.to_256_colours()),
            ColorDepth::TrueColor => Some(palette),
        });
        match light {
            Some(light) => themes.with_light_theme(theme_of(light, is_ascii)),
            None => themes,
        }
    }

    #[must_use]
    pub fn with_light_theme(self, theme: Theme) -> Self {
        Self {
            light_theme: Some(Box::new(theme)),
            ..self
        }
    }
}

fn theme_of(palette: ThemePalette, is_ascii: bool) -> Theme {
    let theme = Theme::from_palette(palette);
    if is_ascii { theme.with_ascii() } else { theme }
}

/// The themes and the state of the background query.
#[derive(Debug)]
pub(super) struct Background {
    themes: Themes,
    is_light: bool,
    queried_at: Option<Instant>,
}

impl Background {
    pub(super) const fn new(themes: Themes) -> Self {
        Self {
            themes,
            is_light: false,
            queried_at: None,
        }
    }

    pub(super) fn theme(&self) -> &Theme {
        let on_light = self.themes.light_theme.as_deref();
        on_light
            .filter(|_| self.is_light)
            .unwrap_or(&self.themes.default_theme)
    }

    /// Returns whether the caller must send [`QUERY`] now.
    pub(super) fn start_query(&mut self) -> bool {
        let is_needed = self.themes.depends_on_background();
        self.queried_at = is_needed.then(Instant::now);
        is_needed
    }

    /// Returns whether the theme has changed. A reply without a query changes nothing.
    pub(super) fn handle_reply(&mut self, colour: Rgb) -> bool {
        if self.queried_at.take().is_none() {
            return false;
        }
        let was_light = self.is_light;
        self.is_light = luminance(colour) >= LIGHT_LUMINANCE;
        self.is_light != was_light
    }

    /// Waits up to [`DRAIN_TIMEOUT`] for an expected reply.
    pub(super) async fn drain_reply(
        &self,
        keys: impl Stream<Item = io::Result<InputEvent>> + Unpin,
    ) {
        if self
            .queried_at
            .is_none_or(|queried| queried.elapsed() >= REPLY_WINDOW)
        {
            return;
        }
        let reply = keys.any(|input| {
            future::ready(matches!(
                input,
                Ok(InputEvent::Reply(TerminalReply::Background(_))) | Err(_)
            ))
        });
        time::timeout(DRAIN_TIMEOUT, reply)
            .await
            .unwrap_or_default();
    }
}

/// Returns the relative luminance as WCAG defines it, from 0 to 1.
fn luminance(colour: Rgb) -> f32 {
    let [red, green, blue] = colour.map(|channel| {
        if channel <= 0.040_45 {
            channel / 12.92
        } else {
            ((channel + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHITE: Rgb = [1.0, 1.0, 1.0];
    const BLACK: Rgb = [0.0, 0.0, 0.0];

    fn background() -> Background {
        Background::new(Themes::from(Theme::ansi()).with_light_theme(Theme::monochrome()))
    }

    #[test]
    fn the_theme_follows_the_background_once_per_query() {
        let mut background = background();
        assert!(!background.handle_reply(WHITE), "no query was sent");
        assert_eq!(background.theme(), &Theme::ansi());

        assert!(background.start_query());
        assert!(background.handle_reply(WHITE));
        assert_eq!(background.theme(), &Theme::monochrome());
        assert!(!background.handle_reply(BLACK), "a second reply");

        assert!(background.start_query());
        assert!(!background.handle_reply(WHITE), "unchanged");
        assert!(background.start_query());
        assert!(background.handle_reply(BLACK));
        assert_eq!(background.theme(), &Theme::ansi());
    }

    #[test]
    fn a_chosen_theme_sends_no_query() {
        let mut background = Background::new(Theme::monochrome().into());
        assert!(!background.start_query());
        assert!(!background.handle_reply(WHITE));
        assert_eq!(background.theme(), &Theme::monochrome());
    }

    #[test]
    fn light_and_dark_backgrounds_are_distinguished() {
        let colour = |hex: u32| {
            let [_, rgb @ ..] = hex.to_be_bytes();
            rgb.map(|channel| f32::from(channel) / 255.0)
        };
        for (hex, is_light) in [
            (0x00_0000, false),
            (0x28_2c34, false),
            (0x00_2b36, false),
            (0x30_0a24, false),
            (0x80_8080, false),
            (0xbc_bcbc, true),
            (0xfd_f6e3, true),
            (0xff_ffdd, true),
            (0xff_ffff, true),
        ] {
            assert_eq!(
                luminance(colour(hex)) >= LIGHT_LUMINANCE,
                is_light,
                "{hex:06x}"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn leaving_drains_a_pending_reply() {
        let reply = || Ok(InputEvent::Reply(TerminalReply::Background(WHITE)));
        let mut background = background();
        let started = Instant::now();
        background
            .drain_reply(futures_util::stream::pending())
            .await;
        assert_eq!(started.elapsed(), Duration::ZERO, "no query was sent");

        background.start_query();
        let input = futures_util::stream::iter([Ok(InputEvent::Focus(true)), reply()]);
        background
            .drain_reply(input.chain(futures_util::stream::pending()))
            .await;
        assert_eq!(started.elapsed(), Duration::ZERO);
        background
            .drain_reply(futures_util::stream::pending())
            .await;
        assert!(started.elapsed() >= DRAIN_TIMEOUT);

        time::advance(REPLY_WINDOW).await;
        let started = Instant::now();
        background
            .drain_reply(futures_util::stream::pending())
            .await;
        assert_eq!(started.elapsed(), Duration::ZERO, "too late for a reply");
    }
}
