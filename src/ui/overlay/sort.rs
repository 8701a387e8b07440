//! The menu of orders.

use ratatui::buffer::Buffer;

use super::{centred_area, draw_hints, first_visible, open_dialog};
use crate::{
    app::{
        keymap::{Action, KeyContext},
        mouse::HitTarget,
    },
    domain::query::SortColumn,
    ui::{footer::KeyHint, format, render_context::RenderContext, theme::Role},
};

/// The width of the box, borders included.
const WIDTH: u16 = 46;

/// The room of the name of an order.
const NAME_WIDTH: usize = 20;

/// Returns what a menu line says of an order.
const fn column_description(sort: SortColumn) -> &'static str {
    match sort {
        SortColumn::Age => "age",
        SortColumn::Status => "status",
        SortColumn::Title => "title",
        SortColumn::Took => "run time",
        SortColumn::Link => "end of the link",
        SortColumn::LastChange => "last change",
    }
}

/// Draws the menu.
pub(super) fn draw(buffer: &mut Buffer, scene: &RenderContext<'_>, cursor: usize) {
    let count = SortColumn::ALL.len();
    let height = u16::try_from(count).unwrap_or(u16::MAX).saturating_add(4);
    let area = centred_area(scene, WIDTH, height);
    let now = scene.state.list_view().order;
    let mut pen = open_dialog(buffer, scene, area, "Sort by", now.name());
    let below = match pen.height() {
        0..3 => 0,
        3..5 => 1,
        5.. => 2,
    };
    let rows = pen.height().saturating_sub(below);
    let first = first_visible(cursor, count, usize::from(rows));
    for (y, (at, sort)) in (0..rows).zip(SortColumn::ALL.into_iter().enumerate().skip(first)) {
        scene.register(pen.row_area(y), || HitTarget::DialogLine(at));
        let is_here = at == cursor;
        let of = |role| scene.style(if is_here { Role::Selected } else { role });
        if is_here {
            pen.style_row(y, of(Role::Text));
            pen.text(1, y, scene.theme.glyphs().row_cursor, of(Role::Text));
        }
        let order = now.offered(sort);
        let x = pen.text(3, y, &(at + 1).to_string(), of(Role::Key)) + 2;
        let name = format::pad_end(order.name(), NAME_WIDTH);
        let x = pen.text(x, y, &name, of(Role::Text)) + 1;
        let room = usize::from(pen.width().saturating_sub(x + 1));
        let what = format::fit_end(column_description(sort), room, scene.ellipsis());
        pen.text(x, y, &what, of(Role::Muted));
    }
    if below > 0 {
        let hint = |action| KeyHint::for_action(action, KeyContext::Sort, scene);
        let hints = vec![
            hint(Action::Accept).map(|hint| hint.with_word("sort")),
            hint(Action::ReverseSort),
            hint(Action::Back).map(|hint| hint.with_word("cancel")),
        ];
        let y = pen.height() - 1;
        draw_hints(&mut pen, y, hints, scene);
    }
}
