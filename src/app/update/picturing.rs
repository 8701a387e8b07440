//! Pictures of the selected task: ordered one pair after the other, and only when somebody would see them.

use crate::{
    app::{
        msg::Effect,
        state::{Picture, PictureStage, State},
    },
    domain::picture::{PictureError, PictureNumber},
};

/// Takes in how an order ended.
pub(super) fn pictured(state: &mut State, number: PictureNumber, result: Result<(), PictureError>) {
    if let Some(picture) = &mut state.pictures.last
        && picture.order.number == number
    {
        picture.stage = match result {
            Ok(()) => PictureStage::Shown,
            Err(error) => PictureStage::Failed(error),
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

/// Orders the pictures that are wanted now. While others are being read it waits for their answer.
pub(super) fn follow(state: &mut State, effects: &mut Vec<Effect>) {
    let is_busy = |picture: &Picture| picture.stage == PictureStage::Reading;
    if state.overlay.is_some() || state.pictures.last.as_ref().is_some_and(is_busy) {
        return;
    }
    let Some(order) = state.picture_order() else {
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
