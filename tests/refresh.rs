//! `--refresh` and `wait` beside signals and beside each other: the real program, several at once on one list.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code: what is not as expected is to fail loudly"
)]

#[path = "support/deadline.rs"]
mod deadline;
#[path = "support/raw_server.rs"]
mod raw_server;
#[path = "support/shield.rs"]
mod shield;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use kietop::{
    adapters::{desktop::SystemClock, kie::ApiOrigin, turns::FileTurns},
    domain::{
        report::PollError,
        turns::{Account, Word},
    },
    ports::Turns as _,
};
use raw_server::{RawServer, Step};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::sync::watch;

const ID: &str = "774d9a7dd608a0e49293903095e45a4c";
const OTHER: &str = "1f0c2b6f1d3b4a0c9c1f7c6b5a4e3d21";
const KEY: &str = "canary-key";

/// Is a home of its own with a list in it.
struct Home(tempfile::TempDir);

impl Home {
    fn with(ids: &[&str]) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let words = [&["add"], ids].concat();
        let added = home.kietop("http://127.0.0.1:9", &words).output().unwrap();
        assert!(added.status.success(), "{}", err(&added));
        home
    }

    fn list(&self) -> PathBuf {
        self.0.path().join("list.db")
    }

    /// Returns the book of turns beside the list.
    fn book(&self) -> PathBuf {
        self.0.path().join("list.db-turns")
    }

    /// Returns another instance's hand on that book.
    fn other_instance(&self) -> FileTurns {
        FileTurns::beside(self.list(), SystemClock::since_boot)
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
        ended(self.start(api, words)).await
    }

    /// Returns a task as it is on the list now.
    async fn task(&self, api: &RawServer, id: &str) -> Value {
        let shown = self.run(api, &["show", id, "--json"]).await;
        serde_json::from_slice(&shown.stdout).unwrap()
    }
}

async fn ended(child: Child) -> Output {
    tokio::task::spawn_blocking(move || deadline::wait(child, "kietop"))
        .await
        .unwrap()
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn http(body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}").into()
}

const RUNNING: &str = r#"{"code":200,"data":{"successFlag":0}}"#;
const NOT_MADE: &str = r#"{"code":200,"data":{"successFlag":3}}"#;
const REFUSED: &str = r#"{"code":401,"msg":"no"}"#;

async fn answering(body: &str) -> RawServer {
    RawServer::answering(http(body)).await
}

/// Starts a server that answers nobody before the gate is open.
async fn gated(body: &str) -> (RawServer, watch::Sender<bool>) {
    let (gate, is_open) = watch::channel(false);
    let script = vec![Step::Read, Step::Await(is_open), Step::Write(http(body))];
    (RawServer::start(vec![script]).await, gate)
}

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}

/// Waits until so many more questions were asked.
async fn asked(server: &mut RawServer, count: usize) {
    let mut seen = 0;
    until("so many questions", || {
        seen += server.requests().len();
        seen >= count
    })
    .await;
}

/// Returns how often each task was asked after.
fn tally(heads: &[(usize, String)]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for (_, head) in heads {
        let (_, rest) = head.split_once("taskId=").unwrap();
        let id = rest.split([' ', '&']).next().unwrap();
        *tally.entry(id.to_owned()).or_default() += 1;
    }
    tally
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).unwrap();
}

/// Starts a server that answers about one task and about no other.
async fn answering_about(id: &'static str, body: &'static str, others: Step) -> RawServer {
    let answer = Step::reply(move |head| {
        if head.contains(id) {
            http(body)
        } else {
            b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n".to_vec()
        }
    });
    RawServer::start(vec![vec![Step::Read, answer, others]]).await
}

// How soon is held by the tests of `cli::refresh`, which have a clock of their own.
#[tokio::test]
async fn one_signal_ends_a_refresh_with_what_came() {
    let silent = || Step::Hold;
    let dripping = || Step::Drip(b" ", Duration::from_millis(20));
    for (words, sent, others) in [
        (["list", "--refresh"].as_slice(), Signal::INT, silent()),
        (&["list", "--refresh"], Signal::TERM, dripping()),
        (&["list", "--refresh"], Signal::HUP, silent()),
        (&["list", "--refresh"], Signal::QUIT, dripping()),
        (&["show", OTHER, "--refresh"], Signal::INT, dripping()),
        (&["show", OTHER, "--refresh"], Signal::TERM, silent()),
        (&["show", OTHER, "--refresh"], Signal::HUP, dripping()),
    ] {
        if shield::is_ignored(sent) {
            continue;
        }
        let mut api = answering_about(ID, NOT_MADE, others).await;
        let home = Home::with(&[ID, OTHER]);
        let child = home.start(&api, words);
        let is_list = words.first() == Some(&"list");
        asked(&mut api, 1 + usize::from(is_list)).await;
        if is_list {
            until("the first answer is on the list", || {
                let shown = home.kietop("http://127.0.0.1:9", &["show", ID, "--json"]);
                out(&{ shown }.output().unwrap()).contains("\"failed\"")
            })
            .await;
        }

        signal(&child, sent);
        let ended = ended(child).await;

        let code = 128 + sent.as_raw();
        assert_eq!(ended.status.code(), Some(code), "{words:?} {ended:?}");
        assert_eq!(
            (out(&ended), err(&ended)),
            (
                "",
                "kietop: Interrupted; what was answered by then is kept.\n"
            )
        );
        let state = if is_list { "failed" } else { "new" };
        assert_eq!(home.task(&api, ID).await["state"], state, "{words:?}");
        let book = fs::read_to_string(home.book()).unwrap();
        assert!(!book.contains("asking"), "its turn is given back: {book}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn behind_nohup_a_command_outlives_its_terminal() {
    for words in [["list", "--refresh"].as_slice(), &["wait"]] {
        let (mut api, gate) = gated(NOT_MADE).await;
        let home = Home::with(&[ID]);
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
        asked(&mut api, 1).await;

        signal(&child, Signal::HUP);
        gate.send(true).unwrap();

        let ended = ended(child).await;
        let code = if words == ["wait"] { 3 } else { 0 };
        assert_eq!(ended.status.code(), Some(code), "{}", err(&ended));
        assert_eq!(home.task(&api, ID).await["state"], "failed", "{words:?}");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn who_was_killed_while_asking_holds_up_nobody() {
    let ids = ["task-a", "task-b", "task-c", "task-d"];
    let (mut api, gate) = gated(NOT_MADE).await;
    let home = Home::with(&ids);
    let killed = home.start(&api, &["list", "--refresh"]);
    asked(&mut api, 4).await;
    signal(&killed, Signal::KILL);
    gate.send(true).unwrap();
    ended(killed).await;
    let book = fs::read_to_string(home.book()).unwrap();
    assert_eq!(book.matches("asking").count(), 4, "{book}");

    // By themselves its turns would end after 25 seconds.
    let soon = Duration::from_secs(15);
    let refreshed = tokio::time::timeout(soon, home.run(&api, &["list", "--refresh"])).await;

    let refreshed = refreshed.expect("nobody is waited for");
    assert_eq!(refreshed.status.code(), Some(0), "{}", err(&refreshed));
    assert_eq!(out(&refreshed).matches("gen. failed").count(), ids.len());
}

#[tokio::test]
async fn two_refreshes_at_once_ask_after_each_task_once_between_them() {
    let ids = ["task-a", "task-b", "task-c", "task-d", "task-e", "task-f"];
    let (mut api, gate) = gated(NOT_MADE).await;
    let home = Home::with(&ids);
    let one = home.start(&api, &["list", "--refresh"]);
    let mut heads = Vec::new();
    until("four questions", || {
        heads.extend(api.requests());
        heads.len() == 4
    })
    .await;

    // Who has four under way does not touch the book; who comes to it writes it, whatever it finds.
    let written = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let before = written(&home.book());
    let other = home.start(&api, &["list", "--refresh"]);
    until("the other one looks for a turn", || {
        written(&home.book()) != before
    })
    .await;
    gate.send(true).unwrap();

    for child in [one, other] {
        let ended = ended(child).await;
        assert_eq!(ended.status.code(), Some(0), "{}", err(&ended));
        let rows = out(&ended).lines();
        assert!(
            rows.clone().all(|row| row.contains("gen. failed")),
            "{}",
            out(&ended)
        );
        assert_eq!(rows.count(), ids.len());
    }
    heads.extend(api.requests());
    let wanted = ids.map(|id| (id.to_owned(), 1));
    assert_eq!(tally(&heads), BTreeMap::from(wanted));
}

/// Has another instance say that the account is held back for so long.
fn hold(home: &Home, api: &RawServer, error: PollError, wait: Duration) {
    let origin = ApiOrigin::parse(&api.origin()).unwrap();
    let account = Account::of(origin.as_str(), KEY);
    let word = Word::Hold {
        error,
        failures: 1,
        wait,
    };
    home.other_instance().tell(&word, account);
}

const LIMITED: PollError = PollError::RateLimited {
    code: 429,
    retry_after: None,
};

#[tokio::test]
async fn waiting_waits_while_another_instance_holds_the_account_back() {
    // It ends in time, and nobody was asked.
    let mut api = answering(NOT_MADE).await;
    let home = Home::with(&[ID]);
    hold(&home, &api, LIMITED, Duration::from_mins(1));
    let waited = home.run(&api, &["wait", "--timeout", "1s", "--json"]).await;
    assert_eq!(waited.status.code(), Some(124), "{}", err(&waited));
    assert_eq!((api.requests().len(), out(&waited)), (0, ""));
    let said: Vec<_> = err(&waited).lines().collect();
    let [begun, ended] = said[..] else {
        panic!("{said:?}");
    };
    assert!(
        begun.starts_with("kietop: Checks blocked: asked too often (429)."),
        "{begun}"
    );
    let clause = "Timed out: 1 task has not finished; checks blocked since ";
    assert!(
        ended.contains(clause) && ended.contains(": asked too often (429). "),
        "{ended}"
    );

    // Once the hold is over it asks, and the server's own word counts.
    let home = Home::with(&[ID, OTHER]);
    hold(&home, &api, LIMITED, Duration::from_secs(1));
    let waited = home.run(&api, &["wait", "--timeout", "1m"]).await;
    assert_eq!(waited.status.code(), Some(3), "{}", err(&waited));
    assert_eq!(tally(&api.requests()).into_values().sum::<usize>(), 2);
    let said = err(&waited);
    assert_eq!(said.matches("Checks blocked").count(), 1, "{said}");
    assert_eq!(said.matches("Checks succeed again").count(), 1, "{said}");
}

#[tokio::test]
async fn a_key_that_another_instance_knows_as_refused_ends_the_wait() {
    let mut api = answering(NOT_MADE).await;
    let home = Home::with(&[ID]);
    let refused = PollError::Unauthorized(401);
    hold(&home, &api, refused.clone(), Duration::from_mins(5));

    let waited = home.run(&api, &["wait"]).await;

    assert_eq!(waited.status.code(), Some(4), "{}", err(&waited));
    assert!(
        err(&waited).contains("The API key was refused (401)."),
        "{}",
        err(&waited)
    );
    assert_eq!(api.requests().len(), 0);

    // A person's refresh tries it all the same, and then it counts no more.
    let refreshed = home.run(&api, &["list", "--refresh"]).await;
    assert_eq!(refreshed.status.code(), Some(0), "{}", err(&refreshed));
    let waited = home.run(&api, &["wait", ID]).await;
    assert_eq!(waited.status.code(), Some(3), "{}", err(&waited));
}

#[tokio::test]
async fn what_blocks_the_checks_is_said_from_the_beginning() {
    let nobody = "http://127.0.0.1:9";
    for (server, reason) in [
        (None, "offline: "),
        (Some(GATEWAY.to_vec()), "server trouble (520)"),
        (
            Some(http(r#"{"code":455,"msg":"no"}"#)),
            "the service is down for maintenance (455)",
        ),
        (
            Some(http(r#"{"code":429,"msg":"no"}"#)),
            "asked too often (429)",
        ),
        (Some(http("<html>")), "the answer made no sense"),
    ] {
        let server = match server {
            Some(bytes) => Some(RawServer::answering(bytes).await),
            None => None,
        };
        let origin = server.as_ref().map_or(nobody.to_owned(), RawServer::origin);
        let home = Home::with(&[ID]);
        let command = home.kietop(&origin, &["wait", "--timeout", "2s", "--json"]);

        let waited = ended({ command }.spawn().unwrap()).await;

        assert_eq!(waited.status.code(), Some(124), "{}", err(&waited));
        let said: Vec<_> = err(&waited).lines().collect();
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
        assert_eq!(out(&waited), "");
    }
}

#[tokio::test]
async fn waiting_for_a_task_that_is_removed_is_no_success() {
    let (mut api, _gate) = gated(RUNNING).await;
    let home = Home::with(&[ID]);
    let child = home.start(&api, &["wait", ID]);
    asked(&mut api, 1).await;

    let removed = home.run(&api, &["remove", ID]).await;
    assert_eq!(removed.status.code(), Some(0), "{}", err(&removed));

    let waited = ended(child).await;
    assert_eq!(waited.status.code(), Some(5), "{}", err(&waited));
    assert!(
        err(&waited).contains("was removed from the list"),
        "{}",
        err(&waited)
    );
}

#[tokio::test]
async fn a_refresh_tries_a_hold_of_another_at_once_but_not_a_limit() {
    let mut api = answering(NOT_MADE).await;
    let home = Home::with(&[ID]);
    hold(&home, &api, LIMITED, Duration::from_mins(1));
    let refreshed = home.run(&api, &["list", "--refresh"]).await;
    assert_eq!(refreshed.status.code(), Some(1), "{}", err(&refreshed));
    assert_eq!(api.requests().len(), 0);

    let home = Home::with(&[ID]);
    hold(
        &home,
        &api,
        PollError::Unauthorized(401),
        Duration::from_mins(1),
    );
    let refreshed = home.run(&api, &["list", "--refresh"]).await;
    assert_eq!(refreshed.status.code(), Some(0), "{}", err(&refreshed));
    assert_eq!(home.task(&api, ID).await["state"], "failed");
}

// It is the account's, not the task's: it is said by the command that heard it. The next one may have another key.
#[tokio::test]
async fn a_refused_key_is_said_once_and_is_nothing_the_list_knows_of_a_task() {
    let home = Home::with(&[ID]);
    let running = answering(RUNNING).await;
    home.run(&running, &["list", "--refresh"]).await;
    let before = home.task(&running, ID).await;
    let refusing = answering(REFUSED).await;

    for words in [["show", ID, "--refresh"].as_slice(), &["list", "--refresh"]] {
        let refreshed = home.run(&refusing, words).await;
        assert_eq!(refreshed.status.code(), Some(4), "{}", err(&refreshed));
        assert!(err(&refreshed).contains("The API key was refused (401)"));
    }

    let after = home.task(&refusing, ID).await;
    assert_eq!(after, before, "as last known, with the age of that");
    assert_eq!(after["checkError"], Value::Null);
    let listed = home.run(&refusing, &["list"]).await;
    assert_eq!((listed.status.code(), err(&listed)), (Some(0), ""));
}

const GATEWAY: &[u8] =
    b"HTTP/1.1 520 \r\nContent-Length: 15\r\nConnection: close\r\n\r\nerror code: 520";

#[tokio::test]
async fn that_the_server_knows_no_such_task_is_learnt() {
    let api = RawServer::answering(http(r#"{"code":422,"msg":"recordInfo is null"}"#)).await;
    let home = Home::with(&["task-a", "task-b"]);

    let listed = home.run(&api, &["list", "--refresh", "--json"]).await;

    assert_eq!((listed.status.code(), err(&listed)), (Some(0), ""));
}

#[tokio::test]
async fn a_refresh_that_learnt_nothing_fails_with_the_reason() {
    let six = ["task-a", "task-b", "task-c", "task-d", "task-e", "task-f"];
    for (bytes, reason) in [
        (GATEWAY.to_vec(), "server trouble (520)"),
        (http("<html>"), "the answer made no sense"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{".to_vec(),
            "",
        ),
    ] {
        let api = RawServer::answering(bytes).await;
        let home = Home::with(&six);

        let listed = home.run(&api, &["list", "--refresh", "--json"]).await;

        assert_eq!(listed.status.code(), Some(1), "{}", err(&listed));
        let said = err(&listed);
        let told = said.contains("All 6 checks failed (") && said.contains(reason);
        assert!(told && said.lines().count() == 1, "{said}");
        let shown: Value = serde_json::from_slice(&listed.stdout).unwrap();
        assert_eq!(shown.as_array().unwrap().len(), six.len(), "as last known");

        let shown = home.run(&api, &["show", "task-a", "--refresh"]).await;
        let said = err(&shown);
        assert_eq!(shown.status.code(), Some(1), "{said}");
        assert!(
            said.contains("The check failed: ") && said.contains(reason),
            "{said}"
        );
        assert!(out(&shown).contains("task-a"));
    }
}

#[tokio::test]
async fn a_refresh_that_learnt_a_part_says_what_failed() {
    let answer = Step::reply(|head| {
        if head.contains("taskId=task-a") {
            http(RUNNING)
        } else if head.contains("taskId=task-b") {
            http("<html>")
        } else {
            GATEWAY.to_vec()
        }
    });
    let api = RawServer::start(vec![vec![Step::Read, answer]]).await;
    let home = Home::with(&["task-a", "task-b", "task-c", "task-d"]);

    let listed = home.run(&api, &["list", "--refresh"]).await;

    assert_eq!(listed.status.code(), Some(0), "{}", err(&listed));
    let said = err(&listed);
    assert!(said.starts_with("kietop: 3 of 4 checks failed ("), "{said}");
    for reason in ["server trouble (520): 2", "the answer made no sense: 1"] {
        assert!(said.contains(reason), "{said}");
    }
    assert_eq!(said.lines().count(), 1, "{said}");
}
