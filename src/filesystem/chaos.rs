//! A target that fails as targets do, for tests and proofs: requests that do not get through, replies that are lost after
//! the operation took effect, and refusals for a while.
//!
//! It goes outside everything else, because what is below it repeats failed requests of its own and finds out what became
//! of lost replies: what comes out here is what remains after that, and has to be borne by whoever uses the target.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::{
    Attributes, Condition, Error, ErrorKind, Etag, Flush, Result, Target, TargetEntry, TargetPage,
    TargetPath, Upload,
};

/// How often each thing happens: shares of all calls, together 1 at most.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rates {
    /// `Unreachable`, and nothing was done.
    pub unreachable: f64,
    /// `Unreachable`, although the operation was carried out.
    pub lost_replies: f64,
    /// `Throttled`, and nothing was done.
    pub throttled: f64,
}

/// One call draws one number, so the same calls in the same order meet the same fate under the same seed.
pub struct Chaos {
    inner: Arc<dyn Target>,
    rates: Rates,
    /// What refusals for a while ask for.
    retry_after: Option<Duration>,
    random: Mutex<u64>,
    faults: AtomicU64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Answered,
    NotSent,
    ReplyLost,
    Throttled,
}

impl Chaos {
    pub fn new(inner: Arc<dyn Target>, seed: u64, rates: Rates, retry_after: Option<Duration>) -> Self {
        Self { inner, rates, retry_after, random: Mutex::new(seed), faults: AtomicU64::new(0) }
    }

    /// Calls that it made fail so far: a test in which there were none has proved nothing.
    pub fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    fn fate(&self) -> Fate {
        let Rates { unreachable, lost_replies, throttled } = self.rates;
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let drawn = next(&mut random);
        if drawn < unreachable {
            Fate::NotSent
        } else if drawn < unreachable + lost_replies {
            Fate::ReplyLost
        } else if drawn < unreachable + lost_replies + throttled {
            Fate::Throttled
        } else {
            Fate::Answered
        }
    }

    async fn meet<T: Send>(
        &self,
        operation: &'static str,
        path: &TargetPath,
        call: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let (kind, message) = match self.fate() {
            Fate::Answered => return call.await,
            Fate::NotSent => (ErrorKind::Unreachable, "chaos: the request did not get through"),
            Fate::ReplyLost => {
                // A refusal is lost like any other answer.
                let _ = call.await;
                (ErrorKind::Unreachable, "chaos: the reply was lost")
            }
            Fate::Throttled => {
                let retry_after = self.retry_after;
                (ErrorKind::Throttled { retry_after }, "chaos: the service asks for a pause")
            }
        };
        self.faults.fetch_add(1, Ordering::Relaxed);
        Err(Error::new(kind, operation, path.as_str(), message))
    }
}

/// In `[0, 1)`: splitmix64, <https://prng.di.unimi.it/splitmix64.c>.
pub(crate) fn next(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^= mixed >> 31;
    (mixed >> 11) as f64 / (1_u64 << 53) as f64
}

#[async_trait]
impl Target for Chaos {
    async fn create_directory(&self, path: &TargetPath, with: &Attributes, on: &Condition) -> Result<Etag> {
        self.meet("create directory", path, self.inner.create_directory(path, with, on)).await
    }

    async fn create_file(&self, path: &TargetPath, with: &Attributes, on: &Condition) -> Result<Etag> {
        self.meet("create file", path, self.inner.create_file(path, with, on)).await
    }

    async fn append(&self, path: &TargetPath, upload: Upload, flush: bool) -> Result<Option<Etag>> {
        self.meet("append", path, self.inner.append(path, upload, flush)).await
    }

    async fn flush(&self, path: &TargetPath, length_bytes: u64, flush: Flush) -> Result<Etag> {
        self.meet("flush", path, self.inner.flush(path, length_bytes, flush)).await
    }

    async fn rename(
        &self,
        from: &TargetPath,
        to: &TargetPath,
        condition: &Condition,
        source_etag: Option<&Etag>,
    ) -> Result<()> {
        self.meet("rename", from, self.inner.rename(from, to, condition, source_etag)).await
    }

    async fn properties(&self, path: &TargetPath) -> Result<Option<TargetEntry>> {
        self.meet("properties", path, self.inner.properties(path)).await
    }

    async fn list(&self, directory: &TargetPath, after: Option<&str>) -> Result<TargetPage> {
        self.meet("list", directory, self.inner.list(directory, after)).await
    }

    async fn set_attributes(
        &self,
        path: &TargetPath,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<Etag> {
        self.meet("set attributes", path, self.inner.set_attributes(path, attributes, condition)).await
    }

    async fn delete(&self, path: &TargetPath, recursive: bool, condition: &Condition) -> Result<()> {
        self.meet("delete", path, self.inner.delete(path, recursive, condition)).await
    }
}
