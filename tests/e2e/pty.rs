//! The real program in a pseudo-terminal: start, screens, input, and the restored terminal on exit.

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::process::Signal;

use crate::support::{
    exit_runs,
    hostile_server::{ATTACKS, FaultRates, HostileServer},
    output_check::OutputChecker,
    pty::{KIETOP, Pty, PtyLaunch, add_tasks, run_kietop},
    save_kills,
    test_home::NOWHERE,
};

const ID: &str = "774d9a7dd608a0e49293903095e45a4c";

fn dashboard_launch(home: &Path) -> PtyLaunch {
    PtyLaunch::dashboard(home, NOWHERE).size(120, 36)
}

#[test]
fn demo_shows_states_help_and_quits() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = PtyLaunch::new(KIETOP)
        .args(["demo"])
        .home(home.path())
        .size(120, 36)
        .spawn();

    for word in ["generating", "ready", "failed", "ready !cb", "late"] {
        pty.wait_for_text(word);
    }
    pty.wait_for_text("\"hero loop\" is ready.");
    pty.type_bytes(b"?");
    pty.wait_for_text("remove from the list");
    pty.type_bytes(b"\x1b");
    pty.wait_for_no_text("remove from the list");
    pty.resize(60, 18);
    pty.wait_for_text("GEN");
    pty.quit();
    assert_eq!(
        std::fs::read_dir(home.path()).unwrap().count(),
        0,
        "the demo writes no file"
    );
}

#[test]
fn an_external_add_shows_and_a_signal_restores() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = dashboard_launch(home.path()).spawn();
    pty.wait_for_text("kietop demo");

    run_kietop(home.path(), &["add", ID, "--label", "from a script"]);

    pty.wait_for_text("from a script");
    pty.wait_for_text("No API key");
    pty.signal(Signal::TERM);
    let exited = pty.wait_for_exit();
    assert_eq!(exited.code, 128 + 15, "TERM");
    assert_eq!(exited.modes_after, exited.modes_before);
}

#[test]
fn a_pasted_id_is_added_and_kept() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = dashboard_launch(home.path()).spawn();
    pty.wait_for_text("kietop demo");

    pty.type_bytes(format!("\x1b[200~q d {ID}\x1b[201~").as_bytes());
    pty.wait_for_text("Enter add 1");
    pty.type_bytes(b"\r");
    pty.wait_for_text("Added");
    pty.signal(Signal::KILL);
    pty.wait_for_exit();

    let mut restarted = dashboard_launch(home.path()).spawn();
    restarted.wait_for_text("774d9a7d");
    restarted.quit();
}

fn launch_with_config(home: &Path, config: &str) -> PtyLaunch {
    let folder = home.join(".config/kietop");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("config.toml"), config).unwrap();
    run_kietop(home, &["add", ID, "--label", "from a script"]);
    dashboard_launch(home)
}

#[test]
fn a_slow_key_command_does_not_delay_the_first_frame() {
    let home = tempfile::tempdir().unwrap();
    let pipe = home.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let config = format!(
        "api_url = \"http://127.0.0.1:9\"\nkey_command = [\"cat\", \"{}\"]\n[keys]\nhelp = \"x\"\n",
        pipe.display()
    );
    let mut pty = launch_with_config(home.path(), &config).spawn();

    pty.wait_for_text("from a script");
    pty.type_bytes(b"x");
    pty.wait_for_text("remove from the list");
    pty.type_bytes(b"\x1b");
    // Escape together with a following key would be read as Alt and that key.
    pty.wait_for_no_text("remove from the list");
    fs::write(&pipe, "two words\n").unwrap();
    pty.wait_for_text("key_command: the key has an invalid character at position 4");
    pty.quit();
}

#[test]
fn a_pasted_key_is_not_added() {
    const KEY: &str = "9c0de1aa5b7f4e12a3d4c5b6e7f80912";
    let home = tempfile::tempdir().unwrap();
    let config = format!("api_url = \"http://127.0.0.1:9\"\nkey_command = [\"echo\", \"{KEY}\"]\n");
    let mut pty = launch_with_config(home.path(), &config).spawn();
    pty.wait_for_text("from a script");
    // The key is read for the first check.
    pty.wait_for_text("127.0.0.1:9");
    pty.type_bytes(format!("\x1b[200~{KEY}\x1b[201~").as_bytes());
    pty.wait_for_text("skipped: 1 secret");
    pty.type_bytes(b"\x1b");
    pty.wait_for_no_text("skipped");
    let exited = pty.quit();
    assert!(!String::from_utf8_lossy(&exited.raw).contains(KEY));
}

#[test]
fn a_key_for_another_origin_is_not_sent() {
    let home = tempfile::tempdir().unwrap();
    let marker = home.path().join("ran");
    let config = format!("key_command = [\"touch\", \"{}\"]\n", marker.display());
    let mut pty = launch_with_config(home.path(), &config).spawn();
    pty.wait_for_text("the stored key is for https://api.kie.ai");
    pty.quit();
    assert!(!marker.exists(), "the key command did not run");

    let config = "api_url = \"http://127.0.0.1:9\"\n\
                  key_command = [\"sh\", \"-c\", \"echo canary; echo canary >&2; exit 7\"]\n";
    let mut pty = launch_with_config(home.path(), config).spawn();
    pty.wait_for_text("key_command failed (exit status: 7)");
    pty.wait_for_text("from a script");
    let exited = pty.quit();
    assert!(!String::from_utf8_lossy(&exited.raw).contains("canary"));
}

/// Adds three tasks and starts the dashboard.
fn start_with_three_tasks(home: &Path) -> Pty {
    add_tasks(home, 3);
    let mut pty = dashboard_launch(home).spawn();
    pty.wait_for_text("No API key");
    pty
}

/// Quits and checks that all three tasks are still on the list.
#[track_caller]
fn quit_with_three_tasks(pty: Pty, home: &Path) {
    pty.quit();
    assert_three_tasks(home);
}

#[track_caller]
fn assert_three_tasks(home: &Path) {
    let listed = run_kietop(home, &["list", "--json"]);
    assert_eq!(listed.matches("\"taskId\"").count(), 3);
}

/// Waits for the add dialog with the pasted text and closes it.
fn assert_pasted_as_text(pty: &mut Pty) {
    pty.wait_for_text(DIALOG_HINT);
    pty.type_bytes(b"\x1b");
    pty.wait_for_no_text(DIALOG_HINT);
}

/// Shown only in the add dialog.
const DIALOG_HINT: &str = "Esc cancel";

/// The keys from the list to each screen, text that only this screen shows, and the keys back.
const SCREENS: [(&[u8], &str, &[u8]); 3] = [
    (b"", "Watched tasks", b""),
    (b"\r", "[Info] Time", b"\x1b"),
    (b"?", "remove from the list", b""),
];

#[test]
fn pasted_text_runs_no_command_on_any_screen() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = start_with_three_tasks(home.path());
    let dangerous = "d\rq\x03 y u ".repeat(50);
    for (open_keys, text, close_keys) in SCREENS {
        for paste in [
            format!("\x1b[200~{dangerous}\x1b[201~"),
            format!("\x1b[200~text\x1b[201~{dangerous}"),
            "\x1b[200~text\x1b[201~d".to_owned(),
            dangerous.replace('\x03', ""),
        ] {
            pty.type_bytes(open_keys);
            pty.wait_for_text(text);
            pty.type_bytes(paste.as_bytes());
            assert_pasted_as_text(&mut pty);
            pty.type_bytes(close_keys);
            pty.wait_for_text("Watched tasks");
        }
    }
    quit_with_three_tasks(pty, home.path());
}

#[test]
fn an_unterminated_paste_releases_the_keys() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = start_with_three_tasks(home.path());

    pty.type_bytes(b"\x1b[200~d q d");
    assert_pasted_as_text(&mut pty);
    pty.type_bytes(b"\x1b[200~d q d");
    pty.wait_for_text(DIALOG_HINT);
    pty.type_bytes(b"\x03");

    assert_eq!(pty.wait_for_exit().code, 0);
    assert_three_tasks(home.path());
}

#[test]
fn a_huge_paste_is_accepted_and_removes_nothing() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = start_with_three_tasks(home.path());
    let marked = format!("\x1b[200~{}\x1b[201~", "d q d\r".repeat(700_000));
    let raw = "d q d\r".repeat(34_000);

    for paste in [marked, raw.clone(), raw.repeat(5)] {
        pty.type_bytes(paste.as_bytes());
        assert_pasted_as_text(&mut pty);
    }
    quit_with_three_tasks(pty, home.path());
}

#[test]
fn terminal_replies_press_no_key() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = start_with_three_tasks(home.path());

    let replies = "\x1b[12;40R\x1b[0n\x1b[?62;22c\x1b]11;rgb:dd/dd/dd\x07\x1bP>|qdq\x1b\\\x1b_Gi=1;d\x1b\\\x1b[?1u\x1b[I";
    pty.type_bytes(replies.as_bytes());
    pty.type_bytes(b"?");
    pty.wait_for_text("remove from the list");
    pty.type_bytes(b"q");
    pty.wait_for_text("No API key");
    quit_with_three_tasks(pty, home.path());
}

#[test]
fn signals_and_hang_ups_shut_down_cleanly() {
    let by_signal = exit_runs::run_signals(3);
    let by_hang_up = exit_runs::run_hang_ups(3);

    assert_eq!((by_signal.exits, by_hang_up.exits), (12, 3));
    assert!(by_hang_up.cpu <= 100, "{by_hang_up:?}");
}

#[test]
fn outside_text_cannot_control_the_terminal() {
    let home = tempfile::tempdir().unwrap();
    let ids: Vec<_> = (0..ATTACKS.len()).map(|n| format!("{n:032x}")).collect();
    let mut server = HostileServer::start(
        FaultRates {
            faults: 0,
            completions: 1000,
            refusals: 0,
        },
        5,
    );
    for (id, attack) in ids.iter().zip(ATTACKS) {
        let label = attack.replace('\0', "");
        run_kietop(home.path(), &["add", id, "--label", &label]);
    }
    let mut pty = PtyLaunch::dashboard(home.path(), &server.origin())
        .env("KIE_API_KEY", "canary-5d1f")
        .env("PATH", &home.path().to_string_lossy())
        .size(120, 50)
        .spawn();
    pty.wait_for_text("kietop");

    for n in 0..ids.len() {
        // The first row is selected at the start. On the last row, j would draw nothing.
        let keys = ["j", "\r", "l", "\x1b"];
        for key in keys.into_iter().skip(usize::from(n == 0)) {
            let before = pty.raw().len();
            pty.type_bytes(key.as_bytes());
            pty.wait_until("a frame", |pty| pty.raw().len() > before);
        }
        pty.wait_for_text("Watched tasks");
    }
    for attack in ATTACKS {
        pty.type_bytes(format!("\x1b[200~{attack}\x1b[201~").as_bytes());
        assert_pasted_as_text(&mut pty);
    }
    pty.wait_until("every task is polled", |_| server.count() >= ids.len());
    let exited = pty.quit();
    let mut checker = OutputChecker::default();
    assert_eq!(checker.check(&exited.raw), Ok(()));
    assert!(checker.is_at_boundary());
    let text = String::from_utf8_lossy(&exited.raw);
    assert!(!text.contains("canary-5d1f"));
}

#[test]
fn a_terminal_without_size_is_drawn_with_one_warning() {
    for (size, has_size_vars, drawn_size) in [
        ((0, 0), false, "80x24"),
        ((0, 0), true, "100x30"),
        ((0, 40), false, "80x40"),
        ((90, 0), true, "90x30"),
    ] {
        let home = tempfile::tempdir().unwrap();
        let mut launch = dashboard_launch(home.path()).size(size.0, size.1);
        if has_size_vars {
            launch = launch.env("COLUMNS", "100").env("LINES", "30");
        }
        let mut pty = launch.spawn();
        // The raw output, since the emulated screen has another size than the program assumes.
        let warning = format!("The terminal reports no size; using {drawn_size}");
        pty.wait_until("the message", |pty| {
            String::from_utf8_lossy(pty.raw()).contains(&warning)
        });

        // A size reported later is used.
        pty.resize(120, 36);
        pty.wait_for("the full screen", |screen| {
            screen.contents().contains("Add a task") || screen.contents().contains("No tasks")
        });
        pty.type_bytes(b"m");
        pty.wait_for_text("The terminal reports no size");
        assert_eq!(
            pty.screen()
                .contents()
                .matches("The terminal reports no size")
                .count(),
            1
        );
        pty.type_bytes(b"\x03");
        assert_eq!(pty.wait_for_exit().code, 0);
    }
}

#[test]
fn many_resizes_end_in_a_correct_screen() {
    let home = tempfile::tempdir().unwrap();
    let mut pty = start_with_three_tasks(home.path());
    for step in 0..820_u16 {
        let (cols, rows) = match step % 41 {
            0 => (0, 0),
            1 => (u16::MAX, 3),
            2 => (3, u16::MAX),
            3 => (1, 1),
            rest => (rest * 7 % 200, step % 60),
        };
        pty.resize(cols, rows);
    }
    pty.resize(60, 16);
    pty.wait_for("the last size", |screen| {
        let text = screen.contents();
        text.contains("LEFT/LINK") && text.contains("? help")
    });
    pty.quit();
}

/// A server with one task, which runs until the test finishes it.
struct OneTaskServer {
    origin: String,
    is_finished: Arc<AtomicBool>,
}

impl OneTaskServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let is_finished = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&is_finished);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let is_finished = Arc::clone(&shared);
                thread::spawn(move || respond(&stream, &is_finished));
            }
        });
        Self {
            origin,
            is_finished,
        }
    }

    fn finish_task(&self) {
        self.is_finished.store(true, Ordering::SeqCst);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test server with real timestamps"
)]
fn respond(mut stream: &TcpStream, is_finished: &AtomicBool) {
    let created = jiff::Timestamp::now().as_millisecond() - 60_000;
    for line in BufReader::new(stream).lines() {
        match line {
            Ok(line) if line.is_empty() => {}
            Ok(_) => continue,
            Err(_) => return,
        }
        let is_finished = is_finished.load(Ordering::SeqCst);
        let body = serde_json::json!({"code": 200, "msg": "success", "data": {
            "taskId": ID,
            "createTime": created,
            "completeTime": is_finished.then_some(created + 30_000),
            "response": {"taskId": ID, "resultUrls": ["https://ex.example/1.mp4"]},
            "successFlag": u8::from(is_finished),
        }})
        .to_string();
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        if stream.write_all((head + &body).as_bytes()).is_err() {
            return;
        }
    }
}

/// Starts the dashboard with the server's task and waits until it is shown as running.
fn start_with_server(home: &Path, server: &OneTaskServer) -> Pty {
    run_kietop(home, &["add", ID]);
    let mut pty = PtyLaunch::dashboard(home, &server.origin)
        .env("KIE_API_KEY", "frozen")
        .env("PATH", &home.to_string_lossy())
        .size(120, 50)
        .spawn();
    pty.wait_for_text("generating");
    pty
}

/// Stops reading, fills the terminal, and requests a redraw, which then blocks.
fn freeze_terminal(pty: &mut Pty) {
    pty.freeze();
    // Three times, since the kernel may move part of the output a little later and free some space.
    for _ in 0..3 {
        pty.wait_until("the terminal accepts no more output", |pty| {
            (0..1000).any(|_| pty.is_full())
        });
        pty.read_for(Duration::from_millis(50));
    }
    pty.type_bytes(b"\x0c");
}

#[test]
fn checks_and_keys_work_on_a_frozen_terminal() {
    let home = tempfile::tempdir().unwrap();
    let server = OneTaskServer::start();
    let mut pty = start_with_server(home.path(), &server);
    freeze_terminal(&mut pty);

    server.finish_task();
    pty.type_bytes(b"r");
    pty.wait_until("the result is in the list file", |_| {
        run_kietop(home.path(), &["list", "--json"]).contains("ex.example/1.mp4")
    });
    pty.thaw();
    pty.wait_for_text("ready");

    freeze_terminal(&mut pty);
    pty.quit();
}

#[test]
fn a_hanging_child_is_killed_on_quit() {
    let home = tempfile::tempdir().unwrap();
    let bin = home.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let pid_file = home.path().join("pids");
    let program = bin.join("wl-copy");
    let script = format!(
        "#!/bin/sh\nsleep 1000 &\necho $$ $! > {}\nwait\n",
        pid_file.display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    run_kietop(home.path(), &["add", ID, "--label", "neon"]);
    let mut pty = PtyLaunch::dashboard(home.path(), NOWHERE)
        .env("PATH", &format!("{}:/usr/bin:/bin", bin.display()))
        .env("WAYLAND_DISPLAY", "wayland-0")
        .env("SSH_CONNECTION", "")
        .env("SSH_TTY", "")
        .env("TMUX", "")
        .spawn();
    pty.wait_for_text("neon");

    pty.type_bytes(b"y");
    pty.wait_for_text("Copy");
    pty.type_bytes(b"\r");
    let pids = || fs::read_to_string(&pid_file).unwrap_or_default();
    pty.wait_until("the clipboard program runs", |_| pids().ends_with('\n'));
    pty.quit();

    for pid in pids().split_whitespace() {
        // A zombie no longer runs; it waits for its new parent.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
    }
}

#[test]
fn a_kill_during_a_save_leaves_no_corrupt_file() {
    assert_eq!(save_kills::run_kills(6, 11).kills(), 6);
}
