//! The list as shown: what passes, in its order; kept from change to change, so that one answer
//! moves one row.

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

/// Returns how many tasks a tab shows.
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

/// How a list is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListView {
    /// Which tab.
    pub tab: Tab,
    /// In which order.
    pub order: SortOrder,
    /// Through which filter.
    pub query: Query,
}

impl ListView {
    /// Reports whether it lets a task through.
    fn accepts(
        &self,
        watched: &WatchedTask,
        sight: &FilterContext,
        searcher: &mut Searcher,
    ) -> bool {
        let is_on_tab = match self.tab {
            Tab::All => true,
            Tab::Active | Tab::Ready | Tab::Rescued | Tab::Failed => watched.tab() == self.tab,
            Tab::Expiring => matches!(
                watched.link_expiry(sight.retention, sight.now),
                LinkExpiry::Remaining(left) if left <= EXPIRING
            ),
        };
        is_on_tab && self.query.matches(watched, sight, searcher)
    }
}

/// The list as shown: the ids of what passes, in their order.
#[derive(Debug, Clone)]
pub struct VisibleRows {
    list_view: ListView,
    ids: Vec<TaskId>,
    /// The present when it was built, by which dead links are told from living ones.
    as_of: Timestamp,
    /// When time alone changes what is shown.
    until: Option<Timestamp>,
    /// From which run time on tasks counted as late when it was built.
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

/// How a task stood in the view before a change.
#[derive(Debug, Clone)]
pub struct RowPosition {
    at: Option<usize>,
    sort_key: Option<SortKey>,
}

impl VisibleRows {
    /// Returns the ids, in order.
    pub fn ids(&self) -> &[TaskId] {
        &self.ids
    }

    /// Returns how the list is looked at.
    pub const fn list_view(&self) -> &ListView {
        &self.list_view
    }

    /// Reports whether time alone, or other tasks' run times, have changed what is shown.
    pub fn is_outdated(&self, list: &Watchlist, now: Now) -> bool {
        self.until.is_some_and(|until| until <= now.wall)
            || (self.list_view.query.depends_on_late()
                && list.run_times().estimate().late != self.late)
    }

    /// Looks at the list in another way, or in the same one afresh.
    pub fn set_view(&mut self, lens: ListView, list: &Watchlist, now: Now) {
        self.list_view = lens;
        self.rebuild(list, now);
    }

    /// Builds the view afresh.
    pub fn rebuild(&mut self, list: &Watchlist, now: Now) {
        let sight = FilterContext::new(list, now);
        let mut searcher = Searcher::default();
        let Self {
            list_view: lens, ..
        } = &*self;
        let order = lens.order;
        let mut shown: Vec<_> = list
            .iter()
            .filter(|watched| lens.accepts(watched, &sight, &mut searcher))
            .map(|watched| (order.sort_rank(watched, now.wall, sight.retention), watched))
            .collect();
        shown.sort_unstable_by_key(|(rank, _)| *rank);
        // Where numbers do not tell, whole places do; each is made once.
        for equals in shown.chunk_by_mut(|(a, _), (b, _)| a == b) {
            if equals.len() > 1 {
                let place = |watched| order.sort_key(watched, now.wall, sight.retention);
                let mut placed: Vec<_> = equals
                    .iter()
                    .map(|(_, watched)| (place(watched), *watched))
                    .collect();
                placed.sort_unstable_by(|(a, one), (b, other)| {
                    order.compare((a, one.id()), (b, other.id()))
                });
                for (row, (_, watched)) in equals.iter_mut().zip(placed) {
                    row.1 = watched;
                }
            }
        }
        self.ids = shown
            .into_iter()
            .map(|(_, watched)| watched.id().clone())
            .collect();
        self.as_of = now.wall;
        self.late = sight.estimate.late;
        let query = &self.list_view.query;
        let timed = list.iter().take_while(|_| query.depends_on_time());
        self.until = timed
            .filter_map(|watched| query.next_change(watched, &sight))
            .min();
        self.update_link_expiry(list, now);
    }

    /// Returns where a watched task stands.
    pub fn position(&self, id: &TaskId, list: &Watchlist) -> Option<usize> {
        let watched = list.get(id)?;
        self.search(&self.sort_key(watched, list), watched.id(), list)
            .ok()
    }

    /// Returns where a watched task stands, or the row that would have it as its neighbour.
    pub fn nearest_position(&self, id: &TaskId, list: &Watchlist) -> Option<usize> {
        let watched = list.get(id)?;
        let end = self.ids.len().checked_sub(1)?;
        let found = self.search(&self.sort_key(watched, list), id, list);
        Some(found.unwrap_or_else(|at| at.min(end)))
    }

    /// Takes a task out before it changes. `before` is the task as the view knows it.
    pub fn remove(&mut self, before: &WatchedTask, list: &Watchlist) -> Option<usize> {
        let place = self.sort_key(before, list);
        let at = self.search(&place, before.id(), list).ok()?;
        self.ids.remove(at);
        Some(at)
    }

    /// Returns how a task stands before it changes; one that is not there yet as well.
    pub fn row_position(&self, id: &TaskId, list: &Watchlist) -> RowPosition {
        let place = list.get(id).map(|watched| self.sort_key(watched, list));
        let at = place
            .as_ref()
            .and_then(|place| self.search(place, id, list).ok());
        RowPosition {
            at,
            sort_key: place,
        }
    }

    /// Follows a change of a task that stood so before it.
    ///
    /// One that keeps its place is not moved: most answers change neither the order nor what is
    /// shown.
    pub fn update(
        &mut self,
        before: &RowPosition,
        watched: &WatchedTask,
        list: &Watchlist,
        now: Now,
    ) {
        let sight = FilterContext::new(list, now);
        let place = self.sort_key(watched, list);
        let is_shown = self
            .list_view
            .accepts(watched, &sight, &mut Searcher::default());
        let turn = self.list_view.query.next_change(watched, &sight);
        self.until = self.until.into_iter().chain(turn).min();
        self.update_link_expiry(list, now);
        if let Some(at) = before
            .at
            .filter(|at| self.ids.get(*at) == Some(watched.id()))
        {
            if is_shown && before.sort_key.as_ref() == Some(&place) {
                return;
            }
            self.ids.remove(at);
        }
        if is_shown && let Err(at) = self.search(&place, watched.id(), list) {
            self.ids.insert(at, watched.id().clone());
        }
    }

    /// Notes when the next link dies, where that is seen.
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

    /// Finds a task, or where it would belong. Its own row is told by its id: it may have changed
    /// by now.
    fn search(&self, place: &SortKey, id: &TaskId, list: &Watchlist) -> Result<usize, usize> {
        let order = self.list_view.order;
        self.ids.binary_search_by(|other| match list.get(other) {
            _ if other == id => Ordering::Equal,
            Some(watched) => order.compare((&self.sort_key(watched, list), other), (place, id)),
            None => Ordering::Less,
        })
    }
}
