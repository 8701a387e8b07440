//! Saving results to disk, and warnings about links that expire soon.

use super::context::Context;
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    messages::{explain_missing_result, key_hint, quoted_title, reply, show_result},
    selection, writes,
};
use crate::{
    app::{
        keymap::Action,
        msg::Effect,
        state::{
            DownloadStage, LineDialog, LineEditor, LinePurpose, ListLoading, MESSAGE_TIME, Overlay,
            Severity, State,
        },
    },
    domain::{
        download::{DownloadError, DownloadId, DownloadRequest, TransferProgress},
        list_change::{AccessMode, ChangeKind, ListChange},
        path_text::{PathError, expand},
        status::{LinkExpiry, ResultLocation, Tab},
        task::TaskId,
        text::CleanText,
        time::{Now, format_age},
        watched_task::WatchedTask,
    },
    messages::message_line,
};

/// Interval between checks of saved files, locks and links that expire soon.
const CHECK_INTERVAL: Duration = Duration::from_mins(1);

/// How long a save that another instance started may have no lock yet.
const LOCK_GRACE: Duration = Duration::from_secs(10);

/// How far the monotonic and the wall clock may drift apart while a retry waits.
const CLOCK_DRIFT: Duration = Duration::from_secs(1);

/// Interval between two warnings about the same link.
const WARN_INTERVAL: Duration = Duration::from_hours(24);

/// Maximum length of the folder, in bytes.
const MAX_FOLDER_LEN: usize = 1024;

/// Saves the results of the target tasks; while they are being saved, shows the progress and then
/// stops.
pub(super) fn save_targets(cx: &mut Context) {
    let tasks = cx.state.target_ids();
    if tasks.is_empty() {
        return reply(cx, Severity::Info, message_line::NO_TASK_SELECTED);
    }
    if tasks
        .iter()
        .all(|task| cx.state.downloads.progress(task).is_some())
    {
        return offer_or_stop(cx, &tasks);
    }
    // A single task resumes in the folder where it was interrupted.
    let resume_in = match tasks.as_slice() {
        [one] => cx
            .state
            .list
            .get(one)
            .and_then(|watched| watched.saved_results.pending_folder.clone()),
        _ => None,
    };
    let folder = resume_in.unwrap_or_else(|| cx.state.settings.save_folder.clone());
    if folder.as_os_str().is_empty() {
        return choose_folder(cx);
    }
    start_all(cx, &tasks, &folder);
}

pub(super) fn choose_folder(cx: &mut Context) {
    let mut tasks = cx.state.target_ids();
    if tasks.is_empty() {
        return reply(cx, Severity::Info, message_line::NO_TASK_SELECTED);
    }
    let why = tasks
        .first()
        .and_then(|task| explain_nothing_to_save(cx.state, task, cx.now));
    tasks.retain(|task| explain_nothing_to_save(cx.state, task, cx.now).is_none());
    if let Some(why) = why.filter(|_| tasks.is_empty()) {
        return reply(cx, Severity::Warning, why);
    }
    // An unescaped `$` would be read as a variable.
    let folder = cx
        .state
        .settings
        .display_path(&cx.state.settings.save_folder);
    let folder = CleanText::line(&folder.replace('$', "$$"), MAX_FOLDER_LEN);
    cx.state.overlay = Some(Overlay::Line(Box::new(LineDialog {
        purpose: LinePurpose::SaveFolder,
        title: match tasks.len() {
            1 => "Save to folder".to_owned(),
            count => format!("Save {count} results to folder"),
        },
        note: String::new(),
        prompt: "folder: ",
        placeholder: "~ is your home folder",
        accept_words: ["save"; 2],
        line: LineEditor::new(folder.as_str(), MAX_FOLDER_LEN),
        tasks,
    })));
}

/// Saves to the typed folder and closes the dialog. Relative paths begin at the working directory.
pub(super) fn accept_folder(cx: &mut Context) {
    let Some(Overlay::Line(dialog)) = &cx.state.overlay else {
        return;
    };
    let settings = &cx.state.settings;
    let typed = dialog.line.text().as_ref();
    let folder = match expand(typed, settings.home.as_deref(), &settings.variables) {
        Ok(folder) => settings.working_dir.join(folder),
        Err(PathError::Empty) => {
            return reply(cx, Severity::Warning, message_line::TYPE_A_FOLDER);
        }
        Err(error) => {
            let text = message_line::invalid_folder(&error);
            return reply(cx, Severity::Warning, text);
        }
    };
    let tasks = dialog.tasks.clone();
    cx.state.overlay = None;
    start_all(cx, &tasks, &folder);
}

/// Starts to save the results of tasks and reports it in one sentence.
fn start_all(cx: &mut Context, tasks: &[TaskId], folder: &Path) {
    let mut started = Vec::new();
    let mut refused = None;
    let mut changes = Vec::new();
    for task in tasks {
        refused = explain_nothing_to_save(cx.state, task, cx.now).or(refused);
        if let Some(change) = start_task(cx, task, folder) {
            changes.push(change);
            started.push(task);
        }
    }
    writes::write(cx, changes);
    let tasks = match (started.as_slice(), refused) {
        ([], Some(why)) => return reply(cx, Severity::Warning, why),
        ([], None) => return,
        ([one], _) => cx
            .state
            .list
            .get(one)
            .map_or_else(String::new, quoted_title),
        (many, _) => message_line::task_count(many.len()),
    };
    let folder = cx.state.settings.display_path(folder);
    let text = message_line::saving(&tasks, cx.state.hidden_targets(), &folder);
    reply(cx, Severity::Info, text);
}

/// Returns the reason why a task has nothing to save, if so.
fn explain_nothing_to_save(state: &State, task: &TaskId, now: Now) -> Option<String> {
    let watched = state.list.get(task)?;
    if watched.task.state().videos().next().is_none() {
        return Some(explain_missing_result(state, watched, "save", now));
    }
    let path = watched
        .saved_results
        .existing()
        .next()
        .map(|file| &file.path);
    match (watched.result_location(), path) {
        (ResultLocation::OnDisk, Some(path)) => Some(message_line::already_saved(
            &state.settings.display_path(path),
        )),
        _ => None,
    }
}

/// Queues the unsaved results of a task; returns the change to write.
fn start_task(cx: &mut Context, task: &TaskId, folder: &Path) -> Option<ListChange> {
    let requests = cx.state.list.get(task)?.download_requests(folder);
    if requests.is_empty() {
        return None;
    }
    cx.state.downloads.add(requests);
    // However it ends, it was started here.
    cx.state.downloads.unresolved.remove(task);
    cx.state.downloads.held_by_others.remove(task);
    let begun = ChangeKind::SaveBegun(folder.to_owned());
    let change = ListChange::new(task.clone(), cx.now.wall, begun);
    writes::apply(cx, &change);
    Some(change)
}

/// Saves a new result if the settings say so.
pub(super) fn auto_save(cx: &mut Context, task: &TaskId) {
    let is_wanted = cx.state.settings.auto_save && cx.state.settings.access == AccessMode::Full;
    if is_wanted && !cx.state.settings.save_folder.as_os_str().is_empty() {
        let folder = cx.state.settings.save_folder.clone();
        let change = start_task(cx, task, &folder);
        writes::write(cx, change.into_iter().collect());
    }
}

/// Saves results that other instances received, if the settings say so, unless one of them saves it
/// already or the link has expired.
pub(super) fn auto_save_external(cx: &mut Context, tasks: &[TaskId]) {
    for task in tasks {
        let retention = cx.state.list.retention();
        let is_theirs_or_gone = |watched: &WatchedTask| {
            watched.saved_results.pending_folder.is_some()
                || watched.link_expiry(retention, cx.now) == LinkExpiry::Expired
        };
        if !cx.state.list.get(task).is_some_and(is_theirs_or_gone) {
            auto_save(cx, task);
        }
    }
}

/// Checks unfinished saves: another instance may be downloading them, else they were interrupted.
pub(super) fn check_interrupted(cx: &mut Context) {
    cx.state.downloads.last_check = None;
    let is_running_here = |task: &TaskId| cx.state.downloads.progress(task).is_some();
    cx.state.downloads.unresolved = pending_saves(cx.state)
        .filter(|task| !is_running_here(task))
        .collect();
    check_locks(cx);
}

/// Returns the tasks with a save that was started, here or elsewhere, and has not finished.
fn pending_saves(state: &State) -> impl Iterator<Item = TaskId> {
    let started = state
        .list
        .iter()
        .filter(|watched| has_pending_save(watched));
    started.map(|watched| watched.id().clone())
}

fn has_pending_save(watched: &WatchedTask) -> bool {
    watched.saved_results.pending_folder.is_some()
        && !watched.download_requests(Path::new("")).is_empty()
}

/// Checks which unfinished saves are being downloaded by another instance.
fn check_locks(cx: &mut Context) {
    let State {
        downloads, list, ..
    } = &mut *cx.state;
    downloads
        .held_by_others
        .retain(|task, _| list.get(task).is_some_and(has_pending_save));
    if downloads.is_checking_locks {
        return;
    }
    let requests: Vec<_> = pending_saves(cx.state)
        .filter(|task| cx.state.downloads.progress(task).is_none())
        .filter_map(|task| {
            let watched = cx.state.list.get(&task)?;
            Some(watched.download_requests(watched.saved_results.pending_folder.as_ref()?))
        })
        .flatten()
        .collect();
    if !requests.is_empty() {
        cx.state.downloads.is_checking_locks = true;
        cx.effects.push(Effect::CheckLocks(requests));
    }
}

/// Applies the state of the download locks, and resumes interrupted saves or offers to.
pub(super) fn locks_checked(cx: &mut Context, locks: Vec<(TaskId, bool)>) {
    cx.state.downloads.is_checking_locks = false;
    // An instance locks two files at a time at most; its queued ones have no lock.
    let is_any_held = locks.iter().any(|(_, is_held)| *is_held);
    let mut interrupted = Vec::new();
    for (task, _) in locks {
        let is_open = cx.state.list.get(&task).is_some_and(has_pending_save);
        let State { downloads, .. } = &mut *cx.state;
        if !is_open || downloads.progress(&task).is_some() || downloads.has_retry(&task) {
            downloads.held_by_others.remove(&task);
        } else if is_any_held {
            downloads.held_by_others.entry(task).or_insert(cx.now.mono);
        } else if let Some(since) = downloads.held_by_others.get(&task).copied() {
            // A save that was just started may have no lock yet.
            if cx.now.mono.since(since) >= LOCK_GRACE {
                downloads.held_by_others.remove(&task);
                interrupted.push((task, CHECK_INTERVAL));
            }
        } else if downloads.unresolved.contains(&task) {
            interrupted.push((task, Duration::ZERO));
        }
    }
    for (task, _) in &interrupted {
        cx.state.downloads.unresolved.remove(task);
    }
    resume_interrupted(cx, &interrupted);
}

/// Resumes interrupted saves, or offers to.
fn resume_interrupted(cx: &mut Context, interrupted: &[(TaskId, Duration)]) {
    if cx.state.settings.access == AccessMode::ReadOnly {
        return;
    }
    // A failed save waits for its retry time, whichever instance tried it. If that instance still
    // runs, it goes first.
    let mut interrupted = interrupted.to_vec();
    interrupted.retain(|(task, grace)| schedule_retry(cx, task, *grace).is_none());
    let interrupted: Vec<_> = interrupted.into_iter().map(|(task, _)| task).collect();
    if interrupted.is_empty() {
        return;
    }
    let tasks = match interrupted.as_slice() {
        [one] => cx
            .state
            .list
            .get(one)
            .map_or_else(String::new, quoted_title),
        many => message_line::task_count(many.len()),
    };
    if !cx.state.settings.auto_save {
        let hint = key_hint(cx.state, Action::Save, message_line::RESUME_HINT);
        let text = message_line::save_interrupted(&tasks, false) + &hint;
        return reply(cx, Severity::Warning, text);
    }
    let changes = interrupted
        .iter()
        .filter_map(|task| {
            let folder = cx
                .state
                .list
                .get(task)?
                .saved_results
                .pending_folder
                .clone()?;
            start_task(cx, task, &folder)
        })
        .collect();
    writes::write(cx, changes);
    let text = message_line::save_interrupted(&tasks, true);
    reply(cx, Severity::Info, text);
}

/// Shows the progress; called again soon, stops the downloads.
fn offer_or_stop(cx: &mut Context, tasks: &[TaskId]) {
    let is_confirmed = cx
        .state
        .downloads
        .stop_offered
        .take()
        .is_some_and(|(offered, until)| offered == tasks && cx.now.mono < until);
    if is_confirmed {
        let mut changes = Vec::new();
        for task in tasks {
            stop_task(cx, task);
            let stopped = ChangeKind::SaveFailed(DownloadError::Stopped);
            let change = ListChange::new(task.clone(), cx.now.wall, stopped);
            writes::apply(cx, &change);
            changes.push(change);
        }
        writes::write(cx, changes);
        let hint = key_hint(cx.state, Action::Save, message_line::RESUME_HINT);
        let text = format!("{}{hint}", message_line::DOWNLOAD_STOPPED);
        return reply(cx, Severity::Info, text);
    }
    let Some(total) = cx.state.downloads.progress_of(tasks) else {
        return;
    };
    let title = match tasks {
        [one] => cx
            .state
            .list
            .get(one)
            .map_or_else(String::new, quoted_title),
        many => message_line::task_count(many.len()),
    };
    let is_queued = total.waiting == total.files;
    let progress =
        message_line::save_progress(&title, total.progress.percent(), total.files, is_queued);
    let hint = key_hint(cx.state, Action::Save, message_line::STOP_DOWNLOAD_HINT);
    cx.state.downloads.stop_offered = Some((tasks.to_vec(), cx.now.mono.after(MESSAGE_TIME)));
    reply(cx, Severity::Info, progress + &hint);
}

fn stop_task(cx: &mut Context, task: &TaskId) {
    let running = cx.state.downloads.stop(task);
    cx.effects
        .extend(running.into_iter().map(Effect::StopDownload));
}

/// Stops downloads of removed tasks and adds that to the message about the removal.
fn stop_unwatched(cx: &mut Context) {
    if !std::mem::take(&mut cx.state.downloads.needs_orphan_check) {
        return;
    }
    let list = &cx.state.list;
    let gone = cx
        .state
        .downloads
        .orphaned_tasks(|task| list.get(task).is_none());
    if gone.is_empty() {
        return;
    }
    for task in &gone {
        stop_task(cx, task);
    }
    cx.state
        .message_line
        .append(&format!(" {}", message_line::DOWNLOAD_STOPPED_TOO));
}

/// Schedules the retry of a task's failed save, `grace` after it is due; returns the wait.
fn schedule_retry(cx: &mut Context, task: &TaskId, grace: Duration) -> Option<Duration> {
    let retry = cx.state.list.get(task)?.saved_results.retry?;
    let wait = cx.now.until(retry.at).saturating_add(grace);
    cx.state
        .downloads
        .schedule_retry(task.clone(), cx.now.mono.after(wait));
    Some(wait)
}

/// Retries a failed save that is due, unless it was cancelled or taken over meanwhile.
fn retry_due(cx: &mut Context) {
    let Some(task) = cx.state.downloads.take_retry(cx.now.mono) else {
        return;
    };
    let Some(watched) = cx.state.list.get(&task) else {
        return;
    };
    let (folder, retry) = (
        watched.saved_results.pending_folder.clone(),
        watched.saved_results.retry,
    );
    if cx.state.downloads.is_held_by_other(&task) || cx.state.downloads.progress(&task).is_some() {
        return;
    }
    if retry.is_some_and(|retry| cx.now.until(retry.at) > CLOCK_DRIFT) {
        // Another instance retried first, and failed too.
        schedule_retry(cx, &task, CHECK_INTERVAL);
    } else if let Some(folder) = folder {
        // The list already has the start of this save.
        start_task(cx, &task, &folder);
    }
}

pub(super) fn download_progressed(state: &mut State, id: DownloadId, progress: TransferProgress) {
    state.downloads.update_progress(id, progress);
}

/// Handles the end of a download. One that the user stopped, or whose task was removed, was
/// reported then.
pub(super) fn download_ended(
    cx: &mut Context,
    id: DownloadId,
    result: Result<PathBuf, DownloadError>,
) {
    let job = match &result {
        Ok(_) => cx.state.downloads.complete(id),
        Err(_) => cx.state.downloads.remove(id),
    };
    let Some(job) = job else {
        return;
    };
    let task = job.request.task;
    let Some(watched) = cx.state.list.get(&task) else {
        return;
    };
    let (title, note) = (
        quoted_title(watched),
        watched.task.state().undelivered_note(),
    );
    let change = match result {
        Ok(path) => {
            let text = message_line::saved(&title, &cx.state.settings.display_path(&path)) + note;
            let number = job.request.number;
            let change = ListChange::new(task, cx.now.wall, ChangeKind::Saved { number, path });
            writes::apply(cx, &change);
            show_result(cx, Severity::Success, text);
            change
        }
        Err(_) if job.stage == DownloadStage::Stopping => return,
        Err(error) => {
            let retention = cx.state.settings.retention;
            let error = watched.classify_failure(error, retention, cx.now.wall);
            let was_retried = watched.saved_results.retry.is_some();
            if error == DownloadError::Busy {
                cx.state
                    .downloads
                    .held_by_others
                    .insert(task.clone(), cx.now.mono);
            }
            let failed = ChangeKind::SaveFailed(error.clone());
            let change = ListChange::new(task.clone(), cx.now.wall, failed);
            writes::apply(cx, &change);
            let wait = error
                .is_retryable()
                .then(|| schedule_retry(cx, &task, Duration::ZERO))
                .flatten();
            // Only the first and the last failure are shown.
            if !was_retried || (wait.is_none() && error != DownloadError::Busy) {
                let (severity, next) = match wait {
                    Some(wait) => (Severity::Warning, message_line::next_try(&format_age(wait))),
                    None => (Severity::Error, error.next_step().to_owned()),
                };
                let text = message_line::save_failed(&title, &error.message(), &next);
                reply(cx, severity, text);
            }
            change
        }
    };
    writes::write(cx, vec![change]);
}

/// Records which saved files still exist.
pub(super) fn files_checked(cx: &mut Context, files: Vec<(TaskId, PathBuf, bool)>) {
    cx.state.downloads.is_checking_files = false;
    for (task, path, exists) in files {
        let is_changed = cx.state.list.get(&task).is_some_and(|watched| {
            let mut files = watched.saved_results.files().iter();
            files.any(|file| file.path == path && file.exists != exists)
        });
        if is_changed {
            selection::with_stable_selection(cx, |rows| {
                rows.update(&task, |watched| {
                    watched.saved_results.set_exists(&path, exists);
                });
            });
        }
    }
}

/// Starts queued downloads; once a minute checks saved files and warns about links that expire
/// soon.
pub(super) fn run_periodic(cx: &mut Context) {
    stop_unwatched(cx);
    retry_due(cx);
    let State {
        downloads, list, ..
    } = &mut *cx.state;
    // Another instance may have saved it meanwhile.
    let is_done = |request: &DownloadRequest| {
        let watched = list.get(&request.task);
        watched.is_some_and(|watched| watched.saved_results.has(request.number))
    };
    while let Some((id, request)) = downloads.start_next(is_done) {
        cx.effects.push(Effect::Download { id, request });
    }
    let is_time = cx
        .state
        .downloads
        .last_check
        .is_none_or(|last| cx.now.mono.since(last) >= CHECK_INTERVAL);
    if !is_time || cx.state.loading != ListLoading::Done {
        return;
    }
    let is_first = cx.state.downloads.last_check.is_none();
    check_files(cx, is_first);
    check_locks(cx);
    // Only on a visible screen, and without replacing a message that is being read.
    if cx.state.message().is_none() && cx.state.nav.size.page > 0 {
        warn_expiring(cx);
    }
    cx.state.downloads.last_check = Some(cx.now.mono);
}

/// Checks whether saved files exist: all of them the first time, then those of the rows on the
/// screen.
fn check_files(cx: &mut Context, is_first: bool) {
    if cx.state.downloads.is_checking_files {
        return;
    }
    let files_of = |watched: &WatchedTask| {
        let files = watched.saved_results.files().iter();
        let id = watched.id().clone();
        files
            .map(move |file| (id.clone(), file.path.clone()))
            .collect::<Vec<_>>()
    };
    let rows = usize::from(cx.state.nav.size.page);
    let files: Vec<_> = if is_first {
        cx.state.list.iter().flat_map(files_of).collect()
    } else {
        let selected = cx.state.selected().into_iter();
        selected
            .chain(cx.state.visible(rows))
            .flat_map(files_of)
            .collect()
    };
    if !files.is_empty() {
        cx.state.downloads.is_checking_files = true;
        cx.effects.push(Effect::CheckFiles(files));
    }
}

/// Warns once a day about links that expire soon and whose results are not saved.
fn warn_expiring(cx: &mut Context) {
    let ids: Vec<_> = cx
        .state
        .list
        .expiring_ids(cx.now)
        .filter(|id| {
            cx.state.list.get(id).is_some_and(|watched| {
                let warned = watched.saved_results.expiry_warned;
                let is_silent = warned.is_none_or(|at| cx.now.age_of(at) >= WARN_INTERVAL);
                is_silent && watched.saved_results.pending_folder.is_none()
            })
        })
        .cloned()
        .collect();
    let text = match ids.as_slice() {
        [] => return,
        [one] => match cx.state.list.get(one) {
            Some(watched) => {
                let LinkExpiry::Remaining(left) =
                    watched.link_expiry(cx.state.settings.retention, cx.now)
                else {
                    return;
                };
                let hint = key_hint(cx.state, Action::Save, message_line::SAVE_HINT);
                message_line::link_expires(&quoted_title(watched), left) + &hint
            }
            None => return,
        },
        many => {
            let tab = Action::ShowTab(Tab::Expiring);
            let hint = key_hint(cx.state, tab, message_line::SHOW_HINT);
            message_line::links_expire(many.len()) + &hint
        }
    };
    let warned = |task| ListChange::new(task, cx.now.wall, ChangeKind::ExpiryWarned);
    let changes: Vec<_> = ids.into_iter().map(warned).collect();
    for change in &changes {
        writes::apply(cx, change);
    }
    writes::write(cx, changes);
    reply(cx, Severity::Warning, text);
}
