//! Whatever happens between providers: each file is counted once.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use livedata_store::Result;
use livedata_store::memory::MemoryStore;
use time::Duration;

use super::super::tests::{NOON, all, of_run, sums};
use super::*;
use crate::insights::catalogue::Quantity;

/// Files of the migration and of its migrator, as `reader` tells them.
async fn files(reader: &Series, store: &dyn Store) -> (f64, f64) {
    let total = |points| sums(&points, Quantity::FilesMigrated).iter().sum();
    (total(all(reader, store, "m").await), total(all(reader, store, "r").await))
}

/// As one that sees only what is stored.
async fn stored(store: &dyn Store) -> (f64, f64) {
    files(&Series::new(), store).await
}

fn told(series: &Series, count: u64) {
    series.reported("r", "m", &of_run("j/1", count, 0), None);
    series.sample(NOON);
}

#[tokio::test]
async fn what_was_sampled_and_not_stored_before_a_kill_is_counted_by_the_next() {
    let store = MemoryStore::new();
    let first = Series::new();
    first.connected(&store, "r").await.unwrap();
    told(&first, 10);
    first.store(&store, NOON).await.unwrap();
    told(&first, 25);
    drop(first);
    let second = Series::new();
    second.connected(&store, "r").await.unwrap();
    assert!(second.follows("r", "m"));
    told(&second, 30);
    assert_eq!(files(&second, &store).await, (30.0, 30.0));
    second.store(&store, NOON).await.unwrap();
    assert_eq!(stored(&store).await, (30.0, 30.0));
    // One that was not stored before the first minute was over counts from nothing.
    second.reported("r", "n", &of_run("j/1", 5, 0), None);
    second.sample(NOON);
    drop(second);
    let third = Series::new();
    third.connected(&store, "r").await.unwrap();
    assert!(third.follows("r", "n"));
    third.reported("r", "n", &of_run("j/1", 6, 0), None);
    third.sample(NOON);
    assert_eq!(sums(&all(&third, &store, "n").await, Quantity::FilesMigrated), [6.0]);
}

#[tokio::test]
async fn a_provider_that_has_lost_the_migrator_stores_nothing_that_another_counts() {
    let store = MemoryStore::new();
    let (first, second) = (Series::new(), Series::new());
    first.connected(&store, "r").await.unwrap();
    first.connected(&store, "other").await.unwrap();
    told(&first, 10);
    first.store(&store, NOON).await.unwrap();
    told(&first, 20);
    second.connected(&store, "r").await.unwrap();
    first.disconnected("r");
    told(&second, 25);
    // In whatever order they store.
    second.store(&store, NOON).await.unwrap();
    first.store(&store, NOON).await.unwrap();
    assert_eq!(stored(&store).await, (25.0, 25.0));
    let others = all(&Series::new(), &store, "other").await;
    assert_eq!(sums(&others, Quantity::MigrationsRunning).len(), 1, "that of the others is stored");
    told(&second, 31);
    // And back, before the other one knows.
    first.connected(&store, "r").await.unwrap();
    second.disconnected("r");
    told(&first, 40);
    first.store(&store, NOON).await.unwrap();
    second.store(&store, NOON).await.unwrap();
    assert_eq!(stored(&store).await, (40.0, 40.0));
    // The hour is another one by now.
    let later = NOON + Duration::HOUR;
    first.reported("r", "m", &of_run("j/1", 41, 0), None);
    first.sample(later);
    first.store(&store, later).await.unwrap();
    assert_eq!(stored(&store).await, (41.0, 41.0));
}

#[tokio::test]
async fn one_that_speaks_to_the_agent_goes_on_when_another_took_the_counting_from_it() {
    let store = MemoryStore::new();
    let (first, second) = (Series::new(), Series::new());
    first.connected(&store, "r").await.unwrap();
    told(&first, 10);
    // Late: its session is over already.
    second.connected(&store, "r").await.unwrap();
    second.disconnected("r");
    first.store(&store, NOON).await.unwrap();
    assert_eq!(stored(&store).await, (0.0, 0.0));
    first.sample(NOON);
    first.store(&store, NOON).await.unwrap();
    assert_eq!(stored(&store).await, (10.0, 10.0));
}

/// Commits, and once does not say so.
struct Mumbling {
    inner: MemoryStore,
    mumbles: AtomicBool,
}

#[async_trait]
impl Store for Mumbling {
    async fn get(&self, collection: &str, key: &str) -> Result<Option<Record>> {
        self.inner.get(collection, key).await
    }

    async fn list(
        &self,
        collection: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>> {
        self.inner.list(collection, prefix, after, limit).await
    }

    async fn commit(&self, change: Change) -> Result<()> {
        self.inner.commit(change).await?;
        match self.mumbles.swap(false, Ordering::SeqCst) {
            true => Err(Error::Unavailable("the answer was lost".into())),
            false => Ok(()),
        }
    }
}

#[tokio::test]
async fn a_commit_that_was_not_heard_of_counts_once() {
    let store = Mumbling { inner: MemoryStore::new(), mumbles: AtomicBool::new(false) };
    let series = Series::new();
    for migrator in ["r", "other"] {
        series.connected(&store, migrator).await.unwrap();
    }
    told(&series, 10);
    store.mumbles.store(true, Ordering::SeqCst);
    series.store(&store, NOON).await.unwrap_err();
    told(&series, 15);
    for _ in 0..2 {
        series.store(&store, NOON).await.unwrap();
        series.sample(NOON);
    }
    assert_eq!(files(&series, &store).await, (15.0, 15.0));
    series.store(&store, NOON).await.unwrap();
    assert_eq!(stored(&store).await, (15.0, 15.0));
}

#[tokio::test]
async fn until_points_are_stored_with_baselines_the_last_report_is_one() {
    let store = MemoryStore::new();
    for _ in 0..2 {
        let series = Series::new();
        series.connected(&store, "r").await.unwrap();
        assert!(!series.follows("r", "m"));
        series.reported("r", "m", &of_run("j/1", 12, 0), Some(&of_run("j/1", 10, 0)));
        series.sample(NOON);
        assert_eq!(files(&series, &store).await, (2.0, 2.0));
    }
    let series = Series::new();
    series.connected(&store, "r").await.unwrap();
    series.reported("r", "m", &of_run("j/1", 12, 0), Some(&of_run("j/1", 10, 0)));
    series.sample(NOON);
    series.store(&store, NOON).await.unwrap();
    assert!(series.follows("r", "new"));
}

#[tokio::test]
async fn a_migrator_that_is_gone_leaves_nothing_to_count() {
    let store = MemoryStore::new();
    let series = Series::new();
    series.connected(&store, "r").await.unwrap();
    told(&series, 10);
    store.commit(Change::new().remove(BASELINES, "r")).await.unwrap();
    series.store(&store, NOON).await.unwrap();
    assert_eq!(store.get(BASELINES, "r").await.unwrap(), None);
    told(&series, 11);
    series.store(&store, NOON).await.unwrap();
    assert_eq!(stored(&store).await, (0.0, 0.0));
}
