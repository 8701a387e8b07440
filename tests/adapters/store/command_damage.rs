//! Every command on damaged list files: each file set aside is reported, and no id is lost
//! silently.
//!
//! Each round starts from a list that was closed or killed; damages the list, its log or its id
//! file, or removes the id file; runs one command; and reads the list with another.

use std::{
    collections::BTreeSet,
    fmt, fs,
    path::PathBuf,
    process::{Command, Output},
};

use kietop::domain::task::TaskState;

use super::damage::{DAMAGE_KINDS, corrupt, fill_list};
use crate::support::{hostile_server::SeededRng, store::*};

const LIST_FILE: &str = "kietop.db";
const WAL_FILE: &str = "kietop.db-wal";
const IDS_FILE: &str = "kietop.db.ids";

// Tasks of every template, for commands that need one.
const FINISHED_ID: &str = "extra-task-1";
const RUNNING_ID: &str = "extra-task-2";

/// The files of a list, and its tasks.
struct ListTemplate {
    files: Vec<(&'static str, Vec<u8>)>,
    watched: BTreeSet<String>,
    removed: BTreeSet<String>,
}

impl ListTemplate {
    fn new(is_killed: bool) -> Self {
        let list = TestList::new();
        fill_list(&list, false);
        let mut store = list.open();
        // Most transactions have one change.
        for n in 0..24 {
            let name = format!("extra-task-{n}");
            store.apply(&[add(&name)]).unwrap();
            let state = match n % 3 {
                0 => TaskState::New,
                1 => success(),
                _ => running(),
            };
            store.apply(&[observed(&name, state)]).unwrap();
            if n % 8 == 7 {
                store.apply(&[remove(&name)]).unwrap();
            }
        }
        let watched = listed_ids(&mut store).into_iter().collect();
        let removed = list.read_texts("SELECT id FROM task WHERE removed_at IS NOT NULL");
        // A kill leaves the log, which closing the store would remove.
        let open_store = is_killed.then_some(store);
        let names = if open_store.is_some() {
            vec![LIST_FILE, WAL_FILE, IDS_FILE]
        } else {
            vec![LIST_FILE, IDS_FILE]
        };
        let read = |name| (name, fs::read(list.path().with_file_name(name)).unwrap());
        Self {
            files: names.into_iter().map(read).collect(),
            watched,
            removed: removed.into_iter().collect(),
        }
    }
}

/// Counts of the damaged lists by outcome.
#[derive(Debug, Default)]
pub(crate) struct DamageCounts {
    /// Set aside and reported.
    pub(crate) set_aside: usize,
    /// Of these, recovered without some data, with exit code 1.
    incomplete: usize,
    /// Not modified, because they look like a newer version's or another program's file.
    refused: usize,
    /// With a lost id that was in no file, and exit code 1.
    lost: usize,
    /// Not set aside; tasks were restored by id.
    restored: usize,
}

impl fmt::Display for DamageCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} set aside and reported, {} of them incomplete with exit 1; {} restored by id; {} refused; ids lost: 0 \
             with the id file, in {} rounds without it, each with exit 1",
            self.set_aside, self.incomplete, self.restored, self.refused, self.lost
        )
    }
}

/// A damaged list in its own home folder.
struct DamageRound<'a> {
    kietop: &'a str,
    home: tempfile::TempDir,
    context: String,
}

impl DamageRound<'_> {
    fn folder(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(self.kietop);
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", "/usr/bin:/bin")
            .env("BROWSER", "true")
            .env("KIE_API_KEY", "a-key")
            // No server listens there.
            .args(["--api-url", "http://127.0.0.1:9", "--store"])
            .arg(self.folder().join(LIST_FILE))
            .args(args);
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("panicked"), "{}: {stderr}", self.context);
        assert_ne!(
            output.status.code(),
            Some(101),
            "{}: {stderr}",
            self.context
        );
        output
    }

    fn backup_files(&self) -> BTreeSet<PathBuf> {
        let entries = fs::read_dir(self.folder()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let is_backup = |path: &PathBuf| {
            let name = path.to_string_lossy();
            name.contains(".corrupt-") && !["-wal", "-shm"].iter().any(|end| name.ends_with(end))
        };
        paths.filter(is_backup).collect()
    }

    /// Fails if a file was set aside silently, or if a command succeeded on an incomplete list.
    /// Reports whether the list is incomplete.
    fn check_output(&self, output: &Output, backups: &BTreeSet<PathBuf>) -> bool {
        let stderr = String::from_utf8_lossy(&output.stderr);
        for path in backups {
            let is_reported = stderr.contains(&format!("set aside as {}", path.display()));
            assert!(
                is_reported,
                "{}: {} not reported: {stderr}",
                self.context,
                path.display()
            );
        }
        let is_incomplete = stderr.contains("missing") || stderr.contains("by id only");
        let is_failure = output.status.code() == Some(1);
        assert!(!is_incomplete || is_failure, "{}: {output:?}", self.context);
        is_incomplete
    }
}

const ALL_COMMANDS: [&[&str]; 14] = [
    &["list"],
    &["list", "--json"],
    &["list", "--csv"],
    &["list", "--refresh"],
    &["list", "--refresh", "--json"],
    &["show", FINISHED_ID],
    &["show", FINISHED_ID, "--json"],
    &["show", RUNNING_ID, "--refresh"],
    &["add", "another-task", "--label", "new"],
    &["remove", FINISHED_ID, RUNNING_ID],
    &["save", RUNNING_ID],
    &["open", FINISHED_ID],
    &["wait", FINISHED_ID, "--timeout", "1s"],
    &["wait", "--json", "--timeout", "1s"],
];

/// Damages a list in each round and runs a command on it. Fails at the first silent loss.
pub(crate) fn run_rounds(kietop: &str, rounds: usize, seed: u64) -> DamageCounts {
    let mut rng = SeededRng(seed);
    let mut counts = DamageCounts::default();
    let templates = [false, true].map(ListTemplate::new);
    for round in 0..rounds {
        let template = &templates[rng.roll(2)];
        let has_ids = rng.roll(4) > 0;
        let names: Vec<_> = (template.files.iter())
            .map(|(name, _)| *name)
            .filter(|name| has_ids || *name != IDS_FILE)
            .collect();
        // In most rounds the list itself.
        let target = names[rng.roll(3 * names.len()).saturating_sub(2 * names.len())];
        let (kind, command) = (
            rng.roll(DAMAGE_KINDS),
            ALL_COMMANDS[round % ALL_COMMANDS.len()],
        );
        let round = DamageRound {
            kietop,
            home: tempfile::tempdir().unwrap(),
            context: format!(
                "seed {seed}, round {round}: {command:?}, {target} damaged by {kind}, ids: {has_ids}"
            ),
        };
        fs::create_dir(round.folder()).unwrap();
        for (name, bytes) in &template.files {
            let mut bytes = bytes.clone();
            if *name == target {
                corrupt(&mut bytes, kind, &mut rng);
            }
            if names.contains(name) {
                fs::write(round.folder().join(name), bytes).unwrap();
            }
        }
        run_and_check(&round, template, command, (target, has_ids), &mut counts);
    }
    counts
}

/// Runs the command and then reads the list, and checks the output of both.
fn run_and_check(
    round: &DamageRound<'_>,
    template: &ListTemplate,
    command: &[&str],
    (target, has_ids): (&str, bool),
    counts: &mut DamageCounts,
) {
    let context = &round.context;
    let before = fs::read(round.folder().join(LIST_FILE)).unwrap();
    let first = round.run(command);
    let backups = round.backup_files();
    let mut is_incomplete = round.check_output(&first, &backups);
    let second = round.run(&["list", "--json"]);
    let later_backups = &round.backup_files() - &backups;
    is_incomplete |= round.check_output(&second, &later_backups);

    let is_failure = |output: &Output| output.status.code() == Some(1);
    let Some(after) = ids_in_json(&second) else {
        let stderr = String::from_utf8_lossy(&second.stderr);
        let is_refused =
            stderr.contains("another program's database") || stderr.contains("has version");
        assert!(is_refused && is_failure(&first), "{context}: {stderr}");
        let is_unchanged = fs::read(round.folder().join(LIST_FILE)).unwrap() == before;
        assert!(is_unchanged, "{context}: modified");
        counts.refused += 1;
        return;
    };
    counts.set_aside += backups.len() + later_backups.len();
    counts.incomplete += usize::from(is_incomplete);
    let stderr = String::from_utf8_lossy(&first.stderr) + String::from_utf8_lossy(&second.stderr);
    counts.restored += usize::from(stderr.contains("Restored "));

    let mut expected = template.watched.clone();
    let stdout = String::from_utf8_lossy(&first.stdout);
    for line in stdout.lines() {
        match line.split_once(' ') {
            Some((id, "added")) => drop(expected.insert(id.to_owned())),
            Some((id, "removed")) => drop(expected.remove(id)),
            _ => {}
        }
    }
    let lost: Vec<_> = expected.difference(&after).collect();
    if has_ids && target != IDS_FILE {
        assert_eq!(lost, [""; 0], "{context}: {stderr}");
        let reappeared: Vec<_> = template.removed.intersection(&after).collect();
        assert_eq!(reappeared, [""; 0], "{context}: removed tasks reappeared");
        let foreign: Vec<_> = after.difference(&expected).collect();
        assert_eq!(foreign, [""; 0], "{context}: never added");
    } else if !lost.is_empty() && target == LIST_FILE && !before.is_empty() {
        // Without the id file a broken log cannot be told from a power cut.
        assert!(
            is_failure(&first) || is_failure(&second),
            "{context}: {lost:?} lost"
        );
        counts.lost += 1;
    }
}

/// Parses the ids of `list --json`; `None` if the command failed.
fn ids_in_json(output: &Output) -> Option<BTreeSet<String>> {
    let tasks: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    let ids = tasks.as_array()?.iter();
    Some(
        ids.map(|task| task["taskId"].as_str().unwrap().to_owned())
            .collect(),
    )
}
