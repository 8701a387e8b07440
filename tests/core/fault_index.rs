//! The fault index: everything that can go wrong with a request has a number, and at least one test
//! cites each number.
//!
//! A test cites its faults in a comment line right above it, `// F6, F7`, or inside it, for example
//! beside a row of a table. Other comments do not count. The tests below check that a citing test
//! exists, not that it covers the fault. Numbers are stable: a new fault takes the next one.
//!
//! A comment on a row states where the program deviates from the original plan.

use std::{collections::BTreeSet, fs, path::Path};

use crate::support::sources::sources;

/// Every fault, from the network up: what happens, and how the program reacts.
const FAULTS: [(u32, &str); 74] = [
    (1, "the host name is unknown: offline, all state is kept"),
    (
        2,
        "the DNS lookup hangs: a deadline, and quitting does not wait for it",
    ),
    (3, "connection refused, host unreachable: offline"),
    (4, "the connection attempt hangs: its own deadline"),
    (
        5,
        "the first address of a host is dead: the next one is used",
    ),
    (6, "the connection breaks before any response: retried once"),
    (
        7,
        "the server closes an idle connection: a new one is opened silently",
    ),
    (
        8,
        // The plan was to stop until a manual refresh. But certificates get renewed and login pages
        // disappear while nobody is at the keyboard, and a request that fails in the handshake
        // reveals nothing.
        "an untrusted certificate or TLS: the reason is shown, the key is not sent; retried every five minutes and on r",
    ),
    (
        9,
        "the certificate of a network login page: reported as such",
    ),
    (10, "a proxy refuses: named, without its user"),
    (11, "the machine slept: one request per task, spread out"),
    (12, "another network: the dead connection costs one request"),
    (13, "a redirect: reported, not followed"),
    (14, "a web page instead of JSON"),
    (
        15,
        "an error page of a gateway: a server error, Retry-After is obeyed",
    ),
    (16, "JSON labelled as a web page: accepted"),
    (17, "HTTP 401, 403: account backoff"),
    (18, "HTTP 404 with an envelope: task not found"),
    (19, "HTTP 404 with a web page: wrong API address"),
    (
        20,
        "HTTP 429 with Retry-After: account backoff, with a countdown",
    ),
    (21, "Retry-After as a date"),
    (22, "Retry-After invalid or centuries long: clamped"),
    (
        23,
        // Codes 430 and 433 mean the key's own limit; so may an hour of 429, and the banner says
        // so.
        "429 for a long time: one request per wait, waits grow to fifteen minutes; the key's limit is named",
    ),
    (24, "no body"),
    (
        25,
        "a body ends early: reported as cut off, not as invalid JSON",
    ),
    (26, "endless or invalid chunks"),
    (27, "a body arrives byte by byte: the total deadline"),
    (28, "a head arrives byte by byte: its own deadline"),
    (29, "a head of two hundred lines or a megabyte"),
    (30, "an endless body: read up to the limit"),
    (31, "a compressed body: refused"),
    (32, "a response that is not HTTP"),
    (33, "control characters in head and reason: never shown"),
    (
        34,
        "a byte order mark is skipped; trailing data is an error",
    ),
    (35, "invalid UTF-8 and lone surrogates: accepted"),
    (36, "JSON nested ten thousand levels deep"),
    (
        37,
        "a duplicate key: the last value counts, and an anomaly is recorded",
    ),
    (38, "a document that is not an object"),
    // The API responds like this, or with 404 or 422, to unknown ids. For the first ten minutes on
    // the list the details may not exist yet; after that the task is not found.
    (39, "no data: task not found"),
    (40, "data that is a list or a string"),
    (
        41,
        "a response for another task: ignored, and an anomaly is recorded",
    ),
    (
        42,
        "a code in another format, or none: the latter is an anomaly",
    ),
    (43, "code 401 in HTTP 200"),
    (44, "code 404 in HTTP 200"),
    (45, "code 422: polling of the task stops"),
    (46, "code 429 without a header"),
    (47, "code 455: maintenance"),
    (48, "code 500: the task is polled less often"),
    // No second request: a finished task never goes back to unfinished.
    (49, "code 501: the task has failed, final at once"),
    (50, "code 200 in HTTP 500: the worse one counts"),
    (51, "an unknown code"),
    (52, "flag 0"),
    (53, "flag 1 without a link: polled again a few times"),
    (54, "flags 2 and 3"),
    (55, "flag 4: ready, only the callback failed"),
    (56, "an unknown flag: shown, and polling goes on"),
    (57, "a flag in another format"),
    // The journal records the contradiction with the response; after a 404 or without data, it
    // records that the task is no longer on the server. It counts as an anomaly, like every invalid
    // response; an excerpt of the last one is kept in memory.
    (
        58,
        "a finished state is withdrawn: it stays, and the contradiction is recorded",
    ),
    (59, "error codes of every type"),
    (60, "an error message that is long or harmful"),
    (61, "parameters that cannot be parsed"),
    (62, "times in every unit, and out of range"),
    (63, "an end before its start"),
    (
        64,
        "a start in the future: kept, without an age; the clock difference is shown",
    ),
    (65, "an end beside flag 0: the flag wins"),
    (66, "any number of links: the first 32 are kept"),
    (67, "links that must not be opened"),
    (
        68,
        "alternating contradictory responses: the better finished state stays, and an anomaly is recorded",
    ),
    (69, "the disk is full or read-only: reported, never silent"),
    (70, "the wall clock jumps: schedules are not affected"),
    (
        71,
        "an invalid key: its position is reported, never its text",
    ),
    (72, "two instances on one list"),
    (73, "ten thousand tasks"),
    (74, "a task whose link has expired: marked"),
];

/// Returns all sources of the repository except this file, with their paths.
fn all_sources() -> Vec<(String, String)> {
    let folders = ["src", "tests"].map(|folder| {
        let files = sources(folder).into_iter();
        files.map(move |(path, text)| (format!("{folder}/{}", path.display()), text))
    });
    folders
        .into_iter()
        .flatten()
        .filter(|(path, _)| path != file!())
        .collect()
}

/// Returns the numbers that a comment line cites: `// F6, F7: both at once`.
fn cited_faults(line: &str) -> Vec<u32> {
    let comment = line.trim_start().strip_prefix("// ").unwrap_or_default();
    comment
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter_map(|word| word.strip_prefix('F')?.parse().ok())
        .collect()
}

/// Returns the numbers that the tests of a source file cite, right above a test function or inside
/// it.
fn tested_faults(source: &str) -> BTreeSet<u32> {
    let (mut found, mut cited_above, mut is_test) = (BTreeSet::new(), Vec::new(), false);
    // The closing line of the current test, as rustfmt indents it.
    let mut end: Option<String> = None;
    for line in source.lines() {
        let code = line.trim_start();
        if let Some(closing_line) = &end {
            found.extend(cited_faults(line));
            if line == closing_line {
                end = None;
            }
            continue;
        }
        if code.starts_with("//") {
            cited_above.extend(cited_faults(line));
        } else if code.starts_with("#[") {
            is_test |= code == "#[test]" || code.starts_with("#[tokio::test");
        } else {
            let is_function = code.starts_with("fn ") || code.starts_with("async fn ");
            if is_test && is_function {
                found.extend(cited_above.iter().copied());
                let indent = line.len() - code.len();
                end = Some(format!("{}}}", " ".repeat(indent)));
            }
            (cited_above, is_test) = (Vec::new(), false);
        }
    }
    found
}

#[test]
fn only_a_test_counts() {
    let source = "
// F1: of a helper
fn helper() {
    // F2
}

// F3
const TABLE: u8 = 0;

// F4, F5
/// A doc comment.
#[cfg(unix)]
#[tokio::test(start_paused = true)]
async fn a_test() {
    let row = \"// F6\";
    // F7: a row
}
// F8

#[cfg(test)]
mod tests {
    // F9
    #[test]
    fn inner() {
        if true {
            // F10
        }
    }
    // F11
}
";
    assert_eq!(tested_faults(source), BTreeSet::from([4, 5, 7, 9, 10]));
}

#[test]
fn every_fault_is_cited_by_a_test() {
    let tested: BTreeSet<_> = all_sources()
        .iter()
        .flat_map(|(_, source)| tested_faults(source))
        .collect();

    let missing: Vec<_> = FAULTS
        .iter()
        .filter(|(number, _)| !tested.contains(number))
        .map(|(number, description)| format!("F{number} {description}"))
        .collect();

    assert!(
        missing.is_empty(),
        "not cited by any test:\n{}",
        missing.join("\n")
    );
    let unknown: Vec<_> = tested
        .iter()
        .filter(|cited| !FAULTS.iter().any(|(number, _)| number == *cited))
        .collect();
    assert!(
        unknown.is_empty(),
        "cited, but not in the index: {unknown:?}"
    );
}

#[test]
fn fault_numbers_have_no_gap() {
    let numbers: Vec<_> = FAULTS.iter().map(|(number, _)| *number).collect();

    assert_eq!(numbers, (1..=74).collect::<Vec<_>>());
}

/// Reports whether a test of this name is in a file whose path ends with `file`.
fn test_exists(files: &[(String, String)], file: &str, test: &str) -> bool {
    let function = format!("fn {test}(");
    files.iter().any(|(path, source)| {
        path.strip_suffix(".rs")
            .is_some_and(|path| path.ends_with(&format!("/{file}")))
            && source.contains(&function)
    })
}

#[test]
fn every_promise_cites_existing_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = all_sources();
    let page = fs::read_to_string(root.join("assets/manual/promises.md")).unwrap();
    let rows: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("| P"))
        .collect();

    let mut errors = Vec::new();
    for (number, row) in (1..).zip(&rows) {
        assert!(row.starts_with(&format!("| P{number} |")), "{row}");
        let tests: Vec<_> = row.split('`').skip(1).step_by(2).collect();
        let exists = |test: &&str| match test.split_once("::") {
            Some((file, test)) => test_exists(&files, file, test),
            None => root.join(test).exists(),
        };
        errors.extend(
            tests
                .iter()
                .filter(|test| !exists(test))
                .map(ToString::to_string),
        );
        if tests.is_empty() {
            errors.push(format!("P{number} cites no test"));
        }
    }

    assert_eq!((rows.len(), errors), (33, Vec::<String>::new()));
}
