//! Result videos on a person's disk: what is to be fetched, how far it is, how it ended, and what
//! is there.
//!
//! Knows no network and no file system; paths are names here.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;

use super::{link::VideoUrl, poll_result::PollError, task::TaskId, text::CleanText, time};

/// How many files are fetched at the same time.
pub const MAX_CONCURRENT: usize = 2;

/// The wait before the first retry of a failed save; it doubles with each.
const MIN_RETRY_WAIT: Duration = Duration::from_secs(5);

/// The longest wait before a retry.
const MAX_RETRY_WAIT: Duration = Duration::from_mins(30);

/// The most retries of a save: six hours with these waits. A count, so that a sleeping machine uses
/// up none.
pub(super) const MAX_RETRIES: u32 = 20;

/// Numbers a try to fetch a file, so that what is told of one is not taken for another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DownloadId(u32);

impl DownloadId {
    /// Returns the number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// One file to fetch. Each result of a task is a file of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadRequest {
    /// Whose result.
    pub task: TaskId,
    /// Which of its results, from one.
    pub number: usize,
    /// How many results the task has.
    pub result_count: usize,
    /// Where it is.
    pub url: VideoUrl,
    /// The folder it goes to; made when it is not there.
    pub folder: PathBuf,
    /// What the file is called after, beside the id: the label, else the prompt.
    pub title: Option<CleanText>,
}

/// How far a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransferProgress {
    /// How many bytes are here.
    pub bytes: u64,
    /// How many there will be, if the server told.
    pub total: Option<u64>,
    /// How many come in a second at present.
    pub rate: u64,
}

impl TransferProgress {
    /// Returns how much of the file is here, in whole per cent; 100 only when all of it is.
    pub fn percent(self) -> Option<u8> {
        let total = self.total.filter(|total| *total > 0)?;
        let part = u128::from(self.bytes) * 100 / u128::from(total);
        u8::try_from(part.min(100)).ok()
    }

    /// Returns how long the rest will take at this rate.
    pub fn remaining(self) -> Option<Duration> {
        let rest = self.total?.saturating_sub(self.bytes);
        Some(Duration::from_secs(rest.div_ceil(self.rate.max(1)))).filter(|_| self.rate > 0)
    }
}

/// How far everything that is being saved is together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TotalProgress {
    /// How many files are on disk of those that were asked for.
    pub files_done: usize,
    /// How many were asked for.
    pub files: usize,
    /// Bytes here, bytes in all, bytes a second. A file whose length is not known yet counts as
    /// long as the others are on average.
    pub progress: TransferProgress,
}

impl TotalProgress {
    /// Sums up files that are here, with their bytes, those under way, and those that wait for
    /// their turn.
    pub fn sum(
        (here, bytes_here): (usize, u64),
        running: impl IntoIterator<Item = TransferProgress>,
        waiting: usize,
    ) -> Self {
        let (mut known, mut length) = (here, bytes_here);
        let (mut unknown, mut bytes, mut rate) = (waiting, bytes_here, 0_u64);
        for file in running {
            match file.total {
                Some(total) => {
                    known += 1;
                    length = length.saturating_add(total);
                }
                None => unknown += 1,
            }
            bytes = bytes.saturating_add(file.bytes);
            rate = rate.saturating_add(file.rate);
        }
        let files = known + unknown;
        let mean = u128::from(length).checked_div(known as u128);
        let total = mean.map(|mean| {
            let rest = u64::try_from(mean * unknown as u128).unwrap_or(u64::MAX);
            // What was guessed too low is not taken for all of it.
            let least = bytes.saturating_add(u64::from(unknown > 0));
            length.saturating_add(rest).max(least)
        });
        Self {
            files_done: here,
            files,
            progress: TransferProgress { bytes, total, rate },
        }
    }
}

/// How far the files of one task, or of several, are together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadProgress {
    /// Bytes here, bytes in all where every length is known, bytes a second.
    pub progress: TransferProgress,
    /// How many files are on their way.
    pub files: usize,
    /// How many of them wait for their turn.
    pub waiting: usize,
}

/// Says why a file is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DownloadError {
    /// The link leads where nothing is fetched from: plain http, this machine, a private network.
    /// Holds which.
    NotAllowed(CleanText),
    /// No answer, or half of one, after several tries.
    NoAnswer(PollError),
    /// Fewer than a thousand bytes came in a second, for half a minute, in several tries.
    Stalled,
    /// The file host answered with this status.
    HttpStatus(u16),
    /// The file host refuses the link, and a fresh one as well, or there was none. Holds the status
    /// and why.
    LinkExpired {
        /// The file host's status.
        status: u16,
        /// Why there is no fresh link, if there is none.
        why: Option<CleanText>,
    },
    /// The file host refuses the link, and no fresh one could be requested.
    RenewalFailed {
        /// The file host's status.
        status: u16,
        /// Why the request for a fresh link failed.
        error: PollError,
    },
    /// The file host refuses the link of a recent result: the file is not there yet.
    NotReady {
        /// The file host's status.
        status: u16,
        /// Why there is no fresh link, if there is none.
        why: Option<CleanText>,
    },
    /// What came is no video. Holds how it begins.
    NotAVideo(CleanText),
    /// What came is a video, but not a whole one. Holds what is wrong with it.
    Incomplete(CleanText),
    /// It is larger than anything that is fetched, in bytes.
    TooLarge(u64),
    /// There is no room for it.
    DiskFull,
    /// The folder or the file cannot be written. Holds why.
    FolderUnwritable(CleanText),
    /// Another kietop is fetching the same file.
    Busy,
    /// A person stopped it.
    Stopped,
    /// A part of the program broke.
    Panicked,
}

impl DownloadError {
    /// Returns what happened, as the start of a sentence without a full stop.
    pub fn message(&self) -> String {
        match self {
            Self::NotAllowed(what) => format!("not fetched: {what}"),
            Self::NoAnswer(error) => error.message(),
            Self::Stalled => "the file host sends next to nothing".into(),
            Self::HttpStatus(status) => format!("the file host answered {status}"),
            Self::LinkExpired { status, why: None } => {
                format!("link gone ({status}); files live about 14 days")
            }
            Self::LinkExpired {
                status,
                why: Some(why),
            } => {
                format!("link gone ({status}), and no fresh one: {why}")
            }
            Self::RenewalFailed { status, error } => {
                let why = error.message();
                format!("the file host answered {status}, and no fresh link came: {why}")
            }
            Self::NotReady { status, why: None } => format!("not there yet ({status})"),
            Self::NotReady {
                status,
                why: Some(why),
            } => format!("not there yet ({status}), and no fresh link: {why}"),
            Self::NotAVideo(start) => format!("what came is no video; it begins: {start}"),
            Self::Incomplete(what) => format!("the video is not whole: {what}"),
            Self::TooLarge(most) => format!("it is larger than {} GiB", most >> 30),
            Self::DiskFull => "the disk is full".into(),
            Self::FolderUnwritable(why) => why.to_string(),
            Self::Busy => "another kietop is fetching it".into(),
            Self::Stopped => "stopped; what came is kept".into(),
            Self::Panicked => "the saving broke".into(),
        }
    }

    /// Returns what the user can do, as a whole sentence.
    pub const fn next_step(&self) -> &'static str {
        match self {
            Self::NotAllowed(_) => "Files are fetched over https from public addresses only.",
            Self::NoAnswer(_)
            | Self::Stalled
            | Self::HttpStatus(_)
            | Self::RenewalFailed { .. }
            | Self::Panicked => "What came is kept; save again to go on.",
            Self::NotReady { .. } => {
                "Save again in a minute; an open dashboard retries automatically."
            }
            Self::LinkExpired { .. } => "https://kie.ai/logs may still show it.",
            Self::NotAVideo(_) | Self::Incomplete(_) => "Open the link in the browser to look.",
            Self::TooLarge(_) => "Open the link in the browser.",
            Self::DiskFull => "Free some space, then save again to go on.",
            Self::FolderUnwritable(_) => "Choose another folder.",
            Self::Busy => "It will be there when that one is done.",
            Self::Stopped => "Save again to go on.",
        }
    }

    /// Reports whether the same save may work another time, so that it is worth offering again.
    pub const fn is_resumable(&self) -> bool {
        match self {
            Self::NoAnswer(_)
            | Self::Stalled
            | Self::HttpStatus(_)
            | Self::RenewalFailed { .. }
            | Self::NotReady { .. }
            | Self::DiskFull
            | Self::FolderUnwritable(_)
            | Self::Busy
            | Self::Panicked => true,
            Self::NotAllowed(_)
            | Self::LinkExpired { .. }
            | Self::NotAVideo(_)
            | Self::Incomplete(_)
            | Self::TooLarge(_)
            | Self::Stopped => false,
        }
    }
}

/// The longest reason for a missing fresh link, in bytes.
const MAX_REASON: usize = 200;

impl DownloadError {
    /// Returns the file host's status if it answered without the file, and why there is no fresh
    /// link.
    pub(super) fn refusal(&self) -> Option<(u16, Option<CleanText>)> {
        match self {
            Self::HttpStatus(status) => Some((*status, None)),
            Self::LinkExpired { status, why } | Self::NotReady { status, why } => {
                Some((*status, why.clone()))
            }
            Self::RenewalFailed { status, error } => {
                let why = CleanText::line(&error.message(), MAX_REASON);
                Some((*status, Some(why)))
            }
            Self::NotAllowed(_)
            | Self::NoAnswer(_)
            | Self::Stalled
            | Self::NotAVideo(_)
            | Self::Incomplete(_)
            | Self::TooLarge(_)
            | Self::DiskFull
            | Self::FolderUnwritable(_)
            | Self::Busy
            | Self::Stopped
            | Self::Panicked => None,
        }
    }

    /// Reports whether the save is retried automatically: the network or the file host failed it.
    pub const fn is_retryable(&self) -> bool {
        match self {
            Self::NoAnswer(error) => !matches!(error, PollError::Untrusted(_)),
            Self::Stalled
            | Self::HttpStatus(_)
            | Self::RenewalFailed { .. }
            | Self::NotReady { .. } => true,
            Self::NotAllowed(_)
            | Self::LinkExpired { .. }
            | Self::NotAVideo(_)
            | Self::Incomplete(_)
            | Self::TooLarge(_)
            | Self::DiskFull
            | Self::FolderUnwritable(_)
            | Self::Busy
            | Self::Stopped
            | Self::Panicked => false,
        }
    }
}

/// The next retry of a task's failed save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadRetry {
    /// The number of retries, this one included.
    pub tries: u32,
    /// When it is due.
    pub at: Timestamp,
}

impl DownloadRetry {
    /// Returns the retry after a failure at that time; `None` after the last.
    ///
    /// A failure before `last` is due belongs to the same round: another file of the task, or a
    /// manual try.
    fn after(last: Option<Self>, at: Timestamp) -> Option<Self> {
        if last.is_some_and(|last| last.at > at) {
            return last;
        }
        let tries = last.map_or(1, |last| last.tries.saturating_add(1));
        let wait = MIN_RETRY_WAIT.saturating_mul(2_u32.saturating_pow(tries.saturating_sub(1)));
        (tries <= MAX_RETRIES).then(|| Self {
            tries,
            at: time::saturating_add(at, wait.min(MAX_RETRY_WAIT)),
        })
    }
}

/// A result that was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedFile {
    /// Which of the task's results, from one.
    pub number: usize,
    /// Where it was put.
    pub path: PathBuf,
    /// Whether it was still there when last looked. Not stored.
    pub exists: bool,
}

/// What is known of a task's results on disk.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SavedResults {
    files: Vec<SavedFile>,
    /// The folder of a save that was begun and has not ended: goes on, or is offered, at the next
    /// start.
    pub pending_folder: Option<PathBuf>,
    /// When it was last said that the link is about to die.
    pub expiry_warned: Option<Timestamp>,
    /// The next retry of a failed save.
    pub retry: Option<DownloadRetry>,
}

impl SavedResults {
    /// Puts together again what was stored.
    pub fn from_stored(
        files: impl IntoIterator<Item = (usize, PathBuf)>,
        begun: Option<PathBuf>,
        warned: Option<Timestamp>,
    ) -> Self {
        let mut saves = Self {
            files: Vec::new(),
            pending_folder: begun,
            expiry_warned: warned,
            retry: None,
        };
        for (number, path) in files {
            saves.add(number, path);
        }
        saves
    }

    /// Returns the files in the order of the results, those no longer there included.
    pub fn files(&self) -> &[SavedFile] {
        &self.files
    }

    /// Returns where the files are that are there.
    pub fn existing(&self) -> impl Iterator<Item = &SavedFile> {
        self.files.iter().filter(|file| file.exists)
    }

    /// Reports whether that result is on disk.
    pub fn has(&self, number: usize) -> bool {
        self.existing().any(|file| file.number == number)
    }

    /// Notes that a result was saved, in the place of an earlier copy.
    pub fn add(&mut self, number: usize, path: PathBuf) {
        self.files.retain(|file| file.number != number);
        let at = self.files.partition_point(|file| file.number < number);
        let file = SavedFile {
            number,
            path,
            exists: true,
        };
        self.files.insert(at, file);
    }

    /// Records the failure of a save: a transient one is retried, or offered again.
    pub fn record_failure(&mut self, error: &DownloadError, at: Timestamp) {
        if !error.is_resumable() {
            self.end_download();
        } else if error.is_retryable() {
            self.retry = DownloadRetry::after(self.retry, at);
        }
    }

    /// Ends a save that was begun: everything is here, or nothing will come.
    pub(super) fn end_download(&mut self) {
        self.pending_folder = None;
        self.retry = None;
    }

    /// Adds what another account of the same task knows beyond this one.
    pub fn merge(&mut self, other: &Self) {
        for file in &other.files {
            match self.files.iter_mut().find(|own| own.number == file.number) {
                None => self.add(file.number, file.path.clone()),
                // What was looked at counts for the same file, until it is looked at again.
                Some(own) if own.path == file.path => own.exists = file.exists,
                Some(_) => {}
            }
        }
        self.expiry_warned = self.expiry_warned.max(other.expiry_warned);
    }

    /// Notes which of these files are there; others keep what was known.
    pub fn set_exists(&mut self, path: &Path, is_there: bool) {
        for file in self.files.iter_mut().filter(|file| file.path == path) {
            file.exists = is_there;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_handles_unknown_sizes() {
        let progress = |bytes, total, rate| TransferProgress { bytes, total, rate };

        assert_eq!(progress(0, None, 0).percent(), None);
        assert_eq!(progress(0, Some(0), 0).percent(), None);
        assert_eq!(progress(999, Some(1000), 0).percent(), Some(99));
        assert_eq!(progress(2000, Some(1000), 0).percent(), Some(100));
        assert_eq!(progress(0, Some(1000), 0).remaining(), None);
        assert_eq!(
            progress(0, Some(1001), 10).remaining(),
            Some(Duration::from_secs(101))
        );
        assert_eq!(
            progress(9, Some(5), 10).remaining(),
            Some(Duration::from_secs(0))
        );
        assert_eq!(progress(u64::MAX, Some(u64::MAX), 1).percent(), Some(100));
    }

    #[test]
    fn total_progress_covers_known_sizes() {
        let running = |bytes, total| TransferProgress {
            bytes,
            total,
            rate: 10,
        };
        let all = |here, running: &[TransferProgress], waiting| {
            let all = TotalProgress::sum(here, running.iter().copied(), waiting);
            let TransferProgress { bytes, total, rate } = all.progress;
            (all.files_done, all.files, bytes, total, rate)
        };

        assert_eq!(all((0, 0), &[], 3), (0, 3, 0, None, 0));
        let untold = running(5, None);
        assert_eq!(all((0, 0), &[untold], 1), (0, 2, 5, None, 10));
        let told = running(50, Some(100));
        assert_eq!(all((0, 0), &[told], 0), (0, 1, 50, Some(100), 10));
        assert_eq!(all((1, 300), &[told], 2), (1, 4, 350, Some(800), 10));
        assert_eq!(all((1, 4), &[untold], 0), (1, 2, 9, Some(10), 10));
        let huge = running(u64::MAX, Some(u64::MAX));
        assert_eq!(
            all((1, u64::MAX), &[huge], 9),
            (1, 11, u64::MAX, Some(u64::MAX), 10)
        );
    }

    #[test]
    fn a_saved_file_replaces_its_earlier_entry() {
        let mut saves = SavedResults::default();
        saves.add(2, "b".into());
        saves.add(1, "a".into());
        saves.add(2, "c".into());
        saves.set_exists(Path::new("a"), false);

        let there: Vec<_> = saves.existing().map(|file| file.path.clone()).collect();
        assert_eq!(there, [PathBuf::from("c")]);
        assert_eq!(saves.files().len(), 2);
        assert!(saves.has(2) && !saves.has(1));
    }

    #[test]
    fn retries_back_off_for_hours_and_then_stop() {
        let error = DownloadError::NotReady {
            status: 404,
            why: None,
        };
        let mut saves = SavedResults {
            pending_folder: Some("/v".into()),
            ..SavedResults::default()
        };
        let start = Timestamp::UNIX_EPOCH;
        let (mut now, mut waits) = (start, Vec::new());
        while {
            saves.record_failure(&error, now);
            saves.retry.is_some()
        } {
            let at = saves.retry.unwrap().at;
            // Another file of the task, in the same round.
            saves.record_failure(&error, time::saturating_add(now, Duration::from_secs(1)));
            assert_eq!(saves.retry.unwrap().at, at);
            waits.push(time::elapsed(now, at).as_secs());
            now = at;
        }

        assert_eq!(waits[..5], [5, 10, 20, 40, 80]);
        assert!(waits.is_sorted() && waits[15..].iter().all(|wait| *wait == 1800));
        let hours = time::elapsed(start, now).as_secs() / 3600;
        assert_eq!((waits.len(), hours), (20, 6));
        assert!(saves.pending_folder.is_some());
        saves.record_failure(&DownloadError::Stopped, now);
        assert_eq!((saves.pending_folder, saves.retry), (None, None));
    }

    #[test]
    fn every_error_has_a_next_step() {
        let text = || CleanText::line("x", 9);
        for error in [
            DownloadError::NotAllowed(text()),
            DownloadError::NoAnswer(PollError::ConnectionLost),
            DownloadError::Stalled,
            DownloadError::HttpStatus(500),
            DownloadError::LinkExpired {
                status: 404,
                why: None,
            },
            DownloadError::RenewalFailed {
                status: 404,
                error: PollError::ConnectionLost,
            },
            DownloadError::NotReady {
                status: 404,
                why: Some(text()),
            },
            DownloadError::NotAVideo(text()),
            DownloadError::Incomplete(text()),
            DownloadError::TooLarge(8 << 30),
            DownloadError::DiskFull,
            DownloadError::FolderUnwritable(text()),
            DownloadError::Busy,
            DownloadError::Stopped,
            DownloadError::Panicked,
        ] {
            assert!(error.next_step().ends_with('.'), "{error:?}");
            assert!(!error.message().ends_with('.'), "{error:?}");
        }
    }
}
