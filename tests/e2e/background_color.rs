//! Detection of the terminal's background: queried only without a configured theme, never waited
//! for, and a reply is never read as a key.

use std::{fs, path::Path};

use vt100::{Color, Screen};

use crate::support::{
    pty::{Pty, PtyLaunch, add_tasks, count_occurrences, run_kietop},
    test_home::NOWHERE,
};

const COLOR_QUERY: &str = "\x1b]11;?\x1b\\";
const LIGHT_REPLY: &[u8] = b"\x1b]11;rgb:ffff/ffff/dddd\x1b\\";
const DARK_REPLY: &[u8] = b"\x1b]11;rgb:0000/0000/0000\x07";

/// The accent of the theme `light`, in RGB and in 256 colours.
const LIGHT_ACCENT_RGB: Color = Color::Rgb(0x0b, 0x3f, 0xae);
const LIGHT_ACCENT_256: Color = Color::Idx(25);
/// The accent in the terminal's own colours.
const ANSI_ACCENT: Color = Color::Idx(12);

/// Adds three tasks and starts the dashboard.
fn start_with_three_tasks(home: &Path, env_vars: &[(&str, &str)]) -> Pty {
    add_tasks(home, 3);
    let mut launch = PtyLaunch::dashboard(home, NOWHERE)
        .env("NO_COLOR", "")
        .env("COLORTERM", "truecolor")
        .size(120, 36);
    for (name, value) in env_vars {
        launch = launch.env(name, value);
    }
    let mut pty = launch.spawn();
    // The first frame and the list do not wait for a reply.
    pty.wait_for_text("No API key");
    pty
}

fn count_queries(pty: &Pty) -> usize {
    count_occurrences(pty.raw(), COLOR_QUERY)
}

/// Reports whether the program's name in the header has this colour.
fn uses_color(screen: &Screen, colour: Color) -> bool {
    screen
        .cell(0, 1)
        .is_some_and(|cell| cell.contents() == "k" && cell.fgcolor() == colour)
}

#[track_caller]
fn wait_for_color(pty: &mut Pty, colour: Color) {
    pty.wait_for("the other colours", |screen| uses_color(screen, colour));
}

/// Opens and closes the help, quits, and checks that all tasks are still on the list.
fn quit(mut pty: Pty, home: &Path) {
    pty.type_bytes(b"?");
    pty.wait_for_text("remove from the list");
    pty.type_bytes(b"?");
    pty.wait_for_no_text("remove from the list");
    pty.quit();
    let listed = run_kietop(home, &["list", "--json"]);
    assert_eq!(listed.matches("\"taskId\"").count(), 3);
}

#[test]
fn a_light_background_darkens_the_colours() {
    for (depth, accent) in [("truecolor", LIGHT_ACCENT_RGB), ("", LIGHT_ACCENT_256)] {
        let home = tempfile::tempdir().unwrap();
        let mut pty = start_with_three_tasks(home.path(), &[("COLORTERM", depth)]);
        assert!(uses_color(pty.screen(), ANSI_ACCENT));

        pty.type_bytes(LIGHT_REPLY);
        wait_for_color(&mut pty, accent);
        assert!(pty.screen().contents().contains("No API key"));
        assert_eq!(count_queries(&pty), 1);
        quit(pty, home.path());
    }
}

#[test]
fn a_dark_or_unknown_background_changes_nothing() {
    for reply in [DARK_REPLY, b"", b"\x1b[?62;22c", b"\x1b]11;?\x07"] {
        let home = tempfile::tempdir().unwrap();
        let mut pty = start_with_three_tasks(home.path(), &[]);
        pty.type_bytes(reply);
        pty.type_bytes(b"?");
        pty.wait_for_text("remove from the list");
        pty.type_bytes(b"?");
        pty.wait_for("the unchanged list", |screen| {
            screen.contents().contains("No API key") && uses_color(screen, ANSI_ACCENT)
        });
        quit(pty, home.path());
    }
}

#[test]
fn chosen_or_few_colours_send_no_query() {
    let home = tempfile::tempdir().unwrap();
    for env_vars in [
        &[("NO_COLOR", "1")][..],
        &[("TERM", "linux"), ("COLORTERM", "")],
    ] {
        let mut pty = start_with_three_tasks(home.path(), env_vars);
        pty.type_bytes(LIGHT_REPLY);
        quit_without_query(pty, home.path());
    }
    let folder = home.path().join(".config/kietop");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.toml"), "theme = \"dark\"\n").unwrap();
    let mut pty = start_with_three_tasks(home.path(), &[]);
    pty.type_bytes(LIGHT_REPLY);
    quit_without_query(pty, home.path());
}

fn quit_without_query(pty: Pty, home: &Path) {
    assert_eq!(count_queries(&pty), 0);
    assert!(!uses_color(pty.screen(), LIGHT_ACCENT_RGB));
    quit(pty, home);
}

#[test]
fn a_late_reply_counts_once() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = start_with_three_tasks(home.path(), &[]);
    pty.type_bytes(b"/");
    pty.wait_for_text("Enter apply");
    pty.type_bytes(LIGHT_REPLY);
    wait_for_color(&mut pty, LIGHT_ACCENT_RGB);
    pty.type_bytes(DARK_REPLY);
    pty.type_bytes(b"\x1b");
    pty.wait_for_no_text("Enter apply");
    assert!(
        uses_color(pty.screen(), LIGHT_ACCENT_RGB),
        "no second query was sent"
    );
    quit(pty, home.path());
}

#[test]
fn a_fragmented_reply_is_not_a_key() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = start_with_three_tasks(home.path(), &[]);
    for chunk in b"\x1b]11;rgb:dddd/dddd/dddd\x1b\\".chunks(1) {
        pty.type_bytes(chunk);
        // Each byte is read separately.
        pty.read_for(std::time::Duration::from_millis(20));
    }
    wait_for_color(&mut pty, LIGHT_ACCENT_RGB);
    quit(pty, home.path());
}

#[test]
fn reply_lookalikes_press_no_keys() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = start_with_three_tasks(home.path(), &[]);
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
    assert!(!uses_color(pty.screen(), LIGHT_ACCENT_RGB));
    pty.type_bytes(b"?");
    pty.wait_for_text("No API key");
    quit(pty, home.path());
}

#[test]
fn background_changes_are_followed() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = start_with_three_tasks(home.path(), &[]);
    pty.type_bytes(DARK_REPLY);
    for (round, (notification, reply, colour)) in [
        (b"\x1b[?997;2n", LIGHT_REPLY, LIGHT_ACCENT_RGB),
        (b"\x1b[?997;1n", DARK_REPLY, ANSI_ACCENT),
    ]
    .into_iter()
    .enumerate()
    {
        pty.type_bytes(notification);
        pty.wait_until("the query", |pty| count_queries(pty) == round + 2);
        pty.type_bytes(reply);
        wait_for_color(&mut pty, colour);
    }
    quit(pty, home.path());
}
