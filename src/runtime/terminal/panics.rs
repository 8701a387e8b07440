//! Panic hooks, with and without a screen.
//!
//! A panic in the event loop restores the terminal, prints its text on the normal screen and ends
//! the program. A panic in another thread or in a task restores nothing, because the event loop
//! continues to draw (with ratatui's hook ten more frames landed on the shell's screen): its text
//! is sent to the event loop, which shows it or quits.
//!
//! Without a screen, in a headless command or before the start, the text is only sanitised.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt::Write as _;
use std::panic::{self, PanicHookInfo};
use std::sync::Arc;
use std::thread;

use tokio::sync::mpsc;

use super::signals::{Interruption, send_interruption};
use super::state::{Owner, TerminalState};
use crate::{domain::text::CleanText, messages::crashes};

/// In bytes.
const MAX_TEXT_LEN: usize = 16 * 1024;

/// In bytes.
const MAX_TRACE_LEN: usize = 256 * 1024;

/// Sanitises panic messages until a screen is entered: they may quote text from the server. Call it
/// before anything else.
pub fn sanitise_panics() {
    panic::set_hook(Box::new(|info| report(&describe(info))));
}

/// Replaces the panic hook of the process.
pub(super) fn install_hook(
    terminal_state: Arc<TerminalState>,
    interruptions: mpsc::Sender<Interruption>,
) {
    panic::set_hook(Box::new(move |info| {
        let text = describe(info);
        // A spawned task may run on the UI thread too, but tokio catches its panic and the event
        // loop continues. Only the root future has no task id (tokio 1.54, `task::try_id`).
        if terminal_state.is_ui_thread() && tokio::task::try_id().is_none() {
            terminal_state.force_restore();
            report(&text);
        } else if terminal_state.owner() == Owner::Shell {
            // Before entering or after leaving: no event loop receives it, no screen is drawn.
            report(&text);
        } else {
            send_interruption(&interruptions, Interruption::TaskPanicked(text));
        }
    }));
}

/// Returns the thread, location and message of a panic, sanitised.
fn describe(info: &PanicHookInfo<'_>) -> String {
    let thread = thread::current();
    let name = thread.name().unwrap_or("unnamed");
    sanitise(&format!("thread '{name}' {info}"), MAX_TEXT_LEN)
}

fn sanitise(text: &str, max_len: usize) -> String {
    CleanText::block(text, max_len).to_string()
}

/// Writes to standard error without its lock, which another thread may hold forever, and without
/// `eprintln!`, which panics if the terminal is gone.
fn report(panic: &str) {
    let mut text = crashes::program(panic);
    let trace = Backtrace::capture();
    if trace.status() == BacktraceStatus::Captured {
        // File names in a backtrace may contain control characters.
        write!(text, "\n{}", sanitise(&trace.to_string(), MAX_TRACE_LEN)).ok();
    }
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
