//! The banner: a problem of the whole account or list, and what happens next.
//!
//! Header and footer decide where it is drawn and how much of it fits.

use super::{render_context::RenderContext, theme::Role};
use crate::{
    app::keymap::Action,
    domain::{
        list_change::{AccessMode, StoreError},
        poll_result::PollError,
    },
    messages::{format, message_line, screen},
};

/// A problem of the whole account or list.
#[derive(Debug)]
pub(super) struct Banner {
    problem: String,
    /// When the next attempt is; may be empty.
    retry: String,
    pub(super) next_step: String,
    pub(super) role: Role,
}

impl Banner {
    const fn new(role: Role, problem: String, retry: String, next_step: String) -> Self {
        Self {
            problem,
            retry,
            next_step,
            role,
        }
    }

    /// Returns the problem and the time of the next attempt.
    pub(super) fn headline(&self) -> String {
        join_sentences(&self.problem, &self.retry)
    }

    pub(super) fn full_text(&self) -> String {
        join_sentences(&self.headline(), &self.next_step)
    }

    /// Returns the headline, truncated to `room` cells: the countdown stays, the problem is cut.
    pub(super) fn fit_headline(&self, room: usize, ellipsis: &str) -> String {
        let headline = self.headline();
        let retry_width = format::width(&self.retry) + 1;
        if self.retry.is_empty()
            || format::width(&headline) <= room
            || retry_width + MIN_PROBLEM_WIDTH > room
        {
            return format::fit_end(&headline, room, ellipsis).into_owned();
        }
        let problem = format::fit_end(&self.problem, room - retry_width, ellipsis);
        join_sentences(&problem, &self.retry)
    }

    /// Returns the full text, truncated to `room` cells.
    pub(super) fn fit_full_text(&self, room: usize, ellipsis: &str) -> String {
        if format::width(&self.headline()) > room {
            return self.fit_headline(room, ellipsis);
        }
        format::fit_end(&self.full_text(), room, ellipsis).into_owned()
    }
}

/// The shortest truncated problem that is still useful, in cells.
const MIN_PROBLEM_WIDTH: usize = 16;

/// Joins two sentences; the second may be empty.
fn join_sentences(first: &str, second: &str) -> String {
    if second.is_empty() {
        first.to_owned()
    } else {
        format!("{first} {second}")
    }
}

/// Returns the most severe problem of the account or list, if any. A list that could not be read is
/// not one: that error is drawn in place of the list.
pub(super) fn banner(ctx: &RenderContext<'_>) -> Option<Banner> {
    let RenderContext { state, now, .. } = ctx;
    let key_name = |action| {
        let key = state.keymap().key_for(action);
        key.map(|key| ctx.theme.key_name(key))
    };
    let polls = state.poll_queue();
    if let Some(error) = &state.write_queue().error {
        let may_write = state.settings().access == AccessMode::Full;
        let key = key_name(Action::RestoreListFile).filter(|_| may_write);
        let problem = match (error, key) {
            // The path is in the messages; here it would leave no room for the next step.
            (StoreError::Missing(_), Some(key)) => screen::list_file_missing(&key),
            (error, _) => screen::not_saved(&error.to_string()),
        };
        let retry_at = state.write_queue().retry_at;
        let next_step = retry_at.map_or_else(
            || screen::RETRYING_NOW.to_owned(),
            |at| screen::retrying_in(&format::countdown(at.since(now.mono))),
        );
        return Some(Banner::new(Role::Error, problem, String::new(), next_step));
    }
    if let Some(backoff) = polls.backoff() {
        if backoff.error == PollError::NoKey {
            // The environment of a running program does not change: no retry, no countdown.
            let problem = screen::NO_API_KEY.to_owned();
            return Some(Banner::new(
                Role::Error,
                problem,
                String::new(),
                String::new(),
            ));
        }
        let wait = backoff.until.since(now.mono);
        let retry = if polls.is_paused {
            "Paused.".to_owned()
        } else if wait.is_zero() || state.list().counts().in_flight > 0 {
            screen::CHECKING_NOW.to_owned()
        } else {
            message_line::next_try(&format::countdown(wait))
        };
        let problem = format!("{}.", format::capitalised(&backoff.message(now.mono)));
        let next_step = backoff.error.next_step().to_owned();
        return Some(Banner::new(Role::Error, problem, retry, next_step));
    }
    polls.is_paused.then(|| {
        let problem = message_line::POLLING_PAUSED.to_owned();
        let resume =
            key_name(Action::Pause).map(|key| message_line::press(&key, message_line::RESUME_HINT));
        Banner::new(
            Role::Warn,
            problem,
            String::new(),
            resume.unwrap_or_default(),
        )
    })
}
