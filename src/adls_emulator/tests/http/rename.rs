use crate::client::Fixture;

#[tokio::test]
async fn everything_about_a_path_survives_its_rename() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let acl = "user::rwx,user:alice:r-x,group::r-x,other::---";
    client.write("lake/from/file", b"content").await;
    client
        .patch("lake/from/file?action=setProperties", &[("x-ms-properties", "a=MQ==")], b"")
        .await
        .expect(200);
    let access = [("x-ms-acl", acl), ("x-ms-owner", "alice"), ("x-ms-group", "staff")];
    client.patch("lake/from/file?action=setAccessControl", &access, b"").await.expect(200);
    let before = client.head("lake/from/file?action=getAccessControl", &[]).await.expect(200);
    client.put("lake/to?resource=directory", &[]).await.expect(201);
    let source = [("x-ms-rename-source", "/lake/from/file?sv=ignored")];
    let renamed = client.put("lake/to/file", &source).await.expect(201);
    assert_eq!(renamed.etag(), before.etag());
    let after = client.head("lake/to/file?action=getAccessControl", &[]).await.expect(200);
    for name in ["etag", "last-modified", "x-ms-acl", "x-ms-owner", "x-ms-group", "x-ms-permissions"] {
        assert_eq!(after.header(name), before.header(name), "{name}");
    }
    let read = client.get("lake/to/file", &[]).await.expect(200);
    assert_eq!((read.text().as_str(), read.header("x-ms-properties")), ("content", "a=MQ=="));
    client.head("lake/from/file", &[]).await.refused(404, "PathNotFound");
    client.put("lake/to/file", &source).await.refused(404, "SourcePathNotFound");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_directory_moves_with_what_is_in_it_also_to_another_filesystem() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    for number in 0..20 {
        client.write(&format!("lake/tree/sub{}/file{number}", number % 3), b"x").await;
    }
    client.put("other?resource=filesystem", &[]).await.expect(201);
    client.put("other/moved", &[("x-ms-rename-source", "/lake/tree")]).await.expect(201);
    let listed = client.get("other?resource=filesystem&recursive=true", &[]).await.expect(200).json();
    assert_eq!(listed["paths"].as_array().unwrap().len(), 1 + 3 + 20);
    assert_eq!(client.get("other/moved/sub1/file4", &[]).await.expect(200).text(), "x");
    let left = client.get("lake?resource=filesystem&recursive=true", &[]).await.expect(200).json();
    assert_eq!(left["paths"], serde_json::json!([]));
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn the_destination_decides() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"new").await;
    client.write("lake/existing", b"old").await;
    client.write("lake/full/file", b"x").await;
    client.put("lake/empty?resource=directory", &[]).await.expect(201);
    client.put("lake/dir?resource=directory", &[]).await.expect(201);
    let file = ("x-ms-rename-source", "/lake/file");
    let dir = ("x-ms-rename-source", "/lake/dir");
    let reply = client.put("lake/existing", &[file, ("if-none-match", "*")]).await;
    assert_eq!(reply.refused(409, "PathAlreadyExists").header("x-ms-existing-resource-type"), "file");
    client.put("lake/existing", &[file, ("if-match", "\"0x1\"")]).await.refused(412, "ConditionNotMet");
    client.put("lake/fresh", &[file, ("if-match", "*")]).await.refused(412, "ConditionNotMet");
    client.put("lake/none/file", &[file]).await.refused(404, "RenameDestinationParentPathNotFound");
    client.put("lake/existing/file", &[file]).await.refused(409, "PathConflict");
    let onto_empty = client.put("lake/empty?mode=legacy", &[file]).await;
    onto_empty.refused(409, "InvalidSourceOrDestinationResourceType");
    client.put("lake/existing", &[dir]).await.refused(409, "InvalidSourceOrDestinationResourceType");
    client.put("lake/full?mode=legacy", &[dir]).await.refused(409, "DirectoryNotEmpty");
    client.put("lake/dir/below", &[dir]).await.refused(409, "InvalidRenameSourcePath");
    client.put("lake/x?mode=other", &[file]).await.refused(400, "InvalidQueryParameterValue");
    client.put("lake/x", &[("x-ms-rename-source", "/gone/file")]).await.refused(404, "SourcePathNotFound");
    assert_eq!(client.get("lake/existing", &[]).await.expect(200).text(), "old");
    let existing = client.head("lake/existing", &[]).await.expect(200);
    client.put("lake/existing", &[file, ("if-match", existing.etag())]).await.expect(201);
    assert_eq!(client.get("lake/existing", &[]).await.expect(200).text(), "new");
    client.put("lake/empty?mode=legacy", &[dir]).await.expect(201);
    client.head("lake/dir", &[]).await.refused(404, "PathNotFound");
    client
        .put("lake/fresh", &[("x-ms-rename-source", "/lake/existing"), ("if-none-match", "*")])
        .await
        .expect(201);
    fixture.running.stop().await.unwrap();
}

/// As the Hadoop driver renames: no mode, and never onto anything.
#[tokio::test]
async fn without_the_mode_legacy_a_directory_is_moved_into() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"x").await;
    client.write("lake/tree/file", b"y").await;
    client.put("lake/into?resource=directory", &[]).await.expect(201);
    let rename = |source| [("x-ms-rename-source", source), ("if-none-match", "*")];
    client.put("lake/into", &rename("/lake/file")).await.expect(201);
    client.put("lake/into?mode=posix", &rename("/lake/tree")).await.expect(201);
    assert_eq!(client.get("lake/into/file", &[]).await.expect(200).text(), "x");
    assert_eq!(client.get("lake/into/tree/file", &[]).await.expect(200).text(), "y");
    client.write("lake/file", b"z").await;
    client.put("lake/into", &rename("/lake/file")).await.refused(409, "PathAlreadyExists");
    client.put("lake/into/tree", &rename("/lake/into")).await.refused(409, "InvalidRenameSourcePath");
    client.put("lake", &rename("/lake/into/tree")).await.expect(201);
    assert_eq!(client.get("lake/tree/file", &[]).await.expect(200).text(), "y");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn conditions_on_the_source_are_kept() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let etag = client.write("lake/file", b"x").await.etag().to_owned();
    let source = ("x-ms-rename-source", "/lake/file");
    let stale = [source, ("x-ms-source-if-match", "\"0x1\"")];
    client.put("lake/moved", &stale).await.refused(412, "SourceConditionNotMet");
    let unwanted = [source, ("x-ms-source-if-none-match", etag.as_str())];
    client.put("lake/moved", &unwanted).await.refused(412, "SourceConditionNotMet");
    client.put("lake/moved", &[source, ("x-ms-source-if-match", etag.as_str())]).await.expect(201);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn of_two_conditional_renames_to_one_place_one_wins() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    for round in 0..20 {
        client.write(&format!("lake/one{round}"), b"1").await;
        client.write(&format!("lake/two{round}"), b"2").await;
        let (one, two) = (format!("/lake/one{round}"), format!("/lake/two{round}"));
        let (target, only_new) = (format!("lake/target{round}"), ("if-none-match", "*"));
        let (one, two) = (
            [("x-ms-rename-source", one.as_str()), only_new],
            [("x-ms-rename-source", two.as_str()), only_new],
        );
        let (one, two) = futures::join!(client.put(&target, &one), client.put(&target, &two));
        let mut statuses = [one.status.as_u16(), two.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
    }
    fixture.running.stop().await.unwrap();
}
