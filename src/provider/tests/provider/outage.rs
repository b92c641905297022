//! The store does not answer for a while, or takes no more: requests are told so, and nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use async_trait::async_trait;
use livedata_store::memory::MemoryStore;
use livedata_store::{Change, Error, Record, Result, Store};
use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Client, World, migration_body, migrator, migrator_body, target_body};

pub const UP: u8 = 0;
/// As when the database is gone.
pub const GONE: u8 = 1;
/// As when the disk is full: what is there can be read.
const FULL: u8 = 2;

pub struct Wire {
    pub store: MemoryStore,
    pub state: AtomicU8,
}

impl Wire {
    fn check(&self, writes: bool) -> Result<()> {
        match self.state.load(Ordering::SeqCst) {
            GONE => Err(Error::Unavailable("the connection was refused".into())),
            FULL if writes => Err(Error::Full("database or disk is full".into())),
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Store for Wire {
    async fn get(&self, collection: &str, key: &str) -> Result<Option<Record>> {
        self.check(false)?;
        self.store.get(collection, key).await
    }

    async fn list(
        &self,
        collection: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>> {
        self.check(false)?;
        self.store.list(collection, prefix, after, limit).await
    }

    async fn commit(&self, change: Change) -> Result<()> {
        self.check(true)?;
        self.store.commit(change).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_store_is_gone_or_full_requests_are_told_so_and_nothing_is_lost() {
    let wire = Arc::new(Wire { store: MemoryStore::new(), state: AtomicU8::new(UP) });
    let world = World::on(Arc::clone(&wire) as Arc<dyn Store>);
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    let migration = format!("{m}/liveDataMigrations/x");
    // An operation that the outage finds under way.
    let silent = client.put(&format!("{m}/targets/late"), &target_body("silent", "data")).await;
    assert_eq!(silent.status, 201);
    let requests: Vec<(Method, String, Option<Value>)> = vec![
        (Method::GET, m.clone(), None),
        (Method::GET, format!("{m}/targets"), None),
        (Method::PUT, migration.clone(), Some(migration_body(&target, "/data"))),
        (Method::PATCH, m.clone(), Some(json!({"tags": {"a": "b"}}))),
        (Method::PUT, migrator("n"), Some(migrator_body())),
    ];
    for (state, reads) in [(GONE, false), (FULL, true)] {
        wire.state.store(state, Ordering::SeqCst);
        for (method, path, body) in &requests {
            let reply = client.send(method.clone(), path, body.as_ref()).await;
            if reads && *method == Method::GET {
                assert_eq!(reply.status, 200, "{path}: {}", reply.body);
                continue;
            }
            reply.assert_error(503, "ServiceUnavailable");
            let says_full = reply.body["error"]["message"].as_str().unwrap().contains("full");
            assert_eq!(says_full, state == FULL, "{}", reply.body);
            assert_eq!(reply.header("retry-after"), "1", "{method} {path}");
        }
    }
    world.accounts.behaviours.lock().unwrap().insert("silent".into(), crate::world::Behaviour::Good);
    wire.state.store(UP, Ordering::SeqCst);
    // Nothing of what was refused has happened, and everything can be done now.
    client.get(&migration).await.assert_error(404, "ResourceNotFound");
    assert_eq!(client.get(&m).await.body["tags"], json!({"Team": "lake"}));
    for (method, path, body) in &requests {
        let reply = client.send(method.clone(), path, body.as_ref()).await;
        assert!(reply.status < 300, "{method} {path}: {}", reply.body);
    }
    Client::made(&client.finish(&silent).await);
    running.stop().await;
}
