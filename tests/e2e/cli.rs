//! The headless commands as scripts use them: the real program, files and exit codes.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::Stdio,
};

use serde_json::Value;

use crate::support::{
    raw_server::{RawServer, json_response},
    test_home::{
        ID, KEY, NOWHERE, OTHER_ID, TestHome, assert_code, assert_message, output_with_input,
        parse_json, stderr, stdout,
    },
};

#[test]
fn add_finds_ids_and_rm_removes_them() {
    let home = TestHome::new();
    let added = home.run(&["add", ID, "--label", "one"]);
    assert_eq!(stdout(&added), format!("{ID} added\n"));
    let input = format!("{{\"taskId\":\"{OTHER_ID}\"}}\n{ID}\n");
    let added = home.run_with_input(&["add", "-"], input);
    let expected = format!("{OTHER_ID} added\n{ID} already watched\n");
    assert_eq!(stdout(&added), expected);

    let removed = home.run(&["remove", &OTHER_ID[..6]]);
    assert_eq!(stdout(&removed), format!("{OTHER_ID} removed\n"));
    let [task] = &home.listed()[..] else {
        panic!("one task is left");
    };
    let fields = ["taskId", "label", "state"].map(|name| task[name].as_str());
    assert_eq!(fields, [ID, "one", "new"].map(Some));
}

#[test]
fn list_filters_and_points_at_filter_errors() {
    let home = TestHome::new();
    home.run(&["add", ID, "--label", "neon city"]);
    home.run(&["add", OTHER_ID, "--label", "=1+1"]);
    for (filter, expected) in [
        ("neon", [ID].as_slice()),
        ("!neon state:new", &[OTHER_ID]),
        ("id:774d", &[ID]),
        ("age:>1d", &[]),
    ] {
        let listed = home.run(&["list", "--json", "--filter", filter]);
        assert_code(&listed, 0);
        let tasks: Vec<Value> = parse_json(&listed);
        let ids: Vec<_> = tasks
            .iter()
            .filter_map(|task| task["taskId"].as_str())
            .collect();
        assert_eq!(ids, expected, "{filter}");
    }
    let both = ["list", "--filter", "neon", "--state", "failed"];
    assert_eq!(stdout(&home.run(&both)), "");

    let invalid = home.run(&["list", "--filter", "\u{1b}雨 stat:new x"]);
    assert_eq!((invalid.status.code(), stdout(&invalid)), (Some(2), ""));
    assert_eq!(
        stderr(&invalid),
        "kietop: unknown field \"stat\"; did you mean \"state\"?\n  ␛雨 stat:new x\n      ^^^^\n"
    );
    let long = home.run(&["list", "--filter", &"x".repeat(10_000)]);
    assert_code(&long, 2);
    assert!(stderr(&long).len() < 100, "{}", stderr(&long));
}

#[test]
fn csv_contains_no_formulas() {
    let home = TestHome::new();
    let header = "taskId,family,label,state,successFlag,prompt,videoUrl,callBackUrl,waterMark,createTime,\
        completeTime,durationMs,errorCode,errorMessage,originUrls,resultUrls,addedAt,checkedAt,checkError,\
        expiresAt,savedTo,savedFiles\r\n";
    assert_eq!(stdout(&home.run(&["list", "--csv"])), header);
    home.run(&["add", ID, "--label", "=HYPERLINK(\"x\", \"y\")"]);

    let listed = home.run(&["list", "--csv"]);

    let row = stdout(&listed).strip_prefix(header).unwrap();
    let start = format!("{ID},luma-modify,\"'=HYPERLINK(\"\"x\"\", \"\"y\"\")\",new,,");
    assert!(row.starts_with(&start) && row.ends_with("\r\n"), "{row}");
    assert_code(&home.run(&["list", "--csv", "--json"]), 2);
}

#[test]
fn exit_codes_match_the_documentation() {
    let home = TestHome::new();
    for (args, code) in [
        (["list"].as_slice(), 0),
        (&["add", "two words"], 2),
        (&["no-such-command"], 2),
        // The dashboard has no terminal.
        (&[], 2),
        (&["show", ID], 5),
        (&["remove", ID], 5),
        (&["--read-only", "add", ID], 2),
        (&["add", ID], 0),
        (&["--api-url", "http://api.kie.ai", "list", "--refresh"], 2),
    ] {
        assert_eq!(home.run(args).status.code(), Some(code), "{args:?}");
    }
    let mut without_key = home.kietop(NOWHERE, &["list", "--refresh"]);
    let refreshed = without_key.env_remove("KIE_API_KEY").output().unwrap();
    assert_message(&refreshed, 4, "KIE_API_KEY");
}

#[test]
fn read_only_leaves_no_trace() {
    let home = TestHome::new();

    let listed = home.run(&["--read-only", "list", "--json"]);

    assert_eq!((listed.status.code(), stdout(&listed)), (Some(0), "[]\n"));
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn list_prints_the_documented_answer_as_json() {
    let mut server =
        RawServer::answering(json_response(include_str!("../fixtures/succeeded.json"))).await;
    let home = TestHome::with_tasks(&[ID]);

    let args = ["list", "--refresh", "--json"];
    let refreshed = home.run_at(&server, &args).await;

    assert_code(&refreshed, 0);
    let [task] = &parse_json::<Vec<Value>>(&refreshed)[..] else {
        panic!("one task is listed");
    };
    assert_eq!(task["state"], "succeeded");
    assert_eq!(task["durationMs"], 309_000);
    assert_eq!(task["prompt"], "A futuristic cityscape");
    assert_eq!(
        task["resultUrls"][0],
        "https://tempfile.aiquickdraw.com/l/f782018c-6be4-4990-96ba-7231cd5a39e7.mp4"
    );
    assert!(!stdout(&refreshed).contains(KEY));
    let [(_, head)] = &server.requests()[..] else {
        panic!("one request is sent");
    };
    let target = format!("GET /api/v1/modify/record-info?taskId={ID} ");
    assert!(head.starts_with(&target), "{head}");
    assert!(head.contains(&format!(": Bearer {KEY}\r\n")), "{head}");

    // Finished tasks are not checked, so no key is needed.
    let mut again = home.kietop(NOWHERE, &["list", "--refresh"]);
    assert_code(&again.env_remove("KIE_API_KEY").output().unwrap(), 0);
}

#[test]
fn add_arguments_are_ids_or_contain_ids() {
    let home = TestHome::new();
    let link = format!("https://api.kie.ai/api/v1/modify/record-info?taskId={ID}");
    let glued = format!("new{OTHER_ID}");
    let with_glued = home.run_with_input(&["add", "-"], format!("{link}\n{glued}\n"));
    assert_eq!(stdout(&with_glued), format!("{ID} added\n"));
    assert_message(&with_glued, 0, &format!("kietop add --force {glued}"));
    let added = home.run(&["add", &link]);
    assert_eq!(stdout(&added), format!("{ID} already watched\n"));

    for (argument, reason) in [
        ("zz", "too short"),
        ("https://t.example/l/1.mp4", "no task id found"),
        ("YOUR_TASK_ID", "no task id found"),
        ("abc.def:1", "no task id found"),
        (&glued, "kietop add --force"),
    ] {
        let refused = home.run(&["add", argument]);
        assert_message(&refused, 2, reason);
        assert_eq!(stdout(&refused), "");
    }

    let forced = home.run(&["add", "--force", &glued, "abc.def:1"]);
    assert_eq!(stdout(&forced), format!("{glued} added\nabc.def:1 added\n"));

    let uppercase_id = ID.to_uppercase();
    let added = home.run(&["add", &uppercase_id]);
    assert_eq!(stdout(&added), format!("{uppercase_id} added\n"));
    assert_message(&added, 0, &format!("{uppercase_id} differs from {ID}"));
    assert_eq!(stderr(&home.run(&["add", OTHER_ID])), "");
}

/// The input holds a key in many formats; the configured key is another one or the same.
#[test]
fn keys_are_never_added_printed_or_stored() {
    const SECRET: &str = "9c0de1aa5b7f4e12a3d4c5b6e7f80912";
    let input = format!(
        "$ curl -v 'https://api.kie.ai/api/v1/modify/record-info?taskId={ID}' -H 'Authorization: Bearer {SECRET}'\n\
         KIE_API_KEY={SECRET}\n{{\"apiKey\":\"{SECRET}\",\"taskId\":\"{OTHER_ID}\"}}\n{SECRET}\n"
    );
    for key in ["canary-7f3a9c1e55", SECRET] {
        let home = TestHome::new();
        let run = |args: &[&str], input: &str| {
            let mut command = home.kietop(NOWHERE, args);
            command.env("KIE_API_KEY", key).env("KIETOP_LOG", "debug");
            let output = output_with_input(&mut command, input);
            let printed = format!("{}{}", stdout(&output), stderr(&output));
            assert!(!printed.contains(SECRET), "{printed}");
            (output.status.code(), printed)
        };
        let (code, printed) = run(&["add", "-"], &input);
        assert_eq!(code, Some(0), "{printed}");
        assert!(
            printed.contains(&format!("{ID} added\n{OTHER_ID} added\n")),
            "{printed}"
        );
        assert!(printed.contains("skipped 1 secret."), "{printed}");

        let (code, _) = run(&["add", &format!("Bearer {SECRET}")], "");
        assert_eq!(code, Some(2));
        if key == SECRET {
            assert_eq!(run(&["add", SECRET], "").0, Some(2));
            assert_eq!(run(&["add", "--force", SECRET], "").0, Some(2));
            assert_eq!(run(&["add", "-"], SECRET).0, Some(1));
        }
        for file in list_files(home.path()) {
            let bytes = fs::read(&file).unwrap();
            assert!(
                !bytes.windows(32).any(|part| part == SECRET.as_bytes()),
                "{}",
                file.display()
            );
        }
    }
}

fn list_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
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
    let home = TestHome::new();
    let padding = "x".repeat(1200);
    let line = |n: u32| format!("INFO prompt='{padding}' task_id={n:032x}\n");
    let text: String = (1..=12_000).map(line).collect();
    assert!(text.len() > 14_000_000);

    let added = home.run_with_input(&["add", "-"], text);

    assert_eq!((added.status.code(), stderr(&added)), (Some(0), ""));
    assert_eq!(stdout(&added).lines().count(), 12_000);
    assert_eq!(home.listed().len(), 12_000);
}

#[test]
fn tee_passes_input_through_and_adds_per_line() {
    let home = TestHome::new();
    let mut command = home.kietop(NOWHERE, &["add", "--tee", "-"]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
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
    let home = TestHome::new();
    let ids: Vec<_> = (1..=5000).map(|n| format!("{n:032x}")).collect();
    let mut pipeline = home.shell("\"$@\" | head -n 1", NOWHERE, &["add", "-"]);
    let output = output_with_input(&mut pipeline, ids.join("\n"));
    assert_eq!(stdout(&output).lines().count(), 1);
    assert_eq!(home.listed().len(), 5000);
}

#[test]
fn reading_a_missing_list_does_not_create_it() {
    let home = TestHome::new();
    for (args, code) in [
        (["list"].as_slice(), 0),
        (&["list", "--refresh"], 0),
        (&["show", ID], 5),
    ] {
        let output = home.run(args);
        let message = format!("No list at {} yet", home.list().display());
        assert_message(&output, code, &message);
        assert_eq!(stdout(&output), "");
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_list_that_lost_tasks_exits_with_failure() {
    let home = TestHome::new();
    fs::create_dir(home.list().parent().unwrap()).unwrap();
    fs::write(home.list(), "not a database".repeat(1000)).unwrap();

    let listed = home.run(&["list"]);

    assert_message(&listed, 1, "set aside as ");
    assert_message(&listed, 1, ".corrupt-");
    assert_eq!(stdout(&listed), "");
    assert_code(&home.run(&["list"]), 0);
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
        let home = TestHome::with_tasks(&[ID, OTHER_ID]);
        let connection = rusqlite::Connection::open(home.list()).unwrap();
        let sql = format!("UPDATE task SET checks = 7 WHERE id = '{ID}'");
        connection.execute_batch(&sql).unwrap();
        drop(connection);

        let output = home.run(args);

        let path = format!("set aside as {}.corrupt-", home.list().display());
        assert_message(&output, 1, &path);
        assert_message(&output, 1, "1 by id only");
        let again = home.run(&["list", "--json"]);
        assert_eq!((again.status.code(), stderr(&again)), (Some(0), ""));
        let remaining = if args[0] == "remove" { 1 } else { 2 };
        assert_eq!(
            parse_json::<Vec<Value>>(&again).len(),
            remaining,
            "{args:?}"
        );
    }
}

#[test]
fn a_deleted_list_is_restored_from_the_id_file() {
    let home = TestHome::new();
    home.run(&["add", ID, OTHER_ID, "--label", "neon city"]);
    home.run(&["remove", OTHER_ID]);
    fs::remove_file(home.list()).unwrap();

    assert_message(&home.run(&["list", "--read-only"]), 0, "No list at");
    assert!(!home.list().exists());
    let listed = home.run(&["list"]);

    assert_code(&listed, 1);
    assert!(stdout(&listed).contains(ID) && !stdout(&listed).contains(OTHER_ID));
    assert!(stdout(&listed).contains("neon city"), "{}", stdout(&listed));
    assert_code(&home.run(&["list"]), 0);
}

#[test]
fn rm_reports_every_error_and_removes_nothing() {
    let home = TestHome::with_tasks(&[ID]);

    let refused = home.run(&["remove", ID, "no-such-id", "77"]);

    assert_eq!((refused.status.code(), stdout(&refused)), (Some(5), ""));
    assert_eq!(
        stderr(&refused),
        "kietop: No task no-such-id on the list. kietop list shows all tasks.\n\
         No task 77 on the list. An id prefix needs at least 4 characters.\n\
         Nothing was removed.\n"
    );
    assert!(stdout(&home.run(&["list"])).starts_with(ID));
}

#[test]
fn the_table_aligns_and_separates_equal_labels() {
    let home = TestHome::new();
    let long = "日".repeat(20);
    home.run(&["add", ID, OTHER_ID, &long, "--label", "take"]);

    let listed = home.run(&["list"]);

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
    let home = TestHome::with_tasks(&[ID]);

    for (state, is_in) in [
        ("new", true),
        ("active", true),
        ("saved", false),
        ("late", false),
    ] {
        let by_option = home.run(&["list", "--state", state]);
        let by_filter = home.run(&["list", "--filter", &format!("state:{state}")]);
        assert_eq!(stdout(&by_option), stdout(&by_filter), "{state}");
        assert_eq!(stdout(&by_option).starts_with(ID), is_in, "{state}");
        let expected = if is_in {
            ""
        } else {
            "kietop: No task matches the filter.\n"
        };
        assert_eq!(stderr(&by_option), expected, "{state}");
    }
    let both = home.run(&["list", "--state", "saved", "--state", "active"]);
    assert!(stdout(&both).starts_with(ID));
}

#[test]
fn times_have_milliseconds_so_that_they_sort_as_text() {
    let task = TestHome::with_tasks(&[ID]).task(ID);
    let added = task["addedAt"].as_str().unwrap();
    assert_eq!(added.len(), "2026-03-01T12:00:00.000Z".len(), "{added}");
}

#[test]
fn simulate_and_demo_refuse_invalid_options() {
    let home = TestHome::new();
    for (args, message) in [
        (
            ["simulate", "--store", "list"],
            "--store cannot be used with simulate",
        ),
        (["demo", "--speed", "0"], "10000"),
        (["demo", "--tasks", "100000"], "10000"),
    ] {
        assert_message(&home.run(&args), 2, message);
    }
}

#[cfg_attr(not(target_os = "linux"), ignore = "needs Linux")]
#[test]
fn add_completes_when_stdout_is_full() {
    let home = TestHome::new();
    let lines: Vec<_> = (1..=2000).map(|n| format!("taskId={n:032x}\n")).collect();
    for args in [["add", "-"].as_slice(), &["add", "--tee", "-"]] {
        let mut command = home.kietop(NOWHERE, args);
        command.stdout(File::create("/dev/full").unwrap());
        let output = output_with_input(&mut command, lines.concat());
        assert_message(&output, 1, "kietop: Cannot write to standard output: ");
        assert_eq!(home.listed().len(), 2000, "{args:?}");
    }
}

#[test]
fn the_file_size_limit_is_reported() {
    let home = TestHome::with_tasks(&[ID]);
    let ids: Vec<_> = (0..4000).map(|n| format!("{n:032x}")).collect();

    let script = "ulimit -f 300 && exec \"$@\"";
    let mut command = home.shell(script, NOWHERE, &["add", "-"]);
    let output = output_with_input(&mut command, ids.join("\n"));

    assert_message(&output, 1, "ids were not added");
    let added = stdout(&output).lines().count();
    assert_eq!(home.listed().len(), added + 1);
}
