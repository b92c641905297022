//! A local directory as source.
//!
//! - A node id is device, inode number and birth time (zero where the file system keeps none), and for each of several
//!   names of one file (hard links) its directory and name besides; a version is size,
//!   modification and change time in nanoseconds. Kernels stamp times with a granularity of a few milliseconds: a change
//!   of the same size within one such step after a look is not told apart from the state that was looked at.
//! - Paths are taken relative to the directory that the source was made with, and never lead out of it: symbolic links are
//!   reported, not followed.
//! - Local files cannot be opened by id. Files are opened by the path where they were last seen and the open file's
//!   id is compared; directories are found again as [`directories`] describes, also in a new process that has never seen
//!   them. Memory grows with the number of directories, not of files.
//! - Whether somebody has a file open for writing cannot be seen: `open_for_write` is always false. The end of a stream
//!   checks that the file did not change while it was read.
//! - Whether a node has access control entries cannot be seen without asking: `has_acl` is true of every file and directory.
//!   Asking costs a few system calls; believing in `false` would cost access rights.
//!
//! Owner and group, in access control entries too, are the numeric ids as text. File system calls run on tokio's
//! blocking threads.

mod directories;
mod extras;
pub mod feed;
mod node;
mod read;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use crate::{ByteStream, Entry, EntryKind, Error, ErrorKind, Extras, NodeId, Page, Result, Source};
use directories::Directories;

/// Names are sorted by their bytes, so a page keeps the smallest ones while it goes through the directory.
const PAGE_ENTRIES: usize = 1000;
/// How often a listing is started over because the directory's path led elsewhere meanwhile.
const LISTING_ATTEMPTS: u32 = 3;
/// Marks a page cursor that is not a name but the hexadecimal bytes of one that is not UTF-8. No name holds a `/`.
const RAW_CURSOR: char = '/';

#[derive(Debug)]
pub struct LocalSource {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    directories: Directories,
}

impl LocalSource {
    /// `root` itself may be reached through symbolic links.
    pub fn new(root: PathBuf) -> Self {
        Self { inner: Arc::new(Inner { directories: Directories::new(root.clone()), root }) }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let inner = self.inner.clone();
        run_blocking(&self.inner.root, move || work(&inner)).await
    }
}

/// Runs `work` on a thread that may wait for a disk.
async fn run_blocking<T: Send + 'static>(
    subject: &Path,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Error::new(ErrorKind::Fatal, "read", subject.to_string_lossy(), "the work was stopped")
            .with_source(error))
    })
}

#[async_trait]
impl Source for LocalSource {
    /// The machine and the file system; not told where the machine has no id (machine-id(5)).
    async fn namespace(&self) -> Result<Option<String>> {
        self.blocking(|inner| {
            let Ok(machine) = std::fs::read_to_string("/etc/machine-id") else { return Ok(None) };
            let filesystem = rustix::fs::statvfs(&inner.root)
                .map_err(|error| node::error("look up", &inner.root, error.into()))?;
            Ok(Some(format!("{} {:016x}", machine.trim(), filesystem.f_fsid)))
        })
        .await
    }

    async fn resolve(&self, path: &str) -> Result<Entry> {
        let path = path.to_owned();
        self.blocking(move |inner| inner.resolve(&path)).await
    }

    async fn list(&self, directory: &NodeId, after: Option<&str>) -> Result<Page> {
        let (directory, after) = (directory.clone(), after.map(str::to_owned));
        self.blocking(move |inner| inner.list(&directory, after.as_deref())).await
    }

    async fn look_up(&self, directory: &NodeId, name: &str) -> Result<Option<Entry>> {
        let (directory, name) = (directory.clone(), name.to_owned());
        self.blocking(move |inner| inner.look_up(&directory, &name)).await
    }

    async fn extras(&self, entry: &Entry, directory: &NodeId) -> Result<Extras> {
        let (entry, directory) = (entry.clone(), directory.clone());
        self.blocking(move |inner| {
            // A directory is found by its own id: the root has none above it.
            let path = match entry.kind {
                EntryKind::Directory => inner.directories.path(&entry.id)?,
                _ => inner.directories.path(&directory)?.join(&entry.name),
            };
            extras::read(&path, &entry)
        })
        .await
    }

    /// A file cannot be found by its inode number without looking at every name there is.
    async fn is_alive(&self, _node: &NodeId) -> Result<Option<bool>> {
        Ok(None)
    }

    async fn open(
        &self,
        file: &NodeId,
        at: (&NodeId, &str),
        offset: u64,
        length_bytes: u64,
    ) -> Result<ByteStream> {
        let (file, directory, name) = (file.clone(), at.0.clone(), at.1.to_owned());
        let reading = self
            .blocking(move |inner| {
                let path = inner.directories.path(&directory)?.join(&name);
                read::Reading::begin(path, &file, offset, length_bytes)
            })
            .await?;
        Ok(reading.into_stream())
    }
}

impl Inner {
    fn resolve(&self, path: &str) -> Result<Entry> {
        let fail = |kind, message: &str| Error::new(kind, "look up", path, message);
        if !path.starts_with('/') {
            return Err(fail(ErrorKind::Fatal, "the path must begin with `/`"));
        }
        let metadata =
            std::fs::metadata(&self.root).map_err(|error| node::error("look up", &self.root, error))?;
        let mut entry = node::entry(None, OsStr::new("/"), &metadata);
        self.directories.note_root(&entry.id);
        let mut place = self.root.clone();
        for component in Path::new(path).components() {
            let name = match component {
                Component::RootDir | Component::CurDir => continue,
                Component::Normal(name) => name,
                Component::ParentDir | Component::Prefix(_) => {
                    return Err(fail(ErrorKind::Fatal, "the path must not contain `..`"));
                }
            };
            match entry.kind {
                EntryKind::Directory => {}
                EntryKind::Symlink => {
                    return Err(fail(ErrorKind::Conflict, "it leads through a symbolic link"));
                }
                _ => return Err(fail(ErrorKind::Gone, "it leads through something that is not a directory")),
            }
            place.push(name);
            let metadata =
                std::fs::symlink_metadata(&place).map_err(|error| node::error("look up", &place, error))?;
            let parent = entry.id;
            entry = node::entry(Some(&parent), name, &metadata);
            self.note(&parent, name, &entry);
        }
        Ok(entry)
    }

    fn list(&self, directory: &NodeId, after: Option<&str>) -> Result<Page> {
        let after = after.map(decode_cursor).transpose()?;
        for _ in 0..LISTING_ATTEMPTS {
            let path = self.directories.path(directory)?;
            let page = self.read_page(directory, &path, after.as_deref());
            // The path may have come to mean another directory between the look and the reading.
            if node::is_directory_with_id(&path, directory) {
                return page;
            }
        }
        let path = self.directories.path(directory)?;
        Err(Error::new(
            ErrorKind::Changed,
            "list",
            path.to_string_lossy(),
            "it is renamed faster than it can be listed",
        ))
    }

    fn read_page(&self, directory: &NodeId, path: &Path, after: Option<&OsStr>) -> Result<Page> {
        let fail = |error| node::error("list", path, error);
        // One more than a page holds, to know whether another follows.
        let mut smallest: BTreeMap<OsString, std::fs::DirEntry> = BTreeMap::new();
        for found in std::fs::read_dir(path).map_err(fail)? {
            let found = found.map_err(fail)?;
            let name = found.file_name();
            if after.is_some_and(|after| name.as_os_str() <= after) {
                continue;
            }
            smallest.insert(name, found);
            if smallest.len() > PAGE_ENTRIES + 1 {
                smallest.pop_last();
            }
        }
        let has_more = smallest.len() > PAGE_ENTRIES;
        if has_more {
            smallest.pop_last();
        }
        let next = smallest.last_key_value().filter(|_| has_more).map(|(name, _)| encode_cursor(name));
        let mut entries = Vec::with_capacity(smallest.len());
        for (name, found) in smallest {
            // Does not follow links. What vanished since is left out: nobody could tell the difference.
            let metadata = match found.metadata() {
                Ok(metadata) => metadata,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(node::error("list", &found.path(), error)),
            };
            let entry = node::entry(Some(directory), &name, &metadata);
            self.note(directory, &name, &entry);
            entries.push(entry);
        }
        Ok(Page { entries, next })
    }

    fn look_up(&self, directory: &NodeId, name: &str) -> Result<Option<Entry>> {
        let parent = self.directories.path(directory)?;
        if name.is_empty() || name.contains('/') || name == "." || name == ".." {
            return Err(Error::new(
                ErrorKind::Fatal,
                "look up",
                name,
                "this is not a name of a directory entry",
            ));
        }
        let path = parent.join(name);
        let found = match std::fs::symlink_metadata(&path) {
            Ok(metadata) => {
                let entry = node::entry(Some(directory), OsStr::new(name), &metadata);
                self.note(directory, OsStr::new(name), &entry);
                Ok(Some(entry))
            }
            Err(error) => match node::error("look up", &path, error) {
                gone if gone.kind() == ErrorKind::Gone => Ok(self.unnameable(directory, &parent, name)),
                error => Err(error),
            },
        };
        // An answer about the path is one about the directory only if the directory is still there.
        match node::is_directory_with_id(&parent, directory) {
            true => found,
            false => Err(Error::new(
                ErrorKind::Gone,
                "look up",
                path.to_string_lossy(),
                "its directory moved or vanished",
            )),
        }
    }

    /// What has a name that is not UTF-8 and is written as `name` in listings.
    fn unnameable(&self, directory: &NodeId, parent: &Path, name: &str) -> Option<Entry> {
        if !name.contains(char::REPLACEMENT_CHARACTER) {
            return None;
        }
        let found = std::fs::read_dir(parent).ok()?.flatten().find(|found| {
            found.file_name().to_str().is_none() && node::printable(&found.file_name()) == name
        })?;
        Some(node::entry(Some(directory), &found.file_name(), &found.metadata().ok()?))
    }

    fn note(&self, parent: &NodeId, name: &OsStr, entry: &Entry) {
        if entry.kind == EntryKind::Directory {
            self.directories.note(&entry.id, parent, name);
        }
    }
}

fn encode_cursor(name: &OsStr) -> String {
    match name.to_str() {
        Some(name) => name.to_owned(),
        None => format!("{RAW_CURSOR}{}", NodeId::from_bytes(name.as_bytes()).to_hex()),
    }
}

fn decode_cursor(cursor: &str) -> Result<OsString> {
    let Some(digits) = cursor.strip_prefix(RAW_CURSOR) else { return Ok(cursor.into()) };
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect::<Option<Vec<u8>>>()
        .map(OsString::from_vec)
        .ok_or_else(|| {
            Error::new(ErrorKind::Fatal, "list", cursor, "this is not a page cursor of this source")
        })
}

#[cfg(test)]
mod tests;
