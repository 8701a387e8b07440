//! Notice of what other instances write, without asking the disk while nothing happens.
//!
//! Knows neither the list nor SQL: it says "something may have changed", and the store looks.

use std::{
    ffi::OsString,
    mem,
    path::{Path, PathBuf},
    sync::{
        Arc, Weak,
        mpsc::{self, Receiver, SyncSender, TrySendError},
    },
    thread,
    time::Duration,
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::file::{self, FileIdentity};
use crate::domain::list_change::StoreError;

/// How long the first event of a burst waits for the rest.
const BURST_DELAY: Duration = Duration::from_millis(50);

/// When it is looked once more after the last event: the log is written before it is flushed, and
/// the commit can be seen only after that, which makes no event of its own.
const FOLLOW_UP_DELAY: Duration = Duration::from_secs(1);

/// How often it is looked where the system gives no notice.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The interval of folder checks: unmounting a file system sends no event.
const FOLDER_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Whether the system reports a write to a file that stays open. On macOS it reports a write when
/// the file is closed (notify-rs/notify#240), and `SQLite` keeps its log open.
const REPORTS_OPEN_FILES: bool = !cfg!(target_os = "macos");

/// Ends the notice when it is dropped.
#[derive(Debug)]
pub struct ListWatcher {
    receives_events: bool,
    alive: Option<Arc<()>>,
    wake_sender: SyncSender<()>,
}

impl ListWatcher {
    /// Reports whether the system sends events; without them the file is checked once a second.
    pub const fn receives_events(&self) -> bool {
        self.receives_events
    }
}

impl Drop for ListWatcher {
    fn drop(&mut self) {
        self.alive = None;
        wake(&self.wake_sender);
    }
}

/// Subscribes to the system's events about a file.
type SubscribeFn = Box<dyn Fn(&Path, SyncSender<()>) -> notify::Result<RecommendedWatcher> + Send>;

/// A subscription to events about a file and the folder its path names now.
struct Subscription {
    path: PathBuf,
    subscribe: SubscribeFn,
    wake_sender: SyncSender<()>,
    folder: Option<FileIdentity>,
    events: Option<RecommendedWatcher>,
}

impl Subscription {
    /// Reports whether every write makes an event; else the file is checked once a second.
    const fn is_complete(&self) -> bool {
        REPORTS_OPEN_FILES && self.events.is_some()
    }

    /// Subscribes again if the path leads to another folder by now, and reports whether it does.
    fn resubscribe_if_moved(&mut self) -> bool {
        let folder = file::identity(self.path.parent().unwrap_or(Path::new("/")));
        if self.folder == folder {
            return false;
        }
        self.folder = folder;
        // The old subscription ends first: their number is limited.
        self.events = None;
        self.events =
            folder.and_then(|_| (self.subscribe)(&self.path, self.wake_sender.clone()).ok());
        true
    }
}

/// Calls `on_change` on a thread of its own whenever the list file may have changed, until the
/// returned guard is dropped.
///
/// A burst of writes is one call, 50 ms after its first, and one more a second after its last. Our
/// own writes are reported too: asking the store then costs next to nothing. While nothing is
/// written the thread sleeps, except for a check of the folder every five seconds. Where the system
/// sends no events (some network file systems, no watches left, no folder), or not of every write
/// (macOS), the call comes every second.
pub fn watch(
    path: &Path,
    on_change: impl Fn() + Send + 'static,
) -> Result<ListWatcher, StoreError> {
    watch_with(path, on_change, Box::new(subscribe))
}

fn watch_with(
    path: &Path,
    on_change: impl Fn() + Send + 'static,
    subscribe: SubscribeFn,
) -> Result<ListWatcher, StoreError> {
    // One waiting word is enough: it says "look", however often.
    let (words, heard) = mpsc::sync_channel(1);
    let mut subscription = Subscription {
        path: file::resolve_symlinks(path)?,
        subscribe,
        wake_sender: words.clone(),
        folder: None,
        events: None,
    };
    subscription.resubscribe_if_moved();
    let is_notified = subscription.is_complete();
    let alive = Arc::new(());
    let is_alive = Arc::downgrade(&alive);
    thread::Builder::new()
        .name("list-watch".into())
        .spawn(move || run_watch_loop(&heard, subscription, &is_alive, on_change))
        .map_err(|error| StoreError::Other(format!("its notice could not be started: {error}")))?;
    Ok(ListWatcher {
        receives_events: is_notified,
        alive: Some(alive),
        wake_sender: words,
    })
}

/// Wakes the thread, unless a wake-up is waiting already.
fn wake(words: &SyncSender<()>) {
    match words.try_send(()) {
        Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
    }
}

/// Asks the system for notice of what happens to the file and its log. The folder is watched, not
/// the file: the log comes and goes, and a damaged list is replaced.
fn subscribe(path: &Path, words: SyncSender<()>) -> notify::Result<RecommendedWatcher> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let ours = [
        path.to_owned(),
        file::with_suffix(path, "-wal"),
        folder.into(),
    ];
    let names: Arc<[OsString]> = ours
        .iter()
        .filter_map(|path| path.file_name().map(OsString::from))
        .collect();
    let ours = Arc::clone(&names);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let is_ours = event.is_ok_and(|event| {
            let is_change = !matches!(event.kind, EventKind::Access(_));
            let is_named = event
                .paths
                .iter()
                .filter_map(|path| path.file_name())
                .any(|name| ours.iter().any(|ours| ours == name));
            is_change && (is_named || event.need_rescan())
        });
        if is_ours {
            wake(&words);
        }
    })?;
    if Arc::strong_count(&names) == 1 {
        // The library could not start its thread but does not report it; using or dropping it
        // panics.
        mem::forget(watcher);
        return Err(notify::Error::generic("no thread can be started"));
    }
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

fn run_watch_loop(
    heard: &Receiver<()>,
    mut subscription: Subscription,
    alive: &Weak<()>,
    on_change: impl Fn(),
) {
    while alive.strong_count() > 0 {
        let pause = if subscription.is_complete() {
            FOLDER_CHECK_INTERVAL
        } else {
            POLL_INTERVAL
        };
        let has_word = heard.recv_timeout(pause).is_ok();
        if alive.strong_count() == 0 {
            return;
        }
        if has_word {
            report_burst(heard, &on_change);
        }
        if subscription.resubscribe_if_moved() || !subscription.is_complete() {
            on_change();
        }
    }
}

/// Passes a burst of events on, and checks once more after the last.
fn report_burst(heard: &Receiver<()>, on_change: impl Fn()) {
    loop {
        wait_for_burst(heard);
        on_change();
        if heard.recv_timeout(FOLLOW_UP_DELAY).is_err() {
            return on_change();
        }
    }
}

/// Waits for the rest of a burst.
fn wait_for_burst(heard: &Receiver<()>) {
    // The channel holds one wake-up, so two waits are the longest.
    for _ in 0..2 {
        if heard.recv_timeout(BURST_DELAY).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::RecvTimeoutError;

    use super::*;

    #[test]
    fn without_file_events_it_polls() {
        let (calls, called) = mpsc::channel();
        let no_notice = |_: &Path, _| Err(notify::Error::generic("no watches left"));

        let watch = watch_with(
            Path::new("/nowhere/list.db"),
            move || calls.send(()).unwrap(),
            Box::new(no_notice),
        )
        .unwrap();

        assert!(!watch.receives_events());
        assert_eq!(called.recv_timeout(Duration::from_secs(10)), Ok(()));
        drop(watch);
        while called.recv_timeout(Duration::from_secs(10)).is_ok() {}
        assert_eq!(
            called.recv_timeout(Duration::from_secs(10)),
            Err(RecvTimeoutError::Disconnected)
        );
    }
}
