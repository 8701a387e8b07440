//! A preloaded library that logs calls on files and makes chosen ones fail (`faulty_libc.c`); Linux
//! only.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::io::Errno;

/// A call that fails: its name as logged, the suffix of the path, the error, and which calls ("1",
/// "3+").
pub(crate) type InjectedFault<'a> = (&'a str, &'a str, Errno, &'a str);

/// The compiled library and its log, in a temporary folder.
#[derive(Debug)]
pub(crate) struct FaultyLibc {
    folder: tempfile::TempDir,
}

impl FaultyLibc {
    /// Compiles the library with `cc`, which the build needs anyway.
    pub(crate) fn compile() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/faulty_libc.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&folder.path().join("faulty_libc.so"), &source])
            .arg("-ldl")
            .output()
            .unwrap();
        assert!(compiled.status.success(), "{compiled:?}");
        Self { folder }
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("calls")
    }

    /// Returns the environment variables that load the library into a program.
    pub(crate) fn env_vars(&self, faults: &[InjectedFault<'_>]) -> Vec<(&'static str, String)> {
        let text = |path: PathBuf| path.into_os_string().into_string().unwrap();
        let rules = faults.iter().map(|(call, suffix, error, when)| {
            format!("{call}:{suffix}:{}:{when}", error.raw_os_error())
        });
        vec![
            (
                "LD_PRELOAD",
                text(self.folder.path().join("faulty_libc.so")),
            ),
            ("KIETOP_CALLS", text(self.log_path())),
            ("KIETOP_FAULTS", rules.collect::<Vec<_>>().join(";")),
        ]
    }

    /// Returns the calls logged so far, in order: `name path`; a standard stream is `fd0`, `fd1`,
    /// `fd2`.
    pub(crate) fn calls(&self) -> Vec<String> {
        let log = fs::read_to_string(self.log_path()).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}
