//! The disk under the list: the order of writes and flushes, and disks that fail in unusual ways.
//!
//! A preloaded library logs the calls and makes chosen ones fail, so no root, mount or tracer is
//! needed.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "test code: what is not as expected is to fail loudly"
)]

#[path = "support/faulty_libc.rs"]
mod faulty_libc;

use std::{
    fs::{self, Permissions},
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use faulty_libc::{FaultyLibc, InjectedFault};
use rustix::io::Errno;

const KIETOP: &str = env!("CARGO_BIN_EXE_kietop");

/// A home with a list, and the library between the program and its disk.
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

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(KIETOP);
        command
            .env_clear()
            .env("HOME", self.folder.path())
            .arg("--store")
            .arg(self.list())
            .args(words);
        command
    }

    fn run_with_faults(&self, words: &[&str], faults: &[InjectedFault<'_>]) -> Output {
        let mut command = self.command(words);
        command.envs(self.libc.env_vars(faults));
        command.output().unwrap()
    }

    /// Runs a command that is to work, and returns what it prints.
    fn run_ok(&self, words: &[&str], faults: &[InjectedFault<'_>]) -> String {
        let output = self.run_with_faults(words, faults);
        assert!(output.status.success(), "{words:?}: {output:?}");
        assert!(output.stderr.is_empty(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that is to fail, and returns what it says.
    fn run_failing(&self, words: &[&str], faults: &[InjectedFault<'_>]) -> String {
        let output = self.run_with_faults(words, faults);
        assert_eq!(output.status.code(), Some(1), "{words:?}: {output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("another program"), "{said}");
        said
    }

    /// Returns the names of the files beside the list.
    fn list_files(&self) -> Vec<String> {
        let folder = fs::read_dir(self.list().parent().unwrap()).unwrap();
        let names = folder.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.collect()
    }
}

/// Returns the position in the log of the last call of that name on that file.
fn last_call_on(calls: &[String], name: &str, file: &Path) -> usize {
    let call = format!("{name} {}", file.display());
    let at = calls.iter().rposition(|logged| *logged == call);
    at.unwrap_or_else(|| panic!("no {call} in {calls:#?}"))
}

#[test]
fn a_change_is_flushed_before_it_is_acknowledged() {
    let home = FaultyHome::new();
    // The first add also creates the file; the next is a commit only.
    for words in [["add", "task-1"], ["add", "task-2"], ["remove", "task-1"]] {
        let before = home.libc.calls().len();

        let output = home.run_with_faults(&words, &[]);

        assert!(output.status.success(), "{output:?}");
        let calls = home.libc.calls().split_off(before);
        let said = last_call_on(&calls, "write", Path::new("fd1"));
        let before_it: Vec<_> = calls.into_iter().take(said).collect();
        let log = home.list().with_file_name("list.db-wal");
        let written = last_call_on(&before_it, "pwrite", &log);
        let flushed = last_call_on(&before_it, "fsync", &log);
        assert!(flushed > written, "{before_it:#?}");
    }
    // The folder was made by the first add, so its name is flushed too.
    let first: Vec<_> = home.libc.calls();
    let said = first.iter().position(|call| call == "write fd1").unwrap();
    let folder = last_call_on(&first, "fsync", home.folder.path());
    assert!(folder < said, "{first:#?}");
}

#[test]
fn a_disk_without_shm_uses_a_rollback_journal() {
    let faults = [("mmap", "-shm", Errno::NODEV, "1+")];
    for comes_from_a_better_disk in [false, true] {
        let home = FaultyHome::new();
        if comes_from_a_better_disk {
            home.run_ok(&["add", "task-0"], &[]);
            assert!(
                home.run_ok(&["--read-only", "list"], &faults)
                    .contains("task-0")
            );
        }
        home.run_ok(&["add", "task-1"], &faults);
        let before = home.libc.calls().len();

        home.run_ok(&["add", "task-2"], &faults);

        let calls = home.libc.calls().split_off(before);
        let said = last_call_on(&calls, "write", Path::new("fd1"));
        let before_it: Vec<_> = calls.iter().take(said).cloned().collect();
        let written = last_call_on(&before_it, "pwrite", &home.list());
        let flushed = last_call_on(&before_it, "fsync", &home.list());
        let ended = last_call_on(&before_it, "fsync", home.list().parent().unwrap());
        assert!(written < flushed && flushed < ended, "{before_it:#?}");
        let tried = calls.iter().filter(|call| call.contains("-shm"));
        assert_eq!(tried.count(), 0, "the log is not tried again on this disk");
        for words in [&["list"][..], &["--read-only", "list"]] {
            let listed = home.run_ok(words, &faults);
            assert!(
                listed.contains("task-1") && listed.contains("task-2"),
                "{listed}"
            );
        }
    }
}

#[test]
fn a_disk_without_locks_is_reported() {
    let home = FaultyHome::new();
    home.run_ok(&["add", "task-1"], &[]);
    for (error, words) in [
        (Errno::NOLCK, &["list"][..]),
        (Errno::NOLCK, &["--read-only", "list"]),
        (Errno::NOLCK, &["add", "task-2"]),
        (Errno::NOTSUP, &["add", "task-2"]),
    ] {
        let mut command = home.command(words);
        command.envs(home.libc.env_vars(&[]));
        command.env("KIETOP_NO_LOCKS", error.raw_os_error().to_string());
        let output = command.output().unwrap();

        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("has no working file locks"), "{said}");
        assert!(said.contains("--store"), "{said}");
    }
    assert!(home.run_ok(&["list"], &[]).contains("task-1"));
}

#[test]
fn a_full_disk_can_still_be_read() {
    let home = FaultyHome::new();
    home.run_ok(&["add", "task-1"], &[]);
    for error in [Errno::NOSPC, Errno::DQUOT] {
        let faults = ["-shm", "-wal", ".probe"].map(|file| ("pwrite", file, error, "1+"));
        for words in [&["list"][..], &["--read-only", "list"]] {
            assert!(home.run_ok(words, &faults).contains("task-1"));
        }
    }
}

#[test]
fn each_write_failure_has_its_own_message() {
    for (error, words) in [
        (Errno::DQUOT, "your disk quota is used up"),
        (Errno::NOSPC, "the disk is full"),
        (Errno::FBIG, "ulimit -f"),
        (Errno::IO, "the disk of the list file failed"),
        (Errno::ROFS, "cannot be written"),
    ] {
        let home = FaultyHome::new();
        home.run_ok(&["add", "task-1"], &[]);
        let faults = ["-wal", "list.db", ".probe"].map(|file| ("pwrite", file, error, "1+"));
        let said = home.run_failing(&["add", "task-2"], &faults);

        assert!(said.contains(words), "{error}: {said}");
        assert!(home.run_ok(&["list"], &[]).contains("task-1"));
        let left = home.list_files();
        assert!(!left.iter().any(|name| name.contains("probe")), "{left:?}");
    }
}

#[test]
fn a_list_of_another_user_names_its_owner() {
    if !rustix::process::geteuid().is_root() {
        println!("left out: only root can be another user");
        return;
    }
    let home = FaultyHome::new();
    home.run_ok(&["add", "task-1"], &[]);
    let set_mode =
        |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let folder = home.list().parent().unwrap().to_owned();
    set_mode(home.folder.path(), 0o755);
    let says = |words: &[&str]| {
        let mut command = home.command(words);
        let output = command
            .uid(65534)
            .gid(65534)
            .current_dir("/")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    // The folder, then the file, then a helper file that a run by root left.
    for (folder_mode, file_mode, denied) in [(0o700, 0o644, "data"), (0o755, 0o600, "list.db")] {
        set_mode(&folder, folder_mode);
        set_mode(&home.list(), file_mode);
        for words in [&["list"][..], &["--read-only", "list"], &["show", "task-1"]] {
            let said = says(words);

            assert!(said.contains("may not be read"), "{said}");
            assert!(
                said.contains(&format!("{denied} belongs to root")),
                "{said}"
            );
            assert!(
                said.contains("chown") && !said.contains("written"),
                "{said}"
            );
        }
    }
    set_mode(&home.list(), 0o644);
    let said = says(&["add", "task-2"]);
    assert!(
        said.contains("cannot be written") && said.contains("belongs to root"),
        "{said}"
    );
}

#[test]
fn non_regular_list_files_are_refused() {
    let home = FaultyHome::new();
    fs::create_dir_all(home.list()).unwrap();

    let said = home.run_failing(&["list"], &[]);

    assert!(
        said.contains("is a folder; name a file with --store"),
        "{said}"
    );
}
