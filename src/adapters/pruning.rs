//! Removal of the oldest entries of a folder. Blocking.

use std::{fs, io, path::Path};

/// Removes the oldest files or folders, so that `max_count` remain with `newest`. Only entries
/// whose name `is_ours` are touched. An entry that cannot be removed does not keep the others;
/// returns the first error.
pub(super) fn remove_oldest(
    folder: &Path,
    newest: &Path,
    max_count: usize,
    is_ours: impl Fn(&str) -> bool,
) -> io::Result<()> {
    let mut others: Vec<_> = fs::read_dir(folder)?
        .flatten()
        .filter(|entry| is_ours(&entry.file_name().to_string_lossy()) && entry.path() != newest)
        .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
        .collect();
    others.sort();
    let surplus = (others.len() + 1).saturating_sub(max_count);
    let mut result = Ok(());
    for (_, old) in others.iter().take(surplus) {
        let removed = if old.is_dir() {
            fs::remove_dir_all(old)
        } else {
            fs::remove_file(old)
        };
        result = result.and(removed);
    }
    result
}
