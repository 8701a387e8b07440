//! `--refresh` and `wait` beside signals and beside each other: the real program, several at once
//! on one list.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code: what is not as expected is to fail loudly"
)]

#[path = "support/deadline.rs"]
mod deadline;
#[path = "support/nohup.rs"]
mod nohup;
#[path = "support/raw_server.rs"]
mod raw_server;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use kietop::{
    adapters::{desktop::SystemClock, file_limiter::FileLimiter, kie::ApiOrigin},
    domain::{
        limiter::{AccountHash, Broadcast},
        poll_result::PollError,
    },
    ports::RequestLimiter as _,
};
use raw_server::{RawServer, Step};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::sync::watch;

const ID: &str = "774d9a7dd608a0e49293903095e45a4c";
const OTHER_ID: &str = "1f0c2b6f1d3b4a0c9c1f7c6b5a4e3d21";
const KEY: &str = "canary-key";

/// Is a home of its own with a list in it.
struct RefreshHome(tempfile::TempDir);

impl RefreshHome {
    fn with_tasks(ids: &[&str]) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let words = [&["add"], ids].concat();
        let added = home.kietop("http://127.0.0.1:9", &words).output().unwrap();
        assert!(added.status.success(), "{}", stderr(&added));
        home
    }

    fn list(&self) -> PathBuf {
        self.0.path().join("list.db")
    }

    /// Returns the book of turns beside the list.
    fn limiter_file(&self) -> PathBuf {
        self.0.path().join("list.db-turns")
    }

    /// Returns another instance's hand on that book.
    fn other_instance(&self) -> FileLimiter {
        FileLimiter::for_list(self.list(), SystemClock::since_boot)
    }

    fn kietop(&self, api: &str, words: &[&str]) -> Command {
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
            .args(words);
        command
    }

    fn start(&self, api: &RawServer, words: &[&str]) -> Child {
        self.kietop(&api.origin(), words).spawn().unwrap()
    }

    /// Runs a command, off the thread on which the server answers it.
    async fn run(&self, api: &RawServer, words: &[&str]) -> Output {
        wait_for_output(self.start(api, words)).await
    }

    /// Returns a task as it is on the list now.
    async fn task(&self, api: &RawServer, id: &str) -> Value {
        let shown = self.run(api, &["show", id, "--json"]).await;
        serde_json::from_slice(&shown.stdout).unwrap()
    }
}

async fn wait_for_output(child: Child) -> Output {
    tokio::task::spawn_blocking(move || deadline::wait_with_deadline(child, "kietop"))
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

/// Starts a server that answers nobody before the gate is open.
async fn start_gated_server(body: &str) -> (RawServer, watch::Sender<bool>) {
    let (gate, is_open) = watch::channel(false);
    let script = vec![
        Step::Read,
        Step::Await(is_open),
        Step::Write(http_response(body)),
    ];
    (RawServer::start(vec![script]).await, gate)
}

/// Waits until something is so.
async fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

/// Waits until so many more questions were asked.
async fn wait_for_requests(server: &mut RawServer, count: usize) {
    let mut seen = 0;
    wait_until("so many questions", || {
        seen += server.requests().len();
        seen >= count
    })
    .await;
}

/// Returns how often each task was asked after.
fn count_by_task(heads: &[(usize, String)]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for (_, head) in heads {
        let (_, rest) = head.split_once("taskId=").unwrap();
        let id = rest.split([' ', '&']).next().unwrap();
        *tally.entry(id.to_owned()).or_default() += 1;
    }
    tally
}

fn send_signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Starts a server that answers about one task and about no other.
async fn start_server_for(id: &'static str, body: &'static str, others: Step) -> RawServer {
    let answer = Step::reply(move |head| {
        if head.contains(id) {
            http_response(body)
        } else {
            b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n".to_vec()
        }
    });
    RawServer::start(vec![vec![Step::Read, answer, others]]).await
}

// How soon is held by the tests of `cli::refresh`, which have a clock of their own.
#[tokio::test]
async fn one_signal_ends_a_refresh_and_keeps_answers() {
    let silent = || Step::Hold;
    let dripping = || Step::Drip(b" ", Duration::from_millis(20));
    for (words, sent, others) in [
        (["list", "--refresh"].as_slice(), Signal::INT, silent()),
        (&["list", "--refresh"], Signal::TERM, dripping()),
        (&["list", "--refresh"], Signal::HUP, silent()),
        (&["list", "--refresh"], Signal::QUIT, dripping()),
        (&["show", OTHER_ID, "--refresh"], Signal::INT, dripping()),
        (&["show", OTHER_ID, "--refresh"], Signal::TERM, silent()),
        (&["show", OTHER_ID, "--refresh"], Signal::HUP, dripping()),
    ] {
        if nohup::is_ignored(sent) {
            continue;
        }
        let mut api = start_server_for(ID, FAILED_BODY, others).await;
        let home = RefreshHome::with_tasks(&[ID, OTHER_ID]);
        let child = home.start(&api, words);
        let is_list = words.first() == Some(&"list");
        wait_for_requests(&mut api, 1 + usize::from(is_list)).await;
        if is_list {
            wait_until("the first answer is on the list", || {
                let shown = home.kietop("http://127.0.0.1:9", &["show", ID, "--json"]);
                stdout(&{ shown }.output().unwrap()).contains("\"failed\"")
            })
            .await;
        }

        send_signal(&child, sent);
        let ended = wait_for_output(child).await;

        let code = 128 + sent.as_raw();
        assert_eq!(ended.status.code(), Some(code), "{words:?} {ended:?}");
        assert_eq!(
            (stdout(&ended), stderr(&ended)),
            (
                "",
                "kietop: Interrupted. The answers received so far are kept.\n"
            )
        );
        let state = if is_list { "failed" } else { "new" };
        assert_eq!(home.task(&api, ID).await["state"], state, "{words:?}");
        let book = fs::read_to_string(home.limiter_file()).unwrap();
        assert!(!book.contains("asking"), "its turn is given back: {book}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn under_nohup_a_command_survives_a_hang_up() {
    for words in [["list", "--refresh"].as_slice(), &["wait"]] {
        let (mut api, gate) = start_gated_server(FAILED_BODY).await;
        let home = RefreshHome::with_tasks(&[ID]);
        let plain = home.kietop(&api.origin(), words);
        let mut shielded = Command::new("/bin/sh");
        shielded
            .args(["-c", "trap '' HUP; exec \"$0\" \"$@\""])
            .arg(plain.get_program())
            .args(plain.get_args())
            .env_clear()
            .envs(
                plain
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = shielded.spawn().unwrap();
        wait_for_requests(&mut api, 1).await;

        send_signal(&child, Signal::HUP);
        gate.send(true).unwrap();

        let ended = wait_for_output(child).await;
        let code = if words == ["wait"] { 3 } else { 0 };
        assert_eq!(ended.status.code(), Some(code), "{}", stderr(&ended));
        assert_eq!(home.task(&api, ID).await["state"], "failed", "{words:?}");
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
    let book = fs::read_to_string(home.limiter_file()).unwrap();
    assert_eq!(book.matches("asking").count(), 4, "{book}");

    // By themselves its turns would end after 25 seconds.
    let soon = Duration::from_secs(15);
    let refreshed = tokio::time::timeout(soon, home.run(&api, &["list", "--refresh"])).await;

    let refreshed = refreshed.expect("nobody is waited for");
    assert_eq!(refreshed.status.code(), Some(0), "{}", stderr(&refreshed));
    assert_eq!(stdout(&refreshed).matches("failed").count(), ids.len());
}

#[tokio::test]
async fn two_refreshes_check_each_task_once() {
    let ids = ["task-a", "task-b", "task-c", "task-d", "task-e", "task-f"];
    let (mut api, gate) = start_gated_server(FAILED_BODY).await;
    let home = RefreshHome::with_tasks(&ids);
    let one = home.start(&api, &["list", "--refresh"]);
    let mut heads = Vec::new();
    wait_until("four questions", || {
        heads.extend(api.requests());
        heads.len() == 4
    })
    .await;

    // Who has four under way does not touch the book; who comes to it writes it, whatever it finds.
    let written = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let before = written(&home.limiter_file());
    let other = home.start(&api, &["list", "--refresh"]);
    wait_until("the other one looks for a turn", || {
        written(&home.limiter_file()) != before
    })
    .await;
    gate.send(true).unwrap();

    for child in [one, other] {
        let ended = wait_for_output(child).await;
        assert_eq!(ended.status.code(), Some(0), "{}", stderr(&ended));
        let rows = stdout(&ended).lines();
        assert!(
            rows.clone().all(|row| row.contains("failed")),
            "{}",
            stdout(&ended)
        );
        assert_eq!(rows.count(), ids.len());
    }
    heads.extend(api.requests());
    let wanted = ids.map(|id| (id.to_owned(), 1));
    assert_eq!(count_by_task(&heads), BTreeMap::from(wanted));
}

/// Has another instance say that the account is held back for so long.
fn share_backoff(home: &RefreshHome, api: &RawServer, error: PollError, wait: Duration) {
    let origin = ApiOrigin::parse(&api.origin()).unwrap();
    let account = AccountHash::new(origin.as_str(), KEY);
    let word = Broadcast::Backoff {
        error,
        failures: 1,
        wait,
    };
    home.other_instance().broadcast(&word, account);
}

const RATE_LIMITED: PollError = PollError::RateLimited {
    code: 429,
    retry_after: None,
};

#[tokio::test]
async fn wait_respects_a_shared_backoff() {
    // It ends in time, and nobody was asked.
    let mut api = start_server(FAILED_BODY).await;
    let home = RefreshHome::with_tasks(&[ID]);
    share_backoff(&home, &api, RATE_LIMITED, Duration::from_mins(1));
    let waited = home.run(&api, &["wait", "--timeout", "1s", "--json"]).await;
    assert_eq!(waited.status.code(), Some(124), "{}", stderr(&waited));
    assert_eq!((api.requests().len(), stdout(&waited)), (0, ""));
    let said: Vec<_> = stderr(&waited).lines().collect();
    let [begun, ended] = said[..] else {
        panic!("{said:?}");
    };
    assert!(
        begun.starts_with("kietop: Checks blocked: too many requests (429)."),
        "{begun}"
    );
    let clause = "Timed out: 1 task has not finished; checks blocked since ";
    assert!(
        ended.contains(clause) && ended.contains(": too many requests (429). "),
        "{ended}"
    );

    // Once the hold is over it asks, and the server's own word counts.
    let home = RefreshHome::with_tasks(&[ID, OTHER_ID]);
    share_backoff(&home, &api, RATE_LIMITED, Duration::from_secs(1));
    let waited = home.run(&api, &["wait", "--timeout", "1m"]).await;
    assert_eq!(waited.status.code(), Some(3), "{}", stderr(&waited));
    assert_eq!(
        count_by_task(&api.requests()).into_values().sum::<usize>(),
        2
    );
    let said = stderr(&waited);
    assert_eq!(said.matches("Checks blocked").count(), 1, "{said}");
    assert_eq!(said.matches("Checks work again").count(), 1, "{said}");
}

#[tokio::test]
async fn a_key_known_as_refused_ends_the_wait() {
    let mut api = start_server(FAILED_BODY).await;
    let home = RefreshHome::with_tasks(&[ID]);
    let refused = PollError::Unauthorized(401);
    share_backoff(&home, &api, refused.clone(), Duration::from_mins(5));

    let waited = home.run(&api, &["wait"]).await;

    assert_eq!(waited.status.code(), Some(4), "{}", stderr(&waited));
    assert!(
        stderr(&waited).contains("API key refused (401)."),
        "{}",
        stderr(&waited)
    );
    assert_eq!(api.requests().len(), 0);

    // A person's refresh tries it all the same, and then it counts no more.
    let refreshed = home.run(&api, &["list", "--refresh"]).await;
    assert_eq!(refreshed.status.code(), Some(0), "{}", stderr(&refreshed));
    let waited = home.run(&api, &["wait", ID]).await;
    assert_eq!(waited.status.code(), Some(3), "{}", stderr(&waited));
}

#[tokio::test]
async fn wait_reports_a_block_at_once() {
    let nobody = "http://127.0.0.1:9";
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
        let origin = server.as_ref().map_or(nobody.to_owned(), RawServer::origin);
        let home = RefreshHome::with_tasks(&[ID]);
        let command = home.kietop(&origin, &["wait", "--timeout", "2s", "--json"]);

        let waited = wait_for_output({ command }.spawn().unwrap()).await;

        assert_eq!(waited.status.code(), Some(124), "{}", stderr(&waited));
        let said: Vec<_> = stderr(&waited).lines().collect();
        let [begun, end] = said[..] else {
            panic!("{said:?}");
        };
        assert!(
            begun
                .to_lowercase()
                .contains(&format!("checks blocked: {reason}")),
            "{begun}"
        );
        assert!(
            end.contains("; checks blocked since ") && end.contains(reason),
            "{end}"
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
    share_backoff(&home, &api, RATE_LIMITED, Duration::from_mins(1));
    let refreshed = home.run(&api, &["list", "--refresh"]).await;
    assert_eq!(refreshed.status.code(), Some(1), "{}", stderr(&refreshed));
    assert_eq!(api.requests().len(), 0);

    let home = RefreshHome::with_tasks(&[ID]);
    share_backoff(
        &home,
        &api,
        PollError::Unauthorized(401),
        Duration::from_mins(1),
    );
    let refreshed = home.run(&api, &["list", "--refresh"]).await;
    assert_eq!(refreshed.status.code(), Some(0), "{}", stderr(&refreshed));
    assert_eq!(home.task(&api, ID).await["state"], "failed");
}

// It is the account's, not the task's: it is said by the command that heard it. The next one may
// have another key.
#[tokio::test]
async fn a_refused_key_is_reported_once_and_not_stored() {
    let home = RefreshHome::with_tasks(&[ID]);
    let running = start_server(RUNNING_BODY).await;
    home.run(&running, &["list", "--refresh"]).await;
    let before = home.task(&running, ID).await;
    let refusing = start_server(REFUSED_BODY).await;

    for words in [["show", ID, "--refresh"].as_slice(), &["list", "--refresh"]] {
        let refreshed = home.run(&refusing, words).await;
        assert_eq!(refreshed.status.code(), Some(4), "{}", stderr(&refreshed));
        assert!(stderr(&refreshed).contains("API key refused (401)"));
    }

    let after = home.task(&refusing, ID).await;
    assert_eq!(after, before, "as last known, with the age of that");
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
    let six = ["task-a", "task-b", "task-c", "task-d", "task-e", "task-f"];
    for (bytes, reason) in [
        (GATEWAY.to_vec(), "server error (520)"),
        (http_response("<html>"), "invalid answer"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{".to_vec(),
            "",
        ),
    ] {
        let api = RawServer::answering(bytes).await;
        let home = RefreshHome::with_tasks(&six);

        let listed = home.run(&api, &["list", "--refresh", "--json"]).await;

        assert_eq!(listed.status.code(), Some(1), "{}", stderr(&listed));
        let said = stderr(&listed);
        let told = said.contains("All 6 checks failed (") && said.contains(reason);
        assert!(told && said.lines().count() == 1, "{said}");
        let shown: Value = serde_json::from_slice(&listed.stdout).unwrap();
        assert_eq!(shown.as_array().unwrap().len(), six.len(), "as last known");

        let shown = home.run(&api, &["show", "task-a", "--refresh"]).await;
        let said = stderr(&shown);
        assert_eq!(shown.status.code(), Some(1), "{said}");
        assert!(
            said.contains("The check failed: ") && said.contains(reason),
            "{said}"
        );
        assert!(stdout(&shown).contains("task-a"));
    }
}

#[tokio::test]
async fn a_partial_refresh_reports_the_failures() {
    let answer = Step::reply(|head| {
        if head.contains("taskId=task-a") {
            http_response(RUNNING_BODY)
        } else if head.contains("taskId=task-b") {
            http_response("<html>")
        } else {
            GATEWAY.to_vec()
        }
    });
    let api = RawServer::start(vec![vec![Step::Read, answer]]).await;
    let home = RefreshHome::with_tasks(&["task-a", "task-b", "task-c", "task-d"]);

    let listed = home.run(&api, &["list", "--refresh"]).await;

    assert_eq!(listed.status.code(), Some(0), "{}", stderr(&listed));
    let said = stderr(&listed);
    assert!(said.starts_with("kietop: 3 of 4 checks failed ("), "{said}");
    for reason in ["server error (520): 2", "invalid answer: 1"] {
        assert!(said.contains(reason), "{said}");
    }
    assert_eq!(said.lines().count(), 1, "{said}");
}
