//! Result videos from a file host to the disk: streamed beside the target, resumed where that is
//! exact, verified, and only then named.
//!
//! The state machine of one file: *planned*, then a *part* that grows (`download/part.rs`), *whole*
//! when every byte is here, *verified* when it is a video from end to end (`download/video.rs`),
//! *final* when it carries its name. It ends elsewhere as *refused* (no video, no public address),
//! *gone* (the file host refuses the link and a fresh one; `domain` decides whether that means "not
//! there yet"), *paused* (dropped or stopped: the part stays) or *failed* (after several tries: the
//! part stays).
//!
//! The client here has no key, sends no referrer and asks for no compression; where it may go is
//! `download/reach.rs`'s.

use std::{
    env, fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use reqwest::{Client, ClientBuilder, redirect::Policy};
use tokio::{
    sync::{OnceCell, Semaphore},
    task, time,
};
use url::Url;

use self::{
    allowed_hosts::{CheckedResolver, ProxyHosts},
    partial_file::PartialFile,
    transfer::FetchError,
    video_check::LengthCertainty,
};
use super::{
    kie::connection::{self, build_http_client},
    proxy,
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

mod allowed_hosts;
mod file_names;
mod partial_file;
mod rename_noreplace;
mod transfer;
mod video_check;

pub use self::allowed_hosts::AllowedHosts;
pub(super) use self::rename_noreplace::rename_without_replacing;

/// Bounds a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DownloadLimits {
    /// How long finding the host, connecting and TLS may take together.
    pub connect_timeout: Duration,
    /// How long less than a thousand bytes a second may come; and how long the head of an answer
    /// may take.
    pub stall_timeout: Duration,
    /// The largest file, in bytes.
    pub max_file_len: u64,
    /// How much room is left on the disk, in bytes.
    pub min_free_space: u64,
    /// How often a file is asked for again that broke off, or was not whole.
    pub max_attempts: u32,
    /// How long the first of those tries waits; each later one twice as long.
    pub first_retry_delay: Duration,
    /// How long another program, or a save just stopped, is given to let go of the part.
    pub lock_timeout: Duration,
}

impl Default for DownloadLimits {
    /// 10 s, 30 s, 8 GiB, 200 MB, five tries from one second on, two seconds.
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

/// Fetches files over HTTP. Making one is free: the client within is built at the first file.
pub struct HttpDownloader {
    allowed_hosts: AllowedHosts,
    proxies: ProxyHosts,
    link_renewer: Arc<dyn LinkRenewer>,
    limits: DownloadLimits,
    client: OnceCell<Client>,
    slots: Semaphore,
}

impl HttpDownloader {
    /// Returns a downloader for that reach, which asks there for fresh links.
    pub fn new(
        reach: AllowedHosts,
        fresh_links: Arc<dyn LinkRenewer>,
        limits: DownloadLimits,
    ) -> Self {
        // Files of an API on this machine never go through a proxy.
        let proxies = match reach {
            AllowedHosts::PublicOnly => ProxyHosts::parse(proxy::https_proxies()),
            AllowedHosts::PublicAndLoopback => ProxyHosts::default(),
        };
        Self {
            allowed_hosts: reach,
            proxies,
            link_renewer: fresh_links,
            limits,
            client: OnceCell::const_new(),
            slots: Semaphore::const_new(MAX_CONCURRENT),
        }
    }

    async fn download_file(
        &self,
        order: &DownloadRequest,
        told: &(dyn Fn(TransferProgress) + Send + Sync),
    ) -> Result<PathBuf, DownloadError> {
        let turn = self.slots.acquire().await;
        let _turn = turn.map_err(|_closed| DownloadError::Stopped)?;
        let url = self.check_link(&order.url)?;
        let mut part = Some(self.open_when_unlocked(order).await?);
        let result = self.fetch_until_complete(order, url, &mut part, told).await;
        if let Some(part) = part
            && (result.is_err() && part.offset() == 0)
        {
            // Nothing came, so nothing is left lying about.
            run_blocking(move || part.discard()).await?;
        }
        result
    }

    /// Fetches until the file is whole and named. The part is left where it was taken from, unless
    /// a task broke.
    async fn fetch_until_complete(
        &self,
        order: &DownloadRequest,
        mut url: Url,
        kept: &mut Option<PartialFile>,
        told: &(dyn Fn(TransferProgress) + Send + Sync),
    ) -> Result<PathBuf, DownloadError> {
        let client = self.client().await?;
        let (mut tries, mut is_fresh, mut is_doubted) =
            (AttemptCounter::new(&self.limits), false, false);
        loop {
            let mut part = kept.take().ok_or(DownloadError::Panicked)?;
            tries.record_offset(&part);
            let ended = if part.is_complete() {
                *kept = Some(part);
                Ok(LengthCertainty::Known)
            } else {
                let host = transfer::FileHostClient {
                    client,
                    check_link: &|url| self.allowed_hosts.check_link(url, &self.proxies),
                };
                let (back, ended) = transfer::fetch(&host, &url, part, &self.limits, told).await;
                *kept = back;
                ended
            };
            part = kept.take().ok_or(DownloadError::Panicked)?;
            match ended {
                Ok(length) => {
                    let (back, named) = run_blocking(move || part.finish(length)).await?;
                    *kept = Some(back);
                    match named {
                        // A proxy may have cut it short: one more try, from the start.
                        Err(DownloadError::Incomplete(_)) if !is_doubted => is_doubted = true,
                        named => return named,
                    }
                }
                Err(FetchError::RangeMismatch) => {
                    let (back, begun) = run_blocking(move || part.reset()).await?;
                    *kept = Some(back);
                    begun?;
                    if tries.record_failure().is_none() {
                        return Err(DownloadError::NoAnswer(PollError::ConnectionLost));
                    }
                }
                Err(FetchError::LinkRefused(status)) => {
                    *kept = Some(part);
                    if is_fresh {
                        return Err(DownloadError::LinkExpired { status, why: None });
                    }
                    is_fresh = true;
                    url = self.renew_checked(order, status).await?;
                }
                Err(FetchError::Failed(error)) => {
                    tries.record_offset(&part);
                    *kept = Some(part);
                    let Some(wait) = tries.record_failure().filter(|_| is_retryable(&error)) else {
                        return Err(error);
                    };
                    tracing::debug!(?error, ?wait, "a file broke off");
                    time::sleep(wait).await;
                }
            }
        }
    }

    /// Opens the part, and waits a little for whoever holds it: a save just stopped writes its last
    /// pieces.
    async fn open_when_unlocked(
        &self,
        order: &DownloadRequest,
    ) -> Result<PartialFile, DownloadError> {
        let until = time::Instant::now() + self.limits.lock_timeout;
        loop {
            let order = order.clone();
            match run_blocking(move || PartialFile::open(&order)).await? {
                Err(DownloadError::Busy) if time::Instant::now() < until => {
                    time::sleep(self.limits.lock_timeout / 20).await;
                }
                opened => return opened,
            }
        }
    }

    /// Asks for a link that lives, in the place of one that was refused.
    async fn renew_checked(
        &self,
        order: &DownloadRequest,
        status: u16,
    ) -> Result<Url, DownloadError> {
        let DownloadRequest { task, url, .. } = order;
        match self.link_renewer.renew_link(task, url).await {
            Ok(fresh) => self.check_link(&fresh),
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

    /// Returns a link in its parts when it may be fetched from.
    fn check_link(&self, url: &VideoUrl) -> Result<Url, DownloadError> {
        let refused = |why: &str| DownloadError::NotAllowed(CleanText::line(why, 300));
        let url = url
            .to_url()
            .ok_or_else(|| refused("the link makes no sense"))?;
        let checked = self.allowed_hosts.check_link(&url, &self.proxies);
        checked.map_err(|error| refused(&error.to_string()))?;
        Ok(url)
    }

    /// Returns the HTTP client, built on the blocking pool when it is needed first.
    async fn client(&self) -> Result<&Client, DownloadError> {
        let built = self.client.get_or_try_init(|| async move {
            let (reach, limits, proxies) = (self.allowed_hosts, self.limits, self.proxies.clone());
            run_blocking(move || build_http_client(|| client_builder(reach, &limits, &proxies)))
                .await?
                .map_err(|error| {
                    let text = format!(
                        "no client could be made ({})",
                        connection::error_chain(&error)
                    );
                    DownloadError::NoAnswer(PollError::Offline(CleanText::line(&text, 300)))
                })
        });
        built.await
    }
}

/// How often a file is asked for at all, for each try in a row that it has: also where every try
/// brings a little.
const TOTAL_ATTEMPTS_FACTOR: u32 = 20;

/// Counts what went wrong with one file.
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

    /// Takes in how far the file is. Only what the next try can go on from is a step ahead.
    fn record_offset(&mut self, part: &PartialFile) {
        if part.offset() > self.max_offset && part.remote_version().validator().is_some() {
            self.max_offset = part.offset();
            self.consecutive = 0;
        }
    }

    /// Counts a failure, and returns how long to wait for the next try; none when there is to be
    /// none.
    fn record_failure(&mut self) -> Option<Duration> {
        let DownloadLimits {
            max_attempts: tries,
            first_retry_delay: wait,
            ..
        } = self.limits;
        self.total += 1;
        self.consecutive += 1;
        let is_over =
            self.consecutive >= tries || self.total >= tries.saturating_mul(TOTAL_ATTEMPTS_FACTOR);
        (!is_over).then(|| wait * 2_u32.saturating_pow(self.consecutive - 1))
    }
}

/// Returns the settings of a client without a key: it fetches files from wherever a server says.
fn client_builder(
    reach: AllowedHosts,
    limits: &DownloadLimits,
    proxies: &ProxyHosts,
) -> ClientBuilder {
    let settings = Client::builder()
        .user_agent(concat!("kietop/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .https_only(reach == AllowedHosts::PublicOnly)
        .dns_resolver(Arc::new(CheckedResolver::new(reach, proxies.clone())))
        .connect_timeout(limits.connect_timeout);
    match reach {
        AllowedHosts::PublicOnly => settings,
        AllowedHosts::PublicAndLoopback => settings.no_proxy(),
    }
}

/// Reports whether a file is there. Waits for the disk.
pub fn file_exists(file: &Path) -> bool {
    file.is_file()
}

/// Reports whether an error may be gone in a moment.
const fn is_retryable(error: &DownloadError) -> bool {
    if let DownloadError::HttpStatus(status) = error {
        return matches!(*status, 408 | 425 | 429 | 500..=599);
    }
    error.is_retryable()
}

/// Does something that waits for the disk, off the loop.
async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, DownloadError> {
    let done = task::spawn_blocking(work).await;
    done.map_err(|_broke| DownloadError::Panicked)
}

impl Downloader for HttpDownloader {
    fn download<'a>(
        &'a self,
        order: &'a DownloadRequest,
        told: &'a (dyn Fn(TransferProgress) + Send + Sync),
    ) -> BoxFuture<'a, Result<PathBuf, DownloadError>> {
        Box::pin(async move {
            let result = self.download_file(order, told).await;
            if let Err(error) = &result {
                tracing::debug!(task = %order.task, ?error, "not saved");
            }
            result
        })
    }

    fn file_exists(&self, file: &Path) -> bool {
        file_exists(file)
    }

    fn is_being_downloaded(&self, order: &DownloadRequest) -> bool {
        partial_file::is_locked(order)
    }
}

impl fmt::Debug for HttpDownloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpDownloader")
            .field("reach", &self.allowed_hosts)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
