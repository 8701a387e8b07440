//! A disk that takes no more: what was acknowledged stays, the rest is refused aloud, and space
//! makes all well again.

#![expect(clippy::panic, reason = "test code")]

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use kietop::{
    adapters::store::SqliteStore,
    domain::{list_change::StoreError, task::TaskDetails, text::CleanText},
    ports::ListStore,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::*;

/// Adds tasks with long prompts until the disk refuses one; returns the names of those acknowledged
/// and the refusal.
fn add_until_refused(store: &mut SqliteStore) -> (Vec<String>, StoreError) {
    let facts = TaskDetails {
        prompt: Some(CleanText::block(&"word ".repeat(1600), 16 * 1024)),
        ..TaskDetails::default()
    };
    let mut acknowledged = Vec::new();
    for n in 0..5000 {
        let name = format!("t{n}");
        let changes = [
            add(&name),
            observed_as(&name, success(), facts.clone(), "{}"),
        ];
        match store.apply(&changes) {
            Ok(_) => acknowledged.push(name),
            Err(error) => return (acknowledged, error),
        }
    }
    panic!("the disk took 40 MB");
}

fn task_ids(store: &mut SqliteStore) -> Vec<String> {
    let mut names: Vec<_> = store
        .load()
        .unwrap()
        .iter()
        .map(|watched| watched.id().to_string())
        .collect();
    names.sort();
    names
}

/// Fills up, looks, makes room, writes on, and opens again.
fn fill_disk(path: &Path, make_room: impl FnOnce()) -> StoreError {
    let mut store = SqliteStore::open(path, at(0), assert_undamaged).unwrap();
    let (mut acknowledged, refusal) = add_until_refused(&mut store);
    acknowledged.sort();
    assert!(!acknowledged.is_empty());
    assert_eq!(
        task_ids(&mut store),
        acknowledged,
        "all, and no half of the last"
    );
    assert!(store.apply(&[add("small")]).is_err() || acknowledged.len() > 1);

    make_room();
    store.apply(&[add("later")]).unwrap();
    drop(store);

    let reports = RecoveryReports::default();
    let mut store = SqliteStore::open(path, at(0), reports.sink()).unwrap();
    assert_eq!(reports.take(), [], "a full disk is no damage");
    let after = task_ids(&mut store);
    assert!(acknowledged.iter().all(|name| after.contains(name)));
    assert!(after.contains(&"later".to_owned()));
    refusal
}

#[test]
fn a_full_disk_keeps_written_changes() {
    const TEST_NAME: &str = "disk_full::a_full_disk_keeps_written_changes";
    if let Some(folder) = job_path() {
        // A small disk of our own, with something on it that can be deleted.
        let filler = folder.join("filler");
        fs::write(&filler, vec![7; 512 * 1024]).unwrap();
        let refusal = fill_disk(&folder.join("list.db"), || {
            fs::remove_file(&filler).unwrap();
        });
        assert_eq!(refusal, StoreError::Full);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // A namespace needs no root; where it is forbidden, the limit below is the test that is left.
    let in_a_namespace = |script: &str, test: &Command| {
        let mut command = Command::new("unshare");
        command
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", script])
            .arg(folder.path())
            .arg(test.get_program())
            .args(test.get_args());
        for (name, value) in test.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command
    };
    let mount = "mount -t tmpfs -o size=2m tmpfs \"$0\"";
    let is_possible = in_a_namespace(mount, &Command::new("true"))
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !is_possible {
        println!("left out: no small disk can be mounted here");
        return;
    }

    let script = format!("{mount} && exec \"$@\"");
    let test = rerun_test(TEST_NAME, folder.path().to_str().unwrap());
    let output = in_a_namespace(&script, &test).output().unwrap();

    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("1 passed"), "{output:?}");
}

#[test]
fn a_file_size_limit_keeps_written_changes() {
    const TEST_NAME: &str = "disk_full::a_file_size_limit_keeps_written_changes";
    if let Some(path) = job_path() {
        let taken = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        // Without a handler the signal would end the process; with one, the write fails.
        signal_hook::flag::register(signal_hook::consts::SIGXFSZ, taken).unwrap();
        let before = getrlimit(Resource::Fsize);
        let limit = Rlimit {
            current: Some(256 * 1024),
            ..before
        };
        setrlimit(Resource::Fsize, limit).unwrap();
        let refusal = fill_disk(&path, || setrlimit(Resource::Fsize, before).unwrap());
        assert!(refusal.to_string().contains("ulimit -f"), "{refusal:?}");
        return;
    }
    let list = TestList::new();

    let output = rerun_test(TEST_NAME, list.path().to_str().unwrap())
        .output()
        .unwrap();

    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("1 passed"), "{output:?}");
}
