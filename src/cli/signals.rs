//! The signals that end a command: SIGINT, SIGQUIT, SIGTERM and SIGHUP.

use std::future;

/// Receives the signals that end a command.
#[derive(Debug)]
pub struct Signals {
    receivers: Vec<(i32, tokio::signal::unix::Signal)>,
}

impl Signals {
    /// Installs the handlers; a signal without one keeps its default action. SIGHUP stays ignored
    /// if it was at the start (`nohup`).
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

    /// Waits for the next signal and returns its number.
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

/// Returns whether SIGHUP was ignored at the start; always `false` outside Linux, which has no way
/// to find out.
fn ignores_hang_ups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    // The lowest bit is signal 1, SIGHUP.
    mask.is_some_and(|mask| mask & 1 == 1)
}
