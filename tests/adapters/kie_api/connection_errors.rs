//! Connection errors: broken and slow connections, huge responses, and responses that are not HTTP.

use std::time::Duration;

use kietop::{
    adapters::kie::RequestLimits,
    domain::{
        poll_result::{ErrorScope, PollError, PollResult},
        response_notes::ResponseNotes,
    },
};
use tokio::net::TcpListener;

use super::{
    RUNNING, client, fetch, fetch_answer, fetch_from, http_response, id, malformed, poll_request,
    server_error,
};
use crate::support::{
    raw_server::{RawServer, Step},
    rerun::{assert_passes, job, rerun_test},
};

/// For servers that never respond, where the test expects a timeout.
const SHORT_LIMITS: RequestLimits = RequestLimits {
    connect_timeout: Duration::from_millis(250),
    read_timeout: Duration::from_millis(500),
    total_timeout: Duration::from_secs(1),
    ..LONG_LIMITS
};

/// For servers that respond or close the connection, also on a very busy machine.
const LONG_LIMITS: RequestLimits = RequestLimits {
    connect_timeout: Duration::from_mins(1),
    read_timeout: Duration::from_mins(1),
    total_timeout: Duration::from_mins(2),
    idle_timeout: Duration::from_mins(5),
    max_body_len: 64 * 1024,
};

async fn fetch_with_long_limits(origin: &str) -> PollResult {
    fetch(&client(origin, LONG_LIMITS)).await
}

/// Polls with short limits, and fails if the poll never ends. The limits themselves are not
/// measured, because the machine may be slow.
async fn fetch_in_time(origin: &str) -> PollResult {
    let client = client(origin, SHORT_LIMITS);
    tokio::time::timeout(Duration::from_mins(5), fetch(&client))
        .await
        .unwrap()
}

/// Returns the text of an offline error, with the host replaced by `HOST`.
fn offline_reason(result: PollResult, origin: &str) -> String {
    let Err(PollError::Offline(reason)) = result else {
        panic!("{result:?}");
    };
    reason
        .as_str()
        .replace(origin.trim_start_matches("http://"), "HOST")
}

// F25, F26
#[tokio::test]
async fn truncated_responses_are_reported() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let lost = Err(PollError::ConnectionLost);
    for response in [
        "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"code\":200",
        &format!("{chunked}5\r\n{{\"cod"),
        &format!("{chunked}5\r\n{{\"cod\r\n"),
        &format!("{chunked}zz\r\n{{}}\r\n0\r\n\r\n"),
        &format!("{chunked}ffffffffffffffffff\r\n{{}}"),
    ] {
        let mut server = RawServer::answering(response).await;
        assert_eq!(fetch_from(&server.origin()).await, lost, "{response}");
        // No retry after the start of a response.
        assert_eq!(server.requests().len(), 1, "{response}");
    }
    let start = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{".to_vec();
    let raw = RawServer::start(vec![vec![Step::Read, Step::Write(start), Step::Reset]]).await;
    assert_eq!(fetch_from(&raw.origin()).await, lost);
    // The error status counts, even with a truncated body.
    let result = fetch_answer("HTTP/1.1 502 Bad\r\nContent-Length: 500\r\n\r\n<h").await;
    assert_eq!(result, server_error(502, ""));
    // Without a length, truncation looks like the end; the JSON shows it.
    let result = fetch_answer("HTTP/1.1 200 OK\r\n\r\n{\"code\":200").await;
    assert_eq!(result, malformed("incomplete JSON"));
}

// F29, F32
#[tokio::test]
async fn non_http_responses_are_malformed() {
    let many = "X-A: b\r\n".repeat(200);
    let huge = "x".repeat(1024 * 1024);
    let table = [
        RUNNING.to_owned(),
        "<html>gone</html>\r\n\r\n".to_owned(),
        "\u{1b}[2J\u{7}garbage\r\n\r\n".to_owned(),
        "HTTP/1.1 abc OK\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\u{0}\r\n\r\n{}".to_owned(),
        "ICY 200 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}".to_owned(),
        http_response(&format!("200 OK\r\n{many}X-B: c"), RUNNING),
        http_response(&format!("200 OK\r\nX-A: {huge}"), RUNNING),
    ];
    for response in table {
        let shown = response.chars().take(60).collect::<String>();
        let result = fetch_answer(response).await;
        assert_eq!(result, malformed("not HTTP"), "{shown:?}");
    }
}

// F33
#[tokio::test]
async fn reason_phrases_and_strange_headers_are_never_shown() {
    let response =
        "HTTP/1.1 500 \x1b\x5d0;owned\r\nX-A: \u{9b}31m\u{202e}\r\nContent-Length: 0\r\n\r\n";
    let raw = RawServer::answering(response).await;

    let result = fetch_from(&raw.origin()).await;

    let shown = result.as_ref().unwrap_err().message();
    assert!(
        !shown.contains("owned") && !shown.contains('\u{1b}'),
        "{shown}"
    );
    assert!([server_error(500, ""), malformed("not HTTP")].contains(&result));
}

// F30
#[tokio::test]
async fn endless_responses_are_cut_off() {
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffff\r\n",
    ] {
        let script = vec![Step::Read, Step::Write(head.into()), Step::Flood(b' ')];
        let mut raw = RawServer::start(vec![script]).await;
        let limits = RequestLimits {
            max_body_len: RequestLimits::default().max_body_len,
            ..LONG_LIMITS
        };

        let result = fetch(&client(&raw.origin(), limits)).await;

        assert_eq!(result, malformed("larger than 1048576 bytes"), "{head}");
        let taken = raw.flooded().await;
        // The kernel buffers a little more than we read.
        assert!(
            taken < limits.max_body_len + 8 * 1024 * 1024,
            "{taken} bytes"
        );
    }
}

// F30
#[tokio::test]
async fn large_bodies_are_left_unread() {
    let too_large = malformed("larger than 65536 bytes");
    let filler = vec![b' '; 3 * 1024 * 1024];
    let heads = [
        // With and without a length.
        "HTTP/1.1 200 OK\r\nContent-Length: 3145728\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n300000\r\n",
    ];
    for head in heads {
        let steps = vec![
            Step::Read,
            Step::Write(head.into()),
            Step::Write(filler.clone()),
            Step::Hold,
        ];
        let raw = RawServer::start(vec![steps]).await;
        let result = fetch_with_long_limits(&raw.origin()).await;
        assert_eq!(result, too_large, "{head}");
    }
    let response = "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n";
    let raw = RawServer::answering(response).await;
    let result = fetch_with_long_limits(&raw.origin()).await;
    assert!(matches!(result, Err(PollError::Malformed(_))), "{result:?}");
    // The limit is exact.
    let full = format!(
        "{RUNNING}{}",
        " ".repeat(LONG_LIMITS.max_body_len - RUNNING.len())
    );
    let raw = RawServer::answering(http_response("200 OK", &full)).await;
    assert!(fetch_with_long_limits(&raw.origin()).await.is_ok());
    let raw = RawServer::answering(http_response("200 OK", &format!("{full} "))).await;
    assert_eq!(fetch_with_long_limits(&raw.origin()).await, too_large);
}

// F31
#[tokio::test]
async fn compressed_answers_are_refused() {
    for encoding in ["gzip", "br", "gzip, gzip", "zstd"] {
        let head = format!("200 OK\r\nContent-Encoding: {encoding}");
        let result = fetch_answer(http_response(&head, "\u{1f}\u{8b}bomb")).await;
        assert_eq!(result, malformed("compressed body"), "{encoding}");
    }
    let plain = http_response("200 OK\r\nContent-Encoding: Identity", RUNNING);
    assert!(fetch_answer(plain).await.is_ok());
    let refused = http_response("503 No\r\nContent-Encoding: gzip", "x");
    assert_eq!(fetch_answer(refused).await, server_error(503, ""));
}

// F26, F27, F28
#[tokio::test]
async fn slow_servers_run_into_a_deadline() {
    let pause = Duration::from_millis(20);
    let sized = "HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let slow_head = Step::Drip(b"HTTP/1.1 200 OK\r\nX-A: bcdefghijklmnopqrstuvw", pause);
    let interim = Step::Drip(b"HTTP/1.1 100 Continue\r\n\r\n", Duration::from_millis(1));
    let table = [
        ("no response", "", Step::Hold),
        ("headers drip", "", slow_head),
        ("endless interim responses", "", interim),
        ("body drips", sized, Step::Drip(b" ", pause)),
        ("body stops", &format!("{sized}{{"), Step::Hold),
        ("endless chunks", chunked, Step::Drip(b"1\r\n \r\n", pause)),
    ];
    let scripts =
        table.map(|(name, start, last)| (name, vec![Step::Read, Step::Write(start.into()), last]));
    let unread = ("request not read", vec![Step::Hold]);
    for (name, script) in scripts.into_iter().chain([unread]) {
        let mut server = RawServer::start(vec![script]).await;
        let result = fetch_in_time(&server.origin()).await;
        assert_eq!(result, Err(PollError::TimedOut), "{name}");
        assert!(server.requests().len() <= 1, "{name}: retried");
    }
}

// F3
#[tokio::test]
async fn a_refused_connection_is_offline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);

    let result = fetch_with_long_limits(&origin).await;

    assert_eq!(result.as_ref().unwrap_err().scope(), ErrorScope::Account);
    let reason = offline_reason(result, &origin);
    assert_eq!(reason, "connection refused by HOST");
}

// F1
#[tokio::test]
async fn an_unknown_name_is_offline() {
    // The name is reserved never to exist (RFC 6761). Without a name server, the connect timeout
    // applies.
    let result = fetch_in_time("https://kietop-test.invalid").await;

    let reason = offline_reason(result, "kietop-test.invalid");
    let expected = ["cannot resolve HOST", "connection to HOST timed out"];
    assert!(expected.contains(&reason.as_str()), "{reason}");
}

// F4
#[cfg_attr(not(target_os = "linux"), ignore = "needs Linux")]
#[tokio::test]
async fn a_hanging_connection_is_offline() {
    use tokio::net::{TcpSocket, TcpStream};

    // A full backlog: Linux then drops new connections, as a firewall does.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(address)).await
    {
        queue.push(stream);
    }
    let origin = format!("http://{address}");

    let result = fetch_in_time(&origin).await;

    let reason = offline_reason(result, &origin);
    assert_eq!(reason, "connection to HOST timed out");
}

// F26, F29
#[tokio::test]
async fn header_and_trailer_floods_are_cut_off() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let table = [
        ("HTTP/1.1 200 O".to_owned(), malformed("not HTTP")),
        ("HTTP/1.1 200 OK\r\nX-A: ".to_owned(), malformed("not HTTP")),
        (format!("{chunked}5;"), Err(PollError::ConnectionLost)),
        (
            format!("{chunked}0\r\nX-A: "),
            Err(PollError::ConnectionLost),
        ),
    ];
    for (start, expected) in table {
        let script = vec![
            Step::Read,
            Step::Write(start.clone().into()),
            Step::Flood(b'x'),
        ];
        let mut raw = RawServer::start(vec![script]).await;

        let result = fetch_with_long_limits(&raw.origin()).await;
        assert_eq!(result, expected, "{start}");
        let taken = raw.flooded().await;
        assert!(taken < 8 * 1024 * 1024, "{start}: {taken} bytes");
    }
}

// F12
#[tokio::test]
async fn a_half_open_connection_costs_one_request() {
    let good = || Step::Write(http_response("200 OK", RUNNING).into());
    let half_open = vec![Step::Read, good(), Step::Read, Step::Hold];
    let mut server = RawServer::start(vec![half_open, vec![Step::Read, good()]]).await;
    // Only the dead connection reaches the limit; the other responses arrive almost at once.
    let limits = RequestLimits {
        read_timeout: Duration::from_secs(3),
        ..LONG_LIMITS
    };
    let client = client(&server.origin(), limits);

    assert!(fetch(&client).await.is_ok());
    assert_eq!(fetch(&client).await, Err(PollError::TimedOut));
    assert!(fetch(&client).await.is_ok());

    let connections: Vec<_> = server.requests().into_iter().map(|(n, _)| n).collect();
    assert_eq!(connections, [0, 0, 1]);
}

// F30, F31, F36, F66: bodies of the largest size that would use much memory when parsed.
#[cfg_attr(not(target_os = "linux"), ignore = "needs Linux")]
#[tokio::test]
async fn hostile_answers_take_little_memory() {
    const TEST: &str = "kie_api::connection_errors::hostile_answers_take_little_memory";
    const MAX_GROWTH_KIB: usize = 8 * 1024;
    const ROUNDS: usize = 12;

    let Some(chosen) = job() else {
        // Each in its own process: memory that one leaves allocated would hide the use of the next.
        for number in 0..ROUNDS {
            assert_passes(&mut rerun_test(TEST, number.to_string()));
        }
        return;
    };
    let limits = RequestLimits::default();
    let filled = |start: &str, part: &str, end: &str| {
        let room = limits.max_body_len - start.len() - end.len();
        format!("{start}{}{end}", part.repeat(room / part.len()))
    };
    let data = "{\"code\":200,\"data\":";
    let urls = "{\"code\":200,\"data\":{\"successFlag\":1,\"response\":{\"resultUrls\":[";
    let bodies: [(&str, String); ROUNDS] = [
        ("one text", filled("\"", "x", "\"")),
        (
            "escapes",
            filled("{\"code\":200,\"msg\":\"", "\\u0041", "\"}"),
        ),
        (
            "unpaired surrogates",
            filled("{\"code\":200,\"msg\":\"", "\\ud83d", "\"}"),
        ),
        (
            "one long prompt",
            filled(
                &format!("{data}{{\"paramJson\":{{\"prompt\":\""),
                "x",
                "\"}}}",
            ),
        ),
        ("empty texts", filled(urls, "\"\",", "\"\"]}}}")),
        ("lists", filled(&format!("{data}["), "[],", "[]]}")),
        ("objects", filled(&format!("{data}["), "{\"a\":0},", "{}]}")),
        ("a deep list", filled(data, "[", "")),
        ("a deep object", filled(data, "{\"a\":", "")),
        ("nested texts", filled(&format!("{data}\""), "[[],", "\"}")),
        (
            "links",
            filled(
                urls,
                "\"https://tempfile.example.com/l/0123456789abcdef.mp4\",",
                "\"\"]}}}",
            ),
        ),
        (
            "broken UTF-8",
            filled("{\"code\":500,\"msg\":\"", "x", "\"}"),
        ),
    ];
    let memory = |name: &str| -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    // The first request builds the HTTP client, whose memory must not count.
    assert!(fetch_answer(http_response("200 OK", RUNNING)).await.is_ok());
    let (name, body) = &bodies[chosen.parse::<usize>().unwrap()];
    assert!(body.len() <= limits.max_body_len);
    let mut bytes = http_response("200 OK", body).into_bytes();
    if *name == "broken UTF-8" {
        let length = bytes.len();
        bytes[length - 900_000..length - 10].fill(0xff);
    }
    let raw = RawServer::answering(bytes).await;
    let client = client(&raw.origin(), limits);
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmRSS");

    let mut notes = ResponseNotes::default();
    drop(client.poll(&poll_request(id()), &mut notes).await);

    let extra = memory("VmHWM").saturating_sub(before);
    println!("{name}: {extra} KiB, including the server's copy");
    assert!(extra <= MAX_GROWTH_KIB, "{name}: {extra} KiB");
}
