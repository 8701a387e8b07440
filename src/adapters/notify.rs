//! Desktop notifications, and the user's notification command.
//!
//! Texts are passed as arguments after `--`, never through a shell; markup is escaped.

use std::{env, ffi::OsString, time::Duration};

use super::{
    command::{self, SearchPath},
    environment::{has_display, is_over_ssh},
};
use crate::ports::Notifier;

/// The longest run of a notification program.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest text shown, in bytes.
const MAX_TEXT_LEN: usize = 256;

/// Notifications by `notify-send` or `osascript`, and by the user's command.
#[derive(Debug)]
pub struct SystemNotifier {
    search_path: SearchPath,
    has_local_desktop: bool,
    timeout: Duration,
}

impl SystemNotifier {
    pub fn from_env() -> Self {
        Self::new(SearchPath::from_env(), |name| env::var_os(name))
    }

    pub fn new(search_path: SearchPath, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        Self {
            search_path,
            // Over SSH the desktop is not the user's.
            has_local_desktop: !is_over_ssh(is_set) && has_display(is_set),
            timeout: COMMAND_TIMEOUT,
        }
    }
}

impl Notifier for SystemNotifier {
    fn show(&self, title: &str, body: &str) -> Result<(), String> {
        if !self.has_local_desktop {
            return Err("No desktop for notifications.".into());
        }
        let (title, body) = (truncate(title), truncate(body));
        if let Some(program) = self.search_path.find("notify-send") {
            let mut command = self.search_path.sandboxed_command(&program);
            command.args(["--app-name=kietop", "--", title, &escape_markup(body)]);
            return command::run_with_timeout(command, Vec::new(), self.timeout);
        }
        if let Some(program) = self.search_path.find("osascript") {
            let mut command = self.search_path.sandboxed_command(&program);
            // The script is constant; the texts are its arguments.
            let script = "on run argv\ndisplay notification (item 2 of argv) with title (item 1 of argv)\nend run";
            command.args(["-e", script, "--", title, body]);
            return command::run_with_timeout(command, Vec::new(), self.timeout);
        }
        Err("Install notify-send (libnotify) for desktop notifications.".into())
    }

    fn run_command(
        &self,
        command: &[String],
        variables: &[(&'static str, String)],
    ) -> Result<(), String> {
        let Some((name, args)) = command.split_first() else {
            return Ok(());
        };
        let program = self
            .search_path
            .find(name)
            .ok_or_else(|| format!("Notification command not found: {name}."))?;
        let mut command = self.search_path.sandboxed_command(&program);
        command
            .args(args)
            .envs(variables.iter().map(|(name, value)| (name, value)));
        command::spawn_detached(command)
            .map_err(|error| format!("Cannot start the notification command: {error}."))
    }
}

fn truncate(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_TEXT_LEN))
        .unwrap_or_default()
}

fn escape_markup(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, thread};

    use super::*;
    use crate::adapters::command::test_support::{on_blocking_pool, with_canary_key};

    /// Returns a folder with a fake program that records its arguments and environment.
    fn bin(name: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let script = "#!/bin/sh\nenv > \"$0.env\"\nfor a in \"$@\"; do echo \"[$a]\"; done > \"$0.tmp\"\nmv \"$0.tmp\" \"$0.args\"\n";
        fs::write(&path, script).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        folder
    }

    fn notifier(bin: &Path, variables: &'static [&'static str]) -> SystemNotifier {
        let path = env::join_paths([bin, Path::new("/usr/bin"), Path::new("/bin")]).unwrap();
        let notifier = SystemNotifier::new(SearchPath::parse(&path), |name| {
            variables.contains(&name).then(|| "1".into())
        });
        // No program hangs; only a stalled machine reaches this.
        SystemNotifier {
            timeout: Duration::from_mins(5),
            ..notifier
        }
    }

    fn read(path: &Path) -> String {
        let found = (0..30_000).find_map(|_| {
            thread::park_timeout(Duration::from_millis(10));
            fs::read_to_string(path).ok()
        });
        found.unwrap()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn desktop_notifications_have_no_markup() {
        let folder = bin("notify-send");
        let long = "x".repeat(1000);

        let notify = |body: String| {
            let notifier = notifier(folder.path(), &["DISPLAY"]);
            on_blocking_pool(move || notifier.show("-u critical", &body))
        };
        let shown = notify("<b>a</b> & $(id)".into());

        assert_eq!(shown, Ok(()));
        assert_eq!(
            read(&folder.path().join("notify-send.args")),
            "[--app-name=kietop]\n[--]\n[-u critical]\n[&lt;b&gt;a&lt;/b&gt; &amp; $(id)]\n"
        );
        notify(long).unwrap();
        assert!(
            read(&folder.path().join("notify-send.args"))
                .contains(&format!("[{}]", "x".repeat(MAX_TEXT_LEN)))
        );
    }

    #[test]
    fn a_missing_desktop_is_reported() {
        let folder = bin("notify-send");
        for variables in [&["SSH_TTY", "DISPLAY"][..], &[]] {
            let shown = notifier(folder.path(), variables).show("t", "b");
            assert!(shown.is_err_and(|error| error.contains("No desktop")));
        }
    }

    #[test]
    fn notify_command_gets_details_but_not_the_key() {
        let test = "adapters::notify::tests::notify_command_gets_details_but_not_the_key";
        with_canary_key(test, the_command_gets_the_details);
    }

    fn the_command_gets_the_details() {
        let folder = bin("hook");
        let command = ["hook", "a b", "$(id)"].map(String::from);
        let details = [("KIETOP_TITLE", "neon; $(id)\ntwo".to_owned())];

        let with_hook = notifier(folder.path(), &[]);
        let run = on_blocking_pool(move || with_hook.run_command(&command, &details));

        assert_eq!(run, Ok(()));
        assert_eq!(read(&folder.path().join("hook.args")), "[a b]\n[$(id)]\n");
        let env = read(&folder.path().join("hook.env"));
        assert!(env.contains("KIETOP_TITLE=neon; $(id)\ntwo"), "{env}");
        assert!(!env.contains("canary"), "{env}");
        let missing = notifier(folder.path(), &[]).run_command(&["no-such-thing".into()], &[]);
        assert!(missing.is_err_and(|error| error.contains("not found")));
    }
}
