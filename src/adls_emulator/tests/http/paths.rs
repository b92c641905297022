use crate::client::Fixture;

#[tokio::test]
async fn parents_are_made_and_types_may_not_change() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.put("lake/a/b/file?resource=file", &[]).await.expect(201);
    assert_eq!(client.head("lake/a/b", &[]).await.expect(200).header("x-ms-resource-type"), "directory");
    let conflict = client.put("lake/a/b?resource=file", &[]).await.refused(409, "PathConflict");
    assert_eq!(conflict.header("x-ms-existing-resource-type"), "directory");
    let conflict = client.put("lake/a/b/file?resource=directory", &[]).await.refused(409, "PathConflict");
    assert_eq!(conflict.header("x-ms-existing-resource-type"), "file");
    client.put("lake/a/b/file/below?resource=file", &[]).await.refused(409, "PathConflict");
    client.put("lake/a?resource=other", &[]).await.refused(400, "InvalidQueryParameterValue");
    client.put("none/a?resource=file", &[]).await.refused(404, "FilesystemNotFound");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn making_a_directory_again_changes_nothing_and_making_a_file_again_empties_it() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let first = client.put("lake/dir?resource=directory", &[]).await.expect(201);
    let second = client.put("lake/dir?resource=directory", &[]).await.expect(201);
    assert_eq!(first.etag(), second.etag());
    let written = client.write("lake/file", b"content").await;
    let again = client.put("lake/file?resource=file", &[]).await.expect(201);
    assert_ne!(written.etag(), again.etag());
    assert_eq!(client.head("lake/file", &[]).await.expect(200).header("content-length"), "0");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn properties_and_content_settings_are_kept() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let headers = [("x-ms-properties", "a=MQ==,b=Mg=="), ("x-ms-content-type", "text/plain")];
    let made = client.put("lake/file?resource=file", &headers).await.expect(201);
    let head = client.head("lake/file", &[]).await.expect(200);
    assert_eq!(head.header("x-ms-properties"), "a=MQ==,b=Mg==");
    assert_eq!((head.header("x-ms-meta-a"), head.header("content-type")), ("1", "text/plain"));
    let set = client.patch("lake/file?action=setProperties", &[("x-ms-properties", "c=Mw==")], b"").await;
    assert_ne!(set.expect(200).etag(), made.etag());
    let head = client.head("lake/file", &[]).await.expect(200);
    assert_eq!((head.header("x-ms-properties"), head.header("content-type")), ("c=Mw==", "text/plain"));
    let status = client.head("lake/file?action=getStatus", &[]).await.expect(200);
    assert_eq!(status.header("x-ms-properties"), "");
    let bad = [("x-ms-properties", "a=not base64")];
    client.patch("lake/file?action=setProperties", &bad, b"").await.refused(400, "InvalidHeaderValue");
    client.patch("lake/none?action=setProperties", &headers, b"").await.refused(404, "PathNotFound");
    fixture.running.stop().await.unwrap();
}

/// What belongs to all of a filesystem are the filesystem's properties.
#[tokio::test]
async fn the_root_has_a_status_and_access_control_and_no_properties() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.head("lake/", &[]).await.refused(400, "InvalidUri");
    let properties = [("x-ms-properties", "a=MQ==")];
    client.patch("lake/?action=setProperties", &properties, b"").await.refused(400, "InvalidUri");
    let status = client.head("lake/?action=getStatus", &[]).await.expect(200);
    assert_eq!(status.header("x-ms-resource-type"), "directory");
    let owned = [("x-ms-owner", "alice")];
    client.patch("lake/?action=setAccessControl", &owned, b"").await.expect(200);
    let access = client.head("lake/?action=getAccessControl", &[]).await.expect(200);
    assert_eq!(access.header("x-ms-owner"), "alice");
    let filesystem = client.head("lake?resource=filesystem", &[]).await.expect(200);
    assert_eq!(filesystem.header("x-ms-properties"), "");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn deleting_respects_what_is_inside_and_conditions() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let file = client.write("lake/dir/sub/file", b"x").await;
    client.delete("lake/dir?recursive=false", &[]).await.refused(409, "DirectoryNotEmpty");
    client.delete("lake/dir?recursive=false", &[]).await.refused(409, "DirectoryNotEmpty");
    let stale = [("if-match", "\"0x1\"")];
    client.delete("lake/dir/sub/file?recursive=false", &stale).await.refused(412, "ConditionNotMet");
    client.delete("lake/dir/sub/file?recursive=false", &[("if-match", file.etag())]).await.expect(200);
    client.delete("lake/dir/sub/file?recursive=false", &[]).await.refused(404, "PathNotFound");
    client.delete("lake/dir/sub", &[("accept", "application/json")]).await.expect(200);
    client.write("lake/dir/other/file", b"x").await;
    client.delete("lake/dir?recursive=true", &[]).await.expect(200);
    client.head("lake/dir/other/file", &[]).await.refused(404, "PathNotFound");
    client.write("lake/dir/other/file", b"new").await;
    assert_eq!(client.get("lake/dir/other/file", &[]).await.expect(200).text(), "new");
    client.delete("lake/?recursive=true", &[]).await.refused(400, "InvalidUri");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn deep_paths_are_refused() {
    let fixture = Fixture::start().await;
    let path = |depth: usize| format!("lake/{}?resource=directory", vec!["d"; depth].join("/"));
    let client = &fixture.client;
    client.put(&path(61), &[]).await.expect(201);
    client.put(&path(62), &[]).await.refused(409, "PathIsTooDeep");
    client.head(&path(62), &[]).await.expect(404);
    client.write("lake/file", b"x").await;
    let source = [("x-ms-rename-source", "/lake/file")];
    let below = format!("lake/{}", vec!["d"; 62].join("/"));
    client.put(&below, &source).await.refused(409, "PathIsTooDeep");
    // Into a directory, which adds a segment.
    let into = format!("lake/{}?mode=posix", vec!["d"; 61].join("/"));
    client.put(&into, &source).await.refused(409, "PathIsTooDeep");
    assert_eq!(client.get("lake/file", &[]).await.expect(200).text(), "x");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_not_served_says_so() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"x").await;
    client.put("lake/file?comp=query", &[]).await.refused(501, "NotImplemented");
    client.put("lake/file?action=rename", &[]).await.refused(501, "NotImplemented");
    client.patch("lake/file", &[], b"").await.refused(400, "InvalidQueryParameterValue");
    client.head("lake/file?action=unknown", &[]).await.refused(400, "InvalidQueryParameterValue");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn long_paths_and_control_characters_are_refused() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let path = |length: usize| {
        let whole = format!("{}/", "n".repeat(200)).repeat(6);
        format!("lake/{}", &whole[..length])
    };
    client.put(&format!("{}?resource=file", path(1024)), &[]).await.expect(201);
    client.write("lake/file", b"x").await;
    for (path, code) in [
        (path(1025), "OutOfRangeInput"),
        (format!("lake/{}", "n".repeat(256)), "InvalidResourceName"),
        ("lake/a%1Fb".to_owned(), "InvalidResourceName"),
        ("lake/a%0Ab/c".to_owned(), "InvalidResourceName"),
        ("lake/%C2%81".to_owned(), "InvalidResourceName"),
        ("lake/%EE%80%80".to_owned(), "InvalidResourceName"),
    ] {
        for target in [format!("{path}?resource=file"), format!("{path}?resource=directory")] {
            client.put(&target, &[]).await.refused(400, code);
        }
        client.put(&path, &[("x-ms-blob-type", "BlockBlob")]).await.refused(400, code);
        client.put(&path, &[("x-ms-rename-source", "/lake/file")]).await.refused(400, code);
        client.head(&path, &[]).await.expect(404);
    }
    assert_eq!(client.get("lake/file", &[]).await.expect(200).text(), "x");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn what_headers_say_takes_no_body() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"x").await;
    for (target, headers) in [
        ("lake/new?resource=file", &[][..]),
        ("lake/new?resource=directory", &[]),
        ("lake/file?resource=file", &[]),
        ("lake/new", &[("x-ms-rename-source", "/lake/file")]),
    ] {
        let reply = client.send(reqwest::Method::PUT, target, headers, b"body".to_vec()).await;
        reply.refused(400, "ContentLengthMustBeZero");
    }
    client.head("lake/new", &[]).await.refused(404, "PathNotFound");
    assert_eq!(client.get("lake/file", &[]).await.expect(200).text(), "x");
    fixture.running.stop().await.unwrap();
}
