//! HDFS as a [`Source`](livedata_filesystem::Source), read only, addressed by inode id, and as a
//! [`ChangeFeed`](livedata_filesystem::ChangeFeed), its edit log read by transaction id.
//!
//! Two clients side by side. Metadata comes from a small NameNode client of our own ([`namenode`]), because listing with
//! inode ids and blocks is what a migration is built on and no released client exposes it. File bytes come through
//! `hdfs-native`, which reads blocks from DataNodes, checks their CRCs and moves on to another replica by itself.
//!
//! Promises:
//! - Nothing here changes the cluster: no write call exists in [`namenode`], and of `hdfs-native` only `read` is used. (The
//!   NameNode itself notes an access time when a file is opened, at most once per `dfs.namenode.accesstime.precision`.)
//! - A node id is the inode id; a version is a fingerprint of the blocks ([`status`]). Renames change neither.
//! - NameNode calls: one per page of a listing, one per look-up (two of a file on Hadoop 2), one per opened file, two for
//!   extras (three with an access control list).
//! - Settings come from the caller only, never from `HADOOP_*` variables or files.
//!
//! Hadoop 2.7 to 3.4. SIMPLE authentication, one NameNode address. A file opened by inode id is read on across renames. One limit of the
//! `/.reserved/.inodes` paths that address by id: the NameNode turns the id into the node's current path first, so for
//! a node that was deleted but lives on in a snapshot it may answer about a newer node at the same path. Look-ups by
//! (directory, name) return the newer id, which is how a migration notices.
//!
//! Start reading at [`HdfsSource`] and [`HdfsFeed`].

mod blocks;
mod error;
mod extras;
mod feed;
mod namenode;
mod proto;
mod retry;
mod rpc;
mod source;
mod status;

pub use feed::{HdfsFeed, Preflight};
pub use source::HdfsSource;
