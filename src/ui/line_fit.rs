//! Lines made of pieces: the most important ones that fit are drawn, as long as there is room for.

use ratatui::text::Line;

use super::{
    painter::{Painter, cell_count},
    render_context::RenderContext,
};
use crate::app::mouse::HitTarget;

/// A piece of a line.
#[derive(Debug, Clone)]
pub(super) struct LinePiece<'a> {
    /// The same content in several lengths, the longest first.
    forms: Vec<Line<'a>>,
    /// Pieces of a lower rank get their room first.
    rank: u8,
    /// The blank cells before it, unless it is the first.
    lead: u16,
    is_at_right: bool,
    target: Option<HitTarget>,
}

impl<'a> LinePiece<'a> {
    pub(super) fn new(rank: u8, form: impl Into<Line<'a>>) -> Self {
        Self::with_forms(rank, vec![form.into()])
    }

    pub(super) const fn with_forms(rank: u8, forms: Vec<Line<'a>>) -> Self {
        Self {
            forms,
            rank,
            lead: 2,
            is_at_right: false,
            target: None,
        }
    }

    #[must_use]
    pub(super) fn lead(self, lead: u16) -> Self {
        Self { lead, ..self }
    }

    /// Moves the piece to the right end of the line.
    #[must_use]
    pub(super) fn at_right(self) -> Self {
        Self {
            is_at_right: true,
            ..self
        }
    }

    #[must_use]
    pub(super) fn target(self, target: HitTarget) -> Self {
        Self {
            target: Some(target),
            ..self
        }
    }

    /// Returns the form that was chosen, else the longest.
    pub(super) fn line(&self) -> Option<&Line<'a>> {
        self.forms.first()
    }

    /// Returns the width of its shortest form and the blank cells before it.
    fn min_width(&self) -> u16 {
        self.lead + self.forms.last().map_or(0, line_width)
    }

    /// Returns the width of the longest form.
    fn width(&self) -> u16 {
        self.line().map_or(0, line_width)
    }
}

/// Returns the pieces that fit into `room` cells, each with one form, in the same order.
///
/// First each piece gets room for its shortest form, by rank; of one rank, none is kept after the
/// first that does not fit. Then longer forms take the rest of the room, by rank.
pub(super) fn fit(mut pieces: Vec<LinePiece<'_>>, room: u16) -> Vec<LinePiece<'_>> {
    if let Some(first) = pieces.first_mut().filter(|first| !first.is_at_right) {
        first.lead = 0;
    }
    let mut by_rank: Vec<_> = pieces.iter_mut().collect();
    by_rank.sort_by_key(|piece| piece.rank);
    let mut room = room;
    let mut full_rank = None;
    for piece in &mut by_rank {
        let width = piece.min_width();
        if full_rank == Some(piece.rank) || width > room {
            full_rank = Some(piece.rank);
            piece.forms.clear();
        } else {
            room -= width;
        }
    }
    for piece in by_rank {
        let shortest = piece.forms.last().map_or(0, line_width);
        piece
            .forms
            .retain(|form| line_width(form) <= shortest + room);
        piece.forms.truncate(1);
        room -= piece.width().saturating_sub(shortest);
    }
    pieces.retain(|piece| !piece.forms.is_empty());
    pieces
}

/// Returns the cells that the pieces of the lowest rank need.
pub(super) fn required_width(pieces: &[LinePiece<'_>]) -> u16 {
    let required = pieces.iter().filter(|piece| piece.rank == 0);
    required.map(LinePiece::min_width).sum()
}

/// Draws the pieces that fit into a row with a margin of one cell, and returns the column after
/// those at the left.
pub(super) fn draw(
    painter: &mut Painter<'_>,
    y: u16,
    pieces: Vec<LinePiece<'_>>,
    ctx: &RenderContext<'_>,
) -> u16 {
    let right = painter.width().saturating_sub(1);
    let fitted = fit(pieces, right.saturating_sub(1));
    let (at_right, mut at_left): (Vec<_>, Vec<_>) =
        fitted.into_iter().partition(|piece| piece.is_at_right);
    if let Some(first) = at_left.first_mut() {
        first.lead = 0;
    }
    let right_width: u16 = at_right
        .iter()
        .map(|piece| piece.lead + piece.width())
        .sum();
    draw_from(
        painter,
        (right.saturating_sub(right_width), y),
        at_right,
        ctx,
    );
    draw_from(painter, (1, y), at_left, ctx)
}

fn draw_from(
    painter: &mut Painter<'_>,
    (mut x, y): (u16, u16),
    pieces: Vec<LinePiece<'_>>,
    ctx: &RenderContext<'_>,
) -> u16 {
    for piece in pieces {
        x += piece.lead;
        let area = painter.cells_area(x, y, piece.width());
        x = piece.line().map_or(x, |line| painter.line(x, y, line));
        if let Some(target) = piece.target {
            ctx.register(area, || target);
        }
    }
    x
}

/// Returns the width of a line in cells.
pub(super) fn line_width(line: &Line<'_>) -> u16 {
    let widths = line.spans.iter().map(|span| cell_count(&span.content));
    widths.fold(0, u16::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(room: u16) -> String {
        let pieces = vec![
            LinePiece::new(2, "one"),
            LinePiece::new(0, "two"),
            LinePiece::new(2, "three"),
            LinePiece::new(2, "4"),
            LinePiece::with_forms(1, ["a long end", "end"].map(Line::from).into()).at_right(),
        ];
        let lines = fit(pieces, room)
            .into_iter()
            .filter_map(|piece| piece.line().map(ToString::to_string));
        lines.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn pieces_fit_by_rank() {
        assert_eq!(fitted(40), "one two three 4 a long end");
        assert_eq!(fitted(30), "one two three 4 a long end");
        assert_eq!(fitted(29), "one two three 4 end");
        assert_eq!(fitted(22), "one two three end");
        assert_eq!(fitted(19), "one two end");
        assert_eq!(fitted(12), "two end");
        assert_eq!(fitted(9), "one two");
        assert_eq!(fitted(2), "");
    }
}
