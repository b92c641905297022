//! The namespace on SQLite: accounts, filesystems, nodes with their leases and expiry, ranges and blocks, garbage.
//!
//! A node is keyed by (parent id, name), so moving a directory is one row whatever lies under it. Content files are
//! named by node id; ids are never used twice.
//!
//! One writer thread runs all mutations in arrival order, as many as are waiting in one transaction, and answers
//! them after the commit. Readers have connections of their own and run on the blocking pool of the calling runtime. The
//! database is in WAL mode with `synchronous = NORMAL`: a commit survives the death of the process.

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
use std::sync::Arc;

use rusqlite::Connection;

use crate::error::EmulatorError;
use crate::service_error::ServiceError;
pub(crate) use accounts::{all_accounts, forget_account, save_account};
pub(crate) use authorization::{
    DELEGATION_SECRET, TOKEN_ISSUERS, policies, role_of, roles, save_policies, save_roles, save_setting,
    setting,
};
pub(crate) use blocks::{
    Block, BlockId, BlockPlace, BlockSource, ListedBlock, NamedBlock, committed_blocks, discard_blocks,
    find_blocks, forget_committed_blocks, put_block, save_committed_blocks, uncommitted_blocks,
};
pub(crate) use deleted::{Deleted, deleted_paths, soft_delete, undelete};
pub(crate) use extents::{NewExtent, add_extent, commit_up_to, live_spools, overlaps_extents};
pub(crate) use filesystems::{
    Filesystem, create_filesystem, delete_filesystem, filesystem, filesystem_root, filesystems_after,
    update_filesystem,
};
pub(crate) use garbage::{next_expiry, sweep_step};
pub(crate) use listing::{Page, Start, list_paths};
pub(crate) use node::{Node, NodeKind};
use readers::Readers;
pub(crate) use rename::{RenameRequest, rename};
pub(crate) use service_properties::{
    ServiceProperties, delete_retention_days, save_service_properties, service_properties,
};
pub(crate) use tree::{
    Create, create, directories_in, find, has_children, lineage, remove, require, save_lease, save_settings,
    update_node,
};
use writer::Writer;
pub(crate) use writer::Writing;

pub(crate) struct Index {
    readers: Arc<Readers>,
    writer: Writer,
}

impl Index {
    pub(crate) fn open(path: &Path) -> Result<Self, EmulatorError> {
        let failed = |source| EmulatorError::Index { path: path.to_owned(), source };
        let connection = schema::open(path).map_err(failed)?;
        schema::prepare(&connection).map_err(failed)?;
        let last_etag = writer::last_etag(&connection).map_err(failed)?;
        let writer =
            Writer::start(connection, last_etag).map_err(|source| EmulatorError::Thread { source })?;
        Ok(Self { readers: Arc::new(Readers::new(path)), writer })
    }

    /// Runs a mutation on the writer thread; the answer comes after it is committed. An error undoes only this mutation.
    pub(crate) async fn write<T, F>(&self, mutation: F) -> Result<T, ServiceError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Writing<'_>) -> Result<T, ServiceError> + Send + 'static,
    {
        self.writer.submit(mutation).await
    }

    /// Runs a query against the last committed state, off the calling thread.
    pub(crate) async fn read<T, F>(&self, query: F) -> Result<T, ServiceError>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, ServiceError> + Send + 'static,
    {
        let readers = self.readers.clone();
        let task = tokio::task::spawn_blocking(move || readers.run(query));
        task.await.map_err(|error| ServiceError::internal(&error))?
    }

    /// As `read`, on the calling thread; for start-up.
    pub(crate) fn read_now<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        self.readers.run(query)
    }

    /// Finishes what is queued and closes the database; later calls are answered with `ServerBusy`.
    pub(crate) fn close(&self) {
        self.writer.stop();
        self.readers.close();
    }
}
