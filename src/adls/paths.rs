//! The operations on paths, one file per group. Each method of [`crate::Filesystem`] here is one REST operation.

mod access;
mod create;
mod data;
mod delete;
mod lease;
mod listing;
mod properties;
mod rename;

pub use access::{Access, AccessControl, AccessControlChange};
pub use create::{CreateOptions, ResourceKind};
pub use data::{AfterAppend, Content, Range};
pub use lease::{Lease, LeaseDuration};
pub use listing::{ListOptions, ListedPath, Listing};
pub use properties::PathProperties;

use azure_core::http::headers::Headers;
use livedata_filesystem::{Error, ErrorKind, Etag, Result};

/// The etag of an answer that must have one.
fn required_etag(headers: &Headers, operation: &'static str, subject: &str) -> Result<Etag> {
    crate::connection::etag(headers).ok_or_else(|| {
        let message = "the storage service's answer has no etag: is this a DFS endpoint?";
        Error::new(ErrorKind::Fatal, operation, subject, message)
    })
}
