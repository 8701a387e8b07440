//! Makes previews: fetches the input if needed, reads a frame of input and result, scales and
//! encodes both.
//!
//! Runs off the event loop. Each request gets one response, also when it is cancelled.

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

/// Time of the frame in the video; the first frame is often black.
const FRAME_TIME: Duration = Duration::from_secs(1);

/// Time that a preview waits for the terminal's replies.
const REPLY_TIMEOUT: Duration = Duration::from_millis(700);

/// Frames kept in memory, of at most 700 kB each.
const MAX_CACHED_FRAMES: usize = 16;

/// The file and the time of a frame.
type FrameKey = (PathBuf, Duration);

pub(in crate::runtime) struct PreviewMaker {
    pair_sender: mpsc::UnboundedSender<PreviewPair>,
    graphics: watch::Receiver<Option<Graphics>>,
    cache: VecDeque<(FrameKey, Arc<VideoFrame>)>,
    cache_sender: mpsc::UnboundedSender<(FrameKey, Arc<VideoFrame>)>,
    cache_receiver: mpsc::UnboundedReceiver<(FrameKey, Arc<VideoFrame>)>,
    last_image_id: u32,
    last_job: Option<(PreviewId, CancellationToken)>,
    cancel_all: CancellationToken,
}

impl fmt::Debug for PreviewMaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PreviewMaker({} frames)", self.cache.len())
    }
}

impl PreviewMaker {
    pub(super) fn new(
        pair_sender: mpsc::UnboundedSender<PreviewPair>,
        graphics: watch::Receiver<Option<Graphics>>,
    ) -> Self {
        let (cache_sender, cache_receiver) = mpsc::unbounded_channel();
        Self {
            pair_sender,
            graphics,
            cache: VecDeque::new(),
            cache_sender,
            cache_receiver,
            last_image_id: 0,
            last_job: None,
            cancel_all: CancellationToken::new(),
        }
    }

    /// Starts a job. The renderer receives the pair before the response is sent.
    pub(in crate::runtime) fn start(
        &mut self,
        request: PreviewRequest,
        frame_reader: &Arc<dyn FrameReader>,
        input_provider: &Arc<dyn InputProvider>,
        responses: &mpsc::Sender<Msg>,
    ) {
        while let Ok(frame) = self.cache_receiver.try_recv() {
            self.cache.push_back(frame);
        }
        while self.cache.len() > MAX_CACHED_FRAMES {
            self.cache.pop_front();
        }
        self.last_image_id = self.last_image_id.wrapping_add(2);
        let job = PreviewJob {
            frame_reader: Arc::clone(frame_reader),
            input_provider: Arc::clone(input_provider),
            cache: self.cache.iter().cloned().collect(),
            cache_sender: self.cache_sender.clone(),
            graphics: self.graphics.clone(),
            first_image_id: self.last_image_id,
        };
        let cancel = self.cancel_all.child_token();
        self.last_job = Some((request.id, cancel.clone()));
        let (pair_sender, responses) = (self.pair_sender.clone(), responses.clone());
        task::spawn(async move {
            let id = request.id;
            let make_pair = AssertUnwindSafe(job.make_pair(request)).catch_unwind();
            let pair = tokio::select! {
                pair = make_pair => pair.unwrap_or(Err(PreviewError::Panicked)),
                () = cancel.cancelled() => Err(PreviewError::Stopped),
            };
            let result = pair.and_then(|(input, result)| {
                let pair = PreviewPair { id, input, result };
                pair_sender
                    .send(pair)
                    .map_err(|_closed| PreviewError::Panicked)
            });
            let msg = Msg::PreviewReady { id, result };
            if responses.send(msg).await.is_err() {
                tracing::debug!("dropped a response: the event loop has ended");
            }
        });
    }

    /// Cancels the job if it is the last one started.
    pub(in crate::runtime) fn cancel(&self, id: PreviewId) {
        if let Some((last_id, cancel)) = &self.last_job
            && *last_id == id
        {
            cancel.cancel();
        }
    }

    pub(in crate::runtime) fn close(&self) {
        self.cancel_all.cancel();
    }
}

struct PreviewJob {
    frame_reader: Arc<dyn FrameReader>,
    input_provider: Arc<dyn InputProvider>,
    cache: Vec<(FrameKey, Arc<VideoFrame>)>,
    cache_sender: mpsc::UnboundedSender<(FrameKey, Arc<VideoFrame>)>,
    graphics: watch::Receiver<Option<Graphics>>,
    first_image_id: u32,
}

impl PreviewJob {
    async fn make_pair(
        self,
        request: PreviewRequest,
    ) -> Result<(Protocol, Protocol), PreviewError> {
        let input = self
            .input_provider
            .fetch_input(&request.task, &request.input)
            .await?;
        let (input, result) = self.matching_frames(&input, &request.result).await?;
        let graphics = self.detected_graphics().await;
        let (area, image_id) = (request.area, self.first_image_id);
        let encoded = task::spawn_blocking(move || {
            let input = encode_frame(&input, graphics, area, image_id)?;
            let result = encode_frame(&result, graphics, area, image_id.wrapping_add(1))?;
            Ok((input, result))
        });
        encoded.await.map_err(|_panic| PreviewError::Panicked)?
    }

    /// Reads both frames at [`FRAME_TIME`], or both first frames if one video is shorter.
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
        let key = (file.to_owned(), at);
        if let Some((_, frame)) = self.cache.iter().find(|(other, _)| *other == key) {
            return Ok(Arc::clone(frame));
        }
        let frame = Arc::new(self.frame_reader.read_frame(file, at).await?);
        // An error means that the program is quitting.
        self.cache_sender
            .send((key, Arc::clone(&frame)))
            .unwrap_or_default();
        Ok(frame)
    }

    /// Returns half blocks for a terminal that does not reply.
    async fn detected_graphics(&self) -> Graphics {
        let mut graphics = self.graphics.clone();
        let detected = time::timeout(REPLY_TIMEOUT, graphics.wait_for(Option::is_some)).await;
        match detected {
            Ok(Ok(graphics)) => graphics.unwrap_or(Graphics::HalfBlocks),
            Ok(Err(_)) | Err(_) => Graphics::HalfBlocks,
        }
    }
}

/// Scales a frame to fit the area and encodes it for the terminal.
fn encode_frame(
    frame: &VideoFrame,
    graphics: Graphics,
    area: CellArea,
    image_id: u32,
) -> Result<Protocol, PreviewError> {
    let (width, height) = frame.size();
    let image = RgbImage::from_raw(width, height, frame.pixels().to_vec());
    let image = DynamicImage::from(image.ok_or(PreviewError::Panicked)?);
    let cell = graphics.cell_size();
    let area = Rect::new(0, 0, area.width, area.height);
    let (columns, rows) = fit_in_cells((width, height), area, cell);
    let size = Size::new(columns, rows);
    let (width, height) = (
        u32::from(columns) * u32::from(cell.width),
        u32::from(rows) * u32::from(cell.height),
    );
    let scaled = image.resize_exact(width.max(1), height.max(1), FilterType::Triangle);
    let encoded = match graphics {
        Graphics::HalfBlocks => Halfblocks::new(scaled, size).map(Protocol::Halfblocks),
        Graphics::Sixel(_) => Sixel::new(scaled, size, false).map(Protocol::Sixel),
        Graphics::Kitty(_) => {
            // A high id is unlikely to be used by another program in the same terminal.
            let image_id = image_id | 0x4B00_0000;
            Kitty::new(scaled, size, image_id, false, false, false).map(Protocol::Kitty)
        }
        Graphics::Iterm2(_) => Iterm2::new(scaled, size, false).map(Protocol::ITerm2),
    };
    encoded.map_err(|error| {
        tracing::warn!(%error, "cannot encode a picture");
        PreviewError::Panicked
    })
}
