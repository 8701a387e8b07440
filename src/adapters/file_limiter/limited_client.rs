//! Limiter permits for async code: acquired and released on the blocking pool.
//!
//! Without a limiter (no shared list), and after a panic in it, every request is permitted and only
//! the caller's own limits apply.

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

/// The shortest wait after a denied permit.
pub const MIN_WAIT: Duration = Duration::from_millis(50);

/// The limiter, if there is one.
pub type SharedLimiter = Option<Arc<dyn RequestLimiter>>;

/// A permit that is released on drop.
#[derive(Debug)]
pub struct PermitGuard(Option<(Arc<dyn RequestLimiter>, Permit)>);

impl PermitGuard {
    /// Releases the permit with the outcome of its request, and waits until other instances can see
    /// it.
    pub async fn release(mut self, outcome: RequestOutcome) {
        let Some((limiter, permit)) = self.0.take() else {
            return;
        };
        let result = task::spawn_blocking(move || limiter.release(&permit, &outcome)).await;
        if let Err(error) = result {
            tracing::warn!(%error, "releasing a permit failed");
        }
    }
}

impl Drop for PermitGuard {
    fn drop(&mut self) {
        if let Some((limiter, permit)) = self.0.take() {
            limiter.release(&permit, &RequestOutcome::NoAnswer);
        }
    }
}

/// Acquires a permit with `acquire`; without a limiter it always succeeds.
pub async fn acquire_with(
    limiter: &SharedLimiter,
    acquire: impl FnOnce(&dyn RequestLimiter) -> Result<Permit, Denied> + Send + 'static,
) -> Result<PermitGuard, Denied> {
    let Some(limiter) = limiter else {
        return Ok(PermitGuard(None));
    };
    let limiter = Arc::clone(limiter);
    // The guard is created on the blocking thread, so the permit is also released if the caller was
    // dropped meanwhile.
    let acquire_guard =
        move || acquire(limiter.as_ref()).map(|permit| PermitGuard(Some((limiter, permit))));
    match task::spawn_blocking(acquire_guard).await {
        Ok(result) => result,
        Err(_panicked) => Ok(PermitGuard(None)),
    }
}

/// Waits for a permit for a request about a task. During a backoff of the account, fails with its
/// error.
pub async fn wait_for_permit(
    limiter: &SharedLimiter,
    task: &TaskId,
    account: AccountHash,
) -> Result<PermitGuard, PollError> {
    loop {
        let task = task.clone();
        match acquire_with(limiter, move |limiter| limiter.acquire(&task, account)).await {
            Ok(permit) => return Ok(permit),
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

/// Waits until the limiter allows a retry of the current request.
pub async fn wait_for_retry(limiter: &SharedLimiter) {
    let Some(limiter) = limiter else { return };
    loop {
        let limiter = Arc::clone(limiter);
        match task::spawn_blocking(move || limiter.acquire_retry()).await {
            Ok(Err(wait)) => time::sleep(wait.max(MIN_WAIT)).await,
            Ok(Ok(())) | Err(_) => return,
        }
    }
}
