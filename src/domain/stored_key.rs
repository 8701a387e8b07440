//! Where the API key is stored. The API client reads it there.

use std::{fmt, path::PathBuf};

use super::api_origin::ApiOrigin;

/// A key stored outside the environment.
///
/// Neither `Debug` nor an error shows command or path: users put the key itself there by mistake.
#[derive(Clone, PartialEq, Eq)]
pub enum StoredKey {
    /// A program and its arguments; the key is the first line it prints. The program is an absolute
    /// path, or a name found in an absolute folder of `PATH`.
    Command(Vec<String>),
    /// A file that only its owner may read.
    File(PathBuf),
    /// A key that belongs to another address than the requested one; it is never read.
    OtherOrigin {
        belongs_to: ApiOrigin,
        requested: ApiOrigin,
    },
}

impl fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Command(_) => "Command(…)",
            Self::File(_) => "File(…)",
            Self::OtherOrigin { .. } => "OtherOrigin(…)",
        })
    }
}
