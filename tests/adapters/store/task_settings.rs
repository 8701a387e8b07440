//! Stored settings: labels, notifications and the last-seen time; and raw responses.

use kietop::adapters::store::SqliteStore;
use kietop::domain::{
    list_change::{ChangeResult, ExternalChange, JournalEvent},
    poll_result::PollError,
    task::TaskDetails,
    text::CleanText,
    watched_task::NotifySetting,
};

use crate::support::store::*;

#[test]
fn a_label_is_changed_removed_and_journaled() {
    let list = TestList::new();
    let mut store = list.open();
    store.apply(&[add("a"), set_label("a", "first")]).unwrap();
    store.apply(&[set_label("a", "first")]).unwrap();
    store.apply(&[set_label("a", "second \u{202e}")]).unwrap();
    drop(store);

    let mut store = list.open();
    let loaded = store.load().unwrap().remove(0);
    assert_eq!(loaded.label, Some(CleanText::line("second \u{202e}", 256)));
    let applied = store
        .apply(&[set_label("a", ""), set_label("gone", "x")])
        .unwrap();
    assert!(matches!(
        applied[..],
        [ChangeResult::Updated { .. }, ChangeResult::NotWatched]
    ));
    assert_eq!(store.load().unwrap().remove(0).label, None);
    let labels: Vec<_> = store
        .read_journal(&id("a"), 10)
        .unwrap()
        .into_iter()
        .filter_map(|line| {
            if let JournalEvent::Labelled(label) = line.event {
                return Some(label.to_string());
            }
            None
        })
        .collect();
    assert_eq!(labels, ["first", "second <U+202E>", ""]);
}

#[test]
fn the_notify_setting_is_stored_and_shared() {
    let list = TestList::new();
    let (mut first, mut second) = (list.open(), list.open());
    first.load().unwrap();
    second.load().unwrap();
    first
        .apply(&[add("a"), add("b"), set_notify("a", NotifySetting::Off)])
        .unwrap();

    let settings = second.external_changes().unwrap().into_iter();
    let settings: Vec<_> = settings
        .map(|change| match change {
            ExternalChange::Changed(watched) => (watched.id().clone(), watched.notify),
            ExternalChange::Removed(id) => panic!("{id} was removed"),
        })
        .collect();
    assert_eq!(
        settings,
        [(id("a"), NotifySetting::Off), (id("b"), NotifySetting::On)]
    );
    let off = |store: &mut SqliteStore| {
        let mut tasks = store.load().unwrap();
        tasks.retain(|task| task.notify == NotifySetting::Off);
        ids_of(&tasks).join(" ")
    };
    // A failed check, a removal and its undo do not change it.
    second.apply(&[failed("a", PollError::AnswerLost)]).unwrap();
    second.apply(&[remove("a")]).unwrap();
    second.apply(&[restore("a")]).unwrap();
    drop((first, second));
    let mut store = list.open();
    assert_eq!(off(&mut store), "a");
    store.apply(&[set_notify("a", NotifySetting::On)]).unwrap();
    assert_eq!(off(&mut store), "");
}

#[test]
fn the_last_seen_time_is_stored() {
    let list = TestList::new();
    let mut store = list.open();
    assert_eq!(store.load_session().unwrap().last_seen, None);
    store.save_last_seen(at(7)).unwrap();
    drop(store);

    assert_eq!(list.open().load_session().unwrap().last_seen, Some(at(7)));
}

#[test]
fn the_raw_response_is_formatted() {
    let list = TestList::new();
    let mut store = list.open();
    store.apply(&[add("a")]).unwrap();
    assert_eq!(store.read_raw_response(&id("a")).unwrap(), None);
    store
        .apply(&[observed_as(
            "a",
            running(),
            TaskDetails::default(),
            "{\"b\":[1]}",
        )])
        .unwrap();

    let response = store.read_raw_response(&id("a")).unwrap().unwrap();

    assert_eq!(response.text, "{\n  \"b\": [\n    1\n  ]\n}");
}
