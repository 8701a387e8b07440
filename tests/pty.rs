//! The real program in a real pseudo-terminal: it starts, shows, listens, and gives the terminal back.

#[expect(dead_code, reason = "this file needs a part of the harness")]
#[path = "support/pty.rs"]
mod pty;

use std::{path::Path, process::Command};

use pty::{Launch, Pty};
use rustix::process::Signal;

const KIETOP: &str = env!("CARGO_BIN_EXE_kietop");
const ID: &str = "774d9a7dd608a0e49293903095e45a4c";

fn dashboard(home: &Path) -> Pty {
    Launch::new(KIETOP)
        .args(["--api-url", "http://127.0.0.1:9", "--store"])
        .args([home.join("list.db")])
        .env("HOME", &home.to_string_lossy())
        .env("LANG", "C.UTF-8")
        .size(120, 36)
        .spawn()
}

#[test]
fn the_demo_shows_many_states_opens_help_and_leaves() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = Launch::new(KIETOP)
        .args(["demo"])
        .env("HOME", &home.path().to_string_lossy())
        .env("LANG", "C.UTF-8")
        .size(120, 36)
        .spawn();

    for word in [
        "generating",
        "ready",
        "gen. failed",
        "callback fail",
        "late",
    ] {
        pty.wait_for_text(word);
    }
    pty.wait_for_text("\"hero loop\" is ready.");
    pty.type_bytes(b"?");
    pty.wait_for_text("stop watching the task");
    pty.type_bytes(b"\x1b");
    pty.wait_for("the help gone", |screen| {
        !screen.contents().contains("stop watching the task")
    });
    pty.resize(60, 18);
    pty.wait_for_text("GEN");
    pty.type_bytes(b"q");
    let ended = pty.end();

    assert_eq!(ended.code, 0);
    assert_eq!(ended.modes_after, ended.modes_before);
    assert_eq!(
        std::fs::read_dir(home.path()).unwrap().count(),
        0,
        "the demo keeps nothing"
    );
}

#[test]
fn what_another_instance_adds_is_shown_and_a_signal_gives_the_terminal_back() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = dashboard(home.path());
    pty.wait_for_text("kietop demo");

    let added = Command::new(KIETOP)
        .args(["add", ID, "--label", "from a script", "--store"])
        .arg(home.path().join("list.db"))
        .output();
    assert!(added.unwrap().status.success());

    pty.wait_for_text("from a script");
    pty.wait_for_text("API key is set");
    pty.signal(Signal::TERM);
    let ended = pty.end();
    assert_eq!(ended.code, 128 + 15, "TERM");
    assert_eq!(ended.modes_after, ended.modes_before);
}

#[test]
fn a_pasted_id_is_added_and_there_at_the_next_start() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = dashboard(home.path());
    pty.wait_for_text("kietop demo");

    pty.type_bytes(format!("\x1b[200~q d {ID}\x1b[201~").as_bytes());
    pty.wait_for_text("Enter add 1");
    pty.type_bytes(b"\r");
    pty.wait_for_text("Watching");
    pty.signal(Signal::KILL);
    pty.end();

    let mut again = dashboard(home.path());
    again.wait_for_text("774d9a7d");
    again.type_bytes(b"q");
    assert_eq!(again.end().code, 0);
}
