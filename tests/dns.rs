//! Names that are never found: the look-up of a host hangs, and neither the screen nor the prompt
//! waits for it.
//!
//! The system's look-up is replaced by one that says it was called and never returns. That takes
//! the C compiler which the build needs anyway.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "test code: what is not as expected is to fail loudly, and other processes are waited for in real time"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

#[path = "support/deadline.rs"]
mod deadline;
#[expect(dead_code, reason = "this file needs a part of the harness")]
#[path = "support/pty.rs"]
mod pty;
use pty::{Pty, PtyLaunch, WAIT_TIMEOUT};

const KIETOP: &str = env!("CARGO_BIN_EXE_kietop");
const ID: &str = "774d9a7dd608a0e49293903095e45a4c";
const HOST: &str = "https://kietop-test.example";
/// Where the look-up says that it was called.
const CALLED_VAR: &str = "KIETOP_TEST_CALLED";

/// Is a home with one task on the list, and a look-up that hangs.
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
        // Without a compiler this fails: the build would have, too.
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

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(KIETOP);
        command
            .env_clear()
            .envs(self.env_vars())
            .env("KIE_API_KEY", "a-key")
            .args(["--api-url", HOST, "--store"])
            .arg(self.path().join("list.db"))
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn dashboard(&self) -> Pty {
        let mut launch = PtyLaunch::new(KIETOP)
            .args(["--api-url", HOST, "--store"])
            .args([self.path().join("list.db")])
            .env("KIE_API_KEY", "a-key")
            .env("LANG", "C.UTF-8")
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

        let begun = Instant::now();
        if let Some(keys) = keys {
            pty.type_bytes(keys.as_bytes());
        }
        if let Some(signal) = signal {
            pty.signal(signal);
        }
        let ended = pty.wait_for_exit();

        // The look-up never returns, so to end at all is the proof; how soon is for a person to
        // read.
        println!("{keys:?} {signal:?}: {:?}", begun.elapsed());
        assert_eq!(ended.code, code);
        assert_eq!(ended.modes_after, ended.modes_before);
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
    // Asked again later, and the task is kept.
    pty.wait_for_text("connection to kietop-test.example timed out");
    pty.wait_for_text("774d9a7d");
    pty.type_bytes(b"q");

    assert_eq!(pty.wait_for_exit().code, 0);
}

// F2
#[test]
fn ctrl_c_works_during_dns_lookups() {
    let home = SlowDnsHome::new();
    let asking = home.command(&["list", "--refresh"]).spawn().unwrap();
    let begun = Instant::now();
    while !home.called_marker().exists() {
        assert!(begun.elapsed() < WAIT_TIMEOUT, "no name was looked up");
        std::thread::sleep(Duration::from_millis(5));
    }

    kill_process(Pid::from_child(&asking), Signal::INT).unwrap();
    let ended = deadline::wait_with_deadline(asking, "kietop list --refresh, interrupted");

    assert_eq!(ended.status.code(), Some(130), "{ended:?}");
    assert!(String::from_utf8_lossy(&ended.stderr).contains("Interrupted"));
}

// F2
#[test]
fn deadlines_apply_during_dns_lookups() {
    let home = SlowDnsHome::new();

    let ended = deadline::output(&mut home.command(&["list", "--refresh"]));

    let said = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(
        said.contains("connection to kietop-test.example timed out"),
        "{said}"
    );
    assert!(
        String::from_utf8_lossy(&ended.stdout).contains(ID),
        "the list as last known"
    );
}
