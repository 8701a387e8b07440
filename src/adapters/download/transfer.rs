//! One exchange with a file host: the request, the judgement of its answer, and the bytes into the
//! part.
//!
//! Nothing is appended before the answer was accepted. Knows the part, and nothing of tries, fresh
//! links and names.

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
    DownloadLimits,
    allowed_hosts::HostNotAllowed,
    file_names,
    partial_file::{PartialFile, RemoteVersion},
    video_check::{self, HEAD_LEN, LengthCertainty},
};
use crate::{
    adapters::kie::connection,
    domain::{
        download::{DownloadError, TransferProgress},
        poll_result::PollError,
        text::CleanText,
        time::elapsed,
    },
};

/// How often it is told how far a file is.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// Over how long the rate is measured.
const RATE_WINDOW: Duration = Duration::from_secs(3);

/// How often what came is flushed to the disk: so much is lost at most when the power goes.
const SYNC_INTERVAL: Duration = Duration::from_secs(3);

/// How many pieces may wait for the disk; more make the network wait.
const CHUNK_QUEUE_LEN: usize = 4;

/// A last change is a safe mark only when it lies so far before the answer: two within a second
/// look the same.
const MIN_VALIDATOR_AGE: Duration = Duration::from_mins(1);

/// The most redirects followed.
const MAX_REDIRECTS: usize = 5;

/// Access to file hosts: a client without a key, and the rule for links it may follow.
pub(super) struct FileHostClient<'a> {
    pub(super) client: &'a Client,
    pub(super) check_link: &'a (dyn Fn(&Url) -> Result<(), HostNotAllowed> + Send + Sync),
}

/// Says how an exchange ended that did not bring the rest of the file.
#[derive(Debug)]
pub(super) enum FetchError {
    /// The file host refuses the link with this status: 403, 404, 410.
    LinkRefused(u16),
    /// The answer does not continue what is here: to be asked again from the start.
    RangeMismatch,
    /// It failed for good, or for now.
    Failed(DownloadError),
}

impl From<DownloadError> for FetchError {
    fn from(error: DownloadError) -> Self {
        Self::Failed(error)
    }
}

/// Fetches what is missing of a part, or all of it. Returns the part in any case, with what has
/// come.
///
/// Dropped in the middle it leaves the part with what came until then.
pub(super) async fn fetch(
    host: &FileHostClient<'_>,
    url: &Url,
    mut part: PartialFile,
    limits: &DownloadLimits,
    told: &(dyn Fn(TransferProgress) + Send + Sync),
) -> (Option<PartialFile>, Result<LengthCertainty, FetchError>) {
    let link = hash_without_query(url);
    let is_rest = part.is_resumable(&link);
    let response = match send_request(host, url, is_rest.then_some(&part), limits).await {
        Ok(response) => response,
        Err(ended) => return (Some(part), Err(ended)),
    };
    let length = length_certainty(&response);
    match classify_response(&response, link, is_rest.then_some(&part)) {
        Ok(AcceptedBody::Remainder) => {
            part.confirm_result();
            let (part, result) = receive_body(response, part, Vec::new(), limits, told).await;
            (part, result.map(|()| length).map_err(FetchError::Failed))
        }
        Ok(AcceptedBody::Full(source)) => {
            let (part, result) = start_file(response, part, source, limits, told).await;
            (part, result.map(|()| length).map_err(FetchError::Failed))
        }
        Err(ended) => (Some(part), Err(ended)),
    }
}

/// Sends the request, follows redirects, and waits for the response headers.
///
/// Each hop is checked like the first link; an error names the host of the hop that failed.
async fn send_request(
    host: &FileHostClient<'_>,
    url: &Url,
    part: Option<&PartialFile>,
    limits: &DownloadLimits,
) -> Result<Response, FetchError> {
    let refused = |why: &str| DownloadError::NotAllowed(CleanText::line(why, 300));
    let mut url = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let response = send_hop(host.client, &url, part, limits).await?;
        let Some(next) = redirect_url(&response, &url) else {
            return Ok(response);
        };
        (host.check_link)(&next).map_err(|error| refused(&error.to_string()))?;
        url = next;
    }
    Err(refused(&format!("more than {MAX_REDIRECTS} redirects")).into())
}

/// Returns the target of a redirect.
fn redirect_url(response: &Response, from: &Url) -> Option<Url> {
    let target = match response.status().as_u16() {
        301 | 302 | 303 | 307 | 308 => response.headers().get(header::LOCATION)?,
        _ => return None,
    };
    from.join(std::str::from_utf8(target.as_bytes()).ok()?).ok()
}

async fn send_hop(
    client: &Client,
    url: &Url,
    part: Option<&PartialFile>,
    limits: &DownloadLimits,
) -> Result<Response, FetchError> {
    let mut request = client
        .get(url.clone())
        .header(header::ACCEPT, "*/*")
        // A compressed answer has neither the length nor the ranges of the file.
        .header(header::ACCEPT_ENCODING, "identity");
    if let Some((part, validator)) =
        part.and_then(|part| Some((part, part.remote_version().validator()?)))
    {
        request = request
            .header(header::RANGE, format!("bytes={}-", part.offset()))
            .header(header::IF_RANGE, validator);
    }
    match time::timeout(limits.stall_timeout, request.send()).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(FetchError::Failed(request_error(error, url))),
        Err(_elapsed) => Err(FetchError::Failed(DownloadError::NoAnswer(
            PollError::TimedOut,
        ))),
    }
}

/// What an accepted answer brings.
enum AcceptedBody {
    /// The bytes after those that are here.
    Remainder,
    /// The file from its start.
    Full(RemoteVersion),
}

/// Judges the head of an answer. `part` is what was to be continued.
fn classify_response(
    response: &Response,
    link: String,
    part: Option<&PartialFile>,
) -> Result<AcceptedBody, FetchError> {
    if let Some(error) = connection::cloudflare_challenge(response) {
        return Err(DownloadError::NoAnswer(error).into());
    }
    let status = response.status();
    match (status, part) {
        (StatusCode::OK, _) => Ok(AcceptedBody::Full(remote_version_of(response, link))),
        (StatusCode::PARTIAL_CONTENT, Some(part)) if is_continuation(response, part) => {
            Ok(AcceptedBody::Remainder)
        }
        (StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE, Some(_)) => {
            Err(FetchError::RangeMismatch)
        }
        (StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE, _) => {
            Err(FetchError::LinkRefused(status.as_u16()))
        }
        _ => Err(DownloadError::HttpStatus(status.as_u16()).into()),
    }
}

/// Reports whether a partial answer begins where the part ends, is of a file just as long, goes to
/// its end, and says that it is of the same version.
fn is_continuation(response: &Response, part: &PartialFile) -> bool {
    let source = part.remote_version();
    let text = |name| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let Some((first, last, total)) = text(header::CONTENT_RANGE).and_then(parse_content_range)
    else {
        return false;
    };
    // By the mark it was asked for with; an answer without that mark proves nothing.
    let is_same = match (&source.etag, &source.last_modified) {
        (Some(known), _) => text(header::ETAG) == Some(known.as_str()),
        (None, Some(known)) => text(header::LAST_MODIFIED) == Some(known.as_str()),
        (None, None) => false,
    };
    let encodings = text(header::CONTENT_ENCODING).unwrap_or_default();
    let is_sized = response
        .content_length()
        .is_none_or(|length| Some(length) == total.checked_sub(first));
    first == part.offset()
        && source.total_len.is_none_or(|known| known == total)
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
fn parse_content_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.trim().split_once('-')?;
    let number = |text: &str| text.trim().parse().ok();
    Some((number(first)?, number(last)?, number(total)?))
}

/// Returns what an answer tells of its file.
fn remote_version_of(response: &Response, link: String) -> RemoteVersion {
    let text = |name| {
        response
            .headers()
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let etag = text(header::ETAG).filter(|etag| etag.starts_with('"') && etag.len() < 500);
    let modified = text(header::LAST_MODIFIED)
        .filter(|modified| modified.len() < 100)
        .filter(|modified| is_reliable_validator(modified, text(header::DATE)));
    RemoteVersion {
        link_hash: link,
        etag: etag.map(str::to_owned),
        last_modified: modified.map(str::to_owned),
        total_len: response.content_length(),
    }
}

fn is_reliable_validator(modified: &str, date: Option<&str>) -> bool {
    let read = |text| DateTimeParser::new().parse_timestamp(text).ok();
    match (read(modified), date.and_then(read)) {
        (Some(modified), Some(date)) => elapsed(modified, date) >= MIN_VALIDATOR_AGE,
        _ => false,
    }
}

/// Reports whether the answer's end is marked, so that a lost connection is not taken for it.
fn length_certainty(response: &Response) -> LengthCertainty {
    let is_chunked = response.headers().contains_key(header::TRANSFER_ENCODING);
    if response.content_length().is_some() || is_chunked || response.version() >= Version::HTTP_2 {
        LengthCertainty::Known
    } else {
        LengthCertainty::Unknown
    }
}

/// Looks at the first bytes, and begins the part anew only when they are a video's.
async fn start_file(
    mut response: Response,
    mut part: PartialFile,
    source: RemoteVersion,
    limits: &DownloadLimits,
    told: &(dyn Fn(TransferProgress) + Send + Sync),
) -> (Option<PartialFile>, Result<(), DownloadError>) {
    let mut head = Vec::new();
    let mut pace = StallTimer::new(limits);
    while head.len() < HEAD_LEN {
        match pace.next_chunk(&mut response).await {
            Ok(Some(bytes)) => head.extend_from_slice(&bytes),
            Ok(None) => break,
            // What it is, is worth more than that it broke off, once enough is here to tell.
            Err(error) => match video_check::sniff_format(&head) {
                Err(other) if head.len() >= video_check::MIN_SNIFF_LEN => {
                    return (Some(part), Err(other));
                }
                _ => return (Some(part), Err(error)),
            },
        }
    }
    if let Err(error) = video_check::sniff_format(&head) {
        return (Some(part), Err(error));
    }
    let began = task::spawn_blocking(move || {
        let result = part.restart(source);
        (part, result)
    });
    match began.await {
        Ok((part, Ok(()))) => receive_body(response, part, head, limits, told).await,
        Ok((part, Err(error))) => (Some(part), Err(error)),
        Err(_broke) => (None, Err(DownloadError::Panicked)),
    }
}

/// Writes the body behind what is here. Network and disk work at the same time, a few pieces apart.
async fn receive_body(
    mut response: Response,
    part: PartialFile,
    head: Vec<u8>,
    limits: &DownloadLimits,
    told: &(dyn Fn(TransferProgress) + Send + Sync),
) -> (Option<PartialFile>, Result<(), DownloadError>) {
    let total = part.remote_version().total_len;
    let most = match part.max_len(limits) {
        Ok(most) => most,
        Err(error) => return (Some(part), Err(error)),
    };
    let too_large = || {
        if most < limits.max_file_len {
            DownloadError::DiskFull
        } else {
            DownloadError::TooLarge(limits.max_file_len)
        }
    };
    if total.is_some_and(|total| total > most) {
        return (Some(part), Err(too_large()));
    }
    let mut meter = ProgressMeter::new(part.offset(), total);
    let (pieces, received) = mpsc::channel(CHUNK_QUEUE_LEN);
    let writing = task::spawn_blocking(move || write_chunks(part, received));
    let mut pace = StallTimer::new(limits);
    let mut next = (!head.is_empty()).then(|| head.into());
    let result = loop {
        let piece = match next.take() {
            Some(piece) => piece,
            None => match pace.next_chunk(&mut response).await {
                Ok(Some(piece)) => piece,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            },
        };
        meter.add_bytes(piece.len(), told);
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
            meter.report(told);
            (Some(part), result)
        }
        Ok((part, Err(error))) => (Some(part), Err(error)),
        Err(_broke) => (None, Err(DownloadError::Panicked)),
    }
}

/// Writes pieces as they come, and at the end, whatever the end, flushes what came.
fn write_chunks(
    mut part: PartialFile,
    mut received: mpsc::Receiver<bytes::Bytes>,
) -> (PartialFile, Result<(), DownloadError>) {
    let mut synced = Instant::now();
    let mut result = Ok(());
    while let Some(piece) = received.blocking_recv() {
        result = part.append(&piece);
        if result.is_ok() && synced.elapsed() >= SYNC_INTERVAL {
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
struct StallTimer {
    timeout: Duration,
    deadline: Instant,
    received_bytes: u64,
}

/// The least that must come in a second, in bytes.
const MIN_BYTES_PER_SECOND: u64 = 1024;

impl StallTimer {
    fn new(limits: &DownloadLimits) -> Self {
        Self {
            timeout: limits.stall_timeout,
            deadline: Instant::now() + limits.stall_timeout,
            received_bytes: 0,
        }
    }

    /// Returns the next piece of the body; none at its end.
    async fn next_chunk(
        &mut self,
        response: &mut Response,
    ) -> Result<Option<bytes::Bytes>, DownloadError> {
        loop {
            let piece = time::timeout_at(self.deadline, response.chunk()).await;
            let piece = match piece {
                Ok(Ok(piece)) => Some(piece),
                Ok(Err(error)) => {
                    let error = error.without_url();
                    tracing::debug!(error = connection::error_chain(&error), "half a file");
                    return Err(DownloadError::NoAnswer(connection::body_error(error)));
                }
                Err(_elapsed) => None,
            };
            if let Some(Some(piece)) = &piece {
                self.received_bytes += piece.len() as u64;
            }
            if Instant::now() >= self.deadline {
                let least = MIN_BYTES_PER_SECOND.saturating_mul(self.timeout.as_secs().max(1));
                if self.received_bytes < least && !matches!(piece, Some(None)) {
                    return Err(DownloadError::Stalled);
                }
                self.received_bytes = 0;
                self.deadline = Instant::now() + self.timeout;
            }
            if let Some(piece) = piece {
                return Ok(piece);
            }
        }
    }
}

/// Counts bytes and tells how far the file is.
struct ProgressMeter {
    bytes: u64,
    total: Option<u64>,
    reported_at: Option<Instant>,
    window_start: Instant,
    window_start_bytes: u64,
    rate: u64,
}

impl ProgressMeter {
    fn new(bytes: u64, total: Option<u64>) -> Self {
        Self {
            bytes,
            total,
            reported_at: None,
            window_start: Instant::now(),
            window_start_bytes: bytes,
            rate: 0,
        }
    }

    fn add_bytes(&mut self, more: usize, told: &(dyn Fn(TransferProgress) + Send + Sync)) {
        self.bytes += more as u64;
        if self
            .reported_at
            .is_none_or(|at| at.elapsed() >= PROGRESS_INTERVAL)
        {
            self.report(told);
        }
    }

    fn report(&mut self, told: &(dyn Fn(TransferProgress) + Send + Sync)) {
        let spent = self.window_start.elapsed();
        if !spent.is_zero() {
            let came = u128::from(self.bytes - self.window_start_bytes) * 1000;
            let rate = came / spent.as_millis().max(1);
            self.rate = u64::try_from(rate).unwrap_or(u64::MAX);
        }
        if spent >= RATE_WINDOW {
            self.window_start = Instant::now();
            self.window_start_bytes = self.bytes;
        }
        self.reported_at = Some(Instant::now());
        told(TransferProgress {
            bytes: self.bytes,
            total: self.total,
            rate: self.rate,
        });
    }
}

/// Returns what names the file behind a link: all but its query.
fn hash_without_query(url: &Url) -> String {
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    format!("{:016x}", file_names::hash(&[bare.as_str().as_bytes()]))
}

/// Names an error that came before the head of an answer.
fn request_error(error: reqwest::Error, url: &Url) -> DownloadError {
    let error = error.without_url();
    tracing::debug!(
        error = connection::error_chain(&error),
        "no answer from the file host"
    );
    if let Some(not_allowed) = connection::causes(&error).find_map(|cause| cause.downcast_ref()) {
        let HostNotAllowed(why) = not_allowed;
        return DownloadError::NotAllowed(CleanText::line(why, 300));
    }
    if error.is_builder() {
        let why = format!(
            "no request can be made ({})",
            connection::error_chain(&error)
        );
        return DownloadError::NotAllowed(CleanText::line(&why, 300));
    }
    let host = url.host_str().unwrap_or_default();
    DownloadError::NoAnswer(connection::request_error(error, host, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_parsed_exactly() {
        assert_eq!(parse_content_range("bytes 5-9/10"), Some((5, 9, 10)));
        for odd in [
            "bytes 5-9/*",
            "bytes */10",
            "5-9/10",
            "bytes 9/10",
            "bytes -5-9/10",
            "items 5-9/10",
        ] {
            assert_eq!(parse_content_range(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_recent_last_modified_is_not_a_validator() {
        let modified = "Mon, 04 May 2026 14:00:00 GMT";

        assert!(is_reliable_validator(
            modified,
            Some("Mon, 04 May 2026 14:01:00 GMT")
        ));
        assert!(!is_reliable_validator(
            modified,
            Some("Mon, 04 May 2026 14:00:59 GMT")
        ));
        assert!(!is_reliable_validator(
            modified,
            Some("Mon, 04 May 2026 13:00:00 GMT")
        ));
        assert!(!is_reliable_validator(modified, None));
        assert!(!is_reliable_validator("yesterday", Some(modified)));
    }

    #[test]
    fn link_identity_ignores_the_signature() {
        let name = |link: &str| hash_without_query(&Url::parse(link).unwrap());

        assert_eq!(
            name("https://ex.com/v.mp4?sig=1"),
            name("https://ex.com/v.mp4?sig=2#t=1")
        );
        assert_ne!(name("https://ex.com/v.mp4"), name("https://ex.com/w.mp4"));
    }
}
