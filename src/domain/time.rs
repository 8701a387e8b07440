//! The two clocks: wall time for people, monotonic time for schedules.
//!
//! Nothing here reads a clock; `ports::Clock` does.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A moment on the monotonic clock, counted from the start of the program, or from the start of the
/// host in the [limiter](super::limiter) that instances share.
///
/// Saturates instead of overflowing: an absurd wait means "never", not a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(Duration);

impl Mono {
    /// The last moment: a task due then is never due.
    pub const NEVER: Self = Self(Duration::MAX);

    pub const fn at(since_start: Duration) -> Self {
        Self(since_start)
    }

    pub const fn since_start(self) -> Duration {
        self.0
    }

    #[must_use]
    pub const fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }

    /// Returns the time since `earlier`, zero if that is later.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// The current time on both clocks, read once for each message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// For ages and records. May jump when the system clock is set.
    pub wall: Timestamp,
    /// For schedules. It cannot be set, and it includes suspend: after hours of sleep, tasks are
    /// due soon. A stopped program and a sleeping machine look the same.
    pub mono: Mono,
}

impl Now {
    /// Returns the age of `then` by the wall clock; zero if it is in the future (clock skew).
    pub fn age_of(self, then: Timestamp) -> Duration {
        elapsed(then, self.wall)
    }

    /// Returns the time until `then` by the wall clock; zero if it is past.
    pub fn until(self, then: Timestamp) -> Duration {
        elapsed(self.wall, then)
    }
}

/// Returns the time from `from` to `to`, zero if `to` is earlier.
pub fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// Returns `from + by`, limited to the last timestamp.
pub fn saturating_add(from: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| from.checked_add(by).ok())
        .unwrap_or(Timestamp::MAX)
}

/// Returns `from - by`, limited to the first timestamp.
pub fn saturating_sub(from: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| from.checked_sub(by).ok())
        .unwrap_or(Timestamp::MIN)
}

/// Returns an age in its largest unit: "9s", "3m", "1h", "12d", "3y".
pub fn format_age(age: Duration) -> String {
    let s = age.as_secs();
    match s {
        0..60 => format!("{s}s"),
        60..3_600 => format!("{}m", s / 60),
        3_600..86_400 => format!("{}h", s / 3_600),
        86_400.. if s / 86_400 < 1000 => format!("{}d", s / 86_400),
        86_400.. => format!("{}y", (s / 86_400 / 365).min(999)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_waits_saturate() {
        let now = Now {
            wall: Timestamp::UNIX_EPOCH,
            mono: Mono::default(),
        };

        assert_eq!(
            now.mono.after(Duration::MAX).after(Duration::MAX),
            Mono::NEVER
        );
        assert_eq!(saturating_add(now.wall, Duration::MAX), Timestamp::MAX);
        assert_eq!(saturating_sub(now.wall, Duration::MAX), Timestamp::MIN);
        assert_eq!(now.age_of(Timestamp::MAX), Duration::ZERO);
    }
}
