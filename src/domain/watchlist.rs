//! The watch list: the watched tasks with their indexes.
//!
//! Each change goes through [`Watchlist::insert`], [`Watchlist::remove`] or [`Watchlist::update`].
//! They update the indexes (due times, link expiries, counts, run times) at a cost that does not
//! depend on the length of the list.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};

use super::{
    estimate::RunTimes,
    label_index::LabelIndex,
    schedule::PollState,
    status::{EXPIRING, Tab},
    task::{TaskId, TaskState},
    time::{Mono, Now},
    watched_task::WatchedTask,
};

/// The number of tasks by tab and by poll state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TaskCounts {
    pub all: usize,
    /// Unfinished.
    pub active: usize,
    /// Part of `active`.
    pub generating: usize,
    pub ready: usize,
    /// Finished, but the callback failed.
    pub rescued: usize,
    pub failed: usize,
    pub in_flight: usize,
}

impl TaskCounts {
    /// Adds (`+1`) or subtracts (`-1`) one task.
    fn count(&mut self, watched: &WatchedTask, by: isize) {
        let add = |n: &mut usize| *n = n.saturating_add_signed(by);
        add(&mut self.all);
        add(match watched.tab() {
            Tab::Ready => &mut self.ready,
            Tab::Rescued => &mut self.rescued,
            Tab::Failed => &mut self.failed,
            Tab::All | Tab::Active | Tab::Expiring => &mut self.active,
        });
        if matches!(watched.task.state(), TaskState::Running { .. }) {
            add(&mut self.generating);
        }
        if matches!(watched.poll_state, PollState::InFlight { .. }) {
            add(&mut self.in_flight);
        }
    }
}

#[derive(Debug, Clone)]
pub struct Watchlist {
    by_id: HashMap<TaskId, WatchedTask>,
    due: BTreeSet<(Mono, TaskId)>,
    in_flight: BTreeSet<(Mono, TaskId)>,
    link_expiries: BTreeSet<(Timestamp, TaskId)>,
    finished: BTreeSet<(Timestamp, TaskId)>,
    /// A moment and the number of links that expire within two days of it, from which the number at
    /// a later moment is a few steps away.
    counted: (Timestamp, usize),
    counts: TaskCounts,
    labels: LabelIndex,
    run_times: RunTimes,
    retention: Duration,
}

impl Watchlist {
    /// Returns an empty list; results expire after `retention`.
    pub fn new(retention: Duration) -> Self {
        Self {
            by_id: HashMap::new(),
            due: BTreeSet::new(),
            in_flight: BTreeSet::new(),
            link_expiries: BTreeSet::new(),
            finished: BTreeSet::new(),
            counted: (Timestamp::MIN, 0),
            counts: TaskCounts::default(),
            labels: LabelIndex::default(),
            run_times: RunTimes::default(),
            retention,
        }
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub fn get(&self, id: &TaskId) -> Option<&WatchedTask> {
        self.by_id.get(id)
    }

    /// Returns all tasks, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &WatchedTask> {
        self.by_id.values()
    }

    pub const fn counts(&self) -> TaskCounts {
        self.counts
    }

    pub const fn labels(&self) -> &LabelIndex {
        &self.labels
    }

    pub const fn run_times(&self) -> &RunTimes {
        &self.run_times
    }

    pub const fn retention(&self) -> Duration {
        self.retention
    }

    /// Returns the number of links that expire within two days.
    pub fn expiring(&self, now: Now) -> usize {
        let (then, known) = self.counted;
        if now.wall < then {
            return self.expiring_ids(now).count();
        }
        let entering = self.links_expiring_between(
            super::time::saturating_add(then, EXPIRING),
            super::time::saturating_add(now.wall, EXPIRING),
        );
        let expired = self.links_expiring_between(then, now.wall);
        (known + entering.count()).saturating_sub(expired.count())
    }

    /// Updates the counted moment, so that counting stays cheap.
    pub fn advance_to(&mut self, now: Now) {
        self.counted = (now.wall, self.expiring(now));
    }

    /// Returns the links that expire after `after` and not after `until`.
    fn links_expiring_between(
        &self,
        after: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = &TaskId> {
        let bounds = (
            Bound::Excluded((after, TaskId::upper_bound())),
            Bound::Included((until.max(after), TaskId::upper_bound())),
        );
        let expiries = (after < until).then(|| self.link_expiries.range(bounds));
        expiries.into_iter().flatten().map(|(_, id)| id)
    }

    /// Reports whether an expiry is included in `counted`.
    fn is_in_expiring_count(&self, end: Timestamp) -> bool {
        let (then, _) = self.counted;
        then < end && end <= super::time::saturating_add(then, EXPIRING)
    }

    /// Returns the tasks whose links expire within two days, the first to expire first.
    pub fn expiring_ids(&self, now: Now) -> impl Iterator<Item = &TaskId> {
        self.links_expiring_between(now.wall, super::time::saturating_add(now.wall, EXPIRING))
    }

    /// Returns when the next link expires, or starts its last two days.
    pub fn next_expiry(&self, now: Now) -> Option<Timestamp> {
        let first_after = |at| {
            let bounds = (
                Bound::Excluded((at, TaskId::upper_bound())),
                Bound::Unbounded,
            );
            self.link_expiries.range(bounds).next().map(|(end, _)| *end)
        };
        let next_end = first_after(now.wall);
        let next_soon =
            first_after(super::time::saturating_add(now.wall, EXPIRING)).and_then(|end| {
                end.checked_sub(SignedDuration::try_from(EXPIRING).ok()?)
                    .ok()
            });
        next_end.into_iter().chain(next_soon).min()
    }

    /// Returns the finished tasks, latest first.
    pub fn finished(&self) -> impl Iterator<Item = (Timestamp, &WatchedTask)> {
        self.finished
            .iter()
            .rev()
            .filter_map(|(at, id)| self.get(id).map(|watched| (*at, watched)))
    }

    /// Adds or replaces a task.
    pub fn insert(&mut self, watched: WatchedTask) {
        self.remove(&watched.id().clone());
        self.index(&watched);
        self.by_id.insert(watched.id().clone(), watched);
    }

    pub fn remove(&mut self, id: &TaskId) -> Option<WatchedTask> {
        let watched = self.by_id.remove(id)?;
        self.unindex(&watched);
        Some(watched)
    }

    /// Changes a task and its index entries. `None` if it is not on the list.
    pub fn update<R>(
        &mut self,
        id: &TaskId,
        change: impl FnOnce(&mut WatchedTask) -> R,
    ) -> Option<R> {
        let mut watched = self.remove(id)?;
        let result = change(&mut watched);
        self.index(&watched);
        self.by_id.insert(watched.id().clone(), watched);
        Some(result)
    }

    /// Returns the due tasks, longest waiting first.
    pub fn due(&self, now: Mono) -> impl Iterator<Item = &TaskId> {
        self.due
            .iter()
            .take_while(move |(at, _)| *at <= now)
            .map(|(_, id)| id)
    }

    pub fn next_due(&self) -> Option<Mono> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Returns the tasks in flight with the start of their requests, oldest first.
    pub fn in_flight(&self) -> impl Iterator<Item = (Mono, &TaskId)> {
        self.in_flight.iter().map(|(since, id)| (*since, id))
    }

    fn index(&mut self, watched: &WatchedTask) {
        self.set_indexed(watched, true);
        self.run_times.record(&watched.task);
        self.labels.add(watched.label.as_ref());
        self.counts.count(watched, 1);
    }

    fn unindex(&mut self, watched: &WatchedTask) {
        self.set_indexed(watched, false);
        self.run_times.remove(&watched.task);
        self.labels.remove(watched.label.as_ref());
        self.counts.count(watched, -1);
    }

    /// Adds the times of a task to the ordered sets, or removes them.
    fn set_indexed(&mut self, watched: &WatchedTask, is_added: bool) {
        fn set<T: Ord>(times: &mut BTreeSet<(T, TaskId)>, at: T, id: &TaskId, is_added: bool) {
            let entry = (at, id.clone());
            if is_added {
                times.insert(entry);
            } else {
                times.remove(&entry);
            }
        }
        let id = watched.id();
        match watched.poll_state {
            PollState::DueAt(at) => set(&mut self.due, at, id, is_added),
            PollState::InFlight { since, .. } => set(&mut self.in_flight, since, id, is_added),
            PollState::Stopped(_) => {}
        }
        if let Some(end) = watched.relevant_expiry(self.retention) {
            if self.is_in_expiring_count(end) {
                let by = if is_added { 1 } else { -1 };
                self.counted.1 = self.counted.1.saturating_add_signed(by);
            }
            set(&mut self.link_expiries, end, id, is_added);
        }
        if watched.task.state().is_final() {
            set(&mut self.finished, watched.ended_at(), id, is_added);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{
        link::Links,
        query::{self, ListView, Query, SortColumn, SortOrder, VisibleRows},
        schedule::{PollAttempt, StopReason},
        status::DEFAULT_RETENTION,
        task::{CallbackStatus, FailureStage, Family, Task, TaskDetails},
        text::CleanText,
    };

    fn second(n: i64) -> Timestamp {
        Timestamp::from_second(1_777_000_000 + n).unwrap()
    }

    fn now(hours: i64) -> Now {
        Now {
            wall: second(hours * 3600),
            mono: Mono::at(Duration::from_hours(1)),
        }
    }

    /// Returns a task with that id; `kind` selects its state and times.
    fn watched(name: u8, kind: u32) -> WatchedTask {
        let success = |urls: &[&str], delivery| TaskState::Succeeded {
            videos: Links::parse(urls.iter().copied()),
            callback: delivery,
        };
        let state = match kind % 8 {
            0 => TaskState::New,
            1 => TaskState::Running {
                is_finishing: false,
            },
            2 => success(&["https://ex.com/1.mp4"], CallbackStatus::Delivered),
            3 => success(&["https://ex.com/1.mp4"], CallbackStatus::Failed),
            4 => success(&[], CallbackStatus::Delivered),
            5 => TaskState::Failed {
                stage: FailureStage::Creation,
            },
            6 => TaskState::NotFound,
            _ => TaskState::Unrecognised,
        };
        let hours = i64::from(kind / 8 % 40) * 12;
        let details = TaskDetails {
            created: (!kind.is_multiple_of(3)).then(|| second(-hours * 3600 - 100)),
            completed: (!kind.is_multiple_of(5)).then(|| second(-hours * 3600)),
            ..TaskDetails::default()
        };
        let id = TaskId::parse(&format!("t{name}")).unwrap();
        let task = Task::from_stored(id, Family::default(), state, details);
        let poll_state = match kind / 320 % 3 {
            0 => PollState::DueAt(Mono::at(Duration::from_secs(kind.into()))),
            1 => PollState::InFlight {
                attempt: PollAttempt(kind),
                since: Mono::at(Duration::from_secs((kind % 50).into())),
            },
            _ => PollState::Stopped(StopReason::Finished),
        };
        WatchedTask {
            poll_state,
            ..WatchedTask::new(task, None, second(i64::from(name % 3)))
        }
    }

    /// Returns everything observable, for comparison.
    fn snapshot(list: &Watchlist, now: Now) -> impl PartialEq + std::fmt::Debug {
        let mono = Mono::at(Duration::from_secs(500));
        (
            list.counts(),
            list.due(mono).cloned().collect::<Vec<_>>(),
            (list.next_due(), list.next_expiry(now)),
            list.in_flight()
                .map(|(at, id)| (at, id.clone()))
                .collect::<Vec<_>>(),
            list.expiring_ids(now).cloned().collect::<Vec<_>>(),
            list.expiring(now),
            list.finished()
                .map(|(at, watched)| (at, watched.id().clone()))
                .collect::<Vec<_>>(),
            list.run_times().clone(),
        )
    }

    fn built(list_view: ListView, list: &Watchlist, now: Now) -> VisibleRows {
        let mut rows = VisibleRows::default();
        rows.set_view(list_view, list, now);
        rows
    }

    /// Returns views with every tab, every order, and all kinds of filter.
    fn list_views() -> Vec<ListView> {
        let tabs = Tab::ALL.iter().map(|tab| ListView {
            tab: *tab,
            ..ListView::default()
        });
        let orders = SortColumn::ALL.iter().flat_map(|&sort| {
            [SortOrder::new(sort), SortOrder::new(sort).flipped()].map(|order| ListView {
                order,
                ..ListView::default()
            })
        });
        let queries = [
            "t1",
            "!t1",
            "state:late",
            "!state:late,expired",
            "state:ready,failed left:<2d",
            "age:>=3d",
            "took:>1m !left:>60h",
        ];
        let queries = queries.map(|text| ListView {
            query: Query::parse(text).unwrap(),
            ..ListView::default()
        });
        tabs.chain(orders).chain(queries).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn indexes_and_view_match_a_full_rebuild(changes in prop::collection::vec((0_u8..12, any::<u32>(), 0_u8..3), 1..60)) {
            let now = now(0);
            let mut list = Watchlist::new(DEFAULT_RETENTION);
            let mut views: Vec<_> = list_views().into_iter().map(|list_view| built(list_view, &list, now)).collect();
            for (name, kind, change) in changes {
                let news = watched(name, kind);
                let id = news.id().clone();
                let positions: Vec<_> = views.iter().map(|view| view.row_position(&id, &list)).collect();
                // The count of expiring links is right whenever it was last updated.
                list.advance_to(self::now(i64::from(kind % 90) - 45));
                match change {
                    0 => {
                        if let Some(before) = list.get(&id) {
                            for view in &mut views {
                                view.remove(before, &list);
                            }
                        }
                        list.remove(&id);
                    }
                    1 => list.insert(news),
                    _ => drop(list.update(&id, |watched| *watched = news)),
                }
                if let Some(watched) = list.get(&id) {
                    for (view, before) in views.iter_mut().zip(positions) {
                        view.update(&before, watched, &list, now);
                        if view.is_outdated(&list, now) {
                            view.rebuild(&list, now);
                        }
                    }
                }
            }

            let mut rebuilt_list = Watchlist::new(DEFAULT_RETENTION);
            for watched in list.iter() {
                rebuilt_list.insert(watched.clone());
            }
            prop_assert_eq!(list.expiring(now), list.expiring_ids(now).count());
            prop_assert_eq!(format!("{:?}", snapshot(&list, now)), format!("{:?}", snapshot(&rebuilt_list, now)));
            let mut ends: Vec<_> = rebuilt_list.finished().map(|(at, _)| at).collect();
            ends.reverse();
            prop_assert!(ends.is_sorted());
            for view in views {
                let list_view = view.list_view();
                let rebuilt = built(list_view.clone(), &rebuilt_list, now);
                prop_assert_eq!(view.ids(), rebuilt.ids(), "{:?}", list_view);
                if list_view.query.is_empty() {
                    prop_assert_eq!(view.ids().len(), query::tab_count(list_view.tab, &list, now), "{:?}", list_view);
                }
                for (at, id) in view.ids().iter().enumerate() {
                    prop_assert_eq!(view.position(id, &list), Some(at));
                }
            }
        }
    }

    #[test]
    fn same_label_tasks_are_told_apart_by_prompt_or_id() {
        let mut list = Watchlist::new(DEFAULT_RETENTION);
        let named = |id: &str, label: &str, prompt: Option<&str>| {
            let mut task = Task::new(TaskId::parse(id).unwrap(), Family::default());
            let details = TaskDetails {
                prompt: prompt.map(|prompt| CleanText::block(prompt, 100)),
                ..TaskDetails::default()
            };
            task.merge(&TaskState::New, &details);
            WatchedTask::new(task, Some(CleanText::line(label, 100)), second(0))
        };
        list.insert(named("774d9a7dd608", "take", Some("neon city")));
        list.insert(named("99999999", "alone", Some("snow")));
        let title = |list: &Watchlist, id: &str| {
            let watched = list.get(&TaskId::parse(id).unwrap()).unwrap();
            watched.unique_title(list.labels()).into_owned()
        };
        assert_eq!(title(&list, "774d9a7dd608"), "take");

        list.insert(named("1f0c2b6f1d3b", "take", None));

        assert_eq!(title(&list, "774d9a7dd608"), "take · neon city");
        assert_eq!(title(&list, "1f0c2b6f1d3b"), "take · 1f0c2b6f");
        assert_eq!(title(&list, "99999999"), "alone");
        list.remove(&TaskId::parse("774d9a7dd608").unwrap());
        assert_eq!(title(&list, "1f0c2b6f1d3b"), "take");
    }

    #[test]
    fn a_view_knows_its_next_time_change() {
        let mut list = Watchlist::new(Duration::from_hours(72));
        for name in 0..40 {
            list.insert(watched(name, 2 + 8 * u32::from(name)));
            list.insert(watched(name + 40, 1 + 8 * u32::from(name)));
        }
        for list_view in list_views() {
            let mut view = built(list_view.clone(), &list, now(-30));
            for hour in -30..200 {
                let now = now(hour);
                if view.is_outdated(&list, now) {
                    view.rebuild(&list, now);
                }
                let fresh = built(list_view.clone(), &list, now);
                assert_eq!(view.ids(), fresh.ids(), "{hour} {list_view:?}");
            }
        }
    }
}
