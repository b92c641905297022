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
//! - No more requests are under way than the account bears ([`Concurrency`]), which it says by being busy.
//! - Account keys stay inside [`AccountKey`]; nothing prints them, nor SAS tokens, nor the password of a proxy.
//!
//! Who the client is: an account key, a SAS that can be renewed while in use, or an [`Identity`] of Entra ID. How it gets to
//! the service: [`Network`] (proxies, private endpoints, certificate authorities of one's own).
//!
//! Copying a file (parallel appends, flushed positions to resume from, CRC-32C over the whole) is the agent's business, above
//! [`livedata_filesystem::Target`].
//!
//! Layers, outside in: an operation (`paths/`), tries ([`RetryBudget`], `retry`), a slot for each try (`concurrency`),
//! azure_core's pipeline with signing per try (`shared_key`, `sas`), `transport`. `fault` says what a failed try means.
//! Start reading at `connection.rs`.

mod clock;
mod concurrency;
mod config;
mod connection;
mod encoding;
mod fault;
mod identity;
mod network;
mod paths;
mod retry;
mod sas;
mod shared_key;
mod target;
mod transport;

pub use azure_core::credentials::Secret;
pub use concurrency::Concurrency;
pub use config::{Config, Credential, RetryBudget, Throttle};
pub use connection::{Filesystem, FilesystemProperties};
pub use identity::Identity;
pub use network::{Address, Network, Proxy, Route};
pub use paths::{
    Access, AccessControl, AccessControlChange, AfterAppend, Content, CreateOptions, Lease, LeaseDuration,
    ListOptions, ListedPath, Listing, PathProperties, Range, ResourceKind,
};
pub use sas::{Sas, SasToken};
pub use shared_key::AccountKey;
pub use target::AdlsTarget;
