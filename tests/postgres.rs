//! The store on a real PostgreSQL, shared by several providers.

mod maintenance;
mod outage;
mod providers;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use livedata_store::postgres::PostgresStore;
use livedata_store::{Change, Error, Record, Store, conformance};
use serde_json::json;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection};
use url::Url;

use crate::site::Site;

/// Address of a new database.
async fn database() -> Url {
    static MADE: AtomicUsize = AtomicUsize::new(0);
    let name = format!("store_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    let mut url = server();
    execute(&url, &format!("CREATE DATABASE {name}")).await;
    url.set_path(&name);
    url
}

fn server() -> Url {
    let url = std::env::var("LIVEDATA_POSTGRES")
        .unwrap_or_else(|_| panic!("LIVEDATA_POSTGRES must be the address of a PostgreSQL"));
    url.parse().unwrap()
}

async fn execute(url: &Url, statement: &str) {
    let options: PgConnectOptions = url.as_str().parse().unwrap();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

async fn open(url: &Url) -> PostgresStore {
    PostgresStore::open(url.as_str()).await.unwrap()
}

/// Providers that share a database: each call goes to the next one.
struct Shared {
    stores: [PostgresStore; 3],
    turn: AtomicUsize,
}

impl Shared {
    async fn open(url: &Url) -> Self {
        // At the same time, so that all of them find the database empty.
        let (first, second, third) = tokio::join!(open(url), open(url), open(url));
        Self { stores: [first, second, third], turn: AtomicUsize::new(0) }
    }

    fn next(&self) -> &PostgresStore {
        &self.stores[self.turn.fetch_add(1, Ordering::Relaxed) % self.stores.len()]
    }
}

#[async_trait]
impl Store for Shared {
    async fn get(&self, collection: &str, key: &str) -> livedata_store::Result<Option<Record>> {
        self.next().get(collection, key).await
    }

    async fn list(
        &self,
        collection: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> livedata_store::Result<Vec<Record>> {
        self.next().list(collection, prefix, after, limit).await
    }

    async fn commit(&self, change: Change) -> livedata_store::Result<()> {
        self.next().commit(change).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_conforms() {
    conformance::all(|| async { open(&database().await).await }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_conforms_when_several_providers_share_it() {
    conformance::all(|| async { Shared::open(&database().await).await }).await;
}

/// Whoever administers the database may have set other defaults.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_defaults_of_the_database_do_not_count() {
    let url = database().await;
    let name = url.path().trim_start_matches('/').to_owned();
    for setting in [
        "default_transaction_isolation = 'repeatable read'",
        "synchronous_commit = off",
        "default_transaction_read_only = on",
    ] {
        execute(&server(), &format!("ALTER DATABASE {name} SET {setting}")).await;
    }
    let shared = Arc::new(Shared::open(&url).await);
    conformance::concurrent_writers(shared.clone()).await;
    conformance::counters_keep_their_sum(shared).await;
}

/// The server goes away in the middle: what was acknowledged is there, and the store goes on by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn broken_connections_are_replaced() {
    let url = database().await;
    let store = open(&url).await;
    let end_all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let (mut acknowledged, mut lost) = (Vec::new(), 0);
    for number in 0..60 {
        if number % 20 == 10 {
            execute(&url, end_all).await;
        }
        let key = format!("{number:02}");
        match store.commit(Change::new().put("left", &key, "1").put("right", &key, "1")).await {
            Ok(()) => acknowledged.push(key),
            Err(Error::Unavailable(_)) => lost += 1,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(lost <= 3 && acknowledged.len() >= 57, "{lost} of 60 were lost in three interruptions");
    let keys = async |collection| -> Vec<String> {
        let listed = store.list(collection, "", None, 100).await.unwrap();
        listed.into_iter().map(|record| record.key).collect()
    };
    let (left, right) = (keys("left").await, keys("right").await);
    assert_eq!(left, right, "a change is whole or absent");
    assert!(acknowledged.iter().all(|key| left.contains(key)), "an acknowledged change is missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_that_come_together_share_transactions() {
    let store = Arc::new(open(&database().await).await);
    let writers = (0..200).map(|number| {
        let store = store.clone();
        tokio::spawn(async move { store.commit(Change::new().put("c", number.to_string(), "1")).await })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap().unwrap();
    }
    let counters = store.counters();
    assert_eq!(counters.changes(), 200);
    assert!(counters.transactions() < 100, "{} transactions", counters.transactions());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_is_refused_does_not_hurt_its_neighbours() {
    let url = database().await;
    let store = open(&url).await;
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS \
                  $$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = 'check_violation'; END $$; \
                  CREATE TRIGGER refuse BEFORE INSERT ON records FOR EACH ROW WHEN (NEW.key = 'bad') EXECUTE FUNCTION refuse()";
    execute(&url, refuse).await;
    let (first, refused, last) = tokio::join!(
        store.commit(Change::new().put("c", "a", "1")),
        store.commit(Change::new().put("c", "b", "1").put("c", "bad", "1")),
        store.commit(Change::new().put("c", "d", "1")),
    );
    assert!(first.is_ok() && last.is_ok(), "{first:?} {last:?}");
    assert!(matches!(refused, Err(Error::Unavailable(reason)) if reason.contains("refused")));
    let found = store.list("c", "", None, 10).await.unwrap();
    let found: Vec<_> = found.iter().map(|record| (record.key.as_str(), record.version)).collect();
    assert_eq!(found, [("a", 1), ("d", 1)]);
}

/// The provider as a process: what it answered with is there after kill -9, and nowhere in its folder.
#[tokio::test(flavor = "multi_thread")]
async fn the_control_plane_keeps_its_resources_in_it() {
    let url = database().await;
    let mut site = Site::bare(&["--store", url.as_str()]).await;
    let arm = site.arm();
    arm.put(&arm.id("/resourcegroups/rg"), &json!({"location": "westeurope"})).await.unwrap();
    arm.post(&arm.id("/providers/LiveData.Platform/register")).await.unwrap();
    let source = json!({"kind": "LocalDirectory", "uri": "file:///srv"});
    let id = site.migrator_id("m");
    let body = json!({"location": "westeurope", "properties": {"source": source}});
    let made = arm.put(&id, &body).await.unwrap();
    site.kill().await;
    assert!(!site.data().join("provider.db").exists());
    site.bring_up().await;
    let found = site.arm().get(&id).await.unwrap();
    assert_eq!((&found["etag"], &found["properties"]["source"]), (&made["etag"], &source));
    site.arm().delete(&id).await.unwrap();
    assert!(open(&url).await.get("migrators", &id.to_lowercase()).await.unwrap().is_none());
}

#[tokio::test]
async fn an_address_that_leads_nowhere_is_said_without_its_password() {
    for url in ["postgres://me:secret@127.0.0.1:1/none", "mysql://me:secret@127.0.0.1/none"] {
        let error = PostgresStore::open(url).await.unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
    let mut wrong = server();
    wrong.set_password(Some("secret")).unwrap();
    let error = PostgresStore::open(wrong.as_str()).await.unwrap_err().to_string();
    assert!(error.contains("password authentication failed") && !error.contains("secret"), "{error}");
}
