//! The signals that end a command: Ctrl-C and Ctrl-\, and what a terminal or a system says when it
//! goes away.

use std::future;

/// Hears of the signals that end a command, from its making on.
#[derive(Debug)]
pub struct Signals {
    receivers: Vec<(i32, tokio::signal::unix::Signal)>,
}

impl Signals {
    /// Begins to listen; a signal that cannot be listened for ends the program as it always did.
    /// Who started it behind `nohup` wants no end by a hang-up: that stays ignored.
    pub fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
            SignalKind::quit(),
        ];
        let is_wanted = |kind: &SignalKind| *kind != SignalKind::hangup() || !ignores_hang_ups();
        let listen = |kind: SignalKind| Some((kind.as_raw_value(), signal(kind).ok()?));
        let wanted = kinds.into_iter().filter(is_wanted);
        Self {
            receivers: wanted.filter_map(listen).collect(),
        }
    }

    /// Waits for the next one, and returns its number.
    pub async fn next(&mut self) -> i32 {
        future::poll_fn(|context| {
            for (number, signal) in &mut self.receivers {
                if signal.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*number);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }
}

/// Reports whether this program was started with hang-ups ignored. Only Linux tells; elsewhere they
/// count as not ignored.
fn ignores_hang_ups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The lowest bit is that of signal 1, which is the hang-up.
    mask.is_some_and(|mask| mask & 1 == 1)
}
