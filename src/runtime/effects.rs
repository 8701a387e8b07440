//! Orders become work, and each work exactly one answer: the only place where the core's words meet
//! the ports.
//!
//! Questions run as tasks under a deadline, each in its turn among all instances (`turns`); the
//! list lives on a thread of its own (`list`); the browser starts on the blocking pool. A part that
//! panics answers all the same.

mod limiter;
mod store;

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::{
    sync::{mpsc, oneshot},
    task, time,
};

pub use self::store::{OpenStore, OpenedStore, StoreNotifier};
use self::{
    limiter::LimiterHandle,
    store::{StoreHandle, StoreRequest},
};
use super::preview::PreviewMaker;
use crate::{
    app::{
        copy_payload::{CopyContent, CopyPayload},
        msg::{Effect, Msg},
        notifications::Notification,
    },
    domain::{
        comparison::Comparison,
        download::{DownloadError, DownloadId, DownloadRequest},
        id_extract::KnownSecrets,
        limiter::RequestOutcome,
        link::VideoUrl,
        poll_result::{PollError, PollResult},
        response_notes::ResponseNotes,
        schedule::PollAttempt,
        task::{Family, TaskId},
    },
    ports::{
        BoxFuture, Clipboard, Clock, ComparisonViewer, Downloader, Exporter, FrameReader,
        InputProvider, Notifier, RequestLimiter, TaskApi, VideoOpener,
    },
};

/// The longest a question may take; beyond every deadline of the adapter, short of the core's own.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(22);

/// The longest the end waits for what is still to be written.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(300);

/// How many answers may wait for the loop; more make their senders wait, never fall away.
const QUEUE_SIZE: usize = 256;

/// The outside the dashboard works with.
pub struct Services {
    /// Reads the clocks.
    pub clock: Arc<dyn Clock>,
    /// Asks after tasks.
    pub api: Arc<dyn TaskApi>,
    /// Shares the limits on asking with other instances; `None` where nobody else can ask.
    pub limiter: Option<Arc<dyn RequestLimiter>>,
    /// Opens videos.
    pub opener: Arc<dyn VideoOpener>,
    /// Shows input and result side by side.
    pub comparison_viewer: Arc<dyn ComparisonViewer>,
    /// Takes frames out of videos.
    pub frame_reader: Arc<dyn FrameReader>,
    /// Keeps the inputs they are taken of.
    pub input_provider: Arc<dyn InputProvider>,
    /// Fetches videos to the disk.
    pub downloader: Arc<dyn Downloader>,
    /// Takes what is copied.
    pub clipboard: Arc<dyn Clipboard>,
    /// Writes tasks down for other programs.
    pub exporter: Arc<dyn Exporter>,
    /// Of endings.
    pub notifier: Arc<dyn Notifier>,
    /// Opens the list.
    pub open_store: OpenStore,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            clock,
            api,
            limiter: turns,
            opener,
            comparison_viewer: comparer,
            frame_reader: frames,
            input_provider: inputs,
            downloader,
            clipboard,
            exporter: scribe,
            notifier,
            open_store: _,
        } = self;
        f.debug_struct("Outside")
            .field("clock", clock)
            .field("api", api)
            .field("turns", turns)
            .field("opener", opener)
            .field("comparer", comparer)
            .field("frames", frames)
            .field("inputs", inputs)
            .field("downloader", downloader)
            .field("clipboard", clipboard)
            .field("scribe", scribe)
            .field("notifier", notifier)
            .finish_non_exhaustive()
    }
}

/// Carries orders out.
#[derive(Debug)]
pub(super) struct EffectRunner {
    api: Arc<dyn TaskApi>,
    limiter: LimiterHandle,
    opener: Arc<dyn VideoOpener>,
    comparison_viewer: Arc<dyn ComparisonViewer>,
    frame_reader: Arc<dyn FrameReader>,
    input_provider: Arc<dyn InputProvider>,
    preview_maker: PreviewMaker,
    downloader: Arc<dyn Downloader>,
    /// What stops each save: to be told, or to be dropped.
    download_stops: HashMap<DownloadId, oneshot::Sender<()>>,
    clipboard: Arc<dyn Clipboard>,
    exporter: Arc<dyn Exporter>,
    notifier: Arc<dyn Notifier>,
    store: StoreHandle,
    responses: mpsc::Sender<Msg>,
}

impl EffectRunner {
    /// Returns hands, and where their answers come out.
    pub(super) fn new(
        services: Services,
        preview_maker: PreviewMaker,
    ) -> (Self, mpsc::Receiver<Msg>) {
        let (answers, received) = mpsc::channel(QUEUE_SIZE);
        (
            Self {
                api: services.api,
                limiter: LimiterHandle::start(services.limiter),
                opener: services.opener,
                comparison_viewer: services.comparison_viewer,
                frame_reader: services.frame_reader,
                input_provider: services.input_provider,
                preview_maker,
                downloader: services.downloader,
                download_stops: HashMap::new(),
                clipboard: services.clipboard,
                exporter: services.exporter,
                notifier: services.notifier,
                store: StoreHandle::start(services.open_store, answers.clone()),
                responses: answers,
            },
            received,
        )
    }

    /// Returns the API key, if it has been read.
    pub(super) fn secrets(&self) -> Option<KnownSecrets> {
        let secrets = self.api.secrets();
        (!secrets.is_empty()).then_some(secrets)
    }

    /// Carries one order out; those of the terminal are the loop's.
    pub(super) fn run(&mut self, effect: Effect) {
        match effect {
            Effect::LoadSession => self.store.send(StoreRequest::LoadSession),
            Effect::SaveSession(lens) => self.store.send(StoreRequest::SaveSession(lens)),
            Effect::LoadList => self.store.send(StoreRequest::LoadList),
            Effect::WriteChanges(changes) => self.store.send(StoreRequest::Apply(changes)),
            Effect::RestoreListFile => self.store.send(StoreRequest::RestoreListFile),
            Effect::ReadJournal(task) => self.store.send(StoreRequest::ReadJournal(task)),
            Effect::Poll {
                task,
                family,
                attempt,
            } => self.poll(task, family, attempt),
            Effect::Broadcast(word) => self.limiter.broadcast(word),
            Effect::Open { task, url, file } => self.open(task, url, file),
            Effect::ShowComparison(comparison) => self.show_comparison(comparison),
            Effect::RenderPreview(order) => {
                let Self {
                    preview_maker: studio,
                    frame_reader: frames,
                    input_provider: inputs,
                    responses: answers,
                    ..
                } = self;
                studio.start(*order, frames, inputs, answers);
            }
            Effect::StopPreview(number) => self.preview_maker.cancel(number),
            Effect::ReadRawResponse(task) => self.store.send(StoreRequest::ReadRawResponse(task)),
            Effect::SaveLastSeen(at) => self.store.send(StoreRequest::SaveLastSeen(at)),
            Effect::Copy(clip) => self.copy(clip),
            Effect::Notify(tidings) => self.notify(tidings),
            Effect::Download {
                id: attempt,
                request: order,
            } => self.download(attempt, order),
            Effect::StopDownload(attempt) => drop(self.download_stops.remove(&attempt)),
            Effect::CheckFiles(files) => self.check_files(files),
            Effect::CheckLocks(orders) => self.check_locks(orders),
            Effect::Redraw | Effect::Terminal(_) | Effect::Suspend | Effect::Quit => {}
        }
    }

    /// Waits, but not for long, until what was ordered is written and every turn given back. Saves
    /// stop; what came of them is kept.
    pub(super) async fn close(mut self) {
        self.download_stops.clear();
        self.preview_maker.close();
        let (done, closed) = oneshot::channel();
        self.store.send(StoreRequest::Close(done));
        let back = self.limiter.close();
        // An error means that the thread has gone; a time-out that the disk does not answer.
        if time::timeout(SHUTDOWN_TIMEOUT, async { (closed.await, back.await) })
            .await
            .is_err()
        {
            tracing::warn!("left while the list was still being written");
        }
    }

    fn poll(&self, id: TaskId, family: Family, attempt: PollAttempt) {
        let (api, answers) = (Arc::clone(&self.api), self.responses.clone());
        let turns = self.limiter.clone();
        task::spawn(async move {
            let end = time::Instant::now() + RESPONSE_TIMEOUT;
            let account = with_deadline(end, api.account()).await;
            let msg = match account {
                // Without a key nothing is sent, so no turn is needed.
                Err(error) => polled_msg(id, attempt, Err(error), ResponseNotes::default()),
                Ok(account) => match turns.acquire(&id, account).await {
                    Err(put_off) => Msg::PollDenied {
                        task: id,
                        attempt,
                        denied: put_off,
                    },
                    Ok(turn) => {
                        let mut noticed = ResponseNotes::default();
                        let asked = api.poll(&id, family, &mut noticed);
                        let answer = with_deadline(end, asked).await;
                        if let Some(turn) = turn {
                            turns.release(turn, RequestOutcome::from_result(&answer));
                        }
                        polled_msg(id, attempt, answer, noticed)
                    }
                },
            };
            send_response(&answers, msg).await;
        });
    }

    fn download(&mut self, attempt: DownloadId, order: DownloadRequest) {
        let (downloader, answers) = (Arc::clone(&self.downloader), self.responses.clone());
        let (stop, stopped) = oneshot::channel();
        self.download_stops.retain(|_, stop| !stop.is_closed());
        self.download_stops.insert(attempt, stop);
        task::spawn(async move {
            let telling = |progress| {
                let told = answers.try_send(Msg::DownloadProgressed {
                    id: attempt,
                    progress,
                });
                // Where the loop has enough to do, the next one will tell.
                told.unwrap_or_default();
            };
            let saving = AssertUnwindSafe(downloader.download(&order, &telling)).catch_unwind();
            let result = tokio::select! {
                ended = saving => ended.unwrap_or(Err(DownloadError::Panicked)),
                _dropped = stopped => Err(DownloadError::Stopped),
            };
            send_response(
                &answers,
                Msg::DownloadEnded {
                    id: attempt,
                    result,
                },
            )
            .await;
        });
    }

    fn check_files(&self, files: Vec<(TaskId, PathBuf)>) {
        let (downloader, answers) = (Arc::clone(&self.downloader), self.responses.clone());
        task::spawn(async move {
            let looked = task::spawn_blocking(move || {
                let files = files.into_iter().map(|(task, path)| {
                    let is_there = downloader.file_exists(&path);
                    (task, path, is_there)
                });
                files.collect()
            });
            // What broke while it was looked for is looked for again later.
            let files = looked.await.unwrap_or_default();
            send_response(&answers, Msg::FilesChecked(files)).await;
        });
    }

    fn check_locks(&self, orders: Vec<DownloadRequest>) {
        let (downloader, answers) = (Arc::clone(&self.downloader), self.responses.clone());
        task::spawn(async move {
            let looked = task::spawn_blocking(move || {
                let mut found = BTreeMap::new();
                for order in orders {
                    let is_held = downloader.is_being_downloaded(&order);
                    *found.entry(order.task).or_default() |= is_held;
                }
                found.into_iter().collect()
            });
            // As above.
            let found = looked.await.unwrap_or_default();
            send_response(&answers, Msg::LocksChecked(found)).await;
        });
    }

    /// Writes down what is to be copied, and hands it to a program.
    fn copy(&self, clip: CopyPayload) {
        let (clipboard, scribe) = (Arc::clone(&self.clipboard), Arc::clone(&self.exporter));
        let answers = self.responses.clone();
        task::spawn(async move {
            let CopyPayload {
                name: what,
                content,
            } = clip;
            let copied = task::spawn_blocking(move || {
                let text = match content {
                    CopyContent::Text(text) => text,
                    CopyContent::TasksAsJson(tasks) => scribe.to_json(&tasks),
                    CopyContent::TasksAsCurl(tasks) => scribe.to_curl(&tasks),
                };
                let result = clipboard.copy(&text);
                (text, result)
            });
            let msg = match copied.await {
                Ok((text, result)) => Msg::Copied {
                    name: what,
                    text,
                    result,
                },
                Err(_) => Msg::ComponentPanicked(format!("Copying {what} broke.")),
            };
            send_response(&answers, msg).await;
        });
    }

    /// Shows news on the desktop, and starts the user's program.
    fn notify(&self, tidings: Notification) {
        let (notifier, answers) = (Arc::clone(&self.notifier), self.responses.clone());
        task::spawn(async move {
            let told = task::spawn_blocking(move || {
                let shown = match &tidings.desktop {
                    Some((title, body)) => notifier.show(title, body),
                    None => Ok(()),
                };
                if tidings.command.is_empty() {
                    return shown;
                }
                let run = notifier.run_command(&tidings.command, &tidings.variables);
                shown.and(run)
            });
            let result = told
                .await
                .unwrap_or_else(|_| Err("Telling of an ending broke.".into()));
            send_response(&answers, Msg::Notified(result)).await;
        });
    }

    fn open(&self, task: TaskId, url: VideoUrl, file: Option<PathBuf>) {
        let (opener, answers) = (Arc::clone(&self.opener), self.responses.clone());
        let (downloader, inputs) = (
            Arc::clone(&self.downloader),
            Arc::clone(&self.input_provider),
        );
        task::spawn(async move {
            let link = url.clone();
            let outcome = task::spawn_blocking(move || {
                let saved = file.filter(|file| downloader.file_exists(file));
                match saved.or_else(|| inputs.cached_file(&link)) {
                    Some(file) => opener.open_file(&file).map(|()| Some(file)),
                    None => opener.open(&link).map(|()| None),
                }
            });
            let broke = || Err("starting the browser broke".to_owned());
            let msg = match outcome.await.unwrap_or_else(|_panic| broke()) {
                Ok(Some(file)) => Msg::FileOpened { task, file },
                result => Msg::Opened {
                    task,
                    url,
                    result: result.map(drop),
                },
            };
            send_response(&answers, msg).await;
        });
    }

    fn show_comparison(&self, comparison: Box<Comparison>) {
        let (comparer, answers) = (Arc::clone(&self.comparison_viewer), self.responses.clone());
        task::spawn(async move {
            let id = comparison.task.clone();
            let outcome = task::spawn_blocking(move || comparer.show_comparison(&comparison)).await;
            let result = outcome.unwrap_or_else(|_| Err("Showing them broke.".to_owned()));
            send_response(&answers, Msg::Compared { task: id, result }).await;
        });
    }
}

/// Waits for the API until then. A panic in it becomes an error.
async fn with_deadline<T>(
    end: time::Instant,
    asked: BoxFuture<'_, Result<T, PollError>>,
) -> Result<T, PollError> {
    match time::timeout_at(end, AssertUnwindSafe(asked).catch_unwind()).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_panic)) => Err(PollError::AnswerLost),
        Err(_elapsed) => Err(PollError::TimedOut),
    }
}

fn polled_msg(
    task: TaskId,
    attempt: PollAttempt,
    answer: PollResult,
    noticed: ResponseNotes,
) -> Msg {
    Msg::Polled {
        task,
        attempt,
        answer: Box::new(answer),
        notes: noticed,
    }
}

/// Sends an answer and waits for room: an answer is never dropped, except when the loop has ended.
async fn send_response(answers: &mpsc::Sender<Msg>, msg: Msg) {
    if answers.send(msg).await.is_err() {
        tracing::debug!("an answer came after the end");
    }
}
