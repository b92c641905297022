use std::time::Duration;

use reqwest::Method;

use crate::client::{ACCOUNT, Client, Fixture};

#[tokio::test]
async fn a_wrong_key_is_refused_with_the_string_that_was_signed() {
    let fixture = Fixture::start().await;
    let mut wrong = Client::to(&fixture.running);
    wrong.key = b"another key".to_vec();
    let reply =
        wrong.get("lake?resource=filesystem&recursive=true", &[]).await.refused(403, "AuthenticationFailed");
    let detail = reply.json()["error"]["detail"]["AuthenticationErrorDetail"].as_str().unwrap().to_owned();
    assert!(detail.contains("Server used following string to sign: 'GET\n"), "{detail}");
    assert!(
        detail.contains(&format!("/{ACCOUNT}/{ACCOUNT}/lake\nrecursive:true\nresource:filesystem'")),
        "{detail}"
    );
    let reply = wrong.get("?comp=list", &[]).await.refused(403, "AuthenticationFailed");
    assert!(reply.text().contains("<AuthenticationErrorDetail>"), "{}", reply.text());
    let head = wrong.head("lake/file", &[]).await.refused(403, "AuthenticationFailed");
    assert!(head.body.is_empty());
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn dates_far_from_now_are_refused() {
    let fixture = Fixture::start().await;
    let mut client = Client::to(&fixture.running);
    let now = client.date;
    for date in [now - Duration::from_secs(16 * 60), now + Duration::from_secs(16 * 60)] {
        client.date = date;
        client.get("?resource=account", &[]).await.refused(403, "AuthenticationFailed");
    }
    client.date = now - Duration::from_secs(13 * 60);
    client.get("?resource=account", &[]).await.expect(200);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_no_authorization_is_refused() {
    let fixture = Fixture::start().await;
    let target = format!("/{ACCOUNT}/lake?resource=filesystem&recursive=true");
    let client = &fixture.client;
    let send = |target: String, authorization: Option<&'static str>| async move {
        let headers: Vec<_> =
            authorization.map(|value| ("authorization".to_owned(), value.to_owned())).into_iter().collect();
        client.send_unsigned(Method::GET, &target, &headers, Vec::new()).await
    };
    let reply = send(target.clone(), None).await.refused(401, "NoAuthenticationInformation");
    assert_eq!(reply.header("www-authenticate"), "SharedKey");
    send(target.clone(), Some("Bearer abc")).await.refused(401, "InvalidAuthenticationInfo");
    for value in ["SharedKeyLite a:b", "SharedKey", "SharedKey testaccount"] {
        send(target.clone(), Some(value)).await.refused(400, "InvalidAuthenticationInfo");
    }
    send(target, Some("SharedKey other:AAAA")).await.refused(403, "AuthenticationFailed");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_method_override_is_signed_as_what_was_sent() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.put("lake/file?resource=file", &[]).await.expect(201);
    let patch = [("x-http-method-override", "PATCH")];
    let body = b"overridden".to_vec();
    client.send(Method::PUT, "lake/file?action=append&position=0", &patch, body).await.expect(202);
    client.put("lake/file?action=flush&position=10", &patch).await.expect(200);
    assert_eq!(client.get("lake/file", &[]).await.expect(200).text(), "overridden");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn replies_carry_the_service_headers_and_unknown_versions_are_judged() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let headers = [("x-ms-client-request-id", "mine"), ("x-ms-version", "2031-01-01")];
    let reply = client.get("?resource=account", &headers).await.expect(200);
    assert_eq!(reply.header("x-ms-client-request-id"), "mine");
    assert_eq!(reply.header("x-ms-version"), "2031-01-01");
    assert!(!reply.header("x-ms-request-id").is_empty() && !reply.header("date").is_empty());
    for (query, version, code) in [
        ("resource=account", "2017-04-17", "UnsupportedRestVersion"),
        ("comp=list", "2017-04-17", "InvalidHeaderValue"),
        ("resource=account", "latest", "InvalidHeaderValue"),
    ] {
        client.get(&format!("?{query}"), &[("x-ms-version", version)]).await.refused(400, code);
    }
    client.get("lake/none", &[("x-ms-client-request-id", "mine")]).await.refused(404, "PathNotFound");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_good_signature_under_another_accounts_name_is_refused() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let head = client.signed_head("GET", "lake?resource=filesystem&recursive=true", 0);
    let headers: Vec<(String, String)> = head
        .lines()
        .filter_map(|line| line.split_once(": "))
        .filter(|(name, _)| *name != "host" && *name != "content-length")
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let target = format!("/{ACCOUNT}/lake?resource=filesystem&recursive=true");
    client.send_unsigned(Method::GET, &target, &headers, Vec::new()).await.expect(200);
    let renamed: Vec<_> = headers
        .into_iter()
        .map(|(name, value)| {
            (name, value.replace(&format!("SharedKey {ACCOUNT}:"), "SharedKey otheraccount:"))
        })
        .collect();
    let refused = client.send_unsigned(Method::GET, &target, &renamed, Vec::new()).await;
    refused.refused(403, "AuthenticationFailed");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn the_date_is_signed_once_where_both_headers_are_sent() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let date = httpdate::fmt_http_date(client.date - Duration::from_secs(3));
    client.get("?resource=account", &[("date", &date)]).await.expect(200);
    fixture.running.stop().await.unwrap();
}
