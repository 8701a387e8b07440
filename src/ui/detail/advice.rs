//! The advice on a task: the meaning of its status and the next step.

use std::time::Duration;

use crate::{
    app::keymap::Action,
    domain::{
        poll_result::PollError,
        schedule::PollState,
        status::{LinkExpiry, Status, Urgency},
        task::TaskState,
        watched_task::WatchedTask,
    },
    ui::{format, render_context::RenderContext, theme::Role},
};

/// The time on the list after which "not found" is reported as "no data".
const NO_DATA_AFTER: Duration = Duration::from_mins(10);

/// Returns the sentences on the status, in reading order.
pub(super) fn advice(watched: &WatchedTask, ctx: &RenderContext<'_>) -> Vec<(String, Role)> {
    let open = ctx.key_name(Action::OpenResult);
    let check = ctx.key_name(Action::Refresh);
    let save = ctx.key_name(Action::Save);
    let expiry = watched.link_expiry(ctx.state.settings().retention, ctx.now);
    match ctx.status_of(watched) {
        Status::New => vec![(new_task(watched).into(), Role::Text)],
        Status::Generating => vec![
            ("Nothing to do: it is still being made.".into(), Role::Text),
            charge_warning(),
        ],
        Status::Finishing => vec![
            (
                "The video seems made; the server has yet to say so.".into(),
                Role::Text,
            ),
            charge_warning(),
        ],
        Status::Late => vec![
            (
                "It takes longer than most, and is still being made.".into(),
                Role::Warn,
            ),
            charge_warning(),
        ],
        Status::Ready | Status::Saved => {
            vec![(ready_text(&open, &save, expiry), urgency_role(expiry))]
        }
        Status::NoLink => vec![(missing_link_text(watched, &check), Role::Warn)],
        Status::LinkExpired => vec![(
            format!(
                "The link has probably expired, as results are kept for a limited time; {open} tries it all the same."
            ),
            Role::Warn,
        )],
        Status::CallbackFailed => vec![
            (
                "The video was made; only its delivery to the callback URL failed.".into(),
                Role::Warn,
            ),
            (ready_text(&open, &save, expiry), urgency_role(expiry)),
        ],
        Status::CreateFailed => vec![(
            "It could not be created: there is no video. Submit it again once the cause is gone."
                .into(),
            Role::Text,
        )],
        Status::GenerationFailed => vec![(
            "The generation failed: there is no video. Submit it again once the cause is gone."
                .into(),
            Role::Text,
        )],
        Status::NotFound => vec![(
            format!(
                "{} Is the id complete, and of this account? {check} asks again.",
                not_found_text(ctx.now.age_of(watched.added))
            ),
            Role::Warn,
        )],
        Status::Unknown => vec![(
            "The server's answer is not understood, and shown as it came.".into(),
            Role::Warn,
        )],
    }
}

fn new_task(watched: &WatchedTask) -> &'static str {
    let failed = watched.poll_history.last_error.as_ref();
    if failed.is_some_and(|failed| failed.error == PollError::NotFound) {
        "No details yet: the server may not know a task in its first seconds."
    } else {
        "Not answered for yet."
    }
}

/// Returns the sentence on a task that the server does not return, by the time on the list. "No such
/// task" and "no data" are different answers, but after a while the difference does not matter.
fn not_found_text(watched_for: Duration) -> String {
    if watched_for < NO_DATA_AFTER {
        return "The server knows no such task.".to_owned();
    }
    let time = format::format_age(watched_for);
    format!("The server returns no data of it, after {time} on the list.")
}

fn charge_warning() -> (String, Role) {
    ("Resubmitting now may be charged twice.".into(), Role::Text)
}

fn ready_text(open: &str, save: &str, expiry: LinkExpiry) -> String {
    match expiry {
        LinkExpiry::Remaining(left) => format!(
            "{open} opens the video, {save} saves it. Its link lives about {} more.",
            format::run_time(left)
        ),
        LinkExpiry::Saved => format!("The video is on disk; {open} opens it."),
        LinkExpiry::None | LinkExpiry::Expired | LinkExpiry::Unknown => {
            format!("{open} opens the video, {save} saves it.")
        }
    }
}

fn urgency_role(expiry: LinkExpiry) -> Role {
    match expiry.urgency() {
        Urgency::VerySoon | Urgency::Soon => Role::Warn,
        Urgency::None => Role::Text,
    }
}

fn missing_link_text(watched: &WatchedTask, check: &str) -> String {
    let has_rejected_links =
        matches!(watched.task.state(), TaskState::Succeeded { videos, .. } if !videos.is_empty());
    if has_rejected_links {
        return "It is made, but its link is none that can be opened.".into();
    }
    match watched.poll_state {
        PollState::Stopped(_) => {
            format!("The server says it is made but gave no link. {check} asks again.")
        }
        PollState::DueAt(_) | PollState::InFlight { .. } => {
            "The server says it is made but gave no link yet; it is asked again by itself.".into()
        }
    }
}

/// Returns the error of the last check and the next step, or `None` if it succeeded.
pub(super) fn check_error(
    watched: &WatchedTask,
    ctx: &RenderContext<'_>,
) -> Option<(String, String)> {
    let failed = watched.poll_history.last_error.as_ref()?;
    let ago = format::ago(ctx.now.age_of(failed.at));
    let status = ctx.status_of(watched);
    // The advice on the status says the same.
    let is_in_advice = matches!(status, Status::New | Status::NotFound);
    if failed.error == PollError::NotFound && is_in_advice {
        return None;
    }
    let message = watched.last_error_message()?;
    let mut next = if watched.is_no_longer_on_server() {
        "What was known of it is kept.".to_owned()
    } else {
        failed.error.next_step().to_owned()
    };
    let is_final = matches!(
        failed.error,
        PollError::NotFound | PollError::Rejected { .. }
    );
    let check = ctx.key_name(Action::Refresh);
    if is_final && !check.is_empty() {
        next = format!("{next} {check} asks again.");
    }
    Some((format!("{message}, {ago}"), next))
}
