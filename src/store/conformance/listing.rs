//! Order, prefixes, pages.

use super::ITEMS;
use crate::{Change, Store};

async fn keys(store: &impl Store, prefix: &str, after: Option<&str>, limit: usize) -> Vec<String> {
    let records = store.list(ITEMS, prefix, after, limit).await.expect("list answers");
    records.into_iter().map(|record| record.key).collect()
}

/// Pages of any size give each record once and in order, also while records before and behind the position change.
pub async fn pages(store: &impl Store) {
    let mut change =
        Change::new().put(ITEMS, "p", "before").put(ITEMS, "p0", "behind").put("others", "p/000", "other");
    for number in 0..100 {
        change = change.put(ITEMS, format!("p/{number:03}"), format!("{number}"));
    }
    store.commit(change).await.expect("put");
    let expected: Vec<String> = (0..100).map(|number| format!("p/{number:03}")).collect();
    assert_eq!(keys(store, "p/", None, 1000).await, expected);
    assert_eq!(keys(store, "p/", None, 0).await, Vec::<String>::new());
    assert_eq!(keys(store, "p/", Some("p/099"), 5).await, Vec::<String>::new());
    assert_eq!(keys(store, "p/", Some("p/0490"), 2).await, ["p/050", "p/051"], "the position need not exist");
    assert_eq!(keys(store, "p/", Some("a"), 1).await, ["p/000"], "a position before the prefix");
    assert_eq!(keys(store, "p/", Some("z"), 1).await, Vec::<String>::new(), "a position behind the prefix");
    assert_eq!(keys(store, "nothing", None, 10).await, Vec::<String>::new());
    assert_eq!(keys(store, "", None, 1000).await.len(), 102, "no prefix: the whole collection, and only it");

    for size in [1, 7, 100] {
        let mut found: Vec<String> = Vec::new();
        loop {
            let page = keys(store, "p/", found.last().map(String::as_str), size).await;
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= size);
            found.extend(page);
            // Neither a record that comes before the position nor one that is rewritten disturbs the walk.
            store
                .commit(Change::new().put(ITEMS, "p/", "first").put(ITEMS, "p/050", "new"))
                .await
                .expect("put");
            store.commit(Change::new().remove(ITEMS, "p/")).await.expect("remove");
        }
        assert_eq!(found, expected, "pages of {size}");
    }
}

/// A prefix is no pattern; order is that of the bytes.
pub async fn keys_with_any_characters(store: &impl Store) {
    let mut all = [
        "",
        "%",
        "%/a",
        "_/a",
        "a%b",
        "a%b/1",
        "a_b/1",
        "axb/1",
        "A%b/1",
        "a b",
        "a\\b",
        "a'b\"",
        "a\nb",
        "a\0b",
        "a*",
        "a?b",
        "a[b]",
        "ä",
        "a\u{308}",
        "日本/1",
        "日本/2",
        "日李/1",
        "\u{d7ff}x",
        "\u{e000}x",
        "\u{ffff}",
        "𝔸",
        "\u{10ffff}",
        "\u{10ffff}/x",
    ];
    let change = all.iter().fold(Change::new(), |change, key| change.put(ITEMS, *key, key.as_bytes()));
    store.commit(change).await.expect("put");
    all.sort_unstable();
    assert_eq!(keys(store, "", None, 1000).await, all);
    for key in all {
        let record = store.get(ITEMS, key).await.expect("get").expect("a record under this key");
        assert_eq!((record.key.as_str(), record.body.as_slice()), (key, key.as_bytes()));
        for (end, _) in key.char_indices().chain([(key.len(), ' ')]) {
            let prefix = &key[..end];
            let expected: Vec<&str> = all.iter().copied().filter(|other| other.starts_with(prefix)).collect();
            assert_eq!(keys(store, prefix, None, 1000).await, expected, "prefix {prefix:?}");
            let behind: Vec<&str> = expected.iter().copied().filter(|other| *other > key).collect();
            assert_eq!(keys(store, prefix, Some(key), 1000).await, behind, "prefix {prefix:?} after {key:?}");
        }
    }
}
