//! Memory, CPU time, threads and files of a running process, from `/proc`.

use std::fs;

/// A sample of a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ProcessStats {
    /// Resident memory in KiB.
    pub(crate) rss: u64,
    /// CPU time so far, in milliseconds.
    pub(crate) cpu: u64,
    pub(crate) threads: u64,
    /// Open files; `None` where only root may count them, since the program is not dumpable.
    pub(crate) files: Option<usize>,
}

/// Samples a process; `None` when it has exited, or without `/proc`.
pub(crate) fn process_stats(pid: i32) -> Option<ProcessStats> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    Some(ProcessStats {
        rss: number("VmRSS:").unwrap_or_default(),
        cpu: cpu_ticks(pid)?,
        threads: number("Threads:").unwrap_or_default(),
        files: fs::read_dir(format!("/proc/{pid}/fd"))
            .ok()
            .map(Iterator::count),
    })
}

/// Returns the CPU time so far in milliseconds, in steps of the kernel's clock tick: 10 ms.
pub(crate) fn cpu_ticks(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may contain any character.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut times = rest.split_whitespace().skip(11);
    let mut next = || times.next()?.parse::<u64>().ok();
    Some((next()? + next()?) * 10)
}
