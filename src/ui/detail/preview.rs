//! The room for a frame of the input beside the same frame of the result. The pixels are not drawn
//! here.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    app::state::PreviewStage,
    domain::preview::CellArea,
    ui::{
        painter::Painter,
        render_context::{DrawResult, PreviewPlacement, RenderContext},
        theme::Role,
    },
};

/// The columns of one picture: below the first it says nothing, above the second it is only large.
const COLUMN_RANGE: (u16, u16) = (12, 48);

/// The rows of one picture.
const ROW_RANGE: (u16, u16) = (4, 14);

/// The rows of text that stay beside it.
const MIN_TEXT_ROWS: u16 = 9;

/// Draws the names of the two at the bottom of an area and leaves room below them, where it is
/// wanted and there is enough. Returns what is left for text, and where the pictures go.
pub(super) fn draw(
    buffer: &mut Buffer,
    area: Rect,
    scene: &RenderContext<'_>,
) -> (Rect, DrawResult) {
    let none = (area, DrawResult::default());
    if !scene.state.wants_preview() {
        return none;
    }
    let width = (area.width.saturating_sub(3) / 2).min(COLUMN_RANGE.1);
    // A picture of 16 by 9, in cells twice as high as wide.
    let height = (width * 9).div_ceil(32).clamp(ROW_RANGE.0, ROW_RANGE.1);
    if width < COLUMN_RANGE.0 || area.height < height + 1 + MIN_TEXT_ROWS {
        return none;
    }
    let text = Rect {
        height: area.height - height - 1,
        ..area
    };
    let input = Rect {
        x: area.x + 1,
        y: text.y + text.height + 1,
        width,
        height,
    };
    let result = Rect {
        x: input.x + width + 1,
        ..input
    };
    let mut pen = Painter::new(buffer, area);
    let style = scene.style(Role::Muted);
    pen.text(1, text.height, "input", style);
    pen.text(width + 2, text.height, "result", style);
    let stage = scene.state.preview().map(|picture| picture.stage);
    if matches!(
        stage,
        Some(PreviewStage::Rendering | PreviewStage::Stopping)
    ) {
        let word = format!("reading{}", scene.ellipsis());
        pen.text(1, text.height + 1 + height / 2, &word, style);
    }
    let drawn = DrawResult {
        preview_area: Some(CellArea { width, height }),
        preview_placement: Some(PreviewPlacement { input, result }),
        ..DrawResult::default()
    };
    (text, drawn)
}
