//! Several instances on one list, and kills.

use std::{process::Stdio, sync::mpsc, thread, time::Duration};

use kietop::{
    adapters::store::{Recovery, SqliteStore, watch},
    domain::{list_change::ChangeResult, poll_result::PollError},
};

use super::kills;
use crate::support::{
    rerun::{job_path, rerun_test},
    store::*,
};

/// The time to wait for an expected event.
const MAX_WAIT: Duration = Duration::from_secs(10);

#[test]
fn two_threads_lose_no_add() {
    let list = TestList::new();

    thread::scope(|scope| {
        for side in ["left", "right"] {
            let list = &list;
            scope.spawn(move || {
                for n in 0..200 {
                    // An add in progress is not an interrupted one.
                    let fail = |recovery: &Recovery| panic!("{recovery}");
                    let mut store = SqliteStore::open(&list.path(), at(0), fail).unwrap();
                    let name = format!("{side}-{n}");
                    let applied = store.apply(&[add(&name)]).unwrap();
                    assert!(
                        matches!(applied[..], [ChangeResult::Added(_)]),
                        "{applied:?}"
                    );
                }
            });
        }
    });

    assert_eq!(list.open().load().unwrap().len(), 400);
}

// F72
#[test]
fn two_processes_lose_no_add() {
    if let Some(path) = job_path() {
        let mut store = SqliteStore::open(&path, at(0), assert_undamaged).unwrap();
        for n in 0..200 {
            let name = format!("{}-{n}", std::process::id());
            store.apply(&[add(&name)]).unwrap();
        }
        return;
    }
    let list = TestList::new();
    let path = list.path();

    let children = [(); 2].map(|()| {
        rerun_test("store::sharing::two_processes_lose_no_add", &path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    });
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }

    assert_eq!(list.open().load().unwrap().len(), 400);
}

#[test]
fn a_kill_loses_no_acknowledged_change() {
    let acknowledged = kills::run_rounds(
        "store::sharing::a_kill_loses_no_acknowledged_change",
        30,
        11,
    );

    assert!(
        acknowledged.adds >= 30 && acknowledged.removals > 0,
        "{acknowledged:?}"
    );
}

#[test]
fn concurrent_add_and_removal_both_apply() {
    let list = TestList::new();
    let (mut left, mut right) = (list.open(), list.open());
    left.apply(&[add("a"), add("b")]).unwrap();
    left.load().unwrap();
    right.load().unwrap();

    left.apply(&[remove("a")]).unwrap();
    let results = right.apply(&[add("c"), observed("a", success())]).unwrap();

    assert_eq!(results[1], ChangeResult::NotWatched);
    assert_eq!(changed_ids(&mut right), ["-a"]);
    assert_eq!(changed_ids(&mut left), ["c"]);
    assert_eq!(listed_ids(&mut left), ["b", "c"]);
    assert_eq!(listed_ids(&mut right), ["b", "c"]);
}

#[test]
fn external_changes_are_delivered_once() {
    let list = TestList::new();
    let (mut left, mut right) = (list.open(), list.open());
    left.load().unwrap();
    right.load().unwrap();

    left.apply(&[add("a")]).unwrap();
    right.apply(&[add("b")]).unwrap();
    left.apply(&[add("c")]).unwrap();
    right.apply(&[failed("b", PollError::TimedOut)]).unwrap();

    assert_eq!(changed_ids(&mut left), ["b"]);
    assert_eq!(changed_ids(&mut left), [""; 0]);
    assert_eq!(changed_ids(&mut right), ["a", "c"]);
    assert_eq!(changed_ids(&mut right), [""; 0]);

    left.apply(&[remove("b")]).unwrap();
    assert_eq!(changed_ids(&mut left), [""; 0]);
    assert_eq!(changed_ids(&mut right), ["-b"]);
}

#[test]
fn an_external_final_state_is_not_overwritten() {
    let list = TestList::new();
    let (mut left, mut right) = (list.open(), list.open());
    left.apply(&[add("a")]).unwrap();
    left.load().unwrap();
    right.load().unwrap();

    left.apply(&[observed("a", success())]).unwrap();
    let results = right.apply(&[observed("a", running())]).unwrap();

    let [ChangeResult::Updated { watched, .. }] = &results[..] else {
        panic!("{results:?}")
    };
    assert_eq!(watched.task.state(), &success());
    assert_eq!(left.load().unwrap()[0].task.state(), &success());
}

#[test]
fn a_commit_of_another_instance_is_detected() {
    let list = TestList::new();
    let (mut reader, mut writer) = (list.open(), list.open());
    reader.load().unwrap();
    let (calls, called) = mpsc::channel();

    let guard = watch(&list.path(), move || calls.send(()).unwrap()).unwrap();
    assert_eq!(guard.receives_events(), !cfg!(target_os = "macos"));
    writer.apply(&[add("a")]).unwrap();
    let changes = loop {
        called.recv_timeout(MAX_WAIT).expect("no event");
        let changes = changed_ids(&mut reader);
        if !changes.is_empty() {
            break changes;
        }
    };

    assert_eq!(changes, ["a"]);
    drop(guard);
    while called.recv_timeout(MAX_WAIT).is_ok() {}
    assert_eq!(
        called.recv_timeout(MAX_WAIT),
        Err(mpsc::RecvTimeoutError::Disconnected)
    );
}

#[test]
fn a_locked_file_is_waited_for_then_reported() {
    let list = TestList::new();
    let mut store = list.open();
    let holder = rusqlite::Connection::open(list.path()).unwrap();
    holder.execute_batch("BEGIN IMMEDIATE").unwrap();

    let result = store.apply(&[add("a")]);
    holder.execute_batch("ROLLBACK").unwrap();

    assert_eq!(result, Err(kietop::domain::list_change::StoreError::Busy));
    assert!(matches!(
        store.apply(&[add("a")]).unwrap()[..],
        [ChangeResult::Added(_)]
    ));
}
