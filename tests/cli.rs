//! The headless commands as scripts use them: the real program, files and exit codes.

#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    reason = "test code: what is not as expected is to fail loudly"
)]

use std::{path::Path, process::Output};

use assert_cmd::Command;
use serde_json::Value;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, path, query_param},
};

const ID: &str = "774d9a7dd608a0e49293903095e45a4c";
const OTHER: &str = "1f0c2b6f1d3b4a0c9c1f7c6b5a4e3d21";

fn kietop(store: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kietop"));
    command
        .env_clear()
        .env("HOME", store.parent().unwrap())
        .arg("--store")
        .arg(store)
        .args(words);
    command
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn run(store: &Path, words: &[&str]) -> Output {
    kietop(store, words).output().unwrap()
}

#[test]
fn ids_are_added_found_in_text_named_when_known_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");

    assert_eq!(
        out(&run(&store, &["add", ID, "--label", "one"])),
        format!("{ID} added\n")
    );
    let found = kietop(&store, &["add", "-"])
        .write_stdin(format!("{{\"taskId\":\"{OTHER}\"}}\n{ID}\n"))
        .output()
        .unwrap();
    assert_eq!(
        out(&found),
        format!("{OTHER} added\n{ID} watched already\n")
    );

    assert_eq!(
        out(&run(&store, &["remove", &OTHER[..6]])),
        format!("{OTHER} removed\n")
    );
    let listed: Value = serde_json::from_str(out(&run(&store, &["list", "--json"]))).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1);
    assert_eq!(
        (
            &listed[0]["taskId"],
            &listed[0]["label"],
            &listed[0]["state"]
        ),
        (&ID.into(), &"one".into(), &"new".into())
    );
}

#[test]
fn exit_codes_are_as_documented() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    let code = |words: &[&str]| run(&store, words).status.code();

    assert_eq!(code(&["list"]), Some(0));
    assert_eq!(code(&["add", "two words"]), Some(2));
    assert_eq!(code(&["no-such-command"]), Some(2));
    assert_eq!(code(&[]), Some(2), "no terminal");
    assert_eq!(code(&["show", ID]), Some(5));
    assert_eq!(code(&["remove", ID]), Some(5));
    assert_eq!(code(&["--read-only", "add", ID]), Some(2));
    assert_eq!(code(&["add", ID]), Some(0));
    let no_key = run(&store, &["list", "--refresh"]);
    assert_eq!(no_key.status.code(), Some(4));
    assert!(err(&no_key).contains("KIE_API_KEY"), "{}", err(&no_key));
    let plain = run(
        &store,
        &["--api-url", "http://api.kie.ai", "list", "--refresh"],
    );
    assert_eq!(plain.status.code(), Some(2), "{}", err(&plain));
}

#[test]
fn read_only_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("data/list.db");

    let listed = run(&store, &["--read-only", "list", "--json"]);

    assert_eq!((listed.status.code(), out(&listed)), (Some(0), "[]\n"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn the_contract_s_answer_is_listed_as_json() {
    let server = MockServer::start().await;
    let contract = include_str!("fixtures/succeeded.json");
    Mock::given(path("/api/v1/modify/record-info"))
        .and(query_param("taskId", ID))
        .and(header("Authorization", "Bearer canary-key"))
        .respond_with(ResponseTemplate::new(200).set_body_raw(contract, "application/json"))
        .expect(1)
        .mount(&server)
        .await;
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    run(&store, &["add", ID]);

    let words = ["--api-url", &server.uri(), "list", "--refresh", "--json"];
    let mut command = kietop(&store, &words);
    let asked =
        tokio::task::spawn_blocking(move || command.env("KIE_API_KEY", "canary-key").output());
    let refreshed = asked.await.unwrap().unwrap();

    assert_eq!(refreshed.status.code(), Some(0), "{}", err(&refreshed));
    let listed: Value = serde_json::from_str(out(&refreshed)).unwrap();
    let task = &listed[0];
    assert_eq!(task["state"], "succeeded");
    assert_eq!(task["durationMs"], 309_000);
    assert_eq!(task["prompt"], "A futuristic cityscape");
    assert_eq!(
        task["resultUrls"][0],
        "https://tempfile.aiquickdraw.com/l/f782018c-6be4-4990-96ba-7231cd5a39e7.mp4"
    );
    assert!(!out(&refreshed).contains("canary"));
    let again = run(&store, &["list", "--refresh"]);
    assert_eq!(
        again.status.code(),
        Some(0),
        "finished tasks are not asked after, so no key is needed"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn ctrl_c_keeps_what_was_answered() {
    let server = MockServer::start().await;
    let running = r#"{"code":200,"data":{"successFlag":0}}"#;
    Mock::given(query_param("taskId", ID))
        .respond_with(ResponseTemplate::new(200).set_body_raw(running, "application/json"))
        .mount(&server)
        .await;
    Mock::given(path("/api/v1/modify/record-info"))
        .respond_with(ResponseTemplate::new(200).set_delay(std::time::Duration::from_hours(1)))
        .mount(&server)
        .await;
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    // Four at once, so the fifth question means that one was answered.
    run(
        &store,
        &["add", ID, OTHER, "third-id", "fourth-id", "fifth-id"],
    );

    let mut asking = std::process::Command::new(env!("CARGO_BIN_EXE_kietop"))
        .env_clear()
        .env("HOME", folder.path())
        .env("KIE_API_KEY", "canary-key")
        .args(["--api-url", &server.uri(), "list", "--refresh", "--store"])
        .arg(&store)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while server.received_requests().await.unwrap().len() < 5 {
        assert!(asking.try_wait().unwrap().is_none(), "it ended by itself");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let pid = rustix::process::Pid::from_child(&asking);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ended = asking.wait_with_output().unwrap();

    assert_eq!(ended.status.code(), Some(130), "{ended:?}");
    assert_eq!(
        (out(&ended), err(&ended)),
        (
            "",
            "kietop: Interrupted; what was answered by then is kept.\n"
        )
    );
    let kept: Value = serde_json::from_str(out(&run(&store, &["show", ID, "--json"]))).unwrap();
    assert_eq!(kept["state"], "generating");
}
