//! One transaction for many changes.

use rusqlite::{Connection, OptionalExtension, params};

use super::{File, failed};
use crate::group_commit::Committer;
use crate::{Change, Error, Expectation, Result, Write};

pub struct Writer {
    file: File,
    /// `None` after a transaction failed as a whole: the next batch starts on a new connection.
    connection: Option<Connection>,
}

impl Writer {
    pub fn open(file: File) -> rusqlite::Result<Self> {
        Ok(Self { connection: Some(file.connect()?), file })
    }
}

impl Committer for Writer {
    /// On a thread that may wait for the disk.
    async fn commit(&mut self, changes: Vec<Change>) -> Result<Vec<Result<()>>> {
        let (file, connection) = (self.file.clone(), self.connection.take());
        let committed = tokio::task::spawn_blocking(move || {
            let connection = match connection {
                Some(connection) => connection,
                None => file.connect()?,
            };
            let outcomes = commit(&connection, &changes)?;
            Ok((connection, outcomes))
        });
        let committed =
            committed.await.map_err(|_| Error::Unavailable("the store's writer broke".to_owned()))?;
        let (connection, outcomes) = committed.map_err(|error: rusqlite::Error| failed(&error))?;
        self.connection = Some(connection);
        Ok(outcomes)
    }

    async fn close(self) {
        if let Some(connection) = self.connection
            && let Err((_, error)) = connection.close()
        {
            tracing::warn!(%error, "the store's file did not close cleanly; its log is replayed at the next start");
        }
    }
}

/// One outcome per change, in order, known to be on disk. `Err`: the transaction as a whole failed and none of the changes
/// happened, as soon as the connection is closed.
fn commit(connection: &Connection, changes: &[Change]) -> rusqlite::Result<Vec<Result<()>>> {
    // Immediate: the lock is taken at once, so that no expectation is checked against a state that could still move.
    run(connection, "BEGIN IMMEDIATE")?;
    let mut outcomes = Vec::with_capacity(changes.len());
    for change in changes {
        outcomes.push(apply(connection, change)?);
    }
    run(connection, "COMMIT")?;
    Ok(outcomes)
}

/// Applies one change, or leaves no trace of it. `Err`: its traces could not be undone, so nothing may be committed.
fn apply(connection: &Connection, change: &Change) -> rusqlite::Result<Result<()>> {
    for expectation in &change.expectations {
        if version(connection, expectation)? != expectation.version.map(u64::cast_signed) {
            let Expectation { collection, key, .. } = expectation;
            return Ok(Err(Error::Conflict { collection: (*collection).to_owned(), key: key.clone() }));
        }
    }
    // A write that fails takes back only the writes of its own change.
    run(connection, "SAVEPOINT change")?;
    for one in &change.writes {
        if let Err(error) = write(connection, one) {
            // A full disk may have taken back the whole transaction already: then its reason counts.
            if connection.is_autocommit() || run(connection, "ROLLBACK TO change").is_err() {
                return Err(error);
            }
            run(connection, "RELEASE change")?;
            return Ok(Err(failed(&error)));
        }
    }
    run(connection, "RELEASE change")?;
    Ok(Ok(()))
}

fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(statement)?.execute(()).map(drop)
}

fn version(connection: &Connection, expectation: &Expectation) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT version FROM records WHERE collection = ? AND key = ?")?
        .query_row((expectation.collection, expectation.key.as_str()), |row| row.get(0))
        .optional()
}

fn write(connection: &Connection, write: &Write) -> rusqlite::Result<()> {
    match write {
        Write::Put { collection, key, body } => connection
            .prepare_cached(
                "INSERT INTO records (collection, key, version, body) VALUES (?, ?, 1, ?) \
                 ON CONFLICT (collection, key) DO UPDATE SET version = version + 1, body = excluded.body",
            )?
            .execute(params![collection, key, body]),
        Write::Remove { collection, key } => connection
            .prepare_cached("DELETE FROM records WHERE collection = ? AND key = ?")?
            .execute(params![collection, key]),
    }
    .map(drop)
}
