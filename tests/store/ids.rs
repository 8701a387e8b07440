//! The file of ids beside the list: its content, and that damage to the list costs no id in it.

use std::{fs, os::unix::fs::MetadataExt as _};

use kietop::{
    adapters::store::SqliteStore,
    domain::{
        change::{Access, Applied, Change, StoreError},
        task::TaskState,
        text::CleanText,
    },
    ports::ListStore as _,
};

use crate::support::*;

fn names(store: &mut SqliteStore) -> Vec<String> {
    let all = store.load().unwrap();
    all.iter().map(|watched| watched.id().to_string()).collect()
}

/// Returns the words and ids of the file, line by line.
fn events(list: &List) -> Vec<String> {
    let text = fs::read_to_string(list.ids()).unwrap();
    let lines = text.lines().skip(1).map(|line| {
        let fields: Vec<_> = line.split('\t').skip(2).collect();
        fields.join(" ").trim_end().to_owned()
    });
    lines.filter(|line| !line.starts_with("done ")).collect()
}

fn label(task: &str, text: &str) -> Change {
    Change::Label {
        task: id(task),
        at: at(1),
        label: (!text.is_empty()).then(|| CleanText::line(text, 256)),
    }
}

#[test]
fn a_removal_that_a_broken_log_lost_holds_and_a_label_too() {
    let list = List::new();
    list.open().apply(&["a", "b"].map(add)).unwrap();
    let early = fs::read(list.path()).unwrap();
    list.open()
        .apply(&[remove("a"), label("b", "later")])
        .unwrap();
    fs::write(list.path(), early).unwrap();

    let (mut store, reports) = list.open_damaged();

    let all = store.load().unwrap();
    assert_eq!((all.len(), all[0].id().as_str()), (1, "b"));
    assert_eq!(all[0].label, Some(CleanText::line("later", 256)));
    assert!(reports.take_one().is_complete());
    assert_eq!(store.removed(9).unwrap().len(), 1);
}

/// Fills a list with tasks in several transactions: "a" to "d", of which "c" is removed, and "e",
/// removed and back.
fn begun() -> List {
    let list = List::new();
    let mut store = list.open();
    let named = CleanText::line("neon\tcity", 256);
    store.apply(&[add("a"), labelled("b", &named)]).unwrap();
    store.apply(&[add("c"), add("d"), add("e")]).unwrap();
    store.apply(&[observed("a", success())]).unwrap();
    store.apply(&[remove("c"), remove("e")]).unwrap();
    store.apply(&[restore("e"), label("d", "later")]).unwrap();
    list
}

#[test]
fn every_change_of_ids_and_labels_is_a_line() {
    let list = begun();
    let named = CleanText::line("named", 256);
    list.open()
        .apply(&[add("a"), labelled("a", &named), label("d", "")])
        .unwrap();

    assert_eq!(
        events(&list),
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
fn whatever_is_left_of_the_list_every_id_and_label_is_back_and_what_was_removed_is_not() {
    for damage in ["gone", "empty", "noise", "zeroed", "cut"] {
        let list = begun();
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

        let recovery = reports.take_one();
        assert!(recovery.kept_as.is_some(), "{damage}");
        assert!(!recovery.is_complete(), "{damage}: what was known is lost");
        assert_eq!(recovery.missing, Some(0), "{damage}");
        assert_eq!(names(&mut store), ["a", "b", "d", "e"], "{damage}");
        let label = |at: usize| all[at].label.as_ref().map(CleanText::as_str);
        assert_eq!(label(1), Some("neon city"), "{damage}");
        assert_eq!(label(2), Some("later"), "{damage}");
        drop(store);
        assert_eq!(names(&mut list.open()), ["a", "b", "d", "e"], "{damage}");
    }
}

#[test]
fn transactions_that_a_broken_log_lost_are_damage() {
    let list = begun();
    let early = fs::read(list.path()).unwrap();
    list.open().apply(&["f", "g", "h"].map(add)).unwrap();
    // An older copy: valid by itself.
    fs::write(list.path(), early).unwrap();

    let read = SqliteStore::open_as(&list.path(), Access::ReadOnly, at(0), undamaged);
    assert!(matches!(read, Err(StoreError::Damaged(_))), "{read:?}");
    let (mut store, reports) = list.open_damaged();

    let recovery = reports.take_one();
    assert_eq!((recovery.whole, recovery.named), (4, 3));
    assert!(recovery.why.contains("3 tasks"), "{recovery}");
    assert_eq!(names(&mut store).len(), 7);
}

#[test]
fn an_add_that_a_kill_cut_off_is_on_the_list_and_no_damage() {
    let list = begun();
    let before = fs::read(list.path()).unwrap();
    list.open().apply(&[add("f")]).unwrap();
    fs::write(list.path(), before).unwrap();
    // The kill came before the commit, so nothing confirms it.
    let mut ids = fs::read_to_string(list.ids()).unwrap();
    ids.truncate(ids.trim_end().rfind('\n').unwrap() + 1);
    fs::write(list.ids(), ids).unwrap();

    let (mut store, reports) = list.open_damaged();

    let recovery = reports.take_one();
    assert_eq!((&recovery.kept_as, recovery.named), (&None, 1));
    assert!(recovery.is_complete());
    assert_eq!(names(&mut store), ["a", "b", "d", "e", "f"]);
    drop(store);
    let (_, reports) = list.open_damaged();
    assert_eq!(reports.take(), []);
}

#[test]
fn a_list_without_the_file_gets_one_and_what_another_version_wrote_is_added_to_it() {
    let list = begun();
    fs::remove_file(list.ids()).unwrap();
    SqliteStore::open_as(&list.path(), Access::ReadOnly, at(0), undamaged).unwrap();
    assert!(!list.ids().exists(), "a reader makes none");

    drop(list.open());
    let mut told = events(&list);
    told.sort();
    assert_eq!(
        told,
        [
            "add a",
            "add b neon\\u{9}city",
            "add d later",
            "add e",
            "remove c",
        ]
    );

    let without = fs::read(list.ids()).unwrap();
    let mut store = list.open();
    store.apply(&[add("f"), remove("a")]).unwrap();
    drop(store);
    fs::write(list.ids(), without).unwrap();
    drop(list.open());
    let told = events(&list);
    assert!(told.contains(&"add f".to_owned()) && told.contains(&"remove a".to_owned()));
    assert!(!told.contains(&"add a".to_owned()), "{told:?}");

    // Also while in use: a missing file is rewritten with the next change.
    let mut store = list.open();
    fs::remove_file(list.ids()).unwrap();
    store.apply(&[add("g")]).unwrap();
    assert_eq!(events(&list).len(), 7);
}

#[test]
fn a_damaged_file_of_ids_costs_nothing_while_the_list_is_sound() {
    let list = begun();
    let bytes = fs::read(list.ids()).unwrap();
    let half = bytes.len() / 2;
    for damaged in [b"".to_vec(), bytes[..half].to_vec(), vec![0xa5; half], {
        let mut flipped = bytes.clone();
        flipped[half] ^= 4;
        flipped
    }] {
        fs::write(list.ids(), damaged).unwrap();

        assert_eq!(names(&mut list.open()), ["a", "b", "d", "e"]);
        assert_eq!(events(&list).len(), 5);
    }
}

#[test]
fn without_the_file_ids_come_from_journal_answers_and_quiet_tasks() {
    let list = List::new();
    let quiet = Change::Notify {
        task: id("quiet"),
        at: at(1),
        notices: kietop::domain::watched::Notices::Off,
    };
    let answer = observed_as(
        "answered",
        TaskState::New,
        kietop::domain::task::Facts::default(),
        "{}",
    );
    let mut store = list.open();
    store
        .apply(&["journal", "answered", "quiet", "gone"].map(add))
        .unwrap();
    store.apply(&[quiet, answer, remove("gone")]).unwrap();
    drop(store);
    list.sql(
        "DELETE FROM task; DELETE FROM journal WHERE task IN ('answered', 'quiet');
         VACUUM; PRAGMA wal_checkpoint(TRUNCATE)",
    );
    fs::remove_file(list.ids()).unwrap();

    let (mut store, reports) = list.open_damaged();
    let all = names(&mut store);

    assert_eq!(all, ["answered", "journal", "quiet"]);
    let recovery = reports.take_one();
    assert_eq!((recovery.named, recovery.missing), (3, Some(1)));
    assert!(recovery.to_string().contains("1 is missing"), "{recovery}");
}

#[test]
fn a_page_of_the_journal_that_cannot_be_read_gives_its_ids_all_the_same() {
    let list = List::new();
    let tasks: Vec<_> = (0..40).map(|n| format!("task-number-{n}")).collect();
    let mut store = list.open();
    let changes: Vec<_> = tasks.iter().map(|task| add(task)).collect();
    store.apply(&changes).unwrap();
    store.apply(&[remove("task-number-7")]).unwrap();
    drop(store);
    list.sql("DELETE FROM task; VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
    fs::remove_file(list.ids()).unwrap();
    // No table can be found any more, and nothing by SQL.
    let mut bytes = fs::read(list.path()).unwrap();
    bytes[..8192].fill(0);
    fs::write(list.path(), bytes).unwrap();

    let (mut store, reports) = list.open_damaged();

    let all = names(&mut store);
    assert_eq!(all.len(), 39, "{all:?}");
    assert!(!all.contains(&"task-number-7".to_owned()));
    assert_eq!(reports.take_one().missing, None);
}

#[test]
fn a_disk_that_does_not_take_the_line_refuses_the_add() {
    let list = begun();
    let mut store = list.open();
    fs::remove_file(list.ids()).unwrap();
    fs::create_dir(list.ids()).unwrap();

    let refused = store.apply(&[add("f")]);

    assert!(refused.is_err(), "{refused:?}");
    assert_eq!(names(&mut store), ["a", "b", "d", "e"]);
    fs::remove_dir(list.ids()).unwrap();
    let added = store.apply(&[add("f")]).unwrap();
    assert!(matches!(added[..], [Applied::Added(_)]));
}

#[test]
fn a_long_history_is_left_out_at_the_next_opening() {
    let list = begun();
    let changes: Vec<_> = (0..4500)
        .map(|n| label("a", &format!("{n} {}", "x".repeat(240))))
        .collect();
    list.open().apply(&changes).unwrap();
    assert!(fs::metadata(list.ids()).unwrap().len() > 1 << 20);

    drop(list.open());

    assert!(fs::metadata(list.ids()).unwrap().len() < 2000);
    let told = events(&list);
    assert!(told[4].starts_with("add a 4499 xxx"), "{told:?}");
    assert_eq!(names(&mut list.open()), ["a", "b", "d", "e"]);
}
