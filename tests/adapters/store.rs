//! The list store: every change survives a restart, in every state and with any text.

use std::time::Duration;

use jiff::Timestamp;
use kietop::{
    adapters::store::SqliteStore,
    domain::{
        link::{Link, Links},
        list_change::{ChangeResult, JournalEvent, ListChange, StoreError},
        poll_result::{Observation, PollError},
        query::{ListView, Query, SortColumn, SortOrder},
        saved_session::SavedSession,
        status::Tab,
        task::{CallbackStatus, FailureStage, SuccessFlag, Task, TaskDetails, TaskState},
        text::CleanText,
        watched_task::WatchedTask,
    },
};
use proptest::{collection::vec, option, prelude::*};

mod command_damage;
mod damage;
mod deleted_list;
mod disk_full;
mod files;
mod id_file;
mod kills;
mod nightly;
mod saved_results;
mod sharing;
mod task_settings;

use crate::support::store::*;

/// Returns the result of a change that changes nothing.
fn unchanged(watched: &WatchedTask) -> ChangeResult {
    ChangeResult::Updated {
        watched: Box::new(watched.clone()),
        journal: Vec::new(),
    }
}

/// Returns the last events of task "a".
fn last_events(store: &mut SqliteStore, count: usize) -> Vec<JournalEvent> {
    let lines = store.read_journal(&id("a"), count).unwrap();
    lines.into_iter().map(|line| line.event).collect()
}

#[test]
fn an_added_task_survives_a_restart() {
    let list = TestList::new();
    let label = CleanText::line("first \u{1b}[31m try", 256);
    let expected = WatchedTask::new(Task::new(id("a"), FAMILY), Some(label.clone()), at(0));

    let mut store = list.open();
    assert_eq!(store.load().unwrap(), []);
    let applied = store.apply(&[labelled("a", &label)]).unwrap();
    drop(store);

    assert_eq!(applied, [ChangeResult::Added(Box::new(expected.clone()))]);
    assert_eq!(list.open().load().unwrap(), [expected]);
}

#[test]
fn adding_twice_is_reported_and_keeps_the_label() {
    let list = TestList::new();
    let mut store = list.open();
    let label = CleanText::line("name", 256);
    store.apply(&[add("a")]).unwrap();
    store.load().unwrap();

    let results = store.apply(&[add("a"), labelled("a", &label)]).unwrap();
    let other = CleanText::line("another name", 256);
    store.apply(&[labelled("a", &other)]).unwrap();

    let expected = WatchedTask::new(Task::new(id("a"), FAMILY), Some(label), at(0));
    assert_eq!(results.last(), Some(&unchanged(&expected)));
    assert_eq!(store.external_changes().unwrap(), []);
    assert_eq!(store.load().unwrap(), [expected]);
}

#[test]
fn a_removal_can_be_undone_after_a_restart() {
    let list = TestList::new();
    let mut store = list.open();
    store.apply(&[add("a"), observed("a", success())]).unwrap();
    let known = store.load().unwrap();

    let removed = store.apply(&[remove("a"), remove("a")]).unwrap();
    drop(store);
    let mut store = list.open();
    assert_eq!(store.load().unwrap(), []);
    assert_eq!(store.load_session().unwrap().removals, [[id("a")]]);
    let restored = store.apply(&[restore("a"), restore("a"), restore("b")]);

    assert_eq!(removed, [ChangeResult::Removed, ChangeResult::NotWatched]);
    assert_eq!(
        restored.unwrap(),
        [
            ChangeResult::Added(Box::new(known[0].clone())),
            unchanged(&known[0]),
            ChangeResult::NotWatched
        ]
    );
    assert_eq!(store.load().unwrap(), known);
}

#[test]
fn earlier_removals_are_loaded_in_order() {
    let list = TestList::new();
    let mut store = list.open();
    store.apply(&["a", "b", "c", "d", "e"].map(add)).unwrap();
    store.apply(&[remove_at("b", 7)]).unwrap();
    store
        .apply(&["c", "a"].map(|task| remove_at(task, 9)))
        .unwrap();
    store.apply(&[remove_at("d", 8), restore("d")]).unwrap();
    drop(store);

    let session = list.open().load_session().unwrap();

    assert_eq!(session.removals, [vec![id("b")], vec![id("a"), id("c")]]);
}

#[test]
fn the_saved_session_survives_a_restart() {
    let list = TestList::new();
    let (mut store, mut other) = (list.open(), list.open());
    assert_eq!(store.load_session().unwrap(), SavedSession::default());
    let view = |tab, filter: &str| ListView {
        tab,
        order: SortOrder::new(SortColumn::Link).flipped(),
        query: Query::parse(filter).unwrap(),
    };

    store
        .save_session(&view(Tab::Failed, "state:failed \"a \\\"b\""))
        .unwrap();
    store.save_session(&view(Tab::Ready, "!neon")).unwrap();

    assert_eq!(other.external_changes().unwrap(), []);
    let saved_view = |store: &mut SqliteStore| store.load_session().unwrap().list_view;
    assert_eq!(saved_view(&mut other), view(Tab::Ready, "!neon"));
    drop(store);
    assert_eq!(saved_view(&mut list.open()), view(Tab::Ready, "!neon"));
    list.execute_sql("UPDATE outlook SET value = 'value of a newer version: x:'");
    assert_eq!(saved_view(&mut list.open()), ListView::default());
}

#[test]
fn a_re_added_task_keeps_its_details() {
    let mut store = SqliteStore::in_memory().unwrap();
    store
        .apply(&[add("a"), observed("a", success()), remove("a")])
        .unwrap();

    let added_later = ListChange::add(id("a"), None, at(99));
    let applied = store.apply(&[added_later]).unwrap();

    let [ChangeResult::Added(watched)] = &applied[..] else {
        panic!("{applied:?}")
    };
    assert_eq!(watched.task.state(), &success());
    assert_eq!(watched.added, at(99));
}

#[test]
fn answers_for_unlisted_tasks_are_ignored() {
    let mut store = SqliteStore::in_memory().unwrap();
    store.apply(&[add("gone"), remove("gone")]).unwrap();

    let applied = store
        .apply(&[
            observed("never", success()),
            failed("never", PollError::TimedOut),
            remove("never"),
            opened("never"),
            observed("gone", success()),
            opened("gone"),
        ])
        .unwrap();

    assert_eq!(applied, vec![ChangeResult::NotWatched; 6]);
    assert_eq!(store.load().unwrap(), []);
}

#[test]
fn the_journal_records_only_changes() {
    let mut store = SqliteStore::in_memory().unwrap();
    store
        .apply(&[
            add("a"),
            observed("a", running()),
            observed("a", running()),
            failed("a", PollError::TimedOut),
            failed("a", PollError::TimedOut),
            failed("a", PollError::ConnectionLost),
            observed("a", running()),
            observed("a", success()),
            observed("a", running()),
            observed("a", running()),
            opened("a"),
            remove("a"),
            restore("a"),
        ])
        .unwrap();

    let events = last_events(&mut store, 99);

    let text = |text| CleanText::line(text, 99);
    assert_eq!(
        events,
        [
            JournalEvent::Added,
            JournalEvent::StateChanged(text("generating")),
            JournalEvent::CheckFailed(text("no answer in time")),
            JournalEvent::CheckFailed(text("connection lost during the answer")),
            JournalEvent::Recovered,
            JournalEvent::StateChanged(text("succeeded")),
            JournalEvent::ContradictionIgnored(text("generating")),
            JournalEvent::Opened(text("https://ex.com/1.mp4")),
            JournalEvent::Removed,
            JournalEvent::Restored,
        ]
    );
    assert_eq!(last_events(&mut store, 1), [JournalEvent::Restored]);
}

// F58
#[test]
fn a_finished_task_lost_by_the_server_stays_done() {
    let mut store = SqliteStore::in_memory().unwrap();
    store
        .apply(&[
            add("a"),
            observed("a", success()),
            failed("a", PollError::NotFound),
            failed("a", PollError::NotFound),
        ])
        .unwrap();

    let watched = &store.load().unwrap()[0];
    assert_eq!(watched.task.state().name(), "succeeded");
    assert!(watched.is_no_longer_on_server());
    let message = watched.last_error_message();
    assert_eq!(message.as_deref(), Some("no longer on server"));
    let events = last_events(&mut store, 2);
    let succeeded = JournalEvent::StateChanged(CleanText::line("succeeded", 99));
    assert_eq!(events, [succeeded, JournalEvent::NoLongerOnServer]);
    assert_eq!(events[1].description(), "no longer on server");

    for _ in 0..200 {
        store
            .apply(&[observed("a", success()), failed("a", PollError::NotFound)])
            .unwrap();
    }
    assert!(store.read_journal(&id("a"), 999).unwrap().len() < 60);
}

#[test]
fn a_bad_network_does_not_fill_the_journal() {
    let mut store = SqliteStore::in_memory().unwrap();
    let mut changes = vec![add("a")];
    for _ in 0..500 {
        changes.extend([
            failed("a", PollError::TimedOut),
            observed("a", TaskState::default()),
        ]);
    }

    store.apply(&changes).unwrap();

    let lines = store.read_journal(&id("a"), 9999).unwrap();
    assert!(lines.len() < 60, "{}", lines.len());
    assert_eq!(lines[0].event, JournalEvent::Added);
}

#[test]
fn the_last_answer_is_stored_verbatim() {
    let list = TestList::new();
    let mut store = list.open();
    let raw = r#"{"taskId":"a","prompt":"\u001b[2J"}"#;
    let answer = |state, raw| observed_as("a", state, TaskDetails::default(), raw);
    store.apply(&[add("a"), answer(success(), raw)]).unwrap();

    // An ignored answer does not replace it.
    store
        .apply(&[answer(TaskState::Unrecognised, "{}")])
        .unwrap();

    assert_eq!(list.read_texts("SELECT body FROM raw"), [raw]);
}

#[test]
fn a_four_character_prefix_selects_an_id() {
    let mut store = SqliteStore::in_memory().unwrap();
    store
        .apply(&["abcd", "abcd1", "abcd2", "ab%_1", "abc\u{10fffd}x", "gone9"].map(add))
        .unwrap();
    store.apply(&[remove("gone9")]).unwrap();
    let mut found = |prefix: &str| {
        let ids = store.resolve(prefix).unwrap();
        ids.iter().map(ToString::to_string).collect::<Vec<_>>()
    };

    assert_eq!(found("abcd"), ["abcd"], "the exact id");
    assert_eq!(found("abcd1"), ["abcd1"]);
    assert_eq!(found("abc"), [""; 0], "too short");
    assert_eq!(found("ab%_"), ["ab%_1"]);
    assert_eq!(found("abc\u{10fffd}"), ["abc\u{10fffd}x"]);
    assert_eq!(found("gone9"), [""; 0]);
    assert_eq!(found(""), [""; 0]);
}

#[test]
fn only_old_removals_are_purged() {
    let list = TestList::new();
    let ids: Vec<String> = (0..210).map(|n| format!("task-{n:03}")).collect();
    let mut store = list.open();
    let changes: Vec<_> = ids
        .iter()
        .zip(0..)
        .flat_map(|(id, n)| [add(id), remove_at(id, n)])
        .collect();
    store.apply(&changes).unwrap();
    drop(store);

    let month = Duration::from_hours(31 * 24);
    drop(list.open_at(at(1000)));
    let before = list.read_texts("SELECT id FROM task");
    drop(list.open_at(at(0) + month));
    let after = list.read_texts("SELECT id FROM task");

    assert_eq!(before, ids);
    assert_eq!(after, ids[10..]);
    assert_eq!(
        list.open().load().unwrap(),
        [],
        "the number of rows is right"
    );
    let lines = list.open().read_journal(&id("task-000"), 9).unwrap();
    assert_eq!(lines.len(), 2, "the journal is kept");
}

#[test]
fn a_failed_write_changes_nothing() {
    let list = TestList::new();
    let mut store = list.open();
    store.apply(&[add("a")]).unwrap();
    let before = store.load().unwrap();

    list.execute_sql("CREATE INDEX full ON task (abs(iif(id = 'c', -9223372036854775808, 1)))");
    let result = store.apply(&[add("b"), add("c")]);

    assert!(matches!(result, Err(StoreError::Other(_))), "{result:?}");
    assert_eq!(store.load().unwrap(), before);
}

fn hostile_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ -~]{0,12}",
        any::<char>().prop_map(String::from),
        Just("\u{1b}[2J\u{9b}31m".to_owned()),
        Just("\u{202e}\u{200b}\u{feff}".to_owned()),
        Just("e\u{301}\u{301}\u{301}\u{301}\u{301}\u{301}".to_owned()),
        Just("'; DROP TABLE task; --\0".to_owned()),
        Just("\r\n\t\"\\[]".to_owned()),
        Just("語".repeat(300)),
        Just("x".repeat(5000)),
    ];
    vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn clean_line(max_len: usize) -> impl Strategy<Value = CleanText> {
    hostile_text().prop_map(move |text| CleanText::line(&text, max_len))
}

fn clean_block(max_len: usize) -> impl Strategy<Value = CleanText> {
    hostile_text().prop_map(move |text| CleanText::block(&text, max_len))
}

fn link_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "https://[a-z]{1,9}\\.com/[ -~]{0,20}",
        1 => hostile_text(),
        1 => Just("javascript:alert(1)".to_owned()),
        1 => Just("https://user:pass@ex.com/".to_owned()),
        1 => Just("\u{feff}https://ex.com/\u{feff}".to_owned()),
    ]
}

fn links_strategy() -> impl Strategy<Value = Links> {
    prop_oneof![vec(link_text(), 0..4), vec(link_text(), 0..50)]
        .prop_map(|texts| Links::parse(texts.iter().map(String::as_str)))
}

fn state_strategy() -> impl Strategy<Value = TaskState> {
    let callback = prop_oneof![
        Just(CallbackStatus::Delivered),
        Just(CallbackStatus::Failed)
    ];
    let stage = prop_oneof![Just(FailureStage::Creation), Just(FailureStage::Generation)];
    prop_oneof![
        Just(TaskState::New),
        any::<bool>().prop_map(|is_finishing| TaskState::Running { is_finishing }),
        (links_strategy(), callback)
            .prop_map(|(videos, callback)| TaskState::Succeeded { videos, callback }),
        stage.prop_map(|stage| TaskState::Failed { stage }),
        Just(TaskState::NotFound),
        Just(TaskState::Unrecognised),
    ]
}

fn time_strategy() -> impl Strategy<Value = Timestamp> {
    let range = Timestamp::MIN.as_millisecond() + 1..Timestamp::MAX.as_millisecond();
    range.prop_map(|ms| Timestamp::from_millisecond(ms).unwrap())
}

fn details_strategy() -> impl Strategy<Value = TaskDetails> {
    let flag = prop_oneof![
        any::<i64>().prop_map(SuccessFlag::Number),
        clean_line(256).prop_map(SuccessFlag::Word)
    ];
    let texts = (
        option::of(clean_block(16 * 1024)),
        option::of(clean_line(2048)),
        option::of(clean_line(256)),
        option::of(clean_line(256)),
        option::of(clean_block(4096)),
    );
    let links = (option::of(link_text()), links_strategy());
    let times = (option::of(time_strategy()), option::of(time_strategy()));
    (option::of(flag), texts, links, times).prop_map(|(flag, texts, links, times)| TaskDetails {
        flag,
        prompt: texts.0,
        callback: texts.1,
        watermark: texts.2,
        error_code: texts.3,
        error_message: texts.4,
        input: links.0.map(|link| Link::parse(&link)),
        origin_urls: links.1,
        created: times.0,
        completed: times.1,
    })
}

fn error_strategy() -> impl Strategy<Value = PollError> {
    prop_oneof![
        Just(PollError::NotFound),
        Just(PollError::AnswerLost),
        any::<i64>().prop_map(PollError::Unauthorized),
        any::<i64>().prop_map(|code| PollError::RateLimited {
            code,
            retry_after: None
        }),
        clean_line(256).prop_map(PollError::Malformed),
        (any::<i64>(), clean_line(4096))
            .prop_map(|(code, message)| PollError::Server { code, message }),
        (any::<i64>(), clean_line(4096))
            .prop_map(|(code, message)| PollError::Rejected { code, message }),
    ]
}

fn answer_strategy() -> impl Strategy<Value = Result<Observation, PollError>> {
    prop_oneof![
        3 => (state_strategy(), details_strategy(), hostile_text()).prop_map(|(state, details, raw)| Ok(Observation {
            state, details, raw: raw.into()
        })),
        1 => error_strategy().prop_map(Err),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_round_trip(
        task in "[!-~]{1,200}",
        label in option::of(clean_line(256)),
        answers in vec((answer_strategy(), time_strategy()), 0..5),
    ) {
        let list = TestList::new();
        let mut store = list.open();
        let mut model = WatchedTask::new(Task::new(id(&task), FAMILY), label.clone(), at(0));
        let mut changes = vec![ListChange::add(id(&task), label, at(0))];
        for (answer, at) in answers {
            model.apply_answer(&answer, at);
            changes.push(ListChange::from_result(id(&task), answer, at));
        }
        let model = WatchedTask::from_stored(model.task, model.label, model.added, model.poll_history);

        store.apply(&changes).unwrap();
        prop_assert_eq!(store.load().unwrap(), vec![model.clone()]);
        drop(store);

        prop_assert_eq!(list.open().load().unwrap(), vec![model]);
    }
}
