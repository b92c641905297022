//! The custom-provider dialect: as `Microsoft.CustomProviders` calls an endpoint.

use livedata_provider::Running;
use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::world::{ACCOUNT_KEY, GROUP, PATH_SECRET, Reply, World, account_id, migrator, migrator_body};

const HEADER: &str = "X-MS-CustomProviders-RequestPath";
const API_VERSION: &str = "2018-09-01-preview";

async fn world() -> (World, Running) {
    let world = World { custom_provider: true, ..World::new() };
    let running = world.start().await;
    (world, running)
}

/// One custom provider, whose owner gave it our endpoint.
#[derive(Clone)]
struct Custom {
    http: reqwest::Client,
    host: String,
    id: String,
}

impl Custom {
    fn new(world: &World, running: &Running, name: &str) -> Self {
        Self {
            http: world.client_without_certificate(),
            host: format!("https://localhost:{}", running.custom_provider_address.unwrap().port()),
            id: format!("{GROUP}/providers/Microsoft.CustomProviders/resourceProviders/{name}"),
        }
    }

    /// As the service sends it; `path` follows the custom provider's id.
    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Reply {
        self.about(method, &format!("{}/{path}", self.id), body).await
    }

    async fn about(&self, method: Method, request_path: &str, body: Option<&Value>) -> Reply {
        let url = format!("{}/{PATH_SECRET}?api-version={API_VERSION}", self.host);
        let mut request = self.http.request(method, url).header(HEADER, request_path);
        if let Some(body) = body {
            request = request.json(body);
        }
        let reply = Reply::of(request.send().await.unwrap()).await;
        assert!(reply.body.is_null() || reply.body.is_object(), "{}", reply.body);
        if !reply.body.is_null() {
            assert_eq!(reply.header("content-type"), "application/json; charset=utf-8");
        }
        for leads_elsewhere in ["location", "azure-asyncoperation"] {
            assert_eq!(reply.header(leads_elsewhere), "");
        }
        reply
    }

    async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, None).await
    }

    async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::PUT, path, Some(body)).await
    }

    async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, None).await
    }

    async fn post(&self, path: &str) -> Reply {
        self.send(Method::POST, path, None).await
    }

    /// Puts, and looks again until nothing is under way, as clients do that find no address to follow.
    async fn make(&self, path: &str, body: &Value) -> Value {
        let put = self.put(path, body).await;
        assert_eq!((put.status, put.header("retry-after")), (201, "1"), "{}", put.body);
        assert_eq!(put.body["properties"]["provisioningState"], "Accepted");
        loop {
            let shown = self.get(path).await;
            assert_eq!(shown.status, 200, "{}", shown.body);
            let state = &shown.body["properties"]["provisioningState"];
            if state == "Succeeded" {
                assert_eq!(shown.header("retry-after"), "");
                return shown.body;
            }
            assert_eq!((state.as_str(), shown.header("retry-after")), (Some("Accepted"), "1"));
            tokio::task::yield_now().await;
        }
    }

    async fn make_migrator(&self, name: &str) {
        self.make(&format!("migrators/{name}"), &migrator_body()).await;
    }

    async fn names(&self, kind: &str) -> Vec<String> {
        let list = self.get(kind).await;
        assert_eq!(list.status, 200, "{}", list.body);
        let value = list.body["value"].as_array().unwrap();
        value.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    }
}

fn target(migrator: &str) -> Value {
    json!({"properties": {
        "migratorName": migrator,
        "storageAccountId": account_id("lake"),
        "storageContainer": "data",
        "credential": {"kind": "AccountKey", "accountKey": ACCOUNT_KEY},
    }})
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_off_unless_it_is_asked_for() {
    let world = World::new();
    let running = world.start().await;
    assert_eq!(running.custom_provider_address, None);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_know_the_path_hears_nothing() {
    let (world, running) = world().await;
    let lake = Custom::new(&world, &running, "lake");
    let said = async |response: Response| {
        let mut headers: Vec<String> = response.headers().keys().map(ToString::to_string).collect();
        headers.sort();
        (response.status().as_u16(), headers, response.bytes().await.unwrap())
    };
    for path in [
        String::new(),
        "wrong".to_owned(),
        PATH_SECRET.to_uppercase(),
        format!("{PATH_SECRET}0"),
        format!("{PATH_SECRET}/migrators"),
        PATH_SECRET[1..].to_owned(),
        "subscriptions/s1/resourceGroups/rg1/providers/LiveData.Platform/migrators".to_owned(),
    ] {
        for method in [Method::GET, Method::PUT, Method::POST] {
            let url = format!("{}/{path}?api-version={API_VERSION}", lake.host);
            let request = lake.http.request(method, url).header(HEADER, format!("{}/migrators", lake.id));
            let (status, headers, body) = said(request.send().await.unwrap()).await;
            assert_eq!((status, body.len()), (404, 0), "/{path}");
            assert_eq!(headers, ["content-length", "date"]);
        }
    }
    assert_eq!(lake.names("migrators").await, [""; 0]);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn migrators_targets_and_migrations_are_flat_types() {
    let (world, running) = world().await;
    let lake = Custom::new(&world, &running, "Lake");
    let arm = world.client(&running);

    let made = lake.make("migrators/M", &migrator_body()).await;
    assert_eq!(made["id"], format!("{}/migrators/M", lake.id));
    assert_eq!(made["name"], "M");
    assert_eq!(made["type"], "Microsoft.CustomProviders/resourceProviders/migrators");
    assert!(made["properties"].get("migratorName").is_none());
    let made = lake.make("targets/t", &target("m")).await;
    assert_eq!(made["id"], format!("{}/targets/t", lake.id));
    assert_eq!(made["type"], "Microsoft.CustomProviders/resourceProviders/targets");
    assert_eq!(made["properties"]["migratorName"], "M");
    assert!(!made.to_string().contains(ACCOUNT_KEY));
    assert_eq!(arm.get(&format!("{}/targets/t", migrator("m"))).await.status, 200, "it is an ordinary one");

    // The target may be named by its custom id, in any casing, or by the one that ARM has.
    let target_id = format!("{}/targets/t", lake.id);
    for (name, target_id) in [("x", target_id.to_uppercase()), ("y", format!("{}/targets/t", migrator("M")))]
    {
        let body =
            json!({"properties": {"migratorName": "m", "path": format!("/{name}"), "targetId": target_id}});
        let made = lake.make(&format!("liveDataMigrations/{name}"), &body).await;
        assert_eq!(made["properties"]["targetId"], format!("{}/targets/t", lake.id));
        let again = lake.put(&format!("liveDataMigrations/{name}"), &made).await;
        assert_eq!(
            (again.status, &again.body["properties"]),
            (200, &made["properties"]),
            "what GET shows may be sent"
        );
    }
    assert_eq!(lake.names("LIVEDATAMIGRATIONS").await, ["x", "y"]);
    assert_eq!(
        (lake.names("targets").await, lake.names("migrators").await),
        (vec!["t".into()], vec!["M".into()])
    );

    let minted = lake.post("migrators/m/listInstallKey").await;
    assert!(minted.status == 200 && minted.body["installKey"].is_string(), "{}", minted.body);
    let started = lake.post("liveDataMigrations/x/start").await;
    assert_eq!((started.status, started.body), (200, json!({})));
    let failed = lake.post("liveDataMigrations/x/listFailedPaths").await;
    assert_eq!((failed.status, &failed.body["value"]), (200, &json!([])), "{}", failed.body);
    lake.post("liveDataMigrations/x/approveDeletes").await.assert_error(409, "NoDeletesHeld");

    let refused = lake.delete("targets/t").await;
    refused.assert_error(409, "TargetInUse");
    for name in ["x", "y"] {
        let path = format!("liveDataMigrations/{name}");
        let gone = lake.delete(&path).await;
        assert_eq!((gone.status, gone.body), (200, json!({})));
        assert_eq!(lake.delete(&path).await.status, 204);
        let missing = lake.get(&path).await;
        missing.assert_error(404, "ResourceNotFound");
        assert!(missing.body["error"]["message"].as_str().unwrap().contains(&format!("{}/{path}", lake.id)));
        lake.post(&format!("{path}/start")).await.assert_error(404, "ResourceNotFound");
    }
    // With its migrator goes a child, and its name: it may then be another's.
    assert_eq!(lake.delete("migrators/m").await.status, 200);
    lake.get("targets/t").await.assert_error(404, "ResourceNotFound");
    lake.make_migrator("m2").await;
    lake.make("targets/t", &target("m2")).await;
    // Who deletes it by ARM frees its name, too.
    let deleted = arm.delete(&migrator("m2")).await;
    arm.finish(&deleted).await;
    assert_eq!(lake.names("targets").await, [""; 0]);
    assert!(world.store.list("custom_provider_names", "", None, 10).await.unwrap().is_empty());
    assert!(world.store.list("custom_provider_named", "", None, 10).await.unwrap().is_empty());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_one_resource_of_a_custom_provider_and_no_concern_of_others() {
    let (world, running) = world().await;
    let (lake, other) = (Custom::new(&world, &running, "lake"), Custom::new(&world, &running, "other"));
    lake.make_migrator("m1").await;
    lake.make_migrator("m2").await;
    lake.make("targets/t", &target("m1")).await;
    let taken = lake.put("targets/T", &target("m2")).await;
    taken.assert_error(409, "CustomResourceNameInUse");
    assert!(taken.body["error"]["message"].as_str().unwrap().contains("'m1'"), "{}", taken.body);
    let template = json!({"properties": {"migratorName": "m2", "exclusionKind": "PatternExclusion", "pattern": "*.tmp"}});
    lake.make("exclusionTemplates/t", &template).await;

    // Another custom provider in the same group sees nothing of it, and takes nothing over.
    assert_eq!(other.names("targets").await, [""; 0]);
    other.get("targets/t").await.assert_error(404, "ResourceNotFound");
    other.post("migrators/m1/listInstallKey").await.assert_error(404, "ResourceNotFound");
    assert_eq!(other.delete("migrators/m1").await.status, 204);
    other.put("migrators/m1", &migrator_body()).await.assert_error(409, "CustomResourceNameInUse");
    other.put("targets/u", &target("m1")).await.assert_error(404, "ParentResourceNotFound");
    other.make_migrator("m3").await;
    other.make("targets/t", &target("m3")).await;
    // What ARM made is not this custom provider's.
    world.client(&running).make_migrator("arm").await;
    lake.put("migrators/arm", &migrator_body()).await.assert_error(409, "CustomResourceNameInUse");
    assert_eq!(lake.names("migrators").await, ["m1", "m2"]);

    // Whoever of many is first has the name, and nobody else has half of a resource.
    let many: Vec<_> = (0..8)
        .map(|at| {
            let (lake, body) = (lake.clone(), target(if at % 2 == 0 { "m1" } else { "m2" }));
            tokio::spawn(async move { lake.put("targets/raced", &body).await.status })
        })
        .collect();
    let mut created = 0;
    for one in many {
        let status = one.await.unwrap();
        assert!(matches!(status, 200 | 201 | 409), "{status}");
        created += usize::from(status == 201);
    }
    assert_eq!(created, 1);
    let arm = world.client(&running);
    let both = [migrator("m1"), migrator("m2")];
    let mut there = 0;
    for migrator in both {
        there += usize::from(arm.get(&format!("{migrator}/targets/raced")).await.status == 200);
    }
    assert_eq!(there, 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused() {
    let (world, running) = world().await;
    let lake = Custom::new(&world, &running, "lake");
    let url = |query: &str| format!("{}/{PATH_SECRET}{query}", lake.host);
    let without = lake.http.get(url("?api-version=2018-09-01-preview")).send().await.unwrap();
    Reply::of(without).await.assert_error(400, "InvalidRequestPath");
    for (query, code) in [
        ("", "MissingApiVersionParameter"),
        ("?api-version=2026-11-01-preview", "InvalidApiVersionParameter"),
    ] {
        let request = lake.http.get(url(query)).header(HEADER, format!("{}/migrators", lake.id));
        Reply::of(request.send().await.unwrap()).await.assert_error(400, code);
    }
    for path in [
        "",
        "/",
        "migrators",
        GROUP,
        "/subscriptions/s1/resourceGroups/rg1/providers/Microsoft.Compute/resourceProviders/lake/migrators",
        "/subscriptions/s1/resourceGroups/rg1/providers/LiveData.Platform/migrators/m",
        "/subscriptions/s1/providers/Microsoft.CustomProviders/resourceProviders/lake/migrators/m",
        "/subscriptions/s1/resourceGroups/rg1/providers/Microsoft.CustomProviders/resourceProviders/lake",
        "/subscriptions/s1/resourceGroups/rg1/providers/Microsoft.CustomProviders/resourceProviders/a%2Fb/migrators",
        "/subscriptions/s1/resourceGroups/rg1/providers/Microsoft.CustomProviders/resourceProviders/l/migrators/m/targets/t",
    ] {
        lake.about(Method::GET, path, None).await.assert_error(400, "InvalidRequestPath");
    }
    for (method, path) in [(Method::GET, "lakes"), (Method::GET, "lakes/l"), (Method::POST, "start")] {
        lake.send(method, path, None).await.assert_error(404, "InvalidResourceType");
    }
    for (method, path, allowed) in [
        (Method::PATCH, "migrators/m", "GET, PUT, DELETE"),
        (Method::PUT, "migrators", "GET"),
        (Method::GET, "migrators/m/listInstallKey", "POST"),
    ] {
        let refused = lake.send(method, path, Some(&json!({}))).await;
        refused.assert_error(405, "MethodNotAllowed");
        assert_eq!(refused.header("allow"), allowed);
    }
    lake.put("migrators/m", &json!([])).await.assert_error(400, "InvalidRequestContent");
    lake.put("migrators/-m", &migrator_body()).await.assert_error(400, "InvalidResourceName");
    let mut with_parent = migrator_body();
    with_parent["properties"]["migratorName"] = "m".into();
    lake.put("migrators/m", &with_parent).await.assert_error(400, "UnknownProperty");
    lake.make_migrator("m").await;
    lake.post("migrators/m/nosuchaction").await.assert_error(404, "InvalidResourceType");
    for (migrator, status, code) in [
        (Value::Null, 400, "MissingRequiredProperty"),
        (json!(7), 400, "InvalidPropertyValue"),
        (json!("absent"), 404, "ParentResourceNotFound"),
    ] {
        let mut body = target("m");
        body["properties"]["migratorName"] = migrator;
        let refused = lake.put("targets/t", &body).await;
        refused.assert_error(status, code);
        assert_eq!(refused.body["error"]["target"], "properties.migratorName");
    }
    let body = json!({"properties": {"migratorName": "m", "path": "/a", "targetId": format!("{}/targets/absent", lake.id)}});
    assert_eq!(lake.put("liveDataMigrations/x", &body).await.status, 400);
    // Nothing of what was refused has a name now.
    assert_eq!(world.store.list("custom_provider_names", "", None, 10).await.unwrap().len(), 1);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_that_nobody_registered_are_served_and_suspended_ones_can_be_emptied_only() {
    let (world, running) = world().await;
    let mut lake = Custom::new(&world, &running, "lake");
    lake.id = lake.id.replace("/s1/", "/s77/");
    lake.make_migrator("m").await;
    let arm = world.client(&running);
    let path = migrator("m").replace("/s1/", "/s77/");
    arm.put(&path, &migrator_body()).await.assert_error(400, "InvalidSubscriptionState");
    for (state, status) in [("Unregistered", 200), ("Suspended", 409), ("Warned", 409), ("Registered", 200)] {
        let told = format!("{}/subscriptions/s77?api-version=2.0", arm.base);
        let told = arm.http.put(told).json(&json!({"state": state})).send().await.unwrap();
        assert_eq!(told.status(), 200);
        assert_eq!(lake.put("migrators/m", &migrator_body()).await.status, status, "{state}");
        assert_eq!(lake.get("migrators/m").await.status, 200, "{state}");
    }
    arm.http
        .put(format!("{}/subscriptions/s77?api-version=2.0", arm.base))
        .json(&json!({"state": "Suspended"}))
        .send()
        .await
        .unwrap();
    assert_eq!(lake.delete("migrators/m").await.status, 200);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lists_go_on_at_the_address_that_the_client_used() {
    let (world, running) = world().await;
    let lake = Custom::new(&world, &running, "lake");
    for name in ["a", "b", "c"] {
        lake.make_migrator(name).await;
    }
    let mut query = format!("api-version={API_VERSION}&$top=2");
    let mut seen = Vec::new();
    for _ in 0..2 {
        let request = lake
            .http
            .get(format!("{}/{PATH_SECRET}?{query}", lake.host))
            .header(HEADER, format!("{}/migrators", lake.id))
            .header("referer", format!("https://arm.example:8443{}/migrators?{query}", lake.id));
        let page = Reply::of(request.send().await.unwrap()).await;
        let names = page.body["value"].as_array().unwrap().iter().map(|one| one["name"].clone());
        seen.push(names.collect::<Vec<_>>());
        let Some(next) = page.body["nextLink"].as_str() else { break };
        let next: url::Url = next.parse().unwrap();
        assert_eq!((next.host_str(), next.path()), (Some("arm.example"), &*format!("{}/migrators", lake.id)));
        query = next.query().unwrap().to_owned();
    }
    assert_eq!(seen, [vec![json!("a"), json!("b")], vec![json!("c")]]);
    running.stop().await;
}
