//! A soak test: two hundred tasks and a hostile server for an hour. It measures memory, files,
//! threads and CPU time, and whether they grow.

use std::fmt;
use std::time::{Duration, Instant};

use crate::support::hostile_server::{FaultRates, HostileServer};
use crate::support::output_check::OutputChecker;
use crate::support::process_stats::{ProcessStats, process_stats};
use crate::support::pty::add_tasks;
use crate::support::random_input::launch;

const TASK_COUNT: usize = 200;

/// The number of samples; the first sixth is the warm-up and is not judged.
const SAMPLE_COUNT: u32 = 120;

/// Shorter runs give no meaningful growth rate.
const MIN_TREND_TIME: Duration = Duration::from_mins(20);

/// The program's limit of requests per second (`domain/schedule.rs`).
const MAX_PER_SECOND: usize = 5;

/// The longest time between the start of a request and its count by the server, which may share two
/// cores with the program and counts a request when its head was read. So the requests counted
/// within a window were started within that window plus this time.
const SERVER_LAG: Duration = Duration::from_secs(1);

/// The windows over which the rate is judged; in the longer one the lag hardly matters.
const RATE_WINDOWS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

/// The measurements after the warm-up.
#[derive(Debug)]
pub(crate) struct SoakStats {
    time: Duration,
    /// At 1/6, 1/2 and the end of the run.
    samples: [ProcessStats; 3],
    files: Option<(usize, usize)>,
    threads: (u64, u64),
    /// In KiB per hour, by least squares.
    rss_slope: f64,
    per_minute: (usize, f64),
    /// The maximum number of requests within each of the [`RATE_WINDOWS`].
    max_within: [usize; 2],
    bytes: usize,
}

impl fmt::Display for SoakStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [early, middle, last] = self.samples;
        write!(
            f,
            "{TASK_COUNT} tasks, {} min: RSS {} / {} / {} KiB at 1/6, 1/2 and the end, {:+.0} KiB/h; files {:?}; threads {:?}; \
             CPU {} ms; requests/min max {} mean {:.1}, max in 1 s and 10 s {:?}; {} bytes to the terminal",
            self.time.as_secs() / 60,
            early.rss,
            middle.rss,
            last.rss,
            self.rss_slope,
            self.files,
            self.threads,
            last.cpu,
            self.per_minute.0,
            self.per_minute.1,
            self.max_within,
            self.bytes,
        )
    }
}

impl SoakStats {
    /// Fails when the program grows or exceeds its request rate.
    pub(crate) fn assert_limits(&self) {
        assert!(
            self.time < MIN_TREND_TIME || self.rss_slope <= 1024.0,
            "{self}"
        );
        // Two more or fewer than average, since open connections are files too.
        if let Some((min, max)) = self.files {
            assert!(max - min <= 4, "{self}");
        }
        let (min, max) = self.threads;
        // The blocking pool has a thread for each permit that is acquired at the same time; it
        // exits after ten idle seconds.
        assert!(max - min <= 4, "{self}");
        for (window, requests) in RATE_WINDOWS.into_iter().zip(self.max_within) {
            let seconds = usize::try_from((window + SERVER_LAG).as_secs()).unwrap_or_default();
            assert!(
                requests <= MAX_PER_SECOND * seconds,
                "in {window:?}: {self}"
            );
        }
    }
}

/// Runs and samples the program for the given time.
pub(crate) fn run_for(time: Duration, seed: u64) -> SoakStats {
    let home = tempfile::tempdir().expect("a folder");
    let rates = FaultRates {
        faults: 40,
        completions: 2,
        refusals: 4,
    };
    let mut server = HostileServer::start(rates, seed);
    add_tasks(home.path(), TASK_COUNT);
    let mut pty = launch(home.path(), &server.origin(), "soak")
        .size(120, 36)
        .spawn();
    pty.wait_for_text("kietop");

    let mut checker = OutputChecker::default();
    let mut samples = Vec::new();
    let started = Instant::now();
    for n in 1..=SAMPLE_COUNT {
        let due = time * n / SAMPLE_COUNT;
        while let Some(left) = due
            .checked_sub(started.elapsed())
            .filter(|left| !left.is_zero())
        {
            pty.read_for(left.min(Duration::from_secs(5)));
            if let Err(what) = checker.check(&pty.take_raw()) {
                panic!("{what}");
            }
        }
        assert_eq!(pty.code(), None, "it exited:\n{}", pty.screen().contents());
        samples.push((started.elapsed(), process_stats(pty.pid()).expect("/proc")));
    }
    let requests = server.count();
    pty.quit();

    let sample = |n: usize| samples.get(n - 1).expect("a sample").1;
    let warm: Vec<_> = samples.iter().skip(samples.len() / 6).copied().collect();
    let files: Option<Vec<_>> = warm.iter().map(|(_, stats)| stats.files).collect();
    let count = samples.len();
    SoakStats {
        time,
        samples: [sample(count / 6), sample(count / 2), sample(count)],
        files: files.map(range),
        threads: range(warm.iter().map(|(_, stats)| stats.threads).collect()),
        rss_slope: memory_slope(&warm),
        per_minute: (
            server.max_per_minute(),
            f64::from(u32::try_from(requests).unwrap_or(u32::MAX)) / (time.as_secs_f64() / 60.0),
        ),
        max_within: RATE_WINDOWS.map(|span| server.max_within(span)),
        bytes: checker.bytes,
    }
}

/// Returns the minimum and maximum.
fn range<T: Ord + Copy + Default>(numbers: Vec<T>) -> (T, T) {
    let min = numbers.iter().min().copied().unwrap_or_default();
    (min, numbers.into_iter().max().unwrap_or_default())
}

/// Returns the growth of memory in KiB per hour, by least squares.
fn memory_slope(samples: &[(Duration, ProcessStats)]) -> f64 {
    let points: Vec<_> = samples
        .iter()
        .map(|(at, stats)| {
            let rss = f64::from(u32::try_from(stats.rss).unwrap_or(u32::MAX));
            (at.as_secs_f64() / 3600.0, rss)
        })
        .collect();
    let count = f64::from(u32::try_from(points.len()).unwrap_or(u32::MAX)).max(1.0);
    let mean_x = points.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = points.iter().map(|(_, y)| y).sum::<f64>() / count;
    let covariance: f64 = points
        .iter()
        .map(|(x, y)| (x - mean_x) * (y - mean_y))
        .sum();
    let variance: f64 = points.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    if variance > 0.0 {
        covariance / variance
    } else {
        0.0
    }
}
