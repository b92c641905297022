//! Source and feed against a real Hadoop. `LIVEDATA_TEST_HDFS` names the `cluster.json` of a cluster that serves, as
//! `cargo xtask hadoop up` leaves it; without it these tests fail. Everything is made below a folder of its own per test.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod cluster;
mod extras;
mod feed;
mod fidelity;

use std::collections::BTreeSet;

use bytes::Bytes;
use cluster::{Cluster, Folder, pattern, write_file};
use futures::{StreamExt, TryStreamExt};
use hdfs_native::WriteOptions;
use livedata_filesystem::{ContentVersion, Entry, EntryKind, ErrorKind, NodeId, Source};
use livedata_hdfs::HdfsSource;

async fn list_all(source: &HdfsSource, directory: &NodeId) -> (Vec<Entry>, usize) {
    let (mut entries, mut pages, mut after) = (Vec::new(), 0, None);
    loop {
        let page = source.list(directory, after.as_deref()).await.unwrap();
        entries.extend(page.entries);
        pages += 1;
        match page.next {
            Some(next) => after = Some(next),
            None => return (entries, pages),
        }
    }
}

async fn read(source: &HdfsSource, entry: &Entry, offset: u64) -> livedata_filesystem::Result<Vec<u8>> {
    let (length, _, _) = file(entry);
    let parent = NodeId::from_bytes([0; 8]);
    let pieces: Vec<Bytes> =
        source.open(&entry.id, (&parent, &entry.name), offset, length).await?.try_collect().await?;
    assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= 256 * 1024));
    Ok(pieces.concat())
}

fn file(entry: &Entry) -> (u64, ContentVersion, bool) {
    match &entry.kind {
        EntryKind::File { length_bytes, version, open_for_write } => {
            (*length_bytes, version.clone(), *open_for_write)
        }
        other => panic!("{} is {other:?}", entry.name),
    }
}

async fn child(source: &HdfsSource, directory: &NodeId, name: &str) -> Entry {
    source.look_up(directory, name).await.unwrap().expect(name)
}

#[tokio::test]
async fn unusual_names_come_back_as_they_are() {
    let cluster = Cluster::from_environment();
    let folder = Folder::create(&cluster).await;
    let names = [
        "with space",
        "per%cent%20",
        "hash#tag",
        "größe",
        "日本語",
        "emoji😀",
        "a;b&c=d?e",
        "+plus",
        "quote'\"",
        "back\\slash",
        "[glob]*{a,b}",
        ".hidden",
        "e\u{301}",
        "_temporary",
    ];
    for name in names {
        write_file(&cluster.superuser, &folder.path(name), name.as_bytes(), None).await;
    }
    let source = cluster.source("reader");
    let (entries, _) = list_all(&source, &folder.id).await;
    let listed: BTreeSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(listed, names.into_iter().collect());
    for entry in &entries {
        assert_eq!(&child(&source, &folder.id, &entry.name).await, entry);
        assert_eq!(&source.resolve(&folder.path(&entry.name)).await.unwrap(), entry);
        assert_eq!(read(&source, entry, 0).await.unwrap(), entry.name.as_bytes());
    }
}

#[tokio::test]
async fn a_large_directory_comes_in_pages() {
    let cluster = Cluster::from_environment();
    let folder = Folder::create(&cluster).await;
    let names: BTreeSet<String> = (0..2_100).map(|number| format!("file-{number}")).collect();
    futures::stream::iter(&names)
        .for_each_concurrent(32, |name| async {
            cluster
                .superuser
                .create(&folder.path(name), WriteOptions::default())
                .await
                .unwrap()
                .close()
                .await
                .unwrap();
        })
        .await;
    let (entries, pages) = list_all(&cluster.source("reader"), &folder.id).await;
    assert_eq!(pages, 3);
    assert_eq!(entries.len(), names.len());
    assert_eq!(entries.into_iter().map(|entry| entry.name).collect::<BTreeSet<_>>(), names);
}

#[tokio::test]
async fn attributes_and_kinds() {
    let cluster = Cluster::from_environment();
    let folder = Folder::create(&cluster).await;
    cluster.superuser.mkdirs(&folder.path("shared"), 0o1777, false).await.unwrap();
    cluster.superuser.set_permission(&folder.path("shared"), 0o1777).await.unwrap();
    write_file(&cluster.superuser, &folder.path("empty"), b"", None).await;
    cluster.superuser.set_owner(&folder.path("empty"), Some("alice"), Some("analysts")).await.unwrap();
    cluster.superuser.set_times(&folder.path("empty"), 1_600_000_000_123, 0).await.unwrap();

    let source = cluster.source("reader");
    let shared = child(&source, &folder.id, "shared").await;
    assert_eq!((shared.kind, shared.permissions), (EntryKind::Directory, 0o1777));
    let empty = child(&source, &folder.id, "empty").await;
    let (length, version, open_for_write) = file(&empty);
    assert_eq!((length, open_for_write), (0, false));
    assert_eq!((empty.owner.as_str(), empty.group.as_str()), ("alice", "analysts"));
    assert_eq!((empty.modified_ms, empty.permissions), (1_600_000_000_123, 0o644));
    assert_eq!(read(&source, &empty, 0).await.unwrap(), b"");

    write_file(&cluster.superuser, &folder.path("also empty"), b"", None).await;
    assert_eq!(file(&child(&source, &folder.id, "also empty").await).1, version);
    let root = source.resolve("/").await.unwrap();
    assert_eq!(root.kind, EntryKind::Directory);
    assert!(list_all(&source, &root.id).await.0.iter().any(|entry| entry.id == folder.id));
}

#[tokio::test]
async fn a_file_of_several_blocks_is_read_from_any_offset() {
    let cluster = Cluster::from_environment();
    let folder = Folder::create(&cluster).await;
    let content = pattern(3 * 1024 * 1024 + 12_345);
    write_file(&cluster.superuser, &folder.path("big"), &content, Some(1024 * 1024)).await;
    let source = cluster.source("reader");
    let entry = child(&source, &folder.id, "big").await;
    for offset in [0, 1, 511, 1024 * 1024, 1024 * 1024 + 77, content.len() - 1, content.len()] {
        assert!(read(&source, &entry, offset as u64).await.unwrap() == content[offset..], "offset {offset}");
    }
    let mut longer = entry.clone();
    longer.kind = EntryKind::File {
        length_bytes: content.len() as u64 + 1,
        version: file(&entry).1,
        open_for_write: false,
    };
    assert_eq!(read(&source, &longer, 0).await.unwrap_err().kind(), ErrorKind::Changed);
}

#[tokio::test]
async fn an_open_file_shows_as_open_until_it_is_closed() {
    let cluster = Cluster::from_environment();
    let folder = Folder::create(&cluster).await;
    let mut writer = cluster.superuser.create(&folder.path("log"), WriteOptions::default()).await.unwrap();
    writer.write_bytes(Bytes::from_static(b"first line\n")).await.unwrap();
    writer.hsync().await.unwrap();
    let source = cluster.source("reader");
    let listed = list_all(&source, &folder.id).await.0.remove(0);
    assert!(file(&listed).2);
    let looked_up = child(&source, &folder.id, "log").await;
    assert!(file(&looked_up).2);
    writer.write_bytes(Bytes::from_static(b"second line\n")).await.unwrap();
    writer.close().await.unwrap();
    let closed = child(&source, &folder.id, "log").await;
    let (length, version, open_for_write) = file(&closed);
    assert_eq!((length, open_for_write), (23, false));
    assert_ne!(version, file(&looked_up).1);
    assert_eq!(closed.id, looked_up.id);
}

#[tokio::test]
async fn an_append_changes_the_version_and_a_rename_does_not() {
    let cluster = Cluster::from_environment();
    let folder = Folder::create(&cluster).await;
    write_file(&cluster.superuser, &folder.path("a"), b"one", None).await;
    let source = cluster.source("reader");
    let first = child(&source, &folder.id, "a").await;

    cluster.superuser.rename(&folder.path("a"), &folder.path("b"), false).await.unwrap();
    let renamed = child(&source, &folder.id, "b").await;
    assert_eq!(Entry { name: "a".into(), ..renamed }, first);
    assert_eq!(source.look_up(&folder.id, "a").await.unwrap(), None);

    let mut writer = cluster.superuser.append(&folder.path("b")).await.unwrap();
    writer.write_bytes(Bytes::from_static(b" two")).await.unwrap();
    assert!(file(&child(&source, &folder.id, "b").await).2, "an append opens the file for writing");
    writer.close().await.unwrap();
    let appended = child(&source, &folder.id, "b").await;
    assert_eq!(appended.id, first.id);
    assert_ne!(file(&appended).1, file(&first).1);
    assert_eq!(read(&source, &appended, 0).await.unwrap(), b"one two");

    // Same length, same name, same bytes: still another file.
    write_file(&cluster.superuser, &folder.path("b"), b"one two", None).await;
    let rewritten = child(&source, &folder.id, "b").await;
    assert_ne!(rewritten.id, appended.id);
    assert_ne!(file(&rewritten).1, file(&appended).1);
    assert_eq!(read(&source, &appended, 0).await.unwrap_err().kind(), ErrorKind::Gone);
}

#[tokio::test]
async fn a_rename_in_the_middle_does_not_disturb_reading() {
    let cluster = Cluster::from_environment();
    let folder = Folder::create(&cluster).await;
    cluster.superuser.mkdirs(&folder.path("inner"), 0o755, false).await.unwrap();
    let content = pattern(4 * 1024 * 1024);
    write_file(&cluster.superuser, &folder.path("inner/big"), &content, Some(1024 * 1024)).await;
    let source = cluster.source("reader");
    let inner = child(&source, &folder.id, "inner").await.id;
    let entry = child(&source, &inner, "big").await;
    let mut stream = source.open(&entry.id, (&inner, "big"), 0, content.len() as u64).await.unwrap();
    let mut received = stream.next().await.unwrap().unwrap().to_vec();

    cluster.superuser.rename(&folder.path("inner"), &folder.path("moved"), false).await.unwrap();
    cluster.superuser.rename(&folder.path("moved/big"), &folder.path("moved/other"), false).await.unwrap();
    while let Some(piece) = stream.next().await {
        received.extend(piece.unwrap());
    }
    assert!(received == content);
    // The directory is reached by its id under its new name, and so is a file opened anew.
    assert_eq!(child(&source, &inner, "other").await.id, entry.id);
    assert!(read(&source, &entry, 0).await.unwrap() == content);
}

#[tokio::test]
async fn a_file_deleted_while_read_is_gone() {
    // No other test uses this block size, so that its block files are recognised by their length.
    const BLOCK: u64 = 1024 * 1024 + 512 * 7;
    let cluster = Cluster::from_environment();
    let folder = Folder::create(&cluster).await;
    let content = pattern(4 * BLOCK as usize);
    write_file(&cluster.superuser, &folder.path("doomed"), &content, Some(BLOCK)).await;
    let source = cluster.source("reader");
    let entry = child(&source, &folder.id, "doomed").await;
    let mut stream = source.open(&entry.id, (&folder.id, "doomed"), 0, content.len() as u64).await.unwrap();
    stream.next().await.unwrap().unwrap();
    // More than four when `write_file` had to write anew: the DataNode keeps blocks of an abandoned try for minutes.
    let blocks = cluster.block_files_of_length(BLOCK);
    assert!(blocks >= 4);
    cluster.superuser.delete(&folder.path("doomed"), false).await.unwrap();
    cluster::until(|| cluster.block_files_of_length(BLOCK) <= blocks - 4).await;

    let error = loop {
        match stream.next().await.expect("not all bytes can have come") {
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), ErrorKind::Gone, "{error}");
    assert_eq!(read(&source, &entry, 0).await.unwrap_err().kind(), ErrorKind::Gone);
}

#[tokio::test]
async fn what_does_not_exist_is_gone_or_absent() {
    let cluster = Cluster::from_environment();
    let folder = Folder::create(&cluster).await;
    cluster.superuser.mkdirs(&folder.path("inner"), 0o755, false).await.unwrap();
    write_file(&cluster.superuser, &folder.path("file"), b"x", None).await;
    let source = cluster.source("reader");
    let inner = child(&source, &folder.id, "inner").await.id;
    cluster.superuser.delete(&folder.path("inner"), true).await.unwrap();

    assert_eq!(source.look_up(&folder.id, "inner").await.unwrap(), None);
    assert_eq!(source.look_up(&inner, "any").await.unwrap_err().kind(), ErrorKind::Gone);
    assert_eq!(source.list(&inner, None).await.unwrap_err().kind(), ErrorKind::Gone);
    assert_eq!(source.resolve(&folder.path("inner")).await.unwrap_err().kind(), ErrorKind::Gone);
    assert_eq!(source.resolve(&folder.path("file/below")).await.unwrap_err().kind(), ErrorKind::Gone);
    let file = child(&source, &folder.id, "file").await;
    assert_eq!(source.list(&file.id, None).await.unwrap_err().kind(), ErrorKind::Conflict);
    let foreign = NodeId::from_bytes([7; 24]);
    assert_eq!(source.list(&foreign, None).await.unwrap_err().kind(), ErrorKind::Fatal);
}

#[tokio::test]
async fn a_directory_without_permission_is_denied() {
    let cluster = Cluster::from_environment();
    let folder = Folder::create(&cluster).await;
    cluster.superuser.mkdirs(&folder.path("secret"), 0o700, false).await.unwrap();
    write_file(&cluster.superuser, &folder.path("secret/file"), b"x", None).await;
    write_file(&cluster.superuser, &folder.path("locked"), b"x", None).await;
    cluster.superuser.set_permission(&folder.path("locked"), 0o600).await.unwrap();

    let all = cluster.source(&cluster.superuser_name);
    let reader = cluster.source("reader");
    let secret = child(&reader, &folder.id, "secret").await;
    let error = reader.list(&secret.id, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("reader"), "{error}");
    assert_eq!(reader.look_up(&secret.id, "file").await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(reader.resolve(&folder.path("secret/file")).await.unwrap_err().kind(), ErrorKind::Denied);
    let locked = child(&reader, &folder.id, "locked").await;
    assert_eq!(read(&reader, &locked, 0).await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(list_all(&all, &secret.id).await.0.len(), 1);
}

#[tokio::test]
async fn the_audit_log_shows_few_calls_and_no_write() {
    let cluster = Cluster::from_environment();
    let folder = Folder::create(&cluster).await;
    const FILES: usize = 20;
    for number in 0..FILES {
        write_file(
            &cluster.superuser,
            &folder.path(&format!("file {number}")),
            &pattern(1000 + number),
            None,
        )
        .await;
    }
    let user = format!("auditor-{}", uuid::Uuid::new_v4().simple());
    let source = cluster.source(&user);
    let (entries, _) = list_all(&source, &folder.id).await;
    for entry in &entries {
        // As a migration does: one look before copying, one before publishing.
        assert_eq!(&child(&source, &folder.id, &entry.name).await, entry);
        assert_eq!(read(&source, entry, 0).await.unwrap().len() as u64, file(entry).0);
        child(&source, &folder.id, &entry.name).await;
    }
    let lines = cluster.audit_lines(&user);
    let count =
        |command: &str| lines.iter().filter(|line| line.contains(&format!("cmd={command}\t"))).count();
    assert_eq!(count("listStatus"), 1);
    assert_eq!(count("getfileinfo"), 2 * FILES, "{lines:#?}");
    assert_eq!(count("open"), FILES);
    assert_eq!(lines.len(), 1 + 3 * FILES, "nothing else was asked");
}

#[tokio::test]
async fn a_namenode_that_is_away_is_unreachable_and_then_works_again() {
    let shared = Cluster::from_environment();
    // A cluster of its own, because the others must not notice.
    let directory = std::env::temp_dir().join(format!("livedata-hdfs-{}", uuid::Uuid::new_v4().simple()));
    shared.xtask(&["up", "--heap", "256m"], &directory);
    let cluster = Cluster::read(&directory.join("cluster.json"));
    let folder = Folder::create(&cluster).await;
    let source = cluster.source("reader");
    assert!(list_all(&source, &folder.id).await.0.is_empty());

    shared.xtask(&["down"], &directory);
    let error = source.list(&folder.id, None).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");
    assert!(error.to_string().contains("tries"), "{error}");

    shared.xtask(&["up", "--heap", "256m"], &directory);
    assert!(list_all(&source, &folder.id).await.0.is_empty());
    shared.xtask(&["down"], &directory);
    std::fs::remove_dir_all(&directory).unwrap();
}
