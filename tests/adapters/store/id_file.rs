//! The id file: its content, and the recovery of ids from it.

use std::{fs, os::unix::fs::MetadataExt as _};

use kietop::domain::{
    list_change::{ChangeResult, StoreError},
    task::{TaskDetails, TaskState},
    text::CleanText,
    watched_task::NotifySetting,
};

use crate::support::store::*;

/// Returns event, id and label of each line, except confirmations.
fn logged_events(list: &TestList) -> Vec<String> {
    let text = fs::read_to_string(list.ids()).unwrap();
    let lines = text.lines().skip(1).map(|line| {
        let fields: Vec<_> = line.split('\t').skip(2).collect();
        fields.join(" ").trim_end().to_owned()
    });
    lines.filter(|line| !line.starts_with("done ")).collect()
}

#[test]
fn the_id_file_keeps_removals_lost_by_the_wal() {
    let list = TestList::new();
    list.apply(&["a", "b"].map(add));
    let old_copy = fs::read(list.path()).unwrap();
    list.apply(&[remove("a"), set_label("b", "later")]);
    fs::write(list.path(), old_copy).unwrap();

    let (mut store, reports) = list.open_damaged();

    let all = store.load().unwrap();
    assert_eq!((all.len(), all[0].id().as_str()), (1, "b"));
    assert_eq!(all[0].label, Some(CleanText::line("later", 256)));
    assert!(reports.take_single().is_complete());
    assert_eq!(store.load_session().unwrap().removals, [[id("a")]]);
}

/// Creates a list in several transactions: tasks "a" to "e", with "c" removed, and "e" removed and
/// restored.
fn list_with_history() -> TestList {
    let list = TestList::new();
    let mut store = list.open();
    let label = CleanText::line("neon\tcity", 256);
    store.apply(&[add("a"), labelled("b", &label)]).unwrap();
    store.apply(&[add("c"), add("d"), add("e")]).unwrap();
    store.apply(&[observed("a", success())]).unwrap();
    store.apply(&[remove("c"), remove("e")]).unwrap();
    store
        .apply(&[restore("e"), set_label("d", "later")])
        .unwrap();
    list
}

#[test]
fn every_id_and_label_change_is_a_line() {
    let list = list_with_history();
    let label = CleanText::line("named", 256);
    list.apply(&[add("a"), labelled("a", &label), set_label("d", "")]);

    assert_eq!(
        logged_events(&list),
        [
            "add a",
            "add b neon\\u{9}city",
            "add c",
            "add d",
            "add e",
            "remove c",
            "remove e",
            "add e",
            "label d later",
            "label a named",
            "label d",
        ]
    );
    assert_eq!(fs::metadata(list.ids()).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn all_ids_and_labels_are_recovered() {
    for damage in ["gone", "empty", "noise", "zeroed", "cut"] {
        let list = list_with_history();
        let bytes = fs::read(list.path()).unwrap();
        let length = bytes.len();
        match damage {
            "gone" => fs::remove_file(list.path()).unwrap(),
            "empty" => fs::write(list.path(), "").unwrap(),
            "noise" => fs::write(list.path(), vec![0xa5; length]).unwrap(),
            "zeroed" => fs::write(list.path(), vec![0; length]).unwrap(),
            _ => fs::write(list.path(), &bytes[..length / 9]).unwrap(),
        }

        let (mut store, reports) = list.open_damaged();
        let all = store.load().unwrap();

        let recovery = reports.take_single();
        assert!(recovery.backup_path.is_some(), "{damage}");
        assert!(!recovery.is_complete(), "{damage}: states are lost");
        assert_eq!(recovery.missing, Some(0), "{damage}");
        assert_eq!(listed_ids(&mut store), ["a", "b", "d", "e"], "{damage}");
        let label = |at: usize| all[at].label.as_ref().map(CleanText::as_str);
        assert_eq!(label(1), Some("neon city"), "{damage}");
        assert_eq!(label(2), Some("later"), "{damage}");
        drop(store);
        assert_eq!(
            listed_ids(&mut list.open()),
            ["a", "b", "d", "e"],
            "{damage}"
        );
    }
}

#[test]
fn transactions_lost_by_the_wal_are_damage() {
    let list = list_with_history();
    let old_copy = fs::read(list.path()).unwrap();
    list.apply(&["f", "g", "h"].map(add));
    // An older copy is valid by itself.
    fs::write(list.path(), old_copy).unwrap();

    let read_only = list.open_to_read();
    assert!(
        matches!(read_only, Err(StoreError::Damaged(_))),
        "{read_only:?}"
    );
    let (mut store, reports) = list.open_damaged();

    let recovery = reports.take_single();
    assert_eq!((recovery.intact, recovery.partial), (4, 3));
    assert!(recovery.reason.contains("3 tasks"), "{recovery}");
    assert_eq!(listed_ids(&mut store).len(), 7);
}

/// Adds "f", and undoes the commit and the line that confirms it, as after a kill.
fn interrupt_add(list: &TestList) {
    let before = fs::read(list.path()).unwrap();
    list.apply(&[add("f")]);
    fs::write(list.path(), before).unwrap();
    let mut ids = fs::read_to_string(list.ids()).unwrap();
    ids.truncate(ids.trim_end().rfind('\n').unwrap() + 1);
    fs::write(list.ids(), ids).unwrap();
}

#[test]
fn an_interrupted_add_is_shown_by_a_running_program() {
    let (list, other) = (list_with_history(), list_with_history());
    let (mut store, reports) = list.open_damaged();
    let known = store.load().unwrap().len();
    interrupt_add(&other);
    fs::copy(other.ids(), list.ids()).unwrap();
    fs::rename(other.path(), list.path()).unwrap();

    let changed = changed_ids(&mut store);

    assert!(changed.contains(&"f".to_owned()), "{changed:?}");
    assert_eq!(reports.take_single().partial, 1);
    assert_eq!(store.load().unwrap().len(), known + 1);
}

#[test]
fn a_label_that_changes_nothing_is_no_damage() {
    let list = TestList::new();
    let label = CleanText::line("x", 256);
    list.apply(&[labelled("a", &label)]);
    for unchanged in [labelled("a", &label), set_label("a", "x")] {
        list.apply(&[unchanged]);

        // Fails on a report.
        assert_eq!(listed_ids(&mut list.open()), ["a"]);
    }
}

#[test]
fn an_add_interrupted_by_a_kill_is_kept() {
    let list = list_with_history();
    interrupt_add(&list);

    let (mut store, reports) = list.open_damaged();

    let recovery = reports.take_single();
    assert_eq!((&recovery.backup_path, recovery.partial), (&None, 1));
    assert!(recovery.is_complete());
    assert_eq!(listed_ids(&mut store), ["a", "b", "d", "e", "f"]);
    drop(store);
    let (_, reports) = list.open_damaged();
    assert_eq!(reports.take(), []);
}

#[test]
fn a_missing_id_file_is_rebuilt() {
    let list = list_with_history();
    fs::remove_file(list.ids()).unwrap();
    list.open_to_read().unwrap();
    assert!(!list.ids().exists(), "a reader does not create it");

    drop(list.open());
    let mut events = logged_events(&list);
    events.sort();
    assert_eq!(
        events,
        [
            "add a",
            "add b neon\\u{9}city",
            "add d later",
            "add e",
            "remove c",
        ]
    );

    let old_ids = fs::read(list.ids()).unwrap();
    let mut store = list.open();
    store.apply(&[add("f"), remove("a")]).unwrap();
    drop(store);
    fs::write(list.ids(), old_ids).unwrap();
    drop(list.open());
    let events = logged_events(&list);
    assert!(events.contains(&"add f".to_owned()) && events.contains(&"remove a".to_owned()));
    assert!(!events.contains(&"add a".to_owned()), "{events:?}");

    // While the list is open, the next change rewrites a missing file.
    let mut store = list.open();
    fs::remove_file(list.ids()).unwrap();
    store.apply(&[add("g")]).unwrap();
    assert_eq!(logged_events(&list).len(), 7);
}

#[test]
fn a_damaged_id_file_is_harmless_with_a_sound_list() {
    let list = list_with_history();
    let bytes = fs::read(list.ids()).unwrap();
    let half = bytes.len() / 2;
    for damaged in [b"".to_vec(), bytes[..half].to_vec(), vec![0xa5; half], {
        let mut flipped = bytes.clone();
        flipped[half] ^= 4;
        flipped
    }] {
        fs::write(list.ids(), damaged).unwrap();

        assert_eq!(listed_ids(&mut list.open()), ["a", "b", "d", "e"]);
        assert_eq!(logged_events(&list).len(), 5);
    }
}

#[test]
fn without_the_id_file_ids_come_from_other_tables() {
    let list = TestList::new();
    let notify_off = set_notify("notify-off", NotifySetting::Off);
    let answer = observed_as("answered", TaskState::New, TaskDetails::default(), "{}");
    let mut store = list.open();
    store
        .apply(&["journal", "answered", "notify-off", "gone"].map(add))
        .unwrap();
    store.apply(&[notify_off, answer, remove("gone")]).unwrap();
    drop(store);
    list.execute_sql(
        "DELETE FROM task; DELETE FROM journal WHERE task IN ('answered', 'notify-off');
         VACUUM; PRAGMA wal_checkpoint(TRUNCATE)",
    );
    fs::remove_file(list.ids()).unwrap();

    let (mut store, reports) = list.open_damaged();
    let all = listed_ids(&mut store);

    assert_eq!(all, ["answered", "journal", "notify-off"]);
    let recovery = reports.take_single();
    assert_eq!((recovery.partial, recovery.missing), (3, Some(1)));
    assert!(recovery.to_string().contains("1 is missing"), "{recovery}");
}

#[test]
fn without_id_file_and_first_page_ids_come_from_the_journal() {
    let list = TestList::new();
    let tasks: Vec<_> = (0..40).map(|n| format!("task-number-{n}")).collect();
    let mut store = list.open();
    let changes: Vec<_> = tasks.iter().map(|task| add(task)).collect();
    store.apply(&changes).unwrap();
    store.apply(&[remove("task-number-7")]).unwrap();
    drop(store);
    list.execute_sql("DELETE FROM task; PRAGMA wal_checkpoint(TRUNCATE)");
    fs::remove_file(list.ids()).unwrap();
    // The first page tells where the tables are.
    let mut bytes = fs::read(list.path()).unwrap();
    bytes[..8192].fill(0);
    fs::write(list.path(), bytes).unwrap();

    let (mut store, reports) = list.open_damaged();

    let all = listed_ids(&mut store);
    assert_eq!(all.len(), 39, "{all:?}");
    assert!(!all.contains(&"task-number-7".to_owned()));
    assert_eq!(reports.take_single().missing, Some(1));
}

#[test]
fn a_failed_id_line_refuses_the_add() {
    let list = list_with_history();
    let mut store = list.open();
    fs::remove_file(list.ids()).unwrap();
    fs::create_dir(list.ids()).unwrap();

    let result = store.apply(&[add("f")]);

    assert!(result.is_err(), "{result:?}");
    assert_eq!(listed_ids(&mut store), ["a", "b", "d", "e"]);
    fs::remove_dir(list.ids()).unwrap();
    let added = store.apply(&[add("f")]).unwrap();
    assert!(matches!(added[..], [ChangeResult::Added(_)]));
}

#[test]
fn a_bloated_id_file_is_compacted_on_open() {
    let list = list_with_history();
    let changes: Vec<_> = (0..4500)
        .map(|n| set_label("a", &format!("{n} {}", "x".repeat(240))))
        .collect();
    list.apply(&changes);
    assert!(fs::metadata(list.ids()).unwrap().len() > 1 << 20);

    drop(list.open());

    assert!(fs::metadata(list.ids()).unwrap().len() < 2000);
    let events = logged_events(&list);
    assert!(events[4].starts_with("add a 4499 xxx"), "{events:?}");
    assert_eq!(listed_ids(&mut list.open()), ["a", "b", "d", "e"]);
}
