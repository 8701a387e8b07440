//! The message line: what is said there, and the words for it. Knows none of the other families.

use crate::{
    app::{
        keymap::Action,
        state::{Loading, NOTICE_TIME, Notice, State, Tone},
    },
    domain::{change::Access, status::Status, task::TaskId, time::Now, watchlist::Watched},
};

/// Says something in the message line.
pub(super) fn notify(state: &mut State, tone: Tone, text: impl Into<String>, now: Now) {
    state.notice = Some(Notice {
        text: text.into(),
        tone,
        until: now.mono.after(NOTICE_TIME),
    });
}

/// Returns a sentence with the key that does something, to follow another: " r asks again."; empty without a key.
pub(super) fn step(state: &State, action: Action, what: &str) -> String {
    let chord = state.keymap().key_of(action);
    chord.map_or_else(String::new, |chord| format!(" {} {what}.", chord.ascii()))
}

/// Says why the list cannot be changed, if it cannot.
pub(super) fn refuses_changes(state: &mut State, now: Now) -> bool {
    let reason = match (&state.loading, state.settings.access) {
        (_, Access::ReadOnly) => "The list is read-only (--read-only).".to_owned(),
        (Loading::Pending, _) => "The list is still being read.".to_owned(),
        (Loading::Failed(error), _) => format!("The list could not be read: {error}."),
        (Loading::Done, Access::Full) => return false,
    };
    notify(state, Tone::Warning, reason, now);
    true
}

/// Says that a task has ended.
pub(super) fn announce(state: &mut State, task: &TaskId, now: Now) {
    let Some(watched) = state.list.get(task) else {
        return;
    };
    let status = state.status_of(watched, &state.estimate(), now);
    let (tone, ending) = match status {
        Status::Ready | Status::Saved | Status::LinkGone => (Tone::Good, "is ready"),
        Status::NoLink => (Tone::Warning, "is done, but the server gave no link yet"),
        Status::CallbackFailed => (Tone::Warning, "was made; only its callback failed"),
        Status::CreateFailed => (Tone::Bad, "could not be created"),
        Status::GenerationFailed => (Tone::Bad, "failed"),
        Status::NotFound => (Tone::Warning, "is not known to the server"),
        Status::Unknown => (Tone::Warning, "got an answer kietop does not understand"),
        Status::New | Status::Generating | Status::Finishing | Status::Late => return,
    };
    let text = format!("{} {ending}.", quoted(watched));
    notify(state, tone, text, now);
}

/// Returns a task's title in quotes, short enough for a sentence.
pub(super) fn quoted(watched: &Watched) -> String {
    let title = watched.title().split('\n').next().unwrap_or_default();
    let mut short: String = title.chars().take(40).collect();
    if short.len() < title.len() {
        short.push('…');
    }
    format!("\"{short}\"")
}

/// Returns why a task has no result to do something with ("open", "save"), with the next step.
pub(super) fn nothing_of(state: &State, watched: &Watched, verb: &str, now: Now) -> String {
    let (reason, next) = match state.status_of(watched, &state.estimate(), now) {
        Status::New => (
            format!("Not answered for yet: nothing to {verb}."),
            Some((Action::CheckOne, "asks now")),
        ),
        Status::Generating | Status::Finishing | Status::Late => {
            (format!("Still being made: nothing to {verb} yet."), None)
        }
        Status::CreateFailed | Status::GenerationFailed => (
            "It failed: there is no video.".to_owned(),
            Some((Action::OpenOriginal, "opens the input")),
        ),
        Status::NotFound => (
            format!("The server does not know this task: nothing to {verb}."),
            None,
        ),
        Status::Unknown => (
            format!("The answer was not understood: nothing to {verb}."),
            None,
        ),
        Status::Ready
        | Status::Saved
        | Status::NoLink
        | Status::LinkGone
        | Status::CallbackFailed => (
            "The server gave no link that can be opened.".to_owned(),
            Some((Action::CheckOne, "asks again")),
        ),
    };
    let next = next.map_or_else(String::new, |(action, what)| step(state, action, what));
    format!("{reason}{next}")
}
