//! `--refresh` and `wait` with signals, and with several instances on one list.

use std::{collections::BTreeMap, fs, path::PathBuf, time::Duration};

use kietop::{
    adapters::{desktop::SystemClock, limited_client::shared_limiter::SharedLimiter},
    domain::{
        account_hash::AccountHash, api_origin::ApiOrigin, limiter::RequestOutcome,
        poll_request::PollTrigger, poll_result::PollError, task::TaskId,
    },
};
use rustix::process::Signal;
use serde_json::Value;
use tokio::sync::watch;

use crate::support::{
    nohup,
    raw_server::{RawServer, Step, json_response},
    test_home::{
        ID, KEY, NOWHERE, OTHER_ID, TestHome, assert_code, assert_message, parse_json, send_signal,
        stderr, stdout, wait_for_output,
    },
};

const RUNNING_BODY: &str = r#"{"code":200,"data":{"successFlag":0}}"#;
const FAILED_BODY: &str = r#"{"code":200,"data":{"successFlag":3}}"#;
const REFUSED_BODY: &str = r#"{"code":401,"msg":"no"}"#;

/// Returns the file with the limits that all instances on the list share.
fn limiter_file(home: &TestHome) -> PathBuf {
    home.list().with_file_name("list.db-turns")
}

async fn start_server(body: &str) -> RawServer {
    RawServer::answering(json_response(body)).await
}

/// Starts a server that responds once the gate is open.
async fn start_gated_server(body: &str) -> (RawServer, watch::Sender<bool>) {
    let (gate, is_open) = watch::channel(false);
    let script = vec![
        Step::Read,
        Step::Await(is_open),
        Step::Write(json_response(body)),
    ];
    (RawServer::start(vec![script]).await, gate)
}

async fn wait_until(condition: &str, mut is_met: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if is_met() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("timed out: {condition}");
}

/// Counts the requests per task.
fn count_by_task(heads: &[(usize, String)]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for (_, head) in heads {
        let (_, rest) = head.split_once("taskId=").unwrap();
        let id = rest.split([' ', '&']).next().unwrap();
        *counts.entry(id.to_owned()).or_default() += 1;
    }
    counts
}

/// Starts a server that answers for one task; for others it sends a head, then runs `others`.
async fn start_server_for(id: &'static str, body: &'static str, others: Step) -> RawServer {
    let response = Step::reply(move |head| {
        if head.contains(id) {
            json_response(body)
        } else {
            b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n".to_vec()
        }
    });
    RawServer::start(vec![vec![Step::Read, response, others]]).await
}

// The tests of `cli::refresh` measure how soon it ends, with a paused clock.
#[tokio::test]
async fn one_signal_ends_a_refresh_and_keeps_answers() {
    let silent = || Step::Hold;
    let dripping = || Step::Drip(b" ", Duration::from_millis(20));
    for (args, signal, others) in [
        (["list", "--refresh"].as_slice(), Signal::INT, silent()),
        (&["list", "--refresh"], Signal::TERM, dripping()),
        (&["list", "--refresh"], Signal::HUP, silent()),
        (&["list", "--refresh"], Signal::QUIT, dripping()),
        (&["show", OTHER_ID, "--refresh"], Signal::INT, dripping()),
        (&["show", OTHER_ID, "--refresh"], Signal::TERM, silent()),
        (&["show", OTHER_ID, "--refresh"], Signal::HUP, dripping()),
    ] {
        if nohup::is_ignored(signal) {
            continue;
        }
        let mut api = start_server_for(ID, FAILED_BODY, others).await;
        let home = TestHome::with_tasks(&[ID, OTHER_ID]);
        let child = home.start(&api, args);
        let is_list = args.first() == Some(&"list");
        api.wait_for_requests(1 + usize::from(is_list)).await;
        if is_list {
            wait_until("the first answer is on the list", || {
                home.task(ID)["state"] == "failed"
            })
            .await;
        }

        send_signal(&child, signal);
        let output = wait_for_output(child).await;

        let code = 128 + signal.as_raw();
        assert_eq!(output.status.code(), Some(code), "{args:?} {output:?}");
        assert_eq!(
            (stdout(&output), stderr(&output)),
            (
                "",
                "kietop: Interrupted. The answers received so far are kept.\n"
            )
        );
        let state = if is_list { "failed" } else { "new" };
        assert_eq!(home.task(ID)["state"], state, "{args:?}");
        let permits = fs::read_to_string(limiter_file(&home)).unwrap();
        assert!(
            !permits.contains("asking"),
            "the permit was not released: {permits}"
        );
    }
}

#[cfg_attr(not(target_os = "linux"), ignore = "needs Linux")]
#[tokio::test]
async fn under_nohup_a_command_survives_a_hang_up() {
    for args in [["list", "--refresh"].as_slice(), &["wait"]] {
        let (mut api, gate) = start_gated_server(FAILED_BODY).await;
        let home = TestHome::with_tasks(&[ID]);
        let script = "trap '' HUP; exec \"$@\"";
        let child = home.shell(script, &api.origin(), args).spawn().unwrap();
        api.wait_for_requests(1).await;

        send_signal(&child, Signal::HUP);
        gate.send(true).unwrap();

        let output = wait_for_output(child).await;
        assert_code(&output, if args == ["wait"] { 3 } else { 0 });
        assert_eq!(home.task(ID)["state"], "failed", "{args:?}");
    }
}

#[cfg_attr(not(target_os = "linux"), ignore = "needs Linux")]
#[tokio::test]
async fn a_killed_refresh_blocks_nobody() {
    let ids = ["task-a", "task-b", "task-c", "task-d"];
    let (mut api, gate) = start_gated_server(FAILED_BODY).await;
    let home = TestHome::with_tasks(&ids);
    let killed = home.start(&api, &["list", "--refresh"]);
    api.wait_for_requests(4).await;
    send_signal(&killed, Signal::KILL);
    gate.send(true).unwrap();
    wait_for_output(killed).await;
    let permits = fs::read_to_string(limiter_file(&home)).unwrap();
    assert_eq!(permits.matches("asking").count(), 4, "{permits}");

    // Permits of a live process would expire after 25 seconds only.
    let limit = Duration::from_secs(15);
    let refreshed = tokio::time::timeout(limit, home.run_at(&api, &["list", "--refresh"])).await;

    let refreshed = refreshed.expect("permits of a dead process do not block");
    assert_code(&refreshed, 0);
    assert_eq!(stdout(&refreshed).matches(" failed ").count(), ids.len());
}

#[tokio::test]
async fn two_refreshes_check_each_task_once() {
    let ids = ["task-a", "task-b", "task-c", "task-d", "task-e", "task-f"];
    let (mut api, gate) = start_gated_server(FAILED_BODY).await;
    let home = TestHome::with_tasks(&ids);
    let first = home.start(&api, &["list", "--refresh"]);
    let mut heads = Vec::new();
    wait_until("four requests", || {
        heads.extend(api.requests());
        heads.len() == 4
    })
    .await;

    // A process with four requests in flight leaves the limiter file alone; a new one always writes
    // it.
    let modified_at = || {
        let limiter = fs::metadata(limiter_file(&home)).unwrap();
        limiter.modified().unwrap()
    };
    let before = modified_at();
    let second = home.start(&api, &["list", "--refresh"]);
    wait_until("the second one asks for a permit", || {
        modified_at() != before
    })
    .await;
    gate.send(true).unwrap();

    for child in [first, second] {
        let output = wait_for_output(child).await;
        assert_code(&output, 0);
        let rows = stdout(&output).lines();
        assert!(
            rows.clone().all(|row| row.contains(" failed ")),
            "{}",
            stdout(&output)
        );
        assert_eq!(rows.count(), ids.len());
    }
    heads.extend(api.requests());
    let expected = ids.map(|id| (id.to_owned(), 1));
    assert_eq!(count_by_task(&heads), BTreeMap::from(expected));
}

/// Starts an account backoff as another instance does.
fn share_backoff(home: &TestHome, api: &RawServer, error: PollError) {
    let origin = ApiOrigin::parse(&api.origin()).unwrap();
    let account = AccountHash::new(origin.as_str(), KEY);
    let limiter = SharedLimiter::for_list(home.list(), SystemClock::since_boot);
    let task = TaskId::parse("another-task").unwrap();
    let permit = limiter
        .acquire(&task, account, PollTrigger::Scheduled)
        .unwrap();
    limiter.release(&permit, &RequestOutcome::Failed(error));
}

const fn rate_limited(seconds: u64) -> PollError {
    PollError::RateLimited {
        code: 429,
        retry_after: Some(Duration::from_secs(seconds)),
    }
}

/// Checks the two lines of a wait for one task whose checks were blocked until its timeout.
#[track_caller]
fn assert_blocked_wait(messages: &str, reason: &str) {
    let [blocked, timed_out] = messages.lines().collect::<Vec<_>>()[..] else {
        panic!("{messages}");
    };
    let blocked = blocked.to_lowercase();
    let start = format!("kietop: checks blocked: {reason}");
    assert!(blocked.starts_with(&start), "{messages}");
    let clause = "Timed out: 1 task has not finished; checks blocked since ";
    let has_reason = timed_out.contains(&format!(": {reason}"));
    assert!(timed_out.contains(clause) && has_reason, "{messages}");
}

#[tokio::test]
async fn wait_respects_a_shared_backoff() {
    // It times out, and no request is sent.
    let mut api = start_server(FAILED_BODY).await;
    let home = TestHome::with_tasks(&[ID]);
    share_backoff(&home, &api, rate_limited(60));
    let waited = home
        .run_at(&api, &["wait", "--timeout", "1s", "--json"])
        .await;
    assert_code(&waited, 124);
    assert_eq!((api.requests().len(), stdout(&waited)), (0, ""));
    assert_blocked_wait(stderr(&waited), "too many requests (429)");

    // After the backoff it sends requests, and the server's answers count.
    let home = TestHome::with_tasks(&[ID, OTHER_ID]);
    share_backoff(&home, &api, rate_limited(1));
    let waited = home.run_at(&api, &["wait", "--timeout", "1m"]).await;
    assert_code(&waited, 3);
    assert_eq!(
        count_by_task(&api.requests()).into_values().sum::<usize>(),
        2
    );
    let messages = stderr(&waited);
    for message in ["Checks blocked", "Checks work again"] {
        assert_eq!(messages.matches(message).count(), 1, "{messages}");
    }
}

#[tokio::test]
async fn a_key_known_as_refused_ends_the_wait() {
    let mut api = start_server(FAILED_BODY).await;
    let home = TestHome::with_tasks(&[ID]);
    share_backoff(&home, &api, PollError::Unauthorized(401));

    let waited = home.run_at(&api, &["wait"]).await;

    assert_message(&waited, 4, "API key refused (401).");
    assert_eq!(api.requests().len(), 0);

    // A manual refresh tries the key anyway; its success lifts the backoff.
    let refreshed = home.run_at(&api, &["list", "--refresh"]).await;
    assert_code(&refreshed, 0);
    let waited = home.run_at(&api, &["wait", ID]).await;
    assert_code(&waited, 3);
}

#[tokio::test]
async fn wait_reports_a_block_at_once() {
    for (response, reason) in [
        (None, "offline: "),
        (Some(GATEWAY.to_vec()), "server error (520)"),
        (
            Some(json_response(r#"{"code":455,"msg":"no"}"#)),
            "the service is down for maintenance (455)",
        ),
        (
            Some(json_response(r#"{"code":429,"msg":"no"}"#)),
            "too many requests (429)",
        ),
        (Some(json_response("<html>")), "invalid answer"),
    ] {
        let server = RawServer::answering(response.clone().unwrap_or_default()).await;
        let origin = match response {
            Some(_) => server.origin(),
            None => NOWHERE.to_owned(),
        };
        let home = TestHome::with_tasks(&[ID]);

        let mut command = home.kietop(&origin, &["wait", "--timeout", "2s", "--json"]);
        let waited = wait_for_output(command.spawn().unwrap()).await;

        assert_code(&waited, 124);
        assert_blocked_wait(stderr(&waited), reason);
        assert_eq!(stdout(&waited), "");
    }
}

#[tokio::test]
async fn waiting_for_a_removed_task_fails() {
    let (mut api, _gate) = start_gated_server(RUNNING_BODY).await;
    let home = TestHome::with_tasks(&[ID]);
    let child = home.start(&api, &["wait", ID]);
    api.wait_for_requests(1).await;

    let removed = home.run_at(&api, &["remove", ID]).await;
    assert_code(&removed, 0);

    let waited = wait_for_output(child).await;
    assert_message(&waited, 5, "was removed from the list");
}

#[tokio::test]
async fn refresh_probes_a_shared_backoff_but_no_rate_limit() {
    let mut api = start_server(FAILED_BODY).await;
    let home = TestHome::with_tasks(&[ID]);
    share_backoff(&home, &api, rate_limited(60));
    let refreshed = home.run_at(&api, &["list", "--refresh"]).await;
    assert_code(&refreshed, 1);
    assert_eq!(api.requests().len(), 0);

    let home = TestHome::with_tasks(&[ID]);
    share_backoff(&home, &api, PollError::Unauthorized(401));
    let refreshed = home.run_at(&api, &["list", "--refresh"]).await;
    assert_code(&refreshed, 0);
    assert_eq!(home.task(ID)["state"], "failed");
}

// A refused key belongs to the account, not to the task: only the command that received the error
// reports it. The next command may have another key.
#[tokio::test]
async fn a_refused_key_is_reported_once_and_not_stored() {
    let home = TestHome::with_tasks(&[ID]);
    let running = start_server(RUNNING_BODY).await;
    home.run_at(&running, &["list", "--refresh"]).await;
    let before = home.task(ID);
    let refusing = start_server(REFUSED_BODY).await;

    for args in [["show", ID, "--refresh"].as_slice(), &["list", "--refresh"]] {
        let refreshed = home.run_at(&refusing, args).await;
        assert_message(&refreshed, 4, "API key refused (401)");
        assert!(
            stdout(&refreshed).contains(ID),
            "the last known state is shown"
        );
    }

    let after = home.task(ID);
    assert_eq!(after, before, "the last known state and its age are kept");
    assert_eq!(after["checkError"], Value::Null);
    let listed = home.run_at(&refusing, &["list"]).await;
    assert_eq!((listed.status.code(), stderr(&listed)), (Some(0), ""));
}

const GATEWAY: &[u8] =
    b"HTTP/1.1 520 \r\nContent-Length: 15\r\nConnection: close\r\n\r\nerror code: 520";

#[tokio::test]
async fn a_not_found_answer_is_stored() {
    let api =
        RawServer::answering(json_response(r#"{"code":422,"msg":"recordInfo is null"}"#)).await;
    let home = TestHome::with_tasks(&["task-a", "task-b"]);

    let listed = home.run_at(&api, &["list", "--refresh", "--json"]).await;

    assert_eq!((listed.status.code(), stderr(&listed)), (Some(0), ""));
}

#[tokio::test]
async fn a_refresh_without_answers_fails_with_the_reason() {
    let ids = ["task-a", "task-b", "task-c", "task-d", "task-e", "task-f"];
    for (response, reason) in [
        (GATEWAY.to_vec(), "server error (520)"),
        (json_response("<html>"), "invalid answer"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{".to_vec(),
            "",
        ),
    ] {
        let api = RawServer::answering(response).await;
        let home = TestHome::with_tasks(&ids);

        let listed = home.run_at(&api, &["list", "--refresh", "--json"]).await;

        assert_code(&listed, 1);
        let message = stderr(&listed);
        let is_reported = message.contains("All 6 checks failed (") && message.contains(reason);
        assert!(is_reported && message.lines().count() == 1, "{message}");
        let tasks: Vec<Value> = parse_json(&listed);
        assert_eq!(tasks.len(), ids.len(), "the last known state is printed");

        let shown = home.run_at(&api, &["show", "task-a", "--refresh"]).await;
        assert_message(&shown, 1, "The check failed: ");
        assert_message(&shown, 1, reason);
        assert!(stdout(&shown).contains("task-a"));
    }
}

#[tokio::test]
async fn a_partial_refresh_reports_the_failures() {
    let api = RawServer::replying(|head| {
        if head.contains("taskId=task-a") {
            json_response(RUNNING_BODY)
        } else if head.contains("taskId=task-b") {
            json_response("<html>")
        } else {
            GATEWAY.to_vec()
        }
    })
    .await;
    let home = TestHome::with_tasks(&["task-a", "task-b", "task-c", "task-d"]);

    let listed = home.run_at(&api, &["list", "--refresh"]).await;

    assert_code(&listed, 0);
    let message = stderr(&listed);
    assert!(
        message.starts_with("kietop: 3 of 4 checks failed ("),
        "{message}"
    );
    for reason in ["server error (520): 2", "invalid answer: 1"] {
        assert!(message.contains(reason), "{message}");
    }
    assert_eq!(message.lines().count(), 1, "{message}");
}
