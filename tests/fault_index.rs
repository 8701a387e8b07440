//! The index of faults: whatever can go wrong around a question has a number, and each number a
//! test that names it.
//!
//! A test names its faults in a comment line right above it, `// F6, F7`, or within it where it has
//! rows; what stands elsewhere does not count. That such a test exists is what is checked here, not
//! that it covers the whole row. The numbers stay: a new fault takes the next one.
//!
//! Where the program does otherwise than was first planned for a fault, or less, its row says so.

#![expect(
    clippy::unwrap_used,
    reason = "test code: what is not as expected is to fail loudly"
)]

#[path = "support/sources.rs"]
mod sources;

use std::{collections::BTreeSet, fs, path::Path};

use sources::sources;

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
        // Planned was to stop until a person asks. A certificate is renewed and a login page gone
        // with nobody at the keyboard, and a question that ends in the handshake gives nothing
        // away.
        "a certificate or TLS that cannot be trusted: said why, the key stays here; tried every five minutes and on r",
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
    (
        23,
        // The key's own limit is named by its codes, 430 and 433; 429 for an hour may be one of
        // them too, and the banner says so.
        "429 for a long time: one question a pause, pauses grow to fifteen minutes; the key's limit is named",
    ),
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
    (
        37,
        "the same key twice: the last one counts, and it is noticed",
    ),
    (38, "a document that is no object"),
    // The API answers so for ids it does not know, as it does with 404 and 422: one fault, told by
    // the task's time on the list. In its grace there are no details yet; after ten minutes the
    // server returns no data.
    (39, "no data: not known to the server"),
    (40, "data that is a list or a text"),
    (41, "the answer for another task: left aside, and noticed"),
    (
        42,
        "the code in another spelling, or none: the latter is noticed",
    ),
    (43, "code 401 in HTTP 200"),
    (44, "code 404 in HTTP 200"),
    (45, "code 422: the task is not asked after any more"),
    (46, "code 429 without a header"),
    (47, "code 455: maintenance"),
    (48, "code 500: the task waits longer"),
    // Not asked after once more: an end is never demoted, so a second answer could change nothing.
    (49, "code 501: the end of the task, final at once"),
    (50, "code 200 in HTTP 500: the worse of the two"),
    (51, "a code nobody knows"),
    (52, "flag 0"),
    (53, "flag 1 without a link: asked again a few times"),
    (54, "flags 2 and 3"),
    (55, "flag 4: made, only the callback failed"),
    (56, "a flag nobody knows: shown, and asked on"),
    (57, "a flag in another spelling"),
    // Noted in the task's journal as contradicted, with what the answer said; as no longer on the
    // server after a 404 or no data. Counted among the odd answers, like all that make no sense;
    // the beginning of the last one is kept in memory.
    (58, "an ending taken back: stays, and is noted"),
    (59, "error codes of every kind"),
    (60, "an error message that is long, or attacks"),
    (61, "parameters that cannot be read"),
    (62, "times in every unit, and out of reason"),
    (63, "an end before its beginning"),
    (
        64,
        "a beginning after now: kept, and its age is none; how far the clocks are apart can be read",
    ),
    (65, "an end beside flag 0: the flag wins"),
    (66, "links without number: the first 32"),
    (67, "links that must not be opened"),
    (
        68,
        "answers that contradict each other in turn: the better ending stays, and it is noticed",
    ),
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

/// Returns every source of the repository but this one, with its path.
fn all_sources() -> Vec<(String, String)> {
    let all = ["src", "tests"].map(|folder| {
        let below = sources(folder).into_iter();
        below.map(move |(path, text)| (format!("{folder}/{}", path.display()), text))
    });
    all.into_iter()
        .flatten()
        .filter(|(path, _)| path != file!())
        .collect()
}

/// Returns the numbers a comment names: `// F6, F7: both at once`; none for a line that is no
/// comment.
fn cited_faults(line: &str) -> Vec<u32> {
    let comment = line.trim_start().strip_prefix("// ").unwrap_or_default();
    comment
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter_map(|word| word.strip_prefix('F')?.parse().ok())
        .collect()
}

/// Returns the numbers that the tests of a source name: in the lines right above a test's function,
/// or inside it.
fn tested_faults(source: &str) -> BTreeSet<u32> {
    let (mut found, mut above, mut is_test) = (BTreeSet::new(), Vec::new(), false);
    // The line that ends the test we are in, as rustfmt indents it.
    let mut end: Option<String> = None;
    for line in source.lines() {
        let code = line.trim_start();
        if let Some(last) = &end {
            found.extend(cited_faults(line));
            if line == last {
                end = None;
            }
            continue;
        }
        if code.starts_with("//") {
            above.extend(cited_faults(line));
        } else if code.starts_with("#[") {
            is_test |= code == "#[test]" || code.starts_with("#[tokio::test");
        } else {
            let is_function = code.starts_with("fn ") || code.starts_with("async fn ");
            if is_test && is_function {
                found.extend(above.iter().copied());
                let indent = line.len() - code.len();
                end = Some(format!("{}}}", " ".repeat(indent)));
            }
            (above, is_test) = (Vec::new(), false);
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
/// Says what.
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
fn fault_numbers_have_no_gap() {
    let numbers: Vec<_> = FAULTS.iter().map(|(number, _)| *number).collect();

    assert_eq!(numbers, (1..=74).collect::<Vec<_>>());
}

/// Reports whether a test of this name is in a file whose path ends so.
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

    let mut wrong = Vec::new();
    for (number, row) in (1..).zip(&rows) {
        assert!(row.starts_with(&format!("| P{number} |")), "{row}");
        let tests: Vec<_> = row.split('`').skip(1).step_by(2).collect();
        let is_known = |test: &&str| match test.split_once("::") {
            Some((file, test)) => test_exists(&files, file, test),
            None => root.join(test).exists(),
        };
        wrong.extend(
            tests
                .iter()
                .filter(|test| !is_known(test))
                .map(ToString::to_string),
        );
        if tests.is_empty() {
            wrong.push(format!("P{number} names no test"));
        }
    }

    assert_eq!((rows.len(), wrong), (33, Vec::<String>::new()));
}
