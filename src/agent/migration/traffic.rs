//! What really goes to the target: each time that it goes, whatever it is for and whether the engine hears of it. The counters of
//! a run are about something else: what is known to be equal, once.

use std::sync::atomic::{AtomicU64, Ordering};

use livedata_model::report::Sent;

/// Of one migration, through its runs, for as long as this process has it.
#[derive(Debug)]
pub struct Traffic {
    since_ms: i64,
    bytes: AtomicU64,
    files: AtomicU64,
}

impl Traffic {
    pub fn since(now_ms: i64) -> Self {
        Self { since_ms: now_ms, bytes: AtomicU64::new(0), files: AtomicU64::new(0) }
    }

    /// The target has accepted so much of a file.
    pub fn accepted(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A file has become visible at the target.
    pub fn published(&self) {
        self.files.fetch_add(1, Ordering::Relaxed);
    }

    pub fn so_far(&self) -> Sent {
        Sent {
            since_ms: self.since_ms,
            bytes: self.bytes.load(Ordering::Relaxed),
            files: self.files.load(Ordering::Relaxed),
        }
    }
}
