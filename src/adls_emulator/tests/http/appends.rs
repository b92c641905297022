use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use crc_fast::CrcAlgorithm;
use md5::{Digest as _, Md5};

use crate::client::{ACCOUNT, Client, Fixture, Reply};

fn crc64(data: &[u8]) -> String {
    BASE64.encode(crc_fast::checksum(CrcAlgorithm::Crc64Nvme, data).to_le_bytes())
}

const LEASE: &str = "11111111-1111-1111-1111-111111111111";

/// Bytes that differ from position to position.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

async fn append(client: &Client, position: usize, data: &[u8]) -> Reply {
    client.patch(&format!("lake/file?action=append&position={position}"), &[], data).await
}

async fn flush(client: &Client, position: usize) -> Reply {
    client.patch(&format!("lake/file?action=flush&position={position}"), &[], b"").await
}

async fn content(client: &Client) -> Vec<u8> {
    client.get("lake/file", &[]).await.expect(200).body
}

#[tokio::test]
async fn parts_may_come_in_any_order_and_at_once() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let created = client.put("lake/file?resource=file", &[]).await.expect(201);
    let data = pattern(3_000_000);
    let parts: Vec<_> = data.chunks(311_111).enumerate().collect();
    let sent = parts.iter().rev().map(|(number, part)| append(client, number * 311_111, part));
    for reply in futures::future::join_all(sent).await {
        assert_eq!(reply.expect(202).etag(), created.etag());
    }
    assert!(content(client).await.is_empty());
    let flushed = flush(client, data.len()).await.expect(200);
    assert_ne!(flushed.etag(), created.etag());
    assert!(content(client).await == data);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn flush_positions_are_checked() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.put("lake/file?resource=file", &[]).await.expect(201);
    flush(client, 0).await.expect(200);
    flush(client, 1).await.refused(400, "InvalidFlushPosition");
    append(client, 5, b"56789").await.expect(202);
    flush(client, 10).await.refused(400, "InvalidFlushPosition");
    append(client, 0, b"01234").await.expect(202);
    flush(client, 11).await.refused(400, "InvalidFlushPosition");
    flush(client, 10).await.expect(200);
    assert_eq!(content(client).await, b"0123456789");
    flush(client, 10).await.expect(200);
    flush(client, 9).await.refused(400, "InvalidFlushPosition");
    client.patch("lake/file?action=flush", &[], b"").await.refused(400, "MissingRequiredQueryParameter");
    let with_body = client.patch("lake/file?action=flush&position=10", &[], b"x").await;
    with_body.refused(400, "ContentLengthMustBeZero");
    client.put("lake/dir?resource=directory", &[]).await.expect(201);
    client.patch("lake/dir?action=flush&position=0", &[], b"").await.refused(409, "PathConflict");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn data_behind_the_flush_goes_unless_it_is_retained() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.put("lake/file?resource=file", &[]).await.expect(201);
    append(client, 0, b"0123456789").await.expect(202);
    client.patch("lake/file?action=flush&position=4&retainUncommittedData=true", &[], b"").await.expect(200);
    assert_eq!(content(client).await, b"0123");
    flush(client, 6).await.expect(200);
    assert_eq!(content(client).await, b"012345");
    flush(client, 10).await.refused(400, "InvalidFlushPosition");
    append(client, 6, b"abc").await.expect(202);
    flush(client, 9).await.expect(200);
    assert_eq!(content(client).await, b"012345abc");

    // A prefix is flushed while later parts are there already and the one between is not.
    append(client, 12, b"789").await.expect(202);
    append(client, 9, b"d").await.expect(202);
    let prefix = |position| format!("lake/file?action=flush&position={position}&retainUncommittedData=true");
    client.patch(&prefix(12), &[], b"").await.refused(400, "InvalidFlushPosition");
    client.patch(&prefix(10), &[], b"").await.expect(200);
    append(client, 10, b"ef").await.expect(202);
    client.patch(&prefix(15), &[], b"").await.expect(200);
    assert_eq!(content(client).await, b"012345abcdef789");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn of_overlapping_parts_the_later_counts() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.put("lake/file?resource=file", &[]).await.expect(201);
    append(client, 0, b"aaaaaaaaaa").await.expect(202);
    append(client, 3, b"bbbb").await.expect(202);
    append(client, 5, b"c").await.expect(202);
    append(client, 8, b"dddd").await.expect(202);
    flush(client, 12).await.expect(200);
    assert_eq!(content(client).await, b"aaabbcbadddd");
    let spools = std::fs::read_dir(fixture.folder.path().join("spool")).unwrap();
    fixture.running.stop().await.unwrap();
    assert_eq!(spools.count(), 0);
}

#[tokio::test]
async fn data_below_the_committed_length_is_taken_and_dropped() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.put("lake/file?resource=file", &[]).await.expect(201);
    let committed = pattern(300_000);
    append(client, 0, &committed).await.expect(202);
    let flushed = flush(client, committed.len()).await.expect(200);
    // As a client that has lost the answers sends them again, and with other bytes; small and large.
    for (position, data) in [(0, &committed[..]), (0, &[7; 300_000]), (299_999, b"x"), (299_998, b"1234")] {
        let reply = append(client, position, data).await.expect(202);
        assert_eq!((reply.etag(), reply.header("x-ms-content-crc64")), (flushed.etag(), &*crc64(data)));
    }
    let flushing = async |position: usize, data: &[u8]| {
        client.patch(&format!("lake/file?action=append&position={position}&flush=true"), &[], data).await
    };
    assert_eq!(flushing(299_999, b"x").await.expect(202).etag(), flushed.etag());
    flushing(299_998, b"x").await.refused(400, "InvalidFlushPosition");
    flushing(299_998, b"1234").await.refused(400, "InvalidFlushPosition");
    assert!(content(client).await == committed);
    // Nothing of it counts as data for what follows, and what was appended behind it is still there.
    flush(client, 300_002).await.refused(400, "InvalidFlushPosition");
    append(client, 300_000, b"more").await.expect(202);
    append(client, 299_999, b"XXXXXX").await.expect(202);
    flush(client, 300_004).await.expect(200);
    assert!(content(client).await == [&committed[..], b"more"].concat());
    let spools = std::fs::read_dir(fixture.folder.path().join("spool")).unwrap();
    // It is still a request: checked and leased.
    let wrong = [("x-ms-content-crc64", "AAAAAAAAAAA=")];
    client.patch("lake/file?action=append&position=0", &wrong, b"x").await.refused(400, "Crc64Mismatch");
    let lease =
        [("x-ms-lease-action", "acquire"), ("x-ms-lease-duration", "15"), ("x-ms-proposed-lease-id", LEASE)];
    client.patch("lake/file?action=append&position=0", &lease, b"x").await.expect(202);
    append(client, 0, b"x").await.refused(412, "LeaseIdMissing");
    let release = [("x-ms-lease-action", "release"), ("x-ms-lease-id", LEASE)];
    client.patch("lake/file?action=append&position=300003&flush=true", &release, b"x").await.expect(202);
    append(client, 0, b"x").await.expect(202);
    fixture.running.stop().await.unwrap();
    assert_eq!(spools.count(), 0);
}

/// A body that is on its way while a flush commits other data for its range.
#[tokio::test]
async fn data_that_a_flush_overtakes_is_dropped() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.put("lake/file?resource=file", &[]).await.expect(201);
    let request = client.signed_head("PATCH", "lake/file?action=append&position=0", 1_000_000);
    let request = request.replacen("\r\n\r\n", "\r\nconnection: close\r\n\r\n", 1);
    let mut socket = tokio::net::TcpStream::connect(fixture.running.storage_address()).await.unwrap();
    socket.write_all(request.as_bytes()).await.unwrap();
    socket.write_all(&[1; 600_000]).await.unwrap();
    // Lies aside once the other one has claimed the range.
    let overtaking = pattern(500_000);
    append(client, 0, &overtaking).await.expect(202);
    flush(client, overtaking.len()).await.expect(200);
    socket.write_all(&[1; 400_000]).await.unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 202"), "{}", String::from_utf8_lossy(&answer));
    assert!(content(client).await == overtaking);
    flush(client, 1_000_000).await.refused(400, "InvalidFlushPosition");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_part_with_a_wrong_checksum_leaves_nothing() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.put("lake/file?resource=file", &[]).await.expect(201);
    let (good, bad) = (pattern(400_000), pattern(400_001)[1..].to_vec());
    let (good_crc, good_md5) = (crc64(&good), BASE64.encode(Md5::digest(&good)));
    let target = "lake/file?action=append&position=0";
    let flushing = "lake/file?action=append&position=0&flush=true";
    let crc = [("x-ms-content-crc64", good_crc.as_str())];
    let md5 = [("content-md5", good_md5.as_str())];
    client.patch(flushing, &crc, &bad).await.refused(400, "Crc64Mismatch");
    client.patch(flushing, &md5, &bad).await.refused(400, "Md5Mismatch");
    assert!(content(client).await.is_empty());
    flush(client, good.len()).await.refused(400, "InvalidFlushPosition");
    client.patch(target, &[("content-md5", "short")], &good).await.refused(400, "InvalidMd5");
    let reply = client.patch(target, &crc, &good).await.expect(202);
    assert_eq!(reply.header("x-ms-content-crc64"), good_crc);
    // What is there already is not harmed by a bad part over it.
    client.patch(target, &crc, &bad).await.refused(400, "Crc64Mismatch");
    let reply = client.patch(target, &md5, &good).await.expect(202);
    assert_eq!(reply.header("content-md5"), good_md5);
    client.patch(target, &[("content-md5", "")], &good).await.expect(202);
    flush(client, good.len()).await.expect(200);
    assert!(content(client).await == good);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn appends_that_cannot_be() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    append(client, 0, b"x").await.refused(404, "PathNotFound");
    client.put("lake/file?resource=directory", &[]).await.expect(201);
    append(client, 0, b"x").await.refused(409, "PathConflict");
    client.put("lake/real?resource=file", &[]).await.expect(201);
    client.patch("lake/real?action=append&position=0", &[], b"").await.refused(400, "InvalidHeaderValue");
    client.patch("lake/real?action=append", &[], b"x").await.refused(400, "MissingRequiredQueryParameter");
    client
        .patch("lake/real?action=append&position=-1", &[], b"x")
        .await
        .refused(400, "OutOfRangeQueryParameterValue");
    let far = format!("lake/real?action=append&position={}", u64::MAX);
    client.patch(&far, &[], b"x").await.refused(400, "InvalidQueryParameterValue");
    client
        .patch("lake/real?action=other&position=0", &[], b"x")
        .await
        .refused(400, "InvalidQueryParameterValue");
    let counters =
        fixture.client.admin(reqwest::Method::GET, "/counters", crate::client::ADMIN_TOKEN, "").await;
    assert_eq!(counters.json()["accounts"][ACCOUNT]["server_errors"], 0);
    fixture.running.stop().await.unwrap();
}

/// They are the flush's. A request that is refused leaves neither data nor settings.
#[tokio::test]
async fn appends_take_no_conditions_and_no_settings() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let made =
        client.put("lake/file?resource=file", &[("x-ms-content-type", "text/plain")]).await.expect(201);
    for (header, code) in [
        (("if-match", made.etag()), "ConditionHeadersNotSupported"),
        (("if-none-match", "*"), "ConditionHeadersNotSupported"),
        (("if-unmodified-since", made.header("last-modified")), "ConditionHeadersNotSupported"),
        (("x-ms-content-type", "text/html"), "UnsupportedHeader"),
        (("x-ms-content-md5", "CY9rzUYh03PK3k6DJie09g=="), "UnsupportedHeader"),
        (("x-ms-cache-control", "no-store"), "UnsupportedHeader"),
    ] {
        for flush in ["", "&flush=true"] {
            let append = format!("lake/file?action=append&position=0{flush}");
            client.patch(&append, &[header], b"test").await.refused(400, code);
        }
    }
    flush(client, 4).await.refused(400, "InvalidFlushPosition");
    let head = client.head("lake/file", &[]).await.expect(200);
    assert_eq!((head.etag(), head.header("content-type")), (made.etag(), "text/plain"));
    assert_eq!(head.header("content-length"), "0");
    fixture.running.stop().await.unwrap();
}
