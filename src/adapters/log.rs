//! The log file: one line an event, safe to look at in a terminal, and without what links carry behind their `?`.
//!
//! Knows nothing of what is logged. Whoever reads the file reads what servers and libraries said, so each line is
//! cleaned like any other text from outside.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
    sync::Arc,
};

use tracing::Level;
use tracing_subscriber::fmt::MakeWriter;

use crate::domain::text::CleanText;

/// A log longer than this is begun anew, with the old one kept beside it, in bytes.
const LONGEST_LOG: u64 = 4 * 1024 * 1024;

/// The longest line, in bytes.
const LONGEST_LINE: usize = 16 * 1024;

/// Begins the log: everything said from now on at that level or a graver one goes to the file.
///
/// The file is readable by its owner alone. Fails when it cannot be opened, or when there is a log already.
pub fn start(file: &Path, level: Level) -> io::Result<()> {
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(level)
        .with_writer(LogFile(Arc::new(open(file)?)))
        .try_init()
        .map_err(io::Error::other)
}

fn open(file: &Path) -> io::Result<File> {
    file.parent().map_or(Ok(()), fs::create_dir_all)?;
    if fs::metadata(file).is_ok_and(|log| log.len() > LONGEST_LOG) {
        fs::rename(file, file.with_extension("log.1"))?;
    }
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(file)
}

/// Is a file that takes events; each comes in one piece.
#[derive(Debug, Clone)]
struct LogFile(Arc<File>);

impl MakeWriter<'_> for LogFile {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

impl Write for LogFile {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let line = line(&String::from_utf8_lossy(event));
        // In one go, so that lines of several instances do not mix.
        (&*self.0).write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns an event as one line that cannot act on a terminal and holds no secret of a link.
fn line(event: &str) -> String {
    let clean = CleanText::line(event, LONGEST_LINE);
    let mut line: String = clean
        .as_str()
        .split_inclusive(ends_word)
        .map(without_secrets)
        .collect();
    line.push('\n');
    line
}

/// Reports whether a link cannot go on after `c`.
fn ends_word(c: char) -> bool {
    c.is_whitespace() || matches!(c, '"' | '\'' | '(' | ')' | '<' | '>' | '`' | ',')
}

/// Returns a word without what a link has behind its `?`, and without its user and password.
fn without_secrets(word: &str) -> String {
    let link = word.trim_end_matches(ends_word);
    let end = word.get(link.len()..).unwrap_or_default();
    let (link, query) = match link.split_once('?') {
        // At the end of a question there is nothing to hide.
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
    use crate::domain::text::is_unsafe;

    #[test]
    fn what_links_carry_is_left_out() {
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
            assert_eq!(line(event), expected);
        }
    }

    #[test]
    fn an_event_is_one_safe_line() {
        let all: String = (0..=0x10_ffff).filter_map(char::from_u32).collect();
        for part in all.chars().collect::<Vec<_>>().chunks(1000) {
            let part: String = part.iter().collect();
            let line = line(&format!("a{part}b\n"));
            let (text, end) = line.split_at(line.len() - 1);
            assert_eq!(end, "\n");
            assert_eq!(text.chars().find(|&c| is_unsafe(c)), None);
        }
        assert!(line(&"x".repeat(1 << 20)).len() <= LONGEST_LINE + 1);
    }

    #[test]
    fn a_long_log_is_put_aside_once() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state/kietop.log");

        let mut log = LogFile(Arc::new(open(&file).unwrap()));
        log.write_all(b"one \x1b[2J \xff\n").unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "one ␛[2J \u{fffd}\n");
        File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_len(LONGEST_LOG + 1)
            .unwrap();
        LogFile(Arc::new(open(&file).unwrap()))
            .write_all(b"two\n")
            .unwrap();

        assert_eq!(fs::read_to_string(&file).unwrap(), "two\n");
        assert!(file.with_extension("log.1").exists());
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions())
                & 0o777,
            0o600
        );
    }
}
