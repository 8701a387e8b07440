//! The preview of the selected task: the request, and its progress.

use crate::domain::{
    comparison::{Comparison, VideoSource},
    preview::{CellArea, PreviewError, PreviewId, PreviewRequest},
    task::TaskId,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreviewStage {
    Rendering,
    /// No longer needed; the response is still awaited.
    Stopping,
    Shown,
    Failed(PreviewError),
}

/// The two preview images of a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskPreview {
    pub request: PreviewRequest,
    pub stage: PreviewStage,
}

/// The preview requests. At most one is in progress.
#[derive(Debug, Clone, Default)]
pub struct PreviewState {
    pub(in crate::app) current: Option<TaskPreview>,
    pub(in crate::app) area: Option<CellArea>,
    pub(in crate::app) last_id: PreviewId,
}

impl PreviewState {
    pub(super) fn for_task(&self, task: &TaskId) -> Option<&TaskPreview> {
        self.current
            .as_ref()
            .filter(|preview| preview.request.task == *task)
    }

    /// Returns why a task has no preview, if known.
    pub(super) fn error(&self, task: &TaskId) -> Option<PreviewError> {
        let preview = self.current.as_ref()?;
        match preview.stage {
            PreviewStage::Failed(error) if error.is_global() || preview.request.task == *task => {
                Some(error)
            }
            PreviewStage::Failed(_)
            | PreviewStage::Rendering
            | PreviewStage::Stopping
            | PreviewStage::Shown => None,
        }
    }

    pub(super) const fn area(&self) -> Option<CellArea> {
        self.area
    }

    /// Returns a request for a task's preview in the measured area.
    pub(super) fn request(&self, comparison: Comparison) -> Option<PreviewRequest> {
        let file = |source: VideoSource| source.file;
        Some(PreviewRequest {
            id: self.last_id.next(),
            result: comparison.results.into_iter().find_map(file)?,
            input: comparison.inputs.into_iter().next()?,
            task: comparison.task,
            area: self.area?,
        })
    }
}
