//! The list as shown: what passes, in its order; kept from change to change, so that one answer moves one row.

use std::{cmp::Ordering, time::Duration};

use jiff::Timestamp;

use super::{
    language::Query,
    matching::Sight,
    order::{Order, Place, Sort},
};
use crate::domain::{
    fuzzy::Searcher,
    status::{EXPIRING, LinkLife, Tab},
    task::TaskId,
    time::Now,
    watched::Watched,
    watchlist::{Tally, Watchlist},
};

/// Returns how many tasks a tab shows.
pub fn count(tab: Tab, list: &Watchlist, now: Now) -> usize {
    let Tally {
        all,
        active,
        ready,
        rescued,
        failed,
        ..
    } = list.tally();
    match tab {
        Tab::All => all,
        Tab::Active => active,
        Tab::Ready => ready,
        Tab::Rescued => rescued,
        Tab::Failed => failed,
        Tab::Expiring => list.expiring(now),
    }
}

/// Is how a list is looked at.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lens {
    /// Which tab.
    pub tab: Tab,
    /// In which order.
    pub order: Order,
    /// Through which filter.
    pub query: Query,
}

impl Lens {
    /// Reports whether it lets a task through.
    fn shows(&self, watched: &Watched, sight: &Sight, searcher: &mut Searcher) -> bool {
        let is_on_tab = match self.tab {
            Tab::All => true,
            Tab::Active | Tab::Ready | Tab::Rescued | Tab::Failed => watched.tab() == self.tab,
            Tab::Expiring => matches!(
                watched.link_life(sight.retention, sight.now),
                LinkLife::Left(left) if left <= EXPIRING
            ),
        };
        is_on_tab && self.query.accepts(watched, sight, searcher)
    }
}

/// Is the list as shown: the ids of what passes, in their order.
#[derive(Debug, Clone)]
pub struct View {
    lens: Lens,
    ids: Vec<TaskId>,
    /// The present when it was built, by which dead links are told from living ones.
    as_of: Timestamp,
    /// When time alone changes what is shown.
    until: Option<Timestamp>,
    /// From which run time on tasks counted as late when it was built.
    late: Duration,
}

impl Default for View {
    fn default() -> Self {
        Self {
            lens: Lens::default(),
            ids: Vec::new(),
            as_of: Timestamp::MIN,
            until: None,
            late: Duration::ZERO,
        }
    }
}

/// Is how a task stood in the view before a change.
#[derive(Debug, Clone)]
pub struct Standing {
    at: Option<usize>,
    place: Option<Place>,
}

impl View {
    /// Returns the ids, in order.
    pub fn ids(&self) -> &[TaskId] {
        &self.ids
    }

    /// Returns how the list is looked at.
    pub const fn lens(&self) -> &Lens {
        &self.lens
    }

    /// Reports whether time alone, or other tasks' run times, have changed what is shown.
    pub fn is_outdated(&self, list: &Watchlist, now: Now) -> bool {
        self.until.is_some_and(|until| until <= now.wall)
            || (self.lens.query.asks_for_late() && list.run_times().estimate().late != self.late)
    }

    /// Looks at the list in another way, or in the same one afresh.
    pub fn look(&mut self, lens: Lens, list: &Watchlist, now: Now) {
        self.lens = lens;
        self.rebuild(list, now);
    }

    /// Builds the view afresh.
    pub fn rebuild(&mut self, list: &Watchlist, now: Now) {
        let sight = Sight::of(list, now);
        let mut searcher = Searcher::default();
        let Self { lens, .. } = &*self;
        let order = lens.order;
        let mut shown: Vec<_> = list
            .iter()
            .filter(|watched| lens.shows(watched, &sight, &mut searcher))
            .map(|watched| (order.rank(watched, now.wall, sight.retention), watched))
            .collect();
        shown.sort_unstable_by_key(|(rank, _)| *rank);
        // Where numbers do not tell, whole places do; each is made once.
        for equals in shown.chunk_by_mut(|(a, _), (b, _)| a == b) {
            if equals.len() > 1 {
                let place = |watched| order.place(watched, now.wall, sight.retention);
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
        let query = &self.lens.query;
        let timed = list.iter().take_while(|_| query.asks_for_time());
        self.until = timed
            .filter_map(|watched| query.next_turn(watched, &sight))
            .min();
        self.follow_links(list, now);
    }

    /// Returns where a watched task stands.
    pub fn position(&self, id: &TaskId, list: &Watchlist) -> Option<usize> {
        let watched = list.get(id)?;
        self.search(&self.place(watched, list), watched.id(), list)
            .ok()
    }

    /// Returns where a watched task stands, or the row that would have it as its neighbour.
    pub fn nearest(&self, id: &TaskId, list: &Watchlist) -> Option<usize> {
        let watched = list.get(id)?;
        let end = self.ids.len().checked_sub(1)?;
        let found = self.search(&self.place(watched, list), id, list);
        Some(found.unwrap_or_else(|at| at.min(end)))
    }

    /// Takes a task out before it changes. `before` is the task as the view knows it.
    pub fn withdraw(&mut self, before: &Watched, list: &Watchlist) -> Option<usize> {
        let place = self.place(before, list);
        let at = self.search(&place, before.id(), list).ok()?;
        self.ids.remove(at);
        Some(at)
    }

    /// Returns how a task stands before it changes; one that is not there yet as well.
    pub fn standing(&self, id: &TaskId, list: &Watchlist) -> Standing {
        let place = list.get(id).map(|watched| self.place(watched, list));
        let at = place
            .as_ref()
            .and_then(|place| self.search(place, id, list).ok());
        Standing { at, place }
    }

    /// Follows a change of a task that stood so before it.
    ///
    /// One that keeps its place is not moved: most answers change neither the order nor what is shown.
    pub fn follow(&mut self, before: &Standing, watched: &Watched, list: &Watchlist, now: Now) {
        let sight = Sight::of(list, now);
        let place = self.place(watched, list);
        let is_shown = self.lens.shows(watched, &sight, &mut Searcher::default());
        let turn = self.lens.query.next_turn(watched, &sight);
        self.until = self.until.into_iter().chain(turn).min();
        self.follow_links(list, now);
        if let Some(at) = before
            .at
            .filter(|at| self.ids.get(*at) == Some(watched.id()))
        {
            if is_shown && before.place.as_ref() == Some(&place) {
                return;
            }
            self.ids.remove(at);
        }
        if is_shown && let Err(at) = self.search(&place, watched.id(), list) {
            self.ids.insert(at, watched.id().clone());
        }
    }

    /// Notes when the next link dies, where that is seen.
    fn follow_links(&mut self, list: &Watchlist, now: Now) {
        if self.lens.tab == Tab::Expiring || self.lens.order.sort == Sort::Link {
            self.until = self.until.into_iter().chain(list.next_expiry(now)).min();
        }
    }

    fn place(&self, watched: &Watched, list: &Watchlist) -> Place {
        self.lens.order.place(watched, self.as_of, list.retention())
    }

    /// Finds a task, or where it would belong. Its own row is told by its id: it may have changed by now.
    fn search(&self, place: &Place, id: &TaskId, list: &Watchlist) -> Result<usize, usize> {
        let order = self.lens.order;
        self.ids.binary_search_by(|other| match list.get(other) {
            _ if other == id => Ordering::Equal,
            Some(watched) => order.compare((&self.place(watched, list), other), (place, id)),
            None => Ordering::Less,
        })
    }
}
