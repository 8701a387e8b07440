//! The sort orders of the list. Each is total and depends on the tasks alone: an unchanged task
//! keeps its position as time goes by.

use std::cmp::Ordering;

use jiff::Timestamp;
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::domain::{
    status::{self, Tab},
    task::{FailureStage, TaskId, TaskState},
    watched_task::WatchedTask,
};

/// The length of a title's prefix that is compared, in characters.
const TITLE_KEY_LEN: usize = 64;

/// The sort key: a column, or the last change.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, EnumString, IntoStaticStr, VariantArray,
)]
#[strum(serialize_all = "lowercase")]
pub enum SortColumn {
    #[default]
    Age,
    /// In the order of the tabs.
    Status,
    /// Alphabetically.
    Title,
    /// Run time.
    Took,
    /// Link expiry.
    Link,
    /// Added, started or finished.
    #[strum(serialize = "change")]
    LastChange,
}

impl SortColumn {
    /// In the order of the menu.
    pub const ALL: &'static [Self] = Self::VARIANTS;

    /// Returns the name used in the saved session.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// A sort column and its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct SortOrder {
    pub column: SortColumn,
    /// Whether the column's default direction is reversed.
    pub is_reversed: bool,
}

impl SortOrder {
    /// Returns the column's default order.
    pub const fn new(column: SortColumn) -> Self {
        Self {
            column,
            is_reversed: false,
        }
    }

    #[must_use]
    pub const fn flipped(self) -> Self {
        Self {
            is_reversed: !self.is_reversed,
            ..self
        }
    }

    /// Returns the order that the menu offers for a column: the current one for the current column,
    /// else the default.
    #[must_use]
    pub fn offered(self, column: SortColumn) -> Self {
        if self.column == column {
            self
        } else {
            Self::new(column)
        }
    }

    /// Reports whether the column's values increase from top to bottom.
    pub const fn is_ascending(self) -> bool {
        matches!(self.column, SortColumn::Took | SortColumn::LastChange) == self.is_reversed
    }

    /// Returns the order in words, such as "newest first".
    pub const fn name(self) -> &'static str {
        self.names().0
    }

    /// Returns the order in one word or two, for narrow layouts.
    pub const fn short(self) -> &'static str {
        self.names().1
    }

    const fn names(self) -> (&'static str, &'static str) {
        match (self.column, self.is_reversed) {
            (SortColumn::Age, false) => ("newest first", "newest"),
            (SortColumn::Age, true) => ("oldest first", "oldest"),
            (SortColumn::Status, false) => ("active first", "active"),
            (SortColumn::Status, true) => ("failed first", "failed"),
            (SortColumn::Title, false) => ("title A to Z", "A to Z"),
            (SortColumn::Title, true) => ("title Z to A", "Z to A"),
            (SortColumn::Took, false) => ("longest first", "longest"),
            (SortColumn::Took, true) => ("shortest first", "shortest"),
            (SortColumn::Link, false) => ("expiring first", "expiring"),
            (SortColumn::Link, true) => ("expiring last", "lasting"),
            (SortColumn::LastChange, false) => ("latest change first", "changed"),
            (SortColumn::LastChange, true) => ("latest change last", "unchanged"),
        }
    }

    /// Returns the name used in the saved session: "age", or "-age" if reversed.
    pub fn key(self) -> String {
        let sign = if self.is_reversed { "-" } else { "" };
        format!("{sign}{}", self.column.name())
    }

    /// Parses the name used in the saved session.
    pub fn from_key(key: &str) -> Option<Self> {
        let name = key.strip_prefix('-').unwrap_or(key);
        let column = name.parse().ok()?;
        Some(Self {
            column,
            is_reversed: name.len() < key.len(),
        })
    }

    /// Returns the sort key of a task. Links that were expired at `as_of` come last.
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
            started_at: watched.started_at(),
        }
    }

    /// Returns the numeric part of the sort key, which nearly always decides.
    pub(super) fn sort_rank(
        self,
        watched: &WatchedTask,
        as_of: Timestamp,
        retention: std::time::Duration,
    ) -> SortRank {
        let started_at = watched.started_at();
        let time = |at: Timestamp| i128::from(at.as_microsecond());
        let (group, value) = match self.column {
            SortColumn::Age => (0, -time(started_at)),
            SortColumn::LastChange => (0, -time(watched.changed_at())),
            SortColumn::Status => (0, i128::from(state_rank(watched))),
            SortColumn::Title => (0, title_prefix_key(watched.title())),
            SortColumn::Took => match watched.task.run_time() {
                // The oldest has been running longest, and stays so.
                None if !watched.task.state().is_final() => (0, time(started_at)),
                None => (2, 0),
                Some(took) => (1, -i128::try_from(took.as_micros()).unwrap_or(i128::MAX)),
            },
            SortColumn::Link => match status::expires_at(&watched.task, retention) {
                Some(end) if end > as_of => (0, time(end)),
                None if watched.task.state().videos().next().is_some() => (1, 0),
                // The link that expired last is the most likely to be missed.
                Some(end) => (2, -time(end)),
                None => (3, 0),
            },
        };
        let value = if self.is_reversed { -value } else { value };
        SortRank { group, value }
    }

    /// Compares two sort keys; ties by age, newest first, then by id, so that the order is total.
    pub(super) fn compare(self, a: (&SortKey, &TaskId), b: (&SortKey, &TaskId)) -> Ordering {
        let ((a, a_id), (b, b_id)) = (a, b);
        let reversed = |ordering: Ordering, is_reversed| {
            if is_reversed {
                ordering.reverse()
            } else {
                ordering
            }
        };
        let title = reversed(a.title.cmp(&b.title), self.is_reversed);
        let is_oldest_first = self == Self::new(SortColumn::Age).flipped();
        let age = reversed(b.started_at.cmp(&a.started_at), is_oldest_first);
        a.rank
            .cmp(&b.rank)
            .then(title)
            .then(age)
            .then_with(|| a_id.cmp(b_id))
    }
}

/// The numeric part of a sort key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SortRank {
    /// Not affected by the direction: tasks without a value come last in both.
    group: u8,
    /// Negated already if the order is reversed.
    value: i128,
}

/// The position of a task in an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SortKey {
    rank: SortRank,
    /// Set if sorted by title.
    title: Option<Box<str>>,
    started_at: Timestamp,
}

/// Returns the rank of a state: in the order of the tabs, and within a tab by urgency.
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

/// Returns the start of a title, in lower case.
fn fold_title(title: &str) -> Box<str> {
    title
        .chars()
        .take(TITLE_KEY_LEN)
        .flat_map(char::to_lowercase)
        .collect::<String>()
        .into()
}

/// Returns the first 15 bytes of a title, in lower case, as a number in the same order. Most titles
/// differ there, and comparing numbers needs no memory access.
fn title_prefix_key(title: &str) -> i128 {
    let mut number = 0;
    let mut remaining = 15;
    let mut utf8 = [0; 4];
    for c in title.chars().take(15).flat_map(char::to_lowercase) {
        for byte in c.encode_utf8(&mut utf8).bytes().take(remaining) {
            number = number << 8 | i128::from(byte);
            remaining -= 1;
        }
    }
    number << (8 * remaining)
}
