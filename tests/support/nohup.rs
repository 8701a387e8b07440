//! Detects whether the tests run under `nohup`: child processes inherit the ignored SIGHUP.

use std::fs;

use rustix::process::Signal;

/// Reports whether this process ignores a signal; `false` where there is no `/proc`.
pub(crate) fn is_ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.map_or(0, |mask| u64::from_str_radix(mask.trim(), 16).unwrap());
    mask >> (signal.as_raw() - 1) & 1 == 1
}
