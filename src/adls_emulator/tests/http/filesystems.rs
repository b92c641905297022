use reqwest::Method;

use crate::client::{ACCOUNT, ADMIN_TOKEN, Fixture};

#[tokio::test]
async fn a_filesystem_from_creation_to_deletion() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let made =
        client.put("other?resource=filesystem", &[("x-ms-properties", "owner=dGVhbQ==")]).await.expect(201);
    assert_eq!(made.header("x-ms-namespace-enabled"), "true");
    client.put("other?resource=filesystem", &[]).await.refused(409, "FilesystemAlreadyExists");
    let head = client.head("other?resource=filesystem", &[]).await.expect(200);
    assert_eq!(head.header("x-ms-properties"), "owner=dGVhbQ==");
    assert_eq!(head.etag(), made.etag());
    let set = [("x-ms-properties", "b=Yg=="), ("if-match", "\"0x1\"")];
    client.patch("other?resource=filesystem", &set, b"").await.refused(412, "ConditionNotMet");
    client.patch("other?resource=filesystem", &set[..1], b"").await.expect(200);
    let head = client.head("other?resource=filesystem", &[]).await.expect(200);
    assert_eq!(head.header("x-ms-properties"), "b=Yg==");
    assert_ne!(head.etag(), made.etag());
    client.write("other/dir/file", b"x").await;
    client.delete("other?resource=filesystem", &[]).await.expect(202);
    client.head("other?resource=filesystem", &[]).await.refused(404, "FilesystemNotFound");
    client.get("other/dir/file", &[]).await.refused(404, "FilesystemNotFound");
    client.delete("other?resource=filesystem", &[]).await.refused(404, "FilesystemNotFound");
    client.put("other?resource=filesystem", &[]).await.expect(201);
    client.get("other/dir/file", &[]).await.refused(404, "PathNotFound");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn names_follow_the_rules() {
    let fixture = Fixture::start().await;
    for name in ["ab", &"a".repeat(64)] {
        let target = format!("{name}?resource=filesystem");
        fixture.client.put(&target, &[]).await.refused(400, "OutOfRangeInput");
        fixture.client.head(&target, &[]).await.refused(404, "FilesystemNotFound");
    }
    for name in ["Upper", "two--hyphens", "-first", "last-", "under_score"] {
        let target = format!("{name}?resource=filesystem");
        fixture.client.put(&target, &[]).await.refused(400, "InvalidResourceName");
    }
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn filesystems_are_listed_in_pages() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    for name in ["logs-b", "logs-a", "logs-c"] {
        client.put(&format!("{name}?resource=filesystem"), &[]).await.expect(201);
    }
    let first = client.get("?resource=account&prefix=logs&maxResults=2", &[]).await.expect(200);
    let names = |reply: &crate::client::Reply| {
        let listed = reply.json()["filesystems"].as_array().unwrap().clone();
        listed.iter().map(|entry| entry["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(&first), ["logs-a", "logs-b"]);
    let target = format!("?resource=account&prefix=logs&continuation={}", first.header("x-ms-continuation"));
    let second = client.get(&target, &[]).await.expect(200);
    assert_eq!(names(&second), ["logs-c"]);
    assert_eq!(second.header("x-ms-continuation"), "");
    client.get("?resource=account&maxResults=0", &[]).await.refused(400, "OutOfRangeQueryParameterValue");
    fixture.running.stop().await.unwrap();
}

/// Longer than the hours by which another test of this process moves the clock.
#[tokio::test]
async fn the_name_of_a_deleted_filesystem_is_taken_for_a_while_where_that_is_asked_for() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let knob = format!("/accounts/{ACCOUNT}/deletions");
    let off = client.admin(Method::GET, &knob, ADMIN_TOKEN, "").await.expect(200).json();
    assert_eq!(off, serde_json::json!({ "filesystemSeconds": 0 }));
    client.admin(Method::PUT, &knob, ADMIN_TOKEN, "{\"filesystemSeconds\": 86400}").await.expect(200);
    client.write("lake/file", b"x").await;
    client.delete("lake?resource=filesystem", &[]).await.expect(202);
    client.put("lake?resource=filesystem", &[]).await.refused(409, "FilesystemBeingDeleted");
    client.put("lake?restype=container", &[]).await.refused(409, "ContainerBeingDeleted");
    client.head("lake?resource=filesystem", &[]).await.refused(404, "FilesystemNotFound");
    client.get("lake/file", &[]).await.refused(404, "FilesystemNotFound");
    client.put("other?resource=filesystem", &[]).await.expect(201);
    let bad = client.admin(Method::PUT, &knob, ADMIN_TOKEN, "{\"seconds\": 30}").await;
    assert_eq!(bad.expect(400).json()["error"]["code"], "BadRequest");
    client.admin(Method::DELETE, &knob, ADMIN_TOKEN, "").await.expect(204);
    client.put("lake?resource=filesystem", &[]).await.expect(201);
    client.get("lake/file", &[]).await.refused(404, "PathNotFound");
    fixture.running.stop().await.unwrap();
}
