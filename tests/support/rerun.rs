//! Tests that run again in a process of their own, with its own environment and limits.

use std::{ffi::OsStr, path::PathBuf, process::Command};

const JOB_VAR: &str = "KIETOP_TEST_JOB";

/// Returns a command that runs a test of this binary in a child process, with `job` as its
/// [`job`].
pub(crate) fn rerun_test(test: &str, job: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command
        .args(["--exact", test, "--include-ignored"])
        .args(["--nocapture", "--test-threads=1"])
        .env(JOB_VAR, job)
        .env_remove("RUST_BACKTRACE");
    command
}

/// Runs the command of [`rerun_test`]; fails unless the test ran and passed.
#[track_caller]
pub(crate) fn assert_passes(rerun: &mut Command) {
    let output = rerun.output().expect("the test binary");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("1 passed"), "{stdout}\n{output:?}");
}

/// Returns the job of this process if [`rerun_test`] started it.
pub(crate) fn job() -> Option<String> {
    std::env::var(JOB_VAR).ok()
}

/// Returns the job of this process as a path.
pub(crate) fn job_path() -> Option<PathBuf> {
    job().map(PathBuf::from)
}
