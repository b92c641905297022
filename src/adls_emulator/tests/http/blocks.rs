//! Block lists and blocks that are not what they should be.

use reqwest::Method;

use crate::client::{Client, Fixture};

const BLOB: [(&str, &str); 1] = [("x-ms-blob-type", "BlockBlob")];

async fn stage(client: &Client, path: &str, id: &str) -> crate::client::Reply {
    client.send(Method::PUT, &format!("{path}?comp=block&blockid={id}"), &[], b"block".to_vec()).await
}

#[tokio::test]
async fn a_list_that_is_not_understood_changes_nothing() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    client.send(Method::PUT, "lake/p", &BLOB, b"precious".to_vec()).await.expect(201);
    stage(client, "lake/p", "QUFB").await.expect(201);
    for list in [
        "",
        "junk",
        "{\"a\": 1}",
        "<Foo/>",
        "<Foo><Latest>QUFB</Latest></Foo>",
        "<!DOCTYPE x [<!ENTITY a \"QUFB\">]><BlockList><Latest>&a;</Latest></BlockList>",
        "<BlockList><Latest></Latest></BlockList>",
        "<BlockList><Latest/></BlockList>",
        "<BlockList>QUFB</BlockList>",
        "<BlockList><Latest><Latest>QUFB</Latest></Latest></BlockList>",
        "<BlockList/><BlockList/>",
        "<BlockList><Newest>QUFB</Newest></BlockList>",
        "<BlockList><Latest>QUFB</Latest>",
        "<BlockList/>junk",
    ] {
        let reply = client.send(Method::PUT, "lake/p?comp=blocklist", &[], list.as_bytes().to_vec()).await;
        reply.refused(400, "InvalidXmlDocument");
        assert_eq!(client.get("lake/p", &[]).await.expect(200).text(), "precious", "{list}");
    }
    let list =
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<BlockList>\n <Latest>QUFB</Latest>\n</BlockList>\n";
    let commit = client.send(Method::PUT, "lake/p?comp=blocklist", &[], list.as_bytes().to_vec());
    commit.await.expect(201);
    assert_eq!(client.get("lake/p", &[]).await.expect(200).text(), "block");
    client.send(Method::PUT, "lake/p?comp=blocklist", &[], b"<BlockList/>".to_vec()).await.expect(201);
    assert_eq!(client.get("lake/p", &[]).await.expect(200).text(), "");
    for properties in ["", "junk", "<KeyInfo/>", "<KeyInfo></KeyInfo>"] {
        let target = "?restype=service&comp=properties";
        let reply = client.send(Method::PUT, target, &[], properties.as_bytes().to_vec()).await;
        reply.refused(400, "InvalidXmlDocument");
    }
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn ids_of_one_blob_are_equally_long() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    stage(client, "lake/p", "QUFB").await.expect(201);
    stage(client, "lake/p", "QUFBQUE%3D").await.refused(400, "InvalidBlobOrBlock");
    stage(client, "lake/p", "QkJC").await.expect(201);
    stage(client, "lake/other", "QUFBQUE%3D").await.expect(201);
    let listed = client.get("lake/p?comp=blocklist&blocklisttype=uncommitted", &[]).await.expect(200).text();
    assert!(listed.contains("QUFB<") && listed.contains("QkJC<") && !listed.contains("QUFBQUE"), "{listed}");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn blocks_go_with_their_filesystem() {
    let fixture = Fixture::start().await;
    let client = &fixture.client;
    for path in ["lake/p", "lake/q"] {
        stage(client, path, "QUFB").await.expect(201);
    }
    let spooled = || std::fs::read_dir(fixture.folder.path().join("spool")).unwrap().count();
    assert_eq!(spooled(), 2);
    client.delete("lake?resource=filesystem", &[]).await.expect(202);
    // Files go after the answer.
    while spooled() > 0 {
        tokio::task::yield_now().await;
    }
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn names_that_xml_cannot_hold_are_encoded_in_lists() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    client.write("lake/d%EF%BF%BE/f", b"1").await;
    client.write("lake/plain%26", b"1").await;
    let flat = client.get("lake?restype=container&comp=list", &[]).await.expect(200).text();
    assert!(flat.contains("<Name Encoded=\"true\">d%EF%BF%BE%2Ff</Name>"), "{flat}");
    assert!(flat.contains("<Name>plain&amp;</Name>"), "{flat}");
    let below = "lake?restype=container&comp=list&delimiter=%2F";
    let prefixes = client.get(below, &[]).await.expect(200).text();
    assert!(prefixes.contains("<Name Encoded=\"true\">d%EF%BF%BE%2F</Name></BlobPrefix>"), "{prefixes}");
    fixture.running.stop().await.unwrap();
}
