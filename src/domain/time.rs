//! The two times every decision takes: the wall for people, the monotonic one for schedules.
//!
//! Nothing here reads a clock; `ports::Clock` does.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// A moment on the monotonic clock, counted from the start of the program (in the
/// [`turns`](super::limiter) of all instances: of the host).
///
/// Saturates instead of overflowing: an absurd wait means "never", not a panic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mono(Duration);

impl Mono {
    /// The last moment there is: something due then is never due.
    pub const NEVER: Self = Self(Duration::MAX);

    /// Returns the moment `since_start` after the program's start.
    pub const fn at(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// Returns the time from the program's start to this moment.
    pub const fn since_start(self) -> Duration {
        self.0
    }

    /// Returns this moment moved later by `wait`.
    #[must_use]
    pub const fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(wait))
    }

    /// Returns the time from `earlier` to this moment, zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// The present, as one value: taken once for each message, so that one message sees one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The time of day, for ages and for the record. May jump when the system's clock is set.
    pub wall: Timestamp,
    /// The time since the start, for schedules. Nobody can set it. It runs on while a laptop
    /// sleeps, so that after hours of sleep what is shown is old and asked after soon; a stopped
    /// program and a sleeping machine look the same.
    pub mono: Mono,
}

impl Now {
    /// Returns how long ago `then` was by the wall clock; zero when it lies ahead (clock skew).
    pub fn age_of(self, then: Timestamp) -> Duration {
        elapsed(then, self.wall)
    }

    /// Returns how far `then` lies ahead by the wall clock; zero when it is past.
    pub fn until(self, then: Timestamp) -> Duration {
        elapsed(self.wall, then)
    }
}

/// Returns the time from `from` to `to`, zero when `to` is the earlier one.
pub fn elapsed(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// Returns `from` moved by `by`, held at the ends of the calendar.
pub fn saturating_add(from: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| from.checked_add(by).ok())
        .unwrap_or(Timestamp::MAX)
}

/// Returns `from` moved back by `by`, held at the ends of the calendar.
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
