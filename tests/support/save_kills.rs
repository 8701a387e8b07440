//! Saves killed at any moment: what has a final name is whole and right, and the next save ends
//! with every file.
//!
//! The command and the dashboard that saves by itself take turns on one list, against a file host
//! that drips, and sometimes breaks off. After each kill the folder and the list are looked
//! through.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a run of kills fails loudly, and its moments are real time"
)]

use std::{
    collections::BTreeMap,
    fmt, fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use kietop::{
    adapters::store::SqliteStore,
    domain::{list_change::JournalEvent, task::TaskId, text::CleanText},
    ports::ListStore as _,
};
use rustix::process::Signal;

use crate::{
    hostile_server::SeededRng,
    pty::{PtyLaunch, WAIT_TIMEOUT},
};

/// How many results each task has: both are fetched at the same time.
const RESULTS: usize = 2;

/// How much is sent at once.
const CHUNK_SIZE: usize = 32 * 1024;

/// Tells what was done; anything wrong has failed the test.
#[derive(Debug, Default)]
pub(crate) struct KillStats {
    commands: usize,
    dashboards: usize,
    /// How many files had their name when the kill came.
    complete_files: usize,
    /// How many parts were there then.
    partial_files: usize,
    files: usize,
    bytes: usize,
    resumed: usize,
}

impl KillStats {
    pub(crate) const fn kills(&self) -> usize {
        self.commands + self.dashboards
    }
}

impl fmt::Display for KillStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} kills of `save` and {} of a dashboard that saves; they left {} files and {} parts; {} files of {} MB in \
             all saved after them, {} answers went on from a part; 0 wrong, 0 foreign, 0 left over",
            self.commands,
            self.dashboards,
            self.complete_files,
            self.partial_files,
            self.files,
            self.bytes / 1_000_000,
            self.resumed
        )
    }
}

/// Kills so many saves; fails at the first thing that is wrong.
pub(crate) fn run_kills(program: &str, kills: usize, seed: u64) -> KillStats {
    let host = FakeHost::start();
    let mut chance = SeededRng(seed);
    let mut told = KillStats::default();
    let mut tasks = 0;
    while told.kills() < kills {
        tasks += 1;
        let desk = SaveHome::new(program, &host, &format!("{:08x}{tasks:024x}", seed >> 32));
        for _ in 0..=chance.roll(3) {
            let total = desk.videos.values().map(Vec::len).sum();
            let kill = KillPoint::random(&mut chance, &host, total);
            let is_dashboard = told.kills() % 3 == 2;
            let what = format!("{kill:?}, task {tasks}, dashboard {is_dashboard}, seed {seed}");
            if is_dashboard {
                desk.kill_dashboard(&kill);
                told.dashboards += 1;
            } else {
                told.commands += usize::from(desk.kill_command(&kill, &what));
            }
            let (named, parts) = desk.check_files(&what);
            told.complete_files += named;
            told.partial_files += parts;
            if told.kills() == kills {
                break;
            }
        }
        desk.finish_save(&format!("task {tasks}, seed {seed}"));
        told.files += RESULTS;
        told.bytes += desk.videos.values().map(Vec::len).sum::<usize>();
    }
    told.resumed = host.state.range_requests.load(SeqCst);
    told
}

/// Is the moment of a kill.
#[derive(Debug)]
struct KillPoint {
    /// After so many bytes of all results, or when all have their names.
    after_bytes: usize,
    /// And so much later.
    extra_delay: Duration,
}

impl KillPoint {
    /// Draws a moment in a save of so many bytes, and how the host sends until then.
    fn random(chance: &mut SeededRng, host: &FakeHost, total: usize) -> Self {
        let told = &host.state;
        // A part is flushed after three seconds, or when the host breaks off: only what is flushed
        // can be gone on from.
        let (pause, cut) = match chance.roll(8) {
            0 => (60_000, usize::MAX),
            1..=3 => (1_000, 1 + chance.roll(2_000_000)),
            _ => (500 + chance.roll(2_000), usize::MAX),
        };
        told.pause.store(pause, SeqCst);
        told.cut.store(cut, SeqCst);
        told.sent.store(0, SeqCst);
        told.round.fetch_add(1, SeqCst);
        let (after, later) = match chance.roll(4) {
            // Before anything comes.
            0 => (0, chance.roll(80_000)),
            // Around the end: flushed, verified, named, noted.
            1 => (total, chance.roll(30_000)),
            _ => (chance.roll(total), chance.roll(3_000)),
        };
        let later = Duration::from_micros(u64::try_from(later).unwrap_or_default());
        Self {
            after_bytes: after,
            extra_delay: later,
        }
    }
}

/// Is a home of its own with one task, whose results are these films.
struct SaveHome<'a> {
    program: &'a str,
    host: &'a FakeHost,
    home: tempfile::TempDir,
    id: String,
    /// By the names they are to have.
    videos: BTreeMap<String, Vec<u8>>,
}

impl<'a> SaveHome<'a> {
    fn new(program: &'a str, host: &'a FakeHost, id: &str) -> Self {
        let films = (1..=RESULTS).map(|number| {
            let name = format!("{}-{number}.mp4", id.split_at(16).0);
            (name, build_video(&format!("/{id}/{number}.mp4")))
        });
        let desk = Self {
            program,
            host,
            home: tempfile::tempdir().expect("a folder"),
            id: id.to_owned(),
            videos: films.collect(),
        };
        let settings = format!(
            "auto_save = true\npreview = \"off\"\nsave_folder = '{}'\n",
            desk.folder().display()
        );
        fs::write(desk.home.path().join("config.toml"), settings).expect("settings");
        desk.run(&["add", id]);
        desk
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("videos")
    }

    /// Returns the words that name the list, the settings and the API.
    fn save_args(&self) -> [String; 6] {
        let path = |name| self.home.path().join(name).to_string_lossy().into_owned();
        [
            "--store".into(),
            path("list.db"),
            "--config".into(),
            path("config.toml"),
            "--api-url".into(),
            self.host.origin.clone(),
        ]
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(self.program);
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("KIE_API_KEY", "kills")
            .stdin(Stdio::null())
            .args(words)
            .args(self.save_args());
        command
    }

    #[track_caller]
    fn run(&self, words: &[&str]) {
        let output = self.command(words).output().expect("the program");
        assert!(output.status.success(), "{words:?}: {output:?}");
    }

    /// Reports whether every result has its final name.
    fn is_done(&self) -> bool {
        let folder = self.folder();
        self.videos.keys().all(|name| folder.join(name).exists())
    }

    fn is_due(&self, kill: &KillPoint) -> bool {
        self.host.state.sent.load(SeqCst) >= kill.after_bytes || self.is_done()
    }

    /// Kills the command; reports whether it was still running.
    fn kill_command(&self, kill: &KillPoint, what: &str) -> bool {
        // A dashboard may have been killed before it was answered.
        self.run(&["list", "--refresh"]);
        let mut child = self
            .command(&["save", &self.id])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program");
        let begun = Instant::now();
        while !self.is_due(kill) && child.try_wait().expect("its state").is_none() {
            assert!(begun.elapsed() < WAIT_TIMEOUT, "waited in vain: {what}");
            thread::sleep(Duration::from_micros(200));
        }
        thread::sleep(kill.extra_delay);
        child.kill().expect("a kill");
        let status = child.wait().expect("an end");
        let is_killed = status.signal() == Some(9);
        assert!(is_killed || status.success(), "{status:?}: {what}");
        is_killed
    }

    fn kill_dashboard(&self, kill: &KillPoint) {
        let mut pty = PtyLaunch::new(self.program)
            .args(self.save_args())
            .env("HOME", &self.home.path().to_string_lossy())
            .env("KIE_API_KEY", "kills")
            .spawn();
        pty.wait_until("a result", |pty| {
            self.is_due(kill) || pty.screen().contents().contains("ready")
        });
        if !self.is_due(kill) {
            // It saves by itself what it heard of, and what was begun; not what a command heard of
            // and was killed over.
            pty.type_bytes(b"w");
        }
        pty.wait_until("the moment of the kill", |_| self.is_due(kill));
        pty.read_for(kill.extra_delay);
        pty.signal(Signal::KILL);
        pty.wait_for_exit();
    }

    /// Looks through folder and list; returns how many files have their name, and how many parts
    /// there are.
    fn check_files(&self, what: &str) -> (usize, usize) {
        let (mut named, mut parts) = (0, 0);
        for name in self.file_names() {
            if let Some(film) = self.videos.get(&name) {
                named += 1;
                let is_right = fs::read(self.folder().join(&name)).is_ok_and(|it| it == *film);
                assert!(is_right, "{name} is not the film: {what}");
            } else {
                assert!(self.is_leftover_file(&name), "{name} is foreign: {what}");
                parts += usize::from(has_suffix(&name, "part"));
            }
        }
        assert!(parts <= RESULTS, "{parts} parts: {what}");
        let list = self.home.path().join("list.db");
        let store = SqliteStore::open(&list, jiff::Timestamp::now(), |_| ());
        let mut store = store.expect("the list");
        let all = store.load().expect("the tasks");
        let [task] = all.as_slice() else {
            panic!("{} tasks: {what}", all.len());
        };
        let id = TaskId::parse(&self.id).expect("an id");
        let journal = store.read_journal(&id, 999).expect("the journal");
        let told = journal.into_iter().filter_map(|line| {
            let JournalEvent::Saved(path) = line.event else {
                return None;
            };
            Some(path)
        });
        let noted = task.saved_results.files().iter();
        let noted = noted.map(|file| CleanText::line(&file.path.to_string_lossy(), 8 * 1024));
        for path in told.chain(noted) {
            let is_there = Path::new(path.as_str()).is_file();
            assert!(is_there, "{path} is called saved: {what}");
        }
        (named, parts)
    }

    /// Reports whether that is a part of one of the films, or the note beside it.
    fn is_leftover_file(&self, name: &str) -> bool {
        let name = name.strip_suffix(".new").unwrap_or(name);
        let Some((rest, "part" | "meta")) = name.rsplit_once('.') else {
            return false;
        };
        rest.rsplit_once('.').is_some_and(|(stem, mark)| {
            mark.len() == 8 && self.videos.contains_key(&format!("{stem}.mp4"))
        })
    }

    fn file_names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.folder()) else {
            return Vec::new();
        };
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        names
            .map(|name| name.into_string().expect("a plain name"))
            .collect()
    }

    /// Saves once more, undisturbed: then every film is there, and nothing else.
    fn finish_save(&self, what: &str) {
        let told = &self.host.state;
        told.pause.store(0, SeqCst);
        told.cut.store(usize::MAX, SeqCst);
        self.run(&["list", "--refresh"]);
        self.run(&["save", &self.id]);
        let (named, _) = self.check_files(what);
        let all = self.file_names();
        assert_eq!((named, all.len()), (RESULTS, RESULTS), "{all:?}: {what}");
    }
}

fn has_suffix(name: &str, end: &str) -> bool {
    Path::new(name).extension().is_some_and(|own| own == end)
}

/// Is what the host is told, and tells.
#[derive(Debug)]
struct HostState {
    /// Which attempt it is; what is sent to an earlier one does not count.
    round: AtomicUsize,
    /// How long it waits after each piece, in microseconds.
    pause: AtomicUsize,
    /// After how many bytes of one answer it breaks off.
    cut: AtomicUsize,
    /// How many bytes of films it sent in this round.
    sent: AtomicUsize,
    /// How many answers went on from where a part ended.
    range_requests: AtomicUsize,
}

/// Is the API and the file host in one, at the same address for the whole run.
struct FakeHost {
    origin: String,
    state: Arc<HostState>,
}

impl FakeHost {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let told = Arc::new(HostState {
            round: AtomicUsize::new(0),
            pause: AtomicUsize::new(0),
            cut: AtomicUsize::new(usize::MAX),
            sent: AtomicUsize::new(0),
            range_requests: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&told);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let told = Arc::clone(&shared);
                // Whoever asked may be dead by now.
                thread::spawn(move || serve_connection(stream, &told).unwrap_or_default());
            }
        });
        Self {
            origin: format!("http://{address}"),
            state: told,
        }
    }
}

fn serve_connection(mut stream: TcpStream, told: &HostState) -> std::io::Result<()> {
    let round = told.round.load(SeqCst);
    let origin = format!("http://{}", stream.local_addr()?);
    let lines = BufReader::new(stream.try_clone()?).lines();
    let head: Vec<_> = lines
        .map_while(Result::ok)
        .take_while(|line| !line.is_empty())
        .collect();
    let target = head.first().and_then(|line| line.split(' ').nth(1));
    let target = target.unwrap_or_default();
    if let Some((_, id)) = target.split_once("taskId=") {
        let results: Vec<_> = (1..=RESULTS)
            .map(|number| format!("\"{origin}/{id}/{number}.mp4\""))
            .collect();
        let body = format!(
            r#"{{"code":200,"msg":"success","data":{{"successFlag":1,"response":{{"resultUrls":[{}]}}}}}}"#,
            results.join(",")
        );
        let head = response_head("200 OK", body.len(), "");
        return stream.write_all(&[head.as_bytes(), body.as_bytes()].concat());
    }
    let film = build_video(target);
    let from = head.iter().find_map(|line| {
        let line = line.to_ascii_lowercase();
        let from = line.strip_prefix("range: bytes=")?;
        from.trim_end_matches('-').parse().ok()
    });
    let (head, body) = match from {
        Some(from) => {
            told.range_requests.fetch_add(1, SeqCst);
            let (_, rest) = film.split_at(from);
            let range = format!(
                "Content-Range: bytes {from}-{}/{}\r\n",
                film.len() - 1,
                film.len()
            );
            (
                response_head("206 Partial Content", rest.len(), &range),
                rest,
            )
        }
        None => (response_head("200 OK", film.len(), ""), film.as_slice()),
    };
    stream.write_all(head.as_bytes())?;
    let mut sent = 0;
    for piece in body.chunks(CHUNK_SIZE) {
        stream.write_all(piece)?;
        sent += piece.len();
        if told.round.load(SeqCst) == round {
            told.sent.fetch_add(piece.len(), SeqCst);
        }
        // Only once in a round, so that the next try can come further.
        if sent >= told.cut.load(SeqCst) && told.cut.swap(usize::MAX, SeqCst) != usize::MAX {
            return Ok(());
        }
        let pause = u64::try_from(told.pause.load(SeqCst)).unwrap_or_default();
        thread::sleep(Duration::from_micros(pause));
    }
    Ok(())
}

fn response_head(status: &str, length: usize, more: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nETag: \"v1\"\r\n{more}Connection: close\r\n\r\n"
    )
}

/// The largest film, in bytes.
const MAX_VIDEO_LEN: usize = 4_000_000;

/// Returns the film behind a path: some MB of noise in the boxes of an MP4, always the same.
fn build_video(path: &str) -> Vec<u8> {
    let mut seed = path.bytes().fold(1_u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    let mut noise = || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 27)
    };
    let words = 100_000 + usize::try_from(noise() % 350_000).unwrap_or_default();
    let media: Vec<u8> = (0..words).flat_map(|_| noise().to_le_bytes()).collect();
    let boxed = |name: &[u8], content: &[u8]| {
        let length = u32::try_from(8 + content.len()).expect("a small box");
        [&length.to_be_bytes()[..], name, content].concat()
    };
    let film = [
        boxed(b"ftyp", b"isom\0\0\x02\0"),
        boxed(b"moov", &[0; 32]),
        boxed(b"mdat", &media),
    ]
    .concat();
    assert!(
        film.len() <= MAX_VIDEO_LEN,
        "a film of {} bytes",
        film.len()
    );
    film
}
