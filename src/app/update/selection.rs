//! What is under the cursor. Selection and first visible row are kept by id: nothing moves under
//! the hand.

use crate::{
    app::{
        msg::Effect,
        state::{DetailPage, MainScreen, State},
    },
    domain::{
        query::{ListView, RowPosition},
        schedule::PollState,
        status::Tab,
        task::TaskId,
        time::Now,
        watched_task::WatchedTask,
        watchlist::Watchlist,
    },
};

/// Moves the selection by rows, held at the ends.
pub(super) fn move_by(state: &mut State, by: isize) {
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
    if let Some(at) = state.rows.position(id, &state.list) {
        go_to(state, at);
    }
}

/// Returns how many rows a page has.
pub(super) fn page(state: &State) -> isize {
    isize::try_from(state.size.page.max(1)).unwrap_or(1)
}

/// Looks at the list in another way; the selection stays where its task is still shown, else goes
/// to the first row.
pub(super) fn set_view(state: &mut State, lens: ListView, now: Now) {
    let first = state.shown().get(state.top).cloned();
    state.rows.set_view(lens, &state.list, now);
    if state.position().is_none() {
        state.top = 0;
        return go_to(state, 0);
    }
    if let Some(at) = first.and_then(|id| state.rows.position(&id, &state.list)) {
        state.top = at;
    }
    keep_visible(state);
}

/// Shows another tab.
pub(super) fn show_tab(state: &mut State, tab: Tab, now: Now) {
    let lens = ListView {
        tab,
        ..state.list_view().clone()
    };
    set_view(state, lens, now);
}

/// Follows the clock: on the tab of ending links, and through some filters, rows come and go by
/// time alone.
pub(super) fn update_for_time(state: &mut State, now: Now) {
    state.list.advance_to(now);
    if state.rows.is_outdated(&state.list, now) {
        with_stable_selection(state, now, |rows| {
            rows.rebuild();
        });
    }
}

/// Selects a row again after the detail, whose task may have left the tab meanwhile.
pub(super) fn leave_detail(state: &mut State) {
    if state.position().is_none() {
        go_to(state, state.vacated_row.unwrap_or_default());
    }
    state.vacated_row = None;
}

/// Scrolls just as far as it takes to have the selected row on the screen and no empty row below
/// the last.
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
/// A selected task that leaves the view passes the selection to the row that takes its place; but
/// not while it fills the screen, where another one under the same keys would be a trap.
pub(super) fn with_stable_selection<R>(
    state: &mut State,
    now: Now,
    change: impl FnOnce(&mut RowEditor<'_>) -> R,
) -> R {
    let first = state.shown().get(state.top).cloned();
    let selected_at = state.position();
    let result = change(&mut RowEditor {
        state: &mut *state,
        now,
    });
    // Before the first key nobody has chosen where to look, and a list that is just being learnt of
    // starts at its top.
    if state.is_untouched {
        state.top = 0;
        state.selected = state.shown().first().cloned();
    } else if let Some(at) = first.and_then(|id| state.rows.position(&id, &state.list)) {
        state.top = at;
    }
    if state.position().is_none() {
        state.vacated_row = selected_at.or(state.vacated_row);
        if state.selected().is_none() {
            state.screen = MainScreen::List;
        }
        if state.screen == MainScreen::List {
            leave_detail(state);
        }
    }
    keep_visible(state);
    result
}

/// From how many tasks at once on the view is built afresh: row by row, each would move all rows
/// below it.
const REBUILD_THRESHOLD: usize = 64;

/// Gives access to the list so that the view follows each change.
pub(super) struct RowEditor<'a> {
    state: &'a mut State,
    now: Now,
}

impl RowEditor<'_> {
    /// Puts a task on the list, or in the place of what was known of it. A question still under way
    /// goes on.
    pub(super) fn insert(&mut self, watched: WatchedTask) {
        let id = watched.id().clone();
        let standing = self.state.rows.row_position(&id, &self.state.list);
        self.insert_unindexed(watched);
        self.update_row(&id, &standing);
    }

    /// Puts a task on the list behind the view's back.
    fn insert_unindexed(&mut self, mut watched: WatchedTask) {
        let State {
            list,
            poll_queue: polls,
            ..
        } = &mut *self.state;
        if let Some(before) = list.get(watched.id()) {
            if matches!(before.poll_state, PollState::InFlight { .. }) {
                watched.poll_state = before.poll_state;
            }
        } else if let Some((attempt, since)) = polls.take_orphan(watched.id()) {
            watched.poll_state = PollState::InFlight { attempt, since };
        }
        list.insert(watched);
    }

    /// Puts several tasks on the list.
    pub(super) fn insert_all(&mut self, all: Vec<WatchedTask>) {
        if all.len() < REBUILD_THRESHOLD {
            return all.into_iter().for_each(|watched| self.insert(watched));
        }
        for watched in all {
            self.insert_unindexed(watched);
        }
        self.rebuild();
    }

    /// Takes a task off the list, and its mark with it.
    pub(super) fn remove(&mut self, id: &TaskId) -> Option<WatchedTask> {
        let State {
            rows: view, list, ..
        } = &mut *self.state;
        view.remove(list.get(id)?, list);
        self.remove_unindexed(id)
    }

    /// Takes several tasks off the list; returns those that were there.
    pub(super) fn remove_all(&mut self, ids: &[&TaskId]) -> Vec<WatchedTask> {
        if ids.len() < REBUILD_THRESHOLD {
            return ids.iter().filter_map(|id| self.remove(id)).collect();
        }
        let removed = ids
            .iter()
            .filter_map(|id| self.remove_unindexed(id))
            .collect();
        self.rebuild();
        removed
    }

    /// Takes a task off the list behind the view's back.
    fn remove_unindexed(&mut self, id: &TaskId) -> Option<WatchedTask> {
        let State {
            list,
            poll_queue: polls,
            marks,
            downloads: saves,
            ..
        } = &mut *self.state;
        let watched = list.remove(id)?;
        marks.remove(id);
        saves.needs_orphan_check = true;
        if let PollState::InFlight { attempt, since } = watched.poll_state {
            polls.add_orphan(id.clone(), attempt, since);
        }
        Some(watched)
    }

    /// Changes a task in its place.
    pub(super) fn update<R>(
        &mut self,
        id: &TaskId,
        change: impl FnOnce(&mut WatchedTask) -> R,
    ) -> Option<R> {
        let State {
            rows: view, list, ..
        } = &mut *self.state;
        let standing = view.row_position(id, list);
        let result = list.update(id, change);
        self.update_row(id, &standing);
        result
    }

    /// Takes a whole list in, as at the start.
    pub(super) fn replace(&mut self, all: Vec<WatchedTask>) {
        let mut list = Watchlist::new(self.state.settings.retention);
        for watched in all {
            list.insert(watched);
        }
        self.state.list = list;
        self.state.downloads.needs_orphan_check = true;
        self.rebuild();
    }

    /// Builds the view afresh.
    pub(super) fn rebuild(&mut self) {
        let State {
            rows: view, list, ..
        } = &mut *self.state;
        view.rebuild(list, self.now);
    }

    fn update_row(&mut self, id: &TaskId, before: &RowPosition) {
        let State {
            rows: view, list, ..
        } = &mut *self.state;
        if let Some(watched) = list.get(id) {
            view.update(before, watched, list, self.now);
        }
    }
}

/// Reads the journal of the selected task once the last reading was answered.
pub(super) fn read_journal(state: &mut State, effects: &mut Vec<Effect>) {
    let Some(selected) = &state.selected else {
        return;
    };
    let is_known = state.journal.as_ref().is_some_and(|(id, _)| id == selected);
    if is_known || state.journal_requested.is_some() {
        return;
    }
    state.journal_requested = Some(selected.clone());
    effects.push(Effect::ReadJournal(selected.clone()));
}

/// Reads the raw record of the selected task where it is looked at, once the last reading was
/// answered.
pub(super) fn read_raw_response(state: &mut State, effects: &mut Vec<Effect>) {
    let is_shown = matches!(
        state.screen,
        MainScreen::Detail {
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
    if is_known || state.raw_requested.is_some() {
        return;
    }
    state.raw_requested = Some(selected.clone());
    effects.push(Effect::ReadRawResponse(selected.clone()));
}

/// Lets what the list holds of a task be read again, as after a change of it. The raw record is
/// shown until then.
pub(super) fn invalidate_journal(state: &mut State, task: &TaskId) {
    if let Some(raw) = state.raw.as_mut().filter(|raw| raw.task == *task) {
        raw.is_outdated = true;
    }
    if state.journal.as_ref().is_some_and(|(id, _)| id == task) {
        state.journal = None;
    }
}
