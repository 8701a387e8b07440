//! The API client within the limits on requests. Every request passes here: of the dashboard, of
//! `--refresh` and `wait`, retries, and link renewals.
//!
//! The limiter may be a file, whose disk may hang: it is used on the blocking pool, and after three
//! seconds without a response the limits are kept in memory.

use std::{sync::Arc, time::Duration};

use tokio::{task, time};

use self::shared_limiter::SharedLimiter;
use crate::{
    domain::{
        account_hash::AccountHash,
        id_extract::KnownSecrets,
        limiter::{Permit, RequestOutcome},
        link::VideoUrl,
        poll_request::{Backoff, Denied, DenyReason, PollRequest, PollTrigger},
        poll_result::PollError,
        response_notes::ResponseNotes,
        schedule::Jitter,
        task::TaskId,
    },
    ports::{BoxFuture, LinkRenewer, PollAnswer, PollStart, TaskApi},
};

mod limiter_file;
mod process_identity;
pub mod shared_limiter;

/// The time after which a request goes on without the file: a disk that hangs must not stop
/// polling.
const FILE_TIMEOUT: Duration = Duration::from_secs(3);

/// The shortest wait after a denied permit.
const MIN_WAIT: Duration = Duration::from_millis(50);

/// An API client that sends a request only with a permit.
#[derive(Debug)]
pub struct LimitedClient<C> {
    client: C,
    limiter: Arc<SharedLimiter>,
}

/// A permit that is released on drop.
#[derive(Debug)]
struct PermitGuard {
    limiter: Arc<SharedLimiter>,
    permit: Option<Permit>,
}

impl Drop for PermitGuard {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.limiter.abandon(&permit);
        }
    }
}

impl<C> LimitedClient<C> {
    pub const fn new(client: C, limiter: Arc<SharedLimiter>) -> Self {
        Self { client, limiter }
    }

    pub const fn client(&self) -> &C {
        &self.client
    }

    /// Calls the limiter, on the blocking pool if it is a file.
    async fn call_limiter<T: Send + 'static>(
        &self,
        call: impl Fn(&Arc<SharedLimiter>) -> T + Clone + Send + 'static,
    ) -> T {
        if self.limiter.uses_file() {
            let (limiter, call) = (Arc::clone(&self.limiter), call.clone());
            let called = task::spawn_blocking(move || call(&limiter));
            if let Ok(Ok(result)) = time::timeout(FILE_TIMEOUT, called).await {
                return result;
            }
            tracing::warn!("the file of the request limits does not respond");
            self.limiter.suspend_file();
        }
        call(&self.limiter)
    }

    async fn acquire(
        &self,
        task: &TaskId,
        account: AccountHash,
        trigger: PollTrigger,
    ) -> Result<PermitGuard, Denied> {
        let task = task.clone();
        // The guard is created there, so the permit is also released if nobody waits any more.
        self.call_limiter(move |limiter| {
            let permit = limiter.acquire(&task, account, trigger)?;
            Ok(PermitGuard {
                limiter: Arc::clone(limiter),
                permit: Some(permit),
            })
        })
        .await
    }

    /// Releases a permit with the outcome of its request; returns the account's backoff.
    async fn release(&self, mut permit: PermitGuard, outcome: RequestOutcome) -> Option<Backoff> {
        let permit = permit.permit.take()?;
        self.call_limiter(move |limiter| limiter.release(&permit, &outcome))
            .await
    }

    /// Waits until another request may be sent with the same permit.
    async fn wait_for_retry(&self) {
        while let Err(wait) = self.call_limiter(|limiter| limiter.count_request()).await {
            time::sleep(wait.max(MIN_WAIT)).await;
        }
    }

    /// Waits for a permit. During a backoff of the account, fails with its error.
    async fn wait_for_permit(
        &self,
        task: &TaskId,
        account: AccountHash,
    ) -> Result<PermitGuard, PollError> {
        loop {
            match self.acquire(task, account, PollTrigger::Scheduled).await {
                Ok(permit) => return Ok(permit),
                Err(Denied {
                    reason: DenyReason::AccountBackoff(error),
                    ..
                }) => return Err(error),
                Err(Denied { wait, .. }) => time::sleep(wait.max(MIN_WAIT)).await,
            }
        }
    }
}

impl<C: TaskApi> LimitedClient<C> {
    /// Sends a request, and repeats it once if its connection breaks before any response: the
    /// server may have closed an idle connection just as it was reused.
    async fn poll(&self, request: PollRequest) -> PollAnswer {
        let (result, notes) = self.send(request.clone()).await;
        if result != Err(PollError::ConnectionLost) || notes.has_response {
            return (result, notes);
        }
        self.wait_for_retry().await;
        self.send(PollRequest {
            is_retry: true,
            ..request
        })
        .await
    }

    /// Sends one request. The client knows no limits, so it denies none.
    async fn send(&self, request: PollRequest) -> PollAnswer {
        match self.client.start_poll(request).await {
            Ok(answer) => answer.await,
            Err(_denied) => (Err(PollError::AnswerLost), ResponseNotes::default()),
        }
    }
}

impl<C: TaskApi> TaskApi for LimitedClient<C> {
    fn start_poll(&self, request: PollRequest) -> PollStart<'_> {
        Box::pin(async move {
            let account = match self.client.account().await {
                Ok(account) => account,
                Err(error) => return Err(without_key(error)),
            };
            let permit = self
                .acquire(&request.task, account, request.trigger)
                .await?;
            let answer: BoxFuture<'_, _> = Box::pin(async move {
                let (result, mut notes) = self.poll(request).await;
                let outcome = RequestOutcome::from_result(&result);
                notes.backoff = self.release(permit, outcome).await;
                (result, notes)
            });
            Ok(answer)
        })
    }

    fn account(&self) -> BoxFuture<'_, Result<AccountHash, PollError>> {
        self.client.account()
    }

    fn secrets(&self) -> KnownSecrets {
        self.client.secrets()
    }
}

impl<C: TaskApi + LinkRenewer> LinkRenewer for LimitedClient<C> {
    fn renew_link<'a>(
        &'a self,
        task: &'a TaskId,
        url: &'a VideoUrl,
    ) -> BoxFuture<'a, Result<VideoUrl, PollError>> {
        Box::pin(async move {
            let account = self.client.account().await?;
            let permit = self.wait_for_permit(task, account).await?;
            let link = self.client.renew_link(task, url).await;
            self.release(permit, RequestOutcome::from_result(&link))
                .await;
            link
        })
    }
}

/// Returns the denial after an error of the key. The other instances do not share this backoff,
/// because they may have a key.
fn without_key(error: PollError) -> Denied {
    Denied {
        wait: Jitter::seeded(0).account_backoff(&error, 1),
        reason: DenyReason::AccountBackoff(error),
    }
}
