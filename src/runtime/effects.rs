//! Orders become work, and each work exactly one answer: the only place where the core's words meet the ports.
//!
//! Questions run as tasks under a deadline, each in its turn among all instances (`turns`); the list lives on a thread
//! of its own (`list`); the browser starts on the blocking pool. A part that panics answers all the same.

mod list;
mod turns;

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

pub use self::list::{ListNotice, OpenStore, OpenedStore};
use self::{
    list::{ListHand, Order},
    turns::TurnHand,
};
use super::pictures::Studio;
use crate::{
    app::{
        clip::{Clip, ClipContent},
        msg::{Effect, Msg},
        tidings::Tidings,
    },
    domain::{
        comparison::Comparison,
        id_extract::KnownSecrets,
        link::VideoUrl,
        noticed::Noticed,
        report::{Answer, PollError},
        save::{SaveAttempt, SaveError, SaveOrder},
        schedule::Attempt,
        task::{Family, TaskId},
        turns::Heard,
    },
    ports::{
        Clipboard, Clock, Comparer, Downloader, FrameReader, InputKeeper, Notifier, Opener,
        Pending, Scribe, TaskApi, Turns,
    },
};

/// The longest a question may take; beyond every deadline of the adapter, short of the core's own.
const ANSWER_DEADLINE: Duration = Duration::from_secs(22);

/// The longest the end waits for what is still to be written.
const PARTING: Duration = Duration::from_millis(300);

/// How many answers may wait for the loop; more make their senders wait, never fall away.
const QUEUE: usize = 256;

/// Is the outside the dashboard works with.
pub struct Outside {
    /// Reads the clocks.
    pub clock: Arc<dyn Clock>,
    /// Asks after tasks.
    pub api: Arc<dyn TaskApi>,
    /// Shares the limits on asking with other instances; `None` where nobody else can ask.
    pub turns: Option<Arc<dyn Turns>>,
    /// Opens videos.
    pub opener: Arc<dyn Opener>,
    /// Shows input and result side by side.
    pub comparer: Arc<dyn Comparer>,
    /// Takes frames out of videos.
    pub frames: Arc<dyn FrameReader>,
    /// Keeps the inputs they are taken of.
    pub inputs: Arc<dyn InputKeeper>,
    /// Fetches videos to the disk.
    pub downloader: Arc<dyn Downloader>,
    /// Takes what is copied.
    pub clipboard: Arc<dyn Clipboard>,
    /// Writes tasks down for other programs.
    pub scribe: Arc<dyn Scribe>,
    /// Tells of endings.
    pub notifier: Arc<dyn Notifier>,
    /// Opens the list.
    pub open_store: OpenStore,
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            clock,
            api,
            turns,
            opener,
            comparer,
            frames,
            inputs,
            downloader,
            clipboard,
            scribe,
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
pub(super) struct Hands {
    api: Arc<dyn TaskApi>,
    turns: TurnHand,
    opener: Arc<dyn Opener>,
    comparer: Arc<dyn Comparer>,
    frames: Arc<dyn FrameReader>,
    inputs: Arc<dyn InputKeeper>,
    studio: Studio,
    downloader: Arc<dyn Downloader>,
    /// What stops each save: to be told, or to be dropped.
    saves: HashMap<SaveAttempt, oneshot::Sender<()>>,
    clipboard: Arc<dyn Clipboard>,
    scribe: Arc<dyn Scribe>,
    notifier: Arc<dyn Notifier>,
    list: ListHand,
    answers: mpsc::Sender<Msg>,
}

impl Hands {
    /// Returns hands, and where their answers come out.
    pub(super) fn new(outside: Outside, studio: Studio) -> (Self, mpsc::Receiver<Msg>) {
        let (answers, received) = mpsc::channel(QUEUE);
        (
            Self {
                api: outside.api,
                turns: TurnHand::start(outside.turns),
                opener: outside.opener,
                comparer: outside.comparer,
                frames: outside.frames,
                inputs: outside.inputs,
                studio,
                downloader: outside.downloader,
                saves: HashMap::new(),
                clipboard: outside.clipboard,
                scribe: outside.scribe,
                notifier: outside.notifier,
                list: ListHand::start(outside.open_store, answers.clone()),
                answers,
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
    pub(super) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Recall => self.list.tell(Order::Recall),
            Effect::Remember(lens) => self.list.tell(Order::Remember(lens)),
            Effect::Load => self.list.tell(Order::Load),
            Effect::Store(changes) => self.list.tell(Order::Apply(changes)),
            Effect::WriteBack => self.list.tell(Order::WriteBack),
            Effect::ReadJournal(task) => self.list.tell(Order::Journal(task)),
            Effect::Poll {
                task,
                family,
                attempt,
            } => self.poll(task, family, attempt),
            Effect::Tell(word) => self.turns.tell(word),
            Effect::Open { task, url, file } => self.open(task, url, file),
            Effect::Compare(comparison) => self.compare(comparison),
            Effect::Picture(order) => {
                let Self {
                    studio,
                    frames,
                    inputs,
                    answers,
                    ..
                } = self;
                studio.make(*order, frames, inputs, answers);
            }
            Effect::StopPicture(number) => self.studio.stop(number),
            Effect::ReadRecord(task) => self.list.tell(Order::Record(task)),
            Effect::NoteVisit(at) => self.list.tell(Order::Visit(at)),
            Effect::Copy(clip) => self.copy(clip),
            Effect::Announce(tidings) => self.announce(tidings),
            Effect::Save { attempt, order } => self.save(attempt, order),
            Effect::StopSave(attempt) => drop(self.saves.remove(&attempt)),
            Effect::LookFor(files) => self.look_for(files),
            Effect::FindHolders(orders) => self.find_holders(orders),
            Effect::Redraw | Effect::Ask(_) | Effect::Suspend | Effect::Quit => {}
        }
    }

    /// Waits, but not for long, until what was ordered is written and every turn given back. Saves stop; what came of them
    /// is kept.
    pub(super) async fn close(mut self) {
        self.saves.clear();
        self.studio.close();
        let (done, closed) = oneshot::channel();
        self.list.tell(Order::Close(done));
        let back = self.turns.close();
        // An error means that the thread has gone; a time-out that the disk does not answer.
        if time::timeout(PARTING, async { (closed.await, back.await) })
            .await
            .is_err()
        {
            tracing::warn!("left while the list was still being written");
        }
    }

    fn poll(&self, id: TaskId, family: Family, attempt: Attempt) {
        let (api, answers) = (Arc::clone(&self.api), self.answers.clone());
        let turns = self.turns.clone();
        task::spawn(async move {
            let end = time::Instant::now() + ANSWER_DEADLINE;
            let account = within(end, api.account()).await;
            let msg = match account {
                // Without a key nothing is sent, so no turn is needed.
                Err(error) => polled(id, attempt, Err(error), Noticed::default()),
                Ok(account) => match turns.take(&id, account).await {
                    Err(put_off) => Msg::PutOff {
                        task: id,
                        attempt,
                        put_off,
                    },
                    Ok(turn) => {
                        let mut noticed = Noticed::default();
                        let asked = api.fetch(&id, family, &mut noticed);
                        let answer = within(end, asked).await;
                        if let Some(turn) = turn {
                            turns.end(turn, Heard::of(&answer));
                        }
                        polled(id, attempt, answer, noticed)
                    }
                },
            };
            send(&answers, msg).await;
        });
    }

    fn save(&mut self, attempt: SaveAttempt, order: SaveOrder) {
        let (downloader, answers) = (Arc::clone(&self.downloader), self.answers.clone());
        let (stop, stopped) = oneshot::channel();
        self.saves.retain(|_, stop| !stop.is_closed());
        self.saves.insert(attempt, stop);
        task::spawn(async move {
            let telling = |progress| {
                let told = answers.try_send(Msg::SaveProgressed { attempt, progress });
                // Where the loop has enough to do, the next one will tell.
                told.unwrap_or_default();
            };
            let saving = AssertUnwindSafe(downloader.save(&order, &telling)).catch_unwind();
            let result = tokio::select! {
                ended = saving => ended.unwrap_or(Err(SaveError::Broke)),
                _dropped = stopped => Err(SaveError::Stopped),
            };
            send(&answers, Msg::SaveEnded { attempt, result }).await;
        });
    }

    fn look_for(&self, files: Vec<(TaskId, PathBuf)>) {
        let (downloader, answers) = (Arc::clone(&self.downloader), self.answers.clone());
        task::spawn(async move {
            let looked = task::spawn_blocking(move || {
                let files = files.into_iter().map(|(task, path)| {
                    let is_there = downloader.is_there(&path);
                    (task, path, is_there)
                });
                files.collect()
            });
            // What broke while it was looked for is looked for again later.
            let files = looked.await.unwrap_or_default();
            send(&answers, Msg::LookedFor(files)).await;
        });
    }

    fn find_holders(&self, orders: Vec<SaveOrder>) {
        let (downloader, answers) = (Arc::clone(&self.downloader), self.answers.clone());
        task::spawn(async move {
            let looked = task::spawn_blocking(move || {
                let mut found = BTreeMap::new();
                for order in orders {
                    let is_held = downloader.is_held(&order);
                    *found.entry(order.task).or_default() |= is_held;
                }
                found.into_iter().collect()
            });
            // As above.
            let found = looked.await.unwrap_or_default();
            send(&answers, Msg::HoldersFound(found)).await;
        });
    }

    /// Writes down what is to be copied, and hands it to a program.
    fn copy(&self, clip: Clip) {
        let (clipboard, scribe) = (Arc::clone(&self.clipboard), Arc::clone(&self.scribe));
        let answers = self.answers.clone();
        task::spawn(async move {
            let Clip { what, content } = clip;
            let copied = task::spawn_blocking(move || {
                let text = match content {
                    ClipContent::Text(text) => text,
                    ClipContent::Records(tasks) => scribe.records(&tasks),
                    ClipContent::Commands(tasks) => scribe.commands(&tasks),
                };
                let result = clipboard.copy(&text);
                (text, result)
            });
            let msg = match copied.await {
                Ok((text, result)) => Msg::Copied { what, text, result },
                Err(_) => Msg::Broke(format!("Copying {what} broke.")),
            };
            send(&answers, msg).await;
        });
    }

    /// Shows news on the desktop, and starts the user's program.
    fn announce(&self, tidings: Tidings) {
        let (notifier, answers) = (Arc::clone(&self.notifier), self.answers.clone());
        task::spawn(async move {
            let told = task::spawn_blocking(move || {
                let shown = match &tidings.shown {
                    Some((title, body)) => notifier.show(title, body),
                    None => Ok(()),
                };
                if tidings.command.is_empty() {
                    return shown;
                }
                let run = notifier.run(&tidings.command, &tidings.facts);
                shown.and(run)
            });
            let result = told
                .await
                .unwrap_or_else(|_| Err("Telling of an ending broke.".into()));
            send(&answers, Msg::Announced(result)).await;
        });
    }

    fn open(&self, task: TaskId, url: VideoUrl, file: Option<PathBuf>) {
        let (opener, answers) = (Arc::clone(&self.opener), self.answers.clone());
        let (downloader, inputs) = (Arc::clone(&self.downloader), Arc::clone(&self.inputs));
        task::spawn(async move {
            let link = url.clone();
            let outcome = task::spawn_blocking(move || {
                let saved = file.filter(|file| downloader.is_there(file));
                match saved.or_else(|| inputs.kept(&link)) {
                    Some(file) => opener.open_file(&file).map(|()| Some(file)),
                    None => opener.open(&link).map(|()| None),
                }
            });
            let broke = || Err("starting the browser broke".to_owned());
            let msg = match outcome.await.unwrap_or_else(|_panic| broke()) {
                Ok(Some(file)) => Msg::OpenedFile { task, file },
                result => Msg::Opened {
                    task,
                    url,
                    result: result.map(drop),
                },
            };
            send(&answers, msg).await;
        });
    }

    fn compare(&self, comparison: Box<Comparison>) {
        let (comparer, answers) = (Arc::clone(&self.comparer), self.answers.clone());
        task::spawn(async move {
            let id = comparison.task.clone();
            let outcome = task::spawn_blocking(move || comparer.compare(&comparison)).await;
            let result = outcome.unwrap_or_else(|_| Err("Showing them broke.".to_owned()));
            send(&answers, Msg::Compared { task: id, result }).await;
        });
    }
}

/// Waits for the API until then. A panic in it becomes an error.
async fn within<T>(
    end: time::Instant,
    asked: Pending<'_, Result<T, PollError>>,
) -> Result<T, PollError> {
    match time::timeout_at(end, AssertUnwindSafe(asked).catch_unwind()).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_panic)) => Err(PollError::Lost),
        Err(_elapsed) => Err(PollError::TimedOut),
    }
}

fn polled(task: TaskId, attempt: Attempt, answer: Answer, noticed: Noticed) -> Msg {
    Msg::Polled {
        task,
        attempt,
        answer: Box::new(answer),
        noticed,
    }
}

/// Sends an answer and waits for room: an answer is never dropped, except when the loop has ended.
async fn send(answers: &mpsc::Sender<Msg>, msg: Msg) {
    if answers.send(msg).await.is_err() {
        tracing::debug!("an answer came after the end");
    }
}
