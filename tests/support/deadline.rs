//! Deadlines for commands that would hang if a promise were broken.

#![expect(clippy::expect_used, clippy::panic, reason = "a harness fails loudly")]
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "each test file takes what it needs of it"
)]

use std::{
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

/// How long a command may take, on a busy machine.
const COMMAND_TIMEOUT: Duration = Duration::from_mins(2);

/// Runs a command with piped output; kills it and fails the test after the deadline.
#[track_caller]
pub(crate) fn output(command: &mut Command) -> Output {
    let what = format!("{command:?}");
    let child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    wait_with_deadline(child, &what)
}

/// Waits for a started command; kills it and fails the test after the deadline.
#[track_caller]
pub(crate) fn wait_with_deadline(child: Child, what: &str) -> Output {
    let pid = Pid::from_child(&child);
    let (tell, ended) = mpsc::channel();
    let waiting = thread::spawn(move || tell.send(child.wait_with_output()));
    let Ok(output) = ended.recv_timeout(COMMAND_TIMEOUT) else {
        kill_process(pid, Signal::KILL).ok();
        waiting.join().ok();
        panic!("it did not end within {COMMAND_TIMEOUT:?}: {what}");
    };
    output.expect("its output")
}
