use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Contents, Error, Location, Restored, backup, migrate, restore, schema};
use crate::sqlite::SqliteStore;
use crate::{Change, Record, Store};

fn at(path: &Path) -> Location {
    path.to_str().unwrap().parse().unwrap()
}

/// Keys that a format could trip over, bodies of any bytes, versions above one.
async fn furnish(store: &impl Store) {
    for key in ["", "a\0b", "a\nb", "ä", "\u{10ffff}", "日本/1", "%_'\""] {
        for body in [&b""[..], b"\0", b"livedata-backup 1\n", &[0xff; 100_000]] {
            store.commit(Change::new().put("odd", key, body)).await.unwrap();
        }
    }
    for hundred in 0..30 {
        let change = (0..100).fold(Change::new(), |change, number| {
            change.put("many", format!("/subscriptions/s/{hundred}/{number}"), format!("{{\"n\": {number}}}"))
        });
        store.commit(change).await.unwrap();
    }
    store.commit(Change::new().put("a", "k", "1").put("z", "k", "1").put("z", "k", "2")).await.unwrap();
}

async fn everything(store: &impl Store) -> Vec<Record> {
    let mut all = Vec::new();
    for collection in ["a", "many", "odd", "z"] {
        all.extend(store.list(collection, "", None, 10_000).await.unwrap());
    }
    all
}

async fn made(folder: &Path) -> (SqliteStore, std::path::PathBuf, Contents) {
    let store = SqliteStore::open(folder.join("store.db")).await.unwrap();
    furnish(&store).await;
    let file = folder.join("backup");
    let contents = backup(&at(store.path()), &file).await.unwrap();
    (store, file, contents)
}

#[tokio::test]
async fn what_is_restored_is_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let (store, file, contents) = made(folder.path()).await;
    assert_eq!(contents.records, 7 + 3000 + 2);
    let copy = folder.path().join("copy.db");
    assert_eq!(restore(&at(&copy), &file, &[]).await.unwrap().contents, contents);
    let copy = SqliteStore::open(&copy).await.unwrap();
    let all = everything(&copy).await;
    assert_eq!(all.len(), 3009);
    assert!(all == everything(&store).await, "records, with their versions");
    // The copy works on from those versions.
    copy.commit(Change::new().expect("z", "k", Some(2)).put("z", "k", "3")).await.unwrap();
    let again = folder.path().join("again");
    assert_eq!(backup(&at(store.path()), &again).await.unwrap(), contents);
    assert!(std::fs::read(&again).unwrap() == std::fs::read(&file).unwrap(), "the same store, the same file");
}

#[tokio::test]
async fn what_is_left_out_is_not_there_and_everything_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let (store, file, contents) = made(folder.path()).await;
    let copy = folder.path().join("copy.db");
    let done = restore(&at(&copy), &file, &["many", "none"]).await.unwrap();
    assert_eq!(done, Restored { contents, left_out: 3000 });
    let copy = SqliteStore::open(&copy).await.unwrap();
    assert!(copy.list("many", "", None, 10).await.unwrap().is_empty());
    for collection in ["a", "odd", "z"] {
        let all = copy.list(collection, "", None, 100).await.unwrap();
        assert!(all == store.list(collection, "", None, 100).await.unwrap() && !all.is_empty());
    }
}

#[tokio::test]
async fn an_empty_store_has_a_backup() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("store.db")).await.unwrap();
    let file = folder.path().join("backup");
    assert_eq!(backup(&at(store.path()), &file).await.unwrap().records, 0);
    assert_eq!(restore(&at(&folder.path().join("copy.db")), &file, &[]).await.unwrap().contents.records, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_backup_is_of_one_moment_while_others_write() {
    const UNITS: u64 = 10_000;
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(SqliteStore::open(folder.path().join("store.db")).await.unwrap());
    let change = (0..200).fold(Change::new(), |change, number| {
        let units = if number == 0 { UNITS } else { 0 };
        change.put("accounts", format!("{number:03}"), units.to_string())
    });
    store.commit(change).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let writer = {
        let (store, stop) = (Arc::clone(&store), Arc::clone(&stop));
        // Always from the first to one of the last: a copy that is not of one moment loses or makes units.
        tokio::spawn(async move {
            let mut moved = 0;
            while !stop.load(Ordering::Relaxed) {
                let taker = format!("{:03}", 199 - moved % 150);
                let units = async |key: &str| -> u64 {
                    let record = store.get("accounts", key).await.unwrap().unwrap();
                    String::from_utf8(record.body).unwrap().parse().unwrap()
                };
                let (first, last) = (units("000").await, units(&taker).await);
                let change = Change::new().put("accounts", "000", (first - 1).to_string()).put(
                    "accounts",
                    taker,
                    (last + 1).to_string(),
                );
                store.commit(change).await.unwrap();
                moved += 1;
            }
            moved
        })
    };
    let mut seen = std::collections::BTreeSet::new();
    for number in 0..20 {
        let file = folder.path().join(format!("backup-{number}"));
        backup(&at(store.path()), &file).await.unwrap();
        let copy = folder.path().join(format!("copy-{number}.db"));
        restore(&at(&copy), &file, &[]).await.unwrap();
        let copy = SqliteStore::open(&copy).await.unwrap();
        let units: Vec<u64> = copy
            .list("accounts", "", None, 1000)
            .await
            .unwrap()
            .into_iter()
            .map(|record| String::from_utf8(record.body).unwrap().parse().unwrap())
            .collect();
        assert_eq!(units.iter().sum::<u64>(), UNITS, "backup {number}");
        seen.insert(units[0]);
    }
    stop.store(true, Ordering::Relaxed);
    let moved = writer.await.unwrap();
    assert!(seen.len() > 1, "nothing was written between backups, in {moved} changes");
}

/// Whatever is wrong with a file, it is found before a store is made.
#[tokio::test]
async fn what_is_damaged_is_refused_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let (_store, file, _) = made(folder.path()).await;
    let whole = std::fs::read(&file).unwrap();
    let target = folder.path().join("target.db");
    let mut tried = 0;
    let mut refused = async |bytes: &[u8], what: &str| {
        let bad = folder.path().join("bad");
        std::fs::write(&bad, bytes).unwrap();
        let error = restore(&at(&target), &bad, &[]).await.unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{what}: {error}");
        assert!(error.to_string().contains("nothing was written"), "{error}");
        assert!(!target.exists(), "{what}");
        tried += 1;
    };
    for length in [0, 1, 17, 18, 19, 40, whole.len() / 2, whole.len() - 33, whole.len() - 32, whole.len() - 1]
    {
        refused(&whole[..length], &format!("cut to {length}")).await;
    }
    refused(&[&whole[..], b"x"].concat(), "longer").await;
    let step = whole.len() / 40;
    for position in (0..whole.len()).step_by(step).chain(18..60).chain(whole.len() - 41..whole.len()) {
        let mut bytes = whole.clone();
        bytes[position] ^= 0x55;
        refused(&bytes, &format!("byte {position}")).await;
    }
    assert!(tried > 90, "{tried}");
    restore(&at(&target), &file, &[]).await.unwrap();
}

#[tokio::test]
async fn a_backup_of_a_newer_format_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (file, target) = (folder.path().join("backup"), folder.path().join("target.db"));
    std::fs::write(&file, "livedata-backup 2\nwhatever").unwrap();
    let error = restore(&at(&target), &file, &[]).await.unwrap_err();
    assert!(matches!(error, Error::NewerFormat { format: 2, .. }), "{error}");
    assert!(error.to_string().contains("the version that made it, or a newer one"), "{error}");
    assert!(!target.exists());
}

#[tokio::test]
async fn a_store_that_holds_records_is_not_restored_into() {
    let folder = tempfile::tempdir().unwrap();
    let (store, file, _) = made(folder.path()).await;
    let before = everything(&store).await;
    let error = restore(&at(store.path()), &file, &[]).await.unwrap_err();
    assert!(matches!(error, Error::NotEmpty(_)), "{error}");
    assert!(everything(&store).await == before);
}

#[tokio::test]
async fn a_backup_overwrites_nothing_and_leaves_no_draft() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path().join("store.db")).await.unwrap();
    let kept = tempfile::tempdir().unwrap();
    let file = kept.path().join("backup");
    std::fs::write(&file, "somebody else's").unwrap();
    assert!(matches!(backup(&at(store.path()), &file).await, Err(Error::Exists(_))));
    assert_eq!(std::fs::read(&file).unwrap(), b"somebody else's");
    let absent = kept.path().join("absent.db");
    let error = backup(&at(&absent), &kept.path().join("other")).await.unwrap_err();
    assert!(matches!(error, Error::NoStore(_)) && error.to_string().contains("absent.db"), "{error}");
    assert!(!absent.exists(), "looking for a store does not make one");
    let names: Vec<_> =
        std::fs::read_dir(kept.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["backup"]);
}

#[tokio::test]
async fn a_backup_is_its_owners_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let (_store, file, _) = made(folder.path()).await;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn migrating_says_from_where_to_where() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    assert!(matches!(schema(&at(&path)).await, Err(Error::NoStore(_))));
    assert!(!path.exists());
    let first = migrate(&at(&path)).await.unwrap();
    assert_eq!((first.found, first.is_current()), (None, false));
    let again = migrate(&at(&path)).await.unwrap();
    assert_eq!((again.found, again.is_current()), (Some(first.wanted), true));
    assert_eq!(schema(&at(&path)).await.unwrap(), again);
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let known = migrate(&at(&path)).await.unwrap().wanted;
    let pool = sqlx::SqlitePool::connect_with(crate::sqlite::options(&path)).await.unwrap();
    sqlx::query("INSERT INTO _sqlx_migrations SELECT version + 1, 'of tomorrow', installed_on, success, x'00', 0 FROM _sqlx_migrations")
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    let file = folder.path().join("backup");
    let errors = [
        migrate(&at(&path)).await.unwrap_err(),
        schema(&at(&path)).await.unwrap_err(),
        backup(&at(&path), &file).await.unwrap_err(),
        Error::Store { location: at(&path), source: SqliteStore::open(&path).await.unwrap_err() },
    ];
    for error in errors {
        let Error::Store { source, .. } = error else { panic!("{error}") };
        assert!(
            matches!(source, crate::Error::Newer { found, known: mine } if (found, mine) == (known + 1, known)),
            "{source}"
        );
        assert!(source.to_string().contains("or a newer one"), "{source}");
    }
    assert!(!file.exists());
}

#[test]
fn an_address_shows_no_password() {
    let location: Location = "postgres://me:secret@db.example:5433/lake?sslmode=require".parse().unwrap();
    assert_eq!(location.to_string(), "the database lake on db.example:5433");
    let all =
        format!("{location} {location:?} {}", "mysql://me:secret@db/x".parse::<Location>().unwrap_err());
    assert!(!all.contains("secret"), "{all}");
}
