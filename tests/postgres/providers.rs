//! Several control planes, each a process, on one database.

use std::collections::{BTreeMap, BTreeSet};

use livedata_store::{Record, Store};
use serde_json::{Value, json};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection as _, PgConnection, Row as _};
use url::Url;

use super::{database, execute, open};
use crate::site::{LIVEDATA, Site, until};

/// Remembers every write, and by whom it was: connections have the names of their processes.
const REMEMBER: &str = "CREATE TABLE remembered (n BIGSERIAL, who TEXT, collection TEXT, key TEXT, version BIGINT, body BYTEA); \
    CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
      INSERT INTO remembered (who, collection, key, version, body) \
      VALUES (current_setting('application_name'), NEW.collection, encode(NEW.key, 'escape'), NEW.version, NEW.body); \
      RETURN NULL; END $$; \
    CREATE TRIGGER remember AFTER INSERT OR UPDATE ON records FOR EACH ROW EXECUTE FUNCTION remember()";

struct Written {
    n: i64,
    who: String,
    collection: String,
    key: String,
    body: Vec<u8>,
}

impl Written {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

async fn written(url: &Url) -> Vec<Written> {
    let options: PgConnectOptions = url.as_str().parse().unwrap();
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let rows = sqlx::query("SELECT n, who, collection, key, body FROM remembered ORDER BY n");
    let rows = rows.fetch_all(&mut connection).await.unwrap();
    let written = |row: &sqlx::postgres::PgRow| Written {
        n: row.get(0),
        who: row.get(1),
        collection: row.get(2),
        key: row.get(3),
        body: row.get(4),
    };
    rows.iter().map(written).collect()
}

/// The database's address for a process of this name.
fn named(url: &Url, name: &str) -> String {
    let mut url = url.clone();
    url.set_query(Some(&format!("application_name={name}")));
    url.into()
}

struct Pair {
    url: Url,
    first: Site,
    second: Site,
}

impl Pair {
    /// Two processes that share the work evenly. The second one is of this program.
    async fn start(program: &str) -> Self {
        let url = database().await;
        let mut first = Site::start_with(&["--store", &named(&url, "first")]).await;
        first.terminate().await;
        let second = first.twin(program, &["--store", &named(&url, "second")]).await;
        first.bring_up().await;
        execute(&url, REMEMBER).await;
        Self { url, first, second }
    }

    async fn shared() -> Self {
        let pair = Self::start(LIVEDATA).await;
        pair.until_shared_by(2).await;
        pair
    }

    /// The second one is of another version, if `LIVEDATA_ADJACENT` names its program (`cargo xtask prove adjacent-versions`).
    async fn shared_with_another_version() -> Self {
        match std::env::var("LIVEDATA_ADJACENT") {
            // Whether it knows leases is its own matter.
            Ok(program) => Self::start(&program).await,
            Err(_) => Self::shared().await,
        }
    }

    async fn until_shared_by(&self, count: usize) {
        let store = open(&self.url).await;
        let shared = until(async || {
            let leases = store.list("leases", "", None, 100).await.unwrap();
            let living: BTreeSet<String> = keys(store.list("lease_holders", "", None, 100).await.unwrap());
            let mut held: BTreeMap<String, usize> = BTreeMap::new();
            for lease in &leases {
                let lease: Value = serde_json::from_slice(&lease.body).unwrap();
                *held.entry(lease["holder"].as_str()?.to_owned()).or_default() += 1;
            }
            let even = held.values().all(|units| *units == leases.len() / count);
            (held.len() == count && even && held.keys().all(|holder| living.contains(holder))).then_some(())
        });
        shared.await.unwrap();
    }

    /// Every operation has ended; how often each has, and with what.
    async fn until_all_ended(&self) -> BTreeMap<String, Vec<String>> {
        let store = open(&self.url).await;
        let ended = until(async || {
            let operations = store.list("operations", "", None, 10_000).await.unwrap();
            let working = store.list("work", "", None, 1).await.unwrap();
            let open = |record: &Record| {
                serde_json::from_slice::<Value>(&record.body).unwrap()["state"] == "InProgress"
            };
            (working.is_empty() && !operations.iter().any(open)).then_some(())
        });
        ended.await.unwrap();
        let mut ends: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for write in written(&self.url).await.iter().filter(|write| write.collection == "operations") {
            let state = write.json()["state"].as_str().unwrap().to_owned();
            let ends = ends.entry(write.key.clone()).or_default();
            if state != "InProgress" {
                ends.push(state);
            }
        }
        ends
    }
}

fn keys(records: Vec<Record>) -> BTreeSet<String> {
    records.into_iter().map(|record| record.key).collect()
}

fn migrator() -> Value {
    json!({"location": "westeurope", "properties": {"source": {"kind": "LocalDirectory", "uri": "file:///srv"}}})
}

/// Puts migrators with these names one after the other, without waiting for their operations; those that were acknowledged.
async fn put(site: &Site, names: impl Iterator<Item = String>) -> Vec<String> {
    let mut acknowledged = Vec::new();
    for name in names {
        let id = site.migrator_id(&name);
        if site.arm().begin_put(&id, &migrator()).await.is_ok() {
            acknowledged.push(id.to_lowercase());
        }
    }
    acknowledged
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_two_is_killed_and_every_operation_ends_once() {
    let Pair { url, first, mut second } = Pair::shared_with_another_version().await;
    let names =
        |who: &'static str, range: std::ops::Range<u32>| range.map(move |number| format!("{who}{number}"));
    let (mine, theirs) = tokio::join!(put(&first, names("a", 0..40)), put(&second, names("b", 0..40)));
    let store = open(&url).await;
    let of_second = until(async || {
        let ended = written(&url).await;
        ended
            .iter()
            .any(|write| {
                write.collection == "operations"
                    && write.who == "second"
                    && write.json()["state"] == "Succeeded"
            })
            .then_some(())
    });
    of_second.await.unwrap();
    second.kill().await;
    // Half of these are the dead one's work.
    let late = put(&first, names("c", 0..40)).await;
    assert_eq!((mine.len(), theirs.len(), late.len()), (40, 40, 40));
    let pair = Pair { url, first, second };
    let ends = pair.until_all_ended().await;
    assert!(ends.len() >= 120, "{}", ends.len());
    for (operation, ends) in &ends {
        assert_eq!(ends[..], ["Succeeded"], "{operation}");
    }
    // Each took effect once: its intent was written, and applied.
    for id in mine.iter().chain(&theirs).chain(&late) {
        assert_eq!(store.get("migrators", id).await.unwrap().unwrap().version, 2, "{id}");
    }
    pair.until_shared_by(1).await;
    // Both did their part while they were two.
    let ended_by: BTreeSet<String> = written(&pair.url)
        .await
        .into_iter()
        .filter(|write| write.collection == "operations" && write.json()["state"] == "Succeeded")
        .map(|write| write.who)
        .collect();
    assert_eq!(ended_by, BTreeSet::from(["first".to_owned(), "second".to_owned()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stands_still_past_its_lease_writes_nothing_when_it_goes_on() {
    let pair = Pair::shared().await;
    let (mine, _) = tokio::join!(
        put(&pair.first, (0..20).map(|number| format!("a{number}"))),
        put(&pair.second, (0..20).map(|number| format!("b{number}")))
    );
    assert_eq!(mine.len(), 20);
    pair.first.signal("-STOP").await;
    let late = put(&pair.second, (0..40).map(|number| format!("c{number}"))).await;
    assert_eq!(late.len(), 40);
    let ends = pair.until_all_ended().await;
    assert!(ends.values().all(|ends| ends[..] == ["Succeeded"]), "{ends:?}");
    pair.until_shared_by(1).await;
    let taken_over = written(&pair.url).await.last().unwrap().n;

    pair.first.signal("-CONT").await;
    pair.until_shared_by(2).await;
    let since: Vec<Written> = written(&pair.url)
        .await
        .into_iter()
        .filter(|write| write.n > taken_over && write.who == "first")
        .collect();
    assert!(!since.is_empty());
    for write in since {
        let of_leases = ["leases", "lease_holders"].contains(&write.collection.as_str());
        assert!(of_leases, "{} {} was written by who had slept", write.collection, write.key);
    }
    // It is one of two again.
    let again = put(&pair.first, (0..20).map(|number| format!("d{number}"))).await;
    assert_eq!(again.len(), 20);
    let ends = pair.until_all_ended().await;
    assert!(ends.values().all(|ends| ends[..] == ["Succeeded"]), "{ends:?}");
}
