//! The list file in the file system: symlinks, permissions and connections.
//!
//! The file is created as private before SQLite opens it: SQLite's helper files (`-wal`, `-shm`)
//! get its mode.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, config::DbConfig};
use url::Url;

use super::{error_cause, errors, side_files};
use crate::{
    adapters::rename_noreplace::rename_without_replacing,
    domain::list_change::{AccessMode, StoreError},
};

/// The time to wait for another instance's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The number of symbolic links that are followed, as on Linux.
const MAX_SYMLINKS: usize = 40;

/// Device and inode, which identify a file under any name.
pub(super) type FileIdentity = (u64, u64);

/// Follows symbolic links to the file, which may not exist yet. SQLite's helper files are there,
/// and the links are kept when the file is replaced.
pub(super) fn resolve_symlinks(path: &Path) -> Result<PathBuf, StoreError> {
    let mut path = path.to_owned();
    for _ in 0..MAX_SYMLINKS {
        match fs::read_link(&path) {
            Ok(target) => {
                let folder = path.parent().map(Path::to_owned).unwrap_or_default();
                path = folder.join(target);
            }
            Err(_) => {
                return std::path::absolute(&path).map_err(|error| errors::io_error(&path, &error));
            }
        }
    }
    Err(StoreError::Other(format!(
        "{}: too many symbolic links",
        path.display()
    )))
}

/// Creates an empty file with mode 0600; fails if it exists.
pub(super) fn create_private(path: &Path) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map(drop)
}

/// Creates a file with a free name: the path plus `suffix`, plus a number from the second on.
///
/// `create` must fail with [`io::ErrorKind::AlreadyExists`] if the file exists.
pub(super) fn create_free_name(
    path: &Path,
    suffix: &str,
    create: impl Fn(&Path) -> io::Result<()>,
) -> Result<PathBuf, StoreError> {
    for number in 1..10_000_u32 {
        let name = match number {
            1 => side_files::with_suffix(path, suffix),
            _ => side_files::with_suffix(path, &format!("{suffix}-{number}")),
        };
        match create(&name) {
            Ok(()) => return Ok(name),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(errors::io_error(&name, &error)),
        }
    }
    Err(StoreError::Other(format!(
        "{}: no free name for a copy",
        path.display()
    )))
}

/// Creates the file and its folder if they are missing. Never opens an existing file: closing it
/// would drop all locks that SQLite holds on it in this process.
pub(super) fn create_missing(path: &Path) -> Result<(), StoreError> {
    create_folder(path)?;
    match create_private(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        // The list may exist in a folder or on a file system where no file can be created.
        Err(_) if path.exists() => Ok(()),
        Err(error) => Err(errors::io_error(path, &error)),
    }
}

/// Creates the file's folder (0700) if it is missing, and flushes its parents: a power cut that
/// loses the folder loses the list.
pub(super) fn create_folder(path: &Path) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let missing = folder.ancestors().take_while(|folder| !folder.exists());
    let parents: Vec<_> = missing.filter_map(Path::parent).collect();
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| errors::io_error(folder, &error))?;
    for parent in parents {
        // A folder without read permission cannot be flushed.
        flush(parent).unwrap_or_default();
    }
    Ok(())
}

/// Makes the file and its helper files inaccessible to other users.
pub(super) fn make_private(path: &Path) {
    let suffixes = ["", side_files::ID_LOG_SUFFIX].into_iter();
    for suffix in suffixes.chain(side_files::HELPER_SUFFIXES) {
        let path = side_files::with_suffix(path, suffix);
        if let Ok(meta) = fs::metadata(&path)
            && meta.is_file()
            && meta.mode() & 0o077 != 0
        {
            // Fails on another user's file, which may still be usable.
            drop(fs::set_permissions(
                &path,
                Permissions::from_mode(meta.mode() & 0o700),
            ));
        }
    }
}

/// Returns the identity of the file at the path, `None` if there is none.
///
/// Fails if the disk or folder cannot be read, where the file may exist.
pub(super) fn find_identity(path: &Path) -> Result<Option<FileIdentity>, StoreError> {
    match fs::metadata(path) {
        Ok(meta) => Ok(Some((meta.dev(), meta.ino()))),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(errors::io_error(path, &error)),
    }
}

/// Fails on anything but a regular file: reading a FIFO may block.
pub(super) fn check_is_regular(path: &Path) -> Result<(), StoreError> {
    let Ok(meta) = fs::metadata(path) else {
        return Ok(());
    };
    let kind = match (meta.is_file(), meta.is_dir()) {
        (true, _) => return Ok(()),
        (false, true) => "a folder",
        (false, false) => "not a regular file",
    };
    Err(StoreError::Other(format!(
        "{} is {kind}; use a file with --store",
        path.display()
    )))
}

/// Writes the list of an open connection back to its path.
///
/// The copy is renamed only when it is complete and flushed, and never replaces another file.
pub(super) fn write_to_path(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    create_folder(path)?;
    let copy = copy_to_free_name(conn, path, ".new")?;
    let replace = || -> Result<(), StoreError> {
        flush(&copy)?;
        move_helpers_aside(path)?;
        rename_without_replacing(&copy, path).map_err(|error| errors::io_error(path, &error))
    };
    let result = replace();
    if let Err(error) = result {
        drop(fs::remove_file(&copy));
        // Success if another instance has written it back first.
        return find_identity(path)?.map(drop).ok_or(error);
    }
    flush(path.parent().unwrap_or(Path::new("/")))
}

fn flush(path: &Path) -> Result<(), StoreError> {
    File::open(path)
        .and_then(|file| file.sync_all())
        .map_err(|error| errors::io_error(path, &error))
}

/// Sets the helper files of another list aside: SQLite would apply them to the file at the path.
pub(super) fn move_helpers_aside(path: &Path) -> Result<(), StoreError> {
    for helper in side_files::HELPER_SUFFIXES.map(|suffix| side_files::with_suffix(path, suffix)) {
        if helper.exists() {
            create_free_name(&helper, ".gone", |name| {
                rename_without_replacing(&helper, name)
            })?;
        }
    }
    Ok(())
}

/// Copies the list of a connection to a [free name](create_free_name).
pub(super) fn copy_to_free_name(
    conn: &Connection,
    path: &Path,
    suffix: &str,
) -> Result<PathBuf, StoreError> {
    let copy = create_free_name(path, suffix, create_private)?;
    let Some(name) = copy.to_str() else {
        drop(fs::remove_file(&copy));
        return Err(StoreError::Other(
            "it cannot be copied: its name is not UTF-8".into(),
        ));
    };
    if let Err(error) = conn.execute("VACUUM INTO ?1", [name]) {
        drop(fs::remove_file(&copy));
        return Err(error.into());
    }
    Ok(copy)
}

/// Returns the identity of the file at the path, `None` if it is missing or unreadable.
pub(super) fn identity(path: &Path) -> Option<FileIdentity> {
    find_identity(path).ok().flatten()
}

/// Reports whether the file is empty but its write-ahead log has commits, which SQLite would
/// discard.
pub(super) fn lost_main_file(path: &Path) -> bool {
    let wal = side_files::with_suffix(path, side_files::WAL_SUFFIX);
    side_files::length(path) == 0 && side_files::length(&wal) > 0
}

/// Opens the file, and returns why it is read-only if it is. Writes nothing.
///
/// A file with a write-ahead log on a disk without shared memory is opened exclusively. Closing the
/// connection changes no file until [`set_checkpoint_on_close`].
pub(super) fn connect(
    path: &Path,
    access: AccessMode,
) -> Result<(Connection, Option<StoreError>), StoreError> {
    let mut conn = match access {
        AccessMode::Full => open_writable(path)?,
        AccessMode::ReadOnly => open_with(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
    };
    let mut first_read = read_first_page(&conn);
    if access == AccessMode::Full && first_read == Err(StoreError::NoSharedMemory) {
        drop(conn);
        conn = open_exclusive(path)?;
        first_read = read_first_page(&conn);
    }
    let reason = match first_read {
        Ok(()) if access == AccessMode::Full && conn.is_readonly("main")? => {
            let why = StoreError::ReadOnly(format!("{} is read-only", path.display()));
            Some(error_cause::explain(path, AccessMode::ReadOnly, why))
        }
        Ok(()) => None,
        Err(error) if may_be_helper_failure(&error) => {
            drop(conn);
            conn = open_immutable(path)?;
            Some(error_cause::explain(path, access, error))
        }
        Err(error) => return Err(error),
    };
    Ok((conn, reason))
}

/// Reports whether the failure may concern the helper files only, so that the list is readable.
const fn may_be_helper_failure(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::ReadOnly(_)
            | StoreError::Unreadable(_)
            | StoreError::NoSharedMemory
            | StoreError::Disk(_)
            | StoreError::Full
    )
}

/// Opens the file for writing. Writes nothing until its first use.
pub(super) fn open_writable(path: &Path) -> Result<Connection, StoreError> {
    open_with(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
}

/// Opens the file exclusively, which needs no shared memory.
fn open_exclusive(path: &Path) -> Result<Connection, StoreError> {
    let conn = open_writable(path)?;
    // Set before the first use: https://sqlite.org/wal.html#use_of_wal_without_shared_memory
    conn.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    Ok(conn)
}

/// Opens a file without locks and helper files: later changes of it are not seen.
fn open_immutable(path: &Path) -> Result<Connection, StoreError> {
    if side_files::length(&side_files::with_suffix(path, side_files::WAL_SUFFIX)) > 0 {
        return Err(StoreError::Other(format!(
            "its last changes are in {0}-wal, which SQLite cannot read in this folder; copy both \
             files to another folder and name the copy with --store",
            path.display()
        )));
    }
    let mut url = Url::from_file_path(path)
        .map_err(|()| StoreError::Other(format!("{} is not absolute", path.display())))?;
    url.set_query(Some("immutable=1"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let conn = open_with(Path::new(url.as_str()), flags)?;
    read_first_page(&conn)?;
    Ok(conn)
}

fn open_with(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let conn = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY_TIMEOUT)?;
    conn.set_prepared_statement_cache_capacity(32);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // The file is untrusted: it cannot call functions, and its triggers, views and foreign keys are
    // disabled.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    for setting in [
        DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA,
        DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER,
        DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW,
        DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY,
    ] {
        conn.set_db_config(setting, false)?;
    }
    Ok(conn)
}

/// Reads the first page, to detect problems with the file or its folder.
fn read_first_page(conn: &Connection) -> Result<(), StoreError> {
    conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(())
}

/// Sets whether SQLite checkpoints and removes the log on close.
///
/// Only for an intact list, and not once another file takes its path: SQLite removes the log by
/// name, which is then the log of the new file.
pub(super) fn set_checkpoint_on_close(
    conn: &Connection,
    is_enabled: bool,
) -> Result<(), StoreError> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !is_enabled)?;
    Ok(())
}

/// Enables the write-ahead log, so that others can read during a write, and reports whether it
/// works on this disk.
///
/// SQLite ignores the busy timeout here, so this retries while another instance has the lock.
pub(super) fn enable_wal(conn: &mut Connection, path: &Path) -> Result<bool, StoreError> {
    let locking: String = conn.query_row("PRAGMA locking_mode", [], |row| row.get(0))?;
    if locking == "exclusive" {
        return disable_wal(conn).map(|()| false);
    }
    for _ in 0..100 {
        let mode = set_journal_mode(conn, "WAL");
        match mode {
            Err(StoreError::Busy) => std::thread::park_timeout(Duration::from_millis(10)),
            Err(error @ StoreError::Damaged(_)) => return Err(error),
            Ok(_) | Err(_) => break,
        }
    }
    // Missing shared memory is detected at the first use.
    match read_first_page(conn) {
        Err(StoreError::NoSharedMemory) => {
            *conn = open_exclusive(path)?;
            disable_wal(conn).map(|()| false)
        }
        first_read => first_read.map(|()| true),
    }
}

/// Switches to the rollback journal, which needs no shared memory between processes (9p, vboxsf
/// and many network disks have none). The connection must be the only one.
fn disable_wal(conn: &Connection) -> Result<(), StoreError> {
    let mode = set_journal_mode(conn, "DELETE");
    conn.pragma_update(None, "locking_mode", "NORMAL")?;
    if mode? != "delete" {
        return Err(StoreError::NoSharedMemory);
    }
    // The next read releases the lock.
    read_first_page(conn)
}

fn set_journal_mode(conn: &Connection, mode: &str) -> Result<String, StoreError> {
    let sql = format!("PRAGMA journal_mode = {mode}");
    Ok(conn.query_row(&sql, [], |row| row.get(0))?)
}
