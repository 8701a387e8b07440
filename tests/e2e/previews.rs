//! Previews in a terminal: their query, their images and the end of ffmpeg.

use std::{env, fs, os::unix::fs::PermissionsExt as _, path::Path};

use crate::support::pty::{Pty, PtyLaunch};

/// The end of the query for the cell size.
const CELL_SIZE_QUERY: &[u8] = b"\x1b[16t\x1b[c";

fn count_occurrences(bytes: &[u8], pattern: &[u8]) -> usize {
    bytes
        .windows(pattern.len())
        .filter(|window| *window == pattern)
        .count()
}

/// Starts a demo with the script as ffmpeg and saves the first result.
fn start_and_save(home: &Path, script: &str) -> Pty {
    let program = home.join("ffmpeg");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = env::var("PATH").unwrap();
    let folder = home.to_string_lossy();
    let mut launch = PtyLaunch::new(env!("CARGO_BIN_EXE_kietop"))
        .args(["demo"])
        .env("HOME", &folder)
        .env("XDG_CONFIG_HOME", &folder)
        .env("PATH", &format!("{folder}:{path}"))
        .env("LANG", "C.UTF-8")
        .size(120, 36);
    // The test may run in tmux or over SSH, where previews are off.
    for variable in ["SSH_CONNECTION", "SSH_TTY", "TMUX", "STY", "NO_COLOR"] {
        launch = launch.env(variable, "");
    }
    let mut pty = launch.spawn();
    pty.wait_for_text("\"hero loop\" is ready.");
    pty.type_bytes(b"3");
    pty.wait_for_text("[Ready");
    assert_eq!(
        count_occurrences(pty.raw(), CELL_SIZE_QUERY),
        0,
        "no query before a preview"
    );
    pty.type_bytes(b"gw");
    pty
}

#[test]
fn a_running_preview_dies_with_the_program() {
    let home = tempfile::tempdir().unwrap();
    let marker = format!("34.{}", std::process::id());
    let is_running = || {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let mut lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        lines.any(|line| count_occurrences(&line, marker.as_bytes()) > 0)
    };
    let mut pty = start_and_save(home.path(), &format!("sleep {marker}"));
    pty.wait_until("ffmpeg", |_| is_running());

    pty.type_bytes(b"q");

    pty.wait_until("the exit", |pty| pty.code() == Some(0));
    pty.wait_until("ffmpeg to exit", |_| !is_running());
}

#[test]
fn the_cell_size_is_queried_only_for_previews() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = start_and_save(home.path(), r"printf 'P6\n2 1\n255\nABCDEF'");
    pty.wait_until("the cell size query", |pty| {
        count_occurrences(pty.raw(), CELL_SIZE_QUERY) == 1
    });

    pty.type_bytes(b"\x1bP>|XTerm(379)\x1b\\\x1b[6;16;8t\x1b[?62;4;22c?");
    pty.wait_for_text("remove from the list");
    pty.type_bytes(b"?");
    pty.wait_until("two sixel images", |pty| {
        count_occurrences(pty.raw(), b"\x1bP") >= 2
    });
    pty.type_bytes(b"q");
    pty.wait_until("the exit", |pty| pty.code() == Some(0));
    assert_eq!(count_occurrences(pty.raw(), CELL_SIZE_QUERY), 1);
}
