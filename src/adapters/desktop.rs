//! The system's clocks and browser.

use std::{
    env,
    path::Path,
    process::{Child, Command, ExitStatus},
    sync::mpsc,
    thread,
    time::Duration,
};

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};
use url::Url;

use super::{
    command::{self, SearchPath},
    environment::{has_display, is_variable_set},
    http::allowed_hosts::AllowedHosts,
};
use crate::{
    domain::{
        link::VideoUrl,
        time::{Mono, Now},
    },
    ports::{Clock, VideoOpener},
};

mod browser_variable;

/// The time a launcher is given to fail; one that still runs counts as a success.
const LAUNCH_TIMEOUT: Duration = Duration::from_millis(1500);

/// The clock for schedules: it cannot be set and counts suspend. `CLOCK_MONOTONIC`, which `Instant`
/// reads, stops during suspend on Linux, but not on other systems.
#[cfg(any(target_os = "linux", target_os = "android"))]
const SCHEDULE_CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const SCHEDULE_CLOCK: ClockId = ClockId::Monotonic;

/// The system's clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: Mono,
}

impl SystemClock {
    /// Creates a clock whose monotonic time starts now.
    pub fn start() -> Self {
        Self {
            started: Self::since_boot(),
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the only adapter that reads the clocks"
    )]
    pub fn wall() -> Timestamp {
        Timestamp::now()
    }

    /// Returns the time since the system booted, the same for all processes.
    pub fn since_boot() -> Mono {
        let time = clock_gettime(SCHEDULE_CLOCK);
        let seconds = Duration::from_secs(time.tv_sec.try_into().unwrap_or_default());
        let nanos = Duration::from_nanos(time.tv_nsec.try_into().unwrap_or_default());
        Mono::at(seconds.saturating_add(nanos))
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Now {
        Now {
            wall: Self::wall(),
            mono: Mono::at(Self::since_boot().since(self.started)),
        }
    }
}

/// The user's browser: the `browser` setting, else `$BROWSER`, else the desktop's default.
#[derive(Debug, Clone)]
pub struct Browser {
    configured_command: Vec<String>,
    search_path: SearchPath,
    allowed_hosts: AllowedHosts,
}

impl Browser {
    /// `configured_command` is the setting, empty if it is not set.
    pub fn new(configured_command: Vec<String>, allowed_hosts: AllowedHosts) -> Self {
        Self {
            configured_command,
            search_path: SearchPath::from_env(),
            allowed_hosts,
        }
    }

    pub(super) const fn allowed_hosts(&self) -> AllowedHosts {
        self.allowed_hosts
    }

    /// Returns the setting or variable that names the browser, and the commands to try, in order.
    ///
    /// A named browser that cannot be started is an error: no other is started in its place.
    /// Without a display there is no desktop default.
    fn launch_commands(
        &self,
        variable: &str,
        link: &str,
        has_display: bool,
    ) -> Result<(&'static str, Vec<Command>), String> {
        let (source, lines) = if !self.configured_command.is_empty() {
            ("The setting browser", vec![self.configured_command.clone()])
        } else if !variable.trim().is_empty() {
            let lines = browser_variable::parse(variable, &self.search_path);
            (
                "BROWSER",
                lines.map_err(|error| format!("BROWSER: {error}."))?,
            )
        } else if has_display {
            return Ok(("", open::commands(link)));
        } else {
            return Err("No display: cannot start a browser.".to_owned());
        };
        let mut error = "no program given".to_owned();
        let mut launchers = Vec::new();
        for line in &lines {
            let program = line.first().map_or("", String::as_str);
            match self.search_path.find(program) {
                Some(found) => launchers.push(launch_command(&found, line.get(1..), link)),
                None => {
                    error = format!("no program {program} in PATH; give an absolute path");
                }
            }
        }
        if launchers.is_empty() {
            return Err(format!("{source}: {error}."));
        }
        Ok((source, launchers))
    }
}

impl VideoOpener for Browser {
    fn open(&self, url: &VideoUrl) -> Result<(), String> {
        if !self.allowed_hosts.allows_in_browser(url) {
            let host = url.host();
            return Err(format!(
                "Not opened: the link points to this machine ({host}), but the API is elsewhere."
            ));
        }
        self.open_link(url.as_str())
    }

    fn open_file(&self, file: &Path) -> Result<(), String> {
        let file = OwnFile::saved_video(file)
            .ok_or("Not opened: the name of the saved file is not that of a video.")?;
        self.open_own_file(&file)
    }
}

impl Browser {
    pub(super) fn open_own_file(&self, file: &OwnFile) -> Result<(), String> {
        self.open_link(file.0.as_str())
    }

    fn open_link(&self, link: &str) -> Result<(), String> {
        let variable = env::var_os("BROWSER").unwrap_or_default();
        let has_display = has_display(is_variable_set);
        let (source, launchers) =
            self.launch_commands(&variable.to_string_lossy(), link, has_display)?;
        let mut last_error = String::new();
        for mut launcher in launchers {
            self.search_path.sandbox(&mut launcher);
            match run_launcher(launcher, LAUNCH_TIMEOUT) {
                Ok(()) => return Ok(()),
                Err(error) if source.is_empty() => last_error = error,
                Err(error) => last_error = format!("{source}: {error}"),
            }
        }
        Err(last_error)
    }
}

/// A `file:` URL of a page or video that kietop wrote; no other is ever opened.
///
/// Links of the API are [`VideoUrl`]s, which cannot be `file:` URLs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnFile(Url);

impl OwnFile {
    /// Returns `None` if the path is not absolute.
    pub(super) fn new(path: &Path) -> Option<Self> {
        Url::from_file_path(path).ok().map(Self)
    }

    /// Returns `None` unless the extension is one of saved videos: the system chooses the program
    /// by the extension.
    fn saved_video(path: &Path) -> Option<Self> {
        let extension = path.extension()?.to_str()?;
        matches!(extension, "mp4" | "mov" | "webm").then(|| Self::new(path))?
    }
}

/// Returns the command that opens a link: it replaces `%s`, else it is the last argument.
fn launch_command(program: &Path, arguments: Option<&[String]>, link: &str) -> Command {
    let mut command = Command::new(program);
    let mut has_placeholder = false;
    for word in arguments.unwrap_or_default() {
        has_placeholder |= word.contains("%s");
        command.arg(word.replace("%s", link));
    }
    if !has_placeholder {
        command.arg(link);
    }
    command
}

/// Starts a launcher and waits up to `limit` for it to fail.
fn run_launcher(mut command: Command, limit: Duration) -> Result<(), String> {
    let name = command::program_name(&command);
    let child = command.spawn();
    let child = child.map_err(|error| format!("Cannot start {name}: {error}."))?;
    match wait_briefly(child, limit) {
        Some(status) if !status.success() => Err(command::describe_failure(&name, status)),
        _ => Ok(()),
    }
}

/// Returns the status of a child that exits within `limit`. One that runs longer is reaped on a
/// thread.
fn wait_briefly(mut child: Child, limit: Duration) -> Option<ExitStatus> {
    let (sender, receiver) = mpsc::channel();
    let reaper = thread::Builder::new()
        .name("browser".into())
        .spawn(move || {
            if let Ok(status) = child.wait() {
                // After `limit` the receiver is gone.
                sender.send(status).unwrap_or_default();
            }
        });
    reaper.ok().and_then(|_| receiver.recv_timeout(limit).ok())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn line(command: &Command) -> Vec<String> {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words
            .map(|word| word.to_string_lossy().into_owned())
            .collect()
    }

    /// Returns a browser with only these programs in `PATH`, and their folder.
    fn browser(configured: &[&str], programs: &[&str]) -> (Browser, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        for name in programs {
            let file = folder.path().join(name);
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
        }
        let browser = Browser {
            search_path: SearchPath::parse(folder.path().as_os_str()),
            ..Browser::new(
                configured.iter().map(ToString::to_string).collect(),
                AllowedHosts::PublicOnly,
            )
        };
        (browser, folder)
    }

    #[test]
    fn browser_command_gets_the_link_without_a_shell() {
        let link = "https://ex.com/a?b=$(id)&c";
        let run = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(ToString::to_string).collect();
            line(&launch_command(Path::new("/bin/fox"), Some(&words), link))
        };

        assert_eq!(run(&[]), ["/bin/fox", link]);
        assert_eq!(
            run(&["--url=%s", "-x"]),
            ["/bin/fox", &format!("--url={link}"), "-x"]
        );
    }

    #[test]
    fn browser_setting_precedes_variable_and_desktop() {
        let names = |configured: &[&str], variable, has_display| {
            let (browser, _folder) = browser(configured, &["mine", "first", "second"]);
            let found = browser.launch_commands(variable, "https://ex.com/", has_display);
            let (source, launchers) = found.unwrap();
            let names = launchers
                .iter()
                .map(command::program_name)
                .collect::<Vec<_>>();
            (source, names.join(" "))
        };

        for has_display in [true, false] {
            let mine = names(&["mine", "--new"], "first", has_display);
            assert_eq!(mine, ("The setting browser", "mine".into()));
            let variable = names(&[], "first:none:'second' %s", has_display);
            assert_eq!(variable, ("BROWSER", "first second".into()));
        }
        for unset in ["", " \n"] {
            assert!(names(&[], unset, true).1.starts_with("xdg-open") || cfg!(target_os = "macos"));
        }
    }

    #[test]
    fn an_unusable_browser_setting_is_an_error() {
        let error = |configured: &[&str], variable| {
            let (browser, _folder) = browser(configured, &["first"]);
            browser
                .launch_commands(variable, "https://ex.com/", true)
                .unwrap_err()
        };

        for (variable, expected) in [
            ("nope", "BROWSER: no program nope in PATH"),
            (
                "/c/Program Files/fox",
                "BROWSER: no program /c/Program in PATH",
            ),
            ("./first", "BROWSER: no program ./first in PATH"),
            ("'first", "BROWSER: unclosed quote."),
            (":", "BROWSER: no program given."),
            ("~root/fox", "BROWSER: ~ works for your own home only"),
        ] {
            assert!(
                error(&[], variable).starts_with(expected),
                "{}",
                error(&[], variable)
            );
        }
        let configured = error(&["nope"], "first");
        assert!(
            configured.starts_with("The setting browser: no program nope"),
            "{configured}"
        );
    }

    // F67
    #[test]
    fn loopback_links_need_a_loopback_api() {
        let table = [
            ("http://127.0.0.1:8080/admin", true),
            ("https://127.1.2.3/", true),
            ("http://2130706433/", true),
            ("http://localhost/", true),
            ("http://LOCALHOST.:1/", true),
            ("https://a.localhost/", true),
            ("http://[::1]/", true),
            ("http://[::ffff:127.0.0.1]/", true),
            ("https://localhost.example/a.mp4", false),
            ("http://ex.com/a.mp4", false),
            ("https://ex.com/a.mp4", false),
        ];
        for (link, is_loopback) in table {
            let link = VideoUrl::parse(link).unwrap();
            assert_eq!(link.is_loopback(), is_loopback, "{link:?}");
            assert_eq!(
                AllowedHosts::PublicOnly.allows_in_browser(&link),
                !is_loopback,
                "{link:?}"
            );
            assert!(
                AllowedHosts::PublicAndLoopback.allows_in_browser(&link),
                "{link:?}"
            );
            if is_loopback {
                let opened = Browser::new(Vec::new(), AllowedHosts::PublicOnly).open(&link);
                let error = opened.unwrap_err();
                assert!(error.contains("points to this machine"), "{error}");
            }
        }
    }

    #[test]
    fn only_local_videos_are_opened_as_files() {
        let link =
            |path: &str| OwnFile::saved_video(Path::new(path)).map(|file| file.0.to_string());

        assert_eq!(link("/v/a b.mp4"), Some("file:///v/a%20b.mp4".into()));
        for odd in [
            "a.mp4",
            "/v/a.desktop",
            "/v/mp4",
            "/v/a.mp4.sh",
            "https://ex.com/a.mp4",
        ] {
            assert_eq!(link(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_failing_launcher_is_reported() {
        // No launcher keeps running; only a stalled machine reaches this.
        let limit = Duration::from_mins(5);
        let launch = |command| run_launcher(command, limit);
        assert_eq!(launch(Command::new("true")), Ok(()));
        assert_eq!(
            launch(Command::new("false")),
            Err("false failed (code 1).".into())
        );
        assert!(
            launch(Command::new("no-such-program-here"))
                .unwrap_err()
                .contains("Cannot start")
        );
    }
}
