//! What concerns the whole account or the list: said once, with what happens next.
//!
//! Where it stands, and how much of it fits, is the header's and the footer's to say.

use super::{format, scene::Scene, theme::Role};
use crate::{
    app::keymap::Action,
    domain::{
        change::{Access, StoreError},
        report::PollError,
    },
};

/// Is what concerns the whole account or list; said once, with what happens next.
#[derive(Debug)]
pub(super) struct Banner {
    /// What is the matter.
    what: String,
    /// When it is tried again, where anything is.
    again: String,
    /// What the user can do.
    pub(super) next_step: String,
    /// How grave it is.
    pub(super) role: Role,
}

impl Banner {
    /// Returns what is the matter, and when it is tried again.
    pub(super) fn headline(&self) -> String {
        joined(&self.what, &self.again)
    }

    /// Returns all of it.
    pub(super) fn whole(&self) -> String {
        joined(&self.headline(), &self.next_step)
    }

    /// Returns the headline in so much room: of one too long the end of what is the matter goes, and the countdown stays.
    pub(super) fn fit(&self, room: usize, ellipsis: &str) -> String {
        let headline = self.headline();
        let kept = format::width(&self.again) + 1;
        if self.again.is_empty() || format::width(&headline) <= room || kept + LEAST_WHAT > room {
            return format::fit_end(&headline, room, ellipsis).into_owned();
        }
        let what = format::fit_end(&self.what, room - kept, ellipsis);
        joined(&what, &self.again)
    }

    /// Returns as much of all of it as there is room for, the headline first.
    pub(super) fn fit_whole(&self, room: usize, ellipsis: &str) -> String {
        if format::width(&self.headline()) > room {
            return self.fit(room, ellipsis);
        }
        format::fit_end(&self.whole(), room, ellipsis).into_owned()
    }
}

/// The least of what is the matter that still says something, in cells.
const LEAST_WHAT: usize = 16;

/// Joins two sentences, of which the second may be empty.
fn joined(first: &str, second: &str) -> String {
    if second.is_empty() {
        first.to_owned()
    } else {
        format!("{first} {second}")
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
        let may_write = state.settings().access == Access::Full;
        let key = state.keymap().key_of(Action::WriteBack);
        let key = key.filter(|_| may_write);
        let what = match (error, key) {
            // The path is in the messages; here it would leave no room for the next step.
            (StoreError::Gone(_), Some(key)) => {
                let key = scene.theme.key(key);
                format!("Not saved: the list file is gone. {key} writes it back.")
            }
            (error, _) => format!("Not saved: {error}."),
        };
        return Some(Banner {
            what,
            again: String::new(),
            next_step: again,
            role: Role::Error,
        });
    }
    if let Some(hold) = state.polls().hold() {
        let wait = hold.until.since(now.mono);
        if hold.error == PollError::NoKey {
            // A variable cannot appear in a program that runs: there is nothing to wait for.
            return Some(Banner {
                what: "No API key is set: set KIE_API_KEY and start again.".to_owned(),
                again: String::new(),
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
            what: format!("{}.", format::sentence(&hold.message(now.mono))),
            again,
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
            what: "Paused: nothing is asked by itself.".to_owned(),
            again: String::new(),
            next_step: key.map_or_else(String::new, |key| format!("{key} goes on.")),
            role: Role::Warn,
        });
    }
    None
}
