//! A lake that is in use: seeded changes by several writers, for as long as somebody else copies it.
//!
//! Each writer owns what lies below some of the names at the top of the lake, and knows what is there. So a seed decides
//! what every writer does, in which order and with which bytes, whatever happens to the clock; only how the writers'
//! changes interleave is left open. Nobody else may write meanwhile: a change that fails is an [`Error`].
//!
//! What changes is what programs do to lakes: files that grow and are replaced, directories renamed with what they hold,
//! names used again, two names changing places, jobs that write under `_temporary` and rename into place, tables whose
//! log is written after the data, things that move out of the lake (to `outside`) and back, permissions, access control
//! lists, attributes.

mod hdfs;
mod local;
mod part;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;

pub use hdfs::Hdfs;
pub use local::Local;
use part::Part;
use writer::{HOME, Writer};

/// The changes that a lake goes through. Paths are absolute, `/` between names.
pub trait FileSystem: Clone + Send + Sync + 'static {
    /// Several files become one without being copied.
    const HAS_CONCAT: bool;

    /// Directories and files below `root`, in any order.
    fn walk(&self, root: &str) -> impl Future<Output = Result<Vec<Found>, Error>> + Send;

    /// With the missing ones above it.
    fn make_directory(&self, path: &str) -> impl Future<Output = Result<(), Error>> + Send;

    /// Makes a file or replaces it.
    fn write(&self, path: &str, content: Vec<u8>) -> impl Future<Output = Result<(), Error>> + Send;

    fn append(&self, path: &str, content: Vec<u8>) -> impl Future<Output = Result<(), Error>> + Send;

    fn truncate(&self, path: &str, bytes: u64) -> impl Future<Output = Result<(), Error>> + Send;

    /// Replaces a file at `to`.
    fn rename(&self, from: &str, to: &str) -> impl Future<Output = Result<(), Error>> + Send;

    /// With everything below.
    fn delete(&self, path: &str) -> impl Future<Output = Result<(), Error>> + Send;

    fn set_permissions(&self, path: &str, permissions: u16)
    -> impl Future<Output = Result<(), Error>> + Send;

    /// Gives one more user these rights (7 at most).
    fn grant(&self, path: &str, user: u32, rights: u8) -> impl Future<Output = Result<(), Error>> + Send;

    /// A `user.` attribute.
    fn set_attribute(
        &self,
        path: &str,
        name: &str,
        value: &[u8],
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Appends the sources, which are in the same directory, and removes them.
    fn concat(&self, path: &str, sources: &[String]) -> impl Future<Output = Result<(), Error>> + Send;
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    pub path: String,
    pub is_directory: bool,
    pub bytes: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot {operation} {path}: {reason}")]
    FileSystem { operation: &'static str, path: String, reason: String },
    #[error("a writer was interrupted: {0}")]
    Interrupted(String),
}

impl Error {
    fn new(operation: &'static str, path: &str, reason: impl fmt::Display) -> Self {
        Self::FileSystem { operation, path: path.to_owned(), reason: reason.to_string() }
    }
}

/// How much, how fast, how long.
#[derive(Clone, Debug)]
pub struct Plan {
    pub seed: u64,
    /// At the same time; at least one. With another number of writers a seed means other changes.
    pub writers: u32,
    /// All writers together; `None`: until `stop`.
    pub operations: Option<u64>,
    /// All writers together; `None`: as fast as it goes.
    pub operations_per_second: Option<f64>,
    /// Set to end after the operations that are going on.
    pub stop: Arc<AtomicBool>,
}

/// What was done.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Churned {
    /// By kind. One may be many changes: a commit writes and renames several files.
    pub operations: BTreeMap<&'static str, u64>,
    /// Calls of the file system that changed something.
    pub changes: u64,
    pub elapsed: Duration,
    pub seed: u64,
}

impl Churned {
    pub fn operation_count(&self) -> u64 {
        self.operations.values().sum()
    }

    pub fn operations_per_second(&self) -> f64 {
        self.operation_count() as f64 / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }
}

impl fmt::Display for Churned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}: {} operations ({} changes) in {:.1} s, {:.0} operations/s:",
            self.seed,
            self.operation_count(),
            self.changes,
            self.elapsed.as_secs_f64(),
            self.operations_per_second()
        )?;
        for (index, (kind, count)) in self.operations.iter().enumerate() {
            write!(f, "{} {kind} {count}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// Changes the lake at `scope`, which exists; `outside` is a directory beside it, made if need be, to which things are moved
/// and from which they come back.
pub async fn churn<F: FileSystem>(
    files: &F,
    scope: &str,
    outside: &str,
    plan: &Plan,
) -> Result<Churned, Error> {
    let writers = plan.writers.max(1);
    let found = files.walk(scope).await?;
    let run = next_run(&found, scope);
    let parts = Part::divide(found, scope, writers);
    let started = Instant::now();
    let mut running = JoinSet::new();
    for (number, part) in (0..writers).zip(parts) {
        let writer = Writer::new(files.clone(), part, scope, outside, (run, number), plan.seed);
        // The first ones do what does not divide evenly.
        let share = plan
            .operations
            .map(|all| all / u64::from(writers) + u64::from(u64::from(number) < all % u64::from(writers)));
        let interval = plan
            .operations_per_second
            .filter(|rate| *rate > 0.0)
            .map(|rate| Duration::from_secs_f64(f64::from(writers) / rate));
        running.spawn(write(writer, share, interval, plan.stop.clone()));
    }
    let mut churned =
        Churned { operations: BTreeMap::new(), changes: 0, elapsed: Duration::ZERO, seed: plan.seed };
    while let Some(finished) = running.join_next().await {
        // Dropping the set ends the others.
        let writer = finished.map_err(|error| Error::Interrupted(error.to_string()))??;
        churned.changes += writer.changes;
        for (kind, count) in writer.operations {
            *churned.operations.entry(kind).or_default() += count;
        }
    }
    churned.elapsed = started.elapsed();
    Ok(churned)
}

/// One more than the highest number of a run that left something at the top of the lake: names are never used twice.
fn next_run(found: &[Found], scope: &str) -> u32 {
    let run_of = |found: &Found| {
        let name = found.path.strip_prefix(scope)?.trim_start_matches('/').strip_prefix(HOME)?;
        name.split('-').next()?.parse().ok()
    };
    found.iter().filter_map(run_of).max().map_or(0, |run: u32| run + 1)
}

async fn write<F: FileSystem>(
    mut writer: Writer<F>,
    share: Option<u64>,
    interval: Option<Duration>,
    stop: Arc<AtomicBool>,
) -> Result<Writer<F>, Error> {
    writer.settle_in().await?;
    let mut due = Instant::now();
    let mut done = 0;
    while share.is_none_or(|share| done < share) && !stop.load(Ordering::Relaxed) {
        if let Some(interval) = interval {
            tokio::time::sleep_until(due).await;
            // Time that was lost is not made up for by a burst.
            due = (due + interval).max(Instant::now());
        }
        writer.step().await?;
        done += 1;
    }
    Ok(writer)
}
