//! Bodies as structured messages, made here byte by byte.

use crc_fast::CrcAlgorithm;
use reqwest::Method;

use crate::client::{Fixture, Reply};

const FORM: &str = "XSM/1.0; properties=crc64";

fn crc64(data: &[u8]) -> [u8; 8] {
    crc_fast::checksum(CrcAlgorithm::Crc64Nvme, data).to_le_bytes()
}

fn message(content: &[u8], segment_bytes: usize) -> Vec<u8> {
    let segments: Vec<&[u8]> = content.chunks(segment_bytes).collect();
    let length = 13 + segments.len() * 18 + content.len() + 8;
    let mut message = vec![1];
    message.extend((length as u64).to_le_bytes());
    message.extend([1, 0]);
    message.extend(u16::try_from(segments.len()).unwrap().to_le_bytes());
    for (number, segment) in (1_u16..).zip(segments) {
        message.extend(number.to_le_bytes());
        message.extend((segment.len() as u64).to_le_bytes());
        message.extend(segment);
        message.extend(crc64(segment));
    }
    message.extend(crc64(content));
    message
}

/// Checks every checksum on the way.
fn content(message: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |value, byte| value << 8 | usize::from(*byte));
    assert_eq!((message[0], number(&message[1..9]), number(&message[9..11])), (1, message.len(), 1));
    let (segments, mut at, mut content) = (number(&message[11..13]), 13, Vec::new());
    for segment in 1..=segments {
        assert_eq!(number(&message[at..at + 2]), segment);
        let length = number(&message[at + 2..at + 10]);
        let data = &message[at + 10..at + 10 + length];
        assert_eq!(message[at + 10 + length..at + 18 + length], crc64(data));
        content.extend(data);
        at += 18 + length;
    }
    assert_eq!(message[at..], crc64(&content));
    content
}

async fn send(fixture: &Fixture, method: Method, target: &str, content: usize, message: Vec<u8>) -> Reply {
    let length = content.to_string();
    let mut headers =
        vec![("x-ms-structured-body", FORM), ("x-ms-structured-content-length", length.as_str())];
    if method == Method::PUT && !target.contains("comp=") {
        headers.push(("x-ms-blob-type", "BlockBlob"));
    }
    fixture.client.send(method, target, &headers, message).await
}

#[tokio::test]
async fn content_comes_and_goes_in_structured_messages() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let data: Vec<u8> = (0..5_000_000_usize).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    client.put("lake/file?resource=file", &[]).await.expect(201);
    let target = "lake/file?action=append&position=0&flush=true";
    let appended =
        send(&fixture, Method::PATCH, target, data.len(), message(&data, 1_000_003)).await.expect(202);
    assert_eq!(appended.header("x-ms-structured-body"), FORM);
    assert!(client.get("lake/file", &[]).await.expect(200).body == data);
    let put = send(&fixture, Method::PUT, "lake/blob", 11, message(b"put content", 4)).await.expect(201);
    assert_eq!(put.header("x-ms-structured-body"), FORM);
    assert_eq!(client.get("lake/blob", &[]).await.expect(200).text(), "put content");
    let block = "lake/blocks?comp=block&blockid=YQ%3D%3D";
    send(&fixture, Method::PUT, block, 5, message(b"block", 100)).await.expect(201);
    let list = b"<BlockList><Latest>YQ==</Latest></BlockList>".to_vec();
    client.send(Method::PUT, "lake/blocks?comp=blocklist", &[], list).await.expect(201);
    assert_eq!(client.get("lake/blocks", &[]).await.expect(200).text(), "block");

    let wanted = ("x-ms-structured-body", FORM);
    let whole = client.get("lake/file", &[wanted]).await.expect(200);
    assert_eq!(whole.header("x-ms-structured-body"), FORM);
    assert_eq!(whole.header("x-ms-structured-content-length"), data.len().to_string());
    assert_eq!(whole.header("content-length"), whole.body.len().to_string());
    assert!(content(&whole.body) == data);
    let part = client.get("lake/file", &[wanted, ("x-ms-range", "bytes=100-4500099")]).await.expect(206);
    assert_eq!(part.header("content-range"), "bytes 100-4500099/5000000");
    assert!(content(&part.body) == data[100..4_500_100]);
    client.put("lake/empty?resource=file", &[]).await.expect(201);
    assert!(content(&client.get("lake/empty", &[wanted]).await.expect(200).body).is_empty());
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_damaged_message_leaves_nothing() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.put("lake/file?resource=file", &[]).await.expect(201);
    let target = "lake/file?action=append&position=0&flush=true";
    let good = message(b"some content", 5);
    let damaged = |place: usize| {
        let mut message = good.clone();
        message[place] ^= 1;
        message
    };
    let send = |content, message| send(&fixture, Method::PATCH, target, content, message);
    send(12, damaged(13 + 10)).await.refused(400, "Crc64Mismatch");
    send(12, damaged(good.len() - 1)).await.refused(400, "Crc64Mismatch");
    for (content, message) in [
        (12, damaged(0)),
        (12, damaged(1)),
        (12, damaged(9)),
        (12, damaged(13)),
        (12, good[..good.len() - 1].to_vec()),
        (11, good.clone()),
        (13, good.clone()),
        (12, b"no message at all".to_vec()),
    ] {
        send(content, message).await.refused(400, "InvalidInput");
    }
    assert_eq!(client.head("lake/file", &[]).await.expect(200).header("content-length"), "0");
    for headers in [
        &[("x-ms-structured-body", "XSM/2.0"), ("x-ms-structured-content-length", "12")][..],
        &[("x-ms-structured-body", FORM), ("x-ms-structured-content-length", "twelve")],
    ] {
        client.patch(target, headers, &good).await.refused(400, "InvalidHeaderValue");
    }
    let no_length = [("x-ms-structured-body", FORM)];
    client.patch(target, &no_length, &good).await.refused(400, "MissingRequiredHeader");
    client.get("lake/file", &[("x-ms-structured-body", "zip")]).await.refused(400, "InvalidHeaderValue");
    send(12, good.clone()).await.expect(202);
    assert_eq!(client.get("lake/file", &[]).await.expect(200).text(), "some content");
    fixture.running.stop().await.unwrap();
}
