//! The log file: one line for each event, without the query strings of links.
//!
//! Events contain texts of servers and libraries, so each line is sanitised like any text from
//! outside.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use super::regular_file::{self, Symlinks};
use crate::domain::text::CleanText;

/// The log is rotated beyond this length, in bytes.
const MAX_LOG_LEN: u64 = 4 * 1024 * 1024;

/// The longest line, in bytes.
const MAX_LINE_LEN: usize = 16 * 1024;

/// Starts logging events at `level` or above to a file.
///
/// The file and its folder are private. Fails if the file cannot be opened or a log was started
/// before.
pub fn start(file: &Path, level: Level) -> io::Result<()> {
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(level)
        .with_writer(LogWriter(Arc::new(RotatingLog::open(file)?)))
        .try_init()
        .map_err(io::Error::other)
}

/// An open log file.
#[derive(Debug)]
struct RotatingLog {
    file: File,
    path: PathBuf,
    /// Whether a thread is rotating the log.
    is_rotating: AtomicBool,
}

impl RotatingLog {
    fn open(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        let mut append = OpenOptions::new();
        append.create(true).append(true).mode(0o600);
        let file = regular_file::open(path, &mut append, Symlinks::Refuse)?;
        // The mode above applies to a new file only.
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
        Ok(Self {
            file,
            path: path.to_owned(),
            is_rotating: AtomicBool::new(false),
        })
    }

    /// Copies a log that is too long to `.log.1`, and truncates it.
    ///
    /// It is not renamed, because other processes have it open and would continue to write to the
    /// renamed file. Their events count too, so the length comes from the file system.
    fn rotate(&self) -> io::Result<()> {
        if self.file.metadata()?.len() <= MAX_LOG_LEN
            || self.is_rotating.swap(true, Ordering::SeqCst)
        {
            return Ok(());
        }
        let result = self.copy_and_truncate();
        self.is_rotating.store(false, Ordering::SeqCst);
        result
    }

    fn copy_and_truncate(&self) -> io::Result<()> {
        // Another process is rotating it.
        if self.file.try_lock().is_err() {
            return Ok(());
        }
        let result = self.file.metadata().and_then(|meta| {
            if meta.len() > MAX_LOG_LEN {
                copy_log(&self.path, &self.path.with_extension("log.1"))?;
                self.file.set_len(0)?;
            }
            Ok(())
        });
        self.file.unlock().and(result)
    }
}

/// Copies a log over its older copy; both must be regular files.
fn copy_log(from: &Path, to: &Path) -> io::Result<()> {
    let mut from = regular_file::open(from, OpenOptions::new().read(true), Symlinks::Refuse)?;
    let mut write = OpenOptions::new();
    write.create(true).write(true).truncate(true).mode(0o600);
    let mut to = regular_file::open(to, &mut write, Symlinks::Refuse)?;
    io::copy(&mut from, &mut to).map(drop)
}

/// The writer of events; each `write` is one event.
#[derive(Debug, Clone)]
struct LogWriter(Arc<RotatingLog>);

impl MakeWriter<'_> for LogWriter {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Write for LogWriter {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        // A log that cannot be rotated is better than none.
        self.0.rotate().unwrap_or_default();
        let line = sanitize_event(&String::from_utf8_lossy(event));
        // In one call, so that lines of several processes do not mix.
        (&self.0.file).write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Formats an event as one sanitised line, with the secrets of links removed.
fn sanitize_event(event: &str) -> String {
    let clean = CleanText::line(event, MAX_LINE_LEN);
    let mut line: String = clean
        .as_str()
        .split_inclusive(is_word_end)
        .map(without_secrets)
        .collect();
    line.push('\n');
    line
}

/// Returns whether `c` ends a link.
fn is_word_end(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '(' | ')' | '<' | '>' | '`' | ',')
}

/// Removes the query string, the user and the password of a link.
fn without_secrets(word: &str) -> String {
    let link = word.trim_end_matches(is_word_end);
    let end = word.get(link.len()..).unwrap_or_default();
    let (link, query) = match link.split_once('?') {
        // A `?` at the end of a sentence.
        Some((link, query)) if !query.is_empty() => (link, "?…"),
        _ => (link, ""),
    };
    let user = link.split_once("://").and_then(|(scheme, rest)| {
        let host = rest.split('/').next()?;
        let (user, _) = host.rsplit_once('@')?;
        Some((scheme, rest.get(user.len()..)?))
    });
    match user {
        Some((scheme, rest)) => format!("{scheme}://…{rest}{query}{end}"),
        None => format!("{link}{query}{end}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::regular_file::test_support::make_fifo;

    #[test]
    fn link_queries_are_not_logged() {
        let table = [
            (
                "get https://ex.com/a?sig=1&b=2 failed",
                "get https://ex.com/a?… failed\n",
            ),
            (
                "url=\"https://ex.com/?k=v#x\" (https://ex.com/b?c)",
                "url=\"https://ex.com/?…\" (https://ex.com/b?…)\n",
            ),
            ("https://user:pass@ex.com:1/x", "https://…@ex.com:1/x\n"),
            (
                "via http://user:p@ss@proxy:3128",
                "via http://…@proxy:3128\n",
            ),
            ("GET /api/v1?taskId=1 HTTP/1.1", "GET /api/v1?… HTTP/1.1\n"),
            ("really? yes", "really? yes\n"),
            ("mail me@ex.com", "mail me@ex.com\n"),
        ];
        for (event, expected) in table {
            assert_eq!(sanitize_event(event), expected);
        }
    }

    #[test]
    fn events_are_single_capped_lines() {
        assert_eq!(sanitize_event("a\nb\n"), "a b\n");
        assert!(sanitize_event(&"x".repeat(1 << 20)).len() <= MAX_LINE_LEN + 1);
    }

    #[test]
    fn only_regular_files_are_log_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        make_fifo(&path("fifo"));
        std::os::unix::fs::symlink("/dev/null", path("link")).unwrap();
        for name in ["fifo", "link"] {
            assert!(RotatingLog::open(&path(name)).is_err(), "{name}");
        }

        // The path of the copy may be anything too.
        fs::write(path("kietop.log"), "x").unwrap();
        make_fifo(&path("kietop.log.1"));
        assert!(copy_log(&path("kietop.log"), &path("kietop.log.1")).is_err());
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_long_log_is_rotated_while_written() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state/kietop.log");
        let copy = file.with_extension("log.1");

        let mut log = LogWriter(Arc::new(RotatingLog::open(&file).unwrap()));
        let mut other = LogWriter(Arc::new(RotatingLog::open(&file).unwrap()));
        log.write_all(b"one \x1b[2J \xff\n").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "one ␛[2J \u{fffd}\n");
        let line = "x".repeat(MAX_LINE_LEN);
        for _ in 0..3 * MAX_LOG_LEN / 2 / u64::try_from(MAX_LINE_LEN).unwrap() {
            log.write_all(line.as_bytes()).unwrap();
        }

        let max_len = MAX_LOG_LEN + 2 * u64::try_from(MAX_LINE_LEN).unwrap();
        assert!(fs::metadata(&file).unwrap().len() < MAX_LOG_LEN);
        assert!((MAX_LOG_LEN..max_len).contains(&fs::metadata(&copy).unwrap().len()));
        other.write_all(b"two\n").unwrap();
        assert!(fs::read_to_string(&file).unwrap().ends_with("two\n"));
    }

    #[test]
    fn the_log_file_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state/kietop.log");
        RotatingLog::open(&file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();

        RotatingLog::open(&file).unwrap();

        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(file.parent().unwrap()), 0o700);
    }
}
