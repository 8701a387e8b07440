//! The list's own thread: opens the list, takes orders one after the other, and answers each that
//! waits for an answer.
//!
//! A list that cannot be opened now may be another time: it is opened again whenever it is to be
//! read. Whatever breaks in it becomes an error, and a thread that is gone answers with one too.

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

use super::send_response;
use crate::{
    app::msg::Msg,
    domain::{
        list_change::{ListChange, StoreError},
        query::ListView,
        task::TaskId,
    },
    ports::ListStore,
};

/// The most journal lines read for the detail.
const MAX_JOURNAL_LINES: usize = 200;

/// Opens the list; called on the thread that keeps it, after the first frame, and again where that
/// failed.
pub type OpenStore = Box<dyn FnMut(StoreNotifier) -> Result<OpenedStore, StoreError> + Send>;

/// A list just opened, with what must live as long.
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
pub struct StoreNotifier {
    requests: orders::Sender<StoreRequest>,
    responses: mpsc::Sender<Msg>,
}

impl StoreNotifier {
    /// Says that the file changed; may be called from any thread, as often as one likes.
    pub fn notify_changed(&self) {
        // The receiver is gone only when the program ends.
        self.requests
            .send(StoreRequest::CheckExternalChanges)
            .unwrap_or_default();
    }

    /// Reports the recovery of a damaged file; called on the list's thread.
    pub fn report_recovery(&self, sentence: String) {
        send_blocking(&self.responses, Msg::ComponentPanicked(sentence));
    }
}

/// What the list's thread may be told.
#[derive(Debug)]
pub(super) enum StoreRequest {
    LoadSession,
    SaveSession(ListView),
    LoadList,
    Apply(Vec<ListChange>),
    RestoreListFile,
    ReadJournal(TaskId),
    ReadRawResponse(TaskId),
    SaveLastSeen(Timestamp),
    CheckExternalChanges,
    Close(oneshot::Sender<()>),
}

/// Hands orders to the list's thread.
#[derive(Debug)]
pub(super) struct StoreHandle {
    requests: orders::Sender<StoreRequest>,
    responses: mpsc::Sender<Msg>,
    /// The error of every order after the thread has ended.
    thread_error: String,
}

impl StoreHandle {
    /// Starts the thread.
    pub(super) fn start(open: OpenStore, answers: mpsc::Sender<Msg>) -> Self {
        let (list, told) = orders::channel();
        let keeper = StoreWorker {
            notifier: StoreNotifier {
                requests: list.clone(),
                responses: answers.clone(),
            },
            open,
            store: Err(StoreError::Other("it was not opened yet".into())),
            is_open_attempted: false,
        };
        let started = thread::Builder::new()
            .name("list".into())
            .spawn(move || keeper.run(&told));
        let gone = match started {
            Ok(_) => "reading or writing it broke; start kietop again".to_owned(),
            Err(error) => format!("no thread can be started ({error}); end other programs"),
        };
        Self {
            requests: list,
            responses: answers,
            thread_error: gone,
        }
    }

    /// Gives an order. Where the thread is gone the answer is an error.
    pub(super) fn send(&self, order: StoreRequest) {
        let Err(orders::SendError(order)) = self.requests.send(order) else {
            return;
        };
        tracing::error!("the list's thread is gone");
        let answers = self.responses.clone();
        let gone = StoreError::Other(self.thread_error.clone());
        if let Some(refusal) = handle_request(order, &mut Err(gone)) {
            task::spawn(async move { send_response(&answers, refusal).await });
        }
    }
}

/// Keeps the list, on a thread of its own.
struct StoreWorker {
    notifier: StoreNotifier,
    open: OpenStore,
    store: Result<OpenedStore, StoreError>,
    /// Whether it was opened, or tried to be, for the next reading already.
    is_open_attempted: bool,
}

impl StoreWorker {
    fn run(mut self, told: &orders::Receiver<StoreRequest>) {
        while let Ok(order) = told.recv() {
            match &order {
                StoreRequest::LoadSession => self.open_if_needed(),
                StoreRequest::LoadList if !self.is_open_attempted => self.open_if_needed(),
                StoreRequest::LoadList
                | StoreRequest::SaveSession(_)
                | StoreRequest::Apply(_)
                | StoreRequest::RestoreListFile
                | StoreRequest::ReadJournal(_)
                | StoreRequest::ReadRawResponse(_)
                | StoreRequest::SaveLastSeen(_)
                | StoreRequest::CheckExternalChanges
                | StoreRequest::Close(_) => {}
            }
            // What a reading tells of the start, the next one does not take on trust.
            self.is_open_attempted = matches!(order, StoreRequest::LoadSession);
            if let StoreRequest::Close(done) = order {
                drop(self.store);
                // The loop may have stopped waiting.
                done.send(()).unwrap_or_default();
                return;
            }
            if let Some(answer) = handle_request(order, &mut self.store) {
                send_blocking(&self.notifier.responses, answer);
            }
        }
    }

    fn open_if_needed(&mut self) {
        if self.store.is_err() {
            let (open, notice) = (&mut self.open, self.notifier.clone());
            self.store = catch_unwind(AssertUnwindSafe(|| open(notice)))
                .unwrap_or_else(|_| Err(StoreError::Other("opening it broke".into())));
        }
    }
}

fn send_blocking(answers: &mpsc::Sender<Msg>, msg: Msg) {
    if answers.blocking_send(msg).is_err() {
        tracing::debug!("the list answered after the end");
    }
}

/// Carries an order out, and returns its answer where there is one.
fn handle_request(order: StoreRequest, list: &mut Result<OpenedStore, StoreError>) -> Option<Msg> {
    Some(match order {
        StoreRequest::LoadSession => {
            Msg::SessionLoaded(with_store(list, |store| store.load_session()))
        }
        StoreRequest::SaveSession(lens) => {
            Msg::SessionSaved(with_store(list, |store| store.save_session(&lens)))
        }
        StoreRequest::LoadList => Msg::ListLoaded(with_store(list, |store| store.load())),
        StoreRequest::Apply(changes) => {
            let result = with_store(list, |store| store.apply(&changes));
            Msg::Stored { changes, result }
        }
        StoreRequest::RestoreListFile => {
            Msg::ListFileRestored(with_store(list, |store| store.write_back()))
        }
        StoreRequest::ReadJournal(task) => {
            let lines = with_store(list, |store| store.read_journal(&task, MAX_JOURNAL_LINES));
            Msg::JournalRead { task, lines }
        }
        StoreRequest::ReadRawResponse(task) => {
            let record = with_store(list, |store| store.read_raw_response(&task));
            let record = record.map(|record| record.map(Arc::new));
            Msg::RawResponseRead {
                task,
                response: record,
            }
        }
        StoreRequest::SaveLastSeen(at) => {
            if let Err(error) = with_store(list, |store| store.save_last_seen(at)) {
                tracing::debug!(%error, "the visit is not noted");
            }
            return None;
        }
        StoreRequest::CheckExternalChanges => return read_external_changes(list),
        // Who waits hears that it is dropped.
        StoreRequest::Close(_) => return None,
    })
}

/// Does something with the list, or says why there is none. A panic in it becomes an error.
fn with_store<T>(
    list: &mut Result<OpenedStore, StoreError>,
    work: impl FnOnce(&mut dyn ListStore) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let store = list.as_mut().map_err(|error| error.clone())?.store.as_mut();
    catch_unwind(AssertUnwindSafe(|| work(store)))
        .unwrap_or_else(|_| Err(StoreError::Other("reading or writing it broke".into())))
}

/// Reads what other instances changed. A file busy in another program is not an error here.
fn read_external_changes(list: &mut Result<OpenedStore, StoreError>) -> Option<Msg> {
    match with_store(list, |store| store.external_changes()) {
        Ok(deltas) if deltas.is_empty() => None,
        Ok(deltas) => Some(Msg::ExternalChanges(deltas)),
        Err(StoreError::Busy) => None,
        Err(error) => list.is_ok().then_some(Msg::ListFailed(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;
    use crate::domain::{
        list_change::{ChangeResult, ExternalChange, JournalLine},
        raw_response::RawResponse,
        saved_session::SavedSession,
        watched_task::WatchedTask,
    };

    /// Breaks at whatever is wanted of it.
    #[derive(Debug)]
    struct FailingStore;

    impl ListStore for FailingStore {
        fn load(&mut self) -> Result<Vec<WatchedTask>, StoreError> {
            panic_any(1)
        }
        fn apply(&mut self, _: &[ListChange]) -> Result<Vec<ChangeResult>, StoreError> {
            panic_any(2)
        }
        fn external_changes(&mut self) -> Result<Vec<ExternalChange>, StoreError> {
            panic_any(3)
        }
        fn read_journal(&mut self, _: &TaskId, _: usize) -> Result<Vec<JournalLine>, StoreError> {
            panic_any(4)
        }
        fn read_raw_response(&mut self, _: &TaskId) -> Result<Option<RawResponse>, StoreError> {
            panic_any(5)
        }
        fn load_session(&mut self) -> Result<SavedSession, StoreError> {
            panic_any(6)
        }
        fn save_session(&mut self, _: &ListView) -> Result<(), StoreError> {
            panic_any(7)
        }
        fn save_last_seen(&mut self, _: Timestamp) -> Result<(), StoreError> {
            panic_any(8)
        }
    }

    /// Gives every order there is, and the end, and returns all that is answered: of each its name
    /// and its error.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only answers of the list are wanted"
    )]
    async fn answers(
        hand: StoreHandle,
        mut told: mpsc::Receiver<Msg>,
    ) -> Vec<(&'static str, StoreError)> {
        let task = TaskId::parse("a").unwrap();
        for order in [
            StoreRequest::LoadSession,
            StoreRequest::LoadList,
            StoreRequest::CheckExternalChanges,
            StoreRequest::SaveSession(ListView::default()),
            StoreRequest::Apply(Vec::new()),
            StoreRequest::SaveLastSeen(Timestamp::UNIX_EPOCH),
            StoreRequest::ReadJournal(task.clone()),
            StoreRequest::ReadRawResponse(task),
        ] {
            hand.send(order);
        }
        let (done, closed) = oneshot::channel();
        hand.send(StoreRequest::Close(done));
        // An error means that there is no thread.
        closed.await.unwrap_or_default();
        drop(hand);
        let mut answers = Vec::new();
        while let Some(msg) = told.recv().await {
            let (name, error) = match msg {
                Msg::SessionLoaded(result) => ("recalled", result.err()),
                Msg::ListLoaded(result) => ("loaded", result.err()),
                Msg::SessionSaved(result) => ("remembered", result.err()),
                Msg::Stored { result, .. } => ("stored", result.err()),
                Msg::JournalRead { lines, .. } => ("journal", lines.err()),
                Msg::RawResponseRead {
                    response: record, ..
                } => ("record", record.err()),
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
    async fn every_store_request_is_answered_once() {
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
                store: Box::new(FailingStore),
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
            let mut answers = answers(StoreHandle::start(open, send), told).await;
            answers.retain(|(name, _)| *name != "failed");

            assert_eq!(answers, in_order.map(|name| (name, error.clone())));
        }

        // Where the thread could not even be started.
        let (send, told) = mpsc::channel(99);
        let (gone, _) = orders::channel();
        let hand = StoreHandle {
            thread_error: "no thread can be started".into(),
            requests: gone,
            responses: send,
        };
        let mut answers = answers(hand, told).await;

        let error = other("no thread can be started");
        answers.sort_unstable_by_key(|(name, _)| *name);
        let mut names = in_order;
        names.sort_unstable();
        assert_eq!(answers, names.map(|name| (name, error.clone())));
    }
}
