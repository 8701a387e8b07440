//! The clipboard, written by programs: tmux inside tmux, else those of the desktop.
//!
//! Clipboard libraries keep the text only as long as their handle lives, and over SSH they need a
//! desktop that is not there. Copying through the terminal (OSC 52) is done elsewhere.

use std::{env, ffi::OsString, time::Duration};

use super::command::{self, SearchPath};
use crate::ports::Clipboard;

/// The time a program may take; without it, a display that does not respond blocks forever.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);

/// A program that copies its standard input to a clipboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ClipboardTool {
    name: &'static str,
    args: &'static [&'static str],
}

/// `-w` also sends the text to the terminal outside tmux (tmux 3.2).
const TMUX: ClipboardTool = tool("tmux", &["load-buffer", "-w", "-"]);
const WAYLAND: ClipboardTool = tool("wl-copy", &["--type", "text/plain"]);
const XCLIP: ClipboardTool = tool("xclip", &["-selection", "clipboard", "-in"]);
const XSEL: ClipboardTool = tool("xsel", &["--clipboard", "--input"]);
const MACOS: ClipboardTool = tool("pbcopy", &[]);
const WINDOWS: ClipboardTool = tool("clip.exe", &[]);

const fn tool(name: &'static str, args: &'static [&'static str]) -> ClipboardTool {
    ClipboardTool { name, args }
}

/// The clipboard of tmux or of the desktop.
#[derive(Debug)]
pub struct SystemClipboard {
    search_path: SearchPath,
    tools: Vec<ClipboardTool>,
    timeout: Duration,
}

impl SystemClipboard {
    pub fn from_env() -> Self {
        Self::new(SearchPath::from_env(), |name| env::var_os(name))
    }

    pub fn new(search_path: SearchPath, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let tools = candidates(|name| variable(name).is_some_and(|value| !value.is_empty()));
        Self {
            search_path,
            tools,
            timeout: COMMAND_TIMEOUT,
        }
    }
}

/// Returns the programs to try, in order. Over SSH the desktop is not the user's.
fn candidates(is_set: impl Fn(&str) -> bool) -> Vec<ClipboardTool> {
    let mut tools = Vec::new();
    if is_set("TMUX") {
        tools.push(TMUX);
    }
    if super::environment::is_over_ssh(&is_set) {
        return tools;
    }
    if cfg!(target_os = "macos") {
        tools.push(MACOS);
    }
    if is_set("WAYLAND_DISPLAY") {
        tools.push(WAYLAND);
    }
    if is_set("DISPLAY") {
        tools.extend([XCLIP, XSEL]);
    }
    if is_set("WSL_DISTRO_NAME") {
        tools.push(WINDOWS);
    }
    tools
}

impl Clipboard for SystemClipboard {
    fn copy(&self, text: &str) -> Result<String, String> {
        let mut last_error = "no clipboard program found".to_owned();
        for tool in &self.tools {
            let Some(program) = self.search_path.find(tool.name) else {
                continue;
            };
            let mut command = self.search_path.sandboxed_command(&program);
            command.args(tool.args);
            if *tool == MACOS {
                // Without a locale it reads the text as Mac Roman.
                command.env("LC_CTYPE", "UTF-8");
            }
            let input = if *tool == WINDOWS {
                // It reads anything but UTF-16 in the system's legacy code page.
                text.encode_utf16().flat_map(u16::to_le_bytes).collect()
            } else {
                text.as_bytes().to_vec()
            };
            match command::run_with_timeout(command, input, self.timeout) {
                Ok(()) => return Ok(tool.name.to_owned()),
                Err(error) => error.trim_end_matches('.').clone_into(&mut last_error),
            }
        }
        Err(last_error)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::PermissionsExt as _,
        path::{Path, PathBuf},
    };

    use super::*;
    use crate::adapters::command::test_support::{on_blocking_pool, with_canary_key};

    /// Returns a folder of fake programs, each a shell script.
    fn bin(programs: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, script) in programs {
            let path = folder.path().join(name);
            fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        }
        folder
    }

    fn copy(
        bin: &Path,
        variables: &'static [&'static str],
        text: &'static str,
    ) -> Result<String, String> {
        let path = env::join_paths([bin, Path::new("/usr/bin"), Path::new("/bin")]).unwrap();
        let clipboard = SystemClipboard::new(SearchPath::parse(&path), |name| {
            variables.contains(&name).then(|| "1".into())
        });
        // No program hangs; only a stalled machine reaches this.
        let clipboard = SystemClipboard {
            timeout: Duration::from_mins(5),
            ..clipboard
        };
        on_blocking_pool(move || clipboard.copy(text))
    }

    #[cfg(target_os = "linux")]
    fn names(variables: &[&str]) -> Vec<&'static str> {
        let tools = candidates(|name| variables.contains(&name));
        tools.iter().map(|tool| tool.name).collect()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn clipboard_programs_depend_on_the_environment() {
        assert_eq!(names(&[]), [""; 0]);
        assert_eq!(names(&["TMUX", "SSH_TTY", "DISPLAY"]), ["tmux"]);
        assert_eq!(names(&["SSH_CONNECTION", "WAYLAND_DISPLAY"]), [""; 0]);
        assert_eq!(
            names(&["WAYLAND_DISPLAY", "DISPLAY"]),
            ["wl-copy", "xclip", "xsel"]
        );
        assert_eq!(names(&["WSL_DISTRO_NAME"]), ["clip.exe"]);
    }

    #[test]
    fn clipboard_program_gets_the_text_but_not_the_key() {
        let test = "adapters::clipboard::tests::clipboard_program_gets_the_text_but_not_the_key";
        with_canary_key(test, the_text_reaches_the_program);
    }

    fn the_text_reaches_the_program() {
        let script = "cat > \"$0.text\"; echo \"$*\" > \"$0.args\"; env > \"$0.env\"";
        let folder = bin(&[("wl-copy", script)]);
        let beside = |end: &str| -> PathBuf { folder.path().join(format!("wl-copy.{end}")) };

        let result = copy(folder.path(), &["WAYLAND_DISPLAY"], "日本 'x' $(id)\ntwo");

        assert_eq!(result, Ok("wl-copy".into()));
        let read = |end| fs::read_to_string(beside(end)).unwrap();
        assert_eq!(read("text"), "日本 'x' $(id)\ntwo");
        assert_eq!(read("args"), "--type text/plain\n");
        let env = read("env");
        assert!(env.contains("PATH=") && !env.contains("canary"), "{env}");
    }

    #[test]
    fn a_failing_program_falls_back_to_the_next() {
        let folder = bin(&[("xclip", "exit 1"), ("xsel", "cat > /dev/null")]);
        assert_eq!(copy(folder.path(), &["DISPLAY"], "x"), Ok("xsel".into()));

        let folder = bin(&[("xclip", "exit 1"), ("xsel", "exit 7")]);
        assert_eq!(
            copy(folder.path(), &["DISPLAY"], "x"),
            Err("xsel failed (code 7)".into())
        );
        assert_eq!(
            copy(folder.path(), &[], "x"),
            Err("no clipboard program found".into())
        );
    }

    #[test]
    fn windows_clipboard_gets_utf16() {
        let folder = bin(&[("clip.exe", "cat > \"$0.text\"")]);

        let result = copy(folder.path(), &["WSL_DISTRO_NAME"], "é");

        assert_eq!(result, Ok("clip.exe".into()));
        assert_eq!(
            fs::read(folder.path().join("clip.exe.text")).unwrap(),
            [0xe9, 0]
        );
    }
}
