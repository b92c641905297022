//! The tables.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rusqlite::Connection;

/// `nodes.parent` is NULL for the root directory of a filesystem, and for what `deleted` keeps. AUTOINCREMENT: an id names a content file, so it
/// must not come back while an old file of that name still waits to be removed.
const TABLES: &str = "
CREATE TABLE IF NOT EXISTS accounts (
    name TEXT PRIMARY KEY, kind TEXT NOT NULL, hierarchical INTEGER NOT NULL,
    key1 BLOB NOT NULL, key2 BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS filesystems (
    account TEXT NOT NULL, name TEXT NOT NULL, root INTEGER NOT NULL, etag INTEGER NOT NULL,
    modified_ms INTEGER NOT NULL, properties TEXT NOT NULL, PRIMARY KEY (account, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS nodes (
    id INTEGER PRIMARY KEY AUTOINCREMENT, parent INTEGER, name TEXT NOT NULL, is_directory INTEGER NOT NULL,
    length INTEGER NOT NULL, etag INTEGER NOT NULL, modified_ms INTEGER NOT NULL, created_ms INTEGER NOT NULL,
    owner TEXT NOT NULL, owning_group TEXT NOT NULL, mode INTEGER NOT NULL, acl TEXT,
    properties TEXT NOT NULL, settings TEXT NOT NULL,
    lease TEXT, expires_ms INTEGER, encryption_context TEXT
);
CREATE UNIQUE INDEX IF NOT EXISTS nodes_by_name ON nodes (parent, name);
CREATE TABLE IF NOT EXISTS extents (
    node INTEGER NOT NULL, first INTEGER NOT NULL, past INTEGER NOT NULL,
    spool TEXT, origin INTEGER NOT NULL, PRIMARY KEY (node, first)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS extents_by_spool ON extents (spool) WHERE spool IS NOT NULL;
CREATE TABLE IF NOT EXISTS blocks (
    root INTEGER NOT NULL, path TEXT NOT NULL, id TEXT NOT NULL,
    spool TEXT NOT NULL, length INTEGER NOT NULL, PRIMARY KEY (root, path, id)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS policies (root INTEGER PRIMARY KEY, policies TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS roles (
    account TEXT NOT NULL, principal TEXT NOT NULL, role TEXT NOT NULL, PRIMARY KEY (account, principal)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS committed_blocks (
    node INTEGER NOT NULL, number INTEGER NOT NULL, id TEXT NOT NULL,
    first INTEGER NOT NULL, length INTEGER NOT NULL, PRIMARY KEY (node, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deleted (
    id INTEGER PRIMARY KEY AUTOINCREMENT, root INTEGER NOT NULL, path TEXT NOT NULL, node INTEGER NOT NULL,
    deleted_ms INTEGER NOT NULL, until_ms INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS deleted_by_path ON deleted (root, path, id);
CREATE INDEX IF NOT EXISTS deleted_by_end ON deleted (until_ms);
CREATE TABLE IF NOT EXISTS service_properties (
    account TEXT PRIMARY KEY, sections TEXT NOT NULL, delete_days INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS garbage (node INTEGER PRIMARY KEY, is_directory INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT OR IGNORE INTO counters (name, value) VALUES ('etag', 0);
";

/// Columns that data folders of earlier versions do not have yet.
const LATER_COLUMNS: [(&str, &str); 3] =
    [("lease", "TEXT"), ("expires_ms", "INTEGER"), ("encryption_context", "TEXT")];

/// What needs those columns.
const LATER_INDEXES: &str = "
CREATE INDEX IF NOT EXISTS nodes_by_expiry ON nodes (expires_ms) WHERE expires_ms IS NOT NULL;
";

/// The index holds account keys: the file is its owner's alone, and SQLite gives its companions the same mode.
pub(super) fn open(path: &Path) -> rusqlite::Result<Connection> {
    // What is wrong with the file SQLite says better.
    let _ = std::fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    let connection = Connection::open(path)?;
    connection.busy_timeout(std::time::Duration::from_secs(10))?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    set_up(&connection)?;
    Ok(connection)
}

/// Seen by this connection alone, and gone with it.
pub(super) fn in_memory() -> rusqlite::Result<Connection> {
    let connection = Connection::open_in_memory()?;
    set_up(&connection)?;
    prepare(&connection)?;
    Ok(connection)
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.set_prepared_statement_cache_capacity(128);
    Ok(())
}

/// In memory there is no write-ahead log; SQLite keeps its journal there as well then.
pub(super) fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.execute_batch(TABLES)?;
    for (name, kind) in LATER_COLUMNS {
        let known = "SELECT 1 FROM pragma_table_info('nodes') WHERE name = ?1";
        if !connection.prepare(known)?.exists([name])? {
            connection.execute_batch(&format!("ALTER TABLE nodes ADD COLUMN {name} {kind}"))?;
        }
    }
    connection.execute_batch(LATER_INDEXES)
}
