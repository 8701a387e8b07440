//! A full disk: acknowledged changes are kept, others fail with an error, and writing works again
//! once there is space.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use kietop::{
    adapters::store::SqliteStore,
    domain::{list_change::StoreError, task::TaskDetails, text::CleanText},
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::{
    rerun::{assert_passes, job_path, rerun_test},
    store::*,
};

/// Adds tasks with long prompts until one fails. Returns the acknowledged ids and the error.
fn add_until_refused(store: &mut SqliteStore) -> (Vec<String>, StoreError) {
    let details = TaskDetails {
        prompt: Some(CleanText::block(&"word ".repeat(1600), 16 * 1024)),
        ..TaskDetails::default()
    };
    let mut acknowledged = Vec::new();
    for n in 0..5000 {
        let name = format!("t{n}");
        let changes = [
            add(&name),
            observed_as(&name, success(), details.clone(), "{}"),
        ];
        match store.apply(&changes) {
            Ok(_) => acknowledged.push(name),
            Err(error) => return (acknowledged, error),
        }
    }
    panic!("40 MB fit on the disk");
}

/// Fills the disk, checks the list, frees space, writes again, and reopens the list. Returns the
/// error of the full disk.
fn fill_disk(path: &Path, free_space: impl FnOnce()) -> StoreError {
    let mut store = SqliteStore::open(path, at(0), assert_undamaged).unwrap();
    let (mut acknowledged, error) = add_until_refused(&mut store);
    acknowledged.sort();
    assert!(!acknowledged.is_empty());
    assert_eq!(
        listed_ids(&mut store),
        acknowledged,
        "all, and nothing of the failed change"
    );
    assert!(store.apply(&[add("small")]).is_err() || acknowledged.len() > 1);

    free_space();
    store.apply(&[add("later")]).unwrap();
    drop(store);

    let reports = RecoveryReports::default();
    let mut store = SqliteStore::open(path, at(0), reports.sink()).unwrap();
    assert_eq!(reports.take(), [], "a full disk is not damage");
    let after = listed_ids(&mut store);
    assert!(acknowledged.iter().all(|name| after.contains(name)));
    assert!(after.contains(&"later".to_owned()));
    error
}

#[test]
fn a_full_disk_keeps_written_changes() {
    const TEST_NAME: &str = "store::disk_full::a_full_disk_keeps_written_changes";
    if let Some(folder) = job_path() {
        // A small disk with a file that can be deleted.
        let filler = folder.join("filler");
        fs::write(&filler, vec![7; 512 * 1024]).unwrap();
        let error = fill_disk(&folder.join("list.db"), || {
            fs::remove_file(&filler).unwrap();
        });
        assert_eq!(error, StoreError::Full);
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    // Mounting in a user namespace needs no root, but may be forbidden.
    let in_namespace = |script: &str, test: &Command| {
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
    let is_possible = in_namespace(mount, &Command::new("true"))
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !is_possible {
        println!("skipped: cannot mount a small disk here");
        return;
    }

    let script = format!("{mount} && exec \"$@\"");
    let test = rerun_test(TEST_NAME, folder.path());
    assert_passes(&mut in_namespace(&script, &test));
}

#[test]
fn a_file_size_limit_keeps_written_changes() {
    const TEST_NAME: &str = "store::disk_full::a_file_size_limit_keeps_written_changes";
    if let Some(path) = job_path() {
        let received = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        // With a handler for the signal the write fails; without one the process would be killed.
        signal_hook::flag::register(signal_hook::consts::SIGXFSZ, received).unwrap();
        let before = getrlimit(Resource::Fsize);
        let limit = Rlimit {
            current: Some(256 * 1024),
            ..before
        };
        setrlimit(Resource::Fsize, limit).unwrap();
        let error = fill_disk(&path, || setrlimit(Resource::Fsize, before).unwrap());
        assert!(error.to_string().contains("ulimit -f"), "{error:?}");
        return;
    }
    let list = TestList::new();

    assert_passes(&mut rerun_test(TEST_NAME, list.path()));
}
