use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use sqlx::Connection as _;
use tokio::task::JoinSet;

use super::SqliteStore;
use crate::{Change, Error, Store};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn conforms() {
    let folder = tempfile::tempdir().unwrap();
    let number = std::sync::atomic::AtomicU32::new(0);
    crate::conformance::all(|| {
        let number = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = folder.path().join(format!("{number}.db"));
        async move { SqliteStore::open(path).await.unwrap() }
    })
    .await;
}

#[tokio::test]
async fn survives_being_closed_and_reopened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    for version in 1..=3 {
        let store = SqliteStore::open(&path).await.unwrap();
        let change =
            Change::new().expect("c", "k", (version > 1).then_some(version - 1)).put("c", "k", "body");
        store.commit(change).await.unwrap();
        drop(store);
        assert_eq!(
            SqliteStore::open(&path).await.unwrap().get("c", "k").await.unwrap().unwrap().version,
            version
        );
    }
}

#[tokio::test]
async fn only_the_owner_may_read_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("store.db")).await.unwrap();
    store.commit(Change::new().put("c", "k", "body")).await.unwrap();
    let files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap()).collect();
    assert!(files.len() >= 2, "the database and its log");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
    }
}

#[tokio::test]
async fn says_which_file_cannot_be_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("absent").join("store.db");
    assert!(
        matches!(SqliteStore::open(&path).await, Err(Error::Unavailable(reason)) if reason.contains("absent/store.db"))
    );
    let path = folder.path().join("text");
    std::fs::write(&path, "certainly no database, but long enough to have a header of one. ".repeat(100))
        .unwrap();
    assert!(
        matches!(SqliteStore::open(&path).await, Err(Error::Unavailable(reason)) if reason.contains("not a database"))
    );
}

/// On one thread the writer runs only when all commits wait, so how they group does not depend on speed.
#[tokio::test]
async fn changes_that_wait_together_share_a_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path().join("store.db")).await.unwrap());
    let mut commits = JoinSet::new();
    for number in 0..200 {
        let store = store.clone();
        commits.spawn(async move { store.commit(Change::new().put("c", format!("{number}"), "body")).await });
    }
    assert!(commits.join_all().await.iter().all(Result::is_ok));
    let counters = store.counters();
    assert_eq!(counters.changes(), 200);
    assert!(counters.transactions() <= 2, "{} transactions for 200 changes", counters.transactions());
    assert_eq!(store.list("c", "", None, 1000).await.unwrap().len(), 200);
}

#[tokio::test]
async fn a_conflict_does_not_hurt_its_neighbours_in_the_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("store.db")).await.unwrap();
    store.commit(Change::new().put("c", "taken", "first")).await.unwrap();
    let before = store.counters().transactions();
    let (first, conflict, chained, last) = tokio::join!(
        store.commit(Change::new().put("c", "a", "1")),
        store.commit(Change::new().put("c", "b", "1").expect("c", "taken", None).put("c", "taken", "second")),
        store.commit(Change::new().expect("c", "a", Some(1)).put("c", "a", "2")),
        store.commit(Change::new().put("c", "d", "1")),
    );
    assert_eq!(store.counters().transactions(), before + 1);
    assert!(first.is_ok() && chained.is_ok() && last.is_ok(), "{first:?} {chained:?} {last:?}");
    assert!(matches!(conflict, Err(Error::Conflict { key, .. }) if key == "taken"));
    let found: Vec<_> = store
        .list("c", "", None, 10)
        .await
        .unwrap()
        .into_iter()
        .map(|record| (record.key, record.version))
        .collect();
    assert_eq!(found, [("a".to_owned(), 2), ("d".to_owned(), 1), ("taken".to_owned(), 1)]);
}

/// A write that SQLite itself refuses takes back its own change only.
#[tokio::test]
async fn a_failing_write_does_not_hurt_its_neighbours_in_the_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("store.db")).await.unwrap();
    sqlx::query("CREATE TRIGGER refuse BEFORE INSERT ON records WHEN NEW.key = 'bad' BEGIN SELECT RAISE(ABORT, 'refused'); END")
        .execute(&sqlx::SqlitePool::connect_with(super::options(store.path())).await.unwrap())
        .await
        .unwrap();
    let (first, refused, last) = tokio::join!(
        store.commit(Change::new().put("c", "a", "1")),
        store.commit(Change::new().put("c", "b", "1").put("c", "bad", "1")),
        store.commit(Change::new().put("c", "d", "1")),
    );
    assert!(first.is_ok() && last.is_ok(), "{first:?} {last:?}");
    assert!(matches!(refused, Err(Error::Unavailable(reason)) if reason.contains("refused")));
    let found: Vec<_> =
        store.list("c", "", None, 10).await.unwrap().into_iter().map(|record| record.key).collect();
    assert_eq!(found, ["a", "d"]);
}

/// What a power cut leaves: the files as they are while writers write, and the log cut at any byte.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_copy_taken_while_writing_opens_with_all_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let log = folder.path().join("store.db-wal");
    let store = Arc::new(SqliteStore::open(&path).await.unwrap());
    let (acknowledge, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let (store, acknowledge) = (store.clone(), acknowledge.clone());
        writers.spawn(async move {
            for number in 0..50 {
                let key = format!("{writer}/{number}");
                store
                    .commit(Change::new().put("left", &key, "body").put("right", &key, "body"))
                    .await
                    .unwrap();
                acknowledge.send(key).unwrap();
            }
        });
    }
    let mut before_copy = Vec::new();
    while before_copy.len() < 80 {
        before_copy.push(acknowledged.recv().await.unwrap());
    }
    // The log stays below the size at which SQLite moves it into the database, so the two copies belong together.
    let copies = (std::fs::read(&path).unwrap(), std::fs::read(&log).unwrap());
    assert!(copies.0 == std::fs::read(&path).unwrap(), "the database itself was written meanwhile");
    writers.join_all().await;

    for cut in [0, 1, 2000, copies.1.len() / 2] {
        let crashed = folder.path().join(format!("crashed-{cut}.db"));
        std::fs::write(&crashed, &copies.0).unwrap();
        std::fs::write(format!("{}-wal", crashed.display()), &copies.1[..copies.1.len() - cut]).unwrap();
        let reopened = SqliteStore::open(&crashed).await.unwrap();
        let keys = async |collection| -> Vec<String> {
            let records = reopened.list(collection, "", None, 10_000).await.unwrap();
            records.into_iter().map(|record| record.key).collect()
        };
        let (left, right) = (keys("left").await, keys("right").await);
        assert_eq!(left, right, "a change is whole or absent (cut {cut})");
        if cut == 0 {
            assert!(before_copy.iter().all(|key| left.contains(key)), "an acknowledged change is missing");
        }
        reopened.commit(Change::new().put("left", "after", "crash")).await.unwrap();
        let check: String = reopened
            .readers
            .with(|connection| connection.query_row("PRAGMA integrity_check", (), |row| row.get(0)))
            .unwrap();
        assert_eq!(check, "ok");
    }
}

/// As on a disk without room: SQLite takes no more pages.
#[tokio::test]
async fn a_full_store_says_so_reads_go_on_and_nothing_is_half_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let (connection, _) = super::connect_or_create(&path).await.unwrap();
    connection.close().await.unwrap();
    let store = SqliteStore::with(&super::File { path: path.clone(), most_pages: Some(40) }).unwrap();
    let put = |number: u32| {
        let key = format!("{number:03}");
        store.commit(Change::new().put("left", &key, [7; 2000]).put("right", &key, [7; 2000]))
    };
    let mut written = 0;
    let error = loop {
        match put(written).await {
            Ok(()) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Full(_)) && error.to_string().contains("make room"), "{error}");
    assert!(matches!(put(999).await, Err(Error::Full(_))), "not only the first time");
    assert!(written > 5);
    for collection in ["left", "right"] {
        assert_eq!(store.list(collection, "", None, 1000).await.unwrap().len(), written as usize);
    }
    drop(store);
    // With room, it goes on.
    let store = SqliteStore::open(&path).await.unwrap();
    store.commit(Change::new().expect("left", "000", Some(1)).put("left", "000", "new")).await.unwrap();
}

/// Servers run on threads with runtimes of their own.
#[test]
fn answers_callers_of_other_runtimes() {
    let folder = tempfile::tempdir().unwrap();
    let home = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let store = home.block_on(SqliteStore::open(folder.path().join("store.db"))).unwrap();
    let guest = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    guest.block_on(store.commit(Change::new().put("c", "k", "body"))).unwrap();
    assert!(guest.block_on(store.get("c", "k")).unwrap().is_some());
    drop(home);
    assert!(matches!(
        guest.block_on(store.commit(Change::new().put("c", "k", "2"))),
        Err(Error::Unavailable(_))
    ));
}
