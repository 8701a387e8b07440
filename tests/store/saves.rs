//! Results on disk, as the list file keeps them: over restarts, versions, removals and damage.

use std::{fs, path::PathBuf};

use kietop::{
    domain::{
        change::{Change, Delta, JournalEvent, JournalLine},
        report::PollError,
        save::SaveError,
        status::Keeping,
        text::CleanText,
    },
    ports::ListStore as _,
};

use crate::support::{List, add, at, id, observed, remove, restore, success};

const PATH: &str = "/home/me/Videos/kietop/neon \u{1b}[1m\"city\".mp4";

fn begun(task: &str) -> Change {
    Change::SaveBegun {
        task: id(task),
        at: at(1),
        folder: "/home/me/Videos/kietop".into(),
    }
}

fn saved(task: &str) -> Change {
    Change::Saved {
        task: id(task),
        at: at(2),
        number: 1,
        path: PATH.into(),
    }
}

fn not_saved(task: &str, error: SaveError) -> Change {
    Change::NotSaved {
        task: id(task),
        at: at(2),
        error,
    }
}

fn words(lines: &[JournalLine]) -> Vec<String> {
    lines.iter().map(|line| line.event.words()).collect()
}

#[test]
fn what_was_saved_is_known_after_a_restart_a_removal_and_an_undo() {
    let list = List::new();
    let warned = Change::Warned {
        task: id("a"),
        at: at(3),
    };
    let changes = [
        add("a"),
        observed("a", success()),
        begun("a"),
        saved("a"),
        warned,
    ];
    list.open().apply(&changes).unwrap();

    let mut store = list.open();
    store.apply(&[remove("a"), restore("a")]).unwrap();
    let all = list.open().load().unwrap();

    let saves = &all[0].saves;
    assert_eq!(all[0].keeping(), Keeping::OnDisk);
    assert_eq!(saves.files()[0].path, PathBuf::from(PATH));
    assert_eq!((saves.begun.clone(), saves.warned), (None, Some(at(3))));
    let journal = store.journal(&id("a"), 99).unwrap();
    assert_eq!(
        journal[2],
        JournalLine {
            at: at(2),
            event: JournalEvent::Saved(CleanText::line(PATH, 999)),
        }
    );
    assert_eq!(
        words(&journal)[3..],
        ["removed from the list", "put back on the list"]
    );
}

#[test]
fn a_save_that_may_still_come_stays_begun() {
    let list = List::new();
    list.open()
        .apply(&[add("a"), observed("a", success()), begun("a")])
        .unwrap();
    let begun_in = || list.open().load().unwrap()[0].saves.begun.clone();
    assert_eq!(begun_in(), Some("/home/me/Videos/kietop".into()));

    let passing = SaveError::NoAnswer(PollError::CutOff);
    list.open().apply(&[not_saved("a", passing)]).unwrap();
    assert!(begun_in().is_some());
    let gone = SaveError::LinkGone {
        status: 404,
        why: None,
    };
    list.open().apply(&[not_saved("a", gone)]).unwrap();
    assert_eq!(begun_in(), None);
    let journal = list.open().journal(&id("a"), 99).unwrap();
    assert_eq!(
        words(&journal)[2..],
        [
            "not saved: the answer was cut off",
            "not saved: link gone (404); files live about 14 days"
        ]
    );
}

#[test]
fn a_retry_outlives_a_restart_and_fills_no_journal() {
    let list = List::new();
    list.open()
        .apply(&[add("a"), observed("a", success()), begun("a")])
        .unwrap();
    let not_yet = || SaveError::NotYet {
        status: 404,
        why: None,
    };
    let retry_in = || list.open().load().unwrap()[0].saves.retry;
    let failed_at = |second: u64, error| Change::NotSaved {
        task: id("a"),
        at: at(second),
        error,
    };

    list.open().apply(&[failed_at(2, not_yet())]).unwrap();
    let first = retry_in().unwrap();
    assert_eq!((first.tries, first.at), (1, at(7)));
    list.open().apply(&[failed_at(8, not_yet())]).unwrap();
    assert_eq!(retry_in().unwrap().tries, 2);
    let journal = list.open().journal(&id("a"), 99).unwrap();
    assert_eq!(words(&journal)[2..], ["not saved: not there yet (404)"]);

    list.open().apply(&[saved("a")]).unwrap();
    assert_eq!(retry_in(), None);
}

#[test]
fn another_instance_hears_of_a_saved_file() {
    let list = List::new();
    let mut one = list.open();
    one.apply(&[add("a"), observed("a", success())]).unwrap();
    let mut other = list.open();
    other.load().unwrap();

    one.apply(&[saved("a")]).unwrap();

    let deltas = other.changes().unwrap();
    let [Delta::Changed(watched)] = &deltas[..] else {
        panic!("{deltas:?}");
    };
    assert_eq!(watched.keeping(), Keeping::OnDisk);
}

#[test]
fn a_flipped_letter_in_a_path_is_damage_and_the_rest_is_kept() {
    let list = List::new();
    list.open()
        .apply(&[
            add("a"),
            observed("a", success()),
            saved("a"),
            add("b"),
            saved("b"),
        ])
        .unwrap();
    list.sql("UPDATE task SET saves = replace(saves, 'Videos', 'Videot') WHERE id = 'a'");

    let (mut store, reports) = list.open_damaged();
    let all = store.load().unwrap();

    reports.take_one();
    assert_eq!(all.len(), 2);
    assert_eq!(all[1].saves.files()[0].path, PathBuf::from(PATH));
    assert!(all[0].saves.files().is_empty(), "by its id only");
}

#[test]
fn a_file_of_the_first_version_learns_to_keep_them() {
    let list = List::new();
    fs::create_dir(list.path().parent().unwrap()).unwrap();
    list.sql(include_str!("../fixtures/store/v1.sql"));
    let mut store = list.open();
    assert!(list.files().contains(&"kietop.db.v1.bak".to_owned()));

    store.apply(&[saved("made")]).unwrap();

    let all = list.open().load().unwrap();
    assert_eq!(all[0].keeping(), Keeping::OnDisk);
    assert_eq!(all.len(), 3);
}

#[test]
fn a_damaged_file_of_the_first_version_gives_its_rows() {
    let list = List::new();
    fs::create_dir(list.path().parent().unwrap()).unwrap();
    list.sql(include_str!("../fixtures/store/v1.sql"));
    list.sql("UPDATE meta SET rows = 'x' || rows WHERE 0; DROP TABLE journal;");

    let (mut store, reports) = list.open_damaged();

    let rescued = reports.take_one();
    assert!(
        rescued.to_string().contains("3 tasks were carried over"),
        "{rescued}"
    );
    assert_eq!(store.load().unwrap().len(), 3);
}
