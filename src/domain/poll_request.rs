//! A request for a check, and why the API client may deny it.

use std::time::Duration;

use super::{
    poll_result::PollError,
    task::{Family, TaskId},
};

/// A request for the state of one task.
#[derive(Debug, Clone)]
pub struct PollRequest {
    pub task: TaskId,
    pub family: Family,
    pub trigger: PollTrigger,
    /// Whether it repeats a request whose connection broke. It then uses a new connection.
    pub is_retry: bool,
}

/// Who asks for a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PollTrigger {
    #[default]
    Scheduled,
    /// The user. It ends the wait of an account-wide backoff, except of a rate limit, which more
    /// requests would only extend.
    Manual,
}

/// A denied request: why, and when to try again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denied {
    pub reason: DenyReason,
    pub wait: Duration,
}

/// The reason why no request may be sent now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DenyReason {
    /// This instance is checking the task, or just did.
    JustChecked,
    /// Another instance is checking the task, or just did: its answer arrives through the list.
    TaskBusy,
    /// The limit of requests in flight: the next answer leaves a permit.
    InFlightLimit,
    /// The limit of requests started in a second.
    RateLimit,
    /// An account-wide error with the same key: every request waits.
    AccountBackoff(PollError),
}

/// The wait of every request after an account-wide error, or after errors of many tasks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    /// The last error.
    pub error: PollError,
    /// The time until one request tries again.
    pub wait: Duration,
}
