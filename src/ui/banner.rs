//! What concerns the whole account or the list: said once, with what happens next.
//!
//! Where it stands, and how much of it fits, is the header's and the footer's to say.

use super::{format, render_context::RenderContext, theme::Role};
use crate::{
    app::keymap::Action,
    domain::{
        list_change::{AccessMode, StoreError},
        poll_result::PollError,
    },
};

/// What concerns the whole account or list; said once, with what happens next.
#[derive(Debug)]
pub(super) struct Banner {
    /// What is the matter.
    problem: String,
    /// When it is tried again, where anything is.
    retry: String,
    /// What the user can do.
    pub(super) next_step: String,
    /// How grave it is.
    pub(super) role: Role,
}

impl Banner {
    /// Returns what is the matter, and when it is tried again.
    pub(super) fn headline(&self) -> String {
        join_sentences(&self.problem, &self.retry)
    }

    /// Returns all of it.
    pub(super) fn full_text(&self) -> String {
        join_sentences(&self.headline(), &self.next_step)
    }

    /// Returns the headline in so much room: of one too long the end of what is the matter goes,
    /// and the countdown stays.
    pub(super) fn fit_headline(&self, room: usize, ellipsis: &str) -> String {
        let headline = self.headline();
        let kept = format::width(&self.retry) + 1;
        if self.retry.is_empty()
            || format::width(&headline) <= room
            || kept + MIN_PROBLEM_WIDTH > room
        {
            return format::fit_end(&headline, room, ellipsis).into_owned();
        }
        let what = format::fit_end(&self.problem, room - kept, ellipsis);
        join_sentences(&what, &self.retry)
    }

    /// Returns as much of all of it as there is room for, the headline first.
    pub(super) fn fit_full_text(&self, room: usize, ellipsis: &str) -> String {
        if format::width(&self.headline()) > room {
            return self.fit_headline(room, ellipsis);
        }
        format::fit_end(&self.full_text(), room, ellipsis).into_owned()
    }
}

/// The least of what is the matter that still says something, in cells.
const MIN_PROBLEM_WIDTH: usize = 16;

/// Joins two sentences, of which the second may be empty.
fn join_sentences(first: &str, second: &str) -> String {
    if second.is_empty() {
        first.to_owned()
    } else {
        format!("{first} {second}")
    }
}

/// Returns what concerns the whole account or list, the gravest first. A list that could not be
/// read is not among it: that is said where the list would be.
pub(super) fn banner(scene: &RenderContext<'_>) -> Option<Banner> {
    let RenderContext { state, now, .. } = scene;
    if let Some(error) = &state.write_queue().error {
        let again = state.write_queue().retry_at.map_or_else(
            || "Trying again now.".to_owned(),
            |at| format!("Trying again in {}.", format::countdown(at.since(now.mono))),
        );
        let may_write = state.settings().access == AccessMode::Full;
        let key = state.keymap().key_for(Action::RestoreListFile);
        let key = key.filter(|_| may_write);
        let what = match (error, key) {
            // The path is in the messages; here it would leave no room for the next step.
            (StoreError::Missing(_), Some(key)) => {
                let key = scene.theme.key_name(key);
                format!("Not saved: the list file is gone. {key} writes it back.")
            }
            (error, _) => format!("Not saved: {error}."),
        };
        return Some(Banner {
            problem: what,
            retry: String::new(),
            next_step: again,
            role: Role::Error,
        });
    }
    if let Some(hold) = state.poll_queue().backoff() {
        let wait = hold.until.since(now.mono);
        if hold.error == PollError::NoKey {
            // A variable cannot appear in a program that runs: there is nothing to wait for.
            return Some(Banner {
                problem: "No API key is set: set KIE_API_KEY and start again.".to_owned(),
                retry: String::new(),
                next_step: String::new(),
                role: Role::Error,
            });
        }
        let asking = if matches!(hold.error, PollError::KeyUnreadable(_)) {
            "Reading it again"
        } else {
            "Asking again"
        };
        let again = if state.poll_queue().is_paused() {
            "Paused.".to_owned()
        } else if wait.is_zero() || state.list().counts().in_flight > 0 {
            "Asking now.".to_owned()
        } else {
            format!("{asking} in {}.", format::countdown(wait))
        };
        return Some(Banner {
            problem: format!("{}.", format::capitalised(&hold.message(now.mono))),
            retry: again,
            next_step: hold.error.next_step().to_owned(),
            role: Role::Error,
        });
    }
    if state.poll_queue().is_paused() {
        let key = state
            .keymap()
            .key_for(Action::Pause)
            .map(|key| scene.theme.key_name(key));
        return Some(Banner {
            problem: "Paused: nothing is asked by itself.".to_owned(),
            retry: String::new(),
            next_step: key.map_or_else(String::new, |key| format!("{key} goes on.")),
            role: Role::Warn,
        });
    }
    None
}
