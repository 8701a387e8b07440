//! The outside as traits: what the program asks of it, in words of the domain.
//!
//! Real forms live in `adapters`, fakes in the tests. Nothing here knows HTTP, SQL or a terminal.

use std::{
    fmt,
    future::{self, Future},
    path::{Path, PathBuf},
    pin::Pin,
    time::Duration,
};

use jiff::Timestamp;

use crate::domain::{
    comparison::{Comparison, VideoSource},
    download::{DownloadError, DownloadRequest, TransferProgress},
    id_extract::KnownSecrets,
    limiter::{AccountHash, Broadcast, Denied, Permit, RequestOutcome},
    link::VideoUrl,
    list_change::{ChangeResult, ExternalChange, JournalLine, ListChange, StoreError},
    poll_result::{PollError, PollResult},
    preview::PreviewError,
    query::ListView,
    raw_response::RawResponse,
    response_notes::ResponseNotes,
    saved_session::SavedSession,
    task::{Family, TaskId},
    time::Now,
    watched_task::WatchedTask,
};

/// An answer under way.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Reads the clocks.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Returns the present.
    fn now(&self) -> Now;
}

/// Asks the API after tasks.
pub trait TaskApi: fmt::Debug + Send + Sync {
    /// Asks after one task. Changes nothing at the server and may be repeated; ends within 20 s
    /// with an observation or a named error, and may be dropped at any moment. Who calls it has a
    /// turn for one request; a second one is counted by [`RequestLimiter::acquire_retry`]. What is
    /// noticed beside the answer goes into `noticed`.
    fn poll<'a>(
        &'a self,
        task: &'a TaskId,
        family: Family,
        noticed: &'a mut ResponseNotes,
    ) -> BoxFuture<'a, PollResult>;

    /// Returns who asks whom now, or why nobody can: what the server says of the account holds for
    /// that one. Ends within 10 s, and may be dropped at any moment.
    fn account(&self) -> BoxFuture<'_, Result<AccountHash, PollError>> {
        Box::pin(future::ready(Ok(AccountHash::default())))
    }

    /// Returns the API key and its spellings, as far as it has been read; it is never taken for an
    /// id.
    fn secrets(&self) -> KnownSecrets {
        KnownSecrets::default()
    }
}

/// Keeps the list and its journal. Blocking: called off the loop.
pub trait ListStore: fmt::Debug + Send {
    /// Reads every watched task, and takes this as the start for
    /// [`changes`](Self::external_changes).
    fn load(&mut self) -> Result<Vec<WatchedTask>, StoreError>;

    /// Applies changes in one transaction, all or none, and returns the result of each, in order.
    /// An empty slice checks whether the list can be written.
    ///
    /// When one of them [is acknowledged](ListChange::needs_ack), all are on the disk on return.
    fn apply(&mut self, changes: &[ListChange]) -> Result<Vec<ChangeResult>, StoreError>;

    /// Returns what other instances changed since the last call or load.
    fn external_changes(&mut self) -> Result<Vec<ExternalChange>, StoreError>;

    /// Returns the last lines of a task's journal, oldest first, at most `most`.
    fn read_journal(&mut self, task: &TaskId, most: usize) -> Result<Vec<JournalLine>, StoreError>;

    /// Returns the server's last good answer about a task, set out in lines; nothing when there was
    /// none.
    fn read_raw_response(&mut self, task: &TaskId) -> Result<Option<RawResponse>, StoreError>;

    /// Reads how the list was looked at last, until when, and the last removals that can be taken
    /// back.
    fn load_session(&mut self) -> Result<SavedSession, StoreError>;

    /// Writes down how the list is looked at. No one waits for it: a power cut may cost it.
    fn save_session(&mut self, lens: &ListView) -> Result<(), StoreError>;

    /// Notes that the list was looked at until then. No one waits for it either.
    fn save_last_seen(&mut self, at: Timestamp) -> Result<(), StoreError>;

    /// Writes the list back to its path if the file is gone.
    fn write_back(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Shares the limits on asking with the other instances on the list. Blocking, for a second at
/// most: called off the loop.
///
/// Never stands in the way for long: where the others cannot be heard at all every turn is given,
/// and only the caller's own limits hold.
pub trait RequestLimiter: fmt::Debug + Send + Sync {
    /// Takes the turn to ask after a task with that account now, or says why there is none.
    fn acquire(&self, task: &TaskId, account: AccountHash) -> Result<Permit, Denied>;

    /// Counts that a question in its turn is put a second time; or says how long that must wait.
    fn acquire_retry(&self) -> Result<(), Duration>;

    /// Gives a turn back, with what the question brought to light.
    fn release(&self, turn: &Permit, heard: &RequestOutcome);

    /// Lets the others know of the account's state.
    fn broadcast(&self, word: &Broadcast, account: AccountHash);
}

/// Opens videos in the browser. Blocking: called off the loop.
pub trait VideoOpener: fmt::Debug + Send + Sync {
    /// Starts the browser and returns without waiting for it to end; fails with a sentence when
    /// none can start.
    fn open(&self, url: &VideoUrl) -> Result<(), String>;

    /// Starts the browser with a video that was saved on this disk, in the same way.
    fn open_file(&self, file: &Path) -> Result<(), String>;
}

/// Shows a task's input beside its result in the browser. Blocking: called off the loop.
pub trait ComparisonViewer: fmt::Debug + Send + Sync {
    /// Starts the browser and returns without waiting for it to end; fails with a sentence when
    /// nothing can be shown.
    fn show_comparison(&self, comparison: &Comparison) -> Result<(), String>;
}

/// One frame of a video, in red, green and blue, row by row.
#[derive(Clone, PartialEq, Eq)]
pub struct VideoFrame {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl VideoFrame {
    /// Returns a frame; nothing when the pixels are not as many as its sides say, or there are
    /// none.
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

    /// Returns the pixels, three bytes each.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }
}

impl fmt::Debug for VideoFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Still({}x{})", self.width, self.height)
    }
}

/// Takes frames out of videos on this disk.
pub trait FrameReader: fmt::Debug + Send + Sync {
    /// Returns the frame at that time, which is [refused](PreviewError::Unreadable) beyond the end.
    /// Ends within 6 s, and may be dropped at any moment, which ends whatever was started for it.
    fn read_frame<'a>(
        &'a self,
        file: &'a Path,
        at: Duration,
    ) -> BoxFuture<'a, Result<VideoFrame, PreviewError>>;
}

/// Asks the API for fresh links to its files.
pub trait LinkRenewer: fmt::Debug + Send + Sync {
    /// Asks for a link to the same file of that task that lives again for a while (20 min), in a
    /// turn of its own. Changes nothing at the server; ends within 20 s with a link or a named
    /// error, and may be dropped at any moment.
    fn renew_link<'a>(
        &'a self,
        task: &'a TaskId,
        url: &'a VideoUrl,
    ) -> BoxFuture<'a, Result<VideoUrl, PollError>>;
}

/// Fetches result videos to the disk.
pub trait Downloader: fmt::Debug + Send + Sync {
    /// Fetches one file and returns where it is. What carries the final name is whole and a video,
    /// always.
    ///
    /// No more than [two](crate::domain::download::MAX_CONCURRENT) run at a time, others wait for
    /// their turn. `told` hears how far it is, a few times a second at most. May be dropped at any
    /// moment: what has come stays beside the target, and the next save goes on from there where
    /// that is exact.
    fn download<'a>(
        &'a self,
        order: &'a DownloadRequest,
        told: &'a (dyn Fn(TransferProgress) + Send + Sync),
    ) -> BoxFuture<'a, Result<PathBuf, DownloadError>>;

    /// Reports whether a file is there. Blocking: called off the loop.
    fn file_exists(&self, file: &Path) -> bool;

    /// Reports whether somebody is fetching that file at this moment, this program or another.
    /// Changes nothing, and knows nothing of what waits for its turn. Blocking: called off the
    /// loop.
    fn is_being_downloaded(&self, order: &DownloadRequest) -> bool;
}

/// Keeps the inputs that pictures are made of.
pub trait InputProvider: fmt::Debug + Send + Sync {
    /// Returns where an input is on this disk: where it was saved, else fetched once and kept for a
    /// while. May be dropped at any moment.
    fn fetch_input<'a>(
        &'a self,
        task: &'a TaskId,
        input: &'a VideoSource,
    ) -> BoxFuture<'a, Result<PathBuf, PreviewError>>;

    /// Returns where an input lies that was kept, if it does. Fetches nothing. Blocking: called off
    /// the loop.
    fn cached_file(&self, link: &VideoUrl) -> Option<PathBuf>;
}

/// Puts text on a clipboard by a program of this machine. Blocking: called off the loop.
pub trait Clipboard: fmt::Debug + Send + Sync {
    /// Returns the name of the program that took the text, within a few seconds; else why none did,
    /// half a sentence.
    fn copy(&self, text: &str) -> Result<String, String>;
}

/// Of endings outside the program. Blocking: called off the loop.
pub trait Notifier: fmt::Debug + Send + Sync {
    /// Shows a notice on the desktop; fails with a sentence where there is none that can.
    fn show(&self, title: &str, body: &str) -> Result<(), String>;

    /// Starts the user's program with the facts in its environment, without a shell, and does not
    /// wait for its end; fails with a sentence when it cannot be started.
    fn run_command(
        &self,
        command: &[String],
        facts: &[(&'static str, String)],
    ) -> Result<(), String>;
}

/// Writes tasks down for other programs.
pub trait Exporter: fmt::Debug + Send + Sync {
    /// Returns the record as JSON safe for any terminal: an object for one task, an array for
    /// several. Texts are as they came: trimmed, at most 64 KiB each.
    fn to_json(&self, tasks: &[WatchedTask]) -> String;

    /// Returns a shell command for each task, a line each, that asks the API after it. The key is
    /// not in it.
    fn to_curl(&self, tasks: &[(TaskId, Family)]) -> String;
}
