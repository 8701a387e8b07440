//! `wait`, `save` and `open` as scripts use them: the real program against scripted servers.

use std::{
    fs,
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Command, Output},
    time::Duration,
};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    nohup,
    raw_server::{RawServer, Step, http_response, json_response},
    test_home::{
        ID, NOWHERE, OTHER_ID, TestHome, assert_code, assert_message, send_signal, stderr, stdout,
        wait_for_output,
    },
};

const VIDEO: &[u8] = include_bytes!("../../assets/demo/city-result.mp4");

/// Returns all files in the video folder, partial downloads too.
fn saved_videos(home: &TestHome) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(home.path().join("Videos/kietop")) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Returns a response with a status: 0 running, 1 succeeded with one video, 3 failed.
fn status_response(origin: &str, flag: u8) -> Vec<u8> {
    let results = if flag == 1 {
        format!("[\"{origin}/v.mp4\"]")
    } else {
        "[]".to_owned()
    };
    let data = format!(r#"{{"successFlag":{flag},"response":{{"resultUrls":{results}}}}}"#);
    json_response(&format!(r#"{{"code":200,"msg":"success","data":{data}}}"#))
}

fn video_response() -> Vec<u8> {
    http_response("200 OK", "ETag: \"v1\"\r\n", VIDEO)
}

/// Starts an API where every task has this flag, with results on this file host.
async fn start_api(files: &RawServer, flag: u8) -> RawServer {
    RawServer::answering(status_response(&files.origin(), flag)).await
}

/// Starts an API where every task has this flag, and a file host at another origin.
async fn start_servers(flag: u8) -> (RawServer, RawServer) {
    let files = RawServer::answering(video_response()).await;
    (start_api(&files, flag).await, files)
}

/// Returns a home folder with a task that has succeeded.
async fn home_with_result(api: &RawServer) -> TestHome {
    let home = TestHome::with_tasks(&[ID]);
    assert_code(&home.run_at(api, &["wait"]).await, 0);
    home
}

/// Runs a command without blocking the thread of the server.
async fn run(mut command: Command) -> Output {
    wait_for_output(command.spawn().unwrap()).await
}

#[tokio::test]
async fn wait_reports_each_result() {
    let (api, _files) = start_servers(1).await;
    let home = TestHome::with_tasks(&[ID, OTHER_ID]);

    let waited = home.run_at(&api, &["wait", "--json"]).await;

    assert_code(&waited, 0);
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
    let again = home.run(&["wait", &ID[..6]]);
    assert_eq!(
        (again.status.code(), stdout(&again)),
        (Some(0), &*format!("{ID} succeeded\n"))
    );
    let without_tasks = home.run(&["wait"]);
    assert_eq!(
        (without_tasks.status.code(), stdout(&without_tasks)),
        (Some(0), "")
    );
}

#[tokio::test]
async fn wait_exit_code_matches_the_outcome() {
    let (failing, _files) = start_servers(3).await;
    let (running, _files) = start_servers(0).await;
    let refusing = RawServer::answering(json_response(r#"{"code":401,"msg":"no"}"#)).await;
    let timed_out = "Timed out: 1 task has not finished. Run the same command";
    for (api, args, code, message) in [
        (&failing, ["wait", ID].as_slice(), 3, ""),
        (&running, &["wait", "--timeout", "1s"], 124, timed_out),
        (&refusing, &["wait"], 4, ""),
        (&running, &["wait", "--timeout", "soon"], 2, ""),
        (&running, &["wait", "no-such-task"], 5, ""),
    ] {
        let home = TestHome::with_tasks(&[ID]);
        let waited = home.run_at(api, args).await;
        assert_message(&waited, code, message);
        let expected = if code == 3 {
            format!("{ID} failed\n")
        } else {
            String::new()
        };
        assert_eq!(stdout(&waited), expected);
    }
}

#[tokio::test]
async fn wait_is_interrupted_by_ctrl_c() {
    let (mut api, _files) = start_servers(0).await;
    let home = TestHome::with_tasks(&[ID]);
    let child = home.start(&api, &["wait"]);
    api.wait_for_requests(1).await;

    send_signal(&child, Signal::INT);

    assert_code(&wait_for_output(child).await, 130);
}

#[tokio::test]
async fn wait_checks_only_its_tasks() {
    let (mut api, _files) = start_servers(1).await;
    let home = TestHome::with_tasks(&[ID, OTHER_ID]);

    let waited = home.run_at(&api, &["wait", ID]).await;

    assert_eq!(stdout(&waited), format!("{ID} succeeded\n"));
    let heads = api.requests();
    assert!(heads.iter().all(|(_, head)| head.contains(ID)), "{heads:?}");
}

#[tokio::test]
async fn save_names_and_records_the_file() {
    let (api, mut files) = start_servers(1).await;
    let home = home_with_result(&api).await;

    // An id that is given three times is downloaded once.
    let args = ["save", &ID[..4], ID, &ID[..6]];
    let saved = home.run_at(&api, &args).await;

    assert_code(&saved, 0);
    let path = home
        .path()
        .join("Videos/kietop")
        .join(format!("{}.mp4", &ID[..16]));
    assert_eq!(stdout(&saved), format!("{ID} saved {}\n", path.display()));
    assert_eq!(fs::read(&path).unwrap(), VIDEO);
    assert_eq!(saved_videos(&home), std::slice::from_ref(&path));
    assert!(!stderr(&saved).contains('\r'), "no progress in a pipe");
    let requests = files.requests();
    assert_eq!(requests.len(), 1);
    for (_, head) in requests {
        assert!(
            !head.to_ascii_lowercase().contains("authorization"),
            "{head}"
        );
    }

    let task = home.task(ID);
    assert_eq!(task["savedTo"], path.to_str().unwrap());
    assert_eq!(task["savedFiles"][0], path.to_str().unwrap());
    let shown = home.run(&["show", ID]);
    let line = format!("saved to {}", path.display());
    assert!(stdout(&shown).contains(&line), "{}", stdout(&shown));

    let again = home.run_at(&api, &["save", ID]).await;
    assert_eq!(
        stdout(&again),
        format!("{ID} already saved {}\n", path.display())
    );
    let saved_filter = ["list", "--filter", "state:saved"];
    let listed = home.run(&saved_filter);
    assert!(stdout(&listed).starts_with(ID), "{}", stdout(&listed));
    // A missing file does not count as saved.
    fs::remove_file(&path).unwrap();
    assert_eq!(stdout(&home.run(&saved_filter)), "");
    assert_eq!(home.task(ID)["savedTo"], Value::Null);
    let args = ["save", ID, "--dir", "out/here"];
    assert_code(&home.run_at(&api, &args).await, 0);
    let folder = home.path().join("out/here");
    assert_eq!(fs::read_dir(folder).unwrap().count(), 1);
}

#[tokio::test]
async fn save_waits_for_an_unfinished_result() {
    let missing = http_response("404 Not Found", "", "<Error/>");
    let scripts = [missing, video_response()];
    let mut files = RawServer::start(
        scripts
            .map(|response| vec![Step::Read, Step::Write(response)])
            .to_vec(),
    )
    .await;
    let origin = files.origin();
    let api = RawServer::replying(move |head| {
        if head.starts_with("POST") {
            json_response(r#"{"code":404,"msg":"no"}"#)
        } else {
            status_response(&origin, 1)
        }
    })
    .await;
    let home = home_with_result(&api).await;

    let saved = home.run_at(&api, &["save", ID]).await;

    assert_code(&saved, 0);
    let expected = format!("kietop: {ID}: not ready yet (404). Next try in 5s.\n");
    assert_eq!(stderr(&saved), expected);
    assert_eq!((saved_videos(&home).len(), files.requests().len()), (1, 2));
}

#[test]
fn show_prints_a_removed_task() {
    let home = TestHome::with_tasks(&[ID]);
    home.run(&["remove", ID]);

    let shown = home.run(&["show", ID]);

    assert_code(&shown, 0);
    let text = stdout(&shown);
    assert!(text.contains("list          removed\n"), "{text}");
    assert!(
        text.contains("added to the list\n") && text.contains("removed from the list\n"),
        "{text}"
    );
    let unknown = home.run(&["show", OTHER_ID]);
    assert_eq!((unknown.status.code(), stdout(&unknown)), (Some(5), ""));
}

#[tokio::test]
async fn save_reports_failures_and_saves_the_rest() {
    let (api, _files) = start_servers(1).await;
    let home = TestHome::with_tasks(&[ID, OTHER_ID]);
    home.run_at(&api, &["wait", ID]).await;

    let saved = home.run_at(&api, &["save", OTHER_ID, ID]).await;

    assert_code(&saved, 1);
    assert!(
        stdout(&saved).starts_with(&format!("{ID} saved ")),
        "{}",
        stdout(&saved)
    );
    assert_message(&saved, 1, "no result to save (new)");
    let read_only = home.run_at(&api, &["--read-only", "save", ID]).await;
    assert_code(&read_only, 2);
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
            return video_response();
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
    for signal in [
        Signal::KILL,
        Signal::INT,
        Signal::TERM,
        Signal::HUP,
        Signal::QUIT,
    ] {
        if nohup::is_ignored(signal) {
            continue;
        }
        let files = RawServer::start(stalling_script()).await;
        let api = start_api(&files, 1).await;
        let home = home_with_result(&api).await;
        let child = home.start(&api, &["save", ID]);
        for _ in 0..1000 {
            let has_content =
                |path: &PathBuf| fs::metadata(path).is_ok_and(|part| part.len() > 20_000);
            if saved_videos(&home).iter().any(has_content) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }

        send_signal(&child, signal);
        let output = wait_for_output(child).await;

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
        let leftovers = saved_videos(&home);
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

        let saved = home.run_at(&api, &["save", ID]).await;
        assert_code(&saved, 0);
        let [path] = &saved_videos(&home)[..] else {
            panic!("{:?}", saved_videos(&home));
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
    let api = start_api(&files, 1).await;
    let home = home_with_result(&api).await;

    // Files are limited to half a mebibyte: enough for the list, not for the video.
    let script = "trap '' XFSZ; ulimit -f 1024; exec \"$@\"";
    let saved = run(home.shell(script, &api.origin(), &["save", ID])).await;

    assert_message(&saved, 1, "full");
    let files = saved_videos(&home);
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
    let home = TestHome::with_tasks(&[ID]);
    let unfinished = home.run(&["open", ID]);
    assert_message(&unfinished, 1, "no result video");
    home.run_at(&api, &["wait"]).await;
    let link = format!("{}/v.mp4\n", files.origin());

    let opened = home.run(&["open", ID]);

    assert_code(&opened, 1);
    assert_eq!(stdout(&opened), link);
    let open_with = |browser: &str| {
        let mut command = home.kietop(NOWHERE, &["open", ID]);
        command
            .env("BROWSER", browser)
            .env("DISPLAY", ":9")
            .env("PATH", "/usr/bin:/bin");
        command.output().unwrap()
    };
    let opened = open_with("true");
    assert_code(&opened, 0);
    assert_eq!(stdout(&opened), "");
    let shown = home.run(&["show", ID]);
    assert!(stdout(&shown).contains("opened http"), "{}", stdout(&shown));
    let opened = open_with("/no/Program Files/fox");
    assert_message(&opened, 1, "BROWSER: no program /no/Program in PATH");
    assert_eq!(stdout(&opened), link);
}

#[test]
fn completions_and_man_pages_are_printed() {
    let home = TestHome::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = home.run(&["completions", shell]);
        let script = stdout(&script);
        assert!(
            script.contains("kietop") && script.contains("save"),
            "{shell}"
        );
    }
    let page = home.run(&["man"]);
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
