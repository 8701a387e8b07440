//! Disk faults: the order of writes and flushes, and the messages of failed disk operations.
//!
//! A preloaded library logs system calls and makes chosen ones fail, without root, mounts or a
//! tracer.

use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use rustix::io::Errno;

use crate::support::faulty_libc::{FaultyLibc, InjectedFault};

const KIETOP: &str = env!("CARGO_BIN_EXE_kietop");

/// A home folder with a list, and the library that injects faults.
struct FaultyHome {
    folder: tempfile::TempDir,
    libc: FaultyLibc,
}

impl FaultyHome {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            libc: FaultyLibc::compile(),
        }
    }

    fn list(&self) -> PathBuf {
        self.folder.path().join("data/list.db")
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(KIETOP);
        command
            .env_clear()
            .env("HOME", self.folder.path())
            .arg("--store")
            .arg(self.list())
            .args(args);
        command
    }

    fn run_with_faults(&self, args: &[&str], faults: &[InjectedFault<'_>]) -> Output {
        let mut command = self.command(args);
        command.envs(self.libc.env_vars(faults));
        command.output().unwrap()
    }

    /// Runs a command that must succeed without stderr, and returns its stdout.
    fn run_ok(&self, args: &[&str], faults: &[InjectedFault<'_>]) -> String {
        let output = self.run_with_faults(args, faults);
        assert!(output.status.success(), "{args:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must fail, and returns its stderr.
    fn run_failing(&self, args: &[&str], faults: &[InjectedFault<'_>]) -> String {
        let output = self.run_with_faults(args, faults);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {output:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!stderr.contains("another program"), "{stderr}");
        stderr
    }

    /// Fails if a file in the list's folder has `text` in its name.
    #[track_caller]
    fn assert_no_file(&self, text: &str) {
        for entry in fs::read_dir(self.list().parent().unwrap()).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            assert!(!name.contains(text), "{name}");
        }
    }
}

/// Returns the position of the last call with that name and file in the log.
fn last_call_on(calls: &[String], name: &str, file: &Path) -> usize {
    let call = format!("{name} {}", file.display());
    let at = calls.iter().rposition(|logged| *logged == call);
    at.unwrap_or_else(|| panic!("no {call} in {calls:#?}"))
}

#[test]
fn a_change_is_flushed_before_it_is_acknowledged() {
    let home = FaultyHome::new();
    // The first add also creates the file; the next is a commit only.
    for args in [["add", "task-1"], ["add", "task-2"], ["remove", "task-1"]] {
        let before = home.libc.calls().len();

        let output = home.run_with_faults(&args, &[]);

        assert!(output.status.success(), "{output:?}");
        let calls = home.libc.calls().split_off(before);
        let acknowledged = last_call_on(&calls, "write", Path::new("fd1"));
        let calls_before: Vec<_> = calls.into_iter().take(acknowledged).collect();
        let log = home.list().with_file_name("list.db-wal");
        let written = last_call_on(&calls_before, "pwrite", &log);
        let flushed = last_call_on(&calls_before, "fsync", &log);
        assert!(flushed > written, "{calls_before:#?}");
    }
    // The first add created the folder, so its parent is flushed too.
    let calls = home.libc.calls();
    let acknowledged = calls.iter().position(|call| call == "write fd1").unwrap();
    let flushed = last_call_on(&calls, "fsync", home.folder.path());
    assert!(flushed < acknowledged, "{calls:#?}");
}

#[test]
fn a_disk_without_shm_uses_a_rollback_journal() {
    let faults = [("mmap", "-shm", Errno::NODEV, "1+")];
    for has_wal in [false, true] {
        let home = FaultyHome::new();
        if has_wal {
            home.run_ok(&["add", "task-0"], &[]);
            let listed = home.run_ok(&["--read-only", "list"], &faults);
            assert!(listed.contains("task-0"), "{listed}");
        }
        home.run_ok(&["add", "task-1"], &faults);
        let before = home.libc.calls().len();

        home.run_ok(&["add", "task-2"], &faults);

        let calls = home.libc.calls().split_off(before);
        let acknowledged = last_call_on(&calls, "write", Path::new("fd1"));
        let calls_before: Vec<_> = calls.iter().take(acknowledged).cloned().collect();
        let written = last_call_on(&calls_before, "pwrite", &home.list());
        let flushed = last_call_on(&calls_before, "fsync", &home.list());
        let committed = last_call_on(&calls_before, "fsync", home.list().parent().unwrap());
        assert!(written < flushed && flushed < committed, "{calls:#?}");
        let tries_log_again = calls.iter().any(|call| call.contains("-shm"));
        assert!(!tries_log_again, "{calls:#?}");
        for args in [&["list"][..], &["--read-only", "list"]] {
            let listed = home.run_ok(args, &faults);
            assert!(
                ["task-1", "task-2"]
                    .iter()
                    .all(|task| listed.contains(task))
            );
        }
    }
}

#[test]
fn a_disk_without_locks_is_reported() {
    let home = FaultyHome::new();
    home.run_ok(&["add", "task-1"], &[]);
    for (error, args) in [
        (Errno::NOLCK, &["list"][..]),
        (Errno::NOLCK, &["--read-only", "list"]),
        (Errno::NOLCK, &["add", "task-2"]),
        (Errno::NOTSUP, &["add", "task-2"]),
    ] {
        let mut command = home.command(args);
        command.envs(home.libc.env_vars(&[]));
        command.env("KIETOP_NO_LOCKS", error.raw_os_error().to_string());
        let output = command.output().unwrap();

        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("has no working file locks"), "{stderr}");
        assert!(stderr.contains("--store"), "{stderr}");
    }
    assert!(home.run_ok(&["list"], &[]).contains("task-1"));
}

#[test]
fn a_full_disk_can_still_be_read() {
    let home = FaultyHome::new();
    home.run_ok(&["add", "task-1"], &[]);
    for error in [Errno::NOSPC, Errno::DQUOT] {
        let faults = ["-shm", "-wal", ".probe"].map(|file| ("pwrite", file, error, "1+"));
        for args in [&["list"][..], &["--read-only", "list"]] {
            assert!(home.run_ok(args, &faults).contains("task-1"));
        }
    }
}

#[test]
fn each_write_failure_has_its_own_message() {
    for (error, message) in [
        (Errno::DQUOT, "your disk quota is used up"),
        (Errno::NOSPC, "the disk is full"),
        (Errno::FBIG, "ulimit -f"),
        (Errno::IO, "the disk of the list file failed"),
        (Errno::ROFS, "cannot be written"),
    ] {
        let home = FaultyHome::new();
        home.run_ok(&["add", "task-1"], &[]);
        let faults = ["-wal", "list.db", ".probe"].map(|file| ("pwrite", file, error, "1+"));
        let stderr = home.run_failing(&["add", "task-2"], &faults);

        assert!(stderr.contains(message), "{error}: {stderr}");
        assert!(home.run_ok(&["list"], &[]).contains("task-1"));
        home.assert_no_file("probe");
    }
}

/// SQLite may report damage after one failed read.
#[test]
fn one_failed_read_is_not_damage() {
    let home = FaultyHome::new();
    let tasks: Vec<_> = (0..300).map(|n| format!("task-number-{n}")).collect();
    let mut add = vec!["add"];
    add.extend(tasks.iter().map(String::as_str));
    home.run_ok(&add, &[]);
    let list = ["list", "--json"];
    let expected = home.run_ok(&list, &[]);
    let bytes = fs::read(home.list()).unwrap();
    let mut failures = 0;

    for failing in 1..=14 {
        let fault = ("pread", "list.db", Errno::IO, &*failing.to_string());
        let output = home.run_with_faults(&list, &[fault]);

        let stderr = String::from_utf8_lossy(&output.stderr);
        if output.status.success() {
            assert_eq!(output.stdout, expected.as_bytes(), "read {failing}");
            assert_eq!(stderr, "", "read {failing}");
        } else {
            failures += 1;
            assert!(
                stderr.contains("disk I/O error"),
                "read {failing}: {stderr}"
            );
        }
        home.assert_no_file(".corrupt-");
        assert_eq!(fs::read(home.list()).unwrap(), bytes, "read {failing}");
    }
    assert!(failures > 0, "no read failed");
}

#[test]
fn a_list_of_another_user_names_its_owner() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can run as another user");
        return;
    }
    let home = FaultyHome::new();
    home.run_ok(&["add", "task-1"], &[]);
    let set_mode =
        |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let folder = home.list().parent().unwrap().to_owned();
    set_mode(home.folder.path(), 0o755);
    let run_as_nobody = |args: &[&str]| {
        let mut command = home.command(args);
        let output = command
            .uid(65534)
            .gid(65534)
            .current_dir("/")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    // The folder denies access, then the file.
    for (folder_mode, file_mode, denied) in [(0o700, 0o644, "data"), (0o755, 0o600, "list.db")] {
        set_mode(&folder, folder_mode);
        set_mode(&home.list(), file_mode);
        for args in [&["list"][..], &["--read-only", "list"], &["show", "task-1"]] {
            let stderr = run_as_nobody(args);

            assert!(stderr.contains("cannot be read: no permission"), "{stderr}");
            assert!(
                stderr.contains(&format!("{denied} belongs to root")),
                "{stderr}"
            );
            assert!(
                stderr.contains("chown") && !stderr.contains("written"),
                "{stderr}"
            );
        }
    }
    set_mode(&home.list(), 0o644);
    let stderr = run_as_nobody(&["add", "task-2"]);
    assert!(
        stderr.contains("cannot be written") && stderr.contains("belongs to root"),
        "{stderr}"
    );
}

#[test]
fn non_regular_list_files_are_refused() {
    let home = FaultyHome::new();
    fs::create_dir_all(home.list()).unwrap();

    let stderr = home.run_failing(&["list"], &[]);

    assert!(
        stderr.contains("is a folder; use a file with --store"),
        "{stderr}"
    );
}
