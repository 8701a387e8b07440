//! What the client counts beyond the one request for which its caller has a turn.

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

/// A book that refuses so often, and tells what is done in it.
#[derive(Debug)]
struct FakeLimiter {
    denials_left: AtomicUsize,
    backoff: Option<PollError>,
    calls: mpsc::Sender<String>,
}

impl FakeLimiter {
    fn new_limiter(
        refuses: usize,
        held: Option<PollError>,
    ) -> (Arc<dyn RequestLimiter>, mpsc::Receiver<String>) {
        let (done, told) = mpsc::channel();
        let book = Self {
            denials_left: AtomicUsize::new(refuses),
            backoff: held,
            calls: done,
        };
        (Arc::new(book), told)
    }

    fn record_call(&self, what: String) -> bool {
        self.calls.send(what).unwrap();
        let left = |left: usize| left.checked_sub(1);
        self.denials_left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, left)
            .is_err()
    }
}

impl RequestLimiter for FakeLimiter {
    fn acquire(&self, task: &TaskId, account: AccountHash) -> Result<Permit, Denied> {
        let is_given = self.record_call(format!("take {task}"));
        let why = match &self.backoff {
            Some(error) => DenyReason::AccountBackoff {
                error: error.clone(),
                failures: 1,
            },
            None if is_given => {
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
            reason: why,
            wait: Duration::from_millis(1),
        })
    }

    fn acquire_retry(&self) -> Result<(), Duration> {
        if self.record_call("again".into()) {
            Ok(())
        } else {
            Err(Duration::from_millis(1))
        }
    }

    fn release(&self, _: &Permit, heard: &RequestOutcome) {
        self.record_call(format!("end {heard:?}"));
    }

    fn broadcast(&self, _: &Broadcast, _: AccountHash) {}
}

/// Returns a client that counts in a book, and what is done in that.
fn limited_client(
    server: &RawServer,
    refuses: usize,
    held: Option<PollError>,
) -> (KieClient, mpsc::Receiver<String>) {
    let (book, told) = FakeLimiter::new_limiter(refuses, held);
    let client = client(&server.origin(), RequestLimits::default()).with_limiter(Some(book));
    (client, told)
}

fn received_calls(told: &mpsc::Receiver<String>) -> Vec<String> {
    told.try_iter().collect()
}

async fn renew_link(client: &KieClient) -> Result<VideoUrl, PollError> {
    let url = VideoUrl::parse("https://tempfile.example/l/v.mp4").unwrap();
    client.renew_link(&id(), &url).await
}

// F6: the second question waits for its own place among those of all instances.
#[tokio::test]
async fn a_retry_acquires_a_permit_before_sending() {
    let reset = vec![Step::Read, Step::Reset];
    let good = vec![
        Step::Read,
        Step::Write(http_response("200 OK", RUNNING).into()),
    ];
    let mut server = RawServer::start(vec![reset, good.clone()]).await;
    let (client, told) = limited_client(&server, 2, None);

    assert!(fetch(&client).await.is_ok());
    assert_eq!(server.requests().len(), 2);
    assert_eq!(received_calls(&told), ["again", "again", "again"]);

    let server = RawServer::start(vec![good]).await;
    let (client, told) = limited_client(&server, 0, None);
    assert!(fetch(&client).await.is_ok());
    assert!(
        received_calls(&told).is_empty(),
        "its caller has the turn for one"
    );
}

#[tokio::test]
async fn a_link_renewal_acquires_its_own_permit() {
    let take = format!("take {ID}");
    let body = r#"{"code":200,"msg":"success","data":"https://files.example/v.mp4?sig=1"}"#;
    let mut server = RawServer::answering(http_response("200 OK", body)).await;
    let (client, told) = limited_client(&server, 1, None);

    assert!(renew_link(&client).await.is_ok());
    assert_eq!(server.requests().len(), 1);
    assert_eq!(received_calls(&told), [&*take, &*take, "end Answered"]);

    let server = RawServer::answering(http_response("200 OK", r#"{"code":401,"msg":"no"}"#)).await;
    let (client, told) = limited_client(&server, 0, None);
    renew_link(&client).await.unwrap_err();
    assert_eq!(
        received_calls(&told),
        [&*take, "end AccountError(Unauthorized(401))"]
    );
}

#[tokio::test]
async fn no_link_renewal_during_an_account_backoff() {
    let mut server = RawServer::answering(http_response("200 OK", "{}")).await;
    let (client, told) = limited_client(&server, 0, Some(PollError::Maintenance));

    assert_eq!(renew_link(&client).await, Err(PollError::Maintenance));
    assert_eq!(server.requests().len(), 0);
    assert_eq!(received_calls(&told), [format!("take {ID}")]);
}

/// A book that gives a turn only after somebody has met it twice.
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

    fn release(&self, turn: &Permit, heard: &RequestOutcome) {
        self.inner.release(turn, heard);
    }

    fn broadcast(&self, word: &Broadcast, account: AccountHash) {
        self.inner.broadcast(word, account);
    }
}

// A save that is stopped while its question waits for the book.
#[tokio::test]
async fn an_unneeded_permit_is_released() {
    let (book, told) = FakeLimiter::new_limiter(0, None);
    let meets = Arc::new(Barrier::new(2));
    let slow = SlowLimiter {
        inner: book,
        barrier: Arc::clone(&meets),
    };
    let client =
        client("http://127.0.0.1:9", RequestLimits::default()).with_limiter(Some(Arc::new(slow)));
    let asking = tokio::spawn(async move { renew_link(&client).await });
    let meet = || {
        tokio::task::spawn_blocking({
            let meets = Arc::clone(&meets);
            move || meets.wait()
        })
    };

    meet().await.unwrap();
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    meet().await.unwrap();

    let next = || told.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(
        [next(), next()],
        [format!("take {ID}"), "end NoAnswer".into()]
    );
}
