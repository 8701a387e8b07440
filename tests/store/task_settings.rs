//! What a person says of a task is kept: its label, whether its ending is told of; and until when
//! the list was seen.

use kietop::{
    domain::{
        list_change::{ChangeResult, ExternalChange, JournalEvent, ListChange},
        text::CleanText,
        watched_task::NotifySetting,
    },
    ports::ListStore as _,
};

use super::support::*;

fn set_label(task: &str, label: &str) -> ListChange {
    ListChange::Label {
        task: id(task),
        at: at(5),
        label: (!label.is_empty()).then(|| CleanText::line(label, 256)),
    }
}

fn set_notify(task: &str, notices: NotifySetting) -> ListChange {
    ListChange::SetNotify {
        task: id(task),
        at: at(5),
        notify: notices,
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
    let kept = store.load().unwrap().remove(0);
    assert_eq!(kept.label, Some(CleanText::line("second \u{202e}", 256)));
    let applied = store
        .apply(&[set_label("a", ""), set_label("gone", "x")])
        .unwrap();
    assert_eq!(applied, [ChangeResult::Recorded, ChangeResult::NotWatched]);
    assert_eq!(store.load().unwrap().remove(0).label, None);
    let words: Vec<_> = store
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
    assert_eq!(words, ["first", "second <U+202E>", ""]);
}

#[test]
fn the_notify_setting_is_stored_and_shared() {
    let list = TestList::new();
    let (mut one, mut other) = (list.open(), list.open());
    one.load().unwrap();
    other.load().unwrap();
    one.apply(&[add("a"), add("b"), set_notify("a", NotifySetting::Off)])
        .unwrap();

    let quiet = |delta: &ExternalChange| match delta {
        ExternalChange::Changed(watched) => (watched.id().as_str().to_owned(), watched.notify),
        ExternalChange::Removed(id) => panic!("{id} is gone"),
    };
    let news: Vec<_> = other
        .external_changes()
        .unwrap()
        .iter()
        .map(quiet)
        .collect();
    assert_eq!(
        news,
        [
            ("a".into(), NotifySetting::Off),
            ("b".into(), NotifySetting::On)
        ]
    );
    // An answer, a removal and its undo leave it as it is.
    other
        .apply(&[failed(
            "a",
            kietop::domain::poll_result::PollError::AnswerLost,
        )])
        .unwrap();
    other.apply(&[remove("a")]).unwrap();
    other.apply(&[restore("a")]).unwrap();
    drop((one, other));
    let mut store = list.open();
    let kept = store.load().unwrap();
    assert_eq!(
        kept.iter()
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
fn the_raw_record_is_formatted() {
    let list = TestList::new();
    let mut store = list.open();
    store.apply(&[add("a")]).unwrap();
    assert_eq!(store.read_raw_response(&id("a")).unwrap(), None);
    let state = kietop::domain::task::TaskState::Running {
        is_finishing: false,
    };
    store
        .apply(&[observed_as(
            "a",
            state,
            kietop::domain::task::TaskDetails::default(),
            "{\"b\":[1]}",
        )])
        .unwrap();

    let record = store.read_raw_response(&id("a")).unwrap().unwrap();

    assert_eq!(record.to_text(), "{\n  \"b\": [\n    1\n  ]\n}");
}
