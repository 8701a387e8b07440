//! The terminal: taken, drawn on, lent back for a while, and always given back.
//!
//! This file holds [`TerminalScreen`], the loop's only handle on the terminal. Beneath it, one job
//! each:
//!
//! - `guard`: what was changed and how it is undone, from any thread, at any moment;
//! - `requests`: what a terminal is asked for beside the screen, in the words of the one that is
//!   there;
//! - `output`: one frame becomes one piece of bytes;
//! - `outlet`: bytes go as far as the terminal takes them, and no write waits;
//! - `signals`: signals become [`Interruption`]s, with a limit on how long the loop may take;
//! - `hangup`: the terminal that vanishes takes the program with it;
//! - `panics`: a panic's text is read on the normal screen, not smeared over the alternate one;
//! - `process`: core dumps off, and the one place that ends the process.
//!
//! `ratatui::init` and `ratatui::restore` are not used. `restore` prints on failure, which panics
//! on a dead terminal, and the installed hook then calls it again: SIGABRT (ratatui 0.30.2,
//! `src/init.rs`). Its hook also restores from every thread, while the loop draws on.
//!
//! It knows nothing of the state or the views: it hands out a frame and takes back bytes.

mod frame_backend;
mod hangup;
mod nonblocking_tty;
mod osc;
mod panics;
mod process;
mod signals;
mod state;

use std::io;
use std::sync::Arc;

use ratatui::backend::Backend as _;
use ratatui::layout::Size;
use ratatui::{Frame, Terminal};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub use self::osc::{ColorDepth, TerminalCaps};
pub use self::panics::sanitise_panics;
pub use self::process::{exit_now, harden_process, ignore_file_size_signal};
pub use self::signals::{Interruption, SIGNAL_EXIT_BASE};

use super::input::CellSize;

use self::frame_backend::FrameBackend;
use self::nonblocking_tty::NonBlockingTty;
use self::state::{Owner, TerminalState};

/// How many interruptions wait for the loop. A loop that lets this many lie is stuck, and the
/// limits in `signals` and `hangup` end the program without it.
const QUEUE_SIZE: usize = 16;

/// While so many bytes wait for a terminal that takes none, no clipboard, notice or bell is asked
/// of it any more.
const MAX_PENDING_BYTES: usize = 64 * 1024;

/// The longest title sent: longer ones are cut by every window list anyway.
const MAX_TITLE_CHARS: usize = 120;

/// Whether clicks and the wheel come to the program or stay with the terminal's own selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MouseCapture {
    /// The terminal keeps the mouse: text is selected and copied as everywhere else.
    #[default]
    Off,
    /// Presses, releases and the wheel are reported. Motion is not: it would wake a program at
    /// rest at every move (crossterm's own `EnableMouseCapture` asks for all motion).
    On,
}

/// Whether the terminal says so when it goes dark or light.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColorScheme {
    /// It does not: the colours are chosen.
    #[default]
    Fixed,
    /// It does, where it can (mode 2031).
    Followed,
}

/// What [`TerminalScreen::enter`] asks of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScreenOptions {
    /// Who gets the mouse.
    pub mouse: MouseCapture,
    /// Whether the terminal's scheme is followed.
    pub color_scheme: ColorScheme,
    /// Which words the terminal understands.
    pub caps: TerminalCaps,
    /// The columns and rows assumed if the terminal reports none.
    pub assumed_size: (u16, u16),
}

/// Holds the terminal: raw mode, alternate screen, hidden cursor, bracketed paste.
///
/// Invariants:
///
/// - However the program ends (return, error, panic, signal, stuck loop, blocked write), the
///   modes found at [`TerminalScreen::enter`] are put back, once.
/// - It sends no query of its own; what [`TerminalScreen::send_query`] sends is never waited for.
///   `Terminal::clear` of ratatui 0.30.2 asks for the cursor and fails after 2 s when an event
///   reader takes the answer, so it is not reachable through this type.
/// - It never prints and never panics on a dead terminal.
/// - It never waits for a terminal that reads nothing: what is not taken is
///   [behind](TerminalScreen::has_pending_output) until the caller [catches
///   up](TerminalScreen::flush_pending).
///
/// The thread that calls [`TerminalScreen::enter`] is the UI thread, and the loop must run in the
/// root future of `block_on`: a panic there ends the program, while a panic in a spawned task or
/// another thread is handed to the loop as [`Interruption::TaskPanicked`].
#[derive(Debug)]
pub struct TerminalScreen {
    terminal: Terminal<FrameBackend>,
    terminal_state: Arc<TerminalState>,
    title: String,
    caps: TerminalCaps,
    seen_continues: u32,
    query_times: watch::Sender<Option<Instant>>,
}

impl TerminalScreen {
    /// Takes the terminal and begins to watch it, the signals and the panics.
    ///
    /// The watching starts before the first mode is changed, so no signal can come between.
    /// Interruptions arrive on the returned receiver; the loop should ask it before its keys.
    /// Once a process: the panic hook and the signal handlers stay.
    ///
    /// # Errors
    ///
    /// When neither standard output nor `/dev/tty` is a terminal, a thread cannot be started, or
    /// outside a tokio runtime with I/O.
    pub fn enter(options: ScreenOptions) -> io::Result<(Self, mpsc::Receiver<Interruption>)> {
        let guard = Arc::new(TerminalState::open(options.mouse, options.color_scheme)?);
        let mut outlet = NonBlockingTty::open(guard.tty())?;
        let (sender, receiver) = mpsc::channel(QUEUE_SIZE);
        panics::install_hook(Arc::clone(&guard), sender.clone());
        signals::watch(Arc::clone(&guard), sender.clone())?;
        hangup::watch(Arc::clone(&guard), sender)?;
        guard.enter(&mut outlet)?;
        let terminal = Terminal::new(FrameBackend::new(
            Arc::clone(&guard),
            outlet,
            options.assumed_size.into(),
        ))
        // The outlet was closed with the output.
        .inspect_err(|_| guard.force_restore())?;
        let screen = Self {
            terminal,
            seen_continues: guard.continue_count(),
            terminal_state: guard,
            title: String::new(),
            caps: options.caps,
            query_times: watch::Sender::new(None),
        };
        Ok((screen, receiver))
    }

    /// Returns the size drawn at: the terminal's, at most 1000×500, or the assumed one if it
    /// reports none (a window being created, a serial line).
    ///
    /// # Errors
    ///
    /// When the terminal is gone.
    pub fn size(&self) -> io::Result<Size> {
        self.terminal.backend().size()
    }

    /// Returns whether the terminal reports no size.
    pub fn is_size_unknown(&self) -> bool {
        self.terminal.backend().is_size_unknown()
    }

    /// Whether the terminal has yet to take what it was sent.
    ///
    /// A frame drawn meanwhile would only wait behind it: draw when it has [caught
    /// up](Self::flush_pending).
    pub fn has_pending_output(&self) -> bool {
        self.terminal.backend().pending_bytes() > 0
    }

    /// Waits until the terminal has taken everything; for ever when it has. May be dropped at any
    /// time.
    ///
    /// Nothing more is sent after the terminal was given back.
    ///
    /// # Errors
    ///
    /// When the terminal is gone.
    pub async fn flush_pending(&mut self) -> io::Result<()> {
        if self.terminal_state.owner() != Owner::Program {
            self.tty().discard();
        }
        let caught_up = self.tty().flush_pending().await;
        caught_up.map_err(|errno| self.terminal_state.record_error(errno))
    }

    /// Draws one frame as one piece inside a synchronized update.
    ///
    /// Nothing is sent if nothing changed. After the terminal was restored (a signal's grace period
    /// ended, a panic) nothing is drawn: whoever restored it also sent an [`Interruption`] or is
    /// ending the process.
    ///
    /// # Errors
    ///
    /// When the terminal is gone. Treat it as [`Interruption::HungUp`]: this screen writes
    /// nothing more, so leaving it is safe.
    pub fn draw(&mut self, view: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        match self.terminal_state.owner() {
            Owner::HungUp => return Err(state::hung_up_error()),
            Owner::Program => {}
            Owner::Shell | Owner::Leaving | Owner::ForceRestoring => return Ok(()),
        }
        self.terminal_state.clear_resized();
        self.terminal.draw(view)?;
        Ok(())
    }

    /// Makes the next draw clear the screen and paint every cell (Ctrl-L).
    ///
    /// The clearing is part of that draw's write, so the screen is never seen empty.
    pub fn invalidate(&mut self) {
        self.terminal.backend_mut().clear_next_frame();
        // Empties the remembered frame, so that every cell differs from it.
        self.terminal.swap_buffers();
    }

    /// Gives the terminal back, stops the whole process group, and takes it again on return.
    ///
    /// SIGSTOP and the group, not SIGTSTP and ourselves: helix and yazi found that TSTP wedges
    /// when another program started them, which then waits for a child that is stopped. Draw
    /// afterwards; the frame is a full one.
    ///
    /// Keep the event stream over it: the stop halts its thread too. When a deadly signal came
    /// meanwhile the terminal is not taken again, and [`Interruption::Quit`] is waiting.
    ///
    /// # Errors
    ///
    /// When the terminal cannot be taken again: treat it as [`Interruption::HungUp`].
    pub fn suspend(&mut self) -> io::Result<()> {
        self.terminal_state.leave(self.terminal.backend_mut().tty());
        self.terminal_state.stop_process_group();
        self.seen_continues = self.terminal_state.continue_count();
        if self.terminal_state.is_ending() {
            return Ok(());
        }
        self.terminal_state
            .enter(self.terminal.backend_mut().tty())?;
        self.restore_screen()
    }

    /// Sets the modes again after a stop that was not ours (`kill -STOP`, then `fg`), and says
    /// whether it was such a one.
    ///
    /// Call it for [`Interruption::Continued`]; after [`TerminalScreen::suspend`] it does nothing,
    /// as everything is done already. Draw afterwards where it says so.
    ///
    /// # Errors
    ///
    /// When the terminal is gone.
    pub fn resume(&mut self) -> io::Result<bool> {
        let continues = self.terminal_state.continue_count();
        if continues == self.seen_continues || self.terminal_state.owner() != Owner::Program {
            return Ok(false);
        }
        self.seen_continues = continues;
        self.terminal_state
            .reapply_modes(self.terminal.backend_mut().tty())?;
        self.restore_screen()?;
        Ok(true)
    }

    /// Sets the window's title; the one found at the start comes back when the screen is left.
    ///
    /// Control characters are dropped here again, though the text should be clean: in a title
    /// they would end the sequence and begin another. An unchanged title writes nothing.
    ///
    /// # Errors
    ///
    /// When the terminal is gone.
    pub fn set_title(&mut self, title: &str) -> io::Result<()> {
        let title = printable_title(title);
        if title == self.title {
            return Ok(());
        }
        self.title = title;
        self.write_title()
    }

    /// Sends the terminal a question, apart from any frame; the answer comes with the keys, or
    /// never.
    ///
    /// # Errors
    ///
    /// When the terminal is gone.
    pub fn send_query(&mut self, question: &[u8]) -> io::Result<()> {
        self.query_times.send_replace(Some(Instant::now()));
        self.send(question)
    }

    /// Returns word of when the last question was sent, for whoever reads the answers.
    pub fn query_times(&self) -> watch::Receiver<Option<Instant>> {
        self.query_times.subscribe()
    }

    /// Returns the size of a cell in pixels, as the system knows it; many terminals do not tell.
    pub fn cell_size(&self) -> Option<CellSize> {
        self.terminal.backend().cell_size()
    }

    /// Asks the terminal to put a text on its clipboard (OSC 52). It never says whether it did.
    ///
    /// # Errors
    ///
    /// When the terminal is gone.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        self.send_limited(&self.caps.copy_sequence(text))
    }

    /// Asks the terminal to show a notice in its own way, or rings where it has none.
    ///
    /// # Errors
    ///
    /// When the terminal is gone.
    pub fn notify(&mut self, title: &str, body: &str) -> io::Result<()> {
        self.send_limited(&self.caps.notification_sequence(title, body))
    }

    /// Rings the terminal's bell.
    ///
    /// # Errors
    ///
    /// When the terminal is gone.
    pub fn ring(&mut self) -> io::Result<()> {
        self.send_limited(osc::BELL)
    }

    /// Gives the terminal back. Dropping does the same; this says it aloud.
    pub fn leave(self) {
        drop(self);
    }

    /// Sends again what a re-entered terminal has forgotten.
    fn restore_screen(&mut self) -> io::Result<()> {
        self.invalidate();
        if self.title.is_empty() {
            return Ok(());
        }
        self.write_title()
    }

    fn write_title(&mut self) -> io::Result<()> {
        self.send(format!("\x1b]2;{}\x07", self.title).as_bytes())
    }

    /// Sends what the terminal is asked for; a terminal that takes nothing is not asked without
    /// end.
    fn send_limited(&mut self, sequence: &str) -> io::Result<()> {
        if self.terminal.backend().pending_bytes() > MAX_PENDING_BYTES {
            return Ok(());
        }
        self.send(sequence.as_bytes())
    }

    /// Sends what is no frame, between two of them; nothing while the terminal is not ours.
    fn send(&mut self, sequence: &[u8]) -> io::Result<()> {
        if self.terminal_state.owner() != Owner::Program {
            return Ok(());
        }
        let outlet = self.terminal.backend_mut().tty();
        self.terminal_state.write(outlet, sequence)
    }

    fn tty(&mut self) -> &mut NonBlockingTty {
        self.terminal.backend_mut().tty()
    }
}

impl Drop for TerminalScreen {
    fn drop(&mut self) {
        self.terminal_state.leave(self.terminal.backend_mut().tty());
    }
}

fn printable_title(text: &str) -> String {
    text.chars()
        .filter(|char| !char.is_control())
        .take(MAX_TITLE_CHARS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_cannot_end_its_own_sequence() {
        assert_eq!(
            printable_title("2 running\x1b]2;x\x07\u{9c}\n\u{7f}"),
            "2 running]2;x"
        );
        assert_eq!(
            printable_title(&"é".repeat(500)).chars().count(),
            MAX_TITLE_CHARS
        );
    }
}
