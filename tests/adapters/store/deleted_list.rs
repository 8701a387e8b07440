//! A list file that is deleted or moved while it is open: no new one is created, and nothing is
//! lost.

use std::{
    fs::{self, File},
    io::Write as _,
    path::PathBuf,
};

use kietop::{
    adapters::store::SqliteStore,
    domain::{
        list_change::{ChangeResult, StoreError},
        poll_result::PollError,
        query::ListView,
        task::{TaskDetails, TaskState},
        text::CleanText,
        watched_task::{NotifySetting, WatchedTask},
    },
};

use crate::support::store::*;

/// Opens a list with a finished task (labelled, saved, notifications off), a new task and a removed
/// one.
fn filled_store(list: &TestList) -> (SqliteStore, Vec<WatchedTask>, RecoveryReports) {
    let (mut store, reports) = list.open_damaged();
    let label = CleanText::line("name", 256);
    store
        .apply(&[
            labelled("a", &label),
            observed_as("a", success(), TaskDetails::default(), "{}"),
            save_finished("a", "/videos/a.mp4"),
            set_notify("a", NotifySetting::Off),
            add("b"),
            add("c"),
            remove("c"),
        ])
        .unwrap();
    let all = store.load().unwrap();
    (store, all, reports)
}

fn delete_list(list: &TestList) {
    for name in list.files() {
        fs::remove_file(list.path().with_file_name(name)).unwrap();
    }
}

fn list_folder(list: &TestList) -> PathBuf {
    list.path().parent().unwrap().to_owned()
}

fn missing_error(list: &TestList) -> StoreError {
    StoreError::Missing(list.path())
}

#[test]
fn a_deleted_list_is_reported_and_not_recreated() {
    let ways_to_delete: [fn(&TestList); 3] = [
        delete_list,
        |list| fs::remove_dir_all(list_folder(list)).unwrap(),
        |list| fs::rename(list_folder(list), list.dir.path().join("elsewhere")).unwrap(),
    ];
    for delete in ways_to_delete {
        let list = TestList::new();
        let (mut store, all, _) = filled_store(&list);
        delete(&list);
        let has_folder = list_folder(&list).exists();

        assert_eq!(store.external_changes(), Err(missing_error(&list)));
        assert_eq!(store.apply(&[add("d")]), Err(missing_error(&list)));
        assert_eq!(store.apply(&[]), Err(missing_error(&list)));
        store.save_last_seen(at(9)).unwrap_err();
        store.save_session(&ListView::default()).unwrap_err();
        assert_eq!(
            store.load().unwrap(),
            all,
            "the open file can still be read"
        );
        assert_eq!(store.read_journal(&id("a"), 9).unwrap().len(), 3);
        drop(store);

        assert_eq!(list_folder(&list).exists(), has_folder);
        assert!(!has_folder || list.files().is_empty(), "{:?}", list.files());
    }
}

#[test]
fn a_restored_list_is_written_again() {
    let list = TestList::new();
    let (mut store, _, reports) = filled_store(&list);
    let elsewhere = list.dir.path().join("elsewhere");
    fs::rename(list_folder(&list), &elsewhere).unwrap();
    store.apply(&[add("d")]).unwrap_err();

    fs::rename(&elsewhere, list_folder(&list)).unwrap();
    store.apply(&[add("d")]).unwrap();

    assert_eq!(reports.take(), []);
    assert_eq!(list.open().load().unwrap().len(), 3);
}

#[test]
fn a_missing_list_is_written_back_completely() {
    for loses_folder in [false, true] {
        let list = TestList::new();
        let (mut store, all, _) = filled_store(&list);
        if loses_folder {
            fs::remove_dir_all(list_folder(&list)).unwrap();
        } else {
            // SQLite would apply the remaining log to any file beside it.
            fs::remove_file(list.path()).unwrap();
        }

        store.write_back().unwrap();
        store.apply(&[add("d"), restore("c")]).unwrap();
        drop(store);

        let mut store = list.open();
        let mut after = store.load().unwrap();
        assert_eq!(after.remove(0), all[0]);
        assert_eq!(after.remove(0), all[1]);
        assert_eq!(ids_of(&after), ["c", "d"]);
        assert_eq!(store.read_journal(&id("a"), 9).unwrap().len(), 3);
        assert!(!list.files().iter().any(|name| name.contains(".new")));
    }
}

#[test]
fn writing_back_never_replaces_another_file() {
    let list = TestList::new();
    let (mut store, _, _) = filled_store(&list);
    delete_list(&list);
    list.apply(&[add("new")]);

    store.write_back().unwrap();

    assert_eq!(listed_ids(&mut list.open()), ["a", "b", "new"]);
}

#[test]
fn another_list_in_place_is_merged_by_id() {
    let list = TestList::new();
    let (mut store, all, reports) = filled_store(&list);
    let first = list.dir.path().join("first");
    fs::rename(list_folder(&list), &first).unwrap();
    // As on an unmounted disk: another instance adds tasks, one of them with less data.
    let mut other = list.open_at(at(50));
    other
        .apply(&[add("new"), add("a"), failed("a", PollError::TimedOut)])
        .unwrap();

    assert_eq!(changed_ids(&mut store), ["-c", "a", "b", "new"]);
    let report: String = reports.take().iter().map(ToString::to_string).collect();
    assert!(report.contains("2 tasks"), "{report}");
    let merged = store.load().unwrap();
    let a = &merged[0];
    assert_eq!(a.task.state(), &success());
    assert_eq!(
        (&a.label, &a.saved_results),
        (&all[0].label, &all[0].saved_results)
    );
    assert_eq!(store.read_journal(&id("b"), 9).unwrap().len(), 1);

    // The disk is mounted again: tasks that were added meanwhile are on it too.
    drop(other);
    fs::rename(list_folder(&list), list.dir.path().join("second")).unwrap();
    fs::rename(&first, list_folder(&list)).unwrap();
    let applied = store.apply(&[observed("new", success())]).unwrap();
    assert!(matches!(applied[..], [ChangeResult::Updated { .. }]));
    drop(store);
    let after = list.open().load().unwrap();
    assert_eq!(ids_of(&after), ["a", "b", "new"]);
    assert_eq!(after[0].notify, NotifySetting::Off);
}

#[test]
fn a_leftover_wal_is_not_applied_to_another_list() {
    let list = TestList::new();
    let (mut store, _, _) = filled_store(&list);
    let other = TestList::new();
    other.apply(&[add("x"), add("y")]);
    fs::rename(other.path(), list.path()).unwrap();

    assert_eq!(changed_ids(&mut store), ["-c", "a", "b", "x", "y"]);
    drop(store);

    assert_eq!(list.open().load().unwrap().len(), 4);
}

#[test]
fn a_reader_moves_no_wal_aside() {
    let list = TestList::new();
    let (store, _, _) = filled_store(&list);
    let mut reader = list.open_to_read().unwrap();
    let other = TestList::new();
    other.apply(&[add("x")]);
    fs::rename(other.path(), list.path()).unwrap();
    let before = list.files();

    drop(reader.external_changes());

    assert_eq!(list.files(), before);
    drop(store);
}

#[test]
fn later_removals_of_the_other_list_are_kept() {
    let list = TestList::new();
    let (mut store, _, reports) = filled_store(&list);
    delete_list(&list);
    let mut other = list.open();
    other
        .apply(&[add("a"), add("b"), remove_at("a", 5)])
        .unwrap();
    other.apply(&[remove_at("b", 5)]).unwrap();

    assert_eq!(changed_ids(&mut store), ["-a", "-b", "-c"]);
    assert_eq!(reports.take(), []);
}

#[test]
fn garbage_in_place_of_the_list_is_set_aside() {
    let list = TestList::new();
    let (mut store, all, reports) = filled_store(&list);
    let text = list.dir.path().join("text");
    fs::write(&text, "not a database").unwrap();
    fs::rename(&text, list.path()).unwrap();

    store.apply(&[add("d")]).unwrap();

    let report: String = reports.take().iter().map(ToString::to_string).collect();
    assert!(report.contains("damaged"), "{report}");
    let after = store.load().unwrap();
    assert_eq!(after[..2], all[..]);
    assert_eq!(after.len(), 3);
    assert!(list.files().iter().any(|name| name.contains(".corrupt-")));
}

#[test]
fn garbage_written_over_the_list_is_set_aside() {
    let list = TestList::new();
    let (mut store, all, _) = filled_store(&list);
    // Into the open file itself, after its log was checkpointed.
    list.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)");
    let mut file = File::options()
        .write(true)
        .truncate(true)
        .open(list.path())
        .unwrap();
    file.write_all(b"not a database").unwrap();

    let mut result = store.apply(&[add("d")]);
    for _ in 0..2 {
        result = result.or_else(|_| store.apply(&[add("d")]));
    }

    result.unwrap();
    drop(store);
    let after = listed_ids(&mut list.open());
    assert!(after.contains(&"d".to_owned()), "{after:?} {all:?}");
}

#[test]
fn a_non_regular_file_in_place_is_refused() {
    let list = TestList::new();
    let (mut store, all, reports) = filled_store(&list);
    delete_list(&list);
    fs::create_dir(list.path()).unwrap();

    let result = store.apply(&[add("d")]);

    let Err(StoreError::Other(why)) = result else {
        panic!("{result:?}")
    };
    assert!(
        why.ends_with("is a folder; use a file with --store"),
        "{why}"
    );
    assert_eq!(reports.take(), []);
    fs::remove_dir(list.path()).unwrap();
    store.write_back().unwrap();
    assert_eq!(store.load().unwrap(), all);
}

#[test]
fn a_read_only_list_is_readable_after_deletion() {
    let list = TestList::new();
    let (store, all, _) = filled_store(&list);
    drop(store);
    let mut reader = list.open_to_read().unwrap();
    reader.load().unwrap();
    delete_list(&list);

    assert_eq!(reader.external_changes(), Err(missing_error(&list)));
    assert_eq!(reader.load().unwrap(), all);
    assert_eq!(reader.apply(&[]), Err(missing_error(&list)));
    reader.write_back().unwrap_err();
    assert_eq!(list.files(), [""; 0]);
    list.apply(&[add("new")]);
    assert_eq!(reader.apply(&[]), Ok(Vec::new()), "the list is there again");
    assert_eq!(changed_ids(&mut reader), ["new"]);
    let state = |watched: &WatchedTask| watched.task.state().clone();
    assert_eq!(state(&all[1]), TaskState::New);
}
