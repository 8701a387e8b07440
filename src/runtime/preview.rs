//! The pictures themselves: frames in, what a terminal can show out, and into the frame that is
//! drawn.
//!
//! The core knows that there are pictures, the screen where they go; their pixels are here alone.
//! Beneath it:
//!
//! - `studio`: makes a pair of pictures, off the loop;
//! - `terminal`: finds out what this terminal shows.

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

/// A pair of pictures as this terminal takes them.
struct PreviewPair {
    id: PreviewId,
    input: Protocol,
    result: Protocol,
}

/// What pictures a frame shows, and where.
pub(super) type ShownPreview = Option<(PreviewId, PreviewPlacement)>;

/// Holds the pictures made last, and draws them.
pub(super) struct PreviewRenderer {
    preview: PreviewMode,
    pair_receiver: mpsc::UnboundedReceiver<PreviewPair>,
    pair: Option<PreviewPair>,
    detector: GraphicsDetector,
    graphics_sender: watch::Sender<Option<Graphics>>,
    is_queried: bool,
}

/// Returns where pictures are kept, and where they are made, for that choice.
pub(super) fn new_preview(preview: PreviewMode) -> (PreviewRenderer, PreviewMaker) {
    let (give, made) = mpsc::unbounded_channel();
    let (graphics, known) = watch::channel(None);
    let gallery = PreviewRenderer {
        preview,
        pair_receiver: made,
        pair: None,
        detector: GraphicsDetector::default(),
        graphics_sender: graphics,
        is_queried: false,
    };
    (gallery, PreviewMaker::new(give, known))
}

impl PreviewRenderer {
    /// Reports whether the terminal has to be asked now what it shows; once at most, and only when
    /// pictures are made.
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

    /// Takes in what the terminal answered. The last answer is one that every terminal gives.
    pub(super) fn handle_reply(&mut self, answer: TerminalReply) {
        if self.detector.handle_reply(answer) {
            let graphics = self.detector.choose(self.preview);
            self.graphics_sender.send_replace(Some(graphics));
        }
    }

    /// Draws the selected task's pictures where they belong, and says which are there.
    pub(super) fn render(
        &mut self,
        buffer: &mut Buffer,
        state: &State,
        place: Option<PreviewPlacement>,
    ) -> ShownPreview {
        while let Ok(pair) = self.pair_receiver.try_recv() {
            self.pair = Some(pair);
        }
        let picture = state
            .preview()
            .filter(|picture| picture.stage == PreviewStage::Shown)?;
        let (place, pair) = (place?, self.pair.as_ref()?);
        if pair.id != picture.request.id {
            return None;
        }
        for (area, protocol) in [(place.input, &pair.input), (place.result, &pair.result)] {
            Image::new(protocol).render(area.intersection(*buffer.area()), buffer);
        }
        Some((pair.id, place))
    }

    /// Reports whether a picture that was there and is no more leaves something behind that only a
    /// cleared screen takes away: pixels that are no characters.
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
        f.debug_struct("Gallery")
            .field("preview", &self.preview)
            .field("pair", &self.pair.as_ref().map(|pair| pair.id))
            .finish_non_exhaustive()
    }
}

/// Returns the cells a picture takes when it is as large as fits, and nothing is stretched.
fn fit_in_cells(picture: (u32, u32), room: Rect, cell: CellSize) -> (u16, u16) {
    let (width, height) = (u64::from(picture.0.max(1)), u64::from(picture.1.max(1)));
    let (cell_width, cell_height) = (u64::from(cell.width.max(1)), u64::from(cell.height.max(1)));
    let (most_width, most_height) = (
        u64::from(room.width) * cell_width,
        u64::from(room.height) * cell_height,
    );
    let (width, height) = if most_width * height <= most_height * width {
        (most_width, most_width * height / width)
    } else {
        (most_height * width / height, most_height)
    };
    let cells = |pixels: u64, cell: u64, most: u16| {
        let count = ((pixels + cell / 2) / cell).clamp(1, u64::from(most.max(1)));
        u16::try_from(count).unwrap_or(most)
    };
    (
        cells(width, cell_width, room.width),
        cells(height, cell_height, room.height),
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
        let room = Rect::new(3, 3, 32, 9);
        assert_eq!(fit_in_cells((320, 180), room, cell), (32, 9));
        assert_eq!(fit_in_cells((180, 320), room, cell), (10, 9));
        assert_eq!(fit_in_cells((4000, 1), room, cell), (32, 1));
        assert_eq!(fit_in_cells((1, 4000), room, cell), (1, 9));
        let nothing = CellSize {
            width: 0,
            height: 0,
        };
        assert_eq!(fit_in_cells((0, 0), Rect::ZERO, nothing), (1, 1));
    }
}
