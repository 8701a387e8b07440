//! Which tasks are shown, and in which order.

use std::cmp::{Ordering, Reverse};

use jiff::Timestamp;

use super::{
    status::{EXPIRING, LinkLife, Tab},
    task::TaskId,
    time::Now,
    watchlist::{Tally, Watched, Watchlist},
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

/// Reports whether a tab shows a task.
fn shows(tab: Tab, watched: &Watched, list: &Watchlist, now: Now) -> bool {
    match tab {
        Tab::All => true,
        Tab::Active | Tab::Ready | Tab::Rescued | Tab::Failed => watched.tab() == tab,
        Tab::Expiring => matches!(
            watched.link_life(list.retention(), now),
            LinkLife::Left(left) if left <= EXPIRING
        ),
    }
}

/// Is the list as shown: the ids of one tab in their order, newest first.
///
/// Kept from change to change, so that one answer moves one id and sorts nothing.
#[derive(Debug, Clone, Default)]
pub struct View {
    tab: Tab,
    ids: Vec<TaskId>,
    until: Option<Timestamp>,
}

impl View {
    /// Returns the ids, in order.
    pub fn ids(&self) -> &[TaskId] {
        &self.ids
    }

    /// Returns the tab shown.
    pub const fn tab(&self) -> Tab {
        self.tab
    }

    /// Reports whether time alone has changed what the tab shows.
    pub fn is_outdated(&self, now: Now) -> bool {
        self.until.is_some_and(|until| until <= now.wall)
    }

    /// Shows another tab, or the same one afresh.
    pub fn rebuild(&mut self, tab: Tab, list: &Watchlist, now: Now) {
        self.tab = tab;
        self.until = match tab {
            Tab::Expiring => list.next_expiry(now),
            Tab::All | Tab::Active | Tab::Ready | Tab::Rescued | Tab::Failed => None,
        };
        let mut shown: Vec<_> = list
            .iter()
            .filter(|watched| shows(tab, watched, list, now))
            .collect();
        shown.sort_unstable_by(|a, b| order(a, b));
        self.ids = shown
            .into_iter()
            .map(|watched| watched.id().clone())
            .collect();
    }

    /// Returns where a watched task stands.
    pub fn position(&self, id: &TaskId, list: &Watchlist) -> Option<usize> {
        let watched = list.get(id)?;
        let at = self.search(watched, list).ok()?;
        Some(at)
    }

    /// Takes a task out before it changes. `before` is the task as the view knows it.
    pub fn withdraw(&mut self, before: &Watched, list: &Watchlist) -> Option<usize> {
        let at = self.search(before, list).ok()?;
        self.ids.remove(at);
        Some(at)
    }

    /// Follows a change of a task that stood there, and began then, before it changed.
    ///
    /// One that keeps its place is not moved: most answers change neither the order nor the tab.
    pub fn follow(
        &mut self,
        at: Option<usize>,
        began: Timestamp,
        watched: &Watched,
        list: &Watchlist,
        now: Now,
    ) {
        let stays = watched.submitted() == began && shows(self.tab, watched, list, now);
        if let Some(at) = at.filter(|at| self.ids.get(*at) == Some(watched.id())) {
            if stays && self.tab != Tab::Expiring {
                return;
            }
            self.ids.remove(at);
        }
        self.admit(watched, list, now);
    }

    /// Puts a task in where it belongs, if it belongs to the tab.
    pub fn admit(&mut self, watched: &Watched, list: &Watchlist, now: Now) -> Option<usize> {
        if self.tab == Tab::Expiring {
            self.until = self.until.into_iter().chain(list.next_expiry(now)).min();
        }
        if !shows(self.tab, watched, list, now) {
            return None;
        }
        let at = self.search(watched, list).err()?;
        self.ids.insert(at, watched.id().clone());
        Some(at)
    }

    fn search(&self, watched: &Watched, list: &Watchlist) -> Result<usize, usize> {
        self.ids.binary_search_by(|id| match list.get(id) {
            _ if id == watched.id() => Ordering::Equal,
            Some(other) => order(other, watched),
            None => Ordering::Less,
        })
    }
}

/// Compares by age, newest first; equals by id, so that the order is total.
fn order(a: &Watched, b: &Watched) -> Ordering {
    (Reverse(a.submitted()), a.id()).cmp(&(Reverse(b.submitted()), b.id()))
}
