//! One transfer from a file host: the request, the check of its response, and the bytes into the
//! partial file.
//!
//! Nothing is written before the response is accepted. Retries, link renewal and file names are in
//! `download`.

use std::time::Duration;

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
    adapters::http::{errors, headers},
    domain::{
        download::{DownloadError, TransferProgress},
        poll_result::PollError,
        text::CleanText,
        time::elapsed,
    },
};

/// How often progress is reported.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(250);

/// The period over which the rate is measured.
const RATE_WINDOW: Duration = Duration::from_secs(3);

/// How often the file is synced: a power cut loses at most the bytes of this period.
const SYNC_INTERVAL: Duration = Duration::from_secs(3);

/// How many chunks may wait for the disk before the network waits.
const CHUNK_QUEUE_LEN: usize = 4;

/// The least age of `Last-Modified` at the time of the response. Two changes within one second have
/// the same date, so a recent date is not a safe validator.
const MIN_VALIDATOR_AGE: Duration = Duration::from_mins(1);

const MAX_REDIRECTS: usize = 5;

/// Access to file hosts: a client without a key, and the rule for links it may follow.
pub(super) struct FileHostClient<'a> {
    pub(super) client: &'a Client,
    pub(super) check_link: &'a (dyn Fn(&Url) -> Result<(), HostNotAllowed> + Send + Sync),
}

/// The reason why a transfer did not complete the file.
#[derive(Debug)]
pub(super) enum FetchError {
    /// Status 403, 404 or 410 from the file host.
    LinkRefused(u16),
    /// The response does not continue the partial file: restart from the beginning.
    RangeMismatch,
    Failed(DownloadError),
}

impl From<DownloadError> for FetchError {
    fn from(error: DownloadError) -> Self {
        Self::Failed(error)
    }
}

/// Fetches the missing bytes of a partial file, or all of them. Returns the file, except after a
/// panic of the writing task.
///
/// If the future is dropped, the file keeps the bytes received so far.
pub(super) async fn fetch(
    host: &FileHostClient<'_>,
    url: &Url,
    mut partial: PartialFile,
    limits: &DownloadLimits,
    on_progress: &(dyn Fn(TransferProgress) + Send + Sync),
) -> (Option<PartialFile>, Result<LengthCertainty, FetchError>) {
    let link_hash = hash_without_query(url);
    let is_resumed = partial.is_resumable(&link_hash);
    let response = match send_request(host, url, is_resumed.then_some(&partial), limits).await {
        Ok(response) => response,
        Err(error) => return (Some(partial), Err(error)),
    };
    let length = length_certainty(&response);
    match classify_response(&response, link_hash, is_resumed.then_some(&partial)) {
        Ok(AcceptedBody::Remainder) => {
            partial.confirm_result();
            let (partial, result) =
                receive_body(response, partial, Vec::new(), limits, on_progress).await;
            (partial, result.map(|()| length).map_err(FetchError::Failed))
        }
        Ok(AcceptedBody::Full(version)) => {
            let (partial, result) =
                start_file(response, partial, version, limits, on_progress).await;
            (partial, result.map(|()| length).map_err(FetchError::Failed))
        }
        Err(error) => (Some(partial), Err(error)),
    }
}

/// Sends the request, follows redirects, and waits for the response headers.
///
/// Each redirect is checked like the first link; an error names the host that failed.
async fn send_request(
    host: &FileHostClient<'_>,
    url: &Url,
    partial: Option<&PartialFile>,
    limits: &DownloadLimits,
) -> Result<Response, FetchError> {
    let refused = |reason: &str| DownloadError::NotAllowed(CleanText::line(reason, 300));
    let mut url = url.clone();
    for _ in 0..=MAX_REDIRECTS {
        let response = send_hop(host.client, &url, partial, limits).await?;
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
    partial: Option<&PartialFile>,
    limits: &DownloadLimits,
) -> Result<Response, FetchError> {
    let mut request = client
        .get(url.clone())
        .header(header::ACCEPT, "*/*")
        // A compressed response has neither the length nor the ranges of the file.
        .header(header::ACCEPT_ENCODING, "identity");
    if let Some((partial, validator)) =
        partial.and_then(|partial| Some((partial, partial.remote_version().validator()?)))
    {
        request = request
            .header(header::RANGE, format!("bytes={}-", partial.offset()))
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

/// The body of an accepted response.
enum AcceptedBody {
    /// The bytes after the partial file.
    Remainder,
    /// The file from its beginning.
    Full(RemoteVersion),
}

/// Accepts or rejects a response by its headers. `partial` is the file to resume, if any.
fn classify_response(
    response: &Response,
    link_hash: String,
    partial: Option<&PartialFile>,
) -> Result<AcceptedBody, FetchError> {
    if let Some(error) = headers::cloudflare_challenge(response) {
        return Err(DownloadError::NoAnswer(error).into());
    }
    let status = response.status();
    match (status, partial) {
        (StatusCode::OK, _) => Ok(AcceptedBody::Full(remote_version_of(response, link_hash))),
        (StatusCode::PARTIAL_CONTENT, Some(partial)) if is_continuation(response, partial) => {
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

/// Reports whether a partial response starts where the partial file ends, continues to the end of a
/// file of the same length, and has the same validator.
fn is_continuation(response: &Response, partial: &PartialFile) -> bool {
    let version = partial.remote_version();
    let text = |name| headers::text(response, name);
    let Some((first, last, total)) = text(header::CONTENT_RANGE).and_then(parse_content_range)
    else {
        return false;
    };
    // The validator sent with the request; a response without it proves nothing.
    let is_same = match (&version.etag, &version.last_modified) {
        (Some(known), _) => text(header::ETAG) == Some(known.as_str()),
        (None, Some(known)) => text(header::LAST_MODIFIED) == Some(known.as_str()),
        (None, None) => false,
    };
    let encodings = text(header::CONTENT_ENCODING).unwrap_or_default();
    let is_sized = response
        .content_length()
        .is_none_or(|length| Some(length) == total.checked_sub(first));
    first == partial.offset()
        && version.total_len.is_none_or(|known| known == total)
        && last.checked_add(1) == Some(total)
        && is_same
        && is_sized
        && !encodings.split(',').any(is_compression)
}

/// Reports whether a content coding changes the bytes.
///
/// Checked for resumed files only: at the start of a file, its first bytes show it. Object stores
/// repeat the coding of the upload: `aws-chunked`, `identity`, a charset.
fn is_compression(coding: &str) -> bool {
    let coding = coding.trim().to_ascii_lowercase();
    matches!(
        coding.strip_prefix("x-").unwrap_or(&coding),
        "gzip" | "compress" | "deflate" | "br" | "zstd" | "dcb" | "dcz"
    )
}

/// Parses `bytes FIRST-LAST/TOTAL`.
fn parse_content_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, total) = text.trim().strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.trim().split_once('-')?;
    let number = |text: &str| text.trim().parse().ok();
    Some((number(first)?, number(last)?, number(total)?))
}

fn remote_version_of(response: &Response, link_hash: String) -> RemoteVersion {
    let text = |name| headers::text(response, name);
    let etag = text(header::ETAG).filter(|etag| etag.starts_with('"') && etag.len() < 500);
    let modified = text(header::LAST_MODIFIED)
        .filter(|modified| modified.len() < 100)
        .filter(|modified| is_reliable_validator(modified, text(header::DATE)));
    RemoteVersion {
        link_hash,
        etag: etag.map(str::to_owned),
        last_modified: modified.map(str::to_owned),
        total_len: response.content_length(),
    }
}

fn is_reliable_validator(modified: &str, date: Option<&str>) -> bool {
    match (
        headers::parse_date(modified),
        date.and_then(headers::parse_date),
    ) {
        (Some(modified), Some(date)) => elapsed(modified, date) >= MIN_VALIDATOR_AGE,
        _ => false,
    }
}

/// Returns whether a lost connection can be distinguished from the end of the response.
fn length_certainty(response: &Response) -> LengthCertainty {
    let is_chunked = response.headers().contains_key(header::TRANSFER_ENCODING);
    if response.content_length().is_some() || is_chunked || response.version() >= Version::HTTP_2 {
        LengthCertainty::Known
    } else {
        LengthCertainty::Unknown
    }
}

/// Checks that the first bytes are a video's, then restarts the partial file with them.
async fn start_file(
    mut response: Response,
    mut partial: PartialFile,
    version: RemoteVersion,
    limits: &DownloadLimits,
    on_progress: &(dyn Fn(TransferProgress) + Send + Sync),
) -> (Option<PartialFile>, Result<(), DownloadError>) {
    let mut head = Vec::new();
    let mut stall_timer = StallTimer::new(limits);
    while head.len() < HEAD_LEN {
        match stall_timer.next_chunk(&mut response).await {
            Ok(Some(bytes)) => head.extend_from_slice(&bytes),
            Ok(None) => break,
            // If enough bytes show that it is not a video, report that instead of the interruption.
            Err(error) => match video_check::sniff_format(&head) {
                Err(not_a_video) if head.len() >= video_check::MIN_SNIFF_LEN => {
                    return (Some(partial), Err(not_a_video));
                }
                _ => return (Some(partial), Err(error)),
            },
        }
    }
    if let Err(error) = video_check::sniff_format(&head) {
        return (Some(partial), Err(error));
    }
    let restarted = task::spawn_blocking(move || {
        let result = partial.restart(version);
        (partial, result)
    });
    match restarted.await {
        Ok((partial, Ok(()))) => receive_body(response, partial, head, limits, on_progress).await,
        Ok((partial, Err(error))) => (Some(partial), Err(error)),
        Err(_panicked) => (None, Err(DownloadError::Panicked)),
    }
}

/// Appends the body to the partial file. Network and disk work concurrently.
async fn receive_body(
    mut response: Response,
    partial: PartialFile,
    head: Vec<u8>,
    limits: &DownloadLimits,
    on_progress: &(dyn Fn(TransferProgress) + Send + Sync),
) -> (Option<PartialFile>, Result<(), DownloadError>) {
    let total = partial.remote_version().total_len;
    let max_len = match partial.max_len(limits) {
        Ok(max_len) => max_len,
        Err(error) => return (Some(partial), Err(error)),
    };
    let too_large = || {
        if max_len < limits.max_file_len {
            DownloadError::DiskFull
        } else {
            DownloadError::TooLarge(limits.max_file_len)
        }
    };
    if total.is_some_and(|total| total > max_len) {
        return (Some(partial), Err(too_large()));
    }
    let mut meter = ProgressMeter::new(partial.offset(), total);
    let (chunks, received) = mpsc::channel(CHUNK_QUEUE_LEN);
    let writing = task::spawn_blocking(move || write_chunks(partial, received));
    let mut stall_timer = StallTimer::new(limits);
    let mut next = (!head.is_empty()).then(|| head.into());
    let result = loop {
        let chunk = match next.take() {
            Some(chunk) => chunk,
            None => match stall_timer.next_chunk(&mut response).await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            },
        };
        meter.add_bytes(chunk.len(), on_progress);
        if meter.bytes > max_len {
            break Err(too_large());
        }
        // The writer stops early only after an error, which it returns.
        if chunks.send(chunk).await.is_err() {
            break Ok(());
        }
    };
    drop(chunks);
    match writing.await {
        Ok((partial, Ok(()))) => {
            meter.report(on_progress);
            (Some(partial), result)
        }
        Ok((partial, Err(error))) => (Some(partial), Err(error)),
        Err(_panicked) => (None, Err(DownloadError::Panicked)),
    }
}

/// Writes chunks as they arrive; syncs at the end, also after an error.
fn write_chunks(
    mut partial: PartialFile,
    mut received: mpsc::Receiver<bytes::Bytes>,
) -> (PartialFile, Result<(), DownloadError>) {
    let mut synced_at = Instant::now();
    let mut result = Ok(());
    while let Some(chunk) = received.blocking_recv() {
        result = partial.append(&chunk);
        if result.is_ok() && synced_at.elapsed() >= SYNC_INTERVAL {
            result = partial.sync();
            synced_at = Instant::now();
        }
        if result.is_err() {
            break;
        }
    }
    let synced = partial.sync();
    (partial, result.and(synced))
}

/// Receives chunks, and fails when the transfer stalls.
struct StallTimer {
    timeout: Duration,
    deadline: Instant,
    received_bytes: u64,
}

/// The lowest average rate, measured over [`DownloadLimits::stall_timeout`].
const MIN_BYTES_PER_SECOND: u64 = 1024;

impl StallTimer {
    fn new(limits: &DownloadLimits) -> Self {
        Self {
            timeout: limits.stall_timeout,
            deadline: Instant::now() + limits.stall_timeout,
            received_bytes: 0,
        }
    }

    /// Returns the next chunk of the body; `None` at its end.
    async fn next_chunk(
        &mut self,
        response: &mut Response,
    ) -> Result<Option<bytes::Bytes>, DownloadError> {
        loop {
            let chunk = time::timeout_at(self.deadline, response.chunk()).await;
            let chunk = match chunk {
                Ok(Ok(chunk)) => Some(chunk),
                Ok(Err(error)) => return Err(DownloadError::NoAnswer(errors::body_error(error))),
                Err(_elapsed) => None,
            };
            if let Some(Some(chunk)) = &chunk {
                self.received_bytes += chunk.len() as u64;
            }
            if Instant::now() >= self.deadline {
                let min_bytes = MIN_BYTES_PER_SECOND.saturating_mul(self.timeout.as_secs().max(1));
                if self.received_bytes < min_bytes && !matches!(chunk, Some(None)) {
                    return Err(DownloadError::Stalled);
                }
                self.received_bytes = 0;
                self.deadline = Instant::now() + self.timeout;
            }
            if let Some(chunk) = chunk {
                return Ok(chunk);
            }
        }
    }
}

/// Counts bytes, and reports progress and rate.
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

    fn add_bytes(&mut self, more: usize, on_progress: &(dyn Fn(TransferProgress) + Send + Sync)) {
        self.bytes += more as u64;
        if self
            .reported_at
            .is_none_or(|at| at.elapsed() >= PROGRESS_INTERVAL)
        {
            self.report(on_progress);
        }
    }

    fn report(&mut self, on_progress: &(dyn Fn(TransferProgress) + Send + Sync)) {
        let duration = self.window_start.elapsed();
        if !duration.is_zero() {
            let millibytes = u128::from(self.bytes - self.window_start_bytes) * 1000;
            let rate = millibytes / duration.as_millis().max(1);
            self.rate = u64::try_from(rate).unwrap_or(u64::MAX);
        }
        if duration >= RATE_WINDOW {
            self.window_start = Instant::now();
            self.window_start_bytes = self.bytes;
        }
        self.reported_at = Some(Instant::now());
        on_progress(TransferProgress {
            bytes: self.bytes,
            total: self.total,
            rate: self.rate,
        });
    }
}

/// Hashes a link without query and fragment, which identifies the file behind it.
fn hash_without_query(url: &Url) -> String {
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    format!("{:016x}", file_names::hash(&[bare.as_str().as_bytes()]))
}

/// Maps an error that occurred before the response headers.
fn request_error(error: reqwest::Error, url: &Url) -> DownloadError {
    let error = error.without_url();
    if let Some(not_allowed) = errors::causes(&error).find_map(|cause| cause.downcast_ref()) {
        let HostNotAllowed(reason) = not_allowed;
        return DownloadError::NotAllowed(CleanText::line(reason, 300));
    }
    if error.is_builder() {
        let reason = format!("cannot build the request ({})", errors::error_chain(&error));
        return DownloadError::NotAllowed(CleanText::line(&reason, 300));
    }
    let host = url.host_str().unwrap_or_default();
    DownloadError::NoAnswer(errors::request_error(error, host, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_parsed_exactly() {
        assert_eq!(parse_content_range("bytes 5-9/10"), Some((5, 9, 10)));
        for invalid in [
            "bytes 5-9/*",
            "bytes */10",
            "5-9/10",
            "bytes 9/10",
            "bytes -5-9/10",
            "items 5-9/10",
        ] {
            assert_eq!(parse_content_range(invalid), None, "{invalid}");
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
