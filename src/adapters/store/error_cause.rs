//! The cause of a failure of the list file. SQLite has one code for many, so the file system is
//! probed.
//!
//! `SQLITE_BUSY` also means a file system without locks; `SQLITE_CANTOPEN` another user's file, a
//! full disk or no free descriptor; `SQLITE_IOERR` a used-up quota.

use std::{
    fs::{self, File, OpenOptions},
    io, mem,
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process,
    sync::OnceLock,
};

use rustix::{
    fs::{AtFlags, CWD, accessat},
    io::Errno,
    process::{Flock, FlockType, fcntl_getlk, geteuid},
};

use super::file;
use crate::domain::list_change::{AccessMode, StoreError};

/// Large enough to need a block of its own, even where small files are stored in the inode.
static PROBE_BYTES: [u8; 64 * 1024] = [1; 64 * 1024];

/// The largest `/etc/passwd` that is read, in bytes.
const MAX_PASSWD_LEN: usize = 1024 * 1024;

/// Replaces an error by its cause if the file system shows one.
pub(super) fn explain(path: &Path, access: AccessMode, error: StoreError) -> StoreError {
    let cause = match &error {
        StoreError::Busy => find_lock_error(path),
        StoreError::ReadOnly(_) | StoreError::Unreadable(_) => find_access_error(path)
            .or_else(|| find_open_error(path))
            .or_else(|| find_lock_error(path))
            .or_else(|| find_write_error(path, access)),
        StoreError::Disk(_) => find_lock_error(path).or_else(|| find_write_error(path, access)),
        StoreError::Full
        | StoreError::Quota
        | StoreError::Missing(_)
        | StoreError::NoLocks(_)
        | StoreError::NoSharedMemory
        | StoreError::Damaged(_)
        | StoreError::NewerVersion { .. }
        | StoreError::Other(_) => None,
    };
    cause.unwrap_or(error)
}

/// Finds what denies access to the file, its helper files or its folder.
fn find_access_error(path: &Path) -> Option<StoreError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let ancestors: Vec<_> = folder.ancestors().collect();
    for folder in ancestors.into_iter().rev() {
        if let Err(error) = check_access(folder, rustix::fs::Access::EXEC_OK)
            && error != Errno::NOENT
        {
            return Some(StoreError::Unreadable(describe_remedy(folder, error)));
        }
    }
    let beside = file::HELPER_SUFFIXES.map(|suffix| file::with_suffix(path, suffix));
    let files: Vec<_> = [path.to_owned()].into_iter().chain(beside).collect();
    let denied = |wanted| {
        let denied = |file: &PathBuf| Some((file.clone(), check_access(file, wanted).err()?));
        let mut faults = files.iter().filter_map(denied);
        faults.find(|(_, error)| *error != Errno::NOENT)
    };
    if let Some((file, error)) = denied(rustix::fs::Access::READ_OK) {
        return Some(StoreError::Unreadable(describe_remedy(&file, error)));
    }
    let in_folder = || {
        Some((
            folder.to_owned(),
            check_access(folder, rustix::fs::Access::WRITE_OK).err()?,
        ))
    };
    let (place, error) = denied(rustix::fs::Access::WRITE_OK).or_else(in_folder)?;
    Some(StoreError::ReadOnly(describe_remedy(&place, error)))
}

fn check_access(path: &Path, wanted: rustix::fs::Access) -> Result<(), Errno> {
    accessat(CWD, path, wanted, AtFlags::EACCESS)
}

/// Describes why a file or folder is not accessible, and the way to change that.
fn describe_remedy(path: &Path, error: Errno) -> String {
    let shown = path.display();
    if error == Errno::ROFS {
        return format!("{shown} is on a read-only disk; name a file on another one with --store");
    }
    let own = geteuid().as_raw();
    match fs::metadata(path) {
        Ok(meta) if error == Errno::ACCESS && meta.uid() != own => format!(
            "{shown} belongs to {}; run sudo chown {} {shown}, or name another file with --store",
            user_name(meta.uid()),
            user_name(own)
        ),
        Ok(meta) if error == Errno::ACCESS && meta.mode() & 0o600 != 0o600 => {
            let mode = if meta.is_dir() { "u+rwx" } else { "u+rw" };
            format!("the mode of {shown} forbids it; run chmod {mode} {shown}")
        }
        _ => format!("{shown}: {}", io::Error::from(error)),
    }
}

/// Returns the name of a user of this machine, else the number.
fn user_name(uid: u32) -> String {
    let users = fs::read("/etc/passwd").unwrap_or_default();
    let users = String::from_utf8_lossy(users.get(..MAX_PASSWD_LEN).unwrap_or(&users));
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("user {uid}"))
}

/// Opens the file for probing, once per process.
fn probe_file(path: &Path) -> io::Result<Option<&'static File>> {
    /// Never closed: closing any descriptor of a file drops the locks SQLite holds on it.
    static PROBE: OnceLock<File> = OnceLock::new();
    if PROBE.get().is_none() {
        let file = File::open(path)?;
        PROBE.set(file).unwrap_or_else(mem::forget);
    }
    Ok(PROBE.get())
}

/// Finds why the file cannot be opened though its mode allows it.
fn find_open_error(path: &Path) -> Option<StoreError> {
    let error = probe_file(path).err()?;
    if error.kind() == io::ErrorKind::PermissionDenied {
        let text = format!("{}: {error}", path.display());
        return Some(StoreError::Unreadable(text));
    }
    (error.kind() != io::ErrorKind::NotFound).then(|| file::io_error(path, &error))
}

/// Finds whether the file system has no locks at all: then every lock fails.
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

/// Finds why writes fail, with a small file beside the list that is removed at once.
fn find_write_error(path: &Path, access: AccessMode) -> Option<StoreError> {
    if access == AccessMode::ReadOnly || !path.exists() {
        return None;
    }
    let probe = file::with_suffix(path, &format!(".{}.probe", process::id()));
    let write = || {
        let mut options = OpenOptions::new();
        let target = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&probe)?;
        // At the end of the list, to meet a file size limit; the hole before it takes no space.
        let length = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
        let end = length(path).max(length(&file::with_suffix(path, file::WAL_SUFFIX)));
        target.write_all_at(&PROBE_BYTES, end)?;
        target.sync_all()
    };
    let written = write();
    drop(fs::remove_file(&probe));
    let error = written.err()?;
    Some(file::io_error(path, &error))
}
