//! Previews of the selected task: requested one at a time, and only while visible.

use super::context::Context;
use crate::{
    app::{
        msg::Effect,
        state::{PreviewStage, State, TaskPreview},
    },
    domain::preview::{PreviewError, PreviewId, PreviewRequest},
};

/// Applies the result of a preview. A stopped one is dropped, so that it can be requested again.
pub(super) fn preview_ready(state: &mut State, id: PreviewId, result: Result<(), PreviewError>) {
    if let Some(preview) = &mut state.previews.current
        && preview.request.id == id
    {
        preview.stage = match (result, preview.stage) {
            (Ok(()), _) => PreviewStage::Shown,
            (Err(_), PreviewStage::Stopping) => {
                state.previews.current = None;
                return;
            }
            (
                Err(error),
                PreviewStage::Rendering | PreviewStage::Shown | PreviewStage::Failed(_),
            ) => PreviewStage::Failed(error),
        };
    }
}

/// Drops a failed preview so that it is tried again, for example once ffmpeg is installed.
pub(super) fn clear_failure(state: &mut State) {
    if let Some(preview) = &state.previews.current
        && matches!(preview.stage, PreviewStage::Failed(_))
    {
        state.previews.current = None;
    }
}

/// Requests the preview that is wanted now. While another one is being rendered, requests none, but
/// stops that one if it is no longer visible.
pub(super) fn request_preview(cx: &mut Context) {
    if cx.state.overlay.is_some() {
        return;
    }
    let request = cx.state.preview_request();
    if let Some(last) = &mut cx.state.previews.current {
        match last.stage {
            PreviewStage::Rendering => {
                let is_wanted = |request: &PreviewRequest| request.has_same_videos(&last.request);
                if !request.as_ref().is_some_and(is_wanted) {
                    last.stage = PreviewStage::Stopping;
                    cx.effects.push(Effect::StopPreview(last.request.id));
                }
                return;
            }
            PreviewStage::Stopping => return,
            PreviewStage::Shown | PreviewStage::Failed(_) => {}
        }
    }
    let Some(request) = request else {
        return;
    };
    let is_known = |preview: &TaskPreview| preview.request.is_equivalent(&request);
    if cx.state.previews.current.as_ref().is_some_and(is_known) {
        return;
    }
    cx.state.previews.last_id = request.id;
    cx.state.previews.current = Some(TaskPreview {
        request: request.clone(),
        stage: PreviewStage::Rendering,
    });
    cx.effects.push(Effect::RenderPreview(Box::new(request)));
}
