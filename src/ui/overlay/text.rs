//! The dialogs with text: scrolled, or short with the hints of their keys.

use ratatui::{buffer::Buffer, text::Line};

use super::dialog::{centred_area, draw_hints, framed_height, open_dialog};
use crate::{
    app::keymap::{Action, KeyContext},
    ui::{footer::KeyHint, render_context::RenderContext},
};

/// The content of a dialog with scrolled text.
pub(super) struct TextContent {
    pub(super) title: String,
    /// The width, borders included.
    pub(super) width: u16,
    pub(super) lines: Vec<Line<'static>>,
    /// The hints below the text; without any the title says how to close the dialog.
    pub(super) hints: Vec<KeyHint>,
}

/// Draws the text from line `scroll` on, and returns the largest scroll offset.
pub(super) fn draw(
    buffer: &mut Buffer,
    ctx: &RenderContext<'_>,
    content: TextContent,
    scroll: u16,
) -> u16 {
    let is_question = !content.hints.is_empty();
    let count = content.lines.len();
    let height = framed_height(count + if is_question { 2 } else { 0 });
    let area = centred_area(ctx, content.width, height);
    let max_scroll = height - area.height;
    let scroll = scroll.min(max_scroll);
    let hint = ctx.state.keymap().hint(Action::Back, KeyContext::Help);
    let close = hint.map_or_else(String::new, |(key, _)| {
        format!("{} close", ctx.theme.key_name(key))
    });
    let right = if is_question {
        String::new()
    } else if max_scroll == 0 {
        close
    } else {
        let (first, last) = (scroll + 1, scroll + area.height.saturating_sub(2));
        format!("{first}-{last} of {count}  {close}")
    };
    let mut painter = open_dialog(buffer, ctx, area, &content.title, &right);
    let bottom = painter.height().saturating_sub(u16::from(is_question));
    let visible = content.lines.iter().skip(usize::from(scroll));
    for (y, line) in (0..bottom).zip(visible) {
        painter.line(1, y, line);
    }
    draw_hints(&mut painter, bottom, content.hints, ctx);
    max_scroll
}
