//! Results on their way to the disk, and links about to die.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    notices::{follow_up, nothing_of, notify, quoted, refuses_changes, step},
    selection, storing,
};
use crate::{
    app::{
        keymap::Action,
        msg::Effect,
        state::{FolderDialog, Loading, NOTICE_TIME, Overlay, SaveStage, State, Tone},
    },
    domain::{
        change::{Access, Change},
        path_text::PathError,
        save::{Progress, SaveAttempt, SaveError, SaveOrder},
        status::{Keeping, LinkLife, Tab},
        task::TaskId,
        time::{Now, age},
        watched::Watched,
    },
};

/// How often files are looked for and links about to die are pointed out.
const TEND_EVERY: Duration = Duration::from_mins(1);

/// How long what another instance just began may be held by nobody yet.
const BEGINNING: Duration = Duration::from_secs(10);

/// How far the two clocks may drift apart while a retry waits.
const CLOCK_DRIFT: Duration = Duration::from_secs(1);

/// How long a link about to die is not spoken of again.
const WARN_AGAIN: Duration = Duration::from_hours(24);

/// Saves the results of the marked tasks, else of the selected one; pressed again while that runs, it tells how far
/// they are, and then stops them.
pub(super) fn save(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    let tasks = targets(state);
    if tasks.is_empty() {
        return notify(state, Tone::Plain, "No task selected.", now);
    }
    if refuses_changes(state, now) {
        return;
    }
    if tasks.iter().all(|task| state.saves.saving(task).is_some()) {
        return ask_or_stop(state, &tasks, now, effects);
    }
    // A single one goes on where it was interrupted.
    let begun = match tasks.as_slice() {
        [one] => state
            .list
            .get(one)
            .and_then(|watched| watched.saves.begun.clone()),
        _ => None,
    };
    let folder = begun.unwrap_or_else(|| state.settings.save_folder.clone());
    if folder.as_os_str().is_empty() {
        return choose_folder(state, now);
    }
    save_all(state, &tasks, &folder, now, effects);
}

fn targets(state: &State) -> Vec<TaskId> {
    let targets = state.targets().into_iter();
    targets.map(|watched| watched.id().clone()).collect()
}

/// Opens the box in which a folder is typed.
pub(super) fn choose_folder(state: &mut State, now: Now) {
    let mut tasks = targets(state);
    if tasks.is_empty() {
        return notify(state, Tone::Plain, "No task selected.", now);
    }
    if refuses_changes(state, now) {
        return;
    }
    let why = tasks
        .first()
        .and_then(|task| nothing_to_save(state, task, now));
    tasks.retain(|task| nothing_to_save(state, task, now).is_none());
    if let Some(why) = why.filter(|_| tasks.is_empty()) {
        return notify(state, Tone::Warning, why, now);
    }
    let folder = PathBuf::from(state.settings.shown(&state.settings.save_folder));
    let dialog = FolderDialog::new(tasks, &folder);
    state.overlay = Some(Overlay::Folder(Box::new(dialog)));
}

/// Saves into the folder that was typed.
pub(super) fn accept_folder(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    let Some(Overlay::Folder(dialog)) = &state.overlay else {
        return;
    };
    let settings = &state.settings;
    let folder = dialog.folder(
        settings.home.as_deref(),
        &settings.variables,
        &settings.here,
    );
    let folder = match folder {
        Ok(folder) => folder,
        Err(PathError::Empty) => {
            let what = "No folder in there yet: type one.";
            return notify(state, Tone::Warning, what, now);
        }
        Err(error) => {
            let what = format!("No such folder: {error}.");
            return notify(state, Tone::Warning, what, now);
        }
    };
    let tasks = dialog.tasks().to_vec();
    state.overlay = None;
    save_all(state, &tasks, &folder, now, effects);
}

/// Saves the results of tasks, and says so in one sentence.
fn save_all(
    state: &mut State,
    tasks: &[TaskId],
    folder: &Path,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    let mut begun = Vec::new();
    let mut refused = None;
    let mut changes = Vec::new();
    for task in tasks {
        refused = nothing_to_save(state, task, now).or(refused);
        if let Some(change) = begin(state, task, folder, now) {
            changes.push(change);
            begun.push(task);
        }
    }
    write(state, changes, effects);
    let what = match (begun.as_slice(), refused) {
        ([], Some(why)) => return notify(state, Tone::Warning, why, now),
        ([], None) => return,
        ([one], _) => state.list.get(one).map_or_else(String::new, quoted),
        (many, _) => format!("the results of {} tasks", many.len()),
    };
    let hidden = match state.hidden_targets() {
        0 => String::new(),
        hidden => format!(" ({hidden} hidden)"),
    };
    let folder = state.settings.shown(folder);
    notify(
        state,
        Tone::Plain,
        format!("Saving {what}{hidden} to {folder}."),
        now,
    );
}

/// Returns why there is nothing to save, if so.
fn nothing_to_save(state: &State, task: &TaskId, now: Now) -> Option<String> {
    let watched = state.list.get(task)?;
    if watched.task.state().videos().next().is_none() {
        return Some(nothing_of(state, watched, "save", now));
    }
    let path = watched.saves.there().next().map(|file| &file.path);
    match (watched.keeping(), path) {
        (Keeping::OnDisk, Some(path)) => {
            Some(format!("Saved already: {}.", state.settings.shown(path)))
        }
        _ => None,
    }
}

/// Lets the results of a task that are not on disk wait for their turn; returns what is to be written down of that.
fn begin(state: &mut State, task: &TaskId, folder: &Path, now: Now) -> Option<Change> {
    let orders = state.list.get(task)?.save_orders(folder);
    if orders.is_empty() {
        return None;
    }
    state.saves.add(orders);
    // However it ends, it was begun here.
    state.saves.unjudged.remove(task);
    state.saves.elsewhere.remove(task);
    state.list.change(task, |watched| {
        watched.saves.begun = Some(folder.to_owned());
    });
    Some(Change::SaveBegun {
        task: task.clone(),
        at: now.wall,
        folder: folder.to_owned(),
    })
}

/// Orders changes to be written together, if there are any.
fn write(state: &mut State, changes: Vec<Change>, effects: &mut Vec<Effect>) {
    if !changes.is_empty() {
        storing::write(state, changes, effects);
    }
}

/// Saves a result just made, where the user wants that.
pub(super) fn made(state: &mut State, task: &TaskId, now: Now, effects: &mut Vec<Effect>) {
    let is_wanted = state.settings.auto_save && state.settings.access == Access::Full;
    if is_wanted && !state.settings.save_folder.as_os_str().is_empty() {
        let folder = state.settings.save_folder.clone();
        let change = begin(state, task, &folder, now);
        write(state, change.into_iter().collect(), effects);
    }
}

/// Saves results of which other instances heard, where the user wants that and none of them saves it already. What is
/// gone from the server is not asked for.
pub(super) fn made_elsewhere(
    state: &mut State,
    tasks: &[TaskId],
    now: Now,
    effects: &mut Vec<Effect>,
) {
    for task in tasks {
        let retention = state.list.retention();
        let is_theirs_or_gone = |watched: &Watched| {
            watched.saves.begun.is_some() || watched.link_life(retention, now) == LinkLife::Gone
        };
        if !state.list.get(task).is_some_and(is_theirs_or_gone) {
            made(state, task, now, effects);
        }
    }
}

/// Looks into what was begun and has not ended: another instance may be at it, else it was interrupted.
pub(super) fn go_on(state: &mut State, effects: &mut Vec<Effect>) {
    state.saves.tended = None;
    let is_begun_here = |task: &TaskId| state.saves.saving(task).is_some();
    state.saves.unjudged = begun(state).filter(|task| !is_begun_here(task)).collect();
    find_holders(state, effects);
}

/// Returns the tasks of which a save was begun, here or elsewhere, and has not ended.
fn begun(state: &State) -> impl Iterator<Item = TaskId> {
    let begun = state.list.iter().filter(|watched| is_begun(watched));
    begun.map(|watched| watched.id().clone())
}

fn is_begun(watched: &Watched) -> bool {
    watched.saves.begun.is_some() && !watched.save_orders(Path::new("")).is_empty()
}

/// Lets be found out who is at what was begun and is not on its way here.
fn find_holders(state: &mut State, effects: &mut Vec<Effect>) {
    let State { saves, list, .. } = &mut *state;
    saves
        .elsewhere
        .retain(|task, _| list.get(task).is_some_and(is_begun));
    if saves.is_asking {
        return;
    }
    let orders: Vec<_> = begun(state)
        .filter(|task| state.saves.saving(task).is_none())
        .filter_map(|task| {
            let watched = state.list.get(&task)?;
            Some(watched.save_orders(watched.saves.begun.as_ref()?))
        })
        .flatten()
        .collect();
    if !orders.is_empty() {
        state.saves.is_asking = true;
        effects.push(Effect::FindHolders(orders));
    }
}

/// Takes in which of the saves begun somebody is at, and goes on with those that were interrupted, or offers them.
pub(super) fn holders_found(
    state: &mut State,
    found: Vec<(TaskId, bool)>,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    state.saves.is_asking = false;
    // Whoever fetches two files at a time has others that wait for their turn, and those nobody holds.
    let is_anybody = found.iter().any(|(_, is_held)| *is_held);
    let mut interrupted = Vec::new();
    for (task, _) in found {
        let is_open = state.list.get(&task).is_some_and(is_begun);
        let State { saves, .. } = &mut *state;
        if !is_open || saves.saving(&task).is_some() || saves.is_retried_here(&task) {
            saves.elsewhere.remove(&task);
        } else if is_anybody {
            saves.elsewhere.entry(task).or_insert(now.mono);
        } else if let Some(since) = saves.elsewhere.get(&task).copied() {
            // What was just begun may not be held yet.
            if now.mono.since(since) >= BEGINNING {
                saves.elsewhere.remove(&task);
                interrupted.push((task, TEND_EVERY));
            }
        } else if saves.unjudged.contains(&task) {
            interrupted.push((task, Duration::ZERO));
        }
    }
    for (task, _) in &interrupted {
        state.saves.unjudged.remove(task);
    }
    take_up(state, &interrupted, now, effects);
}

/// Goes on with interrupted saves, or offers them.
fn take_up(
    state: &mut State,
    interrupted: &[(TaskId, Duration)],
    now: Now,
    effects: &mut Vec<Effect>,
) {
    if state.settings.access == Access::ReadOnly {
        return;
    }
    // A failed save waits for its time, whoever tried it; if that instance is alive, it goes first.
    let mut interrupted = interrupted.to_vec();
    interrupted.retain(|(task, grace)| schedule_retry(state, task, *grace, now).is_none());
    let interrupted: Vec<_> = interrupted.into_iter().map(|(task, _)| task).collect();
    if interrupted.is_empty() {
        return;
    }
    let what = match interrupted.as_slice() {
        [one] => {
            let title = state.list.get(one).map_or_else(String::new, quoted);
            format!("The saving of {title} was interrupted")
        }
        many => format!("{} saves were interrupted", many.len()),
    };
    if !state.settings.auto_save {
        let step = step(state, Action::Save, "goes on with it");
        return notify(state, Tone::Warning, format!("{what}.{step}"), now);
    }
    let changes = interrupted
        .iter()
        .filter_map(|task| {
            let folder = state.list.get(task)?.saves.begun.clone()?;
            begin(state, task, &folder, now)
        })
        .collect();
    write(state, changes, effects);
    notify(state, Tone::Plain, format!("{what} and goes on."), now);
}

/// Says how far saves are; asked again soon, stops them.
fn ask_or_stop(state: &mut State, tasks: &[TaskId], now: Now, effects: &mut Vec<Effect>) {
    let is_meant = state
        .saves
        .stop_offered
        .take()
        .is_some_and(|(offered, until)| offered == tasks && now.mono < until);
    if is_meant {
        for task in tasks {
            stop(state, task, effects);
            note_failure(state, task, &SaveError::Stopped, now);
            selection::forget_journal(state, task);
        }
        let stopped = |task: &TaskId| Change::NotSaved {
            task: task.clone(),
            at: now.wall,
            error: SaveError::Stopped,
        };
        storing::write(state, tasks.iter().map(stopped).collect(), effects);
        let step = step(state, Action::Save, "goes on");
        let text = format!("Stopped; what came is kept.{step}");
        return notify(state, Tone::Plain, text, now);
    }
    let Some(saving) = state.saves.of_all(tasks) else {
        return;
    };
    let what = match tasks {
        [one] => state.list.get(one).map_or_else(String::new, quoted),
        many => format!("the results of {} tasks", many.len()),
    };
    let far = match saving.progress.percent() {
        Some(percent) => format!("{percent}% of {what} is here"),
        None if saving.waiting == saving.files => format!("{what}: waiting for a turn"),
        None => format!("{what}: {} files on their way", saving.files),
    };
    let step = step(state, Action::Save, "again stops it");
    state.saves.stop_offered = Some((tasks.to_vec(), now.mono.after(NOTICE_TIME)));
    notify(state, Tone::Plain, format!("{far}.{step}"), now);
}

fn stop(state: &mut State, task: &TaskId, effects: &mut Vec<Effect>) {
    let running = state.saves.stop(task);
    effects.extend(running.into_iter().map(Effect::StopSave));
}

/// Stops the saves of tasks that are watched no more, and says so behind what was said of that.
fn stop_unwatched(state: &mut State, effects: &mut Vec<Effect>) {
    if !std::mem::take(&mut state.saves.has_lost_tasks) {
        return;
    }
    let list = &state.list;
    let gone = state.saves.unwatched(|task| list.get(task).is_none());
    if gone.is_empty() {
        return;
    }
    for task in &gone {
        stop(state, task, effects);
    }
    state.board.append(" Its saving ended; what came is kept.");
}

fn note_failure(state: &mut State, task: &TaskId, error: &SaveError, now: Now) {
    state
        .list
        .change(task, |watched| watched.saves.failed(error, now.wall));
}

/// Schedules the retry of a task's failed save, `grace` after it is due; returns the wait.
fn schedule_retry(state: &mut State, task: &TaskId, grace: Duration, now: Now) -> Option<Duration> {
    let retry = state.list.get(task)?.saves.retry?;
    let wait = now.until(retry.at).saturating_add(grace);
    state
        .saves
        .schedule_retry(task.clone(), now.mono.after(wait));
    Some(wait)
}

/// Retries a failed save that is due, unless it was cancelled or taken over meanwhile.
fn retry_due(state: &mut State, now: Now) {
    let Some(task) = state.saves.take_retry(now.mono) else {
        return;
    };
    let Some(watched) = state.list.get(&task) else {
        return;
    };
    let (folder, retry) = (watched.saves.begun.clone(), watched.saves.retry);
    if state.saves.is_elsewhere(&task) || state.saves.saving(&task).is_some() {
        return;
    }
    if retry.is_some_and(|retry| now.until(retry.at) > CLOCK_DRIFT) {
        // Another instance was faster, and failed too.
        schedule_retry(state, &task, TEND_EVERY, now);
    } else if let Some(folder) = folder {
        // The list already says that it was begun.
        begin(state, &task, &folder, now);
    }
}

/// Takes in how far a file is.
pub(super) fn progressed(state: &mut State, attempt: SaveAttempt, progress: Progress) {
    state.saves.progressed(attempt, progress);
}

/// Takes in how a save ended. What a person stopped, or stopped watching, was said then.
pub(super) fn ended(
    state: &mut State,
    attempt: SaveAttempt,
    result: Result<PathBuf, SaveError>,
    now: Now,
    effects: &mut Vec<Effect>,
) {
    let job = match &result {
        Ok(_) => state.saves.came(attempt),
        Err(_) => state.saves.end(attempt),
    };
    let Some(job) = job else {
        return;
    };
    let task = job.order.task;
    let Some(watched) = state.list.get(&task) else {
        return;
    };
    let (title, rescue) = (quoted(watched), watched.task.state().rescue());
    let change = match result {
        Ok(path) => {
            selection::steadily(state, now, |rows| {
                rows.change(&task, |watched| {
                    watched.saved(job.order.number, path.clone());
                });
            });
            let text = format!("Saved {title} to {}.{rescue}", state.settings.shown(&path));
            follow_up(state, Tone::Good, text, now);
            Change::Saved {
                task: task.clone(),
                at: now.wall,
                number: job.order.number,
                path,
            }
        }
        Err(_) if job.stage == SaveStage::Stopping => return,
        Err(error) => {
            let retention = state.settings.retention;
            let error = watched.judge_failure(error, retention, now.wall);
            let was_retried = watched.saves.retry.is_some();
            if error == SaveError::Busy {
                state.saves.elsewhere.insert(task.clone(), now.mono);
            }
            note_failure(state, &task, &error, now);
            let wait = error
                .is_retried()
                .then(|| schedule_retry(state, &task, Duration::ZERO, now))
                .flatten();
            // Shown the first and the last time only.
            if !was_retried || (wait.is_none() && error != SaveError::Busy) {
                let (tone, next) = match wait {
                    Some(wait) => (Tone::Warning, format!("Next try in {}.", age(wait))),
                    None => (Tone::Bad, error.next_step().to_owned()),
                };
                let text = format!("{title} is not saved: {}. {next}", error.message());
                notify(state, tone, text, now);
            }
            Change::NotSaved {
                task: task.clone(),
                at: now.wall,
                error,
            }
        }
    };
    storing::write(state, vec![change], effects);
    selection::forget_journal(state, &task);
}

/// Takes in which files are there.
pub(super) fn looked(state: &mut State, files: Vec<(TaskId, PathBuf, bool)>, now: Now) {
    state.saves.is_looking = false;
    for (task, path, is_there) in files {
        let is_news = state.list.get(&task).is_some_and(|watched| {
            let mut files = watched.saves.files().iter();
            files.any(|file| file.path == path && file.is_there != is_there)
        });
        if is_news {
            selection::steadily(state, now, |rows| {
                rows.change(&task, |watched| watched.saves.looked(&path, is_there));
            });
        }
    }
}

/// Does what is due: begins the next files, and once a minute looks for saved ones and points out links about to die.
pub(super) fn tend(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    stop_unwatched(state, effects);
    retry_due(state, now);
    let State { saves, list, .. } = &mut *state;
    // Another instance may have saved it while it waited here.
    let is_done = |order: &SaveOrder| {
        let watched = list.get(&order.task);
        watched.is_some_and(|watched| watched.saves.has(order.number))
    };
    while let Some((attempt, order)) = saves.begin_next(is_done) {
        effects.push(Effect::Save { attempt, order });
    }
    let is_time = state
        .saves
        .tended
        .is_none_or(|last| now.mono.since(last) >= TEND_EVERY);
    if !is_time || state.loading != Loading::Done {
        return;
    }
    let is_first = state.saves.tended.is_none();
    look(state, is_first, effects);
    find_holders(state, effects);
    // Not where nobody looks on, and what is being read now is not pushed aside.
    if state.notice().is_none() && state.size.page > 0 {
        warn(state, now, effects);
    }
    state.saves.tended = Some(now.mono);
}

/// Lets files be looked for: all of them at first, then those of the rows on the screen.
fn look(state: &mut State, is_first: bool, effects: &mut Vec<Effect>) {
    if state.saves.is_looking {
        return;
    }
    let of = |watched: &Watched| {
        let files = watched.saves.files().iter();
        let id = watched.id().clone();
        files
            .map(move |file| (id.clone(), file.path.clone()))
            .collect::<Vec<_>>()
    };
    let rows = usize::from(state.size.page);
    let files: Vec<_> = if is_first {
        state.list.iter().flat_map(of).collect()
    } else {
        let selected = state.selected().into_iter();
        selected.chain(state.visible(rows)).flat_map(of).collect()
    };
    if !files.is_empty() {
        state.saves.is_looking = true;
        effects.push(Effect::LookFor(files));
    }
}

/// Points out links about to die whose results are not on disk: each once a day.
fn warn(state: &mut State, now: Now, effects: &mut Vec<Effect>) {
    let ids: Vec<_> = state
        .list
        .expiring_ids(now)
        .filter(|id| {
            state.list.get(id).is_some_and(|watched| {
                let warned = watched.saves.warned;
                let is_silent = warned.is_none_or(|at| now.age_of(at) >= WARN_AGAIN);
                is_silent && watched.saves.begun.is_none()
            })
        })
        .cloned()
        .collect();
    let text = match ids.as_slice() {
        [] => return,
        [one] => match state.list.get(one) {
            Some(watched) => {
                let LinkLife::Left(left) = watched.link_life(state.settings.retention, now) else {
                    return;
                };
                let left = rough(left);
                let step = step(state, Action::Save, "saves it");
                format!(
                    "The link of {} dies in about {left}.{step}",
                    quoted(watched)
                )
            }
            None => return,
        },
        many => {
            let step = step(state, Action::ShowTab(Tab::Expiring), "shows them");
            format!(
                "The links of {} results die within two days.{step}",
                many.len()
            )
        }
    };
    for id in &ids {
        state
            .list
            .change(id, |watched| watched.saves.warned = Some(now.wall));
    }
    if state.settings.access == Access::Full {
        let warned = |task| Change::Warned { task, at: now.wall };
        storing::write(state, ids.into_iter().map(warned).collect(), effects);
    }
    notify(state, Tone::Warning, text, now);
}

/// Returns a time in hours, or in minutes below one.
fn rough(left: Duration) -> String {
    match left.as_secs() / 60 {
        minutes @ 0..60 => format!("{minutes} minutes"),
        minutes @ 60..120 => format!("{} hour", minutes / 60),
        minutes => format!("{} hours", minutes / 60),
    }
}
