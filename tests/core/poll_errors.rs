//! Poll errors in the core: each has its scope and its backoff, and none loses known data.
//!
//! The numbers are those of the fault matrix (`tests/fault_index.rs`). `tests/kie_api` tests how a
//! network fault becomes an error.

use std::{ops::RangeInclusive, time::Duration};

use jiff::Timestamp;
use kietop::{
    app::{
        msg::{Effect, Msg},
        update::{next_wakeup, update},
    },
    domain::{
        poll_request::{Denied, DenyReason},
        poll_result::PollError,
        response_notes::{Anomaly, ResponseNotes},
        schedule::{MAX_IN_FLIGHT, MAX_PER_SECOND, PollState, StopReason},
        task::TaskState,
        time::Now,
    },
};

use crate::support::story::{
    HOUR, MINUTE, SECOND, Story, due_task, due_tasks, failed_generation, finished, observed,
    rate_limited, running, server_error,
};
use crate::support::{self, id, line, program, task};

/// The scope of an error, with its backoff in seconds.
#[derive(Debug)]
enum ErrorScope {
    /// The task waits.
    Row(RangeInclusive<f64>),
    /// The task is checked again only by hand.
    RowStops,
    /// All tasks wait; none shows an error.
    Account(RangeInclusive<f64>),
}

fn rate_limit(code: i64, seconds: Option<u64>) -> PollError {
    let retry_after = seconds.map(Duration::from_secs);
    PollError::RateLimited { code, retry_after }
}

fn server_error_code(code: i64) -> PollError {
    let message = line("oops");
    PollError::Server { code, message }
}

fn refused_key(code: i64) -> PollError {
    let message = line("no");
    PollError::Rejected { code, message }
}

/// All poll errors, with their numbers in the fault matrix.
fn all_faults() -> Vec<(&'static str, PollError, ErrorScope)> {
    use ErrorScope::{Account, Row, RowStops};
    let key = || Account(300.0..=330.0);
    let soon = || Row(1.0..=2.0);
    vec![
        (
            "F1",
            PollError::Offline(line("cannot resolve api.kie.ai")),
            Account(1.0..=2.0),
        ),
        ("F2 F4 F12 F27 F28", PollError::TimedOut, soon()),
        (
            "F3 F10",
            PollError::Offline(line("refused")),
            Account(1.0..=2.0),
        ),
        ("F6 F7 F25 F26", PollError::ConnectionLost, soon()),
        ("F8 F9", PollError::Untrusted(line("expired")), key()),
        ("F13", PollError::Redirected(line("evil.example")), key()),
        (
            "F14 F24 F29-F32 F34-F42",
            PollError::Malformed(line("HTML")),
            soon(),
        ),
        ("F15", server_error_code(502), soon()),
        ("F17 F43", PollError::Unauthorized(401), key()),
        ("F17", PollError::Unauthorized(403), key()),
        ("F17", PollError::Blocked(403), Account(1.0..=2.0)),
        ("F18 F39 F44", PollError::NotFound, Row(54.0..=160.0)),
        ("F19", PollError::WrongAddress, key()),
        ("F20", rate_limit(429, Some(7)), Account(7.0..=7.7)),
        ("F21", rate_limit(429, Some(1)), Account(1.0..=1.1)),
        ("F22 zero", rate_limit(429, Some(0)), Account(1.0..=1.1)),
        (
            "F22 huge",
            rate_limit(429, Some(u64::MAX)),
            Account(900.0..=900.0),
        ),
        (
            "F15 with Retry-After",
            rate_limit(503, Some(30)),
            Account(30.0..=33.0),
        ),
        ("F46", rate_limit(429, None), Account(10.0..=11.0)),
        ("too frequent", rate_limit(430, None), Account(10.0..=11.0)),
        (
            "F23, a cap of the key",
            rate_limit(433, None),
            Account(10.0..=11.0),
        ),
        ("F45", refused_key(422), RowStops),
        ("a medium not fetched", refused_key(451), RowStops),
        ("a feature switched off", refused_key(505), RowStops),
        ("F47", PollError::Maintenance, Account(60.0..=66.0)),
        ("no credits", PollError::OutOfCredits, key()),
        ("F48 F50", server_error_code(500), soon()),
        ("F51", server_error_code(999), soon()),
        ("F71", PollError::NoKey, key()),
        (
            "F71, a key kept",
            PollError::KeyUnreadable(line("x")),
            key(),
        ),
        ("never answered", PollError::AnswerLost, soon()),
    ]
}

#[test]
fn every_error_keeps_its_scope_and_known_data() {
    for (fault, error, scope) in all_faults() {
        let mut story = Story::with_tasks([due_task("a"), task("b").running().created("14:31")]);
        let before = story.task("a").clone();

        story.answer("a", Err(error.clone()));

        let now = story.now().mono;
        let row = story.task("a");
        assert_eq!(row.task, before.task, "{fault}: known data is kept");
        assert_eq!(
            row.poll_history.last_ok, before.poll_history.last_ok,
            "{fault}"
        );
        let backoff = story.backoff();
        let (failures, wait) = match (&scope, row.poll_state) {
            (ErrorScope::Row(_), PollState::DueAt(at)) => (1, Some(at.since(now))),
            (ErrorScope::RowStops, PollState::Stopped(StopReason::Rejected)) => (1, None),
            (ErrorScope::Account(_), PollState::DueAt(_)) => {
                (0, backoff.map(|backoff| backoff.until.since(now)))
            }
            (_, other) => panic!("{fault}: {other:?}"),
        };
        assert_eq!(row.poll_history.failures, failures, "{fault}");
        assert_eq!(
            backoff.is_some(),
            matches!(scope, ErrorScope::Account(_)),
            "{fault}"
        );
        if let (ErrorScope::Row(range) | ErrorScope::Account(range), Some(wait)) = (&scope, wait) {
            assert!(
                range.contains(&wait.as_secs_f64()),
                "{fault}: {wait:?} of {range:?}"
            );
        }
    }
}

#[test]
fn errors_never_demote_a_final_state_or_lose_links() {
    // P14, F58: finished, then checked again by hand.
    for (fault, error, _) in all_faults() {
        let mut story = Story::with_tasks([
            task("a").ready("5m").created("14:00"),
            task("b").failed("1", "no").created("14:00"),
        ]);

        story.press(&["r", "j", "r"]);
        story.answer("a", Err(error.clone()));
        story.press(&["r"]);
        if story.open_polls().iter().any(|(task, _)| *task == id("b")) {
            story.answer("b", Err(error));
        }
        story.advance(HOUR);

        assert_eq!(
            (story.state_name("a"), story.state_name("b")),
            ("succeeded", "failed"),
            "{fault}"
        );
        assert_eq!(story.task("a").task.state().videos().count(), 1, "{fault}");
        assert_eq!(
            story.poll_state("a"),
            PollState::Stopped(StopReason::Finished),
            "{fault}"
        );
    }
    for answer in [
        running,
        failed_generation,
        || finished(&[]),
        || observed(TaskState::Unrecognised),
    ] {
        let mut story = Story::with_tasks([task("a").ready("5m").created("14:00")]);
        story.press(&["r"]);
        story.answer("a", answer());
        assert_eq!(
            story.state_name("a"),
            "succeeded",
            "F58 F68: {:?}",
            answer()
        );
        assert_eq!(story.task("a").task.state().videos().count(), 1);
    }
}

// F58, F68
#[test]
fn contradictions_of_a_final_state_are_only_counted() {
    let contradictions = [
        (running(), Some("{}")),
        (failed_generation(), Some("{}")),
        (finished(&[]), Some("{}")),
        (Err(PollError::NotFound), None),
    ];
    let mut story = Story::with_tasks([
        task("a").ready("5m").created("14:00"),
        task("b").failed("1", "no").created("13:00"),
    ]);
    for (count, (answer, text)) in (1..).zip(contradictions) {
        story.press(&["r"]);
        story.answer("a", answer);

        let diagnostics = story.state.diagnostics();
        let counted: Vec<_> = diagnostics.anomalies().collect();
        assert_eq!(counted, [(Anomaly::Contradiction, count)]);
        let last = diagnostics
            .last_unusual
            .as_ref()
            .expect("an unusual answer");
        assert_eq!(last.task, id("a"));
        let kept = last
            .notes
            .text
            .as_ref()
            .map(kietop::domain::text::CleanText::as_str);
        assert_eq!(kept, text);
        assert_eq!(story.state_name("a"), "succeeded");
        story.advance(5 * SECOND);
    }
    // Two servers disagree: success wins over failure, and counts as a contradiction too.
    story.press(&["j", "r"]);
    story.answer("b", finished(&["https://ex.com/1.mp4"]));
    assert_eq!(story.state_name("b"), "succeeded");
    assert_eq!(story.state.diagnostics().unusual_answers, 5);
    // A matching answer does not count.
    story.advance(5 * SECOND);
    story.press(&["r"]);
    story.answer("b", finished(&["https://ex.com/1.mp4"]));
    story.advance(5 * SECOND);
    story.press(&["r"]);
    story.answer("b", Err(PollError::TimedOut));
    assert_eq!(story.state.diagnostics().unusual_answers, 5);
}

/// Checks the selected task by hand, unless a check is in flight, and advances the time.
fn check_selected(story: &mut Story) {
    story.advance(5 * SECOND);
    story.press(&["r"]);
    story.advance(SECOND);
}

#[test]
fn anomalies_are_counted_and_the_last_is_kept() {
    // F37, F41, F56: with any result, also for a removed task.
    let mut story = Story::with_tasks([due_task("a"), due_task("b")]);
    let notes_with = |anomaly, text: &str| {
        let mut notes = ResponseNotes::default();
        notes.add(anomaly);
        notes.keep_excerpt(text);
        notes
    };
    story.answer_with_notes("a", running(), notes_with(Anomaly::MissingCode, "first"));
    story.press(&["j", "d"]);
    let malformed = Err(PollError::Malformed(line("response for another task")));
    story.answer_with_notes("b", malformed, notes_with(Anomaly::UnknownCode, "second"));
    check_selected(&mut story);
    story.answer("a", observed(TaskState::Unrecognised));
    check_selected(&mut story);
    story.answer("a", Err(PollError::Malformed(line("x"))));

    let diagnostics = story.state.diagnostics();
    let counted: Vec<_> = diagnostics.anomalies().collect();
    let expected = [
        (Anomaly::Malformed, 2),
        (Anomaly::MissingCode, 1),
        (Anomaly::UnknownCode, 1),
        (Anomaly::UnknownFlag, 1),
    ];
    assert_eq!(counted, expected);
    assert_eq!(diagnostics.unusual_answers, 4);
    let last = diagnostics
        .last_unusual
        .as_ref()
        .expect("an unusual answer");
    assert_eq!(last.error.as_deref(), Some("invalid answer: x"));
    assert_eq!(last.notes.text, None);
}

#[test]
fn clock_skew_is_the_smallest_observed_gap() {
    // F64: our clock is ahead by 100 seconds, and a cache returned one response an hour late.
    let mut story = Story::with_tasks([task("a").running().created("14:31")]);
    for (check, behind) in (1..).zip([100, 3700, 100, 100]) {
        check_selected(&mut story);
        let behind = jiff::SignedDuration::from_secs(behind);
        let notes = ResponseNotes {
            date: Some(story.now().wall - behind),
            ..ResponseNotes::default()
        };
        story.answer_with_notes("a", running(), notes);
        let gap = story.state.diagnostics().clock_gap();
        let seconds = gap.map(|gap| gap.as_secs());
        assert_eq!(seconds.is_some(), check >= 3, "{seconds:?}");
        assert!(
            seconds.is_none_or(|seconds| (98..=100).contains(&seconds)),
            "{seconds:?}"
        );
    }
    let gap = |story: &Story| story.state.diagnostics().clock_gap();
    // An answer without a date changes nothing; eight that agree replace the old gap.
    check_selected(&mut story);
    story.answer("a", running());
    assert!(gap(&story).is_some_and(|gap| gap.as_secs() > 90));
    for _ in 0..8 {
        check_selected(&mut story);
        let notes = ResponseNotes {
            date: Some(story.now().wall),
            ..ResponseNotes::default()
        };
        story.answer_with_notes("a", running(), notes);
    }
    assert_eq!(gap(&story), Some(jiff::SignedDuration::ZERO));
}

#[test]
fn a_task_from_the_future_has_age_zero() {
    // F64.
    let mut story = Story::with_tasks([task("a").running().created("23:00").due_in("0s")]);
    assert_eq!(story.task("a").run_time(story.now()), Duration::ZERO);
    story.answer("a", running());
    assert_eq!(story.state_name("a"), "generating");
}

#[test]
fn a_rejected_task_waits_for_a_manual_check() {
    // F45.
    let mut story = Story::with_tasks([due_task("a")]).with_server(SECOND, |_, poll| {
        Some(if poll == 0 {
            Err(refused_key(422))
        } else {
            running()
        })
    });
    story.advance(24 * HOUR);
    assert_eq!(story.poll_count(), 1);

    story.press(&["r"]);
    story.advance(HOUR);

    assert!(
        story.poll_count() > 30,
        "it is polled again: {}",
        story.poll_count()
    );
}

#[test]
fn a_missing_link_is_checked_five_times() {
    // F53, for tasks of any age.
    for created in ["14:31", "14:20", "08:00"] {
        let mut story = Story::with_tasks([task("a").running().created(created).due_in("0s")])
            .with_server(Duration::from_millis(1), |_, _| Some(finished(&[])));

        story.advance(3 * HOUR);

        let last = *story.poll_starts(None).last().expect("polled");
        assert_eq!(story.poll_count(), 1 + 5);
        assert_eq!(
            story.poll_state("a"),
            PollState::Stopped(StopReason::Finished)
        );
        assert!(
            (9 * MINUTE..11 * MINUTE).contains(&last),
            "{created}: {last:?}"
        );
    }
}

#[test]
fn an_unknown_answer_is_polled_slowly() {
    // F56.
    let mut story = Story::with_tasks([task("a").running().created("14:32").due_in("0s")])
        .with_server(Duration::from_millis(1), |_, _| {
            Some(observed(TaskState::Unrecognised))
        });

    story.advance(2 * HOUR);

    assert_eq!(story.state_name("a"), "unknown");
    assert!(
        (110..=130).contains(&story.poll_count()),
        "{}",
        story.poll_count()
    );
}

// Errors of the whole server.

#[test]
fn five_failing_tasks_become_one_backoff() {
    // F48, the circuit breaker.
    let mut story =
        Story::with_tasks(due_tasks(40)).with_server(Duration::from_millis(100), |task, poll| {
            Some(if poll == 0 && task.as_str() < "t008" {
                server_error()
            } else {
                running()
            })
        });

    story.advance(SECOND / 2);
    let backoff = story.backoff().cloned().expect("a backoff");
    let failed = story.count_failed_tasks();
    assert!((5..5 + MAX_IN_FLIGHT).contains(&failed), "{failed}");
    let before = story.poll_count();
    story.advance(
        backoff
            .until
            .since(story.now().mono)
            .saturating_sub(Duration::from_millis(1)),
    );
    assert_eq!(story.poll_count(), before, "no request during the backoff");
    story.advance(Duration::from_millis(2));
    assert_eq!(story.poll_count(), before + 1, "one probe");
    story.advance(5 * MINUTE);

    assert_eq!(story.backoff(), None);
    assert_eq!(story.count_failed_tasks(), 0);
}

#[test]
fn probes_of_a_failing_server_become_rarer() {
    let mut story = Story::with_tasks(due_tasks(500))
        .with_server(Duration::from_millis(100), |_, _| Some(server_error()));

    story.advance(6 * HOUR);

    let starts = story.poll_starts(None);
    let within =
        |from: Duration, to: Duration| starts.iter().filter(|at| (from..to).contains(*at)).count();
    // Every ten minutes at most in the end.
    for (from, to, expected) in [
        (Duration::ZERO, MINUTE, 1..20),
        (MINUTE, HOUR, 60..200),
        (3 * HOUR, 6 * HOUR, 5..60),
    ] {
        let polls = within(from, to);
        assert!(expected.contains(&polls), "{polls} from {from:?}");
    }
}

#[test]
fn one_failing_task_does_not_start_a_backoff() {
    let mut story =
        Story::with_tasks(due_tasks(10)).with_server(Duration::from_millis(100), |task, _| {
            Some(if task.as_str() == "t000" {
                server_error()
            } else {
                running()
            })
        });

    for _ in 0..3600 {
        story.advance(SECOND);
        assert_eq!(story.backoff(), None);
    }

    let polls = story.poll_starts(Some("t000")).len();
    assert!((60..200).contains(&polls), "it backs off alone: {polls}");
}

#[test]
fn two_tasks_failing_alternately_start_a_backoff() {
    let mut story = Story::with_tasks(due_tasks(2))
        .with_server(Duration::from_millis(100), |_, _| {
            Some(Err(PollError::TimedOut))
        });

    story.advance(5 * MINUTE);

    let backoff = story.backoff().expect("a backoff");
    assert_eq!(backoff.error, PollError::TimedOut);
}

#[test]
fn r_retries_at_once_except_in_a_rate_limit() {
    for (fault, error, scope) in all_faults() {
        let ErrorScope::Account(_) = scope else {
            continue;
        };
        let mut story = Story::with_tasks([due_task("a")]);
        story.answer("a", Err(error.clone()));
        story.advance(SECOND / 10);

        let effects = story.press(&["r"]);

        let is_poll = |effect: &Effect| matches!(effect, Effect::Poll { .. });
        assert_eq!(
            effects.iter().any(is_poll),
            !error.is_rate_limit(),
            "{fault}"
        );
    }
}

// Time.

#[test]
fn clock_jumps_do_not_move_checks() {
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
            .with(due_task("b"))
            .with(task("a").running().created("14:31").due_in("4s"))
            .build();
        let at = |millis| Now {
            wall,
            mono: support::now().mono.after(Duration::from_millis(millis)),
        };
        let polls = |effects: Vec<Effect>| {
            let is_poll = |effect: &&Effect| matches!(effect, Effect::Poll { .. });
            effects.iter().filter(is_poll).count()
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
fn a_check_in_flight_survives_a_suspend() {
    let mut story = Story::with_tasks([due_task("a")]);
    story.at += 10 * MINUTE;

    story.send(Msg::Tick);
    assert!(matches!(story.poll_state("a"), PollState::InFlight { .. }));
    story.advance(20 * SECOND);
    story.answer("a", running());

    assert_eq!(story.task("a").poll_history.failures, 0);
}

#[test]
fn checks_after_a_long_pause_are_spread_out() {
    for count in [1, 20, 300] {
        let mut story = Story::with_tasks(due_tasks(count))
            .with_server(Duration::from_millis(100), |_, _| Some(running()));
        story.advance(2 * MINUTE);
        story.press(&["p"]);
        story.advance(HOUR);
        let before = story.poll_count();

        story.press(&["p"]);
        story.advance(5 * SECOND);

        let polls = story.poll_count() - before;
        assert!(
            (1..=count.div_ceil(2).max(1) + 1).contains(&polls),
            "{polls} of {count}"
        );
        assert!(polls <= 5 * MAX_PER_SECOND + 1);
        story.advance(10 * SECOND);
        assert!(
            story.poll_count() - before >= count.min(50),
            "all of them within 15 seconds"
        );
    }
}

// Denied permits.

/// Starts a program whose first poll is denied.
fn denied_story(
    tasks: impl IntoIterator<Item = support::TaskBuilder>,
    reason: DenyReason,
    wait: Duration,
) -> Story {
    let mut story = Story::from_program(program());
    story.next_denial = Some(Denied { reason, wait });
    story.load(tasks);
    story
}

#[test]
fn a_denied_poll_is_neither_check_nor_error() {
    for (reason, is_backoff) in [
        (DenyReason::TaskBusy, false),
        (DenyReason::InFlightLimit, false),
        (
            DenyReason::AccountBackoff(PollError::Unauthorized(401)),
            true,
        ),
    ] {
        let before = due_task("a").checked_ago("1m", 12).build();
        let tasks = [due_task("a").checked_ago("1m", 12)];
        let mut story = denied_story(tasks, reason.clone(), 3 * SECOND);

        let row = story.task("a");
        assert_eq!(
            (&row.task, &row.poll_history),
            (&before.task, &before.poll_history),
            "{reason:?}"
        );
        let queue = story.state.poll_queue();
        assert_eq!(queue.per_minute(story.now().mono), 0, "{reason:?}");
        assert_eq!(queue.backoff().is_some(), is_backoff);
        assert_eq!(story.count_writes(), 0);
        story.advance((3 * SECOND).saturating_sub(Duration::from_millis(1)));
        assert_eq!(story.poll_count(), 0, "{reason:?}: not earlier");
        story.advance(4 * SECOND);
        assert_eq!(story.poll_count(), 1, "{reason:?}");
    }
}

#[test]
fn a_denied_queue_waits_and_keeps_its_order() {
    let mut story = denied_story(due_tasks(20), DenyReason::InFlightLimit, SECOND);
    let first = story.effects.iter().find_map(|(_, effect)| match effect {
        Effect::Poll { task, .. } => Some(task.clone()),
        _ => None,
    });
    assert_eq!(story.poll_count(), 0, "no other poll");

    story.advance(SECOND);

    assert_eq!(
        story.open_polls().first().map(|(task, _)| task),
        first.as_ref()
    );
}

#[test]
fn manual_checks_wait_for_a_permit_while_paused() {
    let mut story = Story::with_tasks([task("a").running().created("14:31")]);
    story.press(&["p"]);
    let deny = |story: &mut Story, reason| {
        story.next_denial = Some(Denied {
            reason,
            wait: SECOND,
        });
    };
    deny(&mut story, DenyReason::InFlightLimit);
    story.press(&["r"]);
    assert_eq!(story.poll_count(), 0);

    deny(&mut story, DenyReason::TaskBusy);
    story.advance(2 * SECOND);

    assert_eq!(
        story.message(),
        "Another kietop is refreshing it; the result will appear here."
    );
    story.advance(MINUTE);
    assert_eq!(story.poll_count(), 0);
}

#[test]
fn a_shared_backoff_shows_and_lifts_the_banner() {
    let reason = DenyReason::AccountBackoff(PollError::Maintenance);
    let story = denied_story(due_tasks(5), reason, 30 * SECOND);
    let backoff = story.backoff().expect("a backoff");
    assert_eq!(backoff.error, PollError::Maintenance);
    assert!(backoff.is_external);

    let mut story = story.with_server(SECOND, |_, _| Some(running()));
    story.advance(MINUTE);

    assert_eq!(story.backoff(), None);
}

#[test]
fn account_errors_of_removed_tasks_count() {
    let mut story = Story::with_tasks(due_tasks(2));
    let name = story.open_polls()[0].0.to_string();
    story.remove_elsewhere(&name);

    story.answer(&name, Err(PollError::Unauthorized(401)));

    let backoff = story.backoff().map(|backoff| backoff.error.clone());
    assert_eq!(backoff, Some(PollError::Unauthorized(401)));
}

#[test]
fn a_pause_keeps_the_pending_probe() {
    let mut story = Story::with_tasks(due_tasks(9));
    let name = story.open_polls()[0].0.to_string();
    story.answer(&name, rate_limited(10));
    for (name, _) in story.open_polls().to_vec() {
        story.answer(name.as_str(), running());
    }
    story.press(&["p"]);
    story.advance(Duration::from_mins(1));
    assert!(story.state.poll_queue().is_paused);
    let before = story.poll_count();

    story.press(&["p"]);

    assert_eq!(story.poll_count() - before, 1, "one probe");
}
