//! Rename of a file that never replaces an existing one. Blocking.
//!
//! Uses the first method that the file system supports: a rename with `RENAME_NOREPLACE`, a hard
//! link, or an empty claim file that reserves the name. Only the last can leave something behind if
//! the program is killed: an unlocked empty file, which the next rename to that name takes over.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use crate::adapters::regular_file::{self, Symlinks};

/// Renames a file unless the new name exists, also as a dangling symbolic link.
pub(in crate::adapters) fn rename_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::{
            fs::{CWD, RenameFlags, renameat_with},
            io::Errno,
        };
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Not supported by the file system or the kernel.
            Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
            result => return Ok(result?),
        }
    }
    match fs::hard_link(from, to) {
        Ok(()) => fs::remove_file(from),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        Err(_) => rename_over_claim(from, to),
    }
}

/// Claims the name with an empty file, then renames over it.
fn rename_over_claim(from: &Path, to: &Path) -> io::Result<()> {
    let claim = match OpenOptions::new().write(true).create_new(true).open(to) {
        Ok(claim) => claim,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            lock_abandoned_claim(to).ok_or(error)?
        }
        Err(error) => return Err(error),
    };
    // Another process may just have taken our claim for an abandoned one. Without locks on the file
    // system, no claim is ever taken over.
    match claim.try_lock() {
        Err(fs::TryLockError::WouldBlock) => return Err(io::ErrorKind::AlreadyExists.into()),
        Ok(()) | Err(fs::TryLockError::Error(_)) => {}
    }
    let renamed = fs::rename(from, to);
    // The claim stays open, and so locked, until the rename is done.
    drop(claim);
    renamed
}

/// Opens and locks an existing claim that a killed program left behind.
fn lock_abandoned_claim(path: &Path) -> Option<File> {
    let is_claim = |meta: &fs::Metadata| meta.is_file() && meta.len() == 0;
    if !is_claim(&fs::symlink_metadata(path).ok()?) {
        return None;
    }
    let mut options = OpenOptions::new();
    let file = regular_file::open(path, options.write(true), Symlinks::Refuse).ok()?;
    file.try_lock().ok()?;
    // Its owner may have replaced it while we opened it.
    let (opened, named) = (file.metadata().ok()?, fs::symlink_metadata(path).ok()?);
    let is_same = (opened.dev(), opened.ino()) == (named.dev(), named.ino());
    (is_same && is_claim(&opened) && is_claim(&named)).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rename = fn(&Path, &Path) -> io::Result<()>;

    #[test]
    fn an_existing_file_is_not_replaced() {
        for rename in [rename_without_replacing as Rename, rename_over_claim] {
            let folder = tempfile::tempdir().unwrap();
            let [from, to] = ["a.part", "a.mp4"].map(|name| folder.path().join(name));
            fs::write(&from, "new").unwrap();
            fs::write(&to, "old").unwrap();

            let error = rename(&from, &to).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read_to_string(&to).unwrap(), "old");

            fs::remove_file(&to).unwrap();
            std::os::unix::fs::symlink(folder.path().join("nowhere"), &to).unwrap();
            let error = rename(&from, &to).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);

            fs::remove_file(&to).unwrap();
            rename(&from, &to).unwrap();
            assert_eq!(fs::read_to_string(&to).unwrap(), "new");
            assert!(!from.exists());
        }
    }

    #[test]
    fn a_leftover_claim_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = ["a.part", "a.mp4"].map(|name| folder.path().join(name));
        fs::write(&from, "new").unwrap();
        // As left by a program that was killed between its claim and the rename.
        let claim = File::create_new(&to).unwrap();

        claim.lock().unwrap();
        let error = rename_over_claim(&from, &to).unwrap_err();
        assert_eq!(
            error.kind(),
            io::ErrorKind::AlreadyExists,
            "while it is locked"
        );

        drop(claim);
        rename_over_claim(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "new");
    }
}
