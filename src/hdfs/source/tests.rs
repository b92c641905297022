use std::collections::BTreeMap;

use bytes::Bytes;
use livedata_filesystem::{AclEntry, AclKind};
use prost::Message;

use super::*;
use crate::proto::{
    self, AclStatus, DirectoryListing, ExtendedBlock, FilePermission, FileStatus, GetAclStatusResponse,
    GetFileInfoRequest, GetFileInfoResponse, GetListingRequest, GetListingResponse,
    GetLocatedFileInfoResponse, GetXAttrsRequest, GetXAttrsResponse, LocatedBlock, LocatedBlocks,
    TYPE_DIRECTORY, TYPE_FILE, XAttr,
};
use crate::rpc::fake::{FakeNameNode, Reply};

fn source(server: &FakeNameNode) -> HdfsSource {
    HdfsSource::connect(&Url::parse(&format!("hdfs://{}", server.address)).unwrap(), "reader").unwrap()
}

fn directory(id: u64) -> FileStatus {
    FileStatus {
        file_type: TYPE_DIRECTORY,
        permission: FilePermission { bits: 0o770 },
        file_id: Some(id),
        ..FileStatus::default()
    }
}

fn located_file(id: u64) -> FileStatus {
    let block =
        ExtendedBlock { pool_id: "BP-1".into(), block_id: 1, generation_stamp: 1001, length_bytes: Some(7) };
    FileStatus {
        file_type: TYPE_FILE,
        length: 7,
        blocks: Some(LocatedBlocks {
            file_length: 7,
            blocks: vec![LocatedBlock { block }],
            under_construction: false,
        }),
        ..directory(id)
    }
}

fn info(status: Option<FileStatus>) -> Reply {
    Reply::with(&GetFileInfoResponse { status })
}

fn listing(entries: Vec<FileStatus>) -> Reply {
    Reply::with(&GetListingResponse { listing: Some(DirectoryListing { entries, remaining: 0 }) })
}

const NO_INODE: Reply = Reply::Exception {
    class: "java.io.FileNotFoundException",
    message: "File for given inode path does not exist: /.reserved/.inodes/7",
};

#[test]
fn cursors_go_round() {
    for name in [&b"plain"[..], "größe %#".as_bytes(), b"\xff\x00raw"] {
        assert_eq!(decode_cursor(&encode_cursor(name)).as_deref(), Some(name));
    }
    assert_eq!(decode_cursor("/zz"), None);
}

#[tokio::test]
async fn addresses_that_cannot_work_are_refused_with_the_reason() {
    for (uri, reason) in [("http://host/", "scheme"), ("hdfs:///path", "host")] {
        let error = HdfsSource::connect(&Url::parse(uri).unwrap(), "reader").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Fatal);
        assert!(error.to_string().contains(reason), "{error}");
    }
}

#[tokio::test]
async fn hadoop_2_is_asked_in_its_own_way_and_remembered() {
    let server = FakeNameNode::start(|method, request| match method {
        "getLocatedFileInfo" => Reply::unknown_method(),
        "getFileInfo" => match GetFileInfoRequest::decode(request).unwrap().source.as_str() {
            "/" => info(Some(directory(1))),
            "/.reserved/.inodes/1/file" => info(Some(FileStatus { blocks: None, ..located_file(7) })),
            _ => info(None),
        },
        "getListing" => {
            let request = GetListingRequest::decode(request).unwrap();
            assert_eq!((request.source.as_str(), request.need_location), ("/.reserved/.inodes/1/file", true));
            listing(vec![located_file(7)])
        }
        other => panic!("{other}"),
    })
    .await;
    let source = source(&server);
    let root = source.resolve("/").await.unwrap().id;
    assert_eq!(server.take_calls(), ["getLocatedFileInfo", "getFileInfo"]);
    let file = source.look_up(&root, "file").await.unwrap().unwrap();
    assert_eq!(file, status::entry(&located_file(7), Some("file")).unwrap());
    assert_eq!(server.take_calls(), ["getFileInfo", "getListing"]);
    assert_eq!(source.look_up(&root, "none").await.unwrap(), None);
    assert_eq!(server.take_calls(), ["getFileInfo"]);
}

#[tokio::test]
async fn what_changes_its_kind_between_two_calls_of_hadoop_2_is_looked_at_again() {
    let mut looks = 0;
    let server = FakeNameNode::start(move |method, _| match method {
        "getLocatedFileInfo" => Reply::unknown_method(),
        "getFileInfo" => {
            looks += 1;
            info(Some(if looks == 1 { located_file(7) } else { directory(8) }))
        }
        // By now it is the directory, with one file in it.
        "getListing" => listing(vec![FileStatus { name: b"inner".to_vec(), ..located_file(9) }]),
        other => panic!("{other}"),
    })
    .await;
    let found = source(&server).look_up(&status::node_id(1), "a").await.unwrap().unwrap();
    assert_eq!((found.id, found.kind), (status::node_id(8), EntryKind::Directory));
}

#[tokio::test]
async fn what_vanishes_between_two_calls_of_hadoop_2_is_not_there() {
    let server = FakeNameNode::start(|method, _| match method {
        "getLocatedFileInfo" => Reply::unknown_method(),
        "getFileInfo" => info(Some(located_file(7))),
        "getListing" => Reply::with(&GetListingResponse { listing: None }),
        other => panic!("{other}"),
    })
    .await;
    assert_eq!(source(&server).look_up(&status::node_id(1), "a").await.unwrap(), None);
}

#[tokio::test]
async fn after_a_new_connection_hadoop_3_is_tried_again() {
    let server = FakeNameNode::start(|method, _| match method {
        "getLocatedFileInfo" => Reply::unknown_method(),
        _ => info(None),
    })
    .await;
    let source = source(&server);
    assert_eq!(source.look_up(&status::node_id(1), "a").await.unwrap(), None);
    // Hadoop 3 knows the ways of Hadoop 2 as well.
    let upgraded = |method: &str, _: Bytes| match method {
        "getLocatedFileInfo" => Reply::with(&GetLocatedFileInfoResponse { status: Some(located_file(7)) }),
        "getFileInfo" => info(Some(located_file(7))),
        "getListing" => listing(vec![located_file(7)]),
        other => panic!("{other}"),
    };
    let server = FakeNameNode::start_at(&server.stop().await, upgraded).await;
    let first = source.look_up(&status::node_id(1), "a").await.unwrap();
    assert_eq!(server.take_calls(), ["getFileInfo", "getListing"]);
    assert_eq!(source.look_up(&status::node_id(1), "a").await.unwrap(), first);
    assert_eq!(server.take_calls(), ["getLocatedFileInfo"]);
}

fn entry(has_acl: bool) -> Entry {
    Entry { has_acl, ..status::entry(&directory(7), Some("a")).unwrap() }
}

fn xattrs() -> Reply {
    let xattr = XAttr { namespace: proto::XATTR_USER, name: "origin".into(), value: Some(b"here".to_vec()) };
    Reply::with(&GetXAttrsResponse { xattrs: vec![xattr] })
}

#[tokio::test]
async fn an_acl_is_asked_for_where_there_is_one() {
    let server = FakeNameNode::start(|method, request| match method {
        "getXAttrs" => {
            assert_eq!(GetXAttrsRequest::decode(request).unwrap().source, "/.reserved/.inodes/7");
            xattrs()
        }
        "getAclStatus" => {
            let named = proto::AclEntry {
                entry_type: proto::ACL_USER,
                scope: proto::ACL_SCOPE_ACCESS,
                permissions: 5,
                name: Some("alice".into()),
            };
            Reply::with(&GetAclStatusResponse {
                status: AclStatus { entries: vec![named], permission: None },
            })
        }
        "getFileInfo" => info(Some(directory(7))),
        other => panic!("{other}"),
    })
    .await;
    let source = source(&server);
    let expected = BTreeMap::from([("user.origin".to_owned(), b"here".to_vec())]);
    let without = source.extras(&entry(false), &status::node_id(1)).await.unwrap();
    assert_eq!(without, Extras { acl: Vec::new(), xattrs: expected.clone() });
    assert_eq!(server.take_calls(), ["getXAttrs"], "one call for most nodes: each look costs it");
    let acl = [(AclKind::User, Some("alice".to_owned()), 5), (AclKind::Mask, None, 7)];
    let acl = acl.map(|(kind, name, permissions)| AclEntry { is_default: false, kind, name, permissions });
    let with = source.extras(&entry(true), &status::node_id(1)).await.unwrap();
    assert_eq!(with, Extras { acl: acl.to_vec(), xattrs: expected });
    assert_eq!(server.take_calls().len(), 2);

    let link = Entry { kind: EntryKind::Symlink, ..entry(true) };
    assert_eq!(source.extras(&link, &status::node_id(1)).await.unwrap(), Extras::default());
    assert!(server.take_calls().is_empty(), "a link is not followed");
}

#[tokio::test]
async fn xattrs_switched_off_are_none_and_acls_switched_off_are_denied() {
    let server = FakeNameNode::start(|method, _| match method {
        "getXAttrs" => Reply::Exception {
            class: "java.lang.UnsupportedOperationException",
            message: "The XAttr operation has been rejected.  Support for XAttrs has been disabled by setting \
                      dfs.namenode.xattrs.enabled to false.",
        },
        "getAclStatus" => Reply::Exception {
            class: "org.apache.hadoop.hdfs.protocol.AclException",
            message: "The ACL operation has been rejected.  Support for ACLs has been disabled by setting \
                      dfs.namenode.acls.enabled to false.",
        },
        _ => info(Some(directory(7))),
    })
    .await;
    let source = source(&server);
    assert_eq!(source.extras(&entry(false), &status::node_id(1)).await.unwrap(), Extras::default());
    let error = source.extras(&entry(true), &status::node_id(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("dfs.namenode.acls.enabled"), "{error}");
}

#[tokio::test]
async fn a_node_is_alive_while_its_id_leads_to_it() {
    let cases = [
        (info(Some(directory(7))), true),
        (info(Some(directory(8))), false),
        (info(None), false),
        (NO_INODE, false),
    ];
    for (reply, alive) in cases {
        let mut reply = Some(reply);
        let server = FakeNameNode::start(move |_, _| reply.take().unwrap()).await;
        assert_eq!(source(&server).is_alive(&status::node_id(7)).await.unwrap(), Some(alive));
    }
    let denied = || Reply::Exception {
        class: "org.apache.hadoop.security.AccessControlException",
        message: "Permission denied: user=reader, access=EXECUTE",
    };
    let server = FakeNameNode::start(move |_, _| denied()).await;
    let error = source(&server).is_alive(&status::node_id(7)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
}
