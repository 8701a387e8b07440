//! Where a panic's text goes, and whether it ends the program.
//!
//! On the UI thread, in the loop itself, it does: the terminal is given back first and the text
//! then written to the normal screen. Anywhere else nothing is restored, for the loop goes on
//! drawing (ratatui's own hook restores there: ten more frames landed on the shell's screen);
//! the text is handed to the loop, which shows it or ends in order.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Write as _;
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::thread;

use tokio::sync::mpsc;

use super::guard::{Guard, Phase};
use super::signals::{Interruption, tell};

/// Replaces the panic hook of the process.
pub(super) fn install(guard: Arc<Guard>, loop_: mpsc::Sender<Interruption>) {
    panic::set_hook(Box::new(move |info| {
        let text = describe(info);
        // A spawned task runs on the UI thread too, but tokio catches its panic and the loop
        // lives: only the root future has no task id (tokio 1.54, `task::try_id`).
        if guard.is_ui_thread() && tokio::task::try_id().is_none() {
            guard.rescue();
            report(text);
        } else if guard.phase() == Phase::Away {
            // Before the first frame or after the last: no loop listens, no screen is hurt.
            report(text);
        } else {
            tell(&loop_, Interruption::Panicked(text));
        }
    }));
}

/// Says which thread panicked, where and with what words, without control characters: a panic
/// may quote text that came from the server.
fn describe(info: &PanicHookInfo<'_>) -> String {
    let thread = thread::current();
    let name = thread.name().unwrap_or("unnamed");
    let words = info.payload_as_str().unwrap_or("no message");
    let place = info
        .location()
        .map_or_else(String::new, |place| format!(" at {place}"));
    clean(&format!("thread '{name}' panicked{place}:\n{words}"))
}

fn clean(text: &str) -> String {
    text.chars()
        .map(|char| {
            if char.is_control() && char != '\n' {
                char::REPLACEMENT_CHARACTER
            } else {
                char
            }
        })
        .collect()
}

/// Writes to standard error without its lock, which another thread may hold for ever, and
/// without `eprintln!`, which panics when the terminal is gone.
fn report(mut text: String) {
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        write!(text, "\n{trace}").ok();
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
    fn a_quoted_escape_does_not_reach_the_terminal() {
        assert_eq!(
            clean("byte 3 of `\x1b[2J\u{9b}x`\nnext"),
            "byte 3 of `\u{fffd}[2J\u{fffd}x`\nnext"
        );
    }
}
