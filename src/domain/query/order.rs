//! The orders a list can stand in. Each is total and depends on the tasks alone: one that keeps its
//! facts keeps its place, whatever the clock says.

use std::cmp::{Ordering, Reverse};

use jiff::Timestamp;

use crate::domain::{
    status::{self, Tab},
    task::{FailureStage, TaskId, TaskState},
    watched_task::WatchedTask,
};

/// How much of a title counts for its place, in characters.
const TITLE_KEY_LEN: usize = 64;

/// What a list is ordered by: a column, or what a column does not show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum SortColumn {
    /// The age.
    #[default]
    Age,
    /// The status, by the order of the tabs.
    Status,
    /// The title, by the alphabet.
    Title,
    /// How long it has been running, or took.
    Took,
    /// When the link expires.
    Link,
    /// When something last happened to it: added, begun, or ended.
    LastChange,
}

impl SortColumn {
    /// The sorts in the order of the menu.
    pub const ALL: [Self; 6] = [
        Self::Age,
        Self::Status,
        Self::Title,
        Self::Took,
        Self::Link,
        Self::LastChange,
    ];

    /// Returns the name under which it is remembered.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Status => "status",
            Self::Title => "title",
            Self::Took => "took",
            Self::Link => "link",
            Self::LastChange => "change",
        }
    }
}

/// The order of a list: by what, and from which end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SortOrder {
    /// By what.
    pub column: SortColumn,
    /// Whether the usual last one comes first.
    pub is_reversed: bool,
}

impl SortOrder {
    /// Returns the order by something, from its usual end.
    pub const fn new(sort: SortColumn) -> Self {
        Self {
            column: sort,
            is_reversed: false,
        }
    }

    /// Returns the same from the other end.
    #[must_use]
    pub const fn flipped(self) -> Self {
        Self {
            is_reversed: !self.is_reversed,
            ..self
        }
    }

    /// Returns the order a menu offers for something: the one in force where it is by that, else
    /// from its usual end.
    #[must_use]
    pub fn offered(self, sort: SortColumn) -> Self {
        if self.column == sort {
            self
        } else {
            Self::new(sort)
        }
    }

    /// Reports whether the column's figures grow downwards in it.
    pub const fn is_ascending(self) -> bool {
        matches!(self.column, SortColumn::Took | SortColumn::LastChange) == self.is_reversed
    }

    /// Returns what comes first: "newest first".
    pub const fn name(self) -> &'static str {
        match (self.column, self.is_reversed) {
            (SortColumn::Age, false) => "newest first",
            (SortColumn::Age, true) => "oldest first",
            (SortColumn::Status, false) => "active first",
            (SortColumn::Status, true) => "failed first",
            (SortColumn::Title, false) => "title A to Z",
            (SortColumn::Title, true) => "title Z to A",
            (SortColumn::Took, false) => "longest first",
            (SortColumn::Took, true) => "shortest first",
            (SortColumn::Link, false) => "expiring first",
            (SortColumn::Link, true) => "expiring last",
            (SortColumn::LastChange, false) => "latest change first",
            (SortColumn::LastChange, true) => "latest change last",
        }
    }

    /// Returns the same in one word or two, where room is scarce.
    pub const fn short(self) -> &'static str {
        match (self.column, self.is_reversed) {
            (SortColumn::Age, false) => "newest",
            (SortColumn::Age, true) => "oldest",
            (SortColumn::Status, false) => "active",
            (SortColumn::Status, true) => "failed",
            (SortColumn::Title, false) => "A to Z",
            (SortColumn::Title, true) => "Z to A",
            (SortColumn::Took, false) => "longest",
            (SortColumn::Took, true) => "shortest",
            (SortColumn::Link, false) => "expiring",
            (SortColumn::Link, true) => "lasting",
            (SortColumn::LastChange, false) => "changed",
            (SortColumn::LastChange, true) => "unchanged",
        }
    }

    /// Returns the name under which it is remembered: "age", and "-age" for the reverse.
    pub fn key(self) -> String {
        let sign = if self.is_reversed { "-" } else { "" };
        format!("{sign}{}", self.column.name())
    }

    /// Finds an order by the name under which it was remembered.
    pub fn from_key(key: &str) -> Option<Self> {
        let name = key.strip_prefix('-').unwrap_or(key);
        let sort = SortColumn::ALL
            .into_iter()
            .find(|sort| sort.name() == name)?;
        Some(Self {
            column: sort,
            is_reversed: name.len() < key.len(),
        })
    }

    /// Returns where a task belongs. Links that were dead at `as_of` come after those that were
    /// not.
    pub(super) fn sort_key(
        self,
        watched: &WatchedTask,
        as_of: Timestamp,
        retention: std::time::Duration,
    ) -> SortKey {
        let title = (self.column == SortColumn::Title).then(|| fold_title(watched.title()));
        SortKey {
            rank: self.sort_rank(watched, as_of, retention),
            title,
            submitted: watched.started_at(),
        }
    }

    /// Returns what of a place decides nearly always, as numbers.
    pub(super) fn sort_rank(
        self,
        watched: &WatchedTask,
        as_of: Timestamp,
        retention: std::time::Duration,
    ) -> SortRank {
        let submitted = watched.started_at();
        let time = |at: Timestamp| i128::from(at.as_microsecond());
        let (class, value) = match self.column {
            SortColumn::Age => (0, -time(submitted)),
            SortColumn::LastChange => (0, -time(watched.changed_at())),
            SortColumn::Status => (0, i128::from(state_rank(watched))),
            SortColumn::Title => (0, title_prefix_key(watched.title())),
            SortColumn::Took => match watched.task.run_time() {
                // The oldest has been running longest; all of them go on, so they stand together.
                None if !watched.task.state().is_final() => (0, time(submitted)),
                None => (2, 0),
                Some(took) => (1, -i128::try_from(took.as_micros()).unwrap_or(i128::MAX)),
            },
            SortColumn::Link => match status::expires_at(&watched.task, retention) {
                Some(end) if end > as_of => (0, time(end)),
                None if watched.task.state().videos().next().is_some() => (1, 0),
                // The one that died last is the one a person may still miss.
                Some(end) => (2, -time(end)),
                None => (3, 0),
            },
        };
        let value = if self.is_reversed { -value } else { value };
        SortRank {
            group: class,
            value,
        }
    }

    /// Compares two places; equals by age, newest first, then by id, so that the order is total.
    pub(super) fn compare(self, a: (&SortKey, &TaskId), b: (&SortKey, &TaskId)) -> Ordering {
        let ((a, a_id), (b, b_id)) = (a, b);
        let title = a.title.cmp(&b.title);
        let title = if self.is_reversed {
            title.reverse()
        } else {
            title
        };
        let age = Reverse(a.submitted).cmp(&Reverse(b.submitted));
        let age = if self == Self::new(SortColumn::Age).flipped() {
            age.reverse()
        } else {
            age
        };
        a.rank
            .cmp(&b.rank)
            .then(title)
            .then(age)
            .then_with(|| a_id.cmp(b_id))
    }
}

/// What of a place decides nearly always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SortRank {
    /// Which part of the list, whatever the direction: what has no such value is last both ways.
    group: u8,
    /// Where in it, turned round already where the order is.
    value: i128,
}

/// Where a task belongs in an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SortKey {
    rank: SortRank,
    /// The title where it decides.
    title: Option<Box<str>>,
    submitted: Timestamp,
}

/// Returns the rank of a state by the order of the tabs, and within them of what needs a look
/// first.
fn state_rank(watched: &WatchedTask) -> u8 {
    match (watched.tab(), watched.task.state()) {
        (_, TaskState::Running { .. }) => 0,
        (_, TaskState::New) => 1,
        (_, TaskState::Unrecognised) => 2,
        (_, TaskState::NotFound) => 3,
        (Tab::Rescued, _) => 5,
        (
            _,
            TaskState::Failed {
                stage: FailureStage::Generation,
            },
        ) => 6,
        (_, TaskState::Failed { .. }) => 7,
        (_, TaskState::Succeeded { .. }) => 4,
    }
}

/// Returns the beginning of a title, in small letters.
fn fold_title(title: &str) -> Box<str> {
    title
        .chars()
        .take(TITLE_KEY_LEN)
        .flat_map(char::to_lowercase)
        .collect::<String>()
        .into()
}

/// Returns the first bytes of a title, in small letters, as a number that sorts like them: most
/// titles differ there, and a number is compared without a look elsewhere.
fn title_prefix_key(title: &str) -> i128 {
    let mut number = 0;
    let mut room = 15;
    let mut utf8 = [0; 4];
    for c in title.chars().take(15).flat_map(char::to_lowercase) {
        for byte in c.encode_utf8(&mut utf8).bytes().take(room) {
            number = number << 8 | i128::from(byte);
            room -= 1;
        }
    }
    number << (8 * room)
}
