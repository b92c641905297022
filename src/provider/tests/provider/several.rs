//! Several providers on one store.

use futures::future::join_all;
use livedata_store::lease::{HOLDERS, LEASES};
use serde_json::{Value, json};

use crate::session::{enrol, install, phase, relay};
use crate::world::{Client, World, migration_body, migrator, migrator_body, target_body};

/// How many units each provider has.
async fn shares(world: &World) -> Vec<usize> {
    let mut shares = std::collections::BTreeMap::<String, usize>::new();
    for lease in world.store.list(LEASES, "", None, 100).await.unwrap() {
        let lease: Value = serde_json::from_slice(&lease.body).unwrap();
        if let Some(holder) = lease["holder"].as_str() {
            *shares.entry(holder.to_owned()).or_default() += 1;
        }
    }
    shares.into_values().collect()
}

async fn until_shared(world: &World, expected: &[usize]) {
    let shared = async {
        while shares(world).await != expected {
            tokio::task::yield_now().await;
        }
    };
    let done = tokio::time::timeout(std::time::Duration::from_secs(60), shared).await;
    assert!(done.is_ok(), "{:?} instead of {expected:?}", shares(world).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operation_is_one_providers_work_and_who_leaves_is_followed_at_once() {
    let world = World { shared: true, ..World::new() };
    let (first, second) = (world.start().await, world.start().await);
    until_shared(&world, &[8, 8]).await;
    let clients = [world.client(&first), world.client(&second)];
    let names: Vec<String> = (0..24).map(|number| format!("m{number}")).collect();
    // Each is asked for by one provider, and followed at the other.
    let made = names.iter().enumerate().map(|(number, name)| {
        let (asked, other) = (&clients[number % 2], &clients[(number + 1) % 2]);
        async move {
            let reply = asked.put(&migrator(name), &migrator_body()).await;
            Client::made(&other.finish(&reply).await);
            let target = format!("{}/targets/t", migrator(name));
            let reply = other.put(&target, &target_body("lake", "data")).await;
            Client::made(&asked.finish(&reply).await);
        }
    });
    join_all(made).await;
    // One look-up for each target: nobody did another one's work.
    assert_eq!(world.accounts.asked(), 24);

    second.stop().await;
    until_shared(&world, &[16]).await;
    assert_eq!(world.store.list(HOLDERS, "", None, 10).await.unwrap().len(), 1);
    for name in &names {
        let reply = clients[0].delete(&migrator(name)).await;
        Client::made(&clients[0].finish(&reply).await);
    }
    first.stop().await;
    assert_eq!(shares(&world).await, [16], "whose record is gone, holds nothing");
    assert!(world.store.list(HOLDERS, "", None, 10).await.unwrap().is_empty());
}

/// A provider that does not have the key of a secret yet must not take what it belongs to from the agent.
#[tokio::test(flavor = "multi_thread")]
async fn an_agent_keeps_what_a_provider_cannot_read() {
    let mut world = World { shared: true, ..World::new() };
    let relay = relay(&mut world).await;
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    let enrolled = enrol(&world, &client, &m, "one").await;
    let installed = install(&world, enrolled, std::collections::BTreeMap::new());
    client.wait(&m, "Up", phase("Up")).await;
    let migration = format!("{m}/liveDataMigrations/x");
    client.make(&migration, &migration_body(&target, "/data")).await;
    let target_id = target.clone();
    let [target, migration] = [&target, &migration].map(|id| id.to_lowercase());
    installed.wait("of both", |items| items.contains_key(&target) && items.contains_key(&migration)).await;
    running.stop().await;

    let good = std::fs::read(world.folder.path().join("sealing.key")).unwrap();
    std::fs::remove_file(world.folder.path().join("sealing.key")).unwrap();
    let running = world.start().await;
    let client = world.client(&running);
    client.wait(&m, "Up", phase("Up")).await;
    // What the agent hears after this it hears from a provider that cannot open the target's secret.
    let another = format!("{m}/pathMappings/p");
    let properties = json!({"sourcePath": "/a", "targetId": target_id, "targetPath": "/b"});
    client.make(&another, &json!({ "properties": properties })).await;
    let another = another.to_lowercase();
    installed.wait("of the other", |items| items.contains_key(&another)).await;
    installed.wait("of all", |items| items.contains_key(&target) && items.contains_key(&migration)).await;
    running.stop().await;

    std::fs::write(world.folder.path().join("sealing.key"), good).unwrap();
    let running = world.start().await;
    let client = world.client(&running);
    client.wait(&m, "Up", phase("Up")).await;
    let deleted = client.delete(&migration).await;
    Client::made(&client.finish(&deleted).await);
    installed.wait("of the end", |items| !items.contains_key(&migration)).await;
    running.stop().await;
    installed.stop().await;
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_has_one_session_and_is_told_what_any_provider_is_asked_for() {
    let mut world = World { shared: true, ..World::new() };
    let relay = relay(&mut world).await;
    let mut running = vec![world.start().await, world.start().await];
    until_shared(&world, &[8, 8]).await;
    let clients = [world.client(&running[0]), world.client(&running[1])];
    let (m, target) = clients[0].make_pair("m").await;
    let enrolled = enrol(&world, &clients[1], &m, "one").await;
    let installed = install(&world, enrolled, std::collections::BTreeMap::new());
    for client in &clients {
        client.wait(&m, "Up", phase("Up")).await;
    }
    let epoch = installed.session_epoch();
    for (number, client) in clients.iter().enumerate() {
        let migration = format!("{m}/liveDataMigrations/x{number}");
        client.make(&migration, &migration_body(&target, &format!("/data{number}"))).await;
        let started = client.post(&format!("{migration}/start")).await;
        Client::made(&client.finish(&started).await);
        let id = migration.to_lowercase();
        installed.wait("of the migration", |items| items.contains_key(&id)).await;
        // Something that is no operation of a controller.
        let rescan = client.post(&format!("{migration}/rescan")).await;
        assert_eq!(rescan.status, 202, "{}", rescan.body);
        installed.wait_for_commands(number + 1).await;
    }
    assert_eq!(installed.session_epoch(), epoch, "it has had one session");

    // Whose it is, is the one that ends now, or the next one.
    running.remove(0).stop().await;
    until_shared(&world, &[16]).await;
    clients[1].wait(&m, "Up", phase("Up")).await;
    let again = clients[1].post(&format!("{m}/liveDataMigrations/x0/rescan")).await;
    assert_eq!(again.status, 202, "{}", again.body);
    installed.wait_for_commands(3).await;
    running.remove(0).stop().await;
    installed.stop().await;
    relay.stop().await.unwrap();
}
