//! The real loop with fakes behind the ports: minutes of polling in milliseconds, on paused time.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code: what is not as expected is to fail loudly"
)]

#[path = "runtime/list.rs"]
mod list;
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
        msg::Request,
        state::{Settings, State},
        tidings::NoticeWay,
    },
    domain::save::{Progress, SaveError, SaveOrder},
    domain::{
        change::{Applied, Change, Delta, JournalLine, StoreError},
        comparison::{Clip, Comparison},
        link::{Links, VideoUrl},
        memory::Memory,
        noticed::Noticed,
        picture::{PictureError, Preview},
        query::Lens,
        record::Record,
        report::{Answer, Observation},
        task::{Delivery, Facts, Family, TaskId, TaskState},
        time::{Mono, Now},
        watched::Watched,
    },
    ports::{
        Clipboard, Clock, Comparer, Downloader, FrameReader, InputKeeper, ListStore, Notifier,
        Opener, Pending, Scribe, Still, TaskApi,
    },
    runtime::{
        self, Surface,
        effects::{OpenStore, OpenedStore, Outside},
        input::Input,
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
            wall: kietop::domain::time::later(now().wall, since),
            mono: Mono::at(since),
        }
    }
}

/// Answers after a time of its own; panics when told to.
#[derive(Debug)]
struct FakeApi {
    takes: Duration,
    ends_after: Duration,
    started: time::Instant,
    asked: mpsc::UnboundedSender<(TaskId, Duration)>,
}

impl TaskApi for FakeApi {
    fn fetch<'a>(&'a self, task: &'a TaskId, _: Family, _: &'a mut Noticed) -> Pending<'a, Answer> {
        Box::pin(async move {
            let at = self.started.elapsed();
            self.asked.send((task.clone(), at)).unwrap();
            time::sleep(self.takes).await;
            assert!(task.as_str() != "panics", "a port that breaks");
            let videos = Links::parse(["https://ex.com/1.mp4"]);
            let state = if at < self.ends_after {
                TaskState::Running {
                    is_finishing: false,
                }
            } else {
                TaskState::Succeeded {
                    videos,
                    delivery: Delivery::Done,
                }
            };
            Ok(Observation {
                state,
                facts: Facts::default(),
                raw: "{}".into(),
            })
        })
    }
}

#[derive(Debug)]
struct FakeStore {
    tasks: Vec<Watched>,
    written: mpsc::UnboundedSender<Change>,
    is_read: std::sync::mpsc::Sender<()>,
}

impl ListStore for FakeStore {
    fn load(&mut self) -> Result<Vec<Watched>, StoreError> {
        // As from a disk: what has not ended is due at once.
        let due = |watched: Watched| {
            let saves = watched.saves;
            let restored = Watched::restored(
                watched.task,
                watched.label,
                watched.added,
                watched.freshness,
            );
            Watched { saves, ..restored }
        };
        Ok(self.tasks.iter().cloned().map(due).collect())
    }
    fn apply(&mut self, changes: &[Change]) -> Result<Vec<Applied>, StoreError> {
        for change in changes {
            self.written.send(change.clone()).unwrap();
        }
        Ok(changes.iter().map(|_| Applied::Noted).collect())
    }
    fn changes(&mut self) -> Result<Vec<Delta>, StoreError> {
        Ok(Vec::new())
    }
    fn record(&mut self, _: &TaskId) -> Result<Option<Record>, StoreError> {
        Ok(Some(Record::read(now().wall, "{\"taskId\":\"a\"}")))
    }
    fn note_visit(&mut self, _: Timestamp) -> Result<(), StoreError> {
        Ok(())
    }
    fn journal(&mut self, _: &TaskId, _: usize) -> Result<Vec<JournalLine>, StoreError> {
        self.is_read.send(()).unwrap_or_default();
        Ok(Vec::new())
    }
    fn recall(&mut self) -> Result<Memory, StoreError> {
        Ok(Memory::default())
    }
    fn remember(&mut self, _: &Lens) -> Result<(), StoreError> {
        Ok(())
    }
}

#[derive(Debug)]
struct NoBrowser;

#[derive(Debug)]
struct NoPrograms;

impl Clipboard for NoPrograms {
    fn copy(&self, _: &str) -> Result<String, String> {
        Err("no clipboard program was found".into())
    }
}

impl Scribe for NoPrograms {
    fn records(&self, tasks: &[Watched]) -> String {
        format!("{} records", tasks.len())
    }
    fn commands(&self, tasks: &[(TaskId, Family)]) -> String {
        format!("{} commands", tasks.len())
    }
}

impl Notifier for NoPrograms {
    fn show(&self, _: &str, _: &str) -> Result<(), String> {
        Err("There is no desktop here.".into())
    }
    fn run(&self, _: &[String], _: &[(&'static str, String)]) -> Result<(), String> {
        Ok(())
    }
}

impl Opener for NoBrowser {
    fn open(&self, _: &VideoUrl) -> Result<(), String> {
        Err("There is no display here.".into())
    }
    fn open_file(&self, _: &Path) -> Result<(), String> {
        Ok(())
    }
}

impl Comparer for NoBrowser {
    fn compare(&self, _: &Comparison) -> Result<(), String> {
        panic!("a part that breaks is answered for all the same")
    }
}

/// Tells that half of a file is here, and then holds it for ever.
#[derive(Debug)]
struct HalfAFile;

impl Downloader for HalfAFile {
    fn save<'a>(
        &'a self,
        _: &'a SaveOrder,
        told: &'a (dyn Fn(Progress) + Send + Sync),
    ) -> Pending<'a, Result<std::path::PathBuf, SaveError>> {
        Box::pin(async {
            told(Progress {
                bytes: 5,
                total: Some(10),
                rate: 1,
            });
            std::future::pending().await
        })
    }
    fn is_there(&self, _: &std::path::Path) -> bool {
        true
    }
    fn is_held(&self, _: &SaveOrder) -> bool {
        true
    }
}

/// Paints inputs red and results green.
#[derive(Debug)]
struct Paints;

impl FrameReader for Paints {
    fn frame<'a>(
        &'a self,
        file: &'a Path,
        at: Duration,
    ) -> Pending<'a, Result<Still, PictureError>> {
        Box::pin(async move {
            let name = file.to_str().unwrap();
            assert!(!name.contains("breaks"), "a port that breaks");
            if name.contains("short") && !at.is_zero() {
                return Err(PictureError::Refused);
            }
            let pixel = match (name.contains("input"), at.is_zero()) {
                (true, false) => [200, 0, 0],
                (true, true) => [100, 0, 0],
                (false, false) => [0, 200, 0],
                (false, true) => [0, 100, 0],
            };
            Still::new(2, 1, [pixel, pixel].concat()).ok_or(PictureError::Broke)
        })
    }
}

impl InputKeeper for Paints {
    fn file<'a>(
        &'a self,
        task: &'a TaskId,
        _: &'a Clip,
    ) -> Pending<'a, Result<PathBuf, PictureError>> {
        Box::pin(async {
            if task.as_str() == "far" {
                std::future::pending::<()>().await;
            }
            Ok("/cache/input.mp4".into())
        })
    }

    fn kept(&self, link: &VideoUrl) -> Option<PathBuf> {
        (link.as_str() == "https://ex.com/in.mp4").then(|| "/cache/input.mp4".into())
    }
}

/// Draws into memory and counts the frames.
struct Paper {
    terminal: Terminal<TestBackend>,
    frames: usize,
    titles: Vec<String>,
    requests: Vec<Request>,
    screens: Vec<String>,
}

impl Paper {
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

impl Surface for Paper {
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
    fn redraw(&mut self) {}
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
    fn ask(&mut self, request: &Request) -> io::Result<()> {
        self.requests.push(request.clone());
        Ok(())
    }
}

struct Run {
    code: i32,
    screen: String,
    colours: BTreeSet<String>,
    frames: usize,
    asked: Vec<(TaskId, Duration)>,
    written: Vec<Change>,
    titles: Vec<String>,
    requests: Vec<Request>,
}

/// Returns the settings of someone who wants to hear of endings.
fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.notices.ways = NoticeWay::ALL.to_vec();
    settings.preview = Preview::HalfBlocks;
    settings
}

/// Returns the colours of pictures.
fn colours(buffer: &Buffer) -> BTreeSet<String> {
    let cells = buffer.content().iter().flat_map(|cell| [cell.fg, cell.bg]);
    let exact = cells.filter(|colour| matches!(colour, Color::Rgb(..)));
    exact.map(|colour| colour.to_string()).collect()
}

/// Returns a list just opened.
fn opened(store: impl ListStore + 'static) -> OpenedStore {
    OpenedStore {
        store: Box::new(store),
        watch: None,
    }
}

/// Returns an outside of fakes, but for that list and that API.
fn outside(started: time::Instant, api: FakeApi, open_store: OpenStore) -> Outside {
    Outside {
        clock: Arc::new(PausedClock(started)),
        api: Arc::new(api),
        turns: None,
        opener: Arc::new(NoBrowser),
        comparer: Arc::new(NoBrowser),
        frames: Arc::new(Paints),
        inputs: Arc::new(Paints),
        downloader: Arc::new(HalfAFile),
        clipboard: Arc::new(NoPrograms),
        scribe: Arc::new(NoPrograms),
        notifier: Arc::new(NoPrograms),
        open_store,
    }
}

/// Runs the loop over keys that come at their times.
async fn run(tasks: Vec<Watched>, takes: u64, ends_after: u64, keys: Vec<(u64, char)>) -> Run {
    let started = time::Instant::now();
    let (asked, mut all_asked) = mpsc::unbounded_channel();
    let (written, mut all_written) = mpsc::unbounded_channel();
    let (is_read, reading) = std::sync::mpsc::channel();
    // The list is read on a thread of its own, for which paused time does not wait; for blocking tasks it does.
    let patience =
        tokio::task::spawn_blocking(move || reading.recv_timeout(Duration::from_secs(20)));
    let api = FakeApi {
        takes: Duration::from_secs(takes),
        ends_after: Duration::from_secs(ends_after),
        started,
        asked,
    };
    let open_store: OpenStore = Box::new(move |_| {
        let store = FakeStore {
            tasks: tasks.clone(),
            written: written.clone(),
            is_read: is_read.clone(),
        };
        Ok(opened(store))
    });
    let outside = outside(started, api, open_store);
    let mut paper = Paper::new();
    let (_alive, interruptions) = mpsc::channel(1);
    let code = runtime::run(
        &mut paper,
        typed(started, keys),
        interruptions,
        State::new(settings()),
        Theme::monochrome().into(),
        outside,
    )
    .await;
    patience.await.unwrap().expect("the list was read");
    let mut run = Run {
        code,
        screen: paper.terminal.backend().to_string(),
        colours: colours(paper.terminal.backend().buffer()),
        frames: paper.frames,
        titles: paper.titles,
        requests: paper.requests,
        asked: Vec::new(),
        written: Vec::new(),
    };
    while let Ok(asked) = all_asked.try_recv() {
        run.asked.push(asked);
    }
    while let Ok(change) = all_written.try_recv() {
        run.written.push(change);
    }
    run
}

fn typed(started: time::Instant, keys: Vec<(u64, char)>) -> impl Stream<Item = io::Result<Input>> {
    stream::iter(keys)
        .then(move |(at, key)| async move {
            time::sleep_until(started + Duration::from_secs(at)).await;
            Ok(Input::Key {
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
    let run = run(
        vec![task("a").running().created("14:31").build()],
        1,
        300,
        vec![(600, 'q')],
    )
    .await;

    assert_eq!(run.code, 0);
    assert!(run.screen.contains("ready"), "{}", run.screen);
    assert!(
        (10..30).contains(&run.asked.len()),
        "asked {} times",
        run.asked.len()
    );
    assert!(
        run.asked
            .iter()
            .all(|(_, at)| *at < Duration::from_secs(340)),
        "not after its end"
    );
    assert!(
        matches!(run.written.last(), Some(Change::Observed { .. })),
        "{:?}",
        run.written.last()
    );
    assert!(run.frames < 1000, "{} frames in ten minutes", run.frames);
}

#[tokio::test(start_paused = true)]
async fn keys_are_heard_while_a_slow_server_is_asked_after_hundreds() {
    let tasks = (0..200)
        .map(|n| task(&format!("t{n:03}")).running().created("14:30").build())
        .collect();

    let run = run(
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
        run.asked.len() <= 8,
        "at most four at a time: {}",
        run.asked.len()
    );
}

#[tokio::test(start_paused = true)]
async fn a_port_that_panics_is_answered_for_all_the_same() {
    let tasks = vec![
        task("panics").running().created("14:31").build(),
        task("b").running().created("14:30").build(),
    ];

    let run = run(tasks, 1, 10_000, vec![(60, 'q')]).await;

    let asked = |name: &str| {
        run.asked
            .iter()
            .filter(|(id, _)| id.as_str() == name)
            .count()
    };
    assert_eq!(run.code, 0);
    assert!(asked("b") >= 2, "the others go on");
    assert!(asked("panics") >= 2, "it is asked again");
}

#[tokio::test(start_paused = true)]
async fn a_comparison_that_breaks_is_answered_with_a_sentence() {
    let ready = task("a").ready("5m").created("14:00");
    let tasks = vec![ready.source("https://ex.com/in.mp4").build()];

    let run = run(tasks, 1, 0, vec![(5, 'b'), (10, 'q')]).await;

    assert!(run.screen.contains("Showing them broke."), "{}", run.screen);
}

fn saved(name: &str, file: &str) -> Watched {
    let ready = task(name).ready("5m").created("14:00");
    let mut watched = ready.source("https://ex.com/in.mp4").build();
    watched.saves.add(1, file.into());
    watched
}

#[tokio::test(start_paused = true)]
async fn the_same_frame_of_input_and_result_is_shown_and_hidden_by_boxes() {
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

        let run = run(vec![saved("a", file)], 1, 0, keys).await;

        let found: Vec<_> = run.colours.iter().map(String::as_str).collect();
        assert_eq!(found, colours, "{}", run.screen);
        let is_broken = file.contains("breaks");
        assert_eq!(run.screen.contains("reading the frames broke"), is_broken);
    }
}

#[tokio::test(start_paused = true)]
async fn a_picture_that_takes_for_ever_is_given_up_when_the_selection_goes_on() {
    let tasks = vec![
        saved("far", "/saved/far.mp4"),
        saved("near", "/saved/near.mp4"),
    ];

    let run = run(tasks, 1, 0, vec![(5, 'j'), (10, '\u{3}')]).await;

    let found: Vec<_> = run.colours.iter().map(String::as_str).collect();
    assert_eq!(found, ["#00C800", "#C80000"], "{}", run.screen);
}

#[tokio::test(start_paused = true)]
async fn an_input_that_was_kept_is_opened_from_the_disk() {
    let run = run(
        vec![saved("a", "/saved/a.mp4")],
        1,
        0,
        vec![(5, 'O'), (7, 'q')],
    )
    .await;

    let said = "Opened from the disk (/cache/input.mp4).";
    assert!(run.screen.contains(said), "{}", run.screen);
}

#[tokio::test(start_paused = true)]
async fn a_save_under_way_is_shown_and_does_not_hold_up_the_end() {
    let run = run(
        vec![task("a").created("14:00").ready("5m09s").build()],
        1,
        0,
        vec![(5, 'w'), (10, 'q')],
    )
    .await;

    assert_eq!(run.code, 0);
    assert!(run.screen.contains("50% 5s"), "{}", run.screen);
    assert!(
        matches!(&run.written[..], [Change::SaveBegun { .. }]),
        "it is offered again at the next start: {:?}",
        run.written
    );
}

#[tokio::test(start_paused = true)]
async fn what_no_program_copies_goes_to_the_terminal() {
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

    let run = run(tasks, 1, 0, keys).await;

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
async fn an_ending_is_told_by_every_way_and_the_title_counts() {
    let tasks = vec![task("a").running().created("14:31").build()];

    let run = run(tasks, 1, 20, vec![(120, 'q')]).await;

    assert_eq!(run.titles, ["kietop", "kietop ◐1", "kietop ✓1"]);
    let [Request::Ring, Request::Notify { title, body }] = &run.requests[..] else {
        panic!("{:?}", run.requests);
    };
    assert_eq!(
        (title.as_str(), body.as_str()),
        ("kietop", "\"a\" is ready.")
    );
}
