//! The two pictures of the selected task: what was ordered, and how far it is.

use crate::domain::{
    comparison::{Comparison, VideoSource},
    preview::{CellArea, PreviewError, PreviewId, PreviewRequest},
    task::TaskId,
};

/// How far pictures are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreviewStage {
    /// They are being read.
    Rendering,
    /// They were to be read, but nobody would see them any more; an answer is still awaited.
    Stopping,
    /// They are there.
    Shown,
    /// There are none.
    Failed(PreviewError),
}

/// A pair of pictures: what it is made from, and how far it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskPreview {
    /// What was ordered.
    pub request: PreviewRequest,
    /// How far it is.
    pub stage: PreviewStage,
}

/// The core's side of pictures. One order at most is under way.
#[derive(Debug, Clone, Default)]
pub struct PreviewState {
    pub(in crate::app) current: Option<TaskPreview>,
    pub(in crate::app) area: Option<CellArea>,
    pub(in crate::app) last_id: PreviewId,
}

impl PreviewState {
    /// Returns what is last known of a task's pictures.
    pub(super) fn for_task(&self, task: &TaskId) -> Option<&TaskPreview> {
        self.current
            .as_ref()
            .filter(|last| last.request.task == *task)
    }

    /// Returns why a task has no pictures, as far as that is known.
    pub(super) fn error(&self, task: &TaskId) -> Option<PreviewError> {
        let last = self.current.as_ref()?;
        match last.stage {
            PreviewStage::Failed(error) if error.is_global() || last.request.task == *task => {
                Some(error)
            }
            PreviewStage::Failed(_)
            | PreviewStage::Rendering
            | PreviewStage::Stopping
            | PreviewStage::Shown => None,
        }
    }

    /// Returns the room for each picture, as last measured.
    pub(super) const fn area(&self) -> Option<CellArea> {
        self.area
    }

    /// Returns what pictures of a task, in the room there is, are to be made from.
    pub(super) fn request(&self, comparison: Comparison) -> Option<PreviewRequest> {
        let file = |clip: VideoSource| clip.file;
        Some(PreviewRequest {
            id: self.last_id.next(),
            result: comparison.results.into_iter().find_map(file)?,
            input: comparison.inputs.into_iter().next()?,
            task: comparison.task,
            area: self.area?,
        })
    }
}
