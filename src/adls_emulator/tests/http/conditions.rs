use crate::client::Fixture;

#[tokio::test]
async fn create_conditions() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.put("lake/file?resource=file", &[("if-match", "*")]).await.refused(412, "ConditionNotMet");
    client.put("lake/file?resource=file", &[("if-none-match", "*")]).await.expect(201);
    let written = client.write("lake/file", b"content").await;
    let reply = client.put("lake/file?resource=file", &[("if-none-match", "*")]).await;
    assert_eq!(reply.refused(409, "PathAlreadyExists").header("x-ms-existing-resource-type"), "file");
    let reply = client.put("lake/file?resource=directory", &[("if-none-match", "*")]).await;
    reply.refused(409, "PathAlreadyExists");
    client.put("lake/file?resource=file", &[("if-match", "\"0x1\"")]).await.refused(412, "ConditionNotMet");
    assert_eq!(client.get("lake/file", &[]).await.expect(200).text(), "content");
    client.put("lake/file?resource=file", &[("if-match", written.etag())]).await.expect(201);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn read_conditions() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let written = client.write("lake/file", b"content").await;
    let (etag, modified) = (written.etag().to_owned(), written.header("last-modified").to_owned());
    client.get("lake/file", &[("if-match", &etag)]).await.expect(200);
    client.get("lake/file", &[("if-match", "\"0x1\"")]).await.refused(412, "ConditionNotMet");
    client.get("lake/file", &[("if-none-match", &etag)]).await.refused(304, "ConditionNotMet");
    client.get("lake/file", &[("if-none-match", "\"0x1\"")]).await.expect(200);
    client.get("lake/file", &[("if-unmodified-since", &modified)]).await.expect(200);
    client.get("lake/file", &[("if-modified-since", &modified)]).await.refused(304, "ConditionNotMet");
    let old = "Thu, 01 Jan 2015 00:00:00 GMT";
    client.head("lake/file", &[("if-unmodified-since", old)]).await.refused(412, "ConditionNotMet");
    client.head("lake/file", &[("if-modified-since", old)]).await.expect(200);
    client.get("lake/file", &[("if-modified-since", "yesterday")]).await.refused(400, "InvalidHeaderValue");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn update_conditions() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let etag = client.write("lake/file", b"content").await.etag().to_owned();
    let stale = ("if-match", "\"0x1\"");
    client.patch("lake/file?action=append&position=7", &[], b"more").await.expect(202);
    client.patch("lake/file?action=flush&position=11", &[stale], b"").await.refused(412, "ConditionNotMet");
    let set = [("x-ms-permissions", "0700"), stale];
    client.patch("lake/file?action=setAccessControl", &set, b"").await.refused(412, "ConditionNotMet");
    let set = [("x-ms-properties", ""), stale];
    client.patch("lake/file?action=setProperties", &set, b"").await.refused(412, "ConditionNotMet");
    assert_eq!(client.head("lake/file", &[]).await.expect(200).etag(), etag);
    client.patch("lake/file?action=flush&position=11", &[("if-match", &etag)], b"").await.expect(200);
    fixture.running.stop().await.unwrap();
}
