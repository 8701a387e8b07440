//! What becomes of a damaged list file: it is moved aside as it is, and what it still holds is carried
//! over into a new one. An id lost is a video lost.
//!
//! Rows are taken through SQLite as far as it goes, and then out of the raw bytes of the file and its
//! log, where a row is known by its shape and proved by its checksum. Of a row that cannot be proved the
//! id and the label are kept, and the task is asked after anew. The path names a whole file at every moment.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, types::ValueRef};

use super::{
    apply,
    file::{self, Identity},
    read,
    rows::{self, ADDED_AT, COLUMNS, Cells, FIRST_WIDTH, ID, LABEL, REMOVED_AT, Stored, WIDTH},
    schema::{self, Standing},
};
use crate::domain::{
    change::StoreError,
    task::{Family, Task, TaskId},
    text::CleanText,
    watched::Watched,
};

/// Says what became of a damaged list file. `Display` gives it as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rescued {
    /// Where the damaged file lies now, with its log beside it.
    pub kept_as: PathBuf,
    /// What was wrong with it.
    pub why: String,
    /// How many watched tasks were carried over with all that was known of them.
    pub whole: usize,
    /// How many by their name only: they are asked after anew.
    pub named: usize,
    /// How many rows the damaged file said it had, where that could be read.
    pub counted: Option<i64>,
    /// How many rows were carried over, those of removed tasks with them.
    pub carried: i64,
}

impl Rescued {
    /// Reports whether every row the file had is carried over with all that was known of it.
    ///
    /// A file that cannot say how many it had is taken to have lost some.
    pub const fn is_complete(&self) -> bool {
        self.named == 0
            && match self.counted {
                Some(counted) => self.carried >= counted,
                None => false,
            }
    }
}

impl fmt::Display for Rescued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kept_as,
            why,
            whole,
            named,
            ..
        } = self;
        let kept_as = CleanText::line(&kept_as.to_string_lossy(), 1024);
        write!(
            f,
            "The list file was damaged ({why}) and is kept as {kept_as}; "
        )?;
        match (whole, named) {
            (0, 0) => write!(f, "no task could be read from it."),
            (whole, 0) => write!(f, "{whole} tasks were carried over."),
            (whole, named) => write!(
                f,
                "{whole} tasks were carried over, and {named} by their id only: they are asked after anew."
            ),
        }?;
        let lost = self
            .counted
            .map(|counted| counted.saturating_sub(self.carried));
        match lost {
            Some(1..) | None if *whole + *named > 0 && !self.is_complete() => {
                f.write_str(" Some may be lost; look there before you delete it.")
            }
            _ => Ok(()),
        }
    }
}

/// Moves the damaged file aside and puts a new one in its place, with what could be read.
///
/// `judged` is the file that was found damaged: when the path names another by now, another instance has
/// done the work, and the answer is none.
pub(super) fn rescue(
    path: &Path,
    judged: Option<Identity>,
    at: Timestamp,
    why: &str,
) -> Result<Option<Rescued>, StoreError> {
    let kept = |error: StoreError| {
        if let StoreError::ReadOnly(what) = error {
            StoreError::Damaged(format!("{why}; it cannot be moved aside: {what}"))
        } else {
            error
        }
    };
    let fault = |error: io::Error| kept(file::io_error(path, &error));

    let folder = path.parent().unwrap_or(Path::new("/"));
    let lock = File::open(folder).map_err(fault)?;
    lock.lock().map_err(fault)?;
    if file::identity(path) != judged {
        return Ok(None);
    }
    let suffix = format!(".corrupt-{}", at.strftime("%Y%m%dT%H%M%SZ"));
    let aside = file::free_name(path, &suffix, |name| {
        // A second name, not a new one: the path never names nothing.
        fs::hard_link(path, name).or_else(|_| {
            if name.exists() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            // A file system without second names.
            fs::copy(path, name).map(drop)
        })
    })
    .map_err(kept)?;
    let fresh = file::free_name(path, ".new", file::create).map_err(kept)?;

    let found = read_what_is_left(path, &aside);
    let rescued = fill(&fresh, &found, at).map(|filled| Rescued {
        kept_as: aside.clone(),
        why: CleanText::line(why, 256).as_str().to_owned(),
        whole: filled.whole,
        named: filled.named,
        counted: found.counted,
        carried: filled.rows,
    });
    let rescued = match rescued {
        Ok(rescued) => rescued,
        Err(error) => {
            drop(fs::remove_file(&fresh));
            drop(fs::remove_file(&aside));
            return Err(error);
        }
    };
    // The old log goes before the new file comes: SQLite would apply it to whatever file it lies beside.
    for suffix in file::BESIDE {
        match fs::rename(file::beside(path, suffix), file::beside(&aside, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(error)),
            _ => {}
        }
    }
    fs::rename(&fresh, path).map_err(fault)?;
    lock.sync_all().map_err(fault)?;
    Ok(Some(rescued))
}

/// Is what a damaged file still held.
#[derive(Debug, Default)]
struct Found {
    /// Rows proved by their checksum, the newest of each id.
    whole: BTreeMap<TaskId, Stored>,
    /// Ids and labels of rows that could not be proved.
    named: BTreeMap<TaskId, Option<CleanText>>,
    /// Raw answers and journal lines, as far as they could be read.
    raw: Vec<(String, i64, String)>,
    journal: Vec<(i64, String, String, Option<String>)>,
    /// The tasks whose endings are not told of.
    quiet: Vec<String>,
    /// How many rows the file said it had.
    counted: Option<i64>,
}

/// Is what a new file was filled with.
struct Filled {
    /// Watched tasks with all that was known of them.
    whole: usize,
    /// Watched tasks by their name only.
    named: usize,
    /// All rows.
    rows: i64,
}

impl Found {
    fn take(&mut self, cells: &Cells<'_>) {
        if let Ok(stored) = rows::decode(cells) {
            let id = stored.watched.id().clone();
            let is_newer = |known: &Stored| known.rev < stored.rev;
            if self.whole.get(&id).is_none_or(is_newer) {
                self.whole.insert(id, stored);
            }
        } else if cells.get(REMOVED_AT) == Some(&ValueRef::Null)
            && let Some((id, label)) = rows::remains(cells)
        {
            self.named.entry(id).or_insert(label);
        }
    }
}

/// Reads all it can, from copies: SQLite would write to the files it repairs.
fn read_what_is_left(path: &Path, aside: &Path) -> Found {
    let mut found = Found::default();
    let copy = file::beside(aside, ".reading");
    let copies = ["", "-wal"].map(|suffix| (suffix, file::beside(&copy, suffix)));
    for (suffix, copy) in &copies {
        drop(fs::copy(file::beside(path, suffix), copy));
    }
    // Each step takes what it can; the next one goes on where it ended.
    drop(read_by_sql(&copy, &mut found));
    for (suffix, _) in &copies {
        let bytes = fs::read(file::beside(path, suffix)).unwrap_or_default();
        carve(&bytes, &mut found);
    }
    for suffix in ["", "-wal", "-shm", "-journal"] {
        drop(fs::remove_file(file::beside(&copy, suffix)));
    }
    found
}

fn read_by_sql(copy: &Path, found: &mut Found) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(copy, flags)?;
    file::set_up(&conn)?;
    found.counted = conn
        .query_row("SELECT rows FROM meta", [], |row| row.get(0))
        .ok();
    // An older file has fewer columns.
    let columns = if conn.prepare(&format!("SELECT {COLUMNS} FROM task")).is_ok() {
        COLUMNS.to_owned()
    } else {
        let first: Vec<_> = COLUMNS.split(", ").take(FIRST_WIDTH).collect();
        format!(
            "{}{}",
            first.join(", "),
            ", NULL".repeat(WIDTH - FIRST_WIDTH)
        )
    };
    // From both ends: a broken page in the middle then costs that page.
    for order in ["ASC", "DESC"] {
        let sql = format!("SELECT {columns} FROM task ORDER BY id {order}");
        drop(each(&conn, &sql, |row| {
            found.take(&read::cells(row)?);
            Ok(())
        }));
    }
    drop(each(&conn, "SELECT task, at, body FROM raw", |row| {
        found.raw.push((row.get(0)?, row.get(1)?, row.get(2)?));
        Ok(())
    }));
    drop(each(&conn, "SELECT task FROM quiet", |row| {
        found.quiet.push(row.get(0)?);
        Ok(())
    }));
    each(
        &conn,
        "SELECT at, task, kind, detail FROM journal ORDER BY seq",
        |row| {
            found
                .journal
                .push((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            Ok(())
        },
    )
}

fn each(
    conn: &Connection,
    sql: &str,
    mut take: impl FnMut(&rusqlite::Row<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut statement = conn.prepare(sql)?;
    let mut found = statement.query([])?;
    while let Some(row) = found.next()? {
        // A row that cannot be read is passed over.
        drop(take(row));
    }
    Ok(())
}

/// Takes rows out of raw bytes.
///
/// A row lies as a header (its own length, then one type for each column, see "Record Format" of SQLite's
/// file format) and its values. Ours begins with a text, then a six-byte time, which few other bytes do.
fn carve(bytes: &[u8], found: &mut Found) {
    for at in 0..bytes.len() {
        let Some(rest) = bytes.get(at..) else { return };
        match row_in(rest) {
            Some((cells, true)) => found.take(&cells),
            Some((cells, false)) if is_likely(&cells) => found.take(&cells),
            Some((_, false)) | None => {}
        }
    }
}

/// Reads a row at the very start of `bytes`, and whether all of it is there: a long one goes on elsewhere.
fn row_in(bytes: &[u8]) -> Option<(Cells<'_>, bool)> {
    let header_length = usize::from(*bytes.first()?);
    if !(FIRST_WIDTH + 1..0x80).contains(&header_length) {
        return None;
    }
    let mut header = bytes.get(1..header_length)?;
    // Cheap, and all but a few positions end here.
    let is_text = |kind: u64| kind >= 13 && kind % 2 == 1;
    let mut kinds = [0_u64; WIDTH];
    for (at, kind) in kinds.iter_mut().enumerate() {
        if header.is_empty() && at >= FIRST_WIDTH {
            // Written before there were so many columns: the rest holds nothing.
            break;
        }
        *kind = varint(&mut header)?;
        let is_ours = match at {
            ID => is_text(*kind),
            ADDED_AT => *kind == 5,
            _ => true,
        };
        if !is_ours {
            return None;
        }
    }
    if !header.is_empty() {
        return None;
    }
    let mut values = bytes.get(header_length..)?;
    let mut cells: Cells<'_> = [ValueRef::Null; WIDTH];
    for (cell, kind) in cells.iter_mut().zip(kinds) {
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => usize::try_from(kind).ok()?,
            5 => 6,
            6 | 7 => 8,
            10 | 11 => return None,
            text => usize::try_from((text - 12) / 2).ok()?,
        };
        let Some((value, rest)) = values.split_at_checked(length) else {
            return Some((cells, false));
        };
        values = rest;
        *cell = match kind {
            0 => ValueRef::Null,
            8 => ValueRef::Integer(0),
            9 => ValueRef::Integer(1),
            1..=6 => ValueRef::Integer(integer(value)),
            7 => ValueRef::Real(f64::from_bits(integer(value).cast_unsigned())),
            kind if is_text(kind) => ValueRef::Text(value),
            _ => ValueRef::Blob(value),
        };
    }
    let is_whole = rows::is_whole(&cells);
    Some((cells, is_whole))
}

/// Reports whether an unproved row looks like one of ours: a time of this century, an id, a label that
/// is text.
fn is_likely(cells: &Cells<'_>) -> bool {
    const CENTURY: std::ops::Range<i64> = 946_684_800_000..4_102_444_800_000;
    let is_recent = cells
        .get(ADDED_AT)
        .and_then(|at| at.as_i64().ok())
        .is_some_and(|at| CENTURY.contains(&at));
    let is_labelled = matches!(cells.get(LABEL), Some(ValueRef::Null | ValueRef::Text(_)));
    is_recent && is_labelled && rows::remains(cells).is_some()
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for _ in 0..5 {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value = value << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Reads a signed whole number, the high byte first.
fn integer(bytes: &[u8]) -> i64 {
    let is_negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let start = if is_negative { -1 } else { 0 };
    bytes
        .iter()
        .fold(start, |value, byte| value << 8 | i64::from(*byte))
}

/// Writes a new file with what was found, and tells how much that was.
fn fill(fresh: &Path, found: &Found, at: Timestamp) -> Result<Filled, StoreError> {
    let (mut conn, _) = file::connect(fresh)?;
    file::settle(&conn)?;
    conn.pragma_update(None, "page_size", 8192)?;
    schema::migrate(&mut conn, None, Standing::Fresh)?;
    let named = found
        .named
        .iter()
        .filter(|(id, _)| !found.whole.contains_key(*id));
    // Later than any revision there was, so that every instance sees these rows as news.
    let newest = found.whole.values().map(|stored| stored.rev).max();
    let rev = newest.unwrap_or_default().saturating_add(1);

    let tx = conn.transaction()?;
    let mut rows = 0_i64;
    let mut bare = 0;
    for (id, label) in named {
        let task = Task::new(id.clone(), Family::default());
        let stored = Stored {
            watched: Watched::new(task, label.clone(), rows::whole(at)),
            removed_at: None,
            rev,
        };
        apply::put(&tx, &stored)?;
        rows += 1;
        bare += 1;
    }
    for stored in found.whole.values() {
        apply::put(&tx, stored)?;
        rows += 1;
    }
    for row in &found.raw {
        tx.execute(
            "INSERT OR IGNORE INTO raw (task, at, body) VALUES (?1, ?2, ?3)",
            (&row.0, row.1, &row.2),
        )?;
    }
    for task in &found.quiet {
        tx.execute("INSERT OR IGNORE INTO quiet (task) VALUES (?1)", [task])?;
    }
    for line in &found.journal {
        tx.execute(
            "INSERT INTO journal (at, task, kind, detail) VALUES (?1, ?2, ?3, ?4)",
            (line.0, &line.1, &line.2, &line.3),
        )?;
    }
    tx.execute("UPDATE meta SET rev = ?1, rows = ?2", [rev, rows])?;
    tx.commit()?;
    conn.close().map_err(|(_, error)| StoreError::from(error))?;
    let watched = found.whole.values().filter(|row| row.removed_at.is_none());
    Ok(Filled {
        whole: watched.count(),
        named: bare,
        rows,
    })
}
