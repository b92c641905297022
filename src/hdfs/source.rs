//! HDFS behind the [`Source`] trait.

use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt;
use livedata_filesystem::{
    ByteStream, Entry, EntryKind, Error, ErrorKind, Extras, NodeId, Page, Result, Source,
};
use url::Url;

use crate::blocks::BlockReader;
use crate::namenode::NameNode;
use crate::{extras, status};

/// Marks a page cursor that is not a name but the hexadecimal bytes of one that is not UTF-8. No name holds a `/`.
const RAW_CURSOR: char = '/';

/// One HDFS cluster as one user sees it. Cheap to share, safe to use from many tasks at once.
#[derive(Debug)]
pub struct HdfsSource {
    namenode: Arc<NameNode>,
    blocks: BlockReader,
}

impl HdfsSource {
    /// `uri` is `hdfs://host[:port]`, a path in it is ignored. `user` is who we say we are (SIMPLE authentication).
    /// Connects at the first use, not here. Must be called within a tokio runtime.
    pub fn connect(uri: &Url, user: &str) -> Result<Self> {
        let namenode = Arc::new(NameNode::from_uri(uri, user)?);
        let blocks = BlockReader::new(namenode.clone())?;
        Ok(Self { namenode, blocks })
    }

    /// `Gone` if the node is not there: the id of one that lives on in a snapshot alone leads to whatever is at its former
    /// path.
    async fn of_same_id(&self, node: &NodeId, path: &str) -> Result<()> {
        let found = self.namenode.status(path).await?;
        if found.and_then(|status| status.file_id).is_some_and(|id| status::node_id(id) == *node) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Gone, "look up", path, "it does not exist any more"))
    }
}

#[async_trait]
impl Source for HdfsSource {
    /// Told to superusers only.
    async fn namespace(&self) -> Result<Option<String>> {
        match self.namenode.namespace_name().await {
            Ok(name) => Ok(Some(name)),
            Err(error) if error.kind() == ErrorKind::Denied => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn resolve(&self, path: &str) -> Result<Entry> {
        if !path.starts_with('/') {
            return Err(Error::new(ErrorKind::Fatal, "look up", path, "the path must begin with `/`"));
        }
        let trimmed = match path.trim_end_matches('/') {
            "" => "/",
            trimmed => trimmed,
        };
        let name = trimmed.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("/");
        let found = self.namenode.located_status(trimmed).await?;
        let found = found.ok_or_else(|| {
            Error::new(ErrorKind::Gone, "look up", path, "there is no such file or directory")
        })?;
        status::entry(&found, Some(name)).map_err(|reason| unusable("look up", path, reason))
    }

    async fn list(&self, directory: &NodeId, after: Option<&str>) -> Result<Page> {
        let path = inode_path(directory, "list")?;
        let start_after = match after {
            Some(cursor) => decode_cursor(cursor)
                .ok_or_else(|| unusable("list", &path, "the page cursor is broken".into()))?,
            None => Vec::new(),
        };
        let listing = self.namenode.listing(&path, start_after).await?;
        let listing = listing.ok_or_else(|| {
            Error::new(ErrorKind::Gone, "list", &path, "the directory does not exist any more")
        })?;
        let mut entries = Vec::with_capacity(listing.entries.len());
        for found in &listing.entries {
            // Asked to list a file, a NameNode answers with the file itself, under an empty name.
            if found.name.is_empty() {
                return Err(Error::new(ErrorKind::Conflict, "list", &path, "it is not a directory"));
            }
            entries.push(status::entry(found, None).map_err(|reason| unusable("list", &path, reason))?);
        }
        let next = match listing.entries.last() {
            Some(last) if listing.remaining > 0 => Some(encode_cursor(&last.name)),
            None if listing.remaining > 0 => {
                return Err(unusable("list", &path, "a page came without entries".into()));
            }
            _ => None,
        };
        Ok(Page { entries, next })
    }

    async fn look_up(&self, directory: &NodeId, name: &str) -> Result<Option<Entry>> {
        let path = format!("{}/{name}", inode_path(directory, "look up")?);
        let found = self.namenode.located_status(&path).await?;
        found
            .map(|found| status::entry(&found, Some(name)))
            .transpose()
            .map_err(|reason| unusable("look up", &path, reason))
    }

    async fn extras(&self, entry: &Entry, _directory: &NodeId) -> Result<Extras> {
        if !matches!(entry.kind, EntryKind::Directory | EntryKind::File { .. }) {
            return Ok(Extras::default());
        }
        let path = inode_path(&entry.id, "look up")?;
        let acl = async { if entry.has_acl { self.namenode.acl(&path).await.map(Some) } else { Ok(None) } };
        let (xattrs, acl) = tokio::try_join!(self.namenode.xattrs(&path), acl)?;
        extras::extras(xattrs, acl.as_ref(), entry.permissions)
            .map_err(|reason| unusable("look up", &path, reason))
    }

    async fn is_alive(&self, node: &NodeId) -> Result<Option<bool>> {
        match self.of_same_id(node, &inode_path(node, "look up")?).await {
            Ok(()) => Ok(Some(true)),
            Err(error) if error.kind() == ErrorKind::Gone => Ok(Some(false)),
            Err(error) => Err(error),
        }
    }

    async fn open(
        &self,
        file: &NodeId,
        _at: (&NodeId, &str),
        offset: u64,
        length_bytes: u64,
    ) -> Result<ByteStream> {
        let path = inode_path(file, "read")?;
        if offset >= length_bytes {
            return Ok(futures::stream::empty().boxed());
        }
        self.blocks.open(path, offset, length_bytes).await
    }
}

/// How the NameNode lets a node be named by its id.
fn inode_path(id: &NodeId, operation: &'static str) -> Result<String> {
    let inode = status::inode(id).ok_or_else(|| {
        Error::new(ErrorKind::Fatal, operation, id.to_hex(), "this is not the id of an HDFS inode")
    })?;
    Ok(format!("/.reserved/.inodes/{inode}"))
}

fn unusable(operation: &'static str, path: &str, reason: String) -> Error {
    Error::new(ErrorKind::Fatal, operation, path, format!("the NameNode's answer is of no use: {reason}"))
}

fn encode_cursor(name: &[u8]) -> String {
    match std::str::from_utf8(name) {
        Ok(name) => name.to_owned(),
        Err(_) => format!("{RAW_CURSOR}{}", NodeId::from_bytes(name).to_hex()),
    }
}

fn decode_cursor(cursor: &str) -> Option<Vec<u8>> {
    let Some(digits) = cursor.strip_prefix(RAW_CURSOR) else { return Some(cursor.as_bytes().to_vec()) };
    let pairs = digits.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}

#[cfg(test)]
mod tests;
