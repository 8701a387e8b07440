//! The message line and what goes beyond it: what is said of endings, in which words, and by which
//! ways.
//!
//! Endings of a few seconds become one notice. Knows none of the other families.

use std::time::Duration;

use crate::{
    app::{
        keymap::Action,
        msg::{Effect, TerminalRequest},
        notifications::{
            FinishedTask, Notification, NotificationBatch, NotifyChannel, TerminalFocus,
            command_variables,
        },
        state::{Absence, ListLoading, Severity, State},
    },
    domain::{
        list_change::AccessMode,
        status::Status,
        task::{TaskId, TaskState},
        time::Now,
        watched_task::{NotifySetting, WatchedTask},
    },
};

/// How long further endings are waited for before one notice goes out for all of them.
const BATCH_DELAY: Duration = Duration::from_secs(3);

/// The most endings a notice names; more are counted.
const MAX_NAMED: usize = 3;

/// Answers a person in the message line.
pub(super) fn reply(state: &mut State, tone: Severity, text: impl Into<String>, now: Now) {
    state.message_line.reply(&text.into(), 0, tone, now);
}

/// Answers a person who did something that can be taken back, and with which key.
pub(super) fn offer_undo(state: &mut State, text: &str, now: Now) {
    let step = key_hint(state, Action::Undo, "undoes it");
    let text = format!("{text}{step}");
    state.message_line.offer_undo(&text, step.len(), now);
}

/// Says what came of something a person began earlier; an undo on offer is not covered by it.
pub(super) fn show_result(state: &mut State, tone: Severity, text: impl Into<String>, now: Now) {
    state.message_line.show_result(&text.into(), tone, now);
}

/// Says news in the message line, once no answer stands there.
pub(super) fn queue_event(state: &mut State, tone: Severity, text: impl Into<String>, now: Now) {
    state.message_line.queue_event(&text.into(), tone, now);
}

/// Takes off what has stood its time, and tells of the endings that had to wait for it.
pub(super) fn advance_messages(state: &mut State, now: Now) {
    let endings = state.message_line.advance(now);
    if state.message().is_none() {
        state.finished_earlier.clear();
    }
    let endings: Vec<_> = endings
        .iter()
        .filter_map(|task| state.list.get(task))
        .collect();
    match endings.as_slice() {
        [] => {}
        [one] => {
            let one = one.id().clone();
            if let Some((tone, sentence)) = finished_message(state, &one, now) {
                queue_event(state, tone, sentence, now);
            }
        }
        several => {
            let text = finished_summary("have ended", several);
            queue_event(state, Severity::Info, text, now);
        }
    }
}

/// Returns a sentence with the key that does something, to follow another: " r asks again."; empty
/// without a key.
pub(super) fn key_hint(state: &State, action: Action, what: &str) -> String {
    let chord = state.keymap().key_for(action);
    chord.map_or_else(String::new, |chord| format!(" {} {what}.", chord.ascii()))
}

/// Says why the list cannot be changed, if it cannot.
pub(super) fn reject_if_read_only(state: &mut State, now: Now) -> bool {
    let reason = match (&state.loading, state.settings.access) {
        (_, AccessMode::ReadOnly) => "The list is read-only (--read-only).".to_owned(),
        (ListLoading::Pending, _) => "The list is still being read.".to_owned(),
        (ListLoading::Failed(error), _) => format!("The list could not be read: {error}."),
        (ListLoading::Done, AccessMode::Full) => return false,
    };
    reply(state, Severity::Warning, reason, now);
    true
}

/// Says that a task has ended: in the message line at once, elsewhere when no further ending has
/// come for a while.
///
/// What had ended before this run and is only learnt of now is no news: it is said here alone.
pub(super) fn report_finished(state: &mut State, task: &TaskId, now: Now) {
    let Some((tone, sentence)) = finished_message(state, task, now) else {
        return;
    };
    let completed = state
        .list
        .get(task)
        .and_then(|watched| watched.task.details().completed);
    let is_meanwhile = state
        .absence
        .as_mut()
        .is_some_and(|away| away.add_finished(task, completed));
    // An answer that is not understood is no ending; it is said, and asked after again.
    let is_ended = |watched: &WatchedTask| *watched.task.state() != TaskState::Unrecognised;
    if !state.list.get(task).is_some_and(is_ended) {
        return queue_event(state, tone, sentence, now);
    }
    let is_known = !state.answered_tasks.contains(task)
        && completed
            .zip(state.started_at)
            .is_some_and(|(completed, begun)| completed <= begun);
    if is_known {
        if !state.finished_earlier.contains(task) {
            state.finished_earlier.push(task.clone());
        }
    } else {
        add_to_batch(state, task, &sentence, now);
    }
    let digest = state.absence_summary(now).filter(|_| is_meanwhile);
    let ended = if is_known {
        watched_among(state, &state.finished_earlier)
    } else {
        batch_tasks(state)
    };
    let sum = match digest.filter(|digest| !digest.is_empty()) {
        Some(digest) => Some((Severity::Info, digest.sentence())),
        None if ended.len() > 1 && is_known => {
            Some((Severity::Info, finished_summary("had ended before", &ended)))
        }
        None if ended.len() > 1 => Some((tone, finished_summary("have ended", &ended))),
        None => None,
    };
    if state.message_line.is_busy() {
        state.message_line.defer_finished(task.clone());
    } else if let Some((tone, sum)) = sum {
        state.message_line.show_summary(&sum, tone, now);
    } else {
        queue_event(state, tone, sentence, now);
    }
}

/// Lets an ending be told of outside this screen, together with those of the next seconds.
fn add_to_batch(state: &mut State, task: &TaskId, sentence: &str, now: Now) {
    let burst = state
        .notification_batch
        .get_or_insert_with(|| NotificationBatch {
            finished: Vec::new(),
            due: now.mono.after(BATCH_DELAY),
        });
    burst.finished.retain(|ending| ending.task != *task);
    burst.finished.push(FinishedTask {
        task: task.clone(),
        sentence: sentence.to_owned(),
    });
}

/// Returns those of the tasks that are on the list.
fn watched_among<'a>(state: &'a State, tasks: &[TaskId]) -> Vec<&'a WatchedTask> {
    tasks
        .iter()
        .filter_map(|task| state.list.get(task))
        .collect()
}

/// Returns the tasks of the burst that are still on the list.
fn batch_tasks(state: &State) -> Vec<&WatchedTask> {
    let endings = state
        .notification_batch
        .iter()
        .flat_map(|burst| &burst.finished);
    endings
        .filter_map(|ending| state.list.get(&ending.task))
        .collect()
}

/// Returns how several tasks ended: "3 tasks have ended: 2 ready, 1 failed."
fn finished_summary(what: &str, tasks: &[&WatchedTask]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for watched in tasks {
        let word = match watched.task.state().name() {
            "succeeded" => "ready",
            "not_found" => "not found",
            name => name,
        };
        match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => counts.push((word, 1)),
        }
    }
    let parts = counts.iter().map(|(word, count)| format!("{count} {word}"));
    let parts = parts.collect::<Vec<_>>().join(", ");
    format!("{} tasks {what}: {parts}.", tasks.len())
}

/// Sends out what was waited with, once it is due.
pub(super) fn flush_notifications(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    let Some(burst) = state
        .notification_batch
        .take_if(|burst| burst.due <= now.mono)
    else {
        return;
    };
    let told: Vec<_> = burst
        .finished
        .iter()
        .filter_map(|ending| Some((state.list.get(&ending.task)?, &ending.sentence)))
        .filter(|(watched, _)| watched.notify == NotifySetting::On)
        .collect();
    let tasks: Vec<_> = told.iter().map(|(watched, _)| *watched).collect();
    let Some((_, first)) = told.first() else {
        return;
    };
    let (title, body) = if tasks.len() == 1 {
        ("kietop".to_owned(), (*first).clone())
    } else {
        let named = told.iter().take(MAX_NAMED).map(|(_, text)| text.as_str());
        let more = match tasks.len().saturating_sub(MAX_NAMED) {
            0 => String::new(),
            more => format!(" And {more} more."),
        };
        let body = named.collect::<Vec<_>>().join(" ");
        (
            finished_summary("have ended", &tasks),
            format!("{body}{more}"),
        )
    };
    let settings = &state.settings.notifications;
    // Whoever looks at the screen has seen it there.
    let is_looking = state.focus == TerminalFocus::Focused;
    if settings.uses(NotifyChannel::Bell) {
        effects.push(Effect::Terminal(TerminalRequest::Bell));
    }
    if settings.uses(NotifyChannel::Terminal) && !is_looking {
        effects.push(Effect::Terminal(TerminalRequest::Notify {
            title: title.clone(),
            body: body.clone(),
        }));
    }
    let shown = settings.uses(NotifyChannel::Desktop) && !is_looking;
    if shown || !settings.command.is_empty() {
        let message = if tasks.len() == 1 { &body } else { &title };
        let variables = command_variables(message, &tasks);
        effects.push(Effect::Notify(Notification {
            variables,
            command: settings.command.clone(),
            desktop: shown.then_some((title, body)),
        }));
    }
}

/// Takes in that the terminal came to the front, or went behind others.
pub(super) fn focus_changed(
    state: &mut State,
    focus: TerminalFocus,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    if state.focus == focus {
        return;
    }
    state.focus = focus;
    match focus {
        TerminalFocus::Unfocused => {
            state.absence = Some(Absence::starting(now.wall));
            save_last_seen(state, now, effects);
        }
        TerminalFocus::Focused => {
            if state
                .absence
                .as_mut()
                .is_some_and(|away| away.end_at(now.wall))
            {
                show_absence_summary(state, now);
            }
        }
        TerminalFocus::Unknown => {}
    }
}

/// Says what has ended since the list was looked at before this run, once both are known, and
/// returns it.
pub(super) fn report_finished_while_away(state: &mut State, now: Now) -> Vec<TaskId> {
    if state.loading != ListLoading::Done || state.absence.is_some() {
        return Vec::new();
    }
    let Some(last) = state.session.last_seen.take() else {
        return Vec::new();
    };
    let away = Absence::between(last, now.wall, &state.list);
    let ended = away.finished_tasks().cloned().collect();
    state.absence = Some(away);
    show_absence_summary(state, now);
    ended
}

fn show_absence_summary(state: &mut State, now: Now) {
    let digest = state
        .absence_summary(now)
        .filter(|digest| !digest.is_empty());
    if let Some(digest) = digest {
        queue_event(state, Severity::Info, digest.sentence(), now);
    }
}

/// Orders it to be written down that the list was looked at until now.
pub(super) fn save_last_seen(state: &State, now: Now, effects: &mut Vec<Effect>) {
    if state.settings.access == AccessMode::Full && state.loading == ListLoading::Done {
        effects.push(Effect::SaveLastSeen(now.wall));
    }
}

/// Returns the sentence about a task's ending, if it is one.
fn finished_message(state: &State, task: &TaskId, now: Now) -> Option<(Severity, String)> {
    let watched = state.list.get(task)?;
    let status = state.status_of(watched, &state.estimate(), now);
    let (tone, ending) = match status {
        Status::Ready | Status::Saved | Status::LinkExpired => (Severity::Success, "is ready"),
        Status::NoLink => (
            Severity::Warning,
            "is done, but the server gave no link yet",
        ),
        Status::CallbackFailed => (Severity::Warning, "was made; only its callback failed"),
        Status::CreateFailed => (Severity::Error, "could not be created"),
        Status::GenerationFailed => (Severity::Error, "failed"),
        Status::NotFound => (Severity::Warning, "is not known to the server"),
        Status::Unknown => (
            Severity::Warning,
            "got an answer kietop does not understand",
        ),
        Status::New | Status::Generating | Status::Finishing | Status::Late => return None,
    };
    Some((tone, format!("{} {ending}.", quoted_title(watched))))
}

/// Returns a task's title in quotes, short enough for a sentence.
pub(super) fn quoted_title(watched: &WatchedTask) -> String {
    let title = watched.title().split('\n').next().unwrap_or_default();
    let mut short: String = title.chars().take(40).collect();
    if short.len() < title.len() {
        short.push('…');
    }
    format!("\"{short}\"")
}

/// Returns why a task has no result to do something with ("open", "save"), with the next step.
pub(super) fn explain_missing_result(
    state: &State,
    watched: &WatchedTask,
    verb: &str,
    now: Now,
) -> String {
    let (reason, next) = match state.status_of(watched, &state.estimate(), now) {
        Status::New => (
            format!("Not answered for yet: nothing to {verb}."),
            Some((Action::Refresh, "asks now")),
        ),
        Status::Generating | Status::Finishing | Status::Late => {
            (format!("Still being made: nothing to {verb} yet."), None)
        }
        Status::CreateFailed | Status::GenerationFailed => (
            "It failed: there is no video.".to_owned(),
            Some((Action::OpenInput, "opens the input")),
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
        | Status::LinkExpired
        | Status::CallbackFailed => (
            "The server gave no link that can be opened.".to_owned(),
            Some((Action::Refresh, "asks again")),
        ),
    };
    let next = next.map_or_else(String::new, |(action, what)| key_hint(state, action, what));
    format!("{reason}{next}")
}
