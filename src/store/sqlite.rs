//! The store in one SQLite file.
//!
//! Promises: what [`Store::commit`] has returned is on disk (write-ahead log, `synchronous = FULL`); each change is
//! atomic, also across a crash; reads see every commit that returned before they began.
//!
//! [`GroupCommit`] owns the only writing connection. Readers use a small pool; the write-ahead log lets them read while the
//! writer writes. The file is readable by its owner only; secrets in it are [`crate::sealed`] besides.

mod batch;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{Connection, Row};

use crate::group_commit::{Counters, GroupCommit};
use crate::schema::{self, Schema};
use crate::{Change, Error, Record, Result, Store, failed, range};
use batch::Writer;

/// Reads are short and served from the page cache: more readers than this only compete for the processor.
const READERS: u32 = 4;
/// How long a statement waits for a lock that another process holds, for example a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct SqliteStore {
    readers: SqlitePool,
    writer: GroupCommit,
    path: PathBuf,
}

impl SqliteStore {
    /// Opens the file, creating it (mode 0600) and its schema when absent. The folder must exist.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let (connection, _) = connect_or_create(path).await?;
        Self::with(path, connection, options(path)).await
    }

    async fn with(path: &Path, connection: SqliteConnection, options: SqliteConnectOptions) -> Result<Self> {
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .min_connections(1)
            // A connection to a file does not go stale.
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.clone().pragma("query_only", "on"))
            .await
            .map_err(|error| unusable(path, &error))?;
        Ok(Self {
            readers,
            writer: GroupCommit::start(Writer::new(options, connection)),
            path: path.to_owned(),
        })
    }

    /// Transactions and changes written since the store was opened.
    pub fn counters(&self) -> Arc<Counters> {
        self.writer.counters()
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn get(&self, collection: &str, key: &str) -> Result<Option<Record>> {
        sqlx::query("SELECT key, version, body FROM records WHERE collection = ? AND key = ?")
            .bind(collection)
            .bind(key)
            .fetch_optional(&self.readers)
            .await
            .map_err(|error| failed(&error))?
            .map(|row| record(&row))
            .transpose()
    }

    async fn list(
        &self,
        collection: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>> {
        let range = range::of(prefix, after);
        let query = sqlx::query(
            "SELECT key, version, body FROM records WHERE collection = ? AND key >= ? AND key < ? ORDER BY key LIMIT ?",
        )
        .bind(collection)
        .bind(range.start);
        let query = match range.end {
            Some(end) => query.bind(end),
            // In SQLite every text sorts before every blob: this bound lets all keys through and still uses the index.
            None => query.bind(Vec::<u8>::new()),
        };
        query
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| failed(&error))?
            .iter()
            .map(record)
            .collect()
    }

    async fn commit(&self, change: Change) -> Result<()> {
        self.writer.commit(change).await
    }
}

/// The file with this program's schema; what it had before.
pub async fn connect_or_create(path: &Path) -> Result<(SqliteConnection, Schema)> {
    create_private(path).map_err(|error| unusable(path, &error))?;
    let connection = SqliteConnection::connect_with(&options(path)).await;
    let mut connection = connection.map_err(|error| unusable(path, &error))?;
    match schema::migrate_sqlite(&mut connection).await {
        Ok(before) => Ok((connection, before)),
        Err(Error::Unavailable(reason)) => Err(unusable(path, &reason)),
        Err(other) => Err(other),
    }
}

/// The file as it is. `None`: there is none.
pub async fn connect_existing(path: &Path) -> Result<Option<SqliteConnection>> {
    if !path.try_exists().map_err(|error| unusable(path, &error))? {
        return Ok(None);
    }
    let connection = SqliteConnection::connect_with(&options(path)).await;
    connection.map(Some).map_err(|error| unusable(path, &error))
}

fn unusable(path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::Unavailable(format!("cannot open {}: {error}", path.display()))
}

pub fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(BUSY_TIMEOUT)
}

/// SQLite gives the log and shared-memory files beside the database the same mode.
fn create_private(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

pub fn record(row: &SqliteRow) -> Result<Record> {
    let damaged = |error: sqlx::Error| Error::Damaged(error.to_string());
    Ok(Record {
        key: row.try_get(0).map_err(damaged)?,
        version: row.try_get::<i64, _>(1).map_err(damaged)?.cast_unsigned(),
        body: row.try_get(2).map_err(damaged)?,
    })
}
