//! `kietop save`: downloads result videos, complete or not at all, with a progress line on a
//! terminal.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io::{self, IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use jiff::Timestamp;

use super::{
    args::{GlobalArgs, SaveArgs},
    failure::CommandFailure,
    output, paths, resolve, services,
    signals::Signals,
};
use crate::{
    adapters::{desktop::SystemClock, environment::stderr_columns, store::SqliteStore},
    config,
    domain::{
        download::{DownloadError, DownloadRequest, TotalProgress, TransferProgress},
        list_change::{ChangeKind, ChangeResult, ListChange},
        task::TaskId,
        text::CleanText,
        time::{elapsed, format_age},
        watched_task::WatchedTask,
    },
    messages::{command_line as messages, format},
    ports::Downloader,
};

/// Saves the results of tasks and prints the path of each file.
///
/// Continues after a failure, and fails at the end if a result was not saved.
pub async fn run(args: &SaveArgs, global: &GlobalArgs) -> Result<(), CommandFailure> {
    services::require_writable(global)?;
    let mut store = services::open_list(global)?;
    let config = services::load_config(global)?;
    let folder = target_folder(args, &config.settings)?;
    let client = Arc::new(services::api_client(
        &config,
        services::access_mode(global),
    )?);
    let downloader = services::downloader(&client);
    let retention = config.settings.retention;
    let mut failures = 0;
    let mut requests = Vec::new();
    let mut tasks = BTreeMap::new();
    for text in &args.ids {
        let id = resolve::resolve_id(&mut store, text)?;
        if tasks.contains_key(&id) {
            continue;
        }
        let mut watched = resolve::find_task(&mut store, &id)?;
        let pending = pending_requests(&mut watched, &folder, retention)?;
        tasks.insert(id.clone(), watched);
        match pending {
            Ok(pending) => requests.extend(pending),
            Err(reason) => {
                failures += 1;
                output::report(&format!("{id}: {reason}"));
            }
        }
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
fn target_folder(
    args: &SaveArgs,
    settings: &config::UserSettings,
) -> Result<PathBuf, CommandFailure> {
    let folder = match paths::expand_option("--dir", args.dir.as_deref())? {
        Some(folder) => folder,
        None => paths::save_folder(settings)?,
    };
    std::path::absolute(&folder)
        .map_err(|error| CommandFailure::general(format!("{}: {error}.", folder.display())))
}

/// Returns the results of a task to download, or the reason why there are none. Prints the files
/// that are saved already.
fn pending_requests(
    watched: &mut WatchedTask,
    folder: &Path,
    retention: Duration,
) -> Result<Result<Vec<DownloadRequest>, String>, CommandFailure> {
    if watched.task.state().videos().next().is_none() {
        let clock = SystemClock::start();
        let now = crate::ports::Clock::now(&clock);
        let estimate = crate::domain::estimate::RunTimes::default().estimate();
        let status = watched.status(&estimate, retention, now);
        let word = status.full_word();
        return Ok(Err(messages::nothing_to_save(word)));
    }
    resolve::check_saved_files(watched);
    let note = watched.task.state().undelivered_note();
    if !note.is_empty() {
        output::report(&format!("{}:{note}", watched.id()));
    }
    for file in watched.saved_results.existing() {
        output::to_stdout(&result_line(watched.id(), "already saved", &file.path))?;
    }
    Ok(Ok(watched.download_requests(folder)))
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
    let progress = ProgressLine::new(requests.len());
    let start = |index: usize, request, wait| {
        let report = progress.progress_callback(index);
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
        let time = SystemClock::wall();
        let result = result.map_err(|error| failed.classify(&request.task, error, time));
        let retry = result.as_ref().err();
        let retry = retry.and_then(|error| failed.count_failure(&request.task, error, time));
        if retry.is_none() {
            progress.finish_file(index, result.is_ok());
        }
        let change = result_change(request, &result, time);
        let applied = store.apply(&[change])?;
        if applied.contains(&ChangeResult::NotWatched) {
            output::report(&messages::save_not_recorded(&request.task));
        }
        match (result, retry) {
            (Ok(path), _) => output::to_stdout(&result_line(&request.task, "saved", &path))?,
            (Err(error), Some(wait)) => {
                progress.clear();
                let retry = messages::next_try(&error.message(), &format_age(wait));
                output::report(&format!("{}: {retry}", request.task));
                downloads.push(start(index, request, wait));
            }
            (Err(error), None) => {
                failures += 1;
                let message = error.message();
                let next = error.next_step();
                output::report(&format!("{}: {message}. {next}", request.task));
            }
        }
    }
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
    fn classify(&self, task: &TaskId, error: DownloadError, now: Timestamp) -> DownloadError {
        match self.tasks.get(task) {
            Some(watched) => watched.classify_failure(error, self.retention, now),
            None => error,
        }
    }

    /// Counts a failure; returns the wait before a retry, if this command retries it.
    fn count_failure(
        &mut self,
        task: &TaskId,
        error: &DownloadError,
        now: Timestamp,
    ) -> Option<Duration> {
        let saved = &mut self.tasks.get_mut(task)?.saved_results;
        saved.record_failure(error, now);
        let is_not_ready = matches!(error, DownloadError::NotReady { .. });
        let wait = elapsed(now, saved.retry.filter(|_| is_not_ready)?.at);
        (wait <= MAX_RETRY_WAIT).then_some(wait)
    }
}

fn result_change(
    request: &DownloadRequest,
    result: &Result<PathBuf, DownloadError>,
    at: Timestamp,
) -> ListChange {
    let kind = match result {
        Ok(path) => ChangeKind::Saved {
            number: request.number,
            path: path.clone(),
        },
        Err(error) => ChangeKind::SaveFailed(error.clone()),
    };
    ListChange::new(request.task.clone(), at, kind)
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
    finished: Cell<usize>,
    /// The number of saved files, and their bytes.
    saved: Cell<(usize, u64)>,
    progress: tokio::sync::watch::Sender<BTreeMap<usize, TransferProgress>>,
    drawn: RefCell<String>,
}

impl ProgressLine {
    fn new(files: usize) -> Self {
        let is_dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        Self {
            is_visible: io::stderr().is_terminal() && !is_dumb,
            files,
            finished: Cell::new(0),
            saved: Cell::default(),
            progress: tokio::sync::watch::Sender::default(),
            drawn: RefCell::default(),
        }
    }

    /// Returns the callback that records the progress of a file.
    fn progress_callback(&self, index: usize) -> impl Fn(TransferProgress) + Send + Sync + use<> {
        let sender = self.progress.clone();
        move |progress| {
            sender.send_modify(|all| {
                all.insert(index, progress);
            });
        }
    }

    /// Removes a finished or failed file, and clears the line for a message.
    fn finish_file(&self, index: usize, is_saved: bool) {
        let mut last = None;
        self.progress.send_modify(|all| last = all.remove(&index));
        self.finished.update(|finished| finished + 1);
        if is_saved {
            let bytes = last.map_or(0, |last| last.total.unwrap_or(last.bytes));
            self.saved
                .update(|(files, all)| (files + 1, all.saturating_add(bytes)));
        }
        self.clear();
    }

    /// Clears the progress line before a message.
    fn clear(&self) {
        self.write(String::new());
    }

    fn draw(&self) {
        let running: Vec<_> = self.progress.borrow().values().copied().collect();
        let waiting = self
            .files
            .saturating_sub(self.finished.get().saturating_add(running.len()));
        let text = progress_text(&running, self.saved.get(), waiting);
        // A text in the last column would wrap, and the next draw clears one line only.
        let max_width = stderr_columns().unwrap_or(80).saturating_sub(1);
        self.write(format::fit_end(&text, max_width, "...").into_owned());
    }

    fn write(&self, text: String) {
        if !self.is_visible || *self.drawn.borrow() == text {
            return;
        }
        // Carriage return, erase to the end of the line; a failure is harmless.
        write!(io::stderr(), "\r\u{1b}[K{text}").unwrap_or_default();
        io::stderr().flush().unwrap_or_default();
        self.drawn.replace(text);
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        self.write(String::new());
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
