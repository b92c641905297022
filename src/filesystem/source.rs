//! The side that is only read.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::{ContentVersion, NodeId, Result};

/// One directory entry, as it was at one moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// One path segment, never empty and without `/`. The root of a migration has the last segment of its path.
    pub name: String,
    pub id: NodeId,
    pub kind: EntryKind,
    /// POSIX permission bits, with sticky bit: `0o1777` at most.
    pub permissions: u16,
    pub owner: String,
    pub group: String,
    /// Modification time, milliseconds since 1970.
    pub modified_ms: i64,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EntryKind {
    Directory,
    File {
        length_bytes: u64,
        version: ContentVersion,
        /// Somebody holds it open for writing; length and version may be behind. Its close is what counts.
        open_for_write: bool,
    },
    /// Recorded and reported, never followed.
    Symlink,
    /// A pipe, a socket, a device, or a name that is not UTF-8: reported with the reason, never copied.
    Unsupported { reason: String },
}

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
    /// The entry at an absolute path: the root of a migration. `Gone` if there is none.
    async fn resolve(&self, path: &str) -> Result<Entry>;

    /// Entries of a directory named by id, beginning after the name `after`.
    async fn list(&self, directory: &NodeId, after: Option<&str>) -> Result<Page>;

    /// The entry called `name` in a directory named by id; `None` if there is none. `Gone` if the directory vanished.
    async fn look_up(&self, directory: &NodeId, name: &str) -> Result<Option<Entry>>;

    /// Opens a file by id for reading `[offset, length)`. `name` in `directory` is where it was last seen, for sources
    /// that cannot open by id: those open by path and revalidate the id. The stream checks what the source lets it
    /// check (HDFS: chunk CRCs) and fails with `Gone` or `Changed` when the file vanished or is another one.
    async fn open(&self, file: &NodeId, at: (&NodeId, &str), offset: u64, length_bytes: u64) -> Result<ByteStream>;
}
