//! The list file: what goes in comes out, in every state and with any text.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use kietop::{
    adapters::store::SqliteStore,
    domain::{
        change::{Applied, Change, Delta, JournalEvent, StoreError},
        link::{Link, Links},
        memory::Memory,
        query::{Lens, Order, Query, Sort},
        report::{CheckError, Observation, PollError},
        status::Tab,
        task::{Delivery, Facts, FailedStage, Flag, Task, TaskState},
        text::CleanText,
        watched::Watched,
    },
    ports::ListStore,
};
use proptest::{collection::vec, option, prelude::*};

#[path = "store/acts.rs"]
mod acts;
#[path = "store/commands.rs"]
mod commands;
#[path = "store/damage.rs"]
mod damage;
#[path = "store/files.rs"]
mod files;
#[path = "store/full.rs"]
mod full;
#[path = "store/ids.rs"]
mod ids;
#[path = "store/kills.rs"]
mod kills;
#[cfg(target_os = "linux")]
#[path = "store/reads.rs"]
mod reads;
#[path = "store/saves.rs"]
mod saves;
#[path = "store/sharing.rs"]
mod sharing;
#[path = "store/support.rs"]
mod support;
#[path = "store/vanish.rs"]
mod vanish;

use support::*;

#[test]
fn an_added_task_is_there_after_a_restart() {
    let list = List::new();
    let label = CleanText::line("first \u{1b}[31m try", 256);
    let expected = Watched::new(Task::new(id("a"), FAMILY), Some(label.clone()), at(0));

    let mut store = list.open();
    assert_eq!(store.load().unwrap(), []);
    let applied = store.apply(&[labelled("a", &label)]).unwrap();
    drop(store);

    assert_eq!(applied, [Applied::Added(Box::new(expected.clone()))]);
    assert_eq!(list.open().load().unwrap(), [expected]);
}

#[test]
fn adding_twice_is_said_and_a_first_name_is_kept() {
    let list = List::new();
    let mut store = list.open();
    let label = CleanText::line("name", 256);
    store.apply(&[add("a")]).unwrap();
    store.load().unwrap();

    let again = store.apply(&[add("a"), labelled("a", &label)]).unwrap();
    let news = store.changes().unwrap();
    let other = CleanText::line("another name", 256);
    store.apply(&[labelled("a", &other)]).unwrap();

    assert_eq!(again, [Applied::AlreadyWatched, Applied::AlreadyWatched]);
    let named = Watched::new(Task::new(id("a"), FAMILY), Some(label), at(0));
    assert_eq!(news, [Delta::Changed(Box::new(named.clone()))]);
    assert_eq!(store.changes().unwrap(), []);
    assert_eq!(store.load().unwrap(), [named]);
}

#[test]
fn a_removal_can_be_taken_back_after_a_restart() {
    let list = List::new();
    let mut store = list.open();
    store.apply(&[add("a"), observed("a", success())]).unwrap();
    let known = store.load().unwrap();

    let removed = store.apply(&[remove("a"), remove("a")]).unwrap();
    drop(store);
    let mut store = list.open();
    assert_eq!(store.load().unwrap(), []);
    assert_eq!(store.removed(9).unwrap(), [(id("a"), at(0))]);
    let restored = store.apply(&[restore("a"), restore("a"), restore("b")]);

    assert_eq!(removed, [Applied::Removed, Applied::NotWatched]);
    assert_eq!(
        restored.unwrap(),
        [
            Applied::Added(Box::new(known[0].clone())),
            Applied::AlreadyWatched,
            Applied::NotWatched
        ]
    );
    assert_eq!(store.load().unwrap(), known);
}

#[test]
fn removals_of_an_earlier_run_are_recalled_whole_the_latest_last() {
    let list = List::new();
    let mut store = list.open();
    store.apply(&["a", "b", "c", "d", "e"].map(add)).unwrap();
    store.apply(&[remove_at("b", 7)]).unwrap();
    store
        .apply(&["c", "a"].map(|task| remove_at(task, 9)))
        .unwrap();
    store.apply(&[remove_at("d", 8), restore("d")]).unwrap();
    drop(store);

    let memory = list.open().recall().unwrap();

    assert_eq!(memory.removals, [vec![id("b")], vec![id("a"), id("c")]]);
}

#[test]
fn the_way_a_list_is_looked_at_is_there_after_a_restart_and_no_news_to_others() {
    let list = List::new();
    let (mut store, mut other) = (list.open(), list.open());
    assert_eq!(store.recall().unwrap(), Memory::default());
    let lens = |tab, filter: &str| Lens {
        tab,
        order: Order::by(Sort::Link).reversed(),
        query: Query::parse(filter).unwrap(),
    };

    store
        .remember(&lens(Tab::Failed, "state:failed \"a \\\"b\""))
        .unwrap();
    store.remember(&lens(Tab::Ready, "!neon")).unwrap();

    assert_eq!(other.changes().unwrap(), []);
    assert_eq!(other.recall().unwrap().lens, lens(Tab::Ready, "!neon"));
    drop(store);
    assert_eq!(
        list.open().recall().unwrap().lens,
        lens(Tab::Ready, "!neon")
    );
    list.sql("UPDATE outlook SET value = 'what a newer program wrote: x:'");
    assert_eq!(list.open().recall().unwrap().lens, Lens::default());
}

#[test]
fn an_older_file_gets_the_tables_it_lacks_and_keeps_its_tasks() {
    let list = List::new();
    let mut store = list.open();
    store.apply(&[add("a")]).unwrap();
    drop(store);
    list.sql(
        "DROP TABLE outlook; DROP TABLE quiet; ALTER TABLE task DROP COLUMN saves;
         PRAGMA user_version = 1",
    );

    let mut store = list.open();

    assert_eq!(store.load().unwrap().len(), 1);
    store.remember(&Lens::default()).unwrap();
    assert!(list.files().contains(&"kietop.db.v1.bak".to_owned()));
}

#[test]
fn a_removed_task_that_is_added_again_keeps_what_is_known_of_it() {
    let mut store = SqliteStore::in_memory().unwrap();
    store
        .apply(&[add("a"), observed("a", success()), remove("a")])
        .unwrap();

    let late = Change::Add {
        task: id("a"),
        family: FAMILY,
        label: None,
        at: at(99),
    };
    let applied = store.apply(&[late]).unwrap();

    let [Applied::Added(watched)] = &applied[..] else {
        panic!("{applied:?}")
    };
    assert_eq!(watched.task.state(), &success());
    assert_eq!(watched.added, at(99));
}

#[test]
fn what_is_not_on_the_list_is_not_learnt_of() {
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

    assert_eq!(applied, vec![Applied::NotWatched; 6]);
    assert_eq!(store.load().unwrap(), []);
}

#[test]
fn the_journal_tells_the_story_and_no_more() {
    let mut store = SqliteStore::in_memory().unwrap();
    let running = TaskState::Running {
        is_finishing: false,
    };
    store
        .apply(&[
            add("a"),
            observed("a", running.clone()),
            observed("a", running.clone()),
            failed("a", PollError::TimedOut),
            failed("a", PollError::TimedOut),
            failed("a", PollError::CutOff),
            observed("a", running.clone()),
            observed("a", success()),
            observed("a", running.clone()),
            observed("a", running),
            opened("a"),
            remove("a"),
            restore("a"),
        ])
        .unwrap();

    let lines = store.journal(&id("a"), 99).unwrap();
    let events: Vec<_> = lines.into_iter().map(|line| line.event).collect();

    let text = |text| CleanText::line(text, 99);
    assert_eq!(
        events,
        [
            JournalEvent::Added,
            JournalEvent::Became(text("generating")),
            JournalEvent::CheckFailed(text("no answer in time")),
            JournalEvent::CheckFailed(text("the answer was cut off")),
            JournalEvent::Recovered,
            JournalEvent::Became(text("succeeded")),
            JournalEvent::Contradicted(text("generating")),
            JournalEvent::Opened(text("https://ex.com/1.mp4")),
            JournalEvent::Removed,
            JournalEvent::Restored,
        ]
    );
    let last = store.journal(&id("a"), 1).unwrap();
    assert_eq!(last[0].event, JournalEvent::Restored);
}

// F58
#[test]
fn an_ended_task_that_the_server_forgot_stays_done_with_a_note() {
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
    assert!(watched.is_no_longer_there());
    let message = watched.check_message();
    assert_eq!(message.as_deref(), Some("no longer on server"));
    let last = store.journal(&id("a"), 2).unwrap();
    let events: Vec<_> = last.into_iter().map(|line| line.event).collect();
    assert_eq!(
        events,
        [
            JournalEvent::Became(CleanText::line("succeeded", 99)),
            JournalEvent::NoLongerThere
        ]
    );
    assert_eq!(events[1].words(), "no longer on server");

    for _ in 0..200 {
        store
            .apply(&[observed("a", success()), failed("a", PollError::NotFound)])
            .unwrap();
    }
    assert!(store.journal(&id("a"), 999).unwrap().len() < 60);
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

    let lines = store.journal(&id("a"), 9999).unwrap();
    assert!(lines.len() < 60, "{}", lines.len());
    assert_eq!(lines[0].event, JournalEvent::Added);
}

#[test]
fn the_last_answer_is_kept_as_it_came() {
    let mut store = SqliteStore::in_memory().unwrap();
    let raw = r#"{"taskId":"a","prompt":"\u001b[2J"}"#;
    store
        .apply(&[add("a"), observed_as("a", success(), Facts::default(), raw)])
        .unwrap();

    let lesser = TaskState::Unrecognised;
    store
        .apply(&[observed_as("a", lesser, Facts::default(), "{}")])
        .unwrap();

    assert_eq!(
        store.raw(&id("a")).unwrap(),
        Some((at(0), raw.to_owned())),
        "an answer that was left aside does not replace it"
    );
    assert_eq!(store.raw(&id("b")).unwrap(), None);
}

#[test]
fn a_beginning_of_four_characters_stands_for_an_id() {
    let mut store = SqliteStore::in_memory().unwrap();
    store
        .apply(&["abcd", "abcd1", "abcd2", "ab%_1", "abc\u{10fffd}x", "gone9"].map(add))
        .unwrap();
    store.apply(&[remove("gone9")]).unwrap();
    let mut found = |prefix: &str| {
        let ids = store.resolve(prefix).unwrap();
        ids.iter().map(ToString::to_string).collect::<Vec<_>>()
    };

    assert_eq!(found("abcd"), ["abcd"], "the one that is spelt so");
    assert_eq!(found("abcd1"), ["abcd1"]);
    assert_eq!(found("abc"), [""; 0], "too short");
    assert_eq!(found("ab%_"), ["ab%_1"]);
    assert_eq!(found("abc\u{10fffd}"), ["abc\u{10fffd}x"]);
    assert_eq!(found("gone9"), [""; 0]);
    assert_eq!(found(""), [""; 0]);
}

#[test]
fn only_the_old_among_many_removals_are_forgotten() {
    let list = List::new();
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
    let soon = list.open_at(at(1000)).removed(999).unwrap();
    let late = list.open_at(at(0) + month).removed(999).unwrap();

    assert_eq!(soon.len(), 210);
    assert_eq!(late.len(), 200);
    assert!(late.iter().all(|(id, _)| id.as_str() >= "task-010"));
    assert_eq!(list.open().load().unwrap(), [], "and the count still holds");
    let lines = list.open().journal(&id("task-000"), 9).unwrap();
    assert_eq!(lines.len(), 2, "the journal stays");
}

#[test]
fn a_failed_write_changes_nothing() {
    let list = List::new();
    let mut store = list.open();
    store.apply(&[add("a")]).unwrap();
    let before = store.load().unwrap();

    list.sql("CREATE INDEX full ON task (abs(iif(id = 'c', -9223372036854775808, 1)))");
    let result = store.apply(&[add("b"), add("c")]);

    assert!(matches!(result, Err(StoreError::Other(_))), "{result:?}");
    assert_eq!(store.load().unwrap(), before);
}

fn hostile() -> impl Strategy<Value = String> {
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

fn line(cap: usize) -> impl Strategy<Value = CleanText> {
    hostile().prop_map(move |text| CleanText::line(&text, cap))
}

fn block(cap: usize) -> impl Strategy<Value = CleanText> {
    hostile().prop_map(move |text| CleanText::block(&text, cap))
}

fn link() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "https://[a-z]{1,9}\\.com/[ -~]{0,20}",
        1 => hostile(),
        1 => Just("javascript:alert(1)".to_owned()),
        1 => Just("https://user:pass@ex.com/".to_owned()),
        1 => Just("\u{feff}https://ex.com/\u{feff}".to_owned()),
    ]
}

fn links() -> impl Strategy<Value = Links> {
    prop_oneof![vec(link(), 0..4), vec(link(), 0..50)]
        .prop_map(|texts| Links::parse(texts.iter().map(String::as_str)))
}

fn state() -> impl Strategy<Value = TaskState> {
    let delivery = prop_oneof![Just(Delivery::Done), Just(Delivery::CallbackFailed)];
    let stage = prop_oneof![Just(FailedStage::Creation), Just(FailedStage::Generation)];
    prop_oneof![
        Just(TaskState::New),
        any::<bool>().prop_map(|is_finishing| TaskState::Running { is_finishing }),
        (links(), delivery)
            .prop_map(|(videos, delivery)| TaskState::Succeeded { videos, delivery }),
        stage.prop_map(|stage| TaskState::Failed { stage }),
        Just(TaskState::NotFound),
        Just(TaskState::Unrecognised),
    ]
}

fn time() -> impl Strategy<Value = Timestamp> {
    let range = Timestamp::MIN.as_millisecond() + 1..Timestamp::MAX.as_millisecond();
    range.prop_map(|ms| Timestamp::from_millisecond(ms).unwrap())
}

fn facts() -> impl Strategy<Value = Facts> {
    let flag = prop_oneof![
        any::<i64>().prop_map(Flag::Number),
        line(256).prop_map(Flag::Word)
    ];
    let texts = (
        option::of(block(16 * 1024)),
        option::of(line(2048)),
        option::of(line(256)),
        option::of(line(256)),
        option::of(block(4096)),
    );
    let links = (option::of(link()), links());
    let times = (option::of(time()), option::of(time()));
    (option::of(flag), texts, links, times).prop_map(|(flag, texts, links, times)| Facts {
        flag,
        prompt: texts.0,
        callback: texts.1,
        watermark: texts.2,
        error_code: texts.3,
        error_message: texts.4,
        source: links.0.map(|link| Link::parse(&link)),
        origins: links.1,
        created: times.0,
        completed: times.1,
    })
}

fn error() -> impl Strategy<Value = PollError> {
    prop_oneof![
        Just(PollError::NotFound),
        Just(PollError::Lost),
        any::<i64>().prop_map(PollError::Unauthorized),
        any::<i64>().prop_map(|code| PollError::RateLimited {
            code,
            retry_after: None
        }),
        line(256).prop_map(PollError::Malformed),
        (any::<i64>(), line(4096)).prop_map(|(code, message)| PollError::Server { code, message }),
        (any::<i64>(), line(4096)).prop_map(|(code, message)| PollError::Refused { code, message }),
    ]
}

fn answer() -> impl Strategy<Value = Result<Observation, PollError>> {
    prop_oneof![
        3 => (state(), facts(), hostile()).prop_map(|(state, facts, raw)| Ok(Observation {
            state, facts, raw: raw.into()
        })),
        1 => error().prop_map(Err),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_learnt_is_read_again(
        name in "[!-~]{1,200}",
        label in option::of(line(256)),
        answers in vec((answer(), time()), 0..5),
    ) {
        let list = List::new();
        let mut store = list.open();
        let mut model = Watched::new(Task::new(id(&name), FAMILY), label.clone(), at(0));
        let mut changes = vec![Change::Add { task: id(&name), family: FAMILY, label, at: at(0) }];
        for (answer, at) in answers {
            model.learn(&answer, at);
            changes.push(match answer {
                Ok(observation) => Change::Observed {
                    task: id(&name), at, observation: Arc::new(observation)
                },
                Err(error) => Change::CheckFailed { task: id(&name), error: CheckError { at, error } },
            });
        }
        let model = Watched::restored(model.task, model.label, model.added, model.freshness);

        store.apply(&changes).unwrap();
        prop_assert_eq!(store.load().unwrap(), vec![model.clone()]);
        drop(store);

        prop_assert_eq!(list.open().load().unwrap(), vec![model]);
    }
}
