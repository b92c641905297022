//! The side that is only read.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use livedata_model::node::{Entry, Extras, NodeId};

use crate::Result;

/// One page of a directory listing, in the source's own order of names. Pages need not be consistent with each other.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Page {
    pub entries: Vec<Entry>,
    /// Give this as `after` to get the next page; `None` on the last one.
    pub next: Option<String>,
}

/// A file's bytes, in order, in pieces of at most a few hundred KiB.
pub type ByteStream = BoxStream<'static, Result<Bytes>>;

#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// Names what node ids and versions belong to: where that is the same, equal ids are of one node and equal versions of one
    /// content, also to another process on another day. `None` if this source cannot tell.
    async fn namespace(&self) -> Result<Option<String>> {
        Ok(None)
    }

    /// The entry at an absolute path: the root of a migration. `Gone` if there is none.
    async fn resolve(&self, path: &str) -> Result<Entry>;

    /// Entries of a directory named by id, beginning after the name `after`.
    async fn list(&self, directory: &NodeId, after: Option<&str>) -> Result<Page>;

    /// The entry called `name` in a directory named by id; `None` if there is none. `Gone` if the directory vanished.
    async fn look_up(&self, directory: &NodeId, name: &str) -> Result<Option<Entry>>;

    /// The extras of a node that a look showed at `name` in `directory`. `Gone` if it vanished or another is there now. (On
    /// HDFS those of the other may come, if a snapshot keeps what vanished. Its place has changed then, which a look before
    /// publication finds out, and the feed tells; a third call for each look would find nothing more.)
    async fn extras(&self, entry: &Entry, directory: &NodeId) -> Result<Extras>;

    /// Whether the node still exists, under whatever name; `None` if this source cannot tell.
    async fn is_alive(&self, node: &NodeId) -> Result<Option<bool>>;

    /// Opens a file by id for reading `[offset, length)`. `name` in `directory` is where it was last seen, for sources
    /// that cannot open by id: those open by path and revalidate the id. The stream checks what the source lets it
    /// check (HDFS: chunk CRCs) and fails with `Gone` or `Changed` when the file vanished or is another one.
    async fn open(
        &self,
        file: &NodeId,
        at: (&NodeId, &str),
        offset: u64,
        length_bytes: u64,
    ) -> Result<ByteStream>;
}
