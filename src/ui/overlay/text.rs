//! The dialogs with scrolled text.

use ratatui::{buffer::Buffer, text::Line};

use super::dialog::{centred_area, framed_height, open_dialog};
use crate::{
    app::keymap::{Action, KeyContext},
    ui::render_context::RenderContext,
};

/// The content of a dialog with scrolled text.
pub(super) struct TextContent {
    pub(super) title: &'static str,
    /// The width, borders included.
    pub(super) width: u16,
    pub(super) lines: Vec<Line<'static>>,
}

/// Draws the text from line `scroll` on, and returns the largest scroll offset.
pub(super) fn draw(
    buffer: &mut Buffer,
    ctx: &RenderContext<'_>,
    content: &TextContent,
    scroll: u16,
) -> u16 {
    let height = framed_height(content.lines.len());
    let area = centred_area(ctx, content.width, height);
    let max_scroll = height - area.height;
    let scroll = scroll.min(max_scroll);
    let hint = ctx.state.keymap().hint(Action::Back, KeyContext::Help);
    let close = hint.map_or_else(String::new, |(key, _)| {
        format!("{} close", ctx.theme.key_name(key))
    });
    let right = if max_scroll == 0 {
        close
    } else {
        let (first, last) = (scroll + 1, scroll + area.height.saturating_sub(2));
        format!("{first}-{last} of {}  {close}", content.lines.len())
    };
    let mut painter = open_dialog(buffer, ctx, area, content.title, &right);
    let visible = content.lines.iter().skip(usize::from(scroll));
    for (y, line) in (0..painter.height()).zip(visible) {
        painter.line(1, y, line);
    }
    max_scroll
}
