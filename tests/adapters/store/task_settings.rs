//! Stored settings: labels, notifications and the last-seen time; and raw responses.

use kietop::{
    domain::{
        list_change::{ChangeResult, ExternalChange, JournalEvent, ListChange},
        poll_result::PollError,
        task::{TaskDetails, TaskState},
        text::CleanText,
        watched_task::NotifySetting,
    },
    ports::ListStore as _,
};

use crate::support::store::*;

fn set_label(task: &str, label: &str) -> ListChange {
    ListChange::Label {
        task: id(task),
        at: at(5),
        label: (!label.is_empty()).then(|| CleanText::line(label, 256)),
    }
}

fn set_notify(task: &str, notify: NotifySetting) -> ListChange {
    ListChange::SetNotify {
        task: id(task),
        at: at(5),
        notify,
    }
}

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
    assert_eq!(applied, [ChangeResult::Recorded, ChangeResult::NotWatched]);
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

    let setting = |change: &ExternalChange| match change {
        ExternalChange::Changed(watched) => (watched.id().as_str().to_owned(), watched.notify),
        ExternalChange::Removed(id) => panic!("{id} was removed"),
    };
    let settings: Vec<_> = second
        .external_changes()
        .unwrap()
        .iter()
        .map(setting)
        .collect();
    assert_eq!(
        settings,
        [
            ("a".into(), NotifySetting::Off),
            ("b".into(), NotifySetting::On)
        ]
    );
    // A failed check, a removal and its undo do not change it.
    second.apply(&[failed("a", PollError::AnswerLost)]).unwrap();
    second.apply(&[remove("a")]).unwrap();
    second.apply(&[restore("a")]).unwrap();
    drop((first, second));
    let mut store = list.open();
    let loaded = store.load().unwrap();
    assert_eq!(
        loaded
            .iter()
            .find(|task| task.id() == &id("a"))
            .unwrap()
            .notify,
        NotifySetting::Off
    );
    store.apply(&[set_notify("a", NotifySetting::On)]).unwrap();
    assert!(
        store
            .load()
            .unwrap()
            .iter()
            .all(|task| task.notify == NotifySetting::On)
    );
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
    let running = TaskState::Running {
        is_finishing: false,
    };
    store
        .apply(&[observed_as(
            "a",
            running,
            TaskDetails::default(),
            "{\"b\":[1]}",
        )])
        .unwrap();

    let response = store.read_raw_response(&id("a")).unwrap().unwrap();

    assert_eq!(response.text, "{\n  \"b\": [\n    1\n  ]\n}");
}
