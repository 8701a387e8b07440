//! The real program in a real pseudo-terminal: it starts, shows, listens, and gives the terminal back.

#[expect(dead_code, reason = "this file needs a part of the harness")]
#[path = "support/pty.rs"]
mod pty;

use std::{fs, path::Path, process::Command};

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

fn configured(home: &Path, config: &str) -> Launch {
    let folder = home.join(".config/kietop");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.toml"), config).unwrap();
    let added = Command::new(KIETOP)
        .args(["add", ID, "--label", "from a script"])
        .env("HOME", home)
        .output();
    assert!(added.unwrap().status.success());
    Launch::new(KIETOP)
        .args(["--api-url", "http://127.0.0.1:9"])
        .env("HOME", &home.to_string_lossy())
        .env("LANG", "C.UTF-8")
        .size(120, 36)
}

#[test]
fn a_command_that_takes_its_time_to_say_the_key_does_not_hold_the_first_frame() {
    let home = tempfile::tempdir().unwrap();
    let pipe = home.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let config = format!(
        "api_url = \"http://127.0.0.1:9\"\nkey_command = [\"cat\", \"{}\"]\n[keys]\nhelp = \"x\"\n",
        pipe.display()
    );
    let mut pty = configured(home.path(), &config).spawn();

    pty.wait_for_text("from a script");
    pty.type_bytes(b"x");
    pty.wait_for_text("stop watching the task");
    pty.type_bytes(b"\x1b");
    fs::write(&pipe, "two words\n").unwrap();
    pty.wait_for_text("key_command: the key has an invalid character at position 4");
    pty.type_bytes(b"q");
    assert_eq!(pty.end().code, 0);
}

#[test]
fn a_key_of_another_address_stays_at_home_and_a_failed_command_is_a_banner() {
    let home = tempfile::tempdir().unwrap();
    let mark = home.path().join("ran");
    let config = format!("key_command = [\"touch\", \"{}\"]\n", mark.display());
    let mut pty = configured(home.path(), &config).spawn();
    pty.wait_for_text("the stored key is for https://api.kie.ai");
    pty.type_bytes(b"q");
    assert_eq!(pty.end().code, 0);
    assert!(!mark.exists(), "it is not even read");

    let config = "api_url = \"http://127.0.0.1:9\"\n\
                  key_command = [\"sh\", \"-c\", \"echo canary; echo canary >&2; exit 7\"]\n";
    let mut pty = configured(home.path(), config).spawn();
    pty.wait_for_text("key_command failed (exit status: 7)");
    pty.wait_for_text("from a script");
    pty.type_bytes(b"q");
    let ended = pty.end();
    assert_eq!(ended.code, 0);
    assert!(!String::from_utf8_lossy(&ended.raw).contains("canary"));
}
