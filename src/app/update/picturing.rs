//! Pictures of the selected task: ordered one pair after the other, and only when somebody would see them.

use crate::{
    app::{
        msg::Effect,
        state::{Picture, PictureStage, State},
    },
    domain::picture::{PictureError, PictureNumber, PictureOrder},
};

/// Takes in how an order ended. What was stopped is forgotten, so that it is ordered again when it is wanted again.
pub(super) fn pictured(state: &mut State, number: PictureNumber, result: Result<(), PictureError>) {
    if let Some(picture) = &mut state.pictures.last
        && picture.order.number == number
    {
        picture.stage = match (result, picture.stage) {
            (Ok(()), _) => PictureStage::Shown,
            (Err(_), PictureStage::Stopping) => {
                state.pictures.last = None;
                return;
            }
            (Err(error), PictureStage::Reading | PictureStage::Shown | PictureStage::Failed(_)) => {
                PictureStage::Failed(error)
            }
        };
    }
}

/// Lets what failed be tried again, as after ffmpeg was installed.
pub(super) fn forget_failure(state: &mut State) {
    if let Some(picture) = &state.pictures.last
        && matches!(picture.stage, PictureStage::Failed(_))
    {
        state.pictures.last = None;
    }
}

/// Orders the pictures that are wanted now. While others are being read it waits for their answer; those of videos that
/// nobody looks at any more are stopped before.
pub(super) fn follow(state: &mut State, effects: &mut Vec<Effect>) {
    if state.overlay.is_some() {
        return;
    }
    let order = state.picture_order();
    if let Some(last) = &mut state.pictures.last {
        match last.stage {
            PictureStage::Reading => {
                let is_wanted = |order: &PictureOrder| order.is_of_the_same(&last.order);
                if !order.as_ref().is_some_and(is_wanted) {
                    last.stage = PictureStage::Stopping;
                    effects.push(Effect::StopPicture(last.order.number));
                }
                return;
            }
            PictureStage::Stopping => return,
            PictureStage::Shown | PictureStage::Failed(_) => {}
        }
    }
    let Some(order) = order else {
        return;
    };
    let is_known = |picture: &Picture| picture.order.is_same_as(&order);
    if state.pictures.last.as_ref().is_some_and(is_known) {
        return;
    }
    state.pictures.number = order.number;
    state.pictures.last = Some(Picture {
        order: order.clone(),
        stage: PictureStage::Reading,
    });
    effects.push(Effect::Picture(Box::new(order)));
}
