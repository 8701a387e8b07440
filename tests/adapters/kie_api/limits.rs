//! The client within its limits: retries and link renewals count, and every permit is released.

use kietop::{
    adapters::{
        desktop::SystemClock,
        limited_client::{LimitedClient, shared_limiter::SharedLimiter},
    },
    domain::{
        account_hash::AccountHash,
        limiter::{Permit, RequestOutcome},
        link::VideoUrl,
        poll_request::{Denied, DenyReason, PollTrigger},
        schedule::{MAX_IN_FLIGHT, MAX_PER_SECOND},
    },
    ports::{LinkRenewer as _, TaskApi as _},
};

use super::*;

struct Limited {
    client: LimitedClient<KieClient>,
    limiter: Arc<SharedLimiter>,
    account: AccountHash,
}

impl Limited {
    fn new(origin: &str) -> Self {
        let limiter = Arc::new(SharedLimiter::in_memory(SystemClock::since_boot));
        let client = client(origin, RequestLimits::default());
        Self {
            account: AccountHash::new(client.origin().as_str(), CANARY),
            client: LimitedClient::new(client, Arc::clone(&limiter)),
            limiter,
        }
    }

    async fn poll(&self, task: &str) -> PollResult {
        let request = poll_request(TaskId::parse(task).unwrap());
        let answer = self.client.start_poll(request).await.unwrap();
        answer.await.0
    }

    async fn renew_link(&self) -> Result<VideoUrl, PollError> {
        let url = VideoUrl::parse("https://tempfile.example/l/v.mp4").unwrap();
        self.client.renew_link(&id(), &url).await
    }

    fn acquire(&self, task: &str) -> Result<Permit, Denied> {
        let task = TaskId::parse(task).unwrap();
        self.limiter
            .acquire(&task, self.account, PollTrigger::Scheduled)
    }

    /// Counts the requests that may still start in this second.
    fn starts_left(&self) -> usize {
        (0..9)
            .take_while(|_| self.limiter.count_request().is_ok())
            .count()
    }
}

fn good() -> Step {
    Step::Write(http_response("200 OK", RUNNING).into())
}

// F6
#[tokio::test]
async fn a_connection_reset_before_a_response_is_retried_once() {
    let reset = vec![Step::Read, Step::Reset];
    let mut server = RawServer::start(vec![reset.clone(), vec![Step::Read, good()]]).await;
    let limited = Limited::new(&server.origin());
    assert!(limited.poll("a").await.is_ok());
    assert_eq!(limited.starts_left(), MAX_PER_SECOND - 2);
    assert_eq!(server.requests().len(), 2);

    // Closed without a response or within the headers: the same.
    let closed = |response: &str| vec![Step::Read, Step::Write(response.into())];
    for script in [reset, closed(""), closed("HTTP/1.1 20")] {
        let mut server = RawServer::start(vec![script]).await;
        let result = Limited::new(&server.origin()).poll("a").await;
        assert_eq!(result, Err(PollError::ConnectionLost));
        assert_eq!(server.requests().len(), 2, "one retry only");
    }

    // A response that breaks off is not requested again.
    let mut server = RawServer::answering("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{").await;
    let result = Limited::new(&server.origin()).poll("a").await;
    assert_eq!(result, Err(PollError::ConnectionLost));
    assert_eq!(server.requests().len(), 1);
}

// F7
#[tokio::test]
async fn an_idle_connection_closed_by_the_server_goes_unnoticed() {
    // The first connection is reset just after the second request was sent on it.
    let stale = vec![Step::Read, good(), Step::Read, Step::Reset];
    let mut server = RawServer::start(vec![stale, vec![Step::Read, good()]]).await;
    let limited = Limited::new(&server.origin());

    assert!(limited.poll("a").await.is_ok());
    assert!(limited.poll("b").await.is_ok());

    let connections: Vec<_> = server.requests().into_iter().map(|(n, _)| n).collect();
    assert_eq!(connections, [0, 0, 1]);
}

#[tokio::test]
async fn a_link_renewal_takes_a_permit_and_releases_it() {
    let body = r#"{"code":200,"msg":"success","data":"https://files.example/v.mp4?sig=1"}"#;
    let mut server = RawServer::answering(http_response("200 OK", body)).await;
    let limited = Limited::new(&server.origin());
    // It waits for a permit.
    let other = limited.acquire("a").unwrap();
    for task in ["b", "c", "d"] {
        limited.acquire(task).unwrap();
    }
    let renewal = limited.renew_link();
    let release = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(server.requests().len(), 0);
        limited.limiter.release(&other, &RequestOutcome::Answered);
    };
    let (renewed, ()) = tokio::join!(renewal, release);
    assert!(renewed.is_ok());
    assert_eq!(server.requests().len(), 1);
    assert_eq!(
        limited.acquire(ID).unwrap_err().reason,
        DenyReason::JustChecked
    );

    // Its error holds for the account.
    let refused = http_response("200 OK", r#"{"code":401,"msg":"no"}"#);
    let mut server = RawServer::answering(refused).await;
    let limited = Limited::new(&server.origin());
    for requests in [1, 0] {
        let refused = PollError::Unauthorized(401);
        assert_eq!(limited.renew_link().await, Err(refused.clone()));
        assert_eq!(server.requests().len(), requests, "none during a backoff");
        let denied = limited.acquire("a").unwrap_err();
        assert_eq!(denied.reason, DenyReason::AccountBackoff(refused));
    }
}

// A download is stopped during its link renewal, or the program quits during a check.
#[tokio::test]
async fn the_permit_of_a_dropped_request_is_released() {
    let server = RawServer::start(vec![vec![Step::Read, Step::Hold]]).await;
    let limited = Limited::new(&server.origin());
    for task in ["a", "b", "c", "d"] {
        let request = poll_request(TaskId::parse(task).unwrap());
        drop(limited.client.start_poll(request).await.unwrap());
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;

    let permits: Vec<_> = (0..MAX_IN_FLIGHT)
        .map(|n| limited.acquire(&format!("t{n}")).unwrap())
        .collect();

    let denied = limited.acquire("e").unwrap_err();
    assert_eq!(denied.reason, DenyReason::InFlightLimit, "{permits:?}");
}
