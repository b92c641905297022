//! The store in a PostgreSQL database, for any number of providers at the same time.
//!
//! Promises: what [`Store::commit`] has returned is durable (`synchronous_commit` is on, whatever the server's default);
//! each change is atomic, whichever provider makes it; reads see every commit that returned before they began.
//!
//! Each provider writes through one [`GroupCommit`]. A [`batch`] takes locks on the keys that it names, reads their versions,
//! decides in memory which changes happen and writes what they leave, in a handful of round trips whatever its size.
//!
//! When the connection breaks while a transaction is being committed nobody knows whether it took effect: that is
//! [`Error::Unavailable`], after which a caller reads again, as after any other.

mod batch;

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::{Connection, PgConnection, Row};

use crate::group_commit::{Counters, GroupCommit};
use crate::{Change, Error, Record, Result, Store, failed, range, schema};
use batch::Writer;

/// Of each provider; with its writer one connection more.
const READERS: u32 = 8;
/// How long a read waits for one of them.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A provider that stands still in the middle of a transaction (stopped, or cut off) holds up the others no longer than this.
const IDLE_IN_TRANSACTION: &str = "10s";
const LOCK_WITHIN: &str = "20s";
const STATEMENT_WITHIN: &str = "30s";

#[derive(Debug)]
pub struct PostgresStore {
    readers: PgPool,
    writer: GroupCommit,
}

impl PostgresStore {
    /// Connects to `postgres://user:password@host:port/database?sslmode=…` and brings the schema up to date; providers that
    /// start at the same time wait for each other.
    pub async fn open(url: &str) -> Result<Self> {
        let options = options(url)?;
        let mut connection = PgConnection::connect_with(&options).await.map_err(|error| failed(&error))?;
        schema::migrate_postgres(&mut connection).await?;
        let readers = PgPoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(CONNECT_WITHIN)
            .connect_lazy_with(options.clone().options([("default_transaction_read_only", "on")]));
        Ok(Self { readers, writer: GroupCommit::start(Writer::new(options, connection)) })
    }

    /// Transactions and changes written since the store was opened.
    pub fn counters(&self) -> Arc<Counters> {
        self.writer.counters()
    }
}

/// For work that takes as long as it takes.
pub async fn connect(url: &str) -> Result<PgConnection> {
    let unhurried =
        options(url)?.options([("idle_in_transaction_session_timeout", "0"), ("statement_timeout", "0")]);
    PgConnection::connect_with(&unhurried).await.map_err(|error| failed(&error))
}

fn options(url: &str) -> Result<PgConnectOptions> {
    // What the address is may hold a password, so it is not repeated.
    let options = PgConnectOptions::from_str(url).map_err(|error| {
        Error::Unavailable(format!("the address of the database cannot be used: {error}"))
    })?;
    // An operator tells providers apart by the name that an address gives: `?application_name=`.
    let named = match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("livedata"),
    };
    Ok(named.options([
        ("synchronous_commit", "on"),
        // Each statement sees what was committed before it: the versions are read after the locks are held.
        ("default_transaction_isolation", "read committed"),
        ("default_transaction_read_only", "off"),
        ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
        ("lock_timeout", LOCK_WITHIN),
        ("statement_timeout", STATEMENT_WITHIN),
    ]))
}

#[async_trait]
impl Store for PostgresStore {
    async fn get(&self, collection: &str, key: &str) -> Result<Option<Record>> {
        sqlx::query("SELECT key, version, body FROM records WHERE collection = $1 AND key = $2")
            .bind(collection)
            .bind(key.as_bytes())
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
        const WITH_END: &str = "SELECT key, version, body FROM records \
                                WHERE collection = $1 AND key >= $2 AND key < $4 ORDER BY key LIMIT $3";
        const TO_THE_LAST: &str = "SELECT key, version, body FROM records \
                                   WHERE collection = $1 AND key >= $2 ORDER BY key LIMIT $3";
        let range = range::of(prefix, after);
        let query = sqlx::query(if range.end.is_some() { WITH_END } else { TO_THE_LAST })
            .bind(collection)
            .bind(range.start.into_bytes())
            .bind(i64::try_from(limit).unwrap_or(i64::MAX));
        let query = match range.end {
            Some(end) => query.bind(end.into_bytes()),
            None => query,
        };
        let rows = query.fetch_all(&self.readers).await.map_err(|error| failed(&error))?;
        rows.iter().map(record).collect()
    }

    async fn commit(&self, change: Change) -> Result<()> {
        self.writer.commit(change).await
    }
}

pub fn record(row: &PgRow) -> Result<Record> {
    let damaged = |error: sqlx::Error| Error::Damaged(error.to_string());
    let key = String::from_utf8(row.try_get(0).map_err(damaged)?);
    Ok(Record {
        key: key.map_err(|_| Error::Damaged("a key is not UTF-8".to_owned()))?,
        version: row.try_get::<i64, _>(1).map_err(damaged)?.cast_unsigned(),
        body: row.try_get(2).map_err(damaged)?,
    })
}
