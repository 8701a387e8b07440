//! The visible rows: the filtered and sorted list, updated row by row.

use std::{cmp::Ordering, time::Duration};

use jiff::Timestamp;

use super::{
    language::Query,
    matching::FilterContext,
    order::{SortColumn, SortKey, SortOrder},
};
use crate::domain::{
    fuzzy::Searcher,
    status::{EXPIRING, LinkExpiry, Tab},
    task::TaskId,
    time::Now,
    watched_task::WatchedTask,
    watchlist::{TaskCounts, Watchlist},
};

/// Returns the number of tasks of a tab.
pub fn tab_count(tab: Tab, list: &Watchlist, now: Now) -> usize {
    let TaskCounts {
        all,
        active,
        ready,
        rescued,
        failed,
        ..
    } = list.counts();
    match tab {
        Tab::All => all,
        Tab::Active => active,
        Tab::Ready => ready,
        Tab::Rescued => rescued,
        Tab::Failed => failed,
        Tab::Expiring => list.expiring(now),
    }
}

/// The view of the list: tab, order and filter.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListView {
    pub tab: Tab,
    pub order: SortOrder,
    pub query: Query,
}

impl ListView {
    fn accepts(
        &self,
        watched: &WatchedTask,
        context: &FilterContext,
        searcher: &mut Searcher,
    ) -> bool {
        let is_on_tab = match self.tab {
            Tab::All => true,
            Tab::Active | Tab::Ready | Tab::Rescued | Tab::Failed => watched.tab() == self.tab,
            Tab::Expiring => matches!(
                watched.link_expiry(context.retention, context.now),
                LinkExpiry::Remaining(left) if left <= EXPIRING
            ),
        };
        is_on_tab && self.query.matches(watched, context, searcher)
    }
}

/// The ids of the visible rows, in order.
#[derive(Debug, Clone)]
pub struct VisibleRows {
    list_view: ListView,
    ids: Vec<TaskId>,
    /// The time of the last rebuild, which separates expired links from others.
    as_of: Timestamp,
    /// When time alone next changes the rows.
    until: Option<Timestamp>,
    /// The run time from which tasks counted as late at the last rebuild.
    late: Duration,
}

impl Default for VisibleRows {
    fn default() -> Self {
        Self {
            list_view: ListView::default(),
            ids: Vec::new(),
            as_of: Timestamp::MIN,
            until: None,
            late: Duration::ZERO,
        }
    }
}

/// The row of a task before a change.
#[derive(Debug, Clone)]
pub struct RowPosition {
    at: Option<usize>,
    sort_key: Option<SortKey>,
}

impl VisibleRows {
    pub fn ids(&self) -> &[TaskId] {
        &self.ids
    }

    pub const fn list_view(&self) -> &ListView {
        &self.list_view
    }

    /// Reports whether time alone, or other tasks' run times, may have changed the rows.
    pub fn is_outdated(&self, list: &Watchlist, now: Now) -> bool {
        self.until.is_some_and(|until| until <= now.wall)
            || (self.list_view.query.depends_on_late()
                && list.run_times().estimate().late != self.late)
    }

    /// Sets the view and rebuilds the rows.
    pub fn set_view(&mut self, list_view: ListView, list: &Watchlist, now: Now) {
        self.list_view = list_view;
        self.rebuild(list, now);
    }

    pub fn rebuild(&mut self, list: &Watchlist, now: Now) {
        let context = FilterContext::new(list, now);
        let mut searcher = Searcher::default();
        let list_view = &self.list_view;
        let order = list_view.order;
        let mut rows: Vec<_> = list
            .iter()
            .filter(|watched| list_view.accepts(watched, &context, &mut searcher))
            .map(|watched| {
                (
                    order.sort_rank(watched, now.wall, context.retention),
                    watched,
                )
            })
            .collect();
        rows.sort_unstable_by_key(|(rank, _)| *rank);
        // Equal ranks are sorted by full keys, each computed once.
        for ties in rows.chunk_by_mut(|(a, _), (b, _)| a == b) {
            if ties.len() > 1 {
                let key_of = |watched| order.sort_key(watched, now.wall, context.retention);
                let mut keyed: Vec<_> = ties
                    .iter()
                    .map(|(_, watched)| (key_of(watched), *watched))
                    .collect();
                keyed.sort_unstable_by(|(a, one), (b, other)| {
                    order.compare((a, one.id()), (b, other.id()))
                });
                for (row, (_, watched)) in ties.iter_mut().zip(keyed) {
                    row.1 = watched;
                }
            }
        }
        self.ids = rows
            .into_iter()
            .map(|(_, watched)| watched.id().clone())
            .collect();
        self.as_of = now.wall;
        self.late = context.estimate.late;
        let query = &self.list_view.query;
        let time_dependent = list.iter().take_while(|_| query.depends_on_time());
        self.until = time_dependent
            .filter_map(|watched| query.next_change(watched, &context))
            .min();
        self.update_link_expiry(list, now);
    }

    /// Returns the row of a task, if it is visible.
    pub fn position(&self, id: &TaskId, list: &Watchlist) -> Option<usize> {
        let watched = list.get(id)?;
        self.search(&self.sort_key(watched, list), watched.id(), list)
            .ok()
    }

    /// Returns the row of a task, or of its nearest neighbour if it is hidden.
    pub fn nearest_position(&self, id: &TaskId, list: &Watchlist) -> Option<usize> {
        let watched = list.get(id)?;
        let end = self.ids.len().checked_sub(1)?;
        let found = self.search(&self.sort_key(watched, list), id, list);
        Some(found.unwrap_or_else(|at| at.min(end)))
    }

    /// Removes a task before it changes. `before` is the task as it was last indexed.
    pub fn remove(&mut self, before: &WatchedTask, list: &Watchlist) -> Option<usize> {
        let sort_key = self.sort_key(before, list);
        let at = self.search(&sort_key, before.id(), list).ok()?;
        self.ids.remove(at);
        Some(at)
    }

    /// Returns the row of a task before it changes; also for a task not yet on the list.
    pub fn row_position(&self, id: &TaskId, list: &Watchlist) -> RowPosition {
        let sort_key = list.get(id).map(|watched| self.sort_key(watched, list));
        let at = sort_key
            .as_ref()
            .and_then(|sort_key| self.search(sort_key, id, list).ok());
        RowPosition { at, sort_key }
    }

    /// Updates the row of a changed task.
    ///
    /// Leaves a row in place if it can: most answers change neither order nor visibility.
    pub fn update(
        &mut self,
        before: &RowPosition,
        watched: &WatchedTask,
        list: &Watchlist,
        now: Now,
    ) {
        let context = FilterContext::new(list, now);
        let sort_key = self.sort_key(watched, list);
        let is_shown = self
            .list_view
            .accepts(watched, &context, &mut Searcher::default());
        let next_change = self.list_view.query.next_change(watched, &context);
        self.until = self.until.into_iter().chain(next_change).min();
        self.update_link_expiry(list, now);
        if let Some(at) = before
            .at
            .filter(|at| self.ids.get(*at) == Some(watched.id()))
        {
            if is_shown && before.sort_key.as_ref() == Some(&sort_key) {
                return;
            }
            self.ids.remove(at);
        }
        if is_shown && let Err(at) = self.search(&sort_key, watched.id(), list) {
            self.ids.insert(at, watched.id().clone());
        }
    }

    /// Schedules a rebuild at the next expiry, where the view depends on it.
    fn update_link_expiry(&mut self, list: &Watchlist, now: Now) {
        if self.list_view.tab == Tab::Expiring || self.list_view.order.column == SortColumn::Link {
            self.until = self.until.into_iter().chain(list.next_expiry(now)).min();
        }
    }

    fn sort_key(&self, watched: &WatchedTask, list: &Watchlist) -> SortKey {
        self.list_view
            .order
            .sort_key(watched, self.as_of, list.retention())
    }

    /// Finds a task's row, or where to insert it. Its own row is found by id, because its key may
    /// have changed.
    fn search(&self, sort_key: &SortKey, id: &TaskId, list: &Watchlist) -> Result<usize, usize> {
        let order = self.list_view.order;
        self.ids.binary_search_by(|other| match list.get(other) {
            _ if other == id => Ordering::Equal,
            Some(watched) => order.compare((&self.sort_key(watched, list), other), (sort_key, id)),
            None => Ordering::Less,
        })
    }
}
