//! The headless commands as scripts use them: the real program, files and exit codes.

use std::{path::Path, process::Output};

use assert_cmd::Command;
use serde_json::Value;
use wiremock::{
    Mock, MockServer, ResponseTemplate,
    matchers::{header, path, query_param},
};

const ID: &str = "774d9a7dd608a0e49293903095e45a4c";
const OTHER_ID: &str = "1f0c2b6f1d3b4a0c9c1f7c6b5a4e3d21";

fn kietop(store: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kietop"));
    command
        .env_clear()
        .env("HOME", store.parent().unwrap())
        .arg("--store")
        .arg(store)
        .args(args);
    command
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

fn run(store: &Path, args: &[&str]) -> Output {
    kietop(store, args).output().unwrap()
}

#[test]
fn add_finds_ids_and_rm_removes_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");

    assert_eq!(
        stdout(&run(&store, &["add", ID, "--label", "one"])),
        format!("{ID} added\n")
    );
    let added = kietop(&store, &["add", "-"])
        .write_stdin(format!("{{\"taskId\":\"{OTHER_ID}\"}}\n{ID}\n"))
        .output()
        .unwrap();
    assert_eq!(
        stdout(&added),
        format!("{OTHER_ID} added\n{ID} already watched\n")
    );

    assert_eq!(
        stdout(&run(&store, &["remove", &OTHER_ID[..6]])),
        format!("{OTHER_ID} removed\n")
    );
    let listed: Value = serde_json::from_str(stdout(&run(&store, &["list", "--json"]))).unwrap();
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
fn list_filters_and_points_at_filter_errors() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    run(&store, &["add", ID, "--label", "neon city"]);
    run(&store, &["add", OTHER_ID, "--label", "=1+1"]);
    let ids = |filter: &str| {
        let listed = run(&store, &["list", "--json", "--filter", filter]);
        assert_eq!(listed.status.code(), Some(0), "{}", stderr(&listed));
        let listed: Value = serde_json::from_str(stdout(&listed)).unwrap();
        let tasks = listed.as_array().unwrap().iter();
        tasks
            .map(|task| task["taskId"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };

    assert_eq!(ids("neon"), [ID]);
    assert_eq!(ids("!neon state:new"), [OTHER_ID]);
    assert_eq!(ids("id:774d"), [ID]);
    assert_eq!(ids("age:>1d"), [""; 0]);
    let both = ["list", "--filter", "neon", "--state", "failed"];
    assert_eq!(stdout(&run(&store, &both)), "");

    let invalid = run(&store, &["list", "--filter", "\u{1b}雨 stat:new x"]);
    assert_eq!((invalid.status.code(), stdout(&invalid)), (Some(2), ""));
    assert_eq!(
        stderr(&invalid),
        "kietop: unknown field \"stat\"; did you mean \"state\"?\n  ␛雨 stat:new x\n      ^^^^\n"
    );
    let long = run(&store, &["list", "--filter", &"x".repeat(10_000)]);
    assert_eq!(long.status.code(), Some(2));
    assert!(stderr(&long).len() < 100, "{}", stderr(&long));
}

#[test]
fn csv_contains_no_formulas() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    let header = "taskId,family,label,state,successFlag,prompt,videoUrl,callBackUrl,waterMark,createTime,\
        completeTime,durationMs,errorCode,errorMessage,originUrls,resultUrls,addedAt,checkedAt,checkError,\
        expiresAt,savedTo,savedFiles\r\n";
    assert_eq!(stdout(&run(&store, &["list", "--csv"])), header);
    run(&store, &["add", ID, "--label", "=HYPERLINK(\"x\", \"y\")"]);

    let listed = run(&store, &["list", "--csv"]);

    let row = stdout(&listed).strip_prefix(header).unwrap();
    let start = format!("{ID},luma-modify,\"'=HYPERLINK(\"\"x\"\", \"\"y\"\")\",new,,");
    assert!(row.starts_with(&start) && row.ends_with("\r\n"), "{row}");
    assert_eq!(
        run(&store, &["list", "--csv", "--json"]).status.code(),
        Some(2)
    );
}

#[test]
fn exit_codes_match_the_documentation() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    let code = |args: &[&str]| run(&store, args).status.code();

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
    assert!(
        stderr(&no_key).contains("KIE_API_KEY"),
        "{}",
        stderr(&no_key)
    );
    let insecure = run(
        &store,
        &["--api-url", "http://api.kie.ai", "list", "--refresh"],
    );
    assert_eq!(insecure.status.code(), Some(2), "{}", stderr(&insecure));
}

#[test]
fn read_only_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("data/list.db");

    let listed = run(&store, &["--read-only", "list", "--json"]);

    assert_eq!((listed.status.code(), stdout(&listed)), (Some(0), "[]\n"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn list_prints_the_documented_answer_as_json() {
    let server = MockServer::start().await;
    let body = include_str!("../fixtures/succeeded.json");
    Mock::given(path("/api/v1/modify/record-info"))
        .and(query_param("taskId", ID))
        .and(header("Authorization", "Bearer canary-key"))
        .respond_with(ResponseTemplate::new(200).set_body_raw(body, "application/json"))
        .expect(1)
        .mount(&server)
        .await;
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    run(&store, &["add", ID]);

    let args = ["--api-url", &server.uri(), "list", "--refresh", "--json"];
    let mut command = kietop(&store, &args);
    let running =
        tokio::task::spawn_blocking(move || command.env("KIE_API_KEY", "canary-key").output());
    let refreshed = running.await.unwrap().unwrap();

    assert_eq!(refreshed.status.code(), Some(0), "{}", stderr(&refreshed));
    let listed: Value = serde_json::from_str(stdout(&refreshed)).unwrap();
    let task = &listed[0];
    assert_eq!(task["state"], "succeeded");
    assert_eq!(task["durationMs"], 309_000);
    assert_eq!(task["prompt"], "A futuristic cityscape");
    assert_eq!(
        task["resultUrls"][0],
        "https://tempfile.aiquickdraw.com/l/f782018c-6be4-4990-96ba-7231cd5a39e7.mp4"
    );
    assert!(!stdout(&refreshed).contains("canary"));
    let again = run(&store, &["list", "--refresh"]);
    assert_eq!(
        again.status.code(),
        Some(0),
        "finished tasks are not checked, so no key is needed"
    );
}

#[tokio::test]
async fn ctrl_c_keeps_received_answers() {
    let server = MockServer::start().await;
    let body = r#"{"code":200,"data":{"successFlag":0}}"#;
    Mock::given(query_param("taskId", ID))
        .respond_with(ResponseTemplate::new(200).set_body_raw(body, "application/json"))
        .mount(&server)
        .await;
    Mock::given(path("/api/v1/modify/record-info"))
        .respond_with(ResponseTemplate::new(200).set_delay(std::time::Duration::from_hours(1)))
        .mount(&server)
        .await;
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    // Four requests run at once, so a fifth means that one was answered.
    run(
        &store,
        &["add", ID, OTHER_ID, "third-id", "fourth-id", "fifth-id"],
    );

    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_kietop"))
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
        assert!(child.try_wait().unwrap().is_none(), "it exited by itself");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();

    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert_eq!(
        (stdout(&output), stderr(&output)),
        (
            "",
            "kietop: Interrupted. The answers received so far are kept.\n"
        )
    );
    let task: Value = serde_json::from_str(stdout(&run(&store, &["show", ID, "--json"]))).unwrap();
    assert_eq!(task["state"], "generating");
}

#[test]
fn add_arguments_are_ids_or_contain_ids() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    let link = format!("https://api.kie.ai/api/v1/modify/record-info?taskId={ID}");
    assert_eq!(
        stdout(&run(&store, &["add", &link])),
        format!("{ID} added\n")
    );

    let glued = format!("new{OTHER_ID}");
    for (argument, reason) in [
        ("zz", "too short"),
        ("https://t.example/l/1.mp4", "no task id found"),
        ("YOUR_TASK_ID", "no task id found"),
        ("abc.def:1", "no task id found"),
        (&glued, "kietop add --force"),
    ] {
        let refused = run(&store, &["add", argument]);
        assert_eq!((refused.status.code(), stdout(&refused)), (Some(2), ""));
        assert!(stderr(&refused).contains(reason), "{}", stderr(&refused));
    }

    let forced = run(&store, &["add", "--force", &glued, "abc.def:1"]);
    assert_eq!(stdout(&forced), format!("{glued} added\nabc.def:1 added\n"));

    let uppercase_id = ID.to_uppercase();
    let added = run(&store, &["add", &uppercase_id]);
    assert_eq!(stdout(&added), format!("{uppercase_id} added\n"));
    assert!(
        stderr(&added).contains(&format!("{uppercase_id} differs from {ID}")),
        "{}",
        stderr(&added)
    );
    assert_eq!(stderr(&run(&store, &["add", OTHER_ID])), "");
}

#[test]
fn text_glued_to_an_id_is_skipped_and_reported() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");

    let added = kietop(&store, &["add", "-"])
        .write_stdin(format!("{ID}\nnew{OTHER_ID}\n"))
        .output()
        .unwrap();

    assert_eq!(stdout(&added), format!("{ID} added\n"));
    assert!(
        stderr(&added).contains(&format!("kietop add --force new{OTHER_ID}")),
        "{}",
        stderr(&added)
    );
}

/// The input holds a key in many formats; the configured key is another one or the same.
#[test]
fn keys_are_never_added_printed_or_stored() {
    const KEY: &str = "9c0de1aa5b7f4e12a3d4c5b6e7f80912";
    let input = format!(
        "$ curl -v 'https://api.kie.ai/api/v1/modify/record-info?taskId={ID}' -H 'Authorization: Bearer {KEY}'\n\
         KIE_API_KEY={KEY}\n{{\"apiKey\":\"{KEY}\",\"taskId\":\"{OTHER_ID}\"}}\n{KEY}\n"
    );
    for key in ["canary-7f3a9c1e55", KEY] {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("list.db");
        let run = |args: &[&str], stdin: &str| {
            let output = kietop(&store, args)
                .env("KIE_API_KEY", key)
                .env("KIETOP_LOG", "debug")
                .write_stdin(stdin)
                .output()
                .unwrap();
            let printed = format!("{}{}", stdout(&output), stderr(&output));
            assert!(!printed.contains(KEY), "{printed}");
            (output.status.code(), printed)
        };
        let (code, printed) = run(&["add", "-"], &input);
        assert_eq!(code, Some(0), "{printed}");
        assert!(
            printed.contains(&format!("{ID} added\n{OTHER_ID} added\n")),
            "{printed}"
        );
        assert!(printed.contains("skipped 1 secret."), "{printed}");

        let (code, _) = run(&["add", &format!("Bearer {KEY}")], "");
        assert_eq!(code, Some(2));
        if key == KEY {
            assert_eq!(run(&["add", KEY], "").0, Some(2));
            assert_eq!(run(&["add", "--force", KEY], "").0, Some(2));
            assert_eq!(run(&["add", "-"], KEY).0, Some(1));
        }
        for file in list_files(folder.path()) {
            let bytes = std::fs::read(&file).unwrap();
            assert!(
                !bytes.windows(32).any(|part| part == KEY.as_bytes()),
                "{}",
                file.display()
            );
        }
    }
}

fn list_files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                list_files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn an_input_of_any_length_is_added_whole() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    let padding = "x".repeat(1200);
    let line = |n: u32| format!("INFO prompt='{padding}' task_id={n:032x}\n");
    let text: String = (1..=12_000).map(line).collect();
    assert!(text.len() > 14_000_000);

    let added = kietop(&store, &["add", "-"])
        .write_stdin(text)
        .output()
        .unwrap();

    assert_eq!((added.status.code(), stderr(&added)), (Some(0), ""));
    assert_eq!(stdout(&added).lines().count(), 12_000);
    let listed: Value = serde_json::from_str(stdout(&run(&store, &["list", "--json"]))).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 12_000);
}

#[test]
fn tee_passes_input_through_and_adds_per_line() {
    use std::{
        io::{BufRead as _, BufReader, Read as _, Write as _},
        process::Stdio,
    };
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_kietop"))
        .env_clear()
        .env("HOME", folder.path())
        .args(["add", "--tee", "-", "--store"])
        .arg(&store)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();

    // Each id is added while the input is still open.
    for id in [ID, OTHER_ID] {
        input
            .write_all(format!("\u{1b}[32m{id}\u{1b}[0m\r\n").as_bytes())
            .unwrap();
        line.clear();
        stderr.read_line(&mut line).unwrap();
        assert_eq!(line, format!("{id} added\n"));
    }
    input.write_all(b"\xff\0 no end").unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();

    assert_eq!(
        (output.status.code(), rest.as_str()),
        (Some(0), "kietop: \"ÿ\" is not a task id.\n")
    );
    let expected = format!("\u{1b}[32m{ID}\u{1b}[0m\r\n\u{1b}[32m{OTHER_ID}\u{1b}[0m\r\n");
    assert_eq!(
        output.stdout,
        [expected.as_bytes(), b"\xff\0 no end"].concat()
    );
}

#[test]
fn add_continues_when_stdout_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    let ids: Vec<_> = (1..=5000).map(|n| format!("{n:032x}")).collect();
    let text = ids.join("\n");
    let pipeline = format!(
        "'{}' --store '{}' add - | head -n 1",
        env!("CARGO_BIN_EXE_kietop"),
        store.display()
    );
    let output = Command::new("sh")
        .args(["-c", &pipeline])
        .write_stdin(text)
        .output()
        .unwrap();
    assert_eq!(stdout(&output).lines().count(), 1);
    let listed: Value = serde_json::from_str(stdout(&run(&store, &["list", "--json"]))).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 5000);
}

#[test]
fn reading_a_missing_list_does_not_create_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("data/list.db");
    for (args, code) in [
        (["list"].as_slice(), 0),
        (&["list", "--refresh"], 0),
        (&["show", ID], 5),
    ] {
        let output = run(&store, args);
        assert_eq!((output.status.code(), stdout(&output)), (Some(code), ""));
        let message = format!("No list at {} yet", store.display());
        assert!(stderr(&output).contains(&message), "{}", stderr(&output));
    }
    assert!(!store.parent().unwrap().exists());
}

#[test]
fn a_list_that_lost_tasks_exits_with_failure() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    std::fs::write(&store, "not a database".repeat(1000)).unwrap();

    let listed = run(&store, &["list"]);

    assert_eq!((listed.status.code(), stdout(&listed)), (Some(1), ""));
    assert!(
        stderr(&listed).contains("set aside as ") && stderr(&listed).contains(".corrupt-"),
        "{}",
        stderr(&listed)
    );
    assert_eq!(run(&store, &["list"]).status.code(), Some(0));
}

#[test]
fn every_command_reports_a_damaged_row() {
    let commands: [&[&str]; 9] = [
        &["list"],
        &["list", "--json"],
        &["list", "--csv"],
        &["show", ID],
        &["show", ID, "--json"],
        &["remove", ID],
        &["save", ID],
        &["open", ID],
        &["wait", ID, "--timeout", "1s"],
    ];
    for args in commands {
        let folder = tempfile::tempdir().unwrap();
        let store = folder.path().join("list.db");
        assert_eq!(run(&store, &["add", ID, OTHER_ID]).status.code(), Some(0));
        let connection = rusqlite::Connection::open(&store).unwrap();
        let sql = format!("UPDATE task SET checks = 7 WHERE id = '{ID}'");
        connection.execute_batch(&sql).unwrap();
        drop(connection);

        let output = run(&store, args);

        let message = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {message}");
        let path = format!("set aside as {}.corrupt-", store.display());
        assert!(message.contains(&path), "{args:?}: {message}");
        assert!(message.contains("1 by id only"), "{args:?}: {message}");
        let again = run(&store, &["list", "--json"]);
        assert_eq!(
            (again.status.code(), stderr(&again)),
            (Some(0), ""),
            "{args:?}"
        );
        let remaining = stdout(&again).matches("taskId").count();
        assert_eq!(
            remaining,
            if args[0] == "remove" { 1 } else { 2 },
            "{args:?}"
        );
    }
}

#[test]
fn a_deleted_list_is_restored_from_the_id_file() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    run(&store, &["add", ID, OTHER_ID, "--label", "neon city"]);
    run(&store, &["remove", OTHER_ID]);
    std::fs::remove_file(&store).unwrap();

    let read_only = run(&store, &["list", "--read-only"]);
    assert!(
        stderr(&read_only).contains("No list at"),
        "{}",
        stderr(&read_only)
    );
    assert!(!store.exists());
    let listed = run(&store, &["list"]);

    assert_eq!(listed.status.code(), Some(1), "{}", stderr(&listed));
    assert!(stdout(&listed).contains(ID) && !stdout(&listed).contains(OTHER_ID));
    assert!(stdout(&listed).contains("neon city"), "{}", stdout(&listed));
    assert_eq!(run(&store, &["list"]).status.code(), Some(0));
}

#[test]
fn rm_reports_every_error_and_removes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    run(&store, &["add", ID]);

    let refused = run(&store, &["remove", ID, "no-such-id", "77"]);

    assert_eq!((refused.status.code(), stdout(&refused)), (Some(5), ""));
    assert_eq!(
        stderr(&refused),
        "kietop: No task no-such-id on the list. kietop list shows all tasks.\n\
         No task 77 on the list. An id prefix needs at least 4 characters.\n\
         Nothing was removed.\n"
    );
    assert!(stdout(&run(&store, &["list"])).starts_with(ID));
}

#[test]
fn the_table_aligns_and_separates_equal_labels() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    let long = "日".repeat(20);
    run(&store, &["add", ID, OTHER_ID, &long, "--label", "take"]);

    let listed = run(&store, &["list"]);

    let lines: Vec<_> = stdout(&listed).lines().collect();
    assert_eq!(lines.len(), 3, "no header without a terminal: {lines:?}");
    let start = |line: &str| kietop::messages::format::width(&line[..line.find("  new").unwrap()]);
    assert!(lines.iter().all(|line| start(line) == 40), "{lines:?}");
    assert!(
        lines.iter().any(|line| line.ends_with("take · 774d9a7d")),
        "{lines:?}"
    );
}

#[test]
fn states_use_filter_words_and_no_match_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    run(&store, &["add", ID]);

    for (state, is_in) in [
        ("new", true),
        ("active", true),
        ("saved", false),
        ("late", false),
    ] {
        let by_option = run(&store, &["list", "--state", state]);
        let by_filter = run(&store, &["list", "--filter", &format!("state:{state}")]);
        assert_eq!(stdout(&by_option), stdout(&by_filter), "{state}");
        assert_eq!(stdout(&by_option).starts_with(ID), is_in, "{state}");
        let expected = if is_in {
            ""
        } else {
            "kietop: No task matches the filter.\n"
        };
        assert_eq!(stderr(&by_option), expected, "{state}");
    }
    let both = run(&store, &["list", "--state", "saved", "--state", "active"]);
    assert!(stdout(&both).starts_with(ID));
}

#[test]
fn times_have_milliseconds_so_that_they_sort_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    run(&store, &["add", ID]);

    let listed: Value = serde_json::from_str(stdout(&run(&store, &["list", "--json"]))).unwrap();

    let added = listed[0]["addedAt"].as_str().unwrap();
    assert_eq!(added.len(), "2026-03-01T12:00:00.000Z".len(), "{added}");
}

#[test]
fn simulate_and_demo_refuse_invalid_options() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    let refused = run(&store, &["simulate"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--store cannot be used with simulate"));
    for args in [["demo", "--speed", "0"], ["demo", "--tasks", "100000"]] {
        let refused = run(&store, &args);
        assert_eq!(refused.status.code(), Some(2));
        assert!(stderr(&refused).contains("10000"), "{}", stderr(&refused));
    }
}

#[tokio::test]
async fn last_known_state_is_shown_when_the_key_is_refused() {
    let server = MockServer::start().await;
    Mock::given(path("/api/v1/modify/record-info"))
        .respond_with(
            ResponseTemplate::new(200)
                .set_body_raw(r#"{"code":401,"msg":"no"}"#, "application/json"),
        )
        .mount(&server)
        .await;
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    run(&store, &["add", ID]);
    let args = ["--api-url", &server.uri(), "show", ID, "--refresh"];
    let mut command = kietop(&store, &args);
    let running = tokio::task::spawn_blocking(move || command.env("KIE_API_KEY", "x").output());

    let shown = running.await.unwrap().unwrap();

    assert_eq!(shown.status.code(), Some(4), "{}", stderr(&shown));
    assert!(
        stderr(&shown).contains("API key refused (401)"),
        "{}",
        stderr(&shown)
    );
    assert!(stdout(&shown).contains(ID), "{}", stdout(&shown));
}

#[cfg(target_os = "linux")]
#[test]
fn add_completes_when_stdout_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    let input = folder.path().join("input");
    let lines: Vec<_> = (1..=2000).map(|n| format!("taskId={n:032x}\n")).collect();
    std::fs::write(&input, lines.concat()).unwrap();
    for args in [["add", "-"].as_slice(), &["add", "--tee", "-"]] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_kietop"))
            .env_clear()
            .env("HOME", folder.path())
            .args(args)
            .arg("--store")
            .arg(&store)
            .stdin(std::fs::File::open(&input).unwrap())
            .stdout(std::fs::File::create("/dev/full").unwrap())
            .output()
            .unwrap();

        assert_eq!(output.status.code(), Some(1));
        assert!(stderr(&output).contains("kietop: Cannot write to standard output: "));
        let listed: Value =
            serde_json::from_str(stdout(&run(&store, &["list", "--json"]))).unwrap();
        assert_eq!(listed.as_array().unwrap().len(), 2000, "{args:?}");
    }
}

#[test]
fn the_file_size_limit_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("list.db");
    run(&store, &["add", ID]);
    let ids: Vec<_> = (0..4000).map(|n| format!("{n:032x}")).collect();

    let output = Command::new("/bin/sh")
        .env_clear()
        .env("HOME", folder.path())
        .args(["-c", "ulimit -f 300 && exec \"$@\"", "sh"])
        .arg(env!("CARGO_BIN_EXE_kietop"))
        .arg("--store")
        .arg(&store)
        .args(["add", "-"])
        .write_stdin(ids.join("\n"))
        .output()
        .unwrap();

    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("ids were not added"));
    let listed: Value = serde_json::from_str(stdout(&run(&store, &["list", "--json"]))).unwrap();
    let added = stdout(&output).lines().count();
    assert_eq!(listed.as_array().unwrap().len(), added + 1);
}
