use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::client::{ACCOUNT, Fixture};

const NAMES: [&str; 7] =
    ["with space", "per%cent", "%41 is not A", "ha#sh?mark", "plus+and&=;,", "größe-日本語", "quote'\"<>\\"];

#[tokio::test]
async fn any_name_is_decoded_exactly_once() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    let encode = |name: &str| utf8_percent_encode(name, NON_ALPHANUMERIC).to_string();
    for name in NAMES {
        let encoded = encode(name);
        client.write(&format!("lake/{encoded}/file"), name.as_bytes()).await;
        let moved = format!("lake/moved/{encoded}");
        client.put("lake/moved?resource=directory", &[]).await.expect(201);
        let source = format!("/lake/{encoded}");
        client.put(&moved, &[("x-ms-rename-source", &source)]).await.expect(201);
        assert_eq!(client.get(&format!("{moved}/file"), &[]).await.expect(200).body, name.as_bytes());
        let directory = encode(&format!("moved/{name}"));
        let target = format!("lake?resource=filesystem&recursive=true&directory={directory}");
        let listed = client.get(&target, &[]).await.expect(200).json();
        assert_eq!(listed["paths"][0]["name"], format!("moved/{name}/file"));
    }
    let page = client.get("lake?resource=filesystem&recursive=true&directory=moved&maxResults=3", &[]).await;
    let token = page.expect(200).header("x-ms-continuation").to_owned();
    let target = format!("lake?resource=filesystem&recursive=true&directory=moved&continuation={token}");
    let rest = client.get(&target, &[]).await.expect(200).json();
    assert_eq!(rest["paths"].as_array().unwrap().len(), 2 * NAMES.len() - 3);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn an_encoded_slash_separates_and_bad_encodings_are_refused() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.put("lake/a%2Fb?resource=file", &[]).await.expect(201);
    client.head("lake/a/b", &[]).await.expect(200);
    client.put("lake/bad%FF?resource=file", &[]).await.refused(400, "InvalidUri");
    let source = [("x-ms-rename-source", "/lake/bad%FF")];
    client.put("lake/x", &source).await.refused(400, "InvalidSourceUri");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn the_account_may_stand_in_the_host_name() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    client.write("lake/file", b"content").await;
    let port = fixture.running.storage_address().port();
    let get = |endpoint: &'static str, target: &'static str| async move {
        let host = format!("{ACCOUNT}.{endpoint}.core.example:{port}");
        client.send_path_and_query(reqwest::Method::GET, target, &[("host", &host)], Vec::new()).await
    };
    assert_eq!(get("dfs", "/lake/file").await.expect(200).text(), "content");
    assert_eq!(get("blob", "/lake/file").await.expect(200).text(), "content");
    get("dfs", "/lake/none").await.refused(404, "PathNotFound");
    let reply = get("blob", "/lake/none").await.refused(404, "BlobNotFound");
    assert!(reply.text().contains("<Code>BlobNotFound</Code>"), "{}", reply.text());
    for (target, headers, element) in [
        (
            "lake/file",
            &[("range", "bytes=x"), ("accept", "application/xml")][..],
            "<HeaderName>Range</HeaderName>",
        ),
        (
            "lake/file?comp=blocklist&blocklisttype=x",
            &[],
            "<QueryParameterName>blocklisttype</QueryParameterName>",
        ),
    ] {
        let reply = client.get(target, headers).await.expect(400);
        assert!(reply.text().contains(element), "{}", reply.text());
    }
    fixture.running.stop().await.unwrap();
}
