//! A server that answers as no server should, by chance with a seed: the API at its worst, for
//! hours.
//!
//! Threads and blocking sockets: it runs beside a pseudo-terminal, not beside a runtime.
#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a test server fails loudly, and counts real minutes"
)]

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_linger;

/// What texts from the outside hold when someone means harm.
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

/// How often the server does its worst.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FaultRates {
    /// Of a thousand answers, how many are faults below or beside the protocol.
    pub(crate) faults: usize,
    /// Of a thousand answers, how many end a task.
    pub(crate) completions: usize,
    /// Of a thousand answers, how many are about the account: 429, 401, 455.
    pub(crate) refusals: usize,
}

/// Is the server; it ends with the test's process.
#[derive(Debug)]
pub(crate) struct HostileServer {
    address: SocketAddr,
    arrivals: Receiver<Instant>,
    /// When each request came.
    request_times: Vec<Instant>,
}

impl HostileServer {
    pub(crate) fn start(mix: FaultRates, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (told, times) = mpsc::channel();
        thread::spawn(move || {
            for (stream, n) in listener.incoming().flatten().zip(1..) {
                let dice = SeededRng(seed ^ u64::wrapping_mul(n, 0x9e37_79b9_7f4a_7c15));
                let told = told.clone();
                thread::spawn(move || serve_connection(&stream, mix, dice, &told));
            }
        });
        Self {
            address,
            arrivals: times,
            request_times: Vec::new(),
        }
    }

    pub(crate) fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns how many requests came so far.
    pub(crate) fn count(&mut self) -> usize {
        self.request_times.extend(self.arrivals.try_iter());
        self.request_times.len()
    }

    /// Returns the most requests of any 60 seconds.
    pub(crate) fn max_per_minute(&mut self) -> usize {
        self.max_within(Duration::from_mins(1))
    }

    /// Returns the most requests of any such span.
    pub(crate) fn max_within(&mut self, span: Duration) -> usize {
        self.count();
        self.request_times.sort();
        let mut first = 0;
        let mut most = 0;
        for (last, at) in self.request_times.iter().enumerate() {
            while self
                .request_times
                .get(first)
                .is_some_and(|begun| at.duration_since(*begun) >= span)
            {
                first += 1;
            }
            most = most.max(last + 1 - first);
        }
        most
    }
}

/// Draws the same numbers for the same seed (splitmix64).
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

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let at = self.roll(of.len());
        of.get(at).expect("one of them")
    }
}

fn serve_connection(
    stream: &TcpStream,
    mix: FaultRates,
    mut chance: SeededRng,
    told: &Sender<Instant>,
) {
    let mut requests = BufReader::new(stream);
    let mut task = String::new();
    loop {
        let mut is_begun = false;
        loop {
            let mut line = String::new();
            match requests.read_line(&mut line) {
                Ok(1..) if line.trim().is_empty() => break,
                Ok(1..) => {
                    if let Some((_, rest)) = line.split_once("taskId=") {
                        task = rest.split([' ', '&']).next().unwrap_or_default().into();
                    }
                    is_begun = true;
                }
                Ok(0) | Err(_) => return,
            }
        }
        if is_begun && told.send(Instant::now()).is_err() {
            return;
        }
        if respond(stream, mix, &mut chance, &task).is_err() {
            return;
        }
    }
}

/// Answers one request; an error ends the connection.
fn respond(
    mut stream: &TcpStream,
    mix: FaultRates,
    chance: &mut SeededRng,
    task: &str,
) -> std::io::Result<()> {
    let fate = chance.roll(1000);
    if fate < mix.faults {
        return send_fault(stream, chance);
    }
    if fate < mix.faults + mix.refusals {
        // The last two stop all asking for minutes, so they are rare.
        let code = match chance.roll(40) {
            0 => *chance.pick(&[401, 402]),
            _ => *chance.pick(&[429, 429, 429, 430, 433, 455]),
        };
        let text = chance.pick(&ATTACKS);
        let body = serde_json::json!({"code": code, "msg": text, "data": null}).to_string();
        let head = *chance.pick(&[
            "HTTP/1.1 200 OK",
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 2",
        ]);
        return stream.write_all(http_response(head, &body).as_bytes());
    }
    let is_ending = fate < mix.faults + mix.refusals + mix.completions;
    let body = task_record(chance, task, is_ending);
    stream.write_all(http_response("HTTP/1.1 200 OK", &body).as_bytes())
}

/// Does one of the things that are no answer.
fn send_fault(mut stream: &TcpStream, chance: &mut SeededRng) -> std::io::Result<()> {
    match chance.roll(14) {
        0 => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n{\"code\": 200,")?,
        1 => {
            set_socket_linger(stream, Some(Duration::ZERO)).ok();
            return Err(std::io::ErrorKind::ConnectionReset.into());
        }
        2 => {
            let (_open, silence) = mpsc::channel::<()>();
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")?;
            for byte in b"{\"code\": 200, \"msg\"" {
                stream.write_all(&[*byte])?;
                silence.recv_timeout(Duration::from_millis(200)).ok();
            }
        }
        3 => stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\x1b[2J\r\n")?,
        4 => {
            let page = "<html><title>\u{1b}]0;x\u{7}Login</title></html>";
            return stream.write_all(
                http_response("HTTP/1.1 200 OK\r\nContent-Type: text/html", page).as_bytes(),
            );
        }
        5 => {
            return stream.write_all(
                http_response("HTTP/1.1 502 Bad Gateway", "<html>502</html>").as_bytes(),
            );
        }
        6 => return stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        7 => {
            return stream.write_all(
                http_response("HTTP/1.1 200 OK", "{\"code\": 200, \"data\": [1, \"x\"").as_bytes(),
            );
        }
        8 => {
            return stream.write_all(
                http_response("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/", "").as_bytes(),
            );
        }
        9 => stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")?,
        10 => {
            return stream
                .write_all(http_response("HTTP/1.1 200 OK", &"[".repeat(20_000)).as_bytes());
        }
        11 => {
            let text = "x".repeat(2 * 1024 * 1024);
            return stream.write_all(http_response("HTTP/1.1 200 OK", &text).as_bytes());
        }
        12 => {
            let body = serde_json::json!({"code": 500, "msg": chance.pick(&ATTACKS)}).to_string();
            return stream.write_all(http_response("HTTP/1.1 500 Oops", &body).as_bytes());
        }
        _ => {
            let body = serde_json::json!({"code": 404, "msg": chance.pick(&ATTACKS)}).to_string();
            return stream.write_all(http_response("HTTP/1.1 200 OK", &body).as_bytes());
        }
    }
    stream.shutdown(Shutdown::Both).ok();
    Err(std::io::ErrorKind::ConnectionAborted.into())
}

fn http_response(head: &str, body: &str) -> String {
    format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// Returns an answer that is one, full of text that means harm.
fn task_record(chance: &mut SeededRng, task: &str, is_ending: bool) -> String {
    let flag = match (is_ending, chance.roll(40)) {
        (true, _) => serde_json::json!(chance.roll(4) + 1),
        (false, 0) => serde_json::json!(7),
        (false, 1) => serde_json::json!("late\u{1b}[2J"),
        (false, _) => serde_json::json!(0),
    };
    let attack = *chance.pick(&ATTACKS);
    // Young enough to be asked after often, and of an age of its own.
    let now = jiff::Timestamp::now().as_millisecond();
    let begun = now - now % 3_600_000 + i64::try_from(task.len()).unwrap_or_default();
    let prompt = serde_json::json!({"prompt": format!("a street {attack}"), "callBackUrl": attack})
        .to_string();
    serde_json::json!({
        "code": 200,
        "msg": attack,
        "data": {
            "taskId": task,
            "paramJson": prompt,
            "createTime": begun,
            "completeTime": if is_ending { serde_json::json!(begun + 309_000) } else { serde_json::Value::Null },
            "response": {"taskId": task, "resultUrls": ["https://ex.example/1.mp4", format!("https://ex.example/{attack}"), attack],
                "originUrls": [attack]},
            "successFlag": flag,
            "errorCode": chance.roll(700),
            "errorMessage": format!("{attack} and {}", chance.pick(&ATTACKS)),
        },
    })
    .to_string()
}
