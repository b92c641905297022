//! What can be read afterwards: the request log and the traffic; and the clock.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::client::{ACCOUNT, ADMIN_TOKEN, Fixture, Reply};
use crate::durability::Process;

async fn read(fixture: &Fixture, path: &str) -> serde_json::Value {
    fixture.client.admin(Method::GET, path, ADMIN_TOKEN, "").await.expect(200).json()
}

#[tokio::test]
async fn the_log_tells_what_was_asked_and_how_it_went() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    let log = read(&fixture, "/requests").await;
    let last = log["requests"].as_array().unwrap().last().unwrap()["sequence"].as_u64().unwrap();
    let id = [("x-ms-client-request-id", "mine")];
    client.put("lake/dir/a%20b?resource=file", &id).await.expect(201);
    let target = "lake/dir/a%20b?action=append&position=0&flush=true";
    let appended = client.patch(target, &[("x-http-method-override", "PATCH")], b"content").await.expect(202);
    client.get("lake/dir/a%20b", &[]).await.expect(200);
    client.head("lake/none", &[]).await.expect(404);
    client.get("nobody", &[("x-ms-version", "2018-01-01")]).await.expect(400);

    let entries = read(&fixture, &format!("/requests?after={last}")).await["requests"].clone();
    let entries = entries.as_array().unwrap();
    assert_eq!(entries.len(), 5);
    let told = |at: usize, names: &[&str]| -> Vec<serde_json::Value> {
        names.iter().map(|name| entries[at][name].clone()).collect()
    };
    let created = told(0, &["account", "operation", "method", "path", "status", "clientRequestId"]);
    let path = format!("/{ACCOUNT}/lake/dir/a%20b");
    assert_eq!(json!(created), json!([ACCOUNT, "PathCreate", "PUT", path, 201, "mine"]));
    let append = told(1, &["operation", "requestBytes", "responseBytes", "status", "requestId"]);
    let request_id = appended.header("x-ms-request-id");
    assert_eq!(json!(append), json!(["PathAppend", 7, 0, 202, request_id]));
    assert_eq!(json!(told(2, &["operation", "responseBytes", "code"])), json!(["PathRead", 7, null]));
    assert_eq!(json!(told(3, &["operation", "status", "code"])), json!(["PathStatus", 404, "PathNotFound"]));
    assert_eq!(json!(told(4, &["operation", "code"])), json!([null, "UnsupportedRestVersion"]));

    let some =
        read(&fixture, &format!("/requests?after={last}&operation=PathAppend&status=202&limit=1")).await;
    assert_eq!(some["requests"], json!([entries[1]]));
    client.admin(Method::GET, "/requests?since=1", ADMIN_TOKEN, "").await.expect(400);
    client.admin(Method::DELETE, "/requests", ADMIN_TOKEN, "").await.expect(204);
    let empty = read(&fixture, "/requests").await;
    assert_eq!(empty, json!({ "requests": [], "forgotten": last + 5 }));
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn traffic_is_told_by_the_second_with_the_most_of_any_second() {
    let fixture = Fixture::in_memory().await;
    fixture.client.write("lake/file", &[7; 100_000]).await;
    fixture.client.get("lake/file", &[("range", "bytes=0-9999")]).await.expect(206);
    let path = format!("/accounts/{ACCOUNT}/traffic");
    let traffic = read(&fixture, &path).await;
    let sum = |name: &str| -> u64 {
        traffic["seconds"].as_array().unwrap().iter().map(|second| second[name].as_u64().unwrap()).sum()
    };
    assert_eq!((sum("ingressBytes"), sum("egressBytes")), (100_000, 10_000));
    // A body that takes longer than a second to arrive would have less.
    let peak = traffic["peakIngressBytesPerSecond"].as_u64().unwrap();
    assert!(peak > 0 && peak <= 100_000, "{peak}");
    fixture.client.admin(Method::DELETE, &path, ADMIN_TOKEN, "").await.expect(204);
    let none = json!({ "peakIngressBytesPerSecond": 0, "peakEgressBytesPerSecond": 0, "seconds": [] });
    assert_eq!(read(&fixture, &path).await, none);
    fixture.client.admin(Method::GET, "/accounts/nobody/traffic", ADMIN_TOKEN, "").await.expect(404);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn the_clock_is_moved_for_what_is_stored_and_not_for_signatures() {
    let folder = tempfile::tempdir().unwrap();
    // In a process of its own, whose clock nobody else goes by.
    let process = Process::start(folder.path());
    let client = &process.client;
    client.put("lake?resource=filesystem", &[]).await.expect(201);
    let modified = |reply: Reply| httpdate::parse_http_date(reply.header("last-modified")).unwrap();
    let before = modified(client.write("lake/before", b"x").await);
    let clock = client.admin(Method::GET, "/clock", ADMIN_TOKEN, "").await.expect(200).json();
    assert_eq!(clock, json!({ "offsetMs": 0 }));
    let put = |body| client.admin(Method::PUT, "/clock", ADMIN_TOKEN, body);
    put(r#"{"offsetMs":7200000}"#).await.expect(200);
    let after = modified(client.write("lake/after", b"x").await);
    assert!(after.duration_since(before).unwrap() >= Duration::from_secs(7200));
    put(r#"{"offsetMs":-7200000}"#).await.expect(200);
    assert!(modified(client.write("lake/back", b"x").await) < before);
    put(r#"{"offset":1}"#).await.expect(400);
    process.kill();
}
