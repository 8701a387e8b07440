//! Names and comments: one meaning for each type name, plain first lines, 100 columns.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use crate::support::sources::sources;

/// The widest comment line in columns, the same as rustfmt's for code.
const MAX_WIDTH: usize = 100;

/// Pictures that once were names. A name is the term of the field's documentation.
const FORBIDDEN_WORDS: [&str; 10] = [
    "tidings", "scribe", "hands", "house", "outlook", "turns", "harvest", "heard", "putoff",
    "beheaded",
];

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

/// Returns the code without comments and string contents, in which a sentence may use any word.
fn strip_text(source: &str) -> String {
    let mut code = String::new();
    let mut rest = source;
    while let Some(at) = rest.find(['"', '/', '\'']) {
        let (before, after) = rest.split_at(at);
        code.push_str(before);
        let hashes = before.len() - before.trim_end_matches('#').len();
        let is_raw = before.trim_end_matches('#').ends_with('r');
        let len = if after.starts_with("//") {
            after.find('\n')
        } else if after.starts_with("'\"'") {
            Some(3)
        } else if let Some(string) = after.strip_prefix('"') {
            let end = format!("\"{}", "#".repeat(if is_raw { hashes } else { 0 }));
            let mut is_escaped = false;
            let is_end = |(at, c): &(usize, char)| {
                let ends = !is_escaped && string[*at..].starts_with(&end);
                is_escaped = !is_raw && *c == '\\' && !is_escaped;
                ends
            };
            string
                .char_indices()
                .find(is_end)
                .map(|(at, _)| 1 + at + end.len())
        } else {
            Some(1)
        };
        rest = &after[len.unwrap_or(after.len())..];
    }
    code + rest
}

/// Returns the words of the identifiers, in lower case: `heard` and `at` for `HeardAt`.
fn identifier_words(code: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    let mut word = String::new();
    for c in code.chars().chain([' ']) {
        if c.is_uppercase() || !c.is_alphanumeric() {
            words.insert(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
    }
    words
}

#[test]
fn identifiers_are_not_pictures() {
    let source = "let aB = \"c \\\" d\" + 'e' + r#\"f \" g\"#; // h\nx('\"', i_j);";
    let words = identifier_words(&strip_text(source));
    assert_eq!(words.into_iter().collect::<String>(), "abeijletrx");

    for folder in ["src", "tests"] {
        for (path, text) in sources(folder) {
            let words = identifier_words(&strip_text(&text));
            let found: Vec<_> = FORBIDDEN_WORDS
                .iter()
                .filter(|w| words.contains(**w))
                .collect();
            assert!(found.is_empty(), "{folder}/{}: {found:?}", path.display());
        }
    }
}
