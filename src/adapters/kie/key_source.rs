//! Where the key comes from: given, from a command's output, from a file; and how a stored one is read.
//!
//! What is read is never repeated, neither in an error nor in the log; nor is what a command says of itself.

use std::{
    fmt,
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::AsyncReadExt as _,
    process::{Child, Command},
    task, time,
};

use super::{ApiKey, ApiOrigin};
use crate::{
    adapters::helper::SECRETS,
    domain::{report::PollError, text::CleanText},
};

/// How long a command may take to say the key: some ask a person first.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most read of a key file or a command's first line, in bytes: far more than a key.
const MOST: u64 = 8 * 1024;

/// The longest reason shown, in bytes.
const REASON: usize = 300;

/// Is where a key is kept outside of the environment.
///
/// Neither `Debug` nor an error repeats command or path: some put the key itself there by mistake.
#[derive(Clone, PartialEq, Eq)]
pub enum StoredKey {
    /// A command line; the key is the first line it prints.
    Command(Vec<String>),
    /// A file that nobody else may read.
    File(PathBuf),
    /// It is kept for another address than the one that is asked, so it is not read at all.
    Elsewhere {
        /// Where it may go.
        belongs_to: ApiOrigin,
        /// Where it may not.
        asked: ApiOrigin,
    },
}

impl fmt::Debug for StoredKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Command(_) => "Command(…)",
            Self::File(_) => "File(…)",
            Self::Elsewhere { .. } => "Elsewhere(…)",
        })
    }
}

/// Is where a client's key comes from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// There is none.
    None,
    /// It was given.
    Given(ApiKey),
    /// It is read at the first question.
    Stored(StoredKey),
}

impl From<Option<ApiKey>> for KeySource {
    fn from(key: Option<ApiKey>) -> Self {
        key.map_or(Self::None, Self::Given)
    }
}

impl KeySource {
    /// Returns the key, read where it is kept; ends within ten seconds.
    pub async fn read(&self) -> Result<ApiKey, PollError> {
        match self {
            Self::None => Err(PollError::NoKey),
            Self::Given(key) => Ok(key.clone()),
            Self::Stored(stored) => stored.read().await.map_err(|reason| {
                let reason = CleanText::line(&reason, REASON);
                tracing::warn!(%reason, "the key cannot be read");
                PollError::KeyUnread(reason)
            }),
        }
    }
}

impl StoredKey {
    async fn read(&self) -> Result<ApiKey, String> {
        match self {
            Self::Command(words) => {
                let line = first_line(words)
                    .await
                    .map_err(|reason| format!("key_command {reason}"))?;
                parse(&line).map_err(|reason| format!("key_command: {reason}"))
            }
            Self::File(file) => {
                let path = file.clone();
                let text = task::spawn_blocking(move || private_text(&path)).await;
                let text = text.unwrap_or_else(|_| Err("cannot be read".to_owned()));
                text.and_then(|text| parse(&text).map_err(|reason| format!("is no key: {reason}")))
                    .map_err(|reason| format!("key_file {reason}"))
            }
            Self::Elsewhere { belongs_to, asked } => Err(format!(
                "the stored key is for {belongs_to} and does not go to {asked}"
            )),
        }
    }
}

fn parse(bytes: &[u8]) -> Result<ApiKey, String> {
    let text = std::str::from_utf8(bytes).map_err(|_not_utf8| "the key is no text".to_owned())?;
    ApiKey::parse(text).map_err(|error| error.to_string())
}

/// Runs a command in a group of its own, without our secrets, terminal or ears, and returns its first line.
async fn first_line(words: &[String]) -> Result<Vec<u8>, String> {
    let Some((program, arguments)) = words.split_first() else {
        return Err("names no program".to_owned());
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    for secret in SECRETS {
        command.env_remove(secret);
    }
    let mut child = command
        .spawn()
        .map_err(|error| format!("cannot be started: {error}"))?;
    let group = Group::of(&child);
    let outcome = time::timeout(PATIENCE, output(&mut child)).await;
    drop(group);
    match outcome {
        Ok(line) => line,
        Err(_elapsed) => Err(format!("said nothing within {}s", PATIENCE.as_secs())),
    }
}

async fn output(child: &mut Child) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    if let Some(out) = child.stdout.take() {
        let read = out.take(MOST).read_to_end(&mut bytes).await;
        read.map_err(|error| format!("cannot be heard: {error}"))?;
    }
    let status = child
        .wait()
        .await
        .map_err(|error| format!("cannot be waited for: {error}"))?;
    if !status.success() {
        return Err(format!("failed ({status})"));
    }
    let line = bytes.split(|byte| *byte == b'\n').next();
    Ok(line.unwrap_or_default().to_vec())
}

/// Ends a command's whole group when it is dropped: a shell's children would go on otherwise.
struct Group(Option<rustix::process::Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(rustix::process::Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It has usually ended by itself.
            rustix::process::kill_process_group(group, rustix::process::Signal::KILL)
                .unwrap_or_default();
        }
    }
}

/// Reads a file that must be the user's alone.
fn private_text(path: &Path) -> Result<Vec<u8>, String> {
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
    let unread = |error: std::io::Error| format!("cannot be read: {error}");
    let file = File::options()
        .read(true)
        // A pipe without a writer would hold us for ever.
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(unread)?;
    let meta = file.metadata().map_err(unread)?;
    if !meta.is_file() {
        return Err("is no file".to_owned());
    }
    if meta.mode() & 0o077 != 0 {
        return Err("can be read by others: chmod 600 it".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes).map_err(unread)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;

    fn command(words: &[&str]) -> KeySource {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        KeySource::Stored(StoredKey::Command(words))
    }

    async fn reason(source: &KeySource) -> String {
        match source.read().await {
            Err(PollError::KeyUnread(reason)) => reason.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_first_line_of_a_command_is_the_key() {
        let source = command(&["printf", "\u{feff}canary-one\\r\\nlogin: me\\n"]);
        assert_eq!(source.read().await.unwrap().expose(), "canary-one");
    }

    #[tokio::test]
    async fn a_failing_command_is_named_and_nothing_of_its_output() {
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
            (
                command(&["/nowhere/at-all"]),
                "key_command cannot be started: No such file or directory (os error 2)",
            ),
        ];
        for (source, expected) in table {
            assert_eq!(reason(&source).await, expected);
        }
    }

    #[tokio::test]
    async fn a_command_does_not_see_our_own_key_nor_our_terminal() {
        let source = command(&["sh", "-c", "env | grep -c KIE_API_KEY; read line"]);
        assert_eq!(reason(&source).await, "key_command failed (exit status: 1)");
    }

    #[tokio::test(start_paused = true)]
    async fn a_command_that_hangs_is_ended_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("child");
        let script = format!("sleep 600 & echo $! > {}; wait", mark.display());
        let source = command(&["sh", "-c", &script]);
        assert_eq!(reason(&source).await, "key_command said nothing within 10s");
    }

    #[tokio::test]
    async fn a_key_file_is_for_its_owner_alone() {
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
                reason.ends_with("can be read by others: chmod 600 it"),
                "{reason}"
            );
        }
        let folder = KeySource::Stored(StoredKey::File(folder.path().to_owned()));
        assert!(reason(&folder).await.ends_with("is no file"));
    }

    #[tokio::test]
    async fn a_key_written_in_the_wrong_place_is_not_repeated() {
        let words = vec!["canary-three".to_owned()];
        let path = PathBuf::from("/nowhere/canary-three");
        for stored in [StoredKey::Command(words), StoredKey::File(path)] {
            let debug = format!("{stored:?}");
            let reason = reason(&KeySource::Stored(stored)).await;
            assert!(!format!("{debug} {reason}").contains("canary"), "{reason}");
        }
    }

    #[tokio::test]
    async fn a_key_of_another_address_is_not_read() {
        let source = KeySource::Stored(StoredKey::Elsewhere {
            belongs_to: ApiOrigin::default(),
            asked: ApiOrigin::parse("https://else.example").unwrap(),
        });
        assert_eq!(
            reason(&source).await,
            "the stored key is for https://api.kie.ai and does not go to https://else.example"
        );
    }
}
