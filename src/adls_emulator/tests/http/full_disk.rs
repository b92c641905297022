//! A disk that is full: the emulator says so, loses nothing that it acknowledged, and goes on when there is room again.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use reqwest::Method;

use crate::client::{Client, Reply};
use crate::durability::Process;

const APPEND_BLOCK: &str = "lake/log?comp=appendblock";

/// Takes all the room that is left.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

#[track_caller]
fn said_to_be_full(reply: Reply, reason: &str) {
    let reply = reply.refused(500, "InternalError");
    assert!(reply.text().contains(reason), "{}", reply.text());
}

async fn names(client: &Client) -> BTreeSet<String> {
    let listed = client.get("lake?resource=filesystem&recursive=true", &[]).await.expect(200).json();
    listed["paths"].as_array().unwrap().iter().map(|path| path["name"].as_str().unwrap().to_owned()).collect()
}

async fn check(client: &Client, acknowledged: &BTreeSet<String>) {
    assert_eq!(&names(client).await, acknowledged);
    for path in ["lake/before", "lake/log"] {
        assert_eq!(client.get(path, &[]).await.expect(200).text(), "what was there", "{path}");
    }
    assert_eq!(client.head("lake/before", &[]).await.expect(200).header("x-ms-properties"), "a=MQ==");
}

/// The disk is a file system in memory, in a mount namespace that ends with the emulator's process: it takes root, or a system
/// that lets its users have namespaces.
#[tokio::test]
async fn a_full_disk_is_told_and_costs_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let mut program = Command::new("unshare");
    let mount = "mount -t tmpfs -o size=16m,mode=700 tmpfs \"$0\" && exec \"$@\"";
    program.args(["--map-root-user", "--mount", "sh", "-c", mount]);
    program.arg(folder.path()).arg(std::env::current_exe().unwrap());
    let process = Process::start_by(program, folder.path());
    let disk = process.root().join(folder.path().strip_prefix("/").unwrap());
    let client = &process.client;
    client.put("lake?resource=filesystem", &[]).await.expect(201);
    client.write("lake/before", b"what was there").await;
    client.patch("lake/before?action=setProperties", &[("x-ms-properties", "a=MQ==")], b"").await.expect(200);
    client.put("lake/log", &[("x-ms-blob-type", "AppendBlob")]).await.expect(201);
    client.send(Method::PUT, APPEND_BLOCK, &[], b"what was there".to_vec()).await.expect(201);
    let mut acknowledged = BTreeSet::from(["before".to_owned(), "log".to_owned()]);

    fill(&disk.join("ballast"));
    // The last page of the log may have room for some.
    let refused = loop {
        let name = format!("one-{}", acknowledged.len());
        let reply = client.put(&format!("lake/{name}?resource=file"), &[]).await;
        if !reply.status.is_success() {
            break reply;
        }
        acknowledged.insert(name);
    };
    said_to_be_full(refused, "full");
    let at_once = (0..40).map(|number| async move {
        let name = format!("at-once-{number}");
        (client.put(&format!("lake/{name}?resource=file"), &[]).await, name)
    });
    for (reply, name) in futures::future::join_all(at_once).await {
        match reply.status.as_u16() {
            201 => drop(acknowledged.insert(name)),
            _ => drop(reply.refused(500, "InternalError")),
        }
    }
    let large = vec![7; 600_000];
    let append = "lake/before?action=append&position=14&flush=true";
    let block_blob = [("x-ms-blob-type", "BlockBlob")];
    said_to_be_full(client.patch(append, &[], &large).await, "No space left");
    said_to_be_full(
        client.send(Method::PUT, "lake/before", &block_blob, large.clone()).await,
        "No space left",
    );
    let block = "lake/blocks?comp=block&blockid=YQ==";
    said_to_be_full(client.send(Method::PUT, block, &[], large.clone()).await, "No space left");
    said_to_be_full(client.send(Method::PUT, APPEND_BLOCK, &[], large.clone()).await, "No space left");
    let small = large[..10_000].to_vec();
    said_to_be_full(client.send(Method::PUT, APPEND_BLOCK, &[], small).await, "No space left");
    said_to_be_full(client.delete("lake/before", &[("accept", "application/json")]).await, "full");
    check(client, &acknowledged).await;
    client.head("lake/blocks", &[]).await.refused(404, "PathNotFound");
    assert_eq!(std::fs::read_dir(disk.join("spool")).unwrap().count(), 0);

    std::fs::remove_file(disk.join("ballast")).unwrap();
    check(client, &acknowledged).await;
    client.write("lake/after", &large).await;
    acknowledged.insert("after".to_owned());
    check(client, &acknowledged).await;

    // What is on the disk now is what another process begins with after a kill.
    let copy = tempfile::tempdir().unwrap();
    let copied = Command::new("cp").args(["-r", "--"]).arg(disk.join(".")).arg(copy.path()).status().unwrap();
    assert!(copied.success());
    process.kill();
    let process = Process::start(copy.path());
    check(&process.client, &acknowledged).await;
    assert!(process.client.get("lake/after", &[]).await.expect(200).body == large);
    process.client.send(Method::PUT, APPEND_BLOCK, &[], b", and more".to_vec()).await.expect(201);
    let log = process.client.get("lake/log", &[]).await.expect(200);
    assert_eq!(log.text(), "what was there, and more");
}
