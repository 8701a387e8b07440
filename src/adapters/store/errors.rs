//! Converts errors of SQLite and of the file system into [`StoreError`]s.

use std::{io, path::Path};

use rusqlite::ffi;
use rustix::io::Errno;

use crate::domain::list_change::StoreError;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        let text = error.to_string();
        let Some(code) = error.sqlite_extended_error_code() else {
            // Missing rows or values of another type: an intact list file has none.
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
        if code == ffi::SQLITE_IOERR_SHMMAP {
            return Self::NoSharedMemory;
        }
        // The low byte is the primary code: https://sqlite.org/rescode.html
        match code & 0xff {
            ffi::SQLITE_FULL => Self::Full,
            ffi::SQLITE_IOERR => Self::Disk(failed_operation(code).map_or(text, str::to_owned)),
            ffi::SQLITE_READONLY | ffi::SQLITE_PERM => Self::ReadOnly(text),
            ffi::SQLITE_CANTOPEN => Self::Unreadable(text),
            ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_PROTOCOL => Self::Busy,
            // The last two: a length or type that no row of an intact list has.
            ffi::SQLITE_CORRUPT
            | ffi::SQLITE_NOTADB
            | ffi::SQLITE_TOOBIG
            | ffi::SQLITE_MISMATCH => Self::Damaged(text),
            _ => Self::Other(text),
        }
    }
}

/// Describes the failed disk operation of an extended SQLite code.
const fn failed_operation(code: i32) -> Option<&'static str> {
    match code {
        ffi::SQLITE_IOERR_READ | ffi::SQLITE_IOERR_SHORT_READ => Some("a read failed"),
        ffi::SQLITE_IOERR_WRITE => Some("a write failed (is your disk quota used up?)"),
        ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC => Some("a flush failed"),
        ffi::SQLITE_IOERR_TRUNCATE | ffi::SQLITE_IOERR_SHMSIZE => {
            Some("a file could not grow (is the disk full or your disk quota used up?)")
        }
        _ => None,
    }
}

pub(super) fn io_error(path: &Path, error: &io::Error) -> StoreError {
    let path = path.display();
    let text = format!("{path}: {error}");
    match Errno::from_io_error(error) {
        Some(Errno::FBIG) => StoreError::Other(format!(
            "{path} has reached the file size limit (ulimit -f)"
        )),
        Some(Errno::NOSPC) => StoreError::Full,
        Some(Errno::DQUOT) => StoreError::Quota,
        Some(Errno::ACCESS | Errno::PERM | Errno::ROFS) => StoreError::ReadOnly(text),
        Some(Errno::IO | Errno::STALE) => StoreError::Disk(text),
        _ => StoreError::Other(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corruption_errors_are_classified() {
        for code in [
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_NOTADB,
            ffi::SQLITE_TOOBIG,
            ffi::SQLITE_MISMATCH,
        ] {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert!(matches!(error.into(), StoreError::Damaged(_)), "{code}");
        }
    }
}
