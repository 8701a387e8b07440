//! Long runs: kills, damage, random input and a hostile server for hours, each with its figures on
//! one line.
//!
//! ```text
//! cargo test --release --locked --test adapters --test e2e nightly:: -- --ignored --nocapture
//! ```
//!
//! `KIETOP_NIGHTLY_SCALE=0.03` scales the rounds and minutes of each run; `KIETOP_NIGHTLY_SEED`
//! replays a run. The runs share nothing and may run at the same time.

use std::time::{Duration, Instant};

use crate::support::{
    exit_runs::{self, ExitStats},
    long_run::{minutes, print_result, scaled, seed},
    random_input, save_kills, soak,
};

/// Fails when the slowest took more than twice the limit; twice, since other long runs may slow the
/// machine.
fn assert_within(stats: &ExitStats, limit: Duration) {
    assert!(stats.slowest <= limit * 2, "{stats:?} over {limit:?}");
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn kills_during_saves_leave_no_corrupt_file() {
    let (started, kills, seed) = (Instant::now(), scaled(200), seed());
    println!("kills while saving: seed {seed}");
    let stats = save_kills::run_kills(kills, seed);
    print_result(
        "kills while saving",
        started,
        &format!("{stats}, seed {seed}"),
    );
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn signals_restore_the_terminal() {
    let started = Instant::now();
    let stats = exit_runs::run_signals(scaled(50));
    let figures = format!(
        "{} exits by TERM, HUP, INT, QUIT: all with restored modes and code 128+n, slowest {} ms",
        stats.exits,
        stats.slowest.as_millis()
    );
    print_result("signals", started, &figures);
    assert_within(&stats, Duration::from_millis(200));
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn suspend_and_resume_restore_the_terminal() {
    let started = Instant::now();
    let stats = exit_runs::run_suspensions(scaled(50));
    let figures = format!(
        "{} suspensions by key and signal: modes restored, slowest complete frame after it {} ms",
        stats.exits,
        stats.slowest.as_millis()
    );
    print_result("suspensions", started, &figures);
    assert_within(&stats, Duration::from_millis(300));
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn pastes_are_text_and_fast() {
    let started = Instant::now();
    let stats = exit_runs::run_pastes(scaled(20));
    let figures = format!(
        "{} pastes of 4 MB: no pasted key acted, slowest {} ms",
        stats.exits,
        stats.slowest.as_millis()
    );
    print_result("pastes", started, &figures);
    assert_within(&stats, Duration::from_millis(1500));
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn hang_ups_end_the_program_without_busy_loop() {
    let started = Instant::now();
    let stats = exit_runs::run_hang_ups(scaled(20));
    let figures = format!(
        "{} hang-ups: slowest exit {} ms, max CPU after it {} ms",
        stats.exits,
        stats.slowest.as_millis(),
        stats.cpu
    );
    print_result("hang-ups", started, &figures);
    assert!(stats.slowest < Duration::from_secs(2), "{stats:?}");
    assert!(stats.cpu <= 100, "{stats:?}");
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn random_input_breaks_nothing() {
    let (started, seed) = (Instant::now(), seed());
    println!("monkey: seed {seed}");
    let stats = random_input::run_for(minutes(30), seed);
    print_result("monkey", started, &format!("{stats}, seed {seed}"));
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn a_hostile_server_for_an_hour_leaks_nothing() {
    let (started, seed) = (Instant::now(), seed());
    println!("soak: seed {seed}");
    let stats = soak::run_for(minutes(60), seed);
    print_result("soak", started, &format!("{stats}, seed {seed}"));
    stats.assert_limits();
}
