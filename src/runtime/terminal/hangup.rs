//! A terminal that vanishes takes the program with it.
//!
//! SIGHUP is not enough: the kernel sends it to the session's leader, and a leader that ignores
//! it (`ssh -t host task run`, a shell with `trap '' HUP`) keeps it from us. crossterm's reader
//! does not end either: at end of file it loops for ever at full CPU (crossterm 0.29.0,
//! `event/source/unix/mio.rs`; crossterm #793). So the terminal itself is watched.

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

/// How long the loop may take to end in order.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// How long one look lasts.
///
/// For ever on Linux: a poll that asks for no event still wakes for a hang-up, within a
/// millisecond, for the session's leader, its children in the same or another group, a process
/// of another session, a descriptor of `/dev/tty`, and for vhangup(2) (all measured, SIGHUP
/// ignored). Elsewhere nobody has measured it, so it looks again.
#[cfg(target_os = "linux")]
const POLL_TIMEOUT: Option<Timespec> = None;
/// See above.
#[cfg(not(target_os = "linux"))]
const POLL_TIMEOUT: Option<Timespec> = Some(Timespec {
    tv_sec: 0,
    tv_nsec: 500_000_000,
});

/// Starts the thread that watches for the hang-up. It reads nothing, so it steals no key.
///
/// # Errors
///
/// When the thread cannot be started.
pub(super) fn watch(
    guard: Arc<TerminalState>,
    loop_: mpsc::Sender<Interruption>,
) -> io::Result<()> {
    thread::Builder::new()
        .name("hang-up".into())
        .spawn(move || {
            if !wait_for_hang_up(&guard) {
                return;
            }
            guard.mark_hung_up();
            send_interruption(&loop_, Interruption::HungUp);
            sleep(SHUTDOWN_TIMEOUT);
            // No rescue: the terminal is not there, and touching it could wait.
            low_level::exit(SIGNAL_EXIT_BASE + SIGHUP)
        })?;
    Ok(())
}

/// Returns true at the hang-up, false when this descriptor cannot be watched.
fn wait_for_hang_up(guard: &TerminalState) -> bool {
    let tty = guard.tty();
    loop {
        let mut watched = [PollFd::new(&tty, PollFlags::empty())];
        match poll(&mut watched, POLL_TIMEOUT.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return false,
        }
        let [seen] = watched.map(|fd| fd.revents());
        if seen.intersects(PollFlags::HUP | PollFlags::ERR) {
            return true;
        }
        // Ours is open, so this says "not a kind of file to poll" (macOS, of /dev/tty).
        if seen.contains(PollFlags::NVAL) {
            return false;
        }
    }
}
