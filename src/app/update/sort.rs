//! The sort menu, and changes of the sort order.

use super::{messages::reply, selection};
use crate::{
    app::{
        keymap::KeyContext,
        state::{Menu, MenuChoice, MenuItem, Overlay, Severity, State},
    },
    domain::{
        query::{ListView, SortColumn, SortOrder},
        time::Now,
    },
    messages::message_line,
};

/// Opens the sort menu with the cursor on the current column.
pub(super) fn open_menu(state: &mut State) {
    let order = state.list_view().order;
    let mut columns = SortColumn::ALL.iter();
    let at = columns.position(|column| *column == order.column);
    let menu = sort_menu(order, at.unwrap_or_default());
    state.overlay = Some(Overlay::Menu(Box::new(menu)));
}

fn sort_menu(order: SortOrder, cursor: usize) -> Menu {
    let item = |column| MenuItem {
        note: column_description(column),
        ..MenuItem::new(MenuChoice::Sort(column), order.offered(column).name())
    };
    let items = SortColumn::ALL.iter().copied().map(item).collect();
    Menu {
        title: "Sort by".to_owned(),
        note: Some(order.name().to_owned()),
        accept_word: "sort",
        cursor,
        min_width: 46,
        text_width: 20,
        ..Menu::numbered(KeyContext::Sort, items)
    }
}

const fn column_description(column: SortColumn) -> &'static str {
    match column {
        SortColumn::Age => "age",
        SortColumn::Status => "status",
        SortColumn::Title => "title",
        SortColumn::Took => "run time",
        SortColumn::Link => "link expiry",
        SortColumn::LastChange => "last change",
    }
}

/// Sorts by the chosen column and closes the menu; the current column keeps its direction.
pub(super) fn accept(state: &mut State, column: SortColumn, now: Now) {
    state.overlay = None;
    let order = state.list_view().order.offered(column);
    set_sort_order(state, order, now);
}

/// Sorts by a column; the current column is reversed.
pub(super) fn sort_by(state: &mut State, sort: SortColumn, now: Now) {
    let order = state.list_view().order;
    let order = if order.column == sort {
        order.flipped()
    } else {
        SortOrder::new(sort)
    };
    set_sort_order(state, order, now);
}

pub(super) fn reverse_sort(state: &mut State, now: Now) {
    let order = state.list_view().order.flipped();
    set_sort_order(state, order, now);
    if let Some(Overlay::Menu(menu)) = &mut state.overlay
        && menu.context == KeyContext::Sort
    {
        **menu = sort_menu(order, menu.cursor);
    }
}

fn set_sort_order(state: &mut State, order: SortOrder, now: Now) {
    let view = ListView {
        order,
        ..state.list_view().clone()
    };
    selection::set_view(state, view, now);
    let text = message_line::sorted(order.name());
    reply(state, Severity::Info, text, now);
}
