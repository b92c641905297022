//! The store in memory: for tests. Nothing survives the process.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::{Change, Error, Record, Result, Store, Write};

type Collection = BTreeMap<String, Stored>;

#[derive(Debug)]
struct Stored {
    version: u64,
    body: Vec<u8>,
}

impl Stored {
    fn record(&self, key: &str) -> Record {
        Record { key: key.to_owned(), version: self.version, body: self.body.clone() }
    }
}

#[derive(Debug, Default)]
pub struct MemoryStore {
    collections: Mutex<BTreeMap<String, Collection>>,
}

impl MemoryStore {
    pub fn new() -> Self {
        Self::default()
    }

    /// A panic elsewhere cannot leave a half-applied change behind: nothing below can panic between two writes.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Collection>> {
        self.collections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, collection: &str, key: &str) -> Result<Option<Record>> {
        let collections = self.lock();
        Ok(collections.get(collection).and_then(|records| records.get(key)).map(|stored| stored.record(key)))
    }

    async fn list(
        &self,
        collection: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>> {
        let collections = self.lock();
        let Some(records) = collections.get(collection) else { return Ok(Vec::new()) };
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        Ok(records
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, stored)| stored.record(key))
            .collect())
    }

    async fn commit(&self, change: Change) -> Result<()> {
        let mut collections = self.lock();
        for expectation in change.expectations {
            let found = collections
                .get(expectation.collection)
                .and_then(|records| records.get(&expectation.key))
                .map(|stored| stored.version);
            if found != expectation.version {
                return Err(Error::Conflict {
                    collection: expectation.collection.to_owned(),
                    key: expectation.key,
                });
            }
        }
        for write in change.writes {
            match write {
                Write::Put { collection, key, body } => {
                    let records = collections.entry(collection.to_owned()).or_default();
                    let version = records.get(&key).map_or(1, |stored| stored.version + 1);
                    records.insert(key, Stored { version, body });
                }
                Write::Remove { collection, key } => {
                    if let Some(records) = collections.get_mut(collection) {
                        records.remove(&key);
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::MemoryStore;

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn conforms() {
        crate::conformance::all(|| async { MemoryStore::new() }).await;
    }
}
