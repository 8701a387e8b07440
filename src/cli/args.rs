//! The arguments of the command line.

use std::{env, fmt::Display, ops::RangeInclusive, path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum, builder::PossibleValue};

use super::{failure::CommandFailure, manual};
use crate::{
    domain::{
        duration_text::{self, BareNumber},
        query::StateWord,
    },
    messages::command_line as messages,
    simulator::{MAX_TASKS, SPEED_RANGE, SimulatorSettings},
};

/// Watches video tasks at kie.ai and never loses a result.
///
/// Without a command, opens the dashboard. The API key is read from `KIE_API_KEY`, else as the
/// config file says.
#[derive(Debug, Parser)]
#[command(version, after_help = "Try it without a key or network: kietop demo")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub global: GlobalArgs,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct GlobalArgs {
    /// Address of the API: https, or http on loopback [default: that of kie.ai]
    #[arg(long, global = true, value_name = "URL")]
    #[arg(env = "KIETOP_API_URL", hide_env_values = true)]
    pub api_url: Option<String>,
    /// List file [default: kietop/kietop.db under the data home]
    #[arg(long, global = true, value_name = "FILE")]
    #[arg(env = "KIETOP_STORE", hide_env_values = true)]
    pub store: Option<PathBuf>,
    /// Config file [default: kietop/config.toml under the config home]
    #[arg(long, global = true, value_name = "FILE")]
    #[arg(env = "KIETOP_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// Account in the config file, with its own list
    #[arg(long, global = true, value_name = "NAME")]
    #[arg(env = "KIETOP_PROFILE", hide_env_values = true)]
    pub profile: Option<String>,
    /// Change nothing: add, remove and write no task
    #[arg(long, global = true)]
    pub read_only: bool,
}

impl GlobalArgs {
    /// Rejects options that the simulator cannot use. Variables are ignored: they may be set for
    /// all commands.
    pub fn reject_for_simulator(&self, command: &str) -> Result<(), CommandFailure> {
        let path = |path: &Option<PathBuf>| path.clone().map(PathBuf::into_os_string);
        let text = |text: &Option<String>| text.clone().map(Into::into);
        for (option, variable, value) in [
            ("--store", "KIETOP_STORE", path(&self.store)),
            ("--profile", "KIETOP_PROFILE", text(&self.profile)),
            ("--api-url", "KIETOP_API_URL", text(&self.api_url)),
        ] {
            if value.is_some() && env::var_os(variable) != value {
                let message = messages::not_for_simulator(option, command);
                return Err(CommandFailure::usage(message));
            }
        }
        Ok(())
    }
}

/// The commands beside the dashboard.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Open the dashboard with the built-in simulator: no key, no network, nothing kept
    Demo(SimulatorArgs),
    /// Add tasks to the list
    Add(AddArgs),
    /// Remove tasks from the list (nothing is deleted at kie.ai)
    Remove(RemoveArgs),
    /// Print the list (no network)
    List(ListArgs),
    /// Show one task
    Show(ShowArgs),
    /// Wait for tasks to finish, one line as each does
    Wait(WaitArgs),
    /// Open a result (or input) video in the browser
    Open(OpenArgs),
    /// Save result videos: complete, resumable, nothing overwritten
    Save(SaveArgs),
    /// Print the default config file, its path, or the errors in it
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Serve the simulated API to any client; prints its URL and task ids
    Simulate(SimulateArgs),
    /// Print shell completions
    Completions(CompletionsArgs),
    /// Print the man page, or a page of the manual
    Man(ManArgs),
}

/// The subcommands of `kietop config`.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigCommand {
    /// Print a commented template with the defaults
    Default,
    /// Print the path of the config file, and whether it exists
    Path,
    /// Check the config file; reports every error with line and column
    Check,
}

/// Options of the simulator.
#[derive(Debug, Clone, Args)]
pub struct SimulatorArgs {
    /// Number of tasks, at most 10000
    #[arg(long, default_value_t = SimulatorSettings::default().tasks, value_name = "N")]
    #[arg(value_parser = |text: &str| parse_in_range(text, &(0..=MAX_TASKS)))]
    pub tasks: usize,
    /// Simulated seconds per second, 0.01 to 10000
    #[arg(long, default_value_t = SimulatorSettings::default().speed, value_name = "X")]
    #[arg(value_parser = |text: &str| parse_in_range(text, &SPEED_RANGE))]
    pub speed: f64,
    /// Random seed
    #[arg(long, default_value_t = SimulatorSettings::default().seed, value_name = "N")]
    pub seed: u64,
}

fn parse_in_range<T: FromStr + PartialOrd + Display>(
    text: &str,
    range: &RangeInclusive<T>,
) -> Result<T, String> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| messages::out_of_range(range.start(), range.end()))
}

/// Arguments of `kietop simulate`.
#[derive(Debug, Clone, Args)]
pub struct SimulateArgs {
    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0, value_name = "P")]
    pub port: u16,
    #[command(flatten)]
    pub simulator: SimulatorArgs,
}

/// Arguments of `kietop add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Task ids, or links or JSON that contain ids; `-` finds ids in any text on standard input
    #[arg(required = true, value_name = "ID|-")]
    pub ids: Vec<String>,
    /// Label for the new tasks
    #[arg(long, value_name = "TEXT")]
    pub label: Option<String>,
    /// Copy standard input to standard output
    #[arg(long)]
    pub tee: bool,
    /// Add arguments as they are, even if they do not look like task ids
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `kietop remove`.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Task ids, or unique prefixes of at least 4 characters
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
}

/// Arguments of `kietop list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only tasks in this state (may be given several times)
    #[arg(long, value_name = "STATE")]
    pub state: Vec<StateWord>,
    /// Only tasks that match this filter, as in the dashboard: words, state:failed, took:>5m, !not
    #[arg(long, value_name = "QUERY")]
    pub filter: Option<String>,
    /// Check every unfinished task first
    #[arg(long)]
    pub refresh: bool,
    /// Print a JSON array
    #[arg(long)]
    pub json: bool,
    /// Print CSV with a header row; the columns are the JSON fields
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

/// Arguments of `kietop show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A task id, or a unique prefix of at least 4 characters
    #[arg(value_name = "ID")]
    pub id: String,
    /// Check the task first
    #[arg(long)]
    pub refresh: bool,
    /// Print a JSON object
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `kietop wait`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 all succeeded, 3 at least one failed, 4 the key is missing or was refused, 5 no such task or removed meanwhile, 124 timed out, 130 interrupted."
)]
pub struct WaitArgs {
    /// Task ids, or unique prefixes of at least 4 characters [default: all unfinished tasks]
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Stop waiting after this time: 90s, 15m, 2h30m
    #[arg(long, value_name = "DUR", value_parser = parse_timeout)]
    pub timeout: Option<Duration>,
    /// Print a JSON object for each task, one on each line
    #[arg(long)]
    pub json: bool,
}

/// Parses a duration such as `90s`, `15m`, `2h30m` or `1d`; a bare number is seconds.
fn parse_timeout(text: &str) -> Result<Duration, String> {
    duration_text::parse(text.trim(), BareNumber::Seconds)
        .map_err(|_error| messages::NOT_A_DURATION.to_owned())
}

/// Arguments of `kietop open`.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// A task id, or a unique prefix of at least 4 characters
    #[arg(value_name = "ID")]
    pub id: String,
    /// Open the input video, not the result
    #[arg(long)]
    pub origin: bool,
}

/// Arguments of `kietop save`.
#[derive(Debug, Args)]
pub struct SaveArgs {
    /// Task ids, or unique prefixes of at least 4 characters
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
    /// Folder, created if needed [default: kietop in your videos folder]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Arguments of `kietop completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// Arguments of `kietop man`.
#[derive(Debug, Args)]
pub struct ManArgs {
    /// Page of the manual [default: the man page]
    #[arg(value_name = "TOPIC")]
    pub topic: Option<manual::Topic>,
}

/// States have the same names as in the filter's `state:`.
impl ValueEnum for StateWord {
    fn value_variants<'a>() -> &'a [Self] {
        Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.description()))
    }
}
