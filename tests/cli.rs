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
fn a_list_is_filtered_as_in_the_dashboard_and_a_fault_is_shown_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    run(&store, &["add", ID, "--label", "neon city"]);
    run(&store, &["add", OTHER, "--label", "=1+1"]);
    let ids = |filter: &str| {
        let listed = run(&store, &["list", "--json", "--filter", filter]);
        assert_eq!(listed.status.code(), Some(0), "{}", err(&listed));
        let listed: Value = serde_json::from_str(out(&listed)).unwrap();
        let tasks = listed.as_array().unwrap().iter();
        tasks
            .map(|task| task["taskId"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };

    assert_eq!(ids("neon"), [ID]);
    assert_eq!(ids("!neon state:new"), [OTHER]);
    assert_eq!(ids("id:774d"), [ID]);
    assert_eq!(ids("age:>1d"), [""; 0]);
    let both = ["list", "--filter", "neon", "--state", "failed"];
    assert_eq!(out(&run(&store, &both)), "");

    let faulty = run(&store, &["list", "--filter", "\u{1b}雨 stat:new x"]);
    assert_eq!((faulty.status.code(), out(&faulty)), (Some(2), ""));
    assert_eq!(
        err(&faulty),
        "kietop: there is no field \"stat\"; did you mean \"state\"?\n  ␛雨 stat:new x\n      ^^^^\n"
    );
    let long = run(&store, &["list", "--filter", &"x".repeat(10_000)]);
    assert_eq!(long.status.code(), Some(2));
    assert!(err(&long).len() < 100, "{}", err(&long));
}

#[test]
fn a_list_goes_into_a_spreadsheet_without_a_formula() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    let head = "taskId,family,label,state,successFlag,prompt,videoUrl,callBackUrl,waterMark,createTime,\
        completeTime,durationMs,errorCode,errorMessage,originUrls,resultUrls,addedAt,checkedAt,checkError,\
        expiresAt,savedTo\r\n";
    assert_eq!(out(&run(&store, &["list", "--csv"])), head);
    run(&store, &["add", ID, "--label", "=HYPERLINK(\"x\", \"y\")"]);

    let listed = run(&store, &["list", "--csv"]);

    let row = out(&listed).strip_prefix(head).unwrap();
    let start = format!("{ID},luma-modify,\"'=HYPERLINK(\"\"x\"\", \"\"y\"\")\",new,,");
    assert!(row.starts_with(&start) && row.ends_with("\r\n"), "{row}");
    assert_eq!(
        run(&store, &["list", "--csv", "--json"]).status.code(),
        Some(2)
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
