//! The public version, under our namespace and under its own.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{ACCOUNT_KEY, Client, GROUP, Reply, World, account_id, migration_body, migrator_body};

fn aliased(path: &str) -> String {
    path.replace("LiveData.Platform", "Wandisco.Fusion")
}

/// A migrator and a target, made by a client that knows only the public API.
async fn pair(client: &Client) -> (String, String) {
    let m = format!("{GROUP}/providers/Wandisco.Fusion/migrators/p");
    let body = json!({
        "location": "East US", "tags": {"tagKey1": "TagValue1"},
        "plan": {"name": "n", "publisher": "p", "product": "q"},
        "properties": {"kerberos": {"enabled": true, "principal": "hdfs@REALM", "keytabLocation": "/etc/security/hdfs.keytab"}}
    });
    let made = make(client, &m, &body).await;
    assert_eq!(made.body["plan"], body["plan"]);
    let target = format!("{m}/targets/t");
    let body = json!({"properties": {
        "storageAccountId": account_id("lake"), "storageContainer": "data", "storageAccessKey": ACCOUNT_KEY
    }});
    make(client, &target, &body).await;
    (m, target)
}

async fn make(client: &Client, path: &str, body: &Value) -> Reply {
    let reply = client.put(path, body).await;
    assert!(matches!(reply.status, 200 | 201), "{path}: {}", reply.body);
    if !reply.header("azure-asyncoperation").is_empty() {
        Client::made(&client.finish(&reply).await);
    }
    client.get(path).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alias_shows_itself_and_nothing_of_the_other_name() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running).public();
    let (m, target) = pair(&client).await;
    let migration = format!("{m}/liveDataMigrations/x");
    let made = make(&client, &migration, &migration_body(&target, "/data")).await;
    assert_eq!(made.body["id"], migration);
    assert_eq!(made.body["type"], "Wandisco.Fusion/migrators/liveDataMigrations");
    assert_eq!(made.body["properties"]["targetId"], target);
    for path in [
        &m,
        &target,
        &migration,
        &format!("{m}/targets"),
        &format!("{GROUP}/providers/Wandisco.Fusion/migrators"),
    ] {
        assert!(!client.get(path).await.body.to_string().contains("LiveData"), "{path}");
    }
    let started = client.post(&format!("{migration}/start")).await;
    let status = client.finish(&started).await;
    assert!(status["id"].as_str().unwrap().contains("/providers/Wandisco.Fusion/locations/"), "{status}");
    assert_eq!(status["resourceId"], migration, "{status}");
    // It is one resource under two names.
    let ours = world.client(&running).get(&migration.replace("Wandisco.Fusion", "LiveData.Platform")).await;
    assert_eq!(ours.body["properties"]["targetId"], target.replace("Wandisco.Fusion", "LiveData.Platform"));
    // The alias speaks the public version only.
    world.client(&running).get(&m).await.assert_error(400, "InvalidApiVersionParameter");
    let operations = client.get("/providers/Wandisco.Fusion/operations").await;
    assert!(operations.body.to_string().contains("Wandisco.Fusion/migrators/verifications/cancel/action"));
    assert!(!operations.body.to_string().contains("LiveData"));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_running_shapes_are_the_public_ones() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running).public();
    let (m, target) = pair(&client).await;
    let migration = format!("{m}/liveDataMigrations/x");
    make(&client, &migration, &migration_body(&target, "/data")).await;

    let patched = client.patch(&migration, &json!({"properties": {"priority": "High"}})).await;
    assert_eq!(
        (patched.status, &patched.body["properties"]["priority"]),
        (202, &json!("High")),
        "{}",
        patched.body
    );
    assert_eq!(patched.body["properties"]["provisioningState"], "Accepted");
    let result = follow(&client, &patched).await;
    assert_eq!((result.status, &result.body["properties"]["priority"]), (200, &json!("High")));

    let started = client.post(&format!("{migration}/start")).await;
    assert_eq!((started.status, &started.body), (202, &Value::Null));
    let result = follow(&client, &started).await;
    assert_eq!((result.status, result.body), (200, json!({"migrationStatus": "Scheduled"})));

    // Tags only, and at once.
    let tagged = client.patch(&target, &json!({"tags": {"a": "b"}})).await;
    assert_eq!((tagged.status, &tagged.body["tags"]), (200, &json!({"a": "b"})), "{}", tagged.body);

    client.delete(&migration).await.assert_error(409, "MigrationNotStopped");
    let stopped = client.post(&format!("{migration}/stop")).await;
    assert_eq!(follow(&client, &stopped).await.body, json!({"migrationStatus": "Stopped"}));
    let deleted = client.delete(&migration).await;
    assert_eq!(deleted.status, 202);
    assert_eq!(follow(&client, &deleted).await.status, 204);
    assert_eq!(client.delete(&migration).await.status, 204);
    running.stop().await;
}

/// Follows `Location` to the outcome.
async fn follow(client: &Client, reply: &Reply) -> Reply {
    client.finish(reply).await;
    let path = reply.header("location").strip_prefix("https://arm.example:8443").unwrap().to_owned();
    Reply::of(client.http.get(format!("{}{path}", client.base)).send().await.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_are_found_in_both_scopes_and_by_their_tenant_only() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running).public();
    let (m, _) = pair(&client).await;
    let body = json!({"location": "East US", "properties": {"metadataAgentMode": "Scanning"}});
    let request = client.request(Method::PUT, &m).header("x-ms-home-tenant-id", "tenant-a").json(&body);
    let put = Reply::of(request.send().await.unwrap()).await;
    assert_eq!(put.status, 200, "{}", put.body);
    let address = put.header("azure-asyncoperation").to_owned();
    let (path, _) = address.strip_prefix("https://arm.example:8443").unwrap().split_once('?').unwrap();
    let at_tenant = path.split_once("/providers/").map(|(_, rest)| format!("/providers/{rest}")).unwrap();
    for (path, tenant, expected) in [
        (path, Some("tenant-a"), 200),
        (path, None, 200),
        (path, Some("tenant-b"), 404),
        (&at_tenant, Some("Tenant-A"), 200),
        (&at_tenant, Some("tenant-b"), 404),
        (&at_tenant, None, 404),
        (&path.replace("/s1/", "/s2/"), Some("tenant-a"), 404),
        (&path.replace("/eastus/", "/westus/"), Some("tenant-a"), 404),
    ] {
        let mut request = client.request(Method::GET, path);
        if let Some(tenant) = tenant {
            request = request.header("x-ms-home-tenant-id", tenant);
        }
        let reply = Reply::of(request.send().await.unwrap()).await;
        assert_eq!(reply.status, expected, "{path} {tenant:?}: {}", reply.body);
    }
    let update = json!({"id": m, "status": "Successful"});
    client.patch(path, &update).await.assert_error(403, "OperationStatusReadOnly");
    client.patch(&at_tenant, &update).await.assert_error(403, "OperationStatusReadOnly");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_put_keeps_what_only_the_newer_version_knows() {
    let world = World::new();
    let running = world.start().await;
    let (ours, public) = (world.client(&running), world.client(&running).public());
    let m = ours.make_migrator("m").await;
    let mut body = migrator_body();
    body["properties"]["bandwidthPolicy"] = json!({"maxBytesPerSecond": 7, "schedule": [
        {"days": ["Monday"], "from": "08:00", "to": "18:00", "timeZone": "Europe/Berlin", "maxBytesPerSecond": 5}
    ]});
    body["properties"]["maxRunningMigrations"] = json!(3);
    body["properties"]["locationData"] = json!({"name": "Halle 4", "city": "Bremen"});
    body["properties"]["source"]["configurationDirectory"] = json!("/etc/hadoop/conf");
    ours.make(&m, &body).await;
    let before = ours.get(&m).await.body["properties"].clone();
    let alias = aliased(&m);
    let old = public.get(&alias).await.body;
    assert_eq!(old["properties"]["bandwidthPolicy"], json!({"maxBytesPerSec": 7}));
    // What was read is sent back, and then only what is required.
    make(&public, &alias, &old).await;
    assert_eq!(ours.get(&m).await.body["properties"], before);
    make(&public, &alias, &json!({"location": "West US", "tags": {"Team": "lake"}, "properties": {}})).await;
    assert_eq!(ours.get(&m).await.body["properties"], before);
    // What it can say, it changes.
    let patched =
        public.patch(&alias, &json!({"properties": {"bandwidthPolicy": {"maxBytesPerSec": 9}}})).await;
    Client::made(&public.finish(&patched).await);
    let after = ours.get(&m).await.body["properties"].clone();
    assert_eq!(after["bandwidthPolicy"]["maxBytesPerSecond"], 9);
    assert_eq!(after["bandwidthPolicy"]["schedule"], before["bandwidthPolicy"]["schedule"]);

    let (_, target) = (0, ours.make_target(&m, "t").await);
    let migration = format!("{m}/liveDataMigrations/x");
    let mut body = migration_body(&target, "/data");
    for (name, value) in [
        ("targetPath", json!("/elsewhere")),
        ("mode", json!("Live")),
        ("deletePolicy", json!("Keep")),
        ("driftPolicy", json!("Halt")),
        ("actionPolicy", json!("SkipIfContentMatch")),
        ("trashRetention", json!("P3D")),
        ("barriers", json!(["_DONE"])),
        ("bandwidthPolicy", json!({"maxBytesPerSecond": 11})),
        ("identityMapping", json!([{"kind": "User", "source": "alice", "target": "a@example.com"}])),
    ] {
        body["properties"][name] = value;
    }
    ours.make(&migration, &body).await;
    let before = ours.get(&migration).await.body["properties"].clone();
    let alias = aliased(&migration);
    let old = public.get(&alias).await.body;
    assert_eq!(old["properties"]["targetActionPolicy"], "SkipIfSizeMatch");
    let etag = ours.get(&migration).await.header("etag").to_owned();
    make(&public, &alias, &old).await;
    assert_eq!(ours.get(&migration).await.body["properties"], before);
    assert_eq!(ours.get(&migration).await.header("etag"), etag);

    let expression = format!("{m}/exclusionTemplates/e");
    let body = json!({"properties": {"exclusionKind": "PatternExclusion", "pattern": "^a+$", "patternType": "Regex"}});
    ours.make(&expression, &body).await;
    let old = public.get(&aliased(&expression)).await.body;
    make(&public, &aliased(&expression), &old).await;
    assert_eq!(ours.get(&expression).await.body["properties"]["patternType"], "Regex");

    let agent = format!("{m}/dataTransferAgents/d");
    ours.make(&agent, &json!({"properties": {"host": "h", "port": 1, "capacity": 4}})).await;
    make(&public, &aliased(&agent), &json!({"properties": {"host": "i", "port": 2}})).await;
    let after = ours.get(&agent).await.body["properties"].clone();
    assert_eq!((&after["host"], &after["capacity"]), (&json!("i"), &json!(4)));

    // A newer PUT leaves the tags that only the older version shows on children.
    public.patch(&aliased(&agent), &json!({"tags": {"k": "v"}})).await;
    ours.make(&agent, &json!({"properties": {"host": "j", "port": 2}})).await;
    assert_eq!(public.get(&aliased(&agent)).await.body["tags"], json!({"k": "v"}));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_patch_may_change_is_what_the_public_contract_says() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running).public();
    let (m, target) = pair(&client).await;
    let sql = "/subscriptions/s1/resourceGroups/g/providers/Microsoft.Sql/servers/s";
    let metadata = format!("{m}/metadataTargets/sql");
    let body = json!({"properties": {
        "metadataTargetKind": "AzureSqlMetadataTarget", "sqlServerId": sql, "sqlDatabase": "d", "sqlUser": "u",
        "sqlPassword": "sesame-sql"
    }});
    let shown = make(&client, &metadata, &body).await;
    assert!(!shown.body.to_string().contains("sesame"), "{}", shown.body);
    for (properties, status, code) in [
        (json!({"sqlUser": "v"}), 400, "MissingRequiredProperty"),
        (
            json!({"metadataTargetUpdateKind": "DatabricksAuth", "accessToken": "x"}),
            400,
            "InvalidPropertyValue",
        ),
        (json!({"metadataTargetUpdateKind": "AzureSqlAuth", "sqlDatabase": "e"}), 400, "UnknownProperty"),
    ] {
        client.patch(&metadata, &json!({ "properties": properties })).await.assert_error(status, code);
    }
    let patch = json!({"properties": {"metadataTargetUpdateKind": "AzureSqlAuth", "sqlUser": "v", "sqlPassword": "sesame-2"}});
    let patched = client.patch(&metadata, &patch).await;
    assert_eq!(patched.status, 202, "{}", patched.body);
    Client::made(&client.finish(&patched).await);
    assert_eq!(client.get(&metadata).await.body["properties"]["sqlUser"], "v");
    client
        .patch(&target, &json!({"properties": {"storageContainer": "other"}}))
        .await
        .assert_error(400, "UnknownProperty");
    for (properties, code) in [
        (json!({"maxRunningMigrations": -1}), "InvalidPropertyValue"),
        (json!({"maxRunningMigrations": 1001}), "InvalidPropertyValue"),
        (json!({"bandwidthPolicy": {"maxBytesPerSec": -5}}), "InvalidPropertyValue"),
    ] {
        client.patch(&m, &json!({ "properties": properties })).await.assert_error(400, code);
    }
    // `null` takes a limit away.
    for (value, expected) in
        [(json!({"maxBytesPerSec": 5}), json!({"maxBytesPerSec": 5})), (Value::Null, Value::Null)]
    {
        let patched = client.patch(&m, &json!({"properties": {"bandwidthPolicy": value}})).await;
        Client::made(&client.finish(&patched).await);
        assert_eq!(client.get(&m).await.body["properties"]["bandwidthPolicy"], expected);
    }
    // Ids in what is refused are those that the client knows.
    let refused = client.get(&format!("{m}/targets/none")).await;
    refused.assert_error(404, "ResourceNotFound");
    assert!(!refused.body.to_string().contains("LiveData"), "{}", refused.body);
    let patched =
        client.patch(&target, &json!({"properties": {"oauthClientId": "c", "oauthClientSecret": "s"}})).await;
    // There is no tenant to ask for a token.
    patched.assert_error(400, "MissingRequiredProperty");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migrator_without_a_source_waits_for_the_agents_word() {
    let world = World::new();
    let running = world.start().await;
    let (ours, public) = (world.client(&running), world.client(&running).public());
    let (m, _) = pair(&public).await;
    let path = m.replace("Wandisco.Fusion", "LiveData.Platform");
    let shown = ours.get(&path).await.body;
    assert_eq!(shown["properties"].get("source"), None);
    // It can be changed by our version all the same, and be given a source once; what our version shows in the source stays.
    let kerberos = public.get(&m).await.body["properties"]["kerberos"].clone();
    assert_eq!(kerberos["principal"], "hdfs@REALM");
    let patched = ours.patch(&path, &json!({"properties": {"maxRunningMigrations": 2}})).await;
    Client::made(&ours.finish(&patched).await);
    assert_eq!(public.get(&m).await.body["properties"]["kerberos"], kerberos);
    let source = json!({"source": {"kind": "Hdfs", "uri": "hdfs://nn:8020"}});
    let patched = ours.patch(&path, &json!({ "properties": source })).await;
    Client::made(&ours.finish(&patched).await);
    let other = json!({"properties": {"source": {"uri": "hdfs://other:8020"}}});
    ours.patch(&path, &other).await.assert_error(400, "PropertyChangeNotAllowed");
    running.stop().await;
}
