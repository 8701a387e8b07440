//! Tests of `app::update`: messages in, effects and state out, without clock, network or terminal.

use std::time::Duration;

use kietop::{
    app::{
        msg::{Effect, Msg},
        state::{MainScreen, Overlay, State},
        update::{next_wakeup, startup_effects, update},
    },
    domain::{
        comparison::VideoSource,
        link::{Links, VideoUrl},
        list_change::{
            AccessMode, ChangeKind, ChangeResult, ExternalChange, ListChange, StoreError,
        },
        poll_result::{Observation, PollError},
        response_notes::ResponseNotes,
        schedule::{LOST_AFTER, PollAttempt, PollState, StopReason},
        status::Tab,
        store_request::{StoreReply, StoreRequest},
        task::{CallbackStatus, FailureStage, TaskState},
        time::Now,
    },
};

use crate::support::{
    self, answer, fake_list::FakeList, id, later, line, now, press, program, resize, task,
    type_text,
};

fn observed(state: TaskState) -> Observation {
    Observation {
        state,
        details: kietop::domain::task::TaskDetails::default(),
        raw: "{}".into(),
    }
}

fn success() -> Observation {
    let videos = Links::parse(["https://ex.com/1.mp4"]);
    observed(TaskState::Succeeded {
        videos,
        callback: CallbackStatus::Delivered,
    })
}

fn selected_task(state: &State) -> &str {
    state.selected().map_or("", |watched| watched.id().as_str())
}

fn message(state: &State) -> &str {
    state.message().map_or("", |message| message.text.as_str())
}

fn count_polls(effects: &[Effect]) -> usize {
    effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Poll { .. }))
        .count()
}

#[test]
fn startup_loads_the_list() {
    assert_eq!(
        startup_effects(),
        [
            Effect::Store(StoreRequest::LoadSession),
            Effect::Store(StoreRequest::LoadList)
        ]
    );
    assert_eq!(
        next_wakeup(&program().build(), now()),
        None,
        "an empty list needs no wake-up"
    );
}

#[test]
fn a_failed_poll_keeps_the_last_known_state() {
    let mut state = program()
        .with(task("a").running().created("14:30").in_flight())
        .build();
    update(&mut state, Msg::Tick, now());
    let before = state.list().get(&id("a")).unwrap().task.clone();

    answer(
        &mut state,
        "a",
        Err(PollError::Server {
            code: 500,
            message: line("oops"),
        }),
    );

    let watched = state.list().get(&id("a")).unwrap();
    assert_eq!(watched.task, before);
    assert_eq!(watched.poll_history.failures, 1);
    assert!(matches!(watched.poll_state, PollState::DueAt(at) if at > now().mono));
}

#[test]
fn a_late_answer_from_an_old_attempt_is_ignored() {
    let mut state = program().with(task("a").running().created("14:30")).build();
    update(&mut state, Msg::Tick, now());
    let before = state.list().get(&id("a")).cloned();

    let msg = Msg::Polled {
        task: id("a"),
        attempt: PollAttempt(999),
        answer: Box::new(Ok(success())),
        notes: ResponseNotes::default(),
    };
    let effects = update(&mut state, msg, now());

    assert_eq!(effects, []);
    assert_eq!(state.list().get(&id("a")).cloned(), before);
}

#[test]
fn a_final_state_is_reported_stored_and_not_polled() {
    let mut state = program()
        .with(
            task("a")
                .label("neon")
                .running()
                .created("14:30")
                .due_in("0s"),
        )
        .build();

    let effects = answer(&mut state, "a", Ok(success()));

    assert_eq!(message(&state), "\"neon\" is ready.");
    assert!(
        matches!(&effects[..], [Effect::Store(StoreRequest::Write(changes)), ..] if matches!(changes[..], [ListChange { kind: ChangeKind::Checked(_), .. }]))
    );
    assert_eq!(
        state.list().get(&id("a")).unwrap().poll_state,
        PollState::Stopped(StopReason::Finished)
    );
    assert_eq!(
        count_polls(&update(
            &mut state,
            Msg::Tick,
            later(Duration::from_hours(9))
        )),
        0
    );
}

// F58
#[test]
fn a_final_state_is_never_demoted() {
    let mut state = program()
        .with(task("a").ready("5m09s").created("14:10"))
        .build();
    press(&mut state, &["r"]);

    answer(
        &mut state,
        "a",
        Ok(observed(TaskState::Failed {
            stage: FailureStage::Generation,
        })),
    );

    assert_eq!(
        state.list().get(&id("a")).unwrap().task.state().name(),
        "succeeded"
    );
}

#[test]
fn an_unanswered_check_is_retried() {
    let mut state = program()
        .with(task("a").running().created("14:30").due_in("0s"))
        .build();
    assert_eq!(state.list().counts().in_flight, 1);

    update(&mut state, Msg::Tick, later(LOST_AFTER));

    let watched = state.list().get(&id("a")).unwrap();
    assert_eq!(
        watched
            .poll_history
            .last_error
            .as_ref()
            .map(|failed| &failed.error),
        Some(&PollError::AnswerLost)
    );
    assert!(matches!(watched.poll_state, PollState::DueAt(_)));
}

#[test]
fn a_new_id_not_found_gets_a_grace_period() {
    let mut state = program()
        .with(task("a").added("14:32:00").due_in("0s"))
        .build();

    answer(&mut state, "a", Err(PollError::NotFound));
    assert_eq!(
        state.list().get(&id("a")).unwrap().task.state().name(),
        "new"
    );

    let much_later = later(Duration::from_mins(3));
    let effects = update(&mut state, Msg::Tick, much_later);
    let Some(Effect::Poll { task, attempt, .. }) = effects
        .into_iter()
        .find(|e| matches!(e, Effect::Poll { .. }))
    else {
        panic!("the task is not polled");
    };
    update(
        &mut state,
        Msg::Polled {
            task,
            attempt,
            answer: Box::new(Err(PollError::NotFound)),
            notes: ResponseNotes::default(),
        },
        much_later,
    );
    assert_eq!(
        state.list().get(&id("a")).unwrap().task.state().name(),
        "not_found"
    );
}

#[test]
fn removing_selects_the_neighbour_and_undo_restores() {
    let names = ["a", "b", "c"];
    let mut state = program()
        .with_all(names.map(|name| task(name).ready("1m").created("14:10")))
        .build();
    let mut list = FakeList::with(state.list().iter().cloned());
    press(&mut state, &["j"]);
    assert_eq!(selected_task(&state), "b");

    let effects = press(&mut state, &["d"]);
    list.answer_writes(&mut state, &effects);
    assert_eq!((selected_task(&state), state.shown().len()), ("c", 2));
    assert!(
        message(&state).starts_with("Removed"),
        "{}",
        message(&state)
    );

    let effects = press(&mut state, &["u"]);
    list.answer_writes(&mut state, &effects);
    assert_eq!((selected_task(&state), state.shown().len()), ("b", 3));
    press(&mut state, &["u"]);
    assert_eq!(message(&state), "Nothing to undo.");
}

#[test]
fn the_selected_row_does_not_move() {
    let many = (0..100).map(|n| {
        task(&format!("t{n:03}"))
            .running()
            .created(&format!("13:{:02}", n % 60))
    });
    let mut state = program().with_all(many).with_size(120, 30).build();
    press(&mut state, &["PgDn", "PgDn", "j"]);
    let (before, first) = (
        selected_task(&state).to_owned(),
        state.shown()[state.top()].clone(),
    );

    let removed = ExternalChange::Removed(state.shown()[0].clone());
    let added = ExternalChange::Changed(Box::new(task("newer").running().created("14:31").build()));
    update(
        &mut state,
        support::external_changes(vec![added, removed]),
        now(),
    );

    assert_eq!(selected_task(&state), before);
    assert_eq!(state.shown()[state.top()], first);
    resize(&mut state, (120, 12));
    assert_eq!(selected_task(&state), before);
    press(&mut state, &["3"]);
    assert_eq!((state.tab(), state.shown().len()), (Tab::Ready, 0));
    press(&mut state, &["1"]);
    assert_eq!(state.shown().len(), 100);
}

#[test]
fn pasted_text_runs_no_command() {
    let mut state = program()
        .with(task("a").ready("1m").created("14:10"))
        .build();

    let effects = update(
        &mut state,
        Msg::Pasted("ddd\nq\nRu 774d9a7dd608a0e49293903095e45a4c a".into()),
        now(),
    );

    assert_eq!(effects, []);
    assert!(!state.is_leaving());
    let Some(Overlay::Add(dialog)) = state.overlay() else {
        panic!("the add dialog is not open")
    };
    assert_eq!(
        dialog
            .selected()
            .map(kietop::domain::task::TaskId::as_str)
            .collect::<Vec<_>>(),
        ["774d9a7dd608a0e49293903095e45a4c"]
    );
}

#[test]
fn typed_ids_are_added_with_their_label() {
    let mut state = program().build();
    press(&mut state, &["a"]);
    type_text(&mut state, "774d9a7dd608a0e49293903095e45a4c");
    press(&mut state, &["Tab", "Tab"]);
    type_text(&mut state, "one two");

    let effects = press(&mut state, &["Enter"]);

    let [Effect::Store(StoreRequest::Write(changes))] = &effects[..] else {
        panic!("{effects:?}")
    };
    let [
        ListChange {
            kind: ChangeKind::Add {
                label: Some(label), ..
            },
            ..
        },
    ] = &changes[..]
    else {
        panic!("{changes:?}")
    };
    assert_eq!(label.as_str(), "one two");
    assert_eq!(
        state.list().len(),
        0,
        "an added task is shown once it is stored"
    );
    FakeList::default().answer_writes(&mut state, &effects);
    assert_eq!(selected_task(&state), "774d9a7dd608a0e49293903095e45a4c");
}

#[test]
fn a_missing_list_file_is_reported_and_tasks_stay() {
    let mut state = program().with(task("a").running()).build();
    let missing = StoreError::Missing("/lists/kietop.db".into());

    update(
        &mut state,
        support::answered(StoreRequest::ReadExternalChanges, Err(missing.clone())),
        now(),
    );

    assert_eq!(state.list().len(), 1);
    assert_eq!(state.write_queue().error, Some(missing.clone()));
    let expected = "The list file is missing: /lists/kietop.db. Its tasks are still here. Press B to restore it.";
    assert_eq!(message(&state), expected);
    // The write is retried although no change is pending; the same error is not reported again.
    let next = later(Duration::from_secs(6));
    let effects = update(&mut state, Msg::Tick, next);
    assert!(
        effects.contains(&Effect::Store(StoreRequest::Write(Vec::new()))),
        "{effects:?}"
    );
    let still_missing = support::written(Vec::new(), Err(missing));
    update(&mut state, still_missing, next);
    assert!(state.write_queue().retry_at.is_some());

    // Quitting would lose the tasks, so it is confirmed first.
    let effects = press(&mut state, &["q"]);
    assert!(!effects.contains(&Effect::Quit), "{effects:?}");
    press(&mut state, &["n"]);
    let effects = press(&mut state, &["B"]);
    assert!(
        effects.contains(&Effect::Store(StoreRequest::RestoreListFile)),
        "{effects:?}"
    );
    let effects = update(
        &mut state,
        support::answered(StoreRequest::RestoreListFile, Ok(StoreReply::Done)),
        next,
    );
    assert!(
        effects.contains(&Effect::Store(StoreRequest::Write(Vec::new()))),
        "{effects:?}"
    );
    let saved = support::written(Vec::new(), Ok(Vec::new()));
    update(&mut state, saved, next);

    assert_eq!(state.write_queue().error, None);
    assert_eq!(message(&state), "The list is saved again.");
    assert!(!press(&mut state, &["B"]).contains(&Effect::Store(StoreRequest::RestoreListFile)));
    assert!(press(&mut state, &["q"]).contains(&Effect::Quit));
}

#[test]
fn a_full_disk_refuses_adds_and_keeps_answers() {
    let mut state = program()
        .with(task("a").running().created("14:30").due_in("0s"))
        .build();
    let effects = answer(&mut state, "a", Ok(success()));
    let Some(Effect::Store(StoreRequest::Write(changes))) = effects.into_iter().next() else {
        panic!("nothing was written")
    };

    update(
        &mut state,
        support::written(changes.clone(), Err(StoreError::Full)),
        now(),
    );
    assert_eq!(state.write_queue().error, Some(StoreError::Full));

    let retried = update(&mut state, Msg::Tick, later(Duration::from_secs(6)));
    assert!(
        retried.contains(&Effect::Store(StoreRequest::Write(changes.clone()))),
        "{retried:?}"
    );
    update(
        &mut state,
        support::written(changes, Ok(vec![ChangeResult::NotWatched])),
        now(),
    );
    assert_eq!(
        (state.write_queue().error.clone(), message(&state)),
        (None, "The list is saved again.")
    );

    let removal = vec![ListChange::new(id("a"), now().wall, ChangeKind::Remove)];
    update(
        &mut state,
        support::written(removal, Err(StoreError::Full)),
        now(),
    );
    assert!(
        message(&state).starts_with("Nothing was changed: the disk is full"),
        "{}",
        message(&state)
    );
}

#[test]
fn a_refused_key_says_why() {
    let mut empty = program().build();
    for (key, reason) in [
        ("d", "No task"),
        ("o", "No task"),
        ("r", "No task"),
        ("R", "No tasks yet. Press a to add tasks."),
        ("u", "Nothing to undo"),
        ("Enter", "No task to show"),
    ] {
        press(&mut empty, &[key]);
        assert!(
            message(&empty).starts_with(reason),
            "{key}: {}",
            message(&empty)
        );
    }
    let mut state = program()
        .set(|settings| settings.access = AccessMode::ReadOnly)
        .with(task("a").running().created("14:30"))
        .build();
    for key in ["a", "d", "u"] {
        press(&mut state, &[key]);
        assert!(
            message(&state).contains("read-only"),
            "{key}: {}",
            message(&state)
        );
    }
    press(&mut state, &["o"]);
    assert_eq!(message(&state), "Still generating: nothing to open yet.");
}

#[test]
fn one_video_opens_at_once_and_several_through_the_picker() {
    let urls = ["https://ex.com/1.mp4", "https://ex.com/2.mp4"];
    let mut state = program()
        .with(task("a").ready("1m").created("14:20"))
        .with(
            task("b")
                .finished("1m", CallbackStatus::Delivered, &urls)
                .created("14:10"),
        )
        .build();

    let [
        Effect::Open {
            task: opened, url, ..
        },
    ] = &press(&mut state, &["o"])[..]
    else {
        panic!("no single open effect")
    };
    assert_eq!(opened, &id("a"));
    let msg = Msg::Opened {
        task: opened.clone(),
        url: url.clone(),
        result: Err("No display.".into()),
    };
    update(&mut state, msg, now());
    assert!(
        matches!(state.overlay(), Some(Overlay::Link(_))),
        "the whole link is shown"
    );

    press(&mut state, &["Esc", "j"]);
    assert_eq!(
        press(&mut state, &["o"])
            .iter()
            .filter(|e| matches!(e, Effect::Open { .. }))
            .count(),
        0
    );
    let effects = press(&mut state, &["2", "Enter"]);
    assert!(
        matches!(&effects[..], [Effect::Open { url, .. }] if url.as_str() == urls[1]),
        "{effects:?}"
    );
}

#[test]
fn a_pause_stops_polling_and_r_still_checks() {
    let mut state = program()
        .with(task("a").running().created("14:30").due_in("20s"))
        .build();
    press(&mut state, &["p"]);

    assert_eq!(
        count_polls(&update(
            &mut state,
            Msg::Tick,
            later(Duration::from_mins(5))
        )),
        0
    );
    assert_eq!(count_polls(&press(&mut state, &["r"])), 1);
}

#[test]
fn three_keys_quit_from_every_screen() {
    for keys in [&[][..], &["Enter"], &["a"], &["?"], &["Enter", "?"]] {
        let mut state = program()
            .with(task("a").ready("1m").created("14:10"))
            .build();
        press(&mut state, keys);
        let effects = press(&mut state, &["Esc", "Esc", "q"]);
        assert!(effects.contains(&Effect::Quit), "{keys:?}");
        assert!(state.is_leaving());
    }
}

#[test]
fn every_wake_up_makes_progress() {
    let mut state = program()
        .with(task("a").running().created("14:30"))
        .with(task("b").ready("1m").created("14:10"))
        .build();
    let (mut at, mut wakeups) = (now(), 0);

    while at.mono.since(now().mono) < Duration::from_mins(10) {
        let next = next_wakeup(&state, at).expect("a running task has a wake-up");
        at = later(next.since(now().mono).max(at.mono.since(now().mono)));
        update(&mut state, Msg::Tick, at);
        wakeups += 1;
        assert!(wakeups < 1500, "too many wake-ups");
    }
    assert!(
        wakeups > 590,
        "one wake-up a second while a task runs: {wakeups}"
    );
}

#[test]
fn the_detail_opens_and_closes() {
    let mut state = program()
        .with(task("a").ready("1m").created("14:10"))
        .build();

    press(&mut state, &["Enter"]);
    assert!(matches!(state.screen(), MainScreen::Detail { .. }));
    press(&mut state, &["j", "j", "j"]);
    assert!(
        matches!(state.screen(), MainScreen::Detail { scroll: 0, .. }),
        "no scrolling past the text"
    );
    update(
        &mut state,
        Msg::LayoutMeasured {
            max_scroll: 2,
            preview_area: None,
        },
        now(),
    );
    press(&mut state, &["j", "j", "j"]);
    assert!(matches!(
        state.screen(),
        MainScreen::Detail { scroll: 2, .. }
    ));
    press(&mut state, &["Esc"]);
    assert_eq!(state.screen(), MainScreen::List);
}

#[test]
fn rebound_keys_work_and_are_shown() {
    let mut state = program()
        .with(task("a").ready("1m").created("14:10"))
        .with(task("b").created("14:00"))
        .with_keys(&[
            ("open_result", &["f5"]),
            ("check", &["down"]),
            ("next", &["n"]),
            ("pause", &[]),
        ])
        .build();

    let opened = press(&mut state, &["F5"]);
    assert!(
        opened
            .iter()
            .any(|effect| matches!(effect, Effect::Open { .. }))
    );
    press(&mut state, &["o", "p"]);
    assert!(!state.poll_queue().is_paused && state.message().is_none());
    press(&mut state, &["n", "F5"]);
    assert_eq!(
        message(&state),
        "No answer yet: nothing to open. Press Down to refresh."
    );
}

#[test]
fn comparison_opens_or_says_why_not() {
    let urls = ["https://ex.com/1.mp4", "https://ex.com/2.mp4"];
    let created_task = |name: &str| task(name).created("14:10");
    let mut state = program()
        .with(
            created_task("a")
                .finished("1m", CallbackStatus::Failed, &urls)
                .source("https://ex.com/in.mp4")
                .prompt("snow"),
        )
        .with(created_task("b").created("14:09").ready("1m"))
        .with(created_task("c").created("14:08").running())
        .with(created_task("d").created("14:07").failed("500", "oops"))
        .build();

    let [Effect::ShowComparison(comparison)] = &press(&mut state, &["b"])[..] else {
        panic!("a result without callback is comparable")
    };
    assert_eq!(comparison.task, id("a"));
    assert_eq!(comparison.prompt.as_deref(), Some("snow"));
    let links = |sources: &[VideoSource]| -> Vec<_> {
        let links = sources.iter().map(|source| source.link.as_str().to_owned());
        links.collect()
    };
    assert_eq!(links(&comparison.inputs), ["https://ex.com/in.mp4"]);
    assert_eq!(links(&comparison.results), urls);

    for (result, text) in [
        (Ok(()), "Opened the comparison of \"snow\" in the browser."),
        (Err("No browser.".into()), "No browser."),
    ] {
        let compared = Msg::Compared {
            task: id("a"),
            result,
        };
        assert_eq!(update(&mut state, compared, now()), []);
        assert_eq!(message(&state), text);
    }

    for reason in [
        "The server gave no input link to compare with. Press o to open the result.",
        "Still generating: nothing to compare yet.",
        "The task failed: nothing to compare. Press O to open the input.",
    ] {
        assert_eq!(press(&mut state, &["j", "b"]), []);
        assert_eq!(message(&state), reason);
    }
}

// F70
#[test]
fn wall_clock_jumps_do_not_affect_checks() {
    for hours in [-400_000, -9_000, -1, 1, 9_000, 400_000] {
        let mut state = program()
            .with(task("a").running().created("14:30").due_in("20s"))
            .build();
        let jumped = |seconds| {
            let at = later(Duration::from_secs(seconds));
            let wall = at.wall + jiff::SignedDuration::from_hours(hours);
            Now { wall, ..at }
        };

        let polled_at = (1..60).find(|&second| {
            let effects = update(&mut state, Msg::Tick, jumped(second));
            count_polls(&effects) == 1
        });

        // A jump may be a sleep, after which checks are spread out a little.
        assert!(
            polled_at.is_some_and(|second| (20..40).contains(&second)),
            "{hours} h: {polled_at:?}"
        );
    }
}

#[test]
fn a_locked_list_is_read_when_released() {
    let mut state = program().still_loading().build();
    update(
        &mut state,
        support::answered(StoreRequest::LoadList, Err(StoreError::Busy)),
        now(),
    );
    let at = next_wakeup(&state, now()).expect("a retry time");
    assert_eq!(at, now().mono.after(Duration::from_secs(5)));

    let effects = update(&mut state, Msg::Tick, later(Duration::from_secs(5)));
    assert_eq!(
        effects,
        [
            Effect::Store(StoreRequest::LoadSession),
            Effect::Store(StoreRequest::LoadList)
        ]
    );
    let again = update(&mut state, Msg::Tick, later(Duration::from_secs(20)));
    assert_eq!(again, [], "one load at a time");
    let watched = task("a").running().build();
    update(
        &mut state,
        support::list_loaded(vec![watched]),
        later(Duration::from_secs(21)),
    );
    assert_eq!(state.list().len(), 1);

    let mut state = program().still_loading().build();
    let damaged = StoreError::Damaged("x".into());
    update(
        &mut state,
        support::answered(StoreRequest::LoadList, Err(damaged)),
        now(),
    );
    assert_eq!(
        next_wakeup(&state, now()),
        None,
        "a damaged list is not read again"
    );
}

#[test]
fn system_and_panic_messages_are_cleaned() {
    let hostile = "a\u{202e}b\u{1b}[2Jc\u{200b}d";
    let is_clean = |text: &str| !text.contains(['\u{202e}', '\u{1b}', '\u{200b}']);
    let mut state = program().with(task("a").ready("5m")).build();
    update(&mut state, Msg::ComponentPanicked(hostile.into()), now());
    assert!(
        is_clean(message(&state)) && message(&state).contains('d'),
        "{}",
        message(&state)
    );

    update(
        &mut state,
        Msg::Copied {
            name: "the id".into(),
            text: "a".into(),
            result: Ok(hostile.into()),
        },
        now(),
    );
    assert!(is_clean(message(&state)), "{}", message(&state));

    press(&mut state, &["o"]);
    update(
        &mut state,
        Msg::Opened {
            task: id("a"),
            url: VideoUrl::parse("https://ex.com/1.mp4").expect("a link"),
            result: Err(hostile.into()),
        },
        now(),
    );
    let Some(Overlay::Link(links)) = state.overlay() else {
        panic!("{:?}", state.overlay());
    };
    assert!(is_clean(&links.reason), "{}", links.reason);
}
