//! One transaction for many changes.

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{Connection, Row};

use crate::group_commit::Committer;
use crate::{Change, Error, Expectation, Result, Write, failed};

pub struct Writer {
    options: SqliteConnectOptions,
    /// `None` after a transaction failed as a whole: the next batch starts on a new connection.
    connection: Option<SqliteConnection>,
}

impl Writer {
    pub fn new(options: SqliteConnectOptions, connection: SqliteConnection) -> Self {
        Self { options, connection: Some(connection) }
    }
}

impl Committer for Writer {
    async fn commit(&mut self, changes: &[Change]) -> std::result::Result<Vec<Result<()>>, sqlx::Error> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => SqliteConnection::connect_with(&self.options).await?,
        };
        let outcomes = commit(&mut connection, changes).await?;
        self.connection = Some(connection);
        Ok(outcomes)
    }

    async fn close(self) {
        if let Some(connection) = self.connection
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the store's file did not close cleanly; its log is replayed at the next start");
        }
    }
}

/// One outcome per change, in order, known to be on disk. `Err`: the transaction as a whole failed and none of the changes
/// happened.
async fn commit(
    connection: &mut SqliteConnection,
    changes: &[Change],
) -> std::result::Result<Vec<Result<()>>, sqlx::Error> {
    // Immediate: the lock is taken at once, so that no expectation is checked against a state that could still move.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let mut outcomes = Vec::with_capacity(changes.len());
    for change in changes {
        outcomes.push(apply(&mut transaction, change).await?);
    }
    transaction.commit().await?;
    Ok(outcomes)
}

/// Applies one change, or leaves no trace of it. `Err`: its traces could not be undone, so nothing may be committed.
async fn apply(
    connection: &mut SqliteConnection,
    change: &Change,
) -> std::result::Result<Result<()>, sqlx::Error> {
    for expectation in &change.expectations {
        if version(connection, expectation).await? != expectation.version.map(u64::cast_signed) {
            let Expectation { collection, key, .. } = expectation;
            return Ok(Err(Error::Conflict { collection: (*collection).to_owned(), key: key.clone() }));
        }
    }
    // A nested transaction is a savepoint: a write that fails takes back only the writes of its own change.
    let mut savepoint = connection.begin().await?;
    for one in &change.writes {
        if let Err(error) = write(&mut savepoint, one).await {
            // A full disk may have taken back the whole transaction already: then its reason counts.
            return match savepoint.rollback().await {
                Ok(()) => Ok(Err(failed(&error))),
                Err(_) => Err(error),
            };
        }
    }
    savepoint.commit().await?;
    Ok(Ok(()))
}

async fn version(
    connection: &mut SqliteConnection,
    expectation: &Expectation,
) -> std::result::Result<Option<i64>, sqlx::Error> {
    sqlx::query("SELECT version FROM records WHERE collection = ? AND key = ?")
        .bind(expectation.collection)
        .bind(expectation.key.as_str())
        .fetch_optional(connection)
        .await?
        .map(|row| row.try_get(0))
        .transpose()
}

async fn write(connection: &mut SqliteConnection, write: &Write) -> std::result::Result<(), sqlx::Error> {
    match write {
        Write::Put { collection, key, body } => {
            sqlx::query(
                "INSERT INTO records (collection, key, version, body) VALUES (?, ?, 1, ?) \
                 ON CONFLICT (collection, key) DO UPDATE SET version = version + 1, body = excluded.body",
            )
            .bind(*collection)
            .bind(key.as_str())
            .bind(body.as_slice())
            .execute(connection)
            .await?;
        }
        Write::Remove { collection, key } => {
            sqlx::query("DELETE FROM records WHERE collection = ? AND key = ?")
                .bind(*collection)
                .bind(key.as_str())
                .execute(connection)
                .await?;
        }
    }
    Ok(())
}
