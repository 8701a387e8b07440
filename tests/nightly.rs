//! Long runs: kills, damage, random input and a hostile server for hours, each with its figures on
//! one line.
//!
//! ```text
//! cargo test --release --locked --test nightly -- --ignored --nocapture
//! ```
//!
//! `KIETOP_NIGHTLY_SCALE=0.03` scales the rounds and minutes of each run; `KIETOP_NIGHTLY_SEED`
//! replays a run. The runs share nothing and may run at the same time.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "test code that measures real time"
)]

#[path = "store/command_damage.rs"]
mod command_damage;
#[path = "store/damage.rs"]
mod damage;
#[path = "support/exit_runs.rs"]
mod exit_runs;
#[expect(dead_code, reason = "this file uses a part of the module")]
#[path = "support/harmful_chars.rs"]
mod harmful_chars;
#[path = "support/hostile_server.rs"]
mod hostile_server;
#[path = "store/kills.rs"]
mod kills;
#[path = "support/output_check.rs"]
mod output_check;
#[path = "support/process_stats.rs"]
mod process_stats;
#[expect(dead_code, reason = "this file uses a part of the module")]
#[path = "support/pty.rs"]
mod pty;
#[path = "support/random_input.rs"]
mod random_input;
#[path = "support/save_kills.rs"]
mod save_kills;
#[path = "support/soak.rs"]
mod soak;
#[expect(dead_code, reason = "this file uses a part of the module")]
#[path = "store/support.rs"]
mod support;

use std::time::{Duration, Instant};

const KIETOP: &str = env!("CARGO_BIN_EXE_kietop");

/// Returns the fraction of the full length to run.
fn scale() -> f64 {
    let scale = std::env::var("KIETOP_NIGHTLY_SCALE").ok();
    scale.map_or(1.0, |scale| scale.parse().unwrap())
}

/// Returns a number times [`scale`], rounded up.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few thousand, times a fraction"
)]
fn scaled(number: u16) -> usize {
    (f64::from(number) * scale()).ceil() as usize
}

fn minutes(number: u16) -> Duration {
    Duration::from_secs_f64(f64::from(number) * 60.0 * scale())
}

/// Returns the seed to replay, or a new one.
fn seed() -> u64 {
    let seed = std::env::var("KIETOP_NIGHTLY_SEED").ok();
    seed.map_or_else(
        || jiff::Timestamp::now().as_millisecond().unsigned_abs(),
        |seed| seed.parse().unwrap(),
    )
}

/// Prints one line for the table of promises.md: date, run, duration, figures.
fn print_result(run: &str, started: Instant, figures: &str) {
    let now = jiff::Timestamp::now().to_string();
    let today = now.split('T').next().unwrap();
    let seconds = started.elapsed().as_secs();
    println!("{today} | {run} | {seconds} s | {figures}");
}

/// Fails when the slowest took more than twice the limit; twice, since other long runs may slow the
/// machine.
fn assert_within(stats: &exit_runs::ExitStats, limit: Duration) {
    assert!(stats.slowest <= limit * 2, "{stats:?} over {limit:?}");
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn kills_lose_no_acknowledged_change() {
    let (started, rounds, seed) = (Instant::now(), scaled(500), seed());
    let stats = kills::run_rounds("kills_lose_no_acknowledged_change", rounds, seed);
    let figures = format!(
        "{rounds} kills, {} adds and {} removals acknowledged, 0 lost, seed {seed}",
        stats.adds, stats.removals
    );
    print_result("kills", started, &figures);
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn kills_during_saves_leave_no_corrupt_file() {
    let (started, kills, seed) = (Instant::now(), scaled(200), seed());
    println!("kills while saving: seed {seed}");
    let stats = save_kills::run_kills(KIETOP, kills, seed);
    print_result(
        "kills while saving",
        started,
        &format!("{stats}, seed {seed}"),
    );
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn damage_is_always_reported() {
    let (started, rounds, seed) = (Instant::now(), scaled(500), seed());
    println!("damage: seed {seed}");
    let stats = damage::run_rounds(rounds, seed);
    let figures = format!(
        "{rounds} corruptions, 0 silent, 0 panics: {} set aside and recovered, {} refused, {} harmless, seed {seed}",
        stats.set_aside,
        stats.refused,
        rounds - stats.set_aside - stats.refused
    );
    print_result("damage", started, &figures);
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn every_command_reports_damage() {
    let (started, rounds, seed) = (Instant::now(), scaled(2000), seed());
    println!("damage by command: seed {seed}");
    let stats = command_damage::run_rounds(KIETOP, rounds, seed);
    let figures = format!("{rounds} corruptions: {stats}, seed {seed}");
    print_result("damage by command", started, &figures);
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn signals_restore_the_terminal() {
    let started = Instant::now();
    let stats = exit_runs::run_signals(KIETOP, scaled(50));
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
    let stats = exit_runs::run_suspensions(KIETOP, scaled(50));
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
    let stats = exit_runs::run_pastes(KIETOP, scaled(20));
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
    let stats = exit_runs::run_hang_ups(KIETOP, scaled(20));
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
    let stats = random_input::run_for(KIETOP, minutes(30), seed);
    print_result("monkey", started, &format!("{stats}, seed {seed}"));
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn a_hostile_server_for_an_hour_leaks_nothing() {
    let (started, seed) = (Instant::now(), seed());
    println!("soak: seed {seed}");
    let stats = soak::run_for(KIETOP, minutes(60), seed);
    print_result("soak", started, &format!("{stats}, seed {seed}"));
    stats.assert_limits();
}
