//! What a status means for the person who paid, and what to do next, in whole sentences.

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

/// How long a task is on the list until no data of it is called that.
const NO_DATA_AFTER: Duration = Duration::from_mins(10);

/// Returns the sentences, in the order they are read.
pub(super) fn advice(watched: &WatchedTask, scene: &RenderContext<'_>) -> Vec<(String, Role)> {
    let open = scene.key_name(Action::OpenResult);
    let check = scene.key_name(Action::Refresh);
    let save = scene.key_name(Action::Save);
    let life = watched.link_expiry(scene.state.settings().retention, scene.now);
    match scene.status_of(watched) {
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
        Status::Ready | Status::Saved => vec![(ready_text(&open, &save, life), urgency_role(life))],
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
            (ready_text(&open, &save, life), urgency_role(life)),
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
                not_found_text(scene.now.age_of(watched.added))
            ),
            Role::Warn,
        )],
        Status::Unknown => vec![(
            "The server's answer is not understood, and shown as it came.".into(),
            Role::Warn,
        )],
    }
}

/// Says of a task nothing is known of why that may be so.
fn new_task(watched: &WatchedTask) -> &'static str {
    let failed = watched.poll_history.last_error.as_ref();
    if failed.is_some_and(|failed| failed.error == PollError::NotFound) {
        "No details yet: the server may not know a task in its first seconds."
    } else {
        "Not answered for yet."
    }
}

/// Says that the server has nothing of a task that is watched for so long. It says so in several
/// ways, of which "no such task" is one and no data another: after a while what was meant is no
/// comfort.
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

fn ready_text(open: &str, save: &str, life: LinkExpiry) -> String {
    match life {
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

fn urgency_role(life: LinkExpiry) -> Role {
    match life.urgency() {
        Urgency::VerySoon | Urgency::Soon => Role::Warn,
        Urgency::None => Role::Text,
    }
}

fn missing_link_text(watched: &WatchedTask, check: &str) -> String {
    let has_refused =
        matches!(watched.task.state(), TaskState::Succeeded { videos, .. } if !videos.is_empty());
    if has_refused {
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

/// Returns why the last check failed and what follows; nothing when it did not.
pub(super) fn check_error(
    watched: &WatchedTask,
    scene: &RenderContext<'_>,
) -> Option<(String, String)> {
    let failed = watched.poll_history.last_error.as_ref()?;
    let ago = format::ago(scene.now.age_of(failed.at));
    let status = scene.status_of(watched);
    // The advice for the status says both what is the matter and what can be done.
    let is_said = matches!(status, Status::New | Status::NotFound);
    if failed.error == PollError::NotFound && is_said {
        return None;
    }
    let message = watched.last_error_message()?;
    let mut next = if watched.is_no_longer_on_server() {
        "What was known of it is kept.".to_owned()
    } else {
        failed.error.next_step().to_owned()
    };
    let asks_once = matches!(
        failed.error,
        PollError::NotFound | PollError::Rejected { .. }
    );
    let check = scene.key_name(Action::Refresh);
    if asks_once && !check.is_empty() {
        next = format!("{next} {check} asks again.");
    }
    Some((format!("{message}, {ago}"), next))
}
