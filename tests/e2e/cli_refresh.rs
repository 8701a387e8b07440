//! `--refresh` and `wait` with signals, and with several instances on one list.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use kietop::{
    adapters::{desktop::SystemClock, limited_client::shared_limiter::SharedLimiter},
    domain::{
        account_hash::AccountHash, api_origin::ApiOrigin, limiter::RequestOutcome,
        poll_request::PollTrigger, poll_result::PollError, task::TaskId,
    },
};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::sync::watch;

use crate::support::raw_server::{RawServer, Step};

const ID: &str = "774d9a7dd608a0e49293903095e45a4c";
const OTHER_ID: &str = "1f0c2b6f1d3b4a0c9c1f7c6b5a4e3d21";
const KEY: &str = "canary-key";

/// A temporary home folder with a list.
struct RefreshHome(tempfile::TempDir);

impl RefreshHome {
    fn with_tasks(ids: &[&str]) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let args = [&["add"], ids].concat();
        let added = home.kietop("http://127.0.0.1:9", &args).output().unwrap();
        assert!(added.status.success(), "{}", stderr(&added));
        home
    }

    fn list(&self) -> PathBuf {
        self.0.path().join("list.db")
    }

    fn limiter_file(&self) -> PathBuf {
        self.0.path().join("list.db-turns")
    }

    /// Returns the limiter as another instance opens it.
    fn other_instance(&self) -> SharedLimiter {
        SharedLimiter::for_list(self.list(), SystemClock::since_boot)
    }

    fn kietop(&self, api: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kietop"));
        command
            .env_clear()
            .env("HOME", self.0.path())
            .env("KIE_API_KEY", KEY)
            .env("KIETOP_API_URL", api)
            .env("KIETOP_STORE", self.list())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .args(args);
        command
    }

    fn start(&self, api: &RawServer, args: &[&str]) -> Child {
        self.kietop(&api.origin(), args).spawn().unwrap()
    }

    /// Runs a command without blocking the thread of the server.
    async fn run(&self, api: &RawServer, args: &[&str]) -> Output {
        wait_for_output(self.start(api, args)).await
    }

    /// Returns a task as `show --json` prints it.
    async fn task(&self, api: &RawServer, id: &str) -> Value {
        let shown = self.run(api, &["show", id, "--json"]).await;
        serde_json::from_slice(&shown.stdout).unwrap()
    }
}

async fn wait_for_output(child: Child) -> Output {
    tokio::task::spawn_blocking(move || {
        crate::support::deadline::wait_with_deadline(child, "kietop")
    })
    .await
    .unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn http_response(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").into()
}

const RUNNING_BODY: &str = r#"{"code":200,"data":{"successFlag":0}}"#;
const FAILED_BODY: &str = r#"{"code":200,"data":{"successFlag":3}}"#;
const REFUSED_BODY: &str = r#"{"code":401,"msg":"no"}"#;

async fn start_server(body: &str) -> RawServer {
    RawServer::answering(http_response(body)).await
}

/// Starts a server that responds once the gate is open.
async fn start_gated_server(body: &str) -> (RawServer, watch::Sender<bool>) {
    let (gate, is_open) = watch::channel(false);
    let script = vec![
        Step::Read,
        Step::Await(is_open),
        Step::Write(http_response(body)),
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

/// Waits for `count` more requests.
async fn wait_for_requests(server: &mut RawServer, count: usize) {
    let mut received = 0;
    wait_until("enough requests", || {
        received += server.requests().len();
        received >= count
    })
    .await;
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

fn send_signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Starts a server that answers for one task; for others it sends a head, then runs `others`.
async fn start_server_for(id: &'static str, body: &'static str, others: Step) -> RawServer {
    let response = Step::reply(move |head| {
        if head.contains(id) {
            http_response(body)
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
        if crate::support::nohup::is_ignored(signal) {
            continue;
        }
        let mut api = start_server_for(ID, FAILED_BODY, others).await;
        let home = RefreshHome::with_tasks(&[ID, OTHER_ID]);
        let child = home.start(&api, args);
        let is_list = args.first() == Some(&"list");
        wait_for_requests(&mut api, 1 + usize::from(is_list)).await;
        if is_list {
            wait_until("the first answer is on the list", || {
                let shown = home.kietop("http://127.0.0.1:9", &["show", ID, "--json"]);
                stdout(&{ shown }.output().unwrap()).contains("\"failed\"")
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
        assert_eq!(home.task(&api, ID).await["state"], state, "{args:?}");
        let permits = fs::read_to_string(home.limiter_file()).unwrap();
        assert!(
            !permits.contains("asking"),
            "the permit was not released: {permits}"
        );
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn under_nohup_a_command_survives_a_hang_up() {
    for args in [["list", "--refresh"].as_slice(), &["wait"]] {
        let (mut api, gate) = start_gated_server(FAILED_BODY).await;
        let home = RefreshHome::with_tasks(&[ID]);
        let command = home.kietop(&api.origin(), args);
        let mut nohup = Command::new("/bin/sh");
        nohup
            .args(["-c", "trap '' HUP; exec \"$0\" \"$@\""])
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear()
            .envs(
                command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = nohup.spawn().unwrap();
        wait_for_requests(&mut api, 1).await;

        send_signal(&child, Signal::HUP);
        gate.send(true).unwrap();

        let output = wait_for_output(child).await;
        let code = if args == ["wait"] { 3 } else { 0 };
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert_eq!(home.task(&api, ID).await["state"], "failed", "{args:?}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_killed_refresh_blocks_nobody() {
    let ids = ["task-a", "task-b", "task-c", "task-d"];
    let (mut api, gate) = start_gated_server(FAILED_BODY).await;
    let home = RefreshHome::with_tasks(&ids);
    let killed = home.start(&api, &["list", "--refresh"]);
    wait_for_requests(&mut api, 4).await;
    send_signal(&killed, Signal::KILL);
    gate.send(true).unwrap();
    wait_for_output(killed).await;
    let permits = fs::read_to_string(home.limiter_file()).unwrap();
    assert_eq!(permits.matches("asking").count(), 4, "{permits}");

    // Permits of a live process would expire after 25 seconds only.
    let limit = Duration::from_secs(15);
    let refreshed = tokio::time::timeout(limit, home.run(&api, &["list", "--refresh"])).await;

    let refreshed = refreshed.expect("permits of a dead process do not block");
    assert_eq!(refreshed.status.code(), Some(0), "{}", stderr(&refreshed));
    assert_eq!(stdout(&refreshed).matches(" failed ").count(), ids.len());
}

#[tokio::test]
async fn two_refreshes_check_each_task_once() {
    let ids = ["task-a", "task-b", "task-c", "task-d", "task-e", "task-f"];
    let (mut api, gate) = start_gated_server(FAILED_BODY).await;
    let home = RefreshHome::with_tasks(&ids);
    let first = home.start(&api, &["list", "--refresh"]);
    let mut heads = Vec::new();
    wait_until("four requests", || {
        heads.extend(api.requests());
        heads.len() == 4
    })
    .await;

    // A process with four requests in flight leaves the limiter file alone; a new one always writes
    // it.
    let modified_at = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let before = modified_at(&home.limiter_file());
    let second = home.start(&api, &["list", "--refresh"]);
    wait_until("the second one asks for a permit", || {
        modified_at(&home.limiter_file()) != before
    })
    .await;
    gate.send(true).unwrap();

    for child in [first, second] {
        let output = wait_for_output(child).await;
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
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
fn share_backoff(home: &RefreshHome, api: &RawServer, error: PollError) {
    let origin = ApiOrigin::parse(&api.origin()).unwrap();
    let account = AccountHash::new(origin.as_str(), KEY);
    let limiter = home.other_instance();
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

#[tokio::test]
async fn wait_respects_a_shared_backoff() {
    // It times out, and no request is sent.
    let mut api = start_server(FAILED_BODY).await;
    let home = RefreshHome::with_tasks(&[ID]);
    share_backoff(&home, &api, rate_limited(60));
    let waited = home.run(&api, &["wait", "--timeout", "1s", "--json"]).await;
    assert_eq!(waited.status.code(), Some(124), "{}", stderr(&waited));
    assert_eq!((api.requests().len(), stdout(&waited)), (0, ""));
    let lines: Vec<_> = stderr(&waited).lines().collect();
    let [blocked, timed_out] = lines[..] else {
        panic!("{lines:?}");
    };
    assert!(
        blocked.starts_with("kietop: Checks blocked: too many requests (429)."),
        "{blocked}"
    );
    let clause = "Timed out: 1 task has not finished; checks blocked since ";
    assert!(
        timed_out.contains(clause) && timed_out.contains(": too many requests (429). "),
        "{timed_out}"
    );

    // After the backoff it sends requests, and the server's answers count.
    let home = RefreshHome::with_tasks(&[ID, OTHER_ID]);
    share_backoff(&home, &api, rate_limited(1));
    let waited = home.run(&api, &["wait", "--timeout", "1m"]).await;
    assert_eq!(waited.status.code(), Some(3), "{}", stderr(&waited));
    assert_eq!(
        count_by_task(&api.requests()).into_values().sum::<usize>(),
        2
    );
    let messages = stderr(&waited);
    assert_eq!(messages.matches("Checks blocked").count(), 1, "{messages}");
    assert_eq!(
        messages.matches("Checks work again").count(),
        1,
        "{messages}"
    );
}

#[tokio::test]
async fn a_key_known_as_refused_ends_the_wait() {
    let mut api = start_server(FAILED_BODY).await;
    let home = RefreshHome::with_tasks(&[ID]);
    share_backoff(&home, &api, PollError::Unauthorized(401));

    let waited = home.run(&api, &["wait"]).await;

    assert_eq!(waited.status.code(), Some(4), "{}", stderr(&waited));
    assert!(
        stderr(&waited).contains("API key refused (401)."),
        "{}",
        stderr(&waited)
    );
    assert_eq!(api.requests().len(), 0);

    // A manual refresh tries the key anyway; its success lifts the backoff.
    let refreshed = home.run(&api, &["list", "--refresh"]).await;
    assert_eq!(refreshed.status.code(), Some(0), "{}", stderr(&refreshed));
    let waited = home.run(&api, &["wait", ID]).await;
    assert_eq!(waited.status.code(), Some(3), "{}", stderr(&waited));
}

#[tokio::test]
async fn wait_reports_a_block_at_once() {
    let unreachable = "http://127.0.0.1:9";
    for (server, reason) in [
        (None, "offline: "),
        (Some(GATEWAY.to_vec()), "server error (520)"),
        (
            Some(http_response(r#"{"code":455,"msg":"no"}"#)),
            "the service is down for maintenance (455)",
        ),
        (
            Some(http_response(r#"{"code":429,"msg":"no"}"#)),
            "too many requests (429)",
        ),
        (Some(http_response("<html>")), "invalid answer"),
    ] {
        let server = match server {
            Some(bytes) => Some(RawServer::answering(bytes).await),
            None => None,
        };
        let origin = server
            .as_ref()
            .map_or(unreachable.to_owned(), RawServer::origin);
        let home = RefreshHome::with_tasks(&[ID]);
        let command = home.kietop(&origin, &["wait", "--timeout", "2s", "--json"]);

        let waited = wait_for_output({ command }.spawn().unwrap()).await;

        assert_eq!(waited.status.code(), Some(124), "{}", stderr(&waited));
        let lines: Vec<_> = stderr(&waited).lines().collect();
        let [blocked, timed_out] = lines[..] else {
            panic!("{lines:?}");
        };
        assert!(
            blocked
                .to_lowercase()
                .contains(&format!("checks blocked: {reason}")),
            "{blocked}"
        );
        assert!(
            timed_out.contains("; checks blocked since ") && timed_out.contains(reason),
            "{timed_out}"
        );
        assert_eq!(stdout(&waited), "");
    }
}

#[tokio::test]
async fn waiting_for_a_removed_task_fails() {
    let (mut api, _gate) = start_gated_server(RUNNING_BODY).await;
    let home = RefreshHome::with_tasks(&[ID]);
    let child = home.start(&api, &["wait", ID]);
    wait_for_requests(&mut api, 1).await;

    let removed = home.run(&api, &["remove", ID]).await;
    assert_eq!(removed.status.code(), Some(0), "{}", stderr(&removed));

    let waited = wait_for_output(child).await;
    assert_eq!(waited.status.code(), Some(5), "{}", stderr(&waited));
    assert!(
        stderr(&waited).contains("was removed from the list"),
        "{}",
        stderr(&waited)
    );
}

#[tokio::test]
async fn refresh_probes_a_shared_backoff_but_no_rate_limit() {
    let mut api = start_server(FAILED_BODY).await;
    let home = RefreshHome::with_tasks(&[ID]);
    share_backoff(&home, &api, rate_limited(60));
    let refreshed = home.run(&api, &["list", "--refresh"]).await;
    assert_eq!(refreshed.status.code(), Some(1), "{}", stderr(&refreshed));
    assert_eq!(api.requests().len(), 0);

    let home = RefreshHome::with_tasks(&[ID]);
    share_backoff(&home, &api, PollError::Unauthorized(401));
    let refreshed = home.run(&api, &["list", "--refresh"]).await;
    assert_eq!(refreshed.status.code(), Some(0), "{}", stderr(&refreshed));
    assert_eq!(home.task(&api, ID).await["state"], "failed");
}

// A refused key belongs to the account, not to the task: only the command that received the error
// reports it. The next command may have another key.
#[tokio::test]
async fn a_refused_key_is_reported_once_and_not_stored() {
    let home = RefreshHome::with_tasks(&[ID]);
    let running = start_server(RUNNING_BODY).await;
    home.run(&running, &["list", "--refresh"]).await;
    let before = home.task(&running, ID).await;
    let refusing = start_server(REFUSED_BODY).await;

    for args in [["show", ID, "--refresh"].as_slice(), &["list", "--refresh"]] {
        let refreshed = home.run(&refusing, args).await;
        assert_eq!(refreshed.status.code(), Some(4), "{}", stderr(&refreshed));
        assert!(stderr(&refreshed).contains("API key refused (401)"));
    }

    let after = home.task(&refusing, ID).await;
    assert_eq!(after, before, "the last known state and its age are kept");
    assert_eq!(after["checkError"], Value::Null);
    let listed = home.run(&refusing, &["list"]).await;
    assert_eq!((listed.status.code(), stderr(&listed)), (Some(0), ""));
}

const GATEWAY: &[u8] =
    b"HTTP/1.1 520 \r\nContent-Length: 15\r\nConnection: close\r\n\r\nerror code: 520";

#[tokio::test]
async fn a_not_found_answer_is_stored() {
    let api =
        RawServer::answering(http_response(r#"{"code":422,"msg":"recordInfo is null"}"#)).await;
    let home = RefreshHome::with_tasks(&["task-a", "task-b"]);

    let listed = home.run(&api, &["list", "--refresh", "--json"]).await;

    assert_eq!((listed.status.code(), stderr(&listed)), (Some(0), ""));
}

#[tokio::test]
async fn a_refresh_without_answers_fails_with_the_reason() {
    let ids = ["task-a", "task-b", "task-c", "task-d", "task-e", "task-f"];
    for (response, reason) in [
        (GATEWAY.to_vec(), "server error (520)"),
        (http_response("<html>"), "invalid answer"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{".to_vec(),
            "",
        ),
    ] {
        let api = RawServer::answering(response).await;
        let home = RefreshHome::with_tasks(&ids);

        let listed = home.run(&api, &["list", "--refresh", "--json"]).await;

        assert_eq!(listed.status.code(), Some(1), "{}", stderr(&listed));
        let message = stderr(&listed);
        let is_reported = message.contains("All 6 checks failed (") && message.contains(reason);
        assert!(is_reported && message.lines().count() == 1, "{message}");
        let shown: Value = serde_json::from_slice(&listed.stdout).unwrap();
        assert_eq!(
            shown.as_array().unwrap().len(),
            ids.len(),
            "the last known state is printed"
        );

        let shown = home.run(&api, &["show", "task-a", "--refresh"]).await;
        let message = stderr(&shown);
        assert_eq!(shown.status.code(), Some(1), "{message}");
        assert!(
            message.contains("The check failed: ") && message.contains(reason),
            "{message}"
        );
        assert!(stdout(&shown).contains("task-a"));
    }
}

#[tokio::test]
async fn a_partial_refresh_reports_the_failures() {
    let response = Step::reply(|head| {
        if head.contains("taskId=task-a") {
            http_response(RUNNING_BODY)
        } else if head.contains("taskId=task-b") {
            http_response("<html>")
        } else {
            GATEWAY.to_vec()
        }
    });
    let api = RawServer::start(vec![vec![Step::Read, response]]).await;
    let home = RefreshHome::with_tasks(&["task-a", "task-b", "task-c", "task-d"]);

    let listed = home.run(&api, &["list", "--refresh"]).await;

    assert_eq!(listed.status.code(), Some(0), "{}", stderr(&listed));
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
