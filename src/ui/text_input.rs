//! A line that is typed into: its text scrolled so that the cursor is seen, and what is wrong with
//! it pointed out.

use std::ops::Range;

use ratatui::style::Modifier;
use tui_input::Input;
use unicode_segmentation::UnicodeSegmentation as _;

use super::{
    format,
    painter::{Painter, cell_count},
    render_context::RenderContext,
    theme::Role,
};

/// Draws the text from a place to before column `end`, and returns the column after it. `fault` are
/// the bytes of the text that are wrong.
pub(super) fn draw(
    pen: &mut Painter<'_>,
    (start, y): (u16, u16),
    end: u16,
    input: &Input,
    fault: Option<&Range<usize>>,
    scene: &RenderContext<'_>,
) -> u16 {
    let text = scene.style(Role::Text);
    let at = input
        .value()
        .char_indices()
        .nth(input.cursor())
        .map_or(input.value().len(), |(at, _)| at);
    let (before, after) = input.value().split_at_checked(at).unwrap_or_default();
    // The cursor needs a cell of its own.
    let room = end.saturating_sub(start + 1);
    let shown = fit_tail(before, usize::from(room));
    let hidden = before.len() - shown.len();
    let x = pen.text(start, y, shown, text);
    let x = if let Some(under) = after.graphemes(true).next() {
        let next = pen.text(x, y, under, scene.style(Role::Cursor));
        let rest = after.get(under.len()..).unwrap_or_default();
        let room = usize::from(end.saturating_sub(next));
        let rest = format::fit_end(rest, room, scene.ellipsis());
        pen.text(next, y, &rest, text)
    } else {
        pen.text(x, y, "_", scene.style(Role::Accent))
    };
    if let Some(fault) = fault {
        let column = |at: usize| {
            let seen = input
                .value()
                .get(hidden..at.max(hidden))
                .unwrap_or_default();
            start.saturating_add(cell_count(seen)).min(end)
        };
        let (from, to) = (column(fault.start), column(fault.end));
        let style = scene.style(Role::Error).add_modifier(Modifier::UNDERLINED);
        pen.style_cells(from, y, to.saturating_sub(from), style);
    }
    x
}

/// Returns the longest end of a text that takes at most `most` cells.
fn fit_tail(text: &str, most: usize) -> &str {
    let mut text = text;
    while format::width(text) > most {
        let mut graphemes = text.graphemes(true);
        if graphemes.next().is_none() {
            break;
        }
        text = graphemes.as_str();
    }
    text
}
