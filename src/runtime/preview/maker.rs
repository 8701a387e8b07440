//! Makes previews: fetches the input if needed, reads a frame of input and result, scales and
//! encodes both.
//!
//! Runs off the event loop. Each request gets one response, also when it is cancelled.

use std::{
    collections::VecDeque,
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt as _;
use image::{DynamicImage, RgbImage, imageops::FilterType};
use ratatui::layout::Size;
use ratatui_image::{
    FontSize, Resize,
    protocol::{Protocol, halfblocks::Halfblocks, iterm2::Iterm2, kitty::Kitty, sixel::Sixel},
};
use tokio::{
    sync::{Mutex, mpsc, watch},
    task, time,
};
use tokio_util::sync::CancellationToken;

use super::graphics::Graphics;
use crate::{
    app::msg::Msg,
    domain::preview::{CellArea, PreviewError, PreviewId, PreviewRequest},
    ports::{FrameReader, InputProvider, VideoFrame},
    runtime::input::CellSize,
};

/// Time of the frame in the video; the first frame is often black.
const FRAME_TIME: Duration = Duration::from_secs(1);

/// Time that a preview waits for the terminal's replies.
const REPLY_TIMEOUT: Duration = Duration::from_millis(700);

/// Frames kept in memory, of at most 700 kB each.
const MAX_CACHED_FRAMES: usize = 16;

/// Two pictures, encoded for this terminal.
pub(super) struct PreviewPair {
    pub(super) id: PreviewId,
    pub(super) input: Protocol,
    pub(super) result: Protocol,
}

/// The frames read last, each with its file and time.
type FrameCache = Arc<Mutex<VecDeque<((PathBuf, Duration), Arc<VideoFrame>)>>>;

#[derive(Debug)]
pub(crate) struct PreviewMaker {
    pair_sender: mpsc::UnboundedSender<PreviewPair>,
    graphics: watch::Receiver<Option<Graphics>>,
    cache: FrameCache,
    last_image_id: u32,
    last_job: Option<(PreviewId, CancellationToken)>,
    cancel_all: CancellationToken,
}

impl PreviewMaker {
    pub(super) fn new(
        pair_sender: mpsc::UnboundedSender<PreviewPair>,
        graphics: watch::Receiver<Option<Graphics>>,
    ) -> Self {
        Self {
            pair_sender,
            graphics,
            cache: FrameCache::default(),
            last_image_id: 0,
            last_job: None,
            cancel_all: CancellationToken::new(),
        }
    }

    /// Starts a job. The renderer receives the pair before the response is sent.
    pub(crate) fn start(
        &mut self,
        request: PreviewRequest,
        frame_reader: &Arc<dyn FrameReader>,
        input_provider: &Arc<dyn InputProvider>,
        responses: &mpsc::Sender<Msg>,
    ) {
        self.last_image_id = self.last_image_id.wrapping_add(2);
        let job = PreviewJob {
            frame_reader: Arc::clone(frame_reader),
            input_provider: Arc::clone(input_provider),
            cache: Arc::clone(&self.cache),
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
    pub(crate) fn cancel(&self, id: PreviewId) {
        if let Some((last_id, cancel)) = &self.last_job
            && *last_id == id
        {
            cancel.cancel();
        }
    }

    pub(crate) fn close(&self) {
        self.cancel_all.cancel();
    }
}

struct PreviewJob {
    frame_reader: Arc<dyn FrameReader>,
    input_provider: Arc<dyn InputProvider>,
    cache: FrameCache,
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
        let frames_at = async |at| {
            let first = self.cached_frame(input, at).await?;
            Ok((first, self.cached_frame(result, at).await?))
        };
        match frames_at(FRAME_TIME).await {
            Err(PreviewError::Unreadable) => frames_at(Duration::ZERO).await,
            frames => frames,
        }
    }

    async fn cached_frame(
        &self,
        file: &Path,
        at: Duration,
    ) -> Result<Arc<VideoFrame>, PreviewError> {
        let key = (file.to_owned(), at);
        let cached = self.cache.lock().await;
        if let Some((_, frame)) = cached.iter().find(|(other, _)| *other == key) {
            return Ok(Arc::clone(frame));
        }
        drop(cached);
        let frame = Arc::new(self.frame_reader.read_frame(file, at).await?);
        let mut cache = self.cache.lock().await;
        if cache.len() == MAX_CACHED_FRAMES {
            cache.pop_front();
        }
        cache.push_back((key, Arc::clone(&frame)));
        Ok(frame)
    }

    /// Returns half blocks for a terminal that does not reply.
    async fn detected_graphics(&self) -> Graphics {
        let mut graphics = self.graphics.clone();
        let detected = time::timeout(REPLY_TIMEOUT, graphics.wait_for(Option::is_some)).await;
        detected
            .ok()
            .and_then(|graphics| *graphics.ok()?)
            .unwrap_or(Graphics::HalfBlocks)
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
    let size = fit_in_cells(&image, area, cell);
    let (width, height) = (
        u32::from(size.width) * u32::from(cell.width),
        u32::from(size.height) * u32::from(cell.height),
    );
    let scaled = image.resize_exact(width, height, FilterType::Triangle);
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

/// Returns the columns and rows of the largest picture that fits the area, in its aspect ratio.
fn fit_in_cells(image: &DynamicImage, area: CellArea, cell: CellSize) -> Size {
    Resize::Scale(None).size_for(
        image,
        FontSize::new(cell.width, cell.height),
        Size::new(area.width, area.height),
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
        let area = CellArea {
            width: 32,
            height: 9,
        };
        for (picture, expected) in [
            ((320, 180), (32, 9)),
            ((180, 320), (11, 9)),
            ((4000, 1), (32, 1)),
            ((1, 4000), (1, 9)),
        ] {
            let image = DynamicImage::new_rgb8(picture.0, picture.1);
            let size = fit_in_cells(&image, area, cell);
            assert_eq!((size.width, size.height), expected, "{picture:?}");
        }
    }
}
