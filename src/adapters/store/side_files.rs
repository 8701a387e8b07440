//! The names of the files beside the list file.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

/// The suffixes of the files that SQLite creates beside the list.
pub(super) const HELPER_SUFFIXES: [&str; 3] = [WAL_SUFFIX, "-shm", "-journal"];

pub(super) const WAL_SUFFIX: &str = "-wal";

pub(super) const ID_LOG_SUFFIX: &str = ".ids";

/// Appends `suffix` to the file name.
pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

/// Returns the length of a file; zero if it is missing or unreadable.
pub(super) fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |meta| meta.len())
}
