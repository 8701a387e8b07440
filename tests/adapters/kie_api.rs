//! The API client against well-behaved and hostile servers, on loopback and in real time.

use std::{
    io::{Read as _, Seek as _},
    sync::Arc,
    time::Duration,
};

use kietop::{
    adapters::kie::{KieClient, RequestLimits, key::ApiKey},
    domain::{
        api_origin::ApiOrigin,
        poll_result::{PollError, PollResult},
        response_notes::ResponseNotes,
        task::TaskId,
        text::CleanText,
    },
};
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, method, path, query_param},
};

use crate::support::{
    poll_request,
    raw_server::{RawServer, Step},
    rerun::{assert_passes, job, rerun_test},
};

mod connection_errors;
mod envelope;
mod limits;
mod link_renewal;
mod luma_modify;

const ID: &str = "774d9a7dd608a0e49293903095e45a4c";
const CANARY: &str = "canary-5d1f0c2b-key";
const RUNNING: &str = r#"{"code":200,"msg":"success","data":{"successFlag":0}}"#;

fn id() -> TaskId {
    TaskId::parse(ID).unwrap()
}

fn client(origin: &str, limits: RequestLimits) -> KieClient {
    let key = ApiKey::parse(CANARY).unwrap();
    KieClient::new(ApiOrigin::parse(origin).unwrap(), Some(key), limits)
}

async fn fetch(client: &KieClient) -> PollResult {
    fetch_with_notes(client).await.0
}

async fn fetch_with_notes(client: &KieClient) -> (PollResult, ResponseNotes) {
    let mut notes = ResponseNotes::default();
    let result = client.poll(&poll_request(id()), &mut notes).await;
    let shown = format!("{result:?} {notes:?} {client:?} {client:#?}");
    assert!(!shown.contains("canary"), "the key is shown: {shown}");
    (result, notes)
}

/// Polls with the default limits.
async fn fetch_from(origin: &str) -> PollResult {
    fetch(&client(origin, RequestLimits::default())).await
}

/// Polls a server that answers with these bytes.
async fn fetch_answer(response: impl Into<Vec<u8>>) -> PollResult {
    let server = RawServer::answering(response).await;
    fetch_from(&server.origin()).await
}

fn http_response(head: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn clean_line(text: &str) -> CleanText {
    CleanText::line(text, 4096)
}

fn malformed(reason: &str) -> PollResult {
    Err(PollError::Malformed(clean_line(reason)))
}

fn server_error(code: i64, message: &str) -> PollResult {
    Err(PollError::Server {
        code,
        message: clean_line(message),
    })
}

fn rate_limited(code: i64, seconds: Option<u64>) -> PollResult {
    Err(PollError::RateLimited {
        code,
        retry_after: seconds.map(Duration::from_secs),
    })
}

// F16
#[tokio::test]
async fn a_task_is_queried_as_documented() {
    let server = MockServer::start().await;
    let body = include_str!("../fixtures/succeeded.json");
    Mock::given(method("GET"))
        .and(path("/api/v1/modify/record-info"))
        .and(query_param("taskId", ID))
        .and(header("authorization", format!("Bearer {CANARY}").as_str()))
        .and(header("accept", "application/json"))
        .and(header(
            "user-agent",
            concat!("kietop/", env!("CARGO_PKG_VERSION")),
        ))
        // Mislabelled on purpose: the content counts.
        .respond_with(ResponseTemplate::new(200).set_body_raw(body, "text/html"))
        .expect(2)
        .mount(&server)
        .await;
    let client = client(&server.uri(), RequestLimits::default());

    for _ in 0..2 {
        let seen = fetch(&client).await.unwrap();
        assert_eq!(seen.state.name(), "succeeded");
        assert_eq!(seen.state.videos().count(), 1);
    }

    for request in server.received_requests().await.unwrap() {
        for absent in ["accept-encoding", "referer", "cookie"] {
            assert!(!request.headers.contains_key(absent), "{absent} was sent");
        }
    }
}

#[tokio::test]
async fn an_id_is_escaped_in_the_query() {
    let mut server = RawServer::answering(http_response("200 OK", RUNNING)).await;
    let client = client(&server.origin(), RequestLimits::default());
    let unusual_id = TaskId::parse("a&b=c#d/é%20").unwrap();

    client
        .poll(&poll_request(unusual_id), &mut ResponseNotes::default())
        .await
        .unwrap();

    let (_, head) = server.requests().remove(0);
    assert!(head.starts_with(
        "GET /api/v1/modify/record-info?taskId=a%26b%3Dc%23d%2F%C3%A9%2520 HTTP/1.1\r\n"
    ));
}

// F64
#[tokio::test]
async fn anomalies_are_kept_without_the_key() {
    let body = format!("{{\"code\":999,\"msg\":\"bad key {CANARY}\u{202e}\"}}");
    let date = "Date: Mon, 04 May 2026 14:32:07 GMT\r\n";
    for (head, body, text) in [
        ("200 OK", RUNNING, None),
        (
            "200 OK",
            body.as_str(),
            Some(r#"{"code":999,"msg":"bad key (the key)<U+202E>"}"#),
        ),
        ("500 Oops", "<html>", None),
    ] {
        let head = format!("{head}\r\n{date}X: x");
        let server = RawServer::answering(http_response(&head, body)).await;

        let (_, notes) =
            fetch_with_notes(&client(&server.origin(), RequestLimits::default())).await;

        assert_eq!(notes.date, "2026-05-04T14:32:07Z".parse().ok(), "{body}");
        let kept = notes.text.as_ref().map(CleanText::as_str);
        assert_eq!(kept, text);
        let original = notes.text.as_ref().map(CleanText::original);
        assert!(!original.is_some_and(|original| original.contains(CANARY)));
    }
    let server = RawServer::answering(http_response("200 OK\r\nDate: yesterday", RUNNING)).await;
    let (_, notes) = fetch_with_notes(&client(&server.origin(), RequestLimits::default())).await;
    let expected = ResponseNotes {
        has_response: true,
        ..ResponseNotes::default()
    };
    assert_eq!(notes, expected);
}

#[tokio::test]
async fn without_a_key_nothing_is_sent() {
    let mut server = RawServer::answering(http_response("200 OK", RUNNING)).await;
    let origin = ApiOrigin::parse(&server.origin()).unwrap();
    let client = KieClient::new(origin, None, RequestLimits::default());

    assert_eq!(fetch(&client).await, Err(PollError::NoKey));
    assert_eq!(server.requests(), []);
}

// F15, F17, F20, F21, F22, F24: what the headers add to the tables of `envelope`.
#[tokio::test]
async fn headers_count_with_status_and_code() {
    let limited = |retry_after: &str| html_response(429).insert_header("retry-after", retry_after);
    assert_results(vec![
        (html_response(502), server_error(502, "")),
        (
            html_response(503).insert_header("retry-after", "30"),
            rate_limited(503, Some(30)),
        ),
        (
            json_response(200, r#"{"code":429,"msg":"x"}"#).insert_header("retry-after", "7"),
            rate_limited(429, Some(7)),
        ),
        (
            limited("18446744073709551615"),
            rate_limited(429, Some(900)),
        ),
        (limited("abc"), rate_limited(429, None)),
        (
            limited("Fri, 01 Jan 9999 00:00:00 GMT"),
            rate_limited(429, Some(900)),
        ),
        (
            limited("Wed, 13 Aug 2025 09:48:00 GMT"),
            rate_limited(429, Some(1)),
        ),
        (ResponseTemplate::new(204), malformed("empty body")),
        (
            html_response(503).insert_header("cf-mitigated", "challenge"),
            Err(PollError::Blocked(503)),
        ),
    ])
    .await;
}

fn json_response(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body, "application/json")
}

fn html_response(status: u16) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw("<html><h1>Bad gateway</h1>", "text/html")
}

/// Polls a server with each response and compares the results.
async fn assert_results(table: Vec<(ResponseTemplate, PollResult)>) {
    for (template, expected) in table {
        let shown = format!("{template:?}");
        let server = MockServer::start().await;
        Mock::given(method("GET"))
            .respond_with(template.insert_header("date", "Thu, 14 Aug 2025 09:48:00 GMT"))
            .mount(&server)
            .await;

        assert_eq!(fetch_from(&server.uri()).await, expected, "{shown}");
    }
}

#[tokio::test]
async fn a_key_echoed_by_the_server_is_not_shown() {
    let body = format!(r#"{{"code":500,"msg":"no rights for Bearer {CANARY} today"}}"#);
    assert_eq!(
        fetch_answer(http_response("200 OK", &body)).await,
        server_error(500, "no rights for Bearer (the key) today")
    );
}

#[tokio::test]
async fn the_key_is_in_no_log_line() {
    let echo = format!(r#"{{"code":500,"msg":"bad key {CANARY}"}}"#);
    let send = |response: String| vec![Step::Read, Step::Write(response.into())];
    let scripts = vec![
        vec![Step::Read, Step::Reset],
        send(http_response("200 OK", &echo)),
        send(http_response("200 OK", RUNNING)),
        send("garbage\r\n\r\n".to_owned()),
        send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{".to_owned()),
    ];
    let raw = RawServer::start(scripts).await;
    let mut file = tempfile::tempfile().unwrap();
    let log = Arc::new(file.try_clone().unwrap());
    // A global subscriber, which also records libraries and parallel tests. A subscriber of this
    // thread only would miss lines: whether a callsite logs is decided once, by the first thread
    // that reaches it.
    let everything = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(log);
    tracing::subscriber::set_global_default(everything.finish()).unwrap();
    tracing::callsite::rebuild_interest_cache();

    for _ in 0..5 {
        // A new client each time, for a new connection.
        drop(fetch_from(&raw.origin()).await);
    }

    let mut lines = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut lines).unwrap();
    assert!(
        lines.contains("bad key (the key)") && lines.contains("incomplete response"),
        "{lines}"
    );
    assert!(!lines.contains("canary"), "{lines}");
}

// F13
#[tokio::test]
async fn redirects_are_reported_and_never_followed() {
    for status in [301, 302, 303, 307, 308] {
        let mut thief = RawServer::answering(http_response("200 OK", RUNNING)).await;
        let location = format!(
            "http://user:pass@127.0.0.1:{}/x?q",
            thief.origin().rsplit_once(':').unwrap().1
        );
        let head = format!("{status} Elsewhere\r\nLocation: {location}");
        let mut server = RawServer::answering(http_response(&head, "")).await;

        let result = fetch_from(&server.origin()).await;

        let host = clean_line("127.0.0.1");
        assert_eq!(result, Err(PollError::Redirected(host)), "{status}");
        assert_eq!(server.requests().len(), 1);
        assert_eq!(thief.requests(), [], "the key went elsewhere");
    }
    for (location, host) in [("/login", "127.0.0.1"), ("http://", "an invalid address")] {
        let head = format!("302 Found\r\nLocation: {location}");
        let result = fetch_answer(http_response(&head, "")).await;
        assert_eq!(result, Err(PollError::Redirected(clean_line(host))));
    }
}

#[test]
fn requests_work_without_system_certificates() {
    // The environment of this process cannot be changed safely, so another process runs the test.
    let mut test = rerun_test("kie_api::an_id_is_escaped_in_the_query", "");
    test.env("SSL_CERT_FILE", "/dev/null");
    assert_passes(test.env("SSL_CERT_DIR", "/dev/null"));
}

#[test]
fn creating_a_client_is_cheap() {
    if job().is_none() {
        // The TLS provider is global, and other tests in this process may have installed it.
        return assert_passes(&mut rerun_test(
            "kie_api::creating_a_client_is_cheap",
            "lazy",
        ));
    }

    // Without a tokio runtime.
    let clients: Vec<_> = (0..1000)
        .map(|_| client("https://api.kie.ai", RequestLimits::default()))
        .collect();

    assert!(format!("{:?}", clients.first()).contains("ApiKey(…)"));
    let is_set_up = || rustls::crypto::CryptoProvider::get_default().is_some();
    assert!(!is_set_up(), "no HTTP client yet");
    kietop::adapters::http::build_client(reqwest::Client::builder).unwrap();
    assert!(is_set_up(), "a build installs it");
}
