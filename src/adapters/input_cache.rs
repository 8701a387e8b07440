//! Inputs that pictures are made of: where they were saved, else fetched once into a cache of a
//! few.

use std::{
    ffi::OsStr,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{task, time};

use crate::{
    domain::{
        comparison::VideoSource,
        download::{DownloadError, DownloadRequest},
        link::VideoUrl,
        preview::PreviewError,
        task::TaskId,
    },
    ports::{BoxFuture, Downloader, InputProvider},
};

/// The largest input that is fetched for a picture, in bytes.
pub const MAX_INPUT_LEN: u64 = 200_000_000;

/// How long it may take to fetch one.
const FETCH_TIMEOUT: Duration = Duration::from_mins(1);

/// How many inputs stay in the cache.
const MAX_INPUTS: usize = 8;

/// Keeps inputs in a folder, each in one of its own.
#[derive(Debug, Clone)]
pub struct InputCache {
    folder: PathBuf,
    downloader: Arc<dyn Downloader>,
}

impl InputCache {
    /// Returns a cache in that folder, filled by that downloader: one of its own, so that pictures
    /// take no save's turn.
    pub const fn new(folder: PathBuf, downloader: Arc<dyn Downloader>) -> Self {
        Self { folder, downloader }
    }

    async fn find_or_fetch(
        &self,
        task: &TaskId,
        input: &VideoSource,
    ) -> Result<PathBuf, PreviewError> {
        if let Some(file) = &input.file {
            return Ok(file.clone());
        }
        let own = self.folder.join(folder_name(&input.link));
        let looked = own.clone();
        let there = task::spawn_blocking(move || complete_file(&looked)).await;
        if let Some(file) = there.map_err(|_panic| PreviewError::Panicked)? {
            return Ok(file);
        }
        let order = DownloadRequest {
            task: task.clone(),
            number: 1,
            result_count: 1,
            url: input.link.clone(),
            folder: own.clone(),
            title: None,
        };
        let fetching = time::timeout(FETCH_TIMEOUT, self.downloader.download(&order, &|_| ()));
        let fetched = fetching.await;
        let file = fetched
            .unwrap_or(Err(DownloadError::Stopped))
            .map_err(|error| {
                tracing::info!(task = %order.task, why = error.message(), "no input for a picture");
                PreviewError::InputUnavailable
            })?;
        let folder = self.folder.clone();
        let tidied = task::spawn_blocking(move || remove_oldest(&folder, &own)).await;
        if let Ok(Err(error)) = tidied {
            tracing::debug!(%error, "old inputs stay");
        }
        Ok(file)
    }
}

impl InputProvider for InputCache {
    fn fetch_input<'a>(
        &'a self,
        task: &'a TaskId,
        input: &'a VideoSource,
    ) -> BoxFuture<'a, Result<PathBuf, PreviewError>> {
        Box::pin(self.find_or_fetch(task, input))
    }

    fn cached_file(&self, link: &VideoUrl) -> Option<PathBuf> {
        cached_file_in(&self.folder, link)
    }
}

/// Returns where the input behind a link lies in a folder of kept ones, if it does. Waits for the
/// disk.
pub fn cached_file_in(folder: &Path, link: &VideoUrl) -> Option<PathBuf> {
    complete_file(&folder.join(folder_name(link)))
}

/// Returns the name of an input's folder: a number that follows from its link.
fn folder_name(link: &VideoUrl) -> String {
    let mut hasher = DefaultHasher::new();
    link.as_str().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Returns the whole file in a folder; parts of one do not count.
fn complete_file(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let mut files = entries.flatten().map(|entry| entry.path());
    let is_of_a_part = |end: &OsStr| end == "part" || end == "meta" || end == "new";
    files.find(|file| file.extension().is_some_and(|end| !is_of_a_part(end)) && file.is_file())
}

/// Removes the oldest inputs. Only folders that are named like ours are touched.
fn remove_oldest(folder: &Path, newest: &Path) -> io::Result<()> {
    let mut folders = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let is_ours = name.len() == 16 && name.bytes().all(|b| b.is_ascii_hexdigit());
        if is_ours && entry.path() != newest {
            folders.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    folders.sort();
    let surplus = (folders.len() + 1).saturating_sub(MAX_INPUTS);
    for (_, old) in folders.iter().take(surplus) {
        fs::remove_dir_all(old)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_keyed_by_link() {
        let folder = tempfile::tempdir().unwrap();
        let link = |text| VideoUrl::parse(text).unwrap();
        let own = folder
            .path()
            .join(folder_name(&link("https://ex.com/a.mp4?x=1")));
        fs::create_dir(&own).unwrap();
        fs::write(own.join("774d.mp4"), "film").unwrap();

        let found = |text| cached_file_in(folder.path(), &link(text));
        assert_eq!(
            found("https://ex.com/a.mp4?x=1"),
            Some(own.join("774d.mp4"))
        );
        assert_eq!(found("https://ex.com/a.mp4"), None);
        assert_eq!(
            cached_file_in(Path::new("/nowhere"), &link("https://ex.com/a.mp4")),
            None
        );
    }

    #[test]
    fn only_complete_inputs_are_found() {
        for (name, is_whole) in [
            ("774d.mp4", true),
            ("774d.mov", true),
            ("774d.webm", true),
            ("774d.1a2b3c4d.part", false),
            ("774d.1a2b3c4d.meta", false),
            ("774d.1a2b3c4d.meta.new", false),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(name), "film").unwrap();

            assert_eq!(complete_file(folder.path()).is_some(), is_whole, "{name}");
        }
    }
}
