//! The weather of the network: rate limits, rare faults, one maintenance window, latency.
//!
//! Moments are real time since the start, given by the caller. It must not know tasks or how an
//! answer is written.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::rng::Rng;

/// Within this time of the start nothing goes wrong, so that a first look is a good one.
const FAULT_FREE_START: Duration = Duration::from_secs(4);
/// When the one maintenance window opens.
const MAINTENANCE_START: Duration = Duration::from_secs(90);
/// When the maintenance window closes.
const MAINTENANCE_END: Duration = Duration::from_secs(98);
/// The share of calls that meet a fault.
const FAULT_RATE: f64 = 0.015;

/// Names what can come between a call and its answer.
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

/// Names a limit on calls, per key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum CallLimit {
    /// Status queries: 10 a second, by the advice of kie.ai's sister endpoints.
    Queries,
    /// Create calls: 20 in 10 seconds, as documented.
    Creates,
}

impl CallLimit {
    fn max_calls(self) -> usize {
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
pub(super) struct FaultModel {
    rng: Rng,
    recent_calls: HashMap<(CallLimit, String), VecDeque<Duration>>,
}

impl FaultModel {
    /// Starts with no calls made.
    pub(super) fn new(chance: Rng) -> Self {
        Self {
            rng: chance,
            recent_calls: HashMap::new(),
        }
    }

    /// Draws how long the next answer takes: 30 to 350 ms, more often short than long.
    pub(super) fn latency(&mut self) -> Duration {
        let skewed = self.rng.next_f64() * self.rng.next_f64();
        Duration::from_secs_f64(0.030 + 0.320 * skewed)
    }

    /// Draws what goes wrong with a call made at that time, mostly nothing.
    pub(super) fn draw_fault(&mut self, at: Duration) -> Option<SimulatedFault> {
        if (MAINTENANCE_START..MAINTENANCE_END).contains(&at) {
            return Some(SimulatedFault::Maintenance);
        }
        let lot = self.rng.next_f64();
        if at < FAULT_FREE_START || lot >= FAULT_RATE {
            return None;
        }
        match self.rng.index(3) {
            0 => Some(SimulatedFault::RateLimited),
            1 => Some(SimulatedFault::ServerError),
            _ => Some(SimulatedFault::BadGateway),
        }
    }

    /// Counts a call of a key and returns whether it is within the limit; refused calls do not
    /// count.
    pub(super) fn try_acquire(&mut self, limit: CallLimit, key: &str, at: Duration) -> bool {
        self.recent_calls.retain(|(limit, _), calls| {
            calls.retain(|call| at.saturating_sub(*call) < limit.window());
            !calls.is_empty()
        });
        let calls = self
            .recent_calls
            .entry((limit, key.to_owned()))
            .or_default();
        if calls.len() >= limit.max_calls() {
            return false;
        }
        calls.push_back(at);
        true
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
        let mut traffic = fault_model();
        let at = Duration::from_secs;

        for _ in 0..10 {
            assert!(traffic.try_acquire(CallLimit::Queries, "a", at(5)));
        }

        assert!(!traffic.try_acquire(CallLimit::Queries, "a", at(5)));
        assert!(traffic.try_acquire(CallLimit::Queries, "b", at(5)));
        assert!(traffic.try_acquire(CallLimit::Creates, "a", at(5)));
        assert!(traffic.try_acquire(CallLimit::Queries, "a", at(6)));
        assert_eq!(traffic.recent_calls.len(), 2, "what is over is forgotten");
    }

    #[test]
    fn faults_are_rare_and_not_at_the_start() {
        let mut traffic = fault_model();

        let early = (0..5000).filter(|_| traffic.draw_fault(Duration::from_secs(3)).is_some());
        assert_eq!(early.count(), 0);
        let later: Vec<_> = (0..10_000)
            .filter_map(|_| traffic.draw_fault(Duration::from_secs(30)))
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
        let mut traffic = fault_model();
        let mut at = |seconds| traffic.draw_fault(Duration::from_secs_f64(seconds));

        assert_ne!(at(89.9), Some(SimulatedFault::Maintenance));
        assert_eq!(at(90.0), Some(SimulatedFault::Maintenance));
        assert_eq!(at(97.9), Some(SimulatedFault::Maintenance));
        assert_ne!(at(98.0), Some(SimulatedFault::Maintenance));
    }

    #[test]
    fn latency_stays_between_30_and_350_ms() {
        let mut traffic = fault_model();

        let most = (0..1000).map(|_| traffic.latency()).max().unwrap();

        assert!(most < Duration::from_millis(350) && most > Duration::from_millis(200));
        assert!((0..1000).all(|_| traffic.latency() >= Duration::from_millis(30)));
    }
}
