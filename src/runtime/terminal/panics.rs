//! Where a panic's text goes, and whether it ends the program.
//!
//! On the UI thread, in the loop itself, it does: the terminal is given back first and the text
//! then written to the normal screen. Anywhere else nothing is restored, for the loop goes on
//! drawing (ratatui's own hook restores there: ten more frames landed on the shell's screen);
//! the text is handed to the loop, which shows it or ends in order.
//!
//! Without a screen, in a headless command or before one is taken, it is only cleaned.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Write as _;
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::thread;

use tokio::sync::mpsc;

use super::signals::{Interruption, send_interruption};
use super::state::{Owner, TerminalState};
use crate::domain::text::CleanText;

/// The longest text of a panic that is shown, in bytes.
const MAX_TEXT_LEN: usize = 16 * 1024;

/// The longest trace of the calls that led to it, in bytes.
const MAX_TRACE_LEN: usize = 256 * 1024;

/// Sees to it that no panic's text acts on a terminal, from now on and until a screen is taken.
///
/// A panic may quote what came from the server. Call it before anything else runs.
pub fn sanitise_panics() {
    panic::set_hook(Box::new(|info| report(describe(info))));
}

/// Replaces the panic hook of the process.
pub(super) fn install_hook(guard: Arc<TerminalState>, loop_: mpsc::Sender<Interruption>) {
    panic::set_hook(Box::new(move |info| {
        let text = describe(info);
        // A spawned task runs on the UI thread too, but tokio catches its panic and the loop
        // lives: only the root future has no task id (tokio 1.54, `task::try_id`).
        if guard.is_ui_thread() && tokio::task::try_id().is_none() {
            guard.force_restore();
            report(text);
        } else if guard.owner() == Owner::Shell {
            // Before the first frame or after the last: no loop listens, no screen is hurt.
            report(text);
        } else {
            send_interruption(&loop_, Interruption::TaskPanicked(text));
        }
    }));
}

/// Says which thread panicked, where and with what words, cleaned: a panic may quote text that came
/// from the server.
fn describe(info: &PanicHookInfo<'_>) -> String {
    let thread = thread::current();
    let name = thread.name().unwrap_or("unnamed");
    let words = info.payload_as_str().unwrap_or("no message");
    let place = info
        .location()
        .map_or_else(String::new, |place| format!(" at {place}"));
    sanitise(
        &format!("thread '{name}' panicked{place}:\n{words}"),
        MAX_TEXT_LEN,
    )
}

fn sanitise(text: &str, longest: usize) -> String {
    CleanText::block(text, longest).to_string()
}

/// Writes to standard error without its lock, which another thread may hold for ever, and
/// without `eprintln!`, which panics when the terminal is gone.
fn report(mut text: String) {
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        // A trace names files, and those may be named anything.
        write!(text, "\n{}", sanitise(&trace.to_string(), MAX_TRACE_LEN)).ok();
    }
    text.insert_str(0, "kietop met a fault of its own and stopped: ");
    text.push('\n');
    let mut bytes = text.as_bytes();
    while let Ok(count @ 1..) = rustix::io::write(rustix::stdio::stderr(), bytes) {
        bytes = bytes.get(count..).unwrap_or_default();
        if bytes.is_empty() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn panic_messages_are_escaped() {
        assert_eq!(
            sanitise("byte 3 of `\x1b[2J\u{9b}x\u{202e}`\nnext", MAX_TEXT_LEN),
            "byte 3 of `␛[2J<U+009B>x<U+202E>`\nnext"
        );
    }
}
