//! Process settings: no core dumps, no SIGXFSZ; and the exit.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Disables core dumps, and on Linux also debugging by other processes of the same user.
///
/// The API key is in memory, and a core file would keep it. Call this first in `main`. A child
/// process inherits the limit, but is dumpable again after exec.
///
/// # Errors
///
/// If the kernel refuses. The program can continue; the key is slightly less safe.
pub fn harden_process() -> io::Result<()> {
    setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}

/// Makes a write beyond the file size limit fail as on a full disk; by default SIGXFSZ ends the
/// process without a message.
///
/// A child process has the default action again after exec.
///
/// # Errors
///
/// If the handler cannot be registered.
pub fn ignore_file_size_signal() -> io::Result<()> {
    signal_hook::flag::register(
        signal_hook::consts::signal::SIGXFSZ,
        std::sync::Arc::default(),
    )?;
    Ok(())
}

/// Ends the process; call it after leaving the screen and closing the store.
///
/// Returning from `main` would wait for running tasks: dropping a tokio runtime waits for DNS
/// lookups, for six seconds when measured.
#[expect(
    clippy::exit,
    reason = "the only call that ends the process; the last one in main"
)]
pub fn exit_now(exit_code: i32) -> ! {
    std::process::exit(exit_code)
}
