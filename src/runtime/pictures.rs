//! The pictures themselves: frames in, what a terminal can show out, and into the frame that is drawn.
//!
//! The core knows that there are pictures, the screen where they go; their pixels are here alone. Beneath it:
//!
//! - `studio`: makes a pair of pictures, off the loop;
//! - `terminal`: finds out what this terminal shows.

mod studio;
mod terminal;

use ratatui::{buffer::Buffer, layout::Rect, widgets::Widget as _};
use ratatui_image::{Image, protocol::Protocol};
use tokio::sync::{mpsc, watch};

use self::terminal::{Answers, Graphics};
pub(super) use self::{studio::Studio, terminal::QUESTION};
use super::input::{Answer, CellSize};
use crate::{
    app::state::{PictureStage, State},
    domain::picture::{PictureNumber, Preview},
    ui::PicturePlace,
};

/// Is a pair of pictures as this terminal takes them.
struct Pair {
    number: PictureNumber,
    input: Protocol,
    result: Protocol,
}

/// Is what pictures a frame shows, and where.
pub(super) type Hung = Option<(PictureNumber, PicturePlace)>;

/// Holds the pictures made last, and draws them.
pub(super) struct Gallery {
    preview: Preview,
    made: mpsc::UnboundedReceiver<Pair>,
    pair: Option<Pair>,
    answers: Answers,
    graphics: watch::Sender<Option<Graphics>>,
    is_asked: bool,
}

/// Returns where pictures are kept, and where they are made, for that choice.
pub(super) fn open(preview: Preview) -> (Gallery, Studio) {
    let (give, made) = mpsc::unbounded_channel();
    let (graphics, known) = watch::channel(None);
    let gallery = Gallery {
        preview,
        made,
        pair: None,
        answers: Answers::default(),
        graphics,
        is_asked: false,
    };
    (gallery, Studio::new(give, known))
}

impl Gallery {
    /// Reports whether the terminal has to be asked now what it shows; once at most, and only when pictures are made.
    pub(super) fn has_to_ask(&mut self, cell: Option<CellSize>) -> bool {
        if self.is_asked {
            return false;
        }
        self.is_asked = true;
        self.answers.measured(cell);
        if self.preview == Preview::HalfBlocks {
            self.graphics.send_replace(Some(Graphics::HalfBlocks));
            return false;
        }
        true
    }

    /// Takes in what the terminal answered. The last answer is one that every terminal gives.
    pub(super) fn answered(&mut self, answer: Answer) {
        if self.answers.take(answer) {
            let graphics = self.answers.graphics(self.preview);
            self.graphics.send_replace(Some(graphics));
        }
    }

    /// Draws the selected task's pictures where they belong, and says which are there.
    pub(super) fn hang(
        &mut self,
        buffer: &mut Buffer,
        state: &State,
        place: Option<PicturePlace>,
    ) -> Hung {
        while let Ok(pair) = self.made.try_recv() {
            self.pair = Some(pair);
        }
        let picture = state
            .picture()
            .filter(|picture| picture.stage == PictureStage::Shown)?;
        let (place, pair) = (place?, self.pair.as_ref()?);
        if pair.number != picture.order.number {
            return None;
        }
        for (area, protocol) in [(place.input, &pair.input), (place.result, &pair.result)] {
            Image::new(protocol).render(area.intersection(*buffer.area()), buffer);
        }
        Some((pair.number, place))
    }

    /// Reports whether a picture that was there and is no more leaves something behind that only a cleared screen
    /// takes away: pixels that are no characters.
    pub(super) fn leaves_a_mark(&self, before: Hung, now: Hung) -> bool {
        let is_text = matches!(*self.graphics.borrow(), Some(Graphics::HalfBlocks) | None);
        before.is_some() && before != now && !is_text
    }
}

impl std::fmt::Debug for Gallery {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gallery")
            .field("preview", &self.preview)
            .field("pair", &self.pair.as_ref().map(|pair| pair.number))
            .finish_non_exhaustive()
    }
}

/// Returns the cells a picture takes when it is as large as fits, and nothing is stretched.
fn fitted(picture: (u32, u32), room: Rect, cell: CellSize) -> (u16, u16) {
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
    fn a_picture_keeps_its_shape_and_stays_in_its_room() {
        let cell = CellSize {
            width: 8,
            height: 16,
        };
        let room = Rect::new(3, 3, 32, 9);
        assert_eq!(fitted((320, 180), room, cell), (32, 9));
        assert_eq!(fitted((180, 320), room, cell), (10, 9));
        assert_eq!(fitted((4000, 1), room, cell), (32, 1));
        assert_eq!(fitted((1, 4000), room, cell), (1, 9));
        let nothing = CellSize {
            width: 0,
            height: 0,
        };
        assert_eq!(fitted((0, 0), Rect::ZERO, nothing), (1, 1));
    }
}
