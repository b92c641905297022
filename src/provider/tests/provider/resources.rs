//! Life of each resource type.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{ACCOUNT_KEY, Client, GROUP, World, migration_body, migrator_body, target_body};

#[tokio::test(flavor = "multi_thread")]
async fn migrator_create_read_replace_delete() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let path = crate::world::migrator("M1");
    assert_eq!(client.delete(&path).await.status, 204);
    client.get(&path).await.assert_error(404, "ResourceNotFound");

    let created = client.put(&path, &migrator_body()).await;
    assert_eq!(created.status, 201, "{}", created.body);
    assert_eq!(created.body["properties"]["provisioningState"], "Accepted");
    assert_eq!(created.header("retry-after"), "1");
    Client::made(&client.finish(&created).await);

    let read = client.get(&path.to_uppercase().replace("SUBSCRIPTIONS", "Subscriptions")).await;
    assert_eq!(read.status, 200);
    let body = &read.body;
    assert_eq!(body["id"], path);
    assert_eq!((&body["name"], &body["type"]), (&json!("M1"), &json!("LiveData.Platform/migrators")));
    assert_eq!((&body["location"], &body["tags"]), (&json!("West US"), &json!({"Team": "lake"})));
    assert_eq!(body["properties"]["provisioningState"], "Succeeded");
    assert_eq!(body["properties"]["status"]["phase"], "NotInstalled");
    assert_eq!(body["etag"], read.header("etag"));

    // The same again has no second effect (rule 40); what is left out goes back to its default (rule 38).
    let again = client.put(&path, body).await;
    assert_eq!((again.status, &again.body["etag"]), (200, &body["etag"]));
    let mut less = migrator_body();
    less["properties"]["bandwidthPolicy"] = json!({"maxBytesPerSecond": 1000});
    less["properties"]["maxRunningMigrations"] = json!(3);
    client.make(&path, &less).await;
    let limited = client.get(&path).await.body;
    assert_eq!(limited["properties"]["bandwidthPolicy"]["maxBytesPerSecond"], 1000);
    assert_ne!(limited["etag"], body["etag"]);
    client.make(&path, &migrator_body()).await;
    assert!(client.get(&path).await.body["properties"].get("bandwidthPolicy").is_none());

    let deleted = client.delete(&path).await;
    assert_eq!((deleted.status, &deleted.body), (202, &serde_json::Value::Null));
    assert!(deleted.header("location").contains("/operationResults/"));
    Client::made(&client.finish(&deleted).await);
    assert_eq!(client.get(&path).await.status, 404);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn target_keeps_its_key_when_a_put_echoes_what_was_read() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (_, target) = client.make_pair("m").await;
    let read = client.get(&target).await.body;
    assert_eq!(read["properties"]["credential"], json!({"kind": "AccountKey"}));
    assert!(read.get("location").is_none() && read.get("tags").is_none());
    let conditions = read["properties"]["status"]["conditions"].as_array().unwrap();
    assert!(conditions.iter().all(|condition| condition["status"] == "True"), "{conditions:?}");
    let echoed = client.put(&target, &read).await;
    assert_eq!((echoed.status, &echoed.body["etag"]), (200, &read["etag"]));
    // A new key is a change.
    let mut rotated = target_body("lake", "data");
    rotated["properties"]["credential"]["accountKey"] = json!("bmV3");
    let replaced = client.make(&target, &rotated).await;
    assert_ne!(replaced.body["etag"], read["etag"]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn target_without_right_to_read_the_account_has_unknown_conditions() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let migrator = client.make_migrator("m").await;
    let target = format!("{migrator}/targets/t");
    client.make(&target, &target_body("private", "data")).await;
    let read = client.get(&target).await.body;
    assert_eq!(read["properties"]["provisioningState"], "Succeeded");
    let conditions = read["properties"]["status"]["conditions"].as_array().unwrap();
    assert!(!conditions.is_empty() && conditions.iter().all(|condition| condition["status"] == "Unknown"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn migration_starts_and_stops_by_actions() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (migrator, target) = client.make_pair("m").await;
    let migration = format!("{migrator}/liveDataMigrations/x");
    // `az resource create` sends the group's location for children too.
    let mut body = migration_body(&target, "//data/in//");
    body["location"] = json!("westus");
    client.make(&migration, &body).await;
    let read = client.get(&migration).await.body;
    let properties = &read["properties"];
    assert_eq!((&properties["path"], &properties["targetPath"]), (&json!("/data/in"), &json!("/data/in")));
    assert_eq!((&properties["mode"], &properties["autoStart"]), (&json!("OneTime"), &json!(false)));
    assert_eq!(properties["status"]["state"], "NotScheduled");
    assert_eq!(properties["status"]["conditions"][0]["type"], "AgentDisconnected");
    assert_eq!(properties["status"]["progress"]["filesMigrated"], 0);

    let started = client.post(&format!("{migration}/Start")).await;
    assert_eq!(started.status, 202, "{}", started.body);
    Client::made(&client.finish(&started).await);
    let result = started.header("location").strip_prefix("https://arm.example:8443").unwrap().to_owned();
    assert_eq!(client.http.get(format!("{}{result}", client.base)).send().await.unwrap().status(), 204);
    let running_now = client.get(&migration).await.body;
    assert_eq!(running_now["properties"]["status"]["state"], "Scheduled");
    assert_eq!(running_now["etag"], read["etag"], "status is not part of the etag");
    assert!(running_now["properties"]["generation"].as_u64() > properties["generation"].as_u64());

    let stopped = client.post(&format!("{migration}/stop")).await;
    Client::made(&client.finish(&stopped).await);
    assert_eq!(client.get(&migration).await.body["properties"]["status"]["state"], "Stopped");
    client
        .post(&format!("{migrator}/liveDataMigrations/none/start"))
        .await
        .assert_error(404, "ResourceNotFound");

    // `az resource update`: GET and PUT of the whole.
    let echoed = client.put(&migration, &client.get(&migration).await.body).await;
    assert_eq!(echoed.status, 200, "{}", echoed.body);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_start_counts_at_creation() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (migrator, target) = client.make_pair("m").await;
    let migration = format!("{migrator}/liveDataMigrations/x");
    let mut body = migration_body(&target, "/data");
    body["properties"]["autoStart"] = json!(true);
    client.make(&migration, &body).await;
    assert_eq!(client.get(&migration).await.body["properties"]["status"]["state"], "Scheduled");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_have_defaults_and_change_by_put_and_patch() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (migrator, target) = client.make_pair("m").await;
    let migration = format!("{migrator}/liveDataMigrations/x");
    let mut body = migration_body(&target, "/data");
    body["properties"]["mode"] = json!("Live");
    client.make(&migration, &body).await;
    let policies = |properties: &serde_json::Value| {
        ["mode", "deletePolicy", "driftPolicy", "massDeleteLimit", "trashRetention", "barriers"]
            .map(|name| properties[name].clone())
    };
    let read = client.get(&migration).await.body;
    let defaults = policies(&read["properties"]);
    let limit = json!({"count": 10000, "percent": 25, "window": "PT1H"});
    let expected = [json!("Live"), json!("Mirror"), json!("Overwrite"), limit, json!("P7D"), json!([])];
    assert_eq!(defaults, expected);

    // Started, they may still be changed.
    let started = client.post(&format!("{migration}/start")).await;
    Client::made(&client.finish(&started).await);
    let patch = json!({"properties": {
        "deletePolicy": "keep",
        "massDeleteLimit": {"percent": 0, "window": "PT90M"},
        "trashRetention": "PT0S",
        "barriers": ["_SUCCESS", "_delta_log/*.json"]
    }});
    let patched = client.send(Method::PATCH, &migration, Some(&patch)).await;
    assert_eq!(patched.status, 202, "{}", patched.body);
    Client::made(&client.finish(&patched).await);
    let changed = client.get(&migration).await.body;
    let limit = json!({"count": 10000, "percent": 0, "window": "PT1H30M"});
    let barriers = json!(["_SUCCESS", "_delta_log/*.json"]);
    let expected = [json!("Live"), json!("Keep"), json!("Overwrite"), limit, json!("PT0S"), barriers];
    assert_eq!(policies(&changed["properties"]), expected);
    assert_ne!(changed["etag"], read["etag"]);
    assert_eq!(changed["properties"]["status"]["state"], "Scheduled");

    // What was read goes back without effect; what is left out, or null, is at its default again.
    let echoed = client.put(&migration, &changed).await;
    assert_eq!((echoed.status, &echoed.body["etag"]), (200, &changed["etag"]));
    let patch = json!({"properties": {"barriers": null, "massDeleteLimit": {"percent": null}}});
    let patched = client.send(Method::PATCH, &migration, Some(&patch)).await;
    Client::made(&client.finish(&patched).await);
    let now = client.get(&migration).await.body["properties"].clone();
    assert_eq!((&now["barriers"], &now["massDeleteLimit"]["percent"]), (&json!([]), &json!(25)));
    body["properties"]["driftPolicy"] = json!("Halt");
    client.make(&migration, &body).await;
    let now = client.get(&migration).await.body["properties"].clone();
    assert_eq!(now["driftPolicy"], "Halt");
    body["properties"].as_object_mut().unwrap().remove("driftPolicy");
    client.make(&migration, &body).await;
    assert_eq!(policies(&client.get(&migration).await.body["properties"]), defaults);
    assert_eq!(client.get(&migration).await.body["properties"]["status"]["state"], "Scheduled");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn generations_go_on_when_a_migration_is_made_anew() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (migrator, target) = client.make_pair("m").await;
    let migration = format!("{migrator}/liveDataMigrations/x");
    let number = async || {
        let record =
            world.store.get("live_data_migrations", &migration.to_lowercase()).await.unwrap().unwrap();
        let document: serde_json::Value = serde_json::from_slice(&record.body).unwrap();
        document["applied"]["generation"].as_u64().unwrap()
    };
    let mut last = 0;
    for auto_start in [false, true, false, true] {
        let mut body = migration_body(&target, "/data");
        body["properties"]["autoStart"] = json!(auto_start);
        client.make(&migration, &body).await;
        if !auto_start {
            assert_eq!(client.get(&migration).await.body["properties"]["status"]["state"], "NotScheduled");
            let started = client.post(&format!("{migration}/start")).await;
            Client::made(&client.finish(&started).await);
        }
        assert!(number().await > last, "{} after {last}", number().await);
        last = number().await;
        let deleted = client.delete(&migration).await;
        Client::made(&client.finish(&deleted).await);
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn patch_merges_properties_and_replaces_tags() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (migrator, target) = client.make_pair("m").await;
    let patch =
        json!({"tags": {"a": "b"}, "properties": {"maxRunningMigrations": 2, "source": {"user": null}}});
    let patched = client.send(Method::PATCH, &migrator, Some(&patch)).await;
    assert_eq!(patched.status, 202, "{}", patched.body);
    Client::made(&client.finish(&patched).await);
    let read = client.get(&migrator).await.body;
    assert_eq!(read["tags"], json!({"a": "b"}));
    assert_eq!(read["properties"]["maxRunningMigrations"], 2);
    assert_eq!(read["properties"]["source"], json!({"kind": "Hdfs", "uri": "hdfs://nn.example:8020"}));

    let removal = json!({"properties": {"source": null}});
    client.send(Method::PATCH, &migrator, Some(&removal)).await.assert_error(400, "MissingRequiredProperty");
    client
        .send(Method::PATCH, &migrator, Some(&json!({"location": "eastus"})))
        .await
        .assert_error(400, "PropertyChangeNotAllowed");
    client
        .send(Method::PATCH, &crate::world::migrator("none"), Some(&json!({})))
        .await
        .assert_error(404, "ResourceNotFound");
    // A secret that is never shown survives a patch.
    let endpoint = json!({"properties": {"storageEndpoint": "https://private.example"}});
    let patched = client.send(Method::PATCH, &target, Some(&endpoint)).await;
    Client::made(&client.finish(&patched).await);
    let stored = world.store.get("targets", &target.to_lowercase()).await.unwrap().unwrap();
    assert!(String::from_utf8_lossy(&stored.body).contains("sealed_account_key"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_migrator_removes_its_children_and_frees_their_area() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (migrator, target) = client.make_pair("m").await;
    for name in ["x", "y"] {
        let path = format!("{migrator}/liveDataMigrations/{name}");
        client.make(&path, &migration_body(&target, &format!("/{name}"))).await;
    }
    client.delete(&target).await.assert_error(409, "TargetInUse");
    let deleted = client.delete(&migrator).await;
    Client::made(&client.finish(&deleted).await);
    for path in [&migrator, &target, &format!("{migrator}/liveDataMigrations/x")] {
        assert_eq!(client.get(path).await.status, 404, "{path}");
    }
    client.get(&format!("{migrator}/targets")).await.assert_error(404, "ParentResourceNotFound");
    for collection in ["areas", "work", "targets", "live_data_migrations", "migrators"] {
        assert!(world.store.list(collection, "", None, 10).await.unwrap().is_empty(), "{collection}");
    }
    // The same names again: generations go on, for the agent may still hold the old ones.
    let (migrator, target) = client.make_pair("m").await;
    let migration = format!("{migrator}/liveDataMigrations/x");
    client.make(&migration, &migration_body(&target, "/x")).await;
    assert_eq!(client.get(&migration).await.body["properties"]["generation"], 2);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_migration_detaches_it_in_any_state() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (migrator, target) = client.make_pair("m").await;
    let migration = format!("{migrator}/liveDataMigrations/x");
    let mut body = migration_body(&target, "/data");
    body["properties"]["autoStart"] = json!(true);
    client.make(&migration, &body).await;
    let deleted = client.delete(&migration).await;
    Client::made(&client.finish(&deleted).await);
    let deleted = client.delete(&target).await;
    Client::made(&client.finish(&deleted).await);
    assert_eq!(client.get(&format!("{migrator}/targets")).await.body, json!({"value": []}));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_by_subscription_group_and_parent_in_pages() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    for name in ["a", "b", "c", "d", "e"] {
        client.make_migrator(name).await;
    }
    let elsewhere = crate::world::migrator("z").replace("rg1", "rg2");
    client.make(&elsewhere, &migrator_body()).await;
    let all = "/subscriptions/s1/providers/LiveData.Platform/migrators";
    assert_eq!(client.get(all).await.body["value"].as_array().unwrap().len(), 6);
    let group = format!("{GROUP}/providers/livedata.platform/Migrators");
    let mut names = Vec::new();
    let mut next = Some(format!("{group}?%24top=2&$filter=x"));
    while let Some(path) = next {
        let page = client.get(&path).await.body;
        assert!(page["value"].as_array().unwrap().len() <= 2);
        names.extend(
            page["value"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()),
        );
        next = page.get("nextLink").map(|link| {
            let link = link.as_str().unwrap();
            assert!(link.contains("%24filter=x") && link.contains("api-version"), "{link}");
            link.strip_prefix("https://arm.example:8443").unwrap().to_owned()
        });
    }
    assert_eq!(names, ["a", "b", "c", "d", "e"]);
    client.get(&format!("{group}?$top=0")).await.assert_error(400, "InvalidQueryParameter");
    client.get(&format!("{group}?$skipToken=abc")).await.assert_error(400, "InvalidQueryParameter");
    let empty = client.get("/subscriptions/none/providers/LiveData.Platform/migrators").await;
    assert_eq!((empty.status, &empty.body), (200, &json!({"value": []})));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_key_is_required_at_creation_and_its_value_never_repeated() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let migrator = client.make_migrator("m").await;
    let target = format!("{migrator}/targets/t");
    let mut body = target_body("lake", "data");
    body["properties"]["credential"] = json!({"kind": "AccountKey"});
    client.put(&target, &body).await.assert_error(400, "MissingRequiredProperty");
    body["properties"]["credential"] = json!({"kind": "AccountKey", "accountKey": format!("{ACCOUNT_KEY}!")});
    let refused = client.put(&target, &body).await;
    refused.assert_error(400, "InvalidPropertyValue");
    assert!(!refused.body.to_string().contains(ACCOUNT_KEY));
    running.stop().await;
}

/// The account's rules and the container are looked up with it; a repeated PUT looks again for what was missing.
#[tokio::test]
async fn a_target_tells_what_the_look_up_found() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    let conditions = |shown: &Value| -> Vec<(String, String, String)> {
        let text = |condition: &Value, name: &str| condition[name].as_str().unwrap().to_owned();
        let all = shown["properties"]["status"]["conditions"].as_array().unwrap();
        all.iter().map(|one| (text(one, "type"), text(one, "status"), text(one, "reason"))).collect()
    };
    let has = |shown: &Value, kind: &str, status: &str, reason: &str| {
        let wanted = (kind.to_owned(), status.to_owned(), reason.to_owned());
        assert!(conditions(shown).contains(&wanted), "{kind}: {shown}");
    };
    let shown = client.get(&target).await.body;
    assert_eq!(shown["properties"]["status"]["accountLocation"], "westus");
    has(&shown, "Reachable", "True", "StorageAccountFound");
    has(&shown, "NetworkAccess", "True", "OpenToAllNetworks");
    has(&shown, "ContainerExists", "True", "ContainerFound");

    let other = format!("{m}/targets/other");
    client.make(&other, &target_body("walled", "missing")).await;
    let shown = client.get(&other).await.body;
    has(&shown, "NetworkAccess", "Unknown", "FirewallEnabled");
    has(&shown, "ContainerExists", "False", "ContainerNotFound");
    world.accounts.missing_container.store(false, std::sync::atomic::Ordering::SeqCst);
    client.make(&other, &target_body("walled", "missing")).await;
    has(&client.get(&other).await.body, "ContainerExists", "True", "ContainerFound");
    running.stop().await;
}

const ELSEWHERE: &str = "/subscriptions/s1/resourceGroups/Elsewhere";

async fn ask_to_move(client: &Client, action: &str, ids: &[&str], to: &str) -> crate::world::Reply {
    let body = json!({"targetResourceGroup": to, "resources": ids});
    let request = client.request(Method::POST, &format!("{GROUP}/{action}")).json(&body);
    let mover = json!({"createdBy": "mover", "createdByType": "User"}).to_string();
    crate::world::Reply::of(request.header("x-ms-arm-resource-system-data", mover).send().await.unwrap())
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_116_a_move_takes_along_all_that_belongs_to_a_migrator() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    let (other, other_target) = client.make_pair("other").await;
    let migration = format!("{m}/liveDataMigrations/x");
    client.make(&migration, &migration_body(&target, "/data")).await;
    let second = format!("{other}/liveDataMigrations/y");
    client.make(&second, &migration_body(&other_target, "/more")).await;
    let mapping = format!("{m}/pathMappings/p");
    client
        .make(&mapping, &json!({"properties": {"sourcePath": "/a", "targetId": target, "targetPath": "/x"}}))
        .await;
    let started = client.post(&format!("{migration}/start")).await;
    client.finish(&started).await;
    let before = client.get(&migration).await.body;

    let valid = ask_to_move(&client, "validateMoveResources", &[&m, &other], ELSEWHERE).await;
    assert_eq!((valid.status, valid.body), (204, Value::Null));
    assert_eq!(client.get(&m).await.status, 200);
    let moved = ask_to_move(&client, "moveResources", &[&m.to_uppercase(), &other], ELSEWHERE).await;
    assert_eq!(moved.status, 200, "{}", moved.body);

    let there = |id: &str| id.replace(GROUP, ELSEWHERE);
    for id in [&m, &target, &migration, &mapping, &other, &other_target, &second] {
        assert_eq!(client.get(id).await.status, 404, "{id}");
        let shown = client.get(&there(id)).await;
        assert_eq!(
            (shown.status, shown.body["id"].as_str()),
            (200, Some(there(id).as_str())),
            "{}",
            shown.body
        );
    }
    let shown = client.get(&there(&migration)).await.body;
    assert_eq!(shown["properties"]["targetId"], there(&target));
    assert_eq!(shown["properties"]["status"]["state"], before["properties"]["status"]["state"]);
    assert_eq!(shown["systemData"]["createdBy"], "mover");
    // What was reserved is still: both migrations, in one container; and the mapping.
    for path in ["/data/below", "/more"] {
        let made = format!("{}/liveDataMigrations/z", there(&m));
        let refused = client.put(&made, &migration_body(&there(&target), path)).await;
        refused.assert_error(409, "TargetAreaInUse");
    }
    let collides =
        json!({"properties": {"sourcePath": "/b", "targetId": there(&target), "targetPath": "/x"}});
    client
        .put(&format!("{}/pathMappings/q", there(&m)), &collides)
        .await
        .assert_error(400, "PathMappingCollision");
    // And it can be lived with there, deletion included.
    let refused = client.delete(&there(&target)).await;
    refused.assert_error(409, "TargetInUse");
    for id in [&m, &other] {
        let gone = client.delete(&there(id)).await;
        client.finish(&gone).await;
        assert_eq!(client.get(&there(id)).await.status, 404);
    }
    assert!(world.store.list("areas", "", None, 10).await.unwrap().is_empty());
    assert!(world.store.list("moving", "", None, 10).await.unwrap().is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_116_a_move_that_cannot_be_is_refused_and_changes_nothing() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    let taken = m.replace(GROUP, ELSEWHERE);
    client.make(&taken, &migrator_body()).await;
    let lonely = client.make_migrator("lonely").await;
    let before = world.resources().await;
    let gone = format!("{GROUP}/providers/LiveData.Platform/migrators/gone");
    let strange = "/subscriptions/s1/resourceGroups/rg1/providers/Contoso.Other/migrators/m";
    let elsewhere = lonely.replace(GROUP, "/subscriptions/s1/resourceGroups/third");
    for (ids, to, status, code) in [
        (vec![m.as_str()], GROUP, 400, "InvalidMove"),
        (vec![m.as_str()], "/subscriptions/S1/resourcegroups/RG1/", 400, "InvalidMove"),
        (vec![m.as_str()], "nowhere", 400, "InvalidMove"),
        (vec![m.as_str()], "/subscriptions/s1/resourceGroups/ends.", 400, "InvalidResourceGroupName"),
        (vec![m.as_str()], "/subscriptions/unknown/resourceGroups/g", 400, "InvalidSubscriptionState"),
        (vec![], ELSEWHERE, 400, "InvalidMove"),
        (vec!["m"], ELSEWHERE, 400, "InvalidMove"),
        (vec![target.as_str()], ELSEWHERE, 400, "InvalidMove"),
        (vec![strange], ELSEWHERE, 400, "InvalidMove"),
        (vec![elsewhere.as_str()], ELSEWHERE, 400, "InvalidMove"),
        (vec![gone.as_str()], ELSEWHERE, 404, "ResourceNotFound"),
        // One that cannot holds up the other.
        (vec![lonely.as_str(), m.as_str()], ELSEWHERE, 409, "ResourceExistsInTargetGroup"),
    ] {
        for action in ["validateMoveResources", "moveResources"] {
            let refused = ask_to_move(&client, action, &ids, to).await;
            refused.assert_error(status, code);
        }
    }
    assert_eq!(world.resources().await, before);
    // One with an agent stays, and so does one with an unfinished operation.
    let agent = br#"{"migrator_guid": "g", "instance_id": "i", "session_epoch": 0, "coordinator_epoch": 1, "enrolled_at": ""}"#;
    world
        .store
        .commit(livedata_store::Change::new().put("agents", lonely.to_lowercase(), agent))
        .await
        .unwrap();
    let refused = ask_to_move(&client, "moveResources", &[&lonely], ELSEWHERE).await;
    refused.assert_error(409, "MigratorCannotMove");
    world.remove("agents", &lonely.to_lowercase()).await;
    let slow = format!("{lonely}/targets/slow");
    let waiting = client.put(&slow, &target_body("silent", "data")).await;
    assert_eq!(waiting.status, 201, "{}", waiting.body);
    let refused = ask_to_move(&client, "moveResources", &[&lonely], ELSEWHERE).await;
    refused.assert_error(409, "AnotherOperationInProgress");
    running.stop().await;
}

/// Nobody makes a child of a migrator that is on its way; a move that was cut short does not hold it for ever.
#[tokio::test(flavor = "multi_thread")]
async fn rule_116_a_move_that_was_cut_short_is_over_after_a_while() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let m = client.make_migrator("m").await;
    let now = time::OffsetDateTime::now_utc().unix_timestamp().to_string();
    let begun = livedata_store::Change::new().put("moving", m.to_lowercase(), now.into_bytes());
    world.store.commit(begun).await.unwrap();
    let target = format!("{m}/targets/t");
    let refused = client.put(&target, &target_body("lake", "data")).await;
    refused.assert_error(409, "AnotherOperationInProgress");
    world.ahead.store(301, std::sync::atomic::Ordering::SeqCst);
    client.make(&target, &target_body("lake", "data")).await;
    running.stop().await;
}
