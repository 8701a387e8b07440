//! Stories of finding and marking: filter, order, marks, bulk acts, and what is remembered over a restart.

use std::time::Duration;

use kietop::{
    app::{
        msg::{Effect, Msg},
        state::{Confirm, DetailPage, Overlay, Screen, State},
        update::update,
    },
    domain::{
        change::{Access, Delta, StoreError},
        memory::Memory,
        query::{Lens, Order, Query, Sort},
        status::Tab,
        task::{Delivery, TaskId},
    },
};

use crate::{
    story::{Story, made, running},
    support::{TaskBuilder, answer, id, now, press, program, task, type_text},
};

/// Returns a list of six tasks: two being made, two ready, two failed; the first the newest.
fn six() -> [TaskBuilder; 6] {
    let url = "https://ex.com/1.mp4";
    [
        task("a1").prompt("neon city").running().created_ago("1m"),
        task("a2").prompt("snow globe").running().created_ago("2m"),
        task("a3")
            .prompt("neon harbour")
            .made("5m", Delivery::Done, &[url])
            .created_ago("20m"),
        task("a4")
            .prompt("desert")
            .made("4m", Delivery::Done, &[url])
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

fn filtered(text: &str) -> State {
    let mut state = program().with_all(six()).build();
    press(&mut state, &["/"]);
    type_text(&mut state, text);
    state
}

fn shown(state: &State) -> String {
    let ids: Vec<_> = state.shown().iter().map(TaskId::as_str).collect();
    ids.join(" ")
}

fn marked(state: &State) -> String {
    let targets = state.targets().into_iter();
    let ids: Vec<_> = targets
        .filter(|watched| state.marks().has(watched.id()))
        .collect();
    ids.iter()
        .map(|watched| watched.id().as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

fn selected(state: &State) -> &str {
    state.selected().map_or("", |watched| watched.id().as_str())
}

fn said(state: &State) -> &str {
    state.notice().map_or("", |notice| notice.text.as_str())
}

fn filter_of(state: &State) -> String {
    state.lens().query.to_string()
}

/// Returns which tasks each write is about.
fn written(effects: &[Effect]) -> Vec<Vec<&str>> {
    let mut written = Vec::new();
    for effect in effects {
        if let Effect::Store(changes) = effect {
            written.push(
                changes
                    .iter()
                    .map(|change| change.task().as_str())
                    .collect(),
            );
        }
    }
    written
}

#[test]
fn a_filter_works_as_it_is_typed_and_enter_keeps_it() {
    let mut state = filtered("neon");
    assert_eq!(shown(&state), "a1 a3");

    press(
        &mut state,
        &["Backspace", "Backspace", "Backspace", "Backspace"],
    );
    assert_eq!(shown(&state), "a1 a2 a3 a4 a5 a6");

    type_text(&mut state, "state:failed person");
    press(&mut state, &["Enter"]);
    assert_eq!(shown(&state), "a5");
    assert!(state.overlay().is_none());

    press(&mut state, &["/"]);
    type_text(&mut state, "x");
    assert_eq!(
        filter_of(&state),
        "state:failed personx",
        "goes on where it was"
    );
    press(&mut state, &["Esc"]);
    assert_eq!((shown(&state).len(), filter_of(&state).as_str()), (17, ""));
}

#[test]
fn a_fault_is_said_and_the_good_part_still_counts() {
    let mut state = filtered("neon state:");
    let fault = |state: &State| match state.overlay() {
        Some(Overlay::Filter(line)) => line.fault().map(|fault| fault.message.clone()),
        _ => panic!("the line is open"),
    };
    assert_eq!(shown(&state), "a1 a3");
    assert_eq!(
        fault(&state).unwrap(),
        "state needs a value, as in state:failed"
    );

    press(&mut state, &["Enter"]);
    assert!(fault(&state).is_some(), "a fault is not kept in silence");

    type_text(&mut state, "ready");
    assert_eq!((shown(&state).as_str(), fault(&state)), ("a3", None));
}

#[test]
fn the_selection_comes_back_when_a_filter_is_widened() {
    let mut state = program().with_all(six()).sized(80, 24).build();
    press(&mut state, &["j", "j", "j", "/"]);
    type_text(&mut state, "neon");
    assert_eq!(selected(&state), "a3", "the nearest that is left");

    press(
        &mut state,
        &["Backspace", "Backspace", "Backspace", "Backspace"],
    );
    assert_eq!(selected(&state), "a4");

    type_text(&mut state, "neon");
    press(&mut state, &["Up", "Esc"]);
    assert_eq!(
        selected(&state),
        "a1",
        "a row chosen meanwhile stays chosen"
    );
}

#[test]
fn a_filter_taken_off_leads_back_to_where_one_was() {
    let many = (0..60).map(|n| task(&format!("t{n:02}")).ready("1m").created_ago("9m"));
    let mut state = program().with_all(many).sized(80, 24).build();
    press(&mut state, &["PageDown", "PageDown", "PageDown", "k", "k"]);
    let place = |state: &State| (selected(state).to_owned(), state.top());
    let before = place(&state);
    assert!(before.1 > 0);

    press(&mut state, &["/"]);
    type_text(&mut state, "nothing-is-called-that");
    assert_eq!(shown(&state), "");
    press(&mut state, &["Esc"]);
    assert_eq!(place(&state), before, "a filter nothing passes");

    press(&mut state, &["/"]);
    type_text(&mut state, "id:t0");
    press(&mut state, &["Enter"]);
    assert_ne!(place(&state), before);
    press(&mut state, &["Esc"]);
    assert_eq!(place(&state), before, "a filter that was kept");

    press(&mut state, &["/"]);
    type_text(&mut state, "id:t0");
    press(&mut state, &["Enter", "g", "Esc"]);
    assert_eq!(selected(&state), "t00", "whoever moved stays there");
}

#[test]
fn a_hidden_task_is_not_removed_without_a_question() {
    let mut story = Story::with(six());
    let marked = story.selected().to_owned();
    story.press(&["Space", "5", "d"]);

    let is_asked = matches!(
        story.state.overlay(),
        Some(Overlay::Confirm(Confirm::Remove { tasks, hidden: 1 })) if tasks.as_slice() == [id(&marked)]
    );
    assert!(is_asked, "{:?}", story.state.overlay());
    story.press(&["n"]);
    assert_eq!(story.state.list().len(), 6);
}

#[test]
fn the_record_leads_back_to_where_one_came_from() {
    let detail = |state: &State| matches!(state.screen(), Screen::Detail { .. });
    for key in ["q", "Esc", "i"] {
        let mut state = program().with_all(six()).build();
        press(&mut state, &["i"]);
        assert!(detail(&state));
        assert_eq!(press(&mut state, &[key]), []);
        assert_eq!(state.screen(), Screen::List, "{key}");

        press(&mut state, &["Enter", "l"]);
        let before = state.screen();
        press(&mut state, &["i", key]);
        assert_eq!(state.screen(), before, "{key}");
        assert!(press(&mut state, &["q"]).contains(&Effect::Quit));
    }
}

#[test]
fn every_key_on_the_detail_acts_or_says_why_not() {
    let mut state = program().with_all(six()).build();
    press(&mut state, &["Enter", "3"]);
    assert_eq!(
        state.screen(),
        Screen::Detail {
            page: DetailPage::Json,
            scroll: 0
        }
    );
    for (key, text) in [
        ("Space", "Marked \"neon"),
        ("5", "The detail has 3 pages"),
        ("V", "V is a key of the list. Esc goes back to it."),
        ("*", "* is a key of the list."),
    ] {
        press(&mut state, &[key]);
        assert!(said(&state).starts_with(text), "{key}: {}", said(&state));
    }
}

#[test]
fn a_start_is_at_the_top_until_a_key_is_pressed() {
    let mut story = Story::with([task("old").ready("1m").created("14:00")]);
    let news = |name: &str| {
        let news = task(name).running().created("14:31").build();
        Msg::ChangedElsewhere(vec![Delta::Changed(Box::new(news))])
    };
    story.say(news("new"));
    assert_eq!(story.selected(), "new");

    story.press(&["j"]);
    story.say(news("newer"));
    assert_eq!(story.selected(), "old");
}

#[test]
fn a_paste_goes_into_the_filter_line_and_nowhere_else() {
    let mut state = filtered("state:ready ");
    update(
        &mut state,
        Msg::Pasted("\n neon\u{1b}[2J\nsecond line".into()),
        now(),
    );
    assert_eq!(filter_of(&state), "state:ready neon␛[2J");

    press(&mut state, &["Esc"]);
    update(&mut state, Msg::Pasted("neon".into()), now());
    assert!(matches!(state.overlay(), Some(Overlay::Add(_))));
}

#[test]
fn tabs_count_all_and_a_filter_works_on_each() {
    let mut state = filtered("neon");
    press(&mut state, &["Enter", "3"]);

    assert_eq!(shown(&state), "a3");
    assert_eq!(state.list().tally().ready, 2);
}

#[test]
fn an_answer_brings_a_task_through_a_filter_or_takes_it_out() {
    let mut state = program()
        .with_all(six())
        .with(task("a7").running().created_ago("3m").due_in("0s"))
        .build();
    press(&mut state, &["/"]);
    type_text(&mut state, "state:generating");
    press(&mut state, &["Enter", "j", "j"]);
    assert_eq!(
        (shown(&state).as_str(), selected(&state)),
        ("a1 a2 a7", "a7")
    );

    answer(&mut state, "a7", made(&["https://ex.com/1.mp4"]));

    assert_eq!((shown(&state).as_str(), selected(&state)), ("a1 a2", "a2"));
}

#[test]
fn an_order_is_chosen_turned_round_and_keeps_the_row_under_the_cursor() {
    let mut state = program().with_all(six()).build();
    press(&mut state, &["j", "s", "3"]);
    assert_eq!(shown(&state), "a5 a4 a6 a1 a3 a2");
    assert_eq!(
        (selected(&state), said(&state)),
        ("a2", "Sorted: title A to Z.")
    );

    press(&mut state, &["S"]);
    assert_eq!(shown(&state), "a2 a3 a1 a6 a4 a5");

    press(&mut state, &["s", "Enter"]);
    assert_eq!(
        state.lens().order,
        Order::by(Sort::Title).reversed(),
        "the menu opens at what is in force, and keeps it"
    );
    press(&mut state, &["s", "j", "Esc"]);
    assert_eq!(state.lens().order.sort, Sort::Title);
    press(&mut state, &["s", "S", "Enter"]);
    assert_eq!(state.lens().order, Order::by(Sort::Title));
}

#[test]
fn marks_are_set_one_by_one_in_ranges_and_for_all_shown() {
    let mut state = program().with_all(six()).build();
    press(&mut state, &["Space", "Space"]);
    assert_eq!((marked(&state).as_str(), selected(&state)), ("a1 a2", "a3"));

    press(&mut state, &["j", "j", "V"]);
    assert_eq!(marked(&state), "a1 a2 a3 a4 a5");

    press(&mut state, &["g", "Space"]);
    assert_eq!(marked(&state), "a2 a3 a4 a5");

    press(&mut state, &["*"]);
    assert_eq!(state.marks().len(), 6);
    press(&mut state, &["*"]);
    assert!(state.marks().is_empty(), "again: none");
}

#[test]
fn a_range_without_a_beginning_begins_here() {
    let mut state = program().with_all(six()).build();
    press(&mut state, &["j", "V"]);
    assert_eq!(marked(&state), "a2");
    assert!(said(&state).starts_with("The range begins here"));

    press(&mut state, &["G", "V"]);
    assert_eq!(marked(&state), "a2 a3 a4 a5 a6");
}

#[test]
fn marks_survive_order_filter_tab_and_news() {
    let mut state = program().with_all(six()).build();
    press(&mut state, &["Space", "j", "Space", "s", "3", "2"]);
    press(&mut state, &["/"]);
    type_text(&mut state, "neon");
    press(&mut state, &["Enter"]);

    assert_eq!((shown(&state).as_str(), state.marks().len()), ("a1", 2));
    assert_eq!(
        marked(&state),
        "a1 a3",
        "what is shown first, then the rest"
    );

    update(
        &mut state,
        Msg::ChangedElsewhere(vec![Delta::Gone(id("a3"))]),
        now(),
    );
    assert_eq!(marked(&state), "a1", "a task that is gone has no mark");
}

#[test]
fn the_way_back_is_detail_then_marks_then_filter() {
    let mut state = filtered("neon");
    press(&mut state, &["Enter", "Space", "Enter"]);
    assert_ne!(state.screen(), Screen::List);

    press(&mut state, &["Esc"]);
    assert_eq!((state.screen(), state.marks().len()), (Screen::List, 1));
    press(&mut state, &["Esc"]);
    assert_eq!(
        (state.marks().len(), filter_of(&state).as_str()),
        (0, "neon")
    );
    press(&mut state, &["Esc"]);
    assert_eq!(filter_of(&state), "");
    press(&mut state, &["Esc"]);
    assert_eq!(said(&state), "Nothing to go back from. q leaves.");
}

#[test]
fn several_are_removed_after_one_yes_and_come_back_with_one_undo() {
    let mut story = Story::with(six());
    story.press(&["*", "d"]);
    let is_asked = matches!(
        story.state.overlay(),
        Some(Overlay::Confirm(Confirm::Remove { tasks, hidden: 0 })) if tasks.len() == 6
    );
    assert!(is_asked);
    story.press(&["n"]);
    assert_eq!(
        (story.state.list().len(), story.state.marks().len()),
        (6, 6)
    );

    let effects = story.press(&["d", "y"]);
    assert_eq!(written(&effects), [["a1", "a2", "a3", "a4", "a5", "a6"]]);
    assert_eq!(
        (story.state.list().len(), story.state.marks().len()),
        (0, 0)
    );
    assert_eq!(story.said(), "Removed 6 tasks. u undoes it.");

    story.press(&["u"]);
    assert_eq!(
        (story.state.list().len(), story.said()),
        (6, "Watching again 6 tasks.")
    );
}

#[test]
fn a_hundred_are_removed_and_come_back_with_what_is_shown_still_right() {
    let many = (0..300).map(|n| {
        task(&format!("t{n:03}"))
            .running()
            .created_ago("9m")
            .due_in("9m")
    });
    let mut story = Story::with(many);
    story.press(&["/"]);
    for c in "id:5".chars() {
        story.press(&[&c.to_string()]);
    }
    story.press(&["Enter", "*", "d", "y"]);
    assert_eq!(story.state.list().len(), 300 - 57);
    assert_eq!(shown(&story.state), "");

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
fn an_added_task_that_the_filter_hides_is_said_to_be_hidden() {
    let mut story = Story::with(six());
    story.press(&["5", "a"]);
    for c in "774d9a7dd608a0e49293903095e45a4c".chars() {
        story.press(&[&c.to_string()]);
    }
    story.press(&["Enter"]);

    assert_eq!(
        story.said(),
        "Watching \"774d9a7dd608a0e49293903095e45a4c\". The tab or the filter hides it."
    );
}

#[test]
fn one_is_removed_without_a_question_marked_or_not() {
    let mut story = Story::with(six());
    story.press(&["d"]);
    assert_eq!(story.state.list().len(), 5);

    story.press(&["j", "j", "Space", "g", "d"]);
    assert_eq!(story.state.list().len(), 4);
    assert!(
        story.state.list().get(&id("a4")).is_none(),
        "the marked one"
    );
}

#[test]
fn on_the_full_detail_acts_are_for_the_task_that_is_seen() {
    let mut story = Story::with(six());
    story.press(&["Space", "Space", "Enter", "d"]);

    assert!(story.state.list().get(&id("a3")).is_none());
    assert_eq!(
        (story.state.list().len(), story.state.marks().len()),
        (5, 2)
    );
}

#[test]
fn marked_tasks_are_asked_after_together() {
    let mut story = Story::with(six()).served(Duration::from_millis(200), |_, _| Some(running()));
    let before = story.polls();
    story.press(&["G", "Space", "k", "k", "Space", "r"]);

    assert_eq!(story.said(), "Asking after 2 tasks.");
    story.wait(Duration::from_secs(1));
    assert_eq!(story.polls() - before, 2);
    assert_eq!(story.starts(Some("a6")).len(), 1);
}

#[test]
fn few_marked_videos_open_at_once_and_many_after_a_yes() {
    let opens = |effects: &[Effect]| {
        let is_open = |effect: &&Effect| matches!(effect, Effect::Open { .. });
        effects.iter().filter(is_open).count()
    };
    let made = |n: usize| task(&format!("m{n}")).ready("1m").created_ago("9m");
    let mut state = program().with_all(six()).build();
    let effects = press(&mut state, &["*", "o"]);
    assert_eq!(opens(&effects), 2);
    assert_eq!(said(&state), "Opening 2; the other 4 have no video.");

    let mut state = program().with_all((0..5).map(made)).build();
    assert_eq!(opens(&press(&mut state, &["*", "o"])), 0);
    assert!(matches!(
        state.overlay(),
        Some(Overlay::Confirm(Confirm::Open { .. }))
    ));
    assert_eq!(opens(&press(&mut state, &["y"])), 5);

    let mut state = filtered("state:failed");
    press(&mut state, &["Enter", "*", "o"]);
    assert_eq!(
        said(&state),
        "None of the 2 marked tasks has a video to open."
    );
}

#[test]
fn a_removal_of_an_earlier_run_is_taken_back() {
    let mut state = program().with_all(six()).build();
    let memory = Memory {
        removals: vec![vec![id("old")], vec![id("x"), id("y")]],
        ..Memory::default()
    };
    update(&mut state, Msg::Recalled(Ok(memory)), now());

    let restored = |effects: &[Effect]| match effects {
        [Effect::Store(changes), ..] => changes
            .iter()
            .map(|change| change.task().to_string())
            .collect(),
        _ => Vec::new(),
    };
    assert_eq!(restored(&press(&mut state, &["u"])), ["x", "y"]);
    assert_eq!(restored(&press(&mut state, &["u"])), ["old"]);
    press(&mut state, &["u"]);
    assert_eq!(said(&state), "Nothing to undo.");
}

fn lens(tab: Tab, order: Order, filter: &str) -> Lens {
    Lens {
        tab,
        order,
        query: Query::parse(filter).expect("a filter"),
    }
}

#[test]
fn the_way_the_list_is_looked_at_is_remembered_a_moment_after_it_changed() {
    let mut story = Story::with(six());
    story.press(&["3", "s", "3", "Enter", "/"]);
    for c in "neon".chars() {
        story.press(&[&c.to_string()]);
    }
    story.wait(Duration::from_secs(5));
    assert_eq!(story.remembered, None, "not while it is typed");

    story.press(&["Enter"]);
    assert_eq!(story.remembered, None);
    story.wait(Duration::from_secs(3));
    let expected = lens(Tab::Ready, Order::by(Sort::Title), "neon");
    assert_eq!(story.remembered.take(), Some(expected));

    story.wait(Duration::from_mins(1));
    assert_eq!(story.remembered, None, "once is enough");
    story.press(&["1", "q"]);
    let expected = lens(Tab::All, Order::by(Sort::Title), "neon");
    assert_eq!(story.remembered, Some(expected), "at once on the way out");
}

#[test]
fn a_start_looks_at_the_list_as_the_last_run_did() {
    let lens = lens(Tab::Failed, Order::by(Sort::Age).reversed(), "!code:422");
    let recalled = |lens: &Lens| {
        Msg::Recalled(Ok(Memory {
            lens: lens.clone(),
            ..Memory::default()
        }))
    };
    let mut state = program().loading().build();
    update(&mut state, recalled(&lens), now());
    let tasks = six().into_iter().map(TaskBuilder::build).collect();
    update(&mut state, Msg::Loaded(Ok(tasks)), now());
    assert_eq!((state.lens(), shown(&state).as_str()), (&lens, "a5"));

    let mut state = program().with_all(six()).build();
    press(&mut state, &["2"]);
    update(&mut state, recalled(&lens), now());
    assert_eq!(
        state.tab(),
        Tab::Active,
        "what was chosen since the start stays"
    );
}

#[test]
fn a_list_that_is_read_at_the_second_try_recalls_the_last_run_once() {
    let mut story = Story::of(program());
    story.say(Msg::Recalled(Ok(Memory {
        removals: vec![vec![id("a0")]],
        ..Memory::default()
    })));
    story.say(Msg::Loaded(Err(StoreError::Busy)));

    story.wait(Duration::from_secs(6));
    story.say(Msg::Loaded(Ok(Vec::new())));

    let recalls = |(_, effect): &&(Duration, Effect)| *effect == Effect::Recall;
    assert_eq!(story.orders.iter().filter(recalls).count(), 0);
    story.press(&["u"]);
    story.press(&["u"]);
    assert_eq!(story.said(), "Nothing to undo.", "it is taken back once");

    // Where the last run could not be recalled either, it is asked for again.
    let mut story = Story::of(program());
    story.say(Msg::Recalled(Err(StoreError::Busy)));
    story.say(Msg::Loaded(Err(StoreError::Busy)));
    story.wait(Duration::from_secs(6));
    assert_eq!(story.orders.iter().filter(recalls).count(), 1);
}

#[test]
fn read_only_remembers_nothing() {
    let read_only = program().set(|settings| settings.access = Access::ReadOnly);
    let mut story = Story::of(read_only);
    story.say(Msg::Loaded(Ok(six()
        .into_iter()
        .map(TaskBuilder::build)
        .collect())));
    story.press(&["3"]);
    story.wait(Duration::from_secs(10));
    story.press(&["q"]);

    assert_eq!(story.remembered, None);
}

#[test]
fn time_alone_takes_a_task_out_of_a_filter() {
    let mut story = Story::with(six());
    story.press(&["/"]);
    for c in "age:<3m".chars() {
        story.press(&[&c.to_string()]);
    }
    story.press(&["Enter"]);
    assert_eq!(shown(&story.state), "a1 a2");

    story.wait(Duration::from_secs(61));
    assert_eq!(shown(&story.state), "a1");
    story.wait(Duration::from_secs(121));
    assert_eq!(shown(&story.state), "");
}
