use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest as _, Md5};
use reqwest::Method;

use crate::client::{Client, Fixture, Reply};

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
    client.get("lake?restype=container&comp=undo", &[]).await.refused(501, "NotImplemented");
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
    client.write("lake/file", b"x").await;
    for level in ["", "lake", "lake/file"] {
        let target = format!("{level}?restype=account&comp=properties");
        let information = client.get(&target, &[]).await.expect(200);
        assert_eq!(information.header("x-ms-is-hns-enabled"), "true", "{level}");
    }
    let properties = client.get("?restype=service&comp=properties", &[]).await.expect(200).text();
    assert!(properties.contains("<DeleteRetentionPolicy><Enabled>false"), "{properties}");
    let set = async |xml: &str| {
        let document = format!("<StorageServiceProperties>{xml}</StorageServiceProperties>");
        put(client, "?restype=service&comp=properties", &[], document.as_bytes()).await
    };
    let site = "<StaticWebsite><Enabled>true</Enabled><IndexDocument>i.html</IndexDocument></StaticWebsite>";
    set(site).await.expect(202);
    set("<DeleteRetentionPolicy><Enabled>true</Enabled><Days>3</Days></DeleteRetentionPolicy>")
        .await
        .expect(202);
    let properties = client.get("?restype=service&comp=properties", &[]).await.expect(200).text();
    assert!(properties.contains(site) && properties.contains("<Days>3</Days>"), "{properties}");
    assert!(properties.contains("<Logging><Version>1.0</Version>"), "{properties}");
    set("<Unknown />").await.refused(400, "InvalidXmlNodeValue");
    set("<Cors>").await.refused(400, "InvalidXmlDocument");
    fixture.running.stop().await.unwrap();
}

const BLOCK_BLOB: (&str, &str) = ("x-ms-blob-type", "BlockBlob");

async fn put(client: &Client, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    client.send(Method::PUT, target, headers, body.to_vec()).await
}

async fn put_block(client: &Client, path: &str, id: &str, body: &[u8]) -> Reply {
    put(client, &format!("{path}?comp=block&blockid={}", id.replace('=', "%3D")), &[], body).await
}

async fn put_list(client: &Client, path: &str, headers: &[(&str, &str)], ids: &[&str]) -> Reply {
    let ids: String = ids.iter().map(|id| format!("<Latest>{id}</Latest>")).collect();
    let xml = format!("<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>{ids}</BlockList>");
    put(client, &format!("{path}?comp=blocklist"), headers, xml.as_bytes()).await
}

fn spools(fixture: &Fixture) -> usize {
    std::fs::read_dir(fixture.folder.path().join("spool")).unwrap().count()
}

#[tokio::test]
async fn a_blob_that_is_put_is_a_file_on_both_endpoints() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let md5 = BASE64.encode(Md5::digest(b"content"));
    let headers = [
        BLOCK_BLOB,
        ("content-type", "text/ignored"),
        ("x-ms-blob-content-type", "text/x"),
        ("x-ms-meta-team", "blue"),
        ("content-md5", md5.as_str()),
    ];
    let put_it = put(client, "lake/a/b/file", &headers, b"content").await.expect(201);
    assert_eq!(put_it.header("content-md5"), md5);
    let dfs = client.head("lake/a/b/file", &[]).await.expect(200);
    assert_eq!((dfs.etag(), dfs.header("content-length")), (put_it.etag(), "7"));
    assert_eq!((dfs.header("x-ms-properties"), dfs.header("content-type")), ("team=Ymx1ZQ==", "text/x"));
    assert_eq!(dfs.header("content-md5"), md5, "computed where the client gives none");
    let read = client.get("lake/a/b/file", &[XML]).await.expect(200);
    assert_eq!((read.text().as_str(), read.etag()), ("content", put_it.etag()));
    assert_eq!(client.head("lake/a/b", &[]).await.expect(200).header("x-ms-resource-type"), "directory");

    let again = [BLOCK_BLOB, ("if-none-match", "*")];
    put(client, "lake/a/b/file", &again, b"other").await.refused(409, "BlobAlreadyExists");
    let bad = BASE64.encode(Md5::digest(b"another"));
    put(client, "lake/a/b/file", &[BLOCK_BLOB, ("content-md5", &bad)], b"x")
        .await
        .refused(400, "Md5Mismatch");
    put(client, "lake/a/b", &[BLOCK_BLOB], b"x").await.refused(409, "PathConflict");
    assert_eq!(client.get("lake/a/b/file", &[]).await.expect(200).text(), "content");
    put(client, "lake/a/b/file", &[BLOCK_BLOB], b"content!").await.expect(201);
    assert_eq!(client.get("lake/a/b/file", &[]).await.expect(200).text(), "content!");

    let matching = put(client, "lake/a/b/file", &[BLOCK_BLOB, ("if-match", put_it.etag())], b"x").await;
    matching.refused(412, "ConditionNotMet");
    put(client, "lake/a/b/file", &[BLOCK_BLOB], b"").await.expect(201);
    assert_eq!(client.get("lake/a/b/file", &[]).await.expect(200).text(), "");
    assert_eq!(spools(&fixture), 0);
    client.delete("lake/a/b/file", &[("x-ms-delete-snapshots", "only")]).await.expect(202);
    client.head("lake/a/b/file", &[]).await.expect(200);
    let some = [("x-ms-delete-snapshots", "some")];
    client.delete("lake/a/b/file", &some).await.refused(400, "InvalidHeaderValue");
    client.delete("lake/a/b/file", &[("x-ms-delete-snapshots", "include")]).await.expect(202);
    client.delete("lake/a/b/file", &[]).await.refused(404, "BlobNotFound");
    client.head("lake/a/b/file", &[XML]).await.refused(404, "BlobNotFound");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn blocks_become_a_blob_in_the_order_of_their_list() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    put_block(client, "lake/big", "Yg==", b"world").await.expect(201);
    put_block(client, "lake/big", "YQ==", b"hallo ").await.expect(201);
    client.head("lake/big", &[]).await.expect(404);
    put_block(client, "lake/big", "YQ==", b"hello ").await.expect(201);
    put_block(client, "lake/big", "Yw==", b"never named").await.expect(201);
    put_list(client, "lake/big", &[], &["YQ==", "eA=="]).await.refused(400, "InvalidBlockList");
    client.head("lake/big", &[]).await.expect(404);
    let headers = [("x-ms-meta-a", "1"), ("x-ms-blob-content-type", "text/x")];
    let listed = put_list(client, "lake/big", &headers, &["YQ==", "Yg=="]).await.expect(201);
    let head = client.head("lake/big", &[]).await.expect(200);
    assert_eq!((head.etag(), head.header("content-type")), (listed.etag(), "text/x"));
    assert_eq!(head.header("x-ms-properties"), "a=MQ==");
    assert_eq!(client.get("lake/big", &[]).await.expect(200).text(), "hello world");
    assert_eq!(spools(&fixture), 0, "blocks that no list named are gone too");
    put_list(client, "lake/big", &[], &["Yw=="]).await.refused(400, "InvalidBlockList");
    put_list(client, "lake/big", &[("if-none-match", "*")], &[]).await.refused(409, "BlobAlreadyExists");

    put_block(client, "lake/big", "YQ==", b"second").await.expect(201);
    assert_eq!(client.get("lake/big", &[]).await.expect(200).text(), "hello world");
    let fixture = fixture.restart().await;
    let client = &fixture.client;
    put_list(client, "lake/big", &[("if-match", listed.etag())], &["YQ=="]).await.expect(201);
    assert_eq!(client.get("lake/big", &[]).await.expect(200).text(), "second");

    put_block(client, "lake/big", "YQ==", b"unwanted").await.expect(201);
    put(client, "lake/big", &[BLOCK_BLOB], b"whole").await.expect(201);
    put_list(client, "lake/big", &[], &["YQ=="]).await.refused(400, "InvalidBlockList");
    put_list(client, "lake/empty", &[], &[]).await.expect(201);
    assert_eq!(client.get("lake/empty", &[]).await.expect(200).text(), "");
    put_block(client, "lake/big", "%", b"x").await.refused(400, "InvalidQueryParameterValue");
    put_block(client, "lake/big", "YQ==", b"").await.refused(400, "InvalidHeaderValue");
    put(client, "lake/big?comp=blocklist", &[], b"<BlockList>").await.refused(400, "InvalidXmlDocument");
    fixture.running.stop().await.unwrap();
}

/// The names in a listing's pages: of blobs as they are, of prefixes with their slash.
async fn list(client: &Client, query: &str) -> Vec<String> {
    let (mut names, mut marker) = (Vec::new(), String::new());
    loop {
        let next = if marker.is_empty() { String::new() } else { format!("&marker={marker}") };
        let xml = client.get(&format!("lake?restype=container&comp=list&{query}{next}"), &[]).await;
        let xml = xml.expect(200).text();
        names.extend(xml.split("<Name>").skip(1).map(|rest| rest.split('<').next().unwrap().to_owned()));
        marker = xml.split("<NextMarker>").nth(1).unwrap().split('<').next().unwrap().to_owned();
        if marker.is_empty() {
            return names;
        }
    }
}

#[tokio::test]
async fn blobs_are_listed_flat_and_by_level() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    for path in ["a/one", "a/b/two", "ab/three", "a.txt", "c"] {
        client.write(&format!("lake/{path}"), b"x").await;
    }
    for size in ["", "&maxresults=1", "&maxresults=2"] {
        let flat = async |prefix: &str| list(client, &format!("prefix={prefix}{size}")).await;
        assert_eq!(flat("").await, ["a", "a/b", "a/b/two", "a/one", "a.txt", "ab", "ab/three", "c"]);
        assert_eq!(flat("a/").await, ["a/b", "a/b/two", "a/one"]);
        assert_eq!(flat("a/o").await, ["a/one"]);
        assert_eq!(flat("ab").await, ["ab", "ab/three"]);
        let level = async |prefix: &str| list(client, &format!("delimiter=/&prefix={prefix}{size}")).await;
        assert_eq!(level("").await, ["a/", "a.txt", "ab/", "c"]);
        assert_eq!(level("a").await, ["a/", "a.txt", "ab/"]);
        assert_eq!(level("a/").await, ["a/b/", "a/one"]);
        for nothing in ["z", "none/x", "c/x"] {
            assert!(level(nothing).await.is_empty() && flat(nothing).await.is_empty(), "{nothing}");
        }
    }
    let etag = client.head("lake/c", &[]).await.expect(200).etag().trim_matches('"').to_owned();
    let xml = client.get("lake?restype=container&comp=list&include=metadata", &[]).await.expect(200).text();
    assert!(xml.contains(&format!("<Etag>{etag}</Etag>")), "{xml}");
    assert!(xml.contains("<hdi_isfolder>true</hdi_isfolder>"), "{xml}");
    let other = client.get("lake?restype=container&comp=list&delimiter=-", &[]).await;
    other.refused(400, "InvalidQueryParameterValue");
    client.get("none?restype=container&comp=list", &[]).await.refused(404, "ContainerNotFound");
    let include = async |parts: &str| {
        client.get(&format!("lake?restype=container&comp=list&include={parts}"), &[]).await
    };
    let permissions = include("permissions,snapshots,deleted").await.expect(200).text();
    assert!(permissions.contains("<Owner>$superuser</Owner><Group>$superuser</Group>"), "{permissions}");
    assert!(permissions.contains("<Acl>user::rw-,group::r--,other::---</Acl>"), "{permissions}");
    assert_eq!(
        list(client, "startFrom=a/b").await,
        ["a/b", "a/b/two", "a/one", "a.txt", "ab", "ab/three", "c"]
    );
    assert_eq!(list(client, "prefix=a&startFrom=a.txt").await, ["a.txt", "ab", "ab/three"]);
    assert_eq!(list(client, "prefix=a/&startFrom=a/n").await, ["a/one"]);
    assert_eq!(list(client, "delimiter=/&startFrom=ab").await, ["ab/", "c"]);
    assert_eq!(list(client, "prefix=a/&startFrom=0").await, ["a/b", "a/b/two", "a/one"]);
    assert!(list(client, "prefix=a/&startFrom=b").await.is_empty());
    let end = client.get("lake?restype=container&comp=list&endBefore=b", &[]).await;
    end.refused(501, "NotImplemented");
    include("uncommittedblobs").await.refused(501, "NotImplemented");
    include("everything").await.refused(400, "InvalidQueryParameterValue");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn what_the_hadoop_driver_overrides() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.put("lake/file?resource=file", &[]).await.expect(201);
    let patch = [("x-http-method-override", "PATCH")];
    put(client, "lake/file?action=append&position=0", &patch, b"x").await.expect(202);
    put(client, "lake/file?action=flush&position=1", &patch, b"").await.expect(200);
    put(client, "lake/file?action=setProperties", &[patch[0], ("x-ms-properties", "a=MQ==")], b"")
        .await
        .expect(200);
    let access = [patch[0], ("x-ms-permissions", "0600")];
    client.send(Method::POST, "lake/file?action=setAccessControl", &access, Vec::new()).await.expect(200);
    let status = client.head("lake/file?action=getStatus", &[]).await.expect(200);
    assert_eq!((status.header("content-length"), status.header("x-ms-resource-type")), ("1", "file"));
    let access = client.head("lake/file?action=getAccessControl&upn=true", &[]).await.expect(200);
    assert_eq!(access.header("x-ms-permissions"), "rw-------");
    let delete = [("x-http-method-override", "DELETE")];
    client.send(Method::POST, "lake/file?recursive=false", &delete, Vec::new()).await.expect(200);
    client.head("lake/file?action=getStatus", &[]).await.refused(404, "PathNotFound");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn an_empty_blob_with_the_mark_is_a_directory() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let marked =
        |value| [("x-ms-blob-type", "BlockBlob"), ("x-ms-meta-hdi_isfolder", "true"), ("x-ms-meta-a", value)];
    client.put("lake/made/below/", &marked("1")).await.expect(201);
    client.write("lake/made/below/file", b"x").await;
    client.put("lake/made/below", &marked("2")).await.expect(201);
    let head = client.head("lake/made/below", &[]).await.expect(200);
    assert_eq!((head.header("x-ms-resource-type"), head.header("x-ms-meta-a")), ("directory", "2"));
    assert_eq!(client.get("lake/made/below/file", &[]).await.expect(200).text(), "x");
    client.put("lake/made/below/file", &marked("3")).await.refused(409, "PathConflict");
    fixture.running.stop().await.unwrap();
}
