//! What a node has besides content, and whether it still exists.

use std::collections::BTreeMap;

use livedata_filesystem::{AclKind, Entry, EntryKind, ErrorKind, Extras, Source};

use crate::cluster::{Cluster, Folder, write_file};
use crate::{child, list_all};

fn acl(extras: &Extras) -> Vec<String> {
    let line = |entry: &livedata_filesystem::AclEntry| {
        let scope = if entry.is_default { "default:" } else { "" };
        let kind = match entry.kind {
            AclKind::User => "user",
            AclKind::Group => "group",
            AclKind::Mask => "mask",
            AclKind::Other => "other",
        };
        format!("{scope}{kind}:{}:{}", entry.name.as_deref().unwrap_or_default(), entry.permissions)
    };
    extras.acl.iter().map(line).collect()
}

#[tokio::test]
async fn access_control_lists() {
    let cluster = Cluster::from_environment();
    let folder = Folder::create(&cluster).await;
    write_file(&cluster.superuser, &folder.path("plain"), b"x", None).await;
    write_file(&cluster.superuser, &folder.path("file"), b"x", None).await;
    cluster.superuser.mkdirs(&folder.path("directory"), 0o755, false).await.unwrap();
    cluster.superuser.mkdirs(&folder.path("both"), 0o755, false).await.unwrap();
    let set = async |name: &str, specification: &str| {
        cluster.web("PUT", &folder.path(name), &format!("SETACL&aclspec={specification}")).await;
    };
    set("file", "user::rw-,user:alice:rwx,group::r--,group:analysts:-w-,mask::r-x,other::---").await;
    set("directory", "user::rwx,group::r-x,other::---,default:user:alice:rw-").await;
    set("both", "user::rwx,user:alice:r--,group::rwx,other::---,default:group:analysts:--x").await;

    let source = cluster.source("reader");
    let listed = list_all(&source, &folder.id).await.0;
    let mut found = BTreeMap::new();
    for name in ["plain", "file", "directory", "both"] {
        let entry = child(&source, &folder.id, name).await;
        assert_eq!(
            listed.iter().find(|listed| listed.name == name),
            Some(&entry),
            "both ways of looking agree"
        );
        let shown = source.extras(&entry, &folder.id).await;
        // A file's attributes are for those who may read it.
        let shown = match shown {
            Err(error) if name != "plain" => {
                assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
                cluster.source(&cluster.superuser_name).extras(&entry, &folder.id).await.unwrap()
            }
            shown => shown.unwrap(),
        };
        found.insert(name, (entry.has_acl, entry.permissions, acl(&shown)));
    }
    let lines = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert_eq!(found["plain"], (false, 0o644, Vec::new()));
    assert_eq!(
        found["file"],
        (true, 0o650, lines(&["user:alice:7", "group::4", "group:analysts:2", "mask::5"]))
    );
    let inherited = [
        "default:user::7",
        "default:user:alice:6",
        "default:group::5",
        "default:mask::7",
        "default:other::0",
    ];
    assert_eq!(found["directory"], (true, 0o750, lines(&inherited)));
    let both = [
        "user:alice:4",
        "group::7",
        "mask::7",
        "default:user::7",
        "default:group::7",
        "default:group:analysts:1",
        "default:mask::7",
        "default:other::0",
    ];
    assert_eq!(found["both"], (true, 0o770, lines(&both)));

    cluster.superuser.remove_acl(&folder.path("file")).await.unwrap();
    let entry = child(&source, &folder.id, "file").await;
    assert_eq!((entry.has_acl, entry.permissions), (false, 0o640));
}

#[tokio::test]
async fn extended_attributes() {
    let cluster = Cluster::from_environment();
    let folder = Folder::create(&cluster).await;
    write_file(&cluster.superuser, &folder.path("file"), b"x", None).await;
    cluster.superuser.mkdirs(&folder.path("directory"), 0o755, false).await.unwrap();
    for (name, attribute, value) in [
        ("file", "user.origin", "0x00ff0a"),
        ("file", "user.empty", ""),
        ("file", "trusted.plan", "%22secret%22"),
        ("directory", "user.origin", "%22here%22"),
    ] {
        let operation = format!("SETXATTR&flag=CREATE&xattr.name={attribute}&xattr.value={value}");
        cluster.web("PUT", &folder.path(name), &operation).await;
    }
    let reader = cluster.source("reader");
    let all = cluster.source(&cluster.superuser_name);
    let shown = async |source: &livedata_hdfs::HdfsSource, name: &str| {
        let entry = child(source, &folder.id, name).await;
        let extras = source.extras(&entry, &folder.id).await.unwrap();
        assert_eq!(extras.acl, []);
        extras.xattrs.into_iter().collect::<Vec<_>>()
    };
    let of_users =
        [("user.empty".to_owned(), Vec::new()), ("user.origin".to_owned(), b"\x00\xff\x0a".to_vec())];
    assert_eq!(shown(&reader, "file").await, of_users);
    let trusted = ("trusted.plan".to_owned(), b"secret".to_vec());
    assert_eq!(shown(&all, "file").await, [&[trusted], &of_users[..]].concat());
    assert_eq!(shown(&reader, "directory").await, [("user.origin".to_owned(), b"here".to_vec())]);
}

#[tokio::test]
async fn a_node_lives_under_any_name_until_it_is_deleted() {
    let cluster = Cluster::from_environment();
    let folder = Folder::create(&cluster).await;
    write_file(&cluster.superuser, &folder.path("file"), b"x", None).await;
    cluster.superuser.mkdirs(&folder.path("directory"), 0o755, false).await.unwrap();
    let source = cluster.source("reader");
    let file = child(&source, &folder.id, "file").await;
    assert_eq!(source.is_alive(&file.id).await.unwrap(), Some(true));
    cluster.superuser.rename(&folder.path("file"), &folder.path("directory/other"), false).await.unwrap();
    write_file(&cluster.superuser, &folder.path("file"), b"x", None).await;
    assert_eq!(source.is_alive(&file.id).await.unwrap(), Some(true));
    assert_eq!(source.extras(&file, &folder.id).await.unwrap(), Extras::default());

    let directory = child(&source, &folder.id, "directory").await;
    cluster.superuser.delete(&folder.path("directory"), true).await.unwrap();
    for gone in [&file, &directory] {
        assert_eq!(source.is_alive(&gone.id).await.unwrap(), Some(false));
        assert_eq!(source.extras(gone, &folder.id).await.unwrap_err().kind(), ErrorKind::Gone);
    }
}

#[tokio::test]
async fn what_lives_on_in_a_snapshot_alone_is_gone() {
    let cluster = Cluster::from_environment();
    let folder = Folder::create(&cluster).await;
    for name in ["replaced", "removed"] {
        write_file(&cluster.superuser, &folder.path(name), b"x", None).await;
    }
    let source = cluster.source("reader");
    let replaced = child(&source, &folder.id, "replaced").await;
    let removed = child(&source, &folder.id, "removed").await;
    cluster.web("PUT", folder.root(), "ALLOWSNAPSHOT").await;
    cluster.web("PUT", folder.root(), "CREATESNAPSHOT&snapshotname=before").await;
    for entry in [&replaced, &removed] {
        cluster.superuser.delete(&folder.path(&entry.name), false).await.unwrap();
    }
    write_file(&cluster.superuser, &folder.path("replaced"), b"y", None).await;
    let operation = "SETXATTR&flag=CREATE&xattr.name=user.origin&xattr.value=%22other%22";
    cluster.web("PUT", &folder.path("replaced"), operation).await;

    for entry in [&replaced, &removed] {
        assert!(matches!(entry.kind, EntryKind::File { .. }));
        assert_eq!(source.is_alive(&entry.id).await.unwrap(), Some(false), "{}", entry.name);
    }
    // Where something has its place, its id leads there.
    assert_eq!(source.extras(&removed, &folder.id).await.unwrap_err().kind(), ErrorKind::Gone);
    let newer: Entry = child(&source, &folder.id, "replaced").await;
    assert_eq!(source.is_alive(&newer.id).await.unwrap(), Some(true));
    assert_eq!(source.extras(&newer, &folder.id).await.unwrap().xattrs["user.origin"], b"other");
    cluster.web("DELETE", folder.root(), "DELETESNAPSHOT&snapshotname=before").await;
}
