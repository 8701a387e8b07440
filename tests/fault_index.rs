//! The index of faults: whatever can go wrong around a question has a number, and each number a test that names it.
//!
//! A test names its faults in a comment line above it, `// F6, F7`, or within it where it has rows. The numbers stay:
//! a new fault takes the next one.

#![expect(
    clippy::unwrap_used,
    reason = "test code: what is not as expected is to fail loudly"
)]

use std::{collections::BTreeSet, fs, path::Path};

/// Every fault, from the cable up: what happens, and what is then seen.
const FAULTS: [(u32, &str); 74] = [
    (1, "the name of the host is unknown: offline, all is kept"),
    (
        2,
        "the look-up of the name hangs: a deadline, and nobody waits for it at the end",
    ),
    (3, "refused, unreachable: offline"),
    (4, "the connection hangs: a deadline of its own"),
    (
        5,
        "the first address of a name is dead: the next one answers",
    ),
    (6, "broken off before any answer: asked once more"),
    (7, "an idle connection closed by the server: unnoticed"),
    (
        8,
        "a certificate or TLS that cannot be trusted: said why, the key stays here",
    ),
    (9, "the certificate of a network login page: said so"),
    (10, "a proxy that refuses: named, without its user"),
    (11, "the machine slept: one question a task, spread out"),
    (
        12,
        "another network: the dead connection costs one question",
    ),
    (13, "a redirect: told, not followed"),
    (14, "a web page in place of JSON"),
    (
        15,
        "a gateway's error page: server trouble, Retry-After obeyed",
    ),
    (16, "JSON labelled as a web page: taken"),
    (17, "HTTP 401, 403: the account waits"),
    (18, "HTTP 404 with an envelope: not known to the server"),
    (19, "HTTP 404 with a page: the wrong address"),
    (
        20,
        "HTTP 429 with Retry-After: everything waits, with a countdown",
    ),
    (21, "Retry-After as a date"),
    (
        22,
        "Retry-After of nonsense and of centuries: held in bounds",
    ),
    (23, "429 for a long time: one question a pause, pauses grow"),
    (24, "no body"),
    (25, "a body that stops early: cut off, not bad JSON"),
    (26, "chunks that never end or make no sense"),
    (27, "a body that drips: the deadline for everything"),
    (28, "a head that drips: a deadline of its own"),
    (29, "a head of two hundred lines or a megabyte"),
    (30, "a body without end: left at the limit"),
    (31, "a compressed body: refused"),
    (32, "what is no HTTP"),
    (33, "control characters in head and reason: never shown"),
    (
        34,
        "a byte order mark is skipped; junk after the document is not",
    ),
    (35, "broken UTF-8 and half surrogates: used all the same"),
    (36, "ten thousand levels deep"),
    (37, "the same key twice: the last one counts"),
    (38, "a document that is no object"),
    (39, "no data"),
    (40, "data that is a list or a text"),
    (41, "the answer for another task: left aside"),
    (42, "the code in another spelling, or none"),
    (43, "code 401 in HTTP 200"),
    (44, "code 404 in HTTP 200"),
    (45, "code 422: the task is not asked after any more"),
    (46, "code 429 without a header"),
    (47, "code 455: maintenance"),
    (48, "code 500: the task waits longer"),
    (49, "code 501: the end of the task, confirmed once"),
    (50, "code 200 in HTTP 500: the worse of the two"),
    (51, "a code nobody knows"),
    (52, "flag 0"),
    (53, "flag 1 without a link: asked again a few times"),
    (54, "flags 2 and 3"),
    (55, "flag 4: made, only the callback failed"),
    (56, "a flag nobody knows: shown, and asked on"),
    (57, "a flag in another spelling"),
    (58, "an ending taken back: stays, and is noted"),
    (59, "error codes of every kind"),
    (60, "an error message that is long, or attacks"),
    (61, "parameters that cannot be read"),
    (62, "times in every unit, and out of reason"),
    (63, "an end before its beginning"),
    (64, "a beginning after now"),
    (65, "an end beside flag 0: the flag wins"),
    (66, "links without number: the first 32"),
    (67, "links that must not be opened"),
    (68, "answers that contradict each other in turn"),
    (
        69,
        "the disk is full or read-only: said, and nothing kept in silence",
    ),
    (70, "the wall clock jumps: schedules do not"),
    (71, "a key that is none: said where, never repeated"),
    (72, "two instances on one list"),
    (73, "ten thousand tasks"),
    (74, "a task whose link is dead by now: marked"),
];

/// Collects every source below a folder, but for this one.
fn sources(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.ends_with(file!()) {
            found.push(fs::read_to_string(&path).unwrap());
        }
    }
}

/// Returns the numbers a comment names: `// F6, F7: both at once`.
fn named(line: &str) -> impl Iterator<Item = u32> {
    let comment = line.split_once("// ").map_or("", |(_, comment)| comment);
    comment
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter_map(|word| word.strip_prefix('F')?.parse().ok())
}

#[test]
fn every_fault_has_a_test_that_names_it() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut tests, mut shipped) = (Vec::new(), Vec::new());
    sources(&root.join("tests"), &mut tests);
    sources(&root.join("src"), &mut shipped);
    // Of what is shipped, the inner tests.
    let inner = shipped
        .iter()
        .filter_map(|text| text.split_once("#[cfg(test)]"))
        .map(|(_, tests)| tests);
    let tested: BTreeSet<_> = tests
        .iter()
        .map(String::as_str)
        .chain(inner)
        .flat_map(str::lines)
        .flat_map(named)
        .collect();

    let missing: Vec<_> = FAULTS
        .iter()
        .filter(|(number, _)| !tested.contains(number))
        .map(|(number, what)| format!("F{number} {what}"))
        .collect();

    assert!(missing.is_empty(), "no test names\n{}", missing.join("\n"));
    let unknown: Vec<_> = tested
        .iter()
        .filter(|named| !FAULTS.iter().any(|(number, _)| number == *named))
        .collect();
    assert!(unknown.is_empty(), "named, but in no table: {unknown:?}");
}

#[test]
fn the_table_counts_without_a_gap() {
    let numbers: Vec<_> = FAULTS.iter().map(|(number, _)| *number).collect();

    assert_eq!(numbers, (1..=74).collect::<Vec<_>>());
}
