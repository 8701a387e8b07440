//! Resources the runtime needs at the start: file descriptors and a thread.
//!
//! The runtime panics when it cannot have them, so they are checked first.

use std::{
    io,
    os::unix::net::UnixStream,
    panic::{self, AssertUnwindSafe},
};

use tokio::runtime::Runtime;

/// Pairs of descriptors needed by the runtime, the list and one connection.
const MIN_SOCKET_PAIRS: usize = 6;

/// The resource that is missing.
#[derive(Debug, thiserror::Error)]
pub enum ResourceError {
    /// The limit of open files is too low.
    #[error("too few file descriptors are left ({0}): raise the limit (ulimit -n)")]
    Descriptors(io::Error),
    /// No thread can be started.
    #[error("no thread can be started: end other programs, or raise the limit (ulimit -u)")]
    Threads,
}

/// Opens and closes as many descriptors as are needed.
pub fn check_descriptors() -> Result<(), ResourceError> {
    let pairs = (0..MIN_SOCKET_PAIRS).map(|_| UnixStream::pair());
    let pairs = pairs.collect::<io::Result<Vec<_>>>();
    pairs.map(drop).map_err(ResourceError::Descriptors)
}

/// Starts the runtime's first thread for blocking work.
///
/// The runtime panics when it has no such thread and cannot start one; with one it does without
/// more.
pub fn start_blocking_thread(runtime: &Runtime) -> Result<(), ResourceError> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let started = panic::catch_unwind(AssertUnwindSafe(|| runtime.spawn_blocking(|| ())));
    panic::set_hook(hook);
    started
        .map(drop)
        .map_err(|_panicked| ResourceError::Threads)
}
