//! The command line: errors, hints and progress on stderr.
