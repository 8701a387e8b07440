//! Random keys, pastes, mouse reports and sizes, at the real program against a hostile server.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::hostile_server::{ATTACKS, FaultRates, HostileServer, SeededRng};
use crate::support::output_check::OutputChecker;
use crate::support::pty::{Pty, PtyLaunch, WAIT_TIMEOUT, add_tasks, run_kietop};

/// The API key, which may appear only in request headers.
const CANARY: &str = "canary-7f3a91c2e4";

/// Longer than the program's timeout for an escape sequence or an unmarked paste.
const SEQUENCE_WAIT: Duration = Duration::from_millis(150);

/// Longer than the program's timeout for the end of a paste.
const PASTE_WAIT: Duration = Duration::from_millis(2500);

/// All keys of the help, and some others.
const RANDOM_KEYS: [&str; 68] = [
    "j", "k", "g", "G", "h", "l", "1", "2", "3", "4", "5", "6", "a", "d", "u", " ", "V", "*", "/",
    "s", "S", "r", "R", "p", "+", "-", "o", "O", "b", "y", "w", "W", "i", "e", "N", ":", "?", "n",
    "c", "x", "t", "m", "\r", "\r", "\t", "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1bOA",
    "\x1bOB", "\x1b[H", "\x1b[F", "\x1b[5~", "\x1b[6~", "\x1b[3~", "\x1b[Z", "\x1bOP", "\x7f",
    "\x04", "\x15", "\x17", "\x0c", "\x1b", "\x1b", "é", "漢", "\x1bx",
];

/// Replies and events that terminals send.
const TERMINAL_REPLIES: [&str; 8] = [
    "\x1b[12;40R",
    "\x1b[?62;22c",
    "\x1b]11;rgb:dddd/dddd/dddd\x07",
    "\x1bP>|q\x1b\\",
    "\x1b_Gi=1;d\x1b\\",
    "\x1b[I",
    "\x1b[O",
    "\x1b[?2026;2$y",
];

#[derive(Debug, Default)]
pub(crate) struct MonkeyStats {
    batches: usize,
    steps: usize,
    starts: usize,
    stops: usize,
    bytes: usize,
    requests: usize,
}

impl fmt::Display for MonkeyStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} steps in {} batches, each redrawn after; {} starts, {} suspensions; {} requests; {} bytes to the \
             terminal, 0 forbidden; 0 panics; 3 keys quit each time",
            self.steps, self.batches, self.starts, self.stops, self.requests, self.bytes
        )
    }
}

struct MonkeyRun {
    home: PathBuf,
    origin: String,
    rng: SeededRng,
    output_check: OutputChecker,
    stats: MonkeyStats,
    /// Whether a paste or an escape sequence may be unterminated.
    has_unterminated_input: bool,
}

/// Sends random input for the given time.
pub(crate) fn run_for(time: Duration, seed: u64) -> MonkeyStats {
    let home = tempfile::tempdir().expect("a folder");
    let rates = FaultRates {
        faults: 120,
        completions: 20,
        refusals: 30,
    };
    let mut server = HostileServer::start(rates, seed);
    let mut monkey = MonkeyRun {
        home: home.path().to_owned(),
        origin: server.origin(),
        rng: SeededRng(seed),
        output_check: OutputChecker::default(),
        stats: MonkeyStats::default(),
        has_unterminated_input: false,
    };
    add_tasks(home.path(), 40);
    let started = Instant::now();
    let mut pty = monkey.start();
    while started.elapsed() < time {
        pty = monkey.run_batch(pty);
        if monkey.stats.batches.is_multiple_of(15) {
            monkey.quit(pty);
            pty = monkey.start();
        }
    }
    monkey.quit(pty);
    monkey.stats.bytes = monkey.output_check.bytes;
    monkey.stats.requests = server.count();
    run_kietop(home.path(), &["list", "--json"]);
    monkey.stats
}

/// Returns a launch with its own home and a PATH without any programs.
pub(crate) fn launch(home: &Path, origin: &str, key: &str) -> PtyLaunch {
    let mut launch = PtyLaunch::dashboard(home, origin)
        .env("KIE_API_KEY", key)
        .env("PATH", &home.to_string_lossy());
    for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
        launch = launch.env(name, &home.to_string_lossy());
    }
    launch
}

impl MonkeyRun {
    fn start(&mut self) -> Pty {
        self.stats.starts += 1;
        let mut pty = launch(&self.home, &self.origin, CANARY)
            .size(100, 30)
            .spawn();
        pty.wait_for_text("kietop");
        pty
    }

    /// Runs some random steps, then checks that the program still redraws; restarts it after a
    /// quit.
    fn run_batch(&mut self, mut pty: Pty) -> Pty {
        self.stats.batches += 1;
        for _ in 0..=self.rng.roll(12) {
            self.stats.steps += 1;
            self.random_step(&mut pty);
            let pause = [0, 1, 5, 20, 60, 200];
            let pause = *self.rng.pick(&pause);
            pty.read_for(Duration::from_millis(pause));
            if pty.is_stopped() {
                self.stats.stops += 1;
                pty.signal(Signal::CONT);
            }
            self.check_new_output(&mut pty);
            if pty.code().is_some() {
                self.check_exit(pty);
                return self.start();
            }
        }
        let (cols, rows) = (40 + self.rng.roll(120), 10 + self.rng.roll(40));
        let to_u16 = |number| u16::try_from(number).unwrap_or(u16::MAX);
        pty.resize(to_u16(cols), to_u16(rows));
        if std::mem::take(&mut self.has_unterminated_input) {
            pty.read_for(PASTE_WAIT);
        }
        let started = Instant::now();
        // Repeated: the first Ctrl-L may still belong to a paste, or arrive while the program is
        // stopped.
        loop {
            assert!(
                started.elapsed() < WAIT_TIMEOUT,
                "not redrawn:\n{}",
                pty.screen().contents()
            );
            pty.type_bytes(b"\x0c");
            pty.read_for(SEQUENCE_WAIT);
            if pty.is_stopped() {
                pty.signal(Signal::CONT);
            }
            let is_redrawn = pty.raw().windows(4).any(|bytes| bytes == b"\x1b[2J");
            self.check_new_output(&mut pty);
            if pty.code().is_some() {
                self.check_exit(pty);
                return self.start();
            }
            if is_redrawn {
                break;
            }
        }
        pty.wait_for("something on the screen", |screen| {
            !screen.contents().trim().is_empty()
        });
        pty
    }

    fn random_step(&mut self, pty: &mut Pty) {
        match self.rng.roll(40) {
            0 => {
                let sizes = [0, 1, 2, 3, 5, 7, 10, 24, 40, 80, 132, 300, u16::MAX];
                let (cols, rows) = (*self.rng.pick(&sizes), *self.rng.pick(&sizes));
                pty.resize(cols, rows);
            }
            1..=3 => {
                let to_u16 = |number| u16::try_from(number).unwrap_or(u16::MAX);
                let (cols, rows) = (self.rng.roll(160), self.rng.roll(50));
                pty.resize(to_u16(cols), to_u16(rows));
            }
            4 => {
                let text = self.random_text();
                type_if_running(pty, format!("\x1b[200~{text}\x1b[201~").as_bytes());
            }
            5 => {
                self.has_unterminated_input = true;
                let text = self.random_text();
                type_if_running(pty, format!("\x1b[200~{text}").as_bytes());
            }
            6 => {
                let text = self.random_text().repeat(1 + self.rng.roll(40));
                type_if_running(pty, text.as_bytes());
            }
            7 => {
                let (col, row) = (self.rng.roll(200), self.rng.roll(60));
                let button = *self.rng.pick(&[0, 1, 2, 32, 35, 64, 65]);
                let final_byte = *self.rng.pick(&["M", "m"]);
                type_if_running(
                    pty,
                    format!("\x1b[<{button};{col};{row}{final_byte}").as_bytes(),
                );
            }
            8 => type_if_running(pty, self.rng.pick(&TERMINAL_REPLIES).as_bytes()),
            9 => {
                self.has_unterminated_input = true;
                let bytes: Vec<_> = (0..self.rng.roll(20))
                    .map(|_| u8::try_from(self.rng.roll(256)).unwrap_or_default())
                    .collect();
                type_if_running(pty, &bytes);
            }
            10 => {
                let key = *self.rng.pick(&RANDOM_KEYS);
                type_if_running(pty, key.repeat(1 + self.rng.roll(30)).as_bytes());
            }
            11 if self.rng.roll(8) == 0 => type_if_running(pty, b"\x1a"),
            12 if self.rng.roll(8) == 0 => type_if_running(pty, b"q"),
            _ => type_if_running(pty, self.rng.pick(&RANDOM_KEYS).as_bytes()),
        }
    }

    fn random_text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..=self.rng.roll(6) {
            match self.rng.roll(3) {
                0 => text.push_str(self.rng.pick::<&str>(&ATTACKS)),
                1 => text.extend(format!("{:032x}", self.rng.roll(60)).chars()),
                _ => text.push_str("q d\ry u\r"),
            }
        }
        text
    }

    /// Quits with three keys, which work on every screen.
    fn quit(&mut self, mut pty: Pty) {
        for key in [b"\x1b", b"\x1b", b"q"] {
            type_if_running(&mut pty, key);
            pty.read_for(SEQUENCE_WAIT);
        }
        pty.wait_until("three keys quit", |pty| pty.code().is_some());
        self.check_exit(pty);
    }

    fn check_exit(&mut self, pty: Pty) {
        let exited = pty.wait_for_exit();
        self.check_bytes(&exited.raw);
        let output = String::from_utf8_lossy(&exited.raw);
        assert_eq!(exited.code, 0, "{output}");
        assert_eq!(exited.modes_after, exited.modes_before);
        assert!(!exited.screen.alternate_screen());
        assert!(
            self.output_check.is_at_boundary(),
            "cut off in a sequence: {output}"
        );
    }

    fn check_new_output(&mut self, pty: &mut Pty) {
        let raw = pty.take_raw();
        self.check_bytes(&raw);
    }

    fn check_bytes(&mut self, raw: &[u8]) {
        if let Err(what) = self.output_check.check(raw) {
            panic!("{what}, after {} batches", self.stats.batches);
        }
        let text = String::from_utf8_lossy(raw);
        for forbidden in [CANARY, "panicked", "kietop crashed"] {
            assert!(!text.contains(forbidden), "{forbidden}: {text}");
        }
    }
}

/// Types unless the program has exited or is stopped.
fn type_if_running(pty: &mut Pty, bytes: &[u8]) {
    if pty.code().is_none() && !pty.is_stopped() {
        pty.type_bytes(bytes);
    }
}
