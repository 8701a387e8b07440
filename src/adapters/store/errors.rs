//! Converts errors of SQLite and of the file system into [`StoreError`]s.

use std::{io, path::Path};

use rusqlite::{ErrorCode, ffi};
use rustix::io::Errno;

use crate::domain::list_change::StoreError;

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        let text = error.to_string();
        let Some(code) = error.sqlite_error_code() else {
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
        let is = |codes: &[ErrorCode]| codes.contains(&code);
        let extended = error.sqlite_extended_error_code().unwrap_or_default();
        if extended == ffi::SQLITE_IOERR_SHMMAP {
            Self::NoSharedMemory
        } else if is(&[ErrorCode::DiskFull]) {
            Self::Full
        } else if is(&[ErrorCode::SystemIoFailure]) {
            Self::Disk(failed_operation(extended).map_or(text, str::to_owned))
        } else if is(&[ErrorCode::ReadOnly, ErrorCode::PermissionDenied]) {
            Self::ReadOnly(text)
        } else if is(&[ErrorCode::CannotOpen]) {
            Self::Unreadable(text)
        } else if is(&[
            ErrorCode::DatabaseBusy,
            ErrorCode::DatabaseLocked,
            ErrorCode::FileLockingProtocolFailed,
        ]) {
            Self::Busy
        } else if is(&[
            ErrorCode::DatabaseCorrupt,
            ErrorCode::NotADatabase,
            // A length or type that no row of an intact list has.
            ErrorCode::TooBig,
            ErrorCode::TypeMismatch,
        ]) {
            Self::Damaged(text)
        } else {
            Self::Other(text)
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
    use io::ErrorKind as K;
    let text = format!("{}: {error}", path.display());
    if error.kind() == K::FileTooLarge {
        let text = format!(
            "{} has reached the file size limit (ulimit -f)",
            path.display()
        );
        return StoreError::Other(text);
    }
    let is = |kinds: &[K]| kinds.contains(&error.kind());
    if is(&[K::StorageFull]) {
        StoreError::Full
    } else if is(&[K::QuotaExceeded]) {
        StoreError::Quota
    } else if is(&[K::PermissionDenied, K::ReadOnlyFilesystem]) {
        StoreError::ReadOnly(text)
    } else if is(&[K::StaleNetworkFileHandle]) || Errno::from_io_error(error) == Some(Errno::IO) {
        StoreError::Disk(text)
    } else {
        StoreError::Other(text)
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
