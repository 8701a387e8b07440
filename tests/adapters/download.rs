//! Downloads from file hosts that misbehave: a file with a final name is always complete and
//! correct.
//!
//! Every fault runs three times, each cut at another point. Each run checks the whole folder.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use kietop::{
    adapters::{
        download::{DownloadLimits, HttpDownloader},
        http::allowed_hosts::AllowedHosts,
    },
    domain::{
        download::{DownloadError, DownloadRequest, TransferProgress},
        link::VideoUrl,
        poll_result::PollError,
        task::TaskId,
        text::CleanText,
    },
    ports::{BoxFuture, Downloader as _, LinkRenewer},
};
use tempfile::TempDir;

use crate::support::raw_server::{RawServer, Step};

const VIDEO: &[u8] = include_bytes!("../../assets/demo/city-result.mp4");
const OTHER_VIDEO: &[u8] = include_bytes!("../../assets/demo/sea-second.mp4");

const CUT_POINTS: [usize; 3] = [1, 20_000, VIDEO.len() - 1];

/// Validators: an entity tag, or a `Last-Modified` long before the response.
const ETAG: &str = "ETag: \"v1\"\r\n";
const MODIFIED: &str =
    "Last-Modified: Mon, 04 May 2026 10:00:00 GMT\r\nDate: Mon, 04 May 2026 12:00:00 GMT\r\n";

/// Short waits for tests; the stall timeout is generous, so that a busy machine does not look like
/// a dead host.
const LIMITS: DownloadLimits = DownloadLimits {
    connect_timeout: Duration::from_secs(5),
    stall_timeout: Duration::from_secs(20),
    max_file_len: 1024 * 1024,
    min_free_space: 0,
    max_attempts: 3,
    first_retry_delay: Duration::from_millis(1),
    lock_timeout: Duration::from_millis(200),
};

/// A link renewer that always returns the same result and counts the calls.
#[derive(Debug)]
struct FakeRenewer {
    result: Result<VideoUrl, PollError>,
    calls: AtomicUsize,
}

impl LinkRenewer for FakeRenewer {
    fn renew_link<'a>(
        &'a self,
        _: &'a TaskId,
        _: &'a VideoUrl,
    ) -> BoxFuture<'a, Result<VideoUrl, PollError>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { self.result.clone() })
    }
}

/// A downloader with its own folder.
struct DownloadFixture {
    folder: TempDir,
    renewer: Arc<FakeRenewer>,
    downloader: HttpDownloader,
}

impl DownloadFixture {
    fn new(limits: DownloadLimits) -> Self {
        Self::with_renewer(limits, Err(PollError::NotFound))
    }

    /// Creates a fixture whose link renewal returns a link of that server.
    fn with_fresh_link(server: &RawServer) -> Self {
        let link = VideoUrl::parse(&format!("{}/fresh.mp4", server.origin()));
        Self::with_renewer(LIMITS, Ok(link.unwrap()))
    }

    fn with_renewer(limits: DownloadLimits, result: Result<VideoUrl, PollError>) -> Self {
        let renewer = Arc::new(FakeRenewer {
            result,
            calls: AtomicUsize::new(0),
        });
        Self {
            folder: tempfile::tempdir().unwrap(),
            downloader: HttpDownloader::new(
                AllowedHosts::PublicAndLoopback,
                Arc::clone(&renewer) as _,
                limits,
            ),
            renewer,
        }
    }

    fn request(&self, url: &str) -> DownloadRequest {
        DownloadRequest {
            task: TaskId::parse("774d9a7dd608a0e49293903095e45a4c").unwrap(),
            number: 1,
            result_count: 1,
            url: VideoUrl::parse(url).unwrap(),
            folder: self.folder.path().join("videos"),
            title: Some(CleanText::line("../../neon city", 99)),
        }
    }

    async fn download(&self, request: &DownloadRequest) -> Result<PathBuf, DownloadError> {
        self.downloader.download(request, &|_| {}).await
    }

    async fn save_from(&self, server: &RawServer) -> Result<PathBuf, DownloadError> {
        let url = format!("{}/v.mp4?sig=1", server.origin());
        self.download(&self.request(&url)).await
    }

    fn final_path(&self) -> PathBuf {
        self.folder
            .path()
            .join("videos/neon-city-774d9a7dd608a0e4.mp4")
    }

    /// Returns the sorted file names in the folder.
    fn file_names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.folder.path().join("videos")) else {
            return Vec::new();
        };
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Asserts that every file with a final name has one of these contents, and that there is no
    /// file outside the folder.
    fn assert_only_files(&self, expected: &[&[u8]], context: &str) {
        for name in self.file_names() {
            let path = self.folder.path().join("videos").join(&name);
            if path
                .extension()
                .is_none_or(|end| end != "part" && end != "meta")
            {
                let bytes = fs::read(&path).unwrap_or_default();
                assert!(expected.contains(&&*bytes), "{context}: {name} is wrong");
            }
        }
        let outside = fs::read_dir(self.folder.path()).unwrap().count();
        assert!(outside <= 1, "{context}: a file outside the folder");
    }
}

/// Returns headers and body; `length` is the claimed `Content-Length`.
fn http_response(status: &str, headers: &str, length: usize, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

fn full(video: &[u8], headers: &str) -> Vec<u8> {
    http_response("200 OK", headers, video.len(), video)
}

/// Returns a response that ends after `at` bytes of the body.
fn truncated(at: usize, headers: &str) -> Vec<u8> {
    http_response("200 OK", headers, VIDEO.len(), &VIDEO[..at])
}

/// Returns the requested range, or the whole video without a `Range` header.
fn range_of(head: &str, headers: &str) -> Vec<u8> {
    range_start(head).map_or_else(|| full(VIDEO, headers), |from| range_from(from, headers))
}

fn range_from(from: usize, headers: &str) -> Vec<u8> {
    let range = format!(
        "Content-Range: bytes {from}-{}/{}\r\n{headers}",
        VIDEO.len() - 1,
        VIDEO.len()
    );
    http_response(
        "206 Partial Content",
        &range,
        VIDEO.len() - from,
        &VIDEO[from..],
    )
}

/// Returns the start of the requested range.
fn range_start(head: &str) -> Option<usize> {
    let line = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("range: bytes=")
            .map(str::to_owned)
    })?;
    line.trim_end_matches('-').parse().ok()
}

fn send(bytes: impl Into<Vec<u8>>) -> Vec<Step> {
    vec![Step::Read, Step::Write(bytes.into())]
}

fn reply(make: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Vec<Step> {
    vec![Step::Read, Step::reply(make)]
}

/// Returns a script that sends the start of the video, as in [`truncated`].
fn cut(at: usize, headers: &str) -> Vec<Step> {
    send(truncated(at, headers))
}

/// Returns a script that sends `at` bytes of the video, then nothing more.
fn stall(at: usize) -> Vec<Step> {
    vec![Step::Read, Step::Write(truncated(at, ETAG)), Step::Hold]
}

/// Returns a script that sends the whole video.
fn whole(headers: &str) -> Vec<Step> {
    send(full(VIDEO, headers))
}

/// Returns a script that sends what is requested.
fn resume(headers: &'static str) -> Vec<Step> {
    reply(move |head| range_of(head, headers))
}

/// The expected result of a script.
enum ExpectedEnd {
    Video,
    /// [`OTHER_VIDEO`]: the file changed on the host.
    OtherVideo,
    /// An error, and no file.
    Error(fn(&DownloadError) -> bool),
}

async fn assert_video(name: &str, script: impl Fn(usize) -> Vec<Vec<Step>>) {
    assert_script(name, script, ExpectedEnd::Video).await;
}

async fn assert_error(
    name: &str,
    script: impl Fn(usize) -> Vec<Vec<Step>>,
    is_expected: fn(&DownloadError) -> bool,
) {
    assert_script(name, script, ExpectedEnd::Error(is_expected)).await;
}

/// Runs a script with each cut point and checks the result.
async fn assert_script(name: &str, script: impl Fn(usize) -> Vec<Vec<Step>>, end: ExpectedEnd) {
    for at in CUT_POINTS {
        let mut server = RawServer::start(script(at)).await;
        let fixture = DownloadFixture::new(LIMITS);
        let result = fixture.save_from(&server).await;
        let context = format!("{name}, cut at {at}: {result:?}");
        match (&end, &result) {
            (ExpectedEnd::Video, Ok(path)) => {
                assert_eq!(fs::read(path).unwrap(), VIDEO, "{context}");
            }
            (ExpectedEnd::OtherVideo, Ok(path)) => {
                assert_eq!(fs::read(path).unwrap(), OTHER_VIDEO, "{context}");
            }
            (ExpectedEnd::Error(is_expected), Err(error)) => {
                assert!(is_expected(error), "{context}");
            }
            _ => panic!("{context}"),
        }
        if let Ok(path) = &result {
            assert_eq!(path, &fixture.final_path(), "{context}");
            let files = fixture.file_names();
            assert_eq!(files.len(), 1, "{context}: other files in {files:?}");
        }
        fixture.assert_only_files(&[VIDEO, OTHER_VIDEO], &context);
        for (_, head) in server.requests() {
            let head = head.to_ascii_lowercase();
            let is_private = !head.contains("authorization") && !head.contains("referer");
            let is_plain = head.contains("accept-encoding: identity");
            assert!(is_private && is_plain, "{context}: {head}");
        }
    }
}

const fn is_truncated(error: &DownloadError) -> bool {
    matches!(error, DownloadError::NoAnswer(PollError::ConnectionLost))
}

const fn is_not_a_video(error: &DownloadError) -> bool {
    matches!(error, DownloadError::NotAVideo(_))
}

const fn is_incomplete(error: &DownloadError) -> bool {
    matches!(error, DownloadError::Incomplete(_))
}

const fn is_unwritable(error: &DownloadError) -> bool {
    matches!(error, DownloadError::FolderUnwritable(_))
}

#[tokio::test]
async fn an_interrupted_download_resumes_exactly() {
    assert_video("complete", |_| vec![whole("")]).await;
    for headers in [ETAG, MODIFIED] {
        assert_video(headers, |at| vec![cut(at, headers), resume(headers)]).await;
    }
    let script = |at| {
        let mut reset = cut(at, ETAG);
        reset.push(Step::Reset);
        vec![reset, resume(ETAG)]
    };
    assert_video("reset in the middle", script).await;
    let script = |_| vec![vec![Step::Read, Step::Reset], whole(ETAG)];
    assert_video("reset before the headers", script).await;
    let script = |_| {
        let busy = |status| send(http_response(status, "", 0, b""));
        vec![busy("503 Busy"), busy("429 Often"), whole("")]
    };
    assert_video("busy", script).await;
}

#[tokio::test]
async fn resume_sends_the_validator_and_the_offset() {
    for (headers, validator) in [
        (ETAG, "\"v1\""),
        (MODIFIED, "Mon, 04 May 2026 10:00:00 GMT"),
    ] {
        let mut server = RawServer::start(vec![cut(20_000, headers), resume(headers)]).await;

        let fixture = DownloadFixture::new(LIMITS);
        fixture.save_from(&server).await.unwrap();

        let heads = server.requests();
        assert_eq!(range_start(&heads[0].1), None);
        let from = range_start(&heads[1].1).unwrap();
        // A lost connection may lose bytes, but never adds any.
        assert!(from > 0 && from <= 20_000, "{from}");
        let if_range = format!("if-range: {validator}");
        assert!(heads[1].1.contains(&if_range), "{}", heads[1].1);
    }
}

#[tokio::test]
async fn without_a_validator_the_download_restarts() {
    let without_validator = [
        ("", "no validator"),
        ("ETag: W/\"v1\"\r\n", "a weak ETag"),
        (
            "Last-Modified: Mon, 04 May 2026 12:00:00 GMT\r\nDate: Mon, 04 May 2026 12:00:01 GMT\r\n",
            "just modified",
        ),
    ];
    for (headers, name) in without_validator {
        let script = move |at| {
            let restart = reply(|head| {
                // Nothing shows that the file is the same.
                assert_eq!(range_start(head), None);
                full(VIDEO, "")
            });
            vec![cut(at, headers), restart]
        };
        assert_video(name, script).await;
    }
}

/// Maps offset and total to a false `Content-Range` and the real start of the bytes.
type FalseRange = fn(usize, usize) -> (String, usize);

#[tokio::test]
async fn a_wrong_partial_response_is_not_appended() {
    let total = VIDEO.len();
    let false_ranges: [(&str, FalseRange); 6] = [
        ("an earlier offset", |from, total| {
            (format!("{}-{}/{total}", from - 1, total - 1), from - 1)
        }),
        ("another total", |from, total| {
            (format!("{from}-{}/{}", total - 1, total + 1), from)
        }),
        ("no total", |from, total| {
            (format!("{from}-{}/*", total - 1), from)
        }),
        ("a part of the range", |from, total| {
            (format!("{from}-{from}/{total}"), from)
        }),
        ("nonsense", |from, _| ("of a video".into(), from)),
        ("huge numbers", |from, _| {
            (format!("{from}-{0}/{0}", u64::MAX), from)
        }),
    ];
    for (name, false_range) in false_ranges {
        let script = move |at: usize| {
            let lying = reply(move |head| {
                let (range, start) = false_range(range_start(head).unwrap(), total);
                let headers = format!("Content-Range: bytes {range}\r\n{ETAG}");
                let rest = &VIDEO[start..];
                http_response("206 Partial Content", &headers, rest.len(), rest)
            });
            vec![cut(at.max(300), ETAG), lying, whole(ETAG)]
        };
        assert_video(name, script).await;
    }
    let script = |at| {
        vec![
            cut(usize::max(at, 300), ETAG),
            other_range("ETag: \"v2\"\r\n"),
            whole(ETAG),
        ]
    };
    assert_video("a range of another version", script).await;
    let earlier = "Last-Modified: Mon, 04 May 2026 11:00:00 GMT\r\n";
    for (first, then, name) in [
        (ETAG, "", "a range without an ETag"),
        (MODIFIED, "", "a range without Last-Modified"),
        (MODIFIED, earlier, "a range with another Last-Modified"),
    ] {
        let script = move |at| {
            let other = send(full(OTHER_VIDEO, first));
            vec![cut(usize::max(at, 300), first), other_range(then), other]
        };
        assert_script(name, script, ExpectedEnd::OtherVideo).await;
    }
    let script = |at| {
        let page = b"<html>416 Requested Range Not Satisfiable</html>";
        let lying = send(http_response("416 No", "", page.len(), page));
        vec![cut(usize::max(at, 300), ETAG), lying, whole(ETAG)]
    };
    assert_video("416 with a page", script).await;
    let script = |at| {
        let other = send(full(OTHER_VIDEO, "ETag: \"v2\"\r\n"));
        vec![cut(at, ETAG), other]
    };
    assert_script("changed meanwhile", script, ExpectedEnd::OtherVideo).await;
    let script = |at| vec![cut(at, ETAG), whole(ETAG)];
    assert_video("the whole file instead of a range", script).await;
    let script = |at| vec![send(range_from(at, ETAG))];
    let is_expected = |error: &_| *error == DownloadError::HttpStatus(206);
    assert_error("a range without a request", script, is_expected).await;
}

/// Returns a script that sends the requested range with other validators.
fn other_range(headers: &'static str) -> Vec<Step> {
    reply(move |head| range_from(range_start(head).unwrap(), headers))
}

#[tokio::test]
async fn a_download_without_progress_is_given_up() {
    // Each response has one byte more than the last, but no validator to resume with.
    let script = (0..50).map(|n| cut(300 + n, "")).collect();
    let mut server = RawServer::start(script).await;
    let fixture = DownloadFixture::new(LIMITS);
    let error = fixture.save_from(&server).await.unwrap_err();
    assert!(is_truncated(&error), "{error:?}");
    assert_eq!(server.requests().len(), LIMITS.max_attempts as usize);

    // The download can be resumed, but the resumed response never matches.
    let script = vec![[cut(20_000, ETAG), other_range("ETag: \"v2\"\r\n")]; 50].concat();
    let mut server = RawServer::start(script).await;
    let fixture = DownloadFixture::new(LIMITS);
    let error = fixture.save_from(&server).await.unwrap_err();
    assert!(is_truncated(&error), "{error:?}");
    assert!(server.requests().len() < 10, "not endlessly");
}

#[tokio::test]
async fn non_videos_are_refused_before_writing() {
    let page =
        b"<!DOCTYPE html><html><body>Please log in to the network \x1b]0;x\x07</body></html>";
    let bodies: [(&str, &[u8]); 5] = [
        ("a page", page),
        ("JSON", b"{\"code\":404,\"msg\":\"no\"}"),
        ("an empty body", b""),
        (
            "a playlist",
            b"#EXTM3U\n#EXTINF:1,\nhttp://169.254.169.254/x\n",
        ),
        ("a script", b"#!/bin/sh\nrm -rf ~\n"),
    ];
    for (name, body) in bodies {
        let script = move |_| vec![send(http_response("200 OK", "", body.len(), body))];
        assert_error(name, script, is_not_a_video).await;
    }
    let script = move |_| vec![send(http_response("200 OK", "", 10_000, page))];
    assert_error("half a page", script, is_not_a_video).await;
    let script = |_| vec![send(full(b"\x1f\x8b\x08\0 and so on", ""))];
    assert_error("compressed", script, is_not_a_video).await;

    let server = RawServer::answering(http_response("200 OK", "", page.len(), page)).await;
    let fixture = DownloadFixture::new(LIMITS);
    let message = fixture.save_from(&server).await.unwrap_err().message();
    assert!(message.contains("Please log in"), "{message}");
    assert!(!message.contains('\x1b'), "{message:?}");
    assert_eq!(fixture.file_names(), [""; 0]);
}

#[tokio::test]
async fn content_decides_not_headers() {
    for headers in [
        "Content-Encoding: aws-chunked\r\n",
        "Content-Encoding: identity\r\n",
        "Content-Encoding: gzip\r\n",
        "Content-Type: binary/octet-stream\r\n",
        "Content-Type: text/html\r\n",
    ] {
        assert_video(headers, |_| vec![whole(headers)]).await;
    }
    let aws = "ETag: \"v1\"\r\nContent-Encoding: aws-chunked\r\n";
    let script = |at| vec![cut(at, aws), resume(aws)];
    assert_video("a range with aws-chunked", script).await;
    // In the middle of a file, the bytes do not show compression: the header decides.
    let packed = "ETag: \"v1\"\r\nContent-Encoding: br, aws-chunked\r\n";
    let script = |at| vec![cut(at, ETAG), resume(packed), whole(ETAG)];
    assert_video("a compressed range", script).await;
}

#[tokio::test]
async fn incomplete_files_get_no_final_name() {
    let short = |at: usize| send(http_response("200 OK", ETAG, at, &VIDEO[..at]));
    let is_short = |error: &_| is_incomplete(error) || is_not_a_video(error);
    let is_cut = |error: &_| is_truncated(error) || is_not_a_video(error);
    assert_error("Content-Length too short", |at| vec![short(at)], is_short).await;
    assert_error("truncated each time", |at| vec![cut(at, "")], is_cut).await;
    let script = |at| vec![short(usize::max(at, 300)), whole(ETAG)];
    assert_video("Content-Length too short once", script).await;
    let lengthless = |at| send([b"HTTP/1.1 200 OK\r\n\r\n", &VIDEO[..at]].concat());
    assert_error("truncated, no length", |at| vec![lengthless(at)], is_short).await;
    assert_video("complete, no length", |_| vec![lengthless(VIDEO.len())]).await;

    let chunked = |size: &str, end: &str| {
        let head = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\n");
        send([head.as_bytes(), VIDEO, end.as_bytes()].concat())
    };
    let size = format!("{:x}", VIDEO.len());
    assert_video("chunked", |_| vec![chunked(&size, "\r\n0\r\n\r\n")]).await;
    let endless = |_| vec![chunked(&size, "\r\n")];
    assert_error("chunked, without an end", endless, is_truncated).await;
    assert_error("invalid chunks", |_| vec![chunked("zz", "")], is_truncated).await;
}

#[tokio::test]
async fn size_and_disk_space_are_limited() {
    let endless = b"\0\0\0\x18ftypisom\0\0\0\0isommp42\xff\xff\xff\xffmdat".to_vec();
    for head in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n",
    ] {
        let body = [head.as_bytes(), &endless, &vec![7; 3 << 20]].concat();
        let script = vec![vec![Step::Read, Step::Write(body), Step::Hold]];
        for _ in CUT_POINTS {
            let server = RawServer::start(script.clone()).await;
            let fixture = DownloadFixture::new(LIMITS);

            let error = fixture.save_from(&server).await.unwrap_err();

            assert_eq!(error, DownloadError::TooLarge(LIMITS.max_file_len));
            fixture.assert_only_files(&[], head);
        }
    }
    let no_space = DownloadLimits {
        min_free_space: u64::MAX,
        ..LIMITS
    };
    for _ in CUT_POINTS {
        let server = RawServer::answering(full(VIDEO, "")).await;
        let fixture = DownloadFixture::new(no_space);
        let saved = fixture.save_from(&server).await;
        assert_eq!(saved, Err(DownloadError::DiskFull));
        fixture.assert_only_files(&[], "disk full");
    }
}

#[tokio::test]
async fn redirects_to_private_hosts_are_refused() {
    let to = |target: &str| http_response("302 Found", &format!("Location: {target}\r\n"), 0, b"");
    for target in [
        "http://10.0.0.1/v.mp4",
        "http://169.254.169.254/latest/meta-data",
        "https://192.168.0.1/v.mp4",
        "http://files.example/v.mp4",
        "http://localhost.evil.example/v.mp4",
        "https://[::ffff:10.0.0.1]/v.mp4",
        "file:///etc/passwd",
        "https://user:word@127.0.0.1/v.mp4",
    ] {
        let script = |_| vec![send(to(target))];
        let is_expected = |error: &_| {
            use DownloadError::{HttpStatus, NotAllowed};
            matches!(error, NotAllowed(_) | HttpStatus(302))
        };
        assert_error(target, script, is_expected).await;
    }
    let script = |_| vec![send(to("/v.mp4?again"))];
    let is_expected = |error: &DownloadError| matches!(error, DownloadError::NotAllowed(reason) if reason.as_str() == "more than 5 redirects");
    assert_error("a redirect loop", script, is_expected).await;
    let script = |_| vec![send(to("/a")), send(to("/b")), whole("")];
    assert_video("two redirects", script).await;
}

#[tokio::test]
async fn loopback_needs_a_loopback_api() {
    let mut server = RawServer::answering(full(VIDEO, "")).await;
    let folder = tempfile::tempdir().unwrap();
    let fixture = DownloadFixture::new(LIMITS);
    let renewer = Arc::clone(&fixture.renewer);
    let public_only = HttpDownloader::new(AllowedHosts::PublicOnly, renewer, LIMITS);
    let port = server.origin().rsplit(':').next().unwrap().to_owned();
    for link in [
        server.origin(),
        format!("https://127.0.0.1:{port}/v.mp4"),
        format!("https://localhost:{port}/v.mp4"),
    ] {
        let request = DownloadRequest {
            folder: folder.path().to_owned(),
            ..fixture.request(&link)
        };
        let error = public_only.download(&request, &|_| {}).await.unwrap_err();
        let is_refused = matches!(error, DownloadError::NotAllowed(_));
        assert!(is_refused, "{link}: {error:?}");
    }
    assert!(server.requests().is_empty());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_cloudflare_challenge_is_not_an_expired_link() {
    let headers = "cf-mitigated: challenge\r\n";
    let challenge = http_response("403 Forbidden", headers, 9, b"<h1>no</h");
    let server = RawServer::answering(challenge).await;
    let fixture = DownloadFixture::new(LIMITS);
    let blocked = DownloadError::NoAnswer(PollError::Blocked(403));
    assert_eq!(fixture.save_from(&server).await, Err(blocked));
    assert_eq!(fixture.renewer.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_refused_link_is_renewed_once() {
    for status in ["403 Forbidden", "404 Not Found", "410 Gone"] {
        let code = status.split(' ').next().unwrap().parse().unwrap();
        let refused = http_response(status, "", 9, b"<h1>no</h");
        let fresh = RawServer::answering(full(VIDEO, "")).await;
        let server = RawServer::answering(refused.clone()).await;
        let fixture = DownloadFixture::with_fresh_link(&fresh);
        let path = fixture.save_from(&server).await.unwrap();
        assert_eq!(fs::read(path).unwrap(), VIDEO);
        assert_eq!(fixture.renewer.calls.load(Ordering::SeqCst), 1);

        let mut fresh = RawServer::answering(refused.clone()).await;
        let fixture = DownloadFixture::with_fresh_link(&fresh);
        let expired = |why| DownloadError::LinkExpired { status: code, why };
        let gone = expired(None);
        assert_eq!(fixture.save_from(&server).await, Err(gone.clone()));
        assert_eq!(fixture.renewer.calls.load(Ordering::SeqCst), 1, "only once");
        assert_eq!(fresh.requests().len(), 1);
        assert!(fixture.file_names().is_empty());

        let message = CleanText::line("url is wrong", 99);
        let rejected = PollError::Rejected {
            code: 422,
            message: message.clone(),
        };
        let failed = DownloadError::RenewalFailed {
            status: code,
            error: PollError::TimedOut,
        };
        let errors = [
            (PollError::NotFound, gone),
            (rejected, expired(Some(message))),
            (PollError::TimedOut, failed),
        ];
        for (error, expected) in errors {
            let fixture = DownloadFixture::with_renewer(LIMITS, Err(error));
            assert_eq!(fixture.save_from(&server).await, Err(expected));
            fixture.assert_only_files(&[], status);
        }
    }
}

#[tokio::test]
async fn a_renewed_link_resumes_only_the_same_file() {
    // Interrupted, then refused: the renewed link has another address, so nothing proves that it is
    // the same file.
    let fresh = RawServer::start(vec![reply(|head| {
        assert_eq!(range_start(head), None);
        full(OTHER_VIDEO, ETAG)
    })])
    .await;
    let refused = send(http_response("403 Forbidden", "", 0, b""));
    let server = RawServer::start(vec![cut(20_000, ETAG), refused]).await;
    let fixture = DownloadFixture::with_fresh_link(&fresh);

    let path = fixture.save_from(&server).await.unwrap();

    assert_eq!(fs::read(path).unwrap(), OTHER_VIDEO);
}

#[tokio::test]
async fn a_stalled_download_is_given_up() {
    let short_stall = DownloadLimits {
        stall_timeout: Duration::from_millis(300),
        max_attempts: 2,
        ..LIMITS
    };
    let mut dripping = cut(20_000, ETAG);
    dripping.push(Step::Drip(&VIDEO[20_000..], Duration::from_millis(50)));
    for script in [stall(20_000), dripping] {
        for _ in CUT_POINTS {
            let server = RawServer::start(vec![script.clone()]).await;
            let fixture = DownloadFixture::new(short_stall);
            let saved = fixture.save_from(&server).await;
            assert_eq!(saved, Err(DownloadError::Stalled));
            fixture.assert_only_files(&[], "stalled");
        }
    }
    let server = RawServer::start(vec![vec![Step::Read, Step::Hold]]).await;
    let expected = DownloadError::NoAnswer(PollError::TimedOut);
    let fixture = DownloadFixture::new(short_stall);
    assert_eq!(fixture.save_from(&server).await, Err(expected));
}

#[tokio::test]
async fn a_stopped_save_resumes_under_another_title() {
    for at in CUT_POINTS {
        let mut server = RawServer::start(vec![stall(at.max(300)), resume(ETAG)]).await;
        let fixture = DownloadFixture::new(LIMITS);
        let request = fixture.request(&format!("{}/v.mp4?sig=1", server.origin()));
        let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
        let on_progress = move |progress: TransferProgress| sender.send(progress).unwrap();
        {
            let download = fixture.downloader.download(&request, &on_progress);
            let first = tokio::select! {
                _ = download => panic!("it cannot finish"),
                first = received.recv() => first,
            };
            assert_eq!(first.unwrap().total, Some(VIDEO.len() as u64));
        }
        fixture.assert_only_files(&[], "stopped");
        let partial = partial_file_and_meta(&fixture).0;
        assert!(partial.exists());

        let renamed = DownloadRequest {
            title: Some(CleanText::line("renamed", 99)),
            url: VideoUrl::parse(&format!("{}/v.mp4?sig=2", server.origin())).unwrap(),
            ..request
        };
        let path = fixture.download(&renamed).await.unwrap();

        assert_eq!(fs::read(&path).unwrap(), VIDEO);
        assert!(path.ends_with("renamed-774d9a7dd608a0e4.mp4"), "{path:?}");
        assert_eq!(fixture.file_names().len(), 1, "{:?}", fixture.file_names());
        let (_, head) = server.requests().pop().unwrap();
        assert!(range_start(&head).is_some(), "it resumed");
    }
}

/// Leaves a partial file as after a kill or a power cut: with more bytes than were synced.
async fn leave_partial_file(fixture: &DownloadFixture, at: usize) -> (PathBuf, PathBuf) {
    let server = RawServer::start(vec![cut(at, ETAG), vec![Step::Read, Step::Reset]]).await;
    fixture.save_from(&server).await.unwrap_err();
    partial_file_and_meta(fixture)
}

/// Returns the paths of the partial file and its metadata.
fn partial_file_and_meta(fixture: &DownloadFixture) -> (PathBuf, PathBuf) {
    let find = |suffix: &str| {
        let names = fixture.file_names();
        let name = names.iter().find(|name| name.ends_with(suffix)).unwrap();
        fixture.folder.path().join("videos").join(name)
    };
    (find(".part"), find(".meta"))
}

/// Returns the metadata for a partial file from that server.
fn resume_meta(server: &RawServer, meta: &Path, synced: usize) -> String {
    let text = fs::read_to_string(meta).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let link = format!("{}/v.mp4\0", server.origin());
    value["link"] = format!("{:016x}", fnv(link.as_bytes())).into();
    value["synced"] = synced.into();
    value["sum"] = fnv(&VIDEO[..synced]).into();
    value.to_string()
}

/// The FNV-1a hash, repeated here because later versions must recognise old partial files.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[tokio::test]
async fn only_synced_bytes_count_after_a_crash() {
    type Corruption = fn(&mut Vec<u8>);
    let corruptions: [(&str, Corruption, bool); 5] = [
        ("a changed byte", |partial| partial[4_000] ^= 1, false),
        (
            "more than synced",
            |partial| partial.extend([0; 5_000]),
            true,
        ),
        ("less than synced", |partial| partial.truncate(4_000), false),
        ("an empty file", Vec::clear, false),
        ("unchanged", |_| {}, true),
    ];
    for (name, corrupt, is_resumed) in corruptions {
        for at in [6_000, 20_000, VIDEO.len() - 1] {
            let mut server = RawServer::start(vec![resume(ETAG)]).await;
            let fixture = DownloadFixture::new(LIMITS);
            let (partial, meta) = leave_partial_file(&fixture, at).await;
            let mut bytes = fs::read(&partial).unwrap();
            let synced = bytes.len().min(5_000);
            fs::write(&meta, resume_meta(&server, &meta, synced)).unwrap();
            corrupt(&mut bytes);
            fs::write(&partial, bytes).unwrap();

            let path = fixture.save_from(&server).await.unwrap();

            assert_eq!(fs::read(path).unwrap(), VIDEO, "{name}");
            let from = range_start(&server.requests()[0].1);
            assert_eq!(from, is_resumed.then_some(synced), "{name}");
        }
    }
}

#[tokio::test]
async fn an_invalid_resume_file_restarts_the_download() {
    for text in [
        "",
        "{",
        "[]",
        "{\"link\":\"x\"}",
        "{\"link\":\"0\",\"synced\":-1}",
        "{\"link\":\"0\",\"total\":5,\"synced\":500}",
        "\0\0\0\0",
    ] {
        let fixture = DownloadFixture::new(LIMITS);
        let (_, meta) = leave_partial_file(&fixture, 20_000).await;
        fs::write(meta, text).unwrap();
        let mut server = RawServer::answering(full(VIDEO, ETAG)).await;

        let path = fixture.save_from(&server).await.unwrap();

        assert_eq!(fs::read(path).unwrap(), VIDEO, "{text}");
        assert_eq!(range_start(&server.requests()[0].1), None, "{text}");
    }
}

#[tokio::test]
async fn a_complete_partial_file_is_used_only_for_its_result() {
    for is_same in [true, false] {
        let mut server = RawServer::answering(full(OTHER_VIDEO, ETAG)).await;
        let fixture = DownloadFixture::new(LIMITS);
        let request = fixture.request(&format!("{}/v.mp4?file=1", server.origin()));
        let before = RawServer::answering(truncated(20_000, ETAG)).await;
        let first = DownloadRequest {
            url: VideoUrl::parse(&format!("{}/v.mp4?file=1", before.origin())).unwrap(),
            ..request.clone()
        };
        fixture.download(&first).await.unwrap_err();
        let (partial, meta) = partial_file_and_meta(&fixture);
        // All bytes were received, but the rename failed.
        fs::write(&partial, VIDEO).unwrap();
        fs::write(&meta, resume_meta(&before, &meta, VIDEO.len())).unwrap();

        let request = if is_same { &first } else { &request };
        let path = fixture.download(request).await.unwrap();

        let expected = if is_same { VIDEO } else { OTHER_VIDEO };
        assert_eq!(fs::read(path).unwrap(), expected);
        assert_eq!(server.requests().len(), usize::from(!is_same));
    }
}

#[tokio::test]
async fn a_partial_file_of_another_task_is_not_resumed() {
    let fixture = DownloadFixture::new(LIMITS);
    let (_, meta) = leave_partial_file(&fixture, 20_000).await;
    let mut server = RawServer::answering(full(OTHER_VIDEO, ETAG)).await;
    let text = resume_meta(&server, &meta, 5_000).replace("774d9a7d", "00000000");
    fs::write(&meta, text).unwrap();

    let path = fixture.save_from(&server).await.unwrap();

    assert_eq!(fs::read(path).unwrap(), OTHER_VIDEO);
    assert_eq!(range_start(&server.requests()[0].1), None);
}

#[tokio::test]
async fn a_damaged_validator_only_restarts_the_download() {
    for validator in ["\"v\u{1}\"", "\"v\n\"", "\"\u{7f}", "\"v2\"", "\u{e9}"] {
        let fixture = DownloadFixture::new(LIMITS);
        let (_, meta) = leave_partial_file(&fixture, 20_000).await;
        let mut server = RawServer::answering(full(VIDEO, ETAG)).await;
        let text = resume_meta(&server, &meta, 5_000);
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value["etag"] = validator.into();
        value["modified"] = validator.into();
        fs::write(&meta, value.to_string()).unwrap();

        let path = fixture.save_from(&server).await.unwrap();

        assert_eq!(fs::read(path).unwrap(), VIDEO, "{validator:?}");
        assert_eq!(server.requests().len(), 1, "{validator:?}");
    }
}

#[tokio::test]
async fn special_resume_files_are_ignored() {
    type Put = fn(&Path);
    let fifo: Put = |path| {
        let status = std::process::Command::new("mkfifo").arg(path).status();
        assert!(status.unwrap().success());
    };
    let endless: Put = |path| std::os::unix::fs::symlink("/dev/zero", path).unwrap();
    for put in [fifo, endless] {
        let fixture = DownloadFixture::new(LIMITS);
        let (_, meta) = leave_partial_file(&fixture, 20_000).await;
        fs::remove_file(&meta).unwrap();
        put(&meta);
        put(&meta.with_extension("meta.new"));
        let server = RawServer::answering(full(VIDEO, ETAG)).await;

        let path = fixture.save_from(&server).await.unwrap();

        assert_eq!(fs::read(path).unwrap(), VIDEO);
    }
}

// A process killed while it writes the metadata leaves a third file.
#[tokio::test]
async fn a_killed_metadata_write_leaves_no_file() {
    for (response, files_left) in [
        (full(VIDEO, ETAG), 1),
        (http_response("404 Not Found", "", 0, b""), 0),
    ] {
        let fixture = DownloadFixture::new(LIMITS);
        let (_, meta) = leave_partial_file(&fixture, 20_000).await;
        fs::rename(&meta, meta.with_extension("meta.new")).unwrap();
        let server = RawServer::answering(response).await;

        let saved = fixture.save_from(&server).await;

        assert_eq!(saved.is_ok(), files_left == 1, "{saved:?}");
        assert_eq!(fixture.file_names().len(), files_left);
    }
}

#[tokio::test]
async fn a_hard_linked_partial_file_is_not_written() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = DownloadFixture::new(LIMITS);
    let (partial, meta) = leave_partial_file(&fixture, 20_000).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&partial), mode(&meta)), (0o600, 0o600));
    let victim = fixture.folder.path().join("videos/victim.meta");
    fs::write(&victim, "precious").unwrap();
    fs::remove_file(&partial).unwrap();
    fs::hard_link(&victim, &partial).unwrap();
    let server = RawServer::answering(full(VIDEO, "")).await;

    let path = fixture.save_from(&server).await.unwrap();

    assert_eq!(fs::read(&path).unwrap(), VIDEO);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(mode(&path) & !0o644, 0, "{:o}", mode(&path));
    assert_eq!(mode(&path) & 0o600, 0o600);
}

#[tokio::test]
async fn redirect_errors_name_the_failing_host() {
    // Nothing listens there.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = closed.local_addr().unwrap().port();
    drop(closed);
    let to = format!("Location: http://localhost:{port}/v.mp4\r\n");
    let server = RawServer::answering(http_response("302 Found", &to, 0, b"")).await;
    let fixture = DownloadFixture::new(LIMITS);

    let error = fixture.save_from(&server).await.unwrap_err();

    assert!(error.message().contains("localhost"), "{}", error.message());
}

#[tokio::test]
async fn existing_files_are_never_replaced() {
    let server = RawServer::answering(full(VIDEO, "")).await;
    let fixture = DownloadFixture::new(LIMITS);
    let videos = fixture.folder.path().join("videos");
    fs::create_dir(&videos).unwrap();
    fs::write(fixture.final_path(), "mine").unwrap();
    let second = videos.join("neon-city-774d9a7dd608a0e4-2.mp4");
    std::os::unix::fs::symlink(fixture.folder.path().join("outside"), &second).unwrap();

    let path = fixture.save_from(&server).await.unwrap();

    assert_eq!(path, videos.join("neon-city-774d9a7dd608a0e4-3.mp4"));
    assert_eq!(fs::read(&path).unwrap(), VIDEO);
    assert_eq!(fs::read(fixture.final_path()).unwrap(), b"mine");
    assert!(!fixture.folder.path().join("outside").exists());
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o111, 0, "not executable");
}

#[tokio::test]
async fn a_symlinked_partial_file_is_not_followed() {
    let fixture = DownloadFixture::new(LIMITS);
    let (partial, _) = leave_partial_file(&fixture, 20_000).await;
    let outside = fixture.folder.path().join("outside");
    for target in ["outside", "videos"] {
        fs::remove_file(&partial).unwrap();
        std::os::unix::fs::symlink(fixture.folder.path().join(target), &partial).unwrap();
        let server = RawServer::answering(full(VIDEO, "")).await;

        let error = fixture.save_from(&server).await.unwrap_err();

        assert!(is_unwritable(&error), "{error:?}");
        assert!(!outside.exists());
    }
}

#[tokio::test]
async fn an_unwritable_folder_is_named() {
    let server = RawServer::answering(full(VIDEO, "")).await;
    let fixture = DownloadFixture::new(LIMITS);
    fs::write(fixture.folder.path().join("videos"), "a file").unwrap();

    let error = fixture.save_from(&server).await.unwrap_err();

    assert!(error.message().contains("videos"), "{}", error.message());
    assert!(is_unwritable(&error), "{error:?}");
}

#[tokio::test]
async fn a_partial_file_has_one_writer() {
    let server = RawServer::start(vec![stall(20_000), resume(ETAG)]).await;
    let fixture = DownloadFixture::new(LIMITS);
    let request = fixture.request(&format!("{}/v.mp4", server.origin()));
    let renewer = Arc::clone(&fixture.renewer);
    let other = HttpDownloader::new(AllowedHosts::PublicAndLoopback, renewer, LIMITS);
    let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
    let on_progress = move |progress: TransferProgress| sender.send(progress).unwrap();
    let first = fixture.downloader.download(&request, &on_progress);
    let second = async {
        received.recv().await.unwrap();
        other.download(&request, &|_| {}).await
    };

    let result = tokio::select! {
        _ = first => panic!("it cannot finish"),
        result = second => result,
    };

    assert_eq!(result, Err(DownloadError::Busy));
}

#[tokio::test]
async fn at_most_two_downloads_run() {
    let server = RawServer::start(vec![stall(20_000)]).await;
    let fixture = DownloadFixture::new(LIMITS);
    let requests: Vec<_> = (1..=4)
        .map(|number| DownloadRequest {
            number,
            result_count: 4,
            ..fixture.request(&format!("{}/{number}.mp4", server.origin()))
        })
        .collect();
    let (sender, mut started_downloads) = tokio::sync::mpsc::unbounded_channel();
    let downloads = requests.iter().enumerate().map(|(index, request)| {
        let sender = sender.clone();
        let downloader = &fixture.downloader;
        async move {
            let on_progress = move |_: TransferProgress| sender.send(index).unwrap();
            downloader.download(request, &on_progress).await
        }
    });
    let all = futures_util::future::join_all(downloads);
    let watch = async {
        let mut started = std::collections::BTreeSet::new();
        while started.len() < 2 {
            started.insert(started_downloads.recv().await.unwrap());
        }
        // Only a third download could send progress now.
        tokio::time::timeout(Duration::from_millis(300), async {
            while started.len() < 3 {
                started.insert(started_downloads.recv().await.unwrap());
            }
        })
        .await
    };

    tokio::select! {
        _ = all => panic!("they cannot finish"),
        third = watch => assert!(third.is_err(), "a third download started"),
    }
}
