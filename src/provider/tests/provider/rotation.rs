//! The key of secrets is replaced: while a provider runs, killed anywhere, with keys missing.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use livedata_provider::rotation::{RotationError, remove, rotate};
use livedata_session::enrolment::{InstallKey, client as enrolment};
use livedata_store::sealed::SealingKeys;
use livedata_store::{Change, Error, Record, Result, Store};
use serde_json::json;

use crate::world::{ACCOUNT_KEY, Client, World, migrator, target_body};

fn file(world: &World) -> PathBuf {
    world.folder.path().join("sealing.key")
}

/// As if it had been changed some time ago.
fn make_older(world: &World) {
    let file = std::fs::File::options().append(true).open(file(world)).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(600)).unwrap();
}

/// A secret of every type that has one.
async fn furnish(client: &Client) -> Vec<String> {
    let (migrator, target) = client.make_pair("m").await;
    let agent = format!("{migrator}/dataTransferAgents/a");
    client
        .make(&agent, &json!({"properties": {"host": "worker", "port": 1433, "accessToken": "a token"}}))
        .await;
    let metadata = format!("{migrator}/metadataTargets/h");
    let properties = json!({"metadataTargetKind": "DatabricksMetadataTarget", "jdbcServerHostname": "h", "jdbcPort": 443,
        "jdbcHttpPath": "/sql", "accessToken": "another token", "dataTargetId": target});
    client.make(&metadata, &json!({ "properties": properties })).await;
    let mut all = vec![target, agent, metadata];
    for number in 0..5 {
        all.push(client.make_target(&migrator, &format!("t{number}")).await);
    }
    all
}

async fn etags(client: &Client, paths: &[String]) -> Vec<String> {
    let mut etags = Vec::new();
    for path in paths {
        etags.push(client.get(path).await.body["etag"].as_str().unwrap().to_owned());
    }
    etags
}

/// A PUT of the same secret changes nothing, if the stored one opens.
async fn assert_opens(client: &Client, target: &str) {
    let before = client.get(target).await.body["etag"].clone();
    let reply = client.put(target, &target_body("lake", "data")).await;
    assert_eq!((reply.status, &reply.body["etag"]), (200, &before), "{}", reply.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_secret_gets_the_new_key_and_nobody_notices() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let all = furnish(&client).await;
    let before = etags(&client, &all).await;
    let minted = client.post(&format!("{}/listInstallKey", migrator("m"))).await;
    let install_key = InstallKey::from_text(minted.body["installKey"].as_str().unwrap()).unwrap();
    let keys = SealingKeys::load(file(&world)).unwrap();
    let first = keys.ids()[0];
    let done = rotate(world.store.as_ref(), &keys).await.unwrap();
    assert_eq!((done.resumed, done.secrets, done.unneeded), (false, 9, vec![first]));
    // Of each resource the intent; what was applied of it is the same secret.
    assert_eq!(done.rewrapped, 9);
    assert_eq!(keys.ids(), [first, done.key]);
    assert_eq!(etags(&client, &all).await, before);
    assert_opens(&client, &all[0]).await;

    make_older(&world);
    remove(world.store.as_ref(), &keys, first).await.unwrap();
    assert_eq!(SealingKeys::load(file(&world)).unwrap().ids(), [done.key]);
    // An install key that was minted before is good.
    let folder = world.folder.path().join("agent");
    std::fs::create_dir(&folder).unwrap();
    enrolment::enrol(&install_key, &folder, "one", "9.9.9").await.unwrap();
    running.stop().await;
    let running = world.start().await;
    let client = world.client(&running);
    assert_eq!(etags(&client, &all).await, before);
    for target in [&all[0], &all[3]] {
        assert_opens(&client, target).await;
    }
    running.stop().await;
}

/// A way to the store that breaks after so many writes.
struct Mortal {
    store: Arc<dyn Store>,
    left: AtomicI64,
}

#[async_trait]
impl Store for Mortal {
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
        match self.left.fetch_sub(1, Ordering::SeqCst) {
            1.. => self.store.commit(change).await,
            _ => Err(Error::Unavailable("killed".into())),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_anywhere_it_goes_on_with_the_key_that_it_made() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let all = furnish(&client).await;
    let keys = SealingKeys::load(file(&world)).unwrap();
    for left in 0..8 {
        let mortal = Mortal { store: Arc::clone(&world.store), left: AtomicI64::new(left) };
        let died = rotate(&mortal, &keys).await;
        assert!(matches!(died, Err(RotationError::Store(_))), "{left}: {died:?}");
        // Another process.
        let again = SealingKeys::load(file(&world)).unwrap();
        let made = *again.ids().last().unwrap();
        assert_opens(&client, &all[0]).await;
        let done = rotate(world.store.as_ref(), &again).await.unwrap();
        assert_eq!((done.resumed, done.key), (true, made), "{left}");
        assert_eq!((done.secrets, done.rewrapped), (8, 8 - u64::try_from(left).unwrap()), "{left}");
        assert_eq!(done.unneeded.len(), again.ids().len() - 1);
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_or_may_be_needed_is_not_removed() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    furnish(&client).await;
    let (store, keys) = (world.store.as_ref(), SealingKeys::load(file(&world)).unwrap());
    let first = keys.ids()[0];
    assert!(matches!(remove(store, &keys, first).await, Err(RotationError::Newest(_))));
    let second = keys.add().unwrap();
    make_older(&world);
    let needed = remove(store, &keys, first).await;
    assert!(
        matches!(&needed, Err(RotationError::StillNeeded { key, secrets: 8 }) if *key == first),
        "{needed:?}"
    );
    // What it goes on with is that key.
    assert_eq!(rotate(store, &keys).await.unwrap().key, second);
    let third = rotate(store, &keys).await.unwrap();
    assert_eq!((third.resumed, third.unneeded), (false, vec![first, second]));
    assert!(matches!(remove(store, &keys, first).await, Err(RotationError::TooEarly { .. })));
    make_older(&world);
    remove(store, &keys, first).await.unwrap();
    assert!(matches!(remove(store, &keys, first).await, Err(RotationError::NoSuchKey(_))));
    assert_eq!(keys.ids(), [second, third.key]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_lost_key_the_others_go_on_and_it_is_named() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let all = furnish(&client).await;
    running.stop().await;
    let lost = SealingKeys::load(file(&world)).unwrap().ids()[0];
    std::fs::remove_file(file(&world)).unwrap();
    let keys = SealingKeys::load_or_create(file(&world)).unwrap();
    let running = world.start().await;
    let client = world.client(&running);
    // A new secret, for one of them.
    let body = json!({"properties": {"credential": {"kind": "AccountKey", "accountKey": ACCOUNT_KEY}}});
    let patched = client.patch(&all[0], &body).await;
    assert!(patched.status < 300, "{}", patched.body);
    Client::made(&client.finish(&patched).await);
    assert_opens(&client, &all[0]).await;
    let Err(RotationError::Unreadable { count: 7, first }) = rotate(world.store.as_ref(), &keys).await else {
        panic!("seven secrets are lost")
    };
    assert!(first.contains(&lost.to_string()), "{first}");
    assert_opens(&client, &all[0]).await;
    running.stop().await;
}
