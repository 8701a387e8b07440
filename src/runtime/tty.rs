//! A second, non-blocking descriptor of a terminal.

use std::{
    ffi::OsStr,
    fs::{File, OpenOptions},
    io,
    os::unix::{ffi::OsStrExt as _, fs::OpenOptionsExt as _},
};

use rustix::{fd::AsFd, fs::OFlags, termios::ttyname};

/// Opens the terminal a second time, non-blocking: `O_NONBLOCK` is a property of the open file,
/// which standard input and output share with the shell. Opens `/dev/tty` if the terminal has no
/// name.
pub(super) fn reopen_nonblocking(tty: impl AsFd, options: &mut OpenOptions) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    options.custom_flags(i32::try_from(flags.bits()).unwrap_or_default());
    ttyname(tty, Vec::new())
        .map_err(io::Error::from)
        .and_then(|name| options.open(OsStr::from_bytes(name.as_bytes())))
        .or_else(|_| options.open("/dev/tty"))
}
