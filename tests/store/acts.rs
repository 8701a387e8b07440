//! What a person says of a task is kept: its label, whether its ending is told of; and until when the list was seen.

use kietop::{
    domain::{
        change::{Applied, Change, Delta, JournalEvent},
        text::CleanText,
        watched::Notices,
    },
    ports::ListStore as _,
};

use super::support::*;

fn label(task: &str, label: &str) -> Change {
    Change::Label {
        task: id(task),
        at: at(5),
        label: (!label.is_empty()).then(|| CleanText::line(label, 256)),
    }
}

fn notices(task: &str, notices: Notices) -> Change {
    Change::Notify {
        task: id(task),
        at: at(5),
        notices,
    }
}

#[test]
fn a_label_is_changed_taken_away_and_written_down() {
    let list = List::new();
    let mut store = list.open();
    store.apply(&[add("a"), label("a", "first")]).unwrap();
    store.apply(&[label("a", "first")]).unwrap();
    store.apply(&[label("a", "second \u{202e}")]).unwrap();
    drop(store);

    let mut store = list.open();
    let kept = store.load().unwrap().remove(0);
    assert_eq!(kept.label, Some(CleanText::line("second \u{202e}", 256)));
    let applied = store.apply(&[label("a", ""), label("gone", "x")]).unwrap();
    assert_eq!(applied, [Applied::Noted, Applied::NotWatched]);
    assert_eq!(store.load().unwrap().remove(0).label, None);
    let words: Vec<_> = store
        .journal(&id("a"), 10)
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
fn a_quiet_task_stays_quiet_and_others_hear_of_it() {
    let list = List::new();
    let (mut one, mut other) = (list.open(), list.open());
    one.load().unwrap();
    other.load().unwrap();
    one.apply(&[add("a"), add("b"), notices("a", Notices::Off)])
        .unwrap();

    let quiet = |delta: &Delta| match delta {
        Delta::Changed(watched) => (watched.id().as_str().to_owned(), watched.notices),
        Delta::Gone(id) => panic!("{id} is gone"),
    };
    let news: Vec<_> = other.changes().unwrap().iter().map(quiet).collect();
    assert_eq!(
        news,
        [("a".into(), Notices::Off), ("b".into(), Notices::On)]
    );
    // An answer, a removal and its undo leave it as it is.
    other
        .apply(&[failed("a", kietop::domain::report::PollError::Lost)])
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
            .notices,
        Notices::Off
    );
    store.apply(&[notices("a", Notices::On)]).unwrap();
    assert!(
        store
            .load()
            .unwrap()
            .iter()
            .all(|task| task.notices == Notices::On)
    );
}

#[test]
fn until_when_the_list_was_looked_at_is_known_to_the_next_run() {
    let list = List::new();
    let mut store = list.open();
    assert_eq!(store.recall().unwrap().visited, None);
    store.note_visit(at(7)).unwrap();
    drop(store);

    assert_eq!(list.open().recall().unwrap().visited, Some(at(7)));
}

#[test]
fn the_raw_record_is_set_out() {
    let list = List::new();
    let mut store = list.open();
    store.apply(&[add("a")]).unwrap();
    assert_eq!(store.record(&id("a")).unwrap(), None);
    let state = kietop::domain::task::TaskState::Running {
        is_finishing: false,
    };
    store
        .apply(&[observed_as(
            "a",
            state,
            kietop::domain::task::Facts::default(),
            "{\"b\":[1]}",
        )])
        .unwrap();

    let record = store.record(&id("a")).unwrap().unwrap();

    assert_eq!(record.to_text(), "{\n  \"b\": [\n    1\n  ]\n}");
}
