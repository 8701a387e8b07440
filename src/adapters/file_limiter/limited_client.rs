//! Turns for who asks in the midst of other work: taken and given back off the loop, on the
//! blocking pool.
//!
//! Where nobody else can ask there is no book, and every turn is ours. So it is where taking one
//! breaks: then only the caller's own limits hold.

use std::{sync::Arc, time::Duration};

use tokio::{task, time};

use crate::{
    domain::{
        limiter::{AccountHash, Denied, DenyReason, Permit, RequestOutcome},
        poll_result::PollError,
        task::TaskId,
    },
    ports::RequestLimiter,
};

/// The shortest wait for a turn that was refused.
pub const MIN_WAIT: Duration = Duration::from_millis(50);

/// The book of turns, or that there is none.
pub type SharedLimiter = Option<Arc<dyn RequestLimiter>>;

/// A turn that is given back whatever happens.
#[derive(Debug)]
pub struct PermitGuard(Option<(Arc<dyn RequestLimiter>, Permit)>);

impl PermitGuard {
    /// Gives it back, with what the question brought to light; what is returned ends when the
    /// others can see it.
    pub async fn release(mut self, heard: RequestOutcome) {
        let Some((turns, turn)) = self.0.take() else {
            return;
        };
        let ended = task::spawn_blocking(move || turns.release(&turn, &heard)).await;
        if let Err(error) = ended {
            tracing::warn!(%error, "a turn among the instances broke");
        }
    }
}

impl Drop for PermitGuard {
    fn drop(&mut self) {
        if let Some((turns, turn)) = self.0.take() {
            turns.release(&turn, &RequestOutcome::NoAnswer);
        }
    }
}

/// Takes a turn in a way of the caller's own, or says why there is none.
pub async fn acquire_with(
    turns: &SharedLimiter,
    how: impl FnOnce(&dyn RequestLimiter) -> Result<Permit, Denied> + Send + 'static,
) -> Result<PermitGuard, Denied> {
    let Some(turns) = turns else {
        return Ok(PermitGuard(None));
    };
    let turns = Arc::clone(turns);
    // Whoever waits for it may be gone when it comes: it is given back then too.
    let taking = move || how(turns.as_ref()).map(|turn| PermitGuard(Some((turns, turn))));
    match task::spawn_blocking(taking).await {
        Ok(taken) => taken,
        Err(_broke) => Ok(PermitGuard(None)),
    }
}

/// Waits for the turn to ask something about a task; fails with the account's trouble while that is
/// held back.
pub async fn wait_for_permit(
    turns: &SharedLimiter,
    task: &TaskId,
    account: AccountHash,
) -> Result<PermitGuard, PollError> {
    loop {
        let task = task.clone();
        match acquire_with(turns, move |turns| turns.acquire(&task, account)).await {
            Ok(taken) => return Ok(taken),
            Err(Denied {
                reason: DenyReason::AccountBackoff { error, .. },
                ..
            }) => return Err(error),
            Err(Denied {
                reason: DenyReason::TaskBusy | DenyReason::LimitReached,
                wait,
            }) => time::sleep(wait.max(MIN_WAIT)).await,
        }
    }
}

/// Waits until a question in its turn may be put a second time.
pub async fn wait_for_retry(turns: &SharedLimiter) {
    let Some(turns) = turns else { return };
    loop {
        let theirs = Arc::clone(turns);
        match task::spawn_blocking(move || theirs.acquire_retry()).await {
            Ok(Err(wait)) => time::sleep(wait.max(MIN_WAIT)).await,
            Ok(Ok(())) | Err(_) => return,
        }
    }
}
