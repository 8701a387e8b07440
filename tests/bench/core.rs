//! Benchmarks of frequent operations at three list lengths: response, key, tab, start.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "test code")]

use std::{cell::RefCell, time::Duration};

use divan::{Bencher, black_box};
use jiff::Timestamp;
use kietop::{
    app::{
        keymap::{Key, KeyChord},
        msg::{Effect, Msg},
        state::{AppSettings, State},
        update::{next_wakeup, update},
    },
    domain::{
        id_extract::{KnownSecrets, extract},
        link::Links,
        list_change::ExternalChange,
        poll_result::Observation,
        response_notes::ResponseNotes,
        schedule::{PollHistory, PollState},
        store_request::{StoreReply, StoreRequest},
        task::{CallbackStatus, Family, Task, TaskDetails, TaskId, TaskState},
        text::CleanText,
        time::{Mono, Now},
        watched_task::WatchedTask,
    },
};

const SIZES: [i64; 3] = [100, 10_000, 100_000];

fn main() {
    divan::main();
}

fn start_time() -> Now {
    Now {
        wall: Timestamp::from_second(1_777_000_000).expect("a time"),
        mono: Mono::at(Duration::from_hours(1)),
    }
}

fn answered(request: StoreRequest, reply: StoreReply) -> Msg {
    let result = Ok(reply);
    Msg::StoreAnswered { request, result }
}

fn list_loaded(tasks: Vec<WatchedTask>) -> Msg {
    answered(StoreRequest::LoadList, StoreReply::List(tasks))
}

/// Returns a list with every tenth task running, the others ready.
fn build_tasks(count: i64) -> Vec<WatchedTask> {
    (0..count)
        .map(|n| {
            let id = TaskId::parse(&format!("{n:032x}")).expect("an id");
            let created = Timestamp::from_second(1_776_990_000 - n).expect("a time");
            let is_running = n % 10 == 0;
            let state = if is_running {
                TaskState::Running {
                    is_finishing: false,
                }
            } else {
                TaskState::Succeeded {
                    videos: Links::parse(["https://tempfile.example/r/1.mp4"]),
                    callback: CallbackStatus::Delivered,
                }
            };
            let details = TaskDetails {
                created: Some(created),
                completed: (!is_running).then(|| created + jiff::SignedDuration::from_secs(300)),
                ..TaskDetails::default()
            };
            let task = Task::from_stored(id, Family::default(), state, details);
            let mut watched = WatchedTask::from_stored(task, None, created, PollHistory::default());
            if is_running {
                watched.poll_state =
                    PollState::DueAt(start_time().mono.after(Duration::from_hours(10_000)));
            }
            watched
        })
        .collect()
}

fn build_state(count: i64) -> State {
    let mut state = State::new(AppSettings::default());
    let size = Msg::Resized {
        width: 120,
        height: 40,
        page: 36,
    };
    update(&mut state, size, start_time());
    update(&mut state, list_loaded(build_tasks(count)), start_time());
    state
}

fn key(chord: KeyChord) -> Msg {
    let is_repeat = false;
    Msg::Key { chord, is_repeat }
}

fn press_key(state: &mut State, c: char) -> Vec<Effect> {
    update(state, key(KeyChord::char(c)), start_time())
}

/// A program whose clock advances by a second per refresh.
struct Bench {
    state: State,
    now: Now,
}

impl Bench {
    fn with_tasks(count: i64) -> RefCell<Self> {
        RefCell::new(Self {
            state: build_state(count),
            now: start_time(),
        })
    }

    /// Refreshes the first task and returns the response.
    fn start_poll(&mut self) -> Msg {
        loop {
            self.now.mono = self.now.mono.after(Duration::from_secs(1));
            let refresh = key(KeyChord::char('r'));
            for effect in update(&mut self.state, refresh, self.now) {
                if let Effect::Poll { task, attempt, .. } = effect {
                    let is_finishing = attempt.0.is_multiple_of(2);
                    let answer = Ok(Observation {
                        state: TaskState::Running { is_finishing },
                        details: TaskDetails::default(),
                        raw: "{}".into(),
                    });
                    return Msg::Polled {
                        task,
                        attempt,
                        answer: Box::new(answer),
                        notes: ResponseNotes::default(),
                    };
                }
            }
        }
    }

    fn send(&mut self, msg: Msg) -> Vec<Effect> {
        update(black_box(&mut self.state), msg, self.now)
    }
}

/// One response for the first row.
#[divan::bench(args = SIZES, sample_size = 1, sample_count = 2000)]
fn answer(bencher: Bencher<'_, '_>, count: i64) {
    let bench = Bench::with_tasks(count);
    bencher
        .with_inputs(|| bench.borrow_mut().start_poll())
        .bench_local_values(|msg| bench.borrow_mut().send(msg));
}

/// A tick with nothing due.
#[divan::bench(args = SIZES)]
fn tick(bencher: Bencher<'_, '_>, count: i64) {
    let bench = Bench::with_tasks(count);
    bencher.bench_local(|| bench.borrow_mut().send(Msg::Tick));
}

/// The time of the next wakeup, computed after every message.
#[divan::bench(args = SIZES)]
fn wakeup(bencher: Bencher<'_, '_>, count: i64) {
    let state = build_state(count);
    bencher.bench_local(|| next_wakeup(black_box(&state), start_time()));
}

/// One row down and up, 50 rows from the top.
#[divan::bench(args = SIZES)]
fn down_and_up(bencher: Bencher<'_, '_>, count: i64) {
    let mut state = build_state(count);
    for _ in 0..50 {
        press_key(&mut state, 'j');
    }
    bencher.bench_local(|| (press_key(&mut state, 'j'), press_key(&mut state, 'k')));
}

#[divan::bench(args = SIZES)]
fn last_and_first(bencher: Bencher<'_, '_>, count: i64) {
    let mut state = build_state(count);
    bencher.bench_local(|| (press_key(&mut state, 'G'), press_key(&mut state, 'g')));
}

/// A switch to another tab, whose rows are sorted anew.
#[divan::bench(args = SIZES, sample_size = 1)]
fn tab(bencher: Bencher<'_, '_>, count: i64) {
    let state = RefCell::new(build_state(count));
    bencher
        .with_inputs(|| press_key(&mut state.borrow_mut(), '2'))
        .bench_local_values(|_| press_key(&mut state.borrow_mut(), '1'));
}

/// The words of the prompts in [`state_with_prompts`].
const PROMPT_WORDS: &str = "neon street harbour at dawn slow camera pan to the left wet asphalt \
    snow globe turns into summer keep walking man paper-cut forest fox";

/// Returns a program whose tasks have prompts of 34 words; every fourth has a label.
fn state_with_prompts(count: i64) -> State {
    let mut state = build_state(0);
    let prompt_words: Vec<_> = PROMPT_WORDS.split(' ').collect();
    let tasks = build_tasks(count)
        .into_iter()
        .zip(1_usize..)
        .map(|(watched, n)| {
            let words: Vec<_> = (0..34)
                .map(|i| prompt_words[(n * 7 + i * (n % 11 + 1)) % prompt_words.len()])
                .collect();
            let details = TaskDetails {
                prompt: Some(CleanText::block(&words.join(" "), 8192)),
                ..watched.task.details().clone()
            };
            let task = Task::from_stored(
                watched.id().clone(),
                Family::default(),
                watched.task.state().clone(),
                details,
            );
            let label = n
                .is_multiple_of(4)
                .then(|| CleanText::line(&format!("campaign-{n:05}"), 256));
            WatchedTask {
                task,
                label,
                ..watched
            }
        });
    update(&mut state, list_loaded(tasks.collect()), start_time());
    state
}

/// One more letter in a filter, typed and erased; few, many or nearly all tasks match it.
#[divan::bench(args = [(10_000, "harbou", 'r'), (10_000, "", 'n'), (100_000, "harbou", 'r'), (100_000, "", 'n'), (100_000, "ngslwp", 'a'), (100_000, "xyz", 'q'), (100_000, "took:>4", 'm')])]
fn filter_letter(bencher: Bencher<'_, '_>, (count, before, letter): (i64, &str, char)) {
    let state = RefCell::new(state_with_prompts(count));
    press_key(&mut state.borrow_mut(), '/');
    for c in before.chars() {
        press_key(&mut state.borrow_mut(), c);
    }
    let erase = key(KeyChord::plain(Key::Backspace));
    bencher.with_inputs(|| ()).bench_local_values(|()| {
        press_key(&mut state.borrow_mut(), letter);
        update(&mut state.borrow_mut(), erase.clone(), start_time());
    });
}

/// A sort by title, the most expensive comparison, and back to age.
#[divan::bench(args = [10_000, 100_000])]
fn sort_and_back(bencher: Bencher<'_, '_>, count: i64) {
    let mut state = state_with_prompts(count);
    bencher.bench_local(|| {
        for column in ['3', '1'] {
            press_key(&mut state, 's');
            press_key(&mut state, column);
            update(&mut state, key(KeyChord::plain(Key::Enter)), start_time());
        }
    });
}

/// One response for a task that matches a filter, in a list sorted by title.
#[divan::bench(args = SIZES, sample_size = 1, sample_count = 500)]
fn answer_through_a_filter(bencher: Bencher<'_, '_>, count: i64) {
    let bench = RefCell::new(Bench {
        state: state_with_prompts(count),
        now: start_time(),
    });
    for c in ['s', '3', '\n', '/', 'n', 'e', 'o', 'n', '\n', 'G'] {
        let chord = match c {
            '\n' => KeyChord::plain(Key::Enter),
            c => KeyChord::char(c),
        };
        bench.borrow_mut().send(key(chord));
    }
    bencher
        .with_inputs(|| bench.borrow_mut().start_poll())
        .bench_local_values(|msg| bench.borrow_mut().send(msg));
}

/// All tasks marked and unmarked.
#[divan::bench(args = [10_000, 100_000])]
fn mark_all(bencher: Bencher<'_, '_>, count: i64) {
    let mut state = build_state(count);
    bencher.bench_local(|| (press_key(&mut state, '*'), press_key(&mut state, '*')));
}

/// A save of all tasks, which are marked.
#[divan::bench(args = SIZES, sample_size = 1, sample_count = 20)]
fn save_all(bencher: Bencher<'_, '_>, count: i64) {
    bencher
        .with_inputs(|| {
            let mut state = build_state(count);
            press_key(&mut state, '*');
            state
        })
        .bench_local_values(|mut state| (press_key(&mut state, 'w'), state));
}

/// A tick while all tasks are being saved.
#[divan::bench(args = SIZES)]
fn tick_while_saving(bencher: Bencher<'_, '_>, count: i64) {
    let bench = Bench::with_tasks(count);
    press_key(&mut bench.borrow_mut().state, '*');
    press_key(&mut bench.borrow_mut().state, 'w');
    bencher.bench_local(|| bench.borrow_mut().send(Msg::Tick));
}

/// A refresh of all tasks.
#[divan::bench(args = SIZES, sample_size = 1, sample_count = 20)]
fn check_all(bencher: Bencher<'_, '_>, count: i64) {
    bencher
        .with_inputs(|| build_state(count))
        .bench_local_values(|mut state| (press_key(&mut state, 'R'), state));
}

/// The load of the list at the start.
#[divan::bench(args = SIZES, sample_size = 1, sample_count = 20)]
fn load(bencher: Bencher<'_, '_>, count: i64) {
    bencher
        .with_inputs(|| (State::new(AppSettings::default()), build_tasks(count)))
        .bench_local_values(|(mut state, tasks)| {
            (update(&mut state, list_loaded(tasks), start_time()), state)
        });
}

/// A thousand changes from another instance in one message.
#[divan::bench(args = SIZES, sample_size = 1, sample_count = 20)]
fn thousand_changes_elsewhere(bencher: Bencher<'_, '_>, count: i64) {
    let state = RefCell::new(build_state(count));
    let changes = || {
        let tasks = build_tasks(1_000.min(count)).into_iter();
        let changed = |task| ExternalChange::Changed(Box::new(task));
        answered(
            StoreRequest::ReadExternalChanges,
            StoreReply::ExternalChanges(tasks.map(changed).collect()),
        )
    };
    bencher
        .with_inputs(changes)
        .bench_local_values(|msg| update(&mut state.borrow_mut(), msg, start_time()));
}

/// The extraction of ids from one long line of JSON.
#[divan::bench(args = [100, 10_000], sample_size = 1, sample_count = 20)]
fn paste(bencher: Bencher<'_, '_>, count: i64) {
    let record = |n| format!(r#"{{"taskId":"{n:032x}","url":"https://t.example/{n:032x}.mp4"}}"#);
    let text = (0..count).map(record).collect::<Vec<_>>().join(",");
    bencher.bench_local(|| extract(black_box(&text), &KnownSecrets::default()));
}
