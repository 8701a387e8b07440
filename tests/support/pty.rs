//! A terminal for tests: a pseudo-terminal and an emulated screen.
//!
//! A reader thread drains the terminal and a waiter thread waits for the program's exit; both send
//! events to the test, which owns the screen. Every wait is for a condition, with a timeout.
//! Terminal queries are never answered, so a program that waits for a reply fails here.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::num::NonZeroU16;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use filedescriptor::FileDescriptor;
use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::OFlags;
use rustix::process::{Pid, Signal, kill_process};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

/// Long, for a busy machine.
pub(crate) const WAIT_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest emulated screen; the program may be given a larger size.
const MAX_SCREEN: (u16, u16) = (1000, 500);

pub(crate) const KIETOP: &str = env!("CARGO_BIN_EXE_kietop");

/// Runs a command on the list in `home`, which must succeed; returns its output.
#[track_caller]
pub(crate) fn run_kietop(home: &Path, args: &[&str]) -> String {
    let mut command = Command::new(KIETOP);
    command.args(args).arg("--store").arg(home.join("list.db"));
    let output = command.env("HOME", home).output().expect("the program");
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// Adds the tasks 0, 1, 2 and so on to the list in `home`.
#[track_caller]
pub(crate) fn add_tasks(home: &Path, count: usize) {
    let ids: Vec<_> = (0..count).map(|n| format!("{n:032x}")).collect();
    let args = std::iter::once("add").chain(ids.iter().map(String::as_str));
    run_kietop(home, &args.collect::<Vec<_>>());
}

/// A program to start in its own terminal.
#[derive(Debug)]
pub(crate) struct PtyLaunch {
    command: CommandBuilder,
    size: PtySize,
}

impl PtyLaunch {
    /// Uses the test's environment with `TERM=xterm-256color`, and a size of 80×24.
    pub(crate) fn new(program: impl AsRef<Path>) -> Self {
        let mut command = CommandBuilder::new(program.as_ref());
        command.env("TERM", "xterm-256color");
        command.env_remove("RUST_BACKTRACE");
        Self {
            command,
            size: PtySize {
                cols: 80,
                rows: 24,
                ..PtySize::default()
            },
        }
    }

    /// Launches the dashboard with its home folder, and the list in it.
    pub(crate) fn dashboard(home: &Path, api: &str) -> Self {
        Self::new(KIETOP)
            .args(["--api-url", api, "--store"])
            .args([home.join("list.db")])
            .home(home)
    }

    /// Sets the home folder, and a UTF-8 locale.
    pub(crate) fn home(self, home: &Path) -> Self {
        self.env("HOME", &home.to_string_lossy())
            .env("LANG", "C.UTF-8")
    }

    pub(crate) fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.command.args(args.into_iter().map(Into::into));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn size(mut self, cols: u16, rows: u16) -> Self {
        self.size.cols = cols;
        self.size.rows = rows;
        self
    }

    /// Starts the program as the leader of a session with the new terminal.
    pub(crate) fn spawn(self) -> Pty {
        let pair = native_pty_system()
            .openpty(self.size)
            .expect("a pseudo-terminal");
        let name = pair.master.tty_name().expect("its name");
        let raw = pair.master.as_raw_fd().expect("its descriptor");
        let master = FileDescriptor::dup(&raw)
            .and_then(|fd| fd.as_file())
            .expect("a file");
        // Neither a full input queue nor a late poll may block the test forever.
        rustix::fs::fcntl_setfl(&master, OFlags::NONBLOCK | OFlags::RDWR)
            .expect("non-blocking mode");
        let slave = open_without_controlling(&name);
        let modes_before = terminal_modes(&slave);
        let child = pair
            .slave
            .spawn_command(self.command)
            .expect("the program starts");
        let pid = child
            .process_id()
            .and_then(|pid| Pid::from_raw(pid.cast_signed()));

        let (event_sender, events) = mpsc::channel();
        let (request_sender, requests) = mpsc::channel();
        let (wake_reader, wake_writer) = std::io::pipe().expect("a pipe");
        let reader = ReaderThread {
            master: master.try_clone().expect("a second descriptor"),
            wake: wake_reader,
            requests,
            events: event_sender.clone(),
        };
        thread::spawn(move || reader.run());
        thread::spawn(move || wait_for_child(child, &event_sender));
        Pty {
            master: Some(master),
            slave: Some(slave),
            requests: request_sender,
            wake: wake_writer,
            events,
            parser: vt100::Parser::new(non_zero(self.size.rows), non_zero(self.size.cols), 0),
            raw: Vec::new(),
            pid: pid.expect("a process id"),
            code: None,
            output_ended: false,
            modes_before,
        }
    }
}

/// Returns how often `text` occurs in the output of a program.
pub(crate) fn count_occurrences(bytes: &[u8], text: &str) -> usize {
    let windows = bytes.windows(text.len());
    windows.filter(|window| *window == text.as_bytes()).count()
}

/// The final state after the program has exited and all its output was read.
#[derive(Debug)]
pub(crate) struct ExitedPty {
    /// The exit code, or 1000 when a signal killed the program.
    pub(crate) code: u32,
    pub(crate) modes_before: String,
    pub(crate) modes_after: String,
    pub(crate) raw: Vec<u8>,
    pub(crate) screen: vt100::Screen,
}

/// A running program and its terminal.
pub(crate) struct Pty {
    master: Option<File>,
    slave: Option<File>,
    requests: Sender<ReaderRequest>,
    wake: PipeWriter,
    events: Receiver<ReaderEvent>,
    parser: vt100::Parser,
    raw: Vec<u8>,
    pid: Pid,
    code: Option<u32>,
    output_ended: bool,
    modes_before: String,
}

impl Pty {
    #[track_caller]
    pub(crate) fn type_bytes(&mut self, mut bytes: &[u8]) {
        let mut master = self.master.as_ref().expect("an open terminal");
        while !bytes.is_empty() {
            let mut ready = [PollFd::new(master, PollFlags::OUT)];
            let timeout = Timespec::try_from(WAIT_TIMEOUT).expect("a time");
            let count = poll(&mut ready, Some(&timeout)).expect("a poll");
            assert!(count > 0, "the program does not read its input");
            match master.write(bytes) {
                Ok(count) => bytes = bytes.split_at(count).1,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(error) => panic!("typing failed: {error}"),
            }
        }
    }

    /// Changes the window's size, which sends SIGWINCH.
    pub(crate) fn resize(&mut self, cols: u16, rows: u16) {
        let size = rustix::termios::Winsize {
            ws_col: cols,
            ws_row: rows,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        let master = self.master.as_ref().expect("an open terminal");
        self.parser.screen_mut().set_size(
            non_zero(rows.min(MAX_SCREEN.1)),
            non_zero(cols.min(MAX_SCREEN.0)),
        );
        rustix::termios::tcsetwinsize(master, size).expect("a new size");
    }

    /// Sends a signal to the started process only, if it is still running.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).ok();
    }

    /// Returns the emulated screen, with the styles of its cells.
    pub(crate) fn screen(&self) -> &vt100::Screen {
        self.parser.screen()
    }

    /// Returns the bytes read since the last [`Pty::take_raw`].
    pub(crate) fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// Removes and returns the bytes read so far, which bounds the memory of long runs.
    pub(crate) fn take_raw(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.raw)
    }

    /// Returns the exit code; `None` while the program runs.
    pub(crate) fn code(&self) -> Option<u32> {
        self.code
    }

    /// Reads output for the given time.
    pub(crate) fn read_for(&mut self, time: Duration) {
        let started = Instant::now();
        while let Some(left) = time
            .checked_sub(started.elapsed())
            .filter(|left| !left.is_zero())
        {
            self.receive_one(left);
        }
    }

    /// Returns the terminal's current modes, for comparison.
    pub(crate) fn modes(&self) -> String {
        terminal_modes(self.slave.as_ref().expect("our own descriptor"))
    }

    pub(crate) fn modes_before(&self) -> &str {
        &self.modes_before
    }

    /// Changes the terminal's modes from outside, as a shell does.
    pub(crate) fn change_modes(&self, change: impl FnOnce(&mut Termios)) {
        let slave = self.slave.as_ref().expect("our own descriptor");
        let mut termios = tcgetattr(slave).expect("modes");
        change(&mut termios);
        tcsetattr(slave, OptionalActions::Now, &termios).expect("new modes");
    }

    #[track_caller]
    pub(crate) fn wait_for(
        &mut self,
        what: &str,
        mut condition: impl FnMut(&vt100::Screen) -> bool,
    ) {
        self.wait_until(what, |pty| condition(pty.screen()));
    }

    #[track_caller]
    pub(crate) fn wait_for_text(&mut self, text: &str) {
        self.wait_for(text, |screen| screen.contents().contains(text));
    }

    #[track_caller]
    pub(crate) fn wait_for_no_text(&mut self, text: &str) {
        self.wait_for(&format!("no {text:?}"), |screen| {
            !screen.contents().contains(text)
        });
    }

    /// Waits until the condition is true; checks it after each output and every 10 ms.
    #[track_caller]
    pub(crate) fn wait_until(&mut self, what: &str, mut condition: impl FnMut(&Self) -> bool) {
        let started = Instant::now();
        while !condition(self) {
            assert!(
                started.elapsed() < WAIT_TIMEOUT,
                "timed out waiting for: {what}\nexit: {:?}\nscreen:\n{}\nlast bytes: {:?}",
                self.code,
                self.screen().contents(),
                String::from_utf8_lossy(self.raw.split_at(self.raw.len().saturating_sub(400)).1),
            );
            self.receive_one(Duration::from_millis(10));
        }
    }

    #[track_caller]
    pub(crate) fn wait_until_stopped(&mut self) {
        self.wait_until("the program is stopped", Self::is_stopped);
    }

    /// Presses q, and checks the exit code and the terminal's modes.
    #[track_caller]
    pub(crate) fn quit(mut self) -> ExitedPty {
        self.type_bytes(b"q");
        let exited = self.wait_for_exit();
        assert_eq!(exited.code, 0);
        assert_eq!(exited.modes_after, exited.modes_before);
        exited
    }

    /// Reports whether the process is stopped (state T).
    pub(crate) fn is_stopped(&self) -> bool {
        let pid = self.pid.as_raw_nonzero();
        // The name, in parentheses, may contain any character; the state is the first word after
        // it.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_else(|_| {
            let ps = Command::new("ps")
                .args(["-o", "state=", "-p", &pid.to_string()])
                .output()
                .expect("ps, where there is no /proc");
            format!("){}", String::from_utf8_lossy(&ps.stdout))
        });
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| rest.trim_start().starts_with('T'))
    }

    pub(crate) fn pid(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// Stops reading, like a terminal behind a dead connection.
    pub(crate) fn freeze(&mut self) {
        self.send_request(ReaderRequest::Freeze);
    }

    /// Resumes reading after [`Pty::freeze`].
    pub(crate) fn thaw(&mut self) {
        self.send_request(ReaderRequest::Thaw);
    }

    /// Reports whether the terminal accepts no more output, by writing a NUL, which draws nothing.
    ///
    /// poll(2) may report a terminal as writable that accepts nothing.
    pub(crate) fn is_full(&self) -> bool {
        let mut slave = self.slave.as_ref().expect("our own descriptor");
        let result = slave.write(b"\0");
        result.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Closes the terminal, like a closed window or a lost connection.
    #[track_caller]
    pub(crate) fn hang_up(&mut self) {
        self.send_request(ReaderRequest::Stop);
        self.wait_until("the reader stops", |pty| pty.output_ended);
        self.master = None;
    }

    /// Waits for the program to exit, then reads the rest of its output.
    #[track_caller]
    pub(crate) fn wait_for_exit(mut self) -> ExitedPty {
        self.wait_until("the program exits", |pty| pty.code.is_some());
        let modes_after = if self.master.is_some() {
            self.modes()
        } else {
            String::new()
        };
        // Once the last descriptor of the slave side is closed, the reader stops.
        self.slave = None;
        self.send_request(ReaderRequest::Thaw);
        self.wait_until("all output is read", |pty| pty.output_ended);
        ExitedPty {
            code: self.code.unwrap_or_default(),
            modes_before: std::mem::take(&mut self.modes_before),
            modes_after,
            raw: std::mem::take(&mut self.raw),
            screen: self.parser.screen().clone(),
        }
    }

    fn send_request(&mut self, request: ReaderRequest) {
        // The reader may have stopped already.
        if self.requests.send(request).is_ok() {
            self.wake.write_all(b".").ok();
        }
    }

    fn receive_one(&mut self, limit: Duration) {
        match self.events.recv_timeout(limit) {
            Ok(ReaderEvent::Output(bytes)) => {
                self.parser.process(&bytes);
                self.raw.extend(bytes);
            }
            Ok(ReaderEvent::OutputEnded) => self.output_ended = true,
            Ok(ReaderEvent::Exited(code)) => self.code = Some(code),
            // Both threads have finished, and all events were received.
            Err(RecvTimeoutError::Disconnected) => thread::park_timeout(limit),
            Err(RecvTimeoutError::Timeout) => {}
        }
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        self.send_request(ReaderRequest::Stop);
        if self.code.is_none() {
            kill_process(self.pid, Signal::KILL).ok();
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum ReaderRequest {
    Freeze,
    Thaw,
    Stop,
}

#[derive(Debug)]
enum ReaderEvent {
    Output(Vec<u8>),
    OutputEnded,
    Exited(u32),
}

struct ReaderThread {
    master: File,
    wake: PipeReader,
    requests: Receiver<ReaderRequest>,
    events: Sender<ReaderEvent>,
}

impl ReaderThread {
    fn run(self) {
        let Self {
            mut master,
            mut wake,
            requests,
            events,
        } = self;
        let mut buffer = vec![0; 16 * 1024];
        let mut frozen = false;
        loop {
            let master_flags = if frozen {
                PollFlags::empty()
            } else {
                PollFlags::IN
            };
            let mut poll_fds = [
                PollFd::new(&wake, PollFlags::IN),
                PollFd::new(&master, master_flags),
            ];
            // While frozen, a hang-up of the slave side would be reported again and again.
            let count = if frozen { 1 } else { 2 };
            if poll(poll_fds.split_at_mut(count).0, None).is_err() {
                continue;
            }
            let [request, output] = poll_fds.map(|fd| fd.revents());
            if !request.is_empty() {
                wake.read_exact(&mut [0]).ok();
                match requests.try_recv() {
                    Ok(ReaderRequest::Freeze) => frozen = true,
                    Ok(ReaderRequest::Thaw) => frozen = false,
                    Ok(ReaderRequest::Stop) | Err(_) => break,
                }
                continue;
            }
            match master.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    let bytes = buffer.split_at(count).0.to_vec();
                    if events.send(ReaderEvent::Output(bytes)).is_err() {
                        break;
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    // Hung up, and nothing left to read.
                    if output.contains(PollFlags::HUP) {
                        break;
                    }
                }
                // EIO: no program has the terminal open.
                Err(_) => break,
            }
        }
        drop(master);
        events.send(ReaderEvent::OutputEnded).ok();
    }
}

fn wait_for_child(mut child: Box<dyn Child + Send + Sync>, events: &Sender<ReaderEvent>) {
    let code = child
        .wait()
        .map_or(u32::MAX, |status| match status.signal() {
            Some(_) => 1000,
            None => status.exit_code(),
        });
    events.send(ReaderEvent::Exited(code)).ok();
}

fn open_without_controlling(name: &Path) -> File {
    let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(flags.bits().cast_signed())
        .open(name)
        .expect("the slave side of the terminal")
}

fn terminal_modes(tty: &File) -> String {
    format!("{:?}", tcgetattr(tty).expect("modes"))
}

fn non_zero(side: u16) -> NonZeroU16 {
    NonZeroU16::new(side).unwrap_or(NonZeroU16::MIN)
}
