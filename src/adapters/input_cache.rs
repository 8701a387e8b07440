//! Inputs for previews: the saved file, else a download in a small cache.

use std::{
    ffi::OsStr,
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tokio::{task, time};

use super::pruning::remove_oldest;
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

/// The largest input downloaded for a preview, in bytes.
pub const MAX_INPUT_LEN: u64 = 200_000_000;

/// The longest download of an input.
const FETCH_TIMEOUT: Duration = Duration::from_mins(1);

/// The number of inputs kept.
const MAX_INPUTS: usize = 8;

/// A folder with a subfolder for each input.
#[derive(Debug, Clone)]
pub struct InputCache {
    folder: PathBuf,
    downloader: Arc<dyn Downloader>,
}

impl InputCache {
    /// `downloader` is separate from that of the saves, so that previews do not delay them.
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
        let input_folder = self.folder.join(folder_name(&input.link));
        let folder = input_folder.clone();
        let cached = task::spawn_blocking(move || complete_file(&folder)).await;
        if let Some(file) = cached.map_err(|_panic| PreviewError::Panicked)? {
            return Ok(file);
        }
        let request = DownloadRequest {
            task: task.clone(),
            number: 1,
            result_count: 1,
            url: input.link.clone(),
            folder: input_folder.clone(),
            title: None,
        };
        let download = self.downloader.download(&request, &|_| ());
        let file = time::timeout(FETCH_TIMEOUT, download)
            .await
            .unwrap_or(Err(DownloadError::Stopped))
            .map_err(|error| {
                tracing::info!(task = %request.task, error = error.message(), "no input for a preview");
                PreviewError::InputUnavailable
            })?;
        let folder = self.folder.clone();
        let remove = move || remove_oldest(&folder, &input_folder, MAX_INPUTS, is_folder_name);
        let removed = task::spawn_blocking(remove).await;
        if let Ok(Err(error)) = removed {
            tracing::debug!(%error, "cannot remove old inputs");
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

/// Returns the cached file of a link in a cache folder. Blocks on the disk.
pub fn cached_file_in(folder: &Path, link: &VideoUrl) -> Option<PathBuf> {
    complete_file(&folder.join(folder_name(link)))
}

/// Returns the name of an input's folder: a hash of its link.
fn folder_name(link: &VideoUrl) -> String {
    let mut hasher = DefaultHasher::new();
    link.as_str().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Reports whether a folder is one of this cache.
fn is_folder_name(name: &str) -> bool {
    name.len() == 16 && name.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Returns the complete file in a folder; partial downloads do not count.
fn complete_file(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?;
    let mut files = entries.flatten().map(|entry| entry.path());
    let is_partial =
        |extension: &OsStr| extension == "part" || extension == "meta" || extension == "new";
    files.find(|file| {
        file.extension()
            .is_some_and(|extension| !is_partial(extension))
            && file.is_file()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_keyed_by_link() {
        let folder = tempfile::tempdir().unwrap();
        let link = |text| VideoUrl::parse(text).unwrap();
        let input_folder = folder
            .path()
            .join(folder_name(&link("https://ex.com/a.mp4?x=1")));
        fs::create_dir(&input_folder).unwrap();
        fs::write(input_folder.join("774d.mp4"), "film").unwrap();

        let found = |text| cached_file_in(folder.path(), &link(text));
        assert_eq!(
            found("https://ex.com/a.mp4?x=1"),
            Some(input_folder.join("774d.mp4"))
        );
        assert_eq!(found("https://ex.com/a.mp4"), None);
        assert_eq!(
            cached_file_in(Path::new("/nowhere"), &link("https://ex.com/a.mp4")),
            None
        );
    }

    #[test]
    fn only_complete_inputs_are_found() {
        for (name, is_complete) in [
            ("774d.mp4", true),
            ("774d.mov", true),
            ("774d.webm", true),
            ("774d.1a2b3c4d.part", false),
            ("774d.1a2b3c4d.meta", false),
            ("774d.1a2b3c4d.meta.new", false),
        ] {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join(name), "film").unwrap();

            assert_eq!(
                complete_file(folder.path()).is_some(),
                is_complete,
                "{name}"
            );
        }
    }
}
