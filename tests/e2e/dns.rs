//! DNS lookups that hang: neither the dashboard nor the commands wait for them.
//!
//! `getaddrinfo` is replaced by a function that creates a marker file and never returns. This needs
//! a C compiler, like the build.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{
    deadline,
    pty::{KIETOP, Pty, PtyLaunch, WAIT_TIMEOUT},
};

const ID: &str = "774d9a7dd608a0e49293903095e45a4c";
const HOST: &str = "https://kietop-test.example";
/// The path of the marker file.
const CALLED_VAR: &str = "KIETOP_TEST_CALLED";

/// A home folder with one task on the list, and a DNS lookup that hangs.
struct SlowDnsHome {
    folder: tempfile::TempDir,
    library: PathBuf,
}

impl SlowDnsHome {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (source, library) = (folder.path().join("hang.c"), folder.path().join("hang.so"));
        let code = format!(
            "#include <fcntl.h>\n#include <stdlib.h>\n#include <unistd.h>\n\
             int getaddrinfo(const char *n, const char *s, const void *h, void **r) {{\n\
             \tconst char *called = getenv(\"{CALLED_VAR}\");\n\
             \tif (called) close(open(called, O_CREAT | O_WRONLY, 0600));\n\
             \tfor (;;) pause();\n}}\n"
        );
        fs::write(&source, code).unwrap();
        // Without a compiler, the build would have failed too.
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-o"])
            .args([&library, &source])
            .output()
            .unwrap();
        assert!(compiled.status.success(), "{compiled:?}");
        let home = Self { folder, library };
        let added = home.command(&["add", ID]).output().unwrap();
        assert!(added.status.success(), "{added:?}");
        home
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn called_marker(&self) -> PathBuf {
        self.path().join("called")
    }

    fn env_vars(&self) -> [(&'static str, PathBuf); 3] {
        [
            ("HOME", self.path().to_owned()),
            ("LD_PRELOAD", self.library.clone()),
            (CALLED_VAR, self.called_marker()),
        ]
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(KIETOP);
        command
            .env_clear()
            .envs(self.env_vars())
            .env("KIE_API_KEY", "a-key")
            .args(["--api-url", HOST, "--store"])
            .arg(self.path().join("list.db"))
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn dashboard(&self) -> Pty {
        let mut launch = PtyLaunch::dashboard(self.path(), HOST)
            .env("KIE_API_KEY", "a-key")
            .size(120, 36);
        for (name, value) in self.env_vars() {
            launch = launch.env(name, &value.to_string_lossy());
        }
        for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            launch = launch.env(name, "");
        }
        let mut pty = launch.spawn();
        let called = self.called_marker();
        pty.wait_until("the name is looked up", |_| called.exists());
        pty
    }
}

// F2
#[test]
fn quitting_does_not_wait_for_dns() {
    for (keys, signal, code) in [
        (Some("q"), None, 0),
        (Some("\x03"), None, 0),
        (None, Some(Signal::TERM), 128 + 15),
    ] {
        let home = SlowDnsHome::new();
        let mut pty = home.dashboard();
        pty.wait_for_text("774d9a7d");

        let started = Instant::now();
        if let Some(keys) = keys {
            pty.type_bytes(keys.as_bytes());
        }
        if let Some(signal) = signal {
            pty.signal(signal);
        }
        let exited = pty.wait_for_exit();

        // The lookup never returns, so exiting at all is the proof; the time is for information.
        println!("{keys:?} {signal:?}: {:?}", started.elapsed());
        assert_eq!(exited.code, code);
        assert_eq!(exited.modes_after, exited.modes_before);
    }
}

// F2
#[test]
fn the_screen_updates_during_dns_lookups() {
    let home = SlowDnsHome::new();
    let mut pty = home.dashboard();

    pty.type_bytes(b"?");
    pty.wait_for_text("remove from the list");
    pty.type_bytes(b"\x1b");
    // The check is retried later, and the task stays.
    pty.wait_for_text("connection to kietop-test.example timed out");
    pty.wait_for_text("774d9a7d");
    pty.quit();
}

// F2
#[test]
fn ctrl_c_works_during_dns_lookups() {
    let home = SlowDnsHome::new();
    let command = home.command(&["list", "--refresh"]).spawn().unwrap();
    let started = Instant::now();
    while !home.called_marker().exists() {
        assert!(started.elapsed() < WAIT_TIMEOUT, "no name was looked up");
        std::thread::sleep(Duration::from_millis(5));
    }

    kill_process(Pid::from_child(&command), Signal::INT).unwrap();
    let exited = deadline::wait_with_deadline(command, "kietop list --refresh, interrupted");

    assert_eq!(exited.status.code(), Some(130), "{exited:?}");
    assert!(String::from_utf8_lossy(&exited.stderr).contains("Interrupted"));
}

// F2
#[test]
fn deadlines_apply_during_dns_lookups() {
    let home = SlowDnsHome::new();

    let exited = deadline::output(&mut home.command(&["list", "--refresh"]));

    let stderr = String::from_utf8_lossy(&exited.stderr);
    assert_eq!(exited.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("connection to kietop-test.example timed out"),
        "{stderr}"
    );
    assert!(
        String::from_utf8_lossy(&exited.stdout).contains(ID),
        "the last known list"
    );
}
