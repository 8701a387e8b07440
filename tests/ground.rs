//! The ground of the terminal: asked for when nobody chose the colours, never waited for, never a key.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{fs, path::Path, process::Command};

#[expect(dead_code, reason = "this file needs a part of the harness")]
#[path = "support/pty.rs"]
mod pty;

use pty::{Launch, Pty};
use vt100::{Color, Screen};

const KIETOP: &str = env!("CARGO_BIN_EXE_kietop");
const QUESTION: &[u8] = b"\x1b]11;?\x1b\\";
const LIGHT: &[u8] = b"\x1b]11;rgb:ffff/ffff/dddd\x1b\\";
const DARK: &[u8] = b"\x1b]11;rgb:0000/0000/0000\x07";

/// The accent of the theme `light`, exact and of the 256.
const EXACT: Color = Color::Rgb(0x0b, 0x3f, 0xae);
const NEAREST: Color = Color::Idx(25);
/// The accent of the terminal's own colours.
const OWN: Color = Color::Idx(12);

/// Puts three tasks on the list and opens it.
fn watching_three(home: &Path, environment: &[(&str, &str)]) -> Pty {
    let ids: Vec<_> = (1..=3).map(|n| format!("{n:032x}")).collect();
    let added = Command::new(KIETOP)
        .arg("add")
        .args(ids)
        .env("HOME", home)
        .output();
    assert!(added.unwrap().status.success());
    let mut launch = Launch::new(KIETOP)
        .args(["--api-url", "http://127.0.0.1:9"])
        .env("HOME", &home.to_string_lossy())
        .env("LANG", "C.UTF-8")
        .env("NO_COLOR", "")
        .env("COLORTERM", "truecolor")
        .size(120, 36);
    for (name, value) in environment {
        launch = launch.env(name, value);
    }
    let mut pty = launch.spawn();
    // The first frame and the list come without any answer.
    pty.wait_for_text("API key is set");
    pty
}

fn questions(pty: &Pty) -> usize {
    let parts = pty.raw().windows(QUESTION.len());
    parts.filter(|part| *part == QUESTION).count()
}

/// Reports whether the name in the corner has that colour.
fn is_drawn_in(screen: &Screen, colour: Color) -> bool {
    screen
        .cell(0, 1)
        .is_some_and(|cell| cell.contents() == "k" && cell.fgcolor() == colour)
}

/// Sees the program answer to keys and leaves it: no task is gone.
fn leave(mut pty: Pty, home: &Path) {
    pty.type_bytes(b"?");
    pty.wait_for_text("remove from the list");
    pty.type_bytes(b"?");
    pty.wait_for("the help gone", |screen| {
        !screen.contents().contains("remove from the list")
    });
    pty.type_bytes(b"q");
    let ended = pty.end();
    assert_eq!(ended.code, 0);
    assert_eq!(ended.modes_after, ended.modes_before);
    let listed = Command::new(KIETOP)
        .args(["list", "--json"])
        .env("HOME", home)
        .output();
    let listed = String::from_utf8(listed.unwrap().stdout).unwrap();
    assert_eq!(listed.matches("\"taskId\"").count(), 3);
}

#[test]
fn on_a_light_ground_the_colours_are_darker_and_the_text_stays() {
    for (depth, accent) in [("truecolor", EXACT), ("", NEAREST)] {
        let home = tempfile::tempdir().unwrap();
        let mut pty = watching_three(home.path(), &[("COLORTERM", depth)]);
        assert!(is_drawn_in(pty.screen(), OWN));

        pty.type_bytes(LIGHT);
        pty.wait_for("the darker colours", |screen| is_drawn_in(screen, accent));
        assert!(pty.screen().contents().contains("API key is set"));
        assert_eq!(questions(&pty), 1);
        leave(pty, home.path());
    }
}

#[test]
fn a_dark_ground_and_no_answer_change_nothing() {
    for answer in [DARK, b"", b"\x1b[?62;22c", b"\x1b]11;?\x07"] {
        let home = tempfile::tempdir().unwrap();
        let mut pty = watching_three(home.path(), &[]);
        pty.type_bytes(answer);
        pty.type_bytes(b"?");
        pty.wait_for_text("remove from the list");
        pty.type_bytes(b"?");
        pty.wait_for("the list, as it was", |screen| {
            screen.contents().contains("API key is set") && is_drawn_in(screen, OWN)
        });
        leave(pty, home.path());
    }
}

#[test]
fn who_chose_the_colours_or_has_too_few_is_not_asked() {
    let home = tempfile::tempdir().unwrap();
    for environment in [
        &[("NO_COLOR", "1")][..],
        &[("TERM", "linux"), ("COLORTERM", "")],
    ] {
        let mut pty = watching_three(home.path(), environment);
        pty.type_bytes(LIGHT);
        leave_unasked(pty, home.path());
    }
    let folder = home.path().join(".config/kietop");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.toml"), "theme = \"dark\"\n").unwrap();
    let mut pty = watching_three(home.path(), &[]);
    pty.type_bytes(LIGHT);
    leave_unasked(pty, home.path());
}

fn leave_unasked(pty: Pty, home: &Path) {
    assert_eq!(questions(&pty), 0);
    assert!(!is_drawn_in(pty.screen(), EXACT));
    leave(pty, home);
}

#[test]
fn a_late_answer_counts_in_whatever_place_and_only_once() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = watching_three(home.path(), &[]);
    pty.type_bytes(b"/");
    pty.wait_for_text("Enter keep");
    pty.type_bytes(LIGHT);
    pty.wait_for("the darker colours", |screen| is_drawn_in(screen, EXACT));
    pty.type_bytes(DARK);
    pty.type_bytes(b"\x1b");
    pty.wait_for("the filter's line gone", |screen| {
        !screen.contents().contains("Enter keep")
    });
    assert!(is_drawn_in(pty.screen(), EXACT), "nobody asked again");
    leave(pty, home.path());
}

#[test]
fn an_answer_that_comes_in_pieces_is_no_key() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = watching_three(home.path(), &[]);
    for piece in b"\x1b]11;rgb:dddd/dddd/dddd\x1b\\".chunks(1) {
        pty.type_bytes(piece);
        // Each is read by itself.
        pty.watch_for(std::time::Duration::from_millis(20));
    }
    pty.wait_for("the darker colours", |screen| is_drawn_in(screen, EXACT));
    leave(pty, home.path());
}

#[test]
fn what_only_looks_like_an_answer_presses_nothing() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = watching_three(home.path(), &[]);
    let long = format!("\x1b]11;rgb:{}\x07", "d".repeat(5000));
    for attack in [
        "\x1b]11;rgb:dd/dd/dd/dd/dd\x07",
        "\x1b]11;d\rq\x07",
        "\x1b]11;rgb:dd/dd/\x1b]11;q\x1b\\",
        "\x1b]11;rgb:dd/dd/dd\x1b[Ad\x07",
        "\x1b]11;\x1b[200~d\x1b[201~\x1b\\",
        "\x1b]4;1;rgb:dd/dd/dd\x07",
        &long,
        "\x1b[?997;9n\x1b[?997;2;1n",
    ] {
        pty.type_bytes(attack.as_bytes());
    }
    pty.type_bytes(b"?");
    pty.wait_for_text("remove from the list");
    assert!(!is_drawn_in(pty.screen(), EXACT));
    pty.type_bytes(b"?");
    pty.wait_for_text("API key is set");
    leave(pty, home.path());
}

#[test]
fn a_terminal_that_goes_light_and_dark_is_followed() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = watching_three(home.path(), &[]);
    pty.type_bytes(DARK);
    for (round, (notice, answer, colour)) in [
        (b"\x1b[?997;2n", LIGHT, EXACT),
        (b"\x1b[?997;1n", DARK, OWN),
    ]
    .into_iter()
    .enumerate()
    {
        pty.type_bytes(notice);
        pty.wait_until("the question", |pty| questions(pty) == round + 2);
        pty.type_bytes(answer);
        pty.wait_for("the other colours", |screen| is_drawn_in(screen, colour));
    }
    leave(pty, home.path());
}
