//! Headers, operations and conditional requests.

use std::io::Read;
use std::sync::Arc;

use reqwest::Method;
use serde_json::{Value, json};

use crate::world::{Client, Reply, World, migrator, migrator_body};

#[tokio::test(flavor = "multi_thread")]
async fn without_client_certificate_the_tls_handshake_is_refused() {
    let world = World::new();
    let running = world.start().await;
    let tls = livedata_pki::trust::only(world.web_authority.certificate_pem()).unwrap();
    let address = running.arm_address;
    let refused = tokio::task::spawn_blocking(move || {
        let mut tls = rustls::ClientConnection::new(Arc::new(tls), "localhost".try_into().unwrap()).unwrap();
        let mut socket = std::net::TcpStream::connect(address).unwrap();
        rustls::Stream::new(&mut tls, &mut socket).read(&mut [0]).unwrap_err()
    });
    let refused = refused.await.unwrap();
    let alert = refused.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let wanted = rustls::Error::AlertReceived(rustls::AlertDescription::CertificateRequired);
    assert_eq!(alert, Some(&wanted), "{refused:?}");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reply_has_a_request_id_and_echoes_the_clients_on_demand() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let path = migrator("none");
    let plain = Reply::of(
        client.request(Method::GET, &path).header("x-ms-client-request-id", "c1").send().await.unwrap(),
    )
    .await;
    assert!(uuid(plain.header("x-ms-request-id")) && plain.header("x-ms-client-request-id").is_empty());
    assert!(!plain.header("date").is_empty());
    assert!(plain.header("content-type").starts_with("application/json"));
    let request = client.request(Method::GET, &path).header("x-ms-client-request-id", "c1");
    let echoed =
        Reply::of(request.header("x-ms-return-client-request-id", "true").send().await.unwrap()).await;
    assert_eq!(echoed.header("x-ms-client-request-id"), "c1");
    assert_ne!(echoed.header("x-ms-request-id"), plain.header("x-ms-request-id"));
    running.stop().await;
}

fn uuid(text: &str) -> bool {
    text.len() == 36 && text.matches('-').count() == 4
}

#[tokio::test(flavor = "multi_thread")]
async fn doubled_slashes_trailing_slashes_and_case_do_not_matter_and_casing_is_kept() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let sloppy = "/SUBSCRIPTIONS/s1/resourcegroups/RG1/Providers/livedata.platform//MIGRATORS/MyName/";
    let created = client.put(sloppy, &migrator_body()).await;
    assert_eq!(created.status, 201, "{}", created.body);
    assert_eq!(
        created.body["id"],
        "/subscriptions/s1/resourceGroups/RG1/providers/LiveData.Platform/migrators/MyName"
    );
    Client::made(&client.finish(&created).await);
    assert_eq!(client.get(&migrator("myname")).await.status, 200);
    let head = client.send(Method::HEAD, &migrator("myname"), None).await;
    assert_eq!((head.status, head.body), (200, Value::Null));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_are_random_scoped_to_their_subscription_and_kept_seven_days() {
    let world = World::new();
    let running = world.start_with(10).await;
    let client = world.client(&running);
    let created = client.put(&migrator("m"), &migrator_body()).await;
    assert_eq!(created.header("retry-after"), "10");
    let status = client.finish(&created).await;
    assert!(uuid(status["name"].as_str().unwrap()));
    assert!(status["id"].as_str().unwrap().contains("/locations/westus/operationStatuses/"), "{status}");
    assert!(status["startTime"].is_string() && status["endTime"].is_string());
    let path = status["id"].as_str().unwrap();
    let result = client.get(&path.replace("operationStatuses", "operationResults")).await;
    assert_eq!((result.status, &result.body["name"]), (200, &json!("m")));
    client.get(&path.replace("/s1/", "/s2/")).await.assert_error(404, "OperationNotFound");
    client.get(&path.replace("westus", "eastus")).await.assert_error(404, "OperationNotFound");

    // It outlives its resource.
    let deleted = client.delete(&migrator("m")).await;
    let ended = client.finish(&deleted).await;
    let results = ended["id"].as_str().unwrap().replace("operationStatuses", "operationResults");
    assert_eq!(client.get(&results).await.status, 204);
    assert_eq!(client.get(path).await.status, 200);
    world.ahead.store(8 * 24 * 3600, std::sync::atomic::Ordering::SeqCst);
    client.get(path).await.assert_error(404, "OperationNotFound");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conditional_requests() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let path = migrator("m");
    let put = async |header: &'static str, value: String, tags: Value| {
        let mut body = migrator_body();
        body["tags"] = tags;
        Reply::of(client.request(Method::PUT, &path).header(header, value).json(&body).send().await.unwrap())
            .await
    };
    put("if-match", "*".into(), json!({})).await.assert_error(412, "PreconditionFailed");
    put("if-match", "\"x\"".into(), json!({})).await.assert_error(412, "PreconditionFailed");
    let created = put("if-none-match", "*".into(), json!({})).await;
    assert_eq!(created.status, 201);
    Client::made(&client.finish(&created).await);
    let etag = client.get(&path).await.header("etag").to_owned();
    assert_eq!(etag, created.header("etag"));
    put("if-none-match", "*".into(), json!({})).await.assert_error(412, "PreconditionFailed");
    put("if-match", "\"other\"".into(), json!({"a": "b"})).await.assert_error(412, "PreconditionFailed");
    let replaced = put("if-match", etag.clone(), json!({"a": "b"})).await;
    assert_eq!(replaced.status, 200);
    Client::made(&client.finish(&replaced).await);
    let delete = async |value: &str| {
        Reply::of(client.request(Method::DELETE, &path).header("if-match", value).send().await.unwrap()).await
    };
    delete(&etag).await.assert_error(412, "PreconditionFailed");
    let deleted = delete("*").await;
    assert_eq!(deleted.status, 202);
    Client::made(&client.finish(&deleted).await);
    assert_eq!(delete("*").await.status, 204);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn system_data_comes_from_arm_and_creation_stays() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let path = migrator("m");
    let put = async |who: &str, tags: Value| {
        let data = json!({"createdBy": who, "createdByType": "Robot", "lastModifiedBy": who});
        let mut body = migrator_body();
        body["tags"] = tags;
        let request =
            client.request(Method::PUT, &path).header("x-ms-arm-resource-system-data", data.to_string());
        let reply = Reply::of(request.json(&body).send().await.unwrap()).await;
        Client::made(&client.finish(&reply).await);
    };
    put("ann", json!({})).await;
    put("bob", json!({"a": "b"})).await;
    let data = &client.get(&path).await.body["systemData"];
    assert_eq!((&data["createdBy"], &data["createdByType"]), (&json!("ann"), &json!("Robot")));
    assert_eq!(data["lastModifiedBy"], "bob");
    // Malformed: the request still succeeds (rule 35).
    let request = client.request(Method::PUT, &migrator("n")).header("x-ms-arm-resource-system-data", "{");
    assert_eq!(request.json(&migrator_body()).send().await.unwrap().status(), 201);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_operations_has_every_route() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let reply = client.get("/providers/LiveData.Platform/operations").await;
    let names: Vec<&str> =
        reply.body["value"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    for name in [
        "LiveData.Platform/register/action",
        "LiveData.Platform/migrators/read",
        "LiveData.Platform/migrators/listInstallKey/action",
        "LiveData.Platform/migrators/targets/write",
        "LiveData.Platform/migrators/liveDataMigrations/delete",
        "LiveData.Platform/migrators/liveDataMigrations/start/action",
    ] {
        assert!(names.contains(&name), "{name} is missing in {names:?}");
    }
    running.stop().await;
}

#[test]
fn the_document_of_errors_has_the_table_of_errors() {
    let text = include_str!("../../../../docs/errors.md");
    let table = livedata_provider::errors::table();
    assert!(text.contains(&table), "docs/errors.md must contain this:\n{table}");
    let mut names: Vec<&str> = livedata_provider::errors::ALL.iter().map(|code| code.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), livedata_provider::errors::ALL.len(), "a code stands twice");
}
