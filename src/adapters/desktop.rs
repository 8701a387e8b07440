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
    download::Reach,
    helper::{self, Programs},
    surroundings::{has_display, is_set},
};
use crate::{
    domain::{
        link::VideoUrl,
        time::{Mono, Now},
    },
    ports::{Clock, Opener},
};

/// How long a launcher is given to fail; one that still runs by then has opened something.
const LAUNCH: Duration = Duration::from_millis(1500);

/// The clock for schedules: one that cannot be set and counts a sleep of the machine. Linux's monotonic clock, which
/// `Instant` reads too, stands still then; that of the other systems does not.
#[cfg(any(target_os = "linux", target_os = "android"))]
const STEADY: ClockId = ClockId::Boottime;
/// See above.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const STEADY: ClockId = ClockId::Monotonic;

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
        let time = clock_gettime(STEADY);
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

/// Starts the user's browser: the one of the settings first, then `$BROWSER`, then what the desktop offers.
#[derive(Debug, Clone)]
pub struct Browser {
    chosen: Vec<String>,
    programs: Programs,
    reach: Reach,
}

impl Browser {
    /// Returns a starter for the command line of the settings, an empty one leaving the choice to the system, that is
    /// sent no nearer than `reach`.
    pub fn new(chosen: Vec<String>, reach: Reach) -> Self {
        Self {
            chosen,
            programs: Programs::of_path(),
            reach,
        }
    }

    /// Returns how near its links may lead.
    pub(super) const fn reach(&self) -> Reach {
        self.reach
    }

    /// Returns the commands worth trying, in their order; of the desktop's none where no window has anywhere to appear.
    fn launchers(&self, own: &str, link: &str, has_display: bool) -> Vec<Command> {
        let chosen = named(self.chosen.iter().map(String::as_str), link);
        let named_there = own
            .split(':')
            .filter_map(|entry| named(entry.split_whitespace(), link));
        let mut launchers: Vec<_> = chosen.into_iter().chain(named_there).collect();
        if has_display {
            launchers.extend(open::commands(link));
        }
        launchers
    }
}

impl Opener for Browser {
    fn open(&self, url: &VideoUrl) -> Result<(), String> {
        if !self.reach.may_open(url) {
            let host = url.host();
            return Err(format!(
                "The link leads to this machine ({host}), where the API is not: it is not followed."
            ));
        }
        self.start(url.as_str())
    }

    fn open_file(&self, file: &Path) -> Result<(), String> {
        let file = OwnFile::video(file).ok_or("The saved file is no video by its name.")?;
        self.show(&file)
    }
}

impl Browser {
    /// Opens a file that we wrote ourselves.
    pub(super) fn show(&self, file: &OwnFile) -> Result<(), String> {
        self.start(file.0.as_str())
    }

    fn start(&self, link: &str) -> Result<(), String> {
        let own = env::var("BROWSER").unwrap_or_default();
        let launchers = self.launchers(&own, link, has_display(is_set));
        let mut reason = "There is no display here to start a browser on.".to_owned();
        for mut launcher in launchers {
            self.programs.tame(&mut launcher);
            match launch(launcher, LAUNCH) {
                Ok(()) => return Ok(()),
                Err(why) => reason = why,
            }
        }
        Err(reason)
    }
}

/// Is a page or a video on this disk that we wrote ourselves: no other `file:` link is ever opened.
///
/// Links of the API are [`VideoUrl`]s, which cannot be one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OwnFile(Url);

impl OwnFile {
    /// Names a file of ours by its whole path; nothing when the path is not whole.
    pub(super) fn at(path: &Path) -> Option<Self> {
        Url::from_file_path(path).ok().map(Self)
    }

    /// Names a video that was saved; nothing when its name has no ending that we give: the system starts programs by it.
    fn video(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?;
        matches!(ending, "mp4" | "mov" | "webm").then(|| Self::at(path))?
    }
}

/// Reads the words of a command line without a shell, `%s` or the end taking the link.
fn named<'a>(mut words: impl Iterator<Item = &'a str>, link: &str) -> Option<Command> {
    let mut command = Command::new(words.next()?);
    let mut is_placed = false;
    for word in words {
        is_placed |= word.contains("%s");
        command.arg(word.replace("%s", link));
    }
    if !is_placed {
        command.arg(link);
    }
    Some(command)
}

/// Starts a launcher and waits up to `limit` for it to fail.
fn launch(mut command: Command, limit: Duration) -> Result<(), String> {
    let name = helper::name(&command);
    let child = command
        .spawn()
        .map_err(|error| format!("{name} cannot be started: {error}."))?;
    match ended(child, limit) {
        Some(status) if !status.success() => Err(helper::failed(&name, status)),
        _ => Ok(()),
    }
}

/// Returns how a child ended that ends soon; one that lives on beyond `limit` is waited for on a thread, so that no zombie stays.
fn ended(mut child: Child, limit: Duration) -> Option<ExitStatus> {
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
    use super::*;

    fn line(command: &Command) -> Vec<String> {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        words
            .map(|word| word.to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn a_browser_line_takes_the_link_without_a_shell() {
        let link = "https://ex.com/a?b=$(id)&c";

        assert_eq!(
            line(&named(["firefox"].into_iter(), link).unwrap()),
            ["firefox", link]
        );
        assert_eq!(
            line(&named("run --url=%s -x".split(' '), link).unwrap()),
            ["run", &format!("--url={link}"), "-x"]
        );
        assert!(named(std::iter::empty(), link).is_none());
    }

    #[test]
    fn the_settings_come_before_the_variable_and_both_before_the_desktop() {
        let browser = Browser::new(vec!["mine".into(), "--new".into()], Reach::Public);
        let names = |display| {
            let launchers = browser.launchers("first:second %s", "https://ex.com/", display);
            launchers.iter().map(helper::name).collect::<Vec<_>>()
        };

        assert_eq!(names(false), ["mine", "first", "second"]);
        assert_eq!(names(true).get(..3), Some(&names(false)[..]));
        assert!(names(true).len() > 3);
        assert!(
            Browser::new(Vec::new(), Reach::Public)
                .launchers("", "https://ex.com/", false)
                .is_empty()
        );
    }

    // F67
    #[test]
    fn a_link_to_this_machine_is_for_an_api_on_it_alone() {
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
            assert_eq!(link.is_on_this_machine(), is_here, "{link:?}");
            assert_eq!(Reach::Public.may_open(&link), !is_here, "{link:?}");
            assert!(Reach::ThisMachine.may_open(&link), "{link:?}");
            if is_here {
                let opened = Browser::new(Vec::new(), Reach::Public).open(&link);
                let why = opened.unwrap_err();
                assert!(why.contains("leads to this machine"), "{why}");
            }
        }
    }

    #[test]
    fn only_videos_of_this_disk_are_opened_as_files() {
        let link = |path: &str| OwnFile::video(Path::new(path)).map(|file| file.0.to_string());

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
    fn a_launcher_that_fails_says_so() {
        // None of them lives on, so only a machine that stands still reaches this.
        let limit = Duration::from_mins(5);
        let launch = |command| launch(command, limit);
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
