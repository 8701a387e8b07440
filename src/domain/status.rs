//! The status of a task as shown in its row, the tabs, and the expiry of result links.
//!
//! Knows states and times; `ui::theme` has glyphs and colours.

use std::time::Duration;

use jiff::Timestamp;
use strum::{EnumString, IntoStaticStr, VariantArray};

use super::{
    estimate::Estimate,
    task::{CallbackStatus, FailureStage, Task, TaskState},
    time::{self, Now},
};

/// How long the server keeps results: the stated policy for media, an estimate for this API.
pub const DEFAULT_RETENTION: Duration = Duration::from_hours(14 * 24);

/// The remaining time of a link below which it is marked with `!`.
pub const EXPIRING: Duration = Duration::from_hours(48);

/// The remaining time of a link below which it is marked with `!!`.
pub const EXPIRING_SOON: Duration = Duration::from_hours(24);

/// The status of a task as the user sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, VariantArray)]
pub enum Status {
    /// Not answered yet.
    New,
    Generating,
    /// Generating, with results already in the answer.
    Finishing,
    /// Generating for longer than the estimate's p95.
    Late,
    Ready,
    /// On disk, even if the link has expired.
    Saved,
    /// Finished, but without a link.
    NoLink,
    /// The link has probably expired.
    LinkExpired,
    /// Finished; only the callback failed.
    CallbackFailed,
    CreateFailed,
    GenerationFailed,
    NotFound,
    Unknown,
}

impl Status {
    pub const ALL: &'static [Self] = Self::VARIANTS;

    pub fn for_task(
        task: &Task,
        location: ResultLocation,
        estimate: &Estimate,
        retention: Duration,
        now: Now,
    ) -> Self {
        match task.state() {
            TaskState::New => Self::New,
            TaskState::Running { is_finishing: true } => Self::Finishing,
            TaskState::Running {
                is_finishing: false,
            } => match task.details().created {
                Some(created) if now.age_of(created) > estimate.late => Self::Late,
                _ => Self::Generating,
            },
            TaskState::Succeeded { videos, .. } if videos.is_empty() => Self::NoLink,
            TaskState::Succeeded { callback, .. } => {
                match (link_expiry(task, location, retention, now), callback) {
                    (LinkExpiry::Expired, _) => Self::LinkExpired,
                    (_, CallbackStatus::Failed) => Self::CallbackFailed,
                    (LinkExpiry::Saved, CallbackStatus::Delivered) => Self::Saved,
                    (_, CallbackStatus::Delivered) => Self::Ready,
                }
            }
            TaskState::Failed {
                stage: FailureStage::Creation,
            } => Self::CreateFailed,
            TaskState::Failed {
                stage: FailureStage::Generation,
            } => Self::GenerationFailed,
            TaskState::NotFound => Self::NotFound,
            TaskState::Unrecognised => Self::Unknown,
        }
    }
}

/// A tab of the list.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, EnumString, IntoStaticStr, VariantArray,
)]
pub enum Tab {
    #[default]
    All,
    /// Unfinished.
    Active,
    Ready,
    /// Finished, but the callback failed.
    Rescued,
    Failed,
    /// Links that expire within two days.
    Expiring,
}

impl Tab {
    /// In the order of the screen.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the name used in the saved session.
    pub fn key(self) -> &'static str {
        self.into()
    }

    /// Parses the name used in the saved session.
    pub fn from_key(key: &str) -> Option<Self> {
        key.parse().ok()
    }

    /// Returns the next tab; after the last, the first.
    #[must_use]
    pub fn next(self) -> Self {
        self.step(1)
    }

    /// Returns the previous tab; before the first, the last.
    #[must_use]
    pub fn previous(self) -> Self {
        self.step(Self::ALL.len() - 1)
    }

    fn step(self, by: usize) -> Self {
        let tabs = Self::ALL.iter().cycle();
        let mut from_self = tabs.skip_while(|tab| **tab != self);
        from_self.nth(by).copied().unwrap_or_default()
    }
}

/// The location of a task's results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultLocation {
    /// At least one result is not on disk.
    OnServer,
    OnDisk,
}

/// The estimated expiry of a result link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkExpiry {
    None,
    /// No longer relevant: the results are on disk.
    Saved,
    Remaining(Duration),
    Expired,
    /// The completion time is unknown.
    Unknown,
}

/// The urgency of an expiring link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    None,
    /// Within two days ([`EXPIRING`]).
    Soon,
    /// Within a day ([`EXPIRING_SOON`]).
    VerySoon,
}

impl LinkExpiry {
    pub fn urgency(self) -> Urgency {
        match self {
            Self::Remaining(left) if left < EXPIRING_SOON => Urgency::VerySoon,
            Self::Remaining(left) if left < EXPIRING => Urgency::Soon,
            Self::Remaining(_) | Self::None | Self::Saved | Self::Expired | Self::Unknown => {
                Urgency::None
            }
        }
    }
}

/// Returns the expiry of a task's result link, if it has one and was completed at a known time.
pub fn expires_at(task: &Task, retention: Duration) -> Option<Timestamp> {
    task.state().videos().next()?;
    task.details()
        .completed
        .map(|completed| time::saturating_add(completed, retention))
}

pub fn link_expiry(
    task: &Task,
    location: ResultLocation,
    retention: Duration,
    now: Now,
) -> LinkExpiry {
    if task.state().videos().next().is_none() {
        return LinkExpiry::None;
    }
    if location == ResultLocation::OnDisk {
        return LinkExpiry::Saved;
    }
    match expires_at(task, retention) {
        None => LinkExpiry::Unknown,
        Some(end) if end <= now.wall => LinkExpiry::Expired,
        Some(end) => LinkExpiry::Remaining(now.until(end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        link::Links,
        task::{Family, TaskDetails, TaskId},
        time::Mono,
    };

    fn second(n: i64) -> Timestamp {
        Timestamp::from_second(1_777_000_000 + n).unwrap()
    }

    fn task(state: TaskState, created: i64, completed: Option<i64>) -> Task {
        let details = TaskDetails {
            created: Some(second(created)),
            completed: completed.map(second),
            ..TaskDetails::default()
        };
        Task::from_stored(
            TaskId::parse("a").unwrap(),
            Family::default(),
            state,
            details,
        )
    }

    #[test]
    fn every_status_has_a_name() {
        let success = |urls: &[&str], callback| TaskState::Succeeded {
            videos: Links::parse(urls.iter().copied()),
            callback,
        };
        let url = &["https://ex.com/1.mp4"][..];
        let running = |is_finishing| TaskState::Running { is_finishing };
        let failed = |stage| TaskState::Failed { stage };
        let expired = -i64::try_from(DEFAULT_RETENTION.as_secs()).unwrap();
        let table = [
            (TaskState::New, 0, None, Status::New),
            (running(false), -900, None, Status::Generating),
            (running(false), -901, None, Status::Late),
            (running(false), 99_999, None, Status::Generating),
            (running(true), -9_999, Some(0), Status::Finishing),
            (
                success(url, CallbackStatus::Delivered),
                -60,
                Some(0),
                Status::Ready,
            ),
            (
                success(url, CallbackStatus::Delivered),
                -60,
                None,
                Status::Ready,
            ),
            (
                success(url, CallbackStatus::Delivered),
                expired - 60,
                Some(expired + 1),
                Status::Ready,
            ),
            (
                success(url, CallbackStatus::Delivered),
                expired - 60,
                Some(expired),
                Status::LinkExpired,
            ),
            (
                success(url, CallbackStatus::Failed),
                -60,
                Some(0),
                Status::CallbackFailed,
            ),
            (
                success(url, CallbackStatus::Failed),
                expired - 60,
                Some(expired),
                Status::LinkExpired,
            ),
            (
                success(&[], CallbackStatus::Delivered),
                -60,
                Some(0),
                Status::NoLink,
            ),
            (
                failed(FailureStage::Creation),
                -60,
                Some(0),
                Status::CreateFailed,
            ),
            (
                failed(FailureStage::Generation),
                -60,
                Some(0),
                Status::GenerationFailed,
            ),
            (TaskState::NotFound, -60, None, Status::NotFound),
            (TaskState::Unrecognised, -60, None, Status::Unknown),
        ];
        let now = Now {
            wall: second(0),
            mono: Mono::default(),
        };
        for (state, created, completed, expected) in table {
            let task = task(state, created, completed);
            let status = Status::for_task(
                &task,
                ResultLocation::OnServer,
                &Estimate::default(),
                DEFAULT_RETENTION,
                now,
            );
            assert_eq!(status, expected, "{task:?}");
        }
    }

    #[test]
    fn tabs_wrap_around() {
        for tab in Tab::ALL.iter().copied() {
            assert_eq!(tab.next().previous(), tab);
        }
        assert_eq!(Tab::All.previous(), Tab::Expiring);
        assert_eq!(Tab::Expiring.next(), Tab::All);
    }
}
