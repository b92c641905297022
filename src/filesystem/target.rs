//! The side that is written.

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use livedata_model::node::AclEntry;

use crate::Result;

/// A path in the target's container, from its root, `/`-separated, without leading slash: `data/2024/a b.csv`.
/// Not percent-encoded: encoding is the client's business.
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct TargetPath(String);

impl TargetPath {
    /// Strips leading, trailing and doubled slashes; the empty path is the root.
    pub fn new(path: &str) -> Self {
        Self(path.split('/').filter(|segment| !segment.is_empty()).collect::<Vec<_>>().join("/"))
    }

    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        if self.0.is_empty() { Self::new(name) } else { Self::new(&format!("{}/{name}", self.0)) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

/// An entity tag as the service gave it, quotes included.
#[derive(Clone, Debug, Eq, PartialEq, Hash)]
pub struct Etag(pub String);

/// What must be true at the destination for a change to happen.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Condition {
    /// `If-None-Match: *`
    Absent,
    /// `If-Match: <etag>`
    Unchanged(Etag),
    /// No condition: only for our own staging area.
    Any,
}

/// What is set on a file or directory.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Attributes {
    /// POSIX permission bits, set exactly (umask 0). `None`: what the target gives or has.
    pub permissions: Option<u16>,
    /// Access control entries beyond the permission bits, which they complete: empty together with permissions takes away
    /// what the target has. Without permissions they are not looked at. Entries that name a user or a group are left
    /// out by the target: the names are the source's, and nobody maps them to the target's identities. Whoever
    /// has such entries reports them.
    pub acl: Vec<AclEntry>,
    /// User properties; names `[A-Za-z0-9_]+`, values any UTF-8.
    pub properties: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TargetEntry {
    pub is_directory: bool,
    /// Flushed length; 0 for directories.
    pub length_bytes: u64,
    pub etag: Etag,
    /// Empty where a listing does not carry them.
    pub properties: BTreeMap<String, String>,
}

/// One page of what lies in a directory.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TargetPage {
    /// By name, in the target's own order.
    pub entries: Vec<(String, TargetEntry)>,
    /// Give this as `after` to get the next page; `None` on the last one.
    pub next: Option<String>,
}

/// One append: bytes at a position.
#[derive(Clone, Debug)]
pub struct Upload {
    pub position: u64,
    pub data: Bytes,
}

/// What a flush means for the file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flush {
    /// More is to come: bytes that were uploaded beyond the flushed length wait on for a later flush.
    Prefix,
    /// The file is complete: it is closed, and bytes that were uploaded beyond the flushed length are dropped.
    Complete,
}

#[async_trait]
pub trait Target: Send + Sync + 'static {
    /// Makes a directory and its missing parents. `Conflict` if the condition does not hold or a file is in the way.
    async fn create_directory(
        &self,
        path: &TargetPath,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<Etag>;

    /// Makes an empty file (truncating an existing one when the condition lets it) and its missing parents.
    async fn create_file(
        &self,
        path: &TargetPath,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<Etag>;

    /// Uploads bytes that stay invisible until a flush passes them; the service checks a CRC64 over them. Appends of one
    /// file may be under way together and arrive in any order. With `flush` they become the end of the file in the same
    /// request, which closes it and whose etag is returned. Appending the same bytes at the same position again is
    /// harmless. Bytes that begin below the flushed length change nothing: they are dropped, and refused with `flush`
    /// unless they end where the file does.
    async fn append(&self, path: &TargetPath, upload: Upload, flush: bool) -> Result<Option<Etag>>;

    /// Makes everything up to `length_bytes` durable and visible; refused unless all of it was uploaded. A flush that
    /// has already happened succeeds.
    async fn flush(&self, path: &TargetPath, length_bytes: u64, flush: Flush) -> Result<Etag>;

    /// Moves one file or a whole directory atomically; the etag survives. A reply that was lost is resolved by looking
    /// at the destination: `Ok` means the rename took effect exactly once. `Gone` if `from` does not exist,
    /// or the directory that it should go into.
    ///
    /// `source_etag` is the etag that `from` had when the caller last changed it: the rename is refused with `Conflict`
    /// if `from` has another one, and the etag is how the moved file is recognised after a lost reply. Without it an
    /// implementation may have to ask for the etag first, which is one more request.
    async fn rename(
        &self,
        from: &TargetPath,
        to: &TargetPath,
        condition: &Condition,
        source_etag: Option<&Etag>,
    ) -> Result<()>;

    /// Properties of a path, `None` if there is nothing.
    async fn properties(&self, path: &TargetPath) -> Result<Option<TargetEntry>>;

    /// What lies in a directory, without properties and without what is below. `Gone` if there is none.
    async fn list(&self, directory: &TargetPath, after: Option<&str>) -> Result<TargetPage>;

    /// Sets what is given on an existing path: permissions, if there are any, with the access control entries in place of
    /// all that it had; user properties, if there are any, in place of all that it had. The root keeps its properties: they are the container's.
    /// `Conflict` if the condition does not hold.
    async fn set_attributes(
        &self,
        path: &TargetPath,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<Etag>;

    /// Removes a file or (with `recursive`) a directory; absent is fine.
    async fn delete(&self, path: &TargetPath, recursive: bool, condition: &Condition) -> Result<()>;
}
