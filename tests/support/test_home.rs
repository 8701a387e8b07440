//! A temporary home folder with a list, and the real program run in it.

use std::{
    ffi::OsStr,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use super::{deadline, raw_server::RawServer};

pub(crate) const ID: &str = "774d9a7dd608a0e49293903095e45a4c";
pub(crate) const OTHER_ID: &str = "1f0c2b6f1d3b4a0c9c1f7c6b5a4e3d21";
pub(crate) const KEY: &str = "canary-key";

/// The API address of a command that needs no server: nothing listens there.
pub(crate) const NOWHERE: &str = "http://127.0.0.1:9";

/// A home folder, deleted on drop.
#[derive(Debug)]
pub(crate) struct TestHome(TempDir);

impl TestHome {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    pub(crate) fn with_tasks(ids: &[impl AsRef<OsStr>]) -> Self {
        let home = Self::new();
        let mut command = home.kietop(NOWHERE, &["add"]);
        let added = deadline::output(command.args(ids));
        assert!(added.status.success(), "{}", stderr(&added));
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Returns the list file, in a folder that kietop creates.
    pub(crate) fn list(&self) -> PathBuf {
        self.path().join("data/list.db")
    }

    /// Returns a command with the API at `api`, no input and piped output.
    pub(crate) fn kietop(&self, api: &str, args: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kietop"));
        command.args(args);
        self.prepare(&mut command, api);
        command
    }

    /// Returns a command of the shell, in which `"$@"` runs kietop with `args`.
    pub(crate) fn shell(&self, script: &str, api: &str, args: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, "sh", env!("CARGO_BIN_EXE_kietop")]);
        command.args(args);
        self.prepare(&mut command, api);
        command
    }

    fn prepare(&self, command: &mut Command, api: &str) {
        command
            .env_clear()
            .env("HOME", self.path())
            .env("KIE_API_KEY", KEY)
            .env("KIETOP_API_URL", api)
            .env("KIETOP_STORE", self.list())
            .current_dir(self.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    }

    /// Runs a command that needs no server.
    #[track_caller]
    pub(crate) fn run(&self, args: &[impl AsRef<OsStr>]) -> Output {
        deadline::output(&mut self.kietop(NOWHERE, args))
    }

    /// Runs a command that needs no server, with this input.
    #[track_caller]
    pub(crate) fn run_with_input(&self, args: &[&str], input: impl Into<Vec<u8>>) -> Output {
        output_with_input(&mut self.kietop(NOWHERE, args), input)
    }

    /// Runs a command without blocking the thread of the server.
    pub(crate) async fn run_at(&self, api: &RawServer, args: &[&str]) -> Output {
        wait_for_output(self.start(api, args)).await
    }

    pub(crate) fn start(&self, api: &RawServer, args: &[&str]) -> Child {
        let mut command = self.kietop(&api.origin(), args);
        command.spawn().expect("the program starts")
    }

    /// Returns the tasks as `list --json` prints them.
    pub(crate) fn listed(&self) -> Vec<Value> {
        parse_json(&self.run(&["list", "--json"]))
    }

    /// Returns a task as `show --json` prints it.
    pub(crate) fn task(&self, id: &str) -> Value {
        parse_json(&self.run(&["show", id, "--json"]))
    }
}

/// Runs a command with this input.
#[track_caller]
pub(crate) fn output_with_input(command: &mut Command, input: impl Into<Vec<u8>>) -> Output {
    let what = format!("{command:?}");
    let mut child = command.stdin(Stdio::piped()).spawn().expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.into();
    // A command may end before it has read everything.
    let writer = thread::spawn(move || stdin.write_all(&input).unwrap_or_default());
    let output = deadline::wait_with_deadline(child, &what);
    writer.join().expect("the input is written");
    output
}

/// Waits for a command without blocking the thread of the server.
pub(crate) async fn wait_for_output(child: Child) -> Output {
    tokio::task::spawn_blocking(move || deadline::wait_with_deadline(child, "kietop"))
        .await
        .expect("it ends in time")
}

pub(crate) fn send_signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("a running process");
}

pub(crate) fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("UTF-8")
}

pub(crate) fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).expect("UTF-8")
}

/// Parses the JSON that a command has printed.
#[track_caller]
pub(crate) fn parse_json<T: serde::de::DeserializeOwned>(output: &Output) -> T {
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Checks the exit code; the failure shows the messages.
#[track_caller]
pub(crate) fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", stderr(output));
}

/// Checks the exit code and a part of the messages.
#[track_caller]
pub(crate) fn assert_message(output: &Output, code: i32, message: &str) {
    assert_code(output, code);
    assert!(stderr(output).contains(message), "{}", stderr(output));
}
