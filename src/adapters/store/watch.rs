//! Notice of what other instances write, without asking the disk while nothing happens.
//!
//! Knows neither the list nor SQL: it says "something may have changed", and the store looks.

use std::{
    ffi::OsString,
    mem,
    path::Path,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError},
    },
    thread,
    time::Duration,
};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::file;
use crate::domain::change::StoreError;

/// How long the first event of a burst waits for the rest.
const BURST: Duration = Duration::from_millis(50);

/// When it is looked once more after the last event: the log is written before it is flushed, and the
/// commit can be seen only after that, which makes no event of its own.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// How often it is looked where the system gives no notice.
const ASKING: Duration = Duration::from_secs(1);

/// Ends the notice when it is dropped.
#[derive(Debug)]
pub struct Watch {
    /// Dropped first: the events end, and with them the thread.
    events: Option<RecommendedWatcher>,
    _alive: SyncSender<()>,
}

impl Watch {
    /// Reports whether the system gives notice; otherwise it is looked once a second.
    pub const fn is_notified(&self) -> bool {
        self.events.is_some()
    }
}

/// Calls `on_change` on a thread of its own whenever the list file may have changed, until the returned
/// guard is dropped.
///
/// A burst of writes is one call, 50 ms after its first, and one more a second after its last. Our own
/// writes are reported too: asking the store then costs next to nothing. While nothing is written the
/// thread sleeps. Where the system gives no notice (some network file systems, no watches left) the call
/// comes every second.
pub fn watch(path: &Path, on_change: impl Fn() + Send + 'static) -> Result<Watch, StoreError> {
    watch_by(path, on_change, notice)
}

fn watch_by(
    path: &Path,
    on_change: impl Fn() + Send + 'static,
    notice: impl FnOnce(&Path, SyncSender<()>) -> notify::Result<RecommendedWatcher>,
) -> Result<Watch, StoreError> {
    let path = file::real_path(path)?;
    // One waiting word is enough: it says "look", however often.
    let (words, heard) = mpsc::sync_channel(1);
    let events = notice(&path, words.clone()).ok();
    let is_notified = events.is_some();
    thread::Builder::new()
        .name("list-watch".into())
        .spawn(move || {
            if is_notified {
                listen(&heard, on_change);
            } else {
                ask(&heard, on_change);
            }
        })
        .map_err(|error| StoreError::Other(format!("its notice could not be started: {error}")))?;
    Ok(Watch {
        events,
        _alive: words,
    })
}

/// Asks the system for notice of what happens to the file and its log. The folder is watched, not the
/// file: the log comes and goes, and a damaged list is replaced.
fn notice(path: &Path, words: SyncSender<()>) -> notify::Result<RecommendedWatcher> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let names: Arc<[OsString]> = [path.to_owned(), file::beside(path, "-wal")]
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
            // Full: a word waits already. Disconnected: the thread has ended.
            match words.try_send(()) {
                Ok(()) | Err(TrySendError::Full(()) | TrySendError::Disconnected(())) => {}
            }
        }
    })?;
    if Arc::strong_count(&names) == 1 {
        // Its thread could not be started, of which the library says nothing: used or dropped it panics.
        mem::forget(watcher);
        return Err(notify::Error::generic("no thread can be started"));
    }
    watcher.watch(folder, RecursiveMode::NonRecursive)?;
    Ok(watcher)
}

fn listen(heard: &Receiver<()>, on_change: impl Fn()) {
    while heard.recv().is_ok() {
        loop {
            match gather(heard) {
                Ok(()) => on_change(),
                Err(mpsc::RecvError) => return,
            }
            match heard.recv_timeout(AFTERWARDS) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => {
                    on_change();
                    break;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// Lets the rest of a burst come in.
fn gather(heard: &Receiver<()>) -> Result<(), mpsc::RecvError> {
    // The channel holds one word, so two of these are the longest wait there is.
    for _ in 0..2 {
        match heard.recv_timeout(BURST) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => return Err(mpsc::RecvError),
        }
    }
    Ok(())
}

fn ask(heard: &Receiver<()>, on_change: impl Fn()) {
    while let Ok(()) | Err(RecvTimeoutError::Timeout) = heard.recv_timeout(ASKING) {
        on_change();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_notice_it_asks_by_itself() {
        let (calls, called) = mpsc::channel();
        let no_notice = |_: &Path, _| Err(notify::Error::generic("no watches left"));

        let watch = watch_by(
            Path::new("/nowhere/list.db"),
            move || calls.send(()).unwrap(),
            no_notice,
        )
        .unwrap();

        assert!(!watch.is_notified());
        assert_eq!(called.recv_timeout(Duration::from_secs(10)), Ok(()));
        drop(watch);
        while called.recv_timeout(Duration::from_secs(10)).is_ok() {}
        assert_eq!(
            called.recv_timeout(Duration::from_secs(10)),
            Err(RecvTimeoutError::Disconnected)
        );
    }
}
