use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest as _, Md5};

use crate::client::Fixture;

#[tokio::test]
async fn ranges() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"0123456789").await;
    for (range, content, shown) in [
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=3-5", "345", "bytes 3-5/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=8-100", "89", "bytes 8-9/10"),
    ] {
        for name in ["range", "x-ms-range"] {
            let reply = client.get("lake/file", &[(name, range)]).await.expect(206);
            assert_eq!((reply.text().as_str(), reply.header("content-range")), (content, shown));
        }
    }
    let both = [("range", "bytes=0-1"), ("x-ms-range", "bytes=2-3")];
    assert_eq!(client.get("lake/file", &both).await.expect(206).text(), "23");
    let behind = client.get("lake/file", &[("range", "bytes=10-")]).await.refused(416, "InvalidRange");
    assert_eq!(behind.header("content-range"), "bytes */10");
    client.get("lake/file", &[("range", "bytes=-3")]).await.refused(400, "InvalidHeaderValue");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn checksums_of_a_range() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", &vec![1; 5 * 1024 * 1024]).await;
    let wanted = ("x-ms-range-get-content-md5", "true");
    let reply = client.get("lake/file", &[("x-ms-range", "bytes=0-999"), wanted]).await.expect(206);
    assert_eq!(reply.header("content-md5"), BASE64.encode(Md5::digest([1; 1000])));
    client.get("lake/file", &[("x-ms-range", "bytes=0-"), wanted]).await.refused(400, "InvalidHeaderValue");
    client.get("lake/file", &[wanted]).await.refused(400, "InvalidHeaderValue");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn empty_files_and_directories_read_as_nothing() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/dir/empty", b"").await;
    let empty = client.get("lake/dir/empty", &[]).await.expect(200);
    assert_eq!((empty.body.len(), empty.header("content-length")), (0, "0"));
    client.get("lake/dir/empty", &[("range", "bytes=0-")]).await.refused(416, "InvalidRange");
    let directory = client.get("lake/dir", &[]).await.expect(200);
    assert_eq!((directory.body.len(), directory.header("x-ms-meta-hdi_isfolder")), (0, "true"));
    client.get("lake/dir/none", &[]).await.refused(404, "PathNotFound");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn head_tells_what_get_would() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let written = client.write("lake/file", &[7; 12345]).await;
    for target in ["lake/file", "lake/file?action=getStatus"] {
        let head = client.head(target, &[]).await.expect(200);
        assert_eq!((head.header("content-length"), head.etag()), ("12345", written.etag()));
        assert_eq!(head.header("last-modified"), written.header("last-modified"));
        assert_eq!((head.header("x-ms-resource-type"), head.body.len()), ("file", 0));
    }
    let missing = client.head("lake/none", &[]).await.refused(404, "PathNotFound");
    assert!(missing.body.is_empty());
    client.head("lake/file?action=checkAccess&fsAction=rwx", &[]).await.expect(200);
    fixture.running.stop().await.unwrap();
}
