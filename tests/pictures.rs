//! Pictures as the core sees them: when they are ordered, how they end, and the room the screen leaves for them.

#![expect(
    clippy::unwrap_used,
    reason = "test code: what is not as expected is to fail loudly"
)]

#[expect(dead_code, reason = "this file needs a part of the harness")]
#[path = "support/pty.rs"]
mod pty;
mod support;

use std::{env, fs, os::unix::fs::PermissionsExt as _, path::Path};

use kietop::{
    app::{
        msg::{Effect, Msg},
        state::{PictureStage, State},
        update::update,
    },
    domain::{
        picture::{PictureError, PictureNumber, PictureOrder, Preview, Room},
        watched::Watched,
    },
    ui::{self, Drawn, theme::Theme},
};
use pty::{Launch, Pty};
use ratatui::{Terminal, backend::TestBackend};
use support::{id, now, press, program, resize, task};

/// The end of what the terminal is asked.
const QUESTION: &[u8] = b"\x1b[16t\x1b[c";

const ROOM: Room = Room {
    width: 20,
    height: 6,
};

/// Returns a task whose result is on the disk.
fn saved(name: &str) -> Watched {
    let ready = task(name).ready("5m").created("14:00");
    let mut watched = ready.source("https://ex.com/in.mp4").build();
    watched.saves.add(1, format!("/saved/{name}.mp4").into());
    watched
}

/// Returns a program with two saved tasks and one that is only ready.
fn three(preview: Preview) -> State {
    let mut state = program()
        .set(|settings| settings.preview = preview)
        .loading()
        .build();
    let ready = task("c").ready("5m").created("13:00");
    let tasks = vec![saved("a"), saved("b"), ready.build()];
    update(&mut state, Msg::Loaded(Ok(tasks)), now());
    state
}

fn measured(state: &mut State, room: Option<Room>) -> Vec<PictureOrder> {
    let msg = Msg::Measured {
        most_scroll: 0,
        room,
    };
    orders(update(state, msg, now()))
}

fn orders(effects: Vec<Effect>) -> Vec<PictureOrder> {
    let of = |effect| {
        let Effect::Picture(order) = effect else {
            return None;
        };
        Some(*order)
    };
    effects.into_iter().filter_map(of).collect()
}

fn ended(
    state: &mut State,
    number: PictureNumber,
    result: Result<(), PictureError>,
) -> Vec<PictureOrder> {
    orders(update(state, Msg::Pictured { number, result }, now()))
}

fn stage(state: &State) -> Option<PictureStage> {
    state.picture().map(|picture| picture.stage)
}

#[test]
fn pictures_are_ordered_once_where_there_is_room() {
    let mut state = three(Preview::Auto);
    assert_eq!(orders(press(&mut state, &["G", "g"])), [], "no room yet");

    let [order] = &measured(&mut state, Some(ROOM))[..] else {
        panic!("one order")
    };
    assert_eq!((&order.task, order.room), (&id("a"), ROOM));
    assert_eq!(order.result.to_str(), Some("/saved/a.mp4"));
    assert_eq!(order.input_link().as_str(), "https://ex.com/in.mp4");
    assert_eq!(stage(&state), Some(PictureStage::Reading));
    assert_eq!(ended(&mut state, order.number, Ok(())), []);
    assert_eq!(stage(&state), Some(PictureStage::Shown));
    assert_eq!(orders(update(&mut state, Msg::Tick, now())), []);

    let larger = Room { width: 30, ..ROOM };
    assert_eq!(measured(&mut state, Some(larger)).len(), 1);
    assert_eq!(measured(&mut state, None), []);
}

#[test]
fn while_one_pair_is_read_no_other_is_and_late_ones_are_not_taken_for_others() {
    let mut state = three(Preview::Auto);
    let first = measured(&mut state, Some(ROOM)).pop().unwrap();

    assert_eq!(
        press(&mut state, &["j"]).first(),
        Some(&Effect::StopPicture(first.number)),
        "nobody sees it any more"
    );
    assert_eq!(stage(&state), None, "those of another task");
    // It was made just before.
    let second = ended(&mut state, first.number, Ok(())).pop().unwrap();
    assert_eq!(second.task, id("b"));
    assert_eq!(ended(&mut state, first.number, Ok(())), []);
    assert_eq!(stage(&state), Some(PictureStage::Reading));
    ended(&mut state, second.number, Ok(()));
    assert_eq!(stage(&state), Some(PictureStage::Shown));

    assert_eq!(orders(press(&mut state, &["j"])), [], "nothing saved");
    assert!(!state.wants_picture());
}

#[test]
fn what_is_passed_over_is_stopped_once_and_ordered_again_when_it_is_seen_again() {
    let mut state = three(Preview::Auto);
    let first = measured(&mut state, Some(ROOM)).pop().unwrap();
    let stops = |effects: Vec<Effect>| {
        let is_stop = |effect: &&Effect| matches!(effect, Effect::StopPicture(_));
        effects.iter().filter(is_stop).count()
    };
    // The window grows: what is read now is as good for the larger room.
    let larger = Room { width: 30, ..ROOM };
    let (most_scroll, room) = (0, Some(larger));
    assert_eq!(
        stops(update(
            &mut state,
            Msg::Measured { most_scroll, room },
            now()
        )),
        0
    );
    assert_eq!(stops(press(&mut state, &["?", "?"])), 0, "a box over it");

    // Down, past a task without a picture, and up again, before the answer.
    assert_eq!(stops(press(&mut state, &["j", "j", "k", "k"])), 1);
    assert_eq!(stage(&state), Some(PictureStage::Stopping));
    let again = ended(&mut state, first.number, Err(PictureError::Stopped));
    let [again] = &again[..] else {
        panic!("{again:?}")
    };
    assert_eq!((&again.task, again.room), (&id("a"), larger));
    assert_eq!(stage(&state), Some(PictureStage::Reading));
    assert_eq!(state.picture_error(), None);

    assert_eq!(stops(press(&mut state, &["G"])), 1);
    assert_eq!(
        ended(&mut state, again.number, Err(PictureError::Stopped)),
        []
    );
    assert_eq!(orders(press(&mut state, &["g"])).len(), 1);
}

#[test]
fn failures_are_said_not_repeated_and_tried_again_at_a_key() {
    let mut state = three(Preview::Auto);
    let order = measured(&mut state, Some(ROOM)).pop().unwrap();
    ended(&mut state, order.number, Err(PictureError::Refused));
    assert_eq!(state.picture_error(), Some(PictureError::Refused));
    assert_eq!(orders(update(&mut state, Msg::Tick, now())), []);
    assert!(!state.wants_picture());

    let other = orders(press(&mut state, &["j"])).pop().unwrap();
    ended(&mut state, other.number, Err(PictureError::NoFfmpeg));
    assert_eq!(orders(press(&mut state, &["k"])), [], "the same everywhere");
    assert_eq!(state.picture_error(), Some(PictureError::NoFfmpeg));

    assert_eq!(orders(press(&mut state, &["Ctrl-L"])).len(), 1);
}

#[test]
fn nothing_is_ordered_below_a_box_or_when_it_is_off() {
    let mut state = three(Preview::Auto);
    press(&mut state, &["?"]);
    assert_eq!(measured(&mut state, Some(ROOM)), []);
    assert_eq!(orders(press(&mut state, &["?"])).len(), 1);

    let mut state = three(Preview::Off);
    assert_eq!(measured(&mut state, Some(ROOM)), []);
    assert_eq!(state.picture_error(), None);
}

fn drawn(state: &State) -> (Drawn, String) {
    let size = state.size();
    let mut terminal = Terminal::new(TestBackend::new(size.width, size.height)).unwrap();
    let mut drawn = Drawn::default();
    terminal
        .draw(|frame| drawn = ui::draw(frame, state, now(), &Theme::monochrome()))
        .unwrap();
    (drawn, terminal.backend().to_string())
}

#[test]
fn room_is_left_where_there_is_enough_and_only_for_pictures_that_may_come() {
    let mut state = three(Preview::Auto);
    for (size, keys, has_room) in [
        ((120, 36), &[][..], true),
        ((200, 50), &[], true),
        ((80, 24), &[], false),
        ((120, 20), &[], false),
        ((80, 40), &["Enter"], true),
        ((44, 26), &["Enter"], true),
        ((40, 20), &["Enter"], false),
        ((120, 36), &["Enter", "l"], false),
    ] {
        press(&mut state, &["Esc"]);
        resize(&mut state, size);
        press(&mut state, keys);
        let (drawn, screen) = drawn(&state);
        assert_eq!(
            drawn.room.is_some(),
            has_room,
            "{size:?} {keys:?}\n{screen}"
        );
        let Some(place) = drawn.picture else { continue };
        let room = drawn.room.unwrap();
        for area in [place.input, place.result] {
            assert_eq!((area.width, area.height), (room.width, room.height));
            assert!(area.right() < size.0 && area.bottom() < size.1, "{area:?}");
        }
        assert!(place.input.right() < place.result.x);
        let above = usize::from(place.input.y) - 1;
        let names = screen.lines().nth(above).unwrap();
        assert!(
            names.contains("input") && names.contains("result"),
            "{screen}"
        );
    }

    press(&mut state, &["Esc"]);
    resize(&mut state, (120, 36));
    press(&mut state, &["?"]);
    let (under, _) = drawn(&state);
    assert!(
        under.room.is_some() && under.picture.is_none(),
        "hidden by a box"
    );
    press(&mut state, &["Esc"]);

    let order = measured(&mut state, Some(ROOM)).pop().unwrap();
    assert!(drawn(&state).1.contains("reading"));
    ended(&mut state, order.number, Err(PictureError::NoFfmpeg));
    let (failed, screen) = drawn(&state);
    assert_eq!((failed.room, failed.picture), (None, None));
    assert!(screen.contains("install ffmpeg to see input"), "{screen}");
}

/// Counts how often bytes occur among others.
fn count(all: &[u8], one: &[u8]) -> usize {
    all.windows(one.len()).filter(|part| *part == one).count()
}

/// Starts a demo in which this script is ffmpeg, and saves its first result.
fn saving(home: &Path, script: &str) -> Pty {
    let program = home.join("ffmpeg");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let path = env::var("PATH").unwrap();
    let folder = home.to_string_lossy();
    let mut launch = Launch::new(env!("CARGO_BIN_EXE_kietop"))
        .args(["demo"])
        .env("HOME", &folder)
        .env("XDG_CONFIG_HOME", &folder)
        .env("PATH", &format!("{folder}:{path}"))
        .env("LANG", "C.UTF-8")
        .size(120, 36);
    // The test itself may run in tmux or over SSH, where nothing would be shown.
    for between in ["SSH_CONNECTION", "SSH_TTY", "TMUX", "STY", "NO_COLOR"] {
        launch = launch.env(between, "");
    }
    let mut pty = launch.spawn();
    pty.wait_for_text("\"hero loop\" is ready.");
    pty.type_bytes(b"3");
    pty.wait_for_text("[Ready");
    assert_eq!(count(pty.raw(), QUESTION), 0, "nothing is shown yet");
    pty.type_bytes(b"gw");
    pty
}

#[test]
fn a_picture_under_way_dies_with_the_program() {
    let home = tempfile::tempdir().unwrap();
    let mark = format!("34.{}", std::process::id());
    let hangs = || {
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let mut lines = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
        lines.any(|line| count(&line, mark.as_bytes()) > 0)
    };
    let mut pty = saving(home.path(), &format!("sleep {mark}"));
    pty.wait_until("ffmpeg", |_| hangs());

    pty.type_bytes(b"q");

    pty.wait_until("the end", |pty| pty.code() == Some(0));
    pty.wait_until("the end of ffmpeg", |_| !hangs());
}

#[test]
fn the_terminal_is_asked_only_for_a_picture_and_no_key_beside_its_answer_is_lost() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = saving(home.path(), r"printf 'P6\n2 1\n255\nABCDEF'");
    pty.wait_until("a question", |pty| count(pty.raw(), QUESTION) == 1);

    pty.type_bytes(b"\x1bP>|XTerm(379)\x1b\\\x1b[6;16;8t\x1b[?62;4;22c?");
    pty.wait_for_text("stop watching the task");
    pty.type_bytes(b"?");
    pty.wait_until("two sixel pictures", |pty| count(pty.raw(), b"\x1bP") >= 2);
    pty.type_bytes(b"q");
    pty.wait_until("the end", |pty| pty.code() == Some(0));
    assert_eq!(count(pty.raw(), QUESTION), 1);
}
