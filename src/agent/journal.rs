//! The journal of one migration: the engine's [`State`] in a SQLite file of its own.
//!
//! One connection, used by the engine's thread alone. [`Journal::transaction`] runs any number of steps in one SQLite
//! transaction (group commit); nothing of it is there after a crash before the commit, all of it after. Write-ahead log
//! with `synchronous = FULL`: a commit survives power loss.

mod found;
mod rows;
mod state;

use std::path::Path;

use livedata_engine::{Cause, Counters, Deletes, Run};
use rusqlite::Connection;

pub use crate::database::Error;
use crate::migration::Principal;
pub use found::Found;

/// Of the schema below. A journal of the versions before is brought up to it; any other is refused, not guessed at.
const SCHEMA_VERSION: i64 = 5;

/// What to tell the operator of an error of the journal at `path`.
pub fn told(error: &Error, path: &Path) -> String {
    const WITHOUT: &str = "the migration starts over then: it looks at everything at the target and at the source, and copies \
                           nothing again that it finds equal";
    error.told("the journal of a migration", path, WITHOUT)
}

pub struct Journal {
    connection: Connection,
    found: Found,
}

impl Journal {
    /// Opens or makes the file, checking its integrity and its version.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "cache_size", -32_768)?;
        connection.set_prepared_statement_cache_capacity(64);
        let verdict: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if verdict != "ok" {
            return Err(Error::Damaged(verdict));
        }
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        match version {
            // Whole or not at all, also after a crash.
            0 => connection.execute_batch(&format!(
                "BEGIN; {SCHEMA} {} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;",
                found::SCHEMA
            ))?,
            2 => upgrade(&connection, &[FROM_2, FROM_3])?,
            3 => upgrade(&connection, &[FROM_3])?,
            4 => upgrade(&connection, &[])?,
            SCHEMA_VERSION => {}
            found => return Err(Error::Version { found, known: SCHEMA_VERSION }),
        }
        let found = Found::load(&connection)?;
        Ok(Self { connection, found })
    }

    /// Runs `steps` in one transaction: commits if it returns `Ok`, else nothing happened.
    pub fn transaction<T>(
        &mut self,
        steps: impl FnOnce(&mut JournalState<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let transaction = self.connection.transaction()?;
        let mut state = JournalState::new(&transaction, self.found)?;
        let result = steps(&mut state)?;
        state.write_back()?;
        let found = state.found;
        transaction.commit()?;
        self.found = found;
        Ok(result)
    }

    /// Whose names the source has that mean nothing at the target yet.
    pub fn principals(&self) -> Result<Vec<Principal>, Error> {
        let mut query = self.connection.prepare("SELECT is_group, name FROM principal")?;
        let rows = query.query_map([], |row| Ok(Principal { is_group: row.get(0)?, name: row.get(1)? }))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Where somebody else changed the target of late: latest first, a few.
    pub fn drift(&self) -> Result<Vec<Drift>, Error> {
        let mut query =
            self.connection.prepare_cached("SELECT path, at_ms FROM drift ORDER BY sequence DESC")?;
        let rows = query.query_map([], |row| Ok(Drift { path: row.get(0)?, at_ms: row.get(1)? }))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What was given up and still is, latest first, at most `limit`: the path below the migration's root, why, and when,
    /// milliseconds since 1970.
    pub fn failed_paths(&self, limit: usize) -> Result<Vec<FailedPath>, Error> {
        let mut query = self
            .connection
            .prepare_cached("SELECT path, cause, reason, at_ms FROM failed ORDER BY sequence DESC LIMIT ?")?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = query.query_map([limit], |row| {
            Ok(FailedPath {
                path: row.get(0)?,
                cause: Cause::from_number(row.get(1)?),
                reason: row.get(2)?,
                at_ms: row.get(3)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// By `steps` to version 4, and from there.
fn upgrade(connection: &Connection, steps: &[&str]) -> Result<(), Error> {
    steps.iter().try_for_each(|step| connection.execute_batch(step))?;
    Ok(connection.execute_batch(&format!("BEGIN; {} {FROM_4} COMMIT;", found::SCHEMA))?)
}

/// A path where somebody else changed the target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Drift {
    /// Below the migration's root.
    pub path: String,
    /// Milliseconds since 1970.
    pub at_ms: i64,
}

/// A path that was given up.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FailedPath {
    pub path: String,
    pub cause: Cause,
    pub reason: String,
    pub at_ms: i64,
}

/// The state within one transaction. The run record changes with nearly every step, so it is kept here and written once.
pub struct JournalState<'transaction> {
    connection: &'transaction Connection,
    run: Run,
    run_changed: bool,
    found: Found,
}

const RUN: [&str; 21] = [
    "number",
    "start",
    "phase",
    "generation",
    "live",
    "cursor",
    "scan_from",
    "directories_scanned",
    "files_scanned",
    "bytes_scanned",
    "files_migrated",
    "bytes_migrated",
    "files_excluded",
    "files_failed",
    "gaps",
    "drifted",
    "window_began_ms",
    "deleted_in_window",
    "deletes_objects",
    "deletes_approved",
    "surveyed",
];

impl<'transaction> JournalState<'transaction> {
    fn new(connection: &'transaction Connection, found: Found) -> Result<Self, Error> {
        let run = connection.prepare_cached(&format!("SELECT {} FROM run", RUN.join(", ")))?.query_row(
            [],
            |row| {
                Ok(Run {
                    number: row.get(0)?,
                    start: row.get(1)?,
                    phase: rows::phase(row.get(2)?),
                    generation: row.get(3)?,
                    live: row.get(4)?,
                    cursor: row.get(5)?,
                    scan_from: row.get(6)?,
                    counters: Counters {
                        directories_scanned: row.get(7)?,
                        files_scanned: row.get(8)?,
                        bytes_scanned: row.get(9)?,
                        files_migrated: row.get(10)?,
                        bytes_migrated: row.get(11)?,
                        files_excluded: row.get(12)?,
                        files_failed: row.get(13)?,
                        gaps: row.get(14)?,
                        drifted: row.get(15)?,
                    },
                    deletes: Deletes {
                        window_began_ms: row.get(16)?,
                        in_window: row.get(17)?,
                        objects: row.get(18)?,
                        approved: row.get(19)?,
                    },
                    surveyed: row.get(20)?,
                })
            },
        )?;
        Ok(Self { connection, run, run_changed: false, found })
    }

    /// Has something written when the transaction ends, which shows whether the file can be.
    pub fn touch(&mut self) {
        self.run_changed = true;
    }

    fn write_back(&mut self) -> Result<(), Error> {
        if !self.run_changed {
            return Ok(());
        }
        let Run { counters, deletes, .. } = &self.run;
        self.connection.prepare_cached(&format!("UPDATE run SET {} = ?", RUN.join(" = ?, ")))?.execute(
            rusqlite::params![
                self.run.number,
                self.run.start,
                rows::phase_number(self.run.phase),
                self.run.generation,
                self.run.live,
                self.run.cursor,
                self.run.scan_from,
                counters.directories_scanned,
                counters.files_scanned,
                counters.bytes_scanned,
                counters.files_migrated,
                counters.bytes_migrated,
                counters.files_excluded,
                counters.files_failed,
                counters.gaps,
                counters.drifted,
                deletes.window_began_ms,
                deletes.in_window,
                deletes.objects,
                deletes.approved,
                self.run.surveyed
            ],
        )?;
        Ok(())
    }
}

/// Nodes and edges are one table: an edge leads to at most one node. Blobs are node ids and versions as the source made
/// them. `mark`, `front`, `in_flight`, `garbage` and `intent` stay small while a migration keeps up.
const SCHEMA: &str = "
CREATE TABLE run (
    number INTEGER NOT NULL, start INTEGER NOT NULL, phase INTEGER NOT NULL, generation INTEGER NOT NULL,
    live INTEGER NOT NULL, cursor INTEGER NOT NULL, scan_from INTEGER NOT NULL,
    directories_scanned INTEGER NOT NULL, files_scanned INTEGER NOT NULL, bytes_scanned INTEGER NOT NULL,
    files_migrated INTEGER NOT NULL, bytes_migrated INTEGER NOT NULL, files_excluded INTEGER NOT NULL,
    files_failed INTEGER NOT NULL, gaps INTEGER NOT NULL, drifted INTEGER NOT NULL,
    window_began_ms INTEGER NOT NULL, deleted_in_window INTEGER NOT NULL,
    deletes_objects INTEGER NOT NULL, deletes_approved INTEGER NOT NULL, surveyed INTEGER NOT NULL
) STRICT;
INSERT INTO run VALUES (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
CREATE TABLE node (
    id BLOB PRIMARY KEY, parent BLOB NOT NULL, name TEXT NOT NULL,
    version BLOB, length INTEGER, crc32c INTEGER, etag TEXT,
    attributes INTEGER NOT NULL, modified_ms INTEGER NOT NULL, run INTEGER NOT NULL, seen INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX node_by_edge ON node (parent, name);
CREATE TABLE mark (
    directory BLOB NOT NULL, name TEXT NOT NULL,
    generation INTEGER NOT NULL, queued INTEGER NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, deep INTEGER NOT NULL,
    PRIMARY KEY (directory, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX mark_by_queue ON mark (queued, directory, name);
CREATE INDEX mark_by_first ON mark (first, directory, name);
CREATE TABLE front (directory BLOB PRIMARY KEY, after TEXT, first INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX front_by_first ON front (first);
CREATE TABLE in_flight (
    node BLOB PRIMARY KEY, directory BLOB NOT NULL, name TEXT NOT NULL,
    version BLOB NOT NULL, length INTEGER NOT NULL, staging TEXT NOT NULL,
    offset_1 INTEGER, crc32c_1 INTEGER, offset_2 INTEGER, crc32c_2 INTEGER,
    staged_etag TEXT, staged_crc32c INTEGER, staged_attributes INTEGER, staged_modified_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE TABLE garbage (staging TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE intent (
    node BLOB PRIMARY KEY, is_move INTEGER NOT NULL, directory BLOB NOT NULL, name TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE failed (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    directory BLOB NOT NULL, name TEXT NOT NULL, path TEXT NOT NULL, reason TEXT NOT NULL,
    first INTEGER NOT NULL, deep INTEGER NOT NULL, at_ms INTEGER NOT NULL, cause INTEGER NOT NULL DEFAULT 1,
    UNIQUE (directory, name)
) STRICT;
CREATE TABLE principal (
    is_group INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (is_group, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE drift (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE, at_ms INTEGER NOT NULL
) STRICT;
";

/// What version 2 lacked: why paths were given up, for programs to read (1 is `Other`), and the principals that were met.
const FROM_2: &str = "
BEGIN;
ALTER TABLE failed ADD COLUMN cause INTEGER NOT NULL DEFAULT 1;
CREATE TABLE principal (
    is_group INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY (is_group, name)
) STRICT, WITHOUT ROWID;
PRAGMA user_version = 3;
COMMIT;
";

/// What version 3 did not say: that the target is known, which is so of every migration that has begun.
const FROM_3: &str = "
BEGIN;
ALTER TABLE run ADD COLUMN surveyed INTEGER NOT NULL DEFAULT 0;
UPDATE run SET surveyed = number > 0;
PRAGMA user_version = 4;
COMMIT;
";

/// What version 4 lacked: where the target was changed by others, and what listings have found.
const FROM_4: &str = "
CREATE TABLE drift (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT NOT NULL UNIQUE, at_ms INTEGER NOT NULL
) STRICT;
PRAGMA user_version = 5;
";

#[cfg(test)]
mod tests;
