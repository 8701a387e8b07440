//! A list file that is deleted while the program runs: its tasks stay on the screen, no new file is
//! created, and it is written back on request.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Command, Stdio},
    sync::mpsc,
    thread,
};

use crate::support::pty::{Pty, PtyLaunch, WAIT_TIMEOUT};

const KIETOP: &str = env!("CARGO_BIN_EXE_kietop");
/// No server listens there.
const API: &str = "http://127.0.0.1:9";

/// A home folder with two tasks on the list.
struct TestHome {
    home: tempfile::TempDir,
}

impl TestHome {
    fn new() -> Self {
        let home = Self {
            home: tempfile::tempdir().unwrap(),
        };
        for id in ["task-one", "task-two"] {
            assert!(home.command(&["add", id]).status().unwrap().success());
        }
        home
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn list(&self) -> PathBuf {
        self.folder().join("list.db")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(KIETOP);
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("KIE_API_KEY", "a-key")
            .args(["--api-url", API, "--store"])
            .arg(self.list())
            .args(args)
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }

    fn start_dashboard(&self) -> Pty {
        let mut pty = PtyLaunch::new(KIETOP)
            .args(["--api-url", API, "--store"])
            .args([self.list()])
            .env("HOME", &self.home.path().to_string_lossy())
            .env("KIE_API_KEY", "a-key")
            .env("LANG", "C.UTF-8")
            .spawn();
        pty.wait_for_text("task-two");
        pty
    }

    /// Returns the ids that another process reads from the list.
    fn listed_ids(&self) -> Vec<String> {
        let output = self
            .command(&["--read-only", "list"])
            .stdout(Stdio::piped())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let mut ids: Vec<_> = text
            .lines()
            .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
            .collect();
        ids.sort();
        ids
    }
}

#[test]
fn dashboard_writes_back_a_deleted_list() {
    let home = TestHome::new();
    let mut pty = home.start_dashboard();

    // Renamed first, so that the folder is gone in one step.
    let away = home.home.path().join("away");
    fs::rename(home.folder(), &away).unwrap();
    fs::remove_dir_all(&away).unwrap();
    pty.wait_for_text("list file missing. Press B to restore it.");
    assert!(pty.screen().contents().contains("task-two"));
    pty.type_bytes(b"q");
    pty.wait_for_text("Quit without saving the list?");
    pty.type_bytes(b"\x1b");
    pty.wait_for("the dialog closes", |screen| {
        !screen.contents().contains("Quit without")
    });
    assert!(!home.folder().exists(), "no file is created");

    pty.type_bytes(b"B");
    pty.wait_for_text("The list is saved again.");
    assert_eq!(home.listed_ids(), ["task-one", "task-two"]);
    pty.type_bytes(b"q");
    assert_eq!(pty.wait_for_exit().code, 0);
}

#[test]
fn dashboard_merges_a_replaced_list() {
    let home = TestHome::new();
    let mut pty = home.start_dashboard();
    let away = home.home.path().join("away");

    fs::rename(home.folder(), &away).unwrap();
    pty.wait_for_text("list file missing");
    assert!(
        home.command(&["add", "task-new"])
            .status()
            .unwrap()
            .success()
    );
    pty.wait_for_text("task-new");
    assert!(pty.screen().contents().contains("task-one"));
    pty.wait_until("the new list has all tasks", |_| {
        home.listed_ids().len() == 3
    });

    // The old list gets the new task when it is back.
    fs::rename(home.folder(), home.home.path().join("other")).unwrap();
    fs::rename(&away, home.folder()).unwrap();
    pty.wait_until("the old list has all tasks", |_| {
        home.listed_ids().len() == 3
    });

    let garbage = home.home.path().join("garbage");
    fs::write(&garbage, "not a database").unwrap();
    fs::rename(&garbage, home.list()).unwrap();
    pty.wait_until("the recovered list has all tasks", |_| {
        home.listed_ids().len() == 3
    });
    pty.wait_for("the warning closes", |screen| {
        !screen.contents().contains("is gone")
    });
    pty.type_bytes(b"m");
    pty.wait_for("the messages show the recovery", |screen| {
        let shown = screen.contents();
        shown.contains("─ Messages") && shown.contains("The list file was damaged")
    });
    pty.type_bytes(b"\x1b");
    pty.wait_for("the messages close", |screen| {
        !screen.contents().contains("─ Messages")
    });
    pty.type_bytes(b"q");
    assert_eq!(pty.wait_for_exit().code, 0);
}

#[test]
fn wait_reports_a_missing_list() {
    let home = TestHome::new();
    let mut child = home.command(&["wait"]).spawn().unwrap();
    let (sender, lines) = mpsc::channel();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            sender.send(line).unwrap_or_default();
        }
    });
    let wait_for = |text: &str| {
        while !lines.recv_timeout(WAIT_TIMEOUT).unwrap().contains(text) {}
    };
    // The limiter file is created after the list is read.
    let limiter_file = home.folder().join("list.db-turns");
    for _ in 0..3000 {
        if limiter_file.exists() {
            break;
        }
        thread::sleep(std::time::Duration::from_millis(10));
    }
    let away = home.home.path().join("away");

    fs::rename(home.folder(), &away).unwrap();
    wait_for("the list file is missing from");
    assert!(!home.folder().exists(), "no file is created");
    fs::rename(&away, home.folder()).unwrap();
    wait_for("The list is saved again.");

    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(home.listed_ids(), ["task-one", "task-two"]);
}
