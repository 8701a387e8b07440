//! Turns signals into [`Interruption`]s, and ends the process if the event loop does not react.
//!
//! The default actions for TERM, INT, HUP, QUIT and TSTP all leave raw mode and the alternate
//! screen on (measured). A separate thread receives the signals, so neither a stuck event loop nor
//! a write that blocks on a frozen terminal can keep the process alive.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, mpsc as std_mpsc};
use std::thread;
use std::time::Duration;

use signal_hook::consts::signal::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGWINCH};
use signal_hook::iterator::Signals;
use signal_hook::low_level;
use tokio::sync::mpsc;

use super::state::TerminalState;

/// The exit code after signal n is this plus n, as in shells.
pub const SIGNAL_EXIT_BASE: i32 = 128;

/// Time for an orderly shutdown: more than twice the 300 ms that quitting waits for the store.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(700);

/// A signal, a hang-up or a panic, as the event loop receives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interruption {
    /// HUP, TERM, INT or QUIT: save, leave the screen and exit with 128 + `signal`.
    ///
    /// After 700 ms, or at a second such signal, the process restores the terminal and ends without
    /// the event loop.
    Quit { signal: i32 },
    /// TSTP: call [`Display::suspend`](crate::runtime::Display::suspend), as for the key.
    Suspend,
    /// CONT: call [`Display::resume`](crate::runtime::Display::resume), then draw.
    Continued,
    /// WINCH: draw. At most one is in the channel until the next draw.
    ///
    /// crossterm's resize event is not enough: its handler is installed at the first read, so a
    /// change between entering and reading would never be drawn.
    Resized,
    /// The terminal is gone: save and exit with 129, within a second.
    HungUp,
    /// The sanitised text, of one or more lines, of a panic in another thread or a spawned task.
    /// The terminal is unchanged. Show the text or quit.
    TaskPanicked(String),
}

/// Starts the thread that receives the signals.
///
/// # Errors
///
/// If the handlers cannot be registered, or the thread cannot be started.
pub(super) fn watch(
    terminal_state: Arc<TerminalState>,
    interruptions: mpsc::Sender<Interruption>,
) -> io::Result<()> {
    let mut signals = Signals::new([SIGHUP, SIGTERM, SIGINT, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH])?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            for signal in &mut signals {
                match signal {
                    SIGTSTP => send_interruption(&interruptions, Interruption::Suspend),
                    SIGCONT => {
                        terminal_state.continue_count.fetch_add(1, SeqCst);
                        send_interruption(&interruptions, Interruption::Continued);
                    }
                    // Only the first since the last draw: many of them must not fill the channel,
                    // or a fatal signal would be lost.
                    SIGWINCH if !terminal_state.is_resized.swap(true, SeqCst) => {
                        send_interruption(&interruptions, Interruption::Resized);
                    }
                    SIGWINCH => {}
                    fatal if !terminal_state.is_exiting.swap(true, SeqCst) => {
                        send_interruption(&interruptions, Interruption::Quit { signal: fatal });
                        exit_after_timeout(&terminal_state, fatal);
                    }
                    fatal => force_exit(&terminal_state, fatal),
                }
            }
        })?;
    Ok(())
}

/// Sends without waiting. If the channel is full, the event loop is stuck; the time limits end it.
pub(super) fn send_interruption(
    interruptions: &mpsc::Sender<Interruption>,
    interruption: Interruption,
) {
    interruptions.try_send(interruption).ok();
}

/// Sleeps by waiting on a silent channel, because a parked thread may wake early.
pub(super) fn sleep(time: Duration) {
    let (_sender, receiver) = std_mpsc::channel::<Infallible>();
    receiver.recv_timeout(time).ok();
}

/// Starts a timer that ends the process, unless it has exited before.
fn exit_after_timeout(terminal_state: &Arc<TerminalState>, signal: i32) {
    let state = Arc::clone(terminal_state);
    let timer = thread::Builder::new().name("limit".into()).spawn(move || {
        sleep(SHUTDOWN_TIMEOUT);
        force_exit(&state, signal);
    });
    if timer.is_err() {
        force_exit(terminal_state, signal);
    }
}

/// Restores the terminal and ends the process without exit handlers: they may wait for a lock that
/// a blocked thread holds.
fn force_exit(terminal_state: &TerminalState, signal: i32) -> ! {
    terminal_state.force_restore();
    low_level::exit(SIGNAL_EXIT_BASE + signal)
}
