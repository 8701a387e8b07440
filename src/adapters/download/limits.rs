//! Limits on one download.

use std::time::Duration;

/// Limits on one download: timeouts, sizes and attempts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadLimits {
    /// For DNS, TCP and TLS together.
    pub connect_timeout: Duration,
    /// How long the rate may stay below 1 KiB/s; also the time for the response headers.
    pub stall_timeout: Duration,
    /// In bytes.
    pub max_file_len: u64,
    /// Disk space that stays free, in bytes.
    pub min_free_space: u64,
    /// The most attempts in a row without progress.
    pub max_attempts: u32,
    /// The wait before the first retry; doubled for each later one.
    pub first_retry_delay: Duration,
    /// How long to wait until another program, or a download just stopped, unlocks the file.
    pub lock_timeout: Duration,
}

impl Default for DownloadLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            stall_timeout: Duration::from_secs(30),
            max_file_len: 8 << 30,
            min_free_space: 200_000_000,
            max_attempts: 5,
            first_retry_delay: Duration::from_secs(1),
            lock_timeout: Duration::from_secs(2),
        }
    }
}
