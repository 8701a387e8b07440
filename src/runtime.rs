//! The event loop: waits for a key, a response or a timer, updates the state, draws.
//!
//! It is the only owner of [`State`] and awaits only its own `select!`, which is biased:
//! shutdown, input, output, responses, timers. So no key waits behind a response, a terminal that
//! has stopped reading delays frames only, and an idle program does not wake.

mod background;
mod display;
pub mod effects;
pub mod headless;
pub mod input;
mod preview;
pub mod terminal;
mod tty;

use std::{io, pin::pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt as _};
use tokio::{sync::mpsc, time};

use self::{
    background::Background,
    effects::{EffectRunner, Services},
    input::{InputEvent, TerminalReply},
    preview::{PreviewRenderer, ShownPreview},
    terminal::{Interruption, SIGNAL_EXIT_BASE},
};
pub use self::{background::Themes, display::Display};
use crate::{
    app::{
        mouse::MouseAction,
        msg::{Effect, Msg},
        state::State,
        update::{next_wakeup, startup_effects, update},
    },
    domain::store_request::StoreRequest,
    messages::crashes,
    ports::Clock,
    ui,
};

/// Minimum time between two frames; a key is drawn at once.
const MIN_FRAME_INTERVAL: Duration = Duration::from_millis(16);

/// Responses handled before input is read again.
const MAX_BATCH: usize = 64;

/// Exit code when the terminal is gone: that of SIGHUP.
const HANG_UP_EXIT_CODE: i32 = SIGNAL_EXIT_BASE + 1;

/// Runs the dashboard until it quits and returns the exit code. Pending writes are completed first,
/// within `effects::SHUTDOWN_TIMEOUT`.
pub async fn run(
    display: &mut impl Display,
    keys: impl Stream<Item = io::Result<InputEvent>>,
    mut interruptions: mpsc::Receiver<Interruption>,
    state: State,
    themes: Themes,
    services: Services,
) -> i32 {
    let clock = Arc::clone(&services.clock);
    let (preview_renderer, preview_maker) = preview::new_preview(state.settings().preview_mode);
    let (effect_runner, mut answers) = EffectRunner::new(services, preview_maker);
    let mut event_loop = EventLoop {
        display,
        state,
        background: Background::new(themes),
        clock,
        effect_runner,
        preview_renderer,
        shown_preview: None,
        size: None,
        has_reported_unknown_size: false,
        frame_timer: FrameTimer::default(),
    };
    let mut keys = pin!(keys.fuse());
    event_loop.query_background();
    event_loop.run_effects(startup_effects());
    let code = loop {
        if let Some(code) = event_loop.draw_if_due() {
            break code;
        }
        let wait = event_loop.sleep_duration();
        let outcome = tokio::select! {
            // Biased on purpose: shutdown, input, output, responses, timers.
            biased;
            Some(interruption) = interruptions.recv() => event_loop.handle_interruption(interruption),
            Some(input) = keys.next() => event_loop.handle_input(input),
            flushed = event_loop.display.flush_pending() => flushed.err().map(|error| output_failed(&error)),
            Some(msg) = answers.recv() => {
                event_loop.handle_response(msg);
                for _ in 1..MAX_BATCH {
                    let Ok(msg) = answers.try_recv() else { break };
                    event_loop.handle_response(msg);
                }
                None
            }
            () = time::sleep(wait) => {
                event_loop.tick();
                None
            }
        };
        if let Some(code) = outcome.or(event_loop.exit_code()) {
            break code;
        }
    };
    let EventLoop {
        effect_runner,
        background,
        ..
    } = event_loop;
    tokio::join!(effect_runner.close(), background.drain_reply(keys));
    code
}

/// The time of the last frame and how soon the next is wanted.
#[derive(Debug, Default)]
struct FrameTimer {
    last_drawn: Option<time::Instant>,
    redraw: Redraw,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Redraw {
    NotNeeded,
    /// After [`MIN_FRAME_INTERVAL`].
    Soon,
    #[default]
    Now,
}

impl FrameTimer {
    /// Returns the time until the next frame; `None` if none is wanted.
    fn wait(&self) -> Option<Duration> {
        match (self.redraw, self.last_drawn) {
            (Redraw::NotNeeded, _) => None,
            (Redraw::Now, _) | (Redraw::Soon, None) => Some(Duration::ZERO),
            (Redraw::Soon, Some(drawn)) => Some(MIN_FRAME_INTERVAL.saturating_sub(drawn.elapsed())),
        }
    }
}

struct EventLoop<'a, S> {
    display: &'a mut S,
    state: State,
    background: Background,
    clock: Arc<dyn Clock>,
    effect_runner: EffectRunner,
    preview_renderer: PreviewRenderer,
    shown_preview: ShownPreview,
    size: Option<(u16, u16)>,
    has_reported_unknown_size: bool,
    frame_timer: FrameTimer,
}

impl<S: Display> EventLoop<'_, S> {
    /// Updates the state and runs the effects.
    fn dispatch(&mut self, msg: Msg, redraw: Redraw) {
        let effects = update(&mut self.state, msg, self.clock.now());
        if self.frame_timer.redraw != Redraw::Now {
            self.frame_timer.redraw = redraw;
        }
        self.run_effects(effects);
    }

    fn run_effects(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            if effect == Effect::Redraw {
                self.display.invalidate();
            } else if effect == Effect::Suspend {
                // After an error the next draw fails too and ends the program.
                if self.display.suspend().is_ok() {
                    self.dispatch(Msg::Resumed, Redraw::Now);
                }
            } else if let Effect::Terminal(request) = &effect {
                // As for `Suspend`.
                self.display.send_request(request).unwrap_or_default();
            } else {
                if matches!(effect, Effect::RenderPreview(_))
                    && self.preview_renderer.start_query(self.display.cell_size())
                {
                    // As for `Suspend`.
                    self.display.send_query(preview::QUERY).unwrap_or_default();
                }
                self.effect_runner.run(effect);
            }
        }
    }

    fn handle_input(&mut self, input: io::Result<InputEvent>) -> Option<i32> {
        match input {
            Ok(InputEvent::Reply(TerminalReply::Background(colour))) => {
                if self.background.handle_reply(colour) {
                    self.frame_timer.redraw = Redraw::Now;
                }
            }
            Ok(InputEvent::Reply(TerminalReply::SchemeChanged)) => self.query_background(),
            Ok(InputEvent::Reply(reply)) => self.preview_renderer.handle_reply(reply),
            Ok(InputEvent::Mouse(action, at)) => self.handle_mouse(action, at),
            Ok(input) => {
                if let Some(msg) = input::translate(input) {
                    if let Msg::Pasted(_) = msg
                        && let Some(secrets) = self.effect_runner.secrets()
                    {
                        self.dispatch(Msg::SecretsLoaded(secrets), Redraw::NotNeeded);
                    }
                    self.dispatch(msg, Redraw::Now);
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the terminal cannot be read");
                return Some(HANG_UP_EXIT_CODE);
            }
        }
        None
    }

    /// Queries the background colour, if the theme depends on it.
    fn query_background(&mut self) {
        if self.background.start_query() {
            // After an error the next draw fails too and ends the program.
            self.display
                .send_query(background::QUERY)
                .unwrap_or_default();
        }
    }

    fn handle_mouse(&mut self, action: MouseAction, at: (u16, u16)) {
        let size = self.size.unwrap_or_default();
        let target = ui::hit_test(
            &self.state,
            self.clock.now(),
            self.background.theme(),
            size,
            at,
        );
        self.dispatch(Msg::Mouse { action, target }, Redraw::Now);
    }

    fn handle_interruption(&mut self, interruption: Interruption) -> Option<i32> {
        match interruption {
            Interruption::Quit { signal } => {
                self.dispatch(Msg::ShutdownRequested, Redraw::NotNeeded);
                return Some(SIGNAL_EXIT_BASE + signal);
            }
            Interruption::HungUp => return Some(HANG_UP_EXIT_CODE),
            Interruption::Suspend => self.run_effects(vec![Effect::Suspend]),
            Interruption::Continued => match self.display.resume() {
                Ok(true) => self.dispatch(Msg::Resumed, Redraw::Now),
                Ok(false) => {}
                Err(_) => return Some(HANG_UP_EXIT_CODE),
            },
            Interruption::Resized => self.frame_timer.redraw = Redraw::Now,
            Interruption::TaskPanicked(panic) => {
                self.dispatch(
                    Msg::ComponentPanicked(crashes::component(&panic)),
                    Redraw::Now,
                );
            }
        }
        None
    }

    fn handle_response(&mut self, msg: Msg) {
        // The user waits for the list at startup, so it is drawn at once.
        let is_list = |request: &StoreRequest| *request == StoreRequest::LoadList;
        let redraw = if matches!(&msg, Msg::StoreAnswered { request, .. } if is_list(request)) {
            Redraw::Now
        } else {
            Redraw::Soon
        };
        self.dispatch(msg, redraw);
    }

    fn tick(&mut self) {
        self.dispatch(Msg::Tick, Redraw::Soon);
    }

    fn exit_code(&self) -> Option<i32> {
        self.state.is_leaving().then_some(0)
    }

    fn sleep_duration(&self) -> Duration {
        let now = self.clock.now();
        let due = next_wakeup(&self.state, now).map(|at| at.since(now.mono));
        // tokio caps `Duration::MAX` at its own limit, about two years.
        [due, self.frame_wait()]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(Duration::MAX)
    }

    /// Returns the time until the next frame; `None` if none is wanted or possible.
    fn frame_wait(&self) -> Option<Duration> {
        if self.display.has_pending_output() {
            return None;
        }
        self.frame_timer.wait()
    }

    /// Draws a frame that is due. Returns an exit code if the terminal is gone.
    fn draw_if_due(&mut self) -> Option<i32> {
        if self.frame_wait() != Some(Duration::ZERO) {
            return None;
        }
        self.frame_timer = FrameTimer {
            last_drawn: Some(time::Instant::now()),
            redraw: Redraw::NotNeeded,
        };
        self.draw_frame().err().map(|error| output_failed(&error))
    }

    fn draw_frame(&mut self) -> io::Result<()> {
        let size = self.display.size()?;
        if self.size != Some(size) {
            self.size = Some(size);
            let (width, height) = size;
            let page = ui::list_rows(width, height);
            self.dispatch(
                Msg::Resized {
                    width,
                    height,
                    page,
                },
                Redraw::NotNeeded,
            );
            if !self.has_reported_unknown_size && self.display.is_size_unknown() {
                self.has_reported_unknown_size = true;
                self.dispatch(Msg::SizeUnknown { width, height }, Redraw::NotNeeded);
            }
        }
        let now = self.clock.now();
        let (state, theme) = (&self.state, self.background.theme());
        let mut drawn = ui::DrawResult::default();
        if let Some(title) = ui::window_title(state, theme) {
            self.display.set_title(&title)?;
        }
        let (renderer, mut shown) = (&mut self.preview_renderer, None);
        self.display.draw(&mut |frame| {
            drawn = ui::draw(frame, state, now, theme);
            shown = renderer.render(frame.buffer_mut(), state, drawn.preview_placement);
        })?;
        if self.preview_renderer.needs_clear(self.shown_preview, shown) {
            self.display.invalidate();
            self.frame_timer.redraw = Redraw::Now;
        }
        self.shown_preview = shown;
        let known = (self.state.max_scroll(), self.state.preview_area());
        if (drawn.max_scroll, drawn.preview_area) != known {
            self.dispatch(
                Msg::LayoutMeasured {
                    max_scroll: drawn.max_scroll,
                    preview_area: drawn.preview_area,
                },
                Redraw::Soon,
            );
        }
        Ok(())
    }
}

fn output_failed(error: &io::Error) -> i32 {
    tracing::debug!(%error, "the terminal cannot be written");
    HANG_UP_EXIT_CODE
}
