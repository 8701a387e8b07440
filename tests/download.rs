//! Saving files from hosts that misbehave: whatever happens, what carries a final name is whole and the right file.
//!
//! Every fault runs three times, cut elsewhere each time. After each the folder is looked through.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: what is not as expected is to fail loudly"
)]

#[path = "support/raw_server.rs"]
mod raw_server;

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
    adapters::download::{HttpDownloader, Limits, Reach},
    domain::{
        link::VideoUrl,
        report::PollError,
        save::{Progress, SaveError, SaveOrder},
        task::TaskId,
        text::CleanText,
    },
    ports::{Downloader as _, FreshLinks, Pending},
};
use raw_server::{RawServer, Step};
use tempfile::TempDir;

/// A small film, and another one of the same kind.
const FILM: &[u8] = include_bytes!("../assets/demo/city-result.mp4");
const OTHER: &[u8] = include_bytes!("../assets/demo/sea-second.mp4");

/// Where each of the three runs is cut.
const CUTS: [usize; 3] = [1, 20_000, FILM.len() - 1];

/// Marks of a version: an entity tag, or a last change long before the answer.
const ETAG: &str = "ETag: \"v1\"\r\n";
const MODIFIED: &str =
    "Last-Modified: Mon, 04 May 2026 10:00:00 GMT\r\nDate: Mon, 04 May 2026 12:00:00 GMT\r\n";

/// Short waits for tests; the stall rule is generous, so that a busy machine does not look like a dead host.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(5),
    stall: Duration::from_secs(20),
    largest: 1024 * 1024,
    spare: 0,
    tries: 3,
    wait: Duration::from_millis(1),
    patience: Duration::from_millis(200),
};

/// Answers every call for a fresh link in the same way, and counts them.
#[derive(Debug)]
struct Links {
    answer: Result<VideoUrl, PollError>,
    asked: AtomicUsize,
}

impl FreshLinks for Links {
    fn fresh_link<'a>(
        &'a self,
        _: &'a TaskId,
        _: &'a VideoUrl,
    ) -> Pending<'a, Result<VideoUrl, PollError>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        Box::pin(async { self.answer.clone() })
    }
}

/// Is a folder to save into, a downloader and what it is told.
struct Desk {
    folder: TempDir,
    links: Arc<Links>,
    downloader: HttpDownloader,
}

impl Desk {
    fn new(limits: Limits) -> Self {
        Self::with_links(limits, Err(PollError::NotFound))
    }

    fn with_links(limits: Limits, answer: Result<VideoUrl, PollError>) -> Self {
        let links = Arc::new(Links {
            answer,
            asked: AtomicUsize::new(0),
        });
        Self {
            folder: tempfile::tempdir().unwrap(),
            downloader: HttpDownloader::new(Reach::ThisMachine, Arc::clone(&links) as _, limits),
            links,
        }
    }

    fn order(&self, url: &str) -> SaveOrder {
        SaveOrder {
            task: TaskId::parse("774d9a7dd608a0e49293903095e45a4c").unwrap(),
            number: 1,
            of: 1,
            url: VideoUrl::parse(url).unwrap(),
            folder: self.folder.path().join("videos"),
            title: Some(CleanText::line("../../neon city", 99)),
        }
    }

    async fn save(&self, url: &str) -> Result<PathBuf, SaveError> {
        self.downloader.save(&self.order(url), &|_| {}).await
    }

    async fn save_from(&self, server: &RawServer) -> Result<PathBuf, SaveError> {
        self.save(&format!("{}/v.mp4?sig=1", server.origin())).await
    }

    fn final_path(&self) -> PathBuf {
        self.folder
            .path()
            .join("videos/neon-city-774d9a7dd608a0e4.mp4")
    }

    /// Returns the names in the folder, in order.
    fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.folder.path().join("videos")) else {
            return Vec::new();
        };
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Makes sure that every final name holds one of these files and nothing lies outside the folder.
    fn holds_only(&self, right: &[&[u8]], what: &str) {
        for name in self.names() {
            let path = self.folder.path().join("videos").join(&name);
            let is_ours = path
                .extension()
                .is_some_and(|end| end == "part" || end == "meta");
            let is_right = || right.contains(&fs::read(&path).unwrap_or_default().as_slice());
            assert!(
                is_ours || is_right(),
                "{what}: {name} holds something wrong"
            );
        }
        let outside = fs::read_dir(self.folder.path()).unwrap().count();
        assert!(outside <= 1, "{what}: something is outside the folder");
    }
}

/// Returns an answer's head and body; `length` is what it claims.
fn answer(status: &str, headers: &str, length: usize, body: &[u8]) -> Vec<u8> {
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{headers}\r\n");
    [head.as_bytes(), body].concat()
}

/// Returns the whole film in one answer.
fn whole(film: &[u8], headers: &str) -> Vec<u8> {
    answer("200 OK", headers, film.len(), film)
}

/// Returns the film's answer that breaks off after so many bytes.
fn cut(at: usize, headers: &str) -> Vec<u8> {
    answer("200 OK", headers, FILM.len(), &FILM[..at])
}

/// Returns the rest of the film as a right server sends it; all of it where no rest is wanted.
fn rest(head: &str, headers: &str) -> Vec<u8> {
    wanted(head).map_or_else(|| whole(FILM, headers), |from| rest_from(from, headers))
}

fn rest_from(from: usize, headers: &str) -> Vec<u8> {
    let range = format!(
        "Content-Range: bytes {from}-{}/{}\r\n{headers}",
        FILM.len() - 1,
        FILM.len()
    );
    answer(
        "206 Partial Content",
        &range,
        FILM.len() - from,
        &FILM[from..],
    )
}

/// Returns where the request wants the film from.
fn wanted(head: &str) -> Option<usize> {
    let line = head.lines().find_map(|line| {
        line.to_ascii_lowercase()
            .strip_prefix("range: bytes=")
            .map(str::to_owned)
    })?;
    line.trim_end_matches('-').parse().ok()
}

/// Returns a script of one connection.
fn say(bytes: impl Into<Vec<u8>>) -> Vec<Step> {
    vec![Step::Read, Step::Write(bytes.into())]
}

fn reply(make: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Vec<Step> {
    vec![Step::Read, Step::reply(make)]
}

/// Is how a fault must end.
enum End {
    /// The film is there.
    Film,
    /// The other film is there: the file changed at the host.
    Other,
    /// An error of this kind, and no file.
    Error(fn(&SaveError) -> bool),
}

/// Plays a script three times and checks each ending.
async fn plays(name: &str, script: impl Fn(usize) -> Vec<Vec<Step>>, end: End) {
    for at in CUTS {
        let mut server = RawServer::start(script(at)).await;
        let desk = Desk::new(LIMITS);
        let result = desk.save_from(&server).await;
        let what = format!("{name}, cut at {at}: {result:?}");
        match (&end, &result) {
            (End::Film, Ok(path)) => assert_eq!(fs::read(path).unwrap(), FILM, "{what}"),
            (End::Other, Ok(path)) => assert_eq!(fs::read(path).unwrap(), OTHER, "{what}"),
            (End::Error(is_it), Err(error)) => assert!(is_it(error), "{what}"),
            _ => panic!("{what}"),
        }
        if let Ok(path) = &result {
            assert_eq!(path, &desk.final_path(), "{what}");
            assert_eq!(desk.names().len(), 1, "{what}: nothing is left over");
        }
        desk.holds_only(&[FILM, OTHER], &what);
        for (_, head) in server.requests() {
            let head = head.to_ascii_lowercase();
            assert!(!head.contains("authorization"), "{what}: {head}");
            assert!(!head.contains("referer"), "{what}: {head}");
            assert!(head.contains("accept-encoding: identity"), "{what}: {head}");
        }
    }
}

const fn is_cut_off(error: &SaveError) -> bool {
    matches!(error, SaveError::NoAnswer(PollError::CutOff))
}

const fn is_no_video(error: &SaveError) -> bool {
    matches!(error, SaveError::NotAVideo(_))
}

const fn is_not_whole(error: &SaveError) -> bool {
    matches!(error, SaveError::NotWhole(_))
}

#[tokio::test]
async fn what_breaks_off_goes_on_where_it_is_exact() {
    plays("whole", |_| vec![say(whole(FILM, ""))], End::Film).await;
    let script = |at| vec![say(cut(at, ETAG)), reply(|head| rest(head, ETAG))];
    plays("cut, tagged", script, End::Film).await;
    let script = |at| vec![say(cut(at, MODIFIED)), reply(|head| rest(head, MODIFIED))];
    plays("cut, dated", script, End::Film).await;
    let script = |at| {
        let reset = vec![Step::Read, Step::Write(cut(at, ETAG)), Step::Reset];
        vec![reset, reply(|head| rest(head, ETAG))]
    };
    plays("reset in the middle", script, End::Film).await;
    let script = |_| vec![vec![Step::Read, Step::Reset], say(whole(FILM, ETAG))];
    plays("reset before the head", script, End::Film).await;
    let script = |_| {
        let busy = answer("503 Busy", "", 0, b"");
        vec![
            say(busy),
            say(answer("429 Often", "", 0, b"")),
            say(whole(FILM, "")),
        ]
    };
    plays("busy", script, End::Film).await;
}

#[tokio::test]
async fn a_rest_is_asked_for_with_the_mark_and_from_the_right_byte() {
    for (headers, mark) in [
        (ETAG, "\"v1\""),
        (MODIFIED, "Mon, 04 May 2026 10:00:00 GMT"),
    ] {
        let script = vec![
            say(cut(20_000, headers)),
            reply(move |head| rest(head, headers)),
        ];
        let mut server = RawServer::start(script).await;

        Desk::new(LIMITS).save_from(&server).await.unwrap();

        let heads = server.requests();
        assert_eq!(wanted(&heads[0].1), None);
        let from = wanted(&heads[1].1).unwrap();
        // A lost connection may take bytes with it, never add any.
        assert!(from > 0 && from <= 20_000, "{from}");
        assert!(
            heads[1].1.contains(&format!("if-range: {mark}")),
            "{}",
            heads[1].1
        );
    }
}

#[tokio::test]
async fn what_cannot_be_told_apart_begins_anew() {
    let unmarked = [
        ("", "unmarked"),
        ("ETag: W/\"v1\"\r\n", "weakly tagged"),
        (
            "Last-Modified: Mon, 04 May 2026 12:00:00 GMT\r\nDate: Mon, 04 May 2026 12:00:01 GMT\r\n",
            "just changed",
        ),
    ];
    for (headers, name) in unmarked {
        let script = move |at| {
            let again = reply(|head| {
                assert_eq!(
                    wanted(head),
                    None,
                    "nothing tells the rest from another file's"
                );
                whole(FILM, "")
            });
            vec![say(cut(at, headers)), again]
        };
        plays(name, script, End::Film).await;
    }
}

/// Makes of offset and total what is claimed, and where the bytes really begin.
type Lie = fn(usize, usize) -> (String, usize);

#[tokio::test]
async fn a_rest_that_lies_is_never_appended() {
    let total = FILM.len();
    let lies: [(&str, Lie); 6] = [
        ("an earlier offset", |from, total| {
            (
                format!("bytes {}-{}/{total}", from - 1, total - 1),
                from - 1,
            )
        }),
        ("another total", |from, total| {
            (format!("bytes {from}-{}/{}", total - 1, total + 1), from)
        }),
        ("no total", |from, total| {
            (format!("bytes {from}-{}/*", total - 1), from)
        }),
        ("a piece of the rest", |from, total| {
            (format!("bytes {from}-{from}/{total}"), from)
        }),
        ("nonsense", |from, _| ("bytes of a film".into(), from)),
        ("huge numbers", |from, _| {
            (format!("bytes {from}-{0}/{0}", u64::MAX), from)
        }),
    ];
    for (name, lie) in lies {
        let script = move |at: usize| {
            let lying = reply(move |head| {
                let from = wanted(head).unwrap();
                let (range, start) = lie(from, total);
                let headers = format!("Content-Range: {range}\r\n{ETAG}");
                answer(
                    "206 Partial Content",
                    &headers,
                    total - start,
                    &FILM[start..],
                )
            });
            vec![say(cut(at.max(300), ETAG)), lying, say(whole(FILM, ETAG))]
        };
        plays(name, script, End::Film).await;
    }
    let script = |at| {
        let lying = reply(|head| rest_from(wanted(head).unwrap(), "ETag: \"v2\"\r\n"));
        vec![
            say(cut(usize::max(at, 300), ETAG)),
            lying,
            say(whole(FILM, ETAG)),
        ]
    };
    plays("another version's rest", script, End::Film).await;
    for (first, then, name) in [
        (ETAG, "", "a rest of no version"),
        (MODIFIED, "", "a rest of no date"),
        (
            MODIFIED,
            "Last-Modified: Mon, 04 May 2026 11:00:00 GMT\r\n",
            "a rest of another date",
        ),
    ] {
        let script = move |at| {
            let lying = reply(move |head| rest_from(wanted(head).unwrap(), then));
            vec![
                say(cut(usize::max(at, 300), first)),
                lying,
                say(whole(OTHER, first)),
            ]
        };
        plays(name, script, End::Other).await;
    }
    let script = |at| {
        let page = b"<html>416 Requested Range Not Satisfiable</html>";
        let lying = answer("416 No", "", page.len(), page);
        vec![
            say(cut(usize::max(at, 300), ETAG)),
            say(lying),
            say(whole(FILM, ETAG)),
        ]
    };
    plays("416 with a page", script, End::Film).await;
    let script = |at| vec![say(cut(at, ETAG)), say(whole(OTHER, "ETag: \"v2\"\r\n"))];
    plays("the file changed meanwhile", script, End::Other).await;
    let script = |at| vec![say(cut(at, ETAG)), say(whole(FILM, ETAG))];
    plays("all of it in place of the rest", script, End::Film).await;
    let script = |at| vec![say(rest_from(at, ETAG))];
    let is_it = |error: &SaveError| *error == SaveError::Answered(206);
    plays("a rest nobody asked for", script, End::Error(is_it)).await;
}

#[tokio::test]
async fn what_never_gets_further_is_given_up() {
    // Each answer brings a byte more than the last, and nothing to go on from.
    let growing = |n: usize| say(cut(300 + n, ""));
    let script: Vec<_> = (0..50).map(growing).collect();
    let mut server = RawServer::start(script).await;
    let error = Desk::new(LIMITS).save_from(&server).await.unwrap_err();
    assert!(is_cut_off(&error), "{error:?}");
    assert_eq!(server.requests().len(), LIMITS.tries as usize);

    // What comes can be gone on from, and what goes on never fits.
    let lying = || reply(|head| rest_from(wanted(head).unwrap(), "ETag: \"v2\"\r\n"));
    let script: Vec<_> = (0..50)
        .flat_map(|_| [say(cut(20_000, ETAG)), lying()])
        .collect();
    let mut server = RawServer::start(script).await;
    let error = Desk::new(LIMITS).save_from(&server).await.unwrap_err();
    assert!(is_cut_off(&error), "{error:?}");
    assert!(server.requests().len() < 10, "not without end");
}

#[tokio::test]
async fn what_is_no_video_is_refused_before_a_byte_is_kept() {
    let page =
        b"<!DOCTYPE html><html><body>Please log in to the network \x1b]0;x\x07</body></html>";
    let bodies: [(&str, &[u8]); 5] = [
        ("a page", page),
        ("JSON", b"{\"code\":404,\"msg\":\"no\"}"),
        ("nothing", b""),
        (
            "a playlist",
            b"#EXTM3U\n#EXTINF:1,\nhttp://169.254.169.254/x\n",
        ),
        ("a script", b"#!/bin/sh\nrm -rf ~\n"),
    ];
    for (name, body) in bodies {
        let script = move |_| vec![say(answer("200 OK", "", body.len(), body))];
        plays(name, script, End::Error(is_no_video)).await;
    }
    let script = move |_| vec![say(answer("200 OK", "", 10_000, page))];
    plays("half a page", script, End::Error(is_no_video)).await;
    let script = |_| vec![say(whole(b"\x1f\x8b\x08\0 and so on", ""))];
    plays("compressed", script, End::Error(is_no_video)).await;

    let server = RawServer::answering(answer("200 OK", "", page.len(), page)).await;
    let desk = Desk::new(LIMITS);
    let error = desk.save_from(&server).await.unwrap_err();
    assert!(
        error.message().contains("Please log in"),
        "{}",
        error.message()
    );
    assert!(!error.message().contains('\x1b'), "{:?}", error.message());
    assert!(desk.names().is_empty(), "{:?}", desk.names());
}

#[tokio::test]
async fn the_bytes_decide_and_not_the_headers() {
    for headers in [
        "Content-Encoding: aws-chunked\r\n",
        "Content-Encoding: identity\r\n",
        "Content-Encoding: gzip\r\n",
        "Content-Type: binary/octet-stream\r\n",
        "Content-Type: text/html\r\n",
    ] {
        let script = |_| vec![say(whole(FILM, headers))];
        plays(headers, script, End::Film).await;
    }
    let aws = concat!("ETag: \"v1\"\r\n", "Content-Encoding: aws-chunked\r\n");
    let script = |at| vec![say(cut(at, aws)), reply(move |head| rest(head, aws))];
    plays("a rest with aws-chunked", script, End::Film).await;
    // In the middle of a file the bytes show nothing: a rest said to be compressed is not appended.
    let packed = concat!("ETag: \"v1\"\r\n", "Content-Encoding: br, aws-chunked\r\n");
    let script = |at| {
        let lie = reply(move |head| rest(head, packed));
        vec![say(cut(at, ETAG)), lie, say(whole(FILM, ETAG))]
    };
    plays("a compressed rest", script, End::Film).await;
}

#[tokio::test]
async fn what_is_not_whole_gets_no_name() {
    let script = |at| vec![say(answer("200 OK", ETAG, at, &FILM[..at]))];
    let is_either = |error: &SaveError| is_not_whole(error) || is_no_video(error);
    plays("told too short", script, End::Error(is_either)).await;
    let script = |at| vec![say(cut(at, ""))];
    let is_either = |error: &SaveError| is_cut_off(error) || is_no_video(error);
    plays("cut each time", script, End::Error(is_either)).await;
    let head = b"HTTP/1.1 200 OK\r\n\r\n";
    let script = move |at: usize| vec![say([head, &FILM[..at]].concat())];
    let is_either = |error: &SaveError| is_not_whole(error) || is_no_video(error);
    plays("cut, and no length was told", script, End::Error(is_either)).await;
    let script = move |_| vec![say([&head[..], FILM].concat())];
    plays("whole, and no length was told", script, End::Film).await;
    let script = |at| {
        let at = usize::max(at, 300);
        let short = answer("200 OK", ETAG, at, &FILM[..at]);
        vec![say(short), say(whole(FILM, ETAG))]
    };
    plays("told too short once", script, End::Film).await;
    let chunked = |size: &str, body: &[u8], end: &str| {
        let head = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{size}\r\n");
        [head.as_bytes(), body, end.as_bytes()].concat()
    };
    let size = format!("{:x}", FILM.len());
    let pieces = chunked(&size, FILM, "\r\n0\r\n\r\n");
    plays("in pieces", move |_| vec![say(pieces.clone())], End::Film).await;
    let endless = chunked(&size, FILM, "\r\n");
    plays(
        "in pieces without an end",
        move |_| vec![say(endless.clone())],
        End::Error(is_cut_off),
    )
    .await;
    let broken = chunked("zz", FILM, "");
    plays(
        "in broken pieces",
        move |_| vec![say(broken.clone())],
        End::Error(is_cut_off),
    )
    .await;
}

#[tokio::test]
async fn nothing_is_fetched_without_end_or_room() {
    let endless = b"\0\0\0\x18ftypisom\0\0\0\0isommp42\xff\xff\xff\xffmdat".to_vec();
    for head in [
        "HTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n",
    ] {
        let body = [head.as_bytes(), &endless, &vec![7; 3 << 20]].concat();
        let script = vec![vec![Step::Read, Step::Write(body), Step::Hold]];
        for _ in CUTS {
            let server = RawServer::start(script.clone()).await;
            let desk = Desk::new(LIMITS);

            let error = desk.save_from(&server).await.unwrap_err();

            assert_eq!(error, SaveError::TooLarge(LIMITS.largest));
            desk.holds_only(&[], head);
        }
    }
    let full = Limits {
        spare: u64::MAX,
        ..LIMITS
    };
    for _ in CUTS {
        let server = RawServer::answering(whole(FILM, "")).await;
        let desk = Desk::new(full);
        assert_eq!(desk.save_from(&server).await, Err(SaveError::DiskFull));
        desk.holds_only(&[], "no room");
    }
}

#[tokio::test]
async fn redirects_lead_nowhere_private() {
    let to = |target: &str| answer("302 Found", &format!("Location: {target}\r\n"), 0, b"");
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
        let script = |_| vec![say(to(target))];
        let is_it = |error: &SaveError| {
            matches!(error, SaveError::NotAllowed(_) | SaveError::Answered(302))
        };
        plays(target, script, End::Error(is_it)).await;
    }
    let script = |_| vec![say(to("/v.mp4?again"))];
    let is_it = |error: &SaveError| matches!(error, SaveError::NotAllowed(why) if why.as_str() == "more than 5 redirects");
    plays("a circle", script, End::Error(is_it)).await;
    let script = |_| vec![say(to("/a")), say(to("/b")), say(whole(FILM, ""))];
    plays("two hops", script, End::Film).await;
}

#[tokio::test]
async fn without_the_api_on_this_machine_nothing_here_is_asked() {
    let mut server = RawServer::answering(whole(FILM, "")).await;
    let folder = tempfile::tempdir().unwrap();
    let desk = Desk::new(LIMITS);
    let far = HttpDownloader::new(Reach::Public, Arc::clone(&desk.links) as _, LIMITS);
    let port = server.origin().rsplit(':').next().unwrap().to_owned();
    for link in [
        server.origin(),
        format!("https://127.0.0.1:{port}/v.mp4"),
        format!("https://localhost:{port}/v.mp4"),
    ] {
        let order = SaveOrder {
            folder: folder.path().to_owned(),
            ..desk.order(&link)
        };
        let error = far.save(&order, &|_| {}).await.unwrap_err();
        assert!(
            matches!(error, SaveError::NotAllowed(_)),
            "{link}: {error:?}"
        );
    }
    assert!(server.requests().is_empty());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_challenge_of_cloudflare_is_no_refused_link() {
    let challenge = answer(
        "403 Forbidden",
        "cf-mitigated: challenge\r\n",
        9,
        b"<h1>no</h",
    );
    let server = RawServer::answering(challenge).await;
    let desk = Desk::new(LIMITS);
    let blocked = SaveError::NoAnswer(PollError::Blocked(403));
    assert_eq!(desk.save_from(&server).await, Err(blocked));
    assert_eq!(desk.links.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_refused_link_is_asked_for_afresh_once() {
    for status in ["403 Forbidden", "404 Not Found", "410 Gone"] {
        let code = status.split(' ').next().unwrap().parse().unwrap();
        let refused = answer(status, "", 9, b"<h1>no</h");
        let fresh = RawServer::answering(whole(FILM, "")).await;
        let link = VideoUrl::parse(&format!("{}/fresh.mp4", fresh.origin()));
        let server = RawServer::answering(refused.clone()).await;
        let desk = Desk::with_links(LIMITS, Ok(link.unwrap()));
        let path = desk.save_from(&server).await.unwrap();
        assert_eq!(fs::read(path).unwrap(), FILM);
        assert_eq!(desk.links.asked.load(Ordering::SeqCst), 1);

        let mut fresh = RawServer::answering(refused.clone()).await;
        let link = VideoUrl::parse(&format!("{}/fresh.mp4", fresh.origin()));
        let desk = Desk::with_links(LIMITS, Ok(link.unwrap()));
        let gone = SaveError::LinkGone {
            status: code,
            why: None,
        };
        assert_eq!(desk.save_from(&server).await, Err(gone.clone()));
        assert_eq!(
            desk.links.asked.load(Ordering::SeqCst),
            1,
            "once, and no more"
        );
        assert_eq!(fresh.requests().len(), 1);
        assert!(desk.names().is_empty());

        let words = CleanText::line("url is wrong", 99);
        let answers = [
            (PollError::NotFound, gone),
            (
                PollError::Refused {
                    code: 422,
                    message: words.clone(),
                },
                SaveError::LinkGone {
                    status: code,
                    why: Some(words),
                },
            ),
            (
                PollError::TimedOut,
                SaveError::Refused {
                    status: code,
                    error: PollError::TimedOut,
                },
            ),
        ];
        for (answer, expected) in answers {
            let desk = Desk::with_links(LIMITS, Err(answer));
            assert_eq!(desk.save_from(&server).await, Err(expected));
            desk.holds_only(&[], status);
        }
    }
}

#[tokio::test]
async fn a_part_goes_on_behind_a_fresh_link_only_where_it_is_the_same_file() {
    // Broken off, then refused: the fresh link is another address, so nothing proves that it is the same file.
    let fresh = RawServer::start(vec![reply(|head| {
        assert_eq!(wanted(head), None);
        whole(OTHER, ETAG)
    })])
    .await;
    let script = vec![
        say(cut(20_000, ETAG)),
        say(answer("403 Forbidden", "", 0, b"")),
    ];
    let server = RawServer::start(script).await;
    let link = VideoUrl::parse(&format!("{}/v.mp4", fresh.origin()));
    let desk = Desk::with_links(LIMITS, Ok(link.unwrap()));

    let path = desk.save_from(&server).await.unwrap();

    assert_eq!(fs::read(path).unwrap(), OTHER);
}

#[tokio::test]
async fn a_host_that_sends_next_to_nothing_is_given_up() {
    let impatient = Limits {
        stall: Duration::from_millis(300),
        tries: 2,
        ..LIMITS
    };
    let silent = vec![Step::Read, Step::Write(cut(20_000, ETAG)), Step::Hold];
    let dripping = vec![
        Step::Read,
        Step::Write(cut(20_000, ETAG)),
        Step::Drip(&FILM[20_000..], Duration::from_millis(50)),
    ];
    for script in [silent, dripping] {
        for _ in CUTS {
            let server = RawServer::start(vec![script.clone()]).await;
            let desk = Desk::new(impatient);
            assert_eq!(desk.save_from(&server).await, Err(SaveError::Stalled));
            desk.holds_only(&[], "stalled");
        }
    }
    let server = RawServer::start(vec![vec![Step::Read, Step::Hold]]).await;
    let expected = SaveError::NoAnswer(PollError::TimedOut);
    assert_eq!(Desk::new(impatient).save_from(&server).await, Err(expected));
}

#[tokio::test]
async fn a_stopped_save_goes_on_later_even_under_another_title() {
    for at in CUTS {
        let held = vec![Step::Read, Step::Write(cut(at.max(300), ETAG)), Step::Hold];
        let script = vec![held, reply(|head| rest(head, ETAG))];
        let mut server = RawServer::start(script).await;
        let desk = Desk::new(LIMITS);
        let order = desk.order(&format!("{}/v.mp4?sig=1", server.origin()));
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let telling = move |progress: Progress| tell.send(progress).unwrap();
        {
            let saving = desk.downloader.save(&order, &telling);
            let first = tokio::select! {
                _ = saving => panic!("it cannot end"),
                first = told.recv() => first,
            };
            assert_eq!(first.unwrap().total, Some(FILM.len() as u64));
        }
        desk.holds_only(&[], "stopped");
        assert!(
            desk.names()
                .iter()
                .any(|name| Path::new(name).extension().is_some_and(|end| end == "part"))
        );

        let renamed = SaveOrder {
            title: Some(CleanText::line("renamed", 99)),
            url: VideoUrl::parse(&format!("{}/v.mp4?sig=2", server.origin())).unwrap(),
            ..order
        };
        let path = desk.downloader.save(&renamed, &|_| {}).await.unwrap();

        assert_eq!(fs::read(&path).unwrap(), FILM);
        assert!(path.ends_with("renamed-774d9a7dd608a0e4.mp4"), "{path:?}");
        assert_eq!(desk.names().len(), 1, "{:?}", desk.names());
        let heads = server.requests();
        assert!(wanted(&heads.last().unwrap().1).is_some(), "it went on");
    }
}

/// Leaves a part as a run leaves it that was killed or cut off from power: more bytes than were surely written.
async fn interrupted(desk: &Desk, at: usize) -> (PathBuf, PathBuf) {
    let held = vec![Step::Read, Step::Write(cut(at, ETAG))];
    let server = RawServer::start(vec![held, vec![Step::Read, Step::Reset]]).await;
    desk.save_from(&server).await.unwrap_err();
    left_by(desk)
}

/// Returns the part that lies in the folder, and its note.
fn left_by(desk: &Desk) -> (PathBuf, PathBuf) {
    let find = |ending: &str| {
        let names = desk.names();
        let name = names.iter().find(|name| name.ends_with(ending)).unwrap();
        desk.folder.path().join("videos").join(name)
    };
    (find(".part"), find(".meta"))
}

/// Returns a note as it would be of a part from that server.
fn note_for(server: &RawServer, note: &Path, synced: usize) -> String {
    let text = fs::read_to_string(note).unwrap();
    let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
    let link = format!("{}/v.mp4\0", server.origin());
    value["link"] = format!("{:016x}", fnv(link.as_bytes())).into();
    value["synced"] = synced.into();
    value["sum"] = fnv(&FILM[..synced]).into();
    value.to_string()
}

/// Returns FNV-1a, as written down for good: a part must be found again by a later version.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[tokio::test]
async fn only_what_is_surely_on_the_disk_counts_after_a_crash() {
    type Damage = fn(&mut Vec<u8>);
    let damages: [(&str, Damage, bool); 5] = [
        ("a byte somebody changed", |part| part[4_000] ^= 1, false),
        (
            "bytes beyond the note",
            |part| part.extend_from_slice(&[0; 5_000]),
            true,
        ),
        ("fewer bytes than noted", |part| part.truncate(4_000), false),
        ("an empty part", Vec::clear, false),
        ("as it was left", |_| {}, true),
    ];
    for (name, damage, goes_on) in damages {
        for at in [6_000, 20_000, FILM.len() - 1] {
            let server = RawServer::start(vec![reply(|head| match wanted(head) {
                Some(_) => rest(head, ETAG),
                None => whole(FILM, ETAG),
            })])
            .await;
            let desk = Desk::new(LIMITS);
            let (part, note) = interrupted(&desk, at).await;
            let synced = fs::metadata(&part).unwrap().len().min(5_000);
            fs::write(
                &note,
                note_for(&server, &note, usize::try_from(synced).unwrap()),
            )
            .unwrap();
            let mut bytes = fs::read(&part).unwrap();
            damage(&mut bytes);
            fs::write(&part, bytes).unwrap();

            let mut server = server;
            let path = desk.save_from(&server).await.unwrap();

            assert_eq!(fs::read(path).unwrap(), FILM, "{name}");
            let from = wanted(&server.requests()[0].1);
            assert_eq!(
                from,
                goes_on.then_some(usize::try_from(synced).unwrap()),
                "{name}"
            );
        }
    }
}

#[tokio::test]
async fn a_note_that_cannot_be_trusted_begins_anew() {
    for text in [
        "",
        "{",
        "[]",
        "{\"link\":\"x\"}",
        "{\"link\":\"0\",\"synced\":-1}",
        "{\"link\":\"0\",\"total\":5,\"synced\":500}",
        "\0\0\0\0",
    ] {
        let desk = Desk::new(LIMITS);
        let (_, note) = interrupted(&desk, 20_000).await;
        fs::write(note, text).unwrap();
        let mut server = RawServer::answering(whole(FILM, ETAG)).await;

        let path = desk.save_from(&server).await.unwrap();

        assert_eq!(fs::read(path).unwrap(), FILM, "{text}");
        assert_eq!(wanted(&server.requests()[0].1), None, "{text}");
    }
}

#[tokio::test]
async fn a_whole_part_gets_its_name_only_for_the_result_it_is_of() {
    for is_same in [true, false] {
        let mut server = RawServer::answering(whole(OTHER, ETAG)).await;
        let desk = Desk::new(LIMITS);
        let order = desk.order(&format!("{}/v.mp4?file=1", server.origin()));
        let before = RawServer::start(vec![vec![Step::Read, Step::Write(cut(20_000, ETAG))]]).await;
        let first = SaveOrder {
            url: VideoUrl::parse(&format!("{}/v.mp4?file=1", before.origin())).unwrap(),
            ..order.clone()
        };
        desk.downloader.save(&first, &|_| {}).await.unwrap_err();
        let (part, note) = left_by(&desk);
        // Naming failed when all was here.
        fs::write(&part, FILM).unwrap();
        fs::write(&note, note_for(&before, &note, FILM.len())).unwrap();

        let path = desk
            .downloader
            .save(if is_same { &first } else { &order }, &|_| {})
            .await
            .unwrap();

        let expected = if is_same { FILM } else { OTHER };
        assert_eq!(fs::read(path).unwrap(), expected);
        assert_eq!(server.requests().len(), usize::from(!is_same));
    }
}

#[tokio::test]
async fn a_part_of_another_task_is_not_gone_on_with() {
    let desk = Desk::new(LIMITS);
    let (_, note) = interrupted(&desk, 20_000).await;
    let mut server = RawServer::answering(whole(OTHER, ETAG)).await;
    let text = note_for(&server, &note, 5_000).replace("774d9a7d", "00000000");
    fs::write(&note, text).unwrap();

    let path = desk.save_from(&server).await.unwrap();

    assert_eq!(fs::read(path).unwrap(), OTHER);
    assert_eq!(wanted(&server.requests()[0].1), None);
}

#[tokio::test]
async fn a_damaged_mark_in_the_note_costs_no_more_than_the_part() {
    for mark in ["\"v\u{1}\"", "\"v\n\"", "\"\u{7f}", "\"v2\"", "\u{e9}"] {
        let desk = Desk::new(LIMITS);
        let (_, note) = interrupted(&desk, 20_000).await;
        let mut server = RawServer::answering(whole(FILM, ETAG)).await;
        let text = note_for(&server, &note, 5_000);
        let mut value: serde_json::Value = serde_json::from_str(&text).unwrap();
        value["etag"] = mark.into();
        value["modified"] = mark.into();
        fs::write(&note, value.to_string()).unwrap();

        let path = desk.save_from(&server).await.unwrap();

        assert_eq!(fs::read(path).unwrap(), FILM, "{mark:?}");
        assert_eq!(server.requests().len(), 1, "{mark:?}");
    }
}

#[tokio::test]
async fn what_lies_in_the_place_of_the_note_neither_hangs_nor_feeds_us() {
    type Put = fn(&Path);
    let fifo: Put = |path| {
        let made = std::process::Command::new("mkfifo").arg(path).status();
        assert!(made.unwrap().success());
    };
    let endless: Put = |path| std::os::unix::fs::symlink("/dev/zero", path).unwrap();
    for put in [fifo, endless] {
        let desk = Desk::new(LIMITS);
        let (_, note) = interrupted(&desk, 20_000).await;
        fs::remove_file(&note).unwrap();
        put(&note);
        put(&note.with_extension("meta.new"));
        let server = RawServer::answering(whole(FILM, ETAG)).await;

        let path = desk.save_from(&server).await.unwrap();

        assert_eq!(fs::read(path).unwrap(), FILM);
    }
}

#[tokio::test]
async fn a_hard_link_in_the_place_of_the_part_is_not_written_through() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::new(LIMITS);
    let (part, note) = interrupted(&desk, 20_000).await;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&part), mode(&note)), (0o600, 0o600));
    let victim = desk.folder.path().join("videos/victim.meta");
    fs::write(&victim, "precious").unwrap();
    fs::remove_file(&part).unwrap();
    fs::hard_link(&victim, &part).unwrap();
    let server = RawServer::answering(whole(FILM, "")).await;

    let path = desk.save_from(&server).await.unwrap();

    assert_eq!(fs::read(&path).unwrap(), FILM);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert_eq!(mode(&path) & !0o644, 0, "{:o}", mode(&path));
    assert_eq!(mode(&path) & 0o600, 0o600);
}

#[tokio::test]
async fn after_a_redirect_the_host_that_failed_is_named() {
    // Nobody listens there.
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = gone.local_addr().unwrap().port();
    drop(gone);
    let to = format!("Location: http://localhost:{port}/v.mp4\r\n");
    let server = RawServer::answering(answer("302 Found", &to, 0, b"")).await;
    let desk = Desk::new(LIMITS);

    let error = desk.save_from(&server).await.unwrap_err();

    assert!(error.message().contains("localhost"), "{}", error.message());
}

#[tokio::test]
async fn nothing_that_is_there_is_replaced() {
    let server = RawServer::answering(whole(FILM, "")).await;
    let desk = Desk::new(LIMITS);
    let videos = desk.folder.path().join("videos");
    fs::create_dir(&videos).unwrap();
    fs::write(desk.final_path(), "mine").unwrap();
    let second = videos.join("neon-city-774d9a7dd608a0e4-2.mp4");
    std::os::unix::fs::symlink(desk.folder.path().join("outside"), &second).unwrap();

    let path = desk.save_from(&server).await.unwrap();

    assert_eq!(path, videos.join("neon-city-774d9a7dd608a0e4-3.mp4"));
    assert_eq!(fs::read(&path).unwrap(), FILM);
    assert_eq!(fs::read(desk.final_path()).unwrap(), b"mine");
    assert!(!desk.folder.path().join("outside").exists());
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o111, 0, "a video is no program");
}

#[tokio::test]
async fn a_link_in_the_place_of_the_part_is_not_followed() {
    let desk = Desk::new(LIMITS);
    let (part, _) = interrupted(&desk, 20_000).await;
    let outside = desk.folder.path().join("outside");
    for target in ["outside", "videos"] {
        fs::remove_file(&part).unwrap();
        std::os::unix::fs::symlink(desk.folder.path().join(target), &part).unwrap();
        let server = RawServer::answering(whole(FILM, "")).await;

        let error = desk.save_from(&server).await.unwrap_err();

        assert!(matches!(error, SaveError::Folder(_)), "{error:?}");
        assert!(!outside.exists());
    }
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() {
    let server = RawServer::answering(whole(FILM, "")).await;
    let desk = Desk::new(LIMITS);
    fs::write(desk.folder.path().join("videos"), "a file").unwrap();

    let error = desk.save_from(&server).await.unwrap_err();

    assert!(error.message().contains("videos"), "{}", error.message());
    assert!(matches!(error, SaveError::Folder(_)), "{error:?}");
}

#[tokio::test]
async fn two_never_write_the_same_part() {
    let held = vec![Step::Read, Step::Write(cut(20_000, ETAG)), Step::Hold];
    let server = RawServer::start(vec![held, reply(|head| rest(head, ETAG))]).await;
    let desk = Desk::new(LIMITS);
    let order = desk.order(&format!("{}/v.mp4", server.origin()));
    let other = HttpDownloader::new(Reach::ThisMachine, Arc::clone(&desk.links) as _, LIMITS);
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let telling = move |progress: Progress| tell.send(progress).unwrap();
    let saving = desk.downloader.save(&order, &telling);
    let asking = async {
        told.recv().await.unwrap();
        other.save(&order, &|_| {}).await
    };

    let result = tokio::select! {
        _ = saving => panic!("it cannot end"),
        result = asking => result,
    };

    assert_eq!(result, Err(SaveError::Busy));
}

#[tokio::test]
async fn no_more_than_two_run_at_a_time() {
    let held = vec![Step::Read, Step::Write(cut(20_000, ETAG)), Step::Hold];
    let server = RawServer::start(vec![held]).await;
    let desk = Desk::new(LIMITS);
    let orders: Vec<_> = (1..=4)
        .map(|number| SaveOrder {
            number,
            of: 4,
            ..desk.order(&format!("{}/{number}.mp4", server.origin()))
        })
        .collect();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let saves = orders.iter().enumerate().map(|(at, order)| {
        let tell = tell.clone();
        let downloader = &desk.downloader;
        async move {
            let telling = move |_: Progress| tell.send(at).unwrap();
            downloader.save(order, &telling).await
        }
    });
    let all = futures_util::future::join_all(saves);
    let watch = async {
        let mut begun = std::collections::BTreeSet::new();
        while begun.len() < 2 {
            begun.insert(told.recv().await.unwrap());
        }
        // Nothing but a third start could say anything now.
        tokio::time::timeout(Duration::from_millis(300), async {
            while begun.len() < 3 {
                begun.insert(told.recv().await.unwrap());
            }
        })
        .await
    };

    tokio::select! {
        _ = all => panic!("they cannot end"),
        third = watch => assert!(third.is_err(), "a third one began"),
    }
}
