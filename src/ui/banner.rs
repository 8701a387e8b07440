//! What concerns the whole account or the list: said once, with what happens next.
//!
//! Where it stands, and how much of it fits, is the header's and the footer's to say.

use super::{format, scene::Scene, theme::Role};
use crate::{app::keymap::Action, domain::report::PollError};

/// Is what concerns the whole account or list; said once, with what happens next.
#[derive(Debug)]
pub(super) struct Banner {
    /// What is the matter, and when it is tried again.
    pub(super) headline: String,
    /// What the user can do.
    pub(super) next_step: String,
    /// How grave it is.
    pub(super) role: Role,
}

impl Banner {
    /// Returns all of it.
    pub(super) fn whole(&self) -> String {
        if self.next_step.is_empty() {
            self.headline.clone()
        } else {
            format!("{} {}", self.headline, self.next_step)
        }
    }
}

/// Returns what concerns the whole account or list, the gravest first. A list that could not be read is not
/// among it: that is said where the list would be.
pub(super) fn banner(scene: &Scene<'_>) -> Option<Banner> {
    let Scene { state, now, .. } = scene;
    if let Some(error) = &state.unsaved().error {
        let again = state.unsaved().retry.map_or_else(
            || "Trying again now.".to_owned(),
            |at| format!("Trying again in {}.", format::wait(at.since(now.mono))),
        );
        return Some(Banner {
            headline: format!("Not saved: {error}."),
            next_step: again,
            role: Role::Error,
        });
    }
    if let Some(hold) = state.polls().hold() {
        let wait = hold.until.since(now.mono);
        if hold.error == PollError::NoKey {
            // A variable cannot appear in a program that runs: there is nothing to wait for.
            return Some(Banner {
                headline: "No API key is set: set KIE_API_KEY and start again.".to_owned(),
                next_step: String::new(),
                role: Role::Error,
            });
        }
        let asking = if matches!(hold.error, PollError::KeyUnread(_)) {
            "Reading it again"
        } else {
            "Asking again"
        };
        let again = if state.polls().is_paused() {
            "Paused.".to_owned()
        } else if wait.is_zero() || state.list().tally().in_flight > 0 {
            "Asking now.".to_owned()
        } else {
            format!("{asking} in {}.", format::wait(wait))
        };
        return Some(Banner {
            headline: format!("{}. {again}", format::sentence(&hold.error.message())),
            next_step: hold.error.next_step().to_owned(),
            role: Role::Error,
        });
    }
    if state.polls().is_paused() {
        let key = state
            .keymap()
            .key_of(Action::Pause)
            .map(|key| scene.theme.key(key));
        return Some(Banner {
            headline: "Paused: nothing is asked by itself.".to_owned(),
            next_step: key.map_or_else(String::new, |key| format!("{key} goes on.")),
            role: Role::Warn,
        });
    }
    None
}
