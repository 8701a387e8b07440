//! The recent messages, the latest first, each with its time.

use ratatui::text::{Line, Span};

use super::{dialog::available_area, text::TextContent};
use crate::{
    messages::format,
    ui::{render_context::RenderContext, theme::Role},
};

/// The maximum width, borders included.
const WIDTH: u16 = 100;

/// The width of the time column.
const TIME_WIDTH: usize = 10;

/// The maximum number of rows of one message.
const MAX_ROWS: usize = 4;

pub(super) fn content(ctx: &RenderContext<'_>) -> TextContent {
    let width = WIDTH.min(available_area(ctx).width);
    let room = usize::from(width).saturating_sub(TIME_WIDTH + 4).max(1);
    let zone = &ctx.state.settings().time_zone;
    let mut lines = Vec::new();
    for message in ctx.state.past_messages() {
        let mut time = format::clock(message.at, zone);
        for row in format::wrap(&message.text, room, MAX_ROWS, ctx.ellipsis()) {
            let time = format::pad_end(&std::mem::take(&mut time), TIME_WIDTH);
            lines.push(Line::from(vec![
                Span::styled(time, ctx.style(Role::Muted)),
                Span::styled(row, ctx.theme.severity_style(message.severity)),
            ]));
        }
    }
    TextContent {
        title: "Messages".to_owned(),
        width,
        lines,
        hints: Vec::new(),
    }
}
