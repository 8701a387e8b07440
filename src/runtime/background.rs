//! Dark or light: the terminal is asked for the colour of its ground, and the look follows the
//! answer.
//!
//! Nothing waits for it: the first frame is drawn for any ground, and where the answer says light,
//! the next one for that. The question has no second one behind it that every terminal answers, as
//! the pictures' has: nobody would do anything else for knowing that no answer comes.

use std::{future, io, time::Duration};

use futures_util::{Stream, StreamExt as _};
use tokio::time::{self, Instant};

use super::input::{InputEvent, Rgb, TerminalReply};
use crate::ui::theme::Theme;

/// Asks for the colour of the ground.
pub(super) const QUERY: &[u8] = b"\x1b]11;?\x1b\\";

/// From this luminance on a ground is light: that of a grey (`#bcbcbc`) on which dark letters read
/// far better than bright ones.
const LIGHT_LUMINANCE: f32 = 0.5;

/// So long after the question its answer may still be on the way.
const REPLY_WINDOW: Duration = Duration::from_secs(1);

/// How long the way out waits for an answer that may still come: else the shell would read it as
/// typed.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(100);

/// The look of the program: one for every ground, or another for those that are light.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Themes {
    default_theme: Box<Theme>,
    light_theme: Option<Box<Theme>>,
}

impl From<Theme> for Themes {
    fn from(usual: Theme) -> Self {
        Self {
            default_theme: Box::new(usual),
            light_theme: None,
        }
    }
}

impl Themes {
    /// Reports whether anything hangs on the ground.
    pub const fn depends_on_background(&self) -> bool {
        self.light_theme.is_some()
    }

    /// Looks otherwise on a ground that is light, for which the terminal is asked.
    #[must_use]
    pub fn with_light_theme(self, theme: Theme) -> Self {
        Self {
            light_theme: Some(Box::new(theme)),
            ..self
        }
    }
}

/// Knows what was asked and answered of the ground.
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

    /// Returns the look that fits the ground as far as it is known.
    pub(super) fn theme(&self) -> &Theme {
        let on_light = self.themes.light_theme.as_deref();
        on_light
            .filter(|_| self.is_light)
            .unwrap_or(&self.themes.default_theme)
    }

    /// Reports whether the terminal is to be asked, and takes it as asked: only when something
    /// hangs on the answer.
    pub(super) fn start_query(&mut self) -> bool {
        let asks = self.themes.depends_on_background();
        self.queried_at = asks.then(Instant::now);
        asks
    }

    /// Takes the answer in; reports whether the look is another now. What was not asked for changes
    /// nothing.
    pub(super) fn handle_reply(&mut self, colour: Rgb) -> bool {
        if self.queried_at.take().is_none() {
            return false;
        }
        let was_light = self.is_light;
        self.is_light = luminance(colour) >= LIGHT_LUMINANCE;
        self.is_light != was_light
    }

    /// Waits for a moment for an answer that may be on the way.
    pub(super) async fn drain_reply(
        &self,
        keys: impl Stream<Item = io::Result<InputEvent>> + Unpin,
    ) {
        if self
            .queried_at
            .is_none_or(|asked| asked.elapsed() >= REPLY_WINDOW)
        {
            return;
        }
        let answer = keys.any(|input| {
            future::ready(matches!(
                input,
                Ok(InputEvent::Reply(TerminalReply::Background(_))) | Err(_)
            ))
        });
        // Too late is as good as never.
        time::timeout(DRAIN_TIMEOUT, answer)
            .await
            .unwrap_or_default();
    }
}

/// Returns how light a colour is to the eye, from 0 to 1 (WCAG's relative luminance).
fn luminance(colour: Rgb) -> f32 {
    let [red, green, blue] = colour.map(|part| {
        if part <= 0.040_45 {
            part / 12.92
        } else {
            ((part + 0.055) / 1.055).powf(2.4)
        }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHITE: Rgb = [1.0, 1.0, 1.0];
    const BLACK: Rgb = [0.0, 0.0, 0.0];

    fn ground() -> Background {
        Background::new(Themes::from(Theme::ansi()).with_light_theme(Theme::monochrome()))
    }

    #[test]
    fn the_theme_follows_the_background_once_per_query() {
        let mut ground = ground();
        assert!(!ground.handle_reply(WHITE), "nobody has asked");
        assert_eq!(ground.theme(), &Theme::ansi());

        assert!(ground.start_query());
        assert!(ground.handle_reply(WHITE));
        assert_eq!(ground.theme(), &Theme::monochrome());
        assert!(!ground.handle_reply(BLACK), "one answer is enough");

        assert!(ground.start_query());
        assert!(!ground.handle_reply(WHITE), "as before");
        assert!(ground.start_query());
        assert!(ground.handle_reply(BLACK));
        assert_eq!(ground.theme(), &Theme::ansi());
    }

    #[test]
    fn a_chosen_theme_sends_no_query() {
        let mut ground = Background::new(Theme::monochrome().into());
        assert!(!ground.start_query());
        assert!(!ground.handle_reply(WHITE));
        assert_eq!(ground.theme(), &Theme::monochrome());
    }

    #[test]
    fn light_and_dark_backgrounds_are_distinguished() {
        let colour = |hex: u32| {
            let [_, rgb @ ..] = hex.to_be_bytes();
            rgb.map(|part| f32::from(part) / 255.0)
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
        let answer = || Ok(InputEvent::Reply(TerminalReply::Background(WHITE)));
        let mut ground = ground();
        let begun = Instant::now();
        ground.drain_reply(futures_util::stream::pending()).await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "nobody has asked");

        ground.start_query();
        let comes = futures_util::stream::iter([Ok(InputEvent::Focus(true)), answer()]);
        ground
            .drain_reply(comes.chain(futures_util::stream::pending()))
            .await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        ground.drain_reply(futures_util::stream::pending()).await;
        assert!(begun.elapsed() >= DRAIN_TIMEOUT);

        time::advance(REPLY_WINDOW).await;
        let begun = Instant::now();
        ground.drain_reply(futures_util::stream::pending()).await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "no answer comes any more");
    }
}
