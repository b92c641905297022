//! What the edit log tells of each operation.

use std::time::{Duration, Instant};

use bytes::Bytes;
use livedata_filesystem::{Change, ChangeFeed, ErrorKind, Event, Position, Reading};
use livedata_hdfs::HdfsFeed;

use crate::child;
use crate::cluster::{Cluster, Folder, write_file};

/// Everything after a position up to at least another, about what is below a folder.
async fn follow(feed: &HdfsFeed, mut after: Position, to: Position, folder: &Folder) -> Vec<Event> {
    let mut found = Vec::new();
    while after < to {
        match feed.read(after).await.unwrap() {
            Reading::Events { events, read_to } => {
                assert!(events.iter().all(|event| event.position > after && event.position <= read_to));
                assert!(events.is_sorted_by_key(|event| event.position));
                assert!(read_to > after, "all up to {to:?} is durable");
                found.extend(events.into_iter().filter(|event| is_below(&event.change, folder)));
                after = read_to;
            }
            gap @ Reading::Gap { .. } => panic!("{gap:?}"),
        }
    }
    found
}

/// Others work in the same cluster.
fn is_below(change: &Change, folder: &Folder) -> bool {
    match change {
        Change::Touched { path } | Change::TimesSet { path, .. } | Change::Unwatched { path } => path,
        Change::Renamed { from, .. } => from,
    }
    .starts_with(&folder.path(""))
}

/// An operation, where the log was before it and after it, and what should be told of it.
struct Told<'a> {
    cluster: &'a Cluster,
    folder: &'a Folder,
    feed: HdfsFeed,
    begin: Position,
    operations: Vec<(&'static str, Position, Vec<Change>)>,
}

impl Told<'_> {
    fn path(&self, name: &str) -> String {
        self.folder.path(name)
    }

    fn touched(&self, names: &[&str]) -> Vec<Change> {
        names.iter().map(|name| Change::Touched { path: self.path(name) }).collect()
    }

    fn renamed(&self, from: &str, to: &str) -> Vec<Change> {
        vec![Change::Renamed { from: self.path(from), to: self.path(to) }]
    }

    async fn note(&mut self, operation: &'static str, changes: Vec<Change>) {
        let position = self.feed.position().await.unwrap();
        self.operations.push((operation, position, changes));
    }

    async fn web(&self, method: &str, name: &str, operation: &str) {
        self.cluster.web(method, &self.path(name), operation).await;
    }

    /// Reads it all at once.
    async fn check(self) {
        let mut after = self.begin;
        let end = self.operations.last().unwrap().1;
        let mut events = follow(&self.feed, after, end, self.folder).await;
        for (operation, position, expected) in self.operations {
            assert!(position > after, "{operation} is a transaction");
            let rest = events.iter().position(|event| event.position > position).unwrap_or(events.len());
            let changes: Vec<_> = events.drain(..rest).map(|event| event.change).collect();
            assert_eq!(changes, expected, "{operation}");
            after = position;
        }
        assert_eq!(events, []);
    }
}

async fn told<'a>(cluster: &'a Cluster, folder: &'a Folder) -> Told<'a> {
    let feed = cluster.feed(&cluster.superuser_name);
    let begin = feed.position().await.unwrap();
    Told { cluster, folder, feed, begin, operations: Vec::new() }
}

#[tokio::test]
async fn changes_of_files_and_directories_are_told_in_order() {
    let cluster = Cluster::from_environment();
    let folder = Folder::create(&cluster).await;
    let mut told = told(&cluster, &folder).await;
    let client = &cluster.superuser;
    let path = |name: &str| folder.path(name);

    client.mkdirs(&path("a/b/größe 100%"), 0o755, true).await.unwrap();
    told.note("mkdirs", told.touched(&["a", "a/b", "a/b/größe 100%"])).await;
    write_file(client, &path("file"), b"0123456789", None).await;
    told.note("create", told.touched(&["file", "file"])).await;
    let mut writer = client.append(&path("file")).await.unwrap();
    writer.write_bytes(Bytes::from_static(b"more")).await.unwrap();
    writer.close().await.unwrap();
    told.note("append", told.touched(&["file", "file"])).await;
    write_file(client, &path("file"), b"anew", None).await;
    told.note("create over another", told.touched(&["file", "file"])).await;
    told.web("POST", "file", "TRUNCATE&newlength=2").await;
    let source = cluster.source("reader");
    let started = Instant::now();
    while crate::file(&child(&source, &folder.id, "file").await).2 {
        assert!(started.elapsed() < Duration::from_secs(60), "the block was not recovered");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    told.note("truncate within a block", told.touched(&["file", "file"])).await;
    told.web("POST", "file", "TRUNCATE&newlength=0").await;
    told.note("truncate at the begin of a block", told.touched(&["file"])).await;

    client.rename(&path("file"), &path("a/moved"), false).await.unwrap();
    told.note("rename", told.renamed("file", "a/moved")).await;
    write_file(client, &path("other"), b"x", None).await;
    told.note("create another", told.touched(&["other", "other"])).await;
    client.rename(&path("a/moved"), &path("other"), true).await.unwrap();
    told.note("rename over another", told.renamed("a/moved", "other")).await;
    told.web("PUT", "other", &format!("RENAME&destination={}", path("a"))).await;
    told.note("rename into a directory", told.renamed("other", "a/other")).await;
    told.web("PUT", "a/other", &format!("RENAME&destination={}", path("a/other"))).await;
    told.note("rename to its own name", told.touched(&["a/other"])).await;
    client.rename(&path("a"), &path("z"), false).await.unwrap();
    told.note("rename of a directory", told.renamed("a", "z")).await;

    for name in ["part 0", "part 1", "part 2"] {
        write_file(client, &path(name), b"part", None).await;
    }
    told.note("create parts", told.touched(&["part 0", "part 0", "part 1", "part 1", "part 2", "part 2"]))
        .await;
    let sources = format!("CONCAT&sources={},{}", path("part 1"), path("part 2")).replace(' ', "%20");
    told.web("POST", "part%200", &sources).await;
    told.note("concat", told.touched(&["part 0", "part 1", "part 2", "part 0"])).await;
    client.delete(&path("part 0"), false).await.unwrap();
    told.note("delete", told.touched(&["part 0"])).await;
    client.delete(&path("z"), true).await.unwrap();
    told.note("delete of a directory", told.touched(&["z"])).await;
    told.check().await;
}

#[tokio::test]
async fn changes_of_metadata_are_told_in_order() {
    let cluster = Cluster::from_environment();
    let folder = Folder::create(&cluster).await;
    let client = &cluster.superuser;
    let path = |name: &str| folder.path(name);
    write_file(client, &path("file"), b"x", None).await;
    client.mkdirs(&path("directory"), 0o755, false).await.unwrap();
    let mut told = told(&cluster, &folder).await;

    client.set_permission(&path("file"), 0o600).await.unwrap();
    told.note("chmod", told.touched(&["file"])).await;
    client.set_owner(&path("directory"), Some("alice"), None).await.unwrap();
    told.note("chown", told.touched(&["directory"])).await;
    client.set_owner(&path("directory"), None, Some("analysts")).await.unwrap();
    told.note("chgrp", told.touched(&["directory"])).await;
    client.set_replication(&path("file"), 2).await.unwrap();
    told.note("setrep", told.touched(&["file"])).await;
    told.web("PUT", "directory", "MODIFYACLENTRIES&aclspec=user:alice:rwx,default:user:alice:r-x").await;
    told.note("setfacl", told.touched(&["directory"])).await;
    told.web("PUT", "directory", "REMOVEACL").await;
    told.note("setfacl -b", told.touched(&["directory"])).await;
    told.web("PUT", "file", "SETXATTR&flag=CREATE&xattr.name=user.origin&xattr.value=%22x%22").await;
    told.note("setfattr", told.touched(&["file"])).await;
    told.web("PUT", "file", "REMOVEXATTR&xattr.name=user.origin").await;
    told.note("setfattr -x", told.touched(&["file"])).await;
    let times = |modified_ms| vec![Change::TimesSet { path: path("file"), modified_ms }];
    told.web("PUT", "file", "SETTIMES&modificationtime=1600000000123&accesstime=5").await;
    told.note("set times", times(1_600_000_000_123)).await;
    told.web("PUT", "file", "SETTIMES&modificationtime=0").await;
    told.note("set the modification time", times(0)).await;
    told.web("PUT", "file", "SETTIMES&accesstime=1").await;
    told.note("set the access time", Vec::new()).await;
    // Reading sets the access time of what was not read for an hour.
    client.read(&path("file")).await.unwrap();
    told.note("read", Vec::new()).await;
    told.web("PUT", "directory", "SETSTORAGEPOLICY&storagepolicy=HOT").await;
    told.note("set what is not told", Vec::new()).await;
    told.check().await;
}

#[tokio::test]
async fn who_is_no_superuser_is_denied() {
    let cluster = Cluster::from_environment();
    let feed = cluster.feed("reader");
    for error in [feed.position().await.unwrap_err(), feed.read(Position(0)).await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Denied);
        let message = error.to_string();
        assert!(
            message.contains("`reader`") && message.contains("dfs.permissions.superusergroup"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn preflight_names_the_cluster_and_how_far_back_its_log_goes() {
    let cluster = Cluster::from_environment();
    let feed = cluster.feed(&cluster.superuser_name);
    let before = feed.position().await.unwrap();
    let found = feed.preflight().await.unwrap();
    assert_eq!(found.software_version, cluster.hadoop_version());
    assert!(found.cluster_id.starts_with("CID-"), "{}", found.cluster_id);
    assert!(found.block_pool_id.starts_with("BP-"), "{}", found.block_pool_id);
    let history = format!("{} {}", found.cluster_id, found.block_pool_id);
    assert_eq!(feed.history().await.unwrap(), Some(history));
    assert!(found.newest >= before);
    let oldest = found.oldest.unwrap();
    assert!(matches!(feed.read(oldest).await.unwrap(), Reading::Events { read_to, .. } if read_to > oldest));
    assert_eq!(cluster.feed("reader").preflight().await.unwrap_err().kind(), ErrorKind::Denied);
}

#[tokio::test]
async fn a_position_of_a_longer_log_is_a_gap() {
    let cluster = Cluster::from_environment();
    let feed = cluster.feed(&cluster.superuser_name);
    let before = feed.position().await.unwrap();
    for beyond in [1_000_000_000, u64::MAX] {
        match feed.read(Position(beyond)).await.unwrap() {
            Reading::Gap { resume_at, reason } => {
                assert!(resume_at >= before && resume_at < Position(beyond));
                assert!(reason.contains("another cluster"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_restart_loses_nothing_and_a_purged_log_is_a_gap() {
    let shared = Cluster::from_environment();
    // A cluster of its own, because the others must not notice.
    let directory = std::env::temp_dir().join(format!("livedata-hdfs-{}", uuid::Uuid::new_v4().simple()));
    shared.xtask(&["up", "--heap", "256m"], &directory);
    let cluster = Cluster::read(&directory.join("cluster.json"));
    let folder = Folder::create(&cluster).await;
    let feed = cluster.feed(&cluster.superuser_name);
    let begin = feed.position().await.unwrap();
    cluster.superuser.mkdirs(&folder.path("before"), 0o755, false).await.unwrap();
    shared.xtask(&["down"], &directory);
    let error = feed.read(begin).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable, "{error}");

    shared.xtask(&["up", "--heap", "256m"], &directory);
    cluster.superuser.mkdirs(&folder.path("after"), 0o755, false).await.unwrap();
    let end = feed.position().await.unwrap();
    let changes: Vec<_> =
        follow(&feed, begin, end, &folder).await.into_iter().map(|event| event.change).collect();
    let made = ["before", "after"].map(|name| Change::Touched { path: folder.path(name) });
    assert_eq!(changes, made);

    // As a purge does: the oldest segments of the log go, and only those that are finished.
    let mut removed = 0;
    for file in std::fs::read_dir(cluster.directory().join("data/name/current")).unwrap().flatten() {
        let name = file.file_name().into_string().unwrap();
        if name.starts_with("edits_0") {
            std::fs::remove_file(file.path()).unwrap();
            removed += 1;
        }
    }
    assert!(removed > 0);
    match feed.read(begin).await.unwrap() {
        Reading::Gap { resume_at, reason } => {
            assert!(resume_at >= end);
            let oldest = feed.preflight().await.unwrap().oldest.unwrap();
            assert!(oldest > begin && oldest < resume_at);
            assert!(matches!(feed.read(oldest).await.unwrap(), Reading::Events { .. }));
            assert!(reason.contains("purged"), "{reason}");
            assert!(matches!(feed.read(resume_at).await.unwrap(), Reading::Events { .. }));
        }
        other => panic!("{other:?}"),
    }
    shared.xtask(&["down"], &directory);
    std::fs::remove_dir_all(&directory).unwrap();
}
