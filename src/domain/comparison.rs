//! What is shown side by side: a task's input videos and its results, each where it can be had.

use std::path::PathBuf;

use super::{link::VideoUrl, task::TaskId, watched_task::WatchedTask};

/// One video: its link, and its file where it was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoSource {
    /// The server's link, which dies after about two weeks.
    pub link: VideoUrl,
    /// Where it was saved; it may have been moved or deleted since.
    pub file: Option<PathBuf>,
}

/// A task's input beside its result. Both lists hold at least one video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// Whose.
    pub task: TaskId,
    /// What the row is called.
    pub title: String,
    /// What was asked for.
    pub prompt: Option<String>,
    /// What was put in.
    pub inputs: Vec<VideoSource>,
    /// What was made.
    pub results: Vec<VideoSource>,
}

/// Which side is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingSide {
    /// The server named no input that can be opened.
    Input,
    /// There is no result, or no link to it.
    Result,
}

impl Comparison {
    /// Puts a task's two sides together, or says which is not there; without a result the input is
    /// not missed.
    pub fn for_task(watched: &WatchedTask) -> Result<Self, MissingSide> {
        let file_of = |number| {
            let mut there = watched.saved_results.existing();
            let file = there.find(|file| file.number == number);
            file.map(|file| file.path.clone())
        };
        let clip = |(link, file): (&VideoUrl, Option<PathBuf>)| VideoSource {
            link: link.clone(),
            file,
        };
        let results: Vec<_> = watched
            .task
            .state()
            .videos()
            .zip((1..).map(file_of))
            .map(clip)
            .collect();
        if results.is_empty() {
            return Err(MissingSide::Result);
        }
        let inputs = watched
            .task
            .input_videos()
            .into_iter()
            .map(|link| (link, None));
        let inputs: Vec<_> = inputs.map(clip).collect();
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
