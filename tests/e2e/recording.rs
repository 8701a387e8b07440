//! The recording in the README: the real program in a pseudo-terminal, as an animated SVG.
//!
//! ```text
//! cargo test --release --locked --test e2e recording:: -- --ignored
//! ```
//!
//! This writes `assets/demo.svg` within a minute and needs `ffmpeg` on the PATH for the previews.
//! The demo is seeded, so only the times differ between runs.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use crate::support::pty::{KIETOP, Pty, PtyLaunch};
use crate::support::svg::Recording;

const SVG_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/demo.svg");
const MAX_SIZE: usize = 400_000;
const COMMAND: &str = "cargo test --release --locked --test e2e recording:: -- --ignored";

const TITLE: &str = concat!("kietop ", env!("CARGO_PKG_VERSION"), " in a terminal");
const DESCRIPTION: &str = "A list of video tasks. Two task ids are pasted and added. One task \
    finishes, its result is saved, and a frame of the input is shown beside one of the result.";

/// The minimum height at this width for previews in the full-screen details.
const SCREEN: (u16, u16) = (90, 29);
const TASKS: &str = "8";
/// In this demo, no other task finishes together with the pasted one, and no request fails before.
const DEMO_ARGS: [&str; 6] = ["--tasks", TASKS, "--seed", "186", "--speed", "15"];
/// The label of a task that is in every demo.
const KNOWN_LABEL: &str = "hero loop";

/// Returns the ids that the demo's server knows but that are not on its list.
fn spare_ids() -> Vec<String> {
    let mut simulator = Command::new(KIETOP)
        .arg("simulate")
        .args(DEMO_ARGS)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The address is printed first, then the ids on the list, then four more.
    let lines = BufReader::new(simulator.stdout.take().unwrap()).lines();
    let on_list: usize = TASKS.parse().unwrap();
    let ids = lines.skip(1 + on_list).take(4);
    let ids = ids.collect::<Result<_, _>>().unwrap();
    simulator.kill().unwrap();
    simulator.wait().unwrap();
    ids
}

/// Starts the demo and waits until every task has been checked.
fn start_demo(home: &Path) -> Pty {
    fs::create_dir(home.join("kietop")).unwrap();
    let config = "theme = \"dark\"\npreview = \"halfblocks\"\n";
    fs::write(home.join("kietop/config.toml"), config).unwrap();
    let mut launch = PtyLaunch::new(KIETOP)
        .args(["demo"])
        .args(DEMO_ARGS)
        .home(home)
        .env("XDG_CONFIG_HOME", &home.to_string_lossy())
        .env("TZ", "UTC")
        .size(SCREEN.0, SCREEN.1);
    for name in ["LC_ALL", "NO_COLOR", "XDG_VIDEOS_DIR", "XDG_CACHE_HOME"] {
        launch = launch.env(name, "");
    }
    let mut pty = launch.spawn();
    pty.wait_for("a check of every task", |screen| {
        let lines = lines(screen);
        let is_new = |line: &String| line.chars().nth(2) == Some('·');
        is_list(screen) && !lines.iter().any(is_new)
    });
    pty
}

/// Pastes the output of a script: task ids, and a key that is skipped.
fn paste(pty: &mut Pty, ids: &[&str]) {
    let mut text = String::from("Authorization: Bearer 9c0de1aa5b7f4e12a3d4c5b6e7f80912\r");
    for id in ids {
        text.extend(["{\"taskId\":\"", id, "\"}\r"]);
    }
    pty.type_bytes(format!("\x1b[200~{text}\x1b[201~").as_bytes());
    for id in ids {
        pty.wait_for_text(id);
    }
    settle(pty);
}

/// Waits until the screen has been updated after a key.
fn settle(pty: &mut Pty) {
    pty.read_for(Duration::from_millis(300));
}

fn lines(screen: &vt100::Screen) -> Vec<String> {
    screen.contents().lines().map(str::to_owned).collect()
}

/// Returns the row of the selected task.
fn selected_row(screen: &vt100::Screen) -> String {
    let row = lines(screen).into_iter().find(|line| line.starts_with('>'));
    row.unwrap_or_default()
}

fn message(screen: &vt100::Screen) -> String {
    lines(screen).swap_remove(usize::from(SCREEN.1) - 2)
}

/// Reports whether the list is shown, not the full-screen details of another task.
fn is_list(screen: &vt100::Screen) -> bool {
    screen.contents().contains(KNOWN_LABEL)
}

fn is_finished(row: &str) -> bool {
    row.contains('✓')
}

#[test]
#[ignore = "writes assets/demo.svg and needs ffmpeg; see the head of this file"]
fn the_demo_is_recorded() {
    let ffmpeg = Command::new("ffmpeg").arg("-version").output();
    assert!(
        ffmpeg.is_ok_and(|output| output.status.success()),
        "the previews of input and result need ffmpeg on the PATH"
    );
    let home = tempfile::tempdir().unwrap();
    let ids = spare_ids();
    // The first and the third succeed in every demo.
    let (selected_id, other_id) = (ids[0].as_str(), ids[2].as_str());
    let mut recording = Recording::new(SCREEN);

    let mut pty = start_demo(home.path());
    settle(&mut pty);
    recording.add(pty.screen(), 2.5);

    paste(&mut pty, &[selected_id, other_id]);
    recording.add(pty.screen(), 3.0);
    pty.type_bytes(b"\r");
    pty.wait_for("the pasted task selected and checked", |screen| {
        let text = screen.contents();
        !text.contains('┌') && text.contains(selected_id) && selected_row(screen).contains('▒')
    });
    settle(&mut pty);
    recording.add(pty.screen(), 2.0);

    while !is_finished(&selected_row(pty.screen())) {
        pty.read_for(Duration::from_millis(1_500));
        recording.add(pty.screen(), 0.8);
    }
    // The details below the list have the id on their border and the title below it.
    let lines = lines(pty.screen());
    let mut details = lines.iter().skip_while(|line| !line.contains(selected_id));
    let title: String = details.nth(1).unwrap().chars().skip(1).take(16).collect();
    pty.wait_for("the message that it is finished", |screen| {
        message(screen).contains(&title)
    });
    settle(&mut pty);
    recording.add(pty.screen(), 3.0);

    pty.type_bytes(b"\r");
    pty.wait_for("the full-screen details", |screen| !is_list(screen));
    settle(&mut pty);
    assert!(pty.screen().contents().contains(selected_id));
    recording.add(pty.screen(), 2.0);
    pty.type_bytes(b"w");
    pty.wait_for("both previews", |screen| {
        screen.contents().matches(['▀', '▄']).count() > 500
    });
    settle(&mut pty);
    recording.add(pty.screen(), 4.5);

    // Below the list, the details of a saved task name a folder of this machine.
    pty.type_bytes(b"\x1b");
    pty.wait_for("the list", is_list);
    while !selected_row(pty.screen()).contains(KNOWN_LABEL) {
        pty.type_bytes(b"j");
        settle(&mut pty);
    }
    recording.add(pty.screen(), 2.0);
    pty.quit();

    fs::write(SVG_PATH, recording.to_svg(TITLE, DESCRIPTION)).unwrap();
}

#[test]
fn the_picture_is_a_small_well_formed_image_of_this_version() {
    let svg = fs::read_to_string(SVG_PATH).unwrap();

    assert!(svg.len() < MAX_SIZE, "{} bytes", svg.len());
    assert!(
        svg.contains(&format!("<title>{TITLE}</title>")),
        "recorded with another version: {COMMAND}"
    );
    assert!(!svg.contains("<script") && !svg.contains("http://www.w3.org/1999"));
    let mut open = Vec::new();
    for part in svg.split('<').skip(1) {
        let (tag, text) = part.split_once('>').unwrap();
        for entity in text.split('&').skip(1) {
            let is_known = ["amp;", "lt;", "gt;"].map(|known| entity.starts_with(known));
            assert!(is_known.contains(&true), "{text}");
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name));
            continue;
        }
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        let names: Vec<_> = attributes.split('"').step_by(2).collect();
        let distinct: BTreeSet<_> = names.iter().map(|name| name.trim()).collect();
        assert_eq!(distinct.len(), names.len(), "{tag}");
        if !tag.ends_with('/') {
            open.push(name);
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

/// Returns the words of a text or SVG fragment in order; a tag ends a word.
fn words(text: &str) -> Vec<String> {
    let words = text.split('<').flat_map(|part| {
        let text = part.rsplit('>').next().unwrap_or_default();
        text.split(|c: char| !c.is_alphabetic())
    });
    let words = words.filter(|word| word.chars().count() > 2);
    words.map(str::to_owned).collect()
}

#[test]
fn the_picture_shows_the_screens_of_today() {
    let svg = fs::read_to_string(SVG_PATH).unwrap();
    // The file begins with the rows of the first screen.
    let recorded: Vec<_> = svg.split("<g id=").skip(1).map(words).collect();
    let home = tempfile::tempdir().unwrap();
    let mut pty = start_demo(home.path());
    let ids = spare_ids();

    let what = format!("tabs and column titles as in assets/demo.svg; if they changed: {COMMAND}");
    pty.wait_for(&what, |screen| {
        let lines = lines(screen);
        (1..3).all(|y| lines.get(y).map(|line| words(line)) == recorded.get(y).cloned())
    });
    // A ready task has the same key hints as the recorded one.
    pty.type_bytes(b"G");
    settle(&mut pty);
    let mut current = lines(pty.screen()).split_off(usize::from(SCREEN.1) - 1);
    paste(&mut pty, &[&ids[0], &ids[2]]);
    let is_dialog_line = |line: &String| line.starts_with(['┌', '│']);
    current.extend(lines(pty.screen()).into_iter().filter(is_dialog_line));
    pty.type_bytes(b"\x1b");
    pty.wait_for_no_text(&ids[0]);
    pty.type_bytes(b"\r");
    pty.wait_for("the full-screen details", |screen| !is_list(screen));
    settle(&mut pty);
    let details = lines(pty.screen());
    current.extend([&details[2], &details[usize::from(SCREEN.1) - 1]].map(String::clone));
    pty.quit();

    let recorded: BTreeSet<_> = recorded.concat().into_iter().collect();
    let missing: Vec<_> = current
        .iter()
        .flat_map(|line| words(line))
        .filter(|word| !recorded.contains(word))
        .collect();
    assert!(
        missing.is_empty(),
        "not in assets/demo.svg: {missing:?}; {COMMAND}"
    );
}
