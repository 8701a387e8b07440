//! Saving a video beside `curl`: one file of 64 MiB from loopback, in turns, whole processes.
//!
//! `cargo bench --bench saving` (needs `curl`). Both write to the same folder; kietop also flushes
//! the file to the disk, reads its structure and gives it its name. Peak memory is that of the
//! process, beside a `kietop list`.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a measurement fails loudly, reads the real clock, and prints what it found"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

/// How often each program saves the file.
const RUNS: usize = 11;

/// The size of the file, in bytes.
const VIDEO_BYTES: u32 = 64 * 1024 * 1024;

const ID: &str = "774d9a7dd608a0e49293903095e45a4c";

fn main() {
    let home = tempfile::tempdir().expect("a folder");
    let server = start_server();
    run(&mut kietop(home.path(), server, &["add", ID]));
    run(&mut kietop(home.path(), server, &["list", "--refresh"]));
    let listing = run_for_peak_memory(&mut kietop(home.path(), server, &["list"]));

    let (mut ours, mut theirs, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..=RUNS {
        let folder = home.path().join(turn.to_string());
        fs::create_dir(&folder).expect("a folder");
        let folder = folder.to_string_lossy();
        let url = format!("http://{server}/video.mp4");
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--fail",
            "--output",
            &format!("{folder}/curl.mp4"),
            &url,
        ]);
        let curled = run(&mut curl);
        let begun = Instant::now();
        let most = run_for_peak_memory(&mut kietop(
            home.path(),
            server,
            &["save", ID, "--dir", &folder],
        ));
        let saved = begun.elapsed();
        // The first turn warms both up.
        if turn > 0 {
            theirs.push(curled);
            ours.push(saved);
            memory.push(most);
        }
        fs::remove_dir_all(&*folder).expect("removed");
    }
    let rate = |time: Duration| f64::from(VIDEO_BYTES) / 1e6 / time.as_secs_f64();
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    memory.sort_unstable();
    println!(
        "64 MiB from loopback, medians of {RUNS}, whole processes: kietop save {:.0} MB/s, curl {:.0} MB/s, ratio {:.2}; \
         peak memory {} KiB, beside {listing} KiB for kietop list",
        rate(ours),
        rate(theirs),
        rate(ours) / rate(theirs),
        memory.get(RUNS / 2).copied().unwrap_or_default(),
    );
}

fn kietop(home: &Path, server: SocketAddr, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kietop"));
    command
        .args(words)
        .env("HOME", home)
        .env("KIETOP_STORE", home.join("list.db"))
        .env("KIETOP_API_URL", format!("http://{server}"))
        .env("KIE_API_KEY", "bench");
    command
}

fn run(command: &mut Command) -> Duration {
    let begun = Instant::now();
    let status = command.stdout(Stdio::null()).status().expect("it starts");
    assert!(status.success(), "{command:?}");
    begun.elapsed()
}

/// Runs a command, and returns the most memory it held, in KiB, as last seen in `/proc` before its
/// end.
fn run_for_peak_memory(command: &mut Command) -> u64 {
    let mut child = command.stdout(Stdio::null()).spawn().expect("it starts");
    let mut most = 0;
    loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let seen = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        most = seen.unwrap_or(0).max(most);
        if let Some(status) = child.try_wait().expect("a child") {
            assert!(status.success(), "{command:?}");
            return most;
        }
        thread::park_timeout(Duration::from_millis(1));
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Serves the API and the file, each connection on a thread of its own.
fn start_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let here = listener.local_addr().expect("an address");
    let video: Arc<[u8]> = build_video().into();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let video = Arc::clone(&video);
            thread::spawn(move || respond(stream, here, &video));
        }
    });
    here
}

fn respond(mut stream: TcpStream, here: SocketAddr, video: &[u8]) {
    let mut requests = BufReader::new(stream.try_clone().expect("a second handle")).lines();
    while let Some(Ok(request)) = requests.next() {
        // The rest of the head says nothing that matters here.
        while requests
            .next()
            .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
        {}
        let record = format!(
            r#"{{"code":200,"msg":"success","data":{{"taskId":"{ID}","successFlag":1,"createTime":1755078171000,
            "completeTime":1755078480000,"response":{{"resultUrls":["http://{here}/video.mp4"]}}}}}}"#
        );
        let (kind, body) = if request.contains("/video.mp4") {
            ("video/mp4", video)
        } else {
            ("application/json", record.as_bytes())
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        // A client that has gone needs no answer.
        if stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body))
            .is_err()
        {
            return;
        }
    }
}

/// Returns a file with the structure of a video: what it is, what is in it, and much of that.
fn build_video() -> Vec<u8> {
    let mut video = Vec::new();
    let head = 24 + 16;
    for (size, name, rest) in [
        (24, b"ftyp", 16),
        (16, b"moov", 8),
        (VIDEO_BYTES - head, b"mdat", VIDEO_BYTES - head - 8),
    ] {
        video.extend(u32::to_be_bytes(size));
        video.extend(name);
        video.resize(video.len() + rest as usize, b'v');
    }
    video
}
