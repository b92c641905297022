//! What the rest of the agent sees of a running migration: cheap to copy, always whole.

use std::collections::BTreeMap;

use livedata_engine::{Counters, FailedEdge, Phase, Run};

use crate::journal;

/// Something that keeps the migration from going on, and goes away when its cause does.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Fault {
    SourceUnreachable,
    TargetUnreachable,
    /// The account or the container as a whole.
    TargetRefuses,
    TargetThrottled,
    DiskFull,
    JournalUnusable,
}

#[derive(Clone, Debug, Default)]
pub struct View {
    /// The operator's start that everything here answers; 0 before the first.
    pub start: u64,
    pub phase: Phase,
    pub counters: Counters,
    /// Bytes durable in staging beyond the counted ones.
    pub bytes_in_flight: u64,
    pub last_failed: Option<FailedEdge>,
    /// With the reason.
    pub faults: BTreeMap<Fault, String>,
}

impl View {
    pub(super) fn progressed(&mut self, run: &Run, bytes_in_flight: u64) {
        self.start = run.start;
        self.phase = run.phase;
        self.counters = run.counters;
        self.bytes_in_flight = bytes_in_flight;
    }

    /// Paths of the journal are below the migration's root; people want whole ones.
    pub(super) fn failed(&mut self, root: &str, last: Option<FailedEdge>) {
        self.last_failed = last.map(|failed| FailedEdge {
            path: match failed.path.as_str() {
                "" => root.to_owned(),
                below => format!("{}/{below}", root.trim_end_matches('/')),
            },
            reason: failed.reason,
        });
    }

    pub(super) fn journal_failed(&mut self, error: &journal::Error) {
        let fault = if error.is_disk_full() { Fault::DiskFull } else { Fault::JournalUnusable };
        self.faults.insert(fault, error.to_string());
    }
}
