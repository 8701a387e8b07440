//! The terminal: raw mode, alternate screen, output, suspend and restore.
//!
//! [`TerminalScreen`] is the event loop's only access to the terminal. Its parts:
//!
//! - `state`: which modes were changed; restores them from any thread, at any time;
//! - `osc`: clipboard and notification sequences for each terminal;
//! - `frame_backend`: one frame becomes one write;
//! - `nonblocking_tty`: writes that never block, and the bytes still unsent;
//! - `signals`: signals become [`Interruption`]s, with a time limit for the event loop;
//! - `hangup`: ends the program when the terminal is gone;
//! - `panics`: prints a panic on the normal screen, not over the alternate one;
//! - `options`: what the caller chooses;
//! - `process`: disables core dumps; ends the process.
//!
//! `ratatui::init` and `ratatui::restore` are not used. `restore` prints on failure, which panics
//! on a dead terminal, and the installed hook then calls it again: SIGABRT (ratatui 0.30.2,
//! `src/init.rs`). Its hook also restores after a panic in any thread, while the event loop
//! continues to draw.
//!
//! It knows neither the state nor the views.

mod frame_backend;
mod hangup;
mod nonblocking_tty;
mod options;
mod osc;
mod panics;
mod process;
mod signals;
mod state;

use std::io;
use std::sync::{Arc, atomic::Ordering::SeqCst};

use ratatui::backend::Backend as _;
use ratatui::{Frame, Terminal};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

pub use self::options::ScreenOptions;
pub use self::osc::{ColorDepth, TerminalCaps};
pub use self::panics::sanitise_panics;
pub use self::process::{exit_now, harden_process, ignore_file_size_signal};
pub use self::signals::{Interruption, SIGNAL_EXIT_BASE};

use super::display::Display;
use super::input::CellSize;
use crate::app::msg::TerminalRequest;

use self::frame_backend::FrameBackend;
use self::nonblocking_tty::NonBlockingTty;
use self::state::{Owner, TerminalState};

/// Capacity of the interruption channel. If it is full, the event loop is stuck, and the time
/// limits in `signals` and `hangup` end the program.
const QUEUE_SIZE: usize = 16;

/// Unsent bytes beyond which no clipboard, notification or bell sequence is added.
const MAX_PENDING_BYTES: usize = 64 * 1024;

/// Longer titles are cut by every window list anyway.
const MAX_TITLE_CHARS: usize = 120;

/// The terminal in raw mode, with alternate screen, hidden cursor and bracketed paste.
///
/// Invariants:
///
/// - However the program ends (return, error, panic, signal, stuck loop, blocked write), the
///   modes found by [`TerminalScreen::enter`] are restored, once.
/// - It sends no query of its own, and [`TerminalScreen::send_query`] does not wait for a reply.
///   `Terminal::clear` of ratatui 0.30.2 queries the cursor position and fails after 2 s if an
///   event reader gets the reply, so this type does not expose it.
/// - It never prints, and never panics on a dead terminal.
/// - It never waits for a terminal that has stopped reading: unsent bytes are
///   [pending](TerminalScreen::has_pending_output) until the caller [flushes
///   them](TerminalScreen::flush_pending).
///
/// The thread that calls [`TerminalScreen::enter`] is the UI thread, and the event loop must run in
/// the root future of `block_on`: a panic there ends the program, while a panic in a spawned task
/// or another thread is sent to the event loop as [`Interruption::TaskPanicked`].
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
    /// Enters the alternate screen; starts to watch signals, panics and the terminal.
    ///
    /// They are watched before the first mode is changed, so no signal is missed in between. The
    /// returned receiver gets the interruptions; poll it before the keys. Call this once in a
    /// process: the panic hook and the signal handlers remain.
    ///
    /// # Errors
    ///
    /// If neither standard output nor `/dev/tty` is a terminal, a thread cannot be started, or
    /// there is no tokio runtime with I/O.
    pub fn enter(options: ScreenOptions) -> io::Result<(Self, mpsc::Receiver<Interruption>)> {
        let terminal_state = Arc::new(TerminalState::open(options)?);
        let mut tty = NonBlockingTty::open(terminal_state.tty())?;
        let (sender, receiver) = mpsc::channel(QUEUE_SIZE);
        panics::install_hook(Arc::clone(&terminal_state), sender.clone());
        signals::watch(Arc::clone(&terminal_state), sender.clone())?;
        hangup::watch(Arc::clone(&terminal_state), sender)?;
        terminal_state.enter(&mut tty)?;
        let terminal = Terminal::new(FrameBackend::new(
            Arc::clone(&terminal_state),
            tty,
            options.assumed_size.into(),
        ))
        // The backend was dropped, and the non-blocking descriptor with it.
        .inspect_err(|_| terminal_state.force_restore())?;
        let screen = Self {
            terminal,
            seen_continues: terminal_state.continue_count.load(SeqCst),
            terminal_state,
            title: String::new(),
            caps: options.caps,
            query_times: watch::Sender::new(None),
        };
        Ok((screen, receiver))
    }

    /// Returns the time of the last query, for the reader of the replies.
    pub fn query_times(&self) -> watch::Receiver<Option<Instant>> {
        self.query_times.subscribe()
    }

    /// Restores the terminal, as dropping does.
    pub fn leave(self) {
        drop(self);
    }

    /// Repaints the screen and sets the title again.
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

    /// Sends a sequence between two frames; nothing while the program does not own the terminal.
    fn send(&mut self, sequence: &[u8]) -> io::Result<()> {
        if self.terminal_state.owner() != Owner::Program {
            return Ok(());
        }
        let tty = &mut self.terminal.backend_mut().tty;
        self.terminal_state.write(tty, sequence)
    }
}

impl Display for TerminalScreen {
    /// Returns the terminal's size, at most 1000×500, or the assumed one if it reports none (a
    /// window being created, a serial line).
    fn size(&self) -> io::Result<(u16, u16)> {
        let size = self.terminal.backend().size()?;
        Ok((size.width, size.height))
    }

    fn is_size_unknown(&self) -> bool {
        let size = self.terminal_state.window_size();
        size.is_ok_and(|size| size.ws_col == 0 || size.ws_row == 0)
    }

    fn has_pending_output(&self) -> bool {
        self.terminal.backend().tty.pending_bytes() > 0
    }

    /// Nothing is sent once the terminal is restored.
    async fn flush_pending(&mut self) -> io::Result<()> {
        let tty = &mut self.terminal.backend_mut().tty;
        if self.terminal_state.owner() != Owner::Program {
            tty.discard();
        }
        let flushed = tty.flush_pending().await;
        flushed.map_err(|errno| self.terminal_state.record_error(errno))
    }

    /// Draws one frame in one write, inside a synchronized update.
    ///
    /// Nothing is sent if nothing changed. Nothing is drawn once the terminal is restored (the time
    /// limit after a signal, a panic): an [`Interruption`] was sent, or the process is ending.
    fn draw(&mut self, view: &mut dyn FnMut(&mut Frame<'_>)) -> io::Result<()> {
        match self.terminal_state.owner() {
            Owner::HungUp => return Err(state::hung_up_error()),
            Owner::Program => {}
            Owner::Shell | Owner::Leaving | Owner::ForceRestoring => return Ok(()),
        }
        // Before the size is read.
        self.terminal_state.is_resized.store(false, SeqCst);
        self.terminal.draw(view)?;
        Ok(())
    }

    /// Makes the next draw clear the screen and paint every cell (Ctrl-L).
    ///
    /// One write does both, so the screen is never seen empty.
    fn invalidate(&mut self) {
        self.terminal.backend_mut().clear_next_frame();
        // Empties the previous frame, so that every cell differs from it.
        self.terminal.swap_buffers();
    }

    /// Leaves the screen, stops the process group, and enters the screen again when continued. Draw
    /// afterwards.
    ///
    /// Sends SIGSTOP to the group, not SIGTSTP to the process: helix and yazi found that with TSTP
    /// a program that started them hangs, waiting for a stopped child.
    ///
    /// Keep the event stream: its thread is stopped too. If a fatal signal arrived meanwhile, the
    /// screen is not entered, and [`Interruption::Quit`] is in the channel.
    fn suspend(&mut self) -> io::Result<()> {
        let tty = &mut self.terminal.backend_mut().tty;
        self.terminal_state.leave(tty);
        self.terminal_state.stop_process_group();
        self.seen_continues = self.terminal_state.continue_count.load(SeqCst);
        if self.terminal_state.is_exiting.load(SeqCst) {
            return Ok(());
        }
        self.terminal_state.enter(tty)?;
        self.restore_screen()
    }

    /// Restores the modes after a stop from outside (`kill -STOP`, then `fg`). Returns whether it
    /// did: then draw.
    ///
    /// Call it on [`Interruption::Continued`]; after [`TerminalScreen::suspend`] it does nothing.
    fn resume(&mut self) -> io::Result<bool> {
        let continues = self.terminal_state.continue_count.load(SeqCst);
        if continues == self.seen_continues || self.terminal_state.owner() != Owner::Program {
            return Ok(false);
        }
        self.seen_continues = continues;
        self.terminal_state
            .reapply_modes(&mut self.terminal.backend_mut().tty)?;
        self.restore_screen()?;
        Ok(true)
    }

    /// Sets the window title; leaving the screen restores the previous one. An unchanged title
    /// writes nothing.
    ///
    /// Control characters are dropped again, although the text should be clean: they would end the
    /// sequence and could begin another.
    fn set_title(&mut self, title: &str) -> io::Result<()> {
        let title = printable_title(title);
        if title == self.title {
            return Ok(());
        }
        self.title = title;
        self.write_title()
    }

    /// Sends a query between frames; a reply arrives with the keys, or never.
    fn send_query(&mut self, query: &[u8]) -> io::Result<()> {
        self.query_times.send_replace(Some(Instant::now()));
        self.send(query)
    }

    /// Returns the size of a cell in pixels as the kernel reports it; many terminals set none.
    fn cell_size(&self) -> Option<CellSize> {
        let size = self.terminal_state.window_size().ok()?;
        let width = size.ws_xpixel.checked_div(size.ws_col)?;
        let height = size.ws_ypixel.checked_div(size.ws_row)?;
        (width > 0 && height > 0).then_some(CellSize { width, height })
    }

    /// Sends a clipboard text (OSC 52), a notification or the bell; the terminal confirms none. It
    /// rings the bell if it has no notifications.
    fn send_request(&mut self, request: &TerminalRequest) -> io::Result<()> {
        if self.terminal.backend().tty.pending_bytes() > MAX_PENDING_BYTES {
            return Ok(());
        }
        let sequence = match request {
            TerminalRequest::Copy(text) => self.caps.copy_sequence(text),
            TerminalRequest::Notify { title, body } => self.caps.notification_sequence(title, body),
            TerminalRequest::Bell => osc::BELL.to_owned(),
        };
        self.send(sequence.as_bytes())
    }
}

impl Drop for TerminalScreen {
    fn drop(&mut self) {
        self.terminal_state
            .leave(&mut self.terminal.backend_mut().tty);
    }
}

fn printable_title(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
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
