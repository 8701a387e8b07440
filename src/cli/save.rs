//! `kietop save`: downloads result videos, complete or not at all, with a progress line on a
//! terminal.

use std::{
    collections::BTreeMap,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use jiff::Timestamp;
use tokio::sync::watch;

use super::{
    args::{GlobalArgs, SaveArgs},
    failure::CommandFailure,
    output, paths, resolve,
    services::{self, CommandContext},
    signals::Signals,
};
use crate::{
    adapters::{desktop::SystemClock, environment::stderr_columns, store::SqliteStore},
    config::UserSettings,
    domain::{
        download::{DownloadError, DownloadRequest, TotalProgress, TransferProgress},
        estimate::RunTimes,
        list_change::{ChangeKind, ChangeResult, ListChange},
        task::TaskId,
        text::CleanText,
        time::{elapsed, format_age},
        watched_task::WatchedTask,
    },
    messages::{command_line as messages, format},
    ports::{Clock as _, Downloader},
};

/// Saves the results of tasks and prints the path of each file.
///
/// Continues after a failure, and fails at the end if a result was not saved.
pub async fn run(args: &SaveArgs, global: &GlobalArgs) -> Result<(), CommandFailure> {
    let context = CommandContext::load_to_write(global)?;
    let mut store = context.open_list()?;
    let settings = &context.config.settings;
    let folder = target_folder(args, settings)?;
    let retention = settings.retention;
    let downloader = services::downloader(&Arc::new(context.api_client()?));
    let mut failures = 0;
    let mut requests = Vec::new();
    let mut tasks = BTreeMap::new();
    for id in resolve::resolve_ids(&mut store, &args.ids)? {
        let mut watched = resolve::find_task(&mut store, &id)?;
        if watched.task.state().videos().next().is_none() {
            failures += 1;
            let estimate = RunTimes::default().estimate();
            let status = watched.status(&estimate, retention, SystemClock::start().now());
            let reason = messages::nothing_to_save(status.full_word());
            output::report(&format!("{id}: {reason}"));
        } else {
            resolve::check_saved_files(&mut watched);
            print_saved_files(&watched)?;
            requests.extend(watched.download_requests(&folder));
        }
        tasks.insert(id, watched);
    }
    let mut signals = Signals::listen();
    record_started(&mut store, &requests)?;
    let mut failed = FailedDownloads { tasks, retention };
    let downloads = download_all(&requests, &downloader, &mut store, &mut failed);
    failures += tokio::select! {
        failed = downloads => failed?,
        // Dropping the downloads keeps their partial files and releases their permits.
        signal = signals.next() => {
            return Err(CommandFailure::interrupted(signal, messages::SAVE_INTERRUPTED));
        }
    };
    if failures == 0 {
        return Ok(());
    }
    Err(CommandFailure::general(messages::not_saved(failures)))
}

/// Returns the absolute path of the folder to save to.
fn target_folder(args: &SaveArgs, settings: &UserSettings) -> Result<PathBuf, CommandFailure> {
    let folder = match paths::expand_option("--dir", args.dir.as_deref())? {
        Some(folder) => folder,
        None => paths::save_folder(settings)?,
    };
    std::path::absolute(&folder)
        .map_err(|error| CommandFailure::general(format!("{}: {error}.", folder.display())))
}

/// Prints the files of a task that are saved already, and a note if its result was not delivered.
fn print_saved_files(watched: &WatchedTask) -> Result<(), CommandFailure> {
    let note = watched.task.state().undelivered_note();
    if !note.is_empty() {
        output::report(&format!("{}:{note}", watched.id()));
    }
    for file in watched.saved_results.existing() {
        output::to_stdout(&result_line(watched.id(), "already saved", &file.path))?;
    }
    Ok(())
}

/// Records the start of the downloads, so that a dashboard can resume them after an interruption.
fn record_started(
    store: &mut SqliteStore,
    requests: &[DownloadRequest],
) -> Result<(), CommandFailure> {
    let changes: Vec<_> = requests
        .iter()
        .map(|request| {
            let begun = ChangeKind::SaveBegun(request.folder.clone());
            ListChange::new(request.task.clone(), SystemClock::wall(), begun)
        })
        .collect();
    store.apply(&changes)?;
    Ok(())
}

/// Downloads everything, prints each file as it completes, and returns the number of failures.
async fn download_all(
    requests: &[DownloadRequest],
    downloader: &dyn Downloader,
    store: &mut SqliteStore,
    failed: &mut FailedDownloads,
) -> Result<usize, CommandFailure> {
    let mut progress = ProgressLine::new(requests.len());
    let transfers = progress.transfers.clone();
    let start = |index: usize, request, wait| {
        let transfers = transfers.clone();
        let report = move |progress| {
            transfers.send_modify(|all| {
                all.insert(index, progress);
            });
        };
        async move {
            tokio::time::sleep(wait).await;
            let result = downloader.download(request, &report).await;
            (index, request, result)
        }
    };
    let mut downloads: FuturesUnordered<_> = requests
        .iter()
        .enumerate()
        .map(|(index, request)| start(index, request, Duration::ZERO))
        .collect();
    let mut failures = 0;
    let mut ticks = tokio::time::interval(DRAW_INTERVAL);
    loop {
        let finished = tokio::select! {
            finished = downloads.next() => finished,
            _ = ticks.tick() => {
                progress.draw();
                continue;
            }
        };
        let Some((index, request, result)) = finished else {
            return Ok(failures);
        };
        let (task, now) = (&request.task, SystemClock::wall());
        let error = match result {
            Ok(path) => {
                progress.finish_file(index, true);
                let number = request.number;
                let line = result_line(task, "saved", &path);
                record_result(store, task, now, ChangeKind::Saved { number, path })?;
                output::to_stdout(&line)?;
                continue;
            }
            Err(error) => error,
        };
        let (error, retry) = failed.record_failure(task, error, now);
        let message = error.message();
        let line = if let Some(wait) = retry {
            progress.clear();
            downloads.push(start(index, request, wait));
            messages::next_try(&message, &format_age(wait))
        } else {
            progress.finish_file(index, false);
            failures += 1;
            format!("{message}. {}", error.next_step())
        };
        record_result(store, task, now, ChangeKind::SaveFailed(error))?;
        output::report(&format!("{task}: {line}"));
    }
}

/// Records the result of a download; reports if the task was removed meanwhile.
fn record_result(
    store: &mut SqliteStore,
    task: &TaskId,
    at: Timestamp,
    result: ChangeKind,
) -> Result<(), CommandFailure> {
    let applied = store.apply(&[ListChange::new(task.clone(), at, result)])?;
    if applied.contains(&ChangeResult::NotWatched) {
        output::report(&messages::save_not_recorded(task));
    }
    Ok(())
}

/// The longest wait before a retry for a file that is not there yet; with the shorter waits before
/// it, half a minute. So a script can save right after `wait` without a loop, and never hangs for
/// hours.
const MAX_RETRY_WAIT: Duration = Duration::from_secs(20);

/// The failed downloads of this command, by task.
struct FailedDownloads {
    tasks: BTreeMap<TaskId, WatchedTask>,
    retention: Duration,
}

impl FailedDownloads {
    /// Classifies and counts a failure; returns also the wait before a retry, if this command
    /// retries it.
    fn record_failure(
        &mut self,
        task: &TaskId,
        error: DownloadError,
        now: Timestamp,
    ) -> (DownloadError, Option<Duration>) {
        let Some(watched) = self.tasks.get_mut(task) else {
            return (error, None);
        };
        let error = watched.classify_failure(error, self.retention, now);
        watched.saved_results.record_failure(&error, now);
        let retry = watched.saved_results.retry;
        let retry = retry.filter(|_| matches!(error, DownloadError::NotReady { .. }));
        let wait = retry.map(|retry| elapsed(now, retry.at));
        (error, wait.filter(|wait| *wait <= MAX_RETRY_WAIT))
    }
}

fn result_line(task: &TaskId, word: &str, path: &Path) -> String {
    let path = CleanText::line(&path.to_string_lossy(), 8 * 1024);
    format!("{task} {word} {path}\n")
}

/// Formats the progress of all files in one line. `saved` is the number of complete files and
/// their bytes.
fn progress_text(running: &[TransferProgress], saved: (usize, u64), waiting: usize) -> String {
    match (running, saved, waiting) {
        ([], _, _) => String::new(),
        ([one], (0, _), 0) => format::transfer_progress(*one),
        _ => format::total_progress(&TotalProgress::sum(saved, running.iter().copied(), waiting))
            .join(", "),
    }
}

/// The time between two draws of the progress line.
const DRAW_INTERVAL: Duration = Duration::from_millis(250);

/// The progress line on standard error; hidden if that is not a terminal.
struct ProgressLine {
    is_visible: bool,
    files: usize,
    finished: usize,
    /// The number of saved files, and their bytes.
    saved: (usize, u64),
    /// The progress of the running downloads, which report it.
    transfers: watch::Sender<BTreeMap<usize, TransferProgress>>,
    drawn: String,
}

impl ProgressLine {
    fn new(files: usize) -> Self {
        let is_dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        Self {
            is_visible: io::stderr().is_terminal() && !is_dumb,
            files,
            finished: 0,
            saved: (0, 0),
            transfers: watch::Sender::default(),
            drawn: String::new(),
        }
    }

    /// Removes a finished or failed file, and clears the line for a message.
    fn finish_file(&mut self, index: usize, is_saved: bool) {
        let mut last = None;
        self.transfers.send_modify(|all| last = all.remove(&index));
        self.finished += 1;
        if is_saved {
            let (files, bytes) = self.saved;
            let size = last.map_or(0, |last| last.total.unwrap_or(last.bytes));
            self.saved = (files + 1, bytes.saturating_add(size));
        }
        self.clear();
    }

    /// Clears the progress line before a message.
    fn clear(&mut self) {
        self.write(String::new());
    }

    fn draw(&mut self) {
        let running: Vec<_> = self.transfers.borrow().values().copied().collect();
        let done = self.finished.saturating_add(running.len());
        let text = progress_text(&running, self.saved, self.files.saturating_sub(done));
        // A text in the last column would wrap, and the next draw clears one line only.
        let max_width = stderr_columns().unwrap_or(80).saturating_sub(1);
        self.write(format::fit_end(&text, max_width, "...").into_owned());
    }

    fn write(&mut self, text: String) {
        if !self.is_visible || self.drawn == text {
            return;
        }
        // Carriage return, erase to the end of the line; a failure is harmless.
        write!(io::stderr(), "\r\u{1b}[K{text}").unwrap_or_default();
        io::stderr().flush().unwrap_or_default();
        self.drawn = text;
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_of_files_is_one_line() {
        let one = TransferProgress {
            bytes: 1_000_000,
            total: Some(4_000_000),
            rate: 500_000,
        };
        let unsized_one = TransferProgress { total: None, ..one };

        assert_eq!(progress_text(&[], (1, 9), 3), "");
        assert_eq!(
            progress_text(&[one], (0, 0), 0),
            format::transfer_progress(one)
        );
        assert_eq!(
            progress_text(&[one, one], (1, 4_000_000), 2),
            "1 of 5 files saved, 30%, 1.0 MB/s, 14s left"
        );
        assert_eq!(
            progress_text(&[unsized_one], (0, 0), 1),
            "0 of 2 files saved, 500.0 kB/s"
        );
    }
}
