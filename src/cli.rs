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

use crate::{domain::query::StateWord, simulator};

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
/// Without a command: the dashboard. The key is read from `KIE_API_KEY`, else as the config file
/// says.
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
    /// Where the API is: https, or http on loopback [default: that of kie.ai]
    #[arg(
        long,
        global = true,
        env = "KIETOP_API_URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    pub api_url: Option<String>,
    /// The list file [default: kietop/kietop.db under the data home]
    #[arg(
        long,
        global = true,
        env = "KIETOP_STORE",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub store: Option<PathBuf>,
    /// The config file [default: kietop/config.toml under the config home]
    #[arg(
        long,
        global = true,
        env = "KIETOP_CONFIG",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub config: Option<PathBuf>,
    /// The account of the config file to use, with its own list
    #[arg(
        long,
        global = true,
        env = "KIETOP_PROFILE",
        hide_env_values = true,
        value_name = "NAME"
    )]
    pub profile: Option<String>,
    /// Change nothing: no task is added, removed or written down
    #[arg(long, global = true)]
    pub read_only: bool,
}

impl GlobalArgs {
    /// Rejects options that the simulator cannot use. Variables are ignored: they may be set for all
    /// commands.
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
                format!(
                    "{option} does not go with {command}, which has a world of its own; leave it out."
                ),
            )),
        }
    }
}

/// The commands beside the dashboard.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// The dashboard against the built-in simulator: no key, no network, nothing kept
    Demo(SimulatorArgs),
    /// Watch tasks
    Add(AddArgs),
    /// Stop watching tasks (the API is never asked to delete anything)
    Remove(RemoveArgs),
    /// The list as last known
    List(ListArgs),
    /// One task in full
    Show(ShowArgs),
    /// Wait until tasks have ended, and say of each how, as it ends
    Wait(WaitArgs),
    /// Open a result (or input) video in the browser
    Open(OpenArgs),
    /// Save result videos to the disk: whole, resumable, nothing overwritten
    Save(SaveArgs),
    /// The settings: the commented default file, where the file is looked for, what is wrong with
    /// it
    #[command(subcommand)]
    Config(ConfigCommand),
    /// The simulator alone, for anyone's client; prints its URL and task ids
    Simulate(SimulateArgs),
    /// Completions for a shell, to standard output
    Completions(CompletionsArgs),
    /// Print the manual page, or a page of the manual
    Man(ManArgs),
}

/// The subcommands of `kietop config`.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigCommand {
    /// The commented default file, to begin one's own with
    Default,
    /// Where the config file is looked for, and whether it is there
    Path,
    /// Whether the config file is valid; names every fault with its line and column
    Check,
}

/// Options of the simulator.
#[derive(Debug, Clone, Args)]
pub struct SimulatorArgs {
    /// How many tasks it starts with, at most 10000
    #[arg(long, default_value_t = simulator::SimulatorSettings::default().tasks, value_name = "N", value_parser = parse_task_count)]
    pub tasks: usize,
    /// Simulated seconds per second, 0.01 to 10000
    #[arg(long, default_value_t = simulator::SimulatorSettings::default().speed, value_name = "X", value_parser = parse_speed)]
    pub speed: f64,
    /// Another number, another world
    #[arg(long, default_value_t = simulator::SimulatorSettings::default().seed, value_name = "N")]
    pub seed: u64,
}

fn parse_task_count(text: &str) -> Result<usize, String> {
    let tasks = text.parse().ok();
    let tasks = tasks.filter(|tasks| *tasks <= simulator::MAX_TASKS);
    tasks.ok_or_else(|| format!("a world has 0 to {} tasks", simulator::MAX_TASKS))
}

fn parse_speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok();
    let speed = speed.filter(|speed| simulator::SPEED_RANGE.contains(speed));
    let (min, max) = (simulator::SPEED_RANGE.start(), simulator::SPEED_RANGE.end());
    speed.ok_or_else(|| format!("a speed is {min} to {max}"))
}

/// Arguments of `kietop simulate`.
#[derive(Debug, Clone, Args)]
pub struct SimulateArgs {
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0, value_name = "P")]
    pub port: u16,
    #[command(flatten)]
    pub simulator: SimulatorArgs,
}

/// Arguments of `kietop add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Task ids, or links or JSON that contain some; `-` finds ids in any text on standard input
    #[arg(required = true, value_name = "ID|-")]
    pub ids: Vec<String>,
    /// What to call them
    #[arg(long, value_name = "TEXT")]
    pub label: Option<String>,
    /// Copy standard input to standard output unchanged while its ids are added
    #[arg(long)]
    pub tee: bool,
    /// Add arguments as they are, even if they do not look like task ids
    #[arg(long)]
    pub force: bool,
}

/// Arguments of `kietop remove`.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Task ids, or unique beginnings of at least 4 characters
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
}

/// Arguments of `kietop list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only tasks in this state (may be given several times)
    #[arg(long, value_name = "STATE")]
    pub state: Vec<StateWord>,
    /// Only tasks that pass this filter: words, state:failed, took:>5m, !not …, as in the dashboard
    #[arg(long, value_name = "QUERY")]
    pub filter: Option<String>,
    /// Ask after every unfinished task first, once
    #[arg(long)]
    pub refresh: bool,
    /// One JSON array
    #[arg(long)]
    pub json: bool,
    /// Comma-separated values with a head, the names of JSON as columns
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
}

/// Arguments of `kietop show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// A task id, or a unique beginning of at least 4 characters
    #[arg(value_name = "ID")]
    pub id: String,
    /// Ask after it first
    #[arg(long)]
    pub refresh: bool,
    /// JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `kietop wait`.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 all were made, 3 at least one failed, 4 the key is missing or refused, 5 no such task, or removed meanwhile, 124 timed out, 130 interrupted."
)]
pub struct WaitArgs {
    /// Task ids, or unique beginnings of at least 4 characters; none: all unfinished tasks of the
    /// list
    #[arg(value_name = "ID")]
    pub ids: Vec<String>,
    /// Give up after this time: 90s, 15m, 2h30m
    #[arg(long, value_name = "DUR")]
    pub timeout: Option<wait::TimeoutArg>,
    /// One line of JSON for each task
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `kietop open`.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// A task id, or a unique beginning of at least 4 characters
    #[arg(value_name = "ID")]
    pub id: String,
    /// The input video in place of the result
    #[arg(long)]
    pub origin: bool,
}

/// Arguments of `kietop save`.
#[derive(Debug, Args)]
pub struct SaveArgs {
    /// Task ids, or unique beginnings of at least 4 characters
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
    /// The folder, made when it is not there [default: kietop under your folder of videos]
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
    /// A page; without one: the manual page in the format of man
    #[arg(value_name = "TOPIC")]
    pub topic: Option<manual::Topic>,
}

/// States have the same names as in the filter's `state:`.
impl ValueEnum for StateWord {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
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
