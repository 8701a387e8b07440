//! The command line: what may be typed, and one file a headless command.
//!
//! Standard output is data, standard error is talk. Commands use the same domain, ports and
//! adapters as the dashboard, so nothing is decided twice.

pub mod add;
pub mod config;
pub mod csv;
pub mod exporter;
pub mod json;
pub mod list;
pub mod manual;
pub mod open;
pub mod output;
pub mod refresh;
pub mod remove;
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

/// The documented exit codes beside 0 and clap's own 2.
pub mod exit {
    /// The command failed; standard error says how and what to do.
    pub const FAILED: i32 = 1;
    /// Wrong usage or configuration.
    pub const USAGE: i32 = 2;
    /// The key is missing or was refused.
    pub const UNAUTHORISED: i32 = 4;
    /// There is no such task on the list.
    pub const NO_SUCH_TASK: i32 = 5;
    /// `wait`: at least one task failed.
    pub const WAIT_FAILED: i32 = 3;
    /// `wait`: time ran out.
    pub const TIMED_OUT: i32 = 124;
    /// A signal came before the end: this and its number.
    pub const SIGNAL_BASE: i32 = 128;
}

/// Watches video tasks at kie.ai and never loses a result.
///
/// Without a command: the dashboard. The key is read from `KIE_API_KEY`, else as the config file
/// says.
#[derive(Debug, Parser)]
#[command(version, after_help = "Try it without a key or network: kietop demo")]
pub struct Cli {
    /// What to do instead of the dashboard.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of every command.
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
    /// Refuses what was named on the command line but is of no use to a world of its own.
    pub fn reject_for_simulator(&self, command: &str) -> Result<(), Failure> {
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
            Some((option, ..)) => Err(Failure::new(
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
    Demo(WorldArgs),
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
    Man(Man),
}

/// What to say of the settings.
#[derive(Debug, Clone, Copy, Subcommand)]
pub enum ConfigCommand {
    /// The commented default file, to begin one's own with
    Default,
    /// Where the config file is looked for, and whether it is there
    Path,
    /// Whether the config file is valid; names every fault with its line and column
    Check,
}

/// What the simulated world is like.
#[derive(Debug, Clone, Args)]
pub struct WorldArgs {
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

/// Reads how many tasks a world is to have.
fn parse_task_count(text: &str) -> Result<usize, String> {
    let tasks = text.parse().ok();
    let tasks = tasks.filter(|tasks| *tasks <= simulator::MAX_TASKS);
    tasks.ok_or_else(|| format!("a world has 0 to {} tasks", simulator::MAX_TASKS))
}

/// Reads how fast a world is to run.
fn parse_speed(text: &str) -> Result<f64, String> {
    let speed = text.parse().ok();
    let speed = speed.filter(|speed| simulator::SPEED_RANGE.contains(speed));
    let (least, most) = (simulator::SPEED_RANGE.start(), simulator::SPEED_RANGE.end());
    speed.ok_or_else(|| format!("a speed is {least} to {most}"))
}

/// What to simulate, and where.
#[derive(Debug, Clone, Args)]
pub struct SimulateArgs {
    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(long, default_value_t = 0, value_name = "P")]
    pub port: u16,
    /// What the world is like.
    #[command(flatten)]
    pub world: WorldArgs,
}

/// What to add.
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

/// What to remove.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// Task ids, or unique beginnings of at least 4 characters
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
}

/// What to list, and how.
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

/// What to show, and how.
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

/// What to wait for, and how long.
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

/// What to open.
#[derive(Debug, Args)]
pub struct OpenArgs {
    /// A task id, or a unique beginning of at least 4 characters
    #[arg(value_name = "ID")]
    pub id: String,
    /// The input video in place of the result
    #[arg(long)]
    pub origin: bool,
}

/// What to save, and where.
#[derive(Debug, Args)]
pub struct SaveArgs {
    /// Task ids, or unique beginnings of at least 4 characters
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
    /// The folder, made when it is not there [default: kietop under your folder of videos]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// For which shell.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// A page of the manual to print.
#[derive(Debug, Args)]
pub struct Man {
    /// A page; without one: the manual page in the format of man
    #[arg(value_name = "TOPIC")]
    pub topic: Option<manual::Topic>,
}

/// The words for states on the command line are those of the filter's `state:`.
impl ValueEnum for StateWord {
    fn value_variants<'a>() -> &'a [Self] {
        &Self::ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name()).help(self.description()))
    }
}

/// A command that did not do what was asked: an exit code and a sentence with the next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub code: i32,
    /// What failed and what to do.
    pub message: String,
}

impl Failure {
    /// Returns a failure with that code.
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    /// Returns a plain failure (exit code 1).
    pub fn plain(message: impl Into<String>) -> Self {
        Self::new(exit::FAILED, message)
    }
}
