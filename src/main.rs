//! The program: parses the command line, runs the command and exits with its code.

mod app_builder;

use clap::{CommandFactory as _, Parser as _};
use kietop::{
    adapters::resource_check,
    cli::{
        self,
        args::{Cli, Command},
        failure::CommandFailure,
        output, services,
    },
    messages::command_line as messages,
    runtime::terminal::{exit_now, harden_process, ignore_file_size_signal, sanitise_panics},
};

fn main() {
    sanitise_panics();
    let cli =
        Cli::try_parse().unwrap_or_else(|message| exit_now(output::print_parser_message(&message)));
    // A system that cannot disable core dumps is no reason to stop.
    harden_process().unwrap_or_default();
    ignore_file_size_signal().unwrap_or_default();
    let result = match resource_check::start_runtime() {
        Ok(runtime) => {
            let result = runtime.block_on(run_command(cli));
            // A hung name lookup must not delay the exit.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(CommandFailure::general(messages::cannot_start(&error))),
    };
    let code = result.unwrap_or_else(|failure| {
        output::report(&failure.message);
        failure.code
    });
    exit_now(services::exit_code(code))
}

async fn run_command(Cli { command, global }: Cli) -> Result<i32, CommandFailure> {
    cli::paths::check_variables()?;
    match command {
        None => return app_builder::run_dashboard(&global).await,
        Some(Command::Demo(args)) => return app_builder::run_demo(&args, &global).await,
        Some(Command::Wait(args)) => return app_builder::run_wait(&args, &global).await,
        Some(Command::Add(args)) => cli::add::run(&args, &global)?,
        Some(Command::Remove(args)) => cli::remove::run(&args, &global)?,
        Some(Command::List(args)) => cli::list::run(&args, &global).await?,
        Some(Command::Show(args)) => cli::list::show(&args, &global).await?,
        Some(Command::Open(args)) => cli::open::run(&args, &global)?,
        Some(Command::Save(args)) => cli::save::run(&args, &global).await?,
        Some(Command::Config(command)) => cli::config::run(command, &global)?,
        Some(Command::Simulate(args)) => cli::simulate::run(&args, &global).await?,
        Some(Command::Completions(args)) => {
            cli::manual::print_completions(args.shell, Cli::command())?;
        }
        Some(Command::Man(args)) => cli::manual::print_manual(args.topic, &Cli::command())?,
    }
    Ok(0)
}
