//! The part beside the target: what has come so far, what of it is surely on the disk, and how it
//! becomes the file.
//!
//! Knows no network. Blocking throughout: to be called off the loop.
//!
//! A part is `<name>.<mark>.part`. Its note, `<name>.<mark>.meta`, names the result and the file it
//! is the beginning of, and holds a checksum of the bytes that are surely on the disk. The part is
//! locked while it is written, so two programs never write the same one. The checksum shows changes
//! made between two runs, but not those made together with the note or while the part is written.

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

/// The longest note read, in bytes.
const MAX_META_LEN: u64 = 16 * 1024;

/// The mode of a part: readable by its owner alone until it is whole.
const PARTIAL_MODE: u32 = 0o600;

/// The mode of a finished file, before the umask.
const FILE_MODE: u32 = 0o644;

/// How often a part's lock is tried for again, a millisecond apart.
const MAX_LOCK_ATTEMPTS: u32 = 50;

/// How many names with a number behind them are tried when the first is taken.
const MAX_NAMES: u32 = 999;

/// What a server told of the file it sends: by this a later answer is known to be about the same
/// bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct RemoteVersion {
    /// A hash of the link without its query, which is a signature that changes.
    pub(super) link_hash: String,
    /// The strong entity tag.
    pub(super) etag: Option<String>,
    /// The time of the last change, where it is old enough to be told from the next.
    pub(super) last_modified: Option<String>,
    /// The whole length.
    pub(super) total_len: Option<u64>,
}

impl RemoteVersion {
    /// Returns what to send as `If-Range`; without it nothing may be resumed.
    pub(super) fn validator(&self) -> Option<&str> {
        self.etag.as_deref().or(self.last_modified.as_deref())
    }
}

/// The beginning of a file on the disk, locked for us.
#[derive(Debug)]
pub(super) struct PartialFile {
    file: File,
    path: PathBuf,
    meta_path: PathBuf,
    folder: PathBuf,
    stem: String,
    /// The result this is a part of: task, number, and a hash of the whole link.
    result_key: Value,
    remote_version: RemoteVersion,
    /// Whether the bytes here are known to belong to that result.
    is_result_confirmed: bool,
    /// How many bytes of the file are here.
    offset: u64,
    /// The checksum of those bytes.
    checksum: u64,
}

impl PartialFile {
    /// Opens the part of an order's file, or begins one; makes the folder where it is not there.
    ///
    /// Fails with [`SaveError::Busy`] while somebody else writes it.
    pub(super) fn open(order: &DownloadRequest) -> Result<Self, DownloadError> {
        let folder = &order.folder;
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(folder)
            .map_err(|error| file_error("made", folder, &error))?;
        let (stem, mark) = (file_names::file_stem(order), file_names::file_tag(order));
        let path = find_existing(folder, &mark)
            .unwrap_or_else(|| folder.join(format!("{stem}.{mark}.part")));
        let note = path.with_extension("meta");
        let file = open_private(&path).map_err(|error| file_error("written", &path, &error))?;
        let file = lock_exclusively(file, &path)?;
        let mut part = Self {
            file,
            path,
            meta_path: note,
            folder: folder.clone(),
            stem,
            result_key: json!([
                order.task.as_str(),
                order.number,
                file_names::hash(&[order.url.as_str().as_bytes()]),
            ]),
            remote_version: RemoteVersion::default(),
            is_result_confirmed: false,
            offset: 0,
            checksum: file_names::EMPTY_HASH,
        };
        part.load_meta().map_err(|error| part.write_error(&error))?;
        Ok(part)
    }

    /// Returns how many bytes are here.
    pub(super) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns what the bytes here are the beginning of.
    pub(super) const fn remote_version(&self) -> &RemoteVersion {
        &self.remote_version
    }

    /// Reports whether every byte of the wanted result is here.
    pub(super) fn is_complete(&self) -> bool {
        self.is_result_confirmed
            && self.offset > 0
            && self.remote_version.total_len == Some(self.offset)
    }

    /// Accepts the bytes here as the wanted result's; the server has shown that it is the same
    /// file.
    pub(super) const fn confirm_result(&mut self) {
        self.is_result_confirmed = true;
    }

    /// Reports whether the rest can be asked for alone: the same link, and something to tell a
    /// changed file by.
    pub(super) fn is_resumable(&self, link: &str) -> bool {
        self.offset > 0
            && self.remote_version.link_hash == link
            && self.remote_version.validator().is_some()
    }

    /// Throws away what is here and begins the file anew.
    pub(super) fn restart(&mut self, source: RemoteVersion) -> Result<(), DownloadError> {
        self.remote_version = source;
        self.is_result_confirmed = true;
        self.offset = 0;
        self.checksum = file_names::EMPTY_HASH;
        let emptied = self
            .file
            .set_len(0)
            .and_then(|()| self.file.seek(SeekFrom::Start(0)));
        emptied.map_err(|error| self.write_error(&error))?;
        self.save_meta()
    }

    /// Adds bytes at the end.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), DownloadError> {
        self.file
            .write_all(bytes)
            .map_err(|error| self.write_error(&error))?;
        self.offset += bytes.len() as u64;
        self.checksum = file_names::extend_hash(self.checksum, bytes);
        Ok(())
    }

    /// Flushes to the disk and notes how much is surely there.
    pub(super) fn sync(&mut self) -> Result<(), DownloadError> {
        self.file
            .sync_data()
            .map_err(|error| self.write_error(&error))?;
        self.save_meta()
    }

    /// Returns how many bytes the file may have at most: a limit of ours, and what the disk has
    /// room for.
    pub(super) fn max_len(&self, limits: &DownloadLimits) -> Result<u64, DownloadError> {
        let room = free(&self.folder).map_err(|error| self.write_error(&error))?;
        let room = room
            .saturating_sub(limits.min_free_space)
            .saturating_add(self.offset);
        Ok(room.min(limits.max_file_len))
    }

    /// Verifies that all is here and a video, flushes it, and gives it its final name, in the place
    /// of nothing.
    pub(super) fn finish(
        mut self,
        length: LengthCertainty,
    ) -> (Self, Result<PathBuf, DownloadError>) {
        let result = self.verify_and_rename(length);
        (self, result)
    }

    /// Throws away what is here.
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
                "its length is not what the server told",
                200,
            )));
        }
        let kind = match video_check::verify(&mut self.file, length) {
            Ok(kind) => kind,
            Err(error) => {
                // Every byte is here and they are wrong: there is nothing to go on from.
                self.restart(RemoteVersion::default())?;
                return Err(error);
            }
        };
        let mode = self
            .final_mode()
            .map_err(|error| self.write_error(&error))?;
        if let Err(error) = self.file.set_permissions(fs::Permissions::from_mode(mode)) {
            // Some file systems have no modes.
            tracing::debug!(%error, "a saved file stays private");
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
            let name = format!("{}{suffix}.{}", self.stem, kind.extension());
            let path = self.folder.join(name);
            match rename_without_replacing(&self.path, &path) {
                Ok(()) => break path,
                // It was saved before, and that was not written down, or another program did it
                // meanwhile.
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
        // The file is there and whole; only whether its name outlives a power cut is not known.
        if let Err(error) = sync_folder(&self.folder) {
            tracing::warn!(%error, path = %path.display(), "a folder cannot be flushed");
        }
        Ok(path)
    }

    /// Takes the part away: nothing of it will be needed.
    pub(super) fn discard(self) {
        remove_if_present(&self.path);
        remove_if_present(&self.meta_path);
    }

    /// Returns the mode a new file gets here. A probe, because reading the umask means changing it.
    fn final_mode(&self) -> io::Result<u32> {
        let probe = self.meta_path.with_extension("meta.new");
        let file = create_replacing(&probe, FILE_MODE)?;
        let mode = file.metadata()?.mode() & 0o777;
        remove_if_present(&probe);
        Ok(mode)
    }

    /// Reads the note, and drops the bytes it does not vouch for.
    fn load_meta(&mut self) -> io::Result<()> {
        let note = read_meta(&self.meta_path).filter(|note| self.matches_meta(note));
        if let Some(note) = note {
            self.is_result_confirmed = note.result_key == self.result_key;
            self.remote_version = note.remote_version;
            self.offset = note.synced_len;
            self.checksum = note.checksum;
        }
        self.file.set_len(self.offset)?;
        self.file.seek(SeekFrom::Start(self.offset))?;
        Ok(())
    }

    /// Reports whether the note is about the same result, and the part begins with the noted bytes.
    fn matches_meta(&mut self, note: &PartialMeta) -> bool {
        let is_same = |at| note.result_key.get(at) == self.result_key.get(at);
        if !(is_same(0) && is_same(1)) {
            return false;
        }
        let sum = self
            .file
            .rewind()
            .and_then(|()| checksum((&self.file).take(note.synced_len)));
        sum.is_ok_and(|sum| sum == (note.synced_len, note.checksum))
    }

    /// Writes the note whole or not at all.
    fn save_meta(&self) -> Result<(), DownloadError> {
        let RemoteVersion {
            link_hash: link,
            etag,
            last_modified: modified,
            total_len: total,
        } = &self.remote_version;
        let note = json!({
            "owner": self.result_key, "link": link, "etag": etag, "modified": modified, "total": total,
            "synced": self.offset, "sum": self.checksum,
        });
        let new = self.meta_path.with_extension("meta.new");
        let written = create_replacing(&new, PARTIAL_MODE)
            .and_then(|mut file| file.write_all(note.to_string().as_bytes()));
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

/// Reports whether somebody writes the part of an order's file. Leaves it as it is; where there are
/// no locks, nobody does.
pub(super) fn is_locked(order: &DownloadRequest) -> bool {
    let path = find_existing(&order.folder, &file_names::file_tag(order));
    let file = path.and_then(|path| open_read_only(&path).ok());
    // Shared, so that two that look are not taken for one that writes.
    file.is_some_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Opens a part or a finished file without changing it.
fn open_read_only(path: &Path) -> io::Result<File> {
    regular_file::open(path, OpenOptions::new().read(true), Symlinks::Refuse)
}

/// Returns the part an earlier run left under another title.
fn find_existing(folder: &Path, mark: &str) -> Option<PathBuf> {
    let ending = format!(".{mark}.part");
    let entries = fs::read_dir(folder).ok()?.flatten();
    let mut found = entries.filter(|entry| {
        let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
        is_file && entry.file_name().to_string_lossy().ends_with(&ending)
    });
    found.next().map(|entry| entry.path())
}

/// The content of a note.
struct PartialMeta {
    result_key: Value,
    remote_version: RemoteVersion,
    synced_len: u64,
    checksum: u64,
}

/// Reads a note; a damaged one counts as missing, and a validator that cannot be sent is dropped.
fn read_meta(path: &Path) -> Option<PartialMeta> {
    let bytes = read_small(path, MAX_META_LEN, Symlinks::Refuse).ok()?;
    let note: Value = serde_json::from_slice(&bytes).ok()?;
    let text = |name: &str| note.get(name)?.as_str().map(str::to_owned);
    let header = |name| text(name).filter(|text| HeaderValue::from_str(text).is_ok());
    let number = |name: &str| note.get(name)?.as_u64();
    let source = RemoteVersion {
        link_hash: text("link")?,
        etag: header("etag"),
        last_modified: header("modified"),
        total_len: number("total"),
    };
    let synced = number("synced")?;
    let fits = source.total_len.is_none_or(|total| synced <= total);
    fits.then_some(PartialMeta {
        result_key: note.get("owner")?.clone(),
        remote_version: source,
        synced_len: synced,
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

/// Opens the part for reading and writing, or creates it; symbolic links are not followed.
///
/// A file with another owner or a second name (a hard link) is not written to but replaced.
fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    options.create(true).truncate(false).mode(PARTIAL_MODE);
    let file = regular_file::open(path, &mut options, Symlinks::Refuse)?;
    let found = file.metadata()?;
    let is_ours = found.uid() == rustix::process::geteuid().as_raw();
    if found.nlink() > 1 || !is_ours {
        return create_replacing(path, PARTIAL_MODE);
    }
    if let Err(error) = file.set_permissions(fs::Permissions::from_mode(PARTIAL_MODE)) {
        // Some file systems have no modes.
        tracing::debug!(%error, "a part is not private");
    }
    Ok(file)
}

/// Creates a file, and removes whatever had its name.
fn create_replacing(path: &Path, mode: u32) -> io::Result<File> {
    remove_if_present(path);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).mode(mode);
    options.open(path)
}

/// Takes a part that was just opened for us alone.
///
/// Fails with [`SaveError::Busy`] while somebody else writes it, and where it became the finished
/// file of somebody else between the opening and the lock: what was opened is then no part any
/// more.
fn lock_exclusively(file: File, path: &Path) -> Result<File, DownloadError> {
    let mut tries = 0;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            // Who only looks has it for a moment too.
            Err(TryLockError::WouldBlock) if tries < MAX_LOCK_ATTEMPTS => {
                tries += 1;
                thread::park_timeout(Duration::from_millis(1));
            }
            Err(TryLockError::WouldBlock) => return Err(DownloadError::Busy),
            // A file system without locks: then the marks alone keep programs apart.
            Err(TryLockError::Error(error)) => {
                tracing::debug!(%error, "no lock");
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

/// Reports whether the open file is what has that name.
fn is_same_file(file: &File, path: &Path) -> bool {
    let (Ok(open), Ok(named)) = (file.metadata(), fs::symlink_metadata(path)) else {
        return false;
    };
    (open.dev(), open.ino()) == (named.dev(), named.ino())
}

/// Reports whether two files are the same, byte for byte; a link is never the same as what it leads
/// to.
fn has_same_content(one: &Path, other: &Path) -> bool {
    let length = |path| {
        let known = fs::symlink_metadata(path).ok()?;
        known.is_file().then_some(known.len())
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
        let both = left.len().min(right.len());
        if both == 0 {
            return Ok(left.len() == right.len());
        }
        if left.get(..both) != right.get(..both) {
            return Ok(false);
        }
        one.consume(both);
        other.consume(both);
    }
}

/// Makes a new name last.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Returns how many bytes the disk has room for.
fn free(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

fn remove_if_present(path: &Path) {
    if let Err(error) = fs::remove_file(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::debug!(%error, path = %path.display(), "a file that is not needed any more stays");
    }
}

/// Names an error of the file system.
fn file_error(what: &str, path: &Path, error: &io::Error) -> DownloadError {
    if matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    ) {
        return DownloadError::DiskFull;
    }
    let text = format!("{} cannot be {what}: {error}", path.display());
    DownloadError::FolderUnwritable(CleanText::line(&text, 600))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::domain::{link::VideoUrl, task::TaskId};

    /// A small film.
    const FILM: &[u8] = include_bytes!("../../../assets/demo/lamp-input.mp4");

    fn order(folder: &Path) -> DownloadRequest {
        DownloadRequest {
            task: TaskId::parse("774d9a7d").unwrap(),
            number: 1,
            result_count: 1,
            url: VideoUrl::parse("https://ex.com/v.mp4").unwrap(),
            folder: folder.to_owned(),
            title: None,
        }
    }

    /// Saves the film as far as its name.
    fn saved(folder: &Path) -> PathBuf {
        let mut part = PartialFile::open(&order(folder)).unwrap();
        part.restart(RemoteVersion::default()).unwrap();
        part.append(FILM).unwrap();
        let (_part, named) = part.finish(LengthCertainty::Known);
        named.unwrap()
    }

    #[test]
    fn a_partial_file_finished_meanwhile_is_not_reopened() {
        let folder = tempfile::tempdir().unwrap();
        let part = PartialFile::open(&order(folder.path())).unwrap();
        let path = part.path.clone();
        // Another program opens the part, and gets no further for a while.
        let late = open_private(&path).unwrap();
        drop(part);
        let done = saved(folder.path());

        let result = lock_exclusively(late, &path);

        assert!(matches!(result, Err(DownloadError::Busy)), "{result:?}");
        assert_eq!(fs::read(done).unwrap(), FILM);
    }

    #[test]
    fn a_partial_file_is_locked_while_written() {
        let folder = tempfile::tempdir().unwrap();
        let order = order(folder.path());
        assert!(!is_locked(&order), "no part");
        let mut part = PartialFile::open(&order).unwrap();
        part.restart(RemoteVersion::default()).unwrap();
        part.append(FILM).unwrap();

        assert!(is_locked(&order));
        let another = DownloadRequest {
            number: 2,
            ..order.clone()
        };
        assert!(!is_locked(&another));

        let path = part.path.clone();
        drop(part);
        assert!(!is_locked(&order), "interrupted");
        assert_eq!(fs::read(path).unwrap(), FILM, "and left as it is");
    }

    #[test]
    fn checking_a_lock_does_not_block_writers() {
        let folder = tempfile::tempdir().unwrap();
        let order = order(folder.path());
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    is_locked(&order);
                }
            });
            let opened: Vec<_> = (0..500).map(|_| PartialFile::open(&order).err()).collect();
            is_over.store(true, Ordering::Relaxed);
            let failed: Vec<_> = opened.into_iter().flatten().collect();
            assert_eq!(failed, []);
        });
    }

    #[test]
    fn saving_the_same_video_again_keeps_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let first = saved(folder.path());

        let second = saved(folder.path());

        assert_eq!(second, first);
        let names = fs::read_dir(folder.path()).unwrap();
        assert_eq!(names.count(), 1, "neither a second file nor a part");
        assert_eq!(fs::read(first).unwrap(), FILM);
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
