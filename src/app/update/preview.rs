//! Pictures of the selected task: ordered one pair after the other, and only when somebody would
//! see them.

use crate::{
    app::{
        msg::Effect,
        state::{PreviewStage, State, TaskPreview},
    },
    domain::preview::{PreviewError, PreviewId, PreviewRequest},
};

/// Takes in how an order ended. What was stopped is forgotten, so that it is ordered again when it
/// is wanted again.
pub(super) fn preview_ready(
    state: &mut State,
    number: PreviewId,
    result: Result<(), PreviewError>,
) {
    if let Some(picture) = &mut state.previews.current
        && picture.request.id == number
    {
        picture.stage = match (result, picture.stage) {
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

/// Lets what failed be tried again, as after ffmpeg was installed.
pub(super) fn clear_failure(state: &mut State) {
    if let Some(picture) = &state.previews.current
        && matches!(picture.stage, PreviewStage::Failed(_))
    {
        state.previews.current = None;
    }
}

/// Orders the pictures that are wanted now. While others are being read it waits for their answer;
/// those of videos that nobody looks at any more are stopped before.
pub(super) fn request_preview(state: &mut State, effects: &mut Vec<Effect>) {
    if state.overlay.is_some() {
        return;
    }
    let order = state.preview_request();
    if let Some(last) = &mut state.previews.current {
        match last.stage {
            PreviewStage::Rendering => {
                let is_wanted = |order: &PreviewRequest| order.has_same_videos(&last.request);
                if !order.as_ref().is_some_and(is_wanted) {
                    last.stage = PreviewStage::Stopping;
                    effects.push(Effect::StopPreview(last.request.id));
                }
                return;
            }
            PreviewStage::Stopping => return,
            PreviewStage::Shown | PreviewStage::Failed(_) => {}
        }
    }
    let Some(order) = order else {
        return;
    };
    let is_known = |picture: &TaskPreview| picture.request.is_equivalent(&order);
    if state.previews.current.as_ref().is_some_and(is_known) {
        return;
    }
    state.previews.last_id = order.id;
    state.previews.current = Some(TaskPreview {
        request: order.clone(),
        stage: PreviewStage::Rendering,
    });
    effects.push(Effect::RenderPreview(Box::new(order)));
}
