//! The room for a frame of the input beside the same frame of the result. The pixels are not drawn here.

use ratatui::{buffer::Buffer, layout::Rect};

use crate::{
    app::state::PictureStage,
    domain::picture::Room,
    ui::{
        pen::Pen,
        scene::{Drawn, PicturePlace, Scene},
        theme::Role,
    },
};

/// The columns of one picture: below the first it says nothing, above the second it is only large.
const COLUMNS: (u16, u16) = (12, 48);

/// The rows of one picture.
const ROWS: (u16, u16) = (4, 14);

/// The rows of text that stay beside it.
const LEAST_TEXT: u16 = 9;

/// Draws the names of the two at the bottom of an area and leaves room below them, where it is wanted and there is
/// enough. Returns what is left for text, and where the pictures go.
pub(super) fn draw(buffer: &mut Buffer, area: Rect, scene: &Scene<'_>) -> (Rect, Drawn) {
    let none = (area, Drawn::default());
    if !scene.state.wants_picture() {
        return none;
    }
    let width = (area.width.saturating_sub(3) / 2).min(COLUMNS.1);
    // A picture of 16 by 9, in cells twice as high as wide.
    let height = (width * 9).div_ceil(32).clamp(ROWS.0, ROWS.1);
    if width < COLUMNS.0 || area.height < height + 1 + LEAST_TEXT {
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
    let mut pen = Pen::new(buffer, area);
    let style = scene.style(Role::Muted);
    pen.text(1, text.height, "input", style);
    pen.text(width + 2, text.height, "result", style);
    let stage = scene.state.picture().map(|picture| picture.stage);
    if matches!(stage, Some(PictureStage::Reading | PictureStage::Stopping)) {
        let word = format!("reading{}", scene.ellipsis());
        pen.text(1, text.height + 1 + height / 2, &word, style);
    }
    let drawn = Drawn {
        room: Some(Room { width, height }),
        picture: Some(PicturePlace { input, result }),
        ..Drawn::default()
    };
    (text, drawn)
}
