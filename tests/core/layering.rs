//! The architecture, checked against the source: layers import only what they may, third-party
//! crates stay in their modules, and there are no import cycles.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use crate::support::sources::sources;

/// The modules that each top-level module may import.
const LAYERS: [(&str, &[&str]); 13] = [
    ("domain", &["domain"]),
    ("ports", &["domain"]),
    ("messages", &["domain", "messages"]),
    ("app", &["domain", "messages", "app"]),
    ("ui", &["domain", "messages", "app", "ui"]),
    ("adapters", &["domain", "messages", "ports", "adapters"]),
    ("simulator", &["simulator"]),
    ("config", &["domain", "messages", "app", "config"]),
    (
        "cli",
        &[
            "domain",
            "messages",
            "ports",
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
    ("app_builder", &[]),
];

/// The path prefixes below `src` that may know the limits on requests. Everyone else asks the API
/// client, which grants or denies each request.
const LIMITER_USERS: [&str; 2] = ["adapters/limited_client", "domain/limiter.rs"];

/// The path prefixes below `src` that may name each third-party crate.
const THIRD_PARTY_CRATES: [(&str, &[&str]); 16] = [
    ("crossterm", &["runtime/terminal"]),
    ("termina", &["runtime/input/decode.rs"]),
    ("ratatui", &["app/palette.rs", "ui", "runtime"]),
    ("ratatui_image", &["runtime/preview"]),
    ("image", &["adapters/frames.rs", "runtime/preview"]),
    ("reqwest", &["adapters"]),
    ("hyper", &["adapters"]),
    ("hyper_util", &["adapters"]),
    ("rusqlite", &["adapters/store"]),
    ("serde", &["adapters", "simulator"]),
    ("serde_json", &["adapters", "simulator"]),
    (
        "tokio",
        &[
            "adapters",
            "simulator",
            "cli",
            "runtime",
            "main.rs",
            "app_builder.rs",
        ],
    ),
    ("axum", &["simulator"]),
    ("nucleo_matcher", &["domain/fuzzy"]),
    ("toml", &["config/toml_reader.rs"]),
    ("tracing_subscriber", &["adapters/log.rs"]),
];

/// The files below a prefix that may not import these modules.
const SEPARATED: [(&str, &str); 2] = [
    ("adapters/download", "adapters::kie"),
    ("adapters/http", "adapters::kie"),
];

/// Removes the lines that are comments.
fn strip_comments(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Returns every path of this crate in the code, also from `use` trees, relative to the crate root.
fn own_paths(file: &Path, code: &str) -> BTreeSet<Vec<String>> {
    let module = module_path(file);
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
    found
        .into_iter()
        .map(|path| resolve(&module, path))
        .collect()
}

/// Returns the paths in a file and in its inner tests, which are one module deeper.
fn all_paths(file: &Path, text: &str) -> BTreeSet<Vec<String>> {
    let (code, tests) = text.split_once("#[cfg(test)]").unwrap_or((text, ""));
    let mut paths = own_paths(file, &strip_comments(code));
    paths.extend(own_paths(
        &file.with_extension("").join("tests.rs"),
        &strip_comments(tests),
    ));
    paths
}

/// Expands one `use` tree or path into `found`; returns the length of the text it consumed.
fn expand(tree: &str, prefix: &mut Vec<String>, found: &mut BTreeSet<Vec<String>>) -> usize {
    let depth = prefix.len();
    let mut at = 0;
    loop {
        let rest = &tree[at..];
        let word = rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len());
        prefix.push(rest[..word].to_owned());
        at += word;
        let Some(rest) = tree[at..].strip_prefix("::") else {
            break;
        };
        at += 2;
        if let Some(group) = rest.strip_prefix('{') {
            at += 1 + split_group(group, prefix, found);
            prefix.truncate(depth);
            return at;
        }
    }
    found.insert(prefix.clone());
    prefix.truncate(depth);
    at
}

/// Expands the items between braces.
fn split_group(group: &str, prefix: &mut Vec<String>, found: &mut BTreeSet<Vec<String>>) -> usize {
    let mut at = 0;
    while let Some(c) = group[at..].chars().next() {
        match c {
            '}' => return at + 1,
            c if c.is_alphanumeric() || c == '_' => {
                at += expand(&group[at..], prefix, found);
                // An alias is not a path.
                if let Some(name) = group[at..].strip_prefix(" as ") {
                    at += " as ".len() + name.find([',', '}', '\n']).unwrap_or(name.len());
                }
            }
            c => at += c.len_utf8(),
        }
    }
    at
}

/// Makes a path relative to the crate root.
fn resolve(module: &[String], path: Vec<String>) -> Vec<String> {
    let mut base = module.to_vec();
    let mut segments = path.into_iter().peekable();
    while let Some(segment) =
        segments.next_if(|segment| matches!(segment.as_str(), "crate" | "self" | "super"))
    {
        match segment.as_str() {
            "crate" => base.clear(),
            "super" => drop(base.pop()),
            _ => {}
        }
    }
    base.extend(segments);
    base
}

/// Returns the module path of a file: `app/update/keys.rs` is `app`, `update`, `keys`.
fn module_path(file: &Path) -> Vec<String> {
    let parts = file.with_extension("");
    let names = parts
        .components()
        .map(|part| part.as_os_str().to_string_lossy().into_owned());
    names
        .filter(|name| name != "lib" && name != "main")
        .collect()
}

/// Returns the code without comments and inner tests.
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
        let layer = layer_of(&path);
        let (_, allowed) = LAYERS
            .iter()
            .find(|(name, _)| *name == layer)
            .unwrap_or_else(|| panic!("{layer} is not in LAYERS"));
        for import in all_paths(&path, &text) {
            let Some(import) = import.first().filter(|import| **import != layer) else {
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
fn downloads_do_not_know_the_api_client() {
    for (path, text) in sources("src") {
        for (prefix, module) in SEPARATED {
            if path.to_string_lossy().starts_with(prefix) {
                let paths = all_paths(&path, &text);
                let imported = paths
                    .iter()
                    .find(|path| path.join("::").starts_with(module));
                assert_eq!(imported, None, "{}", path.display());
            }
        }
    }
}

#[test]
fn only_the_decorator_of_the_client_knows_the_limits() {
    for (path, text) in sources("src") {
        let is_allowed = LIMITER_USERS
            .iter()
            .any(|prefix| path.to_string_lossy().starts_with(prefix));
        let is_used = all_paths(&path, &text)
            .iter()
            .any(|import| import.join("::").starts_with("domain::limiter"));
        assert!(!is_used || is_allowed, "{}", path.display());
    }
}

#[test]
fn third_party_crates_stay_in_their_modules() {
    for (path, text) in sources("src") {
        let code = strip_comments(&text);
        for (name, prefixes) in THIRD_PARTY_CRATES {
            let is_named = code.match_indices(&format!("{name}::")).any(|(at, _)| {
                !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
            });
            let is_allowed = prefixes
                .iter()
                .any(|prefix| path.to_string_lossy().starts_with(prefix));
            assert!(!is_named || is_allowed, "{} names {name}", path.display());
        }
    }
}

#[test]
fn colours_come_from_the_palette_alone() {
    let allowed = ["app/palette.rs", "ui.rs"];
    for (path, text) in sources("src") {
        let code = without_tests(&text);
        let is_allowed = allowed.iter().any(|file| path.ends_with(file));
        assert!(
            is_allowed || !(code.contains("Color::") || code.contains("Colour::")),
            "{} names a colour",
            path.display()
        );
    }
}

#[test]
fn no_child_is_started_with_the_key() {
    // The key stays in our environment: removing it is unsafe once there are threads, and there is
    // no place before `main` to do so. Code that starts a child removes it from the child's
    // environment, or leaves that to `command`.
    for (path, text) in sources("src") {
        let code = without_tests(&text);
        let starts = ["process::Command", "Command::new(", "open::that", "exec("];
        let starts_child = starts.iter().any(|call| code.contains(call));
        assert!(
            !starts_child
                || code.contains("env_remove(")
                || code.contains("env_clear(")
                || code.contains(".sandbox("),
            "{} starts a child with the key in its environment",
            path.display()
        );
    }
}

#[test]
fn files_have_a_header_and_no_mod_rs() {
    for (path, text) in sources("src") {
        assert!(
            text.starts_with("//!"),
            "{} has no module docs",
            path.display()
        );
        assert_ne!(path.file_name().unwrap(), "mod.rs", "{}", path.display());
    }
}

#[test]
fn there_are_no_import_cycles() {
    let files: Vec<_> = sources("src")
        .into_iter()
        .map(|(path, text)| (module_path(&path), own_paths(&path, &without_tests(&text))))
        .collect();
    let names: BTreeSet<_> = files.iter().map(|(name, _)| name.clone()).collect();
    // A path imports the longest module that is its prefix, unless that is the file itself.
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
        "too few imports found"
    );
    let mut remaining = names;
    while !remaining.is_empty() {
        let free: Vec<_> = remaining
            .iter()
            .filter(|name| imports[*name].is_disjoint(&remaining))
            .cloned()
            .collect();
        assert!(!free.is_empty(), "a cycle among {remaining:?}");
        remaining.retain(|name| !free.contains(name));
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
