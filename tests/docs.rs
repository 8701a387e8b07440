//! What is written is true: README, help and keymap are one table.

#![expect(
    clippy::unwrap_used,
    reason = "test code: what is not as expected is to fail loudly"
)]

use std::fs;

use clap::CommandFactory as _;
use kietop::{app::keymap::Keymap, cli::Cli};

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
