//! A process that adds and removes is killed at any moment: what it was told is done, is done.
#![expect(
    clippy::print_stdout,
    clippy::unreachable,
    reason = "a test's own process speaks to the test through its output"
)]

use std::{
    collections::{HashMap, HashSet},
    io::{BufRead, BufReader},
    path::Path,
    process::Stdio,
};

use kietop::{adapters::store::SqliteStore, ports::ListStore};

use crate::support::*;

/// Tells what the writer said last of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LastAck {
    Added,
    /// Either may be true: the kill came before the answer.
    Removing,
    Removed,
}

/// Tells how much was acknowledged in all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Acknowledged {
    pub(crate) adds: usize,
    pub(crate) removals: usize,
}

/// Kills so many writers of one list, and looks each time; fails at the first loss.
///
/// The writer is this test binary once more, told to run the named test, which must do nothing
/// before it calls this function: in the writer it never returns.
pub(crate) fn run_rounds(test: &str, rounds: usize, seed: u64) -> Acknowledged {
    if let Some(path) = job_path() {
        write_forever(&path);
    }
    let list = TestList::new();
    let mut dice = TestRng(seed);
    let mut words = HashMap::new();

    for round in 0..rounds {
        let mut child = rerun_test(test, list.path().to_str().unwrap())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut left = dice.roll(12);
        let mut spin = dice.roll(200_000);
        for line in lines.by_ref() {
            let is_done = record_line(&mut words, &line.unwrap());
            if is_done && left == 0 {
                break;
            }
            left -= usize::from(is_done);
        }
        // Not always right after an acknowledgement, but somewhere in the next write.
        while spin > 0 {
            spin = std::hint::black_box(spin) - 1;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        for line in lines.map_while(Result::ok) {
            record_line(&mut words, &line);
        }

        let all = list.open().load().unwrap();
        let there: HashSet<_> = all.iter().map(|watched| watched.id().as_str()).collect();
        for (name, word) in &words {
            let is_right = match word {
                LastAck::Added => there.contains(name.as_str()),
                LastAck::Removing => true,
                LastAck::Removed => !there.contains(name.as_str()),
            };
            assert!(
                is_right,
                "{name} was {word:?}, lost in round {round}, seed {seed}"
            );
        }
    }
    let count = |word| words.values().filter(|said| **said == word).count();
    Acknowledged {
        adds: words.len(),
        removals: count(LastAck::Removed),
    }
}

/// Notes what the writer said; tells whether it was an acknowledgement.
fn record_line(words: &mut HashMap<String, LastAck>, line: &str) -> bool {
    let word = match line.split_once(' ') {
        Some(("added", name)) => (name, LastAck::Added),
        Some(("removing", name)) => (name, LastAck::Removing),
        Some(("removed", name)) => (name, LastAck::Removed),
        Some(_) | None => return false,
    };
    words.insert(word.0.to_owned(), word.1);
    word.1 != LastAck::Removing
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
    unreachable!("it is killed long before")
}
