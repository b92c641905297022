//! Parameters of the REST reference that no other test is about: served, or refused in a way that says why.

use reqwest::Method;

use crate::client::{ACCOUNT, ADMIN_TOKEN, Fixture};

// Begin with `D01`, `A1` and `z-non-existent`.
const D01: &str = "MTA4NTUxMDk1MjczMjU0NDg0MSAwIEQwMQ==";
const A1_IS_NOT_THERE: &str = "LTMxNTgxODM0NTI1NDU2MTQ5NDcgMCBBMQ==";
const Z_IS_BEHIND: &str = "LTg5OTE4NTM5NDg1ODYzNTQ0ODIgMCB6LW5vbi1leGlzdGVudA==";

#[tokio::test]
async fn an_encryption_context_is_kept_and_told() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let context = [("x-ms-encryption-context", "key 17")];
    client.put("lake/file?resource=file", &context).await.expect(201);
    assert_eq!(client.head("lake/file", &[]).await.expect(200).header("x-ms-encryption-context"), "key 17");
    assert_eq!(client.get("lake/file", &[]).await.expect(200).header("x-ms-encryption-context"), "key 17");
    let listed = client.get("lake?resource=filesystem&recursive=true", &[]).await.expect(200).json();
    assert_eq!(listed["paths"][0]["EncryptionContext"], "key 17");
    let moved = [("x-ms-rename-source", "/lake/file")];
    client.put("lake/moved", &moved).await.expect(201);
    assert_eq!(client.head("lake/moved", &[]).await.expect(200).header("x-ms-encryption-context"), "key 17");
    let long = "x".repeat(1025);
    let long = [("x-ms-encryption-context", long.as_str())];
    client.put("lake/long?resource=file", &long).await.refused(400, "InvalidHeaderValue");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn headers_that_would_have_no_effect_are_refused() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"x").await;
    for (name, status, code) in [
        ("x-ms-encryption-key", 400, "UnsupportedHeader"),
        ("x-ms-encryption-scope", 400, "UnsupportedHeader"),
        ("x-ms-legal-hold", 400, "UnsupportedHeader"),
        ("x-ms-tags", 409, "FeatureNotYetSupportedForHierarchicalNamespaceAccounts"),
        ("x-ms-if-tags", 409, "FeatureNotYetSupportedForHierarchicalNamespaceAccounts"),
    ] {
        client.get("lake/file", &[(name, "abc")]).await.refused(status, code);
        client.put("lake/new?resource=file", &[(name, "abc")]).await.refused(status, code);
    }
    client.head("lake/new", &[]).await.expect(404);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_paginated_delete_needs_only_one_page() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    for number in 0..30 {
        client.put(&format!("lake/dir/sub{}/{number}?resource=file", number % 3), &[]).await.expect(201);
    }
    let old = [("x-ms-version", "2023-05-03")];
    let target = "lake/dir?recursive=true&paginated=true";
    client.delete(target, &old).await.refused(400, "UnsupportedQueryParameter");
    client.head("lake/dir/sub0/0", &[]).await.expect(200);
    let deleted = client.delete(target, &[]).await.expect(200);
    assert_eq!(deleted.header("x-ms-continuation"), "");
    client.head("lake/dir", &[]).await.expect(404);
    client.put("lake/file?resource=file&continuation=abc", &[]).await.expect(201);
    let source = [("x-ms-rename-source", "/lake/file")];
    client.put("lake/moved?mode=posix&continuation=abc", &source).await.expect(201);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_listing_begins_where_it_is_told_to() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    for path in ["a/1", "a/2", "b/c/1", "b/c/2", "b/d", "c"] {
        client.put(&format!("lake/{path}?resource=file"), &[]).await.expect(201);
    }
    let list = async |query: &str| {
        let page = client.get(&format!("lake?resource=filesystem&{query}"), &[]).await.expect(200).json();
        let names =
            page["paths"].as_array().unwrap().iter().map(|path| path["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    let recursive = async |from: &str| list(&format!("recursive=true&beginFrom={from}")).await;
    assert_eq!(recursive("b").await, ["b", "b/c", "b/c/1", "b/c/2", "b/d", "c"]);
    assert_eq!(recursive("b/c/2").await, ["b/c/2", "b/d", "c"]);
    assert_eq!(recursive("a/3").await, ["b", "b/c", "b/c/1", "b/c/2", "b/d", "c"]);
    assert_eq!(recursive("bb/x").await, ["c"]);
    assert_eq!(list("recursive=true&directory=b&beginFrom=c/2").await, ["b/c/2", "b/d"]);
    assert_eq!(list("recursive=false&beginFrom=b").await, ["b", "c"]);
    let deep = client.get("lake?resource=filesystem&recursive=false&beginFrom=b/c", &[]).await;
    deep.refused(400, "InvalidQueryParameterValue");
    let page = client.get("lake?resource=filesystem&recursive=true&beginFrom=b/c/1&maxResults=1", &[]).await;
    let token = page.expect(200).header("x-ms-continuation").to_owned();
    let rest = list(&format!("recursive=true&beginFrom=b/c/1&continuation={token}")).await;
    assert_eq!(rest, ["b/c/2", "b/d", "c"]);
    fixture.running.stop().await.unwrap();
}

/// Hadoop's driver makes such continuations itself.
#[tokio::test]
async fn a_continuation_of_the_services_form_begins_a_listing() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    for path in ["dir/A0", "dir/D01", "dir/a+", "dir/c0"] {
        client.put(&format!("lake/{path}?resource=file"), &[]).await.expect(201);
    }
    let list = async |token: &str| {
        let target = format!("lake?resource=filesystem&recursive=false&directory=dir&continuation={token}");
        client.get(&target, &[]).await
    };
    for (token, expected) in [
        (D01, &["dir/D01", "dir/a+", "dir/c0"][..]),
        (A1_IS_NOT_THERE, &["dir/D01", "dir/a+", "dir/c0"]),
        (Z_IS_BEHIND, &[]),
    ] {
        let page = list(token).await.expect(200);
        let names: Vec<_> =
            page.json()["paths"].as_array().unwrap().iter().map(|path| path["name"].clone()).collect();
        assert_eq!(names, expected, "{token}");
    }
    list(&D01[4..]).await.refused(400, "InvalidQueryParameterValue");
    let whole = client.get("lake?resource=filesystem&recursive=true&maxResults=1", &[]).await.expect(200);
    let next = client.get("lake?resource=filesystem&recursive=true&maxResults=2", &[]).await.expect(200);
    assert_ne!(whole.header("x-ms-continuation"), next.header("x-ms-continuation"));
    // Of a walk through all levels, which one level cannot continue.
    list(whole.header("x-ms-continuation")).await.refused(400, "InvalidQueryParameterValue");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_transaction_is_told_by_what_it_made() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let transaction = |id: &'static str| ("x-ms-client-transaction-id", id);
    let told = async |path: &str| {
        let head = client.head(&format!("lake/{path}?action=getStatus"), &[]).await.expect(200);
        let whole = client.head(&format!("lake/{path}"), &[]).await.expect(200);
        let id = head.header("x-ms-client-transaction-id").to_owned();
        assert_eq!(whole.header("x-ms-client-transaction-id"), id);
        id
    };
    client.put("lake/dir?resource=directory", &[transaction("one")]).await.expect(201);
    client.put("lake/file?resource=file", &[transaction("two")]).await.expect(201);
    let made = client.put("lake/file?resource=file", &[transaction("three")]).await.expect(201);
    assert_eq!((told("dir").await.as_str(), told("file").await.as_str()), ("one", "three"));
    let absent = [("if-none-match", "*"), transaction("four")];
    client.put("lake/file?resource=file", &absent).await.refused(409, "PathAlreadyExists");
    assert_eq!(told("file").await, "three");
    client.put("lake/moved", &[("x-ms-rename-source", "/lake/file")]).await.expect(201);
    assert_eq!(told("moved").await, "three");
    let source = [("x-ms-rename-source", "/lake/moved"), transaction("five")];
    let moved = client.put("lake/again", &source).await.expect(201);
    assert_eq!(moved.etag(), made.etag());
    let source = [("x-ms-rename-source", "/lake/none"), transaction("six")];
    client.put("lake/again", &source).await.refused(404, "SourcePathNotFound");
    client.put("lake/again?comp=properties", &[("x-ms-blob-content-type", "text/x")]).await.expect(200);
    assert_eq!(told("again").await, "five");
    client.put("lake/again?resource=file", &[]).await.expect(201);
    assert_eq!(told("again").await, "");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn names_for_people_are_the_names_for_programs() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.put("lake/file?resource=file", &[("x-ms-owner", "alice@example.com")]).await.expect(201);
    for upn in ["true", "false"] {
        let head =
            client.head(&format!("lake/file?action=getAccessControl&upn={upn}"), &[]).await.expect(200);
        assert_eq!(head.header("x-ms-owner"), "alice@example.com");
        let listed = client.get(&format!("lake?resource=filesystem&recursive=true&upn={upn}"), &[]).await;
        assert_eq!(listed.expect(200).json()["paths"][0]["owner"], "alice@example.com");
    }
    let bad = client.get("lake?resource=filesystem&recursive=true&upn=maybe", &[]).await;
    bad.refused(400, "InvalidQueryParameterValue");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn block_blobs_and_append_blobs_are_made() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.put("lake/block?resource=file&blobType=blockblob", &[]).await.expect(201);
    client.put("lake/append?resource=file&blobType=appendblob", &[]).await.expect(201);
    let other = client.put("lake/other?resource=file&blobType=pageblob", &[]).await;
    other.refused(400, "InvalidQueryParameterValue");
    client.put("lake/other", &[("x-ms-blob-type", "Other")]).await.refused(400, "InvalidHeaderValue");
    client.head("lake/other", &[]).await.expect(404);
    for (path, kind) in [("block", "BlockBlob"), ("append", "AppendBlob")] {
        let head = client.head(&format!("lake/{path}"), &[]).await.expect(200);
        assert_eq!(head.header("x-ms-blob-type"), kind);
    }
    fixture.running.stop().await.unwrap();
}

/// What the service does not have for accounts with a hierarchical namespace.
#[tokio::test]
async fn features_of_flat_namespaces_are_refused_as_the_service_refuses_them() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"x").await;
    let feature = "FeatureNotYetSupportedForHierarchicalNamespaceAccounts";
    for comp in ["snapshot", "page", "incrementalcopy"] {
        client.put(&format!("lake/file?comp={comp}"), &[]).await.refused(409, feature);
    }
    client.get("lake/file?comp=pagelist", &[]).await.refused(409, feature);
    client.get("lake/file?snapshot=2026-01-01T00:00:00.0000000Z", &[]).await.refused(409, feature);
    client.delete("lake/file?versionid=2026-01-01T00:00:00.0000000Z", &[]).await.refused(409, feature);
    client.put("lake/pages", &[("x-ms-blob-type", "PageBlob")]).await.refused(409, feature);
    for target in ["lake/file?comp=tags", "?comp=blobs&where=a", "lake?restype=container&comp=blobs&where=a"]
    {
        client.get(target, &[]).await.refused(400, "InvalidQueryParameterValue");
    }
    client.put("lake/file?comp=tags", &[]).await.refused(400, "InvalidQueryParameterValue");
    client.head("lake/pages", &[]).await.expect(404);
    assert_eq!(client.get("lake/file", &[]).await.expect(200).text(), "x");
    fixture.running.stop().await.unwrap();
}

/// By the admin endpoint, so that clients' loops over pages can be tried.
#[tokio::test]
async fn a_paginated_delete_takes_the_pages_that_are_asked_for() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let knob = format!("/accounts/{ACCOUNT}/deletions");
    client.admin(Method::PUT, &knob, ADMIN_TOKEN, "{\"pathsPerRequest\": 3}").await.expect(200);
    let make = async || {
        for path in ["a/1", "a/b/2", "a/b/3", "c/d/e", "f"] {
            client.put(&format!("lake/dir/{path}?resource=file"), &[]).await.expect(201);
        }
    };
    let left = async || {
        let target = "lake?resource=filesystem&recursive=true&directory=dir";
        client.get(target, &[]).await.expect(200).json()["paths"].as_array().unwrap().len()
    };
    make().await;
    assert_eq!(left().await, 9);
    let delete = "lake/dir?recursive=true&paginated=true";
    let mut token = String::new();
    for expected in [6, 3] {
        let reply = client.delete(&format!("{delete}{token}"), &[]).await.expect(200);
        assert_eq!(left().await, expected);
        token = format!("&continuation={}", reply.header("x-ms-continuation"));
        assert_ne!(token, "&continuation=");
    }
    let last = client.delete(&format!("{delete}{token}"), &[]).await.expect(200);
    assert_eq!(last.header("x-ms-continuation"), "");
    client.head("lake/dir", &[]).await.refused(404, "PathNotFound");
    // Whoever does not ask for pages needs none.
    make().await;
    let whole = client.delete("lake/dir?recursive=true", &[]).await.expect(200);
    assert_eq!(whole.header("x-ms-continuation"), "");
    client.head("lake/dir", &[]).await.refused(404, "PathNotFound");
    fixture.running.stop().await.unwrap();
}
