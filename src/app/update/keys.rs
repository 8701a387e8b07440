//! What a user wants: a key becomes an action, and every refused action says why.

use super::{
    copying, dialogs, finding, labels, marking,
    notices::{self, notify, quoted, step},
    pacing, palette, picturing, removing, saving, selection, storing,
};
use crate::{
    app::{
        keymap::{Action, Context, Key, KeyChord},
        msg::Effect,
        state::{Confirm, DetailPage, Overlay, Screen, State, Step, Tone, VideoKind},
        tidings::Focus,
    },
    domain::{query::Sort, schedule::Polling, status::Tab, time::Now, watched::Watched},
};

/// Takes a key in.
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
        // What was typed ahead of the way out is no order any more.
        action if state.is_leaving && action != Some(Action::Quit) => {}
        Some(action) if is_repeat && !is_movement(action) => {}
        Some(action) => act(state, action, chord, context, now, effects),
        None => dialogs::typed(state, chord, now, effects),
    }
}

/// Reports whether holding the key down may repeat the action.
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

/// Does what a user wants.
pub(super) fn act(
    state: &mut State,
    action: Action,
    chord: KeyChord,
    context: Context,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    match action {
        Action::Quit if chord == KeyChord::char('q') && state.came_from().is_some() => {
            marking::back(state, now);
        }
        Action::Quit if chord != KeyChord::ctrl('c') && storing::holds_the_only_list(state) => {
            let tasks = state.list.iter().map(|watched| watched.id().clone());
            let mut tasks: Vec<_> = tasks.collect();
            tasks.sort_unstable();
            state.overlay = Some(Overlay::Confirm(Confirm::Leave { tasks }));
        }
        Action::Quit => leave(state, now, effects),
        Action::Redraw => {
            picturing::forget_failure(state);
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
        Action::NextTab => turn(state, Turn::Next, now),
        Action::PreviousTab => turn(state, Turn::Previous, now),
        Action::ShowTab(tab) => show_tab(state, tab, now),
        Action::Detail => show_detail(state, now),
        Action::NextTask => step_task(state, Turn::Next, now),
        Action::PreviousTask => step_task(state, Turn::Previous, now),
        Action::Back if context == Context::Filter => finding::clear_filter(state, now),
        Action::Back => marking::back(state, now),
        Action::Add => dialogs::open_add(state, now),
        Action::Remove => removing::remove(state, now, effects),
        Action::Undo => removing::undo(state, now, effects),
        Action::Mark => marking::toggle(state, now),
        Action::MarkRange => marking::range(state, now),
        Action::MarkAll => marking::all(state, now),
        Action::Filter => finding::open_filter(state),
        Action::EarlierFilter => finding::recall(state, Step::Earlier, now),
        Action::LaterFilter => finding::recall(state, Step::Later, now),
        Action::SortMenu => finding::open_sorts(state),
        Action::ReverseSort => finding::reverse(state, now),
        Action::CheckOne => check(state, now),
        Action::CheckAll => check_all(state, now),
        Action::Pause => pause(state, now),
        Action::Slower => set_pace(state, Speed::Slower, now),
        Action::Faster => set_pace(state, Speed::Faster, now),
        Action::OpenResult => dialogs::open_video(state, VideoKind::Result, now, effects),
        Action::OpenOriginal => dialogs::open_video(state, VideoKind::Original, now, effects),
        Action::Compare => dialogs::compare(state, now, effects),
        Action::Save => saving::save(state, now, effects),
        Action::SaveTo => saving::choose_folder(state, now),
        Action::CopyMenu => copying::open_menu(state, now),
        Action::Copy(kind) => copying::copy(state, kind, now, effects),
        Action::EditLabel => labels::open(state, now),
        Action::Raw => show_raw(state, now),
        Action::Palette => palette::open(state),
        Action::ToggleNotices => labels::toggle_notices(state, now, effects),
        Action::WriteBack => storing::write_back(state, now, effects),
        Action::Messages => show_messages(state, now),
        Action::Diagnostics => state.overlay = Some(Overlay::Diagnostics { scroll: 0 }),
        Action::Help => state.overlay = Some(Overlay::Help { scroll: 0 }),
        Action::Accept => accept(state, context, now, effects),
        Action::Toggle => dialogs::toggle(state, chord),
        Action::NextField => dialogs::next_field(state),
        Action::PreviousField => dialogs::previous_field(state),
    }
}

/// Does what the box offers.
fn accept(state: &mut State, context: Context, now: Now, effects: &mut Vec<Effect>) {
    match context {
        Context::Add => dialogs::accept_add(state, now, effects),
        Context::Pick => dialogs::accept_pick(state, effects),
        Context::Folder => saving::accept_folder(state, now, effects),
        Context::Copy => copying::accept(state, now, effects),
        Context::Label => labels::accept(state, now, effects),
        Context::Palette => {
            if let Some((action, context)) = palette::accept(state, now) {
                let chord = KeyChord::plain(Key::Enter);
                act(state, action, chord, context, now, effects);
            }
        }
        Context::Filter => finding::accept_filter(state),
        Context::Sort => finding::accept_sort(state, now),
        Context::Confirm => {
            if matches!(
                &state.overlay,
                Some(Overlay::Confirm(Confirm::Leave { .. }))
            ) {
                leave(state, now, effects);
            }
            dialogs::accept_confirm(state, now, effects);
        }
        Context::List | Context::Detail | Context::Link | Context::Help => {}
    }
}

/// Leaves, after a last try to write what could not be written; a second order changes nothing.
pub(super) fn leave(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    let is_first = !std::mem::replace(&mut state.is_leaving, true);
    let unsaved = state.unsaved.drain();
    if !unsaved.is_empty() {
        effects.push(Effect::Store(unsaved));
    }
    finding::remember_now(state, effects);
    if is_first && state.focus != Focus::Away {
        notices::note_visit(state, now, effects);
    }
    effects.push(Effect::Quit);
}

/// Moves what the keyboard is in: a text, a picker, or the selection.
pub(super) fn move_by(state: &mut State, by: isize) {
    match (&mut state.overlay, &mut state.screen) {
        (
            Some(
                Overlay::Help { scroll }
                | Overlay::Messages { scroll }
                | Overlay::Diagnostics { scroll },
            ),
            _,
        )
        | (None, Screen::Detail { scroll, .. }) => {
            let to = usize::from(*scroll)
                .saturating_add_signed(by)
                .min(usize::from(state.most_scroll));
            *scroll = u16::try_from(to).unwrap_or(u16::MAX);
        }
        (Some(Overlay::Add(dialog)), _) => dialog.move_cursor(by),
        (Some(Overlay::Pick(picker)), _) => {
            let last = picker.videos.len().saturating_sub(1);
            picker.cursor = picker.cursor.saturating_add_signed(by).min(last);
        }
        (Some(Overlay::Copy(menu)), _) => menu.move_cursor(by),
        (Some(Overlay::Palette(palette)), _) => palette.move_cursor(by),
        (Some(Overlay::Sort { cursor }), _) => {
            let last = Sort::ALL.len().saturating_sub(1);
            *cursor = cursor.saturating_add_signed(by).min(last);
        }
        (
            Some(Overlay::Link(_) | Overlay::Folder(_) | Overlay::Label(_) | Overlay::Confirm(_)),
            _,
        ) => {}
        (Some(Overlay::Filter(line)), _) => {
            // The line is about the list: the row chosen meanwhile is the one to come back to.
            let mut line = std::mem::take(line);
            selection::step(state, by);
            line.select(state.selected.clone());
            state.overlay = Some(Overlay::Filter(line));
        }
        (None, Screen::List) => selection::step(state, by),
    }
}

/// Takes in how far the text on the screen can be scrolled, and holds the scroll there.
pub(super) fn measured(state: &mut State, most_scroll: u16) {
    state.most_scroll = most_scroll;
    match (&mut state.overlay, &mut state.screen) {
        (
            Some(
                Overlay::Help { scroll }
                | Overlay::Messages { scroll }
                | Overlay::Diagnostics { scroll },
            ),
            _,
        )
        | (None, Screen::Detail { scroll, .. }) => {
            *scroll = (*scroll).min(state.most_scroll);
        }
        _ => {}
    }
}

#[derive(Clone, Copy)]
enum Turn {
    Next,
    Previous,
}

/// Turns to the next tab of the list, or page of the detail.
fn turn(state: &mut State, turn: Turn, now: Now) {
    match &mut state.screen {
        Screen::Detail { page, scroll } => {
            state.record_from = None;
            *scroll = 0;
            *page = match turn {
                Turn::Next => page.next(),
                Turn::Previous => page.previous(),
            };
        }
        Screen::List => {
            let tab: Tab = match turn {
                Turn::Next => state.tab().next(),
                Turn::Previous => state.tab().previous(),
            };
            selection::show_tab(state, tab, now);
        }
    }
}

/// Shows the task below or above on the whole screen. One that has left the tab has its place in it still.
fn step_task(state: &mut State, turn: Turn, now: Now) {
    let Screen::Detail { scroll, .. } = &mut state.screen else {
        return;
    };
    *scroll = 0;
    let at = state.position();
    let before = at.or(state.left_at).unwrap_or_default().checked_sub(1);
    let to = match (turn, at) {
        (Turn::Next, Some(at)) => at.checked_add(1),
        (Turn::Next, None) => state.left_at,
        (Turn::Previous, _) => before,
    };
    if let Some(to) = to.filter(|to| *to < state.shown().len()) {
        state.left_at = None;
        return selection::go_to(state, to);
    }
    let which = match turn {
        Turn::Next => "last",
        Turn::Previous => "first",
    };
    let text = format!("That is the {which} task shown.");
    notify(state, Tone::Plain, text, now);
}

fn show_detail(state: &mut State, now: Now) {
    show_page(state, DetailPage::Info, now);
}

/// Shows the raw record; where it is shown already, what was there before, else the page of facts.
fn show_raw(state: &mut State, now: Now) {
    let before = state.screen;
    match before {
        _ if state.came_from().is_some() => marking::back(state, now),
        Screen::Detail {
            page: DetailPage::Json,
            ..
        } => show_page(state, DetailPage::Info, now),
        Screen::Detail { .. } | Screen::List => {
            show_page(state, DetailPage::Json, now);
            state.record_from = (state.screen != before).then_some(before);
        }
    }
}

/// Shows a tab of the list; on the full detail the page of that number.
fn show_tab(state: &mut State, tab: Tab, now: Now) {
    if state.screen == Screen::List {
        return selection::show_tab(state, tab, now);
    }
    let at = Tab::ALL.iter().position(|other| *other == tab);
    if let Some(page) = at.and_then(|at| DetailPage::ALL.get(at)) {
        return show_page(state, *page, now);
    }
    let count = DetailPage::ALL.len();
    let text = format!("The detail has {count} pages; the tabs are the list's.");
    notify(state, Tone::Plain, text, now);
}

/// Shows a page of the selected task.
pub(super) fn show_page(state: &mut State, page: DetailPage, now: Now) {
    if state.selected().is_none() {
        let text = format!("No task to show.{}", step(state, Action::Add, "adds one"));
        return notify(state, Tone::Plain, text, now);
    }
    state.screen = Screen::Detail { page, scroll: 0 };
    state.record_from = None;
}

/// Shows what was said of late.
fn show_messages(state: &mut State, now: Now) {
    if state.past().next().is_none() {
        return notify(state, Tone::Plain, "Nothing was said yet.", now);
    }
    state.overlay = Some(Overlay::Messages { scroll: 0 });
}

/// Lets a poll through a hold at once; but not through a limit, which more questions would only make longer.
fn may_ask(state: &mut State, now: Now) -> bool {
    let Some(hold) = state.polls.hold().cloned() else {
        return true;
    };
    let wait = hold.until.since(now.mono).as_secs_f64().ceil();
    if hold.error.is_limit() && wait > 0.0 {
        let text = format!(
            "Not now: {}. Asking again in {wait}s.",
            hold.message(now.mono)
        );
        notify(state, Tone::Warning, text, now);
        return false;
    }
    state.polls.try_now(now.mono);
    true
}

/// Asks after the tasks meant. One that is being asked after already is not asked twice.
fn check(state: &mut State, now: Now) {
    let targets = state.targets();
    let is_idle = |watched: &&&Watched| !matches!(watched.polling, Polling::InFlight { .. });
    let idle: Vec<_> = targets.iter().filter(is_idle).collect();
    let what = match idle.as_slice() {
        [] if targets.is_empty() => {
            return notify(state, Tone::Plain, "No task to ask after.", now);
        }
        [] if targets.len() == 1 => {
            return notify(
                state,
                Tone::Plain,
                "It is being asked after right now.",
                now,
            );
        }
        [] => {
            return notify(
                state,
                Tone::Plain,
                "They are being asked after right now.",
                now,
            );
        }
        [one] => quoted(one),
        several => format!("{} tasks", several.len()),
    };
    let ids: Vec<_> = idle.iter().map(|watched| watched.id().clone()).collect();
    if may_ask(state, now) {
        for id in ids {
            state.polls.ask_for(id);
        }
        notify(state, Tone::Plain, format!("Asking after {what}."), now);
    }
}

fn check_all(state: &mut State, now: Now) {
    let unfinished: Vec<_> = state
        .list
        .iter()
        .filter(|watched| matches!(watched.polling, Polling::DueAt(_)))
        .map(|watched| watched.id().clone())
        .collect();
    if unfinished.is_empty() {
        let reason = if state.list.is_empty() {
            format!(
                "Nothing is watched yet.{}",
                step(state, Action::Add, "adds tasks")
            )
        } else if state.list.tally().in_flight > 0 {
            "They are being asked after right now.".to_owned()
        } else if state.list.tally().active > 0 {
            let once = step(state, Action::CheckOne, "asks after one of them once again");
            format!("The server refuses the rest.{once}")
        } else {
            "Every task has ended; there is nothing to ask.".to_owned()
        };
        return notify(state, Tone::Plain, reason, now);
    }
    if !may_ask(state, now) {
        return;
    }
    let count = unfinished.len();
    for id in unfinished {
        state
            .list
            .change(&id, |watched| watched.polling = Polling::DueAt(now.mono));
        if state.polls.is_paused() {
            state.polls.ask_for(id);
        }
    }
    let what = if count == 1 {
        "one task".to_owned()
    } else {
        format!("{count} tasks")
    };
    notify(state, Tone::Plain, format!("Asking after {what}."), now);
}

fn pause(state: &mut State, now: Now) {
    state.polls.toggle_pause();
    let text = if state.polls.is_paused() {
        let steps = [(Action::Pause, "goes on"), (Action::CheckOne, "asks once")];
        let steps = steps
            .map(|(action, what)| step(state, action, what))
            .concat();
        format!("Paused: nothing is asked by itself.{steps}")
    } else {
        pacing::spread_long_due(state, now);
        "Asking again.".to_owned()
    };
    notify(state, Tone::Plain, text, now);
}

#[derive(Clone, Copy)]
enum Speed {
    Slower,
    Faster,
}

fn set_pace(state: &mut State, speed: Speed, now: Now) {
    let before = state.polls.pace();
    let pace = match speed {
        Speed::Slower => before.slower(),
        Speed::Faster => before.faster(),
    };
    state.polls.set_pace(pace);
    let [young, steady, late] = [pace.young, pace.steady, pace.late].map(|pace| pace.as_secs());
    let limit = if pace == before {
        " That is the limit."
    } else {
        ""
    };
    let text = format!("Every {young}s while young, {steady}s after 2m, {late}s when late.{limit}");
    notify(state, Tone::Plain, text, now);
    if matches!(speed, Speed::Faster) {
        hasten(state, now);
    }
}

/// Draws the questions of a slower pace nearer, so that a faster one counts at once.
fn hasten(state: &mut State, now: Now) {
    let (pace, late_after) = (state.polls.pace(), state.estimate().late);
    let far: Vec<_> = state
        .list
        .iter()
        .filter_map(|watched| {
            let soonest = now
                .mono
                .after(pace.interval(watched.run_time(now), late_after));
            let is_far = matches!(watched.polling, Polling::DueAt(at) if at > soonest);
            (is_far && watched.freshness.failures == 0).then(|| (watched.id().clone(), soonest))
        })
        .collect();
    for (id, soonest) in far {
        state
            .list
            .change(&id, |watched| watched.polling = Polling::DueAt(soonest));
    }
}
