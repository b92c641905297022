//! The same service without a disk.

use livedata_adls_emulator::{AccountKey, Emulator, Options, Storage};
use reqwest::Method;

use crate::client::{ADMIN_TOKEN, Client, Fixture, options};

#[tokio::test]
async fn files_are_written_read_moved_listed_and_deleted() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    client.put("lake/dir/file?resource=file", &[]).await.expect(201);
    // Out of order, overlapping, and only then committed.
    for (position, data) in [(5, &b"56789"[..]), (0, b"01234"), (3, b"xy"), (8, b"ab")] {
        client
            .patch(&format!("lake/dir/file?action=append&position={position}"), &[], data)
            .await
            .expect(202);
    }
    client
        .patch("lake/dir/file?action=flush&position=11", &[], b"")
        .await
        .refused(400, "InvalidFlushPosition");
    client.patch("lake/dir/file?action=flush&position=10", &[], b"").await.expect(200);
    assert_eq!(client.get("lake/dir/file", &[]).await.expect(200).text(), "012xy567ab");
    assert_eq!(client.get("lake/dir/file", &[("range", "bytes=4-6")]).await.expect(206).text(), "y56");

    let large: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
    client.write("lake/large", &large).await;
    client.put("lake/moved", &[("x-ms-rename-source", "/lake/large")]).await.expect(201);
    assert!(client.get("lake/moved", &[]).await.expect(200).body == large);

    for (id, data) in [("YQ%3D%3D", &b"first "[..]), ("Yg%3D%3D", b"second")] {
        let target = format!("lake/blob?comp=block&blockid={id}");
        client.send(Method::PUT, &target, &[], data.to_vec()).await.expect(201);
    }
    let list = b"<BlockList><Latest>YQ==</Latest><Latest>Yg==</Latest></BlockList>".to_vec();
    client.send(Method::PUT, "lake/blob?comp=blocklist", &[], list).await.expect(201);
    assert_eq!(client.get("lake/blob", &[]).await.expect(200).text(), "first second");

    let listed = client.get("lake?resource=filesystem&recursive=true", &[]).await.expect(200).json();
    let names: Vec<&str> =
        listed["paths"].as_array().unwrap().iter().map(|path| path["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["blob", "dir", "dir/file", "moved"]);
    client.delete("lake/dir?recursive=true", &[]).await.expect(200);
    client.head("lake/dir/file", &[]).await.expect(404);
    fixture.running.stop().await.unwrap();
}

/// A refused mutation undoes itself, also in the middle.
#[tokio::test]
async fn what_is_refused_leaves_nothing() {
    let fixture = Fixture::in_memory().await;
    let client = &fixture.client;
    client.write("lake/file", b"content").await;
    client.put("lake/file/below?resource=file", &[]).await.refused(409, "PathConflict");
    let target = "lake/file?action=append&position=7&flush=true";
    let wrong = [("x-ms-content-crc64", "AAAAAAAAAAA=")];
    client.patch(target, &wrong, b"more").await.refused(400, "Crc64Mismatch");
    client.patch("lake/file?action=flush&position=11", &[], b"").await.refused(400, "InvalidFlushPosition");
    client.patch(target, &[], b" ok").await.expect(202);
    assert_eq!(client.get("lake/file", &[]).await.expect(200).text(), "content ok");
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn many_clients_at_once_see_their_own() {
    let fixture = Fixture::in_memory().await;
    let tasks: Vec<_> = (0..8_u8)
        .map(|task| {
            let client = Client::to(&fixture.running);
            tokio::spawn(async move {
                for number in 0..40_usize {
                    let path = format!("lake/task{task}/file{number}");
                    let content = vec![task; 1 + number * 50];
                    client.write(&path, &content).await;
                    assert!(client.get(&path, &[]).await.expect(200).body == content);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let listed = fixture.client.get("lake?resource=filesystem&recursive=true", &[]).await.expect(200).json();
    assert_eq!(listed["paths"].as_array().unwrap().len(), 8 * 41);
    fixture.running.stop().await.unwrap();
}

#[tokio::test]
async fn nothing_outlives_it_and_nothing_is_shared() {
    let (one, other) = (Fixture::in_memory().await, Fixture::in_memory().await);
    one.client.write("lake/file", b"content").await;
    other.client.head("lake/file", &[]).await.expect(404);
    one.running.stop().await.unwrap();
    let again = Fixture::in_memory().await;
    again.client.head("lake/file", &[]).await.expect(404);
}

#[tokio::test]
async fn an_account_is_made_only_where_there_is_none() {
    let otherwise = || Some(AccountKey { name: "wellknown".to_owned(), key: b"key".to_vec() });
    let none = Options { account_otherwise: otherwise(), accounts: Vec::new(), ..options(Storage::Memory) };
    let running = Emulator::start(none).await.unwrap();
    assert_eq!(running.account_names(), ["wellknown"]);
    running.stop().await.unwrap();

    let folder = tempfile::tempdir().unwrap();
    let stored = || Storage::Folder(folder.path().to_owned());
    let running = Emulator::start(Options { accounts: Vec::new(), ..options(stored()) }).await.unwrap();
    let client = Client::to(&running);
    client.admin(Method::PUT, "/accounts/mine", ADMIN_TOKEN, "").await.expect(201);
    running.stop().await.unwrap();
    let some = Options { account_otherwise: otherwise(), accounts: Vec::new(), ..options(stored()) };
    let running = Emulator::start(some).await.unwrap();
    assert_eq!(running.account_names(), ["mine"]);
    running.stop().await.unwrap();
}
