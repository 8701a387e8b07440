//! The list on disk: what was read, written, or changed by another instance.

use std::{sync::Arc, time::Duration};

use super::{
    labels,
    notices::{self, announce, notify, offer_undo, quoted, step},
    pacing, selection,
};
use crate::{
    app::{
        keymap::Action,
        msg::Effect,
        state::{
            AddDialog, FinishedWrite, LabelEditor, Loading, Overlay, RawRecord, Screen, State,
            Tone, Undo,
        },
    },
    domain::{
        change::{Access, Applied, Change, Delta, JournalLine, StoreError},
        record::Record,
        schedule::{self, Polling, Stop},
        task::TaskId,
        time::Now,
        watched::Watched,
    },
};

/// How long after a failed write the next one is tried.
const RETRY: Duration = Duration::from_secs(5);

/// How long another instance is given to ask first after a task that it added.
const HEAD_START: Duration = Duration::from_secs(2);

/// Takes the list in as it was read, and returns which tasks ended since it was looked at before this run.
pub(super) fn loaded(
    state: &mut State,
    result: Result<Vec<Watched>, StoreError>,
    now: Now,
) -> Vec<TaskId> {
    match result {
        Ok(all) => {
            state.loading = Loading::Done;
            selection::steadily(state, now, |rows| rows.replace(all));
            notices::returned(state, now)
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
            state.reload = may_pass.then(|| now.mono.after(RETRY));
            state.loading = Loading::Failed(error);
            Vec::new()
        }
    }
}

/// Takes in what another instance did, and returns which tasks ended by it. Its answers count like our own, so the task is not asked again at once.
pub(super) fn changed_elsewhere(state: &mut State, deltas: Vec<Delta>, now: Now) -> Vec<TaskId> {
    let mut ended = Vec::new();
    if state.loading != Loading::Done {
        return ended;
    }
    if is_gone(state) {
        // The file is back.
        state.unsaved.retry = Some(now.mono);
    }
    for delta in deltas {
        match delta {
            Delta::Gone(id) => {
                selection::steadily(state, now, |rows| rows.remove(&id));
            }
            Delta::Changed(watched) => ended.extend(adopt(state, *watched, now)),
        }
    }
    ended
}

/// Takes in one task as another instance wrote it; returns its id when it has just ended.
fn adopt(state: &mut State, news: Watched, now: Now) -> Option<TaskId> {
    let id = news.id().clone();
    let before = state.list.get(&id);
    let was_final = before.is_none_or(|before| before.task.state().is_final());
    let was_begun = before.is_some_and(|before| before.saves.begun.is_some());
    let news = joined(state, news, now);
    let is_final = news.task.state().is_final();
    let is_answered = before.is_some_and(|before| {
        news.freshness.last_error.is_none() && news.freshness.checks > before.freshness.checks
    });
    if is_answered {
        pacing::release_by_news(state, now);
    }
    if news.saves.begun.is_some() && !was_begun {
        state.saves.elsewhere.insert(id.clone(), now.mono);
    }
    selection::steadily(state, now, |rows| rows.insert(news));
    selection::forget_journal(state, &id);
    if is_final && !was_final {
        announce(state, &id, now);
        return Some(id);
    }
    None
}

/// Joins what the list on disk says of a task with what is known of it: that may not be written down yet.
fn joined(state: &State, mut news: Watched, now: Now) -> Watched {
    let interval = state
        .polls
        .pace()
        .interval(news.run_time(now), state.estimate().late);
    let Some(before) = state.list.get(news.id()) else {
        if matches!(news.polling, Polling::DueAt(_)) {
            // The one that added it asks at once, or just did.
            let wait = news.freshness.last_ok.map_or(HEAD_START, |last| {
                interval.saturating_sub(now.age_of(last)).max(HEAD_START)
            });
            news.polling = Polling::DueAt(now.mono.after(wait));
        }
        return news;
    };
    // Counted, not timed: the clocks on the wall may lie.
    let is_answered = news.freshness.checks > before.freshness.checks;
    let told = std::mem::replace(&mut news.task, before.task.clone());
    news.task.absorb(told.state(), told.facts());
    if !is_answered {
        news.freshness = before.freshness.clone();
    }
    news.saves.join(&before.saves);
    news.linkless = match (news.lacks_link(), is_answered) {
        (false, _) => 0,
        (true, false) => before.linkless,
        (true, true) => before.linkless.saturating_add(1),
    };
    // News from before a sleep tell nothing of what others ask now.
    let is_recent = news
        .freshness
        .last_check()
        .is_some_and(|at| now.age_of(at) < schedule::ASLEEP);
    news.polling = match (before.polling, news.polling) {
        (asked @ Polling::InFlight { .. }, _) => asked,
        (_, stopped @ Polling::Stopped(_)) => stopped,
        (own @ Polling::DueAt(_), _) if state.polls.needs_own_try(now.mono) => own,
        (Polling::DueAt(_) | Polling::Stopped(Stop::Refused), _) if is_answered && is_recent => {
            let (pace, jitter) = (state.polls.pace(), state.polls.jitter());
            let late_after = state.estimate().late;
            schedule::next_behind(news.standing(now), pace, late_after, jitter, now.mono)
        }
        (own, _) => own,
    };
    news
}

/// Orders changes to be written; behind what waits already, so that the order holds.
pub(super) fn write(state: &mut State, changes: Vec<Change>, effects: &mut Vec<Effect>) {
    effects.extend(state.unsaved.write(changes).map(Effect::Store));
}

/// Tries again to write what could not be written, and to read a list that could not be read.
pub(super) fn retry(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    if state.unsaved.retry.is_some_and(|at| at <= now.mono) {
        state.unsaved.retry = None;
        effects.push(Effect::Store(state.unsaved.drain()));
    }
    if state.reload.take_if(|at| *at <= now.mono).is_some() {
        if !state.outlook.is_recalled {
            effects.push(Effect::Recall);
        }
        effects.push(Effect::Load);
    }
}

/// Takes in what became of a write.
pub(super) fn stored(
    state: &mut State,
    changes: Vec<Change>,
    result: Result<Vec<Applied>, StoreError>,
    now: Now,
) {
    match result {
        Ok(applied) => {
            if state.unsaved.error.take().is_some() {
                state.unsaved.retry = None;
                notify(state, Tone::Good, "The list is saved again.", now);
            }
            state.unsaved.answered(now.mono);
            settle(state, &changes, applied, now);
        }
        Err(error) => keep(state, changes, error, now),
    }
}

/// Keeps what was learnt for another try. What a person asked for is refused with the reason, not kept in silence.
fn keep(state: &mut State, changes: Vec<Change>, error: StoreError, now: Now) {
    let refused = changes
        .iter()
        .filter(|change| change.is_acknowledged())
        .count();
    if refused > 0 {
        notify(
            state,
            Tone::Bad,
            format!("Nothing was changed: {error}."),
            now,
        );
    }
    let (mut unadded, mut unlabelled, mut label) = (Vec::new(), Vec::new(), None);
    for change in &changes {
        match change {
            Change::Add {
                task, label: told, ..
            } => {
                unadded.push(task.clone());
                label = told.as_ref();
            }
            Change::Label {
                task, label: told, ..
            } => {
                unlabelled.push(task.clone());
                label = told.as_ref();
            }
            Change::Remove { .. }
            | Change::Restore { .. }
            | Change::Observed { .. }
            | Change::CheckFailed { .. }
            | Change::Opened { .. }
            | Change::SaveBegun { .. }
            | Change::Saved { .. }
            | Change::NotSaved { .. }
            | Change::Warned { .. }
            | Change::Notify { .. } => {}
        }
    }
    let order = state.undos.finish_write(&changes, false);
    let is_void = order == FinishedWrite::VoidUndo;
    if is_void || order == (FinishedWrite::Done { is_undone: true }) {
        // Nothing must be done again.
    } else if !unadded.is_empty() && state.overlay.is_none() {
        // The dialog was closed; its ids may be stored nowhere else.
        state.overlay = Some(Overlay::Add(Box::new(AddDialog::again(unadded, label))));
    } else if let FinishedWrite::LabelsReturned(labels) = order {
        state.undos.push(Undo::Labels(labels));
    } else if !unlabelled.is_empty() && state.overlay.is_none() {
        let editor = LabelEditor::again(unlabelled, label);
        state.overlay = Some(Overlay::Label(Box::new(editor)));
    }
    let unrestored: Vec<_> = changes
        .iter()
        .filter(|change| matches!(change, Change::Restore { .. }))
        .map(|change| change.task().clone())
        .collect();
    if !unrestored.is_empty() && !is_void {
        state.undos.push(Undo::Removal(unrestored));
    }
    let unsaved = &mut state.unsaved;
    unsaved.take_back(
        changes
            .into_iter()
            .filter(|change| !change.is_acknowledged()),
    );
    let is_gone = matches!(error, StoreError::Gone(_));
    if is_gone || unsaved.error.is_some() || !unsaved.changes.is_empty() {
        unsaved.retry = None;
        note_failure(state, error, now);
    }
    state.unsaved.answered(now.mono);
}

/// Records that writes fail now. If the file is gone, the rows shown are all that is left, so that
/// is shown at once.
fn note_failure(state: &mut State, error: StoreError, now: Now) {
    if let StoreError::Gone(path) = &error
        && state.unsaved.error.as_ref() != Some(&error)
    {
        let step = match state.settings.access {
            Access::Full => step(state, Action::WriteBack, "writes it back"),
            Access::ReadOnly => String::new(),
        };
        let path = path.display();
        let text = format!("The list file is gone from {path}; its tasks are kept here.{step}");
        notify(state, Tone::Bad, text, now);
    }
    state.unsaved.error = Some(error);
    state.unsaved.retry.get_or_insert(now.mono.after(RETRY));
}

/// Records that the list file failed outside of a write.
pub(super) fn list_failed(state: &mut State, error: StoreError, now: Now) {
    if state.loading == Loading::Done {
        note_failure(state, error, now);
    }
}

/// Orders the list to be written back if its file is gone.
pub(super) fn write_back(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    if is_gone(state) {
        effects.push(Effect::WriteBack);
    } else {
        let text = "Nothing to write back: the list file is there.";
        notify(state, Tone::Plain, text, now);
    }
}

/// Reports whether tasks are shown that no list file holds any more.
pub(super) fn holds_the_only_list(state: &State) -> bool {
    is_gone(state) && state.settings.access == Access::Full && !state.list.is_empty()
}

const fn is_gone(state: &State) -> bool {
    matches!(state.unsaved.error, Some(StoreError::Gone(_)))
}

/// Applies the result of writing the list back; on success what waits is written at once.
pub(super) fn written_back(state: &mut State, result: Result<(), StoreError>, now: Now) {
    match result {
        Ok(()) => state.unsaved.retry = Some(now.mono),
        Err(error) => notify(state, Tone::Bad, format!("Not written back: {error}."), now),
    }
}

/// Shows what a person's changes became, in one sentence for all of them.
fn settle(state: &mut State, changes: &[Change], applied: Vec<Applied>, now: Now) {
    let (mut added, mut known, mut gone) = (Vec::new(), 0_usize, Vec::new());
    let mut said = Vec::new();
    for (change, applied) in changes.iter().zip(applied) {
        let id = change.task();
        match (change, applied) {
            (Change::Add { .. } | Change::Restore { .. }, Applied::Added(watched)) => {
                let watched = match state.list.get(id) {
                    Some(_) => joined(state, *watched, now),
                    None => *watched,
                };
                added.push(watched);
            }
            (Change::Add { .. }, Applied::AlreadyWatched) => known += 1,
            (Change::Remove { .. }, Applied::Removed | Applied::NotWatched) => {
                gone.push(id);
            }
            (Change::Label { .. } | Change::Notify { .. }, Applied::Noted) => said.push(change),
            (Change::Observed { .. } | Change::CheckFailed { .. }, Applied::NotWatched) => {
                selection::steadily(state, now, |rows| rows.remove(id));
            }
            _ => {}
        }
        selection::forget_journal(state, id);
    }
    let order = state.undos.finish_write(changes, true);
    let is_undone = order == FinishedWrite::Done { is_undone: true };
    let is_void = order == FinishedWrite::VoidUndo;
    match order {
        FinishedWrite::VoidUndo => {}
        FinishedWrite::LabelsReturned(_) => labels::returned(state, &said, now),
        FinishedWrite::Done { is_undone } => labels::taken_in(state, &said, is_undone, now),
    }
    let new: Vec<_> = added.iter().map(|watched| watched.id().clone()).collect();
    let removed = selection::steadily(state, now, |rows| {
        rows.insert_all(added);
        rows.remove_all(&gone)
    });
    let is_undo = changes
        .iter()
        .any(|change| matches!(change, Change::Restore { .. }));
    if let Some(first) = new.first() {
        if state.screen == Screen::List {
            selection::select(state, first);
        }
        let verb = if is_undo {
            "Watching again"
        } else {
            "Watching"
        };
        let what = match (new.len(), state.list.get(first)) {
            (1, Some(watched)) => quoted(watched),
            (count, _) => format!("{count} tasks"),
        };
        let rest = if known > 0 {
            format!(" {known} were watched already.")
        } else {
            String::new()
        };
        let is_seen = |id: &TaskId| state.view.position(id, &state.list).is_some();
        let hidden = if new.iter().any(is_seen) {
            ""
        } else {
            " The tab or the filter hides it."
        };
        let text = format!("{verb} {what}.{rest}{hidden}");
        notify(state, Tone::Plain, text, now);
    } else if is_undo && removed.is_empty() && !is_void {
        let text = "Nothing was brought back: it is watched already, or was removed too long ago.";
        notify(state, Tone::Plain, text, now);
    } else if known > 0 {
        notify(state, Tone::Plain, "Watched already, nothing to add.", now);
    }
    if let Some(first) = removed.first()
        && !is_undone
    {
        let what = if removed.len() == 1 {
            quoted(first)
        } else {
            format!("{} tasks", removed.len())
        };
        offer_undo(state, &format!("Removed {what}."), now);
        let removed = removed.iter().map(|watched| watched.id().clone());
        state.undos.push(Undo::Removal(removed.collect()));
    }
}

/// Takes a journal in.
pub(super) fn journal_read(
    state: &mut State,
    task: TaskId,
    lines: Result<Vec<JournalLine>, StoreError>,
) {
    state.journal_asked = None;
    state.journal = Some((task, lines.unwrap_or_default()));
}

/// Takes a raw record in.
pub(super) fn record_read(
    state: &mut State,
    task: TaskId,
    record: Result<Option<Arc<Record>>, StoreError>,
) {
    state.raw_asked = None;
    state.raw = Some(RawRecord {
        task,
        record,
        is_outdated: false,
    });
}
