//! The scale, seed and results of long runs.

use std::time::{Duration, Instant};

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
pub(crate) fn scaled(number: u16) -> usize {
    (f64::from(number) * scale()).ceil() as usize
}

pub(crate) fn minutes(number: u16) -> Duration {
    Duration::from_secs_f64(f64::from(number) * 60.0 * scale())
}

/// Returns the seed to replay, or a new one.
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("KIETOP_NIGHTLY_SEED").ok();
    seed.map_or_else(
        || jiff::Timestamp::now().as_millisecond().unsigned_abs(),
        |seed| seed.parse().unwrap(),
    )
}

/// Prints one line for the table of promises.md: date, run, duration, figures.
pub(crate) fn print_result(run: &str, started: Instant, figures: &str) {
    let now = jiff::Timestamp::now().to_string();
    let today = now.split('T').next().unwrap();
    let seconds = started.elapsed().as_secs();
    println!("{today} | {run} | {seconds} s | {figures}");
}
