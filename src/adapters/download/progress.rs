//! Progress of a transfer: its rate for display, and its end if it stalls.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Response;
use tokio::time::{self, Instant};

use super::limits::DownloadLimits;
use crate::{
    adapters::http::errors,
    domain::download::{DownloadError, TransferProgress},
};

/// How often progress is reported.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// The period over which the rate is measured.
const RATE_WINDOW: Duration = Duration::from_secs(3);

/// The lowest average rate, measured over [`DownloadLimits::stall_timeout`].
const MIN_BYTES_PER_SECOND: u64 = 1024;

/// Receives chunks, and fails when the transfer stalls.
pub(super) struct StallTimer {
    timeout: Duration,
    deadline: Instant,
    received_bytes: u64,
}

impl StallTimer {
    pub(super) fn new(limits: &DownloadLimits) -> Self {
        Self {
            timeout: limits.stall_timeout,
            deadline: Instant::now() + limits.stall_timeout,
            received_bytes: 0,
        }
    }

    /// Returns the next chunk of the body; `None` at its end.
    pub(super) async fn next_chunk(
        &mut self,
        response: &mut Response,
    ) -> Result<Option<Bytes>, DownloadError> {
        loop {
            let chunk = time::timeout_at(self.deadline, response.chunk()).await;
            if let Ok(Ok(Some(chunk))) = &chunk {
                self.received_bytes += chunk.len() as u64;
            }
            let is_end = matches!(chunk, Ok(Ok(None)));
            if Instant::now() >= self.deadline && !is_end {
                let min_bytes = MIN_BYTES_PER_SECOND.saturating_mul(self.timeout.as_secs().max(1));
                if self.received_bytes < min_bytes {
                    return Err(DownloadError::Stalled);
                }
                self.received_bytes = 0;
                self.deadline = Instant::now() + self.timeout;
            }
            if let Ok(chunk) = chunk {
                return chunk.map_err(|error| DownloadError::NoAnswer(errors::body_error(error)));
            }
        }
    }
}

/// Counts bytes, and reports progress and rate.
pub(super) struct ProgressMeter<'a> {
    progress: TransferProgress,
    on_progress: &'a (dyn Fn(TransferProgress) + Send + Sync),
    reported_at: Option<Instant>,
    window_start: Instant,
    window_start_bytes: u64,
}

impl<'a> ProgressMeter<'a> {
    pub(super) fn new(
        bytes: u64,
        total: Option<u64>,
        on_progress: &'a (dyn Fn(TransferProgress) + Send + Sync),
    ) -> Self {
        Self {
            progress: TransferProgress {
                bytes,
                total,
                rate: 0,
            },
            on_progress,
            reported_at: None,
            window_start: Instant::now(),
            window_start_bytes: bytes,
        }
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.progress.bytes
    }

    pub(super) fn add_bytes(&mut self, more: usize) {
        self.progress.bytes += more as u64;
        let is_due = |at: Instant| at.elapsed() >= PROGRESS_INTERVAL;
        if self.reported_at.is_none_or(is_due) {
            self.report();
        }
    }

    pub(super) fn report(&mut self) {
        let duration = self.window_start.elapsed();
        if !duration.is_zero() {
            let millibytes = u128::from(self.bytes() - self.window_start_bytes) * 1000;
            let rate = millibytes / duration.as_millis().max(1);
            self.progress.rate = u64::try_from(rate).unwrap_or(u64::MAX);
        }
        if duration >= RATE_WINDOW {
            self.window_start = Instant::now();
            self.window_start_bytes = self.bytes();
        }
        self.reported_at = Some(Instant::now());
        (self.on_progress)(self.progress);
    }
}
