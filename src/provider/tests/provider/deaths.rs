//! The provider dies at each of its writes, before it and after it, in the middle of each verb; the next one finds the store as it
//! was left. Nothing stays unfinished, no operation ends twice, and the verb can be repeated.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;
use livedata_store::memory::MemoryStore;
use livedata_store::{Change, Error, Record, Result, Store, Write};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Client, GROUP, World, migration_body, migrator, migrator_body, target_body};

/// The disk: it outlives providers, and remembers how often each operation has ended.
#[derive(Default)]
struct Disk {
    store: MemoryStore,
    ends: tokio::sync::Mutex<BTreeMap<String, usize>>,
}

#[async_trait]
impl Store for Disk {
    async fn get(&self, collection: &str, key: &str) -> Result<Option<Record>> {
        self.store.get(collection, key).await
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
        let ended: Vec<String> = change
            .writes
            .iter()
            .filter_map(|write| match write {
                Write::Put { collection: "operations", key, body } => {
                    let operation: Value = serde_json::from_slice(body).unwrap();
                    (operation["state"] != "InProgress").then(|| key.clone())
                }
                _ => None,
            })
            .collect();
        let mut ends = self.ends.lock().await;
        self.store.commit(change).await?;
        for key in ended {
            *ends.entry(key).or_default() += 1;
        }
        Ok(())
    }
}

/// One provider's way to the disk. It breaks at a write; from then on nothing gets through.
struct Life {
    disk: Arc<Disk>,
    /// Writes that are still to succeed; negative: dead.
    left: AtomicI64,
    /// The fatal write reaches the disk, and its acknowledgement nobody.
    after: bool,
}

impl Life {
    fn check(&self) -> Result<()> {
        if self.left.load(Ordering::SeqCst) < 0 { Err(Error::Unavailable("dead".into())) } else { Ok(()) }
    }
}

#[async_trait]
impl Store for Life {
    async fn get(&self, collection: &str, key: &str) -> Result<Option<Record>> {
        self.check()?;
        self.disk.get(collection, key).await
    }

    async fn list(
        &self,
        collection: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>> {
        self.check()?;
        self.disk.list(collection, prefix, after, limit).await
    }

    async fn commit(&self, change: Change) -> Result<()> {
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            1.. => self.disk.commit(change).await,
            0 if self.after => {
                let _ = self.disk.commit(change).await;
                Err(Error::Unavailable("died with the answer".into()))
            }
            _ => Err(Error::Unavailable("dead".into())),
        }
    }
}

struct Verb {
    method: Method,
    path: String,
    body: Option<Value>,
}

/// A migrator with everything below it, and what is done to it.
async fn scene(client: &Client) -> Vec<Verb> {
    let (m, target) = client.make_pair("m").await;
    let template = format!("{m}/exclusionTemplates/e");
    let rule =
        |most: u64| json!({"properties": {"exclusionKind": "FileSizeExclusion", "maxFileSizeBytes": most}});
    client.make(&template, &rule(1)).await;
    let mapping =
        |to: &str| json!({"properties": {"sourcePath": "/data", "targetId": target, "targetPath": to}});
    client.make(&format!("{m}/pathMappings/p"), &mapping("/one")).await;
    let x = format!("{m}/liveDataMigrations/x");
    let mut body = migration_body(&target, "/data");
    body["properties"]["exclusions"] = json!([{"name": "e"}]);
    client.make(&x, &body).await;
    let verification = format!("{m}/verifications/check");
    client.make(&verification, &json!({"properties": {"migrationId": x}})).await;
    client.make(&format!("{m}/pathMappings/p"), &mapping("/two")).await;

    let verb = |method: Method, path: &str, body: Option<Value>| Verb { method, path: path.to_owned(), body };
    let put = |path: &str, body: Value| verb(Method::PUT, path, Some(body));
    vec![
        put(&migrator("n"), migrator_body()),
        put(&format!("{m}/targets/u"), target_body("other", "data")),
        put(&format!("{m}/liveDataMigrations/y"), migration_body(&target, "/more")),
        put(
            &format!("{m}/pathMappings/q"),
            json!({"properties": {"sourcePath": "/q", "targetId": target, "targetPath": "/q"}}),
        ),
        put(&template, rule(2)),
        verb(Method::PATCH, &m, Some(json!({"properties": {"maxRunningMigrations": 2}}))),
        verb(Method::PATCH, &m, Some(json!({"tags": {"a": "b"}}))),
        verb(Method::POST, &format!("{x}/start"), None),
        verb(Method::POST, &format!("{x}/stop"), None),
        verb(Method::POST, &format!("{x}/reset"), Some(json!({"resetPathMapping": true}))),
        verb(Method::POST, &format!("{verification}/cancel"), None),
        verb(Method::POST, &format!("{m}/listInstallKey"), None),
        verb(Method::POST, &format!("{m}/rotateInstallKey"), None),
        verb(
            Method::POST,
            &format!("{GROUP}/moveResources"),
            Some(json!({
                "targetResourceGroup": "/subscriptions/s1/resourceGroups/elsewhere", "resources": [&m]
            })),
        ),
        verb(Method::DELETE, &x, None),
        verb(Method::DELETE, &format!("{m}/pathMappings/p"), None),
        verb(Method::DELETE, &m, None),
    ]
}

/// The controllers have nothing left to do; everything that is there is in a terminal state, and each operation has ended once.
async fn settled(disk: &Disk, what: &str) {
    let waiting = async {
        while !disk.list("work", "", None, 10).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    let waited = tokio::time::timeout(std::time::Duration::from_secs(60), waiting).await;
    assert!(waited.is_ok(), "{what}: {:?}", disk.list("work", "", None, 10).await.unwrap());
    for collection in [
        "migrators",
        "targets",
        "live_data_migrations",
        "path_mappings",
        "exclusion_templates",
        "verifications",
    ] {
        for record in disk.list(collection, "", None, 100).await.unwrap() {
            let document: Value = serde_json::from_slice(&record.body).unwrap();
            let state = document["provisioning"].as_str().unwrap();
            assert!(
                matches!(state, "Succeeded" | "Failed" | "Canceled"),
                "{what}: {} is {state}",
                record.key
            );
        }
    }
    for collection in
        ["targets", "live_data_migrations", "path_mappings", "exclusion_templates", "verifications"]
    {
        for record in disk.list(collection, "", None, 100).await.unwrap() {
            let migrator = record.key.split('/').take(9).collect::<Vec<_>>().join("/");
            let found = disk.get("migrators", &migrator).await.unwrap();
            assert!(found.is_some(), "{what}: {} has no migrator", record.key);
        }
    }
    let operations = disk.list("operations", "", None, 1000).await.unwrap();
    assert!(!operations.is_empty());
    let ends = disk.ends.lock().await;
    for record in operations {
        assert_eq!(ends.get(&record.key), Some(&1), "{what}: {}", String::from_utf8_lossy(&record.body));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_at_any_write_of_any_verb_leaves_nothing_unfinished_and_nothing_done_twice() {
    let mut world = World::new();
    let count = {
        world.store = Arc::new(Disk::default());
        let running = world.start().await;
        let verbs = scene(&world.client(&running)).await.len();
        running.stop().await;
        verbs
    };
    let mut deaths = 0;
    for at in 0..count {
        for after in [false, true] {
            for writes in 0.. {
                let disk = Arc::new(Disk::default());
                let life = Arc::new(Life { disk: Arc::clone(&disk), left: AtomicI64::new(i64::MAX), after });
                world.store = Arc::clone(&life) as Arc<dyn Store>;
                let running = world.start().await;
                let client = world.client(&running);
                let Verb { method, path, body } = scene(&client).await.swap_remove(at);
                let what =
                    format!("{method} {path}, {} write {writes}", if after { "after" } else { "before" });
                life.left.store(writes, Ordering::SeqCst);
                let reply = client.send(method.clone(), &path, body.as_ref()).await;
                // What follows from the request is written by the controllers.
                while life.left.load(Ordering::SeqCst) >= 0
                    && !disk.list("work", "", None, 1).await.unwrap().is_empty()
                {
                    tokio::task::yield_now().await;
                }
                let died = life.left.load(Ordering::SeqCst) < 0;
                running.stop().await;
                deaths += usize::from(died);

                world.store = Arc::clone(&disk) as Arc<dyn Store>;
                let running = world.start().await;
                let client = world.client(&running);
                settled(&disk, &what).await;
                let again = client.send(method, &path, body.as_ref()).await;
                assert!(again.status < 500, "{what}: {}", again.body);
                settled(&disk, &format!("{what}, repeated")).await;
                running.stop().await;
                if !died {
                    assert!(reply.status < 300, "{what}: {} {}", reply.status, reply.body);
                    break;
                }
            }
        }
    }
    println!("{deaths} deaths");
    assert!(deaths >= 2 * count, "{deaths}");
}
