//! Runs every command on damaged list files: each file set aside is reported, and no id is lost
//! silently.
//!
//! Each round starts from a list as the program or a kill left it; damages the list, its log or its
//! file of ids, or removes the latter; runs one command; and reads the list with another.
#![expect(
    clippy::indexing_slicing,
    reason = "test code: what is not as expected is to fail loudly"
)]

use std::{
    collections::BTreeSet,
    fmt, fs,
    path::PathBuf,
    process::{Command, Output},
};

use kietop::{domain::task::TaskState, ports::ListStore as _};

use crate::{
    damage::{DAMAGE_KINDS, corrupt, fill_list},
    support::*,
};

const LIST_FILE: &str = "kietop.db";
const WAL_FILE: &str = "kietop.db-wal";
const IDS_FILE: &str = "kietop.db.ids";

/// Tasks of every template, for commands that need one: a finished and an unfinished one.
const FINISHED_ID: &str = "extra-task-1";
const RUNNING_ID: &str = "extra-task-2";

/// A list as bytes.
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
        // One transaction each, as most are.
        for n in 0..24 {
            let name = format!("extra-task-{n}");
            store.apply(&[add(&name)]).unwrap();
            let state = match n % 3 {
                0 => TaskState::New,
                1 => success(),
                _ => TaskState::Running {
                    is_finishing: false,
                },
            };
            store.apply(&[observed(&name, state)]).unwrap();
            if n % 8 == 7 {
                store.apply(&[remove(&name)]).unwrap();
            }
        }
        let watched = store.load().unwrap();
        let watched = watched.iter().map(|task| task.id().to_string()).collect();
        let removed = store.removed(999).unwrap();
        let removed = removed.iter().map(|(id, _)| id.to_string()).collect();
        let kept = is_killed.then_some(store);
        let names = if kept.is_some() {
            vec![LIST_FILE, WAL_FILE, IDS_FILE]
        } else {
            vec![LIST_FILE, IDS_FILE]
        };
        let read = |name| (name, fs::read(list.path().with_file_name(name)).unwrap());
        Self {
            files: names.into_iter().map(read).collect(),
            watched,
            removed,
        }
    }
}

/// Counts of the damaged lists by outcome.
#[derive(Debug, Default)]
pub(crate) struct DamageCounts {
    /// Set aside and reported.
    pub(crate) kept: usize,
    /// Of these, with facts about some task lost, and exit code 1.
    incomplete: usize,
    /// Refused and left untouched: they look like a newer version's or another program's.
    refused: usize,
    /// With an id lost that was in no file any more, and exit code 1.
    lost: usize,
    /// Put back on the list by id, without anything being set aside.
    put_back: usize,
}

impl fmt::Display for DamageCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} set aside and reported, {} of them incomplete with exit 1; {} put back by id; {} refused; ids lost: 0 \
             with the file of ids, in {} rounds without it, each with exit 1",
            self.kept, self.incomplete, self.put_back, self.refused, self.lost
        )
    }
}

/// One damaged list in a home of its own.
struct DamageRound<'a> {
    kietop: &'a str,
    home: tempfile::TempDir,
    context: String,
}

impl DamageRound<'_> {
    fn folder(&self) -> PathBuf {
        self.home.path().join("data")
    }

    fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new(self.kietop);
        command
            .env_clear()
            .env("HOME", self.home.path())
            .env("PATH", "/usr/bin:/bin")
            .env("BROWSER", "true")
            .env("KIE_API_KEY", "a-key")
            // Nobody answers there.
            .args(["--api-url", "http://127.0.0.1:9", "--store"])
            .arg(self.folder().join(LIST_FILE))
            .args(words);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "{}: {said}", self.context);
        assert_ne!(output.status.code(), Some(101), "{}: {said}", self.context);
        output
    }

    /// Returns the files that were set aside.
    fn backup_files(&self) -> BTreeSet<PathBuf> {
        let entries = fs::read_dir(self.folder()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        let is_aside = |path: &PathBuf| {
            let name = path.to_string_lossy();
            name.contains(".corrupt-") && !["-wal", "-shm"].iter().any(|end| name.ends_with(end))
        };
        paths.filter(is_aside).collect()
    }

    /// Fails if a file was set aside silently, or an id is missing after a command that succeeded.
    fn check_output(&self, output: &Output, aside: &BTreeSet<PathBuf>) -> bool {
        let said = String::from_utf8_lossy(&output.stderr);
        for path in aside {
            let is_said = said.contains(&format!("set aside as {}", path.display()));
            assert!(
                is_said,
                "{}: {} unsaid: {said}",
                self.context,
                path.display()
            );
        }
        let is_incomplete = said.contains("missing") || said.contains("by id only");
        let is_failure = output.status.code() == Some(1);
        assert!(!is_incomplete || is_failure, "{}: {output:?}", self.context);
        is_incomplete
    }
}

/// The commands, each with what it reads.
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

/// Damages a list in each round and runs a command on it; fails at the first silent loss.
pub(crate) fn run_rounds(kietop: &str, rounds: usize, seed: u64) -> DamageCounts {
    let mut dice = TestRng(seed);
    let mut told = DamageCounts::default();
    let templates = [false, true].map(ListTemplate::new);
    for round in 0..rounds {
        let template = &templates[dice.roll(2)];
        let has_ids = dice.roll(4) > 0;
        let names: Vec<_> = (template.files.iter())
            .map(|(name, _)| *name)
            .filter(|name| has_ids || *name != IDS_FILE)
            .collect();
        // The list itself in most rounds.
        let target = names[dice.roll(3 * names.len()).saturating_sub(2 * names.len())];
        let (kind, command) = (
            dice.roll(DAMAGE_KINDS),
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
                corrupt(&mut bytes, kind, &mut dice);
            }
            if names.contains(name) {
                fs::write(round.folder().join(name), bytes).unwrap();
            }
        }
        run_and_check(&round, template, command, (target, has_ids), &mut told);
    }
    told
}

/// Runs the command, looks at the list, and judges both.
fn run_and_check(
    round: &DamageRound<'_>,
    template: &ListTemplate,
    command: &[&str],
    (target, has_ids): (&str, bool),
    told: &mut DamageCounts,
) {
    let context = &round.context;
    let before = fs::read(round.folder().join(LIST_FILE)).unwrap();
    let first = round.run(command);
    let aside = round.backup_files();
    let mut is_incomplete = round.check_output(&first, &aside);
    let second = round.run(&["list", "--json"]);
    let later = &round.backup_files() - &aside;
    is_incomplete |= round.check_output(&second, &later);

    let is_failure = |output: &Output| output.status.code() == Some(1);
    let Some(after) = listed_ids(&second) else {
        let said = String::from_utf8_lossy(&second.stderr);
        let is_refused = said.contains("another program's database") || said.contains("of version");
        assert!(is_refused && is_failure(&first), "{context}: {said}");
        let is_left = fs::read(round.folder().join(LIST_FILE)).unwrap() == before;
        assert!(is_left, "{context}: touched");
        told.refused += 1;
        return;
    };
    told.kept += aside.len() + later.len();
    told.incomplete += usize::from(is_incomplete);
    let said = String::from_utf8_lossy(&first.stderr) + String::from_utf8_lossy(&second.stderr);
    told.put_back += usize::from(said.contains("Restored "));

    let mut expected = template.watched.clone();
    let answer = String::from_utf8_lossy(&first.stdout);
    for line in answer.lines() {
        match line.split_once(' ') {
            Some((id, "added")) => drop(expected.insert(id.to_owned())),
            Some((id, "removed")) => drop(expected.remove(id)),
            _ => {}
        }
    }
    let lost: Vec<_> = expected.difference(&after).collect();
    if has_ids && target != IDS_FILE {
        assert_eq!(lost, [""; 0], "{context}: {said}");
        let back: Vec<_> = template.removed.intersection(&after).collect();
        assert_eq!(back, [""; 0], "{context}: removed and back");
        let foreign: Vec<_> = after.difference(&expected).collect();
        assert_eq!(foreign, [""; 0], "{context}: never added");
    } else if !lost.is_empty() && target == LIST_FILE && !before.is_empty() {
        // Only the file of ids knows what a broken log held; without it this counts as a power cut.
        assert!(
            is_failure(&first) || is_failure(&second),
            "{context}: {lost:?} lost"
        );
        told.lost += 1;
    }
}

/// Returns the ids of the list as JSON, where it could be read.
fn listed_ids(output: &Output) -> Option<BTreeSet<String>> {
    let tasks: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
    let ids = tasks.as_array()?.iter();
    Some(
        ids.map(|task| task["taskId"].as_str().unwrap().to_owned())
            .collect(),
    )
}
