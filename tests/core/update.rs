//! Tests of `app::update`: messages in, effects and state out, without clock, network or terminal.

use std::time::Duration;

use kietop::{
    app::{
        msg::{Effect, Msg},
        state::Overlay,
        update::{next_wakeup, startup_effects, update},
    },
    domain::{
        comparison::VideoSource,
        link::VideoUrl,
        list_change::{ChangeKind, StoreError},
        store_request::{StoreReply, StoreRequest},
        task::CallbackStatus,
        text::CleanText,
    },
};

use crate::support::{
    self, fake_list::FakeList, id, later, message, now, press, program, selected_task, task,
    type_text,
};

#[test]
fn startup_loads_the_list() {
    assert_eq!(
        startup_effects(),
        [
            Effect::Store(StoreRequest::LoadSession),
            Effect::Store(StoreRequest::LoadList)
        ]
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
    let ChangeKind::Add { label, .. } = &changes[0].kind else {
        panic!("{changes:?}")
    };
    assert_eq!(label.as_ref().map(CleanText::as_str), Some("one two"));
    // An added task is shown once it is stored.
    assert_eq!(state.list().len(), 0);
    FakeList::default().answer_writes(&mut state, &effects);
    assert_eq!(selected_task(&state), "774d9a7dd608a0e49293903095e45a4c");
}

#[test]
fn a_missing_list_file_is_reported_and_tasks_stay() {
    let mut state = program().with(task("a").running()).build();
    let missing = StoreError::Missing("/lists/kietop.db".into());
    let retry = Effect::Store(StoreRequest::Write(Vec::new()));
    let restore = Effect::Store(StoreRequest::RestoreListFile);

    let msg = support::answered(StoreRequest::ReadExternalChanges, Err(missing.clone()));
    update(&mut state, msg, now());

    assert_eq!(state.list().len(), 1);
    assert_eq!(state.write_queue().error, Some(missing.clone()));
    let expected = "The list file is missing: /lists/kietop.db. Its tasks are still here. Press B to restore it.";
    assert_eq!(message(&state), expected);
    // The write is retried although no change is pending; the same error is not reported again.
    let next = later(Duration::from_secs(6));
    let effects = update(&mut state, Msg::Tick, next);
    assert!(effects.contains(&retry), "{effects:?}");
    let still_missing = support::written(Vec::new(), Err(missing));
    update(&mut state, still_missing, next);
    assert!(state.write_queue().retry_at.is_some());

    // Quitting would lose the tasks, so it is confirmed first.
    let effects = press(&mut state, &["q"]);
    assert!(!effects.contains(&Effect::Quit), "{effects:?}");
    press(&mut state, &["n"]);
    let effects = press(&mut state, &["B"]);
    assert!(effects.contains(&restore), "{effects:?}");
    let msg = support::answered(StoreRequest::RestoreListFile, Ok(StoreReply::Done));
    let effects = update(&mut state, msg, next);
    assert!(effects.contains(&retry), "{effects:?}");
    let saved = support::written(Vec::new(), Ok(Vec::new()));
    update(&mut state, saved, next);

    assert_eq!(state.write_queue().error, None);
    assert_eq!(message(&state), "The list is saved again.");
    assert!(!press(&mut state, &["B"]).contains(&restore));
    assert!(press(&mut state, &["q"]).contains(&Effect::Quit));
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

    let [Effect::Open { task: opened, .. }] = &press(&mut state, &["o"])[..] else {
        panic!("no single open effect")
    };
    assert_eq!(opened, &id("a"));

    assert_eq!(press(&mut state, &["j", "o"]), []);

    let effects = press(&mut state, &["2", "Enter"]);
    assert!(
        matches!(&effects[..], [Effect::Open { url, .. }] if url.as_str() == urls[1]),
        "{effects:?}"
    );
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
    assert!(matches!(opened[..], [Effect::Open { .. }]));
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

#[test]
fn a_locked_list_is_read_when_released() {
    let mut state = program().still_loading().build();
    let msg = support::answered(StoreRequest::LoadList, Err(StoreError::Busy));
    update(&mut state, msg, now());
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
    let msg = support::list_loaded(vec![watched]);
    update(&mut state, msg, later(Duration::from_secs(21)));
    assert_eq!(state.list().len(), 1);

    let mut state = program().still_loading().build();
    let damaged = StoreError::Damaged("x".into());
    let msg = support::answered(StoreRequest::LoadList, Err(damaged));
    update(&mut state, msg, now());
    // A damaged list is not read again.
    assert_eq!(next_wakeup(&state, now()), None);
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

    let msg = Msg::Copied {
        name: "the id".into(),
        text: "a".into(),
        result: Ok(hostile.into()),
    };
    update(&mut state, msg, now());
    assert!(is_clean(message(&state)), "{}", message(&state));

    press(&mut state, &["o"]);
    let msg = Msg::Opened {
        task: id("a"),
        url: VideoUrl::parse("https://ex.com/1.mp4").expect("a link"),
        result: Err(hostile.into()),
    };
    update(&mut state, msg, now());
    let Some(Overlay::Link(links)) = state.overlay() else {
        panic!("{:?}", state.overlay());
    };
    assert!(is_clean(&links.reason), "{}", links.reason);
}
