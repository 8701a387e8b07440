//! The sort menu, and changes of the sort order.

use super::{context::Context, messages::reply, selection};
use crate::{
    app::{
        keymap::KeyContext,
        state::{Menu, MenuChoice, MenuItem, Overlay, Severity, State},
    },
    domain::query::{ListView, SortColumn, SortOrder},
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
pub(super) fn accept(cx: &mut Context, column: SortColumn) {
    cx.state.overlay = None;
    let order = cx.state.list_view().order.offered(column);
    set_sort_order(cx, order);
}

/// Sorts by a column; the current column is reversed.
pub(super) fn sort_by(cx: &mut Context, sort: SortColumn) {
    let order = cx.state.list_view().order;
    let order = if order.column == sort {
        order.flipped()
    } else {
        SortOrder::new(sort)
    };
    set_sort_order(cx, order);
}

pub(super) fn reverse_sort(cx: &mut Context) {
    let order = cx.state.list_view().order.flipped();
    set_sort_order(cx, order);
    if let Some(Overlay::Menu(menu)) = &mut cx.state.overlay
        && menu.context == KeyContext::Sort
    {
        **menu = sort_menu(order, menu.cursor);
    }
}

fn set_sort_order(cx: &mut Context, order: SortOrder) {
    let view = ListView {
        order,
        ..cx.state.list_view().clone()
    };
    selection::set_view(cx, view);
    let text = message_line::sorted(order.name());
    reply(cx, Severity::Info, text);
}
