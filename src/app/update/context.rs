//! The context of the update functions.

use crate::{
    app::{msg::Effect, state::State},
    domain::time::Now,
};

/// The state, the time of the current message, and the effects to run after it.
#[derive(Debug)]
pub(super) struct Context<'a> {
    pub(super) state: &'a mut State,
    pub(super) now: Now,
    pub(super) effects: Vec<Effect>,
}
