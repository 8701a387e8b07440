//! The file descriptors and the thread that the runtime needs at the start; without them it would
//! panic.

use std::{
    io,
    os::unix::net::UnixStream,
    panic::{self, AssertUnwindSafe},
    time::Duration,
};

use tokio::runtime::Runtime;

/// The socket pairs that stand for the descriptors of the runtime, the list and one connection.
const MIN_SOCKET_PAIRS: usize = 6;

/// The time an idle blocking thread is kept: longer than any run.
const THREAD_KEEP_ALIVE: Duration = Duration::from_hours(24 * 365);

/// A missing resource.
#[derive(Debug, thiserror::Error)]
pub enum ResourceError {
    #[error("too few file descriptors left ({0}): raise the limit (ulimit -n)")]
    Descriptors(io::Error),
    #[error("{0}")]
    Runtime(io::Error),
    #[error("cannot start a thread: end other programs, or raise the limit (ulimit -u)")]
    Threads,
}

/// Starts the runtime with one blocking thread, which it keeps.
pub fn start_runtime() -> Result<Runtime, ResourceError> {
    check_descriptors()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_keep_alive(THREAD_KEEP_ALIVE)
        .build()
        .map_err(ResourceError::Runtime)?;
    start_blocking_thread(&runtime)?;
    Ok(runtime)
}

/// Checks the descriptors by opening and closing as many as are needed.
fn check_descriptors() -> Result<(), ResourceError> {
    let pairs = (0..MIN_SOCKET_PAIRS).map(|_| UnixStream::pair());
    let pairs = pairs.collect::<io::Result<Vec<_>>>();
    pairs.map(drop).map_err(ResourceError::Descriptors)
}

/// Starts the runtime's first blocking thread.
///
/// The runtime panics if it has none and cannot start one; with one it works without more.
fn start_blocking_thread(runtime: &Runtime) -> Result<(), ResourceError> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let started = panic::catch_unwind(AssertUnwindSafe(|| runtime.spawn_blocking(|| ())));
    panic::set_hook(hook);
    started
        .map(drop)
        .map_err(|_panicked| ResourceError::Threads)
}
