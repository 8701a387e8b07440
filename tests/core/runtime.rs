//! The real event loop with fake services on paused time: minutes of polling in milliseconds.

mod store_thread;

use std::{
    cell::OnceCell,
    collections::BTreeSet,
    future, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::{Stream, StreamExt as _, stream};
use kietop::{
    adapters::limited_client::{LimitedClient, shared_limiter::SharedLimiter},
    app::{
        keymap::KeyChord,
        msg::TerminalRequest,
        notifications::NotifyChannel,
        state::{AppSettings, State},
    },
    domain::download::{DownloadError, DownloadRequest, TransferProgress},
    domain::{
        comparison::{Comparison, VideoSource},
        link::{Links, VideoUrl},
        list_change::{ChangeKind, ListChange, StoreError},
        poll_request::PollRequest,
        poll_result::Observation,
        preview::{PreviewError, PreviewMode},
        raw_response::RawResponse,
        response_notes::ResponseNotes,
        store_request::{StoreReply, StoreRequest},
        task::{CallbackStatus, Family, TaskDetails, TaskId, TaskState},
        time::{Mono, Now},
        watched_task::WatchedTask,
    },
    ports::{
        BoxFuture, Clipboard, Clock, ComparisonViewer, Downloader, Exporter, FrameReader,
        InputProvider, ListStore, Notifier, PollStart, TaskApi, VideoFrame, VideoOpener,
    },
    runtime::{
        self, Display,
        effects::{OpenStore, OpenedStore, Services},
        input::InputEvent,
    },
    ui::theme::Theme,
};
use ratatui::{Frame, Terminal, backend::TestBackend, buffer::Buffer, style::Color};
use tokio::{sync::mpsc, time};

use crate::support::{fake_list::FakeList, now, task};

/// A clock on tokio's paused time.
#[derive(Debug)]
struct PausedClock(time::Instant);

impl Clock for PausedClock {
    fn now(&self) -> Now {
        let elapsed = self.0.elapsed();
        Now {
            wall: kietop::domain::time::saturating_add(now().wall, elapsed),
            mono: Mono::at(elapsed),
        }
    }
}

/// An API with latency; it panics for the task "panics".
#[derive(Debug)]
struct FakeApi {
    latency: Duration,
    finishes_after: Duration,
    started: time::Instant,
    requests: mpsc::UnboundedSender<(TaskId, Duration)>,
}

impl TaskApi for FakeApi {
    fn start_poll(&self, request: PollRequest) -> PollStart<'_> {
        let task = request.task;
        let answer: BoxFuture<'_, _> = Box::pin(async move {
            let at = self.started.elapsed();
            self.requests.send((task.clone(), at)).unwrap();
            time::sleep(self.latency).await;
            assert!(task.as_str() != "panics", "a panicking service");
            let videos = Links::parse(["https://ex.com/1.mp4"]);
            let state = if at < self.finishes_after {
                TaskState::Running {
                    is_finishing: false,
                }
            } else {
                TaskState::Succeeded {
                    videos,
                    callback: CallbackStatus::Delivered,
                }
            };
            let observation = Observation {
                state,
                details: TaskDetails::default(),
                raw: "{}".into(),
            };
            (Ok(observation), ResponseNotes::default())
        });
        Box::pin(future::ready(Ok(answer)))
    }
}

/// A list that reports what is written and read.
#[derive(Debug)]
struct FakeStore {
    list: FakeList,
    changes: mpsc::UnboundedSender<ListChange>,
    journal_read: std::sync::mpsc::Sender<()>,
}

impl ListStore for FakeStore {
    fn handle(&mut self, request: &StoreRequest) -> Result<StoreReply, StoreError> {
        if let StoreRequest::Write(changes) = request {
            for change in changes {
                self.changes.send(change.clone()).unwrap();
            }
        } else if let StoreRequest::ReadJournal(_) = request {
            self.journal_read.send(()).unwrap_or_default();
        } else if let StoreRequest::ReadRawResponse(_) = request {
            let response = RawResponse::parse(now().wall, "{\"taskId\":\"a\"}");
            return Ok(StoreReply::RawResponse(Some(Arc::new(response))));
        }
        self.list.handle(request)
    }
}

#[derive(Debug)]
struct NullBrowser;

#[derive(Debug)]
struct NullPrograms;

impl Clipboard for NullPrograms {
    fn copy(&self, _: &str) -> Result<String, String> {
        Err("no clipboard program found".into())
    }
}

impl Exporter for NullPrograms {
    fn to_json(&self, tasks: &[WatchedTask]) -> String {
        format!("{} records", tasks.len())
    }
    fn to_curl(&self, tasks: &[(TaskId, Family)]) -> String {
        format!("{} commands", tasks.len())
    }
}

impl Notifier for NullPrograms {
    fn show(&self, _: &str, _: &str) -> Result<(), String> {
        Err("no desktop".into())
    }
    fn run_command(&self, _: &[String], _: &[(&'static str, String)]) -> Result<(), String> {
        Ok(())
    }
}

impl VideoOpener for NullBrowser {
    fn open(&self, _: &VideoUrl) -> Result<(), String> {
        Err("No display.".into())
    }
    fn open_file(&self, _: &Path) -> Result<(), String> {
        Ok(())
    }
}

impl ComparisonViewer for NullBrowser {
    fn show_comparison(&self, _: &Comparison) -> Result<(), String> {
        panic!("a panicking service")
    }
}

/// Reports half of a download and never finishes.
#[derive(Debug)]
struct HalfDownloader;

impl Downloader for HalfDownloader {
    fn download<'a>(
        &'a self,
        _: &'a DownloadRequest,
        progress: &'a (dyn Fn(TransferProgress) + Send + Sync),
    ) -> BoxFuture<'a, Result<std::path::PathBuf, DownloadError>> {
        Box::pin(async {
            progress(TransferProgress {
                bytes: 5,
                total: Some(10),
                rate: 1,
            });
            std::future::pending().await
        })
    }
    fn file_exists(&self, _: &std::path::Path) -> bool {
        true
    }
    fn is_being_downloaded(&self, _: &DownloadRequest) -> bool {
        true
    }
}

/// Returns red frames for inputs and green ones for results; darker at the start of the video.
#[derive(Debug)]
struct FakeFrameReader;

impl FrameReader for FakeFrameReader {
    fn read_frame<'a>(
        &'a self,
        file: &'a Path,
        at: Duration,
    ) -> BoxFuture<'a, Result<VideoFrame, PreviewError>> {
        Box::pin(async move {
            let name = file.to_str().unwrap();
            assert!(!name.contains("panics"), "a panicking service");
            if name.contains("short") && !at.is_zero() {
                return Err(PreviewError::Unreadable);
            }
            let pixel = match (name.contains("input"), at.is_zero()) {
                (true, false) => [200, 0, 0],
                (true, true) => [100, 0, 0],
                (false, false) => [0, 200, 0],
                (false, true) => [0, 100, 0],
            };
            VideoFrame::new(2, 1, [pixel, pixel].concat()).ok_or(PreviewError::Panicked)
        })
    }
}

impl InputProvider for FakeFrameReader {
    fn fetch_input<'a>(
        &'a self,
        task: &'a TaskId,
        _: &'a VideoSource,
    ) -> BoxFuture<'a, Result<PathBuf, PreviewError>> {
        Box::pin(async {
            if task.as_str() == "far" {
                std::future::pending::<()>().await;
            }
            Ok("/cache/input.mp4".into())
        })
    }

    fn cached_file(&self, link: &VideoUrl) -> Option<PathBuf> {
        (link.as_str() == "https://ex.com/in.mp4").then(|| "/cache/input.mp4".into())
    }
}

/// A display in memory that records frames, titles and requests.
struct MemoryDisplay {
    terminal: Terminal<TestBackend>,
    frames: usize,
    titles: Vec<String>,
    requests: Vec<TerminalRequest>,
    screens: Vec<String>,
}

impl MemoryDisplay {
    fn new() -> Self {
        Self {
            terminal: Terminal::new(TestBackend::new(120, 36)).unwrap(),
            frames: 0,
            titles: Vec::new(),
            requests: Vec::new(),
            screens: Vec::new(),
        }
    }
}

impl Display for MemoryDisplay {
    fn size(&self) -> io::Result<(u16, u16)> {
        Ok((120, 36))
    }
    fn draw(&mut self, view: &mut dyn FnMut(&mut Frame<'_>)) -> io::Result<()> {
        self.frames += 1;
        self.terminal
            .draw(|frame| view(frame))
            .map_err(io::Error::other)?;
        self.screens.push(self.terminal.backend().to_string());
        Ok(())
    }
    fn invalidate(&mut self) {}
    fn suspend(&mut self) -> io::Result<()> {
        Ok(())
    }
    fn resume(&mut self) -> io::Result<bool> {
        Ok(true)
    }
    fn set_title(&mut self, title: &str) -> io::Result<()> {
        if self.titles.last().is_none_or(|last| last != title) {
            self.titles.push(title.to_owned());
        }
        Ok(())
    }
    fn send_request(&mut self, request: &TerminalRequest) -> io::Result<()> {
        self.requests.push(request.clone());
        Ok(())
    }
}

struct RunResult {
    code: i32,
    screen: String,
    colours: BTreeSet<String>,
    frames: usize,
    poll_times: Vec<(TaskId, Duration)>,
    changes: Vec<ListChange>,
    titles: Vec<String>,
    requests: Vec<TerminalRequest>,
}

/// Returns settings with all notification channels and previews.
fn test_settings() -> AppSettings {
    let mut settings = AppSettings::default();
    settings.notifications.channels = NotifyChannel::ALL.to_vec();
    settings.preview_mode = PreviewMode::HalfBlocks;
    settings
}

/// Returns the RGB colours, which only previews use.
fn background_colours(buffer: &Buffer) -> BTreeSet<String> {
    let cells = buffer.content().iter().flat_map(|cell| [cell.fg, cell.bg]);
    let rgb = cells.filter(|colour| matches!(colour, Color::Rgb(..)));
    rgb.map(|colour| colour.to_string()).collect()
}

fn opened_store(store: impl ListStore + 'static) -> OpenedStore {
    OpenedStore {
        store: Box::new(store),
        watch: None,
    }
}

/// Returns the paused time, for the limiter.
fn paused_time() -> Mono {
    thread_local! {
        static START: OnceCell<time::Instant> = const { OnceCell::new() };
    }
    START.with(|start| Mono::at(start.get_or_init(time::Instant::now).elapsed()))
}

/// Returns fake services with this API and this list.
fn fake_services(started: time::Instant, api: FakeApi, open_store: OpenStore) -> Services {
    let limiter = SharedLimiter::in_memory(paused_time);
    Services {
        clock: Arc::new(PausedClock(started)),
        api: Arc::new(LimitedClient::new(api, Arc::new(limiter))),
        opener: Arc::new(NullBrowser),
        comparison_viewer: Arc::new(NullBrowser),
        frame_reader: Arc::new(FakeFrameReader),
        input_provider: Arc::new(FakeFrameReader),
        downloader: Arc::new(HalfDownloader),
        clipboard: Arc::new(NullPrograms),
        exporter: Arc::new(NullPrograms),
        notifier: Arc::new(NullPrograms),
        open_store,
    }
}

/// Runs the event loop with keys at these seconds.
async fn run_loop(
    tasks: Vec<WatchedTask>,
    latency: u64,
    finishes_after: u64,
    keys: Vec<(u64, char)>,
) -> RunResult {
    let started = time::Instant::now();
    let (request_sender, mut requests) = mpsc::unbounded_channel();
    let (change_sender, mut changes) = mpsc::unbounded_channel();
    let (journal_sender, journal_reads) = std::sync::mpsc::channel();
    // The list is read on its own thread. Paused time does not wait for threads, but for blocking
    // tasks.
    let wait_for_read =
        tokio::task::spawn_blocking(move || journal_reads.recv_timeout(Duration::from_secs(20)));
    let api = FakeApi {
        latency: Duration::from_secs(latency),
        finishes_after: Duration::from_secs(finishes_after),
        started,
        requests: request_sender,
    };
    let open_store = OpenStore::new(move |_| {
        let store = FakeStore {
            list: FakeList::with(tasks.clone()),
            changes: change_sender.clone(),
            journal_read: journal_sender.clone(),
        };
        Ok(opened_store(store))
    });
    let services = fake_services(started, api, open_store);
    let mut display = MemoryDisplay::new();
    let (_alive, interruptions) = mpsc::channel(1);
    let code = runtime::run(
        &mut display,
        typed_keys(started, keys),
        interruptions,
        State::new(test_settings()),
        Theme::monochrome().into(),
        services,
    )
    .await;
    wait_for_read.await.unwrap().expect("the list was read");
    let mut run = RunResult {
        code,
        screen: display.terminal.backend().to_string(),
        colours: background_colours(display.terminal.backend().buffer()),
        frames: display.frames,
        titles: display.titles,
        requests: display.requests,
        poll_times: Vec::new(),
        changes: Vec::new(),
    };
    while let Ok(request) = requests.try_recv() {
        run.poll_times.push(request);
    }
    while let Ok(change) = changes.try_recv() {
        run.changes.push(change);
    }
    run
}

fn typed_keys(
    started: time::Instant,
    keys: Vec<(u64, char)>,
) -> impl Stream<Item = io::Result<InputEvent>> {
    stream::iter(keys)
        .then(move |(at, key)| async move {
            time::sleep_until(started + Duration::from_secs(at)).await;
            Ok(InputEvent::Key {
                chord: match key {
                    '\u{3}' => KeyChord::ctrl('c'),
                    key => KeyChord::char(key),
                },
                is_repeat: false,
            })
        })
        .chain(stream::pending())
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_of_polling_end_with_a_video() {
    let run = run_loop(
        vec![task("a").running().created("14:31").build()],
        1,
        300,
        vec![(600, 'q')],
    )
    .await;

    assert_eq!(run.code, 0);
    assert!(run.screen.contains("ready"), "{}", run.screen);
    assert!(
        (10..30).contains(&run.poll_times.len()),
        "polled {} times",
        run.poll_times.len()
    );
    assert!(
        run.poll_times
            .iter()
            .all(|(_, at)| *at < Duration::from_secs(340)),
        "no poll after it finished"
    );
    assert!(
        matches!(
            run.changes.last(),
            Some(ListChange {
                kind: ChangeKind::Checked(_),
                ..
            })
        ),
        "{:?}",
        run.changes.last()
    );
    assert!(run.frames < 1000, "{} frames in ten minutes", run.frames);
}

#[tokio::test(start_paused = true)]
async fn keys_work_while_hundreds_of_checks_are_slow() {
    let tasks = (0..200)
        .map(|n| task(&format!("t{n:03}")).running().created("14:30").build())
        .collect();

    let run = run_loop(
        tasks,
        5,
        10_000,
        vec![(3, 'G'), (6, '?'), (7, 'q'), (8, 'q')],
    )
    .await;

    assert_eq!(
        run.code, 0,
        "quit at the second q, without waiting for responses"
    );
    assert!(
        run.poll_times.len() <= 8,
        "at most four polls at a time: {}",
        run.poll_times.len()
    );
}

#[tokio::test(start_paused = true)]
async fn a_panicking_service_is_still_answered() {
    let tasks = vec![
        task("panics").running().created("14:31").build(),
        task("b").running().created("14:30").build(),
    ];

    let run = run_loop(tasks, 1, 10_000, vec![(60, 'q')]).await;

    let poll_count = |name: &str| {
        run.poll_times
            .iter()
            .filter(|(id, _)| id.as_str() == name)
            .count()
    };
    assert_eq!(run.code, 0);
    assert!(poll_count("b") >= 2, "other tasks are still polled");
    assert!(poll_count("panics") >= 2, "it is polled again");
}

#[tokio::test(start_paused = true)]
async fn a_failed_comparison_shows_a_message() {
    let ready = task("a").ready("5m").created("14:00");
    let tasks = vec![ready.source("https://ex.com/in.mp4").build()];

    let run = run_loop(tasks, 1, 0, vec![(5, 'b'), (10, 'q')]).await;

    assert!(
        run.screen.contains("The comparison crashed (a bug)."),
        "{}",
        run.screen
    );
}

fn saved_task(name: &str, file: &str) -> WatchedTask {
    let ready = task(name).ready("5m").created("14:00");
    let mut watched = ready.source("https://ex.com/in.mp4").build();
    watched.saved_results.add(1, file.into());
    watched
}

#[tokio::test(start_paused = true)]
async fn previews_are_shown_and_hidden_by_dialogs() {
    for (file, keys, colours) in [
        ("/saved/a.mp4", vec![], &["#00C800", "#C80000"][..]),
        ("/saved/short.mp4", vec![], &["#006400", "#640000"]),
        ("/saved/a.mp4", vec![(5, '?')], &[]),
        (
            "/saved/a.mp4",
            vec![(5, '?'), (6, '?')],
            &["#00C800", "#C80000"],
        ),
        ("/saved/panics.mp4", vec![], &[]),
    ] {
        let keys = [keys, vec![(10, '\u{3}')]].concat();

        let run = run_loop(vec![saved_task("a", file)], 1, 0, keys).await;

        let found: Vec<_> = run.colours.iter().map(String::as_str).collect();
        assert_eq!(found, colours, "{}", run.screen);
        let has_failed = file.contains("panics");
        assert_eq!(run.screen.contains("preview failed"), has_failed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_preview_is_cancelled_when_selection_moves() {
    let tasks = vec![
        saved_task("far", "/saved/far.mp4"),
        saved_task("near", "/saved/near.mp4"),
    ];

    let run = run_loop(tasks, 1, 0, vec![(5, 'j'), (10, '\u{3}')]).await;

    let found: Vec<_> = run.colours.iter().map(String::as_str).collect();
    assert_eq!(found, ["#00C800", "#C80000"], "{}", run.screen);
}

#[tokio::test(start_paused = true)]
async fn a_cached_input_is_opened_from_disk() {
    let run = run_loop(
        vec![saved_task("a", "/saved/a.mp4")],
        1,
        0,
        vec![(5, 'O'), (7, 'q')],
    )
    .await;

    let message = "Opened the saved file (/cache/input.mp4).";
    assert!(run.screen.contains(message), "{}", run.screen);
}

#[tokio::test(start_paused = true)]
async fn a_running_save_is_shown_and_does_not_delay_quit() {
    let run = run_loop(
        vec![task("a").created("14:00").ready("5m09s").build()],
        1,
        0,
        vec![(5, 'w'), (10, 'q')],
    )
    .await;

    assert_eq!(run.code, 0);
    assert!(run.screen.contains("50% 5s"), "{}", run.screen);
    assert!(
        matches!(
            &run.changes[..],
            [ListChange {
                kind: ChangeKind::SaveBegun(_),
                ..
            }]
        ),
        "the next start offers it again: {:?}",
        run.changes
    );
}

#[tokio::test(start_paused = true)]
async fn copying_falls_back_to_the_terminal() {
    let tasks = vec![task("a").ready("5m").created("14:00").build()];
    let keys = vec![
        (1, 'y'),
        (2, 'y'),
        (3, 'y'),
        (4, 'j'),
        (5, 'y'),
        (6, 'c'),
        (9, 'q'),
    ];

    let run = run_loop(tasks, 1, 0, keys).await;

    let copies: Vec<_> = run
        .requests
        .iter()
        .map(|request| format!("{request:?}"))
        .collect();
    assert_eq!(
        copies,
        ["Copy(\"a\")", "Copy(\"1 records\")", "Copy(\"1 commands\")"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_finished_task_notifies_on_every_channel() {
    let tasks = vec![task("a").running().created("14:31").build()];

    let run = run_loop(tasks, 1, 20, vec![(120, 'q')]).await;

    assert_eq!(run.titles, ["kietop", "kietop ◐1", "kietop ✓1"]);
    let [
        TerminalRequest::Bell,
        TerminalRequest::Notify { title, body },
    ] = &run.requests[..]
    else {
        panic!("{:?}", run.requests);
    };
    assert_eq!(
        (title.as_str(), body.as_str()),
        ("kietop", "\"a\" is ready.")
    );
}
