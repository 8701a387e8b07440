//! The menu of orders.

use ratatui::buffer::Buffer;

use super::{draw_hints, first_seen, open, place};
use crate::{
    app::{
        keymap::{Action, Context},
        pointer::Spot,
    },
    domain::query::Sort,
    ui::{footer::Hint, format, scene::Scene, theme::Role},
};

/// The width of the box, borders included.
const WIDTH: u16 = 46;

/// The room of the name of an order.
const NAME: usize = 20;

/// Returns what a menu line says of an order.
const fn column(sort: Sort) -> &'static str {
    match sort {
        Sort::Age => "age",
        Sort::Status => "status",
        Sort::Title => "title",
        Sort::Took => "run time",
        Sort::Link => "end of the link",
        Sort::Change => "last change",
    }
}

/// Draws the menu.
pub(super) fn draw(buffer: &mut Buffer, scene: &Scene<'_>, cursor: usize) {
    let count = Sort::ALL.len();
    let height = u16::try_from(count).unwrap_or(u16::MAX).saturating_add(4);
    let area = place(scene, WIDTH, height);
    let now = scene.state.lens().order;
    let mut pen = open(buffer, scene, area, "Sort by", now.name());
    let below = match pen.height() {
        0..3 => 0,
        3..5 => 1,
        5.. => 2,
    };
    let rows = pen.height().saturating_sub(below);
    let first = first_seen(cursor, count, usize::from(rows));
    for (y, (at, sort)) in (0..rows).zip(Sort::ALL.into_iter().enumerate().skip(first)) {
        scene.mark(pen.row(y), || Spot::Choice(at));
        let is_here = at == cursor;
        let of = |role| scene.style(if is_here { Role::Selected } else { role });
        if is_here {
            pen.style_row(y, of(Role::Text));
            pen.text(1, y, scene.theme.glyphs().pointer, of(Role::Text));
        }
        let order = now.offered(sort);
        let x = pen.text(3, y, &(at + 1).to_string(), of(Role::Key)) + 2;
        let name = format::pad_end(order.name(), NAME);
        let x = pen.text(x, y, &name, of(Role::Text)) + 1;
        let room = usize::from(pen.width().saturating_sub(x + 1));
        let what = format::fit_end(column(sort), room, scene.ellipsis());
        pen.text(x, y, &what, of(Role::Muted));
    }
    if below > 0 {
        let hint = |action| Hint::of(action, Context::Sort, scene);
        let hints = vec![
            hint(Action::Accept).map(|hint| hint.saying("sort")),
            hint(Action::ReverseSort),
            hint(Action::Back).map(|hint| hint.saying("cancel")),
        ];
        let y = pen.height() - 1;
        draw_hints(&mut pen, y, hints, scene);
    }
}
