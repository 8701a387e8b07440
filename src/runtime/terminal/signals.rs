//! Signals become [`Interruption`]s, and a loop that does not act on them is ended.
//!
//! The default actions leave raw mode and the alternate screen on for TERM, INT, HUP, QUIT and
//! TSTP alike (measured). A thread of its own takes them, so that neither a stuck loop nor a
//! write that blocks on a frozen terminal can hold the program.

use std::convert::Infallible;
use std::io;
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread;
use std::time::Duration;

use signal_hook::consts::signal::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::iterator::Signals;
use signal_hook::low_level;
use tokio::sync::mpsc;

use super::state::TerminalState;

/// A program ended by signal n reports this much plus n, as shells do.
pub const SIGNAL_EXIT_BASE: i32 = 128;

/// How long the loop may take to end in order: the store's 300 ms and as much again.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(700);

/// What comes to the loop from outside the keyboard and the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interruption {
    /// HUP, TERM, INT or QUIT: save, leave the screen and finish with 128 + `signal`.
    ///
    /// Within 700 ms, or the terminal is given back and the process ended without the loop; a
    /// second such signal does that at once.
    Quit {
        /// The signal's number.
        signal: i32,
    },
    /// TSTP: call [`Screen::suspend`](super::TerminalScreen::suspend), as for the key.
    Suspend,
    /// CONT: call [`Screen::resume`](super::TerminalScreen::resume), then draw.
    Continued,
    /// WINCH: the window has another size; draw. One waits at a time, until the next draw.
    ///
    /// crossterm's resize event is not enough: its handler is only there from the first read
    /// on, and a size changed between entering and reading would never be drawn.
    Resized,
    /// The terminal vanished: save and finish with 129, within a second; nobody sees a frame.
    HungUp,
    /// Another thread or a spawned task panicked; the terminal is untouched. One cleaned text
    /// of one or more lines. Show it or end in order.
    TaskPanicked(String),
}

/// Starts the thread that takes the signals.
///
/// # Errors
///
/// When the handlers cannot be registered or the thread not be started.
pub(super) fn watch(
    guard: Arc<TerminalState>,
    loop_: mpsc::Sender<Interruption>,
) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH])?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in &mut signals {
                match signal {
                    SIGTSTP => send_interruption(&loop_, Interruption::Suspend),
                    SIGCONT => {
                        guard.count_continue();
                        send_interruption(&loop_, Interruption::Continued);
                    }
                    SIGWINCH if guard.mark_resized() => {
                        send_interruption(&loop_, Interruption::Resized);
                    }
                    SIGWINCH => {}
                    deadly if guard.mark_ending() => {
                        send_interruption(&loop_, Interruption::Quit { signal: deadly });
                        exit_after_timeout(&guard, deadly);
                    }
                    deadly => force_exit(&guard, deadly),
                }
            }
        })?;
    Ok(())
}

/// Sends without waiting. A full queue means a stuck loop, which the limits end.
pub(super) fn send_interruption(loop_: &mpsc::Sender<Interruption>, interruption: Interruption) {
    loop_.try_send(interruption).ok();
}

/// Waits that long: on a channel that stays silent, as a parked thread may wake early.
pub(super) fn sleep(time: Duration) {
    let (_keep_open, silent) = std_mpsc::channel::<Infallible>();
    silent.recv_timeout(time).ok();
}

/// Starts the limit; the orderly end is in time when the process is gone before it.
fn exit_after_timeout(guard: &Arc<TerminalState>, signal: i32) {
    let later = Arc::clone(guard);
    let timer = thread::Builder::new().name("limit".into()).spawn(move || {
        sleep(SHUTDOWN_TIMEOUT);
        force_exit(&later, signal);
    });
    if timer.is_err() {
        force_exit(guard, signal);
    }
}

/// Gives the terminal back and ends the process, running no exit handlers: they may wait for a
/// lock that a blocked thread holds.
fn force_exit(guard: &TerminalState, signal: i32) -> ! {
    guard.force_restore();
    low_level::exit(SIGNAL_EXIT_BASE + signal)
}
