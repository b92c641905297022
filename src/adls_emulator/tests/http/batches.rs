//! Blob Batch.

use reqwest::Method;

use crate::client::{ACCOUNT, Client, Fixture, Reply, part};
use crate::signatures::{END, account_signature, service};

const MIXED: (&str, &str) = ("content-type", "multipart/mixed; boundary=boundary");
const TO_CONTAINER: &str = "lake?restype=container&comp=batch";

async fn submit(client: &Client, target: &str, parts: &str) -> Reply {
    let body = format!("{parts}--boundary--\r\n").into_bytes();
    client.send(Method::POST, target, &[MIXED], body).await
}

/// Of each part of the reply: id, status, error code.
fn outcomes(reply: &Reply) -> Vec<(String, u16, String)> {
    assert_eq!(reply.status, 202, "{}", reply.text());
    let (kind, boundary) = reply.header("content-type").split_once("; boundary=").unwrap();
    assert_eq!(kind, "multipart/mixed");
    let text = reply.text();
    assert!(text.ends_with(&format!("--{boundary}--\r\n")), "{text}");
    let (parts, _) = text.rsplit_once(&format!("--{boundary}--")).unwrap();
    let outcome = |part: &str| {
        let header = |name: &str| {
            let found =
                part.lines().find_map(|line| line.to_lowercase().strip_prefix(name).map(str::to_owned));
            found.unwrap_or_default()
        };
        let status = header("http/1.1 ").split(' ').next().unwrap().parse().unwrap();
        let code = part.lines().find_map(|line| line.strip_prefix("x-ms-error-code: ")).unwrap_or("");
        assert!(!header("x-ms-request-id: ").is_empty(), "{part}");
        assert_eq!(code.is_empty(), !part.contains("<Code>"), "{part}");
        (header("content-id: "), status, code.to_owned())
    };
    parts.split(&format!("--{boundary}\r\n")).skip(1).map(outcome).collect()
}

fn whole(status: u16, code: &str) -> Vec<(String, u16, String)> {
    vec![(String::new(), status, code.to_owned())]
}

async fn with_files(names: &[&str]) -> Fixture {
    let fixture = Fixture::in_memory().await;
    for name in names {
        fixture.client.write(&format!("lake/{name}"), b"content").await;
    }
    fixture
}

#[tokio::test]
async fn deletions_are_done_and_answered_one_by_one() {
    let fixture = with_files(&["a", "with%20space", "kept", "full/below"]).await;
    let client = &fixture.client;
    let etag = client.head("lake/kept", &[]).await.expect(200).etag().to_owned();
    client.put("other?resource=filesystem", &[]).await.expect(201);
    client.write("other/file", b"x").await;
    for target in ["?comp=batch", TO_CONTAINER] {
        client.write("lake/a", b"content").await;
        let parts = [
            client.signed_part(0, "DELETE", "lake/a", &[]),
            client.signed_part(1, "DELETE", "lake/none", &[]),
            client.signed_part(2, "DELETE", "lake/kept", &[("if-none-match", &etag)]),
            client.signed_part(3, "DELETE", "lake/full", &[]),
        ];
        let reply = submit(client, target, &parts.concat()).await;
        let expected = [
            ("0", 202, ""),
            ("1", 404, "BlobNotFound"),
            ("2", 412, "ConditionNotMet"),
            ("3", 409, "DirectoryIsNotEmpty"),
        ];
        let expected = expected.map(|(id, status, code)| (id.to_owned(), status, code.to_owned()));
        assert_eq!(outcomes(&reply), expected, "{target}");
        client.head("lake/a", &[]).await.expect(404);
        client.head("lake/kept", &[]).await.expect(200);
        client.head("lake/full/below", &[]).await.expect(200);
    }
    // Over the whole account, and in no order of names.
    let parts = ["other/file", "lake/with%20space"].map(|name| client.signed_part(7, "DELETE", name, &[]));
    let answered = outcomes(&submit(client, "?comp=batch", &parts.concat()).await);
    assert!(answered.iter().all(|(id, status, _)| id == "7" && *status == 202), "{answered:?}");
    client.head("other/file", &[]).await.expect(404);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn tiers_are_set() {
    let fixture = with_files(&["a", "b"]).await;
    let client = &fixture.client;
    let tier = [("x-ms-access-tier", "Cool")];
    let part = |id, name: &str| client.signed_part(id, "PUT", &format!("lake/{name}?comp=tier"), &tier);
    let parts = [part(0, "a"), part(1, "b"), part(2, "none")].concat();
    let answered = outcomes(&submit(client, TO_CONTAINER, &parts).await);
    let statuses: Vec<u16> = answered.iter().map(|(_, status, _)| *status).collect();
    assert_eq!(statuses, [200, 200, 404]);
    let head = client.head("lake/b", &[("accept", "application/xml")]).await.expect(200);
    assert_eq!(head.header("x-ms-access-tier"), "Cool");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn each_request_is_authorised_by_itself() {
    let fixture = with_files(&["a", "b", "c", "d"]).await;
    let client = &fixture.client;
    let path = |name: &str, query: &str| format!("/{ACCOUNT}/lake/{name}{query}");
    let signed = service("d", "b", "lake/c");
    let reads = service("r", "b", "lake/d");
    let parts = [
        client.signed_part(0, "DELETE", "lake/a", &[]),
        part(1, "DELETE", &path("b", ""), &[]),
        part(2, "DELETE", &path("c", &format!("?{signed}")), &[]),
        part(3, "DELETE", &path("d", &format!("?{reads}")), &[]),
        // Of another file.
        part(4, "DELETE", &path("d", &format!("?{signed}")), &[]),
        client
            .signed_part(5, "DELETE", "lake/d", &[])
            .replace("SharedKey testaccount:", "SharedKey testaccount:AA"),
    ];
    let answered = outcomes(&submit(client, TO_CONTAINER, &parts.concat()).await);
    let expected = [
        (202, ""),
        (401, "NoAuthenticationInformation"),
        (202, ""),
        (403, "AuthorizationPermissionMismatch"),
        (403, "AuthenticationFailed"),
        (403, "AuthenticationFailed"),
    ];
    let answered: Vec<(u16, &str)> =
        answered.iter().map(|(_, status, code)| (*status, code.as_str())).collect();
    assert_eq!(answered, expected);
    client.head("lake/b", &[]).await.expect(200);
    client.head("lake/d", &[]).await.expect(200);

    // The batch itself takes any signature that reaches it, which lends its parts nothing.
    let body = format!("{}--boundary--\r\n", part(0, "DELETE", &path("b", ""), &[])).into_bytes();
    for (signature, target) in
        [(account_signature("d", "b", "o", END), "?comp=batch"), (service("d", "c", "lake"), TO_CONTAINER)]
    {
        let reply = client.send_with(&signature, Method::POST, target, &[MIXED], &body).await;
        assert_eq!(outcomes(&reply)[0].1, 401);
    }
    let (stranger, expired) = (service("d", "c", "other"), account_signature("d", "b", "o", "2020-01-01"));
    for signature in [stranger, expired] {
        let refused = client.send_with(&signature, Method::POST, TO_CONTAINER, &[MIXED], &body).await;
        refused.refused(403, "AuthenticationFailed");
    }
    let unsigned = [(MIXED.0.to_owned(), MIXED.1.to_owned())];
    let target = format!("/{ACCOUNT}/{TO_CONTAINER}");
    let refused = client.send_unsigned(Method::POST, &target, &unsigned, body).await;
    refused.refused(401, "NoAuthenticationInformation");
    client.head("lake/b", &[]).await.expect(200);
    fixture.running.stop().await.unwrap();
}

/// As on the service, the answer to these is 202 with one part, which has no id.
#[tokio::test]
async fn a_batch_that_is_not_understood_does_nothing() {
    let fixture = with_files(&["file"]).await;
    let client = &fixture.client;
    let delete = |id| client.signed_part(id, "DELETE", "lake/file", &[]);
    let invalid = whole(400, "InvalidInput");
    for parts in [
        String::new(),
        delete(0).replace("x-ms-date:", "nonsense\r\nx-ms-date:"),
        delete(0).replace("HTTP/1.1", ""),
        // Nothing but deletions and tiers.
        delete(0) + &client.signed_part(1, "GET", "lake/file", &[]),
        delete(0) + &client.signed_part(1, "DELETE", "lake?restype=container", &[]),
        // Of another container than the batch, and of another account.
        delete(0) + &client.signed_part(1, "DELETE", "other/file", &[]),
        delete(0) + &part(1, "DELETE", "/otheraccount/lake/file", &[]),
    ] {
        assert_eq!(outcomes(&submit(client, TO_CONTAINER, &parts).await), invalid, "{parts}");
    }
    let cut = delete(0).into_bytes();
    assert_eq!(outcomes(&client.send(Method::POST, TO_CONTAINER, &[MIXED], cut).await), invalid);
    let tier = client.signed_part(1, "PUT", "lake/file?comp=tier", &[("x-ms-access-tier", "Cool")]);
    let several = submit(client, TO_CONTAINER, &(delete(0) + &tier)).await;
    assert_eq!(outcomes(&several), whole(400, "AllBatchSubRequestsShouldBeSameApi"));
    let many = |count| (0..count).map(delete).collect::<String>();
    assert_eq!(
        outcomes(&submit(client, TO_CONTAINER, &many(257)).await),
        whole(400, "ExceedsMaxBatchRequestCount")
    );
    client.head("lake/file", &[]).await.expect(200);

    let body = || format!("{}--boundary--\r\n", delete(0)).into_bytes();
    for kind in ["text/plain", "multipart/mixed", "multipart/form-data; boundary=boundary"] {
        let refused = client.send(Method::POST, TO_CONTAINER, &[("content-type", kind)], body()).await;
        refused.refused(400, "InvalidHeaderValue");
    }
    let refused = client.send(Method::POST, TO_CONTAINER, &[MIXED], vec![b' '; 4 * 1024 * 1024 + 1]).await;
    refused.refused(413, "RequestBodyTooLarge");
    client.head("lake/file", &[]).await.expect(200);

    let answered = outcomes(&submit(client, TO_CONTAINER, &many(256)).await);
    let done = answered.iter().filter(|(_, status, _)| *status == 202).count();
    assert_eq!((answered.len(), done), (256, 1));
    fixture.running.stop().await.unwrap();
}
