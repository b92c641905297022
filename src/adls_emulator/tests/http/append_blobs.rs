//! Append blobs: what the Blob endpoint makes and appends to, and those of the Data Lake endpoint.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest as _, Md5};
use reqwest::Method;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use crate::client::{ACCOUNT, ADMIN_TOKEN, Client, Fixture, Reply};

const MAKE: (&str, &str) = ("x-ms-blob-type", "AppendBlob");
const BLOCK_BLOB: (&str, &str) = ("x-ms-blob-type", "BlockBlob");
const XML: (&str, &str) = ("accept", "application/xml");
const A: &str = "8d0b6d5e-3b47-4d5a-9d4e-0d9f1ad4f8a5";

async fn append(client: &Client, path: &str, headers: &[(&str, &str)], block: &[u8]) -> Reply {
    client.send(Method::PUT, &format!("{path}?comp=appendblock"), headers, block.to_vec()).await
}

async fn make(client: &Client, path: &str) {
    client.put(path, &[MAKE]).await.expect(201);
}

/// More than is kept in memory before it is written.
fn large(seed: u8) -> Vec<u8> {
    (0..700_000_u32).map(|at| (at % 251) as u8 ^ seed).collect()
}

fn told(reply: &Reply) -> (&str, &str) {
    (reply.header("x-ms-blob-append-offset"), reply.header("x-ms-blob-committed-block-count"))
}

fn url(client: &Client, path: &str) -> String {
    format!("{}/{ACCOUNT}/{path}", client.url)
}

#[tokio::test]
async fn blocks_are_there_as_soon_as_they_are_acknowledged() {
    for fixture in [Fixture::start().await, Fixture::in_memory().await] {
        let client = &fixture.client;
        let own = [MAKE, ("x-ms-blob-content-type", "text/x"), ("x-ms-meta-a", "1")];
        let made = client.put("lake/d/log", &own).await.expect(201);
        let head = client.head("lake/d/log", &[XML]).await.expect(200);
        assert_eq!((head.etag(), head.header("content-length")), (made.etag(), "0"));
        assert_eq!((head.header("x-ms-blob-type"), head.header("content-type")), ("AppendBlob", "text/x"));
        assert_eq!((head.header("x-ms-blob-committed-block-count"), head.header("x-ms-meta-a")), ("0", "1"));
        assert_eq!((head.header("x-ms-access-tier"), head.header("x-ms-blob-sealed")), ("", ""));

        let first = append(client, "lake/d/log", &[], b"one").await.expect(201);
        assert_eq!(told(&first), ("0", "1"));
        assert_ne!(first.etag(), made.etag());
        let md5 = BASE64.encode(Md5::digest(large(1)));
        let second = append(client, "lake/d/log", &[("content-md5", &md5)], &large(1)).await.expect(201);
        assert_eq!((told(&second), second.header("content-md5")), (("3", "2"), md5.as_str()));
        let third = append(client, "lake/d/log", &[("x-ms-blob-type", "appendblob")], b"three").await;
        let third = third.expect(201);
        assert_eq!((told(&third), third.header("content-md5")), (("700003", "3"), ""));
        assert_eq!(third.header("x-ms-content-crc64").len(), 12);

        let whole = [b"one".as_slice(), &large(1), b"three"].concat();
        let read = client.get("lake/d/log", &[XML]).await.expect(200);
        assert!(read.body == whole);
        assert_eq!((read.etag(), read.header("x-ms-blob-type")), (third.etag(), "AppendBlob"));
        assert_eq!(read.header("x-ms-blob-committed-block-count"), "3");
        let listed =
            client.get("lake?restype=container&comp=list&prefix=d/log", &[]).await.expect(200).text();
        assert!(listed.contains("<BlobType>AppendBlob</BlobType><Sealed>false</Sealed>"), "{listed}");
        assert!(listed.contains("<Content-Length>700008<") && !listed.contains("AccessTier"), "{listed}");
        // Made anew: empty again.
        make(client, "lake/d/log").await;
        assert_eq!(told(&append(client, "lake/d/log", &[], b"1").await.expect(201)), ("0", "1"));
        fixture.running.stop().await.unwrap();
    }
}

#[tokio::test]
async fn what_a_block_must_not_be_is_refused_and_nothing_of_it_is_there() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    make(client, "lake/log").await;
    append(client, "lake/log", &[], b"one").await.expect(201);
    let other = BASE64.encode(Md5::digest(b"other"));
    for block in [b"two".to_vec(), large(1)] {
        let wrong = append(client, "lake/log", &[("content-md5", &other)], &block).await;
        wrong.refused(400, "Md5Mismatch");
        let wrong = append(client, "lake/log", &[("x-ms-content-crc64", "AAAAAAAAAAA=")], &block).await;
        wrong.refused(400, "Crc64Mismatch");
        append(client, "lake/none", &[], &block).await.refused(404, "BlobNotFound");
    }
    append(client, "lake/log", &[], b"").await.refused(400, "InvalidHeaderValue");
    // The limit is that of the version.
    let old = ("x-ms-version", "2022-11-01");
    append(client, "lake/log", &[old], &vec![0; (4 << 20) + 1]).await.refused(413, "RequestBodyTooLarge");
    // Of the larger one nothing has to arrive.
    let head = client.signed_head("PUT", "lake/log?comp=appendblock", (100 << 20) + 1);
    assert!(status_line(client, &head).await.starts_with("HTTP/1.1 413"));
    let sent = client.send(Method::PUT, "lake/new", &[MAKE], b"content".to_vec()).await;
    sent.refused(400, "ContentLengthMustBeZero");
    client.head("lake/new", &[]).await.expect(404);
    assert_eq!(client.get("lake/log", &[]).await.expect(200).text(), "one");
    assert_eq!(std::fs::read_dir(fixture.folder.path().join("spool")).unwrap().count(), 0);
    fixture.running.stop().await.unwrap();
}

/// Of the answer to a request of which only the head is sent.
async fn status_line(client: &Client, head: &str) -> String {
    let address = client.url.strip_prefix("http://").unwrap();
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut line = String::new();
    BufReader::new(socket).read_line(&mut line).await.unwrap();
    line
}

#[tokio::test]
async fn conditions_of_a_block_are_those_of_its_place_and_of_every_write() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    make(client, "lake/log").await;
    let position = |at: &'static str| ("x-ms-blob-condition-appendpos", at);
    let most = |size: &'static str| ("x-ms-blob-condition-maxsize", size);
    let first = append(client, "lake/log", &[position("0"), most("3")], b"one").await.expect(201);
    for block in [b"two".to_vec(), large(1)] {
        let at = append(client, "lake/log", &[position("0")], &block).await;
        at.refused(412, "AppendPositionConditionNotMet");
        let full = append(client, "lake/log", &[most("5")], &block).await;
        full.refused(412, "MaxBlobSizeConditionNotMet");
        let stale = append(client, "lake/log", &[("if-match", "\"0x1\"")], &block).await;
        stale.refused(412, "ConditionNotMet");
        let same = append(client, "lake/log", &[("if-none-match", first.etag())], &block).await;
        same.refused(412, "ConditionNotMet");
    }
    append(client, "lake/log", &[most("2")], b"x").await.refused(412, "MaxBlobSizeConditionNotMet");
    append(client, "lake/log", &[position("x")], b"x").await.refused(400, "InvalidHeaderValue");
    let held = [position("3"), most("6"), ("if-match", first.etag())];
    append(client, "lake/log", &held, b"two").await.expect(201);

    let acquire =
        [("x-ms-lease-action", "acquire"), ("x-ms-proposed-lease-id", A), ("x-ms-lease-duration", "-1")];
    client.put("lake/log?comp=lease", &acquire).await.expect(201);
    append(client, "lake/log", &[], b"x").await.refused(412, "LeaseIdMissing");
    let other = [("x-ms-lease-id", "0f6bb6a5-7f34-4f3b-8e9f-6f2f0d3c5a11")];
    append(client, "lake/log", &other, b"x").await.refused(412, "LeaseIdMismatchWithBlobOperation");
    append(client, "lake/log", &[("x-ms-lease-id", A)], b"three").await.expect(201);
    client.put("lake/log?comp=seal", &[XML]).await.refused(412, "LeaseIdMissing");
    client.put("lake/log", &[MAKE]).await.refused(412, "LeaseIdMissing");
    client.put("lake/log", &[MAKE, ("if-none-match", "*")]).await.refused(409, "BlobAlreadyExists");
    assert_eq!(client.get("lake/log", &[]).await.expect(200).text(), "onetwothree");
    client.put("lake/log?comp=seal", &[("x-ms-lease-id", A)]).await.expect(200);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_sealed_blob_takes_no_more_but_can_be_described_and_replaced() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    make(client, "lake/log").await;
    let before = append(client, "lake/log", &[], b"one").await.expect(201);
    let position = |at: &'static str| ("x-ms-blob-condition-appendpos", at);
    client.put("lake/log?comp=seal", &[position("1")]).await.refused(412, "AppendPositionConditionNotMet");
    client.put("lake/log?comp=seal", &[("if-match", "\"0x1\"")]).await.refused(412, "ConditionNotMet");
    client.put("lake/none?comp=seal", &[]).await.refused(404, "BlobNotFound");
    assert_eq!(client.head("lake/log", &[]).await.expect(200).header("x-ms-blob-sealed"), "");
    for _ in 0..2 {
        let sealed = client.put("lake/log?comp=seal", &[position("3")]).await.expect(200);
        assert_eq!((sealed.etag(), sealed.header("x-ms-blob-sealed")), (before.etag(), "true"));
        assert_eq!(sealed.header("last-modified"), before.header("last-modified"));
    }
    let fixture = fixture.restart().await;
    let client = &fixture.client;
    for block in [b"two".to_vec(), large(1)] {
        append(client, "lake/log", &[], &block).await.refused(409, "BlobIsSealed");
    }
    client.put("lake/log?comp=metadata", &[("x-ms-meta-a", "1")]).await.expect(200);
    client.put("lake/log?comp=properties", &[("x-ms-blob-content-type", "text/x")]).await.expect(200);
    client.put("lake/moved", &[("x-ms-rename-source", "/lake/log")]).await.expect(201);
    let read = client.get("lake/moved", &[]).await.expect(200);
    assert_eq!((read.text().as_str(), read.header("x-ms-blob-sealed")), ("one", "true"));
    assert_eq!((read.header("x-ms-meta-a"), read.header("content-type")), ("1", "text/x"));
    let listed = client.get("lake?restype=container&comp=list", &[]).await.expect(200).text();
    assert!(listed.contains("<Sealed>true</Sealed>"), "{listed}");
    make(client, "lake/moved").await;
    append(client, "lake/moved", &[], b"anew").await.expect(201);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn operations_of_another_type_of_blob_are_refused() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    make(client, "lake/log").await;
    append(client, "lake/log", &[], b"one").await.expect(201);
    client.send(Method::PUT, "lake/block", &[BLOCK_BLOB], b"x".to_vec()).await.expect(201);
    client.put("lake/directory?resource=directory", &[]).await.expect(201);

    let wrong = "InvalidBlobType";
    let block = client.send(Method::PUT, "lake/log?comp=block&blockid=YQ%3D%3D", &[], b"x".to_vec()).await;
    block.refused(409, wrong);
    let list = client.send(Method::PUT, "lake/log?comp=blocklist", &[], b"<BlockList/>".to_vec()).await;
    list.refused(409, wrong);
    client.get("lake/log?comp=blocklist", &[]).await.refused(409, wrong);
    client.put("lake/log?comp=tier", &[("x-ms-access-tier", "Cool")]).await.refused(409, wrong);
    client.send(Method::PUT, "lake/log", &[BLOCK_BLOB], b"x".to_vec()).await.refused(409, wrong);
    let source = url(client, "lake/block");
    client.put("lake/log", &[("x-ms-copy-source", &source)]).await.refused(409, wrong);
    assert_eq!(client.get("lake/log", &[]).await.expect(200).text(), "one");

    append(client, "lake/block", &[], b"x").await.refused(409, wrong);
    append(client, "lake/block", &[], &large(1)).await.refused(409, wrong);
    client.put("lake/block?comp=seal", &[]).await.refused(409, wrong);
    client.put("lake/block", &[MAKE]).await.refused(409, wrong);
    for page in [("x-ms-blob-content-length", "512"), ("x-ms-sequence-number-action", "increment")] {
        client.put("lake/block?comp=properties", &[page]).await.refused(409, wrong);
    }
    append(client, "lake/directory", &[], b"x").await.refused(409, "PathConflict");
    client.put("lake/directory", &[MAKE]).await.refused(409, "PathConflict");
    let kept = client.get("lake/block", &[]).await.expect(200);
    assert_eq!((kept.text().as_str(), kept.header("x-ms-blob-type")), ("x", "BlockBlob"));
    client.delete("lake/block", &[XML]).await.expect(202);
    make(client, "lake/block").await;
    fixture.running.stop().await.unwrap();
}

/// As Hadoop's driver does below `fs.azure.appendblob.directories`: it appends at the end, and flushes only when it closes.
#[tokio::test]
async fn an_append_blob_of_the_data_lake_endpoint_commits_each_append() {
    for fixture in [Fixture::start().await, Fixture::in_memory().await] {
        let client = &fixture.client;
        let made = client.put("lake/log?resource=file&blobType=appendblob", &[]).await.expect(201);
        let patch = [("x-http-method-override", "PATCH")];
        let at = |position: usize| format!("lake/log?action=append&position={position}");
        let first = client.send(Method::PUT, &at(0), &patch, b"one".to_vec()).await.expect(202);
        assert_ne!(first.etag(), made.etag());
        client.send(Method::PUT, &format!("{}&flush=true", at(3)), &patch, large(1)).await.expect(202);
        client.send(Method::PUT, &at(700_003), &patch, large(2)).await.expect(202);
        let whole = [b"one".as_slice(), &large(1), &large(2)].concat();
        let read = client.get("lake/log", &[]).await.expect(200);
        assert!(read.body == whole);
        assert_eq!(read.header("x-ms-blob-type"), "AppendBlob");
        assert_eq!(read.header("x-ms-blob-committed-block-count"), "3");

        // Repeated, and beyond the end; the driver looks at the length then.
        for (position, data) in [(0, b"one".to_vec()), (700_003, large(2)), (2_000_000, b"x".to_vec())] {
            let again = client.send(Method::PUT, &at(position), &patch, data).await;
            again.refused(400, "InvalidQueryParameterValue");
        }
        let close = "lake/log?action=flush&close=true&position=";
        client.patch(&format!("{close}1400004"), &[], b"").await.refused(400, "InvalidFlushPosition");
        client.patch(&format!("{close}5"), &[], b"").await.refused(400, "InvalidFlushPosition");
        let settings = [("x-ms-content-type", "text/x")];
        client.patch(&format!("{close}1400003"), &settings, b"").await.expect(200);
        let read = client.get("lake/log", &[]).await.expect(200);
        assert!(read.body == whole);
        assert_eq!((read.header("x-ms-blob-type"), read.header("content-type")), ("AppendBlob", "text/x"));
        client.put("lake/log?comp=seal", &[]).await.expect(200);
        client.send(Method::PUT, &at(1_400_003), &patch, b"x".to_vec()).await.refused(409, "BlobIsSealed");

        let acquire =
            [("x-ms-lease-action", "acquire"), ("x-ms-proposed-lease-id", A), ("x-ms-lease-duration", "-1")];
        client.put("lake/held?resource=file&blobType=AppendBlob", &[]).await.expect(201);
        client.send(Method::POST, "lake/held", &acquire, Vec::new()).await.expect(201);
        let held = "lake/held?action=append&position=0";
        client.patch(held, &[], b"x").await.refused(412, "LeaseIdMissing");
        let release = [("x-ms-lease-id", A), ("x-ms-lease-action", "release")];
        client.patch(&format!("{held}&flush=true"), &release, b"x").await.expect(202);
        client.patch("lake/held?action=append&position=1", &[], b"y").await.expect(202);
        assert_eq!(client.get("lake/held", &[]).await.expect(200).text(), "xy");
        let kind = |kind: &str, of: &str| format!("lake/other?resource={of}&blobType={kind}");
        for target in [kind("pageblob", "file"), kind("appendblob", "directory")] {
            client.put(&target, &[]).await.refused(400, "InvalidQueryParameterValue");
        }
        fixture.running.stop().await.unwrap();
    }
}

/// The service's documentation of issues with both APIs: neither writes to an instance of a file that the other one has made, but
/// each may replace it.
#[tokio::test]
async fn only_the_endpoint_that_has_made_a_file_writes_to_it() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    client.send(Method::PUT, "lake/block", &[BLOCK_BLOB], b"content".to_vec()).await.expect(201);
    client.send(Method::PUT, "lake/empty", &[BLOCK_BLOB], Vec::new()).await.expect(201);
    make(client, "lake/log").await;
    append(client, "lake/log", &[], b"content").await.expect(201);
    for (path, length) in [("block", 7), ("log", 7), ("empty", 0)] {
        for data in [b"more".to_vec(), large(1)] {
            let target = format!("lake/{path}?action=append&position={length}");
            client.patch(&target, &[], &data).await.refused(409, "InvalidAppendOperation");
            let target = format!("{target}&flush=true");
            client.patch(&target, &[], &data).await.refused(409, "InvalidAppendOperation");
        }
        let target = format!("lake/{path}?action=flush&position={length}");
        client.patch(&target, &[], b"").await.refused(409, "InvalidFlushOperation");
        let read = client.get(&format!("lake/{path}"), &[]).await.expect(200);
        assert_eq!(read.text(), "content"[..length]);
        // Only its content is the other endpoint's.
        let target = format!("lake/{path}?action=setProperties");
        client.patch(&target, &[("x-ms-properties", "a=MQ==")], b"").await.expect(200);
        client.write(&format!("lake/{path}"), b"anew").await;
        let read = client.get(&format!("lake/{path}"), &[]).await.expect(200);
        assert_eq!((read.text().as_str(), read.header("x-ms-blob-type")), ("anew", "BlockBlob"));
    }
    client.put("lake/lake?resource=file&blobType=appendblob", &[]).await.expect(201);
    client.patch("lake/lake?action=append&position=0", &[], b"one").await.expect(202);
    for block in [b"two".to_vec(), large(1)] {
        append(client, "lake/lake", &[], &block).await.refused(409, "BlobOperationNotSupported");
    }
    assert_eq!(client.get("lake/lake", &[]).await.expect(200).text(), "one");
    make(client, "lake/lake").await;
    append(client, "lake/lake", &[], b"two").await.expect(201);
    assert_eq!(client.get("lake/lake", &[]).await.expect(200).text(), "two");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn copies_of_append_blobs_are_append_blobs_and_blocks_come_from_other_blobs() {
    for fixture in [Fixture::start().await, Fixture::in_memory().await] {
        let client = &fixture.client;
        make(client, "lake/log").await;
        for block in [b"one".as_slice(), b"two"] {
            append(client, "lake/log", &[], block).await.expect(201);
        }
        client.put("lake/log?comp=seal", &[]).await.expect(200);
        let source = url(client, "lake/log");
        let from = ("x-ms-copy-source", source.as_str());
        client.put("lake/copy", &[from]).await.expect(202);
        let copy = client.get("lake/copy", &[]).await.expect(200);
        assert_eq!((copy.text().as_str(), copy.header("x-ms-blob-type")), ("onetwo", "AppendBlob"));
        assert_eq!(copy.header("x-ms-blob-committed-block-count"), "2");
        assert_eq!(copy.header("x-ms-blob-sealed"), "true");
        client.put("lake/open", &[from, ("x-ms-seal-blob", "false")]).await.expect(202);
        assert_eq!(told(&append(client, "lake/open", &[], b"three").await.expect(201)), ("6", "3"));
        client.put("lake/open", &[from, ("x-ms-seal-blob", "x")]).await.refused(400, "InvalidHeaderValue");
        client.put("lake/block", &[from, BLOCK_BLOB]).await.expect(201);
        assert_eq!(client.head("lake/block", &[]).await.expect(200).header("x-ms-blob-type"), "BlockBlob");
        let block = url(client, "lake/block");
        let seal = [("x-ms-copy-source", block.as_str()), ("x-ms-seal-blob", "true")];
        client.put("lake/other", &seal).await.refused(400, "InvalidHeaderValue");

        client.write("lake/file", &large(3)).await;
        let source = url(client, "lake/file");
        let from = ("x-ms-copy-source", source.as_str());
        let append_from =
            async |headers: &[(&str, &str)]| client.put("lake/open?comp=appendblock", headers).await;
        let part = append_from(&[from, ("x-ms-source-range", "bytes=5-9")]).await.expect(201);
        assert_eq!(told(&part), ("11", "4"));
        let position = ("x-ms-blob-condition-appendpos", "11");
        append_from(&[from, position]).await.refused(412, "AppendPositionConditionNotMet");
        let other = BASE64.encode(Md5::digest(b"other"));
        append_from(&[from, ("x-ms-source-content-md5", &other)]).await.refused(400, "Md5Mismatch");
        let stale = append_from(&[from, ("x-ms-source-if-match", "\"0x1\"")]).await;
        stale.refused(412, "SourceConditionNotMet");
        client.write("lake/long", &vec![0; (4 << 20) + 1]).await;
        let long = url(client, "lake/long");
        let old = append_from(&[("x-ms-copy-source", &long), ("x-ms-version", "2022-11-01")]).await;
        old.refused(413, "RequestBodyTooLarge");
        let empty = url(client, "lake/empty");
        client.write("lake/empty", b"").await;
        append_from(&[("x-ms-copy-source", &empty)]).await.refused(400, "InvalidHeaderValue");
        append_from(&[("x-ms-copy-source", &url(client, "lake/none"))]).await.refused(404, "BlobNotFound");
        assert_eq!(told(&append_from(&[from]).await.expect(201)), ("16", "5"));
        let whole = [b"onetwothree".as_slice(), &large(3)[5..10], &large(3)].concat();
        assert!(client.get("lake/open", &[]).await.expect(200).body == whole);
        fixture.running.stop().await.unwrap();
    }
}

/// Each block whole and at the offset that its writer was told, whatever their sizes.
#[tokio::test]
async fn writers_at_the_same_time_put_their_blocks_behind_each_other() {
    for fixture in [Fixture::start().await, Fixture::in_memory().await] {
        make(&fixture.client, "lake/log").await;
        let writer = async |number: u8| {
            let client = Client::to(&fixture.running);
            let mut told = Vec::new();
            for round in 0..12_u8 {
                let length = if round % 4 == 3 { 400_000 } else { 100 + usize::from(number) };
                let block = vec![number * 16 + round; length];
                let reply = append(&client, "lake/log", &[], &block).await.expect(201);
                let offset: usize = reply.header("x-ms-blob-append-offset").parse().unwrap();
                told.push((offset, block));
            }
            told
        };
        let mut blocks = futures::future::join_all((0..6).map(writer)).await.concat();
        blocks.sort();
        let content = fixture.client.get("lake/log", &[]).await.expect(200).body;
        let mut at = 0;
        for (offset, block) in &blocks {
            assert_eq!(*offset, at);
            at += block.len();
            assert!(content[*offset..at] == block[..], "the block at {offset}");
        }
        assert_eq!((content.len(), blocks.len()), (at, 72));
        let head = fixture.client.head("lake/log", &[]).await.expect(200);
        assert_eq!(head.header("x-ms-blob-committed-block-count"), "72");
        fixture.running.stop().await.unwrap();
    }
}

#[tokio::test]
async fn an_append_blob_expires_and_comes_back_as_what_it_was() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let keep = format!("/accounts/{ACCOUNT}");
    client.admin(Method::PUT, &keep, ADMIN_TOKEN, r#"{"deleteRetentionDays":7}"#).await.expect(200);
    make(client, "lake/log").await;
    append(client, "lake/log", &[], b"one").await.expect(201);
    client.delete("lake/log?recursive=false", &[]).await.expect(200);
    append(client, "lake/log", &[], b"x").await.refused(404, "BlobNotFound");
    let fixture = fixture.restart().await;
    let client = &fixture.client;
    client.put("lake/log?comp=undelete", &[]).await.expect(200);
    assert_eq!(told(&append(client, "lake/log", &[], b"two").await.expect(201)), ("3", "2"));
    let hour = [("x-ms-expiry-option", "RelativeToNow"), ("x-ms-expiry-time", "3600000")];
    client.put("lake/log?comp=expiry", &hour).await.expect(200);
    append(client, "lake/log", &[], b"three").await.expect(201);
    let read = client.get("lake/log", &[]).await.expect(200);
    assert_eq!((read.text().as_str(), read.header("x-ms-expiry-time").is_empty()), ("onetwothree", false));
    fixture.running.stop().await.unwrap();
}
