//! Damage of every kind done to a list file, and what may come of it: never a silent change, never
//! a panic.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code: what is not as expected is to fail loudly"
)]

use std::fs;

use kietop::{
    adapters::store::SqliteStore,
    domain::{
        list_change::StoreError,
        task::{TaskDetails, TaskState},
        text::CleanText,
        watched_task::WatchedTask,
    },
    ports::ListStore,
};

use crate::support::*;

/// Fills a list with tasks of every kind and leaves it closed, or as a kill leaves it.
pub(crate) fn fill_list(list: &TestList, is_killed: bool) -> Vec<WatchedTask> {
    let mut store = list.open();
    let mut changes = Vec::new();
    for n in 0..60_u64 {
        let name = format!("{:032x}", 0x9e37_79b9_7f4a_7c15_u128 * u128::from(n + 1));
        let label = CleanText::line(&format!("take {n}"), 256);
        changes.push(match n % 2 {
            0 => add(&name),
            _ => labelled(&name, &label),
        });
        let length = if n % 10 == 0 { 9000 } else { 300 };
        let facts = TaskDetails {
            prompt: Some(CleanText::block(&"word ".repeat(length / 5), 16 * 1024)),
            created: Some(at(n)),
            ..TaskDetails::default()
        };
        let state = match n % 3 {
            0 => success(),
            1 => TaskState::Running {
                is_finishing: false,
            },
            _ => TaskState::New,
        };
        changes.push(observed_as(&name, state, facts, "{\"some\": \"json\"}"));
        if n % 7 == 0 {
            changes.push(remove(&name));
        }
    }
    store.apply(&changes).unwrap();
    let all = store.load().unwrap();
    if is_killed {
        // What a kill leaves: the log not yet taken over into the file.
        let copies = ["kietop.db", "kietop.db-wal"].map(|name| {
            let path = list.path().with_file_name(name);
            (fs::read(&path).unwrap(), path)
        });
        drop(store);
        for (bytes, path) in copies {
            fs::write(path, bytes).unwrap();
        }
    }
    all
}

/// Tells what became of the damaged files; the others were whole all the same.
#[derive(Debug, Default)]
pub(crate) struct DamageOutcome {
    /// Kept aside and named, with the list rescued from them.
    pub(crate) kept: usize,
    /// Refused and left as they are: they look like a newer version or another program's.
    pub(crate) refused: usize,
}

/// The number of kinds of damage.
pub(crate) const DAMAGE_KINDS: usize = 8;

/// Damages bytes as a disk, a copy or a person may.
pub(crate) fn corrupt(bytes: &mut Vec<u8>, kind: usize, dice: &mut TestRng) {
    let length = bytes.len();
    let noise = |dice: &mut TestRng| u8::try_from(dice.roll(256)).unwrap();
    match kind {
        0 => bytes.truncate(dice.roll(length)),
        1 => {
            for _ in 0..=dice.roll(8) {
                bytes[dice.roll(length)] ^= 1 << dice.roll(8);
            }
        }
        2 => {
            let page = dice.roll(length.div_ceil(8192)) * 8192;
            bytes[page..length.min(page + 8192)].fill(0);
        }
        3 | 4 => {
            let start = dice.roll(length);
            let count = if kind == 3 { 30 } else { 600 };
            for byte in bytes.iter_mut().skip(start).take(count) {
                *byte = noise(dice);
            }
        }
        5 => {
            let end = 1 + dice.roll(length.min(4096));
            bytes[..end].fill(0);
        }
        6 => bytes.extend((0..dice.roll(9000)).map(|_| noise(dice))),
        _ => bytes.fill_with(|| noise(dice)),
    }
}

/// Damages a fresh list so many times; fails at the first change that nobody told of.
pub(crate) fn run_rounds(rounds: usize, seed: u64) -> DamageOutcome {
    let mut dice = TestRng(seed);
    let mut told = DamageOutcome::default();
    for round in 0..rounds {
        let list = TestList::new();
        let all = fill_list(&list, round % 2 == 0);
        let name = match round % 4 {
            2 => "kietop.db-wal",
            _ => "kietop.db",
        };
        let path = list.path().with_file_name(name);
        let mut bytes = fs::read(&path).unwrap();
        let kind = dice.roll(DAMAGE_KINDS);
        corrupt(&mut bytes, kind, &mut dice);
        fs::write(&path, &bytes).unwrap();

        let context = format!("round {round}, kind {kind}, {name}");
        let reports = RecoveryReports::default();
        let mut store = match SqliteStore::open(&list.path(), at(0), reports.sink()) {
            Ok(store) => store,
            Err(error @ (StoreError::NewerVersion { .. } | StoreError::Other(_))) => {
                assert_eq!(fs::read(&path).unwrap(), bytes, "{context}: {error}");
                told.refused += 1;
                continue;
            }
            Err(error) => panic!("{context}: {error}"),
        };
        let loaded = store.load().unwrap();
        let told_of = reports.take();
        match told_of
            .iter()
            .find_map(|recovery| recovery.backup_path.as_ref())
        {
            Some(kept) => {
                told.kept += 1;
                assert!(kept.exists(), "{context}");
                if name == "kietop.db" {
                    assert_eq!(fs::read(kept).unwrap(), bytes, "{context}");
                }
            }
            // A broken log counts as a power cut: SQLite takes it as far as it is whole.
            None if name != "kietop.db" => {
                let is_as_it_was = loaded.iter().all(|watched| all.contains(watched));
                assert!(is_as_it_was || !told_of.is_empty(), "{context}");
            }
            None => assert_eq!(loaded, all, "{context}"),
        }
        let ids = |tasks: &[WatchedTask]| -> Vec<_> {
            let ids = tasks.iter().map(|watched| watched.id().clone());
            ids.collect()
        };
        assert_eq!(ids(&loaded), ids(&all), "{context}");
        store.apply(&[add("after")]).unwrap();
        drop(store);
        assert_eq!(
            list.open().load().unwrap().len(),
            loaded.len() + 1,
            "{context}"
        );
    }
    told
}
