//! Files of earlier versions: a list and a config file of version 0.1.0 keep their meaning.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use kietop::{
    adapters::{
        export::json::task_record,
        store::{Recovery, SqliteStore},
    },
    app::{
        keymap::{Action, KeyChord, KeyContext},
        notifications::NotifyChannel,
        palette::{Role, parse_style},
    },
    config::{AsciiMode, Config, Overrides},
    domain::{
        list_change::{ChangeKind, JournalEvent, ListChange},
        preview::PreviewMode,
        status::Tab,
        stored_key::StoredKey,
        task::TaskId,
        watched_task::{NotifySetting, WatchedTask},
    },
};
use serde_json::{Value, json};
use strum::VariantArray as _;
use tempfile::TempDir;

const TWO_WEEKS: Duration = Duration::from_hours(14 * 24);

// Ids of tasks in the list, named by the last action on them.
const NOTIFICATIONS_OFF: &str = "9f87bb7c4c5bb229cadbb57f042c56b4";
const OPENED: &str = "cdc3079edbac3c098601bd2d695d3272";
const REMOVED_FIRST: &str = "a5c69c876c440c43b4310af60119df6a";
const REMOVED_TOGETHER: [&str; 2] = [
    "7822c245a4d464d33d4cc82ec2a96f68",
    "7fbed92ba40f1b154b644c05845b44d3",
];
const REMOVED_LAST: &str = "72d5374f76d4cc654822b0fd6bcf7203";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/version-0.1.0")
        .join(name)
}

/// A copy of the list in a temporary folder.
struct ListCopy {
    dir: TempDir,
}

impl ListCopy {
    fn with_files(files: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            fs::copy(fixture(file), dir.path().join(file)).unwrap();
        }
        Self { dir }
    }

    fn new() -> Self {
        Self::with_files(&["kietop.db", "kietop.db.ids"])
    }

    /// Opens the list a minute after it was closed.
    fn open(&self, on_recovery: impl FnMut(&Recovery) + Send + 'static) -> SqliteStore {
        let path = self.dir.path().join("kietop.db");
        SqliteStore::open(&path, time("2026-11-28T18:52:00Z"), on_recovery).unwrap()
    }

    /// Opens the list; fails on any recovery.
    fn open_intact(&self) -> SqliteStore {
        self.open(|recovery| panic!("{recovery}"))
    }

    /// Returns the sorted file names.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn id(text: &str) -> TaskId {
    TaskId::parse(text).unwrap()
}

/// Returns the task as JSON, without the message of a failed check.
fn without_message(task: &WatchedTask) -> Value {
    let mut json = task_record(task, TWO_WEEKS);
    if let Some(error) = json["checkError"].as_object_mut() {
        error.remove("message").unwrap();
    }
    json
}

#[test]
fn tasks_are_unchanged() {
    let list = ListCopy::new();
    let mut store = list.open_intact();

    let mut tasks: Vec<_> = store.load().unwrap().iter().map(without_message).collect();

    tasks.sort_by_key(|task| task["taskId"].to_string());
    let written = fs::read_to_string(fixture("tasks.json")).unwrap();
    let expected: Vec<Value> = serde_json::from_str(&written).unwrap();
    assert_eq!(expected.len(), 11);
    for (task, expected) in tasks.iter().zip(&expected) {
        assert_eq!(task, expected);
    }
    assert_eq!(tasks.len(), 11);
    drop(store);
    assert_eq!(list.files(), ["kietop.db", "kietop.db.ids"]);
}

#[test]
fn notifications_are_off_for_one_task() {
    let list = ListCopy::new();
    let mut store = list.open_intact();
    let tasks = store.load().unwrap();

    let off = tasks
        .iter()
        .filter(|task| task.notify == NotifySetting::Off);

    let ids: Vec<_> = off.map(|task| task.id().as_str()).collect();
    assert_eq!(ids, [NOTIFICATIONS_OFF]);
}

#[test]
fn the_session_is_unchanged() {
    let list = ListCopy::new();
    let mut store = list.open_intact();

    let session = store.load_session().unwrap();

    assert_eq!(session.list_view.tab, Tab::Ready);
    assert_eq!(session.list_view.order.key(), "-took");
    assert_eq!(session.list_view.query.to_string(), "!id:zz state:ready");
    let last_seen = time("2026-11-28T18:42:04.087550935Z");
    assert_eq!(session.last_seen, Some(last_seen));
    let removals = [&[REMOVED_FIRST][..], &REMOVED_TOGETHER, &[REMOVED_LAST]];
    let removals = removals.map(|tasks| tasks.iter().copied().map(id).collect::<Vec<_>>());
    assert_eq!(session.removals, removals);
}

#[test]
fn removed_tasks_are_restored_with_their_data() {
    let list = ListCopy::new();
    let mut store = list.open_intact();
    let [running, expired] = REMOVED_TOGETHER;
    let changes = [REMOVED_FIRST, running, expired, REMOVED_LAST]
        .map(|task| ListChange::new(id(task), time("2026-11-28T18:52:00Z"), ChangeKind::Restore));

    store.apply(&changes).unwrap();

    let tasks: BTreeMap<_, _> = store
        .load()
        .unwrap()
        .iter()
        .map(|task| (task.id().as_str().to_owned(), without_message(task)))
        .collect();
    assert_eq!(tasks.len(), 15);
    let url = format!("http://127.0.0.1:4010/media/{expired}-0.mp4");
    let limit = "Input video is 14.2 s long; the limit is 10 s.";
    for (task, field, value) in [
        (REMOVED_FIRST, "state", json!("failed")),
        (REMOVED_FIRST, "successFlag", json!(2)),
        (REMOVED_FIRST, "errorCode", json!("422")),
        (REMOVED_FIRST, "errorMessage", json!(limit)),
        (REMOVED_LAST, "state", json!("failed")),
        (REMOVED_LAST, "successFlag", json!(3)),
        (REMOVED_LAST, "errorCode", json!("500")),
        (REMOVED_LAST, "waterMark", json!("studio")),
        (REMOVED_LAST, "durationMs", json!(280_152)),
        (running, "state", json!("generating")),
        (running, "createTime", json!("2026-11-28T18:25:14.424Z")),
        (expired, "state", json!("succeeded")),
        (expired, "label", json!("first test, blue car")),
        (expired, "completeTime", json!("2026-11-13T15:40:44.424Z")),
    ] {
        assert_eq!(tasks[task][field], value, "{task} {field}");
    }
    assert_eq!(tasks[expired]["resultUrls"][0], url);
}

#[test]
fn the_journal_is_unchanged() {
    let list = ListCopy::new();
    let mut store = list.open_intact();

    let lines = store.read_journal(&id(OPENED), 10).unwrap();

    let times: Vec<_> = lines.iter().map(|line| line.at.to_string()).collect();
    assert_eq!(
        times,
        [
            "2026-11-28T18:40:45.434Z",
            "2026-11-28T18:40:46.712Z",
            "2026-11-28T18:41:39.604Z"
        ]
    );
    let [added, finished, opened] = lines.try_into().unwrap();
    assert_eq!(added.event, JournalEvent::Added);
    assert!(
        matches!(finished.event, JournalEvent::StateChanged(state) if state.as_str() == "succeeded")
    );
    let url = format!("http://127.0.0.1:4010/media/{OPENED}-0.mp4");
    assert!(matches!(opened.event, JournalEvent::Opened(link) if link.as_str() == url));
}

#[test]
fn the_raw_response_is_unchanged() {
    let list = ListCopy::new();
    let mut store = list.open_intact();

    let response = store.read_raw_response(&id(OPENED)).unwrap().unwrap();

    let json: Value = serde_json::from_str(&response.text).unwrap();
    assert_eq!(json["taskId"], OPENED);
    assert_eq!(json["successFlag"], 1);
    assert_eq!(json["completeTime"], 1_794_818_444_424_u64);
}

#[test]
fn a_deleted_list_is_restored_from_its_id_file() {
    let list = ListCopy::with_files(&["kietop.db.ids"]);
    let mut store = list.open(|_| ());

    let tasks = store.load().unwrap();

    let labels: BTreeMap<_, _> = tasks
        .iter()
        .map(|task| {
            let label = task.label.as_ref().map(|label| label.as_str().to_owned());
            (task.id().as_str(), label)
        })
        .collect();
    assert_eq!(labels.len(), 11);
    assert_eq!(labels[OPENED].as_deref(), Some("hero loop"));
    assert_eq!(labels[NOTIFICATIONS_OFF], None);
    assert!(!labels.contains_key(REMOVED_FIRST));
}

fn config(profile: Option<&str>) -> Config {
    let options = Overrides {
        config: Some(fixture("config.toml")),
        profile: profile.map(str::to_owned),
        ..Overrides::default()
    };
    Config::load(&options).unwrap_or_else(|errors| panic!("{errors}"))
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn settings_keep_their_meaning() {
    let config = config(None);
    let settings = config.settings;

    assert_eq!(config.origin.as_str(), "http://127.0.0.1:4010");
    assert_eq!(config.store, Some(fixture("lists/main.db")));
    let command = strings(&["sh", "-c", "pass show kie | head -1"]);
    assert_eq!(config.key, Some(StoredKey::Command(command)));
    assert_eq!(settings.ascii, AsciiMode::Off);
    assert_eq!(settings.browser, ["firefox", "--new-window", "%s"]);
    assert_eq!(settings.preview, PreviewMode::Sixel);
    assert!(!settings.mouse);
    assert_eq!(settings.save_folder, Some(PathBuf::from("/srv/videos")));
    assert!(settings.auto_save);
    assert_eq!(settings.retention, Duration::from_hours(21 * 24));
    assert_eq!(settings.poll_intervals.young, Duration::from_secs(5));
    assert_eq!(settings.poll_intervals.steady, Duration::from_secs(45));
    assert_eq!(settings.poll_intervals.late, Duration::from_mins(5));
    assert_eq!(settings.notifications.channels, NotifyChannel::ALL);
    assert_eq!(settings.notifications.command, ["notify-me", "--quiet"]);
}

#[test]
fn a_custom_theme_keeps_its_meaning() {
    let colours = config(None).settings.colours;

    let text = fs::read_to_string(fixture("themes/paper.toml")).unwrap();
    assert_eq!(colours.light, None);
    for role in Role::VARIANTS {
        let name: &str = role.into();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name} = ")));
        let style = parse_style(line.unwrap().trim_matches('"')).unwrap();
        assert_eq!(colours.base.style(*role), style, "{name}");
    }
}

#[test]
fn profiles_keep_their_meaning() {
    let studio = config(Some("studio"));
    let second = config(Some("second_desk"));

    assert_eq!(studio.origin.as_str(), "https://api.kie.ai");
    assert_eq!(studio.store, Some(fixture("lists/studio.db")));
    let command = strings(&["pass", "show", "kie-studio"]);
    assert_eq!(studio.key, Some(StoredKey::Command(command)));
    assert_eq!(second.origin.as_str(), "http://127.0.0.1:4010");
    assert_eq!(second.key, Some(StoredKey::File(fixture("keys/second"))));
}

/// Loading the file fails on an unknown action, context or key.
#[test]
fn keys_keep_their_actions() {
    let keymap = config(None).settings.keymap;
    let action = |key: &str, context: &str| {
        let context = context.parse::<KeyContext>().unwrap();
        let action = keymap.lookup(KeyChord::parse(key).unwrap(), context);
        action.map(Action::name)
    };

    for (context, key, expected) in [
        ("list", "j", Some("next")),
        ("list", "down", None),
        ("list", "f2", Some("add")),
        ("list", "delete", Some("remove")),
        ("list", "x", Some("open_result")),
        ("list", "f5", Some("open_result")),
        ("list", "X", Some("open_original")),
        ("list", "o", None),
        ("list", "+", None),
        ("list", "P", Some("pause")),
        ("list", "p", None),
        ("list", "alt-x", Some("palette")),
        ("detail", "p", Some("pause")),
        ("detail", "backspace", Some("back")),
        ("add", "ctrl-g", Some("back")),
        ("pick", "ctrl-g", Some("back")),
        ("folder", "ctrl-g", Some("back")),
        ("link", "ctrl-g", Some("back")),
        ("copy", "J", Some("copy_json")),
        ("copy", "j", None),
        ("label", "ctrl-g", Some("back")),
        ("palette", "ctrl-g", Some("back")),
        ("help", "f10", Some("back")),
        ("filter", "ctrl-g", Some("back")),
        ("sort", "ctrl-r", Some("reverse_sort")),
        ("confirm", "enter", Some("accept")),
    ] {
        assert_eq!(action(key, context), expected, "{key} in {context}");
    }
}

#[test]
fn every_action_of_the_version_is_known() {
    let text = fs::read_to_string(fixture("config.toml")).unwrap();
    let keys = text.split("[keys]").nth(1).unwrap();
    let keys = keys.split("[keys.in").next().unwrap();
    let names: Vec<_> = keys
        .lines()
        .filter_map(|line| line.split_once(" = "))
        .map(|(name, _)| name)
        .collect();

    assert_eq!(names.len(), 63);
    for name in names {
        assert!(Action::parse(name).is_some(), "{name}");
    }
}
