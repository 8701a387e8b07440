//! Damaged list files of every kind: never a silent change, never a panic.

use std::fs;

use kietop::{
    adapters::store::SqliteStore,
    domain::{
        list_change::StoreError,
        task::{TaskDetails, TaskState},
        text::CleanText,
        watched_task::WatchedTask,
    },
};

use crate::support::{hostile_server::SeededRng, store::*};

/// Fills a list with tasks of every kind, and leaves it closed or with the log of a killed process.
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
        let details = TaskDetails {
            prompt: Some(CleanText::block(&"word ".repeat(length / 5), 16 * 1024)),
            created: Some(at(n)),
            ..TaskDetails::default()
        };
        let state = match n % 3 {
            0 => success(),
            1 => running(),
            _ => TaskState::New,
        };
        changes.push(observed_as(&name, state, details, "{\"some\": \"json\"}"));
        if n % 7 == 0 {
            changes.push(remove(&name));
        }
    }
    store.apply(&changes).unwrap();
    let all = store.load().unwrap();
    if is_killed {
        // A kill leaves the log, with changes that are not yet in the list file.
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

/// Counts of the damaged files by outcome; the others were still intact.
#[derive(Debug, Default)]
pub(crate) struct DamageOutcome {
    /// Set aside, reported and recovered.
    pub(crate) set_aside: usize,
    /// Not modified, because they look like a newer version's or another program's file.
    pub(crate) refused: usize,
}

pub(crate) const DAMAGE_KINDS: usize = 8;

/// Damages bytes as a disk, a broken copy or an editor may.
pub(crate) fn corrupt(bytes: &mut Vec<u8>, kind: usize, rng: &mut SeededRng) {
    let length = bytes.len();
    let noise = |rng: &mut SeededRng| u8::try_from(rng.roll(256)).unwrap();
    match kind {
        0 => bytes.truncate(rng.roll(length)),
        1 => {
            for _ in 0..=rng.roll(8) {
                bytes[rng.roll(length)] ^= 1 << rng.roll(8);
            }
        }
        2 => {
            let page = rng.roll(length.div_ceil(8192)) * 8192;
            bytes[page..length.min(page + 8192)].fill(0);
        }
        3 | 4 => {
            let start = rng.roll(length);
            let count = if kind == 3 { 30 } else { 600 };
            for byte in bytes.iter_mut().skip(start).take(count) {
                *byte = noise(rng);
            }
        }
        5 => {
            let end = 1 + rng.roll(length.min(4096));
            bytes[..end].fill(0);
        }
        6 => bytes.extend((0..rng.roll(9000)).map(|_| noise(rng))),
        _ => bytes.fill_with(|| noise(rng)),
    }
}

/// Damages a new list in each round. Fails at the first change that is not reported.
pub(crate) fn run_rounds(rounds: usize, seed: u64) -> DamageOutcome {
    let mut rng = SeededRng(seed);
    let mut outcome = DamageOutcome::default();
    for round in 0..rounds {
        let list = TestList::new();
        let all = fill_list(&list, round % 2 == 0);
        let name = match round % 4 {
            2 => "kietop.db-wal",
            _ => "kietop.db",
        };
        let path = list.path().with_file_name(name);
        let mut bytes = fs::read(&path).unwrap();
        let kind = rng.roll(DAMAGE_KINDS);
        corrupt(&mut bytes, kind, &mut rng);
        fs::write(&path, &bytes).unwrap();

        let context = format!("round {round}, kind {kind}, {name}");
        let reports = RecoveryReports::default();
        let mut store = match SqliteStore::open(&list.path(), at(0), reports.sink()) {
            Ok(store) => store,
            Err(error @ (StoreError::NewerVersion { .. } | StoreError::Other(_))) => {
                assert_eq!(fs::read(&path).unwrap(), bytes, "{context}: {error}");
                outcome.refused += 1;
                continue;
            }
            Err(error) => panic!("{context}: {error}"),
        };
        let loaded = store.load().unwrap();
        let recoveries = reports.take();
        match recoveries
            .iter()
            .find_map(|recovery| recovery.backup_path.as_ref())
        {
            Some(backup) => {
                outcome.set_aside += 1;
                assert!(backup.exists(), "{context}");
                if name == "kietop.db" {
                    assert_eq!(fs::read(backup).unwrap(), bytes, "{context}");
                }
            }
            // A broken log counts as a power cut: SQLite uses its intact part.
            None if name != "kietop.db" => {
                let is_unchanged = loaded.iter().all(|watched| all.contains(watched));
                assert!(is_unchanged || !recoveries.is_empty(), "{context}");
            }
            None => assert_eq!(loaded, all, "{context}"),
        }
        assert_eq!(ids_of(&loaded), ids_of(&all), "{context}");
        store.apply(&[add("after")]).unwrap();
        drop(store);
        assert_eq!(
            list.open().load().unwrap().len(),
            loaded.len() + 1,
            "{context}"
        );
    }
    outcome
}
