//! A hostile API server: random faults and attacks from a seed, for hours.
//!
//! It uses threads and blocking sockets, since it runs beside a pseudo-terminal, not in a runtime.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;
use serde_json::{Value, json};

/// Hostile text: escape sequences, control characters and invisible characters.
pub(crate) const ATTACKS: [&str; 30] = [
    "\u{1b}[2J\u{1b}[H",
    "\u{1b}[31;5mred\u{1b}[0m",
    "\u{1b}]0;title\u{7}",
    "\u{1b}]2;title\u{1b}\\",
    "\u{1b}]8;;https://evil.example\u{1b}\\link\u{1b}]8;;\u{1b}\\",
    "\u{1b}]52;c;cm0gLXJmIH4=\u{7}",
    "\u{1b}]9;4;1;50\u{7}",
    "\u{1b}]777;notify;a;b\u{7}",
    "\u{1b}P1;1|17/ab\u{1b}\\",
    "\u{1b}Pq#0;2;0;0;0#0~~@@vv\u{1b}\\",
    "\u{1b}_Gf=24,s=1,v=1;AAAA\u{1b}\\",
    "\u{1b}^privacy\u{1b}\\",
    "\u{1b}[?1049l",
    "\u{1b}[?1000h\u{1b}[?1006h",
    "\u{1b}[6n\u{1b}[c\u{1b}[>c",
    "\u{1b}c",
    "\u{1b}(0lqqk",
    "\u{9b}2J\u{9d}0;x\u{9c}",
    "\u{90}q\u{9c}",
    "a\rb\u{8}\u{8}c\u{7}d\u{b}e\u{c}f\u{0}g\u{7f}h",
    "\u{202e}4pm.exe\u{202c}",
    "\u{2066}isolated\u{2069}\u{2067}x\u{2069}",
    "zero\u{200b}width\u{200c}join\u{200d}er\u{feff}\u{2060}",
    "\u{e0001}\u{e0068}\u{e0069}\u{e007f}",
    "👩\u{200d}👩\u{200d}👧\u{200d}👦👩\u{200d}👩\u{200d}👧\u{200d}👦",
    "Z\u{300}\u{301}\u{302}\u{303}\u{304}\u{305}\u{306}\u{307}\u{308}\u{309}\u{30a}\u{30b}algo",
    "\u{2028}line\u{2029}paragraph",
    "\u{1b}[200~q\u{1b}[201~",
    "\u{fff9}a\u{fffa}b\u{fffb}\u{ad}\u{180e}\u{61c}",
    "漢字\u{1b}[3漢J ﷽ ｆｕｌｌ \u{1f3f4}\u{e0067}\u{e007f}",
];

/// Rates in responses per thousand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FaultRates {
    /// Broken connections and invalid HTTP or JSON.
    pub(crate) faults: usize,
    /// Responses that finish a task.
    pub(crate) completions: usize,
    /// Errors about the account: 429, 401, 455.
    pub(crate) refusals: usize,
}

/// A server that runs until the test process exits.
#[derive(Debug)]
pub(crate) struct HostileServer {
    address: SocketAddr,
    arrivals: Receiver<Instant>,
    request_times: Vec<Instant>,
}

impl HostileServer {
    pub(crate) fn start(rates: FaultRates, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (sender, arrivals) = mpsc::channel();
        thread::spawn(move || {
            for (stream, n) in listener.incoming().flatten().zip(1..) {
                let rng = SeededRng(seed ^ u64::wrapping_mul(n, 0x9e37_79b9_7f4a_7c15));
                let sender = sender.clone();
                thread::spawn(move || serve_connection(&stream, rates, rng, &sender));
            }
        });
        Self {
            address,
            arrivals,
            request_times: Vec::new(),
        }
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the number of requests so far.
    pub(crate) fn count(&mut self) -> usize {
        self.request_times.extend(self.arrivals.try_iter());
        self.request_times.len()
    }

    pub(crate) fn max_per_minute(&mut self) -> usize {
        self.max_within(Duration::from_mins(1))
    }

    /// Returns the maximum number of requests within any window of this length.
    pub(crate) fn max_within(&mut self, span: Duration) -> usize {
        self.count();
        self.request_times.sort();
        let mut first = 0;
        let mut max_count = 0;
        for (last, at) in self.request_times.iter().enumerate() {
            while self
                .request_times
                .get(first)
                .is_some_and(|start| at.duration_since(*start) >= span)
            {
                first += 1;
            }
            max_count = max_count.max(last + 1 - first);
        }
        max_count
    }
}

/// Random number generator (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct SeededRng(pub(crate) u64);

impl SeededRng {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let number = (z ^ (z >> 31)) >> 33;
        usize::try_from(number).unwrap_or_default() % sides.max(1)
    }

    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let index = self.roll(items.len());
        items.get(index).expect("an index within the slice")
    }
}

fn serve_connection(
    stream: &TcpStream,
    rates: FaultRates,
    mut rng: SeededRng,
    arrivals: &Sender<Instant>,
) {
    let mut requests = BufReader::new(stream);
    let mut task = String::new();
    loop {
        let mut has_head = false;
        loop {
            let mut line = String::new();
            match requests.read_line(&mut line) {
                Ok(1..) if line.trim().is_empty() => break,
                Ok(1..) => {
                    if let Some((_, rest)) = line.split_once("taskId=") {
                        task = rest.split([' ', '&']).next().unwrap_or_default().into();
                    }
                    has_head = true;
                }
                Ok(0) | Err(_) => return,
            }
        }
        if has_head && arrivals.send(Instant::now()).is_err() {
            return;
        }
        if respond(stream, rates, &mut rng, &task).is_err() {
            return;
        }
    }
}

/// Answers one request; the connection is closed after an error.
fn respond(
    mut stream: &TcpStream,
    rates: FaultRates,
    rng: &mut SeededRng,
    task: &str,
) -> std::io::Result<()> {
    let kind = rng.roll(1000);
    if kind < rates.faults {
        return send_fault(stream, rng);
    }
    if kind < rates.faults + rates.refusals {
        // 401 and 402 stop all polling for minutes, so they are rare.
        let code = match rng.roll(40) {
            0 => *rng.pick(&[401, 402]),
            _ => *rng.pick(&[429, 429, 429, 430, 433, 455]),
        };
        let text = rng.pick(&ATTACKS);
        let body = json!({"code": code, "msg": text, "data": null}).to_string();
        let head = *rng.pick(&["200 OK", "429 Too Many Requests\r\nRetry-After: 2"]);
        return stream.write_all(http_response(head, &body).as_bytes());
    }
    let is_finished = kind < rates.faults + rates.refusals + rates.completions;
    let body = task_record(rng, task, is_finished);
    stream.write_all(http_response("200 OK", &body).as_bytes())
}

/// Sends a random fault; some end the connection.
fn send_fault(mut stream: &TcpStream, rng: &mut SeededRng) -> std::io::Result<()> {
    let error_body =
        |rng: &mut SeededRng, code| json!({"code": code, "msg": rng.pick(&ATTACKS)}).to_string();
    let (head, body) = match rng.roll(14) {
        0 => {
            return break_off(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"code\":",
            );
        }
        1 => {
            set_socket_linger(stream, Some(Duration::ZERO)).ok();
            return Err(std::io::ErrorKind::ConnectionReset.into());
        }
        2 => {
            let (_sender, never) = mpsc::channel::<()>();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")?;
            for byte in b"{\"code\": 200, \"msg\"" {
                stream.write_all(&[*byte])?;
                never.recv_timeout(Duration::from_millis(200)).ok();
            }
            return break_off(stream, "");
        }
        3 => return break_off(stream, "SSH-2.0-OpenSSH_9.2\r\n\x1b[2J\r\n"),
        4 => (
            "200 OK\r\nContent-Type: text/html",
            "<html><title>\u{1b}]0;x\u{7}Login</title></html>".to_owned(),
        ),
        5 => ("502 Bad Gateway", "<html>502</html>".to_owned()),
        6 => ("200 OK", String::new()),
        7 => ("200 OK", "{\"code\": 200, \"data\": [1, \"x\"".to_owned()),
        8 => ("302 Found\r\nLocation: http://127.0.0.1:9/", String::new()),
        9 => {
            let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
            return break_off(stream, chunked);
        }
        10 => ("200 OK", "[".repeat(20_000)),
        11 => ("200 OK", "x".repeat(2 * 1024 * 1024)),
        12 => ("500 Oops", error_body(rng, 500)),
        _ => ("200 OK", error_body(rng, 404)),
    };
    stream.write_all(http_response(head, &body).as_bytes())
}

/// Sends the start of a response and closes the connection.
fn break_off(mut stream: &TcpStream, start: &str) -> std::io::Result<()> {
    stream.write_all(start.as_bytes())?;
    stream.shutdown(Shutdown::Both).ok();
    Err(std::io::ErrorKind::ConnectionAborted.into())
}

fn http_response(head: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {head}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Returns a valid response full of hostile text.
fn task_record(rng: &mut SeededRng, task: &str, is_finished: bool) -> String {
    let flag = match (is_finished, rng.roll(40)) {
        (true, _) => json!(rng.roll(4) + 1),
        (false, 0) => json!(7),
        (false, 1) => json!("late\u{1b}[2J"),
        (false, _) => json!(0),
    };
    let attack = *rng.pick(&ATTACKS);
    // Recent, so that it is polled often; the id's length makes the times differ.
    let now = jiff::Timestamp::now().as_millisecond();
    let created = now - now % 3_600_000 + i64::try_from(task.len()).unwrap_or_default();
    let prompt = json!({"prompt": format!("a street {attack}"), "callBackUrl": attack}).to_string();
    json!({
        "code": 200,
        "msg": attack,
        "data": {
            "taskId": task,
            "paramJson": prompt,
            "createTime": created,
            "completeTime": if is_finished { json!(created + 309_000) } else { Value::Null },
            "response": {"taskId": task, "resultUrls": ["https://ex.example/1.mp4", format!("https://ex.example/{attack}"), attack],
                "originUrls": [attack]},
            "successFlag": flag,
            "errorCode": rng.roll(700),
            "errorMessage": format!("{attack} and {}", rng.pick(&ATTACKS)),
        },
    })
    .to_string()
}
