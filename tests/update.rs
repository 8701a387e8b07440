//! Stories of the core: messages in, orders and state out. No clock, no network, no terminal.

mod support;

use std::time::Duration;

use kietop::{
    app::{
        msg::{Effect, Msg},
        state::{Overlay, Screen, State},
        update::{next_wakeup, start, update},
    },
    domain::{
        change::{Access, Applied, Change, Delta, StoreError},
        comparison::Clip,
        link::{Links, VideoUrl},
        noticed::Noticed,
        report::{Observation, PollError},
        schedule::{Attempt, LOST_AFTER, MOST_IN_FLIGHT, MOST_PER_SECOND, Polling, Stop},
        status::Tab,
        task::{Delivery, FailedStage, TaskState},
        time::Now,
    },
};
use support::{answer, id, later, line, now, press, program, resize, task, type_text};

fn seen(state: TaskState) -> Observation {
    Observation {
        state,
        facts: kietop::domain::task::Facts::default(),
        raw: "{}".into(),
    }
}

fn success() -> Observation {
    let videos = Links::parse(["https://ex.com/1.mp4"]);
    seen(TaskState::Succeeded {
        videos,
        delivery: Delivery::Done,
    })
}

fn selected(state: &State) -> &str {
    state.selected().map_or("", |watched| watched.id().as_str())
}

fn said(state: &State) -> &str {
    state.notice().map_or("", |notice| notice.text.as_str())
}

fn polls(effects: &[Effect]) -> usize {
    effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Poll { .. }))
        .count()
}

/// Acts as a disk that takes everything.
fn store(state: &mut State, effects: Vec<Effect>) {
    for effect in effects {
        let Effect::Store(changes) = effect else {
            continue;
        };
        let applied = changes
            .iter()
            .map(|change| match change {
                Change::Add { task: id, .. } | Change::Restore { task: id, .. } => {
                    Applied::Added(Box::new(task(id.as_str()).build()))
                }
                Change::Remove { .. } => Applied::Removed,
                Change::Observed { .. }
                | Change::CheckFailed { .. }
                | Change::Opened { .. }
                | Change::Label { .. }
                | Change::Notify { .. }
                | Change::SaveBegun { .. }
                | Change::Saved { .. }
                | Change::NotSaved { .. }
                | Change::Warned { .. } => Applied::Noted,
            })
            .collect();
        update(
            state,
            Msg::Stored {
                changes,
                result: Ok(applied),
            },
            now(),
        );
    }
}

#[test]
fn a_program_starts_by_reading_its_list() {
    assert_eq!(start(), [Effect::Recall, Effect::Load]);
    assert_eq!(
        next_wakeup(&program().build(), now()),
        None,
        "an empty list wakes nobody"
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
    assert_eq!(watched.freshness.failures, 1);
    assert!(matches!(watched.polling, Polling::DueAt(at) if at > now().mono));
}

#[test]
fn a_late_answer_from_an_old_attempt_is_ignored() {
    let mut state = program().with(task("a").running().created("14:30")).build();
    update(&mut state, Msg::Tick, now());
    let before = state.list().get(&id("a")).cloned();

    let msg = Msg::Polled {
        task: id("a"),
        attempt: Attempt(999),
        answer: Box::new(Ok(success())),
        noticed: Noticed::default(),
    };
    let effects = update(&mut state, msg, now());

    assert_eq!(effects, []);
    assert_eq!(state.list().get(&id("a")).cloned(), before);
}

#[test]
fn an_ending_is_said_written_down_and_not_asked_after_again() {
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

    assert_eq!(said(&state), "\"neon\" is ready.");
    assert!(
        matches!(&effects[..], [Effect::Store(changes), ..] if matches!(changes[..], [Change::Observed { .. }]))
    );
    assert_eq!(
        state.list().get(&id("a")).unwrap().polling,
        Polling::Stopped(Stop::Finished)
    );
    assert_eq!(
        polls(&update(
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
        Ok(seen(TaskState::Failed {
            stage: FailedStage::Generation,
        })),
    );

    assert_eq!(
        state.list().get(&id("a")).unwrap().task.state().name(),
        "succeeded"
    );
}

#[test]
fn at_most_four_are_in_flight_and_five_start_in_a_second() {
    let mut state = program().build();
    let tasks = (0..200)
        .map(|n| task(&format!("t{n:03}")).build())
        .collect();
    let mut starts: Vec<Duration> = Vec::new();
    let mut effects = update(&mut state, Msg::Loaded(Ok(tasks)), now());

    for step in 0..2000 {
        let at = later(Duration::from_millis(step * 50));
        for effect in std::mem::take(&mut effects) {
            if let Effect::Poll { task, attempt, .. } = effect {
                starts.push(at.mono.since_start());
                let answer = Box::new(Ok(seen(TaskState::Running {
                    is_finishing: false,
                })));
                effects.extend(update(
                    &mut state,
                    Msg::Polled {
                        task,
                        attempt,
                        answer,
                        noticed: Noticed::default(),
                    },
                    at,
                ));
            }
        }
        effects.extend(update(&mut state, Msg::Tick, at));
        assert!(state.list().tally().in_flight <= MOST_IN_FLIGHT);
    }

    assert!(starts.len() > 200, "{}", starts.len());
    for window in starts.windows(MOST_PER_SECOND + 1) {
        assert!(
            window[MOST_PER_SECOND].saturating_sub(window[0]) >= Duration::from_secs(1),
            "{window:?}"
        );
    }
}

#[test]
fn a_question_never_answered_is_lost_and_asked_again() {
    let mut state = program()
        .with(task("a").running().created("14:30").due_in("0s"))
        .build();
    assert_eq!(state.list().tally().in_flight, 1);

    update(&mut state, Msg::Tick, later(LOST_AFTER));

    let watched = state.list().get(&id("a")).unwrap();
    assert_eq!(
        watched
            .freshness
            .last_error
            .as_ref()
            .map(|failed| &failed.error),
        Some(&PollError::Lost)
    );
    assert!(matches!(watched.polling, Polling::DueAt(_)));
}

#[test]
fn an_error_of_the_account_holds_every_poll_and_marks_no_row() {
    let names = ["a", "b", "c"];
    let mut state = program()
        .with_all(names.map(|name| task(name).running().created("14:30").due_in("0s")))
        .build();

    for name in names {
        answer(
            &mut state,
            name,
            Err(PollError::RateLimited {
                code: 429,
                retry_after: Some(Duration::from_secs(7)),
            }),
        );
    }

    let hold = state.polls().hold().unwrap().clone();
    assert_eq!(
        hold.failures, 1,
        "answers to questions under way count once"
    );
    assert!(
        state
            .list()
            .iter()
            .all(|watched| watched.freshness.last_error.is_none())
    );
    let wait = hold.until.since(now().mono);
    assert!(
        wait >= Duration::from_secs(7) && wait < Duration::from_secs(8),
        "{wait:?}"
    );
    assert_eq!(
        polls(&update(
            &mut state,
            Msg::Tick,
            later(Duration::from_secs(6))
        )),
        0
    );
    assert_eq!(
        polls(&update(
            &mut state,
            Msg::Tick,
            later(Duration::from_secs(8))
        )),
        1,
        "one probe"
    );

    press(&mut state, &["r"]);
    assert!(
        said(&state).contains("429") || said(&state).contains("right now"),
        "{}",
        said(&state)
    );
}

#[test]
fn a_fresh_id_that_is_not_found_is_given_its_grace() {
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
        panic!("still asked after");
    };
    update(
        &mut state,
        Msg::Polled {
            task,
            attempt,
            answer: Box::new(Err(PollError::NotFound)),
            noticed: Noticed::default(),
        },
        much_later,
    );
    assert_eq!(
        state.list().get(&id("a")).unwrap().task.state().name(),
        "not_found"
    );
}

#[test]
fn removing_the_selected_task_selects_its_neighbour_and_undo_brings_it_back() {
    let names = ["a", "b", "c"];
    let mut state = program()
        .with_all(names.map(|name| task(name).ready("1m").created("14:10")))
        .build();
    press(&mut state, &["j"]);
    assert_eq!(selected(&state), "b");

    let effects = press(&mut state, &["d"]);
    store(&mut state, effects);
    assert_eq!((selected(&state), state.shown().len()), ("c", 2));
    assert!(said(&state).starts_with("Removed"), "{}", said(&state));

    let effects = press(&mut state, &["u"]);
    store(&mut state, effects);
    assert_eq!((selected(&state), state.shown().len()), ("b", 3));
    press(&mut state, &["u"]);
    assert_eq!(said(&state), "Nothing to undo.");
}

#[test]
fn nothing_moves_under_the_cursor() {
    let many = (0..100).map(|n| {
        task(&format!("t{n:03}"))
            .running()
            .created(&format!("13:{:02}", n % 60))
    });
    let mut state = program().with_all(many).sized(120, 30).build();
    press(&mut state, &["PgDn", "PgDn", "j"]);
    let (before, first) = (
        selected(&state).to_owned(),
        state.shown()[state.top()].clone(),
    );

    let gone = Delta::Gone(state.shown()[0].clone());
    let newer = Delta::Changed(Box::new(task("newer").running().created("14:31").build()));
    update(&mut state, Msg::ChangedElsewhere(vec![newer, gone]), now());

    assert_eq!(selected(&state), before);
    assert_eq!(state.shown()[state.top()], first);
    resize(&mut state, (120, 12));
    assert_eq!(selected(&state), before);
    press(&mut state, &["3"]);
    assert_eq!((state.tab(), state.shown().len()), (Tab::Ready, 0));
    press(&mut state, &["1"]);
    assert_eq!(state.shown().len(), 100);
}

#[test]
fn pasted_text_never_is_a_command() {
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
        panic!("the dialog opens")
    };
    assert_eq!(
        dialog
            .taken()
            .map(kietop::domain::task::TaskId::as_str)
            .collect::<Vec<_>>(),
        ["774d9a7dd608a0e49293903095e45a4c"]
    );
}

#[test]
fn ids_typed_are_added_with_their_label() {
    let mut state = program().build();
    press(&mut state, &["a"]);
    type_text(&mut state, "774d9a7dd608a0e49293903095e45a4c");
    press(&mut state, &["Tab", "Tab"]);
    type_text(&mut state, "one two");

    let effects = press(&mut state, &["Enter"]);

    let [Effect::Store(changes)] = &effects[..] else {
        panic!("{effects:?}")
    };
    let [
        Change::Add {
            label: Some(label), ..
        },
    ] = &changes[..]
    else {
        panic!("{changes:?}")
    };
    assert_eq!(label.as_str(), "one two");
    assert_eq!(
        state.list().len(),
        0,
        "nothing is shown before it is on the disk"
    );
    store(&mut state, effects);
    assert_eq!(selected(&state), "774d9a7dd608a0e49293903095e45a4c");
}

#[test]
fn a_list_file_that_is_gone_is_said_and_its_tasks_stay() {
    let mut state = program().with(task("a").running()).build();
    let gone = StoreError::Gone("/lists/kietop.db".into());

    update(&mut state, Msg::ListFailed(gone.clone()), now());

    assert_eq!(state.list().len(), 1);
    assert_eq!(state.unsaved().error, Some(gone.clone()));
    let words =
        "The list file is gone from /lists/kietop.db; its tasks are kept here. B writes it back.";
    assert_eq!(said(&state), words);
    // It is tried again though nothing waits to be written; that it is still gone is no news.
    let next = later(Duration::from_secs(6));
    let effects = update(&mut state, Msg::Tick, next);
    assert!(effects.contains(&Effect::Store(Vec::new())), "{effects:?}");
    let still_gone = Msg::Stored {
        changes: Vec::new(),
        result: Err(gone),
    };
    update(&mut state, still_gone, next);
    assert!(state.unsaved().retry.is_some());

    // Leaving would lose the tasks, so that is asked first.
    let effects = press(&mut state, &["q"]);
    assert!(!effects.contains(&Effect::Quit), "{effects:?}");
    press(&mut state, &["n"]);
    let effects = press(&mut state, &["B"]);
    assert!(effects.contains(&Effect::WriteBack), "{effects:?}");
    let effects = update(&mut state, Msg::WrittenBack(Ok(())), next);
    assert!(effects.contains(&Effect::Store(Vec::new())), "{effects:?}");
    let saved = Msg::Stored {
        changes: Vec::new(),
        result: Ok(Vec::new()),
    };
    update(&mut state, saved, next);

    assert_eq!(state.unsaved().error, None);
    assert_eq!(said(&state), "The list is saved again.");
    assert!(!press(&mut state, &["B"]).contains(&Effect::WriteBack));
    assert!(press(&mut state, &["q"]).contains(&Effect::Quit));
}

#[test]
fn a_full_disk_refuses_adds_and_keeps_what_was_learnt() {
    let mut state = program()
        .with(task("a").running().created("14:30").due_in("0s"))
        .build();
    let effects = answer(&mut state, "a", Ok(success()));
    let Some(Effect::Store(changes)) = effects.into_iter().next() else {
        panic!("written")
    };

    update(
        &mut state,
        Msg::Stored {
            changes: changes.clone(),
            result: Err(StoreError::Full),
        },
        now(),
    );
    assert_eq!(state.unsaved().error, Some(StoreError::Full));

    let retried = update(&mut state, Msg::Tick, later(Duration::from_secs(6)));
    assert!(
        retried.contains(&Effect::Store(changes.clone())),
        "{retried:?}"
    );
    update(
        &mut state,
        Msg::Stored {
            changes,
            result: Ok(vec![Applied::Noted]),
        },
        now(),
    );
    assert_eq!(
        (state.unsaved().error.clone(), said(&state)),
        (None, "The list is saved again.")
    );

    let add = vec![Change::Remove {
        task: id("a"),
        at: now().wall,
    }];
    update(
        &mut state,
        Msg::Stored {
            changes: add,
            result: Err(StoreError::Full),
        },
        now(),
    );
    assert!(
        said(&state).starts_with("Nothing was changed: the disk is full"),
        "{}",
        said(&state)
    );
}

#[test]
fn a_refused_key_says_why() {
    let mut empty = program().build();
    for (key, why) in [
        ("d", "No task"),
        ("o", "No task"),
        ("r", "No task"),
        ("R", "Nothing is watched yet. a adds tasks."),
        ("u", "Nothing to undo"),
        ("Enter", "No task to show"),
    ] {
        press(&mut empty, &[key]);
        assert!(said(&empty).starts_with(why), "{key}: {}", said(&empty));
    }
    let mut state = program()
        .set(|settings| settings.access = Access::ReadOnly)
        .with(task("a").running().created("14:30"))
        .build();
    for key in ["a", "d", "u"] {
        press(&mut state, &[key]);
        assert!(
            said(&state).contains("read-only"),
            "{key}: {}",
            said(&state)
        );
    }
    press(&mut state, &["o"]);
    assert_eq!(said(&state), "Still being made: nothing to open yet.");
}

#[test]
fn one_video_opens_at_once_and_several_through_the_picker() {
    let urls = ["https://ex.com/1.mp4", "https://ex.com/2.mp4"];
    let mut state = program()
        .with(task("a").ready("1m").created("14:20"))
        .with(task("b").made("1m", Delivery::Done, &urls).created("14:10"))
        .build();

    let [
        Effect::Open {
            task: opened, url, ..
        },
    ] = &press(&mut state, &["o"])[..]
    else {
        panic!("opens at once")
    };
    assert_eq!(opened, &id("a"));
    let msg = Msg::Opened {
        task: opened.clone(),
        url: url.clone(),
        result: Err("There is no display here.".into()),
    };
    update(&mut state, msg, now());
    assert!(
        matches!(state.overlay(), Some(Overlay::Link(_))),
        "the link is shown whole"
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
fn a_pause_stops_asking_and_r_asks_all_the_same() {
    let mut state = program()
        .with(task("a").running().created("14:30").due_in("20s"))
        .build();
    press(&mut state, &["p"]);

    assert_eq!(
        polls(&update(
            &mut state,
            Msg::Tick,
            later(Duration::from_mins(5))
        )),
        0
    );
    assert_eq!(polls(&press(&mut state, &["r"])), 1);
}

#[test]
fn from_everywhere_three_keys_lead_out() {
    for way in [&[][..], &["Enter"], &["a"], &["?"], &["Enter", "?"]] {
        let mut state = program()
            .with(task("a").ready("1m").created("14:10"))
            .build();
        press(&mut state, way);
        let effects = press(&mut state, &["Esc", "Esc", "q"]);
        assert!(effects.contains(&Effect::Quit), "{way:?}");
        assert!(state.is_leaving());
    }
}

#[test]
fn a_wake_up_always_gets_somewhere() {
    let mut state = program()
        .with(task("a").running().created("14:30"))
        .with(task("b").ready("1m").created("14:10"))
        .build();
    let (mut at, mut wakes) = (now(), 0);

    while at.mono.since(now().mono) < Duration::from_mins(10) {
        let next = next_wakeup(&state, at).expect("a running task wakes us");
        at = later(next.since(now().mono).max(at.mono.since(now().mono)));
        update(&mut state, Msg::Tick, at);
        wakes += 1;
        assert!(wakes < 1500, "a storm of wake-ups");
    }
    assert!(wakes > 590, "a second each while a clock runs: {wakes}");
}

#[test]
fn the_detail_goes_and_comes() {
    let mut state = program()
        .with(task("a").ready("1m").created("14:10"))
        .build();

    press(&mut state, &["Enter"]);
    assert!(matches!(state.screen(), Screen::Detail { .. }));
    press(&mut state, &["j", "j", "j"]);
    assert!(
        matches!(state.screen(), Screen::Detail { scroll: 0, .. }),
        "no further than the text"
    );
    update(
        &mut state,
        Msg::Measured {
            most_scroll: 2,
            room: None,
        },
        now(),
    );
    press(&mut state, &["j", "j", "j"]);
    assert!(matches!(state.screen(), Screen::Detail { scroll: 2, .. }));
    press(&mut state, &["Esc"]);
    assert_eq!(state.screen(), Screen::List);
}

#[test]
fn other_keys_act_and_are_named() {
    let mut state = program()
        .with(task("a").ready("1m").created("14:10"))
        .with(task("b").created("14:00"))
        .keyed(&[
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
    assert!(!state.polls().is_paused() && state.notice().is_none());
    press(&mut state, &["n", "F5"]);
    assert_eq!(
        said(&state),
        "Not answered for yet: nothing to open. Down asks now."
    );
}

#[test]
fn input_and_result_are_compared_and_refusals_say_why() {
    let urls = ["https://ex.com/1.mp4", "https://ex.com/2.mp4"];
    let made = |name: &str| task(name).created("14:10");
    let mut state = program()
        .with(
            made("a")
                .made("1m", Delivery::CallbackFailed, &urls)
                .source("https://ex.com/in.mp4")
                .prompt("snow"),
        )
        .with(made("b").created("14:09").ready("1m"))
        .with(made("c").created("14:08").running())
        .with(made("d").created("14:07").failed("500", "oops"))
        .build();

    let [Effect::Compare(comparison)] = &press(&mut state, &["b"])[..] else {
        panic!("a rescued result is compared like any other")
    };
    assert_eq!(comparison.task, id("a"));
    assert_eq!(comparison.prompt.as_deref(), Some("snow"));
    let links = |clips: &[Clip]| -> Vec<_> {
        let links = clips.iter().map(|clip| clip.link.as_str().to_owned());
        links.collect()
    };
    assert_eq!(links(&comparison.inputs), ["https://ex.com/in.mp4"]);
    assert_eq!(links(&comparison.results), urls);

    for (result, text) in [
        (Ok(()), "Input and result of \"snow\" are in the browser."),
        (Err("No browser.".into()), "No browser."),
    ] {
        let compared = Msg::Compared {
            task: id("a"),
            result,
        };
        assert_eq!(update(&mut state, compared, now()), []);
        assert_eq!(said(&state), text);
    }

    for reason in [
        "The server named no input link to compare with. o opens the result alone.",
        "Still being made: nothing to compare yet.",
        "It failed: there is no video. O opens the input.",
    ] {
        assert_eq!(press(&mut state, &["j", "b"]), []);
        assert_eq!(said(&state), reason);
    }
}

// F70
#[test]
fn a_wall_clock_that_jumps_neither_hurries_nor_holds_a_check() {
    for hours in [-400_000, -9_000, -1, 1, 9_000, 400_000] {
        let mut state = program()
            .with(task("a").running().created("14:30").due_in("20s"))
            .build();
        let jumped = |seconds| {
            let at = later(Duration::from_secs(seconds));
            let wall = at.wall + jiff::SignedDuration::from_hours(hours);
            Now { wall, ..at }
        };

        let asked = (1..60).find(|&second| {
            let effects = update(&mut state, Msg::Tick, jumped(second));
            polls(&effects) == 1
        });

        // A jump may be a sleep, after which checks are spread out a little.
        assert!(
            asked.is_some_and(|second| (20..40).contains(&second)),
            "{hours} h: {asked:?}"
        );
    }
}

#[test]
fn a_list_that_another_program_holds_is_read_once_it_lets_go() {
    let mut state = program().loading().build();
    update(&mut state, Msg::Loaded(Err(StoreError::Busy)), now());
    let at = next_wakeup(&state, now()).expect("a time for another try");
    assert_eq!(at, now().mono.after(Duration::from_secs(5)));

    let effects = update(&mut state, Msg::Tick, later(Duration::from_secs(5)));
    assert_eq!(effects, [Effect::Recall, Effect::Load]);
    let again = update(&mut state, Msg::Tick, later(Duration::from_secs(20)));
    assert_eq!(again, [], "one at a time");
    let watched = task("a").running().build();
    update(
        &mut state,
        Msg::Loaded(Ok(vec![watched])),
        later(Duration::from_secs(21)),
    );
    assert_eq!(state.list().len(), 1);

    let mut state = program().loading().build();
    let damaged = StoreError::Damaged("x".into());
    update(&mut state, Msg::Loaded(Err(damaged)), now());
    assert_eq!(next_wakeup(&state, now()), None, "no time mends that");
}

#[test]
fn what_a_system_or_a_panic_says_acts_on_no_terminal() {
    let hostile = "a\u{202e}b\u{1b}[2Jc\u{200b}d";
    let is_clean = |text: &str| !text.contains(['\u{202e}', '\u{1b}', '\u{200b}']);
    let mut state = program().with(task("a").ready("5m")).build();
    update(&mut state, Msg::Broke(hostile.into()), now());
    assert!(
        is_clean(said(&state)) && said(&state).contains('d'),
        "{}",
        said(&state)
    );

    update(
        &mut state,
        Msg::Copied {
            what: "the id".into(),
            text: "a".into(),
            result: Ok(hostile.into()),
        },
        now(),
    );
    assert!(is_clean(said(&state)), "{}", said(&state));

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
