//! The key of secrets is replaced: while a provider runs, killed anywhere, with keys missing.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use livedata_provider::rotation::{RotationError, remove, rotate};
use livedata_session::enrolment::{InstallKey, client as enrolment};
use livedata_store::lease::HOLDERS;
use livedata_store::memory::MemoryStore;
use livedata_store::sealed::{KeyId, SealingKeys};
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
        let made = again.next().unwrap_or(*again.ids().last().unwrap());
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
    let second = keys.add_next().await.unwrap();
    keys.promote(second).unwrap();
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

/// A provider of another machine, which is heard of all the time and says what it seals with.
fn elsewhere(store: &Arc<dyn Store>, says: String) -> tokio::task::JoinHandle<()> {
    let store = Arc::clone(store);
    tokio::spawn(async move {
        loop {
            store.commit(Change::new().put(HOLDERS, "elsewhere", says.as_str())).await.unwrap();
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    })
}

#[tokio::test(start_paused = true)]
async fn nothing_needs_a_key_before_every_provider_has_it_or_loses_one_that_is_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sealing.key");
    let keys = SealingKeys::load_or_create(&path).unwrap();
    let first = keys.ids()[0];
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let sealed = STANDARD.encode(keys.seal("install key one", b"secret").unwrap());
    let install_key = json!({"migrator": "m", "migrator_guid": "g", "sealed_verifier": sealed, "expires_at": 1, "spent_by": null,
        "of a newer version": {"kept": [1, 2]}});
    store.commit(Change::new().put("install_keys", "one", install_key.to_string())).await.unwrap();
    store.commit(Change::new().put("targets", "broken", "no document")).await.unwrap();
    let stored = async || store.get("install_keys", "one").await.unwrap().unwrap();
    let before = stored().await;

    // It has the file from before the rotation; an older version does not say what it has.
    let mut made = None;
    let says = |seals_with: KeyId, seconds: u64, all: &[KeyId]| {
        let all: Vec<String> = all.iter().map(KeyId::to_string).collect();
        json!({"sealsWith": seals_with.to_string(), "forSeconds": seconds, "keys": all, "new": 1}).to_string()
    };
    for says in [says(first, 900, &[first]), String::new()] {
        let other = elsewhere(&store, says);
        tokio::task::yield_now().await;
        let refused = rotate(store.as_ref(), &keys).await;
        let Err(RotationError::NotEverywhere { key, count: 1 }) = refused else { panic!("{refused:?}") };
        assert_eq!(*made.get_or_insert(key), key, "it goes on with the key that it made");
        assert_eq!(stored().await, before);
        let fresh = keys.seal("c", b"fresh").unwrap();
        assert_eq!(keys.needed("c", &fresh).unwrap(), first, "not sealed with by anybody yet");
        other.abort();
    }
    let second = made.unwrap();

    // The file has come there. What nobody can read is left, and said.
    let other = elsewhere(&store, says(first, 900, &[second, first]));
    tokio::task::yield_now().await;
    let Err(RotationError::Unreadable { count: 1, first: unreadable }) = rotate(store.as_ref(), &keys).await
    else {
        panic!("one record is no document")
    };
    assert!(unreadable.contains("broken in targets"), "{unreadable}");
    let after: serde_json::Value = serde_json::from_slice(&stored().await.body).unwrap();
    assert_eq!(after["of a newer version"], install_key["of a newer version"]);
    let opened = STANDARD.decode(after["sealed_verifier"].as_str().unwrap()).unwrap();
    assert_eq!(keys.needed("install key one", &opened).unwrap(), second);
    std::fs::File::options()
        .append(true)
        .open(&path)
        .unwrap()
        .set_modified(SystemTime::now() - Duration::from_secs(600))
        .unwrap();
    other.abort();
    let other = elsewhere(&store, says(second, 3, &[first, second]));
    tokio::task::yield_now().await;
    let refused = remove(store.as_ref(), &keys, first).await;
    assert!(matches!(refused, Err(RotationError::NotLongEnough { key }) if key == second), "{refused:?}");
    assert_eq!(keys.ids(), [first, second]);
    other.abort();
    // Long enough; but what cannot be read may need it.
    let other = elsewhere(&store, says(second, 120, &[first, second]));
    tokio::task::yield_now().await;
    let refused = remove(store.as_ref(), &keys, first).await;
    assert!(matches!(refused, Err(RotationError::Unreadable { count: 1, .. })), "{refused:?}");
    store.commit(Change::new().remove("targets", "broken")).await.unwrap();
    other.abort();
    remove(store.as_ref(), &keys, first).await.unwrap();
    assert_eq!(keys.ids(), [second]);

    // Another machine has another file: whoever went on here would make two that cannot be one.
    let other = elsewhere(&store, says(first, 900, &[first]));
    tokio::task::yield_now().await;
    let refused = rotate(store.as_ref(), &keys).await;
    assert!(matches!(refused, Err(RotationError::OtherFile(key)) if key == first), "{refused:?}");
    assert_eq!(keys.ids(), [second]);
    other.abort();
}

/// Nothing is sealed yet, and a provider is on another machine.
#[tokio::test(start_paused = true)]
async fn without_secrets_a_rotation_ends_too() {
    let folder = tempfile::tempdir().unwrap();
    let keys = SealingKeys::load_or_create(folder.path().join("sealing.key")).unwrap();
    let first = keys.ids()[0];
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let other =
        elsewhere(&store, json!({"sealsWith": first.to_string(), "keys": [first.to_string()]}).to_string());
    tokio::task::yield_now().await;
    let Err(RotationError::NotEverywhere { key, .. }) = rotate(store.as_ref(), &keys).await else {
        panic!("too early")
    };
    other.abort();
    let all = [key, first].map(|key| key.to_string());
    let other = elsewhere(&store, json!({"sealsWith": first.to_string(), "keys": all}).to_string());
    tokio::task::yield_now().await;
    let done = rotate(store.as_ref(), &keys).await.unwrap();
    assert_eq!((done.key, done.resumed, keys.ids()), (key, true, vec![first, key]));
    other.abort();
}

/// Its provider says what it seals with, and whether another one on the store is in the dark.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_tells_with_what_it_seals_and_lacks() {
    let world = World { shared: true, ..World::new() };
    let running = world.start().await;
    let key = SealingKeys::load(file(&world)).unwrap().ids()[0].to_string();
    let said = async {
        loop {
            let holders = world.store.list(HOLDERS, "", None, 10).await.unwrap();
            if let Some(holder) = holders.first() {
                return serde_json::from_slice::<serde_json::Value>(&holder.body).unwrap();
            }
            tokio::task::yield_now().await;
        }
    };
    assert_eq!(said.await["sealsWith"], key);
    let ready = async || {
        let http = reqwest::Client::new();
        let url = format!("http://{}/readyz", running.health_address.unwrap());
        http.get(url).send().await.unwrap().text().await.unwrap()
    };
    let wait_for = async |what: &str| {
        let told = async {
            while !ready().await.contains(what) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), told).await.unwrap_or_else(|_| panic!("no {what}"));
    };
    wait_for(r#""ready":true"#).await;
    let foreign = "00000000000000aa";
    let other = elsewhere(&world.store, json!({"sealsWith": foreign, "forSeconds": 9}).to_string());
    wait_for(foreign).await;
    // One with a wrong file does not take the others away.
    wait_for(r#""ready":true"#).await;
    other.abort();
    // Given up after its time.
    wait_for("can be read").await;
    // Nothing is sealed while the file cannot be read, and everything else goes on.
    let client = world.client(&running);
    client.make_migrator("m").await;
    let good = std::fs::read(file(&world)).unwrap();
    std::fs::write(file(&world), "cut short").unwrap();
    let refused = client.put(&format!("{}/targets/t", migrator("m")), &target_body("lake", "data")).await;
    refused.assert_error(503, "ServiceUnavailable");
    assert!(
        refused.body["error"]["message"].as_str().unwrap().contains("keys that seal secrets"),
        "{}",
        refused.body
    );
    assert!(ready().await.contains("nothing can be sealed"));
    client.make_migrator("n").await;
    std::fs::write(file(&world), good).unwrap();
    client.make_target(&migrator("m"), "t").await;
    running.stop().await;
}
