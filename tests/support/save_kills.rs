//! Saves killed at random moments: a file with its final name is complete and correct, and the next
//! save completes every file.
//!
//! The `save` command and a dashboard that saves automatically alternate on one list. The file host
//! is slow and sometimes closes a connection early. The folder and the list are checked after each
//! kill.

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
};
use rustix::process::Signal;

use crate::support::{
    hostile_server::SeededRng,
    pty::{KIETOP, PtyLaunch, WAIT_TIMEOUT},
};

/// Results per task, downloaded at the same time.
const RESULTS: usize = 2;

const CHUNK_SIZE: usize = 32 * 1024;

#[derive(Debug, Default)]
pub(crate) struct KillStats {
    commands: usize,
    dashboards: usize,
    /// Files with their final name at the time of a kill.
    complete_files: usize,
    /// Partial files at the time of a kill.
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
            "{} kills of `save` and {} of a dashboard that saves; they left {} files and {} partial files; {} files \
             ({} MB in all) saved afterwards, {} responses resumed a partial file; 0 wrong, 0 foreign, 0 left over",
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

/// Kills `kills` saves; fails at the first error.
pub(crate) fn run_kills(kills: usize, seed: u64) -> KillStats {
    let host = FakeHost::start();
    let mut rng = SeededRng(seed);
    let mut stats = KillStats::default();
    let mut tasks = 0;
    while stats.kills() < kills {
        tasks += 1;
        let home = SaveHome::new(&host, &format!("{:08x}{tasks:024x}", seed >> 32));
        for _ in 0..=rng.roll(3) {
            let total = home.videos.values().map(Vec::len).sum();
            let kill = KillPoint::random(&mut rng, &host, total);
            let is_dashboard = stats.kills() % 3 == 2;
            let what = format!("{kill:?}, task {tasks}, dashboard {is_dashboard}, seed {seed}");
            if is_dashboard {
                home.kill_dashboard(&kill);
                stats.dashboards += 1;
            } else {
                stats.commands += usize::from(home.kill_command(&kill, &what));
            }
            let (complete, partial) = home.check_files(&what);
            stats.complete_files += complete;
            stats.partial_files += partial;
            if stats.kills() == kills {
                break;
            }
        }
        home.finish_save(&format!("task {tasks}, seed {seed}"));
        stats.files += RESULTS;
        stats.bytes += home.videos.values().map(Vec::len).sum::<usize>();
    }
    stats.resumed = host.state.range_requests.load(SeqCst);
    stats
}

#[derive(Debug)]
struct KillPoint {
    /// Bytes sent of all results; the kill also comes when all files have their final names.
    after_bytes: usize,
    extra_delay: Duration,
}

impl KillPoint {
    /// Picks a moment in a save of `total` bytes, and configures the host at random.
    fn random(rng: &mut SeededRng, host: &FakeHost, total: usize) -> Self {
        let state = &host.state;
        // A partial file is flushed after three seconds or when the connection closes; only flushed
        // data can be resumed.
        let (pause, cut) = match rng.roll(8) {
            0 => (60_000, usize::MAX),
            1..=3 => (1_000, 1 + rng.roll(2_000_000)),
            _ => (500 + rng.roll(2_000), usize::MAX),
        };
        state.pause.store(pause, SeqCst);
        state.cut.store(cut, SeqCst);
        state.sent.store(0, SeqCst);
        state.round.fetch_add(1, SeqCst);
        let (after_bytes, micros) = match rng.roll(4) {
            // Before the first byte.
            0 => (0, rng.roll(80_000)),
            // Near the end: flush, verify, rename, record.
            1 => (total, rng.roll(30_000)),
            _ => (rng.roll(total), rng.roll(3_000)),
        };
        let extra_delay = Duration::from_micros(u64::try_from(micros).unwrap_or_default());
        Self {
            after_bytes,
            extra_delay,
        }
    }
}

/// A home folder with one task and the expected videos.
struct SaveHome<'a> {
    host: &'a FakeHost,
    home: tempfile::TempDir,
    id: String,
    /// By their final file names.
    videos: BTreeMap<String, Vec<u8>>,
}

impl<'a> SaveHome<'a> {
    fn new(host: &'a FakeHost, id: &str) -> Self {
        let videos = (1..=RESULTS).map(|number| {
            let name = format!("{}-{number}.mp4", id.split_at(16).0);
            (name, build_video(&format!("/{id}/{number}.mp4")))
        });
        let home = Self {
            host,
            home: tempfile::tempdir().expect("a folder"),
            id: id.to_owned(),
            videos: videos.collect(),
        };
        let config = format!(
            "auto_save = true\npreview = \"off\"\nsave_folder = '{}'\n",
            home.folder().display()
        );
        fs::write(home.home.path().join("config.toml"), config).expect("the config file");
        home.run(&["add", id]);
        home
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("videos")
    }

    /// Returns the arguments for the list, the config file and the API.
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

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(KIETOP);
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("KIE_API_KEY", "kills")
            .stdin(Stdio::null())
            .args(args)
            .args(self.save_args());
        command
    }

    #[track_caller]
    fn run(&self, args: &[&str]) {
        let output = self.command(args).output().expect("the program");
        assert!(output.status.success(), "{args:?}: {output:?}");
    }

    /// Reports whether every result has its final name.
    fn is_done(&self) -> bool {
        let folder = self.folder();
        self.videos.keys().all(|name| folder.join(name).exists())
    }

    fn is_due(&self, kill: &KillPoint) -> bool {
        self.host.state.sent.load(SeqCst) >= kill.after_bytes || self.is_done()
    }

    /// Kills a `save` command; reports whether it was still running.
    fn kill_command(&self, kill: &KillPoint, what: &str) -> bool {
        // A dashboard may have been killed before its first response.
        self.run(&["list", "--refresh"]);
        let mut child = self
            .command(&["save", &self.id])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program");
        let started = Instant::now();
        while !self.is_due(kill) && child.try_wait().expect("its state").is_none() {
            assert!(started.elapsed() < WAIT_TIMEOUT, "timed out: {what}");
            thread::sleep(Duration::from_micros(200));
        }
        thread::sleep(kill.extra_delay);
        child.kill().expect("a kill");
        let status = child.wait().expect("an exit status");
        let is_killed = status.signal() == Some(9);
        assert!(is_killed || status.success(), "{status:?}: {what}");
        is_killed
    }

    fn kill_dashboard(&self, kill: &KillPoint) {
        let mut pty = PtyLaunch::new(KIETOP)
            .args(self.save_args())
            .env("HOME", &self.home.path().to_string_lossy())
            .env("KIE_API_KEY", "kills")
            .spawn();
        pty.wait_until("a result", |pty| {
            self.is_due(kill) || pty.screen().contents().contains("ready")
        });
        if !self.is_due(kill) {
            // It automatically saves results that it received itself and saves that were started,
            // but not results that a killed command received.
            pty.type_bytes(b"w");
        }
        pty.wait_until("the moment of the kill", |_| self.is_due(kill));
        pty.read_for(kill.extra_delay);
        pty.signal(Signal::KILL);
        pty.wait_for_exit();
    }

    /// Checks the folder and the list; returns the number of complete and of partial files.
    fn check_files(&self, what: &str) -> (usize, usize) {
        let (mut complete, mut partial) = (0, 0);
        for name in self.file_names() {
            if let Some(video) = self.videos.get(&name) {
                complete += 1;
                let is_right = fs::read(self.folder().join(&name)).is_ok_and(|it| it == *video);
                assert!(is_right, "{name} has wrong content: {what}");
            } else {
                assert!(self.is_leftover_file(&name), "{name} is foreign: {what}");
                partial += usize::from(has_extension(&name, "part"));
            }
        }
        assert!(partial <= RESULTS, "{partial} partial files: {what}");
        let list = self.home.path().join("list.db");
        let store = SqliteStore::open(&list, jiff::Timestamp::now(), |_| ());
        let mut store = store.expect("the list");
        let tasks = store.load().expect("the tasks");
        let [task] = tasks.as_slice() else {
            panic!("{} tasks: {what}", tasks.len());
        };
        let id = TaskId::parse(&self.id).expect("an id");
        let journal = store.read_journal(&id, 999).expect("the journal");
        let journal_paths = journal.into_iter().filter_map(|line| {
            let JournalEvent::Saved(path) = line.event else {
                return None;
            };
            Some(path)
        });
        let task_paths = task.saved_results.files().iter();
        let task_paths =
            task_paths.map(|file| CleanText::line(&file.path.to_string_lossy(), 8 * 1024));
        for path in journal_paths.chain(task_paths) {
            let exists = Path::new(path.as_str()).is_file();
            assert!(exists, "{path} is recorded as saved: {what}");
        }
        (complete, partial)
    }

    /// Reports whether this is a partial file of one of the videos, or its metadata file.
    fn is_leftover_file(&self, name: &str) -> bool {
        let name = name.strip_suffix(".new").unwrap_or(name);
        let Some((rest, "part" | "meta")) = name.rsplit_once('.') else {
            return false;
        };
        rest.rsplit_once('.').is_some_and(|(stem, suffix)| {
            suffix.len() == 8 && self.videos.contains_key(&format!("{stem}.mp4"))
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

    /// Saves once more without a kill: then exactly the expected videos exist.
    fn finish_save(&self, what: &str) {
        let state = &self.host.state;
        state.pause.store(0, SeqCst);
        state.cut.store(usize::MAX, SeqCst);
        self.run(&["list", "--refresh"]);
        self.run(&["save", &self.id]);
        let (complete, _) = self.check_files(what);
        let names = self.file_names();
        assert_eq!(
            (complete, names.len()),
            (RESULTS, RESULTS),
            "{names:?}: {what}"
        );
    }
}

fn has_extension(name: &str, expected: &str) -> bool {
    let extension = Path::new(name).extension();
    extension.is_some_and(|extension| extension == expected)
}

/// Settings and counters of the host.
#[derive(Debug)]
struct HostState {
    /// The number of the attempt; bytes sent to an earlier one are not counted.
    round: AtomicUsize,
    /// Microseconds between chunks.
    pause: AtomicUsize,
    /// Bytes after which the connection is closed, once per round.
    cut: AtomicUsize,
    /// Bytes of videos sent in this round.
    sent: AtomicUsize,
    range_requests: AtomicUsize,
}

/// The API and the file host in one server, at the same address for the whole run.
struct FakeHost {
    origin: String,
    state: Arc<HostState>,
}

impl FakeHost {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(HostState {
            round: AtomicUsize::new(0),
            pause: AtomicUsize::new(0),
            cut: AtomicUsize::new(usize::MAX),
            sent: AtomicUsize::new(0),
            range_requests: AtomicUsize::new(0),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&shared);
                // The client may have been killed.
                thread::spawn(move || serve_connection(stream, &state).unwrap_or_default());
            }
        });
        Self {
            origin: format!("http://{address}"),
            state,
        }
    }
}

fn serve_connection(mut stream: TcpStream, state: &HostState) -> std::io::Result<()> {
    let round = state.round.load(SeqCst);
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
    let video = build_video(target);
    let from = head.iter().find_map(|line| {
        let line = line.to_ascii_lowercase();
        let from = line.strip_prefix("range: bytes=")?;
        from.trim_end_matches('-').parse().ok()
    });
    let (head, body) = match from {
        Some(from) => {
            state.range_requests.fetch_add(1, SeqCst);
            let (_, rest) = video.split_at(from);
            let range = format!(
                "Content-Range: bytes {from}-{}/{}\r\n",
                video.len() - 1,
                video.len()
            );
            (
                response_head("206 Partial Content", rest.len(), &range),
                rest,
            )
        }
        None => (response_head("200 OK", video.len(), ""), video.as_slice()),
    };
    stream.write_all(head.as_bytes())?;
    let mut sent = 0;
    for chunk in body.chunks(CHUNK_SIZE) {
        stream.write_all(chunk)?;
        sent += chunk.len();
        if state.round.load(SeqCst) == round {
            state.sent.fetch_add(chunk.len(), SeqCst);
        }
        // Only once per round, so that the next attempt gets further.
        if sent >= state.cut.load(SeqCst) && state.cut.swap(usize::MAX, SeqCst) != usize::MAX {
            return Ok(());
        }
        let pause = u64::try_from(state.pause.load(SeqCst)).unwrap_or_default();
        thread::sleep(Duration::from_micros(pause));
    }
    Ok(())
}

fn response_head(status: &str, length: usize, extra_headers: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nETag: \"v1\"\r\n{extra_headers}Connection: close\r\n\r\n"
    )
}

const MAX_VIDEO_LEN: usize = 4_000_000;

/// Returns the video for a path: up to [`MAX_VIDEO_LEN`] bytes of MP4 boxes with noise, always the
/// same for the same path.
fn build_video(path: &str) -> Vec<u8> {
    let mut seed = path.bytes().fold(1_u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    let mut noise = || {
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (seed ^ (seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 27)
    };
    let count = 100_000 + usize::try_from(noise() % 350_000).unwrap_or_default();
    let media: Vec<u8> = (0..count).flat_map(|_| noise().to_le_bytes()).collect();
    let mp4_box = |name: &[u8], content: &[u8]| {
        let length = u32::try_from(8 + content.len()).expect("a small box");
        [&length.to_be_bytes()[..], name, content].concat()
    };
    let video = [
        mp4_box(b"ftyp", b"isom\0\0\x02\0"),
        mp4_box(b"moov", &[0; 32]),
        mp4_box(b"mdat", &media),
    ]
    .concat();
    assert!(
        video.len() <= MAX_VIDEO_LEN,
        "a video of {} bytes",
        video.len()
    );
    video
}
