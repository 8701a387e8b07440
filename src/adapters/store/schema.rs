//! The schema of the list file, and its migrations.
//!
//! Every change of the schema is a new script, also a new value in a column; a released script is
//! never edited. A newer file is refused before anything is written.

use std::path::Path;

use rusqlite::{Connection, TransactionBehavior};

use super::{file, rows};
use crate::domain::list_change::StoreError;

/// SQLite's `application_id` of our files: "kiet".
const APPLICATION_ID: i64 = 0x6b69_6574;

/// The page size in bytes: four rows fit on a page even with long prompts. Only an empty file
/// accepts it.
pub(super) const PAGE_SIZE: u32 = 8192;

/// The migration scripts, from index n to version n + 1.
///
/// `task` is stored in the order of its ids without a separate index, so lookups read the verified
/// rows; `task_rev` and `task_removed` only repeat values of it. `outlook` is the session: it
/// belongs to this list, and a file of its own would need a second safe way of writing.
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
    // Also adds the journal kind `labelled`.
    "
    CREATE TABLE quiet (task TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;
",
    // Saved results. The column follows the checksum, which does not cover a null there, so old
    // rows stay valid.
    "
    ALTER TABLE task ADD COLUMN saves TEXT;
",
];

#[expect(clippy::cast_possible_wrap, reason = "the number of scripts is small")]
pub(super) const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// The schema of an opened file, compared with ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SchemaState {
    Empty,
    /// The file's older version.
    Outdated(i64),
    Current,
}

/// Reads the schema version. Fails on a newer file and on another program's database; one of our
/// files without its tables is damaged.
pub(super) fn schema_state(conn: &Connection) -> Result<SchemaState, StoreError> {
    // In one transaction: another instance may be creating the tables.
    let tx = conn.unchecked_transaction()?;
    let number = |sql| tx.query_row(sql, [], |row| row.get::<_, i64>(0));
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
            "it is another program's database; use another file with --store".into(),
        ));
    }
    match version {
        SCHEMA_VERSION => Ok(SchemaState::Current),
        older if older > 0 => Ok(SchemaState::Outdated(older)),
        _ => Err(StoreError::Damaged("unreadable schema version".into())),
    }
}

/// Migrates the file to this version in one transaction. An older file is first copied to
/// `<name>.v<N>.bak`.
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
    // Read again under the lock: another instance may have migrated it.
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

/// A table of the list.
pub(super) struct StoredTable {
    pub(super) name: &'static str,
    /// The key in whose order it is stored.
    pub(super) key: &'static str,
    pub(super) columns: String,
}

pub(super) fn tables() -> [StoredTable; 6] {
    [
        ("task", "id", &*rows::column_names()),
        ("raw", "rowid", "task, at, body"),
        ("journal", "seq", "seq, at, task, kind, detail"),
        ("meta", "one", "one, rev, rows"),
        ("outlook", "name", "name, value"),
        ("quiet", "task", "task"),
    ]
    .map(|(name, key, columns)| StoredTable {
        name,
        key,
        columns: columns.to_owned(),
    })
}

/// Fails if a table or column is missing.
pub(super) fn check_tables(conn: &Connection) -> Result<(), StoreError> {
    for StoredTable { name, columns, .. } in tables() {
        if let Err(error) = conn.prepare(&format!("SELECT {columns} FROM {name}")) {
            let error = StoreError::from(error);
            return Err(if let StoreError::Other(why) = error {
                StoreError::Damaged(why)
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
