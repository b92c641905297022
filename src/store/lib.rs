//! One transactional document store for everything that must survive a crash of the control plane.
//!
//! A [`Record`] is a body of bytes (JSON, by convention of its owner) under a *collection* and a *key*, with a version
//! that the store raises on each write. [`Store::commit`] takes a [`Change`]: expectations and writes that happen
//! together or not at all, durable when the call returns. That is all: resources, operations, leases, agents and keys
//! are records of the crates that own them. Compare-and-swap on versions replaces locks.
//!
//! Implementations: [`sqlite`] (default), [`postgres`] (several providers) and [`memory`] (tests). All pass
//! [`conformance`]; the first two write through one [`group_commit`]. [`sealed`] encrypts secrets before they become a body. [`lease`]
//! shares work among providers. [`maintenance`] is what operators do: migrate, backup, restore. Start reading at [`Store`].

mod change;
pub mod conformance;
mod fnv;
pub mod group_commit;
pub mod lease;
pub mod maintenance;
pub mod memory;
pub mod postgres;
mod range;
mod schema;
pub mod sealed;
pub mod sqlite;

pub use change::{Change, Expectation, Write};
pub use schema::Schema;

use async_trait::async_trait;

/// One stored document.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    pub key: String,
    /// Raised by one on each write of this key; the first is 1. A key that was removed and written again starts at 1.
    pub version: u64,
    pub body: Vec<u8>,
}

#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// An expectation did not hold; nothing was written.
    #[error("{collection}/{key} has changed since it was read")]
    Conflict { collection: String, key: String },
    /// The store did not answer, or its medium failed.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The medium has no room left: nothing can be written, reading goes on.
    #[error("the store is full; make room for it: {0}")]
    Full(String),
    /// A key that seals secrets cannot be had now: the file of keys cannot be read, or what wraps them does not answer.
    #[error("the keys of secrets cannot be used: {0}")]
    KeyUnavailable(String),
    /// Another program has migrated the store.
    #[error(
        "the store's schema has version {found}, and this program knows versions up to {known}: use the version of livedata \
         that migrated it, or a newer one; or restore a backup from before into a new store"
    )]
    Newer { found: i64, known: i64 },
    /// A stored body cannot be read (wrong key, damaged).
    #[error("a stored record cannot be read: {0}")]
    Damaged(String),
}

/// SQLite's SQLITE_FULL; PostgreSQL's disk_full.
const FULL: [&str; 2] = ["13", "53100"];

fn failed(error: &sqlx::Error) -> Error {
    match error.as_database_error().and_then(|refused| refused.code()) {
        Some(code) if FULL.contains(&&*code) => Error::Full(error.to_string()),
        _ => Error::Unavailable(error.to_string()),
    }
}

pub type Result<T> = std::result::Result<T, Error>;

#[async_trait]
pub trait Store: Send + Sync + 'static {
    async fn get(&self, collection: &str, key: &str) -> Result<Option<Record>>;

    /// Records whose key begins with `prefix`, in byte order of keys, strictly after `after`, at most `limit`. The cost is
    /// proportional to what is returned.
    async fn list(
        &self,
        collection: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Record>>;

    /// All expectations hold and all writes happen, or nothing does. Durable on return.
    async fn commit(&self, change: Change) -> Result<()>;
}
