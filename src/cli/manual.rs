//! `kietop completions` and `kietop man`, both generated from the definition of the command line;
//! and the pages of the manual.

use std::io::{self, Write as _};

use clap::{Command, ValueEnum, builder::PossibleValue};
use clap_complete::Shell;

use super::{failure::CommandFailure, output};

/// A page of the manual.
#[derive(Debug, Clone, Copy)]
pub struct Topic {
    /// The name on the command line, and of the file without its extension.
    pub name: &'static str,
    /// Markdown.
    pub text: &'static str,
}

/// Returns the topic of a file below `assets/manual`.
macro_rules! topic {
    ($name:literal) => {
        Topic {
            name: $name,
            text: include_str!(concat!("../../assets/manual/", $name, ".md")),
        }
    };
}

/// The pages of the manual, in reading order.
pub const TOPICS: [Topic; 10] = [
    topic!("keys"),
    topic!("commands"),
    topic!("filter"),
    topic!("dashboard"),
    topic!("settings"),
    topic!("files"),
    topic!("json"),
    topic!("how-it-works"),
    topic!("promises"),
    topic!("development"),
];

impl ValueEnum for Topic {
    fn value_variants<'a>() -> &'a [Self] {
        &TOPICS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let heading = self.text.lines().next().unwrap_or_default();
        Some(PossibleValue::new(self.name).help(heading.trim_start_matches("# ")))
    }
}

/// Sections that the definition does not contain: variables without an option, and exit codes.
const EXTRA_SECTIONS: &str = r#".TP
\fBKIE_API_KEY\fR
The API key
.TP
\fBKIETOP_LOG\fR
The log level: error, warn, info, debug, trace
.TP
\fBNO_COLOR\fR
Disables colours if set
.SH "EXIT STATUS"
0 done, 1 failed (for any command also if a damaged list was not recovered completely), 2 wrong usage or configuration, 3 \fBwait\fR: a task failed, 4 the key is missing or was refused, 5 no such task on the list,
124 \fBwait\fR: timed out, 130 \fBwait\fR, \fBsave\fR or \fB\-\-refresh\fR interrupted by Ctrl\-C (the dashboard and
\fBsimulate\fR exit with 0), 128+n ended by another signal.
"#;

/// Prints the completions for a shell.
pub fn print_completions(shell: Shell, mut command: Command) -> Result<(), CommandFailure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "kietop", &mut script);
    output::to_stdout(&String::from_utf8_lossy(&script))
}

/// Prints a page of the manual, or without a topic the man page (roff).
pub fn print_manual(topic: Option<Topic>, command: &Command) -> Result<(), CommandFailure> {
    if let Some(topic) = topic {
        return output::to_stdout(topic.text);
    }
    // Writing into a vector cannot fail.
    let page = render_page(command).unwrap_or_default();
    output::to_stdout(&String::from_utf8_lossy(&page))
}

/// Renders one page with every command.
fn render_page(cli: &Command) -> io::Result<Vec<u8>> {
    let mut page = Vec::new();
    let man = clap_mangen::Man::new(cli.clone());
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    writeln!(page, ".SH COMMANDS")?;
    for command in cli.get_subcommands() {
        render_command(command, &mut page)?;
    }
    writeln!(page, ".SH ENVIRONMENT")?;
    for option in cli.get_arguments() {
        if let (Some(name), Some(long)) = (option.get_env(), option.get_long()) {
            let name = name.to_string_lossy();
            writeln!(
                page,
                ".TP\n\\fB{name}\\fR\nSame as \\fB\\-\\-{}\\fR",
                long.replace('-', "\\-")
            )?;
        }
    }
    page.write_all(EXTRA_SECTIONS.as_bytes())?;
    Ok(page)
}

/// Renders a command with its options as a subsection.
fn render_command(command: &Command, page: &mut Vec<u8>) -> io::Result<()> {
    let name = command.get_name();
    let man = clap_mangen::Man::new(command.clone().bin_name(format!("kietop {name}")));
    let mut text = Vec::new();
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().filter(|line| {
        !line.starts_with(".SH ") && !line.starts_with(".ie ") && !line.starts_with(".el ")
    });
    writeln!(page, ".SS \"kietop {name}\"")?;
    for line in lines {
        writeln!(page, "{line}")?;
    }
    Ok(())
}
