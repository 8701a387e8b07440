//! The message line and notifications of finished tasks.
//!
//! Tasks that finish within a few seconds share one notification.

use super::context::Context;
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
        store_request::StoreRequest,
        task::{TaskId, TaskState},
        time::Now,
        watched_task::{NotifySetting, WatchedTask},
    },
    messages::message_line,
};

/// How long a notification waits for further finished tasks.
const BATCH_DELAY: Duration = Duration::from_secs(3);

/// The most finished tasks that one notification names; further ones are counted.
const MAX_NAMED: usize = 3;

/// Shows the answer to a user's action.
pub(super) fn reply(cx: &mut Context, severity: Severity, text: impl Into<String>) {
    cx.state
        .message_line
        .reply(&text.into(), 0, severity, cx.now);
}

/// Shows the answer to an action that can be undone, with the undo key.
pub(super) fn offer_undo(cx: &mut Context, text: &str) {
    let hint = key_hint(cx.state, Action::Undo, message_line::UNDO_HINT);
    let text = format!("{text}{hint}");
    cx.state.message_line.offer_undo(&text, hint.len(), cx.now);
}

/// Shows the result of an earlier command; queued while an undo hint is visible.
pub(super) fn show_result(cx: &mut Context, severity: Severity, text: impl Into<String>) {
    cx.state
        .message_line
        .show_result(&text.into(), severity, cx.now);
}

/// Shows an event once no answer to the user is visible.
pub(super) fn queue_event(cx: &mut Context, severity: Severity, text: impl Into<String>) {
    cx.state
        .message_line
        .queue_event(&text.into(), severity, cx.now);
}

/// Removes an expired message, and then reports the finished tasks that were deferred.
pub(super) fn advance_messages(cx: &mut Context) {
    let finished = cx.state.message_line.advance(cx.now);
    if cx.state.message().is_none() {
        cx.state.notifications.finished_earlier.clear();
    }
    let finished: Vec<_> = finished
        .iter()
        .filter_map(|task| cx.state.list.get(task))
        .collect();
    match finished.as_slice() {
        [] => {}
        [one] => {
            let one = one.id().clone();
            if let Some((severity, sentence)) = finished_message(cx.state, &one, cx.now) {
                queue_event(cx, severity, sentence);
            }
        }
        several => {
            let text = message_line::tasks_finished(&status_counts(several));
            queue_event(cx, Severity::Info, text);
        }
    }
}

/// Returns a space and a hint that names the key of an action; empty if no key is bound.
pub(super) fn key_hint(state: &State, action: Action, purpose: &str) -> String {
    let chord = state.keymap().key_for(action);
    chord.map_or_else(String::new, |chord| {
        format!(" {}", message_line::press(&chord.ascii(), purpose))
    })
}

/// Returns the number of tasks that a dialog is for, unless it is one.
pub(super) fn of_several_tasks(count: usize) -> String {
    match count {
        0 | 1 => String::new(),
        _ => format!("of {count} tasks"),
    }
}

/// Explains why the list cannot be changed and returns true, if so.
pub(super) fn reject_if_read_only(cx: &mut Context) -> bool {
    let reason = match (&cx.state.loading, cx.state.settings.access) {
        (_, AccessMode::ReadOnly) => message_line::READ_ONLY.to_owned(),
        (ListLoading::Pending, _) => message_line::LIST_LOADING.to_owned(),
        (ListLoading::Failed(error), _) => message_line::list_not_read(error),
        (ListLoading::Done, AccessMode::Full) => return false,
    };
    reply(cx, Severity::Warning, reason);
    true
}

/// Reports a finished task: in the message line at once, elsewhere once no other task has finished
/// for a while.
///
/// A task that had finished before this run, learnt only now, is shown in the message line only.
pub(super) fn report_finished(cx: &mut Context, task: &TaskId) {
    let Some((severity, sentence)) = finished_message(cx.state, task, cx.now) else {
        return;
    };
    let completed = cx
        .state
        .list
        .get(task)
        .and_then(|watched| watched.task.details().completed);
    let is_meanwhile = cx
        .state
        .notifications
        .absence
        .as_mut()
        .is_some_and(|absence| absence.add_finished(task, completed));
    // A task with an unknown status is not finished: it is reported, and polled again.
    let is_recognised = |watched: &WatchedTask| *watched.task.state() != TaskState::Unrecognised;
    if !cx.state.list.get(task).is_some_and(is_recognised) {
        return queue_event(cx, severity, sentence);
    }
    let was_finished_before = !cx.state.answered_tasks.contains(task)
        && completed
            .zip(cx.state.started_at)
            .is_some_and(|(completed, started_at)| completed <= started_at);
    if was_finished_before {
        if !cx.state.notifications.finished_earlier.contains(task) {
            cx.state.notifications.finished_earlier.push(task.clone());
        }
    } else {
        add_to_batch(cx, task, &sentence);
    }
    let summary = cx.state.absence_summary(cx.now).filter(|_| is_meanwhile);
    let finished = if was_finished_before {
        watched_among(cx.state, &cx.state.notifications.finished_earlier)
    } else {
        batch_tasks(cx.state)
    };
    let text = match summary.filter(|summary| !summary.is_empty()) {
        Some(summary) => Some((Severity::Info, summary.sentence())),
        None if finished.len() > 1 && was_finished_before => Some((
            Severity::Info,
            message_line::tasks_already_finished(&status_counts(&finished)),
        )),
        None if finished.len() > 1 => Some((
            severity,
            message_line::tasks_finished(&status_counts(&finished)),
        )),
        None => None,
    };
    if cx.state.message_line.is_busy() {
        cx.state.message_line.defer_finished(task.clone());
    } else if let Some((severity, text)) = text {
        cx.state.message_line.show_summary(&text, severity, cx.now);
    } else {
        queue_event(cx, severity, sentence);
    }
}

/// Adds a finished task to the batch for the next notification.
fn add_to_batch(cx: &mut Context, task: &TaskId, sentence: &str) {
    let batch = cx
        .state
        .notifications
        .batch
        .get_or_insert_with(|| NotificationBatch {
            finished: Vec::new(),
            due: cx.now.mono.after(BATCH_DELAY),
        });
    batch.finished.retain(|finished| finished.task != *task);
    batch.finished.push(FinishedTask {
        task: task.clone(),
        sentence: sentence.to_owned(),
    });
}

/// Returns those tasks that are on the list.
fn watched_among<'a>(state: &'a State, tasks: &[TaskId]) -> Vec<&'a WatchedTask> {
    tasks
        .iter()
        .filter_map(|task| state.list.get(task))
        .collect()
}

/// Returns the tasks of the batch that are still on the list.
fn batch_tasks(state: &State) -> Vec<&WatchedTask> {
    let finished = state
        .notifications
        .batch
        .iter()
        .flat_map(|batch| &batch.finished);
    finished
        .filter_map(|finished| state.list.get(&finished.task))
        .collect()
}

/// Counts tasks by status word, in order of appearance.
fn status_counts(tasks: &[&WatchedTask]) -> Vec<(&'static str, usize)> {
    let mut counts: Vec<(&'static str, usize)> = Vec::new();
    for watched in tasks {
        let word = message_line::finished_word(watched.task.state().name());
        match counts.iter_mut().find(|(known, _)| *known == word) {
            Some((_, count)) => *count += 1,
            None => counts.push((word, 1)),
        }
    }
    counts
}

/// Sends the batched notification once it is due.
pub(super) fn flush_notifications(cx: &mut Context) {
    let Some(batch) = cx
        .state
        .notifications
        .batch
        .take_if(|batch| batch.due <= cx.now.mono)
    else {
        return;
    };
    let included: Vec<_> = batch
        .finished
        .iter()
        .filter_map(|finished| Some((cx.state.list.get(&finished.task)?, &finished.sentence)))
        .filter(|(watched, _)| watched.notify == NotifySetting::On)
        .collect();
    let tasks: Vec<_> = included.iter().map(|(watched, _)| *watched).collect();
    let Some((_, first)) = included.first() else {
        return;
    };
    let (title, body) = if tasks.len() == 1 {
        ("kietop".to_owned(), (*first).clone())
    } else {
        let named = included
            .iter()
            .take(MAX_NAMED)
            .map(|(_, text)| text.as_str());
        let more = match tasks.len().saturating_sub(MAX_NAMED) {
            0 => String::new(),
            more => format!(" {}", message_line::more_finished(more)),
        };
        let body = named.collect::<Vec<_>>().join(" ");
        (
            message_line::tasks_finished(&status_counts(&tasks)),
            format!("{body}{more}"),
        )
    };
    let settings = &cx.state.settings.notifications;
    // With the terminal focused, the message line has shown it.
    let is_focused = cx.state.notifications.focus == TerminalFocus::Focused;
    if settings.uses(NotifyChannel::Bell) {
        cx.effects.push(Effect::Terminal(TerminalRequest::Bell));
    }
    if settings.uses(NotifyChannel::Terminal) && !is_focused {
        cx.effects.push(Effect::Terminal(TerminalRequest::Notify {
            title: title.clone(),
            body: body.clone(),
        }));
    }
    let show_desktop = settings.uses(NotifyChannel::Desktop) && !is_focused;
    if show_desktop || !settings.command.is_empty() {
        let message = if tasks.len() == 1 { &body } else { &title };
        let variables = command_variables(message, &tasks);
        cx.effects.push(Effect::Notify(Notification {
            variables,
            command: settings.command.clone(),
            desktop: show_desktop.then_some((title, body)),
        }));
    }
}

pub(super) fn focus_changed(cx: &mut Context, focus: TerminalFocus) {
    if cx.state.notifications.focus == focus {
        return;
    }
    cx.state.notifications.focus = focus;
    match focus {
        TerminalFocus::Unfocused => {
            cx.state.notifications.absence = Some(Absence::starting(cx.now.wall));
            save_last_seen(cx);
        }
        TerminalFocus::Focused => {
            if cx
                .state
                .notifications
                .absence
                .as_mut()
                .is_some_and(|absence| absence.end_at(cx.now.wall))
            {
                show_absence_summary(cx);
            }
        }
        TerminalFocus::Unknown => {}
    }
}

/// Shows what finished since the last visit, once session and list are loaded, and returns those
/// tasks.
pub(super) fn report_finished_while_away(cx: &mut Context) -> Vec<TaskId> {
    if cx.state.loading != ListLoading::Done || cx.state.notifications.absence.is_some() {
        return Vec::new();
    }
    let Some(last) = cx.state.session.last_seen.take() else {
        return Vec::new();
    };
    let absence = Absence::between(last, cx.now.wall, &cx.state.list);
    let finished = absence.finished_tasks().cloned().collect();
    cx.state.notifications.absence = Some(absence);
    show_absence_summary(cx);
    finished
}

fn show_absence_summary(cx: &mut Context) {
    let summary = cx
        .state
        .absence_summary(cx.now)
        .filter(|summary| !summary.is_empty());
    if let Some(summary) = summary {
        queue_event(cx, Severity::Info, summary.sentence());
    }
}

pub(super) fn save_last_seen(cx: &mut Context) {
    if cx.state.settings.access == AccessMode::Full && cx.state.loading == ListLoading::Done {
        let last_seen = StoreRequest::SaveLastSeen(cx.now.wall);
        cx.effects.push(Effect::Store(last_seen));
    }
}

/// Returns the sentence about a finished task; `None` for an unfinished one.
fn finished_message(state: &State, task: &TaskId, now: Now) -> Option<(Severity, String)> {
    let watched = state.list.get(task)?;
    let status = state.status_of(watched, &state.estimate(), now);
    let sentence = message_line::task_finished(&quoted_title(watched), status)?;
    let severity = match status {
        Status::Ready | Status::Saved | Status::LinkExpired => Severity::Success,
        Status::CreateFailed | Status::GenerationFailed => Severity::Error,
        Status::NoLink | Status::CallbackFailed | Status::NotFound | Status::Unknown => {
            Severity::Warning
        }
        Status::New | Status::Generating | Status::Finishing | Status::Late => Severity::Info,
    };
    Some((severity, sentence))
}

/// Returns a task's title in quotes, its first line cut to 40 characters.
pub(super) fn quoted_title(watched: &WatchedTask) -> String {
    let title = watched.title().split('\n').next().unwrap_or_default();
    let mut short: String = title.chars().take(40).collect();
    if short.len() < title.len() {
        short.push('…');
    }
    format!("\"{short}\"")
}

/// Returns the reason why a task has no result to `verb` ("open", "save"), with a hint.
pub(super) fn explain_missing_result(
    state: &State,
    watched: &WatchedTask,
    verb: &str,
    now: Now,
) -> String {
    let status = state.status_of(watched, &state.estimate(), now);
    let hint = match status {
        Status::New
        | Status::Ready
        | Status::Saved
        | Status::NoLink
        | Status::LinkExpired
        | Status::CallbackFailed => key_hint(state, Action::Refresh, message_line::REFRESH_HINT),
        Status::CreateFailed | Status::GenerationFailed => {
            key_hint(state, Action::OpenInput, message_line::OPEN_INPUT_HINT)
        }
        Status::Generating
        | Status::Finishing
        | Status::Late
        | Status::NotFound
        | Status::Unknown => String::new(),
    };
    message_line::no_result(status, verb) + &hint
}
