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

use reqwest::Client;
use tokio::{sync::Semaphore, time};
use url::Url;

use self::{
    partial_file::{PartialFile, RemoteVersion, SharedPartialFile, run_blocking},
    transfer::{FetchError, Transfer, not_allowed},
    video_check::LengthCertainty,
};
use super::http::{
    self, LazyClient,
    allowed_hosts::{AllowedHosts, HostNotAllowed, HostRules},
    errors, proxy,
};
use crate::{
    domain::{
        download::{DownloadError, DownloadRequest, MAX_CONCURRENT, TransferProgress},
        link::VideoUrl,
        poll_result::PollError,
        text::CleanText,
    },
    ports::{BoxFuture, Downloader, LinkRenewer},
};

mod file_names;
mod limits;
mod partial_file;
mod progress;
mod transfer;
mod video_check;

pub use self::limits::DownloadLimits;

/// All attempts of a file, as a multiple of [`DownloadLimits::max_attempts`]. Limits downloads in
/// which every attempt makes a little progress.
const TOTAL_ATTEMPTS_FACTOR: u32 = 20;

/// The downloader. Creating one is cheap: the HTTP client inside is built for the first file.
pub struct HttpDownloader {
    host_rules: HostRules,
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
        let uses_proxy = allowed_hosts == AllowedHosts::PublicOnly;
        let proxies = uses_proxy.then(proxy::https_proxies).into_iter().flatten();
        let host_rules = HostRules::new(allowed_hosts, proxies);
        let resolver = Arc::new(host_rules.clone());
        let client = LazyClient::new(move || {
            let settings = http::client_settings()
                .https_only(uses_proxy)
                .dns_resolver(Arc::clone(&resolver))
                .connect_timeout(limits.connect_timeout);
            if uses_proxy {
                settings
            } else {
                settings.no_proxy()
            }
        });
        Self {
            host_rules,
            link_renewer,
            limits,
            client,
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
        let client = self.client().await?;
        let (to_open, lock_timeout) = (request.clone(), self.limits.lock_timeout);
        let partial = run_blocking(move || PartialFile::open(&to_open, lock_timeout)).await?;
        let partial = SharedPartialFile::new(partial);
        let transfer = Transfer {
            client,
            host_rules: &self.host_rules,
            partial: &partial,
            limits: &self.limits,
            on_progress,
        };
        let result = self.fetch_until_complete(request, url, &transfer).await;
        if result.is_err() && partial.lock().await.offset() == 0 {
            // Nothing was received, so leave no empty file.
            let discard = |partial: &mut PartialFile| {
                partial.discard();
                Ok(())
            };
            partial.run(discard).await?;
        }
        result
    }

    /// Fetches until the file is complete and has its final name.
    async fn fetch_until_complete(
        &self,
        request: &DownloadRequest,
        mut url: Url,
        transfer: &Transfer<'_>,
    ) -> Result<PathBuf, DownloadError> {
        let partial = transfer.partial;
        let mut attempts = AttemptCounter::new(&self.limits);
        let (mut is_renewed, mut was_incomplete) = (false, false);
        loop {
            attempts.record_offset(&*partial.lock().await);
            let is_complete = partial.lock().await.is_complete();
            let fetched = if is_complete {
                Ok(LengthCertainty::Known)
            } else {
                transfer.fetch(&url).await
            };
            let error = match fetched {
                Ok(length) => match partial.run(move |partial| partial.finish(length)).await {
                    // A proxy may have truncated it: one more attempt, from the start.
                    Err(DownloadError::Incomplete(_)) if !was_incomplete => {
                        was_incomplete = true;
                        continue;
                    }
                    result => return result,
                },
                Err(FetchError::LinkRefused(status)) if is_renewed => {
                    return Err(DownloadError::LinkExpired { status, why: None });
                }
                Err(FetchError::LinkRefused(status)) => {
                    is_renewed = true;
                    url = self.renew_checked(request, status).await?;
                    continue;
                }
                Err(FetchError::RangeMismatch) => {
                    let version = RemoteVersion::default();
                    partial.run(|partial| partial.restart(version)).await?;
                    DownloadError::NoAnswer(PollError::ConnectionLost)
                }
                Err(FetchError::Failed(error)) => error,
            };
            attempts.record_offset(&*partial.lock().await);
            let Some(wait) = attempts.record_failure().filter(|_| is_retryable(&error)) else {
                return Err(error);
            };
            tracing::debug!(?error, ?wait, "download interrupted");
            time::sleep(wait).await;
        }
    }

    /// Requests a new link in place of a refused one, and checks it.
    async fn renew_checked(
        &self,
        request: &DownloadRequest,
        status: u16,
    ) -> Result<Url, DownloadError> {
        let DownloadRequest { task, url, .. } = request;
        let why = match self.link_renewer.renew_link(task, url).await {
            Ok(link) => return self.check_link(&link),
            Err(PollError::NotFound) => None,
            Err(PollError::Rejected { message, .. }) => Some(message),
            Err(
                error @ (PollError::NoKey
                | PollError::KeyUnreadable(_)
                | PollError::Unauthorized(_)),
            ) => Some(CleanText::line(&error.message(), 200)),
            Err(error) => return Err(DownloadError::RenewalFailed { status, error }),
        };
        Err(DownloadError::LinkExpired { status, why })
    }

    /// Parses a link and checks that it may be fetched.
    fn check_link(&self, url: &VideoUrl) -> Result<Url, DownloadError> {
        let url = url
            .to_url()
            .ok_or_else(|| not_allowed("the link is invalid"))?;
        let checked = self.host_rules.check_link(&url);
        checked.map_err(|HostNotAllowed(reason)| not_allowed(&reason))?;
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

/// Reports whether another attempt may succeed.
const fn is_retryable(error: &DownloadError) -> bool {
    if let DownloadError::HttpStatus(status) = error {
        return matches!(*status, 408 | 425 | 429 | 500..=599);
    }
    error.is_retryable()
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
        file.is_file()
    }

    fn is_being_downloaded(&self, request: &DownloadRequest) -> bool {
        partial_file::is_locked(request)
    }
}

impl fmt::Debug for HttpDownloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpDownloader")
            .field("host_rules", &self.host_rules)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
