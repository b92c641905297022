//! What the provider refuses is answered in ARM's error shape and changes nothing.

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Reply, World, account_id, migration_body, migrator, migrator_body, target_body};

#[tokio::test(flavor = "multi_thread")]
async fn api_version_missing_or_unknown() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let before = world.resources().await;
    let send = async |query: &str| {
        let address = format!("{}{}{query}", client.base, migrator("m"));
        Reply::of(client.http.put(address).json(&migrator_body()).send().await.unwrap()).await
    };
    for (query, code) in [
        ("", "MissingApiVersionParameter"),
        ("?api-version=", "MissingApiVersionParameter"),
        ("?api-version=2020-01-01", "InvalidApiVersionParameter"),
        ("?API-VERSION=latest", "InvalidApiVersionParameter"),
    ] {
        let refused = send(query).await;
        refused.assert_error(400, code);
        assert!(refused.body["error"]["message"].as_str().unwrap().contains(crate::world::VERSION));
    }
    assert_eq!(world.resources().await, before);
    assert_eq!(send("?Api-Version=2026-11-01-PREVIEW").await.status, 201);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_json_empty_body_wrong_type_too_large() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let path = migrator("m");
    for (body, content_type, status, code) in [
        ("{\"location\": ", "application/json", 400, "InvalidRequestContent"),
        ("[]", "application/json", 400, "InvalidRequestContent"),
        ("", "application/json", 400, "InvalidRequestContent"),
        ("{}", "text/plain", 415, "UnsupportedMediaType"),
    ] {
        let request = client.request(Method::PUT, &path).header("content-type", content_type).body(body);
        Reply::of(request.send().await.unwrap()).await.assert_error(status, code);
    }
    let huge = vec![b' '; 4 * 1024 * 1024 + 1];
    let request = client.request(Method::PUT, &path).header("content-type", "application/json").body(huge);
    Reply::of(request.send().await.unwrap()).await.assert_error(413, "RequestBodyTooLarge");
    assert!(world.resources().await.is_empty());
    running.stop().await;
}

/// Each case: the path in the body, what is put there (null removes), the code and its target.
async fn refused(
    world: &World,
    client: &crate::world::Client,
    path: &str,
    good: &Value,
    cases: &[(&str, Value, &str, &str)],
) {
    let before = world.resources().await;
    for (pointer, value, code, target) in cases {
        let mut body = good.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[name] = value.clone();
        let reply = client.put(path, &body).await;
        reply.assert_error(400, code);
        assert_eq!(reply.body["error"]["target"], *target, "{}", reply.body);
    }
    assert_eq!(world.resources().await, before, "a refused request changed something");
}

#[tokio::test(flavor = "multi_thread")]
async fn migrator_documents() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let null = Value::Null;
    let (missing, unknown, value) = ("MissingRequiredProperty", "UnknownProperty", "InvalidPropertyValue");
    refused(
        &world,
        &client,
        &migrator("m"),
        &migrator_body(),
        &[
            ("/location", null.clone(), missing, "location"),
            ("/properties", null.clone(), missing, "properties"),
            ("/properties", json!(1), value, "properties"),
            ("/properties/source", null.clone(), missing, "properties.source"),
            ("/properties/source/uri", null.clone(), missing, "properties.source.uri"),
            ("/properties/source/kind", null, missing, "properties.source.kind"),
            ("/properties/source/kind", json!("Ftp"), value, "properties.source.kind"),
            ("/properties/source/uri", json!("nn:8020"), value, "properties.source.uri"),
            ("/properties/source/port", json!(1), unknown, "properties.source.port"),
            ("/properties/colour", json!("red"), unknown, "properties.colour"),
            ("/sku", json!({"name": "x"}), unknown, "sku"),
            ("/properties/maxRunningMigrations", json!(0), value, "properties.maxRunningMigrations"),
            (
                "/properties/bandwidthPolicy",
                json!({"maxBytesPerSecond": -1}),
                value,
                "properties.bandwidthPolicy.maxBytesPerSecond",
            ),
            ("/tags/a<b", json!("c"), value, "tags.a<b"),
        ],
    )
    .await;
    // Several findings at once are all named (rule 93).
    let reply = client.put(&migrator("m"), &json!({"properties": {"source": {}, "x": 1}})).await;
    reply.assert_error(400, "MultipleErrorsOccurred");
    let targets: Vec<&str> = reply.body["error"]["details"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["target"].as_str().unwrap())
        .collect();
    assert_eq!(targets, ["location", "properties.source.kind", "properties.source.uri", "properties.x"]);
    client
        .put(&format!("{}%20x", migrator("m")), &migrator_body())
        .await
        .assert_error(400, "InvalidResourceName");
    assert!(world.resources().await.is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn target_documents_and_fixed_properties() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    let good = target_body("lake", "data");
    let value = "InvalidPropertyValue";
    let (id, container) = ("properties.storageAccountId", "properties.storageContainer");
    refused(
        &world,
        &client,
        &format!("{m}/targets/new"),
        &good,
        &[
            ("/properties/storageAccountId", Value::Null, "MissingRequiredProperty", id),
            ("/properties/storageAccountId", json!("lake"), value, id),
            ("/properties/storageAccountId", json!(m), value, id),
            ("/properties/storageContainer", json!("Data"), value, container),
            ("/properties/storageEndpoint", json!("lake.example"), value, "properties.storageEndpoint"),
            ("/properties/credential", Value::Null, "MissingRequiredProperty", "properties.credential"),
            ("/properties/credential/kind", json!("Password"), value, "properties.credential.kind"),
        ],
    )
    .await;
    let fixed = "PropertyChangeNotAllowed";
    refused(
        &world,
        &client,
        &target,
        &good,
        &[
            ("/properties/storageAccountId", json!(account_id("other")), fixed, id),
            ("/properties/storageContainer", json!("data2"), fixed, container),
            ("/properties/provisioningState", json!("Failed"), fixed, "properties.provisioningState"),
        ],
    )
    .await;
    let mut moved = migrator_body();
    moved["location"] = json!("eastus");
    client.put(&m, &moved).await.assert_error(400, fixed);
    moved = migrator_body();
    moved["location"] = json!("westus");
    moved["properties"]["source"]["uri"] = json!("hdfs://elsewhere:8020");
    client.put(&m, &moved).await.assert_error(400, fixed);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn migration_documents_path_not_absolute_target_of_another_migrator() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    let (_, foreign) = client.make_pair("n").await;
    let migration = format!("{m}/liveDataMigrations/x");
    let good = migration_body(&target, "/data");
    let (path, id) = ("properties.path", "properties.targetId");
    refused(
        &world,
        &client,
        &migration,
        &good,
        &[
            ("/properties/path", Value::Null, "MissingRequiredProperty", path),
            ("/properties/path", json!("data"), "PathNotAbsolute", path),
            ("/properties/path", json!("/a/../b"), "InvalidPath", path),
            ("/properties/targetPath", json!("/.livedata/x"), "InvalidPath", "properties.targetPath"),
            ("/properties/targetPath", json!("x"), "PathNotAbsolute", "properties.targetPath"),
            ("/properties/targetId", json!("t"), "InvalidPropertyValue", id),
            ("/properties/targetId", json!(m), "InvalidPropertyValue", id),
            ("/properties/targetId", json!(foreign), "TargetOfAnotherMigrator", id),
            ("/properties/targetId", json!(format!("{m}/targets/none")), "TargetNotFound", id),
            ("/properties/mode", json!("Sometimes"), "InvalidPropertyValue", "properties.mode"),
            (
                "/properties/recurrencePeriod",
                json!("PT1H"),
                "InvalidPropertyValue",
                "properties.recurrencePeriod",
            ),
            ("/properties/autoStart", json!("yes"), "InvalidPropertyValue", "properties.autoStart"),
        ],
    )
    .await;
    client.make(&migration, &good).await;
    let other_mode = json!("Live");
    let fixed = "PropertyChangeNotAllowed";
    refused(
        &world,
        &client,
        &migration,
        &good,
        &[
            ("/properties/path", json!("/elsewhere"), fixed, path),
            ("/properties/targetPath", json!("/elsewhere"), fixed, "properties.targetPath"),
            ("/properties/targetId", json!(foreign), fixed, id),
            ("/properties/mode", other_mode, fixed, "properties.mode"),
        ],
    )
    .await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_of_a_migration() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    let mut good = migration_body(&target, "/data");
    good["properties"]["massDeleteLimit"] = json!({});
    let (value, unknown) = ("InvalidPropertyValue", "UnknownProperty");
    let (limit, barriers, trash) =
        ("/properties/massDeleteLimit", "properties.barriers", "properties.trashRetention");
    let within = |name: &str| (format!("{limit}/{name}"), format!("properties.massDeleteLimit.{name}"));
    let [count, percent, window, days] = ["count", "percent", "window", "days"].map(within);
    let long: Vec<String> = (0..65).map(|n| format!("f{n}")).collect();
    let cases = [
        ("/properties/deletePolicy", json!("Ask"), value, "properties.deletePolicy"),
        ("/properties/deletePolicy", json!(1), value, "properties.deletePolicy"),
        ("/properties/driftPolicy", json!("Mirror"), value, "properties.driftPolicy"),
        (limit, json!(10), value, "properties.massDeleteLimit"),
        (&count.0, json!(-1), value, &count.1),
        (&count.0, json!(1.5), value, &count.1),
        (&count.0, json!(1_000_000_000_001_u64), value, &count.1),
        (&percent.0, json!(101), value, &percent.1),
        (&percent.0, json!("25"), value, &percent.1),
        (&window.0, json!("1h"), value, &window.1),
        (&window.0, json!("PT59S"), value, &window.1),
        (&window.0, json!("P31D"), value, &window.1),
        (&window.0, json!(3600), value, &window.1),
        (&days.0, json!(1), unknown, &days.1),
        ("/properties/trashRetention", json!("P1M"), value, trash),
        ("/properties/trashRetention", json!("P366D"), value, trash),
        ("/properties/barriers", json!("_SUCCESS"), value, barriers),
        ("/properties/barriers", json!([1]), value, barriers),
        ("/properties/barriers", json!(["x".repeat(257)]), value, barriers),
        ("/properties/barriers", json!(long), value, barriers),
        ("/properties/barriers", json!(["_SUCCESS", "/a"]), value, "properties.barriers[1]"),
        ("/properties/barriers", json!(["**"]), value, "properties.barriers[0]"),
        ("/properties/barriers", json!([""]), value, "properties.barriers[0]"),
        ("/properties/actionPolicy", json!("Ask"), value, "properties.actionPolicy"),
        ("/properties/priority", json!("Urgent"), value, "properties.priority"),
        ("/properties/compression", json!("None"), unknown, "properties.compression"),
    ];
    refused(&world, &client, &format!("{m}/liveDataMigrations/x"), &good, &cases).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn child_of_an_absent_migrator() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let target = format!("{}/targets/t", migrator("none"));
    client.put(&target, &target_body("lake", "data")).await.assert_error(404, "ParentResourceNotFound");
    assert!(world.resources().await.is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_account_absent_of_old_kind_or_without_hierarchical_namespace() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let m = client.make_migrator("m").await;
    for (account, code) in [
        ("absent", "StorageAccountNotFound"),
        ("oldkind", "StorageAccountKindNotSupported"),
        ("flat", "HierarchicalNamespaceRequired"),
    ] {
        let target = format!("{m}/targets/{account}");
        let accepted = client.put(&target, &target_body(account, "data")).await;
        assert_eq!(accepted.status, 201);
        let status = client.finish(&accepted).await;
        assert_eq!((&status["status"], &status["error"]["code"]), (&json!("Failed"), &json!(code)));
        assert_eq!(status["error"]["target"], "properties.storageAccountId");
        assert_eq!(client.get(&target).await.body["properties"]["provisioningState"], "Failed");
        // Nothing can be sent there.
        let migration = format!("{m}/liveDataMigrations/{account}");
        client.put(&migration, &migration_body(&target, "/x")).await.assert_error(409, "TargetNotReady");
    }
    // Made good, the same PUT goes through.
    world.accounts.behaviours.lock().unwrap().insert("flat".into(), crate::world::Behaviour::Good);
    client.make(&format!("{m}/targets/flat"), &target_body("flat", "data")).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn migration_into_an_area_already_written_by_another() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    let (n, same_container) = client.make_pair("n").await;
    let other_container = format!("{n}/targets/elsewhere");
    client.make(&other_container, &target_body("lake", "data2")).await;
    let first = format!("{m}/liveDataMigrations/first");
    client.make(&first, &migration_body(&target, "/data/in")).await;
    let before = world.resources().await;
    for (target_path, migrator, target) in [
        ("/data/in", &m, &target),
        ("/data", &n, &same_container),
        ("/", &n, &same_container),
        ("/data/in/deeper", &n, &same_container),
    ] {
        let mut body = migration_body(target, "/any");
        body["properties"]["targetPath"] = json!(target_path);
        let reply = client.put(&format!("{migrator}/liveDataMigrations/second"), &body).await;
        reply.assert_error(409, "TargetAreaInUse");
        assert!(reply.body["error"]["message"].as_str().unwrap().contains(&first), "{}", reply.body);
    }
    assert_eq!(world.resources().await, before);
    client
        .make(&format!("{n}/liveDataMigrations/near"), &migration_body(&same_container, "/data/inside"))
        .await;
    client.make(&format!("{n}/liveDataMigrations/away"), &migration_body(&other_container, "/data/in")).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_addresses_types_and_methods() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let m = client.make_migrator("m").await;
    client.get("/").await.assert_error(404, "RouteNotFound");
    client.get("/subscriptions/s1/resourceGroups/rg1").await.assert_error(404, "RouteNotFound");
    client.get(&m.replace("LiveData.Platform", "Other.Platform")).await.assert_error(404, "RouteNotFound");
    client.get(&m.replace("migrators", "widgets")).await.assert_error(404, "InvalidResourceType");
    client.post(&format!("{m}/explode")).await.assert_error(404, "InvalidResourceType");
    let wrong = client.post(&m).await;
    wrong.assert_error(405, "MethodNotAllowed");
    assert_eq!(wrong.header("allow"), "GET, HEAD, PUT, PATCH, DELETE");
    client.get(&format!("{m}/listInstallKey")).await.assert_error(405, "MethodNotAllowed");
    let options = client.send(Method::OPTIONS, &m, None).await;
    options.assert_error(405, "MethodNotAllowed");
    running.stop().await;
}

/// The handshake was long ago.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_does_not_outlive_its_certificate() {
    let world = World::new();
    let running = world.start().await;
    // Not certified for anything that the provider asks for: known by the list alone.
    let identity = world.web_authority.issue_client("arm", "urn:livedata:somebody").unwrap();
    let client = world.client_with(&identity, &running);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    world.published.replace(vec![identity.certificate().unwrap()], now);
    let path = migrator("m");
    client.get(&path).await.assert_error(404, "ResourceNotFound");
    let front_door = world.client(&running);
    front_door.get(&path).await.assert_error(404, "ResourceNotFound");
    world.published.replace(Vec::new(), now);
    client.put(&path, &migrator_body()).await.assert_error(401, "ClientCertificateRefused");
    let closed = client.request(reqwest::Method::GET, &path).send().await;
    assert!(closed.is_err(), "the handshake refuses it as well: {closed:?}");
    // Nothing was done, and others go on.
    front_door.get(&path).await.assert_error(404, "ResourceNotFound");
    running.stop().await;
}
