//! Ends the program when the terminal is gone.
//!
//! SIGHUP is not enough: the kernel sends it to the session leader, and a leader that ignores it
//! (`ssh -t host task run`, a shell with `trap '' HUP`) does not pass it on. crossterm's reader
//! does not end either: at end of file it loops at full CPU (crossterm 0.29.0,
//! `event/source/unix/mio.rs`; `crossterm-rs/crossterm#793`). So a thread polls the terminal.

use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use signal_hook::consts::signal::SIGHUP;
use signal_hook::low_level;
use tokio::sync::mpsc;

use super::signals::{Interruption, SIGNAL_EXIT_BASE, send_interruption, sleep};
use super::state::TerminalState;

/// Time for an orderly shutdown.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Timeout of one poll(2).
///
/// None on Linux: a poll for no events still wakes at a hang-up, within a millisecond, for the
/// session leader, its children in the same or another group, a process of another session, a
/// descriptor of `/dev/tty`, and after vhangup(2) (all measured, with SIGHUP ignored). Elsewhere
/// this is not measured, so the poll is repeated.
#[cfg(target_os = "linux")]
const POLL_TIMEOUT: Option<Timespec> = None;
#[cfg(not(target_os = "linux"))]
const POLL_TIMEOUT: Option<Timespec> = Some(Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
});

/// Starts the thread that waits for the hang-up. It reads nothing, so no key is lost.
///
/// # Errors
///
/// If the thread cannot be started.
pub(super) fn watch(
    terminal_state: Arc<TerminalState>,
    interruptions: mpsc::Sender<Interruption>,
) -> io::Result<()> {
    thread::Builder::new()
        .name("hang-up".into())
        .spawn(move || {
            if !wait_for_hang_up(&terminal_state) {
                return;
            }
            terminal_state.mark_hung_up();
            send_interruption(&interruptions, Interruption::HungUp);
            sleep(SHUTDOWN_TIMEOUT);
            // Nothing to restore: the terminal is gone, and a call on it could block.
            low_level::exit(SIGNAL_EXIT_BASE + SIGHUP)
        })?;
    Ok(())
}

/// Returns true at the hang-up, false if the descriptor cannot be polled.
fn wait_for_hang_up(terminal_state: &TerminalState) -> bool {
    let tty = terminal_state.tty();
    loop {
        let mut fds = [PollFd::new(&tty, PollFlags::empty())];
        match poll(&mut fds, POLL_TIMEOUT.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return false,
        }
        let [events] = fds.map(|fd| fd.revents());
        if events.intersects(PollFlags::HUP | PollFlags::ERR) {
            return true;
        }
        // The descriptor is open, so this means a file that cannot be polled (/dev/tty on macOS).
        if events.contains(PollFlags::NVAL) {
            return false;
        }
    }
}
