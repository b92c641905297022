//! Bodies that end early, announce nothing or carry empty checksums, on every request that takes content.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::Fixture;

const BLOCK_BLOB: (&str, &str) = ("x-ms-blob-type", "BlockBlob");

type Upload = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const UPLOADS: [Upload; 4] = [
    ("PATCH", "lake/file?action=append&position=0&flush=true", &[]),
    ("PUT", "lake/blob", &[BLOCK_BLOB]),
    ("PUT", "lake/blob?comp=block&blockid=YQ%3D%3D", &[]),
    ("PUT", "lake/log?comp=appendblock", &[]),
];

/// What they are for, empty.
async fn make(fixture: &Fixture) {
    let client = &fixture.client;
    client.put("lake/file?resource=file", &[]).await.expect(201);
    client.put("lake/blob", &[BLOCK_BLOB]).await.expect(201);
    client.put("lake/log", &[("x-ms-blob-type", "AppendBlob")]).await.expect(201);
}

/// What the emulator answers when exactly this is written to its socket and nothing more comes.
async fn answer(fixture: &Fixture, request: &[u8]) -> String {
    let mut socket = tokio::net::TcpStream::connect(fixture.running.storage_address()).await.unwrap();
    socket.write_all(request).await.unwrap();
    socket.shutdown().await.unwrap();
    let mut answer = Vec::new();
    // Ends when the emulator has given up the request, with or without an answer.
    let _ = socket.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// The files are as they were, and no part of the upload can be committed.
async fn nothing_came_of_it(fixture: &Fixture, on_disk: bool) {
    let client = &fixture.client;
    for path in ["lake/file", "lake/blob", "lake/log"] {
        assert_eq!(client.get(path, &[]).await.expect(200).text(), "", "{path}");
    }
    let flush = "lake/file?action=flush&position=300000";
    client.patch(flush, &[], b"").await.refused(400, "InvalidFlushPosition");
    let list = b"<BlockList><Latest>YQ==</Latest></BlockList>".to_vec();
    let listed = client.send(reqwest::Method::PUT, "lake/blob?comp=blocklist", &[], list).await;
    listed.refused(400, "InvalidBlockList");
    // The request may end a little after its connection.
    let spools = || std::fs::read_dir(fixture.folder.path().join("spool"));
    while on_disk && spools().unwrap().count() > 0 {
        tokio::task::yield_now().await;
    }
}

/// The answer comes although nothing of the body does, and with it the end of the connection.
#[tokio::test]
async fn a_body_that_cannot_be_taken_is_refused_before_it_arrives() {
    let fixture = Fixture::in_memory().await;
    make(&fixture).await;
    for (method, target, headers) in UPLOADS {
        for length in [4000 * 1024 * 1024 + 1, 5 << 30] {
            let request = fixture.client.signed_head_with(method, target, headers, length);
            let mut socket = tokio::net::TcpStream::connect(fixture.running.storage_address()).await.unwrap();
            socket.write_all(request.as_bytes()).await.unwrap();
            let mut answer = Vec::new();
            socket.read_to_end(&mut answer).await.unwrap();
            let answer = String::from_utf8_lossy(&answer).into_owned();
            assert!(answer.starts_with("HTTP/1.1 413 "), "{target}: {answer}");
            assert!(answer.contains("x-ms-error-code: RequestBodyTooLarge"), "{target}: {answer}");
        }
        nothing_came_of_it(&fixture, false).await;
    }
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_cut_upload_leaves_nothing() {
    for (on_disk, fixture) in [(true, Fixture::start().await), (false, Fixture::in_memory().await)] {
        cut(&fixture, on_disk).await;
        fixture.running.stop().await.unwrap();
    }
}

async fn cut(fixture: &Fixture, on_disk: bool) {
    make(fixture).await;
    for (method, target, headers) in UPLOADS {
        let mut request = fixture.client.signed_head_with(method, target, headers, 1_000_000).into_bytes();
        request.extend([7; 300_000]);
        let answer = answer(fixture, &request).await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{target}: {answer}");
        nothing_came_of_it(fixture, on_disk).await;
    }
}

#[tokio::test]
async fn a_body_without_length_is_refused() {
    let fixture = Fixture::start().await;
    make(&fixture).await;
    for (method, target, headers) in UPLOADS {
        let request = fixture.client.signed_head_with(method, target, headers, 0);
        let chunked = "transfer-encoding: chunked\r\nconnection: close";
        let mut request = request.replace("content-length: 0", chunked).into_bytes();
        request.extend(b"5\r\nhello\r\n0\r\n\r\n");
        let answer = answer(&fixture, &request).await;
        assert!(answer.starts_with("HTTP/1.1 411"), "{target}: {answer}");
        assert!(answer.contains("MissingContentLengthHeader"), "{target}: {answer}");
        nothing_came_of_it(&fixture, true).await;
    }
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn empty_checksums_count_as_none() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    make(&fixture).await;
    for (method, target, headers) in UPLOADS {
        let mut headers = headers.to_vec();
        headers.extend([("content-md5", ""), ("x-ms-content-crc64", ""), ("x-ms-blob-content-md5", "")]);
        let sent = client.send(method.parse().unwrap(), target, &headers, b"x".to_vec()).await;
        assert!(sent.status.is_success(), "{target}: {}", sent.text());
    }
    for (method, target, headers) in UPLOADS {
        let mut headers = headers.to_vec();
        headers.push(("content-md5", "bm90IGEgY2hlY2tzdW0="));
        let sent = client.send(method.parse().unwrap(), target, &headers, b"x".to_vec()).await;
        sent.refused(400, "InvalidMd5");
    }
    fixture.running.stop().await.unwrap();
}
