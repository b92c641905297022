//! User properties and content settings: what is refused, what a change removes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use reqwest::Method;

use crate::client::Fixture;

const BLOCK_BLOB: (&str, &str) = ("x-ms-blob-type", "BlockBlob");
const MD5: &str = "CY9rzUYh03PK3k6DJie09g==";

/// The documented limit is for names and values together.
#[tokio::test]
async fn of_names_and_values_there_are_eight_kibibytes() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let properties = |bytes: usize| format!("abc={}", BASE64.encode("v".repeat(bytes - 3)));
    let (most, more) = (properties(8192), properties(8193));
    let value = |bytes: usize| "v".repeat(bytes - 3);
    let (most_metadata, more_metadata) = (value(8192), value(8193));
    let first = client.put("lake/file?resource=file", &[("x-ms-properties", &most)]).await.expect(201);
    let more = [("x-ms-properties", more.as_str())];
    let more_metadata = [("x-ms-meta-abc", more_metadata.as_str()), BLOCK_BLOB];
    for (method, target) in [
        ("PUT", "lake/file?resource=file"),
        ("PUT", "lake/other?resource=directory"),
        ("PUT", "another?resource=filesystem"),
        ("PATCH", "lake?resource=filesystem"),
        ("PATCH", "lake/file?action=setProperties"),
    ] {
        let reply = client.send(method.parse().unwrap(), target, &more, Vec::new()).await;
        reply.refused(400, "MetadataTooLarge");
    }
    let rename = [more[0], ("x-ms-rename-source", "/lake/file")];
    client.put("lake/renamed", &rename).await.refused(400, "MetadataTooLarge");
    for target in
        ["lake/file", "lake/file?comp=metadata", "another?restype=container", "lake/file?comp=blocklist"]
    {
        let body = if target.ends_with("blocklist") { "<BlockList/>" } else { "" };
        let reply = client.send(Method::PUT, target, &more_metadata, body.into()).await;
        reply.refused(400, "MetadataTooLarge");
    }
    let head = client.head("lake/file", &[]).await.expect(200);
    assert_eq!((head.etag(), head.header("x-ms-properties")), (first.etag(), most.as_str()));
    for absent in ["lake/other", "lake/renamed", "another?resource=filesystem"] {
        client.head(absent, &[]).await.expect(404);
    }
    client.put("lake/blob", &[("x-ms-meta-abc", &most_metadata), BLOCK_BLOB]).await.expect(201);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn names_are_identifiers() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let first = client.put("lake/file?resource=file", &[("x-ms-properties", "_a1=MQ==")]).await.expect(201);
    for name in ["", "a-b", "a.b", "1a", "a b"] {
        let properties = [("x-ms-properties", &*format!("{name}=MQ=="))];
        for target in ["lake/file?action=setProperties", "lake?resource=filesystem"] {
            client.patch(target, &properties, b"").await.refused(400, "InvalidPropertyName");
        }
        client.put("lake/file?resource=file", &properties).await.refused(400, "InvalidPropertyName");
    }
    for (name, code) in [
        ("x-ms-meta-", "EmptyMetadataKey"),
        ("x-ms-meta-a-b", "InvalidMetadata"),
        ("x-ms-meta-a.b", "InvalidMetadata"),
        ("x-ms-meta-1a", "InvalidMetadata"),
    ] {
        for target in ["lake/file", "lake/file?comp=metadata", "another?restype=container"] {
            client.put(target, &[(name, "1"), BLOCK_BLOB]).await.refused(400, code);
        }
    }
    let head = client.head("lake/file", &[]).await.expect(200);
    assert_eq!((head.etag(), head.header("x-ms-properties")), (first.etag(), "_a1=MQ=="));
    client.head("another?resource=filesystem", &[]).await.refused(404, "FilesystemNotFound");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn set_properties_removes_what_it_is_not_given_and_keeps_other_settings() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let headers = [
        ("x-ms-properties", "a=MQ=="),
        ("x-ms-content-type", "text/plain"),
        ("x-ms-content-md5", MD5),
        ("x-ms-cache-control", "no-store"),
    ];
    client.put("lake/file?resource=file", &headers).await.expect(201);
    let told = async || {
        let head = client.head("lake/file", &[]).await.expect(200);
        ["x-ms-properties", "content-md5", "content-type", "cache-control"]
            .map(|name| head.header(name).to_owned())
    };
    assert_eq!(told().await, ["a=MQ==", MD5, "text/plain", "no-store"]);
    let set = "lake/file?action=setProperties";
    client.patch(set, &[("x-ms-properties", "b=Mg=="), ("x-ms-content-md5", MD5)], b"").await.expect(200);
    assert_eq!(told().await, ["b=Mg==", MD5, "text/plain", "no-store"]);
    client.patch(set, &[("x-ms-content-type", "text/html")], b"").await.expect(200);
    assert_eq!(told().await, ["", "", "text/html", "no-store"]);
    fixture.running.stop().await.unwrap();
}

/// An old MD5 over new content would look like corruption.
#[tokio::test]
async fn a_flush_clears_the_md5_that_it_does_not_bring() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let md5 = async || client.head("lake/file", &[]).await.expect(200).header("content-md5").to_owned();
    let append = "lake/file?action=append&position=0";
    let created = [("x-ms-content-md5", MD5), ("x-ms-content-type", "text/plain")];
    client.put("lake/file?resource=file", &created).await.expect(201);
    assert_eq!(md5().await, MD5);
    client.patch(append, &[], b"test").await.expect(202);
    assert_eq!(md5().await, MD5);
    client.patch("lake/file?action=flush&position=4", &[], b"").await.expect(200);
    assert_eq!(md5().await, "");
    client.patch("lake/file?action=flush&position=4", &[("x-ms-content-md5", MD5)], b"").await.expect(200);
    assert_eq!(md5().await, MD5);
    client.patch("lake/file?action=append&position=4&flush=true", &[], b"more").await.expect(202);
    assert_eq!(md5().await, "");
    assert_eq!(client.head("lake/file", &[]).await.expect(200).header("content-type"), "text/plain");
    // That of an append blob does not outlive the content either.
    client.delete("lake/file?recursive=false", &[]).await.expect(200);
    let created = [("x-ms-blob-type", "AppendBlob"), ("x-ms-blob-content-md5", MD5)];
    client.put("lake/file", &created).await.expect(201);
    assert_eq!(md5().await, MD5);
    client.send(Method::PUT, "lake/file?comp=appendblock", &[], b"more".to_vec()).await.expect(201);
    assert_eq!(md5().await, "");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_rename_may_bring_properties() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let told = async |path: &str| {
        let head = client.head(path, &[]).await.expect(200);
        (head.header("x-ms-properties").to_owned(), head.header("content-type").to_owned())
    };
    let created = [("x-ms-properties", "a=MQ=="), ("x-ms-content-type", "text/plain")];
    client.put("lake/one?resource=file", &created).await.expect(201);
    client.put("lake/two", &[("x-ms-rename-source", "/lake/one")]).await.expect(201);
    assert_eq!(told("lake/two").await, ("a=MQ==".to_owned(), "text/plain".to_owned()));
    let bringing = [("x-ms-rename-source", "/lake/two"), ("x-ms-properties", "b=Mg==")];
    client.put("lake/three", &bringing).await.expect(201);
    assert_eq!(told("lake/three").await, ("b=Mg==".to_owned(), "text/plain".to_owned()));
    let bad = [("x-ms-rename-source", "/lake/three"), ("x-ms-properties", "a-b=Mg==")];
    client.put("lake/four", &bad).await.refused(400, "InvalidPropertyName");
    assert_eq!(told("lake/three").await.0, "b=Mg==");
    client.head("lake/four", &[]).await.refused(404, "PathNotFound");
    fixture.running.stop().await.unwrap();
}
