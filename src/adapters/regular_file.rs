//! Opens regular files only: a FIFO or device could block or never end.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use rustix::fs::OFlags;

/// Whether a symbolic link is followed. Its target must be a regular file too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symlinks {
    /// In the user's own folders: dotfile managers and secret stores use links there.
    Follow,
    /// In folders that others may write to, and for kietop's own files.
    Refuse,
}

/// Opens a regular file; fails at once for anything else.
pub fn open(path: &Path, options: &mut OpenOptions, symlinks: Symlinks) -> io::Result<File> {
    let flags = match symlinks {
        Symlinks::Follow => OFlags::NONBLOCK,
        Symlinks::Refuse => OFlags::NONBLOCK | OFlags::NOFOLLOW,
    };
    // The standard library sets O_CLOEXEC.
    let file = options
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(file)
}

/// Reads a regular file; fails if it is longer than `max_bytes`.
pub fn read_small(path: &Path, max_bytes: u64, symlinks: Symlinks) -> io::Result<Vec<u8>> {
    let file = open(path, OpenOptions::new().read(true), symlinks)?;
    let mut bytes = Vec::new();
    file.take(max_bytes.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max_bytes {
        let message = format!("larger than {max_bytes} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::{test_support::make_fifo, *};

    #[test]
    fn only_regular_files_within_the_limit_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("file"), "12345678").unwrap();
        symlink(path("file"), path("link")).unwrap();
        symlink("/dev/zero", path("endless")).unwrap();
        fs::create_dir(path("folder")).unwrap();
        make_fifo(&path("fifo"));
        symlink(path("fifo"), path("fifo-link")).unwrap();
        let read = |name: &str, symlinks| read_small(&path(name), 8, symlinks);

        for symlinks in [Symlinks::Follow, Symlinks::Refuse] {
            assert_eq!(read("file", symlinks).unwrap(), b"12345678");
            let too_long = read_small(&path("file"), 7, symlinks).unwrap_err();
            assert_eq!(too_long.kind(), io::ErrorKind::FileTooLarge);
            for odd in ["endless", "folder", "fifo", "fifo-link", "gone"] {
                assert!(read(odd, symlinks).is_err(), "{odd}");
            }
        }
        assert_eq!(read("link", Symlinks::Follow).unwrap(), b"12345678");
        assert!(read("link", Symlinks::Refuse).is_err());
        for name in ["fifo", "link", "endless"] {
            let mut append = OpenOptions::new();
            append.append(true).create(true);
            assert!(open(&path(name), &mut append, Symlinks::Refuse).is_err());
        }
    }
}

/// Helpers for tests of files.
#[cfg(test)]
pub(super) mod test_support {
    use std::{path::Path, process::Command};

    /// Runs a command, because rustix has no such call on macOS.
    pub(in crate::adapters) fn make_fifo(path: &Path) {
        let made = Command::new("mkfifo").arg(path).status().unwrap();
        assert!(made.success());
    }
}
