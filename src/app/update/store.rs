//! The list on disk: what was read, written, or changed by another instance.

use std::{sync::Arc, time::Duration};

use super::{
    backoff, labels,
    messages::{self, key_hint, offer_undo, quoted_title, reply, report_finished},
    selection,
};
use crate::{
    app::{
        keymap::Action,
        msg::Effect,
        state::{
            AddDialog, FinishedWrite, LabelEditor, ListLoading, MainScreen, Overlay,
            RawResponseState, Severity, State, UndoStep,
        },
    },
    domain::{
        list_change::{
            AccessMode, ChangeResult, ExternalChange, JournalLine, ListChange, StoreError,
        },
        raw_response::RawResponse,
        schedule::{self, PollState, StopReason},
        task::TaskId,
        time::Now,
        watched_task::WatchedTask,
    },
};

/// How long after a failed write the next one is tried.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// How long another instance is given to ask first after a task that it added.
const ADDER_HEAD_START: Duration = Duration::from_secs(2);

/// Takes the list in as it was read, and returns which tasks ended since it was looked at before
/// this run.
pub(super) fn list_loaded(
    state: &mut State,
    result: Result<Vec<WatchedTask>, StoreError>,
    now: Now,
) -> Vec<TaskId> {
    match result {
        Ok(all) => {
            state.loading = ListLoading::Done;
            selection::with_stable_selection(state, now, |rows| rows.replace(all));
            messages::report_finished_while_away(state, now)
        }
        Err(error) => {
            // This may pass: another program releases the file, space is freed or access is given.
            let may_pass = matches!(
                error,
                StoreError::Busy
                    | StoreError::Full
                    | StoreError::Quota
                    | StoreError::ReadOnly(_)
                    | StoreError::Unreadable(_)
                    | StoreError::Disk(_)
            );
            state.reload_at = may_pass.then(|| now.mono.after(RETRY_DELAY));
            state.loading = ListLoading::Failed(error);
            Vec::new()
        }
    }
}

/// Takes in what another instance did, and returns which tasks ended by it. Its answers count like
/// our own, so the task is not asked again at once.
pub(super) fn apply_external(
    state: &mut State,
    deltas: Vec<ExternalChange>,
    now: Now,
) -> Vec<TaskId> {
    let mut ended = Vec::new();
    if state.loading != ListLoading::Done {
        return ended;
    }
    if is_file_missing(state) {
        // The file is back.
        state.write_queue.retry_at = Some(now.mono);
    }
    for delta in deltas {
        match delta {
            ExternalChange::Removed(id) => {
                selection::with_stable_selection(state, now, |rows| rows.remove(&id));
            }
            ExternalChange::Changed(watched) => ended.extend(adopt_external(state, *watched, now)),
        }
    }
    ended
}

/// Takes in one task as another instance wrote it; returns its id when it has just ended.
fn adopt_external(state: &mut State, news: WatchedTask, now: Now) -> Option<TaskId> {
    let id = news.id().clone();
    let before = state.list.get(&id);
    let was_final = before.is_none_or(|before| before.task.state().is_final());
    let was_begun = before.is_some_and(|before| before.saved_results.pending_folder.is_some());
    let news = merge_external(state, news, now);
    let is_final = news.task.state().is_final();
    let is_answered = before.is_some_and(|before| {
        news.poll_history.last_error.is_none()
            && news.poll_history.checks > before.poll_history.checks
    });
    if is_answered {
        backoff::lift_after_external_success(state, now);
    }
    if news.saved_results.pending_folder.is_some() && !was_begun {
        state.downloads.held_by_others.insert(id.clone(), now.mono);
    }
    selection::with_stable_selection(state, now, |rows| rows.insert(news));
    selection::invalidate_journal(state, &id);
    if is_final && !was_final {
        report_finished(state, &id, now);
        return Some(id);
    }
    None
}

/// Joins what the list on disk says of a task with what is known of it: that may not be written
/// down yet.
fn merge_external(state: &State, mut news: WatchedTask, now: Now) -> WatchedTask {
    let interval = state
        .poll_queue
        .intervals()
        .interval(news.run_time(now), state.estimate().late);
    let Some(before) = state.list.get(news.id()) else {
        if matches!(news.poll_state, PollState::DueAt(_)) {
            // The one that added it asks at once, or just did.
            let wait = news.poll_history.last_ok.map_or(ADDER_HEAD_START, |last| {
                interval
                    .saturating_sub(now.age_of(last))
                    .max(ADDER_HEAD_START)
            });
            news.poll_state = PollState::DueAt(now.mono.after(wait));
        }
        return news;
    };
    // Counted, not timed: the clocks on the wall may lie.
    let is_answered = news.poll_history.checks > before.poll_history.checks;
    let told = std::mem::replace(&mut news.task, before.task.clone());
    news.task.merge(told.state(), told.details());
    if !is_answered {
        news.poll_history = before.poll_history.clone();
    }
    news.saved_results.merge(&before.saved_results);
    news.missing_link_checks = match (news.lacks_link(), is_answered) {
        (false, _) => 0,
        (true, false) => before.missing_link_checks,
        (true, true) => before.missing_link_checks.saturating_add(1),
    };
    // News from before a sleep tell nothing of what others ask now.
    let is_recent = news
        .poll_history
        .last_check()
        .is_some_and(|at| now.age_of(at) < schedule::SUSPEND_GAP);
    news.poll_state = match (before.poll_state, news.poll_state) {
        (asked @ PollState::InFlight { .. }, _) => asked,
        (_, stopped @ PollState::Stopped(_)) => stopped,
        (own @ PollState::DueAt(_), _) if state.poll_queue.needs_own_probe(now.mono) => own,
        (PollState::DueAt(_) | PollState::Stopped(StopReason::Rejected), _)
            if is_answered && is_recent =>
        {
            let (pace, jitter) = (state.poll_queue.intervals(), state.poll_queue.jitter());
            let late_after = state.estimate().late;
            schedule::next_state_after_external(
                news.poll_input(now),
                pace,
                late_after,
                jitter,
                now.mono,
            )
        }
        (own, _) => own,
    };
    news
}

/// Orders changes to be written; behind what waits already, so that the order holds.
pub(super) fn write(state: &mut State, changes: Vec<ListChange>, effects: &mut Vec<Effect>) {
    effects.extend(state.write_queue.write(changes).map(Effect::WriteChanges));
}

/// Tries again to write what could not be written, and to read a list that could not be read.
pub(super) fn retry_writes(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    if state.write_queue.retry_at.is_some_and(|at| at <= now.mono) {
        state.write_queue.retry_at = None;
        effects.push(Effect::WriteChanges(state.write_queue.drain()));
    }
    if state.reload_at.take_if(|at| *at <= now.mono).is_some() {
        if !state.session.is_loaded {
            effects.push(Effect::LoadSession);
        }
        effects.push(Effect::LoadList);
    }
}

/// Takes in what became of a write.
pub(super) fn changes_written(
    state: &mut State,
    changes: Vec<ListChange>,
    result: Result<Vec<ChangeResult>, StoreError>,
    now: Now,
) {
    match result {
        Ok(applied) => {
            if state.write_queue.error.take().is_some() {
                state.write_queue.retry_at = None;
                reply(state, Severity::Success, "The list is saved again.", now);
            }
            state.write_queue.write_finished(now.mono);
            report_results(state, &changes, applied, now);
        }
        Err(error) => requeue_failed(state, changes, error, now),
    }
}

/// Keeps what was learnt for another try. What a person asked for is refused with the reason, not
/// kept in silence.
fn requeue_failed(state: &mut State, changes: Vec<ListChange>, error: StoreError, now: Now) {
    let refused = changes.iter().filter(|change| change.needs_ack()).count();
    if refused > 0 {
        reply(
            state,
            Severity::Error,
            format!("Nothing was changed: {error}."),
            now,
        );
    }
    let (mut unadded, mut unlabelled, mut label) = (Vec::new(), Vec::new(), None);
    for change in &changes {
        match change {
            ListChange::Add {
                task, label: told, ..
            } => {
                unadded.push(task.clone());
                label = told.as_ref();
            }
            ListChange::Label {
                task, label: told, ..
            } => {
                unlabelled.push(task.clone());
                label = told.as_ref();
            }
            ListChange::Remove { .. }
            | ListChange::Restore { .. }
            | ListChange::Observed { .. }
            | ListChange::CheckFailed { .. }
            | ListChange::Opened { .. }
            | ListChange::SaveBegun { .. }
            | ListChange::Saved { .. }
            | ListChange::SaveFailed { .. }
            | ListChange::ExpiryWarned { .. }
            | ListChange::SetNotify { .. } => {}
        }
    }
    let order = state.undo_stack.finish_write(&changes, false);
    let is_void = order == FinishedWrite::UndoOfFailedWrite;
    if is_void || order == (FinishedWrite::Done { is_undone: true }) {
        // Nothing must be done again.
    } else if !unadded.is_empty() && state.overlay.is_none() {
        // The dialog was closed; its ids may be stored nowhere else.
        state.overlay = Some(Overlay::Add(Box::new(AddDialog::reopen(unadded, label))));
    } else if let FinishedWrite::LabelsRestored(labels) = order {
        state.undo_stack.push(UndoStep::Labels(labels));
    } else if !unlabelled.is_empty() && state.overlay.is_none() {
        let editor = LabelEditor::reopen(unlabelled, label);
        state.overlay = Some(Overlay::Label(Box::new(editor)));
    }
    let unrestored: Vec<_> = changes
        .iter()
        .filter(|change| matches!(change, ListChange::Restore { .. }))
        .map(|change| change.task().clone())
        .collect();
    if !unrestored.is_empty() && !is_void {
        state.undo_stack.push(UndoStep::Removal(unrestored));
    }
    let unsaved = &mut state.write_queue;
    unsaved.requeue(changes.into_iter().filter(|change| !change.needs_ack()));
    let is_gone = matches!(error, StoreError::Missing(_));
    if is_gone || unsaved.error.is_some() || !unsaved.changes.is_empty() {
        unsaved.retry_at = None;
        record_failure(state, error, now);
    }
    state.write_queue.write_finished(now.mono);
}

/// Records that writes fail now. If the file is gone, the rows shown are all that is left, so that
/// is shown at once.
fn record_failure(state: &mut State, error: StoreError, now: Now) {
    if let StoreError::Missing(path) = &error
        && state.write_queue.error.as_ref() != Some(&error)
    {
        let step = match state.settings.access {
            AccessMode::Full => key_hint(state, Action::RestoreListFile, "writes it back"),
            AccessMode::ReadOnly => String::new(),
        };
        let path = path.display();
        let text = format!("The list file is gone from {path}; its tasks are kept here.{step}");
        reply(state, Severity::Error, text, now);
    }
    state.write_queue.error = Some(error);
    state
        .write_queue
        .retry_at
        .get_or_insert(now.mono.after(RETRY_DELAY));
}

/// Records that the list file failed outside of a write.
pub(super) fn list_failed(state: &mut State, error: StoreError, now: Now) {
    if state.loading == ListLoading::Done {
        record_failure(state, error, now);
    }
}

/// Orders the list to be written back if its file is gone.
pub(super) fn restore_list_file(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    if is_file_missing(state) {
        effects.push(Effect::RestoreListFile);
    } else {
        let text = "Nothing to write back: the list file is there.";
        reply(state, Severity::Info, text, now);
    }
}

/// Reports whether tasks are shown that no list file holds any more.
pub(super) fn is_only_copy(state: &State) -> bool {
    is_file_missing(state) && state.settings.access == AccessMode::Full && !state.list.is_empty()
}

const fn is_file_missing(state: &State) -> bool {
    matches!(state.write_queue.error, Some(StoreError::Missing(_)))
}

/// Applies the result of writing the list back; on success what waits is written at once.
pub(super) fn list_file_restored(state: &mut State, result: Result<(), StoreError>, now: Now) {
    match result {
        Ok(()) => state.write_queue.retry_at = Some(now.mono),
        Err(error) => reply(
            state,
            Severity::Error,
            format!("Not written back: {error}."),
            now,
        ),
    }
}

/// Shows what a person's changes became, in one sentence for all of them.
fn report_results(state: &mut State, changes: &[ListChange], applied: Vec<ChangeResult>, now: Now) {
    let (mut added, mut known, mut gone) = (Vec::new(), 0_usize, Vec::new());
    let mut said = Vec::new();
    for (change, applied) in changes.iter().zip(applied) {
        let id = change.task();
        match (change, applied) {
            (ListChange::Add { .. } | ListChange::Restore { .. }, ChangeResult::Added(watched)) => {
                let watched = match state.list.get(id) {
                    Some(_) => merge_external(state, *watched, now),
                    None => *watched,
                };
                added.push(watched);
            }
            (ListChange::Add { .. }, ChangeResult::AlreadyWatched) => known += 1,
            (ListChange::Remove { .. }, ChangeResult::Removed | ChangeResult::NotWatched) => {
                gone.push(id);
            }
            (ListChange::Label { .. } | ListChange::SetNotify { .. }, ChangeResult::Recorded) => {
                said.push(change);
            }
            (
                ListChange::Observed { .. } | ListChange::CheckFailed { .. },
                ChangeResult::NotWatched,
            ) => {
                selection::with_stable_selection(state, now, |rows| rows.remove(id));
            }
            _ => {}
        }
        selection::invalidate_journal(state, id);
    }
    let order = state.undo_stack.finish_write(changes, true);
    let is_undone = order == FinishedWrite::Done { is_undone: true };
    let is_void = order == FinishedWrite::UndoOfFailedWrite;
    match order {
        FinishedWrite::UndoOfFailedWrite => {}
        FinishedWrite::LabelsRestored(_) => labels::labels_restored(state, &said, now),
        FinishedWrite::Done { is_undone } => labels::change_written(state, &said, is_undone, now),
    }
    let new: Vec<_> = added.iter().map(|watched| watched.id().clone()).collect();
    let removed = selection::with_stable_selection(state, now, |rows| {
        rows.insert_all(added);
        rows.remove_all(&gone)
    });
    let is_undo = changes
        .iter()
        .any(|change| matches!(change, ListChange::Restore { .. }));
    if let Some(first) = new.first() {
        if state.screen == MainScreen::List {
            selection::select(state, first);
        }
        let verb = if is_undo {
            "Watching again"
        } else {
            "Watching"
        };
        let what = match (new.len(), state.list.get(first)) {
            (1, Some(watched)) => quoted_title(watched),
            (count, _) => format!("{count} tasks"),
        };
        let rest = if known > 0 {
            format!(" {known} were watched already.")
        } else {
            String::new()
        };
        let is_seen = |id: &TaskId| state.rows.position(id, &state.list).is_some();
        let hidden = if new.iter().any(is_seen) {
            ""
        } else {
            " The tab or the filter hides it."
        };
        let text = format!("{verb} {what}.{rest}{hidden}");
        reply(state, Severity::Info, text, now);
    } else if is_undo && removed.is_empty() && !is_void {
        let text = "Nothing was brought back: it is watched already, or was removed too long ago.";
        reply(state, Severity::Info, text, now);
    } else if known > 0 {
        reply(
            state,
            Severity::Info,
            "Watched already, nothing to add.",
            now,
        );
    }
    if let Some(first) = removed.first()
        && !is_undone
    {
        let what = if removed.len() == 1 {
            quoted_title(first)
        } else {
            format!("{} tasks", removed.len())
        };
        offer_undo(state, &format!("Removed {what}."), now);
        let removed = removed.iter().map(|watched| watched.id().clone());
        state.undo_stack.push(UndoStep::Removal(removed.collect()));
    }
}

/// Takes a journal in.
pub(super) fn journal_read(
    state: &mut State,
    task: TaskId,
    lines: Result<Vec<JournalLine>, StoreError>,
) {
    state.journal_requested = None;
    state.journal = Some((task, lines.unwrap_or_default()));
}

/// Takes a raw record in.
pub(super) fn record_read(
    state: &mut State,
    task: TaskId,
    record: Result<Option<Arc<RawResponse>>, StoreError>,
) {
    state.raw_requested = None;
    state.raw = Some(RawResponseState {
        task,
        response: record,
        is_outdated: false,
    });
}
