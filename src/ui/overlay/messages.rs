//! The recent messages, the latest first, each with its time.

use ratatui::buffer::Buffer;

use super::{ScrolledDialog, available_area, close_hint, open_dialog};
use crate::messages::format;
use crate::ui::{
    render_context::{DrawResult, RenderContext},
    theme::Role,
};

/// The maximum width, borders included.
const WIDTH: u16 = 100;

/// The width of the time column.
const TIME_WIDTH: u16 = 10;

/// The maximum number of rows of one message.
const MAX_ROWS: usize = 4;

pub(super) fn draw(buffer: &mut Buffer, ctx: &RenderContext<'_>, scroll: u16) -> DrawResult {
    let width = WIDTH.min(available_area(ctx).width);
    let text_width = usize::from(width.saturating_sub(TIME_WIDTH + 4)).max(1);
    let zone = &ctx.state.settings().time_zone;
    let mut lines = Vec::new();
    for message in ctx.state.past_messages() {
        let mut time = format::clock(message.at, zone);
        for row in format::wrap(&message.text, text_width, MAX_ROWS, ctx.ellipsis()) {
            lines.push((std::mem::take(&mut time), row, message.severity));
        }
    }
    let dialog = ScrolledDialog::new(ctx, width, lines.len(), scroll);
    let close = close_hint(ctx);
    let mut painter = open_dialog(buffer, ctx, dialog.area, "Messages", &close);
    let visible = lines.iter().skip(usize::from(dialog.scroll));
    for (y, (time, text, severity)) in (0..dialog.height()).zip(visible) {
        painter.text(1, y, time, ctx.style(Role::Muted));
        painter.text(1 + TIME_WIDTH, y, text, ctx.theme.severity_style(*severity));
    }
    dialog.draw_result()
}
