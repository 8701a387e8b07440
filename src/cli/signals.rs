//! The signals that end a command: Ctrl-C and Ctrl-\, and what a terminal or a system says when it goes away.

use std::future;

/// Hears of the signals that end a command, from its making on.
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    heard: Vec<(i32, tokio::signal::unix::Signal)>,
}

impl Signals {
    /// Begins to listen; a signal that cannot be listened for ends the program as it always did.
    #[cfg(unix)]
    pub fn listen() -> Self {
        use tokio::signal::unix::{SignalKind, signal};
        let kinds = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
            SignalKind::quit(),
        ];
        let listen = |kind: SignalKind| Some((kind.as_raw_value(), signal(kind).ok()?));
        Self {
            heard: kinds.into_iter().filter_map(listen).collect(),
        }
    }

    /// Begins to listen.
    #[cfg(not(unix))]
    pub const fn listen() -> Self {
        Self {}
    }

    /// Waits for the next one, and returns its number.
    #[cfg(unix)]
    pub async fn next(&mut self) -> i32 {
        future::poll_fn(|context| {
            for (number, signal) in &mut self.heard {
                if signal.poll_recv(context).is_ready() {
                    return std::task::Poll::Ready(*number);
                }
            }
            std::task::Poll::Pending
        })
        .await
    }

    /// Waits for Ctrl-C, and returns its number; for ever where there are no signals.
    #[cfg(not(unix))]
    pub async fn next(&mut self) -> i32 {
        if tokio::signal::ctrl_c().await.is_err() {
            future::pending::<()>().await;
        }
        2
    }
}
