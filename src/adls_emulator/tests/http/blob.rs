use crate::client::Fixture;

const XML: (&str, &str) = ("accept", "application/xml");

#[tokio::test]
async fn containers_are_filesystems() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.put("box?restype=container", &[("x-ms-meta-team", "blue")]).await.expect(201);
    client.put("box?restype=container", &[]).await.refused(409, "ContainerAlreadyExists");
    let head = client.head("box?resource=filesystem", &[]).await.expect(200);
    assert_eq!(head.header("x-ms-properties"), "team=Ymx1ZQ==");
    let got = client.get("box?restype=container", &[]).await.expect(200);
    assert_eq!(got.header("x-ms-meta-team"), "blue");
    client.put("box?restype=container&comp=metadata", &[("x-ms-meta-a", "1")]).await.expect(200);
    let listed = client.get("?comp=list&include=metadata", &[]).await.expect(200).text();
    assert!(
        listed.contains("<Name>box</Name>") && listed.contains("<Metadata><a>1</a></Metadata>"),
        "{listed}"
    );
    assert!(listed.contains("<Name>lake</Name>") && listed.ends_with("</EnumerationResults>"), "{listed}");
    let first = client.get("?comp=list&maxresults=1", &[]).await.expect(200).text();
    let marker = first.split("<NextMarker>").nth(1).unwrap().split('<').next().unwrap();
    let second = client.get(&format!("?comp=list&marker={marker}"), &[]).await.expect(200).text();
    assert!(second.contains("<Name>lake</Name>") && !second.contains("<Name>box</Name>"), "{second}");
    client.delete("box?restype=container", &[]).await.expect(202);
    let gone = client.get("box?restype=container", &[]).await.refused(404, "ContainerNotFound");
    assert!(gone.text().contains("<Code>ContainerNotFound</Code>"), "{}", gone.text());
    client.get("lake?restype=container&comp=list", &[]).await.refused(501, "NotImplemented");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn blobs_are_paths() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/dir/file", b"0123456789").await;
    let head = client.head("lake/dir/file", &[XML]).await.expect(200);
    assert_eq!((head.header("x-ms-blob-type"), head.header("content-length")), ("BlockBlob", "10"));
    assert_eq!(client.head("lake/dir", &[XML]).await.expect(200).header("x-ms-meta-hdi_isfolder"), "true");
    let read = client.get("lake/dir/file", &[XML, ("x-ms-range", "bytes=2-3")]).await.expect(206);
    assert_eq!(read.text(), "23");
    client.get("lake/none", &[XML]).await.refused(404, "BlobNotFound");
    client.put("lake/dir/file?comp=metadata", &[("x-ms-meta-a", "1")]).await.expect(200);
    client.put("lake/dir/file?comp=properties", &[("x-ms-blob-content-type", "text/x")]).await.expect(200);
    let head = client.head("lake/dir/file", &[]).await.expect(200);
    assert_eq!((head.header("x-ms-properties"), head.header("content-type")), ("a=MQ==", "text/x"));
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn the_account_tells_about_itself() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let information = client.get("?restype=account&comp=properties", &[]).await.expect(200);
    assert_eq!(information.header("x-ms-is-hns-enabled"), "true");
    let properties = client.get("?restype=service&comp=properties", &[]).await.expect(200).text();
    assert!(properties.contains("<DeleteRetentionPolicy><Enabled>false"), "{properties}");
    fixture.running.stop().await.unwrap();
}
