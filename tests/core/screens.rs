//! Snapshot tests of every screen, as text and as styles. `small_sizes` draws all sizes.

use std::{fmt::Write as _, time::Duration};

use insta::assert_snapshot;
use jiff::SignedDuration;
use kietop::{
    app::{
        keymap::{Action, KeyContext},
        mouse::HitTarget,
        msg::{Effect, Msg},
        state::{ApiKeyStatus, DetailPage, MainScreen, State},
        update::update,
    },
    config::themes,
    domain::{
        download::{DownloadError, DownloadId, TransferProgress},
        list_change::{
            ChangeKind, ChangeResult, ExternalChange, JournalEvent, ListChange, StoreError,
        },
        poll_result::{Observation, PollError, PollResult},
        query::SortColumn,
        raw_response::RawResponse,
        response_notes::{Anomaly, ResponseNotes},
        saved_session::SavedSession,
        schedule::PollAttempt,
        status::Tab,
        store_request::StoreRequest,
        task::{CallbackStatus, TaskDetails, TaskId, TaskState},
        time::Now,
    },
    messages::format,
    ui::{self, theme::Theme},
};
use ratatui::{
    Terminal,
    backend::TestBackend,
    buffer::{Buffer, CellWidth as _},
    style::{Color, Modifier},
};

use crate::support::{
    self, ProgramBuilder, answer, at, id, later, line, load_journal, now, press, program, resize,
    span, task, type_text,
};

/// Draws a state as the runtime does, and sends it the measured scroll limit.
fn draw(state: &mut State, size: (u16, u16), now: Now, theme: &Theme) -> Buffer {
    resize(state, size);
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).expect("a test terminal");
    let mut max_scroll = 0;
    terminal
        .draw(|frame| max_scroll = ui::draw(frame, state, now, theme).max_scroll)
        .expect("a drawn frame");
    update(
        state,
        Msg::LayoutMeasured {
            max_scroll,
            preview_area: None,
        },
        now,
    );
    terminal.backend().buffer().clone()
}

/// Returns the screen as text; bars mark the ends of each line.
fn buffer_text(buffer: &Buffer) -> String {
    let area = buffer.area();
    let mut text = String::new();
    for y in 0..area.height {
        text.push('|');
        let mut x = 0;
        while x < area.width {
            let symbol = buffer[(x, y)].symbol();
            text.push_str(symbol);
            x += symbol.cell_width().max(1);
        }
        text.push_str("|\n");
    }
    text
}

fn render_text(state: &mut State, size: (u16, u16)) -> String {
    buffer_text(&draw(state, size, now(), &Theme::ansi()))
}

/// Returns the styles of a screen: per line, the runs of one style with their text.
fn buffer_styles(buffer: &Buffer) -> String {
    let area = buffer.area();
    let mut out = String::new();
    for y in 0..area.height {
        let mut runs: Vec<(String, String)> = Vec::new();
        let mut x = 0;
        while x < area.width {
            let cell = &buffer[(x, y)];
            let style = style_name(cell.fg, cell.bg, cell.modifier);
            match runs.last_mut() {
                Some((last, text)) if *last == style => text.push_str(cell.symbol()),
                _ => runs.push((style, cell.symbol().to_owned())),
            }
            x += cell.symbol().cell_width().max(1);
        }
        let line: Vec<_> = runs
            .iter()
            .filter(|(style, text)| style.contains("reversed") || !text.trim().is_empty())
            .map(|(style, text)| format!("{style}[{}]", text.trim_end()))
            .collect();
        writeln!(out, "{y:2} {}", line.join(" ")).expect("a line");
    }
    out
}

fn style_name(fg: Color, bg: Color, modifier: Modifier) -> String {
    let mut parts = Vec::new();
    for (color, lead) in [(fg, ""), (bg, "on ")] {
        if color != Color::Reset {
            parts.push(format!("{lead}{}", color.to_string().to_lowercase()));
        }
    }
    for (flag, name) in [
        (Modifier::BOLD, "bold"),
        (Modifier::DIM, "dim"),
        (Modifier::UNDERLINED, "underlined"),
        (Modifier::REVERSED, "reversed"),
    ] {
        if modifier.contains(flag) {
            parts.push(name.to_owned());
        }
    }
    if parts.is_empty() {
        parts.push("plain".to_owned());
    }
    parts.join("+")
}

/// Compares a screen with its snapshot, whose name ends with the size.
fn assert_screen(name: &str, state: &mut State, size: (u16, u16)) {
    let name = format!("{name}_{}x{}", size.0, size.1);
    assert_snapshot!(name, render_text(state, size));
}

const NEON_ID: &str = "774d9a7dd608a0e49293903095e45a4c";

/// The sample list: eleven tasks in different states.
fn mixed_program() -> ProgramBuilder {
    let source = "https://tempfile.example/in/1755074605154fqb0m8ge.mp4";
    program()
        .with_list_name("studio")
        .with(
            task(NEON_ID)
                .label("neon city, rain, slow pan")
                .prompt(
                    "Turn the street into a neon city at night, wet asphalt, slow camera pan \
                     to the left; keep the walking man.",
                )
                .source(source)
                .callback("https://example.com/callback")
                .running()
                .created("14:28:59")
                .checked_ago("2s", 33),
        )
        .with(
            task("1f0c2b6f1d3b4a0c9c1f7c6b5a4e3d21")
                .prompt("claymation chase, 24fps")
                .running()
                .created_ago("5m20s")
                .checked_ago("8s", 21)
                .due_in("22s"),
        )
        .with(
            task("9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d")
                .prompt("snow globe turns to summer")
                .running()
                .created_ago("14m")
                .checked_ago("12s", 40)
                .due_in("48s"),
        )
        .with(
            task("a3")
                .prompt("oil-paint harbour at dawn")
                .source(source)
                .ready("5m09s")
                .created_ago("22m"),
        )
        .with(
            task("a4")
                .prompt("desert to ocean floor")
                .ready("4m51s")
                .created_ago("41m"),
        )
        .with(
            task("a5")
                .prompt("paper-cut forest, fox runs")
                .callback("https://example.com/callback")
                .rescued("6m02s")
                .created_ago("1h"),
        )
        .with(
            task("a6")
                .prompt("crowd becomes starlings")
                .failed(
                    "501",
                    "Generation failed: the input video shows a real person.",
                )
                .created_ago("2h"),
        )
        .with(
            task("a7f0c2b6f1d3b4a0c9c1f7c6b5a4e3d2")
                .not_created("422", "The video is longer than 10 seconds")
                .created_ago("3h"),
        )
        .with(
            task("a8")
                .prompt("watercolour alley, cat")
                .ready("5m30s")
                .created_ago("12d20h"),
        )
        .with(
            task("a9")
                .prompt("chrome statue breathes")
                .ready("7m12s")
                .created_ago("13d5h"),
        )
        .with(
            task("b0")
                .prompt("first test, blue car")
                .ready("4m40s")
                .created_ago("16d"),
        )
}

/// The sample list with the journal of its first task.
fn mixed_state() -> State {
    let mut state = mixed_program().build();
    load_journal(
        &mut state,
        NEON_ID,
        &[
            ("14:29:00", JournalEvent::Added),
            ("14:29:01", JournalEvent::StateChanged(line("generating"))),
            (
                "14:31:40",
                JournalEvent::CheckFailed(line("too many requests (429)")),
            ),
            ("14:31:52", JournalEvent::Recovered),
        ],
    );
    state
}

fn state_with_failed_tasks() -> State {
    program()
        .with(
            task("f1")
                .prompt("crowd becomes starlings")
                .failed(
                    "501",
                    "Generation failed: the input video shows a real person.",
                )
                .created_ago("2h"),
        )
        .with(task("f2").failed("", "").created_ago("3h"))
        .with(
            task("f3")
                .prompt("too long")
                .not_created("422", "The video is longer than 10 seconds")
                .created_ago("5h"),
        )
        .with(task("f4").added("10:00").not_found())
        .with(
            task("f5")
                .prompt("an odd answer")
                .unknown("7")
                .created_ago("6h")
                .checked_ago("3m", 9)
                .check_failed(
                    PollError::Server {
                        code: 502,
                        message: line("Bad gateway"),
                    },
                    "20s",
                ),
        )
        .build()
}

/// The sample list when offline: every row keeps its last state.
fn offline_state() -> State {
    let mut state = mixed_program()
        .with(task("zz").running().created_ago("30s").in_flight())
        .build();
    let error = PollError::Offline(line("cannot resolve api.kie.ai"));
    answer(&mut state, "zz", Err(error));
    press(&mut state, &["j"]);
    state
}

fn long_text_state() -> State {
    let word = "Donaudampfschifffahrtsgesellschaftskapitän ";
    let prompt = word.repeat(20) + "\n\nand after a break: " + &"x".repeat(300);
    let url = format!(
        "https://tempfile.example/{}/v.mp4?sig={}",
        "deep/".repeat(30),
        "f".repeat(120)
    );
    program()
        .with_list_name("a profile with a rather long name")
        .with(
            task(&"i".repeat(200))
                .label(&word.repeat(3))
                .prompt(&prompt)
                .source(&url)
                .callback(&url)
                .finished(
                    "26h",
                    CallbackStatus::Delivered,
                    &[&url, "ftp://example.com/v.mp4", &url],
                )
                .created_ago("27h")
                .checked_ago("26h", 4000),
        )
        .with(task(&"j".repeat(120)).running().created_ago("9000d"))
        .with(
            task("k")
                .prompt(&prompt)
                .failed(
                    "an error code that is a whole sentence by itself",
                    &"The message goes on and on. ".repeat(40),
                )
                .created_ago("1200d"),
        )
        .build()
}

fn wide_glyphs_state() -> State {
    program()
        .with_list_name("映画")
        .with(
            task("w1")
                .label("雨の街を歩く男、ゆっくりとしたパン、ネオンの反射")
                .prompt("夜の街をネオンに変える。濡れたアスファルト、ゆっくり左へパン。")
                .running()
                .created_ago("3m"),
        )
        .with(
            task("w2")
                .prompt("🚀🌧️ neon 👩🚀 city 🏙️ pan ⬅️ slow 🐢 and long enough to be cut")
                .ready("5m09s")
                .created_ago("22m"),
        )
        .with(
            task("w3")
                .prompt("한국어 제목과 e\u{301}a\u{308}o\u{308} combining")
                .failed("エラー五〇一です", "失敗しました")
                .created_ago("1h"),
        )
        .with(
            task("w4")
                .prompt("ﾊﾟﾋﾟﾌﾟ half-width katakana ﾞﾟ")
                .running()
                .created_ago("9m"),
        )
        .with(
            task("w5")
                .prompt("plain ascii")
                .ready("4m00s")
                .created_ago("2h"),
        )
        .build()
}

fn filter_state(text: &str) -> State {
    let mut state = mixed_state();
    press(&mut state, &["/"]);
    type_text(&mut state, text);
    state
}

/// The sample list with three marks, two of them visible.
fn marked_state() -> State {
    let mut state = mixed_state();
    press(&mut state, &["j", "j", "j", "Space", "Space", "Space"]);
    press(&mut state, &["/"]);
    type_text(&mut state, "state:ready");
    press(&mut state, &["Enter"]);
    state
}

fn confirm_remove_state() -> State {
    let mut state = marked_state();
    press(&mut state, &["d"]);
    state
}

fn confirm_open_state() -> State {
    let mut state = mixed_state();
    press(&mut state, &["*", "o"]);
    state
}

/// The sort menu over a list in another order than the default.
fn sort_menu_state() -> State {
    let mut state = mixed_state();
    press(&mut state, &["s", "5", "s", "j"]);
    state
}

/// Wide characters with marks and filter matches.
fn marked_glyphs_state() -> State {
    let mut state = wide_glyphs_state();
    press(&mut state, &["Space", "j", "Space", "/"]);
    type_text(&mut state, "n !xyz");
    press(&mut state, &["Enter"]);
    state
}

const SIZES: [(u16, u16); 3] = [(120, 36), (80, 24), (60, 18)];

#[test]
fn the_list_in_every_state() {
    let conditions = vec![
        ("empty", program().build()),
        ("mixed", mixed_state()),
        ("all_failed", state_with_failed_tasks()),
        ("offline", offline_state()),
        ("long_text", long_text_state()),
        ("wide_glyphs", wide_glyphs_state()),
    ];
    for (name, mut state) in conditions {
        for size in SIZES {
            assert_screen(&format!("list_{name}"), &mut state, size);
        }
    }
}

#[test]
fn the_list_at_other_sizes() {
    for size in [
        (200, 50),
        (100, 40),
        (110, 16),
        (80, 12),
        (60, 30),
        (40, 10),
        (40, 20),
        (30, 8),
        (24, 5),
        (20, 4),
    ] {
        assert_screen("list_mixed", &mut mixed_state(), size);
    }
    for size in [(120, 36), (80, 24), (60, 18)] {
        let mut state = program()
            .set(|settings| settings.api_key = ApiKeyStatus::Missing)
            .build();
        assert_screen("first_run_without_key", &mut state, size);
    }
    for size in [(40, 10), (24, 5)] {
        assert_screen("list_empty", &mut program().build(), size);
    }
    assert_screen("list_offline", &mut offline_state(), (40, 10));
}

#[test]
fn the_detail_of_every_kind() {
    for (name, moves) in [
        ("running", 0),
        ("late", 2),
        ("ready", 3),
        ("rescued", 5),
        ("failed", 6),
        ("expired", 10),
    ] {
        let mut state = mixed_state();
        press(&mut state, &vec!["j"; moves]);
        assert_screen(&format!("side_{name}"), &mut state, (120, 36));
        press(&mut state, &["Enter"]);
        assert_screen(&format!("detail_{name}"), &mut state, (80, 24));
    }
    let mut state = state_with_failed_tasks();
    press(&mut state, &["G"]);
    assert_screen("side_check_failed", &mut state, (120, 36));
}

#[test]
fn the_detail_pages() {
    for size in [(120, 36), (80, 24), (40, 10)] {
        let mut state = mixed_state();
        press(&mut state, &["Enter"]);
        assert_screen("detail_info", &mut state, size);
        press(&mut state, &["l"]);
        assert_screen("detail_time", &mut state, size);
    }
    let mut state = long_text_state();
    press(&mut state, &["G", "k", "Enter"]);
    press(&mut state, &["Esc", "g", "j", "Enter"]);
    render_text(&mut state, (80, 24));
    press(&mut state, &["PgDn"]);
    assert_screen("detail_scrolled", &mut state, (80, 24));
}

#[test]
fn the_detail_scrolls_to_its_last_line_and_no_further() {
    let mut state = long_text_state();
    press(&mut state, &["Enter"]);
    draw(&mut state, (60, 18), now(), &Theme::ansi());
    press(&mut state, &["G"]);
    let MainScreen::Detail { scroll, .. } = state.screen() else {
        panic!("the detail is not open");
    };
    let bottom = render_text(&mut state, (60, 18));

    press(&mut state, &["j", "j"]);

    assert!(scroll > 0);
    assert_eq!(render_text(&mut state, (60, 18)), bottom);
    assert!(bottom.contains("Added     "), "{bottom}");
}

fn add_state() -> State {
    let mut state = mixed_state();
    let text = format!(
        "{}\n{}\n{NEON_ID}\nqqqqq\n",
        "55ed9a7dd608a0e49293903095e45a4c", "66fc2b6f1d3b4a0c9c1f7c6b5a4e3d21"
    );
    update(&mut state, Msg::Pasted(text), now());
    state
}

#[test]
fn the_add_dialog() {
    for size in [(120, 36), (60, 18), (40, 10), (24, 5)] {
        assert_screen("add_pasted", &mut add_state(), size);
    }
    let mut state = program()
        .set(|settings| settings.suggestions = vec![id("demo5a4e3d21774d9a7dd608a0e49293")])
        .build();
    press(&mut state, &["a"]);
    assert_screen("add_blank", &mut state, (80, 24));
    type_text(&mut state, NEON_ID);
    assert_screen("add_typed", &mut state, (80, 24));

    let mut state = add_state();
    press(&mut state, &["Space", "Tab"]);
    type_text(&mut state, "campaign-07 雨");
    press(&mut state, &["Left", "Left", "Left"]);
    assert_screen("add_label", &mut state, (80, 24));

    let mut state = mixed_state();
    let many: String = (1..=3000).fold(String::new(), |mut text, n| {
        writeln!(text, "{n:032x}").expect("a line");
        text
    });
    update(&mut state, Msg::Pasted(many), now());
    press(&mut state, &["PgDn", "PgDn", "PgDn"]);
    assert_screen("add_many", &mut state, (80, 24));
}

#[test]
fn the_add_dialog_reports_everything_skipped() {
    let mut typed = mixed_state();
    press(&mut typed, &["a"]);
    type_text(
        &mut typed,
        "774d9a7d 1f0c2b6f1d3b4a0c9c1f7c6b5a4e3d21 hello",
    );
    let screen = render_text(&mut typed, (80, 24));
    assert!(screen.contains("not ids: 774d9a7d, hello"), "{screen}");

    let mut crowd = mixed_state();
    let words = "55ed9a7dd608a0e49293903095e45a4c aaaa bbbb cccc dddd eeee ffff gggg";
    update(&mut crowd, Msg::Pasted(words.to_owned()), now());
    let screen = render_text(&mut crowd, (80, 24));
    assert!(
        screen.contains("not ids: aaaa, bbbb, cccc, dddd, eeee, +2 more"),
        "{screen}"
    );

    let mut prose = mixed_state();
    let text = "Dear all,\nthe videos are on their way.";
    update(&mut prose, Msg::Pasted(text.to_owned()), now());
    let screen = render_text(&mut prose, (80, 24));
    assert!(
        screen.contains("No task id in the pasted text: Dear all,"),
        "{screen}"
    );

    let mut secret = mixed_state();
    let text = "Task ID: 55ed9a7dd608a0e49293903095e45a4c\n\
        Authorization: Bearer 9c0de1aa5b7f4e12a3d4c5b6e7f80912\n\
        created for run 66fc2b6f1d3b4a0c9c1f7c6b5a4e3d21 of taskId=None\n";
    update(&mut secret, Msg::Pasted(text.to_owned()), now());
    for size in [(120, 36), (60, 18)] {
        assert_screen("add_mixed", &mut secret, size);
    }

    let mut glued = mixed_state();
    let text = "new1f0c2b6f1d3b4a0c9c1f7c6b5a4e3d21";
    update(&mut glued, Msg::Pasted(text.to_owned()), now());
    assert_screen("add_glued", &mut glued, (80, 24));
    press(&mut glued, &["Space"]);
    let screen = render_text(&mut glued, (80, 24));
    assert!(screen.contains("[x] new1f0c2b6f"), "{screen}");
}

fn picker_state() -> State {
    let mut state = program()
        .with(
            task("p")
                .prompt("three takes")
                .finished(
                    "5m09s",
                    CallbackStatus::Delivered,
                    &[
                        "https://tempfile.example/l/f782018c-6be4-4990-96ba-7231cd5a39e7.mp4",
                        "https://tempfile.example/l/0b1e018c-6be4-4990-96ba-7231cd5a39e7.mp4",
                        "https://other.example/3.mp4",
                    ],
                )
                .created_ago("22m"),
        )
        .build();
    press(&mut state, &["o", "j"]);
    assert_eq!(state.context(), KeyContext::Pick);
    state
}

fn link_dialog_state() -> State {
    let mut state = mixed_state();
    let url = format!(
        "https://tempfile.example/r/f782018c-6be4.mp4?signature={}",
        "abcdef0123456789".repeat(8)
    );
    let msg = Msg::Opened {
        task: id("a3"),
        url: kietop::domain::link::VideoUrl::parse(&url).expect("a link"),
        result: Err("No browser could be started (no display).".to_owned()),
    };
    update(&mut state, msg, now());
    state
}

fn help_state() -> State {
    let mut state = mixed_state();
    press(&mut state, &["?"]);
    state
}

#[test]
fn the_other_dialogs() {
    for size in [(120, 36), (60, 18), (30, 8)] {
        assert_screen("pick", &mut picker_state(), size);
        assert_screen("link", &mut link_dialog_state(), size);
        assert_screen("help", &mut help_state(), size);
    }
    let mut state = mixed_state();
    press(&mut state, &["Enter", "?"]);
    assert_screen("help_detail", &mut state, (120, 36));
    let mut state = help_state();
    render_text(&mut state, (80, 24));
    press(&mut state, &["G"]);
    assert_screen("help_end", &mut state, (80, 24));
}

fn copy_menu_state() -> State {
    let mut state = mixed_state();
    press(&mut state, &["y"]);
    state
}

fn copy_marked_state() -> State {
    let mut state = mixed_state();
    press(&mut state, &["*", "y", "Down"]);
    state
}

fn label_editor_state() -> State {
    let mut state = mixed_state();
    press(&mut state, &["e"]);
    state
}

fn palette_state(text: &str) -> State {
    let mut state = mixed_state();
    press(&mut state, &[":"]);
    type_text(&mut state, text);
    state
}

/// The raw record of a task whose prompt is long, wide and full of control sequences.
fn raw_record_state() -> State {
    let mut state = mixed_state();
    press(&mut state, &["i"]);
    let prompt = "雨の街を歩く、カメラはゆっくり左へ。\u{202e}\u{1b}[31m".repeat(4);
    let json = format!(
        r#"{{"taskId":"{NEON_ID}","paramJson":"{{\"prompt\":\"{prompt}\"}}","successFlag":0,"errorCode":null,"response":{{"resultUrls":[],"originUrls":["https://tempfile.example/in/1.mp4"]}},"createTime":1.7778914e12,"done":false}}"#
    );
    let msg = support::raw_response_read(
        id(NEON_ID),
        Ok(Some(std::sync::Arc::new(RawResponse::parse(
            at("14:29:01"),
            &json,
        )))),
    );
    update(&mut state, msg, now());
    state
}

#[test]
fn the_action_dialogs() {
    for size in [(120, 36), (80, 24), (60, 18)] {
        assert_screen("copy", &mut copy_menu_state(), size);
        assert_screen("copy_many", &mut copy_marked_state(), size);
        assert_screen("label", &mut label_editor_state(), size);
        assert_screen("palette", &mut palette_state(""), size);
        assert_screen("palette_typed", &mut palette_state("copy re"), size);
        assert_screen("detail_json", &mut raw_record_state(), size);
    }
    assert_screen("palette_none", &mut palette_state("qqq"), (80, 24));
    let buffer = draw(&mut raw_record_state(), (80, 24), now(), &Theme::ansi());
    assert_snapshot!("styles_json_80x24", buffer_styles(&buffer));
}

#[test]
fn the_record_scrolls_to_its_last_row_and_no_further() {
    for size in [(120, 36), (80, 24), (60, 18), (30, 8)] {
        let mut state = raw_record_state();
        render_text(&mut state, size);
        press(&mut state, &["G"]);
        let end = render_text(&mut state, size);
        let last = "\"done\": false";
        assert!(
            end.contains(last) && end.split(last).any(|rest| rest.contains(" }")),
            "{end}"
        );
        press(&mut state, &["j"]);
        assert_eq!(render_text(&mut state, size), end);
        press(&mut state, &["g"]);
        assert!(render_text(&mut state, size).contains("received 14:29:01"));
    }
}

#[test]
fn the_absence_summary_is_in_the_strip() {
    let mut state = program()
        .with(task("a").ready("5m").created("14:00"))
        .still_loading()
        .build();
    let session = SavedSession {
        last_seen: Some(at("13:52:07")),
        ..SavedSession::default()
    };
    update(&mut state, support::session_loaded(session), now());
    let tasks = vec![
        task("a").ready("5m").created("14:00").build(),
        task("b").failed("501", "no").created("14:10").build(),
    ];
    update(&mut state, support::list_loaded(tasks), now());

    let screen = render_text(&mut state, (120, 36));

    assert!(
        screen.contains("since you left (40m): +1 ready +1 failed"),
        "{screen}"
    );
    assert!(
        screen.contains("Since you left (40m): +1 ready, +1 failed."),
        "{screen}"
    );
}

#[test]
fn the_title_shows_counts_and_is_stable() {
    let state = mixed_state();
    assert_eq!(
        ui::window_title(&state, &Theme::ansi()).as_deref(),
        Some("kietop studio ◐3 ✓5 !1 ✗2")
    );
    let ascii = Theme::monochrome().with_ascii();
    assert_eq!(
        ui::window_title(&state, &ascii).as_deref(),
        Some("kietop studio o3 +5 !1 x2")
    );
    let silent = mixed_program()
        .set(|settings| settings.notifications.channels.clear())
        .build();
    assert_eq!(ui::window_title(&silent, &ascii), None);
}

/// Returns the hit target at the first cell of `text`.
fn hit_target_of(state: &mut State, size: (u16, u16), text: &str) -> HitTarget {
    let buffer = draw(state, size, now(), &Theme::ansi());
    let area = *buffer.area();
    for y in 0..area.height {
        let text_from = |x: u16| {
            (x..area.width)
                .map(|x| buffer[(x, y)].symbol())
                .collect::<String>()
        };
        if let Some(x) = (0..area.width).find(|x| text_from(*x).starts_with(text)) {
            return ui::hit_test(state, now(), &Theme::ansi(), size, (x, y));
        }
    }
    panic!("{text} is not on the screen");
}

#[test]
fn hit_testing_matches_the_screen() {
    let claymation = id("1f0c2b6f1d3b4a0c9c1f7c6b5a4e3d21");
    for size in [(120, 36), (80, 24), (60, 20)] {
        let mut state = mixed_state();
        let mut check_targets = |keys: &[&str], targets: &[(&str, HitTarget)]| {
            press(&mut state, keys);
            for (text, target) in targets {
                assert_eq!(hit_target_of(&mut state, size, text), *target, "{text}");
            }
        };
        check_targets(
            &[],
            &[
                ("Failed 2", HitTarget::Tab(Tab::Failed)),
                ("[All", HitTarget::Tab(Tab::All)),
                ("TITLE", HitTarget::ColumnHead(SortColumn::Title)),
                ("AGE", HitTarget::ColumnHead(SortColumn::Age)),
                // A gap belongs to the nearer column.
                ("  TITLE", HitTarget::ColumnHead(SortColumn::Title)),
                ("claymation", HitTarget::Task(claymation.clone())),
                ("? help", HitTarget::Hint(Action::Help)),
            ],
        );
        check_targets(
            &["Enter"],
            &[
                ("JSON", HitTarget::Page(DetailPage::Json)),
                ("[Info]", HitTarget::Page(DetailPage::Info)),
                ("Esc back", HitTarget::Hint(Action::Back)),
            ],
        );
        check_targets(
            &["y"],
            &[
                ("the prompt", HitTarget::DialogLine(3)),
                ("Enter copy", HitTarget::Hint(Action::Accept)),
                ("Copy", HitTarget::Text),
            ],
        );
        let corner = ui::hit_test(&state, now(), &Theme::ansi(), size, (0, 0));
        assert_eq!(corner, HitTarget::OutsideDialog);
    }
    let state = mixed_state();
    for at in [(500, 500), (u16::MAX, u16::MAX)] {
        let target = ui::hit_test(&state, now(), &Theme::ansi(), (80, 24), at);
        assert_eq!(target, HitTarget::Nothing);
    }
}

#[test]
fn global_problems_are_shown_once() {
    let state_with_error = |error: PollError| {
        let mut state = mixed_program()
            .with(task("zz").running().created_ago("30s").in_flight())
            .build();
        answer(&mut state, "zz", Err(error));
        state
    };
    let mut refused = state_with_error(PollError::Unauthorized(401));
    assert_screen("banner_refused", &mut refused, (120, 36));
    assert_screen("banner_refused", &mut refused, (80, 24));
    assert_screen("banner_refused", &mut refused, (60, 18));
    press(&mut refused, &["/"]);
    type_text(&mut refused, "state:ready");
    press(&mut refused, &["Enter", "3"]);
    assert_screen("banner_filtered", &mut refused, (80, 24));
    press(&mut refused, &["1", "Esc", "g", "Enter"]);
    assert_screen("banner_in_detail", &mut refused, (80, 24));

    let mut keyless = state_with_error(PollError::NoKey);
    // The reason is shown below the list once the message has expired.
    update(&mut keyless, Msg::Tick, later(span("9s")));
    let screen = render_text(&mut keyless, (120, 36));
    assert!(
        screen.contains("No API key: set KIE_API_KEY and restart."),
        "{screen}"
    );
    assert!(
        !screen.contains("Next try") && !screen.contains("next check"),
        "{screen}"
    );
    let reason = kietop::domain::text::CleanText::line("the command failed", 80);
    let mut unread = state_with_error(PollError::KeyUnreadable(reason));
    update(&mut unread, Msg::Tick, later(span("9s")));
    let screen = render_text(&mut unread, (120, 36));
    assert!(screen.contains("Next try in "), "{screen}");

    let mut paused = mixed_program().build();
    press(&mut paused, &["p"]);
    let after_notice = later(span("9s"));
    update(&mut paused, Msg::Tick, after_notice);
    let buffer = draw(&mut paused, (120, 36), after_notice, &Theme::ansi());
    assert_snapshot!("banner_paused_120x36", buffer_text(&buffer));

    let mut unsaved = mixed_program().build();
    let change = ListChange::new(
        id("a3"),
        at("14:00"),
        ChangeKind::Opened("https://example.com/".to_owned()),
    );
    let msg = support::written(vec![change], Err(StoreError::Full));
    update(&mut unsaved, msg, now());
    assert_screen("banner_unsaved", &mut unsaved, (120, 36));
    assert_screen("banner_unsaved", &mut unsaved, (80, 24));

    let mut missing = mixed_program().build();
    let msg = support::answered(
        StoreRequest::ReadExternalChanges,
        Err(StoreError::Missing("/home/me/lists/kietop.db".into())),
    );
    update(&mut missing, msg, now());
    assert_screen("banner_gone", &mut missing, (120, 36));
    assert_screen("banner_gone", &mut missing, (80, 24));
    press(&mut missing, &["q"]);
    assert_screen("leave_gone", &mut missing, (60, 18));

    let mut fresh = program().with(task("zz").in_flight()).build();
    answer(&mut fresh, "zz", Err(PollError::Unauthorized(401)));
    assert_screen("refused_unseen", &mut fresh, (120, 36));

    let mut broken = program().still_loading().build();
    let newer = StoreError::NewerVersion { found: 9, known: 1 };
    update(
        &mut broken,
        support::answered(StoreRequest::LoadList, Err(newer)),
        now(),
    );
    assert_screen("load_failed", &mut broken, (120, 36));
    assert_screen("load_failed", &mut broken, (60, 18));
}

#[test]
fn past_messages_are_listed() {
    let mut state = mixed_state();
    press(&mut state, &["p", "o", "p", "s", "2", "m"]);
    for size in [(120, 36), (60, 18)] {
        assert_screen("messages", &mut state, size);
    }
}

/// Refreshes the selected task; returns its poll.
fn refresh_selected(state: &mut State, at: Now) -> (TaskId, PollAttempt) {
    let chord = support::chord("r");
    let is_repeat = false;
    let effects = update(state, Msg::Key { chord, is_repeat }, at);
    let poll = effects.into_iter().find_map(|effect| match effect {
        Effect::Poll { task, attempt, .. } => Some((task, attempt)),
        _ => None,
    });
    let (task, attempt) = poll.expect("a poll effect");
    support::start_poll(state, attempt, at);
    (task, attempt)
}

/// Refreshes the selected task and answers at once with these notes.
fn answer_with_anomaly(state: &mut State, at: Now, answer: PollResult, notes: ResponseNotes) {
    let (task, attempt) = refresh_selected(state, at);
    let msg = Msg::Polled {
        task,
        attempt,
        answer: Box::new(answer),
        notes,
    };
    update(state, msg, at);
}

/// The diagnostics after unusual answers of a server whose clock is behind.
fn diagnostics_state() -> State {
    let mut state = mixed_state();
    for second in 0..3 {
        let at = later(Duration::from_secs(second * 10));
        let date = Some(at.wall - SignedDuration::from_secs(192));
        let mut notes = ResponseNotes {
            date,
            ..ResponseNotes::default()
        };
        let answer = match second {
            0 => Err(PollError::Malformed(line("response for another task"))),
            _ => Ok(Observation {
                state: TaskState::Running {
                    is_finishing: false,
                },
                details: TaskDetails::default(),
                raw: "{}".into(),
            }),
        };
        if second == 2 {
            notes.add(Anomaly::UnknownCode);
            notes.add(Anomaly::MissingCode);
        }
        notes.keep_excerpt(&hostile_text());
        answer_with_anomaly(&mut state, at, answer, notes);
    }
    press(&mut state, &["M"]);
    state
}

// F64, F37
#[test]
fn anomalies_are_listed_in_diagnostics() {
    let mut nothing = mixed_state();
    press(&mut nothing, &["M"]);
    assert_screen("diagnostics_nothing", &mut nothing, (80, 24));
    let mut state = diagnostics_state();
    for size in [(80, 24), (120, 36), (30, 8)] {
        assert_screen("diagnostics", &mut state, size);
    }
    render_text(&mut state, (80, 24));
    press(&mut state, &["G"]);
    assert_screen("diagnostics_end", &mut state, (80, 24));
}

/// Returns an answer longer than a screen, with long words and control sequences.
fn hostile_text() -> String {
    let words = "it was a dark and stormy night ".repeat(30);
    let link = "f".repeat(700);
    format!(
        "{{\"msg\":\"{words}\u{1b}[2J\",\n\"data\":{{\"taskId\":1,\"taskId\":2,\"x\":\"{link}\"}}}}"
    )
}

// F58
#[test]
fn a_finished_task_lost_by_the_server_says_so() {
    let mut state = mixed_program()
        .with(task("zz").ready("5m").created("14:31"))
        .build();
    refresh_selected(&mut state, now());
    answer(&mut state, "zz", Err(PollError::NotFound));
    assert_screen("forgotten", &mut state, (80, 24));
    let side = render_text(&mut state, (120, 36));
    assert!(side.contains("no longer on server, just now"), "{side}");
    press(&mut state, &["/"]);
    type_text(&mut state, "error:\"no longer on server\"");
    press(&mut state, &["Enter"]);
    assert_eq!(state.shown(), [id("zz")]);
}

// F39
#[test]
fn not_found_text_depends_on_the_age() {
    for (added, expected) in [
        ("14:32:00", "No details yet: the server may not know"),
        ("14:25", "The server does not know this task."),
        ("14:20", "No data from the server after 12m."),
    ] {
        let mut state = program().with(task("zz").added(added).in_flight()).build();
        answer(&mut state, "zz", Err(PollError::NotFound));
        press(&mut state, &["Enter"]);
        let screen = render_text(&mut state, (100, 36));
        assert!(screen.contains(expected), "{screen}");
        assert!(!screen.contains("No answer yet"), "{screen}");
    }
}

// F23
#[test]
fn a_lasting_rate_limit_counts_down() {
    let limit = || {
        Err(PollError::RateLimited {
            code: 429,
            retry_after: None,
        })
    };
    let mut state = mixed_program()
        .with(task("zz").running().created_ago("30s").in_flight())
        .build();
    answer(&mut state, "zz", limit());
    let mut at = now();
    let end = later(Duration::from_mins(61));
    for failures in 2.. {
        if at.mono >= end.mono {
            break;
        }
        let backoff = state.poll_queue().backoff().expect("a backoff");
        at = later(backoff.until.since(now().mono));
        for effect in update(&mut state, Msg::Tick, at) {
            if let Effect::Poll { task, attempt, .. } = effect {
                support::start_poll(&mut state, attempt, at);
                let msg = Msg::Polled {
                    task,
                    attempt,
                    answer: Box::new(limit()),
                    notes: ResponseNotes {
                        backoff: support::own_backoff(&limit(), failures),
                        ..ResponseNotes::default()
                    },
                };
                update(&mut state, msg, at);
            }
        }
    }
    for size in [(120, 36), (80, 24)] {
        let name = format!("banner_limit_{}x{}", size.0, size.1);
        let buffer = draw(&mut state, size, at, &Theme::ansi());
        assert_snapshot!(name, buffer_text(&buffer));
    }
}

#[test]
fn the_next_step_is_kept_on_short_lines() {
    let title = "a title that takes all the room there is, and then some";
    let mut state = program()
        .with(task("a").label(title).ready("1m").created("14:00"))
        .with(task("b").ready("1m").created("13:00"))
        .build();
    let changes = vec![ListChange::new(id("a"), now().wall, ChangeKind::Remove)];
    let result = Ok(vec![ChangeResult::Removed]);
    update(&mut state, support::written(changes, result), now());

    let screen = render_text(&mut state, (60, 18));

    let line = screen.lines().find(|line| line.contains("Removed"));
    assert!(
        line.is_some_and(|line| line.contains("… Press u to undo.")),
        "{screen}"
    );
}

#[test]
fn the_first_frames() {
    let mut loading = program().with_list_name("studio").still_loading().build();
    assert_screen("loading", &mut loading, (80, 24));
    let mut demo = program()
        .with_list_name("demo")
        .set(|settings| settings.suggestions = vec![id("demo5a4e3d21774d9a7dd608a0e49293")])
        .build();
    assert_screen("first_run_demo", &mut demo, (120, 36));
    let mut tab = mixed_program().build();
    press(&mut tab, &["6"]);
    assert_screen("tab_expiring", &mut tab, (80, 24));
    let mut tab = program().with(task("a").running()).build();
    press(&mut tab, &["5"]);
    assert_screen("tab_without_tasks", &mut tab, (60, 18));
}

#[test]
fn the_statistics_of_many() {
    let minutes = [4, 5, 5, 6, 5, 4, 5, 7, 5, 5, 6, 4, 5, 8, 5, 6, 5, 5, 4, 12];
    let finished = minutes
        .iter()
        .cycle()
        .take(60)
        .enumerate()
        .map(|(n, minutes)| {
            let took = format!("{minutes}m{:02}s", n * 7 % 60);
            let sample = task(&format!("s{n}"))
                .prompt("one of many")
                .created_ago(&format!("{}m", n * 20 + 30));
            match n % 13 {
                12 => sample.failed("501", "no"),
                7 => sample.rescued(&took),
                _ => sample.ready(&took),
            }
        });
    let mut state = program().with_all(finished).build();
    press(&mut state, &["PgDn"]);
    assert_screen("stats", &mut state, (120, 36));
    assert_screen("stats", &mut state, (80, 30));
}

#[test]
fn every_theme_file_on_a_mixed_screen() {
    for name in ["dark", "light", "high-contrast", "colour-blind"] {
        let theme = Theme::from_palette(themes::load_theme(name, None).expect("a theme"));
        let buffer = draw(&mut mixed_state(), (80, 24), now(), &theme);
        let name = name.replace('-', "_");
        assert_snapshot!(format!("theme_{name}_80x24"), buffer_styles(&buffer));
    }
}

#[test]
fn a_themed_background_fills_the_screen() {
    let theme = Theme::from_palette(themes::load_theme("high-contrast", None).expect("a theme"));
    for mut state in [
        mixed_state(),
        add_state(),
        help_state(),
        link_dialog_state(),
        picker_state(),
    ] {
        let buffer = draw(&mut state, (80, 24), now(), &theme);
        let is_unthemed =
            |cell: &&ratatui::buffer::Cell| cell.fg == Color::Reset || cell.bg == Color::Reset;
        assert_eq!(buffer.content.iter().filter(is_unthemed).count(), 0);
    }
}

#[test]
fn colours_and_their_absence() {
    for (name, theme) in [("ansi", Theme::ansi()), ("monochrome", Theme::monochrome())] {
        let buffer = draw(&mut mixed_state(), (120, 36), now(), &theme);
        assert_snapshot!(format!("styles_{name}_120x36"), buffer_styles(&buffer));
        let buffer = draw(&mut add_state(), (60, 18), now(), &theme);
        assert_snapshot!(format!("styles_add_{name}_60x18"), buffer_styles(&buffer));
    }
    let buffer = draw(&mut offline_state(), (80, 24), now(), &Theme::ansi());
    assert_snapshot!("styles_offline_80x24", buffer_styles(&buffer));
    let ascii = Theme::monochrome().with_ascii();
    for (name, mut state) in [
        ("list", mixed_state()),
        ("help", help_state()),
        ("add", add_state()),
    ] {
        let text = buffer_text(&draw(&mut state, (80, 24), now(), &ascii));
        assert!(text.is_ascii(), "{text}");
        assert_snapshot!(format!("ascii_{name}_80x24"), text);
    }
    let text = buffer_text(&draw(&mut mixed_state(), (120, 36), now(), &ascii));
    assert!(text.is_ascii(), "{text}");
    assert_snapshot!("ascii_list_120x36", text);
}

#[test]
fn the_spinner_moves_every_second() {
    let mut glyphs = Vec::new();
    for second in 0..4 {
        let now = later(std::time::Duration::from_secs(second));
        let buffer = draw(&mut mixed_state(), (80, 24), now, &Theme::ansi());
        glyphs.push(buffer[(2, 3)].symbol().to_owned());
    }
    glyphs.sort();
    assert_eq!(glyphs, ["◐", "◑", "◒", "◓"]);
}

#[test]
fn filtering_and_marking() {
    for size in SIZES {
        let screens = vec![
            ("filter_typed", filter_state("prompt:o !state:failed")),
            ("filter_fault", filter_state("cat state:faild")),
            ("filter_nothing", filter_state("xyzzy")),
            ("marks", marked_state()),
            ("confirm_remove", confirm_remove_state()),
            ("sort_menu", sort_menu_state()),
        ];
        for (name, mut state) in screens {
            assert_screen(name, &mut state, size);
        }
    }
    let mut state = marked_state();
    press(&mut state, &["p"]);
    assert_screen("filter_below_banner", &mut state, (120, 36));
}

#[test]
fn opening_many_videos_is_confirmed() {
    for size in SIZES {
        assert_screen("confirm_open", &mut confirm_open_state(), size);
    }
}

#[test]
fn matches_are_underlined_in_any_script() {
    let buffer = draw(&mut marked_glyphs_state(), (80, 24), now(), &Theme::ansi());
    let mut state = wide_glyphs_state();
    press(&mut state, &["/"]);
    type_text(&mut state, "雨の街 ");
    let wide = draw(&mut state, (80, 24), now(), &Theme::ansi());
    let underlined = |buffer: &Buffer, y| {
        let cells = (0..80).filter(|x| buffer[(*x, y)].modifier.contains(Modifier::UNDERLINED));
        cells.map(|x| buffer[(x, y)].symbol()).collect::<String>()
    };

    assert_snapshot!("marks_on_wide_glyphs_80x24", buffer_text(&buffer));
    assert_eq!(underlined(&buffer, 3), "n", "the first of neon");
    assert_eq!(underlined(&wide, 3).replace(' ', ""), "雨の街");
}

#[test]
fn columns_align_in_any_script() {
    for (width, height) in [(120, 36), (80, 24), (100, 40), (160, 50)] {
        let buffer = draw(
            &mut wide_glyphs_state(),
            (width, height),
            now(),
            &Theme::ansi(),
        );
        let layout = ui::screen_layout((width, height));
        let column = |name: &str| {
            let line: Vec<_> = (layout.column_heads.x..layout.column_heads.right())
                .map(|x| buffer[(x, layout.column_heads.y)].symbol().to_owned())
                .collect();
            let heads = line.concat();
            let (before, _) = heads.split_once(name).expect("a column head");
            let at = before.chars().count();
            layout.column_heads.x + u16::try_from(at).expect("a column")
        };
        let (title, link) = (column("TITLE"), column("LINK"));

        for y in layout.rows.y..layout.rows.y + 5 {
            // The cells before the title and after the link are empty in every row.
            assert_eq!(buffer[(title - 1, y)].symbol(), " ", "{width}: {y}");
            assert_ne!(buffer[(title, y)].symbol(), " ", "{width}: {y}");
            assert_eq!(buffer[(link + 4, y)].symbol(), " ", "{width}: {y}");
            assert_ne!(buffer[(link + 3, y)].symbol(), " ", "{width}: {y}");
        }
        for row in buffer_text(&buffer).lines() {
            let cells: usize = format::width(row);
            assert_eq!(cells, usize::from(width) + 2, "{row}");
        }
    }
}

#[test]
fn dialogs_do_not_split_wide_characters() {
    for shift in 0..4 {
        let tasks = (0..24).map(|n| {
            let lead = "x".repeat(n % 2);
            task(&format!("t{n}"))
                .label(&format!("{lead}{}", "雨".repeat(60)))
                .running()
        });
        let mut state = program().with_all(tasks).build();
        press(&mut state, &["a"]);

        let buffer = draw(&mut state, (100 + shift, 30), now(), &Theme::ansi());

        let area = buffer.area();
        for y in 0..area.height {
            for x in 1..area.width {
                let is_border = ["│", "┌", "└"].contains(&buffer[(x, y)].symbol());
                let before = buffer[(x - 1, y)].symbol();
                assert!(!is_border || before.cell_width() == 1, "{x},{y}: {before}");
            }
        }
    }
}

#[test]
fn hints_name_the_configured_keys() {
    let mut state = mixed_program()
        .with_keys(&[("open_result", &["f5"]), ("help", &["f2"]), ("remove", &[])])
        .build();
    press(&mut state, &["j", "j", "j"]);
    let list = render_text(&mut state, (120, 36));
    press(&mut state, &["F2"]);
    let help = render_text(&mut state, (120, 50));

    for text in ["F5 open", "F2 help", "F5 to open the video,"] {
        assert!(list.contains(text), "{text} in\n{list}");
    }
    assert!(!list.contains("remove"), "{list}");
    assert!(help.contains("F5            open the result"), "{help}");
    assert!(!help.contains("stop watching"), "{help}");
}

/// Returns the downloads that were started.
fn downloads(effects: Vec<Effect>) -> Vec<DownloadId> {
    let started = effects.into_iter().filter_map(|effect| match effect {
        Effect::Download { id, .. } => Some(id),
        _ => None,
    });
    started.collect()
}

/// A list with saved results, one whose file is gone, and one with a download in progress.
fn saving_state() -> State {
    let urls = ["1", "2", "3"].map(|name| format!("https://ex.com/{name}.mp4"));
    let urls: Vec<_> = urls.iter().map(String::as_str).collect();
    let mut state = program()
        .set(|settings| {
            settings.home = Some("/home/me".into());
            settings.save_folder = "/home/me/Videos/kietop".into();
        })
        .with(
            task("b7d1e2f0a3c4b5d6")
                .label("oil-paint harbour at dawn")
                .created("14:10")
                .finished("5m09s", CallbackStatus::Delivered, &urls),
        )
        .with(
            task("c7d1e2f0a3c4b5d6")
                .label("desert to ocean floor")
                .created("13:51")
                .ready("4m51s"),
        )
        .with(
            task("d7d1e2f0a3c4b5d6")
                .label("paper-cut forest")
                .created("13:32")
                .rescued("6m02s"),
        )
        .with(
            task("e7d1e2f0a3c4b5d6")
                .label("moved away")
                .created("13:30")
                .ready("6m02s"),
        )
        .build();
    let mut attempts = Vec::new();
    for _ in 0..4 {
        attempts.extend(downloads(press(&mut state, &["w", "j"])));
    }
    // Each finished download starts the next; the first file of the harbour stays in progress.
    let mut next = attempts[1];
    for file in [
        "Videos/kietop/harbour-2.mp4",
        "Videos/kietop/harbour-3.mp4",
        "Videos/kietop/desert-c7d1e2f0a3c4b5d6.mp4",
        "Videos/kietop/forest.mp4",
        "moved.mp4",
    ] {
        let path = format!("/home/me/{file}");
        let msg = Msg::DownloadEnded {
            id: next,
            result: Ok(path.into()),
        };
        let started = downloads(update(&mut state, msg, now()));
        next = started.first().copied().unwrap_or(next);
    }
    let checked = vec![(id("e7d1e2f0a3c4b5d6"), "/home/me/moved.mp4".into(), false)];
    update(&mut state, Msg::FilesChecked(checked), now());
    let progress = TransferProgress {
        bytes: 12_300_000,
        total: Some(29_100_000),
        rate: 3_100_000,
    };
    let attempt = attempts[0];
    update(
        &mut state,
        Msg::DownloadProgressed {
            id: attempt,
            progress,
        },
        now(),
    );
    press(&mut state, &["g"]);
    state
}

#[test]
fn results_being_saved_and_saved() {
    for size in [(120, 36), (80, 24), (60, 18)] {
        assert_screen("saving", &mut saving_state(), size);
    }
    let mut state = saving_state();
    press(&mut state, &["j"]);
    assert_screen("saved", &mut state, (120, 36));
    press(&mut state, &["Enter"]);
    assert_screen("saved_detail", &mut state, (80, 24));
    let mut state = saving_state();
    press(&mut state, &["G"]);
    assert_screen("saved_and_moved", &mut state, (120, 36));
    press(&mut state, &["W"]);
    assert_screen("save_to", &mut state, (80, 24));

    let mut state = program()
        .with(task("a").created("14:00").ready("5m"))
        .build();
    let mut saving = state.selected().unwrap().clone();
    saving.saved_results.pending_folder = Some("/v".into());
    let change = ExternalChange::Changed(Box::new(saving));
    update(&mut state, support::external_changes(vec![change]), now());
    let detail = render_text(&mut state, (120, 36));
    assert!(detail.contains("another kietop is saving it"), "{detail}");

    let mut state = program()
        .with(task("a").created("14:00").ready("5m"))
        .build();
    let attempt = downloads(press(&mut state, &["w"]))[0];
    let result = Err(DownloadError::LinkExpired {
        status: 404,
        why: None,
    });
    update(
        &mut state,
        Msg::DownloadEnded {
            id: attempt,
            result,
        },
        now(),
    );
    for size in [(120, 36), (80, 24)] {
        let detail = render_text(&mut state, size);
        let expected = "not saved yet, next try in 5s";
        assert!(detail.contains(expected), "{detail}");
        press(&mut state, &["Enter"]);
    }
}
