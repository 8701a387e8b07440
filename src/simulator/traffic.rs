//! The weather of the network: rate limits, rare faults, one maintenance window, latency.
//!
//! Moments are real time since the start, given by the caller. It must not know tasks or how an answer is written.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::chance::Chance;

/// Within this time of the start nothing goes wrong, so that a first look is a good one.
const CALM: Duration = Duration::from_secs(4);
/// When the one maintenance window opens.
const MAINTENANCE_FROM: Duration = Duration::from_secs(90);
/// When the maintenance window closes.
const MAINTENANCE_TO: Duration = Duration::from_secs(98);
/// The share of calls that meet a fault.
const FAULTS: f64 = 0.015;

/// Names what can come between a call and its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// HTTP 429 of the gateway, with `Retry-After`.
    TooMany,
    /// HTTP 500 with a JSON body.
    ServerError,
    /// HTTP 502 with an HTML page, as a proxy in front writes it.
    BadGateway,
    /// Code 455 in the body.
    Maintenance,
}

/// Names a limit on calls, per key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Limit {
    /// Status queries: 10 a second, by the advice of kie.ai's sister endpoints.
    Queries,
    /// Create calls: 20 in 10 seconds, as documented.
    Creates,
}

impl Limit {
    fn calls(self) -> usize {
        match self {
            Self::Queries => 10,
            Self::Creates => 20,
        }
    }

    fn window(self) -> Duration {
        match self {
            Self::Queries => Duration::from_secs(1),
            Self::Creates => Duration::from_secs(10),
        }
    }
}

/// Remembers the calls of late and draws what happens to the next.
#[derive(Debug)]
pub(super) struct Traffic {
    chance: Chance,
    recent: HashMap<(Limit, String), VecDeque<Duration>>,
}

impl Traffic {
    /// Starts with no calls made.
    pub(super) fn new(chance: Chance) -> Self {
        Self {
            chance,
            recent: HashMap::new(),
        }
    }

    /// Draws how long the next answer takes: 30 to 350 ms, more often short than long.
    pub(super) fn latency(&mut self) -> Duration {
        let skewed = self.chance.unit() * self.chance.unit();
        Duration::from_secs_f64(0.030 + 0.320 * skewed)
    }

    /// Draws what goes wrong with a call made at that time, mostly nothing.
    pub(super) fn trouble(&mut self, at: Duration) -> Option<Trouble> {
        if (MAINTENANCE_FROM..MAINTENANCE_TO).contains(&at) {
            return Some(Trouble::Maintenance);
        }
        let lot = self.chance.unit();
        if at < CALM || lot >= FAULTS {
            return None;
        }
        match self.chance.position(3) {
            0 => Some(Trouble::TooMany),
            1 => Some(Trouble::ServerError),
            _ => Some(Trouble::BadGateway),
        }
    }

    /// Counts a call of a key and returns whether it is within the limit; refused calls do not count.
    pub(super) fn admits(&mut self, limit: Limit, key: &str, at: Duration) -> bool {
        self.recent.retain(|(limit, _), calls| {
            calls.retain(|call| at.saturating_sub(*call) < limit.window());
            !calls.is_empty()
        });
        let calls = self.recent.entry((limit, key.to_owned())).or_default();
        if calls.len() >= limit.calls() {
            return false;
        }
        calls.push_back(at);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traffic() -> Traffic {
        Traffic::new(Chance::new(5, 3))
    }

    #[test]
    fn the_eleventh_query_of_a_second_is_refused_and_other_keys_are_not_touched() {
        let mut traffic = traffic();
        let at = Duration::from_secs;

        for _ in 0..10 {
            assert!(traffic.admits(Limit::Queries, "a", at(5)));
        }

        assert!(!traffic.admits(Limit::Queries, "a", at(5)));
        assert!(traffic.admits(Limit::Queries, "b", at(5)));
        assert!(traffic.admits(Limit::Creates, "a", at(5)));
        assert!(traffic.admits(Limit::Queries, "a", at(6)));
        assert_eq!(traffic.recent.len(), 2, "what is over is forgotten");
    }

    #[test]
    fn faults_are_rare_mixed_and_spare_the_first_seconds() {
        let mut traffic = traffic();

        let early = (0..5000).filter(|_| traffic.trouble(Duration::from_secs(3)).is_some());
        assert_eq!(early.count(), 0);
        let later: Vec<_> = (0..10_000)
            .filter_map(|_| traffic.trouble(Duration::from_secs(30)))
            .collect();
        assert!((100..200).contains(&later.len()), "{}", later.len());
        for kind in [Trouble::TooMany, Trouble::ServerError, Trouble::BadGateway] {
            assert!(later.contains(&kind), "{kind:?}");
        }
    }

    #[test]
    fn maintenance_lasts_eight_seconds_and_spares_no_call() {
        let mut traffic = traffic();
        let mut at = |seconds| traffic.trouble(Duration::from_secs_f64(seconds));

        assert_ne!(at(89.9), Some(Trouble::Maintenance));
        assert_eq!(at(90.0), Some(Trouble::Maintenance));
        assert_eq!(at(97.9), Some(Trouble::Maintenance));
        assert_ne!(at(98.0), Some(Trouble::Maintenance));
    }

    #[test]
    fn latency_stays_between_30_and_350_ms() {
        let mut traffic = traffic();

        let most = (0..1000).map(|_| traffic.latency()).max().unwrap();

        assert!(most < Duration::from_millis(350) && most > Duration::from_millis(200));
        assert!((0..1000).all(|_| traffic.latency() >= Duration::from_millis(30)));
    }
}
