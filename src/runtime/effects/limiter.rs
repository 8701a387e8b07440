//! The keeper of the turns: takes them and gives them back, one order after the other, off the
//! loop.
//!
//! A turn never taken back by its question, because the program ends, is given back at the end:
//! nobody is to wait for answers that will not come.

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

/// The longest a question waits for its turn to be found: a disk that hangs stops no asking. Long
/// enough for the book's lock to be waited for by every question that may be under way.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// What the keeper of the turns may be told; one after the other, as a word goes before the
/// question it is about.
#[derive(Debug)]
enum LimiterCommand {
    Acquire(TaskId, AccountHash, oneshot::Sender<Result<Permit, Denied>>),
    Release(Permit, RequestOutcome),
    Broadcast(Broadcast),
    Close(oneshot::Sender<()>),
}

/// Hands orders to the keeper of the turns; where nobody else asks there is none, and every turn is
/// ours.
#[derive(Debug, Clone)]
pub(super) struct LimiterHandle(Option<mpsc::UnboundedSender<LimiterCommand>>);

impl LimiterHandle {
    /// Starts the keeper, on the present runtime.
    pub(super) fn start(turns: Option<Arc<dyn RequestLimiter>>) -> Self {
        Self(turns.map(|turns| {
            let (orders, told) = mpsc::unbounded_channel();
            task::spawn(limiter_task(turns, told));
            orders
        }))
    }

    /// Takes a turn; none is needed where nobody else asks, or where the keeper does not answer in
    /// time.
    pub(super) async fn acquire(
        &self,
        task: &TaskId,
        account: AccountHash,
    ) -> Result<Option<Permit>, Denied> {
        if self.0.is_none() {
            return Ok(None);
        }
        let (give, given) = oneshot::channel();
        self.send_command(LimiterCommand::Acquire(task.clone(), account, give));
        match time::timeout(ACQUIRE_TIMEOUT, given).await {
            Ok(Ok(turn)) => turn.map(Some),
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }

    /// Gives a turn back, with what it brought to light.
    pub(super) fn release(&self, turn: Permit, heard: RequestOutcome) {
        self.send_command(LimiterCommand::Release(turn, heard));
    }

    /// Lets the other instances know something.
    pub(super) fn broadcast(&self, word: Broadcast) {
        self.send_command(LimiterCommand::Broadcast(word));
    }

    /// Gives every turn back; what is returned ends when that is done.
    pub(super) fn close(&self) -> oneshot::Receiver<()> {
        let (given, back) = oneshot::channel();
        self.send_command(LimiterCommand::Close(given));
        back
    }

    fn send_command(&self, order: LimiterCommand) {
        let Some(turns) = &self.0 else { return };
        if turns.send(order).is_err() {
            tracing::debug!("the keeper of the turns is gone");
        }
    }
}

/// Takes turns and gives them back, one order after the other, on the blocking pool.
async fn limiter_task(
    turns: Arc<dyn RequestLimiter>,
    mut told: mpsc::UnboundedReceiver<LimiterCommand>,
) {
    let mut out: Vec<Permit> = Vec::new();
    // With whose key was asked last: a word is about that one.
    let mut account = AccountHash::default();
    while let Some(order) = told.recv().await {
        match order {
            LimiterCommand::Acquire(task, asking, give) => {
                account = asking;
                let taken =
                    on_blocking_pool(&turns, move |turns| turns.acquire(&task, asking)).await;
                // Where taking it broke nothing is given, and the question goes on without.
                let Some(taken) = taken else { continue };
                out.extend(taken.clone().ok());
                if let Err(Ok(unwanted)) = give.send(taken) {
                    out.retain(|turn| *turn != unwanted);
                    on_blocking_pool(&turns, move |turns| {
                        turns.release(&unwanted, &RequestOutcome::NoAnswer);
                    })
                    .await;
                }
            }
            LimiterCommand::Release(turn, heard) => {
                out.retain(|other| *other != turn);
                on_blocking_pool(&turns, move |turns| turns.release(&turn, &heard)).await;
            }
            LimiterCommand::Broadcast(word) => {
                on_blocking_pool(&turns, move |turns| turns.broadcast(&word, account)).await;
            }
            LimiterCommand::Close(done) => {
                let give_back = move |turns: &dyn RequestLimiter| {
                    for turn in out {
                        turns.release(&turn, &RequestOutcome::NoAnswer);
                    }
                };
                on_blocking_pool(&turns, give_back).await;
                // The loop may have stopped waiting.
                done.send(()).unwrap_or_default();
                return;
            }
        }
    }
}

/// Does something with the turns off the loop; `None` when it broke.
async fn on_blocking_pool<T: Send + 'static>(
    turns: &Arc<dyn RequestLimiter>,
    work: impl FnOnce(&dyn RequestLimiter) -> T + Send + 'static,
) -> Option<T> {
    let turns = Arc::clone(turns);
    task::spawn_blocking(move || work(turns.as_ref()))
        .await
        .map_err(|error| tracing::warn!(%error, "a turn among the instances broke"))
        .ok()
}
