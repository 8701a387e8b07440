//! Stories of what a hand does with tasks: copying, labelling, raw records, opening where there is no browser, actions
//! by their names, and what is told of endings.

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code: what is not as expected is to fail loudly"
)]

#[path = "support/story.rs"]
mod story;
mod support;

use std::{sync::Arc, time::Duration};

use kietop::{
    app::{
        clip::{Clip, ClipContent, CopyKind},
        keymap::{Action, Context},
        msg::{Effect, Msg, Request},
        pointer::{Gesture, Spot},
        state::{DetailPage, NOTICE_TIME, Overlay, Screen},
        tidings::{Focus, NoticeWay, Tidings, facts},
    },
    domain::{
        change::{Access, Applied, Change, Delta, StoreError},
        memory::Memory,
        record::Record,
        report::{Observation, PollError},
        status::Tab,
        task::Delivery,
        turns::{PutOff, Refusal},
        watched::Notices,
    },
};
use story::{Story, made, not_made, running};
use support::{at, id, press, program, task, type_text};

const URL: &str = "https://tempfile.example/r/new.mp4";

fn made_task() -> support::TaskBuilder {
    task("made")
        .label("harbour")
        .prompt("oil paint\nat dawn")
        .source("https://ex.com/in.mp4")
        .ready("5m")
        .created("14:00")
}

fn clip_of(effects: &[Effect]) -> &Clip {
    let [Effect::Copy(clip)] = effects else {
        panic!("{effects:?}");
    };
    clip
}

fn text_of(effects: &[Effect]) -> (&str, &str) {
    let clip = clip_of(effects);
    let ClipContent::Text(text) = &clip.content else {
        panic!("{clip:?}");
    };
    (&clip.what, text)
}

#[test]
fn each_key_of_the_menu_copies_its_part() {
    for (key, what, text) in [
        ("y", "the id", "made"),
        (
            "u",
            "the result link",
            "https://tempfile.example/r/made.mp4",
        ),
        ("o", "the original's link", "https://ex.com/in.mp4"),
        ("p", "the prompt", "oil paint\nat dawn"),
    ] {
        for screen in [&[][..], &["Enter"]] {
            let mut story = Story::with([made_task()]);
            story.press(screen);

            assert_eq!(story.press(&["y"]), []);
            assert_eq!(story.state.context(), Context::Copy);
            let effects = story.press(&[key]);

            assert_eq!(text_of(&effects), (what, text));
            assert!(story.state.overlay().is_none());
        }
    }
}

#[test]
fn json_and_commands_are_written_elsewhere() {
    let mut story = Story::with([made_task()]);

    let effects = story.press(&["y", "j"]);
    let ClipContent::Records(tasks) = &clip_of(&effects).content else {
        panic!("{effects:?}");
    };
    assert_eq!(
        tasks
            .iter()
            .map(|task| task.id().as_str())
            .collect::<Vec<_>>(),
        ["made"]
    );
    let effects = story.press(&["y", "c"]);
    assert!(matches!(&clip_of(&effects).content, ClipContent::Commands(tasks) if tasks.len() == 1));
}

#[test]
fn several_videos_are_a_line_each_and_the_cursor_chooses_too() {
    let urls = ["https://ex.com/1.mp4", "https://ex.com/2.mp4"];
    let mut story = Story::with([task("a").made("5m", Delivery::Done, &urls).created("14:00")]);

    let effects = story.press(&["y", "Down", "Enter"]);

    assert_eq!(
        text_of(&effects),
        (
            "2 result links",
            "https://ex.com/1.mp4\nhttps://ex.com/2.mp4"
        )
    );
}

#[test]
fn what_is_not_there_is_said_and_the_menu_closes() {
    let mut story = Story::with([task("a").running().created("14:30")]);

    assert_eq!(story.press(&["y", "u"]), []);
    assert_eq!(
        story.said(),
        "Nothing to copy: there is no result link yet."
    );
    assert_eq!(story.state.context(), Context::List);
    assert_eq!(story.press(&["y", "p"]), []);
    assert_eq!(story.said(), "Nothing to copy: the server told no prompt.");
    story.press(&["y", "x"]);
    assert_eq!(
        story.said(),
        "Nothing is copied by x; the menu names the keys."
    );
    assert_eq!(story.state.context(), Context::Copy);
    story.press(&["Esc"]);
    assert_eq!(story.state.context(), Context::List);
    let mut empty = Story::with([]);
    empty.press(&["y"]);
    assert_eq!(empty.said(), "No task to copy from.");
}

fn copied(text: &str, result: Result<&str, &str>) -> Msg {
    Msg::Copied {
        what: "the id".into(),
        text: text.into(),
        result: result.map(String::from).map_err(String::from),
    }
}

#[test]
fn the_message_names_the_way_a_text_went() {
    let mut story = Story::with([made_task()]);

    assert_eq!(story.say(copied("made", Ok("wl-copy"))), []);
    assert_eq!(story.said(), "Copied the id with wl-copy.");

    let effects = story.say(copied("made", Err("no clipboard program was found")));
    assert_eq!(effects, [Effect::Ask(Request::Copy("made".into()))]);
    assert_eq!(
        story.said(),
        "Sent the id to the terminal (OSC 52); not every terminal takes it."
    );

    let huge = "x".repeat(60_000);
    assert_eq!(story.say(copied(&huge, Err("xclip failed (code 1)"))), []);
    assert!(
        story
            .said()
            .starts_with("Not copied: xclip failed (code 1), and 60 kB")
    );
}

#[test]
fn a_label_is_edited_kept_and_taken_away() {
    let mut story = Story::with([made_task()]);

    story.press(&["e"]);
    assert_eq!(story.state.context(), Context::Label);
    story.press(&["Ctrl-U"]);
    story.say(Msg::Pasted("night\u{1b}[2J\nrun q ".into()));
    story.press(&["7", "Enter"]);
    assert_eq!(story.task("made").title(), "night␛[2J run q7");
    assert_eq!(
        story.said(),
        "Now called \"night␛[2J run q7\". u undoes it."
    );
    assert!(story.state.overlay().is_none());

    story.press(&["e", "Ctrl-U", "Enter"]);
    assert_eq!(story.task("made").label, None);
    assert_eq!(story.said(), "The label is gone. u undoes it.");

    story.press(&["u"]);
    assert_eq!(story.task("made").title(), "night␛[2J run q7");
    assert_eq!(story.said(), "Called \"night␛[2J run q7\" again.");
    story.press(&["u"]);
    assert_eq!(story.task("made").title(), "harbour");
    story.press(&["u"]);
    assert_eq!(story.said(), "Nothing to undo.");
    story.press(&["e", "Enter"]);
    assert_eq!(story.said(), "Now called \"harbour\".", "as before");
    story.press(&["u"]);
    assert_eq!(story.said(), "Nothing to undo.");
}

#[test]
fn labels_of_several_tasks_are_taken_back_together_and_in_turn_with_removals() {
    let label = |story: &Story, name| {
        let label = story.task(name).label.clone();
        label.map(|label| label.to_string())
    };
    let mut story = Story::with([
        task("a").ready("5m").created("14:00").label("one"),
        task("b").ready("5m").created("13:00").label("both"),
        task("c").ready("5m").created("12:00"),
    ]);
    story.press(&["*", "e"]);
    story.say(Msg::Pasted("both".into()));
    story.press(&["Enter"]);
    assert_eq!(
        story.said(),
        "3 tasks are now called \"both\". u undoes it."
    );
    story.press(&["Esc", "G", "d"]);
    assert_eq!(story.said(), "Removed \"both\". u undoes it.");

    story.press(&["u"]);
    assert_eq!(story.said(), "Watching again \"both\".");
    story.press(&["u"]);
    assert_eq!(story.said(), "The labels of 2 tasks are as before.");
    assert_eq!(label(&story, "a"), Some("one".into()));
    assert_eq!(label(&story, "b"), Some("both".into()));
    assert_eq!(label(&story, "c"), None);
    story.press(&["u"]);
    assert_eq!(story.said(), "Nothing to undo.");
}

#[test]
fn labels_taken_back_faster_than_the_disk_answers_are_taken_back_once_each() {
    let mut story = Story::with([made_task()]);
    story.press(&["e", "2", "Enter", "e", "3", "Enter"]);

    let orders = press(&mut story.state, &["u", "u"]);
    for order in orders {
        if let Effect::Store(changes) = order {
            let result = Ok(vec![Applied::Noted]);
            story.say(Msg::Stored { changes, result });
        }
    }

    assert_eq!(story.task("made").title(), "harbour");
    assert_eq!(story.said(), "Called \"harbour\" again.");
    story.press(&["u"]);
    assert_eq!(story.said(), "Nothing to undo.");
}

#[test]
fn a_label_is_taken_back_before_the_disk_has_answered() {
    let mut story = Story::with([made_task()]);
    story.press(&["e", "2", "Enter"]);
    story.is_disk_slow = true;
    story.press(&[
        "e", "Ctrl-U", "x", "Enter", "e", "Ctrl-U", "y", "Enter", "u",
    ]);
    while story.flush() {}
    assert_eq!(story.task("made").title(), "x");
    assert_eq!(story.said(), "Called \"x\" again.");

    story.press(&["e", "y", "Enter", "u", "u"]);
    while story.flush() {}
    assert_eq!(story.task("made").title(), "harbour2");
    story.press(&["u"]);
    while story.flush() {}
    assert_eq!(story.task("made").title(), "harbour");
    story.press(&["u"]);
    assert_eq!(story.said(), "Nothing to undo.");
}

#[test]
fn a_label_that_fails_is_not_taken_back() {
    let mut story = Story::with([made_task()]);
    story.press(&["e", "2", "Enter"]);
    story.is_disk_slow = true;
    story.press(&["e", "3", "Enter", "u"]);
    story.disk = Err(StoreError::Full);
    story.flush();
    story.disk = Ok(());
    while story.flush() {}

    assert!(
        story.said().starts_with("Nothing was changed: "),
        "{}",
        story.said()
    );
    assert!(story.state.overlay().is_none());
    assert_eq!(story.task("made").title(), "harbour2");
    story.press(&["u"]);
    while story.flush() {}
    assert_eq!(story.task("made").title(), "harbour");
}

#[test]
fn a_label_whose_return_the_disk_refused_can_be_taken_back_later() {
    let mut story = Story::with([made_task()]);
    story.press(&["e", "2", "Enter"]);
    story.disk = Err(StoreError::Full);
    story.press(&["u"]);
    assert!(story.said().starts_with("Nothing was changed:"));
    assert!(story.state.overlay().is_none());
    assert_eq!(story.task("made").title(), "harbour2");

    story.disk = Ok(());
    story.press(&["u"]);
    assert_eq!(story.task("made").title(), "harbour");
}

#[test]
fn a_label_of_a_task_that_another_instance_removed_stays_away() {
    let mut story = Story::with([made_task()]);
    story.press(&["e", "2", "Enter"]);
    story.say(Msg::ChangedElsewhere(vec![Delta::Gone(id("made"))]));
    story.press(&["u"]);
    assert_eq!(
        story.said(),
        "The label was not brought back: its task is not watched any more."
    );
}

#[test]
fn a_label_the_disk_refused_is_offered_again() {
    let mut story = Story::with([made_task()]);
    story.disk = Err(StoreError::Full);

    story.press(&["e", "2", "Enter"]);

    assert!(
        story.said().starts_with("Nothing was changed:"),
        "{}",
        story.said()
    );
    let Some(Overlay::Label(editor)) = story.state.overlay() else {
        panic!("{:?}", story.state.overlay());
    };
    assert_eq!(
        editor.label().map(|label| label.to_string()),
        Some("harbour2".into())
    );
    assert_eq!(story.task("made").title(), "harbour");
}

#[test]
fn a_read_only_list_takes_no_label_and_no_quiet() {
    let mut story = Story::of(program().set(|settings| settings.access = Access::ReadOnly));
    story.say(Msg::Loaded(Ok(vec![made_task().build()])));
    for key in ["e", "N"] {
        assert_eq!(story.press(&[key]), []);
        assert!(story.said().contains("read-only"), "{key}");
    }
    assert_eq!(story.press(&["q"]), [Effect::Quit], "no visit is noted");
}

#[test]
fn the_raw_record_is_read_once_shown_and_again_after_an_answer() {
    let mut story = Story::with([task("a").running().created("14:30").due_in("1s")]);
    let reads = |effects: &[Effect]| {
        effects
            .iter()
            .filter(|effect| matches!(effect, Effect::ReadRecord(_)))
            .count()
    };

    assert_eq!(
        reads(&story.press(&["Enter"])),
        0,
        "not on the page of facts"
    );
    assert_eq!(reads(&story.press(&["i"])), 1);
    assert!(matches!(
        story.state.screen(),
        Screen::Detail {
            page: DetailPage::Json,
            ..
        }
    ));
    assert_eq!(reads(&story.press(&["j", "k"])), 0);
    story.wait(Duration::from_secs(2));
    let before = story.orders.len();
    story.answer("a", made(&[URL]));
    let after: Vec<_> = story.orders[before..]
        .iter()
        .map(|(_, effect)| effect.clone())
        .collect();
    assert_eq!(reads(&after), 1);
    story.press(&["i"]);
    assert!(matches!(
        story.state.screen(),
        Screen::Detail {
            page: DetailPage::Info,
            ..
        }
    ));
}

#[test]
fn on_the_page_of_the_record_json_is_the_record() {
    let mut story = Story::with([made_task()]);
    story.press(&["i"]);
    let record = Record::read(at("14:05"), "{\"a\":\"\u{202e}x\"}");
    story.say(Msg::RecordRead {
        task: id("made"),
        record: Ok(Some(Arc::new(record))),
    });

    let effects = story.press(&["y", "j"]);

    assert_eq!(
        text_of(&effects),
        ("the raw record", "{\n  \"a\": \"\\u202ex\"\n}")
    );
}

#[test]
fn where_no_browser_starts_the_link_is_shown_and_copied() {
    let mut story = Story::with([made_task()]);
    let effects = story.press(&["o"]);
    let [Effect::Open { task, url, .. }] = &effects[..] else {
        panic!("{effects:?}");
    };
    let (task, url) = (task.clone(), url.clone());

    let result = Err("There is no display here to start a browser on.".into());
    let effects = story.say(Msg::Opened { task, url, result });

    assert_eq!(
        text_of(&effects),
        ("the link", "https://tempfile.example/r/made.mp4")
    );
    let copied = |story: &Story| match story.state.overlay() {
        Some(Overlay::Link(links)) => links.copied.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(copied(&story), None);
    story.say(Msg::Copied {
        what: "the link".into(),
        text: "x".into(),
        result: Ok("wl-copy".into()),
    });
    assert_eq!(
        copied(&story).as_deref(),
        Some("Copied the link with wl-copy.")
    );
}

#[test]
fn where_no_browser_starts_the_links_of_several_come_together() {
    let names = ["a", "b", "c"];
    let mut story = Story::with(names.map(|name| task(name).ready("1m").created("14:00")));
    let opens = story.press(&["*", "o"]);
    assert_eq!(opens.len(), 3);

    let mut copies = Vec::new();
    for effect in opens {
        assert!(story.state.overlay().is_none(), "not before all are known");
        if let Effect::Open { task, url, .. } = effect {
            let result = Err("no display".into());
            copies.extend(story.say(Msg::Opened { task, url, result }));
        }
    }

    let (what, text) = text_of(&copies);
    assert_eq!((what, text.lines().count()), ("3 links", 3));
    assert!(matches!(story.state.overlay(), Some(Overlay::Link(links)) if links.urls.len() == 3));
}

#[test]
fn quit_in_the_palette_leaves_from_the_raw_record_too() {
    for way in [&["i"][..], &["Enter"], &["Enter", "i"], &[]] {
        let mut story = Story::with([made_task()]);
        story.press(way);
        story.press(&[":", "q", "u", "i", "t"]);
        let effects = story.press(&["Enter"]);
        assert!(effects.contains(&Effect::Quit), "{way:?}: {effects:?}");
    }
}

#[test]
fn the_next_task_is_shown_without_a_way_back_to_the_list() {
    let mut story = Story::with([
        task("a").ready("5m").created("14:00"),
        task("b").running().created("13:00"),
        task("c").ready("5m").created("12:00"),
    ]);
    let shown = |story: &Story| story.state.selected().map(|watched| watched.id().clone());
    story.press(&["Enter", "l", "J"]);
    assert_eq!(shown(&story), Some(id("b")));
    assert_eq!(
        story.state.screen(),
        Screen::Detail {
            page: DetailPage::Time,
            scroll: 0
        }
    );
    story.press(&["J", "J"]);
    assert_eq!(shown(&story), Some(id("c")));
    assert_eq!(story.said(), "That is the last task shown.");
    story.press(&["K", "K", "K"]);
    assert_eq!(shown(&story), Some(id("a")));
    assert_eq!(story.said(), "That is the first task shown.");

    // Its place in the tab is taken by the next one when it ends.
    story.press(&["Esc", "2", "Enter"]);
    assert_eq!(shown(&story), Some(id("b")));
    let asked = story.press(&["r"]);
    assert!(
        asked
            .iter()
            .any(|effect| matches!(effect, Effect::Poll { .. }))
    );
    story.press(&["J"]);
    assert_eq!(shown(&story), Some(id("b")));
    assert_eq!(story.said(), "That is the last task shown.");
}

#[test]
fn earlier_filters_come_back_in_the_line() {
    let typed = |story: &Story| match story.state.overlay() {
        Some(Overlay::Filter(line)) => line.input().value().to_owned(),
        other => panic!("{other:?}"),
    };
    let keep = |story: &mut Story, text: &str| {
        story.press(&["/", "Ctrl-U"]);
        type_text(&mut story.state, text);
        story.press(&["Enter"]);
    };
    let mut story = Story::with([made_task()]);
    story.press(&["/", "Ctrl-P", "Ctrl-N"]);
    assert_eq!(typed(&story), "", "there is none yet");
    story.press(&["Esc"]);
    for text in ["harbour", "state:ready", "harbour", ""] {
        keep(&mut story, text);
    }

    story.press(&["/", "x", "Ctrl-P"]);
    assert_eq!(typed(&story), "harbour");
    assert_eq!(story.state.lens().query.to_string(), "harbour");
    story.press(&["Ctrl-P", "Ctrl-P"]);
    assert_eq!(typed(&story), "state:ready", "each is there once");
    story.press(&["Ctrl-N", "Ctrl-N", "Ctrl-N"]);
    assert_eq!(typed(&story), "x", "what was begun is not lost");

    story.press(&["Esc"]);
    for number in 0..30 {
        keep(&mut story, &format!("n{number}"));
    }
    story.press(&["/"]);
    for _ in 0..40 {
        story.press(&["Ctrl-P"]);
    }
    assert_eq!(typed(&story), "n10", "twenty are kept");
}

#[test]
fn the_palette_prefers_names_that_begin_so() {
    let mut story = Story::with([made_task()]);
    for (typed, best) in [
        ("sor", Action::SortMenu),
        ("pau", Action::Pause),
        ("copy res", Action::Copy(CopyKind::Result)),
        ("undo", Action::Undo),
    ] {
        story.press(&[":"]);
        type_text(&mut story.state, typed);
        let Some(Overlay::Palette(palette)) = story.state.overlay() else {
            panic!("the palette");
        };
        assert_eq!(
            palette.chosen().map(|found| found.action),
            Some(best),
            "{typed}"
        );
        story.press(&["Esc"]);
    }
}

#[test]
fn an_answer_stands_its_time_and_news_wait_for_it() {
    let mut story = telling();
    story.press(&["p"]);
    let paused = story.said().to_owned();
    assert!(paused.starts_with("Paused"));
    answer(&mut story, "a", made(&[URL]));
    answer(&mut story, "b", not_made());
    assert_eq!(story.said(), paused);

    story.wait(NOTICE_TIME);

    assert_eq!(story.said(), "2 tasks have ended: 1 ready, 1 failed.");
    story.press(&["m"]);
    assert!(matches!(
        story.state.overlay(),
        Some(Overlay::Messages { .. })
    ));
    let past: Vec<_> = story.state.past().map(|said| said.text.as_str()).collect();
    assert_eq!(past, ["2 tasks have ended: 1 ready, 1 failed.", &paused]);
}

#[test]
fn news_cut_off_at_once_come_again_and_those_read_do_not() {
    for (seconds, comes_again) in [(1, true), (4, false)] {
        let mut story = telling();
        answer(&mut story, "a", made(&[URL]));
        story.wait(Duration::from_secs(seconds));
        story.press(&["p"]);
        story.wait(NOTICE_TIME);
        let said = if comes_again { "\"a\" is ready." } else { "" };
        assert_eq!(story.said(), said, "after {seconds}s");
    }
}

#[test]
fn what_ended_before_this_run_is_no_news() {
    let ended = |name: &str| {
        let ending = task(name).ready("20m").created("14:05").build().task;
        Ok(Observation {
            state: ending.state().clone(),
            facts: ending.facts().clone(),
            raw: "{}".into(),
        })
    };
    let mut story = telling();
    for name in ["a", "b", "c"] {
        answer(&mut story, name, ended(name));
    }

    assert_eq!(story.said(), "3 tasks had ended before: 3 ready.");
    assert_eq!(told(&mut story), [], "no bell, no notice");
    let past: Vec<_> = story.state.past().map(|said| said.text.as_str()).collect();
    assert_eq!(
        past,
        ["3 tasks had ended before: 3 ready.", "\"a\" is ready."],
        "a sum that grows is one"
    );
}

#[test]
fn what_was_seen_to_end_before_one_left_is_not_told_again() {
    // By the server's clock, an hour ahead, it ended after that.
    let mut seen = task("seen").ready("1m").created("14:50").build();
    seen.freshness.last_ok = Some(at("13:50"));
    let mut story = Story::of(program());
    story.say(Msg::Recalled(Ok(Memory {
        visited: Some(at("13:52:07")),
        ..Memory::default()
    })));

    story.say(Msg::Loaded(Ok(vec![seen])));

    assert_eq!(story.said(), "");
}

#[test]
fn a_check_put_off_says_the_truth_of_it() {
    let put_off = |story: &mut Story| {
        let (task, attempt) = story.open().last().cloned().expect("a question");
        let why = Refusal::Elsewhere;
        let wait = Duration::from_secs(2);
        let put_off = PutOff { why, wait };
        story.say(Msg::PutOff {
            task,
            attempt,
            put_off,
        });
    };
    let due = || task("a").running().created("14:30").due_in("0s");

    let mut story = Story::with([due()]);
    story.answer("a", running());
    story.press(&["r"]);
    put_off(&mut story);
    assert_eq!(
        story.said(),
        "It was asked after just now; 2s must lie between."
    );

    let mut story = Story::with([due()]);
    story.answer("a", Err(PollError::NoKey));
    story.press(&["r"]);
    put_off(&mut story);
    assert_eq!(
        story.said(),
        "Held back: no API key is set. Asking again in 2s."
    );

    let mut story = Story::with([task("a").ready("1m").created("14:00")]);
    story.press(&["r"]);
    put_off(&mut story);
    assert!(story.said().starts_with("Another kietop"));
}

#[test]
fn what_was_never_sent_is_not_counted_and_a_refused_key_is_an_answer() {
    let due = || task("a").due_in("0s");
    let rate = |story: &Story| story.state.polls().per_minute(story.now().mono);

    let mut story = Story::with([due()]);
    story.answer("a", Err(PollError::NoKey));
    assert_eq!(rate(&story), 0);
    assert_eq!(story.state.polls().turned_away(&id("a")), None);

    let mut story = Story::with([due()]);
    story.answer("a", Err(PollError::Unauthorized(401)));
    assert_eq!(rate(&story), 1);
    assert_eq!(
        story.state.polls().turned_away(&id("a")),
        Some(story.now().mono)
    );
}

#[test]
fn a_read_only_list_refuses_a_paste_at_once() {
    let mut story = Story::of(program().set(|settings| settings.access = Access::ReadOnly));
    story.say(Msg::Loaded(Ok(vec![made_task().build()])));

    story.say(Msg::Pasted("774d9a7dd608a0e49293903095e45a4c".into()));

    assert!(story.state.overlay().is_none());
    assert!(story.said().contains("read-only"), "{}", story.said());
}

#[test]
fn an_action_is_done_by_its_name() {
    let mut story = Story::with([made_task()]);

    story.press(&[":"]);
    assert_eq!(story.state.context(), Context::Palette);
    type_text(&mut story.state, "paus");
    assert_eq!(story.press(&["Enter"]), []);
    assert!(story.state.polls().is_paused());
    assert!(story.state.overlay().is_none());

    story.press(&[":"]);
    type_text(&mut story.state, "copy result");
    let effects = story.press(&["Enter"]);
    assert_eq!(text_of(&effects).0, "the result link");

    story.press(&[":", "z", "z", "z", "Enter"]);
    assert_eq!(story.said(), "No action is called that.");
    assert_eq!(story.state.context(), Context::Palette);
    story.press(&["Esc"]);
    assert_eq!(story.state.context(), Context::List);
}

#[test]
fn the_palette_has_every_action_and_those_that_fit_come_first() {
    let mut story = Story::with([made_task()]);
    story.press(&["Enter", ":"]);
    let Some(Overlay::Palette(palette)) = story.state.overlay() else {
        panic!("the palette");
    };
    let found = palette.found();

    assert!(found.len() > 30, "{}", found.len());
    let split = found
        .iter()
        .position(|found| !found.is_fitting)
        .expect("some do not fit");
    assert!(found[split..].iter().all(|found| !found.is_fitting));
}

fn point(story: &mut Story, gesture: Gesture, spot: Spot) -> Vec<Effect> {
    story.say(Msg::Pointed { gesture, spot })
}

#[test]
fn a_click_selects_and_a_second_one_opens() {
    let mut story =
        Story::with(["a", "b", "c"].map(|name| task(name).ready("5m").created("14:00")));
    story.press(&["G"]);
    let last = id(story.selected());
    story.press(&["g"]);

    point(&mut story, Gesture::Press, Spot::Task(last.clone()));
    assert_eq!(story.selected(), last.as_str());
    assert_eq!(story.state.screen(), Screen::List);
    point(&mut story, Gesture::Press, Spot::Task(last));
    assert!(matches!(story.state.screen(), Screen::Detail { .. }));
    point(&mut story, Gesture::Press, Spot::Page(DetailPage::Time));
    assert!(matches!(
        story.state.screen(),
        Screen::Detail {
            page: DetailPage::Time,
            ..
        }
    ));
    point(&mut story, Gesture::Press, Spot::Tab(Tab::Failed));
    assert_eq!(story.state.tab(), Tab::Failed);
}

#[test]
fn a_box_takes_clicks_on_its_lines_and_closes_by_one_beside_it() {
    let mut story = Story::with([made_task()]);

    point(&mut story, Gesture::Press, Spot::Hint(Action::CopyMenu));
    let effects = point(&mut story, Gesture::Press, Spot::Choice(3));
    assert_eq!(text_of(&effects).0, "the prompt");

    for key in ["y", "e", "a", ":", "?"] {
        story.press(&[key]);
        point(&mut story, Gesture::Press, Spot::Text);
        assert!(story.state.overlay().is_some(), "{key}");
        point(&mut story, Gesture::WheelDown, Spot::Outside);
        point(&mut story, Gesture::Press, Spot::Outside);
        assert!(story.state.overlay().is_none(), "{key}");
    }
    story.say(Msg::Pasted(
        "1f0c2b6f1d3b4a0c9c1f7c6b5a4e3d21 9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d".into(),
    ));
    let taken = |story: &Story| match story.state.overlay() {
        Some(Overlay::Add(dialog)) => dialog.taken().count(),
        other => panic!("{other:?}"),
    };
    let before = taken(&story);
    point(&mut story, Gesture::Press, Spot::Choice(1));
    assert_eq!(taken(&story), before - 1);
}

#[test]
fn the_wheel_scrolls_and_takes_the_selection_along_only_at_the_edge() {
    let names: Vec<_> = (0..100).map(|n| format!("t{n:02}")).collect();
    let mut story = Story::with(
        names
            .iter()
            .map(|name| task(name).ready("5m").created("14:00")),
    );
    support::resize(&mut story.state, (80, 24));
    let page = usize::from(story.state.size().page);
    story.press(&["g"]);
    for _ in 0..4 {
        story.press(&["j"]);
    }
    let selected = story.selected().to_owned();

    point(&mut story, Gesture::WheelDown, Spot::List);
    assert_eq!(
        (story.state.top(), story.selected()),
        (3, selected.as_str())
    );
    point(&mut story, Gesture::WheelDown, Spot::List);
    assert_eq!((story.state.top(), story.state.position()), (6, Some(6)));
    for _ in 0..100 {
        point(&mut story, Gesture::WheelDown, Spot::List);
    }
    assert_eq!(story.state.top(), 100 - page);
    point(&mut story, Gesture::WheelUp, Spot::Nothing);
    assert_eq!(story.state.top(), 100 - page, "only over the list");
    for _ in 0..100 {
        point(&mut story, Gesture::WheelUp, Spot::List);
    }
    assert_eq!(
        (story.state.top(), story.state.position()),
        (0, Some(page - 1))
    );
}

/// Begins a story in which every way of telling is taken.
fn telling() -> Story {
    let mut story = Story::of(program().set(|settings| {
        settings.notices.ways = NoticeWay::ALL.to_vec();
        settings.notices.command = vec!["tell".into()];
    }));
    let tasks = ["a", "b", "c"].map(|name| {
        task(name)
            .label(name)
            .running()
            .created("14:30")
            .in_flight()
            .build()
    });
    story.say(Msg::Loaded(Ok(tasks.into())));
    story
}

fn answer(story: &mut Story, name: &str, answer: kietop::domain::report::Answer) {
    support::answer(&mut story.state, name, answer);
}

/// Lets time pass and returns what was told in it.
fn told(story: &mut Story) -> Vec<Effect> {
    let before = story.orders.len();
    story.wait(Duration::from_secs(5));
    let told = story.orders[before..]
        .iter()
        .map(|(_, effect)| effect.clone());
    told.filter(|effect| matches!(effect, Effect::Ask(_) | Effect::Announce(_)))
        .collect()
}

#[test]
fn endings_of_a_few_seconds_become_one_notice() {
    let mut story = telling();
    answer(&mut story, "a", made(&[URL]));
    assert_eq!(story.said(), "\"a\" is ready.");
    answer(&mut story, "b", not_made());
    assert_eq!(story.said(), "2 tasks have ended: 1 ready, 1 failed.");

    let told = told(&mut story);

    let [
        Effect::Ask(Request::Ring),
        Effect::Ask(Request::Notify { title, body }),
        Effect::Announce(Tidings {
            shown,
            command,
            facts,
        }),
    ] = &told[..]
    else {
        panic!("{told:?}");
    };
    assert_eq!(title, "2 tasks have ended: 1 ready, 1 failed.");
    assert_eq!(body, "\"a\" is ready. \"b\" failed.");
    assert_eq!(shown.as_ref(), Some(&(title.clone(), body.clone())));
    assert_eq!(command, &["tell"]);
    for fact in [
        ("KIETOP_COUNT", "2"),
        ("KIETOP_TASK", "a\nb"),
        ("KIETOP_STATE", "succeeded\nfailed"),
        ("KIETOP_TITLE", "a\nb"),
        ("KIETOP_URL", "https://tempfile.example/r/new.mp4\n"),
    ] {
        assert!(
            facts.contains(&(fact.0, fact.1.to_owned())),
            "{fact:?} in {facts:?}"
        );
    }
}

#[test]
fn a_command_can_be_started_with_the_facts_of_any_batch() {
    let prompt = "漢字 \n".repeat(3000);
    let error = "it broke ".repeat(2000);
    let url = format!("https://tempfile.example/{}.mp4", "x".repeat(2000));
    for count in [1_usize, 2, 60, 2000] {
        let tasks: Vec<_> = (0..count)
            .map(|n| {
                let id = format!("{n:0>200}");
                let made = task(&id)
                    .prompt(&prompt)
                    .made("5m", Delivery::Done, &[&url])
                    .build();
                let failed = task(&id).prompt(&prompt).failed("500", &error).build();
                if n % 2 == 0 { made } else { failed }
            })
            .collect();
        let tasks: Vec<_> = tasks.iter().collect();

        let facts = facts("They have ended.", &tasks);

        let len: usize = facts
            .iter()
            .map(|(name, value)| name.len() + value.len() + 2)
            .sum();
        assert!(len < 64 * 1024, "{len} bytes for {count}");
        let value = |name| {
            facts
                .iter()
                .find(|(known, _)| *known == name)
                .unwrap()
                .1
                .as_str()
        };
        let told: usize = value("KIETOP_COUNT").parse().unwrap();
        for name in [
            "KIETOP_TASK",
            "KIETOP_STATE",
            "KIETOP_TITLE",
            "KIETOP_URL",
            "KIETOP_ERROR",
        ] {
            assert_eq!(value(name).split('\n').count(), told, "{name}");
        }
        assert!(told >= count.min(20), "{told} of {count}");
        let rest = format!("They have ended. (and {} more, not listed)", count - told);
        let message = if told == count {
            "They have ended."
        } else {
            &rest
        };
        assert_eq!(value("KIETOP_MESSAGE"), message);
    }
}

#[test]
fn whoever_looks_is_shown_no_notice_and_a_quiet_task_is_told_of_nowhere() {
    let mut story = telling();
    story.say(Msg::Focused(Focus::Here));
    answer(&mut story, "a", made(&[URL]));
    let effects = told(&mut story);
    let [Effect::Ask(Request::Ring), Effect::Announce(tidings)] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(tidings.shown, None);

    let mut story = telling();
    story.press(&["g"]);
    let quiet = story.selected().to_owned();
    let effects = story.press(&["N"]);
    assert!(
        matches!(&effects[..], [Effect::Store(changes)] if matches!(changes[..], [Change::Notify { notices: Notices::Off, .. }]))
    );
    assert_eq!(story.task(&quiet).notices, Notices::Off);
    answer(&mut story, &quiet, made(&[URL]));
    assert_eq!(told(&mut story), []);
    story.press(&["N"]);
    assert_eq!(story.task(&quiet).notices, Notices::On);
}

#[test]
fn who_comes_back_hears_what_has_ended_since() {
    let mut story = telling();
    let effects = story.say(Msg::Focused(Focus::Away));
    assert_eq!(effects, [Effect::NoteVisit(story.now().wall)]);
    story.wait(Duration::from_secs(1));
    answer(&mut story, "a", made(&[URL]));
    answer(&mut story, "b", not_made());
    story.at += Duration::from_mins(40);

    story.say(Msg::Focused(Focus::Here));

    assert_eq!(story.said(), "Since you left (40m): +1 ready, +1 failed.");
    let digest = story.state.digest(story.now()).expect("a time away");
    assert_eq!((digest.ready, digest.failed), (1, 1));
}

#[test]
fn a_start_tells_what_has_ended_since_the_last_one() {
    let list = || {
        let tasks = [
            task("old").ready("1m").created("09:00"),
            task("new").ready("1m").created("14:00"),
            task("late").running().created("14:05").in_flight(),
        ];
        Msg::Loaded(Ok(tasks.map(support::TaskBuilder::build).into()))
    };
    let memory = |visited| {
        Msg::Recalled(Ok(Memory {
            visited,
            ..Memory::default()
        }))
    };
    for is_late in [false, true] {
        let mut story = Story::of(program());
        let mut messages = [memory(Some(at("13:52:07"))), list()];
        if is_late {
            messages.reverse();
        }
        for msg in messages {
            story.say(msg);
        }

        assert_eq!(story.said(), "Since you left (40m): +1 ready.");
        // Ended at the server before we were back, heard of after that: it belongs to the time away as well.
        let ending = task("late").ready("20m").created("14:05").build().task;
        let observation = Observation {
            state: ending.state().clone(),
            facts: ending.facts().clone(),
            raw: "{}".into(),
        };
        answer(&mut story, "late", Ok(observation));
        assert_eq!(story.said(), "Since you left (40m): +2 ready.");
    }
    let mut story = Story::of(program());
    story.say(memory(None));
    story.say(list());
    assert_eq!(story.said(), "");
}
