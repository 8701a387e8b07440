//! The list's thread: opens the list and carries out store requests in order.
//!
//! A list that could not be opened is opened again for each load. A panic becomes an error, and so
//! does every request if the thread could not be started.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc as sync_mpsc,
    thread,
};

use tokio::{
    sync::{mpsc, oneshot},
    task,
};

use super::responses::send_blocking;
use crate::{
    app::msg::Msg,
    domain::{
        list_change::StoreError,
        store_request::{StoreReply, StoreRequest},
    },
    messages::crashes,
    ports::ListStore,
};

/// Opens the list; called on the list's thread after the first frame, and again after a failure.
pub struct OpenStore(Box<OpenFn>);

type OpenFn = dyn FnMut(StoreNotifier) -> Result<OpenedStore, StoreError> + Send;

impl OpenStore {
    pub fn new(
        open: impl FnMut(StoreNotifier) -> Result<OpenedStore, StoreError> + Send + 'static,
    ) -> Self {
        Self(Box::new(open))
    }
}

impl fmt::Debug for OpenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenStore")
    }
}

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
    commands: sync_mpsc::Sender<ThreadCommand>,
    responses: mpsc::Sender<Msg>,
}

impl StoreNotifier {
    /// May be called from any thread and repeatedly.
    pub fn notify_changed(&self) {
        // An error means that the program is quitting.
        self.commands
            .send(ThreadCommand::Handle(StoreRequest::ReadExternalChanges))
            .unwrap_or_default();
    }

    /// Must be called on the list's thread: it blocks while the channel is full.
    pub fn report_recovery(&self, sentence: String) {
        send_blocking(&self.responses, Msg::ComponentPanicked(sentence));
    }
}

#[derive(Debug)]
enum ThreadCommand {
    Handle(StoreRequest),
    Close(oneshot::Sender<()>),
}

/// Sends requests to the list's thread.
#[derive(Debug)]
pub(super) struct StoreHandle {
    commands: sync_mpsc::Sender<ThreadCommand>,
    responses: mpsc::Sender<Msg>,
    /// The error of every request after the thread has ended.
    thread_error: String,
}

impl StoreHandle {
    pub(super) fn start(open: OpenStore, responses: mpsc::Sender<Msg>) -> Self {
        let (commands, receiver) = sync_mpsc::channel();
        let worker = StoreWorker {
            notifier: StoreNotifier {
                commands: commands.clone(),
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
            commands,
            responses,
            thread_error,
        }
    }

    /// Sends a request. After the thread has ended the answer is an error.
    pub(super) fn send(&self, request: StoreRequest) {
        let unsent = self.commands.send(ThreadCommand::Handle(request));
        if let Err(sync_mpsc::SendError(ThreadCommand::Handle(request))) = unsent {
            tracing::error!("the list's thread has ended");
            let result = Err(StoreError::Other(self.thread_error.clone()));
            let responses = self.responses.clone();
            task::spawn_blocking(move || {
                send_blocking(&responses, Msg::StoreAnswered { request, result });
            });
        }
    }

    /// Closes the list after the requests sent so far. The receiver ends when that is done.
    pub(super) fn close(&self) -> oneshot::Receiver<()> {
        let (done, closed) = oneshot::channel();
        // An error means that there is no thread.
        self.commands
            .send(ThreadCommand::Close(done))
            .unwrap_or_default();
        closed
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
    fn run(mut self, commands: &sync_mpsc::Receiver<ThreadCommand>) {
        while let Ok(command) = commands.recv() {
            match command {
                ThreadCommand::Handle(request) => self.handle(request),
                ThreadCommand::Close(done) => {
                    drop(self.store);
                    // The event loop may have stopped waiting.
                    done.send(()).unwrap_or_default();
                    return;
                }
            }
        }
    }

    fn handle(&mut self, request: StoreRequest) {
        let is_session = request == StoreRequest::LoadSession;
        if is_session || (request == StoreRequest::LoadList && !self.is_open_attempted) {
            self.open_if_needed();
        }
        self.is_open_attempted = is_session;
        let result = match &mut self.store {
            Ok(opened) => catch_unwind(AssertUnwindSafe(|| opened.store.handle(&request)))
                .unwrap_or_else(|_| Err(StoreError::Other(crashes::LIST_ACCESS.into()))),
            Err(error) => Err(error.clone()),
        };
        if let Err(error) = &result {
            tracing::debug!(%error, "a request to the list failed");
        }
        let is_external = request == StoreRequest::ReadExternalChanges;
        if !is_external || self.is_external_news(&result) {
            let answer = Msg::StoreAnswered { request, result };
            send_blocking(&self.notifier.responses, answer);
        }
    }

    /// Reports whether to send the answer about changes by other instances. A busy file is not an
    /// error here: another notification follows.
    fn is_external_news(&self, result: &Result<StoreReply, StoreError>) -> bool {
        match result {
            Ok(reply) => *reply != StoreReply::ExternalChanges(Vec::new()),
            Err(error) => *error != StoreError::Busy && self.store.is_ok(),
        }
    }

    fn open_if_needed(&mut self) {
        if self.store.is_err() {
            let (OpenStore(open), notifier) = (&mut self.open, self.notifier.clone());
            self.store = catch_unwind(AssertUnwindSafe(|| open(notifier)))
                .unwrap_or_else(|_| Err(StoreError::Other(crashes::LIST_OPENING.into())));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::panic_any;

    use super::*;

    #[derive(Debug)]
    struct PanickingStore;

    impl ListStore for PanickingStore {
        fn handle(&mut self, _: &StoreRequest) -> Result<StoreReply, StoreError> {
            panic_any(1)
        }
    }

    /// Sends requests, closes the list, and returns the answered requests with their errors.
    async fn errors_of(
        handle: StoreHandle,
        mut receiver: mpsc::Receiver<Msg>,
    ) -> Vec<(StoreRequest, StoreError)> {
        for request in [
            StoreRequest::LoadSession,
            StoreRequest::LoadList,
            StoreRequest::Write(Vec::new()),
        ] {
            handle.send(request);
        }
        // An error means that there is no thread.
        handle.close().await.unwrap_or_default();
        drop(handle);
        let mut errors = Vec::new();
        while let Some(msg) = receiver.recv().await {
            let Msg::StoreAnswered { request, result } = msg else {
                panic!("an unexpected response: {msg:?}");
            };
            errors.push((request, result.unwrap_err()));
        }
        errors
    }

    #[tokio::test]
    async fn every_store_request_is_answered_once() {
        let other = |text: &str| StoreError::Other(text.into());
        let in_order = |error: StoreError| {
            [
                (StoreRequest::LoadSession, error.clone()),
                (StoreRequest::LoadList, error.clone()),
                (StoreRequest::Write(Vec::new()), error),
            ]
        };
        let open_panicking = |_| {
            Ok(OpenedStore {
                store: Box::new(PanickingStore),
                watch: None,
            })
        };
        for (open, error) in [
            (OpenStore::new(open_panicking), other(crashes::LIST_ACCESS)),
            (
                OpenStore::new(|_| panic_any(0)),
                other(crashes::LIST_OPENING),
            ),
            (OpenStore::new(|_| Err(StoreError::Full)), StoreError::Full),
        ] {
            let (sender, receiver) = mpsc::channel(99);
            let errors = errors_of(StoreHandle::start(open, sender), receiver).await;

            assert_eq!(errors, in_order(error));
        }

        // When the thread could not be started.
        let (responses, receiver) = mpsc::channel(99);
        let (commands, _) = sync_mpsc::channel();
        let handle = StoreHandle {
            thread_error: "no thread can be started".into(),
            commands,
            responses,
        };
        let errors = errors_of(handle, receiver).await;

        let expected = in_order(other("no thread can be started"));
        assert!(expected.iter().all(|answer| errors.contains(answer)));
        assert_eq!(errors.len(), expected.len());
    }
}
