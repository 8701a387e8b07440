//! Writing to standard output and standard error without a panic: a closed pipe ends quietly, a
//! full disk is said.

use std::io::{self, Write as _};

use super::{Failure, exit};
use crate::domain::text::CleanText;

/// The longest talk, in bytes.
const MAX_MESSAGE_LEN: usize = 64 * 1024;

/// Writes data to standard output.
pub fn to_stdout(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    stdout_result(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Turns the result of a write to standard output into the command's; a closed pipe is not an
/// error.
pub fn stdout_result(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::plain(format!(
            "Standard output cannot be written: {error}."
        ))),
    }
}

/// Says something on standard error; when nobody can hear it, that is no fault of ours.
///
/// Paths, arguments and the words of servers may be in it, so nothing in it can act on the
/// terminal.
pub fn to_stderr(text: &str) {
    let text = CleanText::block(text, MAX_MESSAGE_LEN);
    writeln!(io::stderr(), "{text}").unwrap_or_default();
}

/// Prints what the command line's parser has to say in place of a command: the help, the version,
/// or what is wrong. Returns the exit code.
pub fn print_parser_message(answer: &clap::Error) -> i32 {
    if answer.use_stderr() {
        // It quotes what was typed.
        to_stderr(&answer.render().to_string());
        return exit::USAGE;
    }
    match stdout_result(answer.print().and_then(|()| io::stdout().flush())) {
        Ok(()) => 0,
        Err(failure) => {
            to_stderr(&format!("kietop: {failure}"));
            failure.code
        }
    }
}
