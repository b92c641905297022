//! What a killed provider left is brought to its end by the next.

use serde_json::json;

use crate::world::{Behaviour, Client, World, migration_body, target_body};

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_finishes_a_non_terminal_operation() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let m = client.make_migrator("m").await;
    let target = format!("{m}/targets/t");
    let accepted = client.put(&target, &target_body("silent", "data")).await;
    let migration = format!("{m}/liveDataMigrations/x");
    // May be made before its target has been looked up; it waits for it.
    let waiting = client.put(&migration, &migration_body(&target, "/data")).await;
    assert_eq!(waiting.status, 201, "{}", waiting.body);
    assert_eq!(client.get(&target).await.body["properties"]["provisioningState"], "Accepted");
    running.stop().await;

    world.accounts.behaviours.lock().unwrap().insert("silent".into(), Behaviour::Good);
    let running = world.start().await;
    let client = world.client(&running);
    Client::made(&client.finish(&accepted).await);
    Client::made(&client.finish(&waiting).await);
    for path in [&target, &migration] {
        assert_eq!(client.get(path).await.body["properties"]["provisioningState"], "Succeeded");
    }
    assert!(world.store.list("work", "", None, 10).await.unwrap().is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_fails_with_the_target_that_it_waits_for() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let m = client.make_migrator("m").await;
    let target = format!("{m}/targets/t");
    client.put(&target, &target_body("silent", "data")).await;
    let migration = format!("{m}/liveDataMigrations/x");
    let waiting = client.put(&migration, &migration_body(&target, "/data")).await;
    running.stop().await;
    world.accounts.behaviours.lock().unwrap().remove("silent");
    let running = world.start().await;
    let client = world.client(&running);
    let status = client.finish(&waiting).await;
    assert_eq!((&status["status"], &status["error"]["code"]), (&json!("Failed"), &json!("TargetNotReady")));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn work_without_its_resource_is_dropped() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let m = client.make_migrator("m").await;
    client.put(&format!("{m}/targets/t"), &target_body("silent", "data")).await;
    running.stop().await;
    world.remove("targets", &format!("{m}/targets/t").to_lowercase()).await;
    let running = world.start().await;
    while !world.store.list("work", "", None, 10).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    running.stop().await;
}
