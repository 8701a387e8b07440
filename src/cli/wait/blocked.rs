//! Errors that block all checks, reported at their start and end.

use std::{collections::HashSet, time::Duration};

use jiff::{Timestamp, tz::TimeZone};

use crate::{
    domain::{
        poll_queue::AccountBackoff,
        poll_result::PollError,
        text::CleanText,
        time::{self, Now},
        watched_task::WatchedTask,
    },
    messages::{command_line as messages, format},
};

/// A block that starts within this time of the last one is reported once it has lasted as long.
const MIN_REPORT_GAP: Duration = Duration::from_mins(1);

/// The longest reason, in bytes.
const MAX_REASON_LEN: usize = 1024;

/// The reason why no check succeeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BlockReason {
    /// The error's kind and code; its text differs from check to check.
    kind: (&'static str, Option<i64>),
    message: String,
    next_step: &'static str,
}

impl BlockReason {
    fn new(error: &PollError, message: &str) -> Self {
        Self {
            kind: (error.kind(), error.code()),
            message: CleanText::line(message, MAX_REASON_LEN).to_string(),
            next_step: error.next_step(),
        }
    }

    /// Finds the reason: the account-wide backoff; else, if the last check of every task checked
    /// since the start failed, one of those errors. Errors of the task itself do not count.
    pub(super) fn find<'a>(
        backoff: Option<&AccountBackoff>,
        unfinished: impl Iterator<Item = &'a WatchedTask>,
        started: Timestamp,
        now: Now,
    ) -> Option<Self> {
        if let Some(backoff) = backoff {
            return Some(Self::new(&backoff.error, &backoff.message(now.mono)));
        }
        let mut found = None;
        for watched in unfinished {
            let history = &watched.poll_history;
            let failed = history.last_error.as_ref();
            match failed.filter(|failed| failed.at >= started) {
                Some(failed) if failed.error.is_answer() => return None,
                Some(failed) => found = Some(Self::new(&failed.error, &failed.error.message())),
                None if history.last_ok.is_some_and(|at| at >= started) => return None,
                None => {}
            }
        }
        found
    }
}

/// A period in which no check succeeds.
#[derive(Debug)]
struct BlockedPeriod {
    since: Timestamp,
    reason: BlockReason,
    /// The kinds of the reasons reported; empty if the block was not reported.
    reported_kinds: HashSet<(&'static str, Option<i64>)>,
}

/// The current block, and what was reported.
#[derive(Debug)]
pub(super) struct BlockTracker {
    zone: TimeZone,
    current: Option<BlockedPeriod>,
    last_end: Option<Timestamp>,
}

impl BlockTracker {
    pub(super) const fn new(zone: TimeZone) -> Self {
        Self {
            zone,
            current: None,
            last_end: None,
        }
    }

    /// Records whether the checks are blocked now; returns the line to print, if any.
    pub(super) fn update(&mut self, reason: Option<BlockReason>, now: Timestamp) -> Option<String> {
        let Some(reason) = reason else {
            return self.end_period(now);
        };
        let block = self.current.get_or_insert_with(|| BlockedPeriod {
            since: now,
            reason: reason.clone(),
            reported_kinds: HashSet::new(),
        });
        block.reason = reason;
        let is_repeat = |end: Timestamp| time::elapsed(end, block.since) < MIN_REPORT_GAP;
        let is_quiet = self.last_end.is_some_and(is_repeat)
            && time::elapsed(block.since, now) < MIN_REPORT_GAP;
        if is_quiet || !block.reported_kinds.insert(block.reason.kind) {
            return None;
        }
        let BlockReason {
            message, next_step, ..
        } = &block.reason;
        Some(messages::checks_blocked(message, next_step))
    }

    fn end_period(&mut self, now: Timestamp) -> Option<String> {
        let block = self.current.take()?;
        self.last_end = Some(now);
        let lasted = format::run_time(time::elapsed(block.since, now));
        (!block.reported_kinds.is_empty()).then(|| messages::checks_work_again(&lasted))
    }

    /// Returns a clause to append, such as "; checks blocked since 14:02: …"; empty if the checks
    /// are not blocked.
    pub(super) fn timeout_clause(&self, now: Now) -> String {
        let Some(block) = &self.current else {
            return String::new();
        };
        let since = format::date_time_minutes(block.since, now, &self.zone);
        messages::blocked_since(&since, &block.reason.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Mono;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn moment(seconds: i64) -> Now {
        Now {
            wall: at(seconds),
            mono: Mono::default(),
        }
    }

    fn reason(error: &PollError) -> BlockReason {
        BlockReason::new(error, &error.message())
    }

    fn limited() -> BlockReason {
        reason(&PollError::RateLimited {
            code: 429,
            retry_after: None,
        })
    }

    #[test]
    fn a_block_is_reported_at_its_start_and_end() {
        let mut blocks = BlockTracker::new(TimeZone::UTC);
        assert_eq!(blocks.update(None, at(0)), None);
        assert_eq!(blocks.timeout_clause(moment(0)), "");

        let started = blocks.update(Some(limited()), at(10));
        assert_eq!(
            started.as_deref(),
            Some("Checks blocked: too many requests (429). Checks continue, more slowly.")
        );
        for seconds in 11..100 {
            assert_eq!(blocks.update(Some(limited()), at(seconds)), None);
        }
        assert_eq!(
            blocks.timeout_clause(moment(100)),
            "; checks blocked since 08:00: too many requests (429)"
        );
        let tomorrow = blocks.timeout_clause(moment(24 * 3600));
        assert!(tomorrow.contains("since 15 Jan 08:00"), "{tomorrow}");
        let end = blocks.update(None, at(130));
        assert_eq!(end.as_deref(), Some("Checks work again after 2m00s."));
        assert_eq!(blocks.update(None, at(131)), None);
        assert_eq!(blocks.timeout_clause(moment(131)), "");
    }

    #[test]
    fn alternating_reasons_are_reported_once_each() {
        let mut blocks = BlockTracker::new(TimeZone::UTC);
        let offline = || reason(&PollError::Offline(CleanText::line("no route", 99)));
        let lines = (0..100).filter_map(|n| {
            let reason = if n % 2 == 0 { limited() } else { offline() };
            blocks.update(Some(reason), at(n))
        });
        assert_eq!(lines.count(), 2);
    }

    #[test]
    fn recurring_blocks_do_not_flood_the_output() {
        let mut blocks = BlockTracker::new(TimeZone::UTC);
        let lines: Vec<_> = (0..1000)
            .filter_map(|n| {
                let reason = (n % 10 < 5).then(limited);
                blocks.update(reason, at(n))
            })
            .collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        // A block that lasts is reported.
        let long = (1000..1070).filter_map(|n| blocks.update(Some(limited()), at(n)));
        assert_eq!(long.count(), 1);
    }
}
