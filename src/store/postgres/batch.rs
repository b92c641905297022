//! One transaction for the changes of a batch, whatever other providers do meanwhile.
//!
//! Every key that a batch names is locked first, through one of [`STRIPES`] advisory locks: a row lock cannot hold what is
//! not there yet. The locks are taken in one order by everybody, so nobody waits in a circle, and go with the transaction.
//! What they protect is read after they are held; so the versions that the changes are judged by are still those when what
//! they leave is written.

use std::collections::BTreeMap;
use std::hash::{Hash as _, Hasher as _};

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, Row};

use crate::fnv::Fnv;
use crate::group_commit::Committer;
use crate::{Change, Error, Result, Write, failed};

/// First half of an advisory lock's name, so that others in the same database can have theirs.
const LOCKS: i32 = 0x6c69_7665;
/// More would not fit, for a number of providers, into the lock table of a server at its defaults.
const STRIPES: u64 = 256;

type Key = (&'static str, String);

/// A record as the batch found or left it.
#[derive(Clone, Debug, Default, PartialEq)]
struct Slot {
    /// `None`: there is none.
    version: Option<u64>,
    /// What is to be written.
    body: Option<Vec<u8>>,
    changed: bool,
}

pub struct Writer {
    options: PgConnectOptions,
    /// `None` after a transaction failed: the next batch begins on a new connection.
    connection: Option<PgConnection>,
}

impl Writer {
    pub fn new(options: PgConnectOptions, connection: PgConnection) -> Self {
        Self { options, connection: Some(connection) }
    }

    async fn transact(&mut self, changes: &[Change]) -> std::result::Result<Vec<Result<()>>, sqlx::Error> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => PgConnection::connect_with(&self.options).await?,
        };
        let outcomes = commit(&mut connection, changes).await?;
        self.connection = Some(connection);
        Ok(outcomes)
    }
}

impl Committer for Writer {
    /// A server that refuses what a change holds means that one: then each is tried by itself. After any other failure nobody
    /// knows whether the batch took effect, and it must not take effect twice.
    async fn commit(&mut self, changes: Vec<Change>) -> Result<Vec<Result<()>>> {
        let refused = match self.transact(&changes).await {
            Err(sqlx::Error::Database(refused)) if changes.len() > 1 && is_about_content(&*refused) => {
                refused
            }
            done => return done.map_err(|error| failed(&error)),
        };
        tracing::warn!(%refused, changes = changes.len(), "a batch was refused; its changes are tried one by one");
        let mut outcomes = Vec::with_capacity(changes.len());
        for change in changes.chunks(1) {
            match self.transact(change).await {
                Ok(alone) => outcomes.extend(alone),
                Err(error) => outcomes.push(Err(failed(&error))),
            }
        }
        Ok(outcomes)
    }

    async fn close(self) {
        if let Some(connection) = self.connection
            && let Err(error) = connection.close().await
        {
            tracing::debug!(%error, "the connection to the database did not close cleanly");
        }
    }
}

/// SQLSTATE classes 22 (data), 23 (constraints), 54 (limits): such statements fail before the transaction is committed.
fn is_about_content(refused: &dyn sqlx::error::DatabaseError) -> bool {
    let code = refused.code().unwrap_or_default();
    ["22", "23", "54"].iter().any(|class| code.starts_with(class))
}

async fn commit(
    connection: &mut PgConnection,
    changes: &[Change],
) -> std::result::Result<Vec<Result<()>>, sqlx::Error> {
    let mut slots: BTreeMap<Key, Slot> = keys(changes).map(|key| (key, Slot::default())).collect();
    let mut transaction = connection.begin().await?;
    lock(&mut transaction, slots.keys()).await?;
    read(&mut transaction, &mut slots).await?;
    let outcomes = changes.iter().map(|change| apply(&mut slots, change)).collect();
    write(&mut transaction, slots).await?;
    transaction.commit().await?;
    Ok(outcomes)
}

fn keys(changes: &[Change]) -> impl Iterator<Item = Key> {
    changes.iter().flat_map(|change| {
        let expected = change.expectations.iter().map(|expected| (expected.collection, expected.key.clone()));
        let written = change.writes.iter().map(|write| match write {
            Write::Put { collection, key, .. } | Write::Remove { collection, key } => {
                (*collection, key.clone())
            }
        });
        expected.chain(written)
    })
}

/// The same in every provider of every version: who changes this excludes itself from the others.
fn stripe((collection, key): &Key) -> i32 {
    let mut hasher = Fnv::default();
    collection.hash(&mut hasher);
    key.hash(&mut hasher);
    i32::try_from(hasher.finish() % STRIPES).unwrap_or(0)
}

async fn lock(
    connection: &mut PgConnection,
    keys: impl Iterator<Item = &Key>,
) -> std::result::Result<(), sqlx::Error> {
    let mut stripes: Vec<i32> = keys.map(stripe).collect();
    stripes.sort_unstable();
    stripes.dedup();
    // One call after the other, in the order of the array.
    sqlx::query("SELECT pg_advisory_xact_lock($1, stripe) FROM unnest($2::int[]) WITH ORDINALITY AS s (stripe, n) ORDER BY n")
        .bind(LOCKS)
        .bind(stripes)
        .execute(connection)
        .await?;
    Ok(())
}

async fn read(
    connection: &mut PgConnection,
    slots: &mut BTreeMap<Key, Slot>,
) -> std::result::Result<(), sqlx::Error> {
    let (mut collections, mut keys) = (Vec::new(), Vec::new());
    for (collection, key) in slots.keys() {
        collections.push(*collection);
        keys.push(key.as_bytes());
    }
    let rows = sqlx::query(
        "SELECT n, version FROM unnest($1::text[], $2::bytea[]) WITH ORDINALITY AS wanted (collection, key, n) \
         JOIN records USING (collection, key)",
    )
    .bind(collections)
    .bind(keys)
    .fetch_all(connection)
    .await?;
    let mut found: BTreeMap<i64, i64> = BTreeMap::new();
    for row in rows {
        found.insert(row.try_get(0)?, row.try_get(1)?);
    }
    for (slot, n) in slots.values_mut().zip(1..) {
        slot.version = found.get(&n).map(|version| version.cast_unsigned());
    }
    Ok(())
}

/// What the change makes of the records, or a conflict that leaves them as they are.
fn apply(slots: &mut BTreeMap<Key, Slot>, change: &Change) -> Result<()> {
    for expected in &change.expectations {
        let key = (expected.collection, expected.key.clone());
        if slots.get(&key).and_then(|slot| slot.version) != expected.version {
            return Err(Error::Conflict { collection: key.0.to_owned(), key: key.1 });
        }
    }
    for write in &change.writes {
        match write {
            Write::Put { collection, key, body } => {
                let slot = slots.entry((*collection, key.clone())).or_default();
                *slot = Slot {
                    version: Some(slot.version.map_or(1, |version| version + 1)),
                    body: Some(body.clone()),
                    changed: true,
                };
            }
            Write::Remove { collection, key } => {
                let slot = slots.entry((*collection, key.clone())).or_default();
                *slot = Slot { version: None, body: None, changed: true };
            }
        }
    }
    Ok(())
}

async fn write(
    connection: &mut PgConnection,
    slots: BTreeMap<Key, Slot>,
) -> std::result::Result<(), sqlx::Error> {
    let (mut removed, mut put) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new(), Vec::new(), Vec::new()));
    for ((collection, key), slot) in slots.into_iter().filter(|(_, slot)| slot.changed) {
        match (slot.version, slot.body) {
            (Some(version), Some(body)) => {
                put.0.push(collection);
                put.1.push(key.into_bytes());
                put.2.push(version.cast_signed());
                put.3.push(body);
            }
            _ => {
                removed.0.push(collection);
                removed.1.push(key.into_bytes());
            }
        }
    }
    if !removed.0.is_empty() {
        sqlx::query(
            "DELETE FROM records USING unnest($1::text[], $2::bytea[]) AS gone (collection, key) \
             WHERE records.collection = gone.collection AND records.key = gone.key",
        )
        .bind(removed.0)
        .bind(removed.1)
        .execute(&mut *connection)
        .await?;
    }
    if !put.0.is_empty() {
        sqlx::query(
            "INSERT INTO records (collection, key, version, body) \
             SELECT * FROM unnest($1::text[], $2::bytea[], $3::bigint[], $4::bytea[]) \
             ON CONFLICT (collection, key) DO UPDATE SET version = excluded.version, body = excluded.body",
        )
        .bind(put.0)
        .bind(put.1)
        .bind(put.2)
        .bind(put.3)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(present: &[(&str, u64)]) -> BTreeMap<Key, Slot> {
        let slot = |(key, version): &(&str, u64)| {
            (("c", (*key).to_owned()), Slot { version: Some(*version), ..Slot::default() })
        };
        present.iter().map(slot).collect()
    }

    #[test]
    fn a_change_sees_those_before_it_in_the_batch() {
        let mut slots = slots(&[("a", 3)]);
        let first = Change::new().expect("c", "a", Some(3)).put("c", "a", "1");
        let stale = Change::new().expect("c", "a", Some(3)).remove("c", "a").put("c", "b", "1");
        let second = Change::new().expect("c", "a", Some(4)).remove("c", "a").put("c", "a", "2");
        assert!(apply(&mut slots, &first).is_ok());
        assert!(matches!(apply(&mut slots, &stale), Err(Error::Conflict { .. })));
        assert!(!slots.contains_key(&("c", "b".to_owned())));
        assert!(apply(&mut slots, &second).is_ok());
        let left = &slots[&("c", "a".to_owned())];
        assert_eq!(*left, Slot { version: Some(1), body: Some(b"2".to_vec()), changed: true });
    }

    #[test]
    fn stripes_do_not_change_with_the_build() {
        let of = |key: &str| stripe(&("migrators", key.to_owned()));
        assert_eq!((of(""), of("/a"), of("/b")), (13, 113, 246));
    }
}
