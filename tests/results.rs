//! `wait`, `save` and `open` as scripts use them: the real program against servers that do as they are told.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
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
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use raw_server::{RawServer, Step};
use serde_json::Value;

const ID: &str = "774d9a7dd608a0e49293903095e45a4c";
const OTHER: &str = "1f0c2b6f1d3b4a0c9c1f7c6b5a4e3d21";
const FILM: &[u8] = include_bytes!("../assets/demo/city-result.mp4");

/// Is a home of its own with a list in it.
struct Home(tempfile::TempDir);

impl Home {
    fn with(ids: &[&str]) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let mut words = vec!["add"];
        words.extend(ids);
        let added = home.kietop("http://127.0.0.1:9", &words).output().unwrap();
        assert!(added.status.success(), "{}", err(&added));
        home
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn kietop(&self, api: &str, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kietop"));
        command
            .env_clear()
            .env("HOME", self.path())
            .env("KIE_API_KEY", "canary-key")
            .env("KIETOP_API_URL", api)
            .current_dir(self.path())
            .stdin(Stdio::null())
            .args(words);
        command
    }

    /// Runs a command, off the thread on which the server answers it.
    async fn run(&self, api: &str, words: &[&str]) -> Output {
        let mut command = self.kietop(api, words);
        tokio::task::spawn_blocking(move || deadline::output(&mut command))
            .await
            .unwrap()
    }

    /// Returns the files under the folder of videos.
    fn videos(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.path().join("Videos/kietop")) else {
            return Vec::new();
        };
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn http(kind: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {kind}\r\nContent-Length: {}\r\n{headers}Connection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Answers after tasks by the last words of the path, and sends the film for anything else.
fn answers(head: &str, origin: &str, flag: u8) -> Vec<u8> {
    let line = head.lines().next().unwrap_or_default();
    if line.contains("record-info") {
        let results = if flag == 1 {
            format!("[\"{origin}/v.mp4\"]")
        } else {
            "[]".to_owned()
        };
        let body = format!(
            r#"{{"code":200,"msg":"success","data":{{"successFlag":{flag},"response":{{"resultUrls":{results}}}}}}}"#
        );
        return http("200 OK", "", body.as_bytes());
    }
    http("200 OK", "ETag: \"v1\"\r\n", FILM)
}

/// Starts an API, and a file host at another address, that give every task this ending.
async fn world(flag: u8) -> (RawServer, RawServer) {
    let files = RawServer::answering(http("200 OK", "ETag: \"v1\"\r\n", FILM)).await;
    let origin = files.origin();
    let answer = Step::reply(move |head| answers(head, &origin, flag));
    let api = RawServer::start(vec![vec![Step::Read, answer]]).await;
    (api, files)
}

#[tokio::test]
async fn waiting_tells_how_each_ended() {
    let (api, _files) = world(1).await;
    let home = Home::with(&[ID, OTHER]);

    let waited = home.run(&api.origin(), &["wait", "--json"]).await;

    assert_eq!(waited.status.code(), Some(0), "{}", err(&waited));
    let ended: Vec<Value> = out(&waited)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut ids: Vec<_> = ended
        .iter()
        .map(|task| task["taskId"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [OTHER, ID]);
    assert!(ended.iter().all(|task| task["state"] == "succeeded"));

    // What has ended is said at once, and nobody is asked.
    let again = home.run("http://127.0.0.1:9", &["wait", &ID[..6]]).await;
    assert_eq!(
        (again.status.code(), out(&again)),
        (Some(0), &*format!("{ID} succeeded\n"))
    );
    let nothing = home.run("http://127.0.0.1:9", &["wait"]).await;
    assert_eq!((nothing.status.code(), out(&nothing)), (Some(0), ""));
}

#[tokio::test]
async fn waiting_ends_with_the_code_of_what_happened() {
    let (failing, _files) = world(3).await;
    let home = Home::with(&[ID]);
    let waited = home.run(&failing.origin(), &["wait", ID]).await;
    assert_eq!(waited.status.code(), Some(3), "{}", err(&waited));
    assert_eq!(out(&waited), format!("{ID} failed\n"));

    let (running, _files) = world(0).await;
    let home = Home::with(&[ID]);
    let waited = home
        .run(&running.origin(), &["wait", "--timeout", "1s"])
        .await;
    assert_eq!(waited.status.code(), Some(124), "{}", err(&waited));
    assert!(
        err(&waited).contains("Timed out: 1 task has not finished. Run the same command"),
        "{}",
        err(&waited)
    );

    let refused = http("200 OK", "", br#"{"code":401,"msg":"no"}"#);
    let refusing = RawServer::answering(refused).await;
    let waited = home.run(&refusing.origin(), &["wait"]).await;
    assert_eq!(waited.status.code(), Some(4), "{}", err(&waited));

    let waited = home
        .run(&running.origin(), &["wait", "--timeout", "soon"])
        .await;
    assert_eq!(waited.status.code(), Some(2));
    let waited = home.run(&running.origin(), &["wait", "no-such-task"]).await;
    assert_eq!(waited.status.code(), Some(5));
}

#[tokio::test]
async fn waiting_is_interrupted_by_ctrl_c() {
    let (mut api, _files) = world(0).await;
    let home = Home::with(&[ID]);
    let child = home
        .kietop(&api.origin(), &["wait"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    asked(&mut api).await;

    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();

    let waited = tokio::task::spawn_blocking(move || deadline::wait(child, "kietop wait"));
    let waited = waited.await.unwrap();
    assert_eq!(waited.status.code(), Some(130), "{}", err(&waited));
}

/// Waits until a server was asked.
async fn asked(server: &mut RawServer) {
    for _ in 0..1000 {
        if !server.requests().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("nobody asks");
}

#[tokio::test]
async fn only_the_tasks_waited_for_are_asked_after() {
    let (mut api, _files) = world(1).await;
    let home = Home::with(&[ID, OTHER]);

    let waited = home.run(&api.origin(), &["wait", ID]).await;

    assert_eq!(out(&waited), format!("{ID} succeeded\n"));
    let heads = api.requests();
    assert!(heads.iter().all(|(_, head)| head.contains(ID)), "{heads:?}");
}

#[tokio::test]
async fn a_result_is_saved_named_and_known_as_saved() {
    let (api, mut files) = world(1).await;
    let home = Home::with(&[ID]);
    home.run(&api.origin(), &["wait"]).await;

    // Named twice it is fetched once.
    let words = ["save", &ID[..4], ID, &ID[..6]];
    let saved = home.run(&api.origin(), &words).await;

    assert_eq!(saved.status.code(), Some(0), "{}", err(&saved));
    let path = home
        .path()
        .join("Videos/kietop")
        .join(format!("{}.mp4", &ID[..16]));
    assert_eq!(out(&saved), format!("{ID} saved {}\n", path.display()));
    assert_eq!(fs::read(&path).unwrap(), FILM);
    assert_eq!(home.videos(), std::slice::from_ref(&path));
    assert!(!err(&saved).contains('\r'), "no progress in a pipe");
    let requests = files.requests();
    assert_eq!(requests.len(), 1);
    for (_, head) in requests {
        assert!(
            !head.to_ascii_lowercase().contains("authorization"),
            "{head}"
        );
    }

    let listed = home.run(&api.origin(), &["list", "--json"]).await;
    let listed: Value = serde_json::from_str(out(&listed)).unwrap();
    assert_eq!(listed[0]["savedTo"], path.to_str().unwrap());
    assert_eq!(listed[0]["savedFiles"][0], path.to_str().unwrap());
    let shown = home.run(&api.origin(), &["show", ID]).await;
    assert!(
        out(&shown).contains(&format!("saved to {}", path.display())),
        "{}",
        out(&shown)
    );

    let again = home.run(&api.origin(), &["save", ID]).await;
    assert_eq!(
        out(&again),
        format!("{ID} saved already {}\n", path.display())
    );
    let on_disk = ["list", "--filter", "state:saved"];
    let listed = home.run(&api.origin(), &on_disk).await;
    assert!(out(&listed).starts_with(ID), "{}", out(&listed));
    fs::remove_file(&path).unwrap();
    let listed = home.run(&api.origin(), &on_disk).await;
    assert_eq!(out(&listed), "", "what is not there is not found");
    let listed = home.run(&api.origin(), &["list", "--json"]).await;
    let listed: Value = serde_json::from_str(out(&listed)).unwrap();
    assert_eq!(
        listed[0]["savedTo"],
        Value::Null,
        "what is not there is not saved"
    );
    let elsewhere = home
        .run(&api.origin(), &["save", ID, "--dir", "out/here"])
        .await;
    assert_eq!(elsewhere.status.code(), Some(0), "{}", err(&elsewhere));
    assert_eq!(
        fs::read_dir(home.path().join("out/here")).unwrap().count(),
        1
    );
}

#[tokio::test]
async fn a_result_that_is_not_there_yet_is_waited_for() {
    let missing = || {
        vec![
            Step::Read,
            Step::Write(http("404 Not Found", "", b"<Error/>")),
        ]
    };
    let film = vec![Step::Read, Step::Write(http("200 OK", "", FILM))];
    let mut files = RawServer::start(vec![missing(), film]).await;
    let origin = files.origin();
    let answer = Step::reply(move |head| {
        if head.starts_with("POST") {
            return http("200 OK", "", br#"{"code":404,"msg":"no"}"#);
        }
        answers(head, &origin, 1)
    });
    let api = RawServer::start(vec![vec![Step::Read, answer]]).await;
    let home = Home::with(&[ID]);
    home.run(&api.origin(), &["wait"]).await;

    let saved = home.run(&api.origin(), &["save", ID]).await;

    assert_eq!(saved.status.code(), Some(0), "{}", err(&saved));
    let expected = format!("kietop: {ID}: not there yet (404). Next try in 5s.\n");
    assert_eq!(err(&saved), expected);
    assert_eq!((home.videos().len(), files.requests().len()), (1, 2));
}

#[tokio::test]
async fn what_was_noted_of_a_removed_task_is_shown() {
    let home = Home::with(&[ID]);
    let nowhere = "http://127.0.0.1:9";
    home.run(nowhere, &["remove", ID]).await;

    let shown = home.run(nowhere, &["show", ID]).await;

    assert_eq!(shown.status.code(), Some(0), "{}", err(&shown));
    let text = out(&shown);
    assert!(text.contains("list          removed\n"), "{text}");
    assert!(
        text.contains("added to the list\n") && text.contains("removed from the list\n"),
        "{text}"
    );
    let unknown = home.run(nowhere, &["show", OTHER]).await;
    assert_eq!((unknown.status.code(), out(&unknown)), (Some(5), ""));
}

#[tokio::test]
async fn what_cannot_be_saved_is_said_and_the_rest_is_saved() {
    let (api, _files) = world(1).await;
    let home = Home::with(&[ID, OTHER]);
    home.run(&api.origin(), &["wait", ID]).await;

    let saved = home.run(&api.origin(), &["save", OTHER, ID]).await;

    assert_eq!(saved.status.code(), Some(1), "{}", err(&saved));
    assert!(
        out(&saved).starts_with(&format!("{ID} saved ")),
        "{}",
        out(&saved)
    );
    assert!(
        err(&saved).contains("there is no result to save (new)"),
        "{}",
        err(&saved)
    );
    let read_only = home.run(&api.origin(), &["--read-only", "save", ID]).await;
    assert_eq!(read_only.status.code(), Some(2));
}

/// Answers the first request with a beginning, and then holds; any other with the rest, or all of it.
fn holding() -> Vec<Vec<Step>> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nETag: \"v1\"\r\n\r\n",
        FILM.len()
    );
    let beginning = [head.as_bytes(), &FILM[..30_000]].concat();
    let rest = Step::reply(|head| {
        let from = head.lines().find_map(|line| {
            let line = line.to_ascii_lowercase();
            line.strip_prefix("range: bytes=")?
                .trim_end_matches('-')
                .parse()
                .ok()
        });
        let from: usize = from.unwrap_or_default();
        if from == 0 {
            return http("200 OK", "ETag: \"v1\"\r\n", FILM);
        }
        let range = format!(
            "Content-Range: bytes {from}-{}/{}\r\nETag: \"v1\"\r\n",
            FILM.len() - 1,
            FILM.len()
        );
        http("206 Partial Content", &range, &FILM[from..])
    });
    vec![
        vec![Step::Read, Step::Write(beginning), Step::Hold],
        vec![Step::Read, rest],
    ]
}

#[tokio::test]
async fn a_kill_leaves_no_wrong_file_and_the_next_save_ends_right() {
    use rustix::process::Signal;
    for signal in [
        Signal::KILL,
        Signal::INT,
        Signal::TERM,
        Signal::HUP,
        Signal::QUIT,
    ] {
        if shield::is_ignored(signal) {
            continue;
        }
        let files = RawServer::start(holding()).await;
        let origin = files.origin();
        let answer = Step::reply(move |head| answers(head, &origin, 1));
        let api = RawServer::start(vec![vec![Step::Read, answer]]).await;
        let home = Home::with(&[ID]);
        home.run(&api.origin(), &["wait"]).await;
        let child = home
            .kietop(&api.origin(), &["save", ID])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        for _ in 0..1000 {
            let has_some =
                |path: &PathBuf| fs::metadata(path).is_ok_and(|part| part.len() > 20_000);
            if home.videos().iter().any(has_some) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }

        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, signal).unwrap();
        let ended = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
        let ended = ended.await.unwrap();

        let (code, said) = match signal {
            Signal::KILL => (None, ""),
            signal => (
                Some(128 + signal.as_raw()),
                "kietop: Interrupted; what came is kept, and the same command goes on.\n",
            ),
        };
        assert_eq!((ended.status.code(), err(&ended)), (code, said));
        let killed_by = (signal == Signal::KILL).then_some(9);
        assert_eq!(ended.status.signal(), killed_by);
        let names = home.videos();
        let is_leftover = |path: &PathBuf| {
            path.extension()
                .is_some_and(|end| end == "part" || end == "meta")
        };
        assert!(
            !names.is_empty() && names.iter().all(is_leftover),
            "{names:?}"
        );

        let saved = home.run(&api.origin(), &["save", ID]).await;
        assert_eq!(saved.status.code(), Some(0), "{}", err(&saved));
        let [path] = &home.videos()[..] else {
            panic!("{:?}", home.videos());
        };
        assert_eq!(fs::read(path).unwrap(), FILM);
    }
}

#[tokio::test]
async fn a_full_disk_is_said_and_no_file_gets_a_name() {
    let boxed = |name: &[u8; 4], content: &[u8]| {
        let size = u32::try_from(content.len() + 8).unwrap();
        [&size.to_be_bytes()[..], name, content].concat()
    };
    let film = [
        boxed(b"ftyp", b"isom"),
        boxed(b"moov", b""),
        boxed(b"mdat", &vec![7; 2 << 20]),
    ]
    .concat();
    let files = RawServer::answering(http("200 OK", "", &film)).await;
    let origin = files.origin();
    let answer = Step::reply(move |head| answers(head, &origin, 1));
    let api = RawServer::start(vec![vec![Step::Read, answer]]).await;
    let home = Home::with(&[ID]);
    home.run(&api.origin(), &["wait"]).await;
    // No file of this process may grow beyond half a mebibyte: room for the list, not for the film.
    let script = "trap '' XFSZ; ulimit -f 1024; exec \"$@\"";
    let inner = home.kietop(&api.origin(), &["save", ID]);
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(script)
        .arg("sh")
        .arg(inner.get_program())
        .args(inner.get_args());
    command
        .env_clear()
        .current_dir(home.path())
        .stdin(Stdio::null());
    for (name, value) in inner.get_envs() {
        command.env(name, value.expect("none is taken away"));
    }

    let saved = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();

    assert_eq!(saved.status.code(), Some(1), "{}", err(&saved));
    assert!(err(&saved).contains("full"), "{}", err(&saved));
    let names = home.videos();
    assert!(
        names
            .iter()
            .all(|path| path.extension().is_none_or(|end| end != "mp4")),
        "{names:?}"
    );
}

#[tokio::test]
async fn a_link_is_told_where_no_browser_can_start() {
    let (api, files) = world(1).await;
    let home = Home::with(&[ID]);
    let early = home.run(&api.origin(), &["open", ID]).await;
    assert_eq!(early.status.code(), Some(1));
    assert!(err(&early).contains("no result video"), "{}", err(&early));
    home.run(&api.origin(), &["wait"]).await;

    let opened = home.run(&api.origin(), &["open", ID]).await;

    assert_eq!(opened.status.code(), Some(1));
    assert_eq!(out(&opened), format!("{}/v.mp4\n", files.origin()));
    let mut with_browser = home.kietop(&api.origin(), &["open", ID]);
    with_browser
        .env("BROWSER", "true")
        .env("DISPLAY", ":9")
        .env("PATH", "/usr/bin:/bin");
    let opened = tokio::task::spawn_blocking(move || with_browser.output().unwrap())
        .await
        .unwrap();
    assert_eq!(
        (opened.status.code(), out(&opened)),
        (Some(0), ""),
        "{}",
        err(&opened)
    );
    let shown = home.run(&api.origin(), &["show", ID]).await;
    assert!(out(&shown).contains("opened http"), "{}", out(&shown));
    let mut without = home.kietop(&api.origin(), &["open", ID]);
    without
        .env("BROWSER", "/no/Program Files/fox")
        .env("DISPLAY", ":9")
        .env("PATH", "/usr/bin:/bin");
    let opened = tokio::task::spawn_blocking(move || without.output().unwrap())
        .await
        .unwrap();
    assert_eq!(opened.status.code(), Some(1));
    assert_eq!(out(&opened), format!("{}/v.mp4\n", files.origin()));
    let named = "BROWSER: no program /no/Program in PATH";
    assert!(err(&opened).contains(named), "{}", err(&opened));
}

#[tokio::test]
async fn shells_and_readers_get_their_pages() {
    let home = Home::with(&[ID]);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = home
            .run("http://127.0.0.1:9", &["completions", shell])
            .await;
        assert!(
            out(&script).contains("kietop") && out(&script).contains("save"),
            "{shell}"
        );
    }
    let page = home.run("http://127.0.0.1:9", &["man"]).await;
    for word in [
        ".TH kietop",
        "kietop save",
        "EXIT STATUS",
        "\\-\\-timeout",
        "KIETOP_STORE",
    ] {
        assert!(out(&page).contains(word), "{word}");
    }
}
