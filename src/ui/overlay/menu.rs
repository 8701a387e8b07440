//! The menus: a line for each item with its key, text and note, below the filter line if there is
//! one.

use ratatui::buffer::Buffer;

use super::dialog::{
    centred_area, draw_hints, first_visible, framed_height, key_hints, open_dialog,
};
use crate::{
    app::{
        keymap::Action,
        mouse::HitTarget,
        state::{Menu, MenuChoice, MenuItem},
    },
    messages::format,
    ui::{line_editor::draw_field, painter::Painter, render_context::RenderContext, theme::Role},
};

/// The maximum width, borders included.
const MAX_WIDTH: u16 = 76;

/// The number of rows below the filter line, so that the height does not change with each letter.
const FILTERED_ROWS: usize = 14;

pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>, menu: &Menu) {
    let count = menu.items.len();
    let widths = menu.items.iter().map(|item| format::width(&item.text));
    let width = u16::try_from(widths.max().unwrap_or_default() + 9).unwrap_or(MAX_WIDTH);
    let lines = match menu.filter {
        Some(_) => FILTERED_ROWS + 3,
        None => count + 2,
    };
    let area = centred_area(
        ctx,
        width.clamp(menu.min_width, MAX_WIDTH),
        framed_height(lines),
    );
    let right = match &menu.note {
        Some(note) => note.clone(),
        None if count == 0 => "none".to_owned(),
        None => format!("{} of {count}", menu.cursor + 1),
    };
    let mut painter = open_dialog(buffer, ctx, area, &menu.title, &right);
    if let Some(line) = &menu.filter {
        draw_field(&mut painter, 0, ": ", line, true, "type a name", ctx);
    }
    let top = u16::from(menu.filter.is_some());
    // On a small screen the items take the space of the hints.
    let below = match painter.height().saturating_sub(top) {
        0..3 => 0,
        3..8 => 1,
        8.. => 2,
    };
    let bottom = painter.height().saturating_sub(below);
    let first = first_visible(menu.cursor, count, usize::from(bottom.saturating_sub(top)));
    for (y, at) in (top..bottom).zip(first..count) {
        draw_item(&mut painter, y, menu, at, ctx);
    }
    if count == 0 && top < bottom {
        painter.text(1, top, "no matching action", ctx.style(Role::Muted));
    }
    if below > 0 {
        let hints = [
            (Action::Accept, menu.accept_word),
            (Action::ReverseSort, ""),
            (Action::Back, "cancel"),
        ];
        let y = painter.height() - 1;
        draw_hints(&mut painter, y, key_hints(ctx, &hints), ctx);
    }
}

fn draw_item(painter: &mut Painter<'_>, y: u16, menu: &Menu, at: usize, ctx: &RenderContext<'_>) {
    let Some(item) = menu.items.get(at) else {
        return;
    };
    ctx.register(painter.row_area(y), || HitTarget::DialogLine(at));
    let is_current = at == menu.cursor;
    let style = |role| {
        ctx.style(match (is_current, item.is_available) {
            (true, _) => Role::Selected,
            (false, true) => role,
            (false, false) => Role::Muted,
        })
    };
    if is_current {
        painter.style_row(y, style(Role::Text));
        let x = u16::from(menu.is_numbered);
        painter.text(x, y, ctx.theme.glyphs().row_cursor, style(Role::Text));
    }
    let key = item_key(menu, at, item, ctx);
    let key = format::pad_end(&key, menu.key_width + 2);
    let x = painter.text(2, y, &key, style(Role::Key));
    let end = painter.width().saturating_sub(1);
    let room = usize::from(end.saturating_sub(x));
    let text = if let MenuChoice::Open(..) = item.choice {
        format::url_tail(&item.text, room, ctx.ellipsis())
    } else {
        format::fit_end(&item.text, room, ctx.ellipsis())
    };
    let text = format::pad_end(&text, menu.text_width);
    let x = painter.text(x, y, &text, style(Role::Text)) + 1;
    let room = usize::from(end.saturating_sub(x));
    let note = format::fit_end(item.note, room, ctx.ellipsis());
    painter.text(x, y, &note, style(Role::Muted));
}

fn item_key(menu: &Menu, at: usize, item: &MenuItem, ctx: &RenderContext<'_>) -> String {
    if menu.is_numbered {
        return format::pad_start(&(at + 1).to_string(), 2);
    }
    let keys = item.keys.iter().map(|chord| ctx.theme.key_name(*chord));
    keys.collect::<Vec<_>>().join(" ")
}
