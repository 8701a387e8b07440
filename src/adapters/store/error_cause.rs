//! Finds the cause of a failed access to the list file by probing the file system.
//!
//! SQLite has one code for several causes: `SQLITE_BUSY` also means a file system without locks;
//! `SQLITE_CANTOPEN` another user's file, a full disk or no free descriptor; `SQLITE_IOERR` an
//! exceeded quota.

use std::{
    fs::{self, File, OpenOptions},
    io, iter, mem,
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    process,
    sync::OnceLock,
};

use rustix::{
    fs::{Access, AtFlags, CWD, accessat},
    io::Errno,
    process::{Flock, FlockType, fcntl_getlk, geteuid},
};

use super::{errors, side_files};
use crate::domain::list_change::{AccessMode, StoreError};

/// Bytes for a probe file: enough to need a disk block even where small files are stored in the
/// inode.
static PROBE_BYTES: [u8; 64 * 1024] = [1; 64 * 1024];

/// The number of bytes read of `/etc/passwd`.
const MAX_PASSWD_LEN: usize = 1024 * 1024;

/// Replaces an error by its cause in the file system, if one is found.
pub(super) fn explain(path: &Path, access: AccessMode, error: StoreError) -> StoreError {
    let is_access_error = matches!(error, StoreError::ReadOnly(_) | StoreError::Unreadable(_));
    let is_disk_error = is_access_error || matches!(error, StoreError::Disk(_));
    let is_lock_error = is_disk_error || error == StoreError::Busy;
    let access_error = || find_access_error(path).or_else(|| find_open_error(path));
    (is_access_error.then(access_error).flatten())
        .or_else(|| is_lock_error.then(|| find_lock_error(path)).flatten())
        .or_else(|| {
            is_disk_error
                .then(|| find_write_error(path, access))
                .flatten()
        })
        .unwrap_or(error)
}

/// Checks the permissions of the folders, the file and its helper files.
fn find_access_error(path: &Path) -> Option<StoreError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let ancestors: Vec<_> = folder.ancestors().collect();
    for folder in ancestors.into_iter().rev() {
        if let Err(error) = check_access(folder, Access::EXEC_OK)
            && error != Errno::NOENT
        {
            return Some(StoreError::Unreadable(describe_remedy(folder, error)));
        }
    }
    let files: Vec<_> = iter::once("")
        .chain(side_files::HELPER_SUFFIXES)
        .map(|suffix| side_files::with_suffix(path, suffix))
        .collect();
    let denied = |wanted| {
        files.iter().find_map(|file| {
            let error = check_access(file, wanted).err()?;
            (error != Errno::NOENT).then_some((file.as_path(), error))
        })
    };
    if let Some((file, error)) = denied(Access::READ_OK) {
        return Some(StoreError::Unreadable(describe_remedy(file, error)));
    }
    let in_folder = || Some((folder, check_access(folder, Access::WRITE_OK).err()?));
    let (denied_path, error) = denied(Access::WRITE_OK).or_else(in_folder)?;
    Some(StoreError::ReadOnly(describe_remedy(denied_path, error)))
}

fn check_access(path: &Path, wanted: Access) -> Result<(), Errno> {
    accessat(CWD, path, wanted, AtFlags::EACCESS)
}

/// Describes why a file or folder is not accessible, with a command that fixes it.
fn describe_remedy(path: &Path, error: Errno) -> String {
    let shown = path.display();
    if error == Errno::ROFS {
        return format!("{shown} is on a read-only disk; use a file on another disk with --store");
    }
    let own = geteuid().as_raw();
    match fs::metadata(path) {
        Ok(meta) if error == Errno::ACCESS && meta.uid() != own => format!(
            "no permission: {shown} belongs to {}; run sudo chown {} {shown}, or use another file with --store",
            user_name(meta.uid()),
            user_name(own)
        ),
        Ok(meta) if error == Errno::ACCESS && meta.mode() & 0o600 != 0o600 => {
            let mode = if meta.is_dir() { "u+rwx" } else { "u+rw" };
            format!("the mode of {shown} denies access; run chmod {mode} {shown}")
        }
        _ => format!("{shown}: {}", io::Error::from(error)),
    }
}

/// Returns the name of a local user, else the number.
fn user_name(uid: u32) -> String {
    let users = fs::read("/etc/passwd").unwrap_or_default();
    let users = String::from_utf8_lossy(users.get(..MAX_PASSWD_LEN).unwrap_or(&users));
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    name.unwrap_or_else(|| format!("user {uid}"))
}

/// Opens the file for probing, once per process. It is never closed: closing any descriptor of a
/// file drops the locks that SQLite holds on it.
fn probe_file(path: &Path) -> io::Result<Option<&'static File>> {
    static PROBE: OnceLock<File> = OnceLock::new();
    if PROBE.get().is_none() {
        let file = File::open(path)?;
        PROBE.set(file).unwrap_or_else(mem::forget);
    }
    Ok(PROBE.get())
}

/// Finds why the file cannot be opened although its mode permits it.
fn find_open_error(path: &Path) -> Option<StoreError> {
    let error = probe_file(path).err()?;
    if error.kind() == io::ErrorKind::PermissionDenied {
        let text = format!("{}: {error}", path.display());
        return Some(StoreError::Unreadable(text));
    }
    (error.kind() != io::ErrorKind::NotFound).then(|| errors::io_error(path, &error))
}

/// Detects a file system without file locks.
fn find_lock_error(path: &Path) -> Option<StoreError> {
    let file = probe_file(path).ok()??;
    match fcntl_getlk(file, &Flock::from(FlockType::ReadLock)) {
        Ok(_) | Err(Errno::INTR) => None,
        Err(error) => Some(StoreError::NoLocks(format!(
            "the disk of {} has no working file locks: {}",
            path.display(),
            io::Error::from(error)
        ))),
    }
}

/// Finds why writes fail, by writing a temporary file beside the list.
fn find_write_error(path: &Path, access: AccessMode) -> Option<StoreError> {
    if access == AccessMode::ReadOnly || !path.exists() {
        return None;
    }
    let probe = side_files::with_suffix(path, &format!(".{}.probe", process::id()));
    let write = || {
        let mut options = OpenOptions::new();
        let target = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&probe)?;
        // Written at the list's length, to reach a file size limit. The hole before it takes no
        // space.
        let wal = side_files::with_suffix(path, side_files::WAL_SUFFIX);
        let end = side_files::length(path).max(side_files::length(&wal));
        target.write_all_at(&PROBE_BYTES, end)?;
        target.sync_all()
    };
    let written = write();
    drop(fs::remove_file(&probe));
    let error = written.err()?;
    Some(errors::io_error(path, &error))
}
