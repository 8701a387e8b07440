//! What was changed on the terminal, and how it is undone from any thread.
//!
//! Two ways back. `leave` is the orderly one, on the UI thread, and waits a moment for a slow
//! terminal. `rescue` is for a panic or a limit that ran out, from any thread: it never waits,
//! because nobody may be reading that terminal (six frames fill a pseudo-terminal). A [`Phase`]
//! decides which of them acts, so the terminal is given back once.

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

/// Remembers the window's and the icon's title.
const PUSH_TITLE: &[u8] = b"\x1b[22;0t";

/// Alternate screen, cursor hidden, bracketed paste, word of gaining and losing the focus.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[?25l\x1b[?2004h\x1b[?1004h";

/// Presses and the wheel, in the form that has no limit at column 223.
const ENTER_MOUSE: &[u8] = b"\x1b[?1000h\x1b[?1006h";

/// Word of going dark or light.
const ENTER_SCHEME: &[u8] = b"\x1b[?2031h";

/// Undoes all of the above and whatever a frame cut in half may have left open.
///
/// In order: end of a half-written title (ST), end of a synchronized update, colours, mouse (every
/// form), word of the scheme, focus reports, bracketed paste, alternate screen, cursor, title.
const LEAVE: &[u8] = b"\x1b\\\x1b[?2026l\x1b[0m\
    \x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\
    \x1b[?2031l\x1b[?1004l\x1b[?2004l\x1b[?1049l\x1b[?25h\x1b[23;0t";

/// How often a rescue tries to place [`LEAVE`] beside a writer that holds the terminal.
const RESTORE_TRIES: usize = 20;

/// The pause between two such tries, and between two looks at another thread's rescue.
const RESTORE_PAUSE: Duration = Duration::from_millis(5);

/// How many pauses of 10 ms an orderly leave grants a terminal that is slow.
const MAX_LEAVE_PAUSES: usize = 20;

/// How many pauses an orderly leave waits for a rescue under way: one second.
const MAX_RESTORE_PAUSES: usize = 200;

/// How many looks, 10 ms each, a suspension waits for its own stop to happen.
const MAX_STOP_CHECKS: usize = 50;

/// Who holds the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Owner {
    /// The shell: before entering, while suspended, after leaving.
    Shell,
    /// The program.
    Program,
    /// The UI thread is giving it back.
    Leaving,
    /// Some thread is giving it back without waiting for the UI thread.
    ForceRestoring,
    /// Nobody: it hung up. No byte and no mode is sent any more.
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
        .find(|phase| *phase as u8 == value)
        .unwrap_or(Self::HungUp)
    }
}

/// The error of a terminal that is gone, the same as the kernel's.
pub(super) fn hung_up_error() -> io::Error {
    Errno::IO.into()
}

/// Holds the terminal's descriptor and the modes it had.
#[derive(Debug)]
pub(super) struct TerminalState {
    tty: OwnedFd,
    /// The modes to put back. A watch, because the newest value is wanted from any thread and
    /// no reader waits: the user may change them (`stty`) while the program is suspended.
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
    /// Finds the terminal and notes its modes; changes nothing.
    ///
    /// Standard output when it is one, else `/dev/tty`.
    pub(super) fn open(mouse: MouseCapture, scheme: ColorScheme) -> io::Result<Self> {
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
        let saved = tcgetattr(&tty)?;
        Ok(Self {
            tty,
            saved_modes: watch::Sender::new(saved),
            mouse,
            color_scheme: scheme,
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

    /// Notes that the terminal hung up: from here on it is not touched.
    pub(super) fn mark_hung_up(&self) {
        self.set_owner(Owner::HungUp);
    }

    /// Notes a deadly signal: a suspension that ends now must not take the terminal again.
    /// Returns whether it was the first.
    pub(super) fn mark_ending(&self) -> bool {
        !self.is_exiting.swap(true, Ordering::SeqCst)
    }

    pub(super) fn is_ending(&self) -> bool {
        self.is_exiting.load(Ordering::SeqCst)
    }

    /// Notes a SIGWINCH. Returns whether it was the first since [`Guard::take_resize`]: a storm
    /// of them must not fill the loop's queue and keep a deadly signal out.
    pub(super) fn mark_resized(&self) -> bool {
        !self.is_resized.swap(true, Ordering::SeqCst)
    }

    /// Says that the size is about to be read again.
    pub(super) fn clear_resized(&self) {
        self.is_resized.store(false, Ordering::SeqCst);
    }

    /// Counts a SIGCONT.
    pub(super) fn count_continue(&self) {
        self.continue_count.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn continue_count(&self) -> u32 {
        self.continue_count.load(Ordering::SeqCst)
    }

    /// Takes the terminal, noting the modes it has now as those to put back.
    ///
    /// Modes first: when the program is in the background this is where the kernel stops it,
    /// before a byte has reached the shell's screen.
    pub(super) fn enter(&self, outlet: &mut NonBlockingTty) -> io::Result<()> {
        if self.owner() == Owner::HungUp {
            return Err(hung_up_error());
        }
        self.saved_modes.send_replace(tcgetattr(&self.tty)?);
        self.set_owner(Owner::Program);
        let entered = crossterm::terminal::enable_raw_mode()
            .and_then(|()| self.write(outlet, &[PUSH_TITLE, &self.mode_sequences()].concat()));
        if entered.is_err() {
            self.leave(outlet);
        }
        entered
    }

    /// Sets every mode again without noting the present ones: after a stop that was not ours
    /// they are the shell's, or raw already.
    pub(super) fn reapply_modes(&self, outlet: &mut NonBlockingTty) -> io::Result<()> {
        let mut raw = self.saved_modes.borrow().clone();
        raw.make_raw();
        tcsetattr(&self.tty, OptionalActions::Now, &raw)?;
        self.write(outlet, &self.mode_sequences())
    }

    /// Gives the terminal back in order; does nothing when it is not ours any more.
    ///
    /// What the terminal has not taken yet goes out first; a terminal that takes nothing for a
    /// moment loses it, as in a rescue. Errors are ignored, for there is nothing left to do about
    /// them, and nobody to tell.
    pub(super) fn leave(&self, outlet: &mut NonBlockingTty) {
        if !self.change_owner(&[Owner::Program], Owner::Leaving) {
            // The process must not end under a rescue: that thread is faster than this second.
            for _ in 0..MAX_RESTORE_PAUSES {
                if self.owner() != Owner::ForceRestoring {
                    break;
                }
                thread::park_timeout(RESTORE_PAUSE);
            }
            return;
        }
        self.restore_modes();
        // Keeps crossterm's own notion of the mode in step, so a later enter works.
        crossterm::terminal::disable_raw_mode().ok();
        if outlet.send_with_retries(LEAVE, MAX_LEAVE_PAUSES) == Err(Errno::AGAIN) {
            self.force_leave();
        }
        outlet.discard();
        self.change_owner(&[Owner::Leaving], Owner::Shell);
    }

    /// Gives the terminal back at once, from any thread, without ever waiting for it.
    ///
    /// What the terminal has not read yet is discarded.
    pub(super) fn force_restore(&self) {
        if !self.change_owner(&[Owner::Program, Owner::Leaving], Owner::ForceRestoring) {
            return;
        }
        self.restore_modes();
        self.force_leave();
        self.change_owner(&[Owner::ForceRestoring], Owner::Shell);
    }

    /// Stops every process of our group and returns when it was continued.
    ///
    /// The kernel may deliver the stop a little after the call when this is not the main thread,
    /// and running on meanwhile would take the terminal again before the stop.
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

    /// Writes through the outlet, without waiting; a terminal that is gone is noted.
    pub(super) fn write(&self, outlet: &mut NonBlockingTty, bytes: &[u8]) -> io::Result<()> {
        outlet.send(bytes).map_err(|errno| self.record_error(errno))
    }

    /// Turns the kernel's word for a dead terminal into a phase, and any error into ours.
    pub(super) fn record_error(&self, errno: Errno) -> io::Error {
        if matches!(errno, Errno::IO | Errno::NXIO) {
            self.mark_hung_up();
        }
        errno.into()
    }

    /// Throws away what the terminal has not read, and sends [`LEAVE`] into the room this makes.
    ///
    /// Through a descriptor of its own, as it may run beside any other use. Another program of
    /// this terminal may be blocked in a write and take the room first, hence the tries.
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

    /// Returns what sets every mode.
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

    fn set_owner(&self, phase: Owner) {
        self.owner.store(phase as u8, Ordering::SeqCst);
    }

    /// Steps to `next` when the phase is one of `from`; tells whether it did.
    fn change_owner(&self, from: &[Owner], next: Owner) -> bool {
        from.iter().any(|phase| {
            self.owner
                .compare_exchange(*phase as u8, next as u8, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_round_trips() {
        for phase in [
            Owner::Shell,
            Owner::Program,
            Owner::Leaving,
            Owner::ForceRestoring,
            Owner::HungUp,
        ] {
            assert_eq!(Owner::from_u8(phase as u8), phase);
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
