//! The process as a whole: no core dump with the key in it, and the one way out.

use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};

/// Forbids core dumps, and on Linux also debugging by other processes of the same user.
///
/// The API key lies in memory, and a core file is readable for ever. Call it first in `main`.
/// A child process inherits the limit, but is dumpable again as soon as it executes.
///
/// # Errors
///
/// When the kernel refuses; the program can run on, the key is a little less safe.
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

/// Lets a write beyond the limit of a file's size fail, as on a full disk; the signal would end the
/// process unsaid.
///
/// A child process gets the signal's usual effect back as soon as it executes.
///
/// # Errors
///
/// When the signal cannot be handled.
pub fn ignore_file_size_signal() -> io::Result<()> {
    signal_hook::flag::register(
        signal_hook::consts::signal::SIGXFSZ,
        std::sync::Arc::default(),
    )?;
    Ok(())
}

/// Ends the process now, after the screen was left and the store closed.
///
/// Returning from `main` would wait for what still runs: dropping a tokio runtime waits for a
/// name look-up, six seconds of them were measured.
#[expect(
    clippy::exit,
    reason = "the one place that ends the process; main calls it last"
)]
pub fn exit_now(exit_code: i32) -> ! {
    std::process::exit(exit_code)
}
