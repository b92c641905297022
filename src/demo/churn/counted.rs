//! A file system that counts what is changed, so that one sees how far a churn is while it goes on.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use livedata_workload::churn::{Error, FileSystem, Found};

#[derive(Clone)]
pub struct Counted<F> {
    files: F,
    changes: Arc<AtomicU64>,
}

impl<F> Counted<F> {
    pub fn new(files: F) -> Self {
        Self { files, changes: Arc::default() }
    }

    /// Calls that changed something.
    pub fn changes(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.changes)
    }

    async fn counting(&self, change: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
        change.await?;
        self.changes.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

impl<F: FileSystem> FileSystem for Counted<F> {
    const HAS_CONCAT: bool = F::HAS_CONCAT;

    async fn walk(&self, root: &str) -> Result<Vec<Found>, Error> {
        self.files.walk(root).await
    }

    async fn make_directory(&self, path: &str) -> Result<(), Error> {
        self.counting(self.files.make_directory(path)).await
    }

    async fn write(&self, path: &str, content: Vec<u8>) -> Result<(), Error> {
        self.counting(self.files.write(path, content)).await
    }

    async fn append(&self, path: &str, content: Vec<u8>) -> Result<(), Error> {
        self.counting(self.files.append(path, content)).await
    }

    async fn truncate(&self, path: &str, bytes: u64) -> Result<(), Error> {
        self.counting(self.files.truncate(path, bytes)).await
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        self.counting(self.files.rename(from, to)).await
    }

    async fn delete(&self, path: &str) -> Result<(), Error> {
        self.counting(self.files.delete(path)).await
    }

    async fn set_permissions(&self, path: &str, permissions: u16) -> Result<(), Error> {
        self.counting(self.files.set_permissions(path, permissions)).await
    }

    async fn grant(&self, path: &str, user: u32, rights: u8) -> Result<(), Error> {
        self.counting(self.files.grant(path, user, rights)).await
    }

    async fn set_attribute(&self, path: &str, name: &str, value: &[u8]) -> Result<(), Error> {
        self.counting(self.files.set_attribute(path, name, value)).await
    }

    async fn concat(&self, path: &str, sources: &[String]) -> Result<(), Error> {
        self.counting(self.files.concat(path, sources)).await
    }
}
