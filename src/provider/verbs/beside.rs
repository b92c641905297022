//! What is read beside the resources of a page (what agents report, and the like): once for all of them, not once for each.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use livedata_store::{Change, Record, Result, Store};

/// A store that has read some records already. For one request: what others write meanwhile it does not see.
pub struct Beside {
    store: Arc<dyn Store>,
    read: HashMap<&'static str, Span>,
}

/// All records of a collection with this prefix, behind `after`, up to `to`.
struct Span {
    prefix: String,
    after: Option<String>,
    /// `None`: to the last one.
    to: Option<String>,
    records: HashMap<String, Record>,
}

impl Beside {
    /// Of each collection at most `limit` records. Keys behind those are asked for one by one.
    pub async fn read(
        store: &Arc<dyn Store>,
        collections: &[&'static str],
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Self> {
        let mut read = HashMap::new();
        for collection in collections {
            let records = store.list(collection, prefix, after, limit).await?;
            let to = records.last().filter(|_| records.len() >= limit).map(|last| last.key.clone());
            let records = records.into_iter().map(|record| (record.key.clone(), record)).collect();
            let span = Span { prefix: prefix.to_owned(), after: after.map(str::to_owned), to, records };
            read.insert(*collection, span);
        }
        Ok(Self { store: Arc::clone(store), read })
    }
}

impl Span {
    fn covers(&self, key: &str) -> bool {
        key.starts_with(&self.prefix)
            && self.after.as_deref().is_none_or(|after| after < key)
            && self.to.as_deref().is_none_or(|to| key <= to)
    }
}

#[async_trait]
impl Store for Beside {
    async fn get(&self, collection: &str, key: &str) -> Result<Option<Record>> {
        match self.read.get(collection).filter(|span| span.covers(key)) {
            Some(span) => Ok(span.records.get(key).cloned()),
            None => self.store.get(collection, key).await,
        }
    }

    async fn list(
        &self,
        collection: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>> {
        self.store.list(collection, prefix, after, limit).await
    }

    async fn commit(&self, change: Change) -> Result<()> {
        self.store.commit(change).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use livedata_store::memory::MemoryStore;

    use super::*;

    struct Counted(MemoryStore, AtomicUsize);

    #[async_trait]
    impl Store for Counted {
        async fn get(&self, collection: &str, key: &str) -> Result<Option<Record>> {
            self.1.fetch_add(1, Ordering::SeqCst);
            self.0.get(collection, key).await
        }

        async fn list(
            &self,
            c: &str,
            prefix: &str,
            after: Option<&str>,
            limit: usize,
        ) -> Result<Vec<Record>> {
            self.0.list(c, prefix, after, limit).await
        }

        async fn commit(&self, change: Change) -> Result<()> {
            self.0.commit(change).await
        }
    }

    #[tokio::test]
    async fn it_answers_as_the_store_does_and_asks_only_for_what_it_has_not_read() {
        let counted = Arc::new(Counted(MemoryStore::new(), AtomicUsize::new(0)));
        let mut change = Change::new().put("other", "g/3", "other").put("reports", "h/1", "elsewhere");
        for number in [1, 2, 4, 5, 7] {
            change = change.put("reports", format!("g/{number}"), format!("{number}"));
        }
        counted.commit(change).await.unwrap();
        let store: Arc<dyn Store> = counted.clone();
        for (after, limit, asked) in
            // g/1 and h/1 lie outside; then all behind g/4; then nothing but h/1.
            [(Some("g/1"), 10, 3), (Some("g/1"), 2, 6), (None, 10, 2)]
        {
            let beside = Beside::read(&store, &["reports"], "g/", after, limit).await.unwrap();
            counted.1.store(0, Ordering::SeqCst);
            for key in ["g/1", "g/2", "g/3", "g/4", "g/5", "g/6", "g/7", "h/1"] {
                let found = beside.get("reports", key).await.unwrap();
                assert_eq!(found, counted.0.get("reports", key).await.unwrap(), "{key} {after:?} {limit}");
            }
            assert_eq!(beside.get("other", "g/3").await.unwrap().unwrap().body, b"other");
            assert_eq!(counted.1.load(Ordering::SeqCst), asked, "{after:?} {limit}");
        }
    }
}
