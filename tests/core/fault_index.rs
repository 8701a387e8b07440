//! The fault index: everything that can go wrong with a request has a number, and at least one test
//! cites each number.
//!
//! A test cites its faults in a comment line right above it, `// F6, F7`, or inside it, for example
//! beside a row of a table. Other comments do not count. The tests below check that a citing test
//! exists, not that it covers the fault. Numbers are stable: a new fault takes the next one.

use std::{collections::BTreeSet, fs, path::Path};

use crate::support::sources::sources;

/// Every fault: its number, a full stop and its description. Further lines are indented or notes.
const FAULTS: &str = include_str!("faults.md");

/// Returns the first line of every fault, by number.
fn faults() -> Vec<(u32, &'static str)> {
    let first_lines = FAULTS.lines().filter_map(|line| line.split_once(". "));
    first_lines
        .filter_map(|(number, text)| Some((number.parse().ok()?, text)))
        .collect()
}

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

    let missing: Vec<_> = faults()
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
        .filter(|cited| !faults().iter().any(|(number, _)| number == *cited))
        .collect();
    assert!(
        unknown.is_empty(),
        "cited, but not in the index: {unknown:?}"
    );
}

#[test]
fn fault_numbers_have_no_gap() {
    let numbers: Vec<_> = faults().iter().map(|(number, _)| *number).collect();

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
