//! Writing to standard output and standard error without a panic: a closed pipe ends quietly, a full disk is said.

use std::io::{self, Write as _};

use super::Failure;

/// Writes data to standard output.
pub fn data(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        // Whoever read us has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) => Err(Failure::plain(format!(
            "Standard output cannot be written: {error}."
        ))),
    }
}

/// Says something on standard error; when nobody can hear it, that is no fault of ours.
pub fn talk(text: &str) {
    writeln!(io::stderr(), "{text}").unwrap_or_default();
}
