//! Traits for network, disk and desktop, in domain types.
//!
//! Implemented in `adapters`, and by fakes in the tests.

use std::{
    fmt,
    future::{self, Future},
    path::{Path, PathBuf},
    pin::Pin,
    time::Duration,
};

use crate::domain::{
    account_hash::AccountHash,
    comparison::{Comparison, VideoSource},
    download::{DownloadError, DownloadRequest, TransferProgress},
    id_extract::KnownSecrets,
    link::VideoUrl,
    list_change::StoreError,
    poll_request::{Denied, PollRequest},
    poll_result::{PollError, PollResult},
    preview::PreviewError,
    response_notes::ResponseNotes,
    store_request::{StoreReply, StoreRequest},
    task::{Family, TaskId},
    time::Now,
    watched_task::WatchedTask,
};

/// A boxed future, so that the traits are dyn-compatible.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The answer to a poll, with notes on the response.
pub type PollAnswer = (PollResult, ResponseNotes);

/// The start of a poll, then its answer.
pub type PollStart<'a> = BoxFuture<'a, Result<BoxFuture<'a, PollAnswer>, Denied>>;

/// The clocks.
pub trait Clock: fmt::Debug + Send + Sync {
    fn now(&self) -> Now;
}

/// The API that reports the state of tasks.
pub trait TaskApi: fmt::Debug + Send + Sync {
    /// Starts a request for the state of one task, and returns the future of its answer; or the
    /// reason why no request may be sent now.
    ///
    /// Changes nothing on the server and may be repeated. Both futures may be dropped at any
    /// moment.
    fn start_poll(&self, request: PollRequest) -> PollStart<'_>;

    /// Returns a hash of the current API key and server, to which a backoff applies. Fails if no
    /// request is possible. Ends within 10 s, and may be dropped at any moment.
    fn account(&self) -> BoxFuture<'_, Result<AccountHash, PollError>> {
        Box::pin(future::ready(Ok(AccountHash::default())))
    }

    /// Returns the API key in all its spellings, if it has been read yet: it must never be taken
    /// for a task id.
    fn secrets(&self) -> KnownSecrets {
        KnownSecrets::default()
    }
}

/// The list of watched tasks on disk, with its journal. Blocking.
pub trait ListStore: fmt::Debug + Send {
    /// Carries out a request and returns the reply that belongs to it.
    fn handle(&mut self, request: &StoreRequest) -> Result<StoreReply, StoreError>;
}

/// The browser, for videos. Blocking.
pub trait VideoOpener: fmt::Debug + Send + Sync {
    /// Starts the browser without waiting for it to exit. The error is a sentence.
    fn open(&self, url: &VideoUrl) -> Result<(), String>;

    /// Opens a saved video in the same way.
    fn open_file(&self, file: &Path) -> Result<(), String>;
}

/// The browser, for a task's input beside its result. Blocking.
pub trait ComparisonViewer: fmt::Debug + Send + Sync {
    /// Starts the browser without waiting for it to exit. The error is a sentence.
    fn show_comparison(&self, comparison: &Comparison) -> Result<(), String>;
}

/// One frame of a video: three bytes (red, green, blue) per pixel, row by row.
#[derive(Clone, PartialEq, Eq)]
pub struct VideoFrame {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl VideoFrame {
    /// Creates a frame; `None` if it is empty or the number of bytes does not match its size.
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Option<Self> {
        let count = usize::try_from(u64::from(width) * u64::from(height) * 3).ok()?;
        (count > 0 && pixels.len() == count).then_some(Self {
            width,
            height,
            pixels,
        })
    }

    /// Returns width and height, in pixels.
    pub const fn size(&self) -> (u32, u32) {
        (self.width, self.height)
    }

    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }
}

impl fmt::Debug for VideoFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VideoFrame({}x{})", self.width, self.height)
    }
}

/// A decoder for single frames of local videos.
pub trait FrameReader: fmt::Debug + Send + Sync {
    /// Returns the frame at that time; a time past the end is
    /// [`Unreadable`](PreviewError::Unreadable).
    ///
    /// Ends within 6 s. May be dropped at any moment, which also ends the decoder process.
    fn read_frame<'a>(
        &'a self,
        file: &'a Path,
        at: Duration,
    ) -> BoxFuture<'a, Result<VideoFrame, PreviewError>>;
}

/// The API that renews expired links to its files.
pub trait LinkRenewer: fmt::Debug + Send + Sync {
    /// Requests a new link to the same file, valid for 20 minutes.
    ///
    /// Changes nothing on the server. May be dropped at any moment.
    fn renew_link<'a>(
        &'a self,
        task: &'a TaskId,
        url: &'a VideoUrl,
    ) -> BoxFuture<'a, Result<VideoUrl, PollError>>;
}

/// Downloads of result videos.
pub trait Downloader: fmt::Debug + Send + Sync {
    /// Downloads one file and returns its path. A file gets its final name only when it is
    /// complete and a video.
    ///
    /// At most [two](crate::domain::download::MAX_CONCURRENT) run at a time; others are queued.
    /// `on_progress` is called a few times a second at most. May be dropped at any moment: the
    /// partial file is kept, and the next download resumes it if the server can send the exact
    /// rest.
    fn download<'a>(
        &'a self,
        request: &'a DownloadRequest,
        on_progress: &'a (dyn Fn(TransferProgress) + Send + Sync),
    ) -> BoxFuture<'a, Result<PathBuf, DownloadError>>;

    /// Reports whether a file exists. Blocking.
    fn file_exists(&self, file: &Path) -> bool;

    /// Reports whether this or another process is downloading that file now. Does not count
    /// queued downloads. Changes nothing. Blocking.
    fn is_being_downloaded(&self, request: &DownloadRequest) -> bool;
}

/// A cache of input videos, for previews.
pub trait InputProvider: fmt::Debug + Send + Sync {
    /// Returns the local path of an input: the saved file, else a cached download. May be dropped
    /// at any moment.
    fn fetch_input<'a>(
        &'a self,
        task: &'a TaskId,
        input: &'a VideoSource,
    ) -> BoxFuture<'a, Result<PathBuf, PreviewError>>;

    /// Returns the path of a cached input. Downloads nothing. Blocking.
    fn cached_file(&self, link: &VideoUrl) -> Option<PathBuf>;
}

/// A clipboard program of this machine. Blocking.
pub trait Clipboard: fmt::Debug + Send + Sync {
    /// Copies text within a few seconds and returns the name of the program. The error is half a
    /// sentence.
    fn copy(&self, text: &str) -> Result<String, String>;
}

/// Notifications outside the terminal. Blocking. Errors are sentences.
pub trait Notifier: fmt::Debug + Send + Sync {
    /// Shows a desktop notification.
    fn show(&self, title: &str, body: &str) -> Result<(), String>;

    /// Starts the user's command without a shell, with `variables` in its environment, and does
    /// not wait for it to exit.
    fn run_command(
        &self,
        command: &[String],
        variables: &[(&'static str, String)],
    ) -> Result<(), String>;
}

/// Tasks in formats for other programs.
pub trait Exporter: fmt::Debug + Send + Sync {
    /// Returns the raw record as JSON that is safe on any terminal: an object for one task, an
    /// array for several. Texts are trimmed and cut at 64 KiB each.
    fn to_json(&self, tasks: &[WatchedTask]) -> String;

    /// Returns a shell command for each task, one per line, that requests its state. The commands
    /// do not contain the API key.
    fn to_curl(&self, tasks: &[(TaskId, Family)]) -> String;
}
