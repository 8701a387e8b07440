//! Saved results in the list file: restarts, versions, removals and damage.

use std::path::PathBuf;

use kietop::domain::{
    download::DownloadError,
    list_change::{ChangeKind, ExternalChange, JournalEvent, JournalLine, ListChange},
    poll_result::PollError,
    status::ResultLocation,
    text::CleanText,
};

use crate::support::store::*;

const SAVED_PATH: &str = "/home/me/Videos/kietop/neon \u{1b}[1m\"city\".mp4";

fn save_started(task: &str) -> ListChange {
    ListChange::new(
        id(task),
        at(1),
        ChangeKind::SaveBegun("/home/me/Videos/kietop".into()),
    )
}

fn save_failed(task: &str, error: DownloadError) -> ListChange {
    ListChange::new(id(task), at(2), ChangeKind::SaveFailed(error))
}

fn descriptions(lines: &[JournalLine]) -> Vec<String> {
    lines.iter().map(|line| line.event.description()).collect()
}

#[test]
fn saved_results_survive_restart_removal_and_undo() {
    let list = TestList::new();
    let warned = ListChange::new(id("a"), at(3), ChangeKind::ExpiryWarned);
    let changes = [
        add("a"),
        observed("a", success()),
        save_started("a"),
        save_finished("a", SAVED_PATH),
        warned,
    ];
    list.apply(&changes);

    let mut store = list.open();
    store.apply(&[remove("a"), restore("a")]).unwrap();
    let all = list.open().load().unwrap();

    let saved = &all[0].saved_results;
    assert_eq!(all[0].result_location(), ResultLocation::OnDisk);
    assert_eq!(saved.files()[0].path, PathBuf::from(SAVED_PATH));
    assert_eq!(saved.pending_folder, None);
    assert_eq!(saved.expiry_warned, Some(at(3)));
    let journal = store.read_journal(&id("a"), 99).unwrap();
    let event = JournalEvent::Saved(CleanText::line(SAVED_PATH, 999));
    assert_eq!(journal[2], JournalLine { at: at(2), event });
    let tail = &descriptions(&journal)[3..];
    assert_eq!(tail, ["removed from the list", "restored"]);
}

#[test]
fn a_pending_save_stays_started() {
    let list = TestList::new();
    list.apply(&[add("a"), observed("a", success()), save_started("a")]);
    let pending_folder = || {
        list.open().load().unwrap()[0]
            .saved_results
            .pending_folder
            .clone()
    };
    assert_eq!(pending_folder(), Some("/home/me/Videos/kietop".into()));

    let transient = DownloadError::NoAnswer(PollError::ConnectionLost);
    list.apply(&[save_failed("a", transient)]);
    assert!(pending_folder().is_some());
    let permanent = DownloadError::LinkExpired {
        status: 404,
        why: None,
    };
    list.apply(&[save_failed("a", permanent)]);
    assert_eq!(pending_folder(), None);
    let journal = list.open().read_journal(&id("a"), 99).unwrap();
    assert_eq!(
        descriptions(&journal)[2..],
        [
            "save failed: connection lost during the answer",
            "save failed: link expired (404); files are kept for about 14 days"
        ]
    );
}

#[test]
fn a_retry_survives_a_restart_without_journal_lines() {
    let list = TestList::new();
    list.apply(&[add("a"), observed("a", success()), save_started("a")]);
    let not_ready = || DownloadError::NotReady {
        status: 404,
        why: None,
    };
    let retry = || list.open().load().unwrap()[0].saved_results.retry;
    let failed_at =
        |second: u64, error| ListChange::new(id("a"), at(second), ChangeKind::SaveFailed(error));

    list.apply(&[failed_at(2, not_ready())]);
    let first = retry().unwrap();
    assert_eq!((first.tries, first.at), (1, at(7)));
    list.apply(&[failed_at(8, not_ready())]);
    assert_eq!(retry().unwrap().tries, 2);
    let journal = list.open().read_journal(&id("a"), 99).unwrap();
    let tail = &descriptions(&journal)[2..];
    assert_eq!(tail, ["save failed: not ready yet (404)"]);

    list.apply(&[save_finished("a", SAVED_PATH)]);
    assert_eq!(retry(), None);
}

#[test]
fn another_instance_sees_a_saved_file() {
    let list = TestList::new();
    let mut first = list.open();
    first.apply(&[add("a"), observed("a", success())]).unwrap();
    let mut second = list.open();
    second.load().unwrap();

    first.apply(&[save_finished("a", SAVED_PATH)]).unwrap();

    let ExternalChange::Changed(watched) = single_change(&mut second) else {
        panic!("removed")
    };
    assert_eq!(watched.result_location(), ResultLocation::OnDisk);
}

#[test]
fn a_flipped_byte_in_a_path_is_damage() {
    let list = TestList::new();
    list.apply(&[
        add("a"),
        observed("a", success()),
        save_finished("a", SAVED_PATH),
        add("b"),
        save_finished("b", SAVED_PATH),
    ]);
    list.execute_sql("UPDATE task SET saves = replace(saves, 'Videos', 'Videot') WHERE id = 'a'");

    let (mut store, reports) = list.open_damaged();
    let all = store.load().unwrap();

    reports.take_single();
    assert_eq!(all.len(), 2);
    let files = |at: usize| all[at].saved_results.files();
    assert_eq!(files(1)[0].path, PathBuf::from(SAVED_PATH));
    assert!(files(0).is_empty(), "recovered by id only");
}
