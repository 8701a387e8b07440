//! What is written is true: README, help and keymap are one table.

#![expect(
    clippy::unwrap_used,
    reason = "test code: what is not as expected is to fail loudly"
)]

use std::{fmt::Write as _, fs};

use clap::CommandFactory as _;
use kietop::{
    app::keymap::{Context, Keymap},
    cli::Cli,
    config::{Asked, Config, known_keys, themes},
};

fn readme() -> String {
    fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap()
}

#[test]
fn the_readme_names_every_key_and_no_other() {
    let readme = readme();
    let table = readme
        .split("## Keys")
        .nth(1)
        .unwrap()
        .split("## Commands")
        .next()
        .unwrap();
    // Every other piece between backticks, in the first column of each row.
    let named: Vec<_> = table
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
            "the README does not name {key}"
        );
    }
    for key in named {
        assert!(
            bound.iter().any(|bound| bound == key),
            "the README names {key}, which does nothing"
        );
    }
}

#[test]
fn the_readme_names_every_command() {
    let readme = readme();
    for command in Cli::command().get_subcommands() {
        let name = command.get_name();
        assert!(readme.contains(&format!("| `kietop {name}")), "{name}");
    }
    Cli::command().debug_assert();
}

#[test]
fn the_readme_s_settings_are_true() {
    let readme = readme();
    let part = readme.split("## Settings").nth(1).unwrap();
    let table = part.split("\n## ").next().unwrap();
    let mut file = String::new();
    for row in table.lines().filter(|row| row.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').collect();
        let name = cells[1].trim_matches([' ', '`']);
        assert!(
            known_keys().iter().any(|known| known == name),
            "the README names {name}, which is no setting"
        );
        let default = cells[2].trim_matches([' ', '`']);
        if !default.is_empty() {
            writeln!(file, "{name} = {default}").unwrap();
        }
    }
    let config = Config::parse(&file, None, &Asked::default()).unwrap();
    assert_eq!(config, Config::default(), "{file}");
    for name in themes::names() {
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
            "the README does not name {key}"
        );
    }
}

/// Reports whether a line of the default file begins that section, or one below it.
fn is_section(line: &str, key: &str) -> bool {
    let section = line
        .trim_start_matches('#')
        .strip_prefix(&format!("[{key}"));
    section.is_some_and(|rest| rest.starts_with([']', '.']))
}

#[test]
fn the_default_file_names_every_place_of_keys() {
    let places: Vec<_> = Context::ALL.into_iter().map(Context::name).collect();
    let line = format!("# Keys of one place only: {}.", places.join(", "));
    assert!(kietop::config::DEFAULT_FILE.contains(&line), "{line}");
}
