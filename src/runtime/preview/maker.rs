//! Makes a pair of pictures: the input fetched where it is not here, a frame of each, scaled and
//! encoded.
//!
//! All of it beside the loop; each order ends with one word, also where it is stopped, and dies
//! with the studio.

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

use super::{PreviewPair, fit_in_cells, graphics::Graphics};
use crate::{
    app::msg::Msg,
    domain::preview::{CellArea, PreviewError, PreviewId, PreviewRequest},
    ports::{FrameReader, InputProvider, VideoFrame},
};

/// Where in a video a frame is taken; the first one often is black.
const FRAME_TIME: Duration = Duration::from_secs(1);

/// How long the terminal has to say what it shows.
const REPLY_TIMEOUT: Duration = Duration::from_millis(700);

/// How many frames are kept, at most 700 kB each.
const MAX_CACHED_FRAMES: usize = 16;

/// Names a frame that is kept: which video, and at what time.
type FrameKey = (PathBuf, Duration);

/// Makes pictures.
pub(in crate::runtime) struct PreviewMaker {
    pair_sender: mpsc::UnboundedSender<PreviewPair>,
    graphics: watch::Receiver<Option<Graphics>>,
    cache: VecDeque<(FrameKey, Arc<VideoFrame>)>,
    cache_sender: mpsc::UnboundedSender<(FrameKey, Arc<VideoFrame>)>,
    cache_receiver: mpsc::UnboundedReceiver<(FrameKey, Arc<VideoFrame>)>,
    last_image_id: u32,
    /// What stops the order made last.
    last_job: Option<(PreviewId, CancellationToken)>,
    cancel_all: CancellationToken,
}

impl fmt::Debug for PreviewMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Studio({} frames)", self.cache.len())
    }
}

impl PreviewMaker {
    pub(super) fn new(
        made: mpsc::UnboundedSender<PreviewPair>,
        graphics: watch::Receiver<Option<Graphics>>,
    ) -> Self {
        let (keep, to_keep) = mpsc::unbounded_channel();
        Self {
            pair_sender: made,
            graphics,
            cache: VecDeque::new(),
            cache_sender: keep,
            cache_receiver: to_keep,
            last_image_id: 0,
            last_job: None,
            cancel_all: CancellationToken::new(),
        }
    }

    /// Begins to make a pair; it is handed to the gallery before the answer is sent.
    pub(in crate::runtime) fn start(
        &mut self,
        order: PreviewRequest,
        reader: &Arc<dyn FrameReader>,
        inputs: &Arc<dyn InputProvider>,
        answers: &mpsc::Sender<Msg>,
    ) {
        while let Ok(one) = self.cache_receiver.try_recv() {
            self.cache.push_back(one);
        }
        while self.cache.len() > MAX_CACHED_FRAMES {
            self.cache.pop_front();
        }
        self.last_image_id = self.last_image_id.wrapping_add(2);
        let work = PreviewJob {
            reader: Arc::clone(reader),
            inputs: Arc::clone(inputs),
            cache: self.cache.iter().cloned().collect(),
            cache_sender: self.cache_sender.clone(),
            graphics: self.graphics.clone(),
            first_image_id: self.last_image_id,
        };
        let stop = self.cancel_all.child_token();
        self.last_job = Some((order.id, stop.clone()));
        let (made, answers) = (self.pair_sender.clone(), answers.clone());
        task::spawn(async move {
            let number = order.id;
            let making = AssertUnwindSafe(work.make_pair(order)).catch_unwind();
            let made_pair = tokio::select! {
                pair = making => pair.unwrap_or(Err(PreviewError::Panicked)),
                () = stop.cancelled() => Err(PreviewError::Stopped),
            };
            let result = made_pair.and_then(|(input, result)| {
                let pair = PreviewPair {
                    id: number,
                    input,
                    result,
                };
                made.send(pair).map_err(|_ended| PreviewError::Panicked)
            });
            send_preview_ready(&answers, number, result).await;
        });
    }

    /// Ends what is being made for that order: nothing is fetched and read for it any more.
    pub(in crate::runtime) fn cancel(&self, number: PreviewId) {
        if let Some((last, stop)) = &self.last_job
            && *last == number
        {
            stop.cancel();
        }
    }

    /// Ends what is being made.
    pub(in crate::runtime) fn close(&self) {
        self.cancel_all.cancel();
    }
}

async fn send_preview_ready(
    answers: &mpsc::Sender<Msg>,
    number: PreviewId,
    result: Result<(), PreviewError>,
) {
    if answers
        .send(Msg::PreviewReady { id: number, result })
        .await
        .is_err()
    {
        tracing::debug!("pictures came after the end");
    }
}

/// One order with what it takes.
struct PreviewJob {
    reader: Arc<dyn FrameReader>,
    inputs: Arc<dyn InputProvider>,
    cache: Vec<(FrameKey, Arc<VideoFrame>)>,
    cache_sender: mpsc::UnboundedSender<(FrameKey, Arc<VideoFrame>)>,
    graphics: watch::Receiver<Option<Graphics>>,
    first_image_id: u32,
}

impl PreviewJob {
    async fn make_pair(self, order: PreviewRequest) -> Result<(Protocol, Protocol), PreviewError> {
        let input = self.inputs.fetch_input(&order.task, &order.input).await?;
        let (input, result) = self.matching_frames(&input, &order.result).await?;
        let graphics = self.detected_graphics().await;
        let (room, number) = (order.area, self.first_image_id);
        let made = task::spawn_blocking(move || {
            let input = encode_frame(&input, graphics, room, number)?;
            Ok((
                input,
                encode_frame(&result, graphics, room, number.wrapping_add(1))?,
            ))
        });
        made.await.map_err(|_panic| PreviewError::Panicked)?
    }

    /// Reads the same frame of both: the one at [`AT`], or the first where one of them is shorter.
    async fn matching_frames(
        &self,
        input: &Path,
        result: &Path,
    ) -> Result<(Arc<VideoFrame>, Arc<VideoFrame>), PreviewError> {
        match (
            self.cached_frame(input, FRAME_TIME).await,
            self.cached_frame(result, FRAME_TIME).await,
        ) {
            (Ok(input), Ok(result)) => Ok((input, result)),
            (Err(PreviewError::Unreadable), Ok(_) | Err(PreviewError::Unreadable))
            | (Ok(_), Err(PreviewError::Unreadable)) => {
                let first = self.cached_frame(input, Duration::ZERO).await?;
                Ok((first, self.cached_frame(result, Duration::ZERO).await?))
            }
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    async fn cached_frame(
        &self,
        file: &Path,
        at: Duration,
    ) -> Result<Arc<VideoFrame>, PreviewError> {
        let name = (file.to_owned(), at);
        if let Some((_, still)) = self.cache.iter().find(|(kept, _)| *kept == name) {
            return Ok(Arc::clone(still));
        }
        let still = Arc::new(self.reader.read_frame(file, at).await?);
        // Nobody keeps anything once the loop has ended.
        self.cache_sender
            .send((name, Arc::clone(&still)))
            .unwrap_or_default();
        Ok(still)
    }

    /// Returns what the terminal shows; one that says nothing shows characters.
    async fn detected_graphics(&self) -> Graphics {
        let mut known = self.graphics.clone();
        let told = time::timeout(REPLY_TIMEOUT, known.wait_for(Option::is_some)).await;
        match told {
            Ok(Ok(graphics)) => graphics.unwrap_or(Graphics::HalfBlocks),
            Ok(Err(_)) | Err(_) => Graphics::HalfBlocks,
        }
    }
}

/// Scales a frame into its room and writes it as the terminal takes it.
fn encode_frame(
    still: &VideoFrame,
    graphics: Graphics,
    room: CellArea,
    number: u32,
) -> Result<Protocol, PreviewError> {
    let (width, height) = still.size();
    let image = RgbImage::from_raw(width, height, still.pixels().to_vec());
    let image = DynamicImage::from(image.ok_or(PreviewError::Panicked)?);
    let cell = graphics.cell_size();
    let area = Rect::new(0, 0, room.width, room.height);
    let (columns, rows) = fit_in_cells((width, height), area, cell);
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
            // The number is the picture's name in the terminal; ours are even less likely others'
            // when high.
            let number = number | 0x4B00_0000;
            Kitty::new(scaled, size, number, false, false, false).map(Protocol::Kitty)
        }
        Graphics::Iterm2(_) => Iterm2::new(scaled, size, false).map(Protocol::ITerm2),
    };
    made.map_err(|error| {
        tracing::warn!(%error, "a picture cannot be encoded");
        PreviewError::Panicked
    })
}
