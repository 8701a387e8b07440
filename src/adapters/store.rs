//! The list on disk: one SQLite file that several instances share, and in which no id is ever lost.
//!
//! What holds here:
//! - **A change a person waits for, and every ending, is flushed before it is acknowledged**
//!   (`synchronous = EXTRA`, which is `FULL` and more); other poll answers go to the log without a
//!   flush (`NORMAL`): a power cut may cost the last of them, which are asked again, never the
//!   file's order. A kill costs neither.
//! - **A file is never overwritten in place of another**: a newer one is left byte for byte, an older one
//!   is copied before it is brought forward, a damaged one is moved aside and what it still holds is
//!   carried over (`store/rescue.rs`).
//! - **A file that is gone from its path is not created again** by a connection that had it open:
//!   reads go on through the connection, writes fail until it is back or is written back on
//!   request, and another file at its path is merged with it by id (`store/merge.rs`).
//! - **Every row has a checksum, and their count is kept**, for SQLite notices a broken page, not a flipped
//!   bit in a text. Reading the list verifies them all on the way; SQLite's own `quick_check` would cost as
//!   much again (18 ms for 10,000 tasks, 180 ms for 100,000) and see less, so it is not run.
//! - **Ids and labels are written twice**: also as text beside the file (`store/id_log.rs`), which
//!   is compared with the list at every opening.
//! - Several instances: writes begin with the lock (`BEGIN IMMEDIATE`) and read the row as it stands; every
//!   transaction that writes takes a revision, by which others see what is new.
//!
//! Nothing outside these files knows SQL. Blocking: to be called off the loop.

use std::{
    collections::HashMap,
    fmt, mem,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use self::{
    apply::Writer,
    file::Identity,
    id_log::{Appended, Entry, Event, IdLog, Lines},
    rows::COLUMNS,
    schema::Standing,
};
use crate::{
    domain::{
        change::{Access, Applied, Change, Delta, JournalLine, StoreError},
        memory::Memory,
        query::Lens,
        record::Record,
        task::{Family, TaskId},
        watched::Watched,
    },
    ports::ListStore,
};

mod apply;
mod carve;
mod cause;
mod file;
mod id_log;
mod merge;
mod outlook;
mod quiet;
mod read;
mod rescue;
mod rows;
mod schema;
mod watch;

pub use self::{
    rescue::Recovery,
    watch::{Watch, watch},
};

/// The shortest beginning that stands for an id, in characters.
pub const SHORTEST_PREFIX: usize = 4;

/// How long a removed task can be brought back at least; and how many of the newest always can.
const UNDO_AGE: SignedDuration = SignedDuration::from_hours(30 * 24);
const UNDO_COUNT: u32 = 200;

/// How often a change is written again when the file was replaced under it.
const MOST_TRIES: u32 = 5;

/// A callback for every recovery, called as it happens.
struct RecoverySink(Box<dyn FnMut(&Recovery) + Send>);

impl RecoverySink {
    /// Returns one that ignores recoveries, for lists that cannot be damaged or that have no
    /// callback yet.
    fn ignoring() -> Self {
        Self(Box::new(|_| ()))
    }
}

impl fmt::Debug for RecoverySink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoverySink")
    }
}

/// Keeps the list in an SQLite file, or in memory.
///
/// Damage is handled whenever it shows, at opening or later: the file is moved aside, what it holds
/// is carried over into a new one, the recovery is reported at once, and the call goes on with the
/// new file.
///
/// A file counts as damaged only if a second connection finds it so too: SQLite also reports damage
/// when one read failed.
#[derive(Debug)]
pub struct SqliteStore {
    conn: Connection,
    /// Where the file lies; none in memory.
    path: Option<PathBuf>,
    /// Which file the connection holds, to notice when another instance put a new one in its place.
    identity: Option<Identity>,
    /// Which log the connection holds: SQLite would apply a left-over log to any new file at the
    /// path.
    log: Option<Identity>,
    /// Whether anything may be made, mended or written at all.
    access: Access,
    /// Why nothing can be written, if so.
    read_only: Option<StoreError>,
    /// Whether commits are flushed at present; none before the first.
    is_flushed: Option<bool>,
    /// Up to which revision the caller knows the list.
    seen: i64,
    /// SQLite's mark of the last state looked at: another connection's commit changes it.
    version: i64,
    /// Rows of later revisions that hold nothing new for the caller.
    own: HashMap<TaskId, i64>,
    /// Whether there is news though no other connection wrote.
    is_news_due: bool,
    report: RecoverySink,
    /// The last time heard of, for the name of a file moved aside.
    at: Timestamp,
}

impl SqliteStore {
    /// Opens the list file, and makes it (0600) and its folder (0700) if need be.
    ///
    /// A symbolic link is followed and stays. A file others may read is made private. A damaged one
    /// is moved aside and its rows are carried over, now or later, and each time `report` is
    /// called; one opened read-only is read as far as possible. Fails with [`StoreError::Newer`] on
    /// a newer program's file, which is not touched.
    pub fn open(
        path: &Path,
        at: Timestamp,
        report: impl FnMut(&Recovery) + Send + 'static,
    ) -> Result<Self, StoreError> {
        Self::open_as(path, Access::Full, at, report)
    }

    /// Opens the list file for that access.
    ///
    /// To read only, nothing is made, mended or tidied: where there is no file the list is empty until another
    /// instance makes one, and a damaged one is an error and stays where it is. SQLite may leave its two empty
    /// helper files beside the list, without which it cannot read what another instance is writing.
    pub fn open_as(
        path: &Path,
        access: Access,
        at: Timestamp,
        report: impl FnMut(&Recovery) + Send + 'static,
    ) -> Result<Self, StoreError> {
        let path = file::real_path(path)?;
        let mut report = RecoverySink(Box::new(report));
        let opened = Self::open_with(&path, access, at, &mut report);
        let mut store = opened.map_err(|error| cause::explain(&path, access, error))?;
        store.report = report;
        Ok(store)
    }

    fn open_with(
        path: &Path,
        access: Access,
        at: Timestamp,
        report: &mut RecoverySink,
    ) -> Result<Self, StoreError> {
        if access == Access::Full {
            file::create_missing(path)?;
        }
        let mut opened = Self::connect(path, access, at, report);
        if access == Access::Full && matches!(opened, Err(StoreError::Damaged(_))) {
            let judged = file::identity(path);
            opened = Self::connect(path, access, at, report);
            if let Err(StoreError::Damaged(why)) = &opened {
                rescue::rescue(path, judged, at, why, &mut report.0)?;
                opened = Self::connect(path, access, at, report);
            }
        }
        opened
    }

    /// Returns a store that keeps nothing, for the demo and for tests.
    pub fn in_memory() -> Result<Self, StoreError> {
        let mut conn = Connection::open_in_memory()?;
        schema::migrate(&mut conn, None, Standing::Fresh)?;
        Self::begin(conn, Timestamp::UNIX_EPOCH)
    }

    /// Returns the ids of watched tasks a person may mean by `prefix`: the exact match, else all
    /// that begin so. A prefix needs [`SHORTEST_PREFIX`] characters. Before no match is reported,
    /// every row is verified.
    pub fn resolve(&mut self, prefix: &str) -> Result<Vec<TaskId>, StoreError> {
        let found = self.read_held(|store| read::resolve(&store.conn, prefix))?;
        if !found.is_empty() {
            return Ok(found);
        }
        self.read_held(Self::read_all)?;
        self.read_held(|store| read::resolve(&store.conn, prefix))
    }

    /// Returns a watched task whose id differs from this one in capitals only.
    pub fn spelt_like(&mut self, task: &TaskId) -> Result<Option<TaskId>, StoreError> {
        let small = task.as_str().to_ascii_lowercase();
        let great = task.as_str().to_ascii_uppercase();
        for spelt in [small, great] {
            let known = self.read_held(|store| read::resolve(&store.conn, &spelt))?;
            let mut known = known.into_iter();
            let twin = known.find(|id| id != task && id.as_str() == spelt);
            if twin.is_some() {
                return Ok(twin);
            }
        }
        Ok(None)
    }

    /// Returns a watched task.
    pub fn get(&mut self, task: &TaskId) -> Result<Option<Watched>, StoreError> {
        let found = self.read_held(|store| read::one(&store.conn, task))?;
        Ok(found
            .filter(|stored| stored.removed_at.is_none())
            .map(|stored| stored.watched))
    }

    /// Returns the tasks that were removed and can be brought back, the latest first, at most `most`, with
    /// the time of their removal.
    pub fn removed(&mut self, most: usize) -> Result<Vec<(TaskId, Timestamp)>, StoreError> {
        self.read_held(|store| read::removed(&store.conn, most))
    }

    /// Returns the last good answer about a task as it came (at most 64 KiB of JSON), and when it was
    /// first given so; for JSON, never for a terminal.
    pub fn raw(&mut self, task: &TaskId) -> Result<Option<(Timestamp, String)>, StoreError> {
        self.read_held(|store| read::raw(&store.conn, task))
    }

    /// Returns why the list is read-only, if it is.
    pub const fn read_only(&self) -> Option<&StoreError> {
        self.read_only.as_ref()
    }

    /// Opens the file as it is, and makes the list and the file of ids agree; handles no other
    /// damage.
    fn connect(
        path: &Path,
        access: Access,
        at: Timestamp,
        report: &mut RecoverySink,
    ) -> Result<Self, StoreError> {
        let mut store = Self::open_unrepaired(path, access, at)?;
        store.reconcile_ids(report)?;
        Ok(store)
    }

    fn open_unrepaired(path: &Path, access: Access, at: Timestamp) -> Result<Self, StoreError> {
        match access {
            Access::Full => Self::attach(path, at),
            Access::ReadOnly => Self::attach_to_read(path, at),
        }
    }

    fn reconcile_ids(&mut self, report: &mut RecoverySink) -> Result<(), StoreError> {
        let put_back = self.compare_ids()?;
        if put_back > 0 {
            (report.0)(&Recovery::of_unacknowledged(put_back));
        }
        Ok(())
    }

    /// Opens the file as it is; handles neither damage nor absence.
    fn attach(path: &Path, at: Timestamp) -> Result<Self, StoreError> {
        file::make_private(path);
        if file::is_beheaded(path) {
            return Err(StoreError::Damaged("it is empty, its log is not".into()));
        }
        file::check_kind(path)?;
        let identity = file::identity(path);
        let (mut conn, read_only) = file::connect(path)?;
        let standing = schema::standing(&conn)?;
        match (&read_only, standing) {
            (None, standing) => Self::make_current(&mut conn, path, standing, identity)?,
            (Some(_), Standing::Current) => {}
            (Some(why), Standing::Fresh | Standing::Older(_)) => return Err(why.clone()),
        }
        schema::probe(&conn)?;
        let mut store = Self::begin(conn, at)?;
        store.path = Some(path.to_owned());
        store.identity = identity;
        store.log = file::identity(&file::beside(path, file::LOG));
        store.read_only = read_only;
        if store.read_only.is_none() {
            // Housekeeping can wait, whatever else is in its way.
            if let Err(error @ StoreError::Damaged(_)) = store.purge() {
                return Err(error);
            }
            file::settle(&store.conn)?;
        }
        Ok(store)
    }

    /// Migrates a writable file to this version, and sets the journal mode that works on its disk.
    fn make_current(
        conn: &mut Connection,
        path: &Path,
        standing: Standing,
        identity: Option<Identity>,
    ) -> Result<(), StoreError> {
        if standing == Standing::Fresh {
            // Four rows fit on a page even with long prompts; has effect on an empty file only.
            conn.pragma_update(None, "page_size", 8192)?;
        }
        let device = identity.map_or_else(String::new, |(device, _)| device.to_string());
        let has_log =
            outlook::no_log_on(conn).as_ref() == Some(&device) || file::use_log(conn, path)?;
        schema::migrate(conn, Some(path), standing)?;
        if !has_log {
            outlook::store_no_log(conn, &device)?;
        }
        Ok(())
    }

    /// Lets SQLite in for reading; an empty list in memory stands for a file that is not there.
    fn attach_to_read(path: &Path, at: Timestamp) -> Result<Self, StoreError> {
        let identity = file::find(path)?;
        let mut store = if identity.is_some() {
            file::check_kind(path)?;
            let conn = file::connect_to_read(path)?;
            if schema::standing(&conn)? != Standing::Current {
                return Err(StoreError::Other(format!(
                    "{} was written by an older kietop; open it once without --read-only",
                    path.display()
                )));
            }
            schema::probe(&conn)?;
            Self::begin(conn, at)?
        } else {
            Self::in_memory()?
        };
        store.identity = identity;
        store.path = Some(path.to_owned());
        store.access = Access::ReadOnly;
        store.read_only = Some(StoreError::ReadOnly("it was opened to be read".into()));
        Ok(store)
    }

    fn begin(conn: Connection, at: Timestamp) -> Result<Self, StoreError> {
        let (seen, _) = read::meta(&conn)?;
        let version = read::data_version(&conn)?;
        Ok(Self {
            conn,
            path: None,
            identity: None,
            log: None,
            access: Access::Full,
            read_only: None,
            is_flushed: None,
            seen,
            version,
            own: HashMap::new(),
            is_news_due: false,
            report: RecoverySink::ignoring(),
            at,
        })
    }

    /// Runs `work` on the file at the path; if a new connection confirms damage, recovers the list
    /// and runs `work` once more.
    fn mending<T>(
        &mut self,
        work: impl Fn(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let Some(path) = self.path.clone() else {
            return work(self);
        };
        let result = match self.attempt(&path, &work) {
            Err(StoreError::Damaged(_))
                if self.access == Access::Full && self.read_only.is_none() =>
            {
                self.confirm_damage(&path, &work)
            }
            // A file system that was unmounted and mounted again leaves a dead connection.
            Err(StoreError::Disk(_)) => self.reopen(&path).and_then(|()| work(self)),
            result => result,
        };
        result.map_err(|error| self.explain(&path, error))
    }

    fn attempt<T>(
        &mut self,
        path: &Path,
        work: impl Fn(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.follow(path)?;
        work(self)
    }

    /// Runs `work` on a new connection, and on a recovered file if that finds damage too.
    fn confirm_damage<T>(
        &mut self,
        path: &Path,
        work: impl Fn(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let judged = file::identity(path);
        let again = self.reopen(path).and_then(|()| work(self));
        let Err(StoreError::Damaged(why)) = again else {
            return again;
        };
        file::unsettle(&self.conn);
        rescue::rescue(path, judged, self.at, &why, &mut self.report.0)?;
        self.reopen(path)?;
        work(self)
    }

    fn explain(&self, path: &Path, error: StoreError) -> StoreError {
        cause::explain(path, self.access, error)
    }

    /// Runs `work`, which only reads; works even when the file is gone from its path.
    fn read_held<T>(
        &mut self,
        work: impl Fn(&mut Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.mending(&work) {
            Err(StoreError::Gone(_)) => work(self),
            result => result,
        }
    }

    /// Reports whether the path still names the file the connection holds.
    fn is_in_place(&self) -> bool {
        self.path
            .as_ref()
            .is_none_or(|path| file::identity(path) == self.identity)
    }

    /// Switches to another file that replaced ours at the path. If there is none, none is created.
    fn follow(&mut self, path: &Path) -> Result<(), StoreError> {
        match file::find(path)? {
            found if found == self.identity => Ok(()),
            None => Err(StoreError::Gone(path.to_owned())),
            Some(_) => {
                if self.log.is_some() && file::identity(&file::beside(path, file::LOG)) == self.log
                {
                    file::set_aside_helpers(path)?;
                }
                self.reopen(path)
            }
        }
    }

    fn reopen(&mut self, path: &Path) -> Result<(), StoreError> {
        let new = Self::open_unrepaired(path, self.access, self.at)?;
        self.switch_to(new)
    }

    /// Switches to another connection, and adds to its file what only this one knows.
    fn switch_to(&mut self, mut new: Self) -> Result<(), StoreError> {
        if new.read_only.is_none() && new.identity != self.identity {
            let merged = merge::merge(&self.conn, &mut new.conn)?;
            if merged > 0 {
                (self.report.0)(&Recovery::of_replaced(merged));
            }
        }
        // Not before: tasks named in the file of ids may have been on our list alone.
        new.reconcile_ids(&mut self.report)?;
        file::unsettle(&self.conn);
        mem::swap(&mut new.report, &mut self.report);
        // What the caller knows came from another file: all of this one is news.
        new.seen = -1;
        new.is_news_due = true;
        *self = new;
        Ok(())
    }

    /// Reopens a file that was read-only so far, in case that has changed.
    fn retry_writing(&mut self) -> Result<(), StoreError> {
        let Some(why) = self.read_only.clone() else {
            return Ok(());
        };
        let Some(path) = self.path.clone().filter(|_| self.access == Access::Full) else {
            return Err(why);
        };
        if file::find(&path)?.is_none() {
            return Err(StoreError::Gone(path));
        }
        let new = Self::attach(&path, self.at).map_err(|error| self.explain(&path, error))?;
        match &new.read_only {
            Some(why) => Err(why.clone()),
            None => self.switch_to(new),
        }
    }

    /// Compares the list with the file of ids. Reads no rows: an index has the ids.
    ///
    /// A list without a task that was added, or without a later change, is damaged. A task whose
    /// add was killed before the commit is added by its id. A file of ids that lacks a task or has
    /// damaged lines is rewritten. Returns the number of tasks added.
    fn compare_ids(&mut self) -> Result<usize, StoreError> {
        let (Some(path), Some(_)) = (self.path.clone(), self.identity) else {
            return Ok(0);
        };
        // Read first: every change committed in it is then on the list too.
        let log = match id_log::read(&path) {
            Ok(log) => log,
            Err(error) => {
                tracing::warn!(%error, "the file of ids cannot be read");
                return Ok(0);
            }
        };
        let (rev, listed) = read::ids(&self.conn)?;
        let known = log.unwrap_or_default();
        let is_lacking =
            |(id, entry): &(&TaskId, &Entry)| entry.is_watched && !listed.contains_key(*id);
        let is_lost = |said: &(&TaskId, &Entry)| {
            said.1.is_committed && (said.1.rev > rev || is_lacking(said))
        };
        let lost = known.entries.iter().filter(is_lost).count();
        if lost > 0 {
            let tasks = if lost == 1 { "task" } else { "tasks" };
            let what = format!("it lacks changes of {lost} {tasks}");
            return Err(StoreError::Damaged(what));
        }
        if self.read_only.is_some() {
            return Ok(0);
        }
        let changes: Vec<_> = (known.entries.iter().filter(is_lacking))
            .map(|(id, entry)| Change::Add {
                task: id.clone(),
                family: Family::default(),
                label: entry.label.clone(),
                at: self.at,
            })
            .collect();
        let is_known = |(id, is_watched): (&TaskId, &bool)| {
            let entry = known.entries.get(id);
            entry.map_or(!is_watched, |entry| entry.is_watched == *is_watched)
        };
        let is_right = known.is_whole && !known.is_bloated() && listed.iter().all(is_known);
        // If the disk refuses now, the next opening does it; an add reports the error itself.
        match self.add_missing_tasks(&path, &changes, is_right) {
            Err(error @ StoreError::Damaged(_)) => Err(error),
            Err(error) => {
                tracing::warn!(%error, "the file of ids cannot be written");
                Ok(0)
            }
            put_back => put_back,
        }
    }

    /// Adds tasks to the list, and rewrites the file of ids if it is not right.
    fn add_missing_tasks(
        &mut self,
        path: &Path,
        changes: &[Change],
        is_right: bool,
    ) -> Result<usize, StoreError> {
        let mut applied = Vec::new();
        if !changes.is_empty() {
            applied = self.write(changes)?;
        }
        if !is_right {
            self.flush_commits(true)?;
            let tx = self
                .conn
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            rewrite_ids(&tx, path)?;
            tx.commit()?;
        }
        let is_added = |applied: &&Applied| matches!(applied, Applied::Added(_));
        Ok(applied.iter().filter(is_added).count())
    }

    /// Forgets what was removed long ago, except the newest.
    fn purge(&mut self) -> Result<(), StoreError> {
        let Ok(before) = self.at.checked_sub(UNDO_AGE) else {
            return Ok(());
        };
        let old = {
            let mut statement = self.conn.prepare(
                "SELECT id FROM (SELECT id, removed_at FROM task WHERE removed_at IS NOT NULL
                 ORDER BY removed_at DESC LIMIT -1 OFFSET ?1) WHERE removed_at < ?2",
            )?;
            statement
                .query_map(params![UNDO_COUNT, before.as_millisecond()], |row| {
                    row.get::<_, String>(0)
                })?
                .collect::<Result<Vec<_>, _>>()?
        };
        if old.is_empty() {
            return Ok(());
        }
        let tx = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        for id in old {
            let gone = tx.execute(
                "DELETE FROM task WHERE id = ?1 AND removed_at < ?2",
                params![&id, before.as_millisecond()],
            )?;
            if gone > 0 {
                tx.execute("UPDATE meta SET rows = rows - 1", [])?;
                tx.execute("DELETE FROM raw WHERE task = ?1", [&id])?;
                tx.execute("DELETE FROM quiet WHERE task = ?1", [&id])?;
            }
        }
        tx.commit()?;
        Ok(())
    }

    fn read_all(&mut self) -> Result<Vec<Watched>, StoreError> {
        let tx = self.conn.transaction()?;
        let (rev, rows) = read::meta(&tx)?;
        let version = read::data_version(&tx)?;
        let all = read::all(&tx, rev, rows)?;
        tx.finish()?;
        self.seen = rev;
        self.version = version;
        self.own.clear();
        self.is_news_due = false;
        Ok(all)
    }

    /// Sets whether commits are flushed. SQLite takes it between transactions only, and without any input
    /// or output, so it is set for each as it needs.
    fn flush_commits(&mut self, is_flushed: bool) -> Result<(), StoreError> {
        if self.is_flushed != Some(is_flushed) {
            // EXTRA is FULL, and where the write-ahead log is refused it also syncs the folder after the journal's end.
            let level = if is_flushed { "EXTRA" } else { "NORMAL" };
            self.conn.pragma_update(None, "synchronous", level)?;
            if cfg!(target_os = "macos") {
                // There fsync(2) leaves the data in the drive's cache.
                self.conn.pragma_update(None, "fullfsync", is_flushed)?;
            }
            self.is_flushed = Some(is_flushed);
        }
        Ok(())
    }

    fn write(&mut self, changes: &[Change]) -> Result<Vec<Applied>, StoreError> {
        self.flush_commits(changes.iter().any(must_last))?;
        let tx = self
            .conn
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (before, _) = read::meta(&tx)?;
        let rev = before.saturating_add(1);
        let mut writer = Writer::new(&tx, rev);
        let mut applied = Vec::with_capacity(changes.len());
        for change in changes {
            applied.push(writer.apply(change)?);
        }
        let written = writer.finish()?;
        let appended = append_ids(&tx, self.path.as_deref(), rev, changes, &applied)?;
        let committed = tx.commit();
        self.finish_ids(appended, committed.is_ok());
        committed?;

        if written.is_empty() {
            return Ok(applied);
        }
        let has_news = written.iter().any(|row| row.is_news);
        self.is_news_due |= has_news;
        if before == self.seen && !has_news {
            self.seen = rev;
            return Ok(applied);
        }
        for row in written {
            // A row another instance wrote since we looked stays news after we wrote it too.
            let known = match row.before {
                None => true,
                Some(before) => {
                    before <= self.seen || before == rev || self.own.get(&row.task) == Some(&before)
                }
            };
            if known && !row.is_news {
                self.own.insert(row.task, rev);
            } else {
                self.own.remove(&row.task);
            }
        }
        Ok(applied)
    }

    /// Confirms lines of the file of ids, or removes them if their transaction failed.
    fn finish_ids(&mut self, appended: Option<Appended>, is_committed: bool) {
        let Some(appended) = appended else { return };
        let done = if !is_committed {
            // Others may have written since, so the lock is needed again.
            self.conn
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(StoreError::from)
                .and_then(|_lock| appended.take_back())
        } else if self.is_in_place() {
            appended.confirm()
        } else {
            // A change written to a file that was replaced meanwhile is written again.
            Ok(())
        };
        if let Err(error) = done {
            tracing::warn!(%error, "the file of ids has lines that nothing confirms");
        }
    }

    fn news(&mut self) -> Result<Vec<Delta>, StoreError> {
        if !self.is_news_due && read::data_version(&self.conn)? == self.version {
            return Ok(Vec::new());
        }
        let tx = self.conn.transaction()?;
        let (rev, _) = read::meta(&tx)?;
        let version = read::data_version(&tx)?;
        let mut deltas = Vec::new();
        {
            let mut statement =
                tx.prepare_cached(&format!("SELECT {COLUMNS} FROM task WHERE rev > ?1"))?;
            let mut found = statement.query([self.seen])?;
            while let Some(row) = found.next()? {
                let mut stored = rows::decode(&read::cells(row)?)?;
                let id = stored.watched.id();
                if self.own.get(id) == Some(&stored.rev) {
                    continue;
                }
                stored.watched.notices = quiet::notices(&tx, id)?;
                let id = stored.watched.id();
                deltas.push(match stored.removed_at {
                    Some(_) => Delta::Gone(id.clone()),
                    None => Delta::Changed(Box::new(stored.watched)),
                });
            }
        }
        tx.finish()?;
        self.seen = rev;
        self.version = version;
        self.own.clear();
        self.is_news_due = false;
        Ok(deltas)
    }
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        if !self.is_in_place() {
            file::unsettle(&self.conn);
        }
    }
}

impl ListStore for SqliteStore {
    fn load(&mut self) -> Result<Vec<Watched>, StoreError> {
        self.read_held(Self::read_all)
    }

    /// Fails at once if the file is read-only, and with [`StoreError::Gone`] if it is no longer at
    /// its path; an empty list of changes checks whether that is still so.
    ///
    /// Adding a watched task that has no label gives it the one of the change; the row then comes with the
    /// next [`changes`](ListStore::changes), as the answer does not hold it.
    fn apply(&mut self, changes: &[Change]) -> Result<Vec<Applied>, StoreError> {
        if self.access == Access::Full || !changes.is_empty() {
            self.retry_writing()?;
        }
        if changes.is_empty() {
            return self.mending(|_| Ok(Vec::new()));
        }
        self.at = changes.iter().map(Change::at).fold(self.at, Timestamp::max);
        for _ in 0..MOST_TRIES {
            let applied = self.mending(|store| store.write(changes))?;
            // Another instance may have moved the file aside as damaged while we wrote: what went into the
            // old one is written to the new one as well.
            if self.is_in_place() {
                return Ok(applied);
            }
        }
        Err(StoreError::Other("it is replaced again and again".into()))
    }

    /// Costs one look at shared memory while no other connection has written.
    fn changes(&mut self) -> Result<Vec<Delta>, StoreError> {
        self.mending(Self::news)
    }

    /// Writes the list, as the connection still holds it, back to its path if the file is gone.
    fn write_back(&mut self) -> Result<(), StoreError> {
        if let Some(why) = self.read_only.clone() {
            return Err(why);
        }
        if let Some(path) = self.path.clone()
            && file::find(&path)?.is_none()
        {
            file::put_back(&self.conn, &path).map_err(|error| self.explain(&path, error))?;
        }
        // Also when another instance was faster.
        self.mending(|_| Ok(()))
    }

    fn recall(&mut self) -> Result<Memory, StoreError> {
        self.read_held(|store| outlook::recall(&store.conn))
    }

    /// Fails with [`StoreError::ReadOnly`] where the file may only be read. Other instances have nothing to read anew.
    fn remember(&mut self, lens: &Lens) -> Result<(), StoreError> {
        if let Some(why) = &self.read_only {
            return Err(why.clone());
        }
        self.mending(|store| {
            store.flush_commits(false)?;
            let tx = store
                .conn
                .transaction_with_behavior(TransactionBehavior::Immediate)?;
            outlook::remember(&tx, lens)?;
            tx.commit()?;
            Ok(())
        })
    }

    fn journal(&mut self, task: &TaskId, most: usize) -> Result<Vec<JournalLine>, StoreError> {
        self.read_held(|store| read::journal(&store.conn, task, most))
    }

    fn record(&mut self, task: &TaskId) -> Result<Option<Record>, StoreError> {
        let found = self.raw(task)?;
        Ok(found.map(|(since, json)| Record::read(since, &json)))
    }

    /// Does nothing where the file may only be read.
    fn note_visit(&mut self, at: Timestamp) -> Result<(), StoreError> {
        if self.read_only.is_some() {
            return Ok(());
        }
        self.mending(|store| {
            store.flush_commits(false)?;
            outlook::note_visit(&store.conn, at)
        })
    }
}

/// Reports whether a change must be on the disk when it is acknowledged: a person waits for it, or it is
/// an ending, or a file on disk, which is not asked for again.
fn must_last(change: &Change) -> bool {
    let is_ending =
        matches!(change, Change::Observed { observation, .. } if observation.state.is_final());
    is_ending || matches!(change, Change::Saved { .. }) || change.is_acknowledged()
}

/// Reports whether a file of ids lies beside the path of a list, which may itself be gone.
pub fn has_ids(list: &Path) -> bool {
    file::real_path(list).is_ok_and(|list| file::beside(&list, id_log::SUFFIX).is_file())
}

/// Appends the id and label changes of a transaction to the file of ids, before it is committed.
fn append_ids(
    tx: &Transaction<'_>,
    list: Option<&Path>,
    rev: i64,
    changes: &[Change],
    applied: &[Applied],
) -> Result<Option<Appended>, StoreError> {
    let Some(list) = list else { return Ok(None) };
    let mut lines = Lines::default();
    for (change, applied) in changes.iter().zip(applied) {
        let id = change.task();
        match (change, applied) {
            (Change::Add { .. } | Change::Restore { .. }, Applied::Added(watched)) => {
                lines.push(rev, Event::Add, id, watched.label.as_ref());
            }
            (Change::Remove { .. }, Applied::Removed) => lines.push(rev, Event::Remove, id, None),
            (Change::Label { .. }, Applied::Noted)
            | (Change::Add { label: Some(_), .. }, Applied::AlreadyWatched) => {
                let label = read::one(tx, id)?.and_then(|stored| stored.watched.label);
                lines.push(rev, Event::Label, id, label.as_ref());
            }
            _ => {}
        }
    }
    if lines.is_empty() {
        return Ok(None);
    }
    let appended = id_log::append(list, rev, &lines)?;
    if appended.is_none() {
        rewrite_ids(tx, list)?;
    }
    Ok(appended)
}

/// Rewrites the file of ids from the list, and from its own lines about tasks without a row.
///
/// Needs the write lock, under which no other lines are being written, and a flushed commit: the
/// revisions it names must never be lost. A damaged list would make an incomplete file that claims
/// to be whole, so the whole list is verified first.
fn rewrite_ids(tx: &Transaction<'_>, path: &Path) -> Result<(), StoreError> {
    let (rev, rows) = read::meta(tx)?;
    read::all(tx, rev, rows)?;
    let IdLog { mut entries, .. } = id_log::read(path)?.unwrap_or_default();
    entries.retain(|_, entry| entry.is_committed);
    read::each(tx, |stored| {
        let entry = Entry {
            rev: stored.rev,
            is_watched: stored.removed_at.is_none(),
            label: stored.watched.label.clone(),
            is_committed: true,
        };
        entries.insert(stored.watched.id().clone(), entry);
    })?;
    // A transaction without a change would flush nothing.
    tx.execute("UPDATE meta SET rev = rev", [])?;
    id_log::rewrite(path, &entries)
}
