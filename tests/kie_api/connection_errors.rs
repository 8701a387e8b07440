//! What goes wrong with connections: broken, slow, huge, and not HTTP at all.

use std::time::Duration;

use kietop::{
    adapters::kie::RequestLimits,
    domain::poll_result::{ErrorScope, PollError, PollResult},
};
use tokio::net::TcpListener;

use super::{
    RUNNING, client, fetch, fetch_from, http_response, malformed,
    raw_server::{RawServer, Step},
    server_error,
};

/// Short: for servers that never answer, where running into a limit is what is expected.
const SHORT_LIMITS: RequestLimits = RequestLimits {
    connect_timeout: Duration::from_millis(250),
    read_timeout: Duration::from_millis(500),
    total_timeout: Duration::from_secs(1),
    ..LONG_LIMITS
};

/// Long: for servers that answer or break off by themselves, on a machine that is as busy as it
/// likes.
const LONG_LIMITS: RequestLimits = RequestLimits {
    connect_timeout: Duration::from_mins(1),
    read_timeout: Duration::from_mins(1),
    total_timeout: Duration::from_mins(2),
    idle_timeout: Duration::from_mins(5),
    max_body_len: 64 * 1024,
};

/// Asks where an answer of some kind is sure to come.
async fn fetch_with_long_limits(origin: &str) -> PollResult {
    fetch(&client(origin, LONG_LIMITS)).await
}

/// Asks with short limits, and sees to it that an answer comes although the server would go on for
/// ever. How much later than the limits is the machine's matter.
async fn fetch_in_time(origin: &str) -> PollResult {
    let client = client(origin, SHORT_LIMITS);
    tokio::time::timeout(Duration::from_mins(5), fetch(&client))
        .await
        .unwrap()
}

/// Returns what an offline error says, without the host.
fn offline_reason(answer: PollResult, origin: &str) -> String {
    let Err(PollError::Offline(what)) = answer else {
        panic!("{answer:?}");
    };
    what.as_str()
        .replace(origin.trim_start_matches("http://"), "HOST")
}

// F6
#[tokio::test]
async fn a_connection_reset_before_a_response_is_retried() {
    let reset = vec![Step::Read, Step::Reset];
    let good = vec![
        Step::Read,
        Step::Write(http_response("200 OK", RUNNING).into()),
    ];

    let mut server = RawServer::start(vec![reset.clone(), good]).await;
    assert!(fetch_from(&server.origin()).await.is_ok());
    assert_eq!(server.requests().len(), 2);

    let mut server = RawServer::start(vec![reset]).await;
    assert_eq!(
        fetch_from(&server.origin()).await,
        Err(PollError::ConnectionLost)
    );
    assert_eq!(server.requests().len(), 2, "once more, and no more");

    // Closed in an orderly way, or in the middle of the head: the same.
    for written in ["", "HTTP/1.1 20"] {
        let mut server = RawServer::answering(written).await;
        assert_eq!(
            fetch_from(&server.origin()).await,
            Err(PollError::ConnectionLost)
        );
        assert_eq!(server.requests().len(), 2);
    }
}

// F7
#[tokio::test]
async fn an_idle_connection_closed_by_the_server_goes_unnoticed() {
    let good = || Step::Write(http_response("200 OK", RUNNING).into());
    // The first connection is broken off exactly when the second question has been sent on it.
    let stale = vec![Step::Read, good(), Step::Read, Step::Reset];
    let mut server = RawServer::start(vec![stale, vec![Step::Read, good()]]).await;
    let client = client(&server.origin(), RequestLimits::default());

    assert!(fetch(&client).await.is_ok());
    assert!(fetch(&client).await.is_ok());

    let connections: Vec<_> = server.requests().into_iter().map(|(n, _)| n).collect();
    assert_eq!(connections, [0, 0, 1]);
}

// F25, F26
#[tokio::test]
async fn truncated_responses_are_reported() {
    let table = [
        "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"code\":200".to_owned(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"cod".to_owned(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"cod\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n{}".to_owned(),
    ];
    for written in table {
        let mut server = RawServer::answering(written.clone()).await;
        assert_eq!(
            fetch_from(&server.origin()).await,
            Err(PollError::ConnectionLost),
            "{written}"
        );
        assert_eq!(server.requests().len(), 1, "an answer had begun");
    }
    let reset = vec![
        Step::Read,
        Step::Write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{".to_vec()),
        Step::Reset,
    ];
    let raw = RawServer::start(vec![reset]).await;
    assert_eq!(
        fetch_from(&raw.origin()).await,
        Err(PollError::ConnectionLost)
    );
    // Of an error the status is known all the same.
    let raw = RawServer::answering("HTTP/1.1 502 Bad\r\nContent-Length: 500\r\n\r\n<h").await;
    assert_eq!(fetch_from(&raw.origin()).await, server_error(502, ""));
    // Without any length a cut looks like an end; the document shows it.
    let raw = RawServer::answering("HTTP/1.1 200 OK\r\n\r\n{\"code\":200").await;
    assert_eq!(
        fetch_from(&raw.origin()).await,
        malformed("incomplete JSON")
    );
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
    for written in table {
        let raw = RawServer::answering(written.clone()).await;
        let shown = written.chars().take(60).collect::<String>();
        assert_eq!(
            fetch_from(&raw.origin()).await,
            malformed("not HTTP"),
            "{shown:?}"
        );
    }
}

// F33
#[tokio::test]
async fn reason_phrases_and_strange_headers_are_never_shown() {
    let written =
        "HTTP/1.1 500 \x1b\x5d0;owned\r\nX-A: \u{9b}31m\u{202e}\r\nContent-Length: 0\r\n\r\n";
    let raw = RawServer::answering(written).await;

    let answer = fetch_from(&raw.origin()).await;

    let shown = answer.as_ref().unwrap_err().message();
    assert!(
        !shown.contains("owned") && !shown.contains('\u{1b}'),
        "{shown}"
    );
    assert!([server_error(500, ""), malformed("not HTTP")].contains(&answer));
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

        let answer = fetch(&client(&raw.origin(), limits)).await;

        assert_eq!(answer, malformed("larger than 1048576 bytes"), "{head}");
        let taken = raw.flooded().await;
        // What we did not read lies in the kernel, which takes a little on our behalf.
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
        // Announced, and not.
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
        assert_eq!(
            fetch_with_long_limits(&raw.origin()).await,
            too_large,
            "{head}"
        );
    }
    let announced = "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\n";
    let raw = RawServer::answering(announced).await;
    let asked = fetch_with_long_limits(&raw.origin()).await;
    assert!(matches!(asked, Err(PollError::Malformed(_))), "{asked:?}");
    // To the byte.
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
        let raw = RawServer::answering(http_response(&head, "\u{1f}\u{8b}bomb")).await;
        assert_eq!(
            fetch_from(&raw.origin()).await,
            malformed("compressed body"),
            "{encoding}"
        );
    }
    let raw = RawServer::answering(http_response(
        "200 OK\r\nContent-Encoding: Identity",
        RUNNING,
    ))
    .await;
    assert!(fetch_from(&raw.origin()).await.is_ok());
    let raw = RawServer::answering(http_response("503 No\r\nContent-Encoding: gzip", "x")).await;
    assert_eq!(fetch_from(&raw.origin()).await, server_error(503, ""));
}

// F26, F27, F28
#[tokio::test]
async fn slow_servers_run_into_a_deadline() {
    let pause = Duration::from_millis(20);
    let head = || Step::Write(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n".to_vec());
    let table = [
        ("no answer at all", vec![Step::Read, Step::Hold]),
        ("not even read", vec![Step::Hold]),
        (
            "head drips",
            vec![
                Step::Read,
                Step::Drip(b"HTTP/1.1 200 OK\r\nX-A: bcdefghijklmnopqrstuvw", pause),
            ],
        ),
        (
            "interim answers without end",
            vec![
                Step::Read,
                Step::Drip(b"HTTP/1.1 100 Continue\r\n\r\n", Duration::from_millis(1)),
            ],
        ),
        (
            "body drips",
            vec![Step::Read, head(), Step::Drip(b" ", pause)],
        ),
        (
            "body stops",
            vec![Step::Read, head(), Step::Write(b"{".to_vec()), Step::Hold],
        ),
        (
            "chunks without end",
            vec![
                Step::Read,
                Step::Write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec()),
                Step::Drip(b"1\r\n \r\n", pause),
            ],
        ),
    ];
    for (name, script) in table {
        let mut server = RawServer::start(vec![script]).await;
        assert_eq!(
            fetch_in_time(&server.origin()).await,
            Err(PollError::TimedOut),
            "{name}"
        );
        assert!(server.requests().len() <= 1, "{name} was asked again");
    }
}

// F3
#[tokio::test]
async fn a_refused_connection_is_offline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);

    let answer = fetch_with_long_limits(&origin).await;

    assert_eq!(answer.as_ref().unwrap_err().scope(), ErrorScope::Account);
    assert_eq!(
        offline_reason(answer, &origin),
        "connection refused by HOST"
    );
}

// F1
#[tokio::test]
async fn an_unknown_name_is_offline() {
    // Reserved never to exist (RFC 6761). Without any name server the deadline for connecting ends
    // it.
    let answer = fetch_in_time("https://kietop-test.invalid").await;

    let said = offline_reason(answer, "kietop-test.invalid");
    assert!(
        ["cannot find HOST", "connection to HOST timed out"].contains(&said.as_str()),
        "{said}"
    );
}

// F4
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_hanging_connection_is_offline() {
    use tokio::net::{TcpSocket, TcpStream};

    // A full queue of unaccepted connections: Linux then drops what else comes, as a firewall does.
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

    let answer = fetch_in_time(&origin).await;

    assert_eq!(
        offline_reason(answer, &origin),
        "connection to HOST timed out"
    );
}

// F8
#[tokio::test]
async fn plain_http_behind_https_is_offline() {
    let raw = RawServer::start(vec![vec![Step::Write(
        http_response("400 Bad Request", "").into(),
    )]])
    .await;
    let origin = raw.origin().replace("http:", "https:");

    let said = offline_reason(fetch_with_long_limits(&origin).await, "x");

    assert!(
        said.starts_with("no secure connection to 127.0.0.1:"),
        "{said}"
    );
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

        assert_eq!(
            fetch_with_long_limits(&raw.origin()).await,
            expected,
            "{start}"
        );
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
    // Only the silence of the dead connection runs into a limit; the other answers come at once, or
    // nearly.
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

// F30, F31, F36, F66: bodies that are small on the wire and huge when read, as large as they may
// be.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn hostile_answers_take_little_memory() {
    const INNER_TEST_VAR: &str = "KIETOP_TEST_MEMORY";
    const MAX_GROWTH_KIB: usize = 8 * 1024;
    const ROUNDS: usize = 12;

    let Ok(chosen) = std::env::var(INNER_TEST_VAR) else {
        // Each in a process of its own: what one left behind would hide what the next one takes.
        for number in 0..ROUNDS {
            let inner = std::process::Command::new(std::env::current_exe().unwrap())
                .args([
                    "--exact",
                    "connection_errors::hostile_answers_take_little_memory",
                ])
                .env(INNER_TEST_VAR, number.to_string())
                .env_remove("RUST_BACKTRACE")
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&inner.stdout);
            assert!(said.contains("1 passed"), "{said}");
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
            "half a pair, again and again",
            filled("{\"code\":200,\"msg\":\"", "\\ud83d", "\"}"),
        ),
        (
            "one long prompt",
            filled(
                "{\"code\":200,\"data\":{\"paramJson\":{\"prompt\":\"",
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
    // The first question builds the client, which is no fault of the answer.
    let raw = RawServer::answering(http_response("200 OK", RUNNING)).await;
    assert!(fetch_from(&raw.origin()).await.is_ok());
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

    let family = kietop::domain::task::Family::LumaModify;
    let mut noticed = kietop::domain::response_notes::ResponseNotes::default();
    drop(kietop::ports::TaskApi::poll(&client, &super::id(), family, &mut noticed).await);

    let extra = memory("VmHWM").saturating_sub(before);
    println!("{name}: {extra} KiB, the server's own copy among them");
    assert!(extra <= MAX_GROWTH_KIB, "{name}: {extra} KiB");
}
