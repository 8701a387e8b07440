//! Repeated exits, suspensions and pastes of the real program: the terminal is restored and the
//! exit code is right.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{
    process_stats::cpu_ticks,
    pty::{Pty, PtyLaunch, WAIT_TIMEOUT, count_occurrences},
    test_home::NOWHERE,
};

/// The signals on which the program shuts down cleanly.
const FATAL_SIGNALS: [Signal; 4] = [Signal::TERM, Signal::HUP, Signal::INT, Signal::QUIT];

/// The number of repetitions and the slowest of them.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ExitStats {
    pub(crate) exits: usize,
    pub(crate) slowest: Duration,
    /// CPU time after the hang-up, in milliseconds.
    pub(crate) cpu: u64,
}

fn start_dashboard(home: &Path) -> Pty {
    let mut pty = PtyLaunch::dashboard(home, NOWHERE).spawn();
    pty.wait_for_text("kietop demo");
    pty
}

/// Ends the program `rounds` times by each fatal signal; fails at the first unclean exit.
pub(crate) fn run_signals(rounds: usize) -> ExitStats {
    let home = tempfile::tempdir().expect("a folder");
    let mut stats = ExitStats::default();
    for _ in 0..rounds {
        for signal in FATAL_SIGNALS {
            let pty = start_dashboard(home.path());
            let started = Instant::now();
            pty.signal(signal);
            let exited = pty.wait_for_exit();
            stats.slowest = stats.slowest.max(started.elapsed());
            stats.exits += 1;

            assert_eq!(
                exited.code,
                128 + signal.as_raw().cast_unsigned(),
                "{signal:?}"
            );
            assert_eq!(exited.modes_after, exited.modes_before, "{signal:?}");
            let left = count_occurrences(&exited.raw, "\x1b[?1049l");
            assert_eq!(
                left, 1,
                "the alternate screen is left once after {signal:?}"
            );
            assert!(!exited.screen.hide_cursor() && !exited.screen.bracketed_paste());
        }
    }
    stats
}

/// Closes the terminal `rounds` times; returns how long the program outlives it and how much CPU
/// time it uses meanwhile.
pub(crate) fn run_hang_ups(rounds: usize) -> ExitStats {
    let home = tempfile::tempdir().expect("a folder");
    let mut stats = ExitStats::default();
    for _ in 0..rounds {
        let mut pty = start_dashboard(home.path());
        let pid = pty.pid();
        let before = cpu_ticks(pid).unwrap_or_default();
        let mut last = before;
        let started = Instant::now();
        pty.hang_up();
        while let Some(cpu) = cpu_ticks(pid) {
            last = last.max(cpu);
            if started.elapsed() > WAIT_TIMEOUT {
                break;
            }
            thread::park_timeout(Duration::from_millis(1));
        }
        stats.slowest = stats.slowest.max(started.elapsed());
        stats.cpu = stats.cpu.max(last - before);
        stats.exits += 1;

        assert_eq!(pty.wait_for_exit().code, 129);
    }
    stats
}

/// Suspends and continues one program `rounds` times, alternately by key and by signal; fails at
/// the first unclean suspension.
///
/// The measured time is from the continuation to a complete new frame.
pub(crate) fn run_suspensions(rounds: usize) -> ExitStats {
    let home = tempfile::tempdir().expect("a folder");
    let mut stats = ExitStats::default();
    let mut pty = start_dashboard(home.path());
    let raw = pty.modes();
    for round in 0..rounds {
        if round % 2 == 0 {
            pty.type_bytes(b"\x1a");
        } else {
            pty.signal(Signal::TSTP);
        }
        pty.wait_until_stopped();
        pty.wait_for("the normal screen", |screen| !screen.alternate_screen());
        assert_eq!(pty.modes(), pty.modes_before(), "in round {round}");
        pty.take_raw();
        let started = Instant::now();
        pty.signal(Signal::CONT);
        pty.wait_until("a complete new frame", |pty| {
            let output = pty.raw();
            count_occurrences(output, "\x1b[2J") > 0 && count_occurrences(output, "\x1b[?2026l") > 0
        });
        stats.slowest = stats.slowest.max(started.elapsed());
        stats.exits += 1;
        assert_eq!(pty.modes(), raw, "in round {round}");
        // The key is read after everything else that the continuation causes.
        pty.type_bytes(b"a");
        pty.wait_for_text("Esc cancel");
        assert_eq!(
            count_occurrences(pty.raw(), "\x1b[2J"),
            1,
            "in round {round}"
        );
        pty.type_bytes(b"\x1b");
        pty.wait_for_no_text("Esc cancel");
        assert_eq!(
            count_occurrences(pty.raw(), "\x1b[6n"),
            0,
            "no cursor position query"
        );
    }
    pty.quit();
    stats
}

/// Pastes four megabytes of keys `rounds` times; fails when one of them acts.
///
/// The measured time is from the first byte typed to the dialog that shows the paste.
pub(crate) fn run_pastes(rounds: usize) -> ExitStats {
    let home = tempfile::tempdir().expect("a folder");
    let mut stats = ExitStats::default();
    let mut pty = start_dashboard(home.path());
    let paste = format!("\x1b[200~{}\x1b[201~", "d q d\r".repeat(700_000));
    for _ in 0..rounds {
        let started = Instant::now();
        pty.type_bytes(paste.as_bytes());
        pty.wait_for_text("Esc cancel");
        stats.slowest = stats.slowest.max(started.elapsed());
        stats.exits += 1;
        pty.type_bytes(b"\x1b");
        pty.wait_for_no_text("Esc cancel");
        assert_eq!(pty.code(), None, "a pasted q is not a key");
        pty.take_raw();
    }
    pty.quit();
    stats
}
