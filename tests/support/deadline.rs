//! Deadlines for commands that hang when a bug returns.

use std::{
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};

/// Long, for a busy machine.
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
    let (sender, receiver) = mpsc::channel();
    let waiter = thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(output) = receiver.recv_timeout(COMMAND_TIMEOUT) else {
        kill_process(pid, Signal::KILL).ok();
        waiter.join().ok();
        panic!("it did not exit within {COMMAND_TIMEOUT:?}: {what}");
    };
    output.expect("its output")
}
