//! The bytes: a content for each node that has any, and spools for appended data that overlaps other uncommitted data or comes
//! through the Blob endpoint. They lie in files (named by node id under a fan-out folder) or in memory.
//!
//! A content may hold more than the committed length; only the index says what counts.

mod appending;
mod claims;
mod folder;
mod memory;
mod reading;
mod spool;
pub(crate) mod structured;

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

pub(crate) use appending::{Appending, Digests};
pub(crate) use claims::Claims;
use folder::Folder;
use memory::{Memory, MemoryFile};
pub(crate) use reading::Reading;
pub(crate) use spool::Spool;

/// Bytes moved between socket and disk in one step.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;

/// What holds bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Name {
    Node(i64),
    Spool(String),
}

pub(crate) struct Content {
    store: Store,
    claims: Claims,
}

enum Store {
    Folder(Folder),
    Memory(Memory),
}

impl Content {
    pub(crate) fn open(data_folder: &Path) -> io::Result<Self> {
        Ok(Self { store: Store::Folder(Folder::open(data_folder)?), claims: Claims::default() })
    }

    pub(crate) fn in_memory() -> Self {
        Self { store: Store::Memory(Memory::default()), claims: Claims::default() }
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Made when missing.
    pub(crate) fn open_for_writing(&self, name: &Name) -> io::Result<Handle> {
        match &self.store {
            Store::Folder(folder) => folder.open_for_writing(name).map(Handle::File),
            Store::Memory(memory) => Ok(Handle::Memory(memory.open_for_writing(name))),
        }
    }

    /// `NotFound` when nothing was written to it, or it was removed.
    pub(crate) fn open_for_reading(&self, name: &Name) -> io::Result<Handle> {
        match &self.store {
            Store::Folder(folder) => folder.open_for_reading(name).map(Handle::File),
            Store::Memory(memory) => memory.open_for_reading(name).map(Handle::Memory),
        }
    }

    /// Makes a spool the whole content of a node, in place of what was there.
    fn become_content(&self, spool: &str, node: i64) -> io::Result<()> {
        match &self.store {
            Store::Folder(folder) => folder.become_content(spool, node),
            Store::Memory(memory) => memory.become_content(spool, node),
        }
    }

    /// Removes what nothing refers to any more; that it is already gone is fine.
    pub(crate) fn remove(&self, name: &Name) {
        match &self.store {
            Store::Folder(folder) => folder.remove(name),
            Store::Memory(memory) => memory.remove(name),
        }
    }

    /// Removes spools that a killed process left without an owner.
    pub(crate) fn remove_stale_spools(&self, live: &HashSet<String>) -> io::Result<()> {
        match &self.store {
            Store::Folder(folder) => folder.remove_stale_spools(live),
            // It began empty.
            Store::Memory(_) => Ok(()),
        }
    }
}

/// One of them, open. What is open stays readable when it is removed or replaced meanwhile.
#[derive(Clone)]
pub(crate) enum Handle {
    File(Arc<File>),
    Memory(Arc<MemoryFile>),
}

impl Handle {
    /// Whether reading and writing may wait for a disk.
    fn may_block(&self) -> bool {
        matches!(self, Self::File(_))
    }

    pub(crate) fn write(&self, data: Bytes, at: u64) -> io::Result<()> {
        match self {
            Self::File(file) => file.write_all_at(&data, at),
            Self::Memory(file) => {
                file.write(data, at);
                Ok(())
            }
        }
    }

    /// As much from the start of `range` as is had in one step, and something unless the range is empty.
    pub(crate) fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        match self {
            Self::File(file) => {
                let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
                let mut chunk = vec![0; length.min(CHUNK_BYTES)];
                file.read_exact_at(&mut chunk, range.start)?;
                Ok(Bytes::from(chunk))
            }
            Self::Memory(file) => file.read(range),
        }
    }

    /// Copies `range` of this to `target`, where its first byte gets to `at`.
    pub(crate) fn copy(&self, range: Range<u64>, target: &Handle, mut at: u64) -> io::Result<()> {
        let mut from = range.start;
        while from < range.end {
            let chunk = self.read(from..range.end)?;
            let length = chunk.len() as u64;
            target.write(chunk, at)?;
            (from, at) = (from + length, at + length);
        }
        Ok(())
    }
}
