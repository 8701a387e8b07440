//! Imports point down, third parties stay in their rooms, and there are no circles: held against
//! the source.

#![expect(
    clippy::unwrap_used,
    clippy::string_slice,
    reason = "test code: what is not as expected is to fail loudly"
)]

#[path = "support/sources.rs"]
mod sources;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use sources::sources;

/// Which of our modules each may import.
const LAYERS: [(&str, &[&str]); 12] = [
    ("domain", &["domain"]),
    ("ports", &["domain"]),
    ("messages", &["domain", "messages"]),
    ("app", &["domain", "messages", "app"]),
    ("ui", &["domain", "messages", "app", "ui"]),
    ("adapters", &["domain", "messages", "ports", "adapters"]),
    ("simulator", &["simulator"]),
    // The address and the key's place are checked where they are used; nothing below knows the
    // settings.
    (
        "config",
        &["domain", "messages", "app", "ui", "adapters", "config"],
    ),
    (
        "cli",
        &[
            "domain",
            "messages",
            "ports",
            "app",
            "ui",
            "adapters",
            "simulator",
            "config",
            "cli",
        ],
    ),
    (
        "runtime",
        &["domain", "messages", "ports", "app", "ui", "runtime"],
    ),
    ("lib", &[]),
    ("main", &[]),
];

/// Where each third party may be named: beginnings of paths below `src`.
const THIRD_PARTY_CRATES: [(&str, &[&str]); 16] = [
    ("crossterm", &["runtime/terminal"]),
    ("termina", &["runtime/input/decode.rs"]),
    ("ratatui", &["ui", "runtime"]),
    ("ratatui_image", &["runtime/preview"]),
    ("image", &["adapters/frames.rs", "runtime/preview"]),
    ("reqwest", &["adapters"]),
    ("hyper", &["adapters"]),
    ("hyper_util", &["adapters"]),
    ("rusqlite", &["adapters/store"]),
    ("serde", &["adapters", "simulator", "cli"]),
    ("serde_json", &["adapters", "simulator", "cli"]),
    (
        "tokio",
        &["adapters", "simulator", "cli", "runtime", "main.rs"],
    ),
    ("axum", &["simulator"]),
    ("nucleo_matcher", &["domain/fuzzy"]),
    ("toml", &["config/toml_reader.rs"]),
    ("tracing_subscriber", &["adapters/log.rs"]),
];

/// Returns the code without comments and strings' worst: lines that are comments fall away.
fn strip_comments(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns every path of our own that the code names, spelt from the crate's root: `use` trees and
/// paths in the code.
fn own_paths(file: &Path, code: &str) -> BTreeSet<Vec<String>> {
    let here = module_path(file);
    let mut found = BTreeSet::new();
    for start in ["crate::", "self::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let is_start =
                !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            if is_start {
                expand(&code[at..], &mut Vec::new(), &mut found);
            }
        }
    }
    found.into_iter().map(|path| resolve(&here, path)).collect()
}

/// Returns the paths of a file's code and of its inner tests, which stand one module deeper.
fn all_paths(file: &Path, text: &str) -> BTreeSet<Vec<String>> {
    let (code_text, tests) = text.split_once("#[cfg(test)]").unwrap_or((text, ""));
    let mut paths = own_paths(file, &strip_comments(code_text));
    paths.extend(own_paths(
        &file.with_extension("").join("tests.rs"),
        &strip_comments(tests),
    ));
    paths
}

/// Spells out one `use` tree, or one path; returns how much of the text it took.
fn expand(tree: &str, lead: &mut Vec<String>, found: &mut BTreeSet<Vec<String>>) -> usize {
    let depth = lead.len();
    let mut at = 0;
    loop {
        let rest = &tree[at..];
        let word = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        lead.push(rest[..word].to_owned());
        at += word;
        let Some(rest) = tree[at..].strip_prefix("::") else {
            break;
        };
        at += 2;
        if let Some(group) = rest.strip_prefix('{') {
            at += 1 + split_group(group, lead, found);
            lead.truncate(depth);
            return at;
        }
    }
    found.insert(lead.clone());
    lead.truncate(depth);
    at
}

/// Spells out what stands between braces.
fn split_group(group: &str, lead: &mut Vec<String>, found: &mut BTreeSet<Vec<String>>) -> usize {
    let mut at = 0;
    while let Some(c) = group[at..].chars().next() {
        match c {
            '}' => return at + 1,
            c if c.is_alphanumeric() || c == '_' => {
                at += expand(&group[at..], lead, found);
                // Another name for it is no path.
                if let Some(name) = group[at..].strip_prefix(" as ") {
                    at += " as ".len() + name.find([',', '}', '\n']).unwrap_or(name.len());
                }
            }
            c => at += c.len_utf8(),
        }
    }
    at
}

/// Spells a path from the crate's root.
fn resolve(here: &[String], path: Vec<String>) -> Vec<String> {
    let mut base = here.to_vec();
    let mut words = path.into_iter().peekable();
    while let Some(word) = words.next_if(|word| matches!(word.as_str(), "crate" | "self" | "super"))
    {
        match word.as_str() {
            "crate" => base.clear(),
            "super" => drop(base.pop()),
            _ => {}
        }
    }
    base.extend(words);
    base
}

/// Returns the module a file holds: `app/update/keys.rs` is `app`, `update`, `keys`.
fn module_path(file: &Path) -> Vec<String> {
    let parts = file.with_extension("");
    let names = parts
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned());
    names
        .filter(|name| name != "lib" && name != "main")
        .collect()
}

/// Returns the code a program is made of: without its inner tests.
fn without_tests(text: &str) -> String {
    strip_comments(text.split("#[cfg(test)]").next().unwrap())
}

fn layer_of(path: &Path) -> String {
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
fn imports_follow_the_layers() {
    for (path, text) in sources("src") {
        let room = layer_of(&path);
        let (_, allowed) = LAYERS
            .iter()
            .find(|(name, _)| *name == room)
            .unwrap_or_else(|| panic!("{room} is no known room"));
        for import in all_paths(&path, &text) {
            let Some(import) = import.first().filter(|import| **import != room) else {
                continue;
            };
            assert!(
                allowed.contains(&import.as_str()),
                "{} may not import {import}",
                path.display()
            );
        }
    }
}

#[test]
fn third_party_crates_stay_in_their_modules() {
    for (path, text) in sources("src") {
        let code = strip_comments(&text);
        for (guest, rooms) in THIRD_PARTY_CRATES {
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
fn colours_come_from_the_palette_alone() {
    let homes = ["ui/theme/palette.rs", "ui.rs"];
    for (path, text) in sources("src") {
        let code = without_tests(&text);
        let is_home = homes.iter().any(|home| path.ends_with(home));
        assert!(
            is_home || !(code.contains("Color::") || code.contains("Colour::")),
            "{} names a colour",
            path.display()
        );
    }
}

#[test]
fn no_child_is_started_with_the_key() {
    // It stays in our environment: to take it out is unsafe once there are threads, and before
    // `main` there is no place of ours. So whoever starts a program takes it out of that program's,
    // or has `command` do it.
    for (path, text) in sources("src") {
        let code = without_tests(&text);
        let starts = ["process::Command", "Command::new(", "open::that", "exec("];
        let is_starting = starts.iter().any(|words| code.contains(words));
        assert!(
            !is_starting
                || code.contains("env_remove(")
                || code.contains("env_clear(")
                || code.contains(".sandbox("),
            "{} starts a program and leaves it the key",
            path.display()
        );
    }
}

#[test]
fn files_have_a_header_and_no_mod_rs() {
    for (path, text) in sources("src") {
        assert!(
            text.starts_with("//!"),
            "{} does not open with its job",
            path.display()
        );
        assert_ne!(path.file_name().unwrap(), "mod.rs", "{}", path.display());
    }
}

#[test]
fn domain_app_and_ui_have_no_cycles() {
    let files: Vec<_> = sources("src")
        .into_iter()
        .filter(|(path, _)| {
            ["domain", "app", "ui"]
                .iter()
                .any(|room| path.starts_with(room))
        })
        .map(|(path, text)| (module_path(&path), own_paths(&path, &without_tests(&text))))
        .collect();
    let names: BTreeSet<_> = files.iter().map(|(name, _)| name.clone()).collect();
    // A path leads to the longest module that it begins with; a file's own items are no import.
    let target = |path: &Vec<String>| {
        (1..=path.len())
            .rev()
            .map(|n| path[..n].to_vec())
            .find(|name| names.contains(name))
    };
    let imports: BTreeMap<_, BTreeSet<_>> = files
        .iter()
        .map(|(name, paths)| {
            let targets = paths
                .iter()
                .filter_map(target)
                .filter(|other| other != name);
            (name.clone(), targets.collect())
        })
        .collect();
    assert!(
        imports.len() > 15 && imports.values().map(BTreeSet::len).sum::<usize>() > 40,
        "the source was read"
    );
    let mut left = names;
    while !left.is_empty() {
        let free: Vec<_> = left
            .iter()
            .filter(|name| imports[*name].is_disjoint(&left))
            .cloned()
            .collect();
        assert!(!free.is_empty(), "a circle among {left:?}");
        left.retain(|name| !free.contains(name));
    }
}

#[test]
fn every_import_form_is_parsed() {
    let text = "use crate::{a::{self, b::C as _}, d as e}; use super::super::e::F; fn f() { self::g::h(); x::crate_y(); super::i }";
    let paths = own_paths(Path::new("app/update/keys.rs"), text);
    let found: Vec<_> = paths.iter().map(|path| path.join("::")).collect();
    assert_eq!(
        found,
        [
            "a::b::C",
            "a::self",
            "app::e::F",
            "app::update::i",
            "app::update::keys::g::h",
            "d"
        ]
    );
}
