//! The key is sent to the API's origin and nowhere else: a canary as key, hostile servers, and a
//! search of all output and files afterwards.

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
        kie::{KieClient, RequestLimits, key::ApiKey},
        log,
    },
    domain::{
        api_origin::ApiOrigin, poll_result::PollError, response_notes::ResponseNotes, task::TaskId,
        text::CleanText,
    },
};

use crate::support::{
    deadline, poll_request,
    pty::{KIETOP, PtyLaunch},
};

const ID: &str = "774d9a7dd608a0e49293903095e45a4c";
/// Searched without regard to case, because host names are lowercased.
const CANARY: &str = "Canary-5d1f0c2b-Key";

/// A server on loopback with a thread per connection; it records the request heads.
struct RecordingServer {
    origin: String,
    requests: Receiver<String>,
}

impl RecordingServer {
    /// Starts a server whose n-th response is `respond(n)`.
    fn start(respond: impl Fn(usize) -> String + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (sender, requests) = mpsc::channel();
        thread::spawn(move || {
            let count = std::sync::atomic::AtomicUsize::new(0);
            let next = || count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let (next, respond) = (&next, &respond);
            thread::scope(|threads| {
                for stream in listener.incoming() {
                    let sender = sender.clone();
                    threads
                        .spawn(move || serve_connection(&stream.unwrap(), next, respond, &sender));
                }
            });
        });
        Self { origin, requests }
    }

    fn port(&self) -> &str {
        self.origin.rsplit_once(':').unwrap().1
    }

    /// Returns the heads of the requests since the last call.
    fn received_heads(&self) -> Vec<String> {
        self.requests.try_iter().collect()
    }
}

fn serve_connection(
    mut stream: &TcpStream,
    next: &(impl Fn() -> usize + Sync),
    respond: &(impl Fn(usize) -> String + Sync),
    sender: &mpsc::Sender<String>,
) {
    let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => head.extend_from_slice(&buffer[..count]),
        }
        if head.ends_with(b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&std::mem::take(&mut head)).into_owned();
            sender.send(text).unwrap_or_default();
            if stream.write_all(respond(next()).as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn http_response(head: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// Returns responses that try to send the key to the attacker on `port`, or to make us print it.
fn key_leak_attempts(port: &str) -> Vec<String> {
    let mut responses = Vec::new();
    let locations = [
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
        for location in &locations {
            let refresh = format!("Refresh: 0; url={location}\r\nLink: <{location}>; rel=preload");
            let head = format!("{status} Go\r\nLocation: {location}\r\n{refresh}");
            responses.push(http_response(&head, ""));
        }
    }
    for code in [400, 401, 402, 404, 422, 429, 451, 455, 500, 501, 505, 999] {
        let body = format!(r#"{{"code":{code},"msg":"bad key {CANARY}","data":null}}"#);
        responses.push(http_response("200 OK", &body));
        let head = format!("{} {CANARY}", code.clamp(400, 599));
        responses.push(http_response(&head, &body));
    }
    let running = r#"{"code":200,"data":{"successFlag":0}}"#;
    let alt = format!("200 OK\r\nAlt-Svc: http/1.1=\"127.0.0.1:{port}\"; ma=9999");
    let proxy = format!("407 Proxy\r\nProxy-Authenticate: Basic realm=\"{CANARY}\"");
    let echo = format!("200 {CANARY}\r\nX-Key: {CANARY}\r\nSet-Cookie: k={CANARY}");
    for (head, body) in [
        (&*alt, running),
        (&proxy, ""),
        (&echo, "{"),
        ("200 OK", &record_echoing(CANARY)),
        (
            "200 OK",
            &format!(r#"{{"code":200,"data":{{"taskId":"{CANARY}"}}}}"#),
        ),
        ("200 OK", &format!(r#"{{"code":"{CANARY}"}}"#)),
        ("200 OK", &format!(r#"{{"code":200,"data":"{CANARY}"}}"#)),
        ("200 OK", CANARY),
        ("200 OK", &format!("<html>{CANARY}")),
        ("200 OK", &format!("\"{CANARY}\"")),
    ] {
        responses.push(http_response(head, body));
    }
    let invalid_length = format!("HTTP/1.1 200 OK\r\nContent-Length: x{CANARY}\r\n\r\n");
    responses.extend([format!("{CANARY}\r\n\r\n"), invalid_length]);
    responses
}

/// Returns a record with a text in every field.
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
fn assert_no_canary(place: &str, text: &str) {
    let found = text.to_lowercase().find(&CANARY.to_lowercase());
    let excerpt = |at: usize| text.get(text.floor_char_boundary(at.saturating_sub(200))..);
    assert_eq!(
        found,
        None,
        "the key is in {place}: {:.300?}",
        found.and_then(excerpt)
    );
}

/// Checks every file below a folder.
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

/// A key with characters that JSON and URLs escape.
const SPECIAL_KEY: &str = "Canary/5d1f+0c2b\"Key=";

/// Encodes a text byte by byte.
fn encode_each(text: &str, encode: impl Fn(u8) -> String) -> String {
    text.bytes().map(encode).collect()
}

/// Returns every encoding of the special key, as written in a body, that a reader of JSON or of a
/// URL in it would decode.
fn key_encodings() -> Vec<String> {
    let json = SPECIAL_KEY.replace('"', "\\\"");
    let percent = encode_each(SPECIAL_KEY, |byte| format!("%{byte:02X}"));
    let escaped = |byte| format!("\\u00{byte:02x}");
    vec![
        json.clone(),
        json.replace('/', "\\/"),
        json.replace('C', "\\u0043"),
        encode_each(SPECIAL_KEY, escaped),
        encode_each(&SPECIAL_KEY.to_lowercase(), escaped),
        json.replace('/', "%2F").replace('+', "%2b"),
        encode_each(&percent, escaped),
        // JSON within JSON.
        json.replace('\\', "\\\\\\").replace('/', "\\\\/"),
        encode_each(SPECIAL_KEY, |byte| format!("\\\\u00{byte:02X}")),
        percent,
    ]
}

/// Searches a text for the special key, as written and with all escapes decoded.
#[track_caller]
fn assert_no_special_key(place: &str, text: &str) {
    let mut decoded = text.to_lowercase();
    for _ in 0..5 {
        for byte in SPECIAL_KEY.to_lowercase().bytes() {
            let letter = char::from(byte).to_string();
            decoded = decoded.replace(&format!("\\u00{byte:02x}"), &letter);
            decoded = decoded.replace(&format!("%{byte:02x}"), &letter);
        }
        decoded = decoded
            .replace("\\/", "/")
            .replace("\\\"", "\"")
            .replace("\\\\", "\\");
        decoded = decoded.replace("%25", "%");
        assert!(
            !decoded.contains(&SPECIAL_KEY.to_lowercase()),
            "the key is in {place}: {text:.2000}"
        );
    }
}

// F71
#[test]
fn an_echoed_key_is_redacted_in_every_spelling() {
    let fill = |template: String| -> Vec<String> {
        let replace = |encoding: String| template.replace(CANARY, &encoding);
        key_encodings().into_iter().map(replace).collect()
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
        let run = |args: &[&str]| {
            let args: Vec<_> = ["--store", &store].iter().chain(args).copied().collect();
            let output = kietop_with(SPECIAL_KEY, home, &api.origin, &args);
            assert_no_special_key("the output", &String::from_utf8_lossy(&output.stdout));
            assert_no_special_key("an error", &String::from_utf8_lossy(&output.stderr));
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
            assert_no_special_key(&path.display().to_string(), &text);
        }
    }
}

#[tokio::test]
async fn ten_thousand_requests_send_the_key_to_one_origin() {
    const REQUEST_COUNT: usize = 10_000;
    let folder = tempfile::tempdir().unwrap();
    // All log lines, of the libraries too.
    let file = folder.path().join("kietop.log");
    log::start(&file, tracing::Level::TRACE).unwrap();
    let attacker = RecordingServer::start(|_| http_response("200 OK", &record_echoing("stolen")));
    let responses = key_leak_attempts(attacker.port());
    let count = responses.len();
    let api = RecordingServer::start(move |n| responses[n % responses.len()].clone());
    let (client, id) = (
        KieClient::new(
            ApiOrigin::parse(&api.origin).unwrap(),
            Some(ApiKey::parse(CANARY).unwrap()),
            RequestLimits::default(),
        ),
        TaskId::parse(ID).unwrap(),
    );
    let (client, request) = (&client, &poll_request(id));

    let outputs: Vec<_> = stream::iter(0..REQUEST_COUNT)
        .map(|_| async move {
            let mut notes = ResponseNotes::default();
            let result = client.poll(request, &mut notes).await;
            // The API responds at once; a client that followed a redirect to a port without HTTP
            // would time out.
            assert_ne!(result, Err(PollError::TimedOut), "a redirect was followed");
            let message = result.as_ref().err().map(PollError::message);
            let original = notes.text.as_ref().map(CleanText::original);
            format!("{result:?} {message:?} {notes:?} {original:?}")
        })
        .buffer_unordered(4)
        .collect()
        .await;

    for output in &outputs {
        assert_no_canary("an answer", output);
    }
    assert_no_canary("the client", &format!("{client:?} {client:#?}"));
    assert_eq!(
        attacker.received_heads(),
        [""; 0],
        "the attacker got a request"
    );
    let heads = api.received_heads();
    assert!(
        heads.len() >= REQUEST_COUNT && count > 100,
        "{count} responses"
    );
    let bearer = format!("authorization: Bearer {CANARY}\r\n");
    for head in heads {
        // Once per request, in its own header only.
        assert_eq!(head.matches(CANARY).count(), 1, "{head}");
        assert!(head.contains(&bearer), "{head}");
    }
    let logged = fs::read_to_string(&file).unwrap();
    assert!(logged.contains("(the key)") && logged.len() > 100_000);
    assert_no_canary_in_folder(folder.path());
}

/// Runs a headless command with the canary as key, in a folder with trap settings.
fn kietop(home: &Path, origin: &str, args: &[&str]) -> Output {
    kietop_with(&format!("\u{feff} {CANARY}\r\n"), home, origin, args)
}

fn kietop_with(key: &str, home: &Path, origin: &str, args: &[&str]) -> Output {
    let mut command = Command::new(KIETOP);
    command
        .current_dir(home.join("trap"))
        .env_clear()
        .env("HOME", home)
        .env("KIE_API_KEY", key)
        .env("KIETOP_API_URL", origin)
        .env("KIETOP_LOG", "trace")
        .args(args)
        .stdin(Stdio::null());
    deadline::output(&mut command)
}

/// Fills a folder with config files that must not be read: they name the attacker as API.
fn write_trap_settings(folder: &Path, attacker: &str) {
    fs::create_dir_all(folder.join("kietop")).unwrap();
    fs::create_dir_all(folder.join(".config/kietop")).unwrap();
    let toml = format!("api_url = \"{attacker}\"\nkey_command = \"touch sprung\"\n");
    let env = format!("KIETOP_API_URL={attacker}\nKIETOP_CONFIG=kietop.toml\n");
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
    let attacker = RecordingServer::start(|_| http_response("200 OK", "{}"));
    let responses = key_leak_attempts(attacker.port());
    let count = responses.len();
    let api = RecordingServer::start(move |n| responses[(n * 7) % responses.len()].clone());
    let folder = tempfile::tempdir().unwrap();
    let home = folder.path();
    write_trap_settings(&home.join("trap"), &attacker.origin);
    let mut request_count = 0;
    let mut run = |args: &[&str]| {
        let output = kietop(home, &api.origin, args);
        for text in [&output.stdout, &output.stderr] {
            assert_no_canary(&format!("{args:?}"), &String::from_utf8_lossy(text));
        }
        request_count += api.received_heads().len();
        output
    };
    assert!(run(&["add", ID, "--label", "one"]).status.success());

    for number in 0..count.div_ceil(8) {
        // A list each: an account backoff on the list would make the next command wait.
        let store = home.join(format!("{number}.db")).display().to_string();
        run(&["--store", &store, "add", ID]);
        run(&["--store", &store, "show", ID, "--refresh"]);
        let store = format!("{store}.json.db");
        run(&["--store", &store, "add", ID]);
        run(&["--store", &store, "show", ID, "--refresh", "--json"]);
    }
    for args in [
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
        run(args);
    }

    assert!(request_count > 20, "{request_count} requests");
    assert_eq!(
        attacker.received_heads(),
        [""; 0],
        "settings of the working directory were read"
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
    let run_with_key = |key: &[u8]| {
        let output = Command::new(KIETOP)
            .env_clear()
            .env("HOME", home)
            .env("KIE_API_KEY", std::ffi::OsString::from_vec(key.to_vec()))
            .env("KIETOP_API_URL", &api.origin)
            .args(["list", "--refresh"])
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_no_canary("the error", &stderr);
        (output.status.code(), stderr)
    };
    let cases: [(&[u8], i32, &str); 7] = [
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
    for (key, code, message) in cases {
        let (exit_code, stderr) = run_with_key(key);
        assert_eq!(exit_code, Some(code), "{stderr}");
        assert!(stderr.contains(message), "{stderr}");
        assert!(!stderr.contains("5d1f0c2b"), "{stderr}");
    }
    assert_eq!(api.received_heads(), [""; 0], "an invalid key was sent");
}

/// Writes a browser that records its environment and arguments in `$HOME/seen`.
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
        let attacker = RecordingServer::start(|_| http_response("200 OK", "{}"));
        let body = record_echoing(CANARY).replace("\"successFlag\":4", "\"successFlag\":1");
        let api = RecordingServer::start(move |_| http_response("200 OK", &body));
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        write_trap_settings(&home.join("trap"), &attacker.origin);
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
            .home(home)
            .env("DISPLAY", ":99")
            .env("BROWSER", "")
            .env(variable, &value)
            .env("KIE_API_KEY", CANARY)
            .env("KIETOP_API_URL", &api.origin)
            .env("KIETOP_LOG", "trace")
            .size(120, 36)
            .spawn();

        pty.wait_for_text("o to open the video");
        if cfg!(target_os = "linux") {
            let read_proc = |file| fs::read(format!("/proc/{}/{file}", pty.pid())).unwrap();
            assert_no_canary(
                "the command line",
                &String::from_utf8_lossy(&read_proc("cmdline")),
            );
            let limits = String::from_utf8(read_proc("limits")).unwrap();
            let mut lines = limits.lines();
            let core_limit = lines.find(|line| line.starts_with("Max core file size"));
            let limit: Vec<_> = core_limit.unwrap().split_whitespace().skip(4).collect();
            assert_eq!(limit[..2], ["0", "0"], "a core file would hold the key");
        }
        pty.type_bytes(b"o");
        pty.wait_until("the browser has run", |_| home.join("seen").exists());
        let exited = pty.quit();
        let recorded = fs::read_to_string(home.join("seen")).unwrap();
        assert!(
            recorded.contains("https://ex.com/") && recorded.contains("HOME="),
            "{recorded}"
        );
        assert_no_canary("the screen", &String::from_utf8_lossy(&exited.raw));
        assert_eq!(attacker.received_heads(), [""; 0]);
        assert_no_canary_in_folder(home);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn process_memory_is_protected() {
    use crate::support::rerun::{assert_passes, job, rerun_test};

    if job().is_some() {
        kietop::runtime::terminal::harden_process().unwrap();
        let behaviour = rustix::process::dumpable_behavior().unwrap();
        assert_eq!(behaviour, rustix::process::DumpableBehavior::NotDumpable);
        return;
    }
    assert_passes(&mut rerun_test(
        "api_key::process_memory_is_protected",
        "harden",
    ));
}
