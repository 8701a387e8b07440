//! Child processes: found in absolute folders only, without the API key, with a time limit.
//!
//! Blocking: call it off the event loop.

use std::{
    env,
    ffi::OsStr,
    io::Write as _,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicI32, Ordering},
    thread,
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process_group};

/// The variables removed from the environment of children.
///
/// They stay in this process's environment, because removing one is unsafe with threads; once the
/// process is hardened, no other process can read them there.
pub(super) const SECRET_VARIABLES: [&str; 1] = ["KIE_API_KEY"];

/// The time between two checks of a child's status.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The process groups of the running children, for [`kill_all`]; 0 is a free slot. A child without
/// a slot still has its time limit.
static RUNNING_GROUPS: [AtomicI32; 32] = [const { AtomicI32::new(0) }; 32];

/// The slot of a running child, freed when dropped.
struct RunningSlot(Option<&'static AtomicI32>);

impl RunningSlot {
    fn acquire(child: &Child) -> Self {
        let group = i32::try_from(child.id()).unwrap_or_default();
        let slot = RUNNING_GROUPS.iter().find(|slot| {
            slot.compare_exchange(0, group, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
        });
        Self(slot)
    }
}

impl Drop for RunningSlot {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            slot.store(0, Ordering::SeqCst);
        }
    }
}

/// Kills all running children with their process groups, just before the process exits.
///
/// Browsers and the user's notification command are not registered and live on. So does a
/// clipboard program that keeps the text in the background: the process started here has exited by
/// then.
pub fn kill_all() {
    for slot in &RUNNING_GROUPS {
        if let Some(group) = Pid::from_raw(slot.swap(0, Ordering::SeqCst)) {
            // It may have exited meanwhile.
            kill_process_group(group, Signal::KILL).unwrap_or_default();
        }
    }
}

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

/// Runs a command with `input` on its standard input; kills its process group after `limit`.
///
/// Returns an error sentence if it cannot be started, fails or takes too long.
pub(super) fn run_with_timeout(
    mut command: Command,
    input: &[u8],
    limit: Duration,
) -> Result<(), String> {
    let name = program_name(&command);
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = spawn(&mut command)?;
    let _running = RunningSlot::acquire(&child);
    if let Some(mut pipe) = child.stdin.take() {
        let input = input.to_vec();
        // On a thread, because the child may not read; the pipe breaks when it is killed. A
        // failed write shows in the child's exit code.
        let writer = thread::Builder::new()
            .name("child stdin".into())
            .spawn(move || pipe.write_all(&input).is_ok());
        if let Err(error) = writer {
            kill_group_and_reap(&mut child);
            return Err(format!("Cannot write to {name}: {error}."));
        }
    }
    match wait_with_timeout(&mut child, limit) {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(describe_failure(&name, status)),
        None => {
            kill_group_and_reap(&mut child);
            Err(format!("{name} did not exit within {}s.", limit.as_secs()))
        }
    }
}

/// Starts a command; fails with an error sentence.
pub(super) fn spawn(command: &mut Command) -> Result<Child, String> {
    let started = command.spawn();
    started.map_err(|error| format!("Cannot start {}: {error}.", program_name(command)))
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

/// Waits for a child to exit; `None` if it takes longer than `limit`.
pub(super) fn wait_with_timeout(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let attempts = limit.as_millis() / POLL_INTERVAL.as_millis();
    for _ in 0..=attempts {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) => thread::park_timeout(POLL_INTERVAL),
            Err(_) => return None,
        }
    }
    None
}

/// Kills a child with its process group, and reaps it.
fn kill_group_and_reap(child: &mut Child) {
    kill_group(child.id());
    child.kill().unwrap_or_default();
    drop(child.wait());
}

/// Kills the rest of a child's process group, such as the children of a shell.
pub(super) fn kill_group(child: u32) {
    let group = i32::try_from(child).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        // It may have exited meanwhile.
        kill_process_group(group, Signal::KILL).unwrap_or_default();
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

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
        let run = |script: &str, input: &str| run_with_timeout(sh(script), input.as_bytes(), limit);

        assert_eq!(run("[ \"$(cat)\" = hello ]", "hello"), Ok(()));
        assert_eq!(run("exit 3", "not read"), Err("sh failed (code 3).".into()));
        assert_eq!(run("kill -9 $$", ""), Err("sh was killed.".into()));
    }

    #[test]
    fn a_hanging_child_is_killed_with_its_group() {
        let folder = tempfile::tempdir().unwrap();
        let pid_file = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", pid_file.display());

        // Long enough for a busy machine to write the file.
        let result = run_with_timeout(sh(&script), b"text", Duration::from_secs(3));

        assert_eq!(result, Err("sh did not exit within 3s.".into()));
        assert_gone(&std::fs::read_to_string(pid_file).unwrap());
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
            thread::park_timeout(POLL_INTERVAL);
            let process = rustix::process::Pid::from_raw(pid).unwrap();
            // A zombie has exited; it waits for its new parent.
            rustix::process::test_kill_process(process).is_err()
                || std::fs::read_to_string(format!("/proc/{pid}/stat"))
                    .is_ok_and(|stat| stat.contains(") Z "))
        });
        assert!(is_gone, "process {pid} still runs");
    }
}
