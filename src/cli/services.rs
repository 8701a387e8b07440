//! Where things are: the list file, the log, the key; and what is opened there.

use std::{
    env, fs,
    hash::{BuildHasher as _, RandomState},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use super::{Failure, GlobalArgs, exit, output};
use crate::{
    adapters::{
        desktop::SystemClock,
        download::{self, AllowedHosts, HttpDownloader},
        environment,
        file_limiter::{FileLimiter, limited_client::SharedLimiter},
        input_cache,
        kie::{ApiKey, KeyError, KeySource, KieClient, RequestLimits},
        proxy,
        store::{self, MIN_PREFIX_LEN, Recovery, SqliteStore},
    },
    app::state::ApiKeyStatus,
    config::{
        self, Config, Overrides,
        paths::{self, BaseFolderError},
    },
    domain::{
        id_extract::KnownSecrets,
        list_change::{AccessMode, StoreError},
        path_text::strip_quotes,
        task::TaskId,
        watched_task::WatchedTask,
    },
    ui::format,
};

/// The variable that holds the key.
const KEY_VARIABLE: &str = "KIE_API_KEY";

/// Returns the settings; else, for exit code 2, everything that is wrong with them.
pub fn load_config(global: &GlobalArgs) -> Result<Config, Failure> {
    Config::load(&overrides(global)?).map_err(|errors| Failure::new(exit::USAGE, errors.report()))
}

/// Returns what was asked for by options and environment.
pub fn overrides(global: &GlobalArgs) -> Result<Overrides, Failure> {
    let word = |text: &Option<String>| {
        let text = strip_quotes(text.as_deref().unwrap_or_default());
        (!text.is_empty()).then(|| text.to_owned())
    };
    Ok(Overrides {
        config: expand_option("--config (KIETOP_CONFIG)", global.config.as_deref())?,
        profile: word(&global.profile),
        api_url: word(&global.api_url),
        store: expand_option("--store (KIETOP_STORE)", global.store.as_deref())?,
    })
}

/// Expands the path of an option or of its variable.
pub fn expand_option(option: &str, text: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
    text.map(environment::expand_path)
        .transpose()
        .map_err(|error| Failure::new(exit::USAGE, format!("{option}: {error}.")))
}

/// Returns the list file: as given, of the profile, as the config file says, else under the data
/// home.
pub fn list_file(config: &Config) -> Result<PathBuf, Failure> {
    match &config.store {
        Some(file) => Ok(file.clone()),
        None => Ok(paths::data_folder()
            .map_err(|error| base_folder_failure(&error))?
            .join("kietop.db")),
    }
}

/// Returns the log file under the state home.
pub fn log_file() -> Result<PathBuf, Failure> {
    let folder = paths::state_folder().map_err(|error| base_folder_failure(&error))?;
    Ok(folder.join("kietop.log"))
}

/// Creates a private folder for temporary files; a failure shows when it is used.
pub fn create_temporary_folder() -> Result<PathBuf, Failure> {
    let mark = RandomState::new().hash_one(std::process::id());
    let temporary = paths::temporary_folder().map_err(|error| base_folder_failure(&error))?;
    let folder = temporary.join(format!("kietop-{mark:016x}"));
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&folder).unwrap_or_default();
    Ok(folder)
}

/// Returns the folder for inputs that are fetched to show a frame of them.
pub fn input_folder() -> Result<PathBuf, Failure> {
    let folder = paths::cache_folder().map_err(|error| base_folder_failure(&error))?;
    Ok(folder.join("inputs"))
}

/// Returns the folder for pages of our own: under the runtime folder, which is the user's alone and
/// does not outlive the session; else under the cache home, else beside other temporary files.
pub fn comparison_folder() -> Result<PathBuf, Failure> {
    let folder = match paths::runtime_folder() {
        Ok(None) => paths::cache_folder(),
        Ok(Some(folder)) => Ok(folder),
        Err(error) => Err(error),
    };
    folder.map_err(|error| base_folder_failure(&error))
}

/// Describes an unusable base folder, with the next step.
pub fn base_folder_failure(error: &BaseFolderError) -> Failure {
    let next = match error {
        BaseFolderError::NoHome => "set HOME, or name files and folders by options",
        BaseFolderError::NotAbsolute { .. } => "give a path that begins with /",
    };
    let error = format::capitalised(&error.to_string());
    Failure::new(exit::USAGE, format!("{error}; {next}."))
}

/// Whether a recovery in this run left anything missing.
static HAS_INCOMPLETE_RECOVERY: AtomicBool = AtomicBool::new(false);

/// Reports a recovery on standard error, and records for the exit code whether anything is missing.
pub fn report_recovery(recovery: &Recovery) {
    output::to_stderr(&format!("kietop: {recovery}"));
    if !recovery.is_complete() {
        HAS_INCOMPLETE_RECOVERY.store(true, Ordering::Relaxed);
    }
}

/// Returns the exit code: failure if a damaged list could not be recovered whole, else the
/// command's. Only a signal's code takes precedence.
pub fn exit_code(of_command: i32) -> i32 {
    if HAS_INCOMPLETE_RECOVERY.load(Ordering::Relaxed) && of_command <= exit::SIGNAL_BASE {
        exit::FAILED
    } else {
        of_command
    }
}

fn open_store(file: &Path, access: AccessMode) -> Result<SqliteStore, Failure> {
    SqliteStore::open_with_access(file, access, SystemClock::wall(), report_recovery)
        .map_err(|error| store_failure(&error))
}

/// Opens the list for a command that reads: where there is no file none is made, and the empty list
/// is said to be one.
pub fn open_list_to_read(global: &GlobalArgs) -> Result<SqliteStore, Failure> {
    let file = list_file(&load_config(global)?)?;
    open_store(&file, read_access_mode(&file, global))
}

/// Returns the access mode for a command that only reads. A missing list is reported and not
/// created, unless its file of ids can restore it.
pub fn read_access_mode(file: &Path, global: &GlobalArgs) -> AccessMode {
    // If this fails the file may exist; opening it gives the reason.
    let is_there = file.try_exists().unwrap_or(true);
    if is_there || (!global.read_only && store::has_id_log(file)) {
        return access_mode(global);
    }
    output::to_stderr(&format!(
        "kietop: There is no list at {} yet; kietop add begins one.",
        file.display()
    ));
    AccessMode::ReadOnly
}

/// Opens the list for a headless command.
pub fn open_list(global: &GlobalArgs) -> Result<SqliteStore, Failure> {
    open_store(&list_file(&load_config(global)?)?, access_mode(global))
}

/// Returns whether the list may be changed.
pub const fn access_mode(global: &GlobalArgs) -> AccessMode {
    if global.read_only {
        AccessMode::ReadOnly
    } else {
        AccessMode::Full
    }
}

/// Returns the book of turns beside the list; none where no file may be made, so that only our own
/// limits hold.
pub fn shared_limiter(config: &Config, access: AccessMode) -> Result<SharedLimiter, Failure> {
    if access == AccessMode::ReadOnly {
        return Ok(None);
    }
    let list = list_file(config)?;
    let turns = FileLimiter::for_list(list, SystemClock::since_boot);
    Ok(Some(Arc::new(turns)))
}

/// Returns the key if it is known without running a command, so that it is never taken for an id.
pub fn known_secrets(config: &Config) -> Result<KnownSecrets, Failure> {
    let key = key_source(config)?.read_without_command();
    Ok(key.map(|key| key.known_spellings()).unwrap_or_default())
}

/// Returns where the key comes from: the environment, else the settings.
fn key_source(config: &Config) -> Result<KeySource, Failure> {
    Ok(match (environment_key()?, &config.key) {
        (Some(key), _) => KeySource::Given(key),
        (None, Some(stored)) => KeySource::Stored(stored.clone()),
        (None, None) => KeySource::None,
    })
}

/// Returns the client of the API, which counts in the book of turns. A stored key is read when it
/// is needed.
pub fn api_client(config: &Config, turns: &SharedLimiter) -> Result<KieClient, Failure> {
    // An API on this machine is reached without a proxy.
    if !config.origin.is_loopback() {
        proxy::check_environment()
            .map_err(|error| Failure::new(exit::USAGE, format!("{error}.")))?;
    }
    let key = key_source(config)?;
    let client = KieClient::new(config.origin.clone(), key, RequestLimits::default());
    Ok(client.with_limiter(turns.clone()))
}

/// Whether there is a key, without reading a stored one.
pub fn api_key_status(config: &Config) -> Result<ApiKeyStatus, Failure> {
    Ok(match key_source(config)? {
        KeySource::None => ApiKeyStatus::Missing,
        KeySource::Given(_) | KeySource::Stored(_) => ApiKeyStatus::Configured,
    })
}

/// Returns what fetches files: from public addresses, and from this machine when the API is on it.
pub fn downloader(client: &Arc<KieClient>) -> HttpDownloader {
    HttpDownloader::new(
        AllowedHosts::for_origin(client.origin()),
        Arc::clone(client) as _,
        download::DownloadLimits::default(),
    )
}

/// Returns what fetches inputs for pictures: as little and as short as a look is worth.
pub fn input_downloader(client: &Arc<KieClient>) -> HttpDownloader {
    let limits = download::DownloadLimits {
        max_file_len: input_cache::MAX_INPUT_LEN,
        max_attempts: 2,
        ..download::DownloadLimits::default()
    };
    HttpDownloader::new(
        AllowedHosts::for_origin(client.origin()),
        Arc::clone(client) as _,
        limits,
    )
}

/// Returns the folder saved videos go to: as the config file says, else `kietop` under the user's
/// folder of videos.
pub fn save_folder(config: &config::UserSettings) -> Result<PathBuf, Failure> {
    if let Some(folder) = &config.saving.folder {
        return Ok(folder.clone());
    }
    let videos = paths::video_folder().map_err(|error| base_folder_failure(&error))?;
    Ok(videos.join("kietop"))
}

/// Looks which of a task's saved files are there. A command's own look: it may wait for the disk.
pub fn check_saved_files(watched: &mut WatchedTask) {
    let paths: Vec<_> = watched
        .saved_results
        .files()
        .iter()
        .map(|file| file.path.clone())
        .collect();
    for path in paths {
        let is_there = download::file_exists(&path);
        watched.saved_results.set_exists(&path, is_there);
    }
}

/// Returns a watched task.
pub fn find_task(store: &mut SqliteStore, id: &TaskId) -> Result<WatchedTask, Failure> {
    let found = store.get(id).map_err(|error| store_failure(&error))?;
    found.ok_or_else(|| not_on_list(id))
}

/// Says that a task is not on the list.
pub fn not_on_list(id: &TaskId) -> Failure {
    Failure::new(exit::NO_SUCH_TASK, format!("No task {id} on the list."))
}

/// Reads the key from the environment; an empty one is none.
fn environment_key() -> Result<Option<ApiKey>, Failure> {
    let Some(text) = env::var_os(KEY_VARIABLE) else {
        return Ok(None);
    };
    let text = text
        .to_str()
        .ok_or_else(|| Failure::new(exit::USAGE, format!("{KEY_VARIABLE} is no text.")))?;
    match ApiKey::parse(text) {
        Ok(key) => Ok(Some(key)),
        Err(KeyError::Empty) => Ok(None),
        Err(error) => Err(Failure::new(
            exit::USAGE,
            format!("{KEY_VARIABLE}: {error}."),
        )),
    }
}

/// Finds the one watched task that a text stands for: its id, or a unique beginning.
pub fn resolve_id(store: &mut SqliteStore, text: &str) -> Result<TaskId, Failure> {
    let shown = crate::domain::text::CleanText::line(text, 80);
    let mut found = store
        .resolve(text)
        .map_err(|error| store_failure(&error))?
        .into_iter();
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id),
        (None, _) if text.chars().count() < MIN_PREFIX_LEN => Err(Failure::new(
            exit::NO_SUCH_TASK,
            format!(
                "No task {shown} on the list; a beginning needs {MIN_PREFIX_LEN} characters to stand for an id."
            ),
        )),
        (None, _) => Err(Failure::new(
            exit::NO_SUCH_TASK,
            format!("No task {shown} on the list; kietop list shows what is watched."),
        )),
        (Some(one), Some(other)) => Err(Failure::new(
            exit::NO_SUCH_TASK,
            format!("{shown} is not unique: {one} and {other} begin so; give more of it."),
        )),
    }
}

/// Turns a failure of the list into one of the command.
pub fn store_failure(error: &StoreError) -> Failure {
    Failure::plain(format!("{error}."))
}

/// Makes sure the list may be changed.
pub fn require_writable(global: &GlobalArgs) -> Result<(), Failure> {
    if global.read_only {
        return Err(Failure::new(
            exit::USAGE,
            "--read-only and this command do not go together.",
        ));
    }
    Ok(())
}
