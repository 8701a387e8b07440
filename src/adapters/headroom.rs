//! What the system must have left for the program to run: file descriptors and a thread.
//!
//! The runtime panics where it gets none of them.

use std::{
    io,
    os::unix::net::UnixStream,
    panic::{self, AssertUnwindSafe},
};

use tokio::runtime::Runtime;

/// The pairs of descriptors that the runtime, the list and one connection need.
const MIN_PAIRS: usize = 6;

/// What there is too little of.
#[derive(Debug, thiserror::Error)]
pub enum NoHeadroom {
    /// Too few files may be open.
    #[error("too few file descriptors are left ({0}): raise the limit (ulimit -n)")]
    Descriptors(io::Error),
    /// No thread can be started.
    #[error("no thread can be started: end other programs, or raise the limit (ulimit -u)")]
    Threads,
}

/// Takes the descriptors that are needed, and gives them back.
pub fn check_descriptors() -> Result<(), NoHeadroom> {
    let pairs = (0..MIN_PAIRS).map(|_| UnixStream::pair());
    let pairs = pairs.collect::<io::Result<Vec<_>>>();
    pairs.map(drop).map_err(NoHeadroom::Descriptors)
}

/// Starts the runtime's first thread for blocking work.
///
/// Where none can be started the runtime panics while it has none; later ones it does without.
pub fn start_thread(runtime: &Runtime) -> Result<(), NoHeadroom> {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let started = panic::catch_unwind(AssertUnwindSafe(|| runtime.spawn_blocking(|| ())));
    panic::set_hook(hook);
    started.map(drop).map_err(|_panicked| NoHeadroom::Threads)
}
