//! Partial files: the bytes received so far, beside the target, and the step to the final file.
//!
//! Blocking, so it must not run on the event loop.
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
    thread,
    time::Duration,
};

use reqwest::header::HeaderValue;
use serde_json::{Value, json};

use super::{
    DownloadLimits, file_names,
    rename_noreplace::rename_without_replacing,
    video_check::{self, LengthCertainty},
};
use crate::{
    adapters::regular_file::{self, Symlinks, read_small},
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

/// Attempts to get the lock, a millisecond apart.
const MAX_LOCK_ATTEMPTS: u32 = 50;

/// The highest number appended to a name that is already used.
const MAX_NAMES: u32 = 999;

/// The version of a remote file, used to recognise that a later response continues the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RemoteVersion {
    /// Hash of the link without its query, which is a changing signature.
    pub(super) link_hash: String,
    /// Strong entity tag.
    pub(super) etag: Option<String>,
    /// Set only if it is old enough to differ from the next change.
    pub(super) last_modified: Option<String>,
    pub(super) total_len: Option<u64>,
}

impl RemoteVersion {
    /// Returns the value for `If-Range`; without it, a download cannot be resumed.
    pub(super) fn validator(&self) -> Option<&str> {
        self.etag.as_deref().or(self.last_modified.as_deref())
    }
}

/// A locked file with the first bytes of a result.
#[derive(Debug)]
pub(super) struct PartialFile {
    file: File,
    path: PathBuf,
    meta_path: PathBuf,
    folder: PathBuf,
    stem: String,
    /// JSON array of task, number, and a hash of the complete link.
    result_key: Value,
    remote_version: RemoteVersion,
    /// Whether the bytes are known to belong to that result.
    is_result_confirmed: bool,
    /// Number of bytes received.
    offset: u64,
    checksum: u64,
}

impl PartialFile {
    /// Opens or creates the partial file of a request; creates the folder if necessary.
    ///
    /// Fails with [`DownloadError::Busy`] while another process writes it.
    pub(super) fn open(request: &DownloadRequest) -> Result<Self, DownloadError> {
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
        let meta_path = path.with_extension("meta");
        let file = open_private(&path).map_err(|error| file_error("written", &path, &error))?;
        let file = lock_exclusively(file, &path)?;
        let mut partial = Self {
            file,
            path,
            meta_path,
            folder: folder.clone(),
            stem,
            result_key: json!([
                request.task.as_str(),
                request.number,
                file_names::hash(&[request.url.as_str().as_bytes()]),
            ]),
            remote_version: RemoteVersion::default(),
            is_result_confirmed: false,
            offset: 0,
            checksum: file_names::EMPTY_HASH,
        };
        partial
            .load_meta()
            .map_err(|error| partial.write_error(&error))?;
        Ok(partial)
    }

    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) const fn remote_version(&self) -> &RemoteVersion {
        &self.remote_version
    }

    /// Reports whether every byte of the requested result has been received.
    pub(super) fn is_complete(&self) -> bool {
        self.is_result_confirmed
            && self.offset > 0
            && self.remote_version.total_len == Some(self.offset)
    }

    /// Marks the bytes as belonging to the requested result; the server has confirmed it.
    pub(super) const fn confirm_result(&mut self) {
        self.is_result_confirmed = true;
    }

    /// Reports whether the download can be resumed: same link, and a validator to detect changes.
    pub(super) fn is_resumable(&self, link: &str) -> bool {
        self.offset > 0
            && self.remote_version.link_hash == link
            && self.remote_version.validator().is_some()
    }

    /// Truncates the file and starts a new download.
    pub(super) fn restart(&mut self, version: RemoteVersion) -> Result<(), DownloadError> {
        self.remote_version = version;
        self.is_result_confirmed = true;
        self.offset = 0;
        self.checksum = file_names::EMPTY_HASH;
        let truncated = self
            .file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)));
        truncated.map_err(|error| self.write_error(&error))?;
        self.save_meta()
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), DownloadError> {
        self.file
            .write_all(bytes)
            .map_err(|error| self.write_error(&error))?;
        self.offset += bytes.len() as u64;
        self.checksum = file_names::extend_hash(self.checksum, bytes);
        Ok(())
    }

    /// Syncs the file to disk and records its length in the metadata.
    pub(super) fn sync(&mut self) -> Result<(), DownloadError> {
        self.file
            .sync_data()
            .map_err(|error| self.write_error(&error))?;
        self.save_meta()
    }

    /// Returns the largest file length allowed by the limits and the free disk space.
    pub(super) fn max_len(&self, limits: &DownloadLimits) -> Result<u64, DownloadError> {
        let available = free_space(&self.folder).map_err(|error| self.write_error(&error))?;
        let max_len = available
            .saturating_sub(limits.min_free_space)
            .saturating_add(self.offset);
        Ok(max_len.min(limits.max_file_len))
    }

    /// Verifies that the file is a complete video, syncs it, and renames it without replacing an
    /// existing file.
    pub(super) fn finish(
        mut self,
        length: LengthCertainty,
    ) -> (Self, Result<PathBuf, DownloadError>) {
        let result = self.verify_and_rename(length);
        (self, result)
    }

    /// Truncates the file.
    pub(super) fn reset(mut self) -> (Self, Result<(), DownloadError>) {
        let result = self.restart(RemoteVersion::default());
        (self, result)
    }

    fn verify_and_rename(&mut self, length: LengthCertainty) -> Result<PathBuf, DownloadError> {
        if self
            .remote_version
            .total_len
            .is_some_and(|total| total != self.offset)
        {
            return Err(DownloadError::Incomplete(CleanText::line(
                "its length differs from the one the server sent",
                200,
            )));
        }
        let format = match video_check::verify(&mut self.file, length) {
            Ok(format) => format,
            Err(error) => {
                // All bytes were received and they are wrong: there is nothing to resume.
                self.restart(RemoteVersion::default())?;
                return Err(error);
            }
        };
        let mode = self
            .final_mode()
            .map_err(|error| self.write_error(&error))?;
        if let Err(error) = self.file.set_permissions(fs::Permissions::from_mode(mode)) {
            // Some file systems have no modes.
            tracing::debug!(%error, "cannot set the mode of a saved file");
        }
        self.file
            .sync_all()
            .map_err(|error| self.write_error(&error))?;
        let mut number = 1;
        let path = loop {
            let suffix = match number {
                1 => String::new(),
                number => format!("-{number}"),
            };
            let name = format!("{}{suffix}.{}", self.stem, format.extension());
            let path = self.folder.join(name);
            match rename_without_replacing(&self.path, &path) {
                Ok(()) => break path,
                // Saved before without being recorded, or by another program meanwhile.
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists
                        && has_same_content(&self.path, &path) =>
                {
                    remove_if_present(&self.path);
                    break path;
                }
                Err(error)
                    if error.kind() == io::ErrorKind::AlreadyExists && number < MAX_NAMES =>
                {
                    number += 1;
                }
                Err(error) => return Err(file_error("written", &path, &error)),
            }
        };
        remove_if_present(&self.meta_path);
        // The file is complete; only its name may be lost in a power cut.
        if let Err(error) = sync_folder(&self.folder) {
            tracing::warn!(%error, path = %path.display(), "cannot sync the folder");
        }
        Ok(path)
    }

    /// Deletes the partial file and its metadata.
    pub(super) fn discard(self) {
        remove_if_present(&self.path);
        remove_if_present(&self.meta_path);
    }

    /// Returns the mode of a new file, by creating one: reading the umask would change it.
    fn final_mode(&self) -> io::Result<u32> {
        let probe = self.meta_path.with_extension("meta.new");
        let file = create_replacing(&probe, FILE_MODE)?;
        let mode = file.metadata()?.mode() & 0o777;
        remove_if_present(&probe);
        Ok(mode)
    }

    /// Loads the metadata, and truncates the file to the bytes that its checksum covers.
    fn load_meta(&mut self) -> io::Result<()> {
        let meta = read_meta(&self.meta_path).filter(|meta| self.matches_meta(meta));
        if let Some(meta) = meta {
            self.is_result_confirmed = meta.result_key == self.result_key;
            self.remote_version = meta.remote_version;
            self.offset = meta.synced_len;
            self.checksum = meta.checksum;
        }
        self.file.set_len(self.offset)?;
        self.file.seek(SeekFrom::Start(self.offset))?;
        Ok(())
    }

    /// Reports whether the metadata belongs to the same result and to the bytes of this file.
    fn matches_meta(&mut self, meta: &PartialMeta) -> bool {
        let is_same = |index| meta.result_key.get(index) == self.result_key.get(index);
        if !(is_same(0) && is_same(1)) {
            return false;
        }
        let sum = self
            .file
            .rewind()
            .and_then(|()| checksum((&self.file).take(meta.synced_len)));
        sum.is_ok_and(|sum| sum == (meta.synced_len, meta.checksum))
    }

    /// Writes the metadata atomically.
    fn save_meta(&self) -> Result<(), DownloadError> {
        let RemoteVersion {
            link_hash,
            etag,
            last_modified,
            total_len,
        } = &self.remote_version;
        let meta = json!({
            "owner": self.result_key, "link": link_hash, "etag": etag, "modified": last_modified,
            "total": total_len, "synced": self.offset, "sum": self.checksum,
        });
        let new = self.meta_path.with_extension("meta.new");
        let written = create_replacing(&new, PARTIAL_MODE)
            .and_then(|mut file| file.write_all(meta.to_string().as_bytes()));
        written
            .and_then(|()| fs::rename(&new, &self.meta_path))
            .map_err(|error| {
                remove_if_present(&new);
                self.write_error(&error)
            })
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

/// The content of a metadata file.
struct PartialMeta {
    result_key: Value,
    remote_version: RemoteVersion,
    synced_len: u64,
    checksum: u64,
}

/// Reads a metadata file. A damaged one counts as missing; an invalid validator is dropped.
fn read_meta(path: &Path) -> Option<PartialMeta> {
    let bytes = read_small(path, MAX_META_LEN, Symlinks::Refuse).ok()?;
    let meta: Value = serde_json::from_slice(&bytes).ok()?;
    let text = |name: &str| meta.get(name)?.as_str().map(str::to_owned);
    let header = |name| text(name).filter(|text| HeaderValue::from_str(text).is_ok());
    let number = |name: &str| meta.get(name)?.as_u64();
    let remote_version = RemoteVersion {
        link_hash: text("link")?,
        etag: header("etag"),
        last_modified: header("modified"),
        total_len: number("total"),
    };
    let synced_len = number("synced")?;
    let is_valid = remote_version
        .total_len
        .is_none_or(|total| synced_len <= total);
    is_valid.then_some(PartialMeta {
        result_key: meta.get("owner")?.clone(),
        remote_version,
        synced_len,
        checksum: number("sum")?,
    })
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

/// Locks a partial file that was just opened.
///
/// Fails with [`DownloadError::Busy`] while another process writes it, and if another process
/// finished and renamed it between our open and the lock.
fn lock_exclusively(file: File, path: &Path) -> Result<File, DownloadError> {
    let mut attempts = 0;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            // `is_locked` also holds it for a moment.
            Err(TryLockError::WouldBlock) if attempts < MAX_LOCK_ATTEMPTS => {
                attempts += 1;
                thread::park_timeout(Duration::from_millis(1));
            }
            Err(TryLockError::WouldBlock) => return Err(DownloadError::Busy),
            // A file system without locks: programs are not protected from each other.
            Err(TryLockError::Error(error)) => {
                tracing::debug!(%error, "no file locks here");
                break;
            }
        }
    }
    if is_same_file(&file, path) {
        Ok(file)
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

/// Compares two regular files byte for byte; `false` for symbolic links.
fn has_same_content(one: &Path, other: &Path) -> bool {
    let length = |path| {
        let meta = fs::symlink_metadata(path).ok()?;
        meta.is_file().then_some(meta.len())
    };
    if length(one).is_none() || length(one) != length(other) {
        return false;
    }
    let (Ok(one), Ok(other)) = (open_read_only(one), open_read_only(other)) else {
        return false;
    };
    streams_are_equal(one, other).unwrap_or(false)
}

fn streams_are_equal(one: File, other: File) -> io::Result<bool> {
    let (mut one, mut other) = (BufReader::new(one), BufReader::new(other));
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let common = left.len().min(right.len());
        if common == 0 {
            return Ok(left.len() == right.len());
        }
        if left.get(..common) != right.get(..common) {
            return Ok(false);
        }
        one.consume(common);
        other.consume(common);
    }
}

/// Makes a rename in the folder durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Returns the free disk space, in bytes.
fn free_space(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
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
        let mut partial = PartialFile::open(&request(folder)).unwrap();
        partial.restart(RemoteVersion::default()).unwrap();
        partial.append(VIDEO).unwrap();
        let (_partial, result) = partial.finish(LengthCertainty::Known);
        result.unwrap()
    }

    #[test]
    fn a_partial_file_finished_meanwhile_is_not_reopened() {
        let folder = tempfile::tempdir().unwrap();
        let partial = PartialFile::open(&request(folder.path())).unwrap();
        let path = partial.path.clone();
        // Another program opens it and is then paused.
        let late = open_private(&path).unwrap();
        drop(partial);
        let done = save_video(folder.path());

        let result = lock_exclusively(late, &path);

        assert!(matches!(result, Err(DownloadError::Busy)), "{result:?}");
        assert_eq!(fs::read(done).unwrap(), VIDEO);
    }

    #[test]
    fn a_partial_file_is_locked_while_written() {
        let folder = tempfile::tempdir().unwrap();
        let request = request(folder.path());
        assert!(!is_locked(&request), "no partial file");
        let mut partial = PartialFile::open(&request).unwrap();
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
                .map(|_| PartialFile::open(&request).err())
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

    #[test]
    fn files_are_compared_byte_for_byte() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            path
        };
        let long = vec![7; 100_000];
        let mut other = long.clone();
        other.pop();
        other.push(8);
        let (a, b) = (file("a", &long), file("b", &long));

        assert!(has_same_content(&a, &b));
        assert!(!has_same_content(&a, &file("c", &other)));
        assert!(!has_same_content(&a, &file("d", b"")));
        assert!(!has_same_content(&a, &folder.path().join("gone")));
    }
}
