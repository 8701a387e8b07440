//! The headless commands with hostile input: harmful text, closed pipes, full disks, arguments that
//! are not UTF-8. No output acts on the terminal, and nothing panics.

use std::{
    ffi::{OsStr, OsString},
    io::{Read as _, Write as _},
    net::TcpListener,
    os::unix::ffi::OsStrExt as _,
    path::Path,
    process::{Command, Output, Stdio},
    sync::mpsc,
    thread,
};

use serde_json::{Value, json};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers::any};

use crate::support::harmful_chars::{all_chars, is_harmful};

const KIETOP: &str = env!("CARGO_BIN_EXE_kietop");
const ID: &str = "774d9a7dd608a0e49293903095e45a4c";

fn kietop(home: &Path, args: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(KIETOP);
    command
        .env_clear()
        .env("HOME", home)
        .env("KIE_API_KEY", "a-key")
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(home: &Path, args: &[impl AsRef<OsStr>]) -> Output {
    crate::support::deadline::output(&mut kietop(home, args))
}

/// Runs a command and checks that its output cannot act on a terminal.
#[track_caller]
fn run_safely(home: &Path, args: &[&str]) -> String {
    let output = run(home, args);
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
fn hostile_response(attacks: &[String], request: &Request) -> ResponseTemplate {
    let (_, id) = request.url.query_pairs().next().unwrap();
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
    ResponseTemplate::new(200).set_body_json(body)
}

#[tokio::test]
async fn hostile_responses_are_harmless_in_every_command() {
    let attacks = attack_texts();
    let count = attacks.len();
    let (server, responses) = (MockServer::start().await, attacks.clone());
    Mock::given(any())
        .respond_with(move |request: &Request| hostile_response(&responses, request))
        .mount(&server)
        .await;
    let origin = server.uri();
    let check = move || {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        for (number, attack) in attacks.iter().enumerate() {
            let (id, label) = (format!("attack-{number}"), attack.replace('\0', ""));
            run_safely(home, &["add", &id, "--label", &label]);
        }
        let errors: Vec<_> = (100..106)
            .map(|number| format!("attack-{number}"))
            .collect();
        let mut args = vec!["add"];
        args.extend(errors.iter().map(String::as_str));
        run_safely(home, &args);

        run_safely(home, &["--api-url", &origin, "list", "--refresh"]);
        run_safely(home, &["list"]);
        let listed: Value = serde_json::from_str(&run_safely(home, &["list", "--json"])).unwrap();

        let listed = listed.as_array().unwrap();
        assert_eq!(listed.len(), count + errors.len());
        for task in listed {
            let id = task["taskId"].as_str().unwrap();
            run_safely(home, &["show", id]);
            let shown: Value =
                serde_json::from_str(&run_safely(home, &["show", id, "--json"])).unwrap();
            assert_eq!(&shown, task);
            let number: usize = id.rsplit_once('-').unwrap().1.parse().unwrap();
            if number >= 100 {
                assert!(
                    task["checkError"]["message"].as_str().unwrap().len() > 10,
                    "{task}"
                );
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
                assert_eq!(
                    task[field].as_str(),
                    Some(attack.as_str()),
                    "{field} of {id}"
                );
            }
            assert_eq!(task["label"], attack.replace('\0', ""));
            if number % 5 == 4 {
                assert_eq!(task["successFlag"].as_str(), Some(attack.as_str()));
            }
        }
    };
    tokio::task::spawn_blocking(check).await.unwrap();
}

#[test]
fn hostile_arguments_are_harmless() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
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
            let output = run(home, args);
            assert_harmless_output(args, &output);
            assert!(
                [0, 1, 2, 5].contains(&output.status.code().unwrap()),
                "{args:?}: {output:?}"
            );
        }
        let mut child = kietop(home, &["add", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(attack.as_bytes())
            .unwrap();
        assert_harmless_output(&["add", "-"], &child.wait_with_output().unwrap());
    }
    let passwords = [
        "--api-url",
        "https://user:hunter2@ex.com",
        "list",
        "--refresh",
    ];
    run(home, &["add", ID]);
    assert!(!String::from_utf8_lossy(&run(home, &passwords).stderr).contains("hunter2"));
}

/// Adds two thousand tasks: their output is larger than any pipe buffer.
fn fill_long_list(home: &Path) {
    let ids: Vec<_> = (0..2000)
        .map(|number| format!("some-long-task-id-{number:08}"))
        .collect();
    let mut args = vec!["add".to_owned()];
    args.extend(ids);
    assert!(run(home, &args).status.success());
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let folder = tempfile::tempdir().unwrap();
    fill_long_list(folder.path());

    for args in [["list"].as_slice(), &["list", "--json"], &["--help"]] {
        let mut child = kietop(folder.path(), args).spawn().unwrap();
        // As `head -1` does: read a little, then close the pipe.
        let mut reader = child.stdout.take().unwrap();
        reader.read_exact(&mut [0; 16]).unwrap();
        drop(reader);
        let output = child.wait_with_output().unwrap();

        assert_eq!(output.status.code(), Some(0), "{args:?}: {output:?}");
        assert_eq!(output.stderr, b"", "{args:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_reported_without_panic() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    run(home, &["add", ID]);
    let full = || {
        std::fs::File::options()
            .write(true)
            .open("/dev/full")
            .unwrap()
    };
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
        let output = kietop(home, args).stdout(full()).output().unwrap();

        assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(
            stderr.starts_with("kietop: Cannot write to standard output: "),
            "{stderr}"
        );
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
    for (args, code) in [
        (["show", "no-such-id"].as_slice(), 5),
        (&["no-such-command"], 2),
        (&[], 2),
    ] {
        let output = kietop(home, args).stderr(full()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}");
    }
}

#[test]
fn closed_fds_and_non_utf8_arguments_do_not_panic() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    run(home, &["add", ID]);
    for args in [
        "list",
        "show 774d",
        "add -",
        "list --refresh",
        "--help",
        "no-such-command",
        "",
    ] {
        for closed in [">&-", "2>&-", "<&-", "<&- >&- 2>&-"] {
            let line = format!("'{KIETOP}' --api-url http://127.0.0.1:9 {args} {closed}");
            let line = if args.starts_with('-') {
                line.replace("--api-url http://127.0.0.1:9", "")
            } else {
                line
            };
            let output = Command::new("/bin/sh")
                .args(["-c", &line])
                .env_clear()
                .env("HOME", home)
                .env("KIE_API_KEY", "a-key")
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let code = output.status.code().unwrap();
            assert!([0, 1, 2].contains(&code), "{line}: {output:?}");
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
        let output = run(home, args);
        assert_harmless_output(args, &output);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
    // A file name need not be UTF-8.
    let mut path: OsString = home.join("list-").into();
    path.push(OsStr::from_bytes(b"\xff.db"));
    let args = [
        OsStr::new("--store"),
        &path,
        OsStr::new("add"),
        OsStr::new(ID),
    ];
    assert_eq!(run(home, &args).status.code(), Some(0));
    assert!(Path::new(&path).exists());
}

#[test]
fn without_a_terminal_there_is_a_hint_and_no_colour() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    run(home, &["add", ID]);
    for (name, value) in [
        ("TERM", "xterm-256color"),
        ("TERM", "dumb"),
        ("NO_COLOR", "1"),
        ("CLICOLOR_FORCE", "1"),
    ] {
        for args in [[].as_slice(), &["demo"]] {
            let output = kietop(home, args).env(name, value).output().unwrap();
            assert_harmless_output(args, &output);
            assert_eq!(output.status.code(), Some(2));
            assert!(String::from_utf8_lossy(&output.stderr).contains("kietop list"));
        }
        let listed = kietop(home, &["list"]).env(name, value).output().unwrap();
        assert_harmless_output(&["list"], &listed);
    }
}

// F10
#[test]
fn a_refusing_proxy_is_named_without_its_user() {
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    run(home, &["add", ID]);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, requests) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, mut request) = (stream.unwrap(), Vec::new());
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            sender
                .send(String::from_utf8(request).unwrap())
                .unwrap_or_default();
            stream
                .write_all(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")
                .unwrap();
        }
    });
    let refresh = |proxy: &str, origin: &str| {
        let output = kietop(home, &["--api-url", origin, "list", "--refresh"])
            .env("HTTPS_PROXY", proxy)
            .env("HTTP_PROXY", proxy)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };

    let stderr = refresh(
        &format!("http://us3r:hunter2@127.0.0.1:{port}"),
        "https://kietop-test.example",
    );
    let expected = format!("the proxy 127.0.0.1:{port} requires authentication (407)");
    assert!(stderr.contains(&expected), "{stderr}");
    assert!(
        !stderr.contains("us3r") && !stderr.contains("hunter2"),
        "{stderr}"
    );
    let request = requests.recv().unwrap();
    assert!(
        request.starts_with("CONNECT kietop-test.example:443 "),
        "{request}"
    );
    assert!(!request.contains("a-key"), "{request}");

    let stderr = refresh("http://127.0.0.1:9", "https://kietop-test.example");
    assert!(
        stderr.contains("connection refused by the proxy 127.0.0.1:9"),
        "{stderr}"
    );

    // Loopback addresses bypass the proxy.
    let stderr = refresh(&format!("http://127.0.0.1:{port}"), "http://127.0.0.1:9");
    assert!(
        stderr.contains("connection refused by 127.0.0.1:9") && !stderr.contains("proxy"),
        "{stderr}"
    );
    assert!(requests.try_recv().is_err());
}

#[tokio::test]
async fn account_errors_say_the_next_step() {
    let cases = [
        (
            ResponseTemplate::new(302).insert_header("location", "http://login.example/"),
            "login.example",
            "KIETOP_API_URL",
            1,
        ),
        (
            ResponseTemplate::new(404).set_body_string("<html>"),
            "no API at this address",
            "KIETOP_API_URL",
            1,
        ),
        (
            ResponseTemplate::new(402),
            "not enough credits",
            "Add credits",
            1,
        ),
        (
            ResponseTemplate::new(403),
            "API key refused (403)",
            "https://kie.ai/api-key",
            4,
        ),
        (
            ResponseTemplate::new(403).set_body_string("<title>Just a moment...</title>"),
            "blocked by the network or a gateway (403)",
            "Try another network",
            1,
        ),
        (
            ResponseTemplate::new(429),
            "too many requests (429)",
            "try again",
            1,
        ),
    ];
    for (response, error, hint, code) in cases {
        let server = MockServer::start().await;
        Mock::given(any())
            .respond_with(response)
            .mount(&server)
            .await;
        let origin = server.uri();
        let running = tokio::task::spawn_blocking(move || {
            let folder = tempfile::tempdir().unwrap();
            run(folder.path(), &["add", ID]);
            run(folder.path(), &["--api-url", &origin, "list", "--refresh"])
        });
        let output = running.await.unwrap();

        let stderr = String::from_utf8_lossy(&output.stderr).to_lowercase();
        assert!(
            stderr.contains(&error.to_lowercase()) && stderr.contains(&hint.to_lowercase()),
            "{stderr}"
        );
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(
            String::from_utf8_lossy(&output.stdout).contains(ID),
            "the last known state is printed"
        );
    }
}

/// Runs kietop under a `ulimit` of the shell; as `nobody` if we are root, because process limits do
/// not apply to root.
#[cfg(target_os = "linux")]
fn run_with_limit(home: &Path, limit: &str, args: &str) -> Output {
    use std::os::unix::process::CommandExt as _;
    let program = home.join("kietop");
    // The option -u of bash is -p in dash.
    let dash_limit = limit.replace("-u", "-p");
    let script = format!(
        "{{ ulimit {limit} 2> /dev/null || ulimit {dash_limit}; }} && exec '{}' {args}",
        program.display()
    );
    let mut command = Command::new("/bin/sh");
    if rustix::process::getuid().is_root() {
        command.uid(65_534).gid(65_534);
    }
    command
        .env_clear()
        .env("HOME", home)
        .env("KIE_API_KEY", "a-key")
        .env("KIETOP_API_URL", "http://127.0.0.1:9")
        .args(["-c", &script])
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn resource_limits_are_reported_without_panic() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    let open_to_all = std::fs::Permissions::from_mode(0o777);
    std::fs::set_permissions(home, open_to_all.clone()).unwrap();
    std::fs::copy(KIETOP, home.join("kietop")).unwrap();
    std::fs::set_permissions(home.join("kietop"), open_to_all).unwrap();
    let commands = [
        "list --refresh",
        "wait --timeout 1s",
        "save 774d9a7d",
        "demo",
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
    assert_eq!(
        run_with_limit(home, "-u 64", &format!("add {ID}"))
            .status
            .code(),
        Some(0)
    );
    for limit in &limits {
        for args in commands {
            let output = run_with_limit(home, limit, args);
            let stderr = String::from_utf8_lossy(&output.stderr);
            let code = output.status.code();
            let case = format!("{limit} {args}: {code:?} {stderr}");
            assert!(matches!(code, Some(1 | 2 | 124)), "{case}");
            assert!(
                stderr.starts_with("kietop: ") && !stderr.contains("panicked"),
                "{case}"
            );
        }
    }
    for (limit, expected) in [
        ("-n 8", "too few file descriptors left"),
        ("-u 1", "cannot start a thread"),
    ] {
        let output = run_with_limit(home, limit, "list");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(expected), "{stderr}");
    }
}
