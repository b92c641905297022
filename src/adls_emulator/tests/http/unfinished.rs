//! Writes that are refused, overtaken or cut in the middle, and what others have written meanwhile.

use reqwest::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{ACCOUNT, ADMIN_TOKEN, Client, Fixture};
use crate::durability::Process;

const A: &str = "8d0b6d5e-3b47-4d5a-9d4e-0d9f1ad4f8a5";
const B: &str = "0f6bb6a5-7f34-4f3b-8e9f-6f2f0d3c5a11";
const LENGTH: usize = 1_000_000;

/// An upload of `LENGTH` bytes of which a part has arrived: the emulator has counted it.
async fn begin(client: &Client, method: &str, target: &str) -> TcpStream {
    let counted = async || {
        let counters = client.admin(Method::GET, "/counters", ADMIN_TOKEN, "").await.json();
        counters["accounts"][ACCOUNT]["ingress_bytes"].as_u64().unwrap_or(0)
    };
    let before = counted().await;
    let mut socket = TcpStream::connect(client.url.strip_prefix("http://").unwrap()).await.unwrap();
    socket.write_all(client.signed_head(method, target, LENGTH).as_bytes()).await.unwrap();
    socket.write_all(&vec![b'-'; LENGTH / 2]).await.unwrap();
    while counted().await < before + (LENGTH / 2) as u64 {
        tokio::task::yield_now().await;
    }
    socket
}

async fn status(socket: &mut TcpStream) -> String {
    let mut status = [0; 12];
    socket.read_exact(&mut status).await.unwrap();
    String::from_utf8_lossy(&status).into_owned()
}

async fn finish(mut socket: TcpStream, rest: usize) {
    // It may have been refused and closed by now.
    let _ = socket.write_all(&vec![b'-'; rest]).await;
    let _ = socket.shutdown().await;
    let _ = socket.read_to_end(&mut Vec::new()).await;
}

#[tokio::test]
async fn a_writer_that_is_overtaken_changes_nothing_of_what_was_committed() {
    for flushed_at_once in [true, false] {
        let fixture = Fixture::start().await;
        let client = &fixture.client;
        client.put("lake/file?resource=file", &[]).await.expect(201);
        let slow = begin(client, "PATCH", "lake/file?action=append&position=0").await;
        let content = vec![b'+'; LENGTH];
        let append = format!("lake/file?action=append&position=0&flush={flushed_at_once}");
        client.patch(&append, &[], &content).await.expect(202);
        if !flushed_at_once {
            let flush = format!("lake/file?action=flush&position={LENGTH}");
            client.patch(&flush, &[], b"").await.expect(200);
        }
        assert!(client.get("lake/file", &[]).await.expect(200).body == content, "{flushed_at_once}");
        finish(slow, LENGTH / 2).await;
        assert!(client.get("lake/file", &[]).await.expect(200).body == content, "{flushed_at_once}");
        fixture.running.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_cut_block_leaves_an_append_blob_to_the_others() {
    for fixture in [Fixture::start().await, Fixture::in_memory().await] {
        let client = &fixture.client;
        client.put("lake/log", &[("x-ms-blob-type", "AppendBlob")]).await.expect(201);
        let block = "lake/log?comp=appendblock";
        let append =
            async |data: &[u8]| client.send(Method::PUT, block, &[], data.to_vec()).await.expect(201);
        append(b"one").await;
        let (cut, mut slow) = (begin(client, "PUT", block).await, begin(client, "PUT", block).await);
        append(b"two").await;
        finish(cut, 0).await;
        assert_eq!(client.get("lake/log", &[]).await.expect(200).text(), "onetwo");
        slow.write_all(&vec![b'-'; LENGTH / 2]).await.unwrap();
        assert_eq!(status(&mut slow).await, "HTTP/1.1 201");
        append(b"three").await;
        let whole = [b"onetwo".as_slice(), &[b'-'; LENGTH], b"three"].concat();
        assert!(client.get("lake/log", &[]).await.expect(200).body == whole);
        fixture.running.stop().await.unwrap();
    }
}

/// Two at the end of an append blob of the Data Lake endpoint: the first that is whole is there, the other is refused.
#[tokio::test]
async fn a_writer_that_is_overtaken_at_the_end_of_an_append_blob_is_refused() {
    for fixture in [Fixture::start().await, Fixture::in_memory().await] {
        let client = &fixture.client;
        client.put("lake/log?resource=file&blobType=appendblob", &[]).await.expect(201);
        let append = "lake/log?action=append&position=0";
        let mut slow = begin(client, "PATCH", append).await;
        client.patch(append, &[], b"first").await.expect(202);
        slow.write_all(&vec![b'-'; LENGTH / 2]).await.unwrap();
        assert_eq!(status(&mut slow).await, "HTTP/1.1 400");
        assert_eq!(client.get("lake/log", &[]).await.expect(200).text(), "first");
        client.patch("lake/log?action=append&position=5", &[], b" second").await.expect(202);
        assert_eq!(client.get("lake/log", &[]).await.expect(200).text(), "first second");
        fixture.running.stop().await.unwrap();
    }
}

#[tokio::test]
async fn a_cut_part_over_another_leaves_the_other() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.put("lake/file?resource=file", &[]).await.expect(201);
    client.patch("lake/file?action=append&position=0", &[], b"0123456789").await.expect(202);
    finish(begin(client, "PATCH", "lake/file?action=append&position=0").await, 0).await;
    client.patch("lake/file?action=flush&position=10", &[], b"").await.expect(200);
    assert_eq!(client.get("lake/file", &[]).await.expect(200).text(), "0123456789");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn every_byte_of_what_overlaps_is_from_its_own_place() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.put("lake/file?resource=file", &[]).await.expect(201);
    for (position, data) in [(0, "0123456789"), (2, "abcdef"), (4, "XY"), (9, "!")] {
        let target = format!("lake/file?action=append&position={position}");
        client.patch(&target, &[], data.as_bytes()).await.expect(202);
    }
    let prefix = "lake/file?action=flush&position=5&retainUncommittedData=true";
    client.patch(prefix, &[], b"").await.expect(200);
    client.patch("lake/file?action=flush&position=10", &[], b"").await.expect(200);
    assert_eq!(client.get("lake/file", &[]).await.expect(200).text(), "01abXYef8!");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_creation_that_is_refused_at_its_end_leaves_the_file() {
    for fixture in [Fixture::start().await, Fixture::in_memory().await] {
        let client = &fixture.client;
        client.write("lake/file", b"content").await;
        let acquire = [("x-ms-lease-action", "acquire"), ("x-ms-proposed-lease-id", A)];
        let acquire = [acquire[0], acquire[1], ("x-ms-lease-duration", "-1")];
        client.send(Method::POST, "lake/file", &acquire, Vec::new()).await.expect(201);
        let before = client.head("lake/file", &[]).await.expect(200);
        let another = [("x-ms-lease-id", A), ("x-ms-proposed-lease-id", B), ("x-ms-lease-duration", "-1")];
        client.put("lake/file?resource=file", &another).await.refused(409, "LeaseAlreadyPresent");
        let read = client.get("lake/file", &[]).await.expect(200);
        assert_eq!((read.text().as_str(), read.etag()), ("content", before.etag()));
        fixture.running.stop().await.unwrap();
    }
}

#[tokio::test]
async fn what_a_kill_leaves_of_uploads_is_removed_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(folder.path());
    process.client.put("lake?resource=filesystem", &[]).await.expect(201);
    let put = |id: &str| format!("lake/blob?comp=block&blockid={id}%3D%3D");
    process.client.send(Method::PUT, &put("YQ"), &[], b"whole".to_vec()).await.expect(201);
    process.client.put("lake/log", &[("x-ms-blob-type", "AppendBlob")]).await.expect(201);
    let append = "lake/log?comp=appendblock";
    process.client.send(Method::PUT, append, &[], vec![b'+'; LENGTH]).await.expect(201);
    let sockets =
        [begin(&process.client, "PUT", &put("Yg")).await, begin(&process.client, "PUT", append).await];
    let spools = || std::fs::read_dir(folder.path().join("spool")).unwrap().count();
    assert_eq!(spools(), 3);
    process.kill();
    drop(sockets);
    let process = Process::start(folder.path());
    assert_eq!(spools(), 1, "only that of the block that was acknowledged");
    process.client.send(Method::PUT, append, &[], b"more".to_vec()).await.expect(201);
    let whole = [vec![b'+'; LENGTH], b"more".to_vec()].concat();
    assert!(process.client.get("lake/log", &[]).await.expect(200).body == whole);
    process.kill();
}

#[tokio::test]
async fn a_deleted_blob_takes_its_blocks_with_it() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let block = "lake/blob?comp=block&blockid=YQ%3D%3D";
    client
        .send(Method::PUT, "lake/blob", &[("x-ms-blob-type", "BlockBlob")], b"x".to_vec())
        .await
        .expect(201);
    client.send(Method::PUT, block, &[], b"block".to_vec()).await.expect(201);
    client.delete("lake/blob?recursive=false", &[]).await.expect(200);
    let list = b"<BlockList><Latest>YQ==</Latest></BlockList>".to_vec();
    let listed = client.send(Method::PUT, "lake/blob?comp=blocklist", &[], list).await;
    listed.refused(400, "InvalidBlockList");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_brought_back_has_neither_lease_nor_expiry() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    let keep = format!("/accounts/{}", ACCOUNT);
    let days = r#"{"deleteRetentionDays":7}"#;
    client.admin(Method::PUT, &keep, ADMIN_TOKEN, days).await.expect(200);
    client.write("lake/file", b"content").await;
    let hour = [("x-ms-expiry-option", "RelativeToNow"), ("x-ms-expiry-time", "3600000")];
    client.put("lake/file?comp=expiry", &hour).await.expect(200);
    let acquire =
        [("x-ms-lease-action", "acquire"), ("x-ms-proposed-lease-id", A), ("x-ms-lease-duration", "-1")];
    client.send(Method::POST, "lake/file", &acquire, Vec::new()).await.expect(201);
    client.delete("lake/file?recursive=false", &[("x-ms-lease-id", A)]).await.expect(200);
    client.put("lake/file?comp=undelete", &[]).await.expect(200);
    let back = client.head("lake/file", &[]).await.expect(200);
    assert_eq!((back.header("x-ms-lease-state"), back.header("x-ms-expiry-time")), ("available", ""));
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_rename_ends_a_lease_that_was_broken() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    client.write("lake/file", b"content").await;
    let acquire =
        [("x-ms-lease-action", "acquire"), ("x-ms-proposed-lease-id", A), ("x-ms-lease-duration", "-1")];
    client.send(Method::POST, "lake/file", &acquire, Vec::new()).await.expect(201);
    client.send(Method::POST, "lake/file", &[("x-ms-lease-action", "break")], Vec::new()).await.expect(202);
    client.put("lake/moved", &[("x-ms-rename-source", "/lake/file")]).await.expect(201);
    let moved = client.head("lake/moved", &[]).await.expect(200);
    assert_eq!(moved.header("x-ms-lease-state"), "available");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn any_etag_is_matched_by_a_star() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    client.write("lake/file", b"content").await;
    let any = [("if-match", "*")];
    client.get("lake/file", &any).await.expect(200);
    client.patch("lake/file?action=setProperties", &any, b"").await.expect(200);
    client.put("lake/none?resource=file", &any).await.refused(412, "ConditionNotMet");
    client.delete("lake/file?recursive=false", &any).await.expect(200);
    fixture.running.stop().await.unwrap();
}
