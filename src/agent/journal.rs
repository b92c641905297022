//! The journal of one migration: the engine's [`State`] in a SQLite file of its own.
//!
//! One connection, used by the engine's thread alone. [`Journal::transaction`] runs any number of steps in one SQLite
//! transaction (group commit); nothing of it is there after a crash before the commit, all of it after. Write-ahead log
//! with `synchronous = FULL`: a commit survives power loss.

mod rows;
mod state;

use std::path::Path;

use livedata_engine::{Counters, FailedEdge, Run};
use rusqlite::Connection;

/// Of the schema below. A journal of another version is refused, not guessed at.
const SCHEMA_VERSION: i64 = 1;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the journal {path} cannot be used: {message}")]
    Open { path: String, message: String },
    #[error("the journal cannot be read or written")]
    Database(#[from] rusqlite::Error),
}

impl Error {
    /// The disk is full: nothing is lost, and work goes on when there is room.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Database(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull))
    }
}

pub struct Journal {
    connection: Connection,
}

impl Journal {
    /// Opens or makes the file, checking its integrity and its version.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let unusable = |message: String| Error::Open { path: path.display().to_string(), message };
        let connection = Connection::open(path).map_err(|error| unusable(error.to_string()))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -32_768)?;
        connection.set_prepared_statement_cache_capacity(64);
        let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(unusable(format!(
                "its integrity check says '{verdict}'; move it away, and the migration starts over without copying equal files"
            )));
        }
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match version {
            0 => {
                connection.execute_batch(SCHEMA)?;
                connection.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            }
            SCHEMA_VERSION => {}
            other => {
                return Err(unusable(format!(
                    "it has schema version {other}, this agent knows {SCHEMA_VERSION}; run the agent version that wrote it"
                )));
            }
        }
        Ok(Self { connection })
    }

    /// Runs `steps` in one transaction: commits if it returns `Ok`, else nothing happened.
    pub fn transaction<T>(
        &mut self,
        steps: impl FnOnce(&mut JournalState<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let transaction = self.connection.transaction()?;
        let mut state = JournalState::new(&transaction)?;
        let result = steps(&mut state)?;
        state.write_back()?;
        transaction.commit()?;
        Ok(result)
    }

    /// The path and reason of the edge that was given up last in the present run.
    pub fn last_failed(&self) -> Result<Option<FailedEdge>, Error> {
        let mut query = self
            .connection
            .prepare_cached("SELECT path, reason FROM failed ORDER BY sequence DESC LIMIT 1")?;
        let mut rows = query.query([])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        Ok(Some(FailedEdge { path: row.get(0)?, reason: row.get(1)? }))
    }
}

/// The state within one transaction. The run record changes with nearly every step, so it is kept here and written once.
pub struct JournalState<'transaction> {
    connection: &'transaction Connection,
    run: Run,
    run_changed: bool,
}

impl<'transaction> JournalState<'transaction> {
    fn new(connection: &'transaction Connection) -> Result<Self, Error> {
        let run = connection
            .prepare_cached(
                "SELECT number, start, phase, generation, directories_scanned, files_scanned, bytes_scanned, files_migrated,
                        bytes_migrated, files_excluded, files_failed FROM run",
            )?
            .query_row([], |row| {
                Ok(Run {
                    number: row.get(0)?,
                    start: row.get(1)?,
                    phase: rows::phase(row.get(2)?),
                    generation: row.get(3)?,
                    counters: Counters {
                        directories_scanned: row.get(4)?,
                        files_scanned: row.get(5)?,
                        bytes_scanned: row.get(6)?,
                        files_migrated: row.get(7)?,
                        bytes_migrated: row.get(8)?,
                        files_excluded: row.get(9)?,
                        files_failed: row.get(10)?,
                    },
                })
            })?;
        Ok(Self { connection, run, run_changed: false })
    }

    fn write_back(&mut self) -> Result<(), Error> {
        if !self.run_changed {
            return Ok(());
        }
        let counters = self.run.counters;
        self.connection
            .prepare_cached(
                "UPDATE run SET number = ?, start = ?, phase = ?, generation = ?, directories_scanned = ?, files_scanned = ?,
                        bytes_scanned = ?, files_migrated = ?, bytes_migrated = ?, files_excluded = ?, files_failed = ?",
            )?
            .execute(rusqlite::params![
                self.run.number,
                self.run.start,
                rows::phase_number(self.run.phase),
                self.run.generation,
                counters.directories_scanned,
                counters.files_scanned,
                counters.bytes_scanned,
                counters.files_migrated,
                counters.bytes_migrated,
                counters.files_excluded,
                counters.files_failed
            ])?;
        Ok(())
    }
}

/// Nodes and edges are one table: an edge leads to at most one node. Blobs are node ids and versions as the source made
/// them. `mark`, `front` and `in_flight` stay small while a migration runs.
const SCHEMA: &str = "
CREATE TABLE run (
    number INTEGER NOT NULL, start INTEGER NOT NULL, phase INTEGER NOT NULL, generation INTEGER NOT NULL,
    directories_scanned INTEGER NOT NULL, files_scanned INTEGER NOT NULL, bytes_scanned INTEGER NOT NULL,
    files_migrated INTEGER NOT NULL, bytes_migrated INTEGER NOT NULL,
    files_excluded INTEGER NOT NULL, files_failed INTEGER NOT NULL
) STRICT;
INSERT INTO run VALUES (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
CREATE TABLE node (
    id BLOB PRIMARY KEY, parent BLOB NOT NULL, name TEXT NOT NULL,
    version BLOB, length INTEGER, crc32c INTEGER, etag TEXT,
    permissions INTEGER NOT NULL, modified_ms INTEGER NOT NULL, run INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX node_by_edge ON node (parent, name);
CREATE TABLE mark (
    directory BLOB NOT NULL, name TEXT NOT NULL, generation INTEGER NOT NULL,
    PRIMARY KEY (directory, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE front (directory BLOB PRIMARY KEY, after TEXT) STRICT, WITHOUT ROWID;
CREATE TABLE in_flight (
    directory BLOB NOT NULL, name TEXT NOT NULL,
    node BLOB NOT NULL, version BLOB NOT NULL, length INTEGER NOT NULL, staging TEXT NOT NULL,
    offset_1 INTEGER, crc32c_1 INTEGER, offset_2 INTEGER, crc32c_2 INTEGER,
    staged_etag TEXT, staged_crc32c INTEGER, staged_permissions INTEGER, staged_modified_ms INTEGER,
    PRIMARY KEY (directory, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE move_intent (node BLOB NOT NULL, directory BLOB NOT NULL, name TEXT NOT NULL) STRICT;
CREATE TABLE failed (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    directory BLOB NOT NULL, name TEXT NOT NULL, path TEXT NOT NULL, reason TEXT NOT NULL,
    UNIQUE (directory, name)
) STRICT;
";

#[cfg(test)]
mod tests;
