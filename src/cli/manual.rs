//! `kietop completions` and `kietop man`: made from the command line's own definition.

use clap::CommandFactory as _;

use super::{Cli, Completions, Failure, output};

/// Prints the completions for a shell.
pub fn completions(completions: &Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(
        completions.shell,
        &mut Cli::command(),
        "kietop",
        &mut script,
    );
    output::data(&String::from_utf8_lossy(&script))
}

/// Prints the manual page.
pub fn man() -> Result<(), Failure> {
    let mut page = Vec::new();
    let rendered = clap_mangen::Man::new(Cli::command()).render(&mut page);
    rendered
        .map_err(|error| Failure::plain(format!("The manual page cannot be made: {error}.")))?;
    for command in Cli::command().get_subcommands() {
        section(command, &mut page)
            .map_err(|error| Failure::plain(format!("The manual page cannot be made: {error}.")))?;
    }
    output::data(&String::from_utf8_lossy(&page))
}

/// Adds the options of one command, so that one page holds all.
fn section(command: &clap::Command, page: &mut Vec<u8>) -> std::io::Result<()> {
    use std::io::Write as _;

    let name = command.get_name().to_owned();
    let man = clap_mangen::Man::new(command.clone().bin_name(format!("kietop {name}")));
    writeln!(page, ".SH \"KIETOP {}\"", name.to_uppercase())?;
    let mut synopsis = Vec::new();
    man.render_description_section(&mut synopsis)?;
    man.render_options_section(&mut synopsis)?;
    // As parts of this section, not as sections of their own.
    let text = String::from_utf8_lossy(&synopsis).replace("\n.SH ", "\n.SS ");
    let text = text
        .strip_prefix(".SH ")
        .map_or(text.clone(), |rest| format!(".SS {rest}"));
    page.write_all(text.as_bytes())
}
