//! The areas for a frame of the input beside the same frame of the result. The runtime draws the
//! pixels.

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

/// The minimum and maximum columns of one preview: smaller is unreadable, larger adds nothing.
const COLUMN_RANGE: (u16, u16) = (12, 48);

/// The minimum and maximum rows of one preview.
const ROW_RANGE: (u16, u16) = (4, 14);

/// The minimum rows of text above the previews.
const MIN_TEXT_ROWS: u16 = 9;

/// Draws the captions at the bottom of an area and reserves the space of the previews, if they are
/// wanted and fit. Returns the remaining area for text, and the positions of the previews.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, ctx: &RenderContext<'_>) -> (Rect, DrawResult) {
    let none = (area, DrawResult::default());
    if !ctx.state.wants_preview() {
        return none;
    }
    let width = (area.width.saturating_sub(3) / 2).min(COLUMN_RANGE.1);
    // 16:9, in cells twice as high as wide.
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
    let placement = PreviewPlacement { input, result };
    let mut painter = Painter::new(buffer, area);
    let style = ctx.style(Role::Muted);
    painter.text(1, text.height, "input", style);
    painter.text(width + 2, text.height, "result", style);
    let stage = ctx.state.preview().map(|preview| preview.stage);
    if matches!(
        stage,
        Some(PreviewStage::Rendering | PreviewStage::Stopping)
    ) {
        let word = format!("loading{}", ctx.ellipsis());
        painter.text(1, text.height + 1 + height / 2, &word, style);
    }
    let result = DrawResult {
        preview_area: Some(CellArea { width, height }),
        preview_placement: Some(placement),
        ..DrawResult::default()
    };
    (text, result)
}
