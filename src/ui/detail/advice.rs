//! What a status means for the person who paid, and what to do next, in whole sentences.

use std::time::Duration;

use crate::{
    app::keymap::Action,
    domain::{
        report::PollError,
        schedule::Polling,
        status::{LinkLife, Status, Urgency},
        task::TaskState,
        watched::Watched,
    },
    ui::{format, scene::Scene, theme::Role},
};

/// How long a task is on the list until no data of it is called that.
const NO_DATA_AFTER: Duration = Duration::from_mins(10);

/// Returns the sentences, in the order they are read.
pub(super) fn advice(watched: &Watched, scene: &Scene<'_>) -> Vec<(String, Role)> {
    let open = scene.key(Action::OpenResult);
    let check = scene.key(Action::CheckOne);
    let save = scene.key(Action::Save);
    let life = watched.link_life(scene.state.settings().retention, scene.now);
    match scene.status_of(watched) {
        Status::New => vec![(new(watched).into(), Role::Text)],
        Status::Generating => vec![
            ("Nothing to do: it is still being made.".into(), Role::Text),
            charged(),
        ],
        Status::Finishing => vec![
            (
                "The video seems made; the server has yet to say so.".into(),
                Role::Text,
            ),
            charged(),
        ],
        Status::Late => vec![
            (
                "It takes longer than most, and is still being made.".into(),
                Role::Warn,
            ),
            charged(),
        ],
        Status::Ready | Status::Saved => vec![(ready(&open, &save, life), urgency(life))],
        Status::NoLink => vec![(no_link(watched, &check), Role::Warn)],
        Status::LinkGone => vec![(
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
            (ready(&open, &save, life), urgency(life)),
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
                not_found(scene.now.age_of(watched.added))
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
fn new(watched: &Watched) -> &'static str {
    let failed = watched.freshness.last_error.as_ref();
    if failed.is_some_and(|failed| failed.error == PollError::NotFound) {
        "No details yet: the server may not know a task in its first seconds."
    } else {
        "Not answered for yet."
    }
}

/// Says that the server has nothing of a task that is watched for so long. It says so in several ways, of which "no
/// such task" is one and no data another: after a while what was meant is no comfort.
fn not_found(watched_for: Duration) -> String {
    if watched_for < NO_DATA_AFTER {
        return "The server knows no such task.".to_owned();
    }
    let time = format::age(watched_for);
    format!("The server returns no data of it, after {time} on the list.")
}

fn charged() -> (String, Role) {
    ("Resubmitting now may be charged twice.".into(), Role::Text)
}

fn ready(open: &str, save: &str, life: LinkLife) -> String {
    match life {
        LinkLife::Left(left) => format!(
            "{open} opens the video, {save} saves it. Its link lives about {} more.",
            format::run_time(left)
        ),
        LinkLife::Saved => format!("The video is on disk; {open} opens it."),
        LinkLife::None | LinkLife::Gone | LinkLife::Unknown => {
            format!("{open} opens the video, {save} saves it.")
        }
    }
}

fn urgency(life: LinkLife) -> Role {
    match life.urgency() {
        Urgency::VerySoon | Urgency::Soon => Role::Warn,
        Urgency::None => Role::Text,
    }
}

fn no_link(watched: &Watched, check: &str) -> String {
    let has_refused =
        matches!(watched.task.state(), TaskState::Succeeded { videos, .. } if !videos.is_empty());
    if has_refused {
        return "It is made, but its link is none that can be opened.".into();
    }
    match watched.polling {
        Polling::Stopped(_) => {
            format!("The server says it is made but gave no link. {check} asks again.")
        }
        Polling::DueAt(_) | Polling::InFlight { .. } => {
            "The server says it is made but gave no link yet; it is asked again by itself.".into()
        }
    }
}

/// Returns why the last check failed and what follows; nothing when it did not.
pub(super) fn check_error(watched: &Watched, scene: &Scene<'_>) -> Option<(String, String)> {
    let failed = watched.freshness.last_error.as_ref()?;
    let ago = format::ago(scene.now.age_of(failed.at));
    let status = scene.status_of(watched);
    // The advice for the status says both what is the matter and what can be done.
    let is_said = matches!(status, Status::New | Status::NotFound);
    if failed.error == PollError::NotFound && is_said {
        return None;
    }
    let message = watched.check_message()?;
    let mut next = if watched.is_no_longer_there() {
        "What was known of it is kept.".to_owned()
    } else {
        failed.error.next_step().to_owned()
    };
    let asks_once = matches!(
        failed.error,
        PollError::NotFound | PollError::Refused { .. }
    );
    let check = scene.key(Action::CheckOne);
    if asks_once && !check.is_empty() {
        next = format!("{next} {check} asks again.");
    }
    Some((format!("{message}, {ago}"), next))
}
