//! Random keys, pastes, mouse reports and sizes, at the real program against a hostile server.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a long run fails loudly and measures real time"
)]

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::hostile_server::{ATTACKS, FaultRates, HostileServer, SeededRng};
use crate::output_check::OutputChecker;
use crate::pty::{Pty, PtyLaunch, WAIT_TIMEOUT};

/// Must never be seen but in a request's header.
const CANARY: &str = "canary-7f3a91c2e4";

/// Longer than the program waits for the rest of an escape sequence or a burst.
const SEQUENCE_WAIT: Duration = Duration::from_millis(150);

/// Longer than the program waits for the end of a paste.
const PASTE_WAIT: Duration = Duration::from_millis(2500);

/// What is pressed: everything the help names, and things it does not.
const RANDOM_KEYS: [&str; 68] = [
    "j", "k", "g", "G", "h", "l", "1", "2", "3", "4", "5", "6", "a", "d", "u", " ", "V", "*", "/",
    "s", "S", "r", "R", "p", "+", "-", "o", "O", "b", "y", "w", "W", "i", "e", "N", ":", "?", "n",
    "c", "x", "t", "m", "\r", "\r", "\t", "\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x1bOA",
    "\x1bOB", "\x1b[H", "\x1b[F", "\x1b[5~", "\x1b[6~", "\x1b[3~", "\x1b[Z", "\x1bOP", "\x7f",
    "\x04", "\x15", "\x17", "\x0c", "\x1b", "\x1b", "é", "漢", "\x1bx",
];

/// What terminals send on their own.
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

/// Tells what was done.
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
             terminal, 0 forbidden; 0 panics; 3 keys out each time",
            self.steps, self.batches, self.starts, self.stops, self.requests, self.bytes
        )
    }
}

struct MonkeyRun<'a> {
    program: &'a str,
    home: PathBuf,
    origin: String,
    chance: SeededRng,
    output_check: OutputChecker,
    stats: MonkeyStats,
    /// Whether a paste or a sequence may be waiting for its end.
    is_open: bool,
}

/// Plays for so long.
pub(crate) fn run_for(program: &str, time: Duration, seed: u64) -> MonkeyStats {
    let home = tempfile::tempdir().expect("a folder");
    let mix = FaultRates {
        faults: 120,
        completions: 20,
        refusals: 30,
    };
    let mut server = HostileServer::start(mix, seed);
    let mut monkey = MonkeyRun {
        program,
        home: home.path().to_owned(),
        origin: server.origin(),
        chance: SeededRng(seed),
        output_check: OutputChecker::default(),
        stats: MonkeyStats::default(),
        is_open: false,
    };
    add_tasks(program, home.path(), 40, CANARY);
    let begun = Instant::now();
    let mut pty = monkey.start();
    while begun.elapsed() < time {
        pty = monkey.run_batch(pty);
        if monkey.stats.batches.is_multiple_of(15) {
            monkey.quit(pty);
            pty = monkey.start();
        }
    }
    monkey.quit(pty);
    monkey.stats.bytes = monkey.output_check.bytes;
    monkey.stats.requests = server.count();
    let listed = Command::new(program)
        .args(["list", "--json", "--store"])
        .arg(home.path().join("list.db"))
        .output()
        .expect("the list");
    assert!(listed.status.success(), "{listed:?}");
    monkey.stats
}

/// Puts tasks on the list.
pub(crate) fn add_tasks(program: &str, home: &Path, count: u32, key: &str) {
    let added = Command::new(program)
        .arg("add")
        .args((0..count).map(|n| format!("{n:032x}")))
        .arg("--store")
        .arg(home.join("list.db"))
        .env("KIE_API_KEY", key)
        .output()
        .expect("added");
    assert!(added.status.success(), "{added:?}");
}

/// Launches the program with a home of its own, where it finds no browser and no other helper.
pub(crate) fn launch(program: &str, home: &Path, origin: &str, key: &str) -> PtyLaunch {
    let mut launch = PtyLaunch::new(program)
        .args(["--api-url", origin, "--store"])
        .args([home.join("list.db")])
        .env("KIE_API_KEY", key)
        .env("PATH", &home.to_string_lossy())
        .env("LANG", "C.UTF-8");
    for name in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
        launch = launch.env(name, &home.to_string_lossy());
    }
    launch
}

impl MonkeyRun<'_> {
    fn start(&mut self) -> Pty {
        self.stats.starts += 1;
        let mut pty = launch(self.program, &self.home, &self.origin, CANARY)
            .size(100, 30)
            .spawn();
        pty.wait_for_text("kietop");
        pty
    }

    /// Does some things, and sees the program alive and painted after them; a program that was left
    /// is begun anew.
    fn run_batch(&mut self, mut pty: Pty) -> Pty {
        self.stats.batches += 1;
        for _ in 0..=self.chance.roll(12) {
            self.stats.steps += 1;
            self.random_step(&mut pty);
            let pause = [0, 1, 5, 20, 60, 200];
            let pause = *self.chance.pick(&pause);
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
        let (cols, rows) = (40 + self.chance.roll(120), 10 + self.chance.roll(40));
        let side = |number| u16::try_from(number).unwrap_or(u16::MAX);
        pty.resize(side(cols), side(rows));
        if std::mem::take(&mut self.is_open) {
            pty.read_for(PASTE_WAIT);
        }
        let begun = Instant::now();
        // Asked again and again: the first may still belong to a paste, or come while the program
        // is stopped.
        loop {
            assert!(
                begun.elapsed() < WAIT_TIMEOUT,
                "not painted again:\n{}",
                pty.screen().contents()
            );
            pty.type_bytes(b"\x0c");
            pty.read_for(SEQUENCE_WAIT);
            if pty.is_stopped() {
                pty.signal(Signal::CONT);
            }
            let is_painted = pty.raw().windows(4).any(|bytes| bytes == b"\x1b[2J");
            self.check_new_output(&mut pty);
            if pty.code().is_some() {
                self.check_exit(pty);
                return self.start();
            }
            if is_painted {
                break;
            }
        }
        pty.wait_for("something on the screen", |screen| {
            !screen.contents().trim().is_empty()
        });
        pty
    }

    fn random_step(&mut self, pty: &mut Pty) {
        match self.chance.roll(40) {
            0 => {
                let side = [0, 1, 2, 3, 5, 7, 10, 24, 40, 80, 132, 300, u16::MAX];
                let (cols, rows) = (*self.chance.pick(&side), *self.chance.pick(&side));
                pty.resize(cols, rows);
            }
            1..=3 => {
                let side = |number| u16::try_from(number).unwrap_or(u16::MAX);
                let (cols, rows) = (self.chance.roll(160), self.chance.roll(50));
                pty.resize(side(cols), side(rows));
            }
            4 => {
                let text = self.random_text();
                type_if_running(pty, format!("\x1b[200~{text}\x1b[201~").as_bytes());
            }
            5 => {
                self.is_open = true;
                let text = self.random_text();
                type_if_running(pty, format!("\x1b[200~{text}").as_bytes());
            }
            6 => {
                let text = self.random_text().repeat(1 + self.chance.roll(40));
                type_if_running(pty, text.as_bytes());
            }
            7 => {
                let (col, row) = (self.chance.roll(200), self.chance.roll(60));
                let button = *self.chance.pick(&[0, 1, 2, 32, 35, 64, 65]);
                let end = *self.chance.pick(&["M", "m"]);
                type_if_running(pty, format!("\x1b[<{button};{col};{row}{end}").as_bytes());
            }
            8 => type_if_running(pty, self.chance.pick(&TERMINAL_REPLIES).as_bytes()),
            9 => {
                self.is_open = true;
                let bytes: Vec<_> = (0..self.chance.roll(20))
                    .map(|_| u8::try_from(self.chance.roll(256)).unwrap_or_default())
                    .collect();
                type_if_running(pty, &bytes);
            }
            10 => {
                let key = *self.chance.pick(&RANDOM_KEYS);
                type_if_running(pty, key.repeat(1 + self.chance.roll(30)).as_bytes());
            }
            11 if self.chance.roll(8) == 0 => type_if_running(pty, b"\x1a"),
            12 if self.chance.roll(8) == 0 => type_if_running(pty, b"q"),
            _ => type_if_running(pty, self.chance.pick(&RANDOM_KEYS).as_bytes()),
        }
    }

    fn random_text(&mut self) -> String {
        let mut text = String::new();
        for _ in 0..=self.chance.roll(6) {
            match self.chance.roll(3) {
                0 => text.push_str(self.chance.pick::<&str>(&ATTACKS)),
                1 => text.extend(format!("{:032x}", self.chance.roll(60)).chars()),
                _ => text.push_str("q d\ry u\r"),
            }
        }
        text
    }

    /// Leaves by the three keys that lead out of everywhere.
    fn quit(&mut self, mut pty: Pty) {
        for key in [b"\x1b", b"\x1b", b"q"] {
            type_if_running(&mut pty, key);
            pty.read_for(SEQUENCE_WAIT);
        }
        pty.wait_until("three keys lead out", |pty| pty.code().is_some());
        self.check_exit(pty);
    }

    /// Checks the end of a program that was left.
    fn check_exit(&mut self, pty: Pty) {
        let ended = pty.wait_for_exit();
        self.check_bytes(&ended.raw);
        let last = String::from_utf8_lossy(&ended.raw);
        assert_eq!(ended.code, 0, "{last}");
        assert_eq!(ended.modes_after, ended.modes_before);
        assert!(!ended.screen.alternate_screen());
        assert!(
            self.output_check.is_at_boundary(),
            "cut off in a sequence: {last}"
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
        for words in [
            CANARY,
            "panicked",
            "part of kietop broke",
            "fault of its own",
        ] {
            assert!(!text.contains(words), "{words}: {text}");
        }
    }
}

/// Types unless the program has ended meanwhile.
fn type_if_running(pty: &mut Pty, bytes: &[u8]) {
    if pty.code().is_none() && !pty.is_stopped() {
        pty.type_bytes(bytes);
    }
}
