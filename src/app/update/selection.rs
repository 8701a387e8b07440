//! What is under the cursor. Selection and first visible row are kept by id: nothing moves under the hand.

use crate::{
    app::{
        msg::Effect,
        state::{DetailPage, Screen, State},
    },
    domain::{
        query::{Lens, Standing},
        schedule::Polling,
        status::Tab,
        task::TaskId,
        time::Now,
        watched::Watched,
        watchlist::Watchlist,
    },
};

/// Moves the selection by rows, held at the ends.
pub(super) fn step(state: &mut State, by: isize) {
    let at = state.position().unwrap_or_default();
    go_to(state, at.saturating_add_signed(by));
}

/// Selects the row with that number, or the last one.
pub(super) fn go_to(state: &mut State, at: usize) {
    let last = state.shown().len().saturating_sub(1);
    state.selected = state.shown().get(at.min(last)).cloned();
    keep_visible(state);
}

/// Scrolls the list by rows; the selection goes along where it would leave the screen.
pub(super) fn scroll(state: &mut State, by: isize) {
    let rows = usize::from(state.size.page).max(1);
    let most = state.shown().len().saturating_sub(rows);
    state.top = state.top.saturating_add_signed(by).min(most);
    if let Some(at) = state.position() {
        let seen = at.clamp(state.top, state.top + rows - 1);
        go_to(state, seen);
    }
}

/// Selects a task where the tab shows it.
pub(super) fn select(state: &mut State, id: &TaskId) {
    if let Some(at) = state.view.position(id, &state.list) {
        go_to(state, at);
    }
}

/// Returns how many rows a page has.
pub(super) fn page(state: &State) -> isize {
    isize::try_from(state.size.page.max(1)).unwrap_or(1)
}

/// Looks at the list in another way; the selection stays where its task is still shown, else goes to the first row.
pub(super) fn look(state: &mut State, lens: Lens, now: Now) {
    let first = state.shown().get(state.top).cloned();
    state.view.look(lens, &state.list, now);
    if state.position().is_none() {
        state.top = 0;
        return go_to(state, 0);
    }
    if let Some(at) = first.and_then(|id| state.view.position(&id, &state.list)) {
        state.top = at;
    }
    keep_visible(state);
}

/// Shows another tab.
pub(super) fn show_tab(state: &mut State, tab: Tab, now: Now) {
    let lens = Lens {
        tab,
        ..state.lens().clone()
    };
    look(state, lens, now);
}

/// Follows the clock: on the tab of ending links, and through some filters, rows come and go by time alone.
pub(super) fn follow_time(state: &mut State, now: Now) {
    state.list.advance(now);
    if state.view.is_outdated(&state.list, now) {
        steadily(state, now, |rows| {
            rows.rebuild();
        });
    }
}

/// Selects a row again after the detail, whose task may have left the tab meanwhile.
pub(super) fn settle(state: &mut State) {
    if state.position().is_none() {
        go_to(state, state.left_at.unwrap_or_default());
    }
    state.left_at = None;
}

/// Scrolls just as far as it takes to have the selected row on the screen and no empty row below the last.
pub(super) fn keep_visible(state: &mut State) {
    let rows = usize::from(state.size.page).max(1);
    let most = state.shown().len().saturating_sub(rows);
    state.top = state.top.min(most);
    if let Some(at) = state.position() {
        state.top = state.top.clamp((at + 1).saturating_sub(rows), at);
    }
}

/// Changes tasks of the list and holds first visible row and selection where they were.
///
/// A selected task that leaves the view passes the selection to the row that takes its place; but not while it fills
/// the screen, where another one under the same keys would be a trap.
pub(super) fn steadily<R>(
    state: &mut State,
    now: Now,
    change: impl FnOnce(&mut Rows<'_>) -> R,
) -> R {
    let first = state.shown().get(state.top).cloned();
    let selected_at = state.position();
    let result = change(&mut Rows {
        state: &mut *state,
        now,
    });
    // Before the first key nobody has chosen where to look, and a list that is just being learnt of starts at its top.
    if state.is_untouched {
        state.top = 0;
        state.selected = state.shown().first().cloned();
    } else if let Some(at) = first.and_then(|id| state.view.position(&id, &state.list)) {
        state.top = at;
    }
    if state.position().is_none() {
        state.left_at = selected_at.or(state.left_at);
        if state.selected().is_none() {
            state.screen = Screen::List;
        }
        if state.screen == Screen::List {
            settle(state);
        }
    }
    keep_visible(state);
    result
}

/// From how many tasks at once on the view is built afresh: row by row, each would move all rows below it.
const BULK: usize = 64;

/// Gives access to the list so that the view follows each change.
pub(super) struct Rows<'a> {
    state: &'a mut State,
    now: Now,
}

impl Rows<'_> {
    /// Puts a task on the list, or in the place of what was known of it. A question still under way goes on.
    pub(super) fn insert(&mut self, watched: Watched) {
        let id = watched.id().clone();
        let standing = self.state.view.standing(&id, &self.state.list);
        self.put(watched);
        self.follow(&id, &standing);
    }

    /// Puts a task on the list behind the view's back.
    fn put(&mut self, mut watched: Watched) {
        let State { list, polls, .. } = &mut *self.state;
        if let Some(before) = list.get(watched.id()) {
            if matches!(before.polling, Polling::InFlight { .. }) {
                watched.polling = before.polling;
            }
        } else if let Some((attempt, since)) = polls.take_stray(watched.id()) {
            watched.polling = Polling::InFlight { attempt, since };
        }
        list.insert(watched);
    }

    /// Puts several tasks on the list.
    pub(super) fn insert_all(&mut self, all: Vec<Watched>) {
        if all.len() < BULK {
            return all.into_iter().for_each(|watched| self.insert(watched));
        }
        for watched in all {
            self.put(watched);
        }
        self.rebuild();
    }

    /// Takes a task off the list, and its mark with it.
    pub(super) fn remove(&mut self, id: &TaskId) -> Option<Watched> {
        let State { view, list, .. } = &mut *self.state;
        view.withdraw(list.get(id)?, list);
        self.take(id)
    }

    /// Takes several tasks off the list; returns those that were there.
    pub(super) fn remove_all(&mut self, ids: &[&TaskId]) -> Vec<Watched> {
        if ids.len() < BULK {
            return ids.iter().filter_map(|id| self.remove(id)).collect();
        }
        let removed = ids.iter().filter_map(|id| self.take(id)).collect();
        self.rebuild();
        removed
    }

    /// Takes a task off the list behind the view's back.
    fn take(&mut self, id: &TaskId) -> Option<Watched> {
        let State {
            list,
            polls,
            marks,
            saves,
            ..
        } = &mut *self.state;
        let watched = list.remove(id)?;
        marks.remove(id);
        saves.has_lost_tasks = true;
        if let Polling::InFlight { attempt, since } = watched.polling {
            polls.stray(id.clone(), attempt, since);
        }
        Some(watched)
    }

    /// Changes a task in its place.
    pub(super) fn change<R>(
        &mut self,
        id: &TaskId,
        change: impl FnOnce(&mut Watched) -> R,
    ) -> Option<R> {
        let State { view, list, .. } = &mut *self.state;
        let standing = view.standing(id, list);
        let result = list.change(id, change);
        self.follow(id, &standing);
        result
    }

    /// Takes a whole list in, as at the start.
    pub(super) fn replace(&mut self, all: Vec<Watched>) {
        let mut list = Watchlist::new(self.state.settings.retention);
        for watched in all {
            list.insert(watched);
        }
        self.state.list = list;
        self.state.saves.has_lost_tasks = true;
        self.rebuild();
    }

    /// Builds the view afresh.
    pub(super) fn rebuild(&mut self) {
        let State { view, list, .. } = &mut *self.state;
        view.rebuild(list, self.now);
    }

    fn follow(&mut self, id: &TaskId, before: &Standing) {
        let State { view, list, .. } = &mut *self.state;
        if let Some(watched) = list.get(id) {
            view.follow(before, watched, list, self.now);
        }
    }
}

/// Reads the journal of the selected task once the last reading was answered.
pub(super) fn follow_journal(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(selected) = &state.selected else {
        return;
    };
    let is_known = state.journal.as_ref().is_some_and(|(id, _)| id == selected);
    if is_known || state.journal_asked.is_some() {
        return;
    }
    state.journal_asked = Some(selected.clone());
    effects.push(Effect::ReadJournal(selected.clone()));
}

/// Reads the raw record of the selected task where it is looked at, once the last reading was answered.
pub(super) fn follow_raw(state: &mut State, effects: &mut Vec<Effect>) {
    let is_shown = matches!(
        state.screen,
        Screen::Detail {
            page: DetailPage::Json,
            ..
        }
    );
    let Some(selected) = state.selected.as_ref().filter(|_| is_shown) else {
        return;
    };
    let is_known = state
        .raw
        .as_ref()
        .is_some_and(|raw| raw.task == *selected && !raw.is_outdated);
    if is_known || state.raw_asked.is_some() {
        return;
    }
    state.raw_asked = Some(selected.clone());
    effects.push(Effect::ReadRecord(selected.clone()));
}

/// Lets what the list holds of a task be read again, as after a change of it. The raw record is shown until then.
pub(super) fn forget_journal(state: &mut State, task: &TaskId) {
    if let Some(raw) = state.raw.as_mut().filter(|raw| raw.task == *task) {
        raw.is_outdated = true;
    }
    if state.journal.as_ref().is_some_and(|(id, _)| id == task) {
        state.journal = None;
    }
}
