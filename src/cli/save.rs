//! `kietop save`: result videos to the disk, whole or not at all, and how far they are while a
//! person looks on.

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

use super::{Failure, GlobalArgs, SaveArgs, exit, output, services, signals::Signals};
use crate::{
    adapters::{desktop::SystemClock, environment::stderr_columns, store::SqliteStore},
    config,
    domain::{
        download::{DownloadError, DownloadRequest, TotalProgress, TransferProgress},
        list_change::{ChangeResult, ListChange},
        task::TaskId,
        text::CleanText,
        time::{elapsed, format_age},
        watched_task::WatchedTask,
    },
    ports::{Downloader, ListStore as _},
    ui::{format, theme::Theme},
};

/// Saves the results of tasks; a line on standard output names each file that is on disk.
///
/// All that can be saved is, and only then it fails for the rest.
pub async fn run(save: &SaveArgs, global: &GlobalArgs) -> Result<(), Failure> {
    services::require_writable(global)?;
    let mut store = services::open_list(global)?;
    let config = services::load_config(global)?;
    let folder = target_folder(save, &config.settings)?;
    let turns = services::shared_limiter(&config, services::access_mode(global))?;
    let client = Arc::new(services::api_client(&config, &turns)?);
    let downloader = services::downloader(&client);
    let retention = config.settings.retention.0;
    let mut failures = 0;
    let mut orders = Vec::new();
    let mut tasks = BTreeMap::new();
    for text in &save.ids {
        let id = services::resolve_id(&mut store, text)?;
        if tasks.contains_key(&id) {
            continue;
        }
        let mut watched = services::find_task(&mut store, &id)?;
        let found = pending_requests(&mut watched, &folder, retention)?;
        tasks.insert(id.clone(), watched);
        match found {
            Ok(found) => orders.extend(found),
            Err(why) => {
                failures += 1;
                output::to_stderr(&format!("kietop: {id}: {why}"));
            }
        }
    }
    let mut signals = Signals::listen();
    record_begun(&mut store, &orders)?;
    let mut failed = FailedDownloads { tasks, retention };
    let saving = download_all(&orders, &downloader, &mut store, &mut failed);
    failures += tokio::select! {
        failed = saving => failed?,
        // What was under way is dropped with it: the part stays, and a turn is given back.
        signal = signals.next() => return Err(interrupted_failure(signal)),
    };
    match failures {
        0 => Ok(()),
        1 => Err(Failure::plain("One result is not saved, see above.")),
        many => Err(Failure::plain(format!(
            "{many} results are not saved, see above."
        ))),
    }
}

fn interrupted_failure(signal: i32) -> Failure {
    Failure::new(
        exit::SIGNAL_BASE + signal,
        "Interrupted; what came is kept, and the same command goes on.",
    )
}

/// Returns the folder, whole: as given, else the user's own for videos.
fn target_folder(save: &SaveArgs, settings: &config::UserSettings) -> Result<PathBuf, Failure> {
    let folder = match services::expand_option("--dir", save.dir.as_deref())? {
        Some(folder) => folder,
        None => services::save_folder(settings)?,
    };
    std::path::absolute(&folder)
        .map_err(|error| Failure::plain(format!("{}: {error}.", folder.display())))
}

/// Returns what of a task is to be fetched, or why nothing can be. What is on disk already is named
/// at once.
fn pending_requests(
    watched: &mut WatchedTask,
    folder: &Path,
    retention: Duration,
) -> Result<Result<Vec<DownloadRequest>, String>, Failure> {
    if watched.task.state().videos().next().is_none() {
        let clock = SystemClock::start();
        let now = crate::ports::Clock::now(&clock);
        let estimate = crate::domain::estimate::RunTimes::default().estimate();
        let status = watched.status(&estimate, retention, now);
        let word = Theme::monochrome().status_style(status, now).full_word;
        return Ok(Err(format!("there is no result to save ({word}).")));
    }
    services::check_saved_files(watched);
    let rescue = watched.task.state().undelivered_note();
    if !rescue.is_empty() {
        output::to_stderr(&format!("kietop: {}:{rescue}", watched.id()));
    }
    for file in watched.saved_results.existing() {
        output::to_stdout(&result_line(watched.id(), "saved already", &file.path))?;
    }
    Ok(Ok(watched.download_requests(folder)))
}

/// Writes down what is begun, so that a dashboard goes on with it, or offers to, should this end
/// early.
fn record_begun(store: &mut SqliteStore, orders: &[DownloadRequest]) -> Result<(), Failure> {
    let begun: Vec<_> = orders
        .iter()
        .map(|order| ListChange::SaveBegun {
            task: order.task.clone(),
            at: SystemClock::wall(),
            folder: order.folder.clone(),
        })
        .collect();
    let noted = store.apply(&begun);
    noted
        .map(drop)
        .map_err(|error| services::store_failure(&error))
}

/// Saves everything, names each file as it is there, and returns how many are not.
async fn download_all(
    orders: &[DownloadRequest],
    downloader: &dyn Downloader,
    store: &mut SqliteStore,
    failed: &mut FailedDownloads,
) -> Result<usize, Failure> {
    let bar = ProgressLine::new(orders.len());
    let start = |at: usize, order, wait| {
        let telling = bar.progress_callback(at);
        async move {
            tokio::time::sleep(wait).await;
            let result = downloader.download(order, &telling).await;
            (at, order, result)
        }
    };
    let mut saves: FuturesUnordered<_> = orders
        .iter()
        .enumerate()
        .map(|(at, order)| start(at, order, Duration::ZERO))
        .collect();
    let mut failures = 0;
    let mut ticks = tokio::time::interval(DRAW_INTERVAL);
    loop {
        let ended = tokio::select! {
            ended = saves.next() => ended,
            _ = ticks.tick() => {
                bar.draw();
                continue;
            }
        };
        let Some((at, order, result)) = ended else {
            return Ok(failures);
        };
        let time = SystemClock::wall();
        let result = result.map_err(|error| failed.classify(&order.task, error, time));
        let retry = result.as_ref().err();
        let retry = retry.and_then(|error| failed.count_failure(&order.task, error, time));
        if retry.is_none() {
            bar.finish_file(at, result.is_ok());
        }
        let noted = store.apply(&[result_change(order, &result, time)]);
        let noted = noted.map_err(|error| services::store_failure(&error))?;
        if noted.contains(&ChangeResult::NotWatched) {
            output::to_stderr(&format!(
                "kietop: {} was removed from the list; the result is not recorded there.",
                order.task
            ));
        }
        match (result, retry) {
            (Ok(path), _) => output::to_stdout(&result_line(&order.task, "saved", &path))?,
            (Err(error), Some(wait)) => {
                let (what, wait_text) = (error.message(), format_age(wait));
                bar.clear();
                output::to_stderr(&format!(
                    "kietop: {}: {what}. Next try in {wait_text}.",
                    order.task
                ));
                saves.push(start(at, order, wait));
            }
            (Err(error), None) => {
                failures += 1;
                let what = error.message();
                let next = error.next_step();
                output::to_stderr(&format!("kietop: {}: {what}. {next}", order.task));
            }
        }
    }
}

/// The longest wait for a file that is not there yet; half a minute with the shorter ones before
/// it. A script can save right after `wait` without a loop, and never hangs for hours.
const MAX_RETRY_WAIT: Duration = Duration::from_secs(20);

/// The failed saves of this command, by task.
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

    /// Counts a failure; returns the wait if this command retries it.
    fn count_failure(
        &mut self,
        task: &TaskId,
        error: &DownloadError,
        now: Timestamp,
    ) -> Option<Duration> {
        let saves = &mut self.tasks.get_mut(task)?.saved_results;
        saves.record_failure(error, now);
        let is_missing = matches!(error, DownloadError::NotReady { .. });
        let wait = elapsed(now, saves.retry.filter(|_| is_missing)?.at);
        (wait <= MAX_RETRY_WAIT).then_some(wait)
    }
}

fn result_change(
    order: &DownloadRequest,
    result: &Result<PathBuf, DownloadError>,
    at: Timestamp,
) -> ListChange {
    let task = order.task.clone();
    match result {
        Ok(path) => ListChange::Saved {
            task,
            at,
            number: order.number,
            path: path.clone(),
        },
        Err(error) => ListChange::SaveFailed {
            task,
            at,
            error: error.clone(),
        },
    }
}

fn result_line(task: &TaskId, word: &str, path: &Path) -> String {
    let path = CleanText::line(&path.to_string_lossy(), 8 * 1024);
    format!("{task} {word} {path}\n")
}

/// Returns how far files are, in one line.
fn progress_text(running: &[TransferProgress], here: (usize, u64), waiting: usize) -> String {
    match (running, here, waiting) {
        ([], _, _) => String::new(),
        ([one], (0, _), 0) => format::transfer_progress(*one),
        _ => format::total_progress(&TotalProgress::sum(here, running.iter().copied(), waiting))
            .join(", "),
    }
}

/// How often the progress line is drawn.
const DRAW_INTERVAL: Duration = Duration::from_millis(250);

/// The line that tells a person at a terminal how far it is; in a pipe there is none.
struct ProgressLine {
    is_visible: bool,
    files: usize,
    finished: Cell<usize>,
    /// How many are on disk, and their bytes.
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

    /// Returns what notes how far a file is.
    fn progress_callback(&self, at: usize) -> impl Fn(TransferProgress) + Send + Sync + use<> {
        let told = self.progress.clone();
        move |progress| {
            told.send_modify(|all| {
                all.insert(at, progress);
            });
        }
    }

    /// Takes a file out that has ended, and clears the line for what is said of that.
    fn finish_file(&self, at: usize, is_here: bool) {
        let mut last = None;
        self.progress.send_modify(|all| last = all.remove(&at));
        self.finished.update(|ended| ended + 1);
        if is_here {
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
        // In the last column it would go on in the next line, which is never taken back.
        let most = stderr_columns().unwrap_or(80).saturating_sub(1);
        self.write(format::fit_end(&text, most, "...").into_owned());
    }

    fn write(&self, text: String) {
        if !self.is_visible || *self.drawn.borrow() == text {
            return;
        }
        // Back to the start, and the old line away; nobody is hurt when it cannot be shown.
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
