//! `wait`, `save` and `open` as scripts use them: the real program against scripted servers.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::Value;

use crate::support::raw_server::{RawServer, Step};

const ID: &str = "774d9a7dd608a0e49293903095e45a4c";
const OTHER_ID: &str = "1f0c2b6f1d3b4a0c9c1f7c6b5a4e3d21";
const VIDEO: &[u8] = include_bytes!("../../assets/demo/city-result.mp4");

/// A temporary home folder with a list.
struct ResultsHome(tempfile::TempDir);

impl ResultsHome {
    fn with_tasks(ids: &[&str]) -> Self {
        let home = Self(tempfile::tempdir().unwrap());
        let mut args = vec!["add"];
        args.extend(ids);
        let added = home.kietop("http://127.0.0.1:9", &args).output().unwrap();
        assert!(added.status.success(), "{}", stderr(&added));
        home
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn kietop(&self, api: &str, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kietop"));
        command
            .env_clear()
            .env("HOME", self.path())
            .env("KIE_API_KEY", "canary-key")
            .env("KIETOP_API_URL", api)
            .current_dir(self.path())
            .stdin(Stdio::null())
            .args(args);
        command
    }

    /// Runs a command without blocking the thread of the server.
    async fn run(&self, api: &str, args: &[&str]) -> Output {
        let mut command = self.kietop(api, args);
        tokio::task::spawn_blocking(move || crate::support::deadline::output(&mut command))
            .await
            .unwrap()
    }

    /// Returns all files in the video folder, partial downloads too.
    fn saved_videos(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(self.path().join("Videos/kietop")) else {
            return Vec::new();
        };
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    }
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn http_response(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}Connection: close\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// Answers status requests with the flag, and anything else with the video.
fn respond(head: &str, origin: &str, flag: u8) -> Vec<u8> {
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
        return http_response("200 OK", "", body.as_bytes());
    }
    http_response("200 OK", "ETag: \"v1\"\r\n", VIDEO)
}

/// Starts an API where every task has this flag, and a file host at another origin.
async fn start_servers(flag: u8) -> (RawServer, RawServer) {
    let files = RawServer::answering(http_response("200 OK", "ETag: \"v1\"\r\n", VIDEO)).await;
    let origin = files.origin();
    let response = Step::reply(move |head| respond(head, &origin, flag));
    let api = RawServer::start(vec![vec![Step::Read, response]]).await;
    (api, files)
}

#[tokio::test]
async fn wait_reports_each_result() {
    let (api, _files) = start_servers(1).await;
    let home = ResultsHome::with_tasks(&[ID, OTHER_ID]);

    let waited = home.run(&api.origin(), &["wait", "--json"]).await;

    assert_eq!(waited.status.code(), Some(0), "{}", stderr(&waited));
    let tasks: Vec<Value> = stdout(&waited)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let mut ids: Vec<_> = tasks
        .iter()
        .map(|task| task["taskId"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [OTHER_ID, ID]);
    assert!(tasks.iter().all(|task| task["state"] == "succeeded"));

    // A finished task is reported at once, without a request.
    let again = home.run("http://127.0.0.1:9", &["wait", &ID[..6]]).await;
    assert_eq!(
        (again.status.code(), stdout(&again)),
        (Some(0), &*format!("{ID} succeeded\n"))
    );
    let without_tasks = home.run("http://127.0.0.1:9", &["wait"]).await;
    assert_eq!(
        (without_tasks.status.code(), stdout(&without_tasks)),
        (Some(0), "")
    );
}

#[tokio::test]
async fn wait_exit_code_matches_the_outcome() {
    let (failing, _files) = start_servers(3).await;
    let home = ResultsHome::with_tasks(&[ID]);
    let waited = home.run(&failing.origin(), &["wait", ID]).await;
    assert_eq!(waited.status.code(), Some(3), "{}", stderr(&waited));
    assert_eq!(stdout(&waited), format!("{ID} failed\n"));

    let (running, _files) = start_servers(0).await;
    let home = ResultsHome::with_tasks(&[ID]);
    let waited = home
        .run(&running.origin(), &["wait", "--timeout", "1s"])
        .await;
    assert_eq!(waited.status.code(), Some(124), "{}", stderr(&waited));
    assert!(
        stderr(&waited).contains("Timed out: 1 task has not finished. Run the same command"),
        "{}",
        stderr(&waited)
    );

    let response = http_response("200 OK", "", br#"{"code":401,"msg":"no"}"#);
    let refusing = RawServer::answering(response).await;
    let waited = home.run(&refusing.origin(), &["wait"]).await;
    assert_eq!(waited.status.code(), Some(4), "{}", stderr(&waited));

    let waited = home
        .run(&running.origin(), &["wait", "--timeout", "soon"])
        .await;
    assert_eq!(waited.status.code(), Some(2));
    let waited = home.run(&running.origin(), &["wait", "no-such-task"]).await;
    assert_eq!(waited.status.code(), Some(5));
}

#[tokio::test]
async fn wait_is_interrupted_by_ctrl_c() {
    let (mut api, _files) = start_servers(0).await;
    let home = ResultsHome::with_tasks(&[ID]);
    let child = home
        .kietop(&api.origin(), &["wait"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_request(&mut api).await;

    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();

    let waited = tokio::task::spawn_blocking(move || {
        crate::support::deadline::wait_with_deadline(child, "kietop wait")
    });
    let waited = waited.await.unwrap();
    assert_eq!(waited.status.code(), Some(130), "{}", stderr(&waited));
}

async fn wait_for_request(server: &mut RawServer) {
    for _ in 0..1000 {
        if !server.requests().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("no request was sent");
}

#[tokio::test]
async fn wait_checks_only_its_tasks() {
    let (mut api, _files) = start_servers(1).await;
    let home = ResultsHome::with_tasks(&[ID, OTHER_ID]);

    let waited = home.run(&api.origin(), &["wait", ID]).await;

    assert_eq!(stdout(&waited), format!("{ID} succeeded\n"));
    let heads = api.requests();
    assert!(heads.iter().all(|(_, head)| head.contains(ID)), "{heads:?}");
}

#[tokio::test]
async fn save_names_and_records_the_file() {
    let (api, mut files) = start_servers(1).await;
    let home = ResultsHome::with_tasks(&[ID]);
    home.run(&api.origin(), &["wait"]).await;

    // An id that is given three times is downloaded once.
    let args = ["save", &ID[..4], ID, &ID[..6]];
    let saved = home.run(&api.origin(), &args).await;

    assert_eq!(saved.status.code(), Some(0), "{}", stderr(&saved));
    let path = home
        .path()
        .join("Videos/kietop")
        .join(format!("{}.mp4", &ID[..16]));
    assert_eq!(stdout(&saved), format!("{ID} saved {}\n", path.display()));
    assert_eq!(fs::read(&path).unwrap(), VIDEO);
    assert_eq!(home.saved_videos(), std::slice::from_ref(&path));
    assert!(!stderr(&saved).contains('\r'), "no progress in a pipe");
    let requests = files.requests();
    assert_eq!(requests.len(), 1);
    for (_, head) in requests {
        assert!(
            !head.to_ascii_lowercase().contains("authorization"),
            "{head}"
        );
    }

    let listed = home.run(&api.origin(), &["list", "--json"]).await;
    let listed: Value = serde_json::from_str(stdout(&listed)).unwrap();
    assert_eq!(listed[0]["savedTo"], path.to_str().unwrap());
    assert_eq!(listed[0]["savedFiles"][0], path.to_str().unwrap());
    let shown = home.run(&api.origin(), &["show", ID]).await;
    assert!(
        stdout(&shown).contains(&format!("saved to {}", path.display())),
        "{}",
        stdout(&shown)
    );

    let again = home.run(&api.origin(), &["save", ID]).await;
    assert_eq!(
        stdout(&again),
        format!("{ID} already saved {}\n", path.display())
    );
    let saved_filter = ["list", "--filter", "state:saved"];
    let listed = home.run(&api.origin(), &saved_filter).await;
    assert!(stdout(&listed).starts_with(ID), "{}", stdout(&listed));
    fs::remove_file(&path).unwrap();
    let listed = home.run(&api.origin(), &saved_filter).await;
    assert_eq!(
        stdout(&listed),
        "",
        "a missing file does not count as saved"
    );
    let listed = home.run(&api.origin(), &["list", "--json"]).await;
    let listed: Value = serde_json::from_str(stdout(&listed)).unwrap();
    assert_eq!(
        listed[0]["savedTo"],
        Value::Null,
        "a missing file does not count as saved"
    );
    let in_folder = home
        .run(&api.origin(), &["save", ID, "--dir", "out/here"])
        .await;
    assert_eq!(in_folder.status.code(), Some(0), "{}", stderr(&in_folder));
    assert_eq!(
        fs::read_dir(home.path().join("out/here")).unwrap().count(),
        1
    );
}

#[tokio::test]
async fn save_waits_for_an_unfinished_result() {
    let missing = || {
        vec![
            Step::Read,
            Step::Write(http_response("404 Not Found", "", b"<Error/>")),
        ]
    };
    let ready = vec![Step::Read, Step::Write(http_response("200 OK", "", VIDEO))];
    let mut files = RawServer::start(vec![missing(), ready]).await;
    let origin = files.origin();
    let response = Step::reply(move |head| {
        if head.starts_with("POST") {
            return http_response("200 OK", "", br#"{"code":404,"msg":"no"}"#);
        }
        respond(head, &origin, 1)
    });
    let api = RawServer::start(vec![vec![Step::Read, response]]).await;
    let home = ResultsHome::with_tasks(&[ID]);
    home.run(&api.origin(), &["wait"]).await;

    let saved = home.run(&api.origin(), &["save", ID]).await;

    assert_eq!(saved.status.code(), Some(0), "{}", stderr(&saved));
    let expected = format!("kietop: {ID}: not ready yet (404). Next try in 5s.\n");
    assert_eq!(stderr(&saved), expected);
    assert_eq!((home.saved_videos().len(), files.requests().len()), (1, 2));
}

#[tokio::test]
async fn show_prints_a_removed_task() {
    let home = ResultsHome::with_tasks(&[ID]);
    let nowhere = "http://127.0.0.1:9";
    home.run(nowhere, &["remove", ID]).await;

    let shown = home.run(nowhere, &["show", ID]).await;

    assert_eq!(shown.status.code(), Some(0), "{}", stderr(&shown));
    let text = stdout(&shown);
    assert!(text.contains("list          removed\n"), "{text}");
    assert!(
        text.contains("added to the list\n") && text.contains("removed from the list\n"),
        "{text}"
    );
    let unknown = home.run(nowhere, &["show", OTHER_ID]).await;
    assert_eq!((unknown.status.code(), stdout(&unknown)), (Some(5), ""));
}

#[tokio::test]
async fn save_reports_failures_and_saves_the_rest() {
    let (api, _files) = start_servers(1).await;
    let home = ResultsHome::with_tasks(&[ID, OTHER_ID]);
    home.run(&api.origin(), &["wait", ID]).await;

    let saved = home.run(&api.origin(), &["save", OTHER_ID, ID]).await;

    assert_eq!(saved.status.code(), Some(1), "{}", stderr(&saved));
    assert!(
        stdout(&saved).starts_with(&format!("{ID} saved ")),
        "{}",
        stdout(&saved)
    );
    assert!(
        stderr(&saved).contains("no result to save (new)"),
        "{}",
        stderr(&saved)
    );
    let read_only = home.run(&api.origin(), &["--read-only", "save", ID]).await;
    assert_eq!(read_only.status.code(), Some(2));
}

/// Answers the first request with 30,000 bytes and stalls; later ones with the rest, or the whole.
fn stalling_script() -> Vec<Vec<Step>> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nETag: \"v1\"\r\n\r\n",
        VIDEO.len()
    );
    let first_part = [head.as_bytes(), &VIDEO[..30_000]].concat();
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
            return http_response("200 OK", "ETag: \"v1\"\r\n", VIDEO);
        }
        let range = format!(
            "Content-Range: bytes {from}-{}/{}\r\nETag: \"v1\"\r\n",
            VIDEO.len() - 1,
            VIDEO.len()
        );
        http_response("206 Partial Content", &range, &VIDEO[from..])
    });
    vec![
        vec![Step::Read, Step::Write(first_part), Step::Hold],
        vec![Step::Read, rest],
    ]
}

#[tokio::test]
async fn a_killed_save_is_completed_by_the_next() {
    use rustix::process::Signal;
    for signal in [
        Signal::KILL,
        Signal::INT,
        Signal::TERM,
        Signal::HUP,
        Signal::QUIT,
    ] {
        if crate::support::nohup::is_ignored(signal) {
            continue;
        }
        let files = RawServer::start(stalling_script()).await;
        let origin = files.origin();
        let response = Step::reply(move |head| respond(head, &origin, 1));
        let api = RawServer::start(vec![vec![Step::Read, response]]).await;
        let home = ResultsHome::with_tasks(&[ID]);
        home.run(&api.origin(), &["wait"]).await;
        let child = home
            .kietop(&api.origin(), &["save", ID])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        for _ in 0..1000 {
            let has_content =
                |path: &PathBuf| fs::metadata(path).is_ok_and(|part| part.len() > 20_000);
            if home.saved_videos().iter().any(has_content) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }

        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, signal).unwrap();
        let output = tokio::task::spawn_blocking(move || child.wait_with_output().unwrap());
        let output = output.await.unwrap();

        let (code, message) = match signal {
            Signal::KILL => (None, ""),
            signal => (
                Some(128 + signal.as_raw()),
                "kietop: Interrupted. Run the same command to resume.\n",
            ),
        };
        assert_eq!((output.status.code(), stderr(&output)), (code, message));
        let killed_by = (signal == Signal::KILL).then_some(9);
        assert_eq!(output.status.signal(), killed_by);
        let leftovers = home.saved_videos();
        // The last one if it was killed while it wrote the metadata.
        let is_leftover = |path: &PathBuf| {
            let name = path.to_string_lossy();
            [".part", ".meta", ".meta.new"]
                .iter()
                .any(|end| name.ends_with(end))
        };
        assert!(
            !leftovers.is_empty() && leftovers.iter().all(is_leftover),
            "{leftovers:?}"
        );

        let saved = home.run(&api.origin(), &["save", ID]).await;
        assert_eq!(saved.status.code(), Some(0), "{}", stderr(&saved));
        let [path] = &home.saved_videos()[..] else {
            panic!("{:?}", home.saved_videos());
        };
        assert_eq!(fs::read(path).unwrap(), VIDEO);
    }
}

#[tokio::test]
async fn save_on_a_full_disk_names_no_file() {
    let mp4_box = |name: &[u8; 4], content: &[u8]| {
        let size = u32::try_from(content.len() + 8).unwrap();
        [&size.to_be_bytes()[..], name, content].concat()
    };
    let video = [
        mp4_box(b"ftyp", b"isom"),
        mp4_box(b"moov", b""),
        mp4_box(b"mdat", &vec![7; 2 << 20]),
    ]
    .concat();
    let files = RawServer::answering(http_response("200 OK", "", &video)).await;
    let origin = files.origin();
    let response = Step::reply(move |head| respond(head, &origin, 1));
    let api = RawServer::start(vec![vec![Step::Read, response]]).await;
    let home = ResultsHome::with_tasks(&[ID]);
    home.run(&api.origin(), &["wait"]).await;
    // Files are limited to half a mebibyte: enough for the list, not for the video.
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
        command.env(name, value.expect("no variable is removed"));
    }

    let saved = tokio::task::spawn_blocking(move || command.output().unwrap())
        .await
        .unwrap();

    assert_eq!(saved.status.code(), Some(1), "{}", stderr(&saved));
    assert!(stderr(&saved).contains("full"), "{}", stderr(&saved));
    let files = home.saved_videos();
    assert!(
        files
            .iter()
            .all(|path| path.extension().is_none_or(|end| end != "mp4")),
        "{files:?}"
    );
}

#[tokio::test]
async fn open_prints_the_link_without_a_browser() {
    let (api, files) = start_servers(1).await;
    let home = ResultsHome::with_tasks(&[ID]);
    let unfinished = home.run(&api.origin(), &["open", ID]).await;
    assert_eq!(unfinished.status.code(), Some(1));
    assert!(
        stderr(&unfinished).contains("no result video"),
        "{}",
        stderr(&unfinished)
    );
    home.run(&api.origin(), &["wait"]).await;

    let opened = home.run(&api.origin(), &["open", ID]).await;

    assert_eq!(opened.status.code(), Some(1));
    assert_eq!(stdout(&opened), format!("{}/v.mp4\n", files.origin()));
    let mut with_browser = home.kietop(&api.origin(), &["open", ID]);
    with_browser
        .env("BROWSER", "true")
        .env("DISPLAY", ":9")
        .env("PATH", "/usr/bin:/bin");
    let opened = tokio::task::spawn_blocking(move || with_browser.output().unwrap())
        .await
        .unwrap();
    assert_eq!(
        (opened.status.code(), stdout(&opened)),
        (Some(0), ""),
        "{}",
        stderr(&opened)
    );
    let shown = home.run(&api.origin(), &["show", ID]).await;
    assert!(stdout(&shown).contains("opened http"), "{}", stdout(&shown));
    let mut missing_browser = home.kietop(&api.origin(), &["open", ID]);
    missing_browser
        .env("BROWSER", "/no/Program Files/fox")
        .env("DISPLAY", ":9")
        .env("PATH", "/usr/bin:/bin");
    let opened = tokio::task::spawn_blocking(move || missing_browser.output().unwrap())
        .await
        .unwrap();
    assert_eq!(opened.status.code(), Some(1));
    assert_eq!(stdout(&opened), format!("{}/v.mp4\n", files.origin()));
    let message = "BROWSER: no program /no/Program in PATH";
    assert!(stderr(&opened).contains(message), "{}", stderr(&opened));
}

#[tokio::test]
async fn completions_and_man_pages_are_printed() {
    let home = ResultsHome::with_tasks(&[ID]);
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = home
            .run("http://127.0.0.1:9", &["completions", shell])
            .await;
        assert!(
            stdout(&script).contains("kietop") && stdout(&script).contains("save"),
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
        assert!(stdout(&page).contains(word), "{word}");
    }
}
