//! What rules and the fault header do to requests.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use livedata_adls_emulator::{Options, Storage};
use reqwest::Method;
use serde_json::json;

use crate::client::{ADMIN_TOKEN, Client, Fixture, Reply, options};

#[tokio::test]
async fn errors_are_answered_as_the_service_answers_them() {
    let fixture = Fixture::in_memory().await;
    fixture.client.write("lake/file", b"content").await;
    let text = |limit: &str| format!("{limit} is over the account limit.");
    for (kind, status, code, message) in [
        ("ingressOverLimit", 503, "ServerBusy", text("Ingress")),
        ("egressOverLimit", 503, "ServerBusy", text("Egress")),
        ("operationsOverLimit", 503, "ServerBusy", text("Operations per second")),
        ("serverBusy", 503, "ServerBusy", "Please retry your request.".to_owned()),
        ("operationTimedOut", 500, "OperationTimedOut", "within the permitted time.".to_owned()),
        ("internalError", 500, "InternalError", "Please retry the request.".to_owned()),
        ("tooManyRequests", 429, "TooManyRequests", "Please retry your request.".to_owned()),
    ] {
        let error = json!({ "error": { "kind": kind, "retryAfterSeconds": 3 } });
        fixture.client.fault("one", json!({ "effect": error, "count": 2 })).await;
        let reply = fixture.client.get("lake/file", &[]).await.refused(status, code);
        assert_eq!(reply.header("retry-after"), "3");
        assert_eq!(reply.json()["error"]["code"], code);
        let said = reply.json()["error"]["message"].as_str().unwrap().to_owned();
        assert!(said.lines().next().unwrap().ends_with(&message), "{said}");
        let blob = fixture.client.get("lake/file?comp=metadata", &[]).await.refused(status, code);
        assert!(blob.text().contains(&format!("<Code>{code}</Code><Message>")), "{}", blob.text());
        assert!(blob.text().contains(&message), "{}", blob.text());
        fixture.client.get("lake/file", &[]).await.expect(200);
    }
    fixture.client.fault("one", json!({ "effect": { "error": { "kind": "serverBusy" } }, "count": 1 })).await;
    assert_eq!(fixture.client.get("lake/file", &[]).await.expect(503).header("retry-after"), "");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn an_error_may_come_after_the_operation_was_done() {
    let fixture = Fixture::in_memory().await;
    let error = json!({ "error": { "kind": "operationTimedOut", "afterCommit": true } });
    let rule = json!({ "selector": { "operation": "PathCreate" }, "effect": error, "count": 1 });
    fixture.client.fault("late", rule).await;
    let create = "lake/file?resource=file";
    fixture.client.put(create, &[("if-none-match", "*")]).await.refused(500, "OperationTimedOut");
    fixture.client.put(create, &[("if-none-match", "*")]).await.refused(409, "PathAlreadyExists");
    // An operation that is refused anyway says why.
    let rule = json!({ "effect": { "error": { "kind": "internalError", "afterCommit": true } } });
    fixture.client.fault("late", rule).await;
    fixture.client.get("lake/none", &[]).await.refused(404, "PathNotFound");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_lost_reply_is_of_an_operation_that_was_done() {
    for fixture in [Fixture::in_memory().await, Fixture::start().await] {
        let client = &fixture.client;
        let put = async |target: &str, source: Option<&str>| {
            let headers: Vec<_> = source.map(|source| ("x-ms-rename-source", source)).into_iter().collect();
            client.attempt(Method::PUT, target, &headers, Vec::new()).await
        };
        client.fault("lost", json!({ "selector": { "method": "PUT" }, "effect": "lostReply" })).await;
        assert!(put("lake/file?resource=file", None).await.is_err());
        let before = client.head("lake/file", &[]).await.expect(200);
        assert!(put("lake/moved", Some("/lake/file")).await.is_err());
        client.head("lake/file", &[]).await.expect(404);
        assert_eq!(client.head("lake/moved", &[]).await.expect(200).etag(), before.etag());
        let rules = client.admin(Method::GET, "/faults/lost", ADMIN_TOKEN, "").await.expect(200).json();
        assert_eq!((&rules["selected"], &rules["struck"]), (&json!(2), &json!(2)));
        client.admin(Method::DELETE, "/faults/lost", ADMIN_TOKEN, "").await.expect(204);
        assert!(put("lake/other?resource=file", None).await.is_ok());
        fixture.running.stop().await.unwrap();
    }
}

/// What a socket gives after the request was written: the bytes before the end, and how it ended. An error is told once, to the
/// writer or to the reader.
fn raw(fixture: &Fixture, method: &str, target: &str, body: &[u8]) -> (Vec<u8>, std::io::Result<()>) {
    let mut socket = TcpStream::connect(fixture.running.storage_address()).unwrap();
    let head = fixture.client.signed_head(method, target, body.len());
    if let Err(error) = socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(body)) {
        return (Vec::new(), Err(error));
    }
    let (mut received, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match socket.read(&mut buffer) {
            Ok(0) => return (received, Ok(())),
            Ok(length) => received.extend_from_slice(&buffer[..length]),
            Err(error) => return (received, Err(error)),
        }
    }
}

#[tokio::test]
async fn a_connection_is_reset_before_the_operation_or_within_a_body() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    let reset = |at: serde_json::Value| json!({ "effect": { "reset": at }, "count": 1 });
    let was_reset = |ended: std::io::Result<()>| {
        assert_eq!(ended.unwrap_err().kind(), std::io::ErrorKind::ConnectionReset);
    };

    client.fault("reset", reset(json!("beforeOperation"))).await;
    let (received, ended) = raw(&fixture, "PUT", "lake/file?resource=file", b"");
    assert!(received.is_empty());
    was_reset(ended);
    client.head("lake/file", &[]).await.expect(404);

    let content = vec![7; 1_000_000];
    client.put("lake/file?resource=file", &[]).await.expect(201);
    client.fault("reset", reset(json!({ "requestBody": { "afterBytes": 400_000 } }))).await;
    let (received, ended) = raw(&fixture, "PATCH", "lake/file?action=append&position=0", &content);
    assert!(received.is_empty());
    was_reset(ended);
    client.patch("lake/file?action=flush&position=1", &[], b"").await.refused(400, "InvalidFlushPosition");

    client.patch("lake/file?action=append&position=0&flush=true", &[], &content).await.expect(202);
    client.fault("reset", reset(json!({ "responseBody": { "afterBytes": 123_456 } }))).await;
    let (received, ended) = raw(&fixture, "GET", "lake/file", b"");
    was_reset(ended);
    let head = received.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    assert!(received.starts_with(b"HTTP/1.1 200"));
    let part = &received[head..];
    assert!(part.len() <= 123_456 && *part == content[..part.len()], "{}", part.len());
    assert_eq!(client.get("lake/file", &[]).await.expect(200).body, content);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_lost_reply_ends_the_connection_as_a_server_that_goes_away() {
    let fixture = Fixture::in_memory().await;
    fixture.client.fault("lost", json!({ "effect": "lostReply" })).await;
    let (received, ended) = raw(&fixture, "PUT", "lake/file?resource=file", b"");
    assert!(received.is_empty());
    ended.unwrap();
    fixture.running.stop().await.unwrap();
}

/// Whether `others` are all done while `held` is still on its way.
async fn held_while(held: impl Future<Output = Reply>, others: impl AsyncFn()) -> bool {
    let others = async {
        for _ in 0..20 {
            others().await;
        }
    };
    let (held, others) = (std::pin::pin!(held), std::pin::pin!(others));
    matches!(futures::future::select(held, others).await, futures::future::Either::Right(_))
}

#[tokio::test]
async fn delays_hold_what_is_selected_and_nothing_else() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    client.write("lake/slow/file", b"content").await;
    client.write("lake/fast", b"content").await;
    let selector = json!({ "pathPrefix": "/lake/slow", "operation": "PathRead" });
    let latency = |effect| json!({ "selector": selector, "effect": { "latency": effect } });
    client.fault("range", latency(json!({ "fromMs": 1, "toMs": 2 }))).await;
    client.fault("fixed", latency(json!({ "fromMs": 1 }))).await;
    client.get("lake/slow/file", &[]).await.expect(200);
    client.get("lake/fast", &[]).await.expect(200);
    client.head("lake/slow/file", &[]).await.expect(200);
    let log = client.admin(Method::GET, "/requests?status=200", ADMIN_TOKEN, "").await.expect(200).json();
    let entries = log["requests"].as_array().unwrap();
    let [slow, fast, head] = &entries[entries.len() - 3..] else { panic!("{log}") };
    assert_eq!(slow["faults"], json!(["fixed", "range"]));
    assert_eq!((fast.get("faults"), head.get("faults")), (None, None));

    client.fault("hour", latency(json!({ "fromMs": 3_600_000 }))).await;
    let others = async || {
        client.get("lake/fast", &[]).await.expect(200);
        client.head("lake/slow/file", &[]).await.expect(200);
    };
    assert!(held_while(client.get("lake/slow/file", &[]), others).await);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn bodies_wait_for_their_ceiling_and_other_requests_do_not() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    client.write("lake/line/read", &[1; 150_000]).await;
    client.put("lake/line/written?resource=file", &[]).await.expect(201);
    // A byte a second: for days nothing gets through.
    let ceiling = json!({ "ingressBytesPerSecond": 1, "egressBytesPerSecond": 1 });
    let line = json!({ "selector": { "pathPrefix": "/lake/line" }, "effect": { "bandwidth": ceiling } });
    client.fault("line", line).await;
    let others = async || {
        client.write("lake/free", &[1; 150_000]).await;
        client.get("lake/free", &[]).await.expect(200);
        client.head("lake/line/read", &[]).await.expect(200);
    };
    let append = "lake/line/written?action=append&position=0&flush=true";
    assert!(held_while(client.patch(append, &[], &[1; 150_000]), others).await);
    assert!(held_while(client.get("lake/line/read", &[]), others).await);
    assert_eq!(client.head("lake/line/written", &[]).await.expect(200).header("content-length"), "0");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_request_asks_for_a_fault_only_where_that_is_enabled() {
    let fixture = Fixture::in_memory().await;
    let busy = r#"{"error":{"kind":"serverBusy","retryAfterSeconds":1}}"#;
    let refused = fixture.client.get("?resource=account", &[("x-emulator-fault", busy)]).await;
    refused.refused(400, "InvalidHeaderValue");
    fixture.running.stop().await.unwrap();

    let options = Options { fault_header: true, ..options(Storage::Memory) };
    let fixture = Fixture::start_with(options, tempfile::tempdir().unwrap()).await;
    let ask =
        async |fault: &str| fixture.client.get("?resource=account", &[("x-emulator-fault", fault)]).await;
    assert_eq!(ask(busy).await.refused(503, "ServerBusy").header("retry-after"), "1");
    ask("{").await.refused(400, "InvalidHeaderValue");
    ask(r#"{"bandwidth":{}}"#).await.refused(400, "InvalidHeaderValue");
    ask(r#"{"latency":{"fromMs":1}}"#).await.expect(200);
    fixture.client.get("?resource=account", &[]).await.expect(200);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn rules_are_put_read_and_removed() {
    let fixture = Fixture::in_memory().await;
    let admin = |method, path: &'static str, body: &'static str| {
        fixture.client.admin(method, path, ADMIN_TOKEN, body)
    };
    let rule =
        r#"{"selector":{"account":"other"},"effect":"lostReply","probability":0.5,"count":3,"seed":9}"#;
    let put = admin(Method::PUT, "/faults/one", rule).await.expect(200).json();
    let expected = json!({
        "id": "one", "selector": { "account": "other" }, "effect": "lostReply", "probability": 0.5, "count": 3,
        "seed": 9, "selected": 0, "struck": 0,
    });
    assert_eq!(put, expected);
    fixture.client.get("?resource=account", &[]).await.expect(200);
    assert_eq!(admin(Method::GET, "/faults/one", "").await.expect(200).json(), expected);
    assert_eq!(admin(Method::GET, "/faults", "").await.expect(200).json(), json!({ "rules": [expected] }));
    for wrong in ["", "{}", r#"{"effect":"lostReply","probability":2}"#, r#"{"effect":{"reset":"now"}}"#] {
        admin(Method::PUT, "/faults/two", wrong).await.expect(400);
    }
    admin(Method::GET, "/faults/two", "").await.expect(404);
    admin(Method::DELETE, "/faults/two", "").await.expect(404);
    admin(Method::DELETE, "/faults", "").await.expect(204);
    assert_eq!(admin(Method::GET, "/faults", "").await.expect(200).json(), json!({ "rules": [] }));
    admin(Method::POST, "/faults", "").await.expect(404);
    let stranger = Client::to(&fixture.running);
    stranger.admin(Method::PUT, "/faults/one", "wrong", rule).await.expect(401);
    fixture.running.stop().await.unwrap();
}
