//! `kietop save` compared with `curl`: one file of 64 MiB from loopback, alternately, as whole
//! processes.
//!
//! `cargo bench --bench saving` (needs `curl`). Both write to the same folder; kietop also flushes
//! the file to disk, checks its structure and renames it. Peak memory is compared with that of
//! `kietop list`.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark that measures real time and prints its results"
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

/// Runs of each program.
const RUNS: usize = 11;

const VIDEO_BYTES: u32 = 64 * 1024 * 1024;

const ID: &str = "774d9a7dd608a0e49293903095e45a4c";

fn main() {
    let home = tempfile::tempdir().expect("a folder");
    let server = start_server();
    run(&mut kietop(home.path(), server, &["add", ID]));
    run(&mut kietop(home.path(), server, &["list", "--refresh"]));
    let list_memory = run_for_peak_memory(&mut kietop(home.path(), server, &["list"]));

    let (mut kietop_times, mut curl_times, mut save_memory) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=RUNS {
        let folder = home.path().join(round.to_string());
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
        let curl_time = run(&mut curl);
        let started = Instant::now();
        let memory = run_for_peak_memory(&mut kietop(
            home.path(),
            server,
            &["save", ID, "--dir", &folder],
        ));
        let kietop_time = started.elapsed();
        // The first round is a warm-up.
        if round > 0 {
            curl_times.push(curl_time);
            kietop_times.push(kietop_time);
            save_memory.push(memory);
        }
        fs::remove_dir_all(&*folder).expect("removed");
    }
    let rate = |time: Duration| f64::from(VIDEO_BYTES) / 1e6 / time.as_secs_f64();
    let (kietop_time, curl_time) = (median(&mut kietop_times), median(&mut curl_times));
    save_memory.sort_unstable();
    println!(
        "64 MiB from loopback, medians of {RUNS}, whole processes: kietop save {:.0} MB/s, curl {:.0} MB/s, ratio {:.2}; \
         peak memory {} KiB, {list_memory} KiB for kietop list",
        rate(kietop_time),
        rate(curl_time),
        rate(kietop_time) / rate(curl_time),
        save_memory.get(RUNS / 2).copied().unwrap_or_default(),
    );
}

fn kietop(home: &Path, server: SocketAddr, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kietop"));
    command
        .args(args)
        .env("HOME", home)
        .env("KIETOP_STORE", home.join("list.db"))
        .env("KIETOP_API_URL", format!("http://{server}"))
        .env("KIE_API_KEY", "bench");
    command
}

fn run(command: &mut Command) -> Duration {
    let started = Instant::now();
    let status = command.stdout(Stdio::null()).status().expect("it starts");
    assert!(status.success(), "{command:?}");
    started.elapsed()
}

/// Runs a command and returns its peak memory in KiB, as last read from `/proc` before its exit.
fn run_for_peak_memory(command: &mut Command) -> u64 {
    let mut child = command.stdout(Stdio::null()).spawn().expect("it starts");
    let mut peak = 0;
    loop {
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let current = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        peak = current.unwrap_or(0).max(peak);
        if let Some(status) = child.try_wait().expect("a child") {
            assert!(status.success(), "{command:?}");
            return peak;
        }
        thread::park_timeout(Duration::from_millis(1));
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Starts a server for the API and the file, with a thread per connection.
fn start_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let video: Arc<[u8]> = build_video().into();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let video = Arc::clone(&video);
            thread::spawn(move || respond(stream, address, &video));
        }
    });
    address
}

fn respond(mut stream: TcpStream, address: SocketAddr, video: &[u8]) {
    let mut requests = BufReader::new(stream.try_clone().expect("a second handle")).lines();
    while let Some(Ok(request)) = requests.next() {
        // Skips the other header lines.
        while requests
            .next()
            .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
        {}
        let record = format!(
            r#"{{"code":200,"msg":"success","data":{{"taskId":"{ID}","successFlag":1,"createTime":1755078171000,
            "completeTime":1755078480000,"response":{{"resultUrls":["http://{address}/video.mp4"]}}}}}}"#
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
        // The client may have disconnected.
        if stream
            .write_all(head.as_bytes())
            .and_then(|()| stream.write_all(body))
            .is_err()
        {
            return;
        }
    }
}

/// Returns an MP4 file with the boxes `ftyp`, `moov` and `mdat`.
fn build_video() -> Vec<u8> {
    let mut video = Vec::new();
    let header_len = 24 + 16;
    for (size, name, rest) in [
        (24, b"ftyp", 16),
        (16, b"moov", 8),
        (
            VIDEO_BYTES - header_len,
            b"mdat",
            VIDEO_BYTES - header_len - 8,
        ),
    ] {
        video.extend(u32::to_be_bytes(size));
        video.extend(name);
        video.resize(video.len() + rest as usize, b'v');
    }
    video
}
