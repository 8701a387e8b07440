//! Dark or light: the terminal is asked for the colour of its ground, and the look follows the answer.
//!
//! Nothing waits for it: the first frame is drawn for any ground, and where the answer says light, the next one for
//! that. The question has no second one behind it that every terminal answers, as the pictures' has: nobody would do
//! anything else for knowing that no answer comes.

use std::{future, io, time::Duration};

use futures_util::{Stream, StreamExt as _};
use tokio::time::{self, Instant};

use super::input::{Answer, Colour, Input};
use crate::ui::theme::Theme;

/// Asks for the colour of the ground.
pub(super) const QUESTION: &[u8] = b"\x1b]11;?\x1b\\";

/// From this luminance on a ground is light: that of a grey (`#bcbcbc`) on which dark letters read far better than
/// bright ones.
const LIGHT: f32 = 0.5;

/// So long after the question its answer may still be on the way.
const ANSWERS: Duration = Duration::from_secs(1);

/// How long the way out waits for an answer that may still come: else the shell would read it as typed.
const LAST_WAIT: Duration = Duration::from_millis(100);

/// Is the look of the program: one for every ground, or another for those that are light.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Themes {
    usual: Box<Theme>,
    on_light: Option<Box<Theme>>,
}

impl From<Theme> for Themes {
    fn from(usual: Theme) -> Self {
        Self {
            usual: Box::new(usual),
            on_light: None,
        }
    }
}

impl Themes {
    /// Reports whether anything hangs on the ground.
    pub const fn follows_ground(&self) -> bool {
        self.on_light.is_some()
    }

    /// Looks otherwise on a ground that is light, for which the terminal is asked.
    #[must_use]
    pub fn on_light(self, theme: Theme) -> Self {
        Self {
            on_light: Some(Box::new(theme)),
            ..self
        }
    }
}

/// Knows what was asked and answered of the ground.
#[derive(Debug)]
pub(super) struct Ground {
    themes: Themes,
    is_light: bool,
    asked: Option<Instant>,
}

impl Ground {
    pub(super) const fn new(themes: Themes) -> Self {
        Self {
            themes,
            is_light: false,
            asked: None,
        }
    }

    /// Returns the look that fits the ground as far as it is known.
    pub(super) fn theme(&self) -> &Theme {
        let on_light = self.themes.on_light.as_deref();
        on_light
            .filter(|_| self.is_light)
            .unwrap_or(&self.themes.usual)
    }

    /// Reports whether the terminal is to be asked, and takes it as asked: only when something hangs on the answer.
    pub(super) fn has_to_ask(&mut self) -> bool {
        let asks = self.themes.follows_ground();
        self.asked = asks.then(Instant::now);
        asks
    }

    /// Takes the answer in; reports whether the look is another now. What was not asked for changes nothing.
    pub(super) fn answered(&mut self, colour: Colour) -> bool {
        if self.asked.take().is_none() {
            return false;
        }
        let was_light = self.is_light;
        self.is_light = luminance(colour) >= LIGHT;
        self.is_light != was_light
    }

    /// Waits for a moment for an answer that may be on the way.
    pub(super) async fn let_answer(&self, keys: impl Stream<Item = io::Result<Input>> + Unpin) {
        if self.asked.is_none_or(|asked| asked.elapsed() >= ANSWERS) {
            return;
        }
        let answer = keys.any(|input| {
            future::ready(matches!(
                input,
                Ok(Input::Answer(Answer::Ground(_))) | Err(_)
            ))
        });
        // Too late is as good as never.
        time::timeout(LAST_WAIT, answer).await.unwrap_or_default();
    }
}

/// Returns how light a colour is to the eye, from 0 to 1 (WCAG's relative luminance).
fn luminance(colour: Colour) -> f32 {
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

    const WHITE: Colour = [1.0, 1.0, 1.0];
    const BLACK: Colour = [0.0, 0.0, 0.0];

    fn ground() -> Ground {
        Ground::new(Themes::from(Theme::ansi()).on_light(Theme::monochrome()))
    }

    #[test]
    fn the_look_follows_the_ground_once_for_each_question() {
        let mut ground = ground();
        assert!(!ground.answered(WHITE), "nobody has asked");
        assert_eq!(ground.theme(), &Theme::ansi());

        assert!(ground.has_to_ask());
        assert!(ground.answered(WHITE));
        assert_eq!(ground.theme(), &Theme::monochrome());
        assert!(!ground.answered(BLACK), "one answer is enough");

        assert!(ground.has_to_ask());
        assert!(!ground.answered(WHITE), "as before");
        assert!(ground.has_to_ask());
        assert!(ground.answered(BLACK));
        assert_eq!(ground.theme(), &Theme::ansi());
    }

    #[test]
    fn a_chosen_look_asks_nothing() {
        let mut ground = Ground::new(Theme::monochrome().into());
        assert!(!ground.has_to_ask());
        assert!(!ground.answered(WHITE));
        assert_eq!(ground.theme(), &Theme::monochrome());
    }

    #[test]
    fn common_grounds_are_told_apart() {
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
            assert_eq!(luminance(colour(hex)) >= LIGHT, is_light, "{hex:06x}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_way_out_takes_an_answer_along_and_waits_a_moment_at_most() {
        let answer = || Ok(Input::Answer(Answer::Ground(WHITE)));
        let mut ground = ground();
        let begun = Instant::now();
        ground.let_answer(futures_util::stream::pending()).await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "nobody has asked");

        ground.has_to_ask();
        let comes = futures_util::stream::iter([Ok(Input::Focus(true)), answer()]);
        ground
            .let_answer(comes.chain(futures_util::stream::pending()))
            .await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        ground.let_answer(futures_util::stream::pending()).await;
        assert!(begun.elapsed() >= LAST_WAIT);

        time::advance(ANSWERS).await;
        let begun = Instant::now();
        ground.let_answer(futures_util::stream::pending()).await;
        assert_eq!(begun.elapsed(), Duration::ZERO, "no answer comes any more");
    }
}
