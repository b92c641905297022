//! The store in one SQLite file.
//!
//! Promises: what [`Store::commit`] has returned is on disk (write-ahead log, `synchronous = FULL`); each change is
//! atomic, also across a crash; reads see every commit that returned before they began.
//!
//! [`GroupCommit`] owns the only writing connection. Readers use a small pool; the write-ahead log lets them read while the
//! writer writes. The file is readable by its owner only; secrets in it are [`crate::sealed`] besides.
//!
//! Both go through rusqlite: a statement takes microseconds, and sqlx hands each to a thread of its own and back, which takes many
//! times that (docs/decisions). Schema, backup and restore go through sqlx, as PostgreSQL does.

mod batch;
mod readers;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::types::Value;
use rusqlite::{ErrorCode, OpenFlags, OptionalExtension, named_params};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{Connection, Row};

use crate::group_commit::{Counters, GroupCommit};
use crate::schema::{self, Schema};
use crate::{Change, Error, Record, Result, Store, range};
use batch::Writer;
use readers::Readers;

/// How long a statement waits for a lock that another process holds, for example a backup.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of the write-ahead log that are left on disk when it begins anew.
const LONGEST_LOG: i64 = 64 << 20;

#[derive(Debug)]
pub struct SqliteStore {
    readers: Readers,
    writer: GroupCommit,
    path: PathBuf,
}

impl SqliteStore {
    /// Opens the file, creating it (mode 0600) and its schema when absent. The folder must exist.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let (connection, _) = connect_or_create(path).await?;
        let store = Self::with(&File { path: path.to_owned(), most_pages: None });
        // Not before: the last connection to leave takes the log away.
        connection.close().await.map_err(|error| unusable(path, &error))?;
        store
    }

    fn with(file: &File) -> Result<Self> {
        let opened = |error: rusqlite::Error| unusable(&file.path, &error);
        Ok(Self {
            readers: Readers::open(file).map_err(opened)?,
            writer: GroupCommit::start(Writer::open(file.clone()).map_err(opened)?),
            path: file.path.clone(),
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

/// On the caller's thread: a page comes from the cache in less time than another thread takes to wake.
#[async_trait]
impl Store for SqliteStore {
    async fn get(&self, collection: &str, key: &str) -> Result<Option<Record>> {
        self.readers.with(|connection| {
            connection
                .prepare_cached("SELECT key, version, body FROM records WHERE collection = ? AND key = ?")?
                .query_row((collection, key), read)
                .optional()
        })
    }

    async fn list(
        &self,
        collection: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>> {
        let range = range::of(prefix, after);
        // In SQLite every text sorts before every blob: that bound lets all keys through and still uses the index.
        let end = range.end.map_or_else(|| Value::Blob(Vec::new()), Value::Text);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.readers.with(|connection| {
            connection
                .prepare_cached(
                    "SELECT key, version, body FROM records \
                     WHERE collection = :collection AND key >= :start AND key < :end ORDER BY key LIMIT :limit",
                )?
                .query_map(
                    named_params! { ":collection": collection, ":start": range.start, ":end": end, ":limit": limit },
                    read,
                )?
                .collect()
        })
    }

    async fn commit(&self, change: Change) -> Result<()> {
        self.writer.commit(change).await
    }
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Record> {
    Ok(Record { key: row.get(0)?, version: row.get::<_, i64>(1)?.cast_unsigned(), body: row.get(2)? })
}

fn failed(error: &rusqlite::Error) -> Error {
    let told = error.to_string();
    match error {
        error if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => Error::Full(told),
        rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::Utf8Error(..)
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::IntegralValueOutOfRange(..) => Error::Damaged(told),
        _ => Error::Unavailable(told),
    }
}

/// A file that has its schema.
#[derive(Clone, Debug)]
struct File {
    path: PathBuf,
    /// Tests give it no more.
    most_pages: Option<u32>,
}

impl File {
    fn connect(&self) -> rusqlite::Result<rusqlite::Connection> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = rusqlite::Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "synchronous", "full")?;
        // The log of a long backup does not stay as long as it became.
        connection.pragma_update_and_check(None, "journal_size_limit", LONGEST_LOG, |_| Ok(()))?;
        if let Some(pages) = self.most_pages {
            connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
        }
        Ok(connection)
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
