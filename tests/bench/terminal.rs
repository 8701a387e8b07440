//! Latency in a real pseudo-terminal: start to first paint, key to paint, and the load when idle.
//!
//! `cargo bench --bench terminal`. Each figure is compared with a baseline: this binary started
//! with [`BASELINE_VAR`] set, a bare ratatui program that draws one table and waits for keys. The
//! two alternate, so that changes in the machine's speed affect both; the ratio counts. No figure
//! fails.

#![expect(
    clippy::expect_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark that measures real time and prints its results"
)]

use std::{
    env,
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use filedescriptor::FileDescriptor;
use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Makes this binary run the baseline.
const BASELINE_VAR: &str = "KIETOP_BENCH_BASELINE";

/// Starts of each program.
const START_RUNS: usize = 21;

/// Keys sent to each program.
const KEY_PRESSES: usize = 200;

/// The time over which an idle program is measured.
const IDLE_TIME: Duration = Duration::from_secs(5);

/// Spreads the ids over all possible ones; odd, so that they differ.
const ID_MULTIPLIER: u128 = 0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835;

/// The silence before the next key, after which all output of the previous key has arrived.
const QUIET_TIME: Duration = Duration::from_millis(25);

fn main() {
    if env::var_os(BASELINE_VAR).is_some() {
        return run_baseline();
    }
    let home = tempfile::tempdir().expect("a folder");
    let baseline = Program::baseline(home.path());
    let programs = [0, 100, 10_000, 100_000].map(|tasks| Program::kietop(home.path(), tasks));

    println!(
        "start: exec to first byte of the first frame, and to the first row of the list (ms, medians of {START_RUNS})"
    );
    for program in &programs {
        let mut pairs = Vec::new();
        let mut rows = Vec::new();
        for _ in 0..START_RUNS {
            let baseline_time = baseline.start().first_paint;
            let mut run = program.start();
            pairs.push((baseline_time, run.first_paint));
            if program.tasks > 0 {
                rows.push(run.wait_for_text(" of 1"));
            }
        }
        let (baseline_times, kietop_times): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let rows = if rows.is_empty() {
            "-".to_owned()
        } else {
            format_millis(median(rows))
        };
        println!(
            "  {:>7} tasks  baseline {}  kietop {}  x{:.2}  rows {rows}",
            program.tasks,
            format_millis(median(baseline_times.clone())),
            format_millis(median(kietop_times.clone())),
            median(kietop_times).as_secs_f64() / median(baseline_times).as_secs_f64(),
        );
    }

    println!(
        "key to paint (ms over {KEY_PRESSES} keys: p50, p99, max), and idle over {}s",
        IDLE_TIME.as_secs()
    );
    let mut run = baseline.start();
    run.read_until_quiet();
    println!(
        "  {:<24} {}",
        "baseline, j and k",
        format_stats(run.measure_keys(b"jk"))
    );
    drop(run);
    for program in programs.iter().filter(|program| program.tasks > 0) {
        let mut run = program.start();
        run.wait_for_text(" of 1");
        run.read_until_quiet();
        let idle = run.measure_idle();
        println!(
            "  {:>7} tasks, j and k   {}",
            program.tasks,
            format_stats(run.measure_keys(b"jk"))
        );
        println!(
            "  {:>7} tasks, tabs      {}",
            program.tasks,
            format_stats(run.measure_keys(b"123"))
        );
        run.press_key(b'/');
        run.read_until_quiet();
        println!(
            "  {:>7} tasks, filtering {}",
            program.tasks,
            format_stats(run.measure_keys(b"c4f\x7f\x7f\x7f"))
        );
        println!("  {:>7} tasks, idle      {idle}", program.tasks);
    }
}

/// Draws one table and waits for keys: the minimum cost of such a program.
fn run_baseline() {
    use ratatui::{
        crossterm::event::{self, Event, KeyCode},
        layout::Constraint,
        widgets::{Row, Table, TableState},
    };

    // The terminal need not be restored: the benchmark kills this program and drops its terminal.
    let mut terminal = ratatui::init();
    let mut table_state = TableState::default().with_selected(Some(0));
    loop {
        let rows = (0..36).map(|n| {
            Row::new([
                format!("row {n}"),
                "generating".into(),
                "3m".into(),
                "-".into(),
            ])
        });
        let table = Table::new(rows, [Constraint::Fill(1); 4]).highlight_symbol("> ");
        terminal
            .draw(|frame| frame.render_stateful_widget(table, frame.area(), &mut table_state))
            .expect("a frame");
        let Event::Key(key) = event::read().expect("an event") else {
            continue;
        };
        if key.code == KeyCode::Char('j') {
            table_state.select_next();
        } else if key.code == KeyCode::Char('k') {
            table_state.select_previous();
        }
    }
}

/// A program with its own list, to be started repeatedly.
struct Program {
    command: CommandBuilder,
    tasks: usize,
    /// Text in its first frame.
    first_text: &'static str,
}

impl Program {
    /// Returns this binary as the baseline.
    fn baseline(home: &Path) -> Self {
        let mut command = command(&env::current_exe().expect("this binary"), home);
        command.env(BASELINE_VAR, "1");
        Self {
            command,
            tasks: 0,
            first_text: "row",
        }
    }

    /// Returns kietop with a list of `tasks` tasks and no API key, so that it sends no requests.
    fn kietop(home: &Path, tasks: usize) -> Self {
        let binary = Path::new(env!("CARGO_BIN_EXE_kietop"));
        let list = home.join(format!("{tasks}.db"));
        fill_list(binary, home, &list, tasks);
        let mut command = command(binary, home);
        command.env("KIETOP_STORE", &list);
        Self {
            command,
            tasks,
            first_text: "kietop",
        }
    }

    fn start(&self) -> Run {
        let size = PtySize {
            cols: 120,
            rows: 40,
            ..PtySize::default()
        };
        let pair = native_pty_system()
            .openpty(size)
            .expect("a pseudo-terminal");
        let raw = pair.master.as_raw_fd().expect("its descriptor");
        let master = FileDescriptor::dup(&raw)
            .and_then(|fd| fd.as_file())
            .expect("a file");
        let started_at = Instant::now();
        let child = pair
            .slave
            .spawn_command(self.command.clone())
            .expect("the program starts");
        drop(pair.slave);
        let mut run = Run {
            master,
            child,
            started_at,
            first_paint: Duration::ZERO,
            output: Vec::new(),
        };
        // The bytes before the frame (modes, title) do not count as paint.
        run.first_paint = run.wait_for_text(self.first_text);
        run
    }
}

fn command(binary: &Path, home: &Path) -> CommandBuilder {
    let mut command = CommandBuilder::new(binary);
    command.env("TERM", "xterm-256color");
    command.env("LANG", "C.UTF-8");
    command.env("HOME", home);
    command.env_remove("KIE_API_KEY");
    command
}

/// Adds tasks with `kietop add`, in batches within its input limit.
fn fill_list(binary: &Path, home: &Path, list: &Path, tasks: usize) {
    let ids = (0..tasks as u128).map(|n| format!("{:032x}", n.wrapping_mul(ID_MULTIPLIER)));
    for batch in ids.collect::<Vec<_>>().chunks(10_000) {
        add_ids(binary, home, list, batch);
    }
}

fn add_ids(binary: &Path, home: &Path, list: &Path, ids: &[String]) {
    let mut child = Command::new(binary)
        .args(["add", "-", "--store"])
        .arg(list)
        .env("HOME", home)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("kietop add starts");
    let mut input = child.stdin.take().expect("its input");
    input.write_all(ids.join("\n").as_bytes()).expect("the ids");
    drop(input);
    assert!(
        child.wait().expect("kietop add exits").success(),
        "the list is filled"
    );
}

/// A running program.
struct Run {
    master: File,
    child: Box<dyn Child + Send + Sync>,
    started_at: Instant,
    first_paint: Duration,
    output: Vec<u8>,
}

impl Run {
    /// Waits until the output contains the text; returns the time since the start.
    fn wait_for_text(&mut self, text: &str) -> Duration {
        let contains_text = |output: &[u8]| {
            output
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        };
        while !contains_text(&self.output) {
            assert!(
                self.read_available(Duration::from_secs(20)) > 0,
                "timed out waiting for {text:?}"
            );
        }
        self.started_at.elapsed()
    }

    /// Reads the available output, waiting up to `limit`; returns the number of bytes.
    fn read_available(&mut self, limit: Duration) -> usize {
        let mut ready = [PollFd::new(&self.master, PollFlags::IN)];
        let limit = Timespec::try_from(limit).expect("a time");
        if poll(&mut ready, Some(&limit)).expect("a poll") == 0 {
            return 0;
        }
        let mut buffer = [0; 16 * 1024];
        let count = self.master.read(&mut buffer).unwrap_or(0);
        self.output.extend(buffer.iter().take(count));
        count
    }

    fn read_until_quiet(&mut self) {
        while self.read_available(QUIET_TIME * 4) > 0 {}
    }

    fn press_key(&mut self, key: u8) {
        self.master.write_all(&[key]).expect("a key");
    }

    /// Sends the keys in a cycle; returns the time from each key to the first byte of output.
    fn measure_keys(&mut self, keys: &[u8]) -> Vec<Duration> {
        keys.iter()
            .copied()
            .cycle()
            .take(KEY_PRESSES)
            .filter_map(|key| {
                while self.read_available(QUIET_TIME) > 0 {}
                let pressed = Instant::now();
                self.press_key(key);
                // A key that does not change the screen, such as j on the last row, draws nothing.
                (self.read_available(QUIET_TIME * 4) > 0).then(|| pressed.elapsed())
            })
            .collect()
    }

    /// Measures CPU time, output and memory of the idle program.
    fn measure_idle(&mut self) -> String {
        let pid = self.child.process_id().unwrap_or_default();
        let (cpu_before, bytes_before) = (cpu_time(pid), self.output.len());
        let deadline = Instant::now() + IDLE_TIME;
        while let Some(left) = deadline.checked_duration_since(Instant::now()) {
            self.read_available(left);
        }
        let cpu_used = cpu_time(pid).saturating_sub(cpu_before);
        format!(
            "cpu {:.2} %, {} bytes/s to the terminal, rss {:.1} MiB",
            cpu_used.as_secs_f64() / IDLE_TIME.as_secs_f64() * 100.0,
            (self.output.len() - bytes_before) as u64 / IDLE_TIME.as_secs(),
            resident_mib(pid),
        )
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Returns the CPU time of all threads so far; zero without `/proc`.
fn cpu_time(pid: u32) -> Duration {
    let nanos = fs::read_dir(format!("/proc/{pid}/task")).map(|threads| {
        let thread_time = |thread: io::Result<fs::DirEntry>| {
            let stat = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
            stat.split(' ').next()?.parse::<u64>().ok()
        };
        threads.filter_map(thread_time).sum()
    });
    Duration::from_nanos(nanos.unwrap_or(0))
}

fn resident_mib(pid: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn format_millis(time: Duration) -> String {
    format!("{:.2}", time.as_secs_f64() * 1000.0)
}

fn format_stats(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let percentile = |percent: usize| {
        times
            .get((times.len().saturating_sub(1)) * percent / 100)
            .copied()
            .unwrap_or_default()
    };
    format!(
        "{} {} {}",
        format_millis(percentile(50)),
        format_millis(percentile(99)),
        format_millis(percentile(100))
    )
}
