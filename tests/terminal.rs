//! The terminal is given back after every kind of end, and a vanished one ends the program.
//!
//! The program under test is this file's own binary, started again in a pseudo-terminal: see
//! `program`. `KIETOP_ROUNDS` raises how often each case is repeated (default 3).

#[path = "support/guard_probe.rs"]
mod guard_probe;
#[expect(dead_code, reason = "this file needs a part of the harness")]
#[path = "support/pty.rs"]
mod pty;

use std::path::PathBuf;

use kietop::runtime::terminal::SIGNAL_EXIT_BASE;
use pty::{Ended, Launch, Pty};
use rustix::process::Signal;
use rustix::termios::LocalModes;

/// The test whose name the re-executed binary is told to run.
const PROBE_TEST: &str = "quits_by_key_and_gives_the_terminal_back";

/// Draws only when something happened.
const IDLE: &str = "idle";
/// Takes no screen and panics.
const FALLING: &str = "falling";
/// Draws another screen every few milliseconds.
const DRAWING: &str = "drawing";

const DEADLY: [Signal; 4] = [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT];

#[test]
fn quits_by_key_and_gives_the_terminal_back() {
    if let Ok(pace) = std::env::var(guard_probe::PACE) {
        if pace == FALLING {
            guard_probe::fall_over();
        }
        guard_probe::run(pace == DRAWING);
    }

    for pace in paces() {
        let mut pty = start(pace);
        assert_ne!(pty.modes(), pty.modes_before(), "raw while it runs");
        pty.type_bytes(b"q");
        let ended = pty.end();

        assert_eq!(ended.code, 0);
        assert_given_back(&ended);
    }
}

#[test]
fn deadly_signals_give_the_terminal_back() {
    for signal in DEADLY {
        for pace in paces() {
            let pty = start(pace);
            pty.signal(signal);
            let ended = pty.end();

            assert_eq!(ended.code, code_of(signal), "{signal:?} {pace}");
            assert_given_back(&ended);
        }
    }
}

#[test]
fn a_signal_while_leaving_changes_nothing() {
    for pace in paces() {
        let mut pty = start(pace);
        pty.type_bytes(b"q");
        pty.signal(Signal::TERM);
        let ended = pty.end();

        // Whichever came first decides the code.
        assert!(
            [0, code_of(Signal::TERM)].contains(&ended.code),
            "{}",
            ended.code
        );
        assert_given_back(&ended);
    }
}

#[test]
fn a_panic_in_the_loop_is_read_on_the_normal_screen() {
    for pace in paces() {
        let mut pty = start(pace);
        pty.type_bytes(b"p");
        let ended = pty.end();

        assert_eq!(ended.code, guard_probe::PANICKED);
        assert_given_back(&ended);
        let shown = ended.screen.contents();
        assert!(shown.contains("fell over in the loop"), "{shown}");
        assert!(
            !ended.raw.ends_with(b"\x1b[2J"),
            "what the text quotes is not obeyed"
        );
        assert!(shown.contains("[2J<U+202E>"), "{shown}");
    }
}

#[test]
fn a_panic_without_a_screen_is_cleaned_too() {
    let output = std::process::Command::new(this_binary())
        .args(["--exact", PROBE_TEST, "--nocapture", "--test-threads=1"])
        .env(guard_probe::PACE, FALLING)
        .env("RUST_BACKTRACE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stderr).unwrap();

    assert!(
        said.contains("fell over without a screen ␛[2J<U+202E><U+009B>2J"),
        "{said}"
    );
    assert!(said.contains("fall_over"), "the trace is there: {said}");
    assert_eq!(said.chars().find(|c| c.is_control() && *c != '\n'), None);
}

#[test]
fn a_panic_elsewhere_leaves_the_screen_alone_and_reaches_the_loop() {
    for (key, words) in [
        (b"b", "fell over in a thread<U+202E>"),
        (b"t", "fell over in a task"),
    ] {
        for pace in paces() {
            let mut pty = start(pace);
            let raw = pty.modes();
            pty.type_bytes(key);
            pty.wait_for_text(words);

            assert!(pty.screen().alternate_screen());
            assert_eq!(pty.modes(), raw, "still raw");
            pty.type_bytes(b"q");
            let ended = pty.end();
            assert_eq!(ended.code, 0);
            assert_given_back(&ended);
        }
    }
}

#[test]
fn a_hang_up_ends_the_program() {
    for pace in paces() {
        let mut pty = start(pace);
        pty.hang_up();

        assert_eq!(pty.end().code, code_of(Signal::HUP));
    }
}

#[test]
fn a_hang_up_is_seen_where_the_leader_swallows_the_signal() {
    for pace in paces() {
        let script = "trap '' HUP; \"$@\"; exit $?";
        let shell = Launch::new("/bin/sh")
            .args(["-c", script, "sh"])
            .args([this_binary()]);
        let mut pty = as_probe(shell, pace).spawn();
        pty.wait_for_text(guard_probe::READY);
        pty.hang_up();

        assert_eq!(pty.end().code, code_of(Signal::HUP));
    }
}

#[test]
fn a_stuck_loop_obeys_a_signal() {
    for pace in paces() {
        let mut pty = start(pace);
        pty.type_bytes(b"s");
        pty.wait_for_text("stuck now");
        pty.signal(Signal::TERM);
        let ended = pty.end();

        assert_eq!(ended.code, code_of(Signal::TERM));
        assert_given_back(&ended);
    }
}

#[test]
fn a_hung_up_stuck_loop_ends() {
    let mut pty = start(IDLE);
    pty.type_bytes(b"s");
    pty.wait_for_text("stuck now");
    pty.hang_up();

    assert_eq!(pty.end().code, code_of(Signal::HUP));
}

#[test]
fn a_frozen_terminal_cannot_hold_the_program() {
    let mut left = 0;
    for _ in 0..rounds() {
        let mut pty = start(DRAWING);
        pty.freeze();
        pty.wait_until("the terminal takes nothing more", Pty::is_full);
        pty.signal(Signal::TERM);
        let ended = pty.end();

        assert_eq!(ended.code, code_of(Signal::TERM));
        assert_eq!(ended.modes_after, ended.modes_before);
        left += count(&ended.raw, "\x1b[?1049l").min(1);
    }
    // The terminal may have stopped anywhere, so leaving its screen cannot be promised.
    println!("alternate screen left {left} of {} times", rounds());
}

#[test]
fn keys_count_while_the_terminal_is_frozen() {
    for _ in 0..rounds() {
        let mut pty = start(DRAWING);
        pty.freeze();
        pty.wait_until("the terminal takes nothing more", Pty::is_full);
        pty.type_bytes(b"nnq");
        let ended = pty.end();

        assert_eq!(ended.code, 0);
        assert_eq!(ended.modes_after, ended.modes_before);
    }
}

#[test]
fn a_suspension_while_frozen_stops_and_comes_back() {
    let mut pty = start(DRAWING);
    pty.freeze();
    pty.wait_until("the terminal takes nothing more", Pty::is_full);
    pty.type_bytes(b"\x1a");
    pty.wait_until("the program is stopped", Pty::is_stopped);
    assert_eq!(pty.modes(), pty.modes_before());

    pty.thaw();
    pty.signal(Signal::CONT);
    pty.type_bytes(b"n");
    pty.wait_for_text("keys 1 ");
    pty.type_bytes(b"q");
    let ended = pty.end();
    assert_eq!(ended.code, 0);
    assert_eq!(ended.modes_after, ended.modes_before);
}

#[test]
fn what_was_drawn_before_a_freeze_is_whole_after_it() {
    for _ in 0..rounds() {
        let mut pty = start(DRAWING);
        pty.freeze();
        pty.wait_until("the terminal takes nothing more", Pty::is_full);
        pty.type_bytes(b"nn");
        pty.thaw();
        pty.wait_for_text("keys 2 ");
        pty.resize(70, 20);
        pty.wait_for("a whole screen of one letter", |screen| {
            let shown = screen.contents();
            let mut lines = shown.lines();
            lines.next().is_some_and(|line| line.contains("70×20"))
                && lines.skip(2).all(|line| {
                    let first = line.chars().next();
                    line.chars().count() == 70 && line.chars().all(|c| Some(c) == first)
                })
        });
        pty.type_bytes(b"q");
        let mut ended = pty.end();
        // What the harness itself filled the terminal with.
        ended.raw.retain(|byte| *byte != 0);

        assert_eq!(ended.code, 0);
        assert_given_back(&ended);
        assert_eq!(
            count(&ended.raw, "\x1b[?2026h"),
            count(&ended.raw, "\x1b[?2026l") - 1,
            "each frame is whole; the last end belongs to the leaving"
        );
    }
}

#[test]
fn suspends_by_key_and_by_signal() {
    for by_signal in [false, true] {
        for pace in paces() {
            let mut pty = start(pace);
            if by_signal {
                pty.signal(Signal::TSTP);
            } else {
                pty.type_bytes(b"\x1a");
            }
            pty.wait_until("the program is stopped", Pty::is_stopped);
            pty.wait_for("the normal screen", |screen| !screen.alternate_screen());
            assert_eq!(
                pty.modes(),
                pty.modes_before(),
                "the shell's own modes while stopped"
            );
            assert!(!pty.screen().hide_cursor() && !pty.screen().bracketed_paste());

            pty.signal(Signal::CONT);
            pty.wait_for_text(guard_probe::READY);
            assert!(pty.screen().alternate_screen());
            pty.type_bytes(b"n");
            pty.wait_for_text("keys 1 ");
            pty.type_bytes(b"q");
            let ended = pty.end();

            assert_eq!(ended.code, 0);
            assert_eq!(
                count(&ended.raw, "\x1b[?1049l"),
                2,
                "once a stop, once at the end"
            );
            assert_restored(&ended);
        }
    }
}

#[test]
fn gives_back_the_modes_the_shell_changed_meanwhile() {
    let mut pty = start(IDLE);
    pty.type_bytes(b"\x1a");
    pty.wait_until("the program is stopped", Pty::is_stopped);
    pty.change_modes(|modes| modes.local_modes.toggle(LocalModes::ECHOK));
    let changed = pty.modes();

    pty.signal(Signal::CONT);
    pty.wait_for_text(guard_probe::READY);
    pty.type_bytes(b"q");
    let ended = pty.end();

    assert_ne!(ended.modes_before, changed);
    assert_eq!(ended.modes_after, changed);
}

#[test]
fn a_deadly_signal_reaches_a_suspended_program() {
    for _ in 0..rounds() {
        let mut pty = start(IDLE);
        pty.type_bytes(b"\x1a");
        pty.wait_until("the program is stopped", Pty::is_stopped);
        pty.signal(Signal::HUP);
        pty.signal(Signal::CONT);
        let ended = pty.end();

        assert_eq!(ended.code, code_of(Signal::HUP));
        assert_restored(&ended);
    }
}

#[test]
fn a_stop_nobody_announced_is_repaired() {
    let mut pty = start(IDLE);
    let raw = pty.modes();
    pty.signal(Signal::STOP);
    pty.wait_until("the program is stopped", Pty::is_stopped);
    pty.change_modes(|modes| modes.local_modes |= LocalModes::ICANON | LocalModes::ECHO);

    pty.signal(Signal::CONT);
    pty.wait_until("raw again", |pty| pty.modes() == raw);
    pty.wait_until("painted again", |pty| {
        count(pty.raw(), guard_probe::READY) == 2
    });
    pty.type_bytes(b"q");
    let ended = pty.end();

    assert_eq!(ended.code, 0);
    assert_given_back(&ended);
}

#[test]
fn an_unchanged_frame_writes_nothing_and_redraw_paints_all() {
    let mut pty = start(IDLE);
    pty.type_bytes(b"dddddddddd");
    pty.type_bytes(b"n");
    pty.wait_for_text("keys 1 ");
    assert_eq!(
        count(pty.raw(), "\x1b[?2026h"),
        2,
        "the first frame and the changed one"
    );

    pty.type_bytes(b"\x0c");
    pty.wait_until("painted again", |pty| {
        count(pty.raw(), guard_probe::READY) == 2
    });
    pty.wait_for_text("keys 1 ");
    assert_eq!(count(pty.raw(), "\x1b[2J"), 1);
    assert_eq!(count(pty.raw(), "\x1b[?2026l"), 3);
    pty.type_bytes(b"q");
    assert_given_back(&pty.end());
}

#[test]
fn any_size_can_be_drawn() {
    for (cols, rows) in [
        (1, 1),
        (0, 0),
        (0, 5),
        (5, 0),
        (2, 1),
        (65535, 1),
        (1, 65535),
    ] {
        let mut pty = launch(IDLE).size(cols, rows).spawn();
        pty.wait_until("entered", |pty| count(pty.raw(), "\x1b[?2004h") == 1);
        pty.resize(80, 24);
        pty.wait_for_text(guard_probe::READY);
        pty.resize(cols, rows);
        pty.type_bytes(b"nq");
        let ended = pty.end();

        assert_eq!(ended.code, 0, "{cols}×{rows}");
        assert_given_back(&ended);
    }
}

#[test]
fn a_storm_of_sizes_ends_in_a_right_screen() {
    let mut pty = start(DRAWING);
    for step in 0..200_u16 {
        let odd = step % 7;
        let (cols, rows) = match odd {
            0 => (0, 0),
            1 => (u16::MAX, 3),
            2 => (1, 1),
            _ => (20 + step % 150, 1 + step % 60),
        };
        pty.resize(cols, rows);
    }
    pty.resize(60, 15);
    pty.wait_for("the last size", |screen| {
        let shown = screen.contents();
        shown.contains("60×15") && shown.contains(guard_probe::READY)
    });
    pty.type_bytes(b"q");
    let ended = pty.end();

    assert_eq!(ended.code, 0);
    assert_given_back(&ended);
}

#[test]
fn nothing_typed_is_lost_beside_a_resize_or_in_a_flood() {
    let mut pty = start(IDLE);
    for (round, cols) in (1..=30).zip([70, 80].into_iter().cycle()) {
        pty.resize(cols, 24);
        pty.type_bytes(b"n");
        pty.wait_for_text(&format!("keys {round} "));
    }
    pty.type_bytes(&b"n".repeat(2_970));
    pty.wait_for_text("keys 3000 ");
    pty.type_bytes(b"q");

    assert_eq!(pty.end().code, 0);
}

#[test]
fn the_title_is_set_once_cleaned_and_put_back() {
    let mut pty = start(IDLE);
    pty.type_bytes(b"n");
    pty.wait_for_text("keys 1 ");
    pty.type_bytes(b"q");
    let ended = pty.end();

    assert_eq!(count(&ended.raw, "\x1b[22;0t"), 1);
    assert_eq!(
        count(&ended.raw, "\x1b]2;kietop probe[31m\x07"),
        1,
        "escapes are dropped"
    );
    assert_eq!(count(&ended.raw, "\x1b[23;0t"), 1);
}

#[test]
fn styles_reach_the_terminal() {
    let pty = start(IDLE);

    let cell = pty.screen().cell(0, 0).expect("the first cell");
    assert!(cell.bold());
    assert_eq!(cell.fgcolor(), vt100::Color::Idx(2));
}

#[test]
#[cfg(target_os = "linux")]
fn no_core_is_ever_dumped() {
    let pty = start(IDLE);

    let limits = std::fs::read_to_string(format!("/proc/{}/limits", pty.pid())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(
        core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(),
        ["0", "0"]
    );
}

fn rounds() -> usize {
    std::env::var("KIETOP_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(3)
}

/// Each pace, as often as there are rounds.
fn paces() -> impl Iterator<Item = &'static str> {
    [IDLE, DRAWING].into_iter().cycle().take(2 * rounds())
}

fn launch(pace: &str) -> Launch {
    as_probe(Launch::new(this_binary()), pace)
}

/// Adds what makes this test binary be the probe.
fn as_probe(launch: Launch, pace: &str) -> Launch {
    launch
        .args(["--exact", PROBE_TEST, "--nocapture", "--test-threads=1"])
        .env(guard_probe::PACE, pace)
}

fn this_binary() -> PathBuf {
    std::env::current_exe().unwrap_or_default()
}

/// Starts the probe and waits for its first frame.
#[track_caller]
fn start(pace: &str) -> Pty {
    let mut pty = launch(pace).spawn();
    pty.wait_for_text(guard_probe::READY);
    pty
}

fn code_of(signal: Signal) -> u32 {
    (SIGNAL_EXIT_BASE + signal.as_raw()).cast_unsigned()
}

fn count(bytes: &[u8], text: &str) -> usize {
    bytes
        .windows(text.len())
        .filter(|window| *window == text.as_bytes())
        .count()
}

fn last(bytes: &[u8], text: &str) -> Option<usize> {
    bytes
        .windows(text.len())
        .rposition(|window| window == text.as_bytes())
}

#[track_caller]
fn assert_given_back(ended: &Ended) {
    assert_eq!(
        count(&ended.raw, "\x1b[?1049l"),
        1,
        "the alternate screen is left once"
    );
    assert_restored(ended);
}

#[track_caller]
fn assert_restored(ended: &Ended) {
    assert_eq!(ended.modes_after, ended.modes_before);
    for (on, off) in [("\x1b[?25l", "\x1b[?25h"), ("\x1b[?2004h", "\x1b[?2004l")] {
        assert!(
            last(&ended.raw, off) > last(&ended.raw, on),
            "{off:?} comes last"
        );
    }
    for mode in ["?1000l", "?1006l", "?1004l", "?2026l"] {
        assert!(count(&ended.raw, &format!("\x1b[{mode}")) > 0, "{mode}");
    }
    assert!(!ended.screen.alternate_screen());
    assert!(!ended.screen.hide_cursor());
    assert!(!ended.screen.bracketed_paste());
    assert_eq!(count(&ended.raw, "\x1b[6n"), 0, "no query");
}
