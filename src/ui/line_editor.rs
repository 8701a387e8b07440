//! The line editor: scrolled to keep the cursor visible, with an optional underlined error.

use std::ops::Range;

use ratatui::style::Modifier;
use unicode_segmentation::UnicodeSegmentation as _;

use super::{
    painter::{Painter, cell_count},
    render_context::RenderContext,
    theme::Role,
};
use crate::app::state::LineEditor;
use crate::messages::format;

/// Draws a field: its name and its text, which can be edited while it has the focus.
pub(super) fn draw_field(
    painter: &mut Painter<'_>,
    y: u16,
    name: &str,
    line: &LineEditor,
    has_focus: bool,
    placeholder: &str,
    ctx: &RenderContext<'_>,
) {
    let name_role = if has_focus { Role::Title } else { Role::Muted };
    let start = painter.text(1, y, name, ctx.style(name_role));
    let end = painter.width().saturating_sub(1);
    if !has_focus {
        let (shown, role) = match line.text() {
            "" => (placeholder, Role::Muted),
            text => (text, Role::Text),
        };
        let room = usize::from(end.saturating_sub(start));
        let shown = format::fit_end(shown, room, ctx.ellipsis());
        painter.text(start, y, &shown, ctx.style(role));
        return;
    }
    let x = draw(painter, (start, y), end, line, None, ctx);
    if line.text().is_empty() && x + cell_count(placeholder) < end {
        painter.text(x + 1, y, placeholder, ctx.style(Role::Muted));
    }
}

/// Draws the text from a position to before column `end`, and returns the column after the text.
/// `error` is the invalid byte range of the text.
pub(super) fn draw(
    painter: &mut Painter<'_>,
    (start, y): (u16, u16),
    end: u16,
    line: &LineEditor,
    error: Option<&Range<usize>>,
    ctx: &RenderContext<'_>,
) -> u16 {
    let text = ctx.style(Role::Text);
    let value = line.text();
    let chars = value.char_indices().map(|(at, _)| at);
    let at = chars.chain([value.len()]).nth(line.cursor());
    let (before, after) = value
        .split_at_checked(at.unwrap_or_default())
        .unwrap_or_default();
    // One cell is for the cursor.
    let room = end.saturating_sub(start + 1);
    let shown = format::take_end(before, usize::from(room));
    let hidden = before.len() - shown.len();
    let x = painter.text(start, y, shown, text);
    let x = if let Some(under) = after.graphemes(true).next() {
        let next = painter.text(x, y, under, ctx.style(Role::Cursor));
        let rest = after.get(under.len()..).unwrap_or_default();
        let room = usize::from(end.saturating_sub(next));
        let rest = format::fit_end(rest, room, ctx.ellipsis());
        painter.text(next, y, &rest, text)
    } else {
        painter.text(x, y, "_", ctx.style(Role::Accent))
    };
    if let Some(error) = error {
        let column = |at: usize| {
            let before = value.get(hidden..at.max(hidden)).unwrap_or_default();
            start.saturating_add(cell_count(before)).min(end)
        };
        let (from, to) = (column(error.start), column(error.end));
        let style = ctx.style(Role::Error).add_modifier(Modifier::UNDERLINED);
        painter.style_cells(from, y, to.saturating_sub(from), style);
    }
    x
}
