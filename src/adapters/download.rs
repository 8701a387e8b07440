//! Result videos from a file host to the disk: streamed beside the target, resumed where that is exact, verified, and only
//! then named.
//!
//! The state machine of one file: *planned*, then a *part* that grows (`download/part.rs`), *whole* when every byte
//! is here, *verified* when it is a video from end to end (`download/video.rs`), *final* when it carries its name. It
//! ends elsewhere as *refused* (no video, no public address), *gone* (the file host refuses the
//! link and a fresh one; `domain` decides whether that means "not there yet"), *paused* (dropped or
//! stopped: the part stays) or *failed* (after several tries: the part stays).
//!
//! The client here has no key, sends no referrer and asks for no compression; where it may go is `download/reach.rs`'s.

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
    part::Part,
    reach::{Lookup, ProxyHosts},
    transfer::Ended,
    video::Length,
};
use super::{
    kie::connection::{self, http_client},
    proxy,
};
use crate::{
    domain::{
        link::VideoUrl,
        report::PollError,
        save::{MOST_AT_ONCE, Progress, SaveError, SaveOrder},
        text::CleanText,
    },
    ports::{Downloader, FreshLinks, Pending},
};

mod claim;
mod names;
mod part;
mod reach;
mod transfer;
mod video;

pub(super) use self::claim::rename_new;
pub use self::reach::Reach;

/// Bounds a save.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long finding the host, connecting and TLS may take together.
    pub connect: Duration,
    /// How long less than a thousand bytes a second may come; and how long the head of an answer may take.
    pub stall: Duration,
    /// The largest file, in bytes.
    pub largest: u64,
    /// How much room is left on the disk, in bytes.
    pub spare: u64,
    /// How often a file is asked for again that broke off, or was not whole.
    pub tries: u32,
    /// How long the first of those tries waits; each later one twice as long.
    pub wait: Duration,
    /// How long another program, or a save just stopped, is given to let go of the part.
    pub patience: Duration,
}

impl Default for Limits {
    /// 10 s, 30 s, 8 GiB, 200 MB, five tries from one second on, two seconds.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            stall: Duration::from_secs(30),
            largest: 8 << 30,
            spare: 200_000_000,
            tries: 5,
            wait: Duration::from_secs(1),
            patience: Duration::from_secs(2),
        }
    }
}

/// Fetches files over HTTP. Making one is free: the client within is built at the first file.
pub struct HttpDownloader {
    reach: Reach,
    proxies: ProxyHosts,
    fresh_links: Arc<dyn FreshLinks>,
    limits: Limits,
    client: OnceCell<Client>,
    turns: Semaphore,
}

impl HttpDownloader {
    /// Returns a downloader for that reach, which asks there for fresh links.
    pub fn new(reach: Reach, fresh_links: Arc<dyn FreshLinks>, limits: Limits) -> Self {
        // Files of an API on this machine never go through a proxy.
        let proxies = match reach {
            Reach::Public => ProxyHosts::parse(proxy::for_https()),
            Reach::ThisMachine => ProxyHosts::default(),
        };
        Self {
            reach,
            proxies,
            fresh_links,
            limits,
            client: OnceCell::const_new(),
            turns: Semaphore::const_new(MOST_AT_ONCE),
        }
    }

    async fn fetch(
        &self,
        order: &SaveOrder,
        told: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<PathBuf, SaveError> {
        let turn = self.turns.acquire().await;
        let _turn = turn.map_err(|_closed| SaveError::Stopped)?;
        let url = self.checked(&order.url)?;
        let mut part = Some(self.open(order).await?);
        let result = self.bring(order, url, &mut part, told).await;
        if let Some(part) = part
            && (result.is_err() && part.offset() == 0)
        {
            // Nothing came, so nothing is left lying about.
            blocking(move || part.discard()).await?;
        }
        result
    }

    /// Fetches until the file is whole and named. The part is left where it was taken from, unless a task broke.
    async fn bring(
        &self,
        order: &SaveOrder,
        mut url: Url,
        kept: &mut Option<Part>,
        told: &(dyn Fn(Progress) + Send + Sync),
    ) -> Result<PathBuf, SaveError> {
        let client = self.client().await?;
        let (mut tries, mut is_fresh, mut is_doubted) = (Tries::new(&self.limits), false, false);
        loop {
            let mut part = kept.take().ok_or(SaveError::Broke)?;
            tries.reached(&part);
            let ended = if part.is_whole() {
                *kept = Some(part);
                Ok(Length::Told)
            } else {
                let host = transfer::FileHost {
                    client,
                    check: &|url| self.reach.check(url, &self.proxies),
                };
                let (back, ended) = transfer::fetch(&host, &url, part, &self.limits, told).await;
                *kept = back;
                ended
            };
            part = kept.take().ok_or(SaveError::Broke)?;
            match ended {
                Ok(length) => {
                    let (back, named) = blocking(move || part.finish(length)).await?;
                    *kept = Some(back);
                    match named {
                        // A proxy may have cut it short: one more try, from the start.
                        Err(SaveError::NotWhole(_)) if !is_doubted => is_doubted = true,
                        named => return named,
                    }
                }
                Err(Ended::NotTheRest) => {
                    let (back, begun) = blocking(move || part.forget()).await?;
                    *kept = Some(back);
                    begun?;
                    if tries.failed().is_none() {
                        return Err(SaveError::NoAnswer(PollError::CutOff));
                    }
                }
                Err(Ended::Refused(status)) => {
                    *kept = Some(part);
                    if is_fresh {
                        return Err(SaveError::LinkGone { status, why: None });
                    }
                    is_fresh = true;
                    url = self.fresh(order, status).await?;
                }
                Err(Ended::Failed(error)) => {
                    tries.reached(&part);
                    *kept = Some(part);
                    let Some(wait) = tries.failed().filter(|_| is_worth_a_try(&error)) else {
                        return Err(error);
                    };
                    tracing::debug!(?error, ?wait, "a file broke off");
                    time::sleep(wait).await;
                }
            }
        }
    }

    /// Opens the part, and waits a little for whoever holds it: a save just stopped writes its last pieces.
    async fn open(&self, order: &SaveOrder) -> Result<Part, SaveError> {
        let until = time::Instant::now() + self.limits.patience;
        loop {
            let order = order.clone();
            match blocking(move || Part::open(&order)).await? {
                Err(SaveError::Busy) if time::Instant::now() < until => {
                    time::sleep(self.limits.patience / 20).await;
                }
                opened => return opened,
            }
        }
    }

    /// Asks for a link that lives, in the place of one that was refused.
    async fn fresh(&self, order: &SaveOrder, status: u16) -> Result<Url, SaveError> {
        let SaveOrder { task, url, .. } = order;
        match self.fresh_links.fresh_link(task, url).await {
            Ok(fresh) => self.checked(&fresh),
            Err(PollError::NotFound) => Err(SaveError::LinkGone { status, why: None }),
            Err(PollError::Refused { message, .. }) => Err(SaveError::LinkGone {
                status,
                why: Some(message),
            }),
            Err(
                error @ (PollError::NoKey | PollError::KeyUnread(_) | PollError::Unauthorized(_)),
            ) => {
                let why = Some(CleanText::line(&error.message(), 200));
                Err(SaveError::LinkGone { status, why })
            }
            Err(error) => Err(SaveError::Refused { status, error }),
        }
    }

    /// Returns a link in its parts when it may be fetched from.
    fn checked(&self, url: &VideoUrl) -> Result<Url, SaveError> {
        let refused = |why: &str| SaveError::NotAllowed(CleanText::line(why, 300));
        let url = url
            .to_url()
            .ok_or_else(|| refused("the link makes no sense"))?;
        let checked = self.reach.check(&url, &self.proxies);
        checked.map_err(|error| refused(&error.to_string()))?;
        Ok(url)
    }

    /// Returns the HTTP client, built on the blocking pool when it is needed first.
    async fn client(&self) -> Result<&Client, SaveError> {
        let built = self.client.get_or_try_init(|| async move {
            let (reach, limits, proxies) = (self.reach, self.limits, self.proxies.clone());
            blocking(move || http_client(|| settings(reach, &limits, &proxies)))
                .await?
                .map_err(|error| {
                    let text = format!("no client could be made ({})", connection::chain(&error));
                    SaveError::NoAnswer(PollError::Offline(CleanText::line(&text, 300)))
                })
        });
        built.await
    }
}

/// How often a file is asked for at all, for each try in a row that it has: also where every try brings a little.
const TRIES_IN_ALL: u32 = 20;

/// Counts what went wrong with one file.
#[derive(Debug)]
struct Tries {
    limits: Limits,
    in_all: u32,
    in_a_row: u32,
    furthest: u64,
}

impl Tries {
    const fn new(limits: &Limits) -> Self {
        Self {
            limits: *limits,
            in_all: 0,
            in_a_row: 0,
            furthest: 0,
        }
    }

    /// Takes in how far the file is. Only what the next try can go on from is a step ahead.
    fn reached(&mut self, part: &Part) {
        if part.offset() > self.furthest && part.source().validator().is_some() {
            self.furthest = part.offset();
            self.in_a_row = 0;
        }
    }

    /// Counts a failure, and returns how long to wait for the next try; none when there is to be none.
    fn failed(&mut self) -> Option<Duration> {
        let Limits { tries, wait, .. } = self.limits;
        self.in_all += 1;
        self.in_a_row += 1;
        let is_over = self.in_a_row >= tries || self.in_all >= tries.saturating_mul(TRIES_IN_ALL);
        (!is_over).then(|| wait * 2_u32.saturating_pow(self.in_a_row - 1))
    }
}

/// Returns the settings of a client without a key: it fetches files from wherever a server says.
fn settings(reach: Reach, limits: &Limits, proxies: &ProxyHosts) -> ClientBuilder {
    let settings = Client::builder()
        .user_agent(concat!("kietop/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .retry(reqwest::retry::never())
        .https_only(reach == Reach::Public)
        .dns_resolver(Arc::new(Lookup::new(reach, proxies.clone())))
        .connect_timeout(limits.connect);
    match reach {
        Reach::Public => settings,
        Reach::ThisMachine => settings.no_proxy(),
    }
}

/// Reports whether a file is there. Waits for the disk.
pub fn is_there(file: &Path) -> bool {
    file.is_file()
}

/// Reports whether an error may be gone in a moment.
const fn is_worth_a_try(error: &SaveError) -> bool {
    if let SaveError::Answered(status) = error {
        return matches!(*status, 408 | 425 | 429 | 500..=599);
    }
    error.is_retried()
}

/// Does something that waits for the disk, off the loop.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, SaveError> {
    let done = task::spawn_blocking(work).await;
    done.map_err(|_broke| SaveError::Broke)
}

impl Downloader for HttpDownloader {
    fn save<'a>(
        &'a self,
        order: &'a SaveOrder,
        told: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> Pending<'a, Result<PathBuf, SaveError>> {
        Box::pin(async move {
            let result = self.fetch(order, told).await;
            if let Err(error) = &result {
                tracing::debug!(task = %order.task, ?error, "not saved");
            }
            result
        })
    }

    fn is_there(&self, file: &Path) -> bool {
        is_there(file)
    }

    fn is_held(&self, order: &SaveOrder) -> bool {
        part::is_held(order)
    }
}

impl fmt::Debug for HttpDownloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpDownloader")
            .field("reach", &self.reach)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
