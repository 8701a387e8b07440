//! The list file as a file: where it really lies, who may read it, how SQLite is let in, what went wrong.
//!
//! Knows nothing of tasks. The file is made, private, before SQLite sees it: its helper files (`-wal`,
//! `-shm`) take their mode from it.

use std::{
    ffi::OsString,
    fmt::Write as _,
    fs::{self, DirBuilder, OpenOptions, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};

use super::id_log;
use crate::domain::change::StoreError;

/// How long another instance may hold the file before we give up.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many links are followed to where the file really lies, as many as Linux follows.
const MOST_LINKS: usize = 40;

/// What SQLite may put beside the file.
pub(super) const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Names a file whatever it is called: device and inode.
pub(super) type Identity = (u64, u64);

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        let text = error.to_string();
        let Some(code) = error.sqlite_error_code() else {
            // Rows that are not there or hold another kind of value: our own file holds none such.
            let is_damage = matches!(
                error,
                E::QueryReturnedNoRows
                    | E::InvalidColumnType(..)
                    | E::FromSqlConversionFailure(..)
                    | E::IntegralValueOutOfRange(..)
                    | E::Utf8Error(..)
            );
            return if is_damage {
                Self::Damaged(text)
            } else {
                Self::Other(text)
            };
        };
        let is = |codes: &[ErrorCode]| codes.contains(&code);
        if is(&[ErrorCode::DiskFull]) {
            Self::Full
        } else if is(&[
            ErrorCode::ReadOnly,
            ErrorCode::PermissionDenied,
            ErrorCode::CannotOpen,
        ]) {
            Self::ReadOnly(text)
        } else if is(&[
            ErrorCode::DatabaseBusy,
            ErrorCode::DatabaseLocked,
            ErrorCode::FileLockingProtocolFailed,
        ]) {
            Self::Busy
        } else if is(&[ErrorCode::DatabaseCorrupt, ErrorCode::NotADatabase]) {
            Self::Damaged(text)
        } else {
            Self::Other(text)
        }
    }
}

/// Says what an input or output error means for the list.
pub(super) fn io_error(path: &Path, error: &io::Error) -> StoreError {
    use io::ErrorKind as K;
    let text = format!("{}: {error}", path.display());
    let is = |kinds: &[K]| kinds.contains(&error.kind());
    if is(&[K::StorageFull, K::QuotaExceeded]) {
        StoreError::Full
    } else if is(&[K::PermissionDenied, K::ReadOnlyFilesystem]) {
        StoreError::ReadOnly(text)
    } else {
        StoreError::Other(text)
    }
}

/// Returns the path with `suffix` behind the file's name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Follows links to where the file lies or would lie: SQLite keeps its helper files there, and a link put
/// in place by someone who tends his files that way stays a link.
pub(super) fn real_path(path: &Path) -> Result<PathBuf, StoreError> {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(target) => {
                let folder = path.parent().map(Path::to_owned).unwrap_or_default();
                path = folder.join(target);
            }
            Err(_) => return std::path::absolute(&path).map_err(|error| io_error(&path, &error)),
        }
    }
    Err(StoreError::Other(format!(
        "{}: too many links",
        path.display()
    )))
}

/// Makes an empty file only its owner may read; fails when there is one.
pub(super) fn create(path: &Path) -> io::Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map(drop)
}

/// Finds a name that is free, `suffix` behind the file's name and a number behind that, and takes it by
/// `make`, which must fail when there is such a file.
pub(super) fn free_name(
    path: &Path,
    suffix: &str,
    make: impl Fn(&Path) -> io::Result<()>,
) -> Result<PathBuf, StoreError> {
    for number in 1..10_000_u32 {
        let name = match number {
            1 => beside(path, suffix),
            _ => beside(path, &format!("{suffix}-{number}")),
        };
        match make(&name) {
            Ok(()) => return Ok(name),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(io_error(&name, &error)),
        }
    }
    Err(StoreError::Other(format!(
        "{}: no free name for a copy",
        path.display()
    )))
}

/// Sees to it that the file is there and private. Never opens an existing one: to close it again would
/// drop every lock this process holds on it through SQLite.
pub(super) fn prepare(path: &Path) -> Result<(), StoreError> {
    if let Some(folder) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|error| io_error(folder, &error))?;
    }
    match create(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        // A folder or a file system that takes no new file may still hold the list.
        Err(_) if path.exists() => {}
        Err(error) => return Err(io_error(path, &error)),
    }
    for path in [path.to_owned()]
        .into_iter()
        .chain(BESIDE.map(|suffix| beside(path, suffix)))
        .chain([beside(path, id_log::SUFFIX)])
    {
        let Ok(meta) = fs::metadata(&path) else {
            continue;
        };
        let is_open_to_others = meta.permissions().mode() & 0o077 != 0;
        if meta.is_file() && is_open_to_others {
            // Where it is someone else's file this fails, and the list is still of use.
            drop(fs::set_permissions(
                &path,
                Permissions::from_mode(meta.permissions().mode() & 0o700),
            ));
        }
    }
    Ok(())
}

/// Returns which file the path names now.
pub(super) fn identity(path: &Path) -> Option<Identity> {
    let meta = fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}

/// Reports whether the file has something in it that has lost its beginning: nothing in the file itself,
/// but commits beside it, which SQLite would throw away.
pub(super) fn is_beheaded(path: &Path) -> bool {
    let length = |path: &Path| fs::metadata(path).map_or(0, |meta| meta.len());
    length(path) == 0 && length(&beside(path, "-wal")) > 0
}

/// Lets SQLite in, and says why it may only read if that is so. Writes nothing.
///
/// Until [`settle`] the end of the connection leaves all files as they are.
pub(super) fn connect(path: &Path) -> Result<(Connection, Option<String>), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    set_up(&conn)?;
    match touch(&conn) {
        Ok(()) if conn.is_readonly("main").unwrap_or(false) => {
            let why = format!("{} may only be read", path.display());
            Ok((conn, Some(why)))
        }
        Ok(()) => Ok((conn, None)),
        Err(StoreError::ReadOnly(_)) => {
            drop(conn);
            let conn = connect_still(path)?;
            let why = format!("the folder of {} may only be read", path.display());
            Ok((conn, Some(why)))
        }
        Err(error) => Err(error),
    }
}

/// Opens the file for reading, live where SQLite finds or may make its helper files, else as it stands.
pub(super) fn connect_to_read(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    set_up(&conn)?;
    match touch(&conn) {
        Ok(()) => Ok(conn),
        Err(StoreError::ReadOnly(_)) => connect_still(path),
        Err(error) => Err(error),
    }
}

/// Opens a file in a folder that takes no helper files: as it stands, without locks.
fn connect_still(path: &Path) -> Result<Connection, StoreError> {
    let has_more = fs::metadata(beside(path, "-wal")).is_ok_and(|meta| meta.len() > 0);
    if has_more {
        return Err(StoreError::ReadOnly(format!(
            "the folder of {} may only be read, and the file's last changes lie beside it",
            path.display()
        )));
    }
    let mut name = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => {
                name.push(char::from(*byte));
            }
            // Writing into a `String` cannot fail.
            other => write!(name, "%{other:02x}").unwrap_or_default(),
        }
    }
    name.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(name, flags)?;
    set_up(&conn)?;
    touch(&conn)?;
    Ok(conn)
}

/// Prepares a connection. Of a list file every connection is.
pub(super) fn set_up(conn: &Connection) -> Result<(), StoreError> {
    conn.busy_timeout(PATIENCE)?;
    conn.set_prepared_statement_cache_capacity(32);
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // What stands in the file is data: it may neither call functions nor turn the file against us, and a
    // trigger, a view or a foreign key that someone put there does nothing.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    for setting in [
        DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA,
        DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER,
        DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW,
        DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY,
    ] {
        conn.set_db_config(setting, false)?;
    }
    Ok(())
}

/// Reads the file's first page: whatever is wrong with it or its folder shows here.
fn touch(conn: &Connection) -> Result<(), StoreError> {
    conn.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    Ok(())
}

/// Makes the connection an ordinary one, once the file is known to be ours and whole.
pub(super) fn settle(conn: &Connection) -> Result<(), StoreError> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
    Ok(())
}

/// Takes [`settle`] back: the end of the connection leaves all files as they are.
///
/// Needed before the path gets another file: SQLite removes the log by its name, and under that name lies
/// the new file's by then.
pub(super) fn unsettle(conn: &Connection) {
    drop(conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true));
}

/// Asks for the write-ahead log, which lets readers read while another instance writes.
///
/// Where it is refused (network file systems have no shared memory) the file's old way stays, and all
/// else holds. While another instance holds the file the answer is "busy", whatever the timeout: SQLite
/// does not wait here, so we ask again.
pub(super) fn use_log(conn: &Connection) -> Result<(), StoreError> {
    for _ in 0..100 {
        let mode = conn.query_row("PRAGMA journal_mode = WAL", [], |row| {
            row.get::<_, String>(0)
        });
        match mode.map_err(StoreError::from) {
            Err(StoreError::Busy) => std::thread::park_timeout(Duration::from_millis(10)),
            Err(error @ StoreError::Damaged(_)) => return Err(error),
            Ok(_) | Err(_) => break,
        }
    }
    Ok(())
}
