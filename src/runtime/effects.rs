//! Runs effects and answers each with one message: the only place where the core meets the ports.
//!
//! Polls run as tasks with a deadline; the list has its own thread (`store`); the browser is
//! started on the blocking pool. After a panic the response is an error.

mod responses;
mod store;

use std::{
    collections::{BTreeMap, HashMap},
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::{
    sync::{mpsc, oneshot},
    task::{self, JoinSet},
    time,
};

pub use self::store::{OpenStore, OpenedStore, StoreNotifier};
use self::{
    responses::{send_blocking, send_response},
    store::StoreHandle,
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
        link::VideoUrl,
        poll_request::{PollRequest, PollTrigger},
        poll_result::PollError,
        response_notes::ResponseNotes,
        schedule::PollAttempt,
        task::{Family, TaskId},
    },
    messages::crashes,
    ports::{
        Clipboard, Clock, ComparisonViewer, Downloader, Exporter, FrameReader, InputProvider,
        Notifier, TaskApi, VideoOpener,
    },
};

/// Deadline of a poll: longer than those of the API client, shorter than
/// [`LOST_AFTER`](crate::domain::schedule::LOST_AFTER).
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(22);

/// Time that quitting waits for pending writes.
pub(super) const SHUTDOWN_TIMEOUT: Duration = Duration::from_millis(300);

/// Capacity of the response channel; senders wait when it is full, no response is dropped.
const QUEUE_SIZE: usize = 256;

/// The implementations of the ports that the effects use.
#[derive(Debug)]
pub struct Services {
    pub clock: Arc<dyn Clock>,
    pub api: Arc<dyn TaskApi>,
    pub opener: Arc<dyn VideoOpener>,
    pub comparison_viewer: Arc<dyn ComparisonViewer>,
    pub frame_reader: Arc<dyn FrameReader>,
    pub input_provider: Arc<dyn InputProvider>,
    pub downloader: Arc<dyn Downloader>,
    pub clipboard: Arc<dyn Clipboard>,
    pub exporter: Arc<dyn Exporter>,
    pub notifier: Arc<dyn Notifier>,
    pub open_store: OpenStore,
}

#[derive(Debug)]
pub(super) struct EffectRunner {
    api: Arc<dyn TaskApi>,
    polls: JoinSet<()>,
    opener: Arc<dyn VideoOpener>,
    comparison_viewer: Arc<dyn ComparisonViewer>,
    frame_reader: Arc<dyn FrameReader>,
    input_provider: Arc<dyn InputProvider>,
    preview_maker: PreviewMaker,
    downloader: Arc<dyn Downloader>,
    /// Dropping a sender stops its download.
    download_stops: HashMap<DownloadId, oneshot::Sender<()>>,
    clipboard: Arc<dyn Clipboard>,
    exporter: Arc<dyn Exporter>,
    notifier: Arc<dyn Notifier>,
    store: StoreHandle,
    responses: mpsc::Sender<Msg>,
}

impl EffectRunner {
    /// Returns the runner and the receiver of its responses.
    pub(super) fn new(
        services: Services,
        preview_maker: PreviewMaker,
    ) -> (Self, mpsc::Receiver<Msg>) {
        let (responses, receiver) = mpsc::channel(QUEUE_SIZE);
        (
            Self {
                api: services.api,
                polls: JoinSet::new(),
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
                store: StoreHandle::start(services.open_store, responses.clone()),
                responses,
            },
            receiver,
        )
    }

    /// Returns the API keys read so far; `None` if there are none.
    pub(super) fn secrets(&self) -> Option<KnownSecrets> {
        let secrets = self.api.secrets();
        (!secrets.is_empty()).then_some(secrets)
    }

    /// Runs an effect. Those for the screen are ignored here: the event loop runs them.
    pub(super) fn run(&mut self, effect: Effect) {
        match effect {
            Effect::Store(request) => self.store.send(request),
            Effect::Poll {
                task,
                family,
                attempt,
                trigger,
            } => self.poll(task, family, attempt, trigger),
            Effect::Open { task, url, file } => self.open(task, url, file),
            Effect::ShowComparison(comparison) => self.show_comparison(comparison),
            Effect::RenderPreview(request) => self.preview_maker.start(
                *request,
                &self.frame_reader,
                &self.input_provider,
                &self.responses,
            ),
            Effect::StopPreview(id) => self.preview_maker.cancel(id),
            Effect::Copy(payload) => self.copy(payload),
            Effect::Notify(notification) => self.notify(notification),
            Effect::Download { id, request } => self.download(id, request),
            Effect::StopDownload(id) => drop(self.download_stops.remove(&id)),
            Effect::CheckFiles(files) => self.check_files(files),
            Effect::CheckLocks(requests) => self.check_locks(requests),
            Effect::Redraw | Effect::Terminal(_) | Effect::Suspend | Effect::Quit => {}
        }
    }

    /// Completes pending writes within [`SHUTDOWN_TIMEOUT`]. Polls and downloads stop; partial
    /// files are kept.
    pub(super) async fn close(mut self) {
        self.download_stops.clear();
        self.preview_maker.close();
        let closed = self.store.close();
        // Dropping a poll releases its permit. A receive error means that the thread has ended; a
        // timeout that the disk does not answer.
        if time::timeout(SHUTDOWN_TIMEOUT, async {
            (closed.await, self.polls.shutdown().await)
        })
        .await
        .is_err()
        {
            tracing::warn!("quit before the list was written");
        }
    }

    fn poll(&mut self, task: TaskId, family: Family, attempt: PollAttempt, trigger: PollTrigger) {
        let (api, responses) = (Arc::clone(&self.api), self.responses.clone());
        while self.polls.try_join_next().is_some() {}
        self.polls.spawn(async move {
            let deadline = time::Instant::now() + RESPONSE_TIMEOUT;
            let request = PollRequest {
                task: task.clone(),
                family,
                trigger,
                is_retry: false,
            };
            let answer = match with_deadline(deadline, api.start_poll(request)).await {
                Ok(Ok(answer)) => {
                    send_response(&responses, Msg::PollStarted(attempt)).await;
                    with_deadline(deadline, answer).await
                }
                Ok(Err(denied)) => {
                    let msg = Msg::PollDenied {
                        task,
                        attempt,
                        denied,
                    };
                    return send_response(&responses, msg).await;
                }
                Err(error) => Err(error),
            };
            let (result, notes) =
                answer.unwrap_or_else(|error| (Err(error), ResponseNotes::default()));
            let msg = Msg::Polled {
                task,
                attempt,
                answer: Box::new(result),
                notes,
            };
            send_response(&responses, msg).await;
        });
    }

    fn download(&mut self, id: DownloadId, request: DownloadRequest) {
        let (downloader, responses) = (Arc::clone(&self.downloader), self.responses.clone());
        let (stop, stopped) = oneshot::channel();
        self.download_stops.retain(|_, stop| !stop.is_closed());
        self.download_stops.insert(id, stop);
        task::spawn(async move {
            let report = |progress| {
                // When the channel is full, the next report will do.
                responses
                    .try_send(Msg::DownloadProgressed { id, progress })
                    .unwrap_or_default();
            };
            let download = AssertUnwindSafe(downloader.download(&request, &report)).catch_unwind();
            let result = tokio::select! {
                result = download => result.unwrap_or(Err(DownloadError::Panicked)),
                _dropped = stopped => Err(DownloadError::Stopped),
            };
            send_response(&responses, Msg::DownloadEnded { id, result }).await;
        });
    }

    /// Runs blocking work and sends its message, or the other one after a panic.
    fn run_blocking(&self, work: impl FnOnce() -> Msg + Send + 'static, after_panic: Msg) {
        let responses = self.responses.clone();
        task::spawn_blocking(move || {
            let msg = catch_unwind(AssertUnwindSafe(work)).unwrap_or(after_panic);
            send_blocking(&responses, msg);
        });
    }

    fn check_files(&self, files: Vec<(TaskId, PathBuf)>) {
        let downloader = Arc::clone(&self.downloader);
        let check = move || {
            let files = files.into_iter().map(|(task, path)| {
                let exists = downloader.file_exists(&path);
                (task, path, exists)
            });
            Msg::FilesChecked(files.collect())
        };
        // After a panic nothing is reported; the files are checked again later.
        self.run_blocking(check, Msg::FilesChecked(Vec::new()));
    }

    fn check_locks(&self, requests: Vec<DownloadRequest>) {
        let downloader = Arc::clone(&self.downloader);
        let check = move || {
            let mut locked = BTreeMap::new();
            for request in requests {
                let is_locked = downloader.is_being_downloaded(&request);
                *locked.entry(request.task).or_default() |= is_locked;
            }
            Msg::LocksChecked(locked.into_iter().collect())
        };
        // As in `check_files`.
        self.run_blocking(check, Msg::LocksChecked(Vec::new()));
    }

    fn copy(&self, payload: CopyPayload) {
        let (clipboard, exporter) = (Arc::clone(&self.clipboard), Arc::clone(&self.exporter));
        let CopyPayload { name, content } = payload;
        let after_panic = Msg::ComponentPanicked(crashes::copy(&name));
        let copy = move || {
            let text = match content {
                CopyContent::Text(text) => text,
                CopyContent::TasksAsJson(tasks) => exporter.to_json(&tasks),
                CopyContent::TasksAsCurl(tasks) => exporter.to_curl(&tasks),
            };
            let result = clipboard.copy(&text);
            Msg::Copied { name, text, result }
        };
        self.run_blocking(copy, after_panic);
    }

    /// Shows a desktop notification and starts the user's command.
    fn notify(&self, notification: Notification) {
        let notifier = Arc::clone(&self.notifier);
        let notify = move || {
            let shown = match &notification.desktop {
                Some((title, body)) => notifier.show(title, body),
                None => Ok(()),
            };
            if notification.command.is_empty() {
                return Msg::Notified(shown);
            }
            let run = notifier.run_command(&notification.command, &notification.variables);
            Msg::Notified(shown.and(run))
        };
        self.run_blocking(notify, Msg::Notified(Err(crashes::NOTIFICATION.into())));
    }

    fn open(&self, task: TaskId, url: VideoUrl, file: Option<PathBuf>) {
        let opener = Arc::clone(&self.opener);
        let downloader = Arc::clone(&self.downloader);
        let input_provider = Arc::clone(&self.input_provider);
        let after_panic = Msg::Opened {
            task: task.clone(),
            url: url.clone(),
            result: Err(crashes::BROWSER_START.into()),
        };
        let open = move || {
            let saved = file.filter(|file| downloader.file_exists(file));
            let result = match saved.or_else(|| input_provider.cached_file(&url)) {
                Some(file) => opener.open_file(&file).map(|()| Some(file)),
                None => opener.open(&url).map(|()| None),
            };
            Msg::Opened { task, url, result }
        };
        self.run_blocking(open, after_panic);
    }

    fn show_comparison(&self, comparison: Box<Comparison>) {
        let viewer = Arc::clone(&self.comparison_viewer);
        let after_panic = Msg::Compared {
            task: comparison.task.clone(),
            result: Err(crashes::COMPARISON.into()),
        };
        let show = move || Msg::Compared {
            result: viewer.show_comparison(&comparison),
            task: comparison.task,
        };
        self.run_blocking(show, after_panic);
    }
}

/// Awaits a call of the API. A panic becomes an error.
async fn with_deadline<T>(
    deadline: time::Instant,
    call: impl Future<Output = T>,
) -> Result<T, PollError> {
    match time::timeout_at(deadline, AssertUnwindSafe(call).catch_unwind()).await {
        Ok(Ok(result)) => Ok(result),
        Ok(Err(_panic)) => Err(PollError::AnswerLost),
        Err(_elapsed) => Err(PollError::TimedOut),
    }
}
