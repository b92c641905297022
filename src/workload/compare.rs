//! Are both sides the same? Names, kinds, sizes, SHA-256 of contents, permissions.
//!
//! Every entry of both trees is held in memory (about 200 bytes each); contents are streamed, [`PARALLEL`] files at a
//! time. What lies below `/.livedata` in the target's filesystem is the migration's own and is left out. Of the two roots
//! themselves only the kind is looked at. Permissions are the nine bits, and for directories the sticky bit, which is
//! what ADLS can keep; owners, times, ACL entries and extended attributes are not compared.
//!
//! Nothing is retried: a side that cannot be read is an [`Error`], not a difference.

mod local;
mod report;
mod shared_key;
mod source;
mod target;
#[cfg(test)]
pub(crate) mod tests;
mod tree;

use std::sync::{Arc, Mutex, PoisonError};

use tokio::task::JoinSet;

pub use report::{Difference, Report, What};
pub use source::{HdfsSource, SourceSide};
pub use target::TargetSide;
use tree::Pair;

/// Files that are read at the same time, each on both sides.
const PARALLEL: usize = 8;
/// The most that the service gives at a time.
const PAGE: u32 = 5000;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the source cannot be compared: {path}: {reason}")]
    Source { path: String, reason: String },
    #[error("the target cannot be compared: {path}: {reason}")]
    Target { path: String, reason: String },
    #[error("the comparison was interrupted: {0}")]
    Interrupted(String),
}

pub async fn compare(source: &SourceSide, target: &TargetSide) -> Result<Report, Error> {
    let reader = source.open()?;
    let (mut at_source, mut at_target) = tokio::try_join!(reader.walk(), target.walk(PAGE))?;
    if target.is_filesystem_root() {
        tree::leave_out_own_area(&mut at_source);
        tree::leave_out_own_area(&mut at_target);
    }
    let mut report = Report::new(source.to_string(), target.to_string());
    let pairs = tree::compare(&at_source, &at_target, &mut report);

    let queue = Arc::new(Mutex::new(pairs.into_iter()));
    let mut readers = JoinSet::new();
    for _ in 0..PARALLEL {
        let (queue, reader, target) = (queue.clone(), reader.clone(), target.clone());
        readers.spawn(async move {
            let mut differing = Vec::new();
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).next();
                let Some(Pair { path, bytes }) = next else { return Ok::<_, Error>(differing) };
                let (at_source, at_target) =
                    tokio::try_join!(reader.digest(&path, bytes), target.digest(&path, bytes))?;
                if at_source != at_target {
                    differing.push(path);
                }
            }
        });
    }
    while let Some(finished) = readers.join_next().await {
        for path in finished.map_err(|error| Error::Interrupted(error.to_string()))?? {
            report.add(path, What::Content);
        }
    }
    report.sort();
    Ok(report)
}
