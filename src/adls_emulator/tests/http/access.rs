use crate::client::Fixture;

#[tokio::test]
async fn new_paths_get_their_permissions_less_the_umask() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    for (name, headers, expected) in [
        ("f1?resource=file", &[][..], "rw-r-----"),
        ("d1?resource=directory", &[], "rwxr-x---"),
        ("f2?resource=file", &[("x-ms-permissions", "0777")], "rwxr-x---"),
        ("f3?resource=file", &[("x-ms-permissions", "0777"), ("x-ms-umask", "0000")], "rwxrwxrwx"),
        ("f4?resource=file", &[("x-ms-permissions", "rwxrwxrwx"), ("x-ms-umask", "0077")], "rwx------"),
        ("d2?resource=directory", &[("x-ms-permissions", "1777"), ("x-ms-umask", "0002")], "rwxrwxr-t"),
        ("d3?resource=directory", &[("x-ms-umask", "0000")], "rwxrwxrwx"),
    ] {
        client.put(&format!("lake/{name}"), headers).await.expect(201);
        let path = name.split('?').next().unwrap();
        let head = client.head(&format!("lake/{path}"), &[]).await.expect(200);
        assert_eq!(head.header("x-ms-permissions"), expected, "{name}");
    }
    let bad = [("x-ms-permissions", "0999")];
    client.put("lake/bad?resource=file", &bad).await.refused(400, "InvalidHeaderValue");
    client.put("lake/bad?resource=file", &[("x-ms-umask", "8")]).await.refused(400, "InvalidHeaderValue");
    client.head("lake/bad", &[]).await.expect(404);
    let owned = [("x-ms-owner", "alice"), ("x-ms-group", "staff")];
    client.put("lake/owned?resource=file", &owned).await.expect(201);
    let head = client.head("lake/owned", &[]).await.expect(200);
    assert_eq!((head.header("x-ms-owner"), head.header("x-ms-group")), ("alice", "staff"));
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn access_control_is_set_and_read() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let written = client.write("lake/file", b"x").await;
    let get = || async { client.head("lake/file?action=getAccessControl", &[]).await.expect(200) };
    assert_eq!(get().await.header("x-ms-acl"), "user::rw-,group::r--,other::---");
    let acl = [("x-ms-acl", "user::rwx,user:alice:rwx,group::r-x,other::--x"), ("x-ms-owner", "bob")];
    let set = client.patch("lake/file?action=setAccessControl", &acl, b"").await.expect(200);
    assert_ne!(set.etag(), written.etag());
    assert_eq!(set.header("last-modified"), written.header("last-modified"));
    let after = get().await;
    assert_eq!(after.header("x-ms-acl"), "user::rwx,user:alice:rwx,group::r-x,mask::rwx,other::--x");
    assert_eq!((after.header("x-ms-permissions"), after.header("x-ms-owner")), ("rwxrwx--x+", "bob"));
    let mode = [("x-ms-permissions", "0750")];
    client.patch("lake/file?action=setAccessControl", &mode, b"").await.expect(200);
    assert_eq!(get().await.header("x-ms-permissions"), "rwxr-x---+");
    let minimal = [("x-ms-acl", "user::rw-,group::---,other::---")];
    client.patch("lake/file?action=setAccessControl", &minimal, b"").await.expect(200);
    assert_eq!(get().await.header("x-ms-permissions"), "rw-------");
    let root = client.head("lake/?action=getAccessControl", &[]).await.expect(200);
    assert_eq!((root.header("x-ms-owner"), root.header("x-ms-permissions")), ("$superuser", "rwxr-x---"));
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn incomplete_lists_are_completed_by_what_is_there() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"x").await;
    client.put("lake/dir?resource=directory", &[("x-ms-permissions", "0750")]).await.expect(201);
    let set = async |path: &str, acl: &str| {
        client.patch(&format!("lake/{path}?action=setAccessControl"), &[("x-ms-acl", acl)], b"").await
    };
    let told = async |path: &str| {
        let reply = client.head(&format!("lake/{path}?action=getAccessControl"), &[]).await.expect(200);
        (reply.header("x-ms-acl").to_owned(), reply.header("x-ms-permissions").to_owned())
    };
    for (given, acl, permissions) in [
        ("mask::--x", "user::rwx,group::r-x,mask::--x,other::---", "rwx--x---+"),
        ("user::rw-,mask::--x", "user::rw-,group::r-x,mask::--x,other::---", "rw---x---+"),
        ("other::r-x", "user::rw-,group::r-x,other::r-x", "rw-r-xr-x"),
        (
            "default:mask::--x",
            "user::rw-,group::r-x,other::r-x,\
             default:user::rw-,default:group::r-x,default:mask::--x,default:other::r-x",
            "rw-r-xr-x+",
        ),
        (
            "group:crew:rwx,default:group:team:-w-",
            "user::rw-,group::r-x,group:crew:rwx,mask::rwx,other::r-x,\
             default:user::rw-,default:group::r-x,default:group:team:-w-,default:mask::rwx,default:other::r-x",
            "rw-rwxr-x+",
        ),
    ] {
        set("dir", given).await.expect(200);
        assert_eq!(told("dir").await, (acl.to_owned(), permissions.to_owned()), "{given}");
        set("", given).await.expect(200);
    }
    let before = told("dir").await;
    for refused in ["user::rw", "mask::r--,mask::r--", "mask:al:r--", "user::rwx,"] {
        set("dir", refused).await.refused(400, "InvalidHeaderValue");
    }
    assert_eq!(told("dir").await, before);
    set("file", "default:mask::--x").await.refused(400, "InvalidHeaderValue");
    set("file", "user:al:rwx").await.expect(200);
    assert_eq!(told("file").await.0, "user::rw-,user:al:rwx,group::r--,mask::rwx,other::---");
    // There is nothing to complete the list of a new path with.
    let part = [("x-ms-acl", "mask::--x")];
    client.put("lake/new?resource=directory", &part).await.refused(400, "InvalidHeaderValue");
    client.head("lake/new", &[]).await.expect(404);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_list_is_taken_at_creation_and_default_entries_are_handed_on() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let list = "user::rwx,group::r-x,other::---,default:user::rwx,default:user:bob:rwx,default:group::r-x,default:other::---";
    let with = [("x-ms-acl", list), ("x-ms-properties", "a=MQ==")];
    client.put("lake/dir?resource=directory", &with).await.expect(201);
    let acl = async |path: &str| {
        let reply = client.head(&format!("lake/{path}?action=getAccessControl"), &[]).await.expect(200);
        reply.header("x-ms-acl").to_owned()
    };
    let handed_on =
        "default:user::rwx,default:user:bob:rwx,default:group::r-x,default:mask::rwx,default:other::---";
    assert_eq!(acl("dir").await, format!("user::rwx,group::r-x,other::---,{handed_on}"));
    assert_eq!(client.head("lake/dir", &[]).await.expect(200).header("x-ms-properties"), "a=MQ==");

    client.put("lake/dir/made/on/the/way?resource=file", &[]).await.expect(201);
    let inherited = "user::rwx,user:bob:rwx,group::r-x,mask::rwx,other::---";
    assert_eq!(acl("dir/made/on/the").await, format!("{inherited},{handed_on}"));
    assert_eq!(acl("dir/made/on/the/way").await, inherited);
    client.put("lake/dir/asked?resource=file", &[("x-ms-permissions", "0640")]).await.expect(201);
    assert_eq!(acl("dir/asked").await, "user::rw-,user:bob:rwx,group::r-x,mask::r--,other::---");
    let exactly = [("x-ms-acl", "user::rw-,group::r--,mask::r--,other::---")];
    client.put("lake/dir/exact?resource=file", &exactly).await.expect(201);
    assert_eq!(acl("dir/exact").await, exactly[0].1);
    let both = [exactly[0], ("x-ms-permissions", "0640")];
    client.put("lake/dir/both?resource=file", &both).await.refused(400, "InvalidHeaderValue");
    client
        .put("lake/dir/defaults?resource=file", &[("x-ms-acl", list)])
        .await
        .refused(400, "InvalidHeaderValue");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn bad_access_control_is_refused() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"x").await;
    for headers in [
        &[("x-ms-acl", "user::rw")][..],
        &[("x-ms-acl", "user::rwx,group::r-x,other::---,default:user:a:rwx")],
        &[("x-ms-acl", "user::rwx,group::r-x,other::---"), ("x-ms-permissions", "0700")],
        &[("x-ms-permissions", "rwx")],
        &[],
    ] {
        let reply = client.patch("lake/file?action=setAccessControl", headers, b"").await;
        reply.refused(400, "InvalidHeaderValue");
    }
    let before = client.head("lake/file?action=getAccessControl", &[]).await.expect(200);
    assert_eq!(before.header("x-ms-acl"), "user::rw-,group::r--,other::---");
    // The mask that comes with named entries takes one of the 32 places of a scope.
    let named = |scope: &str, count: usize| {
        let entries: String = (0..count).map(|number| format!(",{scope}user:u{number}:r--")).collect();
        format!("user::rwx,group::r-x,other::---{entries}")
    };
    client.put("lake/dir?resource=directory", &[]).await.expect(201);
    for (path, scope) in [("lake/file", ""), ("lake/dir", ""), ("lake/dir", "default:")] {
        let set = format!("{path}?action=setAccessControl");
        client.patch(&set, &[("x-ms-acl", &named(scope, 28))], b"").await.expect(200);
        let told = client.head(&format!("{path}?action=getAccessControl"), &[]).await.expect(200);
        client.patch(&set, &[("x-ms-acl", &named(scope, 29))], b"").await.refused(400, "InvalidHeaderValue");
        let after = client.head(&format!("{path}?action=getAccessControl"), &[]).await.expect(200);
        assert_eq!((after.etag(), after.header("x-ms-acl")), (told.etag(), told.header("x-ms-acl")));
    }
    let owner = [("x-ms-owner", "x")];
    client.patch("lake/none?action=setAccessControl", &owner, b"").await.refused(404, "PathNotFound");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn properties_and_reads_tell_the_list_from_some_version_on() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"x").await;
    for (version, acl) in [("2024-05-04", "user::rw-,group::r--,other::---"), ("2023-11-03", "")] {
        let version = [("x-ms-version", version)];
        assert_eq!(client.head("lake/file", &version).await.expect(200).header("x-ms-acl"), acl);
        assert_eq!(client.get("lake/file", &version).await.expect(200).header("x-ms-acl"), acl);
        let status = client.head("lake/file?action=getStatus", &version).await.expect(200);
        assert_eq!(status.header("x-ms-acl"), "");
        let of_blob = client.get("lake/file", &[version[0], ("accept", "application/xml")]).await.expect(200);
        assert_eq!(of_blob.header("x-ms-acl"), "");
    }
    fixture.running.stop().await.unwrap();
}
