//! The real loop with fakes behind the ports: minutes of polling in milliseconds, on paused time.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code: what is not as expected is to fail loudly"
)]

#[path = "runtime/store_thread.rs"]
mod store_thread;
mod support;

use std::{
    collections::BTreeSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use futures_util::{Stream, StreamExt as _, stream};
use jiff::Timestamp;
use kietop::{
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
        list_change::{ChangeResult, ExternalChange, JournalLine, ListChange, StoreError},
        poll_result::{Observation, PollResult},
        preview::{PreviewError, PreviewMode},
        query::ListView,
        raw_response::RawResponse,
        response_notes::ResponseNotes,
        saved_session::SavedSession,
        task::{CallbackStatus, Family, TaskDetails, TaskId, TaskState},
        time::{Mono, Now},
        watched_task::WatchedTask,
    },
    ports::{
        BoxFuture, Clipboard, Clock, ComparisonViewer, Downloader, Exporter, FrameReader,
        InputProvider, ListStore, Notifier, TaskApi, VideoFrame, VideoOpener,
    },
    runtime::{
        self, Display,
        effects::{OpenStore, OpenedStore, Services},
        input::InputEvent,
    },
    ui::theme::Theme,
};
use ratatui::{Frame, Terminal, backend::TestBackend, buffer::Buffer, style::Color};
use support::{now, task};
use tokio::{sync::mpsc, time};

/// Follows tokio's own, paused, time.
#[derive(Debug)]
struct PausedClock(time::Instant);

impl Clock for PausedClock {
    fn now(&self) -> Now {
        let since = self.0.elapsed();
        Now {
            wall: kietop::domain::time::saturating_add(now().wall, since),
            mono: Mono::at(since),
        }
    }
}

/// Answers after a time of its own; panics when told to.
#[derive(Debug)]
struct FakeApi {
    latency: Duration,
    finishes_after: Duration,
    started: time::Instant,
    requests: mpsc::UnboundedSender<(TaskId, Duration)>,
}

impl TaskApi for FakeApi {
    fn poll<'a>(
        &'a self,
        task: &'a TaskId,
        _: Family,
        _: &'a mut ResponseNotes,
    ) -> BoxFuture<'a, PollResult> {
        Box::pin(async move {
            let at = self.started.elapsed();
            self.requests.send((task.clone(), at)).unwrap();
            time::sleep(self.latency).await;
            assert!(task.as_str() != "panics", "a port that breaks");
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
            Ok(Observation {
                state,
                details: TaskDetails::default(),
                raw: "{}".into(),
            })
        })
    }
}

#[derive(Debug)]
struct FakeStore {
    tasks: Vec<WatchedTask>,
    changes: mpsc::UnboundedSender<ListChange>,
    loaded: std::sync::mpsc::Sender<()>,
}

impl ListStore for FakeStore {
    fn load(&mut self) -> Result<Vec<WatchedTask>, StoreError> {
        // As from a disk: what has not ended is due at once.
        let due = |watched: WatchedTask| {
            let saves = watched.saved_results;
            let restored = WatchedTask::from_stored(
                watched.task,
                watched.label,
                watched.added,
                watched.poll_history,
            );
            WatchedTask {
                saved_results: saves,
                ..restored
            }
        };
        Ok(self.tasks.iter().cloned().map(due).collect())
    }
    fn apply(&mut self, changes: &[ListChange]) -> Result<Vec<ChangeResult>, StoreError> {
        for change in changes {
            self.changes.send(change.clone()).unwrap();
        }
        Ok(changes.iter().map(|_| ChangeResult::Recorded).collect())
    }
    fn external_changes(&mut self) -> Result<Vec<ExternalChange>, StoreError> {
        Ok(Vec::new())
    }
    fn read_raw_response(&mut self, _: &TaskId) -> Result<Option<RawResponse>, StoreError> {
        Ok(Some(RawResponse::parse(now().wall, "{\"taskId\":\"a\"}")))
    }
    fn save_last_seen(&mut self, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
    fn read_journal(&mut self, _: &TaskId, _: usize) -> Result<Vec<JournalLine>, StoreError> {
        self.loaded.send(()).unwrap_or_default();
        Ok(Vec::new())
    }
    fn load_session(&mut self) -> Result<SavedSession, StoreError> {
        Ok(SavedSession::default())
    }
    fn save_session(&mut self, _: &ListView) -> Result<(), StoreError> {
        Ok(())
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
        Err("There is no desktop here.".into())
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
        panic!("a part that breaks is answered for all the same")
    }
}

/// Tells that half of a file is here, and then holds it for ever.
#[derive(Debug)]
struct HalfDownloader;

impl Downloader for HalfDownloader {
    fn download<'a>(
        &'a self,
        _: &'a DownloadRequest,
        told: &'a (dyn Fn(TransferProgress) + Send + Sync),
    ) -> BoxFuture<'a, Result<std::path::PathBuf, DownloadError>> {
        Box::pin(async {
            told(TransferProgress {
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

/// Paints inputs red and results green.
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
            assert!(!name.contains("breaks"), "a port that breaks");
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

/// Draws into memory and counts the frames.
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

/// Returns the settings of someone who wants to hear of endings.
fn test_settings() -> AppSettings {
    let mut settings = AppSettings::default();
    settings.notifications.channels = NotifyChannel::ALL.to_vec();
    settings.preview_mode = PreviewMode::HalfBlocks;
    settings
}

/// Returns the colours of pictures.
fn background_colours(buffer: &Buffer) -> BTreeSet<String> {
    let cells = buffer.content().iter().flat_map(|cell| [cell.fg, cell.bg]);
    let exact = cells.filter(|colour| matches!(colour, Color::Rgb(..)));
    exact.map(|colour| colour.to_string()).collect()
}

/// Returns a list just opened.
fn opened_store(store: impl ListStore + 'static) -> OpenedStore {
    OpenedStore {
        store: Box::new(store),
        watch: None,
    }
}

/// Returns an outside of fakes, but for that list and that API.
fn fake_services(started: time::Instant, api: FakeApi, open_store: OpenStore) -> Services {
    Services {
        clock: Arc::new(PausedClock(started)),
        api: Arc::new(api),
        limiter: None,
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

/// Runs the loop over keys that come at their times.
async fn run_loop(
    tasks: Vec<WatchedTask>,
    takes: u64,
    ends_after: u64,
    keys: Vec<(u64, char)>,
) -> RunResult {
    let started = time::Instant::now();
    let (asked, mut all_asked) = mpsc::unbounded_channel();
    let (written, mut all_written) = mpsc::unbounded_channel();
    let (is_read, reading) = std::sync::mpsc::channel();
    // The list is read on a thread of its own, for which paused time does not wait; for blocking
    // tasks it does.
    let patience =
        tokio::task::spawn_blocking(move || reading.recv_timeout(Duration::from_secs(20)));
    let api = FakeApi {
        latency: Duration::from_secs(takes),
        finishes_after: Duration::from_secs(ends_after),
        started,
        requests: asked,
    };
    let open_store: OpenStore = Box::new(move |_| {
        let store = FakeStore {
            tasks: tasks.clone(),
            changes: written.clone(),
            loaded: is_read.clone(),
        };
        Ok(opened_store(store))
    });
    let outside = fake_services(started, api, open_store);
    let mut paper = MemoryDisplay::new();
    let (_alive, interruptions) = mpsc::channel(1);
    let code = runtime::run(
        &mut paper,
        typed_keys(started, keys),
        interruptions,
        State::new(test_settings()),
        Theme::monochrome().into(),
        outside,
    )
    .await;
    patience.await.unwrap().expect("the list was read");
    let mut run = RunResult {
        code,
        screen: paper.terminal.backend().to_string(),
        colours: background_colours(paper.terminal.backend().buffer()),
        frames: paper.frames,
        titles: paper.titles,
        requests: paper.requests,
        poll_times: Vec::new(),
        changes: Vec::new(),
    };
    while let Ok(asked) = all_asked.try_recv() {
        run.poll_times.push(asked);
    }
    while let Ok(change) = all_written.try_recv() {
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
        "asked {} times",
        run.poll_times.len()
    );
    assert!(
        run.poll_times
            .iter()
            .all(|(_, at)| *at < Duration::from_secs(340)),
        "not after its end"
    );
    assert!(
        matches!(run.changes.last(), Some(ListChange::Observed { .. })),
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
        "left at the second q, five seconds before any answer could matter"
    );
    assert!(
        run.poll_times.len() <= 8,
        "at most four at a time: {}",
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

    let asked = |name: &str| {
        run.poll_times
            .iter()
            .filter(|(id, _)| id.as_str() == name)
            .count()
    };
    assert_eq!(run.code, 0);
    assert!(asked("b") >= 2, "the others go on");
    assert!(asked("panics") >= 2, "it is asked again");
}

#[tokio::test(start_paused = true)]
async fn a_failed_comparison_shows_a_message() {
    let ready = task("a").ready("5m").created("14:00");
    let tasks = vec![ready.source("https://ex.com/in.mp4").build()];

    let run = run_loop(tasks, 1, 0, vec![(5, 'b'), (10, 'q')]).await;

    assert!(run.screen.contains("Showing them broke."), "{}", run.screen);
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
        ("/saved/breaks.mp4", vec![], &[]),
    ] {
        let keys = [keys, vec![(10, '\u{3}')]].concat();

        let run = run_loop(vec![saved_task("a", file)], 1, 0, keys).await;

        let found: Vec<_> = run.colours.iter().map(String::as_str).collect();
        assert_eq!(found, colours, "{}", run.screen);
        let is_broken = file.contains("breaks");
        assert_eq!(run.screen.contains("preview failed"), is_broken);
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

    let said = "Opened the saved file (/cache/input.mp4).";
    assert!(run.screen.contains(said), "{}", run.screen);
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
        matches!(&run.changes[..], [ListChange::SaveBegun { .. }]),
        "it is offered again at the next start: {:?}",
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
