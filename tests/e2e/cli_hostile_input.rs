//! The headless commands with hostile input: harmful text, closed pipes, full disks, arguments that
//! are not UTF-8. No output acts on the terminal, and nothing panics.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::Read as _,
    os::unix::ffi::OsStrExt as _,
    process::Output,
};

use serde_json::{Value, json};

use crate::support::{
    deadline,
    harmful_chars::{all_chars, is_harmful},
    raw_server::{RawServer, http_response, json_response},
    test_home::{
        ID, KEY, NOWHERE, TestHome, assert_code, assert_message, stderr, stdout, wait_for_output,
    },
};

/// Runs a command and checks that its output cannot act on a terminal.
#[track_caller]
fn run_safely(home: &TestHome, args: &[&str]) -> String {
    let output = home.run(args);
    assert_harmless_output(args, &output);
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn assert_harmless_output(args: &[impl std::fmt::Debug], output: &Output) {
    for bytes in [&output.stdout, &output.stderr] {
        let text = std::str::from_utf8(bytes).unwrap();
        let harmful = text.chars().find(|&c| is_harmful(c) && c != '\n');
        assert_eq!(harmful, None, "{args:?}: {text:?}");
        assert!(!text.contains("panicked"), "{args:?}: {text}");
    }
}

/// Returns texts that act on terminals, hide, or break parsers; one per task.
fn attack_texts() -> Vec<String> {
    let mut attacks = vec![
        "\u{1b}[2J\u{1b}[H\u{1b}]0;owned\u{7}\u{1b}]52;c;ZXZpbA==\u{7}\u{1b}]8;;http://evil\u{1b}\\x".to_owned(),
        "\u{9b}31m\u{9d}0;x\u{9c}\u{90}+q544e\u{9c}\u{8d}\u{84}".to_owned(),
        "\u{1b}Pq#0;2;0;0;0\u{1b}\\\u{1b}_Gf=24;AAAA\u{1b}\\\u{1b}^x\u{1b}\\\u{1b}c\u{1b}(0\u{e}\u{f}".to_owned(),
        "\u{1b}[6n\u{1b}[c\u{5}\u{1b}[>q\u{1b}[?1049l\u{1b}[?25l\u{1b}[201~q".to_owned(),
        "\u{202e}gpj.exe\u{202c}\u{2066}a\u{2069}\u{200f}\u{61c}".to_owned(),
        "a\u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{ad}b\u{180e}\u{2028}c\u{2029}d".to_owned(),
        format!("e{}", "\u{301}".repeat(1000)),
        format!("👩{}", "\u{200d}👩".repeat(300)),
        "\r\n\r\noverwritten\rfirst\n\t\u{b}\u{c}\u{85}x\u{8}\u{8}\u{8}y\u{7f}".to_owned(),
        "=cmd|'/C calc'!A0 \"'`$(id);&|<>\\ \\u001b[2J %1b %00".to_owned(),
        "https://user:pass@ex.com/\u{1b}[31m\u{202e}?a=\"b\"&c='d'\n".to_owned(),
        "{\"a\": \"\\ud83d\", \"b\": [1]}".to_owned(),
        "語\u{ff21}\u{1f600}\u{1f468}\u{1f3fd}\u{e000}\u{10ffff}\u{fffd}\u{fffe}".to_owned(),
    ];
    let all: Vec<_> = all_chars().filter(|&c| is_harmful(c)).collect();
    attacks.extend(all.chunks(450).map(|part| part.iter().collect()));
    // Letters at both ends, so that trimming cannot hide a lost character.
    attacks.iter().map(|attack| format!("a{attack}z")).collect()
}

/// Answers for task `attack-N` with attack N in every field; from 100 on with an error that holds
/// attack N - 100.
fn hostile_response(attacks: &[String], head: &str) -> Vec<u8> {
    let (_, id) = head.split_once("taskId=").unwrap();
    let id = id.split(' ').next().unwrap();
    let number: usize = id.rsplit_once('-').unwrap().1.parse().unwrap();
    let text = &attacks[number % 100];
    let body = if number >= 100 {
        let code = [500, 422, 999][number % 3];
        json!({"code": code, "msg": text})
    } else {
        let flags = [json!(1), json!(3), json!(4), json!(0), json!(text)];
        let flag = &flags[number % 5];
        json!({"code": 200, "data": {
            "taskId": id, "successFlag": flag, "errorCode": text, "errorMessage": text,
            "paramJson": json!({
                "prompt": text, "videoUrl": text, "callBackUrl": text, "waterMark": text,
            }).to_string(),
            "createTime": text, "completeTime": 1_755_078_480_000_i64,
            "response": {
                "taskId": text, "resultUrls": [text, format!("https://ex.com/{text}")], "originUrls": [text],
            },
        }})
    };
    json_response(&body.to_string())
}

#[tokio::test]
async fn hostile_responses_are_harmless_in_every_command() {
    let attacks = attack_texts();
    let responses = attacks.clone();
    let server = RawServer::replying(move |head| hostile_response(&responses, head)).await;
    let errors: Vec<_> = (100..106)
        .map(|number| format!("attack-{number}"))
        .collect();
    let home = TestHome::with_tasks(&errors);
    for (number, attack) in attacks.iter().enumerate() {
        let (id, label) = (format!("attack-{number}"), attack.replace('\0', ""));
        run_safely(&home, &["add", &id, "--label", &label]);
    }

    let args = ["list", "--refresh"];
    assert_harmless_output(&args, &home.run_at(&server, &args).await);
    run_safely(&home, &["list"]);
    let listed: Vec<Value> = serde_json::from_str(&run_safely(&home, &["list", "--json"])).unwrap();

    assert_eq!(listed.len(), attacks.len() + errors.len());
    for task in &listed {
        let id = task["taskId"].as_str().unwrap();
        run_safely(&home, &["show", id]);
        let shown: Value =
            serde_json::from_str(&run_safely(&home, &["show", id, "--json"])).unwrap();
        assert_eq!(&shown, task);
        let number: usize = id.rsplit_once('-').unwrap().1.parse().unwrap();
        if number >= 100 {
            let message = task["checkError"]["message"].as_str().unwrap();
            assert!(message.len() > 10, "{task}");
            continue;
        }
        let attack = &attacks[number];
        for field in [
            "prompt",
            "callBackUrl",
            "waterMark",
            "errorCode",
            "errorMessage",
        ] {
            assert_eq!(task[field], attack.as_str(), "{field} of {id}");
        }
        assert_eq!(task["label"], attack.replace('\0', ""));
        if number % 5 == 4 {
            assert_eq!(task["successFlag"], attack.as_str());
        }
    }
}

#[test]
fn hostile_arguments_are_harmless() {
    let home = TestHome::with_tasks(&[ID]);
    for attack in attack_texts() {
        let attack = attack.replace('\0', "");
        for args in [
            ["add", &attack].as_slice(),
            &["show", &attack],
            &["remove", &attack],
            &["list", "--state", &attack],
            &["--api-url", &attack, "list", "--refresh"],
            &["--store", &format!("/dev/null/{attack}"), "list"],
            &[&attack],
        ] {
            let output = home.run(args);
            assert_harmless_output(args, &output);
            let code = output.status.code().unwrap();
            assert!([0, 1, 2, 5].contains(&code), "{args:?}: {output:?}");
        }
        let output = home.run_with_input(&["add", "-"], attack);
        assert_harmless_output(&["add", "-"], &output);
    }
    let url = "https://user:hunter2@ex.com";
    let refreshed = home.run(&["--api-url", url, "list", "--refresh"]);
    assert!(!stderr(&refreshed).contains("hunter2"));
}

#[test]
fn a_closed_pipe_ends_quietly() {
    // Their output is larger than any pipe buffer.
    let ids: Vec<_> = (0..2000)
        .map(|number| format!("some-long-task-id-{number:08}"))
        .collect();
    let home = TestHome::with_tasks(&ids);

    for args in [["list"].as_slice(), &["list", "--json"], &["--help"]] {
        let mut child = home.kietop(NOWHERE, args).spawn().unwrap();
        // As `head -1` does: read a little, then close the pipe.
        let mut reader = child.stdout.take().unwrap();
        reader.read_exact(&mut [0; 16]).unwrap();
        drop(reader);
        let output = child.wait_with_output().unwrap();

        assert_code(&output, 0);
        assert_eq!(stderr(&output), "", "{args:?}");
    }
}

#[cfg_attr(not(target_os = "linux"), ignore = "needs Linux")]
#[test]
fn a_full_disk_is_reported_without_panic() {
    let home = TestHome::with_tasks(&[ID]);
    let full = || File::create("/dev/full").unwrap();
    for args in [
        ["list"].as_slice(),
        &["list", "--json"],
        &["show", ID],
        &["show", ID, "--json"],
        &["add", ID],
        &["--help"],
        &["--version"],
        &["list", "--help"],
        &["simulate", "--tasks", "1"],
        &["remove", ID],
    ] {
        let mut command = home.kietop(NOWHERE, args);
        let output = command.stdout(full()).output().unwrap();

        assert_message(&output, 1, "kietop: Cannot write to standard output: ");
        assert_eq!(stderr(&output).lines().count(), 1, "{args:?}");
    }
    for (args, code) in [
        (["show", "no-such-id"].as_slice(), 5),
        (&["no-such-command"], 2),
        (&[], 2),
    ] {
        let mut command = home.kietop(NOWHERE, args);
        let output = command.stderr(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}");
    }
}

#[test]
fn closed_fds_and_non_utf8_arguments_do_not_panic() {
    let home = TestHome::with_tasks(&[ID]);
    for args in [
        ["list"].as_slice(),
        &["show", "774d"],
        &["add", "-"],
        &["list", "--refresh"],
        &["--help"],
        &["no-such-command"],
        &[],
    ] {
        for closed in [">&-", "2>&-", "<&-", "<&- >&- 2>&-"] {
            let script = format!("\"$@\" {closed}");
            let output = home.shell(&script, NOWHERE, args).output().unwrap();
            let code = output.status.code().unwrap();
            assert!([0, 1, 2].contains(&code), "{args:?} {closed}: {output:?}");
        }
    }
    let non_utf8 = OsStr::from_bytes(b"\xff\xfe\x1b[2J");
    for args in [
        [OsStr::new("add"), non_utf8].as_slice(),
        &[OsStr::new("show"), non_utf8],
        &[OsStr::new("remove"), non_utf8],
        &[OsStr::new("list"), non_utf8],
        &[OsStr::new("--api-url"), non_utf8, OsStr::new("list")],
        &[non_utf8],
    ] {
        let output = home.run(args);
        assert_harmless_output(args, &output);
        assert_code(&output, 2);
    }
    // A file name need not be UTF-8.
    let file = OsStr::from_bytes(b"list-\xff.db");
    let words = ["--store", "add", ID].map(OsStr::new);
    assert_code(&home.run(&[words[0], file, words[1], words[2]]), 0);
    assert!(home.path().join(file).exists());
}

#[test]
fn without_a_terminal_there_is_a_hint_and_no_colour() {
    let home = TestHome::with_tasks(&[ID]);
    for (name, value) in [
        ("TERM", "xterm-256color"),
        ("TERM", "dumb"),
        ("NO_COLOR", "1"),
        ("CLICOLOR_FORCE", "1"),
    ] {
        for (args, code, hint) in [
            ([].as_slice(), 2, "kietop list"),
            (&["demo"], 2, "kietop list"),
            (&["list"], 0, ""),
        ] {
            let mut command = home.kietop(NOWHERE, args);
            let output = command.env(name, value).output().unwrap();
            assert_harmless_output(args, &output);
            assert_message(&output, code, hint);
        }
    }
}

// F10
#[tokio::test]
async fn a_refusing_proxy_is_named_without_its_user() {
    let home = TestHome::with_tasks(&[ID]);
    let mut proxy = RawServer::answering(http_response("407 No", "", "")).await;
    let address = proxy.origin().replace("http://", "");
    let refresh = async |proxy: &str, api: &str| {
        let mut command = home.kietop(api, &["list", "--refresh"]);
        command.env("HTTPS_PROXY", proxy).env("HTTP_PROXY", proxy);
        wait_for_output(command.spawn().unwrap()).await
    };

    let by_proxy = format!("http://us3r:hunter2@{address}");
    let refreshed = refresh(&by_proxy, "https://kietop-test.example").await;
    let expected = format!("the proxy {address} requires authentication (407)");
    assert_message(&refreshed, 1, &expected);
    for secret in ["us3r", "hunter2"] {
        assert!(!stderr(&refreshed).contains(secret), "{refreshed:?}");
    }
    let (_, request) = &proxy.requests()[0];
    let start = "CONNECT kietop-test.example:443 ";
    assert!(request.starts_with(start), "{request}");
    assert!(!request.contains(KEY), "{request}");

    let refreshed = refresh(NOWHERE, "https://kietop-test.example").await;
    assert_message(&refreshed, 1, "connection refused by the proxy 127.0.0.1:9");

    // Loopback addresses bypass the proxy.
    let refreshed = refresh(&format!("http://{address}"), NOWHERE).await;
    assert_message(&refreshed, 1, "connection refused by 127.0.0.1:9");
    assert!(!stderr(&refreshed).contains("proxy"), "{refreshed:?}");
    assert_eq!(proxy.requests(), []);
}

#[tokio::test]
async fn account_errors_say_the_next_step() {
    for (status, headers, body, error, hint, code) in [
        (
            "302 Found",
            "Location: http://login.example/\r\n",
            "",
            "login.example",
            "KIETOP_API_URL",
            1,
        ),
        (
            "404 Not Found",
            "",
            "<html>",
            "No API at this address",
            "KIETOP_API_URL",
            1,
        ),
        ("402 No", "", "", "Not enough credits", "Add credits", 1),
        (
            "403 No",
            "",
            "",
            "API key refused (403)",
            "https://kie.ai/api-key",
            4,
        ),
        (
            "403 No",
            "",
            "<title>Just a moment...</title>",
            "Blocked by the network or a gateway (403)",
            "Try another network",
            1,
        ),
        ("429 No", "", "", "Too many requests (429)", "try again", 1),
    ] {
        let server = RawServer::answering(http_response(status, headers, body)).await;
        let home = TestHome::with_tasks(&[ID]);
        let refreshed = home.run_at(&server, &["list", "--refresh"]).await;

        assert_message(&refreshed, code, error);
        assert_message(&refreshed, code, hint);
        assert!(
            stdout(&refreshed).contains(ID),
            "the last known state is printed"
        );
    }
}

/// Runs kietop under a `ulimit` of the shell; as `nobody` if we are root, because process limits do
/// not apply to root.
fn run_with_limit(home: &TestHome, limit: &str, args: &[&str]) -> Output {
    use std::os::unix::process::CommandExt as _;
    // The option -u of bash is -p in dash. The copy in the home folder may be read by `nobody`.
    let dash_limit = limit.replace("-u", "-p");
    let script = format!(
        "{{ ulimit {limit} 2> /dev/null || ulimit {dash_limit}; }} && shift && exec ./kietop \"$@\""
    );
    let mut command = home.shell(&script, NOWHERE, args);
    if rustix::process::getuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    deadline::output(&mut command)
}

#[cfg_attr(not(target_os = "linux"), ignore = "needs Linux")]
#[test]
fn resource_limits_are_reported_without_panic() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = TestHome::new();
    let program = home.path().join("kietop");
    fs::copy(env!("CARGO_BIN_EXE_kietop"), &program).unwrap();
    for path in [home.path(), &program] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let commands = [
        ["list", "--refresh"].as_slice(),
        &["wait", "--timeout", "1s"],
        &["save", "774d9a7d"],
        &["demo"],
    ];
    // With fewer descriptors the program cannot be loaded.
    let mut limits = [5, 6, 7, 8, 12, 15, 16]
        .map(|count| format!("-n {count}"))
        .to_vec();
    // The limit counts all processes of the user; only `nobody` is known to have no others.
    let max_processes = if rustix::process::getuid().is_root() {
        4
    } else {
        1
    };
    limits.extend((1..=max_processes).map(|count| format!("-u {count}")));
    assert_code(&run_with_limit(&home, "-u 64", &["add", ID]), 0);
    for limit in &limits {
        for args in commands {
            let output = run_with_limit(&home, limit, args);
            let (code, messages) = (output.status.code(), stderr(&output));
            let case = format!("{limit} {args:?}: {code:?} {messages}");
            assert!(matches!(code, Some(1 | 2 | 124)), "{case}");
            let is_reported = messages.starts_with("kietop: ") && !messages.contains("panicked");
            assert!(is_reported, "{case}");
        }
    }
    for (limit, expected) in [
        ("-n 8", "too few file descriptors left"),
        ("-u 1", "cannot start a thread"),
    ] {
        let output = run_with_limit(&home, limit, &["list"]);
        assert_message(&output, 1, expected);
    }
}
