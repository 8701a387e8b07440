//! The loop: it sleeps until a key, an answer or the clock has something to say, updates, draws, and sleeps again.
//!
//! The only owner of [`State`]. It awaits nothing but its own `select!`, which is biased: interruptions, then keys,
//! then what the terminal has yet to take, then answers. So no key waits behind an answer, a terminal that reads
//! nothing holds up frames and nothing else, and at rest nothing wakes.

pub mod effects;
mod ground;
pub mod headless;
pub mod input;
mod pictures;
pub mod terminal;

use std::{future, io, pin::pin, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt as _};
use ratatui::Frame;
use tokio::{sync::mpsc, time};

pub use self::ground::Themes;
use self::{
    effects::{Hands, Outside},
    ground::Ground,
    input::{Answer, CellSize, Input, MouseReport},
    pictures::{Gallery, Hung},
    terminal::{Interruption, SIGNAL_EXIT_BASE, Screen},
};
use crate::{
    app::{
        msg::{Effect, Msg, Request},
        state::State,
        update::{next_wakeup, start, update},
    },
    ports::Clock,
    ui,
};

/// The shortest time between two frames that no key asked for.
const FRAME: Duration = Duration::from_millis(16);

/// How many answers are taken in before the keys are looked at again.
const BATCH: usize = 64;

/// The exit code after a hang-up or a terminal that takes nothing any more: that of SIGHUP.
const HUNG_UP: i32 = SIGNAL_EXIT_BASE + 1;

/// Is what the loop draws on: the terminal, or a test's buffer.
pub trait Surface {
    /// Returns the size in columns and rows.
    fn size(&self) -> io::Result<(u16, u16)>;
    /// Returns whether the terminal reports no size.
    fn is_size_assumed(&self) -> bool {
        false
    }
    /// Tells whether the terminal has yet to take what it was sent; no frame is drawn meanwhile.
    fn is_behind(&self) -> bool {
        false
    }
    /// Waits until the terminal has taken everything, for ever when it has; an error means it is gone.
    fn catch_up(&mut self) -> impl Future<Output = io::Result<()>> {
        future::pending()
    }
    /// Draws one frame; an error means the terminal is gone.
    fn draw(&mut self, view: &mut dyn FnMut(&mut Frame<'_>)) -> io::Result<()>;
    /// Lets the next frame paint everything.
    fn redraw(&mut self);
    /// Hands the terminal to the shell and comes back after `fg`.
    fn suspend(&mut self) -> io::Result<()>;
    /// Takes the terminal again after a stop from outside; `false` where there was none, or it is taken again already.
    fn resume(&mut self) -> io::Result<bool>;
    /// Sets the window's title; the same one again costs nothing.
    fn set_title(&mut self, title: &str) -> io::Result<()>;
    /// Asks for what is not on the screen: the terminal's clipboard, a notice, the bell.
    fn ask(&mut self, request: &Request) -> io::Result<()>;
    /// Returns the size of a cell in pixels, where it is known.
    fn cell(&self) -> Option<CellSize> {
        None
    }
    /// Sends the terminal a question; what it answers comes with the keys.
    fn question(&mut self, _question: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

impl Surface for Screen {
    fn size(&self) -> io::Result<(u16, u16)> {
        Self::size(self).map(|size| (size.width, size.height))
    }

    fn is_size_assumed(&self) -> bool {
        Self::is_size_assumed(self)
    }

    fn is_behind(&self) -> bool {
        Self::is_behind(self)
    }

    fn catch_up(&mut self) -> impl Future<Output = io::Result<()>> {
        Self::catch_up(self)
    }

    fn draw(&mut self, view: &mut dyn FnMut(&mut Frame<'_>)) -> io::Result<()> {
        Self::draw(self, view)
    }

    fn redraw(&mut self) {
        Self::redraw(self);
    }

    fn suspend(&mut self) -> io::Result<()> {
        Self::suspend(self)
    }

    fn resume(&mut self) -> io::Result<bool> {
        Self::resume(self)
    }

    fn set_title(&mut self, title: &str) -> io::Result<()> {
        Self::set_title(self, title)
    }

    fn ask(&mut self, request: &Request) -> io::Result<()> {
        match request {
            Request::Copy(text) => self.copy(text),
            Request::Notify { title, body } => self.notify(title, body),
            Request::Ring => self.ring(),
        }
    }

    fn cell(&self) -> Option<CellSize> {
        Self::cell(self)
    }

    fn question(&mut self, question: &[u8]) -> io::Result<()> {
        Self::question(self, question)
    }
}

/// Runs the dashboard until it is left; returns the exit code. What was to be written is written by then, if the
/// disk takes it within a moment.
pub async fn run(
    surface: &mut impl Surface,
    keys: impl Stream<Item = io::Result<Input>>,
    mut interruptions: mpsc::Receiver<Interruption>,
    state: State,
    themes: Themes,
    outside: Outside,
) -> i32 {
    let clock = Arc::clone(&outside.clock);
    let (gallery, studio) = pictures::open(state.settings().preview);
    let (hands, mut answers) = Hands::new(outside, studio);
    let mut house = House {
        surface,
        state,
        ground: Ground::new(themes),
        clock,
        hands,
        gallery,
        hung: None,
        size: None,
        has_assumed_size: false,
        frame: Frames::default(),
    };
    let mut keys = pin!(keys.fuse());
    house.ask_for_the_ground();
    house.carry_out(start());
    let code = loop {
        if let Some(code) = house.draw_if_due() {
            break code;
        }
        let wait = house.wait();
        let outcome = tokio::select! {
            // The order is the point: the end first, then the hand, then the network, then the clock.
            biased;
            Some(interruption) = interruptions.recv() => house.interrupted(interruption),
            Some(input) = keys.next() => house.typed(input),
            taken = house.surface.catch_up() => taken.err().map(|error| cannot_be_written(&error)),
            Some(msg) = answers.recv() => {
                house.answered(msg);
                for _ in 1..BATCH {
                    let Ok(msg) = answers.try_recv() else { break };
                    house.answered(msg);
                }
                None
            }
            () = time::sleep(wait) => {
                house.tick();
                None
            }
        };
        if let Some(code) = outcome.or(house.exit_code()) {
            break code;
        }
    };
    let House { hands, ground, .. } = house;
    tokio::join!(hands.close(), ground.let_answer(keys));
    code
}

/// Tells when a frame was drawn and whether another is wanted.
#[derive(Debug, Default)]
struct Frames {
    drawn: Option<time::Instant>,
    wanted: Want,
}

/// Tells how soon the next frame is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Want {
    /// Not at all: nothing has changed.
    Nothing,
    /// With the next frame's turn.
    Soon,
    /// At once, as after a key.
    #[default]
    Now,
}

impl Frames {
    /// Returns how long the wanted frame waits for its turn; `None` when none is wanted.
    fn wait(&self) -> Option<Duration> {
        match (self.wanted, self.drawn) {
            (Want::Nothing, _) => None,
            (Want::Now, _) | (Want::Soon, None) => Some(Duration::ZERO),
            (Want::Soon, Some(drawn)) => Some(FRAME.saturating_sub(drawn.elapsed())),
        }
    }
}

struct House<'a, S> {
    surface: &'a mut S,
    state: State,
    ground: Ground,
    clock: Arc<dyn Clock>,
    hands: Hands,
    gallery: Gallery,
    hung: Hung,
    size: Option<(u16, u16)>,
    /// Whether the missing size was reported.
    has_assumed_size: bool,
    frame: Frames,
}

impl<S: Surface> House<'_, S> {
    /// Updates the state and carries out what follows.
    fn take(&mut self, msg: Msg, want: Want) {
        let effects = update(&mut self.state, msg, self.clock.now());
        if self.frame.wanted != Want::Now {
            self.frame.wanted = want;
        }
        self.carry_out(effects);
    }

    fn carry_out(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Redraw => self.surface.redraw(),
                Effect::Suspend => {
                    // An error shows again at the next draw, which ends the program.
                    if self.surface.suspend().is_ok() {
                        self.take(Msg::Resumed, Want::Now);
                    }
                }
                Effect::Ask(request) => {
                    // As above.
                    self.surface.ask(&request).unwrap_or_default();
                }
                Effect::Quit => {}
                Effect::Picture(order) => {
                    if self.gallery.has_to_ask(self.surface.cell()) {
                        // A terminal that is gone says so at the next draw.
                        self.surface
                            .question(pictures::QUESTION)
                            .unwrap_or_default();
                    }
                    self.hands.carry_out(Effect::Picture(order));
                }
                effect @ (Effect::Recall
                | Effect::Remember(_)
                | Effect::Load
                | Effect::Poll { .. }
                | Effect::Tell(_)
                | Effect::Store(_)
                | Effect::WriteBack
                | Effect::ReadJournal(_)
                | Effect::ReadRecord(_)
                | Effect::NoteVisit(_)
                | Effect::Copy(_)
                | Effect::Announce(_)
                | Effect::Open { .. }
                | Effect::Compare(_)
                | Effect::Save { .. }
                | Effect::StopSave(_)
                | Effect::StopPicture(_)
                | Effect::LookFor(_)
                | Effect::FindHolders(_)) => self.hands.carry_out(effect),
            }
        }
    }

    fn typed(&mut self, input: io::Result<Input>) -> Option<i32> {
        match input {
            Ok(Input::Answer(Answer::Ground(colour))) => {
                if self.ground.answered(colour) {
                    self.frame.wanted = Want::Now;
                }
            }
            Ok(Input::Answer(Answer::SchemeChanged)) => self.ask_for_the_ground(),
            Ok(Input::Answer(answer)) => self.gallery.answered(answer),
            Ok(Input::Mouse(report)) => self.pointed(report),
            Ok(input) => {
                if let Some(msg) = input::translate(input) {
                    if let Msg::Pasted(_) = msg
                        && let Some(secrets) = self.hands.secrets()
                    {
                        self.take(Msg::KeyRead(secrets), Want::Nothing);
                    }
                    self.take(msg, Want::Now);
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the terminal cannot be read");
                return Some(HUNG_UP);
            }
        }
        None
    }

    /// Asks the terminal for the colour of its ground, where something hangs on it.
    fn ask_for_the_ground(&mut self) {
        if self.ground.has_to_ask() {
            // A terminal that is gone says so at the next draw.
            self.surface.question(ground::QUESTION).unwrap_or_default();
        }
    }

    /// Finds out what lies under the pointer and tells the core.
    fn pointed(&mut self, report: MouseReport) {
        let Some((gesture, at)) = input::pointed(report) else {
            return;
        };
        let size = self.size.unwrap_or_default();
        let spot = ui::spot(&self.state, self.clock.now(), self.ground.theme(), size, at);
        self.take(Msg::Pointed { gesture, spot }, Want::Now);
    }

    fn interrupted(&mut self, interruption: Interruption) -> Option<i32> {
        match interruption {
            Interruption::Quit { signal } => {
                self.take(Msg::Interrupted, Want::Nothing);
                return Some(SIGNAL_EXIT_BASE + signal);
            }
            Interruption::HungUp => return Some(HUNG_UP),
            Interruption::Suspend => self.carry_out(vec![Effect::Suspend]),
            Interruption::Continued => match self.surface.resume() {
                Ok(true) => self.take(Msg::Resumed, Want::Now),
                Ok(false) => {}
                Err(_) => return Some(HUNG_UP),
            },
            Interruption::Resized => self.frame.wanted = Want::Now,
            Interruption::Panicked(what) => {
                self.take(
                    Msg::Broke(format!("A part of kietop broke and was contained: {what}")),
                    Want::Now,
                );
            }
        }
        None
    }

    fn answered(&mut self, msg: Msg) {
        // The list is what the person waits for at the start: it does not wait for a frame's turn.
        let want = if matches!(msg, Msg::Loaded(_)) {
            Want::Now
        } else {
            Want::Soon
        };
        self.take(msg, want);
    }

    fn tick(&mut self) {
        self.take(Msg::Tick, Want::Soon);
    }

    fn exit_code(&self) -> Option<i32> {
        self.state.is_leaving().then_some(0)
    }

    /// Returns how long the loop may sleep.
    fn wait(&self) -> Duration {
        let now = self.clock.now();
        let due = next_wakeup(&self.state, now).map(|at| at.since(now.mono));
        // Without anything to wait for, the sleep only has to be long; tokio holds it at its own limit.
        [due, self.frame_wait()]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(Duration::MAX)
    }

    /// Returns how long the next frame waits for its turn; `None` when none can be drawn or none is wanted.
    fn frame_wait(&self) -> Option<Duration> {
        if self.surface.is_behind() {
            return None;
        }
        self.frame.wait()
    }

    /// Draws when a frame is wanted and its turn has come. An exit code means the terminal is gone.
    fn draw_if_due(&mut self) -> Option<i32> {
        if self.frame_wait() != Some(Duration::ZERO) {
            return None;
        }
        self.frame = Frames {
            drawn: Some(time::Instant::now()),
            wanted: Want::Nothing,
        };
        self.paint().err().map(|error| cannot_be_written(&error))
    }

    fn paint(&mut self) -> io::Result<()> {
        let size = self.surface.size()?;
        if self.size != Some(size) {
            self.size = Some(size);
            let (width, height) = size;
            let page = ui::page_rows(width, height);
            self.take(
                Msg::Resized {
                    width,
                    height,
                    page,
                },
                Want::Nothing,
            );
            if !self.has_assumed_size && self.surface.is_size_assumed() {
                self.has_assumed_size = true;
                self.take(Msg::SizeAssumed { width, height }, Want::Nothing);
            }
        }
        let now = self.clock.now();
        let (state, theme) = (&self.state, self.ground.theme());
        let mut drawn = ui::Drawn::default();
        if let Some(title) = ui::title(state, theme) {
            self.surface.set_title(&title)?;
        }
        let (gallery, mut hung) = (&mut self.gallery, None);
        self.surface.draw(&mut |frame| {
            drawn = ui::draw(frame, state, now, theme);
            hung = gallery.hang(frame.buffer_mut(), state, drawn.picture);
        })?;
        if self.gallery.leaves_a_mark(self.hung, hung) {
            self.surface.redraw();
            self.frame.wanted = Want::Now;
        }
        self.hung = hung;
        let known = (self.state.most_scroll(), self.state.picture_room());
        if (drawn.most_scroll, drawn.room) != known {
            self.take(
                Msg::Measured {
                    most_scroll: drawn.most_scroll,
                    room: drawn.room,
                },
                Want::Soon,
            );
        }
        Ok(())
    }
}

/// Notes why the terminal takes nothing any more, and returns the exit code for it.
fn cannot_be_written(error: &io::Error) -> i32 {
    tracing::debug!(%error, "the terminal cannot be written");
    HUNG_UP
}
