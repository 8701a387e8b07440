//! The fault matrix as the core sees it: each fault at its level, with its pause, and nothing known is lost by any.
//!
//! The numbers are those of the matrix. How a fault on the wire becomes its error is `tests/kie_api`'s.

#![expect(
    clippy::expect_used,
    reason = "test code: what is not as expected is to fail loudly"
)]

#[path = "support/story.rs"]
mod story;
mod support;

use std::{ops::RangeInclusive, time::Duration};

use jiff::Timestamp;
use kietop::{
    app::{
        msg::{Effect, Msg},
        update::{next_wakeup, update},
    },
    domain::{
        change::Delta,
        noticed::{Noticed, Oddity},
        report::PollError,
        schedule::{MOST_IN_FLIGHT, MOST_PER_SECOND, Polling, Stop},
        task::TaskState,
        time::Now,
        turns::{PutOff, Refusal, Word},
    },
};
use story::{Story, limited as told_to_wait, made, not_made, running, seen, trouble};
use support::{id, line, program, task};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// Whom a fault concerns, and what becomes of asking. Times in seconds.
#[derive(Debug)]
enum Level {
    /// The row waits that long.
    Row(RangeInclusive<f64>),
    /// The row is not asked after until a person does.
    RowStops,
    /// Every row waits that long; no row is marked.
    Account(RangeInclusive<f64>),
}

fn limit(code: i64, seconds: Option<u64>) -> PollError {
    let retry_after = seconds.map(Duration::from_secs);
    PollError::RateLimited { code, retry_after }
}

fn server(code: i64) -> PollError {
    let message = line("oops");
    PollError::Server { code, message }
}

fn refused(code: i64) -> PollError {
    let message = line("no");
    PollError::Refused { code, message }
}

/// Every fault of the matrix that a question can end in, with its numbers there.
fn faults() -> Vec<(&'static str, PollError, Level)> {
    use Level::{Account, Row, RowStops};
    let key = || Account(300.0..=330.0);
    let soon = || Row(1.0..=2.0);
    vec![
        (
            "F1",
            PollError::Offline(line("cannot find api.kie.ai")),
            Account(1.0..=2.0),
        ),
        ("F2 F4 F12 F27 F28", PollError::TimedOut, soon()),
        (
            "F3 F10",
            PollError::Offline(line("refused")),
            Account(1.0..=2.0),
        ),
        ("F6 F7 F25 F26", PollError::CutOff, soon()),
        ("F8 F9", PollError::Untrusted(line("expired")), key()),
        ("F13", PollError::Redirected(line("evil.example")), key()),
        (
            "F14 F24 F29-F32 F34-F42",
            PollError::Malformed(line("HTML")),
            soon(),
        ),
        ("F15", server(502), soon()),
        ("F17 F43", PollError::Unauthorized(401), key()),
        ("F17", PollError::Unauthorized(403), key()),
        ("F17", PollError::Blocked(403), Account(1.0..=2.0)),
        ("F18 F39 F44", PollError::NotFound, Row(54.0..=160.0)),
        ("F19", PollError::WrongAddress, key()),
        ("F20", limit(429, Some(7)), Account(7.0..=7.7)),
        ("F21", limit(429, Some(1)), Account(1.0..=1.1)),
        ("F22 zero", limit(429, Some(0)), Account(1.0..=1.1)),
        (
            "F22 huge",
            limit(429, Some(u64::MAX)),
            Account(900.0..=900.0),
        ),
        (
            "F15 with Retry-After",
            limit(503, Some(30)),
            Account(30.0..=33.0),
        ),
        ("F46", limit(429, None), Account(10.0..=11.0)),
        ("too frequent", limit(430, None), Account(10.0..=11.0)),
        (
            "F23, a cap of the key",
            limit(433, None),
            Account(10.0..=11.0),
        ),
        ("F45", refused(422), RowStops),
        ("a medium not fetched", refused(451), RowStops),
        ("a feature switched off", refused(505), RowStops),
        ("F47", PollError::Maintenance, Account(60.0..=66.0)),
        ("no credits", PollError::OutOfCredits, key()),
        ("F48 F50", server(500), soon()),
        ("F51", server(999), soon()),
        ("F71", PollError::NoKey, key()),
        ("F71, a key kept", PollError::KeyUnread(line("x")), key()),
        ("never answered", PollError::Lost, soon()),
    ]
}

fn due(name: &str) -> support::TaskBuilder {
    task(name).running().created("14:00").due_in("0s")
}

fn many(count: usize) -> impl Iterator<Item = support::TaskBuilder> {
    (0..count).map(|n| due(&format!("t{n:03}")))
}

#[test]
fn every_fault_stays_at_its_level_and_changes_nothing_known() {
    for (fault, error, level) in faults() {
        let mut story = Story::with([due("a"), task("b").running().created("14:31")]);
        let before = story.task("a").clone();

        story.answer("a", Err(error.clone()));

        let now = story.now().mono;
        let row = story.task("a");
        assert_eq!(row.task, before.task, "{fault}: what was known is kept");
        assert_eq!(row.freshness.last_ok, before.freshness.last_ok, "{fault}");
        let hold = story.state.polls().hold();
        let (failures, wait) = match (&level, row.polling) {
            (Level::Row(_), Polling::DueAt(at)) => (1, Some(at.since(now))),
            (Level::RowStops, Polling::Stopped(Stop::Refused)) => (1, None),
            (Level::Account(_), Polling::DueAt(_)) => (0, hold.map(|hold| hold.until.since(now))),
            (_, other) => panic!("{fault}: {other:?}"),
        };
        assert_eq!(row.freshness.failures, failures, "{fault}");
        assert_eq!(
            hold.is_some(),
            matches!(level, Level::Account(_)),
            "{fault}"
        );
        if let (Level::Row(range) | Level::Account(range), Some(wait)) = (&level, wait) {
            assert!(
                range.contains(&wait.as_secs_f64()),
                "{fault}: {wait:?} of {range:?}"
            );
        }
        let told = story.orders.iter().any(|(_, effect)| {
            matches!(effect, Effect::Tell(Word::Hold { error: told, .. }) if *told == error)
        });
        assert_eq!(
            told,
            hold.is_some() && !error.is_own_affair(),
            "{fault}: other instances are told of the account"
        );
    }
}

#[test]
fn no_fault_demotes_an_ending_or_loses_a_link() {
    // P14, F58: made, and then asked again by hand.
    for (fault, error, _) in faults() {
        let mut story = Story::with([
            task("a").ready("5m").created("14:00"),
            task("b").failed("1", "no").created("14:00"),
        ]);

        story.press(&["r", "j", "r"]);
        story.answer("a", Err(error.clone()));
        story.press(&["r"]);
        if story.open().iter().any(|(task, _)| *task == id("b")) {
            story.answer("b", Err(error));
        }
        story.wait(HOUR);

        assert_eq!(
            (story.name("a"), story.name("b")),
            ("succeeded", "failed"),
            "{fault}"
        );
        assert_eq!(story.task("a").task.state().videos().count(), 1, "{fault}");
        assert_eq!(
            story.polling("a"),
            Polling::Stopped(Stop::Finished),
            "{fault}"
        );
    }
    for answer in [
        running,
        not_made,
        || made(&[]),
        || seen(TaskState::Unrecognised),
    ] {
        let mut story = Story::with([task("a").ready("5m").created("14:00")]);
        story.press(&["r"]);
        story.answer("a", answer());
        assert_eq!(story.name("a"), "succeeded", "F58 F68: {:?}", answer());
        assert_eq!(story.task("a").task.state().videos().count(), 1);
    }
}

// F58, F68
#[test]
fn what_contradicts_an_ending_is_counted_and_kept_and_changes_nothing() {
    let taken_back = [
        (running(), Some("{}")),
        (not_made(), Some("{}")),
        (made(&[]), Some("{}")),
        (Err(PollError::NotFound), None),
    ];
    let mut story = Story::with([
        task("a").ready("5m").created("14:00"),
        task("b").failed("1", "no").created("13:00"),
    ]);
    for (count, (answer, text)) in (1..).zip(taken_back) {
        story.press(&["r"]);
        story.answer("a", answer);

        let diagnostics = story.state.diagnostics();
        let counted: Vec<_> = diagnostics.oddities().collect();
        assert_eq!(counted, [(Oddity::TakenBack, count)]);
        let last = diagnostics.last().expect("an odd answer");
        assert_eq!(last.task, id("a"));
        let kept = last
            .text
            .as_ref()
            .map(kietop::domain::text::CleanText::as_str);
        assert_eq!(kept, text);
        assert_eq!(story.name("a"), "succeeded");
        story.wait(5 * SECOND);
    }
    // Two servers that do not agree: of two endings the better one stays, and that is odd too.
    story.press(&["j", "r"]);
    story.answer("b", made(&["https://ex.com/1.mp4"]));
    assert_eq!(story.name("b"), "succeeded");
    assert_eq!(story.state.diagnostics().odd_answers(), 5);
    // What agrees with what is known is not.
    story.wait(5 * SECOND);
    story.press(&["r"]);
    story.answer("b", made(&["https://ex.com/1.mp4"]));
    story.wait(5 * SECOND);
    story.press(&["r"]);
    story.answer("b", Err(PollError::TimedOut));
    assert_eq!(story.state.diagnostics().odd_answers(), 5);
}

/// Asks after the selected task by hand, unless that is under way, and lets a second pass.
fn ask(story: &mut Story) {
    story.wait(5 * SECOND);
    story.press(&["r"]);
    story.wait(SECOND);
}

#[test]
fn odd_answers_are_counted_by_kind_and_only_the_last_is_kept() {
    // F37, F41, F56: whatever becomes of the question, also one nobody waits for any more.
    let mut story = Story::with([due("a"), due("b")]);
    let noticed = |oddity, text: &str| {
        let mut noticed = Noticed::default();
        noticed.note(oddity);
        noticed.keep(text);
        noticed
    };
    story.answer_noticing("a", running(), noticed(Oddity::KeyTwice, "first"));
    story.press(&["j", "d"]);
    let malformed = Err(PollError::Malformed(line(
        "it is the answer for another task",
    )));
    story.answer_noticing("b", malformed, noticed(Oddity::OtherTask, "second"));
    ask(&mut story);
    story.answer("a", seen(TaskState::Unrecognised));
    ask(&mut story);
    story.answer("a", Err(PollError::Malformed(line("x"))));

    let diagnostics = story.state.diagnostics();
    let counted: Vec<_> = diagnostics.oddities().collect();
    let expected = [
        (Oddity::Malformed, 1),
        (Oddity::OtherTask, 1),
        (Oddity::KeyTwice, 1),
        (Oddity::UnknownFlag, 1),
    ];
    assert_eq!(counted, expected);
    assert_eq!(diagnostics.odd_answers(), 4);
    let last = diagnostics.last().expect("an odd answer");
    assert_eq!(last.error.as_deref(), Some("the answer made no sense: x"));
    assert_eq!(last.text, None);
}

#[test]
fn the_clocks_are_compared_at_every_answer_and_the_least_gap_counts() {
    // F64: our clock is ahead by a hundred seconds; one answer was kept for us by somebody, for an hour.
    let mut story = Story::with([task("a").running().created("14:31")]);
    for (question, behind) in (1..).zip([100, 3700, 100, 100]) {
        ask(&mut story);
        let behind = jiff::SignedDuration::from_secs(behind);
        let noticed = Noticed {
            date: Some(story.now().wall - behind),
            ..Noticed::default()
        };
        story.answer_noticing("a", running(), noticed);
        let gap = story.state.diagnostics().clock_gap();
        let told = gap.map(|gap| gap.as_secs());
        assert_eq!(told.is_some(), question >= 3, "{told:?}");
        assert!(
            told.is_none_or(|told| (98..=100).contains(&told)),
            "{told:?}"
        );
    }
    let gap = |story: &Story| story.state.diagnostics().clock_gap();
    // An answer without a date tells nothing, and eight that agree forget what was.
    ask(&mut story);
    story.answer("a", running());
    assert!(gap(&story).is_some_and(|gap| gap.as_secs() > 90));
    for _ in 0..8 {
        ask(&mut story);
        let noticed = Noticed {
            date: Some(story.now().wall),
            ..Noticed::default()
        };
        story.answer_noticing("a", running(), noticed);
    }
    assert_eq!(gap(&story), Some(jiff::SignedDuration::ZERO));
}

#[test]
fn a_task_from_after_now_is_as_young_as_can_be() {
    // F64.
    let mut story = Story::with([task("a").running().created("23:00").due_in("0s")]);
    assert_eq!(story.task("a").run_time(story.now()), Duration::ZERO);
    story.answer("a", running());
    assert_eq!(story.name("a"), "generating");
}

#[test]
fn a_generation_that_failed_is_final_and_not_asked_after_again() {
    // F49: code 501 is no trouble on the way but the task's end; an end is sticky, so a second look could change nothing.
    let mut story = Story::with([due("a")]).served(SECOND, |_, _| Some(not_made()));

    story.wait(24 * HOUR);

    assert_eq!((story.name("a"), story.polls()), ("failed", 1));
}

#[test]
fn a_row_the_server_refuses_stops_until_a_person_asks() {
    // F45.
    let mut story = Story::with([due("a")]).served(SECOND, |_, turn| {
        Some(if turn == 0 {
            Err(refused(422))
        } else {
            running()
        })
    });
    story.wait(24 * HOUR);
    assert_eq!(story.polls(), 1);

    story.press(&["r"]);
    story.wait(HOUR);

    assert!(
        story.polls() > 30,
        "it is answered for again: {}",
        story.polls()
    );
}

#[test]
fn a_success_without_a_link_is_asked_after_five_times_in_ten_minutes() {
    // F53, at every age the task may have had.
    for created in ["14:31", "14:20", "08:00"] {
        let mut story = Story::with([task("a").running().created(created).due_in("0s")])
            .served(Duration::from_millis(1), |_, _| Some(made(&[])));

        story.wait(3 * HOUR);

        let last = *story.starts(None).last().expect("asked");
        assert_eq!(story.polls(), 1 + 5);
        assert!(
            (9 * MINUTE..11 * MINUTE).contains(&last),
            "{created}: {last:?}"
        );
    }
}

#[test]
fn an_answer_nobody_understands_is_asked_after_slowly_for_ever() {
    // F56.
    let mut story = Story::with([task("a").running().created("14:32").due_in("0s")])
        .served(Duration::from_millis(1), |_, _| {
            Some(seen(TaskState::Unrecognised))
        });

    story.wait(2 * HOUR);

    assert!((110..=130).contains(&story.polls()), "{}", story.polls());
}

// Trouble of the whole server.

#[test]
fn five_rows_in_trouble_are_one_hold_and_one_probe_and_all_goes_on_after_it() {
    // F48, the circuit.
    let mut story = Story::with(many(40)).served(Duration::from_millis(100), |task, turn| {
        Some(if turn == 0 && task.as_str() < "t008" {
            trouble()
        } else {
            running()
        })
    });

    story.wait(SECOND / 2);
    let hold = story.state.polls().hold().cloned().expect("a hold");
    let failed = story
        .state
        .list()
        .iter()
        .filter(|row| row.freshness.failures > 0)
        .count();
    assert!((5..5 + MOST_IN_FLIGHT).contains(&failed), "{failed}");
    let before = story.polls();
    story.wait(
        hold.until
            .since(story.now().mono)
            .saturating_sub(Duration::from_millis(1)),
    );
    assert_eq!(story.polls(), before, "nothing is asked while it lasts");
    story.wait(Duration::from_millis(2));
    assert_eq!(story.polls(), before + 1, "one probe");
    story.wait(5 * MINUTE);

    assert_eq!(story.state.polls().hold(), None);
    assert!(
        story
            .state
            .list()
            .iter()
            .all(|row| row.freshness.failures == 0)
    );
}

#[test]
fn a_server_in_trouble_for_hours_sees_ever_fewer_probes() {
    let mut story =
        Story::with(many(500)).served(Duration::from_millis(100), |_, _| Some(trouble()));

    story.wait(6 * HOUR);

    let starts = story.starts(None);
    let within =
        |from: Duration, to: Duration| starts.iter().filter(|at| (from..to).contains(*at)).count();
    assert!(
        within(Duration::ZERO, MINUTE) < 20,
        "{}",
        within(Duration::ZERO, MINUTE)
    );
    assert!(
        (60..200).contains(&within(MINUTE, HOUR)),
        "{}",
        within(MINUTE, HOUR)
    );
    assert!(
        (5..60).contains(&within(3 * HOUR, 6 * HOUR)),
        "ten minutes at most: {}",
        within(3 * HOUR, 6 * HOUR)
    );
}

#[test]
fn one_row_in_trouble_among_good_ones_is_its_own_affair() {
    let mut story = Story::with(many(10)).served(Duration::from_millis(100), |task, _| {
        Some(if task.as_str() == "t000" {
            trouble()
        } else {
            running()
        })
    });

    for _ in 0..3600 {
        story.wait(SECOND);
        assert_eq!(story.state.polls().hold(), None);
    }

    let asked = story.starts(Some("t000")).len();
    assert!(
        (60..200).contains(&asked),
        "it backs off by itself: {asked}"
    );
}

#[test]
fn two_rows_that_fail_five_times_by_turns_are_all_that_is_known_of_the_server() {
    let mut story = Story::with(many(2)).served(Duration::from_millis(100), |_, _| {
        Some(Err(PollError::TimedOut))
    });

    story.wait(5 * MINUTE);

    let hold = story.state.polls().hold().expect("a hold");
    assert_eq!(hold.error, PollError::TimedOut);
}

#[test]
fn r_tries_at_once_whatever_holds_but_a_limit() {
    for (fault, error, level) in faults() {
        let Level::Account(_) = level else { continue };
        let mut story = Story::with([due("a")]);
        story.answer("a", Err(error.clone()));
        story.wait(SECOND / 10);

        let effects = story.press(&["r"]);

        let asked = effects
            .iter()
            .position(|effect| matches!(effect, Effect::Poll { .. }));
        let told = effects
            .iter()
            .position(|effect| *effect == Effect::Tell(Word::TryNow));
        assert_eq!(asked.is_some(), !error.is_limit(), "{fault}");
        assert!(told <= asked, "{fault}: the others are told before");
    }
}

// Time.

#[test]
fn the_wall_clock_may_jump_and_no_question_moves() {
    // F70.
    for wall in [
        "2016-05-04T14:32:07Z",
        "2036-05-04T14:32:07Z",
        "2026-05-04T13:32:07Z",
        "-009999-01-02T01:59:59Z",
        "9999-12-30T22:00:00Z",
    ] {
        let wall: Timestamp = wall.parse().expect("a time");
        let mut state = program()
            .with(due("b"))
            .with(task("a").running().created("14:31").due_in("4s"))
            .build();
        let at = |millis| Now {
            wall,
            mono: support::now().mono.after(Duration::from_millis(millis)),
        };
        let polls = |effects: Vec<Effect>| {
            effects
                .into_iter()
                .filter(|effect| matches!(effect, Effect::Poll { .. }))
                .count()
        };

        assert_eq!(polls(update(&mut state, Msg::Tick, at(1000))), 0, "{wall}");
        assert!(
            next_wakeup(&state, at(1000)).is_some_and(|next| next <= at(4000).mono),
            "{wall}"
        );
        assert_eq!(polls(update(&mut state, Msg::Tick, at(3999))), 0, "{wall}");
        assert_eq!(polls(update(&mut state, Msg::Tick, at(4000))), 1, "{wall}");
    }
}

#[test]
fn a_question_under_way_in_a_sleep_is_not_lost_by_it() {
    let mut story = Story::with([due("a")]);
    story.at += 10 * MINUTE;

    story.say(Msg::Tick);
    assert!(matches!(story.polling("a"), Polling::InFlight { .. }));
    story.wait(20 * SECOND);
    story.answer("a", running());

    assert_eq!(story.task("a").freshness.failures, 0);
}

#[test]
fn after_a_long_pause_all_goes_on_spread_over_ten_seconds() {
    for count in [1, 20, 300] {
        let mut story =
            Story::with(many(count)).served(Duration::from_millis(100), |_, _| Some(running()));
        story.wait(2 * MINUTE);
        story.press(&["p"]);
        story.wait(HOUR);
        let before = story.polls();

        story.press(&["p"]);
        story.wait(5 * SECOND);

        let asked = story.polls() - before;
        assert!(
            (1..=count.div_ceil(2).max(1) + 1).contains(&asked),
            "{asked} of {count}"
        );
        assert!(asked <= 5 * MOST_PER_SECOND + 1);
        story.wait(10 * SECOND);
        assert!(story.polls() - before >= count.min(50), "all of them soon");
    }
}

// Turns among instances.

fn put_off(story: &mut Story, why: Refusal, wait: Duration) {
    let (task, attempt) = story.open().last().cloned().expect("a question under way");
    story.say(Msg::PutOff {
        task,
        attempt,
        put_off: PutOff { why, wait },
    });
}

#[test]
fn a_question_put_off_is_no_check_and_no_error() {
    let held = || Refusal::Held {
        error: PollError::Unauthorized(401),
        failures: 4,
    };
    for (why, is_held) in [
        (Refusal::Elsewhere, false),
        (Refusal::Crowded, false),
        (held(), true),
    ] {
        let mut story = Story::with([due("a").checked_ago("1m", 12)]);
        let before = story.task("a").clone();

        put_off(&mut story, why.clone(), 3 * SECOND);

        let row = story.task("a");
        assert_eq!(
            (&row.task, &row.freshness),
            (&before.task, &before.freshness),
            "{why:?}"
        );
        assert_eq!(
            story.state.polls().per_minute(story.now().mono),
            0,
            "{why:?}"
        );
        assert_eq!(
            story.state.polls().hold().map(|hold| hold.failures),
            is_held.then_some(4)
        );
        assert!(
            !story
                .orders
                .iter()
                .any(|(_, effect)| matches!(effect, Effect::Store(_) | Effect::Tell(_)))
        );
        story.wait((3 * SECOND).saturating_sub(Duration::from_millis(1)));
        assert_eq!(story.polls(), 1, "{why:?}: not before");
        story.wait(4 * SECOND);
        assert_eq!(story.polls(), 2, "{why:?}");
    }
}

#[test]
fn where_others_take_every_turn_nothing_is_asked_for_a_moment_and_the_oldest_stays_first() {
    let mut story = Story::with(many(20));
    let first: Vec<_> = story.open().to_vec();
    for _ in 0..4 {
        let (task, attempt) = first.get(story.polls().min(3)).cloned().expect("four");
        story.say(Msg::PutOff {
            task,
            attempt,
            put_off: PutOff {
                why: Refusal::Crowded,
                wait: SECOND,
            },
        });
    }
    assert_eq!(story.polls(), 4, "not the fifth either");

    story.wait(SECOND);

    let again = story.open().last().cloned().expect("asked again");
    assert!(first.iter().any(|(task, _)| *task == again.0), "{again:?}");
}

#[test]
fn what_a_person_asks_for_waits_for_its_turn_even_in_a_pause() {
    let mut story = Story::with([task("a").running().created("14:31")]);
    story.press(&["p", "r"]);
    put_off(&mut story, Refusal::Crowded, SECOND);

    story.wait(2 * SECOND);

    assert_eq!(story.polls(), 2);
    put_off(&mut story, Refusal::Elsewhere, SECOND);
    assert_eq!(
        story.said(),
        "Another kietop is asking after it; its answer shows here too."
    );
    story.wait(MINUTE);
    assert_eq!(story.polls(), 2);
}

#[test]
fn a_hold_of_others_is_the_banner_here_and_ends_here() {
    let mut story = Story::with(many(5));
    put_off(
        &mut story,
        Refusal::Held {
            error: PollError::Maintenance,
            failures: 1,
        },
        30 * SECOND,
    );
    assert_eq!(
        story.state.polls().hold().map(|hold| hold.error.clone()),
        Some(PollError::Maintenance)
    );

    let mut story = story.served(SECOND, |_, _| Some(running()));
    story.wait(MINUTE);

    assert_eq!(story.state.polls().hold(), None);
}

#[test]
fn what_is_said_of_the_account_counts_though_its_task_was_removed() {
    let mut story = Story::with(many(2));
    story.say(Msg::Tick);
    let name = story.open()[0].0.to_string();
    story.say(Msg::ChangedElsewhere(vec![Delta::Gone(id(&name))]));

    story.answer(&name, Err(PollError::Unauthorized(401)));

    let hold = story.state.polls().hold().map(|hold| hold.error.clone());
    assert_eq!(hold, Some(PollError::Unauthorized(401)));
}

#[test]
fn a_pause_does_not_forget_that_one_is_to_try_first() {
    let mut story = Story::with(many(9));
    story.say(Msg::Tick);
    let name = story.open()[0].0.to_string();
    story.answer(&name, told_to_wait(10));
    for (name, _) in story.open().to_vec() {
        story.answer(name.as_str(), running());
    }
    story.press(&["p"]);
    story.wait(Duration::from_mins(1));
    assert!(story.state.polls().is_paused());
    let before = story.polls();

    story.press(&["p"]);

    assert_eq!(story.polls() - before, 1, "one tries");
}
