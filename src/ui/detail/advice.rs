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
    messages::{format, screen},
    ui::{render_context::RenderContext, theme::Role},
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
        Status::Generating => vec![(screen::GENERATING.into(), Role::Text), charge_warning()],
        Status::Finishing => vec![(screen::FINISHING.into(), Role::Text), charge_warning()],
        Status::Late => vec![(screen::LATE.into(), Role::Warn), charge_warning()],
        Status::Ready | Status::Saved => {
            vec![(ready_text(&open, &save, expiry), urgency_role(expiry))]
        }
        Status::NoLink => vec![(missing_link_text(watched, &check), Role::Warn)],
        Status::LinkExpired => vec![(screen::link_expired(&open), Role::Warn)],
        Status::CallbackFailed => vec![
            (screen::CALLBACK_FAILED.into(), Role::Warn),
            (ready_text(&open, &save, expiry), urgency_role(expiry)),
        ],
        Status::CreateFailed => vec![(screen::NOT_CREATED.into(), Role::Text)],
        Status::GenerationFailed => vec![(screen::GENERATION_FAILED.into(), Role::Text)],
        Status::NotFound => vec![(
            format!(
                "{} {}",
                not_found_text(ctx.now.age_of(watched.added)),
                screen::id_question(&check)
            ),
            Role::Warn,
        )],
        Status::Unknown => vec![(screen::UNKNOWN_STATUS.into(), Role::Warn)],
    }
}

fn new_task(watched: &WatchedTask) -> &'static str {
    let failed = watched.poll_history.last_error.as_ref();
    if failed.is_some_and(|failed| failed.error == PollError::NotFound) {
        screen::UNKNOWN_IN_FIRST_SECONDS
    } else {
        screen::NO_ANSWER_YET
    }
}

/// Returns the sentence on a task without data, by its time on the list. "No such task" and "no
/// data" are different answers, but after a while the difference does not matter.
fn not_found_text(watched_for: Duration) -> String {
    if watched_for < NO_DATA_AFTER {
        return screen::TASK_NOT_FOUND.to_owned();
    }
    screen::no_data_after(&format::format_age(watched_for))
}

fn charge_warning() -> (String, Role) {
    (screen::MAY_BE_CHARGED_TWICE.into(), Role::Text)
}

fn ready_text(open: &str, save: &str, expiry: LinkExpiry) -> String {
    match expiry {
        LinkExpiry::Remaining(left) => format!(
            "{} {}",
            screen::open_or_save(open, save),
            screen::link_expires_in(&format::run_time(left))
        ),
        LinkExpiry::Saved => screen::saved_on_disk(open),
        LinkExpiry::None | LinkExpiry::Expired | LinkExpiry::Unknown => {
            screen::open_or_save(open, save)
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
        return screen::UNUSABLE_LINK.into();
    }
    match watched.poll_state {
        PollState::Stopped(_) => screen::no_link(check),
        PollState::DueAt(_) | PollState::InFlight { .. } => screen::LINK_PENDING.into(),
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
        screen::LAST_STATE_KEPT.to_owned()
    } else {
        failed.error.next_step().to_owned()
    };
    let is_final = matches!(
        failed.error,
        PollError::NotFound | PollError::Rejected { .. }
    );
    let check = ctx.key_name(Action::Refresh);
    if is_final && !check.is_empty() {
        next = format!("{next} {}", screen::press_to_check(&check));
    }
    Some((format!("{message}, {ago}"), next))
}
