//! The simulated time of day.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::rng::to_millis;

/// A clock that starts at a given wall time and runs `speed` times as fast as real time.
///
/// It uses tokio's clock, so a test with paused time pauses it too. Every `createTime`,
/// `completeTime` and `Date` header of the server follows it, so a client that compares them with
/// the current time must use this clock.
#[derive(Debug, Clone, Copy)]
pub struct SimulatedClock {
    wall_start: Timestamp,
    started_at: Instant,
    speed: f64,
}

impl SimulatedClock {
    pub(super) fn start(wall_start: Timestamp, speed: f64) -> Self {
        Self {
            wall_start,
            started_at: Instant::now(),
            speed,
        }
    }

    /// Returns the simulated time, to the millisecond.
    pub fn now(&self) -> Timestamp {
        let passed = to_millis(self.elapsed().as_secs_f64() * self.speed);
        let now = self.wall_start.as_millisecond().saturating_add(passed);
        Timestamp::from_millisecond(now).unwrap_or(Timestamp::MAX)
    }

    /// Returns the real time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.started_at.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn simulated_time_runs_at_its_speed_from_the_given_start() {
        let start: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let clock = SimulatedClock::start(start, 6.0);
        assert_eq!(clock.now(), start);

        tokio::time::advance(Duration::from_secs(10)).await;

        assert_eq!(clock.now(), "2026-03-01T12:01:00Z".parse().unwrap());
    }
}
