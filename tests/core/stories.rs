//! Scenario tests of the app core on simulated time: polling, backoff, undo, selection, changes
//! from other instances, and wake-ups.

mod filter_and_marks;

use std::time::Duration;

use kietop::{
    app::{
        msg::{Effect, Msg},
        state::{MainScreen, Overlay, TextPage},
        update::next_wakeup,
    },
    domain::{
        list_change::{AccessMode, ChangeKind, ListChange, StoreError},
        poll_result::PollError,
        response_notes::ResponseNotes,
        schedule::{LOST_AFTER, MAX_IN_FLIGHT, MAX_PER_SECOND, PollAttempt, PollState, StopReason},
        status::Tab,
        store_request::StoreRequest,
        task::{CallbackStatus, TaskId},
    },
};

use crate::support::story::{
    HOUR, MINUTE, SECOND, Story, due_task, due_tasks, failed_generation, finished, offline,
    rate_limited, running, server_error,
};
use crate::support::{self, id, program, resize, task};

const URL: &str = "https://ex.com/1.mp4";

fn max_in_a_second(starts: &[Duration]) -> usize {
    let window_end = |at: Duration| starts.partition_point(|start| *start < at + SECOND);
    let windows = starts.iter().enumerate().map(|(n, at)| window_end(*at) - n);
    windows.max().unwrap_or_default()
}

fn gaps(starts: &[Duration]) -> Vec<Duration> {
    let pairs = starts.windows(2);
    pairs.map(|pair| pair[1].saturating_sub(pair[0])).collect()
}

// Polling.

#[test]
fn two_hundred_tasks_are_not_polled_at_once() {
    let mut story = Story::with_tasks(due_tasks(200))
        .with_server(Duration::from_millis(300), |_, _| Some(running()));

    story.advance(5 * MINUTE);

    assert!(story.poll_count() > 1000, "{}", story.poll_count());
    assert!(max_in_a_second(&story.poll_starts(None)) <= MAX_PER_SECOND);
    for n in 0..200 {
        assert!(
            story.poll_starts(Some(&format!("t{n:03}"))).len() >= 4,
            "t{n:03} is polled too rarely"
        );
    }
}

#[test]
fn at_most_four_slow_checks_are_in_flight() {
    let mut story = Story::with_tasks(due_tasks(50))
        .with_server(Duration::from_secs(9), |_, _| Some(running()));

    for _ in 0..600 {
        story.advance(SECOND / 2);
        assert!(story.state.list().counts().in_flight <= MAX_IN_FLIGHT);
    }

    assert!(story.poll_count() > 100);
}

#[test]
fn a_finished_task_is_not_polled() {
    let mut story = Story::with_tasks([due_task("a"), due_task("b"), due_task("c")]).with_server(
        SECOND,
        |task, _| {
            Some(if task.as_str() == "a" {
                finished(&[URL])
            } else {
                failed_generation()
            })
        },
    );

    story.advance(24 * HOUR);

    assert_eq!(story.poll_count(), 3);
    // F49: code 501 is a final state, not a server error.
    assert_eq!(story.state_name("b"), "failed");
}

#[test]
fn refresh_checks_a_finished_task_once() {
    for answer in [
        server_error,
        offline,
        || rate_limited(7),
        || Err(PollError::TimedOut),
        running,
    ] {
        let mut story = Story::with_tasks([task("a").ready("5m").created("14:00")]);

        story.press(&["r"]);
        story.answer("a", answer());
        story.advance(24 * HOUR);

        assert_eq!(story.poll_count(), 1, "{:?}", answer());
        assert_eq!(
            story.poll_state("a"),
            PollState::Stopped(StopReason::Finished)
        );
        assert_eq!(story.state_name("a"), "succeeded");
        assert_eq!(story.backoff(), None, "no banner remains");
    }
}

#[test]
fn a_late_link_is_found() {
    let mut story = Story::with_tasks([due_task("a").checked_ago("10s", 40)])
        .with_server(SECOND, |_, earlier_polls| {
            Some(finished(if earlier_polls < 3 { &[] } else { &[URL] }))
        });

    story.advance(HOUR);

    assert_eq!(story.poll_count(), 4);
    assert_eq!(story.task("a").task.state().videos().count(), 1);
}

// F18
#[test]
fn a_new_id_not_found_is_polled_ever_more_rarely() {
    let mut story = Story::with_tasks([task("a").added("14:32:07").due_in("0s")])
        .with_server(SECOND, |_, _| Some(Err(PollError::NotFound)));

    story.advance(85 * SECOND);
    assert_eq!(story.state_name("a"), "new");

    story.advance(30 * SECOND);
    assert_eq!(story.state_name("a"), "not_found");

    story.advance(48 * HOUR);
    let starts = story.poll_starts(Some("a"));
    let later = gaps(&starts[starts.partition_point(|at| *at <= 95 * SECOND)..]);

    // The interval does not jump to its maximum.
    assert!(later[0] < 5 * MINUTE, "{later:?}");
    let grows = |pair: &[Duration]| pair[1].as_secs_f64() > pair[0].as_secs_f64() * 0.75;
    assert!(later.windows(2).all(grows), "{later:?}");
    assert!(later.iter().all(|gap| *gap < 70 * MINUTE), "{later:?}");
    assert!(later.last() > Some(&(50 * MINUTE)), "{later:?}");
}

#[test]
fn a_known_task_not_found_is_checked_again_soon() {
    let mut story = Story::with_tasks([task("a").running().created("10:00").due_in("0s")])
        .with_server(SECOND, |_, earlier_polls| {
            Some(if earlier_polls == 0 {
                Err(PollError::NotFound)
            } else {
                running()
            })
        });

    story.advance(5 * MINUTE);

    assert_eq!(story.state_name("a"), "generating");
    assert!(story.poll_count() >= 3, "{}", story.poll_count());
}

#[test]
fn a_lost_check_ignores_its_late_answer() {
    let mut story = Story::with_tasks([due_task("a")]);
    let (polled_task, attempt) = story.open_polls()[0].clone();

    story.advance(LOST_AFTER.saturating_sub(Duration::from_millis(1)));
    assert!(matches!(story.poll_state("a"), PollState::InFlight { .. }));
    story.advance(Duration::from_millis(1));
    let last_error = story.task("a").poll_history.last_error.clone();
    assert_eq!(
        last_error.map(|failed| failed.error),
        Some(PollError::AnswerLost)
    );

    story.send(Msg::Polled {
        task: polled_task,
        attempt,
        answer: Box::new(finished(&[URL])),
        notes: ResponseNotes::default(),
    });
    assert_eq!(story.state_name("a"), "generating");
    story.advance(2 * MINUTE);
    assert!(story.poll_count() > 1, "polled again");
}

#[test]
fn an_answer_with_the_wrong_attempt_is_ignored() {
    let mut story = Story::with_tasks([due_task("a")]);
    let before = story.task("a").clone();

    for attempt in [0, 2, u32::MAX] {
        story.send(Msg::Polled {
            task: id("a"),
            attempt: PollAttempt(attempt),
            answer: Box::new(finished(&[URL])),
            notes: ResponseNotes::default(),
        });
    }

    assert_eq!(*story.task("a"), before);
}

// Account-wide errors and backoff.

#[test]
fn a_rate_limit_is_kept_and_then_probed_once() {
    let mut story = Story::with_tasks(due_tasks(20));
    assert_eq!(story.open_polls().len(), MAX_IN_FLIGHT);
    let polled = story.open_polls().iter().map(|(id, _)| id.to_string());
    let polled: Vec<_> = polled.collect();

    story.answer(&polled[0], rate_limited(60));
    story.answer(&polled[1], running());
    story.answer(&polled[2], rate_limited(3));
    story.answer(&polled[3], offline());
    story.advance(59 * SECOND);

    // Answers to earlier requests do not shorten the backoff.
    assert_eq!(story.poll_count(), 4);
    story.advance(8 * SECOND);
    assert_eq!(story.poll_count(), 5, "one probe");
    let probe = story.open_polls()[0].0.to_string();
    story.answer(&probe, running());
    assert_eq!(story.message(), "The server is responding again.");
    assert_eq!(story.backoff(), None);
    assert!(story.poll_count() > 5, "polling resumes");
}

// F23
#[test]
fn backoffs_grow_and_mark_no_task() {
    let mut story =
        Story::with_tasks(due_tasks(20)).with_server(Duration::from_millis(100), |_, _| {
            Some(Err(PollError::RateLimited {
                code: 429,
                retry_after: None,
            }))
        });

    let backoff_message = |story: &Story| {
        let backoff = story.backoff();
        backoff.map(|backoff| backoff.message(story.now().mono).into_owned())
    };
    story.advance(58 * MINUTE);
    assert_eq!(
        backoff_message(&story).as_deref(),
        Some("too many requests (429)")
    );
    story.advance(4 * MINUTE);
    let limit = "the key's limit may be reached (hourly, daily or total)";
    assert_eq!(backoff_message(&story).as_deref(), Some(limit));
    story.advance(58 * MINUTE);
    assert_eq!(backoff_message(&story).as_deref(), Some(limit));

    let starts = story.poll_starts(None);
    let gaps = gaps(&starts[4..]);
    assert!(starts.len() < 25, "{gaps:?}");
    assert!(gaps.first() < gaps.last(), "{gaps:?}");
    assert!(gaps.iter().all(|gap| *gap <= 16 * MINUTE), "{gaps:?}");
    assert_eq!(story.count_failed_tasks(), 0);
}

#[test]
fn an_inconclusive_probe_keeps_the_backoff() {
    let mut story = Story::with_tasks(due_tasks(20)).with_server(
        Duration::from_millis(100),
        |_, earlier_polls| {
            Some(if earlier_polls == 0 {
                Err(PollError::Maintenance)
            } else {
                server_error()
            })
        },
    );

    story.advance(10 * MINUTE);

    assert!(
        story.poll_count() < 4 + 11,
        "one poll a minute: {}",
        story.poll_count()
    );
}

#[test]
fn a_not_found_answer_lifts_the_backoff() {
    let mut story = Story::with_tasks([due_task("a"), due_task("b")]).with_server(
        Duration::from_millis(100),
        |_, earlier_polls| {
            Some(if earlier_polls == 0 {
                rate_limited(5)
            } else {
                Err(PollError::NotFound)
            })
        },
    );

    story.advance(20 * SECOND);

    assert_eq!(story.backoff(), None);
}

#[test]
fn offline_polls_once_a_minute_and_recovers() {
    let mut story = Story::with_tasks(due_tasks(100))
        .with_server(Duration::from_millis(10), |_, _| Some(offline()));
    story.advance(HOUR);
    let offline_polls = story.poll_count();
    assert!((40..250).contains(&offline_polls), "{offline_polls}");

    let mut story = story.with_server(Duration::from_millis(10), |_, _| Some(running()));
    story.advance(2 * MINUTE);

    assert_eq!(story.backoff(), None);
    let mut later_starts = story.poll_starts(None);
    later_starts.retain(|at| *at > HOUR);
    assert!(max_in_a_second(&later_starts) <= MAX_PER_SECOND);
}

#[test]
fn r_in_a_rate_limit_shows_the_wait() {
    let mut story = Story::with_tasks([due_task("a")]);
    story.answer("a", rate_limited(7));
    story.advance(6 * SECOND);

    while story
        .backoff()
        .is_some_and(|backoff| backoff.until > story.now().mono)
    {
        story.press(&["r"]);
        story.assert_message_starts("Waiting: too many requests (429). Next try in ");
        assert_eq!(story.poll_count(), 1);
        story.advance(Duration::from_millis(100));
    }

    assert!(story.poll_count() <= 2 && story.at >= 7 * SECOND);
}

#[test]
fn r_retries_at_once_when_the_key_is_refused() {
    let mut story = Story::with_tasks([due_task("a")]);
    story.answer("a", Err(PollError::Unauthorized(401)));
    story.advance(2 * SECOND);
    assert_eq!(story.poll_count(), 1);

    story.press(&["r"]);

    assert_eq!(story.poll_count(), 2);
}

#[test]
fn a_backoff_without_tasks_ends_without_wake_up() {
    let mut story = Story::with_tasks([due_task("a")]);
    story.answer("a", rate_limited(30));

    story.press(&["d"]);
    story.advance(2 * MINUTE);

    assert_eq!(story.backoff(), None);
    assert_eq!(next_wakeup(&story.state, story.now()), None);
}

// User actions.

#[test]
fn a_pause_stops_polls_and_r_checks_once() {
    let mut story = Story::with_tasks([due_task("a"), due_task("b")])
        .with_server(SECOND, |_, _| Some(running()));
    story.advance(2 * SECOND);
    let before = story.poll_count();

    story.press(&["p"]);
    story.advance(HOUR);
    assert_eq!(story.poll_count(), before);

    story.press(&["r"]);
    story.advance(HOUR);
    assert_eq!(story.poll_count(), before + 1);

    story.press(&["R"]);
    story.advance(HOUR);
    assert_eq!(story.poll_count(), before + 3);

    story.press(&["p"]);
    story.advance(MINUTE);
    assert!(story.poll_count() > before + 3);
}

// F73
#[test]
fn refreshing_ten_thousand_tasks_is_cheap() {
    let mut story = Story::with_tasks(due_tasks(10_000));
    story.press(&["p"]);

    story.press(&["R", "R", "R"]);

    assert_eq!(
        story.state.poll_queue().requested().len(),
        10_000 - MAX_IN_FLIGHT
    );
}

#[test]
fn every_denied_check_says_why() {
    let mut story = Story::with_tasks([due_task("a")]);
    story.press_for(&["r"], "Already being refreshed.");
    story.press_for(&["R"], "Already being refreshed.");

    let mut story = Story::with_tasks([task("a").ready("5m").created("14:00")]);
    story.press_for(&["R"], "All tasks are finished: nothing to refresh.");

    let mut story = Story::with_tasks([]);
    for (key, reason) in [
        ("r", "No task"),
        ("R", "No tasks yet. Press a to add tasks."),
        ("d", "No task"),
        ("u", "Nothing to undo"),
        ("o", "No task"),
        ("O", "No task"),
        ("Enter", "No task to show"),
    ] {
        story.press(&[key]);
        story.assert_message_starts(reason);
        story.advance(10 * SECOND);
        assert_eq!(story.message(), "", "the message expires");
    }
}

#[test]
fn every_key_without_a_target_says_why() {
    let table = [
        (
            task("a"),
            "No answer yet: nothing to open. Press r to refresh.",
        ),
        (
            task("a").running().created("14:31"),
            "Still generating: nothing to open yet.",
        ),
        (
            task("a").failed("500", "no"),
            "The task failed: nothing to open. Press O to open the input.",
        ),
        (
            task("a").not_found(),
            "Not found on the server: nothing to open.",
        ),
        (
            task("a").unknown("7"),
            "Unknown status from the server: nothing to open.",
        ),
    ];
    for (task, reason) in table {
        let mut story = Story::with_tasks([task]);
        story.press(&["o"]);
        assert_eq!(story.message(), reason);
        story.press_for(&["O"], "The server gave no input link that can be opened.");
        let is_open = |effect: &Effect| matches!(effect, Effect::Open { .. });
        assert_eq!(story.count_effects(is_open), 0);
    }
}

#[test]
fn the_poll_interval_has_limits() {
    let mut story = Story::with_tasks([due_task("a")]);
    for _ in 0..12 {
        story.press(&["+"]);
    }
    assert_eq!(story.state.poll_queue().intervals.young, 2 * SECOND);
    assert!(story.message().ends_with("That is the fastest."));
    for _ in 0..12 {
        story.press(&["-"]);
    }
    assert_eq!(story.state.poll_queue().intervals.young, 2 * MINUTE);
    assert!(story.message().ends_with("That is the slowest."));
}

#[test]
fn a_faster_poll_interval_applies_at_once() {
    let mut story = Story::with_tasks([task("a").running().created("14:00").due_in("60s")])
        .with_server(SECOND, |_, _| Some(running()));

    story.press(&["+", "+", "+"]);
    story.advance(20 * SECOND);

    assert!(story.poll_count() >= 1);
}

#[test]
fn undo_restores_the_order() {
    let mut story = Story::with_tasks(["a", "b", "c", "d"].map(|name| task(name).created("14:30")));
    story.press(&["d", "d", "d"]);
    assert_eq!(
        (story.state.shown(), story.selected()),
        (&[id("d")][..], "d")
    );

    story.press(&["u"]);
    assert_eq!(story.selected(), "c");
    story.press(&["u", "u"]);
    assert_eq!(story.state.shown(), ["a", "b", "c", "d"].map(id));
    story.press_for(&["u"], "Nothing to undo.");
}

#[test]
fn an_undone_removal_is_in_the_journal() {
    let mut story = Story::with_tasks([task("a").ready("5m").created("14:00")]);
    let journal_reads = |story: &Story| {
        story.count_effects(|effect| matches!(effect, Effect::Store(StoreRequest::ReadJournal(_))))
    };
    assert_eq!(journal_reads(&story), 1);

    story.press(&["d", "u"]);

    assert_eq!(story.selected(), "a");
    assert_eq!(journal_reads(&story), 2);
}

#[test]
fn a_late_reply_does_not_stop_a_task_that_answers_again() {
    let mut story = Story::with_tasks([due_task("a")]);
    story.is_disk_slow = true;
    let rejected = PollError::Rejected {
        code: 422,
        message: support::line("no"),
    };
    story.answer("a", Err(rejected));
    assert_eq!(
        story.poll_state("a"),
        PollState::Stopped(StopReason::Rejected)
    );
    story.advance(5 * SECOND);
    story.press(&["r"]);
    story.answer("a", running());

    story.flush_writes();

    assert!(matches!(story.poll_state("a"), PollState::DueAt(_)));
}

#[test]
fn a_failed_undo_can_be_retried() {
    let mut story = Story::with_tasks([task("a").ready("5m").created("14:00")]);
    story.press(&["d"]);
    story.disk_result = Err(StoreError::Full);
    story.press(&["u"]);
    story.assert_message_starts("Nothing was changed: the disk is full");

    story.disk_result = Ok(());
    story.press(&["u"]);

    assert_eq!(story.selected(), "a");
}

fn story_with_five_tasks() -> Story {
    Story::with_tasks(["a", "b", "c", "d", "e"].map(|name| task(name).ready("5m").created("14:30")))
}

#[test]
fn undo_works_before_the_removal_is_written() {
    let mut story = story_with_five_tasks();
    story.press(&["d"]);
    let shown = story.state.shown().to_vec();

    story.is_disk_slow = true;
    story.press(&["d", "u"]);
    story.flush_writes();

    assert_eq!(story.state.shown(), shown);
    assert_eq!(story.message(), "Restored \"b\".");
    // The next undo restores the older removal; then nothing is left.
    story.press(&["u"]);
    story.flush_writes();
    assert_eq!(story.message(), "Restored \"a\".");
    story.press_for(&["u"], "Nothing to undo.");
}

#[test]
fn the_last_pending_removal_is_undone_first() {
    let mut story = story_with_five_tasks();
    story.is_disk_slow = true;
    story.press(&["d", "j", "d", "j", "d", "u", "u"]);
    story.flush_writes();
    assert_eq!(story.state.shown(), ["b", "c", "d", "e"].map(id));

    story.press(&["u"]);
    story.flush_writes();
    assert_eq!(story.state.shown(), ["a", "b", "c", "d", "e"].map(id));
    story.press_for(&["u"], "Nothing to undo.");

    // Removes the same task again; the writes finish between keys.
    story.press_for(&["g", "d", "d"], "Already being removed.");
    story.press(&["u", "d"]);
    story.flush_one();
    story.press(&["j"]);
    story.flush_writes();
    assert_eq!(story.state.shown(), ["b", "c", "d", "e"].map(id));
    story.press(&["u"]);
    story.flush_writes();
    assert_eq!(story.state.shown(), ["a", "b", "c", "d", "e"].map(id));
    story.press_for(&["u"], "Nothing to undo.");
}

#[test]
fn undoing_a_failed_removal_keeps_older_ones() {
    let mut story = story_with_five_tasks();
    story.press(&["d"]);
    story.is_disk_slow = true;
    story.press(&["d", "u"]);

    story.disk_result = Err(StoreError::Full);
    story.flush_one();
    story.disk_result = Ok(());
    story.flush_writes();
    story.assert_message_starts("Nothing was changed: ");
    assert_eq!(story.state.shown(), ["b", "c", "d", "e"].map(id));

    // The same when both writes fail.
    story.press(&["d", "u"]);
    story.disk_result = Err(StoreError::Full);
    story.flush_writes();
    story.disk_result = Ok(());
    story.press(&["u"]);
    story.flush_writes();
    assert_eq!(story.message(), "Restored \"a\".");
}

#[test]
fn an_undo_just_before_quit_is_written() {
    let mut story = story_with_five_tasks();
    story.is_disk_slow = true;
    let effects = story.press(&["d", "u", "q"]);
    let stored = effects.iter().filter_map(|effect| match effect {
        Effect::Store(StoreRequest::Write(changes)) => Some(&changes[0].kind),
        _ => None,
    });
    assert_eq!(
        stored.collect::<Vec<_>>(),
        [&ChangeKind::Remove, &ChangeKind::Restore]
    );
}

#[test]
fn a_restored_task_in_flight_is_checked_again_later() {
    let mut story = Story::with_tasks([due_task("a")]);

    for _ in 0..6 {
        story.press(&["d"]);
        story.press(&["u"]);
    }
    assert_eq!(story.poll_count(), 1);
    story.answer("a", finished(&[URL]));
    story.advance(MINUTE);
    story.answer("a", finished(&[URL]));

    assert!(story.poll_count() > 1, "{}", story.poll_count());
    assert_eq!(story.state_name("a"), "succeeded");
}

#[test]
fn polls_of_removed_tasks_count_as_in_flight() {
    let mut story = Story::with_tasks(due_tasks(20));
    assert_eq!(story.open_polls().len(), 4);

    for name in ["t000", "t001", "t002", "t003"] {
        story.remove_elsewhere(name);
    }
    assert_eq!(story.poll_count(), 4, "all four are still in flight");
    story.answer("t000", running());
    assert_eq!(story.poll_count(), 5);
    story.advance(LOST_AFTER);
    assert_eq!(story.poll_count(), 5 + 4, "lost requests free their slots");
}

#[test]
fn pasted_text_opens_the_add_dialog_everywhere() {
    let screens: [&[&str]; 5] = [&[], &["Enter"], &["?"], &["Enter", "?"], &["o"]];
    for keys in screens {
        let mut story = Story::with_tasks([task("a")
            .finished(
                "5m",
                CallbackStatus::Delivered,
                &[URL, "https://ex.com/2.mp4"],
            )
            .created("14:00")]);
        story.press(keys);
        let before = story.effects.len();

        let pasted = "dddqR\nq\u{1b}\u{3}\nRu 774d9a7dd608a0e49293903095e45a4c a";
        story.send(Msg::Pasted(pasted.into()));

        let Some(Overlay::Add(dialog)) = story.state.overlay() else {
            panic!("the add dialog is not open: {keys:?}");
        };
        let found: Vec<_> = dialog.selected().map(TaskId::as_str).collect();
        assert_eq!(found, ["774d9a7dd608a0e49293903095e45a4c"]);

        assert!(!story.state.is_leaving());
        assert_eq!(story.effects.len(), before);
        assert_eq!(story.state.list().len(), 1);
    }
}

#[test]
fn several_ids_are_added_and_known_ones_named() {
    let [a, b, c] = ["a", "b", "c"].map(|name| name.repeat(32));
    let mut story = Story::with_tasks([task(&a).created("14:30")]);

    story.send(Msg::Pasted(format!("{a}\n{b} {c}")));
    story.press(&["Enter"]);

    assert_eq!(story.state.list().len(), 3);
    assert_eq!(story.message(), "Added 2 tasks.");
    story.send(Msg::Pasted(a));
    story.press(&["Enter"]);
    story.assert_message_starts("Nothing to add");
    // The dialog stays open.
    assert!(matches!(story.state.overlay(), Some(Overlay::Add(_))));
}

// F69
#[test]
fn a_full_disk_refuses_adds_and_keeps_results() {
    let mut story = Story::with_tasks([due_task("a")]);
    story.disk_result = Err(StoreError::Full);
    story.answer("a", finished(&[URL]));
    assert_eq!(story.state_name("a"), "succeeded");
    story.send(Msg::Pasted("b".repeat(32)));
    story.press(&["Enter"]);
    story.assert_message_starts("Nothing was changed: the disk is full");
    assert_eq!(story.state.list().len(), 1);

    // The dialog keeps the ids.
    assert!(matches!(story.state.overlay(), Some(Overlay::Add(_))));

    story.advance(MINUTE);
    story.disk_result = Ok(());
    story.advance(6 * SECOND);
    assert_eq!(story.message(), "The list is saved again.");
    assert!(story.state.write_queue().changes.is_empty());

    story.press(&["Enter"]);
    assert_eq!(story.state.list().len(), 2);
    assert_eq!(story.message(), format!("Added \"{}\".", "b".repeat(32)));
}

#[test]
fn quit_flushes_pending_writes() {
    let mut story = Story::with_tasks([due_task("a")]);
    story.disk_result = Err(StoreError::Busy);
    story.answer("a", finished(&[URL]));

    let effects = story.press(&["q"]);

    let [
        Effect::Store(StoreRequest::Write(changes)),
        Effect::Store(StoreRequest::SaveLastSeen(_)),
        Effect::Quit,
    ] = &effects[..]
    else {
        panic!("{effects:?}");
    };
    assert!(matches!(
        changes[..],
        [ListChange {
            kind: ChangeKind::Checked(_),
            ..
        }]
    ));
}

#[test]
fn keys_after_quit_are_ignored() {
    let mut story = Story::with_tasks([task("a").ready("5m").created("14:00")]);
    story.press(&["q"]);

    let effects = story.press(&["d", "o", "r", "R", "a", "Enter", "u"]);
    story.send(Msg::Pasted("b".repeat(32)));

    assert_eq!(effects, []);
    assert_eq!(story.press(&["Ctrl-C"]).last(), Some(&Effect::Quit));
    assert_eq!(next_wakeup(&story.state, story.now()), None);
}

#[test]
fn a_read_only_list_is_still_polled() {
    let mut story =
        Story::from_program(program().set(|settings| settings.access = AccessMode::ReadOnly));
    story.load([due_task("a")]);

    for key in ["d", "u", "a", "e", "N", "w", "W"] {
        assert_eq!(story.press(&[key]), [], "{key}");
        assert_eq!(story.message(), "The list is read-only (--read-only).");
    }
    story.press(&["p"]);
    story.send(Msg::Pasted("b".repeat(32)));
    assert!(story.state.overlay().is_none());
    assert_eq!(story.message(), "The list is read-only (--read-only).");
    story.press(&["p"]);
    story.answer("a", finished(&[URL]));

    assert_eq!(story.state_name("a"), "succeeded");
    assert_eq!(story.count_writes(), 0);
    let last = story.press(&["q"]);
    assert_eq!(last, [Effect::Quit], "no last-seen time is saved");
}

#[test]
fn a_failed_browser_does_not_close_a_dialog() {
    let mut story = Story::with_tasks([task("a").ready("5m").created("14:00")]);
    let effects = story.press(&["o"]);
    let Some(Effect::Open { task, url, .. }) = effects.into_iter().next() else {
        panic!("no open effect");
    };
    let failed = Msg::Opened {
        task,
        url,
        result: Err("no display".into()),
    };

    story.send(failed.clone());
    assert!(matches!(story.state.overlay(), Some(Overlay::Link(_))));

    story.press(&["Esc", "a"]);
    story.send(failed);
    assert!(matches!(story.state.overlay(), Some(Overlay::Add(_))));
    let link = "https://tempfile.example/r/a.mp4";
    assert!(story.message().contains(link), "{}", story.message());
}

#[test]
fn a_held_key_only_moves() {
    let hold = |story: &mut Story, key| {
        let (chord, is_repeat) = (support::chord(key), true);
        story.send(Msg::Key { chord, is_repeat });
    };
    let mut story = Story::with_tasks(due_tasks(10));
    let before = story.effects.len();
    for key in [
        "d", "u", "r", "R", "p", "+", "-", "o", "O", "a", "?", "q", "Enter",
    ] {
        hold(&mut story, key);
    }
    assert_eq!(story.effects.len(), before);
    assert_eq!(
        (story.state.overlay().is_none(), story.message()),
        (true, "")
    );
    for _ in 0..3 {
        hold(&mut story, "j");
    }
    assert_eq!(story.selected(), "t003");
}

#[test]
fn the_help_scrolls_to_its_measured_end() {
    let scroll = |story: &Story| match story.state.overlay() {
        Some(Overlay::Text {
            page: TextPage::Help,
            scroll,
        }) => Some(*scroll),
        _ => None,
    };
    let mut story = Story::with_tasks([]);
    story.send(support::layout_measured(7));
    story.press(&["?", "G"]);
    assert_eq!(scroll(&story), Some(7));

    story.send(support::layout_measured(3));

    assert_eq!(scroll(&story), Some(3));
    story.press(&["j", "j"]);
    assert_eq!(scroll(&story), Some(3));
}

// Selection and scrolling.

#[test]
fn the_view_and_selection_follow_ids() {
    let mut story = Story::with_tasks((0..60).map(|n| task(&format!("t{n:03}")).created("14:30")));
    resize(&mut story.state, (100, 20));
    for _ in 0..30 {
        story.press(&["j"]);
    }
    let (first, selected) = (story.first_row().to_owned(), story.selected().to_owned());
    assert_ne!((first.as_str(), selected.as_str()), ("t000", "t000"));

    for n in 0..5 {
        let newer = task(&format!("new{n}")).created("14:31").build();
        story.send(support::changed_elsewhere(newer));
        story.remove_elsewhere(&format!("t{:03}", n * 11));
        story.change_elsewhere(task("t059").ready("5m").created("14:00"));
    }
    assert_eq!(
        (story.first_row(), story.selected()),
        (first.as_str(), selected.as_str())
    );

    for tab in ["2", "1"] {
        story.press(&[tab]);
        assert_eq!(
            (story.first_row(), story.selected()),
            (first.as_str(), selected.as_str()),
            "tab {tab}"
        );
    }
    resize(&mut story.state, (100, 12));
    assert_eq!(story.selected(), selected);
    story.press(&["5"]);
    assert_eq!(story.state.shown(), []);
    story.press(&["1"]);
    assert_eq!(story.state.shown().len(), 60);
}

#[test]
fn the_detail_keeps_a_task_that_leaves_the_tab() {
    let mut story = Story::with_tasks(["a", "b", "c"].map(due_task));
    story.press(&["2", "j", "Enter"]);
    assert_eq!(story.selected(), "b");

    story.answer("b", finished(&[URL]));

    assert!(matches!(story.state.screen(), MainScreen::Detail { .. }));
    assert_eq!(story.selected(), "b", "the detail stays with its task");
    story.press(&["Esc"]);
    assert_eq!(story.selected(), "c", "the list selects the neighbour");
}

#[test]
fn the_detail_stays_with_its_task_when_another_is_added() {
    let mut story = Story::with_tasks([task("a").created("14:30")]);
    story.press(&["Enter"]);

    story.send(Msg::Pasted("b".repeat(32)));
    story.press(&["Enter"]);

    assert_eq!(story.state.list().len(), 2);
    assert_eq!(story.selected(), "a");
}

#[test]
fn a_detail_closes_when_its_task_is_removed_externally() {
    let mut story = Story::with_tasks(["a", "b"].map(due_task));
    story.press(&["Enter"]);

    story.remove_elsewhere("a");

    assert_eq!(story.state.screen(), MainScreen::List);
    assert_eq!(story.selected(), "b");
}

// F74
#[test]
fn links_expire_on_their_tab_by_time() {
    let mut story = Story::with_tasks([
        task("expiring").ready("1m").created("2026-04-20T14:40:00Z"),
        task("later").ready("1m").created("2026-04-22T14:50:00Z"),
    ]);
    story.press(&["6"]);
    assert_eq!(story.state.shown(), [id("expiring")]);

    story.advance(15 * MINUTE);
    assert!(story.state.shown().is_empty());
    story.advance(10 * MINUTE);
    assert_eq!(story.state.shown(), [id("later")]);
    assert_eq!(story.selected(), "later");
    assert_eq!(story.state.tab(), Tab::Expiring);
}

// Changes from other instances.

#[test]
fn external_answers_delay_the_next_check() {
    let mut story = Story::with_tasks([task("a")
        .running()
        .created("14:31")
        .checked_ago("20s", 3)
        .due_in("1s")]);

    story.change_elsewhere(task("a").running().created("14:31").checked_ago("0s", 4));
    // The instance that polled last keeps polling every 9 to 11 seconds; this one takes over when
    // no external answer arrives in that time.
    story.advance(12 * SECOND);
    assert_eq!(story.poll_count(), 0);
    story.advance(3 * SECOND);
    assert_eq!(story.poll_count(), 1);
}

#[test]
fn externally_added_tasks_are_checked_later() {
    let mut story = Story::with_tasks([]);
    story.change_elsewhere(task("a").due_in("0s"));
    story.advance(SECOND);
    assert_eq!((story.poll_count(), story.selected()), (0, "a"));

    story.change_elsewhere(task("a").running().created("14:32").checked_ago("0s", 1));
    story.advance(8 * SECOND);

    assert_eq!(story.poll_count(), 0);
}

#[test]
fn an_external_final_state_is_applied_and_reported() {
    let mut story = Story::with_tasks([task("a")
        .label("neon")
        .running()
        .created("14:30")
        .due_in("5s")]);

    story.change_elsewhere(task("a").label("neon").ready("2m").created("14:30"));
    story.advance(HOUR);

    assert_eq!(story.state_name("a"), "succeeded");
    assert_eq!(story.poll_count(), 0);
    assert_eq!(story.count_writes(), 0, "not written twice");
}

#[test]
fn an_unwritten_final_state_survives_external_changes() {
    let mut story = Story::with_tasks([due_task("a")]);
    story.disk_result = Err(StoreError::Full);
    story.answer("a", finished(&[URL]));

    story.change_elsewhere(task("a").label("renamed").running().created("14:30"));

    assert_eq!(story.state_name("a"), "succeeded");
    assert_eq!(story.task("a").title(), "renamed");
    assert_eq!(
        story.poll_state("a"),
        PollState::Stopped(StopReason::Finished)
    );
}

#[test]
fn a_backoff_is_lifted_by_external_success() {
    let rejected = || PollError::Rejected {
        code: 422,
        message: support::line("no"),
    };
    let mut story = Story::with_tasks([due_task("a")]);
    story.answer("a", Err(rejected()));
    assert_eq!(
        story.poll_state("a"),
        PollState::Stopped(StopReason::Rejected)
    );
    story.press_for(
        &["R"],
        "The server rejected the others permanently. Press r to try one of them again.",
    );

    story.advance(SECOND);
    let mut changed = task("a")
        .running()
        .created("14:30")
        .checked_ago("0s", 20)
        .build();
    changed.poll_history.last_ok = Some(story.now().wall);
    story.send(support::changed_elsewhere(changed));
    story.advance(45 * SECOND);

    assert_eq!(story.poll_count(), 2);
}

// Wake-ups.

#[test]
fn an_idle_program_sleeps() {
    let story = Story::with_tasks([]);
    assert_eq!(next_wakeup(&story.state, story.now()), None);

    let mut story = Story::with_tasks([task("a").ready("5m").created("14:00")]);
    story.advance(10 * HOUR);
    assert_eq!(story.poll_count(), 0);
    assert!(
        story.wakeups <= 10 * 60 + 1,
        "wakes once a minute: {}",
        story.wakeups
    );
}

#[test]
fn a_running_clock_wakes_once_a_second_and_a_due_poll_exactly() {
    let mut story = Story::with_tasks([task("a").running().created("14:30").due_in("4s")]);
    let at = next_wakeup(&story.state, story.now());
    assert_eq!(at.map(|at| at.since(story.now().mono)), Some(SECOND));

    story.advance(4 * SECOND);

    assert_eq!(story.poll_starts(Some("a")), [4 * SECOND]);
}

#[test]
fn few_wake_ups_over_hours() {
    let servers: [crate::support::story::FakeServer; 5] = [
        |_, _| Some(running()),
        |_, earlier_polls| {
            Some(if earlier_polls > 20 {
                finished(&[URL])
            } else {
                running()
            })
        },
        |_, _| Some(offline()),
        |_, earlier_polls| {
            if earlier_polls % 3 == 0 {
                None
            } else {
                Some(server_error())
            }
        },
        |_, earlier_polls| {
            Some(if earlier_polls % 2 == 0 {
                rate_limited(u64::MAX)
            } else {
                Err(PollError::NotFound)
            })
        },
    ];
    for (n, server) in servers.into_iter().enumerate() {
        let mut story = Story::with_tasks(due_tasks(8)).with_server(SECOND / 3, server);
        story.advance(3 * HOUR);

        let seconds = 3.0 * 3600.0;
        let polls = f64::from(u32::try_from(story.poll_count()).expect("few"));
        let wakeups = f64::from(u32::try_from(story.wakeups).expect("few"));
        assert!(
            wakeups <= seconds + 2.0 * polls + 100.0,
            "server {n}: {wakeups} for {polls} polls"
        );
        assert!(wakeups <= 2.0 * seconds, "server {n}: {wakeups}");
    }
}
