//! Tests of the filter language against one task of each kind, and of every sort order.

use kietop::domain::{
    fuzzy::Searcher,
    poll_result::PollError,
    query::{FilterContext, ListView, Query, SortColumn, SortOrder, VisibleRows},
    status::DEFAULT_RETENTION,
    task::{CallbackStatus, TaskId},
    watched_task::WatchedTask,
    watchlist::Watchlist,
};

use crate::support::{TaskBuilder, line, now, task};

fn sample_tasks() -> Vec<WatchedTask> {
    let builders: [TaskBuilder; 10] = [
        task("aa11")
            .label("neon city, rain")
            .prompt("Turn the street into a neon city at night, slow pan left.")
            .running()
            .created_ago("3m"),
        task("bb22")
            .prompt("snow globe turns to summer")
            .running()
            .created_ago("30m"),
        task("cc33")
            .label("Überflieger")
            .ready("5m09s")
            .created_ago("22m"),
        task("dd44")
            .prompt("paper-cut forest, fox runs")
            .rescued("6m02s")
            .created_ago("12d20h"),
        task("ee55")
            .prompt("crowd becomes starlings")
            .failed("501", "Generation failed: the input shows a real person.")
            .created_ago("2h"),
        task("ff66")
            .not_created("422", "The video is longer than 10 seconds")
            .created_ago("3h"),
        task("a177").ready("4m40s").created_ago("16d"),
        task("b288").not_found().added("14:00"),
        task("c399").unknown("7").created_ago("6h").check_failed(
            PollError::Server {
                code: 502,
                message: line("Bad gateway"),
            },
            "20s",
        ),
        task("d4aa").label("a \"quoted\" name").added("14:31"),
    ];
    builders.into_iter().map(TaskBuilder::build).collect()
}

fn build_list(tasks: &[WatchedTask]) -> Watchlist {
    let mut list = Watchlist::new(DEFAULT_RETENTION);
    for watched in tasks {
        list.insert(watched.clone());
    }
    list
}

/// Returns the ids of the sample tasks that match `filter`, in list order.
fn matching_tasks(filter: &str) -> String {
    let tasks = sample_tasks();
    let query = Query::parse(filter).expect("a valid filter");
    let context = FilterContext::new(&build_list(&tasks), now());
    let mut searcher = Searcher::default();
    let ids = tasks
        .iter()
        .filter(|watched| query.matches(watched, &context, &mut searcher))
        .map(|watched| watched.id().as_str());
    ids.collect::<Vec<_>>().join(" ")
}

#[test]
fn filters_match_the_right_tasks() {
    let all = "aa11 bb22 cc33 dd44 ee55 ff66 a177 b288 c399 d4aa";
    let table = [
        ("", all),
        // Words, matched in every text field.
        ("neon", "aa11"),
        ("NEON rain", "aa11"),
        ("ncity", "aa11"),
        ("neon fox", ""),
        ("!neon", "bb22 cc33 dd44 ee55 ff66 a177 b288 c399 d4aa"),
        ("!!neon", "aa11"),
        ("uberflieger", "cc33"),
        ("ÜBER", "cc33"),
        ("person", "ee55"),
        ("gateway", "c399"),
        ("bb", "bb22"),
        ("B22", ""),
        ("bb22", "bb22"),
        ("\"slow pan\"", "aa11"),
        ("\"pan slow\"", ""),
        ("\"a \\\"quoted\\\"\"", "d4aa"),
        // Words in one field.
        ("label:neon", "aa11"),
        ("label:summer", ""),
        ("prompt:summer", "bb22"),
        ("id:a1", "aa11 a177"),
        ("error:longer", "ff66"),
        ("error:\"real person\"", "ee55"),
        // States, by their names in JSON and on the screen.
        ("state:generating", "aa11 bb22"),
        ("state:late", "bb22"),
        ("state:active", "aa11 bb22 b288 c399 d4aa"),
        ("state:new", "d4aa"),
        ("state:succeeded", "cc33 a177"),
        ("state:ready", "cc33 a177"),
        ("state:rescued", "dd44"),
        ("state:failed", "ee55 ff66"),
        ("state:not_found,unknown", "b288 c399"),
        ("state:expiring", "dd44"),
        ("state:expired", "a177"),
        ("state:ready !state:expired", "cc33"),
        // A bare state name matches tasks in that state and tasks with the word in their texts.
        ("ready", "cc33 a177"),
        ("LATE", "bb22"),
        ("!active !failed", "cc33 dd44 a177"),
        // Codes.
        ("code:501", "ee55"),
        ("code:50", ""),
        ("code:502", "c399"),
        ("code:>=500", "ee55 c399"),
        ("code:<500", "ff66"),
        // Times.
        ("took:>5m", "cc33 dd44"),
        ("took:<=1m30s", "ee55 ff66"),
        ("age:<5m", "aa11 d4aa"),
        ("age:>=1w", "dd44 a177"),
        ("left:<2d", "dd44"),
        ("left:>0s", "cc33 dd44"),
        ("!left:>0s state:succeeded,rescued", "a177"),
    ];
    for (filter, expected) in table {
        assert_eq!(matching_tasks(filter), expected, "{filter}");
    }
}

#[test]
fn matches_are_highlighted_in_the_title() {
    let positions = |filter: &str, title: &str| {
        let query = Query::parse(filter).unwrap();
        query.match_positions(title, &mut Searcher::default())
    };

    assert_eq!(positions("city", "neon city"), [5, 6, 7, 8]);
    assert_eq!(positions("neon label:on", "neon"), [0, 1, 2, 3]);
    assert_eq!(positions("雨 !街 state:failed", "夜の雨の街"), [2]);
    assert!(positions("!neon id:neon", "neon").is_empty());
}

/// Returns the ids of the sample tasks in `order`.
fn sorted_tasks(order: SortOrder) -> String {
    let list = build_list(&sample_tasks());
    let mut rows = VisibleRows::default();
    let list_view = ListView {
        order,
        ..ListView::default()
    };
    rows.set_view(list_view, &list, now());
    let ids: Vec<_> = rows.ids().iter().map(TaskId::as_str).collect();
    ids.join(" ")
}

#[test]
fn every_sort_order_keeps_unknown_values_last() {
    let table = [
        (
            SortColumn::Age,
            "d4aa aa11 cc33 bb22 b288 ee55 ff66 c399 dd44 a177",
        ),
        (
            SortColumn::Status,
            "aa11 bb22 d4aa c399 b288 cc33 a177 dd44 ee55 ff66",
        ),
        (
            SortColumn::Title,
            "d4aa a177 b288 c399 ee55 ff66 aa11 dd44 bb22 cc33",
        ),
        (
            SortColumn::Took,
            "c399 b288 bb22 aa11 d4aa dd44 cc33 a177 ee55 ff66",
        ),
        (
            SortColumn::Link,
            "dd44 cc33 a177 d4aa aa11 bb22 b288 ee55 ff66 c399",
        ),
        (
            SortColumn::LastChange,
            "d4aa aa11 cc33 bb22 b288 ee55 ff66 c399 dd44 a177",
        ),
    ];
    for (column, expected) in table {
        assert_eq!(sorted_tasks(SortOrder::new(column)), expected, "{column:?}");
    }
    let table = [
        (
            SortColumn::Age,
            "a177 dd44 c399 ff66 ee55 b288 bb22 cc33 aa11 d4aa",
        ),
        (
            SortColumn::Status,
            "ff66 ee55 dd44 cc33 a177 b288 c399 d4aa aa11 bb22",
        ),
        (
            SortColumn::Took,
            "d4aa aa11 bb22 b288 c399 ee55 ff66 a177 cc33 dd44",
        ),
        (
            SortColumn::Link,
            "cc33 dd44 a177 d4aa aa11 bb22 b288 ee55 ff66 c399",
        ),
    ];
    for (column, expected) in table {
        assert_eq!(
            sorted_tasks(SortOrder::new(column).flipped()),
            expected,
            "{column:?}"
        );
    }
}

#[test]
fn files_on_disk_count_as_saved() {
    let mut watched = task("a").ready("1m").created_ago("1h").build();
    let query = Query::parse("state:saved").expect("a valid filter");
    let context = FilterContext::new(&build_list(&[]), now());
    let mut searcher = Searcher::default();
    assert!(!query.matches(&watched, &context, &mut searcher));

    watched.mark_saved(1, "/videos/a.mp4".into());

    assert!(query.matches(&watched, &context, &mut searcher));
}

#[test]
fn sort_orders_are_stored_by_name() {
    for &column in SortColumn::ALL {
        for order in [SortOrder::new(column), SortOrder::new(column).flipped()] {
            assert_eq!(SortOrder::from_key(&order.key()), Some(order));
            assert!(order.short().len() <= order.name().len());
        }
    }
    assert_eq!(SortOrder::from_key("shoe size"), None);
    assert_eq!(SortOrder::from_key("--age"), None);
}

#[test]
fn a_link_without_expiry_differs_from_no_link() {
    let ready_without_expiry =
        |id: &str| task(id).finished("1m", CallbackStatus::Delivered, &["https://ex.com/1.mp4"]);
    let tasks = [
        task("a").ready("1m").created_ago("1h").build(),
        ready_without_expiry("b").build(),
        task("c").running().created_ago("1m").build(),
    ];
    let list = build_list(&tasks);
    let mut rows = VisibleRows::default();
    let list_view = ListView {
        order: SortOrder::new(SortColumn::Link),
        ..ListView::default()
    };
    rows.set_view(list_view, &list, now());

    let ids: Vec<_> = rows.ids().iter().map(TaskId::as_str).collect();
    assert_eq!(ids, ["a", "b", "c"]);
}
