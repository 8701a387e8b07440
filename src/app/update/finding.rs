//! Finding tasks in a long list: the filter line, the menu of orders; and what of it is remembered.

use std::time::Duration;

use super::{
    notices::{self, notify},
    selection,
};
use crate::{
    app::{
        msg::Effect,
        state::{FilterLine, Former, Loading, Overlay, Place, Screen, State, Step, Tone},
    },
    domain::{
        change::Access,
        memory::Memory,
        query::{Lens, Order, Query, Sort},
        task::TaskId,
        time::Now,
    },
};

/// How long after the last change of tab, order or filter it is remembered.
const SETTLED: Duration = Duration::from_secs(2);

/// The most filters that are kept to be called back.
const MOST_FILTERS: usize = 20;

/// Opens the filter line, with the filter in force in it; out of the full detail, to the list it is about.
pub(super) fn open_filter(state: &mut State) {
    if state.screen != Screen::List {
        state.screen = Screen::List;
        selection::settle(state);
    }
    let place = former(state).unwrap_or_else(|| Place {
        selected: state.selected.clone(),
        first: state.shown().get(state.top).cloned(),
    });
    let line = FilterLine::open(&state.lens().query, place);
    state.overlay = Some(Overlay::Filter(Box::new(line)));
}

/// Filters by what is typed by now.
pub(super) fn typed(state: &mut State, query: Query, now: Now) {
    let Some(Overlay::Filter(line)) = &state.overlay else {
        return;
    };
    let before = line.place().clone();
    if query != state.lens().query {
        filter(state, query, now);
        come_back(state, before);
    }
}

/// Has an earlier filter in the line, and in force.
pub(super) fn recall(state: &mut State, step: Step, now: Now) {
    let State {
        overlay, filters, ..
    } = &mut *state;
    let Some(Overlay::Filter(line)) = overlay else {
        return;
    };
    if let Some(query) = line.recall(filters, step) {
        typed(state, query, now);
    }
}

/// Keeps the filter and closes the line; one with a fault stays open, and says it.
pub(super) fn accept_filter(state: &mut State) {
    if matches!(&state.overlay, Some(Overlay::Filter(line)) if line.fault().is_none()) {
        keep_filter(state);
    }
}

fn keep_filter(state: &mut State) {
    let Some(Overlay::Filter(line)) = state.overlay.take() else {
        return;
    };
    let text = state.lens().query.to_string();
    if !text.is_empty() {
        let filters = &mut state.filters;
        filters.retain(|past| *past != text);
        filters.push(text);
        filters.drain(..filters.len().saturating_sub(MOST_FILTERS));
    }
    state.former = (line.place().selected != state.selected).then(|| Former {
        place: line.place().clone(),
        instead: state.selected.clone(),
    });
}

/// Takes the place where one was before the filter in force, as long as nobody has moved since.
fn former(state: &mut State) -> Option<Place> {
    let former = state.former.take()?;
    (former.instead == state.selected).then_some(former.place)
}

/// Takes the filter off.
pub(super) fn filter_off(state: &mut State, now: Now) {
    let place = former(state);
    filter(state, Query::default(), now);
    if let Some(place) = place {
        come_back(state, place);
    }
}

/// Closes the line and takes the filter off.
pub(super) fn clear_filter(state: &mut State, now: Now) {
    let Some(Overlay::Filter(line)) = state.overlay.take() else {
        return;
    };
    let before = line.place().clone();
    filter(state, Query::default(), now);
    come_back(state, before);
}

/// Lets through what a filter lets through.
pub(super) fn filter(state: &mut State, query: Query, now: Now) {
    let lens = Lens {
        query,
        ..state.lens().clone()
    };
    selection::look(state, lens, now);
}

/// Selects the row again that was selected, or the nearest to it, and begins with the one that was first, where they
/// are shown.
fn come_back(state: &mut State, Place { selected, first }: Place) {
    if let Some(at) = first.and_then(|id| state.view.position(&id, &state.list)) {
        state.top = at;
    }
    match selected.and_then(|id| state.view.nearest(&id, &state.list)) {
        Some(at) => selection::go_to(state, at),
        None => selection::keep_visible(state),
    }
}

/// Opens the menu of orders, at the one in force.
pub(super) fn open_sorts(state: &mut State) {
    let sort = state.lens().order.sort;
    let at = Sort::ALL.iter().position(|other| *other == sort);
    state.overlay = Some(Overlay::Sort {
        cursor: at.unwrap_or_default(),
    });
}

/// Orders the list by what is under the menu's cursor; the order in force stays as it is.
pub(super) fn accept_sort(state: &mut State, now: Now) {
    if let Some(Overlay::Sort { cursor }) = state.overlay
        && let Some(sort) = Sort::ALL.get(cursor)
    {
        state.overlay = None;
        let order = state.lens().order.offered(*sort);
        sort_in(state, order, now);
    }
}

/// Orders the list by something; by the same again, from the other end.
pub(super) fn sort_by(state: &mut State, sort: Sort, now: Now) {
    let order = state.lens().order;
    let order = if order.sort == sort {
        order.reversed()
    } else {
        Order::by(sort)
    };
    sort_in(state, order, now);
}

/// Turns the order round.
pub(super) fn reverse(state: &mut State, now: Now) {
    let order = state.lens().order.reversed();
    sort_in(state, order, now);
}

fn sort_in(state: &mut State, order: Order, now: Now) {
    let lens = Lens {
        order,
        ..state.lens().clone()
    };
    selection::look(state, lens, now);
    let text = format!("Sorted: {}.", order.name());
    notify(state, Tone::Plain, text, now);
}

/// Takes in what was known at the end of the last run, and returns which tasks ended since. What was chosen since the
/// start stays.
pub(super) fn recalled(state: &mut State, memory: Memory, now: Now) -> Vec<TaskId> {
    let Memory {
        lens,
        removals,
        visited,
    } = memory;
    state.outlook.is_recalled = true;
    state.outlook.visited = visited;
    state.undos.recall(removals);
    state.outlook.remembered = lens.clone();
    if *state.lens() == Lens::default() && !matches!(state.overlay, Some(Overlay::Filter(_))) {
        selection::look(state, lens, now);
    }
    notices::returned(state, now)
}

/// Has the way the list is looked at remembered, a moment after it last changed.
pub(super) fn remember(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    let is_typing = matches!(state.overlay, Some(Overlay::Filter(_)));
    if is_typing || !can_remember(state) || *state.lens() == state.outlook.remembered {
        state.outlook.due = None;
        return;
    }
    match state.outlook.due {
        Some(due) if due <= now.mono => remember_now(state, effects),
        Some(_) => {}
        None => state.outlook.due = Some(now.mono.after(SETTLED)),
    }
}

/// Has it remembered at once, as on the way out.
pub(super) fn remember_now(state: &mut State, effects: &mut Vec<Effect>) {
    state.outlook.due = None;
    if can_remember(state) && *state.lens() != state.outlook.remembered {
        let lens = state.lens().clone();
        state.outlook.remembered = lens.clone();
        effects.push(Effect::Remember(lens));
    }
}

fn can_remember(state: &State) -> bool {
    state.settings.access == Access::Full && state.loading == Loading::Done
}
