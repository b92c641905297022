//! The audit log: a line for each request that may change something, whatever became of it, and no secret in any.

use reqwest::Method;
use serde_json::{Value, json};

use crate::session::enrol;
use crate::world::{
    ACCOUNT_KEY, Client, GROUP, PATH_SECRET, Reply, World, migration_body, migrator, migrator_body,
};

fn lines(world: &World) -> Vec<Value> {
    let text = std::fs::read_to_string(world.audit_log()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The one line that has come since the last call; the log is read as soon as the answer is there.
struct Reader<'a> {
    world: &'a World,
    seen: usize,
}

impl Reader<'_> {
    #[track_caller]
    fn next(&mut self) -> Value {
        let lines = lines(self.world);
        assert_eq!(lines.len(), self.seen + 1, "{:#?}", lines.get(self.seen..));
        self.seen = lines.len();
        lines.last().unwrap().clone()
    }

    #[track_caller]
    fn nothing(&mut self) {
        assert_eq!(lines(self.world).len(), self.seen);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_write_leaves_one_line_before_its_answer_refused_ones_too() {
    let world = World::new();
    let running = world.start().await;
    let client = world.client(&running);
    let mut log = Reader { world: &world, seen: 0 };

    let m = migrator("m");
    let system_data = json!({"createdBy": "someone", "lastModifiedBy": "ann@example.com",
        "lastModifiedByType": "User", "lastModifiedAt": "2026-11-26T12:00:00Z"});
    let request = client
        .request(Method::PUT, &m)
        .header("x-ms-correlation-request-id", "corr")
        .header("x-ms-client-request-id", "mine")
        .header("x-ms-home-tenant-id", "tenant")
        .header("x-ms-arm-resource-system-data", system_data.to_string())
        .header("authorization", "Bearer very-secret-token");
    let made = Reply::of(request.json(&migrator_body()).send().await.unwrap()).await;
    let line = log.next();
    for (field, expected) in [
        ("target", "audit"),
        ("listener", "provider-arm"),
        ("method", "PUT"),
        ("resourceId", m.as_str()),
        ("apiVersion", "2026-11-01-preview"),
        ("correlationId", "corr"),
        ("clientRequestId", "mine"),
        ("tenantId", "tenant"),
        ("requestId", made.header("x-ms-request-id")),
    ] {
        assert_eq!(line[field], expected, "{line}");
    }
    assert_eq!(line["status"], 201, "{line}");
    assert_eq!(line["caller"]["principal"], "ann@example.com", "{line}");
    assert_eq!(line["caller"]["principalType"], "User", "{line}");
    assert_eq!(line["caller"]["certificate"].as_str().unwrap().len(), 64, "{line}");
    let operation = line["operationId"].as_str().unwrap().to_owned();
    assert!(made.header("azure-asyncoperation").contains(&format!("/operationStatuses/{operation}?")));
    Client::made(&client.finish(&made).await);
    // Looking at an operation and reading change nothing.
    client.get(&m).await;
    log.nothing();

    let target = format!("{m}/targets/t");
    let body = crate::world::target_body("lake", "data");
    let made = client.put(&target, &body).await;
    assert_eq!(log.next()["status"], 201);
    Client::made(&client.finish(&made).await);
    let migration = format!("{m}/liveDataMigrations/x");
    let made = client.put(&migration, &migration_body(&target, "/data")).await;
    assert_eq!(log.next()["status"], 201);
    Client::made(&client.finish(&made).await);

    let cancelled = format!(
        "/subscriptions/s1/providers/LiveData.Platform/locations/westus/operationStatuses/{operation}"
    );
    for (method, path, body, status, code) in [
        (Method::PATCH, m.clone(), Some(json!({"tags": {"a": "b"}})), 200, None),
        (Method::POST, format!("{migration}/start"), None, 202, None),
        (Method::POST, format!("{m}/listInstallKey"), None, 200, None),
        (Method::PUT, m.clone(), Some(json!({"location": "westus"})), 400, Some("MissingRequiredProperty")),
        (Method::PUT, format!("{m}/nothings/x"), Some(json!({})), 404, Some("InvalidResourceType")),
        (
            Method::PUT,
            format!("{GROUP}/providers/LiveData.Platform/migrators"),
            Some(json!({})),
            405,
            Some("MethodNotAllowed"),
        ),
        (Method::PATCH, cancelled.clone(), Some(json!({})), 403, Some("OperationStatusReadOnly")),
        (Method::POST, format!("{cancelled}/cancel"), None, 409, Some("OperationNotCancelable")),
        (Method::DELETE, target.clone(), None, 409, Some("TargetInUse")),
    ] {
        let reply = client.send(method.clone(), &path, body.as_ref()).await;
        let line = log.next();
        assert_eq!(reply.status, status, "{method} {path}: {}", reply.body);
        assert_eq!((&line["method"], &line["resourceId"]), (&json!(method.as_str()), &json!(path)), "{line}");
        assert_eq!(line["status"], status, "{line}");
        if let Some(code) = code {
            assert_eq!(line["errorCode"], code, "{line}");
        }
    }
    // Refused before it was read to its end.
    let long = "x".repeat(5 * 1024 * 1024);
    let refused = client.request(Method::PUT, &m).header("content-type", "application/json").body(long);
    // The connection may end before the answer has been read.
    let _ = refused.send().await;
    let line = log.next();
    assert_eq!((&line["status"], &line["errorCode"]), (&json!(413), &json!("RequestBodyTooLarge")), "{line}");
    let unknown = client.http.request(Method::from_bytes(b"FROB").unwrap(), format!("{}{m}", client.base));
    assert_eq!(unknown.send().await.unwrap().status().as_u16(), 405);
    assert_eq!(log.next()["method"], "FROB");
    let deleted = client.delete(&migration).await;
    assert_eq!(log.next()["status"], 202);
    Client::made(&client.finish(&deleted).await);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_in_the_audit_log() {
    let mut world = World { custom_provider: true, ..World::new() };
    let relay = crate::session::relay(&mut world).await;
    let running = world.start().await;
    let client = world.client(&running);
    let (m, target) = client.make_pair("m").await;
    client
        .patch(
            &target,
            &json!({"properties": {"credential": {"kind": "AccountKey", "accountKey": ACCOUNT_KEY}}}),
        )
        .await;
    let minted = client.post(&format!("{m}/listInstallKey")).await;
    enrol(&world, &client, &m, "agent-1").await;
    let custom = running.custom_provider_address.unwrap().port();
    let path = format!("{GROUP}/providers/Microsoft.CustomProviders/resourceProviders/p/migrators/c");
    let request = world
        .client_without_certificate()
        .put(format!(
            "https://localhost:{custom}/{PATH_SECRET}?api-version=2018-09-01-preview&code={ACCOUNT_KEY}"
        ))
        .header("x-ms-customproviders-requestpath", &path)
        .header("authorization", "Bearer very-secret-token")
        .json(&migrator_body());
    let reply = Reply::of(request.send().await.unwrap()).await;
    assert!(reply.status < 300, "{}", reply.body);
    let all = lines(&world);
    let by = |listener: &str| all.iter().filter(|line| line["listener"] == listener).count();
    assert_eq!((by("provider-custom"), by("provider-enrolment")), (1, 1), "{all:#?}");
    let of_custom = all.iter().find(|line| line["listener"] == "provider-custom").unwrap();
    assert_eq!(of_custom["resourceId"], path);
    running.stop().await;
    relay.stop().await.unwrap();
    let text = std::fs::read_to_string(world.audit_log()).unwrap();
    let key = minted.body["installKey"].as_str().unwrap();
    for secret in [ACCOUNT_KEY, key, PATH_SECRET, "very-secret-token", "listen-key"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}
