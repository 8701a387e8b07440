//! Sources of the API key: given directly, the output of a command, or a file.
//!
//! Neither errors nor the log quote the file's content or the command's output.

use std::{fmt, fs::File, io::Read as _, path::Path, process::Stdio, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::Child,
    sync::{Mutex, OnceCell},
    task, time,
};

use super::key::ApiKey;
use crate::{
    adapters::{
        command::{ProcessGroup, SearchPath},
        regular_file::{self, Symlinks},
    },
    domain::{
        id_extract::KnownSecrets, poll_result::PollError, stored_key::StoredKey, text::CleanText,
    },
};

/// The time for a command to print the key: some ask a person first.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// The time for a command to exit after its first line. A failed exit means that the line is not a
/// key. If the command keeps running, the line counts.
const EXIT_TIMEOUT: Duration = Duration::from_secs(2);

/// The most read from a key file or a command's first line, in bytes: far more than a key.
const MAX_READ_LEN: u64 = 8 * 1024;

const MAX_REASON_LEN: usize = 300;

/// The source of a client's key.
#[derive(Debug, Clone)]
pub enum KeySource {
    None,
    Given(ApiKey),
    /// Read for the first request.
    Stored(StoredKey),
}

impl From<Option<ApiKey>> for KeySource {
    fn from(key: Option<ApiKey>) -> Self {
        key.map_or(Self::None, Self::Given)
    }
}

impl KeySource {
    /// Returns the key if it can be read without running a command.
    pub fn read_without_command(&self) -> Option<ApiKey> {
        match self {
            Self::Given(key) => Some(key.clone()),
            Self::Stored(StoredKey::File(file)) => parse_key(&read_private_file(file).ok()?).ok(),
            Self::None | Self::Stored(StoredKey::Command(_) | StoredKey::OtherOrigin { .. }) => {
                None
            }
        }
    }

    /// Reads the key; takes at most ten seconds.
    pub async fn read(&self) -> Result<ApiKey, PollError> {
        match self {
            Self::None => Err(PollError::NoKey),
            Self::Given(key) => Ok(key.clone()),
            Self::Stored(stored) => read_stored(stored).await.map_err(|reason| {
                let reason = CleanText::line(&reason, MAX_REASON_LEN);
                tracing::warn!(%reason, "the key cannot be read");
                PollError::KeyUnreadable(reason)
            }),
        }
    }
}

/// A key that is read for the first request; concurrent requests wait for the same read.
pub(super) struct CachedKey {
    source: KeySource,
    current: Mutex<Arc<OnceCell<Result<ApiKey, PollError>>>>,
}

impl CachedKey {
    pub(super) fn new(source: KeySource) -> Self {
        Self {
            source,
            current: Mutex::default(),
        }
    }

    /// Runs a request with the key. After an unreadable or refused key, the next request reads it
    /// again.
    pub(super) async fn with<T, F: Future<Output = Result<T, PollError>>>(
        &self,
        request: impl FnOnce(ApiKey) -> F,
    ) -> Result<T, PollError> {
        let cell = Arc::clone(&*self.current.lock().await);
        let key = cell.get_or_init(|| self.source.read()).await;
        let result = match key.clone() {
            Ok(key) => request(key).await,
            Err(error) => Err(error),
        };
        if matches!(
            result,
            Err(PollError::Unauthorized(_) | PollError::KeyUnreadable(_))
        ) {
            let mut current = self.current.lock().await;
            // Another request may have replaced it meanwhile.
            if Arc::ptr_eq(&current, &cell) {
                *current = Arc::default();
            }
        }
        result
    }

    /// Returns the spellings of the key, if it has been read.
    pub(super) fn known_spellings(&self) -> KnownSecrets {
        // A key that is being read at this moment is known by the next call.
        let current = self.current.try_lock().ok();
        let key = current.as_ref().and_then(|cell| cell.get()?.as_ref().ok());
        key.map(ApiKey::known_spellings).unwrap_or_default()
    }
}

impl fmt::Debug for CachedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

async fn read_stored(stored: &StoredKey) -> Result<ApiKey, String> {
    match stored {
        StoredKey::Command(command_line) => {
            let line = run_key_command(command_line)
                .await
                .map_err(|reason| format!("key_command {reason}"))?;
            parse_key(&line).map_err(|reason| format!("key_command: {reason}"))
        }
        StoredKey::File(file) => {
            let path = file.clone();
            let text = task::spawn_blocking(move || read_private_file(&path)).await;
            let text = text.unwrap_or_else(|_| Err("cannot be read".to_owned()));
            text.and_then(|text| {
                parse_key(&text).map_err(|reason| format!("has no valid key: {reason}"))
            })
            .map_err(|reason| format!("key_file {reason}"))
        }
        StoredKey::OtherOrigin {
            belongs_to,
            requested,
        } => Err(format!(
            "the stored key is for {belongs_to}, not for {requested}"
        )),
    }
}

fn parse_key(bytes: &[u8]) -> Result<ApiKey, String> {
    let text =
        std::str::from_utf8(bytes).map_err(|_not_utf8| "the key is not valid UTF-8".to_owned())?;
    ApiKey::parse(text).map_err(|error| error.to_string())
}

/// Runs a command in its own process group, without our secrets, and returns its first line.
///
/// Its stdin is empty, and reading from our terminal stops it. It can still write to the terminal.
async fn run_key_command(command_line: &[String]) -> Result<Vec<u8>, String> {
    let Some((name, arguments)) = command_line.split_first() else {
        return Err("is empty".to_owned());
    };
    let programs = SearchPath::from_env();
    let Some(program) = programs.find(name) else {
        return Err(if name.contains('/') && !name.starts_with('/') {
            "needs an absolute path or the name of a program in PATH".to_owned()
        } else {
            "was not found".to_owned()
        });
    };
    let mut command = programs.sandboxed_command(&program);
    command.args(arguments).stdout(Stdio::piped());
    let mut group =
        ProcessGroup::spawn(command).map_err(|error| format!("cannot be started: {error}"))?;
    let outcome = time::timeout(COMMAND_TIMEOUT, read_first_line(&mut group.child)).await;
    // Also what it left in the background.
    group.kill();
    outcome.unwrap_or_else(|_elapsed| {
        let seconds = COMMAND_TIMEOUT.as_secs();
        Err(format!("printed nothing within {seconds}s"))
    })
}

/// Returns the first line of a child's output, without waiting for its children to close the pipe.
async fn read_first_line(child: &mut Child) -> Result<Vec<u8>, String> {
    let mut line = Vec::new();
    let mut out = child
        .stdout
        .take()
        .map(|out| BufReader::new(out.take(MAX_READ_LEN)));
    if let Some(out) = &mut out {
        let read = out.read_until(b'\n', &mut line).await;
        read.map_err(|error| format!("output cannot be read: {error}"))?;
    }
    // `out` stays open: a command that prints more must not fail with a broken pipe.
    match time::timeout(EXIT_TIMEOUT, child.wait()).await {
        Ok(Ok(status)) if !status.success() => Err(format!("failed ({status})")),
        Ok(Ok(_)) | Err(_) => Ok(line),
        Ok(Err(error)) => Err(format!("failed: {error}")),
    }
}

/// Reads a file that only its owner may read.
///
/// Secret stores use symbolic links, so they are followed; the permissions of the opened file
/// count.
fn read_private_file(path: &Path) -> Result<Vec<u8>, String> {
    use std::os::unix::fs::MetadataExt as _;
    let read_error = |error: std::io::Error| format!("cannot be read: {error}");
    let file = regular_file::open(path, File::options().read(true), Symlinks::Follow)
        .map_err(read_error)?;
    let meta = file.metadata().map_err(read_error)?;
    if meta.mode() & 0o077 != 0 {
        return Err("can be read by other users; run chmod 600 on it".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(MAX_READ_LEN)
        .read_to_end(&mut bytes)
        .map_err(read_error)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

    use super::*;
    use crate::adapters::command::test_support::{assert_gone, with_canary_key};
    use crate::domain::api_origin::ApiOrigin;

    fn command(command_line: &[&str]) -> KeySource {
        let command_line = command_line.iter().map(|word| (*word).to_owned()).collect();
        KeySource::Stored(StoredKey::Command(command_line))
    }

    async fn reason(source: &KeySource) -> String {
        match source.read().await {
            Err(PollError::KeyUnreadable(reason)) => reason.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_first_output_line_is_the_key() {
        let source = command(&["printf", "\u{feff}canary-one\\r\\nlogin: me\\n"]);
        assert_eq!(source.read().await.unwrap().expose(), "canary-one");
    }

    #[tokio::test]
    async fn a_failing_key_command_hides_its_output() {
        let shell = |script| command(&["sh", "-c", script]);
        let table = [
            (
                shell("echo canary; echo canary >&2; exit 3"),
                "key_command failed (exit status: 3)",
            ),
            (shell("echo"), "key_command: the key is empty"),
            (
                shell("echo can ary"),
                "key_command: the key has an invalid character at position 4",
            ),
            (command(&["/nowhere/at-all"]), "key_command was not found"),
            (
                command(&["no-such-program-at-all"]),
                "key_command was not found",
            ),
            // It exists, but in the current folder.
            (
                command(&["./Cargo.toml"]),
                "key_command needs an absolute path or the name of a program in PATH",
            ),
            (
                command(&["src/../Cargo.toml"]),
                "key_command needs an absolute path or the name of a program in PATH",
            ),
            (command(&[]), "key_command is empty"),
        ];
        for (source, expected) in table {
            assert_eq!(reason(&source).await, expected);
        }
    }

    #[tokio::test]
    async fn the_key_is_read_before_the_pipe_closes() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("child");
        let child = format!("sleep 600 & echo $! > '{}'", mark.display());
        let scripts = [
            format!("{child}; echo canary-four"),
            format!("{child}; echo canary-four; echo more; wait"),
        ];
        for script in scripts {
            let key = command(&["sh", "-c", &script]).read().await;
            assert_eq!(key.unwrap().expose(), "canary-four");
            assert_gone(&fs::read_to_string(&mark).unwrap());
        }
    }

    #[test]
    fn a_key_command_gets_no_key_and_no_terminal() {
        let test = "adapters::kie::key_source::tests::a_key_command_gets_no_key_and_no_terminal";
        with_canary_key(test, || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let script = "read line; echo \"${KIE_API_KEY-none}:$line:\"";
            let key = runtime.block_on(command(&["sh", "-c", script]).read());
            assert_eq!(key.unwrap().expose(), "none::");
        });
    }

    #[tokio::test(start_paused = true)]
    async fn a_hanging_key_command_is_killed_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("child");
        let script = format!(
            "sleep 600 & echo $! > '{0}.part'; mv '{0}.part' '{0}'; wait",
            mark.display()
        );
        let source = command(&["sh", "-c", &script]);
        let reading = tokio::spawn(async move { reason(&source).await });
        // The clock is paused: wait until the child has started.
        while !mark.exists() {
            task::yield_now().await;
        }
        assert_eq!(
            reading.await.unwrap(),
            "key_command printed nothing within 10s"
        );
        assert_gone(&fs::read_to_string(&mark).unwrap());
    }

    #[tokio::test]
    async fn a_key_file_must_be_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "\u{feff}canary-two\r\n").unwrap();
        let source = KeySource::Stored(StoredKey::File(path.clone()));
        let allow = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();

        allow(0o600);
        assert_eq!(source.read().await.unwrap().expose(), "canary-two");
        for mode in [0o640, 0o604, 0o660] {
            allow(mode);
            let reason = reason(&source).await;
            assert!(
                reason.ends_with("can be read by other users; run chmod 600 on it"),
                "{reason}"
            );
        }
        let folder = KeySource::Stored(StoredKey::File(folder.path().to_owned()));
        assert!(reason(&folder).await.ends_with("not a regular file"));
    }

    #[tokio::test]
    async fn a_misplaced_key_is_not_repeated() {
        let command_line = vec!["canary-three".to_owned()];
        let path = PathBuf::from("/nowhere/canary-three");
        for stored in [StoredKey::Command(command_line), StoredKey::File(path)] {
            let debug = format!("{stored:?}");
            let reason = reason(&KeySource::Stored(stored)).await;
            assert!(!format!("{debug} {reason}").contains("canary"), "{reason}");
        }
    }

    #[tokio::test]
    async fn a_key_for_another_origin_is_not_read() {
        let source = KeySource::Stored(StoredKey::OtherOrigin {
            belongs_to: ApiOrigin::default(),
            requested: ApiOrigin::parse("https://else.example").unwrap(),
        });
        assert_eq!(
            reason(&source).await,
            "the stored key is for https://api.kie.ai, not for https://else.example"
        );
    }
}
