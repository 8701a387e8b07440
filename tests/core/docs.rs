//! README, manual and the map of the code: their keys, commands, settings and files exist.

use std::{fmt::Write as _, fs, path::Path, process::Command};

use clap::{CommandFactory as _, Parser as _};
use kietop::{
    adapters::export::json,
    app::keymap::{KeyContext, Keymap},
    cli::{args::Cli, manual::TOPICS},
    config::{Config, Overrides, known_keys, themes},
    domain::query::StateWord,
};

fn readme() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap()
}

/// Returns a manual page as the program prints it.
fn page(name: &str) -> &'static str {
    let topic = TOPICS.iter().find(|topic| topic.name == name);
    topic.unwrap().text
}

#[test]
fn the_readme_is_short_and_names_the_minimum_rust() {
    let readme = readme();
    let words = readme.split_whitespace().count();

    assert!(words <= 800, "{words} words");
    let rust = format!("Rust {} ", env!("CARGO_PKG_RUST_VERSION"));
    assert!(readme.contains(&rust), "{rust}");
}

#[test]
fn every_page_is_a_topic_and_linked_from_the_readme() {
    let readme = readme();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/manual");
    let mut files: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort_unstable();
    let mut pages = TOPICS.map(|topic| format!("{}.md", topic.name));
    pages.sort_unstable();

    assert_eq!(files, pages);
    for page in pages {
        let link = format!("](assets/manual/{page})");
        assert!(readme.contains(&link), "the README does not link {page}");
    }
}

#[test]
fn the_map_of_the_code_names_existing_files() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let map = fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let rows = map.lines().filter(|line| line.starts_with("//! |"));
    let names = rows.flat_map(|row| row.split('`').skip(1).step_by(2));
    let files: Vec<_> = names.filter(|name| name.contains(['/', '.'])).collect();

    assert!(files.len() > 15, "{files:?}");
    for file in files {
        let exists = [root.to_owned(), root.join("src")]
            .iter()
            .any(|folder| folder.join(file).exists());
        assert!(exists, "{file}");
    }
}

/// Runs the program; returns its output, standard error last, and its exit code.
fn run(args: &[&str]) -> (String, Option<i32>) {
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kietop"))
        .args(args)
        .env_clear()
        .env("HOME", home.path())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (String::from_utf8(text).unwrap(), output.status.code())
}

#[test]
fn every_topic_is_printed_listed_and_completed() {
    let help = run(&["man", "--help"]).0;
    let completions = run(&["completions", "bash"]).0;
    let (error, code) = run(&["man", "no-such-topic"]);

    assert_eq!(code, Some(2), "{error}");
    for topic in TOPICS {
        assert_eq!(run(&["man", topic.name]), (topic.text.to_owned(), Some(0)));
        for text in [&help, &completions, &error] {
            assert!(text.contains(topic.name), "{} in {text}", topic.name);
        }
    }
}

#[test]
fn every_link_leads_to_a_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manual = TOPICS.map(|topic| (root.join("assets/manual"), topic.text.to_owned()));
    for (folder, text) in [(root.to_owned(), readme())].into_iter().chain(manual) {
        for link in text.split("](").skip(1) {
            let link = link.split([')', '#']).next().unwrap();
            let exists = link.starts_with("https://") || folder.join(link).exists();
            assert!(exists, "{link} in {}", folder.display());
        }
    }
}

#[test]
fn every_command_in_an_example_is_valid() {
    let pages = TOPICS.map(|topic| topic.text.to_owned());
    let mut count = 0;
    for text in [readme()].iter().chain(&pages) {
        let blocks = text.split("```sh\n").skip(1);
        for line in blocks.flat_map(|block| block.split("```").next().unwrap().lines()) {
            let line = line.split(['#', '>']).next().unwrap();
            let line = line.rsplit("| ").next().unwrap();
            if line.starts_with("kietop") {
                count += 1;
                let parsed = Cli::try_parse_from(line.split_whitespace());
                assert!(parsed.is_ok(), "{line}");
            }
        }
    }
    assert!(count >= 5, "{count} examples");
}

#[test]
fn the_manual_names_every_key_and_no_other() {
    // All text in backticks in the first column of each row.
    let named: Vec<_> = page("keys")
        .lines()
        .filter_map(|row| row.strip_prefix("| `"))
        .flat_map(|row| {
            row.split(" | ")
                .next()
                .unwrap()
                .split('`')
                .step_by(2)
                .collect::<Vec<_>>()
        })
        .collect();
    let keymap = Keymap::default();
    let bound: Vec<_> = keymap
        .bindings()
        .iter()
        .flat_map(|binding| binding.chords.iter())
        .map(ToString::to_string)
        .collect();

    for key in &bound {
        assert!(
            named.contains(&key.as_str()),
            "the manual does not name {key}"
        );
    }
    for key in named {
        assert!(
            bound.iter().any(|bound| bound == key),
            "the manual names {key}, which does nothing"
        );
    }
}

#[test]
fn the_manual_names_every_command_and_option() {
    let commands = page("commands");
    let mut cli = Cli::command();
    cli.build();
    for command in cli.get_subcommands() {
        let name = command.get_name();
        if name == "help" {
            continue;
        }
        let row = format!("| `kietop {name}");
        let row = commands.lines().find(|line| line.starts_with(&row));
        let row = row.unwrap_or_else(|| panic!("the manual does not name {name}"));
        for option in command.get_arguments() {
            let long = option.get_long().unwrap_or_default();
            let is_named = option.is_global_set()
                || matches!(long, "" | "help" | "version")
                || row.contains(&format!("--{long}"));
            assert!(is_named, "the manual does not name {name} --{long}");
        }
    }
    for option in cli.get_arguments().filter(|option| option.is_global_set()) {
        let long = option.get_long().unwrap_or_default();
        let variable = option.get_env().unwrap_or_default().to_string_lossy();
        let rows = commands.lines().filter(|line| line.contains(&*variable));
        let is_named = rows
            .into_iter()
            .any(|row| row.starts_with(&format!("| `--{long}")));
        assert!(is_named, "the manual does not name --{long} ({variable})");
    }
    Cli::command().debug_assert();
}

#[test]
fn the_manual_names_every_state_and_field() {
    for state in StateWord::ALL {
        let row = format!("| `{}` |", state.name());
        assert!(page("filter").contains(&row), "{row}");
    }
    let json = page("json");
    for name in json::FIELD_NAMES {
        let is_named = json
            .lines()
            .filter_map(|line| line.strip_prefix("| `"))
            .any(|row| {
                row.split(" | ")
                    .next()
                    .unwrap()
                    .split('`')
                    .any(|cell| cell == name)
            });
        assert!(is_named, "the manual does not name {name}");
    }
}

#[test]
fn the_manual_names_the_settings_with_their_defaults() {
    let table = page("settings");
    let mut file = String::new();
    for row in table.lines().filter(|row| row.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').collect();
        let name = cells[1].trim_matches([' ', '`']);
        assert!(
            known_keys().iter().any(|known| known == name),
            "the manual names {name}, which is not a setting"
        );
        let default = cells[2].trim_matches([' ', '`']);
        if !default.is_empty() {
            writeln!(file, "{name} = {default}").unwrap();
        }
    }
    let config = Config::parse(&file, None, &Overrides::default()).unwrap();
    assert_eq!(config, Config::default(), "{file}");
    for name in themes::theme_names() {
        assert!(table.contains(&format!("`{name}`")), "theme {name}");
    }
    for key in known_keys() {
        let name = key.rsplit('.').next().unwrap();
        let is_offered = kietop::config::DEFAULT_FILE
            .lines()
            .any(|line| line.starts_with(&format!("#{name} = ")) || is_section(line, &key));
        assert!(is_offered, "the default file does not offer {key}");
        assert!(
            table.contains(&format!("| `{key}` |")) || table.contains(&format!("| `{key}.")),
            "the manual does not name {key}"
        );
    }
}

/// Reports whether a line of the default file begins this section or one of its subsections.
fn is_section(line: &str, key: &str) -> bool {
    let section = line
        .trim_start_matches('#')
        .strip_prefix(&format!("[{key}"));
    section.is_some_and(|rest| rest.starts_with([']', '.']))
}

#[test]
fn the_default_file_names_every_key_context() {
    let contexts: Vec<_> = KeyContext::ALL
        .iter()
        .map(|context| context.name())
        .collect();
    let line = format!("Keys in one place only: {}.", contexts.join(", "));
    let file = kietop::config::DEFAULT_FILE.replace("\n# ", " ");
    assert!(file.contains(&line), "{line}");
}
