//! One transfer from a file host: the request, the check of its response, and the bytes into the
//! partial file.
//!
//! Nothing is written before the response is accepted. Retries, link renewal and file names are in
//! `download`.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{Client, Response, StatusCode, Version, header};
use tokio::{sync::mpsc, time};
use url::Url;

use super::{
    file_names,
    limits::DownloadLimits,
    partial_file::{RemoteVersion, SharedPartialFile},
    progress::{ProgressMeter, StallTimer},
    video_check::{self, HEAD_LEN, LengthCertainty},
};
use crate::{
    adapters::http::{
        allowed_hosts::{HostNotAllowed, HostRules},
        errors, headers,
    },
    domain::{
        download::{DownloadError, TransferProgress},
        poll_result::PollError,
        text::CleanText,
        time::elapsed,
    },
};

/// How many chunks may wait for the disk before the network waits.
const CHUNK_QUEUE_LEN: usize = 4;

/// The least age of `Last-Modified` at the time of the response. Two changes within one second have
/// the same date, so a recent date is not a safe validator.
const MIN_VALIDATOR_AGE: Duration = Duration::from_mins(1);

const MAX_REDIRECTS: usize = 5;

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

/// The end of a partial file, and the version of the remote file whose rest is requested.
struct ResumePoint {
    offset: u64,
    version: RemoteVersion,
}

/// A transfer of one file. Dropped at any moment, the file keeps the bytes received so far.
pub(super) struct Transfer<'a> {
    /// A client without a key.
    pub(super) client: &'a Client,
    pub(super) host_rules: &'a HostRules,
    pub(super) partial: &'a SharedPartialFile,
    pub(super) limits: &'a DownloadLimits,
    pub(super) on_progress: &'a (dyn Fn(TransferProgress) + Send + Sync),
}

impl Transfer<'_> {
    /// Fetches the missing bytes of the partial file, or all of them.
    pub(super) async fn fetch(&self, url: &Url) -> Result<LengthCertainty, FetchError> {
        let link_hash = hash_without_query(url);
        let resume_point = self.resume_point(&link_hash).await;
        let mut response = self.send_request(url, resume_point.as_ref()).await?;
        // Before the body is read, which reduces its length.
        let version = remote_version_of(&response, link_hash);
        let length = length_certainty(&response);
        let head = if is_remainder(&response, resume_point.as_ref())? {
            self.partial.lock().await.confirm_result();
            Bytes::new()
        } else {
            let head = self.receive_head(&mut response).await?;
            self.partial.run(|partial| partial.restart(version)).await?;
            head
        };
        self.receive_body(response, head).await?;
        Ok(length)
    }

    /// Returns where to resume: for the same link, with a validator to detect changes.
    async fn resume_point(&self, link_hash: &str) -> Option<ResumePoint> {
        let partial = self.partial.lock().await;
        let version = partial.remote_version();
        let is_resumable =
            partial.offset() > 0 && version.link_hash == link_hash && version.validator().is_some();
        is_resumable.then(|| ResumePoint {
            offset: partial.offset(),
            version: version.clone(),
        })
    }

    /// Sends the request, follows redirects, and waits for the response headers.
    ///
    /// Each redirect is checked like the first link; an error names the host that failed.
    async fn send_request(
        &self,
        url: &Url,
        resume_point: Option<&ResumePoint>,
    ) -> Result<Response, DownloadError> {
        let mut url = url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let response = self.send_hop(&url, resume_point).await?;
            let Some(next) = redirect_url(&response, &url) else {
                return Ok(response);
            };
            let checked = self.host_rules.check_link(&next);
            checked.map_err(|HostNotAllowed(reason)| not_allowed(&reason))?;
            url = next;
        }
        Err(not_allowed(&format!("more than {MAX_REDIRECTS} redirects")))
    }

    async fn send_hop(
        &self,
        url: &Url,
        resume_point: Option<&ResumePoint>,
    ) -> Result<Response, DownloadError> {
        let mut request = self
            .client
            .get(url.clone())
            .header(header::ACCEPT, "*/*")
            // A compressed response has neither the length nor the ranges of the file.
            .header(header::ACCEPT_ENCODING, "identity");
        if let Some(ResumePoint { offset, version }) = resume_point {
            request = request
                .header(header::RANGE, format!("bytes={offset}-"))
                .header(header::IF_RANGE, version.validator().unwrap_or_default());
        }
        match time::timeout(self.limits.stall_timeout, request.send()).await {
            Ok(sent) => sent.map_err(|error| request_error(error, url)),
            Err(_elapsed) => Err(DownloadError::NoAnswer(PollError::TimedOut)),
        }
    }

    /// Receives the first bytes and checks that they are a video's.
    async fn receive_head(&self, response: &mut Response) -> Result<Bytes, DownloadError> {
        let mut head = Vec::new();
        let mut stall_timer = StallTimer::new(self.limits);
        let mut interruption = None;
        while head.len() < HEAD_LEN && interruption.is_none() {
            match stall_timer.next_chunk(response).await {
                Ok(Some(bytes)) => head.extend_from_slice(&bytes),
                Ok(None) => break,
                Err(error) => interruption = Some(error),
            }
        }
        match (video_check::sniff_format(&head), interruption) {
            (Ok(_), None) => Ok(head.into()),
            // If enough bytes show that it is not a video, report that instead.
            (Err(not_a_video), Some(_)) if head.len() >= video_check::MIN_SNIFF_LEN => {
                Err(not_a_video)
            }
            (_, Some(error)) | (Err(error), None) => Err(error),
        }
    }

    /// Appends the body to the partial file. Network and disk work concurrently.
    async fn receive_body(&self, mut response: Response, head: Bytes) -> Result<(), DownloadError> {
        let limits = *self.limits;
        let max_len = self
            .partial
            .run(move |partial| partial.max_len(&limits))
            .await?;
        let too_large = || {
            if max_len < limits.max_file_len {
                DownloadError::DiskFull
            } else {
                DownloadError::TooLarge(limits.max_file_len)
            }
        };
        let (offset, total) = {
            let partial = self.partial.lock().await;
            (partial.offset(), partial.remote_version().total_len)
        };
        if total.is_some_and(|total| total > max_len) {
            return Err(too_large());
        }
        let mut meter = ProgressMeter::new(offset, total, self.on_progress);
        let (chunks, received) = mpsc::channel(CHUNK_QUEUE_LEN);
        let writing = self.partial.run(|partial| partial.write_chunks(received));
        let mut stall_timer = StallTimer::new(&limits);
        let mut next = Ok(Some(head));
        let result = loop {
            let chunk = match next {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            };
            if !chunk.is_empty() {
                meter.add_bytes(chunk.len());
                if meter.bytes() > max_len {
                    break Err(too_large());
                }
                // The writer stops early only after an error, which it returns.
                if chunks.send(chunk).await.is_err() {
                    break Ok(());
                }
            }
            next = stall_timer.next_chunk(&mut response).await;
        };
        drop(chunks);
        writing.await?;
        meter.report();
        result
    }
}

/// Returns the target of a redirect.
fn redirect_url(response: &Response, from: &Url) -> Option<Url> {
    let target = match response.status().as_u16() {
        301 | 302 | 303 | 307 | 308 => response.headers().get(header::LOCATION)?,
        _ => return None,
    };
    from.join(std::str::from_utf8(target.as_bytes()).ok()?).ok()
}

/// Accepts or rejects a response by its headers. Returns whether the body is the requested rest of
/// the file, rather than the whole file.
fn is_remainder(
    response: &Response,
    resume_point: Option<&ResumePoint>,
) -> Result<bool, FetchError> {
    if let Some(error) = headers::cloudflare_challenge(response) {
        return Err(DownloadError::NoAnswer(error).into());
    }
    let status = response.status();
    match (status, resume_point) {
        (StatusCode::OK, _) => Ok(false),
        (StatusCode::PARTIAL_CONTENT, Some(point)) if is_continuation(response, point) => Ok(true),
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
fn is_continuation(response: &Response, point: &ResumePoint) -> bool {
    let ResumePoint { offset, version } = point;
    let text = |name| headers::text(response, name);
    let Some((first, last, total)) = text(header::CONTENT_RANGE).and_then(parse_content_range)
    else {
        return false;
    };
    // The validator sent with the request; a response without it proves nothing.
    let validator = match version.etag {
        Some(_) => text(header::ETAG),
        None => text(header::LAST_MODIFIED),
    };
    let encodings = text(header::CONTENT_ENCODING).unwrap_or_default();
    let is_sized = response
        .content_length()
        .is_none_or(|length| Some(length) == total.checked_sub(first));
    first == *offset
        && version.total_len.is_none_or(|known| known == total)
        && last.checked_add(1) == Some(total)
        && validator.is_some()
        && validator == version.validator()
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

/// Hashes a link without query and fragment, which identifies the file behind it.
fn hash_without_query(url: &Url) -> String {
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    format!("{:016x}", file_names::hash(&[bare.as_str().as_bytes()]))
}

/// Returns the error for a link that must not be fetched.
pub(super) fn not_allowed(reason: &str) -> DownloadError {
    DownloadError::NotAllowed(CleanText::line(reason, 300))
}

/// Maps an error that occurred before the response headers.
fn request_error(error: reqwest::Error, url: &Url) -> DownloadError {
    let error = error.without_url();
    if let Some(refused) = errors::causes(&error).find_map(|cause| cause.downcast_ref()) {
        let HostNotAllowed(reason) = refused;
        return not_allowed(reason);
    }
    if error.is_builder() {
        let chain = errors::error_chain(&error);
        return not_allowed(&format!("cannot build the request ({chain})"));
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
