//! The core's side of saving: keys, queue, endings, what survives a restart, and links about to die.

#![expect(
    clippy::unwrap_used,
    clippy::wildcard_enum_match_arm,
    reason = "test code: what is not as expected is to fail loudly"
)]

mod support;

use std::{path::PathBuf, time::Duration};

use kietop::{
    app::{
        msg::{Effect, Msg},
        state::{NOTICE_TIME, Settings, State},
        update::{next_wakeup, update},
    },
    domain::{
        change::{Access, Applied, Change, Delta},
        link::Links,
        memory::Memory,
        report::{Observation, PollError},
        save::{Progress, Retry, SaveAttempt, SaveError, SaveOrder, Saves},
        status::{LinkLife, Status, Tab},
        task::{Delivery, TaskState},
        time::Now,
        watched::Watched,
    },
};
use support::{TaskBuilder, answer, at, id, later, now, press, program, task, type_text};

const ONE: &[&str] = &["https://ex.com/1.mp4"];
const THREE: &[&str] = &[
    "https://ex.com/1.mp4",
    "https://ex.com/2.mp4",
    "https://ex.com/3.mp4",
];

fn made(name: &str, urls: &[&str]) -> TaskBuilder {
    task(name)
        .created("14:00")
        .made("5m09s", Delivery::Done, urls)
}

fn at_home(settings: &mut Settings) {
    settings.home = Some("/home/me".into());
    settings.here = "/srv".into();
    settings.save_folder = "/home/me/Videos/kietop".into();
}

fn said(state: &State) -> &str {
    state.notice().map_or("", |notice| notice.text.as_str())
}

fn saves(effects: &[Effect]) -> Vec<(SaveAttempt, SaveOrder)> {
    let saves = effects.iter().filter_map(|effect| match effect {
        Effect::Save { attempt, order } => Some((*attempt, order.clone())),
        _ => None,
    });
    saves.collect()
}

fn written(effects: &[Effect]) -> Vec<Change> {
    let changes = effects.iter().filter_map(|effect| match effect {
        Effect::Store(changes) => Some(changes.clone()),
        _ => None,
    });
    changes.flatten().collect()
}

fn end(state: &mut State, attempt: SaveAttempt, result: Result<&str, SaveError>) -> Vec<Effect> {
    let result = result.map(PathBuf::from);
    update(state, Msg::SaveEnded { attempt, result }, now())
}

fn status(state: &State, name: &str) -> Status {
    let watched = state.list().get(&id(name)).unwrap();
    state.status_of(watched, &state.estimate(), now())
}

fn life(state: &State, name: &str) -> LinkLife {
    let watched = state.list().get(&id(name)).unwrap();
    watched.link_life(state.settings().retention, now())
}

fn success() -> Observation {
    Observation {
        state: TaskState::Succeeded {
            videos: Links::parse(ONE.iter().copied()),
            delivery: Delivery::Done,
        },
        facts: kietop::domain::task::Facts::default(),
        raw: "{}".into(),
    }
}

/// Returns a program that has just read this list.
fn started(tasks: Vec<Watched>, change: impl FnOnce(&mut Settings)) -> (State, Vec<Effect>) {
    let mut settings = Settings::default();
    at_home(&mut settings);
    change(&mut settings);
    let mut state = State::new(settings);
    let (width, height, page) = (120, 36, 20);
    let size = Msg::Resized {
        width,
        height,
        page,
    };
    update(&mut state, size, now());
    let effects = update(&mut state, Msg::Loaded(Ok(tasks)), now());
    (state, effects)
}

#[test]
fn a_key_saves_and_what_is_on_disk_is_called_saved() {
    let mut state = program().set(at_home).with(made("a", ONE)).build();

    let effects = press(&mut state, &["w"]);

    let begun = saves(&effects);
    assert_eq!(begun.len(), 1);
    assert_eq!(begun[0].1.folder, PathBuf::from("/home/me/Videos/kietop"));
    let expected = Change::SaveBegun {
        task: id("a"),
        at: now().wall,
        folder: "/home/me/Videos/kietop".into(),
    };
    assert_eq!(written(&effects), [expected]);
    assert_eq!(said(&state), "Saving \"a\" to ~/Videos/kietop.");
    assert_eq!(status(&state, "a"), Status::Ready);

    let effects = end(&mut state, begun[0].0, Ok("/home/me/Videos/kietop/a.mp4"));

    assert_eq!(said(&state), "Saved \"a\" to ~/Videos/kietop/a.mp4.");
    assert_eq!(status(&state, "a"), Status::Saved);
    assert_eq!(life(&state, "a"), LinkLife::Saved);
    assert!(matches!(
        &written(&effects)[..],
        [Change::Saved { number: 1, .. }]
    ));
    assert!(state.saves().is_empty());
    press(&mut state, &["w"]);
    assert_eq!(said(&state), "Saved already: ~/Videos/kietop/a.mp4.");
}

#[test]
fn a_save_that_ends_does_not_cover_the_way_back_from_a_removal() {
    let tasks = [made("a", ONE), made("b", ONE)];
    let mut state = program()
        .set(at_home)
        .with(tasks[0].clone())
        .with(tasks[1].clone())
        .build();
    let begun = saves(&press(&mut state, &["w"]));
    let changes = written(&press(&mut state, &["j", "d"]));
    let result = Ok(vec![Applied::Removed]);
    update(&mut state, Msg::Stored { changes, result }, now());
    assert_eq!(said(&state), "Removed \"b\". u undoes it.");

    end(&mut state, begun[0].0, Ok("/home/me/Videos/kietop/a.mp4"));
    assert_eq!(said(&state), "Removed \"b\". u undoes it.");
    update(&mut state, Msg::Tick, later(NOTICE_TIME));
    assert_eq!(said(&state), "Saved \"a\" to ~/Videos/kietop/a.mp4.");
}

#[test]
fn two_files_at_a_time_and_all_of_them_before_it_is_saved() {
    let mut state = program().set(at_home).with(made("a", THREE)).build();

    let begun = saves(&press(&mut state, &["w"]));
    assert_eq!(begun.len(), 2);
    let saving = state.saves().saving(&id("a")).unwrap();
    assert_eq!((saving.files, saving.waiting), (3, 1));

    let third = saves(&end(&mut state, begun[1].0, Ok("/v/2.mp4")));
    assert_eq!(third[0].1.number, 3);
    end(&mut state, begun[0].0, Ok("/v/1.mp4"));
    assert_eq!(status(&state, "a"), Status::Ready);
    end(&mut state, third[0].0, Ok("/v/3.mp4"));
    assert_eq!(status(&state, "a"), Status::Saved);
}

#[test]
fn pressed_again_it_tells_how_far_and_then_stops() {
    let mut state = program().set(at_home).with(made("a", ONE)).build();
    let begun = saves(&press(&mut state, &["w"]));
    let progress = Progress {
        bytes: 42,
        total: Some(100),
        rate: 10,
    };
    let attempt = begun[0].0;
    update(&mut state, Msg::SaveProgressed { attempt, progress }, now());

    assert_eq!(saves(&press(&mut state, &["w"])), []);
    assert_eq!(said(&state), "42% of \"a\" is here. w again stops it.");

    let effects = press(&mut state, &["w"]);
    assert!(effects.contains(&Effect::StopSave(attempt)), "{effects:?}");
    assert!(matches!(
        &written(&effects)[..],
        [Change::NotSaved {
            error: SaveError::Stopped,
            ..
        }]
    ));
    assert_eq!(said(&state), "Stopped; what came is kept. w goes on.");
    let effects = end(&mut state, attempt, Err(SaveError::Stopped));
    assert_eq!(
        (written(&effects), said(&state)),
        (Vec::new(), "Stopped; what came is kept. w goes on.")
    );
    assert_eq!(saves(&press(&mut state, &["w"])).len(), 1, "and on it goes");
}

#[test]
fn a_stop_is_not_meant_by_a_press_long_after() {
    let mut state = program().set(at_home).with(made("a", ONE)).build();
    press(&mut state, &["w", "w"]);
    update(&mut state, Msg::Tick, later(Duration::from_mins(1)));

    let key = Msg::Key {
        chord: support::chord("w"),
        is_repeat: false,
    };
    let effects = update(&mut state, key, later(Duration::from_mins(1)));

    assert!(
        !effects
            .iter()
            .any(|effect| matches!(effect, Effect::StopSave(_)))
    );
}

#[test]
fn a_removed_task_is_saved_no_further_and_that_is_said() {
    let mut state = program().set(at_home).with(made("a", THREE)).build();
    let begun = saves(&press(&mut state, &["w"]));
    let effects = press(&mut state, &["d"]);
    let changes = written(&effects);

    let result = Ok(vec![Applied::Removed; changes.len()]);
    let effects = update(&mut state, Msg::Stored { changes, result }, now());

    for (attempt, _) in &begun {
        assert!(effects.contains(&Effect::StopSave(*attempt)));
    }
    assert_eq!(saves(&effects), []);
    assert!(
        said(&state).ends_with("Its saving ended; what came is kept."),
        "{}",
        said(&state)
    );
    end(&mut state, begun[0].0, Ok("/v/1.mp4"));
    assert_eq!(state.list().len(), 0, "a late end brings nothing back");
}

#[test]
fn a_failure_is_said_with_the_next_step_and_written_down() {
    let old = |settings: &mut Settings| {
        at_home(settings);
        settings.retention = Duration::from_mins(1);
    };
    let mut state = program().set(old).with(made("a", ONE)).build();
    let begun = saves(&press(&mut state, &["w"]));

    let effects = end(&mut state, begun[0].0, Err(SaveError::DiskFull));

    assert_eq!(
        said(&state),
        "\"a\" is not saved: the disk is full. Free some space, then save again to go on."
    );
    assert!(matches!(
        &written(&effects)[..],
        [Change::NotSaved {
            error: SaveError::DiskFull,
            ..
        }]
    ));
    let begun = &state.list().get(&id("a")).unwrap().saves.begun;
    assert!(begun.is_some(), "it is offered again at the next start");

    let again = saves(&press(&mut state, &["w"]));
    end(&mut state, again[0].0, Err(refused()));
    assert!(said(&state).contains("link gone (404)"), "{}", said(&state));
    assert_eq!(state.list().get(&id("a")).unwrap().saves.begun, None);
}

/// What the file host's refusal of a link, and of a fresh one, ends with.
fn refused() -> SaveError {
    SaveError::LinkGone {
        status: 404,
        why: None,
    }
}

fn retry_of(state: &State, name: &str) -> Option<Retry> {
    state.list().get(&id(name)).unwrap().saves.retry
}

#[test]
fn a_fresh_result_that_is_refused_is_not_there_yet_and_is_retried() {
    let mut state = program().set(at_home).with(made("a", ONE)).build();
    let begun = saves(&press(&mut state, &["w"]));

    let effects = end(&mut state, begun[0].0, Err(refused()));

    assert_eq!(
        said(&state),
        "\"a\" is not saved: not there yet (404). Next try in 5s."
    );
    let not_yet = SaveError::NotYet {
        status: 404,
        why: None,
    };
    assert!(
        matches!(&written(&effects)[..], [Change::NotSaved { error, .. }] if *error == not_yet)
    );
    assert_eq!(status(&state, "a"), Status::Ready);
    let due = later(Duration::from_secs(5));
    let wakes = next_wakeup(&state, now()).unwrap();
    assert!(wakes <= due.mono, "{wakes:?}");
    let early = update(&mut state, Msg::Tick, later(Duration::from_secs(4)));
    assert_eq!(saves(&early), []);

    let retried = saves(&update(&mut state, Msg::Tick, due));
    assert_eq!(retried.len(), 1);
    let result = Err(SaveError::Answered(503));
    let attempt = retried[0].0;
    update(&mut state, Msg::SaveEnded { attempt, result }, due);
    let next = retry_of(&state, "a").unwrap();
    assert_eq!(
        (next.tries, next.at),
        (2, later(Duration::from_secs(15)).wall)
    );

    let retried = saves(&update(
        &mut state,
        Msg::Tick,
        later(Duration::from_secs(15)),
    ));
    end(&mut state, retried[0].0, Ok("/home/me/Videos/kietop/a.mp4"));
    assert_eq!(status(&state, "a"), Status::Saved);
    assert_eq!(retry_of(&state, "a"), None);
}

#[test]
fn a_link_is_expired_by_its_age_or_after_hours_of_refusals() {
    let mut state = program().set(at_home).with(made("a", ONE)).build();
    let mut attempt = saves(&press(&mut state, &["w"]))[0].0;
    let mut at = now();
    let mut tries = 1;
    loop {
        let result = Err(refused());
        update(&mut state, Msg::SaveEnded { attempt, result }, at);
        let Some(retry) = retry_of(&state, "a") else {
            break;
        };
        at = later(now().until(retry.at));
        attempt = saves(&update(&mut state, Msg::Tick, at))[0].0;
        tries += 1;
    }
    let hours = at.age_of(now().wall).as_secs() / 3600;
    assert_eq!((tries, hours), (21, 6));
    assert!(said(&state).contains("link gone (404)"), "{}", said(&state));
    assert_eq!(state.list().get(&id("a")).unwrap().saves.begun, None);

    let old = |settings: &mut Settings| {
        at_home(settings);
        settings.retention = Duration::from_mins(1);
    };
    let mut state = program().set(old).with(made("a", ONE)).build();
    let begun = saves(&press(&mut state, &["w"]));
    end(&mut state, begun[0].0, Err(refused()));
    assert!(said(&state).contains("link gone (404)"), "{}", said(&state));
    assert_eq!(retry_of(&state, "a"), None);
}

#[test]
fn a_retry_goes_on_after_a_restart_at_its_time() {
    let waiting = |at| begun_at("a", at);
    let soon = later(Duration::from_secs(20));
    let (mut state, _) = started(vec![waiting(soon)], |_| {});
    assert_eq!(saves(&held(&mut state, &[("a", false)], now())), []);
    assert_eq!(said(&state), "", "nothing was interrupted");
    let retried = saves(&update(&mut state, Msg::Tick, soon));
    assert_eq!(retried[0].1.folder, PathBuf::from("/v"));

    // Its time came while no program ran.
    let (mut state, _) = started(vec![waiting(now())], |_| {});
    assert_eq!(saves(&held(&mut state, &[("a", false)], now())).len(), 1);

    // A person ends it.
    let mut state = program().set(at_home).with(made("a", ONE)).build();
    let attempt = saves(&press(&mut state, &["w"]))[0].0;
    end(&mut state, attempt, Err(refused()));
    press(&mut state, &["w", "w", "w"]);
    assert_eq!(retry_of(&state, "a"), None);
    let long = later(Duration::from_hours(1));
    assert_eq!(saves(&update(&mut state, Msg::Tick, long)), []);
}

#[test]
fn retries_of_a_batch_begin_one_a_second_and_another_instances_wait_longer() {
    let batch = ["a", "b", "c"];
    let mut state = batch
        .iter()
        .fold(program().set(at_home), |all, name| {
            all.with(made(name, ONE))
        })
        .build();
    let mut begun = saves(&press(&mut state, &["*", "w"]));
    while let Some((attempt, _)) = begun.pop() {
        begun.extend(saves(&end(&mut state, attempt, Err(refused()))));
    }
    for second in 5..8 {
        let at = later(Duration::from_secs(second));
        let retried = saves(&update(&mut state, Msg::Tick, at));
        assert_eq!(retried.len(), 1, "{second}");
        let (attempt, result) = (retried[0].0, Err(SaveError::Busy));
        update(&mut state, Msg::SaveEnded { attempt, result }, at);
    }

    // What another instance retries is left to it, until its time has long come.
    let (mut state, _) = started(vec![made("a", ONE).build()], |_| {});
    let mut theirs = begun_at("a", later(Duration::from_secs(40)));
    let delta =
        |watched: &Watched| Msg::ChangedElsewhere(vec![Delta::Changed(Box::new(watched.clone()))]);
    update(&mut state, delta(&theirs), now());
    let minute = |n: u64| later(Duration::from_secs(60 * n));
    update(&mut state, Msg::Tick, minute(1));
    assert_eq!(saves(&held(&mut state, &[("a", false)], minute(1))), []);
    theirs.saves.retry = Some(Retry {
        tries: 2,
        at: minute(3).wall,
    });
    update(&mut state, delta(&theirs), minute(1));
    assert_eq!(saves(&update(&mut state, Msg::Tick, minute(2))), []);
    assert_eq!(saves(&update(&mut state, Msg::Tick, minute(3))), []);
    assert_eq!(saves(&update(&mut state, Msg::Tick, minute(4))).len(), 1);
}

fn begun_at(name: &str, at: Now) -> Watched {
    let mut watched = begun(name);
    let (tries, at) = (1, at.wall);
    watched.saves.retry = Some(Retry { tries, at });
    watched
}

#[test]
fn what_cannot_be_saved_says_why() {
    let table = [
        (
            task("a").running().created("14:31"),
            "Still being made: nothing to save yet.",
        ),
        (
            task("a").failed("500", "x"),
            "It failed: there is no video. O opens the input.",
        ),
        (
            task("a"),
            "Not answered for yet: nothing to save. r asks now.",
        ),
    ];
    for (task, expected) in table {
        let mut state = program().set(at_home).with(task).build();
        for key in ["w", "W"] {
            let effects = press(&mut state, &[key]);
            assert_eq!((saves(&effects), said(&state)), (Vec::new(), expected));
        }
    }
    let read_only = |settings: &mut Settings| settings.access = Access::ReadOnly;
    let mut state = program().set(read_only).with(made("a", ONE)).build();
    assert_eq!(saves(&press(&mut state, &["w"])), []);
    assert_eq!(said(&state), "The list is read-only (--read-only).");
}

#[test]
fn another_folder_is_typed_as_people_write_it() {
    let mut state = program().set(at_home).with(made("a", ONE)).build();
    press(&mut state, &["W", "ctrl-u"]);
    let nothing = press(&mut state, &["enter"]);
    assert_eq!(
        (saves(&nothing), said(&state)),
        (Vec::new(), "No folder in there yet: type one.")
    );

    type_text(&mut state, "~/x");
    update(&mut state, Msg::Pasted("y/z\n".into()), now());
    let begun = saves(&press(&mut state, &["enter"]));

    assert_eq!(begun[0].1.folder, PathBuf::from("/home/me/xy/z"));
    assert!(state.overlay().is_none());
    press(&mut state, &["W"]);
    assert!(state.overlay().is_some());
    press(&mut state, &["esc"]);
    assert!(state.overlay().is_none());
}

#[test]
fn a_typed_folder_that_cannot_be_read_is_named_and_can_be_mended() {
    let here = |settings: &mut Settings| {
        at_home(settings);
        settings.variables = [("OUT".into(), "/mnt/out".into())].into_iter().collect();
    };
    let mut state = program().set(here).with(made("a", ONE)).build();
    press(&mut state, &["W"]);
    for (typed, expected) in [
        (
            "$NOPE/x",
            "No such folder: the variable NOPE is not set; write $$ for a dollar sign.",
        ),
        (
            "~root/x",
            "No such folder: ~ works for your own home only: write ~root in full, or as ./~root.",
        ),
    ] {
        press(&mut state, &["ctrl-u"]);
        type_text(&mut state, typed);
        assert_eq!(saves(&press(&mut state, &["enter"])), [], "{typed}");
        assert_eq!(said(&state), expected);
        assert!(state.overlay().is_some(), "{typed}");
    }
    press(&mut state, &["ctrl-u"]);
    type_text(&mut state, "$OUT/x");
    let begun = saves(&press(&mut state, &["enter"]));
    assert_eq!(begun[0].1.folder, PathBuf::from("/mnt/out/x"));
}

#[test]
fn without_a_home_a_folder_is_asked_for_and_nothing_is_saved_by_itself() {
    let homeless = |settings: &mut Settings| {
        settings.save_folder = PathBuf::new();
        settings.auto_save = true;
    };
    let running = || task("a").running().created("14:30").in_flight();
    let mut state = program().set(homeless).with(running()).build();
    assert_eq!(saves(&answer(&mut state, "a", Ok(success()))), []);
    assert_eq!(saves(&press(&mut state, &["w"])), []);
    assert!(state.overlay().is_some());
    type_text(&mut state, "/mnt/x");
    let begun = saves(&press(&mut state, &["enter"]));
    assert_eq!(begun[0].1.folder, PathBuf::from("/mnt/x"));
}

#[test]
fn a_result_is_saved_by_itself_where_that_is_wanted() {
    let wanted = |settings: &mut Settings| {
        at_home(settings);
        settings.auto_save = true;
    };
    let running = || task("a").running().created("14:30").in_flight();
    let mut state = program().set(wanted).with(running()).build();
    let effects = answer(&mut state, "a", Ok(success()));
    assert_eq!(saves(&effects).len(), 1);

    let mut state = program().set(at_home).with(running()).build();
    assert_eq!(saves(&answer(&mut state, "a", Ok(success()))), []);

    // Another instance heard of the ending.
    let mut state = program().set(wanted).with(running()).build();
    let delta = Delta::Changed(Box::new(made("a", ONE).build()));
    let effects = update(&mut state, Msg::ChangedElsewhere(vec![delta]), now());
    assert_eq!(saves(&effects).len(), 1);
}

#[test]
fn what_a_command_heard_of_while_no_dashboard_ran_is_saved_at_the_start() {
    // "a" ended since the last run and was heard of; "old" before it, and was left unsaved then.
    let all = || {
        let old = task("old").created("09:00").made("5m", Delivery::Done, ONE);
        vec![made("a", ONE).build(), old.build()]
    };
    for (is_wanted, expected) in [(true, vec![id("a")]), (false, Vec::new())] {
        let (mut state, effects) = started(all(), |settings| settings.auto_save = is_wanted);
        assert_eq!(saves(&effects), [], "nobody knows yet since when");
        let memory = Memory {
            visited: Some(at("13:52:07")),
            ..Memory::default()
        };

        let effects = update(&mut state, Msg::Recalled(Ok(memory)), now());

        let begun = saves(&effects).into_iter().map(|(_, order)| order.task);
        assert_eq!(begun.collect::<Vec<_>>(), expected);
    }

    // Its link is gone by now.
    let (mut state, _) = started(all(), |settings| {
        settings.auto_save = true;
        settings.retention = Duration::from_mins(1);
    });
    let memory = Memory {
        visited: Some(at("13:52:07")),
        ..Memory::default()
    };
    let effects = update(&mut state, Msg::Recalled(Ok(memory)), now());
    assert_eq!(saves(&effects), []);
}

#[test]
fn what_another_instance_saves_is_not_saved_here_too() {
    let wanted = |settings: &mut Settings| {
        at_home(settings);
        settings.auto_save = true;
    };
    // It heard of the ending, and began to save at once.
    let running = || task("a").running().created("14:30").in_flight();
    let mut state = program().set(wanted).with(running()).build();
    let mut begun = made("a", ONE).build();
    begun.saves.begun = Some("/v".into());
    let delta = Delta::Changed(Box::new(begun));
    let effects = update(&mut state, Msg::ChangedElsewhere(vec![delta]), now());
    assert_eq!(saves(&effects), []);

    // It saved what still waits here.
    let mut state = program().set(at_home).with(made("a", THREE)).build();
    let begun = saves(&press(&mut state, &["w"]));
    let mut saved = made("a", THREE).build();
    saved.saves = Saves::restored([(3, "/v/3.mp4".into())], None, None);
    let delta = Delta::Changed(Box::new(saved));
    update(&mut state, Msg::ChangedElsewhere(vec![delta]), now());
    assert_eq!(saves(&end(&mut state, begun[0].0, Ok("/v/1.mp4"))), []);
    end(&mut state, begun[1].0, Ok("/v/2.mp4"));
    assert!(state.saves().is_empty());
    assert_eq!(status(&state, "a"), Status::Saved);
}

#[test]
fn ten_thousand_results_are_written_down_as_begun_in_one_go() {
    let all = (0..10_000).map(|n| made(&format!("t{n}"), ONE));
    let mut state = all
        .fold(program().set(at_home), support::ProgramBuilder::with)
        .build();

    let effects = press(&mut state, &["*", "w"]);

    let stores = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::Store(_)));
    assert_eq!((stores.count(), written(&effects).len()), (1, 10_000));
    assert_eq!(state.saves().all().unwrap().files, 10_000);
}

#[test]
fn an_interrupted_save_goes_on_or_is_offered() {
    let mut watched = made("a", ONE).build();
    watched.saves.begun = Some("/elsewhere".into());

    let (mut state, effects) = started(vec![watched.clone()], |_| {});
    assert_eq!((saves(&effects), said(&state)), (Vec::new(), ""));
    let asked = watched.save_orders(&PathBuf::from("/elsewhere"));
    assert!(effects.contains(&Effect::FindHolders(asked)), "{effects:?}");
    assert_eq!(saves(&held(&mut state, &[("a", false)], now())), []);
    assert_eq!(
        said(&state),
        "The saving of \"a\" was interrupted. w goes on with it."
    );
    let begun = saves(&press(&mut state, &["w"]));
    assert_eq!(begun[0].1.folder, PathBuf::from("/elsewhere"));

    let (mut state, _) = started(vec![watched], |settings| settings.auto_save = true);
    let effects = held(&mut state, &[("a", false)], now());
    assert_eq!(saves(&effects).len(), 1);
    assert_eq!(
        said(&state),
        "The saving of \"a\" was interrupted and goes on."
    );
}

fn held(state: &mut State, found: &[(&str, bool)], now: Now) -> Vec<Effect> {
    let found = found.iter().map(|(task, is_held)| (id(task), *is_held));
    update(state, Msg::HoldersFound(found.collect()), now)
}

fn asks_for_holders(effects: &[Effect]) -> bool {
    let is_asked = |effect: &Effect| matches!(effect, Effect::FindHolders(_));
    effects.iter().any(is_asked)
}

fn begun(name: &str) -> Watched {
    let mut watched = made(name, ONE).build();
    watched.saves.begun = Some("/v".into());
    watched
}

#[test]
fn what_another_instance_saves_is_not_interrupted_until_nobody_holds_it() {
    let all = vec![begun("a"), begun("b"), made("c", ONE).build()];
    let (mut state, _) = started(all, |settings| settings.auto_save = true);

    // It fetches two at a time; the others wait for their turn there.
    let effects = held(&mut state, &[("a", true), ("b", false)], now());
    assert_eq!((saves(&effects), said(&state)), (Vec::new(), ""));
    assert!(
        ["a", "b"]
            .map(id)
            .iter()
            .all(|task| state.saves().is_elsewhere(task))
    );
    assert!(!state.saves().is_elsewhere(&id("c")));

    let next = later(Duration::from_mins(1));
    let effects = update(&mut state, Msg::Tick, next);
    assert!(asks_for_holders(&effects), "{effects:?}");
    let mut done = begun("a");
    done.saved(1, "/v/a.mp4".into());
    let delta = Delta::Changed(Box::new(done));
    update(&mut state, Msg::ChangedElsewhere(vec![delta]), next);
    let effects = held(&mut state, &[("a", false), ("b", false)], next);

    assert_eq!(saves(&effects).len(), 1, "that one was killed");
    assert_eq!(
        said(&state),
        "The saving of \"b\" was interrupted and goes on."
    );
}

#[test]
fn what_another_instance_just_began_need_not_be_held_yet() {
    let (mut state, _) = started(vec![made("a", ONE).build()], |_| {});
    let delta = Delta::Changed(Box::new(begun("a")));
    let just = later(Duration::from_secs(55));
    update(&mut state, Msg::ChangedElsewhere(vec![delta]), just);
    assert!(state.saves().is_elsewhere(&id("a")));

    let minute = |n: u64| later(Duration::from_secs(60 * n));
    assert!(asks_for_holders(&update(&mut state, Msg::Tick, minute(1))));
    held(&mut state, &[("a", false)], minute(1));
    assert_eq!(said(&state), "");

    assert!(asks_for_holders(&update(&mut state, Msg::Tick, minute(2))));
    held(&mut state, &[("a", false)], minute(2));
    assert!(said(&state).contains("was interrupted"), "{}", said(&state));

    // Said once.
    update(&mut state, Msg::Tick, minute(3));
    held(&mut state, &[("a", false)], minute(3));
    assert_eq!(said(&state), "");
}

#[test]
fn a_save_refused_because_another_instance_is_at_it_is_shown_as_its() {
    let mut state = program().set(at_home).with(made("a", ONE)).build();
    let begun = saves(&press(&mut state, &["w"]));

    end(&mut state, begun[0].0, Err(SaveError::Busy));

    assert!(state.saves().is_elsewhere(&id("a")));
}

#[test]
fn what_was_begun_here_and_failed_is_neither_another_instances_nor_interrupted() {
    let passing = || Err(SaveError::DiskFull);
    let minute = |n: u64| later(Duration::from_secs(60 * n));
    let nobody = |state: &mut State, at| {
        assert!(asks_for_holders(&update(state, Msg::Tick, at)));
        held(state, &[("a", false)], at)
    };

    // Ended while no dashboard ran, and begun at this start.
    let (mut settings, memory) = (Settings::default(), Memory::default());
    settings.auto_save = true;
    let mut state = State::new(settings);
    let visited = Some(at("13:52:07"));
    let memory = Memory { visited, ..memory };
    update(&mut state, Msg::Recalled(Ok(memory)), now());
    let all = vec![made("a", ONE).build()];
    let orders = saves(&update(&mut state, Msg::Loaded(Ok(all)), now()));
    end(&mut state, orders[0].0, passing());
    assert_eq!(saves(&nobody(&mut state, minute(1))), []);

    // Begun elsewhere, and then by a person here.
    let (mut state, _) = started(vec![made("a", ONE).build()], |_| {});
    let delta = Delta::Changed(Box::new(begun("a")));
    update(&mut state, Msg::ChangedElsewhere(vec![delta]), now());
    let orders = saves(&press(&mut state, &["w"]));
    end(&mut state, orders[0].0, passing());
    assert!(!state.saves().is_elsewhere(&id("a")));
    nobody(&mut state, minute(1));
    assert!(!said(&state).contains("interrupted"), "{}", said(&state));

    // An earlier run's, begun again before it was known that nobody is at it.
    let (mut state, _) = started(vec![begun("a")], |_| {});
    let orders = saves(&press(&mut state, &["w"]));
    held(&mut state, &[("a", false)], now());
    end(&mut state, orders[0].0, passing());
    nobody(&mut state, minute(1));
    assert!(!said(&state).contains("interrupted"), "{}", said(&state));
}

#[test]
fn what_another_instance_has_saved_or_given_up_is_no_longer_its() {
    let (mut state, _) = started(vec![made("a", ONE).build()], |_| {});
    let delta = |watched| Msg::ChangedElsewhere(vec![Delta::Changed(Box::new(watched))]);
    update(&mut state, delta(begun("a")), now());
    update(&mut state, delta(made("a", ONE).build()), now());

    update(&mut state, Msg::Tick, later(Duration::from_mins(1)));

    assert!(!state.saves().is_elsewhere(&id("a")));
}

fn dying(name: &str) -> Watched {
    let end = |span: &str| {
        let created = support::ago(span);
        task(name)
            .created(&created.to_string())
            .ready("5m09s")
            .build()
    };
    end("12d19h")
}

#[test]
fn a_link_about_to_die_is_spoken_of_once_a_day() {
    let (mut state, effects) = started(vec![dying("a")], |_| {});

    assert_eq!(
        said(&state),
        "The link of \"a\" dies in about 29 hours. w saves it."
    );
    let warned = Change::Warned {
        task: id("a"),
        at: now().wall,
    };
    assert_eq!(written(&effects), std::slice::from_ref(&warned));
    for minutes in 1..120 {
        let effects = update(&mut state, Msg::Tick, later(Duration::from_mins(minutes)));
        assert_eq!(written(&effects), [], "after {minutes} minutes");
    }

    // What was written down holds over a restart.
    let mut known = dying("a");
    known.saves.warned = Some(now().wall);
    let (state, effects) = started(vec![known.clone()], |_| {});
    assert_eq!((said(&state), written(&effects)), ("", Vec::new()));
    known.saves.warned = Some(support::ago("24h"));
    let (state, _) = started(vec![known], |_| {});
    assert!(said(&state).starts_with("The link of"), "{}", said(&state));

    let (state, _) = started(vec![dying("a"), dying("b")], |_| {});
    assert_eq!(
        said(&state),
        "The links of 2 results die within two days. 6 shows them."
    );
}

#[test]
fn what_is_on_disk_dies_no_more() {
    let mut saved = dying("a");
    saved.saves = Saves::restored([(1, "/v/a.mp4".into())], None, None);
    let (mut state, effects) = started(vec![saved, dying("b")], |_| {});

    let looked: Vec<_> = effects
        .iter()
        .filter(|effect| matches!(effect, Effect::LookFor(_)))
        .collect();
    assert_eq!(
        looked,
        [&Effect::LookFor(vec![(id("a"), "/v/a.mp4".into())])]
    );
    assert_eq!(
        said(&state),
        "The link of \"b\" dies in about 29 hours. w saves it."
    );
    press(&mut state, &["6"]);
    assert_eq!(
        (state.tab(), state.shown()),
        (Tab::Expiring, &[id("b")][..])
    );

    // The file was moved away: the link counts again.
    let files = vec![(id("a"), "/v/a.mp4".into(), false)];
    update(&mut state, Msg::LookedFor(files), now());
    assert!(matches!(life(&state, "a"), LinkLife::Left(_)));
    assert_eq!(state.shown().len(), 2);
    let files = vec![(id("a"), "/v/a.mp4".into(), true)];
    update(&mut state, Msg::LookedFor(files), now());
    assert_eq!(
        (life(&state, "a"), state.shown().len()),
        (LinkLife::Saved, 1)
    );
}

#[test]
fn what_is_on_disk_is_opened_from_there() {
    let mut saved = made("a", ONE).build();
    saved.saves = Saves::restored([(1, "/v/a.mp4".into())], None, None);
    let (mut state, _) = started(vec![saved], |_| {});
    let opened = |state: &mut State| match press(state, &["o"]).pop() {
        Some(Effect::Open { file, .. }) => file,
        other => panic!("{other:?}"),
    };

    assert_eq!(opened(&mut state), Some("/v/a.mp4".into()));
    let (task, file) = (id("a"), PathBuf::from("/v/a.mp4"));
    let effects = update(&mut state, Msg::OpenedFile { task, file }, now());
    assert_eq!(said(&state), "Opened from the disk (/v/a.mp4).");
    let expected = Change::Opened {
        task: id("a"),
        at: now().wall,
        url: "/v/a.mp4".into(),
    };
    assert_eq!(written(&effects), [expected]);

    let files = vec![(id("a"), "/v/a.mp4".into(), false)];
    update(&mut state, Msg::LookedFor(files), now());
    assert_eq!(opened(&mut state), None, "then by its link");
}

#[test]
fn news_of_another_instance_keep_what_is_not_written_yet() {
    let mut state = program().set(at_home).with(made("a", ONE)).build();
    let begun = saves(&press(&mut state, &["w"]));
    end(&mut state, begun[0].0, Ok("/v/a.mp4"));

    let delta = Delta::Changed(Box::new(made("a", ONE).build()));
    update(&mut state, Msg::ChangedElsewhere(vec![delta]), now());

    assert_eq!(status(&state, "a"), Status::Saved);
}

#[test]
fn a_rescued_result_is_saved_and_said_to_be_one() {
    let rescued = task("a").created("14:00").rescued("5m09s");
    let mut state = program().set(at_home).with(rescued).build();
    let begun = saves(&press(&mut state, &["w"]));

    end(&mut state, begun[0].0, Ok("/v/a.mp4"));

    assert_eq!(
        said(&state),
        "Saved \"a\" to /v/a.mp4. The video was made; only its delivery to the callback URL failed."
    );
    assert_eq!(life(&state, "a"), LinkLife::Saved);
    assert_eq!(status(&state, "a"), Status::CallbackFailed);
}

#[test]
fn late_news_of_an_ended_save_change_nothing() {
    let mut state = program().set(at_home).with(made("a", ONE)).build();
    let begun = saves(&press(&mut state, &["w"]));
    let cut_off = SaveError::NoAnswer(PollError::CutOff);
    end(&mut state, begun[0].0, Err(cut_off.clone()));
    let before = format!("{state:?}");

    let attempt = begun[0].0;
    let progress = Progress::default();
    update(&mut state, Msg::SaveProgressed { attempt, progress }, now());
    let effects = end(&mut state, attempt, Err(cut_off));

    assert_eq!((format!("{state:?}"), effects), (before, Vec::new()));
}

#[test]
fn marked_results_are_saved_together_and_stopped_together() {
    let mut state = program()
        .set(at_home)
        .with(made("a", ONE))
        .with(made("b", ONE))
        .with(task("c").running().created("14:31"))
        .build();
    press(&mut state, &["*"]);

    let begun = saves(&press(&mut state, &["w"]));
    assert_eq!(begun.len(), 2);
    assert_eq!(
        said(&state),
        "Saving the results of 2 tasks to ~/Videos/kietop."
    );

    press(&mut state, &["esc"]);
    press(&mut state, &["g", "w"]);
    assert_eq!(said(&state), "Still being made: nothing to save yet.");
    press(&mut state, &["j", "space", "space", "w", "w"]);
    assert!(said(&state).starts_with("Stopped"), "{}", said(&state));
}
