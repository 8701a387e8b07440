//! The modes changed on the terminal, and their restoration from any thread.
//!
//! [`TerminalState::leave`] is the normal way, on the UI thread; it waits a moment for a slow
//! terminal. [`TerminalState::force_restore`] is for panics and expired time limits, on any thread;
//! it never waits, because the terminal may have stopped reading (six frames fill a
//! pseudo-terminal). The [`Owner`] decides which of them acts, so the terminal is restored once.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread::{self, ThreadId};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Signal, kill_current_process_group};
use rustix::termios::{
    OptionalActions, QueueSelector, Termios, Winsize, tcflush, tcgetattr, tcgetwinsize, tcsetattr,
};
use tokio::sync::watch;

use super::{nonblocking_tty::NonBlockingTty, options::ScreenOptions};
use crate::runtime::tty::reopen_nonblocking;

/// Saves the window and icon title.
const PUSH_TITLE: &[u8] = b"\x1b[22;0t";

/// Alternate screen, hidden cursor, bracketed paste, focus reports.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[?1004h";

/// Presses and the wheel, in the encoding without a limit at column 223.
const ENTER_MOUSE: &[u8] = b"\x1b[?1000h\x1b[?1006h";

/// Reports of dark and light mode.
const ENTER_SCHEME: &[u8] = b"\x1b[?2031h";

/// Undoes all of the above, and ends what an incomplete frame left open.
///
/// In order: end of an incomplete title (ST), end of a synchronized update, colours, mouse (every
/// encoding), dark and light reports, focus reports, bracketed paste, alternate screen, cursor,
/// title.
const LEAVE: &[u8] = b"\x1b\\\x1b[?2026l\x1b[0m\
    \x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\
    \x1b[?2031l\x1b[?1004l\x1b[?2004l\x1b[?1049l\x1b[?25h\x1b[23;0t";

/// Tries of a forced restore to write [`LEAVE`] while another process fills the terminal.
const RESTORE_TRIES: usize = 20;

/// Pause between two such tries, and between two checks for the end of a forced restore.
const RESTORE_PAUSE: Duration = Duration::from_millis(5);

/// Retries, 10 ms apart, of a normal leave on a slow terminal.
const MAX_LEAVE_RETRIES: usize = 20;

/// Pauses of a normal leave that waits for a forced restore: one second.
const MAX_RESTORE_PAUSES: usize = 200;

/// Checks, 10 ms apart, whether the process was stopped and continued.
const MAX_STOP_CHECKS: usize = 50;

/// The current owner of the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    /// Before entering, while suspended, after leaving.
    Shell,
    Program,
    /// The UI thread is restoring it.
    Leaving,
    /// A thread is restoring it without waiting for the UI thread.
    ForceRestoring,
    /// The terminal is gone: nothing more is written and no mode is set.
    HungUp,
}

/// Returns the error that the kernel returns for a terminal that is gone.
pub(super) fn hung_up_error() -> io::Error {
    Errno::IO.into()
}

/// The terminal's descriptor, owner and original modes.
///
/// Owner and modes are in watch channels, because any thread may need the latest value without
/// waiting.
#[derive(Debug)]
pub(super) struct TerminalState {
    tty: OwnedFd,
    /// The modes to restore. They change when the user runs `stty` while the program is suspended.
    saved_modes: watch::Sender<Termios>,
    owner: watch::Sender<Owner>,
    ui_thread: ThreadId,
    enter_sequences: Vec<u8>,
    /// The number of SIGCONTs.
    pub(super) continue_count: AtomicU32,
    /// Whether a fatal signal has arrived: a suspended program does not enter the screen again.
    pub(super) is_exiting: AtomicBool,
    /// Whether a SIGWINCH has arrived since the size was last read.
    pub(super) is_resized: AtomicBool,
}

impl TerminalState {
    /// Opens the terminal (standard output if it is one, else `/dev/tty`) and saves its modes;
    /// changes nothing.
    pub(super) fn open(options: ScreenOptions) -> io::Result<Self> {
        let stdout = io::stdout();
        let tty: OwnedFd = if stdout.is_terminal() {
            stdout.as_fd().try_clone_to_owned()?
        } else {
            OpenOptions::new()
                .read(true)
                .write(true)
                .open("/dev/tty")?
                .into()
        };
        let mut enter_sequences = ENTER.to_vec();
        if options.captures_mouse {
            enter_sequences.extend_from_slice(ENTER_MOUSE);
        }
        if options.follows_color_scheme {
            enter_sequences.extend_from_slice(ENTER_SCHEME);
        }
        Ok(Self {
            saved_modes: watch::Sender::new(tcgetattr(&tty)?),
            tty,
            owner: watch::Sender::new(Owner::Shell),
            ui_thread: thread::current().id(),
            enter_sequences,
            continue_count: AtomicU32::new(0),
            is_exiting: AtomicBool::new(false),
            is_resized: AtomicBool::new(false),
        })
    }

    pub(super) fn tty(&self) -> BorrowedFd<'_> {
        self.tty.as_fd()
    }

    pub(super) fn owner(&self) -> Owner {
        *self.owner.borrow()
    }

    pub(super) fn is_ui_thread(&self) -> bool {
        thread::current().id() == self.ui_thread
    }

    /// Records that the terminal is gone; it is not used any more.
    pub(super) fn mark_hung_up(&self) {
        self.owner.send_replace(Owner::HungUp);
    }

    /// Returns the size in cells and in pixels, as the kernel reports it; 0 if unknown.
    pub(super) fn window_size(&self) -> io::Result<Winsize> {
        tcgetwinsize(&self.tty).map_err(|errno| self.record_error(errno))
    }

    /// Saves the current modes, then sets raw mode and enters the alternate screen.
    ///
    /// Raw mode first: there the kernel stops a program in the background, before a byte reaches
    /// the shell's screen.
    pub(super) fn enter(&self, tty: &mut NonBlockingTty) -> io::Result<()> {
        if self.owner() == Owner::HungUp {
            return Err(hung_up_error());
        }
        self.saved_modes.send_replace(tcgetattr(&self.tty)?);
        self.owner.send_replace(Owner::Program);
        let entered = self
            .set_raw_mode()
            .and_then(|()| self.write(tty, &[PUSH_TITLE, &self.enter_sequences].concat()));
        if entered.is_err() {
            self.leave(tty);
        }
        entered
    }

    /// Sets every mode again without saving the current ones: after a stop from outside they are
    /// the shell's, or already raw.
    pub(super) fn reapply_modes(&self, tty: &mut NonBlockingTty) -> io::Result<()> {
        self.set_raw_mode()?;
        self.write(tty, &self.enter_sequences)
    }

    fn set_raw_mode(&self) -> io::Result<()> {
        let mut raw = self.saved_modes.borrow().clone();
        raw.make_raw();
        Ok(tcsetattr(&self.tty, OptionalActions::Now, &raw)?)
    }

    /// Restores the terminal; does nothing if the program does not own it.
    ///
    /// Pending bytes are sent first, and discarded if the terminal does not accept them within a
    /// moment. Errors are ignored: nothing can be done about them.
    pub(super) fn leave(&self, tty: &mut NonBlockingTty) {
        if !self.change_owner(&[Owner::Program], Owner::Leaving) {
            // The process must not exit during a forced restore, which takes less than a second.
            for _ in 0..MAX_RESTORE_PAUSES {
                if self.owner() != Owner::ForceRestoring {
                    break;
                }
                thread::park_timeout(RESTORE_PAUSE);
            }
            return;
        }
        self.restore_modes();
        if tty.send_with_retries(LEAVE, MAX_LEAVE_RETRIES) == Err(Errno::AGAIN) {
            self.force_leave();
        }
        tty.discard();
        self.change_owner(&[Owner::Leaving], Owner::Shell);
    }

    /// Restores the terminal at once, from any thread, without waiting. Unread output is discarded.
    pub(super) fn force_restore(&self) {
        if !self.change_owner(&[Owner::Program, Owner::Leaving], Owner::ForceRestoring) {
            return;
        }
        self.restore_modes();
        self.force_leave();
        self.change_owner(&[Owner::ForceRestoring], Owner::Shell);
    }

    /// Stops the process group and returns when it is continued.
    ///
    /// Outside the main thread the kernel may deliver the stop shortly after the call; without the
    /// wait, the screen would be entered again before the stop.
    pub(super) fn stop_process_group(&self) {
        let before = self.continue_count.load(SeqCst);
        if kill_current_process_group(Signal::STOP).is_err() {
            return;
        }
        for _ in 0..MAX_STOP_CHECKS {
            if self.continue_count.load(SeqCst) != before {
                break;
            }
            thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Writes without waiting; records if the terminal is gone.
    pub(super) fn write(&self, tty: &mut NonBlockingTty, bytes: &[u8]) -> io::Result<()> {
        tty.send(bytes).map_err(|errno| self.record_error(errno))
    }

    /// Converts an error, and records if it means that the terminal is gone.
    pub(super) fn record_error(&self, errno: Errno) -> io::Error {
        if matches!(errno, Errno::IO | Errno::NXIO) {
            self.mark_hung_up();
        }
        errno.into()
    }

    /// Discards unread output and writes [`LEAVE`] into the space.
    ///
    /// It opens its own descriptor, as other threads may use the first. It tries several times,
    /// because another process that is blocked in a write may take the space.
    fn force_leave(&self) {
        tcflush(&self.tty, QueueSelector::OFlush).ok();
        let Ok(tty) = reopen_nonblocking(&self.tty, OpenOptions::new().write(true)) else {
            return;
        };
        for _ in 0..RESTORE_TRIES {
            match rustix::io::write(&tty, LEAVE) {
                Ok(count) if count == LEAVE.len() => break,
                Ok(_) | Err(Errno::AGAIN | Errno::INTR) => {
                    thread::park_timeout(RESTORE_PAUSE);
                    tcflush(&self.tty, QueueSelector::OFlush).ok();
                }
                Err(_) => break,
            }
        }
    }

    fn restore_modes(&self) {
        tcsetattr(&self.tty, OptionalActions::Now, &self.saved_modes.borrow()).ok();
    }

    /// Sets the owner to `next` if it is one of `from`; returns whether it did.
    fn change_owner(&self, from: &[Owner], next: Owner) -> bool {
        self.owner.send_if_modified(|owner| {
            let is_changed = from.contains(owner);
            if is_changed {
                *owner = next;
            }
            is_changed
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaving_reverts_entering() {
        let leave = String::from_utf8(LEAVE.to_vec()).unwrap();

        for mode in ["?1049", "?2004", "?1004", "?1000", "?1006", "?2031"] {
            let set = format!("\x1b[{mode}h");
            let entered = [ENTER, ENTER_MOUSE, ENTER_SCHEME].concat();
            assert!(
                String::from_utf8(entered).unwrap().contains(&set),
                "{mode} is set"
            );
            assert!(leave.contains(&format!("\x1b[{mode}l")), "{mode} is unset");
        }
        assert!(leave.contains("\x1b[?25h") && leave.contains("\x1b[23;0t"));
    }
}
