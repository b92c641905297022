//! What every [`Store`] must do, as one suite that each implementation runs in its tests. [`all`] gives each check a store of
//! its own, empty.

#![expect(clippy::expect_used, clippy::panic, reason = "a suite of assertions, called from tests")]

mod listing;
mod races;

use std::future::Future;

pub use listing::{keys_with_any_characters, pages};
pub use races::{concurrent_writers, counters_keep_their_sum};

use crate::{Change, Error, Store};

/// Runs every check. Needs a runtime with several threads for the races to be real.
pub async fn all<S: Store, F: Future<Output = S>>(open: impl Fn() -> F) {
    versions(&open().await).await;
    expectations(&open().await).await;
    all_or_nothing(&open().await).await;
    bodies(&open().await).await;
    pages(&open().await).await;
    keys_with_any_characters(&open().await).await;
    concurrent_writers(open().await.into()).await;
    counters_keep_their_sum(open().await.into()).await;
}

const ITEMS: &str = "items";

async fn version(store: &impl Store, key: &str) -> Option<u64> {
    store.get(ITEMS, key).await.expect("get answers").map(|record| record.version)
}

fn assert_conflict(result: crate::Result<()>, collection: &str, key: &str) {
    match result {
        Err(Error::Conflict { collection: found, key: on }) => assert_eq!((&*found, &*on), (collection, key)),
        other => panic!("a conflict on {collection}/{key} was due, not {other:?}"),
    }
}

/// The first write is version 1, each one adds one, a removed key starts anew; collections are apart.
pub async fn versions(store: &impl Store) {
    assert_eq!(version(store, "a").await, None);
    for expected in 1..=3 {
        store.commit(Change::new().put(ITEMS, "a", "body")).await.expect("put");
        assert_eq!(version(store, "a").await, Some(expected));
    }
    assert_eq!(store.get("others", "a").await.expect("get"), None);
    store.commit(Change::new().remove(ITEMS, "a")).await.expect("remove");
    assert_eq!(version(store, "a").await, None);
    store.commit(Change::new().remove(ITEMS, "a")).await.expect("removing what is absent is no error");
    store.commit(Change::new().put(ITEMS, "a", "again")).await.expect("put");
    assert_eq!(version(store, "a").await, Some(1));

    store
        .commit(Change::new().put(ITEMS, "b", "1").put(ITEMS, "b", "2"))
        .await
        .expect("writes happen in order");
    let twice = store.get(ITEMS, "b").await.expect("get").expect("b");
    assert_eq!((twice.key.as_str(), twice.version, twice.body.as_slice()), ("b", 2, &b"2"[..]));
    store.commit(Change::new().put(ITEMS, "c", "1").remove(ITEMS, "c")).await.expect("put and remove");
    assert_eq!(version(store, "c").await, None);
    store.commit(Change::new().remove(ITEMS, "b").put(ITEMS, "b", "3")).await.expect("remove and put");
    assert_eq!(version(store, "b").await, Some(1));
    store.commit(Change::new()).await.expect("an empty change is no error");
}

pub async fn expectations(store: &impl Store) {
    store
        .commit(Change::new().expect(ITEMS, "a", None).put(ITEMS, "a", "1"))
        .await
        .expect("absent as expected");
    assert_conflict(
        store.commit(Change::new().expect(ITEMS, "a", None).put(ITEMS, "a", "2")).await,
        ITEMS,
        "a",
    );
    assert_conflict(
        store.commit(Change::new().expect(ITEMS, "a", Some(2)).remove(ITEMS, "a")).await,
        ITEMS,
        "a",
    );
    assert_conflict(
        store.commit(Change::new().expect(ITEMS, "b", Some(1)).put(ITEMS, "b", "1")).await,
        ITEMS,
        "b",
    );
    assert_eq!((version(store, "a").await, version(store, "b").await), (Some(1), None));
    store
        .commit(Change::new().expect(ITEMS, "a", Some(1)).put(ITEMS, "a", "2"))
        .await
        .expect("version 1 as expected");

    // An expectation may guard a record that the change does not write, and is checked against the state before it.
    assert_conflict(
        store.commit(Change::new().expect(ITEMS, "a", Some(1)).put(ITEMS, "c", "1")).await,
        ITEMS,
        "a",
    );
    store
        .commit(Change::new().expect(ITEMS, "d", None).expect("others", "d", None).put(ITEMS, "d", "1"))
        .await
        .expect("an expectation is of its own collection");
    assert_eq!(version(store, "c").await, None);
}

/// The first expectation that fails stops all writes, whatever their place.
pub async fn all_or_nothing(store: &impl Store) {
    store.commit(Change::new().put(ITEMS, "kept", "1")).await.expect("put");
    let change = Change::new()
        .put(ITEMS, "new", "1")
        .remove(ITEMS, "kept")
        .expect(ITEMS, "kept", Some(1))
        .expect(ITEMS, "missing", Some(1))
        .put("others", "new", "1");
    assert_conflict(store.commit(change).await, ITEMS, "missing");
    assert_eq!((version(store, "new").await, version(store, "kept").await), (None, Some(1)));
    assert_eq!(store.get("others", "new").await.expect("get"), None);

    let change = Change::new().expect(ITEMS, "kept", Some(1)).remove(ITEMS, "kept").put("others", "new", "1");
    store.commit(change).await.expect("all hold");
    assert_eq!(version(store, "kept").await, None);
    assert!(store.get("others", "new").await.expect("get").is_some());
}

/// Bodies are bytes of any value and length.
pub async fn bodies(store: &impl Store) {
    let every_byte: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    for body in [Vec::new(), vec![0], every_byte] {
        store.commit(Change::new().put(ITEMS, "body", body.clone())).await.expect("put");
        assert!(
            store.get(ITEMS, "body").await.expect("get").expect("body").body == body,
            "{} bytes",
            body.len()
        );
    }
}
