//! The terminal is restored after every kind of exit, and a lost terminal ends the program.
//!
//! The program under test is this test binary, started again in a pseudo-terminal: see
//! `terminal_probe`. `KIETOP_ROUNDS` sets the number of repetitions of each case (default 3).

use std::path::PathBuf;

use kietop::runtime::terminal::SIGNAL_EXIT_BASE;
use rustix::process::Signal;
use rustix::termios::LocalModes;

use crate::support::{
    pty::{ExitedPty, Pty, PtyLaunch, count_occurrences},
    terminal_probe::{MODE_VAR, PANIC_EXIT_CODE, READY_TEXT, panic_without_screen, run_probe},
};

/// The arguments that make this binary run the probe.
const PROBE_ARGS: [&str; 4] = [
    "--exact",
    "terminal::quit_key_restores_the_terminal",
    "--nocapture",
    "--test-threads=1",
];

/// Draws only after an event.
const IDLE_MODE: &str = "idle";
/// Panics without entering the screen.
const PANIC_MODE: &str = "panic";
/// Draws a new screen every few milliseconds.
const DRAWING_MODE: &str = "drawing";

const FATAL_SIGNALS: [Signal; 4] = [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT];

#[test]
fn quit_key_restores_the_terminal() {
    if let Ok(mode) = std::env::var(MODE_VAR) {
        if mode == PANIC_MODE {
            panic_without_screen();
        }
        run_probe(mode == DRAWING_MODE);
    }

    for mode in probe_modes() {
        let pty = start(mode);
        assert_ne!(pty.modes(), pty.modes_before(), "raw mode while it runs");
        assert_terminal_left(&pty.quit());
    }
}

#[test]
fn fatal_signals_restore_the_terminal() {
    for signal in FATAL_SIGNALS {
        for mode in probe_modes() {
            let pty = start(mode);
            pty.signal(signal);
            let exited = pty.wait_for_exit();

            assert_eq!(exited.code, exit_code(signal), "{signal:?} {mode}");
            assert_terminal_left(&exited);
        }
    }
}

#[test]
fn a_signal_while_leaving_changes_nothing() {
    for mode in probe_modes() {
        let mut pty = start(mode);
        pty.type_bytes(b"q");
        pty.signal(Signal::TERM);
        let exited = pty.wait_for_exit();

        // The exit code depends on which came first.
        assert!(
            [0, exit_code(Signal::TERM)].contains(&exited.code),
            "{}",
            exited.code
        );
        assert_terminal_left(&exited);
    }
}

#[test]
fn a_loop_panic_is_shown_on_the_normal_screen() {
    for mode in probe_modes() {
        let mut pty = start(mode);
        pty.type_bytes(b"p");
        let exited = pty.wait_for_exit();

        assert_eq!(exited.code, PANIC_EXIT_CODE);
        assert_terminal_left(&exited);
        let text = exited.screen.contents();
        assert!(text.contains("panicked in the loop"), "{text}");
        assert!(
            !exited.raw.ends_with(b"\x1b[2J"),
            "escape sequences in the message have no effect"
        );
        assert!(text.contains("[2J<U+202E>"), "{text}");
    }
}

#[test]
fn a_panic_message_without_a_screen_is_cleaned() {
    let output = std::process::Command::new(this_binary())
        .args(PROBE_ARGS)
        .env(MODE_VAR, PANIC_MODE)
        .env("RUST_BACKTRACE", "1")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();

    assert!(stderr.contains("kietop crashed (a bug): "), "{stderr}");
    assert!(
        stderr.contains("panicked without a screen ␛[2J<U+202E><U+009B>2J"),
        "{stderr}"
    );
    assert!(
        stderr.contains("panic_without_screen"),
        "the backtrace is printed: {stderr}"
    );
    assert_eq!(stderr.chars().find(|c| c.is_control() && *c != '\n'), None);
}

#[test]
fn a_background_panic_reaches_the_loop() {
    for (key, message) in [
        (b"b", "panicked in a thread<U+202E>"),
        (b"t", "panicked in a task"),
    ] {
        for mode in probe_modes() {
            let mut pty = start(mode);
            let raw = pty.modes();
            pty.type_bytes(key);
            pty.wait_for_text(message);

            assert!(pty.screen().alternate_screen());
            assert_eq!(pty.modes(), raw, "still in raw mode");
            assert_terminal_left(&pty.quit());
        }
    }
}

#[test]
fn a_hang_up_ends_the_program() {
    for mode in probe_modes() {
        let mut pty = start(mode);
        pty.hang_up();

        assert_eq!(pty.wait_for_exit().code, exit_code(Signal::HUP));
    }
}

#[test]
fn a_hang_up_without_signal_is_detected() {
    for mode in probe_modes() {
        let script = "trap '' HUP; \"$@\"; exit $?";
        let shell = PtyLaunch::new("/bin/sh")
            .args(["-c", script, "sh"])
            .args([this_binary()]);
        let mut pty = as_probe(shell, mode).spawn();
        pty.wait_for_text(READY_TEXT);
        pty.hang_up();

        assert_eq!(pty.wait_for_exit().code, exit_code(Signal::HUP));
    }
}

#[test]
fn a_blocked_loop_handles_a_signal() {
    for mode in probe_modes() {
        let mut pty = start(mode);
        pty.type_bytes(b"s");
        pty.wait_for_text("stuck now");
        pty.signal(Signal::TERM);
        let exited = pty.wait_for_exit();

        assert_eq!(exited.code, exit_code(Signal::TERM));
        assert_terminal_left(&exited);
    }
}

#[test]
fn a_blocked_loop_ends_on_hang_up() {
    let mut pty = start(IDLE_MODE);
    pty.type_bytes(b"s");
    pty.wait_for_text("stuck now");
    pty.hang_up();

    assert_eq!(pty.wait_for_exit().code, exit_code(Signal::HUP));
}

#[test]
fn a_frozen_terminal_does_not_block_quit() {
    let mut leave_count = 0;
    for _ in 0..rounds() {
        let pty = start_frozen();
        pty.signal(Signal::TERM);
        let exited = pty.wait_for_exit();

        assert_eq!(exited.code, exit_code(Signal::TERM));
        assert_eq!(exited.modes_after, exited.modes_before);
        leave_count += count_occurrences(&exited.raw, "\x1b[?1049l").min(1);
    }
    // The terminal may have stopped within any sequence, so leaving the screen is not guaranteed.
    println!("alternate screen left {leave_count} of {} times", rounds());
}

#[test]
fn keys_work_while_the_terminal_is_frozen() {
    for _ in 0..rounds() {
        let mut pty = start_frozen();
        pty.type_bytes(b"nnq");
        let exited = pty.wait_for_exit();

        assert_eq!(exited.code, 0);
        assert_eq!(exited.modes_after, exited.modes_before);
    }
}

#[test]
fn suspend_and_resume_work_while_frozen() {
    let mut pty = start_frozen();
    pty.type_bytes(b"\x1a");
    pty.wait_until_stopped();
    assert_eq!(pty.modes(), pty.modes_before());

    pty.thaw();
    pty.signal(Signal::CONT);
    pty.type_bytes(b"n");
    pty.wait_for_text("keys 1 ");
    pty.quit();
}

#[test]
fn frames_are_complete_after_a_freeze() {
    for _ in 0..rounds() {
        let mut pty = start_frozen();
        pty.type_bytes(b"nn");
        pty.thaw();
        pty.wait_for_text("keys 2 ");
        pty.resize(70, 20);
        pty.wait_for("a full screen of one letter", |screen| {
            let text = screen.contents();
            let mut lines = text.lines();
            lines.next().is_some_and(|line| line.contains("70×20"))
                && lines.skip(2).all(|line| {
                    let first = line.chars().next();
                    line.chars().count() == 70 && line.chars().all(|c| Some(c) == first)
                })
        });
        pty.type_bytes(b"q");
        let mut exited = pty.wait_for_exit();
        // Pty::is_full wrote these bytes.
        exited.raw.retain(|byte| *byte != 0);

        assert_eq!(exited.code, 0);
        assert_terminal_left(&exited);
        assert_eq!(
            count_occurrences(&exited.raw, "\x1b[?2026h"),
            count_occurrences(&exited.raw, "\x1b[?2026l") - 1,
            "each frame is complete; the last end marker is from leaving the screen"
        );
    }
}

#[test]
fn suspend_works_by_key_and_signal() {
    for by_signal in [false, true] {
        for mode in probe_modes() {
            let mut pty = start(mode);
            if by_signal {
                pty.signal(Signal::TSTP);
            } else {
                pty.type_bytes(b"\x1a");
            }
            pty.wait_until_stopped();
            pty.wait_for("the normal screen", |screen| !screen.alternate_screen());
            assert_eq!(
                pty.modes(),
                pty.modes_before(),
                "the shell's modes while stopped"
            );
            assert!(!pty.screen().hide_cursor() && !pty.screen().bracketed_paste());

            pty.signal(Signal::CONT);
            pty.wait_for_text(READY_TEXT);
            assert!(pty.screen().alternate_screen());
            pty.type_bytes(b"n");
            pty.wait_for_text("keys 1 ");
            let exited = pty.quit();
            assert_eq!(
                count_occurrences(&exited.raw, "\x1b[?1049l"),
                2,
                "once for the suspension, once for the exit"
            );
            assert_restored(&exited);
        }
    }
}

#[test]
fn quit_restores_modes_changed_by_the_shell() {
    let mut pty = start(IDLE_MODE);
    pty.type_bytes(b"\x1a");
    pty.wait_until_stopped();
    pty.change_modes(|modes| modes.local_modes.toggle(LocalModes::ECHOK));
    let changed = pty.modes();

    pty.signal(Signal::CONT);
    pty.wait_for_text(READY_TEXT);
    pty.type_bytes(b"q");
    let exited = pty.wait_for_exit();

    assert_ne!(exited.modes_before, changed);
    assert_eq!(exited.modes_after, changed);
}

#[test]
fn a_fatal_signal_ends_a_suspended_program() {
    for _ in 0..rounds() {
        let mut pty = start(IDLE_MODE);
        pty.type_bytes(b"\x1a");
        pty.wait_until_stopped();
        pty.signal(Signal::HUP);
        pty.signal(Signal::CONT);
        let exited = pty.wait_for_exit();

        assert_eq!(exited.code, exit_code(Signal::HUP));
        assert_restored(&exited);
    }
}

#[test]
fn an_unannounced_stop_is_repaired() {
    let mut pty = start(IDLE_MODE);
    let raw = pty.modes();
    pty.signal(Signal::STOP);
    pty.wait_until_stopped();
    pty.change_modes(|modes| modes.local_modes |= LocalModes::ICANON | LocalModes::ECHO);

    pty.signal(Signal::CONT);
    pty.wait_until("raw mode again", |pty| pty.modes() == raw);
    wait_for_redraw(&mut pty);
    assert_terminal_left(&pty.quit());
}

#[test]
fn an_unchanged_frame_writes_nothing_and_redraw_paints_all() {
    let mut pty = start(IDLE_MODE);
    pty.type_bytes(b"dddddddddd");
    pty.type_bytes(b"n");
    pty.wait_for_text("keys 1 ");
    assert_eq!(
        count_occurrences(pty.raw(), "\x1b[?2026h"),
        2,
        "the first frame and the changed one"
    );

    pty.type_bytes(b"\x0c");
    wait_for_redraw(&mut pty);
    pty.wait_for_text("keys 1 ");
    assert_eq!(count_occurrences(pty.raw(), "\x1b[2J"), 1);
    assert_eq!(count_occurrences(pty.raw(), "\x1b[?2026l"), 3);
    pty.type_bytes(b"q");
    assert_terminal_left(&pty.wait_for_exit());
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
        let mut pty = probe_launch(IDLE_MODE).size(cols, rows).spawn();
        pty.wait_until("the screen is entered", |pty| {
            count_occurrences(pty.raw(), "\x1b[?2004h") == 1
        });
        // Not 80×24: the program assumes that size when it has none, and would not draw again.
        pty.resize(80, 25);
        pty.wait_for_text("ready 80×25");
        pty.resize(cols, rows);
        pty.type_bytes(b"nq");
        let exited = pty.wait_for_exit();

        assert_eq!(exited.code, 0, "{cols}×{rows}");
        assert_terminal_left(&exited);
    }
}

#[test]
fn many_resizes_end_in_a_correct_screen() {
    let mut pty = start(DRAWING_MODE);
    for step in 0..200_u16 {
        let (cols, rows) = match step % 7 {
            0 => (0, 0),
            1 => (u16::MAX, 3),
            2 => (1, 1),
            _ => (20 + step % 150, 1 + step % 60),
        };
        pty.resize(cols, rows);
    }
    pty.resize(60, 15);
    pty.wait_for("the last size", |screen| {
        let text = screen.contents();
        text.contains("60×15") && text.contains(READY_TEXT)
    });
    assert_terminal_left(&pty.quit());
}

#[test]
fn no_input_is_lost_in_resizes_or_floods() {
    let mut pty = start(IDLE_MODE);
    for (round, cols) in (1..=30).zip([70, 80].into_iter().cycle()) {
        pty.resize(cols, 24);
        pty.type_bytes(b"n");
        pty.wait_for_text(&format!("keys {round} "));
    }
    pty.type_bytes(&b"n".repeat(2_970));
    pty.wait_for_text("keys 3000 ");
    pty.quit();
}

#[test]
fn the_title_is_cleaned_set_once_and_restored() {
    let mut pty = start(IDLE_MODE);
    pty.type_bytes(b"n");
    pty.wait_for_text("keys 1 ");
    pty.type_bytes(b"q");
    let exited = pty.wait_for_exit();

    assert_eq!(count_occurrences(&exited.raw, "\x1b[22;0t"), 1);
    assert_eq!(
        count_occurrences(&exited.raw, "\x1b]2;kietop probe[31m\x07"),
        1,
        "escape characters are dropped"
    );
    assert_eq!(count_occurrences(&exited.raw, "\x1b[23;0t"), 1);
}

#[test]
fn styles_reach_the_terminal() {
    let pty = start(IDLE_MODE);

    let cell = pty.screen().cell(0, 0).expect("the first cell");
    assert!(cell.bold());
    assert_eq!(cell.fgcolor(), vt100::Color::Idx(2));
}

fn rounds() -> usize {
    std::env::var("KIETOP_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok())
        .unwrap_or(3)
}

/// Returns each mode [`rounds`] times.
fn probe_modes() -> impl Iterator<Item = &'static str> {
    [IDLE_MODE, DRAWING_MODE]
        .into_iter()
        .cycle()
        .take(2 * rounds())
}

fn probe_launch(mode: &str) -> PtyLaunch {
    as_probe(PtyLaunch::new(this_binary()), mode)
}

/// Adds the arguments and the variable that make this test binary run the probe.
fn as_probe(launch: PtyLaunch, mode: &str) -> PtyLaunch {
    launch.args(PROBE_ARGS).env(MODE_VAR, mode)
}

fn this_binary() -> PathBuf {
    std::env::current_exe().unwrap_or_default()
}

/// Starts the drawing probe in a terminal that accepts no more output.
#[track_caller]
fn start_frozen() -> Pty {
    let mut pty = start(DRAWING_MODE);
    pty.freeze();
    pty.wait_until("the terminal is full", Pty::is_full);
    pty
}

/// Starts the probe and waits for its first frame.
#[track_caller]
fn start(mode: &str) -> Pty {
    let mut pty = probe_launch(mode).spawn();
    pty.wait_for_text(READY_TEXT);
    pty
}

#[track_caller]
fn wait_for_redraw(pty: &mut Pty) {
    pty.wait_until("redrawn", |pty| {
        count_occurrences(pty.raw(), READY_TEXT) == 2
    });
}

fn exit_code(signal: Signal) -> u32 {
    (SIGNAL_EXIT_BASE + signal.as_raw()).cast_unsigned()
}

fn last_position(bytes: &[u8], text: &str) -> Option<usize> {
    let mut windows = bytes.windows(text.len());
    windows.rposition(|window| window == text.as_bytes())
}

#[track_caller]
fn assert_terminal_left(exited: &ExitedPty) {
    let left = count_occurrences(&exited.raw, "\x1b[?1049l");
    assert_eq!(left, 1, "the alternate screen is left once");
    assert_restored(exited);
}

#[track_caller]
fn assert_restored(exited: &ExitedPty) {
    assert_eq!(exited.modes_after, exited.modes_before);
    for (on, off) in [("\x1b[?25l", "\x1b[?25h"), ("\x1b[?2004h", "\x1b[?2004l")] {
        assert!(
            last_position(&exited.raw, off) > last_position(&exited.raw, on),
            "{off:?} comes last"
        );
    }
    for mode in ["?1000l", "?1006l", "?1004l", "?2026l"] {
        assert!(
            count_occurrences(&exited.raw, &format!("\x1b[{mode}")) > 0,
            "{mode}"
        );
    }
    let screen = &exited.screen;
    assert!(!screen.alternate_screen() && !screen.hide_cursor() && !screen.bracketed_paste());
    let queries = count_occurrences(&exited.raw, "\x1b[6n");
    assert_eq!(queries, 0, "no cursor position query");
}
