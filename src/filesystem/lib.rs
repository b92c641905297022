//! What the migration engine's shell asks of a file system, and nothing more.
//!
//! Three traits: [`Source`] is read only and addressed by *node id*, so that renames at the source never disturb a
//! running copy; [`Target`] is addressed by path, and every change of it that could destroy something carries a
//! [`Condition`]; [`ChangeFeed`] tells in order what happened at a source. Identifiers and versions are opaque bytes: only the implementation that made them reads them.
//!
//! Errors carry a [`ErrorKind`] that a caller acts on: retry, treat as gone, report as denied, give up.
//! Wrappers ([`chaos`], [`throttle`]) nest, outside in: chaos, throttle, implementation.
//!
//! Implementations here: [`local`] (a local directory as source, and its changes). HDFS is `livedata-hdfs`, ADLS is `livedata-adls`.
//! Start reading at [`Source`].

pub mod chaos;
#[cfg(any(test, feature = "conformance"))]
pub mod conformance;
mod error;
pub mod feed;
pub mod local;
mod source;
mod target;
pub mod throttle;
pub mod xattr_properties;

pub use error::{Error, ErrorKind, Result};
pub use feed::{Change, ChangeFeed, Event, Position, Reading};
pub use livedata_model::node::{AclEntry, AclKind, ContentVersion, Entry, EntryKind, Extras, NodeId};
pub use livedata_model::report::FailureKind;
pub use local::feed::{FeedOptions, Limits, LocalFeed};
pub use source::{ByteStream, Page, Source};
pub use target::{Attributes, Condition, Etag, Flush, Target, TargetEntry, TargetPage, TargetPath, Upload};
