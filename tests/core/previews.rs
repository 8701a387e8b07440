//! Tests of previews in the app core: when they are requested, how they end, and the space that
//! the screen reserves for them.

use kietop::{
    app::{
        msg::{Effect, Msg},
        state::{PreviewStage, State},
        update::update,
    },
    domain::{
        preview::{CellArea, PreviewError, PreviewId, PreviewMode, PreviewRequest},
        watched_task::WatchedTask,
    },
    ui::{self, DrawResult, theme::Theme},
};
use ratatui::{Terminal, backend::TestBackend};

use crate::support::{self, id, now, press, program, resize, task};

const CELL_AREA: CellArea = CellArea {
    width: 20,
    height: 6,
};

/// Returns a task whose result is saved to disk.
fn saved_task(name: &str) -> WatchedTask {
    let ready = task(name).ready("5m").created("14:00");
    let mut watched = ready.source("https://ex.com/in.mp4").build();
    watched
        .saved_results
        .add(1, format!("/saved/{name}.mp4").into());
    watched
}

/// Returns a state with two saved tasks and a ready one.
fn state_with_three_tasks(preview: PreviewMode) -> State {
    let mut state = program()
        .set(|settings| settings.preview_mode = preview)
        .still_loading()
        .build();
    let ready = task("c").ready("5m").created("13:00");
    let tasks = vec![saved_task("a"), saved_task("b"), ready.build()];
    update(&mut state, support::list_loaded(tasks), now());
    state
}

fn measure_layout(state: &mut State, preview_area: Option<CellArea>) -> Vec<PreviewRequest> {
    let msg = Msg::LayoutMeasured {
        max_scroll: 0,
        preview_area,
    };
    preview_requests(update(state, msg, now()))
}

fn preview_requests(effects: Vec<Effect>) -> Vec<PreviewRequest> {
    let as_request = |effect| {
        let Effect::RenderPreview(request) = effect else {
            return None;
        };
        Some(*request)
    };
    effects.into_iter().filter_map(as_request).collect()
}

fn finish_preview(
    state: &mut State,
    id: PreviewId,
    result: Result<(), PreviewError>,
) -> Vec<PreviewRequest> {
    preview_requests(update(state, Msg::PreviewReady { id, result }, now()))
}

fn preview_stage(state: &State) -> Option<PreviewStage> {
    state.preview().map(|preview| preview.stage)
}

#[test]
fn previews_are_requested_once_when_they_fit() {
    let mut state = state_with_three_tasks(PreviewMode::Auto);
    assert_eq!(
        preview_requests(press(&mut state, &["G", "g"])),
        [],
        "no space yet"
    );

    let [request] = &measure_layout(&mut state, Some(CELL_AREA))[..] else {
        panic!("expected one request")
    };
    assert_eq!((&request.task, request.area), (&id("a"), CELL_AREA));
    assert_eq!(request.result.to_str(), Some("/saved/a.mp4"));
    assert_eq!(request.input_link().as_str(), "https://ex.com/in.mp4");
    assert_eq!(preview_stage(&state), Some(PreviewStage::Rendering));
    assert_eq!(finish_preview(&mut state, request.id, Ok(())), []);
    assert_eq!(preview_stage(&state), Some(PreviewStage::Shown));
    assert_eq!(preview_requests(update(&mut state, Msg::Tick, now())), []);

    let larger = CellArea {
        width: 30,
        ..CELL_AREA
    };
    assert_eq!(measure_layout(&mut state, Some(larger)).len(), 1);
    assert_eq!(measure_layout(&mut state, None), []);
}

#[test]
fn one_preview_pair_is_read_at_a_time() {
    let mut state = state_with_three_tasks(PreviewMode::Auto);
    let first = measure_layout(&mut state, Some(CELL_AREA)).pop().unwrap();

    assert_eq!(
        press(&mut state, &["j"]).first(),
        Some(&Effect::StopPreview(first.id)),
        "it is no longer visible"
    );
    assert_eq!(
        preview_stage(&state),
        None,
        "the preview is of another task"
    );
    // It was rendered just before the stop.
    let second = finish_preview(&mut state, first.id, Ok(())).pop().unwrap();
    assert_eq!(second.task, id("b"));
    assert_eq!(finish_preview(&mut state, first.id, Ok(())), []);
    assert_eq!(preview_stage(&state), Some(PreviewStage::Rendering));
    finish_preview(&mut state, second.id, Ok(()));
    assert_eq!(preview_stage(&state), Some(PreviewStage::Shown));

    assert_eq!(
        preview_requests(press(&mut state, &["j"])),
        [],
        "no saved result"
    );
    assert!(!state.wants_preview());
}

#[test]
fn skipped_previews_are_cancelled_and_requested_again() {
    let mut state = state_with_three_tasks(PreviewMode::Auto);
    let first = measure_layout(&mut state, Some(CELL_AREA)).pop().unwrap();
    let count_stops = |effects: Vec<Effect>| {
        let is_stop = |effect: &&Effect| matches!(effect, Effect::StopPreview(_));
        effects.iter().filter(is_stop).count()
    };
    // A larger window does not stop the running preview.
    let larger = CellArea {
        width: 30,
        ..CELL_AREA
    };
    let (max_scroll, preview_area) = (0, Some(larger));
    assert_eq!(
        count_stops(update(
            &mut state,
            Msg::LayoutMeasured {
                max_scroll,
                preview_area
            },
            now()
        )),
        0
    );
    assert_eq!(
        count_stops(press(&mut state, &["?", "?"])),
        0,
        "a dialog in front"
    );

    // Down past a task without a preview and up again, before the answer.
    assert_eq!(count_stops(press(&mut state, &["j", "j", "k", "k"])), 1);
    assert_eq!(preview_stage(&state), Some(PreviewStage::Stopping));
    let requests = finish_preview(&mut state, first.id, Err(PreviewError::Stopped));
    let [second] = &requests[..] else {
        panic!("{requests:?}")
    };
    assert_eq!((&second.task, second.area), (&id("a"), larger));
    assert_eq!(preview_stage(&state), Some(PreviewStage::Rendering));
    assert_eq!(state.preview_error(), None);

    assert_eq!(count_stops(press(&mut state, &["G"])), 1);
    assert_eq!(
        finish_preview(&mut state, second.id, Err(PreviewError::Stopped)),
        []
    );
    assert_eq!(preview_requests(press(&mut state, &["g"])).len(), 1);
}

#[test]
fn failed_previews_are_retried_on_a_key() {
    let mut state = state_with_three_tasks(PreviewMode::Auto);
    let request = measure_layout(&mut state, Some(CELL_AREA)).pop().unwrap();
    finish_preview(&mut state, request.id, Err(PreviewError::Unreadable));
    assert_eq!(state.preview_error(), Some(PreviewError::Unreadable));
    assert_eq!(preview_requests(update(&mut state, Msg::Tick, now())), []);
    assert!(!state.wants_preview());

    let other = preview_requests(press(&mut state, &["j"])).pop().unwrap();
    finish_preview(&mut state, other.id, Err(PreviewError::NoFfmpeg));
    assert_eq!(
        preview_requests(press(&mut state, &["k"])),
        [],
        "ffmpeg is missing for every task"
    );
    assert_eq!(state.preview_error(), Some(PreviewError::NoFfmpeg));

    assert_eq!(preview_requests(press(&mut state, &["Ctrl-L"])).len(), 1);
}

#[test]
fn no_previews_under_a_dialog_or_when_off() {
    let mut state = state_with_three_tasks(PreviewMode::Auto);
    press(&mut state, &["?"]);
    assert_eq!(measure_layout(&mut state, Some(CELL_AREA)), []);
    assert_eq!(preview_requests(press(&mut state, &["?"])).len(), 1);

    let mut state = state_with_three_tasks(PreviewMode::Off);
    assert_eq!(measure_layout(&mut state, Some(CELL_AREA)), []);
    assert_eq!(state.preview_error(), None);
}

fn draw_detail(state: &State) -> (DrawResult, String) {
    let size = state.size();
    let mut terminal = Terminal::new(TestBackend::new(size.width, size.height)).unwrap();
    let mut drawn = DrawResult::default();
    terminal
        .draw(|frame| drawn = ui::draw(frame, state, now(), &Theme::monochrome()))
        .unwrap();
    (drawn, terminal.backend().to_string())
}

#[test]
fn space_is_reserved_only_for_possible_previews() {
    let mut state = state_with_three_tasks(PreviewMode::Auto);
    for (size, keys, is_reserved) in [
        ((120, 36), &[][..], true),
        ((200, 50), &[], true),
        ((80, 24), &[], false),
        ((120, 20), &[], false),
        ((80, 40), &["Enter"], true),
        ((44, 26), &["Enter"], true),
        ((40, 20), &["Enter"], false),
        ((120, 36), &["Enter", "l"], false),
    ] {
        press(&mut state, &["Esc"]);
        resize(&mut state, size);
        press(&mut state, keys);
        let (drawn, screen) = draw_detail(&state);
        assert_eq!(
            drawn.preview_area.is_some(),
            is_reserved,
            "{size:?} {keys:?}\n{screen}"
        );
        let Some(placement) = drawn.preview_placement else {
            continue;
        };
        let area = drawn.preview_area.unwrap();
        for image in [placement.input, placement.result] {
            assert_eq!((image.width, image.height), (area.width, area.height));
            assert!(
                image.right() < size.0 && image.bottom() < size.1,
                "{image:?}"
            );
        }
        assert!(placement.input.right() < placement.result.x);
        let above = usize::from(placement.input.y) - 1;
        let captions = screen.lines().nth(above).unwrap();
        assert!(
            captions.contains("input") && captions.contains("result"),
            "{screen}"
        );
    }

    press(&mut state, &["Esc"]);
    resize(&mut state, (120, 36));
    press(&mut state, &["?"]);
    let (covered, _) = draw_detail(&state);
    assert!(
        covered.preview_area.is_some() && covered.preview_placement.is_none(),
        "hidden by a dialog"
    );
    press(&mut state, &["Esc"]);

    let request = measure_layout(&mut state, Some(CELL_AREA)).pop().unwrap();
    assert!(draw_detail(&state).1.contains("loading"));
    finish_preview(&mut state, request.id, Err(PreviewError::NoFfmpeg));
    let (failed, screen) = draw_detail(&state);
    assert_eq!(
        (failed.preview_area, failed.preview_placement),
        (None, None)
    );
    assert!(screen.contains("install ffmpeg to see input"), "{screen}");
}
