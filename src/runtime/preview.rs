//! Previews: encodes video frames for the terminal and draws them.
//!
//! The core knows which preview is requested and `ui` where it goes; the pixels stay here.
//!
//! - `maker` makes a pair of pictures, off the event loop.
//! - `graphics` detects the graphics protocol of the terminal.

mod graphics;
mod maker;

use ratatui::{buffer::Buffer, layout::Rect, widgets::Widget as _};
use ratatui_image::{Image, protocol::Protocol};
use tokio::sync::{mpsc, watch};

use self::graphics::{Graphics, GraphicsDetector};
pub(super) use self::{graphics::QUERY, maker::PreviewMaker};
use super::input::{CellSize, TerminalReply};
use crate::{
    app::state::{PreviewStage, State},
    domain::preview::{PreviewId, PreviewMode},
    ui::PreviewPlacement,
};

/// Two pictures, encoded for this terminal.
struct PreviewPair {
    id: PreviewId,
    input: Protocol,
    result: Protocol,
}

/// The preview in a frame, and its position.
pub(super) type ShownPreview = Option<(PreviewId, PreviewPlacement)>;

/// Draws the most recent pair.
pub(super) struct PreviewRenderer {
    preview: PreviewMode,
    pair_receiver: mpsc::UnboundedReceiver<PreviewPair>,
    pair: Option<PreviewPair>,
    detector: GraphicsDetector,
    graphics_sender: watch::Sender<Option<Graphics>>,
    is_queried: bool,
}

pub(super) fn new_preview(preview: PreviewMode) -> (PreviewRenderer, PreviewMaker) {
    let (pair_sender, pair_receiver) = mpsc::unbounded_channel();
    let (graphics_sender, graphics) = watch::channel(None);
    let renderer = PreviewRenderer {
        preview,
        pair_receiver,
        pair: None,
        detector: GraphicsDetector::default(),
        graphics_sender,
        is_queried: false,
    };
    (renderer, PreviewMaker::new(pair_sender, graphics))
}

impl PreviewRenderer {
    /// Returns whether the caller must send [`QUERY`] now; true at most once.
    pub(super) fn start_query(&mut self, cell: Option<CellSize>) -> bool {
        if self.is_queried {
            return false;
        }
        self.is_queried = true;
        self.detector.set_cell_size(cell);
        if self.preview == PreviewMode::HalfBlocks {
            self.graphics_sender
                .send_replace(Some(Graphics::HalfBlocks));
            return false;
        }
        true
    }

    /// Chooses the protocol after the last reply, which every terminal sends.
    pub(super) fn handle_reply(&mut self, reply: TerminalReply) {
        if self.detector.handle_reply(reply) {
            let graphics = self.detector.choose(self.preview);
            self.graphics_sender.send_replace(Some(graphics));
        }
    }

    /// Draws the preview of the selected task and returns it.
    pub(super) fn render(
        &mut self,
        buffer: &mut Buffer,
        state: &State,
        placement: Option<PreviewPlacement>,
    ) -> ShownPreview {
        while let Ok(pair) = self.pair_receiver.try_recv() {
            self.pair = Some(pair);
        }
        let preview = state
            .preview()
            .filter(|preview| preview.stage == PreviewStage::Shown)?;
        let (placement, pair) = (placement?, self.pair.as_ref()?);
        if pair.id != preview.request.id {
            return None;
        }
        for (area, protocol) in [
            (placement.input, &pair.input),
            (placement.result, &pair.result),
        ] {
            Image::new(protocol).render(area.intersection(*buffer.area()), buffer);
        }
        Some((pair.id, placement))
    }

    /// Returns whether the screen must be cleared to remove the pixels of the picture `before`.
    pub(super) fn needs_clear(&self, before: ShownPreview, now: ShownPreview) -> bool {
        let is_text = matches!(
            *self.graphics_sender.borrow(),
            Some(Graphics::HalfBlocks) | None
        );
        before.is_some() && before != now && !is_text
    }
}

impl std::fmt::Debug for PreviewRenderer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PreviewRenderer")
            .field("preview", &self.preview)
            .field("pair", &self.pair.as_ref().map(|pair| pair.id))
            .finish_non_exhaustive()
    }
}

/// Returns the columns and rows of the largest picture that fits the area, in its aspect ratio.
/// `picture` is its size in pixels.
fn fit_in_cells(picture: (u32, u32), area: Rect, cell: CellSize) -> (u16, u16) {
    let (width, height) = (u64::from(picture.0.max(1)), u64::from(picture.1.max(1)));
    let (cell_width, cell_height) = (u64::from(cell.width.max(1)), u64::from(cell.height.max(1)));
    let (max_width, max_height) = (
        u64::from(area.width) * cell_width,
        u64::from(area.height) * cell_height,
    );
    let (width, height) = if max_width * height <= max_height * width {
        (max_width, max_width * height / width)
    } else {
        (max_height * width / height, max_height)
    };
    let cells = |pixels: u64, cell: u64, max: u16| {
        let count = ((pixels + cell / 2) / cell).clamp(1, u64::from(max.max(1)));
        u16::try_from(count).unwrap_or(max)
    };
    (
        cells(width, cell_width, area.width),
        cells(height, cell_height, area.height),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_keeps_its_aspect_ratio_and_fits() {
        let cell = CellSize {
            width: 8,
            height: 16,
        };
        let area = Rect::new(3, 3, 32, 9);
        assert_eq!(fit_in_cells((320, 180), area, cell), (32, 9));
        assert_eq!(fit_in_cells((180, 320), area, cell), (10, 9));
        assert_eq!(fit_in_cells((4000, 1), area, cell), (32, 1));
        assert_eq!(fit_in_cells((1, 4000), area, cell), (1, 9));
        let empty = CellSize {
            width: 0,
            height: 0,
        };
        assert_eq!(fit_in_cells((0, 0), Rect::ZERO, empty), (1, 1));
    }
}
