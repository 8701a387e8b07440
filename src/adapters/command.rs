//! Child processes: found in absolute folders only, without the API key, with a time limit.
//!
//! Blocking: call it off the event loop.

use std::{
    env,
    ffi::OsStr,
    io,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::{io::AsyncWriteExt as _, process::Child, runtime::Handle, sync::oneshot, time};

/// The variables removed from the environment of children.
///
/// They stay in this process's environment, because removing one is unsafe with threads; once the
/// process is hardened, no other process can read them there.
pub(super) const SECRET_VARIABLES: [&str; 1] = ["KIE_API_KEY"];

/// The folders searched for programs.
///
/// Only the absolute ones of `PATH`: a relative one would run programs from the working directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPath(Vec<PathBuf>);

impl SearchPath {
    pub fn from_env() -> Self {
        Self::parse(&env::var_os("PATH").unwrap_or_default())
    }

    /// Parses a list of folders in the format of `PATH`.
    pub fn parse(path: &OsStr) -> Self {
        Self(
            env::split_paths(path)
                .filter(|folder| folder.is_absolute())
                .collect(),
        )
    }

    /// Finds an executable file by its name; a name with a slash must be absolute.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        let is_program = |path: &PathBuf| {
            path.metadata()
                .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        };
        if name.contains('/') {
            return Some(PathBuf::from(name)).filter(|path| path.is_absolute() && is_program(path));
        }
        self.0
            .iter()
            .map(|folder| folder.join(name))
            .find(is_program)
    }

    /// Returns a [sandboxed](Self::sandbox) command for a program.
    pub(super) fn sandboxed_command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        self.sandbox(&mut command);
        command
    }

    /// Strips the API key, detaches stdio, sets a new process group, and keeps only the absolute
    /// entries of `PATH`.
    ///
    /// A new session would also hide `/dev/tty`, but there is no safe call that starts one. A
    /// background process group is stopped when it reads from the terminal.
    pub(super) fn sandbox(&self, command: &mut Command) {
        for secret in SECRET_VARIABLES {
            command.env_remove(secret);
        }
        // These folders were split from such a list, so they can be joined again.
        command.env("PATH", env::join_paths(&self.0).unwrap_or_default());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
    }
}

/// A child with its process group, which is killed on drop unless the child has exited.
pub(super) struct ProcessGroup {
    pub(super) child: Child,
    leader: Option<Pid>,
}

impl ProcessGroup {
    /// Starts a command that makes its own process group.
    pub(super) fn spawn(command: Command) -> io::Result<Self> {
        let child = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .spawn()?;
        let leader = child.id().and_then(|id| i32::try_from(id).ok());
        let leader = leader.and_then(Pid::from_raw);
        Ok(Self { child, leader })
    }

    /// Kills the whole group, such as the children of a shell.
    pub(super) fn kill(&self) {
        if let Some(leader) = self.leader {
            // It may have exited meanwhile.
            kill_process_group(leader, Signal::KILL).unwrap_or_default();
        }
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        // The id is `None` once the child is reaped.
        if self.child.id().is_some() {
            self.kill();
        }
    }
}

/// Runs a command with `input` on its standard input; kills its process group after `limit`, and
/// when the runtime shuts down. Call it on the blocking pool.
///
/// A clipboard program that keeps the text in the background lives on: the process started here has
/// exited by then.
///
/// Returns an error sentence if it cannot be started, fails or takes too long.
pub(super) fn run_with_timeout(
    command: Command,
    input: Vec<u8>,
    limit: Duration,
) -> Result<(), String> {
    // A task owns the child, because the runtime drops its tasks, but not its blocking work.
    let (sender, receiver) = oneshot::channel();
    Handle::current().spawn(async move { sender.send(run(command, &input, limit).await) });
    receiver
        .blocking_recv()
        .unwrap_or_else(|_dropped| Err("kietop is exiting.".to_owned()))
}

/// Starts a command that has no time limit and lives on. The runtime reaps it.
pub(super) fn spawn_detached(command: Command) -> io::Result<()> {
    let child = tokio::process::Command::from(command).spawn();
    child.map(drop)
}

async fn run(mut command: Command, input: &[u8], limit: Duration) -> Result<(), String> {
    let name = program_name(&command);
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut group =
        ProcessGroup::spawn(command).map_err(|error| format!("Cannot start {name}: {error}."))?;
    let stdin = group.child.stdin.take();
    let write = async move {
        if let Some(mut stdin) = stdin {
            // A failed write shows in the child's exit code.
            stdin.write_all(input).await.unwrap_or_default();
        }
    };
    let exit = async { tokio::join!(write, group.child.wait()).1 };
    match time::timeout(limit, exit).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(describe_failure(&name, status)),
        Ok(Err(error)) => Err(format!("{name} failed: {error}.")),
        Err(_elapsed) => Err(format!("{name} did not exit within {}s.", limit.as_secs())),
    }
}

/// Describes the exit of a failed program.
pub(super) fn describe_failure(name: &str, status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("{name} failed (code {code})."),
        None => format!("{name} was killed."),
    }
}

/// Returns the file name of the program, for messages.
pub(super) fn program_name(command: &Command) -> String {
    let path = Path::new(command.get_program());
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::{
        test_support::{assert_gone, on_blocking_pool},
        *,
    };

    fn sh(script: &str) -> Command {
        let programs = SearchPath::from_env();
        let mut command = programs.sandboxed_command(&programs.find("sh").unwrap());
        command.args(["-c", script]);
        command
    }

    #[test]
    fn relative_path_entries_are_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("tool");
        std::fs::write(&program, "").unwrap();
        let path = env::join_paths([Path::new("."), Path::new(""), folder.path()]).unwrap();
        let programs = SearchPath::parse(&path);

        assert_eq!(programs.find("tool"), None, "not executable");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        assert_eq!(programs.find("tool"), Some(program.clone()));
        assert_eq!(programs.find("./tool"), None);
        assert_eq!(programs.find(program.to_str().unwrap()), Some(program));
        assert_eq!(programs.0, [folder.path()]);
    }

    #[test]
    fn a_child_gets_stdin_and_returns_its_status() {
        // No child hangs; only a stalled machine reaches this.
        let limit = Duration::from_mins(5);
        let run = |script: &str, input: &str| {
            let (command, input) = (sh(script), input.as_bytes().to_vec());
            on_blocking_pool(move || run_with_timeout(command, input, limit))
        };

        assert_eq!(run("[ \"$(cat)\" = hello ]", "hello"), Ok(()));
        assert_eq!(run("exit 3", "not read"), Err("sh failed (code 3).".into()));
        assert_eq!(run("kill -9 $$", ""), Err("sh was killed.".into()));
    }

    #[test]
    fn a_child_is_killed_with_the_runtime() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let script = format!("echo $$ > {}; sleep 1000", pid_file.display());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let run = move || run_with_timeout(sh(&script), Vec::new(), Duration::from_hours(1));
            drop(tokio::task::spawn_blocking(run));
            while !std::fs::read_to_string(&pid_file).is_ok_and(|pid| pid.ends_with('\n')) {
                time::sleep(Duration::from_millis(10)).await;
            }
        });

        runtime.shutdown_background();

        assert_gone(&std::fs::read_to_string(pid_file).unwrap());
    }

    #[test]
    fn a_hanging_child_is_killed_with_its_group() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", pid_file.display());

        // Long enough for a busy machine to write the file.
        let result = on_blocking_pool(move || {
            run_with_timeout(sh(&script), b"text".to_vec(), Duration::from_secs(3))
        });

        assert_eq!(result, Err("sh did not exit within 3s.".into()));
        assert_gone(&std::fs::read_to_string(pid_file).unwrap());
    }
}

/// Helpers for tests of programs.
#[cfg(test)]
pub(super) mod test_support {
    use std::thread;

    use super::*;

    /// Runs `work` on the blocking pool of a new runtime.
    pub(in crate::adapters) fn on_blocking_pool<T: Send + 'static>(
        work: impl FnOnce() -> T + Send + 'static,
    ) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime
            .block_on(async { tokio::task::spawn_blocking(work).await })
            .unwrap()
    }

    /// Runs `check` in a second process of this test binary, with an API key in its environment:
    /// the environment of this process is shared by all tests. `test` is the full name of the
    /// calling test.
    #[track_caller]
    pub(in crate::adapters) fn with_canary_key(test: &str, check: impl FnOnce()) {
        const INNER: &str = "KIETOP_TEST_WITH_KEY";
        if env::var_os(INNER).is_some() {
            assert!(env::var_os(SECRET_VARIABLES[0]).is_some());
            check();
            return;
        }
        let inner = Command::new(env::current_exe().unwrap())
            .args(["--exact", test])
            .env(INNER, "1")
            .env(SECRET_VARIABLES[0], "canary-5d1f-0123")
            .output()
            .unwrap();
        let stdout = String::from_utf8_lossy(&inner.stdout);
        assert!(stdout.contains("1 passed"), "{inner:?}");
    }

    /// Waits until a process has exited.
    #[track_caller]
    pub(in crate::adapters) fn assert_gone(pid: &str) {
        let pid: i32 = pid.trim().parse().unwrap();
        let is_gone = (0..6000).any(|_| {
            thread::park_timeout(Duration::from_millis(10));
            let process = rustix::process::Pid::from_raw(pid).unwrap();
            // A zombie has exited; it waits for its new parent.
            rustix::process::test_kill_process(process).is_err()
                || std::fs::read_to_string(format!("/proc/{pid}/stat"))
                    .is_ok_and(|stat| stat.contains(") Z "))
        });
        assert!(is_gone, "process {pid} still runs");
    }
}
