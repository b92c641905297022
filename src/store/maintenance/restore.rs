//! A backup into an empty store.

use std::path::Path;

use sqlx::{Connection as _, PgConnection, SqliteConnection};

use super::file::{self, Contents, Entry, Reader};
use super::{Error, Location, Result};
use crate::{failed, postgres, schema, sqlite};

const ANY: &str = "SELECT EXISTS (SELECT 1 FROM records)";
/// What goes to PostgreSQL at once: so many records, or bytes of them.
const BATCH: usize = 500;
const BATCH_BYTES: usize = 1 << 20;

/// What a restore has done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Restored {
    /// Of the backup.
    pub contents: Contents,
    /// Records of the collections that were to be left out.
    pub left_out: u64,
}

/// All of the backup but these collections, with the versions that the records had, or nothing. The store must be empty or not
/// there yet.
pub async fn restore(to: &Location, from: &Path, leave_out: &[&str]) -> Result<Restored> {
    // Before anything is made or written.
    file::verify(from).await?;
    // It is read again while it is written; what it says at its end decides whether that stays.
    let mut backup = Reader::begin(from).await?;
    let of = |source| Error::Store { location: to.clone(), source };
    let broken = |error: sqlx::Error| of(failed(&error));
    let mut left_out = 0;
    let mut is_left_out = |entry: &Entry| {
        let found = leave_out.contains(&entry.collection.as_str());
        left_out += u64::from(found);
        found
    };
    match to {
        Location::Sqlite(path) => {
            let (mut connection, _) = sqlite::connect_or_create(path).await.map_err(of)?;
            let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(broken)?;
            if sqlx::query_scalar(ANY).fetch_one(&mut *transaction).await.map_err(broken)? {
                return Err(Error::NotEmpty(to.clone()));
            }
            while let Some(entry) = backup.next().await? {
                if !is_left_out(&entry) {
                    insert_sqlite(&mut transaction, entry).await.map_err(broken)?;
                }
            }
            transaction.commit().await.map_err(broken)?;
            connection.close().await.map_err(broken)?;
        }
        Location::Postgres(url) => {
            let mut connection = postgres::connect(url).await.map_err(of)?;
            schema::migrate_postgres(&mut connection).await.map_err(of)?;
            let mut transaction = connection.begin().await.map_err(broken)?;
            // Nobody else writes meanwhile; a provider that runs already waits, and then finds what was restored.
            let lock = "LOCK TABLE records IN EXCLUSIVE MODE";
            sqlx::query(lock).execute(&mut *transaction).await.map_err(broken)?;
            if sqlx::query_scalar(ANY).fetch_one(&mut *transaction).await.map_err(broken)? {
                return Err(Error::NotEmpty(to.clone()));
            }
            let mut batch = Batch::default();
            while let Some(entry) = backup.next().await? {
                if !is_left_out(&entry) {
                    batch.add(entry);
                }
                if batch.is_full() {
                    batch.insert(&mut transaction).await.map_err(broken)?;
                }
            }
            batch.insert(&mut transaction).await.map_err(broken)?;
            transaction.commit().await.map_err(broken)?;
        }
    }
    Ok(Restored { contents: backup.contents(), left_out })
}

async fn insert_sqlite(
    connection: &mut SqliteConnection,
    Entry { collection, record }: Entry,
) -> std::result::Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO records (collection, key, version, body) VALUES (?, ?, ?, ?)")
        .bind(collection)
        .bind(record.key)
        .bind(record.version.cast_signed())
        .bind(record.body)
        .execute(connection)
        .await?;
    Ok(())
}

#[derive(Default)]
struct Batch {
    collections: Vec<String>,
    keys: Vec<Vec<u8>>,
    versions: Vec<i64>,
    bodies: Vec<Vec<u8>>,
    bytes: usize,
}

impl Batch {
    fn add(&mut self, Entry { collection, record }: Entry) {
        self.bytes += collection.len() + record.key.len() + record.body.len();
        self.collections.push(collection);
        self.keys.push(record.key.into_bytes());
        self.versions.push(record.version.cast_signed());
        self.bodies.push(record.body);
    }

    fn is_full(&self) -> bool {
        self.keys.len() >= BATCH || self.bytes >= BATCH_BYTES
    }

    async fn insert(&mut self, connection: &mut PgConnection) -> std::result::Result<(), sqlx::Error> {
        let Self { collections, keys, versions, bodies, .. } = std::mem::take(self);
        sqlx::query(
            "INSERT INTO records (collection, key, version, body) \
             SELECT * FROM unnest($1::text[], $2::bytea[], $3::bigint[], $4::bytea[])",
        )
        .bind(collections)
        .bind(keys)
        .bind(versions)
        .bind(bodies)
        .execute(connection)
        .await?;
        Ok(())
    }
}
