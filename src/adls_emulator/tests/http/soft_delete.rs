use reqwest::Method;

use crate::client::{ACCOUNT, ADMIN_TOKEN, Client, Fixture};

async fn keep_deleted(fixture: &Fixture, days: u32) {
    let body = format!("{{\"deleteRetentionDays\":{days}}}");
    let path = format!("/accounts/{ACCOUNT}");
    fixture.client.admin(Method::PUT, &path, ADMIN_TOKEN, &body).await.expect(200);
}

/// Path and deletion of each entry.
async fn deleted(client: &Client, query: &str) -> Vec<(String, String)> {
    let (mut found, mut marker) = (Vec::new(), String::new());
    loop {
        let target = format!("lake?restype=container&comp=list&showonly=deleted&{query}&marker={marker}");
        let xml = client.get(&target, &[]).await.expect(200).text();
        let text = |xml: &str, name: &str| {
            let rest = xml.split(&format!("<{name}>")).nth(1).unwrap();
            rest.split('<').next().unwrap().to_owned()
        };
        found.extend(xml.split("<Blob>").skip(1).map(|blob| (text(blob, "Name"), text(blob, "DeletionId"))));
        marker = text(&xml, "NextMarker");
        if marker.is_empty() {
            return found;
        }
    }
}

#[tokio::test]
async fn what_is_deleted_can_be_brought_back() {
    let fixture = Fixture::start().await;
    keep_deleted(&fixture, 7).await;
    let client = &fixture.client;
    let written = client.write("lake/dir/sub/file", b"content").await;
    client.write("lake/other", b"first").await;
    let first = client.delete("lake/other?recursive=false", &[]).await.expect(200);
    client.write("lake/other", b"second").await;
    client.delete("lake/other?recursive=false", &[]).await.expect(200);
    let directory = client.delete("lake/dir?recursive=true", &[]).await.expect(200);
    client.head("lake/dir/sub/file", &[]).await.refused(404, "PathNotFound");
    let listed = client.get("lake?resource=filesystem&recursive=true", &[]).await.expect(200).json();
    assert_eq!(listed["paths"], serde_json::json!([]));
    let id = |reply: &crate::client::Reply| reply.header("x-ms-deletion-id").to_owned();
    for size in ["", "maxresults=1", "maxresults=2"] {
        let all = deleted(client, size).await;
        let paths: Vec<&str> = all.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, ["dir", "other", "other"], "{size}");
        assert_eq!((&all[0].1, &all[1].1), (&id(&directory), &id(&first)));
    }
    assert_eq!(deleted(client, "prefix=oth").await.len(), 2);

    let fixture = fixture.restart().await;
    let client = &fixture.client;
    let back = |path: &str, id: &str| format!("{path}?deletionid={id}");
    let source = back("dir", &id(&directory));
    let undeleted =
        client.put("lake/dir?comp=undelete", &[("x-ms-undelete-source", &source)]).await.expect(200);
    assert_eq!(undeleted.header("x-ms-resource-type"), "directory");
    let read = client.get("lake/dir/sub/file", &[]).await.expect(200);
    assert_eq!((read.text().as_str(), read.etag()), ("content", written.etag()));
    let source = back("other", &id(&first));
    let undeleted = client.put("lake/made/again?comp=undelete", &[("x-ms-undelete-source", &source)]).await;
    assert_eq!(undeleted.expect(200).header("x-ms-resource-type"), "file");
    assert_eq!(client.get("lake/made/again", &[]).await.expect(200).text(), "first");
    client
        .put("lake/other?comp=undelete", &[("x-ms-undelete-source", &source)])
        .await
        .refused(404, "BlobNotFound");
    client.put("lake/other?comp=undelete", &[]).await.expect(200);
    assert_eq!(client.get("lake/other", &[]).await.expect(200).text(), "second");
    assert!(deleted(client, "").await.is_empty());
    client.put("lake/other?comp=undelete", &[]).await.expect(200);
    client.put("lake/none?comp=undelete", &[]).await.refused(404, "BlobNotFound");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn undeleting_takes_no_ones_place_and_bad_requests_are_refused() {
    let fixture = Fixture::start().await;
    keep_deleted(&fixture, 1).await;
    let client = &fixture.client;
    client.write("lake/file", b"old").await;
    client.delete("lake/file?recursive=false", &[]).await.expect(200);
    client.write("lake/file", b"new").await;
    client.put("lake/file?comp=undelete", &[]).await.refused(409, "BlobAlreadyExists");
    assert_eq!(client.get("lake/file", &[]).await.expect(200).text(), "new");
    for source in ["file", "file?deletionid=", "file?deletionid=x", "%FF?deletionid=1"] {
        let headers = [("x-ms-undelete-source", source)];
        client.put("lake/back?comp=undelete", &headers).await.refused(400, "InvalidHeaderValue");
    }
    let other = client.get("lake?restype=container&comp=list&showonly=files", &[]).await;
    other.refused(400, "InvalidQueryParameterValue");
    let days = r#"{"deleteRetentionDays":366}"#;
    client.admin(Method::PUT, "/accounts/another1", ADMIN_TOKEN, days).await.expect(400);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn without_retention_what_is_deleted_is_gone() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"x").await;
    let gone = client.delete("lake/file?recursive=false", &[]).await.expect(200);
    assert_eq!(gone.header("x-ms-deletion-id"), "");
    assert!(deleted(client, "").await.is_empty());
    client.put("lake/file?comp=undelete", &[]).await.refused(404, "BlobNotFound");
    keep_deleted(&fixture, 5).await;
    client.write("lake/file", b"x").await;
    client.delete("lake/file?recursive=false", &[]).await.expect(200);
    client.delete("lake?resource=filesystem", &[]).await.expect(202);
    let files = || {
        let fans = std::fs::read_dir(fixture.folder.path().join("content")).unwrap();
        fans.map(|fan| std::fs::read_dir(fan.unwrap().path()).unwrap().count()).sum::<usize>()
    };
    while files() > 0 {
        tokio::task::yield_now().await;
    }
    fixture.running.stop().await.unwrap();
}
