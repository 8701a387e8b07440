//! A task's input videos beside its results.

use std::path::PathBuf;

use super::{link::VideoUrl, task::TaskId, watched_task::WatchedTask};

/// A video: its link, and its file if it was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoSource {
    /// Expires after about two weeks.
    pub link: VideoUrl,
    /// May have been moved or deleted since.
    pub file: Option<PathBuf>,
}

/// A task's input and results. Both lists hold at least one video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    pub task: TaskId,
    /// The title of the row.
    pub title: String,
    pub prompt: Option<String>,
    pub inputs: Vec<VideoSource>,
    pub results: Vec<VideoSource>,
}

/// The side that a comparison lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingSide {
    /// The server named no input that can be opened.
    Input,
    /// No result, or no link to it.
    Result,
}

impl Comparison {
    /// Collects both sides. Without a result, [`MissingSide::Result`] is reported even if the input
    /// is missing too.
    pub fn for_task(watched: &WatchedTask) -> Result<Self, MissingSide> {
        let file_of = |number| {
            let mut files = watched.saved_results.existing();
            let file = files.find(|file| file.number == number);
            file.map(|file| file.path.clone())
        };
        let source = |(link, file): (&VideoUrl, Option<PathBuf>)| VideoSource {
            link: link.clone(),
            file,
        };
        let results: Vec<_> = watched
            .task
            .state()
            .videos()
            .zip((1..).map(file_of))
            .map(source)
            .collect();
        if results.is_empty() {
            return Err(MissingSide::Result);
        }
        let inputs = watched
            .task
            .input_videos()
            .into_iter()
            .map(|link| (link, None));
        let inputs: Vec<_> = inputs.map(source).collect();
        if inputs.is_empty() {
            return Err(MissingSide::Input);
        }
        let prompt = watched.task.details().prompt.as_ref();
        Ok(Self {
            task: watched.id().clone(),
            title: watched.title().to_owned(),
            prompt: prompt.map(ToString::to_string),
            inputs,
            results,
        })
    }
}
