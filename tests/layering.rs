//! Imports point down, third parties stay in their rooms, and there are no circles: held against the source.

#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    reason = "test code: what is not as expected is to fail loudly"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Which of our modules each may import.
const ROOMS: [(&str, &[&str]); 10] = [
    ("domain", &["domain"]),
    ("ports", &["domain"]),
    ("app", &["domain", "app"]),
    ("ui", &["domain", "app", "ui"]),
    ("adapters", &["domain", "ports", "adapters"]),
    ("simulator", &["simulator"]),
    (
        "cli",
        &[
            "domain",
            "ports",
            "app",
            "ui",
            "adapters",
            "simulator",
            "cli",
        ],
    ),
    ("runtime", &["domain", "ports", "app", "ui", "runtime"]),
    ("lib", &[]),
    ("main", &[]),
];

/// Where each third party may be named: beginnings of paths below `src`.
const GUESTS: [(&str, &[&str]); 9] = [
    ("crossterm", &["runtime", "main.rs"]),
    ("ratatui", &["ui", "runtime"]),
    ("reqwest", &["adapters"]),
    ("hyper", &["adapters"]),
    ("rusqlite", &["adapters/store"]),
    ("serde", &["adapters", "simulator", "cli"]),
    ("serde_json", &["adapters", "simulator", "cli"]),
    (
        "tokio",
        &["adapters", "simulator", "cli", "runtime", "main.rs"],
    ),
    ("axum", &["simulator"]),
];

fn sources() -> Vec<(PathBuf, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|end| end == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| {
            (
                path.strip_prefix(&root).unwrap().to_owned(),
                fs::read_to_string(&path).unwrap(),
            )
        })
        .collect()
}

/// Returns the code without comments and strings' worst: lines that are comments fall away.
fn code(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns the first words behind `crate::`, groups in braces included.
fn crate_imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            let mut depth = 0_usize;
            let mut word = String::new();
            let mut is_first = true;
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => {
                        word.clear();
                        is_first = true;
                    }
                    c if depth == 0 && (c.is_alphanumeric() || c == '_') => word.push(c),
                    ':' if depth == 0 && is_first && !word.is_empty() => {
                        found.insert(std::mem::take(&mut word));
                        is_first = false;
                    }
                    _ => {}
                }
            }
        } else {
            found.insert(
                rest.chars()
                    .take_while(|c| c.is_alphanumeric() || *c == '_')
                    .collect(),
            );
        }
    }
    found
}

fn room(path: &Path) -> String {
    let first = path
        .components()
        .next()
        .unwrap()
        .as_os_str()
        .to_string_lossy()
        .into_owned();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn imports_point_down() {
    for (path, text) in sources() {
        let room = room(&path);
        let (_, allowed) = ROOMS
            .iter()
            .find(|(name, _)| *name == room)
            .unwrap_or_else(|| panic!("{room} is no known room"));
        for import in crate_imports(&code(&text)) {
            assert!(
                allowed.contains(&import.as_str()),
                "{} may not import {import}",
                path.display()
            );
        }
    }
}

#[test]
fn guests_stay_in_their_rooms() {
    for (path, text) in sources() {
        let code = code(&text);
        for (guest, rooms) in GUESTS {
            let is_named = code.match_indices(&format!("{guest}::")).any(|(at, _)| {
                !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
            });
            let is_home = rooms
                .iter()
                .any(|room| path.to_string_lossy().starts_with(room));
            assert!(!is_named || is_home, "{} names {guest}", path.display());
        }
    }
}

#[test]
fn files_say_what_they_are_for_and_are_no_mod_rs() {
    for (path, text) in sources() {
        assert!(
            text.starts_with("//!"),
            "{} does not open with its job",
            path.display()
        );
        assert_ne!(path.file_name().unwrap(), "mod.rs", "{}", path.display());
    }
}

#[test]
fn the_domain_has_no_circles() {
    let mut imports: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, text) in sources() {
        if path.starts_with("domain") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let text = code(text.split("#[cfg(test)]").next().unwrap());
            let group = text.replace("super::", "crate::");
            imports.insert(name, crate_imports(&group));
        }
    }
    let mut left: BTreeSet<String> = imports.keys().cloned().collect();
    while !left.is_empty() {
        let free: Vec<_> = left
            .iter()
            .filter(|name| {
                imports[*name].is_disjoint(&left)
                    || imports[*name]
                        .intersection(&left)
                        .all(|other| other == *name)
            })
            .cloned()
            .collect();
        assert!(!free.is_empty(), "a circle among {left:?}");
        left.retain(|name| !free.contains(name));
    }
}
