//! Key presses: a key becomes an action, and a rejected action explains why.

use super::{
    add, backoff, copy, download, filter, labels, marks,
    messages::{self, key_hint, quoted_title, reply},
    open, palette, preview, remove, selection, sort, store, text_input, writes,
};
use crate::{
    app::{
        keymap::{Action, Key, KeyChord, KeyContext},
        msg::Effect,
        notifications::TerminalFocus,
        state::{
            AddDialog, AddField, Confirm, DetailPage, HistoryStep, LinePurpose, MainScreen,
            MenuChoice, Overlay, Severity, State, TextPage, VideoKind,
        },
    },
    domain::{
        schedule::{PollIntervals, PollState},
        status::Tab,
        time::Now,
        watched_task::WatchedTask,
    },
    messages::message_line,
};

pub(super) fn pressed(
    state: &mut State,
    chord: KeyChord,
    is_repeat: bool,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    state.is_untouched = false;
    let context = state.context();
    match state.keymap().lookup(chord, context) {
        // Keys pressed after quit are ignored.
        action if state.is_leaving && action != Some(Action::Quit) => {}
        Some(action) if is_repeat && !is_movement(action) => {}
        Some(action) => act(state, action, chord, context, now, effects),
        None if text_input::type_key(state, chord, now) => {}
        None => press_unbound(state, chord, now, effects),
    }
}

/// Handles a key that is neither bound nor typed: the number of a menu item, or a mistake.
fn press_unbound(state: &mut State, chord: KeyChord, now: Now, effects: &mut Vec<Effect>) {
    match &mut state.overlay {
        Some(Overlay::Menu(menu)) => match (menu.item_for_digit(chord), chord.typed_char()) {
            (Some(at), _) => {
                menu.go_to(at);
                accept(state, now, effects);
            }
            (None, Some(c)) if menu.context == KeyContext::Copy => {
                let text = message_line::not_in_copy_menu(c);
                reply(state, Severity::Warning, text, now);
            }
            (None, _) => {}
        },
        Some(_) => {}
        None => explain_list_key(state, chord, now),
    }
}

/// Explains that a key pressed on the full-screen details works in the list only.
fn explain_list_key(state: &mut State, chord: KeyChord, now: Now) {
    if state.screen == MainScreen::List || state.keymap().lookup(chord, KeyContext::List).is_none()
    {
        return;
    }
    let hint = key_hint(state, Action::Back, message_line::BACK_HINT);
    let text = message_line::list_key_only(&chord.ascii()) + &hint;
    reply(state, Severity::Info, text, now);
}

/// Returns whether a held key may repeat the action.
const fn is_movement(action: Action) -> bool {
    matches!(
        action,
        Action::Next
            | Action::Previous
            | Action::PageDown
            | Action::PageUp
            | Action::HalfDown
            | Action::HalfUp
            | Action::NextTab
            | Action::PreviousTab
            | Action::NextTask
            | Action::PreviousTask
            | Action::EarlierFilter
            | Action::LaterFilter
    )
}

/// Runs an action.
pub(super) fn act(
    state: &mut State,
    action: Action,
    chord: KeyChord,
    context: KeyContext,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    if action.needs_write_access() && messages::reject_if_read_only(state, now) {
        return;
    }
    match action {
        Action::Quit if chord == KeyChord::char('q') && state.raw_opened_from().is_some() => {
            marks::step_back(state, now);
        }
        Action::Quit if chord != KeyChord::ctrl('c') && store::is_only_copy(state) => {
            let tasks = state.list.iter().map(|watched| watched.id().clone());
            let mut tasks: Vec<_> = tasks.collect();
            tasks.sort_unstable();
            state.overlay = Some(Overlay::Confirm(Confirm::QuitUnsaved { tasks }));
        }
        Action::Quit => quit(state, now, effects),
        Action::Redraw => {
            preview::clear_failure(state);
            effects.push(Effect::Redraw);
        }
        Action::Suspend => effects.push(Effect::Suspend),
        Action::Next => move_by(state, 1),
        Action::Previous => move_by(state, -1),
        Action::PageDown => move_by(state, selection::page(state)),
        Action::PageUp => move_by(state, -selection::page(state)),
        Action::HalfDown => move_by(state, (selection::page(state) / 2).max(1)),
        Action::HalfUp => move_by(state, -(selection::page(state) / 2).max(1)),
        Action::First => move_by(state, isize::MIN),
        Action::Last => move_by(state, isize::MAX),
        Action::NextTab => switch_tab(state, Tab::next, DetailPage::next, now),
        Action::PreviousTab => switch_tab(state, Tab::previous, DetailPage::previous, now),
        Action::ShowTab(tab) => show_tab(state, tab, now),
        Action::Detail => show_detail(state, now),
        Action::NextTask => show_adjacent_task(state, Direction::Next, now),
        Action::PreviousTask => show_adjacent_task(state, Direction::Previous, now),
        Action::Back if context == KeyContext::Filter => filter::clear_filter(state, now),
        Action::Back => marks::step_back(state, now),
        Action::Add => state.overlay = Some(Overlay::Add(Box::default())),
        Action::Remove => remove::remove_targets(state, now, effects),
        Action::Undo => remove::undo(state, now, effects),
        Action::Mark => marks::toggle_mark(state, now),
        Action::MarkRange => marks::mark_range(state, now),
        Action::MarkAll => marks::toggle_all(state, now),
        Action::Filter => filter::open_filter(state),
        Action::EarlierFilter => filter::step_history(state, HistoryStep::Earlier, now),
        Action::LaterFilter => filter::step_history(state, HistoryStep::Later, now),
        Action::SortMenu => sort::open_menu(state),
        Action::ReverseSort => sort::reverse_sort(state, now),
        Action::Refresh => refresh(state, now),
        Action::RefreshAll => refresh_all(state, now),
        Action::Pause => toggle_pause(state, now),
        Action::Slower => change_poll_speed(state, PollIntervals::longer, "slowest", now),
        Action::Faster => change_poll_speed(state, PollIntervals::shorter, "fastest", now),
        Action::OpenResult => open::open_video(state, VideoKind::Result, now, effects),
        Action::OpenInput => open::open_video(state, VideoKind::Input, now, effects),
        Action::Compare => open::show_comparison(state, now, effects),
        Action::Save => download::save_targets(state, now, effects),
        Action::SaveTo => download::choose_folder(state, now),
        Action::CopyMenu => copy::open_menu(state, now),
        Action::Copy(kind) => copy::copy(state, kind, now, effects),
        Action::EditLabel => labels::open_editor(state, now),
        Action::Raw => show_raw(state, now),
        Action::Palette => palette::open_menu(state),
        Action::ToggleNotify => labels::toggle_notify(state, now, effects),
        Action::RestoreListFile => store::restore_list_file(state, now, effects),
        Action::Messages => show_messages(state, now),
        Action::Diagnostics => open_text(state, TextPage::Diagnostics),
        Action::Help => open_text(state, TextPage::Help),
        Action::Accept => accept(state, now, effects),
        Action::Toggle => toggle(state, chord, now),
        Action::NextField => add::change_field(state, AddDialog::next_field),
        Action::PreviousField => add::change_field(state, AddDialog::previous_field),
    }
}

/// Does what Enter stands for in the open overlay.
fn accept(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    match &state.overlay {
        Some(Overlay::Menu(menu)) => match menu.chosen().map(|item| item.choice.clone()) {
            Some(choice) => choose(state, choice, now, effects),
            None => reply(state, Severity::Warning, message_line::NO_ACTION_FOUND, now),
        },
        Some(Overlay::Line(dialog)) => match dialog.purpose {
            LinePurpose::Label => labels::accept(state, now, effects),
            LinePurpose::SaveFolder => download::accept_folder(state, now, effects),
        },
        Some(Overlay::Add(_)) => add::accept(state, now, effects),
        Some(Overlay::Filter(_)) => filter::accept_filter(state),
        Some(Overlay::Confirm(_)) => accept_confirm(state, now, effects),
        Some(Overlay::Text { .. } | Overlay::Link(_)) | None => {}
    }
}

/// Carries out the choice made in a menu.
fn choose(state: &mut State, choice: MenuChoice, now: Now, effects: &mut Vec<Effect>) {
    match choice {
        MenuChoice::Run(action) => {
            state.overlay = None;
            let chord = KeyChord::plain(Key::Enter);
            act(state, action, chord, state.context(), now, effects);
        }
        MenuChoice::Copy(kind) => copy::copy(state, kind, now, effects),
        MenuChoice::Sort(column) => sort::accept(state, column, now),
        MenuChoice::Open(task, url) => open::accept(state, task, url, effects),
    }
}

fn accept_confirm(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    let Some(Overlay::Confirm(confirm)) = state.overlay.take() else {
        return;
    };
    match confirm {
        Confirm::QuitUnsaved { .. } => quit(state, now, effects),
        Confirm::Remove { tasks, .. } => remove::remove_tasks(state, tasks, now, effects),
        Confirm::Open { videos, .. } => open::open_all(state, videos, effects),
    }
}

/// Selects or deselects an id; types the key while a line has the focus.
fn toggle(state: &mut State, chord: KeyChord, now: Now) {
    match &mut state.overlay {
        Some(Overlay::Add(dialog)) if dialog.field == AddField::Found => dialog.toggle(),
        _ => drop(text_input::type_key(state, chord, now)),
    }
}

fn open_text(state: &mut State, page: TextPage) {
    state.overlay = Some(Overlay::text(page));
}

/// Quits after a last attempt to write pending changes; a second call changes nothing.
pub(super) fn quit(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    let is_first = !std::mem::replace(&mut state.is_leaving, true);
    if !state.write_queue.changes.is_empty() {
        writes::write_queued(state, effects);
    }
    filter::save_session_now(state, effects);
    if is_first && state.focus != TerminalFocus::Unfocused {
        messages::save_last_seen(state, now, effects);
    }
    effects.push(Effect::Quit);
}

/// Moves within the focus: scrolls a text, moves a dialog's cursor, or moves the selection.
pub(super) fn move_by(state: &mut State, by: isize) {
    let max_scroll = usize::from(state.max_scroll);
    if let Some(scroll) = scroll_offset(state) {
        let to = usize::from(*scroll).saturating_add_signed(by);
        *scroll = u16::try_from(to.min(max_scroll)).unwrap_or(u16::MAX);
        return;
    }
    match &mut state.overlay {
        Some(Overlay::Menu(menu)) => menu.move_cursor(by),
        Some(Overlay::Add(dialog)) => dialog.move_cursor(by),
        Some(Overlay::Filter(_)) | None => selection::move_by(state, by),
        Some(_) => {}
    }
    // The selection moves below the open filter line, and the row selected now is the one to
    // return to.
    if let Some(Overlay::Filter(filter)) = &mut state.overlay {
        filter.origin.selected.clone_from(&state.selected);
    }
}

/// Applies the measured scroll limit of the text on the screen.
pub(super) fn clamp_scroll(state: &mut State, max_scroll: u16) {
    state.max_scroll = max_scroll;
    if let Some(scroll) = scroll_offset(state) {
        *scroll = max_scroll.min(*scroll);
    }
}

/// Returns the scroll offset of the text with the focus.
const fn scroll_offset(state: &mut State) -> Option<&mut u16> {
    match (&mut state.overlay, &mut state.screen) {
        (Some(Overlay::Text { scroll, .. }), _) | (None, MainScreen::Detail { scroll, .. }) => {
            Some(scroll)
        }
        _ => None,
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Next,
    Previous,
}

/// Switches to another tab of the list, or page of the details.
fn switch_tab(
    state: &mut State,
    next_tab: fn(Tab) -> Tab,
    next_page: fn(DetailPage) -> DetailPage,
    now: Now,
) {
    match &mut state.screen {
        MainScreen::Detail { page, scroll } => {
            state.raw_opened_from = None;
            *scroll = 0;
            *page = next_page(*page);
        }
        MainScreen::List => selection::show_tab(state, next_tab(state.tab()), now),
    }
}

/// Shows the next or previous task in full-screen details. If the task has left the tab, its former
/// position counts.
fn show_adjacent_task(state: &mut State, direction: Direction, now: Now) {
    let MainScreen::Detail { scroll, .. } = &mut state.screen else {
        return;
    };
    *scroll = 0;
    let at = state.position();
    let before = at.or(state.vacated_row).unwrap_or_default().checked_sub(1);
    let to = match (direction, at) {
        (Direction::Next, Some(at)) => at.checked_add(1),
        (Direction::Next, None) => state.vacated_row,
        (Direction::Previous, _) => before,
    };
    if let Some(to) = to.filter(|to| *to < state.shown().len()) {
        state.vacated_row = None;
        return selection::go_to(state, to);
    }
    let text = match direction {
        Direction::Next => message_line::LAST_TASK,
        Direction::Previous => message_line::FIRST_TASK,
    };
    reply(state, Severity::Info, text, now);
}

fn show_detail(state: &mut State, now: Now) {
    show_page(state, DetailPage::Info, now);
}

/// Shows the raw response; if it is already shown, returns to the screen it was opened from, or to
/// the info page.
fn show_raw(state: &mut State, now: Now) {
    let before = state.screen;
    match before {
        _ if state.raw_opened_from().is_some() => marks::step_back(state, now),
        MainScreen::Detail {
            page: DetailPage::Json,
            ..
        } => show_page(state, DetailPage::Info, now),
        MainScreen::Detail { .. } | MainScreen::List => {
            show_page(state, DetailPage::Json, now);
            state.raw_opened_from = (state.screen != before).then_some(before);
        }
    }
}

/// Shows a tab of the list; on the full-screen details, the page with that number.
fn show_tab(state: &mut State, tab: Tab, now: Now) {
    if state.screen == MainScreen::List {
        return selection::show_tab(state, tab, now);
    }
    let at = Tab::ALL.iter().position(|other| *other == tab);
    if let Some(page) = at.and_then(|at| DetailPage::ALL.get(at)) {
        return show_page(state, *page, now);
    }
    let text = message_line::no_such_page(DetailPage::ALL.len());
    reply(state, Severity::Info, text, now);
}

pub(super) fn show_page(state: &mut State, page: DetailPage, now: Now) {
    if state.selected().is_none() {
        let hint = key_hint(state, Action::Add, message_line::ADD_HINT);
        let text = format!("{}{hint}", message_line::NO_TASK_TO_SHOW);
        return reply(state, Severity::Info, text, now);
    }
    state.screen = MainScreen::Detail { page, scroll: 0 };
    state.raw_opened_from = None;
}

fn show_messages(state: &mut State, now: Now) {
    if state.past_messages().next().is_none() {
        return reply(state, Severity::Info, message_line::NO_MESSAGES, now);
    }
    open_text(state, TextPage::Messages);
}

/// Allows polls during a backoff and returns true, except during a rate limit, which more requests
/// would only extend.
fn lift_backoff_for_user(state: &mut State, now: Now) -> bool {
    let Some(backoff) = state.poll_queue.backoff().cloned() else {
        return true;
    };
    let wait = backoff.until.since(now.mono).as_secs_f64().ceil();
    if backoff.error.is_rate_limit() && wait > 0.0 {
        let text = message_line::refresh_blocked(&backoff.message(now.mono), wait);
        reply(state, Severity::Warning, text, now);
        return false;
    }
    state.poll_queue.retry_now(now.mono);
    true
}

/// Requests a poll of each target task that has none in flight.
fn refresh(state: &mut State, now: Now) {
    let targets = state.targets();
    let is_idle =
        |watched: &&&WatchedTask| !matches!(watched.poll_state, PollState::InFlight { .. });
    let idle: Vec<_> = targets.iter().filter(is_idle).collect();
    let tasks = match idle.as_slice() {
        [] if targets.is_empty() => {
            return reply(state, Severity::Info, message_line::NO_TASK_TO_REFRESH, now);
        }
        [] => return reply(state, Severity::Info, message_line::ALREADY_REFRESHING, now),
        [one] => quoted_title(one),
        several => message_line::task_count(several.len()),
    };
    let ids: Vec<_> = idle.iter().map(|watched| watched.id().clone()).collect();
    if lift_backoff_for_user(state, now) {
        for id in ids {
            state.poll_queue.request(id);
        }
        let text = message_line::refreshing(&tasks);
        reply(state, Severity::Info, text, now);
    }
}

fn refresh_all(state: &mut State, now: Now) {
    let unfinished: Vec<_> = state
        .list
        .iter()
        .filter(|watched| matches!(watched.poll_state, PollState::DueAt(_)))
        .map(|watched| watched.id().clone())
        .collect();
    if unfinished.is_empty() {
        let reason = if state.list.is_empty() {
            let hint = key_hint(state, Action::Add, message_line::ADD_HINT);
            format!("{}{hint}", message_line::NO_TASKS_YET)
        } else if state.list.counts().in_flight > 0 {
            message_line::ALREADY_REFRESHING.to_owned()
        } else if state.list.counts().active > 0 {
            let hint = key_hint(state, Action::Refresh, message_line::REFRESH_REJECTED_HINT);
            format!("{}{hint}", message_line::OTHERS_REJECTED)
        } else {
            message_line::ALL_FINISHED.to_owned()
        };
        return reply(state, Severity::Info, reason, now);
    }
    if !lift_backoff_for_user(state, now) {
        return;
    }
    let count = unfinished.len();
    for id in unfinished {
        state.list.update(&id, |watched| {
            watched.poll_state = PollState::DueAt(now.mono);
        });
        if state.poll_queue.is_paused {
            state.poll_queue.request(id);
        }
    }
    let text = message_line::refreshing(&message_line::task_count(count));
    reply(state, Severity::Info, text, now);
}

fn toggle_pause(state: &mut State, now: Now) {
    state.poll_queue.is_paused = !state.poll_queue.is_paused;
    let text = if state.poll_queue.is_paused {
        let resume = key_hint(state, Action::Pause, message_line::RESUME_HINT);
        let refresh = key_hint(state, Action::Refresh, message_line::REFRESH_ONCE_HINT);
        format!("{}{resume}{refresh}", message_line::POLLING_PAUSED)
    } else {
        backoff::spread_overdue(state, now);
        message_line::POLLING_RESUMED.to_owned()
    };
    reply(state, Severity::Info, text, now);
}

/// Changes how often tasks are checked; `limit` names the end of the range.
fn change_poll_speed(
    state: &mut State,
    change: fn(PollIntervals) -> PollIntervals,
    limit: &'static str,
    now: Now,
) {
    let before = state.poll_queue.intervals;
    let intervals = change(before);
    state.poll_queue.intervals = intervals;
    let seconds = [intervals.young, intervals.steady, intervals.late].map(|step| step.as_secs());
    let limit = (intervals == before).then_some(limit);
    let text = message_line::poll_intervals(seconds, limit);
    reply(state, Severity::Info, text, now);
    if intervals.steady < before.steady {
        apply_shorter_intervals(state, now);
    }
}

/// Reschedules polls that are due later than the current interval allows.
fn apply_shorter_intervals(state: &mut State, now: Now) {
    let (intervals, late_after) = (state.poll_queue.intervals, state.estimate().late);
    let slow: Vec<_> = state
        .list
        .iter()
        .filter_map(|watched| {
            let soonest = now
                .mono
                .after(intervals.interval(watched.run_time(now), late_after));
            let is_slow = matches!(watched.poll_state, PollState::DueAt(at) if at > soonest);
            (is_slow && watched.poll_history.failures == 0).then(|| (watched.id().clone(), soonest))
        })
        .collect();
    for (id, soonest) in slow {
        state.list.update(&id, |watched| {
            watched.poll_state = PollState::DueAt(soonest);
        });
    }
}
