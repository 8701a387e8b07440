//! Scenario tests of filters, sort orders, marks, bulk actions and the restored session.

use std::time::Duration;

use kietop::{
    app::{
        msg::{Effect, Msg},
        state::{Confirm, DetailPage, MainScreen, Overlay, State},
        update::update,
    },
    domain::{
        list_change::{AccessMode, StoreError},
        query::{ListView, Query, SortColumn, SortOrder},
        saved_session::SavedSession,
        status::Tab,
        store_request::StoreRequest,
        task::{CallbackStatus, TaskId},
    },
};

use crate::support::{
    self, TaskBuilder, answer, apply_filter, id, message, now, press, program, selected_task,
    story::{Story, finished, running},
    task, type_text,
};

/// Returns six tasks, newest first: two running, two ready, two failed.
fn six_tasks() -> [TaskBuilder; 6] {
    let url = "https://ex.com/1.mp4";
    [
        task("a1").prompt("neon city").running().created_ago("1m"),
        task("a2").prompt("snow globe").running().created_ago("2m"),
        task("a3")
            .prompt("neon harbour")
            .finished("5m", CallbackStatus::Delivered, &[url])
            .created_ago("20m"),
        task("a4")
            .prompt("desert")
            .finished("4m", CallbackStatus::Delivered, &[url])
            .created_ago("30m"),
        task("a5")
            .prompt("crowd")
            .failed("501", "a real person")
            .created_ago("40m"),
        task("a6")
            .prompt("forest")
            .failed("422", "too long")
            .created_ago("50m"),
    ]
}

fn state_with_filter(text: &str) -> State {
    let mut state = program().with_all(six_tasks()).build();
    press(&mut state, &["/"]);
    type_text(&mut state, text);
    state
}

fn shown_rows(state: &State) -> String {
    let ids: Vec<_> = state.shown().iter().map(TaskId::as_str).collect();
    ids.join(" ")
}

fn marked_rows(state: &State) -> String {
    let targets = state.targets().into_iter();
    let ids = targets.map(|watched| watched.id().as_str());
    let marked: Vec<_> = ids.filter(|name| state.marks().has(&id(name))).collect();
    marked.join(" ")
}

fn active_filter(state: &State) -> String {
    state.list_view().query.to_string()
}

/// Returns the task ids of each write.
fn stored_ids(effects: &[Effect]) -> Vec<Vec<&str>> {
    let mut written = Vec::new();
    for effect in effects {
        if let Effect::Store(StoreRequest::Write(changes)) = effect {
            written.push(changes.iter().map(|change| change.task.as_str()).collect());
        }
    }
    written
}

#[test]
fn a_filter_applies_while_typing() {
    let mut state = state_with_filter("neon");
    assert_eq!(shown_rows(&state), "a1 a3");

    press(&mut state, &["Backspace"; 4]);
    assert_eq!(shown_rows(&state), "a1 a2 a3 a4 a5 a6");

    type_text(&mut state, "state:failed person");
    press(&mut state, &["Enter"]);
    assert_eq!(shown_rows(&state), "a5");
    assert!(state.overlay().is_none());

    press(&mut state, &["/"]);
    type_text(&mut state, "x");
    assert_eq!(
        active_filter(&state),
        "state:failed personx",
        "editing continues at the end"
    );
    press(&mut state, &["Esc"]);
    assert_eq!(
        (shown_rows(&state).len(), active_filter(&state).as_str()),
        (17, "")
    );
}

#[test]
fn a_filter_error_keeps_the_valid_part() {
    let mut state = state_with_filter("neon state:");
    let filter_error = |state: &State| match state.overlay() {
        Some(Overlay::Filter(line)) => line.error.as_ref().map(ToString::to_string),
        _ => panic!("the filter line is not open"),
    };
    assert_eq!(shown_rows(&state), "a1 a3");
    assert_eq!(
        filter_error(&state).unwrap(),
        "state needs a value, as in state:failed"
    );

    press(&mut state, &["Enter"]);
    assert!(filter_error(&state).is_some(), "the error stays visible");

    type_text(&mut state, "ready");
    assert_eq!(
        (shown_rows(&state).as_str(), filter_error(&state)),
        ("a3", None)
    );
}

#[test]
fn the_selection_returns_when_a_filter_widens() {
    let mut state = program().with_all(six_tasks()).with_size(80, 24).build();
    press(&mut state, &["j", "j", "j", "/"]);
    type_text(&mut state, "neon");
    assert_eq!(selected_task(&state), "a3", "the nearest visible row");

    press(&mut state, &["Backspace"; 4]);
    assert_eq!(selected_task(&state), "a4");

    type_text(&mut state, "neon");
    press(&mut state, &["Up", "Esc"]);
    assert_eq!(
        selected_task(&state),
        "a1",
        "a row selected meanwhile stays selected"
    );
}

#[test]
fn clearing_a_filter_restores_the_selection() {
    let many = (0..60).map(|n| task(&format!("t{n:02}")).ready("1m").created_ago("9m"));
    let mut state = program().with_all(many).with_size(80, 24).build();
    press(&mut state, &["PageDown", "PageDown", "PageDown", "k", "k"]);
    let view_position = |state: &State| (selected_task(state).to_owned(), state.top());
    let before = view_position(&state);
    assert!(before.1 > 0);

    press(&mut state, &["/"]);
    type_text(&mut state, "nothing-is-called-that");
    assert_eq!(shown_rows(&state), "");
    press(&mut state, &["Esc"]);
    assert_eq!(
        view_position(&state),
        before,
        "after a filter without matches"
    );

    apply_filter(&mut state, "id:t0");
    assert_ne!(view_position(&state), before);
    press(&mut state, &["Esc"]);
    assert_eq!(view_position(&state), before, "after an applied filter");

    apply_filter(&mut state, "id:t0");
    press(&mut state, &["g", "Esc"]);
    assert_eq!(selected_task(&state), "t00", "a moved selection is kept");
}

#[test]
fn removing_a_hidden_task_asks_first() {
    let mut story = Story::with_tasks(six_tasks());
    let marked = story.selected().to_owned();
    story.press(&["Space", "5", "d"]);

    let is_confirming = matches!(
        story.state.overlay(),
        Some(Overlay::Confirm(Confirm::Remove { tasks, hidden: 1 })) if tasks.as_slice() == [id(&marked)]
    );
    assert!(is_confirming, "{:?}", story.state.overlay());
    story.press(&["n"]);
    assert_eq!(story.state.list().len(), 6);
}

#[test]
fn back_from_the_record_returns_to_its_origin() {
    let is_detail = |state: &State| matches!(state.screen(), MainScreen::Detail { .. });
    for key in ["q", "Esc", "i"] {
        let mut state = program().with_all(six_tasks()).build();
        press(&mut state, &["i"]);
        assert!(is_detail(&state));
        assert_eq!(press(&mut state, &[key]), []);
        assert_eq!(state.screen(), MainScreen::List, "{key}");

        press(&mut state, &["Enter", "l"]);
        let before = state.screen();
        press(&mut state, &["i", key]);
        assert_eq!(state.screen(), before, "{key}");
        assert!(press(&mut state, &["q"]).contains(&Effect::Quit));
    }
}

#[test]
fn every_detail_key_acts_or_says_why() {
    let mut state = program().with_all(six_tasks()).build();
    press(&mut state, &["Enter", "3"]);
    assert_eq!(
        state.screen(),
        MainScreen::Detail {
            page: DetailPage::Json,
            scroll: 0
        }
    );
    for (key, text) in [
        ("Space", "Marked \"neon"),
        ("5", "The details have 3 pages"),
        ("V", "V works in the list only. Press Esc to go back."),
        ("*", "* works in the list only."),
    ] {
        press(&mut state, &[key]);
        assert!(
            message(&state).starts_with(text),
            "{key}: {}",
            message(&state)
        );
    }
}

#[test]
fn the_list_starts_at_the_top() {
    let mut story = Story::with_tasks([task("old").ready("1m").created("14:00")]);
    let added = |name: &str| task(name).running().created("14:31");
    story.change_elsewhere(added("new"));
    assert_eq!(story.selected(), "new");

    story.press(&["j"]);
    story.change_elsewhere(added("newer"));
    assert_eq!(story.selected(), "old");
}

#[test]
fn a_paste_goes_into_the_filter_only() {
    let mut state = state_with_filter("state:ready ");
    let msg = Msg::Pasted("\n neon\u{1b}[2J\nsecond line".into());
    update(&mut state, msg, now());
    assert_eq!(active_filter(&state), "state:ready neon␛[2J");

    press(&mut state, &["Esc"]);
    update(&mut state, Msg::Pasted("neon".into()), now());
    assert!(matches!(state.overlay(), Some(Overlay::Add(_))));
}

#[test]
fn tab_counts_ignore_the_filter() {
    let mut state = state_with_filter("neon");
    press(&mut state, &["Enter", "3"]);

    assert_eq!(shown_rows(&state), "a3");
    assert_eq!(state.list().counts().ready, 2);
}

#[test]
fn answers_move_tasks_in_and_out_of_a_filter() {
    let mut state = program()
        .with_all(six_tasks())
        .with(task("a7").running().created_ago("3m").due_in("0s"))
        .build();
    apply_filter(&mut state, "state:generating");
    press(&mut state, &["j", "j"]);
    assert_eq!(
        (shown_rows(&state).as_str(), selected_task(&state)),
        ("a1 a2 a7", "a7")
    );

    answer(&mut state, "a7", finished(&["https://ex.com/1.mp4"]));

    assert_eq!(
        (shown_rows(&state).as_str(), selected_task(&state)),
        ("a1 a2", "a2")
    );
}

#[test]
fn sorting_and_reversing_keep_the_selection() {
    let mut state = program().with_all(six_tasks()).build();
    press(&mut state, &["j", "s", "3"]);
    assert_eq!(shown_rows(&state), "a5 a4 a6 a1 a3 a2");
    assert_eq!(
        (selected_task(&state), message(&state)),
        ("a2", "Sorted: title A to Z.")
    );

    press(&mut state, &["S"]);
    assert_eq!(shown_rows(&state), "a2 a3 a1 a6 a4 a5");

    press(&mut state, &["s", "Enter"]);
    assert_eq!(
        state.list_view().order,
        SortOrder::new(SortColumn::Title).flipped(),
        "the menu opens at the current order and keeps it"
    );
    press(&mut state, &["s", "j", "Esc"]);
    assert_eq!(state.list_view().order.column, SortColumn::Title);
    press(&mut state, &["s", "S", "Enter"]);
    assert_eq!(state.list_view().order, SortOrder::new(SortColumn::Title));
}

#[test]
fn marks_work_singly_in_ranges_and_for_all() {
    let mut state = program().with_all(six_tasks()).build();
    press(&mut state, &["Space", "Space"]);
    assert_eq!(
        (marked_rows(&state).as_str(), selected_task(&state)),
        ("a1 a2", "a3")
    );

    press(&mut state, &["j", "j", "V"]);
    assert_eq!(marked_rows(&state), "a1 a2 a3 a4 a5");

    press(&mut state, &["g", "Space"]);
    assert_eq!(marked_rows(&state), "a2 a3 a4 a5");

    press(&mut state, &["*"]);
    assert_eq!(state.marks().len(), 6);
    press(&mut state, &["*"]);
    assert!(state.marks().is_empty(), "pressed again: no marks");
}

#[test]
fn a_mark_range_without_anchor_starts_here() {
    let mut state = program().with_all(six_tasks()).build();
    press(&mut state, &["j", "V"]);
    assert_eq!(marked_rows(&state), "a2");
    assert!(message(&state).starts_with("Range starts here"));

    press(&mut state, &["G", "V"]);
    assert_eq!(marked_rows(&state), "a2 a3 a4 a5 a6");
}

#[test]
fn marks_survive_sort_filter_tab_and_answers() {
    let mut state = program().with_all(six_tasks()).build();
    press(&mut state, &["Space", "j", "Space", "s", "3", "2"]);
    apply_filter(&mut state, "neon");

    assert_eq!(
        (shown_rows(&state).as_str(), state.marks().len()),
        ("a1", 2)
    );
    assert_eq!(
        marked_rows(&state),
        "a1 a3",
        "visible rows first, then hidden ones"
    );

    update(&mut state, support::removed_elsewhere("a3"), now());
    assert_eq!(marked_rows(&state), "a1", "a removed task loses its mark");
}

#[test]
fn escape_closes_detail_then_marks_then_filter() {
    let mut state = state_with_filter("neon");
    press(&mut state, &["Enter", "Space", "Enter"]);
    assert_ne!(state.screen(), MainScreen::List);

    press(&mut state, &["Esc"]);
    assert_eq!((state.screen(), state.marks().len()), (MainScreen::List, 1));
    press(&mut state, &["Esc"]);
    assert_eq!(
        (state.marks().len(), active_filter(&state).as_str()),
        (0, "neon")
    );
    press(&mut state, &["Esc"]);
    assert_eq!(active_filter(&state), "");
    press(&mut state, &["Esc"]);
    assert_eq!(message(&state), "Nothing to close. Press q to quit.");
}

#[test]
fn bulk_removal_confirms_once_and_undoes_once() {
    let mut story = Story::with_tasks(six_tasks());
    story.press(&["*", "d"]);
    let is_confirming = matches!(
        story.state.overlay(),
        Some(Overlay::Confirm(Confirm::Remove { tasks, hidden: 0 })) if tasks.len() == 6
    );
    assert!(is_confirming);
    story.press(&["n"]);
    assert_eq!(
        (story.state.list().len(), story.state.marks().len()),
        (6, 6)
    );

    let effects = story.press(&["d", "y"]);
    assert_eq!(stored_ids(&effects), [["a1", "a2", "a3", "a4", "a5", "a6"]]);
    assert_eq!(
        (story.state.list().len(), story.state.marks().len()),
        (0, 0)
    );
    assert_eq!(story.message(), "Removed 6 tasks. Press u to undo.");

    story.press(&["u"]);
    assert_eq!(
        (story.state.list().len(), story.message()),
        (6, "Restored 6 tasks.")
    );
}

#[test]
fn removing_and_restoring_a_hundred_keeps_the_view() {
    let many = (0..300).map(|n| {
        task(&format!("t{n:03}"))
            .running()
            .created_ago("9m")
            .due_in("9m")
    });
    let mut story = Story::with_tasks(many);
    story.press(&["/"]);
    story.type_text("id:5");
    story.press(&["Enter", "*", "d", "y"]);
    assert_eq!(story.state.list().len(), 300 - 57);
    assert_eq!(shown_rows(&story.state), "");

    story.press(&["u"]);
    assert_eq!(
        (story.state.list().len(), story.state.shown().len()),
        (300, 57)
    );
    story.press(&["Esc", "*", "d", "y"]);
    assert_eq!(story.state.list().len(), 0);
    story.press(&["u"]);
    assert_eq!(story.state.shown().len(), 300);
}

#[test]
fn adding_a_filtered_out_task_says_so() {
    let mut story = Story::with_tasks(six_tasks());
    story.press(&["5", "a"]);
    story.type_text("774d9a7dd608a0e49293903095e45a4c");
    story.press_for(
        &["Enter"],
        "Added \"774d9a7dd608a0e49293903095e45a4c\". Hidden by the current tab or filter.",
    );
}

#[test]
fn removing_one_task_needs_no_confirmation() {
    let mut story = Story::with_tasks(six_tasks());
    story.press(&["d"]);
    assert_eq!(story.state.list().len(), 5);

    story.press(&["j", "j", "Space", "g", "d"]);
    assert_eq!(story.state.list().len(), 4);
    assert!(
        story.state.list().get(&id("a4")).is_none(),
        "the marked task"
    );
}

#[test]
fn full_detail_actions_apply_to_the_shown_task() {
    let mut story = Story::with_tasks(six_tasks());
    story.press(&["Space", "Space", "Enter", "d"]);

    assert!(story.state.list().get(&id("a3")).is_none());
    assert_eq!(
        (story.state.list().len(), story.state.marks().len()),
        (5, 2)
    );
}

#[test]
fn marked_tasks_are_refreshed_together() {
    let mut story = Story::with_tasks(six_tasks())
        .with_server(Duration::from_millis(200), |_, _| Some(running()));
    let before = story.poll_count();
    story.press_for(
        &["G", "Space", "k", "k", "Space", "r"],
        "Refreshing 2 tasks.",
    );
    story.advance(Duration::from_secs(1));
    assert_eq!(story.poll_count() - before, 2);
    assert_eq!(story.poll_starts(Some("a6")).len(), 1);
}

#[test]
fn opening_many_marked_videos_is_confirmed() {
    let count_opens = |effects: &[Effect]| {
        let is_open = |effect: &&Effect| matches!(effect, Effect::Open { .. });
        effects.iter().filter(is_open).count()
    };
    let ready_task = |n: usize| task(&format!("m{n}")).ready("1m").created_ago("9m");
    let mut state = program().with_all(six_tasks()).build();
    let effects = press(&mut state, &["*", "o"]);
    assert_eq!(count_opens(&effects), 2);
    assert_eq!(message(&state), "Opening 2 videos; 4 tasks have none.");

    let mut state = program().with_all((0..5).map(ready_task)).build();
    assert_eq!(count_opens(&press(&mut state, &["*", "o"])), 0);
    assert!(matches!(
        state.overlay(),
        Some(Overlay::Confirm(Confirm::Open { .. }))
    ));
    assert_eq!(count_opens(&press(&mut state, &["y"])), 5);

    let mut state = state_with_filter("state:failed");
    press(&mut state, &["Enter", "*", "o"]);
    assert_eq!(
        message(&state),
        "None of the 2 marked tasks has a video to open."
    );
}

#[test]
fn a_removal_of_an_earlier_run_can_be_undone() {
    let mut state = program().with_all(six_tasks()).build();
    let session = SavedSession {
        removals: vec![vec![id("old")], vec![id("x"), id("y")]],
        ..SavedSession::default()
    };
    update(&mut state, support::session_loaded(session), now());

    let restored_ids = |effects: &[Effect]| match effects {
        [Effect::Store(StoreRequest::Write(changes)), ..] => changes
            .iter()
            .map(|change| change.task.to_string())
            .collect(),
        _ => Vec::new(),
    };
    assert_eq!(restored_ids(&press(&mut state, &["u"])), ["x", "y"]);
    assert_eq!(restored_ids(&press(&mut state, &["u"])), ["old"]);
    press(&mut state, &["u"]);
    assert_eq!(message(&state), "Nothing to undo.");
}

fn list_view(tab: Tab, order: SortOrder, filter: &str) -> ListView {
    ListView {
        tab,
        order,
        query: Query::parse(filter).expect("a filter"),
    }
}

#[test]
fn view_changes_are_saved_with_a_delay() {
    let mut story = Story::with_tasks(six_tasks());
    story.press(&["3", "s", "3", "Enter", "/"]);
    story.type_text("neon");
    story.advance(Duration::from_secs(5));
    assert_eq!(story.saved_view, None, "not while typing");

    story.press(&["Enter"]);
    assert_eq!(story.saved_view, None);
    story.advance(Duration::from_secs(3));
    let expected = list_view(Tab::Ready, SortOrder::new(SortColumn::Title), "neon");
    assert_eq!(story.saved_view.take(), Some(expected));

    story.advance(Duration::from_mins(1));
    assert_eq!(story.saved_view, None, "saved once");
    story.press(&["1", "q"]);
    let expected = list_view(Tab::All, SortOrder::new(SortColumn::Title), "neon");
    assert_eq!(story.saved_view, Some(expected), "saved at once on quit");
}

#[test]
fn the_last_view_is_restored_at_start() {
    let saved_view = list_view(
        Tab::Failed,
        SortOrder::new(SortColumn::Age).flipped(),
        "!code:422",
    );
    let session_loaded = |saved_view: &ListView| {
        support::session_loaded(SavedSession {
            list_view: saved_view.clone(),
            ..SavedSession::default()
        })
    };
    let mut state = program().still_loading().build();
    update(&mut state, session_loaded(&saved_view), now());
    let tasks = six_tasks().into_iter().map(TaskBuilder::build).collect();
    update(&mut state, support::list_loaded(tasks), now());
    assert_eq!(
        (state.list_view(), shown_rows(&state).as_str()),
        (&saved_view, "a5")
    );

    let mut state = program().with_all(six_tasks()).build();
    press(&mut state, &["2"]);
    update(&mut state, session_loaded(&saved_view), now());
    assert_eq!(
        state.tab(),
        Tab::Active,
        "the tab chosen since startup is kept"
    );
}

#[test]
fn the_session_is_loaded_once_after_a_retry() {
    let mut story = Story::from_program(program());
    story.send(support::session_loaded(SavedSession {
        removals: vec![vec![id("a0")]],
        ..SavedSession::default()
    }));
    story.send(support::answered(
        StoreRequest::LoadList,
        Err(StoreError::Busy),
    ));

    story.advance(Duration::from_secs(6));
    story.send(support::list_loaded(Vec::new()));

    let is_session_load =
        |(_, effect): &&(Duration, Effect)| *effect == Effect::Store(StoreRequest::LoadSession);
    assert_eq!(story.effects.iter().filter(is_session_load).count(), 0);
    story.press(&["u"]);
    story.press(&["u"]);
    assert_eq!(story.message(), "Nothing to undo.", "it is undone once");

    // A failed session load is retried with the list.
    let mut story = Story::from_program(program());
    story.send(support::answered(
        StoreRequest::LoadSession,
        Err(StoreError::Busy),
    ));
    story.send(support::answered(
        StoreRequest::LoadList,
        Err(StoreError::Busy),
    ));
    story.advance(Duration::from_secs(6));
    assert_eq!(story.effects.iter().filter(is_session_load).count(), 1);
}

#[test]
fn read_only_saves_no_session() {
    let read_only = program().set(|settings| settings.access = AccessMode::ReadOnly);
    let mut story = Story::from_program(read_only);
    story.load(six_tasks());
    story.press(&["3"]);
    story.advance(Duration::from_secs(10));
    story.press(&["q"]);

    assert_eq!(story.saved_view, None);
}

#[test]
fn time_alone_moves_a_task_out_of_a_filter() {
    let mut story = Story::with_tasks(six_tasks());
    story.press(&["/"]);
    story.type_text("age:<3m");
    story.press(&["Enter"]);
    assert_eq!(shown_rows(&story.state), "a1 a2");

    story.advance(Duration::from_secs(61));
    assert_eq!(shown_rows(&story.state), "a1");
    story.advance(Duration::from_secs(121));
    assert_eq!(shown_rows(&story.state), "");
}
