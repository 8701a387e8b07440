//! Key presses: a key becomes an action, and a rejected action explains why.

use super::{
    add, backoff,
    context::Context,
    copy, download, filter, labels, marks,
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
        watched_task::WatchedTask,
    },
    messages::message_line,
};

pub(super) fn pressed(cx: &mut Context, chord: KeyChord, is_repeat: bool) {
    cx.state.nav.has_input = true;
    let context = cx.state.context();
    match cx.state.keymap().lookup(chord, context) {
        // Keys pressed after quit are ignored.
        action if cx.state.is_leaving && action != Some(Action::Quit) => {}
        Some(action) if is_repeat && !is_movement(action) => {}
        Some(action) => act(cx, action, chord, context),
        None if text_input::type_key(cx, chord) => {}
        None => press_unbound(cx, chord),
    }
}

/// Handles a key that is neither bound nor typed: the number of a menu item, or a mistake.
fn press_unbound(cx: &mut Context, chord: KeyChord) {
    match &mut cx.state.overlay {
        Some(Overlay::Menu(menu)) => match (menu.item_for_digit(chord), chord.typed_char()) {
            (Some(at), _) => {
                menu.go_to(at);
                accept(cx);
            }
            (None, Some(c)) if menu.context == KeyContext::Copy => {
                let text = message_line::not_in_copy_menu(c);
                reply(cx, Severity::Warning, text);
            }
            (None, _) => {}
        },
        Some(_) => {}
        None => explain_list_key(cx, chord),
    }
}

/// Explains that a key pressed on the full-screen details works in the list only.
fn explain_list_key(cx: &mut Context, chord: KeyChord) {
    if cx.state.nav.screen == MainScreen::List
        || cx.state.keymap().lookup(chord, KeyContext::List).is_none()
    {
        return;
    }
    let hint = key_hint(cx.state, Action::Back, message_line::BACK_HINT);
    let text = message_line::list_key_only(&chord.ascii()) + &hint;
    reply(cx, Severity::Info, text);
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
pub(super) fn act(cx: &mut Context, action: Action, chord: KeyChord, context: KeyContext) {
    if action.needs_write_access() && messages::reject_if_read_only(cx) {
        return;
    }
    match action {
        Action::Quit if chord == KeyChord::char('q') && cx.state.raw_opened_from().is_some() => {
            marks::step_back(cx);
        }
        Action::Quit if chord != KeyChord::ctrl('c') && store::is_only_copy(cx.state) => {
            let tasks = cx.state.list.iter().map(|watched| watched.id().clone());
            let mut tasks: Vec<_> = tasks.collect();
            tasks.sort_unstable();
            cx.state.overlay = Some(Overlay::Confirm(Confirm::QuitUnsaved { tasks }));
        }
        Action::Quit => quit(cx),
        Action::Redraw => {
            preview::clear_failure(cx.state);
            cx.effects.push(Effect::Redraw);
        }
        Action::Suspend => cx.effects.push(Effect::Suspend),
        Action::Next => move_by(cx.state, 1),
        Action::Previous => move_by(cx.state, -1),
        Action::PageDown => move_by(cx.state, selection::page(cx.state)),
        Action::PageUp => move_by(cx.state, -selection::page(cx.state)),
        Action::HalfDown => move_by(cx.state, (selection::page(cx.state) / 2).max(1)),
        Action::HalfUp => move_by(cx.state, -(selection::page(cx.state) / 2).max(1)),
        Action::First => move_by(cx.state, isize::MIN),
        Action::Last => move_by(cx.state, isize::MAX),
        Action::NextTab => switch_tab(cx, Tab::next, DetailPage::next),
        Action::PreviousTab => switch_tab(cx, Tab::previous, DetailPage::previous),
        Action::ShowTab(tab) => show_tab(cx, tab),
        Action::Detail => show_detail(cx),
        Action::NextTask => show_adjacent_task(cx, Direction::Next),
        Action::PreviousTask => show_adjacent_task(cx, Direction::Previous),
        Action::Back if context == KeyContext::Filter => filter::clear_filter(cx),
        Action::Back => marks::step_back(cx),
        Action::Add => cx.state.overlay = Some(Overlay::Add(Box::default())),
        Action::Remove => remove::remove_targets(cx),
        Action::Undo => remove::undo(cx),
        Action::Mark => marks::toggle_mark(cx),
        Action::MarkRange => marks::mark_range(cx),
        Action::MarkAll => marks::toggle_all(cx),
        Action::Filter => filter::open_filter(cx.state),
        Action::EarlierFilter => filter::step_history(cx, HistoryStep::Earlier),
        Action::LaterFilter => filter::step_history(cx, HistoryStep::Later),
        Action::SortMenu => sort::open_menu(cx.state),
        Action::ReverseSort => sort::reverse_sort(cx),
        Action::Refresh => refresh(cx),
        Action::RefreshAll => refresh_all(cx),
        Action::Pause => toggle_pause(cx),
        Action::Slower => change_poll_speed(cx, PollIntervals::longer, "slowest"),
        Action::Faster => change_poll_speed(cx, PollIntervals::shorter, "fastest"),
        Action::OpenResult => open::open_video(cx, VideoKind::Result),
        Action::OpenInput => open::open_video(cx, VideoKind::Input),
        Action::Compare => open::show_comparison(cx),
        Action::Save => download::save_targets(cx),
        Action::SaveTo => download::choose_folder(cx),
        Action::CopyMenu => copy::open_menu(cx),
        Action::Copy(kind) => copy::copy(cx, kind),
        Action::EditLabel => labels::open_editor(cx),
        Action::Raw => show_raw(cx),
        Action::Palette => palette::open_menu(cx.state),
        Action::ToggleNotify => labels::toggle_notify(cx),
        Action::RestoreListFile => store::restore_list_file(cx),
        Action::Messages => show_messages(cx),
        Action::Diagnostics => open_text(cx.state, TextPage::Diagnostics),
        Action::Help => open_text(cx.state, TextPage::Help),
        Action::Accept => accept(cx),
        Action::Toggle => toggle(cx, chord),
        Action::NextField => add::change_field(cx.state, AddDialog::next_field),
        Action::PreviousField => add::change_field(cx.state, AddDialog::previous_field),
    }
}

/// Does what Enter stands for in the open overlay.
fn accept(cx: &mut Context) {
    match &cx.state.overlay {
        Some(Overlay::Menu(menu)) => match menu.chosen().map(|item| item.choice.clone()) {
            Some(choice) => choose(cx, choice),
            None => reply(cx, Severity::Warning, message_line::NO_ACTION_FOUND),
        },
        Some(Overlay::Line(dialog)) => match dialog.purpose {
            LinePurpose::Label => labels::accept(cx),
            LinePurpose::SaveFolder => download::accept_folder(cx),
        },
        Some(Overlay::Add(_)) => add::accept(cx),
        Some(Overlay::Filter(_)) => filter::accept_filter(cx.state),
        Some(Overlay::Confirm(_)) => accept_confirm(cx),
        Some(Overlay::Text { .. } | Overlay::Link(_)) | None => {}
    }
}

/// Carries out the choice made in a menu.
fn choose(cx: &mut Context, choice: MenuChoice) {
    match choice {
        MenuChoice::Run(action) => {
            cx.state.overlay = None;
            let chord = KeyChord::plain(Key::Enter);
            act(cx, action, chord, cx.state.context());
        }
        MenuChoice::Copy(kind) => copy::copy(cx, kind),
        MenuChoice::Sort(column) => sort::accept(cx, column),
        MenuChoice::Open(task, url) => open::accept(cx, task, url),
    }
}

fn accept_confirm(cx: &mut Context) {
    let Some(Overlay::Confirm(confirm)) = cx.state.overlay.take() else {
        return;
    };
    match confirm {
        Confirm::QuitUnsaved { .. } => quit(cx),
        Confirm::Remove { tasks, .. } => remove::remove_tasks(cx, tasks),
        Confirm::Open { videos, .. } => open::open_all(cx, videos),
    }
}

/// Selects or deselects an id; types the key while a line has the focus.
fn toggle(cx: &mut Context, chord: KeyChord) {
    match &mut cx.state.overlay {
        Some(Overlay::Add(dialog)) if dialog.field == AddField::Found => dialog.toggle(),
        _ => drop(text_input::type_key(cx, chord)),
    }
}

fn open_text(state: &mut State, page: TextPage) {
    state.overlay = Some(Overlay::text(page));
}

/// Quits after a last attempt to write pending changes; a second call changes nothing.
pub(super) fn quit(cx: &mut Context) {
    let is_first = !std::mem::replace(&mut cx.state.is_leaving, true);
    if !cx.state.write_queue.changes.is_empty() {
        writes::write_queued(cx);
    }
    filter::save_session_now(cx);
    if is_first && cx.state.notifications.focus != TerminalFocus::Unfocused {
        messages::save_last_seen(cx);
    }
    cx.effects.push(Effect::Quit);
}

/// Moves within the focus: scrolls a text, moves a dialog's cursor, or moves the selection.
pub(super) fn move_by(state: &mut State, by: isize) {
    let max_scroll = usize::from(state.nav.max_scroll);
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
        filter.origin.selected.clone_from(&state.nav.selected);
    }
}

/// Applies the measured scroll limit of the text on the screen.
pub(super) fn clamp_scroll(state: &mut State, max_scroll: u16) {
    state.nav.max_scroll = max_scroll;
    if let Some(scroll) = scroll_offset(state) {
        *scroll = max_scroll.min(*scroll);
    }
}

/// Returns the scroll offset of the text with the focus.
const fn scroll_offset(state: &mut State) -> Option<&mut u16> {
    match (&mut state.overlay, &mut state.nav.screen) {
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
fn switch_tab(cx: &mut Context, next_tab: fn(Tab) -> Tab, next_page: fn(DetailPage) -> DetailPage) {
    match &mut cx.state.nav.screen {
        MainScreen::Detail { page, scroll } => {
            cx.state.nav.raw_opened_from = None;
            *scroll = 0;
            *page = next_page(*page);
        }
        MainScreen::List => selection::show_tab(cx, next_tab(cx.state.tab())),
    }
}

/// Shows the next or previous task in full-screen details. If the task has left the tab, its former
/// position counts.
fn show_adjacent_task(cx: &mut Context, direction: Direction) {
    let MainScreen::Detail { scroll, .. } = &mut cx.state.nav.screen else {
        return;
    };
    *scroll = 0;
    let at = cx.state.position();
    let before = at
        .or(cx.state.nav.vacated_row)
        .unwrap_or_default()
        .checked_sub(1);
    let to = match (direction, at) {
        (Direction::Next, Some(at)) => at.checked_add(1),
        (Direction::Next, None) => cx.state.nav.vacated_row,
        (Direction::Previous, _) => before,
    };
    if let Some(to) = to.filter(|to| *to < cx.state.shown().len()) {
        cx.state.nav.vacated_row = None;
        return selection::go_to(cx.state, to);
    }
    let text = match direction {
        Direction::Next => message_line::LAST_TASK,
        Direction::Previous => message_line::FIRST_TASK,
    };
    reply(cx, Severity::Info, text);
}

fn show_detail(cx: &mut Context) {
    show_page(cx, DetailPage::Info);
}

/// Shows the raw response; if it is already shown, returns to the screen it was opened from, or to
/// the info page.
fn show_raw(cx: &mut Context) {
    let before = cx.state.nav.screen;
    match before {
        _ if cx.state.raw_opened_from().is_some() => marks::step_back(cx),
        MainScreen::Detail {
            page: DetailPage::Json,
            ..
        } => show_page(cx, DetailPage::Info),
        MainScreen::Detail { .. } | MainScreen::List => {
            show_page(cx, DetailPage::Json);
            cx.state.nav.raw_opened_from = (cx.state.nav.screen != before).then_some(before);
        }
    }
}

/// Shows a tab of the list; on the full-screen details, the page with that number.
fn show_tab(cx: &mut Context, tab: Tab) {
    if cx.state.nav.screen == MainScreen::List {
        return selection::show_tab(cx, tab);
    }
    let at = Tab::ALL.iter().position(|other| *other == tab);
    if let Some(page) = at.and_then(|at| DetailPage::ALL.get(at)) {
        return show_page(cx, *page);
    }
    let text = message_line::no_such_page(DetailPage::ALL.len());
    reply(cx, Severity::Info, text);
}

pub(super) fn show_page(cx: &mut Context, page: DetailPage) {
    if cx.state.selected().is_none() {
        let hint = key_hint(cx.state, Action::Add, message_line::ADD_HINT);
        let text = format!("{}{hint}", message_line::NO_TASK_TO_SHOW);
        return reply(cx, Severity::Info, text);
    }
    cx.state.nav.screen = MainScreen::Detail { page, scroll: 0 };
    cx.state.nav.raw_opened_from = None;
}

fn show_messages(cx: &mut Context) {
    if cx.state.past_messages().next().is_none() {
        return reply(cx, Severity::Info, message_line::NO_MESSAGES);
    }
    open_text(cx.state, TextPage::Messages);
}

/// Allows polls during a backoff and returns true, except during a rate limit, which more requests
/// would only extend.
fn lift_backoff_for_user(cx: &mut Context) -> bool {
    let Some(backoff) = cx.state.poll_queue.backoff().cloned() else {
        return true;
    };
    let wait = backoff.until.since(cx.now.mono).as_secs_f64().ceil();
    if backoff.error.is_rate_limit() && wait > 0.0 {
        let text = message_line::refresh_blocked(&backoff.message(cx.now.mono), wait);
        reply(cx, Severity::Warning, text);
        return false;
    }
    cx.state.poll_queue.retry_now(cx.now.mono);
    true
}

/// Requests a poll of each target task that has none in flight.
fn refresh(cx: &mut Context) {
    let targets = cx.state.targets();
    let is_idle =
        |watched: &&&WatchedTask| !matches!(watched.poll_state, PollState::InFlight { .. });
    let idle: Vec<_> = targets.iter().filter(is_idle).collect();
    let tasks = match idle.as_slice() {
        [] if targets.is_empty() => {
            return reply(cx, Severity::Info, message_line::NO_TASK_TO_REFRESH);
        }
        [] => return reply(cx, Severity::Info, message_line::ALREADY_REFRESHING),
        [one] => quoted_title(one),
        several => message_line::task_count(several.len()),
    };
    let ids: Vec<_> = idle.iter().map(|watched| watched.id().clone()).collect();
    if lift_backoff_for_user(cx) {
        for id in ids {
            cx.state.poll_queue.request(id);
        }
        let text = message_line::refreshing(&tasks);
        reply(cx, Severity::Info, text);
    }
}

fn refresh_all(cx: &mut Context) {
    let unfinished: Vec<_> = cx
        .state
        .list
        .iter()
        .filter(|watched| matches!(watched.poll_state, PollState::DueAt(_)))
        .map(|watched| watched.id().clone())
        .collect();
    if unfinished.is_empty() {
        let reason = if cx.state.list.is_empty() {
            let hint = key_hint(cx.state, Action::Add, message_line::ADD_HINT);
            format!("{}{hint}", message_line::NO_TASKS_YET)
        } else if cx.state.list.counts().in_flight > 0 {
            message_line::ALREADY_REFRESHING.to_owned()
        } else if cx.state.list.counts().active > 0 {
            let hint = key_hint(
                cx.state,
                Action::Refresh,
                message_line::REFRESH_REJECTED_HINT,
            );
            format!("{}{hint}", message_line::OTHERS_REJECTED)
        } else {
            message_line::ALL_FINISHED.to_owned()
        };
        return reply(cx, Severity::Info, reason);
    }
    if !lift_backoff_for_user(cx) {
        return;
    }
    let count = unfinished.len();
    for id in unfinished {
        cx.state.list.update(&id, |watched| {
            watched.poll_state = PollState::DueAt(cx.now.mono);
        });
        if cx.state.poll_queue.is_paused {
            cx.state.poll_queue.request(id);
        }
    }
    let text = message_line::refreshing(&message_line::task_count(count));
    reply(cx, Severity::Info, text);
}

fn toggle_pause(cx: &mut Context) {
    cx.state.poll_queue.is_paused = !cx.state.poll_queue.is_paused;
    let text = if cx.state.poll_queue.is_paused {
        let resume = key_hint(cx.state, Action::Pause, message_line::RESUME_HINT);
        let refresh = key_hint(cx.state, Action::Refresh, message_line::REFRESH_ONCE_HINT);
        format!("{}{resume}{refresh}", message_line::POLLING_PAUSED)
    } else {
        backoff::spread_overdue(cx);
        message_line::POLLING_RESUMED.to_owned()
    };
    reply(cx, Severity::Info, text);
}

/// Changes how often tasks are checked; `limit` names the end of the range.
fn change_poll_speed(
    cx: &mut Context,
    change: fn(PollIntervals) -> PollIntervals,
    limit: &'static str,
) {
    let before = cx.state.poll_queue.intervals;
    let intervals = change(before);
    cx.state.poll_queue.intervals = intervals;
    let seconds = [intervals.young, intervals.steady, intervals.late].map(|step| step.as_secs());
    let limit = (intervals == before).then_some(limit);
    let text = message_line::poll_intervals(seconds, limit);
    reply(cx, Severity::Info, text);
    if intervals.steady < before.steady {
        apply_shorter_intervals(cx);
    }
}

/// Reschedules polls that are due later than the current interval allows.
fn apply_shorter_intervals(cx: &mut Context) {
    let (intervals, late_after) = (cx.state.poll_queue.intervals, cx.state.estimate().late);
    let slow: Vec<_> = cx
        .state
        .list
        .iter()
        .filter_map(|watched| {
            let soonest = cx
                .now
                .mono
                .after(intervals.interval(watched.run_time(cx.now), late_after));
            let is_slow = matches!(watched.poll_state, PollState::DueAt(at) if at > soonest);
            (is_slow && watched.poll_history.failures == 0).then(|| (watched.id().clone(), soonest))
        })
        .collect();
    for (id, soonest) in slow {
        cx.state.list.update(&id, |watched| {
            watched.poll_state = PollState::DueAt(soonest);
        });
    }
}
