//! What a status means for the person who paid, and what to do next, in whole sentences.

use crate::{
    app::keymap::Action,
    domain::{
        report::PollError,
        schedule::Polling,
        status::{LinkLife, Status, Urgency},
        task::TaskState,
        watchlist::Watched,
    },
    ui::{format, scene::Scene, theme::Role},
};

/// Returns the sentences, in the order they are read.
pub(super) fn advice(watched: &Watched, scene: &Scene<'_>) -> Vec<(String, Role)> {
    let open = scene.key(Action::OpenResult);
    let check = scene.key(Action::CheckOne);
    let save = scene.key(Action::Save);
    let life = watched.link_life(scene.state.settings().retention, scene.now);
    match scene.status_of(watched) {
        Status::New => vec![("Not answered for yet.".into(), Role::Text)],
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
                "The server knows no such task. Is the id complete, and of this account? {check} asks again."
            ),
            Role::Warn,
        )],
        Status::Unknown => vec![(
            "The server's answer is not understood, and shown as it came.".into(),
            Role::Warn,
        )],
    }
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
    // The advice for the status says both what is the matter and what can be done.
    if failed.error == PollError::NotFound && scene.status_of(watched) == Status::NotFound {
        return None;
    }
    let mut next = failed.error.next_step().to_owned();
    let asks_once = matches!(
        failed.error,
        PollError::NotFound | PollError::Refused { .. }
    );
    let check = scene.key(Action::CheckOne);
    if asks_once && !check.is_empty() {
        next = format!("{next} {check} asks again.");
    }
    Some((format!("{}, {ago}", failed.error.message()), next))
}
