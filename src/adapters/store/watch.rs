//! Watches the list file for writes of other instances, without polling the disk.
//!
//! It only reports that the file may have changed; the store reads the changes.

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

use super::{
    file::{self, FileIdentity},
    side_files,
};
use crate::domain::list_change::StoreError;

/// The delay after the first event of a burst, to report the rest with it.
const BURST_DELAY: Duration = Duration::from_millis(50);

/// The delay of a second report after the last event: a commit becomes visible only after the log
/// is flushed, and the flush sends no event.
const FOLLOW_UP_DELAY: Duration = Duration::from_secs(1);

/// The report interval where the system sends no events.
const POLL_INTERVAL: Duration = Duration::from_secs(1);

/// The interval of folder checks: unmounting a file system sends no event.
const FOLDER_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// Whether the system reports a write to a file that stays open. macOS reports it when the file is
/// closed (notify-rs/notify#240), and SQLite keeps its log open.
const REPORTS_OPEN_FILES: bool = !cfg!(target_os = "macos");

/// A guard that stops watching when it is dropped.
#[derive(Debug)]
pub struct ListWatcher {
    receives_events: bool,
    alive: Option<Arc<()>>,
    wake_sender: SyncSender<()>,
}

impl ListWatcher {
    /// Reports whether the system sends events. Without them a change is reported once a second.
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

/// A function that subscribes to the system's events about a file.
type SubscribeFn = Box<dyn Fn(&Path, SyncSender<()>) -> notify::Result<RecommendedWatcher> + Send>;

/// A subscription to events about a file in the current folder of its path.
struct Subscription {
    path: PathBuf,
    subscribe: SubscribeFn,
    wake_sender: SyncSender<()>,
    folder: Option<FileIdentity>,
    events: Option<RecommendedWatcher>,
}

impl Subscription {
    /// Reports whether every write sends an event.
    const fn is_complete(&self) -> bool {
        REPORTS_OPEN_FILES && self.events.is_some()
    }

    /// Subscribes again if the path leads to another folder now, and reports whether it does.
    fn resubscribe_if_moved(&mut self) -> bool {
        let folder = file::identity(self.path.parent().unwrap_or(Path::new("/")));
        if self.folder == folder {
            return false;
        }
        self.folder = folder;
        // Drop the old subscription first: their number is limited.
        self.events = None;
        self.events =
            folder.and_then(|_| (self.subscribe)(&self.path, self.wake_sender.clone()).ok());
        true
    }
}

/// Calls `on_change` on a thread of its own whenever the list file may have changed, until the
/// returned guard is dropped.
///
/// A burst of writes is reported 50 ms after its first and again a second after its last. Our own
/// writes are reported too; reading no changes is cheap. Without writes the thread sleeps, except
/// for a check of the folder every five seconds. If the system does not send an event for every
/// write (some network file systems, no watches left, no folder, macOS), the call comes every
/// second.
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
    // One pending wake-up stands for any number of events.
    let (wake_sender, wake_receiver) = mpsc::sync_channel(1);
    let mut subscription = Subscription {
        path: file::resolve_symlinks(path)?,
        subscribe,
        wake_sender: wake_sender.clone(),
        folder: None,
        events: None,
    };
    subscription.resubscribe_if_moved();
    let receives_events = subscription.is_complete();
    let alive = Arc::new(());
    let is_alive = Arc::downgrade(&alive);
    thread::Builder::new()
        .name("list-watch".into())
        .spawn(move || run_watch_loop(&wake_receiver, subscription, &is_alive, on_change))
        .map_err(|error| StoreError::Other(format!("cannot start watching it: {error}")))?;
    Ok(ListWatcher {
        receives_events,
        alive: Some(alive),
        wake_sender,
    })
}

/// Wakes the thread, unless a wake-up is pending.
fn wake(wake_sender: &SyncSender<()>) {
    match wake_sender.try_send(()) {
        Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
    }
}

/// Subscribes to events about the file and its log. The folder is watched, not the file: the log is
/// created and removed, and a damaged list is replaced.
fn subscribe(path: &Path, wake_sender: SyncSender<()>) -> notify::Result<RecommendedWatcher> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let watched_paths = [
        path.to_owned(),
        side_files::with_suffix(path, side_files::WAL_SUFFIX),
        folder.into(),
    ];
    let names: Arc<[OsString]> = watched_paths
        .iter()
        .filter_map(|path| path.file_name().map(OsString::from))
        .collect();
    let watched_names = Arc::clone(&names);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let is_relevant = event.is_ok_and(|event| {
            let is_change = !matches!(event.kind, EventKind::Access(_));
            let is_named = event
                .paths
                .iter()
                .filter_map(|path| path.file_name())
                .any(|name| watched_names.iter().any(|watched| watched == name));
            is_change && (is_named || event.need_rescan())
        });
        if is_relevant {
            wake(&wake_sender);
        }
    })?;
    if Arc::strong_count(&names) == 1 {
        // The library could not start its thread but does not report that; using or dropping the
        // watcher would panic.
        mem::forget(watcher);
        return Err(notify::Error::generic("cannot start a thread"));
    }
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

fn run_watch_loop(
    wake_receiver: &Receiver<()>,
    mut subscription: Subscription,
    alive: &Weak<()>,
    on_change: impl Fn(),
) {
    while alive.strong_count() > 0 {
        let timeout = if subscription.is_complete() {
            FOLDER_CHECK_INTERVAL
        } else {
            POLL_INTERVAL
        };
        let is_woken = wake_receiver.recv_timeout(timeout).is_ok();
        if alive.strong_count() == 0 {
            return;
        }
        if is_woken {
            report_burst(wake_receiver, &on_change);
        }
        if subscription.resubscribe_if_moved() || !subscription.is_complete() {
            on_change();
        }
    }
}

/// Reports a burst of events, and once more after the last.
fn report_burst(wake_receiver: &Receiver<()>, on_change: impl Fn()) {
    loop {
        wait_for_burst(wake_receiver);
        on_change();
        if wake_receiver.recv_timeout(FOLLOW_UP_DELAY).is_err() {
            return on_change();
        }
    }
}

fn wait_for_burst(wake_receiver: &Receiver<()>) {
    // At most twice, since the channel has room for one wake-up.
    for _ in 0..2 {
        if wake_receiver.recv_timeout(BURST_DELAY).is_err() {
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
        let no_events = |_: &Path, _| Err(notify::Error::generic("no watches left"));

        let watch = watch_with(
            Path::new("/nowhere/list.db"),
            move || calls.send(()).unwrap(),
            Box::new(no_events),
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
