use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest as _, Md5};
use reqwest::Method;

use crate::client::{ACCOUNT, ADMIN_TOKEN, Client, Fixture, Reply};
use crate::signatures::{END, account_signature, account_signature_of};

const XML: (&str, &str) = ("accept", "application/xml");

async fn put(client: &Client, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    client.send(Method::PUT, target, headers, body.to_vec()).await
}

fn url(client: &Client, path: &str) -> String {
    format!("{}/{ACCOUNT}/{path}", client.url)
}

#[tokio::test]
async fn a_copy_is_done_when_it_is_answered() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let made = [("x-ms-properties", "a=MQ=="), ("x-ms-content-type", "text/x")];
    client.put("lake/dir/file?resource=file", &made).await.expect(201);
    client.patch("lake/dir/file?action=append&position=0&flush=true", &[], b"content").await.expect(202);
    let from = url(client, "lake/dir/file?sv=a&sig=b");
    let source = ("x-ms-copy-source", from.as_str());
    let copied = client.put("lake/other/copy", &[source]).await.expect(202);
    assert_eq!(copied.header("x-ms-copy-status"), "success");
    let head = client.head("lake/other/copy", &[XML]).await.expect(200);
    assert_eq!((head.etag(), head.header("x-ms-copy-id")), (copied.etag(), copied.header("x-ms-copy-id")));
    let shown = url(client, "lake/dir/file");
    assert_eq!((head.header("x-ms-copy-source"), head.header("x-ms-copy-progress")), (shown.as_str(), "7/7"));
    assert_eq!((head.header("x-ms-meta-a"), head.header("content-type")), ("1", "text/x"));
    assert_eq!(client.get("lake/other/copy", &[]).await.expect(200).text(), "content");

    let own = [source, ("x-ms-meta-b", "2"), ("x-ms-access-tier", "Cool")];
    client.put("lake/other/copy", &own).await.expect(202);
    let head = client.head("lake/other/copy", &[]).await.expect(200);
    assert_eq!((head.header("x-ms-properties"), head.header("x-ms-access-tier")), ("b=Mg==", "Cool"));
    client.put("lake/other/copy", &[source, ("if-none-match", "*")]).await.refused(409, "BlobAlreadyExists");
    let stale = [source, ("x-ms-source-if-match", "\"0x1\"")];
    client.put("lake/other/copy", &stale).await.refused(412, "SourceConditionNotMet");
    client.put("lake/dir", &[source]).await.refused(409, "PathConflict");
    let of_directory = url(client, "lake/dir");
    client.put("lake/x", &[("x-ms-copy-source", &of_directory)]).await.refused(409, "PathConflict");
    let of_none = url(client, "lake/none");
    client.put("lake/x", &[("x-ms-copy-source", &of_none)]).await.refused(404, "BlobNotFound");
    for elsewhere in ["https://elsewhere.example/acct/lake/file", &format!("{}/other/lake/file", client.url)]
    {
        let from = [("x-ms-copy-source", elsewhere)];
        client.put("lake/x", &from).await.refused(404, "CannotVerifyCopySource");
    }
    client.put("lake/x", &[("x-ms-copy-source", "/lake/file")]).await.refused(400, "InvalidHeaderValue");
    client.head("lake/x", &[]).await.expect(404);
    client.put("lake/other/copy?comp=copy&copyid=1", &[]).await.refused(409, "NoPendingCopyOperation");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn blobs_and_blocks_are_put_from_a_url() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"0123456789").await;
    let from = url(client, "lake/file");
    let source = ("x-ms-copy-source", from.as_str());
    client.put("lake/whole", &[source, ("x-ms-blob-type", "BlockBlob")]).await.expect(201);
    assert_eq!(client.get("lake/whole", &[]).await.expect(200).text(), "0123456789");
    for (id, range) in [("YQ==", "bytes=6-"), ("Yg==", "bytes=0-2")] {
        let target = format!("lake/parts?comp=block&blockid={}", id.replace('=', "%3D"));
        client.put(&target, &[source, ("x-ms-source-range", range)]).await.expect(201);
    }
    let list = b"<BlockList><Latest>YQ==</Latest><Latest>Yg==</Latest></BlockList>";
    put(client, "lake/parts?comp=blocklist", &[], list).await.expect(201);
    assert_eq!(client.get("lake/parts", &[]).await.expect(200).text(), "6789012");
    let md5 = BASE64.encode(Md5::digest(b"678"));
    let checked = |range| [source, ("x-ms-source-range", range), ("x-ms-source-content-md5", md5.as_str())];
    let block = "lake/parts?comp=block&blockid=Yw%3D%3D";
    client.put(block, &checked("bytes=6-8")).await.expect(201);
    client.put(block, &checked("bytes=6-9")).await.refused(400, "Md5Mismatch");
    let behind = [source, ("x-ms-source-range", "bytes=10-")];
    client.put("lake/parts?comp=block&blockid=YQ%3D%3D", &behind).await.refused(416, "InvalidRange");
    fixture.running.stop().await.unwrap();
}

async fn put_block(client: &Client, path: &str, id: &str, body: &[u8]) -> Reply {
    put(client, &format!("{path}?comp=block&blockid={}", id.replace('=', "%3D")), &[], body).await
}

async fn put_list(client: &Client, path: &str, entries: &[(&str, &str)]) -> Reply {
    let entries: String = entries.iter().map(|(kind, id)| format!("<{kind}>{id}</{kind}>")).collect();
    let xml = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{entries}</BlockList>");
    put(client, &format!("{path}?comp=blocklist"), &[], xml.as_bytes()).await
}

async fn block_list(client: &Client, path: &str, kind: &str) -> String {
    let target = format!("{path}?comp=blocklist&blocklisttype={kind}");
    let text = client.get(&target, &[]).await.expect(200).text();
    text.split("<BlockList>").nth(1).unwrap().split("</BlockList>").next().unwrap().to_owned()
}

fn block(id: &str, size: usize) -> String {
    format!("<Block><Name>{id}</Name><Size>{size}</Size></Block>")
}

#[tokio::test]
async fn committed_blocks_can_be_listed_and_named_again() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let missing = client.get("lake/big?comp=blocklist", &[]).await;
    missing.refused(404, "BlobNotFound");
    put_block(client, "lake/big", "YQ==", b"hello ").await.expect(201);
    put_block(client, "lake/big", "Yg==", b"world").await.expect(201);
    let (a, b) = (block("YQ==", 6), block("Yg==", 5));
    let none = "<CommittedBlocks></CommittedBlocks>";
    assert_eq!(block_list(client, "lake/big", "committed").await, none);
    let waiting = format!("<UncommittedBlocks>{a}{b}</UncommittedBlocks>");
    assert_eq!(block_list(client, "lake/big", "all").await, format!("{none}{waiting}"));
    put_list(client, "lake/big", &[("Latest", "YQ=="), ("Uncommitted", "Yg==")]).await.expect(201);
    let fixture = fixture.restart().await;
    let client = &fixture.client;
    let listed = client.get("lake/big?comp=blocklist", &[]).await.expect(200);
    assert_eq!(listed.header("x-ms-blob-content-length"), "11");
    assert_eq!(
        block_list(client, "lake/big", "committed").await,
        format!("<CommittedBlocks>{a}{b}</CommittedBlocks>")
    );

    put_block(client, "lake/big", "Yg==", b"moon").await.expect(201);
    put_block(client, "lake/big", "Yw==", b"!").await.expect(201);
    let waiting = format!("<UncommittedBlocks>{}{}</UncommittedBlocks>", block("Yg==", 4), block("Yw==", 1));
    assert_eq!(block_list(client, "lake/big", "uncommitted").await, waiting);
    let again = [
        ("Committed", "YQ=="),
        ("Latest", "YQ=="),
        ("Committed", "Yg=="),
        ("Latest", "Yg=="),
        ("Latest", "Yw=="),
    ];
    put_list(client, "lake/big", &[("Uncommitted", "YQ==")]).await.refused(400, "InvalidBlockList");
    put_list(client, "lake/big", &[("Committed", "Yw==")]).await.refused(400, "InvalidBlockList");
    put_list(client, "lake/big", &again).await.expect(201);
    assert_eq!(client.get("lake/big", &[]).await.expect(200).text(), "hello hello worldmoon!");

    // A file that the DFS endpoint makes in its place consists of none.
    client.write("lake/big", b"anew").await;
    assert_eq!(
        block_list(client, "lake/big", "all").await,
        format!("{none}<UncommittedBlocks></UncommittedBlocks>")
    );
    client
        .get("lake/big?comp=blocklist&blocklisttype=some", &[])
        .await
        .refused(400, "InvalidQueryParameterValue");
    client.put("lake/dir?resource=directory", &[]).await.expect(201);
    client.get("lake/dir?comp=blocklist", &[]).await.refused(409, "PathConflict");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_file_of_the_other_endpoint_takes_no_blocks() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    put_block(client, "lake/file", "YQ==", b"early").await.expect(201);
    client.write("lake/file", b"content").await;
    put_block(client, "lake/file", "Yg==", b"late").await.refused(409, "BlobOperationNotSupported");
    put_list(client, "lake/file", &[("Latest", "YQ==")]).await.refused(409, "BlobOperationNotSupported");
    put_list(client, "lake/file", &[]).await.refused(409, "BlobOperationNotSupported");
    let from = url(client, "lake/file");
    let block = "lake/file?comp=block&blockid=Yw%3D%3D";
    client.put(block, &[("x-ms-copy-source", &from)]).await.refused(409, "BlobOperationNotSupported");
    // Whatever its properties, and wherever it is moved.
    let typed = [("x-ms-blob-content-type", "text/x")];
    let written = client.put("lake/file?comp=properties", &typed).await.expect(200);
    client.put("lake/moved", &[("x-ms-rename-source", "/lake/file")]).await.expect(201);
    put_block(client, "lake/moved", "Yg==", b"late").await.refused(409, "BlobOperationNotSupported");
    let read = client.get("lake/moved", &[]).await.expect(200);
    assert_eq!(
        (read.text().as_str(), read.header("last-modified")),
        ("content", written.header("last-modified"))
    );
    assert_eq!(std::fs::read_dir(fixture.folder.path().join("spool")).unwrap().count(), 1);

    // What replaces it through the Blob endpoint is a blob.
    let from = url(client, "lake/moved");
    client.put("lake/copy", &[("x-ms-copy-source", &from)]).await.expect(202);
    put_block(client, "lake/copy", "Yg==", b"late").await.expect(201);
    put(client, "lake/moved", &[("x-ms-blob-type", "BlockBlob")], b"blob").await.expect(201);
    put_block(client, "lake/moved", "Yg==", b"late").await.expect(201);
    put_list(client, "lake/moved", &[("Latest", "Yg==")]).await.expect(201);
    assert_eq!(client.get("lake/moved", &[]).await.expect(200).text(), "late");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn tiers_are_remembered() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let written = client.write("lake/file", b"x").await;
    let head = client.head("lake/file", &[]).await.expect(200);
    assert_eq!((head.header("x-ms-access-tier"), head.header("x-ms-access-tier-inferred")), ("Hot", "true"));
    client.put("lake/file?comp=tier", &[("x-ms-access-tier", "Cool")]).await.expect(200);
    assert_eq!(client.head("lake/file", &[]).await.expect(200).etag(), written.etag());
    client.put("lake/file?comp=properties", &[("x-ms-blob-content-type", "text/x")]).await.expect(200);
    let head = client.head("lake/file", &[]).await.expect(200);
    assert_eq!((head.header("x-ms-access-tier"), head.header("x-ms-access-tier-inferred")), ("Cool", ""));
    let listed = client.get("lake?restype=container&comp=list", &[]).await.expect(200).text();
    assert!(listed.contains("<AccessTier>Cool</AccessTier>"), "{listed}");
    client.put("lake/file?comp=tier", &[]).await.refused(400, "MissingRequiredHeader");
    client
        .put("lake/file?comp=tier", &[("x-ms-access-tier", "Warm")])
        .await
        .refused(400, "InvalidHeaderValue");
    client
        .put("lake/file?comp=tier", &[("x-ms-access-tier", "Archive")])
        .await
        .refused(501, "NotImplemented");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_copy_from_another_account_takes_a_signature_of_that_one() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let made = client.admin(Method::PUT, "/accounts/other", ADMIN_TOKEN, "").await.expect(201).json();
    let key = BASE64.decode(made["keys"][0]["value"].as_str().unwrap()).unwrap();
    let signed = |letters: &str| account_signature_of(("other", &key), letters, "b", "co", END);
    let version = ("x-ms-version".to_owned(), "2026-10-06".to_owned());
    let container = format!("/other/source?restype=container&{}", signed("c"));
    client
        .send_unsigned(Method::PUT, &container, std::slice::from_ref(&version), Vec::new())
        .await
        .expect(201);
    let blob = format!("/other/source/file?{}", signed("c"));
    let headers = [version, ("x-ms-blob-type".to_owned(), "BlockBlob".to_owned())];
    client.send_unsigned(Method::PUT, &blob, &headers, b"content".to_vec()).await.expect(201);

    let file = format!("{}/other/source/file", client.url);
    for (signature, status, code) in [
        (String::new(), 404, "CannotVerifyCopySource"),
        (signed("w"), 403, "AuthorizationPermissionMismatch"),
        (account_signature("r", "b", "o", END), 403, "AuthenticationFailed"),
    ] {
        let from = format!("{file}?{signature}");
        let source = ("x-ms-copy-source", from.as_str());
        client.put("lake/none", &[source]).await.refused(status, code);
        client.put("lake/none", &[source, ("x-ms-blob-type", "BlockBlob")]).await.refused(status, code);
        client.put("lake/none?comp=block&blockid=YQ%3D%3D", &[source]).await.refused(status, code);
    }
    client.head("lake/none", &[]).await.refused(404, "PathNotFound");

    let from = format!("{file}?{}", signed("r"));
    let source = ("x-ms-copy-source", from.as_str());
    client.put("lake/copy", &[source]).await.expect(202);
    client.put("lake/put", &[source, ("x-ms-blob-type", "BlockBlob")]).await.expect(201);
    client.put("lake/parts?comp=block&blockid=YQ%3D%3D", &[source]).await.expect(201);
    let list = b"<BlockList><Latest>YQ==</Latest></BlockList>";
    put(client, "lake/parts?comp=blocklist", &[], list).await.expect(201);
    for path in ["lake/copy", "lake/put", "lake/parts"] {
        assert_eq!(client.get(path, &[]).await.expect(200).text(), "content", "{path}");
    }
    assert_eq!(client.head("lake/copy", &[]).await.expect(200).header("x-ms-copy-source"), file);
    // Also where the request itself comes with a signature.
    let own = account_signature("c", "b", "o", END);
    client.send_with(&own, Method::PUT, "lake/by-signature", &[source], b"").await.expect(202);
    fixture.running.stop().await.unwrap();
}
