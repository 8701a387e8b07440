//! Reads config and theme files.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read as _},
    path::Path,
};

use super::error::{self, ConfigErrors};

/// The largest config or theme file, in bytes.
const MAX_FILE_LEN: u64 = 1024 * 1024;

/// Reads a file that may be missing. Only a regular file is opened: a FIFO could block.
pub(super) fn read_optional(file: &Path) -> Result<Option<String>, ConfigErrors> {
    match fs::metadata(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failure(file, &error::unreadable(&error))),
        Ok(metadata) if !metadata.is_file() => Err(failure(file, error::NOT_A_FILE)),
        Ok(_) => read(file).map(Some),
    }
}

/// Reads a file that was named; it may be a pipe: `--config <(…)`.
pub(super) fn read(file: &Path) -> Result<String, ConfigErrors> {
    let mut bytes = Vec::new();
    let read =
        File::open(file).and_then(|opened| opened.take(MAX_FILE_LEN + 1).read_to_end(&mut bytes));
    match read {
        Err(error) => Err(failure(file, &error::unreadable(&error))),
        Ok(_) if bytes.len() as u64 > MAX_FILE_LEN => Err(failure(file, error::TOO_LARGE)),
        Ok(_) => String::from_utf8(bytes).map_err(|_not_text| failure(file, error::NOT_UTF8)),
    }
}

fn failure(file: &Path, message: &str) -> ConfigErrors {
    ConfigErrors::single(Some(file.to_owned()), message)
}
