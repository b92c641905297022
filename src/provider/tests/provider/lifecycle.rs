//! Subscriptions, names, preflight and cancellation: what ARM asks of a provider beside its resources.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{
    Behaviour, Client, GROUP, Reply, World, migration_body, migrator, migrator_body, target_body,
};

async fn tell(client: &Client, subscription: &str, body: &Value) -> Reply {
    let path = format!("{}/subscriptions/{subscription}?api-version=2.0", client.base);
    Reply::of(client.http.put(path).json(body).send().await.unwrap()).await
}

async fn state(client: &Client, subscription: &str, state: &str) {
    let body = json!({"state": state, "registrationDate": "Tue, 15 Nov 1994 08:12:31 GMT", "properties": {"tenantId": "t", "more": [1]}});
    for _ in 0..2 {
        let reply = tell(client, subscription, &body).await;
        assert_eq!((reply.status, &reply.body), (200, &body), "rule 110");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_110_to_112_the_life_of_a_subscription() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let m = migrator("m").replace("/s1/", "/S9/");
    let write = || client.put(&m, &BODY);
    write().await.assert_error(400, "InvalidSubscriptionState");
    assert_eq!(
        client.get("/subscriptions/S9/providers/LiveData.Platform/migrators").await.body,
        json!({"value": []})
    );
    client.delete(&m).await.assert_error(400, "InvalidSubscriptionState");

    state(&client, "s9", "Unregistered").await;
    write().await.assert_error(400, "InvalidSubscriptionState");
    state(&client, "S9", "Registered").await;
    assert_eq!(write().await.status, 201);
    client.wait(&m, "Succeeded", |reply| reply.body["properties"]["provisioningState"] == "Succeeded").await;
    for resting in ["Warned", "Suspended"] {
        state(&client, "s9", resting).await;
        assert_eq!(client.get(&m).await.status, 200);
        write().await.assert_error(409, "InvalidSubscriptionState");
        client.patch(&m, &json!({"tags": {}})).await.assert_error(409, "InvalidSubscriptionState");
        client.post(&format!("{m}/listInstallKey")).await.assert_error(409, "InvalidSubscriptionState");
    }
    let deleted = client.delete(&m).await;
    Client::made(&client.finish(&deleted).await);
    state(&client, "s9", "Registered").await;
    assert_eq!(write().await.status, 201);
    state(&client, "s9", "Unregistered").await;
    assert_eq!(client.get(&m).await.status, 200);
    client.delete(&m).await.assert_error(400, "InvalidSubscriptionState");
    // The provider empties it by itself.
    state(&client, "s9", "Deleted").await;
    client.wait(&m, "its end", |reply| reply.status == 404).await;
    write().await.assert_error(409, "InvalidSubscriptionState");

    for bad in [json!({"state": "Asleep"}), json!({}), json!({"state": 1})] {
        tell(&client, "s9", &bad).await.assert_error(400, "InvalidRequestContent");
    }
    running.stop().await;
}

static BODY: std::sync::LazyLock<Value> = std::sync::LazyLock::new(migrator_body);

#[tokio::test(flavor = "multi_thread")]
async fn migrations_rest_while_their_subscription_does() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    let path = format!("{m}/liveDataMigrations/x");
    let mut body = migration_body(&target, "/data");
    body["properties"]["autoStart"] = json!(true);
    client.make(&path, &body).await;
    let generation = |reply: Reply| reply.body["properties"]["generation"].as_u64().unwrap();
    let before = generation(client.get(&path).await);
    state(&client, "s1", "Suspended").await;
    // A higher one is what makes the provider tell the agent.
    let suspended = generation(client.get(&path).await);
    assert!(suspended > before, "{before} {suspended}");
    state(&client, "s1", "Registered").await;
    let registered = generation(client.get(&path).await);
    assert!(registered > suspended);
    // To hear it again changes nothing.
    state(&client, "s1", "Registered").await;
    assert_eq!(generation(client.get(&path).await), registered);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_115_names_are_checked() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    client.make_migrator("Taken").await;
    let scopes = [
        "/subscriptions/s1/providers/LiveData.Platform",
        "/subscriptions/s1/providers/LiveData.Platform/locations/westus",
    ];
    for scope in scopes {
        let path = format!("{scope}/checkNameAvailability");
        let ask = |name: &str| {
            let body = json!({"name": name, "type": "livedata.platform/Migrators"});
            let (client, path) = (client.clone(), path.clone());
            async move { client.send(Method::POST, &path, Some(&body)).await }
        };
        assert_eq!(ask("free").await.body, json!({"nameAvailable": true}));
        let taken = ask("tAKEN").await;
        assert_eq!(
            (taken.status, &taken.body["nameAvailable"], &taken.body["reason"]),
            (200, &json!(false), &json!("AlreadyExists"))
        );
        let invalid = ask("a b").await;
        assert_eq!((invalid.status, &invalid.body["reason"]), (200, &json!("Invalid")));
        assert!(invalid.body["message"].as_str().unwrap().contains("letters"));
        for bad in [
            json!({"name": "a"}),
            json!({"name": "a", "type": "Other.Thing/migrators"}),
            json!({"name": "a", "type": "LiveData.Platform/targets"}),
        ] {
            assert_eq!(client.send(Method::POST, &path, Some(&bad)).await.status, 400, "{bad}");
        }
        client.get(&path).await.assert_error(405, "MethodNotAllowed");
    }
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_117_a_template_is_judged_before_it_is_deployed() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    client.make_migrator("there").await;
    let path = format!("{GROUP}/providers/LiveData.Platform/deployments/d/preflight");
    let resource = |kind: &str, name: &str, body: Value| {
        let mut resource = body;
        resource["type"] = json!(format!("LiveData.Platform/{kind}"));
        resource["name"] = json!(name);
        resource["apiVersion"] = json!("2026-11-01-preview");
        resource["dependsOn"] = json!([]);
        resource
    };
    let preflight = |resources: Vec<Value>| {
        let (client, path) = (client.clone(), path.clone());
        async move {
            let reply = client.send(Method::POST, &path, Some(&json!({ "resources": resources }))).await;
            assert_eq!(reply.status, 200, "{}", reply.body);
            reply.body
        }
    };
    let good = vec![
        resource("migrators", "m", migrator_body()),
        resource("migrators/targets", "m/t", target_body("lake", "data")),
    ];
    assert_eq!(preflight(good).await, json!({"status": "Succeeded"}));
    let mut moved = migrator_body();
    moved["location"] = json!("eastus");
    let failed = preflight(vec![
        resource("migrators", "m", json!({"location": "westus", "properties": {"source": {"kind": "Tape"}}})),
        resource("migrators", "there", moved),
        resource("migrators", "a b", migrator_body()),
    ])
    .await;
    assert_eq!(failed["status"], "Failed");
    let all = failed.to_string();
    for code in
        ["MultipleErrorsOccurred", "InvalidPropertyValue", "PropertyChangeNotAllowed", "InvalidResourceName"]
    {
        assert!(all.contains(code), "{code}: {all}");
    }
    // What the template decides later, and what is no resource of ours, is passed over.
    let mut expression = migrator_body();
    expression["location"] = json!("[resourceGroup().location]");
    expression["properties"]["source"]["kind"] = json!("Tape");
    let unknown = json!({"type": "Other.Thing/x", "name": "n", "apiVersion": "1"});
    assert_eq!(
        preflight(vec![resource("migrators", "m", expression), unknown, json!(7)]).await,
        json!({"status": "Succeeded"})
    );
    // Nothing was made.
    client.get(&migrator("m")).await.assert_error(404, "ResourceNotFound");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_91_an_operation_that_waits_can_be_cancelled() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let m = client.make_migrator("m").await;
    world.accounts.behaviours.lock().unwrap().insert("lake".into(), Behaviour::Silent);
    let path = format!("{m}/targets/t");
    let put = client.put(&path, &target_body("lake", "data")).await;
    assert_eq!(put.status, 201, "{}", put.body);
    let status =
        put.header("azure-asyncoperation").strip_prefix("https://arm.example:8443").unwrap().to_owned();
    let (status, _) = status.split_once('?').unwrap();
    let cancelled = client.post(&format!("{status}/cancel")).await;
    assert_eq!(cancelled.status, 204, "{}", cancelled.body);
    let ended = client.finish(&put).await;
    assert_eq!(
        (&ended["status"], &ended["error"]["code"]),
        (&json!("Canceled"), &json!("OperationCanceled"))
    );
    assert_eq!(client.get(&path).await.body["properties"]["provisioningState"], "Canceled");
    client.post(&format!("{status}/cancel")).await.assert_error(409, "OperationNotCancelable");
    client
        .post(&format!("{}/cancel", status.replace("/s1/", "/s2/")))
        .await
        .assert_error(404, "OperationNotFound");
    // It can be written again.
    world.accounts.behaviours.lock().unwrap().insert("lake".into(), Behaviour::Good);
    client.make(&path, &target_body("lake", "data")).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn install_keys_that_were_not_used_are_revoked() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let m = client.make_migrator("m").await;
    let other = client.make_migrator("n").await;
    for path in [&m, &m, &other] {
        assert_eq!(client.post(&format!("{path}/listInstallKey")).await.status, 200);
    }
    let keys = || async { world.store.list("install_keys", "", None, 10).await.unwrap().len() };
    assert_eq!(keys().await, 3);
    assert_eq!(client.post(&format!("{m}/rotateInstallKey")).await.status, 204);
    assert_eq!(keys().await, 1);
    // The public version knows the old name of the other action only.
    let public = client.public();
    public.post(&format!("{m}/rotateInstallKey")).await.assert_error(400, "InvalidApiVersionParameter");
    let key = public.post(&format!("{m}/getInstallKey")).await;
    assert_eq!(key.body.as_object().unwrap().keys().collect::<Vec<_>>(), ["installKey"]);
    running.stop().await;
}
