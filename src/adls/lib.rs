//! A typed client for the DFS endpoint of Azure Data Lake Storage Gen2, on azure_core's pipeline.
//!
//! [`Filesystem`] is one container of one account; its methods are the REST operations, one request each. [`AdlsTarget`]
//! is the same thing as a [`livedata_filesystem::Target`].
//!
//! What it promises:
//! - Names are percent-encoded exactly once, so every name that the service can hold arrives as it is.
//! - Every append carries a CRC-64 that the service checks; a body damaged on the way is sent again.
//! - An operation ends within its [`RetryBudget`]; the error of one that failed says how often and how long it was tried.
//! - An answer that was lost is resolved by looking at what became of the request. `Ok` means that it took effect, once;
//!   an error of a kind that is not `Unreachable` or `Throttled` means that it did not.
//! - With a [`Throttle`], request bodies leave in pieces of at most 64 KiB at the given rate.
//! - Account keys stay inside [`AccountKey`]; nothing prints them.
//!
//! What it does not do yet: leases, SAS and token credentials, recursive ACL changes.
//!
//! Layers, outside in: an operation (`paths/`), tries ([`RetryBudget`], `retry`), azure_core's pipeline with signing per
//! try (`shared_key`), `transport`. `fault` says what a failed try means.
//! Start reading at `connection.rs`.

mod clock;
mod config;
mod connection;
mod encoding;
mod fault;
mod paths;
mod retry;
mod shared_key;
mod target;
mod transport;

pub use config::{Config, Credential, RetryBudget, Throttle};
pub use connection::{Filesystem, FilesystemProperties};
pub use paths::{
    Access, AccessControl, AccessControlChange, AfterAppend, Content, CreateOptions, ListOptions, ListedPath,
    Listing, PathProperties, Range, ResourceKind,
};
pub use shared_key::AccountKey;
pub use target::AdlsTarget;
