//! An hour with two hundred tasks and a server that lies: what the program takes of the machine,
//! and whether it grows.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a long run fails loudly and measures real time"
)]

use std::fmt;
use std::time::{Duration, Instant};

use crate::hostile_server::{FaultRates, HostileServer};
use crate::output_check::OutputChecker;
use crate::process_stats::{ProcessStats, process_stats};
use crate::random_input::{add_tasks, launch};

/// How many tasks are on the list.
const TASK_COUNT: u32 = 200;

/// How many looks are taken in all; the sixth of the time that warms up is not judged.
const SAMPLE_COUNT: u32 = 120;

/// Growth is only a slope over at least so long.
const MIN_TREND_TIME: Duration = Duration::from_mins(20);

/// How many requests the program may begin in a second (`domain/schedule.rs`).
const MAX_PER_SECOND: usize = 5;

/// How long before the server counts a request it may have been sent: the server shares two cores
/// with the program, and counts when its thread has read the whole head. So what it sees in a span
/// was begun in that span and this much more.
const SERVER_LAG: Duration = Duration::from_secs(1);

/// The spans over which the rate is judged; over the longer one the tolerance hardly counts.
const RATE_WINDOWS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

/// Is what was seen, from the end of the warm-up on.
#[derive(Debug)]
pub(crate) struct SoakStats {
    time: Duration,
    /// At 10, 30 and 60 minutes of an hour.
    samples: [ProcessStats; 3],
    files: Option<(usize, usize)>,
    threads: (u64, u64),
    /// KiB an hour, by least squares.
    rss_slope: f64,
    per_minute: (usize, f64),
    /// The most requests in each of the spans.
    max_within: [usize; 2],
    bytes: usize,
}

impl fmt::Display for SoakStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [tenth, half, whole] = self.samples;
        write!(
            f,
            "{TASK_COUNT} tasks, {} min: RSS {} / {} / {} KiB at 1/6, 1/2, 1 of it, {:+.0} KiB/h; files {:?}; threads {:?}; \
             CPU {} ms; requests/min most {} mean {:.1}, most in 1 s and 10 s {:?}; {} bytes to the terminal",
            self.time.as_secs() / 60,
            tenth.rss,
            half.rss,
            whole.rss,
            self.rss_slope,
            self.files,
            self.threads,
            whole.cpu,
            self.per_minute.0,
            self.per_minute.1,
            self.max_within,
            self.bytes,
        )
    }
}

impl SoakStats {
    /// Fails when the program grows, or asks more often than it may.
    pub(crate) fn assert_limits(&self) {
        assert!(
            self.time < MIN_TREND_TIME || self.rss_slope <= 1024.0,
            "{self}"
        );
        // Two more or fewer than in the middle: connections under way are files too.
        if let Some((least, most)) = self.files {
            assert!(most - least <= 4, "{self}");
        }
        let (least, most) = self.threads;
        // One of the blocking pool for each turn taken at the same time; it goes after ten idle
        // seconds.
        assert!(most - least <= 4, "{self}");
        for (span, seen) in RATE_WINDOWS.into_iter().zip(self.max_within) {
            let seconds = usize::try_from((span + SERVER_LAG).as_secs()).unwrap_or_default();
            assert!(seen <= MAX_PER_SECOND * seconds, "in {span:?}: {self}");
        }
    }
}

/// Watches the program for so long.
pub(crate) fn run_for(program: &str, time: Duration, seed: u64) -> SoakStats {
    let home = tempfile::tempdir().expect("a folder");
    let mix = FaultRates {
        faults: 40,
        completions: 2,
        refusals: 4,
    };
    let mut server = HostileServer::start(mix, seed);
    add_tasks(program, home.path(), TASK_COUNT, "soak");
    let mut pty = launch(program, home.path(), &server.origin(), "soak")
        .size(120, 36)
        .spawn();
    pty.wait_for_text("kietop");

    let mut watch = OutputChecker::default();
    let mut looks = Vec::new();
    let begun = Instant::now();
    for n in 1..=SAMPLE_COUNT {
        let due = time * n / SAMPLE_COUNT;
        while let Some(left) = due
            .checked_sub(begun.elapsed())
            .filter(|left| !left.is_zero())
        {
            pty.read_for(left.min(Duration::from_secs(5)));
            if let Err(what) = watch.check(&pty.take_raw()) {
                panic!("{what}");
            }
        }
        assert_eq!(pty.code(), None, "it ended:\n{}", pty.screen().contents());
        looks.push((begun.elapsed(), process_stats(pty.pid()).expect("/proc")));
    }
    let requests = server.count();
    pty.type_bytes(b"q");
    assert_eq!(pty.wait_for_exit().code, 0);

    let at = |n: usize| looks.get(n - 1).expect("a look").1;
    let warm: Vec<_> = looks.iter().skip(looks.len() / 6).copied().collect();
    let files: Option<Vec<_>> = warm.iter().map(|(_, look)| look.files).collect();
    let range = |numbers: Vec<u64>| {
        let least = numbers.iter().min().copied().unwrap_or_default();
        (least, numbers.iter().max().copied().unwrap_or_default())
    };
    let whole = looks.len();
    SoakStats {
        time,
        samples: [at(whole / 6), at(whole / 2), at(whole)],
        files: files.map(|files| {
            let least = files.iter().min().copied().unwrap_or_default();
            (least, files.iter().max().copied().unwrap_or_default())
        }),
        threads: range(warm.iter().map(|(_, look)| look.threads).collect()),
        rss_slope: memory_slope(&warm),
        per_minute: (
            server.max_per_minute(),
            f64::from(u32::try_from(requests).unwrap_or(u32::MAX)) / (time.as_secs_f64() / 60.0),
        ),
        max_within: RATE_WINDOWS.map(|span| server.max_within(span)),
        bytes: watch.bytes,
    }
}

/// Returns the growth of the memory in KiB an hour, by least squares.
fn memory_slope(looks: &[(Duration, ProcessStats)]) -> f64 {
    let points: Vec<_> = looks
        .iter()
        .map(|(at, look)| {
            let rss = f64::from(u32::try_from(look.rss).unwrap_or(u32::MAX));
            (at.as_secs_f64() / 3600.0, rss)
        })
        .collect();
    let count = f64::from(u32::try_from(points.len()).unwrap_or(u32::MAX)).max(1.0);
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let above: f64 = points
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum();
    let below: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    if below > 0.0 { above / below } else { 0.0 }
}
