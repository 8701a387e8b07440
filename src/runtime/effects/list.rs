//! The list's own thread: opens the list, takes orders one after the other, and answers each that waits for an answer.
//!
//! A list that cannot be opened now may be another time: it is opened again whenever it is to be read. Whatever breaks
//! in it becomes an error, and a thread that is gone answers with one too.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc as orders},
    thread,
};

use jiff::Timestamp;
use tokio::{
    sync::{mpsc, oneshot},
    task,
};

use super::send;
use crate::{
    app::msg::Msg,
    domain::{
        change::{Change, StoreError},
        query::Lens,
        task::TaskId,
    },
    ports::ListStore,
};

/// The most journal lines read for the detail.
const JOURNAL_LINES: usize = 200;

/// Opens the list; called on the thread that keeps it, after the first frame, and again where that failed.
pub type OpenStore = Box<dyn FnMut(ListNotice) -> Result<OpenedStore, StoreError> + Send>;

/// Is a list just opened, with what must live as long.
pub struct OpenedStore {
    /// The list.
    pub store: Box<dyn ListStore>,
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

/// Notifies the list's thread of file changes, and the core of recoveries.
#[derive(Debug, Clone)]
pub struct ListNotice {
    orders: orders::Sender<Order>,
    answers: mpsc::Sender<Msg>,
}

impl ListNotice {
    /// Says that the file changed; may be called from any thread, as often as one likes.
    pub fn changed(&self) {
        // The receiver is gone only when the program ends.
        self.orders.send(Order::Look).unwrap_or_default();
    }

    /// Reports the recovery of a damaged file; called on the list's thread.
    pub fn recovered(&self, sentence: String) {
        say(&self.answers, Msg::Broke(sentence));
    }
}

/// Is what the list's thread may be told.
#[derive(Debug)]
pub(super) enum Order {
    Recall,
    Remember(Lens),
    Load,
    Apply(Vec<Change>),
    WriteBack,
    Journal(TaskId),
    Record(TaskId),
    Visit(Timestamp),
    Look,
    Close(oneshot::Sender<()>),
}

/// Hands orders to the list's thread.
#[derive(Debug)]
pub(super) struct ListHand {
    orders: orders::Sender<Order>,
    answers: mpsc::Sender<Msg>,
    /// The error of every order after the thread has ended.
    gone: String,
}

impl ListHand {
    /// Starts the thread.
    pub(super) fn start(open: OpenStore, answers: mpsc::Sender<Msg>) -> Self {
        let (list, told) = orders::channel();
        let keeper = Keeper {
            notice: ListNotice {
                orders: list.clone(),
                answers: answers.clone(),
            },
            open,
            list: Err(StoreError::Other("it was not opened yet".into())),
            is_asked_for: false,
        };
        let started = thread::Builder::new()
            .name("list".into())
            .spawn(move || keeper.keep(&told));
        let gone = match started {
            Ok(_) => "reading or writing it broke; start kietop again".to_owned(),
            Err(error) => format!("no thread can be started ({error}); end other programs"),
        };
        Self {
            orders: list,
            answers,
            gone,
        }
    }

    /// Gives an order. Where the thread is gone the answer is an error.
    pub(super) fn tell(&self, order: Order) {
        let Err(orders::SendError(order)) = self.orders.send(order) else {
            return;
        };
        tracing::error!("the list's thread is gone");
        let answers = self.answers.clone();
        let gone = StoreError::Other(self.gone.clone());
        if let Some(refusal) = carry_out(order, &mut Err(gone)) {
            task::spawn(async move { send(&answers, refusal).await });
        }
    }
}

/// Keeps the list, on a thread of its own.
struct Keeper {
    notice: ListNotice,
    open: OpenStore,
    list: Result<OpenedStore, StoreError>,
    /// Whether it was opened, or tried to be, for the next reading already.
    is_asked_for: bool,
}

impl Keeper {
    fn keep(mut self, told: &orders::Receiver<Order>) {
        while let Ok(order) = told.recv() {
            match &order {
                Order::Recall => self.open_again(),
                Order::Load if !self.is_asked_for => self.open_again(),
                Order::Load
                | Order::Remember(_)
                | Order::Apply(_)
                | Order::WriteBack
                | Order::Journal(_)
                | Order::Record(_)
                | Order::Visit(_)
                | Order::Look
                | Order::Close(_) => {}
            }
            // What a reading tells of the start, the next one does not take on trust.
            self.is_asked_for = matches!(order, Order::Recall);
            if let Order::Close(done) = order {
                drop(self.list);
                // The loop may have stopped waiting.
                done.send(()).unwrap_or_default();
                return;
            }
            if let Some(answer) = carry_out(order, &mut self.list) {
                say(&self.notice.answers, answer);
            }
        }
    }

    fn open_again(&mut self) {
        if self.list.is_err() {
            let (open, notice) = (&mut self.open, self.notice.clone());
            self.list = catch_unwind(AssertUnwindSafe(|| open(notice)))
                .unwrap_or_else(|_| Err(StoreError::Other("opening it broke".into())));
        }
    }
}

fn say(answers: &mpsc::Sender<Msg>, msg: Msg) {
    if answers.blocking_send(msg).is_err() {
        tracing::debug!("the list answered after the end");
    }
}

/// Carries an order out, and returns its answer where there is one.
fn carry_out(order: Order, list: &mut Result<OpenedStore, StoreError>) -> Option<Msg> {
    Some(match order {
        Order::Recall => Msg::Recalled(on(list, |store| store.recall())),
        Order::Remember(lens) => Msg::Remembered(on(list, |store| store.remember(&lens))),
        Order::Load => Msg::Loaded(on(list, |store| store.load())),
        Order::Apply(changes) => {
            let result = on(list, |store| store.apply(&changes));
            Msg::Stored { changes, result }
        }
        Order::WriteBack => Msg::WrittenBack(on(list, |store| store.write_back())),
        Order::Journal(task) => {
            let lines = on(list, |store| store.journal(&task, JOURNAL_LINES));
            Msg::JournalRead { task, lines }
        }
        Order::Record(task) => {
            let record = on(list, |store| store.record(&task));
            let record = record.map(|record| record.map(Arc::new));
            Msg::RecordRead { task, record }
        }
        Order::Visit(at) => {
            if let Err(error) = on(list, |store| store.note_visit(at)) {
                tracing::debug!(%error, "the visit is not noted");
            }
            return None;
        }
        Order::Look => return look(list),
        // Who waits hears that it is dropped.
        Order::Close(_) => return None,
    })
}

/// Does something with the list, or says why there is none. A panic in it becomes an error.
fn on<T>(
    list: &mut Result<OpenedStore, StoreError>,
    work: impl FnOnce(&mut dyn ListStore) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let store = list.as_mut().map_err(|error| error.clone())?.store.as_mut();
    catch_unwind(AssertUnwindSafe(|| work(store)))
        .unwrap_or_else(|_| Err(StoreError::Other("reading or writing it broke".into())))
}

/// Reads what other instances changed. A file busy in another program is not an error here.
fn look(list: &mut Result<OpenedStore, StoreError>) -> Option<Msg> {
    match on(list, |store| store.changes()) {
        Ok(deltas) if deltas.is_empty() => None,
        Ok(deltas) => Some(Msg::ChangedElsewhere(deltas)),
        Err(StoreError::Busy) => None,
        Err(error) => list.is_ok().then_some(Msg::ListFailed(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;
    use crate::domain::{
        change::{Applied, Delta, JournalLine},
        memory::Memory,
        record::Record,
        watched::Watched,
    };

    /// Breaks at whatever is wanted of it.
    #[derive(Debug)]
    struct Breaks;

    impl ListStore for Breaks {
        fn load(&mut self) -> Result<Vec<Watched>, StoreError> {
            panic_any(1)
        }
        fn apply(&mut self, _: &[Change]) -> Result<Vec<Applied>, StoreError> {
            panic_any(2)
        }
        fn changes(&mut self) -> Result<Vec<Delta>, StoreError> {
            panic_any(3)
        }
        fn journal(&mut self, _: &TaskId, _: usize) -> Result<Vec<JournalLine>, StoreError> {
            panic_any(4)
        }
        fn record(&mut self, _: &TaskId) -> Result<Option<Record>, StoreError> {
            panic_any(5)
        }
        fn recall(&mut self) -> Result<Memory, StoreError> {
            panic_any(6)
        }
        fn remember(&mut self, _: &Lens) -> Result<(), StoreError> {
            panic_any(7)
        }
        fn note_visit(&mut self, _: Timestamp) -> Result<(), StoreError> {
            panic_any(8)
        }
    }

    /// Gives every order there is, and the end, and returns all that is answered: of each its name and its error.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only answers of the list are wanted"
    )]
    async fn answers(
        hand: ListHand,
        mut told: mpsc::Receiver<Msg>,
    ) -> Vec<(&'static str, StoreError)> {
        let task = TaskId::parse("a").unwrap();
        for order in [
            Order::Recall,
            Order::Load,
            Order::Look,
            Order::Remember(Lens::default()),
            Order::Apply(Vec::new()),
            Order::Visit(Timestamp::UNIX_EPOCH),
            Order::Journal(task.clone()),
            Order::Record(task),
        ] {
            hand.tell(order);
        }
        let (done, closed) = oneshot::channel();
        hand.tell(Order::Close(done));
        // An error means that there is no thread.
        closed.await.unwrap_or_default();
        drop(hand);
        let mut answers = Vec::new();
        while let Some(msg) = told.recv().await {
            let (name, error) = match msg {
                Msg::Recalled(result) => ("recalled", result.err()),
                Msg::Loaded(result) => ("loaded", result.err()),
                Msg::Remembered(result) => ("remembered", result.err()),
                Msg::Stored { result, .. } => ("stored", result.err()),
                Msg::JournalRead { lines, .. } => ("journal", lines.err()),
                Msg::RecordRead { record, .. } => ("record", record.err()),
                // Nobody waits for this look at other instances' changes, so only an unreadable
                // list is reported.
                Msg::ListFailed(error) => ("failed", Some(error)),
                other => panic!("nobody asked for {other:?}"),
            };
            answers.push((name, error.unwrap()));
        }
        answers
    }

    #[tokio::test]
    async fn every_order_is_answered_once_whatever_breaks() {
        let in_order = [
            "recalled",
            "loaded",
            "remembered",
            "stored",
            "journal",
            "record",
        ];
        let breaks = |_| {
            Ok(OpenedStore {
                store: Box::new(Breaks),
                watch: None,
            })
        };
        let other = |what: &str| StoreError::Other(what.into());
        let cases: [(OpenStore, StoreError); 3] = [
            (Box::new(breaks), other("reading or writing it broke")),
            (Box::new(|_| panic_any(0)), other("opening it broke")),
            (Box::new(|_| Err(StoreError::Full)), StoreError::Full),
        ];
        for (open, error) in cases {
            let (send, told) = mpsc::channel(99);
            let mut answers = answers(ListHand::start(open, send), told).await;
            answers.retain(|(name, _)| *name != "failed");

            assert_eq!(answers, in_order.map(|name| (name, error.clone())));
        }

        // Where the thread could not even be started.
        let (send, told) = mpsc::channel(99);
        let (gone, _) = orders::channel();
        let hand = ListHand {
            gone: "no thread can be started".into(),
            orders: gone,
            answers: send,
        };
        let mut answers = answers(hand, told).await;

        let error = other("no thread can be started");
        answers.sort_unstable_by_key(|(name, _)| *name);
        let mut names = in_order;
        names.sort_unstable();
        assert_eq!(answers, names.map(|name| (name, error.clone())));
    }
}
