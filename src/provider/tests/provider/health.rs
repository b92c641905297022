//! What operators are told: whether the provider lives and serves, and in numbers what it does.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use livedata_model::report::{Lag, MigrationReport, Progress};
use livedata_model::state::MigrationState;
use livedata_provider::Running;
use livedata_store::Store;
use livedata_store::memory::MemoryStore;
use reqwest::Method;
use serde_json::{Value, json};

use crate::outage::{GONE, UP, Wire};
use crate::session::{enrol, install, relay};
use crate::world::{Client, World, migration_body, migrator, migrator_body};

async fn ask(running: &Running, method: Method, path: &str) -> (u16, String) {
    let url = format!("http://{}{path}", running.health_address.unwrap());
    let reply = reqwest::Client::new().request(method, url).send().await.unwrap();
    (reply.status().as_u16(), reply.text().await.unwrap())
}

async fn checks(running: &Running) -> (u16, Value) {
    let (status, text) = ask(running, Method::GET, "/readyz").await;
    (status, serde_json::from_str(&text).unwrap())
}

/// The value of the series of this name that has all these labels; an error if there are several.
fn sample(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let mut found = text.lines().filter(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|(label, value)| line.contains(&format!("{label}=\"{value}\"")))
    });
    let line = found.next()?;
    assert_eq!(found.next(), None, "{line}");
    Some(line.rsplit(' ').next().unwrap().parse().unwrap())
}

async fn wait_for(running: &Running, name: &str, labels: &[(&str, &str)], expected: Option<f64>) {
    let waiting = async {
        while sample(&ask(running, Method::GET, "/metrics").await.1, name, labels) != expected {
            tokio::task::yield_now().await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(60), waiting).await.is_err() {
        panic!("{name} {labels:?} never was {expected:?}: {}", ask(running, Method::GET, "/metrics").await.1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn alive_whatever_happens_and_ready_only_with_a_store_and_valid_certificates() {
    let wire = Arc::new(Wire { store: MemoryStore::new(), state: AtomicU8::new(UP) });
    let end = time::OffsetDateTime::now_utc().unix_timestamp() + 1000;
    let world = World {
        certificates: vec![("servers".into(), end)],
        ..World::on(Arc::clone(&wire) as Arc<dyn Store>)
    };
    let running = world.start().await;
    assert_eq!(ask(&running, Method::GET, "/healthz").await, (200, "alive\n".into()));
    let (status, said) = checks(&running).await;
    assert_eq!((status, &said["ready"]), (200, &Value::Bool(true)), "{said}");
    wire.state.store(GONE, Ordering::SeqCst);
    let (status, said) = checks(&running).await;
    assert_eq!((status, &said["checks"][0]["ok"]), (503, &Value::Bool(false)), "{said}");
    assert!(said["checks"][0]["message"].as_str().unwrap().contains("the connection was refused"), "{said}");
    assert_eq!(said["checks"][1]["ok"], true, "{said}");
    assert_eq!(ask(&running, Method::GET, "/healthz").await.0, 200);
    let (status, text) = ask(&running, Method::GET, "/metrics").await;
    assert_eq!(status, 200);
    let unavailable = [("call", "get"), ("outcome", "unavailable")];
    let failed = sample(&text, "livedata_store_call_duration_seconds_count", &unavailable);
    assert!(failed.unwrap() >= 1.0, "{text}");
    wire.state.store(UP, Ordering::SeqCst);
    world.ahead.store(2000, Ordering::SeqCst);
    let (status, said) = checks(&running).await;
    assert_eq!(
        (status, &said["checks"][0]["ok"], &said["checks"][1]["ok"]),
        (503, &json!(true), &json!(false))
    );
    assert_eq!(said["checks"][1]["name"], "certificate servers", "{said}");
    assert_eq!(ask(&running, Method::POST, "/healthz").await.0, 405);
    assert_eq!(ask(&running, Method::GET, "/").await.0, 404);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_requests_store_calls_operations_sessions_and_what_migrations_report() {
    let mut world = World::new();
    let relay = relay(&mut world).await;
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    let migration = format!("{m}/liveDataMigrations/x");
    client.make(&migration, &migration_body(&target, "/data")).await;
    client.get(&migrator("none")).await.assert_error(404, "ResourceNotFound");
    client.put(&format!("{m}/nothings/x"), &migrator_body()).await.assert_error(404, "InvalidResourceType");
    let text = ask(&running, Method::GET, "/metrics").await.1;
    let request = |method, status, kind: &str| {
        let route = format!(
            "/subscriptions/{{subscription}}/resourceGroups/{{group}}/providers/{{namespace}}/{kind}"
        );
        let labels = [
            ("http_request_method", method),
            ("http_response_status_code", status),
            ("http_route", route.as_str()),
            ("livedata_listener", "provider-arm"),
        ];
        sample(&text, "http_server_request_duration_seconds_count", &labels)
    };
    assert_eq!(request("PUT", "201", "migrators/{name}"), Some(1.0), "{text}");
    assert_eq!(request("PUT", "201", "migrators/{name}/targets/{name}"), Some(1.0));
    assert_eq!(request("GET", "404", "migrators/{name}"), Some(1.0));
    // An address that there is not has no route: what clients make up is no label.
    assert!(!text.contains("nothings"), "{text}");
    let none = [("http_request_method", "PUT"), ("http_response_status_code", "404")];
    assert_eq!(sample(&text, "http_server_request_duration_seconds_count", &none), Some(1.0));
    let bucket = [("http_request_method", "GET"), ("http_response_status_code", "404"), ("le", "+Inf")];
    assert_eq!(sample(&text, "http_server_request_duration_seconds_bucket", &bucket), Some(1.0));
    for state in ["InProgress", "Succeeded"] {
        let put = [("verb", "Put"), ("state", state)];
        assert_eq!(sample(&text, "livedata_operations_total", &put), Some(3.0), "{state}");
    }
    assert_eq!(sample(&text, "livedata_operations_in_progress", &[]), Some(0.0));
    let commits = [("call", "commit"), ("outcome", "ok")];
    assert!(sample(&text, "livedata_store_call_duration_seconds_count", &commits).unwrap() >= 6.0);
    assert_eq!(sample(&text, "livedata_agent_session", &[]), None);

    let enrolled = enrol(&world, &client, &m, "agent-1").await;
    let installed = install(&world, enrolled, BTreeMap::new());
    let key = m.to_lowercase();
    let whose = [("migrator", key.as_str())];
    wait_for(&running, "livedata_agent_session", &whose, Some(1.0)).await;
    let id = migration.to_lowercase();
    installed.wait("of the migration", |items| items.contains_key(&id)).await;
    let report = MigrationReport {
        id: id.clone(),
        observed_generation: 9,
        state: MigrationState::Live,
        progress: Progress {
            files_migrated: 7,
            bytes_migrated: 700,
            bytes_per_second: 70,
            ..Progress::default()
        },
        conditions: Vec::new(),
        last_error: None,
        estimated_seconds: None,
        lag: Some(Lag { transactions: 3, seconds: 2, watermark: 1000 }),
        run: None,
        sent: None,
    };
    installed.reports.send(report).unwrap();
    let of = [("migrator", key.as_str()), ("migration", "x")];
    let with = |label, value| [&of[..], &[(label, value)]].concat();
    wait_for(&running, "livedata_migration_files", &with("kind", "migrated"), Some(7.0)).await;
    wait_for(&running, "livedata_migration_size_bytes", &with("kind", "migrated"), Some(700.0)).await;
    wait_for(&running, "livedata_migration_throughput_bytes_per_second", &of, Some(70.0)).await;
    wait_for(&running, "livedata_migration_lag_seconds", &of, Some(2.0)).await;
    wait_for(&running, "livedata_migration_watermark", &of, Some(1000.0)).await;
    wait_for(&running, "livedata_migration_state", &with("state", "Live"), Some(1.0)).await;
    // What is gone is no longer told of.
    Client::made(&client.finish(&client.delete(&migration).await).await);
    wait_for(&running, "livedata_migration_lag_seconds", &of, None).await;
    installed.stop().await;
    wait_for(&running, "livedata_agent_session", &whose, Some(0.0)).await;
    running.stop().await;
    relay.stop().await.unwrap();
}
