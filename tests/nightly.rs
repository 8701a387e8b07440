//! The long runs: hours of kills, damage, random keys and a hostile server, with their figures on
//! one line each.
//!
//! ```text
//! cargo test --release --locked --test nightly -- --ignored --nocapture
//! ```
//!
//! `KIETOP_NIGHTLY_SCALE=0.03` makes each as much shorter (numbers and minutes alike);
//! `KIETOP_NIGHTLY_SEED` replays one. They share nothing and may run beside each other.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "test code fails loudly, and a long run is about real time"
)]

#[path = "store/command_damage.rs"]
mod command_damage;
#[path = "store/damage.rs"]
mod damage;
#[path = "support/exit_runs.rs"]
mod exit_runs;
#[expect(dead_code, reason = "this file needs a part of the table")]
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
#[expect(dead_code, reason = "this file needs a part of the harness")]
#[path = "support/pty.rs"]
mod pty;
#[path = "support/random_input.rs"]
mod random_input;
#[path = "support/save_kills.rs"]
mod save_kills;
#[path = "support/soak.rs"]
mod soak;
#[expect(dead_code, reason = "this file needs a part of the words")]
#[path = "store/support.rs"]
mod support;

use std::time::{Duration, Instant};

const KIETOP: &str = env!("CARGO_BIN_EXE_kietop");

/// Returns the share of the whole length to run.
fn scale() -> f64 {
    let scale = std::env::var("KIETOP_NIGHTLY_SCALE").ok();
    scale.map_or(1.0, |scale| scale.parse().unwrap())
}

/// Returns so much of a number as the scale says, at least one.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a few hundred, times a share"
)]
fn scaled(number: u16) -> usize {
    (f64::from(number) * scale()).ceil() as usize
}

fn minutes(number: u16) -> Duration {
    Duration::from_secs_f64(f64::from(number) * 60.0 * scale())
}

/// Returns the seed to replay, or a new one.
fn seed() -> u64 {
    let given = std::env::var("KIETOP_NIGHTLY_SEED").ok();
    given.map_or_else(
        || jiff::Timestamp::now().as_millisecond().unsigned_abs(),
        |seed| seed.parse().unwrap(),
    )
}

/// Prints one line for the table of promises.md: date, what, how long, figures.
fn print_result(what: &str, begun: Instant, figures: &str) {
    let now = jiff::Timestamp::now().to_string();
    let today = now.split('T').next().unwrap();
    let seconds = begun.elapsed().as_secs();
    println!("{today} | {what} | {seconds} s | {figures}");
}

/// Fails when the worst took longer than the limit, and so much again for a machine that is busy
/// with other long runs.
fn assert_within(worst: &exit_runs::SlowestExit, limit: Duration) {
    assert!(worst.slowest <= limit * 2, "{worst:?} over {limit:?}");
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn kills_lose_no_acknowledged_change() {
    let (begun, rounds, seed) = (Instant::now(), scaled(500), seed());
    let told = kills::run_rounds("kills_lose_no_acknowledged_change", rounds, seed);
    let figures = format!(
        "{rounds} kills, {} adds and {} removals acknowledged, 0 lost, seed {seed}",
        told.adds, told.removals
    );
    print_result("kills", begun, &figures);
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn kills_during_saves_leave_no_corrupt_file() {
    let (begun, kills, seed) = (Instant::now(), scaled(200), seed());
    println!("kills while saving: seed {seed}");
    let told = save_kills::run_kills(KIETOP, kills, seed);
    print_result("kills while saving", begun, &format!("{told}, seed {seed}"));
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn damage_is_always_reported() {
    let (begun, rounds, seed) = (Instant::now(), scaled(500), seed());
    println!("damage: seed {seed}");
    let told = damage::run_rounds(rounds, seed);
    let figures = format!(
        "{rounds} corruptions, 0 silent, 0 panics: {} set aside and recovered, {} refused, {} harmless, seed {seed}",
        told.set_aside,
        told.refused,
        rounds - told.set_aside - told.refused
    );
    print_result("damage", begun, &figures);
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn every_command_reports_damage() {
    let (begun, rounds, seed) = (Instant::now(), scaled(2000), seed());
    println!("damage by command: seed {seed}");
    let told = command_damage::run_rounds(KIETOP, rounds, seed);
    let figures = format!("{rounds} corruptions: {told}, seed {seed}");
    print_result("damage by command", begun, &figures);
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn signals_restore_the_terminal() {
    let begun = Instant::now();
    let worst = exit_runs::run_signals(KIETOP, scaled(50));
    let figures = format!(
        "{} ends by TERM, HUP, INT, QUIT: all with the modes as before and 128+n, slowest {} ms",
        worst.exits,
        worst.slowest.as_millis()
    );
    print_result("signals", begun, &figures);
    assert_within(&worst, Duration::from_millis(200));
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn suspend_and_resume_restore_the_terminal() {
    let begun = Instant::now();
    let worst = exit_runs::run_suspensions(KIETOP, scaled(50));
    let figures = format!(
        "{} suspensions by key and signal: modes as before, slowest whole frame after it {} ms",
        worst.exits,
        worst.slowest.as_millis()
    );
    print_result("suspensions", begun, &figures);
    assert_within(&worst, Duration::from_millis(300));
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn pastes_are_text_and_fast() {
    let begun = Instant::now();
    let worst = exit_runs::run_pastes(KIETOP, scaled(20));
    let figures = format!(
        "{} pastes of 4 MB: no key of them acted, slowest {} ms",
        worst.exits,
        worst.slowest.as_millis()
    );
    print_result("pastes", begun, &figures);
    assert_within(&worst, Duration::from_millis(1500));
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn hang_ups_end_the_program_without_busy_loop() {
    let begun = Instant::now();
    let worst = exit_runs::run_hang_ups(KIETOP, scaled(20));
    let figures = format!(
        "{} hang-ups: slowest end {} ms, most CPU after it {} ms",
        worst.exits,
        worst.slowest.as_millis(),
        worst.cpu
    );
    print_result("hang-ups", begun, &figures);
    assert!(worst.slowest < Duration::from_secs(2), "{worst:?}");
    assert!(worst.cpu <= 100, "{worst:?}");
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn random_input_breaks_nothing() {
    let (begun, seed) = (Instant::now(), seed());
    println!("monkey: seed {seed}");
    let told = random_input::run_for(KIETOP, minutes(30), seed);
    print_result("monkey", begun, &format!("{told}, seed {seed}"));
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn a_hostile_server_for_an_hour_leaks_nothing() {
    let (begun, seed) = (Instant::now(), seed());
    println!("soak: seed {seed}");
    let told = soak::run_for(KIETOP, minutes(60), seed);
    print_result("soak", begun, &format!("{told}, seed {seed}"));
    told.assert_limits();
}
