//! Longer stories of the core, told over time: what is asked when, what holds and ends, what stays under the cursor.

#![expect(
    clippy::expect_used,
    reason = "test code: what is not as expected is to fail loudly"
)]

#[path = "stories/finding.rs"]
mod finding;
#[path = "support/story.rs"]
mod story;
mod support;

use std::time::Duration;

use kietop::{
    app::{
        msg::{Effect, Msg},
        state::{Overlay, Screen},
        update::next_wakeup,
    },
    domain::{
        change::{Access, Change, Delta, StoreError},
        noticed::Noticed,
        report::PollError,
        schedule::{Attempt, LOST_AFTER, MOST_IN_FLIGHT, MOST_PER_SECOND, Polling, Stop},
        status::Tab,
    },
};
use story::{Story, limited, made, not_made, offline, running, seen, trouble};
use support::{id, program, resize, task};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const URL: &str = "https://ex.com/1.mp4";

fn due(name: &str) -> support::TaskBuilder {
    task(name).running().created("14:30").due_in("0s")
}

fn many(count: usize) -> impl Iterator<Item = support::TaskBuilder> {
    (0..count).map(|n| due(&format!("t{n:03}")))
}

fn in_any_second(starts: &[Duration]) -> usize {
    let end = |at: Duration| starts.partition_point(|start| *start < at + SECOND);
    let windows = starts.iter().enumerate().map(|(n, at)| end(*at) - n);
    windows.max().unwrap_or_default()
}

// Questions and answers.

#[test]
fn two_hundred_tasks_never_are_a_stampede() {
    let mut story =
        Story::with(many(200)).served(Duration::from_millis(300), |_, _| Some(running()));

    story.wait(5 * MINUTE);

    assert!(story.polls() > 1000, "{}", story.polls());
    assert!(in_any_second(&story.starts(None)) <= MOST_PER_SECOND);
    for n in 0..200 {
        assert!(
            story.starts(Some(&format!("t{n:03}"))).len() >= 4,
            "t{n:03} starves"
        );
    }
}

#[test]
fn slow_answers_never_have_more_than_four_under_way() {
    let mut story = Story::with(many(50)).served(Duration::from_secs(9), |_, _| Some(running()));

    for _ in 0..600 {
        story.wait(SECOND / 2);
        assert!(story.state.list().tally().in_flight <= MOST_IN_FLIGHT);
    }

    assert!(story.polls() > 100);
}

#[test]
fn what_has_ended_is_not_asked_after_by_itself() {
    let mut story = Story::with([due("a"), due("b"), due("c")]).served(SECOND, |task, _| {
        Some(if task.as_str() == "a" {
            made(&[URL])
        } else {
            not_made()
        })
    });

    story.wait(24 * HOUR);

    assert_eq!(story.polls(), 3);
}

#[test]
fn what_has_ended_is_asked_once_when_a_person_wants_it_whatever_the_answer() {
    for answer in [
        trouble,
        offline,
        || limited(7),
        || Err(PollError::TimedOut),
        running,
    ] {
        let mut story = Story::with([task("a").ready("5m").created("14:00")]);

        story.press(&["r"]);
        story.answer("a", answer());
        story.wait(24 * HOUR);

        assert_eq!(story.polls(), 1, "{:?}", answer());
        assert_eq!(story.polling("a"), Polling::Stopped(Stop::Finished));
        assert_eq!(story.name("a"), "succeeded");
        assert_eq!(story.state.polls().hold(), None, "no banner is left over");
    }
}

#[test]
fn a_success_without_a_link_is_asked_after_a_few_times_more_however_long_it_ran() {
    let mut story =
        Story::with([due("a").checked_ago("10s", 40)]).served(SECOND, |_, _| Some(made(&[])));

    story.wait(HOUR);

    assert_eq!(story.polls(), 1 + 5);
    assert_eq!(story.polling("a"), Polling::Stopped(Stop::Finished));
}

#[test]
fn a_link_that_comes_late_is_found() {
    let mut story = Story::with([due("a").checked_ago("10s", 40)]).served(SECOND, |_, turn| {
        Some(made(if turn < 3 { &[] } else { &[URL] }))
    });

    story.wait(HOUR);

    assert_eq!(story.polls(), 4);
    assert_eq!(story.task("a").task.state().videos().count(), 1);
}

#[test]
fn an_unknown_flag_is_shown_and_asked_after_for_ever() {
    let mut story = Story::with([due("a")]).served(SECOND, |_, _| {
        Some(seen(kietop::domain::task::TaskState::Unrecognised))
    });

    story.wait(HOUR);

    assert_eq!(story.name("a"), "unknown");
    assert!(story.polls() > 50, "{}", story.polls());
}

// F18
#[test]
fn a_fresh_id_that_is_not_found_has_its_grace_and_then_is_asked_after_ever_more_rarely() {
    let mut story = Story::with([task("a").added("14:32:07").due_in("0s")])
        .served(SECOND, |_, _| Some(Err(PollError::NotFound)));

    story.wait(85 * SECOND);
    assert_eq!(story.name("a"), "new");

    story.wait(30 * SECOND);
    assert_eq!(story.name("a"), "not_found");

    story.wait(48 * HOUR);
    let starts = story.starts(Some("a"));
    let gaps: Vec<_> = starts
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]))
        .collect();
    let later: Vec<_> = starts
        .iter()
        .zip(&gaps)
        .filter(|(at, _)| **at > 95 * SECOND)
        .map(|(_, gap)| *gap)
        .collect();
    assert!(
        later[0] < 5 * MINUTE,
        "no leap to the longest wait: {later:?}"
    );
    assert!(
        later
            .windows(2)
            .all(|pair| pair[1].as_secs_f64() > pair[0].as_secs_f64() * 0.75),
        "{later:?}"
    );
    assert!(later.iter().all(|gap| *gap < 70 * MINUTE), "{later:?}");
    assert!(
        later.last().is_some_and(|gap| *gap > 50 * MINUTE),
        "{later:?}"
    );
}

#[test]
fn a_known_task_that_is_not_found_for_a_moment_is_asked_after_soon() {
    let mut story = Story::with([task("a").running().created("10:00").due_in("0s")]).served(
        SECOND,
        |_, turn| {
            Some(if turn == 0 {
                Err(PollError::NotFound)
            } else {
                running()
            })
        },
    );

    story.wait(5 * MINUTE);

    assert_eq!(story.name("a"), "generating");
    assert!(story.polls() >= 3, "{}", story.polls());
}

#[test]
fn an_answer_that_never_comes_is_lost_and_its_late_ghost_is_ignored() {
    let mut story = Story::with([due("a")]);
    let (ghost, attempt) = story.open()[0].clone();

    story.wait(LOST_AFTER.saturating_sub(Duration::from_millis(1)));
    assert!(matches!(story.polling("a"), Polling::InFlight { .. }));
    story.wait(Duration::from_millis(1));
    let lost = story.task("a").freshness.last_error.clone();
    assert_eq!(lost.map(|failed| failed.error), Some(PollError::Lost));

    story.say(Msg::Polled {
        task: ghost,
        attempt,
        answer: Box::new(made(&[URL])),
        noticed: Noticed::default(),
    });
    assert_eq!(story.name("a"), "generating");
    story.wait(2 * MINUTE);
    assert!(story.polls() > 1, "asked again");
}

#[test]
fn an_answer_with_the_wrong_number_changes_nothing() {
    let mut story = Story::with([due("a")]);
    let before = story.task("a").clone();

    for number in [0, 2, u32::MAX] {
        story.say(Msg::Polled {
            task: id("a"),
            attempt: Attempt(number),
            answer: Box::new(made(&[URL])),
            noticed: Noticed::default(),
        });
    }

    assert_eq!(*story.task("a"), before);
}

// What the account is told.

#[test]
fn a_rate_limit_is_kept_to_the_second_and_one_probe_tries() {
    let mut story = Story::with(many(20));
    assert_eq!(story.open().len(), MOST_IN_FLIGHT);
    let asked: Vec<_> = story.open().iter().map(|(id, _)| id.to_string()).collect();

    story.answer(&asked[0], limited(60));
    story.answer(&asked[1], running());
    story.answer(&asked[2], limited(3));
    story.answer(&asked[3], offline());
    story.wait(59 * SECOND);

    assert_eq!(
        story.polls(),
        4,
        "good and short answers from before change nothing"
    );
    story.wait(8 * SECOND);
    assert_eq!(story.polls(), 5, "one probe");
    let probe = story.open()[0].0.to_string();
    story.answer(&probe, running());
    assert_eq!(story.said(), "The server answers again.");
    assert_eq!(story.state.polls().hold(), None);
    assert!(story.polls() > 5, "and all goes on");
}

#[test]
fn answers_from_before_a_hold_that_come_after_it_do_not_make_it_grow() {
    let mut story = Story::with(many(20));
    let asked: Vec<_> = story.open().iter().map(|(id, _)| id.to_string()).collect();

    story.answer(&asked[0], limited(1));
    story.wait(5 * SECOND);
    for name in &asked[1..] {
        story.answer(name, limited(1));
    }

    assert!(
        story
            .state
            .polls()
            .hold()
            .is_some_and(|hold| hold.failures == 1)
    );
}

// F23
#[test]
fn holds_grow_and_mark_no_row() {
    let mut story = Story::with(many(20)).served(Duration::from_millis(100), |_, _| {
        Some(Err(PollError::RateLimited {
            code: 429,
            retry_after: None,
        }))
    });

    let said = |story: &Story| {
        let hold = story.state.polls().hold();
        hold.map(|hold| hold.message(story.now().mono).into_owned())
    };
    story.wait(58 * MINUTE);
    assert_eq!(said(&story).as_deref(), Some("asked too often (429)"));
    story.wait(4 * MINUTE);
    let limit = "the limit of this key may be reached (hourly, daily or in all)";
    assert_eq!(said(&story).as_deref(), Some(limit));
    story.wait(58 * MINUTE);
    assert_eq!(said(&story).as_deref(), Some(limit));

    let starts = story.starts(None);
    let gaps: Vec<_> = starts
        .windows(2)
        .skip(4)
        .map(|pair| pair[1].saturating_sub(pair[0]))
        .collect();
    assert!(starts.len() < 25, "{gaps:?}");
    assert!(gaps.first() < gaps.last(), "{gaps:?}");
    assert!(gaps.iter().all(|gap| *gap <= 16 * MINUTE), "{gaps:?}");
    assert!(
        story
            .state
            .list()
            .iter()
            .all(|watched| watched.freshness.failures == 0)
    );
}

#[test]
fn a_probe_that_tells_nothing_lets_the_hold_go_on() {
    let mut story = Story::with(many(20)).served(Duration::from_millis(100), |_, turn| {
        Some(if turn == 0 {
            Err(PollError::Maintenance)
        } else {
            trouble()
        })
    });

    story.wait(10 * MINUTE);

    assert!(story.polls() < 4 + 11, "one a minute: {}", story.polls());
}

#[test]
fn a_server_that_knows_no_such_task_does_answer() {
    let mut story =
        Story::with([due("a"), due("b")]).served(Duration::from_millis(100), |_, turn| {
            Some(if turn == 0 {
                limited(5)
            } else {
                Err(PollError::NotFound)
            })
        });

    story.wait(20 * SECOND);

    assert_eq!(story.state.polls().hold(), None);
}

#[test]
fn an_hour_of_no_network_asks_about_once_a_minute_and_recovers_by_itself() {
    let mut story =
        Story::with(many(100)).served(Duration::from_millis(10), |_, _| Some(offline()));
    story.wait(HOUR);
    let during = story.polls();
    assert!((40..250).contains(&during), "{during}");

    let mut story = story.served(Duration::from_millis(10), |_, _| Some(running()));
    story.wait(2 * MINUTE);

    assert_eq!(story.state.polls().hold(), None);
    let after: Vec<_> = story
        .starts(None)
        .into_iter()
        .filter(|at| *at > HOUR)
        .collect();
    assert!(in_any_second(&after) <= MOST_PER_SECOND);
}

#[test]
fn r_during_a_rate_limit_says_how_long_and_never_shortens_it() {
    let mut story = Story::with([due("a")]);
    story.answer("a", limited(7));
    story.wait(6 * SECOND);

    while story
        .state
        .polls()
        .hold()
        .is_some_and(|hold| hold.until > story.now().mono)
    {
        story.press(&["r"]);
        assert!(
            story
                .said()
                .starts_with("Not now: asked too often (429). Asking again in "),
            "{}",
            story.said()
        );
        assert_eq!(story.polls(), 1);
        story.wait(Duration::from_millis(100));
    }

    assert!(story.polls() <= 2 && story.at >= 7 * SECOND);
}

#[test]
fn r_tries_at_once_when_only_the_network_was_away() {
    let mut story = Story::with([due("a")]);
    story.answer("a", Err(PollError::Unauthorized(401)));
    story.wait(SECOND);
    assert_eq!(story.polls(), 1);

    story.press(&["r"]);

    assert_eq!(story.polls(), 2);
}

#[test]
fn a_hold_with_nothing_left_to_ask_ends_and_wakes_nobody() {
    let mut story = Story::with([due("a")]);
    story.answer("a", limited(30));

    story.press(&["d"]);
    story.wait(2 * MINUTE);

    assert_eq!(story.state.polls().hold(), None);
    assert_eq!(next_wakeup(&story.state, story.now()), None);
}

// What a person does.

#[test]
fn a_pause_asks_nothing_and_r_asks_once() {
    let mut story = Story::with([due("a"), due("b")]).served(SECOND, |_, _| Some(running()));
    story.wait(2 * SECOND);
    let before = story.polls();

    story.press(&["p"]);
    story.wait(HOUR);
    assert_eq!(story.polls(), before);

    story.press(&["r"]);
    story.wait(HOUR);
    assert_eq!(story.polls(), before + 1);

    story.press(&["R"]);
    story.wait(HOUR);
    assert_eq!(story.polls(), before + 3);

    story.press(&["p"]);
    story.wait(MINUTE);
    assert!(story.polls() > before + 3);
}

// F73
#[test]
fn asking_for_ten_thousand_tasks_by_hand_is_no_work_of_its_own() {
    let mut story = Story::with(many(10_000));
    story.press(&["p"]);

    story.press(&["R", "R", "R"]);

    assert_eq!(
        story.state.polls().asked_for().len(),
        10_000 - MOST_IN_FLIGHT
    );
}

#[test]
fn every_refused_check_says_why() {
    let mut story = Story::with([due("a")]);
    story.press(&["r"]);
    assert_eq!(story.said(), "It is being asked after right now.");
    story.press(&["R"]);
    assert_eq!(story.said(), "They are being asked after right now.");

    let mut story = Story::with([task("a").ready("5m").created("14:00")]);
    story.press(&["R"]);
    assert_eq!(
        story.said(),
        "Every task has ended; there is nothing to ask."
    );

    let mut story = Story::with([]);
    for key in ["r", "R", "d", "u", "o", "O", "Enter"] {
        story.press(&[key]);
        assert!(!story.said().is_empty(), "{key} says nothing");
        story.wait(10 * SECOND);
        assert_eq!(story.said(), "", "and not for ever");
    }
}

#[test]
fn every_key_that_opens_nothing_says_why() {
    let table = [
        (
            task("a"),
            "Not answered for yet: nothing to open. r asks now.",
        ),
        (
            task("a").running().created("14:31"),
            "Still being made: nothing to open yet.",
        ),
        (
            task("a").failed("500", "no"),
            "It failed: there is no video. O opens the input.",
        ),
        (
            task("a").not_found(),
            "The server does not know this task: nothing to open.",
        ),
        (
            task("a").unknown("7"),
            "The answer was not understood: nothing to open.",
        ),
    ];
    for (task, reason) in table {
        let mut story = Story::with([task]);
        story.press(&["o"]);
        assert_eq!(story.said(), reason);
        story.press(&["O"]);
        assert_eq!(
            story.said(),
            "The server named no input video that can be opened."
        );
        assert!(
            !story
                .orders
                .iter()
                .any(|(_, effect)| matches!(effect, Effect::Open { .. }))
        );
    }
}

#[test]
fn the_pace_has_a_floor_and_a_ceiling_and_says_so() {
    let mut story = Story::with([due("a")]);
    for _ in 0..12 {
        story.press(&["+"]);
    }
    assert_eq!(story.state.polls().pace().young, 2 * SECOND);
    assert!(
        story.said().ends_with("That is the limit."),
        "{}",
        story.said()
    );
    for _ in 0..12 {
        story.press(&["-"]);
    }
    assert_eq!(story.state.polls().pace().young, 2 * MINUTE);
    assert!(
        story.said().ends_with("That is the limit."),
        "{}",
        story.said()
    );
}

#[test]
fn a_faster_pace_counts_at_once() {
    let mut story = Story::with([task("a").running().created("14:00").due_in("60s")])
        .served(SECOND, |_, _| Some(running()));

    story.press(&["+", "+", "+"]);
    story.wait(20 * SECOND);

    assert!(story.polls() >= 1);
}

#[test]
fn a_removal_comes_back_in_the_order_it_went() {
    let mut story = Story::with(["a", "b", "c", "d"].map(|name| task(name).created("14:30")));
    story.press(&["d", "d", "d"]);
    assert_eq!(story.state.shown(), [id("d")]);

    story.press(&["u"]);
    assert_eq!(story.selected(), "c");
    story.press(&["u", "u"]);
    assert_eq!(story.state.shown(), ["a", "b", "c", "d"].map(id));
    story.press(&["u"]);
    assert_eq!(story.said(), "Nothing to undo.");
}

#[test]
fn an_undo_that_the_disk_refuses_can_be_tried_again() {
    let mut story = Story::with([task("a").ready("5m").created("14:00")]);
    story.press(&["d"]);
    story.disk = Err(StoreError::Full);
    story.press(&["u"]);
    assert!(
        story
            .said()
            .starts_with("Nothing was changed: the disk is full"),
        "{}",
        story.said()
    );

    story.disk = Ok(());
    story.press(&["u"]);

    assert_eq!(story.selected(), "a");
}

fn five() -> Story {
    Story::with(["a", "b", "c", "d", "e"].map(|name| task(name).ready("5m").created("14:30")))
}

fn flush(story: &mut Story) {
    while story.flush() {}
}

#[test]
fn an_undo_before_the_disk_has_answered_undoes_that_removal() {
    let mut story = five();
    story.press(&["d"]);
    let shown = story.state.shown().to_vec();

    story.is_disk_slow = true;
    story.press(&["d", "u"]);
    flush(&mut story);

    assert_eq!(story.state.shown(), shown);
    assert_eq!(story.said(), "Watching again \"b\".");
    // The older one is next, and then there is none.
    story.press(&["u"]);
    flush(&mut story);
    assert_eq!(story.said(), "Watching again \"a\".");
    story.press(&["u"]);
    assert_eq!(story.said(), "Nothing to undo.");
}

#[test]
fn of_several_removals_under_way_the_last_is_undone_first() {
    let mut story = five();
    story.is_disk_slow = true;
    story.press(&["d", "j", "d", "j", "d", "u", "u"]);
    flush(&mut story);
    assert_eq!(story.state.shown(), ["b", "c", "d", "e"].map(id));

    story.press(&["u"]);
    flush(&mut story);
    assert_eq!(story.state.shown(), ["a", "b", "c", "d", "e"].map(id));
    story.press(&["u"]);
    assert_eq!(story.said(), "Nothing to undo.");

    // The same task again, and one after the other answered in between.
    story.press(&["g", "d", "d"]);
    assert_eq!(story.said(), "Already being removed.");
    story.press(&["u", "d"]);
    story.flush();
    story.press(&["j"]);
    flush(&mut story);
    assert_eq!(story.state.shown(), ["b", "c", "d", "e"].map(id));
    story.press(&["u"]);
    flush(&mut story);
    assert_eq!(story.state.shown(), ["a", "b", "c", "d", "e"].map(id));
    story.press(&["u"]);
    assert_eq!(story.said(), "Nothing to undo.");
}

#[test]
fn an_undo_of_a_removal_that_fails_undoes_no_older_one() {
    let mut story = five();
    story.press(&["d"]);
    story.is_disk_slow = true;
    story.press(&["d", "u"]);

    story.disk = Err(StoreError::Full);
    story.flush();
    story.disk = Ok(());
    flush(&mut story);
    assert!(
        story.said().starts_with("Nothing was changed: "),
        "{}",
        story.said()
    );
    assert_eq!(story.state.shown(), ["b", "c", "d", "e"].map(id));

    // Nor when both fail.
    story.press(&["d", "u"]);
    story.disk = Err(StoreError::Full);
    flush(&mut story);
    story.disk = Ok(());
    story.press(&["u"]);
    flush(&mut story);
    assert_eq!(story.said(), "Watching again \"a\".");
}

#[test]
fn what_is_undone_and_left_in_one_go_is_ordered_before_the_end() {
    let mut story = five();
    story.is_disk_slow = true;
    let orders = story.press(&["d", "u", "q"]);
    let stored: Vec<_> = orders
        .iter()
        .filter_map(|order| {
            if let Effect::Store(changes) = order {
                changes.first()
            } else {
                None
            }
        })
        .collect();
    assert!(
        matches!(stored[..], [Change::Remove { .. }, Change::Restore { .. }]),
        "{stored:?}"
    );
}

#[test]
fn a_task_removed_and_brought_back_while_asked_after_is_not_asked_twice() {
    let mut story = Story::with([due("a")]);

    for _ in 0..6 {
        story.press(&["d"]);
        story.press(&["u"]);
    }
    assert_eq!(story.polls(), 1);
    story.answer("a", made(&[URL]));

    assert_eq!(story.name("a"), "succeeded", "and its answer counts");
}

#[test]
fn removed_tasks_do_not_make_room_for_more_than_four_questions() {
    let mut story = Story::with(many(20));
    assert_eq!(story.open().len(), 4);

    for name in ["t000", "t001", "t002", "t003"] {
        story.say(Msg::ChangedElsewhere(vec![Delta::Gone(id(name))]));
    }
    assert_eq!(story.polls(), 4, "all four are still under way");
    let gone = story.open()[0].clone();
    story.say(Msg::Polled {
        task: gone.0,
        attempt: gone.1,
        answer: Box::new(running()),
        noticed: Noticed::default(),
    });
    assert_eq!(story.polls(), 5);
    story.wait(LOST_AFTER);
    assert_eq!(story.polls(), 5 + 4, "and what is lost makes room");
}

#[test]
fn pasted_text_opens_the_dialog_everywhere_and_is_no_command() {
    let screens: [&[&str]; 5] = [&[], &["Enter"], &["?"], &["Enter", "?"], &["o"]];
    for keys in screens {
        let mut story = Story::with([task("a")
            .made(
                "5m",
                kietop::domain::task::Delivery::Done,
                &[URL, "https://ex.com/2.mp4"],
            )
            .created("14:00")]);
        story.press(keys);
        let before = story.orders.len();

        story.say(Msg::Pasted("dddqR\nq\u{1b}\u{3}".into()));

        assert!(
            matches!(story.state.overlay(), Some(Overlay::Add(_))),
            "{keys:?}"
        );
        assert!(!story.state.is_leaving());
        assert_eq!(story.orders.len(), before);
        assert_eq!(story.state.list().len(), 1);
    }
}

#[test]
fn several_ids_are_added_and_the_known_are_named() {
    let [a, b, c] = ["a", "b", "c"].map(|name| name.repeat(32));
    let mut story = Story::with([task(&a).created("14:30")]);

    story.say(Msg::Pasted(format!("{a}\n{b} {c}")));
    story.press(&["Enter"]);

    assert_eq!(story.state.list().len(), 3);
    assert_eq!(story.said(), "Watching 2 tasks.");
    story.say(Msg::Pasted(a));
    story.press(&["Enter"]);
    assert!(
        story.said().starts_with("Nothing to add"),
        "{}",
        story.said()
    );
    assert!(
        matches!(story.state.overlay(), Some(Overlay::Add(_))),
        "it stays open"
    );
}

// F69
#[test]
fn a_disk_that_is_full_refuses_adds_and_keeps_endings() {
    let mut story = Story::with([due("a")]);
    story.disk = Err(StoreError::Full);
    story.answer("a", made(&[URL]));
    assert_eq!(story.name("a"), "succeeded");
    story.say(Msg::Pasted("b".repeat(32)));
    story.press(&["Enter"]);
    assert!(
        story
            .said()
            .starts_with("Nothing was changed: the disk is full"),
        "{}",
        story.said()
    );
    assert_eq!(story.state.list().len(), 1);

    assert!(
        matches!(story.state.overlay(), Some(Overlay::Add(_))),
        "the ids are not lost"
    );

    story.wait(MINUTE);
    story.disk = Ok(());
    story.wait(6 * SECOND);
    assert_eq!(story.said(), "The list is saved again.");
    assert!(story.state.unsaved().changes.is_empty());

    story.press(&["Enter"]);
    assert_eq!(story.state.list().len(), 2);
    assert_eq!(story.said(), format!("Watching \"{}\".", "b".repeat(32)));
}

#[test]
fn leaving_tries_to_write_what_waits() {
    let mut story = Story::with([due("a")]);
    story.disk = Err(StoreError::Busy);
    story.answer("a", made(&[URL]));

    let effects = story.press(&["q"]);

    let [Effect::Store(changes), Effect::NoteVisit(_), Effect::Quit] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert!(matches!(changes[..], [Change::Observed { .. }]));
}

#[test]
fn what_is_typed_behind_a_quit_is_no_order() {
    let mut story = Story::with([task("a").ready("5m").created("14:00")]);
    story.press(&["q"]);

    let effects = story.press(&["d", "o", "r", "R", "a", "Enter", "u"]);
    story.say(Msg::Pasted("b".repeat(32)));

    assert_eq!(effects, []);
    assert_eq!(story.press(&["Ctrl-C"]).last(), Some(&Effect::Quit));
    assert_eq!(next_wakeup(&story.state, story.now()), None);
}

#[test]
fn a_list_that_may_not_be_changed_says_so_and_asks_all_the_same() {
    let mut story = Story::of(program().set(|settings| settings.access = Access::ReadOnly));
    story.say(Msg::Loaded(Ok(vec![due("a").build()])));

    for keys in [&["d"][..], &["u"], &["a"]] {
        story.press(keys);
        assert_eq!(story.said(), "The list is read-only (--read-only).");
    }
    story.say(Msg::Pasted("b".repeat(32)));
    story.press(&["Enter"]);
    assert_eq!(story.said(), "The list is read-only (--read-only).");
    story.press(&["Esc"]);
    story.answer("a", made(&[URL]));

    assert_eq!(story.name("a"), "succeeded");
    assert!(
        !story
            .orders
            .iter()
            .any(|(_, effect)| matches!(effect, Effect::Store(_)))
    );
}

#[test]
fn a_browser_that_cannot_start_shows_the_link_but_takes_no_dialog_away() {
    let mut story = Story::with([task("a").ready("5m").created("14:00")]);
    let effects = story.press(&["o"]);
    let Some(Effect::Open { task, url, .. }) = effects.into_iter().next() else {
        panic!("one video opens at once");
    };
    let failed = Msg::Opened {
        task,
        url,
        result: Err("no display".into()),
    };

    story.say(failed.clone());
    assert!(matches!(story.state.overlay(), Some(Overlay::Link(_))));

    story.press(&["Esc", "a"]);
    story.say(failed);
    assert!(matches!(story.state.overlay(), Some(Overlay::Add(_))));
    assert!(
        story.said().contains("https://tempfile.example/r/a.mp4"),
        "{}",
        story.said()
    );
}

#[test]
fn a_held_key_moves_and_does_nothing_else() {
    let mut story = Story::with(many(10));
    let before = story.orders.len();
    for key in [
        "d", "u", "r", "R", "p", "+", "-", "o", "O", "a", "?", "q", "Enter",
    ] {
        story.say(Msg::Key {
            chord: support::chord(key),
            is_repeat: true,
        });
    }
    assert_eq!(story.orders.len(), before);
    assert_eq!((story.state.overlay().is_none(), story.said()), (true, ""));
    for _ in 0..3 {
        story.say(Msg::Key {
            chord: support::chord("j"),
            is_repeat: true,
        });
    }
    assert_eq!(story.selected(), "t003");
}

#[test]
fn the_help_scrolls_as_far_as_was_measured() {
    let mut story = Story::with([]);
    story.say(Msg::Measured {
        most_scroll: 7,
        room: None,
    });
    story.press(&["?", "G"]);
    assert!(matches!(
        story.state.overlay(),
        Some(Overlay::Help { scroll: 7 })
    ));

    story.say(Msg::Measured {
        most_scroll: 3,
        room: None,
    });

    assert!(matches!(
        story.state.overlay(),
        Some(Overlay::Help { scroll: 3 })
    ));
    story.press(&["j", "j"]);
    assert!(matches!(
        story.state.overlay(),
        Some(Overlay::Help { scroll: 3 })
    ));
}

// What is under the cursor.

#[test]
fn first_row_and_selection_stay_by_id_whatever_comes_and_goes() {
    let mut story = Story::with((0..60).map(|n| task(&format!("t{n:03}")).created("14:30")));
    resize(&mut story.state, (100, 20));
    for _ in 0..30 {
        story.press(&["j"]);
    }
    let (first, selected) = (story.first_row().to_owned(), story.selected().to_owned());
    assert_ne!((first.as_str(), selected.as_str()), ("t000", "t000"));

    for n in 0..5 {
        let newer = task(&format!("new{n}")).created("14:31").build();
        story.say(Msg::ChangedElsewhere(vec![Delta::Changed(Box::new(newer))]));
        story.say(Msg::ChangedElsewhere(vec![Delta::Gone(id(&format!(
            "t{:03}",
            n * 11
        )))]));
        story.say(Msg::ChangedElsewhere(vec![Delta::Changed(Box::new(
            task("t059").ready("5m").created("14:00").build(),
        ))]));
    }
    assert_eq!(
        (story.first_row(), story.selected()),
        (first.as_str(), selected.as_str())
    );

    story.press(&["2"]);
    assert_eq!(
        (story.first_row(), story.selected()),
        (first.as_str(), selected.as_str()),
        "on another tab"
    );
    story.press(&["1"]);
    assert_eq!(
        (story.first_row(), story.selected()),
        (first.as_str(), selected.as_str()),
        "and back"
    );
}

#[test]
fn the_detail_stays_with_its_task_when_that_leaves_the_tab() {
    let mut story = Story::with(["a", "b", "c"].map(due));
    story.press(&["2", "j", "Enter"]);
    assert_eq!(story.selected(), "b");

    story.answer("b", made(&[URL]));

    assert!(matches!(story.state.screen(), Screen::Detail { .. }));
    assert_eq!(story.selected(), "b", "nobody else under the same keys");
    story.press(&["Esc"]);
    assert_eq!(
        story.selected(),
        "c",
        "back in the list the neighbour is next"
    );
}

#[test]
fn the_detail_stays_with_its_task_when_another_is_added() {
    let mut story = Story::with([task("a").created("14:30")]);
    story.press(&["Enter"]);

    story.say(Msg::Pasted("b".repeat(32)));
    story.press(&["Enter"]);

    assert_eq!(story.state.list().len(), 2);
    assert_eq!(story.selected(), "a");
}

#[test]
fn a_detail_whose_task_is_removed_elsewhere_closes() {
    let mut story = Story::with(["a", "b"].map(due));
    story.press(&["Enter"]);

    story.say(Msg::ChangedElsewhere(vec![Delta::Gone(id("a"))]));

    assert_eq!(story.state.screen(), Screen::List);
    assert_eq!(story.selected(), "b");
}

// F74
#[test]
fn links_come_to_their_last_days_and_die_on_their_tab_by_time_alone() {
    let mut story = Story::with([
        task("dies").ready("1m").created("2026-04-20T14:40:00Z"),
        task("comes").ready("1m").created("2026-04-22T14:50:00Z"),
    ]);
    story.press(&["6"]);
    assert_eq!(story.state.shown(), [id("dies")]);

    story.wait(15 * MINUTE);
    assert!(story.state.shown().is_empty());
    story.wait(10 * MINUTE);
    assert_eq!(story.state.shown(), [id("comes")]);
    assert_eq!(story.selected(), "comes");
    assert_eq!(story.state.tab(), Tab::Expiring);
}

// Other instances.

#[test]
fn what_another_instance_answered_for_is_not_asked_again_at_once() {
    let mut story = Story::with([task("a")
        .running()
        .created("14:31")
        .checked_ago("20s", 3)
        .due_in("1s")]);

    let news = task("a")
        .running()
        .created("14:31")
        .checked_ago("0s", 4)
        .build();
    story.say(Msg::ChangedElsewhere(vec![Delta::Changed(Box::new(news))]));
    // Whoever asked last goes on asking, every 9 to 11 seconds; this one comes in when that does not come.
    story.wait(12 * SECOND);
    assert_eq!(story.polls(), 0);
    story.wait(3 * SECOND);
    assert_eq!(story.polls(), 1);
}

#[test]
fn what_another_instance_adds_is_left_to_it_for_a_moment() {
    let mut story = Story::with([]);
    let new = task("a").due_in("0s").build();
    story.say(Msg::ChangedElsewhere(vec![Delta::Changed(Box::new(new))]));
    story.wait(SECOND);
    assert_eq!((story.polls(), story.selected()), (0, "a"));

    let answered = task("a")
        .running()
        .created("14:32")
        .checked_ago("0s", 1)
        .build();
    story.say(Msg::ChangedElsewhere(vec![Delta::Changed(Box::new(
        answered,
    ))]));
    story.wait(8 * SECOND);

    assert_eq!(story.polls(), 0);
}

#[test]
fn an_ending_seen_by_another_instance_ends_it_here_and_is_said() {
    let mut story = Story::with([task("a")
        .label("neon")
        .running()
        .created("14:30")
        .due_in("5s")]);

    let news = task("a").label("neon").ready("2m").created("14:30").build();
    story.say(Msg::ChangedElsewhere(vec![Delta::Changed(Box::new(news))]));
    story.wait(HOUR);

    assert_eq!(story.name("a"), "succeeded");
    assert_eq!(story.polls(), 0);
    assert!(
        story
            .orders
            .iter()
            .all(|(_, effect)| !matches!(effect, Effect::Store(_))),
        "not written twice"
    );
}

#[test]
fn an_ending_not_yet_written_down_survives_what_another_instance_writes() {
    let mut story = Story::with([due("a")]);
    story.disk = Err(StoreError::Full);
    story.answer("a", made(&[URL]));

    let older = task("a")
        .label("renamed")
        .running()
        .created("14:30")
        .build();
    story.say(Msg::ChangedElsewhere(vec![Delta::Changed(Box::new(older))]));

    assert_eq!(story.name("a"), "succeeded");
    assert_eq!(story.task("a").title(), "renamed");
    assert_eq!(story.polling("a"), Polling::Stopped(Stop::Finished));
}

#[test]
fn a_refusal_that_another_instance_saw_lifted_is_lifted_here() {
    let refused = || PollError::Refused {
        code: 422,
        message: support::line("no"),
    };
    let mut story = Story::with([due("a")]);
    story.answer("a", Err(refused()));
    assert_eq!(story.polling("a"), Polling::Stopped(Stop::Refused));
    story.press(&["R"]);
    assert_eq!(
        story.said(),
        "The server refuses the rest. r asks after one of them once again."
    );

    story.wait(SECOND);
    let mut news = task("a")
        .running()
        .created("14:30")
        .checked_ago("0s", 20)
        .build();
    news.freshness.last_ok = Some(story.now().wall);
    story.say(Msg::ChangedElsewhere(vec![Delta::Changed(Box::new(news))]));
    story.wait(45 * SECOND);

    assert_eq!(story.polls(), 2);
}

// Waking.

#[test]
fn an_idle_program_sleeps() {
    let story = Story::with([]);
    assert_eq!(next_wakeup(&story.state, story.now()), None);

    let mut story = Story::with([task("a").ready("5m").created("14:00")]);
    story.wait(10 * HOUR);
    assert_eq!(story.polls(), 0);
    assert!(
        story.wakeups <= 10 * 60 + 1,
        "a minute at a time: {}",
        story.wakeups
    );
}

#[test]
fn a_running_clock_wakes_once_a_second_and_a_due_poll_exactly() {
    let mut story = Story::with([task("a").running().created("14:30").due_in("4s")]);
    let at = next_wakeup(&story.state, story.now());
    assert_eq!(at.map(|at| at.since(story.now().mono)), Some(SECOND));

    story.wait(4 * SECOND);

    assert_eq!(story.starts(Some("a")), [4 * SECOND]);
}

#[test]
fn wake_ups_are_few_over_hours() {
    let servers: [story::Server; 5] = [
        |_, _| Some(running()),
        |_, turn| Some(if turn > 20 { made(&[URL]) } else { running() }),
        |_, _| Some(offline()),
        |_, turn| if turn % 3 == 0 { None } else { Some(trouble()) },
        |_, turn| {
            Some(if turn % 2 == 0 {
                limited(u64::MAX)
            } else {
                Err(PollError::NotFound)
            })
        },
    ];
    for (n, server) in servers.into_iter().enumerate() {
        let mut story = Story::with(many(8)).served(SECOND / 3, server);
        story.wait(3 * HOUR);

        let seconds = 3.0 * 3600.0;
        let polls = f64::from(u32::try_from(story.polls()).expect("few"));
        let wakeups = f64::from(u32::try_from(story.wakeups).expect("few"));
        assert!(
            wakeups <= seconds + 2.0 * polls + 100.0,
            "server {n}: {wakeups} for {polls} polls"
        );
        assert!(wakeups <= 2.0 * seconds, "server {n}: {wakeups}");
    }
}
