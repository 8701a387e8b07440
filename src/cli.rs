//! The command line: arguments and exit codes, and one file for each headless command.
//!
//! Data goes to standard output, messages to standard error. Commands use the same domain, ports
//! and adapters as the dashboard.

pub mod add;
pub mod config;
pub mod csv;
pub mod exporter;
pub mod json;
pub mod list;
pub mod manual;
pub mod open;
pub mod output;
pub mod paths;
pub mod refresh;
pub mod remove;
pub mod resolve;
pub mod save;
pub mod services;
pub mod signals;
pub mod simulate;
pub mod wait;

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

use clap::{Args, Parser, Subcommand, ValueEnum, builder::PossibleValue};

use crate::{domain::query::StateWord, messages::command_line as messages, simulator};

/// The exit codes beside 0.
pub mod exit {
    /// The command failed.
    pub const FAILED: i32 = 1;
    /// Wrong usage or configuration.
    pub const USAGE: i32 = 2;
    /// The key is missing or was refused.
    pub const UNAUTHORISED: i32 = 4;
    pub const NO_SUCH_TASK: i32 = 5;
    /// `wait`: at least one task failed.
    pub const WAIT_FAILED: i32 = 3;
    /// `wait`: timed out.
    pub const TIMED_OUT: i32 = 124;
    /// Ended by a signal: this plus its number.
    pub const SIGNAL_BASE: i32 = 128;
}

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
    #[arg(
        long,
        global = true,
        env = "KIETOP_API_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub api_url: Option<String>,
    /// List file [default: kietop/kietop.db under the data home]
    #[arg(
        long,
        global = true,
        env = "KIETOP_STORE",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub store: Option<PathBuf>,
    /// Config file [default: kietop/config.toml under the config home]
    #[arg(
        long,
        global = true,
        env = "KIETOP_CONFIG",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub config: Option<PathBuf>,
    /// Account in the config file, with its own list
    #[arg(
        long,
        global = true,
        env = "KIETOP_PROFILE",
        hide_env_values = true,
        value_name = "NAME"
    )]
    pub profile: Option<String>,
    /// Change nothing: add, remove and write no task
    #[arg(long, global = true)]
    pub read_only: bool,
}

impl GlobalArgs {
    /// Rejects options that the simulator cannot use. Variables are ignored: they may be set for
    /// all commands.
    pub fn reject_for_simulator(&self, command: &str) -> Result<(), CommandFailure> {
        let is_named = |variable: &str, value: Option<&OsStr>| {
            value.is_some() && std::env::var_os(variable).as_deref() != value
        };
        let named = [
            (
                "--store",
                "KIETOP_STORE",
                self.store.as_deref().map(Path::as_os_str),
            ),
            (
                "--profile",
                "KIETOP_PROFILE",
                self.profile.as_deref().map(OsStr::new),
            ),
            (
                "--api-url",
                "KIETOP_API_URL",
                self.api_url.as_deref().map(OsStr::new),
            ),
        ];
        match named
            .into_iter()
            .find(|(_, variable, value)| is_named(variable, *value))
        {
            None => Ok(()),
            Some((option, ..)) => Err(CommandFailure::new(
                exit::USAGE,
                messages::not_for_simulator(option, command),
            )),
        }
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
    #[arg(long, default_value_t = simulator::SimulatorSettings::default().tasks, value_name = "N", value_parser = parse_task_count)]
    pub tasks: usize,
    /// Simulated seconds per second, 0.01 to 10000
    #[arg(long, default_value_t = simulator::SimulatorSettings::default().speed, value_name = "X", value_parser = parse_speed)]
    pub speed: f64,
    /// Random seed
    #[arg(long, default_value_t = simulator::SimulatorSettings::default().seed, value_name = "N")]
    pub seed: u64,
}

fn parse_task_count(text: &str) -> Result<usize, String> {
    let tasks = text.parse().ok();
    let tasks = tasks.filter(|tasks| *tasks <= simulator::MAX_TASKS);
    tasks.ok_or_else(|| messages::out_of_range(0, simulator::MAX_TASKS))
}

fn parse_speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok();
    let speed = speed.filter(|speed| simulator::SPEED_RANGE.contains(speed));
    let (min, max) = (simulator::SPEED_RANGE.start(), simulator::SPEED_RANGE.end());
    speed.ok_or_else(|| messages::out_of_range(min, max))
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
    #[arg(long, value_name = "DUR")]
    pub timeout: Option<wait::TimeoutArg>,
    /// Print a JSON object for each task, one on each line
    #[arg(long)]
    pub json: bool,
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

/// The failure of a command: an exit code, and a message with the next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CommandFailure {
    pub code: i32,
    pub message: String,
}

impl CommandFailure {
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// Returns a failure with the general exit code 1.
    pub fn general(message: impl Into<String>) -> Self {
        Self::new(exit::FAILED, message)
    }
}
