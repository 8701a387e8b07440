//! The keeper of the turns: takes them and gives them back, one order after the other, off the loop.
//!
//! A turn never taken back by its question, because the program ends, is given back at the end: nobody is to wait for
//! answers that will not come.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    task, time,
};

use crate::{
    domain::{
        task::TaskId,
        turns::{Account, Heard, PutOff, Turn, Word},
    },
    ports::Turns,
};

/// The longest a question waits for its turn to be found: a disk that hangs stops no asking. Long enough for the book's
/// lock to be waited for by every question that may be under way.
const TURN_DEADLINE: Duration = Duration::from_secs(5);

/// Is what the keeper of the turns may be told; one after the other, as a word goes before the question it is about.
#[derive(Debug)]
enum TurnOrder {
    Take(TaskId, Account, oneshot::Sender<Result<Turn, PutOff>>),
    End(Turn, Heard),
    Tell(Word),
    Close(oneshot::Sender<()>),
}

/// Hands orders to the keeper of the turns; where nobody else asks there is none, and every turn is ours.
#[derive(Debug, Clone)]
pub(super) struct TurnHand(Option<mpsc::UnboundedSender<TurnOrder>>);

impl TurnHand {
    /// Starts the keeper, on the present runtime.
    pub(super) fn start(turns: Option<Arc<dyn Turns>>) -> Self {
        Self(turns.map(|turns| {
            let (orders, told) = mpsc::unbounded_channel();
            task::spawn(keep(turns, told));
            orders
        }))
    }

    /// Takes a turn; none is needed where nobody else asks, or where the keeper does not answer in time.
    pub(super) async fn take(
        &self,
        task: &TaskId,
        account: Account,
    ) -> Result<Option<Turn>, PutOff> {
        if self.0.is_none() {
            return Ok(None);
        }
        let (give, given) = oneshot::channel();
        self.order(TurnOrder::Take(task.clone(), account, give));
        match time::timeout(TURN_DEADLINE, given).await {
            Ok(Ok(turn)) => turn.map(Some),
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }

    /// Gives a turn back, with what it brought to light.
    pub(super) fn end(&self, turn: Turn, heard: Heard) {
        self.order(TurnOrder::End(turn, heard));
    }

    /// Lets the other instances know something.
    pub(super) fn tell(&self, word: Word) {
        self.order(TurnOrder::Tell(word));
    }

    /// Gives every turn back; what is returned ends when that is done.
    pub(super) fn close(&self) -> oneshot::Receiver<()> {
        let (given, back) = oneshot::channel();
        self.order(TurnOrder::Close(given));
        back
    }

    fn order(&self, order: TurnOrder) {
        let Some(turns) = &self.0 else { return };
        if turns.send(order).is_err() {
            tracing::debug!("the keeper of the turns is gone");
        }
    }
}

/// Takes turns and gives them back, one order after the other, on the blocking pool.
async fn keep(turns: Arc<dyn Turns>, mut told: mpsc::UnboundedReceiver<TurnOrder>) {
    let mut out: Vec<Turn> = Vec::new();
    // With whose key was asked last: a word is about that one.
    let mut account = Account::default();
    while let Some(order) = told.recv().await {
        match order {
            TurnOrder::Take(task, asking, give) => {
                account = asking;
                let taken = on_pool(&turns, move |turns| turns.take(&task, asking)).await;
                // Where taking it broke nothing is given, and the question goes on without.
                let Some(taken) = taken else { continue };
                out.extend(taken.clone().ok());
                if let Err(Ok(unwanted)) = give.send(taken) {
                    out.retain(|turn| *turn != unwanted);
                    on_pool(&turns, move |turns| turns.end(&unwanted, &Heard::Nothing)).await;
                }
            }
            TurnOrder::End(turn, heard) => {
                out.retain(|other| *other != turn);
                on_pool(&turns, move |turns| turns.end(&turn, &heard)).await;
            }
            TurnOrder::Tell(word) => {
                on_pool(&turns, move |turns| turns.tell(&word, account)).await;
            }
            TurnOrder::Close(done) => {
                let give_back = move |turns: &dyn Turns| {
                    for turn in out {
                        turns.end(&turn, &Heard::Nothing);
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
