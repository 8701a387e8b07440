//! Background task that acquires and releases limiter permits in order.
//!
//! Permits still in use when the program quits are released then, so other instances do not wait
//! for responses that never come.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task, time,
};

use crate::{
    domain::{
        limiter::{AccountHash, Broadcast, Denied, Permit, RequestOutcome},
        task::TaskId,
    },
    ports::RequestLimiter,
};

/// Time after which a poll goes on without a permit: a disk that hangs must not stop polling. Long
/// enough for all polls in flight to wait for the lock of the limiter's file.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// Commands run in order: a broadcast comes before the poll that it is about.
#[derive(Debug)]
enum LimiterCommand {
    Acquire(TaskId, AccountHash, oneshot::Sender<Result<Permit, Denied>>),
    Release(Permit, RequestOutcome),
    Broadcast(Broadcast),
    Close(oneshot::Sender<()>),
}

/// Sends commands to the limiter task. Without other instances there is no task and no permit is
/// needed.
#[derive(Debug, Clone)]
pub(super) struct LimiterHandle(Option<mpsc::UnboundedSender<LimiterCommand>>);

impl LimiterHandle {
    pub(super) fn start(limiter: Option<Arc<dyn RequestLimiter>>) -> Self {
        Self(limiter.map(|limiter| {
            let (sender, commands) = mpsc::unbounded_channel();
            task::spawn(limiter_task(limiter, commands));
            sender
        }))
    }

    /// Returns `None` if no permit is needed or the task does not answer within
    /// [`ACQUIRE_TIMEOUT`].
    pub(super) async fn acquire(
        &self,
        task: &TaskId,
        account: AccountHash,
    ) -> Result<Option<Permit>, Denied> {
        if self.0.is_none() {
            return Ok(None);
        }
        let (sender, permit) = oneshot::channel();
        self.send_command(LimiterCommand::Acquire(task.clone(), account, sender));
        match time::timeout(ACQUIRE_TIMEOUT, permit).await {
            Ok(Ok(permit)) => permit.map(Some),
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }

    pub(super) fn release(&self, permit: Permit, outcome: RequestOutcome) {
        self.send_command(LimiterCommand::Release(permit, outcome));
    }

    pub(super) fn broadcast(&self, broadcast: Broadcast) {
        self.send_command(LimiterCommand::Broadcast(broadcast));
    }

    /// Releases all permits; the receiver resolves when that is done.
    pub(super) fn close(&self) -> oneshot::Receiver<()> {
        let (done, closed) = oneshot::channel();
        self.send_command(LimiterCommand::Close(done));
        closed
    }

    fn send_command(&self, command: LimiterCommand) {
        let Some(sender) = &self.0 else { return };
        if sender.send(command).is_err() {
            tracing::debug!("the limiter task has ended");
        }
    }
}

async fn limiter_task(
    limiter: Arc<dyn RequestLimiter>,
    mut commands: mpsc::UnboundedReceiver<LimiterCommand>,
) {
    let mut in_use: Vec<Permit> = Vec::new();
    // The account of the last poll, which a broadcast is about.
    let mut account = AccountHash::default();
    while let Some(command) = commands.recv().await {
        match command {
            LimiterCommand::Acquire(task, for_account, reply) => {
                account = for_account;
                let acquired =
                    on_blocking_pool(&limiter, move |limiter| limiter.acquire(&task, for_account))
                        .await;
                // After a panic the dropped `reply` lets the poll go on without a permit.
                let Some(acquired) = acquired else { continue };
                in_use.extend(acquired.clone().ok());
                if let Err(Ok(unwanted)) = reply.send(acquired) {
                    in_use.retain(|permit| *permit != unwanted);
                    on_blocking_pool(&limiter, move |limiter| {
                        limiter.release(&unwanted, &RequestOutcome::NoAnswer);
                    })
                    .await;
                }
            }
            LimiterCommand::Release(permit, outcome) => {
                in_use.retain(|other| *other != permit);
                on_blocking_pool(&limiter, move |limiter| limiter.release(&permit, &outcome)).await;
            }
            LimiterCommand::Broadcast(broadcast) => {
                on_blocking_pool(&limiter, move |limiter| {
                    limiter.broadcast(&broadcast, account);
                })
                .await;
            }
            LimiterCommand::Close(done) => {
                on_blocking_pool(&limiter, move |limiter| {
                    for permit in in_use {
                        limiter.release(&permit, &RequestOutcome::NoAnswer);
                    }
                })
                .await;
                // The event loop may have stopped waiting.
                done.send(()).unwrap_or_default();
                return;
            }
        }
    }
}

/// Calls the limiter, whose file may block, off the event loop; `None` after a panic.
async fn on_blocking_pool<T: Send + 'static>(
    limiter: &Arc<dyn RequestLimiter>,
    call: impl FnOnce(&dyn RequestLimiter) -> T + Send + 'static,
) -> Option<T> {
    let limiter = Arc::clone(limiter);
    task::spawn_blocking(move || call(limiter.as_ref()))
        .await
        .map_err(|error| tracing::warn!(%error, "the limiter panicked"))
        .ok()
}
