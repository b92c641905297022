//! HDFS as a [`Source`](livedata_filesystem::Source): read only, addressed by inode id.
//!
//! Two clients side by side. Metadata comes from a small NameNode client of our own ([`namenode`]), because listing with
//! inode ids and blocks is what a migration is built on and no released client exposes it. File bytes come through
//! `hdfs-native`, which reads blocks from DataNodes, checks their CRCs and moves on to another replica by itself.
//!
//! Promises:
//! - Nothing here changes the cluster: no write call exists in [`namenode`], and of `hdfs-native` only `read` is used. (The
//!   NameNode itself notes an access time when a file is opened, at most once per `dfs.namenode.accesstime.precision`.)
//! - A node id is the inode id; a version is a fingerprint of the blocks ([`status`]). Renames change neither.
//! - NameNode calls: one per page of a listing, one per look-up, one per opened file.
//! - Settings come from the caller only, never from `HADOOP_*` variables or files.
//!
//! SIMPLE authentication, one NameNode address. A file opened by inode id is read on across renames. One limit of the
//! `/.reserved/.inodes` paths that address by id: the NameNode turns the id into the node's current path first, so for
//! a node that was deleted but lives on in a snapshot it may answer about a newer node at the same path. Look-ups by
//! (directory, name) return the newer id, which is how a migration notices.
//!
//! Start reading at [`HdfsSource`].

mod blocks;
mod error;
mod namenode;
mod proto;
mod retry;
mod rpc;
mod source;
mod status;

pub use source::HdfsSource;
