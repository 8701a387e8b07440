//! Downloads of result videos: streamed to a partial file, resumed if that is exact, verified, and
//! only then renamed to the final name.
//!
//! The bytes go to a partial file (`partial_file`). When all are received, it is verified as an
//! intact video (`video_check`) and renamed. Other outcomes: not allowed (not a video, not a public
//! address), link expired (the file host refuses the old and the renewed link; `domain` decides
//! whether the file is only not ready yet), stopped, or failed after several attempts. In the last
//! two cases the partial file stays.
//!
//! The HTTP client here has no key, sends no referrer and requests no compression. `allowed_hosts`
//! decides which hosts it may connect to.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use reqwest::{Client, ClientBuilder};
use tokio::{sync::Semaphore, task, time};
use url::Url;

use self::{
    allowed_hosts::{CheckedResolver, ProxyHosts},
    partial_file::PartialFile,
    transfer::FetchError,
    video_check::LengthCertainty,
};
use super::http::{self, LazyClient, errors, proxy};
use crate::{
    domain::{
        download::{DownloadError, DownloadRequest, MAX_CONCURRENT, TransferProgress},
        link::VideoUrl,
        poll_result::PollError,
        text::CleanText,
    },
    ports::{BoxFuture, Downloader, LinkRenewer},
};

mod allowed_hosts;
mod file_names;
mod partial_file;
mod rename_noreplace;
mod transfer;
mod video_check;

pub use self::allowed_hosts::AllowedHosts;
pub(super) use self::rename_noreplace::rename_without_replacing;

/// Limits on one download.
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

/// The downloader. Creating one is cheap: the HTTP client inside is built for the first file.
pub struct HttpDownloader {
    allowed_hosts: AllowedHosts,
    proxies: ProxyHosts,
    link_renewer: Arc<dyn LinkRenewer>,
    limits: DownloadLimits,
    client: LazyClient,
    slots: Semaphore,
}

impl HttpDownloader {
    pub fn new(
        allowed_hosts: AllowedHosts,
        link_renewer: Arc<dyn LinkRenewer>,
        limits: DownloadLimits,
    ) -> Self {
        // Files of an API on this machine never use a proxy.
        let proxies = match allowed_hosts {
            AllowedHosts::PublicOnly => ProxyHosts::parse(proxy::https_proxies()),
            AllowedHosts::PublicAndLoopback => ProxyHosts::default(),
        };
        let hosts = proxies.clone();
        let client_settings = move || client_settings(allowed_hosts, &limits, &hosts);
        Self {
            allowed_hosts,
            proxies,
            link_renewer,
            limits,
            client: LazyClient::new(client_settings),
            slots: Semaphore::const_new(MAX_CONCURRENT),
        }
    }

    async fn download_file(
        &self,
        request: &DownloadRequest,
        on_progress: &(dyn Fn(TransferProgress) + Send + Sync),
    ) -> Result<PathBuf, DownloadError> {
        let slot = self.slots.acquire().await;
        let _slot = slot.map_err(|_closed| DownloadError::Stopped)?;
        let url = self.check_link(&request.url)?;
        let mut partial = Some(self.open_when_unlocked(request).await?);
        let result = self
            .fetch_until_complete(request, url, &mut partial, on_progress)
            .await;
        if let Some(partial) = partial
            && (result.is_err() && partial.offset() == 0)
        {
            // Nothing was received, so leave no empty file.
            run_blocking(move || partial.discard()).await?;
        }
        result
    }

    /// Fetches until the file is complete and has its final name. Returns the partial file in
    /// `kept`, unless a task panicked.
    async fn fetch_until_complete(
        &self,
        request: &DownloadRequest,
        mut url: Url,
        kept: &mut Option<PartialFile>,
        on_progress: &(dyn Fn(TransferProgress) + Send + Sync),
    ) -> Result<PathBuf, DownloadError> {
        let client = self.client().await?;
        let mut attempts = AttemptCounter::new(&self.limits);
        let (mut is_renewed, mut was_incomplete) = (false, false);
        loop {
            let mut partial = kept.take().ok_or(DownloadError::Panicked)?;
            attempts.record_offset(&partial);
            let result = if partial.is_complete() {
                *kept = Some(partial);
                Ok(LengthCertainty::Known)
            } else {
                let host = transfer::FileHostClient {
                    client,
                    check_link: &|url| self.allowed_hosts.check_link(url, &self.proxies),
                };
                let (returned, result) =
                    transfer::fetch(&host, &url, partial, &self.limits, on_progress).await;
                *kept = returned;
                result
            };
            partial = kept.take().ok_or(DownloadError::Panicked)?;
            match result {
                Ok(length) => {
                    let (returned, result) = run_blocking(move || partial.finish(length)).await?;
                    *kept = Some(returned);
                    match result {
                        // A proxy may have truncated it: one more attempt, from the start.
                        Err(DownloadError::Incomplete(_)) if !was_incomplete => {
                            was_incomplete = true;
                        }
                        result => return result,
                    }
                }
                Err(FetchError::RangeMismatch) => {
                    let (returned, result) = run_blocking(move || partial.reset()).await?;
                    *kept = Some(returned);
                    result?;
                    if attempts.record_failure().is_none() {
                        return Err(DownloadError::NoAnswer(PollError::ConnectionLost));
                    }
                }
                Err(FetchError::LinkRefused(status)) => {
                    *kept = Some(partial);
                    if is_renewed {
                        return Err(DownloadError::LinkExpired { status, why: None });
                    }
                    is_renewed = true;
                    url = self.renew_checked(request, status).await?;
                }
                Err(FetchError::Failed(error)) => {
                    attempts.record_offset(&partial);
                    *kept = Some(partial);
                    let Some(wait) = attempts.record_failure().filter(|_| is_retryable(&error))
                    else {
                        return Err(error);
                    };
                    tracing::debug!(?error, ?wait, "download interrupted");
                    time::sleep(wait).await;
                }
            }
        }
    }

    /// Opens the partial file; waits a little while it is locked, because a download just stopped
    /// still writes its last chunks.
    async fn open_when_unlocked(
        &self,
        request: &DownloadRequest,
    ) -> Result<PartialFile, DownloadError> {
        let deadline = time::Instant::now() + self.limits.lock_timeout;
        loop {
            let request = request.clone();
            match run_blocking(move || PartialFile::open(&request)).await? {
                Err(DownloadError::Busy) if time::Instant::now() < deadline => {
                    time::sleep(self.limits.lock_timeout / 20).await;
                }
                result => return result,
            }
        }
    }

    /// Requests a new link in place of a refused one, and checks it.
    async fn renew_checked(
        &self,
        request: &DownloadRequest,
        status: u16,
    ) -> Result<Url, DownloadError> {
        let DownloadRequest { task, url, .. } = request;
        match self.link_renewer.renew_link(task, url).await {
            Ok(link) => self.check_link(&link),
            Err(PollError::NotFound) => Err(DownloadError::LinkExpired { status, why: None }),
            Err(PollError::Rejected { message, .. }) => Err(DownloadError::LinkExpired {
                status,
                why: Some(message),
            }),
            Err(
                error @ (PollError::NoKey
                | PollError::KeyUnreadable(_)
                | PollError::Unauthorized(_)),
            ) => {
                let why = Some(CleanText::line(&error.message(), 200));
                Err(DownloadError::LinkExpired { status, why })
            }
            Err(error) => Err(DownloadError::RenewalFailed { status, error }),
        }
    }

    /// Parses a link and checks that it may be fetched.
    fn check_link(&self, url: &VideoUrl) -> Result<Url, DownloadError> {
        let refused = |reason: &str| DownloadError::NotAllowed(CleanText::line(reason, 300));
        let url = url.to_url().ok_or_else(|| refused("the link is invalid"))?;
        let checked = self.allowed_hosts.check_link(&url, &self.proxies);
        checked.map_err(|error| refused(&error.to_string()))?;
        Ok(url)
    }

    async fn client(&self) -> Result<&Client, DownloadError> {
        self.client.get().await.map_err(|error| {
            let chain = errors::error_chain(&error);
            let text = format!("cannot create the HTTP client ({chain})");
            DownloadError::NoAnswer(PollError::Offline(CleanText::line(&text, 300)))
        })
    }
}

/// All attempts of a file, as a multiple of [`DownloadLimits::max_attempts`]. Limits downloads in
/// which every attempt makes a little progress.
const TOTAL_ATTEMPTS_FACTOR: u32 = 20;

/// Counts the failed attempts of one file.
#[derive(Debug)]
struct AttemptCounter {
    limits: DownloadLimits,
    total: u32,
    consecutive: u32,
    max_offset: u64,
}

impl AttemptCounter {
    const fn new(limits: &DownloadLimits) -> Self {
        Self {
            limits: *limits,
            total: 0,
            consecutive: 0,
            max_offset: 0,
        }
    }

    /// Records progress. Only bytes from which the next attempt can resume count.
    fn record_offset(&mut self, partial: &PartialFile) {
        if partial.offset() > self.max_offset && partial.remote_version().validator().is_some() {
            self.max_offset = partial.offset();
            self.consecutive = 0;
        }
    }

    /// Counts a failure and returns the wait before the next attempt; `None` to give up.
    fn record_failure(&mut self) -> Option<Duration> {
        let DownloadLimits {
            max_attempts,
            first_retry_delay,
            ..
        } = self.limits;
        self.total += 1;
        self.consecutive += 1;
        let may_retry = self.consecutive < max_attempts
            && self.total < max_attempts.saturating_mul(TOTAL_ATTEMPTS_FACTOR);
        may_retry.then(|| first_retry_delay * 2_u32.saturating_pow(self.consecutive - 1))
    }
}

/// Returns the settings of the client for file hosts, which has no key.
fn client_settings(
    allowed_hosts: AllowedHosts,
    limits: &DownloadLimits,
    proxies: &ProxyHosts,
) -> ClientBuilder {
    let resolver = CheckedResolver::new(allowed_hosts, proxies.clone());
    let settings = http::client_settings()
        .https_only(allowed_hosts == AllowedHosts::PublicOnly)
        .dns_resolver(Arc::new(resolver))
        .connect_timeout(limits.connect_timeout);
    match allowed_hosts {
        AllowedHosts::PublicOnly => settings,
        AllowedHosts::PublicAndLoopback => settings.no_proxy(),
    }
}

/// Reports whether a file exists. Blocking.
pub fn file_exists(file: &Path) -> bool {
    file.is_file()
}

/// Reports whether another attempt may succeed.
const fn is_retryable(error: &DownloadError) -> bool {
    if let DownloadError::HttpStatus(status) = error {
        return matches!(*status, 408 | 425 | 429 | 500..=599);
    }
    error.is_retryable()
}

/// Runs blocking work on the blocking pool.
async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, DownloadError> {
    let result = task::spawn_blocking(work).await;
    result.map_err(|_panicked| DownloadError::Panicked)
}

impl Downloader for HttpDownloader {
    fn download<'a>(
        &'a self,
        request: &'a DownloadRequest,
        on_progress: &'a (dyn Fn(TransferProgress) + Send + Sync),
    ) -> BoxFuture<'a, Result<PathBuf, DownloadError>> {
        Box::pin(async move {
            let result = self.download_file(request, on_progress).await;
            if let Err(error) = &result {
                tracing::debug!(task = %request.task, ?error, "download failed");
            }
            result
        })
    }

    fn file_exists(&self, file: &Path) -> bool {
        file_exists(file)
    }

    fn is_being_downloaded(&self, request: &DownloadRequest) -> bool {
        partial_file::is_locked(request)
    }
}

impl fmt::Debug for HttpDownloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpDownloader")
            .field("allowed_hosts", &self.allowed_hosts)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
