//! The machine around us: its clocks and its browser. Knows no screen and no network of ours.

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
    download::AllowedHosts,
    environment::{has_display, is_variable_set},
};
use crate::{
    domain::{
        link::VideoUrl,
        time::{Mono, Now},
    },
    ports::{Clock, VideoOpener},
};

mod browser_variable;

/// How long a launcher is given to fail; one that still runs by then has opened something.
const LAUNCH_TIMEOUT: Duration = Duration::from_millis(1500);

/// The clock for schedules: one that cannot be set and counts a sleep of the machine. Linux's
/// monotonic clock, which `Instant` reads too, stands still then; that of the other systems does
/// not.
#[cfg(any(target_os = "linux", target_os = "android"))]
const SCHEDULE_CLOCK: ClockId = ClockId::Boottime;
/// See above.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const SCHEDULE_CLOCK: ClockId = ClockId::Monotonic;

/// Reads the system's clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    started: Mono,
}

impl SystemClock {
    /// Returns a clock whose monotonic side starts now.
    pub fn start() -> Self {
        Self {
            started: Self::since_boot(),
        }
    }

    /// Returns the time of day.
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one adapter that reads the clocks"
    )]
    pub fn wall() -> Timestamp {
        Timestamp::now()
    }

    /// Returns the time since the host's start, the same for all its programs.
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

/// Starts the user's browser: the `browser` setting, else `$BROWSER`, else the desktop's default.
#[derive(Debug, Clone)]
pub struct Browser {
    configured_command: Vec<String>,
    search_path: SearchPath,
    allowed_hosts: AllowedHosts,
}

impl Browser {
    /// Returns a starter for the command line of the settings, an empty one leaving the choice to
    /// the system, that is sent no nearer than `reach`.
    pub fn new(chosen: Vec<String>, reach: AllowedHosts) -> Self {
        Self {
            configured_command: chosen,
            search_path: SearchPath::from_env(),
            allowed_hosts: reach,
        }
    }

    /// Returns how near its links may lead.
    pub(super) const fn allowed_hosts(&self) -> AllowedHosts {
        self.allowed_hosts
    }

    /// Returns the setting or variable that names the browser, and the commands to try, in order.
    ///
    /// A named browser that cannot be started is an error: no other is started in its place.
    /// Without a display there is no desktop default.
    fn launch_commands(
        &self,
        own: &str,
        link: &str,
        has_display: bool,
    ) -> Result<(&'static str, Vec<Command>), String> {
        let (source, lines) = if !self.configured_command.is_empty() {
            ("The setting browser", vec![self.configured_command.clone()])
        } else if !own.trim().is_empty() {
            let lines = browser_variable::parse(own, &self.search_path);
            ("BROWSER", lines.map_err(|why| format!("BROWSER: {why}."))?)
        } else if has_display {
            return Ok(("", open::commands(link)));
        } else {
            return Err("There is no display here to start a browser on.".to_owned());
        };
        let mut missing = "it names no program".to_owned();
        let mut launchers = Vec::new();
        for line in &lines {
            let program = line.first().map_or("", String::as_str);
            match self.search_path.find(program) {
                Some(found) => launchers.push(launch_command(&found, line.get(1..), link)),
                None => {
                    missing = format!("no program {program} in PATH; give an absolute path");
                }
            }
        }
        if launchers.is_empty() {
            return Err(format!("{source}: {missing}."));
        }
        Ok((source, launchers))
    }
}

impl VideoOpener for Browser {
    fn open(&self, url: &VideoUrl) -> Result<(), String> {
        if !self.allowed_hosts.allows_in_browser(url) {
            let host = url.host();
            return Err(format!(
                "The link leads to this machine ({host}), where the API is not: it is not followed."
            ));
        }
        self.open_link(url.as_str())
    }

    fn open_file(&self, file: &Path) -> Result<(), String> {
        let file = OwnFile::saved_video(file).ok_or("The saved file is no video by its name.")?;
        self.open_own_file(&file)
    }
}

impl Browser {
    /// Opens a file that we wrote ourselves.
    pub(super) fn open_own_file(&self, file: &OwnFile) -> Result<(), String> {
        self.open_link(file.0.as_str())
    }

    fn open_link(&self, link: &str) -> Result<(), String> {
        let own = env::var_os("BROWSER").unwrap_or_default();
        let has_display = has_display(is_variable_set);
        let (source, launchers) =
            self.launch_commands(&own.to_string_lossy(), link, has_display)?;
        let mut reason = String::new();
        for mut launcher in launchers {
            self.search_path.sandbox(&mut launcher);
            match run_launcher(launcher, LAUNCH_TIMEOUT) {
                Ok(()) => return Ok(()),
                Err(why) if source.is_empty() => reason = why,
                Err(why) => reason = format!("{source}: {why}"),
            }
        }
        Err(reason)
    }
}

/// A page or a video on this disk that we wrote ourselves: no other `file:` link is ever opened.
///
/// Links of the API are [`VideoUrl`]s, which cannot be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnFile(Url);

impl OwnFile {
    /// Names a file of ours by its whole path; nothing when the path is not whole.
    pub(super) fn new(path: &Path) -> Option<Self> {
        Url::from_file_path(path).ok().map(Self)
    }

    /// Names a video that was saved; nothing when its name has no ending that we give: the system
    /// starts programs by it.
    fn saved_video(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?;
        matches!(ending, "mp4" | "mov" | "webm").then(|| Self::new(path))?
    }
}

/// Returns a command that opens a link: `%s` is replaced by it, else it is the last argument.
fn launch_command(program: &Path, arguments: Option<&[String]>, link: &str) -> Command {
    let mut command = Command::new(program);
    let mut is_placed = false;
    for word in arguments.unwrap_or_default() {
        is_placed |= word.contains("%s");
        command.arg(word.replace("%s", link));
    }
    if !is_placed {
        command.arg(link);
    }
    command
}

/// Starts a launcher and waits up to `limit` for it to fail.
fn run_launcher(mut command: Command, limit: Duration) -> Result<(), String> {
    let name = command::program_name(&command);
    let child = command
        .spawn()
        .map_err(|error| format!("{name} cannot be started: {error}."))?;
    match wait_briefly(child, limit) {
        Some(status) if !status.success() => Err(command::describe_failure(&name, status)),
        _ => Ok(()),
    }
}

/// Returns how a child ended that ends soon; one that lives on beyond `limit` is waited for on a
/// thread, so that no zombie stays.
fn wait_briefly(mut child: Child, limit: Duration) -> Option<ExitStatus> {
    let (tell, told) = mpsc::channel();
    let reaper = thread::Builder::new()
        .name("browser".into())
        .spawn(move || {
            if let Ok(status) = child.wait() {
                // Nobody listens once the launcher was taken for a success.
                tell.send(status).unwrap_or_default();
            }
        });
    reaper.ok().and_then(|_| told.recv_timeout(limit).ok())
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

    /// Returns a browser whose `PATH` holds only these programs, and their folder.
    fn browser(chosen: &[&str], programs: &[&str]) -> (Browser, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        for name in programs {
            let file = folder.path().join(name);
            std::fs::write(&file, "").unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o700)).unwrap();
        }
        let browser = Browser {
            search_path: SearchPath::parse(folder.path().as_os_str()),
            ..Browser::new(
                chosen.iter().map(ToString::to_string).collect(),
                AllowedHosts::PublicOnly,
            )
        };
        (browser, folder)
    }

    #[test]
    fn browser_command_gets_the_link_without_a_shell() {
        let link = "https://ex.com/a?b=$(id)&c";
        let started = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(ToString::to_string).collect();
            line(&launch_command(Path::new("/bin/fox"), Some(&words), link))
        };

        assert_eq!(started(&[]), ["/bin/fox", link]);
        assert_eq!(
            started(&["--url=%s", "-x"]),
            ["/bin/fox", &format!("--url={link}"), "-x"]
        );
    }

    #[test]
    fn browser_setting_precedes_variable_and_desktop() {
        let names = |chosen: &[&str], own, has_display| {
            let (browser, _folder) = browser(chosen, &["mine", "first", "second"]);
            let found = browser.launch_commands(own, "https://ex.com/", has_display);
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
            let own = names(&[], "first:none:'second' %s", has_display);
            assert_eq!(own, ("BROWSER", "first second".into()));
        }
        for unset in ["", " \n"] {
            assert!(names(&[], unset, true).1.starts_with("xdg-open") || cfg!(target_os = "macos"));
        }
    }

    #[test]
    fn an_unusable_browser_setting_is_an_error() {
        let why = |chosen: &[&str], own| {
            let (browser, _folder) = browser(chosen, &["first"]);
            browser
                .launch_commands(own, "https://ex.com/", true)
                .unwrap_err()
        };

        for (own, expected) in [
            ("nope", "BROWSER: no program nope in PATH"),
            (
                "/c/Program Files/fox",
                "BROWSER: no program /c/Program in PATH",
            ),
            ("./first", "BROWSER: no program ./first in PATH"),
            ("'first", "BROWSER: a quote is not closed."),
            (":", "BROWSER: it names no program."),
            ("~root/fox", "BROWSER: ~ works for your own home only"),
        ] {
            assert!(why(&[], own).starts_with(expected), "{}", why(&[], own));
        }
        let chosen = why(&["nope"], "first");
        assert!(
            chosen.starts_with("The setting browser: no program nope"),
            "{chosen}"
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
        for (link, is_here) in table {
            let link = VideoUrl::parse(link).unwrap();
            assert_eq!(link.is_loopback(), is_here, "{link:?}");
            assert_eq!(
                AllowedHosts::PublicOnly.allows_in_browser(&link),
                !is_here,
                "{link:?}"
            );
            assert!(
                AllowedHosts::PublicAndLoopback.allows_in_browser(&link),
                "{link:?}"
            );
            if is_here {
                let opened = Browser::new(Vec::new(), AllowedHosts::PublicOnly).open(&link);
                let why = opened.unwrap_err();
                assert!(why.contains("leads to this machine"), "{why}");
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
        // None of them lives on, so only a machine that stands still reaches this.
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
                .contains("cannot be started")
        );
    }
}
