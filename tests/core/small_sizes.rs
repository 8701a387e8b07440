//! Every screen at every small size and with every character: drawing never panics, and no cell
//! holds a harmful character.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use kietop::{
    app::{
        msg::Msg,
        state::{MainScreen, Overlay, State},
        update::update,
    },
    domain::{
        link::VideoUrl,
        list_change::JournalEvent,
        poll_result::PollError,
        raw_response::RawResponse,
        response_notes::{Anomaly, ResponseNotes},
        schedule::PollAttempt,
        task::CallbackStatus,
    },
    ui::{self, theme::Theme},
};
use ratatui::{Terminal, backend::TestBackend, buffer::Buffer, layout::Rect};
use unicode_width::UnicodeWidthChar as _;

use crate::support::harmful_chars::{all_chars, is_harmful};
use crate::support::{
    self, ProgramBuilder, TaskBuilder, id, line, load_journal, now, press, program, resize, task,
    type_text,
};

/// The largest screen that is drawn (`runtime/terminal/output.rs`).
const MAX_SCREEN: (u16, u16) = (1000, 500);

/// The most combining marks on one character.
const MAX_COMBINING_MARKS: usize = 4;

/// The keys that open each screen and dialog from the list. Keys without effect on a list leave it
/// unchanged.
const KEY_PATHS: [&[&str]; 19] = [
    &[],
    &["Enter"],
    &["Enter", "l"],
    &["Enter", "Enter", "PgDn"],
    &["?"],
    &["M"],
    &["a"],
    &["o"],
    &["G", "o"],
    &["i"],
    &["/"],
    &["s"],
    &["y"],
    &["*", "y"],
    &["e"],
    &[":"],
    &["*", "d"],
    &["W"],
    &["*", "W"],
];

/// A terminal for all sizes: it draws each frame into one buffer, without a diff or a copy.
struct OffscreenTerminal(Terminal<TestBackend>);

impl OffscreenTerminal {
    fn new() -> Self {
        Self(Terminal::new(TestBackend::new(1, 1)).expect("a test terminal"))
    }

    fn draw(&mut self, state: &mut State, size: (u16, u16), theme: &Theme) -> &Buffer {
        resize(state, size);
        self.0
            .resize(Rect::new(0, 0, size.0, size.1))
            .expect("a resize");
        self.0.current_buffer_mut().reset();
        let mut frame = self.0.get_frame();
        let max_scroll = ui::draw(&mut frame, state, now(), theme).max_scroll;
        update(
            state,
            Msg::LayoutMeasured {
                max_scroll,
                preview_area: None,
            },
            now(),
        );
        self.0.current_buffer_mut()
    }
}

/// Returns four lists: no tasks, one task of each kind, failed tasks only, and hostile texts.
fn sample_programs() -> [ProgramBuilder; 4] {
    let url = format!("https://tempfile.example/{}/v.mp4", "deep/".repeat(30));
    let mixed = program()
        .with_list_name("studio")
        .with(task("a").label("neon city").running().created_ago("3m"))
        .with(
            task("b")
                .prompt("slow pan")
                .ready("5m09s")
                .created_ago("22m"),
        )
        .with(task("c").rescued("4m").created_ago("2h"))
        .with(
            task("d")
                .failed("501", "no face was found")
                .created_ago("1h"),
        )
        .with(task("e").not_found().created_ago("3h"))
        .with(task("f").unknown("7").created_ago("4h"))
        .with(task("g").finishing().created_ago("9m"))
        .with(
            task("h")
                .finished(
                    "5m",
                    CallbackStatus::Delivered,
                    &[&url, "ftp://x/y.mp4", &url],
                )
                .created_ago("13d"),
        );
    let failed = (0..30).map(|n| {
        task(&format!("f{n}"))
            .failed("501", &"It did not work. ".repeat(n))
            .created_ago("1h")
            .check_failed(PollError::TimedOut, "9s")
    });
    let hostile = (0..20).map(|n| {
        let text =
            "語\u{301}\u{301}\u{301}\u{301}\u{301}👩\u{200d}🚀\u{202e}\u{1b}[2J ﷽".repeat(n * 3);
        task(&"i".repeat(1 + n * 10))
            .label(&text)
            .prompt(&format!("{text}\n\n{text}"))
            .source(&url)
            .callback(&text)
            .failed(&text, &text)
            .created_ago("9000d")
    });
    [
        program(),
        mixed,
        program().with_all(failed),
        program()
            .with_list_name("映画 a rather long name of a profile")
            .with_all(hostile),
    ]
}

/// Presses the keys, and supplies a raw record or an anomaly with `text` where the screen shows
/// one.
fn follow_keys(state: &mut State, keys: &[&str], text: &str) {
    press(state, keys);
    if keys == ["M"] {
        let mut notes = ResponseNotes::default();
        notes.add(Anomaly::MissingCode);
        notes.keep_excerpt(text);
        let msg = Msg::Polled {
            task: id("a"),
            attempt: PollAttempt(u32::MAX),
            answer: Box::new(Err(PollError::Malformed(line(text)))),
            notes,
        };
        update(state, msg, now());
    }
    if keys == ["i"] {
        let json = serde_json::json!({"taskId": "a", "data": {"prompt": text}}).to_string();
        let raw = format!("{json} {text}");
        let msg = support::raw_response_read(
            id("a"),
            Ok(Some(Arc::new(RawResponse::parse(
                Timestamp::UNIX_EPOCH,
                &raw,
            )))),
        );
        update(state, msg, now());
    }
}

/// Returns every screen of a program, without key paths that stay on the list.
fn all_screens(program: &ProgramBuilder) -> Vec<State> {
    let mut screens: Vec<_> = KEY_PATHS
        .iter()
        .filter_map(|keys| {
            let mut state = program.clone().build();
            follow_keys(&mut state, keys, "plain");
            let has_opened = state.screen() != MainScreen::List || state.overlay().is_some();
            (keys.is_empty() || has_opened).then_some(state)
        })
        .collect();
    screens.push(program.clone().still_loading().build());
    let mut adding = program.clone().build();
    let pasted = "774d9a7dd608a0e49293903095e45a4c\nqqqqq 語\u{301}\u{202e}\nabc".to_owned();
    update(&mut adding, Msg::Pasted(pasted), now());
    press(&mut adding, &["Tab"]);
    type_text(
        &mut adding,
        "雨の街 a label longer than its box is wide, by far",
    );
    screens.push(adding);
    let mut linked = program.clone().build();
    let url = format!(
        "https://tempfile.example/r/1.mp4?signature={}",
        "f".repeat(120)
    );
    let msg = Msg::Opened {
        task: id("a"),
        url: VideoUrl::parse(&url).expect("a link"),
        result: Err("No browser could be started (no display).".to_owned()),
    };
    update(&mut linked, msg, now());
    screens.push(linked);
    screens
}

#[test]
fn every_key_path_opens_a_screen() {
    let [_, mixed, _, _] = sample_programs();
    let mut terminal = OffscreenTerminal::new();
    let mut draw = |keys: &[&str]| {
        let mut state = mixed.clone().build();
        // The task with several results.
        press(&mut state, &["G"]);
        follow_keys(&mut state, keys, "plain");
        terminal.draw(&mut state, (100, 40), &Theme::ansi()).clone()
    };
    let list = draw(&[]);
    for keys in KEY_PATHS.iter().skip(1) {
        let drawn = draw(keys);
        let changed = list
            .content()
            .iter()
            .zip(drawn.content())
            .filter(|(a, b)| a != b);
        assert!(changed.count() > 20, "{keys:?} opens nothing");
    }
}

#[test]
fn every_small_size_is_drawn() {
    let states: Vec<_> = sample_programs().iter().flat_map(all_screens).collect();
    let themes = [Theme::ansi(), Theme::monochrome().with_ascii()];
    let drawn = AtomicUsize::new(0);
    // Two threads keep the suite within minutes on two cores.
    std::thread::scope(|scope| {
        for half in [0, 1] {
            let (states, themes, drawn) = (&states, &themes, &drawn);
            scope.spawn(move || {
                let mut terminal = OffscreenTerminal::new();
                for mut state in states.iter().skip(half).step_by(2).cloned() {
                    for width in 0..=40 {
                        for height in 0..=40 {
                            let [unicode, ascii] = themes;
                            let theme = if (width + height) % 2 == 0 {
                                unicode
                            } else {
                                ascii
                            };
                            terminal.draw(&mut state, (width, height), theme);
                            drawn.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
    });
    assert_eq!(drawn.into_inner(), states.len() * 41 * 41);
}

#[test]
fn many_resizes_are_drawn() {
    let mut seed = 7_u32;
    let mut roll = |sides: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) % sides
    };
    let mut states: Vec<_> = sample_programs().iter().flat_map(all_screens).collect();
    let mut terminal = OffscreenTerminal::new();
    for _ in 0..900 {
        let mut length = |limit: u32| match roll(40) {
            0 => 0,
            1 => u16::MAX,
            2 => 1,
            _ => u16::try_from(roll(limit)).expect("a u16"),
        };
        let (width, height) = (length(200), length(60));
        let size = (width.min(MAX_SCREEN.0), height.min(MAX_SCREEN.1));
        let index = usize::try_from(roll(1000)).expect("a usize") % states.len();
        let state = states.get_mut(index).expect("a state");
        terminal.draw(state, size, &Theme::ansi());
    }
}

/// Describes the first cell with a harmful character or too many combining marks.
fn find_harmful_cell(buffer: &Buffer) -> Option<String> {
    buffer.content().iter().find_map(|cell| {
        let symbol = cell.symbol();
        if symbol.is_ascii() && !symbol.bytes().any(|byte| byte.is_ascii_control()) {
            return None;
        }
        let marks = symbol.chars().filter(|c| c.width() == Some(0)).count();
        let is_bad = marks > MAX_COMBINING_MARKS || symbol.chars().any(is_harmful);
        is_bad.then(|| format!("{symbol:?} holds {marks} marks"))
    })
}

/// Returns a task with `text` in every text field.
fn task_with_text(name: &str, text: &str) -> TaskBuilder {
    let url = format!("https://ex.com/{text}");
    task(name)
        .label(text)
        .prompt(text)
        .source(&url)
        .callback(text)
        .failed(text, text)
        .created_ago("1h")
        .check_failed(
            PollError::Server {
                code: 500,
                message: line(text),
            },
            "9s",
        )
}

/// Draws screens of a task with `text` in every field, on a terminal large enough to show much of
/// it.
fn assert_harmless(terminal: &mut OffscreenTerminal, text: &str, key_paths: &[&[&str]]) {
    let first = text.chars().next().map(u32::from).unwrap_or_default();
    let program = program()
        .with_list_name(text)
        .with(task_with_text("a", text));
    for keys in key_paths {
        let mut state = program.clone().build();
        follow_keys(&mut state, keys, text);
        let event = JournalEvent::CheckFailed(line(text));
        load_journal(&mut state, "a", &[("14:28:59", event)]);
        let found = find_harmful_cell(terminal.draw(&mut state, (180, 80), &Theme::ansi()));
        assert_eq!(found, None, "from U+{first:04X} on, by {keys:?}");
    }
}

#[test]
fn harmful_characters_are_cleaned_in_every_field() {
    let all: Vec<_> = all_chars().collect();
    std::thread::scope(|scope| {
        for half in [0, 1] {
            let all = &all;
            scope.spawn(move || {
                let mut terminal = OffscreenTerminal::new();
                for batch in all.chunks(2000).skip(half).step_by(2) {
                    let text: String = batch.iter().collect();
                    assert_harmless(&mut terminal, &text, &[&["Enter"]]);
                }
            });
        }
    });
}

#[test]
fn every_label_in_the_list_is_harmless() {
    let mut terminal = OffscreenTerminal::new();
    let all: Vec<_> = all_chars().collect();
    for screenful in all.chunks(60 * 150) {
        let tasks = screenful.chunks(150).zip(0..).map(|(batch, n)| {
            let text: String = batch.iter().collect();
            let task = task(&format!("t{n}")).running().created_ago("3m");
            match n % 2 {
                0 => task.label(&text),
                _ => task.prompt(&text),
            }
        });
        let mut state = program().with_all(tasks).build();
        let found = find_harmful_cell(terminal.draw(&mut state, (400, 70), &Theme::ansi()));
        let first = screenful.first().copied().map(u32::from);
        assert_eq!(found, None, "from {first:?} on");
    }
}

#[test]
fn harmful_text_is_cleaned_on_every_screen() {
    let mut terminal = OffscreenTerminal::new();
    let odd: Vec<_> = all_chars()
        .filter(|c| {
            is_harmful(*c) || c.width() != Some(1) && u32::from(*c) < 0x3000 || c.width() == Some(0)
        })
        .collect();
    assert!(odd.len() > 6000, "{}", odd.len());
    for batch in odd.chunks(40) {
        // Each has a base character that combining marks can attach to.
        let separate: String = batch.iter().flat_map(|c| ['x', *c]).collect();
        let stacked: String = batch.iter().collect();
        assert_harmless(&mut terminal, &separate, &KEY_PATHS[..8]);
        assert_harmless(&mut terminal, &format!("e{stacked}"), &KEY_PATHS[8..]);
    }
}

#[test]
fn a_raw_record_and_a_filter_are_harmless() {
    let mut terminal = OffscreenTerminal::new();
    let all: Vec<_> = all_chars().collect();
    for batch in all.chunks(4000) {
        let text: String = batch.iter().collect();
        assert_harmless(&mut terminal, &text, &[&["i"]]);
    }
    let odd: Vec<_> = all
        .into_iter()
        .filter(|c| is_harmful(*c) || c.width() == Some(0))
        .collect();
    for batch in odd.chunks(100) {
        let text: String = batch.iter().flat_map(|c| ['x', *c]).collect();
        let mut state = program().with(task_with_text("a", "plain")).build();
        press(&mut state, &["/"]);
        type_text(&mut state, &text);
        let found = find_harmful_cell(terminal.draw(&mut state, (180, 20), &Theme::ansi()));
        assert_eq!(found, None, "typed from {:?} on", batch.first());
        press(&mut state, &["Enter"]);
        let found = find_harmful_cell(terminal.draw(&mut state, (180, 20), &Theme::ansi()));
        assert_eq!(found, None, "kept from {:?} on", batch.first());
    }
}

#[test]
fn typed_and_pasted_text_is_harmless() {
    let mut terminal = OffscreenTerminal::new();
    let all: Vec<_> = all_chars().collect();
    for batch in all.chunks(4000) {
        let text: String = batch.iter().collect();
        let mut state = program().build();
        update(&mut state, Msg::Pasted(text.clone()), now());
        assert!(matches!(state.overlay(), Some(Overlay::Add(_))));
        let found = find_harmful_cell(terminal.draw(&mut state, (180, 60), &Theme::ansi()));
        assert_eq!(found, None, "pasted from {:?} on", batch.first());
    }
    for batch in all.chunks(60) {
        let text: String = batch.iter().collect();
        let is_odd = |c: &char| c.width() != Some(1) || is_harmful(*c);
        // Plain characters share one path: a sample of the batches is enough.
        if !batch.iter().any(is_odd) && u32::from(batch[0]) % 7 != 0 {
            continue;
        }
        let mut state = program().build();
        press(&mut state, &["a", "Tab"]);
        type_text(&mut state, &text);
        let found = find_harmful_cell(terminal.draw(&mut state, (180, 20), &Theme::ansi()));
        assert_eq!(found, None, "typed from {:?} on", batch.first());
    }
}
