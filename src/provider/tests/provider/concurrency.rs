//! Writers at the same moment.

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::world::{Client, GROUP, World, migration_body, migrator, migrator_body, target_body};

#[tokio::test(flavor = "multi_thread")]
async fn of_overlapping_migrations_put_at_once_exactly_one_wins() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target_m) = client.make_pair("m").await;
    let (n, target_n) = client.make_pair("n").await;
    for round in 0..5 {
        let puts = (0..8).map(|index| {
            let (migrator, target) = if index % 2 == 0 { (&m, &target_m) } else { (&n, &target_n) };
            let path = format!("{migrator}/liveDataMigrations/r{round}x{index}");
            let inside = if index < 4 { format!("/r{round}") } else { format!("/r{round}/d{}", index % 2) };
            let body = migration_body(target, &inside);
            let client = client.clone();
            async move { client.put(&path, &body).await }
        });
        let replies = join_all(puts).await;
        let won = replies.iter().filter(|reply| reply.status == 201).count();
        let paths: Vec<(u16, String)> =
            replies.iter().map(|reply| (reply.status, reply.body.to_string())).collect();
        // `/rN/d0` and `/rN/d1` do not overlap each other: then two may win, but never one of them with `/rN`.
        let whole = replies.iter().take(4).filter(|reply| reply.status == 201).count();
        if whole > 0 {
            assert_eq!((whole, won), (1, 1), "{paths:?}");
        } else {
            assert!((1..=2).contains(&won), "{paths:?}");
        }
        for lost in replies.iter().filter(|reply| reply.status != 201) {
            lost.assert_error(409, "TargetAreaInUse");
        }
    }
    running.stop().await;
}

/// Different mappings into one place: each was right when it was looked at.
#[tokio::test(flavor = "multi_thread")]
async fn of_colliding_path_mappings_put_at_once_exactly_one_wins() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    for round in 0..5 {
        let puts = (0..8).map(|index| {
            let path = format!("{m}/pathMappings/r{round}x{index}");
            let body = json!({"properties": {
                "sourcePath": format!("/s{round}/{index}"), "targetId": target, "targetPath": format!("/t{round}")
            }});
            let client = client.clone();
            async move { client.put(&path, &body).await }
        });
        let replies = join_all(puts).await;
        assert_eq!(replies.iter().filter(|reply| reply.status == 201).count(), 1, "round {round}");
        for lost in replies.iter().filter(|reply| reply.status != 201) {
            lost.assert_error(400, "PathMappingCollision");
        }
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_creations_with_if_none_match_exactly_one_wins() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let path = migrator("m");
    let puts = (0..8).map(|index| {
        let mut body = migrator_body();
        body["tags"] = json!({"writer": index.to_string()});
        let request = client.request(reqwest::Method::PUT, &path).header("if-none-match", "*").json(&body);
        async move { request.send().await.unwrap().status().as_u16() }
    });
    let mut statuses = join_all(puts).await;
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 412, 412, 412, 412, 412, 412, 412]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_change_during_an_operation_is_refused_and_delete_is_not() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let m = client.make_migrator("m").await;
    let target = format!("{m}/targets/t");
    let first = client.put(&target, &target_body("silent", "data")).await;
    assert_eq!(first.status, 201);
    client.put(&target, &target_body("silent", "data")).await.assert_error(409, "AnotherOperationInProgress");
    let result = first.header("azure-asyncoperation").replace("operationStatuses", "operationResults");
    let result = result.strip_prefix("https://arm.example:8443").unwrap();
    let running_result = client.http.get(format!("{}{result}", client.base)).send().await.unwrap();
    assert_eq!(running_result.status(), 202);
    assert!(running_result.headers().contains_key("location"));

    let deleted = client.delete(&target).await;
    assert_eq!(deleted.status, 202);
    let overtaken = client.finish(&first).await;
    assert_eq!(
        (&overtaken["status"], &overtaken["error"]["code"]),
        (&json!("Canceled"), &json!("OperationCanceled"))
    );
    // The look-up that hangs holds the resource's step; the next provider goes on with the deletion.
    running.stop().await;
    let running = world.start().await;
    let client = world.client(&running);
    Client::made(&client.finish(&deleted).await);
    assert_eq!(client.get(&target).await.status, 404);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_does_not_vanish_under_a_migration_that_is_being_made() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let m = client.make_migrator("m").await;
    for round in 0..5 {
        let target = format!("{m}/targets/t{round}");
        client.make(&target, &target_body("lake", &format!("c{round:03}"))).await;
        let migration = format!("{m}/liveDataMigrations/x{round}");
        let body = migration_body(&target, "/data");
        let (made, deleted) = tokio::join!(client.put(&migration, &body), client.delete(&target));
        match (made.status, deleted.status) {
            (201, 409) => deleted.assert_error(409, "TargetInUse"),
            (400, 202) => made.assert_error(400, "TargetNotFound"),
            (409, 202) => made.assert_error(409, "TargetNotReady"),
            other => panic!("{other:?}: {} {}", made.body, deleted.body),
        }
    }
    running.stop().await;
}

/// To two places at once, while children and keys are made: whoever wins, nobody is left behind.
#[tokio::test(flavor = "multi_thread")]
async fn rule_116_a_move_while_its_migrator_grows_leaves_nobody_behind() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let group = |name: &str| format!("/subscriptions/s1/resourceGroups/{name}");
    let mut moved = 0;
    for round in 0..12 {
        let m = client.make_migrator(&format!("m{round}")).await;
        let moves = ["a", "b"].map(|to| {
            let body = json!({"targetResourceGroup": group(to), "resources": [&m]});
            let (client, path) = (client.clone(), format!("{GROUP}/moveResources"));
            async move { client.send(Method::POST, &path, Some(&body)).await }
        });
        let targets = (0..4).map(|number| {
            let (client, path) = (client.clone(), format!("{m}/targets/t{number}"));
            async move { client.put(&path, &target_body("lake", "data")).await }
        });
        let keys = (0..2).map(|_| {
            let (client, path) = (client.clone(), format!("{m}/listInstallKey"));
            async move { client.post(&path).await }
        });
        let (moves, targets, keys) = tokio::join!(join_all(moves), join_all(targets), join_all(keys));
        let won = moves.iter().filter(|reply| reply.status == 200).count();
        assert!(won <= 1, "round {round}");
        moved += won;
        for lost in moves.iter().chain(&keys).filter(|reply| reply.status != 200) {
            assert!(matches!(lost.status, 404 | 409), "round {round}: {}", lost.body);
        }
        let mut places = Vec::new();
        for place in [GROUP.to_owned(), group("a"), group("b")] {
            let id = m.replace(GROUP, &place);
            places.extend((client.get(&id).await.status == 200).then_some(id));
        }
        let [place] = places.as_slice() else { panic!("round {round}: {places:?}") };
        let made = targets.iter().filter(|reply| reply.status == 201).count();
        let key = |record: &livedata_store::Record| record.key.clone();
        let of_round = |key: &String| key.contains(&format!("/m{round}/"));
        let children: Vec<String> = world
            .store
            .list("targets", "", None, 1000)
            .await
            .unwrap()
            .iter()
            .map(key)
            .filter(of_round)
            .collect();
        assert_eq!(children.len(), made, "round {round}: {children:?}");
        let prefix = format!("{place}/").to_lowercase();
        assert!(children.iter().all(|child| child.starts_with(&prefix)), "round {round}: {children:?}");
        for record in world.store.list("install_keys", "", None, 1000).await.unwrap() {
            let known: serde_json::Value = serde_json::from_slice(&record.body).unwrap();
            let migrator = known["migrator"].as_str().unwrap();
            let gone = migrator.ends_with(&format!("/m{round}")) && migrator != place.to_lowercase();
            assert!(!gone, "round {round}: a key leads to {migrator}");
        }
    }
    assert!(moved > 0, "nothing was ever moved");
    assert!(world.store.list("moving", "", None, 10).await.unwrap().is_empty());
    running.stop().await;
}
