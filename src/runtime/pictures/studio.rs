//! Makes a pair of pictures: the input fetched where it is not here, a frame of each, scaled and encoded.
//!
//! All of it beside the loop; each order ends with one word, also where it is stopped, and dies with the studio.

use std::{
    collections::VecDeque,
    fmt,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt as _;
use image::{DynamicImage, RgbImage, imageops::FilterType};
use ratatui::layout::{Rect, Size};
use ratatui_image::protocol::{
    Protocol, halfblocks::Halfblocks, iterm2::Iterm2, kitty::Kitty, sixel::Sixel,
};
use tokio::{
    sync::{mpsc, watch},
    task, time,
};
use tokio_util::sync::CancellationToken;

use super::{Pair, fitted, terminal::Graphics};
use crate::{
    app::msg::Msg,
    domain::picture::{PictureError, PictureNumber, PictureOrder, Room},
    ports::{FrameReader, InputKeeper, Still},
};

/// Where in a video a frame is taken; the first one often is black.
const AT: Duration = Duration::from_secs(1);

/// How long the terminal has to say what it shows.
const TERMINAL_ANSWERS: Duration = Duration::from_millis(700);

/// How many frames are kept, at most 700 kB each.
const KEPT: usize = 16;

/// Names a frame that is kept: which video, and at what time.
type Name = (PathBuf, Duration);

/// Makes pictures.
pub(in crate::runtime) struct Studio {
    made: mpsc::UnboundedSender<Pair>,
    graphics: watch::Receiver<Option<Graphics>>,
    kept: VecDeque<(Name, Arc<Still>)>,
    keep: mpsc::UnboundedSender<(Name, Arc<Still>)>,
    to_keep: mpsc::UnboundedReceiver<(Name, Arc<Still>)>,
    numbers: u32,
    /// What stops the order made last.
    last: Option<(PictureNumber, CancellationToken)>,
    end: CancellationToken,
}

impl fmt::Debug for Studio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Studio({} frames)", self.kept.len())
    }
}

impl Studio {
    pub(super) fn new(
        made: mpsc::UnboundedSender<Pair>,
        graphics: watch::Receiver<Option<Graphics>>,
    ) -> Self {
        let (keep, to_keep) = mpsc::unbounded_channel();
        Self {
            made,
            graphics,
            kept: VecDeque::new(),
            keep,
            to_keep,
            numbers: 0,
            last: None,
            end: CancellationToken::new(),
        }
    }

    /// Begins to make a pair; it is handed to the gallery before the answer is sent.
    pub(in crate::runtime) fn make(
        &mut self,
        order: PictureOrder,
        reader: &Arc<dyn FrameReader>,
        inputs: &Arc<dyn InputKeeper>,
        answers: &mpsc::Sender<Msg>,
    ) {
        while let Ok(one) = self.to_keep.try_recv() {
            self.kept.push_back(one);
        }
        while self.kept.len() > KEPT {
            self.kept.pop_front();
        }
        self.numbers = self.numbers.wrapping_add(2);
        let work = Work {
            reader: Arc::clone(reader),
            inputs: Arc::clone(inputs),
            kept: self.kept.iter().cloned().collect(),
            keep: self.keep.clone(),
            graphics: self.graphics.clone(),
            first_number: self.numbers,
        };
        let stop = self.end.child_token();
        self.last = Some((order.number, stop.clone()));
        let (made, answers) = (self.made.clone(), answers.clone());
        task::spawn(async move {
            let number = order.number;
            let making = AssertUnwindSafe(work.pair(order)).catch_unwind();
            let made_pair = tokio::select! {
                pair = making => pair.unwrap_or(Err(PictureError::Broke)),
                () = stop.cancelled() => Err(PictureError::Stopped),
            };
            let result = made_pair.and_then(|(input, result)| {
                let pair = Pair {
                    number,
                    input,
                    result,
                };
                made.send(pair).map_err(|_ended| PictureError::Broke)
            });
            answered(&answers, number, result).await;
        });
    }

    /// Ends what is being made for that order: nothing is fetched and read for it any more.
    pub(in crate::runtime) fn stop(&self, number: PictureNumber) {
        if let Some((last, stop)) = &self.last
            && *last == number
        {
            stop.cancel();
        }
    }

    /// Ends what is being made.
    pub(in crate::runtime) fn close(&self) {
        self.end.cancel();
    }
}

async fn answered(
    answers: &mpsc::Sender<Msg>,
    number: PictureNumber,
    result: Result<(), PictureError>,
) {
    if answers
        .send(Msg::Pictured { number, result })
        .await
        .is_err()
    {
        tracing::debug!("pictures came after the end");
    }
}

/// Is one order with what it takes.
struct Work {
    reader: Arc<dyn FrameReader>,
    inputs: Arc<dyn InputKeeper>,
    kept: Vec<(Name, Arc<Still>)>,
    keep: mpsc::UnboundedSender<(Name, Arc<Still>)>,
    graphics: watch::Receiver<Option<Graphics>>,
    first_number: u32,
}

impl Work {
    async fn pair(self, order: PictureOrder) -> Result<(Protocol, Protocol), PictureError> {
        let input = self.inputs.file(&order.task, &order.input).await?;
        let (input, result) = self.same_frames(&input, &order.result).await?;
        let graphics = self.graphics().await;
        let (room, number) = (order.room, self.first_number);
        let made = task::spawn_blocking(move || {
            let input = encoded(&input, graphics, room, number)?;
            Ok((
                input,
                encoded(&result, graphics, room, number.wrapping_add(1))?,
            ))
        });
        made.await.map_err(|_panic| PictureError::Broke)?
    }

    /// Reads the same frame of both: the one at [`AT`], or the first where one of them is shorter.
    async fn same_frames(
        &self,
        input: &Path,
        result: &Path,
    ) -> Result<(Arc<Still>, Arc<Still>), PictureError> {
        match (self.frame(input, AT).await, self.frame(result, AT).await) {
            (Ok(input), Ok(result)) => Ok((input, result)),
            (Err(PictureError::Refused), Ok(_) | Err(PictureError::Refused))
            | (Ok(_), Err(PictureError::Refused)) => {
                let first = self.frame(input, Duration::ZERO).await?;
                Ok((first, self.frame(result, Duration::ZERO).await?))
            }
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    async fn frame(&self, file: &Path, at: Duration) -> Result<Arc<Still>, PictureError> {
        let name = (file.to_owned(), at);
        if let Some((_, still)) = self.kept.iter().find(|(kept, _)| *kept == name) {
            return Ok(Arc::clone(still));
        }
        let still = Arc::new(self.reader.frame(file, at).await?);
        // Nobody keeps anything once the loop has ended.
        self.keep
            .send((name, Arc::clone(&still)))
            .unwrap_or_default();
        Ok(still)
    }

    /// Returns what the terminal shows; one that says nothing shows characters.
    async fn graphics(&self) -> Graphics {
        let mut known = self.graphics.clone();
        let told = time::timeout(TERMINAL_ANSWERS, known.wait_for(Option::is_some)).await;
        match told {
            Ok(Ok(graphics)) => graphics.unwrap_or(Graphics::HalfBlocks),
            Ok(Err(_)) | Err(_) => Graphics::HalfBlocks,
        }
    }
}

/// Scales a frame into its room and writes it as the terminal takes it.
fn encoded(
    still: &Still,
    graphics: Graphics,
    room: Room,
    number: u32,
) -> Result<Protocol, PictureError> {
    let (width, height) = still.size();
    let image = RgbImage::from_raw(width, height, still.pixels().to_vec());
    let image = DynamicImage::from(image.ok_or(PictureError::Broke)?);
    let cell = graphics.cell();
    let area = Rect::new(0, 0, room.width, room.height);
    let (columns, rows) = fitted((width, height), area, cell);
    let (size, wide, high) = (
        Size::new(columns, rows),
        u32::from(columns) * u32::from(cell.width),
        u32::from(rows) * u32::from(cell.height),
    );
    let scaled = image.resize_exact(wide.max(1), high.max(1), FilterType::Triangle);
    let made = match graphics {
        Graphics::HalfBlocks => Halfblocks::new(scaled, size).map(Protocol::Halfblocks),
        Graphics::Sixel(_) => Sixel::new(scaled, size, false).map(Protocol::Sixel),
        Graphics::Kitty(_) => {
            // The number is the picture's name in the terminal; ours are even less likely others' when high.
            let number = number | 0x4B00_0000;
            Kitty::new(scaled, size, number, false, false, false).map(Protocol::Kitty)
        }
        Graphics::Iterm2(_) => Iterm2::new(scaled, size, false).map(Protocol::ITerm2),
    };
    made.map_err(|error| {
        tracing::warn!(%error, "a picture cannot be encoded");
        PictureError::Broke
    })
}
