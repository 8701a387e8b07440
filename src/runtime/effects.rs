//! Orders become work, and each work exactly one answer: the only place where the core's words meet the ports.
//!
//! Questions run as tasks under a deadline, each in its turn among all instances; the list lives on a thread of its own, which takes its orders one after
//! the other; the browser starts on the blocking pool. A part that panics answers all the same.

use std::{
    collections::HashMap,
    fmt,
    panic::AssertUnwindSafe,
    path::PathBuf,
    sync::{Arc, mpsc as orders},
    thread,
    time::Duration,
};

use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio::{
    sync::{mpsc, oneshot},
    task, time,
};

use super::pictures::Studio;
use crate::{
    app::{
        clip::{Clip, ClipContent},
        msg::{Effect, Msg},
        tidings::Tidings,
    },
    domain::{
        change::{Change, StoreError},
        comparison::Comparison,
        query::Lens,
        report::PollError,
        save::{SaveAttempt, SaveError, SaveOrder},
        schedule::Attempt,
        task::{Family, TaskId, VideoUrl},
        turns::{Heard, PutOff, Turn, Word},
    },
    ports::{
        Clipboard, Clock, Comparer, Downloader, FrameReader, InputKeeper, ListStore, Notifier,
        Opener, Scribe, TaskApi, Turns,
    },
};

/// The longest a question may take; beyond every deadline of the adapter, short of the core's own.
const ANSWER_DEADLINE: Duration = Duration::from_secs(22);

/// The longest a question waits for its turn to be found: a disk that hangs stops no asking.
const TURN_DEADLINE: Duration = Duration::from_secs(2);

/// The longest the end waits for what is still to be written.
const PARTING: Duration = Duration::from_millis(300);

/// How many answers may wait for the loop; more make their senders wait, never fall away.
const QUEUE: usize = 256;

/// The most journal lines read for the detail.
const JOURNAL_LINES: usize = 200;

/// Opens the list; called on the thread that keeps it, after the first frame.
pub type OpenStore = Box<dyn FnOnce(ListNotice) -> Result<OpenedStore, StoreError> + Send>;

/// Is a list just opened, with what must live as long.
pub struct OpenedStore {
    /// The list.
    pub store: Box<dyn ListStore>,
    /// The sentence about a damaged file that was kept aside, if there was one.
    pub rescued: Option<String>,
    /// Keeps the notice of other instances' changes alive.
    pub watch: Option<Box<dyn Send>>,
}

impl fmt::Debug for OpenedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenedStore")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// Tells the list's thread that the file changed.
#[derive(Debug, Clone)]
pub struct ListNotice(orders::Sender<Order>);

impl ListNotice {
    /// Says that the file changed; may be called from any thread, as often as one likes.
    pub fn changed(&self) {
        // The receiver is gone only when the program ends.
        self.0.send(Order::Look).unwrap_or_default();
    }
}

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

/// Is what the list's thread may be told.
#[derive(Debug)]
enum Order {
    Recall,
    Remember(Lens),
    Load,
    Apply(Vec<Change>),
    Journal(TaskId),
    Record(TaskId),
    Visit(Timestamp),
    Look,
    Close(oneshot::Sender<()>),
}

/// Is what the keeper of the turns may be told; one after the other, as a word goes before the question it is about.
#[derive(Debug)]
enum TurnOrder {
    Take(TaskId, oneshot::Sender<Result<Turn, PutOff>>),
    End(Turn, Heard),
    Tell(Word),
    Close(oneshot::Sender<()>),
}

/// Carries orders out.
#[derive(Debug)]
pub(super) struct Hands {
    api: Arc<dyn TaskApi>,
    turns: Option<mpsc::UnboundedSender<TurnOrder>>,
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
    list: orders::Sender<Order>,
    answers: mpsc::Sender<Msg>,
}

impl Hands {
    /// Returns hands, and where their answers come out.
    pub(super) fn new(outside: Outside, studio: Studio) -> (Self, mpsc::Receiver<Msg>) {
        let (answers, received) = mpsc::channel(QUEUE);
        let (list, told) = orders::channel();
        let keeper = Keeper {
            answers: answers.clone(),
            notice: ListNotice(list.clone()),
        };
        let open = outside.open_store;
        let started = thread::Builder::new()
            .name("list".into())
            .spawn(move || keeper.keep(open, &told));
        if let Err(error) = started {
            tracing::error!(%error, "the thread for the list cannot be started");
        }
        let turns = outside.turns.map(|turns| {
            let (orders, told) = mpsc::unbounded_channel();
            task::spawn(keep_turns(turns, told));
            orders
        });
        (
            Self {
                api: outside.api,
                turns,
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
                list,
                answers,
            },
            received,
        )
    }

    /// Carries one order out; those of the terminal are the loop's.
    pub(super) fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Recall => self.tell(Order::Recall),
            Effect::Remember(lens) => self.tell(Order::Remember(lens)),
            Effect::Load => self.tell(Order::Load),
            Effect::Store(changes) => self.tell(Order::Apply(changes)),
            Effect::ReadJournal(task) => self.tell(Order::Journal(task)),
            Effect::Poll {
                task,
                family,
                attempt,
            } => self.poll(task, family, attempt),
            Effect::Tell(word) => {
                if let Some(turns) = &self.turns {
                    order(turns, TurnOrder::Tell(word));
                }
            }
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
            Effect::ReadRecord(task) => self.tell(Order::Record(task)),
            Effect::NoteVisit(at) => self.tell(Order::Visit(at)),
            Effect::Copy(clip) => self.copy(clip),
            Effect::Announce(tidings) => self.announce(tidings),
            Effect::Save { attempt, order } => self.save(attempt, order),
            Effect::StopSave(attempt) => drop(self.saves.remove(&attempt)),
            Effect::LookFor(files) => self.look_for(files),
            Effect::Redraw | Effect::Ask(_) | Effect::Suspend | Effect::Quit => {}
        }
    }

    /// Waits, but not for long, until what was ordered is written and every turn given back. Saves stop; what came of them
    /// is kept.
    pub(super) async fn close(mut self) {
        self.saves.clear();
        self.studio.close();
        let (done, closed) = oneshot::channel();
        self.tell(Order::Close(done));
        let (given, back) = oneshot::channel();
        match &self.turns {
            Some(turns) => order(turns, TurnOrder::Close(given)),
            None => drop(given),
        }
        // An error means that the thread has gone; a time-out that the disk does not answer.
        if time::timeout(PARTING, async { (closed.await, back.await) })
            .await
            .is_err()
        {
            tracing::warn!("left while the list was still being written");
        }
    }

    fn tell(&self, order: Order) {
        if self.list.send(order).is_err() {
            tracing::error!("the list's thread is gone");
        }
    }

    fn poll(&self, id: TaskId, family: Family, attempt: Attempt) {
        let (api, answers) = (Arc::clone(&self.api), self.answers.clone());
        let turns = self.turns.clone();
        task::spawn(async move {
            let msg = match take_turn(turns.as_ref(), &id).await {
                Err(put_off) => Msg::PutOff {
                    task: id,
                    attempt,
                    put_off,
                },
                Ok(turn) => {
                    let fetch = AssertUnwindSafe(api.fetch(&id, family)).catch_unwind();
                    let answer = match time::timeout(ANSWER_DEADLINE, fetch).await {
                        Ok(Ok(answer)) => answer,
                        Ok(Err(_panic)) => Err(PollError::Lost),
                        Err(_elapsed) => Err(PollError::TimedOut),
                    };
                    if let (Some(turns), Some(turn)) = (&turns, turn) {
                        order(turns, TurnOrder::End(turn, Heard::of(&answer)));
                    }
                    Msg::Polled {
                        task: id,
                        attempt,
                        answer: Box::new(answer),
                    }
                }
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
        let downloader = Arc::clone(&self.downloader);
        task::spawn(async move {
            let link = url.clone();
            let outcome =
                task::spawn_blocking(
                    move || match file.filter(|file| downloader.is_there(file)) {
                        Some(file) => opener.open_file(&file).map(|()| Some(file)),
                        None => opener.open(&link).map(|()| None),
                    },
                );
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

/// Takes a turn; none is needed where nobody else asks, or where the keeper does not answer in time.
async fn take_turn(
    turns: Option<&mpsc::UnboundedSender<TurnOrder>>,
    task: &TaskId,
) -> Result<Option<Turn>, PutOff> {
    let Some(turns) = turns else { return Ok(None) };
    let (give, given) = oneshot::channel();
    order(turns, TurnOrder::Take(task.clone(), give));
    match time::timeout(TURN_DEADLINE, given).await {
        Ok(Ok(turn)) => turn.map(Some),
        Ok(Err(_)) | Err(_) => Ok(None),
    }
}

fn order(turns: &mpsc::UnboundedSender<TurnOrder>, order: TurnOrder) {
    if turns.send(order).is_err() {
        tracing::debug!("the keeper of the turns is gone");
    }
}

/// Takes turns and gives them back, one order after the other, on the blocking pool. At the end those still out are
/// given back: nobody is to wait for answers that will not come.
async fn keep_turns(turns: Arc<dyn Turns>, mut told: mpsc::UnboundedReceiver<TurnOrder>) {
    let mut out: Vec<Turn> = Vec::new();
    while let Some(order) = told.recv().await {
        match order {
            TurnOrder::Take(task, give) => {
                let taken = on_pool(&turns, move |turns| turns.take(&task)).await;
                // Where taking it broke nothing is given, and the question goes on without.
                let Some(taken) = taken else { continue };
                out.extend(taken.clone().ok());
                if let Err(Ok(unwanted)) = give.send(taken) {
                    out.retain(|turn| *turn != unwanted);
                    on_pool(&turns, move |turns| turns.end(&unwanted, Heard::Nothing)).await;
                }
            }
            TurnOrder::End(turn, heard) => {
                out.retain(|other| *other != turn);
                on_pool(&turns, move |turns| turns.end(&turn, heard)).await;
            }
            TurnOrder::Tell(word) => {
                on_pool(&turns, move |turns| turns.tell(&word)).await;
            }
            TurnOrder::Close(done) => {
                let give_back = move |turns: &dyn Turns| {
                    for turn in out {
                        turns.end(&turn, Heard::Nothing);
                    }
                };
                on_pool(&turns, give_back).await;
                // The loop may have stopped waiting.
                done.send(()).unwrap_or_default();
                return;
            }
        }
    }
}

/// Does something with the turns off the loop; `None` when it broke.
async fn on_pool<T: Send + 'static>(
    turns: &Arc<dyn Turns>,
    work: impl FnOnce(&dyn Turns) -> T + Send + 'static,
) -> Option<T> {
    let turns = Arc::clone(turns);
    task::spawn_blocking(move || work(turns.as_ref()))
        .await
        .map_err(|error| tracing::warn!(%error, "a turn among the instances broke"))
        .ok()
}

/// Sends an answer and waits for room: an answer is never dropped, except when the loop has ended.
async fn send(answers: &mpsc::Sender<Msg>, msg: Msg) {
    if answers.send(msg).await.is_err() {
        tracing::debug!("an answer came after the end");
    }
}

/// Keeps the list, on a thread of its own.
struct Keeper {
    answers: mpsc::Sender<Msg>,
    notice: ListNotice,
}

impl Keeper {
    fn keep(self, open: OpenStore, told: &orders::Receiver<Order>) {
        let mut open = Some(open);
        let mut list: Result<OpenedStore, StoreError> =
            Err(StoreError::Other("it was not opened yet".into()));
        while let Ok(order) = told.recv() {
            if let Some(open) = open.take_if(|_| matches!(order, Order::Recall | Order::Load)) {
                list = open(self.notice.clone());
            }
            let answer = match order {
                Order::Recall => Some(Msg::Recalled(on(&mut list, |store| store.recall()))),
                Order::Remember(lens) => {
                    let result = on(&mut list, |store| store.remember(&lens));
                    Some(Msg::Remembered(result))
                }
                Order::Load => Some(Msg::Loaded(on(&mut list, |store| store.load()))),
                Order::Apply(changes) => {
                    let result = on(&mut list, |store| store.apply(&changes));
                    Some(Msg::Stored { changes, result })
                }
                Order::Journal(task) => {
                    let lines = on(&mut list, |store| store.journal(&task, JOURNAL_LINES));
                    Some(Msg::JournalRead { task, lines })
                }
                Order::Record(task) => {
                    let record = on(&mut list, |store| store.record(&task));
                    let record = record.map(|record| record.map(Arc::new));
                    Some(Msg::RecordRead { task, record })
                }
                Order::Visit(at) => {
                    if let Err(error) = on(&mut list, |store| store.note_visit(at)) {
                        tracing::debug!(%error, "the visit is not noted");
                    }
                    None
                }
                Order::Look => look(&mut list),
                Order::Close(done) => {
                    drop(list);
                    // The loop may have stopped waiting.
                    done.send(()).unwrap_or_default();
                    return;
                }
            };
            if let Some(answer) = answer {
                self.say(answer);
            }
            self.tell_rescue(&mut list);
        }
    }

    fn tell_rescue(&self, list: &mut Result<OpenedStore, StoreError>) {
        let Ok(opened) = list else { return };
        let late = opened.store.take_rescued();
        for sentence in opened.rescued.take().into_iter().chain(late) {
            self.say(Msg::Broke(sentence));
        }
    }

    fn say(&self, msg: Msg) {
        if self.answers.blocking_send(msg).is_err() {
            tracing::debug!("the list answered after the end");
        }
    }
}

/// Does something with the list, or says why there is none. A panic in it becomes an error.
fn on<T>(
    list: &mut Result<OpenedStore, StoreError>,
    work: impl FnOnce(&mut dyn ListStore) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let store = list.as_mut().map_err(|error| error.clone())?.store.as_mut();
    std::panic::catch_unwind(AssertUnwindSafe(|| work(store)))
        .unwrap_or_else(|_| Err(StoreError::Other("reading or writing it broke".into())))
}

/// Reads what other instances changed.
fn look(list: &mut Result<OpenedStore, StoreError>) -> Option<Msg> {
    match on(list, |store| store.changes()) {
        Ok(deltas) if deltas.is_empty() => None,
        Ok(deltas) => Some(Msg::ChangedElsewhere(deltas)),
        Err(error) => {
            tracing::warn!(%error, "other instances' changes cannot be read");
            None
        }
    }
}
