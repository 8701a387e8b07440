//! The real program ended by every signal and by a hang-up, many times: the terminal as it was, the
//! right code.
#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a long run fails loudly and measures real time"
)]

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::process_stats;
use crate::pty::{Pty, PtyLaunch};

/// The signals that end a program in order.
const FATAL_SIGNALS: [Signal; 4] = [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT];

/// Tells the worst of a number of ends.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SlowestExit {
    pub(crate) exits: usize,
    pub(crate) slowest: Duration,
    /// CPU time after the hang-up, in milliseconds.
    pub(crate) cpu: u64,
}

fn start_with_tasks(program: &str, home: &Path) -> Pty {
    let mut pty = PtyLaunch::new(program)
        .args(["--api-url", "http://127.0.0.1:9", "--store"])
        .args([home.join("list.db")])
        .env("HOME", &home.to_string_lossy())
        .env("LANG", "C.UTF-8")
        .spawn();
    pty.wait_for_text("kietop demo");
    pty
}

/// Ends the program so often by each deadly signal; fails at the first that is not clean.
pub(crate) fn run_signals(program: &str, rounds: usize) -> SlowestExit {
    let home = tempfile::tempdir().expect("a folder");
    let mut worst = SlowestExit::default();
    for _ in 0..rounds {
        for signal in FATAL_SIGNALS {
            let pty = start_with_tasks(program, home.path());
            let begun = Instant::now();
            pty.signal(signal);
            let ended = pty.wait_for_exit();
            worst.slowest = worst.slowest.max(begun.elapsed());
            worst.exits += 1;

            assert_eq!(
                ended.code,
                128 + signal.as_raw().cast_unsigned(),
                "{signal:?}"
            );
            assert_eq!(ended.modes_after, ended.modes_before, "{signal:?}");
            let left = count_occurrences(&ended.raw, b"\x1b[?1049l");
            assert_eq!(
                left, 1,
                "the alternate screen is left once after {signal:?}"
            );
            assert!(!ended.screen.hide_cursor() && !ended.screen.bracketed_paste());
        }
    }
    worst
}

/// Takes the terminal away so often; fails when the program outlives it by more than two seconds or
/// works meanwhile.
pub(crate) fn run_hang_ups(program: &str, rounds: usize) -> SlowestExit {
    let home = tempfile::tempdir().expect("a folder");
    let mut worst = SlowestExit::default();
    for _ in 0..rounds {
        let mut pty = start_with_tasks(program, home.path());
        let pid = pty.pid();
        let before = process_stats::cpu_ticks(pid).unwrap_or_default();
        let mut last = before;
        let begun = Instant::now();
        pty.hang_up();
        while let Some(cpu) = process_stats::cpu_ticks(pid) {
            last = last.max(cpu);
            if begun.elapsed() > crate::pty::WAIT_TIMEOUT {
                break;
            }
            thread::park_timeout(Duration::from_millis(1));
        }
        worst.slowest = worst.slowest.max(begun.elapsed());
        worst.cpu = worst.cpu.max(last - before);
        worst.exits += 1;

        assert_eq!(pty.wait_for_exit().code, 129);
    }
    worst
}

/// Suspends and continues one program so often, by key and by signal in turn; fails at the first
/// that is not clean.
///
/// The slowest is from the continuation to a whole new frame.
pub(crate) fn run_suspensions(program: &str, rounds: usize) -> SlowestExit {
    let home = tempfile::tempdir().expect("a folder");
    let mut worst = SlowestExit::default();
    let mut pty = start_with_tasks(program, home.path());
    let raw = pty.modes();
    for round in 0..rounds {
        if round % 2 == 0 {
            pty.type_bytes(b"\x1a");
        } else {
            pty.signal(Signal::TSTP);
        }
        pty.wait_until("the program is stopped", Pty::is_stopped);
        pty.wait_for("the normal screen", |screen| !screen.alternate_screen());
        assert_eq!(pty.modes(), pty.modes_before(), "in round {round}");
        pty.take_raw();
        let begun = Instant::now();
        pty.signal(Signal::CONT);
        pty.wait_until("a whole new frame", |pty| {
            let seen = pty.raw();
            count_occurrences(seen, b"\x1b[2J") > 0 && count_occurrences(seen, b"\x1b[?2026l") > 0
        });
        worst.slowest = worst.slowest.max(begun.elapsed());
        worst.exits += 1;
        assert_eq!(pty.modes(), raw, "in round {round}");
        // A key is taken after whatever else the continuation brings.
        pty.type_bytes(b"a");
        pty.wait_for_text("Esc cancel");
        assert_eq!(
            count_occurrences(pty.raw(), b"\x1b[2J"),
            1,
            "in round {round}"
        );
        pty.type_bytes(b"\x1b");
        pty.wait_for("the dialog is gone", |screen| {
            !screen.contents().contains("Esc cancel")
        });
        assert_eq!(
            count_occurrences(pty.raw(), b"\x1b[6n"),
            0,
            "the cursor is asked for"
        );
    }
    pty.type_bytes(b"q");
    assert_eq!(pty.wait_for_exit().code, 0);
    worst
}

/// Pastes four megabytes of keys so often; fails when one of them acts.
///
/// The slowest is from the first byte typed to the dialog that shows the paste.
pub(crate) fn run_pastes(program: &str, rounds: usize) -> SlowestExit {
    let home = tempfile::tempdir().expect("a folder");
    let mut worst = SlowestExit::default();
    let mut pty = start_with_tasks(program, home.path());
    let paste = format!("\x1b[200~{}\x1b[201~", "d q d\r".repeat(700_000));
    for _ in 0..rounds {
        let begun = Instant::now();
        pty.type_bytes(paste.as_bytes());
        pty.wait_for_text("Esc cancel");
        worst.slowest = worst.slowest.max(begun.elapsed());
        worst.exits += 1;
        pty.type_bytes(b"\x1b");
        pty.wait_for("the dialog is gone", |screen| {
            !screen.contents().contains("Esc cancel")
        });
        assert_eq!(pty.code(), None, "a pasted q is no key");
        pty.take_raw();
    }
    pty.type_bytes(b"q");
    assert_eq!(pty.wait_for_exit().code, 0);
    worst
}

fn count_occurrences(bytes: &[u8], what: &[u8]) -> usize {
    bytes
        .windows(what.len())
        .filter(|found| *found == what)
        .count()
}
