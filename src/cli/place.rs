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

use super::{Failure, Global, exit, output};
use crate::{
    adapters::{
        desktop::SystemClock,
        download::{self, HttpDownloader, Reach},
        inputs,
        kie::{ApiKey, KeyError, KeySource, KieClient, Limits},
        proxy,
        store::{self, Recovery, SHORTEST_PREFIX, SqliteStore},
        surroundings,
        turns::{FileTurns, asking::Shared},
    },
    app::state::KeyStanding,
    config::{
        self, Asked, Config,
        places::{self, BaseFolderError},
    },
    domain::{
        change::{Access, StoreError},
        id_extract::KnownSecrets,
        path_text::unquoted,
        task::TaskId,
        watched::Watched,
    },
    ui::format,
};

/// The variable that holds the key.
const KEY: &str = "KIE_API_KEY";

/// Returns the settings; else, for exit code 2, everything that is wrong with them.
pub fn config(global: &Global) -> Result<Config, Failure> {
    Config::load(&asked(global)?).map_err(|faults| {
        let head = match faults.faults.len() {
            0 | 1 => String::new(),
            count => format!("{count} faults in the settings:\n"),
        };
        Failure::new(exit::USAGE, format!("{head}{faults}"))
    })
}

/// Returns what was asked for by options and environment.
pub fn asked(global: &Global) -> Result<Asked, Failure> {
    let word = |text: &Option<String>| {
        let text = unquoted(text.as_deref().unwrap_or_default());
        (!text.is_empty()).then(|| text.to_owned())
    };
    Ok(Asked {
        config: path("--config (KIETOP_CONFIG)", global.config.as_deref())?,
        profile: word(&global.profile),
        api_url: word(&global.api_url),
        store: path("--store (KIETOP_STORE)", global.store.as_deref())?,
    })
}

/// Expands the path of an option or of its variable.
pub fn path(option: &str, text: Option<&Path>) -> Result<Option<PathBuf>, Failure> {
    text.map(surroundings::path)
        .transpose()
        .map_err(|error| Failure::new(exit::USAGE, format!("{option}: {error}.")))
}

/// Returns the list file: as given, of the profile, as the config file says, else under the data home.
pub fn list_file(config: &Config) -> Result<PathBuf, Failure> {
    match &config.store {
        Some(file) => Ok(file.clone()),
        None => Ok(places::data_folder()
            .map_err(|error| base_folder_failed(&error))?
            .join("kietop.db")),
    }
}

/// Returns the log file under the state home.
pub fn log_file() -> Result<PathBuf, Failure> {
    let folder = places::state_folder().map_err(|error| base_folder_failed(&error))?;
    Ok(folder.join("kietop.log"))
}

/// Creates a private folder for temporary files; a failure shows when it is used.
pub fn passing_folder() -> Result<PathBuf, Failure> {
    let mark = RandomState::new().hash_one(std::process::id());
    let temporary = places::temporary_folder().map_err(|error| base_folder_failed(&error))?;
    let folder = temporary.join(format!("kietop-{mark:016x}"));
    let mut builder = fs::DirBuilder::new();
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&folder).unwrap_or_default();
    Ok(folder)
}

/// Returns the folder for inputs that are fetched to show a frame of them.
pub fn input_folder() -> Result<PathBuf, Failure> {
    let folder = places::cache_folder().map_err(|error| base_folder_failed(&error))?;
    Ok(folder.join("inputs"))
}

/// Returns the folder for pages of our own: under the runtime folder, which is the user's alone and does not outlive
/// the session; else under the cache home, else beside other temporary files.
pub fn page_folder() -> Result<PathBuf, Failure> {
    let folder = match places::runtime_folder() {
        Ok(None) => places::cache_folder(),
        Ok(Some(folder)) => Ok(folder),
        Err(error) => Err(error),
    };
    folder.map_err(|error| base_folder_failed(&error))
}

/// Describes an unusable base folder, with the next step.
pub fn base_folder_failed(error: &BaseFolderError) -> Failure {
    let next = match error {
        BaseFolderError::NoHome => "set HOME, or name files and folders by options",
        BaseFolderError::NotAbsolute { .. } => "give a path that begins with /",
    };
    let error = format::sentence(&error.to_string());
    Failure::new(exit::USAGE, format!("{error}; {next}."))
}

/// Whether a recovery in this run left anything missing.
static IS_INCOMPLETE: AtomicBool = AtomicBool::new(false);

/// Reports a recovery on standard error, and records for the exit code whether anything is missing.
pub fn report(recovery: &Recovery) {
    output::talk(&format!("kietop: {recovery}"));
    if !recovery.is_complete() {
        IS_INCOMPLETE.store(true, Ordering::Relaxed);
    }
}

/// Returns the exit code: failure if a damaged list could not be recovered whole, else the
/// command's. Only a signal's code takes precedence.
pub fn exit_code(of_command: i32) -> i32 {
    if IS_INCOMPLETE.load(Ordering::Relaxed) && of_command <= exit::SIGNAL_BASE {
        exit::FAILED
    } else {
        of_command
    }
}

fn open(file: &Path, access: Access) -> Result<SqliteStore, Failure> {
    SqliteStore::open_as(file, access, SystemClock::wall(), report)
        .map_err(|error| store_failed(&error))
}

/// Opens the list for a command that reads: where there is no file none is made, and the empty list is said to be one.
pub fn list_to_read(global: &Global) -> Result<SqliteStore, Failure> {
    let file = list_file(&config(global)?)?;
    open(&file, access_to_read(&file, global))
}

/// Returns the access mode for a command that only reads. A missing list is reported and not
/// created, unless its file of ids can restore it.
pub fn access_to_read(file: &Path, global: &Global) -> Access {
    // If this fails the file may exist; opening it gives the reason.
    let is_there = file.try_exists().unwrap_or(true);
    if is_there || (!global.read_only && store::has_ids(file)) {
        return access(global);
    }
    output::talk(&format!(
        "kietop: There is no list at {} yet; kietop add begins one.",
        file.display()
    ));
    Access::ReadOnly
}

/// Opens the list for a headless command.
pub fn list(global: &Global) -> Result<SqliteStore, Failure> {
    open(&list_file(&config(global)?)?, access(global))
}

/// Returns whether the list may be changed.
pub const fn access(global: &Global) -> Access {
    if global.read_only {
        Access::ReadOnly
    } else {
        Access::Full
    }
}

/// Returns the book of turns beside the list; none where no file may be made, so that only our own limits hold.
pub fn turns(config: &Config, access: Access) -> Result<Shared, Failure> {
    if access == Access::ReadOnly {
        return Ok(None);
    }
    let list = list_file(config)?;
    let turns = FileTurns::beside(list, SystemClock::since_boot);
    Ok(Some(Arc::new(turns)))
}

/// Returns the key if it is known without running a command, so that it is never taken for an id.
pub fn known_secrets(config: &Config) -> Result<KnownSecrets, Failure> {
    let key = key_source(config)?.read_without_command();
    Ok(key.map(|key| key.spellings()).unwrap_or_default())
}

/// Returns where the key comes from: the environment, else the settings.
fn key_source(config: &Config) -> Result<KeySource, Failure> {
    Ok(match (key()?, &config.key) {
        (Some(key), _) => KeySource::Given(key),
        (None, Some(stored)) => KeySource::Stored(stored.clone()),
        (None, None) => KeySource::None,
    })
}

/// Returns the client of the API, which counts in the book of turns. A stored key is read when it is needed.
pub fn client(config: &Config, turns: &Shared) -> Result<KieClient, Failure> {
    // An API on this machine is reached without a proxy.
    if !config.origin.is_loopback() {
        proxy::check().map_err(|error| Failure::new(exit::USAGE, format!("{error}.")))?;
    }
    let key = key_source(config)?;
    let client = KieClient::new(config.origin.clone(), key, Limits::default());
    Ok(client.sharing(turns.clone()))
}

/// Tells whether there is a key, without reading a stored one.
pub fn key_standing(config: &Config) -> Result<KeyStanding, Failure> {
    Ok(match key_source(config)? {
        KeySource::None => KeyStanding::Missing,
        KeySource::Given(_) | KeySource::Stored(_) => KeyStanding::Named,
    })
}

/// Returns what fetches files: from public addresses, and from this machine when the API is on it.
pub fn downloader(client: &Arc<KieClient>) -> HttpDownloader {
    HttpDownloader::new(
        Reach::of(client.origin()),
        Arc::clone(client) as _,
        download::Limits::default(),
    )
}

/// Returns what fetches inputs for pictures: as little and as short as a look is worth.
pub fn input_downloader(client: &Arc<KieClient>) -> HttpDownloader {
    let limits = download::Limits {
        largest: inputs::LARGEST,
        tries: 2,
        ..download::Limits::default()
    };
    HttpDownloader::new(Reach::of(client.origin()), Arc::clone(client) as _, limits)
}

/// Returns the folder saved videos go to: as the config file says, else `kietop` under the user's folder of videos.
pub fn save_folder(config: &config::Settings) -> Result<PathBuf, Failure> {
    if let Some(folder) = &config.saving.folder {
        return Ok(folder.clone());
    }
    let videos = places::video_folder().map_err(|error| base_folder_failed(&error))?;
    Ok(videos.join("kietop"))
}

/// Looks which of a task's saved files are there. A command's own look: it may wait for the disk.
pub fn look(watched: &mut Watched) {
    let paths: Vec<_> = watched
        .saves
        .files()
        .iter()
        .map(|file| file.path.clone())
        .collect();
    for path in paths {
        let is_there = download::is_there(&path);
        watched.saves.looked(&path, is_there);
    }
}

/// Returns a watched task.
pub fn find(store: &mut SqliteStore, id: &TaskId) -> Result<Watched, Failure> {
    let found = store.get(id).map_err(|error| store_failed(&error))?;
    found.ok_or_else(|| gone(id))
}

/// Says that a task is not on the list.
pub fn gone(id: &TaskId) -> Failure {
    Failure::new(exit::NO_SUCH_TASK, format!("No task {id} on the list."))
}

/// Reads the key from the environment; an empty one is none.
fn key() -> Result<Option<ApiKey>, Failure> {
    let Some(text) = env::var_os(KEY) else {
        return Ok(None);
    };
    let text = text
        .to_str()
        .ok_or_else(|| Failure::new(exit::USAGE, format!("{KEY} is no text.")))?;
    match ApiKey::parse(text) {
        Ok(key) => Ok(Some(key)),
        Err(KeyError::Empty) => Ok(None),
        Err(error) => Err(Failure::new(exit::USAGE, format!("{KEY}: {error}."))),
    }
}

/// Finds the one watched task that a text stands for: its id, or a unique beginning.
pub fn resolve(store: &mut SqliteStore, text: &str) -> Result<TaskId, Failure> {
    let shown = crate::domain::text::CleanText::line(text, 80);
    let mut found = store
        .resolve(text)
        .map_err(|error| store_failed(&error))?
        .into_iter();
    match (found.next(), found.next()) {
        (Some(id), None) => Ok(id),
        (None, _) if text.chars().count() < SHORTEST_PREFIX => Err(Failure::new(
            exit::NO_SUCH_TASK,
            format!(
                "No task {shown} on the list; a beginning needs {SHORTEST_PREFIX} characters to stand for an id."
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
pub fn store_failed(error: &StoreError) -> Failure {
    Failure::plain(format!("{error}."))
}

/// Makes sure the list may be changed.
pub fn writable(global: &Global) -> Result<(), Failure> {
    if global.read_only {
        return Err(Failure::new(
            exit::USAGE,
            "--read-only and this command do not go together.",
        ));
    }
    Ok(())
}
