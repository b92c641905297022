//! The namespace on SQLite: accounts, filesystems, nodes with their leases and expiry, ranges and blocks, garbage.
//!
//! A node is keyed by (parent id, name), so moving a directory is one row whatever lies under it. Content files are
//! named by node id; ids are never used twice.
//!
//! On disk one writer thread runs all mutations in arrival order, as many as are waiting in one transaction, and answers
//! them after the commit. Readers have connections of their own and run on the blocking pool of the calling runtime. The
//! database is in WAL mode with `synchronous = NORMAL`: a commit survives the death of the process.
//!
//! In memory mutations and queries take turns at one connection, on the threads that ask: handing over to another thread would
//! cost more than what it does.

mod accounts;
mod authorization;
mod blocks;
mod deleted;
mod extents;
mod filesystems;
mod garbage;
mod listing;
mod node;
mod readers;
mod rename;
mod schema;
mod service_properties;
mod tree;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::Connection;

use crate::content::Content;
use crate::error::EmulatorError;
use crate::service_error::ServiceError;
pub(crate) use accounts::{all_accounts, forget_account, save_account};
pub(crate) use authorization::{
    DELEGATION_SECRET, TOKEN_ISSUERS, policies, role_of, roles, save_policies, save_roles, save_setting,
    setting,
};
pub(crate) use blocks::{
    Block, BlockId, BlockPlace, BlockSource, ListedBlock, NamedBlock, committed_blocks, discard_blocks,
    find_blocks, put_block, save_committed_blocks, uncommitted_blocks,
};
pub(crate) use deleted::{Deleted, deleted_paths, soft_delete, undelete};
pub(crate) use extents::{
    NewExtent, add_and_commit, add_extent, commit_up_to, live_spools, overlaps_extents,
};
pub(crate) use filesystems::{
    Filesystem, create_filesystem, delete_filesystem, filesystem, filesystem_root, filesystems_after,
    update_filesystem,
};
pub(crate) use garbage::{next_expiry, sweep_step};
pub(crate) use listing::{Page, list_paths};
pub(crate) use node::{Node, NodeKind};
use readers::Readers;
pub(crate) use rename::{RenameRequest, rename};
pub(crate) use service_properties::{
    ServiceProperties, delete_retention_days, save_service_properties, service_properties,
};
pub(crate) use tree::{
    Create, create, directories_in, find, has_children, lineage, node_by_id, remove, remove_below, require,
    save_lease, save_properties, save_settings, update_node,
};
pub(crate) use writer::Writing;
use writer::{Mutable, Writer};

pub(crate) struct Index {
    backing: Backing,
}

enum Backing {
    Disk {
        readers: Arc<Readers>,
        writer: Writer,
    },
    /// `None` once closed.
    Memory(Box<Mutex<Option<Mutable>>>),
}

impl Index {
    /// `content` is where mutations remove what the index does not refer to any more.
    pub(crate) fn open(path: &Path, content: Arc<Content>) -> Result<Self, EmulatorError> {
        let failed = |source| EmulatorError::Index { path: path.to_owned(), source };
        let connection = schema::open(path).map_err(failed)?;
        schema::prepare(&connection).map_err(failed)?;
        let last_etag = writer::last_etag(&connection).map_err(failed)?;
        let writer = Writer::start(Mutable { connection, last_etag, content })
            .map_err(|source| EmulatorError::Thread { source })?;
        Ok(Self { backing: Backing::Disk { readers: Arc::new(Readers::new(path)), writer } })
    }

    pub(crate) fn in_memory(content: Arc<Content>) -> Result<Self, EmulatorError> {
        let connection =
            schema::in_memory().map_err(|error| EmulatorError::NotReady { reason: error.to_string() })?;
        let mutable = Mutable { connection, last_etag: 0, content };
        Ok(Self { backing: Backing::Memory(Box::new(Mutex::new(Some(mutable)))) })
    }

    /// Runs a mutation; the answer comes after it is committed. An error undoes only this mutation.
    pub(crate) async fn write<T, F>(&self, mutation: F) -> Result<T, ServiceError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Writing<'_>) -> Result<T, ServiceError> + Send + 'static,
    {
        match &self.backing {
            Backing::Disk { writer, .. } => writer.submit(mutation).await,
            Backing::Memory(mutable) => {
                let mut mutable = mutable.lock().unwrap_or_else(PoisonError::into_inner);
                mutable.as_mut().ok_or_else(ServiceError::stopping)?.run_one(mutation)
            }
        }
    }

    /// Runs a query against the last committed state, off the calling thread where it may wait for a disk.
    pub(crate) async fn read<T, F>(&self, query: F) -> Result<T, ServiceError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, ServiceError> + Send + 'static,
    {
        match &self.backing {
            Backing::Disk { readers, .. } => {
                let readers = readers.clone();
                let task = tokio::task::spawn_blocking(move || readers.run(query));
                task.await.map_err(|error| ServiceError::internal(&error))?
            }
            Backing::Memory(_) => self.read_now(query),
        }
    }

    /// As `read`, on the calling thread; for start-up.
    pub(crate) fn read_now<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        match &self.backing {
            Backing::Disk { readers, .. } => readers.run(query),
            Backing::Memory(mutable) => {
                let mutable = mutable.lock().unwrap_or_else(PoisonError::into_inner);
                query(&mutable.as_ref().ok_or_else(ServiceError::stopping)?.connection)
            }
        }
    }

    /// Finishes what is queued and closes the database; later calls are answered with `ServerBusy`.
    pub(crate) fn close(&self) {
        match &self.backing {
            Backing::Disk { readers, writer } => {
                writer.stop();
                readers.close();
            }
            Backing::Memory(mutable) => drop(mutable.lock().unwrap_or_else(PoisonError::into_inner).take()),
        }
    }
}
