//! The key goes to the API's origin and nowhere else: a canary in place of it, hostile servers, and
//! a look into every corner afterwards.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test code: what is not as expected is to fail loudly"
)]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::{ffi::OsStringExt as _, fs::PermissionsExt as _},
    path::Path,
    process::{Command, Output, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
};

use futures_util::stream::{self, StreamExt as _};
use kietop::{
    adapters::{
        kie::{ApiKey, ApiOrigin, KieClient, RequestLimits},
        log,
    },
    domain::{
        poll_result::PollError,
        response_notes::ResponseNotes,
        task::{Family, TaskId},
        text::CleanText,
    },
    ports::TaskApi as _,
};

#[path = "support/deadline.rs"]
mod deadline;
#[expect(dead_code, reason = "this file needs a part of the harness")]
#[path = "support/pty.rs"]
mod pty;
use pty::PtyLaunch;

const KIETOP: &str = env!("CARGO_BIN_EXE_kietop");
const ID: &str = "774d9a7dd608a0e49293903095e45a4c";
/// Looked for in capitals and without: the names of hosts have none.
const CANARY: &str = "Canary-5d1f0c2b-Key";

/// Is a server on loopback with a thread for each connection; what it heard is kept.
struct RecordingServer {
    origin: String,
    requests: Receiver<String>,
}

impl RecordingServer {
    /// Starts a server whose n-th answer is chosen by `answer`.
    fn start(answer: impl Fn(usize) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (tell, heard) = mpsc::channel();
        thread::spawn(move || {
            let count = std::sync::atomic::AtomicUsize::new(0);
            let next = || count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let (next, answer) = (&next, &answer);
            thread::scope(|threads| {
                for stream in listener.incoming() {
                    let tell = tell.clone();
                    threads.spawn(move || serve_connection(&stream.unwrap(), next, answer, &tell));
                }
            });
        });
        Self {
            origin,
            requests: heard,
        }
    }

    fn port(&self) -> &str {
        self.origin.rsplit_once(':').unwrap().1
    }

    /// Returns the heads of all requests so far.
    fn received_heads(&self) -> Vec<String> {
        self.requests.try_iter().collect()
    }
}

fn serve_connection(
    mut stream: &TcpStream,
    next: &(impl Fn() -> usize + Sync),
    answer: &(impl Fn(usize) -> String + Sync),
    tell: &mpsc::Sender<String>,
) {
    let (mut head, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(count) => head.extend_from_slice(&piece[..count]),
        }
        if head.ends_with(b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&std::mem::take(&mut head)).into_owned();
            tell.send(text).unwrap_or_default();
            if stream.write_all(answer(next()).as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn http_response(head: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// Every way to lead the key astray, or to make us say it; the thief listens on `port`.
fn key_leak_attempts(port: &str) -> Vec<String> {
    let mut answers = Vec::new();
    let places = [
        format!("http://127.0.0.1:{port}/"),
        format!("http://127.0.0.1:{port}/{CANARY}?k={CANARY}#{CANARY}"),
        format!("http://{CANARY}:{CANARY}@127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("//127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("http://0x7f000001:{port}/"),
        format!("http://{CANARY}.example/"),
        format!("ftp://127.0.0.1:{port}/"),
        "file:///etc/passwd".to_owned(),
        "javascript:alert(1)".to_owned(),
        "/api/v1/modify/record-info".to_owned(),
        "http://".to_owned(),
        CANARY.to_owned(),
    ];
    for status in [300, 301, 302, 303, 305, 307, 308] {
        for place in &places {
            let refresh = format!("Refresh: 0; url={place}\r\nLink: <{place}>; rel=preload");
            answers.push(http_response(
                &format!("{status} Go\r\nLocation: {place}\r\n{refresh}"),
                "",
            ));
        }
    }
    let alt = format!("200 OK\r\nAlt-Svc: http/1.1=\"127.0.0.1:{port}\"; ma=9999");
    answers.push(http_response(
        &alt,
        r#"{"code":200,"data":{"successFlag":0}}"#,
    ));
    let proxy = format!("407 Proxy\r\nProxy-Authenticate: Basic realm=\"{CANARY}\"");
    answers.push(http_response(&proxy, ""));
    for code in [400, 401, 402, 404, 422, 429, 451, 455, 500, 501, 505, 999] {
        let body = format!(r#"{{"code":{code},"msg":"bad key {CANARY}","data":null}}"#);
        answers.push(http_response("200 OK", &body));
        answers.push(http_response(
            &format!("{} {CANARY}", code.clamp(400, 599)),
            &body,
        ));
    }
    for body in [
        record_echoing(CANARY),
        format!(r#"{{"code":200,"data":{{"taskId":"{CANARY}"}}}}"#),
        format!(r#"{{"code":"{CANARY}"}}"#),
        format!(r#"{{"code":200,"data":"{CANARY}"}}"#),
        CANARY.to_owned(),
        format!("<html>{CANARY}"),
        format!("\"{CANARY}\""),
    ] {
        answers.push(http_response("200 OK", &body));
    }
    answers.push(http_response(
        &format!("200 {CANARY}\r\nX-Key: {CANARY}\r\nSet-Cookie: k={CANARY}"),
        "{",
    ));
    answers.push(format!("{CANARY}\r\n\r\n"));
    answers.push(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: x{CANARY}\r\n\r\n"
    ));
    answers
}

/// Returns a record that holds a text wherever it can.
fn record_echoing(text: &str) -> String {
    let record = serde_json::json!({
        "taskId": ID, "successFlag": 4, "errorCode": text, "errorMessage": text,
        "paramJson": serde_json::json!({
            "prompt": text, "videoUrl": text, "callBackUrl": text, "waterMark": text,
        }).to_string(),
        "response": {"resultUrls": [text, format!("https://ex.com/{text}.mp4?k={text}")], "originUrls": [text]},
    });
    serde_json::json!({"code": 200, "msg": text, "data": record}).to_string()
}

#[track_caller]
fn assert_no_canary(what: &str, text: &str) {
    let found = text.to_lowercase().find(&CANARY.to_lowercase());
    let around = |at: usize| text.get(text.floor_char_boundary(at.saturating_sub(200))..);
    assert_eq!(
        found,
        None,
        "the key is in {what}: {:.300?}",
        found.and_then(around)
    );
}

/// Looks through every file below a folder.
fn assert_no_canary_in_folder(folder: &Path) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            assert_no_canary_in_folder(&path);
        } else {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            assert_no_canary(&path.display().to_string(), &text);
        }
    }
}

/// A key with what JSON and links spell otherwise.
const ODD_KEY: &str = "Canary/5d1f+0c2b\"Key=";

/// Spells each letter of a text by a rule.
fn encode_each(text: &str, one: impl Fn(u8) -> String) -> String {
    text.bytes().map(one).collect()
}

/// Every spelling of the odd key that a reader of JSON, or of a link in it, would undo; as written
/// in a body.
fn key_encodings() -> Vec<String> {
    let json = ODD_KEY.replace('"', "\\\"");
    let percent = encode_each(ODD_KEY, |byte| format!("%{byte:02X}"));
    let escaped = |byte| format!("\\u00{byte:02x}");
    vec![
        json.clone(),
        json.replace('/', "\\/"),
        json.replace('C', "\\u0043"),
        encode_each(ODD_KEY, escaped),
        encode_each(&ODD_KEY.to_lowercase(), escaped),
        json.replace('/', "%2F").replace('+', "%2b"),
        encode_each(&percent, escaped),
        // JSON within JSON.
        json.replace('\\', "\\\\\\").replace('/', "\\\\/"),
        encode_each(ODD_KEY, |byte| format!("\\\\u00{byte:02X}")),
        percent,
    ]
}

/// Looks for the odd key in a text, as it is and with all that a reader could undo undone.
#[track_caller]
fn assert_no_odd_key(what: &str, text: &str) {
    let mut plain = text.to_lowercase();
    for _ in 0..5 {
        for byte in ODD_KEY.to_lowercase().bytes() {
            let letter = char::from(byte).to_string();
            plain = plain.replace(&format!("\\u00{byte:02x}"), &letter);
            plain = plain.replace(&format!("%{byte:02x}"), &letter);
        }
        plain = plain
            .replace("\\/", "/")
            .replace("\\\"", "\"")
            .replace("\\\\", "\\");
        plain = plain.replace("%25", "%");
        assert!(
            !plain.contains(&ODD_KEY.to_lowercase()),
            "the key is in {what}: {text:.2000}"
        );
    }
}

// F71
#[test]
fn an_echoed_key_is_redacted_in_every_spelling() {
    let fill = |template: String| -> Vec<String> {
        let one = |spelling: String| template.replace(CANARY, &spelling);
        key_encodings().into_iter().map(one).collect()
    };
    let mut bodies = fill(record_echoing(CANARY));
    bodies.extend(fill(format!(
        r#"{{"code":200,"data":{{"taskId":"{ID}","successFlag":0,"{CANARY}":["{CANARY}"]}}}}"#
    )));
    bodies.extend(fill(format!(r#"{{"code":422,"msg":"bad {CANARY}"}}"#)));
    let count = bodies.len();
    let api = RecordingServer::start(move |n| http_response("200 OK", &bodies[n % bodies.len()]));
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    fs::create_dir_all(home.join("trap")).unwrap();

    for number in 0..count {
        let store = home.join(format!("{number}.db")).display().to_string();
        let run = |words: &[&str]| {
            let words: Vec<_> = ["--store", &store].iter().chain(words).copied().collect();
            let output = kietop_with(ODD_KEY, home, &api.origin, &words);
            assert_no_odd_key("the output", &String::from_utf8_lossy(&output.stdout));
            assert_no_odd_key("an error", &String::from_utf8_lossy(&output.stderr));
            output
        };
        assert!(run(&["add", ID]).status.success());
        run(&["show", ID, "--refresh", "--json"]);
        run(&["show", ID]);
    }

    assert_eq!(api.received_heads().len(), count);
    for entry in fs::read_dir(home).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let text = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
            assert_no_odd_key(&path.display().to_string(), &text);
        }
    }
}

#[tokio::test]
async fn ten_thousand_requests_send_the_key_to_one_origin() {
    const REQUEST_COUNT: usize = 10_000;
    let folder = tempfile::tempdir().unwrap();
    // Everything that anything says, libraries included.
    let file = folder.path().join("kietop.log");
    log::start(&file, tracing::Level::TRACE).unwrap();
    let thief = RecordingServer::start(|_| http_response("200 OK", &record_echoing("stolen")));
    let tempted = key_leak_attempts(thief.port());
    let count = tempted.len();
    let api = RecordingServer::start(move |n| tempted[n % tempted.len()].clone());
    let (client, id) = (
        KieClient::new(
            ApiOrigin::parse(&api.origin).unwrap(),
            Some(ApiKey::parse(CANARY).unwrap()),
            RequestLimits::default(),
        ),
        TaskId::parse(ID).unwrap(),
    );
    let (client, id) = (&client, &id);

    let shown: Vec<_> = stream::iter(0..REQUEST_COUNT)
        .map(|_| async move {
            let mut noticed = ResponseNotes::default();
            let answer = client.poll(id, Family::LumaModify, &mut noticed).await;
            // The API answers at once. A client that followed a redirect to a port without HTTP
            // would wait.
            assert_ne!(answer, Err(PollError::TimedOut), "another one was asked");
            let said = answer.as_ref().err().map(PollError::message);
            let kept = noticed.text.as_ref().map(CleanText::original);
            format!("{answer:?} {said:?} {noticed:?} {kept:?}")
        })
        .buffer_unordered(4)
        .collect()
        .await;

    for shown in &shown {
        assert_no_canary("an answer", shown);
    }
    assert_no_canary("the client", &format!("{client:?} {client:#?}"));
    assert_eq!(thief.received_heads(), [""; 0], "the thief was asked");
    let asked = api.received_heads();
    assert!(
        asked.len() >= REQUEST_COUNT && count > 100,
        "{count} temptations"
    );
    let bearer = format!("authorization: Bearer {CANARY}\r\n");
    for head in asked {
        // Once in each, in the one header it belongs in.
        assert_eq!(head.matches(CANARY).count(), 1, "{head}");
        assert!(head.contains(&bearer), "{head}");
    }
    let logged = fs::read_to_string(&file).unwrap();
    assert!(logged.contains("(the key)") && logged.len() > 100_000);
    assert_no_canary_in_folder(folder.path());
}

/// Runs a headless command with the canary as key, in a folder that is a trap.
fn kietop(home: &Path, origin: &str, words: &[&str]) -> Output {
    kietop_with(&format!("\u{feff} {CANARY}\r\n"), home, origin, words)
}

/// Runs a headless command with that key.
fn kietop_with(key: &str, home: &Path, origin: &str, words: &[&str]) -> Output {
    let mut command = Command::new(KIETOP);
    command
        .current_dir(home.join("trap"))
        .env_clear()
        .env("HOME", home)
        .env("KIE_API_KEY", key)
        .env("KIETOP_API_URL", origin)
        .env("KIETOP_LOG", "trace")
        .args(words)
        .stdin(Stdio::null());
    deadline::output(&mut command)
}

/// Fills a folder with settings that nobody may read: they lead to a thief.
fn write_trap_settings(folder: &Path, thief: &str) {
    fs::create_dir_all(folder.join("kietop")).unwrap();
    fs::create_dir_all(folder.join(".config/kietop")).unwrap();
    let toml = format!("api_url = \"{thief}\"\nkey_command = \"touch sprung\"\n");
    let env = format!("KIETOP_API_URL={thief}\nKIETOP_CONFIG=kietop.toml\n");
    for name in [
        "kietop.toml",
        ".kietop.toml",
        "config.toml",
        "kietop/config.toml",
        ".config/kietop/config.toml",
    ] {
        fs::write(folder.join(name), &toml).unwrap();
    }
    for name in [".env", ".envrc", "kietop.env"] {
        fs::write(folder.join(name), &env).unwrap();
    }
}

// F71
#[test]
fn no_command_prints_or_stores_the_key() {
    let thief = RecordingServer::start(|_| http_response("200 OK", "{}"));
    let tempted = key_leak_attempts(thief.port());
    let count = tempted.len();
    let api = RecordingServer::start(move |n| tempted[(n * 7) % tempted.len()].clone());
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    write_trap_settings(&home.join("trap"), &thief.origin);
    let mut asked = 0;
    let mut run = |words: &[&str]| {
        let output = kietop(home, &api.origin, words);
        assert_no_canary(
            &format!("{words:?}"),
            &String::from_utf8_lossy(&output.stdout),
        );
        assert_no_canary(
            &format!("{words:?}"),
            &String::from_utf8_lossy(&output.stderr),
        );
        asked += api.received_heads().len();
        output
    };
    assert!(run(&["add", ID, "--label", "one"]).status.success());

    for number in 0..count.div_ceil(8) {
        // A list each: what one told of the account would make the next one wait.
        let store = home.join(format!("{number}.db")).display().to_string();
        run(&["--store", &store, "add", ID]);
        run(&["--store", &store, "show", ID, "--refresh"]);
        let store = home.join(format!("{number}-json.db")).display().to_string();
        run(&["--store", &store, "add", ID]);
        run(&["--store", &store, "show", ID, "--refresh", "--json"]);
    }
    for words in [
        ["list", "--refresh"].as_slice(),
        &["list", "--refresh", "--json"],
        &["list"],
        &["list", "--json"],
        &["show", ID],
        &["show", ID, "--json"],
        &["--help"],
        &["--api-url", "http://evil.example", "list", "--refresh"],
        &["no-such-command"],
        &["remove", ID],
    ] {
        run(words);
    }

    assert!(asked > 20, "asked {asked} times");
    assert_eq!(
        thief.received_heads(),
        [""; 0],
        "settings of the working folder were read"
    );
    assert!(!home.join("trap/sprung").exists());
    assert_no_canary_in_folder(home);
}

// F71
#[test]
fn an_invalid_key_is_reported_without_its_text() {
    let api = RecordingServer::start(|_| http_response("200 OK", "{}"));
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    write_trap_settings(&home.join("trap"), &api.origin);
    assert!(kietop(home, &api.origin, &["add", ID]).status.success());
    let with_key = |key: &[u8]| {
        let output = Command::new(KIETOP)
            .env_clear()
            .env("HOME", home)
            .env("KIE_API_KEY", std::ffi::OsString::from_vec(key.to_vec()))
            .env("KIETOP_API_URL", &api.origin)
            .args(["list", "--refresh"])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_no_canary("the error", &said);
        (output.status.code(), said)
    };
    let table: [(&[u8], i32, &str); 7] = [
        (
            b"Canary-5d1f0c2b\nKey",
            2,
            "invalid character at position 16",
        ),
        (
            b"Canary-5d1f0c2b\r\nKey",
            2,
            "invalid character at position 16",
        ),
        (b"Canary 5d1f0c2b-Key", 2, "invalid character at position 7"),
        (b"Canary-5d1f0c2b-Key\xff", 2, "not valid UTF-8"),
        (
            "“Canary-5d1f0c2b-Key”".as_bytes(),
            2,
            "invalid character at position 1",
        ),
        (b"", 4, "KIE_API_KEY"),
        (" \r\n\u{feff}".as_bytes(), 4, "KIE_API_KEY"),
    ];
    for (key, code, words) in table {
        let (ended, said) = with_key(key);
        assert_eq!(ended, Some(code), "{said}");
        assert!(said.contains(words), "{said}");
        assert!(!said.contains("5d1f0c2b"), "{said}");
    }
    assert_eq!(api.received_heads(), [""; 0], "a key that is none was sent");
}

/// Writes a browser that tells what it sees, and where.
fn write_fake_browser(file: &Path) {
    let script = "#!/bin/sh\n{ env; tr '\\0' '\\n' < /proc/self/environ; echo \"$@\"; } > \"$HOME/seen.tmp\"\n\
                  mv \"$HOME/seen.tmp\" \"$HOME/seen\"\n";
    fs::write(file, script).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o700)).unwrap();
}

#[test]
fn the_dashboard_and_its_browser_do_not_show_the_key() {
    let path = std::env::var("PATH").unwrap();
    for (name, variable) in [("browser", "BROWSER"), ("xdg-open", "PATH")] {
        let thief = RecordingServer::start(|_| http_response("200 OK", "{}"));
        let body = record_echoing(CANARY).replace("\"successFlag\":4", "\"successFlag\":1");
        let api = RecordingServer::start(move |_| http_response("200 OK", &body));
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        write_trap_settings(&home.join("trap"), &thief.origin);
        assert!(kietop(home, &api.origin, &["add", ID]).status.success());
        let browser = home.join(name);
        write_fake_browser(&browser);
        let value = match variable {
            "PATH" => format!("{}:{path}", home.display()),
            _ => browser.to_string_lossy().into_owned(),
        };
        let shell = format!("cd '{}' && exec '{KIETOP}'", home.join("trap").display());
        let mut pty = PtyLaunch::new("/bin/sh")
            .args(["-c", &shell])
            .env("HOME", &home.to_string_lossy())
            .env("LANG", "C.UTF-8")
            .env("DISPLAY", ":99")
            .env("BROWSER", "")
            .env(variable, &value)
            .env("KIE_API_KEY", CANARY)
            .env("KIETOP_API_URL", &api.origin)
            .env("KIETOP_LOG", "trace")
            .size(120, 36)
            .spawn();

        pty.wait_for_text("o opens the video");
        if cfg!(target_os = "linux") {
            let of_process = |file| fs::read(format!("/proc/{}/{file}", pty.pid())).unwrap();
            assert_no_canary(
                "the command line",
                &String::from_utf8_lossy(&of_process("cmdline")),
            );
            let limits = String::from_utf8(of_process("limits")).unwrap();
            let core = limits
                .lines()
                .find(|line| line.starts_with("Max core file size"));
            let limit: Vec<_> = core.unwrap().split_whitespace().skip(4).take(2).collect();
            assert_eq!(limit, ["0", "0"], "a core file would hold the key");
        }
        pty.type_bytes(b"o");
        pty.wait_until("the browser has run", |_| home.join("seen").exists());
        pty.type_bytes(b"q");
        let ended = pty.wait_for_exit();

        assert_eq!(ended.code, 0);
        let seen = fs::read_to_string(home.join("seen")).unwrap();
        assert!(
            seen.contains("https://ex.com/") && seen.contains("HOME="),
            "{seen}"
        );
        assert_no_canary("the screen", &String::from_utf8_lossy(&ended.raw));
        assert_eq!(thief.received_heads(), [""; 0]);
        assert_no_canary_in_folder(home);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn process_memory_is_protected() {
    const INNER_TEST_VAR: &str = "KIETOP_TEST_HARDENED";
    if std::env::var_os(INNER_TEST_VAR).is_some() {
        kietop::runtime::terminal::harden_process().unwrap();
        let behaviour = rustix::process::dumpable_behavior().unwrap();
        assert_eq!(behaviour, rustix::process::DumpableBehavior::NotDumpable);
        return;
    }
    let inner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "process_memory_is_protected"])
        .env(INNER_TEST_VAR, "1")
        .output()
        .unwrap();
    assert!(
        String::from_utf8_lossy(&inner.stdout).contains("1 passed"),
        "{inner:?}"
    );
}
