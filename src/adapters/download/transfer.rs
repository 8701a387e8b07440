//! One exchange with a file host: the request, the judgement of its answer, and the bytes into the part.
//!
//! Nothing is appended before the answer was accepted. Knows the part, and nothing of tries, fresh links and names.

use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::{Client, Response, StatusCode, Version, header};
use tokio::{
    sync::mpsc,
    task,
    time::{self, Instant},
};
use url::Url;

use super::{
    Limits, names,
    part::{Part, Source},
    reach::NotAllowed,
    video::{self, HEAD, Length},
};
use crate::{
    adapters::kie::connection,
    domain::{
        report::PollError,
        save::{Progress, SaveError},
        text::CleanText,
        time::span,
    },
};

/// How often it is told how far a file is.
const TOLD_EVERY: Duration = Duration::from_millis(250);

/// Over how long the rate is measured.
const RATE_OVER: Duration = Duration::from_secs(3);

/// How often what came is flushed to the disk: so much is lost at most when the power goes.
const SYNC_EVERY: Duration = Duration::from_secs(3);

/// How many pieces may wait for the disk; more make the network wait.
const QUEUE: usize = 4;

/// A last change is a safe mark only when it lies so far before the answer: two within a second look the same.
const SETTLED: Duration = Duration::from_mins(1);

/// The most redirects followed.
const MAX_REDIRECTS: usize = 5;

/// Access to file hosts: a client without a key, and the rule for links it may follow.
pub(super) struct FileHost<'a> {
    pub(super) client: &'a Client,
    pub(super) check: &'a (dyn Fn(&Url) -> Result<(), NotAllowed> + Send + Sync),
}

/// Says how an exchange ended that did not bring the rest of the file.
#[derive(Debug)]
pub(super) enum Ended {
    /// The file host refuses the link with this status: 403, 404, 410.
    Refused(u16),
    /// The answer does not continue what is here: to be asked again from the start.
    NotTheRest,
    /// It failed for good, or for now.
    Failed(SaveError),
}

impl From<SaveError> for Ended {
    fn from(error: SaveError) -> Self {
        Self::Failed(error)
    }
}

/// Fetches what is missing of a part, or all of it. Returns the part in any case, with what has come.
///
/// Dropped in the middle it leaves the part with what came until then.
pub(super) async fn fetch(
    host: &FileHost<'_>,
    url: &Url,
    mut part: Part,
    limits: &Limits,
    told: &(dyn Fn(Progress) + Send + Sync),
) -> (Option<Part>, Result<Length, Ended>) {
    let link = link_of(url);
    let is_rest = part.is_resumable(&link);
    let response = match ask(host, url, is_rest.then_some(&part), limits).await {
        Ok(response) => response,
        Err(ended) => return (Some(part), Err(ended)),
    };
    let length = length(&response);
    match accept(&response, link, is_rest.then_some(&part)) {
        Ok(Accepted::Rest) => {
            part.confirm();
            let (part, result) = take_in(response, part, Vec::new(), limits, told).await;
            (part, result.map(|()| length).map_err(Ended::Failed))
        }
        Ok(Accepted::Whole(source)) => {
            let (part, result) = begin(response, part, source, limits, told).await;
            (part, result.map(|()| length).map_err(Ended::Failed))
        }
        Err(ended) => (Some(part), Err(ended)),
    }
}

/// Sends the request, follows redirects, and waits for the response headers.
///
/// Each hop is checked like the first link; an error names the host of the hop that failed.
async fn ask(
    host: &FileHost<'_>,
    url: &Url,
    part: Option<&Part>,
    limits: &Limits,
) -> Result<Response, Ended> {
    let refused = |why: &str| SaveError::NotAllowed(CleanText::line(why, 300));
    let mut url = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let response = send_hop(host.client, &url, part, limits).await?;
        let Some(next) = redirect(&response, &url) else {
            return Ok(response);
        };
        (host.check)(&next).map_err(|error| refused(&error.to_string()))?;
        url = next;
    }
    Err(refused(&format!("more than {MAX_REDIRECTS} redirects")).into())
}

/// Returns the target of a redirect.
fn redirect(response: &Response, from: &Url) -> Option<Url> {
    let target = match response.status().as_u16() {
        301 | 302 | 303 | 307 | 308 => response.headers().get(header::LOCATION)?,
        _ => return None,
    };
    from.join(std::str::from_utf8(target.as_bytes()).ok()?).ok()
}

async fn send_hop(
    client: &Client,
    url: &Url,
    part: Option<&Part>,
    limits: &Limits,
) -> Result<Response, Ended> {
    let mut request = client
        .get(url.clone())
        .header(header::ACCEPT, "*/*")
        // A compressed answer has neither the length nor the ranges of the file.
        .header(header::ACCEPT_ENCODING, "identity");
    if let Some((part, validator)) = part.and_then(|part| Some((part, part.source().validator()?)))
    {
        request = request
            .header(header::RANGE, format!("bytes={}-", part.offset()))
            .header(header::IF_RANGE, validator);
    }
    match time::timeout(limits.stall, request.send()).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(Ended::Failed(named(error, url))),
        Err(_elapsed) => Err(Ended::Failed(SaveError::NoAnswer(PollError::TimedOut))),
    }
}

/// Is what an accepted answer brings.
enum Accepted {
    /// The bytes after those that are here.
    Rest,
    /// The file from its start.
    Whole(Source),
}

/// Judges the head of an answer. `part` is what was to be continued.
fn accept(response: &Response, link: String, part: Option<&Part>) -> Result<Accepted, Ended> {
    if let Some(error) = connection::challenge(response) {
        return Err(SaveError::NoAnswer(error).into());
    }
    let status = response.status();
    match (status, part) {
        (StatusCode::OK, _) => Ok(Accepted::Whole(source(response, link))),
        (StatusCode::PARTIAL_CONTENT, Some(part)) if continues(response, part) => {
            Ok(Accepted::Rest)
        }
        (StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE, Some(_)) => {
            Err(Ended::NotTheRest)
        }
        (StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE, _) => {
            Err(Ended::Refused(status.as_u16()))
        }
        _ => Err(SaveError::Answered(status.as_u16()).into()),
    }
}

/// Reports whether a partial answer begins where the part ends, is of a file just as long, goes to its end, and says
/// that it is of the same version.
fn continues(response: &Response, part: &Part) -> bool {
    let source = part.source();
    let text = |name| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let Some((first, last, total)) = text(header::CONTENT_RANGE).and_then(range) else {
        return false;
    };
    // By the mark it was asked for with; an answer without that mark proves nothing.
    let is_same = match (&source.etag, &source.modified) {
        (Some(known), _) => text(header::ETAG) == Some(known.as_str()),
        (None, Some(known)) => text(header::LAST_MODIFIED) == Some(known.as_str()),
        (None, None) => false,
    };
    let encodings = text(header::CONTENT_ENCODING).unwrap_or_default();
    let is_sized = response
        .content_length()
        .is_none_or(|length| Some(length) == total.checked_sub(first));
    first == part.offset()
        && source.total.is_none_or(|known| known == total)
        && last.checked_add(1) == Some(total)
        && is_same
        && is_sized
        && !encodings.split(',').any(is_compression)
}

/// Reports whether a content coding changes the bytes.
///
/// Only needed in the middle of a file: the start of a file shows it by itself. Object stores
/// repeat whatever the upload said: `aws-chunked`, `identity`, a charset.
fn is_compression(coding: &str) -> bool {
    let coding = coding.trim().to_ascii_lowercase();
    matches!(
        coding.strip_prefix("x-").unwrap_or(&coding),
        "gzip" | "compress" | "deflate" | "br" | "zstd" | "dcb" | "dcz"
    )
}

/// Reads `bytes FIRST-LAST/TOTAL`.
fn range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.trim().split_once('-')?;
    let number = |text: &str| text.trim().parse().ok();
    Some((number(first)?, number(last)?, number(total)?))
}

/// Returns what an answer tells of its file.
fn source(response: &Response, link: String) -> Source {
    let text = |name| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let etag = text(header::ETAG).filter(|etag| etag.starts_with('"') && etag.len() < 500);
    let modified = text(header::LAST_MODIFIED)
        .filter(|modified| modified.len() < 100)
        .filter(|modified| is_settled(modified, text(header::DATE)));
    Source {
        link,
        etag: etag.map(str::to_owned),
        modified: modified.map(str::to_owned),
        total: response.content_length(),
    }
}

fn is_settled(modified: &str, date: Option<&str>) -> bool {
    let read = |text| DateTimeParser::new().parse_timestamp(text).ok();
    match (read(modified), date.and_then(read)) {
        (Some(modified), Some(date)) => span(modified, date) >= SETTLED,
        _ => false,
    }
}

/// Reports whether the answer's end is marked, so that a lost connection is not taken for it.
fn length(response: &Response) -> Length {
    let is_chunked = response.headers().contains_key(header::TRANSFER_ENCODING);
    if response.content_length().is_some() || is_chunked || response.version() >= Version::HTTP_2 {
        Length::Told
    } else {
        Length::Untold
    }
}

/// Looks at the first bytes, and begins the part anew only when they are a video's.
async fn begin(
    mut response: Response,
    mut part: Part,
    source: Source,
    limits: &Limits,
    told: &(dyn Fn(Progress) + Send + Sync),
) -> (Option<Part>, Result<(), SaveError>) {
    let mut head = Vec::new();
    let mut pace = Pace::new(limits);
    while head.len() < HEAD {
        match pace.next(&mut response).await {
            Ok(Some(bytes)) => head.extend_from_slice(&bytes),
            Ok(None) => break,
            // What it is, is worth more than that it broke off, once enough is here to tell.
            Err(error) => match video::kind(&head) {
                Err(other) if head.len() >= video::TELLING => return (Some(part), Err(other)),
                _ => return (Some(part), Err(error)),
            },
        }
    }
    if let Err(error) = video::kind(&head) {
        return (Some(part), Err(error));
    }
    let began = task::spawn_blocking(move || {
        let result = part.begin(source);
        (part, result)
    });
    match began.await {
        Ok((part, Ok(()))) => take_in(response, part, head, limits, told).await,
        Ok((part, Err(error))) => (Some(part), Err(error)),
        Err(_broke) => (None, Err(SaveError::Broke)),
    }
}

/// Writes the body behind what is here. Network and disk work at the same time, a few pieces apart.
async fn take_in(
    mut response: Response,
    part: Part,
    head: Vec<u8>,
    limits: &Limits,
    told: &(dyn Fn(Progress) + Send + Sync),
) -> (Option<Part>, Result<(), SaveError>) {
    let total = part.source().total;
    let most = match part.most(limits) {
        Ok(most) => most,
        Err(error) => return (Some(part), Err(error)),
    };
    let too_large = || {
        if most < limits.largest {
            SaveError::DiskFull
        } else {
            SaveError::TooLarge(limits.largest)
        }
    };
    if total.is_some_and(|total| total > most) {
        return (Some(part), Err(too_large()));
    }
    let mut meter = Meter::new(part.offset(), total);
    let (pieces, received) = mpsc::channel(QUEUE);
    let writing = task::spawn_blocking(move || write(part, received));
    let mut pace = Pace::new(limits);
    let mut next = (!head.is_empty()).then(|| head.into());
    let result = loop {
        let piece = match next.take() {
            Some(piece) => piece,
            None => match pace.next(&mut response).await {
                Ok(Some(piece)) => piece,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            },
        };
        meter.count(piece.len(), told);
        if meter.bytes > most {
            break Err(too_large());
        }
        // The writer ends early only when the disk takes no more; it says so itself.
        if pieces.send(piece).await.is_err() {
            break Ok(());
        }
    };
    drop(pieces);
    match writing.await {
        Ok((part, Ok(()))) => {
            meter.tell(told);
            (Some(part), result)
        }
        Ok((part, Err(error))) => (Some(part), Err(error)),
        Err(_broke) => (None, Err(SaveError::Broke)),
    }
}

/// Writes pieces as they come, and at the end, whatever the end, flushes what came.
fn write(
    mut part: Part,
    mut received: mpsc::Receiver<bytes::Bytes>,
) -> (Part, Result<(), SaveError>) {
    let mut synced = Instant::now();
    let mut result = Ok(());
    while let Some(piece) = received.blocking_recv() {
        result = part.append(&piece);
        if result.is_ok() && synced.elapsed() >= SYNC_EVERY {
            result = part.sync();
            synced = Instant::now();
        }
        if result.is_err() {
            break;
        }
    }
    let flushed = part.sync();
    (part, result.and(flushed))
}

/// Waits for pieces, and not for one that does not come.
struct Pace {
    stall: Duration,
    until: Instant,
    came: u64,
}

/// The least that must come in a second, in bytes.
const LEAST: u64 = 1024;

impl Pace {
    fn new(limits: &Limits) -> Self {
        Self {
            stall: limits.stall,
            until: Instant::now() + limits.stall,
            came: 0,
        }
    }

    /// Returns the next piece of the body; none at its end.
    async fn next(&mut self, response: &mut Response) -> Result<Option<bytes::Bytes>, SaveError> {
        loop {
            let piece = time::timeout_at(self.until, response.chunk()).await;
            let piece = match piece {
                Ok(Ok(piece)) => Some(piece),
                Ok(Err(error)) => {
                    let error = error.without_url();
                    tracing::debug!(error = connection::chain(&error), "half a file");
                    return Err(SaveError::NoAnswer(connection::failed_to_read(error)));
                }
                Err(_elapsed) => None,
            };
            if let Some(Some(piece)) = &piece {
                self.came += piece.len() as u64;
            }
            if Instant::now() >= self.until {
                let least = LEAST.saturating_mul(self.stall.as_secs().max(1));
                if self.came < least && !matches!(piece, Some(None)) {
                    return Err(SaveError::Stalled);
                }
                self.came = 0;
                self.until = Instant::now() + self.stall;
            }
            if let Some(piece) = piece {
                return Ok(piece);
            }
        }
    }
}

/// Counts bytes and tells how far the file is.
struct Meter {
    bytes: u64,
    total: Option<u64>,
    told: Option<Instant>,
    since: Instant,
    since_bytes: u64,
    rate: u64,
}

impl Meter {
    fn new(bytes: u64, total: Option<u64>) -> Self {
        Self {
            bytes,
            total,
            told: None,
            since: Instant::now(),
            since_bytes: bytes,
            rate: 0,
        }
    }

    fn count(&mut self, more: usize, told: &(dyn Fn(Progress) + Send + Sync)) {
        self.bytes += more as u64;
        if self.told.is_none_or(|at| at.elapsed() >= TOLD_EVERY) {
            self.tell(told);
        }
    }

    fn tell(&mut self, told: &(dyn Fn(Progress) + Send + Sync)) {
        let spent = self.since.elapsed();
        if !spent.is_zero() {
            let came = u128::from(self.bytes - self.since_bytes) * 1000;
            let rate = came / spent.as_millis().max(1);
            self.rate = u64::try_from(rate).unwrap_or(u64::MAX);
        }
        if spent >= RATE_OVER {
            self.since = Instant::now();
            self.since_bytes = self.bytes;
        }
        self.told = Some(Instant::now());
        told(Progress {
            bytes: self.bytes,
            total: self.total,
            rate: self.rate,
        });
    }
}

/// Returns what names the file behind a link: all but its query.
fn link_of(url: &Url) -> String {
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    format!("{:016x}", names::hash(&[bare.as_str().as_bytes()]))
}

/// Names an error that came before the head of an answer.
fn named(error: reqwest::Error, url: &Url) -> SaveError {
    let error = error.without_url();
    tracing::debug!(
        error = connection::chain(&error),
        "no answer from the file host"
    );
    if let Some(not_allowed) = connection::causes(&error).find_map(|cause| cause.downcast_ref()) {
        let NotAllowed(why) = not_allowed;
        return SaveError::NotAllowed(CleanText::line(why, 300));
    }
    if error.is_builder() {
        let why = format!("no request can be made ({})", connection::chain(&error));
        return SaveError::NotAllowed(CleanText::line(&why, 300));
    }
    let host = url.host_str().unwrap_or_default();
    SaveError::NoAnswer(connection::failed_to_ask(error, host, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_exactly() {
        assert_eq!(range("bytes 5-9/10"), Some((5, 9, 10)));
        for odd in [
            "bytes 5-9/*",
            "bytes */10",
            "5-9/10",
            "bytes 9/10",
            "bytes -5-9/10",
            "items 5-9/10",
        ] {
            assert_eq!(range(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_change_just_before_the_answer_is_no_safe_mark() {
        let modified = "Mon, 04 May 2026 14:00:00 GMT";

        assert!(is_settled(modified, Some("Mon, 04 May 2026 14:01:00 GMT")));
        assert!(!is_settled(modified, Some("Mon, 04 May 2026 14:00:59 GMT")));
        assert!(!is_settled(modified, Some("Mon, 04 May 2026 13:00:00 GMT")));
        assert!(!is_settled(modified, None));
        assert!(!is_settled("yesterday", Some(modified)));
    }

    #[test]
    fn a_signature_is_no_part_of_a_link_s_name() {
        let name = |link: &str| link_of(&Url::parse(link).unwrap());

        assert_eq!(
            name("https://ex.com/v.mp4?sig=1"),
            name("https://ex.com/v.mp4?sig=2#t=1")
        );
        assert_ne!(name("https://ex.com/v.mp4"), name("https://ex.com/w.mp4"));
    }
}
