//! What every refusal carries, and that it leaves things as they were.

use crc_fast::CrcAlgorithm;
use reqwest::Method;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::client::{ACCOUNT, Client, Fixture, Reply};

#[track_caller]
fn carries_the_service_headers(reply: &Reply, what: &str) {
    let id = reply.header("x-ms-request-id");
    assert_eq!(id.len(), 36, "{what}: {id}");
    assert_eq!(
        (reply.header("x-ms-client-request-id"), reply.header("x-ms-version")),
        ("mine", "2023-11-03"),
        "{what}"
    );
    assert!(!reply.header("date").is_empty() && !reply.header("x-ms-error-code").is_empty(), "{what}");
    // Where there is a body it names the request too.
    assert!(reply.body.is_empty() || reply.text().contains(id), "{what}: {}", reply.text());
}

#[tokio::test]
async fn errors_carry_what_other_replies_carry() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    client.write("lake/dir/file", b"content").await;
    let headers = [("x-ms-client-request-id", "mine"), ("x-ms-version", "2023-11-03")];
    let stale = [headers[0], headers[1], ("if-match", "\"0x1\"")];
    let mut stranger = Client::to(&fixture.running);
    stranger.key = b"another key".to_vec();
    let blob = [headers[0], headers[1], ("x-ms-blob-type", "BlockBlob"), ("if-none-match", "*")];
    let busy = serde_json::json!({
        "selector": { "pathPrefix": "/lake/busy" }, "effect": { "error": { "kind": "serverBusy" } },
    });
    client.fault("busy", busy).await;
    let unsigned: Vec<_> =
        headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let nameless = format!("/{ACCOUNT}/lake/dir/file");
    for (status, what, reply) in [
        (404, "no file", client.get("lake/none", &headers).await),
        (404, "no file, by HEAD", client.head("lake/none", &headers).await),
        (404, "no filesystem", client.get("none?resource=filesystem&recursive=true", &headers).await),
        (409, "not empty", client.delete("lake/dir?recursive=false", &headers).await),
        (412, "changed", client.get("lake/dir/file", &stale).await),
        (409, "there already, by the Blob endpoint", client.put("lake/dir/file", &blob).await),
        (400, "no such action", client.patch("lake/dir/file?action=other", &headers, b"").await),
        (403, "another key", stranger.get("lake/dir/file", &headers).await),
        (401, "nobody", client.send_unsigned(Method::GET, &nameless, &unsigned, Vec::new()).await),
        (404, "no account", client.send_unsigned(Method::GET, "/nobody/lake", &unsigned, Vec::new()).await),
        (503, "busy", client.get("lake/busy", &headers).await),
    ] {
        let reply = reply.expect(status);
        carries_the_service_headers(&reply, what);
    }
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn paths_that_cannot_be_leave_nothing_of_themselves() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    client.write("lake/file", b"content").await;
    let deep = format!("lake/new/{}", vec!["d"; 70].join("/"));
    let long = format!("lake/new/way/{}", "n".repeat(300));
    let source = [("x-ms-rename-source", "/lake/file")];
    let blob = [("x-ms-blob-type", "BlockBlob")];
    for path in [&deep, &long] {
        let refused = [
            client.put(&format!("{path}?resource=file"), &[]).await,
            client.put(&format!("{path}?resource=directory"), &[]).await,
            client.put(path, &source).await,
            client.send(Method::PUT, path, &blob, b"x".to_vec()).await,
            client
                .send(Method::PUT, &format!("{path}?comp=block&blockid=YQ%3D%3D"), &[], b"x".to_vec())
                .await,
        ];
        for reply in refused {
            assert!(matches!(reply.status.as_u16(), 400 | 409), "{} {}", reply.status, reply.text());
        }
        client.head(path, &[]).await.expect(404);
    }
    let listed = client.get("lake?resource=filesystem&recursive=true", &[]).await.expect(200).json();
    let names: Vec<_> = listed["paths"].as_array().unwrap().iter().map(|path| &path["name"]).collect();
    assert_eq!(names, ["file"], "no directory on the way, and the source where it was");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn access_control_that_is_refused_leaves_the_one_before() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    let list = "user::rwx,user:alice:r-x,group::r-x,mask::r-x,other::---";
    client
        .put("lake/dir?resource=directory", &[("x-ms-acl", list), ("x-ms-owner", "alice")])
        .await
        .expect(201);
    let before = client.head("lake/dir?action=getAccessControl", &[]).await.expect(200);
    let many: String = (0..33).map(|number| format!(",user:u{number}:r--")).collect();
    let many = format!("user::rwx,group::r-x,other::---{many}");
    for headers in [
        &[("x-ms-acl", "user::rwz")][..],
        &[("x-ms-acl", "user::rwx,group::r-x,other::rwz")],
        &[("x-ms-acl", "user::rwx,group::r-x,other::---,user:bob:rwx,user:bob:r--")],
        &[("x-ms-acl", "owner::rwx,group::r-x,other::---")],
        &[("x-ms-acl", &many)],
        // The half that could be done is not done either.
        &[("x-ms-owner", "bob"), ("x-ms-acl", "user::rwz")],
        &[("x-ms-owner", "bob"), ("x-ms-permissions", "0999")],
    ] {
        let reply = client.patch("lake/dir?action=setAccessControl", headers, b"").await;
        assert_eq!(reply.status, 400, "{headers:?} {}", reply.text());
    }
    let after = client.head("lake/dir?action=getAccessControl", &[]).await.expect(200);
    for name in ["x-ms-acl", "x-ms-owner", "x-ms-permissions", "etag"] {
        assert_eq!(after.header(name), before.header(name), "{name}");
    }
    assert_eq!(after.header("x-ms-acl"), list);
    fixture.running.stop().await.unwrap();
}

fn crc64(data: &[u8]) -> String {
    BASE64.encode(crc_fast::checksum(CrcAlgorithm::Crc64Nvme, data).to_le_bytes())
}

#[tokio::test]
async fn a_blob_or_block_that_was_damaged_on_the_way_leaves_nothing() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let block = "lake/blob?comp=block&blockid=YQ%3D%3D";
    let kind = ("x-ms-blob-type", "BlockBlob");
    // Taken in at once, and written while it arrives.
    for length in [5, 400_000] {
        let content = vec![7; length];
        let (good, wrong) = (crc64(&content), crc64(b"something else"));
        let put = async |target: &str, crc: &str| {
            let headers = [kind, ("x-ms-content-crc64", crc)];
            client.send(Method::PUT, target, &headers, content.clone()).await
        };
        put("lake/blob", &wrong).await.refused(400, "Crc64Mismatch");
        client.head("lake/blob", &[]).await.expect(404);
        put(block, &wrong).await.refused(400, "Crc64Mismatch");
        let list = b"<BlockList><Latest>YQ==</Latest></BlockList>".to_vec();
        let commit = async || client.send(Method::PUT, "lake/blob?comp=blocklist", &[], list.clone()).await;
        commit().await.refused(400, "InvalidBlockList");
        assert_eq!(std::fs::read_dir(fixture.folder.path().join("spool")).unwrap().count(), 0);

        assert_eq!(put(block, &good).await.expect(201).header("x-ms-content-crc64"), good);
        // What was staged is not harmed.
        put(block, &wrong).await.refused(400, "Crc64Mismatch");
        commit().await.expect(201);
        assert!(client.get("lake/blob", &[]).await.expect(200).body == content);
        put("lake/blob", &good).await.expect(201);
        client.delete("lake/blob?recursive=false", &[]).await.expect(200);
    }
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_flush_may_say_that_the_file_is_complete() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    client.put("lake/file?resource=file", &[]).await.expect(201);
    client.patch("lake/file?action=append&position=0&flush=true&close=true", &[], b"one").await.expect(202);
    client.patch("lake/file?action=append&position=3", &[], b"two").await.expect(202);
    // It only says so: writing may go on.
    client.patch("lake/file?action=flush&position=6&close=true", &[], b"").await.expect(200);
    client.patch("lake/file?action=append&position=6&flush=true&close=false", &[], b"!").await.expect(202);
    assert_eq!(client.get("lake/file", &[]).await.expect(200).text(), "onetwo!");
    let perhaps = "lake/file?action=flush&position=7&close=perhaps";
    client.patch(perhaps, &[], b"").await.refused(400, "InvalidQueryParameterValue");
    fixture.running.stop().await.unwrap();
}
