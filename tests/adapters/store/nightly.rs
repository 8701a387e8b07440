//! Long runs of kills and damage. `tests/e2e/nightly.rs` has the command.

use std::time::Instant;

use super::{command_damage, damage, kills};
use crate::support::long_run::{print_result, scaled, seed};

const KIETOP: &str = env!("CARGO_BIN_EXE_kietop");

#[test]
#[ignore = "long run: see assets/manual/promises.md"]
fn kills_lose_no_acknowledged_change() {
    let (started, rounds, seed) = (Instant::now(), scaled(500), seed());
    let stats = kills::run_rounds(
        "store::nightly::kills_lose_no_acknowledged_change",
        rounds,
        seed,
    );
    let figures = format!(
        "{rounds} kills, {} adds and {} removals acknowledged, 0 lost, seed {seed}",
        stats.adds, stats.removals
    );
    print_result("kills", started, &figures);
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
