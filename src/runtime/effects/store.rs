//! The list's thread: opens the list and runs store requests in order.
//!
//! A list that could not be opened is opened again for each load. A panic becomes an error, and so
//! does every request after the thread has ended.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc as sync_mpsc},
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
    messages::crashes,
    ports::ListStore,
};

/// Journal lines read for the details.
const MAX_JOURNAL_LINES: usize = 200;

/// Opens the list; called on the list's thread after the first frame, and again after a failure.
pub type OpenStore = Box<dyn FnMut(StoreNotifier) -> Result<OpenedStore, StoreError> + Send>;

pub struct OpenedStore {
    pub store: Box<dyn ListStore>,
    /// Dropping it ends the notifications of external changes.
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
    requests: sync_mpsc::Sender<StoreRequest>,
    responses: mpsc::Sender<Msg>,
}

impl StoreNotifier {
    /// May be called from any thread and repeatedly.
    pub fn notify_changed(&self) {
        // An error means that the program is quitting.
        self.requests
            .send(StoreRequest::CheckExternalChanges)
            .unwrap_or_default();
    }

    /// Must be called on the list's thread: it blocks while the channel is full.
    pub fn report_recovery(&self, sentence: String) {
        send_blocking(&self.responses, Msg::ComponentPanicked(sentence));
    }
}

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

/// Sends requests to the list's thread.
#[derive(Debug)]
pub(super) struct StoreHandle {
    requests: sync_mpsc::Sender<StoreRequest>,
    responses: mpsc::Sender<Msg>,
    /// The error of every request after the thread has ended.
    thread_error: String,
}

impl StoreHandle {
    pub(super) fn start(open: OpenStore, responses: mpsc::Sender<Msg>) -> Self {
        let (requests, receiver) = sync_mpsc::channel();
        let worker = StoreWorker {
            notifier: StoreNotifier {
                requests: requests.clone(),
                responses: responses.clone(),
            },
            open,
            store: Err(StoreError::Other("it was not opened yet".into())),
            is_open_attempted: false,
        };
        let thread = thread::Builder::new()
            .name("list".into())
            .spawn(move || worker.run(&receiver));
        let thread_error = match thread {
            Ok(_) => crashes::LIST_THREAD.to_owned(),
            Err(error) => crashes::no_thread(&error),
        };
        Self {
            requests,
            responses,
            thread_error,
        }
    }

    /// Sends a request. After the thread has ended the response is an error.
    pub(super) fn send(&self, request: StoreRequest) {
        let Err(sync_mpsc::SendError(request)) = self.requests.send(request) else {
            return;
        };
        tracing::error!("the list's thread has ended");
        let responses = self.responses.clone();
        let error = StoreError::Other(self.thread_error.clone());
        if let Some(response) = handle_request(request, &mut Err(error)) {
            task::spawn(async move { send_response(&responses, response).await });
        }
    }
}

struct StoreWorker {
    notifier: StoreNotifier,
    open: OpenStore,
    store: Result<OpenedStore, StoreError>,
    /// Whether `LoadSession` has just tried to open the list, so that the following `LoadList`
    /// need not.
    is_open_attempted: bool,
}

impl StoreWorker {
    fn run(mut self, requests: &sync_mpsc::Receiver<StoreRequest>) {
        while let Ok(request) = requests.recv() {
            match &request {
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
            self.is_open_attempted = matches!(request, StoreRequest::LoadSession);
            if let StoreRequest::Close(done) = request {
                drop(self.store);
                // The event loop may have stopped waiting.
                done.send(()).unwrap_or_default();
                return;
            }
            if let Some(response) = handle_request(request, &mut self.store) {
                send_blocking(&self.notifier.responses, response);
            }
        }
    }

    fn open_if_needed(&mut self) {
        if self.store.is_err() {
            let (open, notifier) = (&mut self.open, self.notifier.clone());
            self.store = catch_unwind(AssertUnwindSafe(|| open(notifier)))
                .unwrap_or_else(|_| Err(StoreError::Other(crashes::LIST_OPENING.into())));
        }
    }
}

fn send_blocking(responses: &mpsc::Sender<Msg>, msg: Msg) {
    if responses.blocking_send(msg).is_err() {
        tracing::debug!("dropped a response: the event loop has ended");
    }
}

/// Runs a request; returns `None` for requests that have no response.
fn handle_request(
    request: StoreRequest,
    list: &mut Result<OpenedStore, StoreError>,
) -> Option<Msg> {
    Some(match request {
        StoreRequest::LoadSession => {
            Msg::SessionLoaded(with_store(list, |store| store.load_session()))
        }
        StoreRequest::SaveSession(view) => {
            Msg::SessionSaved(with_store(list, |store| store.save_session(&view)))
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
            let response = with_store(list, |store| store.read_raw_response(&task));
            let response = response.map(|response| response.map(Arc::new));
            Msg::RawResponseRead { task, response }
        }
        StoreRequest::SaveLastSeen(at) => {
            if let Err(error) = with_store(list, |store| store.save_last_seen(at)) {
                tracing::debug!(%error, "the time of the last visit was not saved");
            }
            return None;
        }
        StoreRequest::CheckExternalChanges => return read_external_changes(list),
        // Dropping the sender ends the wait.
        StoreRequest::Close(_) => return None,
    })
}

/// Calls the list, or returns the error of opening it. A panic becomes an error.
fn with_store<T>(
    list: &mut Result<OpenedStore, StoreError>,
    call: impl FnOnce(&mut dyn ListStore) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let store = list.as_mut().map_err(|error| error.clone())?.store.as_mut();
    catch_unwind(AssertUnwindSafe(|| call(store)))
        .unwrap_or_else(|_| Err(StoreError::Other(crashes::LIST_ACCESS.into())))
}

/// Reads the changes of other instances. A busy file is not an error here: a notification follows.
fn read_external_changes(list: &mut Result<OpenedStore, StoreError>) -> Option<Msg> {
    match with_store(list, |store| store.external_changes()) {
        Ok(changes) if changes.is_empty() => None,
        Ok(changes) => Some(Msg::ExternalChanges(changes)),
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

    #[derive(Debug)]
    struct PanickingStore;

    impl ListStore for PanickingStore {
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

    /// Sends every request and then `Close`; returns the name and error of each response.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "other responses are a failure of the test"
    )]
    async fn responses_to_all(
        handle: StoreHandle,
        mut receiver: mpsc::Receiver<Msg>,
    ) -> Vec<(&'static str, StoreError)> {
        let task = TaskId::parse("a").unwrap();
        for request in [
            StoreRequest::LoadSession,
            StoreRequest::LoadList,
            StoreRequest::CheckExternalChanges,
            StoreRequest::SaveSession(ListView::default()),
            StoreRequest::Apply(Vec::new()),
            StoreRequest::SaveLastSeen(Timestamp::UNIX_EPOCH),
            StoreRequest::ReadJournal(task.clone()),
            StoreRequest::ReadRawResponse(task),
        ] {
            handle.send(request);
        }
        let (done, closed) = oneshot::channel();
        handle.send(StoreRequest::Close(done));
        // An error means that there is no thread.
        closed.await.unwrap_or_default();
        drop(handle);
        let mut responses = Vec::new();
        while let Some(msg) = receiver.recv().await {
            let (name, error) = match msg {
                Msg::SessionLoaded(result) => ("session loaded", result.err()),
                Msg::ListLoaded(result) => ("list loaded", result.err()),
                Msg::SessionSaved(result) => ("session saved", result.err()),
                Msg::Stored { result, .. } => ("stored", result.err()),
                Msg::JournalRead { lines, .. } => ("journal read", lines.err()),
                Msg::RawResponseRead { response, .. } => ("raw response read", response.err()),
                // Sent by `CheckExternalChanges`, and only for a list that was opened.
                Msg::ListFailed(error) => ("list failed", Some(error)),
                other => panic!("an unexpected response: {other:?}"),
            };
            responses.push((name, error.unwrap()));
        }
        responses
    }

    #[tokio::test]
    async fn every_store_request_is_answered_once() {
        let in_order = [
            "session loaded",
            "list loaded",
            "session saved",
            "stored",
            "journal read",
            "raw response read",
        ];
        let open_panicking = |_| {
            Ok(OpenedStore {
                store: Box::new(PanickingStore),
                watch: None,
            })
        };
        let other = |text: &str| StoreError::Other(text.into());
        let cases: [(OpenStore, StoreError); 3] = [
            (Box::new(open_panicking), other(crashes::LIST_ACCESS)),
            (Box::new(|_| panic_any(0)), other(crashes::LIST_OPENING)),
            (Box::new(|_| Err(StoreError::Full)), StoreError::Full),
        ];
        for (open, error) in cases {
            let (sender, receiver) = mpsc::channel(99);
            let mut responses = responses_to_all(StoreHandle::start(open, sender), receiver).await;
            responses.retain(|(name, _)| *name != "list failed");

            assert_eq!(responses, in_order.map(|name| (name, error.clone())));
        }

        // When the thread could not be started.
        let (sender, receiver) = mpsc::channel(99);
        let (closed, _) = sync_mpsc::channel();
        let handle = StoreHandle {
            thread_error: "no thread can be started".into(),
            requests: closed,
            responses: sender,
        };
        let mut responses = responses_to_all(handle, receiver).await;

        let error = other("no thread can be started");
        responses.sort_unstable_by_key(|(name, _)| *name);
        let mut names = in_order;
        names.sort_unstable();
        assert_eq!(responses, names.map(|name| (name, error.clone())));
    }
}
