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
        list_change::{ChangeKind, ChangeResult, JournalEvent, ListChange, StoreError},
        poll_result::{PollError, PollResult},
        query::SortColumn,
        raw_response::RawResponse,
        response_notes::{Anomaly, ResponseNotes},
        schedule::PollAttempt,
        status::Tab,
        store_request::StoreRequest,
        task::{CallbackStatus, TaskId},
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
    self, ProgramBuilder, answer, apply_filter, at, id, later, line, load_journal, now, press,
    program, resize, span, task, type_text,
};

/// Draws a state as the runtime does, and sends it the measured scroll limit.
fn draw(state: &mut State, size: (u16, u16), now: Now, theme: &Theme) -> Buffer {
    resize(state, size);
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).expect("a test terminal");
    let mut max_scroll = 0;
    terminal
        .draw(|frame| max_scroll = ui::draw(frame, state, now, theme).max_scroll)
        .expect("a drawn frame");
    update(state, support::layout_measured(max_scroll), now);
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

/// Compares a state with its snapshots at these sizes.
fn assert_screens(name: &str, mut state: State, sizes: &[(u16, u16)]) {
    for size in sizes {
        assert_screen(name, &mut state, *size);
    }
}

/// Checks that the screen shows a text; returns the screen.
#[track_caller]
fn assert_shows(state: &mut State, size: (u16, u16), text: &str) -> String {
    let screen = render_text(state, size);
    assert!(screen.contains(text), "{text} in\n{screen}");
    screen
}

/// Returns the sample list after these keys.
fn mixed_state_after(keys: &[&str]) -> State {
    let mut state = mixed_state();
    press(&mut state, keys);
    state
}

/// Returns the sample list after typing in the dialog that a key opens.
fn mixed_state_typed(key: &str, text: &str) -> State {
    let mut state = mixed_state_after(&[key]);
    type_text(&mut state, text);
    state
}

fn paste(state: &mut State, text: &str) {
    update(state, Msg::Pasted(text.to_owned()), now());
}

const NEON_ID: &str = "774d9a7dd608a0e49293903095e45a4c";

/// The sample list: eleven tasks in different states.
fn mixed_program() -> ProgramBuilder {
    let source = "https://tempfile.example/in/1755074605154fqb0m8ge.mp4";
    program().with_list_name("studio").with_all([
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
        task("1f0c2b6f1d3b4a0c9c1f7c6b5a4e3d21")
            .prompt("claymation chase, 24fps")
            .running()
            .created_ago("5m20s")
            .checked_ago("8s", 21)
            .due_in("22s"),
        task("9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d")
            .prompt("snow globe turns to summer")
            .running()
            .created_ago("14m")
            .checked_ago("12s", 40)
            .due_in("48s"),
        task("a3")
            .prompt("oil-paint harbour at dawn")
            .source(source)
            .ready("5m09s")
            .created_ago("22m"),
        task("a4")
            .prompt("desert to ocean floor")
            .ready("4m51s")
            .created_ago("41m"),
        task("a5")
            .prompt("paper-cut forest, fox runs")
            .callback("https://example.com/callback")
            .rescued("6m02s")
            .created_ago("1h"),
        task("a6")
            .prompt("crowd becomes starlings")
            .failed(
                "501",
                "Generation failed: the input video shows a real person.",
            )
            .created_ago("2h"),
        task("a7f0c2b6f1d3b4a0c9c1f7c6b5a4e3d2")
            .not_created("422", "The video is longer than 10 seconds")
            .created_ago("3h"),
        task("a8")
            .prompt("watercolour alley, cat")
            .ready("5m30s")
            .created_ago("12d20h"),
        task("a9")
            .prompt("chrome statue breathes")
            .ready("7m12s")
            .created_ago("13d5h"),
        task("b0")
            .prompt("first test, blue car")
            .ready("4m40s")
            .created_ago("16d"),
    ])
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
        .with_all([
            task("f1")
                .prompt("crowd becomes starlings")
                .failed(
                    "501",
                    "Generation failed: the input video shows a real person.",
                )
                .created_ago("2h"),
            task("f2").failed("", "").created_ago("3h"),
            task("f3")
                .prompt("too long")
                .not_created("422", "The video is longer than 10 seconds")
                .created_ago("5h"),
            task("f4").added("10:00").not_found(),
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
        ])
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
        .with_all([
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
            task(&"j".repeat(120)).running().created_ago("9000d"),
            task("k")
                .prompt(&prompt)
                .failed(
                    "an error code that is a whole sentence by itself",
                    &"The message goes on and on. ".repeat(40),
                )
                .created_ago("1200d"),
        ])
        .build()
}

fn wide_glyphs_state() -> State {
    program()
        .with_list_name("映画")
        .with_all([
            task("w1")
                .label("雨の街を歩く男、ゆっくりとしたパン、ネオンの反射")
                .prompt("夜の街をネオンに変える。濡れたアスファルト、ゆっくり左へパン。")
                .running()
                .created_ago("3m"),
            task("w2")
                .prompt("🚀🌧️ neon 👩🚀 city 🏙️ pan ⬅️ slow 🐢 and long enough to be cut")
                .ready("5m09s")
                .created_ago("22m"),
            task("w3")
                .prompt("한국어 제목과 e\u{301}a\u{308}o\u{308} combining")
                .failed("エラー五〇一です", "失敗しました")
                .created_ago("1h"),
            task("w4")
                .prompt("ﾊﾟﾋﾟﾌﾟ half-width katakana ﾞﾟ")
                .running()
                .created_ago("9m"),
            task("w5")
                .prompt("plain ascii")
                .ready("4m00s")
                .created_ago("2h"),
        ])
        .build()
}

/// The sample list with three marks, two of them visible.
fn marked_state() -> State {
    let mut state = mixed_state();
    press(&mut state, &["j", "j", "j", "Space", "Space", "Space"]);
    apply_filter(&mut state, "state:ready");
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
    let conditions = [
        ("empty", program().build()),
        ("mixed", mixed_state()),
        ("all_failed", state_with_failed_tasks()),
        ("offline", offline_state()),
        ("long_text", long_text_state()),
        ("wide_glyphs", wide_glyphs_state()),
    ];
    for (name, state) in conditions {
        assert_screens(&format!("list_{name}"), state, &SIZES);
    }
}

#[test]
fn the_list_at_other_sizes() {
    let large = [(200, 50), (100, 40), (110, 16), (60, 30)];
    let small = [(80, 12), (40, 10), (40, 20), (30, 8), (24, 5), (20, 4)];
    assert_screens("list_mixed", mixed_state(), &large);
    assert_screens("list_mixed", mixed_state(), &small);
    let without_key = program().set(|settings| settings.api_key = ApiKeyStatus::Missing);
    assert_screens("first_run_without_key", without_key.build(), &SIZES);
    assert_screens("list_empty", program().build(), &[(40, 10), (24, 5)]);
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
        let mut state = mixed_state_after(&vec!["j"; moves]);
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
        let mut state = mixed_state_after(&["Enter"]);
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
    let new = "55ed9a7dd608a0e49293903095e45a4c\n66fc2b6f1d3b4a0c9c1f7c6b5a4e3d21";
    paste(&mut state, &format!("{new}\n{NEON_ID}\nqqqqq\n"));
    state
}

#[test]
fn the_add_dialog() {
    let sizes = [(120, 36), (60, 18), (40, 10), (24, 5)];
    assert_screens("add_pasted", add_state(), &sizes);
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
    let many: Vec<_> = (1..=3000).map(|n| format!("{n:032x}\n")).collect();
    paste(&mut state, &many.concat());
    press(&mut state, &["PgDn", "PgDn", "PgDn"]);
    assert_screen("add_many", &mut state, (80, 24));
}

#[test]
fn the_add_dialog_reports_everything_skipped() {
    let mut typed = mixed_state_typed("a", "774d9a7d 1f0c2b6f1d3b4a0c9c1f7c6b5a4e3d21 hello");
    assert_shows(&mut typed, (80, 24), "not ids: 774d9a7d, hello");

    for (pasted, reported) in [
        (
            "55ed9a7dd608a0e49293903095e45a4c aaaa bbbb cccc dddd eeee ffff gggg",
            "not ids: aaaa, bbbb, cccc, dddd, eeee, +2 more",
        ),
        (
            "Dear all,\nthe videos are on their way.",
            "No task id in the pasted text: Dear all,",
        ),
    ] {
        let mut state = mixed_state();
        paste(&mut state, pasted);
        assert_shows(&mut state, (80, 24), reported);
    }

    let mut secret = mixed_state();
    let text = "Task ID: 55ed9a7dd608a0e49293903095e45a4c\n\
        Authorization: Bearer 9c0de1aa5b7f4e12a3d4c5b6e7f80912\n\
        created for run 66fc2b6f1d3b4a0c9c1f7c6b5a4e3d21 of taskId=None\n";
    paste(&mut secret, text);
    assert_screens("add_mixed", secret, &[(120, 36), (60, 18)]);

    let mut glued = mixed_state();
    paste(&mut glued, "new1f0c2b6f1d3b4a0c9c1f7c6b5a4e3d21");
    assert_screen("add_glued", &mut glued, (80, 24));
    press(&mut glued, &["Space"]);
    assert_shows(&mut glued, (80, 24), "[x] new1f0c2b6f");
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

#[test]
fn the_other_dialogs() {
    let sizes = [(120, 36), (60, 18), (30, 8)];
    assert_screens("pick", picker_state(), &sizes);
    assert_screens("link", link_dialog_state(), &sizes);
    assert_screens("help", mixed_state_after(&["?"]), &sizes);
    let mut state = mixed_state_after(&["Enter", "?"]);
    assert_screen("help_detail", &mut state, (120, 36));
    let mut state = mixed_state_after(&["?"]);
    render_text(&mut state, (80, 24));
    press(&mut state, &["G"]);
    assert_screen("help_end", &mut state, (80, 24));
}

/// The raw record of a task whose prompt is long, wide and full of control sequences.
fn raw_record_state() -> State {
    let mut state = mixed_state_after(&["i"]);
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
    for (name, state) in [
        ("copy", mixed_state_after(&["y"])),
        ("copy_many", mixed_state_after(&["*", "y", "Down"])),
        ("label", mixed_state_after(&["e"])),
        ("palette", mixed_state_after(&[":"])),
        ("palette_typed", mixed_state_typed(":", "copy re")),
        ("detail_json", raw_record_state()),
    ] {
        assert_screens(name, state, &SIZES);
    }
    assert_screen("palette_none", &mut mixed_state_typed(":", "qqq"), (80, 24));
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
    let mut state = program().still_loading().build();
    update(&mut state, support::session_seen("13:52:07"), now());
    let tasks = vec![
        task("a").ready("5m").created("14:00").build(),
        task("b").failed("501", "no").created("14:10").build(),
    ];
    update(&mut state, support::list_loaded(tasks), now());

    for text in [
        "since you left (40m): +1 ready +1 failed",
        "Since you left (40m): +1 ready, +1 failed.",
    ] {
        assert_shows(&mut state, (120, 36), text);
    }
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
    for size in SIZES {
        assert_screen("banner_refused", &mut refused, size);
    }
    apply_filter(&mut refused, "state:ready");
    press(&mut refused, &["3"]);
    assert_screen("banner_filtered", &mut refused, (80, 24));
    press(&mut refused, &["1", "Esc", "g", "Enter"]);
    assert_screen("banner_in_detail", &mut refused, (80, 24));

    let mut keyless = state_with_error(PollError::NoKey);
    // The reason is shown below the list once the message has expired.
    update(&mut keyless, Msg::Tick, later(span("9s")));
    let reason = "No API key: set KIE_API_KEY and restart.";
    let screen = assert_shows(&mut keyless, (120, 36), reason);
    assert!(
        !screen.contains("Next try") && !screen.contains("next check"),
        "{screen}"
    );
    let mut unread = state_with_error(PollError::KeyUnreadable(line("the command failed")));
    update(&mut unread, Msg::Tick, later(span("9s")));
    assert_shows(&mut unread, (120, 36), "Next try in ");

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
    assert_screens("banner_unsaved", unsaved, &[(120, 36), (80, 24)]);

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
    let msg = support::answered(StoreRequest::LoadList, Err(newer));
    update(&mut broken, msg, now());
    assert_screens("load_failed", broken, &[(120, 36), (60, 18)]);
}

#[test]
fn past_messages_are_listed() {
    let state = mixed_state_after(&["p", "o", "p", "s", "2", "m"]);
    assert_screens("messages", state, &[(120, 36), (60, 18)]);
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
            _ => support::story::running(),
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
    let mut nothing = mixed_state_after(&["M"]);
    assert_screen("diagnostics_nothing", &mut nothing, (80, 24));
    assert_screens(
        "diagnostics",
        diagnostics_state(),
        &[(80, 24), (120, 36), (30, 8)],
    );
    let mut state = diagnostics_state();
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
    assert_shows(&mut state, (120, 36), "no longer on server, just now");
    apply_filter(&mut state, "error:\"no longer on server\"");
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
        let screen = assert_shows(&mut state, (100, 36), expected);
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
        mixed_state_after(&["?"]),
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
        ("help", mixed_state_after(&["?"])),
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
        let mut confirm_remove = marked_state();
        press(&mut confirm_remove, &["d"]);
        let screens = vec![
            (
                "filter_typed",
                mixed_state_typed("/", "prompt:o !state:failed"),
            ),
            ("filter_fault", mixed_state_typed("/", "cat state:faild")),
            ("filter_nothing", mixed_state_typed("/", "xyzzy")),
            ("marks", marked_state()),
            ("confirm_remove", confirm_remove),
            ("confirm_open", mixed_state_after(&["*", "o"])),
            // In another order than the default.
            ("sort_menu", mixed_state_after(&["s", "5", "s", "j"])),
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
        .with_all([
            task("b7d1e2f0a3c4b5d6")
                .label("oil-paint harbour at dawn")
                .created("14:10")
                .finished("5m09s", CallbackStatus::Delivered, &urls),
            task("c7d1e2f0a3c4b5d6")
                .label("desert to ocean floor")
                .created("13:51")
                .ready("4m51s"),
            task("d7d1e2f0a3c4b5d6")
                .label("paper-cut forest")
                .created("13:32")
                .rescued("6m02s"),
            task("e7d1e2f0a3c4b5d6")
                .label("moved away")
                .created("13:30")
                .ready("6m02s"),
        ])
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
    let id = attempts[0];
    update(&mut state, Msg::DownloadProgressed { id, progress }, now());
    press(&mut state, &["g"]);
    state
}

#[test]
fn results_being_saved_and_saved() {
    assert_screens("saving", saving_state(), &SIZES);
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
    update(&mut state, support::changed_elsewhere(saving), now());
    assert_shows(&mut state, (120, 36), "another kietop is saving it");

    let mut state = program()
        .with(task("a").created("14:00").ready("5m"))
        .build();
    let attempt = downloads(press(&mut state, &["w"]))[0];
    let (status, why) = (404, None);
    let msg = Msg::DownloadEnded {
        id: attempt,
        result: Err(DownloadError::LinkExpired { status, why }),
    };
    update(&mut state, msg, now());
    for size in [(120, 36), (80, 24)] {
        assert_shows(&mut state, size, "not saved yet, next try in 5s");
        press(&mut state, &["Enter"]);
    }
}
