//! Gives a whole file its final name, in the place of nothing.
//!
//! Knows no part and no note. Blocking. Three ways, the first that the file system has: a rename
//! that replaces nothing, a second name for the same file (a hard link), and a name that is claimed
//! first by an empty file. Only the last can leave something behind when the program is killed in
//! between: an empty file, which nobody has locked any more. Whoever wants that name next takes it
//! over.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use crate::adapters::regular_file::{self, Symlinks};

/// Gives a file its name where nothing has that name, not even a link that leads nowhere.
pub(in crate::adapters) fn rename_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use rustix::{
            fs::{CWD, RenameFlags, renameat_with},
            io::Errno,
        };
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // A file system or a kernel that cannot.
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

/// Claims the name by an empty file, and puts the whole one in its place.
fn rename_over_claim(from: &Path, to: &Path) -> io::Result<()> {
    let claim = match OpenOptions::new().write(true).create_new(true).open(to) {
        Ok(claim) => claim,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            lock_abandoned_claim(to).ok_or(error)?
        }
        Err(error) => return Err(error),
    };
    // Another one may just have taken ours for an abandoned one. Where there are no locks, nobody
    // takes any.
    match claim.try_lock() {
        Err(fs::TryLockError::WouldBlock) => return Err(io::ErrorKind::AlreadyExists.into()),
        Ok(()) | Err(fs::TryLockError::Error(_)) => {}
    }
    let renamed = fs::rename(from, to);
    // Kept, and so locked, until the name is another file's.
    drop(claim);
    renamed
}

/// Returns the claim that lies under a name and that a killed program left there, locked for us.
fn lock_abandoned_claim(path: &Path) -> Option<File> {
    let is_claim = |meta: &fs::Metadata| meta.is_file() && meta.len() == 0;
    if !is_claim(&fs::symlink_metadata(path).ok()?) {
        return None;
    }
    let mut options = OpenOptions::new();
    let file = regular_file::open(path, options.write(true), Symlinks::Refuse).ok()?;
    file.try_lock().ok()?;
    // While we opened it, its owner may have put the whole file in its place.
    let (ours, there) = (file.metadata().ok()?, fs::symlink_metadata(path).ok()?);
    let is_same = (ours.dev(), ours.ino()) == (there.dev(), there.ino());
    (is_same && is_claim(&ours) && is_claim(&there)).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of the ways.
    type Way = fn(&Path, &Path) -> io::Result<()>;

    #[test]
    fn an_existing_file_is_not_replaced() {
        for way in [rename_without_replacing as Way, rename_over_claim] {
            let folder = tempfile::tempdir().unwrap();
            let [from, to] = ["a.part", "a.mp4"].map(|name| folder.path().join(name));
            fs::write(&from, "new").unwrap();
            fs::write(&to, "old").unwrap();

            let taken = way(&from, &to).unwrap_err();
            assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read_to_string(&to).unwrap(), "old");

            fs::remove_file(&to).unwrap();
            std::os::unix::fs::symlink(folder.path().join("nowhere"), &to).unwrap();
            let taken = way(&from, &to).unwrap_err();
            assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);

            fs::remove_file(&to).unwrap();
            way(&from, &to).unwrap();
            assert_eq!(fs::read_to_string(&to).unwrap(), "new");
            assert!(!from.exists());
        }
    }

    #[test]
    fn a_leftover_claim_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = ["a.part", "a.mp4"].map(|name| folder.path().join(name));
        fs::write(&from, "new").unwrap();
        // What is there when the program is killed between its claim and the rename.
        let claim = File::create_new(&to).unwrap();

        claim.lock().unwrap();
        let taken = rename_over_claim(&from, &to).unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists, "while it lives");

        drop(claim);
        rename_over_claim(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "new");
    }
}
