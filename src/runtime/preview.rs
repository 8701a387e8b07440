//! Previews: encodes video frames for the terminal and draws them.
//!
//! The core knows which preview is requested and `ui` where it goes; the pixels stay here.
//!
//! - `maker` makes a pair of pictures, off the event loop.
//! - `graphics` detects the graphics protocol of the terminal.

mod graphics;
mod maker;

use ratatui::{buffer::Buffer, widgets::Widget as _};
use ratatui_image::Image;
use tokio::sync::{mpsc, watch};

pub(super) use self::{graphics::QUERY, maker::PreviewMaker};
use self::{
    graphics::{Graphics, GraphicsDetector},
    maker::PreviewPair,
};
use super::input::{CellSize, TerminalReply};
use crate::{
    app::state::{PreviewStage, State},
    domain::preview::{PreviewId, PreviewMode},
    ui::PreviewPlacement,
};

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
