//! Downloads of result videos: requests, progress, errors, retries, and the files on disk.
//!
//! No network and no file system; paths are only names.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;

use super::{link::VideoUrl, poll_result::PollError, task::TaskId, text::CleanText, time};

/// The most downloads at the same time.
pub const MAX_CONCURRENT: usize = 2;

/// The wait before the first retry of a failed download; doubled with each further one.
const MIN_RETRY_WAIT: Duration = Duration::from_secs(5);

const MAX_RETRY_WAIT: Duration = Duration::from_mins(30);

/// The most retries: six hours with these waits. A count, so that a sleeping machine uses up none.
pub(super) const MAX_RETRIES: u32 = 20;

/// The longest reason for a missing link, in bytes.
const MAX_REASON: usize = 200;

/// The number of a download attempt, to recognise late reports of an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct DownloadId(u32);

impl DownloadId {
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

/// A file to download. Each result of a task is a file of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DownloadRequest {
    pub task: TaskId,
    /// From one.
    pub number: usize,
    /// The number of results of the task.
    pub result_count: usize,
    pub url: VideoUrl,
    /// Created if it does not exist.
    pub folder: PathBuf,
    /// The label, else the prompt: part of the file name, beside the id.
    pub title: Option<CleanText>,
}

/// The progress of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TransferProgress {
    pub bytes: u64,
    /// The size, if the server sent it.
    pub total: Option<u64>,
    /// The current bytes per second.
    pub rate: u64,
}

impl TransferProgress {
    /// Returns the progress in whole per cent; 100 only if complete.
    pub fn percent(self) -> Option<u8> {
        let total = self.total.filter(|total| *total > 0)?;
        let part = u128::from(self.bytes) * 100 / u128::from(total);
        u8::try_from(part.min(100)).ok()
    }

    /// Returns the remaining time at this rate.
    pub fn remaining(self) -> Option<Duration> {
        let rest = self.total?.saturating_sub(self.bytes);
        Some(Duration::from_secs(rest.div_ceil(self.rate.max(1)))).filter(|_| self.rate > 0)
    }
}

/// The progress of all downloads together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TotalProgress {
    pub files_done: usize,
    /// The number of requested files.
    pub files: usize,
    /// A file of unknown size counts as long as the others on average.
    pub progress: TransferProgress,
}

impl TotalProgress {
    /// Sums up finished files with their bytes, running transfers, and queued files.
    pub fn sum(
        (done, bytes_done): (usize, u64),
        running: impl IntoIterator<Item = TransferProgress>,
        queued: usize,
    ) -> Self {
        let (mut known, mut size) = (done, bytes_done);
        let (mut unknown, mut bytes, mut rate) = (queued, bytes_done, 0_u64);
        for file in running {
            match file.total {
                Some(total) => {
                    known += 1;
                    size = size.saturating_add(total);
                }
                None => unknown += 1,
            }
            bytes = bytes.saturating_add(file.bytes);
            rate = rate.saturating_add(file.rate);
        }
        let files = known + unknown;
        let mean = u128::from(size).checked_div(known as u128);
        let total = mean.map(|mean| {
            let rest = u64::try_from(mean * unknown as u128).unwrap_or(u64::MAX);
            // Too low a guess never looks like the end.
            let min_total = bytes.saturating_add(u64::from(unknown > 0));
            size.saturating_add(rest).max(min_total)
        });
        Self {
            files_done: done,
            files,
            progress: TransferProgress { bytes, total, rate },
        }
    }
}

/// The progress of the files of one task, or of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadProgress {
    /// The total is known only if every size is.
    pub progress: TransferProgress,
    pub files: usize,
    /// The number of queued files among them.
    pub waiting: usize,
}

/// The reason why a file was not saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DownloadError {
    /// The link is not allowed: plain http, this machine, a private network. Holds the reason.
    NotAllowed(CleanText),
    /// No answer, or a truncated one, after several tries.
    NoAnswer(PollError),
    /// Fewer than a thousand bytes a second for half a minute, in several tries.
    Stalled,
    HttpStatus(u16),
    /// The file host refuses the link, and there is no renewed link that works.
    LinkExpired {
        status: u16,
        /// Why there is no renewed link, if there is none.
        why: Option<CleanText>,
    },
    /// The file host refuses the link, and the request for a renewed one failed.
    RenewalFailed {
        status: u16,
        error: PollError,
    },
    /// The file host refuses the link of a recent result: the file is not there yet.
    NotReady {
        status: u16,
        /// Why there is no renewed link, if there is none.
        why: Option<CleanText>,
    },
    /// Holds the start of the file.
    NotAVideo(CleanText),
    /// A truncated or damaged video. Holds the reason.
    Incomplete(CleanText),
    /// Holds the limit in bytes.
    TooLarge(u64),
    DiskFull,
    /// Holds the reason.
    FolderUnwritable(CleanText),
    /// Another kietop is downloading the same file.
    Busy,
    /// Stopped by the user.
    Stopped,
    Panicked,
}

impl DownloadError {
    /// Reports whether the same download may succeed later, so that it is offered again.
    pub const fn is_resumable(&self) -> bool {
        !matches!(
            self,
            Self::NotAllowed(_)
                | Self::LinkExpired { .. }
                | Self::NotAVideo(_)
                | Self::Incomplete(_)
                | Self::TooLarge(_)
                | Self::Stopped
        )
    }

    /// Reports whether the download is retried automatically: the network or the file host failed.
    pub const fn is_retryable(&self) -> bool {
        if let Self::NoAnswer(error) = self {
            return !matches!(error, PollError::Untrusted(_));
        }
        matches!(
            self,
            Self::Stalled
                | Self::HttpStatus(_)
                | Self::RenewalFailed { .. }
                | Self::NotReady { .. }
        )
    }

    /// Returns the file host's status and the reason for the missing link, if the host refused the
    /// file.
    pub(super) fn refusal(&self) -> Option<(u16, Option<CleanText>)> {
        if let Self::LinkExpired { status, why } | Self::NotReady { status, why } = self {
            return Some((*status, why.clone()));
        }
        if let Self::RenewalFailed { status, error } = self {
            let why = CleanText::line(&error.message(), MAX_REASON);
            return Some((*status, Some(why)));
        }
        if let Self::HttpStatus(status) = self {
            return Some((*status, None));
        }
        None
    }
}

/// The next retry of a task's failed download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadRetry {
    /// The number of retries, including this one.
    pub tries: u32,
    pub at: Timestamp,
}

impl DownloadRetry {
    /// Returns the next retry after a failure; `None` after the last.
    ///
    /// A failure before `last` is due belongs to the same round: another file of the task, or a
    /// manual retry.
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

/// A saved result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SavedFile {
    /// From one.
    pub number: usize,
    pub path: PathBuf,
    /// Whether it existed when last checked. Not stored.
    pub exists: bool,
}

/// The saved results of a task and its pending download.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SavedResults {
    files: Vec<SavedFile>,
    /// The folder of a download that has not ended: resumed or offered at the next start.
    pub pending_folder: Option<PathBuf>,
    /// When the user was last warned that the link expires.
    pub expiry_warned: Option<Timestamp>,
    pub retry: Option<DownloadRetry>,
}

impl SavedResults {
    pub fn from_stored(
        files: impl IntoIterator<Item = (usize, PathBuf)>,
        pending_folder: Option<PathBuf>,
        expiry_warned: Option<Timestamp>,
    ) -> Self {
        let mut results = Self {
            files: Vec::new(),
            pending_folder,
            expiry_warned,
            retry: None,
        };
        for (number, path) in files {
            results.add(number, path);
        }
        results
    }

    /// Returns all files in the order of the results, missing ones included.
    pub fn files(&self) -> &[SavedFile] {
        &self.files
    }

    /// Returns the files that exist.
    pub fn existing(&self) -> impl Iterator<Item = &SavedFile> {
        self.files.iter().filter(|file| file.exists)
    }

    pub fn has(&self, number: usize) -> bool {
        self.existing().any(|file| file.number == number)
    }

    /// Records a saved result; it replaces an earlier copy.
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

    /// Records a failed download: a transient failure is retried, another resumable one offered
    /// again.
    pub fn record_failure(&mut self, error: &DownloadError, at: Timestamp) {
        if !error.is_resumable() {
            self.end_download();
        } else if error.is_retryable() {
            self.retry = DownloadRetry::after(self.retry, at);
        }
    }

    /// Ends the pending download: everything is saved, or nothing will be.
    pub(super) fn end_download(&mut self) {
        self.pending_folder = None;
        self.retry = None;
    }

    /// Merges another copy of the same task's results.
    pub fn merge(&mut self, other: &Self) {
        for file in &other.files {
            match self.files.iter_mut().find(|own| own.number == file.number) {
                None => self.add(file.number, file.path.clone()),
                // The other copy was checked later.
                Some(own) if own.path == file.path => own.exists = file.exists,
                Some(_) => {}
            }
        }
        self.expiry_warned = self.expiry_warned.max(other.expiry_warned);
    }

    /// Sets whether the file at `path` exists.
    pub fn set_exists(&mut self, path: &Path, exists: bool) {
        for file in self.files.iter_mut().filter(|file| file.path == path) {
            file.exists = exists;
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
        let sum = |done, running: &[TransferProgress], queued| {
            let all = TotalProgress::sum(done, running.iter().copied(), queued);
            let TransferProgress { bytes, total, rate } = all.progress;
            (all.files_done, all.files, bytes, total, rate)
        };

        assert_eq!(sum((0, 0), &[], 3), (0, 3, 0, None, 0));
        let unknown_size = running(5, None);
        assert_eq!(sum((0, 0), &[unknown_size], 1), (0, 2, 5, None, 10));
        let known_size = running(50, Some(100));
        assert_eq!(sum((0, 0), &[known_size], 0), (0, 1, 50, Some(100), 10));
        assert_eq!(sum((1, 300), &[known_size], 2), (1, 4, 350, Some(800), 10));
        assert_eq!(sum((1, 4), &[unknown_size], 0), (1, 2, 9, Some(10), 10));
        let huge = running(u64::MAX, Some(u64::MAX));
        assert_eq!(
            sum((1, u64::MAX), &[huge], 9),
            (1, 11, u64::MAX, Some(u64::MAX), 10)
        );
    }

    #[test]
    fn a_saved_file_replaces_its_earlier_entry() {
        let mut results = SavedResults::default();
        results.add(2, "b".into());
        results.add(1, "a".into());
        results.add(2, "c".into());
        results.set_exists(Path::new("a"), false);

        let existing: Vec<_> = results.existing().map(|file| file.path.clone()).collect();
        assert_eq!(existing, [PathBuf::from("c")]);
        assert_eq!(results.files().len(), 2);
        assert!(results.has(2) && !results.has(1));
    }

    #[test]
    fn retries_back_off_for_hours_and_then_stop() {
        let error = DownloadError::NotReady {
            status: 404,
            why: None,
        };
        let mut results = SavedResults {
            pending_folder: Some("/v".into()),
            ..SavedResults::default()
        };
        let start = Timestamp::UNIX_EPOCH;
        let (mut now, mut waits) = (start, Vec::new());
        while {
            results.record_failure(&error, now);
            results.retry.is_some()
        } {
            let at = results.retry.unwrap().at;
            // Another file of the task, in the same round.
            results.record_failure(&error, time::saturating_add(now, Duration::from_secs(1)));
            assert_eq!(results.retry.unwrap().at, at);
            waits.push(time::elapsed(now, at).as_secs());
            now = at;
        }

        assert_eq!(waits[..5], [5, 10, 20, 40, 80]);
        assert!(waits.is_sorted() && waits[15..].iter().all(|wait| *wait == 1800));
        let hours = time::elapsed(start, now).as_secs() / 3600;
        assert_eq!((waits.len(), hours), (20, 6));
        assert!(results.pending_folder.is_some());
        results.record_failure(&DownloadError::Stopped, now);
        assert_eq!((results.pending_folder, results.retry), (None, None));
    }
}
