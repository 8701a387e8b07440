//! A writing process is killed at any moment: every acknowledged change is kept.

use std::{
    collections::{HashMap, HashSet},
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
};

use kietop::adapters::store::SqliteStore;

use crate::support::{
    hostile_server::SeededRng,
    rerun::{job_path, rerun_test},
    store::*,
};

/// The last line of the writer about a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastAck {
    Added,
    /// Not acknowledged: the task may be there or not.
    Removing,
    Removed,
}

/// The number of acknowledged changes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acknowledged {
    pub(crate) adds: usize,
    pub(crate) removals: usize,
}

/// Kills a writer in each round and checks the list. Fails at the first loss.
///
/// The writer is this test binary, run with the named test only. The test must call this function
/// first; in the writer it never returns.
pub(crate) fn run_rounds(test: &str, rounds: usize, seed: u64) -> Acknowledged {
    if let Some(path) = job_path() {
        write_forever(&path);
    }
    let list = TestList::new();
    let mut rng = SeededRng(seed);
    let mut acks = HashMap::new();

    for round in 0..rounds {
        let mut child = rerun_test(test, list.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut remaining = rng.roll(12);
        let mut spin = rng.roll(200_000);
        for line in lines.by_ref() {
            let is_ack = record_line(&mut acks, &line.unwrap());
            if is_ack && remaining == 0 {
                break;
            }
            remaining -= usize::from(is_ack);
        }
        // Delays the kill into the next write.
        while spin > 0 {
            spin = std::hint::black_box(spin) - 1;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            record_line(&mut acks, &line);
        }

        let all = list.open().load().unwrap();
        let ids: HashSet<_> = all.iter().map(|watched| watched.id().as_str()).collect();
        for (name, ack) in &acks {
            let is_right = match ack {
                LastAck::Added => ids.contains(name.as_str()),
                LastAck::Removing => true,
                LastAck::Removed => !ids.contains(name.as_str()),
            };
            assert!(
                is_right,
                "{name} was {ack:?}, lost in round {round}, seed {seed}"
            );
        }
    }
    let count = |ack| acks.values().filter(|last| **last == ack).count();
    Acknowledged {
        adds: acks.len(),
        removals: count(LastAck::Removed),
    }
}

/// Records a line of the writer, and reports whether it is an acknowledgement.
fn record_line(acks: &mut HashMap<String, LastAck>, line: &str) -> bool {
    let (name, ack) = match line.split_once(' ') {
        Some(("added", name)) => (name, LastAck::Added),
        Some(("removing", name)) => (name, LastAck::Removing),
        Some(("removed", name)) => (name, LastAck::Removed),
        Some(_) | None => return false,
    };
    acks.insert(name.to_owned(), ack);
    ack != LastAck::Removing
}

fn write_forever(path: &Path) -> ! {
    let mut store = SqliteStore::open(path, at(0), assert_undamaged).unwrap();
    for n in 0_u64.. {
        let name = format!("{}-{n}", std::process::id());
        store.apply(&[add(&name)]).unwrap();
        println!("added {name}");
        if n % 3 == 2 {
            println!("removing {name}");
            store.apply(&[remove(&name)]).unwrap();
            println!("removed {name}");
        }
    }
    unreachable!("the parent kills this process first")
}
