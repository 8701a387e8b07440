//! The list file's layout, and the way from an older one to this one.
//!
//! Every change of the layout, a new word in a column included, is a script of its own here; a
//! script once released is never edited. A newer file is refused before anything is written.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::file;
use crate::domain::list_change::StoreError;

/// Marks the file as ours ("kiet"), beside SQLite's own mark.
const APPLICATION_ID: i64 = 0x6b69_6574;

/// The scripts in their order: the n-th leads from version n to n + 1.
///
/// The table of tasks is kept in the order of its ids without an index beside it, so what was read
/// is what lookups find; `task_rev` and `task_removed` hold nothing that is not in it. `outlook` is
/// how the list was looked at last; it is here and not in a file of its own because it belongs to
/// this list, and needs no second way of writing.
const MIGRATIONS: [&str; 4] = [
    "
    CREATE TABLE task (
        id TEXT NOT NULL PRIMARY KEY,
        added_at INTEGER NOT NULL,
        removed_at INTEGER,
        rev INTEGER NOT NULL,
        family TEXT NOT NULL,
        label TEXT,
        state TEXT NOT NULL,
        flag ANY,
        prompt TEXT,
        source TEXT,
        callback TEXT,
        watermark TEXT,
        created_at INTEGER,
        completed_at INTEGER,
        origins TEXT,
        results TEXT,
        error_code TEXT,
        error_message TEXT,
        last_ok INTEGER,
        checks INTEGER NOT NULL,
        failures INTEGER NOT NULL,
        check_at INTEGER,
        check_kind TEXT,
        check_code INTEGER,
        check_text TEXT,
        sum INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX task_rev ON task (rev);
    CREATE INDEX task_removed ON task (removed_at) WHERE removed_at IS NOT NULL;
    CREATE TABLE raw (
        task TEXT NOT NULL PRIMARY KEY,
        at INTEGER NOT NULL,
        body TEXT NOT NULL
    ) STRICT;
    CREATE TABLE journal (
        seq INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        task TEXT NOT NULL,
        kind TEXT NOT NULL,
        detail TEXT
    ) STRICT;
    CREATE INDEX journal_task ON journal (task);
    CREATE TABLE meta (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        rev INTEGER NOT NULL,
        rows INTEGER NOT NULL
    ) STRICT;
    INSERT INTO meta VALUES (1, 0, 0);
",
    "
    CREATE TABLE outlook (
        name TEXT NOT NULL PRIMARY KEY,
        value TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    // Also the journal's word `labelled`.
    "
    CREATE TABLE quiet (task TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;
",
    // Results on disk. Behind the checksum, which covers it where it holds something: rows of
    // before stay right.
    "
    ALTER TABLE task ADD COLUMN saves TEXT;
",
];

/// The version this program writes.
#[expect(clippy::cast_possible_wrap, reason = "a list written by hand")]
pub(super) const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// How an opened file stands to this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SchemaState {
    /// There is nothing in it yet.
    Empty,
    /// An older program wrote it.
    Outdated(i64),
    /// It is of this version.
    Current,
}

/// Reads how the file stands, and writes nothing.
///
/// Another program's database is named and left alone; one of ours that lacks its tables is
/// damaged.
pub(super) fn schema_state(conn: &Connection) -> Result<SchemaState, StoreError> {
    // One look at all of it: another instance may be making the tables at this moment.
    let look = conn.unchecked_transaction()?;
    let number = |sql| look.query_row(sql, [], |row| row.get::<_, i64>(0));
    let version = number("PRAGMA user_version")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    let is_ours = number("PRAGMA application_id")? == APPLICATION_ID
        || number("SELECT count(*) FROM sqlite_schema WHERE name IN ('task', 'task_rev', 'meta')")?
            > 1;
    if version > SCHEMA_VERSION && is_ours {
        return Err(StoreError::NewerVersion {
            found: version,
            known: SCHEMA_VERSION,
        });
    }
    if tables == 0 && version == 0 {
        return Ok(SchemaState::Empty);
    }
    if !is_ours {
        return Err(StoreError::Other(
            "it is another program's database; name another file with --store".into(),
        ));
    }
    match version {
        SCHEMA_VERSION => Ok(SchemaState::Current),
        older if older > 0 => Ok(SchemaState::Outdated(older)),
        _ => Err(StoreError::Damaged("its version is not readable".into())),
    }
}

/// Brings the file to this version in one transaction. An older one is copied first, to
/// `<name>.v<N>.bak` beside it.
pub(super) fn migrate(
    conn: &mut Connection,
    path: Option<&Path>,
    from: SchemaState,
) -> Result<(), StoreError> {
    migrate_with(conn, path, from, &MIGRATIONS)
}

fn migrate_with(
    conn: &mut Connection,
    path: Option<&Path>,
    from: SchemaState,
    scripts: &[&str],
) -> Result<(), StoreError> {
    match (from, path) {
        (SchemaState::Current, _) => return Ok(()),
        (SchemaState::Outdated(version), Some(path)) => {
            file::copy_to_free_name(conn, path, &format!(".v{version}.bak"))?;
        }
        (SchemaState::Outdated(_), None) | (SchemaState::Empty, _) => {}
    }
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Read again under the lock: another instance may just have done it.
    let version: i64 = tx.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let done = usize::try_from(version).unwrap_or_default();
    for script in scripts.iter().skip(done) {
        tx.execute_batch(script)?;
    }
    if done < scripts.len() {
        let version = i64::try_from(scripts.len()).unwrap_or(SCHEMA_VERSION);
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", version)?;
    }
    tx.commit()?;
    Ok(())
}

/// Fails when the file lacks something this program needs.
pub(super) fn check_tables(conn: &Connection) -> Result<(), StoreError> {
    for sql in [
        &format!("SELECT {} FROM task", super::rows::COLUMNS),
        "SELECT task, at, body FROM raw",
        "SELECT seq, at, task, kind, detail FROM journal",
        "SELECT rev, rows FROM meta",
        "SELECT name, value FROM outlook",
        "SELECT task FROM quiet",
    ] {
        if let Err(error) = conn.prepare(sql) {
            let error = StoreError::from(error);
            return Err(if let StoreError::Other(what) = error {
                StoreError::Damaged(what)
            } else {
                error
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: [&str; 1] = ["CREATE TABLE task (id TEXT); INSERT INTO task VALUES ('a');
        CREATE TABLE meta (rev INTEGER);"];
    const NEW: [&str; 2] = [
        OLD[0],
        "ALTER TABLE task ADD COLUMN label TEXT; UPDATE task SET label = 'old'",
    ];

    #[test]
    fn an_older_file_is_backed_up_and_migrated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.db");
        file::create_private(&path).unwrap();
        let mut conn = Connection::open(&path).unwrap();
        migrate_with(&mut conn, Some(&path), SchemaState::Empty, &OLD).unwrap();

        for _ in 0..2 {
            migrate_with(&mut conn, Some(&path), SchemaState::Outdated(1), &NEW).unwrap();
        }

        let label: String = conn
            .query_row("SELECT label FROM task WHERE id = 'a'", [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(label, "old");
        let copy = Connection::open(dir.path().join("list.db.v1.bak")).unwrap();
        assert!(copy.prepare("SELECT label FROM task").is_err());
        assert_eq!(
            copy.query_row("PRAGMA user_version", [], |row| row.get(0)),
            Ok(1)
        );
        assert!(dir.path().join("list.db.v1.bak-2").exists());
    }

    #[test]
    fn a_failed_migration_changes_nothing() {
        let mut conn = Connection::open_in_memory().unwrap();
        migrate_with(&mut conn, None, SchemaState::Empty, &OLD).unwrap();

        let broken = [OLD[0], "UPDATE task SET id = 'b'; SELECT nonsense;"];
        let result = migrate_with(&mut conn, None, SchemaState::Outdated(1), &broken);

        assert!(result.is_err());
        assert_eq!(
            conn.query_row("SELECT id FROM task", [], |row| row.get(0)),
            Ok("a".to_owned())
        );
    }

    #[test]
    fn another_programs_database_is_named() {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch("CREATE TABLE places (id TEXT)").unwrap();

        assert!(matches!(schema_state(&conn), Err(StoreError::Other(_))));
    }
}
