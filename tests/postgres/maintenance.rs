//! `livedata store` on PostgreSQL, and between both databases.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use livedata_store::maintenance::{Error, Location, backup, migrate, restore, schema};
use livedata_store::sqlite::SqliteStore;
use livedata_store::{Change, Record, Store};
use url::Url;

use super::{database, execute, open};

fn at(url: &Url) -> Location {
    url.as_str().parse().unwrap()
}

fn file(path: &Path) -> Location {
    path.to_str().unwrap().parse().unwrap()
}

/// Keys that one of the databases, or the file between them, could trip over.
async fn furnish(store: &impl Store) {
    for key in ["", "a\0b", "a\nb", "ä", "\u{d7ff}", "\u{e000}", "\u{10ffff}", "日本/1", "%_'\"\\", "A", "a"]
    {
        for body in [&b""[..], b"\0\xff", &[0xfe; 300_000]] {
            store.commit(Change::new().put("odd", key, body)).await.unwrap();
        }
    }
    for hundred in 0..40 {
        let change = (0..100).fold(Change::new(), |change, number| {
            change.put("many", format!("/subscriptions/s/{hundred}/{number}"), format!("{{\"n\": {number}}}"))
        });
        store.commit(change).await.unwrap();
    }
    // Between those in no collation but that of bytes.
    store.commit(Change::new().put("Many", "k", "1").put("many_more", "k", "1")).await.unwrap();
}

async fn everything(store: &impl Store) -> Vec<Record> {
    let mut all = Vec::new();
    for collection in ["Many", "many", "many_more", "odd"] {
        all.extend(store.list(collection, "", None, 10_000).await.unwrap());
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_either_database_is_restored_into_the_other() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second, third) =
        (folder.path().join("first"), folder.path().join("second"), folder.path().join("third"));
    let sqlite = SqliteStore::open(folder.path().join("store.db")).await.unwrap();
    furnish(&sqlite).await;
    let contents = backup(&file(sqlite.path()), &first).await.unwrap();
    assert_eq!(contents.records, 11 + 4000 + 2);

    // The database has no schema yet.
    let url = database().await;
    assert_eq!(restore(&at(&url), &first, &[]).await.unwrap().contents, contents);
    let postgres = open(&url).await;
    assert!(everything(&postgres).await == everything(&sqlite).await, "records, with their versions");
    assert_eq!(backup(&at(&url), &second).await.unwrap(), contents);
    assert!(
        std::fs::read(&second).unwrap() == std::fs::read(&first).unwrap(),
        "the same records, the same file"
    );

    let without = database().await;
    let done = restore(&at(&without), &first, &["many"]).await.unwrap();
    assert_eq!((done.contents, done.left_out), (contents.clone(), 4000));
    assert!(open(&without).await.list("many", "", None, 10).await.unwrap().is_empty());

    let back = folder.path().join("back.db");
    restore(&file(&back), &second, &[]).await.unwrap();
    backup(&file(&back), &third).await.unwrap();
    assert!(std::fs::read(&third).unwrap() == std::fs::read(&first).unwrap());
    postgres.commit(Change::new().expect("odd", "ä", Some(3)).put("odd", "ä", "4")).await.unwrap();
    let taken = restore(&at(&url), &first, &[]).await;
    assert!(matches!(taken, Err(Error::NotEmpty(_))), "{taken:?}");
}

async fn units(store: &impl Store, account: &str) -> u64 {
    let record = store.get("accounts", account).await.unwrap().unwrap();
    String::from_utf8(record.body).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_is_of_one_moment_while_several_providers_write() {
    const UNITS: u64 = 100_000;
    const WRITERS: u64 = 3;
    let (url, folder) = (database().await, tempfile::tempdir().unwrap());
    let store = open(&url).await;
    let change = (0..2000).fold(Change::new(), |change, number: u64| {
        let units = if number < WRITERS { UNITS } else { 0 };
        change.put("accounts", format!("{number:04}"), units.to_string())
    });
    store.commit(change).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (store, stop) = (open(&url).await, Arc::clone(&stop));
        // Always from one of the first to one of the last: a copy that is not of one moment loses or makes units.
        writers.spawn(async move {
            let mut moved = 0;
            while !stop.load(Ordering::Relaxed) {
                let (giver, taker) =
                    (format!("{writer:04}"), format!("{:04}", 1999 - writer - 3 * (moved % 500)));
                let (first, last) = (units(&store, &giver).await, units(&store, &taker).await);
                let change = Change::new().put("accounts", giver, (first - 1).to_string()).put(
                    "accounts",
                    taker,
                    (last + 1).to_string(),
                );
                store.commit(change).await.unwrap();
                moved += 1;
            }
        });
    }
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..10 {
        let to = folder.path().join(format!("backup-{number}"));
        backup(&at(&url), &to).await.unwrap();
        let copy = folder.path().join(format!("copy-{number}.db"));
        restore(&file(&copy), &to, &[]).await.unwrap();
        let records =
            SqliteStore::open(&copy).await.unwrap().list("accounts", "", None, 10_000).await.unwrap();
        let units: Vec<u64> = records
            .into_iter()
            .map(|record| String::from_utf8(record.body).unwrap().parse().unwrap())
            .collect();
        assert_eq!(units.iter().sum::<u64>(), WRITERS * UNITS, "backup {number}");
        seen.insert(units[0]);
    }
    stop.store(true, Ordering::Relaxed);
    writers.join_all().await;
    assert!(seen.len() > 1, "nothing was written between backups");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_does_not_touch_the_database() {
    let (url, folder) = (database().await, tempfile::tempdir().unwrap());
    let (whole, bad) = (folder.path().join("whole"), folder.path().join("bad"));
    let sqlite = SqliteStore::open(folder.path().join("store.db")).await.unwrap();
    furnish(&sqlite).await;
    backup(&file(sqlite.path()), &whole).await.unwrap();
    let bytes = std::fs::read(&whole).unwrap();
    let mut flipped = bytes.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for damaged in [&flipped[..], &bytes[..bytes.len() - 1], b"livedata-backup 2\n"] {
        std::fs::write(&bad, damaged).unwrap();
        assert!(restore(&at(&url), &bad, &[]).await.is_err());
        assert_eq!(schema(&at(&url)).await.unwrap().found, None, "not even a schema");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn migrating_says_from_where_to_where_and_leaves_a_newer_store_alone() {
    let (url, folder) = (database().await, tempfile::tempdir().unwrap());
    assert!(matches!(backup(&at(&url), &folder.path().join("none")).await, Err(Error::NoStore(_))));
    let first = migrate(&at(&url)).await.unwrap();
    assert_eq!((first.found, first.is_current()), (None, false));
    let again = migrate(&at(&url)).await.unwrap();
    assert_eq!((again.found, again.is_current()), (Some(first.wanted), true));
    execute(
        &url,
        "INSERT INTO _sqlx_migrations SELECT version + 1, 'of tomorrow', installed_on, success, ''::bytea, 0 FROM _sqlx_migrations",
    )
    .await;
    for error in [migrate(&at(&url)).await.unwrap_err(), schema(&at(&url)).await.unwrap_err()] {
        let Error::Store { source, .. } = error else { panic!("{error}") };
        assert!(matches!(source, livedata_store::Error::Newer { .. }), "{source}");
    }
    let opened = livedata_store::postgres::PostgresStore::open(url.as_str()).await;
    assert!(matches!(opened, Err(livedata_store::Error::Newer { .. })));
}
