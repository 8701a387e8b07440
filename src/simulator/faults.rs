//! Simulated faults: rate limits, rare errors, one maintenance window, latency.
//!
//! Times are real time since the start, passed by the caller. Knows neither tasks nor the format of
//! responses.

use std::collections::HashMap;
use std::time::Duration;

use super::rng::Rng;

/// The time without faults after the start, for a good first impression.
const FAULT_FREE_START: Duration = Duration::from_secs(4);
const MAINTENANCE_START: Duration = Duration::from_secs(90);
const MAINTENANCE_END: Duration = Duration::from_secs(98);
/// The fraction of requests that fail.
const FAULT_RATE: f64 = 0.015;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SimulatedFault {
    /// HTTP 429 of the gateway, with `Retry-After`.
    RateLimited,
    /// HTTP 500 with a JSON body.
    ServerError,
    /// HTTP 502 with an HTML page, as a proxy in front writes it.
    BadGateway,
    /// Code 455 in the body.
    Maintenance,
}

/// A rate limit per key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum CallLimit {
    /// Status queries: 10 per second, as recommended for similar endpoints of kie.ai.
    Queries,
    /// Create requests: 20 in 10 seconds, as documented.
    Creates,
}

impl CallLimit {
    /// Returns the number of calls, and the time in which they are allowed.
    fn rate(self) -> (usize, Duration) {
        match self {
            Self::Queries => (10, Duration::from_secs(1)),
            Self::Creates => (20, Duration::from_secs(10)),
        }
    }
}

/// Counts recent requests and draws the faults of new ones.
#[derive(Debug)]
pub(super) struct FaultModel {
    rng: Rng,
    recent_calls: HashMap<(CallLimit, String), Vec<Duration>>,
}

impl FaultModel {
    pub(super) fn new(rng: Rng) -> Self {
        Self {
            rng,
            recent_calls: HashMap::new(),
        }
    }

    /// Draws the latency of the next response: 30 to 350 ms, more often short than long.
    pub(super) fn latency(&mut self) -> Duration {
        let skewed = self.rng.next_f64() * self.rng.next_f64();
        Duration::from_secs_f64(0.030 + 0.320 * skewed)
    }

    /// Draws the fault of a request at a given time, mostly `None`.
    pub(super) fn draw_fault(&mut self, at: Duration) -> Option<SimulatedFault> {
        if (MAINTENANCE_START..MAINTENANCE_END).contains(&at) {
            return Some(SimulatedFault::Maintenance);
        }
        let roll = self.rng.next_f64();
        if at < FAULT_FREE_START || roll >= FAULT_RATE {
            return None;
        }
        match self.rng.index(3) {
            0 => Some(SimulatedFault::RateLimited),
            1 => Some(SimulatedFault::ServerError),
            _ => Some(SimulatedFault::BadGateway),
        }
    }

    /// Counts a request with a key. Reports whether it is within the limit; rejected requests do
    /// not count.
    pub(super) fn try_acquire(&mut self, limit: CallLimit, key: &str, at: Duration) -> bool {
        self.recent_calls.retain(|(limit, _), calls| {
            calls.retain(|call| at.saturating_sub(*call) < limit.rate().1);
            !calls.is_empty()
        });
        let key = (limit, key.to_owned());
        let calls = self.recent_calls.entry(key).or_default();
        let is_allowed = calls.len() < limit.rate().0;
        if is_allowed {
            calls.push(at);
        }
        is_allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault_model() -> FaultModel {
        FaultModel::new(Rng::new(5, 3))
    }

    #[test]
    fn the_query_limit_is_per_key() {
        let mut model = fault_model();
        let at = Duration::from_secs;

        for _ in 0..10 {
            assert!(model.try_acquire(CallLimit::Queries, "a", at(5)));
        }

        assert!(!model.try_acquire(CallLimit::Queries, "a", at(5)));
        assert!(model.try_acquire(CallLimit::Queries, "b", at(5)));
        assert!(model.try_acquire(CallLimit::Creates, "a", at(5)));
        assert!(model.try_acquire(CallLimit::Queries, "a", at(6)));
        assert_eq!(model.recent_calls.len(), 2, "expired counts are dropped");
    }

    #[test]
    fn faults_are_rare_and_not_at_the_start() {
        let mut model = fault_model();

        let early = (0..5000).filter(|_| model.draw_fault(Duration::from_secs(3)).is_some());
        assert_eq!(early.count(), 0);
        let later: Vec<_> = (0..10_000)
            .filter_map(|_| model.draw_fault(Duration::from_secs(30)))
            .collect();
        assert!((100..200).contains(&later.len()), "{}", later.len());
        for kind in [
            SimulatedFault::RateLimited,
            SimulatedFault::ServerError,
            SimulatedFault::BadGateway,
        ] {
            assert!(later.contains(&kind), "{kind:?}");
        }
    }

    #[test]
    fn maintenance_fails_every_call_for_eight_seconds() {
        let mut model = fault_model();
        let mut at = |seconds| model.draw_fault(Duration::from_secs_f64(seconds));

        assert_ne!(at(89.9), Some(SimulatedFault::Maintenance));
        assert_eq!(at(90.0), Some(SimulatedFault::Maintenance));
        assert_eq!(at(97.9), Some(SimulatedFault::Maintenance));
        assert_ne!(at(98.0), Some(SimulatedFault::Maintenance));
    }
}
