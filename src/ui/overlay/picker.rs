//! The picker of one of several videos.

use ratatui::buffer::Buffer;

use super::{centred_area, draw_hints, first_visible, open_dialog};
use crate::{
    app::{
        keymap::{Action, KeyContext},
        mouse::HitTarget,
        state::Picker,
    },
    messages::format,
    ui::{footer::KeyHint, painter::cell_count, render_context::RenderContext, theme::Role},
};

/// The maximum width, borders included.
const WIDTH: u16 = 76;

pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>, picker: &Picker) {
    let count = picker.videos.len();
    let longest = picker
        .videos
        .iter()
        .map(|url| cell_count(url.as_str()))
        .max()
        .unwrap_or_default();
    let width = longest.saturating_add(9).clamp(40, WIDTH);
    let height = u16::try_from(count).unwrap_or(u16::MAX).saturating_add(4);
    let area = centred_area(ctx, width, height);
    let title = format!("Open which {}?", picker.kind.name());
    let right = format!("{} of {count}", picker.cursor + 1);
    let mut painter = open_dialog(buffer, ctx, area, &title, &right);
    // On a small screen the videos take the space of the hints.
    let below = match painter.height() {
        0..3 => 0,
        3..5 => 1,
        5.. => 2,
    };
    let rows = painter.height().saturating_sub(below);
    let first = first_visible(picker.cursor, count, usize::from(rows));
    for (y, (at, url)) in (0..rows).zip(picker.videos.iter().enumerate().skip(first)) {
        ctx.register(painter.row_area(y), || HitTarget::DialogLine(at));
        let is_current = at == picker.cursor;
        let style = |role| ctx.style(if is_current { Role::Selected } else { role });
        if is_current {
            painter.style_row(y, style(Role::Text));
            painter.text(1, y, ctx.theme.glyphs().row_cursor, style(Role::Text));
        }
        let number = format::pad_start(&(at + 1).to_string(), 2);
        let x = painter.text(2, y, &number, style(Role::Key)) + 2;
        let room = usize::from(painter.width().saturating_sub(x + 1));
        let url = format::url_tail(url.as_str(), room, ctx.ellipsis());
        painter.text(x, y, &url, style(Role::Text));
    }
    if below > 0 {
        let hint = |action| KeyHint::for_action(action, KeyContext::Pick, ctx);
        let hints = vec![
            hint(Action::Accept).map(|hint| hint.with_word("open")),
            hint(Action::Back).map(|hint| hint.with_word("cancel")),
        ];
        let y = painter.height() - 1;
        draw_hints(&mut painter, y, hints, ctx);
    }
}
