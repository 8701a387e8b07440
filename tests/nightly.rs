//! The long runs: hours of kills, damage, random keys and a hostile server, with their figures on one line each.
//!
//! ```text
//! cargo test --release --locked --test nightly -- --ignored --nocapture
//! ```
//!
//! `KIETOP_NIGHTLY_SCALE=0.03` makes each as much shorter (numbers and minutes alike); `KIETOP_NIGHTLY_SEED` replays one.
//! They share nothing and may run beside each other.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "test code fails loudly, and a long run is about real time"
)]

#[path = "store/commands.rs"]
mod commands;
#[path = "store/damage.rs"]
mod damage;
#[path = "support/endings.rs"]
mod endings;
#[expect(dead_code, reason = "this file needs a part of the table")]
#[path = "support/harmful.rs"]
mod harmful;
#[path = "support/hostile.rs"]
mod hostile;
#[path = "store/kills.rs"]
mod kills;
#[path = "support/monkey.rs"]
mod monkey;
#[path = "support/output.rs"]
mod output;
#[path = "support/process.rs"]
mod process;
#[expect(dead_code, reason = "this file needs a part of the harness")]
#[path = "support/pty.rs"]
mod pty;
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
fn tell(what: &str, begun: Instant, figures: &str) {
    let now = jiff::Timestamp::now().to_string();
    let today = now.split('T').next().unwrap();
    let seconds = begun.elapsed().as_secs();
    println!("{today} | {what} | {seconds} s | {figures}");
}

/// Fails when the worst took longer than the limit, and so much again for a machine that is busy with other long runs.
fn judge(worst: &endings::Worst, limit: Duration) {
    assert!(worst.slowest <= limit * 2, "{worst:?} over {limit:?}");
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn kills_lose_no_acknowledged_change() {
    let (begun, rounds, seed) = (Instant::now(), scaled(500), seed());
    let told = kills::play("kills_lose_no_acknowledged_change", rounds, seed);
    let figures = format!(
        "{rounds} kills, {} adds and {} removals acknowledged, 0 lost, seed {seed}",
        told.adds, told.removals
    );
    tell("kills", begun, &figures);
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn kills_while_saving_leave_no_wrong_file() {
    let (begun, kills, seed) = (Instant::now(), scaled(200), seed());
    println!("kills while saving: seed {seed}");
    let told = save_kills::play(KIETOP, kills, seed);
    tell("kills while saving", begun, &format!("{told}, seed {seed}"));
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn damage_is_never_silent() {
    let (begun, rounds, seed) = (Instant::now(), scaled(500), seed());
    println!("damage: seed {seed}");
    let told = damage::play(rounds, seed);
    let figures = format!(
        "{rounds} corruptions, 0 silent, 0 panics: {} set aside and recovered, {} refused, {} harmless, seed {seed}",
        told.kept,
        told.refused,
        rounds - told.kept - told.refused
    );
    tell("damage", begun, &figures);
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn no_command_is_silent_about_damage() {
    let (begun, rounds, seed) = (Instant::now(), scaled(2000), seed());
    println!("damage by command: seed {seed}");
    let told = commands::play(KIETOP, rounds, seed);
    let figures = format!("{rounds} corruptions: {told}, seed {seed}");
    tell("damage by command", begun, &figures);
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn signals_give_the_terminal_back() {
    let begun = Instant::now();
    let worst = endings::signals(KIETOP, scaled(50));
    let figures = format!(
        "{} ends by TERM, HUP, INT, QUIT: all with the modes as before and 128+n, slowest {} ms",
        worst.ends,
        worst.slowest.as_millis()
    );
    tell("signals", begun, &figures);
    judge(&worst, Duration::from_millis(200));
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn suspensions_give_the_terminal_back_and_take_it_again() {
    let begun = Instant::now();
    let worst = endings::suspensions(KIETOP, scaled(50));
    let figures = format!(
        "{} suspensions by key and signal: modes as before, slowest whole frame after it {} ms",
        worst.ends,
        worst.slowest.as_millis()
    );
    tell("suspensions", begun, &figures);
    judge(&worst, Duration::from_millis(300));
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn pastes_are_text_and_quick() {
    let begun = Instant::now();
    let worst = endings::pastes(KIETOP, scaled(20));
    let figures = format!(
        "{} pastes of 4 MB: no key of them acted, slowest {} ms",
        worst.ends,
        worst.slowest.as_millis()
    );
    tell("pastes", begun, &figures);
    judge(&worst, Duration::from_millis(1500));
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn hang_ups_end_the_program_without_spinning() {
    let begun = Instant::now();
    let worst = endings::hang_ups(KIETOP, scaled(20));
    let figures = format!(
        "{} hang-ups: slowest end {} ms, most CPU after it {} ms",
        worst.ends,
        worst.slowest.as_millis(),
        worst.cpu
    );
    tell("hang-ups", begun, &figures);
    assert!(worst.slowest < Duration::from_secs(2), "{worst:?}");
    assert!(worst.cpu <= 100, "{worst:?}");
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn a_monkey_at_the_keys_breaks_nothing() {
    let (begun, seed) = (Instant::now(), seed());
    println!("monkey: seed {seed}");
    let told = monkey::play(KIETOP, minutes(30), seed);
    tell("monkey", begun, &format!("{told}, seed {seed}"));
}

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn an_hour_of_a_hostile_server_leaves_no_trace() {
    let (begun, seed) = (Instant::now(), seed());
    println!("soak: seed {seed}");
    let told = soak::play(KIETOP, minutes(60), seed);
    tell("soak", begun, &format!("{told}, seed {seed}"));
    told.judge();
}
