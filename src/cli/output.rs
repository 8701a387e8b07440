//! Standard output and standard error, written without a panic: a closed pipe is no error, a full
//! disk is reported.

use std::io::{self, Write as _};

use super::failure::{CommandFailure, exit};
use crate::{domain::text::CleanText, messages::command_line as messages};

/// The longest message, in bytes.
const MAX_MESSAGE_LEN: usize = 64 * 1024;

/// Writes data to standard output.
pub fn to_stdout(text: &str) -> Result<(), CommandFailure> {
    let mut out = io::stdout().lock();
    stdout_result(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Converts the result of a write to standard output; a closed pipe is not an error.
pub fn stdout_result(result: io::Result<()>) -> Result<(), CommandFailure> {
    match result {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(CommandFailure::general(messages::cannot_write_stdout(
            &error,
        ))),
    }
}

/// Writes a message to standard error; a failure is ignored.
///
/// The text is sanitised: it may contain paths, arguments and texts of servers.
pub fn to_stderr(text: &str) {
    let text = CleanText::block(text, MAX_MESSAGE_LEN);
    writeln!(io::stderr(), "{text}").unwrap_or_default();
}

/// Writes a message with the program's name to standard error.
pub fn report(message: &str) {
    to_stderr(&format!("kietop: {message}"));
}

/// Prints the help, the version or the usage error that clap returns in place of a command. Returns
/// the exit code.
pub fn print_parser_message(message: &clap::Error) -> i32 {
    if message.use_stderr() {
        // It quotes the arguments.
        to_stderr(&message.render().to_string());
        return exit::USAGE;
    }
    match stdout_result(message.print().and_then(|()| io::stdout().flush())) {
        Ok(()) => 0,
        Err(failure) => {
            report(&failure.message);
            failure.code
        }
    }
}
