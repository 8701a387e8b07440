//! What a row is called: the one word a person reads, and how long a result's link still lives.
//!
//! Knows states and times; glyphs and colours are `ui::theme`'s.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    estimate::Estimate,
    task::{CallbackStatus, FailureStage, Task, TaskState},
    time::{self, Now},
};

/// How long results are kept by default: the stated policy for media, an estimate for this API.
pub const DEFAULT_RETENTION: Duration = Duration::from_hours(14 * 24);

/// From when on an ending life of a link is pointed out (`!`).
pub const EXPIRING: Duration = Duration::from_hours(48);

/// From when on it is pointed out twice (`!!`).
pub const EXPIRING_SOON: Duration = Duration::from_hours(24);

/// The word for a task's state as a person sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Status {
    /// Never answered for yet.
    New,
    /// Being made.
    Generating,
    /// Being made, with the results there already.
    Finishing,
    /// Being made for longer than nineteen in twenty others took.
    Late,
    /// Made; the link lives.
    Ready,
    /// Made, and on this machine's disk, whatever becomes of the link.
    Saved,
    /// Made, but the server gave no link.
    NoLink,
    /// Made; the link has probably expired.
    LinkExpired,
    /// Made; only the callback failed.
    CallbackFailed,
    /// Not made: the task could not be created.
    CreateFailed,
    /// Not made: the generation failed.
    GenerationFailed,
    /// The server knows no such task.
    NotFound,
    /// An answer we do not understand.
    Unknown,
}

impl Status {
    /// Every status there is.
    pub const ALL: [Self; 13] = [
        Self::New,
        Self::Generating,
        Self::Finishing,
        Self::Late,
        Self::Ready,
        Self::Saved,
        Self::NoLink,
        Self::LinkExpired,
        Self::CallbackFailed,
        Self::CreateFailed,
        Self::GenerationFailed,
        Self::NotFound,
        Self::Unknown,
    ];

    /// Returns the status of a task at that time, whose results are kept like that.
    pub fn for_task(
        task: &Task,
        keeping: ResultLocation,
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
            TaskState::Succeeded {
                callback: delivery, ..
            } => match (link_expiry(task, keeping, retention, now), delivery) {
                (LinkExpiry::Expired, _) => Self::LinkExpired,
                (_, CallbackStatus::Failed) => Self::CallbackFailed,
                (LinkExpiry::Saved, CallbackStatus::Delivered) => Self::Saved,
                (_, CallbackStatus::Delivered) => Self::Ready,
            },
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

/// A state tab.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Tab {
    /// Every task.
    #[default]
    All,
    /// What has not ended.
    Active,
    /// Made and delivered.
    Ready,
    /// Made, the callback failed.
    Rescued,
    /// Not made.
    Failed,
    /// Links that die within two days.
    Expiring,
}

impl Tab {
    /// The tabs in their order on the screen.
    pub const ALL: [Self; 6] = [
        Self::All,
        Self::Active,
        Self::Ready,
        Self::Rescued,
        Self::Failed,
        Self::Expiring,
    ];

    /// Returns the tab's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Active => "Active",
            Self::Ready => "Ready",
            Self::Rescued => "Rescued",
            Self::Failed => "Failed",
            Self::Expiring => "Expiring",
        }
    }

    /// Finds a tab by its name, in any case.
    pub fn parse(name: &str) -> Option<Self> {
        let is_meant = |tab: &Self| tab.name().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(is_meant)
    }

    /// Returns the tab after this one, around the end.
    #[must_use]
    pub fn next(self) -> Self {
        self.step(1)
    }

    /// Returns the tab before this one, around the start.
    #[must_use]
    pub fn previous(self) -> Self {
        self.step(Self::ALL.len() - 1)
    }

    fn step(self, by: usize) -> Self {
        let at = Self::ALL
            .into_iter()
            .position(|tab| tab == self)
            .unwrap_or_default();
        Self::ALL
            .into_iter()
            .cycle()
            .nth(at + by)
            .unwrap_or_default()
    }
}

/// Where the results of a task are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultLocation {
    /// At the server at best, or some of them.
    OnServer,
    /// All of them are on this machine's disk.
    OnDisk,
}

/// What is left of a result link's life, an estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkExpiry {
    /// There is no link.
    None,
    /// It does not matter any more: the results are on this machine's disk.
    Saved,
    /// It lives about that long.
    Remaining(Duration),
    /// It has probably expired.
    Expired,
    /// There is a link, and no telling when it was made.
    Unknown,
}

/// How near the end of a link's life is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Days away, or there is no end to speak of.
    None,
    /// Less than two days away ([`EXPIRING`]).
    Soon,
    /// Less than a day away ([`EXPIRING_SOON`]).
    VerySoon,
}

impl LinkExpiry {
    /// Returns how near its end is.
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

/// Returns when a task's result link expires, if it has one and its end is known.
pub fn expires_at(task: &Task, retention: Duration) -> Option<Timestamp> {
    task.state().videos().next()?;
    task.details()
        .completed
        .map(|completed| time::saturating_add(completed, retention))
}

/// Returns what is left of the life of a task's result link.
pub fn link_expiry(
    task: &Task,
    keeping: ResultLocation,
    retention: Duration,
    now: Now,
) -> LinkExpiry {
    if task.state().videos().next().is_none() {
        return LinkExpiry::None;
    }
    if keeping == ResultLocation::OnDisk {
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
        let facts = TaskDetails {
            created: Some(second(created)),
            completed: completed.map(second),
            ..TaskDetails::default()
        };
        Task::from_stored(TaskId::parse("a").unwrap(), Family::default(), state, facts)
    }

    #[test]
    fn every_status_has_a_name() {
        let success = |urls: &[&str], delivery| TaskState::Succeeded {
            videos: Links::parse(urls.iter().copied()),
            callback: delivery,
        };
        let url = &["https://ex.com/1.mp4"][..];
        let running = |is_finishing| TaskState::Running { is_finishing };
        let failed = |stage| TaskState::Failed { stage };
        let dead = -i64::try_from(DEFAULT_RETENTION.as_secs()).unwrap();
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
                dead - 60,
                Some(dead + 1),
                Status::Ready,
            ),
            (
                success(url, CallbackStatus::Delivered),
                dead - 60,
                Some(dead),
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
                dead - 60,
                Some(dead),
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
        for (state, created, completed, word) in table {
            let task = task(state, created, completed);
            let status = Status::for_task(
                &task,
                ResultLocation::OnServer,
                &Estimate::default(),
                DEFAULT_RETENTION,
                now,
            );
            assert_eq!(status, word, "{task:?}");
        }
    }

    #[test]
    fn tabs_wrap_around() {
        for tab in Tab::ALL {
            assert_eq!(tab.next().previous(), tab);
        }
        assert_eq!(Tab::All.previous(), Tab::Expiring);
        assert_eq!(Tab::Expiring.next(), Tab::All);
    }
}
