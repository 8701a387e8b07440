//! Scenario tests of user actions: copying, labels, raw records, opening without a browser, the
//! palette, the mouse and notifications.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use kietop::{
    app::{
        copy_payload::{CopyContent, CopyKind, CopyPayload},
        keymap::{Action, KeyContext},
        mouse::{HitTarget, MouseAction},
        msg::{Effect, Msg, TerminalRequest},
        notifications::{Notification, NotifyChannel, TerminalFocus, command_variables},
        state::{DetailPage, MESSAGE_TIME, MainScreen, MenuChoice, Overlay},
    },
    domain::{
        list_change::{ChangeKind, ListChange, StoreError},
        poll_request::{Denied, DenyReason},
        poll_result::{Observation, PollError, PollResult},
        raw_response::RawResponse,
        saved_session::SavedSession,
        status::Tab,
        store_request::StoreRequest,
        task::CallbackStatus,
        watched_task::NotifySetting,
    },
};

use crate::support::story::{Story, failed_generation, finished, running};
use crate::support::{self, at, id, program, task};

const URL: &str = "https://tempfile.example/r/new.mp4";

fn finished_task() -> support::TaskBuilder {
    task("made")
        .label("harbour")
        .prompt("oil paint\nat dawn")
        .source("https://ex.com/in.mp4")
        .ready("5m")
        .created("14:00")
}

fn copy_payload(effects: &[Effect]) -> &CopyPayload {
    let [Effect::Copy(payload)] = effects else {
        panic!("{effects:?}");
    };
    payload
}

fn copied_text(effects: &[Effect]) -> (&str, &str) {
    let payload = copy_payload(effects);
    let CopyContent::Text(text) = &payload.content else {
        panic!("{payload:?}");
    };
    (&payload.name, text)
}

#[test]
fn each_copy_menu_key_copies_its_field() {
    for (key, name, text) in [
        ("y", "the id", "made"),
        (
            "u",
            "the result link",
            "https://tempfile.example/r/made.mp4",
        ),
        ("o", "the input link", "https://ex.com/in.mp4"),
        ("p", "the prompt", "oil paint\nat dawn"),
    ] {
        for screen in [&[][..], &["Enter"]] {
            let mut story = Story::with_tasks([finished_task()]);
            story.press(screen);

            assert_eq!(story.press(&["y"]), []);
            assert_eq!(story.state.context(), KeyContext::Copy);
            let effects = story.press(&[key]);

            assert_eq!(copied_text(&effects), (name, text));
            assert!(story.state.overlay().is_none());
        }
    }
}

#[test]
fn json_and_commands_are_copied_by_the_exporter() {
    let mut story = Story::with_tasks([finished_task()]);

    let effects = story.press(&["y", "j"]);
    let CopyContent::TasksAsJson(tasks) = &copy_payload(&effects).content else {
        panic!("{effects:?}");
    };
    assert!(matches!(&tasks[..], [task] if task.id().as_str() == "made"));
    let effects = story.press(&["y", "c"]);
    assert!(
        matches!(&copy_payload(&effects).content, CopyContent::TasksAsCurl(tasks) if tasks.len() == 1)
    );
}

#[test]
fn several_videos_have_a_line_each() {
    let urls = ["https://ex.com/1.mp4", "https://ex.com/2.mp4"];
    let mut story = Story::with_tasks([task("a")
        .finished("5m", CallbackStatus::Delivered, &urls)
        .created("14:00")]);

    let effects = story.press(&["y", "Down", "Enter"]);

    assert_eq!(
        copied_text(&effects),
        (
            "2 result links",
            "https://ex.com/1.mp4\nhttps://ex.com/2.mp4"
        )
    );
}

#[test]
fn copying_a_missing_field_says_so_and_closes() {
    let mut story = Story::with_tasks([task("a").running().created("14:30")]);

    assert_eq!(story.press(&["y", "u"]), []);
    assert_eq!(story.message(), "Nothing to copy: no result link yet.");
    assert_eq!(story.state.context(), KeyContext::List);
    assert_eq!(story.press(&["y", "p"]), []);
    assert_eq!(
        story.message(),
        "Nothing to copy: the server gave no prompt."
    );
    story.press_for(&["y", "x"], "x is not in the copy menu.");
    assert_eq!(story.state.context(), KeyContext::Copy);
    story.press(&["Esc"]);
    assert_eq!(story.state.context(), KeyContext::List);
    let mut empty = Story::with_tasks([]);
    empty.press_for(&["y"], "No task to copy from.");
}

fn copy_result(text: &str, result: Result<&str, &str>) -> Msg {
    Msg::Copied {
        name: "the id".into(),
        text: text.into(),
        result: result.map(String::from).map_err(String::from),
    }
}

#[test]
fn the_copy_message_names_the_channel() {
    let mut story = Story::with_tasks([finished_task()]);

    assert_eq!(story.send(copy_result("made", Ok("wl-copy"))), []);
    assert_eq!(story.message(), "Copied the id with wl-copy.");

    let effects = story.send(copy_result("made", Err("no clipboard program found")));
    let request = TerminalRequest::Copy("made".into());
    assert_eq!(effects, [Effect::Terminal(request)]);
    assert_eq!(
        story.message(),
        "Sent the id to the terminal clipboard (OSC 52); not every terminal supports it."
    );

    let huge = "x".repeat(60_000);
    assert_eq!(
        story.send(copy_result(&huge, Err("xclip failed (code 1)"))),
        []
    );
    story.assert_message_starts("Not copied: xclip failed (code 1); 60 kB");
}

#[test]
fn a_label_is_edited_saved_and_removed() {
    let mut story = Story::with_tasks([finished_task()]);

    story.press(&["e"]);
    assert_eq!(story.state.context(), KeyContext::Label);
    story.press(&["Ctrl-U"]);
    story.send(Msg::Pasted("night\u{1b}[2J\nrun q ".into()));
    story.press(&["7", "Enter"]);
    assert_eq!(story.task("made").title(), "night␛[2J run q7");
    assert_eq!(
        story.message(),
        "Label set to \"night␛[2J run q7\". Press u to undo."
    );
    assert!(story.state.overlay().is_none());

    story.press(&["e", "Ctrl-U", "Enter"]);
    assert_eq!(story.task("made").label, None);
    assert_eq!(story.message(), "Label removed. Press u to undo.");

    story.press(&["u"]);
    assert_eq!(story.task("made").title(), "night␛[2J run q7");
    assert_eq!(story.message(), "Label restored to \"night␛[2J run q7\".");
    story.press(&["u"]);
    assert_eq!(story.task("made").title(), "harbour");
    story.press_for(&["u"], "Nothing to undo.");
    story.press(&["e", "Enter"]);
    assert_eq!(story.message(), "Label set to \"harbour\".", "unchanged");
    story.press_for(&["u"], "Nothing to undo.");
}

#[test]
fn bulk_labels_undo_together_with_removals() {
    let label = |story: &Story, name| {
        let label = story.task(name).label.clone();
        label.map(|label| label.to_string())
    };
    let mut story = Story::with_tasks([
        task("a").ready("5m").created("14:00").label("one"),
        task("b").ready("5m").created("13:00").label("both"),
        task("c").ready("5m").created("12:00"),
    ]);
    story.press(&["*", "e"]);
    story.send(Msg::Pasted("both".into()));
    story.press_for(
        &["Enter"],
        "Label of 3 tasks set to \"both\". Press u to undo.",
    );
    story.press_for(&["Esc", "G", "d"], "Removed \"both\". Press u to undo.");

    story.press_for(&["u"], "Restored \"both\".");
    story.press_for(&["u"], "Labels of 2 tasks restored.");
    assert_eq!(label(&story, "a"), Some("one".into()));
    assert_eq!(label(&story, "b"), Some("both".into()));
    assert_eq!(label(&story, "c"), None);
    story.press_for(&["u"], "Nothing to undo.");
}

#[test]
fn fast_label_undos_each_apply_once() {
    let mut story = Story::with_tasks([finished_task()]);
    story.press(&["e", "2", "Enter", "e", "3", "Enter"]);

    story.is_disk_slow = true;
    story.press(&["u", "u"]);
    story.flush_writes();

    assert_eq!(story.task("made").title(), "harbour");
    assert_eq!(story.message(), "Label restored to \"harbour\".");
    story.press_for(&["u"], "Nothing to undo.");
}

#[test]
fn a_label_can_be_undone_before_it_is_written() {
    let mut story = Story::with_tasks([finished_task()]);
    story.press(&["e", "2", "Enter"]);
    story.is_disk_slow = true;
    story.press(&[
        "e", "Ctrl-U", "x", "Enter", "e", "Ctrl-U", "y", "Enter", "u",
    ]);
    story.flush_writes();
    assert_eq!(story.task("made").title(), "x");
    assert_eq!(story.message(), "Label restored to \"x\".");

    story.press(&["e", "y", "Enter", "u", "u"]);
    story.flush_writes();
    assert_eq!(story.task("made").title(), "harbour2");
    story.press(&["u"]);
    story.flush_writes();
    assert_eq!(story.task("made").title(), "harbour");
    story.press_for(&["u"], "Nothing to undo.");
}

#[test]
fn a_failed_label_is_not_undone() {
    let mut story = Story::with_tasks([finished_task()]);
    story.press(&["e", "2", "Enter"]);
    story.is_disk_slow = true;
    story.press(&["e", "3", "Enter", "u"]);
    story.disk_result = Err(StoreError::Full);
    story.flush_one();
    story.disk_result = Ok(());
    story.flush_writes();

    story.assert_message_starts("Nothing was changed: ");
    assert!(story.state.overlay().is_none());
    assert_eq!(story.task("made").title(), "harbour2");
    story.press(&["u"]);
    story.flush_writes();
    assert_eq!(story.task("made").title(), "harbour");
}

#[test]
fn a_failed_label_undo_can_be_retried() {
    let mut story = Story::with_tasks([finished_task()]);
    story.press(&["e", "2", "Enter"]);
    story.disk_result = Err(StoreError::Full);
    story.press(&["u"]);
    story.assert_message_starts("Nothing was changed:");
    assert!(story.state.overlay().is_none());
    assert_eq!(story.task("made").title(), "harbour2");

    story.disk_result = Ok(());
    story.press(&["u"]);
    assert_eq!(story.task("made").title(), "harbour");
}

#[test]
fn labels_of_externally_removed_tasks_are_dropped() {
    let mut story = Story::with_tasks([finished_task()]);
    story.press(&["e", "2", "Enter"]);
    story.remove_elsewhere("made");
    story.press_for(
        &["u"],
        "Label not restored: the task is no longer on the list.",
    );
}

#[test]
fn a_label_that_failed_to_save_is_offered_again() {
    let mut story = Story::with_tasks([finished_task()]);
    story.disk_result = Err(StoreError::Full);

    story.press(&["e", "2", "Enter"]);

    story.assert_message_starts("Nothing was changed:");
    let Some(Overlay::Line(dialog)) = story.state.overlay() else {
        panic!("{:?}", story.state.overlay());
    };
    assert_eq!(dialog.line.text(), "harbour2");
    assert_eq!(story.task("made").title(), "harbour");
}

#[test]
fn the_raw_record_reloads_after_an_answer() {
    let mut story = Story::with_tasks([task("a").running().created("14:30").due_in("1s")]);
    let count_reads = |effects: &[Effect]| {
        let is_read =
            |effect: &&Effect| matches!(effect, Effect::Store(StoreRequest::ReadRawResponse(_)));
        effects.iter().filter(is_read).count()
    };

    // Not on the info page.
    assert_eq!(count_reads(&story.press(&["Enter"])), 0);
    assert_eq!(count_reads(&story.press(&["i"])), 1);
    assert_eq!(detail_page(&story), Some(DetailPage::Json));
    assert_eq!(count_reads(&story.press(&["j", "k"])), 0);
    story.advance(Duration::from_secs(2));
    let before = story.effects.len();
    story.answer("a", finished(&[URL]));
    let after = story.effects[before..]
        .iter()
        .map(|(_, effect)| effect.clone());
    assert_eq!(count_reads(&after.collect::<Vec<_>>()), 1);
    story.press(&["i"]);
    assert_eq!(detail_page(&story), Some(DetailPage::Info));
}

#[test]
fn copying_json_on_the_record_page_copies_it() {
    let mut story = Story::with_tasks([finished_task()]);
    story.press(&["i"]);
    let record = RawResponse::parse(at("14:05"), "{\"a\":\"\u{202e}x\"}");
    story.send(support::raw_response_read(
        id("made"),
        Ok(Some(Arc::new(record))),
    ));

    let effects = story.press(&["y", "j"]);

    assert_eq!(
        copied_text(&effects),
        ("the raw record", "{\n  \"a\": \"\\u202ex\"\n}")
    );
}

#[test]
fn without_a_browser_the_link_is_shown_and_copied() {
    let mut story = Story::with_tasks([finished_task()]);
    let effects = story.press(&["o"]);
    let [Effect::Open { task, url, .. }] = &effects[..] else {
        panic!("{effects:?}");
    };
    let (task, url) = (task.clone(), url.clone());

    let result = Err("No display: cannot start a browser.".into());
    let effects = story.send(Msg::Opened { task, url, result });

    assert_eq!(
        copied_text(&effects),
        ("the link", "https://tempfile.example/r/made.mp4")
    );
    let copied_message = |story: &Story| match story.state.overlay() {
        Some(Overlay::Link(links)) => links.copied.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(copied_message(&story), None);
    story.send(Msg::Copied {
        name: "the link".into(),
        text: "x".into(),
        result: Ok("wl-copy".into()),
    });
    assert_eq!(
        copied_message(&story).as_deref(),
        Some("Copied the link with wl-copy.")
    );
}

#[test]
fn without_a_browser_links_are_shown_together() {
    let names = ["a", "b", "c"];
    let mut story = Story::with_tasks(names.map(|name| task(name).ready("1m").created("14:00")));
    let effects = story.press(&["*", "o"]);
    assert_eq!(effects.len(), 3);

    let mut copies = Vec::new();
    for effect in effects {
        assert!(
            story.state.overlay().is_none(),
            "no dialog before all attempts have failed"
        );
        if let Effect::Open { task, url, .. } = effect {
            let result = Err("no display".into());
            copies.extend(story.send(Msg::Opened { task, url, result }));
        }
    }

    let (name, text) = copied_text(&copies);
    assert_eq!((name, text.lines().count()), ("3 links", 3));
    assert!(matches!(story.state.overlay(), Some(Overlay::Link(links)) if links.urls.len() == 3));
}

#[test]
fn palette_quit_works_from_the_raw_record() {
    for keys in [&["i"][..], &["Enter"], &["Enter", "i"], &[]] {
        let mut story = Story::with_tasks([finished_task()]);
        story.press(keys);
        story.press(&[":", "q", "u", "i", "t"]);
        let effects = story.press(&["Enter"]);
        assert!(effects.contains(&Effect::Quit), "{keys:?}: {effects:?}");
    }
}

#[test]
fn next_task_works_inside_the_detail() {
    let mut story = Story::with_tasks([
        task("a").ready("5m").created("14:00"),
        task("b").running().created("13:00"),
        task("c").ready("5m").created("12:00"),
    ]);

    story.press(&["Enter", "l", "J"]);
    assert_eq!(story.selected(), "b");
    assert_eq!(
        story.state.screen(),
        MainScreen::Detail {
            page: DetailPage::Journal,
            scroll: 0
        }
    );
    story.press(&["J", "J"]);
    assert_eq!(story.selected(), "c");
    assert_eq!(story.message(), "This is the last task shown.");
    story.press(&["K", "K", "K"]);
    assert_eq!(story.selected(), "a");
    assert_eq!(story.message(), "This is the first task shown.");

    // The Active tab shows the running task only.
    story.press(&["Esc", "2", "Enter"]);
    assert_eq!(story.selected(), "b");
    let effects = story.press(&["r"]);
    assert!(matches!(effects[..], [Effect::Poll { .. }]));
    story.press(&["J"]);
    assert_eq!(story.selected(), "b");
    assert_eq!(story.message(), "This is the last task shown.");
}

#[test]
fn filter_history_is_recalled() {
    let filter_text = |story: &Story| match story.state.overlay() {
        Some(Overlay::Filter(filter)) => filter.line.text().to_owned(),
        other => panic!("{other:?}"),
    };
    let apply_filter = |story: &mut Story, text: &str| {
        story.press(&["/", "Ctrl-U"]);
        story.type_text(text);
        story.press(&["Enter"]);
    };
    let mut story = Story::with_tasks([finished_task()]);
    story.press(&["/", "Ctrl-P", "Ctrl-N"]);
    assert_eq!(filter_text(&story), "", "the history is empty");
    story.press(&["Esc"]);
    for text in ["harbour", "state:ready", "harbour", ""] {
        apply_filter(&mut story, text);
    }

    story.press(&["/", "x", "Ctrl-P"]);
    assert_eq!(filter_text(&story), "harbour");
    assert_eq!(story.state.list_view().query.to_string(), "harbour");
    story.press(&["Ctrl-P", "Ctrl-P"]);
    assert_eq!(filter_text(&story), "state:ready", "no entry is repeated");
    story.press(&["Ctrl-N", "Ctrl-N", "Ctrl-N"]);
    assert_eq!(filter_text(&story), "x", "the unfinished text is restored");

    story.press(&["Esc"]);
    for number in 0..30 {
        apply_filter(&mut story, &format!("n{number}"));
    }
    story.press(&["/"]);
    for _ in 0..40 {
        story.press(&["Ctrl-P"]);
    }
    assert_eq!(
        filter_text(&story),
        "n10",
        "the history keeps twenty entries"
    );
}

#[test]
fn the_palette_prefers_prefix_matches() {
    let mut story = Story::with_tasks([finished_task()]);
    for (text, expected) in [
        ("sor", Action::SortMenu),
        ("pau", Action::Pause),
        ("copy res", Action::Copy(CopyKind::Result)),
        ("undo", Action::Undo),
    ] {
        story.press(&[":"]);
        story.type_text(text);
        let Some(Overlay::Menu(palette)) = story.state.overlay() else {
            panic!("the palette is not open");
        };
        let chosen = palette.chosen().map(|item| item.choice.clone());
        assert_eq!(chosen, Some(MenuChoice::Run(expected)), "{text}");
        story.press(&["Esc"]);
    }
}

fn past_messages(story: &Story) -> Vec<&str> {
    let messages = story.state.past_messages();
    messages.map(|message| message.text.as_str()).collect()
}

/// Returns the answer for a task that finished on the server before the start.
fn finished_earlier() -> Observation {
    let server_task = task("late").ready("20m").created("14:05").build().task;
    Observation {
        state: server_task.state().clone(),
        details: server_task.details().clone(),
        raw: "{}".into(),
    }
}

#[test]
fn a_message_stays_and_news_queue_behind_it() {
    let mut story = story_with_all_notifications();
    story.press(&["p"]);
    let paused = story.message().to_owned();
    assert!(paused.starts_with("Paused"));
    answer_task(&mut story, "a", finished(&[URL]));
    answer_task(&mut story, "b", failed_generation());
    assert_eq!(story.message(), paused);

    story.advance(MESSAGE_TIME);

    assert_eq!(story.message(), "2 tasks finished: 1 ready, 1 failed.");
    story.press(&["m"]);
    assert_eq!(story.state.context(), KeyContext::Help);
    assert_eq!(
        past_messages(&story),
        ["2 tasks finished: 1 ready, 1 failed.", &paused]
    );
}

#[test]
fn news_cut_short_is_shown_again() {
    for (seconds, is_shown_again) in [(1, true), (4, false)] {
        let mut story = story_with_all_notifications();
        answer_task(&mut story, "a", finished(&[URL]));
        story.advance(Duration::from_secs(seconds));
        story.press(&["p"]);
        story.advance(MESSAGE_TIME);
        let expected = if is_shown_again {
            "\"a\" is ready."
        } else {
            ""
        };
        assert_eq!(story.message(), expected, "after {seconds}s");
    }
}

#[test]
fn tasks_finished_before_the_start_are_not_news() {
    let mut story = story_with_all_notifications();
    for name in ["a", "b", "c"] {
        answer_task(&mut story, name, Ok(finished_earlier()));
    }

    assert_eq!(story.message(), "3 tasks were already finished: 3 ready.");
    // No bell, no notification.
    assert_eq!(take_notifications(&mut story), []);
    assert_eq!(
        past_messages(&story),
        ["3 tasks were already finished: 3 ready.", "\"a\" is ready."],
        "a growing summary is one message"
    );
}

#[test]
fn finished_tasks_are_reported_once_across_runs() {
    // By the server's clock, which is an hour ahead, it finished after `last_seen`.
    let mut known = task("seen").ready("1m").created("14:50").build();
    known.poll_history.last_ok = Some(at("13:50"));
    let mut story = Story::from_program(program());
    story.send(support::session_seen("13:52:07"));

    story.send(support::list_loaded(vec![known]));

    assert_eq!(story.message(), "");
}

#[test]
fn a_denied_check_says_why() {
    let refresh = |story: &mut Story, reason| {
        let wait = Duration::from_secs(2);
        story.next_denial = Some(Denied { reason, wait });
        story.press(&["r"]);
    };
    let due_task = || task("a").running().created("14:30").due_in("0s");

    let mut story = Story::with_tasks([due_task()]);
    story.answer("a", running());
    refresh(&mut story, DenyReason::JustChecked);
    assert_eq!(story.message(), "Just refreshed; wait 2s.");

    let mut story = Story::with_tasks([due_task()]);
    story.answer("a", Err(PollError::NoKey));
    refresh(&mut story, DenyReason::JustChecked);
    assert_eq!(
        story.message(),
        "Waiting: no API key is set. Next try in 2s."
    );

    let mut story = Story::with_tasks([task("a").ready("1m").created("14:00")]);
    refresh(&mut story, DenyReason::TaskBusy);
    story.assert_message_starts("Another kietop");
}

#[test]
fn unsent_checks_are_not_counted() {
    let due_task = || task("a").due_in("0s");
    let polls_per_minute = |story: &Story| story.state.poll_queue().per_minute(story.now().mono);

    let mut story = Story::from_program(program());
    story.next_denial = Some(Denied {
        reason: DenyReason::AccountBackoff(PollError::NoKey),
        wait: Duration::from_mins(5),
    });
    story.load([due_task()]);
    assert_eq!(polls_per_minute(&story), 0);
    assert_eq!(story.state.poll_queue().rejected_at(&id("a")), None);

    let mut story = Story::with_tasks([due_task()]);
    story.answer("a", Err(PollError::Unauthorized(401)));
    assert_eq!(polls_per_minute(&story), 1);
    assert_eq!(
        story.state.poll_queue().rejected_at(&id("a")),
        Some(story.now().mono)
    );
}

#[test]
fn the_palette_runs_an_action_by_name() {
    let mut story = Story::with_tasks([finished_task()]);

    story.press(&[":"]);
    assert_eq!(story.state.context(), KeyContext::Palette);
    story.type_text("paus");
    assert_eq!(story.press(&["Enter"]), []);
    assert!(story.state.poll_queue().is_paused);
    assert!(story.state.overlay().is_none());

    story.press(&[":"]);
    story.type_text("copy result");
    let effects = story.press(&["Enter"]);
    assert_eq!(copied_text(&effects).0, "the result link");

    story.press_for(&[":", "z", "z", "z", "Enter"], "No matching action.");
    assert_eq!(story.state.context(), KeyContext::Palette);
    story.press(&["Esc"]);
    assert_eq!(story.state.context(), KeyContext::List);
}

#[test]
fn the_palette_lists_all_and_matches_first() {
    let mut story = Story::with_tasks([finished_task()]);
    story.press(&["Enter", ":"]);
    let Some(Overlay::Menu(palette)) = story.state.overlay() else {
        panic!("the palette is not open");
    };
    let matches = &palette.items;

    assert!(matches.len() > 30, "{}", matches.len());
    let split = matches
        .iter()
        .position(|found| !found.is_available)
        .expect("some are unavailable");
    assert!(matches[split..].iter().all(|found| !found.is_available));
}

fn mouse(story: &mut Story, action: MouseAction, target: HitTarget) -> Vec<Effect> {
    story.send(Msg::Mouse { action, target })
}

fn click(story: &mut Story, target: HitTarget) -> Vec<Effect> {
    mouse(story, MouseAction::Press, target)
}

/// Returns the page of the full-screen details; `None` while the list is shown.
fn detail_page(story: &Story) -> Option<DetailPage> {
    match story.state.screen() {
        MainScreen::Detail { page, .. } => Some(page),
        MainScreen::List => None,
    }
}

#[test]
fn a_click_selects_and_a_second_one_opens() {
    let mut story =
        Story::with_tasks(["a", "b", "c"].map(|name| task(name).ready("5m").created("14:00")));
    story.press(&["G"]);
    let last_task = id(story.selected());
    story.press(&["g"]);

    click(&mut story, HitTarget::Task(last_task.clone()));
    assert_eq!(story.selected(), last_task.as_str());
    assert_eq!(story.state.screen(), MainScreen::List);
    click(&mut story, HitTarget::Task(last_task));
    assert_eq!(detail_page(&story), Some(DetailPage::Info));
    click(&mut story, HitTarget::Page(DetailPage::Journal));
    assert_eq!(detail_page(&story), Some(DetailPage::Journal));
    click(&mut story, HitTarget::Tab(Tab::Failed));
    assert_eq!(story.state.tab(), Tab::Failed);
}

#[test]
fn a_dialog_takes_clicks_and_closes_on_outside_ones() {
    let mut story = Story::with_tasks([finished_task()]);

    click(&mut story, HitTarget::Hint(Action::CopyMenu));
    let effects = click(&mut story, HitTarget::DialogLine(3));
    assert_eq!(copied_text(&effects).0, "the prompt");

    for key in ["y", "e", "a", ":", "?"] {
        story.press(&[key]);
        click(&mut story, HitTarget::Text);
        assert!(story.state.overlay().is_some(), "{key}");
        mouse(&mut story, MouseAction::WheelDown, HitTarget::OutsideDialog);
        click(&mut story, HitTarget::OutsideDialog);
        assert!(story.state.overlay().is_none(), "{key}");
    }
    story.send(Msg::Pasted(
        "1f0c2b6f1d3b4a0c9c1f7c6b5a4e3d21 9b1deb4d3b7d4bad9bdd2b0d7b3dcb6d".into(),
    ));
    let count_selected = |story: &Story| match story.state.overlay() {
        Some(Overlay::Add(dialog)) => dialog.selected().count(),
        other => panic!("{other:?}"),
    };
    let before = count_selected(&story);
    click(&mut story, HitTarget::DialogLine(1));
    assert_eq!(count_selected(&story), before - 1);
}

#[test]
fn the_wheel_scrolls_and_moves_selection_at_the_edge() {
    let names = (0..100).map(|n| format!("t{n:02}"));
    let mut story = Story::with_tasks(names.map(|name| task(&name).ready("5m").created("14:00")));

    support::resize(&mut story.state, (80, 24));
    let page = usize::from(story.state.size().page);
    story.press(&["g"]);
    for _ in 0..4 {
        story.press(&["j"]);
    }
    let selected = story.selected().to_owned();

    mouse(&mut story, MouseAction::WheelDown, HitTarget::List);
    assert_eq!(
        (story.state.top(), story.selected()),
        (3, selected.as_str())
    );
    mouse(&mut story, MouseAction::WheelDown, HitTarget::List);
    assert_eq!((story.state.top(), story.state.position()), (6, Some(6)));
    for _ in 0..100 {
        mouse(&mut story, MouseAction::WheelDown, HitTarget::List);
    }
    assert_eq!(story.state.top(), 100 - page);
    mouse(&mut story, MouseAction::WheelUp, HitTarget::Nothing);
    // The wheel scrolls only over the list.
    assert_eq!(story.state.top(), 100 - page);
    for _ in 0..100 {
        mouse(&mut story, MouseAction::WheelUp, HitTarget::List);
    }
    assert_eq!(
        (story.state.top(), story.state.position()),
        (0, Some(page - 1))
    );
}

/// Starts a story with every notification channel enabled.
fn story_with_all_notifications() -> Story {
    let mut story = Story::from_program(program().set(|settings| {
        settings.notifications.channels = NotifyChannel::ALL.to_vec();
        settings.notifications.command = vec!["notify-me".into()];
    }));
    let labelled = |name| task(name).label(name).running().created("14:30");
    story.load(["a", "b", "c"].map(|name| labelled(name).in_flight()));
    story
}

fn answer_task(story: &mut Story, name: &str, answer: PollResult) {
    support::answer(&mut story.state, name, answer);
}

/// Advances the clock by five seconds and returns the notifications sent in that time.
fn take_notifications(story: &mut Story) -> Vec<Effect> {
    let before = story.effects.len();
    story.advance(Duration::from_secs(5));
    let sent = story.effects[before..]
        .iter()
        .map(|(_, effect)| effect.clone());
    sent.filter(|effect| matches!(effect, Effect::Terminal(_) | Effect::Notify(_)))
        .collect()
}

#[test]
fn finished_tasks_are_batched_into_one_notification() {
    let mut story = story_with_all_notifications();
    answer_task(&mut story, "a", finished(&[URL]));
    assert_eq!(story.message(), "\"a\" is ready.");
    answer_task(&mut story, "b", failed_generation());
    assert_eq!(story.message(), "2 tasks finished: 1 ready, 1 failed.");

    let sent = take_notifications(&mut story);

    let [
        Effect::Terminal(TerminalRequest::Bell),
        Effect::Terminal(TerminalRequest::Notify { title, body }),
        Effect::Notify(Notification {
            desktop,
            command,
            variables,
        }),
    ] = &sent[..]
    else {
        panic!("{sent:?}");
    };
    assert_eq!(title, "2 tasks finished: 1 ready, 1 failed.");
    assert_eq!(body, "\"a\" is ready. \"b\" failed.");
    assert_eq!(desktop.as_ref(), Some(&(title.clone(), body.clone())));
    assert_eq!(command, &["notify-me"]);
    for (name, value) in [
        ("KIETOP_COUNT", "2"),
        ("KIETOP_TASK", "a\nb"),
        ("KIETOP_STATE", "succeeded\nfailed"),
        ("KIETOP_TITLE", "a\nb"),
        ("KIETOP_URL", "https://tempfile.example/r/new.mp4\n"),
    ] {
        let is_set = variables.contains(&(name, value.to_owned()));
        assert!(is_set, "{name} in {variables:?}");
    }
}

#[test]
fn notify_command_gets_the_batch_details() {
    let prompt = "漢字 \n".repeat(3000);
    let error = "it broke ".repeat(2000);
    let url = format!("https://tempfile.example/{}.mp4", "x".repeat(2000));
    for count in [1_usize, 2, 60, 2000] {
        let tasks: Vec<_> = (0..count)
            .map(|n| {
                let id = format!("{n:0>200}");
                let ready = task(&id)
                    .prompt(&prompt)
                    .finished("5m", CallbackStatus::Delivered, &[&url])
                    .build();
                let failed = task(&id).prompt(&prompt).failed("500", &error).build();
                if n % 2 == 0 { ready } else { failed }
            })
            .collect();
        let tasks: Vec<_> = tasks.iter().collect();

        let variables = command_variables("Tasks finished.", &tasks);

        let len: usize = variables
            .iter()
            .map(|(name, value)| name.len() + value.len() + 2)
            .sum();
        assert!(len < 64 * 1024, "{len} bytes for {count}");
        let values: BTreeMap<_, _> = variables.iter().cloned().collect();
        let value = |name| values[name].as_str();
        let listed: usize = value("KIETOP_COUNT").parse().unwrap();
        for name in [
            "KIETOP_TASK",
            "KIETOP_STATE",
            "KIETOP_TITLE",
            "KIETOP_URL",
            "KIETOP_ERROR",
        ] {
            assert_eq!(value(name).split('\n').count(), listed, "{name}");
        }
        assert!(listed >= count.min(20), "{listed} of {count}");
        let rest = format!("Tasks finished. (and {} more, not listed)", count - listed);
        let message = if listed == count {
            "Tasks finished."
        } else {
            &rest
        };
        assert_eq!(value("KIETOP_MESSAGE"), message);
    }
}

#[test]
fn no_notification_when_focused_or_muted() {
    let mut story = story_with_all_notifications();
    story.send(Msg::Focused(TerminalFocus::Focused));
    answer_task(&mut story, "a", finished(&[URL]));
    let effects = take_notifications(&mut story);
    let [
        Effect::Terminal(TerminalRequest::Bell),
        Effect::Notify(notification),
    ] = &effects[..]
    else {
        panic!("{effects:?}");
    };
    assert_eq!(notification.desktop, None);

    let mut story = story_with_all_notifications();
    story.press(&["g"]);
    let muted = story.selected().to_owned();
    let effects = story.press(&["N"]);
    assert!(
        matches!(&effects[..], [Effect::Store(StoreRequest::Write(changes))] if matches!(changes[..], [ListChange { kind: ChangeKind::SetNotify(NotifySetting::Off), .. }]))
    );
    assert_eq!(story.task(&muted).notify, NotifySetting::Off);
    answer_task(&mut story, &muted, finished(&[URL]));
    assert_eq!(take_notifications(&mut story), []);
    story.press(&["N"]);
    assert_eq!(story.task(&muted).notify, NotifySetting::On);
}

#[test]
fn an_absence_summary_is_shown_on_return() {
    let mut story = story_with_all_notifications();
    let effects = story.send(Msg::Focused(TerminalFocus::Unfocused));
    assert_eq!(
        effects,
        [Effect::Store(StoreRequest::SaveLastSeen(story.now().wall))]
    );
    story.advance(Duration::from_secs(1));
    answer_task(&mut story, "a", finished(&[URL]));
    answer_task(&mut story, "b", failed_generation());
    story.at += Duration::from_mins(40);

    story.send(Msg::Focused(TerminalFocus::Focused));

    assert_eq!(
        story.message(),
        "Since you left (40m): +1 ready, +1 failed."
    );
    let summary = story
        .state
        .absence_summary(story.now())
        .expect("no absence summary");
    assert_eq!((summary.ready, summary.failed), (1, 1));
}

#[test]
fn start_reports_tasks_finished_since_the_last_run() {
    let list_loaded = || {
        let tasks = [
            task("old").ready("1m").created("09:00"),
            task("new").ready("1m").created("14:00"),
            task("late").running().created("14:05").in_flight(),
        ];
        support::list_loaded(tasks.map(support::TaskBuilder::build).into())
    };
    let session_loaded = |last_seen| {
        support::session_loaded(SavedSession {
            last_seen,
            ..SavedSession::default()
        })
    };
    for is_late in [false, true] {
        let mut story = Story::from_program(program());
        let mut messages = [session_loaded(Some(at("13:52:07"))), list_loaded()];
        if is_late {
            messages.reverse();
        }
        for msg in messages {
            story.send(msg);
        }

        assert_eq!(story.message(), "Since you left (40m): +1 ready.");
        // Finished on the server before the return, but reported after it: it counts as part of
        // the absence.
        answer_task(&mut story, "late", Ok(finished_earlier()));
        assert_eq!(story.message(), "Since you left (40m): +2 ready.");
    }
    let mut story = Story::from_program(program());
    story.send(session_loaded(None));
    story.send(list_loaded());
    assert_eq!(story.message(), "");
}
