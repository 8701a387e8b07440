//! Turns for who asks in the midst of other work: taken and given back off the loop, on the blocking pool.
//!
//! Where nobody else can ask there is no book, and every turn is ours. So it is where taking one breaks: then only the
//! caller's own limits hold.

use std::{sync::Arc, time::Duration};

use tokio::{task, time};

use crate::{
    domain::{
        report::PollError,
        task::TaskId,
        turns::{Account, Heard, PutOff, Refusal, Turn},
    },
    ports::Turns,
};

/// The shortest wait for a turn that was refused.
pub const SHORTEST: Duration = Duration::from_millis(50);

/// Is the book of turns, or that there is none.
pub type Shared = Option<Arc<dyn Turns>>;

/// Is a turn that is given back whatever happens.
#[derive(Debug)]
pub struct Taken(Option<(Arc<dyn Turns>, Turn)>);

impl Taken {
    /// Gives it back, with what the question brought to light; what is returned ends when the others can see it.
    pub async fn end(mut self, heard: Heard) {
        let Some((turns, turn)) = self.0.take() else {
            return;
        };
        let ended = task::spawn_blocking(move || turns.end(&turn, &heard)).await;
        if let Err(error) = ended {
            tracing::warn!(%error, "a turn among the instances broke");
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some((turns, turn)) = self.0.take() {
            turns.end(&turn, &Heard::Nothing);
        }
    }
}

/// Takes a turn in a way of the caller's own, or says why there is none.
pub async fn take(
    turns: &Shared,
    how: impl FnOnce(&dyn Turns) -> Result<Turn, PutOff> + Send + 'static,
) -> Result<Taken, PutOff> {
    let Some(turns) = turns else {
        return Ok(Taken(None));
    };
    let turns = Arc::clone(turns);
    // Whoever waits for it may be gone when it comes: it is given back then too.
    let taking = move || how(turns.as_ref()).map(|turn| Taken(Some((turns, turn))));
    match task::spawn_blocking(taking).await {
        Ok(taken) => taken,
        Err(_broke) => Ok(Taken(None)),
    }
}

/// Waits for the turn to ask something about a task; fails with the account's trouble while that is held back.
pub async fn wait_for(turns: &Shared, task: &TaskId, account: Account) -> Result<Taken, PollError> {
    loop {
        let task = task.clone();
        match take(turns, move |turns| turns.take(&task, account)).await {
            Ok(taken) => return Ok(taken),
            Err(PutOff {
                why: Refusal::Held { error, .. },
                ..
            }) => return Err(error),
            Err(PutOff {
                why: Refusal::Elsewhere | Refusal::Crowded,
                wait,
            }) => time::sleep(wait.max(SHORTEST)).await,
        }
    }
}

/// Waits until a question in its turn may be put a second time.
pub async fn once_more(turns: &Shared) {
    let Some(turns) = turns else { return };
    loop {
        let theirs = Arc::clone(turns);
        match task::spawn_blocking(move || theirs.again()).await {
            Ok(Err(wait)) => time::sleep(wait.max(SHORTEST)).await,
            Ok(Ok(())) | Err(_) => return,
        }
    }
}
