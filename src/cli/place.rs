//! Where things are: the list file, the log, the key; and what is opened there.

use std::{
    env, fs,
    hash::{BuildHasher as _, RandomState},
    path::{Path, PathBuf},
    sync::Arc,
};

use etcetera::{
    BaseStrategy as _,
    app_strategy::{AppStrategy as _, AppStrategyArgs, choose_app_strategy},
    choose_base_strategy,
};

use super::{Failure, Global, exit, output};
use crate::{
    adapters::{
        desktop::SystemClock,
        download::{self, HttpDownloader, Reach},
        kie::{ApiKey, ApiOrigin, KeyError, KieClient, Limits},
        store::SqliteStore,
        turns::FileTurns,
    },
    domain::{
        change::{Access, StoreError},
        task::TaskId,
        watchlist::Watched,
    },
    ports::Downloader,
};

/// The variable that holds the key.
const KEY: &str = "KIE_API_KEY";

/// Returns the list file: as given, else under the data home.
pub fn list_file(global: &Global) -> Result<PathBuf, Failure> {
    match &global.store {
        Some(file) => Ok(file.clone()),
        None => Ok(home()?.data_dir().join("kietop.db")),
    }
}

/// Returns the log file under the state home.
pub fn log_file() -> Result<PathBuf, Failure> {
    let home = home()?;
    Ok(home
        .state_dir()
        .unwrap_or_else(|| home.data_dir())
        .join("kietop.log"))
}

/// Makes a folder that is ours alone, for what is not to be kept.
pub fn passing_folder() -> std::io::Result<PathBuf> {
    let mark = RandomState::new().hash_one(std::process::id());
    let folder = env::temp_dir().join(format!("kietop-{mark:016x}"));
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&folder)?;
    Ok(folder)
}

/// Returns the folder for inputs that are fetched to show a frame of them.
pub fn input_folder() -> PathBuf {
    let home = home().map(|home| home.cache_dir());
    home.unwrap_or_else(|_| env::temp_dir().join("kietop"))
        .join("inputs")
}

/// Returns the folder for pages of our own: under the runtime folder, which is the user's alone and does not outlive
/// the session; else under the cache home, else beside other temporary files.
pub fn page_folder() -> PathBuf {
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    match (runtime.filter(|folder| folder.is_dir()), home()) {
        (Some(folder), _) => folder.join("kietop"),
        (None, Ok(home)) => home.cache_dir(),
        (None, Err(_)) => env::temp_dir().join("kietop"),
    }
}

fn home() -> Result<impl etcetera::AppStrategy, Failure> {
    let names = AppStrategyArgs {
        top_level_domain: "ai".into(),
        author: "kietop".into(),
        app_name: "kietop".into(),
    };
    choose_app_strategy(names).map_err(|error| {
        Failure::new(
            exit::USAGE,
            format!("There is no home folder ({error}); set HOME, or name a file with --store."),
        )
    })
}

/// Opens the list for a headless command; a damaged file that was kept aside is said.
pub fn list(global: &Global) -> Result<SqliteStore, Failure> {
    let opened = SqliteStore::open_as(&list_file(global)?, access(global), SystemClock::wall())
        .map_err(|error| store_failed(&error))?;
    if let Some(rescued) = opened.rescued {
        output::talk(&format!("kietop: {rescued}"));
    }
    Ok(opened.store)
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
pub fn turns(global: &Global) -> Result<Option<FileTurns>, Failure> {
    if global.read_only {
        return Ok(None);
    }
    let list = list_file(global)?;
    Ok(Some(FileTurns::beside(list, SystemClock::since_boot)))
}

/// Returns the client of the API at the address given.
pub fn client(global: &Global) -> Result<KieClient, Failure> {
    let origin = ApiOrigin::parse(&global.api_url)
        // Without the address itself: there may be a password in it.
        .map_err(|error| Failure::new(exit::USAGE, format!("--api-url: {error}.")))?;
    Ok(KieClient::new(origin, key()?, Limits::default()))
}

/// Returns what fetches files: from public addresses, and from this machine when the API is on it.
pub fn downloader(client: &Arc<KieClient>) -> HttpDownloader {
    let reach = if client.origin().is_loopback() {
        Reach::ThisMachine
    } else {
        Reach::Public
    };
    HttpDownloader::new(reach, Arc::clone(client) as _, download::Limits::default())
}

/// Returns the folder saved videos go to: `kietop` under the user's folder of videos.
pub fn save_folder() -> Result<PathBuf, Failure> {
    let home = choose_base_strategy().map_err(|error| {
        Failure::new(
            exit::USAGE,
            format!("There is no home folder ({error}); set HOME, or name a folder with --dir."),
        )
    })?;
    let named = fs::read_to_string(home.config_dir().join("user-dirs.dirs")).ok();
    let named = named.and_then(|text| video_folder(&text, home.home_dir()));
    let usual = if cfg!(target_os = "macos") {
        "Movies"
    } else {
        "Videos"
    };
    let videos = named.unwrap_or_else(|| home.home_dir().join(usual));
    Ok(videos.join("kietop"))
}

/// Reads the folder of videos from `user-dirs.dirs`, which the desktop writes in shell's words.
fn video_folder(text: &str, home: &Path) -> Option<PathBuf> {
    let lines = text.lines().rev().map(str::trim);
    let value = lines
        .filter_map(|line| line.strip_prefix("XDG_VIDEOS_DIR="))
        .find_map(|value| value.trim().strip_prefix('"')?.strip_suffix('"'))?;
    let folder = match value.strip_prefix("$HOME") {
        Some("") => home.to_owned(),
        Some(rest) => home.join(rest.strip_prefix('/')?),
        None => PathBuf::from(value),
    };
    // The home itself stands for a folder that was taken away.
    (folder.is_absolute() && folder != home).then_some(folder)
}

/// Looks which of a task's saved files are there. A command's own look: it may wait for the disk.
pub fn look(watched: &mut Watched, downloader: &dyn Downloader) {
    let paths: Vec<_> = watched
        .saves
        .files()
        .iter()
        .map(|file| file.path.clone())
        .collect();
    for path in paths {
        let is_there = downloader.is_there(&path);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_desktop_names_the_folder_of_videos() {
        let read = |text| video_folder(text, Path::new("/home/me"));

        assert_eq!(
            read("# a comment\nXDG_MUSIC_DIR=\"$HOME/M\"\nXDG_VIDEOS_DIR=\"$HOME/Filme\"\n"),
            Some("/home/me/Filme".into())
        );
        assert_eq!(read("XDG_VIDEOS_DIR=\"/data/v\""), Some("/data/v".into()));
        for odd in [
            "",
            "XDG_VIDEOS_DIR=\"$HOME\"",
            "XDG_VIDEOS_DIR=\"$HOME/\"",
            "XDG_VIDEOS_DIR=\"rel\"",
            "XDG_VIDEOS_DIR=$HOME/x",
        ] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
