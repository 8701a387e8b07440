//! The modes changed on the terminal, and their restoration from any thread.
//!
//! [`TerminalState::leave`] is the normal way, on the UI thread; it waits a moment for a slow
//! terminal. [`TerminalState::force_restore`] is for panics and expired time limits, on any thread;
//! it never waits, because the terminal may have stopped reading (six frames fill a
//! pseudo-terminal). The [`Owner`] decides which of them acts, so the terminal is restored once.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering};
use std::thread::{self, ThreadId};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{Signal, kill_current_process_group};
use rustix::termios::{OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr};
use tokio::sync::watch;

use super::nonblocking_tty::{NonBlockingTty, open_nonblocking};
use super::{ColorScheme, MouseCapture};

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
#[repr(u8)]
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

impl Owner {
    fn from_u8(value: u8) -> Self {
        [
            Self::Shell,
            Self::Program,
            Self::Leaving,
            Self::ForceRestoring,
        ]
        .into_iter()
        .find(|owner| *owner as u8 == value)
        .unwrap_or(Self::HungUp)
    }
}

/// Returns the error that the kernel returns for a terminal that is gone.
pub(super) fn hung_up_error() -> io::Error {
    Errno::IO.into()
}

/// The terminal's descriptor, owner and original modes.
#[derive(Debug)]
pub(super) struct TerminalState {
    tty: OwnedFd,
    /// The modes to restore. They change when the user runs `stty` while the program is suspended.
    /// A watch channel, because any thread may need the latest value without waiting.
    saved_modes: watch::Sender<Termios>,
    mouse: MouseCapture,
    color_scheme: ColorScheme,
    owner: AtomicU8,
    continue_count: AtomicU32,
    is_exiting: AtomicBool,
    is_resized: AtomicBool,
    ui_thread: ThreadId,
}

impl TerminalState {
    /// Opens the terminal (standard output if it is one, else `/dev/tty`) and saves its modes;
    /// changes nothing.
    pub(super) fn open(mouse: MouseCapture, color_scheme: ColorScheme) -> io::Result<Self> {
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
        let modes = tcgetattr(&tty)?;
        Ok(Self {
            tty,
            saved_modes: watch::Sender::new(modes),
            mouse,
            color_scheme,
            owner: AtomicU8::new(Owner::Shell as u8),
            continue_count: AtomicU32::new(0),
            is_exiting: AtomicBool::new(false),
            is_resized: AtomicBool::new(false),
            ui_thread: thread::current().id(),
        })
    }

    pub(super) fn tty(&self) -> BorrowedFd<'_> {
        self.tty.as_fd()
    }

    pub(super) fn owner(&self) -> Owner {
        Owner::from_u8(self.owner.load(Ordering::SeqCst))
    }

    pub(super) fn is_ui_thread(&self) -> bool {
        thread::current().id() == self.ui_thread
    }

    /// Records that the terminal is gone; it is not used any more.
    pub(super) fn mark_hung_up(&self) {
        self.set_owner(Owner::HungUp);
    }

    /// Records a fatal signal, so that a suspended program does not enter the screen again.
    /// Returns whether it is the first one.
    pub(super) fn mark_exiting(&self) -> bool {
        !self.is_exiting.swap(true, Ordering::SeqCst)
    }

    pub(super) fn is_exiting(&self) -> bool {
        self.is_exiting.load(Ordering::SeqCst)
    }

    /// Records a SIGWINCH. Returns whether it is the first since [`TerminalState::clear_resized`]:
    /// many of them must not fill the channel, or a fatal signal would be lost.
    pub(super) fn mark_resized(&self) -> bool {
        !self.is_resized.swap(true, Ordering::SeqCst)
    }

    /// Resets [`Self::mark_resized`]; call this before reading the size.
    pub(super) fn clear_resized(&self) {
        self.is_resized.store(false, Ordering::SeqCst);
    }

    pub(super) fn count_continue(&self) {
        self.continue_count.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn continue_count(&self) -> u32 {
        self.continue_count.load(Ordering::SeqCst)
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
        self.set_owner(Owner::Program);
        let entered = crossterm::terminal::enable_raw_mode()
            .and_then(|()| self.write(tty, &[PUSH_TITLE, &self.mode_sequences()].concat()));
        if entered.is_err() {
            self.leave(tty);
        }
        entered
    }

    /// Sets every mode again without saving the current ones: after a stop from outside they are
    /// the shell's, or already raw.
    pub(super) fn reapply_modes(&self, tty: &mut NonBlockingTty) -> io::Result<()> {
        let mut raw = self.saved_modes.borrow().clone();
        raw.make_raw();
        tcsetattr(&self.tty, OptionalActions::Now, &raw)?;
        self.write(tty, &self.mode_sequences())
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
        // Resets crossterm's record of the mode, so that a later `enter` works.
        crossterm::terminal::disable_raw_mode().ok();
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
        let before = self.continue_count();
        if kill_current_process_group(Signal::STOP).is_err() {
            return;
        }
        for _ in 0..MAX_STOP_CHECKS {
            if self.continue_count() != before {
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
        let Ok(tty) = open_nonblocking(Path::new("/dev/tty")) else {
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

    fn mode_sequences(&self) -> Vec<u8> {
        let mouse = match self.mouse {
            MouseCapture::Off => &b""[..],
            MouseCapture::On => ENTER_MOUSE,
        };
        let scheme = match self.color_scheme {
            ColorScheme::Fixed => &b""[..],
            ColorScheme::Followed => ENTER_SCHEME,
        };
        [ENTER, mouse, scheme].concat()
    }

    fn set_owner(&self, owner: Owner) {
        self.owner.store(owner as u8, Ordering::SeqCst);
    }

    /// Sets the owner to `next` if it is one of `from`; returns whether it did.
    fn change_owner(&self, from: &[Owner], next: Owner) -> bool {
        from.iter().any(|owner| {
            self.owner
                .compare_exchange(*owner as u8, next as u8, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_owner_round_trips() {
        for owner in [
            Owner::Shell,
            Owner::Program,
            Owner::Leaving,
            Owner::ForceRestoring,
            Owner::HungUp,
        ] {
            assert_eq!(Owner::from_u8(owner as u8), owner);
        }
    }

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
