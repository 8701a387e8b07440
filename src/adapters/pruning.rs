//! Removal of the oldest entries of a folder. Blocking.

use std::{fs, io, path::Path};

/// Removes the oldest files or folders, so that `max_count` remain with `newest`. Only entries
/// whose name `is_ours` are touched.
pub(super) fn remove_oldest(
    folder: &Path,
    newest: &Path,
    max_count: usize,
    is_ours: impl Fn(&str) -> bool,
) -> io::Result<()> {
    let mut others = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if is_ours(&entry.file_name().to_string_lossy()) && entry.path() != newest {
            others.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    others.sort();
    let surplus = (others.len() + 1).saturating_sub(max_count);
    for (_, old) in others.iter().take(surplus) {
        if old.is_dir() {
            fs::remove_dir_all(old)?;
        } else {
            fs::remove_file(old)?;
        }
    }
    Ok(())
}
