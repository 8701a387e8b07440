//! Partial files: the bytes received so far, beside the target, and the step to the final file.
//!
//! A partial file is `<name>.<tag>.part`. Its metadata file `<name>.<tag>.meta` identifies the
//! result and the remote file, and has a checksum of the bytes synced to disk. The partial file is
//! locked while it is written, so two programs never write the same one. The checksum detects
//! changes made between two runs, but not a change that also updates the metadata, or one during a
//! download.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{
        DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
    },
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use bytes::Bytes;
use reqwest::header::HeaderValue;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Mutex, MutexGuard, mpsc},
    task,
    time::Instant,
};

use super::{
    file_names,
    limits::DownloadLimits,
    video_check::{self, LengthCertainty},
};
use crate::{
    adapters::{
        regular_file::{self, Symlinks, read_small},
        rename_noreplace::rename_without_replacing,
    },
    domain::{
        download::{DownloadError, DownloadRequest},
        text::CleanText,
    },
};

const MAX_META_LEN: u64 = 16 * 1024;

/// The mode of a partial file: only its owner can read it until it is complete.
const PARTIAL_MODE: u32 = 0o600;

/// The mode of a finished file, before the umask.
const FILE_MODE: u32 = 0o644;

/// The time between two attempts to get the lock.
const LOCK_INTERVAL: Duration = Duration::from_millis(5);

/// How often the file is synced: a power cut loses at most the bytes of this period.
const SYNC_INTERVAL: Duration = Duration::from_secs(3);

/// The highest number appended to a name that is already used.
const MAX_NAMES: u32 = 999;

/// The version of a remote file, used to recognise that a later response continues the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct RemoteVersion {
    /// Hash of the link without its query, which is a changing signature.
    #[serde(rename = "link")]
    pub(super) link_hash: String,
    /// Strong entity tag.
    pub(super) etag: Option<String>,
    /// Set only if it is old enough to differ from the next change.
    #[serde(rename = "modified")]
    pub(super) last_modified: Option<String>,
    #[serde(rename = "total")]
    pub(super) total_len: Option<u64>,
}

impl RemoteVersion {
    /// Returns the value for `If-Range`; without it, a download cannot be resumed.
    pub(super) fn validator(&self) -> Option<&str> {
        self.etag.as_deref().or(self.last_modified.as_deref())
    }
}

/// The content of a metadata file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct PartialMeta {
    /// Task, number, and a hash of the complete link.
    #[serde(rename = "owner")]
    result: (String, usize, u64),
    #[serde(flatten)]
    version: RemoteVersion,
    /// Number of bytes received; in the file, of those synced.
    #[serde(rename = "synced")]
    offset: u64,
    /// Checksum of these bytes.
    #[serde(rename = "sum")]
    checksum: u64,
}

/// A locked file with the first bytes of a result. Blocking.
#[derive(Debug)]
pub(super) struct PartialFile {
    file: File,
    path: PathBuf,
    folder: PathBuf,
    stem: String,
    meta: PartialMeta,
    /// Whether the bytes are known to belong to that result.
    is_result_confirmed: bool,
}

/// A partial file that is used on the blocking pool.
#[derive(Debug, Clone)]
pub(super) struct SharedPartialFile(Arc<Mutex<PartialFile>>);

impl SharedPartialFile {
    pub(super) fn new(partial: PartialFile) -> Self {
        Self(Arc::new(Mutex::new(partial)))
    }

    /// Locks it for a moment; not while work on the blocking pool is running.
    pub(super) async fn lock(&self) -> MutexGuard<'_, PartialFile> {
        self.0.lock().await
    }

    /// Starts blocking work, and returns a future for its result.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut PartialFile) -> Result<T, DownloadError> + Send + 'static,
    ) -> impl Future<Output = Result<T, DownloadError>> {
        let shared = self.clone();
        run_blocking(move || work(&mut shared.0.blocking_lock()))
    }
}

/// Starts work on the blocking pool, and returns a future for its result.
pub(super) fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, DownloadError> + Send + 'static,
) -> impl Future<Output = Result<T, DownloadError>> {
    let result = task::spawn_blocking(work);
    async { result.await.unwrap_or(Err(DownloadError::Panicked)) }
}

impl PartialFile {
    /// Opens or creates the partial file of a request; creates the folder if necessary.
    ///
    /// Waits a little while it is locked, because a download just stopped still writes its last
    /// chunks. Fails with [`DownloadError::Busy`] while another process writes it.
    pub(super) fn open(
        request: &DownloadRequest,
        lock_timeout: Duration,
    ) -> Result<Self, DownloadError> {
        let folder = &request.folder;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(folder)
            .map_err(|error| file_error("created", folder, &error))?;
        let (stem, tag) = (
            file_names::file_stem(request),
            file_names::file_tag(request),
        );
        let path = find_existing(folder, &tag)
            .unwrap_or_else(|| folder.join(format!("{stem}.{tag}.part")));
        let file = open_private(&path).map_err(|error| file_error("written", &path, &error))?;
        lock_exclusively(&file, &path, lock_timeout)?;
        let link_hash = file_names::hash(&[request.url.as_str().as_bytes()]);
        let mut partial = Self {
            file,
            path,
            folder: folder.clone(),
            stem,
            meta: PartialMeta {
                result: (request.task.as_str().to_owned(), request.number, link_hash),
                version: RemoteVersion::default(),
                offset: 0,
                checksum: file_names::EMPTY_HASH,
            },
            is_result_confirmed: false,
        };
        let loaded = partial.load_meta();
        loaded.map_err(|error| partial.write_error(&error))?;
        Ok(partial)
    }

    /// Returns the number of bytes received.
    pub(super) const fn offset(&self) -> u64 {
        self.meta.offset
    }

    pub(super) const fn remote_version(&self) -> &RemoteVersion {
        &self.meta.version
    }

    /// Reports whether every byte of the requested result has been received.
    pub(super) fn is_complete(&self) -> bool {
        let PartialMeta {
            version, offset, ..
        } = &self.meta;
        self.is_result_confirmed && *offset > 0 && version.total_len == Some(*offset)
    }

    /// Marks the bytes as belonging to the requested result; the server has confirmed it.
    pub(super) const fn confirm_result(&mut self) {
        self.is_result_confirmed = true;
    }

    /// Truncates the file and starts a new download.
    pub(super) fn restart(&mut self, version: RemoteVersion) -> Result<(), DownloadError> {
        self.meta.version = version;
        self.meta.offset = 0;
        self.meta.checksum = file_names::EMPTY_HASH;
        self.is_result_confirmed = true;
        let truncated = self.truncate().and_then(|()| self.save_meta());
        truncated.map_err(|error| self.write_error(&error))
    }

    /// Writes chunks as they arrive; syncs at the end, also after an error.
    pub(super) fn write_chunks(
        &mut self,
        mut received: mpsc::Receiver<Bytes>,
    ) -> Result<(), DownloadError> {
        let mut synced_at = Instant::now();
        let mut result = Ok(());
        while result.is_ok()
            && let Some(chunk) = received.blocking_recv()
        {
            result = self.append(&chunk);
            if result.is_ok() && synced_at.elapsed() >= SYNC_INTERVAL {
                result = self.sync();
                synced_at = Instant::now();
            }
        }
        let synced = self.sync();
        let result = result.and(synced);
        result.map_err(|error| self.write_error(&error))
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.meta.offset += bytes.len() as u64;
        self.meta.checksum = file_names::extend_hash(self.meta.checksum, bytes);
        Ok(())
    }

    /// Syncs the file to disk and records its length in the metadata.
    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()?;
        self.save_meta()
    }

    /// Returns the largest file length allowed by the limits and the free disk space.
    pub(super) fn max_len(&self, limits: &DownloadLimits) -> Result<u64, DownloadError> {
        let disk = rustix::fs::statvfs(&self.folder);
        let disk = disk.map_err(|error| self.write_error(&error.into()))?;
        let max_len = disk
            .f_bavail
            .saturating_mul(disk.f_frsize)
            .saturating_sub(limits.min_free_space)
            .saturating_add(self.offset());
        Ok(max_len.min(limits.max_file_len))
    }

    /// Verifies that the file is a complete video, syncs it, and renames it without replacing an
    /// existing file.
    pub(super) fn finish(&mut self, length: LengthCertainty) -> Result<PathBuf, DownloadError> {
        let total_len = self.remote_version().total_len;
        if total_len.is_some_and(|total| total != self.offset()) {
            let reason = "its length differs from the one the server sent";
            return Err(DownloadError::Incomplete(CleanText::line(reason, 200)));
        }
        let format = match video_check::verify(&mut self.file, length) {
            Ok(format) => format,
            Err(error) => {
                // All bytes were received and they are wrong: there is nothing to resume.
                self.restart(RemoteVersion::default())?;
                return Err(error);
            }
        };
        let synced = self.set_final_mode().and_then(|()| self.file.sync_all());
        synced.map_err(|error| self.write_error(&error))?;
        let path = self.rename_to_free_name(format.extension())?;
        self.remove_meta();
        // The file is complete; only its name may be lost in a power cut.
        if let Err(error) = File::open(&self.folder).and_then(|folder| folder.sync_all()) {
            tracing::warn!(%error, path = %path.display(), "cannot sync the folder");
        }
        Ok(path)
    }

    /// Renames the file to its stem, with a number if another file has that name.
    fn rename_to_free_name(&self, extension: &str) -> Result<PathBuf, DownloadError> {
        let mut number = 1;
        loop {
            let suffix = match number {
                1 => String::new(),
                number => format!("-{number}"),
            };
            let path = self
                .folder
                .join(format!("{}{suffix}.{extension}", self.stem));
            let error = match rename_without_replacing(&self.path, &path) {
                Ok(()) => return Ok(path),
                Err(error) => error,
            };
            let exists = error.kind() == io::ErrorKind::AlreadyExists;
            // Saved before without being recorded, or by another program meanwhile.
            if exists && self.has_content_of(&path) {
                remove_if_present(&self.path);
                return Ok(path);
            }
            if !exists || number == MAX_NAMES {
                return Err(file_error("written", &path, &error));
            }
            number += 1;
        }
    }

    /// Compares the checksum of a regular file with that of the received bytes.
    fn has_content_of(&self, other: &Path) -> bool {
        let checksum = || {
            let file = open_read_only(other)?;
            if file.metadata()?.len() == self.offset() {
                checksum(file)
            } else {
                Err(io::ErrorKind::InvalidData.into())
            }
        };
        checksum().is_ok_and(|sum| sum == (self.offset(), self.meta.checksum))
    }

    /// Deletes the partial file and its metadata. The file goes last: without it, a later download
    /// would not find the rest.
    pub(super) fn discard(&self) {
        self.remove_meta();
        remove_if_present(&self.path);
    }

    /// Deletes the metadata, and the new version that a process killed in [`Self::save_meta`] left.
    fn remove_meta(&self) {
        remove_if_present(&self.meta_path());
        remove_if_present(&self.new_meta_path());
    }

    /// Sets the mode of a new file, found by creating one: reading the umask would change it.
    fn set_final_mode(&self) -> io::Result<()> {
        let probe = self.new_meta_path();
        let mode = create_replacing(&probe, FILE_MODE)?.metadata()?.mode() & 0o777;
        remove_if_present(&probe);
        if let Err(error) = self.file.set_permissions(fs::Permissions::from_mode(mode)) {
            // Some file systems have no modes.
            tracing::debug!(%error, "cannot set the mode of a saved file");
        }
        Ok(())
    }

    fn meta_path(&self) -> PathBuf {
        self.path.with_extension("meta")
    }

    /// Returns the path at which new metadata is written, before it replaces the old.
    fn new_meta_path(&self) -> PathBuf {
        self.path.with_extension("meta.new")
    }

    /// Loads the metadata, and truncates the file to the bytes that its checksum covers.
    fn load_meta(&mut self) -> io::Result<()> {
        if let Some(meta) = read_meta(&self.meta_path())
            && self.matches_meta(&meta)
        {
            self.is_result_confirmed = meta.result == self.meta.result;
            let result = self.meta.result.clone();
            self.meta = PartialMeta { result, ..meta };
        }
        self.truncate()
    }

    /// Reports whether the metadata belongs to the same result and to the bytes of this file.
    fn matches_meta(&mut self, meta: &PartialMeta) -> bool {
        let ((task, number, _), (own_task, own_number, _)) = (&meta.result, &self.meta.result);
        let sum = self.file.rewind();
        let sum = sum.and_then(|()| checksum((&self.file).take(meta.offset)));
        (task, number) == (own_task, own_number)
            && sum.is_ok_and(|sum| sum == (meta.offset, meta.checksum))
    }

    /// Truncates the file to the bytes that count, and continues there.
    fn truncate(&mut self) -> io::Result<()> {
        self.file.set_len(self.meta.offset)?;
        self.file.seek(SeekFrom::Start(self.meta.offset)).map(drop)
    }

    /// Writes the metadata atomically.
    fn save_meta(&self) -> io::Result<()> {
        let new = self.new_meta_path();
        let written = create_replacing(&new, PARTIAL_MODE)
            .and_then(|mut file| file.write_all(&serde_json::to_vec(&self.meta)?))
            .and_then(|()| fs::rename(&new, self.meta_path()));
        written.inspect_err(|_| remove_if_present(&new))
    }

    fn write_error(&self, error: &io::Error) -> DownloadError {
        file_error("written", &self.path, error)
    }
}

/// Reports whether a process is writing the partial file of a request. Changes nothing; always
/// `false` on a file system without locks.
pub(super) fn is_locked(request: &DownloadRequest) -> bool {
    let path = find_existing(&request.folder, &file_names::file_tag(request));
    let file = path.and_then(|path| open_read_only(&path).ok());
    // A shared lock, so that two readers are not taken for a writer.
    file.is_some_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

fn open_read_only(path: &Path) -> io::Result<File> {
    regular_file::open(path, OpenOptions::new().read(true), Symlinks::Refuse)
}

/// Finds the partial file of an earlier run, which may have used another title.
fn find_existing(folder: &Path, tag: &str) -> Option<PathBuf> {
    let suffix = format!(".{tag}.part");
    let entries = fs::read_dir(folder).ok()?.flatten();
    let mut found = entries.filter(|entry| {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        is_file && entry.file_name().to_string_lossy().ends_with(&suffix)
    });
    found.next().map(|entry| entry.path())
}

/// Reads a metadata file. A damaged one counts as missing; an invalid validator is dropped.
fn read_meta(path: &Path) -> Option<PartialMeta> {
    let bytes = read_small(path, MAX_META_LEN, Symlinks::Refuse).ok()?;
    let mut meta: PartialMeta = serde_json::from_slice(&bytes).ok()?;
    let version = &mut meta.version;
    for validator in [&mut version.etag, &mut version.last_modified] {
        *validator = validator
            .take()
            .filter(|text| HeaderValue::from_str(text).is_ok());
    }
    let is_valid = version.total_len.is_none_or(|total| meta.offset <= total);
    is_valid.then_some(meta)
}

/// Returns the number of bytes and their checksum.
fn checksum(from: impl io::Read) -> io::Result<(u64, u64)> {
    let mut reader = BufReader::with_capacity(1 << 16, from);
    let (mut length, mut sum) = (0, file_names::EMPTY_HASH);
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok((length, sum));
        }
        sum = file_names::extend_hash(sum, bytes);
        let read = bytes.len();
        length += read as u64;
        reader.consume(read);
    }
}

/// Opens or creates a partial file for reading and writing. Does not follow symbolic links.
///
/// A file with another owner, or with several hard links, is replaced instead.
fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options.create(true).truncate(false).mode(PARTIAL_MODE);
    let file = regular_file::open(path, &mut options, Symlinks::Refuse)?;
    let meta = file.metadata()?;
    let is_ours = meta.uid() == rustix::process::geteuid().as_raw();
    if meta.nlink() > 1 || !is_ours {
        return create_replacing(path, PARTIAL_MODE);
    }
    if let Err(error) = file.set_permissions(fs::Permissions::from_mode(PARTIAL_MODE)) {
        // Some file systems have no modes.
        tracing::debug!(%error, "cannot make a partial file private");
    }
    Ok(file)
}

/// Creates a file in place of an existing one.
fn create_replacing(path: &Path, mode: u32) -> io::Result<File> {
    remove_if_present(path);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(mode);
    options.open(path)
}

/// Locks a partial file that was just opened, within `timeout`.
///
/// Fails with [`DownloadError::Busy`] while another process writes it, and if another process
/// finished and renamed it between our open and the lock.
fn lock_exclusively(file: &File, path: &Path, timeout: Duration) -> Result<(), DownloadError> {
    let deadline = Instant::now() + timeout;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            // `is_locked` also holds it for a moment.
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                thread::park_timeout(LOCK_INTERVAL);
            }
            Err(TryLockError::WouldBlock) => return Err(DownloadError::Busy),
            // A file system without locks: programs are not protected from each other.
            Err(TryLockError::Error(error)) => {
                tracing::debug!(%error, "no file locks here");
                break;
            }
        }
    }
    if is_same_file(file, path) {
        Ok(())
    } else {
        Err(DownloadError::Busy)
    }
}

/// Reports whether the path still names the open file.
fn is_same_file(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), fs::symlink_metadata(path)) else {
        return false;
    };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

fn remove_if_present(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::debug!(%error, path = %path.display(), "cannot remove a file");
    }
}

/// Converts a file system error. `action` is a past participle, such as "written".
fn file_error(action: &str, path: &Path, error: &io::Error) -> DownloadError {
    if matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    ) {
        return DownloadError::DiskFull;
    }
    let text = format!("{} cannot be {action}: {error}", path.display());
    DownloadError::FolderUnwritable(CleanText::line(&text, 600))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::domain::{link::VideoUrl, task::TaskId};

    const VIDEO: &[u8] = include_bytes!("../../../assets/demo/lamp-input.mp4");

    const TIMEOUT: Duration = Duration::from_secs(10);

    fn request(folder: &Path) -> DownloadRequest {
        DownloadRequest {
            task: TaskId::parse("774d9a7d").unwrap(),
            number: 1,
            result_count: 1,
            url: VideoUrl::parse("https://ex.com/v.mp4").unwrap(),
            folder: folder.to_owned(),
            title: None,
        }
    }

    fn save_video(folder: &Path) -> PathBuf {
        let mut partial = PartialFile::open(&request(folder), TIMEOUT).unwrap();
        partial.restart(RemoteVersion::default()).unwrap();
        partial.append(VIDEO).unwrap();
        partial.finish(LengthCertainty::Known).unwrap()
    }

    #[test]
    fn a_partial_file_finished_meanwhile_is_not_reopened() {
        let folder = tempfile::tempdir().unwrap();
        let partial = PartialFile::open(&request(folder.path()), TIMEOUT).unwrap();
        let path = partial.path.clone();
        // Another program opens it and is then paused.
        let late = open_private(&path).unwrap();
        drop(partial);
        let done = save_video(folder.path());

        let result = lock_exclusively(&late, &path, TIMEOUT);

        assert!(matches!(result, Err(DownloadError::Busy)), "{result:?}");
        assert_eq!(fs::read(done).unwrap(), VIDEO);
    }

    #[test]
    fn a_partial_file_is_locked_while_written() {
        let folder = tempfile::tempdir().unwrap();
        let request = request(folder.path());
        assert!(!is_locked(&request), "no partial file");
        let mut partial = PartialFile::open(&request, TIMEOUT).unwrap();
        partial.restart(RemoteVersion::default()).unwrap();
        partial.append(VIDEO).unwrap();

        assert!(is_locked(&request));
        let another = DownloadRequest {
            number: 2,
            ..request.clone()
        };
        assert!(!is_locked(&another));

        let path = partial.path.clone();
        drop(partial);
        assert!(!is_locked(&request), "interrupted");
        assert_eq!(fs::read(path).unwrap(), VIDEO, "and unchanged");
    }

    #[test]
    fn checking_a_lock_does_not_block_writers() {
        let folder = tempfile::tempdir().unwrap();
        let request = request(folder.path());
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    is_locked(&request);
                }
            });
            let opened: Vec<_> = (0..500)
                .map(|_| PartialFile::open(&request, TIMEOUT).err())
                .collect();
            is_over.store(true, Ordering::Relaxed);
            let failed: Vec<_> = opened.into_iter().flatten().collect();
            assert_eq!(failed, []);
        });
    }

    #[test]
    fn saving_the_same_video_again_keeps_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let first = save_video(folder.path());

        let second = save_video(folder.path());

        assert_eq!(second, first);
        let names = fs::read_dir(folder.path()).unwrap();
        assert_eq!(names.count(), 1, "no second file, no partial file");
        assert_eq!(fs::read(first).unwrap(), VIDEO);
    }
}
