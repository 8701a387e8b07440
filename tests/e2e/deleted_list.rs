//! A list file that is deleted while the program runs: its tasks stay on the screen, no new file is
//! created, and it is written back on request.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::PathBuf,
    sync::mpsc,
    thread,
};

use crate::support::{
    pty::{KIETOP, Pty, PtyLaunch, WAIT_TIMEOUT},
    test_home::{NOWHERE, TestHome, assert_code, stdout},
};

fn home_with_list() -> TestHome {
    TestHome::with_tasks(&["task-one", "task-two"])
}

fn list_folder(home: &TestHome) -> PathBuf {
    home.list().parent().unwrap().to_owned()
}

fn start_dashboard(home: &TestHome) -> Pty {
    let mut pty = PtyLaunch::new(KIETOP)
        .args(["--api-url", NOWHERE, "--store"])
        .args([home.list()])
        .home(home.path())
        .env("KIE_API_KEY", "a-key")
        .spawn();
    pty.wait_for_text("task-two");
    pty
}

/// Returns the ids that another process reads from the list.
fn listed_ids(home: &TestHome) -> Vec<String> {
    let listed = home.run(&["--read-only", "list"]);
    let rows = stdout(&listed).lines();
    let mut ids: Vec<_> = rows
        .filter_map(|row| row.split_whitespace().next().map(str::to_owned))
        .collect();
    ids.sort();
    ids
}

#[test]
fn dashboard_writes_back_a_deleted_list() {
    let home = home_with_list();
    let mut pty = start_dashboard(&home);

    // Renamed first, so that the folder is gone in one step.
    let away = home.path().join("away");
    fs::rename(list_folder(&home), &away).unwrap();
    fs::remove_dir_all(&away).unwrap();
    pty.wait_for_text("list file missing. Press B to restore it.");
    assert!(pty.screen().contents().contains("task-two"));
    pty.type_bytes(b"q");
    pty.wait_for_text("Quit without saving the list?");
    pty.type_bytes(b"\x1b");
    pty.wait_for_no_text("Quit without");
    assert!(!list_folder(&home).exists(), "no file is created");

    pty.type_bytes(b"B");
    pty.wait_for_text("The list is saved again.");
    assert_eq!(listed_ids(&home), ["task-one", "task-two"]);
    pty.quit();
}

#[test]
fn dashboard_merges_a_replaced_list() {
    let home = home_with_list();
    let mut pty = start_dashboard(&home);
    let away = home.path().join("away");

    fs::rename(list_folder(&home), &away).unwrap();
    pty.wait_for_text("list file missing");
    assert_code(&home.run(&["add", "task-new"]), 0);
    pty.wait_for_text("task-new");
    assert!(pty.screen().contents().contains("task-one"));
    let wait_for_all_tasks = |pty: &mut Pty| {
        pty.wait_until("the list has all tasks", |_| listed_ids(&home).len() == 3);
    };
    wait_for_all_tasks(&mut pty);

    // The old list gets the new task when it is back.
    fs::rename(list_folder(&home), home.path().join("other")).unwrap();
    fs::rename(&away, list_folder(&home)).unwrap();
    wait_for_all_tasks(&mut pty);

    let garbage = home.path().join("garbage");
    fs::write(&garbage, "not a database").unwrap();
    fs::rename(&garbage, home.list()).unwrap();
    wait_for_all_tasks(&mut pty);
    pty.wait_for_no_text("is gone");
    pty.type_bytes(b"m");
    pty.wait_for("the messages show the recovery", |screen| {
        let shown = screen.contents();
        shown.contains("─ Messages") && shown.contains("The list file was damaged")
    });
    pty.type_bytes(b"\x1b");
    pty.wait_for_no_text("─ Messages");
    pty.quit();
}

#[test]
fn wait_reports_a_missing_list() {
    let home = home_with_list();
    let mut child = home.kietop(NOWHERE, &["wait"]).spawn().unwrap();
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
    let limiter_file = list_folder(&home).join("list.db-turns");
    let is_created = (0..3000).any(|_| {
        thread::sleep(std::time::Duration::from_millis(10));
        limiter_file.exists()
    });
    assert!(is_created, "no limiter file");
    let away = home.path().join("away");

    fs::rename(list_folder(&home), &away).unwrap();
    wait_for("the list file is missing from");
    assert!(!list_folder(&home).exists(), "no file is created");
    fs::rename(&away, list_folder(&home)).unwrap();
    wait_for("The list is saved again.");

    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(listed_ids(&home), ["task-one", "task-two"]);
}
