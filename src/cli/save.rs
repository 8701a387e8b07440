//! `kietop save`: result videos to the disk, whole or not at all, and how far they are while a person looks on.

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

use super::{Failure, Global, Save, exit, output, place, signals::Signals};
use crate::{
    adapters::{desktop::SystemClock, store::SqliteStore, surroundings::columns},
    config,
    domain::{
        change::{Applied, Change},
        save::{AllSaves, Progress, SaveError, SaveOrder},
        task::TaskId,
        text::CleanText,
        time::{age, span},
        watched::Watched,
    },
    ports::{Downloader, ListStore as _},
    ui::{format, theme::Theme},
};

/// Saves the results of tasks; a line on standard output names each file that is on disk.
///
/// All that can be saved is, and only then it fails for the rest.
pub async fn run(save: &Save, global: &Global) -> Result<(), Failure> {
    place::writable(global)?;
    let mut store = place::list(global)?;
    let config = place::config(global)?;
    let folder = folder(save, &config.settings)?;
    let turns = place::turns(&config, place::access(global))?;
    let client = Arc::new(place::client(&config, &turns)?);
    let downloader = place::downloader(&client);
    let retention = config.settings.retention.0;
    let mut failures = 0;
    let mut orders = Vec::new();
    let mut tasks = BTreeMap::new();
    for text in &save.ids {
        let id = place::resolve(&mut store, text)?;
        if tasks.contains_key(&id) {
            continue;
        }
        let mut watched = place::find(&mut store, &id)?;
        let found = wanted(&mut watched, &folder, retention)?;
        tasks.insert(id.clone(), watched);
        match found {
            Ok(found) => orders.extend(found),
            Err(why) => {
                failures += 1;
                output::talk(&format!("kietop: {id}: {why}"));
            }
        }
    }
    let mut signals = Signals::listen();
    note_begun(&mut store, &orders)?;
    let mut failed = FailedSaves { tasks, retention };
    let saving = save_all(&orders, &downloader, &mut store, &mut failed);
    failures += tokio::select! {
        failed = saving => failed?,
        // What was under way is dropped with it: the part stays, and a turn is given back.
        signal = signals.next() => return Err(interrupted(signal)),
    };
    match failures {
        0 => Ok(()),
        1 => Err(Failure::plain("One result is not saved, see above.")),
        many => Err(Failure::plain(format!(
            "{many} results are not saved, see above."
        ))),
    }
}

fn interrupted(signal: i32) -> Failure {
    Failure::new(
        exit::SIGNAL_BASE + signal,
        "Interrupted; what came is kept, and the same command goes on.",
    )
}

/// Returns the folder, whole: as given, else the user's own for videos.
fn folder(save: &Save, settings: &config::Settings) -> Result<PathBuf, Failure> {
    let folder = match place::path("--dir", save.dir.as_deref())? {
        Some(folder) => folder,
        None => place::save_folder(settings)?,
    };
    std::path::absolute(&folder)
        .map_err(|error| Failure::plain(format!("{}: {error}.", folder.display())))
}

/// Returns what of a task is to be fetched, or why nothing can be. What is on disk already is named at once.
fn wanted(
    watched: &mut Watched,
    folder: &Path,
    retention: Duration,
) -> Result<Result<Vec<SaveOrder>, String>, Failure> {
    if watched.task.state().videos().next().is_none() {
        let clock = SystemClock::start();
        let now = crate::ports::Clock::now(&clock);
        let estimate = crate::domain::estimate::RunTimes::default().estimate();
        let status = watched.status(&estimate, retention, now);
        let word = Theme::monochrome().look(status, now).word;
        return Ok(Err(format!("there is no result to save ({word}).")));
    }
    place::look(watched);
    let rescue = watched.task.state().rescue();
    if !rescue.is_empty() {
        output::talk(&format!("kietop: {}:{rescue}", watched.id()));
    }
    for file in watched.saves.there() {
        output::data(&line(watched.id(), "saved already", &file.path))?;
    }
    Ok(Ok(watched.save_orders(folder)))
}

/// Writes down what is begun, so that a dashboard goes on with it, or offers to, should this end early.
fn note_begun(store: &mut SqliteStore, orders: &[SaveOrder]) -> Result<(), Failure> {
    let begun: Vec<_> = orders
        .iter()
        .map(|order| Change::SaveBegun {
            task: order.task.clone(),
            at: SystemClock::wall(),
            folder: order.folder.clone(),
        })
        .collect();
    let noted = store.apply(&begun);
    noted.map(drop).map_err(|error| place::store_failed(&error))
}

/// Saves everything, names each file as it is there, and returns how many are not.
async fn save_all(
    orders: &[SaveOrder],
    downloader: &dyn Downloader,
    store: &mut SqliteStore,
    failed: &mut FailedSaves,
) -> Result<usize, Failure> {
    let bar = Bar::new(orders.len());
    let start = |at: usize, order, wait| {
        let telling = bar.telling(at);
        async move {
            tokio::time::sleep(wait).await;
            let result = downloader.save(order, &telling).await;
            (at, order, result)
        }
    };
    let mut saves: FuturesUnordered<_> = orders
        .iter()
        .enumerate()
        .map(|(at, order)| start(at, order, Duration::ZERO))
        .collect();
    let mut failures = 0;
    let mut ticks = tokio::time::interval(SHOWN_EVERY);
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
        let result = result.map_err(|error| failed.judge(&order.task, error, time));
        let retry = result.as_ref().err();
        let retry = retry.and_then(|error| failed.retry_after(&order.task, error, time));
        if retry.is_none() {
            bar.end(at, result.is_ok());
        }
        let noted = store.apply(&[outcome(order, &result, time)]);
        let noted = noted.map_err(|error| place::store_failed(&error))?;
        if noted.contains(&Applied::NotWatched) {
            output::talk(&format!(
                "kietop: {} was removed from the list; the result is not recorded there.",
                order.task
            ));
        }
        match (result, retry) {
            (Ok(path), _) => output::data(&line(&order.task, "saved", &path))?,
            (Err(error), Some(wait)) => {
                let (what, wait_text) = (error.message(), age(wait));
                bar.clear();
                output::talk(&format!(
                    "kietop: {}: {what}. Next try in {wait_text}.",
                    order.task
                ));
                saves.push(start(at, order, wait));
            }
            (Err(error), None) => {
                failures += 1;
                let what = error.message();
                let next = error.next_step();
                output::talk(&format!("kietop: {}: {what}. {next}", order.task));
            }
        }
    }
}

/// The longest wait for a file that is not there yet; half a minute with the shorter ones before
/// it. A script can save right after `wait` without a loop, and never hangs for hours.
const MAX_WAIT: Duration = Duration::from_secs(20);

/// The failed saves of this command, by task.
struct FailedSaves {
    tasks: BTreeMap<TaskId, Watched>,
    retention: Duration,
}

impl FailedSaves {
    fn judge(&self, task: &TaskId, error: SaveError, now: Timestamp) -> SaveError {
        match self.tasks.get(task) {
            Some(watched) => watched.judge_failure(error, self.retention, now),
            None => error,
        }
    }

    /// Counts a failure; returns the wait if this command retries it.
    fn retry_after(
        &mut self,
        task: &TaskId,
        error: &SaveError,
        now: Timestamp,
    ) -> Option<Duration> {
        let saves = &mut self.tasks.get_mut(task)?.saves;
        saves.failed(error, now);
        let is_missing = matches!(error, SaveError::NotYet { .. });
        let wait = span(now, saves.retry.filter(|_| is_missing)?.at);
        (wait <= MAX_WAIT).then_some(wait)
    }
}

fn outcome(order: &SaveOrder, result: &Result<PathBuf, SaveError>, at: Timestamp) -> Change {
    let task = order.task.clone();
    match result {
        Ok(path) => Change::Saved {
            task,
            at,
            number: order.number,
            path: path.clone(),
        },
        Err(error) => Change::NotSaved {
            task,
            at,
            error: error.clone(),
        },
    }
}

fn line(task: &TaskId, word: &str, path: &Path) -> String {
    let path = CleanText::line(&path.to_string_lossy(), 8 * 1024);
    format!("{task} {word} {path}\n")
}

/// Returns how far files are, in one line.
fn summary(running: &[Progress], here: (usize, u64), waiting: usize) -> String {
    match (running, here, waiting) {
        ([], _, _) => String::new(),
        ([one], (0, _), 0) => format::progress(*one),
        _ => format::all_saves(&AllSaves::of(here, running.iter().copied(), waiting)).join(", "),
    }
}

/// How often the progress line is drawn.
const SHOWN_EVERY: Duration = Duration::from_millis(250);

/// Is the line that tells a person at a terminal how far it is; in a pipe there is none.
struct Bar {
    is_shown: bool,
    files: usize,
    ended: Cell<usize>,
    /// How many are on disk, and their bytes.
    here: Cell<(usize, u64)>,
    told: tokio::sync::watch::Sender<BTreeMap<usize, Progress>>,
    drawn: RefCell<String>,
}

impl Bar {
    fn new(files: usize) -> Self {
        let is_dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        Self {
            is_shown: io::stderr().is_terminal() && !is_dumb,
            files,
            ended: Cell::new(0),
            here: Cell::default(),
            told: tokio::sync::watch::Sender::default(),
            drawn: RefCell::default(),
        }
    }

    /// Returns what notes how far a file is.
    fn telling(&self, at: usize) -> impl Fn(Progress) + Send + Sync + use<> {
        let told = self.told.clone();
        move |progress| {
            told.send_modify(|all| {
                all.insert(at, progress);
            });
        }
    }

    /// Takes a file out that has ended, and clears the line for what is said of that.
    fn end(&self, at: usize, is_here: bool) {
        let mut last = None;
        self.told.send_modify(|all| last = all.remove(&at));
        self.ended.update(|ended| ended + 1);
        if is_here {
            let bytes = last.map_or(0, |last| last.total.unwrap_or(last.bytes));
            self.here
                .update(|(files, all)| (files + 1, all.saturating_add(bytes)));
        }
        self.clear();
    }

    /// Clears the progress line before a message.
    fn clear(&self) {
        self.write(String::new());
    }

    fn draw(&self) {
        let running: Vec<_> = self.told.borrow().values().copied().collect();
        let waiting = self
            .files
            .saturating_sub(self.ended.get().saturating_add(running.len()));
        let text = summary(&running, self.here.get(), waiting);
        // In the last column it would go on in the next line, which is never taken back.
        let most = columns().unwrap_or(80).saturating_sub(1);
        self.write(format::fit_end(&text, most, "...").into_owned());
    }

    fn write(&self, text: String) {
        if !self.is_shown || *self.drawn.borrow() == text {
            return;
        }
        // Back to the start, and the old line away; nobody is hurt when it cannot be shown.
        write!(io::stderr(), "\r\u{1b}[K{text}").unwrap_or_default();
        io::stderr().flush().unwrap_or_default();
        self.drawn.replace(text);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.write(String::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_are_one_line() {
        let one = Progress {
            bytes: 1_000_000,
            total: Some(4_000_000),
            rate: 500_000,
        };
        let unsized_one = Progress { total: None, ..one };

        assert_eq!(summary(&[], (1, 9), 3), "");
        assert_eq!(summary(&[one], (0, 0), 0), format::progress(one));
        assert_eq!(
            summary(&[one, one], (1, 4_000_000), 2),
            "1 of 5 files saved, 30%, 1.0 MB/s, 14s left"
        );
        assert_eq!(
            summary(&[unsized_one], (0, 0), 1),
            "0 of 2 files saved, 500.0 kB/s"
        );
    }
}
