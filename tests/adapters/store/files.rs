//! The list file: permissions, symbolic links, versions and damage.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, symlink},
        process::CommandExt,
    },
    path::Path,
};

use kietop::{
    adapters::store::SqliteStore,
    domain::{
        list_change::{ChangeResult, StoreError},
        query::ListView,
        status::ResultLocation,
        task::TaskState,
        text::CleanText,
    },
};

use super::{
    command_damage,
    damage::{self, fill_list},
};
use crate::support::{
    rerun::{assert_passes, job_path, rerun_test},
    store::*,
};

fn file_mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

#[test]
fn the_file_is_private_whatever_the_umask() {
    if let Some(path) = job_path() {
        rustix::process::umask(rustix::fs::Mode::empty());
        let mut store = SqliteStore::open(&path, at(0), assert_undamaged).unwrap();
        store.apply(&[add("a")]).unwrap();
        assert_eq!(file_mode(path.parent().unwrap()), 0o700);
        for suffix in ["", "-wal", "-shm"] {
            let path = format!("{}{suffix}", path.display());
            assert_eq!(file_mode(Path::new(&path)), 0o600, "{path}");
        }
        return;
    }
    let list = TestList::new();

    let test = "store::files::the_file_is_private_whatever_the_umask";
    assert_passes(&mut rerun_test(test, list.path()));
    assert_eq!(file_mode(&list.path()), 0o600);
}

#[test]
fn a_readable_file_is_made_private() {
    let list = TestList::new();
    drop(list.open());
    fs::set_permissions(list.path(), Permissions::from_mode(0o644)).unwrap();

    list.apply(&[add("a")]);

    assert_eq!(file_mode(&list.path()), 0o600);
}

#[test]
fn a_symlink_is_kept() {
    let list = TestList::new();
    let link = list.dir.path().join("link.db");
    symlink("data/kietop.db", &link).unwrap();

    let mut store = SqliteStore::open(&link, at(0), assert_undamaged).unwrap();
    store.apply(&[add("a")]).unwrap();

    assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    assert_eq!(file_mode(&list.path()), 0o600);
    assert!(list.files().contains(&"kietop.db-wal".to_owned()));
    assert!(!list.dir.path().join("link.db-wal").exists());
    assert_eq!(list.open().load().unwrap().len(), 1);
}

// F69
#[test]
fn a_read_only_list_is_shown() {
    const TEST_NAME: &str = "store::files::a_read_only_list_is_shown";
    if let Some(path) = job_path() {
        let mut store = SqliteStore::open(&path, at(0), assert_undamaged).unwrap();
        assert_eq!(listed_ids(&mut store), ["a"]);
        assert_eq!(store.external_changes().unwrap(), []);
        let result = store.apply(&[add("b")]);
        assert!(matches!(result, Err(StoreError::ReadOnly(_))), "{result:?}");
        let elsewhere = path.with_file_name("other.db");
        let result = SqliteStore::open(&elsewhere, at(0), assert_undamaged);
        assert!(matches!(result, Err(StoreError::ReadOnly(_))), "{result:?}");
        return;
    }
    let list = TestList::new();
    list.apply(&[add("a")]);
    let folder = list.path().parent().unwrap().to_owned();
    fs::set_permissions(list.dir.path(), Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&folder, Permissions::from_mode(0o555)).unwrap();
    fs::set_permissions(list.path(), Permissions::from_mode(0o444)).unwrap();
    let before = fs::read(list.path()).unwrap();

    // Root can write anywhere, so run the test as nobody.
    let mut child = rerun_test(TEST_NAME, list.path());
    if rustix::process::geteuid().is_root() {
        child.uid(65534).gid(65534);
    }
    assert_passes(&mut child);
    fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
    assert_eq!(fs::read(list.path()).unwrap(), before);
    assert_eq!(list.files(), ["kietop.db", "kietop.db.ids"]);
}

#[test]
fn a_newer_file_is_not_modified() {
    for version in [5, 99] {
        let list = TestList::new();
        list.apply(&[add("a")]);
        list.execute_sql(&format!("PRAGMA user_version = {version}"));
        let before = fs::read(list.path()).unwrap();

        let result = SqliteStore::open(&list.path(), at(0), assert_undamaged);

        let error = result.unwrap_err();
        let expected = StoreError::NewerVersion {
            found: version,
            known: 4,
        };
        assert_eq!(error, expected);
        assert_eq!(fs::read(list.path()).unwrap(), before);
        assert!(fs::metadata(list.path()).unwrap().len() > 0);
    }
}

#[test]
fn another_programs_database_is_not_modified() {
    let list = TestList::with_file(b"");
    list.execute_sql("CREATE TABLE places (id INTEGER); INSERT INTO places VALUES (1)");
    let before = fs::read(list.path()).unwrap();

    let result = SqliteStore::open(&list.path(), at(0), assert_undamaged);

    assert!(matches!(result, Err(StoreError::Other(_))), "{result:?}");
    assert_eq!(fs::read(list.path()).unwrap(), before);
    assert_eq!(list.files(), ["kietop.db"]);
}

#[test]
fn a_version_1_file_is_read_and_migrated() {
    let list = TestList::version_1();

    let mut store = list.open();

    let all = store.load().unwrap();
    assert_eq!(ids_of(&all), ["made", "new", "running"]);
    assert_eq!(all[0].task.state(), &success());
    assert_eq!(all[1].label, Some(CleanText::line("a \u{1b}[1mname", 256)));
    assert_eq!(store.load_session().unwrap().removals, [[id("removed")]]);
    assert_eq!(store.read_journal(&id("made"), 9).unwrap().len(), 2);
    assert!(list.files().contains(&"kietop.db.v1.bak".to_owned()));
    let ids = fs::read_to_string(list.ids()).unwrap();
    assert!(
        ids.contains("add\tmade"),
        "an id file is made for it: {ids}"
    );
    store.save_session(&ListView::default()).unwrap();
    store.apply(&[save_finished("made", "/a.mp4")]).unwrap();
    let all = list.open().load().unwrap();
    assert_eq!(all[0].result_location(), ResultLocation::OnDisk);
    assert_eq!(all.len(), 3);
}

#[test]
fn a_damaged_version_1_file_is_recovered() {
    let list = TestList::version_1();
    list.execute_sql("DROP TABLE journal");

    let (mut store, reports) = list.open_damaged();

    let report = reports.take_single().to_string();
    assert!(report.contains("Recovered 3 tasks"), "{report}");
    assert_eq!(store.load().unwrap().len(), 3);
}

#[test]
fn read_only_open_creates_nothing() {
    let list = TestList::new();
    let mut reader = list.open_to_read().unwrap();
    let refusal = |result| assert!(matches!(result, Err(StoreError::ReadOnly(_))), "{result:?}");

    assert_eq!(reader.load().unwrap(), []);
    refusal(reader.apply(&[add("a")]));
    let files = fs::read_dir(list.dir.path()).unwrap();
    assert_eq!(files.count(), 0, "no file, no folder");

    let mut writer = list.open();
    writer.apply(&[add("a")]).unwrap();
    assert_eq!(changed_ids(&mut reader), ["a"]);
    writer.apply(&[add("b")]).unwrap();
    assert_eq!(changed_ids(&mut reader), ["b"]);
    refusal(reader.apply(&[add("c")]));
    assert_eq!(writer.load().unwrap().len(), 2);
}

#[test]
fn read_only_open_keeps_a_damaged_file() {
    let list = TestList::with_file(b"not a database");

    let result = list.open_to_read();

    assert!(matches!(result, Err(StoreError::Damaged(_))), "{result:?}");
    assert_eq!(list.files(), ["kietop.db"]);
    assert_eq!(fs::read(list.path()).unwrap(), b"not a database");
}

#[test]
fn a_non_list_file_is_set_aside() {
    let list = TestList::with_file(b"not a database");

    let (mut store, reports) = list.open_damaged();

    let backup = reports.take_single().backup_path.unwrap();
    assert_eq!(
        backup.file_name().unwrap(),
        "kietop.db.corrupt-20260921T141320Z"
    );
    assert_eq!(fs::read(backup).unwrap(), b"not a database");
    assert_eq!(store.load().unwrap(), []);
    store.apply(&[add("a")]).unwrap();
    assert_eq!(list.open().load().unwrap().len(), 1);
}

#[test]
fn two_backups_in_one_second_do_not_collide() {
    let list = TestList::with_file(b"");
    for text in ["first", "second"] {
        fs::write(list.path(), text).unwrap();
        list.open_damaged();
    }

    let name = "kietop.db.corrupt-20260921T141320Z";
    let second_name = format!("{name}-2");
    assert_eq!(
        list.files(),
        ["kietop.db", name, &second_name, "kietop.db.ids"]
    );
    let second = list.path().with_file_name(second_name);
    assert_eq!(fs::read(second).unwrap(), b"second");
}

#[test]
fn a_lost_file_header_loses_no_task() {
    let list = TestList::new();
    let all = fill_list(&list, false);
    let mut bytes = fs::read(list.path()).unwrap();
    bytes[..1000].fill(0xa5);
    fs::write(list.path(), bytes).unwrap();

    let (mut store, reports) = list.open_damaged();

    assert_eq!(listed_ids(&mut store), ids_of(&all));
    let recovery = reports.take_single();
    assert_eq!(recovery.intact + recovery.partial, all.len());
    assert!(recovery.intact >= all.len() * 8 / 10, "{recovery}");
}

#[test]
fn a_lost_file_with_its_wal_loses_no_task() {
    let list = TestList::new();
    let all = fill_list(&list, true);
    fs::write(list.path(), "").unwrap();

    let (mut store, reports) = list.open_damaged();

    reports.take_single();
    assert_eq!(listed_ids(&mut store), ids_of(&all));
}

#[test]
fn damage_found_in_use_is_reported_and_recovered() {
    let list = TestList::new();
    let all = fill_list(&list, false);
    let (mut store, reports) = list.open_damaged();
    // No copy of the old row may be left, or it is recovered.
    list.execute_sql(
        "UPDATE task SET prompt = 'wordy'
         WHERE id = (SELECT max(id) FROM task WHERE removed_at IS NULL);
         VACUUM; PRAGMA wal_checkpoint(TRUNCATE)",
    );

    let loaded = store.load().unwrap();

    let recovery = reports.take_single();
    assert_eq!((recovery.intact, recovery.partial), (all.len() - 1, 1));
    assert_eq!(ids_of(&loaded), ids_of(&all));
    assert_eq!(loaded[0], all[0]);
    let damaged = loaded.last().unwrap();
    assert_eq!(damaged.task.state(), &TaskState::New);
    assert_eq!(damaged.label, all.last().unwrap().label);
    assert_eq!(reports.take(), []);
    assert!(recovery.backup_path.unwrap().exists());
}

#[test]
fn a_file_replaced_by_another_instance_is_reopened() {
    let list = TestList::new();
    fill_list(&list, false);
    let ((mut first, reports), mut second) = (list.open_damaged(), list.open());
    list.execute_sql("UPDATE meta SET rows = 7");

    let all = first.load().unwrap();
    reports.take_single();
    let applied = second.apply(&[add("later")]).unwrap();
    let first_changes = changed_ids(&mut first);
    let second_changes = changed_ids(&mut second);
    drop(second);
    first.apply(&[add("last")]).unwrap();
    drop(first);

    assert!(matches!(applied[..], [ChangeResult::Added(_)]));
    assert_eq!(first_changes, ["later"]);
    let all_ids = ids_of(&all);
    let is_reported = |id: &&str| second_changes.iter().any(|changed| changed == id);
    assert!(all_ids.iter().all(is_reported), "every row of a new file");
    assert_eq!(list.open().load().unwrap().len(), all.len() + 2);
}

#[test]
fn all_damage_is_detected() {
    let outcome = damage::run_rounds(120, 7);

    assert!(
        outcome.set_aside > 20 && outcome.refused < 10,
        "{outcome:?}"
    );
}

#[test]
fn every_command_reports_damage() {
    let counts = command_damage::run_rounds(env!("CARGO_BIN_EXE_kietop"), 60, 11);

    assert!(counts.set_aside > 20, "{counts}");
}

#[test]
fn foreign_triggers_and_keys_are_inert() {
    let list = TestList::new();
    list.apply(&[add("a")]);
    list.execute_sql(
        "CREATE TRIGGER t AFTER UPDATE ON meta BEGIN UPDATE task SET label = 'pwned'; END;
         CREATE TRIGGER u AFTER INSERT ON task BEGIN DELETE FROM task WHERE id = 'a'; END;
         CREATE TABLE child (task TEXT REFERENCES task (id) ON DELETE RESTRICT);
         INSERT INTO child VALUES ('a')",
    );

    let mut store = list.open();
    store.apply(&[add("b"), observed("a", success())]).unwrap();

    let all = list.open().load().unwrap();
    assert_eq!(ids_of(&all), ["a", "b"]);
    assert!(all.iter().all(|watched| watched.label.is_none()));
}

#[test]
fn a_view_in_place_of_a_table_is_not_read() {
    let list = TestList::new();
    list.apply(&[add("a")]);
    list.execute_sql(
        "ALTER TABLE journal RENAME TO journal_2;
         CREATE VIEW journal AS SELECT 1 AS seq, 2 AS at, 'x' AS task, 'added' AS kind, NULL AS detail",
    );

    let (mut store, reports) = list.open_damaged();

    reports.take_single();
    assert_eq!(listed_ids(&mut store), ["a"]);
}
