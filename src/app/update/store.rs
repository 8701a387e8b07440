//! The list on disk: results of reads and writes, and changes by other instances.

use super::context::Context;
use std::{sync::Arc, time::Duration};

use super::{
    backoff, download, filter, labels,
    messages::{self, key_hint, offer_undo, quoted_title, reply, report_finished},
    selection, writes,
};
use crate::{
    app::{
        keymap::Action,
        msg::Effect,
        state::{
            AddDialog, FinishedWrite, Labels, ListLoading, MainScreen, Overlay, RawResponseState,
            Severity, State, UndoStep,
        },
    },
    domain::{
        list_change::{
            AccessMode, ChangeKind, ChangeResult, ExternalChange, ListChange, StoreError,
        },
        raw_response::RawResponse,
        schedule::{self, PollState, StopReason},
        store_request::{StoreReply, StoreRequest},
        task::TaskId,
        time::Now,
        watched_task::WatchedTask,
    },
    messages::message_line,
};

/// Delay before a failed write or read is retried.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// How long the instance that added a task may poll it first.
const ADDER_HEAD_START: Duration = Duration::from_secs(2);

/// Applies the list's answer to a request.
pub(super) fn store_answered(
    cx: &mut Context,
    request: StoreRequest,
    result: Result<StoreReply, StoreError>,
) {
    match (request, result) {
        (_, Ok(StoreReply::Session(session))) => {
            let finished = filter::session_loaded(cx, session);
            download::auto_save_external(cx, &finished);
        }
        (_, Ok(StoreReply::List(all))) => {
            cx.state.loading = ListLoading::Done;
            selection::with_stable_selection(cx, |rows| rows.replace(all));
            let finished = messages::report_finished_while_away(cx);
            download::auto_save_external(cx, &finished);
            download::check_interrupted(cx);
        }
        (StoreRequest::LoadList, Err(error)) => load_failed(cx, error),
        (_, Ok(StoreReply::ExternalChanges(changes))) => {
            let finished = apply_external(cx, changes);
            download::auto_save_external(cx, &finished);
        }
        (StoreRequest::ReadExternalChanges, Err(error))
            if cx.state.loading == ListLoading::Done =>
        {
            record_failure(cx, error);
        }
        (StoreRequest::Write(changes), Ok(StoreReply::Written(results))) => {
            let finished = changes_written(cx, &changes, results);
            download::auto_save_external(cx, &finished);
        }
        (StoreRequest::Write(changes), Err(error)) => requeue_failed(cx, changes, error),
        (StoreRequest::ReadJournal(task), result) => {
            cx.state.detail.journal_requested = None;
            let lines = match result {
                Ok(StoreReply::Journal(lines)) => lines,
                _ => Vec::new(),
            };
            cx.state.detail.journal = Some((task, lines));
        }
        (StoreRequest::ReadRawResponse(task), Ok(StoreReply::RawResponse(response))) => {
            raw_response_read(cx.state, task, Ok(response));
        }
        (StoreRequest::ReadRawResponse(task), Err(error)) => {
            raw_response_read(cx.state, task, Err(error));
        }
        // Pending changes are written at once.
        (StoreRequest::RestoreListFile, Ok(_)) => cx.state.write_queue.retry_at = Some(cx.now.mono),
        (StoreRequest::RestoreListFile, Err(error)) => {
            let text = message_line::list_file_not_restored(&error);
            reply(cx, Severity::Error, text);
        }
        // A session that cannot be loaded or saved is not an error: reading the list reports what
        // is wrong with the file.
        _ => {}
    }
}

fn raw_response_read(
    state: &mut State,
    task: TaskId,
    response: Result<Option<Arc<RawResponse>>, StoreError>,
) {
    state.detail.raw_requested = None;
    state.detail.raw = Some(RawResponseState {
        task,
        response,
        is_outdated: false,
    });
}

fn load_failed(cx: &mut Context, error: StoreError) {
    // These errors may pass: another program releases the file, space is freed or access is given.
    let may_pass = matches!(
        error,
        StoreError::Busy
            | StoreError::Full
            | StoreError::Quota
            | StoreError::ReadOnly(_)
            | StoreError::Unreadable(_)
            | StoreError::Disk(_)
    );
    cx.state.reload_at = may_pass.then(|| cx.now.mono.after(RETRY_DELAY));
    cx.state.loading = ListLoading::Failed(error);
}

/// Applies changes by another instance; returns the tasks that they finished. Its poll results
/// count like our own, so the tasks are not polled again at once.
pub(super) fn apply_external(cx: &mut Context, changes: Vec<ExternalChange>) -> Vec<TaskId> {
    let mut finished = Vec::new();
    if cx.state.loading != ListLoading::Done {
        return finished;
    }
    if is_file_missing(cx.state) {
        // The file exists again.
        cx.state.write_queue.retry_at = Some(cx.now.mono);
    }
    for change in changes {
        match change {
            ExternalChange::Removed(id) => {
                selection::with_stable_selection(cx, |rows| rows.remove(&id));
            }
            ExternalChange::Changed(watched) => {
                finished.extend(adopt_external(cx, *watched));
            }
        }
    }
    finished
}

/// Applies one task as another instance wrote it; returns its id if that finished it.
fn adopt_external(cx: &mut Context, task: WatchedTask) -> Option<TaskId> {
    let id = task.id().clone();
    let before = cx.state.list.get(&id);
    let was_saving = before.is_some_and(|before| before.saved_results.pending_folder.is_some());
    if task.saved_results.pending_folder.is_some() && !was_saving {
        cx.state
            .downloads
            .held_by_others
            .insert(id.clone(), cx.now.mono);
    }
    selection::invalidate_journal(cx.state, &id);
    adopt_row(cx, task)
}

/// Shows a task as it is on disk; returns its id if another instance has finished it.
fn adopt_row(cx: &mut Context, row: WatchedTask) -> Option<TaskId> {
    let id = row.id().clone();
    let before = cx.state.list.get(&id);
    let was_final = before.is_none_or(|before| before.task.state().is_final());
    let task = merge_row(cx.state, row, cx.now);
    let is_final = task.task.state().is_final();
    let is_answered = before.is_some_and(|before| {
        task.poll_history.last_error.is_none()
            && task.poll_history.checks > before.poll_history.checks
    });
    if is_answered {
        backoff::lift_after_external_success(cx);
    }
    selection::with_stable_selection(cx, |rows| rows.insert(task));
    if !is_final || was_final {
        return None;
    }
    report_finished(cx, &id);
    Some(id)
}

/// Merges a task from the list file with the state here, which may not be written yet.
fn merge_row(state: &State, mut task: WatchedTask, now: Now) -> WatchedTask {
    let interval = state
        .poll_queue
        .intervals
        .interval(task.run_time(now), state.estimate().late);
    let Some(before) = state.list.get(task.id()) else {
        if matches!(task.poll_state, PollState::DueAt(_)) {
            // The instance that added it polls it now, or has just done so.
            let wait = task.poll_history.last_ok.map_or(ADDER_HEAD_START, |last| {
                interval
                    .saturating_sub(now.age_of(last))
                    .max(ADDER_HEAD_START)
            });
            task.poll_state = PollState::DueAt(now.mono.after(wait));
        }
        return task;
    };
    // Compared by count, not by time: wall clocks may be wrong.
    let is_answered = task.poll_history.checks > before.poll_history.checks;
    let external = std::mem::replace(&mut task.task, before.task.clone());
    task.task.merge(external.state(), external.details());
    if !is_answered {
        task.poll_history = before.poll_history.clone();
    }
    task.saved_results.merge(&before.saved_results);
    task.missing_link_checks = match (task.lacks_link(), is_answered) {
        (false, _) => 0,
        (true, false) => before.missing_link_checks,
        (true, true) => before.missing_link_checks.saturating_add(1),
    };
    // Results from before a suspend say nothing about polls of other instances now.
    let is_recent = task
        .poll_history
        .last_check()
        .is_some_and(|at| now.age_of(at) < schedule::SUSPEND_GAP);
    task.poll_state = match (before.poll_state, task.poll_state) {
        (in_flight @ PollState::InFlight { .. }, _) => in_flight,
        // A rejection counts if it is the last answer: the user may have asked again since.
        (_, stopped @ PollState::Stopped(reason))
            if is_answered || reason == StopReason::Finished =>
        {
            stopped
        }
        (own @ PollState::DueAt(_), _) if state.poll_queue.needs_own_probe(now.mono) => own,
        (PollState::DueAt(_) | PollState::Stopped(StopReason::Rejected), _)
            if is_answered && is_recent =>
        {
            let (intervals, jitter) = (state.poll_queue.intervals, state.poll_queue.jitter);
            let late_after = state.estimate().late;
            schedule::next_state_after_external(
                task.poll_input(now),
                intervals,
                late_after,
                jitter,
                now.mono,
            )
        }
        (own, _) => own,
    };
    task
}

/// Retries a failed write or read when its time has come.
pub(super) fn retry_writes(cx: &mut Context) {
    if cx
        .state
        .write_queue
        .retry_at
        .is_some_and(|at| at <= cx.now.mono)
    {
        cx.state.write_queue.retry_at = None;
        writes::write_queued(cx);
    }
    if cx
        .state
        .reload_at
        .take_if(|at| *at <= cx.now.mono)
        .is_some()
    {
        if !cx.state.session.is_loaded {
            cx.effects.push(Effect::Store(StoreRequest::LoadSession));
        }
        cx.effects.push(Effect::Store(StoreRequest::LoadList));
    }
}

/// Shows what was written; returns the tasks that other instances have finished meanwhile.
fn changes_written(
    cx: &mut Context,
    changes: &[ListChange],
    results: Vec<ChangeResult>,
) -> Vec<TaskId> {
    if cx.state.write_queue.error.take().is_some() {
        cx.state.write_queue.retry_at = None;
        let text = message_line::LIST_SAVED_AGAIN;
        reply(cx, Severity::Success, text);
    }
    cx.state.write_queue.write_finished(cx.now.mono);
    report_results(cx, changes, results)
}

/// Queues poll results for another write. Changes that the user made are rejected with the reason
/// instead.
fn requeue_failed(cx: &mut Context, changes: Vec<ListChange>, error: StoreError) {
    let rejected = changes.iter().filter(|change| change.needs_ack()).count();
    if rejected > 0 {
        reply(cx, Severity::Error, message_line::nothing_changed(&error));
    }
    let (mut unadded, mut unlabelled, mut label) = (Vec::new(), Vec::new(), None);
    for change in &changes {
        if let ChangeKind::Add { label: new, .. } = &change.kind {
            unadded.push(change.task.clone());
            label = new.as_ref();
        } else if let ChangeKind::Label(new) = &change.kind {
            unlabelled.push(change.task.clone());
            label = new.as_ref();
        }
    }
    let finished = cx.state.undo_stack.finish_write(&changes, false);
    let undid_failed_write = finished == FinishedWrite::UndoOfFailedWrite;
    if undid_failed_write || finished == (FinishedWrite::Done { is_undone: true }) {
        // Already undone: nothing to reopen or to undo.
    } else if !unadded.is_empty() && cx.state.overlay.is_none() {
        // The dialog is closed, and its ids may be stored nowhere else.
        cx.state.overlay = Some(Overlay::Add(Box::new(AddDialog::reopen(unadded, label))));
    } else if let FinishedWrite::LabelsRestored(labels) = finished {
        cx.state.undo_stack.push(UndoStep::Labels(labels));
    } else if !unlabelled.is_empty() && cx.state.overlay.is_none() {
        let dialog = labels::label_dialog(unlabelled, label);
        cx.state.overlay = Some(Overlay::Line(Box::new(dialog)));
    }
    let unrestored: Vec<_> = changes
        .iter()
        .filter(|change| change.kind == ChangeKind::Restore)
        .map(|change| change.task.clone())
        .collect();
    if !unrestored.is_empty() && !undid_failed_write {
        cx.state.undo_stack.push(UndoStep::Removal(unrestored));
    }
    let queue = &mut cx.state.write_queue;
    queue.requeue(changes.into_iter().filter(|change| !change.needs_ack()));
    let is_gone = matches!(error, StoreError::Missing(_));
    if is_gone || queue.error.is_some() || !queue.changes.is_empty() {
        queue.retry_at = None;
        record_failure(cx, error);
    }
    cx.state.write_queue.write_finished(cx.now.mono);
}

/// Records that writes fail. A missing file is reported at once, since the rows on the screen are
/// then the only copy.
fn record_failure(cx: &mut Context, error: StoreError) {
    if let StoreError::Missing(path) = &error
        && cx.state.write_queue.error.as_ref() != Some(&error)
    {
        let hint = match cx.state.settings.access {
            AccessMode::Full => {
                let hint = message_line::RESTORE_LIST_FILE_HINT;
                key_hint(cx.state, Action::RestoreListFile, hint)
            }
            AccessMode::ReadOnly => String::new(),
        };
        let text = message_line::list_file_missing(&path.display()) + &hint;
        reply(cx, Severity::Error, text);
    }
    cx.state.write_queue.error = Some(error);
    cx.state
        .write_queue
        .retry_at
        .get_or_insert(cx.now.mono.after(RETRY_DELAY));
}

/// Writes the list file again if it is missing.
pub(super) fn restore_list_file(cx: &mut Context) {
    if is_file_missing(cx.state) {
        cx.effects
            .push(Effect::Store(StoreRequest::RestoreListFile));
    } else {
        reply(cx, Severity::Info, message_line::LIST_FILE_EXISTS);
    }
}

/// Returns whether tasks are shown that are in no list file any more.
pub(super) fn is_only_copy(state: &State) -> bool {
    is_file_missing(state) && state.settings.access == AccessMode::Full && !state.list.is_empty()
}

const fn is_file_missing(state: &State) -> bool {
    matches!(state.write_queue.error, Some(StoreError::Missing(_)))
}

/// Applies the results of written changes and reports them in one sentence; returns the tasks that
/// other instances have finished meanwhile.
fn report_results(
    cx: &mut Context,
    changes: &[ListChange],
    results: Vec<ChangeResult>,
) -> Vec<TaskId> {
    let (mut added, mut known, mut gone) = (Vec::new(), 0_usize, Vec::new());
    let (mut written, mut old_labels) = (Vec::new(), Labels::new());
    let mut finished_elsewhere = Vec::new();
    for (change, result) in changes.iter().zip(results) {
        let id = &change.task;
        match (&change.kind, result) {
            (_, ChangeResult::Added(watched)) => {
                selection::invalidate_journal(cx.state, id);
                added.push(match cx.state.list.get(id) {
                    Some(_) => merge_row(cx.state, *watched, cx.now),
                    None => *watched,
                });
            }
            (ChangeKind::Remove, ChangeResult::Removed | ChangeResult::NotWatched) => gone.push(id),
            (kind, ChangeResult::Updated { watched, journal }) => {
                known += usize::from(matches!(kind, ChangeKind::Add { .. }));
                if matches!(kind, ChangeKind::Label(_) | ChangeKind::SetNotify(_)) {
                    written.push(change);
                }
                let before = cx.state.list.get(id).map(|before| before.label.clone());
                let Some(before) = before else { continue };
                if matches!(kind, ChangeKind::Label(_)) && before != watched.label {
                    old_labels.push((id.clone(), before));
                }
                finished_elsewhere.extend(adopt_row(cx, *watched));
                selection::extend_journal(cx.state, change, journal);
            }
            (ChangeKind::Checked(_), ChangeResult::NotWatched) => {
                selection::with_stable_selection(cx, |rows| rows.remove(id));
            }
            _ => {}
        }
    }
    let finished = cx.state.undo_stack.finish_write(changes, true);
    let is_undone = finished == FinishedWrite::Done { is_undone: true };
    let undid_failed_write = finished == FinishedWrite::UndoOfFailedWrite;
    match finished {
        FinishedWrite::UndoOfFailedWrite | FinishedWrite::Done { is_undone: true } => {}
        FinishedWrite::LabelsRestored(_) => labels::labels_restored(cx, &written),
        FinishedWrite::Done { is_undone: false } => {
            labels::change_written(cx, &written, old_labels);
        }
    }
    let new: Vec<_> = added.iter().map(|watched| watched.id().clone()).collect();
    let removed = selection::with_stable_selection(cx, |rows| {
        rows.insert_all(added);
        rows.remove_all(&gone)
    });
    let is_undo = changes
        .iter()
        .any(|change| change.kind == ChangeKind::Restore);
    if let Some(first) = new.first() {
        if cx.state.nav.screen == MainScreen::List {
            selection::select(cx.state, first);
        }
        let tasks = match (new.len(), cx.state.list.get(first)) {
            (1, Some(watched)) => quoted_title(watched),
            (count, _) => message_line::task_count(count),
        };
        let is_shown = |id: &TaskId| cx.state.rows.position(id, &cx.state.list).is_some();
        let is_hidden = !new.iter().any(is_shown);
        let text = if is_undo {
            message_line::restored(&tasks, is_hidden)
        } else {
            message_line::added(&tasks, known, is_hidden)
        };
        reply(cx, Severity::Info, text);
    } else if is_undo && removed.is_empty() && !undid_failed_write {
        reply(cx, Severity::Info, message_line::NOTHING_RESTORED);
    } else if known > 0 {
        reply(cx, Severity::Info, message_line::ALREADY_ON_LIST);
    }
    if let Some(first) = removed.first()
        && !is_undone
    {
        let tasks = if removed.len() == 1 {
            quoted_title(first)
        } else {
            message_line::task_count(removed.len())
        };
        offer_undo(cx, &message_line::removed(&tasks));
        let removed = removed.iter().map(|watched| watched.id().clone());
        cx.state
            .undo_stack
            .push(UndoStep::Removal(removed.collect()));
    }
    finished_elsewhere
}
