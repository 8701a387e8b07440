//! Names and comments: one meaning for each type name, plain first lines, 100 columns.

#![expect(
    clippy::unwrap_used,
    reason = "test code: an unexpected value must fail loudly"
)]

#[path = "support/sources.rs"]
mod sources;

use std::{collections::BTreeMap, path::PathBuf};

use sources::sources;

/// The widest comment line in columns, the same as rustfmt's for code.
const MAX_WIDTH: usize = 100;

/// The words that begin a type's definition.
const TYPE_WORDS: [&str; 4] = ["struct", "enum", "trait", "type"];

/// Returns the name of the type that a line of code defines; associated types do not count.
fn type_name(line: &str) -> Option<&str> {
    let is_member = line.starts_with(' ');
    let mut words = line
        .split_whitespace()
        .skip_while(|word| word.starts_with("pub"));
    let kind = words.next().filter(|word| TYPE_WORDS.contains(word))?;
    if is_member && kind == "type" {
        return None;
    }
    let name = words.next()?;
    let end = name
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(name.len());
    name.get(..end).filter(|name| !name.is_empty())
}

#[test]
fn type_names_are_defined_once() {
    let mut places: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    for (path, text) in sources("src") {
        if path.file_stem().unwrap() == "tests" {
            continue;
        }
        let code = text.split("#[cfg(test)]\nmod ").next().unwrap();
        for name in code.lines().filter_map(type_name) {
            places
                .entry(name.to_owned())
                .or_default()
                .push(path.clone());
        }
    }
    assert!(places.len() > 300, "too few types found");
    places.retain(|_, paths| paths.len() > 1);
    assert!(places.is_empty(), "defined more than once: {places:#?}");
}

#[test]
fn comments_fit_the_width_of_the_code() {
    let mut wide = Vec::new();
    for folder in ["src", "tests"] {
        for (path, text) in sources(folder) {
            for (number, line) in text.lines().enumerate() {
                if line.trim_start().starts_with("//") && line.chars().count() > MAX_WIDTH {
                    wide.push(format!("{folder}/{}:{}", path.display(), number + 1));
                }
            }
        }
    }
    assert!(wide.is_empty(), "wider than {MAX_WIDTH}: {wide:#?}");
}

#[test]
fn docs_begin_with_a_noun_or_a_verb_that_says_something() {
    for (path, text) in sources("src") {
        for line in text.lines().map(str::trim_start) {
            assert!(
                !line.starts_with("/// Is ") && !line.starts_with("/// Tells "),
                "{}: {line}",
                path.display()
            );
        }
    }
}
