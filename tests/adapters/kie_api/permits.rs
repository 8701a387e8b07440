//! Limiter permits that the client acquires itself, for retries and link renewals.

use std::sync::{
    Barrier,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use kietop::{
    domain::{
        limiter::{AccountHash, Broadcast, Denied, DenyReason, Permit, RequestOutcome},
        link::VideoUrl,
        time::Mono,
    },
    ports::{LinkRenewer as _, RequestLimiter},
};

use super::*;

/// A limiter that denies a number of requests and records all calls.
#[derive(Debug)]
struct FakeLimiter {
    denials_left: AtomicUsize,
    backoff: Option<PollError>,
    calls: mpsc::Sender<String>,
}

impl FakeLimiter {
    fn new_limiter(
        denials: usize,
        backoff: Option<PollError>,
    ) -> (Arc<dyn RequestLimiter>, mpsc::Receiver<String>) {
        let (sender, calls) = mpsc::channel();
        let limiter = Self {
            denials_left: AtomicUsize::new(denials),
            backoff,
            calls: sender,
        };
        (Arc::new(limiter), calls)
    }

    /// Returns whether the request is granted.
    fn record_call(&self, call: String) -> bool {
        self.calls.send(call).unwrap();
        let decrement = |left: usize| left.checked_sub(1);
        self.denials_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, decrement)
            .is_err()
    }
}

impl RequestLimiter for FakeLimiter {
    fn acquire(&self, task: &TaskId, account: AccountHash) -> Result<Permit, Denied> {
        let is_granted = self.record_call(format!("acquire {task}"));
        let reason = match &self.backoff {
            Some(error) => DenyReason::AccountBackoff {
                error: error.clone(),
                failures: 1,
            },
            None if is_granted => {
                return Ok(Permit {
                    task: task.clone(),
                    account,
                    since: Mono::default(),
                    owner: None,
                });
            }
            None => DenyReason::LimitReached,
        };
        Err(Denied {
            reason,
            wait: Duration::from_millis(1),
        })
    }

    fn acquire_retry(&self) -> Result<(), Duration> {
        if self.record_call("acquire_retry".into()) {
            Ok(())
        } else {
            Err(Duration::from_millis(1))
        }
    }

    fn release(&self, _: &Permit, outcome: &RequestOutcome) {
        self.record_call(format!("release {outcome:?}"));
    }

    fn broadcast(&self, _: &Broadcast, _: AccountHash) {}
}

/// Returns a client with a fake limiter, and the calls to it.
fn limited_client(
    server: &RawServer,
    denials: usize,
    backoff: Option<PollError>,
) -> (KieClient, mpsc::Receiver<String>) {
    let (limiter, calls) = FakeLimiter::new_limiter(denials, backoff);
    let client = client(&server.origin(), RequestLimits::default()).with_limiter(Some(limiter));
    (client, calls)
}

fn received_calls(calls: &mpsc::Receiver<String>) -> Vec<String> {
    calls.try_iter().collect()
}

async fn renew_link(client: &KieClient) -> Result<VideoUrl, PollError> {
    let url = VideoUrl::parse("https://tempfile.example/l/v.mp4").unwrap();
    client.renew_link(&id(), &url).await
}

// F6: the retry counts in the shared limiter.
#[tokio::test]
async fn a_retry_acquires_a_permit_before_sending() {
    let reset = vec![Step::Read, Step::Reset];
    let good = vec![
        Step::Read,
        Step::Write(http_response("200 OK", RUNNING).into()),
    ];
    let mut server = RawServer::start(vec![reset, good.clone()]).await;
    let (client, calls) = limited_client(&server, 2, None);

    assert!(fetch(&client).await.is_ok());
    assert_eq!(server.requests().len(), 2);
    assert_eq!(
        received_calls(&calls),
        ["acquire_retry", "acquire_retry", "acquire_retry"]
    );

    let server = RawServer::start(vec![good]).await;
    let (client, calls) = limited_client(&server, 0, None);
    assert!(fetch(&client).await.is_ok());
    assert!(
        received_calls(&calls).is_empty(),
        "the caller has the permit"
    );
}

#[tokio::test]
async fn a_link_renewal_acquires_its_own_permit() {
    let acquire = format!("acquire {ID}");
    let body = r#"{"code":200,"msg":"success","data":"https://files.example/v.mp4?sig=1"}"#;
    let mut server = RawServer::answering(http_response("200 OK", body)).await;
    let (client, calls) = limited_client(&server, 1, None);

    assert!(renew_link(&client).await.is_ok());
    assert_eq!(server.requests().len(), 1);
    assert_eq!(
        received_calls(&calls),
        [&*acquire, &*acquire, "release Answered"]
    );

    let server = RawServer::answering(http_response("200 OK", r#"{"code":401,"msg":"no"}"#)).await;
    let (client, calls) = limited_client(&server, 0, None);
    renew_link(&client).await.unwrap_err();
    assert_eq!(
        received_calls(&calls),
        [&*acquire, "release AccountError(Unauthorized(401))"]
    );
}

#[tokio::test]
async fn no_link_renewal_during_an_account_backoff() {
    let mut server = RawServer::answering(http_response("200 OK", "{}")).await;
    let (client, calls) = limited_client(&server, 0, Some(PollError::Maintenance));

    assert_eq!(renew_link(&client).await, Err(PollError::Maintenance));
    assert_eq!(server.requests().len(), 0);
    assert_eq!(received_calls(&calls), [format!("acquire {ID}")]);
}

/// A limiter that grants a permit only after the test has passed the barrier twice.
#[derive(Debug)]
struct SlowLimiter {
    inner: Arc<dyn RequestLimiter>,
    barrier: Arc<Barrier>,
}

impl RequestLimiter for SlowLimiter {
    fn acquire(&self, task: &TaskId, account: AccountHash) -> Result<Permit, Denied> {
        self.barrier.wait();
        self.barrier.wait();
        self.inner.acquire(task, account)
    }

    fn acquire_retry(&self) -> Result<(), Duration> {
        self.inner.acquire_retry()
    }

    fn release(&self, permit: &Permit, outcome: &RequestOutcome) {
        self.inner.release(permit, outcome);
    }

    fn broadcast(&self, message: &Broadcast, account: AccountHash) {
        self.inner.broadcast(message, account);
    }
}

// A download is stopped while its link renewal waits for the limiter.
#[tokio::test]
async fn an_unneeded_permit_is_released() {
    let (limiter, calls) = FakeLimiter::new_limiter(0, None);
    let barrier = Arc::new(Barrier::new(2));
    let slow = SlowLimiter {
        inner: limiter,
        barrier: Arc::clone(&barrier),
    };
    let client =
        client("http://127.0.0.1:9", RequestLimits::default()).with_limiter(Some(Arc::new(slow)));
    let renewal = tokio::spawn(async move { renew_link(&client).await });
    let pass_barrier = || {
        tokio::task::spawn_blocking({
            let barrier = Arc::clone(&barrier);
            move || barrier.wait()
        })
    };

    pass_barrier().await.unwrap();
    renewal.abort();
    assert!(renewal.await.unwrap_err().is_cancelled());
    pass_barrier().await.unwrap();

    let next = || calls.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(
        [next(), next()],
        [format!("acquire {ID}"), "release NoAnswer".into()]
    );
}
