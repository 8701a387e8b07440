//! The selection and the visible rows. Selection and first visible row are kept by task id, so
//! changes of the list do not move them.

use super::context::Context;
use crate::{
    app::{
        msg::Effect,
        state::{DetailPage, MainScreen, State},
    },
    domain::{
        list_change::{JournalLine, ListChange},
        query::{ListView, RowPosition},
        schedule::PollState,
        status::Tab,
        store_request::StoreRequest,
        task::TaskId,
        time::Now,
        watched_task::WatchedTask,
        watchlist::Watchlist,
    },
};

/// Moves the selection by rows, up to the first or last one.
pub(super) fn move_by(state: &mut State, by: isize) {
    let at = state.position().unwrap_or_default();
    go_to(state, at.saturating_add_signed(by));
}

/// Selects the row at an index, or the last row.
pub(super) fn go_to(state: &mut State, at: usize) {
    let last = state.shown().len().saturating_sub(1);
    state.nav.selected = state.shown().get(at.min(last)).cloned();
    keep_visible(state);
}

/// Scrolls the list by rows; the selection moves only to stay on the screen.
pub(super) fn scroll(state: &mut State, by: isize) {
    let rows = usize::from(state.nav.size.page).max(1);
    let max_top = state.shown().len().saturating_sub(rows);
    state.nav.top = state.nav.top.saturating_add_signed(by).min(max_top);
    if let Some(at) = state.position() {
        let to = at.clamp(state.nav.top, state.nav.top + rows - 1);
        go_to(state, to);
    }
}

/// Selects a task if the current view shows it.
pub(super) fn select(state: &mut State, id: &TaskId) {
    if let Some(at) = state.rows.position(id, &state.list) {
        go_to(state, at);
    }
}

/// Returns the number of rows on a page.
pub(super) fn page(state: &State) -> isize {
    isize::try_from(state.nav.size.page.max(1)).unwrap_or(1)
}

/// Changes tab, filter or sort order. The selection stays if its task is still shown, else moves to
/// the first row.
pub(super) fn set_view(cx: &mut Context, list_view: ListView) {
    let first = cx.state.shown().get(cx.state.nav.top).cloned();
    cx.state.rows.set_view(list_view, &cx.state.list, cx.now);
    if cx.state.position().is_none() {
        cx.state.nav.top = 0;
        return go_to(cx.state, 0);
    }
    if let Some(at) = first.and_then(|id| cx.state.rows.position(&id, &cx.state.list)) {
        cx.state.nav.top = at;
    }
    keep_visible(cx.state);
}

pub(super) fn show_tab(cx: &mut Context, tab: Tab) {
    let view = ListView {
        tab,
        ..cx.state.list_view().clone()
    };
    set_view(cx, view);
}

/// Rebuilds the rows when time alone changed them: links that expire, and filters by age.
pub(super) fn update_for_time(cx: &mut Context) {
    cx.state.list.advance_to(cx.now);
    if cx.state.rows.is_outdated(&cx.state.list, cx.now) {
        with_stable_selection(cx, |rows| {
            rows.rebuild();
        });
    }
}

/// Selects a row after the details are closed, since their task may have left the tab.
pub(super) fn leave_detail(state: &mut State) {
    if state.position().is_none() {
        go_to(state, state.nav.vacated_row.unwrap_or_default());
    }
    state.nav.vacated_row = None;
}

/// Scrolls just far enough to show the selected row, with no empty row below the last one.
pub(super) fn keep_visible(state: &mut State) {
    let rows = usize::from(state.nav.size.page).max(1);
    let max_top = state.shown().len().saturating_sub(rows);
    state.nav.top = state.nav.top.min(max_top);
    if let Some(at) = state.position() {
        state.nav.top = state.nav.top.clamp((at + 1).saturating_sub(rows), at);
    }
}

/// Changes tasks of the list while the first visible row and the selection stay in place.
///
/// If the selected task leaves the view, the row that takes its place is selected; but not in
/// full-screen details, where the keys would silently apply to another task.
pub(super) fn with_stable_selection<R>(
    cx: &mut Context,
    change: impl FnOnce(&mut RowEditor<'_>) -> R,
) -> R {
    let first = cx.state.shown().get(cx.state.nav.top).cloned();
    let selected_at = cx.state.position();
    let result = change(&mut RowEditor {
        state: &mut *cx.state,
        now: cx.now,
    });
    // Until the first key press nothing was selected by the user, and the loading list starts at
    // its top.
    if !cx.state.nav.has_input {
        cx.state.nav.top = 0;
        cx.state.nav.selected = cx.state.shown().first().cloned();
    } else if let Some(at) = first.and_then(|id| cx.state.rows.position(&id, &cx.state.list)) {
        cx.state.nav.top = at;
    }
    if cx.state.position().is_none() {
        cx.state.nav.vacated_row = selected_at.or(cx.state.nav.vacated_row);
        if cx.state.selected().is_none() {
            cx.state.nav.screen = MainScreen::List;
        }
        if cx.state.nav.screen == MainScreen::List {
            leave_detail(cx.state);
        }
    }
    keep_visible(cx.state);
    result
}

/// From this many tasks on the rows are rebuilt: inserting one by one would move all rows below
/// each time.
const REBUILD_THRESHOLD: usize = 64;

/// Access to the list that updates the visible rows with each change.
pub(super) struct RowEditor<'a> {
    state: &'a mut State,
    now: Now,
}

impl RowEditor<'_> {
    /// Inserts or replaces a task. A poll in flight continues.
    pub(super) fn insert(&mut self, watched: WatchedTask) {
        let id = watched.id().clone();
        let before = self.state.rows.row_position(&id, &self.state.list);
        self.insert_unindexed(watched);
        self.update_row(&id, &before);
    }

    /// Inserts without updating the visible rows; call `rebuild` or `update_row` afterwards.
    fn insert_unindexed(&mut self, mut watched: WatchedTask) {
        let list = &mut self.state.list;
        if let Some(before) = list.get(watched.id())
            && matches!(before.poll_state, PollState::InFlight { .. })
        {
            watched.poll_state = before.poll_state;
        }
        list.insert(watched);
    }

    pub(super) fn insert_all(&mut self, all: Vec<WatchedTask>) {
        if all.len() < REBUILD_THRESHOLD {
            return all.into_iter().for_each(|watched| self.insert(watched));
        }
        for watched in all {
            self.insert_unindexed(watched);
        }
        self.rebuild();
    }

    /// Removes a task and its mark.
    pub(super) fn remove(&mut self, id: &TaskId) -> Option<WatchedTask> {
        let State { rows, list, .. } = &mut *self.state;
        rows.remove(list.get(id)?, list);
        self.remove_unindexed(id)
    }

    /// Removes several tasks; returns those that were on the list.
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

    /// Removes without updating the visible rows.
    fn remove_unindexed(&mut self, id: &TaskId) -> Option<WatchedTask> {
        let watched = self.state.list.remove(id)?;
        self.state.nav.marks.remove(id);
        self.state.downloads.needs_orphan_check = true;
        Some(watched)
    }

    pub(super) fn update<R>(
        &mut self,
        id: &TaskId,
        change: impl FnOnce(&mut WatchedTask) -> R,
    ) -> Option<R> {
        let State { rows, list, .. } = &mut *self.state;
        let before = rows.row_position(id, list);
        let result = list.update(id, change);
        self.update_row(id, &before);
        result
    }

    /// Replaces the whole list.
    pub(super) fn replace(&mut self, all: Vec<WatchedTask>) {
        let mut list = Watchlist::new(self.state.settings.retention);
        for watched in all {
            list.insert(watched);
        }
        self.state.list = list;
        self.state.downloads.needs_orphan_check = true;
        self.rebuild();
    }

    pub(super) fn rebuild(&mut self) {
        let State { rows, list, .. } = &mut *self.state;
        rows.rebuild(list, self.now);
    }

    fn update_row(&mut self, id: &TaskId, before: &RowPosition) {
        let State { rows, list, .. } = &mut *self.state;
        if let Some(watched) = list.get(id) {
            rows.update(before, watched, list, self.now);
        }
    }
}

/// Reads the journal of the selected task once the previous read has completed.
pub(super) fn read_journal(cx: &mut Context) {
    let Some(selected) = &cx.state.nav.selected else {
        return;
    };
    let is_known = cx
        .state
        .detail
        .journal
        .as_ref()
        .is_some_and(|(id, _)| id == selected);
    if is_known || cx.state.detail.journal_requested.is_some() {
        return;
    }
    cx.state.detail.journal_requested = Some(selected.clone());
    cx.effects
        .push(Effect::Store(StoreRequest::ReadJournal(selected.clone())));
}

/// Reads the raw response of the selected task while its page is shown, once the previous read has
/// completed.
pub(super) fn read_raw_response(cx: &mut Context) {
    let is_shown = matches!(
        cx.state.nav.screen,
        MainScreen::Detail {
            page: DetailPage::Json,
            ..
        }
    );
    let Some(selected) = cx.state.nav.selected.as_ref().filter(|_| is_shown) else {
        return;
    };
    let is_known = cx
        .state
        .detail
        .raw
        .as_ref()
        .is_some_and(|raw| raw.task == *selected && !raw.is_outdated);
    if is_known || cx.state.detail.raw_requested.is_some() {
        return;
    }
    cx.state.detail.raw_requested = Some(selected.clone());
    cx.effects.push(Effect::Store(StoreRequest::ReadRawResponse(
        selected.clone(),
    )));
}

/// Marks the journal and raw response of a task as outdated. The raw response stays on the screen
/// until it is read again.
pub(super) fn invalidate_journal(state: &mut State, task: &TaskId) {
    if let Some(raw) = state.detail.raw.as_mut().filter(|raw| raw.task == *task) {
        raw.is_outdated = true;
    }
    if state
        .detail
        .journal
        .as_ref()
        .is_some_and(|(id, _)| id == task)
    {
        state.detail.journal = None;
    }
}

/// Adds the lines of a written change to the journal on the screen.
pub(super) fn extend_journal(state: &mut State, change: &ListChange, lines: Vec<JournalLine>) {
    if let Some((id, journal)) = &mut state.detail.journal
        && *id == change.task
    {
        journal.extend(lines);
    }
    if change.observation().is_some()
        && let Some(raw) = state
            .detail
            .raw
            .as_mut()
            .filter(|raw| raw.task == change.task)
    {
        raw.is_outdated = true;
    }
}
