//! The limits of an account.

use reqwest::Method;

use crate::client::{ACCOUNT, ADMIN_TOKEN, Fixture, Reply};

async fn limit(fixture: &Fixture, limits: &str) -> Reply {
    let path = format!("/accounts/{ACCOUNT}/limits");
    fixture.client.admin(Method::PUT, &path, ADMIN_TOKEN, limits).await
}

#[track_caller]
fn over(reply: Reply, what: &str) {
    let reply = reply.refused(503, "ServerBusy");
    let message = reply.json()["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.starts_with(&format!("{what} is over the account limit.")), "{message}");
}

#[tokio::test]
async fn more_requests_than_an_account_may_make_are_refused() {
    let fixture = Fixture::in_memory().await;
    limit(&fixture, r#"{"requestsPerSecond":1}"#).await.expect(200);
    // However long a request takes, at some time two come within a second.
    let refused = loop {
        let reply = fixture.client.get("?resource=account", &[]).await;
        if reply.status != 200 {
            break reply;
        }
    };
    over(refused, "Operations per second");
    limit(&fixture, "{}").await.expect(200);
    for _ in 0..5 {
        fixture.client.get("?resource=account", &[]).await.expect(200);
    }
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn more_bytes_than_an_account_may_move_are_refused() {
    let fixture = Fixture::in_memory().await;
    fixture.client.put("lake/file?resource=file", &[]).await.expect(201);
    // A byte a second each way: what comes first is let through, and for hours nothing more.
    let limits = r#"{"ingressBitsPerSecond":8,"egressBitsPerSecond":8}"#;
    assert_eq!(
        limit(&fixture, limits).await.expect(200).text(),
        r#"{"requestsPerSecond":null,"ingressBitsPerSecond":8,"egressBitsPerSecond":8}"#
    );
    let append = |position: u64| format!("lake/file?action=append&position={position}&flush=true");
    fixture.client.patch(&append(0), &[], &[1; 20_000]).await.expect(202);
    over(fixture.client.patch(&append(20_000), &[], &[1; 20_000]).await, "Ingress");
    assert_eq!(fixture.client.get("lake/file", &[]).await.expect(200).body.len(), 20_000);
    over(fixture.client.get("lake/file", &[]).await, "Egress");
    fixture.client.head("lake/file", &[]).await.expect(200);

    let path = format!("/accounts/{ACCOUNT}/limits");
    fixture.client.admin(Method::DELETE, &path, ADMIN_TOKEN, "").await.expect(204);
    fixture.client.get("lake/file", &[]).await.expect(200);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn limits_are_those_of_one_account_that_exists() {
    let fixture = Fixture::in_memory().await;
    let admin = |method, path: &'static str, body: &'static str| {
        fixture.client.admin(method, path, ADMIN_TOKEN, body)
    };
    admin(Method::PUT, "/accounts/nobody/limits", "{}").await.expect(404);
    admin(Method::PUT, "/accounts/other", "").await.expect(201);
    admin(Method::PUT, "/accounts/other/limits", r#"{"ingressBitsPerSecond":8}"#).await.expect(200);
    for wrong in [r#"{"requestsPerSecond":0}"#, r#"{"requestsPerHour":1}"#, "["] {
        limit(&fixture, wrong).await.expect(400);
    }
    for _ in 0..3 {
        fixture.client.write("lake/file", &[1; 20_000]).await;
    }
    // Gone with the account.
    admin(Method::DELETE, "/accounts/other", "").await.expect(200);
    admin(Method::PUT, "/accounts/other", "").await.expect(201);
    let none = r#"{"requestsPerSecond":null,"ingressBitsPerSecond":null,"egressBitsPerSecond":null}"#;
    assert_eq!(admin(Method::GET, "/accounts/other/limits", "").await.expect(200).text(), none);
    fixture.running.stop().await.unwrap();
}
