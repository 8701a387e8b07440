//! Orders become work, and each work exactly one answer: the only place where the core's words meet the ports.
//!
//! Questions run as tasks under a deadline; the list lives on a thread of its own, which takes its orders one after
//! the other; the browser starts on the blocking pool. A part that panics answers all the same.

use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, mpsc as orders},
    thread,
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::{
    sync::{mpsc, oneshot},
    task, time,
};

use crate::{
    app::msg::{Effect, Msg},
    domain::{
        change::{Change, StoreError},
        comparison::Comparison,
        report::PollError,
        schedule::Attempt,
        task::{Family, TaskId, VideoUrl},
    },
    ports::{Clock, Comparer, ListStore, Opener, TaskApi},
};

/// The longest a question may take; beyond every deadline of the adapter, short of the core's own.
const ANSWER_DEADLINE: Duration = Duration::from_secs(22);

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
    /// Opens videos.
    pub opener: Arc<dyn Opener>,
    /// Shows input and result side by side.
    pub comparer: Arc<dyn Comparer>,
    /// Opens the list.
    pub open_store: OpenStore,
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            clock,
            api,
            opener,
            comparer,
            open_store: _,
        } = self;
        f.debug_struct("Outside")
            .field("clock", clock)
            .field("api", api)
            .field("opener", opener)
            .field("comparer", comparer)
            .finish_non_exhaustive()
    }
}

/// Is what the list's thread may be told.
#[derive(Debug)]
enum Order {
    Load,
    Apply(Vec<Change>),
    Journal(TaskId),
    Look,
    Close(oneshot::Sender<()>),
}

/// Carries orders out.
#[derive(Debug)]
pub(super) struct Hands {
    api: Arc<dyn TaskApi>,
    opener: Arc<dyn Opener>,
    comparer: Arc<dyn Comparer>,
    list: orders::Sender<Order>,
    answers: mpsc::Sender<Msg>,
}

impl Hands {
    /// Returns hands, and where their answers come out.
    pub(super) fn new(outside: Outside) -> (Self, mpsc::Receiver<Msg>) {
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
        (
            Self {
                api: outside.api,
                opener: outside.opener,
                comparer: outside.comparer,
                list,
                answers,
            },
            received,
        )
    }

    /// Carries one order out; those of the terminal are the loop's.
    pub(super) fn carry_out(&self, effect: Effect) {
        match effect {
            Effect::Load => self.tell(Order::Load),
            Effect::Store(changes) => self.tell(Order::Apply(changes)),
            Effect::ReadJournal(task) => self.tell(Order::Journal(task)),
            Effect::Poll {
                task,
                family,
                attempt,
            } => self.poll(task, family, attempt),
            Effect::Open { task, url } => self.open(task, url),
            Effect::Compare(comparison) => self.compare(comparison),
            Effect::Redraw | Effect::Suspend | Effect::Quit => {}
        }
    }

    /// Waits, but not for long, until what was ordered is written.
    pub(super) async fn close(self) {
        let (done, closed) = oneshot::channel();
        self.tell(Order::Close(done));
        // An error means that the thread has gone; a time-out that the disk does not answer.
        if time::timeout(PARTING, closed).await.is_err() {
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
        task::spawn(async move {
            let fetch = AssertUnwindSafe(api.fetch(&id, family)).catch_unwind();
            let answer = match time::timeout(ANSWER_DEADLINE, fetch).await {
                Ok(Ok(answer)) => answer,
                Ok(Err(_panic)) => Err(PollError::Lost),
                Err(_elapsed) => Err(PollError::TimedOut),
            };
            send(
                &answers,
                Msg::Polled {
                    task: id,
                    attempt,
                    answer: Box::new(answer),
                },
            )
            .await;
        });
    }

    fn open(&self, id: TaskId, url: VideoUrl) {
        let (opener, answers) = (Arc::clone(&self.opener), self.answers.clone());
        task::spawn(async move {
            let link = url.clone();
            let outcome = task::spawn_blocking(move || opener.open(&link)).await;
            let result = outcome.unwrap_or_else(|_| Err("starting the browser broke".to_owned()));
            send(
                &answers,
                Msg::Opened {
                    task: id,
                    url,
                    result,
                },
            )
            .await;
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
            let answer = match order {
                Order::Load => {
                    if let Some(open) = open.take() {
                        list = open(self.notice.clone());
                    }
                    Some(Msg::Loaded(on(&mut list, |store| store.load())))
                }
                Order::Apply(changes) => {
                    let result = on(&mut list, |store| store.apply(&changes));
                    Some(Msg::Stored { changes, result })
                }
                Order::Journal(task) => {
                    let lines = on(&mut list, |store| store.journal(&task, JOURNAL_LINES));
                    Some(Msg::JournalRead { task, lines })
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
