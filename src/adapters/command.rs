//! Other programs, started safely: found in absolute folders only, without our key, each for a
//! limited time.
//!
//! Knows nothing of what they are started for. Blocking: to be called off the loop.

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

/// The variables no child of ours may see.
///
/// They stay in our own environment, as taking one out is unsafe beside threads; where the process
/// is hardened, nobody else can read it there.
pub(super) const SECRET_VARIABLES: [&str; 1] = ["KIE_API_KEY"];

/// How often a child is looked after.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// The groups of the helpers that run now, so that [`end_all`] finds them; 0 is a free place. One
/// that finds no place has its limit, as all have.
static RUNNING_GROUPS: [AtomicI32; 32] = [const { AtomicI32::new(0) }; 32];

/// A helper's place among those that run, given up when dropped.
struct RunningSlot(Option<&'static AtomicI32>);

impl RunningSlot {
    fn acquire(child: &Child) -> Self {
        let group = i32::try_from(child.id()).unwrap_or_default();
        let place = RUNNING_GROUPS.iter().find(|place| {
            place
                .compare_exchange(0, group, Ordering::SeqCst, Ordering::SeqCst)
                .is_ok()
        });
        Self(place)
    }
}

impl Drop for RunningSlot {
    fn drop(&mut self) {
        if let Some(place) = self.0 {
            place.store(0, Ordering::SeqCst);
        }
    }
}

/// Ends every helper that still runs, each with its group: the last thing before the process ends.
///
/// Not what was started to outlive us: a browser, and the command for notices, which is the user's
/// own and may be busy with a file. A clipboard program that went on in the background to own the
/// text has ended as a helper by then.
pub fn kill_all() {
    for place in &RUNNING_GROUPS {
        if let Some(group) = Pid::from_raw(place.swap(0, Ordering::SeqCst)) {
            // It may just have ended by itself.
            kill_process_group(group, Signal::KILL).unwrap_or_default();
        }
    }
}

/// The set of folders in which programs are looked for.
///
/// Only the absolute ones of `PATH`: a relative one would let whatever lies in the present folder
/// be run by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchPath(Vec<PathBuf>);

impl SearchPath {
    /// Returns the folders of our own `PATH`.
    pub fn from_env() -> Self {
        Self::parse(&env::var_os("PATH").unwrap_or_default())
    }

    /// Returns the folders of a list written like `PATH`.
    pub fn parse(path: &OsStr) -> Self {
        Self(
            env::split_paths(path)
                .filter(|folder| folder.is_absolute())
                .collect(),
        )
    }

    /// Finds a program by its name; a name with a slash has to be absolute.
    pub fn find(&self, name: &str) -> Option<PathBuf> {
        let is_program = |path: &PathBuf| {
            path.metadata()
                .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        };
        if name.contains('/') {
            return Some(PathBuf::from(name)).filter(|path| path.is_absolute() && is_program(path));
        }
        self.0
            .iter()
            .map(|folder| folder.join(name))
            .find(is_program)
    }

    /// Returns a command for a program that was found, tamed.
    pub(super) fn sandboxed_command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        self.sandbox(&mut command);
        command
    }

    /// Takes from a command what it must not have: our key, our terminal, our ears, and relative
    /// folders.
    ///
    /// A session of its own would keep `/dev/tty` from it altogether, but there is no safe call
    /// that starts one. In a group of its own, which is not the terminal's foreground, it is
    /// stopped when it reads there.
    pub(super) fn sandbox(&self, command: &mut Command) {
        for secret in SECRET_VARIABLES {
            command.env_remove(secret);
        }
        // Folders that cannot be joined were split from one text a moment ago.
        command.env("PATH", env::join_paths(&self.0).unwrap_or_default());
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0);
    }
}

/// Runs a command to its end, hands it `input`, and kills it with its whole group when it takes
/// longer than `limit`.
///
/// Fails with a sentence: it cannot be started, failed, or did not end.
pub(super) fn run_with_timeout(
    mut command: Command,
    input: &[u8],
    limit: Duration,
) -> Result<(), String> {
    let name = program_name(&command);
    if !input.is_empty() {
        command.stdin(Stdio::piped());
    }
    let mut child = command
        .spawn()
        .map_err(|error| format!("{name} cannot be started: {error}."))?;
    let _running = RunningSlot::acquire(&child);
    if let Some(mut pipe) = child.stdin.take() {
        let input = input.to_vec();
        // A child that does not read must not hold us: the pipe breaks when it is killed. Its
        // failure shows in its code.
        let feeder = thread::Builder::new()
            .name("feeder".into())
            .spawn(move || pipe.write_all(&input).is_ok());
        if let Err(error) = feeder {
            kill_group_and_reap(&mut child);
            return Err(format!("{name} cannot be fed: {error}."));
        }
    }
    match wait_with_timeout(&mut child, limit) {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(describe_failure(&name, status)),
        None => {
            kill_group_and_reap(&mut child);
            Err(format!("{name} did not end within {}s.", limit.as_secs()))
        }
    }
}

/// Returns what a failed program is said to have done.
pub(super) fn describe_failure(name: &str, status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("{name} failed (code {code})."),
        None => format!("{name} was killed."),
    }
}

/// Returns the last part of a program's path: what people call it.
pub(super) fn program_name(command: &Command) -> String {
    let path = Path::new(command.get_program());
    let name = path.file_name().unwrap_or(path.as_os_str());
    name.to_string_lossy().into_owned()
}

/// Waits for a child's end; nothing when it takes longer.
pub(super) fn wait_with_timeout(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let looks = limit.as_millis() / POLL_INTERVAL.as_millis();
    for _ in 0..=looks {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) => thread::park_timeout(POLL_INTERVAL),
            Err(_) => return None,
        }
    }
    None
}

/// Ends a child with its whole group, and takes its end in so that no zombie stays.
fn kill_group_and_reap(child: &mut Child) {
    kill_group(child.id());
    child.kill().unwrap_or_default();
    drop(child.wait());
}

/// Ends whatever is left of the group that a child was started as: a shell's children would go on
/// otherwise.
pub(super) fn kill_group(child: u32) {
    let group = i32::try_from(child).ok().and_then(Pid::from_raw);
    if let Some(group) = group {
        // It may just have ended by itself.
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
        // None of them hangs, so only a machine that stands still reaches this.
        let limit = Duration::from_mins(5);
        let ends =
            |script: &str, input: &str| run_with_timeout(sh(script), input.as_bytes(), limit);

        assert_eq!(ends("[ \"$(cat)\" = hello ]", "hello"), Ok(()));
        assert_eq!(
            ends("exit 3", "not read"),
            Err("sh failed (code 3).".into())
        );
        assert_eq!(ends("kill -9 $$", ""), Err("sh was killed.".into()));
    }

    #[test]
    fn a_hanging_child_is_killed_with_its_group() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("pid");
        let script = format!("sleep 1000 & echo $! > {}; wait", mark.display());

        // Long enough for a busy machine to get as far as the mark.
        let result = run_with_timeout(sh(&script), b"text", Duration::from_secs(3));

        assert_eq!(result, Err("sh did not end within 3s.".into()));
        assert_gone(&std::fs::read_to_string(mark).unwrap());
    }

    /// Runs `check` in this test's own binary once more, where our environment holds a key: it
    /// cannot be put into the one that other tests share. `test` is the name of the calling test in
    /// full.
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
        let said = String::from_utf8_lossy(&inner.stdout);
        assert!(said.contains("1 passed"), "{inner:?}");
    }

    /// Waits until a process runs no more; how long that takes is the system's business.
    #[track_caller]
    pub(in crate::adapters) fn assert_gone(pid: &str) {
        let pid: i32 = pid.trim().parse().unwrap();
        let is_gone = (0..6000).any(|_| {
            thread::park_timeout(POLL_INTERVAL);
            let process = rustix::process::Pid::from_raw(pid).unwrap();
            // A zombie waits for its new parent; it runs no more.
            rustix::process::test_kill_process(process).is_err()
                || std::fs::read_to_string(format!("/proc/{pid}/stat"))
                    .is_ok_and(|stat| stat.contains(") Z "))
        });
        assert!(is_gone, "process {pid} lives on");
    }
}
