use crate::client::{Client, Fixture};

/// All pages, and how many there were.
async fn list(client: &Client, query: &str) -> (Vec<String>, usize) {
    let (mut names, mut pages, mut token) = (Vec::new(), 0, String::new());
    loop {
        let continuation = if token.is_empty() { String::new() } else { format!("&continuation={token}") };
        let page =
            client.get(&format!("lake?resource=filesystem&{query}{continuation}"), &[]).await.expect(200);
        for entry in page.json()["paths"].as_array().unwrap() {
            names.push(entry["name"].as_str().unwrap().to_owned());
        }
        pages += 1;
        token = page.header("x-ms-continuation").to_owned();
        if token.is_empty() {
            return (names, pages);
        }
    }
}

#[tokio::test]
async fn pages_hold_every_path_once_whatever_their_size() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let mut expected = Vec::new();
    for directory in ["a", "a-b", "b", "c/d/e"] {
        client.put(&format!("lake/{directory}/x?resource=directory"), &[]).await.expect(201);
        client.put(&format!("lake/{directory}/file?resource=file"), &[]).await.expect(201);
        expected.extend([format!("{directory}/x"), format!("{directory}/file"), directory.to_owned()]);
    }
    expected.extend(["c".to_owned(), "c/d".to_owned()]);
    expected.sort();
    for size in 1..=15_usize {
        let (mut names, pages) = list(client, &format!("recursive=true&maxResults={size}")).await;
        names.sort();
        assert_eq!(names, expected, "pages of {size}");
        assert_eq!(pages, expected.len().div_ceil(size));
    }
    assert_eq!(
        list(client, "recursive=false&maxResults=2").await,
        (vec!["a", "a-b", "b", "c"].into_iter().map(str::to_owned).collect(), 2)
    );
    let (below, _) = list(client, "recursive=true&directory=c%2Fd&maxResults=1").await;
    assert_eq!(below, ["c/d/e", "c/d/e/file", "c/d/e/x"]);
    let (one, _) = list(client, "recursive=false&directory=a/file").await;
    assert_eq!(one, ["a/file"]);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_listing_goes_on_when_its_last_path_is_gone() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    for name in ["a/1", "a/2", "b/1", "c"] {
        client.put(&format!("lake/{name}?resource=file"), &[]).await.expect(201);
    }
    let page = client.get("lake?resource=filesystem&recursive=true&maxResults=2", &[]).await.expect(200);
    client.delete("lake/a?recursive=true", &[]).await.expect(200);
    let target =
        format!("lake?resource=filesystem&recursive=true&continuation={}", page.header("x-ms-continuation"));
    let rest = client.get(&target, &[]).await.expect(200).json();
    let names: Vec<_> = rest["paths"].as_array().unwrap().iter().map(|entry| entry["name"].clone()).collect();
    assert_eq!(names, ["b", "b/1", "c"]);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn entries_tell_what_head_tells() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let file = client.write("lake/dir/file", b"12345").await;
    let listed = client.get("lake?resource=filesystem&recursive=true", &[]).await.expect(200).json();
    let whole = client.get("lake?resource=filesystem&recursive=false", &[]).await.expect(200);
    let filesystem = client.head("lake?resource=filesystem", &[]).await.expect(200);
    let told =
        |reply: &crate::client::Reply| (reply.etag().to_owned(), reply.header("last-modified").to_owned());
    assert_eq!(told(&whole), told(&filesystem));
    let (dir, entry) = (&listed["paths"][0], &listed["paths"][1]);
    assert_eq!(
        (&dir["name"], &dir["isDirectory"], &dir["permissions"]),
        (&"dir".into(), &"true".into(), &"rwxr-x---".into())
    );
    assert_eq!((&entry["name"], &entry["contentLength"]), (&"dir/file".into(), &"5".into()));
    assert!(entry.get("isDirectory").is_none());
    assert_eq!(entry["etag"], file.etag().trim_matches('"'));
    assert_eq!(entry["lastModified"], file.header("last-modified"));
    assert_eq!((&entry["owner"], &entry["permissions"]), (&"$superuser".into(), &"rw-r-----".into()));
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn bad_listings_are_refused() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let list = |query: &'static str| async move {
        client.get(&format!("lake?resource=filesystem&{query}"), &[]).await
    };
    list("recursive=true&directory=none").await.refused(404, "PathNotFound");
    list("").await.refused(400, "MissingRequiredQueryParameter");
    list("recursive=perhaps").await.refused(400, "InvalidQueryParameterValue");
    list("recursive=true&maxResults=0").await.refused(400, "OutOfRangeQueryParameterValue");
    list("recursive=true&continuation=!").await.refused(400, "InvalidQueryParameterValue");
    client.get("none?resource=filesystem&recursive=true", &[]).await.refused(404, "FilesystemNotFound");
    fixture.running.stop().await.unwrap();
}
