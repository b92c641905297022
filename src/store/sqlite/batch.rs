//! One transaction for many changes.

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Row};

use crate::{Change, Error, Expectation, Result, Write};

/// One outcome per change, in order, known to be on disk. `Err`: the transaction as a whole failed and none of the changes
/// happened.
pub async fn commit(
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
            savepoint.rollback().await?;
            return Ok(Err(super::failed(&error)));
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
