//! The sort menu.

use ratatui::buffer::Buffer;

use super::{centred_area, draw_hints, first_visible, open_dialog};
use crate::{
    app::{
        keymap::{Action, KeyContext},
        mouse::HitTarget,
    },
    domain::query::SortColumn,
    messages::format,
    ui::{footer::KeyHint, render_context::RenderContext, theme::Role},
};

/// The width, borders included.
const WIDTH: u16 = 46;

/// The width of the name of a sort order.
const NAME_WIDTH: usize = 20;

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

pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>, cursor: usize) {
    let count = SortColumn::ALL.len();
    let height = u16::try_from(count).unwrap_or(u16::MAX).saturating_add(4);
    let area = centred_area(ctx, WIDTH, height);
    let current = ctx.state.list_view().order;
    let mut painter = open_dialog(buffer, ctx, area, "Sort by", current.name());
    let below = match painter.height() {
        0..3 => 0,
        3..5 => 1,
        5.. => 2,
    };
    let rows = painter.height().saturating_sub(below);
    let first = first_visible(cursor, count, usize::from(rows));
    for (y, (at, column)) in (0..rows).zip(SortColumn::ALL.into_iter().enumerate().skip(first)) {
        ctx.register(painter.row_area(y), || HitTarget::DialogLine(at));
        let is_current = at == cursor;
        let style = |role| ctx.style(if is_current { Role::Selected } else { role });
        if is_current {
            painter.style_row(y, style(Role::Text));
            painter.text(1, y, ctx.theme.glyphs().row_cursor, style(Role::Text));
        }
        let order = current.offered(column);
        let x = painter.text(3, y, &(at + 1).to_string(), style(Role::Key)) + 2;
        let name = format::pad_end(order.name(), NAME_WIDTH);
        let x = painter.text(x, y, &name, style(Role::Text)) + 1;
        let room = usize::from(painter.width().saturating_sub(x + 1));
        let text = format::fit_end(column_description(column), room, ctx.ellipsis());
        painter.text(x, y, &text, style(Role::Muted));
    }
    if below > 0 {
        let hint = |action| KeyHint::for_action(action, KeyContext::Sort, ctx);
        let hints = vec![
            hint(Action::Accept).map(|hint| hint.with_word("sort")),
            hint(Action::ReverseSort),
            hint(Action::Back).map(|hint| hint.with_word("cancel")),
        ];
        let y = painter.height() - 1;
        draw_hints(&mut painter, y, hints, ctx);
    }
}
